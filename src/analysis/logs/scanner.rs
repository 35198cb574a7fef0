//! Reads a log in pieces, in bounded memory: a line is cut at [`Limits::line`], a log gives at most
//! [`Limits::errors`] distinct errors, and what was said again is counted.

use std::collections::HashMap;

use super::endpoint::{self, Endpoint};
use super::evidence::{self, Evidence, EvidenceKind};
use super::join::{Block, Item};
use super::rules;
use super::scrub::scrub;
use super::unwrap::unwrap;
use super::words::{INBOUND, WORTH};
use super::{LogClass, LogError};

/// How much of a log is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one line that are read; the rest of a longer line is skipped.
    pub line: usize,
    /// Characters of a line that a result quotes.
    pub quote: usize,
    /// Distinct errors, and distinct pieces of evidence, that are kept.
    pub errors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { line: 64 * 1024, quote: 2_000, errors: 500 }
    }
}

/// What a log was found to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Connection errors, in the order of their first lines.
    pub errors: Vec<LogError>,
    /// The application's own errors, in the order of their first lines.
    pub evidence: Vec<Evidence>,
    /// Lines read.
    pub lines: usize,
    /// Distinct errors and pieces of evidence beyond [`Limits::errors`], not kept.
    pub dropped: usize,
}

/// Lines kept to look back to for the address of an error that names none.
const LOOK_BACK: usize = 40;

/// Reads a log piece by piece. Pieces need not end at line ends, nor be UTF-8.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    partial: Vec<u8>,
    overlong: bool,
    block: Option<Block>,
    earlier: Vec<String>,
    next_earlier: usize,
    seen: HashMap<(LogClass, String), usize>,
    known: HashMap<(EvidenceKind, String), usize>,
    private_key: bool,
    source_line: bool,
    scan: Scan,
}

impl Scanner {
    /// A scanner at the start of a log.
    pub fn new(limits: Limits) -> Self {
        Scanner {
            limits,
            partial: Vec::new(),
            overlong: false,
            block: None,
            earlier: Vec::new(),
            next_earlier: 0,
            seen: HashMap::new(),
            known: HashMap::new(),
            private_key: false,
            source_line: false,
            scan: Scan::default(),
        }
    }

