//! Services and what stands behind them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Cluster, Labels, NamespaceId, NodeId, Phase, PodId, Protocol, ServiceId, Str};
use crate::source::Origin;

/// `spec.type` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// `ClusterIP`.
    ClusterIp,
    /// `NodePort`.
    NodePort,
    /// `LoadBalancer`.
    LoadBalancer,
    /// `ExternalName`.
    ExternalName,
}

/// `targetPort` of a Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// A number.
    Number(u16),
    /// A name, resolved on each pod.
    Name(Str),
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Name; empty where it has none.
    pub name: Str,
    /// Number.
    pub number: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Port on the pods.
    pub target: TargetPort,
    /// Port on every node.
    pub node_port: Option<u16>,
}

/// Where a Service's endpoints are known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointSource {
    /// EndpointSlices.
    Slices,
    /// Endpoints.
    Endpoints,
    /// Worked out from the selector.
    Selector,
    /// No selector and no endpoint objects.
    None,
}

/// An endpoint that an EndpointSlice or Endpoints object names.
#[derive(Clone, Debug)]
pub struct ServiceEndpoint {
    /// Its address.
    pub address: IpAddr,
    /// The pod behind it.
    pub pod: Option<PodId>,
    /// The node it runs on.
    pub node: Option<NodeId>,
    /// Ready for traffic.
    pub ready: bool,
    /// Able to serve, even while terminating.
    pub serving: bool,
    /// Being deleted.
    pub terminating: bool,
    /// Ports: the Service port's name, protocol, number; no number means all.
    pub ports: Vec<(Str, Protocol, Option<u16>)>,
}

/// A Service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Namespace.
    pub namespace: NamespaceId,
    /// Name.
    pub name: Str,
    /// Type.
    pub kind: ServiceKind,
    /// Virtual addresses; empty for a headless Service and where none was assigned yet.
    pub cluster_ips: Vec<IpAddr>,
    /// `clusterIP: None`.
    pub headless: bool,
    /// `externalIPs` and load balancer addresses.
    pub external_ips: Vec<IpAddr>,
    /// Those of them that no load balancer stands before: `externalIPs`, which others route to the nodes.
    pub routed_ips: Vec<IpAddr>,
    /// Names of its load balancers.
    pub hostnames: Vec<Str>,
    /// The name an ExternalName Service stands for.
    pub external_name: Option<Str>,
    /// Pods behind it; none means endpoints are managed by hand.
    pub selector: Option<Labels>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// Whether pods that are not ready count too.
    pub publish_not_ready: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `loadBalancerSourceRanges`: clients that its load balancer lets in; empty for all.
    pub source_ranges: Vec<IpNet>,
    /// Whether its load balancer is one of the provider's own network, not of the internet.
    pub internal_balancer: bool,
    /// Where the endpoints are known from.
    pub endpoint_source: EndpointSource,
    /// Endpoints named by slices or Endpoints.
    pub endpoints: Vec<ServiceEndpoint>,
    /// Whether it is the cluster's DNS.
    pub is_dns: bool,
    /// Where it was read; none where it is assumed to exist.
    pub origin: Option<Origin>,
}

/// One endpoint of one Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The pod behind it; none for an address that no pod has.
    pub pod: Option<PodId>,
    /// Its address; none for a pod that has none yet.
    pub address: Option<IpAddr>,
    /// The node it runs on.
    pub node: Option<NodeId>,
    /// The port on it; none where the name of the target port is declared by none of the pod's containers.
    pub port: Option<u16>,
    /// Whether it gets traffic: ready and not terminating, or `publishNotReadyAddresses` (SEMANTICS 38).
    pub serving: bool,
    /// Ready; while terminating, able to serve where nothing better is left.
    pub ready: bool,
    /// Being deleted.
    pub terminating: bool,
}

impl Service {
    /// The port of this number or name and protocol.
    pub fn port(&self, number: Option<u16>, name: Option<&str>, protocol: Protocol) -> Option<&ServicePort> {
        self.ports.iter().find(|p| {
            p.protocol == protocol && number.is_none_or(|n| n == p.number) && name.is_none_or(|n| &*p.name == n)
        })
    }
}

/// Whom the way in from outside to a Service lets in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody.
    Internet,
    /// These addresses.
    Ranges(Vec<IpNet>),
    /// The network of the provider or of the company.
    Internal,
}

