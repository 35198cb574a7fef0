//! Ends that more than the pods that exist can reach: what [`exposure`] found, over ends.

use std::collections::{BTreeMap, BTreeSet};

use super::{Edge, End, EndKind, Ports};
use crate::analysis::exposure::outside::{self, Entry, Problem, WayIn};
use crate::analysis::exposure::{State, controllers::Carrier, to_come};
use crate::model::{Audience, Cluster, NamespaceId, PodId, Protocol, ServiceId};
use crate::policy::rule::RuleRef;
use crate::policy::{Policies, Profile};
use crate::reach::Evaluator;
use crate::reach::matrix::{L4Set, Matrix};

/// To whom ends are exposed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Clients outside the cluster.
    Outside(Box<Through>),
    /// Workloads of these other namespaces; every one of them reaches some of it.
    Namespaces(Vec<NamespaceId>),
    /// Any pod of any namespace, those to come included.
    AnyPod,
    /// Pods that don't exist yet, in words, and the first rule that selects them.
    ToCome(String, RuleRef),
}

/// The way in from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Through {
    /// Where it begins.
    pub entry: Entry,
    /// Whom it lets in.
    pub audience: Audience,
    /// Who connects to the pods.
    pub carrier: Carrier,
    /// The Service.
    pub service: Option<ServiceId>,
    /// For a route that leads nowhere, which of its backends.
    pub backend: Option<u32>,
    /// Ports of the Service, of a NodePort those of the nodes.
    pub ports: Vec<(Protocol, u16)>,
    /// Why it leads nowhere.
    pub problem: Option<Problem>,
    /// What is to be said about it.
    pub notes: Vec<String>,
}

/// Ends that are exposed in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// To whom.
    pub source: Source,
    /// The ends: indices, sorted. None for a way that leads nowhere.
    pub servers: Vec<u32>,
    /// On which of their ports.
    pub ports: Ports,
    /// On which ports it was to be, and policies close it.
    pub closed: L4Set,
}

impl End {
    /// Whether no object says that its pods exist.
    fn is_assumed(&self, cluster: &Cluster) -> bool {
        !self.pods.is_empty() && self.pods.iter().all(|p| cluster.pods[p.index()].origin.is_none())
    }
}

/// What is looked at.
pub(super) struct Asked<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) policies: &'a Policies,
    pub(super) profile: &'a Profile,
    pub(super) matrix: &'a Matrix<'a>,
    pub(super) ends: &'a [End],
    pub(super) edges: &'a [Edge],
    /// Which servers are wanted.
    pub(super) server: &'a dyn Fn(u32) -> bool,
    /// Whether only clients outside are wanted.
    pub(super) outside_only: bool,
    pub(super) only_ports: Option<&'a L4Set>,
}

/// The exposures: from outside, then other namespaces, any pod, pods to come.
pub(super) fn exposures(asked: &Asked<'_>, notes: &mut Vec<String>) -> Vec<Exposure> {
    let evaluator = Evaluator::new(asked.cluster, asked.policies, asked.profile);
    let mut out = asked.outside(&evaluator);
    if !asked.outside_only {
        out.extend(asked.namespaces());
        out.extend(asked.pods(&evaluator, notes));
    }
    if let Some(ports) = asked.only_ports {
        for exposure in &mut out {
            exposure.ports = exposure.ports.within(ports);
            exposure.closed = exposure.closed.and(ports);
        }
        out.retain(|e| !e.ports.is_empty() || !e.closed.is_empty());
    }
    out
}

