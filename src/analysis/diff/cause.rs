//! Which rule opened or closed a connection: the traces of both versions, held against each other.
//!
//! Where a leg is denied in one version and allowed in the other, two things may have done it: what denies in the one, or the
//! rule that allows in the other. Those of policies that differ between the versions did; where no policy differs, labels,
//! named ports or addresses did, and both are told.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::compare::{Found, Pair, Stand, all};
use super::{L4, Version};
use crate::analysis::explain::{Explainer, How};
use crate::model::Protocol;
use crate::policy::Edits;
use crate::policy::rule::{Direction, Expr, Rule, StagePolicy};
use crate::reach::{Decision, Evaluator, Flow, Leg, Outcome};
use crate::source::{FieldPath, Origin};

/// In which version something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum When {
    /// The earlier one.
    Before,
    /// The later one.
    After,
}

impl When {
    /// `before` or `after`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// What a policy does about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A rule allows it.
    Allows,
    /// A rule denies it.
    Denies,
    /// It isolates the pod, and no rule allows the connection.
    Isolates,
    /// It may decide, which can't be told.
    MayDecide,
}

impl Act {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allows => "allows",
            Self::Denies => "denies",
            Self::Isolates => "isolates",
            Self::MayDecide => "may-decide",
        }
    }
}

/// A rule or an isolation that a change comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// The version where it stands.
    pub when: When,
    /// What it does there.
    pub act: Act,
    /// The direction, as the pod that it selects sees it.
    pub direction: Direction,
    /// `Kind/namespace/name`, or `Kind/name`.
    pub reference: String,
    /// Whether the policy differs between the versions; where not, labels, ports or addresses do.
    pub differs: bool,
    /// Whether it does the same in the other version, so that another rule made the difference: it tells where the connection
    /// is decided.
    pub context: bool,
    /// Where the policy was read.
    pub origin: Origin,
    /// The field that decides.
    pub path: FieldPath,
}

/// Looks for causes.
pub(super) struct Inquiry<'a> {
    before: Evaluator<'a>,
    after: Evaluator<'a>,
    /// Policies that one version lacks or has otherwise.
    differ: BTreeSet<String>,
}

/// Ports of one change whose causes are looked for.
const MOST_PORTS: usize = 6;

impl<'a> Inquiry<'a> {
    /// `edits` are the policies that differ, where they are known.
    pub(super) fn new(before: Version<'a>, after: Version<'a>, edits: Option<&Edits<'_>>) -> Self {
        Self {
            before: Evaluator::new(before.cluster, before.policies, before.profile),
            after: Evaluator::new(after.cluster, after.policies, after.profile),
            differ: edits.map_or_else(|| differing(before, after), |edits| edited(edits, before, after)),
        }
    }

    /// Finds the causes of the first changes.
    pub(super) fn settle(&self, found: &mut [Found], most: usize) {
        let end = found.len().min(most);
        found[..end].par_iter_mut().for_each(|f| f.change.causes = self.causes(f));
    }

    fn causes(&self, found: &Found) -> Vec<Cause> {
        let change = &found.change;
        let mut out: BTreeSet<Cause> = BTreeSet::new();
        let changed =
            [change.opened(), change.closed(), change.may_open(), change.may_close()].into_iter().flat_map(samples);
        for (protocol, port) in changed.take(MOST_PORTS) {
            let before = self.before.evaluate(&flow(&self.before, &found.pair, false, protocol, port));
            let after = self.after.evaluate(&flow(&self.after, &found.pair, true, protocol, port));
            self.compare(&before, &after, &mut out);
        }
        out.into_iter().collect()
    }

    fn compare(&self, before: &Decision, after: &Decision, out: &mut BTreeSet<Cause>) {
        let mut all = Vec::new();
        for (old, new) in before.legs().into_iter().zip(after.legs()) {
            // Where plugins differ, the traces are those of one plugin each: both legs may have a share.
            let same = old.outcome == new.outcome && before.differs.is_empty() && after.differs.is_empty();
            if !same {
                self.leg(old, new, When::Before, &mut all);
                self.leg(new, old, When::After, &mut all);
            }
        }
        let did: Vec<Cause> = all.iter().filter(|c| c.differs).cloned().collect();
        let mut did = if did.is_empty() { all } else { did };
        if did.iter().all(|c| c.context) {
            did.iter_mut().for_each(|c| c.context = false);
        }
        out.extend(did);
    }

