//! Answers of an API server, read where they lie: several beside each other, taken over in their order.
//!
//! A page of a list is cut into its items without being copied first. What is not plainly such a list (an object, a list that
//! names its kind behind its items, an item that has to be read with care) is read as any other JSON stream is.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};

use super::super::json::{Block, Next};
use super::super::map::{JsonDocument, Layout, Text};
use super::super::object::{Reading, TypeMeta};
use super::super::origin::SourceId;
use super::super::scan::{Entries, blank, plain_string, value_end};
use super::Loader;
use super::dump::{Done, Dump, Work};
use crate::source::Diagnostic;

/// Answers that are read at the same time: more threads than this are faster than any server.
const AT_ONCE: usize = 4;

/// An answer that was read, or looked at in vain.
struct Read {
    /// Which of its source's documents it was taken for.
    document: u32,
    page: Page,
}

enum Page {
    /// All items of a list.
    Items(Done),
    /// Something else.
    Other(Vec<u8>),
}

impl Loader {
    /// Reads an answer of a cluster's API server: an object, or a list of them. Objects that the API server holds were
    /// accepted by it: what is said against them is a warning.
    pub fn answer(&mut self, source: SourceId, json: &[u8]) {
        self.taking(source, |loader, dump, start| {
            if dump.cut(loader, json, start).is_err() {
                loader.errors.push(Diagnostic::error("the cluster's answer is not JSON"));
            }
        });
    }

    /// Reads answers as they come; each is given to `done` once it was read, for its memory to be used again.
    pub fn answers(
        &mut self,
        source: SourceId,
        bodies: impl IntoIterator<Item = Vec<u8>>,
        mut done: impl FnMut(Vec<u8>),
    ) {
        let most = rayon::current_num_threads().clamp(1, AT_ONCE) + 1;
        let reading = Reading {
            listed: TypeMeta::default(),
            cluster: true,
            whole: false,
            only_shown: self.options.only_observed,
        };
        let work = Work::new(source, reading, true, self.options.observer.clone());
        rayon::in_place_scope(|scope| {
            let mut waiting: VecDeque<Receiver<Read>> = VecDeque::new();
            for body in bodies {
                while waiting.len() >= most {
                    self.next(source, &mut waiting, &mut done);
                }
                let (send, receive) = sync_channel(1);
                let document = u32::try_from(self.documents(source) + waiting.len()).unwrap_or(u32::MAX);
                let work = &work;
                // It fails only where nobody waits for it any more.
                scope.spawn(move |_| drop(send.send(Read { document, page: page(work, document, body) })));
                waiting.push_back(receive);
            }
            while !waiting.is_empty() {
                self.next(source, &mut waiting, &mut done);
            }
        });
    }

    /// Takes over the answer that came first of those that wait.
    fn next(&mut self, source: SourceId, waiting: &mut VecDeque<Receiver<Read>>, done: &mut impl FnMut(Vec<u8>)) {
        let Some(Ok(read)) = waiting.pop_front().map(|receive| receive.recv()) else { return };
        let right = self.documents(source) == read.document as usize;
        match read.page {
            Page::Items(mut items) if right => {
                let bytes = self.taking(source, |loader, dump, start| {
                    dump.take(loader, start, &mut items);
                    dump.close(start..start + items.bytes.len() as u64);
                    items.bytes
                });
                done(bytes);
            }
            // Several documents came where one was expected: the places that were worked out are wrong.
            Page::Items(Done { bytes, .. }) | Page::Other(bytes) => {
                self.answer(source, &bytes);
                done(bytes);
            }
        }
    }

    /// How many answers were read.
    fn documents(&self, source: SourceId) -> usize {
        match self.input.sources.get(source).map(|s| &s.layout) {
            Some(Layout::Json(documents)) => documents.len(),
            _ => 0,
        }
    }

