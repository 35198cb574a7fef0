//! The texts that objects were read from, for finding a place again when a diagnostic is drawn.

use std::sync::Arc;

use super::origin::{Origin, SourceId};
use super::yaml::Document;

/// A text that was read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The path as given, or `-`.
    pub name: String,
    /// How its parts are found.
    pub layout: Layout,
    /// The text itself.
    pub text: Arc<str>,
}

/// How the parts of a source are found.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// YAML, by document.
    Yaml(Vec<Document>),
    /// JSON.
    Json,
}

/// The texts that objects were read from.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    pub(super) sources: Vec<Source>,
}

impl SourceMap {
    /// The name of a source: the path as given, or `-` for standard input.
    pub fn name(&self, source: SourceId) -> &str {
        self.sources.get(source.0 as usize).map_or("", |s| &s.name)
    }

    /// The text of a source.
    pub fn text(&self, source: SourceId) -> Option<&str> {
        self.sources.get(source.0 as usize).map(|s| &*s.text)
    }

    /// The template that Helm made an object from, where its output says so.
    pub fn template(&self, origin: Origin) -> Option<&str> {
        match &self.sources.get(origin.source.0 as usize)?.layout {
            Layout::Yaml(documents) => documents.get(origin.document as usize)?.template.as_deref(),
            Layout::Json => None,
        }
    }

    /// Adds a source.
    pub(super) fn push(&mut self, source: Source) -> SourceId {
        // More than 2^32 sources can't be opened: the limit is a file's size long before.
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(source);
        id
    }
}
