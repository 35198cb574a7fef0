//! What is exposed, for machines: the analysis' exposures with ids and words.

use schemars::JsonSchema;
use serde::Serialize;

use super::ports::{ranges, words_of};
use super::{GraphEnd, PortRange};
use crate::analysis::exposure::controllers::Carrier;
use crate::analysis::exposure::outside::{Entry, Problem};
use crate::analysis::graph::{Exposure, Graph, Source, Through};
use crate::model::{Audience, Door, Protocol, RouteKind, ServiceKind};
use crate::report::check::Facts;

/// Ends that more than the pods that exist can reach, or that are meant to be reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphExposure {
    /// Ids of the ends; none for a way in that leads nowhere.
    pub to: Vec<String>,
    /// `outside`, `namespaces`, `any-pod`, `pods-to-come`.
    pub from: String,
    /// Who, in words: `internet`, `10.0.0.0/8`, `any pod`, `pods with app=x in namespaces with team=y`.
    pub who: String,
    /// The ports in words, those that policies close among them: `TCP 8080`, `TCP 8080 (blocked)`.
    pub summary: String,
    /// Open, to all of their pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<PortRange>,
    /// Open to some of their pods, closed to others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partial: Vec<PortRange>,
    /// Can't be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<PortRange>,
    /// Meant to be open, and closed by policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<PortRange>,
    /// Other namespaces with workloads that connect: the first of them, and how many there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// How many namespaces that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_count: Option<usize>,
    /// The way in from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<GraphThrough>,
    /// For pods to come: index in `rules` of the first rule that selects them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// What is to be said about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The way in from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphThrough {
    /// `LoadBalancer`, `NodePort`, `ExternalIPs`, `Ingress`, `HTTPRoute`, `GRPCRoute`, `TLSRoute`, `TCPRoute`, `UDPRoute`.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the Service or the route.
    pub name: String,
    /// The Gateway that carries a route: `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The Service that it leads to: `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The Service's ports, of a NodePort those of the nodes: `TCP 80,443`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// Who connects to the pods: `clients`, `pods`, `balancer` outside the cluster, `unknown`.
    pub carrier: String,
    /// Ids of those pods' ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carriers: Vec<String>,
    /// Why it leads nowhere, whatever the policies say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl GraphThrough {
    /// In a few words: `LoadBalancer shop/web:80`, `Ingress shop/web to Service shop/web:80`.
    pub(super) fn words(&self) -> String {
        let ports = self.ports.as_deref().unwrap_or_default();
        let short = ports.strip_prefix("TCP ").filter(|p| !p.contains(' ')).unwrap_or(ports);
        let at = |name: &str| if short.is_empty() { name.to_owned() } else { format!("{name}:{short}") };
        let own = format!("{}/{}", self.namespace, self.name);
        match (self.kind.as_str(), &self.service) {
            ("LoadBalancer" | "NodePort" | "ExternalIPs", _) => format!("{} {}", self.kind, at(&own)),
            (kind, Some(service)) => {
                // In its own namespace the Service needs no other name.
                let service = service.strip_prefix(&format!("{}/", self.namespace)).unwrap_or(service);
                let gateway = self.gateway.as_ref().map_or(String::new(), |g| format!("Gateway {g}, "));
                format!("{gateway}{kind} {own} to {}", at(service))
            }
            (kind, None) => format!("{kind} {own}"),
        }
    }
}

/// Namespaces that are listed of one exposure.
const MOST_NAMESPACES: usize = 50;

/// The exposures of a graph; `rule` enters a rule and says its index.
pub(super) fn exposures(
    facts: Facts<'_>,
    graph: &Graph,
    ends: &[GraphEnd],
    rule: &mut dyn FnMut(&crate::policy::rule::RuleRef) -> usize,
) -> Vec<GraphExposure> {
    let one = |exposure: &Exposure| {
        let summary = words_of(&exposure.ports, &exposure.closed);
        let mut out = GraphExposure {
            to: exposure.servers.iter().map(|e| ends[*e as usize].id.clone()).collect(),
            from: String::new(),
            who: String::new(),
            summary,
            open: ranges(&exposure.ports.open),
            partial: ranges(&exposure.ports.partial),
            unknown: ranges(&exposure.ports.unknown),
            blocked: ranges(&exposure.closed),
            namespaces: Vec::new(),
            namespace_count: None,
            through: None,
            rule: None,
            notes: Vec::new(),
        };
        match &exposure.source {
            Source::Outside(through) => {
                out.from = "outside".to_owned();
                let shown = through_of(facts, graph, ends, through);
                out.who = audience(&through.audience);
                out.notes.clone_from(&through.notes);
                if shown.problem.is_some() {
                    out.summary = "none".to_owned();
                }
                out.through = Some(shown);
            }
            Source::Namespaces(all) => {
                let name = |n: &crate::model::NamespaceId| facts.cluster.namespaces[n.index()].name.to_string();
                out.from = "namespaces".to_owned();
                out.namespaces = all.iter().take(MOST_NAMESPACES).map(name).collect();
                out.namespace_count = Some(all.len());
                out.who = match out.namespaces.as_slice() {
                    [one] => format!("namespace {one}"),
                    [a, b] => format!("namespaces {a}, {b}"),
                    [a, b, ..] => format!("namespaces {a}, {b} and {} more", all.len() - 2),
                    [] => String::new(),
                };
            }
            Source::AnyPod => {
                out.from = "any-pod".to_owned();
                out.who = "any pod".to_owned();
            }
            Source::ToCome(who, by) => {
                out.from = "pods-to-come".to_owned();
                out.who.clone_from(who);
                out.rule = Some(rule(by));
            }
        }
        out
    };
    graph.exposures.iter().map(one).collect()
}

