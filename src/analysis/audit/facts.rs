//! What every family of findings asks: which pods a selector selects, who isolates whom, which labels exist.
//!
//! Pods that nothing here can tell apart (of one workload, with the same labels and ports) are one group, so that the cost
//! goes with workloads and policies, never with pods.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{DIRECTIONS, Isolation, WorkloadState};
use crate::analysis::explain::slip;
use crate::model::{Cluster, ContainerKind, Labels, NamespaceId, Phase, PodId, Protocol, ServiceId, Str};
use crate::policy::rule::{
    Expr, Match, Op, Peer, Requirement, RequirementAt, RulePart, RuleRef, Scope, StagePolicy, Term, Tier, field_path,
};
use crate::policy::{Direction, Lowered, Policies, PolicyId, PolicyInfo, PolicyKind, Profile};
use crate::reach::Evaluator;
use crate::reach::matching::{self, Selected, Tri};
use crate::source::{FieldPath, SourceMap};

/// The label that holds a namespace's name (KEP-2161).
pub(super) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Pods of one workload with the same labels and ports.
pub(super) struct Group {
    pub(super) namespace: NamespaceId,
    pub(super) pods: Vec<PodId>,
    /// Assumed to exist: no object says so.
    pub(super) assumed: bool,
    pub(super) host_network: bool,
}

impl Group {
    pub(super) fn example(&self) -> PodId {
        self.pods.first().copied().unwrap_or(PodId(0))
    }
}

/// A selector taken apart: what it requires of the namespace, and of the pod.
pub(super) struct Parts<'e> {
    pub(super) namespace: Vec<&'e Requirement>,
    pub(super) pod: Vec<&'e Requirement>,
    /// What is neither: other dialects' expressions.
    rest: Vec<&'e Expr>,
    nothing: bool,
}

impl<'e> Parts<'e> {
    pub(super) fn of(expr: &'e Expr) -> Self {
        let mut out = Self { namespace: Vec::new(), pod: Vec::new(), rest: Vec::new(), nothing: false };
        out.add(expr);
        out
    }

    fn add(&mut self, expr: &'e Expr) {
        match expr {
            Expr::Anything => {}
            Expr::Nothing => self.nothing = true,
            Expr::All(all) => all.iter().for_each(|e| self.add(e)),
            Expr::Is(r) if matches!(r.scope, Scope::Namespace | Scope::NamespaceName) => self.namespace.push(r),
            Expr::Is(r) if r.scope == Scope::Pod => self.pod.push(r),
            other => self.rest.push(other),
        }
    }
}

/// Why a selector selects nothing.
pub(super) struct Miss<'e> {
    /// The first requirement that nothing meets; none where each is met, but not together.
    pub(super) requirement: Option<&'e Requirement>,
    /// The nearest label that exists.
    pub(super) nearest: Option<(Str, Str)>,
}

/// A tier of policies with its name.
pub(super) type Named<'a> = (Tier, Direction, &'a StagePolicy);

pub(super) struct Facts<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) policies: &'a Policies,
    pub(super) profile: &'a Profile,
    pub(super) evaluator: &'a Evaluator<'a>,
    pub(super) sources: &'a SourceMap,
    pub(super) groups: Vec<Group>,
    of_namespace: Vec<Range<u32>>,
    /// Whether the objects are a whole cluster, so that what isn't among them doesn't exist.
    pub(super) whole: bool,
    /// Services that a finding on a rule's port explains already.
    pub(super) explained: RefCell<BTreeSet<ServiceId>>,
    selected: RefCell<FxHashMap<Expr, Rc<Vec<u32>>>>,
    /// By direction and group: NetworkPolicies, and cluster-wide ones.
    isolated: [Vec<Vec<PolicyId>>; 2],
    judged: [Vec<Vec<PolicyId>>; 2],
    services: Vec<Vec<ServiceId>>,
    pod_labels: BTreeMap<Str, BTreeSet<Str>>,
    namespace_labels: BTreeMap<Str, BTreeSet<Str>>,
}

