//! Documents of netcheck's own: YAML read strictly, so that a misspelt field is an error at its place.
//!
//! A text comes in; a typed value for each of its documents goes out, each with the `Origin` that leads back to its lines.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::decode::Decoder;
use super::diagnostic::{Diagnostic, Part};
use super::load::Limits;
use super::map::{Layout, Source, SourceMap, Text};
use super::origin::Origin;
use super::yaml::{self, Bounds};

/// Bytes of one document file.
const LARGEST: usize = 16 << 20;

/// Reads every document of a text. What is wrong is told for each document.
pub fn read<T: DeserializeOwned>(
    name: &str,
    text: &str,
    sources: &mut SourceMap,
) -> Result<Vec<(Origin, T)>, Vec<Diagnostic>> {
    if text.len() > LARGEST {
        return Err(vec![Diagnostic::error(format!("`{name}` is larger than {} MiB", LARGEST >> 20))]);
    }
    let (documents, wrong) = yaml::documents(text);
    let source = sources.push(Source {
        name: name.to_owned(),
        cluster: false,
        layout: Layout::Yaml(documents.clone()),
        text: Text::Kept(Arc::new(text.to_owned())),
    });
    let at = |error: yaml::YamlError| {
        let out = Diagnostic::error(error.message).at_bytes(source, error.range, String::new());
        match error.help {
            Some(help) => out.help(help),
            None => out,
        }
    };
    let mut errors: Vec<Diagnostic> = wrong.into_iter().map(at).collect();
    let limits = Limits::default();
    let bounds = Bounds { depth: limits.depth, nodes: 1_000_000, alias_nodes: 100_000 };
    let mut out = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        let origin = Origin { source, document: u32::try_from(number).unwrap_or(u32::MAX), item: None };
        match yaml::value(text, &document.range, &bounds) {
            Err(error) => errors.push(at(error)),
            Ok(value) => match T::deserialize(Decoder(&value)) {
                Ok(typed) => out.push((origin, typed)),
                Err(error) => {
                    let mut diagnostic =
                        Diagnostic::error(error.message.clone()).at(origin, error.path(), Part::Entry, String::new());
                    if let Some(help) = error.help {
                        diagnostic = diagnostic.help(help);
                    }
                    errors.push(diagnostic);
                }
            },
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}
