//! Ways in from outside the cluster, as they are written: Ingress and the Gateway API, cut down to who leads where.
//!
//! Sources: the API reference of networking.k8s.io/v1 (and of v1beta1, whose backends are written otherwise), and the
//! Gateway API v1.4 with its experimental routes. What leads where is worked out in `model`.

use serde::Deserialize;

use super::{IntOrString, LabelSelector, Metadata, null_as_default};

/// An Ingress, IngressClass, Gateway, GatewayClass, ReferenceGrant or a route; `kind` tells which of the fields it has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Routing {
    /// Kind.
    pub kind: String,
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: RoutingSpec,
}

/// `spec`, of any of the kinds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoutingSpec {
    /// Of an Ingress: its IngressClass.
    #[serde(deserialize_with = "null_as_default")]
    pub ingress_class_name: String,
    /// Of an Ingress: where everything else goes.
    pub default_backend: Option<IngressBackend>,
    /// The same, in v1beta1.
    pub backend: Option<IngressBackend>,
    /// Of an Ingress and of a route.
    #[serde(deserialize_with = "null_as_default")]
    pub rules: Vec<RoutingRule>,
    /// Of an IngressClass: the name of its controller.
    #[serde(deserialize_with = "null_as_default")]
    pub controller: String,
    /// Of a GatewayClass: the name of its controller.
    #[serde(deserialize_with = "null_as_default")]
    pub controller_name: String,
    /// Of a Gateway: its GatewayClass.
    #[serde(deserialize_with = "null_as_default")]
    pub gateway_class_name: String,
    /// Of a Gateway.
    #[serde(deserialize_with = "null_as_default")]
    pub listeners: Vec<Listener>,
    /// Of a route: the Gateways that carry it.
    #[serde(deserialize_with = "null_as_default")]
    pub parent_refs: Vec<Reference>,
    /// Of a route: the hosts it is for.
    #[serde(deserialize_with = "null_as_default")]
    pub hostnames: Vec<String>,
    /// Of a ReferenceGrant: who may refer.
    #[serde(deserialize_with = "null_as_default")]
    pub from: Vec<Reference>,
    /// Of a ReferenceGrant: to what.
    #[serde(deserialize_with = "null_as_default")]
    pub to: Vec<Reference>,
}

/// A rule of an Ingress or of a route.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoutingRule {
    /// Of an Ingress: the host.
    #[serde(deserialize_with = "null_as_default")]
    pub host: String,
    /// Of an Ingress.
    pub http: Option<IngressPaths>,
    /// Of a route.
    #[serde(deserialize_with = "null_as_default")]
    pub backend_refs: Vec<Reference>,
}

/// `http` of a rule of an Ingress.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IngressPaths {
    /// Paths.
    #[serde(deserialize_with = "null_as_default")]
    pub paths: Vec<IngressPath>,
}

/// A path of an Ingress.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IngressPath {
    /// Where it leads.
    #[serde(deserialize_with = "null_as_default")]
    pub backend: IngressBackend,
}

/// Where an Ingress leads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressBackend {
    /// A Service.
    pub service: Option<IngressService>,
    /// The Service, in v1beta1.
    #[serde(deserialize_with = "null_as_default")]
    pub service_name: String,
    /// Its port, in v1beta1.
    pub service_port: Option<IntOrString>,
}

/// A Service and its port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IngressService {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Port.
    #[serde(deserialize_with = "null_as_default")]
    pub port: IngressPort,
}

/// A port of a Service, by number or by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IngressPort {
    /// Number.
    #[serde(deserialize_with = "null_as_default")]
    pub number: i64,
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
}

/// A reference of the Gateway API to another object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reference {
    /// API group; missing means that of the usual kind.
    pub group: Option<String>,
    /// Kind; missing means the usual one.
    pub kind: Option<String>,
    /// Namespace; missing means the object's own.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Port.
    pub port: Option<i64>,
    /// Of a parent: one listener of it.
    #[serde(deserialize_with = "null_as_default")]
    pub section_name: String,
    /// Of a backend: its share of the traffic; missing means 1.
    pub weight: Option<i64>,
}

/// A listener of a Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Listener {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// The host it is for; empty for every host.
    #[serde(deserialize_with = "null_as_default")]
    pub hostname: String,
    /// Port.
    #[serde(deserialize_with = "null_as_default")]
    pub port: i64,
    /// `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP`.
    #[serde(deserialize_with = "null_as_default")]
    pub protocol: String,
    /// Which routes it takes.
    #[serde(deserialize_with = "null_as_default")]
    pub allowed_routes: AllowedRoutes,
}

/// `allowedRoutes` of a listener.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    /// Of which namespaces.
    #[serde(deserialize_with = "null_as_default")]
    pub namespaces: RouteNamespaces,
    /// Of which kinds; empty for those of the protocol.
    #[serde(deserialize_with = "null_as_default")]
    pub kinds: Vec<Reference>,
}

/// `namespaces` of `allowedRoutes`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RouteNamespaces {
    /// `Same` where missing, `All`, `Selector`, `None`.
    #[serde(deserialize_with = "null_as_default")]
    pub from: String,
    /// With `Selector`.
    pub selector: Option<LabelSelector>,
}
