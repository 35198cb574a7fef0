//! The columns of the matrix: classes of pods, of nodes and of addresses that no policy can tell apart.
//!
//! Pods of one namespace, one projection of labels, the same named ports and an address in the same ranges are one class;
//! classes are numbered namespace by namespace. Pods on their node's network are nodes (SEMANTICS 46). What a policy may say
//! of a node depends on whether the pod across runs on it: a class of nodes has a column for each such relation, and
//! whoever asks for a pair picks the column that fits the pair. So the relation costs no exceptions among the pods.

use std::net::IpAddr;
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::addresses::Addresses;
use super::vocabulary::{NamedPort, Pair, Vocabulary};
use crate::model::{Cluster, NodeId, Phase, PodId, Str};
use crate::policy::rule::{DomainPattern, Expr};
use crate::reach::eval::{Endpoint, EndpointKind};
use crate::reach::matching::{self, Selected, Tri};

/// How a node stands to the pod across.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// The pod runs on it.
    Own,
    /// The pod runs on another.
    Other,
    /// It isn't known which node is meant, or where the pod runs.
    Unknown,
}

const RELATIONS: [Relation; 3] = [Relation::Own, Relation::Other, Relation::Unknown];

/// What a column stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// A class of pods.
    Pods(u32),
    /// A class of nodes, for pods across that stand in this relation to it.
    Nodes(u32, Relation),
    /// A group of addresses that no object has.
    Outside(u32),
    /// Somewhere on the internet, at an address that isn't known.
    Internet,
    /// A DNS name outside the cluster that this pattern of a policy matches and no narrower one does; without a pattern,
    /// any other name.
    Name(Option<u32>),
}

/// A pod class that isn't any.
const NONE: u32 = u32::MAX;

/// What tells classes of nodes apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct NodeKey {
    /// Whether it is known which node it is.
    pub(super) known: bool,
    /// What each selector of nodes says of it.
    pub(super) selected: Vec<Ternary>,
    /// Its address's group.
    pub(super) group: Option<u32>,
    /// Whether it has an address.
    pub(super) addressed: bool,
}

/// [`Tri`] without a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ternary {
    Yes,
    No,
    Maybe,
}

impl From<Tri> for Ternary {
    fn from(tri: Tri) -> Self {
        match tri {
            Tri::Yes => Self::Yes,
            Tri::No => Self::No,
            Tri::Maybe(_) => Self::Maybe,
        }
    }
}

/// A class of pods.
#[derive(Clone, Debug)]
pub(super) struct PodClass {
    /// Its projected labels, sorted.
    pub(super) pairs: Arc<[Pair]>,
    /// Index of its named ports in [`Columns::named`].
    pub(super) named: u32,
    /// Its address's group; none where it has no address of the family or no range is mentioned.
    pub(super) group: Option<u32>,
    /// One of its pods.
    pub(super) example: PodId,
}

/// The columns.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) v6: bool,
    pub(super) universe: u32,
    pub(super) classes: Vec<PodClass>,
    /// Distinct lists of named ports.
    pub(super) named: Vec<Vec<NamedPort>>,
    /// Classes of each namespace.
    pub(super) of_namespace: Vec<(u32, u32)>,
    class_of: Vec<u32>,
    starts: Vec<u32>,
    members: Vec<PodId>,
    pub(super) nodes: Vec<NodeKey>,
    node_index: FxHashMap<NodeKey, u32>,
    node_selectors: Vec<Expr>,
    pub(super) addresses: Addresses,
    pub(super) names: Vec<DomainPattern>,
    ranges: bool,
}

/// What tells pods of a namespace apart before anything of them is looked into: pods of one template share them.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Shared {
    labels: usize,
    ports: usize,
    account: usize,
    group: u32,
}

/// What tells classes of one namespace apart, by numbers in a [`Memo`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ClassKey {
    pairs: u32,
    named: u32,
    account: u32,
    group: u32,
}

