//! A policy stops a connection, or may: who, at which field, since when, and the edit that was confirmed.

use super::super::cause::{Cause, Confidence};
use super::super::finding::{Finding, PolicyPlace, Proof, ProofKind};
use super::super::{resolve, rollout, time};
use super::attempt::{ANY_NAME, GUESSED};
use super::culprits::{names, places, reference};
use super::{Resolved, Way};
use crate::analysis::explain::{Explanation, Stretch, explain};
use crate::analysis::fix::{Question, propose};
use crate::model::Protocol;
use crate::model::query::Target;
use crate::reach::{Check, CheckOptions, Outcome, Source};

impl Way<'_> {
    /// A policy stops it. `base` is what the evaluator's answer adds to the line's strength.
    pub(super) fn blocked(&self, check: Check, dns: bool, base: i32) -> Finding {
        let cause = if dns { Cause::DnsBlocked } else { Cause::PolicyBlocked };
        let target = self.target().text();
        let explanations = explain(self.pod.case.evaluator, &check);
        let wanted = if dns { Stretch::Dns } else { Stretch::Target };
        let of_way: Vec<&Explanation> = explanations.iter().filter(|e| e.stretch == wanted).collect();
        let direction = match (dns, of_way.first()) {
            (true, _) => Some("dns"),
            (false, Some(e)) => Some(e.direction.name()),
            (false, None) => None,
        };
        let policies = places(&explanations, wanted, &self.addresses());
        let unknown = of_way.iter().all(|e| e.outcome != Outcome::Denied);
        let mut score = self.attempt.strength + base;
        let time = self.times(&policies);
        score += i32::from(time.is_some());
        let names: Vec<String> = names(&policies);
        let by = match names.as_slice() {
            [] => "a policy".to_owned(),
            [one] => one.clone(),
            [one, ..] => format!("{one} and {} more", names.len() - 1),
        };
        let declared = self.attempt.error.is_none();
        let verb = match (unknown, declared) {
            (true, _) => "probably can't",
            (false, true) => "declares a dependency that it can't",
            (false, false) => "can't",
        };
        let summary = match (dns, direction) {
            (true, _) if self.attempt.known_from == ANY_NAME => {
                format!("container {} {verb} resolve names: DNS is blocked by {by}", self.run.name())
            }
            (true, _) => format!("container {} {verb} resolve {target}: DNS is blocked by {by}", self.run.name()),
            (_, Some("ingress")) => format!(
                "container {} {verb} reach {target}: ingress at {} is blocked by {by}",
                self.run.name(),
                self.leads_to
            ),
            _ => format!("container {} {verb} reach {target}: egress from the pod is blocked by {by}", self.run.name()),
        };
        let mut finding = self.finding(cause, score, summary, Some(check.clone()));
        if unknown || matches!(self.attempt.known_from.as_str(), GUESSED | ANY_NAME) {
            finding.confidence = finding.confidence.min(Confidence::Medium);
        }
        let mut told: Vec<(String, &str)> = Vec::new();
        let policy_proofs: Vec<Proof> = policies
            .iter()
            .filter(|p| {
                let new = !told.contains(&(reference(p), p.role));
                told.push((reference(p), p.role));
                new
            })
            .take(4)
            .map(|p| Proof::new(ProofKind::Policy, format!("{} {}", reference(p), p.path), p.role))
            .collect();
        finding = finding.proven(policy_proofs).proven(time);
        let proposal = self.propose(dns);
        let advice = match proposal.fixes.first().and_then(|f| f.edits.first()) {
            Some(edit) => format!(
                "{} {}: {}",
                if matches!(edit.target, crate::analysis::fix::EditTarget::New) { "add" } else { "change" },
                edit.reference(),
                edit.steps.join("; ")
            ),
            None if unknown => {
                format!("allow {target} in {by}, by the address that the name has; see what differs below")
            }
            None => format!("allow {target} in {by}"),
        };
        let outside = matches!(&self.resolved, Resolved::Found(Target::Name(_))) && !dns;
        let narrower = match self.attempt.address {
            Some(address) if outside => format!("; the rule may be narrowed to {address}, the address that it had"),
            _ => String::new(),
        };
        let because = match unknown {
            true if !proposal.fixes.is_empty() => {
                "the address behind the name isn't known here: the rule shown holds whichever it is, and may be narrowed to it"
                    .to_owned()
            }
            false => format!(
                "the evaluator finds every other part of the way open; with the change it finds all of it open{narrower}"
            ),
            true => "whether the policy matches depends on what isn't known here, such as the address behind a name"
                .to_owned(),
        };
        let command = match (dns, self.port) {
            (true, _) => format!("netcheck {}/{} {target}", self.pod.namespace(), self.pod.name()),
            (false, _) => format!("netcheck {}/{} {target} --no-dns", self.pod.namespace(), self.pod.name()),
        };
        finding = finding.advise(advice, because).shown_by(command);
        if let Some(network) = &mut finding.network {
            network.direction = direction;
            network.diagnostics = of_way.iter().map(|e| e.diagnostic(self.pod.case.evaluator)).collect();
            network.proposal = proposal;
        }
        if let Some(first) = policies.first() {
            finding = finding.blame(
                &first.kind,
                first.namespace.as_deref().unwrap_or_default(),
                &first.name,
                Some(first.path.clone()),
            );
        }
        if let Some(network) = &mut finding.network {
            network.policies = policies;
        }
        finding
    }

    /// The addresses of the Service that is dialled.
    fn addresses(&self) -> Vec<std::net::IpAddr> {
        let cluster = self.pod.case.evaluator.cluster;
        self.resolved.service().map(|id| cluster.services[id.index()].cluster_ips.clone()).unwrap_or_default()
    }

    fn propose(&self, dns: bool) -> crate::analysis::fix::Proposal {
        let any = Target::Name(self.attempt.host.as_str().into());
        // A name outside has another address tomorrow: what passes for any of them, not for the one that the log shows.
        let target = match &self.resolved {
            Resolved::Found(target) => target,
            _ => &any,
        };
        let port = resolve::spec(self.port.unwrap_or(443));
        let question = Question {
            source: Source::Pod(self.id),
            target,
            port: &port,
            protocol: Protocol::Tcp,
            // What is dialled by name has to be resolved still: an edit that shuts DNS out is none.
            options: CheckOptions { dns: dns || self.attempt.host.parse::<std::net::IpAddr>().is_err() },
        };
        propose(self.pod.case.evaluator, self.pod.case.profile, self.pod.case.sources, &question)
    }

    /// The newest change of a policy at fault against the start of the trouble.
    fn times(&self, policies: &[PolicyPlace]) -> Option<Proof> {
        let facts = self.pod.case.facts;
        let started = self.pod.pod.status.start_time.as_deref().and_then(time::parse)?;
        let (place, at) =
            policies.iter().filter_map(|p| Some((p, rollout::written(facts, p)?))).max_by_key(|(_, at)| *at)?;
        let first = self.run.ended.and_then(|e| time::parse(e.started_at.as_deref()?)).unwrap_or(started).min(started);
        let (before, text) = if at > started {
            (false, format!("changed {} after the pod started", time::length(at - started)))
        } else {
            (true, format!("changed {} before the pod started", time::length(first - at)))
        };
        // An hour is the time in which one thing still follows from the other.
        (!before || first - at <= 3600).then(|| Proof::new(ProofKind::Time, reference(place), &text))
    }
}
