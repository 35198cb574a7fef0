//! Isolation that is incomplete: namespaces without default deny, pods isolated for egress that can't ask DNS.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::facts::{Facts, Group, pods_of, rule_path};
use super::{Finding, ObjectRef, codes, cover, listed};
use crate::model::{Cluster, NamespaceId, PodId, Protocol};
use crate::policy::rule::{Action, Expr, L4, Match, RulePart, StagePolicy, Tier};
use crate::policy::{Direction, PolicyId};
use crate::reach::{Endpoint, Flow, Outcome};
use crate::source::{FieldPath, Part};

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    default_deny(facts, out);
    dns(facts, out);
}

/// Namespaces of the cluster's own: what runs there is installed by whoever runs the cluster.
fn is_system(namespace: &str) -> bool {
    namespace.starts_with("kube-") || namespace.starts_with("openshift-") || namespace == "local-path-storage"
}

/// A namespace, as the object of a finding.
pub(super) fn namespace_object(facts: &Facts<'_>, id: NamespaceId) -> ObjectRef {
    ObjectRef { kind: "Namespace".to_owned(), namespace: None, name: facts.namespace_name(id).to_owned() }
}

fn default_deny(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for id in (0..facts.cluster.namespaces.len() as u32).map(NamespaceId) {
        let name = facts.namespace_name(id);
        let pods: Vec<u32> =
            facts.groups_of(id).filter(|g| !facts.group(*g).assumed && !facts.group(*g).host_network).collect();
        if pods.is_empty() || is_system(name) || has_default_deny(facts, id) {
            continue;
        }
        let open: Vec<u32> =
            pods.iter().copied().filter(|g| facts.isolated_by(*g, Direction::Ingress).is_empty()).collect();
        let message = format!("namespace `{name}` has no default deny for ingress");
        let mut finding = Finding::new(codes::NO_DEFAULT_DENY, namespace_object(facts, id), "ingress", message);
        if let Some(origin) = facts.cluster.namespaces[id.index()].origin {
            let place = FieldPath::keys("metadata.name");
            finding.diagnostic = finding.diagnostic.at(origin, place, Part::Entry, "every new pod here is open");
        }
        finding = match open.as_slice() {
            [] => finding.note("every pod of today is isolated by some policy; one that is added tomorrow need not be"),
            open => finding.note(format!("open to everyone: {}", listed(facts.names(open), 5))),
        };
        out.push(finding.help(format!(
            "add a NetworkPolicy to `{name}` with `podSelector: {{}}` and `policyTypes: [Ingress]`, and no rules"
        )));
    }
}

/// Whether every pod of a namespace, those to come included, is denied what no rule allows.
fn has_default_deny(facts: &Facts<'_>, id: NamespaceId) -> bool {
    let namespace = &facts.cluster.namespaces[id.index()].name;
    let all = Expr::in_namespace(namespace);
    facts.policies_of(Direction::Ingress).iter().any(|(tier, _, policy)| match tier {
        Tier::NetworkPolicy => policy.namespace == Some(id) && cover::implies(&all, &policy.subject),
        // A tier that denies every pod of the cluster what nobody allowed before.
        _ => {
            let parts = super::facts::Parts::of(&policy.subject);
            parts.pod.is_empty()
                && facts.namespaces(&parts).contains(&id)
                && policy.rules.iter().any(|r| r.action == Action::Deny && r.l4 == L4::Any && from_all_pods(&r.source))
        }
    })
}

/// Whether every pod of every namespace is among the peers.
pub(super) fn from_all_pods(peers: &Match) -> bool {
    match peers {
        Match::Any => true,
        Match::OneOf(peers) => peers.iter().any(|p| pods_of(p) == Some(&Expr::Anything)),
    }
}

/// Servers of the cluster's DNS that are tried.
const DNS_SERVERS: usize = 4;
/// Distinct sets of policies that are tried, in the whole cluster.
const MOST_TRIED: usize = 5_000;

/// Where DNS listens, for UDP.
fn dns_servers(cluster: &Cluster) -> Vec<(Endpoint, u16)> {
    let mut out = Vec::new();
    for id in cluster.dns_services() {
        for port in cluster.services[id.index()].ports.iter().filter(|p| p.protocol == Protocol::Udp && p.number == 53)
        {
            for backend in cluster.backends(id, port) {
                let server = match (backend.pod, backend.address) {
                    (Some(pod), _) => Endpoint::pod(cluster, pod, false),
                    (None, Some(ip)) => Endpoint::address(cluster, ip),
                    (None, None) => continue,
                };
                out.extend(backend.port.map(|port| (server, port)));
            }
        }
    }
    out.truncate(DNS_SERVERS);
    out
}