/// Values told apart, and the numbers of those that were met under an address in memory.
struct Met<T> {
    by_address: FxHashMap<usize, u32>,
    ids: FxHashMap<T, u32>,
    all: Vec<T>,
}

impl<T: Clone + Eq + std::hash::Hash> Met<T> {
    fn new() -> Self {
        Self { by_address: FxHashMap::default(), ids: FxHashMap::default(), all: Vec::new() }
    }

    fn of(&mut self, address: usize, value: impl FnOnce() -> T) -> u32 {
        *self.by_address.entry(address).or_insert_with(|| {
            let value = value();
            *self.ids.entry(value).or_insert_with_key(|value| {
                self.all.push(value.clone());
                self.all.len() as u32 - 1
            })
        })
    }
}

/// Labels and ports that were looked into, for many namespaces: their templates are often alike.
struct Memo {
    pairs: Met<Arc<[Pair]>>,
    named: Met<Arc<[NamedPort]>>,
    accounts: Met<Str>,
}

impl Memo {
    fn new() -> Self {
        Self { pairs: Met::new(), named: Met::new(), accounts: Met::new() }
    }
}

/// A class of one namespace.
struct LocalClass {
    pairs: Arc<[Pair]>,
    named: Arc<[NamedPort]>,
    group: u32,
    example: PodId,
}

/// The classes of one namespace, and the class of each pod.
struct Local {
    classes: Vec<LocalClass>,
    of: Vec<u32>,
}

/// The group of a pod without an address of the family.
const NO_ADDRESS: u32 = u32::MAX;
/// The group of every pod where no range is mentioned.
const NO_RANGES: u32 = u32::MAX - 1;

impl Columns {
    pub(super) fn new(cluster: &Cluster, vocabulary: &Vocabulary, v6: bool) -> Self {
        let addresses = vocabulary.addresses(v6);
        let locals: Vec<Local> = cluster
            .namespaces
            .par_iter()
            .with_min_len(32)
            .map_init(Memo::new, |memo, n| local(cluster, vocabulary, &addresses, v6, n.pods.clone(), memo))
            .collect();
        let mut classes = Vec::new();
        let mut of_namespace = Vec::with_capacity(locals.len());
        let mut class_of = Vec::with_capacity(cluster.pods.len());
        let mut named: Met<Arc<[NamedPort]>> = Met::new();
        for local in &locals {
            let base = classes.len() as u32;
            of_namespace.push((base, base + local.classes.len() as u32));
            classes.extend(local.classes.iter().map(|class| PodClass {
                pairs: class.pairs.clone(),
                named: named.of(Arc::as_ptr(&class.named).cast::<()>() as usize, || class.named.clone()),
                group: (class.group < NO_RANGES).then_some(class.group),
                example: class.example,
            }));
            class_of.extend(local.of.iter().map(|c| if *c == NONE { NONE } else { base + *c }));
        }
        let (starts, members) = members(&class_of, classes.len());
        let mut names = vocabulary.names.clone();
        // The narrowest pattern first: names before suffixes, long suffixes before short ones.
        names.sort_by_key(|p| match p {
            DomainPattern::Exact(_) => (0, 0),
            DomainPattern::Below(suffix) => (1, usize::MAX - suffix.len()),
        });
        let mut columns = Self {
            v6,
            universe: 0,
            classes,
            named: named.all.iter().map(|ports| ports.to_vec()).collect(),
            of_namespace,
            class_of,
            starts,
            members,
            nodes: Vec::new(),
            node_index: FxHashMap::default(),
            node_selectors: vocabulary.nodes.clone(),
            addresses,
            names,
            ranges: vocabulary.ranges,
        };
        columns.enter_nodes(cluster);
        columns.universe = columns.name_base() + columns.names.len() as u32 + 1;
        columns
    }

