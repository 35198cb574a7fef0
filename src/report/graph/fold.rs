//! Many pairs of namespaces as few lines: what has one side in common is one line, the largest such star first.

use std::collections::{BTreeMap, BinaryHeap};

/// A pair of namespaces, with how many pairs of their workloads are open, and how many partial or unknown.
pub(super) type Pair<'n> = ((&'n str, &'n str), [u64; 2]);

/// A line: from, to, counts.
pub(super) type Line = (String, String, [u64; 2]);

/// Pairs from which on a star is one line.
const STAR: usize = 6;

/// One side of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    From,
    To,
}

/// Lines for pairs; those that are in no star stay by themselves. Most pairs first. What isn't a namespace (nodes, what is
/// outside) is never one of several in a line.
pub(super) fn fold(pairs: &[Pair<'_>], is_namespace: &dyn Fn(&str) -> bool) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut left: Vec<bool> = vec![true; pairs.len()];
    let within: Vec<usize> =
        (0..pairs.len()).filter(|i| pairs[*i].0.0 == pairs[*i].0.1 && is_namespace(pairs[*i].0.0)).collect();
    if within.len() >= STAR {
        lines.push((format!("{} namespaces", within.len()), "themselves".to_owned(), sum(pairs, &within)));
        within.iter().for_each(|i| left[*i] = false);
    }
    let mut stars: BTreeMap<(Side, &str), Vec<usize>> = BTreeMap::new();
    for (index, ((from, to), _)) in pairs.iter().enumerate().filter(|(i, _)| left[*i]) {
        if is_namespace(to) {
            stars.entry((Side::From, from)).or_default().push(index);
        }
        if is_namespace(from) {
            stars.entry((Side::To, to)).or_default().push(index);
        }
    }
    let mut heap: BinaryHeap<(usize, std::cmp::Reverse<(Side, &str)>)> =
        stars.iter().map(|(key, members)| (members.len(), std::cmp::Reverse(*key))).collect();
    while let Some((size, std::cmp::Reverse(key))) = heap.pop() {
        let members: Vec<usize> = stars[&key].iter().copied().filter(|i| left[*i]).collect();
        if members.len() < STAR {
            continue;
        }
        if members.len() < size {
            // Others took some of it: it may not be the largest any more.
            heap.push((members.len(), std::cmp::Reverse(key)));
            continue;
        }
        let many = format!("{} namespaces", members.len());
        let counts = sum(pairs, &members);
        lines.push(match key {
            (Side::From, name) => (name.to_owned(), many, counts),
            (Side::To, name) => (many, name.to_owned(), counts),
        });
        members.iter().for_each(|i| left[*i] = false);
    }
    let alone = pairs.iter().zip(&left).filter(|(_, left)| **left);
    lines.extend(alone.map(|(((from, to), counts), _)| ((*from).to_owned(), (*to).to_owned(), *counts)));
    lines.sort_by(|a, b| (b.2[0] + b.2[1]).cmp(&(a.2[0] + a.2[1])).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
    lines
}

fn sum(pairs: &[Pair<'_>], members: &[usize]) -> [u64; 2] {
    members.iter().fold([0, 0], |[a, b], i| [a + pairs[*i].1[0], b + pairs[*i].1[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_are_lines_and_every_pair_is_in_one() {
        let names: Vec<String> = (0..9).map(|n| format!("ns-{n}")).collect();
        let mut pairs: Vec<Pair<'_>> = Vec::new();
        for name in &names {
            pairs.push(((name, "dns"), [2, 0]));
            pairs.push((("monitoring", name), [3, 1]));
            pairs.push(((name, name), [1, 0]));
        }
        pairs.push((("monitoring", "internet"), [4, 0]));
        pairs.push((("a", "b"), [5, 0]));
        let is_namespace = |name: &str| name != "internet";
        let line = |from: &str, to: &str, open, rest| (from.to_owned(), to.to_owned(), [open, rest]);
        assert_eq!(
            fold(&pairs, &is_namespace),
            [
                line("monitoring", "9 namespaces", 27, 9),
                line("9 namespaces", "dns", 18, 0),
                line("9 namespaces", "themselves", 9, 0),
                line("a", "b", 5, 0),
                line("monitoring", "internet", 4, 0),
            ]
        );
        assert_eq!(fold(&pairs[..3], &is_namespace).len(), 3, "few pairs stay as they are");
    }
}
