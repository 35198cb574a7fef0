//! What a change of policies opens and closes: every connection of the pods that a changed policy selects, before and after.
//!
//! Pods that no policy can tell apart are judged once. What comes out are rectangles: clients × servers × ports.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::{Cluster, NodeId, Phase, PodId, PortSet, Protocol, Str, TargetPort, WorkloadRef};
use crate::policy::Policies;
use crate::policy::rule::{Direction, Expr, Match, Scope, StagePolicy, Term};
use crate::reach::eval::EndpointKind;
use crate::reach::matching::{self, Selected, Tri};
use crate::reach::{Connections, Endpoint, Evaluator};
use crate::source::Origin;

/// One side of a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Pods of one workload, or one pod; hostNetwork pods included.
    Pods(Vec<PodId>),
    /// Nodes.
    Nodes(Vec<NodeId>),
    /// Addresses outside the cluster, as ranges from the first to the last.
    Outside(Vec<(IpAddr, IpAddr)>),
}

/// Connections that a change opens or closes: every client to every server on every port, but for a pod to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The side that connects.
    pub client: Side,
    /// The side that is connected to.
    pub server: Side,
    /// Ports of each protocol.
    pub ports: Vec<(Protocol, PortSet)>,
    /// Whether all of it was asked for.
    pub asked: bool,
}

/// Everything that a change opens and closes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Opened.
    pub opened: Vec<Change>,
    /// Closed.
    pub closed: Vec<Change>,
    /// Whether the comparison was cut short: there were too many pairs.
    pub cut_short: bool,
}

/// A connection that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
}

/// How many pairs of classes are judged at most.
const MOST_PAIRS: usize = 40_000;

impl Effects {
    /// How many pairs are opened beyond what was asked for, as a measure.
    pub(super) fn opened_pairs(&self) -> usize {
        self.opened.iter().filter(|c| !c.asked).map(|c| c.client.size() * c.server.size()).sum()
    }

    /// Whether something is closed on a port that a server listens on, as far as that is known: a pod that declares ports
    /// listens on those and on the ones that Services lead to.
    pub(super) fn closes_what_listens(&self, cluster: &Cluster) -> bool {
        self.closed.iter().any(|change| match &change.server {
            Side::Pods(pods) => pods.iter().any(|id| {
                let pod = &cluster.pods[id.index()];
                if pod.ports.is_empty() {
                    return true;
                }
                let has = |protocol, port| change.ports.iter().any(|(p, set)| *p == protocol && set.contains(port));
                let range = cluster.namespaces[pod.namespace.index()].services.clone();
                let services = &cluster.services[range.start as usize..range.end as usize];
                let led_to = |s: &crate::model::Service| {
                    s.selector.as_ref().is_some_and(|selector| pod.labels.contains_all(selector))
                        && s.ports.iter().any(|p| match p.target {
                            TargetPort::Number(number) => has(p.protocol, number),
                            TargetPort::Name(_) => false,
                        })
                };
                pod.ports.iter().any(|p| has(p.protocol, p.number)) || services.iter().any(led_to)
            }),
            Side::Nodes(_) | Side::Outside(_) => true,
        })
    }
}

impl Side {
    fn size(&self) -> usize {
        match self {
            Self::Pods(pods) => pods.len(),
            Self::Nodes(nodes) => nodes.len(),
            // More than a few hosts weigh as much as a large workload.
            Self::Outside(ranges) => {
                let count = |(first, last): &(IpAddr, IpAddr)| number(*last).saturating_sub(number(*first)).min(100);
                ranges.iter().map(|r| count(r) as usize + 1).sum()
            }
        }
    }

    /// Whether an endpoint is on this side.
    pub fn contains(&self, endpoint: &Endpoint) -> bool {
        match (self, endpoint.kind, endpoint.ip) {
            (Self::Pods(pods), EndpointKind::Pod(pod) | EndpointKind::Node { pod: Some(pod), .. }, _) => {
                pods.contains(&pod)
            }
            (Self::Nodes(nodes), EndpointKind::Node { node: Some(node), pod: None }, _) => nodes.contains(&node),
            (Self::Outside(ranges), EndpointKind::Outside, Some(ip)) => ranges.iter().any(|r| within(*r, ip)),
            _ => false,
        }
    }

