//! What a container depends on, from its spec: environment, arguments, ConfigMaps, wait scripts, probes of other hosts.
//!
//! A variable that comes from a Secret is only known to exist, unless Secrets were asked to be read: then it is known where it
//! leads. What is declared need not be dialled, so every candidate carries where it comes from.

use std::sync::LazyLock;

use regex::Regex;

use super::facts::wire::KeyRef;
use super::run::{Examined, Run};
use super::scripts;
use super::secrets::Lead;

/// A variable of a container's environment, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    /// `env DB_HOST`, `ConfigMap billing-config key jdbc.url`.
    pub(super) source: String,
}

/// An address that the spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) scheme: Option<String>,
    /// Where it is known from.
    pub(super) source: String,
    /// How much a declaration of this kind says that it is dialled: log 5, wait script 4, environment 3, argument 2, file 1.
    pub(super) strength: i32,
}

/// An address found in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) scheme: Option<String>,
}

/// Longest value that is looked at.
const LONGEST: usize = 64 << 10;
/// Most candidates of one container.
const MOST: usize = 64;

/// The environment of a container in the order the kubelet makes it: `envFrom`, then `env`, later ones over earlier ones,
/// `$(VAR)` expanded from what stands before.
pub(super) fn environment(pod: &Examined<'_>, run: &Run<'_>) -> Vec<Variable> {
    let facts = pod.case.facts;
    let mut out: Vec<Variable> = Vec::new();
    let set = |out: &mut Vec<Variable>, name: String, value: String, source: String| {
        out.retain(|v| v.name != name);
        out.push(Variable { name, value, source });
    };
    let at = |reference: &KeyRef| (pod.namespace().to_owned(), reference.name.clone());
    for from in &run.container.spec.env_from {
        let Some(reference) = &from.config_map_ref else { continue };
        let Some(map) = facts.config_maps.get(&at(reference)) else { continue };
        for (key, value) in &map.data {
            set(
                &mut out,
                format!("{}{key}", from.prefix),
                value.clone(),
                format!("ConfigMap {} key {key}", reference.name),
            );
        }
    }
    for variable in &run.container.spec.env {
        let (value, source) = match &variable.value_from {
            None => {
                let known = |name: &str| out.iter().find(|v| v.name == name).map(|v| v.value.clone());
                (references(&variable.value, &known), format!("env {}", variable.name))
            }
            Some(from) => {
                let Some(reference) = &from.config_map_key_ref else { continue };
                let Some(value) = facts.config_maps.get(&at(reference)).and_then(|m| m.data.get(&reference.key)) else {
                    continue;
                };
                (
                    value.clone(),
                    format!("env {} from ConfigMap {} key {}", variable.name, reference.name, reference.key),
                )
            }
        };
        set(&mut out, variable.name.clone(), value, source);
    }
    out.retain(|v| v.value.len() <= LONGEST);
    out
}

