//! Where a configured value leads: `host:port`, and nothing else of it.
//!
//! Passwords stand next to hosts in URLs, in DSNs and in variables of their own. What is not recognised as the name of a
//! host or a port is not kept.

use std::sync::LazyLock;

use regex::Regex;

use crate::analysis::why::{addresses, dialled};

/// `scheme://[user[:password]@]host[:port]`, which may be a list of hosts (Kafka, MongoDB).
static URL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b([a-z][a-z0-9+.-]*)://(?:[^\s/@]*@)?((?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?(?:,(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?)*)").ok()
});
/// `user:password@tcp(host:port)/database`, as Go's MySQL driver writes it.
static GO_DSN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)@(?:tcp|udp)6?\(((?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?)\)").ok());
/// `host=... port=...`, as libpq and ODBC write it.
static PAIRS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:^|[\s;,?&])(host|hostname|server|addr|address|port)\s*=\s*['"]?([a-z0-9._:-]+)"#).ok()
});
/// `host:port` that stands alone.
static BARE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(?:^|[\s=,;"'\[(])((?:\[[0-9a-f:]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?):[0-9]{2,5})(?:$|[\s,;"'\])/])"#,
    )
    .ok()
});

/// The longest value that is looked into.
const LONGEST: usize = 1 << 20;
/// Endpoints of one value that are kept.
const MOST: usize = 200;

/// How variables that hold a host, or hosts, end.
const HOSTS: [&str; 12] = [
    "host", "hosts", "hostname", "addr", "address", "server", "servers", "endpoint", "url", "uri", "broker", "brokers",
];

fn ends_with(name: &str, ends: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    ends.iter().any(|end| name.ends_with(end))
}

/// Whether a variable is by its name one that leads somewhere, whatever its value.
pub(super) fn is_named_so(name: &str) -> bool {
    ends_with(name, &HOSTS) || ends_with(name, &["port"])
}

/// The endpoints of a value; empty where it names none. `name` is that of its variable or key.
pub(super) fn of(name: &str, value: &str) -> Vec<String> {
    let value = value.get(..LONGEST).unwrap_or(value).trim();
    let mut out = Vec::new();
    if value.is_empty() {
        return out;
    }
    // Most values lead nowhere: what every pattern needs is looked for before any is tried.
    let has = |byte| memchr::memchr(byte, value.as_bytes()).is_some();
    let (colon, equals) = (has(b':'), has(b'='));
    let mut urls = false;
    for found in captures(&URL, value, colon) {
        urls = true;
        let scheme = found.get(1).map_or("", |m| m.as_str()).to_ascii_lowercase();
        for host in found.get(2).map_or("", |m| m.as_str()).split(',') {
            match (split(host), default_port(&scheme)) {
                (Some((_, Some(_))), _) | (Some((_, None)), None) => add(&mut out, host.to_owned()),
                (Some((host, None)), Some(port)) => add(&mut out, format!("{host}:{port}")),
                (None, _) => {}
            }
        }
    }
    for found in captures(&GO_DSN, value, colon || has(b'(')) {
        urls = true;
        if let Some(host) = found.get(1) {
            add(&mut out, host.as_str().to_owned());
        }
    }
    if urls {
        return out;
    }
    let (mut host, mut port) = (None, None);
    for found in captures(&PAIRS, value, equals) {
        let text = found.get(2).map_or("", |m| m.as_str());
        match found.get(1).map_or("", |m| m.as_str()).eq_ignore_ascii_case("port") {
            true => port = port_of(text),
            false if split(text).is_some_and(|(h, _)| is_host(h)) => host = Some(text.to_owned()),
            false => {}
        }
    }
    match (host, port) {
        (Some(host), Some(port)) => add(&mut out, format!("{host}:{port}")),
        (Some(host), None) => add(&mut out, host),
        _ => {}
    }
    // Neighbours share a separator, which a match takes with it: look again from each end.
    let mut at = 0;
    while let Some(found) = BARE.as_ref().filter(|_| colon).and_then(|pattern| pattern.captures_at(value, at)) {
        let Some(host) = found.get(1) else { break };
        at = host.end();
        if split(host.as_str()).is_some_and(|(h, p)| is_host(h) && p.is_some()) {
            add(&mut out, host.as_str().to_owned());
        }
    }
    for (host, port) in addresses(value) {
        let Some(port) = port.filter(|_| is_host(&host)) else { continue };
        out.retain(|known| *known != host);
        let known = |known: &String| split(known).is_some_and(|(h, _)| h == host);
        if !out.iter().any(known) {
            add(&mut out, format!("{host}:{port}"));
        }
    }
    if out.is_empty() && ends_with(name, &["port"]) && port_of(value).is_some() {
        out.push(value.to_owned());
    }
    if out.is_empty() && ends_with(name, &HOSTS) {
        let all: Vec<&str> = value.split(',').map(str::trim).collect();
        if all.iter().all(|h| is_host(h)) {
            out.extend(all.into_iter().map(str::to_owned));
        }
    }
    out
}