    /// What people call it: `shop/frontend (3 pods)`.
    pub fn name(&self, cluster: &Cluster) -> String {
        let more = |first: String, count: usize, what: &str| match count {
            0 | 1 => first,
            _ => format!("{first} ({count} {what})"),
        };
        match self {
            Self::Pods(pods) => {
                let Some(first) = pods.first() else { return "no pod".to_owned() };
                let pod = &cluster.pods[first.index()];
                let namespace = &cluster.namespaces[pod.namespace.index()].name;
                match &pod.workload {
                    Some(workload) if pods.len() > 1 => {
                        more(format!("{namespace}/{}", workload.name), pods.len(), "pods")
                    }
                    _ => more(cluster.pod_name(*first), pods.len(), "pods"),
                }
            }
            Self::Nodes(nodes) => {
                let Some(first) = nodes.first() else { return "no node".to_owned() };
                more(format!("node {}", cluster.nodes[first.index()].name), nodes.len(), "nodes")
            }
            Self::Outside(ranges) => {
                let mut nets = ranges.iter().flat_map(|r| nets(*r));
                let first: Vec<String> = nets.by_ref().take(3).map(|n| n.to_string()).collect();
                match nets.count() {
                    0 => first.join(", "),
                    more => format!("{} and {more} more ranges", first.join(", ")),
                }
            }
        }
    }
}

impl Change {
    /// `shop/frontend → shop/cart (2 pods) TCP 8080`.
    pub fn summary(&self, cluster: &Cluster) -> String {
        let mut out = format!("{} → {}", self.client.name(cluster), self.server.name(cluster));
        if self.ports.len() == Protocol::WITH_PORTS.len() && self.ports.iter().all(|(_, p)| p.is_all()) {
            out.push_str(" on every port");
            return out;
        }
        for (index, (protocol, ports)) in self.ports.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a String never fails.
            let _ = match ports.is_all() {
                true => write!(out, "{comma} {protocol}"),
                false => write!(out, "{comma} {protocol} {ports}"),
            };
        }
        out
    }
}

