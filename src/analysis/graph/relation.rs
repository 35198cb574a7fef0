//! The matrix over ends: rectangles of clients and servers with the same answer.
//!
//! Ends with the same columns are one kind; servers whose columns lie in the same rows are looked at together. For each
//! such group the columns that get anything of a row are gone through once, and the clients in them gathered by what they
//! got. So the cost is what is open, by columns, never pairs of ends.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Edge, End};
use crate::reach::matrix::{L4Set, Matrix, Row, Set};

/// Ports of a pair of ends; the three sets don't overlap, what is in none is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// Open between all pods of both.
    pub open: L4Set,
    /// Open between some of their pods, closed between others.
    pub partial: L4Set,
    /// Can't be told.
    pub unknown: L4Set,
}

impl Ports {
    /// Whether nothing is or may be open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.partial.is_empty() && self.unknown.is_empty()
    }

    pub(super) fn within(&self, ports: &L4Set) -> Self {
        Self { open: self.open.and(ports), partial: self.partial.and(ports), unknown: self.unknown.and(ports) }
    }

    /// The answer for all pairs of columns together.
    pub(super) fn over<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Self {
        let mut answers = answers.into_iter();
        let Some((allowed, unknown)) = answers.next().cloned() else { return Self::default() };
        let (mut every, mut some, mut unknown) = (allowed.clone(), allowed, unknown);
        for (a, u) in answers {
            every = every.and(a);
            some = some.or(a);
            unknown = unknown.or(u);
        }
        let partial = some.minus(&every).minus(&unknown);
        Self { open: every, partial, unknown }
    }
}

/// What is allowed and what can't be told between two columns.
type Answer = (L4Set, L4Set);

/// Which pairs are wanted.
pub(super) struct Wanted<'w> {
    pub(super) client: &'w (dyn Fn(u32) -> bool + Sync),
    pub(super) server: &'w (dyn Fn(u32) -> bool + Sync),
    /// One of both must be.
    pub(super) here: &'w (dyn Fn(u32) -> bool + Sync),
    pub(super) ports: Option<&'w L4Set>,
}

/// What columns get of one row: indices into its answers, by column. Columns that get nothing are left out.
struct Spread {
    of: Vec<(u32, u32)>,
    answers: Vec<Answer>,
}

impl Spread {
    /// What these columns get of a row.
    fn new(matrix: &Matrix<'_>, row: Option<&Row>, clients: &Set) -> Self {
        let (mut of, mut answers) = (Vec::new(), vec![Answer::default()]);
        for answer in row.map(|row| matrix.answers_for(row, clients)).unwrap_or_default() {
            of.extend(answer.clients.iter().map(|column| (column, answers.len() as u32)));
            answers.push((answer.connections.allowed, answer.connections.unknown));
        }
        of.sort_unstable();
        Self { of, answers }
    }

    /// The answer for a column; the first is that of columns that get nothing.
    fn of(&self, column: u32) -> u32 {
        self.of.binary_search_by_key(&column, |(c, _)| *c).map_or(0, |at| self.of[at].1)
    }
}

/// Ends with the same columns.
struct Kinds {
    columns: Vec<Vec<u32>>,
    members: Vec<Vec<u32>>,
    pods: Vec<bool>,
}

impl Kinds {
    /// The kinds that have a part in each column.
    fn by_column(&self, columns: u32) -> Vec<Vec<u32>> {
        let mut out = vec![Vec::new(); columns as usize];
        for (kind, of) in self.columns.iter().enumerate() {
            of.iter().for_each(|column| out[*column as usize].push(kind as u32));
        }
        out
    }
}

fn kinds(ends: &[End], wanted: &dyn Fn(u32) -> bool, here: Option<&dyn Fn(u32) -> bool>) -> Kinds {
    let mut ids: FxHashMap<(Vec<u32>, bool, bool), usize> = FxHashMap::default();
    let mut out = Kinds { columns: Vec::new(), members: Vec::new(), pods: Vec::new() };
    for (index, end) in ends.iter().enumerate().filter(|(i, e)| wanted(*i as u32) && !e.columns.is_empty()) {
        let columns: Vec<u32> = end.columns.iter().map(|c| c.index).collect();
        let key = (columns, end.is_pods(), here.is_some_and(|h| h(index as u32)));
        let id = *ids.entry(key).or_insert_with_key(|(columns, pods, _)| {
            out.columns.push(columns.clone());
            out.members.push(Vec::new());
            out.pods.push(*pods);
            out.members.len() - 1
        });
        out.members[id].push(index as u32);
    }
    out
}

/// What servers have in common: rows, whether they are pods, whether they are in a namespace that was asked for.
type Concerned = (Vec<u32>, bool, bool);

