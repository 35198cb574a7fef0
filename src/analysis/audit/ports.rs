//! Ports of rules that no selected pod has: the Service's port, a port nobody declares, a name nobody gave.
//!
//! Declaring a port is optional (SEMANTICS 29), so a number that no pod declares is a note, and only where every pod
//! declares others. A policy's port is the pod's port, never the Service's (31).

use std::collections::BTreeSet;

use super::Finding;
use super::codes;
use super::facts::{Facts, all_pods, rule_path};
use crate::analysis::explain::slip;
use crate::analysis::fix::Op;
use crate::model::{Protocol, TargetPort};
use crate::policy::rule::{L4, Match, PortMatch, Ports, Rule, RulePart, StagePolicy};
use crate::policy::{Direction, PolicyInfo, PolicyKind};
use crate::source::{FieldPath, Part};

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for (_, direction, policy) in facts.all_policies() {
        let subject = facts.select(&policy.subject);
        if subject.is_empty() {
            continue;
        }
        let info = facts.info(policy);
        for rule in &policy.rules {
            let L4::OneOf(ports) = &rule.l4 else { continue };
            let Some(pods) = destinations(facts, direction, &subject, rule) else { continue };
            if pods.is_empty() {
                continue;
            }
            for port in ports {
                let asked = Asked { facts, info, policy, direction, rule, port, ports, pods: &pods };
                match &port.ports {
                    Ports::Range(number, last) if number == last && !port.end_port => {
                        out.extend(port.protocol.and_then(|protocol| asked.number(protocol, *number)));
                    }
                    Ports::Named(name) => out.extend(asked.name(name)),
                    _ => {}
                }
            }
        }
    }
}

/// The pods whose ports a rule is about; none where it also leads elsewhere.
fn destinations(facts: &Facts<'_>, direction: Direction, subject: &[u32], rule: &Rule) -> Option<Vec<u32>> {
    match (direction, &rule.destination) {
        (Direction::Ingress, _) => Some(subject.to_vec()),
        (Direction::Egress, peers @ Match::OneOf(_)) => {
            let mut out = BTreeSet::new();
            for expr in all_pods(peers)? {
                out.extend(facts.select(expr).iter().copied());
            }
            Some(out.into_iter().collect())
        }
        (Direction::Egress, Match::Any) => None,
    }
}

struct Asked<'a> {
    facts: &'a Facts<'a>,
    info: &'a PolicyInfo,
    policy: &'a StagePolicy,
    direction: Direction,
    rule: &'a Rule,
    port: &'a PortMatch,
    ports: &'a [PortMatch],
    pods: &'a [u32],
}

