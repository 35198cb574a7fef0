//! The order of findings: within a pod the root before its symptoms, over all pods the server before its clients; pods of
//! one workload with one cause are one finding.

use super::Case;
use super::cause::{Cause, Confidence};
use super::finding::Finding;

/// How near a cause is to the root: lower comes first.
fn depth(cause: Cause) -> u8 {
    match cause {
        Cause::NodePressure | Cause::Evicted => 0,
        Cause::LivenessWrong | Cause::LivenessTooEarly => 3,
        Cause::ExitZero | Cause::Sigterm | Cause::Sigkill => 4,
        Cause::ReadinessOnly | Cause::InitFailed => 5,
        _ => 2,
    }
}

/// Orders the findings of one pod.
pub(super) fn within_pod(found: &mut [Finding]) {
    // A policy that is shown to block what the program fails at is the root of how it ends, whoever ends it.
    let order = |f: &Finding| {
        let settled = f.cause.is_policy() && f.score >= 5;
        (if settled { 1 } else { depth(f.cause) }, -f.score, f.cause)
    };
    found.sort_by_key(order);
    // What follows from it is only what it looks like from the outside.
    if found.first().is_some_and(|f| f.cause.is_policy() && f.score >= 5) {
        for symptom in found.iter_mut().skip(1).filter(|f| depth(f.cause) > 2) {
            symptom.confidence = symptom.confidence.min(Confidence::Medium);
        }
    }
}

/// Joins what is one, and orders the rest.
pub(super) fn group(case: &Case<'_>, all: Vec<Finding>) -> Vec<Finding> {
    let mut out: Vec<Finding> = Vec::new();
    for mut finding in all {
        finding.workload = workload(case, &finding);
        let target = |f: &Finding| f.network.as_ref().map(|n| n.target.text());
        let same = |known: &Finding| {
            known.workload.is_some()
                && known.workload == finding.workload
                && known.pods[0].0 == finding.pods[0].0
                && known.cause == finding.cause
                && known.container == finding.container
                && target(known) == target(&finding)
        };
        match out.iter_mut().find(|known| same(known)) {
            Some(known) => {
                for pod in finding.pods {
                    if !known.pods.contains(&pod) {
                        known.pods.push(pod);
                    }
                }
            }
            None => out.push(finding),
        }
    }
    // A client whose server is down comes after the server; everything else keeps the order of the pods.
    let mut at = 0;
    let mut moves = 0;
    while at < out.len() && moves < out.len() * out.len() {
        let server = out[at].culprit.as_ref().filter(|_| out[at].cause == Cause::DependencyDown).and_then(|culprit| {
            out.iter().enumerate().skip(at + 1).rev().find_map(|(later, f)| {
                let own = f.workload.as_ref().is_some_and(|(k, n)| *k == culprit.kind && *n == culprit.name)
                    || culprit.kind == "Pod" && f.pods.iter().any(|p| p.1 == culprit.name);
                (own && f.pods[0].0 == culprit.namespace && f.pods != out[at].pods).then_some(later)
            })
        });
        match server {
            Some(later) => {
                let client = out.remove(at);
                out.insert(later, client);
                moves += 1;
            }
            None => at += 1,
        }
    }
    out
}

fn workload(case: &Case<'_>, finding: &Finding) -> Option<(String, String)> {
    let cluster = case.evaluator.cluster;
    let key = finding.pods.first()?;
    let id = cluster.namespace(&key.0).and_then(|n| cluster.pod(n, &key.1))?;
    cluster.pods[id.index()].workload.as_ref().map(|w| (w.kind.to_string(), w.name.to_string()))
}
