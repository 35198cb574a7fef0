//! Whether a rule's parts match an endpoint or a port, in three values: yes, no, and "can't be told from what is known".

use std::net::IpAddr;

use ipnet::IpNet;

use super::eval::{Endpoint, EndpointKind, Flow, Reason};
use crate::model::{Cluster, ContainerKind, Labels, NodeId, PodId};
use crate::policy::Choices;
use crate::policy::rule::{
    Action, Block, CidrScope, Classes, Expr, L4, Match, Op, Peer, PortMatch, Ports, Requirement, Rule, Scope, Term,
};

/// A truth value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tri {
    Yes,
    No,
    Maybe(Reason),
}

impl Tri {
    pub(crate) fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            maybe @ Self::Maybe(_) => match other() {
                Self::No => Self::No,
                _ => maybe,
            },
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            maybe => maybe,
        }
    }
}

impl From<bool> for Tri {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// What a selector looks at.
pub(crate) enum Selected {
    Pod(PodId),
    Node(NodeId),
    /// A pod of which nothing is known.
    AnyPod,
}

pub(crate) fn expr(cluster: &Cluster, selected: &Selected, e: &Expr) -> Tri {
    match e {
        Expr::Anything => Tri::Yes,
        Expr::Nothing => Tri::No,
        Expr::Is(requirement) => self::requirement(cluster, selected, requirement),
        Expr::All(all) => all.iter().fold(Tri::Yes, |so_far, e| so_far.and(|| expr(cluster, selected, e))),
        Expr::Any(any) => {
            any.iter().fold(Tri::No, |so_far, e| so_far.not().and(|| expr(cluster, selected, e).not()).not())
        }
        Expr::Not(e) => expr(cluster, selected, e).not(),
    }
}

pub(crate) fn requirement(cluster: &Cluster, selected: &Selected, requirement: &Requirement) -> Tri {
    let value: Option<&str> = match (selected, requirement.scope) {
        // Every namespace has the label with its name (12).
        (Selected::AnyPod, Scope::Namespace)
            if &*requirement.key == "kubernetes.io/metadata.name" && requirement.op == Op::Exists =>
        {
            return Tri::Yes;
        }
        (Selected::AnyPod, Scope::Node) => None,
        (Selected::AnyPod, _) => return Tri::Maybe(Reason::PodUnknown),
        (Selected::Pod(pod), scope) => {
            let pod = &cluster.pods[pod.index()];
            let namespace = &cluster.namespaces[pod.namespace.index()];
            match scope {
                Scope::Pod => get(&pod.labels, &requirement.key),
                Scope::Namespace => get(&namespace.labels, &requirement.key),
                Scope::NamespaceName => Some(&namespace.name),
                Scope::ServiceAccountName => Some(&pod.service_account),
                Scope::ServiceAccount => return Tri::Maybe(Reason::ServiceAccountLabels),
                Scope::Node => None,
            }
        }
        (Selected::Node(node), Scope::Node) => get(&cluster.nodes[node.index()].labels, &requirement.key),
        (Selected::Node(_), _) => None,
    };
    op(&requirement.op, value).into()
}

fn get<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    labels.get(key).map(|v| &**v)
}

/// Whether a label's value, or its absence, meets a requirement. `NotIn` and `DoesNotExist` hold where the key is
/// missing (SEMANTICS 11; API reference, LabelSelectorRequirement).
pub(crate) fn op(op: &Op, value: Option<&str>) -> bool {
    match op {
        Op::In(values) => value.is_some_and(|v| values.iter().any(|x| **x == *v)),
        Op::NotIn(values) => value.is_none_or(|v| !values.iter().any(|x| **x == *v)),
        Op::Exists => value.is_some(),
        Op::DoesNotExist => value.is_none(),
        Op::Contains(part) => value.is_some_and(|v| v.contains(&**part)),
        Op::StartsWith(part) => value.is_some_and(|v| v.starts_with(&**part)),
        Op::EndsWith(part) => value.is_some_and(|v| v.ends_with(&**part)),
    }
}

/// What matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matched {
    pub(crate) peer: Option<u32>,
    pub(crate) port: Option<u32>,
}

