//! A JSON stream cut into objects, without reading more of it into memory than one object or a few blocks of them.
//!
//! A dump of a large cluster is one `List` of gigabytes. Its `items` are handed out one by one as bytes, with where
//! they stand, or in blocks of many for whoever reads them side by side; everything else is one value after another. Only
//! brackets and strings are looked at here: whoever decodes the bytes finds what else is wrong with them.

use std::io::{self, Read};

use memchr::memmem::FinderRev;

use super::scan;

/// Takes the parts of a stream, in their order.
pub trait Sink {
    /// A value of its own, and where it starts in the stream.
    fn document(&mut self, bytes: &[u8], start: u64);

    /// An item of a `List`, where it starts in the stream, and what is known of the list so far.
    fn item(&mut self, bytes: &[u8], start: u64, list: &ListHead);

    /// The end of a `List`, and where it starts and ends in the stream.
    fn end(&mut self, list: &ListHead, start: u64, end: u64);

    /// Many items follow: they may be taken in blocks, as many of them as wanted. Says where it stopped.
    fn blocks(&mut self, list: &ListHead, blocks: &mut dyn Blocks) -> Result<Next>;
}

/// What has to follow at the place where a sink stopped to take blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// An item.
    Item,
    /// A comma or the end of the list: an item has just ended.
    Separator,
}

/// Items with their separators: a guess of where one ends and another starts, to be confirmed by whoever reads them.
#[derive(Debug)]
pub struct Block {
    /// The text.
    pub bytes: Vec<u8>,
    /// Where the first item starts in it.
    pub from: usize,
    /// Where `bytes` start in the stream.
    pub start: u64,
}

/// Blocks of items, one after the other.
pub trait Blocks {
    /// The next block; none where the rest can't be cut into blocks.
    fn next(&mut self) -> Result<Option<Block>>;

    /// Goes on at an earlier place of the stream, with what was taken since.
    fn put_back(&mut self, at: u64, bytes: Vec<u8>);

    /// Gives the memory of a block back.
    fn recycle(&mut self, bytes: Vec<u8>);

    /// Where the next block starts, and how many lines end before it, where that is known.
    fn position(&self) -> (u64, Option<u64>);
}

/// `apiVersion` and `kind` of a list; `kubectl get -o json` writes its kind after the items.
#[derive(Clone, Debug, Default)]
pub struct ListHead {
    /// `apiVersion`, once seen.
    pub api_version: Option<String>,
    /// `kind`, once seen.
    pub kind: Option<String>,
    /// `cni`, which a snapshot has.
    pub cni: Option<String>,
    /// `namespace`, which a snapshot has.
    pub namespace: Option<String>,
}

/// Why a stream could not be cut.
#[derive(Debug)]
pub enum JsonError {
    /// Not JSON: a message and the offset.
    Syntax(String, u64),
    /// It could not be read.
    Io(io::Error),
    /// More bytes than allowed.
    TooLarge(u64),
}

impl From<io::Error> for JsonError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Result<T> = std::result::Result<T, JsonError>;

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;
/// Bytes of a block.
const BLOCK: usize = 1 << 20;
/// Bytes that have to be there for blocks to be worth it.
const LEAST: usize = 1 << 19;
/// Bytes of the largest block: of one huge item, or of items that don't look alike.
const LARGEST_BLOCK: usize = 1 << 26;
/// How often blocks are tried again after an item that was read with care.
const TRIES: u32 = 16;
/// Bytes of what stands between two items, the first key of the second included.
const SEAM: usize = 256;

/// Cuts a stream into its parts. `limit` bounds its bytes.
pub fn parts<R: Read>(reader: R, limit: u64, sink: &mut impl Sink) -> Result<()> {
    let mut cutter =
        Cutter { reader, limit, buffer: Vec::new(), at: 0, base: 0, ended: false, seam: None, spare: Vec::new() };
    if cutter.peek()? == Some(0xEF) {
        cutter.fill_to(3)?;
        if cutter.buffer.get(cutter.at..cutter.at + 3) == Some(b"\xEF\xBB\xBF") {
            cutter.at += 3;
        }
    }
    while cutter.blank()?.is_some() {
        cutter.document(sink)?;
    }
    Ok(())
}

struct Cutter<R> {
    reader: R,
    limit: u64,
    buffer: Vec<u8>,
    /// The next byte to look at, in the buffer.
    at: usize,
    /// The offset of the buffer's first byte in the stream.
    base: u64,
    ended: bool,
    /// What stands between two items.
    seam: Option<Seam>,
    /// Memory of blocks that were read.
    spare: Vec<Vec<u8>>,
}

