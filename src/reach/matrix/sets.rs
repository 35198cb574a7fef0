//! Sets of columns: sorted runs where they are few, a bitset where they are many.
//!
//! Classes are numbered namespace by namespace, so that "the pods of a namespace", "every pod", and what `NotIn` and
//! `DoesNotExist` leave over are all a few runs: the complement needs no form of its own. Every set has one form only, so
//! that equal sets compare and hash alike. What is larger than one run is shared: a copy costs nothing.

use std::sync::Arc;

/// A set of columns of one [`Matrix`](super::Matrix).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set(Repr);

/// A half-open interval of columns.
type Run = (u32, u32);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Repr {
    #[default]
    Empty,
    Run([Run; 1]),
    /// Two or more: disjoint, sorted, never touching.
    Runs(Arc<[Run]>),
    /// One bit a column; bits past the universe are zero.
    Dense(Arc<[u64]>),
}

impl Repr {
    /// As runs, unless it is a bitset.
    fn runs(&self) -> Result<&[Run], &[u64]> {
        match self {
            Self::Empty => Ok(&[]),
            Self::Run(run) => Ok(run),
            Self::Runs(runs) => Ok(runs),
            Self::Dense(words) => Err(words),
        }
    }
}

/// Words of a bitset over `universe` columns.
pub(super) fn words(universe: u32) -> usize {
    universe.div_ceil(64) as usize
}

/// Runs up to which a set is kept as runs: where they take half of a bitset's room.
fn most_runs(universe: u32) -> usize {
    (words(universe) / 2).max(4)
}

/// Calls `f` with each word that a run touches and the mask of the run in it.
fn each_word(run: Run, mut f: impl FnMut(usize, u64)) {
    let (start, end) = run;
    if start >= end {
        return;
    }
    let (first, last) = ((start / 64) as usize, ((end - 1) / 64) as usize);
    let head = u64::MAX << (start % 64);
    let tail = u64::MAX >> (63 - (end - 1) % 64);
    if first == last {
        f(first, head & tail);
        return;
    }
    f(first, head);
    for word in first + 1..last {
        f(word, u64::MAX);
    }
    f(last, tail);
}

impl Set {
    /// No column.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Every column.
    pub(super) fn all(universe: u32) -> Self {
        Self::range(0, universe)
    }

    /// The columns from `start` up to `end`, that one left out.
    pub(super) fn range(start: u32, end: u32) -> Self {
        if start >= end { Self::empty() } else { Self(Repr::Run([(start, end)])) }
    }

    /// From runs that are sorted by their start and may touch or overlap.
    pub(super) fn from_sorted_runs(runs: impl IntoIterator<Item = Run>, universe: u32) -> Self {
        let mut out: Vec<Run> = Vec::new();
        // The first run is held back: most sets have no other.
        let mut last: Run = (0, 0);
        for (start, end) in runs {
            if start >= end {
                continue;
            }
            if last.0 >= last.1 {
                last = (start, end);
            } else if start <= last.1 {
                last.1 = last.1.max(end);
            } else {
                out.push(last);
                last = (start, end);
            }
        }
        if out.is_empty() {
            return Self::range(last.0, last.1);
        }
        out.push(last);
        Self::of_runs(&out, universe)
    }

    /// From columns in order; equal ones may follow each other.
    pub(super) fn from_sorted(columns: impl IntoIterator<Item = u32>, universe: u32) -> Self {
        Self::from_sorted_runs(columns.into_iter().map(|c| (c, c + 1)), universe)
    }

    fn of_runs(runs: &[Run], universe: u32) -> Self {
        match runs {
            [] => return Self::empty(),
            [run] => return Self(Repr::Run([*run])),
            _ => {}
        }
        if runs.len() <= most_runs(universe) {
            return Self(Repr::Runs(Arc::from(runs)));
        }
        let mut bits = vec![0u64; words(universe)];
        for run in runs {
            each_word(*run, |word, mask| bits[word] |= mask);
        }
        Self(Repr::Dense(Arc::from(bits)))
    }