    /// Reads the next piece of the log.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            if self.partial.is_empty() && !self.overlong {
                self.bytes(line);
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.partial);
                self.overlong = false;
                self.bytes(&line);
                self.partial = line;
                self.partial.clear();
            }
        }
        self.keep(rest);
    }

    /// Reads one line, without its line end.
    pub fn push_line(&mut self, line: &str) {
        self.push(line.as_bytes());
        self.push(b"\n");
    }

    /// What the log said.
    pub fn finish(mut self) -> Scan {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.bytes(&line);
        }
        self.flush();
        self.scan.errors.sort_by_key(|error| error.line_number);
        self.scan.evidence.sort_by_key(|evidence| evidence.line_number);
        self.scan
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limits.line.saturating_sub(self.partial.len());
        self.overlong |= bytes.len() > room;
        self.partial.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    fn bytes(&mut self, line: &[u8]) {
        self.scan.lines += 1;
        let line = line.get(..self.limits.line).unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let worth = WORTH.as_ref().is_none_or(|words| words.is_match(line));
        if !worth && self.block.is_none() && !self.private_key {
            self.source_line = is_file(line);
            self.private_key = is_key(line);
            self.remember(line);
            return;
        }
        let text = String::from_utf8_lossy(line);
        self.text(&text, worth);
        self.remember(line);
    }

    /// Keeps a line's beginning, to look back to.
    fn remember(&mut self, line: &[u8]) {
        let line = line.get(..400).unwrap_or(line);
        if self.earlier.len() < LOOK_BACK {
            self.earlier.push(String::from_utf8_lossy(line).into_owned());
        } else if let Some(slot) = self.earlier.get_mut(self.next_earlier) {
            slot.clear();
            match std::str::from_utf8(line) {
                Ok(text) => slot.push_str(text),
                Err(_) => slot.push_str(&String::from_utf8_lossy(line)),
            }
        }
        self.next_earlier = (self.next_earlier + 1) % LOOK_BACK;
    }

    fn text(&mut self, raw: &str, worth: bool) {
        if self.private_key || is_key(raw.as_bytes()) {
            self.private_key = !(raw.contains("-----END") && raw.contains("KEY-----"));
            return;
        }
        let unwrapped = unwrap(raw);
        if unwrapped.record {
            self.flush();
            let mut block = Block::default();
            block.property.host = unwrapped.host;
            block.property.port = unwrapped.port;
            for line in &unwrapped.lines {
                self.line(&mut block, raw, line, true);
            }
            let silent = block.items.is_empty()
                && self.scan.evidence.last().is_none_or(|known| known.last_line != self.scan.lines);
            if let Some(line) = unwrapped.lines.first().filter(|_| unwrapped.fatal && silent) {
                self.note(EvidenceKind::AppError, raw, line);
            }
            self.block = Some(block);
            self.end(true);
            return;
        }
        let Some(line) = unwrapped.lines.first() else {
            return;
        };
        let mut block = self.block.take();
        if let Some(open) = &mut block
            && !open.continues(line)
        {
            self.block = block.take();
            self.flush();
        }
        let mut block = block.unwrap_or_default();
        if worth || !block.items.is_empty() {
            self.line(&mut block, raw, line, worth);
        }
        self.block = (!block.items.is_empty()).then_some(block);
    }

    /// Classes one line of text and adds it to the block.
    fn line(&mut self, block: &mut Block, raw: &str, line: &str, worth: bool) {
        let code = self.source_line;
        self.source_line = is_file(line.as_bytes());
        if is_frame(line) || code && line.starts_with("    ") {
            return;
        }
        if !worth {
            block.property(line);
            return;
        }
        let class = rules::classify(line);
        if let Some(class) = class {
            let mut endpoint = endpoint::find(line, class.at);
            // the name server that did not answer is not what was looked up
            let asked = endpoint.host.as_ref().is_some_and(|host| line.contains(&format!("{host}#53")));
            if class.class.is_dns() && (endpoint.port == Some(53) && !line.contains("udp ") || asked) {
                endpoint = Endpoint::default();
            }
            block.add(Item {
                class: class.class,
                certain: class.certain,
                inbound: INBOUND.as_ref().is_some_and(|words| words.is_match(line.as_bytes())),
                runtime: class.runtime,
                endpoint,
                raw: shorten(raw, self.limits.quote),
                message: shorten(line, self.limits.quote),
                line_number: self.scan.lines,
            });
        } else {
            block.property(line);
        }
        for kind in evidence::kinds(line, class.map(|class| class.class)) {
            self.note(kind, raw, line);
        }
    }

    fn note(&mut self, kind: EvidenceKind, raw: &str, line: &str) {
        let key = (kind, digest(line));
        if let Some(found) = self.known.get(&key).and_then(|at| self.scan.evidence.get_mut(*at)) {
            if found.last_line != self.scan.lines {
                found.count += 1;
                found.last_line = self.scan.lines;
            }
            return;
        }
        if self.scan.evidence.len() >= self.limits.errors {
            self.scan.dropped += 1;
            return;
        }
        self.known.insert(key, self.scan.evidence.len());
        let endpoint = if matches!(
            kind,
            EvidenceKind::HttpServerError | EvidenceKind::AuthFailed | EvidenceKind::DependencyNotReady
        ) {
            endpoint::find(line, 0)
        } else {
            Endpoint::default()
        };
        self.scan.evidence.push(Evidence {
            kind,
            line: scrub(&shorten(raw, self.limits.quote)).into_owned(),
            message: (raw.trim() != line.trim()).then(|| scrub(&shorten(line, self.limits.quote)).into_owned()),
            host: endpoint.host,
            port: endpoint.port,
            line_number: self.scan.lines,
            last_line: self.scan.lines,
            count: 1,
        });
    }

    /// Ends the open block and keeps its errors; `record` where it came of one raw line.
    fn flush(&mut self) {
        self.end(false);
    }

    fn end(&mut self, record: bool) {
        let Some(block) = self.block.take() else {
            return;
        };
        for item in block.errors(record) {
            self.emit(item);
        }
    }

    fn emit(&mut self, item: Item) {
        let Endpoint { host, port, alias, scheme } = item.endpoint;
        let said =
            format!("{}|{}|{}", host.as_deref().unwrap_or_default(), port.unwrap_or_default(), digest(&item.message));
        let key = (item.class, said);
        if let Some(found) = self.seen.get(&key).and_then(|at| self.scan.errors.get_mut(*at)) {
            found.count += 1;
            found.last_line = item.line_number;
            return;
        }
        if self.scan.errors.len() >= self.limits.errors {
            self.scan.dropped += 1;
            return;
        }
        let hint =
            (host.is_none() && item.class != LogClass::Context && !item.inbound).then(|| self.look_back()).flatten();
        self.seen.insert(key, self.scan.errors.len());
        let message = (item.message.trim() != item.raw.trim()).then(|| scrub(&item.message).into_owned());
        self.scan.errors.push(LogError {
            class: item.class,
            host,
            port,
            line: scrub(&item.raw).into_owned(),
            message,
            line_number: item.line_number,
            last_line: item.line_number,
            count: 1,
            certain: item.certain,
            inbound: item.inbound,
            runtime: item.runtime,
            alias,
            scheme,
            hint,
        });
    }

    /// The address that the nearest earlier line says it goes to.
    fn look_back(&self) -> Option<Endpoint> {
        (1..=self.earlier.len()).find_map(|back| {
            let at = (self.next_earlier + LOOK_BACK - back) % LOOK_BACK;
            hint(self.earlier.get(at)?)
        })
    }
}

