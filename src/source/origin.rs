//! Where an object was read, small enough to be kept for every object.
//!
//! A span in the text is not stored: it is found when a diagnostic is drawn, from the `Origin` and a `FieldPath`.

use std::fmt;

/// The index of a source (a file, standard input, a cluster) in its `SourceMap`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// Which document of which source, and which item of it when the document is a `List`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The file or stream.
    pub source: SourceId,
    /// Number in a stream of several documents, from 0; documents without content don't count.
    pub document: u32,
    /// Index in `items` where the document is a `List`.
    pub item: Option<u32>,
}

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a mapping.
    Key(Box<str>),
    /// An index of a sequence, from 0.
    Index(usize),
}

/// A path of fields from the root of an object, as `kubectl` writes it: `spec.ingress[0].from[1].podSelector`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(pub Vec<Segment>);

impl FieldPath {
    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of plain keys separated by dots, such as `spec.podSelector`. Not for label keys, which hold dots.
    pub fn keys(dotted: &str) -> Self {
        Self(dotted.split('.').map(|k| Segment::Key(k.into())).collect())
    }

    /// This path, one key further.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// This path, one index further.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// This path followed by another.
    #[must_use]
    pub fn join(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    /// This path as an RFC 6901 JSON pointer: `/spec/ingress/0/from/1`.
    pub fn pointer(&self) -> String {
        let mut out = String::new();
        for segment in &self.0 {
            out.push('/');
            match segment {
                Segment::Key(key) => out.push_str(&key.replace('~', "~0").replace('/', "~1")),
                Segment::Index(index) => out.push_str(&index.to_string()),
            }
        }
        out
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.contains(['.', '/', '[', ' ']) => write!(f, "[\"{key}\"]")?,
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}