    /// From a bitset over `universe` columns.
    pub(super) fn of_words(bits: &[u64], universe: u32) -> Self {
        let mut carry = 0;
        let mut starts = 0;
        for word in bits {
            starts += (word & !(word << 1 | carry)).count_ones() as usize;
            carry = word >> 63;
        }
        if starts == 0 {
            return Self::empty();
        }
        if starts > most_runs(universe) {
            return Self(Repr::Dense(Arc::from(bits)));
        }
        let mut runs: Vec<Run> = Vec::with_capacity(starts);
        runs_of_words(bits, |run| match runs.last_mut() {
            Some(last) if last.1 == run.0 => last.1 = run.1,
            _ => runs.push(run),
        });
        Self::of_runs(&runs, universe)
    }

    /// Ors the set into a bitset.
    pub(super) fn add_to(&self, bits: &mut [u64]) {
        match self.0.runs() {
            Ok(runs) => {
                for run in runs {
                    each_word(*run, |word, mask| bits[word] |= mask);
                }
            }
            Err(words) => {
                for (to, from) in bits.iter_mut().zip(words) {
                    *to |= from;
                }
            }
        }
    }

    fn to_words(&self, universe: u32) -> Vec<u64> {
        match &self.0 {
            Repr::Dense(words) => words.to_vec(),
            _ => {
                let mut bits = vec![0u64; words(universe)];
                self.add_to(&mut bits);
                bits
            }
        }
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Empty)
    }

    /// Whether it holds every column.
    pub(super) fn is_all(&self, universe: u32) -> bool {
        universe == 0 || matches!(&self.0, Repr::Run([(0, end)]) if *end == universe)
    }

    /// How many columns it holds.
    pub fn len(&self) -> usize {
        match self.0.runs() {
            Ok(runs) => runs.iter().map(|(s, e)| (e - s) as usize).sum(),
            Err(words) => words.iter().map(|w| w.count_ones() as usize).sum(),
        }
    }

    /// Its first column.
    pub fn first(&self) -> Option<u32> {
        self.iter().next()
    }

    /// Whether it holds a column.
    pub fn contains(&self, column: u32) -> bool {
        match self.0.runs() {
            Ok([]) => false,
            Ok([(start, end)]) => (*start..*end).contains(&column),
            Ok(runs) => {
                let after = runs.partition_point(|(start, _)| *start <= column);
                after > 0 && column < runs[after - 1].1
            }
            Err(words) => words.get((column / 64) as usize).is_some_and(|w| w >> (column % 64) & 1 == 1),
        }
    }

    /// Calls `f` with its runs, in order; neighbours may touch.
    pub(super) fn each_run(&self, mut f: impl FnMut(Run)) {
        match self.0.runs() {
            Ok(runs) => runs.iter().copied().for_each(f),
            Err(words) => runs_of_words(words, &mut f),
        }
    }

    /// Its columns, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (runs, words): (&[Run], &[u64]) = match self.0.runs() {
            Ok(runs) => (runs, &[]),
            Err(words) => (&[], words),
        };
        let of_words = words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(index as u32 * 64 + bit)
            })
        });
        runs.iter().flat_map(|(s, e)| *s..*e).chain(of_words)
    }

    /// A measure of what it costs to go through it.
    pub(super) fn cost(&self) -> usize {
        match self.0.runs() {
            Ok(runs) => runs.len(),
            Err(words) => words.len(),
        }
    }

    /// The columns in either.
    #[must_use]
    pub(super) fn or(&self, other: &Self, universe: u32) -> Self {
        if self.is_empty() || other.is_all(universe) {
            return other.clone();
        }
        if other.is_empty() || self.is_all(universe) {
            return self.clone();
        }
        if let (Ok(a), Ok(b)) = (self.0.runs(), other.0.runs()) {
            let (mut x, mut y) = (a.iter().copied().peekable(), b.iter().copied().peekable());
            let merged = std::iter::from_fn(|| match (x.peek(), y.peek()) {
                (Some(p), Some(q)) if p.0 <= q.0 => x.next(),
                (_, Some(_)) => y.next(),
                (_, None) => x.next(),
            });
            return Self::from_sorted_runs(merged, universe);
        }
        let mut bits = self.to_words(universe);
        other.add_to(&mut bits);
        Self::of_words(&bits, universe)
    }

    /// The columns in both.
    #[must_use]
    pub(super) fn and(&self, other: &Self, universe: u32) -> Self {
        if self.is_empty() || other.is_all(universe) {
            return self.clone();
        }
        if other.is_empty() || self.is_all(universe) {
            return other.clone();
        }
        match (self.0.runs(), other.0.runs()) {
            (Ok([one]), Ok(runs)) | (Ok(runs), Ok([one])) => {
                let from = runs.partition_point(|r| r.1 <= one.0);
                let held = runs[from..].iter().take_while(|r| r.0 < one.1);
                Self::from_sorted_runs(held.map(|r| (r.0.max(one.0), r.1.min(one.1))), universe)
            }
            (Ok(a), Ok(b)) => {
                let (mut x, mut y) = (0, 0);
                let both = std::iter::from_fn(|| {
                    while let (Some(p), Some(q)) = (a.get(x), b.get(y)) {
                        let (start, end) = (p.0.max(q.0), p.1.min(q.1));
                        if p.1 < q.1 {
                            x += 1
                        } else {
                            y += 1
                        }
                        if start < end {
                            return Some((start, end));
                        }
                    }
                    None
                });
                Self::from_sorted_runs(both, universe)
            }
            (Ok(runs), Err(dense)) | (Err(dense), Ok(runs)) => {
                let columns: u64 = runs.iter().map(|(s, e)| u64::from(e - s)).sum();
                if columns <= words(universe) as u64 {
                    let held = |c: &u32| dense[(*c / 64) as usize] >> (c % 64) & 1 == 1;
                    return Self::from_sorted(runs.iter().flat_map(|(s, e)| *s..*e).filter(held), universe);
                }
                let mut bits = vec![0u64; words(universe)];
                for run in runs {
                    each_word(*run, |word, mask| bits[word] |= dense[word] & mask);
                }
                Self::of_words(&bits, universe)
            }
            (Err(a), Err(b)) => {
                let bits: Vec<u64> = a.iter().zip(b).map(|(x, y)| x & y).collect();
                Self::of_words(&bits, universe)
            }
        }
    }

    /// The columns in this set and not in the other.
    #[must_use]
    pub(super) fn minus(&self, other: &Self, universe: u32) -> Self {
        if self.is_empty() || other.is_empty() {
            return self.clone();
        }
        if other.is_all(universe) {
            return Self::empty();
        }
        match (self.0.runs(), other.0.runs()) {
            (Ok(a), Ok(b)) => {
                let mut out = Vec::new();
                let mut from = 0;
                for &(start, end) in a {
                    let mut at = start;
                    while b.get(from).is_some_and(|hole| hole.1 <= at) {
                        from += 1;
                    }
                    for hole in &b[from..] {
                        if hole.0 >= end {
                            break;
                        }
                        if hole.0 > at {
                            out.push((at, hole.0));
                        }
                        at = at.max(hole.1);
                    }
                    if at < end {
                        out.push((at, end));
                    }
                }
                Self::of_runs(&out, universe)
            }
            (_, Ok(holes)) => {
                let mut bits = self.to_words(universe);
                for hole in holes {
                    each_word(*hole, |word, mask| bits[word] &= !mask);
                }
                Self::of_words(&bits, universe)
            }
            (_, Err(holes)) => {
                let mut bits = self.to_words(universe);
                for (to, hole) in bits.iter_mut().zip(holes) {
                    *to &= !hole;
                }
                Self::of_words(&bits, universe)
            }
        }
    }

    /// The columns in any of these.
    pub(super) fn union<'a>(sets: impl IntoIterator<Item = &'a Self>, universe: u32) -> Self {
        let mut sets = sets.into_iter().filter(|s| !s.is_empty());
        let Some(first) = sets.next() else { return Self::empty() };
        let Some(second) = sets.next() else { return first.clone() };
        let Some(third) = sets.next() else { return first.or(second, universe) };
        let sets: Vec<&Self> = [first, second, third].into_iter().chain(sets).collect();
        let total: usize = sets.iter().map(|s| s.cost()).sum();
        if total <= most_runs(universe) && sets.iter().all(|s| s.0.runs().is_ok()) {
            let mut runs: Vec<Run> = Vec::with_capacity(total);
            for set in &sets {
                set.each_run(|run| runs.push(run));
            }
            runs.sort_unstable();
            return Self::from_sorted_runs(runs, universe);
        }
        let mut bits = vec![0u64; words(universe)];
        for chunk in sets.chunks(64) {
            for set in chunk {
                set.add_to(&mut bits);
            }
            // Many sets soon hold every column: what is left can't add to it.
            if sets.len() > 64 && is_full(&bits, universe) {
                return Self::all(universe);
            }
        }
        Self::of_words(&bits, universe)
    }
}

