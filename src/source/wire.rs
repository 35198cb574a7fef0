//! The Kubernetes objects as they are written, cut down to the fields that decide connectivity.
//!
//! Field names and defaults are those of the API reference (Kubernetes 1.36). Nothing is validated or interpreted here.

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::origin::Origin;
pub use super::text::{StringMap, Text};

mod policy;
mod routing;

pub use policy::{
    AdminEgressRule, AdminIngressRule, AdminNetworkPolicy, AdminNetworkPolicySpec, AdminPort, AdminPortNumber,
    AdminSubject, ClusterEgressRule, ClusterIngressRule, ClusterNetworkPolicy, ClusterNetworkPolicySpec, ClusterPort,
    ClusterPortRange, ClusterProtocol, EgressPeer, EgressRule, ForeignPolicy, IngressRule, IpBlock, NamespacedPod,
    NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec, PortRange,
};
pub use routing::{IngressBackend, Listener, Reference, Routing, RoutingRule, RoutingSpec};

/// An object that takes part, with where it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The object.
    pub object: Object,
    /// Where it was read.
    pub origin: Origin,
}

/// The kinds that take part.
#[derive(Clone, Debug)]
pub enum Object {
    /// core/v1 Namespace.
    Namespace(Namespace),
    /// core/v1 Node.
    Node(Node),
    /// core/v1 Pod.
    Pod(Box<Pod>),
    /// A kind with a pod template.
    Workload(Box<Workload>),
    /// core/v1 Service.
    Service(Box<Service>),
    /// discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice(EndpointSlice),
    /// core/v1 Endpoints.
    Endpoints(Endpoints),
    /// networking.k8s.io Ingress and IngressClass; the kinds of gateway.networking.k8s.io.
    Routing(Box<Routing>),
    /// networking.k8s.io/v1 NetworkPolicy.
    NetworkPolicy(Box<NetworkPolicy>),
    /// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy.
    ClusterNetworkPolicy(Box<ClusterNetworkPolicy>),
    /// policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy.
    AdminNetworkPolicy(Box<AdminNetworkPolicy>),
    /// policy.networking.k8s.io/v1alpha1 BaselineAdminNetworkPolicy.
    BaselineAdminNetworkPolicy(Box<AdminNetworkPolicy>),
    /// A policy kind of a network plugin or mesh that can't be evaluated.
    ForeignPolicy(ForeignPolicy),
}

/// `metadata`, cut down.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name; empty where only `generateName` is given.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Prefix of a name made by the API server.
    #[serde(deserialize_with = "null_as_default")]
    pub generate_name: String,
    /// Namespace; empty for cluster-wide kinds and for manifests that name none.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: StringMap,
    /// Annotations.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: StringMap,
    /// Owners.
    #[serde(deserialize_with = "null_as_default")]
    pub owner_references: Vec<OwnerReference>,
    /// Set on an object that is being deleted.
    pub deletion_timestamp: Option<String>,
}

/// An owner of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    /// Kind of the owner.
    pub kind: Text,
    /// Name of the owner.
    pub name: Text,
    /// Whether this owner is the managing controller.
    #[serde(deserialize_with = "null_as_default")]
    pub controller: bool,
}

/// core/v1 Namespace.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Metadata.
    pub metadata: Metadata,
}

/// core/v1 Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: NodeSpec,
    /// Status.
    #[serde(deserialize_with = "null_as_default")]
    pub status: NodeStatus,
}

/// `spec` of a Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// Pod address ranges of the node.
    #[serde(rename = "podCIDRs", deserialize_with = "null_as_default")]
    pub pod_cidrs: Vec<String>,
}

/// `status` of a Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Its addresses.
    #[serde(deserialize_with = "null_as_default")]
    pub addresses: Vec<NodeAddress>,
}

/// An address of a Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname` …
    #[serde(rename = "type")]
    pub kind: Text,
    /// The address, or a name.
    pub address: Text,
}

/// core/v1 Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: PodSpec,
    /// Status.
    #[serde(deserialize_with = "null_as_default")]
    pub status: PodStatus,
}

/// `spec` of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Node it runs on; empty until scheduled.
    #[serde(deserialize_with = "null_as_default")]
    pub node_name: Text,
    /// Whether it uses the node's network.
    #[serde(deserialize_with = "null_as_default")]
    pub host_network: bool,
    /// ServiceAccount; empty means `default`.
    #[serde(deserialize_with = "null_as_default")]
    pub service_account_name: Text,
    /// Hostname in DNS.
    #[serde(deserialize_with = "null_as_default")]
    pub hostname: Text,
    /// Subdomain in DNS: the name of a headless Service.
    #[serde(deserialize_with = "null_as_default")]
    pub subdomain: Text,
    /// Containers.
    #[serde(deserialize_with = "null_as_default")]
    pub containers: Vec<Container>,
    /// Init containers, sidecars among them.
    #[serde(deserialize_with = "null_as_default")]
    pub init_containers: Vec<Container>,
}

