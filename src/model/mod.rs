//! The cluster as plain data: namespaces, nodes, pods, Services and their endpoints.
//!
//! Typed objects of `source` come in once, through [`Cluster::build`]; what goes out is sorted, deduplicated and indexed,
//! and knows nothing of YAML. Policies are carried along untouched for `policy` to lower.

mod build;
mod imagine;
mod labels;
mod net;
pub mod overlay;
pub mod query;
mod rollout;
mod route;
mod service;

use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;
use rustc_hash::FxHashMap;

pub use build::{BuildOptions, distinct};
pub use imagine::{ImaginedNamespace, ImaginedPod};
pub use labels::{Labels, Str};
pub use net::{PortSet, Protocol};
pub use route::{Door, Gateway, Route, RouteBackend, RouteKind};
pub use service::{
    Audience, Backend, EndpointSource, Service, ServiceEndpoint, ServiceKind, ServicePort, TargetPort, private_ranges,
};

use crate::source::Origin;
use crate::source::wire;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index into its table.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// Index of a [`Namespace`].
    NamespaceId
);
id!(
    /// Index of a [`Node`].
    NodeId
);
id!(
    /// Index of a [`Pod`].
    PodId
);
id!(
    /// Index of a [`Service`].
    ServiceId
);

/// A namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Name.
    pub name: Str,
    /// Labels, `kubernetes.io/metadata.name` among them.
    pub labels: Arc<Labels>,
    /// Where it was read; none where it is only mentioned by another object, so that its other labels aren't known.
    pub origin: Option<Origin>,
    /// Annotation `netcheck.dev/ignore`: findings of the audit that are accepted here, with their reasons.
    pub ignore: Option<Str>,
    /// Its pods: a range of [`Cluster::pods`].
    pub pods: Range<u32>,
    /// Its Services: a range of [`Cluster::services`].
    pub services: Range<u32>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name.
    pub name: Str,
    /// Labels.
    pub labels: Arc<Labels>,
    /// `status.addresses` that are IP addresses.
    pub addresses: Vec<IpAddr>,
    /// Ranges its pods get their addresses from.
    pub pod_cidrs: Vec<IpNet>,
    /// Where it was read; none where only pods mention it.
    pub origin: Option<Origin>,
}

/// Which containers of a pod declare a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerKind {
    /// `spec.containers`.
    Regular,
    /// `spec.initContainers` with `restartPolicy: Always`.
    Sidecar,
    /// Other `spec.initContainers`: gone once the pod runs.
    Init,
}

/// A port that a container declares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPort {
    /// Name, where it has one.
    pub name: Option<Str>,
    /// Number.
    pub number: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Which kind of container declares it.
    pub container: ContainerKind,
}

/// The workload that a pod belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadRef {
    /// Kind, such as `Deployment`.
    pub kind: Str,
    /// Name.
    pub name: Str,
}

/// How far a pod's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not all containers run yet.
    Pending,
    /// Running, or not said.
    Running,
    /// `Succeeded` or `Failed`: its address belongs to nobody.
    Finished,
}

/// A pod, or what a workload's template says its pods would be.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Namespace.
    pub namespace: NamespaceId,
    /// Name; for a template, the workload's.
    pub name: Str,
    /// Labels.
    pub labels: Arc<Labels>,
    /// Addresses, at most one a family; empty until the network plugin gave one.
    pub ips: Vec<IpAddr>,
    /// Node it runs on.
    pub node: Option<NodeId>,
    /// Whether it shares its node's network.
    pub host_network: bool,
    /// Phase.
    pub phase: Phase,
    /// Condition `Ready`; true where there is no status.
    pub ready: bool,
    /// Being deleted.
    pub terminating: bool,
    /// Declared ports.
    pub ports: Arc<[ContainerPort]>,
    /// Workload it belongs to.
    pub workload: Option<WorkloadRef>,
    /// ServiceAccount.
    pub service_account: Str,
    /// `spec.hostname` and `spec.subdomain`, which give a name under a headless Service.
    pub hostname: Option<(Str, Str)>,
    /// Where it was read; none for a pod that is assumed to exist.
    pub origin: Option<Origin>,
    /// Whether it stands for a workload's template.
    pub template: bool,
}

impl Pod {
    /// The ports of this name that a rule or a Service may resolve to: those of regular containers and of native sidecars
    /// (kubernetes #125285), never of plain init containers.
    pub fn named_ports<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a ContainerPort> {
        self.ports.iter().filter(move |p| p.container != ContainerKind::Init && p.name.as_deref() == Some(name))
    }

    /// The address of one family.
    pub fn ip(&self, v6: bool) -> Option<IpAddr> {
        self.ips.iter().copied().find(|ip| ip.is_ipv6() == v6)
    }
}