fn is_full(bits: &[u64], universe: u32) -> bool {
    let whole = (universe / 64) as usize;
    let rest = universe % 64;
    bits[..whole].iter().all(|w| *w == u64::MAX) && (rest == 0 || bits[whole] == u64::MAX >> (64 - rest))
}

fn runs_of_words(words: &[u64], mut f: impl FnMut(Run)) {
    let mut open: Option<u32> = None;
    for (index, word) in words.iter().enumerate() {
        let base = index as u32 * 64;
        match (*word, open) {
            (0, None) | (u64::MAX, Some(_)) => continue,
            (u64::MAX, None) => {
                open = Some(base);
                continue;
            }
            _ => {}
        }
        let mut at = 0;
        while at < 64 {
            let rest = word >> at;
            match open {
                None => {
                    if rest == 0 {
                        break;
                    }
                    at += rest.trailing_zeros();
                    open = Some(base + at);
                }
                Some(start) => {
                    let ones = rest.trailing_ones();
                    at += ones;
                    if at < 64 {
                        f((start, base + at));
                        open = None;
                    }
                }
            }
        }
    }
    if let Some(start) = open {
        f((start, words.len() as u32 * 64));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const UNIVERSE: u32 = 700;

    fn columns() -> impl Strategy<Value = BTreeSet<u32>> {
        prop_oneof![
            prop::collection::btree_set(0..UNIVERSE, 0..8),
            prop::collection::btree_set(0..UNIVERSE, 200..500),
            (0..UNIVERSE, 0..UNIVERSE).prop_map(|(a, b)| (a.min(b)..a.max(b)).collect()),
            prop::collection::btree_set(0..UNIVERSE, 0..8)
                .prop_map(|holes| (0..UNIVERSE).filter(|c| !holes.contains(c)).collect()),
        ]
    }

    fn set(columns: &BTreeSet<u32>) -> Set {
        Set::from_sorted(columns.iter().copied(), UNIVERSE)
    }

    proptest! {
        #[test]
        fn algebra_agrees_with_plain_sets(a in columns(), b in columns(), c in columns()) {
            let (x, y, z) = (set(&a), set(&b), set(&c));
            let plain = |s: &Set| s.iter().collect::<BTreeSet<u32>>();
            prop_assert_eq!(plain(&x), a.clone());
            prop_assert_eq!(x.len(), a.len());
            prop_assert_eq!(x.is_empty(), a.is_empty());
            prop_assert_eq!(x.is_all(UNIVERSE), a.len() == UNIVERSE as usize);
            // Equal sets have one form, whatever they were made from.
            prop_assert_eq!(x.or(&y, UNIVERSE), set(&a.union(&b).copied().collect()));
            prop_assert_eq!(x.and(&y, UNIVERSE), set(&a.intersection(&b).copied().collect()));
            prop_assert_eq!(x.minus(&y, UNIVERSE), set(&a.difference(&b).copied().collect()));
            let all: BTreeSet<u32> = a.iter().chain(&b).chain(&c).copied().collect();
            prop_assert_eq!(Set::union([&x, &y, &z], UNIVERSE), set(&all));
            let many: Vec<&Set> = std::iter::repeat_n([&x, &y, &z], 50).flatten().collect();
            prop_assert_eq!(Set::union(many, UNIVERSE), set(&all));
            for column in 0..UNIVERSE {
                prop_assert_eq!(x.contains(column), a.contains(&column));
            }
            let mut runs = Vec::new();
            x.each_run(|run| runs.push(run));
            prop_assert_eq!(runs.iter().flat_map(|(s, e)| *s..*e).collect::<BTreeSet<u32>>(), a);
        }
    }
}
