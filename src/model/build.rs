//! Typed objects into a [`Cluster`]: sorted, deduplicated, indexed.

mod routes;
mod services;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Assumption, Cluster, ContainerKind, ContainerPort, Labels, Namespace, NamespaceId, Node, NodeId, Phase, Pod, PodId,
    PolicyObject, Protocol, Str, WorkloadRef,
};
use crate::source::wire::{self, Loaded, Metadata, Object, StringMap, Text};
use crate::source::{Diagnostic, FieldPath, Origin, Part};

/// How objects become a cluster.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Namespace of namespaced objects that name none.
    pub default_namespace: String,
    /// Whether the cluster's DNS is assumed where the objects don't include it (DESIGN, DNS).
    pub assume_dns: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { default_namespace: "default".to_owned(), assume_dns: true }
    }
}

/// The label that every namespace carries (KEP-2161).
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Namespace, kind and name of a workload, with its controller.
type Owners = FxHashMap<(NamespaceId, WorkloadRef), Option<WorkloadRef>>;

#[derive(Default)]
struct Interner {
    strings: FxHashSet<Str>,
    labels: FxHashMap<StringMap, Arc<Labels>>,
    ports: FxHashSet<Arc<[ContainerPort]>>,
}

impl Interner {
    fn str(&mut self, text: &str) -> Str {
        if let Some(known) = self.strings.get(text) {
            return known.clone();
        }
        let new: Str = text.into();
        self.strings.insert(new.clone());
        new
    }

    /// The string of an object, which is shared where this is the first of its kind.
    fn text(&mut self, text: &Text) -> Str {
        if let Some(known) = self.strings.get(text.as_str()) {
            return known.clone();
        }
        let new: Str = text.into();
        self.strings.insert(new.clone());
        new
    }

    fn plain_labels(&mut self, map: &StringMap) -> Labels {
        Labels::from_pairs(map.iter().map(|(k, v)| (self.text(k), self.text(v))).collect::<Vec<_>>())
    }

    fn labels(&mut self, map: StringMap) -> Arc<Labels> {
        if let Some(known) = self.labels.get(&map) {
            return known.clone();
        }
        let new = Arc::new(self.plain_labels(&map));
        self.labels.insert(map, new.clone());
        new
    }

    fn ports(&mut self, ports: Vec<ContainerPort>) -> Arc<[ContainerPort]> {
        if let Some(known) = self.ports.get(ports.as_slice()) {
            return known.clone();
        }
        let new: Arc<[ContainerPort]> = ports.into();
        self.ports.insert(new.clone());
        new
    }
}

/// Kind, namespace and name of an object, with the namespace that applies where it names none.
pub(crate) fn identity<'a>(object: &'a Object, default_namespace: &'a str) -> (&'a str, &'a str, &'a str) {
    let (kind, metadata, namespaced): (&str, &Metadata, bool) = match object {
        Object::Namespace(o) => ("Namespace", &o.metadata, false),
        Object::Node(o) => ("Node", &o.metadata, false),
        Object::Pod(o) => ("Pod", &o.metadata, true),
        Object::Workload(o) => (&o.kind, &o.metadata, true),
        Object::Service(o) => ("Service", &o.metadata, true),
        Object::EndpointSlice(o) => ("EndpointSlice", &o.metadata, true),
        Object::Endpoints(o) => ("Endpoints", &o.metadata, true),
        Object::Routing(o) => (&o.kind, &o.metadata, !matches!(&*o.kind, "IngressClass" | "GatewayClass")),
        Object::NetworkPolicy(o) => ("NetworkPolicy", &o.metadata, true),
        Object::ClusterNetworkPolicy(o) => ("ClusterNetworkPolicy", &o.metadata, false),
        Object::AdminNetworkPolicy(o) => ("AdminNetworkPolicy", &o.metadata, false),
        Object::BaselineAdminNetworkPolicy(o) => ("BaselineAdminNetworkPolicy", &o.metadata, false),
        Object::ForeignPolicy(o) => (&o.kind, &o.metadata, false),
    };
    let namespace = match (namespaced, metadata.namespace.as_str()) {
        (true, "") => default_namespace,
        (_, namespace) => namespace,
    };
    (kind, namespace, &metadata.name)
}