/// From the last byte of an item to the first key of the next.
struct Seam {
    finder: FinderRev<'static>,
    /// Where the next item starts in it.
    next: usize,
}

impl<R: Read> Cutter<R> {
    fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(JsonError::Syntax(message.into(), self.offset()))
    }

    /// Forgets what lies before `at`.
    fn forget(&mut self) {
        // Moving what remains costs less than it frees, once most of the buffer is behind.
        if self.at > CHUNK && self.at * 2 > self.buffer.len() {
            self.buffer.drain(..self.at);
            self.base += self.at as u64;
            self.at = 0;
        }
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let read = self.reader.by_ref().take(CHUNK as u64).read_to_end(&mut self.buffer)?;
        self.ended = read == 0;
        if self.base + self.buffer.len() as u64 > self.limit {
            return Err(JsonError::TooLarge(self.limit));
        }
        Ok(read > 0)
    }

    fn fill_to(&mut self, bytes: usize) -> Result<()> {
        while self.buffer.len() < self.at + bytes && self.fill()? {}
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            if let Some(byte) = self.buffer.get(self.at) {
                return Ok(Some(*byte));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next byte that is not blank.
    fn blank(&mut self) -> Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(Some(byte));
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn expect(&mut self, wanted: u8, instead: &str) -> Result<()> {
        match self.blank()? {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => self.wrong(format!("expected {instead}")),
            None => self.wrong("unexpected end of JSON input"),
        }
    }

    /// Passes over one value and gives its length; its bytes end at `at`.
    fn value(&mut self) -> Result<usize> {
        let Some(first) = self.blank()? else { return self.wrong("unexpected end of JSON input") };
        let start = self.offset();
        match first {
            b'"' | b'{' | b'[' => self.closed()?,
            b'}' | b']' | b',' | b':' => return self.wrong(format!("expected a value, found `{}`", first as char)),
            _ => {
                while let Some(byte) = self.peek()? {
                    if matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r' | b':' | b'"') {
                        break;
                    }
                    self.at += 1;
                }
            }
        }
        Ok(usize::try_from(self.offset() - start).unwrap_or(usize::MAX))
    }

    /// Passes over a value that has an end of its own, reading on until it is there.
    fn closed(&mut self) -> Result<()> {
        let mut wanted = CHUNK;
        loop {
            if let Ok(end) = scan::value_end(&self.buffer, self.at) {
                self.at = end;
                return Ok(());
            }
            // Each time it starts over with twice as much.
            let known = self.buffer.len();
            self.fill_to(wanted)?;
            wanted = wanted.max(self.buffer.len() - self.at).saturating_mul(2);
            if self.buffer.len() == known && self.ended {
                let (open, at) = match scan::open_string(&self.buffer, self.at) {
                    Some(at) => ("this string is not closed", at),
                    None => ("this bracket is not closed", self.at),
                };
                return Err(JsonError::Syntax(open.to_owned(), self.base + at as u64));
            }
        }
    }

    fn document(&mut self, sink: &mut impl Sink) -> Result<()> {
        self.forget();
        let start = self.offset();
        if self.peek()? != Some(b'{') {
            let length = self.value()?;
            let bytes = &self.buffer[self.at - length..self.at];
            sink.document(bytes, start);
            return Ok(());
        }
        self.at += 1;
        let mut list: Option<ListHead> = None;
        let mut head = ListHead::default();
        let mut first = true;
        loop {
            match self.blank()? {
                Some(b'}') => {
                    self.at += 1;
                    break;
                }
                None => return Err(JsonError::Syntax("this bracket is not closed".to_owned(), start)),
                Some(_) if !first => self.expect(b',', "`,` or `}`")?,
                Some(_) => {}
            }
            first = false;
            if self.blank()? != Some(b'"') {
                return self.wrong("expected a key in double quotes");
            }
            let length = self.value()?;
            let key: Option<String> = serde_json::from_slice(&self.buffer[self.at - length..self.at]).ok();
            self.expect(b':', "`:`")?;
            if key.as_deref() == Some("items") && list.is_none() && self.blank()? == Some(b'[') {
                self.items(&head, sink)?;
                list = Some(head.clone());
                continue;
            }
            let length = self.value()?;
            if let Some(key @ ("apiVersion" | "kind" | "cni" | "namespace")) = key.as_deref() {
                let value: Option<String> = serde_json::from_slice(&self.buffer[self.at - length..self.at]).ok();
                match key {
                    "kind" => head.kind = value,
                    "cni" => head.cni = value,
                    "namespace" => head.namespace = value,
                    _ => head.api_version = value,
                }
            }
        }
        let end = self.offset();
        if list.is_some() {
            sink.end(&head, start, end);
        } else {
            let length = usize::try_from(end - start).unwrap_or(usize::MAX);
            let bytes = &self.buffer[self.at - length..self.at];
            sink.document(bytes, start);
        }
        Ok(())
    }

    fn items(&mut self, list: &ListHead, sink: &mut impl Sink) -> Result<()> {
        self.at += 1;
        if self.blank()? == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        let mut tries = 0;
        loop {
            self.forget();
            let length = self.value()?;
            let bytes = &self.buffer[self.at - length..self.at];
            let start = self.base + (self.at - length) as u64;
            sink.item(bytes, start, list);
            let end = self.at - 1;
            if self.separator()? {
                return Ok(());
            }
            if tries < TRIES && self.many(end)? {
                tries += 1;
                if sink.blocks(list, self)? == Next::Separator && self.separator()? {
                    return Ok(());
                }
            }
        }
    }

    /// What follows an item: true at the end of the list.
    fn separator(&mut self) -> Result<bool> {
        match self.blank()? {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(b']') => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => self.wrong("expected `,` or `]`"),
            None => self.wrong("unexpected end of JSON input"),
        }
    }

    /// Whether many objects follow the item whose last byte is at `end`, and how they are told apart.
    fn many(&mut self, end: usize) -> Result<bool> {
        if self.blank()? != Some(b'{') || self.buffer[end] != b'}' {
            return Ok(false);
        }
        let next = self.at;
        self.fill_to(LEAST)?;
        if self.buffer.len() < next + LEAST {
            return Ok(false);
        }
        let key = scan::blank(&self.buffer, next + 1);
        let Ok(behind) = scan::value_end(&self.buffer, key) else { return Ok(false) };
        if self.buffer[key] != b'"' || behind - end > SEAM {
            return Ok(false);
        }
        let seam = self.buffer[end..behind].to_vec();
        self.seam = Some(Seam { finder: FinderRev::new(&seam).into_owned(), next: next - end });
        Ok(true)
    }
}

