//! Errors that a log spreads over several lines: chains of causes (Java, Python, .NET, Rust), the
//! properties of a Node error object, libpq's three lines.
//!
//! The classed lines of one such block come in ([`Block`]); out come the errors it tells of: the
//! line that knows the cause keeps its class, lines that only guess become context, and the host
//! and port of one line are lent to the others.

use std::sync::LazyLock;

use regex::Regex;

use super::LogClass;
use super::endpoint::Endpoint;

/// One classed line of a block.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) class: LogClass,
    pub(super) certain: bool,
    pub(super) inbound: bool,
    pub(super) runtime: Option<&'static str>,
    pub(super) endpoint: Endpoint,
    /// The line as it was written, cut.
    pub(super) raw: String,
    /// The unwrapped text that was classed.
    pub(super) message: String,
    pub(super) line_number: usize,
}

/// Lines that belong together, while they are read.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) items: Vec<Item>,
    /// From lines that hold nothing but an address (`address: '10.0.0.1',`).
    pub(super) property: Endpoint,
    blank: bool,
    traceback: bool,
    lines: usize,
}

/// Lines read into one block at most: a run of indented lines without an end is no stack trace.
const LINES: usize = 2_000;
/// Classed lines kept of one block.
const ITEMS: usize = 64;

static PROPERTY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"^\s*['"]?(address|addr|host|hostname|port|broker|server)['"]?\s*(?::|=>?)\s*['"]?([A-Za-z0-9_:.\[\]-]+)['"]?,?\s*\}?\s*$"#,
    )
    .ok()
});

impl Block {
    /// Whether the next raw line goes on with this block. Keeps track of blank lines and of
    /// Python's traces, whose last line is not indented.
    pub(super) fn continues(&mut self, line: &str) -> bool {
        self.lines += 1;
        if self.lines > LINES {
            return false;
        }
        let text = line.trim();
        if text.is_empty() {
            let first = !self.blank;
            self.blank = true;
            return first;
        }
        let starts = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
        if starts(&["During handling of the above", "The above exception was"]) {
            self.blank = false;
            return true;
        }
        if starts(&["Caused by", "Suppressed:", "Location:"]) {
            self.blank = false;
            return true;
        }
        if text.starts_with("Traceback (most recent call last)") {
            self.blank = false;
            self.traceback = true;
            return true;
        }
        let indented = line.starts_with([' ', '\t']);
        if self.blank {
            // a blank line ends a block, unless a chain of causes goes on behind it
            return indented && self.traceback;
        }
        if indented {
            return true;
        }
        if self.traceback {
            self.traceback = false;
            return true;
        }
        // Ruby prints a cause like a new error
        if text.starts_with('/') && text.contains(".rb:") && text.contains(":in ") {
            return true;
        }
        starts(&[
            "}",
            "]",
            ")",
            "... ",
            "--- End of",
            "---> ",
            "#0 ",
            "#1 ",
            "#2 ",
            "#3 ",
            "#4 ",
            "#5 ",
            "#6 ",
            "#7 ",
            "#8 ",
            "#9 ",
            "{main}",
            "Stack trace:",
            "Stack backtrace",
            "thrown in",
            "(Background on this",
            "[SQL:",
            "Is the server running",
            "TCP/IP connections on",
            "[cause]",
            "at ",
            "Emitted 'error' event",
        ])
    }

    /// Adds a classed line.
    pub(super) fn add(&mut self, item: Item) {
        if self.items.len() < ITEMS {
            self.items.push(item);
        }
    }

    /// Reads a line that may be a property of an error object.
    pub(super) fn property(&mut self, line: &str) {
        let Some(captures) = PROPERTY.as_ref().and_then(|regex| regex.captures(line)) else {
            return;
        };
        let (Some(key), Some(value)) = (captures.get(1), captures.get(2)) else {
            return;
        };
        if key.as_str() == "port" {
            self.property.port = self.property.port.or(value.as_str().parse().ok().filter(|port| *port != 0));
            return;
        }
        let value = value.as_str();
        let found = super::endpoint::find(value, 0);
        if self.property.host.is_none() {
            if value.parse::<std::net::Ipv6Addr>().is_ok() || found.host.is_none() {
                let named = value.bytes().any(|b| !b.is_ascii_digit())
                    && !matches!(value, "null" | "undefined" | "true" | "false");
                self.property.host = named.then(|| value.to_owned());
            } else {
                self.property.host = found.host;
                self.property.port = self.property.port.or(found.port);
            }
        }
    }

