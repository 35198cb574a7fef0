//! Selectors that select nothing, or not what was meant: subjects, peers, namespaces, slips in labels.

use super::codes;
use super::facts::{Facts, NAME_LABEL, Named, Parts, pods_of, requirement_path, rule_path, selector_key, written};
use super::{Finding, listed};
use crate::analysis::explain::slip;
use crate::model::Str;
use crate::policy::rule::{Match, Op, Requirement, RulePart, Scope};
use crate::policy::{PolicyId, PolicyInfo, PolicyKind};
use crate::source::{FieldPath, Part};

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let mut seen: Vec<bool> = vec![false; facts.policies.info.len()];
    for named in facts.all_policies() {
        let policy = named.2;
        let selects = !facts.select(&policy.subject).is_empty();
        let info = facts.info(policy);
        let first = seen.get_mut(policy.policy.0 as usize).is_some_and(|s| !std::mem::replace(s, true));
        let parts = Parts::of(&policy.subject);
        let base = subject_base(info.kind);
        if first {
            if selects {
                typos(facts, info, &parts, &base, out);
            } else {
                subject(facts, info, policy.policy, &parts, &base, out);
            }
        }
        // What a policy that selects nothing says of peers can't matter.
        if selects {
            peers(facts, &named, info, out);
        }
    }
}

/// The path below which a subject's selectors stand.
fn subject_base(kind: PolicyKind) -> FieldPath {
    match kind {
        PolicyKind::NetworkPolicy => FieldPath::keys("spec"),
        _ => FieldPath::keys("spec.subject"),
    }
}

fn subject(
    facts: &Facts<'_>,
    info: &PolicyInfo,
    policy: PolicyId,
    parts: &Parts<'_>,
    base: &FieldPath,
    out: &mut Vec<Finding>,
) {
    let miss = facts.miss(parts);
    let namespaces = facts.namespaces(parts);
    let known = facts.whole || namespaces.iter().any(|n| facts.has_pods(*n));
    if !known && miss.nearest.is_none() {
        return;
    }
    // Every pod of its namespace is selected; there is none, or all are on their node's network.
    let (place, part) = match miss.requirement {
        Some(r) => (requirement_path(info, base.clone(), parts, r), Part::Entry),
        None if info.kind == PolicyKind::NetworkPolicy => (base.clone().key("podSelector"), Part::Entry),
        None => (base.clone(), Part::Entry),
    };
    let message = match &info.namespace {
        Some(namespace) if !facts.cluster.namespace(namespace).is_some_and(|n| facts.has_pods(n)) => {
            format!("{} selects nothing: namespace `{namespace}` has no pods", info.reference())
        }
        Some(namespace) => format!("{} selects no pod of namespace `{namespace}`", info.reference()),
        None => format!("{} selects no pod", info.reference()),
    };
    let only_host = facts.groups.iter().any(|g| g.host_network && namespaces.contains(&g.namespace));
    let label = match (&miss.nearest, miss.requirement) {
        (Some((key, value)), _) => format!("did you mean `{key}: {value}`?"),
        (None, Some(r)) => format!("nothing has `{}`", written(r)),
        (None, None) => String::new(),
    };
    let mut finding = Finding::on_policy(codes::POLICY_SELECTS_NOTHING, info, "", message).at(info, place, part, label);
    if parts.pod.is_empty() && only_host {
        finding = finding.note("pods on their node's network are there; policies don't select them");
    }
    let _ = policy;
    out.push(finding);
}

fn peers(facts: &Facts<'_>, (_, direction, policy): &Named<'_>, info: &PolicyInfo, out: &mut Vec<Finding>) {
    for rule in &policy.rules {
        let Match::OneOf(peers) = rule.peers(*direction) else { continue };
        for peer in peers {
            let Some(expr) = pods_of(peer) else { continue };
            let parts = Parts::of(expr);
            let base = rule_path(info, policy.policy, *direction, rule.index, RulePart::Peer(peer.index));
            let missing = namespaces(facts, info, &parts, &base, out);
            if !facts.select(expr).is_empty() {
                typos(facts, info, &parts, &base, out);
            } else if !missing {
                nothing(facts, info, *direction, &parts, &base, out);
            }
        }
    }
}

