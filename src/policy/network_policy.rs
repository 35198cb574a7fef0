//! networking.k8s.io/v1 NetworkPolicy.
//!
//! Rules cited are those of the API reference, <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/>.

use std::sync::Arc;

use super::rule::{
    Action, Block, CidrScope, Direction, Expr, L4, Match, Peer, PolicyId, PolicyInfo, PolicyKind, PortMatch, Ports,
    Rule, Scope, StagePolicy, Term,
};
use super::selector::Strings;
use super::{Lowered, Refused};
use crate::model::{Cluster, PolicyObject, Protocol, Str};
use crate::source::wire::{self, IntOrString};

/// Lowers every NetworkPolicy: each isolates the pods it selects, and only allows.
pub(super) fn lower(cluster: &Cluster, info: &mut Vec<PolicyInfo>, refused: &mut Vec<Refused>) -> Lowered {
    let mut strings = Strings::default();
    let (mut ingress, mut egress) = (Vec::new(), Vec::new());
    for policy in &cluster.network_policies {
        let id = PolicyId(info.len() as u32);
        let one = one(cluster, policy, id, &mut strings);
        info.push(one.info);
        ingress.extend(one.ingress);
        egress.extend(one.egress);
        refused.extend(one.refused.map(|why| Refused { policy: id, why }));
    }
    Lowered { ingress: Arc::new(ingress), egress: Arc::new(egress) }
}

/// A NetworkPolicy, lowered.
pub(super) struct One {
    pub(super) info: PolicyInfo,
    pub(super) ingress: Option<StagePolicy>,
    pub(super) egress: Option<StagePolicy>,
    /// Why it takes no part.
    pub(super) refused: Option<String>,
}

/// Lowers one NetworkPolicy.
pub(super) fn one(
    cluster: &Cluster,
    policy: &PolicyObject<wire::NetworkPolicy>,
    id: PolicyId,
    strings: &mut Strings,
) -> One {
    let metadata = &policy.object.metadata;
    let spec = &policy.object.spec;
    let namespace = strings.get(&metadata.namespace);
    let info = PolicyInfo {
        kind: PolicyKind::NetworkPolicy,
        namespace: Some(namespace.clone()),
        name: strings.get(&metadata.name),
        origin: policy.origin,
        priority: None,
    };
    let subject = Expr::in_namespace(&namespace).and(strings.selector(&spec.pod_selector, Scope::Pod));
    let stage_policy = |rules| StagePolicy {
        policy: id,
        namespace: cluster.namespace(&metadata.namespace),
        subject: subject.clone(),
        priority: 0,
        isolates: true,
        rules,
    };
    let mut lowering = Lowering { strings, namespace: &namespace, bad: None };
    let ingress = isolates(spec, Direction::Ingress).then(|| {
        let rules = spec.ingress.iter().enumerate();
        stage_policy(rules.map(|(i, r)| lowering.rule(i, Direction::Ingress, &r.from, &r.ports)).collect())
    });
    let egress = isolates(spec, Direction::Egress).then(|| {
        let rules = spec.egress.iter().enumerate();
        stage_policy(rules.map(|(i, r)| lowering.rule(i, Direction::Egress, &r.to, &r.ports)).collect())
    });
    match lowering.bad {
        None => One { info, ingress, egress, refused: None },
        why => One { info, ingress: None, egress: None, refused: why },
    }
}

/// Whether a policy isolates a direction: as `policyTypes` says; where that is missing or empty, ingress always and egress
/// only if there are egress rules (SEMANTICS 2; API reference, `policyTypes`).
pub fn isolates(spec: &wire::NetworkPolicySpec, direction: Direction) -> bool {
    let name = match direction {
        Direction::Ingress => "Ingress",
        Direction::Egress => "Egress",
    };
    if spec.policy_types.is_empty() {
        direction == Direction::Ingress || !spec.egress.is_empty()
    } else {
        spec.policy_types.iter().any(|t| t == name)
    }
}

