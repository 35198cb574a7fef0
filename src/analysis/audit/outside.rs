//! Ways in from outside: pods that the internet reaches, routes whose carriers are stopped, routes that lead nowhere.

use std::collections::BTreeMap;

use super::exposure::{group_of, service_object};
use super::facts::Facts;
use super::{Finding, ObjectRef, codes, listed};
use crate::analysis::explain::explain;
use crate::analysis::exposure::State;
use crate::analysis::exposure::controllers::Carrier;
use crate::analysis::exposure::outside::{Entry, Problem, WayIn, ways_in};
use crate::model::query::{PortSpec, Target};
use crate::model::{Audience, Door, Protocol, Route, RouteKind, ServiceId, ServiceKind};
use crate::policy::Direction;
use crate::reach::{CheckOptions, Source};
use crate::source::{FieldPath, Part};

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let groups = group_of(facts);
    let ways = ways_in(facts.evaluator, &|pod| groups[pod.index()].filter(|g| !facts.group(*g).host_network));
    services(facts, &groups, &ways, out);
    for way in &ways {
        match way.entry {
            Entry::Service(_) => {}
            Entry::Route(route, door) => {
                let route = &facts.cluster.routes[route as usize];
                let at = Way { facts, groups: &groups, way, route, door: &route.doors[door as usize] };
                out.extend(at.stopped());
                out.extend(at.nowhere());
            }
        }
    }
    routes(facts, &groups, &ways, out);
}

/// Groups that a way lets in, with their ports.
fn open(groups: &[Option<u32>], ways: &[&WayIn]) -> BTreeMap<u32, Vec<(Protocol, u16)>> {
    let mut out: BTreeMap<u32, Vec<(Protocol, u16)>> = BTreeMap::new();
    for way in ways {
        let protocol = way.port.map_or(Protocol::Tcp, |p| p.0);
        for server in way.servers.iter().filter(|s| matches!(s.state, State::Open | State::Partial)) {
            for group in server.pods.iter().filter_map(|p| groups[p.index()]) {
                let ports = out.entry(group).or_default();
                if !ports.contains(&(protocol, server.port)) {
                    ports.push((protocol, server.port));
                }
            }
        }
    }
    out
}

fn unprotected(facts: &Facts<'_>, group: u32) -> bool {
    facts.isolated_by(group, Direction::Ingress).is_empty() && facts.judged_by(group, Direction::Ingress).is_empty()
}

/// `` `shop/web` is open to the internet on TCP 8080``.
fn message(facts: &Facts<'_>, open: &BTreeMap<u32, Vec<(Protocol, u16)>>, through: &str) -> String {
    let groups: Vec<u32> = open.keys().copied().collect();
    let mut ports: Vec<String> = open.values().flatten().map(|(p, n)| format!("{p} {n}")).collect();
    ports.sort();
    ports.dedup();
    let names = facts.names(&groups);
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb} open to the internet on {} through {through}", listed(&names, 3), ports.join(", "))
}

/// Pods on their node's network aside, which no policy can protect.
fn services(facts: &Facts<'_>, groups: &[Option<u32>], ways: &[WayIn], out: &mut Vec<Finding>) {
    let cluster = facts.cluster;
    let mut of: BTreeMap<ServiceId, Vec<&WayIn>> = BTreeMap::new();
    for way in ways.iter().filter(|w| w.audience == Audience::Internet) {
        if let Entry::Service(id) = way.entry {
            of.entry(id).or_default().push(way);
        }
    }
    for (id, ways) in of {
        let service = &cluster.services[id.index()];
        let Some(origin) = service.origin else { continue };
        let mut open = open(groups, &ways);
        open.retain(|g, _| !facts.group(*g).host_network);
        if open.is_empty() {
            continue;
        }
        let how = match service.kind {
            ServiceKind::LoadBalancer => "a load balancer",
            ServiceKind::NodePort => "a port of every node",
            _ => "external addresses",
        };
        let text = message(facts, &open, &format!("Service `{}`", cluster.service_name(id)));
        let mut finding = Finding::new(codes::INTERNET, service_object(cluster, id), "", text);
        finding.diagnostic =
            finding.diagnostic.at(origin, FieldPath::keys("spec.type"), Part::Entry, format!("opens {how}"));
        out.push(if open.keys().any(|g| unprotected(facts, *g)) {
            finding
                .note("no policy isolates these pods for ingress: nothing stops other pods either")
                .help("add a NetworkPolicy for them that allows these ports, and no others")
        } else {
            finding.note("a rule of their policies allows it").only_note()
        });
    }
}

/// Pods that routes open to the internet and that no policy protects; where one does, that is what a route is for.
fn routes(facts: &Facts<'_>, groups: &[Option<u32>], ways: &[WayIn], out: &mut Vec<Finding>) {
    let mut of: BTreeMap<u32, Vec<&WayIn>> = BTreeMap::new();
    for way in ways {
        if let Entry::Route(route, _) = way.entry {
            of.entry(route).or_default().push(way);
        }
    }
    for (index, ways) in of {
        let route = &facts.cluster.routes[index as usize];
        let mut open = open(groups, &ways);
        open.retain(|g, _| !facts.group(*g).host_network && unprotected(facts, *g));
        if open.is_empty() {
            continue;
        }
        let object = object(facts, route);
        let text = message(facts, &open, &format!("{} `{}/{}`", object.kind, within(&object), object.name));
        let mut finding = Finding::new(codes::INTERNET, object, "", text);
        finding.diagnostic =
            finding.diagnostic.at(route.origin, FieldPath::keys("spec"), Part::Key, "leads there from outside");
        out.push(finding.note("no policy isolates these pods for ingress: nothing stops other pods either").help(
            "add a NetworkPolicy for them that lets in whoever carries the route, on these ports, and no others",
        ));
    }
}

