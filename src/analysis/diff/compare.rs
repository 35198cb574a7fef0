//! The comparison: the all-pairs matrices of both versions over one common refinement of their classes.
//!
//! Pods are grouped by the pair of their classes, before and after; addresses by the pair of their groups. Rows that are
//! equal in both versions are passed over, the rest is compared client by client (PERFORMANCE 9).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::parties::{Members, Parties};
use super::{Change, End, L4, Party, Passes, Range, Version};
use crate::model::{Cluster, PodId, Str};
use crate::policy::rule::{DomainPattern, Match, StagePolicy, Term};
use crate::policy::{Direction, Policies};
use crate::reach::Endpoint;
use crate::reach::eval::EndpointKind;
use crate::reach::matrix::{Column, Connections, Matrix, Options, Row};

/// A change with a pair of endpoints that stands for it.
pub(super) struct Found {
    pub(super) change: Change,
    pub(super) pair: Pair,
}

/// A pair of endpoints.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) client: Stand,
    pub(super) server: Stand,
    pub(super) v6: bool,
}

/// Who stands for a side, in both versions.
#[derive(Clone, Debug)]
pub(super) enum Stand {
    Pod(PodId, PodId),
    Outside(IpAddr),
    Name(Str),
}

impl Stand {
    /// The endpoint in one version.
    pub(super) fn endpoint(&self, cluster: &Cluster, late: bool, v6: bool) -> Endpoint {
        match self {
            Self::Pod(before, after) => Endpoint::pod(cluster, if late { *after } else { *before }, v6),
            Self::Outside(ip) => Endpoint { kind: EndpointKind::Outside, ip: Some(*ip) },
            Self::Name(_) => Endpoint::internet(),
        }
    }
}

/// Pods of one party that no policy of either version tells apart.
struct Part {
    party: usize,
    before: PodId,
    after: PodId,
    /// How many pods, of the later version.
    count: usize,
    /// Whether it may stand for several pods, which connect to each other.
    several: bool,
    /// On its node's network.
    host: bool,
    /// Whether its pods have an address of each family.
    families: [bool; 2],
}

impl Part {
    /// Pods without an address are judged by labels (SEMANTICS 48): against each other once.
    fn among_pods(&self, v6: bool) -> bool {
        match self.families {
            [false, false] => !v6,
            families => families[usize::from(v6)],
        }
    }

    fn with_outside(&self, v6: bool) -> bool {
        self.families == [false, false] || self.families[usize::from(v6)]
    }
}

/// A column of both matrices, and what stands there.
struct Refined {
    before: u32,
    after: u32,
    who: Who,
}

/// Who stands in a column.
pub(super) enum Who {
    /// Parts, by index.
    Parts(Vec<usize>),
    /// Addresses.
    Outside(Vec<Range>),
    /// A pattern of DNS names, and a name that it matches.
    Name(Str, Str),
}

/// What rows are joined by: client, server, the family where both have two, what passes before and after. The ranges of
/// outside parties are kept apart.
type Key = (Party, Party, Option<bool>, Passes, Passes);

/// What may pass between two endpoints in one version.
type Between<'b> = dyn Fn(usize, &Endpoint, &Endpoint) -> Option<Connections> + 'b;

struct Gathered {
    clients: BTreeSet<usize>,
    servers: BTreeSet<usize>,
    ranges: Vec<Range>,
    pair: Pair,
}

#[derive(Default)]
pub(super) struct Comparison {
    parties: Vec<Party>,
    parts: Vec<Part>,
    found: BTreeMap<Key, Gathered>,
}

pub(super) fn changes(before: Version<'_>, after: Version<'_>, parties: &Parties) -> Vec<Found> {
    let four = matrices(before, after, false);
    let six = (needs_v6(before) || needs_v6(after)).then(|| matrices(before, after, true));
    let mut out = Comparison::default();
    let clusters = [before.cluster, after.cluster];
    for (party, members) in parties.common() {
        out.divide(party, members, clusters, &|late, id| {
            [four[late].class_of(id), six.as_ref().and_then(|six| six[late].class_of(id))]
        });
    }
    out.family(clusters, &four, false);
    if let Some(six) = &six {
        out.family(clusters, six, true);
    }
    out.finish()
}

fn matrices<'a>(before: Version<'a>, after: Version<'a>, v6: bool) -> [Matrix<'a>; 2] {
    let matrix = |v: Version<'a>| Matrix::new(v.cluster, v.policies, v.profile, Options { v6 });
    let (before, after) = rayon::join(|| matrix(before), || matrix(after));
    [before, after]
}