struct Lowering<'a> {
    strings: &'a mut Strings,
    namespace: &'a Str,
    bad: Option<String>,
}

impl Lowering<'_> {
    fn rule(
        &mut self,
        index: usize,
        direction: Direction,
        peers: &[wire::NetworkPolicyPeer],
        ports: &[wire::NetworkPolicyPort],
    ) -> Rule {
        // "If this field is empty or missing, this rule matches all sources" (SEMANTICS 5); the same of ports.
        let peers = match peers {
            [] => Match::Any,
            _ => Match::OneOf(peers.iter().enumerate().map(|(i, p)| self.peer(i, p)).collect()),
        };
        let l4 = match ports {
            [] => L4::Any,
            _ => L4::OneOf(ports.iter().enumerate().map(|(i, p)| self.port(i, p)).collect()),
        };
        let (source, destination) = match direction {
            Direction::Ingress => (peers, Match::Any),
            Direction::Egress => (Match::Any, peers),
        };
        Rule { index: index as u32, source, destination, l4, action: Action::Allow(Vec::new()), precedence: 0 }
    }

    fn peer(&mut self, index: usize, peer: &wire::NetworkPolicyPeer) -> Peer {
        let mut terms = Vec::new();
        if let Some(block) = &peer.ip_block {
            match self.block(block) {
                Some(block) => terms.push(Term::Cidr(vec![block], CidrScope::IpBlock)),
                None => terms.push(Term::Unknown),
            }
        }
        if peer.pod_selector.is_some() || peer.namespace_selector.is_some() {
            // Without a namespaceSelector: the policy's own namespace (8). Without a podSelector: all pods of the
            // namespaces (9). With both: pods that match in namespaces that match (10).
            let namespaces = match &peer.namespace_selector {
                Some(selector) => self.strings.selector(selector, Scope::Namespace),
                None => Expr::in_namespace(self.namespace),
            };
            let pods = match &peer.pod_selector {
                Some(selector) => self.strings.selector(selector, Scope::Pod),
                None => Expr::Anything,
            };
            terms.push(Term::Pods(namespaces.and(pods)));
        }
        if terms.is_empty() {
            terms.push(Term::Unknown);
        }
        Peer { index: index as u32, terms }
    }

    fn block(&mut self, block: &wire::IpBlock) -> Option<Block> {
        let parsed = block.cidr.parse().ok().and_then(|cidr| {
            Some(Block { cidr, except: block.except.iter().map(|e| e.parse().ok()).collect::<Option<_>>()? })
        });
        if parsed.is_none() {
            self.bad = Some(format!("`{}` is not a range of addresses", block.cidr));
        }
        parsed
    }

    fn port(&mut self, index: usize, port: &wire::NetworkPolicyPort) -> PortMatch {
        // "If not specified, this field defaults to TCP" (19), also where nothing else is given.
        let protocol = match port.protocol.as_deref() {
            None | Some("") => Protocol::Tcp,
            Some(name) => Protocol::parse(name).unwrap_or_else(|| {
                self.bad = Some(format!("the protocol `{name}` is unknown"));
                Protocol::Tcp
            }),
        };
        let mut end_port = false;
        let ports = match &port.port {
            None => Ports::All,
            Some(IntOrString::String(name)) => Ports::Named(self.strings.get(name)),
            Some(IntOrString::Int(first)) => {
                let last = port.end_port.unwrap_or(*first);
                end_port = port.end_port.is_some();
                match (u16::try_from(*first), u16::try_from(last)) {
                    (Ok(first), Ok(last)) => Ports::Range(first, last),
                    _ => {
                        self.bad = Some(format!("`{first}` is not a port"));
                        Ports::Range(1, 0)
                    }
                }
            }
        };
        PortMatch { index: index as u32, protocol: Some(protocol), ports, end_port }
    }
}