fn direction_index(direction: Direction) -> usize {
    match direction {
        Direction::Ingress => 0,
        Direction::Egress => 1,
    }
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        evaluator: &'a Evaluator<'a>,
        profile: &'a Profile,
        sources: &'a SourceMap,
        partial: bool,
    ) -> Self {
        let (cluster, policies) = (evaluator.cluster, evaluator.policies);
        let (groups, of_namespace) = groups(cluster);
        let labels = |all: &mut BTreeMap<Str, BTreeSet<Str>>, labels: &Labels| {
            for (key, value) in labels.iter() {
                all.entry(key.clone()).or_default().insert(value.clone());
            }
        };
        let (mut pod_labels, mut namespace_labels) = (BTreeMap::new(), BTreeMap::new());
        for group in groups.iter().filter(|g| !g.assumed) {
            labels(&mut pod_labels, &cluster.pods[group.example().index()].labels);
        }
        for namespace in &cluster.namespaces {
            labels(&mut namespace_labels, &namespace.labels);
        }
        let services = services(cluster, &groups, &of_namespace);
        // `kubectl get ns` and dumps hold kube-system and the nodes; manifests of an application don't.
        let system = cluster.namespaces.iter().any(|n| &*n.name == "kube-system" && n.origin.is_some());
        let whole = !partial && (system || cluster.nodes.iter().any(|n| n.origin.is_some()));
        let empty = || vec![Vec::new(); groups.len()];
        let mut facts = Self {
            cluster,
            policies,
            profile,
            evaluator,
            sources,
            of_namespace,
            whole,
            explained: RefCell::default(),
            selected: RefCell::default(),
            isolated: [empty(), empty()],
            judged: [empty(), empty()],
            services,
            pod_labels,
            namespace_labels,
            groups,
        };
        for direction in DIRECTIONS {
            let at = direction_index(direction);
            for (tier, _, policy) in facts.policies_of(direction) {
                for group in facts.select(&policy.subject).iter() {
                    let list =
                        if tier == Tier::NetworkPolicy { &mut facts.isolated[at] } else { &mut facts.judged[at] };
                    list[*group as usize].push(policy.policy);
                }
            }
        }
        facts
    }

    /// The policies of a direction, tier by tier.
    pub(super) fn policies_of(&self, direction: Direction) -> Vec<Named<'a>> {
        let policies = self.policies;
        let tiers: [(Tier, &'a Lowered); 3] = [
            (Tier::Admin, &policies.admin),
            (Tier::NetworkPolicy, &policies.network),
            (Tier::Baseline, &policies.baseline),
        ];
        tiers
            .into_iter()
            .flat_map(|(tier, lowered)| lowered.of(direction).iter().map(move |p| (tier.clone(), direction, p)))
            .collect()
    }

    /// Every policy in each direction that it has a say in.
    pub(super) fn all_policies(&self) -> Vec<Named<'a>> {
        DIRECTIONS.into_iter().flat_map(|d| self.policies_of(d)).collect()
    }

    pub(super) fn info(&self, policy: &StagePolicy) -> &'a PolicyInfo {
        self.policies.info(policy.policy)
    }

    pub(super) fn namespace_name(&self, id: NamespaceId) -> &'a str {
        &self.cluster.namespaces[id.index()].name
    }

    pub(super) fn groups_of(&self, namespace: NamespaceId) -> Range<u32> {
        self.of_namespace.get(namespace.index()).cloned().unwrap_or(0..0)
    }

    pub(super) fn group(&self, index: u32) -> &Group {
        &self.groups[index as usize]
    }

    /// Whether pods of a namespace are known.
    pub(super) fn has_pods(&self, namespace: NamespaceId) -> bool {
        self.groups_of(namespace).any(|g| !self.group(g).assumed)
    }

    /// The policies that isolate a group.
    pub(super) fn isolated_by(&self, group: u32, direction: Direction) -> &[PolicyId] {
        &self.isolated[direction_index(direction)][group as usize]
    }

    /// The cluster-wide policies that select a group.
    pub(super) fn judged_by(&self, group: u32, direction: Direction) -> &[PolicyId] {
        &self.judged[direction_index(direction)][group as usize]
    }

    /// The Services whose selector selects a group.
    pub(super) fn services_of(&self, group: u32) -> &[ServiceId] {
        &self.services[group as usize]
    }

    /// `namespace/name` of a group's workload.
    pub(super) fn name(&self, group: u32) -> String {
        let pod = &self.cluster.pods[self.group(group).example().index()];
        let name = pod.workload.as_ref().map_or(&pod.name, |w| &w.name);
        format!("{}/{name}", self.namespace_name(pod.namespace))
    }

    /// Names of the workloads of some groups, each once.
    pub(super) fn names(&self, groups: &[u32]) -> Vec<String> {
        let mut names: Vec<String> = groups.iter().map(|g| self.name(*g)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The namespaces that meet the requirements on the namespace.
    pub(super) fn namespaces(&self, parts: &Parts<'_>) -> Vec<NamespaceId> {
        // A policy's own namespace, and a namespace by its name: no need to look at the others.
        for r in &parts.namespace {
            if let Op::In(names) = &r.op
                && (r.scope == Scope::NamespaceName || &*r.key == NAME_LABEL)
            {
                let mut found: Vec<NamespaceId> = names
                    .iter()
                    .filter_map(|n| self.cluster.namespace(n))
                    .filter(|n| parts.namespace.iter().all(|r| self.namespace_meets(*n, r)))
                    .collect();
                found.sort_unstable();
                found.dedup();
                return found;
            }
        }
        (0..self.cluster.namespaces.len() as u32)
            .map(NamespaceId)
            .filter(|n| parts.namespace.iter().all(|r| self.namespace_meets(*n, r)))
            .collect()
    }

    fn namespace_meets(&self, id: NamespaceId, requirement: &Requirement) -> bool {
        let namespace = &self.cluster.namespaces[id.index()];
        let value = match requirement.scope {
            Scope::NamespaceName => Some(&*namespace.name),
            _ => namespace.labels.get(&requirement.key).map(|v| &**v),
        };
        matching::op(&requirement.op, value)
    }

    fn pod_meets(&self, group: u32, requirement: &Requirement) -> bool {
        let pod = &self.cluster.pods[self.group(group).example().index()];
        matching::op(&requirement.op, pod.labels.get(&requirement.key).map(|v| &**v))
    }

    /// The groups that a selector selects; those on their node's network are never selected (SEMANTICS 46).
    pub(super) fn select(&self, expr: &Expr) -> Rc<Vec<u32>> {
        if let Some(known) = self.selected.borrow().get(expr) {
            return known.clone();
        }
        let parts = Parts::of(expr);
        let mut out = Vec::new();
        if !parts.nothing {
            for namespace in self.namespaces(&parts) {
                out.extend(self.groups_of(namespace).filter(|g| {
                    let group = self.group(*g);
                    !group.host_network
                        && parts.pod.iter().all(|r| self.pod_meets(*g, r))
                        && parts
                            .rest
                            .iter()
                            .all(|e| matching::expr(self.cluster, &Selected::Pod(group.example()), e) != Tri::No)
                }));
            }
        }
        let out = Rc::new(out);
        self.selected.borrow_mut().insert(expr.clone(), out.clone());
        out
    }

    /// Why a selector selects nothing, and the nearest label that exists where it looks.
    pub(super) fn miss<'e>(&self, parts: &Parts<'e>) -> Miss<'e> {
        let namespaces = self.namespaces(parts);
        if namespaces.is_empty() {
            let all: Vec<&Labels> = self.cluster.namespaces.iter().map(|n| &*n.labels).collect();
            let missed = parts
                .namespace
                .iter()
                .find(|r| !(0..self.cluster.namespaces.len() as u32).any(|n| self.namespace_meets(NamespaceId(n), r)));
            return Miss { requirement: missed.copied(), nearest: missed.and_then(|r| nearest(r, &all)) };
        }
        let groups: Vec<u32> = namespaces.iter().flat_map(|n| self.groups_of(*n)).collect();
        let labels: Vec<&Labels> =
            groups.iter().map(|g| &*self.cluster.pods[self.group(*g).example().index()].labels).collect();
        let missed = parts.pod.iter().find(|r| !groups.iter().any(|g| self.pod_meets(*g, r)));
        Miss { requirement: missed.copied(), nearest: missed.and_then(|r| nearest(r, &labels)) }
    }

    /// Labels of pods, or of namespaces, of the whole cluster.
    pub(super) fn labels(&self, scope: Scope) -> &BTreeMap<Str, BTreeSet<Str>> {
        if scope == Scope::Namespace { &self.namespace_labels } else { &self.pod_labels }
    }

    /// Whether a group declares a port, by number; init containers' ports are gone once the pod runs.
    pub(super) fn declares(&self, group: u32, protocol: Protocol, number: u16) -> bool {
        self.declared(group).any(|p| p.protocol == protocol && p.number == number)
    }

    /// The ports that a group declares.
    pub(super) fn declared(&self, group: u32) -> impl Iterator<Item = &'a crate::model::ContainerPort> + use<'a> {
        let cluster = self.cluster;
        cluster.pods[self.group(group).example().index()].ports.iter().filter(|p| p.container != ContainerKind::Init)
    }

    /// Isolation of every workload, for the table.
    pub(super) fn workloads(&self) -> Vec<WorkloadState> {
        let mut out: Vec<WorkloadState> = Vec::new();
        for (index, group) in self.groups.iter().enumerate().filter(|(_, g)| !g.assumed) {
            let pod = &self.cluster.pods[group.example().index()];
            let (kind, name) = match &pod.workload {
                Some(workload) => (workload.kind.to_string(), workload.name.to_string()),
                None => ("Pod".to_owned(), pod.name.to_string()),
            };
            let of = |direction| Isolation {
                by: self.isolated_by(index as u32, direction).to_vec(),
                judged_by: self.judged_by(index as u32, direction).to_vec(),
            };
            let (ingress, egress) = (of(Direction::Ingress), of(Direction::Egress));
            match out.last_mut() {
                Some(last)
                    if (last.namespace, &last.kind, &last.name) == (group.namespace, &kind, &name)
                        && last.ingress == ingress
                        && last.egress == egress =>
                {
                    last.pods.extend(&group.pods);
                }
                _ => out.push(WorkloadState {
                    namespace: group.namespace,
                    kind,
                    name,
                    pods: group.pods.clone(),
                    host_network: group.host_network,
                    ingress,
                    egress,
                }),
            }
        }
        out
    }
}