impl Cluster {
    /// Builds the cluster. Fails with a diagnostic for each object that is given twice.
    pub fn build(objects: Vec<Loaded>, options: &BuildOptions) -> Result<Self, Vec<Diagnostic>> {
        let duplicates = duplicates(&objects, options);
        if !duplicates.is_empty() {
            return Err(duplicates);
        }
        let mut builder = Builder { default_namespace: options.default_namespace.clone(), ..Builder::default() };
        for loaded in objects {
            builder.add(loaded);
        }
        Ok(builder.finish(options.assume_dns))
    }
}

/// Leaves out objects that were read twice, as happens where two requests to a cluster lead to the same one.
pub fn distinct(objects: &mut Vec<Loaded>) {
    let mut seen: FxHashSet<(String, String, String)> = FxHashSet::default();
    objects.retain(|loaded| {
        let (kind, namespace, name) = identity(&loaded.object, "");
        seen.insert((kind.to_owned(), namespace.to_owned(), name.to_owned()))
    });
}

fn duplicates(objects: &[Loaded], options: &BuildOptions) -> Vec<Diagnostic> {
    let mut seen: FxHashMap<(&str, &str, &str), Origin> = FxHashMap::default();
    seen.reserve(objects.len());
    let mut out = Vec::new();
    for loaded in objects {
        let key = identity(&loaded.object, &options.default_namespace);
        if key.2.is_empty() {
            continue;
        }
        if let Some(first) = seen.get(&key) {
            let (kind, namespace, name) = key;
            let shown = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
            out.push(
                Diagnostic::error(format!("{kind} `{shown}` is given twice"))
                    .at(loaded.origin, FieldPath::keys("metadata.name"), Part::Entry, "again here")
                    .context(*first, FieldPath::keys("metadata.name"), Part::Entry, "first here")
                    .help("remove one of them, or lay the changed one over with --with"),
            );
        } else {
            seen.insert(key, loaded.origin);
        }
    }
    out
}

/// Labels of a namespace, its annotation for the audit, where it was read.
type KnownNamespace = (Arc<Labels>, Option<Str>, Origin);

#[derive(Default)]
struct Builder {
    default_namespace: String,
    /// The namespace that was entered last.
    last_namespace: String,
    intern: Interner,
    namespaces: BTreeMap<String, Option<KnownNamespace>>,
    nodes: BTreeMap<String, Option<(wire::Node, Origin)>>,
    node_ids: FxHashMap<Str, NodeId>,
    pods: Vec<(Box<wire::Pod>, Origin)>,
    workloads: Vec<(wire::Workload, Origin)>,
    services: Vec<(wire::Service, Origin)>,
    slices: Vec<wire::EndpointSlice>,
    endpoints: Vec<wire::Endpoints>,
    routing: Vec<(wire::Routing, Origin)>,
    assumed_dns: Option<AssumedDns>,
    cluster: Cluster,
}

/// What has to be added where the objects don't include the cluster's DNS.
struct AssumedDns {
    namespace: String,
    labels: StringMap,
    pod: bool,
    service: bool,
}

/// Whether a Service is the cluster's DNS: its usual names (kubeadm, k3s, OpenShift), or the label kubeadm gives it.
pub(crate) fn is_dns_service(metadata: &Metadata) -> bool {
    is_dns_name(&metadata.namespace, &metadata.name)
        || (metadata.namespace == "kube-system" && metadata.labels.get("k8s-app").is_some_and(|v| v == "kube-dns"))
}

pub(super) fn is_dns_name(namespace: &str, name: &str) -> bool {
    matches!(
        (namespace, name),
        ("kube-system", "kube-dns" | "coredns" | "rke2-coredns-rke2-coredns") | ("openshift-dns", "dns-default")
    )
}

