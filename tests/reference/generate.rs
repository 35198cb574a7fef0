//! Random clusters as manifests: few names, labels, ports and ranges, so that selectors hit and rules overlap.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use netcheck::source::wire::{
    AdminNetworkPolicy, ClusterNetworkPolicy, EndpointSlice, Loaded, Namespace, NetworkPolicy, Node, Object, Pod,
    Service,
};
use netcheck::source::{Origin, SourceId};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const NAMESPACES: [&str; 3] = ["blue", "green", "red"];
/// Where pods and policies are: mostly together.
const PLACES: [&str; 5] = ["blue", "blue", "blue", "green", "red"];
const PORTS: [u16; 8] = [1, 80, 81, 82, 8080, 8081, 65534, 65535];
const PORT_NAMES: [&str; 2] = ["http", "dns"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const DOMAINS: [&str; 5] = ["example.com", "*.example.com", "API.example.com.", "*.org", "example.org"];

/// Ports of Services.
pub const SERVICE_PORTS: [u16; 3] = [80, 81, 8080];

/// Names to dial; `None` is an address dialled as such.
pub const DIALLED: [Option<&str>; 5] =
    [None, Some("example.com"), Some("api.example.com"), Some("a.b.example.org"), Some("myexample.com")];

/// Ranges that pods, nodes and outside addresses lie in, on the edges of and beside.
const CIDRS: [&str; 21] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/16",
    "10.0.0.0/24",
    "10.0.1.0/24",
    "10.0.0.2/31",
    "10.0.0.1/32",
    "10.0.1.2/32",
    "172.16.0.0/24",
    "172.16.0.1/32",
    "192.0.2.0/24",
    "192.0.2.8/29",
    "192.0.2.9/32",
    "::/0",
    "fd00::/8",
    "fd00::/64",
    "fd00::1:0/112",
    "fd00::1/128",
    "fd01::2/128",
    "2001:db8::/32",
    "2001:db8::9/128",
];

/// Those of them that hold some public addresses and not all.
const PUBLIC_RANGES: [&str; 3] = ["192.0.2.0/24", "192.0.2.8/29", "192.0.2.9/32"];

/// Addresses of nothing in the cluster.
pub const OUTSIDE: [&str; 6] = ["192.0.2.1", "192.0.2.9", "192.0.3.0", "2001:db8::1", "2001:db8::9", "2001:db9::"];

/// Which policies a cluster gets.
#[derive(Clone, Copy, Debug)]
pub enum Kinds {
    /// NetworkPolicy alone.
    Network,
    /// All standard kinds.
    All,
}

/// Objects as they are written; shown as a stream of YAML documents.
#[derive(Clone)]
pub struct Manifests(pub Vec<Value>);

impl fmt::Debug for Manifests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", yaml(&self.0))
    }
}

/// A cluster as manifests.
pub fn cluster(kinds: Kinds) -> impl Strategy<Value = Manifests> {
    let network = match kinds {
        Kinds::Network => prop::collection::vec(network_policy(), 1..5),
        Kinds::All => prop::collection::vec(network_policy(), 0..3),
    };
    let (cluster, admin, baseline) = match kinds {
        Kinds::Network => (0..=0, 0..=0, 0..=0),
        Kinds::All => (0..=4, 0..=2, 0..=1),
    };
    (
        // Namespaces that are only mentioned exist too.
        subsequence(NAMESPACES.to_vec(), 0..=3),
        prop::collection::vec(labels(&["team", "env"]), 3),
        prop::collection::vec(labels(&["zone"]), 2),
        prop::collection::vec(pod(), 1..5),
        network,
        prop::collection::vec(cluster_network_policy(), cluster),
        prop::collection::vec(admin_network_policy(true), admin),
        prop::collection::vec(admin_network_policy(false), baseline),
    )
        .prop_map(|(given, namespace_labels, node_labels, pods, network, cluster, admin, baseline)| {
            let mut out = Vec::new();
            for (name, labels) in given.iter().zip(namespace_labels) {
                out.push(
                    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}),
                );
            }
            for (index, labels) in node_labels.into_iter().enumerate() {
                let mut addresses = vec![
                    json!({"type": "InternalIP", "address": format!("172.16.0.{}", index + 1)}),
                    json!({"type": "Hostname", "address": format!("node-{index}")}),
                ];
                if index == 1 {
                    addresses.push(json!({"type": "InternalIP", "address": "fd01::2"}));
                }
                out.push(json!({
                    "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node-{index}"), "labels": labels},
                    "status": {"addresses": addresses},
                }));
            }
            out.extend(pods.into_iter().enumerate().map(|(index, pod)| pod.manifest(index)));
            let named = |prefix: &str, index: usize, mut policy: Value| {
                policy["metadata"]["name"] = format!("{prefix}{index}").into();
                policy
            };
            out.extend(network.into_iter().enumerate().map(|(i, p)| named("np-", i, p)));
            // Nothing says how a tie by name goes across the two APIs: in these names the kinds don't interleave.
            out.extend(cluster.into_iter().enumerate().map(|(i, p)| named("cnp-", 9 - i, p)));
            out.extend(admin.into_iter().enumerate().map(|(i, p)| named("former-anp-", 9 - i, p)));
            out.extend(baseline.into_iter().map(|mut p| {
                p["metadata"]["name"] = "default".into();
                p
            }));
            Manifests(out)
        })
}

