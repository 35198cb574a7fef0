//! Objects of a JSON stream, read in batches or blocks side by side and taken over in their order.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rayon::prelude::*;

use super::super::json::{self, Block, Blocks, JsonError, ListHead, Next};
use super::super::map::JsonDocument;
use super::super::object::{self, Parsed, Reading, TypeMeta};
use super::super::observe::{Content, Observer, Seen};
use super::super::origin::{Origin, SourceId};
use super::super::scan::{self, Odd};
use super::{Loader, json_diagnostic, not_an_object, observed, show};

/// Bytes of objects that are read side by side.
const BATCH: usize = 8 << 20;

/// Objects of a JSON stream: those that wait to be read together, and where all of them stand.
#[derive(Default)]
pub(super) struct Dump {
    source: SourceId,
    keep_items: bool,
    whole: bool,
    /// How many documents of the source come before.
    pub first: u32,
    pub documents: Vec<JsonDocument>,
    pub items: Vec<Range<u64>>,
    batch: Vec<Raw>,
    batch_bytes: usize,
    /// Texts of items that diagnostics point into, by where they start.
    pub kept: BTreeMap<u64, Arc<str>>,
    /// At some places, in order, how many lines end before.
    pub lines: Vec<(u64, u64)>,
}

struct Raw {
    origin: Origin,
    start: u64,
    type_meta: TypeMeta,
    bytes: Vec<u8>,
}

impl Dump {
    /// Nothing read yet. `keep_items` keeps the text of policies, where the stream can't be read again; `whole` looks at what
    /// is not wanted of an object too.
    pub fn new(source: SourceId, keep_items: bool, whole: bool) -> Self {
        Self { source, keep_items, whole, ..Self::default() }
    }

    /// Cuts a JSON stream that starts at `base` of its source into objects, and reads them.
    pub fn cut(&mut self, loader: &mut Loader, reader: impl Read, base: u64) -> Result<(), JsonError> {
        let limit = loader.options.limits.json_bytes;
        let result = json::parts(reader, limit, &mut Reader { dump: self, loader, base });
        if result.is_err() {
            // The items before the error were read; their places are still to be found.
            self.flush(loader);
            let items = std::mem::take(&mut self.items);
            self.documents.push(JsonDocument { range: base..base, items });
        }
        result
    }

    fn origin(&self, item: Option<u32>) -> Origin {
        let document = u32::try_from(self.documents.len()).unwrap_or(u32::MAX).saturating_add(self.first);
        Origin { source: self.source, document, item }
    }

    /// Takes a text over, to be read with the others.
    fn add(&mut self, bytes: Vec<u8>, start: u64, type_meta: TypeMeta, item: Option<u32>) {
        let origin = self.origin(item);
        self.batch_bytes += bytes.len();
        self.batch.push(Raw { origin, start, type_meta, bytes });
    }

    /// Reads the objects that wait, side by side, and takes them over in their order.
    fn flush(&mut self, loader: &mut Loader) {
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
                    show(loader.options.observer.as_ref(), &raw.type_meta, Content::Json(&raw.bytes), None);
                    if self.keep_items
                        && decides(&parsed)
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

    /// Takes over what was read of a block. Where it stopped before its end: at which byte, and what has to follow there.
    pub fn take(&mut self, loader: &mut Loader, base: u64, read: &mut Done) -> Option<(usize, Next)> {
        let start = base + read.start;
        for item in read.items.drain(..) {
            let number = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
            self.items.push(start + item.range.start as u64..start + item.range.end as u64);
            let mut parsed = item.parsed;
            for diagnostic in &mut parsed.diagnostics {
                diagnostic.move_items(number - item.number);
            }
            if loader.options.observer.is_some() {
                let text = item.written.as_deref().unwrap_or(&read.bytes[item.range.clone()]);
                show(loader.options.observer.as_ref(), &item.type_meta, Content::Json(text), item.seen);
            }
            if let Some(text) = item.kept {
                self.kept.insert(start + item.range.start as u64, text);
            }
            loader.apply(self.origin(Some(number)), parsed);
        }
        (read.stop != (read.bytes.len(), Next::Item)).then_some(read.stop)
    }
}

/// Takes the parts of a stream for a loader.
struct Reader<'a> {
    dump: &'a mut Dump,
    loader: &'a mut Loader,
    /// Where the stream starts in its source.
    base: u64,
}