fn audience(audience: &Audience) -> String {
    match audience {
        Audience::Internet => "internet".to_owned(),
        Audience::Internal => "internal network".to_owned(),
        Audience::Ranges(ranges) => {
            let shown: Vec<String> = ranges.iter().take(3).map(ToString::to_string).collect();
            let more = ranges.len().saturating_sub(3);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", shown.join(", "))
        }
    }
}

fn through_of(facts: Facts<'_>, graph: &Graph, ends: &[GraphEnd], through: &Through) -> GraphThrough {
    let cluster = facts.cluster;
    let namespace = |id: crate::model::NamespaceId| cluster.namespaces[id.index()].name.to_string();
    let (kind, namespace, name, gateway) = match through.entry {
        Entry::Service(id) => {
            let service = &cluster.services[id.index()];
            let kind = match service.kind {
                ServiceKind::LoadBalancer => "LoadBalancer",
                ServiceKind::NodePort => "NodePort",
                ServiceKind::ClusterIp | ServiceKind::ExternalName => "ExternalIPs",
            };
            (kind, namespace(service.namespace), service.name.to_string(), None)
        }
        Entry::Route(route, door) => {
            let route = &cluster.routes[route as usize];
            let gateway = match &route.doors[door as usize] {
                Door::Gateway(index) => {
                    let gateway = &cluster.gateways[*index as usize];
                    Some(format!("{}/{}", namespace(gateway.namespace), gateway.name))
                }
                Door::Missing(name) | Door::Closed(name, _) if route.kind != RouteKind::Ingress => {
                    Some(name.to_string())
                }
                _ => None,
            };
            (route.kind.name(), namespace(route.namespace), route.name.to_string(), gateway)
        }
    };
    let backend = match through.entry {
        Entry::Route(route, _) => through.backend.map(|b| &cluster.routes[route as usize].backends[b as usize]),
        Entry::Service(_) => None,
    };
    let service = match (through.entry, through.service, backend) {
        (Entry::Service(_), ..) => None,
        (_, Some(id), _) => Some(cluster.service_name(id)),
        (_, None, Some(backend)) => Some(format!("{}/{}", backend.namespace, backend.name)),
        (_, None, None) => None,
    };
    let (carrier, carriers) = match &through.carrier {
        Carrier::Clients => ("clients", Vec::new()),
        Carrier::Balancer => ("balancer", Vec::new()),
        Carrier::Somewhere(_) => ("unknown", Vec::new()),
        Carrier::Pods(pods) => {
            let holds =
                |end: &&(usize, &crate::analysis::graph::End)| pods.iter().any(|p| end.1.pods.binary_search(p).is_ok());
            let all: Vec<(usize, &crate::analysis::graph::End)> = graph.ends.iter().enumerate().collect();
            ("pods", all.iter().filter(holds).map(|(i, _)| ends[*i].id.clone()).collect())
        }
    };
    GraphThrough {
        kind: kind.to_owned(),
        namespace,
        name,
        gateway,
        service,
        ports: (!through.ports.is_empty()).then(|| service_ports(&through.ports)),
        carrier: carrier.to_owned(),
        carriers,
        problem: through.problem.as_ref().map(problem),
    }
}

fn service_ports(ports: &[(Protocol, u16)]) -> String {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    let of = |chunk: &[(Protocol, u16)]| {
        let numbers: Vec<String> = chunk.iter().map(|(_, n)| n.to_string()).collect();
        format!("{} {}", chunk[0].0, numbers.join(","))
    };
    sorted.chunk_by(|a, b| a.0 == b.0).map(of).collect::<Vec<_>>().join(" ")
}

/// Why a way in leads nowhere.
pub(crate) fn problem(problem: &Problem) -> String {
    match problem {
        Problem::NotTaken(gateway, why) => format!("Gateway {gateway} doesn't take it, {why}"),
        Problem::NotGranted => "no ReferenceGrant lets it name the Service".to_owned(),
        Problem::NoService => "there is no such Service".to_owned(),
        Problem::NoPort => "the Service has no such port".to_owned(),
        Problem::NoEndpoints => "no ready pod is behind it".to_owned(),
    }
}
