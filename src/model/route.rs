//! Ways in from outside the cluster: Ingresses and the routes of Gateways, with the Services they lead to.
//!
//! What an Ingress or a route names is resolved here; who carries its traffic (an Ingress controller's pods, a Gateway's
//! proxies) no object says, and is for `analysis` to find out.

use super::{NamespaceId, ServiceId, Str};
use crate::source::{FieldPath, Origin};

/// What leads to a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// networking.k8s.io Ingress.
    Ingress,
    /// Gateway API HTTPRoute.
    Http,
    /// Gateway API GRPCRoute.
    Grpc,
    /// Gateway API TLSRoute.
    Tls,
    /// Gateway API TCPRoute.
    Tcp,
    /// Gateway API UDPRoute.
    Udp,
}

impl RouteKind {
    /// Its kind as objects spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
            Self::Tls => "TLSRoute",
            Self::Tcp => "TCPRoute",
            Self::Udp => "UDPRoute",
        }
    }
}

/// An Ingress, or a route of the Gateway API.
#[derive(Clone, Debug)]
pub struct Route {
    /// Kind.
    pub kind: RouteKind,
    /// Namespace.
    pub namespace: NamespaceId,
    /// Name.
    pub name: Str,
    /// Where it was read.
    pub origin: Origin,
    /// What carries it; none means nothing does.
    pub doors: Vec<Door>,
    /// Where it leads.
    pub backends: Vec<RouteBackend>,
}

/// What carries a route: an IngressClass, or a Gateway that takes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// An Ingress's class: its name, where one is given or one is the default, and its controller, where its IngressClass is
    /// known.
    Class(Option<Str>, Option<Str>),
    /// An index of [`Cluster::gateways`](super::Cluster::gateways).
    Gateway(u32),
    /// A parent that isn't among the objects: `namespace/name`.
    Missing(Str),
    /// A Gateway that doesn't take the route: `namespace/name`, and why.
    Closed(Str, &'static str),
}

/// A Service that a route leads to.
#[derive(Clone, Debug)]
pub struct RouteBackend {
    /// Its namespace, as named.
    pub namespace: Str,
    /// Its name.
    pub name: Str,
    /// The Service; none where it isn't among the objects.
    pub service: Option<ServiceId>,
    /// Its port, by number or by name; neither where a route gives none.
    pub port: (Option<u16>, Option<Str>),
    /// Whether the route may name it: a Service of another namespace only where a ReferenceGrant there says so.
    pub granted: bool,
    /// Where it is named.
    pub path: FieldPath,
}

/// A Gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Namespace.
    pub namespace: NamespaceId,
    /// Name.
    pub name: Str,
    /// Its GatewayClass.
    pub class: Str,
    /// The controller of the class, where it is known.
    pub controller: Option<Str>,
}