impl json::Sink for Reader<'_> {
    fn document(&mut self, bytes: &[u8], start: u64) {
        let start = self.base + start;
        self.dump.add(bytes.to_vec(), start, TypeMeta::of_json(bytes), None);
        self.dump.flush(self.loader);
        self.dump.documents.push(JsonDocument { range: start..start + bytes.len() as u64, items: Vec::new() });
    }

    fn item(&mut self, bytes: &[u8], start: u64, list: &ListHead) {
        let start = self.base + start;
        let own = TypeMeta::of_json(bytes);
        let lacking = self.loader.cluster && own.kind.is_none();
        let type_meta = own.or_item_of(list.api_version.as_deref(), list.kind.as_deref());
        let number = u32::try_from(self.dump.items.len()).ok();
        let written = lacking.then(|| object::with_type(bytes, &type_meta)).flatten();
        self.dump.add(written.unwrap_or_else(|| bytes.to_vec()), start, type_meta, number);
        self.dump.items.push(start..start + bytes.len() as u64);
        if self.dump.batch_bytes > BATCH {
            self.dump.flush(self.loader);
        }
    }

    fn end(&mut self, list: &ListHead, start: u64, end: u64) {
        for raw in &mut self.dump.batch {
            raw.type_meta =
                std::mem::take(&mut raw.type_meta).or_item_of(list.api_version.as_deref(), list.kind.as_deref());
        }
        self.dump.flush(self.loader);
        if list.kind.as_deref() == Some("Snapshot") {
            self.loader.input.cni.clone_from(&list.cni);
            self.loader.input.namespace.clone_from(&list.namespace);
        }
        let items = std::mem::take(&mut self.dump.items);
        self.dump.documents.push(JsonDocument { range: self.base + start..self.base + end, items });
    }

    fn blocks(&mut self, list: &ListHead, blocks: &mut dyn Blocks) -> Result<Next, JsonError> {
        let listed = TypeMeta::default().or_item_of(list.api_version.as_deref(), list.kind.as_deref());
        if self.dump.batch.iter().any(|raw| raw.type_meta.kind.is_none()) {
            // What they are is told behind them.
            return Ok(Next::Item);
        }
        self.dump.flush(self.loader);
        let reading = Reading { listed, cluster: self.loader.cluster, whole: self.dump.whole, only_shown: false };
        let Origin { source, document, .. } = self.dump.origin(None);
        let work = Work::new(source, document, reading, self.dump.keep_items, self.loader.options.observer.clone());
        let (at, mut lines) = blocks.position();
        let mut next_line = self.base + at;
        let (send, receive) = channel();
        rayon::in_place_scope(|scope| {
            let mut queue = Queue { sent: 0, taken: 0, early: BTreeMap::new(), receive };
            // Enough for every thread to find the next block waiting.
            let most = 2 * rayon::current_num_threads() + 2;
            let (mut more, mut failed) = (true, None);
            loop {
                while more && queue.sent - queue.taken < most {
                    match blocks.next() {
                        Ok(Some(block)) => {
                            let (send, work, number) = (send.clone(), &work, queue.sent);
                            // It fails only where nobody waits for it any more.
                            scope.spawn(move |_| drop(send.send((number, work.read(block)))));
                            queue.sent += 1;
                        }
                        Ok(None) => more = false,
                        Err(error) => (more, failed) = (false, Some(error)),
                    }
                }
                let Some(mut read) = queue.next() else { break };
                if let Some(before) = &mut lines
                    && next_line == self.base + read.start + read.from as u64
                {
                    self.dump.lines.push((next_line, *before));
                    let start = self.base + read.start;
                    self.dump.lines.extend(read.marks.iter().map(|(at, lines)| (start + at, *before + lines)));
                    *before += read.lines;
                    next_line = self.base + read.start + read.bytes.len() as u64;
                }
                if let Some((at, next)) = self.dump.take(self.loader, self.base, &mut read) {
                    let place = read.start + at as u64;
                    let mut rest = read.bytes.split_off(at);
                    // What was read in vain, for the guess that failed was an earlier one.
                    while let Some(read) = queue.next() {
                        rest.extend_from_slice(&read.bytes[read.from..]);
                    }
                    blocks.put_back(place, rest);
                    return failed.map_or(Ok(next), Err);
                }
                blocks.recycle(read.bytes);
            }
            failed.map_or(Ok(Next::Item), Err)
        })
    }
}

/// Blocks that are being read, and those that were read before their turn.
struct Queue {
    sent: usize,
    taken: usize,
    early: BTreeMap<usize, Done>,
    receive: Receiver<(usize, Done)>,
}