/// `$(VAR)` alone, as the kubelet expands it.
fn references(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        match after.find(')').and_then(|end| value(&after[..end]).map(|v| (v, end))) {
            Some((known, end)) => {
                out.push_str(&known);
                rest = &after[end + 1..];
            }
            None => {
                out.push_str("$(");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Variables whose value comes from a Secret, which isn't read: `DATABASE_URL ← Secret db key url`.
pub(super) fn unread(run: &Run<'_>) -> Vec<String> {
    let spec = run.container.spec;
    let keys = spec.env.iter().filter_map(|v| {
        let reference = v.value_from.as_ref()?.secret_key_ref.as_ref()?;
        Some(format!("{} from Secret {} key {}", v.name, reference.name, reference.key))
    });
    let whole = spec.env_from.iter().filter_map(|f| Some(format!("all of Secret {}", f.secret_ref.as_ref()?.name)));
    keys.chain(whole).take(16).collect()
}

/// Everything the container's spec says it talks to.
pub(super) fn declared(pod: &Examined<'_>, run: &Run<'_>) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    let mut push = |host: String, port: Option<u16>, scheme: Option<String>, source: String, strength: i32| {
        if !own(&host)
            && !out.iter().any(|c| c.host == host && c.port == port && c.strength >= strength)
            && out.len() < MOST
        {
            out.push(Candidate { host, port, scheme, source, strength });
        }
    };
    let variables = environment(pod, run);
    let value = |name: &str| variables.iter().find(|v| v.name == name).map(|v| v.value.clone());
    let spec = run.container.spec;
    let words: Vec<String> = spec.command.iter().chain(&spec.args).cloned().collect();
    let waits =
        run.is_init() || words.iter().any(|w| w.contains("until ") || w.contains("while ") || w.contains("for "));
    for found in scripts::dialled(&words, &value) {
        push(found.host, found.port, found.scheme, "its command".to_owned(), if waits { 4 } else { 3 });
    }
    for variable in &variables {
        for found in of_variable(variable, &variables) {
            push(found.host, found.port, found.scheme, variable.source.clone(), 3);
        }
    }
    for (found, source) in of_secrets(pod, run, &variables) {
        push(found.host, found.port, found.scheme, source, 3);
    }
    for probe in [&spec.liveness_probe, &spec.readiness_probe, &spec.startup_probe].into_iter().flatten() {
        let host = probe
            .http_get
            .as_ref()
            .map(|h| h.host.clone())
            .or_else(|| probe.tcp_socket.as_ref().map(|t| t.host.clone()));
        if let Some(host) = host.filter(|h| is_host(h)) {
            push(host, None, None, "a probe".to_owned(), 1);
        }
    }
    // Files: only what looks like an address without doubt, since most of a file is never dialled.
    for mount in &spec.volume_mounts {
        let volume = pod.pod.spec.volumes.iter().find(|v| v.name == mount.name);
        let Some(map) = volume.and_then(|v| v.config_map.as_ref()) else { continue };
        let Some(map) = pod.case.facts.config_maps.get(&(pod.namespace().to_owned(), map.name.clone())) else {
            continue;
        };
        for (key, text) in map.data.iter().filter(|(_, text)| text.len() <= LONGEST) {
            let code: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with(['#', ';'])).collect();
            let code = code.join("\n");
            for found in endpoints(&code).into_iter().chain(super::files::pairs(&code)) {
                push(found.host, found.port, found.scheme, format!("ConfigMap {} key {key}", map.metadata.name), 1);
            }
        }
    }
    out
}

/// Addresses in variables that come from Secrets, where those were read: `env DATABASE_URL from Secret db key url`.
fn of_secrets(pod: &Examined<'_>, run: &Run<'_>, variables: &[Variable]) -> Vec<(Address, String)> {
    let spec = run.container.spec;
    let of = |name: &str| pod.case.facts.secrets.get(&(pod.namespace().to_owned(), name.to_owned()));
    let mut all: Vec<(String, &Lead, String)> = Vec::new();
    for from in &spec.env_from {
        let Some(reference) = &from.secret_ref else { continue };
        for (key, lead) in of(&reference.name).into_iter().flat_map(|s| &s.leads) {
            all.push((format!("{}{key}", from.prefix), lead, format!("Secret {} key {key}", reference.name)));
        }
    }
    for variable in &spec.env {
        let Some(reference) = variable.value_from.as_ref().and_then(|f| f.secret_key_ref.as_ref()) else { continue };
        if let Some(lead) = of(&reference.name).and_then(|s| s.leads.get(&reference.key)) {
            let source = format!("env {} from Secret {} key {}", variable.name, reference.name, reference.key);
            all.push((variable.name.clone(), lead, source));
        }
    }
    let mut out = Vec::new();
    for (name, lead, source) in &all {
        let named = scheme_of_name(name).map(str::to_owned);
        match lead {
            Lead::Port(_) => {}
            Lead::Addresses(found) => out.extend(found.iter().map(|address| {
                let scheme = address.scheme.clone().or_else(|| named.clone());
                (Address { scheme, ..address.clone() }, source.clone())
            })),
            Lead::Host(host) => {
                let Some(prefix) = host_prefix(name) else { continue };
                // A word may be a password that is named badly: only what is known to be a host is one.
                if !host.contains('.') && super::resolve::resolve(pod, host).service().is_none() {
                    continue;
                }
                let wanted = format!("{prefix}PORT");
                let of_secret = all.iter().find_map(|(name, lead, _)| match lead {
                    Lead::Port(port) if name.eq_ignore_ascii_case(&wanted) => Some(*port),
                    _ => None,
                });
                let of_variable =
                    || variables.iter().find(|v| v.name.eq_ignore_ascii_case(&wanted))?.value.trim().parse().ok();
                out.push((
                    Address { host: host.clone(), port: of_secret.or_else(of_variable), scheme: named },
                    source.clone(),
                ));
            }
        }
    }
    out
}

/// What stands before `HOST` in a variable's name, in upper case.
fn host_prefix(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    let words = [
        "HOSTNAME",
        "HOST",
        "ADDRESS",
        "ADDR",
        "SERVERS",
        "SERVER",
        "ENDPOINTS",
        "ENDPOINT",
        "BROKERS",
        "HOSTS",
        "MASTER",
        "NODES",
    ];
    words.iter().find_map(|word| upper.strip_suffix(word)).map(str::to_owned)
}

/// Addresses of one variable: its value's, or its value as a host with the port of its pair.
fn of_variable(variable: &Variable, all: &[Variable]) -> Vec<Address> {
    let value = variable.value.trim();
    // The kubelet's own: what every container of the namespace gets, dialled or not.
    if value.is_empty() || variable.name.ends_with("_PORT") || variable.name.contains("_PORT_") {
        return Vec::new();
    }
    let named = scheme_of_name(&variable.name);
    let mut found = endpoints(value);
    for address in &mut found {
        if address.scheme.is_none() {
            address.scheme = named.map(str::to_owned);
        }
    }
    if !found.is_empty() {
        return found;
    }
    let upper = variable.name.to_ascii_uppercase();
    let hosts = [
        "HOSTNAME",
        "HOST",
        "ADDRESS",
        "ADDR",
        "SERVERS",
        "SERVER",
        "ENDPOINTS",
        "ENDPOINT",
        "BROKERS",
        "URL",
        "URI",
        "HOSTS",
        "DOMAIN",
        "UPSTREAM",
        "BACKEND",
        "SERVICE",
        "MASTER",
        "NODES",
        "PEERS",
    ];
    let Some(prefix) = hosts.iter().find_map(|word| upper.strip_suffix(word)) else { return Vec::new() };
    if upper == "HOSTNAME"
        || (upper == "HOST" && !value.contains('.'))
        || upper.contains("LISTEN")
        || upper.contains("BIND")
    {
        return Vec::new();
    }
    let port = all
        .iter()
        .find(|v| v.name.eq_ignore_ascii_case(&format!("{prefix}PORT")))
        .and_then(|v| v.value.trim().parse().ok());
    value
        .split([',', ';', ' '])
        .map(|part| part.split('/').next().unwrap_or_default())
        .filter(|part| is_host(part))
        .map(|host| Address { host: host.to_owned(), port, scheme: named.map(str::to_owned) })
        .collect()
}

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

/// The scheme that a variable's or flag's name speaks of: `PGHOST`, `REDIS_ADDR`, `db-host` of nothing.
pub(super) fn scheme_of_name(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let words: [(&str, &str); 27] = [
        ("pghost", "postgres"),
        ("postgres", "postgres"),
        ("pg_", "postgres"),
        ("mysql", "mysql"),
        ("mariadb", "mysql"),
        ("redis", "redis"),
        ("valkey", "redis"),
        ("mongo", "mongodb"),
        ("rabbit", "amqp"),
        ("amqp", "amqp"),
        ("kafka", "kafka"),
        ("bootstrap", "kafka"),
        ("nats", "nats"),
        ("elastic", "elasticsearch"),
        ("opensearch", "elasticsearch"),
        ("memcache", "memcached"),
        ("cassandra", "cassandra"),
        ("etcd", "etcd"),
        ("zookeeper", "zookeeper"),
        ("zk_", "zookeeper"),
        ("smtp", "smtp"),
        ("ldap", "ldap"),
        ("vault", "vault"),
        ("consul", "consul"),
        ("clickhouse", "clickhouse"),
        ("influx", "influxdb"),
        ("mqtt", "mqtt"),
    ];
    words.iter().find(|(word, _)| name.contains(word)).map(|(_, scheme)| *scheme)
}

/// The port that a scheme means where none is written.
pub(super) fn port_of_scheme(scheme: &str) -> Option<u16> {
    let scheme = scheme.split('+').next().unwrap_or(scheme);
    Some(match scheme {
        "postgres" | "postgresql" | "postgis" | "pgsql" => 5432,
        "mysql" | "mysql2" | "mariadb" => 3306,
        "redis" | "rediss" | "valkey" => 6379,
        "mongodb" | "mongo" => 27017,
        "amqp" | "rabbitmq" => 5672,
        "amqps" => 5671,
        "kafka" => 9092,
        "nats" => 4222,
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "elasticsearch" => 9200,
        "memcached" | "memcache" => 11211,
        "cassandra" | "cql" => 9042,
        "sqlserver" | "mssql" => 1433,
        "oracle" => 1521,
        "ldap" => 389,
        "ldaps" => 636,
        "smtp" => 25,
        "smtps" => 465,
        "zookeeper" => 2181,
        "etcd" => 2379,
        "consul" => 8500,
        "vault" => 8200,
        "clickhouse" => 9000,
        "mqtt" => 1883,
        "mqtts" => 8883,
        "bolt" | "neo4j" => 7687,
        "influxdb" => 8086,
        "ftp" => 21,
        "ssh" | "sftp" => 22,
        "otlp" => 4317,
        "temporal" => 7233,
        _ => return None,
    })
}

/// Families of drivers by what they leave in a log: stack frames, package names, their own words.
const DRIVERS: &[(&str, &[&str])] = &[
    (
        "postgres",
        &[
            "pg-pool",
            "node_modules/pg/",
            "psycopg",
            "org.postgresql",
            "npgsql",
            "lib/pq",
            "pgx",
            "asyncpg",
            "libpq",
            "postgres",
            "sequelize-postgres",
            "pg::",
            "postgrex",
        ],
    ),
    ("mysql", &["mysql", "mariadb"]),
    ("redis", &["redis", "lettuce", "jedis", "valkey"]),
    ("mongodb", &["mongo"]),
    ("amqp", &["amqp", "rabbitmq", "pika"]),
    ("kafka", &["kafka"]),
    ("elasticsearch", &["elasticsearch", "opensearch", "elastic.co", "elastic_transport", "@elastic/"]),
    ("cassandra", &["cassandra", "scylla"]),
    ("memcached", &["memcache"]),
    ("nats", &["nats.io", "nats:"]),
    ("oracle", &["ora-", "oracle"]),
    ("sqlserver", &["sqlclient", "mssql", "sqlserver"]),
    ("etcd", &["etcd"]),
    ("zookeeper", &["zookeeper"]),
    ("clickhouse", &["clickhouse"]),
    ("ldap", &["ldap"]),
    ("temporal", &["temporal"]),
];

/// The families that a text speaks of.
pub(super) fn families(text: &str) -> Vec<&'static str> {
    let lower = text.to_ascii_lowercase();
    DRIVERS.iter().filter(|(_, words)| words.iter().any(|w| lower.contains(w))).map(|(family, _)| *family).collect()
}

