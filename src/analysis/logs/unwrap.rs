//! What a line of a log says, without what the program's surroundings put around it: colours, the
//! container runtime's prefix, kubectl's time stamp, klog's header, and JSON.
//!
//! One raw line in, the lines of text it carries out: a JSON record may hold a whole stack trace.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

/// The text of one raw line.
pub(super) struct Unwrapped<'a> {
    /// The lines of text, the message first. One for a plain line.
    pub(super) lines: Vec<Cow<'a, str>>,
    /// True for a record that stands for itself: the next raw line does not continue it.
    pub(super) record: bool,
    /// True for a record whose level says that the program ends by it.
    pub(super) fatal: bool,
    /// The address that fields of the record name beside its text.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

static PREFIX: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^(?:
          \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)\ (?:(?:stdout|stderr)\ [FP]\ )?
        | \[pod/[^\]\s]+\]\ ?
        | unable\ to\ retrieve\ container\ logs\ for\ [a-z-]+://[0-9a-f]{64}
        | [IWEF]\d{4}\ \d\d:\d\d:\d\d\.\d+\s+\d+\ [^\]\s]+\]\ ?
        )",
    )
    .ok()
});

/// Strips terminal escapes: colours would stand between the words a pattern looks for.
pub(super) fn plain(line: &str) -> Cow<'_, str> {
    if !line.bytes().any(|b| b < 0x20 && b != b'\t') {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.peek() {
                Some('[') => {
                    chars.next();
                    for c in chars.by_ref() {
                        if ('\u{40}'..='\u{7e}').contains(&c) {
                            break;
                        }
                    }
                }
                Some(']') => {
                    for c in chars.by_ref() {
                        if c == '\u{7}' || c == '\u{1b}' {
                            break;
                        }
                    }
                }
                _ => {
                    chars.next();
                }
            },
            '\t' => out.push(c),
            c if (c as u32) < 0x20 => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Takes a line apart. Never fails: what is not understood is its own text.
pub(super) fn unwrap(raw: &str) -> Unwrapped<'_> {
    let mut text = plain(raw);
    for _ in 0..4 {
        let Some(found) = PREFIX.as_ref().and_then(|prefix| prefix.find(&text)) else {
            break;
        };
        let end = found.end();
        text = cut(text, end);
    }
    let trimmed = text.trim_start();
    if trimmed.starts_with('{')
        && let Ok(Value::Object(map)) = serde_json::from_str::<Value>(trimmed.trim_end())
    {
        return record(&map);
    }
    // a JSON object after a time stamp and a level (zap's console encoding, Lambda, Serilog)
    if trimmed.ends_with('}')
        && let Some(start) = trimmed.find("{\"")
        && let Some(tail) = trimmed.get(start..)
        && let Ok(Value::Object(map)) = serde_json::from_str::<Value>(tail)
    {
        let head = trimmed.get(..start).unwrap_or_default().trim_end().to_owned();
        let mut inner = record(&map);
        if !head.is_empty() {
            inner.lines.insert(0, Cow::Owned(head));
        }
        return inner;
    }
    let quoted = text.contains("\\\"") || text.contains("\\n");
    if !quoted {
        return Unwrapped { lines: vec![text], record: false, fatal: false, host: None, port: None };
    }
    let text = text.replace("\\\"", "\"").replace("\\t", "\t");
    let lines: Vec<Cow<'_, str>> = text.split("\\n").map(|line| Cow::Owned(line.to_owned())).collect();
    Unwrapped { record: lines.len() > 1, fatal: false, lines, host: None, port: None }
}

fn cut(text: Cow<'_, str>, end: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(end..).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(end..).unwrap_or_default().to_owned()),
    }
}

/// Keys of a record that hold its text, in the order they are read.
const MESSAGE: &[&str] =
    &["msg", "message", "@m", "@mt", "log", "event", "text", "short_message", "textpayload", "body", "summary"];

/// Keys that name what was dialled.
const HOSTS: &[&str] = &[
    "address",
    "addr",
    "broker",
    "endpoint",
    "server",
    "target",
    "peer",
    "peer_address",
    "upstream_host",
    "upstream",
    "upstream_cluster",
    "db_host",
    "dbhost",
    "redis_host",
    "remote",
    "url",
    "uri",
    "dsn",
    "host",
    "hostname",
];

/// Whether a key names what was dialled: a word of [`HOSTS`], or one that ends like it (`server.address`, `es_url`) and is not
/// the caller's or the listener's.
fn names_target(key: &str) -> bool {
    if HOSTS.contains(&key) {
        return true;
    }
    let Some((head, last)) = key.rsplit_once(['.', '_']) else { return false };
    matches!(last, "address" | "addr" | "host" | "hostname" | "url" | "uri" | "endpoint" | "broker" | "dsn")
        && ![
            "client",
            "local",
            "source",
            "listen",
            "bind",
            "remote",
            "forwarded",
            "pod",
            "node",
            "log",
            "agent",
            "user",
        ]
        .iter()
        .any(|own| head.split(['.', '_']).any(|part| part == *own))
}

/// Whether a record's level is the worst that its logger has: a word, or 60 of the loggers that count (pino, bunyan).
fn is_fatal(map: &Map<String, Value>) -> bool {
    ["level", "severity", "@l", "lvl", "levelname", "log.level"].iter().filter_map(|key| map.get(*key)).any(|level| {
        match level {
            Value::String(word) => {
                matches!(
                    word.to_ascii_lowercase().as_str(),
                    "fatal" | "panic" | "critical" | "crit" | "emergency" | "emerg" | "alert"
                )
            }
            Value::Number(number) => number.as_u64() == Some(60),
            _ => false,
        }
    })
}

