//! Rules of NetworkPolicies against each other: those that others cover, and allow-all rules beside narrow ones.
//!
//! Policies of one namespace are compared, structure against structure (see [`cover`]); how many comparisons are made is
//! bounded.

use super::cover;
use super::facts::{Facts, rule_path};
use super::{DIRECTIONS, Finding, codes};
use crate::analysis::fix::Op;
use crate::model::NamespaceId;
use crate::policy::Direction;
use crate::policy::rule::{L4, Match, Rule, RulePart, StagePolicy};
use crate::source::{FieldPath, Part};

/// Comparisons per namespace and direction: about two thousand rules against each other.
const MOST: usize = 4_000_000;
/// Narrow rules that are shown beside an allow-all rule.
const SHOWN: usize = 2;

#[derive(Clone, Copy)]
struct At<'a> {
    policy: &'a StagePolicy,
    rule: &'a Rule,
}

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for direction in DIRECTIONS {
        let policies = facts.policies.network.of(direction);
        let mut start = 0;
        while start < policies.len() {
            let namespace: Option<NamespaceId> = policies[start].namespace;
            let end = start + policies[start..].iter().take_while(|p| p.namespace == namespace).count().max(1);
            let rules: Vec<At<'_>> = policies[start..end]
                .iter()
                .filter(|p| !facts.select(&p.subject).is_empty())
                .flat_map(|policy| policy.rules.iter().map(move |rule| At { policy, rule }))
                .collect();
            compare(facts, direction, &rules, out);
            start = end;
        }
    }
}

/// Whether a rule allows everything.
pub(super) fn allows_all(direction: Direction, rule: &Rule) -> bool {
    *rule.peers(direction) == Match::Any && rule.l4 == L4::Any
}

fn compare(facts: &Facts<'_>, direction: Direction, rules: &[At<'_>], out: &mut Vec<Finding>) {
    let mut left = MOST;
    let mut by_all = vec![false; rules.len()];
    for all in rules.iter().filter(|r| allows_all(direction, r.rule)) {
        let mut narrow = Vec::new();
        for (index, other) in rules.iter().enumerate() {
            left = left.saturating_sub(1);
            if !allows_all(direction, other.rule) && cover::implies(&other.policy.subject, &all.policy.subject) {
                by_all[index] = true;
                narrow.push(other);
            }
        }
        if !narrow.is_empty() && left > 0 {
            out.push(allow_all(facts, direction, all, &narrow));
        }
    }
    for (index, a) in rules.iter().enumerate().filter(|(index, _)| !by_all[*index]) {
        let covering = rules.iter().enumerate().find(|(other, b)| {
            left = left.saturating_sub(1);
            // Of two that cover each other, the later one is superfluous.
            let covers = |x: &At<'_>, y: &At<'_>| {
                cover::implies(&x.policy.subject, &y.policy.subject) && cover::rule(x.rule, y.rule)
            };
            *other != index && covers(a, b) && (*other < index || !covers(b, a))
        });
        if left == 0 {
            return;
        }
        if let Some((_, b)) = covering {
            out.push(covered(facts, direction, a, b));
        }
    }
}

fn path(facts: &Facts<'_>, direction: Direction, at: &At<'_>) -> FieldPath {
    rule_path(facts.info(at.policy), at.policy.policy, direction, at.rule.index, RulePart::Rule)
}

fn allow_all(facts: &Facts<'_>, direction: Direction, all: &At<'_>, narrow: &[&At<'_>]) -> Finding {
    let info = facts.info(all.policy);
    let (peers, verb) = match direction {
        Direction::Ingress => ("from everywhere", "lets everything in"),
        Direction::Egress => ("to everywhere", "lets everything out"),
    };
    let message = format!(
        "{} {verb}, so that {} for the same pods {} nothing",
        info.reference(),
        match narrow.len() {
            1 => "a narrower rule".to_owned(),
            n => format!("{n} narrower rules"),
        },
        if narrow.len() == 1 { "changes" } else { "change" },
    );
    let text = format!("every port, {peers}");
    let mut finding = Finding::on_policy(codes::ALLOW_ALL, info, direction.name(), message).at(
        info,
        path(facts, direction, all),
        Part::Entry,
        text,
    );
    for other in narrow.iter().take(SHOWN) {
        let place = path(facts, direction, other);
        finding = finding.context(facts.info(other.policy), place, Part::Entry, "without effect beside it");
    }
    finding.help("rules are a union: remove the rule that allows everything, or those that it makes superfluous")
}

fn covered(facts: &Facts<'_>, direction: Direction, a: &At<'_>, b: &At<'_>) -> Finding {
    let (info, by) = (facts.info(a.policy), facts.info(b.policy));
    let place = path(facts, direction, a);
    let message = if a.policy.policy == b.policy.policy {
        format!("a rule of {} allows nothing that another of its rules doesn't", info.reference())
    } else {
        format!("a rule of {} allows nothing that {} doesn't", info.reference(), by.reference())
    };
    let key = format!("{} {}", place, by.reference());
    let finding = Finding::on_policy(codes::COVERED_RULE, info, key, message)
        .at(info, place.clone(), Part::Entry, "superfluous")
        .context(by, path(facts, direction, b), Part::Entry, "allows all of it");
    // Without its last rule a policy may be one of another type: `policyTypes` follow from the rules where they are missing.
    if a.policy.rules.len() < 2 {
        return finding;
    }
    let step = format!("{place} goes");
    finding.fixed(facts.sources, info, Op::Remove(place), step)
}