    /// The errors this block tells of.
    ///
    /// A `record` is one raw line: it tells of an error or leads up to one, not both.
    pub(super) fn errors(self, record: bool) -> Vec<Item> {
        let Block { mut items, property, .. } = self;
        let known: Vec<LogClass> = items
            .iter()
            .filter(|item| item.certain && item.class != LogClass::Context)
            .map(|item| item.class)
            .collect();
        // a driver's guess gives way to the cause that another line of the chain knows
        if !known.is_empty() {
            for item in &mut items {
                if !item.certain {
                    item.class = LogClass::Context;
                }
            }
        }
        // `Failed to connect to db:5432`, and below it what it waited for: the line that says less leads up to the other
        let told = |item: &Item| !matches!(item.class, LogClass::Context | LogClass::Unreachable);
        if known.is_empty() && items.iter().any(told) {
            for item in items.iter_mut().filter(|item| item.class == LogClass::Unreachable && !item.certain) {
                item.class = LogClass::Context;
            }
        }
        let lender = lender(&items, property);
        let rooted = items.iter().any(|item| item.class != LogClass::Context);
        let named: Vec<LogClass> = items
            .iter()
            .filter(|item| item.class != LogClass::Context && item.endpoint.host.is_some())
            .map(|item| item.class)
            .collect();
        let mut out: Vec<Item> = Vec::new();
        for mut item in items {
            let own = item.endpoint.host.is_some();
            if item.class == LogClass::Context {
                if rooted && (record || is_tail(&item.message)) {
                    continue;
                }
            } else if !own && named.contains(&item.class) {
                merge(&mut out, &item);
                continue;
            }
            if item.class != LogClass::Context || is_tail(&item.message) {
                lend(&mut item.endpoint, &lender);
            }
            let same = out.iter_mut().find(|other| {
                other.class == item.class
                    && other.endpoint.host == item.endpoint.host
                    && (other.endpoint.port == item.endpoint.port
                        || other.endpoint.port.is_none()
                        || item.endpoint.port.is_none())
            });
            match same {
                Some(other) => {
                    other.certain |= item.certain;
                    other.endpoint.port = other.endpoint.port.or(item.endpoint.port);
                    other.runtime = other.runtime.or(item.runtime);
                }
                None => out.push(item),
            }
        }
        // lines that were merged before the one that names the host came
        for class in named {
            if known.contains(&class)
                && let Some(item) = out.iter_mut().find(|item| item.class == class)
            {
                item.certain = true;
            }
        }
        out
    }
}

/// libpq's second and third line, which only complete the first.
fn is_tail(message: &str) -> bool {
    let text = message.trim_start();
    text.starts_with("Is the server running") || text.starts_with("TCP/IP connections on")
}

fn merge(out: &mut [Item], item: &Item) {
    if let Some(other) = out.iter_mut().find(|other| other.class == item.class) {
        other.certain |= item.certain;
    }
}

/// The address of the block: that of its properties, else of its first line that has one.
fn lender(items: &[Item], property: Endpoint) -> Endpoint {
    let mut out = property;
    for item in items {
        let endpoint = &item.endpoint;
        if out.host.is_none() && endpoint.host.is_some() {
            let port = out.port.take();
            out = endpoint.clone();
            out.port = out.port.or(port);
        } else if out.host == endpoint.host || endpoint.host.is_none() {
            out.port = out.port.or(endpoint.port);
        }
    }
    out
}

fn lend(to: &mut Endpoint, from: &Endpoint) {
    if to.host.is_none() {
        let port = to.port.take();
        *to = from.clone();
        to.port = port.or(to.port);
    } else if to.host == from.host {
        to.port = to.port.or(from.port);
        to.scheme = to.scheme.take().or_else(|| from.scheme.clone());
    }
}
