//! Answers of an API server, read while they come.
//!
//! A list is cut into its items as its bytes arrive, and no more of it is kept than an item that is not whole yet. What is
//! not plainly such a list (an object, a list that names its kind behind its items, an item that has to be read with care)
//! is kept to its end, and read as any other JSON stream is.

use std::borrow::Cow;

use super::super::json::{Block, Next};
use super::super::map::{JsonDocument, Layout, Text};
use super::super::object::{Reading, TypeMeta};
use super::super::origin::SourceId;
use super::super::scan::{Entries, blank, plain_string, value_end};
use super::Loader;
use super::dump::{Dump, Work};
use crate::source::Diagnostic;

/// Bytes that are waited for before items are read again: few enough to be found where the processor has just put them, and
/// many more than an item that is not whole.
const PIECE: usize = if cfg!(test) { 64 } else { 128 << 10 };

/// An answer that is being read.
#[derive(Debug)]
pub struct Arriving {
    source: SourceId,
    /// Which of its source's documents it is.
    document: u32,
    /// How items are read, once it is known what they are.
    work: Option<Work>,
    /// The list's start, up to its first item.
    head: Vec<u8>,
    /// What came and was not read.
    rest: Vec<u8>,
    /// Where that stands in the answer.
    at: u64,
    /// What has to follow there.
    next: Next,
    /// Whether an item was read.
    any: bool,
    /// How long the rest has to be before it is looked at again.
    enough: usize,
}

impl Arriving {
    /// The answer without the items that were read, which is the same list with fewer of them. Whole where it is none.
    pub fn outline(&self) -> Cow<'_, [u8]> {
        if self.head.is_empty() {
            return Cow::Borrowed(&self.rest);
        }
        // No comma follows on what is left out.
        let at = blank(&self.rest, 0);
        let from = if self.next == Next::Separator && self.rest.get(at) == Some(&b',') { at + 1 } else { 0 };
        Cow::Owned([&self.head[..], &self.rest[from..]].concat())
    }

    /// How many bytes came.
    pub fn bytes(&self) -> usize {
        self.at as usize + self.rest.len()
    }

    /// Takes what was read off the rest.
    fn drop_first(&mut self, bytes: usize) {
        self.rest.drain(..bytes);
        self.at += bytes as u64;
    }
}

impl Loader {
    /// Reads an answer of a cluster's API server: an object, or a list of them. Objects that the API server holds were
    /// accepted by it: what is said against them is a warning.
    pub fn answer(&mut self, source: SourceId, json: &[u8]) {
        let document = self.reserve(source);
        self.taking(source, document, |loader, dump| {
            // It is one value: there is no place for another beside answers that are still to come.
            if dump.cut(loader, json, start(document)).is_err() || dump.documents.len() > 1 {
                loader.errors.push(not_json());
            }
        });
    }

    /// Starts to read an answer that is still to come. `memory` is used for it.
    pub fn arriving(&mut self, source: SourceId, memory: Vec<u8>) -> Arriving {
        let mut rest = memory;
        rest.clear();
        let document = self.reserve(source);
        let (head, next) = (Vec::new(), Next::Item);
        Arriving { source, document, work: None, head, rest, at: 0, next, any: false, enough: 0 }
    }

    /// Reads on in an answer, of which more has come.
    pub fn more(&mut self, arriving: &mut Arriving, bytes: &[u8]) {
        arriving.rest.extend_from_slice(bytes);
        if arriving.rest.len() >= arriving.enough {
            self.read(arriving);
        }
    }

    /// Ends an answer of which all has come. Its memory is free for another.
    pub fn end(&mut self, arriving: Arriving) -> Vec<u8> {
        let mut arriving = arriving;
        self.read(&mut arriving);
        if !follows(&arriving) {
            self.errors.push(not_json());
        } else if arriving.work.is_none() || !ends(&arriving) {
            self.answer(arriving.source, &arriving.outline());
        }
        arriving.rest
    }

    /// Reads the items that are whole.
    fn read(&mut self, arriving: &mut Arriving) {
        // Where nothing gets on, what came is looked at once more for every time it has doubled.
        arriving.enough = (2 * arriving.rest.len()).max(PIECE);
        if arriving.work.is_none() {
            let Some((listed, from)) = items(&arriving.rest) else { return };
            let only_shown = self.options.only_observed;
            let reading = Reading { listed, cluster: true, whole: false, only_shown };
            let observer = self.options.observer.clone();
            arriving.work = Some(Work::new(arriving.source, arriving.document, reading, true, observer));
            arriving.head = arriving.rest[..from].to_vec();
            arriving.drop_first(from);
        }
        let Some(work) = &arriving.work else { return };
        let from = match arriving.next {
            Next::Item => 0,
            Next::Separator => {
                let at = blank(&arriving.rest, 0);
                if arriving.rest.get(at) != Some(&b',') {
                    return;
                }
                blank(&arriving.rest, at + 1)
            }
        };
        let bytes = std::mem::take(&mut arriving.rest);
        let mut read = work.read(Block { bytes, from, start: arriving.at });
        let (at, next) = read.stop;
        arriving.any |= next == Next::Separator || at > from;
        arriving.next = next;
        self.taking(arriving.source, arriving.document, |loader, dump| {
            dump.take(loader, start(arriving.document), &mut read);
        });
        arriving.rest = read.bytes;
        arriving.drop_first(at);
        if at > 0 {
            arriving.enough = arriving.rest.len() + PIECE;
        }
    }

