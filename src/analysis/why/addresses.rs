//! Hosts and ports in a text: URLs, connection strings, lists, and what can be a host at all.
//!
//! The value of a variable or the text of a file comes in, [`Address`]es go out; credentials are dropped here and kept nowhere.
//! It knows nothing of pods, and not whether anything is dialled.

use std::sync::LazyLock;

use regex::Regex;

/// An address found in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) scheme: Option<String>,
}

/// Most addresses of one kind in a text.
const MOST: usize = 64;

static URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b((?:jdbc:)?[a-z][a-z0-9+.]*(?::thin)?)(?:://|:@//|:@)([^\s"'<>|`\\]+)"#).ok());
static DSN_HOST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:^|[\s;&?(])(?:host|hostaddr|server|data source|addr|address|bootstrap\.servers|brokers?)\s*=\s*(?:tcp:)?([\w.,:-]+)"#).ok()
});
static DSN_PORT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)(?:^|[\s;&])port\s*=\s*(\d{1,5})\b").ok());
static GO_DSN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"@?tcp\(([\w.-]+)(?::(\d{1,5}))?\)").ok());
static PAIR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:^|[\s,;="'\[(])([A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?)*):(\d{2,5})(?:$|[\s,;/"'\])])"#).ok()
});

/// The addresses in a value: URLs (with lists of hosts), `key=value` strings, `host:port` lists.
pub(super) fn endpoints(text: &str) -> Vec<Address> {
    let mut out: Vec<Address> = Vec::new();
    let mut push = |host: &str, port: Option<u16>, scheme: Option<String>| {
        let address = Address { host: host.to_owned(), port, scheme };
        if is_host(host) && !out.iter().any(|known| (&known.host, known.port) == (&address.host, port)) {
            out.push(address);
        }
    };
    let mut rest = text.to_owned();
    if let Some(url) = URL.as_ref() {
        for found in url.captures_iter(text).take(MOST) {
            let scheme = found.get(1).map_or("", |s| s.as_str()).to_ascii_lowercase();
            let scheme = scheme.trim_start_matches("jdbc:").trim_end_matches(":thin").to_owned();
            let body = found.get(2).map_or("", |b| b.as_str());
            // Userinfo may hold anything but a slash; it is dropped here and never kept.
            let authority = body.split(['/', '?', '#', ';']).next().unwrap_or_default();
            let authority = match body.rfind('@').filter(|at| body[..*at].contains(':') && !body[at + 1..].is_empty()) {
                Some(at) => body[at + 1..].split(['/', '?', '#', ';']).next().unwrap_or_default(),
                None => authority.rsplit_once('@').map_or(authority, |(_, host)| host),
            };
            let authority = authority.trim_start_matches("tcp(").trim_end_matches([')', ',', '.', ';', ':']);
            for one in authority.split(',') {
                let (host, port) = host_port(one);
                push(host, port, Some(scheme.clone()));
            }
            rest = rest.replacen(found.get(0).map_or("", |a| a.as_str()), " ", 1);
        }
    }
    if let Some(dsn) = GO_DSN.as_ref() {
        for found in dsn.captures_iter(text).take(MOST) {
            let port = found.get(2).and_then(|p| p.as_str().parse().ok());
            push(found.get(1).map_or("", |h| h.as_str()), port, Some("mysql".to_owned()));
        }
    }
    if let Some(dsn) = DSN_HOST.as_ref() {
        let port = DSN_PORT.as_ref().and_then(|p| p.captures(&rest)).and_then(|p| p.get(1)?.as_str().parse().ok());
        for found in dsn.captures_iter(&rest).take(MOST) {
            let hosts = found.get(1).map_or("", |h| h.as_str());
            // `Server=db,1433` is SQL Server's way of writing a port.
            if let Some((host, number)) = hosts.split_once(',')
                && let Ok(number) = number.parse::<u16>()
            {
                push(host, Some(number), Some("sqlserver".to_owned()));
                continue;
            }
            for one in hosts.split(',') {
                let (host, own) = host_port(one);
                push(host, own.or(port), None);
            }
        }
    }
    if let Some(pair) = PAIR.as_ref() {
        // Neighbours share a separator: every one is looked for from where the last one's port ended.
        let mut at = 0;
        while let Some(found) = pair.captures_at(&rest, at) {
            let (Some(host), Some(port)) = (found.get(1), found.get(2)) else { break };
            at = port.end();
            if let Ok(number) = port.as_str().parse::<u16>()
                && host.as_str().bytes().any(|b| b.is_ascii_alphabetic() || b == b'.')
            {
                push(host.as_str(), Some(number), None);
            }
        }
    }
    out
}