impl Asked<'_> {
    fn path(&self) -> FieldPath {
        let part = RulePart::Port(self.port.index);
        let path = rule_path(self.info, self.policy.policy, self.direction, self.rule.index, part);
        if self.info.kind == PolicyKind::NetworkPolicy { path.key("port") } else { path }
    }

    fn key(&self, port: impl std::fmt::Display) -> String {
        format!("{} {port}", self.direction.name())
    }

    fn whose(&self) -> String {
        let names = self.facts.names(self.pods);
        match names.as_slice() {
            [one] => format!("`{one}`"),
            all => format!("any of its {} workloads", all.len()),
        }
    }

    fn number(&self, protocol: Protocol, number: u16) -> Option<Finding> {
        let facts = self.facts;
        if self.pods.iter().any(|g| facts.declares(*g, protocol, number)) {
            return None;
        }
        // Where Services of these pods lead: a port that one of them leads to is a real one, declared or not.
        let (mut meant, mut named, mut named_ids) = (BTreeSet::new(), None, Vec::new());
        for group in self.pods {
            for id in facts.services_of(*group) {
                let service = &facts.cluster.services[id.index()];
                for port in service.ports.iter().filter(|p| p.protocol == protocol) {
                    let target = self.target(*group, &port.target, protocol);
                    if target == Some(number) {
                        return None;
                    }
                    // A headless Service ignores its port mapping (35).
                    if port.number == number && !service.headless {
                        meant.extend(target);
                        named_ids.push(*id);
                        named.get_or_insert_with(|| facts.cluster.service_name(*id));
                    }
                }
            }
        }
        let step = "the rule names a port that the pods don't have";
        if let (Some(service), Some(first)) = (named, meant.first().copied()) {
            let covered = |p: &PortMatch| match p.ports {
                Ports::All => true,
                Ports::Range(a, b) => (a..=b).contains(&first),
                _ => false,
            };
            if self.ports.iter().any(|p| p.protocol == Some(protocol) && covered(p)) {
                return None;
            }
            let message = format!(
                "{} names {number} for {}, the port of Service `{service}`: policies see the pod's port {first}",
                self.object(),
                self.direction.name()
            );
            facts.explained.borrow_mut().extend(named_ids);
            let finding = Finding::on_policy(codes::SERVICE_PORT, self.info, self.key(number), message).at(
                self.info,
                self.path(),
                Part::Value,
                format!("this is the Service's port; the pod's is {first}"),
            );
            return Some(match (meant.len(), self.info.kind) {
                (1, PolicyKind::NetworkPolicy) => {
                    let op = Op::Replace(self.path(), first.into());
                    finding.help(format!("write `port: {first}`")).fixed(
                        facts.sources,
                        self.info,
                        op,
                        format!("{step}: {number} becomes {first}"),
                    )
                }
                _ => finding,
            });
        }
        let declares = |g: &u32| facts.declared(*g).any(|p| p.protocol == protocol);
        if !self.pods.iter().all(declares) {
            return None;
        }
        let mut known: Vec<u16> = self
            .pods
            .iter()
            .flat_map(|g| facts.declared(*g))
            .filter(|p| p.protocol == protocol)
            .map(|p| p.number)
            .collect();
        known.sort_unstable();
        known.dedup();
        let known: Vec<String> = known.iter().take(6).map(u16::to_string).collect();
        let message =
            format!("{protocol} {number} in {} is declared by no container of {}", self.object(), self.whose());
        Some(
            Finding::on_policy(codes::UNDECLARED_PORT, self.info, self.key(number), message)
                .at(self.info, self.path(), Part::Value, format!("they declare {}", known.join(", ")))
                .note("declaring a port is optional: the rule works where the pods listen on it all the same"),
        )
    }

    fn object(&self) -> String {
        self.info.reference()
    }

    fn target(&self, group: u32, target: &TargetPort, protocol: Protocol) -> Option<u16> {
        match target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Name(name) => self
                .facts
                .declared(group)
                .find(|p| p.protocol == protocol && p.name.as_ref() == Some(name))
                .map(|p| p.number),
        }
    }

    fn name(&self, name: &str) -> Option<Finding> {
        let facts = self.facts;
        let protocol = self.port.protocol;
        let fits = |p: &&crate::model::ContainerPort| protocol.is_none_or(|want| want == p.protocol);
        let declared = || self.pods.iter().flat_map(|g| facts.declared(*g)).filter(fits);
        if declared().any(|p| p.name.as_deref() == Some(name)) {
            return None;
        }
        let message = format!("{} names port `{name}`, which no container of {} declares", self.object(), self.whose());
        let finding = Finding::on_policy(codes::UNKNOWN_PORT_NAME, self.info, self.key(name), message);
        // A Service's port may have the name; a rule looks for it on the pod (23).
        let mut meant = BTreeSet::new();
        let mut of = None;
        for group in self.pods {
            for id in facts.services_of(*group) {
                let service = &facts.cluster.services[id.index()];
                for port in service.ports.iter().filter(|p| &*p.name == name && protocol == Some(p.protocol)) {
                    meant.extend(self.target(*group, &port.target, port.protocol));
                    of.get_or_insert_with(|| facts.cluster.service_name(*id));
                }
            }
        }
        let near = declared().filter_map(|p| p.name.as_deref()).find(|n| slip(n, name));
        let label = match (&of, near) {
            (Some(service), _) => format!("Service `{service}` has a port of this name; the pod has none"),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => "it never matches".to_owned(),
        };
        let finding = finding.at(self.info, self.path(), Part::Value, label);
        let only = meant.first().copied().filter(|_| meant.len() == 1);
        Some(match (only, self.info.kind) {
            (Some(number), PolicyKind::NetworkPolicy) => finding.help(format!("write `port: {number}`")).fixed(
                facts.sources,
                self.info,
                Op::Replace(self.path(), number.into()),
                format!("the pods don't name their ports: `{name}` becomes {number}"),
            ),
            _ => finding,
        })
    }
}
