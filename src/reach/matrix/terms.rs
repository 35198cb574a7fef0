//! Which columns a selector or a term of a peer holds: surely, or perhaps.
//!
//! Selectors go through an inverted index from labels to classes: the shortest list is started from and the rest verified,
//! or, where every list is long, sets are combined.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::columns::{Column, Columns, NodeKey, Relation, Ternary};
use super::sets::Set;
use super::vocabulary::{Pair, Vocabulary};
use crate::model::Cluster;
use crate::policy::rule::{Block, CidrScope, Classes, DomainPattern, Expr, Op, Requirement, Scope, Term};
use crate::reach::eval::{Endpoint, EndpointKind};
use crate::reach::matching::{self, Tri};

/// Columns that match, and columns that can't be told to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Matched {
    pub(super) yes: Set,
    pub(super) maybe: Set,
}

impl Matched {
    pub(super) fn all(universe: u32) -> Self {
        Self { yes: Set::all(universe), maybe: Set::empty() }
    }

    fn certain(yes: Set) -> Self {
        Self { yes, maybe: Set::empty() }
    }

    pub(super) fn possible(&self, n: u32) -> Set {
        self.yes.or(&self.maybe, n)
    }

    pub(super) fn and(&self, other: &Self, n: u32) -> Self {
        let yes = self.yes.and(&other.yes, n);
        if self.maybe.is_empty() && other.maybe.is_empty() {
            return Self::certain(yes);
        }
        let maybe = self.possible(n).and(&other.possible(n), n).minus(&yes, n);
        Self { yes, maybe }
    }

    pub(super) fn union<'a>(all: impl IntoIterator<Item = &'a Self> + Clone, n: u32) -> Self {
        let yes = Set::union(all.clone().into_iter().map(|m| &m.yes), n);
        let maybe = Set::union(all.into_iter().map(|m| &m.maybe), n).minus(&yes, n);
        Self { yes, maybe }
    }

    /// What both are sure of; the rest can't be told.
    fn agree(&self, other: &Self, n: u32) -> Self {
        let yes = self.yes.and(&other.yes, n);
        let maybe = self.possible(n).or(&other.possible(n), n).minus(&yes, n);
        Self { yes, maybe }
    }

    fn not(&self, within: &Set, n: u32) -> Self {
        Self { yes: within.minus(&self.yes, n).minus(&self.maybe, n), maybe: self.maybe.clone() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.yes.is_empty() && self.maybe.is_empty()
    }
}

/// The index of a cluster's classes.
#[derive(Debug)]
pub(super) struct Index<'a> {
    cluster: &'a Cluster,
    vocabulary: Arc<Vocabulary>,
    columns: Arc<Columns>,
    /// Classes that have a pair, by pair.
    postings: Vec<Vec<u32>>,
    /// The same as sets, where they were asked for.
    having: Vec<OnceLock<Set>>,
    by_name: FxHashMap<&'a str, u32>,
    /// Namespaces that have a label.
    by_label: FxHashMap<(&'a str, &'a str), Vec<u32>>,
    pods: Set,
    /// Classes with an address in each group.
    by_group: Vec<Vec<u32>>,
    /// Classes without an address of the family.
    unaddressed: Vec<u32>,
}

/// Candidates up to which the rest of a selector is verified one by one.
const FEW: usize = 256;

/// A requirement, ready to be asked of a class.
enum Test {
    Namespaces(Vec<u32>),
    Pairs(Vec<Pair>, bool),
    Other,
}