fn record(map: &Map<String, Value>) -> Unwrapped<'static> {
    let mut out = Unwrapped { lines: Vec::new(), record: true, fatal: is_fatal(map), host: None, port: None };
    let mut rest = Vec::new();
    gather(map, 0, &mut out, &mut rest);
    out.lines.extend(rest);
    if out.lines.is_empty() {
        out.lines.push(Cow::Borrowed(""));
    }
    out
}

fn push(lines: &mut Vec<Cow<'static, str>>, text: &str) {
    for line in text.split('\n') {
        if lines.len() >= 256 {
            return;
        }
        if !line.trim().is_empty() {
            lines.push(Cow::Owned(plain(line).into_owned()));
        }
    }
}

fn gather(map: &Map<String, Value>, depth: usize, out: &mut Unwrapped<'static>, rest: &mut Vec<Cow<'static, str>>) {
    if depth > 5 {
        return;
    }
    let port = map.iter().find_map(|(key, value)| {
        let key = key.to_ascii_lowercase();
        (key == "port"
            || (key.ends_with("_port") || key.ends_with(".port")) && !key.contains("local") && !key.contains("client"))
        .then(|| match value {
            Value::Number(port) => port.as_u64().and_then(|port| u16::try_from(port).ok()),
            Value::String(port) => port.parse().ok(),
            _ => None,
        })
        .flatten()
    });
    let failed = map.contains_key("errno") || map.contains_key("syscall") || map.contains_key("code");
    for (key, value) in map {
        let lower = key.to_ascii_lowercase();
        match value {
            Value::String(text) => {
                if names_target(&lower) {
                    // a logger's own `host` and `hostname` are the pod's name: they count beside
                    // a port, or inside an error
                    let own = matches!(lower.as_str(), "host" | "hostname");
                    if (!own || port.is_some() || failed && depth > 0) && out.host.is_none() && text.len() < 512 {
                        address(text, port, out);
                    }
                    continue;
                }
                if MESSAGE.contains(&lower.as_str()) {
                    // the docker log driver's record holds the program's own record
                    let inner = text.trim();
                    if inner.starts_with('{')
                        && let Ok(Value::Object(inner)) = serde_json::from_str::<Value>(inner)
                    {
                        gather(&inner, depth + 1, out, rest);
                        continue;
                    }
                    if lower == "log" {
                        let inner = unwrap(text.trim_end_matches('\n'));
                        out.host = out.host.take().or(inner.host);
                        out.port = out.port.or(inner.port);
                        for line in inner.lines {
                            push(&mut out.lines, &line);
                        }
                        continue;
                    }
                    push(&mut out.lines, text);
                } else if !matches!(
                    lower.as_str(),
                    "time"
                        | "timestamp"
                        | "ts"
                        | "@timestamp"
                        | "@t"
                        | "level"
                        | "severity"
                        | "@l"
                        | "logger"
                        | "thread"
                        | "thread_name"
                        | "caller"
                        | "stream"
                        | "service"
                        | "trace_id"
                        | "span_id"
                        | "traceid"
                        | "spanid"
                        | "version"
                        | "hostname"
                        | "user_agent"
                        | "path"
                        | "method"
                ) {
                    push(rest, text);
                }
            }
            Value::Object(inner) => gather(inner, depth + 1, out, rest),
            Value::Array(items) => {
                for item in items.iter().take(32) {
                    match item {
                        Value::Object(inner) => gather(inner, depth + 1, out, rest),
                        Value::String(text) => push(rest, text),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if out.port.is_none() && out.host.is_some() {
        out.port = port;
    }
}

/// An address field: `host`, `host:port` or a URL.
fn address(text: &str, port: Option<u16>, out: &mut Unwrapped<'static>) {
    let found = super::endpoint::find(text, 0);
    if found.host.is_some() {
        out.host = found.host;
        out.port = found.port.or(port);
    } else if !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
    {
        out.host = Some(text.trim_end_matches('.').to_owned());
        out.port = port;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(raw: &str) -> Vec<String> {
        unwrap(raw).lines.into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn runtime_prefixes_go() {
        for raw in [
            "2026-11-21T03:58:42.715Z stderr F boom",
            "2026-11-21T03:58:42.715Z boom",
            "\u{1b}[31mboom\u{1b}[0m",
            "[pod/api-1/api] boom",
            r#"{"log":"boom\n","stream":"stderr","time":"2026-11-21T03:58:42Z"}"#,
            "E1121 03:58:42.715123       1 reflector.go:138] boom",
        ] {
            assert_eq!(lines(raw), ["boom"], "{raw}");
        }
    }

    #[test]
    fn a_record_holds_a_stack_trace_and_an_address() {
        let record = unwrap(
            r#"{"level":50,"hostname":"api-1","err":{"message":"connect ECONNREFUSED","stack":"a\n  at b","code":"ECONNREFUSED","address":"10.0.0.1","port":5432},"msg":"db failed"}"#,
        );
        assert_eq!(record.host.as_deref(), Some("10.0.0.1"));
        assert_eq!(record.port, Some(5432));
        assert!(record.lines.iter().any(|line| line == "db failed"));
        assert!(record.lines.iter().any(|line| line == "  at b"));
    }

    #[test]
    fn the_loggers_own_host_name_is_no_address() {
        assert_eq!(unwrap(r#"{"host":"api-7d9f","msg":"connection refused"}"#).host, None);
    }
}