/// A container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Declared ports.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<ContainerPort>,
    /// `Always` makes an init container a native sidecar (KEP-753).
    #[serde(deserialize_with = "null_as_default")]
    pub restart_policy: Text,
}

/// A declared port of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// IANA service name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Number.
    #[serde(deserialize_with = "null_as_default")]
    pub container_port: i64,
    /// `TCP` where missing.
    #[serde(deserialize_with = "null_as_default")]
    pub protocol: Text,
}

/// `status` of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    #[serde(deserialize_with = "null_as_default")]
    pub phase: Text,
    /// First address.
    #[serde(rename = "podIP", deserialize_with = "null_as_default")]
    pub pod_ip: Text,
    /// All addresses, one a family.
    #[serde(rename = "podIPs", deserialize_with = "null_as_default")]
    pub pod_ips: Vec<PodIp>,
    /// Address of its node.
    #[serde(rename = "hostIP", deserialize_with = "null_as_default")]
    pub host_ip: Text,
    /// Conditions.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
}

/// An address of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// The address.
    pub ip: Text,
}

/// A condition of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Type.
    #[serde(rename = "type")]
    pub kind: Text,
    /// `True`, `False`, `Unknown`.
    pub status: Text,
}

/// A kind with a pod template: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, ReplicationController.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// Its kind, as written.
    pub kind: String,
    /// Metadata.
    pub metadata: Metadata,
    /// `spec.replicas`; none where missing, or where the kind has none.
    pub replicas: Option<i64>,
    /// `spec.serviceName` of a StatefulSet.
    pub service_name: String,
    /// The template.
    pub template: PodTemplate,
}

impl<'de> Deserialize<'de> for Workload {
    /// The template is `spec.template`, and `spec.jobTemplate.spec.template` in a CronJob.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Written {
            kind: String,
            metadata: Metadata,
            #[serde(deserialize_with = "null_as_default")]
            spec: Spec,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Spec {
            replicas: Option<i64>,
            #[serde(deserialize_with = "null_as_default")]
            service_name: String,
            #[serde(deserialize_with = "null_as_default")]
            template: PodTemplate,
            job_template: Option<JobTemplate>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct JobTemplate {
            #[serde(deserialize_with = "null_as_default")]
            spec: JobSpec,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct JobSpec {
            #[serde(deserialize_with = "null_as_default")]
            template: PodTemplate,
        }
        let Written { kind, metadata, spec } = Written::deserialize(deserializer)?;
        let template = match spec.job_template {
            Some(job) => job.spec.template,
            None => spec.template,
        };
        Ok(Self { kind, metadata, replicas: spec.replicas, service_name: spec.service_name, template })
    }
}

/// `spec.template` of a workload.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Metadata.
    #[serde(deserialize_with = "null_as_default")]
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: PodSpec,
}

