//! Policies as they are written: NetworkPolicy, `policy.networking.k8s.io` in v1alpha1 and v1alpha2, and those of other systems,
//! of which no more is read than that they are there.
//!
//! Policies keep every field of their API, so that a field that is not known can be told apart from one that is merely not
//! needed. Nothing is validated or interpreted here.

use serde::Deserialize;

use super::{IntOrString, LabelSelector, Metadata, null_as_default};

/// networking.k8s.io/v1 NetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicy {
    /// `networking.k8s.io/v1`.
    pub api_version: String,
    /// `NetworkPolicy`.
    pub kind: String,
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: NetworkPolicySpec,
}

/// `spec` of a NetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    /// Pods it selects; empty or missing selects all of its namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub pod_selector: LabelSelector,
    /// `Ingress`, `Egress`; see SEMANTICS 2 for where it is missing.
    #[serde(deserialize_with = "null_as_default")]
    pub policy_types: Vec<String>,
    /// Ingress rules.
    #[serde(deserialize_with = "null_as_default")]
    pub ingress: Vec<IngressRule>,
    /// Egress rules.
    #[serde(deserialize_with = "null_as_default")]
    pub egress: Vec<EgressRule>,
}

/// An ingress rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IngressRule {
    /// Peers; empty or missing means any.
    #[serde(deserialize_with = "null_as_default")]
    pub from: Vec<NetworkPolicyPeer>,
    /// Ports; empty or missing means any.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<NetworkPolicyPort>,
}

/// An egress rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EgressRule {
    /// Peers; empty or missing means any.
    #[serde(deserialize_with = "null_as_default")]
    pub to: Vec<NetworkPolicyPeer>,
    /// Ports; empty or missing means any.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<NetworkPolicyPort>,
}

/// A peer: either an `ipBlock`, or one or both selectors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicyPeer {
    /// Pods, in the policy's namespace unless `namespace_selector` is given.
    pub pod_selector: Option<LabelSelector>,
    /// Namespaces.
    pub namespace_selector: Option<LabelSelector>,
    /// Addresses.
    pub ip_block: Option<IpBlock>,
}

/// A range of addresses with holes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IpBlock {
    /// The range.
    pub cidr: String,
    /// Ranges inside it that are left out.
    #[serde(deserialize_with = "null_as_default")]
    pub except: Vec<String>,
}

/// A port of a rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicyPort {
    /// `TCP` where missing.
    pub protocol: Option<String>,
    /// Number or name; missing means all of the protocol.
    pub port: Option<IntOrString>,
    /// Last number of a range that starts at `port`.
    pub end_port: Option<i64>,
}

/// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterNetworkPolicy {
    /// `policy.networking.k8s.io/v1alpha2`.
    pub api_version: String,
    /// `ClusterNetworkPolicy`.
    pub kind: String,
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: ClusterNetworkPolicySpec,
}

/// `spec` of a ClusterNetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClusterNetworkPolicySpec {
    /// `Admin` or `Baseline`.
    pub tier: String,
    /// 0 to 1000; lower goes first.
    pub priority: Option<i64>,
    /// Pods it applies to.
    pub subject: Option<AdminSubject>,
    /// Ingress rules, in order.
    #[serde(deserialize_with = "null_as_default")]
    pub ingress: Vec<ClusterIngressRule>,
    /// Egress rules, in order.
    #[serde(deserialize_with = "null_as_default")]
    pub egress: Vec<ClusterEgressRule>,
}

/// Pods that a cluster-wide policy applies to, or one of its peers: exactly one field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AdminSubject {
    /// All pods of the namespaces.
    pub namespaces: Option<LabelSelector>,
    /// Some pods of the namespaces.
    pub pods: Option<NamespacedPod>,
}

/// Pods by both selectors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespacedPod {
    /// Namespaces; empty means all.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace_selector: LabelSelector,
    /// Pods of these; empty means all.
    #[serde(deserialize_with = "null_as_default")]
    pub pod_selector: LabelSelector,
}

/// An ingress rule of a ClusterNetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClusterIngressRule {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// `Accept`, `Deny`, `Pass`.
    pub action: String,
    /// Peers.
    #[serde(deserialize_with = "null_as_default")]
    pub from: Vec<AdminSubject>,
    /// Protocols and ports; missing means any.
    pub protocols: Option<Vec<ClusterProtocol>>,
}