impl Asked<'_> {
    fn wanted(&self, end: u32) -> bool {
        (self.server)(end) && !self.ends[end as usize].is_assumed(self.cluster)
    }

    fn outside(&self, evaluator: &Evaluator<'_>) -> Vec<Exposure> {
        let mut end_of: BTreeMap<PodId, u32> = BTreeMap::new();
        for (index, end) in self.ends.iter().enumerate().filter(|(i, _)| (self.server)(*i as u32)) {
            end_of.extend(end.pods.iter().map(|p| (*p, index as u32)));
        }
        let mut out: Vec<Exposure> = Vec::new();
        for way in outside::ways_in(evaluator, &|pod| self.matrix.class_of(pod)) {
            for (servers, ports, closed) in self.over_ends(&way, &end_of) {
                self.add(&mut out, &way, servers, ports, closed);
            }
            // Where it leads nowhere, that is shown unless something else was asked for.
            if way.servers.is_empty() && way.problem.is_some() && (0..self.ends.len() as u32).all(|e| (self.server)(e))
            {
                self.add(&mut out, &way, Vec::new(), Ports::default(), L4Set::empty());
            }
        }
        out
    }

    /// The ends behind a way in that get the same answer.
    fn over_ends(&self, way: &WayIn, end_of: &BTreeMap<PodId, u32>) -> Vec<(Vec<u32>, Ports, L4Set)> {
        let protocol = way.port.map_or(Protocol::Tcp, |p| p.0);
        let mut states: BTreeMap<(u32, u16), (usize, BTreeSet<State>)> = BTreeMap::new();
        for server in &way.servers {
            for end in server.pods.iter().filter_map(|p| end_of.get(p)) {
                let entry = states.entry((*end, server.port)).or_default();
                entry.0 += 1;
                entry.1.insert(server.state);
            }
        }
        let mut of_end: BTreeMap<u32, (Ports, L4Set)> = BTreeMap::new();
        for ((end, port), (pods, states)) in states {
            let every = pods == self.ends[end as usize].pods.len();
            let has = |s| states.contains(&s);
            let entry = of_end.entry(end).or_default();
            let set = if has(State::Unknown) {
                &mut entry.0.unknown
            } else if !has(State::Open) && !has(State::Partial) {
                &mut entry.1
            } else if every && states.len() == 1 && has(State::Open) {
                &mut entry.0.open
            } else {
                &mut entry.0.partial
            };
            *set = set.or(&L4Set::one(protocol, port));
        }
        let mut groups: BTreeMap<(Ports, L4Set), Vec<u32>> = BTreeMap::new();
        for (end, answer) in of_end {
            groups.entry(answer).or_default().push(end);
        }
        groups.into_iter().map(|((ports, closed), ends)| (ends, ports, closed)).collect()
    }

    /// Adds a way; ports of one Service that lead to the same ends are one exposure.
    fn add(&self, out: &mut Vec<Exposure>, way: &WayIn, servers: Vec<u32>, ports: Ports, closed: L4Set) {
        let leads = way.problem.is_none();
        let mut notes: Vec<String> = way.notes.clone();
        let reached = |server: &outside::Server| {
            server.pods.iter().any(|p| servers.iter().any(|e| self.ends[*e as usize].pods.binary_search(p).is_ok()))
        };
        for server in way.servers.iter().filter(|s| s.state == State::Unknown && reached(s)) {
            if let Some(why) = server.why.filter(|w| !notes.iter().any(|n| n == w)) {
                notes.push(why.to_owned());
            }
        }
        let same = out.iter_mut().find(|e| match &e.source {
            Source::Outside(t) => {
                leads
                    && t.problem.is_none()
                    && (t.entry, t.service, &t.notes) == (way.entry, way.service, &notes)
                    && e.servers == servers
            }
            _ => false,
        });
        if let Some(Exposure { source: Source::Outside(through), ports: known, closed: shut, .. }) = same {
            through.ports.extend(way.port.filter(|p| !through.ports.contains(p)));
            // A port that two ways lead to, one of them open, is open.
            known.open = known.open.or(&ports.open);
            known.partial = known.partial.or(&ports.partial).minus(&known.open);
            known.unknown = known.unknown.or(&ports.unknown).minus(&known.open).minus(&known.partial);
            *shut = shut.or(&closed).minus(&known.open).minus(&known.partial).minus(&known.unknown);
            return;
        }
        let through = Through {
            entry: way.entry,
            audience: way.audience.clone(),
            carrier: way.carrier.clone(),
            service: way.service,
            backend: way.backend.filter(|_| !leads),
            ports: way.port.into_iter().collect(),
            problem: way.problem.clone(),
            notes,
        };
        out.push(Exposure { source: Source::Outside(Box::new(through)), servers, ports, closed });
    }

    /// Ends that workloads of other namespaces reach for sure.
    fn namespaces(&self) -> Vec<Exposure> {
        let namespace = |end: &u32| self.ends[*end as usize].namespace;
        let is_pods = |end: &u32| self.ends[*end as usize].kind == EndKind::Pods;
        let mut of_end: BTreeMap<u32, (BTreeSet<NamespaceId>, L4Set)> = BTreeMap::new();
        for edge in self.edges {
            let ports = edge.ports.open.or(&edge.ports.partial);
            if ports.is_empty() {
                continue;
            }
            let clients: BTreeSet<NamespaceId> =
                edge.clients.iter().filter(|e| is_pods(e)).filter_map(namespace).collect();
            for server in edge.servers.iter().filter(|e| is_pods(e) && self.wanted(**e)) {
                let own = namespace(server);
                let mut others = clients.iter().filter(|n| Some(**n) != own).peekable();
                if others.peek().is_some() {
                    let entry = of_end.entry(*server).or_default();
                    entry.0.extend(others);
                    entry.1 = entry.1.or(&ports);
                }
            }
        }
        let mut groups: BTreeMap<(Vec<NamespaceId>, L4Set), Vec<u32>> = BTreeMap::new();
        for (end, (namespaces, ports)) in of_end {
            groups.entry((namespaces.into_iter().collect(), ports)).or_default().push(end);
        }
        let one = |((namespaces, open), servers)| Exposure {
            source: Source::Namespaces(namespaces),
            servers,
            ports: Ports { open, ..Ports::default() },
            closed: L4Set::empty(),
        };
        groups.into_iter().map(one).collect()
    }

    /// Ends that any pod reaches, and those that pods to come would.
    fn pods(&self, evaluator: &Evaluator<'_>, notes: &mut Vec<String>) -> Vec<Exposure> {
        let mut servers: BTreeMap<u32, PodId> = BTreeMap::new();
        let wanted = |(index, end): &(usize, &End)| end.is_pods() && self.wanted(*index as u32);
        for (_, end) in self.ends.iter().enumerate().filter(wanted) {
            servers.extend(end.columns.iter().filter_map(|c| Some((c.index, c.example.as_pod()?))));
        }
        // Pods that aren't wanted as servers still meet selectors.
        let mut all: BTreeMap<u32, PodId> = servers.clone();
        for end in self.ends.iter().filter(|e| e.is_pods()) {
            all.extend(end.columns.iter().filter_map(|c| Some((c.index, c.example.as_pod()?))));
        }
        let columns: Vec<u32> = all.keys().copied().collect();
        let examples: Vec<PodId> = all.into_values().collect();
        let v6 = self.matrix.is_v6();
        let reached = to_come::any_pod(evaluator, &examples, v6);
        let at = |column: u32| columns.binary_search(&column).ok();
        let mut groups: BTreeMap<Ports, Vec<u32>> = BTreeMap::new();
        for (index, end) in self.ends.iter().enumerate().filter(wanted) {
            let allowed = |column: u32| at(column).map(|i| reached[i].0.clone()).unwrap_or_default();
            let ports = over(end, &allowed, &|_| L4Set::empty());
            if !ports.is_empty() {
                groups.entry(ports).or_default().push(index as u32);
            }
        }
        let mut out: Vec<Exposure> = groups
            .into_iter()
            .map(|(ports, servers)| Exposure { source: Source::AnyPod, servers, ports, closed: L4Set::empty() })
            .collect();
        let (to_come, left) = to_come::to_come(evaluator, self.profile, &examples, &reached, v6);
        if left > 0 {
            notes.push(format!("pods to come: {left} selectors that nothing meets are not shown, there are too many"));
        }
        for found in to_come {
            let by_column: BTreeMap<u32, to_come::Ports> =
                found.servers.into_iter().map(|(index, ports)| (columns[index as usize], ports)).collect();
            let mut groups: BTreeMap<Ports, Vec<u32>> = BTreeMap::new();
            for (index, end) in self.ends.iter().enumerate().filter(wanted) {
                let allowed = |c: u32| by_column.get(&c).map(|p| p.0.clone()).unwrap_or_default();
                let unknown = |c: u32| by_column.get(&c).map(|p| p.1.clone()).unwrap_or_default();
                let ports = over(end, &allowed, &unknown);
                if !ports.is_empty() {
                    groups.entry(ports).or_default().push(index as u32);
                }
            }
            for (ports, servers) in groups {
                let source = Source::ToCome(found.who.clone(), found.rule);
                out.push(Exposure { source, servers, ports, closed: L4Set::empty() });
            }
        }
        out
    }
}

/// What all columns of an end get together.
fn over(end: &End, allowed: &dyn Fn(u32) -> L4Set, unknown: &dyn Fn(u32) -> L4Set) -> Ports {
    let answers: Vec<(L4Set, L4Set)> = end.columns.iter().map(|c| (allowed(c.index), unknown(c.index))).collect();
    Ports::over(&answers)
}
