//! The question: who asks for what. Parsing of CLIENT and TARGET (DESIGN, "The command line") and what they name.

use std::fmt;
use std::net::IpAddr;

use super::{Cluster, NamespaceId, NodeId, Phase, PodId, Protocol, ServiceId, Str, WorkloadRef};

/// A question that can't be asked: what is wrong with it and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do, a line each.
    pub helps: Vec<String>,
}

impl QueryError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), helps: Vec::new() }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.helps.push(help.into());
        self
    }
}

/// Kinds that a name on the command line may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A Service.
    Service,
    /// A node.
    Node,
    /// A workload, by its kind.
    Workload(&'static str),
}

impl Kind {
    /// From what `kubectl` takes: singular, plural, short name, with or without the group.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let plain = text.split_once('.').map_or(text.as_str(), |(kind, _)| kind);
        Some(match plain {
            "pod" | "pods" | "po" => Self::Pod,
            "service" | "services" | "svc" => Self::Service,
            "node" | "nodes" | "no" => Self::Node,
            "deployment" | "deployments" | "deploy" => Self::Workload("Deployment"),
            "statefulset" | "statefulsets" | "sts" => Self::Workload("StatefulSet"),
            "daemonset" | "daemonsets" | "ds" => Self::Workload("DaemonSet"),
            "replicaset" | "replicasets" | "rs" => Self::Workload("ReplicaSet"),
            "replicationcontroller" | "replicationcontrollers" | "rc" => Self::Workload("ReplicationController"),
            "job" | "jobs" => Self::Workload("Job"),
            "cronjob" | "cronjobs" | "cj" => Self::Workload("CronJob"),
            _ => return None,
        })
    }

    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::Node => "Node",
            Self::Workload(kind) => kind,
        }
    }
}

/// A name with what was said of its namespace and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSpec {
    /// Namespace, where it was given.
    pub namespace: Option<String>,
    /// Kind, where it was given.
    pub kind: Option<Kind>,
    /// Name.
    pub name: String,
}

impl ObjectSpec {
    fn parse(text: &str, what: &str) -> Result<Self, QueryError> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|p| p.is_empty()) {
            return Err(QueryError::new(format!("`{text}` is not a {what}: a part is empty"))
                .help(format!("write [NAMESPACE/][KIND/]NAME, such as shop/deploy/web for a {what}")));
        }
        let spec = match parts.as_slice() {
            [name] => Self { namespace: None, kind: None, name: (*name).to_owned() },
            // A known kind wins over a namespace.
            [first, name] => match Kind::parse(first) {
                Some(kind) => Self { namespace: None, kind: Some(kind), name: (*name).to_owned() },
                None => Self { namespace: Some((*first).to_owned()), kind: None, name: (*name).to_owned() },
            },
            [namespace, kind, name] => {
                let Some(kind) = Kind::parse(kind) else {
                    return Err(QueryError::new(format!("`{kind}` is not a kind that can be named here"))
                        .help("one of pod, svc, deploy, sts, ds, rs, job, cronjob, node"));
                };
                Self { namespace: Some((*namespace).to_owned()), kind: Some(kind), name: (*name).to_owned() }
            }
            _ => {
                return Err(QueryError::new(format!("`{text}` is not a {what}: too many parts"))
                    .help("write [NAMESPACE/][KIND/]NAME"));
            }
        };
        Ok(spec)
    }
}

impl fmt::Display for ObjectSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        if let Some(kind) = self.kind {
            write!(f, "{}/", kind.name().to_ascii_lowercase())?;
        }
        f.write_str(&self.name)
    }
}

/// CLIENT as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientSpec {
    /// A pod or a workload.
    Object(ObjectSpec),
    /// `ip:ADDRESS`.
    Address(IpAddr),
    /// `internet`.
    Internet,
}

impl std::str::FromStr for ClientSpec {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "internet" {
            return Ok(Self::Internet);
        }
        if let Some(address) = text.strip_prefix("ip:") {
            return match unbracket(address).parse() {
                Ok(ip) => Ok(Self::Address(ip)),
                Err(_) => Err(QueryError::new(format!("`{address}` is not an IP address"))
                    .help("write ip:10.1.2.3 or ip:fd00::1; a client has no port")),
            };
        }
        if let Ok(ip) = unbracket(text).parse() {
            return Ok(Self::Address(ip));
        }
        if text.contains(':') {
            return Err(QueryError::new(format!("`{text}` is not a client: a client has no port"))
                .help("write CLIENT TARGET:PORT, such as frontend cart:8080"));
        }
        Ok(Self::Object(ObjectSpec::parse(text, "client")?))
    }
}