fn dns(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let servers = dns_servers(facts.cluster);
    if servers.is_empty() {
        return;
    }
    let by_id: BTreeMap<PolicyId, &StagePolicy> = facts.policies.network.egress.iter().map(|p| (p.policy, p)).collect();
    // Pods that the same policies select are judged alike: one of them is asked.
    let mut answers: BTreeMap<(NamespaceId, Vec<PolicyId>, Vec<PolicyId>), bool> = BTreeMap::new();
    let mut blocked: BTreeMap<NamespaceId, (Vec<u32>, BTreeSet<PolicyId>)> = BTreeMap::new();
    let mut read = 0;
    for index in 0..facts.groups.len() as u32 {
        let group = facts.group(index);
        let by = facts.isolated_by(index, Direction::Egress);
        if group.assumed || by.is_empty() {
            continue;
        }
        let key = (group.namespace, by.to_vec(), facts.judged_by(index, Direction::Egress).to_vec());
        let tried = answers.len();
        let denied = *answers
            .entry(key)
            .or_insert_with(|| tried < MOST_TRIED && servers.iter().all(|s| denied(facts, group.example(), *s)));
        if denied && (calls_names(by, &by_id) || dials_names(facts, group, &mut read)) {
            let (groups, policies) = blocked.entry(group.namespace).or_default();
            groups.push(index);
            policies.extend(by);
        }
    }
    for (namespace, (groups, policies)) in blocked {
        let names = facts.names(&groups);
        let message = format!(
            "pods of namespace `{}` are isolated for egress, and no rule lets them ask the cluster's DNS",
            facts.namespace_name(namespace)
        );
        let mut finding = Finding::new(codes::NO_DNS, namespace_object(facts, namespace), "egress", message);
        let with_rules = policies.iter().filter_map(|p| by_id.get(p)).filter(|p| !p.rules.is_empty());
        for (position, policy) in with_rules.take(2).enumerate() {
            let info = facts.info(policy);
            let path = FieldPath::keys("spec.egress");
            finding = match position {
                0 => finding.at(info, path, Part::Key, "allows connections by name, and no name can be resolved"),
                _ => finding.context(info, path, Part::Key, "so does this"),
            };
        }
        if finding.diagnostic.labels.is_empty()
            && let Some(policy) = policies.iter().find_map(|p| by_id.get(p))
        {
            let path = FieldPath::keys("spec.policyTypes");
            finding = finding.at(facts.info(policy), path, Part::Entry, "isolates them for egress, with no rules");
        }
        let finding = finding.note(format!("this concerns {}", listed(names, 5)));
        out.push(finding.help(
            "allow egress to pods `k8s-app: kube-dns` of namespace `kube-system` on UDP 53 and TCP 53 for every pod of the namespace",
        ));
    }
}

/// Whether pods that these policies select are let out to where names lead: to pods, or anywhere.
fn calls_names(by: &[PolicyId], policies: &BTreeMap<PolicyId, &StagePolicy>) -> bool {
    by.iter().filter_map(|p| policies.get(p)).flat_map(|p| &p.rules).any(|rule| match &rule.destination {
        Match::Any => true,
        Match::OneOf(peers) => peers.iter().any(|p| pods_of(p).is_some()),
    })
}

/// Objects that are read for what they dial: it takes their whole text.
const MOST_READ: usize = 1_000;

/// Whether the command or the environment of pods names a host in a URL. Policies that let them nowhere may be meant.
fn dials_names(facts: &Facts<'_>, group: &Group, read: &mut usize) -> bool {
    let origin = facts.cluster.pods[group.example().index()].origin;
    let Some(origin) = origin.filter(|o| facts.sources.text(o.source).is_some() && *read < MOST_READ) else {
        return false;
    };
    *read += 1;
    facts.sources.value(origin).is_some_and(|object| {
        containers(&object).any(|c| {
            let of = |key: &str| c.get(key).and_then(Value::as_array).into_iter().flatten();
            let words = of("command").chain(of("args")).chain(of("env").filter_map(|e| e.get("value")));
            words.filter_map(Value::as_str).any(names_a_host)
        })
    })
}

/// The containers of a pod, or of a workload's template.
pub(super) fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    let spec = ["/spec/jobTemplate/spec/template/spec", "/spec/template/spec", "/spec"];
    let spec = spec.iter().find_map(|p| object.pointer(p));
    let list = move |key| spec.and_then(|s| s.get(key)).and_then(Value::as_array).into_iter().flatten();
    list("containers").chain(list("initContainers"))
}

/// Whether a text holds a URL whose host is a name, and not the pod itself.
fn names_a_host(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let rest = rest.split(|c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"').next().unwrap_or("");
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = host.split(':').next().unwrap_or("");
        host.starts_with(|c: char| c.is_ascii_alphabetic()) && host != "localhost"
    })
}

fn denied(facts: &Facts<'_>, client: PodId, (server, port): (Endpoint, u16)) -> bool {
    let client = Endpoint::pod(facts.cluster, client, false);
    let flow = Flow { client, server, protocol: Protocol::Udp, port, name: None, via_service: true };
    let decision = facts.evaluator.evaluate(&flow);
    decision.outcome == Outcome::Denied && decision.egress.outcome == Outcome::Denied
}

/// The path of a rule of a policy.
pub(super) fn path_of(facts: &Facts<'_>, policy: &StagePolicy, direction: Direction, rule: u32) -> FieldPath {
    rule_path(facts.info(policy), policy.policy, direction, rule, RulePart::Rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_hosts_and_addresses_do_not() {
        for text in ["curl -o /tmp/x http://example.com/", "postgres://u:p@db:5432/x", "x; wget 'https://a.b'"] {
            assert!(names_a_host(text), "{text}");
        }
        for text in ["http://10.0.0.1/x", "http://localhost:8080", "http://[::1]/", "a: b", "://", "http://$HOST/"] {
            assert!(!names_a_host(text), "{text}");
        }
    }
}
