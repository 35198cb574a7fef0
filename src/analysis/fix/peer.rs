//! Selectors and peers as narrow as labels allow, for rules that a fix writes.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::model::{Cluster, NamespaceId, PodId, Protocol};
use crate::reach::Endpoint;
use crate::reach::eval::EndpointKind;

/// Label keys that name a workload, most telling first.
const TELLING: [&str; 12] = [
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "name",
    "app.kubernetes.io/component",
    "component",
    "app.kubernetes.io/instance",
    "release",
    "role",
    "tier",
    "app.kubernetes.io/part-of",
    "part-of",
];

/// Label keys that change with each roll-out, chart or run.
pub(super) fn is_passing(key: &str) -> bool {
    matches!(
        key,
        "pod-template-hash"
            | "controller-revision-hash"
            | "pod-template-generation"
            | "rollouts-pod-template-hash"
            | "controller-uid"
            | "job-name"
            | "app.kubernetes.io/version"
            | "app.kubernetes.io/managed-by"
            | "helm.sh/chart"
            | "chart"
            | "heritage"
            | "version"
            | "apps.kubernetes.io/pod-index"
            | "security.istio.io/tlsMode"
            | "service.istio.io/canonical-revision"
    ) || key.starts_with("batch.kubernetes.io/")
        || key == "statefulset.kubernetes.io/pod-name"
}

/// Keys that may be used where nothing else tells pods apart; a hash never is.
fn is_last_resort(key: &str) -> bool {
    matches!(key, "statefulset.kubernetes.io/pod-name" | "version" | "app.kubernetes.io/version" | "job-name")
}

/// The fewest labels of a pod that its workload's pods share and that leave other pods of its namespace out as far as labels
/// can; empty where it has none that last.
pub(super) fn telling_labels(cluster: &Cluster, pod: PodId) -> Vec<(String, String)> {
    let of = &cluster.pods[pod.index()];
    let (mut members, mut others) = (Vec::new(), Vec::new());
    for id in cluster.pods_of(of.namespace) {
        let other = &cluster.pods[id.index()];
        let same = id == pod || (of.workload.is_some() && other.workload == of.workload);
        if same { members.push(other) } else { others.push(other) }
    }
    let shared: Vec<(&str, &str)> = of
        .labels
        .iter()
        .filter(|(k, v)| members.iter().all(|m| m.labels.get(k) == Some(v)))
        .map(|(k, v)| (&**k, &**v))
        .collect();
    let mut usable: Vec<(&str, &str)> = shared.iter().copied().filter(|(k, _)| !is_passing(k)).collect();
    if usable.is_empty() {
        usable = shared.iter().copied().filter(|(k, _)| is_last_resort(k)).collect();
    }
    let rank = |key: &str| TELLING.iter().position(|t| *t == key).unwrap_or(TELLING.len());
    usable.sort_by_key(|(k, _)| (rank(k), *k));
    let mut out: Vec<(String, String)> = Vec::new();
    while !usable.is_empty() {
        let left =
            |(k, v): &(&str, &str)| others.iter().filter(|o| o.labels.get(k).is_some_and(|x| **x == **v)).count();
        // The first label is the most telling one; after it, whatever leaves most others out.
        let at = match out.is_empty() {
            true => 0,
            false => usable.iter().enumerate().min_by_key(|(i, l)| (left(l), *i)).map_or(0, |(i, _)| i),
        };
        let (key, value) = usable.remove(at);
        let before = others.len();
        others.retain(|o| o.labels.get(key).is_some_and(|x| **x == *value));
        if out.is_empty() || others.len() < before {
            out.push((key.to_owned(), value.to_owned()));
        } else {
            break;
        }
        if others.is_empty() {
            break;
        }
    }
    out
}

/// A `LabelSelector` of such labels.
pub(super) fn selector(labels: &[(String, String)]) -> Value {
    if labels.is_empty() {
        return json!({});
    }
    let map: Map<String, Value> = labels.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
    json!({"matchLabels": map})
}

/// The selector of a pod's namespace by its name.
pub(super) fn namespace_selector(cluster: &Cluster, namespace: NamespaceId) -> Value {
    let name = &*cluster.namespaces[namespace.index()].name;
    json!({"matchLabels": {"kubernetes.io/metadata.name": name}})
}

fn host_range(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv6() { 128 } else { 32 })
}

/// Addresses that no host of the internet has, which a peer for "the internet" leaves out (RFC 1918, 6598, 3927).
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];

/// A NetworkPolicy peer for an endpoint, in a policy of `namespace`.
pub(super) fn network_policy(cluster: &Cluster, namespace: &str, endpoint: &Endpoint) -> Option<Value> {
    if let EndpointKind::Pod(pod) = endpoint.kind {
        let of = &cluster.pods[pod.index()];
        let mut peer = Map::new();
        if *cluster.namespaces[of.namespace.index()].name != *namespace {
            peer.insert("namespaceSelector".to_owned(), namespace_selector(cluster, of.namespace));
        }
        peer.insert("podSelector".to_owned(), selector(&telling_labels(cluster, pod)));
        return Some(Value::Object(peer));
    }
    match (endpoint.ip, endpoint.kind) {
        (Some(ip), _) => Some(json!({"ipBlock": {"cidr": host_range(ip)}})),
        (None, EndpointKind::Outside) => Some(json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE}})),
        (None, _) => None,
    }
}

/// A peer of a cluster-wide policy; sources outside the cluster can't be written (SEMANTICS 64).
pub(super) fn cluster_wide(cluster: &Cluster, endpoint: &Endpoint, ingress: bool) -> Option<Value> {
    match (endpoint.kind, endpoint.ip) {
        (EndpointKind::Pod(pod), _) => {
            let of = &cluster.pods[pod.index()];
            let namespaces = namespace_selector(cluster, of.namespace);
            let pods = selector(&telling_labels(cluster, pod));
            Some(json!({"pods": {"namespaceSelector": namespaces, "podSelector": pods}}))
        }
        (_, Some(ip)) if !ingress => Some(json!({"networks": [host_range(ip)]})),
        _ => None,
    }
}

/// An entry of a NetworkPolicy rule's `ports`.
pub(super) fn port(protocol: Protocol, port: u16) -> Value {
    json!({"protocol": protocol.to_string(), "port": port})
}

/// What people call an endpoint, for the name of a policy.
pub(super) fn short_name(cluster: &Cluster, endpoint: &Endpoint) -> String {
    let name = match (endpoint.kind, endpoint.ip) {
        (EndpointKind::Pod(pod) | EndpointKind::Node { pod: Some(pod), .. }, _) => {
            let pod = &cluster.pods[pod.index()];
            pod.workload.as_ref().map_or(&*pod.name, |w| &*w.name).to_owned()
        }
        (EndpointKind::Node { node: Some(node), .. }, _) => cluster.nodes[node.index()].name.to_string(),
        (_, Some(ip)) => ip.to_string(),
        (EndpointKind::Node { .. }, None) => "nodes".to_owned(),
        (EndpointKind::AnyPod, None) => "pods".to_owned(),
        (EndpointKind::Outside, None) => "internet".to_owned(),
    };
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}