/// One flow as a rule at `subject` sees it.
pub(crate) struct View<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) choices: &'a Choices,
    pub(crate) flow: &'a Flow,
    /// The pod that the policy selects.
    pub(crate) subject: PodId,
}

impl View<'_> {
    /// Whether a rule matches, and by which peer and port.
    pub(crate) fn rule(&self, rule: &Rule) -> (Tri, Matched) {
        let (l4, port) = self.l4(&rule.l4);
        if l4 == Tri::No {
            return (Tri::No, Matched { peer: None, port });
        }
        let (source, from) = self.endpoints(&rule.source, &self.flow.client);
        if source == Tri::No {
            return (Tri::No, Matched { peer: None, port });
        }
        let (destination, to) = self.endpoints(&rule.destination, &self.flow.server);
        // Of an Allow rule with a peer of a kind that isn't known: "treat the rule as matching no traffic", its other peers
        // included (62).
        if matches!(rule.action, Action::Allow(_)) && has_unknown(rule) {
            return (Tri::No, Matched { peer: None, port });
        }
        let all = l4.and(|| source.and(|| destination));
        (all, Matched { peer: from.or(to), port })
    }

    fn endpoints(&self, wanted: &Match, endpoint: &Endpoint) -> (Tri, Option<u32>) {
        let peers = match wanted {
            Match::Any => return (Tri::Yes, None),
            Match::OneOf(peers) => peers,
        };
        let mut maybe = None;
        for peer in peers {
            match self.peer(peer, endpoint) {
                Tri::Yes => return (Tri::Yes, Some(peer.index)),
                Tri::Maybe(reason) => maybe = maybe.or(Some((reason, peer.index))),
                Tri::No => {}
            }
        }
        match maybe {
            Some((reason, index)) => (Tri::Maybe(reason), Some(index)),
            None => (Tri::No, None),
        }
    }

    /// Whether an end is none of those that are wanted, whatever the port.
    pub(crate) fn excludes(&self, wanted: &Match, endpoint: &Endpoint) -> bool {
        match wanted {
            Match::Any => false,
            Match::OneOf(peers) => peers.iter().all(|peer| {
                !peer.terms.iter().any(|t| matches!(t, Term::Service(_))) && self.peer(peer, endpoint) == Tri::No
            }),
        }
    }

    pub(crate) fn peer(&self, peer: &Peer, endpoint: &Endpoint) -> Tri {
        peer.terms.iter().fold(Tri::Yes, |so_far, term| so_far.and(|| self.term(term, endpoint)))
    }

    pub(crate) fn term(&self, term: &Term, endpoint: &Endpoint) -> Tri {
        match term {
            Term::Pods(selector) => match endpoint.kind {
                // Pods on their node's network are not pod peers (46); addresses outside never are (18).
                EndpointKind::Pod(pod) => expr(self.cluster, &Selected::Pod(pod), selector),
                EndpointKind::AnyPod => expr(self.cluster, &Selected::AnyPod, selector),
                EndpointKind::Node { .. } | EndpointKind::Outside => Tri::No,
            },
            Term::NotPods(selector) => match endpoint.kind {
                EndpointKind::Pod(pod) => expr(self.cluster, &Selected::Pod(pod), selector).not(),
                EndpointKind::AnyPod => expr(self.cluster, &Selected::AnyPod, selector).not(),
                EndpointKind::Node { .. } | EndpointKind::Outside => Tri::Yes,
            },
            Term::Cidr(blocks, scope) => {
                let classes = match scope {
                    CidrScope::IpBlock => self.choices.ip_block,
                    CidrScope::Classes(classes) => *classes,
                };
                self.class(classes, endpoint).and(|| any_block(blocks, endpoint))
            }
            Term::NotCidr(cidrs) => not_cidr(cidrs, endpoint),
            Term::Class(classes) => self.class(*classes, endpoint),
            Term::Nodes(selector) => self.nodes(selector, endpoint),
            Term::Service(triples) => {
                let (ip, protocol, port) = (endpoint.ip, self.flow.protocol, self.flow.port);
                triples.iter().any(|t| Some(t.0) == ip && t.1 == protocol && t.2 == port).into()
            }
            Term::Domains(patterns) => match (&self.flow.name, endpoint.kind) {
                (Some(name), EndpointKind::Outside) => patterns.iter().any(|p| p.matches(name)).into(),
                (None, EndpointKind::Outside) => Tri::Maybe(Reason::NameUnknown),
                _ => Tri::No,
            },
            Term::Unknown => Tri::No,
        }
    }

    /// The class of an endpoint as the subject sees it: two where it can't be told which node is meant.
    fn class(&self, wanted: Classes, endpoint: &Endpoint) -> Tri {
        let is = match endpoint.kind {
            EndpointKind::Pod(_) | EndpointKind::AnyPod => Classes::POD,
            EndpointKind::Outside => Classes::OUTSIDE,
            EndpointKind::Node { node, .. } => match (node, self.cluster.pods[self.subject.index()].node) {
                (Some(a), Some(b)) if a == b => Classes::OWN_NODE,
                (Some(_), Some(_)) => Classes::OTHER_NODE,
                _ => Classes::NODES,
            },
        };
        if is.0 & !wanted.0 == 0 {
            Tri::Yes
        } else if is.intersects(wanted) {
            Tri::Maybe(Reason::NodeUnknown)
        } else {
            Tri::No
        }
    }

    /// "It selects the nodeIPs as the peer type by matching on the IPs present in the node.Status.Addresses" (65).
    fn nodes(&self, selector: &Expr, endpoint: &Endpoint) -> Tri {
        let matching = |node: NodeId| expr(self.cluster, &Selected::Node(node), selector);
        match (endpoint.kind, endpoint.ip) {
            (EndpointKind::Pod(_) | EndpointKind::AnyPod, _) => Tri::No,
            (EndpointKind::Node { node: Some(node), .. }, _) => matching(node),
            (_, Some(ip)) => self.cluster.node_by_ip(ip).map_or(Tri::No, matching),
            (EndpointKind::Node { node: None, .. }, None) => match selector {
                Expr::Anything => Tri::Yes,
                _ => Tri::Maybe(Reason::NodeUnknown),
            },
            (EndpointKind::Outside, None) => Tri::No,
        }
    }

    fn l4(&self, l4: &L4) -> (Tri, Option<u32>) {
        let ports = match l4 {
            L4::Any => return (Tri::Yes, None),
            L4::OneOf(ports) => ports,
        };
        match ports.iter().find(|p| self.port(p)) {
            Some(port) => (Tri::Yes, Some(port.index)),
            None => (Tri::No, None),
        }
    }

    pub(crate) fn port(&self, port: &PortMatch) -> bool {
        let flow = self.flow;
        if port.protocol.is_some_and(|p| p != flow.protocol) {
            return false;
        }
        match &port.ports {
            Ports::All => true,
            Ports::Range(first, last) => {
                let last = if port.end_port && !self.choices.end_port { first } else { last };
                (*first..=*last).contains(&flow.port)
            }
            Ports::NotIn(ranges) => !ranges.iter().any(|(first, last)| (*first..=*last).contains(&flow.port)),
            // On the destination pod, in ingress too (23, 27), and the protocol must match (25).
            Ports::Named(name) => match flow.server.kind {
                EndpointKind::Pod(pod) => self.cluster.pods[pod.index()].ports.iter().any(|p| {
                    p.name.as_ref() == Some(name)
                        && p.number == flow.port
                        && p.protocol == flow.protocol
                        && (p.container != ContainerKind::Init || self.choices.init_container_ports)
                }),
                EndpointKind::Node { .. } | EndpointKind::AnyPod | EndpointKind::Outside => false,
            },
        }
    }
}

