//! policy.networking.k8s.io: ClusterNetworkPolicy (v1alpha2), AdminNetworkPolicy and BaselineAdminNetworkPolicy (v1alpha1).
//!
//! The source of every rule is the type comments of kubernetes-sigs/network-policy-api, `apis/v1alpha2` and
//! `apis/v1alpha1`. These policies isolate nothing by existing (SEMANTICS 57).

use std::sync::Arc;

use super::Lowered;
use super::rule::{
    Action, Block, CidrScope, Classes, DomainPattern, Expr, L4, Match, Peer, PolicyId, PolicyInfo, PolicyKind,
    PortMatch, Ports, Rule, Scope, StagePolicy, Term,
};
use super::selector::Strings;
use crate::model::{Cluster, Protocol};
use crate::source::wire;

/// Lowers all of them into the Admin and the Baseline tier, each sorted by priority.
pub(super) fn lower(cluster: &Cluster, info: &mut Vec<PolicyInfo>) -> (Lowered, Lowered) {
    let mut lowering = Lowering { strings: Strings::default(), admin: Tier::default(), baseline: Tier::default() };
    for policy in &cluster.cluster_network_policies {
        let spec = &policy.object.spec;
        let metadata = &policy.object.metadata;
        let priority = spec.priority.unwrap_or(0);
        let id = enter(info, PolicyKind::ClusterNetworkPolicy, metadata, policy.origin, Some(priority));
        let ingress = spec
            .ingress
            .iter()
            .map(|r| RawRule::new(&r.action, Peers::Ingress(&r.from), RawPorts::V2(r.protocols.as_deref())));
        let egress = spec
            .egress
            .iter()
            .map(|r| RawRule::new(&r.action, Peers::Egress(&r.to), RawPorts::V2(r.protocols.as_deref())));
        lowering.policy(id, spec.tier == "Baseline", priority, spec.subject.as_ref(), ingress, egress);
    }
    for policy in &cluster.admin_network_policies {
        let priority = policy.object.spec.priority.unwrap_or(0);
        let metadata = &policy.object.metadata;
        let id = enter(info, PolicyKind::AdminNetworkPolicy, metadata, policy.origin, Some(priority));
        lowering.v1alpha1(id, false, priority, &policy.object.spec);
    }
    for policy in &cluster.baseline_admin_network_policies {
        let metadata = &policy.object.metadata;
        let id = enter(info, PolicyKind::BaselineAdminNetworkPolicy, metadata, policy.origin, None);
        // There is one, `default`, without a priority: where a cluster holds both APIs, it goes after every priority.
        lowering.v1alpha1(id, true, i64::MAX, &policy.object.spec);
    }
    (lowering.admin.finish(), lowering.baseline.finish())
}

fn enter(
    info: &mut Vec<PolicyInfo>,
    kind: PolicyKind,
    metadata: &wire::Metadata,
    origin: crate::source::Origin,
    priority: Option<i64>,
) -> PolicyId {
    let id = PolicyId(info.len() as u32);
    info.push(PolicyInfo { kind, namespace: None, name: metadata.name.as_str().into(), origin, priority });
    id
}

#[derive(Default)]
struct Tier {
    ingress: Vec<StagePolicy>,
    egress: Vec<StagePolicy>,
}

impl Tier {
    fn finish(mut self) -> Lowered {
        // Lower priority numbers go first (55); the sort is stable, so equal ones stay in order of name.
        self.ingress.sort_by_key(|p| p.priority);
        self.egress.sort_by_key(|p| p.priority);
        Lowered { ingress: Arc::new(self.ingress), egress: Arc::new(self.egress) }
    }
}

