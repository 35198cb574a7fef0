//! The smallest edits that make a blocked check pass, each confirmed by evaluating the whole check again.
//!
//! A question, its cluster and the texts of its policies come in; [`Fix`]es go out, smallest first: JSON patches of
//! policies that exist, or new ones, with what else each opens and closes. Nothing is written anywhere.

mod candidates;
mod compare;
mod effects;
mod owner;
mod patch;
mod peer;
mod render;
mod state;
mod yaml;

use serde_json::Value;

use crate::analysis::explain::Explainer;
use crate::model::query::{PortSpec, Target};
use crate::model::{Cluster, NamespaceId, Protocol};
use crate::policy::rule::{RuleRef, Tier};
use crate::policy::{PolicyKind, Profile};
use crate::reach::eval::StepResult;
use crate::reach::{Check, CheckOptions, Endpoint, Evaluator, Outcome, Source, Verdict};
use crate::source::{Origin, SourceMap};
use candidates::Candidate;
pub use effects::{Change, Effects, Side};
pub use owner::Owner;
pub use patch::{Op, Patch};
use state::State;
pub use yaml::to_yaml;

/// What the check asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What connects.
    pub source: Source,
    /// What is connected to.
    pub target: &'a Target,
    /// The port that is dialled.
    pub port: &'a PortSpec,
    /// Protocol.
    pub protocol: Protocol,
    /// Options.
    pub options: CheckOptions,
}

/// What an edit changes.
#[derive(Clone, Debug, PartialEq)]
pub enum EditTarget {
    /// A policy that exists.
    Existing {
        /// Where it was read.
        origin: Origin,
        /// The policy as it was written.
        before: Value,
        /// What is changed.
        patch: Patch,
        /// What takes the patch back.
        undo: Patch,
    },
    /// A policy that is added.
    New,
}

/// One object that a fix changes or adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// What is changed.
    pub target: EditTarget,
    /// Kind.
    pub kind: PolicyKind,
    /// Namespace; none for cluster-wide kinds.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// What is done, a clause each: `correct label app at spec.ingress[0].from[0]…`.
    pub steps: Vec<String>,
    /// The whole object with the edit.
    pub after: Value,
    /// Who owns the object, so that an edit by hand would be reverted.
    pub owner: Option<Owner>,
}

/// Edits that together make the check pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// The edits, in the order they were found.
    pub edits: Vec<Edit>,
    /// How large they are; comparable within one proposal.
    pub cost: u32,
    /// Everything that they open and close, what was asked for included.
    pub effects: Effects,
    /// Whether a cluster-wide policy has to change, which only its administrator can do.
    pub needs_admin: bool,
}

/// A rule that no NetworkPolicy can override.
#[derive(Clone, Debug, PartialEq)]
pub struct NotYours {
    /// `Kind/name` of the policy.
    pub reference: String,
    /// Where it was read.
    pub origin: Origin,
    /// Its tier.
    pub tier: Tier,
    /// The rule.
    pub rule: RuleRef,
    /// The rule's own name, where it has one.
    pub name: Option<String>,
}

/// What can be done about a check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// Fixes, best first: those that close nothing that listens, then the smallest. All were confirmed.
    pub fixes: Vec<Fix>,
    /// Rules of tier Admin that deny: only their administrator can change them.
    pub not_yours: Vec<NotYours>,
    /// Nothing was found to propose under a profile that leaves questions open: an edit may work under some of its choices.
    pub unsettled: bool,
}

/// How many fixes are proposed.
const MOST_FIXES: usize = 4;
/// How many edits a fix may take, one after the other.
const MOST_STEPS: usize = 8;
/// How many changed sets of policies are tried out.
const MOST_TRIES: usize = 160;

/// Proposes fixes for a check that is blocked or partial, or open to doubt for want of the address behind a name outside the
/// cluster: there, what passes whatever the address is. Needs the texts of the policies to change them.
pub fn propose(evaluator: &Evaluator<'_>, profile: &Profile, sources: &SourceMap, question: &Question<'_>) -> Proposal {
    let mut search = Search { evaluator, profile, sources, question, tries: MOST_TRIES };
    let check = search.check(evaluator);
    let shut = matches!(check.verdict, Verdict::Blocked | Verdict::Partial) || search.in_doubt(&check);
    if !shut || check.obstacle.is_some() {
        return Proposal::default();
    }
    let mut found = Vec::new();
    // Of the other namespaces, no policy decides what was asked.
    let deciding = evaluator.policies.within(&namespaces(evaluator.cluster, &check));
    search.extend(State::new(evaluator.cluster, deciding), Vec::new(), MOST_FIXES, &mut found);
    let mut fixes: Vec<Fix> = Vec::new();
    for (state, steps) in found {
        let edits = state.edits(sources);
        let same = |fix: &Fix| fix.edits.iter().map(|e| &e.after).eq(edits.iter().map(|e| &e.after));
        if edits.is_empty() || fixes.iter().any(same) {
            continue;
        }
        let policies = state.laid_over(evaluator.policies);
        let after = Evaluator::new(evaluator.cluster, &policies, profile);
        fixes.push(Fix {
            cost: steps.iter().map(|s| s.cost).sum(),
            effects: compare::between(evaluator, &after, &state.origins(), &asked(&search.check(&after))),
            needs_admin: edits.iter().any(|e| e.kind != PolicyKind::NetworkPolicy),
            edits,
        });
    }
    let cluster = evaluator.cluster;
    // Between edits of about the same size, the one that opens less.
    let weight = |f: &Fix| f.cost + 2 * f.effects.opened_pairs().min(20) as u32;
    fixes.sort_by_key(|f| (f.needs_admin, f.effects.closes_what_listens(cluster), weight(f)));
    fixes.truncate(MOST_FIXES);
    let not_yours = not_yours(evaluator, &check);
    let unsettled = fixes.is_empty() && not_yours.is_empty() && !profile.is_settled();
    Proposal { fixes, not_yours, unsettled }
}