impl<R: Read> Blocks for Cutter<R> {
    fn next(&mut self) -> Result<Option<Block>> {
        let mut wanted = BLOCK;
        let end = loop {
            self.fill_to(wanted)?;
            let rest = &self.buffer[self.at..];
            if rest.len() < wanted {
                if rest.is_empty() {
                    return Ok(None);
                }
                break self.buffer.len();
            }
            let Some(seam) = &self.seam else { return Ok(None) };
            if let Some(found) = seam.finder.rfind(rest) {
                break self.at + found + seam.next;
            }
            wanted *= 2;
            if wanted > LARGEST_BLOCK {
                return Ok(None);
            }
        };
        let mut rest = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK + 2 * CHUNK));
        rest.clear();
        rest.extend_from_slice(&self.buffer[end..]);
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        bytes.truncate(end);
        let block = Block { bytes, from: self.at, start: self.base };
        self.base += end as u64;
        self.at = 0;
        Ok(Some(block))
    }

    fn put_back(&mut self, at: u64, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(&self.buffer[self.at..]);
        (self.base, self.at, self.buffer) = (at, 0, bytes);
    }

    fn recycle(&mut self, bytes: Vec<u8>) {
        self.spare.push(bytes);
    }

    fn position(&self) -> (u64, Option<u64>) {
        let lines = (self.base == 0).then(|| memchr::memchr_iter(b'\n', &self.buffer[..self.at]).count() as u64);
        (self.offset(), lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time.
    struct Drip<'t>(&'t [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[derive(Default)]
    struct Shown(Vec<String>);

    impl Sink for Shown {
        fn document(&mut self, bytes: &[u8], start: u64) {
            self.0.push(format!("{start} doc {}", String::from_utf8_lossy(bytes)));
        }

        fn item(&mut self, bytes: &[u8], start: u64, list: &ListHead) {
            self.0.push(format!("{start} item {} {:?}", String::from_utf8_lossy(bytes), list.kind));
        }

        fn end(&mut self, list: &ListHead, start: u64, end: u64) {
            self.0.push(format!("{start}..{end} end {:?}", list.kind));
        }

        fn blocks(&mut self, _: &ListHead, _: &mut dyn Blocks) -> Result<Next> {
            Ok(Next::Item)
        }
    }

    fn cut(text: &str) -> std::result::Result<Vec<String>, String> {
        let run = |reader: &mut dyn Read| {
            let mut found = Shown::default();
            parts(reader, 1 << 20, &mut found)
                .map_err(|error| match error {
                    JsonError::Syntax(message, at) => format!("{at}: {message}"),
                    other => format!("{other:?}"),
                })
                .map(|()| found.0)
        };
        let whole = run(&mut text.as_bytes());
        assert_eq!(whole, run(&mut Drip(text.as_bytes())), "the same in small pieces");
        whole
    }

    #[test]
    fn documents_and_lists() {
        assert_eq!(cut(" {\"a\": \"}\\\"\"} {}"), Ok(vec!["1 doc {\"a\": \"}\\\"\"}".into(), "14 doc {}".into()]));
        assert_eq!(
            cut("{\"kind\": \"PodList\", \"items\": [{\"a\":[1]}, 2 ], \"x\": {}}"),
            Ok(vec![
                "30 item {\"a\":[1]} Some(\"PodList\")".into(),
                "41 item 2 Some(\"PodList\")".into(),
                "0..54 end Some(\"PodList\")".into()
            ])
        );
        assert_eq!(cut("{\"items\": [], \"kind\": \"List\"}"), Ok(vec!["0..29 end Some(\"List\")".into()]));
        assert_eq!(cut("{\"items\": {}}"), Ok(vec!["0 doc {\"items\": {}}".into()]));
        assert_eq!(cut("\u{feff}{}"), Ok(vec!["3 doc {}".into()]));
        assert_eq!(cut("  "), Ok(vec![]));
    }

    #[test]
    fn broken() {
        assert_eq!(cut("{\"a\": [1}"), Err("0: this bracket is not closed".into()));
        assert_eq!(cut("{\"a\": \"x"), Err("6: this string is not closed".into()));
        assert_eq!(cut("{\"items\": [{} {}]}"), Err("14: expected `,` or `]`".into()));
        assert_eq!(cut("{\"items\": [{},]}"), Err("14: expected a value, found `]`".into()));
        assert_eq!(cut("{a: 1}"), Err("1: expected a key in double quotes".into()));
        assert_eq!(cut("{\"a\" 1}"), Err("5: expected `:`".into()));
        assert_eq!(cut("{\"a\": 1"), Err("0: this bracket is not closed".into()));
        assert_eq!(cut("{\"a\": }"), Err("6: expected a value, found `}`".into()));
    }

    /// Counts items by block, and stops after some blocks to look at one item by itself.
    struct Counting {
        text: Vec<u8>,
        each: usize,
        blocks: usize,
        items: usize,
    }

    impl Sink for Counting {
        fn document(&mut self, _: &[u8], _: u64) {}

        fn item(&mut self, bytes: &[u8], start: u64, _: &ListHead) {
            let start = start as usize;
            assert_eq!(&self.text[start..start + bytes.len()], bytes);
            self.items += 1;
        }

        fn end(&mut self, _: &ListHead, start: u64, end: u64) {
            assert_eq!((start, end), (0, self.text.len() as u64));
        }

        fn blocks(&mut self, _: &ListHead, blocks: &mut dyn Blocks) -> Result<Next> {
            for _ in 0..self.each {
                let Some(block) = blocks.next()? else { return Ok(Next::Item) };
                self.blocks += 1;
                let start = block.start as usize;
                assert_eq!(&self.text[start..start + block.bytes.len()], &block.bytes[..]);
                let mut at = block.from;
                loop {
                    let Ok(end) = scan::value_end(&block.bytes, at) else {
                        assert_eq!(at, block.bytes.len());
                        blocks.recycle(block.bytes);
                        break;
                    };
                    self.items += 1;
                    at = scan::blank(&block.bytes, end);
                    if block.bytes[at] == b']' {
                        blocks.put_back(block.start + at as u64, block.bytes[at..].to_vec());
                        return Ok(Next::Separator);
                    }
                    assert_eq!(block.bytes[at], b',');
                    at = scan::blank(&block.bytes, at + 1);
                }
            }
            Ok(Next::Item)
        }
    }

    #[test]
    fn blocks_hold_every_item_once() {
        for (separator, each) in [(",", usize::MAX), (",\n    ", usize::MAX), (",\n", 2)] {
            let item =
                |n: usize| format!("{{\"kind\": \"Pod\", \"number\": {n}, \"text\": \"{}\"}}", "}, {".repeat(n % 90));
            let items: Vec<String> = (0..30_000).map(item).collect();
            let text = format!("{{\"items\": [{}], \"kind\": \"List\"}}", items.join(separator));
            assert!(text.len() > 4 * BLOCK);
            let mut sink = Counting { text: text.into_bytes(), each, blocks: 0, items: 0 };
            let text = sink.text.clone();
            parts(text.as_slice(), 1 << 30, &mut sink).expect("it is JSON");
            assert_eq!(sink.items, 30_000);
            assert!(sink.blocks > 4, "{}", sink.blocks);
        }
    }
}