/// The port of a target, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSpec {
    /// A number.
    Number(u16),
    /// A name.
    Name(String),
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What TARGET names, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An object, or a DNS name without slashes.
    Object(ObjectSpec),
    /// An address.
    Address(IpAddr),
}

/// TARGET as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// What it names.
    pub host: Host,
    /// Port, where one was given.
    pub port: Option<PortSpec>,
    /// Protocol: TCP unless said.
    pub protocol: Protocol,
    /// The text.
    pub text: String,
}

impl std::str::FromStr for TargetSpec {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let usage = "write NAME:PORT[/PROTOCOL], such as cart:8080, shop/cart:http, deploy/api:53/udp, 10.0.0.1:443, [fd00::1]:443";
        if text.is_empty() {
            return Err(QueryError::new("the target is empty").help(usage));
        }
        if text.contains("://") {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            let host = rest.split(['/', '?']).next().unwrap_or_default();
            let host = host.rsplit_once('@').map_or(host, |(_, h)| h);
            return Err(QueryError::new("the target is a URL, not a host and a port")
                .help(format!("did you mean `{host}`?"))
                .help(usage));
        }
        let (host, rest) = split_host(text);
        let Some(rest) = rest else {
            let host = parse_host(host, usage)?;
            return Ok(Self { host, port: None, protocol: Protocol::Tcp, text: text.to_owned() });
        };
        let (port, protocol) = match rest.split_once('/') {
            None => (rest, Protocol::Tcp),
            Some((port, name)) => match Protocol::parse(name) {
                Some(protocol) if Protocol::WITH_PORTS.contains(&protocol) => (port, protocol),
                _ => {
                    return Err(
                        QueryError::new(format!("`{name}` is not a protocol with ports")).help("one of tcp, udp, sctp")
                    );
                }
            },
        };
        Ok(Self {
            host: parse_host(host, usage)?,
            port: Some(parse_port(port, usage)?),
            protocol,
            text: text.to_owned(),
        })
    }
}

/// Splits at the last colon outside brackets; an address of IPv6 without brackets has no port.
fn split_host(text: &str) -> (&str, Option<&str>) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    if let Some(end) = text.find(']') {
        return match text[end + 1..].strip_prefix(':') {
            Some(port) => (&text[..=end], Some(port)),
            None => (text, None),
        };
    }
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

fn unbracket(text: &str) -> &str {
    text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text)
}

fn parse_host(host: &str, usage: &str) -> Result<Host, QueryError> {
    if let Ok(ip) = unbracket(host).parse() {
        return Ok(Host::Address(ip));
    }
    if host.contains([':', '[', ']']) {
        return Err(QueryError::new(format!("`{host}` is not a host")).help(usage));
    }
    Ok(Host::Object(ObjectSpec::parse(host, "target")?))
}

fn parse_port(port: &str, usage: &str) -> Result<PortSpec, QueryError> {
    if port.is_empty() {
        return Err(QueryError::new("the target's port is empty").help(usage));
    }
    if port.bytes().all(|b| b.is_ascii_digit()) {
        return match port.parse() {
            Ok(number) if number > 0 => Ok(PortSpec::Number(number)),
            _ => Err(QueryError::new(format!("`{port}` is not a port")).help("ports are 1 to 65535")),
        };
    }
    let name = port.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if name && port.len() <= 63 {
        Ok(PortSpec::Name(port.to_owned()))
    } else {
        Err(QueryError::new(format!("`{port}` is neither a port number nor a port name")).help(usage))
    }
}

/// A client that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    /// Pods: one, or all of a workload.
    Pods(Vec<PodId>),
    /// A node.
    Node(NodeId),
    /// An address that no object has.
    Address(IpAddr),
    /// Anywhere on the internet.
    Internet,
}

/// A target that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A Service, dialled by name.
    Service(ServiceId),
    /// A Service, dialled by one of its addresses.
    ServiceAddress(ServiceId, IpAddr),
    /// A port of every node, which leads to a Service.
    NodePort(ServiceId, NodeId),
    /// Pods: one, or all of a workload.
    Pods(Vec<PodId>),
    /// A pod, dialled by the name that a headless Service gives it.
    PodByName(PodId),
    /// A node.
    Node(NodeId),
    /// An address that no object has, or one of the two that a dual-stack object has.
    Address(IpAddr),
    /// A DNS name that no object has, in lower case without a final dot.
    Name(Str),
}

