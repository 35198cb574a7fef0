//! What a change of policies opens and closes, as data: rectangles of clients × servers × ports.

use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::{Cluster, NodeId, PodId, PortSet, Protocol, TargetPort};
use crate::reach::Endpoint;
use crate::reach::eval::EndpointKind;
use crate::reach::matching::holds_the_internet;

/// One side of a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Pods of one workload, or one pod; hostNetwork pods included.
    Pods(Vec<PodId>),
    /// Nodes.
    Nodes(Vec<NodeId>),
    /// Addresses outside the cluster, as ranges from the first to the last.
    Outside(Vec<(IpAddr, IpAddr)>),
}

/// Connections that a change opens or closes: every client to every server on every port, but for a pod to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The side that connects.
    pub client: Side,
    /// The side that is connected to.
    pub server: Side,
    /// Ports of each protocol.
    pub ports: Vec<(Protocol, PortSet)>,
    /// Whether all of it was asked for.
    pub asked: bool,
}

/// Everything that a change opens and closes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Opened.
    pub opened: Vec<Change>,
    /// Closed.
    pub closed: Vec<Change>,
    /// Whether the comparison was cut short: there were too many pairs.
    pub cut_short: bool,
}

/// A connection that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    /// Whether the server was given as a DNS name outside the cluster, so that no range of addresses is just that.
    pub(super) named: bool,
}

impl Effects {
    /// How many pairs are opened beyond what was asked for, as a measure.
    pub(super) fn opened_pairs(&self) -> usize {
        self.opened.iter().filter(|c| !c.asked).map(|c| c.client.size() * c.server.size()).sum()
    }

    /// Whether something is closed on a port that a server listens on, as far as that is known: a pod that declares ports
    /// listens on those and on the ones that Services lead to.
    pub(super) fn closes_what_listens(&self, cluster: &Cluster) -> bool {
        self.closed.iter().any(|change| match &change.server {
            Side::Pods(pods) => pods.iter().any(|id| {
                let pod = &cluster.pods[id.index()];
                if pod.ports.is_empty() {
                    return true;
                }
                let has = |protocol, port| change.ports.iter().any(|(p, set)| *p == protocol && set.contains(port));
                let range = cluster.namespaces[pod.namespace.index()].services.clone();
                let services = &cluster.services[range.start as usize..range.end as usize];
                let led_to = |s: &crate::model::Service| {
                    s.selector.as_ref().is_some_and(|selector| pod.labels.contains_all(selector))
                        && s.ports.iter().any(|p| match p.target {
                            TargetPort::Number(number) => has(p.protocol, number),
                            TargetPort::Name(_) => false,
                        })
                };
                pod.ports.iter().any(|p| has(p.protocol, p.number)) || services.iter().any(led_to)
            }),
            Side::Nodes(_) | Side::Outside(_) => true,
        })
    }
}

impl Side {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Pods(pods) => pods.len(),
            Self::Nodes(nodes) => nodes.len(),
            // More than a few hosts weigh as much as a large workload.
            Self::Outside(ranges) => {
                let count = |(first, last): &(IpAddr, IpAddr)| number(*last).saturating_sub(number(*first)).min(100);
                ranges.iter().map(|r| count(r) as usize + 1).sum()
            }
        }
    }

    /// Whether an endpoint is on this side.
    pub fn contains(&self, endpoint: &Endpoint) -> bool {
        match (self, endpoint.kind, endpoint.ip) {
            (Self::Pods(pods), EndpointKind::Pod(pod) | EndpointKind::Node { pod: Some(pod), .. }, _) => {
                pods.contains(&pod)
            }
            (Self::Nodes(nodes), EndpointKind::Node { node: Some(node), pod: None }, _) => nodes.contains(&node),
            (Self::Outside(ranges), EndpointKind::Outside, Some(ip)) => ranges.iter().any(|r| within(*r, ip)),
            _ => false,
        }
    }

    /// What people call it: `shop/frontend (3 pods)`.
    pub fn name(&self, cluster: &Cluster) -> String {
        let more = |first: String, count: usize, what: &str| match count {
            0 | 1 => first,
            _ => format!("{first} ({count} {what})"),
        };
        match self {
            Self::Pods(pods) => {
                let Some(first) = pods.first() else { return "no pod".to_owned() };
                let pod = &cluster.pods[first.index()];
                let namespace = &cluster.namespaces[pod.namespace.index()].name;
                match &pod.workload {
                    Some(workload) if pods.len() > 1 => {
                        more(format!("{namespace}/{}", workload.name), pods.len(), "pods")
                    }
                    _ => more(cluster.pod_name(*first), pods.len(), "pods"),
                }
            }
            Self::Nodes(nodes) => {
                let Some(first) = nodes.first() else { return "no node".to_owned() };
                more(format!("node {}", cluster.nodes[first.index()].name), nodes.len(), "nodes")
            }
            Self::Outside(ranges) if holds_the_internet(ranges) => "the internet".to_owned(),
            Self::Outside(ranges) => {
                let mut nets = ranges.iter().flat_map(|r| nets(*r));
                let first: Vec<String> = nets.by_ref().take(3).map(|n| n.to_string()).collect();
                match nets.count() {
                    0 => first.join(", "),
                    more => format!("{} and {more} more ranges", first.join(", ")),
                }
            }
        }
    }
}

