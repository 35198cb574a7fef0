//! Which kinds take part, by API group, version and kind; and a value of such a kind as a typed object.

use serde::Deserialize;

use super::wire::{Object, Workload};

/// What an object is to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// core/v1 Namespace.
    Namespace,
    /// core/v1 Node.
    Node,
    /// core/v1 Pod.
    Pod,
    /// A kind with a pod template.
    Workload,
    /// core/v1 Service.
    Service,
    /// discovery.k8s.io EndpointSlice.
    EndpointSlice,
    /// core/v1 Endpoints.
    Endpoints,
    /// A way in from outside: networking.k8s.io Ingress and IngressClass, the kinds of gateway.networking.k8s.io.
    Routing {
        /// Whether it lives in a namespace.
        namespaced: bool,
    },
    /// networking.k8s.io/v1 NetworkPolicy.
    NetworkPolicy,
    /// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy.
    ClusterNetworkPolicy,
    /// policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy.
    AdminNetworkPolicy,
    /// policy.networking.k8s.io/v1alpha1 BaselineAdminNetworkPolicy.
    BaselineAdminNetworkPolicy,
    /// A policy of another system; whether it lives in a namespace.
    ForeignPolicy {
        /// Whether it lives in a namespace.
        namespaced: bool,
    },
    /// core/v1 Secret: skipped, and never kept or shown.
    Secret,
    /// Takes no part.
    Other,
}

impl Kind {
    /// Whether its objects decide who reaches whom.
    pub fn is_policy(self) -> bool {
        matches!(
            self,
            Self::NetworkPolicy
                | Self::ClusterNetworkPolicy
                | Self::AdminNetworkPolicy
                | Self::BaselineAdminNetworkPolicy
                | Self::ForeignPolicy { .. }
        )
    }

    /// Whether its objects live in a namespace.
    pub fn namespaced(self) -> bool {
        match self {
            Self::Pod
            | Self::Workload
            | Self::Service
            | Self::EndpointSlice
            | Self::Endpoints
            | Self::NetworkPolicy => true,
            Self::ForeignPolicy { namespaced } | Self::Routing { namespaced } => namespaced,
            _ => false,
        }
    }
}

impl Kind {
    /// Whether diagnostics point into its objects, so that their text is worth keeping.
    pub fn decides(self) -> bool {
        !matches!(self, Self::Pod | Self::Workload | Self::Node | Self::EndpointSlice | Self::Endpoints)
    }
}

/// The kind of an object, or the message of the API server that has no such kind.
pub fn classify(api_version: &str, kind: &str) -> Result<Kind, String> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let known = match (group, version, kind) {
        ("", "v1", "Namespace") => Kind::Namespace,
        ("", "v1", "Node") => Kind::Node,
        ("", "v1", "Pod") => Kind::Pod,
        ("", "v1", "Service") => Kind::Service,
        ("", "v1", "Endpoints") => Kind::Endpoints,
        ("", "v1", "Secret") => Kind::Secret,
        ("", "v1", "ReplicationController")
        | ("apps", "v1" | "v1beta1" | "v1beta2", "Deployment" | "StatefulSet")
        | ("apps", "v1" | "v1beta2", "ReplicaSet" | "DaemonSet")
        | ("extensions", "v1beta1", "Deployment" | "ReplicaSet" | "DaemonSet")
        | ("batch", "v1", "Job" | "CronJob")
        | ("batch", "v1beta1" | "v2alpha1", "CronJob") => Kind::Workload,
        ("discovery.k8s.io", "v1" | "v1beta1", "EndpointSlice") => Kind::EndpointSlice,
        ("networking.k8s.io", "v1", "NetworkPolicy") | ("extensions", "v1beta1", "NetworkPolicy") => {
            Kind::NetworkPolicy
        }
        ("networking.k8s.io", "v1" | "v1beta1", "Ingress") | ("extensions", "v1beta1", "Ingress") => {
            Kind::Routing { namespaced: true }
        }
        ("networking.k8s.io", "v1" | "v1beta1", "IngressClass") => Kind::Routing { namespaced: false },
        ("gateway.networking.k8s.io", _, "GatewayClass") => Kind::Routing { namespaced: false },
        (
            "gateway.networking.k8s.io",
            _,
            "Gateway" | "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute" | "ReferenceGrant",
        ) => Kind::Routing { namespaced: true },
        ("policy.networking.k8s.io", "v1alpha2", "ClusterNetworkPolicy") => Kind::ClusterNetworkPolicy,
        ("policy.networking.k8s.io", "v1alpha1", "AdminNetworkPolicy") => Kind::AdminNetworkPolicy,
        ("policy.networking.k8s.io", "v1alpha1", "BaselineAdminNetworkPolicy") => Kind::BaselineAdminNetworkPolicy,
        _ => match foreign(group, kind) {
            Some(namespaced) => Kind::ForeignPolicy { namespaced },
            None => Kind::Other,
        },
    };
    if known == Kind::Other && wrong_version(group, version, kind) {
        return Err(format!("no matches for kind \"{kind}\" in version \"{api_version}\""));
    }
    Ok(known)
}