/// A result with what is to be said about how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<T> {
    /// What was named.
    pub what: T,
    /// Facts, such as which of two objects of that name was taken.
    pub notes: Vec<String>,
}

/// The domain of the cluster's DNS names; another one can be configured, but this is what every installer sets.
const CLUSTER_DOMAIN: &str = "cluster.local";

impl Cluster {
    /// Finds what CLIENT names. A bare name is a pod first, then a workload.
    pub fn resolve_client(&self, spec: &ClientSpec, namespace: &str) -> Result<Resolved<Client>, QueryError> {
        let plain = |what| Resolved { what, notes: Vec::new() };
        match spec {
            ClientSpec::Internet => Ok(plain(Client::Internet)),
            ClientSpec::Address(ip) => Ok(plain(match (self.pod_by_ip(*ip), self.node_by_ip(*ip)) {
                (Some(pod), _) => Client::Pods(vec![pod]),
                (None, Some(node)) => Client::Node(node),
                (None, None) => Client::Address(*ip),
            })),
            ClientSpec::Object(spec) if spec.kind == Some(Kind::Node) => {
                self.node_named(&spec.name).map(|n| plain(Client::Node(n)))
            }
            ClientSpec::Object(spec) => {
                let id = self.existing_namespace(spec.namespace.as_deref().unwrap_or(namespace), spec)?;
                if spec.kind == Some(Kind::Service) {
                    return Err(QueryError::new(format!("a Service can't be a client: `{spec}`"))
                        .help("name the pod or the workload that connects"));
                }
                match self.pods_named(id, spec)? {
                    Some(found) => Ok(Resolved { what: Client::Pods(found.what), notes: found.notes }),
                    None => Err(self.not_found(id, spec, false)),
                }
            }
        }
    }

    /// Finds what TARGET names. A bare name is a Service first, then a pod, then a workload; an object wins over a DNS name.
    pub fn resolve_target(&self, spec: &TargetSpec, namespace: &str) -> Result<Resolved<Target>, QueryError> {
        let object = match &spec.host {
            Host::Address(ip) => {
                return Ok(Resolved { what: self.target_at(*ip, spec), notes: Vec::new() });
            }
            Host::Object(object) => object,
        };
        if object.kind == Some(Kind::Node) {
            let node = self.node_named(&object.name)?;
            return Ok(Resolved { what: self.node_target(node, spec), notes: Vec::new() });
        }
        let bare = object.namespace.is_none() && object.kind.is_none();
        let dns_like = bare && object.name.contains('.');
        let in_namespace = object.namespace.as_deref().unwrap_or(namespace);
        if let Some(id) = self.namespace(in_namespace)
            && let Some(found) = self.object_target(id, object)?
        {
            return Ok(found);
        }
        if dns_like {
            return self.dns_target(&object.name);
        }
        let id = self.existing_namespace(in_namespace, object)?;
        Err(self.not_found(id, object, true))
    }

    fn object_target(&self, namespace: NamespaceId, spec: &ObjectSpec) -> Result<Option<Resolved<Target>>, QueryError> {
        let service = match spec.kind {
            None | Some(Kind::Service) => self.service(namespace, &spec.name),
            _ => None,
        };
        if let Some(service) = service {
            let mut notes = Vec::new();
            if spec.kind.is_none() && self.pod(namespace, &spec.name).is_some_and(|p| !self.pods[p.index()].template) {
                notes.push(format!(
                    "`{}` is both a Service and a pod: the Service was taken; write pod/{} for the pod",
                    spec.name, spec.name
                ));
            }
            return Ok(Some(Resolved { what: Target::Service(service), notes }));
        }
        if spec.kind == Some(Kind::Service) {
            return Ok(None);
        }
        let found = self.pods_named(namespace, spec)?;
        Ok(found.map(|f| Resolved { what: Target::Pods(f.what), notes: f.notes }))
    }

