//! The host and port a line of a log names: what was dialled or looked up, never the caller, the
//! name server, a line of source or a time of day.
//!
//! One line in, an [`Endpoint`] out. Wordings that say which address was dialled come first, then
//! URLs, then any `host:port` the line holds, the best one near the words of the error.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex, RegexBuilder};
use serde::Serialize;

use super::rules::Table;
use super::words::{LABELS, NOT_HOSTS, SOURCE};

/// An address that a log line names. All parts are as the log spells them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Endpoint {
    /// The name or address.
    pub host: Option<String>,
    /// The port, where the line has it.
    pub port: Option<u16>,
    /// The address where `host` is a name, or the name where it is an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The URL's scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

impl Endpoint {
    /// Whether the line named nothing at all.
    pub fn is_empty(&self) -> bool {
        self.host.is_none() && self.port.is_none()
    }
}

/// Wordings that name an address. Groups: `h` host, `p` port, `a` the host's other spelling, `s`
/// the scheme.
struct Locator {
    kind: Kind,
    pattern: &'static str,
}

/// How far a wording is to be trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only a host stands there.
    Host,
    /// A word of prose may stand there too.
    Prose,
    /// A URL, which may be one of documentation.
    Url,
}

const fn at(pattern: &'static str) -> Locator {
    Locator { kind: Kind::Host, pattern }
}

const fn of(kind: Kind, pattern: &'static str) -> Locator {
    Locator { kind, pattern }
}