impl Queue {
    /// The next block in its order; none where none is being read.
    fn next(&mut self) -> Option<Done> {
        if self.taken == self.sent {
            return None;
        }
        let number = self.taken;
        self.taken += 1;
        while !self.early.contains_key(&number) {
            let (number, read) = self.receive.recv().ok()?;
            self.early.insert(number, read);
        }
        self.early.remove(&number)
    }
}

/// A block that was read.
pub(super) struct Done {
    pub bytes: Vec<u8>,
    from: usize,
    start: u64,
    items: Vec<Item>,
    /// Where it was not read on: at the end, if all was as guessed.
    pub stop: (usize, Next),
    /// Lines that end in it.
    lines: u64,
    /// Where the items start that diagnostics point into, and how many lines end before, in it: those are read again.
    marks: Vec<(u64, u64)>,
}

/// An item that was read.
struct Item {
    range: Range<usize>,
    /// Which of its block it is.
    number: u32,
    parsed: Parsed,
    type_meta: TypeMeta,
    written: Option<Vec<u8>>,
    kept: Option<Arc<str>>,
    seen: Option<Seen>,
}

/// Whether an object decides, so that diagnostics point into it.
fn decides(parsed: &Parsed) -> bool {
    parsed.object.as_ref().is_some_and(|(kind, _)| kind.decides())
}

/// How the items of one list are read.
#[derive(Debug)]
pub(super) struct Work {
    origin: Origin,
    reading: Reading,
    keep_items: bool,
    observer: Option<Observer>,
}

impl Work {
    pub fn new(
        source: SourceId,
        document: u32,
        reading: Reading,
        keep_items: bool,
        observer: Option<Observer>,
    ) -> Self {
        Self { origin: Origin { source, document, item: None }, reading, keep_items, observer }
    }

    pub fn read(&self, block: Block) -> Done {
        let Block { bytes, from, start } = block;
        let mut items = Vec::with_capacity(bytes.len() >> 13);
        let mut at = from;
        let stop = loop {
            if at == bytes.len() {
                break (at, Next::Item);
            }
            match self.item(&bytes, at, items.len() as u32) {
                Ok(item) => {
                    at = scan::blank(&bytes, item.range.end);
                    items.push(item);
                }
                Err(Odd) => break (at, Next::Item),
            }
            match bytes.get(at) {
                Some(b',') => at = scan::blank(&bytes, at + 1),
                _ => break (at, Next::Separator),
            }
        };
        let (mut lines, mut marks) = (0, Vec::new());
        // Of a cluster's answers no line is ever named.
        if !self.reading.cluster {
            let mut counted = from;
            let mut count = |to: usize| {
                lines += memchr::memchr_iter(b'\n', &bytes[counted..to]).count() as u64;
                counted = to;
                lines
            };
            for item in items.iter().filter(|item| decides(&item.parsed)) {
                marks.push((item.range.start as u64, count(item.range.start)));
            }
            count(bytes.len());
        }
        Done { bytes, from, start, items, stop, lines, marks }
    }

    fn item(&self, bytes: &[u8], at: usize, number: u32) -> Result<Item, Odd> {
        let origin = Origin { item: Some(number), ..self.origin };
        if self.reading.only_shown
            && let Some(Observer(observer)) = &self.observer
        {
            let (type_meta, _) = object::what(&self.reading, &bytes[at..])?;
            let (seen, end) = match observer.see_first(&observed(&type_meta, Content::Json(&bytes[at..]))) {
                Some((seen, end)) => (Some(seen), at + end),
                None => {
                    let end = scan::value_end(bytes, at)?;
                    (observer.see(&observed(&type_meta, Content::Json(&bytes[at..end]))), end)
                }
            };
            let parsed = Parsed::default();
            return Ok(Item { range: at..end, number, parsed, type_meta, written: None, kept: None, seen });
        }
        let object::Item { parsed, type_meta, end, written } = object::item(origin, &self.reading, &bytes[at..])?;
        let range = at..at + end;
        let text = written.as_deref().unwrap_or(&bytes[range.clone()]);
        let kept =
            if self.keep_items && decides(&parsed) { std::str::from_utf8(text).ok().map(Arc::from) } else { None };
        let seen = match &self.observer {
            Some(Observer(observer)) => observer.see(&observed(&type_meta, Content::Json(text))),
            None => None,
        };
        Ok(Item { range, number, parsed, type_meta, written, kept, seen })
    }
}