impl Audience {
    /// Whether a client outside the cluster is let in, one of an address that isn't known where there is none. None where it
    /// can't be told.
    pub fn lets_in(&self, client: Option<IpAddr>) -> Option<bool> {
        match (self, client) {
            (Self::Internet, _) => Some(true),
            (Self::Ranges(ranges), Some(ip)) => Some(ranges.iter().any(|r| r.contains(&ip))),
            // Everybody, written as a range.
            (Self::Ranges(ranges), None) => ranges.iter().any(|r| r.prefix_len() == 0).then_some(true),
            // Whether a private address has a way there is a matter of routes, not of the Service.
            (Self::Internal, Some(ip)) => Some(private_ranges().any(|r| r.contains(&ip))),
            (Self::Internal, None) => Some(false),
        }
    }
}

/// Private ranges (RFC 1918, RFC 6598, RFC 4193).
pub fn private_ranges() -> impl Iterator<Item = IpNet> {
    const PRIVATE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
    PRIVATE.iter().filter_map(|r| r.parse().ok())
}

impl Service {
    /// Whom its load balancer lets in, where it has one.
    pub fn audience(&self) -> Audience {
        match self.kind {
            ServiceKind::LoadBalancer if !self.source_ranges.is_empty() => Audience::Ranges(self.source_ranges.clone()),
            ServiceKind::LoadBalancer if self.internal_balancer => Audience::Internal,
            _ => Audience::Internet,
        }
    }

    /// Whom it lets in at an address of its own, or at any of them: `loadBalancerSourceRanges` bind the load balancer's
    /// addresses alone (kube-proxy writes them for `status.loadBalancer`, not for `externalIPs`).
    pub fn audience_at(&self, address: Option<IpAddr>) -> Audience {
        let routed = match address {
            Some(address) => self.routed_ips.contains(&address),
            None => !self.routed_ips.is_empty(),
        };
        if routed { Audience::Internet } else { self.audience() }
    }
}

impl Cluster {
    /// The Services of the cluster's DNS, assumed ones included.
    pub fn dns_services(&self) -> Vec<ServiceId> {
        self.services.iter().enumerate().filter(|(_, s)| s.is_dns).map(|(i, _)| ServiceId(i as u32)).collect()
    }

    /// The endpoints of a Service port, ready or not, in the order of pods and addresses.
    ///
    /// EndpointSlices go before Endpoints, these before the selector (SEMANTICS 37). Finished pods are left out (47).
    pub fn backends(&self, service: ServiceId, port: &ServicePort) -> Vec<Backend> {
        let service = &self.services[service.index()];
        let mut out = match service.endpoint_source {
            EndpointSource::Slices | EndpointSource::Endpoints => Self::listed_backends(service, port),
            EndpointSource::Selector => self.selected_backends(service, port),
            EndpointSource::None => Vec::new(),
        };
        out.sort_by_key(|b| (b.pod, b.address));
        out.dedup();
        out
    }

    fn listed_backends(service: &Service, port: &ServicePort) -> Vec<Backend> {
        let mut out = Vec::new();
        for endpoint in &service.endpoints {
            let found =
                endpoint.ports.iter().find(|(name, protocol, _)| *name == port.name && *protocol == port.protocol);
            let number = match found {
                Some((_, _, number)) => number.or(Some(port.number)),
                // The name of a headless Service resolves to every address, whatever ports are listed with it.
                None if service.headless => None,
                None => continue,
            };
            out.push(Backend {
                pod: endpoint.pod,
                address: Some(endpoint.address),
                node: endpoint.node,
                port: number,
                serving: (endpoint.ready && !endpoint.terminating) || service.publish_not_ready,
                ready: if endpoint.terminating { endpoint.serving } else { endpoint.ready },
                terminating: endpoint.terminating,
            });
        }
        out
    }

    fn selected_backends(&self, service: &Service, port: &ServicePort) -> Vec<Backend> {
        let mut out = Vec::new();
        let Some(selector) = &service.selector else { return out };
        for id in self.pods_of(service.namespace) {
            let pod = &self.pods[id.index()];
            if pod.phase == Phase::Finished || !pod.labels.contains_all(selector) {
                continue;
            }
            let number = match &port.target {
                TargetPort::Number(number) => Some(*number),
                TargetPort::Name(name) => pod.named_ports(name).find(|p| p.protocol == port.protocol).map(|p| p.number),
            };
            let addresses: Vec<Option<IpAddr>> =
                if pod.ips.is_empty() { vec![None] } else { pod.ips.iter().copied().map(Some).collect() };
            for address in addresses {
                out.push(Backend {
                    pod: Some(id),
                    address,
                    node: pod.node,
                    port: number,
                    serving: (pod.ready && !pod.terminating) || service.publish_not_ready,
                    ready: pod.ready,
                    terminating: pod.terminating,
                });
            }
        }
        out
    }
}
