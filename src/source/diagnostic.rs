//! A message with places in the input, as data: what was found, where, and what to do. Drawing it is `report`'s work.

use std::ops::Range;

use super::origin::{FieldPath, Origin, SourceId};

/// How grave a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Additional facts.
    Note,
    /// Something that is probably not meant.
    Warning,
    /// Something that is wrong: input that is refused, a connection that is blocked.
    Error,
}

/// Which part of a field is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The key alone.
    Key,
    /// The value alone.
    Value,
    /// Key and value; the item for an index.
    Entry,
}

/// A place in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A field of an object; the nearest ancestor that exists is shown where the field doesn't.
    Field {
        /// The object.
        origin: Origin,
        /// The field.
        path: FieldPath,
        /// Which part of it.
        part: Part,
    },
    /// Bytes of a source, for input that is not an object yet.
    Bytes {
        /// The source.
        source: SourceId,
        /// Byte range in its text.
        range: Range<usize>,
    },
}

/// A place with a word about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What is to be said of it; may be empty.
    pub text: String,
    /// Whether the message is about this place; others are context.
    pub primary: bool,
}

/// A message with places in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// Stable code, such as `NC1001`.
    pub code: Option<&'static str>,
    /// One line: lower case, no full stop, the user's input in backticks.
    pub message: String,
    /// Places, the primary ones first.
    pub labels: Vec<Label>,
    /// Facts that explain it, a line each.
    pub notes: Vec<String>,
    /// What to do, a line or a block each.
    pub helps: Vec<String>,
}

impl Diagnostic {
    /// A message without places yet.
    pub fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self { severity, code: None, message: message.into(), labels: Vec::new(), notes: Vec::new(), helps: Vec::new() }
    }

    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    /// With the field the message is about.
    #[must_use]
    pub fn at(mut self, origin: Origin, path: FieldPath, part: Part, text: impl Into<String>) -> Self {
        self.labels.push(Label { place: Place::Field { origin, path, part }, text: text.into(), primary: true });
        self
    }

    /// With a field that gives context.
    #[must_use]
    pub fn context(mut self, origin: Origin, path: FieldPath, part: Part, text: impl Into<String>) -> Self {
        self.labels.push(Label { place: Place::Field { origin, path, part }, text: text.into(), primary: false });
        self
    }

    /// With bytes of the input the message is about.
    #[must_use]
    pub fn at_bytes(mut self, source: SourceId, range: Range<usize>, text: impl Into<String>) -> Self {
        self.labels.push(Label { place: Place::Bytes { source, range }, text: text.into(), primary: true });
        self
    }

    /// With a fact that explains it.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.helps.push(text.into());
        self
    }

    /// Moves its places `by` items further in their list: items that are read side by side are counted from the first of
    /// them.
    pub(super) fn move_items(&mut self, by: u32) {
        for label in &mut self.labels {
            if let Place::Field { origin: Origin { item: Some(item), .. }, .. } = &mut label.place {
                *item = item.saturating_add(by);
            }
        }
    }

    /// With a stable code.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}