/// The selector of a peer, where it is one of pods.
pub(super) fn pods_of(peer: &Peer) -> Option<&Expr> {
    match peer.terms.as_slice() {
        [Term::Pods(expr)] => Some(expr),
        _ => None,
    }
}

/// The selectors of all peers, where all are of pods.
pub(super) fn all_pods(peers: &Match) -> Option<Vec<&Expr>> {
    match peers {
        Match::Any => None,
        Match::OneOf(peers) => peers.iter().map(pods_of).collect(),
    }
}

/// The path of a rule or a part of it.
pub(super) fn rule_path(
    info: &PolicyInfo,
    policy: PolicyId,
    direction: Direction,
    rule: u32,
    part: RulePart,
) -> FieldPath {
    let at = RuleRef { policy, direction, rule, peer: None, port: None };
    field_path(info.kind, &at, part)
}

/// The path of a requirement in a selector that stands at `base`, a subject or a peer.
pub(super) fn requirement_path(info: &PolicyInfo, base: FieldPath, parts: &Parts<'_>, r: &Requirement) -> FieldPath {
    let namespace = matches!(r.scope, Scope::Namespace | Scope::NamespaceName);
    let selector = match (info.kind, namespace) {
        (PolicyKind::NetworkPolicy, true) => base.key("namespaceSelector"),
        (PolicyKind::NetworkPolicy, false) => base.key("podSelector"),
        (_, true) if parts.pod.is_empty() => base.key("namespaces"),
        (_, true) => base.key("pods").key("namespaceSelector"),
        (_, false) => base.key("pods").key("podSelector"),
    };
    match r.at {
        RequirementAt::MatchLabels => selector.key("matchLabels").key(&r.key),
        RequirementAt::Expression(index) => selector.key("matchExpressions").index(index as usize),
        RequirementAt::Implied => selector,
    }
}