    fn target_at(&self, ip: IpAddr, spec: &TargetSpec) -> Target {
        let service = |matches: &dyn Fn(&super::Service) -> bool| {
            self.services.iter().position(matches).map(|i| ServiceId(i as u32))
        };
        if let Some(id) = service(&|s| s.cluster_ips.contains(&ip) || s.external_ips.contains(&ip)) {
            return Target::ServiceAddress(id, ip);
        }
        // An address stands for its object, unless the object has one of the other family too, which is not dialled then.
        let both = |addresses: &[IpAddr]| addresses.iter().any(|a| a.is_ipv6() != ip.is_ipv6());
        match (self.pod_by_ip(ip), self.node_by_ip(ip)) {
            (Some(pod), _) if both(&self.pods[pod.index()].ips) => Target::Address(ip),
            (Some(pod), _) => Target::Pods(vec![pod]),
            (None, Some(node)) => match self.node_target(node, spec) {
                Target::Node(node) if both(&self.nodes[node.index()].addresses) => Target::Address(ip),
                target => target,
            },
            (None, None) => Target::Address(ip),
        }
    }

    fn node_target(&self, node: NodeId, spec: &TargetSpec) -> Target {
        if let Some(PortSpec::Number(number)) = spec.port {
            let found = self
                .services
                .iter()
                .position(|s| s.ports.iter().any(|p| p.node_port == Some(number) && p.protocol == spec.protocol));
            if let Some(index) = found {
                return Target::NodePort(ServiceId(index as u32), node);
            }
        }
        Target::Node(node)
    }

    fn node_named(&self, name: &str) -> Result<NodeId, QueryError> {
        self.node(name).ok_or_else(|| {
            let mut error = QueryError::new(format!("node `{name}` not found"));
            if let Some(near) = nearest(name, self.nodes.iter().map(|n| &*n.name)) {
                error = error.help(format!("did you mean `node/{near}`?"));
            }
            error
        })
    }

    fn existing_namespace(&self, name: &str, spec: &ObjectSpec) -> Result<NamespaceId, QueryError> {
        self.namespace(name).ok_or_else(|| {
            let mut error = QueryError::new(format!("namespace `{name}` not found"));
            let near: Vec<String> = self.elsewhere(&spec.name, None);
            if !near.is_empty() {
                error = error.help(format!("did you mean {}?", near.join(" or ")));
            } else if let Some(near) = nearest(name, self.namespaces.iter().map(|n| &*n.name)) {
                error = error.help(format!("did you mean namespace `{near}`?"));
            } else if self.namespaces.len() <= 8 {
                let all: Vec<String> = self.namespaces.iter().map(|n| format!("`{}`", n.name)).collect();
                error = error.help(format!("the objects are in {}", all.join(", ")));
            }
            error
        })
    }

    /// The pods of a name: a pod, or those of a workload.
    fn pods_named(
        &self,
        namespace: NamespaceId,
        spec: &ObjectSpec,
    ) -> Result<Option<Resolved<Vec<PodId>>>, QueryError> {
        let mut notes = Vec::new();
        if matches!(spec.kind, None | Some(Kind::Pod))
            && let Some(pod) = self.pod(namespace, &spec.name)
            && (spec.kind.is_some() || !self.pods[pod.index()].template)
        {
            return Ok(Some(Resolved { what: vec![pod], notes }));
        }
        let mut found: Vec<(&WorkloadRef, &Vec<PodId>)> = self
            .workloads
            .iter()
            .filter(|((n, w), _)| {
                *n == namespace
                    && *w.name == *spec.name
                    && match spec.kind {
                        None => true,
                        Some(Kind::Workload(kind)) => *w.kind == *kind,
                        Some(_) => false,
                    }
            })
            .map(|((_, w), pods)| (w, pods))
            .collect();
        found.sort();
        let Some((workload, pods)) = found.first() else {
            return Ok(self.pod_of_stateful_set(namespace, spec).map(|pod| Resolved { what: vec![pod], notes }));
        };
        if found.len() > 1 {
            notes.push(format!(
                "`{}` is the name of several workloads: {} was taken; write KIND/{} for another",
                spec.name, workload.kind, spec.name
            ));
        }
        let alive: Vec<PodId> =
            pods.iter().copied().filter(|p| self.pods[p.index()].phase != Phase::Finished).collect();
        match (alive.is_empty(), pods.is_empty()) {
            (false, _) => Ok(Some(Resolved { what: alive, notes })),
            (true, true) => Err(QueryError::new(format!("{} `{}` has no pods", workload.kind, spec.name))
                .help("it is scaled to 0 replicas")),
            (true, false) => {
                Err(QueryError::new(format!("all pods of {} `{}` have finished", workload.kind, spec.name))
                    .help("a finished pod has no network; name one that runs"))
            }
        }
    }