    /// A place for one more document of a source.
    fn reserve(&mut self, source: SourceId) -> u32 {
        match self.input.sources.get_mut(source).map(|s| &mut s.layout) {
            Some(Layout::Json(documents)) => {
                let document = u32::try_from(documents.len()).unwrap_or(u32::MAX);
                let range = start(document)..start(document);
                documents.push(JsonDocument { range, items: Vec::new() });
                document
            }
            _ => 0,
        }
    }

    /// Adds to a document of a cluster.
    fn taking(&mut self, source: SourceId, document: u32, add: impl FnOnce(&mut Self, &mut Dump)) {
        let mut dump = Dump::new(source, true, false);
        dump.first = document;
        if let Some(Layout::Json(documents)) = self.input.sources.get_mut(source).map(|s| &mut s.layout)
            && let Some(document) = documents.get_mut(document as usize)
        {
            dump.items = std::mem::take(&mut document.items);
        }
        self.cluster = true;
        add(self, &mut dump);
        self.cluster = false;
        let Some(source) = self.input.sources.get_mut(source) else { return };
        if let Layout::Json(documents) = &mut source.layout {
            // All of a stream, or more items of one list.
            let closed = dump.documents.into_iter().next();
            let read =
                closed.unwrap_or_else(|| JsonDocument { range: start(document)..start(document), items: dump.items });
            if let Some(place) = documents.get_mut(document as usize) {
                *place = read;
            }
        }
        if let Text::Items(kept) = &mut source.text {
            kept.append(&mut dump.kept);
        }
    }
}

/// Where a document starts: answers come side by side, and none has 4 GiB.
fn start(document: u32) -> u64 {
    u64::from(document) << 32
}

/// What the items of a list are, and where the first of them starts.
fn items(text: &[u8]) -> Option<(TypeMeta, usize)> {
    let (mut api_version, mut kind) = (None, None);
    let start = blank(text, 0);
    let mut entries = Entries::of(text, start).ok()?;
    while let Some(entry) = entries.next(text).ok()? {
        match entry.key {
            b"apiVersion" => api_version = Some(plain_string(text, entry.value).ok()?),
            b"kind" => kind = Some(plain_string(text, entry.value).ok()?),
            b"items" if text.get(entry.value) == Some(&b'[') => {
                let listed = TypeMeta::default().or_item_of(api_version, kind);
                // Of a list of anything, each item says what it is.
                return (api_version.is_some() && kind.is_some()).then_some((listed, blank(text, entry.value + 1)));
            }
            _ => {}
        }
        entries.at = value_end(text, entry.value).ok()?;
    }
    None
}

fn not_json() -> Diagnostic {
    Diagnostic::error("the cluster's answer is not JSON")
}

/// Whether what is left may stand behind the items that were read: an item behind a comma, the list's end behind an item.
fn follows(arriving: &Arriving) -> bool {
    let bracket = arriving.rest.get(blank(&arriving.rest, 0)) == Some(&b']');
    !arriving.any || bracket == (arriving.next == Next::Separator)
}

