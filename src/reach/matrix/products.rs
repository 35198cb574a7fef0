//! Clients by ports, as a sum of products: each is a set of clients on a set of ports, and they may overlap.
//!
//! Rules come as such products. Cutting the ports where any of them begins or ends would make one part of each piece:
//! sixty rules of ten port ranges are a thousand pieces, each with a set of its own. Kept apart they stay sixty.

use rustc_hash::FxHashMap;

use super::ports::L4Set;
use super::sets::Set;

/// Clients on ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) ports: L4Set,
    pub(super) clients: Set,
}

/// Who passes on which ports: whoever is in a product of `yes`. It can't be told of those that are in none of these, but
/// in one of `maybe`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) yes: Vec<Product>,
    pub(super) maybe: Vec<Product>,
}

/// Products up to which neighbours are looked for one by one.
const FEW: usize = 12;

fn same(a: &Product, b: &Product) -> bool {
    a.ports.is_same(&b.ports) && a.clients == b.clients
}

/// Enters a product, unless it holds nothing.
pub(super) fn push(to: &mut Vec<Product>, ports: L4Set, clients: Set) {
    if !ports.is_empty() && !clients.is_empty() {
        to.push(Product { ports, clients });
    }
}

/// Joins products with equal ports, then those with equal clients.
fn tidy(mut all: Vec<Product>, n: u32) -> Vec<Product> {
    if let Some(groups) = by_key(&all, |p| &p.ports) {
        let joined = |group: &Vec<u32>| Product {
            ports: all[group[0] as usize].ports.clone(),
            clients: Set::union(group.iter().map(|p| &all[*p as usize].clients), n),
        };
        all = groups.iter().map(joined).collect();
    }
    if let Some(groups) = by_key(&all, |p| &p.clients) {
        let joined = |group: &Vec<u32>| {
            let first = all[group[0] as usize].ports.clone();
            Product {
                ports: group[1..].iter().fold(first, |ports, p| ports.or(&all[*p as usize].ports)),
                clients: all[group[0] as usize].clients.clone(),
            }
        };
        all = groups.iter().map(joined).collect();
    }
    all
}

/// Indices of products by a part of them, in order of the first; none where no two are alike, as in most sums.
fn by_key<K: Eq + std::hash::Hash>(all: &[Product], key: impl Fn(&Product) -> &K) -> Option<Vec<Vec<u32>>> {
    let alike = |(index, product): (usize, &Product)| all[..index].iter().any(|p| key(p) == key(product));
    if all.len() <= FEW && !all.iter().enumerate().any(alike) {
        return None;
    }
    let mut known: FxHashMap<&K, usize> = FxHashMap::default();
    let mut at: Vec<usize> = Vec::with_capacity(all.len());
    for product in all {
        let next = known.len();
        at.push(*known.entry(key(product)).or_insert(next));
    }
    if known.len() == all.len() {
        return None;
    }
    let mut groups: Vec<Vec<u32>> = vec![Vec::new(); known.len()];
    for (index, group) in at.into_iter().enumerate() {
        groups[group].push(index as u32);
    }
    Some(groups)
}

/// What is in a product of both sums, joined with what is there already.
fn times(a: &[Product], b: &[Product], n: u32, to: &mut Vec<Product>) {
    for x in a {
        for y in b {
            let ports = x.ports.and(&y.ports);
            if !ports.is_empty() {
                push(to, ports, x.clients.and(&y.clients, n));
            }
        }
    }
}

impl Leg {
    /// Everyone on every port.
    pub(super) fn open(n: u32) -> Self {
        Self { yes: vec![Product { ports: L4Set::all(), clients: Set::all(n) }], maybe: Vec::new() }
    }

    /// Joins what can be joined.
    pub(super) fn tidied(self, n: u32) -> Self {
        Self { yes: tidy(self.yes, n), maybe: tidy(self.maybe, n) }
    }

    fn is_open(&self, n: u32) -> bool {
        matches!(self.yes.as_slice(), [one] if one.ports.is_all() && one.clients.is_all(n)) && self.maybe.is_empty()
    }

    /// The leg for some clients only.
    pub(super) fn among(&self, clients: &Set, n: u32) -> Self {
        let some = |all: &[Product]| {
            let mut out = Vec::with_capacity(all.len());
            all.iter().for_each(|p| push(&mut out, p.ports.clone(), p.clients.and(clients, n)));
            out
        };
        Self { yes: some(&self.yes), maybe: some(&self.maybe) }
    }

    /// A leg for some clients and another for the others.
    pub(super) fn with(mut self, other: Self, n: u32) -> Self {
        self.yes.extend(other.yes);
        self.maybe.extend(other.maybe);
        self.tidied(n)
    }

    /// A flow needs the client's egress and the server's ingress (SEMANTICS 6).
    pub(super) fn both(&self, other: &Self, n: u32) -> Self {
        if self.is_open(n) {
            return other.clone();
        }
        if other.is_open(n) {
            return self.clone();
        }
        let mut out = Self::default();
        times(&self.yes, &other.yes, n, &mut out.yes);
        times(&self.yes, &other.maybe, n, &mut out.maybe);
        times(&self.maybe, &other.yes, n, &mut out.maybe);
        times(&self.maybe, &other.maybe, n, &mut out.maybe);
        out.tidied(n)
    }

    /// What all choices of a profile agree on; the rest can't be told.
    pub(super) fn agree(&self, other: &Self, n: u32) -> Self {
        // What both hold as it is, they agree on; the rest of each is held against all of the other.
        let apart = |a: &[Product], b: &[Product]| -> (Vec<Product>, Vec<Product>) {
            a.iter().cloned().partition(|p| b.iter().any(|q| same(p, q)))
        };
        let (mut yes, mine) = apart(&self.yes, &other.yes);
        let (_, theirs) = apart(&other.yes, &self.yes);
        if mine.is_empty() && theirs.is_empty() && self.maybe == other.maybe {
            return self.clone();
        }
        // (A + X)(A + Y) = A + XY.
        times(&mine, &theirs, n, &mut yes);
        let mut maybe = mine;
        maybe.extend(theirs);
        maybe.extend(self.maybe.iter().chain(&other.maybe).cloned());
        Self { yes, maybe }.tidied(n)
    }
}