/// `` `app: frontend` ``, `` `app in (a, b)` ``: a requirement in a message.
pub(super) fn written(r: &Requirement) -> String {
    let values = |values: &[Str]| values.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(", ");
    match &r.op {
        Op::In(all) if r.at == RequirementAt::MatchLabels => format!("{}: {}", r.key, values(all)),
        Op::In(all) => format!("{} in ({})", r.key, values(all)),
        Op::NotIn(all) => format!("{} not in ({})", r.key, values(all)),
        Op::Exists => r.key.to_string(),
        Op::DoesNotExist => format!("!{}", r.key),
        Op::Contains(text) | Op::StartsWith(text) | Op::EndsWith(text) => format!("{} ~ {text}", r.key),
    }
}

/// A selector in a key of a finding: what it requires, in order.
pub(super) fn selector_key(parts: &Parts<'_>) -> String {
    let mut all: Vec<String> = parts.namespace.iter().map(|r| format!("ns {}", written(r))).collect();
    all.extend(parts.pod.iter().map(|r| written(r)));
    all.join(", ")
}

/// The label nearest to one that nothing has: a slip in its value, or in its key.
fn nearest(r: &Requirement, all: &[&Labels]) -> Option<(Str, Str)> {
    let values: &[Str] = match &r.op {
        Op::In(values) => values,
        _ => &[],
    };
    let near_value = |v: &Str| values.iter().any(|wanted| slip(wanted, v));
    let of_key = all.iter().filter_map(|l| l.get(&r.key)).filter(|v| near_value(v)).min();
    if let Some(value) = of_key {
        return Some((r.key.clone(), value.clone()));
    }
    let mut pairs = all.iter().flat_map(|l| l.iter());
    pairs
        .find(|(k, v)| slip(k, &r.key) && **k != r.key && (values.is_empty() || values.contains(v)))
        .map(|(k, v)| (k.clone(), v.clone()))
}