/// A policy of one of the standard APIs, as written.
#[derive(Clone, Debug)]
pub struct PolicyObject<T> {
    /// The object.
    pub object: T,
    /// Where it was read.
    pub origin: Origin,
}

/// What the objects don't say and was taken as given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assumption {
    /// The cluster's DNS: pods labelled `k8s-app: kube-dns` in `kube-system`, on port 53.
    ClusterDns,
}

/// A cluster, or as much of it as is known.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Namespaces, by name.
    pub namespaces: Vec<Namespace>,
    /// Nodes, by name.
    pub nodes: Vec<Node>,
    /// Pods, by namespace and name.
    pub pods: Vec<Pod>,
    /// Services, by namespace and name.
    pub services: Vec<Service>,
    /// Gateways, by namespace and name.
    pub gateways: Vec<Gateway>,
    /// Ingresses and routes, by namespace, kind and name.
    pub routes: Vec<Route>,
    /// NetworkPolicies, by namespace and name.
    pub network_policies: Vec<PolicyObject<wire::NetworkPolicy>>,
    /// ClusterNetworkPolicies, by name.
    pub cluster_network_policies: Vec<PolicyObject<wire::ClusterNetworkPolicy>>,
    /// AdminNetworkPolicies, by name.
    pub admin_network_policies: Vec<PolicyObject<wire::AdminNetworkPolicy>>,
    /// BaselineAdminNetworkPolicies: at most one, `default`.
    pub baseline_admin_network_policies: Vec<PolicyObject<wire::AdminNetworkPolicy>>,
    /// Policies of kinds that can't be evaluated.
    pub foreign_policies: Vec<PolicyObject<wire::ForeignPolicy>>,
    /// Workloads with pods or a template, for names on the command line.
    pub workloads: FxHashMap<(NamespaceId, WorkloadRef), Vec<PodId>>,
    /// What was taken as given.
    pub assumptions: Vec<Assumption>,
    /// Whether any pod has an address: of IPv4, of IPv6.
    families: [bool; 2],
    by_ip: OnceLock<FxHashMap<IpAddr, PodId>>,
}

impl Cluster {
    /// The namespace of this name.
    pub fn namespace(&self, name: &str) -> Option<NamespaceId> {
        self.namespaces.binary_search_by(|n| (*n.name).cmp(name)).ok().map(|i| NamespaceId(i as u32))
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.binary_search_by(|n| (*n.name).cmp(name)).ok().map(|i| NodeId(i as u32))
    }

    /// The pod of this name.
    pub fn pod(&self, namespace: NamespaceId, name: &str) -> Option<PodId> {
        let range = self.namespaces[namespace.index()].pods.clone();
        let pods = &self.pods[range.start as usize..range.end as usize];
        pods.binary_search_by(|p| (*p.name).cmp(name)).ok().map(|i| PodId(range.start + i as u32))
    }

    /// The Service of this name.
    pub fn service(&self, namespace: NamespaceId, name: &str) -> Option<ServiceId> {
        let range = self.namespaces[namespace.index()].services.clone();
        let services = &self.services[range.start as usize..range.end as usize];
        services.binary_search_by(|s| (*s.name).cmp(name)).ok().map(|i| ServiceId(range.start + i as u32))
    }

    /// The pods of a namespace.
    pub fn pods_of(&self, namespace: NamespaceId) -> impl Iterator<Item = PodId> + use<> {
        self.namespaces[namespace.index()].pods.clone().map(PodId)
    }

    /// Whether any pod has an address of a family.
    pub fn has_addresses(&self, v6: bool) -> bool {
        self.families[usize::from(v6)]
    }

    /// The pod that owns an address now: a running one that doesn't share its node's address.
    pub fn pod_by_ip(&self, ip: IpAddr) -> Option<PodId> {
        let map = self.by_ip.get_or_init(|| {
            let mut map = FxHashMap::default();
            map.reserve(self.pods.len());
            for (index, pod) in self.pods.iter().enumerate() {
                if pod.phase != Phase::Finished && !pod.host_network {
                    for ip in &pod.ips {
                        map.insert(*ip, PodId(index as u32));
                    }
                }
            }
            map
        });
        map.get(&ip).copied()
    }

    /// The node that has an address.
    pub fn node_by_ip(&self, ip: IpAddr) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.addresses.contains(&ip)).map(|i| NodeId(i as u32))
    }

    /// `namespace/name` of a pod.
    pub fn pod_name(&self, pod: PodId) -> String {
        let pod = &self.pods[pod.index()];
        format!("{}/{}", self.namespaces[pod.namespace.index()].name, pod.name)
    }

    /// `namespace/name` of a Service.
    pub fn service_name(&self, service: ServiceId) -> String {
        let service = &self.services[service.index()];
        format!("{}/{}", self.namespaces[service.namespace.index()].name, service.name)
    }
}