impl Builder {
    fn namespace_of(&mut self, metadata: &mut Metadata) {
        if metadata.namespace.is_empty() {
            metadata.namespace.clone_from(&self.default_namespace);
        }
        // Objects come by namespace, mostly.
        if self.last_namespace != metadata.namespace {
            self.last_namespace.clone_from(&metadata.namespace);
            if !self.namespaces.contains_key(&metadata.namespace) {
                self.namespaces.insert(metadata.namespace.clone(), None);
            }
        }
    }

    fn add(&mut self, loaded: Loaded) {
        let origin = loaded.origin;
        match loaded.object {
            Object::Namespace(o) => {
                let mut labels = o.metadata.labels;
                labels.insert(NAMESPACE_NAME_LABEL, o.metadata.name.as_str());
                let labels = self.intern.labels(labels);
                let ignore = o.metadata.annotations.get("netcheck.dev/ignore").map(|text| text.as_str().into());
                self.namespaces.insert(o.metadata.name, Some((labels, ignore, origin)));
            }
            Object::Node(o) => {
                self.nodes.insert(o.metadata.name.clone(), Some((o, origin)));
            }
            Object::Pod(mut o) => {
                self.namespace_of(&mut o.metadata);
                self.pods.push((o, origin));
            }
            Object::Workload(mut o) => {
                self.namespace_of(&mut o.metadata);
                self.workloads.push((*o, origin));
            }
            Object::Service(mut o) => {
                self.namespace_of(&mut o.metadata);
                self.services.push((*o, origin));
            }
            Object::EndpointSlice(mut o) => {
                self.namespace_of(&mut o.metadata);
                self.slices.push(o);
            }
            Object::Endpoints(mut o) => {
                self.namespace_of(&mut o.metadata);
                self.endpoints.push(o);
            }
            Object::Routing(mut o) => {
                if !matches!(&*o.kind, "IngressClass" | "GatewayClass") {
                    self.namespace_of(&mut o.metadata);
                }
                self.routing.push((*o, origin));
            }
            Object::NetworkPolicy(mut o) => {
                self.namespace_of(&mut o.metadata);
                self.cluster.network_policies.push(PolicyObject { object: *o, origin });
            }
            Object::ClusterNetworkPolicy(o) => {
                self.cluster.cluster_network_policies.push(PolicyObject { object: *o, origin });
            }
            Object::AdminNetworkPolicy(o) => {
                self.cluster.admin_network_policies.push(PolicyObject { object: *o, origin });
            }
            Object::BaselineAdminNetworkPolicy(o) => {
                self.cluster.baseline_admin_network_policies.push(PolicyObject { object: *o, origin });
            }
            Object::ForeignPolicy(mut o) => {
                if !o.metadata.namespace.is_empty() {
                    self.namespace_of(&mut o.metadata);
                }
                self.cluster.foreign_policies.push(PolicyObject { object: o, origin });
            }
        }
    }

    fn finish(mut self, assume_dns: bool) -> Cluster {
        if assume_dns {
            self.assume_dns();
        }
        let mut mentioned: FxHashSet<&str> = FxHashSet::default();
        for (pod, _) in &self.pods {
            let node = pod.spec.node_name.as_str();
            if !node.is_empty() && mentioned.insert(node) && !self.nodes.contains_key(node) {
                self.nodes.insert(node.to_owned(), None);
            }
        }
        self.finish_namespaces();
        self.finish_nodes();
        self.finish_pods();
        self.finish_services();
        self.finish_routes();
        let cluster = &mut self.cluster;
        cluster.network_policies.sort_by(|a, b| {
            let key = |p: &PolicyObject<wire::NetworkPolicy>| {
                (p.object.metadata.namespace.clone(), p.object.metadata.name.clone())
            };
            key(a).cmp(&key(b))
        });
        cluster.cluster_network_policies.sort_by(|a, b| a.object.metadata.name.cmp(&b.object.metadata.name));
        cluster.admin_network_policies.sort_by(|a, b| a.object.metadata.name.cmp(&b.object.metadata.name));
        cluster.foreign_policies.sort_by(|a, b| {
            let key = |p: &PolicyObject<wire::ForeignPolicy>| {
                (p.object.kind.clone(), p.object.metadata.namespace.clone(), p.object.metadata.name.clone())
            };
            key(a).cmp(&key(b))
        });
        self.cluster
    }

