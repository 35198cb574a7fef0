//! A naive evaluator of the standard policy APIs, to hold the real one against.
//!
//! It is written from the API documentation alone (NetworkPolicy v1, the type comments of ClusterNetworkPolicy v1alpha2,
//! AdminNetworkPolicy and BaselineAdminNetworkPolicy v1alpha1) and reads the objects as they were decoded: nothing of the
//! crate's cluster model, rule model, selectors or port sets is used. One question goes in, every answer that the
//! documentation leaves possible comes out. It is slow and plain on purpose.

pub mod generate;
pub mod service;

use std::net::IpAddr;

use netcheck::policy::Choices;
use netcheck::policy::profile::Tie;
use netcheck::policy::rule::Classes;
use netcheck::source::wire::{
    AdminNetworkPolicy, AdminPort, AdminSubject, ClusterNetworkPolicy, ClusterPort, ClusterProtocol, EgressPeer,
    EndpointSlice, IntOrString, LabelSelector, NamespacedPod, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
    Node, Object, Pod, Service, StringMap,
};

/// The objects, by kind.
#[derive(Default)]
pub struct World {
    pub namespaces: Vec<(String, StringMap)>,
    pub nodes: Vec<Node>,
    pub pods: Vec<Pod>,
    pub services: Vec<Service>,
    pub endpoint_slices: Vec<EndpointSlice>,
    pub network_policies: Vec<NetworkPolicy>,
    pub cluster_network_policies: Vec<ClusterNetworkPolicy>,
    pub admin_network_policies: Vec<AdminNetworkPolicy>,
    pub baseline_admin_network_policies: Vec<AdminNetworkPolicy>,
}

impl World {
    pub fn of(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut world = Self::default();
        for object in objects {
            match object {
                Object::Namespace(o) => world.namespaces.push((o.metadata.name, o.metadata.labels)),
                Object::Node(o) => world.nodes.push(o),
                Object::Pod(o) => world.pods.push(*o),
                Object::Service(o) => world.services.push(*o),
                Object::EndpointSlice(o) => world.endpoint_slices.push(o),
                Object::NetworkPolicy(o) => world.network_policies.push(*o),
                Object::ClusterNetworkPolicy(o) => world.cluster_network_policies.push(*o),
                Object::AdminNetworkPolicy(o) => world.admin_network_policies.push(*o),
                Object::BaselineAdminNetworkPolicy(o) => world.baseline_admin_network_policies.push(*o),
                _ => {}
            }
        }
        world
    }

    /// "The control plane sets an immutable label `kubernetes.io/metadata.name` on all namespaces."
    fn namespace_labels(&self, name: &str) -> StringMap {
        let mut labels =
            self.namespaces.iter().find(|(n, _)| n == name).map(|(_, labels)| labels.clone()).unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        labels
    }

    /// Who has an address now.
    pub fn who_has(&self, ip: IpAddr) -> Who {
        if let Some(pod) = (0..self.pods.len()).find(|p| {
            let pod = &self.pods[*p];
            !pod.spec.host_network && !finished(pod) && pod_ips(pod).contains(&ip)
        }) {
            return Who::Pod(pod);
        }
        match (0..self.nodes.len()).find(|n| node_ips(&self.nodes[*n]).contains(&ip)) {
            Some(node) => Who::Node(node),
            None => Who::Outside,
        }
    }
}

/// "Once Succeeded or Failed, the pod's address may be given to another."
pub fn finished(pod: &Pod) -> bool {
    pod.status.phase == "Succeeded" || pod.status.phase == "Failed"
}

pub fn pod_ips(pod: &Pod) -> Vec<IpAddr> {
    pod.status.pod_ips.iter().map(|ip| &ip.ip).chain([&pod.status.pod_ip]).filter_map(|ip| ip.parse().ok()).collect()
}

pub fn node_ips(node: &Node) -> Vec<IpAddr> {
    node.status.addresses.iter().filter_map(|a| a.address.parse().ok()).collect()
}

/// One end of a connection: an index into the world's pods or nodes, or something outside the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Pod(usize),
    Node(usize),
    Outside,
}

#[derive(Clone, Copy, Debug)]
pub struct End {
    pub who: Who,
    pub ip: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub client: End,
    pub server: End,
    pub protocol: &'a str,
    pub port: u16,
    /// The DNS name that was dialled.
    pub name: Option<&'a str>,
    /// Dialled through a Service.
    pub via_service: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    Denied,
    /// The documentation leaves it open, or the objects don't say enough.
    Ambiguous,
}

