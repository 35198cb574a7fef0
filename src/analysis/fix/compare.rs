//! Policies before and after, compared over every connection of the pods that a changed policy selects.
//!
//! Pods that no policy can tell apart are judged once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::effects::{Asked, Change, Effects, Side, is_asked, join, number};
use crate::model::{Cluster, NodeId, Phase, PodId, PortSet, Protocol, Str, WorkloadRef};
use crate::policy::Policies;
use crate::policy::rule::{Direction, Expr, L4, Match, Ports, Rule, Scope, StagePolicy, Term};
use crate::reach::eval::EndpointKind;
use crate::reach::matching::{self, Selected, Tri};
use crate::reach::{Connections, Endpoint, Evaluator};
use crate::source::Origin;

/// How many pairs of classes are judged at most.
const MOST_PAIRS: usize = 40_000;

/// The effects of replacing the policies of one evaluator by those of another.
pub(super) fn between(before: &Evaluator<'_>, after: &Evaluator<'_>, changed: &[Origin], asked: &[Asked]) -> Effects {
    let cluster = before.cluster;
    let selected = selected(cluster, [before.policies, after.policies], changed);
    let facts = Facts::of([before.policies, after.policies], changed, cluster, &selected);
    let classes = |ids: &mut dyn Iterator<Item = PodId>, subjects: bool| {
        let mut by: HashMap<Signature, Vec<PodId>> = HashMap::new();
        for id in ids {
            by.entry(facts.signature(cluster, id, subjects)).or_default().push(id);
        }
        let mut all: Vec<Vec<PodId>> = by.into_values().collect();
        all.sort();
        all
    };
    let subjects = classes(&mut selected.iter().copied(), true);
    let touched: Vec<Touched> =
        subjects.iter().filter_map(|s| Some(Touched::of(before, after, changed, *s.first()?))).collect();
    let directions = [Direction::Egress, Direction::Ingress];
    // Of the others, only those that some subject's change is about.
    let concerned = |id: &PodId| {
        let end = End::Pod(*id);
        touched.iter().any(|t| directions.into_iter().any(|d| t.concerns(cluster, d, &end)))
    };
    let everyone = (0..cluster.pods.len()).map(|i| PodId(i as u32));
    let mut others = everyone.filter(|p| lives(cluster, *p) && !selected.contains(p) && concerned(p));
    let others = classes(&mut others, false);
    let nodes: Vec<NodeId> = (0..cluster.nodes.len()).map(|i| NodeId(i as u32)).collect();
    let ports = touched.iter().map(Touched::ports).reduce(either).unwrap_or_default();
    let mut comparison = Comparison { before, after, ports, left: MOST_PAIRS, cut_short: false, rows: BTreeMap::new() };
    let outside = facts.outside();
    for (subject, own_change) in subjects.iter().zip(&touched) {
        let pods = |pods: &Vec<PodId>| Class::Pods(pods.clone());
        let own = Class::Pods(subject.clone());
        let Some(here) = End::of(&own) else { continue };
        for (other, theirs) in subjects.iter().map(pods).zip(&touched) {
            let Some(there) = End::of(&other) else { continue };
            if own_change.concerns(cluster, Direction::Egress, &there)
                || theirs.concerns(cluster, Direction::Ingress, &here)
            {
                comparison.pair(&own, &other);
            }
        }
        let far = others.iter().map(pods).chain(nodes.iter().map(|n| Class::Node(*n)));
        for other in far.chain(outside.iter().copied().map(Class::Outside)) {
            let Some(end) = End::of(&other) else { continue };
            if own_change.concerns(cluster, Direction::Egress, &end) {
                comparison.pair(&own, &other);
            }
            if own_change.concerns(cluster, Direction::Ingress, &end) {
                comparison.pair(&other, &own);
            }
        }
    }
    let cut_short = comparison.cut_short;
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    for ((kind, _, _, ports), rows) in comparison.rows {
        let into = if kind == Kind::Opened { &mut opened } else { &mut closed };
        for (client, server) in merge(rows) {
            let mut change = Change { client, server, ports: ports.clone(), asked: false };
            change.asked = is_asked(cluster, &change, asked);
            into.push(change);
        }
    }
    Effects { opened, closed, cut_short }
}

fn lives(cluster: &Cluster, pod: PodId) -> bool {
    cluster.pods[pod.index()].phase != Phase::Finished
}

