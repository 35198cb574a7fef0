//! The rows of the matrix: servers with the same clients.
//!
//! Legs of both directions and all layers come in; each distinct combination is joined once. A row keeps clients and ports
//! as the rules give them: its parts may overlap. What one client gets, or all clients by what they get, is put together
//! when it is asked for.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::Connections;
use super::columns::Columns;
use super::legs::Legs;
use super::ports::L4Set;
use super::products::Leg;
use super::sets::Set;
use crate::model::Cluster;
use crate::policy::Policies;

/// Ports of a row, and its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Ports; those of different parts of a row may overlap.
    pub ports: L4Set,
    /// Clients that pass.
    pub allowed: Set,
    /// Clients for which it can't be told, where no other part lets them pass on the same ports.
    pub unknown: Set,
}

/// Servers with the same clients.
#[derive(Clone, Debug)]
pub struct Row {
    /// The servers.
    pub servers: Set,
    /// Who reaches them; ports on which nobody does are left out.
    pub parts: Vec<Part>,
}

/// Clients that get the same of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The clients.
    pub clients: Set,
    /// What they get.
    pub connections: Connections,
}

impl Row {
    /// What a client gets.
    pub fn of_client(&self, client: u32) -> Connections {
        let mut out = Connections::default();
        for part in &self.parts {
            if part.allowed.contains(client) {
                out.allowed = out.allowed.or(&part.ports);
            } else if part.unknown.contains(client) {
                out.unknown = out.unknown.or(&part.ports);
            }
        }
        out.settle();
        out
    }

    /// The row for some clients only. `n` is the number of columns.
    pub(super) fn among(&self, clients: &Set, n: u32) -> Self {
        Self { servers: self.servers.clone(), parts: among(&self.parts, clients, n) }
    }

    /// Clients by what they get, in order: whoever gets anything is in one answer. `n` is the number of columns.
    pub(super) fn answers(&self, n: u32) -> Vec<Answer> {
        let answer = |(clients, [connections]): (Set, [Connections; 1])| Answer { clients, connections };
        answers([self.parts.as_slice()], n).into_iter().map(answer).collect()
    }
}

/// Clients by what they get of several rows at once, in order; those that get nothing of any are left out.
pub(super) fn answers<const K: usize>(rows: [&[Part]; K], n: u32) -> Vec<(Set, [Connections; K])> {
    let parts: Vec<(usize, &Part)> =
        rows.into_iter().enumerate().flat_map(|(row, parts)| parts.iter().map(move |p| (row, p))).collect();
    // Where clients of a part begin and end, part by part: between two such places all clients get the same.
    let mut steps: Vec<(u32, u32)> = Vec::new();
    for (index, (_, part)) in parts.iter().enumerate() {
        for (set, which) in [(&part.allowed, 0), (&part.unknown, 1)] {
            set.each_run(|(start, end)| {
                let which = 2 * index as u32 + which;
                steps.extend([(start, which), (end, which)]);
            });
        }
    }
    steps.sort_unstable();
    let mut ids: FxHashMap<Vec<u32>, usize> = FxHashMap::default();
    let mut runs: Vec<Vec<(u32, u32)>> = Vec::new();
    let mut inside: Vec<u32> = Vec::new();
    let mut at = 0;
    while at < steps.len() {
        let place = steps[at].0;
        while let Some((_, which)) = steps.get(at).filter(|s| s.0 == place) {
            match inside.binary_search(which) {
                Ok(known) => drop(inside.remove(known)),
                Err(new) => inside.insert(new, *which),
            }
            at += 1;
        }
        let Some((end, _)) = steps.get(at).filter(|_| !inside.is_empty()) else { continue };
        let id = match ids.get(&inside) {
            Some(id) => *id,
            None => {
                ids.insert(inside.clone(), runs.len());
                runs.push(Vec::new());
                runs.len() - 1
            }
        };
        runs[id].push((place, *end));
    }
    let mut by_answer: FxHashMap<[Connections; K], Vec<(u32, u32)>> = FxHashMap::default();
    for (inside, id) in ids {
        let mut connections: [Connections; K] = std::array::from_fn(|_| Connections::default());
        for which in inside {
            let (row, part) = parts[which as usize / 2];
            let to = &mut connections[row];
            let to = if which % 2 == 0 { &mut to.allowed } else { &mut to.unknown };
            *to = to.or(&part.ports);
        }
        connections.iter_mut().for_each(Connections::settle);
        by_answer.entry(connections).or_default().append(&mut runs[id]);
    }
    let mut out: Vec<(u32, (Set, [Connections; K]))> = by_answer
        .into_iter()
        .map(|(connections, mut runs)| {
            runs.sort_unstable();
            (runs[0].0, (Set::from_sorted_runs(runs, n), connections))
        })
        .collect();
    out.sort_unstable_by_key(|(first, _)| *first);
    out.into_iter().map(|(_, answer)| answer).collect()
}

