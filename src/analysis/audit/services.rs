//! Services that their clients can't reach: one that no pod reaches, and pods that are stopped from a Service that their
//! environment names.

use serde_json::Value;

use super::exposure::service_object;
use super::facts::{Facts, all_pods};
use super::isolation::containers;
use super::{Finding, ObjectRef, codes};
use crate::analysis::explain::explain;
use crate::model::query::{PortSpec, Target};
use crate::model::{PodId, Protocol, ServiceId, ServicePort};
use crate::policy::Direction;
use crate::policy::rule::{L4, Match, Ports};
use crate::reach::matrix::{Column, Matrix, Options};
use crate::reach::{CheckOptions, Source, Verdict};
use crate::source::{FieldPath, Part};

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    if facts.policies.info.is_empty() {
        return;
    }
    unreachable(facts, out);
    named_in_environment(facts, out);
}

fn unreachable(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let cluster = facts.cluster;
    if cluster.services.iter().all(|s| s.origin.is_none()) {
        return;
    }
    let matrix = Matrix::new(cluster, facts.policies, facts.profile, Options::default());
    for (index, service) in cluster.services.iter().enumerate() {
        let Some(origin) = service.origin else { continue };
        let id = ServiceId(index as u32);
        for port in &service.ports {
            let backends: Vec<(PodId, u16)> = cluster
                .backends(id, port)
                .into_iter()
                .filter(|b| b.serving)
                .filter_map(|b| Some((b.pod?, b.port?)))
                .collect();
            let open = |(pod, number): &(PodId, u16)| some_client(&matrix, *pod, port, *number);
            if backends.is_empty() || facts.explained.borrow().contains(&id) || backends.iter().any(open) {
                continue;
            }
            let waits = |(pod, number): &(PodId, u16)| waits_for_others(facts, *pod, port.protocol, *number);
            if !facts.whole && backends.iter().any(waits) {
                continue;
            }
            let message = format!(
                "no pod can reach Service `{}` on {} {}, though it has endpoints",
                cluster.service_name(id),
                port.protocol,
                port.number
            );
            let key = format!("{} {}", port.protocol, port.number);
            let mut finding = Finding::new(codes::SERVICE_UNREACHABLE, service_object(cluster, id), key, message);
            let place = FieldPath::keys("spec.ports");
            finding.diagnostic = finding.diagnostic.at(origin, place, Part::Entry, "policies close it to everyone");
            let group = facts.groups.iter().position(|g| backends.iter().any(|(p, _)| g.pods.contains(p)));
            for policy in group.iter().flat_map(|g| facts.isolated_by(*g as u32, Direction::Ingress)).take(2) {
                let info = facts.policies.info(*policy);
                let place = FieldPath::keys("spec.podSelector");
                finding = finding.context(info, place, Part::Entry, "isolates its pods for ingress");
            }
            out.push(finding.help(format!(
                "ask for one client: netcheck CLIENT {}:{}",
                cluster.service_name(id),
                port.number
            )));
        }
    }
}

/// Whether a pod other than this one, or something outside the cluster, reaches a port, or may.
fn some_client(matrix: &Matrix<'_>, pod: PodId, port: &ServicePort, number: u16) -> bool {
    // Policies don't apply to pods on their node's network.
    let Some(class) = matrix.class_of(pod) else { return true };
    let Some(row) = matrix.row_of(class) else { return false };
    row.parts.iter().filter(|p| p.ports.contains(port.protocol, number)).any(|part| {
        !part.unknown.is_empty()
            || part.allowed.iter().any(|column| match matrix.column(column) {
                Column::Pods(other) => other != class || matrix.pods(other).len() > 1,
                Column::Outside(_) | Column::Internet => true,
                Column::Nodes(..) | Column::Name(_) => false,
            })
    })
}

/// Whether a rule lets in clients that aren't among these objects: where they are a part of a cluster, that is no finding.
fn waits_for_others(facts: &Facts<'_>, pod: PodId, protocol: Protocol, number: u16) -> bool {
    let Some(group) = facts.groups.iter().position(|g| g.pods.contains(&pod)) else { return true };
    let by = facts.isolated_by(group as u32, Direction::Ingress);
    let policies = facts.policies.network.ingress.iter().filter(|p| by.contains(&p.policy));
    policies.flat_map(|p| &p.rules).any(|rule| {
        let port = match &rule.l4 {
            L4::Any => true,
            L4::OneOf(ports) => ports.iter().any(|p| {
                p.protocol.is_none_or(|p| p == protocol)
                    && match &p.ports {
                        Ports::Range(first, last) => (*first..=*last).contains(&number),
                        _ => true,
                    }
            }),
        };
        let here = match (&rule.source, all_pods(&rule.source)) {
            (Match::OneOf(_), Some(peers)) => peers.iter().all(|e| !facts.select(e).is_empty()),
            _ => false,
        };
        port && !here
    })
}

/// Workloads whose environment is read: it takes their whole object.
const MOST_READ: usize = 1_000;
/// Names in one environment.
const MOST_NAMES: usize = 40;