fn has_unknown(rule: &Rule) -> bool {
    [&rule.source, &rule.destination].into_iter().any(|m| match m {
        Match::Any => false,
        Match::OneOf(peers) => peers.iter().any(|p| p.terms.contains(&Term::Unknown)),
    })
}

fn any_block(blocks: &[Block], endpoint: &Endpoint) -> Tri {
    let mut result = Tri::No;
    for block in blocks {
        match self::block(block, endpoint) {
            Tri::Yes => return Tri::Yes,
            maybe @ Tri::Maybe(_) => result = maybe,
            Tri::No => {}
        }
    }
    result
}

pub(crate) fn block(block: &Block, endpoint: &Endpoint) -> Tri {
    match (endpoint.ip, endpoint.kind) {
        (Some(ip), _) => block.contains(ip).into(),
        // Pods without an address are judged by labels (48): of ranges, only one that holds every address matches.
        (None, EndpointKind::Pod(_) | EndpointKind::Node { .. }) => {
            (block.cidr.prefix_len() == 0 && block.cidr.addr().is_ipv4() && block.except.is_empty()).into()
        }
        // Its address may be any.
        (None, EndpointKind::AnyPod) if block.cidr.prefix_len() == 0 && block.except.is_empty() => Tri::Yes,
        (None, EndpointKind::AnyPod) => Tri::Maybe(Reason::PodUnknown),
        (None, EndpointKind::Outside) => somewhere_outside(block),
    }
}