/// The family of a scheme, which is the driver's own, or else of a port: `postgres://db:6432` is PostgreSQL, `http://x:9200`
/// Elasticsearch.
pub(super) fn family(scheme: Option<&str>, port: Option<u16>) -> Option<&'static str> {
    let of_port =
        |port: u16| DRIVERS.iter().map(|(family, _)| *family).find(|family| port_of_scheme(family) == Some(port));
    scheme.and_then(port_of_scheme).and_then(of_port).or_else(|| of_port(port?))
}

/// Whether an address is one of what watches a program, whose absence seldom ends it: traces, metrics, error reports.
pub(super) fn watches(candidate: &Candidate) -> bool {
    let text = format!("{} {}", candidate.source, candidate.host).to_ascii_lowercase();
    let words = [
        "otel",
        "otlp",
        "telemetry",
        "opentracing",
        "tracing",
        "jaeger",
        "zipkin",
        "tempo.",
        "sentry",
        "statsd",
        "metrics",
        "prometheus",
        "pushgateway",
        "datadog",
        "dd_agent",
        "dd_trace",
        "newrelic",
        "new_relic",
        "apm",
        "pyroscope",
        "graylog",
        "loki",
        "fluent",
    ];
    words.iter().any(|word| text.contains(word))
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
    fn names_and_hosts() {
        assert_eq!(scheme_of_name("PGHOST"), Some("postgres"));
        assert_eq!(scheme_of_name("CACHE_HOST"), None);
        assert!(is_host("10.0.0.1") && is_host("db.data.svc") && is_host("fd00::1"));
        assert!(!is_host("12") && !is_host("a b") && !is_host("true") && !is_host("-x"));
        assert!(own("localhost") && own("127.0.0.1") && own("0.0.0.0") && !own("db"));
    }
}