fn named_in_environment(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let cluster = facts.cluster;
    let mut read = 0;
    let mut seen = Vec::new();
    for group in facts.groups.iter().filter(|g| !g.assumed) {
        let pod = &cluster.pods[group.example().index()];
        // Of a large dump, the text isn't kept.
        let Some(origin) = pod.origin.filter(|o| facts.sources.text(o.source).is_some()) else { continue };
        if read == MOST_READ {
            return;
        }
        read += 1;
        let Some(object) = facts.sources.value(origin) else { continue };
        for (variable, dialled) in environment(&object).into_iter().take(MOST_NAMES) {
            let Some((service, port)) = facts.service(pod.namespace, &dialled) else { continue };
            let key = (group.example(), service, port.number);
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
            out.extend(blocked(facts, group.example(), service, &port, &variable));
        }
    }
}

fn blocked(
    facts: &Facts<'_>,
    client: PodId,
    service: ServiceId,
    port: &ServicePort,
    variable: &str,
) -> Option<Finding> {
    let cluster = facts.cluster;
    let (target, asked) = (Target::Service(service), PortSpec::Number(port.number));
    // DNS is a finding of its own.
    let options = CheckOptions { dns: false };
    let check = facts.evaluator.check(Source::Pod(client), &target, &asked, port.protocol, options);
    if !matches!(check.verdict, Verdict::Blocked | Verdict::Partial) {
        return None;
    }
    let pod = &cluster.pods[client.index()];
    let (kind, name) = match &pod.workload {
        Some(w) => (w.kind.to_string(), w.name.to_string()),
        None => ("Pod".to_owned(), pod.name.to_string()),
    };
    let namespace = facts.namespace_name(pod.namespace).to_owned();
    let address = format!("{}:{}", cluster.service_name(service), port.number);
    let message =
        format!("policies stop `{namespace}/{name}` from `{address}`, which its environment names in `{variable}`");
    let object = ObjectRef { kind, namespace: Some(namespace.clone()), name: name.clone() };
    let mut finding = Finding::new(codes::CLIENT_BLOCKED, object, &address, message);
    if let Some(explanation) = explain(facts.evaluator, &check).first() {
        let why = explanation.diagnostic(facts.evaluator);
        finding.diagnostic.labels = why.labels;
        finding.diagnostic.notes.push(why.message);
        finding.diagnostic.notes.extend(why.notes);
    }
    Some(finding.help(format!("for the fix: netcheck {namespace}/{name} {address}")))
}

/// What an environment says is dialled.
#[derive(Debug, PartialEq, Eq)]
struct Dialled {
    host: String,
    port: Option<u16>,
}

/// Variables of the containers, with what they name to connect to. Values themselves aren't kept: they may hold secrets.
fn environment(object: &Value) -> Vec<(String, Dialled)> {
    let mut out = Vec::new();
    for variable in containers(object).filter_map(|c| c.get("env")?.as_array()).flatten() {
        let text = |key| variable.get(key).and_then(Value::as_str);
        let (Some(name), Some(value)) = (text("name"), text("value")) else { continue };
        out.extend(value.split(',').filter_map(dialled).map(|d| (name.to_owned(), d)));
    }
    out
}

/// Host and port of a URL or a `host:port`; a bare word may mean anything.
fn dialled(value: &str) -> Option<Dialled> {
    let value = value.trim();
    if value.len() > 1024 {
        return None;
    }
    let value = value.strip_prefix("jdbc:").unwrap_or(value);
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, value),
    };
    let rest = rest.split(['/', '?', '#']).next()?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (rest, None),
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if host.is_empty() || !host.chars().all(plain) || (scheme.is_none() && port.is_none()) {
        return None;
    }
    let usual = match scheme.unwrap_or_default() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        "postgres" | "postgresql" => Some(5432),
        "redis" => Some(6379),
        "mysql" | "mariadb" => Some(3306),
        "amqp" => Some(5672),
        "mongodb" => Some(27017),
        "nats" => Some(4222),
        _ => None,
    };
    Some(Dialled { host: host.trim_end_matches('.').to_owned(), port: port.or(usual) })
}

impl Facts<'_> {
    /// The Service that a pod of a namespace means by a name, with its TCP port.
    fn service(&self, namespace: crate::model::NamespaceId, dialled: &Dialled) -> Option<(ServiceId, ServicePort)> {
        let mut parts = dialled.host.split('.');
        let name = parts.next()?;
        let within = match (parts.next(), parts.next()) {
            (None, _) => namespace,
            (Some(other), None | Some("svc")) => self.cluster.namespace(other)?,
            _ => return None,
        };
        let id = self.cluster.service(within, name)?;
        let service = &self.cluster.services[id.index()];
        let mut ports = service.ports.iter().filter(|p| p.protocol == Protocol::Tcp);
        let port = match dialled.port {
            Some(number) => ports.find(|p| p.number == number),
            None => ports.next().filter(|_| service.ports.len() == 1),
        };
        port.map(|p| (id, p.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_name_hosts_and_ports_but_bare_words_mean_nothing() {
        let of = |text| dialled(text).map(|d| (d.host, d.port));
        let host = |name: &str, port| Some((name.to_owned(), port));
        assert_eq!(of("postgres://u:p@db.shop.svc.cluster.local/x"), host("db.shop.svc.cluster.local", Some(5432)));
        assert_eq!(of("redis:6379"), host("redis", Some(6379)));
        assert_eq!(of("http://cart"), host("cart", Some(80)));
        assert_eq!(of("jdbc:postgresql://db:15432/x?y=z"), host("db", Some(15432)));
        for nothing in ["cart", "12:30:00", "Hello:80", "a b:80", "", "debug", "/var/run:80x"] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }
}
