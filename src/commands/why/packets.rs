//! `netcheck why --live`: packets from the pod itself to what it is suspected not to reach, held against what was found.

use super::super::{Exit, Output, cluster, probe};
use crate::analysis::probe::Agreement;
use crate::analysis::why::{Case, Confidence, Diagnosis, Proof, ProofKind};
use crate::cli::{Global, WhyArgs};
use crate::reach::Verdict;

/// Findings that are tried.
const MOST: usize = 16;

/// Tries every connection that a finding is about, and settles how sure it is. Whether one is left in doubt: the packets say
/// something else, or tell nothing.
pub(super) fn settle(
    case: &Case<'_>,
    diagnosis: &mut Diagnosis,
    global: &Global,
    args: &WhyArgs,
    output: &mut Output,
) -> Result<bool, Exit> {
    let model = case.evaluator.cluster;
    let mut tries = Vec::new();
    let mut of = Vec::new();
    for (index, finding) in diagnosis.findings.iter().enumerate().take(MOST) {
        let Some(network) = finding.network.as_deref() else { continue };
        let (Some(check), Some(target)) = (&network.check, &network.asked) else { continue };
        let Some((namespace, name)) = finding.pods.first() else { continue };
        let Some(pod) = model.namespace(namespace).and_then(|n| model.pod(n, name)) else { continue };
        let attempt = probe::attempt(case.evaluator, check, pod, target, &network.target.text());
        if !attempt.plan.items.is_empty() {
            tries.push(attempt);
            of.push(index);
        }
    }
    if tries.is_empty() {
        output.note("note: no connection is suspected: there is nothing to send packets for\n");
        return Ok(false);
    }
    let sending = probe::Sending { global, flags: &args.probe, capture: None };
    let answers = probe::run(sending, model, case.profile, &tries, output)?;
    let mut doubt = false;
    for (index, answer) in of.into_iter().zip(answers) {
        let probe = match answer {
            Ok(probe) => probe,
            Err(error) => {
                cluster::refuse(&error, output);
                doubt = true;
                continue;
            }
        };
        let finding = &mut diagnosis.findings[index];
        let got = probe.plan.items.iter().zip(&probe.judgement.findings).map(|(item, found)| {
            let class = found.class.map_or_else(|| "nothing is known".to_owned(), |class| class.to_string());
            format!("{} {}: {class}", item.role.name(), item.what)
        });
        let at = format!("packets from {}, by {}", probe.pod, probe.how);
        let mut proofs = vec![Proof::new(ProofKind::Probe, at, &got.collect::<Vec<_>>().join("\n"))];
        let meanings = probe.judgement.meanings.iter().chain(&probe.notes);
        proofs.extend(meanings.map(|text| Proof::new(ProofKind::Probe, "what that means", text)));
        let through = probe.judgement.verdict == Verdict::Reachable;
        let told = probe.judgement.agreement != Agreement::Inconclusive;
        finding.confidence = match (told, through) {
            (false, _) => finding.confidence,
            // What gets through now may not have then; it isn't what keeps the pod from it now.
            (true, true) => Confidence::Low,
            (true, false) if finding.cause.is_policy() && probe.judgement.agreement == Agreement::Disagrees => {
                finding.confidence.min(Confidence::Medium)
            }
            (true, false) => Confidence::High,
        };
        doubt |= !told || through;
        // What packets came to is the first thing to read.
        proofs.append(&mut finding.evidence);
        finding.evidence = proofs;
    }
    Ok(doubt)
}