impl<'a> Index<'a> {
    pub(super) fn new(cluster: &'a Cluster, vocabulary: Arc<Vocabulary>, columns: Arc<Columns>) -> Self {
        let mut postings = vec![Vec::new(); vocabulary.pairs()];
        for (class, of) in columns.classes.iter().enumerate() {
            for pair in of.pairs.iter() {
                postings[*pair as usize].push(class as u32);
            }
        }
        let having = vec![OnceLock::new(); postings.len()];
        let mut by_label: FxHashMap<(&str, &str), Vec<u32>> = FxHashMap::default();
        for (index, namespace) in cluster.namespaces.iter().enumerate() {
            for (key, value) in namespace.labels.iter() {
                by_label.entry((key, value)).or_default().push(index as u32);
            }
        }
        let names = cluster.namespaces.iter().enumerate();
        let by_name = names.map(|(index, namespace)| (&*namespace.name, index as u32)).collect();
        let mut by_group = vec![Vec::new(); columns.addresses.groups() as usize];
        let mut unaddressed = Vec::new();
        for (class, of) in columns.classes.iter().enumerate() {
            match of.group {
                Some(group) => by_group[group as usize].push(class as u32),
                None => unaddressed.push(class as u32),
            }
        }
        let pods = Set::range(0, columns.pod_classes());
        Self { cluster, vocabulary, columns, postings, having, by_name, by_label, pods, by_group, unaddressed }
    }

    /// What the policies mention.
    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn n(&self) -> u32 {
        self.columns.universe
    }

    /// The pods a selector holds.
    pub(super) fn selector(&self, expr: &Expr) -> Matched {
        let n = self.n();
        match expr {
            Expr::Anything => Matched::certain(self.pods.clone()),
            Expr::Nothing => Matched::default(),
            Expr::Is(requirement) => self.requirement(requirement),
            Expr::All(all) => match self.verified(all) {
                Some(found) => Matched::certain(found),
                None => {
                    let mut all = all.iter().map(|e| self.selector(e));
                    let first = all.next().unwrap_or_else(|| Matched::certain(self.pods.clone()));
                    all.fold(first, |so_far, next| so_far.and(&next, n))
                }
            },
            Expr::Any(any) => {
                let found: Vec<Matched> = any.iter().map(|e| self.selector(e)).collect();
                Matched::union(&found, n)
            }
            Expr::Not(e) => self.selector(e).not(&self.pods, n),
        }
    }

    /// A conjunction, verified on the shortest list of candidates; none where no list is short.
    fn verified(&self, all: &[Expr]) -> Option<Set> {
        let mut tests = Vec::with_capacity(all.len());
        let mut best: Option<(usize, usize)> = None;
        for expr in all {
            let Expr::Is(requirement) = expr else { return None };
            let test = self.test(requirement);
            let size = match &test {
                Test::Namespaces(namespaces) => namespaces.iter().map(|n| self.classes_of(*n).len()).sum(),
                Test::Pairs(pairs, true) => pairs.iter().map(|p| self.postings[*p as usize].len()).sum(),
                Test::Pairs(_, false) => usize::MAX,
                Test::Other => return None,
            };
            if size <= FEW && best.is_none_or(|(least, _)| size < least) {
                best = Some((size, tests.len()));
            }
            tests.push(test);
        }
        let (_, best) = best?;
        let holds = |class: &u32| {
            let of = &self.columns.classes[*class as usize].pairs;
            tests.iter().enumerate().all(|(at, test)| {
                at == best
                    || match test {
                        Test::Namespaces(namespaces) => namespaces.iter().any(|n| self.classes_of(*n).contains(class)),
                        // Few labels are ever mentioned: a list is gone through faster than it is searched.
                        Test::Pairs(pairs, wanted) => pairs.iter().any(|p| of.contains(p)) == *wanted,
                        Test::Other => false,
                    }
            })
        };
        Some(match &tests[best] {
            // In order: of distinct namespaces in theirs, of one list.
            Test::Namespaces(namespaces) => {
                Set::from_sorted(namespaces.iter().flat_map(|n| self.classes_of(*n)).filter(holds), self.n())
            }
            Test::Pairs(pairs, _) => match pairs.as_slice() {
                [one] => Set::from_sorted(self.postings[*one as usize].iter().copied().filter(holds), self.n()),
                many => {
                    let lists = many.iter().flat_map(|p| self.postings[*p as usize].iter().copied());
                    let mut found: Vec<u32> = lists.filter(holds).collect();
                    found.sort_unstable();
                    Set::from_sorted(found, self.n())
                }
            },
            Test::Other => return None,
        })
    }