/// A cluster in which some rule tells public addresses apart: what holds for some of them alone can't be told of the internet.
pub fn cluster_with_public_ranges() -> impl Strategy<Value = Manifests> {
    let public = prop::collection::vec(select(PUBLIC_RANGES.to_vec()), 1..3);
    let peers = public.prop_map(|ranges| ranges.iter().map(|r| json!({"ipBlock": {"cidr": r}})).collect::<Vec<_>>());
    (cluster(Kinds::All), select(PLACES.to_vec()), peers.clone(), peers).prop_map(|(mut manifests, place, from, to)| {
        manifests.0.push(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "np-ranges", "namespace": place},
            "spec": {"podSelector": {}, "ingress": [{"from": from}], "egress": [{"to": to}]},
        }));
        manifests
    })
}

/// The manifests as the loader would hand them on.
pub fn decoded(manifests: &[Value]) -> Vec<Object> {
    manifests
        .iter()
        .map(|m| {
            let kind = m["kind"].as_str().unwrap();
            match kind {
                "Namespace" => Object::Namespace(Namespace::deserialize(m).unwrap()),
                "Node" => Object::Node(Node::deserialize(m).unwrap()),
                "Pod" => Object::Pod(Box::new(Pod::deserialize(m).unwrap())),
                "Service" => Object::Service(Box::new(Service::deserialize(m).unwrap())),
                "EndpointSlice" => Object::EndpointSlice(EndpointSlice::deserialize(m).unwrap()),
                "NetworkPolicy" => Object::NetworkPolicy(Box::new(NetworkPolicy::deserialize(m).unwrap())),
                "ClusterNetworkPolicy" => {
                    Object::ClusterNetworkPolicy(Box::new(ClusterNetworkPolicy::deserialize(m).unwrap()))
                }
                "AdminNetworkPolicy" => {
                    Object::AdminNetworkPolicy(Box::new(AdminNetworkPolicy::deserialize(m).unwrap()))
                }
                "BaselineAdminNetworkPolicy" => {
                    Object::BaselineAdminNetworkPolicy(Box::new(AdminNetworkPolicy::deserialize(m).unwrap()))
                }
                other => panic!("kind {other}"),
            }
        })
        .collect()
}

/// The same with an origin each.
pub fn loaded(objects: Vec<Object>) -> Vec<Loaded> {
    objects
        .into_iter()
        .enumerate()
        .map(|(index, object)| Loaded {
            object,
            origin: Origin { source: SourceId(0), document: index as u32, item: None },
        })
        .collect()
}

// Labels and selectors

fn labels(keys: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(select(keys), select(vec!["a", "b"]), 0..=keys.len()).prop_map(|labels| json!(labels))
}

/// Of namespaces, pods and nodes alike; a key that none of them has comes too.
fn selector(keys: &'static [&'static str]) -> BoxedStrategy<Value> {
    let requirement =
        (select(keys), 0..4usize, subsequence(vec!["a", "b", "c"], 1..=2)).prop_map(|(key, operator, values)| {
            match operator {
                0 => json!({"key": key, "operator": "In", "values": values}),
                1 => json!({"key": key, "operator": "NotIn", "values": values}),
                2 => json!({"key": key, "operator": "Exists"}),
                _ => json!({"key": key, "operator": "DoesNotExist"}),
            }
        });
    let pairs = prop::collection::btree_map(select(keys), select(vec!["a", "b"]), 1..=1);
    prop_oneof![
        3 => Just(json!({})),
        3 => pairs.clone().prop_map(|p| json!({"matchLabels": p})),
        3 => prop::collection::vec(requirement.clone(), 1..3).prop_map(|e| json!({"matchExpressions": e})),
        1 => (pairs, requirement).prop_map(|(p, r)| json!({"matchLabels": p, "matchExpressions": [r]})),
    ]
    .boxed()
}