    fn enter_nodes(&mut self, cluster: &Cluster) {
        let pods = cluster.pods.iter().filter(|p| p.host_network && p.phase != Phase::Finished);
        let pods = pods.map(|p| (p.node, p.ip(self.v6)));
        let nodes = cluster.nodes.iter().enumerate().flat_map(|(index, node)| {
            let id = Some(NodeId(index as u32));
            let v6 = self.v6;
            let addresses = node.addresses.iter().filter(move |a| a.is_ipv6() == v6).map(|a| Some(*a));
            // A node is asked about without an address, too, where it has none of the family.
            std::iter::once(None).chain(addresses).map(move |ip| (id, ip))
        });
        let all: Vec<(Option<NodeId>, Option<IpAddr>)> = nodes.chain(pods).collect();
        for (node, ip) in all {
            let key = self.node_key(cluster, node, ip);
            if !self.node_index.contains_key(&key) {
                self.node_index.insert(key.clone(), self.nodes.len() as u32);
                self.nodes.push(key);
            }
        }
    }

    fn node_key(&self, cluster: &Cluster, node: Option<NodeId>, ip: Option<IpAddr>) -> NodeKey {
        let of_node = |id: NodeId, selector: &Expr| matching::expr(cluster, &Selected::Node(id), selector).into();
        let selected = self
            .node_selectors
            .iter()
            .map(|selector| match (node, ip) {
                (Some(id), _) => of_node(id, selector),
                (None, Some(ip)) => cluster.node_by_ip(ip).map_or(Ternary::No, |id| of_node(id, selector)),
                (None, None) if *selector == Expr::Anything => Ternary::Yes,
                (None, None) => Ternary::Maybe,
            })
            .collect();
        NodeKey {
            known: node.is_some(),
            selected,
            group: ip.filter(|_| self.ranges).and_then(|ip| self.addresses.group(ip)),
            addressed: ip.is_some() || !self.ranges,
        }
    }

    /// What the selectors of nodes say is kept in this order.
    pub(super) fn node_selector(&self, selector: &Expr) -> Option<usize> {
        self.node_selectors.iter().position(|s| s == selector)
    }

    pub(super) fn pod_classes(&self) -> u32 {
        self.classes.len() as u32
    }

    pub(super) fn node_base(&self) -> u32 {
        self.pod_classes()
    }

    pub(super) fn outside_base(&self) -> u32 {
        self.node_base() + 3 * self.nodes.len() as u32
    }

    pub(super) fn internet(&self) -> u32 {
        self.outside_base() + self.addresses.groups()
    }

    pub(super) fn name_base(&self) -> u32 {
        self.internet() + 1
    }

    /// What a column stands for.
    pub(super) fn column(&self, index: u32) -> Column {
        if index < self.node_base() {
            Column::Pods(index)
        } else if index < self.outside_base() {
            let at = index - self.node_base();
            Column::Nodes(at / 3, RELATIONS[(at % 3) as usize])
        } else if index < self.internet() {
            Column::Outside(index - self.outside_base())
        } else if index == self.internet() {
            Column::Internet
        } else {
            let at = index - self.name_base();
            Column::Name((at < self.names.len() as u32).then_some(at))
        }
    }

    /// The index of a column.
    pub(super) fn index(&self, column: Column) -> u32 {
        match column {
            Column::Pods(class) => class,
            Column::Nodes(class, relation) => self.node_base() + 3 * class + relation as u32,
            Column::Outside(group) => self.outside_base() + group,
            Column::Internet => self.internet(),
            Column::Name(at) => self.name_base() + at.unwrap_or(self.names.len() as u32),
        }
    }

    /// The class of a pod; none for one that has finished, or is on its node's network.
    pub(super) fn class_of(&self, pod: PodId) -> Option<u32> {
        self.class_of.get(pod.index()).copied().filter(|c| *c != NONE)
    }

    /// The pods of a class, in order.
    pub(super) fn pods(&self, class: u32) -> &[PodId] {
        let class = class as usize;
        match (self.starts.get(class), self.starts.get(class + 1)) {
            (Some(start), Some(end)) => &self.members[*start as usize..*end as usize],
            _ => &[],
        }
    }