/// Whether nothing but the list's end is left.
fn ends(arriving: &Arriving) -> bool {
    let text = &arriving.rest;
    let at = blank(text, 0);
    if text.get(at) != Some(&b']') {
        return false;
    }
    let end = blank(text, at + 1);
    text.get(end) == Some(&b'}') && blank(text, end + 1) == text.len()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{Input, LoadError, Options};
    use super::*;
    use crate::source::wire::Object;

    fn json(text: &[u8]) -> Value {
        serde_json::from_slice(text).unwrap_or_default()
    }

    /// Reads answers one after the other, or as they come in pieces of so many bytes.
    fn read(bodies: &[&str], piece: Option<usize>) -> Result<Input, LoadError> {
        let mut loader = Loader::new(Options::default());
        let source = loader.cluster("test");
        let mut memory = Vec::new();
        for body in bodies {
            let Some(piece) = piece else {
                loader.answer(source, body.as_bytes());
                continue;
            };
            let mut arriving = loader.arriving(source, memory);
            body.as_bytes().chunks(piece).for_each(|piece| loader.more(&mut arriving, piece));
            assert_eq!(arriving.bytes(), body.len());
            let (all, left) = (json(body.as_bytes()), json(&arriving.outline()));
            if all != Value::Null {
                assert_eq!((&all["kind"], &all["metadata"]), (&left["kind"], &left["metadata"]), "{left}");
            }
            memory = loader.end(arriving);
        }
        loader.finish()
    }

    #[test]
    fn what_comes_in_pieces_is_read_as_a_whole() {
        let policy = r#"{"metadata":{"name":"p","namespace":"a"},"spec":{"podSelector":{},"ingress":[{"form":[]}]}}"#;
        let bodies = [
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{"continue":"x"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#,
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#,
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[ ] }"#,
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#,
            r#"{"items":[{"metadata":{"name":"c"}}],"kind":"PodList","apiVersion":"v1"}"#,
            r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"d","labels":{"a":"b"}}}],"metadata":{}}"#,
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"e"}}"#,
            r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"f"}} , {"metadata":{"name":"i"}}
            ],"metadata":{"continue":"x"}}"#,
            r#"{"kind":"List","apiVersion":"v1","metadata":{},"items":[{"kind":"Pod","apiVersion":"v1","metadata":{"name":"g"}}]}"#,
            &format!(r#"{{"kind":"NetworkPolicyList","apiVersion":"networking.k8s.io/v1","items":[{policy}]}}"#),
            &format!(r#"{{"kind":"PodList","apiVersion":"v1","items":[{{"metadata":{{"name":"h"}}}},{policy}]}}"#),
        ];
        let whole = read(&bodies, None).expect("it is read");
        assert_eq!(whole.objects.len(), 11);
        let objects = |input: &Input| -> Vec<String> {
            input.objects.iter().map(|loaded| format!("{:?}", loaded.object)).collect()
        };
        let texts = |input: &Input| -> Vec<_> {
            let warnings = input.warnings.iter().flat_map(|w| &w.labels).map(|label| &label.place);
            warnings
                .map(|place| {
                    (
                        input.sources.excerpt(place).map(|e| e.text.into_owned()),
                        input.sources.span(place).map(|s| s.column),
                    )
                })
                .collect()
        };
        assert!(!texts(&whole).is_empty() && texts(&whole).iter().all(|(text, _)| text.is_some()));
        for piece in [1, 7, 64, 100, 1000] {
            let pieces = read(&bodies, Some(piece)).expect("it is read");
            assert_eq!(objects(&whole), objects(&pieces), "{piece}");
            assert_eq!(texts(&whole), texts(&pieces), "{piece}");
        }
    }

    #[test]
    fn of_a_list_that_is_read_its_outline_is_left() {
        let mut loader = Loader::new(Options::default());
        let source = loader.cluster("test");
        let mut arriving = loader.arriving(source, Vec::new());
        let item = r#"{"metadata":{"name":"a-name-of-some-length","labels":{"app":"web"}}}"#;
        let head = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"continue":"x"},"items":["#;
        for text in [head, item, ",", item, ",", item, ",", &item[..20]] {
            loader.more(&mut arriving, text.as_bytes());
        }
        assert!(arriving.outline().len() < head.len() + item.len(), "{arriving:?}");
        let whole = [&arriving.outline(), &item.as_bytes()[20..], b"]}"].concat();
        assert_eq!(json(&whole)["items"].as_array().map(Vec::len), Some(1), "{arriving:?}");
        loader.more(&mut arriving, &item.as_bytes()[20..]);
        loader.more(&mut arriving, b"]}");
        assert_eq!(arriving.bytes(), head.len() + 4 * item.len() + 5);
        loader.end(arriving);
        assert_eq!(loader.objects(), 4);
    }

    /// Two lists at the same time, as the server sends them.
    #[test]
    fn answers_come_side_by_side() {
        let list = |names: [&str; 3]| {
            let items = names.map(|name| {
                format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{"podSelector":{{}},"ingress":[{{"form":[]}}]}}}}"#)
            });
            format!(
                r#"{{"kind":"NetworkPolicyList","apiVersion":"networking.k8s.io/v1","items":[{}]}}"#,
                items.join(",")
            )
        };
        let (a, b) = (list(["a", "b", "c"]), list(["x", "y", "z"]));
        let mut loader = Loader::new(Options::default());
        let source = loader.cluster("test");
        let (mut one, mut other) = (loader.arriving(source, Vec::new()), loader.arriving(source, Vec::new()));
        for (a, b) in a.as_bytes().chunks(50).zip(b.as_bytes().chunks(50)) {
            loader.more(&mut one, a);
            loader.more(&mut other, b);
        }
        loader.end(one);
        loader.end(other);
        let input = loader.finish().expect("it is read");
        assert_eq!(input.warnings.len(), 6);
        for loaded in &input.objects {
            let Object::NetworkPolicy(policy) = &loaded.object else { panic!("{loaded:?}") };
            let text = input.sources.item_text(loaded.origin).expect("its text was kept");
            assert!(text.contains(&format!("\"name\":\"{}\"", policy.metadata.name)), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        let bodies = [
            "<html>",
            r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}"#,
            r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}},]}"#,
            r#"{"kind":"PodList","apiVersion":"v1","items":[,{"metadata":{"name":"a"}}]}"#,
            r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]]"#,
            r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}{"metadata":{"name":"b"}}]}"#,
            r#"{"kind":"PodList","apiVersion":"v1","items":[]}{"kind":"PodList","apiVersion":"v1","items":[]}"#,
        ];
        for body in bodies {
            for piece in [None, Some(1), Some(10), Some(1000)] {
                assert!(read(&[body], piece).is_err(), "{body} {piece:?}");
            }
        }
    }
}