    /// Adds a document to a cluster's.
    fn taking<T: Default>(&mut self, source: SourceId, add: impl FnOnce(&mut Self, &mut Dump, u64) -> T) -> T {
        let (before, start) = match self.input.sources.get_mut(source).map(|s| &mut s.layout) {
            Some(Layout::Json(documents)) => {
                let start = documents.last().map_or(0, |d| d.range.end);
                (std::mem::take(documents), start)
            }
            _ => return T::default(),
        };
        let mut dump = Dump::new(source, true, false);
        dump.documents = before;
        self.cluster = true;
        let out = add(self, &mut dump, start);
        self.cluster = false;
        if let Some(source) = self.input.sources.get_mut(source) {
            source.layout = Layout::Json(dump.documents);
            if let Text::Items(kept) = &mut source.text {
                kept.append(&mut dump.kept);
            }
        }
        out
    }
}

/// Reads a page, if it is one.
fn page(work: &Work, document: u32, bytes: Vec<u8>) -> Page {
    let Some((listed, from)) = items(&bytes) else { return Page::Other(bytes) };
    let mut done = work.of(document, listed).read(Block { bytes, from, start: 0 });
    if ends(&done.bytes, done.stop) { Page::Items(done) } else { Page::Other(std::mem::take(&mut done.bytes)) }
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

/// Whether the place where the items end is the end of the list, and nothing but the list's end follows.
fn ends(text: &[u8], (at, next): (usize, Next)) -> bool {
    // Of no items the first is missing.
    let empty = next == Next::Item && text[..at].trim_ascii_end().ends_with(b"[");
    if text.get(at) != Some(&b']') || !(next == Next::Separator || empty) {
        return false;
    }
    let end = blank(text, at + 1);
    text.get(end) == Some(&b'}') && blank(text, end + 1) == text.len()
}

impl Dump {
    /// Closes a document whose items were taken.
    fn close(&mut self, range: std::ops::Range<u64>) {
        let items = std::mem::take(&mut self.items);
        self.documents.push(JsonDocument { range, items });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Input, Options};
    use super::*;

    fn read(bodies: &[&str], together: bool) -> Input {
        let mut loader = Loader::new(Options::default());
        let source = loader.cluster("test");
        if together {
            let mut back = 0;
            loader.answers(source, bodies.iter().map(|b| b.as_bytes().to_vec()), |_| back += 1);
            assert_eq!(back, bodies.len());
        } else {
            bodies.iter().for_each(|body| loader.answer(source, body.as_bytes()));
        }
        loader.finish().expect("it is read")
    }

    #[test]
    fn pages_are_read_as_a_stream_is() {
        let policy = r#"{"metadata":{"name":"p","namespace":"a"},"spec":{"podSelector":{},"ingress":[{"form":[]}]}}"#;
        let bodies = [
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{"continue":"x"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#,
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#,
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[ ] }"#,
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#,
            r#"{"items":[{"metadata":{"name":"c"}}],"kind":"PodList","apiVersion":"v1"}"#,
            r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"d","labels":{"a":"b"}}}],"metadata":{}}"#,
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"e"}}{"kind":"Pod","apiVersion":"v1","metadata":{"name":"f"}}"#,
            r#"{"kind":"List","apiVersion":"v1","metadata":{},"items":[{"kind":"Pod","apiVersion":"v1","metadata":{"name":"g"}}]}"#,
            &format!(r#"{{"kind":"NetworkPolicyList","apiVersion":"networking.k8s.io/v1","items":[{policy}]}}"#),
            &format!(r#"{{"kind":"PodList","apiVersion":"v1","items":[{{"metadata":{{"name":"h"}}}},{policy}]}}"#),
        ];
        let (one_by_one, together) = (read(&bodies, false), read(&bodies, true));
        assert_eq!(one_by_one.objects.len(), 10);
        assert_eq!(format!("{:?}", one_by_one.objects), format!("{:?}", together.objects));
        assert_eq!(format!("{:?}", one_by_one.warnings), format!("{:?}", together.warnings));
        assert_eq!(format!("{:?}", one_by_one.sources), format!("{:?}", together.sources));
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for body in ["<html>", r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}"#] {
            let mut loader = Loader::new(Options::default());
            let source = loader.cluster("test");
            loader.answers(source, [body.as_bytes().to_vec()], drop);
            assert!(loader.finish().is_err(), "{body}");
        }
    }
}