/// The address a line says the program is about to go to.
fn hint(line: &str) -> Option<Endpoint> {
    let lower = line.to_ascii_lowercase();
    let goes = [
        "connect",
        "dial",
        "open",
        "wait",
        "fetch",
        "load",
        "url",
        "host",
        "endpoint",
        "broker",
        "bootstrap",
        "using",
        "database",
        "redis",
        "sending",
        "calling",
        "ping",
        "reach",
        "check",
        "attempt",
        "dsn",
        "upstream",
        "get ",
    ]
    .iter()
    .any(|word| lower.contains(word));
    let stays = ["listening", "serving", "bound to", "listen on", "started on", "http/1.", "accepted connection"]
        .iter()
        .any(|word| lower.contains(word));
    if !goes || stays || is_frame(line) {
        return None;
    }
    let unwrapped = unwrap(line);
    let found = unwrapped
        .lines
        .iter()
        .map(|line| endpoint::find(line, line.len()))
        .find(|found| found.host.is_some())
        .unwrap_or(Endpoint { host: unwrapped.host, port: unwrapped.port, ..Endpoint::default() });
    found.host.is_some().then_some(found)
}

/// Python's `  File "x.py", line 3`: the next line is source.
fn is_file(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"File \"")
}

fn is_key(line: &[u8]) -> bool {
    line.starts_with(b"-----BEGIN ") && line.ends_with(b"PRIVATE KEY-----")
}

/// A line of a stack trace, or of the source it quotes: names of exceptions there tell of nothing.
fn is_frame(line: &str) -> bool {
    let text = line.trim_start();
    let indented = text.len() < line.len();
    indented
        && (text.starts_with("at ") && !text.contains("onnection to ")
            || text.starts_with("File \"")
            || text.starts_with("from /")
            || text.starts_with("raise ")
            || text.starts_with("throw ")
            || text.starts_with("^")
            || text.starts_with("~"))
        || text.contains("throw new ")
        || text.starts_with('#') && text.contains(".php(")
}

/// A line without what changes from one time to the next: numbers, and identifiers in hexadecimal.
fn digest(line: &str) -> String {
    let mut out = String::with_capacity(line.len().min(200));
    let mut number = false;
    for c in line.trim().chars().take(240) {
        if c.is_ascii_digit() {
            if !number {
                out.push('0');
            }
            number = true;
        } else if !(number && c.is_ascii_hexdigit()) {
            number = false;
            out.push(c);
        }
    }
    out
}

fn shorten(line: &str, limit: usize) -> String {
    match line.char_indices().nth(limit) {
        Some((at, _)) => line.get(..at).unwrap_or_default().to_owned(),
        None => line.to_owned(),
    }
}