enum Peers<'a> {
    Ingress(&'a [wire::AdminSubject]),
    Egress(&'a [wire::EgressPeer]),
}

enum RawPorts<'a> {
    V2(Option<&'a [wire::ClusterProtocol]>),
    V1(Option<&'a [wire::AdminPort]>),
}

struct RawRule<'a> {
    action: &'a str,
    peers: Peers<'a>,
    ports: RawPorts<'a>,
}

impl<'a> RawRule<'a> {
    fn new(action: &'a str, peers: Peers<'a>, ports: RawPorts<'a>) -> Self {
        Self { action, peers, ports }
    }
}

struct Lowering {
    strings: Strings,
    admin: Tier,
    baseline: Tier,
}

impl Lowering {
    fn v1alpha1(&mut self, id: PolicyId, baseline: bool, priority: i64, spec: &wire::AdminNetworkPolicySpec) {
        let ingress = spec
            .ingress
            .iter()
            .map(|r| RawRule::new(&r.action, Peers::Ingress(&r.from), RawPorts::V1(r.ports.as_deref())));
        let egress =
            spec.egress.iter().map(|r| RawRule::new(&r.action, Peers::Egress(&r.to), RawPorts::V1(r.ports.as_deref())));
        self.policy(id, baseline, priority, spec.subject.as_ref(), ingress, egress);
    }

    fn policy<'a>(
        &mut self,
        policy: PolicyId,
        baseline: bool,
        priority: i64,
        subject: Option<&wire::AdminSubject>,
        ingress: impl Iterator<Item = RawRule<'a>>,
        egress: impl Iterator<Item = RawRule<'a>>,
    ) {
        let subject = subject.map_or(Expr::Nothing, |s| self.pods(s.namespaces.as_ref(), s.pods.as_ref()));
        let mut ingress: Vec<Rule> = ingress.enumerate().map(|(i, r)| self.rule(i, &r)).collect();
        let mut egress: Vec<Rule> = egress.enumerate().map(|(i, r)| self.rule(i, &r)).collect();
        for rule in ingress.iter_mut().chain(&mut egress) {
            // Policies of equal priority interleave by the index of their rules, where a plugin does so.
            rule.precedence = ((priority.clamp(0, 0x7fff_ffff) as u64) << 32) + u64::from(rule.index);
        }
        let tier = if baseline { &mut self.baseline } else { &mut self.admin };
        for (rules, policies) in [(ingress, &mut tier.ingress), (egress, &mut tier.egress)] {
            if !rules.is_empty() {
                let subject = subject.clone();
                policies.push(StagePolicy { policy, namespace: None, subject, priority, isolates: false, rules });
            }
        }
    }

    fn pods(&mut self, namespaces: Option<&wire::LabelSelector>, pods: Option<&wire::NamespacedPod>) -> Expr {
        match (namespaces, pods) {
            (Some(namespaces), _) => self.strings.selector(namespaces, Scope::Namespace),
            (None, Some(pods)) => self
                .strings
                .selector(&pods.namespace_selector, Scope::Namespace)
                .and(self.strings.selector(&pods.pod_selector, Scope::Pod)),
            (None, None) => Expr::Nothing,
        }
    }

    fn rule(&mut self, index: usize, raw: &RawRule<'_>) -> Rule {
        let mut peers: Vec<Peer> = match raw.peers {
            Peers::Ingress(list) => list.iter().enumerate().map(|(i, p)| self.ingress_peer(i, p)).collect(),
            Peers::Egress(list) => list.iter().enumerate().map(|(i, p)| self.egress_peer(i, p)).collect(),
        };
        let mut action = match raw.action {
            "Accept" | "Allow" => Action::Allow(Vec::new()),
            "Pass" => Action::Pass,
            // The CRD refuses anything else at the loading edge.
            _ => Action::Deny,
        };
        let mut l4 = self.l4(&raw.ports);
        // "For Deny and Pass rules, fail closed means: treat the rule as a 'Deny all' rule" (62).
        let unknown = peers.iter().any(|p| p.terms.contains(&Term::Unknown));
        if unknown && !matches!(action, Action::Allow(_)) {
            action = Action::Deny;
            l4 = L4::Any;
            peers.retain(|p| p.terms.contains(&Term::Unknown));
            for peer in &mut peers {
                peer.terms.clear();
            }
        }
        let peers = Match::OneOf(peers);
        let (source, destination) = match raw.peers {
            Peers::Ingress(_) => (peers, Match::Any),
            Peers::Egress(_) => (Match::Any, peers),
        };
        Rule { index: index as u32, source, destination, l4, action, precedence: 0 }
    }

    fn ingress_peer(&mut self, index: usize, peer: &wire::AdminSubject) -> Peer {
        let term = if peer.namespaces.is_none() && peer.pods.is_none() {
            Term::Unknown
        } else {
            Term::Pods(self.pods(peer.namespaces.as_ref(), peer.pods.as_ref()))
        };
        Peer { index: index as u32, terms: vec![term] }
    }

    fn egress_peer(&mut self, index: usize, peer: &wire::EgressPeer) -> Peer {
        let term = if peer.namespaces.is_some() || peer.pods.is_some() {
            Term::Pods(self.pods(peer.namespaces.as_ref(), peer.pods.as_ref()))
        } else if let Some(nodes) = &peer.nodes {
            Term::Nodes(self.strings.selector(nodes, Scope::Node))
        } else if let Some(networks) = &peer.networks {
            let blocks = networks.iter().filter_map(|n| n.parse().ok()).map(|cidr| Block { cidr, except: Vec::new() });
            // "cluster-internal traffic will be checked against the rule as well" (60).
            Term::Cidr(blocks.collect(), CidrScope::Classes(Classes::ALL))
        } else if let Some(names) = &peer.domain_names {
            Term::Domains(names.iter().map(|n| self.domain(n)).collect())
        } else {
            Term::Unknown
        };
        Peer { index: index as u32, terms: vec![term] }
    }

    fn domain(&mut self, name: &str) -> DomainPattern {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        match name.strip_prefix("*.") {
            Some(suffix) => DomainPattern::Below(self.strings.get(suffix)),
            None => DomainPattern::Exact(self.strings.get(&name)),
        }
    }

    fn l4(&mut self, ports: &RawPorts<'_>) -> L4 {
        match ports {
            RawPorts::V2(None) | RawPorts::V1(None) => L4::Any,
            RawPorts::V2(Some(list)) => {
                L4::OneOf(list.iter().enumerate().filter_map(|(i, p)| self.protocol(i, p)).collect())
            }
            RawPorts::V1(Some(list)) => {
                L4::OneOf(list.iter().enumerate().filter_map(|(i, p)| self.port(i, p)).collect())
            }
        }
    }

    fn protocol(&mut self, index: usize, protocol: &wire::ClusterProtocol) -> Option<PortMatch> {
        let index = index as u32;
        if let Some(name) = &protocol.destination_named_port {
            // Of whatever protocol the pod declares it with (63).
            return Some(PortMatch {
                index,
                protocol: None,
                ports: Ports::Named(self.strings.get(name)),
                end_port: false,
            });
        }
        let (kind, port) = match (&protocol.tcp, &protocol.udp, &protocol.sctp) {
            (Some(port), _, _) => (Protocol::Tcp, port),
            (_, Some(port), _) => (Protocol::Udp, port),
            (_, _, Some(port)) => (Protocol::Sctp, port),
            _ => return None,
        };
        let ports = match &port.destination_port {
            None => Ports::All,
            Some(wire::ClusterPortRange { number: Some(number), .. }) => range(*number, *number),
            Some(wire::ClusterPortRange { range: Some(r), .. }) => range(r.start, r.end),
            Some(_) => return None,
        };
        Some(PortMatch { index, protocol: Some(kind), ports, end_port: false })
    }

    fn port(&mut self, index: usize, port: &wire::AdminPort) -> Option<PortMatch> {
        let index = index as u32;
        // "a port without protocol is TCP" (66).
        let kind = |name: &Option<String>| match name.as_deref() {
            None | Some("") => Some(Protocol::Tcp),
            Some(name) => Protocol::parse(name),
        };
        let (protocol, ports) = if let Some(number) = &port.port_number {
            (Some(kind(&number.protocol)?), range(number.port, number.port))
        } else if let Some(r) = &port.port_range {
            (Some(kind(&r.protocol)?), range(r.start, r.end))
        } else if let Some(name) = &port.named_port {
            (None, Ports::Named(self.strings.get(name)))
        } else {
            return None;
        };
        Some(PortMatch { index, protocol, ports, end_port: false })
    }
}

/// A range of ports; one that isn't valid holds none.
fn range(first: i64, last: i64) -> Ports {
    match (u16::try_from(first), u16::try_from(last)) {
        (Ok(first), Ok(last)) => Ports::Range(first, last),
        _ => Ports::Range(1, 0),
    }
}