/// The pods that the changed policies select, in either version.
fn selected(cluster: &Cluster, versions: [&Policies; 2], changed: &[Origin]) -> BTreeSet<PodId> {
    let mut out = BTreeSet::new();
    for policies in versions {
        for policy in all(policies).filter(|p| changed.contains(&policies.info(p.policy).origin)) {
            let pods = match policy.namespace {
                Some(namespace) => cluster.namespaces[namespace.index()].pods.clone(),
                None => 0..cluster.pods.len() as u32,
            };
            out.extend(pods.map(PodId).filter(|id| {
                let selects = || matching::expr(cluster, &Selected::Pod(*id), &policy.subject) != Tri::No;
                !cluster.pods[id.index()].host_network && lives(cluster, *id) && selects()
            }));
        }
    }
    out
}

fn all(policies: &Policies) -> impl Iterator<Item = &StagePolicy> {
    [&policies.admin, &policies.network, &policies.baseline]
        .into_iter()
        .flat_map(|l| [Direction::Ingress, Direction::Egress].map(|d| l.of(d)))
        .flat_map(|list| list.iter())
}

/// What the policies look at: label keys and ranges of addresses.
struct Facts {
    keys: Vec<Str>,
    nets: Vec<IpNet>,
    /// Those of `nets` that make a difference for pods that no changed policy selects: where they are the other end of a pod
    /// that one does select, or where a rule looks at both ends.
    far: Vec<IpNet>,
}

/// What the policies can know of a pod.
type Signature = (u32, Vec<Option<Str>>, Vec<(Option<Str>, u16, Protocol)>, Vec<bool>, Vec<bool>, Option<u32>, Str);

impl Facts {
    fn of(versions: [&Policies; 2], changed: &[Origin], cluster: &Cluster, subjects: &BTreeSet<PodId>) -> Self {
        let (mut keys, mut nets, mut far) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let namespaces: BTreeSet<_> = subjects.iter().map(|p| cluster.pods[p.index()].namespace).collect();
        let selects_subject = |p: &StagePolicy| {
            p.namespace.is_none_or(|n| namespaces.contains(&n))
                && subjects.iter().any(|s| matching::expr(cluster, &Selected::Pod(*s), &p.subject) != Tri::No)
        };
        let [before, after] = versions;
        // What did not change is in both.
        let old = all(before).filter(|p| changed.contains(&before.info(p.policy).origin));
        for policy in old.chain(all(after)) {
            labels(&policy.subject, &mut keys);
            let subject = selects_subject(policy);
            for rule in &policy.rules {
                let both = rule.source != Match::Any && rule.destination != Match::Any;
                for side in [&rule.source, &rule.destination] {
                    let Match::OneOf(peers) = side else { continue };
                    for term in peers.iter().flat_map(|p| &p.terms) {
                        if let Term::Pods(e) | Term::NotPods(e) = term {
                            labels(e, &mut keys);
                        }
                        for net in ranges(term) {
                            nets.insert(net);
                            if subject || both {
                                far.insert(net);
                            }
                        }
                    }
                }
            }
        }
        Self { keys: keys.into_iter().collect(), nets: nets.into_iter().collect(), far: far.into_iter().collect() }
    }

    fn signature(&self, cluster: &Cluster, id: PodId, subject: bool) -> Signature {
        let pod = &cluster.pods[id.index()];
        let nets = if subject { &self.nets } else { &self.far };
        let held = |ip: &IpAddr| nets.iter().map(move |n| n.contains(ip)).collect::<Vec<bool>>();
        let families = [false, true].map(|v6| pod.ip(v6).is_some()).to_vec();
        // On its node's network a pod is its node: told apart by name.
        let node = (subject || pod.host_network).then(|| pod.node.map_or(u32::MAX, |n| n.0));
        let ports = pod
            .ports
            .iter()
            .filter(|p| p.name.is_some() && p.container != crate::model::ContainerKind::Init)
            .map(|p| (p.name.clone(), p.number, p.protocol))
            .collect();
        (
            pod.namespace.0,
            self.keys.iter().map(|k| pod.labels.get(k).cloned()).collect(),
            ports,
            pod.ips.iter().flat_map(held).collect(),
            families.into_iter().chain([pod.host_network]).collect(),
            node,
            pod.service_account.clone(),
        )
    }

