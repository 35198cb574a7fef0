//! Small random clusters with every kind of policy, as JSON lists. Few names and values, so that rules meet.

use serde_json::{Value, json};

/// A small generator of random numbers (SplitMix64): the same seed gives the same cluster on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

const KEYS: [&str; 3] = ["app", "tier", "team"];
const VALUES: [&str; 3] = ["a", "b", "c"];
const PORT_NAMES: [&str; 3] = ["http", "dns", "metrics"];
const PORTS: [u16; 5] = [53, 80, 443, 8080, 9090];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const CIDRS: [(&str, &str); 9] = [
    ("0.0.0.0/0", "10.0.0.0/8"),
    ("10.0.0.0/8", "10.0.1.0/24"),
    ("10.0.0.0/16", "10.0.0.3/32"),
    ("10.0.1.0/24", "10.0.1.2/31"),
    ("192.168.0.0/16", "192.168.0.1/32"),
    ("8.8.8.0/24", "8.8.8.8/32"),
    ("203.0.113.0/24", "203.0.113.128/25"),
    ("fd00::/8", "fd00:0:0:1::/64"),
    ("::/0", "fd00::/8"),
];

fn labels(random: &mut Random) -> Value {
    let mut out = serde_json::Map::new();
    for key in KEYS {
        if !random.chance(3) {
            out.insert(key.into(), json!(*random.pick(&VALUES)));
        }
    }
    Value::Object(out)
}

fn selector(random: &mut Random) -> Value {
    let mut out = serde_json::Map::new();
    if random.chance(4) {
        return json!({});
    }
    if !random.chance(3) {
        out.insert("matchLabels".into(), json!({ (*random.pick(&KEYS)): *random.pick(&VALUES) }));
    }
    if random.chance(2) {
        let key = *random.pick(&KEYS);
        let value = *random.pick(&VALUES);
        let expression = match random.below(4) {
            0 => json!({"key": key, "operator": "In", "values": [value, *random.pick(&VALUES)]}),
            1 => json!({"key": key, "operator": "NotIn", "values": [value]}),
            2 => json!({"key": key, "operator": "Exists"}),
            _ => json!({"key": key, "operator": "DoesNotExist"}),
        };
        out.insert("matchExpressions".into(), json!([expression]));
    }
    Value::Object(out)
}

fn peer(random: &mut Random) -> Value {
    match random.below(5) {
        0 => {
            let (cidr, except) = *random.pick(&CIDRS);
            if random.chance(2) {
                json!({"ipBlock": {"cidr": cidr}})
            } else {
                json!({"ipBlock": {"cidr": cidr, "except": [except]}})
            }
        }
        1 => json!({"namespaceSelector": selector(random)}),
        2 => json!({"namespaceSelector": selector(random), "podSelector": selector(random)}),
        _ => json!({"podSelector": selector(random)}),
    }
}

fn port(random: &mut Random) -> Value {
    let protocol = *random.pick(&PROTOCOLS);
    match random.below(6) {
        0 => json!({}),
        1 => json!({"protocol": protocol}),
        2 => json!({"protocol": protocol, "port": *random.pick(&PORT_NAMES)}),
        3 => {
            let first = *random.pick(&PORTS);
            json!({"protocol": protocol, "port": first, "endPort": first + random.below(400) as u16})
        }
        _ => json!({"protocol": protocol, "port": *random.pick(&PORTS)}),
    }
}

fn list(random: &mut Random, most: u64, mut item: impl FnMut(&mut Random) -> Value) -> Vec<Value> {
    (0..random.below(most + 1)).map(|_| item(random)).collect()
}

fn network_policy(random: &mut Random, name: String, namespace: &str) -> Value {
    let rule = |side: &'static str| {
        move |random: &mut Random| {
            let mut out = serde_json::Map::new();
            let peers = list(random, 2, peer);
            let ports = list(random, 2, port);
            if !peers.is_empty() {
                out.insert(side.into(), json!(peers));
            }
            if !ports.is_empty() {
                out.insert("ports".into(), json!(ports));
            }
            Value::Object(out)
        }
    };
    let mut spec = json!({"podSelector": selector(random)});
    if random.chance(2) {
        spec["ingress"] = json!(list(random, 2, rule("from")));
    }
    if random.chance(2) {
        spec["egress"] = json!(list(random, 2, rule("to")));
    }
    match random.below(4) {
        0 => spec["policyTypes"] = json!(["Ingress"]),
        1 => spec["policyTypes"] = json!(["Egress"]),
        2 => spec["policyTypes"] = json!(["Ingress", "Egress"]),
        _ => {}
    }
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })
}

fn subject(random: &mut Random) -> Value {
    if random.chance(2) {
        json!({"namespaces": selector(random)})
    } else {
        json!({"pods": {"namespaceSelector": selector(random), "podSelector": selector(random)}})
    }
}