/// Hosts and ports that a text names: in URLs, connection strings and lists, and in settings beside each other.
pub fn addresses(text: &str) -> Vec<(String, Option<u16>)> {
    let mut out: Vec<(String, Option<u16>)> = Vec::new();
    for found in endpoints(text).into_iter().chain(super::files::pairs(text)) {
        let new = (found.host, found.port);
        if !out.contains(&new) {
            out.push(new);
        }
    }
    out
}

fn host_port(text: &str) -> (&str, Option<u16>) {
    let text = text.trim();
    if let Some(end) = text.find(']') {
        let port = text[end + 1..].strip_prefix(':').and_then(|p| p.parse().ok());
        return (text[..end].trim_start_matches('['), port);
    }
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port.parse().ok()),
        _ => (text, None),
    }
}

/// Whether a text can be a host: an address, or labels of RFC 1123 with underscores let through.
pub(super) fn is_host(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    text.len() <= 253
        && text.split('.').all(label)
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "none" | "yes" | "no" | "on" | "off"
        )
}

/// Whether a host is the pod itself.
pub(super) fn own(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}
#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, Option<u16>)> {
        endpoints(text).into_iter().map(|a| (a.host, a.port)).collect()
    }

    #[test]
    fn addresses_in_values() {
        let one = |host: &str, port| vec![(host.to_owned(), port)];
        for (text, expected) in [
            ("postgres://app:s3c/r@t@db.data:5433/x", one("db.data", Some(5433))),
            ("jdbc:postgresql://pg.data.svc:5432/billing", one("pg.data.svc", Some(5432))),
            ("jdbc:oracle:thin:@//ora.data:1521/x", one("ora.data", Some(1521))),
            ("jdbc:sqlserver://mssql:1433;databaseName=x", one("mssql", Some(1433))),
            ("root:pw@tcp(mysql.data:3306)/app", one("mysql.data", Some(3306))),
            ("host=db port=5432 password=x dbname=y", one("db", Some(5432))),
            ("Server=tcp:sql.data,1433;User Id=sa", one("sql.data", Some(1433))),
            ("mongodb+srv://u:p@cluster0.example.net/x", one("cluster0.example.net", None)),
            ("redis://cache", one("cache", None)),
            ("http://[fd00::1]:8080/x", one("fd00::1", Some(8080))),
            ("kafka-0.kafka:9092", one("kafka-0.kafka", Some(9092))),
            ("12:30", vec![]),
            ("2026-11-21T04:02:57Z", vec![]),
            ("nginx:1.22", vec![]),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(of("a:9092,b:9092").len(), 2);
        assert_eq!(of("mongodb://u:p@m-0.m:27017,m-1.m:27017/x?rs=a").len(), 2);
    }

    #[test]
    fn what_can_be_a_host() {
        assert!(is_host("10.0.0.1") && is_host("db.data.svc") && is_host("fd00::1"));
        assert!(!is_host("12") && !is_host("a b") && !is_host("true") && !is_host("-x"));
        assert!(own("localhost") && own("127.0.0.1") && own("0.0.0.0") && !own("db"));
    }
}