    /// `db-0` where only the template of StatefulSet `db` is known.
    fn pod_of_stateful_set(&self, namespace: NamespaceId, spec: &ObjectSpec) -> Option<PodId> {
        if !matches!(spec.kind, None | Some(Kind::Pod)) {
            return None;
        }
        let (name, ordinal) = spec.name.rsplit_once('-')?;
        ordinal.parse::<u32>().ok()?;
        let key = (namespace, WorkloadRef { kind: "StatefulSet".into(), name: name.into() });
        let pod = *self.workloads.get(&key)?.first()?;
        self.pods[pod.index()].template.then_some(pod)
    }

    /// What a DNS name leads to: `SERVICE.NAMESPACE[.svc[.cluster.local]]`, `POD.SERVICE.NAMESPACE…`, or outside.
    fn dns_target(&self, name: &str) -> Result<Resolved<Target>, QueryError> {
        let lower = name.trim_end_matches('.').to_ascii_lowercase();
        if lower.is_empty() || lower.split('.').any(|l| l.is_empty() || l.len() > 63) || lower.len() > 253 {
            return Err(QueryError::new(format!("`{name}` is not a DNS name")));
        }
        let inside = lower.strip_suffix(CLUSTER_DOMAIN).map_or(lower.as_str(), |n| n.trim_end_matches('.'));
        let qualified = inside.strip_suffix(".svc");
        let labels: Vec<&str> = qualified.unwrap_or(inside).split('.').collect();
        let found = match labels.as_slice() {
            [service, namespace] => {
                self.namespace(namespace).map(|id| (self.service(id, service).map(Target::Service), id, *service))
            }
            [pod, service, namespace] => self.namespace(namespace).map(|id| {
                let target = self.pod_under(id, service, pod).map(Target::PodByName);
                (target, id, *service)
            }),
            _ => None,
        };
        match found {
            Some((Some(target), ..)) => Ok(Resolved { what: target, notes: Vec::new() }),
            Some((None, id, service)) => {
                let spec = ObjectSpec { namespace: None, kind: Some(Kind::Service), name: service.to_owned() };
                let mut error = self.not_found(id, &spec, true);
                if labels.len() == 3 {
                    error.message = format!("no pod answers to `{name}`");
                }
                Err(error)
            }
            None if qualified.is_some() || inside.len() != lower.len() => {
                Err(QueryError::new(format!("`{name}` is a name of the cluster, but nothing has it"))
                    .help("names of Services are SERVICE.NAMESPACE.svc.cluster.local"))
            }
            None => Ok(Resolved { what: Target::Name(lower.into()), notes: Vec::new() }),
        }
    }

    /// The pod that a headless Service gives a name: its hostname, or a StatefulSet pod's own name.
    fn pod_under(&self, namespace: NamespaceId, service: &str, host: &str) -> Option<PodId> {
        let id = self.service(namespace, service)?;
        let named = self.pods_of(namespace).find(|p| {
            let pod = &self.pods[p.index()];
            match &pod.hostname {
                Some((hostname, subdomain)) => {
                    **subdomain == *service && (**hostname == *host || (hostname.is_empty() && *pod.name == *host))
                }
                None => false,
            }
        });
        named.or_else(|| {
            let spec = ObjectSpec { namespace: None, kind: Some(Kind::Pod), name: host.to_owned() };
            let selector = self.services[id.index()].selector.as_ref()?;
            self.pod_of_stateful_set(namespace, &spec)
                .or_else(|| self.pod(namespace, host))
                .filter(|p| self.pods[p.index()].labels.contains_all(selector))
        })
    }