struct Search<'a> {
    evaluator: &'a Evaluator<'a>,
    profile: &'a Profile,
    sources: &'a SourceMap,
    question: &'a Question<'a>,
    tries: usize,
}

impl<'a> Search<'a> {
    fn check(&self, evaluator: &Evaluator<'_>) -> Check {
        let q = self.question;
        evaluator.check(q.source, q.target, q.port, q.protocol, q.options)
    }

    /// Whether it is only the address behind a name that the verdict lacks.
    fn in_doubt(&self, check: &Check) -> bool {
        check.verdict == Verdict::Unknown && matches!(self.question.target, Target::Name(_))
    }

    /// Takes away one obstacle after the other: the first in up to `most` ways, those behind it in the cheapest.
    fn extend(
        &mut self,
        state: State<'a>,
        steps: Vec<Candidate>,
        most: usize,
        out: &mut Vec<(State<'a>, Vec<Candidate>)>,
    ) {
        let evaluator = Evaluator::new(self.evaluator.cluster, &state.policies, self.profile);
        let check = self.check(&evaluator);
        if check.verdict == Verdict::Reachable {
            out.push((state, steps));
            return;
        }
        if steps.len() >= MOST_STEPS {
            return;
        }
        let explainer = Explainer::changed(&evaluator, &state.changed);
        let ways = explainer.ways(&check);
        let denied = ways.iter().find(|w| w.leg.outcome == Outcome::Denied);
        let doubted = ways.iter().find(|w| self.in_doubt(&check) && w.leg.outcome == Outcome::Unknown);
        let Some(way) = denied.or(doubted) else { return };
        let mut candidates =
            candidates::Maker { explainer: &explainer, state: &state, sources: self.sources, way }.all();
        candidates.sort_by_key(|c| c.cost);
        let enough = out.len() + most;
        for candidate in candidates {
            if out.len() >= enough || self.tries == 0 {
                return;
            }
            self.tries -= 1;
            let Some(next) = state.with(&candidate, self.sources) else { continue };
            let passes = {
                let evaluator = Evaluator::new(self.evaluator.cluster, &next.policies, self.profile);
                let decision = evaluator.evaluate(&way.flow);
                let settled = |outcome| match way.leg.outcome {
                    Outcome::Unknown => outcome == Outcome::Allowed,
                    _ => outcome != Outcome::Denied,
                };
                decision.legs().into_iter().any(|l| l.direction == way.leg.direction && settled(l.outcome))
            };
            if passes {
                let mut steps = steps.clone();
                steps.push(candidate);
                self.extend(next, steps, 1, out);
            }
        }
    }
}

/// The namespaces of the pods at both ends of every connection of a check.
fn namespaces(cluster: &Cluster, check: &Check) -> Vec<NamespaceId> {
    let dns = check.dns.iter().flat_map(|d| &d.endpoints);
    let ends = dns.chain(&check.endpoints).flat_map(|e| [e.client, e.server]);
    let mut out: Vec<NamespaceId> =
        ends.filter_map(|e| e.as_pod()).map(|pod| cluster.pods[pod.index()].namespace).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// The connections that were asked for, where they pass.
fn asked(check: &Check) -> Vec<effects::Asked> {
    let dns = check.dns.iter().flat_map(|d| &d.endpoints).map(|e| (e, Protocol::Udp));
    let target = check.endpoints.iter().map(|e| (e, check.protocol));
    dns.chain(target)
        .filter_map(|(e, protocol)| {
            // One name was asked for, not every address outside.
            let named = check.external_name.is_some() && e.server == Endpoint::internet();
            Some(effects::Asked { client: e.client, server: e.server, protocol, port: e.port?, named })
        })
        .collect()
}

/// The rules of tier Admin that deny somewhere on the way.
fn not_yours(evaluator: &Evaluator<'_>, check: &Check) -> Vec<NotYours> {
    let explainer = Explainer::new(evaluator);
    let mut out: Vec<NotYours> = Vec::new();
    for way in explainer.ways(check) {
        let Some(step) = way.leg.steps.last() else { continue };
        let (Tier::Admin, StepResult::Decided(Outcome::Denied, rule)) = (&step.tier, &step.result) else { continue };
        let info = evaluator.policies.info(rule.policy);
        if out.iter().any(|n| n.origin == info.origin && n.rule == *rule) {
            continue;
        }
        let name = candidates::rule_name(evaluator.cluster, info.origin, rule);
        out.push(NotYours {
            reference: info.reference(),
            origin: info.origin,
            tier: step.tier.clone(),
            rule: *rule,
            name,
        });
    }
    out
}