fn pod_selector() -> BoxedStrategy<Value> {
    selector(&["app", "tier", "role"])
}

fn namespace_selector() -> BoxedStrategy<Value> {
    let by_name =
        select(NAMESPACES.to_vec()).prop_map(|name| json!({"matchLabels": {"kubernetes.io/metadata.name": name}}));
    prop_oneof![4 => selector(&["team", "env"]), 1 => by_name].boxed()
}

// Pods

#[derive(Clone, Debug)]
struct RawPod {
    namespace: &'static str,
    labels: Value,
    families: (bool, bool),
    node: Option<usize>,
    host_network: bool,
    phase: &'static str,
    ready: Option<bool>,
    terminating: bool,
    containers: Vec<Vec<Value>>,
    init: Option<(Vec<Value>, bool)>,
}

impl RawPod {
    fn manifest(self, index: usize) -> Value {
        let ips: Vec<String> = match (self.host_network, self.node) {
            (true, Some(0)) => vec!["172.16.0.1".to_owned()],
            (true, Some(_)) => vec!["172.16.0.2".to_owned(), "fd01::2".to_owned()],
            (true, None) => Vec::new(),
            (false, _) => {
                let mut ips = Vec::new();
                if self.families.0 {
                    ips.push(format!("10.0.{}.{}", index % 2, index + 1));
                }
                if self.families.1 {
                    ips.push(format!("fd00::{}:{}", index % 2, index + 1));
                }
                ips
            }
        };
        let container = |(i, ports): (usize, Vec<Value>)| json!({"name": format!("c{i}"), "ports": ports});
        let mut spec =
            json!({"containers": self.containers.into_iter().enumerate().map(container).collect::<Vec<_>>()});
        if let Some(node) = self.node {
            spec["nodeName"] = format!("node-{node}").into();
        }
        if self.host_network {
            spec["hostNetwork"] = true.into();
        }
        if let Some((ports, sidecar)) = self.init {
            spec["initContainers"] = json!([{"name": "init", "ports": ports}]);
            if sidecar {
                spec["initContainers"][0]["restartPolicy"] = "Always".into();
            }
        }
        let mut status = json!({});
        if !self.phase.is_empty() {
            status["phase"] = self.phase.into();
        }
        if let Some(first) = ips.first() {
            status["podIP"] = first.as_str().into();
            status["podIPs"] = ips.iter().map(|ip| json!({"ip": ip})).collect();
        }
        if let Some(ready) = self.ready {
            status["conditions"] = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
        }
        let mut metadata = json!({"name": format!("pod-{index}"), "namespace": self.namespace, "labels": self.labels});
        if self.terminating {
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})
    }
}

fn pod() -> impl Strategy<Value = RawPod> {
    (
        select(PLACES.to_vec()),
        labels(&["app", "tier"]),
        prop_oneof![4 => Just((true, false)), 1 => Just((false, true)), 2 => Just((true, true)), 1 => Just((false, false))],
        prop_oneof![4 => (0..2usize).prop_map(Some), 1 => Just(None)],
        prop::bool::weighted(0.12),
        prop_oneof![8 => Just("Running"), 1 => Just(""), 1 => Just("Pending"), 1 => Just("Succeeded"), 1 => Just("Failed")],
        prop_oneof![2 => Just(None), 3 => Just(Some(true)), 1 => Just(Some(false))],
        prop::bool::weighted(0.2),
        prop::collection::vec(prop::collection::vec(container_port(), 0..3), 1..3),
        prop::option::weighted(0.4, (prop::collection::vec(container_port(), 1..3), any::<bool>())),
    )
        .prop_map(|(namespace, labels, families, node, host_network, phase, ready, terminating, containers, init)| RawPod {
            namespace,
            labels,
            families,
            node,
            host_network,
            phase,
            ready,
            terminating,
            containers,
            init,
        })
}