    fn not_found(&self, namespace: NamespaceId, spec: &ObjectSpec, target: bool) -> QueryError {
        let name = &self.namespaces[namespace.index()].name;
        let what = match (spec.kind, target) {
            (Some(kind), _) => format!("{} `{}`", kind.name(), spec.name),
            (None, true) => format!("a Service, pod or workload `{}`", spec.name),
            (None, false) => format!("a pod or workload `{}`", spec.name),
        };
        let mut error = QueryError::new(format!("{what} not found in namespace `{name}`"));
        let elsewhere = self.elsewhere(&spec.name, Some(namespace));
        if !elsewhere.is_empty() {
            return error.help(format!("did you mean {}?", elsewhere.join(" or ")));
        }
        let in_namespace = |n: NamespaceId| n == namespace;
        let pods = self.pods_of(namespace).map(|p| &*self.pods[p.index()].name);
        let workloads = self.workloads.keys().filter(|(n, _)| in_namespace(*n)).map(|(_, w)| &*w.name);
        let services = self.services.iter().filter(|s| target && in_namespace(s.namespace)).map(|s| &*s.name);
        let mut names: Vec<&str> = pods.chain(workloads).chain(services).collect();
        names.sort_unstable();
        names.dedup();
        if let Some(near) = nearest(&spec.name, names.iter().copied()) {
            error = error.help(format!("did you mean `{near}`?"));
        } else if !names.is_empty() && names.len() <= 12 {
            error = error.help(format!("namespace `{name}` has {}", names.join(", ")));
        }
        error
    }

    /// Objects of this name in other namespaces, as they would be typed.
    fn elsewhere(&self, name: &str, except: Option<NamespaceId>) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for (index, namespace) in self.namespaces.iter().enumerate() {
            let id = NamespaceId(index as u32);
            if Some(id) == except {
                continue;
            }
            let known = self.service(id, name).is_some()
                || self.pod(id, name).is_some()
                || self.workloads.keys().any(|(n, w)| *n == id && *w.name == *name);
            if known {
                out.push(format!("`{}/{name}`", namespace.name));
            }
            if out.len() == 3 {
                break;
            }
        }
        out
    }
}

/// The candidate most like a name, where it is much like it.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|c| {
            let prefix = c.starts_with(name) || name.starts_with(c);
            (if prefix { 0.95 } else { strsim::jaro_winkler(name, c) }, c)
        })
        .filter(|(score, _)| *score >= 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> TargetSpec {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn targets_split_at_the_last_colon_outside_brackets() {
        let object = |ns: Option<&str>, kind, name: &str| {
            Host::Object(ObjectSpec { namespace: ns.map(str::to_owned), kind, name: name.to_owned() })
        };
        let cases = [
            ("cart:8080", object(None, None, "cart"), Some(PortSpec::Number(8080)), Protocol::Tcp),
            ("shop/cart:http", object(Some("shop"), None, "cart"), Some(PortSpec::Name("http".into())), Protocol::Tcp),
            (
                "shop/pod/db-0:5432",
                object(Some("shop"), Some(Kind::Pod), "db-0"),
                Some(PortSpec::Number(5432)),
                Protocol::Tcp,
            ),
            (
                "deploy/api:53/udp",
                object(None, Some(Kind::Workload("Deployment")), "api"),
                Some(PortSpec::Number(53)),
                Protocol::Udp,
            ),
            ("cart", object(None, None, "cart"), None, Protocol::Tcp),
            ("[fd00::1]:443", Host::Address("fd00::1".parse().unwrap()), Some(PortSpec::Number(443)), Protocol::Tcp),
            ("fd00::1", Host::Address("fd00::1".parse().unwrap()), None, Protocol::Tcp),
            (
                "10.0.0.1:443/sctp",
                Host::Address("10.0.0.1".parse().unwrap()),
                Some(PortSpec::Number(443)),
                Protocol::Sctp,
            ),
        ];
        for (text, host, port, protocol) in cases {
            let parsed = target(text);
            assert_eq!((parsed.host, parsed.port, parsed.protocol), (host, port, protocol), "{text}");
        }
    }

    #[test]
    fn targets_that_make_no_sense_are_refused() {
        for text in [
            "",
            "cart:",
            "cart:0",
            "cart:65536",
            "cart:80/icmp",
            "a/b/c/d:80",
            "http://cart:80",
            "cart:Http",
            "/cart:80",
            "x/y/z:80",
        ] {
            assert!(text.parse::<TargetSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_kind_wins_over_a_namespace_of_that_name() {
        let spec: ClientSpec = "pod/web".parse().unwrap();
        assert_eq!(spec, ClientSpec::Object(ObjectSpec { namespace: None, kind: Some(Kind::Pod), name: "web".into() }));
        assert_eq!("ip:10.1.2.3".parse::<ClientSpec>().unwrap(), ClientSpec::Address("10.1.2.3".parse().unwrap()));
        assert!("web:80".parse::<ClientSpec>().is_err());
    }
}