    fn test(&self, requirement: &Requirement) -> Test {
        match (requirement.scope, &requirement.op) {
            (Scope::NamespaceName | Scope::Namespace, Op::In(_)) => Test::Namespaces(self.namespaces(requirement)),
            (Scope::Pod, Op::NotIn(_) | Op::DoesNotExist) => {
                Test::Pairs(self.vocabulary.accepted(&requirement.key, &requirement.op), false)
            }
            (Scope::Pod, op) => Test::Pairs(self.vocabulary.accepted(&requirement.key, op), true),
            _ => Test::Other,
        }
    }

    /// The classes that have a pair.
    fn having(&self, pair: Pair) -> &Set {
        let set = || Set::from_sorted(self.postings[pair as usize].iter().copied(), self.n());
        self.having[pair as usize].get_or_init(set)
    }

    fn classes_of(&self, namespace: u32) -> std::ops::Range<u32> {
        self.columns.of_namespace.get(namespace as usize).map_or(0..0, |(start, end)| *start..*end)
    }

    /// The namespaces that meet a requirement on their labels or name, in order.
    fn namespaces(&self, requirement: &Requirement) -> Vec<u32> {
        let cluster = self.cluster;
        let mut out: Vec<u32> = match (requirement.scope, &requirement.op) {
            (Scope::NamespaceName, Op::In(values)) => {
                values.iter().filter_map(|v| self.by_name.get(&**v)).copied().collect()
            }
            (Scope::Namespace, Op::In(values)) => {
                values.iter().filter_map(|v| self.by_label.get(&(&*requirement.key, &**v))).flatten().copied().collect()
            }
            (scope, op) => {
                let holds = |at: &usize| {
                    let namespace = &cluster.namespaces[*at];
                    let value = match scope {
                        Scope::NamespaceName => Some(&namespace.name),
                        _ => namespace.labels.get(&requirement.key),
                    };
                    matching::op(op, value.map(|v| &**v))
                };
                (0..cluster.namespaces.len()).filter(holds).map(|at| at as u32).collect()
            }
        };
        out.sort_unstable();
        out.dedup();
        out
    }

    fn requirement(&self, requirement: &Requirement) -> Matched {
        let n = self.n();
        let found = match requirement.scope {
            Scope::Pod => {
                let accepted = self.vocabulary.accepted(&requirement.key, &requirement.op);
                let with = Set::union(accepted.iter().map(|p| self.having(*p)), n);
                match requirement.op {
                    Op::NotIn(_) | Op::DoesNotExist => self.pods.minus(&with, n),
                    _ => with,
                }
            }
            Scope::Namespace | Scope::NamespaceName => {
                let namespaces = self.namespaces(requirement);
                Set::from_sorted_runs(namespaces.iter().map(|n| self.classes_of(*n)).map(|r| (r.start, r.end)), n)
            }
            Scope::ServiceAccountName => {
                let holds = |class: &u32| {
                    let pod = &self.cluster.pods[self.columns.classes[*class as usize].example.index()];
                    matching::op(&requirement.op, Some(&pod.service_account))
                };
                Set::from_sorted((0..self.columns.pod_classes()).filter(holds), n)
            }
            Scope::ServiceAccount => return Matched { yes: Set::empty(), maybe: self.pods.clone() },
            Scope::Node if matching::op(&requirement.op, None) => self.pods.clone(),
            Scope::Node => Set::empty(),
        };
        Matched::certain(found)
    }

