//! Labels: a small sorted table of shared strings.

use std::sync::Arc;

/// A string that many objects share.
pub type Str = Arc<str>;

/// The labels of an object, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<(Str, Str)>);

impl Labels {
    /// From pairs in any order; of two with one key the later wins.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (Str, Str)>) -> Self {
        let mut all: Vec<(Str, Str)> = pairs.into_iter().collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self(all)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Str> {
        self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok().map(|i| &self.0[i].1)
    }

    /// The pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Str, &Str)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every pair of `selector` is among these.
    pub fn contains_all(&self, selector: &Self) -> bool {
        selector.iter().all(|(k, v)| self.get(k) == Some(v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_pairs_win_and_lookup_is_by_key() {
        let labels = Labels::from_pairs([("b", "1"), ("a", "2"), ("b", "3")].map(|(k, v)| (k.into(), v.into())));
        assert_eq!(labels.len(), 2);
        assert_eq!(labels.get("b").map(|v| &**v), Some("3"));
        assert_eq!(labels.get("c"), None);
    }
}