fn container_port() -> impl Strategy<Value = Value> {
    (
        prop::option::weighted(0.9, select(PORT_NAMES.to_vec())),
        select(PORTS.to_vec()),
        prop::option::of(select(PROTOCOLS.to_vec())),
    )
        .prop_map(|(name, number, protocol)| {
            fields([
                ("name", name.map(Value::from)),
                ("containerPort", Some(number.into())),
                ("protocol", protocol.map(Value::from)),
            ])
        })
}

// Services

/// Two policies of one priority that disagree, about every port or one.
fn tied() -> impl Strategy<Value = Vec<Value>> {
    let port = prop::option::weighted(0.3, select(PORTS.to_vec()));
    (0..4i64, port, namespace_selector()).prop_map(|(priority, port, from)| {
        let protocols = port.map(|n| json!([{"tcp": {"destinationPort": {"number": n}}}]));
        let policy = |name: &str, action: &str| {
            json!({
                "apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
                "metadata": {"name": name},
                "spec": {
                    "tier": "Admin", "priority": priority, "subject": {"namespaces": {}},
                    "ingress": [fields([
                        ("action", Some(action.into())),
                        ("from", Some(json!([{"namespaces": from}]))),
                        ("protocols", protocols.clone()),
                    ])],
                },
            })
        };
        vec![policy("cnp-tied-a", "Accept"), policy("cnp-tied-b", "Deny")]
    })
}

/// A cluster with the Service `blue/svc`.
pub fn cluster_with_service() -> impl Strategy<Value = Manifests> {
    let tied = prop::option::weighted(0.6, tied());
    (cluster(Kinds::All), service(), any::<bool>(), tied).prop_map(|(mut manifests, service, crowded, tied)| {
        manifests.0.extend(service);
        manifests.0.extend(tied.into_iter().flatten());
        if crowded {
            // Every pod stands behind the Service, so that its endpoints differ in ports, state and policies.
            for manifest in &mut manifests.0 {
                match manifest["kind"].as_str() {
                    Some("Pod") => {
                        manifest["metadata"]["namespace"] = "blue".into();
                        manifest["metadata"]["labels"]["app"] = "a".into();
                    }
                    Some("Service") if !manifest["spec"]["selector"].is_null() => {
                        manifest["spec"]["selector"] = json!({"app": "a"});
                    }
                    _ => {}
                }
            }
        }
        manifests
    })
}

/// A Service, with an EndpointSlice or two where it selects no pods.
fn service() -> impl Strategy<Value = Vec<Value>> {
    let target = prop_oneof![
        1 => Just(None),
        2 => select(PORTS.to_vec()).prop_map(|n| Some(Value::from(n))),
        2 => select(PORT_NAMES.to_vec()).prop_map(|n| Some(Value::from(n))),
    ];
    let port = (select(SERVICE_PORTS.to_vec()), prop::option::of(select(PROTOCOLS.to_vec())), target);
    (
        prop::option::weighted(0.8, labels(&["app"])),
        prop::collection::vec(port, 1..3),
        prop_oneof![
            2 => Just(vec!["172.20.0.1"]),
            1 => Just(vec!["172.20.0.1", "fd02::1"]),
            1 => Just(vec!["fd02::1"]),
            1 => Just(vec!["None"]),
            1 => Just(vec![]),
        ],
        prop::bool::weighted(0.3),
        prop::option::weighted(0.3, select(vec!["Local", "Cluster"])),
        prop::collection::vec(slice(), 1..3),
    )
        .prop_map(|(selector, ports, ips, publish, internal, slices)| {
            let mut out = Vec::new();
            let name = |i: usize| format!("p{i}");
            // A selector without pairs is none.
            let selector = selector.filter(|s| s.as_object().is_some_and(|s| !s.is_empty()));
            if selector.is_none() {
                for (index, endpoints) in slices.into_iter().enumerate() {
                    let ports: Vec<Value> = ports
                        .iter()
                        .enumerate()
                        // The second slice lacks the second port.
                        .filter(|(i, _)| *i == 0 || index == 0)
                        .map(|(i, (n, protocol, _))| {
                            fields([
                                ("name", Some(name(i).into())),
                                ("port", Some((n ^ 1).max(1).into())),
                                ("protocol", protocol.map(Value::from)),
                            ])
                        })
                        .collect();
                    out.push(json!({
                        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                        "metadata": {
                            "name": format!("svc-{index}"), "namespace": "blue",
                            "labels": {"kubernetes.io/service-name": "svc"},
                        },
                        "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
                    }));
                }
            }
            let ports: Vec<Value> = ports
                .into_iter()
                .enumerate()
                .map(|(i, (n, protocol, target))| {
                    fields([
                        ("name", Some(name(i).into())),
                        ("port", Some(n.into())),
                        ("protocol", protocol.map(Value::from)),
                        ("targetPort", target),
                    ])
                })
                .collect();
            out.push(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "svc", "namespace": "blue"},
                "spec": fields([
                    ("selector", selector),
                    ("ports", Some(ports.into())),
                    ("clusterIP", ips.first().map(|ip| (*ip).into())),
                    ("clusterIPs", (!ips.is_empty()).then(|| json!(ips))),
                    ("publishNotReadyAddresses", publish.then(|| true.into())),
                    ("internalTrafficPolicy", internal.map(Value::from)),
                ]),
            }));
            out
        })
}

