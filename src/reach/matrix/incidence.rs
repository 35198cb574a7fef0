//! The other way round: from "which columns are in each set" to "which sets hold each column".

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

use super::sets::{Set, words};

/// For each column, the sets that hold it.
pub(super) struct Incidence {
    /// Where each column's list of small sets starts in `lists`.
    starts: Vec<u32>,
    lists: Vec<u32>,
    /// The sets that hold a good part of the columns, in order: a bit matrix, a row a column.
    large: Vec<u32>,
    bits: Vec<u64>,
    width: usize,
}

/// A set larger than this part of the universe goes into the bit matrix.
const LARGE: usize = 32;

impl Incidence {
    pub(super) fn new(sets: &[&Set], universe: u32) -> Self {
        let n = universe as usize;
        let mut counts = vec![0u32; n + 1];
        let mut large = Vec::new();
        for (index, set) in sets.iter().enumerate() {
            if set.len() * LARGE > n {
                large.push(index as u32);
            } else {
                set.each_run(|(start, end)| counts[start as usize + 1..=end as usize].iter_mut().for_each(|c| *c += 1));
            }
        }
        let mut total = 0;
        for count in &mut counts {
            total += *count;
            *count = total;
        }
        let mut next = counts.clone();
        let mut lists = vec![0u32; total as usize];
        for (index, set) in sets.iter().enumerate() {
            if set.len() * LARGE <= n {
                set.each_run(|(start, end)| {
                    for at in &mut next[start as usize..end as usize] {
                        lists[*at as usize] = index as u32;
                        *at += 1;
                    }
                });
            }
        }
        let width = large.len().div_ceil(64);
        let mut bits = vec![0u64; width * n];
        let per_set = words(universe);
        for (at, chunk) in large.chunks(64).enumerate() {
            let mut of_chunk: Vec<Vec<u64>> = vec![vec![0; per_set]; chunk.len()];
            for (to, index) in of_chunk.iter_mut().zip(chunk) {
                sets[*index as usize].add_to(to);
            }
            for word in 0..per_set {
                let mut block = [0u64; 64];
                for (row, set) in block.iter_mut().zip(&of_chunk) {
                    *row = set[word];
                }
                transpose(&mut block);
                for (column, row) in (word * 64..n).zip(block) {
                    bits[column * width + at] = row;
                }
            }
        }
        Self { starts: counts, lists, large, bits, width }
    }

    /// What tells columns apart that different sets hold.
    pub(super) fn key(&self, column: u32) -> (&[u32], &[u64]) {
        let c = column as usize;
        (
            &self.lists[self.starts[c] as usize..self.starts[c + 1] as usize],
            &self.bits[c * self.width..(c + 1) * self.width],
        )
    }

    /// A number that columns in the same sets share.
    pub(super) fn hash(&self, column: u32) -> u64 {
        FxBuildHasher.hash_one(self.key(column))
    }

    /// Whether a set that holds a column passes a test.
    pub(super) fn any(&self, column: u32, test: impl Fn(u32) -> bool) -> bool {
        let (list, bits) = self.key(column);
        let large = |at: usize| test(self.large[at]);
        list.iter().any(|i| test(*i)) || bits.iter().enumerate().any(|(at, word)| of_word(at, *word).any(large))
    }

    /// The sets that hold a column, in order.
    pub(super) fn of(&self, column: u32) -> Vec<u32> {
        let (list, bits) = self.key(column);
        let mut out = list.to_vec();
        if self.width > 0 {
            for (at, word) in bits.iter().enumerate() {
                out.extend(of_word(at, *word).map(|index| self.large[index]));
            }
            out.sort_unstable();
        }
        out
    }
}

/// The places of the bits of a word.
fn of_word(at: usize, word: u64) -> impl Iterator<Item = usize> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let bit = (rest != 0).then(|| rest.trailing_zeros())?;
        rest &= rest - 1;
        Some(at * 64 + bit as usize)
    })
}

/// Transposes a 64 × 64 bit matrix, the least significant bit being column 0 (after Hacker's Delight, 7-3).
fn transpose(rows: &mut [u64; 64]) {
    let mut width = 32;
    let mut mask: u64 = 0x0000_0000_ffff_ffff;
    while width != 0 {
        let mut k = 0;
        while k < 64 {
            let swap = ((rows[k] >> width) ^ rows[k | width]) & mask;
            rows[k] ^= swap << width;
            rows[k | width] ^= swap;
            k = ((k | width) + 1) & !width;
        }
        width >>= 1;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_column_finds_its_sets(
            sets in prop::collection::vec(prop_oneof![
                prop::collection::btree_set(0u32..300, 0..10),
                prop::collection::btree_set(0u32..300, 100..290),
            ], 0..150),
        ) {
            let built: Vec<Set> = sets.iter().map(|s| Set::from_sorted(s.iter().copied(), 300)).collect();
            let incidence = Incidence::new(&built.iter().collect::<Vec<_>>(), 300);
            for column in 0..300 {
                let expected: Vec<u32> =
                    (0..sets.len() as u32).filter(|i| sets[*i as usize].contains(&column)).collect();
                prop_assert_eq!(incidence.of(column), expected);
            }
        }
    }
}