/// Parts for some clients only.
pub(super) fn among(parts: &[Part], clients: &Set, n: u32) -> Vec<Part> {
    let part = |part: &Part| Part {
        ports: part.ports.clone(),
        allowed: part.allowed.and(clients, n),
        unknown: part.unknown.and(clients, n),
    };
    parts.iter().map(part).filter(|p| !p.allowed.is_empty() || !p.unknown.is_empty()).collect()
}

/// Pods that a policy which can't be evaluated may touch: it may allow what is denied, or deny what is allowed.
#[derive(Debug)]
pub(super) struct Taint {
    pods: Set,
}

impl Taint {
    pub(super) fn new(cluster: &Cluster, policies: &Policies, columns: &Columns) -> Self {
        let n = columns.universe;
        let mut touched: Vec<(u32, u32)> = Vec::new();
        for policy in &policies.unsupported {
            match policy.namespace {
                None => touched.push((0, columns.pod_classes())),
                Some(namespace) if namespace.index() < cluster.namespaces.len() => {
                    touched.push(columns.of_namespace[namespace.index()]);
                }
                Some(_) => {}
            }
        }
        touched.sort_unstable();
        Self { pods: Set::from_sorted_runs(touched, n) }
    }

    pub(super) fn touches(&self, server: u32) -> bool {
        self.pods.contains(server)
    }

    pub(super) fn apply(&self, server_is_touched: bool, parts: &mut Vec<Part>, n: u32) {
        if self.pods.is_empty() {
            return;
        }
        if server_is_touched {
            *parts = vec![Part { ports: L4Set::all(), allowed: Set::empty(), unknown: Set::all(n) }];
            return;
        }
        for part in parts.iter_mut() {
            part.allowed = part.allowed.minus(&self.pods, n);
            part.unknown = part.unknown.minus(&self.pods, n);
        }
        parts.retain(|p| !p.allowed.is_empty() || !p.unknown.is_empty());
        parts.push(Part { ports: L4Set::all(), allowed: Set::empty(), unknown: self.pods.clone() });
    }
}

pub(super) fn parts(leg: Leg) -> Vec<Part> {
    let part = |product: super::products::Product| Part {
        ports: product.ports,
        allowed: product.clients,
        unknown: Set::empty(),
    };
    let mut out: Vec<Part> = leg.yes.into_iter().map(part).collect();
    let certain = out.len();
    for product in leg.maybe {
        match out[..certain].iter_mut().find(|p| p.ports == product.ports) {
            Some(part) => part.unknown = product.clients,
            None => out.push(Part { ports: product.ports, allowed: Set::empty(), unknown: product.clients }),
        }
    }
    out
}

/// Joins the legs of every layer into rows; equal ones are worked out once. Also the row of each server.
pub(super) fn rows(legs: &[[Legs; 2]], taint: &Taint, n: u32) -> (Vec<Row>, Vec<u32>) {
    let touched: Vec<u32> = (0..n).map(|server| u32::from(taint.pods.contains(server))).collect();
    let mut row_of = vec![0u32; n as usize];
    let mut count = 0;
    for of in std::iter::once(&touched).chain(legs.iter().flatten().map(|l| &l.of)) {
        let mut ids: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        for (row, leg) in row_of.iter_mut().zip(of) {
            let next = ids.len() as u32;
            *row = *ids.entry((*row, *leg)).or_insert(next);
        }
        count = ids.len();
    }
    let mut servers: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (server, row) in row_of.iter().enumerate() {
        servers[*row as usize].push(server as u32);
    }
    let rows = servers
        .into_par_iter()
        .with_min_len(64)
        .map(|servers| {
            let first = servers[0] as usize;
            let joined = legs
                .iter()
                .map(|[ingress, egress]| ingress.of_server(first).both(egress.of_server(first), n))
                .reduce(|a, b| a.agree(&b, n))
                .unwrap_or_else(|| Leg::open(n));
            let mut parts = parts(joined);
            taint.apply(touched[first] != 0, &mut parts, n);
            Row { servers: Set::from_sorted(servers, n), parts }
        })
        .collect();
    (rows, row_of)
}
