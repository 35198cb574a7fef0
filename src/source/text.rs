//! Strings and labels as objects carry them: short, and mostly the same ones again and again.
//!
//! A hundred thousand pods share their namespaces, label keys, nodes and owners. Such a string is kept once for each
//! thread that reads, so that what is loaded stays small and reading it allocates little.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Index};
use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A string that many objects may share.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Option<Arc<str>>);

/// Strings a thread remembers: enough for a large cluster's, and a bound.
const REMEMBERED: usize = 1 << 16;
/// Longer strings are rarely met twice.
const LONGEST: usize = 128;

thread_local! {
    static SHARED: RefCell<FxHashSet<Arc<str>>> = RefCell::default();
}

impl Text {
    /// The string, kept once for all objects that this thread reads.
    pub fn shared(text: &str) -> Self {
        if text.is_empty() {
            return Self(None);
        }
        if text.len() > LONGEST {
            return Self(Some(text.into()));
        }
        SHARED.with_borrow_mut(|known| {
            if let Some(known) = known.get(text) {
                return Self(Some(known.clone()));
            }
            if known.len() >= REMEMBERED {
                known.clear();
            }
            let new: Arc<str> = text.into();
            known.insert(new.clone());
            Self(Some(new))
        })
    }

    /// As a string slice.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&Text> for Arc<str> {
    fn from(text: &Text) -> Self {
        text.0.clone().unwrap_or_default()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<Text> for str {
    fn eq(&self, other: &Text) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<Text> for String {
    fn eq(&self, other: &Text) -> bool {
        self == other.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shared;
        impl Visitor<'_> for Shared {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::shared(text))
            }
        }
        deserializer.deserialize_str(Shared)
    }
}

/// How many labels there is room for at first.
const USUAL: usize = 6;

/// Labels, annotations, `matchLabels`: sorted by key.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StringMap(Vec<(Text, Text)>);

impl StringMap {
    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(k, _)| k.as_str().cmp(key))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Text> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// Whether there is such a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Text>) {
        let (key, value) = (key.into(), value.into());
        match self.find(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes a key away, with its value.
    pub fn remove(&mut self, key: &str) -> Option<Text> {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The pairs, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Text)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.0.iter().map(|(k, _)| k)
    }

    /// The values, by key.
    pub fn values(&self) -> impl Iterator<Item = &Text> {
        self.0.iter().map(|(_, v)| v)
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all pairs.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

/// Of two pairs with one key the later wins, as Go's decoder has it.
impl<K: Into<Text>, V: Into<Text>> FromIterator<(K, V)> for StringMap {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut out = Self::default();
        for (key, value) in pairs {
            let (key, value) = (key.into(), value.into());
            match out.0.last() {
                // Objects are mostly written in order.
                Some((last, _)) if *last >= key => out.insert(key, value),
                _ => out.0.push((key, value)),
            }
        }
        out
    }
}

impl<K: Into<Text>, V: Into<Text>, const N: usize> From<[(K, V); N]> for StringMap {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<'m> IntoIterator for &'m StringMap {
    type Item = (&'m Text, &'m Text);
    type IntoIter = std::iter::Map<std::slice::Iter<'m, (Text, Text)>, fn(&'m (Text, Text)) -> (&'m Text, &'m Text)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(k, v)| (k, v))
    }
}

impl IntoIterator for StringMap {
    type Item = (Text, Text);
    type IntoIter = std::vec::IntoIter<(Text, Text)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Index<&str> for StringMap {
    type Output = Text;

    fn index(&self, key: &str) -> &Text {
        match self.get(key) {
            Some(value) => value,
            None => panic!("no key `{key}`"),
        }
    }
}

impl fmt::Debug for StringMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<'de> Deserialize<'de> for StringMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = StringMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StringMap, A::Error> {
                // Few objects have more, and growing costs more than a little room.
                let mut out = StringMap(Vec::new());
                while let Some((key, value)) = map.next_entry::<Text, Text>()? {
                    if out.0.is_empty() {
                        out.0.reserve_exact(USUAL);
                    }
                    match out.0.last() {
                        Some((last, _)) if *last >= key => out.insert(key, value),
                        _ => out.0.push((key, value)),
                    }
                }
                Ok(out)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_kept_once_and_the_empty_one_not_at_all() {
        let (a, b) = (Text::shared("app"), Text::shared("app"));
        assert!(Arc::ptr_eq(a.0.as_ref().unwrap(), b.0.as_ref().unwrap()));
        assert_eq!(Text::from(""), Text::default());
        assert!(Text::default().is_empty());
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(Text::shared(&long), long);
    }

    #[test]
    fn maps_are_sorted_and_later_pairs_win() {
        let map: StringMap = serde_json::from_str(r#"{"b": "1", "a": "2", "b": "3"}"#).unwrap();
        assert_eq!(map, StringMap::from([("a", "2"), ("b", "3")]));
        assert_eq!(map.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["a=2", "b=3"]);
        assert_eq!((map.get("b").map(Text::as_str), map.get("c")), (Some("3"), None));
        let mut map = map;
        assert_eq!(map.remove("a"), Some("2".into()));
        assert!(!map.contains_key("a") && map.len() == 1);
    }
}