const LOCATORS: &[Locator] = &[
    // failed lookups
    at(r"getaddrinfo for (?P<h>[\w.-]+) failed"),
    of(Kind::Prose, r"lookup (?:_\w+\._\w+\.)?(?P<h>[a-z0-9_][\w.-]*)(?: on \S+?)?: "),
    at(r"getaddrinfo (?-i:E[A-Z_]+) (?P<h>[\w.-]+)(?:[: ](?:[\w.-]+:)?(?P<p>\d{1,5})\b)?"),
    at(r"\bquery[a-z]* E[A-Z]+ (?:_\w+\._\w+\.)?(?P<h>[\w.-]+)"),
    at(r"could not translate host name \\?\x22(?P<h>[^\x22\\]+)\\?\x22"),
    at(r"failed to resolve '(?P<h>[\w.-]+)(?::(?P<p>\d+))?'"),
    at(r"getaddrinfo for host \\?\x22(?P<h>[^\x22\\]+)\\?\x22 port (?P<p>\d+)"),
    at(r"UnknownHostException: \[?(?P<h>[\w.-]*[a-z0-9_][\w.-]*)"),
    at(r"(?:mysql|mariadb) server host '(?P<h>[^']+)'"),
    at(r"host not found in (?:upstream|resolver) \\?\x22(?P<h>[\w.-]+)(?::(?P<p>\d+))?"),
    at(r"(?P<h>[a-z0-9_][\w.-]*) could not be resolved"),
    at(r"can't find (?P<h>[\w.-]+): (?:NXDOMAIN|SERVFAIL|no answer)"),
    at(r"\bbad address '(?P<h>[\w.-]+)(?::(?P<p>\d+))?"),
    at(r"failed to resolve '(?P<h>[\w.-]+)(?::(?P<p>\d+))?'"),
    at(r"temporary failure resolving '(?P<h>[\w.-]+)'"),
    of(
        Kind::Prose,
        r"dns resolution (?:failed|failure)(?: for| of)? (?:service: |target )?(?:dns:/*)?'?(?P<h>[a-z0-9_][\w.-]*)(?::(?P<p>\d+))?",
    ),
    at(r"dns lookup failed for (?P<h>[\w.-]+):(?P<p>\d+)"),
    of(
        Kind::Prose,
        r"(?:dns|name|host) (?:lookup|resolution) (?:failed|failure|error): \\?[\x22']?(?P<h>[a-z0-9_][\w-]*(?:\.[\w-]+)*)\b(?::(?P<p>\d{2,5})\b)?",
    ),
    at(
        r"(?:resolution failed for target|resolve target) \\?[\x22']?(?:dns|xds|passthrough):/*(?P<h>[\w.-]+)(?::(?P<p>\d+))?",
    ),
    at(r"qtype=\w+ name=(?P<h>[\w.-]+)"),
    at(r"couldn't resolve server (?P<h>[\w.-]+):(?P<p>\d+)"),
    at(
        r"(?:not found address of host|dns query name does not exist|name service error for name=|name or service not known, host)[: =]*(?P<h>[\w.-]+)",
    ),
    of(
        Kind::Prose,
        r"(?:(?:could not|couldn.t|cannot|can't|unable to|failed to|failure to) (?:resolve|look ?up|translate))(?: the)?(?: proxy| remote| server)?:? (?:host ?name|hostname|host|address|domain name|domain|name|broker|server)?(?: address)?[: ]*[\x22'`\x80-\xff]*(?P<h>[a-z0-9_][\w-]*(?:\.[\w-]+)*)(?::(?P<p>\d{1,5})\b)?",
    ),
    of(Kind::Prose, r"unknown host:? \(?[\x22']?(?P<h>[\w-]+(?:\.[\w-]+)*)[\x22']?"),
    of(
        Kind::Prose,
        r"(?P<h>[a-z0-9_][\w-]*(?:\.[\w-]+)*): (?:name or service not known|temporary failure in name resolution|name does not resolve|nodename nor servname|no address associated|no such host is known)",
    ),
    of(
        Kind::Prose,
        r"(?:temporary failure in name resolution|name or service not known|name does not resolve|no such host(?: is known)?)(?::| \(| for) \(?[\x22']?(?P<h>[a-z0-9_][\w-]*(?:\.[\w-]+)*)[\x22')]*(?::(?P<p>\d{2,5}))?\)?\s*$",
    ),
    of(Kind::Prose, r"address information for [\x22'`]?(?P<h>[\w.-]+)"),
    at(r"\d+ (?P<h>[a-z0-9_][\w.-]*)\. (?:A|AAAA|SRV|PTR|MX|HINFO)+: (?:NXDOMAIN|no next plugin)"),
    at(r"IN (?P<h>[a-z0-9_][\w.-]*)\. (?:udp|tcp) .{0,60}SERVFAIL"),
    at(r"records? found for query.{0,40}name\(\\?\x22(?P<h>[\w.-]+?)\.?\\?\x22\)"),
    // the system's own words for what was dialled
    at(r"[\d.\]:a-f]+:\d+ ?(?:->|=>|→) ?(?P<a>[a-z_][\w.-]*)?/?\[?(?P<h>[0-9a-f.:]+?)\]?:(?P<p>\d+)"),
    at(r"\bL:\S+ [-!] R:(?P<a>[a-z_][\w.-]*)?/?\[?(?P<h>[0-9a-f.:]+?)\]?:(?P<p>\d+)"),
    at(r"(?:read|write) (?:tcp|udp)[46]? \S+?->\[?(?P<h>[0-9a-f.:]+?)\]?:(?P<p>\d+)"),
    at(r"(?P<h>\d+\.\d+\.\d+\.\d+):(?P<p>\d{2,5}) \((?P<a>[a-z0-9_][\w.-]*)\): (?:dial|hostname|server|tls|failed)"),
    at(r"dial (?:tcp|udp)[46]? \[?(?P<h>[a-z0-9_][\w.%-]*|[0-9a-f:]+:[0-9a-f:.]*)\]?:(?P<p>\d+)"),
    at(r"connect E[A-Z]+ \[?(?P<h>[0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*|[\w.-]+)\]?:(?P<p>\d{1,5})\b"),
    at(r"host: Some\((?:Domain|Ipv4|Ipv6)\(\\?\x22?(?P<h>[\w.:-]+)\\?\x22?\)\), port: (?:Some\((?P<p>\d+)\)|None)"),
    at(r"ConnectionPool\(host='(?P<h>[^']+)', port=(?P<p>\d+)\)"),
    at(r"connection to server at \\?\x22(?P<h>[^\x22\\]+)\\?\x22(?: \((?P<a>[^)]+)\))?, port (?P<p>\d+)"),
    at(r"connection to \\?\x22(?P<h>[^\x22\\]+)\\?\x22(?: \((?P<a>[^)]+)\))?, port (?P<p>\d+)"),
    // the same in other languages: `auf »db« (10.0.0.1), Port 5432`
    at(r"(?:\x22|«|») ?(?P<h>[\w.-]+) ?(?:\x22|«|»)(?: \((?P<a>[^)]+)\))?, (?:port|puerto|porta|порт) (?P<p>\d+)"),
    at(
        r"on host \\?\x22(?P<h>[^\x22\\]+)\\?\x22(?: \((?P<a>[^)]+)\))?(?: and accepting\s+TCP/IP connections on port (?P<p>\d+))?",
    ),
    at(r"ipv[46]#\[?(?P<h>[0-9a-f.:]+?)\]?:(?P<p>\d+)"),
    at(r"to the host (?P<h>[\w.-]+),? (?:named instance \S+|port (?P<p>\d+))"),
    at(
        r"connect(?:\(2\))? (?:to|for) (?:\\?\x22)?(?:host )?(?P<h>[\w.-]+|\[?[0-9a-f:]+\]?)(?:\\?\x22)?(?: \((?P<a>[\d.]+)\))? port (?P<p>\d+)",
    ),
    at(r"failed to open tcp connection to (?:\w+://)?(?P<h>[\w.-]+):(?P<p>\d+)"),
    at(r"error -?\d+ connecting to (?P<h>[\w.-]+):(?P<p>\d+)"),
    at(r"cannot connect to host (?P<h>[\w.-]+|\[[0-9a-f:]+\]):(?P<p>\d+)"),
    at(r"attempted address(?:es)?: (?P<h>[\w.-]+|\[[0-9a-f:]+\]):(?P<p>\d+)"),
    at(r"(?:upstream|backend): \\?\x22(?P<s>[a-z]+)://(?P<h>[\w.-]+|\[[0-9a-f:]+\])(?::(?P<p>\d+))?"),
    at(r"outbound\|(?P<p>\d+)\|[^|]*\|(?P<h>[\w.-]+)"),
    at(r"(?:to|at|server) [`\[](?P<h>[a-z0-9_][\w.-]*)[`\]]:`?(?P<p>\d+)"),
    at(r"\bhost:? \[?(?P<h>[a-z0-9_][\w.-]*)\]?,? port:? \[?(?P<p>\d+)"),
    at(r"\bhost \[(?P<h>[a-z0-9_][\w.-]*):(?P<p>\d+)\]"),
    at(r"(?:SQL Server on|\bserver ?=|data source ?=) ?(?:tcp:)?(?P<h>[a-z0-9_][\w.-]*),(?P<p>\d{2,5})\b"),
    at(r"/dev/tcp/(?P<h>[\w.-]+)/(?P<p>\d+)"),
    at(r"(?P<h>[\w.-]+) \([\w.-]+\)\|(?P<a>[\d.]+)\|:(?P<p>\d+)"),
    at(r"connect to (?P<h>[\w.-]+)\[(?P<a>[\d.]+)\]:(?P<p>\d+)"),
    at(
        r"(?:couldn't|could not|can't|cannot|unable to) connect to (?P<h>[a-z_][\w-]*(?:\.[\w-]+)*):(?P<p>\d{2,5}) \(resolved",
    ),
    at(r"connecting to (?P<h>[\w.-]+)\|(?P<a>[\d.]+)\|:(?P<p>\d+)"),
    at(r"(?P<h>[a-z0-9_][\w.-]*) \[(?:[\w.-]+/)?(?P<a>[\d.]+)\]:(?P<p>\d+)"),
    at(r"connect to (?P<h>[\w.-]+):(?P<p>\d+) \[[\w.-]*/(?P<a>[0-9a-f.:]+)"),
    at(r"(?P<h>[a-z_][\w.-]*):(?P<p>\d{2,5}) \((?P<a>\d+\.\d+\.\d+\.\d+):\d+\)"),
    at(
        r"(?:nc:|\bconnect to|\bconnecting to|\bat|\bfor|\breach|\bwith) (?P<h>[a-z0-9_][\w.-]*) \((?P<a>\d+\.\d+\.\d+\.\d+):(?P<p>\d+)\)",
    ),
    at(r"(?P<a>[a-z_][\w.-]*)?/(?P<h>\d+\.\d+\.\d+\.\d+) \(port (?P<p>\d+)\)"),
    at(r"(?P<a>[a-z_][\w.-]*)?/\[?(?P<h>\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]+:[0-9a-f]*)\]?:(?P<p>\d+)"),
    at(r"(?P<h>[a-z0-9_][\w.-]*)/<unresolved>:(?P<p>\d+)"),
    at(r"connection to (?P<h>[a-z0-9_][\w-]*(?:\.[\w-]+)+|[\d.]+) timed out"),
    at(r"remote host \((?P<h>[\d.]+|[\w.-]+)\)"),
    at(r"(?:mysql|mariadb)? ?(?:server|mysqld) (?:on|at) '(?P<h>[^': ]+)(?::(?P<p>\d+))?'"),
    at(r"host, port: (?P<h>[\w.-]+), (?P<p>\d+)"),
    at(r"connection failed, host (?P<h>[\w.-]+):(?P<p>\d+)"),
    at(r"redis on (?P<h>[\w.-]+):(?P<p>\d+)"),
    at(r"addr(?:ess)?[=:] ?\\?[\x22']?(?:ipv[46]:)?(?P<h>[\w.-]+|\[[0-9a-f:]+\]):(?P<p>\d+)"),
    at(r"endpoint: \\?[\x22'](?:unspecified/)?(?P<h>[\w.-]+):(?P<p>\d+)"),
    at(r"address=\(host=(?P<h>[^)]+)\)\(port=(?P<p>\d+)\)"),
    at(r"\(host ?= ?(?P<h>[^)]+)\)\s*\(port ?= ?(?P<p>\d+)\)"),
    at(r"ServerDescription \('(?P<h>[^']+)', (?P<p>\d+)\)"),
    at(r"[(\[{]\s*[\x22'](?P<h>[\w.:-]+)[\x22'],\s*(?P<p>\d{2,5})\b"),
    at(r"\{\s*\{?(?P<h>\d+,\s*\d+,\s*\d+,\s*\d+)\}?,\s*(?P<p>\d{2,5})\s*\}"),
    at(
        r"(?:^|[\s\[({,;`\x22'])(?:db_?|server_?|target_?|remote_?|peer_?)?host(?:name)?\s*[=:]>?\s*[\x22']?(?P<h>[a-z0-9_][\w.-]*)[\x22']?[\s,;&]+(?:[\w=.]+[\s,;&]+){0,3}?(?:db_?|server_?)?port\s*[=:]>?\s*[\x22']?(?P<p>\d{1,5})\b",
    ),
    at(r":host=>\\?\x22(?P<h>[\w.-]+)\\?\x22, :port=>(?P<p>\d+)"),
    at(r"(?:^|[\s\[({,;`])host=[\x22']?(?P<h>[a-z0-9_][\w.-]*)"),
    at(
        r"(?:etcd-endpoints|etcd|ipv4|ipv6|dns|xds|passthrough|consul|kubernetes|k8s)://[^\s/,\x22']*/+(?P<h>[\w.-]+|\[[0-9a-f:]+\]):(?P<p>\d+)",
    ),
    at(r"\b(?:ipv[46]|dns|passthrough):/*\[?(?P<h>[0-9a-f.:]*[0-9a-f]|[\w.-]+)\]?:(?P<p>\d+)"),
    at(r"connections on port (?P<p>\d+)"),
    // URLs, without their credentials
    of(
        Kind::Url,
        r"(?P<s>[a-z][a-z0-9+.-]*)://(?:[^\s/?#\x22'<>]*@)?(?P<h>[a-z0-9_][\w.-]*|\[[0-9a-f:.]+\])(?::(?P<p>\d{1,5})\b)?",
    ),
    at(r"@(?:tcp\(|//)?(?P<h>[a-z0-9_][\w.-]*):(?P<p>\d{2,5})\b"),
    // a name or address alone, in places where nothing else can stand
    at(
        r"(?:\bto|\bat|\bfrom|\bwith|\bfor|\bhost|\bserver|\bping) \\?[\x22'`]?(?:host )?/?(?P<h>\d+\.\d+\.\d+\.\d+|[a-z0-9_][\w-]*(?:\.[a-z0-9_][\w-]*)*\.(?:svc|local|internal|com|net|org|io|dev|cluster|consul|default|cloud)(?:\.[a-z0-9_][\w-]*)*)\b",
    ),
    at(r"(?:smtp|ssl|http|mail) server \\?\x22(?P<h>[\w.-]+)\\?\x22"),
];