/// Whether something matches, where the objects may not say enough to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matches {
    No,
    Maybe,
    Yes,
}

fn yes_if(condition: bool) -> Matches {
    if condition { Matches::Yes } else { Matches::No }
}

fn any(all: impl IntoIterator<Item = Matches>) -> Matches {
    let mut best = Matches::No;
    for one in all {
        match one {
            Matches::Yes => return Matches::Yes,
            Matches::Maybe => best = Matches::Maybe,
            Matches::No => {}
        }
    }
    best
}

/// Everything that may come of asking some policies.
#[derive(Clone, Copy, Default)]
struct Results {
    allowed: bool,
    denied: bool,
    /// Go on with the next tier.
    passed: bool,
    /// No rule matched.
    nothing: bool,
}

impl Results {
    fn or(self, other: Self) -> Self {
        Self {
            allowed: self.allowed || other.allowed,
            denied: self.denied || other.denied,
            passed: self.passed || other.passed,
            nothing: self.nothing || other.nothing,
        }
    }

    fn add(&mut self, action: Act) {
        match action {
            Act::Allow => self.allowed = true,
            Act::Deny => self.denied = true,
            Act::Pass => self.passed = true,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Deny,
    Allow,
    Pass,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

/// A cluster-wide policy that applies to the subject in a direction, its rules already asked.
struct Ordered {
    priority: i64,
    name: String,
    rules: Vec<(Act, Matches)>,
}

pub fn answer(world: &World, question: &Question<'_>, choices: &Choices) -> Answer {
    let asker = Asker { world, q: question, choices };
    let (egress, ingress) = (asker.direction(Direction::Egress), asker.direction(Direction::Ingress));
    // "For a connection from a source pod to a destination pod to be allowed, both the egress policy on the source pod and
    // the ingress policy on the destination pod need to allow the connection."
    let allowed = egress.allowed && ingress.allowed;
    let denied = egress.denied || ingress.denied;
    match (allowed, denied) {
        (true, false) => Answer::Allowed,
        (false, true) => Answer::Denied,
        _ => Answer::Ambiguous,
    }
}

struct Asker<'a> {
    world: &'a World,
    q: &'a Question<'a>,
    choices: &'a Choices,
}

impl Asker<'_> {
    /// The pod behind an end, if it is one that policies see as a pod: "host-networked pods are not included".
    fn pod(&self, end: End) -> Option<&Pod> {
        match end.who {
            Who::Pod(pod) => Some(&self.world.pods[pod]).filter(|p| !p.spec.host_network && !finished(p)),
            _ => None,
        }
    }

    /// Whether an end is the node that a pod runs on, or shares its network.
    fn own_node(&self, pod: &Pod, end: End) -> Matches {
        let node = match end.who {
            Who::Node(node) => self.world.nodes[node].metadata.name.as_str(),
            Who::Pod(other) if self.world.pods[other].spec.host_network => &self.world.pods[other].spec.node_name,
            _ => return Matches::No,
        };
        if node.is_empty() || pod.spec.node_name.is_empty() {
            return Matches::Maybe;
        }
        yes_if(*node == pod.spec.node_name)
    }

    fn direction(&self, direction: Direction) -> Results {
        let allowed = Results { allowed: true, ..Results::default() };
        let (subject, peer) = match direction {
            Direction::Egress => (self.q.client, self.q.server),
            Direction::Ingress => (self.q.server, self.q.client),
        };
        let Some(pod) = self.pod(subject) else { return allowed };
        // "A Pod cannot block access to itself."
        let itself = subject.who == peer.who;
        if itself && !self.q.via_service {
            return allowed;
        }
        // "traffic to and from the node where a Pod is running is always allowed"
        let exempt = match direction {
            Direction::Ingress => !self.choices.own_node_ingress,
            Direction::Egress => !self.choices.own_node_egress,
        };
        match self.own_node(pod, peer) {
            Matches::Yes if exempt => allowed,
            Matches::Maybe if exempt => allowed.or(self.tiers(direction, pod, peer, itself)),
            _ => self.tiers(direction, pod, peer, itself),
        }
    }

    /// Admin, NetworkPolicy, Baseline, then "all pods can communicate with each other".
    fn tiers(&self, direction: Direction, subject: &Pod, peer: End, itself: bool) -> Results {
        let mut out = Results::default();
        let admin = self.ordered(self.admin_tier(direction, subject, peer));
        out.allowed |= admin.allowed;
        out.denied |= admin.denied;
        if !admin.passed && !admin.nothing {
            return out;
        }
        let judged = !itself || self.choices.hairpin;
        let isolated = judged && self.isolating(direction, subject).next().is_some();
        let other = match direction {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        let isolated_otherwise = self.isolating(other, subject).next().is_some();
        if isolated {
            match any(self.isolating(direction, subject).map(|p| self.network_policy(direction, p, peer))) {
                Matches::Yes => {
                    out.allowed = true;
                    return out;
                }
                Matches::Maybe => out.allowed = true,
                Matches::No => {}
            }
            if !self.choices.default_deny_last {
                out.denied = true;
                return out;
            }
        }
        let skipped = !isolated && isolated_otherwise && !self.choices.baseline_for_other_direction;
        let baseline = if skipped {
            Results { nothing: true, ..Results::default() }
        } else {
            self.ordered(self.baseline_tier(direction, subject, peer))
        };
        out.allowed |= baseline.allowed;
        out.denied |= baseline.denied;
        if baseline.passed || baseline.nothing {
            if isolated { out.denied = true } else { out.allowed = true }
        }
        out
    }

    // NetworkPolicy

    /// The NetworkPolicies that select a pod in a direction.
    fn isolating(&self, direction: Direction, subject: &Pod) -> impl Iterator<Item = &NetworkPolicy> {
        let (namespace, labels) = (subject.metadata.namespace.clone(), subject.metadata.labels.clone());
        self.world.network_policies.iter().filter(move |policy| {
            policy.metadata.namespace == namespace
                && selects(&policy.spec.pod_selector, &labels)
                && applies(policy, direction)
        })
    }

    fn network_policy(&self, direction: Direction, policy: &NetworkPolicy, peer: End) -> Matches {
        let rules: Vec<(&[NetworkPolicyPeer], &[NetworkPolicyPort])> = match direction {
            Direction::Ingress => policy.spec.ingress.iter().map(|r| (&r.from[..], &r.ports[..])).collect(),
            Direction::Egress => policy.spec.egress.iter().map(|r| (&r.to[..], &r.ports[..])).collect(),
        };
        any(rules.into_iter().map(|(peers, ports)| {
            // "If this field is empty or missing, this rule matches all ports."
            if !ports.is_empty() && !ports.iter().any(|p| self.network_policy_port(p)) {
                return Matches::No;
            }
            // "If this field is empty or missing, this rule matches all sources."
            if peers.is_empty() {
                return Matches::Yes;
            }
            any(peers.iter().map(|p| self.network_policy_peer(&policy.metadata.namespace, p, peer)))
        }))
    }

    fn network_policy_peer(&self, namespace: &str, peer: &NetworkPolicyPeer, end: End) -> Matches {
        if let Some(block) = &peer.ip_block {
            if end.who != Who::Outside && self.choices.ip_block == Classes::OUTSIDE {
                return Matches::No;
            }
            return yes_if(match end.ip {
                Some(ip) => within(&block.cidr, ip) && !block.except.iter().any(|e| within(e, ip)),
                None => holds_everything(&block.cidr) && block.except.is_empty(),
            });
        }
        let Some(pod) = self.pod(end) else { return Matches::No };
        let namespace_matches = match &peer.namespace_selector {
            Some(selector) => selects(selector, &self.world.namespace_labels(&pod.metadata.namespace)),
            None => pod.metadata.namespace == namespace,
        };
        let pod_matches = peer.pod_selector.as_ref().is_none_or(|s| selects(s, &pod.metadata.labels));
        yes_if(namespace_matches && pod_matches)
    }

    fn network_policy_port(&self, port: &NetworkPolicyPort) -> bool {
        // "If not specified, this field defaults to TCP."
        if port.protocol.as_deref().unwrap_or("TCP") != self.q.protocol {
            return false;
        }
        match (&port.port, port.end_port) {
            (None, _) => true,
            (Some(IntOrString::String(name)), _) => self.named_port(name),
            (Some(IntOrString::Int(first)), Some(last)) if self.choices.end_port => {
                (*first..=last).contains(&i64::from(self.q.port))
            }
            (Some(IntOrString::Int(number)), _) => *number == i64::from(self.q.port),
        }
    }

    /// "a named port on a pod": of the destination, for the protocol of the connection, declared by a container or by an
    /// init container that keeps running.
    fn named_port(&self, name: &str) -> bool {
        let Some(pod) = self.pod(self.q.server) else { return false };
        let sidecars = pod
            .spec
            .init_containers
            .iter()
            .filter(|c| c.restart_policy == "Always" || self.choices.init_container_ports);
        pod.spec.containers.iter().chain(sidecars).flat_map(|c| &c.ports).any(|p| {
            let protocol = if p.protocol.is_empty() { "TCP" } else { &p.protocol };
            p.name == name && protocol == self.q.protocol && p.container_port == i64::from(self.q.port)
        })
    }

    // Cluster-wide policies

    fn admin_tier(&self, direction: Direction, subject: &Pod, peer: End) -> Vec<Ordered> {
        let mut out = self.cluster_network_policies("Admin", direction, subject, peer);
        for policy in &self.world.admin_network_policies {
            out.extend(self.admin_network_policy(policy, policy.spec.priority.unwrap_or(0), direction, subject, peer));
        }
        out
    }

    fn baseline_tier(&self, direction: Direction, subject: &Pod, peer: End) -> Vec<Ordered> {
        let mut out = self.cluster_network_policies("Baseline", direction, subject, peer);
        for policy in &self.world.baseline_admin_network_policies {
            // It has no priority; no document orders it among ClusterNetworkPolicies of the Baseline tier.
            out.extend(self.admin_network_policy(policy, i64::MAX, direction, subject, peer));
        }
        out
    }

    fn cluster_network_policies(&self, tier: &str, direction: Direction, subject: &Pod, peer: End) -> Vec<Ordered> {
        let mut out = Vec::new();
        for policy in &self.world.cluster_network_policies {
            let spec = &policy.spec;
            if spec.tier != tier || !spec.subject.as_ref().is_some_and(|s| self.subject(s, subject)) {
                continue;
            }
            let rules = match direction {
                Direction::Ingress => spec
                    .ingress
                    .iter()
                    .map(|r| {
                        let ports = r.protocols.as_ref().is_none_or(|list| list.iter().any(|p| self.cluster_port(p)));
                        self.rule(&r.action, r.from.iter().map(|p| self.pods_peer(p, peer)).collect(), ports)
                    })
                    .collect(),
                Direction::Egress => spec
                    .egress
                    .iter()
                    .map(|r| {
                        let ports = r.protocols.as_ref().is_none_or(|list| list.iter().any(|p| self.cluster_port(p)));
                        self.rule(&r.action, r.to.iter().map(|p| self.egress_peer(p, peer)).collect(), ports)
                    })
                    .collect(),
            };
            out.push(Ordered { priority: spec.priority.unwrap_or(0), name: policy.metadata.name.clone(), rules });
        }
        out
    }

    fn admin_network_policy(
        &self,
        policy: &AdminNetworkPolicy,
        priority: i64,
        direction: Direction,
        subject: &Pod,
        peer: End,
    ) -> Option<Ordered> {
        let spec = &policy.spec;
        if !spec.subject.as_ref().is_some_and(|s| self.subject(s, subject)) {
            return None;
        }
        let rules = match direction {
            Direction::Ingress => spec
                .ingress
                .iter()
                .map(|r| {
                    let ports = r.ports.as_ref().is_none_or(|list| list.iter().any(|p| self.admin_port(p)));
                    self.rule(&r.action, r.from.iter().map(|p| self.pods_peer(p, peer)).collect(), ports)
                })
                .collect(),
            Direction::Egress => spec
                .egress
                .iter()
                .map(|r| {
                    let ports = r.ports.as_ref().is_none_or(|list| list.iter().any(|p| self.admin_port(p)));
                    self.rule(&r.action, r.to.iter().map(|p| self.egress_peer(p, peer)).collect(), ports)
                })
                .collect(),
        };
        Some(Ordered { priority, name: policy.metadata.name.clone(), rules })
    }

    /// A rule, given what each of its peers says; a peer with no known field says nothing.
    fn rule(&self, action: &str, peers: Vec<Option<Matches>>, ports: bool) -> (Act, Matches) {
        let act = match action {
            "Accept" | "Allow" => Act::Allow,
            "Deny" => Act::Deny,
            "Pass" => Act::Pass,
            other => panic!("action {other}"),
        };
        if peers.contains(&None) {
            // "For "Accept" rules, "fail closed" means: "treat the rule as matching no traffic". For "Deny" and "Pass" rules,
            // "fail closed" means: "treat the rule as a 'Deny all' rule"."
            return if act == Act::Allow { (act, Matches::No) } else { (Act::Deny, Matches::Yes) };
        }
        (act, if ports { any(peers.into_iter().flatten()) } else { Matches::No })
    }

    fn subject(&self, subject: &AdminSubject, pod: &Pod) -> bool {
        self.selects_pod(subject.namespaces.as_ref(), subject.pods.as_ref(), pod)
    }

    fn selects_pod(&self, namespaces: Option<&LabelSelector>, pods: Option<&NamespacedPod>, pod: &Pod) -> bool {
        let namespace = self.world.namespace_labels(&pod.metadata.namespace);
        match (namespaces, pods) {
            (Some(selector), _) => selects(selector, &namespace),
            (None, Some(both)) => {
                selects(&both.namespace_selector, &namespace) && selects(&both.pod_selector, &pod.metadata.labels)
            }
            (None, None) => false,
        }
    }

    fn pods_peer(&self, peer: &AdminSubject, end: End) -> Option<Matches> {
        if peer.namespaces.is_none() && peer.pods.is_none() {
            return None;
        }
        let pod = self.pod(end);
        Some(yes_if(pod.is_some_and(|p| self.selects_pod(peer.namespaces.as_ref(), peer.pods.as_ref(), p))))
    }

    fn egress_peer(&self, peer: &EgressPeer, end: End) -> Option<Matches> {
        if peer.namespaces.is_some() || peer.pods.is_some() {
            let pod = self.pod(end);
            return Some(yes_if(
                pod.is_some_and(|p| self.selects_pod(peer.namespaces.as_ref(), peer.pods.as_ref(), p)),
            ));
        }
        if let Some(selector) = &peer.nodes {
            return Some(self.nodes_peer(selector, end));
        }
        if let Some(networks) = &peer.networks {
            return Some(yes_if(networks.iter().any(|n| end.ip.map_or(holds_everything(n), |ip| within(n, ip)))));
        }
        peer.domain_names.as_ref().map(|names| self.domain_names(names, end))
    }

    /// "It selects the nodes as the peer type by matching on the IPs present in the node.Status.Addresses field".
    fn nodes_peer(&self, selector: &LabelSelector, end: End) -> Matches {
        let selected = |node: &&Node| selects(selector, &node.metadata.labels);
        if let Some(ip) = end.ip {
            return yes_if(self.world.nodes.iter().filter(selected).any(|n| node_ips(n).contains(&ip)));
        }
        match end.who {
            Who::Node(node) => yes_if(selected(&&self.world.nodes[node])),
            Who::Pod(pod) if self.world.pods[pod].spec.host_network => {
                let name = &self.world.pods[pod].spec.node_name;
                match self.world.nodes.iter().find(|n| n.metadata.name == *name) {
                    Some(node) => yes_if(selected(&node)),
                    // "if present but empty, it selects all Nodes"
                    None if *selector == LabelSelector::default() => Matches::Yes,
                    None => Matches::Maybe,
                }
            }
            _ => Matches::No,
        }
    }

    fn domain_names(&self, names: &[String], end: End) -> Matches {
        if end.who != Who::Outside {
            return Matches::No;
        }
        let Some(dialled) = self.q.name else { return Matches::Maybe };
        yes_if(names.iter().any(|pattern| {
            let pattern = pattern.trim_end_matches('.').to_ascii_lowercase();
            match pattern.strip_prefix("*.") {
                Some(rest) => dialled.strip_suffix(rest).is_some_and(|head| head.len() > 1 && head.ends_with('.')),
                None => dialled == pattern,
            }
        }))
    }

    fn cluster_port(&self, protocol: &ClusterProtocol) -> bool {
        let numbers = |port: &ClusterPort| match &port.destination_port {
            None => true,
            Some(port) => match (port.number, &port.range) {
                (Some(number), _) => number == i64::from(self.q.port),
                (None, Some(range)) => (range.start..=range.end).contains(&i64::from(self.q.port)),
                (None, None) => panic!("a port of no kind"),
            },
        };
        if let Some(name) = &protocol.destination_named_port {
            return self.named_port(name);
        }
        let of_protocol = match self.q.protocol {
            "TCP" => &protocol.tcp,
            "UDP" => &protocol.udp,
            _ => &protocol.sctp,
        };
        of_protocol.as_ref().is_some_and(numbers)
    }

    fn admin_port(&self, port: &AdminPort) -> bool {
        // "If unset, this field defaults to TCP."
        let protocol = |written: &Option<String>| written.as_deref().unwrap_or("TCP") == self.q.protocol;
        if let Some(number) = &port.port_number {
            return protocol(&number.protocol) && number.port == i64::from(self.q.port);
        }
        if let Some(range) = &port.port_range {
            return protocol(&range.protocol) && (range.start..=range.end).contains(&i64::from(self.q.port));
        }
        port.named_port.as_ref().is_some_and(|name| self.named_port(name))
    }

    /// Policies in order of priority; where several share one, in whichever order the plugin may take.
    fn ordered(&self, mut policies: Vec<Ordered>) -> Results {
        policies.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        let mut out = Results::default();
        for group in policies.chunk_by(|a, b| a.priority == b.priority) {
            let group: Vec<&Ordered> = group.iter().collect();
            let results = match self.choices.tie {
                Tie::ByName => in_turn(&group),
                Tie::Interleaved => interleaved(&group),
                Tie::Either => orders(group).iter().map(|order| in_turn(order)).reduce(Results::or).unwrap_or_default(),
            };
            out = out.or(Results { nothing: false, ..results });
            if !results.nothing {
                return out;
            }
        }
        Results { nothing: true, ..out }
    }
}

/// The first rule that matches decides; one that may match decides perhaps.
fn first_match(rules: impl IntoIterator<Item = (Act, Matches)>) -> Results {
    let mut out = Results::default();
    for (act, matches) in rules {
        if matches != Matches::No {
            out.add(act);
        }
        if matches == Matches::Yes {
            return out;
        }
    }
    out.nothing = true;
    out
}

/// One policy after the other.
fn in_turn(policies: &[&Ordered]) -> Results {
    first_match(policies.iter().flat_map(|p| p.rules.iter().copied()))
}

/// The first rules of all policies, then the second ones …; of several, deny before allow before pass.
fn interleaved(policies: &[&Ordered]) -> Results {
    let longest = policies.iter().map(|p| p.rules.len()).max().unwrap_or(0);
    first_match((0..longest).flat_map(|index| {
        let mut level: Vec<(Act, Matches)> = policies.iter().filter_map(|p| p.rules.get(index).copied()).collect();
        level.sort_by_key(|(act, _)| *act);
        level
    }))
}

/// Every order of some policies.
fn orders(policies: Vec<&Ordered>) -> Vec<Vec<&Ordered>> {
    if policies.len() <= 1 {
        return vec![policies];
    }
    let mut out = Vec::new();
    for first in 0..policies.len() {
        let mut rest = policies.clone();
        let first = rest.remove(first);
        for mut order in orders(rest) {
            order.insert(0, first);
            out.push(order);
        }
    }
    out
}

/// "If policyTypes is not specified, it will default based on the existence of ingress or egress rules; policies that
/// contain an egress section are assumed to affect egress, and all policies (whether or not they contain an ingress
/// section) are assumed to affect ingress."
fn applies(policy: &NetworkPolicy, direction: Direction) -> bool {
    let types = &policy.spec.policy_types;
    match direction {
        Direction::Ingress => types.is_empty() || types.iter().any(|t| t == "Ingress"),
        Direction::Egress if types.is_empty() => !policy.spec.egress.is_empty(),
        Direction::Egress => types.iter().any(|t| t == "Egress"),
    }
}

/// metav1.LabelSelector: all of its requirements, an empty one selects everything.
fn selects(selector: &LabelSelector, labels: &StringMap) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|r| {
            let value = labels.get(&r.key);
            match r.operator.as_str() {
                "In" => value.is_some_and(|v| r.values.iter().any(|w| w == v)),
                "NotIn" => !value.is_some_and(|v| r.values.iter().any(|w| w == v)),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                other => panic!("operator {other}"),
            }
        })
}

/// Whether a range matches a pod that has no address yet: pods without one are judged by their labels alone, so that a
/// range of some addresses says nothing of them.
fn holds_everything(cidr: &str) -> bool {
    cidr == "0.0.0.0/0"
}

/// Whether an address lies in a CIDR, bit by bit.
fn within(cidr: &str, ip: IpAddr) -> bool {
    let (network, length) = cidr.split_once('/').expect("a CIDR has a length");
    let length: usize = length.parse().expect("a length is a number");
    match (network.parse().expect("a CIDR has an address"), ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => (0..length).all(|bit| {
            let mask = 1 << (31 - bit);
            network.to_bits() & mask == ip.to_bits() & mask
        }),
        (IpAddr::V6(network), IpAddr::V6(ip)) => (0..length).all(|bit| {
            let mask = 1 << (127 - bit);
            network.to_bits() & mask == ip.to_bits() & mask
        }),
        _ => false,
    }
}