/// An egress rule of a ClusterNetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClusterEgressRule {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// `Accept`, `Deny`, `Pass`.
    pub action: String,
    /// Peers.
    #[serde(deserialize_with = "null_as_default")]
    pub to: Vec<EgressPeer>,
    /// Protocols and ports; missing means any.
    pub protocols: Option<Vec<ClusterProtocol>>,
}

/// A peer of an egress rule of a cluster-wide policy: exactly one field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EgressPeer {
    /// All pods of the namespaces.
    pub namespaces: Option<LabelSelector>,
    /// Some pods of the namespaces.
    pub pods: Option<NamespacedPod>,
    /// Nodes.
    pub nodes: Option<LabelSelector>,
    /// Ranges of addresses.
    pub networks: Option<Vec<String>>,
    /// DNS names.
    pub domain_names: Option<Vec<String>>,
}

/// A protocol of a ClusterNetworkPolicy rule: exactly one field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterProtocol {
    /// TCP.
    pub tcp: Option<ClusterPort>,
    /// UDP.
    pub udp: Option<ClusterPort>,
    /// SCTP.
    pub sctp: Option<ClusterPort>,
    /// A named port of the destination pod, of any protocol.
    pub destination_named_port: Option<String>,
}

/// Ports of a protocol; missing means all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterPort {
    /// Destination port.
    pub destination_port: Option<ClusterPortRange>,
}

/// A port or a range: exactly one field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClusterPortRange {
    /// One port.
    pub number: Option<i64>,
    /// A range.
    pub range: Option<PortRange>,
}

/// `start` to `end`, both included.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PortRange {
    /// First port.
    pub start: i64,
    /// Last port.
    pub end: i64,
    /// v1alpha1 only; `TCP` where missing.
    pub protocol: Option<String>,
}

/// policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy and BaselineAdminNetworkPolicy, which differ in `priority` and actions.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminNetworkPolicy {
    /// `policy.networking.k8s.io/v1alpha1`.
    pub api_version: String,
    /// `AdminNetworkPolicy` or `BaselineAdminNetworkPolicy`.
    pub kind: String,
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: AdminNetworkPolicySpec,
}

/// `spec` of an AdminNetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AdminNetworkPolicySpec {
    /// 0 to 1000; lower goes first. The baseline has none.
    pub priority: Option<i64>,
    /// Pods it applies to.
    pub subject: Option<AdminSubject>,
    /// Ingress rules, in order.
    #[serde(deserialize_with = "null_as_default")]
    pub ingress: Vec<AdminIngressRule>,
    /// Egress rules, in order.
    #[serde(deserialize_with = "null_as_default")]
    pub egress: Vec<AdminEgressRule>,
}

/// An ingress rule of an AdminNetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AdminIngressRule {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// `Allow`, `Deny`, `Pass`.
    pub action: String,
    /// Peers.
    #[serde(deserialize_with = "null_as_default")]
    pub from: Vec<AdminSubject>,
    /// Ports; missing means any.
    pub ports: Option<Vec<AdminPort>>,
}

/// An egress rule of an AdminNetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AdminEgressRule {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// `Allow`, `Deny`, `Pass`.
    pub action: String,
    /// Peers.
    #[serde(deserialize_with = "null_as_default")]
    pub to: Vec<EgressPeer>,
    /// Ports; missing means any.
    pub ports: Option<Vec<AdminPort>>,
}

/// A port of an AdminNetworkPolicy rule: exactly one field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminPort {
    /// One port.
    pub port_number: Option<AdminPortNumber>,
    /// A range.
    pub port_range: Option<PortRange>,
    /// A named port of the destination pod.
    pub named_port: Option<String>,
}

/// A protocol and a number.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AdminPortNumber {
    /// `TCP` where missing.
    pub protocol: Option<String>,
    /// Number.
    pub port: i64,
}

/// A policy of a kind that can't be evaluated: only what tells which flows it could touch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForeignPolicy {
    /// API group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Metadata.
    pub metadata: Metadata,
}