    /// DNS is where the objects say it is; where they don't, it is assumed to be `k8s-app: kube-dns` in `kube-system` on
    /// port 53, which is what kubeadm, kind, k3s and the managed services install.
    fn assume_dns(&mut self) {
        let service = self.services.iter().map(|(s, _)| s).find(|s| is_dns_service(&s.metadata));
        let (namespace, labels) = match service {
            Some(s) => (s.metadata.namespace.clone(), s.spec.selector.clone().unwrap_or_default()),
            None => ("kube-system".to_owned(), StringMap::from([("k8s-app", "kube-dns")])),
        };
        let selected =
            |m: &Metadata, ns: &str| ns == namespace && labels.iter().all(|(k, v)| m.labels.get(k) == Some(v));
        let known = self.pods.iter().any(|(p, _)| selected(&p.metadata, &p.metadata.namespace))
            || self.workloads.iter().any(|(w, _)| selected(&w.template.metadata, &w.metadata.namespace))
            || self.slices.iter().any(|s| {
                let of = s.metadata.labels.get("kubernetes.io/service-name");
                s.metadata.namespace == namespace
                    && of.is_some_and(|of| service.is_some_and(|d| *of == d.metadata.name))
            });
        if service.is_some() && known {
            return;
        }
        let with_service = service.is_none();
        self.namespaces.entry(namespace.clone()).or_insert(None);
        self.cluster.assumptions.push(Assumption::ClusterDns);
        self.assumed_dns = Some(AssumedDns { namespace, labels, pod: !known, service: with_service });
    }

    fn finish_namespaces(&mut self) {
        for (name, known) in std::mem::take(&mut self.namespaces) {
            let (labels, ignore, origin) = match known {
                Some((labels, ignore, origin)) => (labels, ignore, Some(origin)),
                None => (self.intern.labels(StringMap::from([(NAMESPACE_NAME_LABEL, name.as_str())])), None, None),
            };
            let name = self.intern.str(&name);
            self.cluster.namespaces.push(Namespace { name, labels, origin, ignore, pods: 0..0, services: 0..0 });
        }
    }

    fn finish_nodes(&mut self) {
        for (name, known) in std::mem::take(&mut self.nodes) {
            let name = self.intern.str(&name);
            self.node_ids.insert(name.clone(), NodeId(self.cluster.nodes.len() as u32));
            let node = match known {
                Some((node, origin)) => Node {
                    name,
                    labels: self.intern.labels(node.metadata.labels),
                    addresses: node.status.addresses.iter().filter_map(|a| a.address.parse().ok()).collect(),
                    pod_cidrs: node.spec.pod_cidrs.iter().filter_map(|c| c.parse().ok()).collect(),
                    origin: Some(origin),
                },
                None => {
                    Node { name, labels: Arc::default(), addresses: Vec::new(), pod_cidrs: Vec::new(), origin: None }
                }
            };
            self.cluster.nodes.push(node);
        }
    }

    fn namespace_id(&self, name: &str) -> NamespaceId {
        // Every object's namespace was entered when it was added.
        self.cluster.namespace(name).unwrap_or(NamespaceId(0))
    }