static TABLE: LazyLock<Table<Locator>> =
    LazyLock::new(|| Table::new(LOCATORS.iter().collect(), |locator| locator.pattern));

static PAIR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    RegexBuilder::new(r"(?P<h>[a-z0-9_][\w.-]*|\[[0-9a-f:.]+\]):(?P<p>\d{1,5})\b")
        .case_insensitive(true)
        .unicode(false)
        .build()
        .ok()
});

/// The address a line names; `near` is where the words of the error stand in it.
pub(super) fn find(line: &str, near: usize) -> Endpoint {
    let mut found = Endpoint::default();
    for row in TABLE.matches(line) {
        let (Some(regex), Some(locator)) = (TABLE.regex(row), TABLE.rows.get(row)) else {
            continue;
        };
        for captures in regex.captures_iter(line.as_bytes()).take(8) {
            let candidate = read(&captures);
            if !trusted(locator.kind, &candidate, &captures, line) {
                continue;
            }
            match (&found.host, &candidate.host) {
                (None, Some(_)) => {
                    let port = found.port.take();
                    found = candidate;
                    found.port = found.port.or(port);
                }
                (None, None) => found.port = found.port.or(candidate.port),
                // a second place that names the same host may have the port
                (Some(host), Some(other)) if host == other => {
                    found.port = found.port.or(candidate.port);
                    found.scheme = found.scheme.take().or(candidate.scheme);
                    found.alias = found.alias.take().or(candidate.alias);
                }
                // `Get "http://vault:8200/…": dial tcp 10.0.0.1:8200: …`: the name that led to the address
                (Some(host), Some(other))
                    if locator.kind == Kind::Url
                        && found.alias.is_none()
                        && host.parse::<std::net::IpAddr>().is_ok()
                        && other.parse::<std::net::IpAddr>().is_err()
                        && (candidate.port.is_none() || candidate.port == found.port) =>
                {
                    found.alias = candidate.host;
                }
                _ => {}
            }
        }
    }
    if found.host.is_some() && found.port.is_some() {
        return found;
    }
    if let Some(pair) = pair(line, near, found.host.as_deref()) {
        if found.host.is_none() {
            found.host = pair.host;
            found.port = pair.port.or(found.port);
        } else if found.host == pair.host {
            found.port = pair.port;
        }
    }
    found
}