/// What a command dials, as the shortest command that dials the same: `nc -z db 5432`. Variables stay variables.
pub(super) fn commands(words: &[String]) -> Vec<String> {
    const VARIABLE: &str = "netcheck-variable-";
    let named = |name: &str| Some(format!("{VARIABLE}{name}"));
    let text = words.join(" ");
    let waits = ["until ", "while ", "for "].iter().find(|word| text.contains(*word)).copied().unwrap_or_default();
    let mut out = Vec::new();
    for dialled in dialled(words, &named) {
        let host = match dialled.host.strip_prefix(VARIABLE) {
            Some(name) => format!("${{{name}}}"),
            None if dialled.host.contains(VARIABLE) || !is_host(&dialled.host) => continue,
            None => dialled.host,
        };
        let command = match (dialled.port, dialled.scheme.as_deref()) {
            (Some(port), _) => format!("nc -z {host} {port}"),
            (None, Some("dns")) => format!("nslookup {host}"),
            (None, Some("postgres")) => format!("pg_isready -h {host}"),
            (None, Some("mysql")) => format!("mysqladmin -h {host}"),
            (None, Some("redis")) => format!("redis-cli -h {host}"),
            (None, Some("mongodb")) => format!("mongosh --host {host}"),
            _ => continue,
        };
        add(&mut out, format!("{waits}{command}"));
    }
    out
}

/// Flags that say how much memory a JVM may use: they are no secret, and tell why it was killed.
pub(super) fn heap_flags(text: &str) -> Vec<&str> {
    let sized = |rest: &str| {
        let digits = rest.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G', 't', 'T']);
        !digits.is_empty() && digits.len() < 16 && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    };
    text.split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| {
            ["-Xmx", "-Xms", "-XX:MaxHeapSize=", "-XX:MaxRAMPercentage="]
                .iter()
                .any(|flag| word.strip_prefix(flag).is_some_and(sized))
        })
        .take(8)
        .collect()
}

fn add(out: &mut Vec<String>, endpoint: String) {
    if out.len() < MOST && !out.contains(&endpoint) {
        out.push(endpoint);
    }
}

fn captures<'t>(
    pattern: &'static LazyLock<Option<Regex>>,
    value: &'t str,
    likely: bool,
) -> impl Iterator<Item = regex::Captures<'t>> {
    likely.then(|| pattern.as_ref()).flatten().into_iter().flat_map(move |pattern| pattern.captures_iter(value))
}

/// A host with its port.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = rest.strip_prefix(':').map(port_of);
        return match port {
            None => Some((host, None)),
            Some(port) => Some((host, Some(port?))),
        };
    }
    match text.rsplit_once(':') {
        None => Some((text, None)),
        Some((host, port)) => Some((host, Some(port_of(port)?))),
    }
}

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Whether a text can be a host: an address, or a DNS name with a letter in it. A token looks like one too, but for its
/// length.
fn is_host(text: &str) -> bool {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    text.len() <= 253
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && !text.bytes().any(|b| b.is_ascii_uppercase())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "postgres" | "postgresql" => 5432,
        "mysql" | "mariadb" => 3306,
        "redis" | "rediss" => 6379,
        "mongodb" => 27017,
        "amqp" => 5672,
        "amqps" => 5671,
        "nats" => 4222,
        "ldap" => 389,
        "ldaps" => 636,
        "smtp" => 25,
        "sqlserver" => 1433,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{commands, heap_flags, of};

    #[test]
    fn of_a_command_what_it_dials_is_kept() {
        let kept = |script: &str| commands(&["sh".to_owned(), "-c".to_owned(), script.to_owned()]).join("; ");
        assert_eq!(kept("until nc -z -w 2 db.data 5432; do sleep 1; done"), "until nc -z db.data 5432");
        assert_eq!(kept("PGPASSWORD=hunter2 pg_isready -h $DB_HOST -U admin"), "pg_isready -h ${DB_HOST}");
        assert_eq!(kept("mysql -uroot -phunter2 -e x"), "");
        assert_eq!(
            heap_flags("-Xms1g -Xmx2g -Dpassword=hunter2 -XX:MaxRAMPercentage=90.0"),
            ["-Xms1g", "-Xmx2g", "-XX:MaxRAMPercentage=90.0"]
        );
    }

    #[test]
    fn only_host_and_port_are_kept() {
        for (name, value, kept) in [
            ("DATABASE_URL", "postgres://user:s3cret@db.shop:5433/app?sslmode=require", "db.shop:5433"),
            ("DATABASE_URL", "postgres://user:p%40ss@db/app", "db:5432"),
            ("JDBC", "jdbc:postgresql://db:5432/app?password=x", "db:5432"),
            ("BROKERS", "kafka-0.kafka:9092,kafka-1.kafka:9092", "kafka-0.kafka:9092 kafka-1.kafka:9092"),
            ("MONGO", "mongodb://u:p@a:27017,b:27018/x", "a:27017 b:27018"),
            ("DSN", "root:hunter2@tcp(mysql:3306)/app", "mysql:3306"),
            ("DSN", "host=db port=5432 user=me password=hunter2", "db:5432"),
            ("DSN", "Server=tcp:sql.data,1433;User Id=sa;Password=hunter2", "sql.data:1433"),
            ("app.ini", "[redis]\nhost = cache\nport = 6380\npassword = hunter2", "cache:6380"),
            ("REDIS_HOST", "redis", "redis"),
            ("REDIS_PORT", "6379", "6379"),
            ("API", "[fd00::1]:8080", "[fd00::1]:8080"),
            ("PASSWORD", "hunter2", ""),
            ("API_KEY", "sk_live_abcdef0123456789", ""),
            ("TOKEN", "abc:def", ""),
            ("MODE", "production", ""),
            ("STARTED", "2024-01-01T10:20:30Z", ""),
            ("PASSWORD", "a:b@c", ""),
        ] {
            assert_eq!(of(name, value).join(" "), kept, "{name}={value}");
        }
    }
}
