//! Objects of a JSON stream, read in batches side by side and taken over in their order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::super::map::JsonDocument;
use super::super::object::{self, TypeMeta};
use super::super::observe::Content;
use super::super::origin::{Origin, SourceId};
use super::{Loader, json_diagnostic, not_an_object, show};

/// Bytes of objects that are read side by side.
const BATCH: usize = 8 << 20;

/// Objects of a JSON stream that wait to be read together.
#[derive(Default)]
pub(super) struct Dump {
    source: SourceId,
    keep_items: bool,
    pub documents: Vec<JsonDocument>,
    pub items: Vec<Range<u64>>,
    pub batch: Vec<Raw>,
    batch_bytes: usize,
    pub kept: BTreeMap<u64, Arc<str>>,
}

pub(super) struct Raw {
    origin: Origin,
    start: u64,
    pub type_meta: TypeMeta,
    bytes: Vec<u8>,
}

impl Dump {
    /// Nothing read yet. `keep_items` keeps the text of policies, where the stream can't be read again.
    pub fn new(source: SourceId, keep_items: bool) -> Self {
        Self { source, keep_items, ..Self::default() }
    }

    /// Takes a text over, to be read with the others.
    pub fn add(&mut self, bytes: &[u8], start: u64, type_meta: TypeMeta, item: Option<u32>) {
        let document = u32::try_from(self.documents.len()).unwrap_or(u32::MAX);
        let origin = Origin { source: self.source, document, item };
        self.batch_bytes += bytes.len();
        self.batch.push(Raw { origin, start, type_meta, bytes: bytes.to_vec() });
    }

    /// Reads what waits, once it is worth it.
    pub fn flush_if_full(&mut self, loader: &mut Loader) {
        if self.batch_bytes > BATCH {
            self.flush(loader);
        }
    }

    /// Reads the objects that wait, side by side, and takes them over in their order.
    pub fn flush(&mut self, loader: &mut Loader) {
        let batch = std::mem::take(&mut self.batch);
        let read = |raw: &Raw| object::from_json(raw.origin, &raw.type_meta, &raw.bytes);
        // Starting threads costs more than reading a little.
        let parsed: Vec<_> = if std::mem::take(&mut self.batch_bytes) < BATCH / 16 {
            batch.iter().map(read).collect()
        } else {
            batch.par_iter().map(read).collect()
        };
        for (raw, parsed) in batch.iter().zip(parsed) {
            if loader.found && raw.origin.item.is_none() && raw.type_meta == TypeMeta::default() && parsed.is_ok() {
                loader.input.warnings.push(not_an_object(raw.origin));
                continue;
            }
            match parsed {
                Ok(parsed) => {
                    show(loader.options.observer.as_ref(), &raw.type_meta, Content::Json(&raw.bytes));
                    if self.keep_items
                        && parsed.object.as_ref().is_some_and(|(kind, _)| kind.decides())
                        && let Ok(text) = std::str::from_utf8(&raw.bytes)
                    {
                        self.kept.insert(raw.start, text.into());
                    }
                    loader.apply(raw.origin, parsed);
                }
                Err((message, at)) => {
                    loader.errors.push(json_diagnostic(raw.origin.source, &message, raw.start + at as u64));
                }
            }
        }
    }
}