fn text(captures: &Captures<'_>, group: &str) -> Option<String> {
    let found = captures.name(group)?;
    Some(String::from_utf8_lossy(found.as_bytes()).into_owned())
}

fn read(captures: &Captures<'_>) -> Endpoint {
    let port = text(captures, "p").and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    let scheme = text(captures, "s").map(|scheme| scheme.to_ascii_lowercase());
    let host = text(captures, "h").and_then(|host| tidy(&host));
    let alias = text(captures, "a").and_then(|alias| tidy(&alias)).filter(|_| host.is_some());
    if host.is_none() && captures.name("h").is_some() {
        return Endpoint::default();
    }
    Endpoint { host, port, alias, scheme }
}

/// A host as the log means it: without brackets, quotes and the dot of an absolute name; nothing
/// where it can't be a host.
fn tidy(host: &str) -> Option<String> {
    let mut host = host.trim_matches(|c| matches!(c, '[' | ']' | '\'' | '"' | ' '));
    if let Some((tuple, true)) = Some((host, host.contains(','))) {
        // Erlang's {10,0,0,1}
        let address: Vec<&str> = tuple.split(',').map(str::trim).collect();
        return (address.len() == 4).then(|| address.join("."));
    }
    host = host.strip_suffix('.').unwrap_or(host).trim_end_matches(['-', '.']);
    // an IPv4 address in the socket of a dual-stack client
    host = host.strip_prefix("::ffff:").filter(|v4| v4.contains('.')).unwrap_or(host);
    if host.is_empty() || host.len() > 253 {
        return None;
    }
    if host.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') && host.parse::<std::net::Ipv4Addr>().is_err() {
        return None;
    }
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() {
        return None;
    }
    (!matches!(host, "null" | "None" | "nil" | "undefined")).then(|| host.to_owned())
}