/// An address that is only known to be outside, on the internet: whether a block holds all such addresses, none, or some.
fn somewhere_outside(block: &Block) -> Tri {
    let private = |net: &IpNet| reserved().iter().any(|r| r.contains(net));
    if private(&block.cidr) || !block.cidr.addr().is_ipv4() {
        Tri::No
    } else if block.cidr.prefix_len() == 0 && block.except.iter().all(private) {
        Tri::Yes
    } else {
        Tri::Maybe(Reason::AddressUnknown)
    }
}

/// Whether ranges, each from its first to its last address, in order and apart, hold every IPv4 address of the internet.
pub fn holds_the_internet(ranges: &[(IpAddr, IpAddr)]) -> bool {
    let v4 = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => Some(u64::from(u32::from(ip))),
        IpAddr::V6(_) => None,
    };
    let mut next = 0;
    let reaches = |mut from: u64, to: u64| {
        while from < to {
            let ip = IpAddr::V4((from as u32).into());
            let Some(range) = reserved().iter().find(|r| r.contains(&ip)) else { return false };
            from = v4(range.broadcast()).map_or(to, |last| last + 1);
        }
        true
    };
    for (first, last) in ranges.iter().filter_map(|(first, last)| Some((v4(*first)?, v4(*last)?))) {
        if !reaches(next, first) {
            return false;
        }
        next = last + 1;
    }
    reaches(next, 1 << 32)
}

/// Ranges that no host of the internet has (RFC 6890), IPv4.
fn reserved() -> &'static [IpNet] {
    use std::sync::OnceLock;
    static RANGES: OnceLock<Vec<IpNet>> = OnceLock::new();
    RANGES.get_or_init(|| {
        [
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
        ]
        .iter()
        .filter_map(|r| r.parse().ok())
        .collect()
    })
}

fn not_cidr(cidrs: &[IpNet], endpoint: &Endpoint) -> Tri {
    let Some(ip) = endpoint.ip else { return Tri::Maybe(Reason::AddressUnknown) };
    let family = cidrs.iter().any(|c| matches!((c, ip), (IpNet::V4(_), IpAddr::V4(_)) | (IpNet::V6(_), IpAddr::V6(_))));
    (family && !cidrs.iter().any(|c| c.contains(&ip))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_is_held_but_for_addresses_that_no_host_of_it_has() {
        let held = |ranges: &[(&str, &str)]| {
            let parsed: Vec<_> = ranges.iter().map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).collect();
            holds_the_internet(&parsed)
        };
        assert!(held(&[("0.0.0.0", "255.255.255.255")]));
        assert!(held(&[("1.0.0.0", "9.255.255.255"), ("11.0.0.0", "255.255.255.255")]));
        assert!(!held(&[("0.0.0.0", "9.255.255.255"), ("12.0.0.0", "255.255.255.255")]));
        assert!(!held(&[("0.0.0.0", "223.255.255.254")]));
        assert!(!held(&[("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]));
        assert!(!held(&[]));
    }
}
