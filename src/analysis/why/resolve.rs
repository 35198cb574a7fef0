//! A name as a pod dials it, and what it leads to: the search path of its namespace, Services, pods, addresses, outside.

use std::net::IpAddr;

use super::run::Examined;
use super::{addresses, drivers};
use crate::model::query::{Host, Kind, ObjectSpec, PortSpec, Target, TargetSpec, nearest};
use crate::model::{NamespaceId, PodId, Protocol, ServiceId};

/// What a name leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Resolved {
    /// Something the cluster or the internet has.
    Found(Target),
    /// A name of this cluster that nothing has; names that may have been meant.
    Missing(Vec<String>),
    /// The pod itself.
    Own,
}

/// Follows a name from a pod.
pub(super) fn resolve(pod: &Examined<'_>, host: &str) -> Resolved {
    if addresses::own(host) {
        return Resolved::Own;
    }
    let cluster = pod.case.evaluator.cluster;
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let alias = pod.pod.spec.host_aliases.iter().find(|a| a.hostnames.iter().any(|n| n.eq_ignore_ascii_case(&host)));
    let address = alias.map_or(host.as_str(), |a| a.ip.as_str()).trim_matches(['[', ']']);
    let ask = |host: Host| {
        let spec = TargetSpec { text: String::new(), host, port: None, protocol: Protocol::Tcp };
        cluster.resolve_target(&spec, pod.namespace()).map(|r| r.what)
    };
    if let Ok(ip) = address.parse::<IpAddr>() {
        if pod.id.is_some_and(|id| cluster.pods[id.index()].ips.contains(&ip)) {
            return Resolved::Own;
        }
        return match ask(Host::Address(ip)) {
            Ok(target) => Resolved::Found(target),
            Err(_) => Resolved::Found(Target::Address(ip)),
        };
    }
    let name = |kind, name: String| Host::Object(ObjectSpec { namespace: None, kind, name });
    if !host.contains('.') {
        // The first entry of the search path is the pod's own namespace; only Services have names there.
        return match ask(name(Some(Kind::Service), host.clone())) {
            Ok(target) => Resolved::Found(target),
            Err(_) => Resolved::Missing(like(pod, &host, None)),
        };
    }
    let labels: Vec<&str> = host.split('.').collect();
    // `db-0.db` is a name under a headless Service of the pod's own namespace, by the search path.
    if let [_, service] = labels.as_slice()
        && cluster.namespace(service).is_none()
        && let Some(own) = cluster.namespace(pod.namespace())
        && cluster.service(own, service).is_some()
    {
        return match ask(name(None, format!("{host}.{}.svc", pod.namespace()))) {
            Ok(target) => Resolved::Found(target),
            Err(_) => Resolved::Missing(Vec::new()),
        };
    }
    let in_cluster = host.ends_with(".svc") || host.contains(".svc.") || host.ends_with(".cluster.local");
    match ask(name(None, host.clone())) {
        Ok(Target::Name(_)) if in_cluster => Resolved::Missing(like(pod, labels[0], labels.get(1).copied())),
        Ok(target) => Resolved::Found(target),
        Err(_) => Resolved::Missing(like(pod, labels[0], labels.get(1).copied())),
    }
}

/// Services that a wrong name may have meant, as they would be dialled.
pub(super) fn like(pod: &Examined<'_>, service: &str, namespace: Option<&str>) -> Vec<String> {
    let cluster = pod.case.evaluator.cluster;
    let mut out = Vec::new();
    let name_of = |id: NamespaceId| cluster.namespaces[id.index()].name.to_string();
    let services = |id: NamespaceId| {
        let range = cluster.namespaces[id.index()].services.clone();
        cluster.services[range.start as usize..range.end as usize]
            .iter()
            .map(|s| s.name.to_string())
            .collect::<Vec<_>>()
    };
    let wanted = namespace.unwrap_or(pod.namespace());
    if let Some(id) = cluster.namespace(wanted) {
        let all = services(id);
        if let Some(near) = nearest(service, all.iter().map(String::as_str)) {
            out.push(if namespace.is_some() { format!("{near}.{wanted}") } else { near.to_owned() });
        }
    }
    for index in 0..cluster.namespaces.len().min(10_000) {
        let id = NamespaceId(index as u32);
        if cluster.service(id, service).is_some() && name_of(id) != wanted {
            out.push(format!("{service}.{}", name_of(id)));
        }
        if out.len() >= 3 {
            break;
        }
    }
    out.dedup();
    out
}

impl Resolved {
    /// For people: `Service c-db/postgres`, `203.0.113.10, outside the cluster`.
    pub(super) fn describe(&self, pod: &Examined<'_>) -> String {
        let cluster = pod.case.evaluator.cluster;
        match self {
            Self::Own => "the pod itself".to_owned(),
            Self::Missing(_) => "nothing: no object has this name".to_owned(),
            Self::Found(target) => match target {
                Target::Service(id) | Target::ServiceAddress(id, _) | Target::NodePort(id, _) => {
                    format!("Service {}", cluster.service_name(*id))
                }
                Target::PodByName(id) => format!("pod {}", cluster.pod_name(*id)),
                Target::Pods(pods) => match pods.first() {
                    Some(id) => format!("pod {}", cluster.pod_name(*id)),
                    None => "no pod".to_owned(),
                },
                Target::Node(id) => format!("node {}", cluster.nodes[id.index()].name),
                Target::Address(ip) => format!("{ip}, outside the cluster"),
                Target::Name(name) => format!("{name}, outside the cluster"),
            },
        }
    }

    /// The Service.
    pub(super) fn service(&self) -> Option<ServiceId> {
        match self {
            Self::Found(Target::Service(id) | Target::ServiceAddress(id, _)) => Some(*id),
            _ => None,
        }
    }

    /// The pod, where it is one alone.
    pub(super) fn pod(&self) -> Option<PodId> {
        match self {
            Self::Found(Target::PodByName(id)) => Some(*id),
            Self::Found(Target::Pods(pods)) => pods.first().copied(),
            _ => None,
        }
    }

    /// The port to ask for where none is known: the Service's only one, or that of the family.
    pub(super) fn port(&self, pod: &Examined<'_>, scheme: Option<&str>, families: &[&str]) -> Option<u16> {
        let cluster = pod.case.evaluator.cluster;
        let ports: Vec<u16> = self
            .service()
            .map(|id| {
                cluster.services[id.index()]
                    .ports
                    .iter()
                    .filter(|p| p.protocol == Protocol::Tcp)
                    .map(|p| p.number)
                    .collect()
            })
            .unwrap_or_default();
        let by_scheme = scheme.and_then(drivers::port_of_scheme);
        if let Some(port) = by_scheme
            && (ports.is_empty() || ports.contains(&port) || matches!(scheme, Some("http" | "https")))
        {
            return Some(port);
        }
        let by_family =
            families.iter().filter_map(|f| drivers::port_of_scheme(f)).find(|p| ports.is_empty() || ports.contains(p));
        by_family.or_else(|| ports.first().copied()).or(by_scheme)
    }
}

/// As the evaluator takes a port.
pub(super) fn spec(port: u16) -> PortSpec {
    PortSpec::Number(port)
}