/// Whether a wording that may hold something else does name a host here.
fn trusted(kind: Kind, candidate: &Endpoint, captures: &Captures<'_>, line: &str) -> bool {
    let Some(host) = &candidate.host else {
        return true;
    };
    let before = captures.name("h").map_or(0, |host| host.start());
    if callers_end(line.as_bytes().get(..before).unwrap_or_default()) {
        return false;
    }
    match kind {
        Kind::Host => true,
        Kind::Prose => !prose(host),
        Kind::Url => {
            let start = captures.get(0).map_or(0, |whole| whole.start());
            let before = line.get(..start).unwrap_or_default().trim_end_matches(['(', '"', '<', ' ', ':']);
            let before = before.to_ascii_lowercase();
            ![
                "see",
                "visit",
                "refer to",
                "background on this error at",
                "more",
                "docs",
                "documentation",
                "info",
                "information",
                "help",
                "troubleshooting",
                "details",
                "guide",
                "about this error",
            ]
            .iter()
            .any(|word| before.ends_with(word))
        }
    }
}

/// Whether what stands before an address says that it is the client's own: `laddr=('10.0.0.1', 40332)`,
/// `Local (10.0.0.1:40332)`, `from /10.0.0.1 (port 40332)`.
fn callers_end(before: &[u8]) -> bool {
    let tail = before.get(before.len().saturating_sub(12)..).unwrap_or_default().to_ascii_lowercase();
    let bare = tail.trim_ascii_end();
    let word = bare.iter().rposition(|b| !b"([/'\"".contains(b)).map_or(&[][..], |end| &bare[..=end]).trim_ascii_end();
    const OWN: &[&[u8]] = &[b"laddr=", b"local=", b"local:", b"local", b"l:"];
    let own = OWN.iter().find(|own| word.ends_with(own));
    // `db.svc.cluster.local/10.0.0.1` is no such word
    let begins = |own: &&[u8]| {
        let before = word.len().checked_sub(own.len() + 1).and_then(|at| word.get(at));
        before.is_none_or(|b| !(b.is_ascii_alphanumeric() || b".-_".contains(b)))
    };
    own.is_some_and(begins) || bare.ends_with(b"from /")
}

