//! Ways in from outside the cluster: load balancers, node ports and external addresses of Services, Ingresses and the
//! routes of Gateways; and what the policies of the pods behind them say.
//!
//! Traffic is judged where it arrives, at the pods (SEMANTICS 32). With `externalTrafficPolicy: Cluster` a node's address may
//! stand for the client's (40). A route is judged from the pods that carry it to those behind its Service; where it can't be
//! told who carries it, for whatever pod that may be. A ClusterIP is no way in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::State;
use super::controllers::{Carrier, Controllers};
use crate::model::{Audience, Backend, Cluster, PodId, Protocol, ServiceId, ServiceKind, ServicePort, private_ranges};
use crate::policy::Policies;
use crate::policy::rule::{Match, Term};
use crate::reach::eval::{Endpoint, EndpointKind};
use crate::reach::{Evaluator, Flow, Outcome};

/// Where a way in begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// At a Service that is open to the outside.
    Service(ServiceId),
    /// At a route, by one of what carries it: indices of [`Cluster::routes`] and of its doors.
    Route(u32, u32),
}

/// What keeps a route from leading anywhere, whatever the policies say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Problem {
    /// A Gateway doesn't take it: its name, and why.
    NotTaken(String, &'static str),
    /// No ReferenceGrant lets it name the Service.
    NotGranted,
    /// There is no such Service.
    NoService,
    /// The Service has no such port.
    NoPort,
    /// No pod is behind it, or none is ready.
    NoEndpoints,
}

/// Pods behind a way in that get the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The pods.
    pub pods: Vec<PodId>,
    /// Their port.
    pub port: u16,
    /// What the policies say.
    pub state: State,
    /// What it depends on, where it can't be told.
    pub why: Option<&'static str>,
}

/// A way in to the pods of a Service.
#[derive(Clone, Debug)]
pub struct WayIn {
    /// Where it begins.
    pub entry: Entry,
    /// For a route, which of its backends.
    pub backend: Option<u32>,
    /// Whom it lets in.
    pub audience: Audience,
    /// Who connects to the pods.
    pub carrier: Carrier,
    /// The Service.
    pub service: Option<ServiceId>,
    /// Its port, of a NodePort that of the nodes: protocol and number.
    pub port: Option<(Protocol, u16)>,
    /// The pods behind it.
    pub servers: Vec<Server>,
    /// Why it leads nowhere.
    pub problem: Option<Problem>,
    /// What is to be said about it.
    pub notes: Vec<String>,
}

/// Pods that policies treat alike have one number; none for those on their node's network.
pub type ClassOf<'c> = dyn Fn(PodId) -> Option<u32> + 'c;

const ADDRESS: &str = "it depends on the client's address";
const NODES: &str = "it depends on whether the nodes keep the client's address";
const BALANCER: &str = "it depends on the load balancer's addresses";

/// Boundaries of rules' ranges up to which every stretch between them is asked for.
const MOST_BOUNDARIES: usize = 1_000;

/// The ways in, Services first.
pub fn ways_in(evaluator: &Evaluator<'_>, class_of: &ClassOf<'_>) -> Vec<WayIn> {
    let cluster = evaluator.cluster;
    let finder = Finder { evaluator, class_of, boundaries: boundaries(evaluator.policies) };
    let mut out = Vec::new();
    for index in 0..cluster.services.len() as u32 {
        finder.service(ServiceId(index), &mut out);
    }
    let fronts = out.clone();
    let controllers = Controllers::new(cluster);
    for route in 0..cluster.routes.len() {
        finder.route(route, &controllers, &fronts, &mut out);
    }
    out
}

struct Finder<'f> {
    evaluator: &'f Evaluator<'f>,
    class_of: &'f ClassOf<'f>,
    /// First addresses of the stretches that rules tell apart; none where they are too many.
    boundaries: Option<Vec<IpAddr>>,
}