fn nothing(
    facts: &Facts<'_>,
    info: &PolicyInfo,
    direction: crate::policy::Direction,
    parts: &Parts<'_>,
    base: &FieldPath,
    out: &mut Vec<Finding>,
) {
    let miss = facts.miss(parts);
    let namespaces = facts.namespaces(parts);
    // Namespaces that are only mentioned have labels and pods that aren't known here.
    let known = facts.whole || namespaces.iter().any(|n| facts.has_pods(*n));
    if !known && miss.nearest.is_none() {
        return;
    }
    let what = if namespaces.is_empty() { "no namespace" } else { "no pod" };
    let message = format!("a peer of {} of {} selects {what}", direction.name(), info.reference());
    let place = miss.requirement.map_or_else(|| base.clone(), |r| requirement_path(info, base.clone(), parts, r));
    let label = match (&miss.nearest, miss.requirement) {
        (Some((key, value)), _) => format!("did you mean `{key}: {value}`?"),
        (None, Some(r)) => format!("nothing has `{}`", written(r)),
        (None, None) if parts.pod.len() > 1 => "no pod has all of these labels".to_owned(),
        (None, None) => "there are no such pods".to_owned(),
    };
    let key = format!("{} {}", direction.name(), selector_key(parts));
    let mut finding =
        Finding::on_policy(codes::PEER_SELECTS_NOTHING, info, key, message).at(info, place, Part::Entry, label);
    if let Some(r) = miss.requirement
        && miss.nearest.is_none()
        && r.scope == Scope::Pod
        && let [only] = namespaces.as_slice()
        && let Some(elsewhere) = elsewhere(facts, parts)
    {
        let own = facts.namespace_name(*only);
        finding = finding
            .note(format!("without a namespaceSelector, a podSelector looks in namespace `{own}` alone"))
            .note(format!("such pods are in {elsewhere}"));
    }
    // Of a part of a cluster, what a selector is for may be elsewhere.
    out.push(if facts.whole || miss.nearest.is_some() { finding } else { finding.only_note() });
}

/// Other namespaces with pods that meet the requirements on the pod.
fn elsewhere(facts: &Facts<'_>, parts: &Parts<'_>) -> Option<String> {
    let all =
        crate::policy::rule::Expr::All(parts.pod.iter().map(|r| crate::policy::rule::Expr::Is((*r).clone())).collect());
    let groups = facts.select(&all);
    let mut names: Vec<&str> = groups.iter().map(|g| facts.namespace_name(facts.group(*g).namespace)).collect();
    names.dedup();
    (!names.is_empty()).then(|| format!("namespace {}", listed(names, 3)))
}

/// Namespaces that a selector names and that don't exist; whether any was reported.
fn namespaces(
    facts: &Facts<'_>,
    info: &PolicyInfo,
    parts: &Parts<'_>,
    base: &FieldPath,
    out: &mut Vec<Finding>,
) -> bool {
    let mut any = false;
    for r in parts.namespace.iter().filter(|r| r.scope == Scope::Namespace && &*r.key == NAME_LABEL) {
        let (Op::In(values) | Op::NotIn(values)) = &r.op else { continue };
        for value in values.iter().filter(|v| facts.cluster.namespace(v).is_none()) {
            let near = facts.cluster.namespaces.iter().map(|n| &n.name).find(|n| slip(n, value));
            if !facts.whole && near.is_none() {
                continue;
            }
            let label = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "there is no such namespace".to_owned(),
            };
            let message = format!("{} names namespace `{value}`, which doesn't exist", info.reference());
            let place = requirement_path(info, base.clone(), parts, r);
            out.push(Finding::on_policy(codes::UNKNOWN_NAMESPACE, info, &**value, message).at(
                info,
                place,
                Part::Entry,
                label,
            ));
            any = true;
        }
    }
    any
}

/// Labels in a selector that nothing in the cluster has, where a near one exists. The selector as a whole selects
/// something, so that the slip goes unnoticed.
fn typos(facts: &Facts<'_>, info: &PolicyInfo, parts: &Parts<'_>, base: &FieldPath, out: &mut Vec<Finding>) {
    for r in parts.pod.iter().chain(&parts.namespace) {
        if r.scope == Scope::NamespaceName || &*r.key == NAME_LABEL {
            continue;
        }
        let Some((wrong, near)) = typo(facts, r) else { continue };
        let effect = match r.op {
            Op::NotIn(_) | Op::DoesNotExist => "so that it holds for every pod",
            _ => "so that it never matches",
        };
        let message = format!("{} names label {wrong}, which nothing has, {effect}", info.reference());
        let place = requirement_path(info, base.clone(), parts, r);
        out.push(Finding::on_policy(codes::LABEL_TYPO, info, written(r), message).at(
            info,
            place,
            Part::Entry,
            format!("did you mean {near}?"),
        ));
    }
}

fn typo(facts: &Facts<'_>, r: &Requirement) -> Option<(String, String)> {
    let labels = facts.labels(r.scope);
    let Some(known) = labels.get(&r.key) else {
        // A key that nothing has: only of a requirement that holds without it.
        let near = labels.keys().find(|k| slip(k, &r.key))?;
        return Some((format!("`{}`", r.key), format!("`{near}`")));
    };
    let (Op::In(values) | Op::NotIn(values)) = &r.op else { return None };
    values.iter().filter(|v| !known.contains(*v)).find_map(|value| {
        let near: &Str = known.iter().find(|k| slip(k, value) && !values.contains(k))?;
        Some((format!("`{}: {value}`", r.key), format!("`{}: {near}`", r.key)))
    })
}
