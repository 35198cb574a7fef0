//! Which policies of two versions of a cluster mean something else.
//!
//! Lowered policies of both versions come in; those that only one of them has, or has otherwise, go out. What a policy is
//! called and where it stands in a file make no difference, and neither does the order of policies that only allow.

use rustc_hash::FxHashMap;

use super::rule::{Direction, Rule, StagePolicy};
use super::{Lowered, Policies};
use crate::model::NamespaceId;
use crate::policy::rule::Expr;

/// Policies of one direction that one version lacks.
#[derive(Clone, Debug, Default)]
pub struct Edits<'p> {
    /// What the earlier version has and the later lacks.
    pub before: Vec<(Direction, &'p StagePolicy)>,
    /// What the later version has and the earlier lacks.
    pub after: Vec<(Direction, &'p StagePolicy)>,
}

/// What a policy says, whatever it is called.
type Meaning<'p> = (Option<NamespaceId>, &'p Expr, i64, bool, &'p [Rule]);

fn meaning(policy: &StagePolicy) -> Meaning<'_> {
    (policy.namespace, &policy.subject, policy.priority, policy.isolates, &policy.rules)
}

impl<'p> Edits<'p> {
    /// Compares the policies of two versions whose clusters have the same namespaces. None where policies that can't be
    /// evaluated differ: what these touch isn't known.
    pub fn between(before: &'p Policies, after: &'p Policies) -> Option<Self> {
        let touched = |policies: &Policies| {
            let mut all: Vec<Option<NamespaceId>> = policies.unsupported.iter().map(|u| u.namespace).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        if touched(before) != touched(after) {
            return None;
        }
        let mut out = Self::default();
        out.tier(&before.admin, &after.admin, true);
        out.tier(&before.network, &after.network, false);
        out.tier(&before.baseline, &after.baseline, true);
        Some(out)
    }

    /// Whether both versions mean the same.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    fn tier(&mut self, before: &'p Lowered, after: &'p Lowered, ordered: bool) {
        for direction in [Direction::Ingress, Direction::Egress] {
            let (old, new) = (before.of(direction), after.of(direction));
            let same = |(a, b): &(&StagePolicy, &StagePolicy)| meaning(a) == meaning(b);
            let head = old.iter().zip(new.iter()).take_while(same).count();
            let (old, new) = (&old[head..], &new[head..]);
            let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
            let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
            if ordered {
                // Which of two comes first makes a difference: whatever lies between the ends that are alike may.
                self.before.extend(old.iter().map(|p| (direction, p)));
                self.after.extend(new.iter().map(|p| (direction, p)));
                continue;
            }
            let mut lacking: FxHashMap<Meaning<'_>, Vec<&'p StagePolicy>> = FxHashMap::default();
            for policy in old {
                lacking.entry(meaning(policy)).or_default().push(policy);
            }
            for policy in new {
                if lacking.get_mut(&meaning(policy)).and_then(Vec::pop).is_none() {
                    self.after.push((direction, policy));
                }
            }
            let mut gone: Vec<&StagePolicy> = lacking.into_values().flatten().collect();
            gone.sort_unstable_by_key(|p| p.policy);
            self.before.extend(gone.into_iter().map(|p| (direction, p)));
        }
    }
}