impl Finder<'_> {
    fn cluster(&self) -> &Cluster {
        self.evaluator.cluster
    }

    fn service(&self, id: ServiceId, out: &mut Vec<WayIn>) {
        let service = &self.cluster().services[id.index()];
        let open = matches!(service.kind, ServiceKind::LoadBalancer | ServiceKind::NodePort)
            || (service.kind == ServiceKind::ClusterIp && !service.external_ips.is_empty());
        if !open {
            return;
        }
        let audience = service.audience_at(None);
        let clients = self.clients(&audience);
        for port in &service.ports {
            let judge = |server: Endpoint, number: u16| {
                let Some(clients) = &clients else {
                    return (State::Unknown, Some(ADDRESS));
                };
                let outcomes = clients.iter().map(|c| self.outcome(*c, server, port.protocol, number));
                let kept = match audience {
                    Audience::Internal => State::of_any(outcomes),
                    _ => State::of_all(outcomes),
                };
                if kept == State::Unknown {
                    return (kept, Some(ADDRESS));
                }
                if service.external_local || !matches!(server.kind, EndpointKind::Pod(_)) {
                    return (kept, None);
                }
                let replaced = State::of_all(self.evaluator.from_nodes(server, port.protocol, number));
                if kept == replaced { (kept, None) } else { (State::Unknown, Some(NODES)) }
            };
            let servers = self.servers(id, port, &judge);
            out.push(WayIn {
                entry: Entry::Service(id),
                backend: None,
                audience: audience.clone(),
                carrier: Carrier::Clients,
                service: Some(id),
                port: Some((
                    port.protocol,
                    match service.kind {
                        ServiceKind::NodePort => port.node_port.unwrap_or(port.number),
                        _ => port.number,
                    },
                )),
                problem: servers.is_empty().then_some(Problem::NoEndpoints),
                servers,
                notes: Vec::new(),
            });
        }
    }

    fn outcome(&self, client: Endpoint, server: Endpoint, protocol: Protocol, port: u16) -> Outcome {
        self.evaluator.evaluate(&Flow { client, server, protocol, port, name: None, via_service: true }).outcome
    }

    /// Addresses that stand for all of an audience's; none where they are too many to be asked for.
    fn clients(&self, audience: &Audience) -> Option<Vec<Endpoint>> {
        let ranges: Vec<IpNet> = match audience {
            Audience::Internet => return Some(vec![Endpoint::internet()]),
            // Everybody, written as a range.
            Audience::Ranges(ranges) if ranges.iter().any(|r| r.prefix_len() == 0) => {
                return Some(vec![Endpoint::internet()]);
            }
            Audience::Ranges(ranges) => ranges.clone(),
            Audience::Internal => private_ranges().collect(),
        };
        let boundaries = self.boundaries.as_ref()?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for range in ranges {
            addresses.push(range.network());
            addresses.extend(boundaries.iter().filter(|b| range.contains(*b)));
        }
        let v6 = self.cluster().pods.iter().all(|p| p.ip(false).is_none() && p.ip(true).is_some())
            && !self.cluster().pods.is_empty();
        addresses.retain(|a| a.is_ipv6() == v6);
        addresses.sort_unstable();
        addresses.dedup();
        Some(addresses.into_iter().map(|ip| Endpoint { kind: EndpointKind::Outside, ip: Some(ip) }).collect())
    }

    /// The pods behind a port of a Service, those that get the same answer together.
    fn servers(
        &self,
        id: ServiceId,
        port: &ServicePort,
        judge: &dyn Fn(Endpoint, u16) -> (State, Option<&'static str>),
    ) -> Vec<Server> {
        let cluster = self.cluster();
        let mut backends: Vec<Backend> = cluster.backends(id, port);
        // Terminating endpoints serve where nothing ready is left (SEMANTICS 38).
        let any = backends.iter().any(|b| b.serving);
        backends.retain(|b| if any { b.serving } else { b.terminating && b.ready });
        let mut classes: BTreeMap<(Option<u32>, u16), Vec<PodId>> = BTreeMap::new();
        for backend in backends {
            let (Some(pod), Some(number)) = (backend.pod, backend.port) else { continue };
            let members = classes.entry(((self.class_of)(pod), number)).or_default();
            if members.last() != Some(&pod) {
                members.push(pod);
            }
        }
        let one = |((class, port), pods): ((Option<u32>, u16), Vec<PodId>)| {
            let example = pods.first().copied()?;
            // Policies don't apply to what shares its node's network (46).
            let (state, why) = match class {
                None => (State::Open, None),
                Some(_) => judge(Endpoint::pod(cluster, example, false), port),
            };
            Some(Server { pods, port, state, why })
        };
        classes.into_iter().filter_map(one).collect()
    }

    fn route(&self, index: usize, controllers: &Controllers, fronts: &[WayIn], out: &mut Vec<WayIn>) {
        let cluster = self.cluster();
        let route = &cluster.routes[index];
        for (door_index, door) in route.doors.iter().enumerate() {
            let entry = Entry::Route(index as u32, door_index as u32);
            let nowhere = |backend, service, problem| WayIn {
                entry,
                backend,
                audience: Audience::Internet,
                carrier: Carrier::Clients,
                service,
                port: None,
                servers: Vec::new(),
                problem: Some(problem),
                notes: Vec::new(),
            };
            let Some(carrier) = controllers.carrier(cluster, door) else {
                if let crate::model::Door::Closed(name, why) = door {
                    out.push(nowhere(None, None, Problem::NotTaken(name.to_string(), why)));
                }
                continue;
            };
            let mut seen: Vec<(ServiceId, Protocol, u16)> = Vec::new();
            for (b, backend) in route.backends.iter().enumerate() {
                let at = Some(b as u32);
                if !backend.granted {
                    out.push(nowhere(at, backend.service, Problem::NotGranted));
                    continue;
                }
                let Some(id) = backend.service else {
                    out.push(nowhere(at, None, Problem::NoService));
                    continue;
                };
                let service = &cluster.services[id.index()];
                if service.kind == ServiceKind::ExternalName {
                    continue;
                }
                let protocol = if route.kind == crate::model::RouteKind::Udp { Protocol::Udp } else { Protocol::Tcp };
                let port = match &backend.port {
                    (None, None) if service.ports.len() == 1 => service.ports.first(),
                    (None, None) => None,
                    (number, name) => service.port(*number, name.as_deref(), protocol),
                };
                let Some(port) = port else {
                    out.push(nowhere(at, Some(id), Problem::NoPort));
                    continue;
                };
                if seen.contains(&(id, port.protocol, port.number)) {
                    continue;
                }
                seen.push((id, port.protocol, port.number));
                let mut servers =
                    self.servers(id, port, &|server, number| self.carried(&carrier, server, port.protocol, number));
                let mut notes = Vec::new();
                self.front(&carrier, fronts, &mut servers, &mut notes);
                out.push(WayIn {
                    entry,
                    backend: at,
                    audience: Audience::Internet,
                    carrier: carrier.clone(),
                    service: Some(id),
                    port: Some((port.protocol, port.number)),
                    problem: servers.is_empty().then_some(Problem::NoEndpoints),
                    servers,
                    notes,
                });
            }
        }
    }

    /// Whether whoever carries a route reaches a pod behind it.
    fn carried(
        &self,
        carrier: &Carrier,
        server: Endpoint,
        protocol: Protocol,
        port: u16,
    ) -> (State, Option<&'static str>) {
        let ask = |client| self.outcome(client, server, protocol, port);
        match carrier {
            Carrier::Clients => (State::of_all([ask(Endpoint::internet())]), None),
            Carrier::Pods(pods) => {
                let mut classes: BTreeMap<Option<u32>, PodId> = BTreeMap::new();
                for pod in pods {
                    classes.entry((self.class_of)(*pod)).or_insert(*pod);
                }
                let clients = classes.values().map(|p| Endpoint::pod(self.cluster(), *p, false));
                (State::of_all(clients.map(ask)), None)
            }
            Carrier::Balancer => {
                let Some(mut clients) = self.clients(&Audience::Internal) else {
                    return (State::Unknown, Some(BALANCER));
                };
                clients.push(Endpoint::internet());
                let outcomes = clients.into_iter().map(ask).chain(self.evaluator.from_nodes(server, protocol, port));
                match State::of_any(outcomes) {
                    State::Unknown => (State::Unknown, Some(BALANCER)),
                    state => (state, None),
                }
            }
            Carrier::Somewhere(_) => {
                // On a node's network it is the node, and its own node always reaches a pod (44).
                let node = Endpoint { kind: EndpointKind::Node { node: None, pod: None }, ip: None };
                match (ask(Endpoint::any_pod()), ask(node)) {
                    (Outcome::Allowed, Outcome::Allowed) => (State::Open, None),
                    (Outcome::Denied, Outcome::Denied | Outcome::Unknown) => (State::Closed, None),
                    // Why that is, the note on the controller says.
                    _ => (State::Unknown, None),
                }
            }
        }
    }

    /// What stands before the pods that carry a route: how clients get to them.
    fn front(&self, carrier: &Carrier, fronts: &[WayIn], servers: &mut [Server], notes: &mut Vec<String>) {
        let Carrier::Pods(pods) = carrier else {
            if let Carrier::Somewhere(why) = carrier {
                notes.push(why.clone());
            }
            return;
        };
        let cluster = self.cluster();
        let names = |pods: &[PodId]| {
            pods.first().map_or_else(String::new, |p| {
                let pod = &cluster.pods[p.index()];
                let name = pod.workload.as_ref().map_or(&pod.name, |w| &w.name);
                format!("{}/{name}", cluster.namespaces[pod.namespace.index()].name)
            })
        };
        if pods.iter().any(|p| cluster.pods[p.index()].host_network) {
            return;
        }
        let leading = fronts.iter().flat_map(|w| &w.servers).filter(|s| s.pods.iter().any(|p| pods.contains(p)));
        let states: Vec<State> = leading.map(|s| s.state).collect();
        if states.is_empty() {
            notes.push(format!("nothing among these objects leads from outside to `{}`", names(pods)));
        } else if states.iter().all(|s| *s == State::Closed) {
            notes.push(format!("policies close `{}` to the outside", names(pods)));
            servers.iter_mut().for_each(|s| s.state = State::Closed);
        } else if !states.iter().any(|s| matches!(s, State::Open | State::Partial)) {
            for server in servers.iter_mut().filter(|s| s.state != State::Closed) {
                server.state = State::Unknown;
                server.why = Some("it can't be told whether the outside reaches the controller");
            }
        }
    }
}

/// First addresses of the stretches between the ends of all ranges that rules name.
fn boundaries(policies: &Policies) -> Option<Vec<IpAddr>> {
    let mut out: Vec<IpAddr> = Vec::new();
    let mut add = |net: &IpNet| {
        out.push(net.network());
        let next = match net.broadcast() {
            IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|n| IpAddr::V4(n.into())),
            IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|n| IpAddr::V6(n.into())),
        };
        out.extend(next);
    };
    let tiers = [&policies.admin, &policies.network, &policies.baseline];
    let rules = tiers.into_iter().flat_map(|t| t.ingress.iter()).flat_map(|p| &p.rules);
    let peers = rules.filter_map(|r| match &r.source {
        Match::OneOf(peers) => Some(peers),
        Match::Any => None,
    });
    for term in peers.flatten().flat_map(|p| &p.terms) {
        match term {
            Term::Cidr(blocks, _) => blocks.iter().for_each(|b| {
                add(&b.cidr);
                b.except.iter().for_each(&mut add);
            }),
            Term::NotCidr(cidrs) => cidrs.iter().for_each(&mut add),
            _ => {}
        }
    }
    out.sort_unstable();
    out.dedup();
    (out.len() <= MOST_BOUNDARIES).then_some(out)
}