/// Whether IPv6 can make a difference: some pod has such an address, or some policy names such a range.
pub(super) fn needs_v6(version: Version<'_>) -> bool {
    let named = |policy: &StagePolicy| {
        let matches = policy.rules.iter().flat_map(|r| [&r.source, &r.destination]);
        let peers = matches.flat_map(|m| match m {
            Match::Any => [].as_slice(),
            Match::OneOf(peers) => peers.as_slice(),
        });
        peers.flat_map(|p| &p.terms).any(|term| match term {
            Term::Cidr(blocks, _) => blocks.iter().any(|b| b.cidr.addr().is_ipv6()),
            Term::NotCidr(cidrs) => cidrs.iter().any(|c| c.addr().is_ipv6()),
            _ => false,
        })
    };
    version.cluster.has_addresses(true) || all(version.policies).any(named)
}

/// Every policy, once for each direction it is about.
pub(super) fn all(policies: &Policies) -> impl Iterator<Item = &StagePolicy> {
    [&policies.admin, &policies.network, &policies.baseline]
        .into_iter()
        .flat_map(|l| [Direction::Ingress, Direction::Egress].map(|d| l.of(d)))
        .flat_map(|list| list.iter())
}

/// What tells pods of one version apart: their classes in both families, and whether they are on their node's network.
type ClassKey = (Option<u32>, Option<u32>, bool, [bool; 2]);