    /// The columns a term of a peer holds. `ip_block` is what a NetworkPolicy's ipBlock may match, by each reading of it.
    pub(super) fn term(&self, term: &Term, ip_block: &[Classes]) -> Matched {
        let n = self.n();
        match term {
            Term::Pods(selector) => self.selector(selector),
            Term::NotPods(selector) => {
                let mut out = self.selector(selector).not(&self.pods, n);
                out.yes = out.yes.or(&Set::range(self.columns.node_base(), n), n);
                out
            }
            Term::Cidr(blocks, scope) => {
                let readings = match scope {
                    CidrScope::IpBlock => ip_block,
                    CidrScope::Classes(classes) => std::slice::from_ref(classes),
                };
                let read = readings.iter().map(|classes| self.blocks(blocks, *classes));
                read.reduce(|a, b| a.agree(&b, n)).unwrap_or_default()
            }
            Term::NotCidr(nets) => self.by_address(|ip| {
                let in_family = nets.iter().any(|net| net.addr().is_ipv6() == ip.is_ipv6());
                in_family && !nets.iter().any(|net| net.contains(&ip))
            }),
            Term::Class(classes) => self.by_column(|column| self.class(column, *classes)),
            Term::Nodes(selector) => {
                let at = self.columns.node_selector(selector);
                self.by_column(|column| match (column, at) {
                    (Column::Nodes(class, _), Some(at)) => self.columns.nodes[class as usize].selected[at],
                    _ => Ternary::No,
                })
            }
            Term::Domains(patterns) => self.by_column(|column| match column {
                Column::Name(Some(at)) => {
                    let name = example_name(&self.columns.names[at as usize]);
                    if patterns.iter().any(|p| p.matches(&name)) { Ternary::Yes } else { Ternary::No }
                }
                // Dialled by address: what it was learnt from isn't known.
                Column::Outside(_) | Column::Internet => Ternary::Maybe,
                Column::Pods(_) | Column::Nodes(..) | Column::Name(None) => Ternary::No,
            }),
            // Services go by address, protocol and port at once: `rules` takes them apart.
            Term::Service(_) | Term::Unknown => Matched::default(),
        }
    }

    /// The columns that have one address.
    pub(super) fn address(&self, ip: std::net::IpAddr) -> Matched {
        let found = self.by_address(|address| address == ip);
        // An address that isn't known is no endpoint of a Service.
        Matched::certain(found.yes)
    }

    /// The class of a column, as the pod across sees it.
    fn class(&self, column: Column, wanted: Classes) -> Ternary {
        let is = match column {
            Column::Pods(_) => Classes::POD,
            Column::Nodes(_, Relation::Own) => Classes::OWN_NODE,
            Column::Nodes(_, Relation::Other) => Classes::OTHER_NODE,
            Column::Nodes(_, Relation::Unknown) => Classes::NODES,
            Column::Outside(_) | Column::Internet | Column::Name(_) => Classes::OUTSIDE,
        };
        if is.0 & !wanted.0 == 0 {
            Ternary::Yes
        } else if is.intersects(wanted) {
            Ternary::Maybe
        } else {
            Ternary::No
        }
    }

    fn by_column(&self, test: impl Fn(Column) -> Ternary) -> Matched {
        let (mut yes, mut maybe) = (Vec::new(), Vec::new());
        let pods = self.columns.pod_classes();
        // Every class of pods is alike in what is asked here.
        let of_pods = if pods == 0 { Ternary::No } else { test(Column::Pods(0)) };
        match of_pods {
            Ternary::Yes => yes.push((0, pods)),
            Ternary::Maybe => maybe.push((0, pods)),
            Ternary::No => {}
        }
        for index in pods..self.n() {
            match test(self.columns.column(index)) {
                Ternary::Yes => yes.push((index, index + 1)),
                Ternary::Maybe => maybe.push((index, index + 1)),
                Ternary::No => {}
            }
        }
        Matched { yes: Set::from_sorted_runs(yes, self.n()), maybe: Set::from_sorted_runs(maybe, self.n()) }
    }

