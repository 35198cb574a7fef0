//! An object's JSON text cut down to what a snapshot keeps of it, without reading it as a value first.
//!
//! The text that goes out is the one that `Item::of` makes of the same object as a value; what is not plain is left to that.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::keep::Keep;
use super::trim;
use crate::source::scan::{Entries, Odd, blank, plain_string, value_end};

/// What was kept of an object.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// The fields that are kept, as an object; empty where none is.
    pub text: Vec<u8>,
    /// Where the containers of a pod stand in it.
    pub containers: Option<Range<usize>>,
    /// `metadata.namespace`; empty where it is missing.
    pub namespace: String,
    /// `metadata.name`; empty where it is missing.
    pub name: String,
}

/// What is kept of the object at the start of a text, and where it ends.
pub(super) fn cut(keep: &Keep, text: &[u8], out: &mut Cut) -> Result<usize, Odd> {
    out.text.clear();
    out.containers = None;
    out.namespace.clear();
    out.name.clear();
    Cutting { text, out, metadata: false }.value(keep, 0, 0).map(|(end, _)| end)
}

/// The most fields that are kept of one object.
const FIELDS: usize = 32;
/// Values that are remembered: pods of a workload have the same.
const REMEMBERED: usize = 4096;

/// Values as they are written, and what is kept of them; empty where nothing is.
type Memory = RefCell<FxHashMap<Box<[u8]>, Arc<[u8]>>>;

thread_local! {
    /// Of lists of variables.
    static VARIABLES: Memory = RefCell::default();
    /// Of what is kept whole.
    static VALUES: Memory = RefCell::default();
}

struct Cutting<'t, 'o> {
    text: &'t [u8],
    out: &'o mut Cut,
    /// Whether this is the object's `metadata`.
    metadata: bool,
}

impl Cutting<'_, '_> {
    /// Writes what is kept of the value at `at`; its end, and whether anything is.
    fn value(&mut self, keep: &Keep, at: usize, depth: usize) -> Result<(usize, bool), Odd> {
        match (keep, self.text.get(at)) {
            (Keep::Fields(fields), Some(b'{')) => self.fields(fields, at, depth),
            (Keep::Each(keep), Some(b'[')) => self.items(keep, at, depth),
            _ => {
                let end = value_end(self.text, at)?;
                let text = &self.text[at..end];
                if matches!(keep, Keep::All) && is_plain(text) {
                    self.out.text.extend_from_slice(text);
                    return Ok((end, true));
                }
                let memory = match keep {
                    Keep::Variables => Some(&VARIABLES),
                    Keep::All => Some(&VALUES),
                    _ => None,
                };
                if let Some(known) = memory.and_then(|memory| memory.with_borrow(|known| known.get(text).cloned())) {
                    self.out.text.extend_from_slice(&known);
                    return Ok((end, !known.is_empty()));
                }
                let value: Value = serde_json::from_slice(text).map_err(|_| Odd)?;
                let kept = trim(keep, &value).map(|kept| kept.to_string()).unwrap_or_default();
                if let Some(memory) = memory {
                    memory.with_borrow_mut(|known| {
                        if known.len() >= REMEMBERED {
                            known.clear();
                        }
                        known.insert(text.into(), kept.as_bytes().into());
                    });
                }
                self.out.text.extend_from_slice(kept.as_bytes());
                Ok((end, !kept.is_empty()))
            }
        }
    }

    /// Writes the fields as they come, so that each byte is looked at once, and brings them into their order where it is
    /// another.
    fn fields(&mut self, fields: &[(&str, &Keep)], at: usize, depth: usize) -> Result<(usize, bool), Odd> {
        let mut entries = Entries::of(self.text, at)?;
        self.out.text.push(b'{');
        let start = self.out.text.len();
        // Where each was written, with the comma behind it.
        let mut written: [Option<Range<usize>>; FIELDS] = [const { None }; FIELDS];
        let (mut ordered, mut next) = (true, 0);
        while let Some(entry) = entries.next(self.text)? {
            let Some(number) = fields.iter().position(|(name, _)| name.as_bytes() == entry.key) else {
                entries.at = value_end(self.text, entry.value)?;
                continue;
            };
            let (name, keep) = fields[number];
            if depth == 0 {
                self.metadata = name == "metadata";
            }
            let field = self.out.text.len();
            self.out.text.push(b'"');
            self.out.text.extend_from_slice(name.as_bytes());
            self.out.text.extend_from_slice(b"\":");
            let value = self.out.text.len();
            if self.metadata && depth == 1 {
                // Every kind keeps both.
                match name {
                    "namespace" => plain_string(self.text, entry.value)?.clone_into(&mut self.out.namespace),
                    "name" => plain_string(self.text, entry.value)?.clone_into(&mut self.out.name),
                    _ => {}
                }
            }
            let (end, kept) = self.value(keep, entry.value, depth + 1)?;
            entries.at = end;
            ordered &= number >= next;
            next = number + 1;
            let place = written.get_mut(number).ok_or(Odd)?;
            if kept {
                if depth == 1 && name == "containers" {
                    self.out.containers = Some(value..self.out.text.len());
                }
                self.out.text.push(b',');
                *place = Some(field..self.out.text.len());
            } else {
                // Of two fields of one name, the later counts.
                *place = None;
                self.out.text.truncate(field);
            }
        }
        if !ordered {
            self.order(start, &written);
        }
        // The comma behind the last, or the bracket of none.
        let any = self.out.text.len() > start;
        self.out.text.pop();
        if any {
            self.out.text.push(b'}');
        }
        Ok((entries.at, any))
    }

    /// Puts fields that were written from `start` on into their order.
    fn order(&mut self, start: usize, written: &[Option<Range<usize>>]) {
        let containers = self.out.containers.take();
        let mut sorted = Vec::with_capacity(self.out.text.len() - start);
        for place in written.iter().flatten() {
            let to = start + sorted.len();
            sorted.extend_from_slice(&self.out.text[place.clone()]);
            if let Some(inner) = containers.as_ref().filter(|c| place.contains(&c.start)) {
                self.out.containers = Some(inner.start - place.start + to..inner.end - place.start + to);
            }
        }
        self.out.text.truncate(start);
        self.out.text.extend_from_slice(&sorted);
    }

    fn items(&mut self, keep: &Keep, at: usize, depth: usize) -> Result<(usize, bool), Odd> {
        self.out.text.push(b'[');
        let mut at = blank(self.text, at + 1);
        if self.text.get(at) == Some(&b']') {
            self.out.text.push(b']');
            return Ok((at + 1, true));
        }
        loop {
            let (end, kept) = self.value(keep, at, depth + 1)?;
            if !kept {
                self.out.text.extend_from_slice(b"{}");
            }
            at = blank(self.text, end);
            match self.text.get(at) {
                Some(b',') => {
                    self.out.text.push(b',');
                    at = blank(self.text, at + 1);
                }
                Some(b']') => {
                    self.out.text.push(b']');
                    return Ok((at + 1, true));
                }
                _ => return Err(Odd),
            }
        }
    }
}

/// Whether a value is written as it would be written again: a truth value, a whole number, a string without escapes.
fn is_plain(text: &[u8]) -> bool {
    match text {
        b"true" | b"false" | b"0" => true,
        [b'"', inner @ .., b'"'] => {
            inner.iter().all(|b| *b >= 0x20 && !matches!(b, b'\\' | b'"' | 0x7f)) && std::str::from_utf8(inner).is_ok()
        }
        [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
