//! A check as data: the verdict, the DNS leg, each endpoint with its decision, what stands in the way.

use std::net::IpAddr;

use super::{Decision, Endpoint, Outcome};
use crate::model::query::Client;
use crate::model::{NodeId, PodId, Protocol, ServiceId, ServicePort, Str};

/// The answer (DESIGN, "Verdicts").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Every endpoint the client may be sent to accepts it.
    Reachable,
    /// Policies stop it, at every endpoint.
    Blocked,
    /// Some endpoints accept it, some don't.
    Partial,
    /// No policy is at fault, it still can't work.
    Unreachable,
    /// The answer depends on something not known here.
    Unknown,
}

impl Verdict {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Blocked => "blocked",
            Self::Partial => "partial",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Allowed => Self::Reachable,
            Outcome::Denied => Self::Blocked,
            Outcome::Unknown => Self::Unknown,
        }
    }
}

/// Combines the verdicts of the endpoints that a client may be sent to: any open with any closed is partial; otherwise any
/// unknown is unknown (DESIGN, "Verdicts"). None without any.
pub fn combine(verdicts: impl IntoIterator<Item = Verdict>) -> Option<Verdict> {
    let (mut open, mut blocked, mut unreachable, mut unknown) = (false, false, false, false);
    for verdict in verdicts {
        match verdict {
            Verdict::Reachable => open = true,
            Verdict::Blocked => blocked = true,
            Verdict::Unreachable => unreachable = true,
            Verdict::Unknown => unknown = true,
            Verdict::Partial => (open, blocked) = (true, true),
        }
    }
    Some(match (open, blocked, unreachable, unknown) {
        (true, true, _, _) | (true, _, true, _) => Verdict::Partial,
        (_, _, _, true) => Verdict::Unknown,
        (true, ..) => Verdict::Reachable,
        (_, true, ..) => Verdict::Blocked,
        (_, _, true, _) => Verdict::Unreachable,
        _ => return None,
    })
}

/// Why a connection can't work whatever the policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The Service has no such port.
    NoSuchPort,
    /// Nothing stands behind the Service: its selector selects no pod, or it has no endpoints.
    NoEndpoints,
    /// Endpoints exist, none is ready: refused (39).
    NotReady,
    /// `internalTrafficPolicy: Local` and no endpoint on the client's node: dropped, which looks like a policy (39, 41).
    NoLocalEndpoint(NodeId),
    /// No container of the pod declares a port of this name.
    NoNamedPort(Str),
    /// The pod has finished: its address belongs to nobody (47).
    Finished,
    /// A ClusterIP has no meaning outside the cluster.
    ClusterIpFromOutside,
    /// The load balancer doesn't let the client in.
    NotLetIn,
    /// The client and the target share no IP family.
    NoCommonFamily,
    /// A headless Service without a name, or an ExternalName, has no port to ask for.
    PortByName,
}

/// One endpoint of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointCheck {
    /// The client, with the address it uses towards this endpoint.
    pub client: Endpoint,
    /// The endpoint.
    pub server: Endpoint,
    /// The pod behind it, hostNetwork pods included.
    pub pod: Option<PodId>,
    /// The port on it.
    pub port: Option<u16>,
    /// Ready.
    pub ready: bool,
    /// Being deleted.
    pub terminating: bool,
    /// Whether the client may be sent to it.
    pub counted: bool,
    /// What the policies say; none where there is no port to ask about.
    pub decision: Option<Decision>,
    /// Why it can't work.
    pub obstacle: Option<Obstacle>,
    /// The answer for this endpoint.
    pub verdict: Verdict,
    /// The answer depends on whether the nodes keep the client's address (40).
    pub source_may_change: bool,
    /// The answer depends on whether the load balancer lets the client in.
    pub may_not_be_let_in: bool,
}

/// The DNS leg of a check by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsLeg {
    /// The answer for UDP, which decides.
    pub verdict: Verdict,
    /// The DNS servers, by UDP.
    pub endpoints: Vec<EndpointCheck>,
    /// The answer for TCP: where it is blocked, truncated answers are lost.
    pub tcp: Verdict,
    /// Whether the DNS pods were assumed.
    pub assumed: bool,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The pod that connects, where it is one.
    pub client: Option<PodId>,
    /// Protocol.
    pub protocol: Protocol,
    /// The Service that was dialled.
    pub service: Option<ServiceId>,
    /// The Service's port that was dialled.
    pub service_port: Option<ServicePort>,
    /// The name that was dialled outside the cluster.
    pub external_name: Option<Str>,
    /// The DNS leg, where a name was dialled.
    pub dns: Option<DnsLeg>,
    /// Endpoints.
    pub endpoints: Vec<EndpointCheck>,
    /// Why it can't work at all.
    pub obstacle: Option<Obstacle>,
    /// The answer.
    pub verdict: Verdict,
}

/// How a check is done.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// Whether a target given by name has a DNS leg.
    pub dns: bool,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { dns: true }
    }
}

/// What connects: one of the pods of a [`Client`], or a client that isn't a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A pod.
    Pod(PodId),
    /// A node.
    Node(NodeId),
    /// An address that no object has.
    Address(IpAddr),
    /// Anywhere on the internet.
    Internet,
}

impl Source {
    /// Every source a client stands for.
    pub fn of(client: &Client) -> Vec<Self> {
        match client {
            Client::Pods(pods) => pods.iter().copied().map(Self::Pod).collect(),
            Client::Node(node) => vec![Self::Node(*node)],
            Client::Address(ip) => vec![Self::Address(*ip)],
            Client::Internet => vec![Self::Internet],
        }
    }
}
