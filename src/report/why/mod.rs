//! The answer of `why`: one machine-readable document, and the same for people.

mod text;

use schemars::JsonSchema;
use serde::Serialize;

use super::check::{API_VERSION, Facts, FixResult};
use crate::analysis::why::{Diagnosis, Finding, Network, PolicyPlace};
use crate::source::unread::Unread;

pub use text::{Drawing, render};

/// Why pods crash-loop or hang.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyReport {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `WhyReport`.
    pub kind: String,
    /// Profile of the network plugin.
    pub cni: String,
    /// The time that the answer is for: the newest in the objects, RFC 3339 seconds since 1970.
    pub now: i64,
    /// Pods in trouble that were looked at.
    pub examined: usize,
    /// Causes, the root before its symptoms.
    pub findings: Vec<FindingResult>,
    /// Pods in trouble without a cause that could be found.
    pub unexplained: Vec<UnexplainedResult>,
    /// What may not be read of the cluster, and what that means.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadResult>,
}

/// Something that may not be read.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnreadResult {
    /// What.
    pub what: String,
    /// What it means for the answer.
    pub consequence: String,
}

/// A cause.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingResult {
    /// Stable code, `NC2…`.
    pub code: String,
    /// Name of the cause: `policy-blocked`, `dns-blocked`, `oom` …
    pub cause: String,
    /// `high`, `medium`, `low`.
    pub confidence: String,
    /// One sentence.
    pub summary: String,
    /// Pods it was found on, `NAMESPACE/NAME`.
    pub pods: Vec<String>,
    /// `KIND/NAMESPACE/NAME` of their workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What proves it, quoted without credentials.
    pub evidence: Vec<EvidenceResult>,
    /// The object at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culprit: Option<CulpritResult>,
    /// What was dialled, where a connection fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetResult>,
    /// `egress`, `ingress` or `dns`, where a policy is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Policies at fault, the one to change first; those that only nearly apply last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyResult>,
    /// What to do.
    pub fix: FixesResult,
    /// The command that shows it.
    pub command: String,
}

/// A quote.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceResult {
    /// `status`, `event`, `log`, `spec`, `policy`, `time`, `probe`.
    pub kind: String,
    /// Where it stands.
    pub at: String,
    /// The quote.
    pub text: String,
}

/// An object at fault.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CulpritResult {
    /// Kind.
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What was dialled.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetResult {
    /// `HOST:PORT` as the pod dials it.
    pub text: String,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: Option<u16>,
    /// What it leads to.
    pub leads_to: String,
    /// Where it is known from: the log, the environment, a guess.
    pub known_from: String,
}

/// A policy at fault.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyResult {
    /// Kind.
    pub kind: String,
    /// Namespace; none for cluster-wide kinds.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Field.
    pub path: String,
    /// What it does to the connection.
    pub role: String,
    /// File it was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the field there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixesResult {
    /// In a sentence.
    pub text: String,
    /// Why that works.
    pub because: String,
    /// For policies: edits that were evaluated again and found to work, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<FixResult>,
}

/// A pod in trouble without a cause.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnexplainedResult {
    /// `NAMESPACE/NAME`.
    pub pod: String,
    /// Its state.
    pub state: String,
}

/// The machine-readable answer.
pub fn report(facts: Facts<'_>, cni: &str, now: i64, diagnosis: &Diagnosis, unread: &[Unread]) -> WhyReport {
    WhyReport {
        api_version: API_VERSION.to_owned(),
        kind: "WhyReport".to_owned(),
        cni: cni.to_owned(),
        now,
        examined: diagnosis.examined,
        findings: diagnosis.findings.iter().map(|f| finding(facts, f)).collect(),
        unexplained: diagnosis
            .unexplained
            .iter()
            .map(|(pod, state)| UnexplainedResult { pod: format!("{}/{}", pod.0, pod.1), state: state.clone() })
            .collect(),
        unread: unread
            .iter()
            .map(|u| UnreadResult { what: u.what.clone(), consequence: u.consequence.clone() })
            .collect(),
    }
}

fn finding(facts: Facts<'_>, finding: &Finding) -> FindingResult {
    let network = finding.network.as_deref();
    let namespace = finding.pods.first().map(|p| p.0.clone()).unwrap_or_default();
    FindingResult {
        code: finding.cause.code().to_owned(),
        cause: finding.cause.name().to_owned(),
        confidence: finding.confidence.name().to_owned(),
        summary: finding.summary.clone(),
        pods: finding.pods.iter().map(|p| format!("{}/{}", p.0, p.1)).collect(),
        workload: finding.workload.as_ref().map(|(kind, name)| format!("{kind}/{namespace}/{name}")),
        container: finding.container.clone(),
        evidence: finding
            .evidence
            .iter()
            .map(|p| EvidenceResult { kind: p.kind.name().to_owned(), at: p.at.clone(), text: p.text.clone() })
            .collect(),
        culprit: finding.culprit.as_ref().map(|c| CulpritResult {
            kind: c.kind.clone(),
            namespace: Some(c.namespace.clone()).filter(|n| !n.is_empty()),
            name: c.name.clone(),
            path: c.path.clone(),
        }),
        target: network.map(target),
        direction: network.and_then(|n| n.direction).map(str::to_owned),
        policies: network.map(|n| n.policies.iter().map(|p| policy(facts, p)).collect()).unwrap_or_default(),
        fix: FixesResult {
            text: finding.advice.clone(),
            because: finding.because.clone(),
            edits: network.map(|n| super::check::fix::results(facts, &n.proposal)).unwrap_or_default(),
        },
        command: finding.command.clone(),
    }
}

fn target(network: &Network) -> TargetResult {
    let target = &network.target;
    TargetResult {
        text: target.text(),
        host: target.host.clone(),
        port: target.port,
        leads_to: target.leads_to.clone(),
        known_from: target.known_from.clone(),
    }
}

fn policy(facts: Facts<'_>, place: &PolicyPlace) -> PolicyResult {
    let span = place.origin.and_then(|origin| {
        facts.sources.span(&crate::source::Place::Field {
            origin,
            path: place.field.clone(),
            part: crate::source::Part::Entry,
        })
    });
    PolicyResult {
        kind: place.kind.clone(),
        namespace: place.namespace.clone(),
        name: place.name.clone(),
        path: place.path.clone(),
        role: place.role.to_owned(),
        file: span.as_ref().map(|s| facts.sources.name(s.source).to_owned()),
        line: span.map(|s| s.line),
    }
}
