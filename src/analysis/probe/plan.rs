//! What to try for a check: its name, the Service, every endpoint, and one flow that has to fail.

use std::net::IpAddr;

use crate::model::query::Target as Asked;
use crate::model::{Cluster, ContainerKind, Phase, PodId, Protocol, Service, ServiceKind};
use crate::probe_target::{Dial, Host, Protocol as Transport, Talk, Target};
use crate::reach::check::combine;
use crate::reach::{Check, Endpoint, Evaluator, Flow, Outcome, Verdict};

/// Endpoints that are tried of one check.
const MOST_ENDPOINTS: usize = 64;
/// Flows that are looked at for one that has to fail.
const MOST_FLOWS: usize = 2000;

/// What a target is tried for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The name is resolved.
    Name,
    /// The Service's own address, or a node's port, behind which the node chooses an endpoint.
    Service,
    /// One endpoint: its place in the check.
    Endpoint(usize),
    /// A flow that has nothing to do with the question, and that policies block: it shows whether they are enforced.
    MustFail,
}

impl Role {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "dns",
            Self::Service => "service",
            Self::Endpoint(_) => "endpoint",
            Self::MustFail => "must-fail",
        }
    }
}

/// One target with what the policies say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is tried for.
    pub role: Role,
    /// What is tried.
    pub target: Target,
    /// What it is called: `Service shop/cart`, `shop/cart-1`, an address or a name.
    pub what: String,
    /// The static verdict for it.
    pub expected: Verdict,
    /// The pod behind it.
    pub server: Option<PodId>,
}

/// What to try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Targets, in the order of the way.
    pub items: Vec<Item>,
    /// What is left out, and why.
    pub notes: Vec<String>,
}

impl Plan {
    /// The targets, for the probe.
    pub fn targets(&self) -> Vec<Target> {
        self.items.iter().map(|item| item.target.clone()).collect()
    }
}

/// Plans the probe of a check from one pod. `text` is the target as typed, whose name is dialled where it is one.
pub fn plan(evaluator: &Evaluator<'_>, check: &Check, client: PodId, asked: &Asked, text: &str) -> Plan {
    let cluster = evaluator.cluster;
    let mut plan = Plan::default();
    let Some(transport) = transport(check.protocol) else {
        plan.notes.push(format!("{} is not probed: TCP, UDP and SCTP are", check.protocol));
        return plan;
    };
    if let Some(name) = name(cluster, asked, text)
        && (check.dns.is_some() || matches!(asked, Asked::Name(_)))
    {
        let expected = check.dns.as_ref().map_or(Verdict::Unknown, |dns| dns.verdict);
        let target = Target { host: Host::Name(name.clone()), dial: None };
        plan.items.push(Item { role: Role::Name, target, what: name, expected, server: None });
    }
    let families: Vec<bool> = cluster.pods[client.index()].ips.iter().map(IpAddr::is_ipv6).collect();
    let has = |ip: &IpAddr| families.is_empty() || families.contains(&ip.is_ipv6());
    let dial =
        |host: Host, port: u16| Target { host, dial: Some(Dial { protocol: transport, port, talk: Talk::Nothing }) };
    for (address, port, what) in fronts(cluster, check, asked).into_iter().filter(|(ip, ..)| has(ip)) {
        let expected = front(check, address.is_ipv6());
        plan.items.push(Item {
            role: Role::Service,
            target: dial(Host::Address(address), port),
            what,
            expected,
            server: None,
        });
    }
    let mut left_out = 0;
    for (index, endpoint) in check.endpoints.iter().enumerate().filter(|(_, e)| e.counted) {
        let host = match (endpoint.server.ip, &check.external_name) {
            (Some(ip), _) if has(&ip) => Host::Address(ip),
            (None, Some(name)) => Host::Name(name.to_string()),
            (None, None) if endpoint.pod.is_some() => {
                plan.notes.push("an endpoint without an address is not probed".to_owned());
                continue;
            }
            _ => continue,
        };
        let Some(port) = endpoint.port.filter(|p| *p > 0) else { continue };
        if plan.items.iter().filter(|i| matches!(i.role, Role::Endpoint(_))).count() >= MOST_ENDPOINTS {
            left_out += 1;
            continue;
        }
        let what = match endpoint.pod {
            Some(pod) => cluster.pod_name(pod),
            None => host.to_string(),
        };
        plan.items.push(Item {
            role: Role::Endpoint(index),
            target: dial(host, port),
            what,
            expected: endpoint.verdict,
            server: endpoint.pod,
        });
    }
    if left_out > 0 {
        plan.notes.push(format!("{left_out} more endpoints are not probed"));
    }
    // What the agent would not take, such as a name that is none, is not asked for.
    let before = plan.items.len();
    plan.items.retain(|i| i.target.to_string().parse::<Target>().is_ok_and(|t| t == i.target));
    if plan.items.len() < before {
        plan.notes.push("a name that DNS does not allow is not probed".to_owned());
    }
    plan.notes.dedup();
    // A datagram that is dropped looks like one that nobody answers: only TCP shows that a policy is enforced.
    let shows = |i: &Item| i.expected == Verdict::Blocked && transport == Transport::Tcp && i.role != Role::Name;
    if !plan.items.iter().any(shows)
        && !plan.items.is_empty()
        && let Some(item) = must_fail(evaluator, client)
    {
        plan.items.push(item);
    }
    plan
}