fn slice() -> impl Strategy<Value = Vec<Value>> {
    let address = select(vec!["10.0.0.1", "10.0.1.2", "10.0.0.3", "172.16.0.1", "192.0.2.1", "192.0.2.9"]);
    let endpoint = (address, 0..5usize, prop::option::of(0..2usize)).prop_map(|(address, state, node)| {
        let conditions = match state {
            0 => json!({}),
            1 => json!({"ready": true}),
            2 => json!({"ready": false}),
            3 => json!({"ready": false, "serving": true, "terminating": true}),
            _ => json!({"ready": false, "serving": false, "terminating": true}),
        };
        fields([
            ("addresses", Some(json!([address]))),
            ("conditions", Some(conditions)),
            ("nodeName", node.map(|n| format!("node-{n}").into())),
        ])
    });
    prop::collection::vec(endpoint, 0..4)
}

// NetworkPolicy

fn network_policy() -> impl Strategy<Value = Value> {
    let types = prop_oneof![
        3 => Just(None),
        2 => Just(Some(json!(["Ingress", "Egress"]))),
        1 => Just(Some(json!(["Ingress"]))),
        1 => Just(Some(json!(["Egress"]))),
        1 => Just(Some(json!([]))),
    ];
    (
        select(PLACES.to_vec()),
        prop::option::weighted(0.9, pod_selector()),
        types,
        prop::option::of(prop::collection::vec(network_rule("from"), 0..3)),
        prop::option::of(prop::collection::vec(network_rule("to"), 0..3)),
    )
        .prop_map(|(namespace, selector, types, ingress, egress)| {
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": "", "namespace": namespace},
                "spec": fields([
                    ("podSelector", selector),
                    ("policyTypes", types),
                    ("ingress", ingress.map(Value::from)),
                    ("egress", egress.map(Value::from)),
                ]),
            })
        })
}

fn network_rule(peers: &'static str) -> impl Strategy<Value = Value> {
    let port = prop_oneof![
        1 => Just(json!({})),
        1 => select(PROTOCOLS.to_vec()).prop_map(|p| json!({"protocol": p})),
        5 => (
            prop::option::of(select(PROTOCOLS.to_vec())),
            select(PORTS.to_vec()),
            prop::option::weighted(0.3, select(PORTS.to_vec())),
        ).prop_map(|(protocol, port, end)| fields([
            ("protocol", protocol.map(Value::from)),
            ("port", Some(port.into())),
            ("endPort", end.filter(|e| *e >= port).map(Value::from)),
        ])),
        3 => (prop::option::of(select(PROTOCOLS.to_vec())), select(PORT_NAMES.to_vec()))
            .prop_map(|(protocol, name)| fields([
                ("protocol", protocol.map(Value::from)),
                ("port", Some(name.into())),
            ])),
    ];
    (
        prop::option::weighted(0.8, prop::collection::vec(network_peer(), 0..3)),
        prop::option::weighted(0.7, prop::collection::vec(port, 0..3)),
    )
        .prop_map(move |(list, ports)| fields([(peers, list.map(Value::from)), ("ports", ports.map(Value::from))]))
}