/// Groups, namespace by namespace.
fn groups(cluster: &Cluster) -> (Vec<Group>, Vec<Range<u32>>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut of_namespace = Vec::with_capacity(cluster.namespaces.len());
    for id in (0..cluster.namespaces.len() as u32).map(NamespaceId) {
        let start = groups.len() as u32;
        let mut index: FxHashMap<_, usize> = FxHashMap::default();
        let mut pods: Vec<PodId> = cluster.pods_of(id).collect();
        let name = |p: &PodId| {
            let pod = &cluster.pods[p.index()];
            pod.workload.as_ref().map_or_else(|| pod.name.clone(), |w| w.name.clone())
        };
        pods.sort_by_cached_key(name);
        for pod_id in pods {
            let pod = &cluster.pods[pod_id.index()];
            if pod.phase == Phase::Finished {
                continue;
            }
            let address = Arc::as_ptr(&pod.labels) as usize;
            let ports = Arc::as_ptr(&pod.ports).cast::<u8>() as usize;
            let single = if pod.workload.is_none() { Some(pod_id) } else { None };
            let key = (pod.workload.as_ref(), single, address, ports, pod.host_network);
            let at = *index.entry(key).or_insert_with(|| {
                groups.push(Group {
                    namespace: id,
                    pods: Vec::new(),
                    assumed: pod.origin.is_none(),
                    host_network: pod.host_network,
                });
                groups.len() - 1
            });
            groups[at].pods.push(pod_id);
        }
        of_namespace.push(start..groups.len() as u32);
    }
    (groups, of_namespace)
}

fn services(cluster: &Cluster, groups: &[Group], of_namespace: &[Range<u32>]) -> Vec<Vec<ServiceId>> {
    let mut out = vec![Vec::new(); groups.len()];
    for (index, service) in cluster.services.iter().enumerate() {
        let Some(selector) = &service.selector else { continue };
        let Some(range) = of_namespace.get(service.namespace.index()) else { continue };
        for group in range.clone() {
            let pod = &cluster.pods[groups[group as usize].example().index()];
            if pod.labels.contains_all(selector) {
                out[group as usize].push(ServiceId(index as u32));
            }
        }
    }
    out
}