    fn finish_pods(&mut self) {
        let owners = self.owners();
        let mut pods: Vec<Pod> = Vec::with_capacity(self.pods.len());
        let mut with_pods: FxHashSet<(NamespaceId, WorkloadRef)> = FxHashSet::default();
        let mut last = (String::new(), NamespaceId(0));
        for (mut pod, origin) in std::mem::take(&mut self.pods) {
            if last.0 != pod.metadata.namespace || pods.is_empty() {
                let namespace = std::mem::take(&mut pod.metadata.namespace);
                let id = self.namespace_id(&namespace);
                last = (namespace, id);
            }
            let namespace = last.1;
            let workload = self.workload_of(&pod.metadata, namespace, &owners);
            if let Some(workload) = &workload {
                with_pods.insert((namespace, workload.clone()));
            }
            pods.push(self.pod(*pod, namespace, workload, origin));
        }
        let mut empty = Vec::new();
        for (workload, origin) in std::mem::take(&mut self.workloads) {
            let namespace = self.namespace_id(&workload.metadata.namespace);
            let owned = workload.metadata.owner_references.iter().any(|o| {
                let owner = WorkloadRef { kind: self.intern.text(&o.kind), name: self.intern.text(&o.name) };
                o.controller && owners.contains_key(&(namespace, owner))
            });
            let reference =
                WorkloadRef { kind: self.intern.str(&workload.kind), name: self.intern.str(&workload.metadata.name) };
            if owned || with_pods.contains(&(namespace, reference.clone())) {
                continue;
            }
            if workload.replicas == Some(0) {
                empty.push((namespace, reference));
                continue;
            }
            let template = wire::Pod {
                metadata: Metadata {
                    name: workload.metadata.name.clone(),
                    namespace: workload.metadata.namespace.clone(),
                    ..workload.template.metadata
                },
                spec: workload.template.spec,
                status: wire::PodStatus::default(),
            };
            let mut pod = self.pod(template, namespace, Some(reference), origin);
            pod.template = true;
            pods.push(pod);
        }
        pods.extend(self.assumed_dns_pod());
        pods.sort_by(|a, b| (a.namespace, &a.name, &a.workload).cmp(&(b.namespace, &b.name, &b.workload)));
        for (index, pod) in pods.iter().enumerate() {
            let range = &mut self.cluster.namespaces[pod.namespace.index()].pods;
            if range.end == 0 {
                range.start = index as u32;
            }
            range.end = index as u32 + 1;
            if let Some(workload) = &pod.workload {
                self.cluster.workloads.entry((pod.namespace, workload.clone())).or_default().push(PodId(index as u32));
            }
        }
        for key in empty {
            self.cluster.workloads.entry(key).or_default();
        }
        self.cluster.pods = pods;
    }

    fn assumed_dns_pod(&mut self) -> Option<Pod> {
        let assumed = self.assumed_dns.as_ref().filter(|a| a.pod)?;
        let namespace = self.cluster.namespace(&assumed.namespace)?;
        let labels = assumed.labels.clone();
        let port = |name: &str, protocol, intern: &mut Interner| ContainerPort {
            name: Some(intern.str(name)),
            number: 53,
            protocol,
            container: ContainerKind::Regular,
        };
        let ports =
            vec![port("dns", Protocol::Udp, &mut self.intern), port("dns-tcp", Protocol::Tcp, &mut self.intern)];
        Some(Pod {
            namespace,
            name: self.intern.str("coredns"),
            labels: self.intern.labels(labels),
            ips: Vec::new(),
            node: None,
            host_network: false,
            phase: Phase::Running,
            ready: true,
            terminating: false,
            ports: self.intern.ports(ports),
            workload: None,
            service_account: self.intern.str("coredns"),
            hostname: None,
            origin: None,
            template: false,
        })
    }

    /// The controller of every workload that is known, none where it has no controller.
    fn owners(&mut self) -> Owners {
        let mut out = Owners::default();
        for (workload, _) in &self.workloads {
            let namespace = self.cluster.namespace(&workload.metadata.namespace).unwrap_or(NamespaceId(0));
            let intern = &mut self.intern;
            let own = WorkloadRef { kind: intern.str(&workload.kind), name: intern.str(&workload.metadata.name) };
            let owner = workload.metadata.owner_references.iter().find(|o| o.controller);
            let owner = owner.map(|o| WorkloadRef { kind: intern.text(&o.kind), name: intern.text(&o.name) });
            out.insert((namespace, own), owner);
        }
        out
    }