fn prose(host: &str) -> bool {
    let lower = host.to_ascii_lowercase();
    // `System.Net.Http.HttpRequestException: …`
    let class = host.rsplit_once('.').is_some_and(|(_, last)| last.starts_with(|c: char| c.is_ascii_uppercase()));
    class || NOT_HOSTS.contains(&lower.as_str()) || LABELS.contains(&lower.as_str())
}

/// The likeliest `host:port` of a line that no wording points at.
fn pair(line: &str, near: usize, host: Option<&str>) -> Option<Endpoint> {
    let regex = PAIR.as_ref()?;
    let bytes = line.as_bytes();
    let mut best: Option<(u8, usize, Endpoint)> = None;
    for captures in regex.captures_iter(bytes).take(64) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        let before = whole.start().checked_sub(1).and_then(|i| bytes.get(i)).copied();
        let after = bytes.get(whole.end()).copied();
        if callers_end(bytes.get(..whole.start()).unwrap_or_default()) {
            continue;
        }
        if !before.is_none_or(|b| b" \t\"'([{<=/@,;`|#>".contains(&b)) {
            continue;
        }
        let next = bytes.get(whole.end() + 1).copied();
        if after == Some(b':') && next.is_some_and(|b| b.is_ascii_digit())
            || after == Some(b'.') && next.is_some_and(|b| b.is_ascii_alphanumeric())
            || matches!(after, Some(b'=' | b'-' | b'%'))
        {
            continue;
        }
        let candidate = read(&captures);
        let (Some(name), Some(port)) = (&candidate.host, candidate.port) else {
            continue;
        };
        if host.is_some_and(|host| host != name) {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        // `(seq:5341)`: nothing else stands alone in parentheses
        let alone = before == Some(b'(') && after == Some(b')') && port >= 80;
        if LABELS.contains(&lower.as_str()) && !alone
            || SOURCE.iter().any(|ending| lower.ends_with(ending))
            || lower.contains("..")
        {
            continue;
        }
        let Some(score) = likelihood(name, port, bytes.get(..whole.start()).unwrap_or_default(), after) else {
            continue;
        };
        let distance = whole.start().abs_diff(near);
        let better = best.as_ref().is_none_or(|(top, far, _)| score > *top || score == *top && distance < *far);
        if better {
            best = Some((score, distance, candidate));
        }
    }
    best.map(|(_, _, endpoint)| endpoint)
}