    /// "Address in one of these blocks", for the classes of endpoint that the range applies to.
    fn blocks(&self, blocks: &[Block], classes: Classes) -> Matched {
        let n = self.n();
        let columns = &*self.columns;
        let mut held: Vec<u32> = blocks.iter().flat_map(|b| columns.addresses.groups_of(b)).collect();
        if blocks.len() > 1 {
            held.sort_unstable();
            held.dedup();
        }
        let unaddressed = |kind: EndpointKind| any_block(blocks, &Endpoint { kind, ip: None });
        let inside = unaddressed(EndpointKind::Node { node: None, pod: None });
        let (mut yes, mut maybe) = (Vec::new(), Vec::new());
        if classes.intersects(Classes::POD) {
            for group in &held {
                yes.extend(self.by_group[*group as usize].iter().map(|c| (*c, *c + 1)));
            }
            if inside == Ternary::Yes {
                yes.extend(self.unaddressed.iter().map(|c| (*c, *c + 1)));
            }
            yes.sort_unstable();
        }
        if classes.intersects(Classes::NODES) {
            for index in columns.node_base()..columns.outside_base() {
                let column = columns.column(index);
                let Column::Nodes(class, _) = column else { continue };
                let value = match &columns.nodes[class as usize] {
                    NodeKey { group: Some(group), .. } if held.binary_search(group).is_ok() => Ternary::Yes,
                    NodeKey { addressed: true, .. } => Ternary::No,
                    _ => inside,
                };
                match both(self.class(column, classes), value) {
                    Ternary::Yes => yes.push((index, index + 1)),
                    Ternary::Maybe => maybe.push((index, index + 1)),
                    Ternary::No => {}
                }
            }
        }
        if classes.intersects(Classes::OUTSIDE) {
            let base = columns.outside_base();
            yes.extend(held.iter().map(|g| (base + g, base + g + 1)));
            match unaddressed(EndpointKind::Outside) {
                Ternary::Yes => yes.push((columns.internet(), n)),
                Ternary::Maybe => maybe.push((columns.internet(), n)),
                Ternary::No => {}
            }
        }
        Matched { yes: Set::from_sorted_runs(yes, n), maybe: Set::from_sorted_runs(maybe, n) }
    }

    /// Columns by a test of their address that every address of a group passes alike; it can't be told of those whose
    /// address isn't known.
    fn by_address(&self, test: impl Fn(std::net::IpAddr) -> bool) -> Matched {
        let n = self.n();
        let columns = &*self.columns;
        let groups: Vec<bool> = (0..columns.addresses.groups()).map(|g| test(columns.addresses.example(g))).collect();
        let (mut yes, mut maybe) = (Vec::new(), Vec::new());
        for index in 0..n {
            let group = match columns.column(index) {
                Column::Pods(class) => columns.classes[class as usize].group,
                Column::Nodes(class, _) => match &columns.nodes[class as usize] {
                    // Of the other family.
                    NodeKey { group: None, addressed: true, .. } => continue,
                    key => key.group,
                },
                Column::Outside(group) => Some(group),
                Column::Internet | Column::Name(_) => None,
            };
            match group {
                Some(group) if groups[group as usize] => yes.push(index),
                Some(_) => {}
                None => maybe.push(index),
            }
        }
        Matched { yes: Set::from_sorted(yes, n), maybe: Set::from_sorted(maybe, n) }
    }
}

fn both(a: Ternary, b: Ternary) -> Ternary {
    match (a, b) {
        (Ternary::No, _) | (_, Ternary::No) => Ternary::No,
        (Ternary::Yes, Ternary::Yes) => Ternary::Yes,
        _ => Ternary::Maybe,
    }
}

fn any_block(blocks: &[Block], endpoint: &Endpoint) -> Ternary {
    let mut result = Ternary::No;
    for block in blocks {
        match matching::block(block, endpoint) {
            Tri::Yes => return Ternary::Yes,
            Tri::Maybe(_) => result = Ternary::Maybe,
            Tri::No => {}
        }
    }
    result
}

/// A name that this pattern matches and no narrower one does: `*` is in no name.
fn example_name(pattern: &DomainPattern) -> String {
    match pattern {
        DomainPattern::Exact(name) => name.to_string(),
        DomainPattern::Below(suffix) => format!("*.{suffix}"),
    }
}