/// The edges, ordered by their servers and clients.
pub(super) fn edges(matrix: &Matrix<'_>, ends: &[End], wanted: &Wanted<'_>) -> Vec<Edge> {
    let here = |end: u32| (wanted.here)(end);
    let clients = kinds(ends, &wanted.client, Some(&here));
    let servers = kinds(ends, &wanted.server, Some(&here));
    // Servers in the same rows, apart by whether they are pods, and whether they are in a namespace that was asked for.
    let mut groups: FxHashMap<Concerned, Vec<usize>> = FxHashMap::default();
    for (kind, columns) in servers.columns.iter().enumerate() {
        let mut rows: Vec<u32> = columns.iter().filter_map(|c| matrix.row_index(*c)).collect();
        rows.sort_unstable();
        rows.dedup();
        let asked = servers.members[kind].first().is_some_and(|e| here(*e));
        groups.entry((rows, servers.pods[kind], asked)).or_default().push(kind);
    }
    let mut groups: Vec<(Concerned, Vec<usize>)> = groups.into_iter().collect();
    groups.sort();
    let by_column = clients.by_column(matrix.len());
    // Rules name many addresses that nobody asked for.
    let asked_for = (0..matrix.len()).filter(|column| !by_column[*column as usize].is_empty());
    let clients = Clients { kinds: clients, by_column: &by_column, columns: matrix.set(asked_for) };
    let found: Vec<Vec<Edge>> = groups
        .par_iter()
        .map(|((rows, pods, asked), kinds)| {
            let members = || -> Vec<u32> {
                let mut all: Vec<u32> = kinds.iter().flat_map(|k| servers.members[*k].iter().copied()).collect();
                all.sort_unstable();
                all
            };
            group(matrix, &clients, rows, wanted, (*pods, *asked))
                .into_iter()
                .map(|(ports, clients)| Edge { clients, servers: members(), ports })
                .collect()
        })
        .collect();
    let mut merged: FxHashMap<(Ports, Vec<u32>), Vec<u32>> = FxHashMap::default();
    for edge in found.into_iter().flatten() {
        merged.entry((edge.ports, edge.clients)).or_default().extend(edge.servers);
    }
    let mut out: Vec<Edge> = merged
        .into_iter()
        .map(|((ports, clients), mut servers)| {
            servers.sort_unstable();
            Edge { clients, servers, ports }
        })
        // One end on both sides would read as its pods among each other, which is answered below.
        .filter(|e| !e.is_loop())
        .collect();
    out.extend(loops(matrix, ends, wanted));
    out.sort_by(|a, b| (&a.clients, &a.servers, &a.ports).cmp(&(&b.clients, &b.servers, &b.ports)));
    out
}

/// The clients that are wanted.
struct Clients<'k> {
    kinds: Kinds,
    /// The kinds that have a part in each column.
    by_column: &'k [Vec<u32>],
    columns: Set,
}

/// The clients of a group of servers, by ports.
fn group(
    matrix: &Matrix<'_>,
    clients: &Clients<'_>,
    rows: &[u32],
    wanted: &Wanted<'_>,
    (pods, asked): (bool, bool),
) -> Vec<(Ports, Vec<u32>)> {
    let spread = |row: &u32| Spread::new(matrix, matrix.rows().get(*row as usize), &clients.columns);
    let spreads: Vec<Spread> = rows.iter().map(spread).collect();
    let Clients { kinds: clients, by_column, .. } = clients;
    let columns = spreads.iter().flat_map(|s| &s.of).map(|(column, _)| *column);
    let mut kinds: Vec<u32> = columns.flat_map(|column| &by_column[column as usize]).copied().collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut known: FxHashMap<Vec<(u32, u32)>, Ports> = FxHashMap::default();
    let mut out: FxHashMap<Ports, Vec<u32>> = FxHashMap::default();
    for kind in kinds {
        let kind = kind as usize;
        // Policies concern pods: what passes between two ends that are none isn't known here.
        if !pods && !clients.pods[kind] {
            continue;
        }
        let members = &clients.members[kind];
        if !asked && !members.first().is_some_and(|e| (wanted.here)(*e)) {
            continue;
        }
        let mut key: Vec<(u32, u32)> = clients.columns[kind]
            .iter()
            .flat_map(|c| spreads.iter().enumerate().map(|(row, s)| (row as u32, s.of(*c))))
            .collect();
        key.sort_unstable();
        key.dedup();
        let ports = known.entry(key).or_insert_with_key(|key| {
            let all = Ports::over(key.iter().map(|(row, answer)| &spreads[*row as usize].answers[*answer as usize]));
            wanted.ports.map_or(all.clone(), |p| all.within(p))
        });
        if !ports.is_empty() {
            match out.get_mut(ports) {
                Some(all) => all.extend(members),
                None => drop(out.insert(ports.clone(), members.clone())),
            }
        }
    }
    for members in out.values_mut() {
        members.sort_unstable();
    }
    out.into_iter().collect()
}

/// The pods of each workload among each other. A pod always reaches itself, which is no edge.
fn loops(matrix: &Matrix<'_>, ends: &[End], wanted: &Wanted<'_>) -> Vec<Edge> {
    let one = |(index, end): (usize, &End)| {
        let index = index as u32;
        let asked = (wanted.client)(index) && (wanted.server)(index) && (wanted.here)(index);
        if !asked || !end.is_pods() || !end.has_pairs() {
            return None;
        }
        let pairs = end.columns.iter().flat_map(|c| end.columns.iter().map(move |s| (c, s)));
        let answers: Vec<Answer> = pairs
            .filter(|(c, s)| c.index != s.index || c.pods > 1 || end.template)
            .map(|(c, s)| {
                let between = matrix.at(c.index, s.index);
                (between.allowed, between.unknown)
            })
            .collect();
        let ports = Ports::over(&answers);
        let ports = wanted.ports.map_or(ports.clone(), |p| ports.within(p));
        (!ports.is_empty()).then(|| Edge { clients: vec![index], servers: vec![index], ports })
    };
    ends.iter().enumerate().filter_map(one).collect()
}