impl Comparison {
    /// Divides a party's pods, of whom `classes` are those of both families in one version: by their classes in both versions where their names are the same, else by the classes of the
    /// later version against the most common class of the earlier one.
    pub(super) fn divide(
        &mut self,
        party: &Party,
        members: &Members,
        clusters: [&Cluster; 2],
        classes: &dyn Fn(usize, PodId) -> [Option<u32>; 2],
    ) {
        let key = |late: usize, id: PodId| -> ClassKey {
            let pod = &clusters[late].pods[id.index()];
            let [four, six] = classes(late, id);
            (four, six, pod.host_network, [pod.ip(false).is_some(), pod.ip(true).is_some()])
        };
        let name = |late: usize, id: PodId| &*clusters[late].pods[id.index()].name;
        // Names tell which pod of the earlier version is meant: where all are alike, nothing depends on it.
        let alike = members.before.iter().all(|id| key(0, *id) == key(0, members.before[0]));
        let named = members.before.iter().filter(|_| !alike);
        let earlier: BTreeMap<&str, PodId> = named.map(|id| (name(0, *id), *id)).collect();
        let mut groups: BTreeMap<(ClassKey, ClassKey), (PodId, PodId, usize)> = BTreeMap::new();
        let mut counts: BTreeMap<ClassKey, (usize, PodId)> = BTreeMap::new();
        for id in &members.before {
            counts.entry(key(0, *id)).or_insert((0, *id)).0 += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, (count, _))| *count).map(|(key, (_, id))| (key, id));
        for id in &members.after {
            let same = earlier.get(name(1, *id)).map(|old| (key(0, *old), *old));
            let Some((old_key, old)) = same.or(most) else { continue };
            groups.entry((old_key, key(1, *id))).or_insert((old, *id, 0)).2 += 1;
        }
        let number = self.parties.len();
        self.parties.push(party.clone());
        let replicated = !matches!(party, Party::Workload { kind, .. } if &**kind == "Pod");
        for ((old, new), (before, after, count)) in groups {
            let template = clusters[1].pods[after.index()].template;
            self.parts.push(Part {
                party: number,
                before,
                after,
                count,
                several: count > 1 || (template && replicated),
                host: old.2 || new.2,
                families: [old.3[0] && new.3[0], old.3[1] && new.3[1]],
            });
        }
    }

    /// Compares one family of addresses.
    fn family(&mut self, clusters: [&Cluster; 2], matrices: &[Matrix<'_>; 2], v6: bool) {
        let [before, after] = matrices;
        let mut refined: Vec<Refined> = Vec::new();
        let mut known: FxHashMap<(u32, u32), usize> = FxHashMap::default();
        for (index, part) in self.parts.iter().enumerate() {
            if part.host || !part.with_outside(v6) {
                continue;
            }
            let (Some(b), Some(a)) = (before.class_of(part.before), after.class_of(part.after)) else { continue };
            let at = *known.entry((b, a)).or_insert_with(|| {
                refined.push(Refined { before: b, after: a, who: Who::Parts(Vec::new()) });
                refined.len() - 1
            });
            if let Who::Parts(parts) = &mut refined[at].who {
                parts.push(index);
            }
        }
        let pods = refined.len();
        refined.extend(outside(matrices));
        if !v6 {
            refined.extend(names(matrices));
        }
        let aligned = before.len() == after.len() && refined.iter().all(|r| r.before == r.after);
        type Rows<'m> = (Option<&'m Row>, Option<&'m Row>, Vec<usize>);
        let mut rows: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut servers: Vec<Rows<'_>> = Vec::new();
        for (index, server) in refined.iter().enumerate() {
            let (b, a) = (before.row_of(server.before), after.row_of(server.after));
            let address = |row: Option<&Row>| row.map_or(0, |r| std::ptr::from_ref(r) as usize);
            let at = *rows.entry((address(b), address(a))).or_insert_with(|| {
                servers.push((b, a, Vec::new()));
                servers.len() - 1
            });
            servers[at].2.push(index);
        }
        let places = [0, 1].map(|late| Places::new(&refined, late, matrices[late].len()));
        let found: Vec<Vec<(usize, usize, Passes, Passes)>> = servers
            .par_iter()
            .map(|(b, a, servers)| {
                let mut different = Vec::new();
                if aligned && b.map(|r| &r.parts) == a.map(|r| &r.parts) {
                    return different;
                }
                // Whoever gets nothing in either version is no difference.
                let mut clients: BTreeMap<usize, [Option<Connections>; 2]> = BTreeMap::new();
                for (late, row) in [b, a].into_iter().enumerate() {
                    for answer in row.map(|row| matrices[late].answers(row)).unwrap_or_default() {
                        for client in answer.clients.iter().flat_map(|column| places[late].of(column)) {
                            clients.entry(*client).or_default()[late] = Some(answer.connections.clone());
                        }
                    }
                }
                for (client, passes) in clients {
                    let [old, new] = passes.map(Option::unwrap_or_default);
                    if old == new {
                        continue;
                    }
                    let (old, new) = (Passes::from(&old), Passes::from(&new));
                    if old == new {
                        continue;
                    }
                    // What is outside on both sides is nobody's business here.
                    let servers = servers.iter().filter(|s| client < pods || **s < pods);
                    different.extend(servers.map(|s| (client, *s, old.clone(), new.clone())));
                }
                different
            })
            .collect();
        let different = found.into_iter().flatten();
        for (client, server, old, new) in different {
            self.spread(&refined[client].who, &refined[server].who, &old, &new, v6);
        }
        let between = |late: usize, from: &Endpoint, to: &Endpoint| matrices[late].between(from, to);
        self.hosts(clusters, &between, v6);
    }

    /// The parts of each class of one version, here the later one.
    pub(super) fn by_class(&self, matrix: &Matrix<'_>, v6: bool) -> FxHashMap<u32, Who> {
        let mut out: FxHashMap<u32, Who> = FxHashMap::default();
        for (index, part) in self.parts.iter().enumerate().filter(|(_, p)| !p.host && p.with_outside(v6)) {
            let Some(class) = matrix.class_of(part.after) else { continue };
            if let Who::Parts(parts) = out.entry(class).or_insert_with(|| Who::Parts(Vec::new())) {
                parts.push(index);
            }
        }
        out
    }

    /// Enters a difference of two columns for each of the parties in them.
    pub(super) fn spread(&mut self, client: &Who, server: &Who, old: &Passes, new: &Passes, v6: bool) {
        match (client, server) {
            (Who::Parts(clients), Who::Parts(servers)) => {
                for from in clients {
                    for to in servers {
                        let (c, s) = (&self.parts[*from], &self.parts[*to]);
                        if (from == to && !c.several) || !c.among_pods(v6) || !s.among_pods(v6) {
                            continue;
                        }
                        self.among(*from, *to, old, new, v6);
                    }
                }
            }
            (Who::Parts(parts), far) => {
                for part in parts {
                    let (party, stand, ranges) = far_end(far);
                    let own = self.own(*part);
                    let key = (own.0, party, None, old.clone(), new.clone());
                    let pair = Pair { client: own.1, server: stand, v6 };
                    let entry = self.enter(key, pair);
                    entry.clients.insert(*part);
                    entry.ranges.extend(ranges);
                }
            }
            (far, Who::Parts(parts)) => {
                // A connection from a DNS name is one from an address.
                if matches!(far, Who::Name(..)) {
                    return;
                }
                for part in parts {
                    let (party, stand, ranges) = far_end(far);
                    let own = self.own(*part);
                    let key = (party, own.0, None, old.clone(), new.clone());
                    let pair = Pair { client: stand, server: own.1, v6 };
                    let entry = self.enter(key, pair);
                    entry.servers.insert(*part);
                    entry.ranges.extend(ranges);
                }
            }
            _ => {}
        }
    }

    fn own(&self, part: usize) -> (Party, Stand) {
        let part = &self.parts[part];
        (self.parties[part.party].clone(), Stand::Pod(part.before, part.after))
    }

    fn among(&mut self, from: usize, to: usize, old: &Passes, new: &Passes, v6: bool) {
        let ((client, c), (server, s)) = (self.own(from), self.own(to));
        let dual = self.parts[from].families == [true, true] && self.parts[to].families == [true, true];
        let key = (client, server, dual.then_some(v6), old.clone(), new.clone());
        let entry = self.enter(key, Pair { client: c, server: s, v6 });
        entry.clients.insert(from);
        entry.servers.insert(to);
    }

    fn enter(&mut self, key: Key, pair: Pair) -> &mut Gathered {
        self.found.entry(key).or_insert_with(|| Gathered {
            clients: BTreeSet::new(),
            servers: BTreeSet::new(),
            ranges: Vec::new(),
            pair,
        })
    }

    /// Pods on their node's network are nodes to policies, and stand in a relation to each pod: they are asked one by one.
    pub(super) fn hosts(&mut self, clusters: [&Cluster; 2], between: &Between<'_>, v6: bool) {
        let hosts: Vec<usize> = (0..self.parts.len()).filter(|p| self.parts[*p].host).collect();
        let mut different = Vec::new();
        for host in hosts {
            for other in 0..self.parts.len() {
                let (h, o) = (&self.parts[host], &self.parts[other]);
                if !h.among_pods(v6) || !o.among_pods(v6) || host == other {
                    continue;
                }
                let ends = [(host, other), (other, host)];
                // A pair of hosts comes up from both of them.
                for (from, to) in ends.into_iter().take(if o.host { 1 } else { 2 }) {
                    let pass = |late: usize| {
                        let end = |part: &Part| {
                            let id = if late == 1 { part.after } else { part.before };
                            Endpoint::pod(clusters[late], id, v6)
                        };
                        between(late, &end(&self.parts[from]), &end(&self.parts[to]))
                    };
                    if let (Some(old), Some(new)) = (pass(0), pass(1))
                        && old != new
                    {
                        different.push((from, to, Passes::from(&old), Passes::from(&new)));
                    }
                }
            }
        }
        for (from, to, old, new) in different.into_iter().filter(|(_, _, old, new)| old != new) {
            self.among(from, to, &old, &new, v6);
        }
    }

    /// The differences as changes, in order; families that behave alike together.
    pub(super) fn finish(mut self) -> Vec<Found> {
        let four: Vec<Key> = self.found.keys().filter(|k| k.2 == Some(false)).cloned().collect();
        for key in four {
            let six = (key.0.clone(), key.1.clone(), Some(true), key.3.clone(), key.4.clone());
            let alike = match (self.found.get(&key), self.found.get(&six)) {
                (Some(a), Some(b)) => a.clients == b.clients && a.servers == b.servers,
                _ => false,
            };
            if alike && let Some(gathered) = self.found.remove(&key) {
                self.found.remove(&six);
                self.found.insert((key.0, key.1, None, key.3, key.4), gathered);
            }
        }
        let mut totals: BTreeMap<&Party, usize> = BTreeMap::new();
        for part in &self.parts {
            *totals.entry(&self.parties[part.party]).or_default() += part.count;
        }
        let end = |party: Party, parts: &BTreeSet<usize>, ranges: Vec<Range>| match party {
            Party::Outside(_) => End { party: Party::Outside(joined(ranges)), share: None },
            party => {
                let affected: usize = parts.iter().map(|p| self.parts[*p].count).sum();
                let total = totals.get(&party).copied().unwrap_or(affected);
                End { party, share: (!parts.is_empty() && affected < total).then_some((affected, total)) }
            }
        };
        let mut out = Vec::with_capacity(self.found.len());
        for ((client, server, v6, before, after), gathered) in self.found {
            let change = Change {
                client: end(client, &gathered.clients, gathered.ranges.clone()),
                server: end(server, &gathered.servers, gathered.ranges),
                v6,
                before,
                after,
                causes: Vec::new(),
            };
            out.push(Found { change, pair: gathered.pair });
        }
        out
    }
}

