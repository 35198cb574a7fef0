//! The policies at fault and their fields, the one to change first: near misses that look like mistakes, then what denies
//! or isolates.

use super::super::finding::PolicyPlace;
use crate::analysis::explain::{Explanation, How, Mismatch, Missed, NearMiss, Stretch};
use crate::policy::rule::Direction;
use crate::source::FieldPath;

pub(super) fn reference(place: &PolicyPlace) -> String {
    match &place.namespace {
        Some(namespace) => format!("{}/{namespace}/{}", place.kind, place.name),
        None => format!("{}/{}", place.kind, place.name),
    }
}

pub(super) fn names(policies: &[PolicyPlace]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for place in policies.iter().filter(|p| p.role != "nearly selects the pod") {
        let name = reference(place);
        if !out.contains(&name) {
            out.push(name);
        }
    }
    out
}

/// The policies at fault: near misses that look like mistakes first, then what denies or isolates; the part of the way that
/// fails first before the rest.
pub(super) fn places(explanations: &[Explanation], first: Stretch, dialled: &[std::net::IpAddr]) -> Vec<PolicyPlace> {
    let mut out: Vec<PolicyPlace> = Vec::new();
    let ordered =
        explanations.iter().filter(|e| e.stretch == first).chain(explanations.iter().filter(|e| e.stretch != first));
    for explanation in ordered {
        let mut mine: Vec<(u32, PolicyPlace)> = Vec::new();
        let only_denies = explanation.culprits.iter().any(|c| {
            matches!(c.how, How::Isolates) && !explanation.near_misses.iter().any(|n| n.reference == c.reference)
        });
        for near in &explanation.near_misses {
            let Some(missed) = near.missed.first() else { continue };
            // A policy that does nothing but deny is nearer to the cause than a rule for something else.
            let weight = match meant(explanation, near, dialled) {
                6 if only_denies => 12,
                weight => weight,
            };
            mine.push((weight, place(&near.reference, &missed.path, "nearly allows it", Some(near.origin))));
        }
        for culprit in &explanation.culprits {
            let role = match culprit.how {
                How::Denies(_) => "denies it",
                How::Isolates => "isolates the pod, and no rule allows it",
                How::MayDecide(_) => "may decide",
                How::CantBeEvaluated => "can't be evaluated here",
            };
            let mut add = |weight, path: &FieldPath| {
                mine.push((weight, place(&culprit.reference, path, role, Some(culprit.origin))));
            };
            match culprit.how {
                How::Denies(_) => add(1, &culprit.path),
                How::MayDecide(_) => add(2, &culprit.path),
                How::CantBeEvaluated => add(14, &culprit.path),
                // Where rules are listed and none fits, the list is the place; where there is none, what isolates is. A
                // policy that only denies comes before those that allow other things.
                How::Isolates => {
                    let list = FieldPath::keys(match explanation.direction {
                        Direction::Egress => "spec.egress",
                        Direction::Ingress => "spec.ingress",
                    });
                    let lists = explanation.near_misses.iter().any(|n| n.reference == culprit.reference);
                    let (first, second) = if lists { (&list, &culprit.path) } else { (&culprit.path, &list) };
                    let weight = if lists { 11 } else { 10 };
                    add(weight, first);
                    if first != second {
                        add(weight + 2, second);
                    }
                }
            }
        }
        for miss in &explanation.subject_misses {
            let Some(missed) = miss.missed.first() else { continue };
            mine.push((30, place(&miss.reference, &missed.path, "nearly selects the pod", Some(miss.origin))));
        }
        mine.sort_by_key(|(weight, _)| *weight);
        for (_, place) in mine {
            if out.len() < 16 && !out.iter().any(|p| reference(p) == reference(&place) && p.path == place.path) {
                out.push(place);
            }
        }
    }
    out
}

/// How likely a rule that nearly allows the connection was meant to, from 0: a mistake that has a name, a single thing off
/// beside a part that fits explicitly, a single thing off, anything else.
fn meant(explanation: &Explanation, near: &NearMiss, dialled: &[std::net::IpAddr]) -> u32 {
    let named = |missed: &Missed| match &missed.mismatch {
        Mismatch::ServiceIpInCidr { .. } | Mismatch::NamedPort { .. } => true,
        // The Service's address, which no policy ever sees.
        Mismatch::Cidr { cidr, excepted_by: None, .. } => dialled.iter().any(|ip| cidr.contains(ip)),
        Mismatch::Port { is_service_port, .. } => *is_service_port,
        Mismatch::Protocol { port_matches, .. } => *port_matches,
        _ => false,
    };
    if near.missed.iter().all(named) {
        return 0;
    }
    let [missed] = near.missed.as_slice() else { return 20 };
    let fits = match &missed.mismatch {
        Mismatch::PodLabel { similar, .. } | Mismatch::NamespaceLabel { similar, .. } => {
            near.rule.port.is_some() || similar.is_some()
        }
        // A rule for port 53 is there for DNS, not for what is dialled.
        Mismatch::Port { wanted, .. } => near.rule.peer.is_some() && (wanted.0 != 53 || explanation.port == 53),
        _ => near.rule.port.is_some() || near.rule.peer.is_some(),
    };
    match (fits, explanation.stretch) {
        (true, _) => 0,
        // A rule for another peer on every port says nothing of DNS.
        (false, Stretch::Dns) => 20,
        (false, Stretch::Target) => 6,
    }
}

fn place(reference: &str, path: &FieldPath, role: &'static str, origin: Option<crate::source::Origin>) -> PolicyPlace {
    let mut parts = reference.splitn(3, '/');
    let kind = parts.next().unwrap_or_default().to_owned();
    let (second, third) = (parts.next(), parts.next());
    let (namespace, name) = match (second, third) {
        (Some(namespace), Some(name)) => (Some(namespace.to_owned()), name.to_owned()),
        (Some(name), None) => (None, name.to_owned()),
        _ => (None, String::new()),
    };
    PolicyPlace { kind, namespace, name, path: path.to_string(), field: path.clone(), role, origin }
}