impl Change {
    /// `shop/frontend → shop/cart (2 pods) TCP 8080`.
    pub fn summary(&self, cluster: &Cluster) -> String {
        let mut out = format!("{} → {}", self.client.name(cluster), self.server.name(cluster));
        if self.ports.len() == Protocol::WITH_PORTS.len() && self.ports.iter().all(|(_, p)| p.is_all()) {
            out.push_str(" on every port");
            return out;
        }
        for (index, (protocol, ports)) in self.ports.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a String never fails.
            let _ = match ports.is_all() {
                true => write!(out, "{comma} {protocol}"),
                false => write!(out, "{comma} {protocol} {ports}"),
            };
        }
        out
    }
}

/// Whether every pair and port of a change was asked for.
pub(super) fn is_asked(cluster: &Cluster, change: &Change, asked: &[Asked]) -> bool {
    let ends = |side: &Side| -> Vec<Endpoint> {
        match side {
            Side::Pods(pods) => pods.iter().map(|p| Endpoint::pod(cluster, *p, false)).collect(),
            Side::Nodes(nodes) => nodes.iter().map(|n| Endpoint::node(cluster, *n, false)).collect(),
            Side::Outside(ranges) => ranges
                .iter()
                .map(|(a, b)| Endpoint { kind: EndpointKind::Outside, ip: (a == b).then_some(*a) })
                .collect(),
        }
    };
    let same = |asked: &Endpoint, end: &Endpoint| match asked.kind {
        // "The internet" was asked for: every address of it.
        EndpointKind::Outside => end.kind == asked.kind && (asked.ip.is_none() || asked.ip == end.ip),
        kind => kind == end.kind,
    };
    let (clients, servers) = (ends(&change.client), ends(&change.server));
    change.ports.iter().all(|(protocol, ports)| {
        let [(port, last)] = ports.intervals() else { return false };
        port == last
            && clients.iter().all(|c| {
                servers.iter().all(|s| {
                    let this = |a: &Asked| {
                        let ends = same(&a.client, c) && same(&a.server, s);
                        a.protocol == *protocol && a.port == *port && ends && !a.named
                    };
                    asked.iter().any(this)
                })
            })
    })
}

pub(super) fn join(into: &mut Side, more: Side) {
    match (into, more) {
        (Side::Pods(a), Side::Pods(b)) => {
            a.extend(b);
            a.sort_unstable();
            a.dedup();
        }
        (Side::Nodes(a), Side::Nodes(b)) => {
            a.extend(b);
            a.sort_unstable();
            a.dedup();
        }
        (Side::Outside(a), Side::Outside(b)) => {
            a.extend(b);
            a.sort_unstable();
            let mut out: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(a.len());
            for (first, last) in a.drain(..) {
                match out.last_mut() {
                    Some((from, to))
                        if from.is_ipv6() == first.is_ipv6() && number(*to).checked_add(1) == Some(number(first)) =>
                    {
                        *to = last;
                    }
                    _ => out.push((first, last)),
                }
            }
            *a = out;
        }
        // Groups keep the kinds apart.
        _ => {}
    }
}

pub(super) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

fn within((first, last): (IpAddr, IpAddr), ip: IpAddr) -> bool {
    first.is_ipv6() == ip.is_ipv6() && (number(first)..=number(last)).contains(&number(ip))
}

fn nets((first, last): (IpAddr, IpAddr)) -> Vec<IpNet> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => ipnet::Ipv4Subnets::new(first, last, 0).map(IpNet::from).collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => ipnet::Ipv6Subnets::new(first, last, 0).map(IpNet::from).collect(),
        _ => Vec::new(),
    }
}