    /// The causes on a leg; `across` is the same leg in the other version.
    fn leg(&self, leg: &Leg, across: &Leg, when: When, out: &mut Vec<Cause>) {
        let (evaluator, other) = match when {
            When::Before => (&self.before, &self.after),
            When::After => (&self.after, &self.before),
        };
        let selects_there = |reference: &str| {
            let selecting = across.steps.iter().flat_map(|s| &s.selecting);
            selecting.into_iter().any(|p| other.policies.info(*p).reference() == reference)
        };
        let explainer = Explainer::new(evaluator);
        let mut push = |reference: String, act, origin, path| {
            let differs = self.differ.contains(&reference);
            let context = act == Act::Isolates && selects_there(&reference);
            out.push(Cause { when, act, direction: leg.direction, reference, differs, context, origin, path });
        };
        if leg.outcome == Outcome::Allowed {
            if let Some(rule) = leg.decided_by() {
                let info = evaluator.policies.info(rule.policy);
                push(info.reference(), Act::Allows, info.origin, explainer.rule_path(&rule));
            }
            return;
        }
        for culprit in explainer.culprits(leg) {
            let act = match culprit.how {
                How::Isolates => Act::Isolates,
                How::Denies(_) => Act::Denies,
                How::MayDecide(_) | How::CantBeEvaluated => Act::MayDecide,
            };
            push(culprit.reference, act, culprit.origin, culprit.path);
        }
    }
}

/// The first port of each interval.
fn samples(ports: L4) -> Vec<(Protocol, u16)> {
    ports.iter().flat_map(|(p, set)| set.intervals().iter().map(move |(first, _)| (p, (*first).max(1)))).collect()
}

fn flow(evaluator: &Evaluator<'_>, pair: &Pair, late: bool, protocol: Protocol, port: u16) -> Flow {
    Flow {
        client: pair.client.endpoint(evaluator.cluster, late, pair.v6),
        server: pair.server.endpoint(evaluator.cluster, late, pair.v6),
        protocol,
        port,
        name: match &pair.server {
            Stand::Name(name) => Some(name.clone()),
            _ => None,
        },
        via_service: false,
    }
}

/// The same of policies that are known to differ, or to stand in another order.
fn edited(edits: &Edits<'_>, before: Version<'_>, after: Version<'_>) -> BTreeSet<String> {
    type Meanings<'p> = Vec<(&'p Expr, i64, bool, &'p [Rule])>;
    let mut all: BTreeMap<(String, Direction), [Meanings<'_>; 2]> = BTreeMap::new();
    for (late, version, list) in [(0, before, &edits.before), (1, after, &edits.after)] {
        for (direction, policy) in list {
            let key = (version.policies.info(policy.policy).reference(), *direction);
            let meaning = (&policy.subject, policy.priority, policy.isolates, policy.rules.as_slice());
            all.entry(key).or_default()[late].push(meaning);
        }
    }
    all.into_iter().filter(|(_, [old, new])| old != new).map(|((reference, _), _)| reference).collect()
}

/// The policies that mean something else in the other version, or don't exist there.
fn differing(before: Version<'_>, after: Version<'_>) -> BTreeSet<String> {
    type Meaning<'p> = Vec<(&'p Expr, i64, bool, &'p [Rule])>;
    fn meanings(version: Version<'_>) -> BTreeMap<String, Meaning<'_>> {
        let mut out: BTreeMap<String, Meaning<'_>> = BTreeMap::new();
        for info in &version.policies.info {
            out.entry(info.reference()).or_default();
        }
        for StagePolicy { policy, subject, priority, isolates, rules, .. } in all(version.policies) {
            let reference = version.policies.info(*policy).reference();
            out.entry(reference).or_default().push((subject, *priority, *isolates, rules));
        }
        for unsupported in &version.policies.unsupported {
            let namespace = unsupported.namespace.map(|n| &version.cluster.namespaces[n.index()].name);
            let reference = match namespace {
                Some(namespace) => format!("{}/{namespace}/{}", unsupported.kind, unsupported.name),
                None => format!("{}/{}", unsupported.kind, unsupported.name),
            };
            out.entry(reference).or_default();
        }
        out
    }
    let (old, new) = (meanings(before), meanings(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}