    /// Stretches of addresses that no policy can tell apart.
    fn outside(&self) -> Vec<(IpAddr, IpAddr)> {
        let mut out = Vec::new();
        for v6 in [false, true] {
            let top = if v6 { u128::MAX } else { u128::from(u32::MAX) };
            let mut cuts: BTreeSet<u128> = BTreeSet::from([0]);
            for net in self.far.iter().filter(|n| n.addr().is_ipv6() == v6) {
                cuts.insert(number(net.network()));
                if number(net.broadcast()) < top {
                    cuts.insert(number(net.broadcast()) + 1);
                }
            }
            let starts: Vec<u128> = cuts.into_iter().collect();
            for (index, first) in starts.iter().enumerate() {
                let last = starts.get(index + 1).map_or(top, |next| next - 1);
                out.push((address(*first, v6), address(last, v6)));
            }
        }
        out
    }
}

/// The ranges of addresses that a term looks at.
fn ranges(term: &Term) -> Vec<IpNet> {
    match term {
        Term::Cidr(blocks, _) => {
            blocks.iter().flat_map(|b| std::iter::once(&b.cidr).chain(&b.except)).map(IpNet::trunc).collect()
        }
        Term::NotCidr(cidrs) => cidrs.iter().map(IpNet::trunc).collect(),
        Term::Service(triples) => triples.iter().map(|t| IpNet::from(t.0)).collect(),
        _ => Vec::new(),
    }
}

fn labels(e: &Expr, keys: &mut BTreeSet<Str>) {
    match e {
        Expr::Is(requirement) if requirement.scope == Scope::Pod => {
            keys.insert(requirement.key.clone());
        }
        Expr::All(all) | Expr::Any(all) => all.iter().for_each(|e| labels(e, keys)),
        Expr::Not(e) => labels(e, keys),
        Expr::Is(_) | Expr::Anything | Expr::Nothing => {}
    }
}

fn address(number: u128, v6: bool) -> IpAddr {
    match v6 {
        true => IpAddr::from(number.to_be_bytes()),
        false => IpAddr::from((number as u32).to_be_bytes()),
    }
}

/// Which ends a change can make a difference for, as far as one pod is concerned.
enum Touched<'a> {
    /// All: the pod is isolated where it was not, or the other way round.
    Everyone,
    /// Those that a rule matches which only one version has: ingress, egress.
    Rules([Vec<&'a Rule>; 2]),
}

/// An end that a change may make a difference for.
enum End {
    Pod(PodId),
    Node(NodeId),
    Outside(IpAddr),
}

impl End {
    fn of(class: &Class) -> Option<Self> {
        Some(match class {
            Class::Pods(pods) => Self::Pod(*pods.first()?),
            Class::Node(node) => Self::Node(*node),
            Class::Outside((first, _)) => Self::Outside(*first),
        })
    }
}

impl<'a> Touched<'a> {
    fn of(before: &'a Evaluator<'_>, after: &'a Evaluator<'_>, changed: &[Origin], pod: PodId) -> Self {
        let namespace = before.cluster.pods[pod.index()].namespace;
        let selects = |p: &&StagePolicy| {
            p.namespace.is_none_or(|n| n == namespace)
                && matching::expr(before.cluster, &Selected::Pod(pod), &p.subject) != Tri::No
        };
        let isolated = |policies: &Policies, direction: Direction| {
            policies.network.of(direction).iter().any(|p| p.isolates && selects(&p))
        };
        let both = [Direction::Ingress, Direction::Egress];
        if both.into_iter().any(|d| isolated(before.policies, d) != isolated(after.policies, d)) {
            return Self::Everyone;
        }
        Self::Rules(both.map(|direction| {
            let rules = |policies: &'a Policies| -> Vec<&'a Rule> {
                [&policies.admin, &policies.network, &policies.baseline]
                    .into_iter()
                    .flat_map(|l| l.of(direction).iter())
                    .filter(|p| changed.contains(&policies.info(p.policy).origin))
                    .filter(selects)
                    .flat_map(|p| &p.rules)
                    .collect()
            };
            let (old, new) = (rules(before.policies), rules(after.policies));
            // Wherever it stands: edits keep the order of the rules they leave alone.
            let same = |a: &Rule, b: &Rule| {
                a.source == b.source && a.destination == b.destination && a.l4 == b.l4 && a.action == b.action
            };
            let only = |these: &[&'a Rule], those: &[&'a Rule]| -> Vec<&'a Rule> {
                these.iter().filter(|a| !those.iter().any(|b| same(a, b))).copied().collect()
            };
            [only(&old, &new), only(&new, &old)].concat()
        }))
    }

    /// Whether the other end may be matched by one of those rules; without looking closely.
    fn concerns(&self, cluster: &Cluster, direction: Direction, end: &End) -> bool {
        let Self::Rules([ingress, egress]) = self else { return true };
        let rules = if direction == Direction::Ingress { ingress } else { egress };
        let ips: &[IpAddr] = match end {
            End::Pod(pod) => &cluster.pods[pod.index()].ips,
            End::Node(node) => &cluster.nodes[node.index()].addresses,
            End::Outside(ip) => std::slice::from_ref(ip),
        };
        let term = |term: &Term| match (term, end) {
            (Term::Pods(e), End::Pod(pod)) => matching::expr(cluster, &Selected::Pod(*pod), e) != Tri::No,
            (Term::Pods(_), _) => false,
            (Term::Cidr(blocks, _), _) => {
                ips.is_empty() || blocks.iter().any(|b| ips.iter().any(|ip| b.cidr.contains(ip)))
            }
            _ => true,
        };
        rules.iter().any(|rule| match rule.peers(direction) {
            Match::Any => true,
            Match::OneOf(peers) => peers.iter().any(|p| p.terms.iter().all(term)),
        })
    }

    /// The ports at which it can make a difference, of each protocol; without looking closely.
    fn ports(&self) -> [PortSet; 3] {
        match self {
            Self::Everyone => std::array::from_fn(|_| PortSet::all()),
            Self::Rules(rules) => rules.iter().flatten().map(|r| may_match(&r.l4)).reduce(either).unwrap_or_default(),
        }
    }
}