fn transport(protocol: Protocol) -> Option<Transport> {
    match protocol {
        Protocol::Tcp => Some(Transport::Tcp),
        Protocol::Udp => Some(Transport::Udp),
        Protocol::Sctp => Some(Transport::Sctp),
        _ => None,
    }
}

/// The name that the client would look up: the one that was typed, or the Service's under the cluster's domain, which
/// the search list of its pod adds.
fn name(cluster: &Cluster, asked: &Asked, text: &str) -> Option<String> {
    let typed = text.split('/').next_back().unwrap_or_default();
    let typed = if text.contains('/') { text.split(':').next().unwrap_or_default() } else { typed };
    let typed = typed.split(':').next().unwrap_or_default();
    let is_name = typed.contains('.') && !typed.contains('/');
    let name = match asked {
        _ if is_name && !matches!(asked, Asked::Name(_)) => typed.to_owned(),
        Asked::Service(id) => {
            let service = &cluster.services[id.index()];
            format!("{}.{}.svc", service.name, cluster.namespaces[service.namespace.index()].name)
        }
        Asked::Name(name) => name.to_string(),
        _ => return None,
    };
    // What the agent would not take is not asked for.
    format!("dns:{name}").parse::<Target>().is_ok().then_some(name)
}

/// Addresses behind which a node chooses an endpoint: of the Service, or of a node's port.
fn fronts(cluster: &Cluster, check: &Check, asked: &Asked) -> Vec<(IpAddr, u16, String)> {
    let Some(id) = check.service else { return Vec::new() };
    let service: &Service = &cluster.services[id.index()];
    if service.headless || service.kind == ServiceKind::ExternalName {
        return Vec::new();
    }
    let Some(port) = &check.service_port else { return Vec::new() };
    let what = format!("Service {}", cluster.service_name(id));
    match asked {
        Asked::NodePort(_, node) => {
            let node = &cluster.nodes[node.index()];
            let Some(number) = port.node_port else { return Vec::new() };
            node.addresses.iter().map(|ip| (*ip, number, format!("{what} at node {}", node.name))).collect()
        }
        Asked::ServiceAddress(_, ip) => vec![(*ip, port.number, what)],
        _ => service.cluster_ips.iter().map(|ip| (*ip, port.number, what.clone())).collect(),
    }
}

/// The static verdict for the Service's address of a family: that of its endpoints, DNS left out.
fn front(check: &Check, v6: bool) -> Verdict {
    if check.obstacle.is_some() {
        return Verdict::Unreachable;
    }
    let of_family = check.endpoints.iter().filter(|e| e.counted && e.server.ip.is_none_or(|ip| ip.is_ipv6() == v6));
    combine(of_family.map(|e| e.verdict)).unwrap_or(Verdict::Unknown)
}

/// A flow from the client that policies block, to a pod that is ready and declares the port: were nothing enforced, it
/// would very likely be open.
fn must_fail(evaluator: &Evaluator<'_>, client: PodId) -> Option<Item> {
    let cluster = evaluator.cluster;
    let mut looked_at = 0;
    for (index, pod) in cluster.pods.iter().enumerate() {
        let id = PodId(index as u32);
        let usable = id != client
            && pod.ready
            && !pod.template
            && !pod.terminating
            && !pod.host_network
            && pod.phase == Phase::Running;
        if !usable {
            continue;
        }
        for port in pod.ports.iter().filter(|p| p.protocol == Protocol::Tcp && p.container != ContainerKind::Init) {
            for ip in &pod.ips {
                looked_at += 1;
                if looked_at > MOST_FLOWS {
                    return None;
                }
                let from = Endpoint::pod(cluster, client, ip.is_ipv6());
                if from.ip.is_none() {
                    continue;
                }
                let flow = Flow {
                    client: from,
                    server: Endpoint::pod(cluster, id, ip.is_ipv6()),
                    protocol: Protocol::Tcp,
                    port: port.number,
                    name: None,
                    via_service: false,
                };
                if port.number > 0 && evaluator.evaluate(&flow).outcome == Outcome::Denied {
                    let dial = Dial { protocol: Transport::Tcp, port: port.number, talk: Talk::Nothing };
                    let target = Target { host: Host::Address(*ip), dial: Some(dial) };
                    let (role, what) = (Role::MustFail, cluster.pod_name(id));
                    return Some(Item { role, target, what, expected: Verdict::Blocked, server: Some(id) });
                }
            }
        }
    }
    None
}