fn network_peer() -> impl Strategy<Value = Value> {
    let block = (select(CIDRS.to_vec()), subsequence(CIDRS.to_vec(), 0..6)).prop_map(|(cidr, except)| {
        let except: Vec<&str> = except.into_iter().filter(|e| strictly_inside(e, cidr)).collect();
        json!({"ipBlock": if except.is_empty() { json!({"cidr": cidr}) } else { json!({"cidr": cidr, "except": except}) }})
    });
    prop_oneof![
        2 => pod_selector().prop_map(|p| json!({"podSelector": p})),
        2 => namespace_selector().prop_map(|n| json!({"namespaceSelector": n})),
        2 => (pod_selector(), namespace_selector()).prop_map(|(p, n)| json!({"podSelector": p, "namespaceSelector": n})),
        3 => block,
    ]
}

/// "The except values will be rejected if they are outside the cidr range", and where they are all of it.
fn strictly_inside(inner: &str, outer: &str) -> bool {
    let parse = |cidr: &str| cidr.parse::<ipnet::IpNet>().unwrap();
    let (inner, outer) = (parse(inner), parse(outer));
    outer.contains(&inner) && inner.prefix_len() > outer.prefix_len()
}

// Cluster-wide policies

fn subject() -> BoxedStrategy<Value> {
    prop_oneof![
        1 => namespace_selector().prop_map(|n| json!({"namespaces": n})),
        1 => (namespace_selector(), pod_selector())
            .prop_map(|(n, p)| json!({"pods": {"namespaceSelector": n, "podSelector": p}})),
    ]
    .boxed()
}

/// A peer of a kind that a later version adds is decoded as one with no field.
fn ingress_peer() -> BoxedStrategy<Value> {
    prop_oneof![12 => subject(), 1 => Just(json!({}))].boxed()
}

fn egress_peer(domains: bool) -> BoxedStrategy<Value> {
    let domains = if domains { 2 } else { 0 };
    prop_oneof![
        6 => subject(),
        2 => selector(&["zone"]).prop_map(|n| json!({"nodes": n})),
        3 => prop::collection::vec(select(CIDRS.to_vec()), 1..3).prop_map(|n| json!({"networks": n})),
        domains => prop::collection::vec(select(DOMAINS.to_vec()), 1..3).prop_map(|d| json!({"domainNames": d})),
        1 => Just(json!({})),
    ]
    .boxed()
}

fn rules(
    list: &'static str,
    allow: &'static str,
    ports_field: &'static str,
    peer: impl Fn(bool) -> BoxedStrategy<Value>,
    port: BoxedStrategy<Value>,
    actions: usize,
) -> BoxedStrategy<Option<Vec<Value>>> {
    let ports = prop::option::of(prop::collection::vec(port, 1..3));
    let rule = (0..actions).prop_flat_map({
        let peers = [true, false].map(|accepts| prop::collection::vec(peer(accepts), 1..3).boxed());
        move |action| {
            // `domainNames` is for Accept rules only.
            let peers = peers[usize::from(action != 0)].clone();
            (peers, ports.clone()).prop_map(move |(peers, ports)| {
                fields([
                    ("action", Some([allow, "Deny", "Pass"][action].into())),
                    (list, Some(peers.into())),
                    (ports_field, ports.map(Value::from)),
                ])
            })
        }
    });
    prop::option::weighted(0.8, prop::collection::vec(rule, 0..4)).boxed()
}

fn port_range() -> BoxedStrategy<(u16, u16)> {
    subsequence(PORTS.to_vec(), 2).prop_map(|p| (p[0], p[1])).boxed()
}

fn cluster_network_policy() -> impl Strategy<Value = Value> {
    let port = prop_oneof![
        1 => select(vec!["tcp", "udp", "sctp"]).prop_map(|p| json!({p: {}})),
        4 => (select(vec!["tcp", "udp", "sctp"]), select(PORTS.to_vec()))
            .prop_map(|(p, n)| json!({p: {"destinationPort": {"number": n}}})),
        2 => (select(vec!["tcp", "udp", "sctp"]), port_range())
            .prop_map(|(p, (s, e))| json!({p: {"destinationPort": {"range": {"start": s, "end": e}}}})),
        2 => select(PORT_NAMES.to_vec()).prop_map(|n| json!({"destinationNamedPort": n})),
    ]
    .boxed();
    (
        select(vec!["Admin", "Admin", "Baseline"]),
        0..4i64,
        subject(),
        rules("from", "Accept", "protocols", |_| ingress_peer(), port.clone(), 3),
        rules("to", "Accept", "protocols", egress_peer, port, 3),
    )
        .prop_map(|(tier, priority, subject, ingress, egress)| {
            json!({
                "apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
                "metadata": {"name": ""},
                "spec": fields([
                    ("tier", Some(tier.into())),
                    ("priority", Some(priority.into())),
                    ("subject", Some(subject)),
                    ("ingress", ingress.map(Value::from)),
                    ("egress", egress.map(Value::from)),
                ]),
            })
        })
}

