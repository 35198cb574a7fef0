//! A finding in a user's file, as every format for machines needs it: what, how grave, where, and where else to look.
//!
//! Commands that judge policies hand findings over; `sarif` and `github` write them. Nothing is judged here.

use crate::source::{FieldPath, Origin, Part, Place, SourceMap};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Additional facts.
    Note,
    /// Can't be told, or probably not meant.
    Warning,
    /// Wrong.
    Error,
}

/// A kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name, such as `connection-closed`.
    pub id: &'static str,
    /// One sentence.
    pub summary: &'static str,
}

/// Lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// First line, from 1.
    pub line: usize,
    /// First column, in characters, from 1.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// Column behind the last one.
    pub end_column: usize,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file as it was named; the template where Helm's output says it.
    pub file: String,
    /// Lines of it; none where they aren't those of the file.
    pub region: Option<Region>,
    /// What is to be said of it.
    pub message: String,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub rule: Rule,
    /// How grave it is.
    pub level: Level,
    /// One sentence, and facts on lines of their own.
    pub message: String,
    /// Where: the first is what it is about.
    pub locations: Vec<Location>,
    /// Where else to look.
    pub related: Vec<Location>,
    /// What tells it from others of its kind, whatever lines move.
    pub key: String,
}

impl Location {
    /// The place of a field; the nearest ancestor that exists where the field doesn't. None where the text is gone, and for
    /// objects of a cluster, which are in no file.
    ///
    /// An object that Helm made is found in its template, whose lines are others.
    pub fn of(sources: &SourceMap, origin: Origin, path: &FieldPath, message: impl Into<String>) -> Option<Self> {
        if sources.is_cluster(origin.source) {
            return None;
        }
        let place = Place::Field { origin, path: path.clone(), part: Part::Entry };
        let name = sources.name(origin.source);
        let message = message.into();
        if let Some(template) = sources.template(origin).filter(|_| name == "-") {
            return Some(Self { file: template.to_owned(), region: None, message });
        }
        let span = sources.span(&place)?;
        let excerpt = sources.excerpt(&place)?;
        let start = span.range.start.checked_sub(excerpt.base)?;
        let text = excerpt.text.get(start..span.range.end.checked_sub(excerpt.base)?)?;
        let end_line = span.line + text.bytes().filter(|b| *b == b'\n').count();
        let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
        let end_column = if end_line == span.line { span.column + last } else { last + 1 };
        let region = Region { line: span.line, column: span.column, end_line, end_column: end_column.max(1) };
        Some(Self { file: name.to_owned(), region: Some(region), message })
    }

    /// `deploy/policies.yaml:12`.
    pub fn short(&self) -> String {
        let file = if self.file == "-" { "standard input" } else { &self.file };
        match &self.region {
            Some(region) => format!("{file}:{}", region.line),
            None => file.to_owned(),
        }
    }
}
