//! The rollout that a pod came with, as evidence: what changed just before the trouble is suspect, and where a policy is at
//! fault, whether it or the rollout is the newer of the two.
//!
//! The pod's ReplicaSet comes in, with when a policy at fault was changed; a proof goes out. DaemonSets and StatefulSets keep no
//! object whose age is a rollout's that `why` reads.

use super::finding::{Finding, Proof, ProofKind};
use super::run::Examined;
use super::{facts, time};

/// Seconds in which one thing still follows from the other.
const NEAR: i64 = 3600;

/// The pod's rollout beside a finding, where it tells something.
pub(super) fn proof(pod: &Examined<'_>, finding: &Finding) -> Option<Proof> {
    let owner = pod.pod.metadata.owner_references.iter().find(|o| o.kind == "ReplicaSet")?;
    let of = |name: &str| pod.case.facts.revisions.get(&(pod.namespace().to_owned(), name.to_owned()));
    let revision = of(&owner.name)?;
    let made = revision.created?;
    let deployment = revision.owner.as_deref()?;
    let started = pod.pod.status.start_time.as_deref().and_then(time::parse)?;
    let number = revision.number.map_or_else(String::new, |n| format!(" {n}"));
    let what = format!("revision{number} of Deployment {deployment}");
    let changed = finding.network.as_ref().and_then(|network| {
        network
            .policies
            .iter()
            .filter_map(|place| written(pod.case.facts, place))
            .max()
            .filter(|_| finding.cause.is_policy())
    });
    let text = match changed {
        Some(changed) if changed > made => {
            format!(
                "{what} was rolled out {} before the policy changed: the policy is the newer",
                time::length(changed - made)
            )
        }
        Some(changed) if made - changed > NEAR && started - made <= NEAR => format!(
            "{what} was rolled out {} after the policy's last change: what the new revision dials is the newer",
            time::length(made - changed)
        ),
        Some(_) => return None,
        // A pod that was made long after its revision ran in it before, on this node or another.
        None if (0..=NEAR).contains(&(started - made)) => match revision.number {
            Some(1) => format!(
                "{what}, its first, was rolled out {} before the pod started: it has not run otherwise",
                time::length(started - made)
            ),
            _ => format!(
                "{what} was rolled out {} before the pod started: what it changed is suspect",
                time::length(started - made)
            ),
        },
        None => return None,
    };
    Some(Proof::new(ProofKind::Time, format!("ReplicaSet {}", owner.name), &text))
}

/// When a policy was written last.
pub(super) fn written(facts: &facts::Facts, place: &super::PolicyPlace) -> Option<i64> {
    let key = (place.kind.clone(), place.namespace.clone().unwrap_or_default(), place.name.clone());
    let written = facts.policies.get(&key)?;
    written.changed.or(written.created)
}