/// The effects of replacing the policies of one evaluator by those of another.
pub(super) fn between(before: &Evaluator<'_>, after: &Evaluator<'_>, changed: &[Origin], asked: &[Asked]) -> Effects {
    let cluster = before.cluster;
    let selected = selected(cluster, [before.policies, after.policies], changed);
    let facts = Facts::of(before.policies, after.policies);
    let classes = |ids: &mut dyn Iterator<Item = PodId>, with_node: bool| {
        let mut by: HashMap<Signature, Vec<PodId>> = HashMap::new();
        for id in ids {
            by.entry(facts.signature(cluster, id, with_node)).or_default().push(id);
        }
        let mut all: Vec<Vec<PodId>> = by.into_values().collect();
        all.sort();
        all
    };
    let everyone = || (0..cluster.pods.len()).map(|i| PodId(i as u32)).filter(|p| lives(cluster, *p));
    let subjects = classes(&mut everyone().filter(|p| selected.contains(p)), true);
    let others = classes(&mut everyone().filter(|p| !selected.contains(p)), false);
    let nodes: Vec<NodeId> = (0..cluster.nodes.len()).map(|i| NodeId(i as u32)).collect();
    let mut comparison = Comparison { before, after, left: MOST_PAIRS, cut_short: false, rows: BTreeMap::new() };
    for subject in &subjects {
        let pods = |pods: &Vec<PodId>| Class::Pods(pods.clone());
        let own = Class::Pods(subject.clone());
        for other in subjects.iter().map(pods) {
            comparison.pair(&own, &other);
        }
        let far = others.iter().map(pods).chain(nodes.iter().map(|n| Class::Node(*n)));
        for other in far.chain(facts.outside().into_iter().map(Class::Outside)) {
            comparison.pair(&own, &other);
            comparison.pair(&other, &own);
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

/// Whether every pair and port of a change was asked for.
fn is_asked(cluster: &Cluster, change: &Change, asked: &[Asked]) -> bool {
    let ends = |side: &Side| -> Vec<Endpoint> {
        match side {
            Side::Pods(pods) => pods.iter().map(|p| Endpoint::pod(cluster, *p, false)).collect(),
            Side::Nodes(nodes) => nodes.iter().map(|n| Endpoint::node(cluster, *n, false)).collect(),
            Side::Outside(ranges) => ranges
                .iter()
                .map(|(a, b)| Endpoint { kind: EndpointKind::Outside, ip: (a == b).then_some(*a) })
                .collect(),
        }
    };
    let same = |asked: &Endpoint, end: &Endpoint| match asked.kind {
        // "The internet" was asked for: every address of it.
        EndpointKind::Outside => end.kind == asked.kind && (asked.ip.is_none() || asked.ip == end.ip),
        kind => kind == end.kind,
    };
    let (clients, servers) = (ends(&change.client), ends(&change.server));
    change.ports.iter().all(|(protocol, ports)| {
        let [(port, last)] = ports.intervals() else { return false };
        port == last
            && clients.iter().all(|c| {
                servers.iter().all(|s| {
                    let this = |a: &Asked| {
                        a.protocol == *protocol && a.port == *port && same(&a.client, c) && same(&a.server, s)
                    };
                    asked.iter().any(this)
                })
            })
    })
}

fn lives(cluster: &Cluster, pod: PodId) -> bool {
    cluster.pods[pod.index()].phase != Phase::Finished
}

/// The pods that the changed policies select, in either version.
fn selected(cluster: &Cluster, versions: [&Policies; 2], changed: &[Origin]) -> BTreeSet<PodId> {
    let mut out = BTreeSet::new();
    for policies in versions {
        for policy in all(policies).filter(|p| changed.contains(&policies.info(p.policy).origin)) {
            for id in (0..cluster.pods.len()).map(|i| PodId(i as u32)) {
                let selects = || matching::expr(cluster, &Selected::Pod(id), &policy.subject) != Tri::No;
                if !cluster.pods[id.index()].host_network && lives(cluster, id) && selects() {
                    out.insert(id);
                }
            }
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
}

/// What the policies can know of a pod.
type Signature = (u32, Vec<Option<Str>>, Vec<(Option<Str>, u16, Protocol)>, Vec<bool>, Vec<bool>, Option<u32>, Str);

impl Facts {
    fn of(before: &Policies, after: &Policies) -> Self {
        let (mut keys, mut nets) = (BTreeSet::new(), BTreeSet::new());
        for policy in all(before).chain(all(after)) {
            labels(&policy.subject, &mut keys);
            for rule in &policy.rules {
                for side in [&rule.source, &rule.destination] {
                    let Match::OneOf(peers) = side else { continue };
                    for term in peers.iter().flat_map(|p| &p.terms) {
                        match term {
                            Term::Pods(e) | Term::NotPods(e) => labels(e, &mut keys),
                            Term::Cidr(blocks, _) => {
                                for block in blocks {
                                    nets.insert(block.cidr.trunc());
                                    nets.extend(block.except.iter().map(IpNet::trunc));
                                }
                            }
                            Term::NotCidr(cidrs) => nets.extend(cidrs.iter().map(IpNet::trunc)),
                            Term::Service(triples) => nets.extend(triples.iter().map(|t| IpNet::from(t.0))),
                            _ => {}
                        }
                    }
                }
            }
        }
        Self { keys: keys.into_iter().collect(), nets: nets.into_iter().collect() }
    }

    fn signature(&self, cluster: &Cluster, id: PodId, with_node: bool) -> Signature {
        let pod = &cluster.pods[id.index()];
        let held = |ip: &IpAddr| self.nets.iter().map(move |n| n.contains(ip)).collect::<Vec<bool>>();
        let families = [false, true].map(|v6| pod.ip(v6).is_some()).to_vec();
        // On its node's network a pod is its node: told apart by name.
        let node = (with_node || pod.host_network).then(|| pod.node.map_or(u32::MAX, |n| n.0));
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
            for net in self.nets.iter().filter(|n| n.addr().is_ipv6() == v6) {
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

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

fn address(number: u128, v6: bool) -> IpAddr {
    match v6 {
        true => IpAddr::from(number.to_be_bytes()),
        false => IpAddr::from((number as u32).to_be_bytes()),
    }
}

fn within((first, last): (IpAddr, IpAddr), ip: IpAddr) -> bool {
    first.is_ipv6() == ip.is_ipv6() && (number(first)..=number(last)).contains(&number(ip))
}

fn nets((first, last): (IpAddr, IpAddr)) -> Vec<IpNet> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => ipnet::Ipv4Subnets::new(first, last, 0).map(IpNet::from).collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => ipnet::Ipv6Subnets::new(first, last, 0).map(IpNet::from).collect(),
        _ => Vec::new(),
    }
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

type Ports = Vec<(Protocol, PortSet)>;

/// What rows are joined by.
type RowKey = (Kind, Group, Group, Ports);

struct Comparison<'a> {
    before: &'a Evaluator<'a>,
    after: &'a Evaluator<'a>,
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
        let (mut opened, mut closed) = (Ports::new(), Ports::new());
        for (from, to) in ends {
            let (before, after) = (self.before.connections(&from, &to), self.after.connections(&from, &to));
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
fn risen(before: &Connections, after: &Connections, into: &mut Ports) {
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

fn join(into: &mut Side, more: Side) {
    match (into, more) {
        (Side::Pods(a), Side::Pods(b)) => {
            a.extend(b);
            a.sort_unstable();
            a.dedup();
        }
        (Side::Nodes(a), Side::Nodes(b)) => {
            a.extend(b);
            a.sort_unstable();
            a.dedup();
        }
        (Side::Outside(a), Side::Outside(b)) => {
            a.extend(b);
            a.sort_unstable();
            let mut out: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(a.len());
            for (first, last) in a.drain(..) {
                match out.last_mut() {
                    Some((from, to))
                        if from.is_ipv6() == first.is_ipv6() && number(*to).checked_add(1) == Some(number(first)) =>
                    {
                        *to = last;
                    }
                    _ => out.push((first, last)),
                }
            }
            *a = out;
        }
        // Groups keep the kinds apart.
        _ => {}
    }
}