fn object(facts: &Facts<'_>, route: &Route) -> ObjectRef {
    ObjectRef {
        kind: route.kind.name().to_owned(),
        namespace: Some(facts.namespace_name(route.namespace).to_owned()),
        name: route.name.to_string(),
    }
}

fn within(object: &ObjectRef) -> &str {
    object.namespace.as_deref().unwrap_or_default()
}

/// A way through a route.
struct Way<'w> {
    facts: &'w Facts<'w>,
    groups: &'w [Option<u32>],
    way: &'w WayIn,
    route: &'w Route,
    door: &'w Door,
}

impl Way<'_> {
    fn object(&self) -> ObjectRef {
        object(self.facts, self.route)
    }

    fn path(&self) -> FieldPath {
        match self.way.backend.and_then(|b| self.route.backends.get(b as usize)) {
            Some(backend) => backend.path.clone(),
            None => FieldPath::keys("spec"),
        }
    }

    /// The policies of the pods behind it, or their own, stop the pods that carry it.
    fn stopped(&self) -> Option<Finding> {
        let facts = self.facts;
        let (Carrier::Pods(carriers), Some(service), Some((protocol, port))) =
            (&self.way.carrier, self.way.service, self.way.port)
        else {
            return None;
        };
        let shut = self.way.servers.iter().any(|s| matches!(s.state, State::Closed | State::Partial));
        let carrier = *carriers.first()?;
        if !shut {
            return None;
        }
        let (target, asked) = (Target::Service(service), PortSpec::Number(port));
        let check = carriers
            .iter()
            .map(|p| facts.evaluator.check(Source::Pod(*p), &target, &asked, protocol, CheckOptions { dns: false }))
            .find(|c| matches!(c.verdict, crate::reach::Verdict::Blocked | crate::reach::Verdict::Partial))?;
        let by = facts.name(self.groups[check.client.unwrap_or(carrier).index()]?);
        let object = self.object();
        let name = facts.cluster.service_name(service);
        let text = format!(
            "policies stop `{by}` from `{name}:{port}`, where {} `{}/{}` leads",
            object.kind,
            within(&object),
            object.name
        );
        let mut finding = Finding::new(codes::ROUTE_BLOCKED, object, format!("{name} {protocol} {port}"), text);
        finding.diagnostic =
            finding.diagnostic.at(self.route.origin, self.path(), Part::Entry, "clients get an error here");
        if let Some(explanation) = explain(facts.evaluator, &check).first() {
            let why = explanation.diagnostic(facts.evaluator);
            finding.diagnostic.labels.extend(why.labels.into_iter().map(|mut l| {
                l.primary = false;
                l
            }));
            finding.diagnostic.notes.push(why.message);
        }
        Some(finding.help(format!("for the fix: netcheck {by} {name}:{port}")))
    }

    /// What it names doesn't exist, or isn't its to name.
    fn nowhere(&self) -> Option<Finding> {
        let facts = self.facts;
        let (object, backend) = (self.object(), self.way.backend.and_then(|b| self.route.backends.get(b as usize)));
        let named = backend.map(|b| format!("{}/{}", b.namespace, b.name)).unwrap_or_default();
        // Where the objects are a part of a cluster, what they lack may be elsewhere.
        let (what, label, key) = match self.way.problem.as_ref()? {
            Problem::NotTaken(gateway, why) => (
                format!("Gateway `{gateway}` doesn't take it, {why}"),
                "asks for a Gateway that doesn't take it",
                gateway.clone(),
            ),
            Problem::NotGranted if facts.whole => {
                (format!("no ReferenceGrant lets it name Service `{named}`"), "in another namespace", named)
            }
            Problem::NoService if facts.whole => {
                (format!("there is no Service `{named}`"), "there is no such Service", named)
            }
            Problem::NoPort => {
                let service = &facts.cluster.services[self.way.service?.index()];
                let ports: Vec<String> = service.ports.iter().map(|p| p.number.to_string()).collect();
                let (number, name) = &backend?.port;
                let port = match (number, name) {
                    (Some(number), _) => format!("port {number}"),
                    (None, Some(name)) => format!("port `{name}`"),
                    (None, None) => "a port of it, and none is named".to_owned(),
                };
                let text = format!("Service `{named}` has no {port}: it has {}", ports.join(", "));
                (text, "the Service has no such port", format!("{named} {port}"))
            }
            _ => return None,
        };
        let text = format!("{} `{}/{}` leads nowhere: {what}", object.kind, within(&object), object.name);
        let path = match self.way.problem {
            Some(Problem::NotTaken(..)) => FieldPath::keys("spec.parentRefs"),
            _ => self.path(),
        };
        let mut finding = Finding::new(codes::ROUTE_NOWHERE, object, key, text);
        finding.diagnostic = finding.diagnostic.at(self.route.origin, path, Part::Entry, label);
        debug_assert!(self.route.kind != RouteKind::Ingress || !matches!(self.door, Door::Closed(..)));
        Some(finding)
    }
}
