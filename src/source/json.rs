//! A JSON stream cut into objects, without reading more of it into memory than one object.
//!
//! A dump of a large cluster is one `List` of gigabytes. Its `items` are handed out one by one as bytes, with where
//! they stand; everything else is one value after another. Only brackets and strings are looked at here: whoever
//! decodes the bytes finds what else is wrong with them.

use std::io::{self, Read};

/// What is found in a stream.
#[derive(Debug)]
pub enum Part<'b> {
    /// A value of its own.
    Document {
        /// Its text.
        bytes: &'b [u8],
        /// Where it starts in the stream.
        start: u64,
    },
    /// An item of a `List`.
    Item {
        /// Its text.
        bytes: &'b [u8],
        /// Where it starts in the stream.
        start: u64,
        /// What is known of the list so far.
        list: &'b ListHead,
    },
    /// The end of a `List`.
    End {
        /// What is known of the list.
        list: &'b ListHead,
        /// Where the list starts in the stream.
        start: u64,
        /// Where it ends.
        end: u64,
    },
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

/// Cuts a stream into its parts. `limit` bounds its bytes.
pub fn parts<R: Read>(reader: R, limit: u64, mut each: impl FnMut(Part<'_>)) -> Result<()> {
    let mut cutter = Cutter { reader, limit, buffer: Vec::new(), at: 0, base: 0, ended: false };
    if cutter.peek()? == Some(0xEF) {
        cutter.fill_to(3)?;
        if cutter.buffer.get(cutter.at..cutter.at + 3) == Some(b"\xEF\xBB\xBF") {
            cutter.at += 3;
        }
    }
    while cutter.blank()?.is_some() {
        cutter.document(&mut each)?;
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
        let old = self.buffer.len();
        self.buffer.resize(old + CHUNK, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer[old..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
        let read = read?;
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
            b'"' => self.string()?,
            b'{' | b'[' => self.nested()?,
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

    fn string(&mut self) -> Result<()> {
        let start = self.offset();
        self.at += 1;
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            match rest.iter().position(|b| matches!(b, b'"' | b'\\')) {
                Some(found) if rest[found] == b'"' => {
                    self.at += found + 1;
                    return Ok(());
                }
                // What follows a backslash may not be read yet.
                Some(found) => {
                    self.at += found + 2;
                    continue;
                }
                None => self.at = self.buffer.len().max(self.at),
            }
            if !self.fill()? {
                return Err(JsonError::Syntax("this string is not closed".to_owned(), start));
            }
        }
    }

    /// Passes over a bracketed value: counts brackets outside strings.
    fn nested(&mut self) -> Result<()> {
        let start = self.offset();
        let mut depth = 0_usize;
        loop {
            while let Some(&byte) = self.buffer.get(self.at) {
                match byte {
                    b'"' => {
                        self.string()?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            self.at += 1;
                            return Ok(());
                        }
                    }
                    _ => {}
                }
                self.at += 1;
            }
            if !self.fill()? {
                return Err(JsonError::Syntax("this bracket is not closed".to_owned(), start));
            }
        }
    }

    fn document(&mut self, each: &mut impl FnMut(Part<'_>)) -> Result<()> {
        self.forget();
        let start = self.offset();
        if self.peek()? != Some(b'{') {
            let length = self.value()?;
            let bytes = &self.buffer[self.at - length..self.at];
            each(Part::Document { bytes, start });
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
                self.items(&head, each)?;
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
            each(Part::End { list: &head, start, end });
        } else {
            let length = usize::try_from(end - start).unwrap_or(usize::MAX);
            let bytes = &self.buffer[self.at - length..self.at];
            each(Part::Document { bytes, start });
        }
        Ok(())
    }

    fn items(&mut self, list: &ListHead, each: &mut impl FnMut(Part<'_>)) -> Result<()> {
        self.at += 1;
        if self.blank()? == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.forget();
            let length = self.value()?;
            let bytes = &self.buffer[self.at - length..self.at];
            let start = self.base + (self.at - length) as u64;
            each(Part::Item { bytes, start, list });
            match self.blank()? {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return self.wrong("expected `,` or `]`"),
                None => return self.wrong("unexpected end of JSON input"),
            }
        }
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

    fn cut(text: &str) -> std::result::Result<Vec<String>, String> {
        let run = |reader: &mut dyn Read| {
            let mut found = Vec::new();
            parts(reader, 1 << 20, |part| {
                found.push(match part {
                    Part::Document { bytes, start } => format!("{start} doc {}", String::from_utf8_lossy(bytes)),
                    Part::Item { bytes, start, list } => {
                        format!("{start} item {} {:?}", String::from_utf8_lossy(bytes), list.kind)
                    }
                    Part::End { list, start, end } => format!("{start}..{end} end {:?}", list.kind),
                });
            })
            .map_err(|error| match error {
                JsonError::Syntax(message, at) => format!("{at}: {message}"),
                other => format!("{other:?}"),
            })
            .map(|()| found)
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
}