/// The ports that a rule may match, of each protocol.
fn may_match(l4: &L4) -> [PortSet; 3] {
    Protocol::WITH_PORTS.map(|protocol| {
        let L4::OneOf(all) = l4 else { return PortSet::all() };
        let mut out = PortSet::empty();
        for port in all.iter().filter(|p| p.protocol.is_none_or(|p| p == protocol)) {
            match port.ports {
                Ports::Range(first, last) if first <= last => out.insert(first, last),
                Ports::Range(..) => {}
                Ports::All | Ports::Named(_) | Ports::NotIn(_) => return PortSet::all(),
            }
        }
        out
    })
}

fn either(a: [PortSet; 3], b: [PortSet; 3]) -> [PortSet; 3] {
    std::array::from_fn(|at| a[at].union(&b[at]))
}

/// Endpoints that no policy tells apart.
#[derive(Clone)]
enum Class {
    Pods(Vec<PodId>),
    Node(NodeId),
    Outside((IpAddr, IpAddr)),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Opened,
    Closed,
}

/// What a row's side belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Workload(u32, WorkloadRef),
    Pod(PodId),
    Nodes,
    Outside,
}

type PortList = Vec<(Protocol, PortSet)>;

/// What rows are joined by.
type RowKey = (Kind, Group, Group, PortList);

struct Comparison<'a> {
    before: &'a Evaluator<'a>,
    after: &'a Evaluator<'a>,
    /// The ports at which there may be a difference.
    ports: [PortSet; 3],
    left: usize,
    cut_short: bool,
    rows: BTreeMap<RowKey, Vec<(Side, Side)>>,
}