impl From<&Connections> for Passes {
    fn from(connections: &Connections) -> Self {
        Self { allowed: L4::from(&connections.allowed), unknown: L4::from(&connections.unknown) }
    }
}

/// The far end of a connection that leaves or enters the cluster; its ranges are kept apart from its party.
fn far_end(who: &Who) -> (Party, Stand, Vec<Range>) {
    match who {
        Who::Name(pattern, example) => (Party::Name(pattern.clone()), Stand::Name(example.clone()), Vec::new()),
        Who::Outside(ranges) => {
            let first = ranges.first().map_or(IpAddr::from([0, 0, 0, 0]), |(first, _)| *first);
            (Party::Outside(Vec::new()), Stand::Outside(first), ranges.clone())
        }
        Who::Parts(_) => (Party::Outside(Vec::new()), Stand::Outside(IpAddr::from([0, 0, 0, 0])), Vec::new()),
    }
}

/// The refined columns in each column of one version.
struct Places {
    of: Vec<Vec<usize>>,
}

impl Places {
    fn new(refined: &[Refined], late: usize, columns: u32) -> Self {
        let mut of = vec![Vec::new(); columns as usize];
        for (index, column) in refined.iter().enumerate() {
            let at = if late == 1 { column.after } else { column.before };
            of[at as usize].push(index);
        }
        Self { of }
    }