/// How likely `name:port` is an address: an address or dotted name most, one word alone least.
fn likelihood(name: &str, port: u16, before: &[u8], after: Option<u8>) -> Option<u8> {
    let dotted = name.contains('.') || name.contains(':');
    let lead =
        String::from_utf8_lossy(before.get(before.len().saturating_sub(16)..).unwrap_or_default()).to_ascii_lowercase();
    let lead = lead.trim_end_matches([' ', '"', '\'', '(', '[', '`']);
    let led = [
        "to", "at", "from", "for", "on", "with", "host", "server", "address", "addr", "endpoint", "broker", "brokers",
        "node", "upstream", "target", "connect", "tcp", "reach", "dial", "via", "//", "/", "@", "=", ":", "|",
    ]
    .iter()
    .any(|word| lead.ends_with(word));
    if dotted {
        // org.example.Foo:123 is a class and a line, not a name and a port
        let class = name.split('.').next_back().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_uppercase()));
        return (!class).then_some(if led { 4 } else { 3 });
    }
    if port < 21 || name.len() == 1 || name.bytes().next().is_some_and(|b| b.is_ascii_digit()) && !name.contains('-') {
        return None;
    }
    if led {
        return Some(2);
    }
    (port >= 80 || matches!(after, Some(b':' | b' ' | b'/'))).then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(TABLE.compiles());
        assert!(PAIR.is_some());
    }

    fn pair(line: &str) -> (Option<String>, Option<u16>) {
        let found = find(line, 0);
        (found.host, found.port)
    }

    #[test]
    fn source_lines_and_times_are_no_addresses() {
        for line in [
            "at Object.<anonymous> (/app/server.js:5:25) failed 12:30:45",
            "main.go:34: connection refused",
            "at com.acme.Db.connect(Db.java:341)",
            "2026-11-21 04:02:02 connect failed",
            "org.acme.Main:12 connection refused",
        ] {
            assert_eq!(pair(line), (None, None), "{line}");
        }
    }
}