impl Comparison<'_> {
    fn pair(&mut self, client: &Class, server: &Class) {
        let ends = self.ends(client, server);
        if ends.is_empty() {
            return;
        }
        if self.left == 0 {
            self.cut_short = true;
            return;
        }
        self.left -= 1;
        let (mut opened, mut closed) = (PortList::new(), PortList::new());
        for (from, to) in ends {
            let [before, after] = [self.before, self.after].map(|e| e.connections_on(&from, &to, &self.ports));
            risen(&before, &after, &mut opened);
            risen(&after, &before, &mut closed);
        }
        for (kind, ports) in [(Kind::Opened, opened), (Kind::Closed, closed)] {
            if ports.is_empty() {
                continue;
            }
            for (client_group, client_side) in self.parts(client) {
                for (server_group, server_side) in self.parts(server) {
                    // A pod reaches itself whatever the policies say.
                    if client_side == server_side && client_side.size() == 1 {
                        continue;
                    }
                    let key = (kind, client_group.clone(), server_group.clone(), ports.clone());
                    self.rows.entry(key).or_default().push((client_side.clone(), server_side));
                }
            }
        }
    }

    /// One pair of endpoints that stands for all, for each IP family they share.
    fn ends(&self, client: &Class, server: &Class) -> Vec<(Endpoint, Endpoint)> {
        let cluster = self.before.cluster;
        let (client_pod, server_pod) = match (client, server) {
            (Class::Pods(a), Class::Pods(b)) => {
                let from = a.first();
                (from, b.iter().find(|p| Some(*p) != from).or_else(|| b.first()))
            }
            (Class::Pods(a), _) => (a.first(), None),
            (_, Class::Pods(b)) => (None, b.first()),
            _ => (None, None),
        };
        // A class of one pod has no pair with itself.
        if client_pod.is_some() && client_pod == server_pod {
            // The client's class may hold another pod that does.
            return Vec::new();
        }
        let end = |class: &Class, pod: Option<&PodId>, v6: bool| match class {
            Class::Pods(_) => pod.map(|p| Endpoint::pod(cluster, *p, v6)),
            Class::Node(node) => Some(Endpoint::node(cluster, *node, v6)),
            Class::Outside((first, _)) => {
                (first.is_ipv6() == v6).then_some(Endpoint { kind: EndpointKind::Outside, ip: Some(*first) })
            }
        };
        let known = |e: &Endpoint| e.ip.is_some();
        let mut out = Vec::new();
        for v6 in [false, true] {
            if let (Some(from), Some(to)) = (end(client, client_pod, v6), end(server, server_pod, v6))
                && known(&from)
                && known(&to)
            {
                out.push((from, to));
            }
        }
        // Pods without an address are judged by their labels (SEMANTICS 48).
        if out.is_empty()
            && let (Some(from), Some(to)) = (end(client, client_pod, false), end(server, server_pod, false))
        {
            let family = |pod: Option<&PodId>| pod.is_none_or(|p| cluster.pods[p.index()].ips.is_empty());
            if family(client_pod) || family(server_pod) {
                out.push((from, to));
            }
        }
        out
    }

    /// A class by workload.
    fn parts(&self, class: &Class) -> Vec<(Group, Side)> {
        match class {
            Class::Node(node) => vec![(Group::Nodes, Side::Nodes(vec![*node]))],
            Class::Outside(range) => vec![(Group::Outside, Side::Outside(vec![*range]))],
            Class::Pods(pods) => {
                let mut by: BTreeMap<Group, Vec<PodId>> = BTreeMap::new();
                for id in pods {
                    let pod = &self.before.cluster.pods[id.index()];
                    let group = match &pod.workload {
                        Some(workload) => Group::Workload(pod.namespace.0, workload.clone()),
                        None => Group::Pod(*id),
                    };
                    by.entry(group).or_default().push(*id);
                }
                by.into_iter().map(|(group, pods)| (group, Side::Pods(pods))).collect()
            }
        }
    }
}

/// The ports that are more surely allowed in `after`: what was denied and may now pass counts too.
fn risen(before: &Connections, after: &Connections, into: &mut PortList) {
    for ((protocol, old), (_, new)) in before.iter().zip(after.iter()) {
        let surely = new.allowed.difference(&old.allowed);
        let perhaps = new.unknown.difference(&old.unknown.union(&old.allowed));
        let ports = surely.union(&perhaps);
        if ports.is_empty() {
            continue;
        }
        match into.iter_mut().find(|(p, _)| *p == protocol) {
            Some((_, known)) => *known = known.union(&ports),
            None => into.push((protocol, ports)),
        }
    }
}

/// Rows of one pair of groups and one set of ports, joined where they share a side.
fn merge(rows: Vec<(Side, Side)>) -> Vec<(Side, Side)> {
    let mut by_server: BTreeMap<Side, Side> = BTreeMap::new();
    for (client, server) in rows {
        match by_server.get_mut(&server) {
            Some(known) => join(known, client),
            None => {
                by_server.insert(server, client);
            }
        }
    }
    let mut by_client: BTreeMap<Side, Side> = BTreeMap::new();
    for (server, client) in by_server {
        match by_client.get_mut(&client) {
            Some(known) => join(known, server),
            None => {
                by_client.insert(client, server);
            }
        }
    }
    by_client.into_iter().collect()
}
