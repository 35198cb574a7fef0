//! What a container depends on, from its spec: environment, arguments, ConfigMaps, wait scripts, probes of other hosts.
//!
//! A variable that comes from a Secret is only known to exist, unless Secrets were asked to be read: then it is known where it
//! leads. What is declared need not be dialled, so every candidate carries where it comes from.

use super::addresses::{Address, endpoints, is_host, own};
use super::drivers::scheme_of_name;
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
                let Some(prefix) = host_prefix(name, HOSTS) else { continue };
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

/// Ends of names of variables that hold a host. The longer word stands first where one ends like another.
const HOSTS: &[&str] = &[
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
/// Ends that may say other things too: enough for a value that may be read by anyone, not for a Secret's.
const LOOSE: &[&str] = &["URL", "URI", "DOMAIN", "UPSTREAM", "BACKEND", "SERVICE", "PEERS"];

/// What stands before `HOST` in a variable's name, in upper case.
fn host_prefix(name: &str, words: &[&str]) -> Option<String> {
    let upper = name.to_ascii_uppercase();
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
    let prefix = host_prefix(&upper, HOSTS).or_else(|| host_prefix(&upper, LOOSE));
    let Some(prefix) = prefix else { return Vec::new() };
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