fn admin_network_policy(admin: bool) -> impl Strategy<Value = Value> {
    let protocol = || prop::option::of(select(PROTOCOLS.to_vec()));
    let port = prop_oneof![
        3 => (protocol(), select(PORTS.to_vec())).prop_map(|(p, n)| json!({"portNumber": fields([
            ("protocol", p.map(Value::from)),
            ("port", Some(n.into())),
        ])})),
        2 => (protocol(), port_range()).prop_map(|(p, (s, e))| json!({"portRange": fields([
            ("protocol", p.map(Value::from)),
            ("start", Some(s.into())),
            ("end", Some(e.into())),
        ])})),
        2 => select(PORT_NAMES.to_vec()).prop_map(|n| json!({"namedPort": n})),
    ]
    .boxed();
    // A baseline has nothing to pass to.
    let actions = if admin { 3 } else { 2 };
    (
        0..4i64,
        subject(),
        rules("from", "Allow", "ports", |_| ingress_peer(), port.clone(), actions),
        rules("to", "Allow", "ports", move |accepts| egress_peer(accepts && admin), port, actions),
    )
        .prop_map(move |(priority, subject, ingress, egress)| {
            json!({
                "apiVersion": "policy.networking.k8s.io/v1alpha1",
                "kind": if admin { "AdminNetworkPolicy" } else { "BaselineAdminNetworkPolicy" },
                "metadata": {"name": ""},
                "spec": fields([
                    ("priority", admin.then(|| priority.into())),
                    ("subject", Some(subject)),
                    ("ingress", ingress.map(Value::from)),
                    ("egress", egress.map(Value::from)),
                ]),
            })
        })
}

// Values

fn fields<const N: usize>(all: [(&str, Option<Value>); N]) -> Value {
    Value::Object(all.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect::<Map<_, _>>())
}

/// The ports to ask about: both ends of every interval that some number in the manifests begins or ends.
pub fn ports(manifests: &[Value]) -> Vec<u16> {
    fn numbers(value: &Value, out: &mut Vec<u16>) {
        const KEYS: [&str; 6] = ["port", "endPort", "containerPort", "number", "start", "end"];
        match value {
            Value::Array(list) => list.iter().for_each(|v| numbers(v, out)),
            Value::Object(map) => {
                for (key, value) in map {
                    match value.as_u64() {
                        Some(n) if KEYS.contains(&key.as_str()) => out.push(n as u16),
                        _ => numbers(value, out),
                    }
                }
            }
            _ => {}
        }
    }
    let mut mentioned = Vec::new();
    manifests.iter().for_each(|m| numbers(m, &mut mentioned));
    let mut out = vec![1, 443, 65535];
    for n in mentioned {
        out.extend([n.saturating_sub(1).max(1), n, n.saturating_add(1)]);
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// Manifests as a stream of YAML documents, to be put in a file as they are.
fn yaml(manifests: &[Value]) -> String {
    fn write(value: &Value, indent: usize, out: &mut String) {
        let pad = "  ".repeat(indent);
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    let _ = write!(out, "\n{pad}{key}:");
                    write(value, indent + 1, out);
                }
            }
            Value::Array(list) if !list.is_empty() => {
                for value in list {
                    let _ = write!(out, "\n{pad}-");
                    // The first key of a mapping stands behind the dash.
                    let mut inner = String::new();
                    write(value, indent + 1, &mut inner);
                    match inner.strip_prefix(&format!("\n{pad}  ")) {
                        Some(rest) => {
                            let _ = write!(out, " {rest}");
                        }
                        None => out.push_str(&inner),
                    }
                }
            }
            other => {
                let _ = write!(out, " {other}");
            }
        }
    }
    let mut out = String::new();
    for manifest in manifests {
        out.push_str("---");
        write(manifest, 0, &mut out);
        out.push('\n');
    }
    out
}

/// Addresses to dial.
pub fn outside() -> impl Iterator<Item = IpAddr> {
    OUTSIDE.iter().map(|ip| ip.parse().unwrap())
}