    fn workload_of(&mut self, metadata: &Metadata, namespace: NamespaceId, owners: &Owners) -> Option<WorkloadRef> {
        let owner = metadata.owner_references.iter().find(|o| o.controller).or(metadata.owner_references.first())?;
        if owner.kind == "Node" {
            return None;
        }
        let own = WorkloadRef { kind: self.intern.text(&owner.kind), name: self.intern.text(&owner.name) };
        if owners.is_empty() {
            return Some(self.deployment(metadata, own));
        }
        let key = (namespace, own);
        match owners.get(&key) {
            Some(Some(above)) => Some(above.clone()),
            _ => Some(self.deployment(metadata, key.1)),
        }
    }

    /// The Deployment that a ReplicaSet's name betrays: the deployment controller names its ReplicaSets DEPLOYMENT-HASH and labels
    /// their pods with the hash.
    fn deployment(&mut self, metadata: &Metadata, owner: WorkloadRef) -> WorkloadRef {
        if &*owner.kind == "ReplicaSet"
            && let Some(hash) = metadata.labels.get("pod-template-hash")
            && let Some(deployment) = owner.name.strip_suffix(hash.as_str()).and_then(|n| n.strip_suffix('-'))
        {
            return WorkloadRef { kind: self.intern.str("Deployment"), name: self.intern.str(deployment) };
        }
        owner
    }

    fn pod(&mut self, pod: wire::Pod, namespace: NamespaceId, workload: Option<WorkloadRef>, origin: Origin) -> Pod {
        let spec = pod.spec;
        let mut ports = Vec::new();
        let regular = spec.containers.iter().map(|c| (c, ContainerKind::Regular));
        let init = spec
            .init_containers
            .iter()
            .map(|c| (c, if c.restart_policy == "Always" { ContainerKind::Sidecar } else { ContainerKind::Init }));
        for (container, kind) in regular.chain(init) {
            for port in &container.ports {
                let Ok(number) = u16::try_from(port.container_port) else { continue };
                let Some(protocol) = protocol(&port.protocol) else { continue };
                ports.push(ContainerPort {
                    name: (!port.name.is_empty()).then(|| self.intern.text(&port.name)),
                    number,
                    protocol,
                    container: kind,
                });
            }
        }
        let mut ips: Vec<IpAddr> = pod.status.pod_ips.iter().filter_map(|ip| ip.ip.parse().ok()).collect();
        if let Ok(ip) = pod.status.pod_ip.parse::<IpAddr>()
            && !ips.contains(&ip)
        {
            ips.insert(0, ip);
        }
        ips.iter().for_each(|ip| self.cluster.families[usize::from(ip.is_ipv6())] = true);
        let node = self.node_ids.get(spec.node_name.as_str()).copied();
        let ready = pod.status.conditions.iter().find(|c| c.kind == "Ready").map(|c| c.status == "True");
        let phase = match pod.status.phase.as_str() {
            "Succeeded" | "Failed" => Phase::Finished,
            "Pending" => Phase::Pending,
            _ => Phase::Running,
        };
        let account = match &spec.service_account_name {
            named if !named.is_empty() => self.intern.text(named),
            _ => self.intern.str("default"),
        };
        let name = if pod.metadata.name.is_empty() { &pod.metadata.generate_name } else { &pod.metadata.name };
        Pod {
            namespace,
            name: name.as_str().into(),
            labels: self.intern.labels(pod.metadata.labels),
            ips,
            node,
            host_network: spec.host_network,
            phase,
            // A manifest has no status: it is taken as it is meant to be.
            ready: ready.unwrap_or(pod.status.phase.is_empty() || pod.status.phase == "Running"),
            terminating: pod.metadata.deletion_timestamp.is_some(),
            ports: self.intern.ports(ports),
            workload,
            service_account: account,
            hostname: (!spec.subdomain.is_empty())
                .then(|| (self.intern.str(&spec.hostname), self.intern.str(&spec.subdomain))),
            origin: Some(origin),
            template: false,
        }
    }
}

/// A protocol as objects write it; missing means TCP.
fn protocol(name: &str) -> Option<Protocol> {
    if name.is_empty() { Some(Protocol::Tcp) } else { Protocol::parse(name) }
}