fn cluster_policy(random: &mut Random, name: String, tier: &str) -> Value {
    let protocols = |random: &mut Random| {
        list(random, 2, |random| {
            let kind = *random.pick(&["tcp", "udp", "sctp"]);
            match random.below(4) {
                0 => json!({"destinationNamedPort": *random.pick(&PORT_NAMES)}),
                1 => json!({kind: {"destinationPort": {"range": {"start": 1, "end": 65535}}}}),
                2 => {
                    let first = *random.pick(&PORTS);
                    json!({kind: {"destinationPort": {"range": {"start": first, "end": first + 300}}}})
                }
                _ => json!({kind: {"destinationPort": {"number": *random.pick(&PORTS)}}}),
            }
        })
    };
    let action = |random: &mut Random| *random.pick(&["Accept", "Deny", "Pass"]);
    let ingress = |random: &mut Random| {
        let mut out = json!({"action": action(random), "from": [subject(random)]});
        let ports = protocols(random);
        if !ports.is_empty() {
            out["protocols"] = json!(ports);
        }
        out
    };
    let egress = |random: &mut Random| {
        let mut action = action(random);
        let peer = match random.below(5) {
            0 => {
                let first = random.below(CIDRS.len() as u64 - 1) as usize;
                json!({"networks": [CIDRS[first].0, CIDRS[first + 1].0]})
            }
            1 => json!({"nodes": selector(random)}),
            2 if random.chance(2) => {
                action = "Accept";
                json!({"domainNames": [*random.pick(&["example.com", "*.example.com", "*.api.example.com"])]})
            }
            _ => subject(random),
        };
        // The API server refuses named ports for peers that are no pods.
        let pods = peer.get("namespaces").is_some() || peer.get("pods").is_some();
        let mut out = json!({"action": action, "to": [peer]});
        let mut ports = protocols(random);
        ports.retain(|p| pods || p.get("destinationNamedPort").is_none());
        if !ports.is_empty() {
            out["protocols"] = json!(ports);
        }
        out
    };
    json!({
        "apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "tier": tier, "priority": random.below(3), "subject": subject(random),
            "ingress": list(random, 3, ingress), "egress": list(random, 3, egress),
        },
    })
}

fn pod(random: &mut Random, index: u64, namespace: &str, nodes: u64) -> Value {
    // Names are unique within a container, not within a pod.
    let containers = |random: &mut Random| {
        let mut all = vec![json!({"name": "main", "image": "i"})];
        for index in 0..random.below(3) {
            let (name, port, protocol) = (*random.pick(&PORT_NAMES), *random.pick(&PORTS), *random.pick(&PROTOCOLS));
            let port = json!({"name": name, "containerPort": port, "protocol": protocol});
            all.push(json!({"name": format!("c{index}"), "image": "i", "ports": [port]}));
        }
        json!(all)
    };
    let host = random.chance(6);
    let mut spec = json!({"containers": containers(random)});
    if random.chance(3) {
        let port = json!({"name": *random.pick(&PORT_NAMES), "containerPort": *random.pick(&PORTS), "protocol": "TCP"});
        let mut init = json!({"name": "first", "image": "i", "ports": [port]});
        if random.chance(2) {
            init["restartPolicy"] = json!("Always");
        }
        spec["initContainers"] = json!([init]);
    }
    if !random.chance(5) {
        spec["nodeName"] = json!(format!("node-{}", random.below(nodes)));
    }
    if host {
        spec["hostNetwork"] = json!(true);
    }
    let mut status = json!({"phase": if random.chance(9) { "Succeeded" } else { "Running" }});
    if host {
        status["podIP"] = json!(format!("192.168.0.{}", random.below(nodes)));
    } else if !random.chance(6) {
        let v4 = format!("10.0.{}.{index}", random.below(2));
        let v6 = format!("fd00:0:0:{}::{index:x}", random.below(2));
        let ips = match random.below(4) {
            0 => vec![v4, v6],
            1 => vec![v6],
            _ => vec![v4],
        };
        status["podIPs"] = json!(ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>());
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("pod-{index}"), "namespace": namespace, "labels": labels(random)},
        "spec": spec, "status": status,
    })
}

/// A cluster of a seed, as a JSON list.
pub fn cluster(seed: u64) -> String {
    let random = &mut Random(seed.wrapping_mul(0x1234_5678_9abc_def1));
    let mut items = Vec::new();
    let nodes = 1 + random.below(3);
    for node in 0..nodes {
        let mut addresses = vec![json!({"type": "InternalIP", "address": format!("192.168.0.{node}")})];
        if random.chance(2) {
            addresses.push(json!({"type": "ExternalIP", "address": format!("203.0.113.{}", 127 + node)}));
        }
        items.push(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": format!("node-{node}"), "labels": labels(random)},
            "status": {"addresses": addresses},
        }));
    }
    let namespaces = ["one", "two", "three"];
    for namespace in namespaces {
        items.push(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels(random)},
        }));
    }
    for index in 0..4 + random.below(8) {
        let namespace = *random.pick(&namespaces);
        items.push(pod(random, index, namespace, nodes));
    }
    for index in 0..random.below(6) {
        let namespace = *random.pick(&namespaces);
        items.push(network_policy(random, format!("np-{index}"), namespace));
    }
    if !random.chance(3) {
        for index in 0..random.below(4) {
            let tier = *random.pick(&["Admin", "Baseline"]);
            items.push(cluster_policy(random, format!("cnp-{index}"), tier));
        }
    }
    if random.chance(12) {
        let mut foreign = json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
            "metadata": {"name": "foreign", "namespace": "two"}, "spec": {},
        });
        if random.chance(3) {
            foreign["kind"] = json!("CiliumClusterwideNetworkPolicy");
            foreign["metadata"] = json!({"name": "foreign"});
        }
        items.push(foreign);
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}
