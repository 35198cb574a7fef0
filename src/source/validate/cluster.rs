//! ClusterNetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy: their CustomResourceDefinitions' schemas
//! and CEL rules (network-policy-api v0.2 for v1alpha2, v0.1 for v1alpha1), in the API server's words.

use serde_json::Value;

use super::super::diagnostic::Part;
use super::super::origin::FieldPath;
use super::super::wire::{
    AdminNetworkPolicy, AdminNetworkPolicySpec, AdminPort, AdminSubject, ClusterNetworkPolicySpec, ClusterPort,
    ClusterProtocol, EgressPeer, NamespacedPod,
};
use super::{Check, syntax};

/// Rules a direction, peers and protocols a rule, of v1alpha2; addresses and names a peer, of both.
const MOST: usize = 25;
/// Rules a direction, peers and ports a rule, of v1alpha1.
const MOST_V1ALPHA1: usize = 100;

/// Counts and actions, which differ between the versions.
struct Rules {
    most: usize,
    actions: &'static [&'static str],
    named_port: &'static str,
    named_port_conflict: &'static str,
}

const V1ALPHA2: Rules = Rules {
    most: MOST,
    actions: &["Accept", "Deny", "Pass"],
    named_port: "destinationNamedPort",
    named_port_conflict: "networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for networks/nodes/domainNames",
};
const V1ALPHA1: Rules = Rules {
    most: MOST_V1ALPHA1,
    actions: &["Allow", "Deny", "Pass"],
    named_port: "namedPort",
    named_port_conflict: "networks/nodes peer cannot be set with namedPorts since there are no namedPorts for networks/nodes",
};
const BASELINE: Rules = Rules { actions: &["Allow", "Deny"], ..V1ALPHA1 };