/// Whether a kind is a policy that matters to verdicts: none if not, else whether it can be evaluated in this version.
pub fn policy_scope(group: &str, version: &str, kind: &str) -> Option<bool> {
    match classify(&format!("{group}/{version}"), kind) {
        Ok(
            Kind::NetworkPolicy
            | Kind::ClusterNetworkPolicy
            | Kind::AdminNetworkPolicy
            | Kind::BaselineAdminNetworkPolicy,
        ) => Some(true),
        Ok(Kind::ForeignPolicy { .. }) => Some(false),
        _ => None,
    }
}

/// Whether a kind leads in from outside.
pub fn is_routing(group: &str, version: &str, kind: &str) -> bool {
    matches!(classify(&format!("{group}/{version}"), kind), Ok(Kind::Routing { .. }))
}

/// The version to write for a kind that takes part.
pub fn expected_version(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Namespace" | "Node" | "Pod" | "Service" | "Endpoints" | "Secret" | "ReplicationController" => "v1",
        "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet" => "apps/v1",
        "Job" | "CronJob" => "batch/v1",
        "EndpointSlice" => "discovery.k8s.io/v1",
        "NetworkPolicy" => "networking.k8s.io/v1",
        "ClusterNetworkPolicy" => "policy.networking.k8s.io/v1alpha2",
        "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" => "policy.networking.k8s.io/v1alpha1",
        _ => return None,
    })
}

/// A kind of Kubernetes itself under a group or version that doesn't serve it. A policy that is passed over for a slip
/// in `apiVersion` would make every verdict wrong. Other groups own their kinds, whatever they call them.
fn wrong_version(group: &str, version: &str, kind: &str) -> bool {
    let Some(expected) = expected_version(kind) else { return false };
    match group {
        "" | "apps" | "batch" | "extensions" | "discovery.k8s.io" | "networking.k8s.io" => true,
        "policy.networking.k8s.io" => expected.starts_with(group) && matches!(version, "v1alpha1" | "v1alpha2"),
        _ => false,
    }
}

/// Policy kinds of other systems, and whether they live in a namespace.
///
/// Kinds that only hold data for policies (Calico's NetworkSet, Antrea's Group) change no verdict by themselves, and a
/// policy that refers to them is here; so they are not. Tiers are: their default action decides.
fn foreign(group: &str, kind: &str) -> Option<bool> {
    match (group, kind) {
        ("cilium.io", "CiliumNetworkPolicy") => Some(true),
        ("cilium.io", "CiliumClusterwideNetworkPolicy") => Some(false),
        ("projectcalico.org" | "crd.projectcalico.org", "NetworkPolicy") => Some(true),
        ("projectcalico.org" | "crd.projectcalico.org", "GlobalNetworkPolicy") => Some(false),
        ("crd.antrea.io", "NetworkPolicy" | "AntreaNetworkPolicy") => Some(true),
        ("crd.antrea.io", "ClusterNetworkPolicy" | "AntreaClusterNetworkPolicy") => Some(false),
        ("security.istio.io", "AuthorizationPolicy" | "PeerAuthentication") => Some(true),
        ("policy.linkerd.io", "Server" | "ServerAuthorization" | "AuthorizationPolicy" | "EgressNetwork") => Some(true),
        ("k8s.ovn.org", "EgressFirewall") => Some(true),
        ("networking.k8s.aws", "PolicyEndpoint" | "ApplicationNetworkPolicy") => Some(true),
        ("networking.k8s.aws", "ClusterNetworkPolicy" | "ClusterPolicyEndpoint") => Some(false),
        ("networking.gke.io", "FQDNNetworkPolicy") => Some(true),
        // A version of the standard API that came after this program.
        ("policy.networking.k8s.io", "ClusterNetworkPolicy" | "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy") => {
            Some(false)
        }
        _ => None,
    }
}

/// The object, from any deserializer. `Ok(None)` for kinds that take no part.
pub fn deserialize<'de, D: serde::Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Option<Object>, D::Error> {
    Ok(Some(match kind {
        Kind::Namespace => Object::Namespace(Deserialize::deserialize(deserializer)?),
        Kind::Node => Object::Node(Deserialize::deserialize(deserializer)?),
        Kind::Pod => Object::Pod(Deserialize::deserialize(deserializer)?),
        Kind::Workload => Object::Workload(Box::new(Workload::deserialize(deserializer)?)),
        Kind::Service => Object::Service(Deserialize::deserialize(deserializer)?),
        Kind::EndpointSlice => Object::EndpointSlice(Deserialize::deserialize(deserializer)?),
        Kind::Endpoints => Object::Endpoints(Deserialize::deserialize(deserializer)?),
        Kind::Routing { .. } => Object::Routing(Deserialize::deserialize(deserializer)?),
        Kind::NetworkPolicy => Object::NetworkPolicy(Deserialize::deserialize(deserializer)?),
        Kind::ClusterNetworkPolicy => Object::ClusterNetworkPolicy(Deserialize::deserialize(deserializer)?),
        Kind::AdminNetworkPolicy => Object::AdminNetworkPolicy(Deserialize::deserialize(deserializer)?),
        Kind::BaselineAdminNetworkPolicy => Object::BaselineAdminNetworkPolicy(Deserialize::deserialize(deserializer)?),
        Kind::ForeignPolicy { .. } => Object::ForeignPolicy(Deserialize::deserialize(deserializer)?),
        Kind::Secret | Kind::Other => return Ok(None),
    }))
}
