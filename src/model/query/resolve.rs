//! What the names of a question stand for: objects of the cluster, addresses, names outside; or what was probably meant.

use std::net::IpAddr;

use super::{ClientSpec, Host, Kind, ObjectSpec, PortSpec, QueryError, TargetSpec};
use crate::model::{Cluster, NamespaceId, NodeId, Phase, PodId, Service, ServiceId, Str, WorkloadRef};

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
        let service =
            |matches: &dyn Fn(&Service) -> bool| self.services.iter().position(matches).map(|i| ServiceId(i as u32));
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
            let near: Vec<String> = self.elsewhere(&spec.name, None);
            if near.is_empty() {
                return self.without_namespace(name);
            }
            QueryError::new(format!("namespace `{name}` not found"))
                .help(format!("did you mean {}?", near.join(" or ")))
        })
    }

    /// That there is no such namespace, with which may have been meant.
    pub fn without_namespace(&self, name: &str) -> QueryError {
        let error = QueryError::new(format!("namespace `{name}` not found"));
        if let Some(near) = nearest(name, self.namespaces.iter().map(|n| &*n.name)) {
            error.help(format!("did you mean namespace `{near}`?"))
        } else {
            let all: Vec<String> = self.namespaces.iter().map(|n| format!("`{}`", n.name)).collect();
            // That of the cluster's DNS is read in any case, and says nothing where it is alone.
            let alone = matches!(all.as_slice(), [one] if one == "`kube-system`");
            if all.is_empty() || all.len() > 8 || alone {
                return error;
            }
            error.help(format!("the objects are in {}", all.join(", ")))
        }
    }

    /// Workloads of a name, and of the kind where one is given: the one that is taken first.
    fn workloads_named(&self, namespace: NamespaceId, spec: &ObjectSpec) -> Vec<(&WorkloadRef, &Vec<PodId>)> {
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
        found
    }

    /// The pods of a name, those that have ended among them: a pod, or all of a workload. Empty where there is none.
    pub fn pods_of_name(&self, namespace: NamespaceId, spec: &ObjectSpec) -> Vec<PodId> {
        if matches!(spec.kind, None | Some(Kind::Pod))
            && let Some(pod) = self.pod(namespace, &spec.name)
        {
            return vec![pod];
        }
        self.workloads_named(namespace, spec).first().map(|(_, pods)| (*pods).clone()).unwrap_or_default()
    }

    /// The pods of a name: a pod, or those of a workload that have not ended.
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
        let found = self.workloads_named(namespace, spec);
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

    /// Why a pod or workload has no pods here, with what may have been meant. `namespace` is where it is looked for.
    pub fn without_pods(&self, namespace: &str, spec: &ObjectSpec) -> QueryError {
        let id = match self.existing_namespace(namespace, spec) {
            Ok(id) => id,
            Err(error) => return error,
        };
        let Some((workload, pods)) = self.workloads_named(id, spec).into_iter().next() else {
            return self.not_found(id, spec, false);
        };
        let named = format!("`{}` has no pods in namespace `{namespace}`", spec.name);
        if pods.iter().any(|pod| self.pods[pod.index()].template) {
            return QueryError::new(format!("{named}, but a template of them"))
                .help("what happens to pods is told by the pods themselves: `kubectl get pods -o yaml`");
        }
        let read = format!("kubectl describe {} {} -n {namespace}", workload.kind.to_lowercase(), spec.name);
        QueryError::new(named).help(format!("is it scaled to none, or can't its pods be made? `{read}` tells"))
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