    fn of(&self, column: u32) -> &[usize] {
        &self.of[column as usize]
    }
}

/// Groups of addresses that neither version tells apart.
fn outside([before, after]: &[Matrix<'_>; 2]) -> Vec<Refined> {
    let spans = |matrix: &Matrix<'_>| {
        let groups = 0..matrix.address_groups();
        let mut all: Vec<(Range, u32)> =
            groups.flat_map(|g| matrix.addresses(g).into_iter().map(move |r| (r, g))).collect();
        all.sort_unstable();
        all
    };
    let (old, new) = (spans(before), spans(after));
    let mut groups: BTreeMap<(u32, u32), Vec<Range>> = BTreeMap::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(((a, b), x)), Some(((c, d), y))) = (old.get(i), new.get(j)) {
        let (first, last) = ((*a).max(*c), (*b).min(*d));
        if first <= last {
            groups.entry((*x, *y)).or_default().push((first, last));
        }
        if b < d { i += 1 } else { j += 1 }
    }
    groups
        .into_iter()
        .map(|((x, y), ranges)| Refined {
            before: before.index(Column::Outside(x)),
            after: after.index(Column::Outside(y)),
            who: Who::Outside(ranges),
        })
        .collect()
}

/// The DNS names that policies of either version mention.
fn names([before, after]: &[Matrix<'_>; 2]) -> Vec<Refined> {
    let patterns = |matrix: &Matrix<'_>| -> Vec<DomainPattern> {
        (0..).map_while(|at| matrix.name_pattern(at)).cloned().collect()
    };
    let all: BTreeSet<DomainPattern> = patterns(before).into_iter().chain(patterns(after)).collect();
    let column = |matrix: &Matrix<'_>, name: &str| {
        let at = (0..).map_while(|at| matrix.name_pattern(at)).position(|p| p.matches(name));
        matrix.index(Column::Name(at.map(|at| at as u32)))
    };
    all.into_iter()
        .map(|pattern| {
            let (shown, example) = shown(&pattern);
            Refined { before: column(before, &example), after: column(after, &example), who: Who::Name(shown, example) }
        })
        .collect()
}

/// A pattern as it is written, and a name that it matches.
pub(super) fn shown(pattern: &DomainPattern) -> (Str, Str) {
    match pattern {
        DomainPattern::Exact(name) => (name.clone(), name.clone()),
        // A label that no policy names stands for all of them.
        DomainPattern::Below(suffix) => (format!("*.{suffix}").into(), format!("any-other-name.{suffix}").into()),
    }
}

/// Ranges in order, those that touch as one.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let next = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|n| IpAddr::from(n.to_be_bytes())),
        IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|n| IpAddr::from(n.to_be_bytes())),
    };
    let mut out: Vec<Range> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match out.last_mut() {
            Some((_, end)) if *end >= first || next(*end) == Some(first) => *end = (*end).max(last),
            _ => out.push((first, last)),
        }
    }
    out
}