impl Check<'_> {
    pub(super) fn cluster_network_policy(&mut self, spec: &ClusterNetworkPolicySpec, value: &Value, path: &FieldPath) {
        let tier = path.clone().key("tier");
        match spec.tier.as_str() {
            "Admin" | "Baseline" => {}
            "" => self.required(&tier, ""),
            other => self.unsupported(&tier, other, &["Admin", "Baseline"]),
        }
        self.priority(spec.priority, path);
        self.subject(spec.subject.as_ref(), value, path);
        self.count(&path.clone().key("ingress"), spec.ingress.len(), 0, MOST);
        self.count(&path.clone().key("egress"), spec.egress.len(), 0, MOST);
        for (index, rule) in spec.ingress.iter().enumerate() {
            let path = path.clone().key("ingress").index(index);
            self.rule(&V1ALPHA2, &rule.name, &rule.action, &path);
            self.ingress_peers(&V1ALPHA2, &rule.from, value, &path);
            self.protocols(rule.protocols.as_deref(), value, &path);
        }
        for (index, rule) in spec.egress.iter().enumerate() {
            let path = path.clone().key("egress").index(index);
            self.rule(&V1ALPHA2, &rule.name, &rule.action, &path);
            self.egress_peers(&V1ALPHA2, &rule.action, &rule.to, value, &path);
            self.protocols(rule.protocols.as_deref(), value, &path);
            let named = rule.protocols.iter().flatten().any(|p| p.destination_named_port.is_some());
            self.named_port_conflict(&V1ALPHA2, named, &rule.to, &path);
        }
    }

    pub(super) fn admin_network_policy(&mut self, spec: &AdminNetworkPolicySpec, value: &Value, path: &FieldPath) {
        self.priority(spec.priority, path);
        self.v1alpha1(&V1ALPHA1, spec, value, path);
    }

    pub(super) fn baseline_admin_network_policy(
        &mut self,
        policy: &AdminNetworkPolicy,
        value: &Value,
        path: &FieldPath,
    ) {
        if policy.metadata.name != "default" {
            self.invalid_text(
                &FieldPath::keys("metadata.name"),
                &policy.metadata.name,
                "Only one baseline admin network policy with metadata.name=\"default\" can be created in the cluster",
            );
        }
        self.v1alpha1(&BASELINE, &policy.spec, value, path);
    }

    fn v1alpha1(&mut self, rules: &Rules, spec: &AdminNetworkPolicySpec, value: &Value, path: &FieldPath) {
        self.subject(spec.subject.as_ref(), value, path);
        self.count(&path.clone().key("ingress"), spec.ingress.len(), 0, rules.most);
        self.count(&path.clone().key("egress"), spec.egress.len(), 0, rules.most);
        for (index, rule) in spec.ingress.iter().enumerate() {
            let path = path.clone().key("ingress").index(index);
            self.rule(rules, &rule.name, &rule.action, &path);
            self.ingress_peers(rules, &rule.from, value, &path);
            self.admin_ports(rules, rule.ports.as_deref(), value, &path);
        }
        for (index, rule) in spec.egress.iter().enumerate() {
            let path = path.clone().key("egress").index(index);
            self.rule(rules, &rule.name, &rule.action, &path);
            self.egress_peers(rules, &rule.action, &rule.to, value, &path);
            self.admin_ports(rules, rule.ports.as_deref(), value, &path);
            let named = rule.ports.iter().flatten().any(|p| p.named_port.is_some());
            self.named_port_conflict(rules, named, &rule.to, &path);
        }
    }

    fn priority(&mut self, priority: Option<i64>, path: &FieldPath) {
        let at = path.clone().key("priority");
        match priority {
            None => self.required(&at, ""),
            Some(0..=1000) => {}
            Some(priority) => {
                let word = if priority < 0 { "greater than or equal to 0" } else { "less than or equal to 1000" };
                self.invalid(&at, priority, &format!("{at} in body should be {word}"));
            }
        }
    }

    /// The number of fields that are written, known or not, must be one.
    fn one_field(&mut self, value: &Value, path: &FieldPath) -> usize {
        let fields = value
            .pointer(&path.pointer())
            .and_then(Value::as_object)
            .map_or(0, |map| map.values().filter(|value| !value.is_null()).count());
        if fields != 1 {
            let bound = if fields == 0 { "at least" } else { "at most" };
            self.invalid(path, fields, &format!("{path} in body should have {bound} 1 properties"));
        }
        fields
    }

    fn subject(&mut self, subject: Option<&AdminSubject>, value: &Value, path: &FieldPath) {
        let at = path.clone().key("subject");
        match subject {
            None => self.required(&at, ""),
            Some(subject) => self.pods_peer(subject, value, &at),
        }
    }

    fn rule(&mut self, rules: &Rules, name: &str, action: &str, path: &FieldPath) {
        if name.chars().count() > 100 {
            let before = self.found.len();
            self.error(&path.clone().key("name"), Part::Value, "Too long", "may not be more than 100 bytes");
            self.clear_since(before);
        }
        let at = path.clone().key("action");
        if action.is_empty() {
            self.required(&at, "");
        } else if !rules.actions.contains(&action) {
            self.unsupported(&at, action, rules.actions);
        }
    }

    fn ingress_peers(&mut self, rules: &Rules, peers: &[AdminSubject], value: &Value, path: &FieldPath) {
        let at = path.clone().key("from");
        self.peer_count(rules, peers.len(), value, &at);
        for (index, peer) in peers.iter().enumerate() {
            self.pods_peer(peer, value, &at.clone().index(index));
        }
    }

    fn egress_peers(&mut self, rules: &Rules, action: &str, peers: &[EgressPeer], value: &Value, path: &FieldPath) {
        let at = path.clone().key("to");
        self.peer_count(rules, peers.len(), value, &at);
        for (index, peer) in peers.iter().enumerate() {
            let at = at.clone().index(index);
            self.one_field(value, &at);
            if let Some(selector) = &peer.namespaces {
                self.selector(selector, &at.clone().key("namespaces"));
            }
            if let Some(pods) = &peer.pods {
                self.pods(pods, value, &at.clone().key("pods"));
            }
            if let Some(selector) = &peer.nodes {
                self.selector(selector, &at.clone().key("nodes"));
            }
            if let Some(networks) = &peer.networks {
                self.networks(networks, &at.clone().key("networks"));
            }
            if let Some(names) = &peer.domain_names {
                let at = at.clone().key("domainNames");
                self.domain_names(names, &at);
                if matches!(action, "Deny" | "Pass") {
                    self.warn(
                        &at,
                        Part::Key,
                        format!("domain names are only supported in `{}` rules", rules.actions[0]),
                        "an implementation may leave this out",
                    );
                }
            }
        }
    }

    fn peer_count(&mut self, rules: &Rules, peers: usize, value: &Value, path: &FieldPath) {
        if value.pointer(&path.pointer()).is_none_or(Value::is_null) {
            self.required(path, "");
        } else {
            self.count(path, peers, 1, rules.most);
        }
    }

    fn pods_peer(&mut self, peer: &AdminSubject, value: &Value, path: &FieldPath) {
        self.one_field(value, path);
        if let Some(selector) = &peer.namespaces {
            self.selector(selector, &path.clone().key("namespaces"));
        }
        if let Some(pods) = &peer.pods {
            self.pods(pods, value, &path.clone().key("pods"));
        }
    }

    fn pods(&mut self, pods: &NamespacedPod, value: &Value, path: &FieldPath) {
        self.selector(&pods.namespace_selector, &path.clone().key("namespaceSelector"));
        let at = path.clone().key("podSelector");
        if value.pointer(&at.pointer()).is_none_or(Value::is_null) {
            // Required by the schema; published examples leave it out, and an empty one selects every pod.
            self.warn(
                &at,
                Part::Entry,
                format!("{at} is required: the API server may refuse this"),
                "read as every pod",
            );
        }
        self.selector(&pods.pod_selector, &at);
    }

    fn networks(&mut self, networks: &[String], path: &FieldPath) {
        self.count(path, networks.len(), 1, MOST);
        for (index, network) in networks.iter().enumerate() {
            let at = path.clone().index(index);
            if network.len() > 43 {
                self.error(&at, Part::Value, "Too long", "may not be more than 43 bytes");
            } else if syntax::cidr(network).is_err() {
                self.invalid_text(&at, network, "Invalid CIDR format provided");
            } else {
                self.cidr(&at, network);
            }
            if networks[..index].contains(network) {
                self.duplicate(&at, super::quoted(network));
            }
        }
    }

    fn domain_names(&mut self, names: &[String], path: &FieldPath) {
        self.count(path, names.len(), 1, MOST);
        for (index, name) in names.iter().enumerate() {
            let at = path.clone().index(index);
            if !syntax::is_domain_name(name) {
                let detail = format!(
                    "{at} in body should match '^(\\*\\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.?$'"
                );
                self.invalid_text(&at, name, &detail);
            }
            if names[..index].contains(name) {
                self.duplicate(&at, super::quoted(name));
            }
        }
    }

    fn named_port_conflict(&mut self, rules: &Rules, named: bool, peers: &[EgressPeer], path: &FieldPath) {
        let nameless = |peer: &EgressPeer| {
            peer.networks.is_some()
                || peer.nodes.is_some()
                || peer.domain_names.is_some() && rules.named_port == "destinationNamedPort"
        };
        if named && peers.iter().any(nameless) {
            let before = self.found.len();
            self.invalid(path, "\"object\"", rules.named_port_conflict);
            self.clear_since(before);
        }
    }

    fn protocols(&mut self, protocols: Option<&[ClusterProtocol]>, value: &Value, path: &FieldPath) {
        let Some(protocols) = protocols else { return };
        let at = path.clone().key("protocols");
        self.count(&at, protocols.len(), 1, MOST);
        for (index, protocol) in protocols.iter().enumerate() {
            let at = at.clone().index(index);
            self.one_field(value, &at);
            for (name, port) in [("tcp", &protocol.tcp), ("udp", &protocol.udp), ("sctp", &protocol.sctp)] {
                if let Some(port) = port {
                    self.cluster_port(port, value, &at.clone().key(name));
                }
            }
        }
    }

    fn cluster_port(&mut self, port: &ClusterPort, value: &Value, path: &FieldPath) {
        let at = path.clone().key("destinationPort");
        let Some(range) = &port.destination_port else {
            self.one_field(value, path);
            return;
        };
        self.one_field(value, &at);
        if let Some(number) = range.number {
            self.port_number(number, &at.clone().key("number"));
        }
        if let Some(range) = &range.range {
            let at = at.key("range");
            if self.range_ends(range.start, range.end, value, &at) && range.start >= range.end {
                self.invalid(&at, "\"object\"", "Start port must be less than End port");
            }
        }
    }

    /// Both ends of a range; whether they are ports.
    fn range_ends(&mut self, start: i64, end: i64, value: &Value, path: &FieldPath) -> bool {
        let mut good = true;
        for (name, number) in [("start", start), ("end", end)] {
            let at = path.clone().key(name);
            if value.pointer(&at.pointer()).is_none_or(Value::is_null) {
                self.required(&at, "");
                good = false;
            } else {
                good &= self.port_number(number, &at);
            }
        }
        good
    }

    fn port_number(&mut self, number: i64, path: &FieldPath) -> bool {
        let word = match number {
            1..=65535 => return true,
            ..1 => "greater than or equal to 1",
            _ => "less than or equal to 65535",
        };
        self.invalid(path, number, &format!("{path} in body should be {word}"));
        false
    }

    fn admin_ports(&mut self, rules: &Rules, ports: Option<&[AdminPort]>, value: &Value, path: &FieldPath) {
        let Some(ports) = ports else { return };
        let at = path.clone().key("ports");
        self.count(&at, ports.len(), 1, rules.most);
        for (index, port) in ports.iter().enumerate() {
            let at = at.clone().index(index);
            self.one_field(value, &at);
            if let Some(number) = &port.port_number {
                let at = at.clone().key("portNumber");
                if value.pointer(&at.clone().key("port").pointer()).is_none_or(Value::is_null) {
                    self.required(&at.clone().key("port"), "");
                } else {
                    self.port_number(number.port, &at.clone().key("port"));
                }
                self.admin_protocol(number.protocol.as_deref(), &at);
            }
            if let Some(range) = &port.port_range {
                let at = at.clone().key("portRange");
                if self.range_ends(range.start, range.end, value, &at) && range.start > range.end {
                    self.warn(
                        &at,
                        Part::Entry,
                        "this range of ports is empty: `start` is above `end`",
                        "matches no port",
                    );
                }
                self.admin_protocol(range.protocol.as_deref(), &at);
            }
        }
    }

    /// The schema of v1alpha1 takes any text; no implementation knows another protocol.
    fn admin_protocol(&mut self, protocol: Option<&str>, path: &FieldPath) {
        if let Some(protocol) = protocol
            && !matches!(protocol, "TCP" | "UDP" | "SCTP")
        {
            self.unsupported(&path.clone().key("protocol"), protocol, &["TCP", "UDP", "SCTP"]);
        }
    }
}