    /// The column of an endpoint, as the endpoint across sees it; none for an address of the other family.
    pub(super) fn of_endpoint(&self, cluster: &Cluster, endpoint: &Endpoint, across: &Endpoint) -> Option<u32> {
        let column = match endpoint.kind {
            EndpointKind::Pod(pod) => Column::Pods(self.class_of(pod)?),
            EndpointKind::Node { node, .. } => {
                let class = *self.node_index.get(&self.node_key(cluster, node, endpoint.ip))?;
                let other = across.as_pod().and_then(|p| cluster.pods[p.index()].node);
                let relation = match (node, other) {
                    (Some(a), Some(b)) if a == b => Relation::Own,
                    (Some(_), Some(_)) => Relation::Other,
                    _ => Relation::Unknown,
                };
                Column::Nodes(class, relation)
            }
            EndpointKind::AnyPod => return None,
            EndpointKind::Outside => match endpoint.ip {
                Some(ip) => Column::Outside(self.addresses.group(ip)?),
                None => Column::Internet,
            },
        };
        Some(self.index(column))
    }

    /// The column of a DNS name in lower case without a final dot.
    pub(super) fn of_name(&self, name: &str) -> u32 {
        let at = self.names.iter().position(|p| p.matches(name)).map(|at| at as u32);
        self.index(Column::Name(at))
    }
}

fn local(
    cluster: &Cluster,
    vocabulary: &Vocabulary,
    addresses: &Addresses,
    v6: bool,
    pods: std::ops::Range<u32>,
    memo: &mut Memo,
) -> Local {
    let mut known: FxHashMap<ClassKey, u32> = FxHashMap::default();
    let mut out = Local { classes: Vec::new(), of: Vec::with_capacity(pods.len()) };
    let mut last: Option<(Shared, u32)> = None;
    for id in pods {
        let pod = &cluster.pods[id as usize];
        if pod.host_network || pod.phase == Phase::Finished {
            out.of.push(NONE);
            continue;
        }
        let group = if vocabulary.ranges {
            pod.ip(v6).and_then(|ip| addresses.group(ip)).unwrap_or(NO_ADDRESS)
        } else {
            NO_RANGES
        };
        let ports = if vocabulary.has_port_names() { pod.ports.as_ptr() as usize } else { 0 };
        let account = if vocabulary.accounts { pod.service_account.as_ptr() as usize } else { 0 };
        let raw = Shared { labels: Arc::as_ptr(&pod.labels) as usize, ports, account, group };
        if let Some((_, class)) = last.filter(|(key, _)| *key == raw) {
            out.of.push(class);
            continue;
        }
        let named = || if ports == 0 { Arc::default() } else { vocabulary.named_ports(&pod.ports).into() };
        let key = ClassKey {
            pairs: memo.pairs.of(raw.labels, || vocabulary.project(&pod.labels).into()),
            named: memo.named.of(ports, named),
            account: if account == 0 { 0 } else { memo.accounts.of(account, || pod.service_account.clone()) },
            group,
        };
        let class = *known.entry(key).or_insert_with(|| {
            out.classes.push(LocalClass {
                pairs: memo.pairs.all[key.pairs as usize].clone(),
                named: memo.named.all[key.named as usize].clone(),
                group,
                example: PodId(id),
            });
            out.classes.len() as u32 - 1
        });
        last = Some((raw, class));
        out.of.push(class);
    }
    out
}

fn members(class_of: &[u32], classes: usize) -> (Vec<u32>, Vec<PodId>) {
    let mut starts = vec![0u32; classes + 1];
    for class in class_of.iter().filter(|c| **c != NONE) {
        starts[*class as usize + 1] += 1;
    }
    let mut total = 0;
    for start in &mut starts {
        total += *start;
        *start = total;
    }
    let mut next = starts.clone();
    let mut members = vec![PodId(0); total as usize];
    for (pod, class) in class_of.iter().enumerate().filter(|(_, c)| **c != NONE) {
        let at = &mut next[*class as usize];
        members[*at as usize] = PodId(pod as u32);
        *at += 1;
    }
    (starts, members)
}