/// core/v1 Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: ServiceSpec,
    /// Status.
    #[serde(deserialize_with = "null_as_default")]
    pub status: ServiceStatus,
}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP` where missing.
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: String,
    /// First virtual address; `None` for a headless Service.
    #[serde(rename = "clusterIP", deserialize_with = "null_as_default")]
    pub cluster_ip: String,
    /// All virtual addresses.
    #[serde(rename = "clusterIPs", deserialize_with = "null_as_default")]
    pub cluster_ips: Vec<String>,
    /// Further addresses that the nodes accept.
    #[serde(rename = "externalIPs", deserialize_with = "null_as_default")]
    pub external_ips: Vec<String>,
    /// Requested load balancer address (deprecated).
    #[serde(rename = "loadBalancerIP", deserialize_with = "null_as_default")]
    pub load_balancer_ip: String,
    /// The name an ExternalName Service stands for.
    #[serde(deserialize_with = "null_as_default")]
    pub external_name: String,
    /// Pods behind it; missing means endpoints are managed by hand.
    pub selector: Option<StringMap>,
    /// Ports.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<ServicePort>,
    /// Whether DNS and routing include pods that are not ready.
    #[serde(deserialize_with = "null_as_default")]
    pub publish_not_ready_addresses: bool,
    /// `Cluster` where missing.
    #[serde(deserialize_with = "null_as_default")]
    pub internal_traffic_policy: String,
    /// `Cluster` where missing.
    #[serde(deserialize_with = "null_as_default")]
    pub external_traffic_policy: String,
    /// Clients that its load balancer lets in; empty for all.
    #[serde(deserialize_with = "null_as_default")]
    pub load_balancer_source_ranges: Vec<String>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Number.
    pub port: i64,
    /// `TCP` where missing.
    #[serde(deserialize_with = "null_as_default")]
    pub protocol: String,
    /// Number or name of the pod's port; the same number where missing.
    pub target_port: Option<IntOrString>,
    /// Port on every node.
    #[serde(deserialize_with = "null_as_default")]
    pub node_port: i64,
}

/// `status` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// Load balancer.
    #[serde(deserialize_with = "null_as_default")]
    pub load_balancer: LoadBalancer,
}

/// `status.loadBalancer`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    /// Its addresses.
    #[serde(deserialize_with = "null_as_default")]
    pub ingress: Vec<LoadBalancerIngress>,
}

/// An address of a load balancer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancerIngress {
    /// Address.
    #[serde(deserialize_with = "null_as_default")]
    pub ip: String,
    /// DNS name.
    #[serde(deserialize_with = "null_as_default")]
    pub hostname: String,
}

/// discovery.k8s.io/v1 EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// Metadata; the Service is in label `kubernetes.io/service-name`.
    pub metadata: Metadata,
    /// `IPv4`, `IPv6`, `FQDN`.
    pub address_type: String,
    /// Endpoints.
    #[serde(deserialize_with = "null_as_default")]
    pub endpoints: Vec<SliceEndpoint>,
    /// Ports of every endpoint in the slice.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<SlicePort>,
}

/// An endpoint of a slice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SliceEndpoint {
    /// Addresses that stand for the same endpoint.
    #[serde(deserialize_with = "null_as_default")]
    pub addresses: Vec<Text>,
    /// Conditions.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: SliceConditions,
    /// Pod behind it.
    pub target_ref: Option<ObjectReference>,
    /// Node it runs on.
    #[serde(deserialize_with = "null_as_default")]
    pub node_name: Text,
}

/// Conditions of an endpoint; a missing `ready` counts as ready, a missing `terminating` as not (API reference).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SliceConditions {
    /// Ready to receive traffic.
    pub ready: Option<bool>,
    /// Able to serve, even while terminating; missing means the same as `ready`.
    pub serving: Option<bool>,
    /// Being deleted.
    pub terminating: Option<bool>,
}

/// A reference to an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ObjectReference {
    /// Kind.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: Text,
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: Text,
}

/// A port of a slice or of Endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlicePort {
    /// Name of the Service's port.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Number on the endpoint; missing means all ports.
    pub port: Option<i64>,
    /// `TCP` where missing.
    #[serde(deserialize_with = "null_as_default")]
    pub protocol: Text,
}

/// core/v1 Endpoints, named like its Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// Metadata.
    pub metadata: Metadata,
    /// Subsets.
    #[serde(deserialize_with = "null_as_default")]
    pub subsets: Vec<EndpointSubset>,
}

/// Addresses that share ports.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSubset {
    /// Ready addresses.
    #[serde(deserialize_with = "null_as_default")]
    pub addresses: Vec<EndpointAddress>,
    /// Addresses that are not ready.
    #[serde(deserialize_with = "null_as_default")]
    pub not_ready_addresses: Vec<EndpointAddress>,
    /// Ports.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<SlicePort>,
}

/// An address of Endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointAddress {
    /// Address.
    pub ip: Text,
    /// Node it runs on.
    #[serde(deserialize_with = "null_as_default")]
    pub node_name: Text,
    /// Pod behind it.
    pub target_ref: Option<ObjectReference>,
}

/// A number or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrString {
    /// A number, as written: not yet checked against 1 to 65535.
    Int(i64),
    /// A name.
    String(String),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a name")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<IntOrString, E> {
                i64::try_from(value)
                    .map(IntOrString::Int)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::String(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A label selector. Missing (`None` in its owner) and empty are different things.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Every pair must be present.
    #[serde(deserialize_with = "null_as_default")]
    pub match_labels: StringMap,
    /// Every requirement must hold.
    #[serde(deserialize_with = "null_as_default")]
    pub match_expressions: Vec<Requirement>,
}

/// A requirement of a label selector.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// Label key.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// Values of `In` and `NotIn`.
    #[serde(deserialize_with = "null_as_default")]
    pub values: Vec<String>,
}

/// A JSON `null` is the field's default, as the API server takes it.
pub fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
