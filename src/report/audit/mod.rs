//! The audit as one machine-readable document, for other programs, and for people.

mod build;
mod lines;
mod text;

use schemars::JsonSchema;
use serde::Serialize;

pub use build::{Audited, report};
pub use lines::findings;
pub use text::{Drawing, render};

use super::check::API_VERSION;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `AuditReport`.
    pub kind: String,
    /// Profile of the network plugin.
    pub cni: String,
    /// Counts.
    pub summary: SummaryResult,
    /// Workloads and who isolates them.
    pub namespaces: Vec<NamespaceResult>,
    /// Findings, suppressed ones and those of the baseline included.
    pub findings: Vec<FindingResult>,
    /// With `--live`: how many verdicts packets confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<super::packets::PacketsResult>,
}

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SummaryResult {
    /// Active findings of severity `error`.
    pub errors: usize,
    /// Active findings of severity `warning`.
    pub warnings: usize,
    /// Active findings of severity `note`.
    pub notes: usize,
    /// Findings that are suppressed.
    pub suppressed: usize,
    /// Findings that the baseline holds.
    pub baseline: usize,
    /// Entries of the baseline that no finding matches any more.
    pub baseline_gone: usize,
    /// Namespaces.
    pub namespaces: usize,
    /// Workloads, pods without one among them.
    pub workloads: usize,
    /// Policies that were read.
    pub policies: usize,
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceResult {
    /// Name.
    pub name: String,
    /// Its workloads.
    pub workloads: Vec<WorkloadResult>,
}

/// The pods of a workload that the same policies select.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadResult {
    /// Kind; `Pod` for a pod without a workload.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Names of its pods; none where only the template is known.
    pub pods: Vec<String>,
    /// Whether the pods share their node's network: policies don't select them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub host_network: bool,
    /// Towards the pods.
    pub ingress: IsolationResult,
    /// From the pods.
    pub egress: IsolationResult,
}

/// Whether pods are isolated in a direction.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IsolationResult {
    /// Whether only what a rule allows passes.
    pub isolated: bool,
    /// NetworkPolicies that isolate them, `Kind/namespace/name`.
    pub by: Vec<String>,
    /// Cluster-wide policies that select them, `Kind/name`.
    pub judged_by: Vec<String>,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingResult {
    /// Stable code, such as `NC1010`.
    pub code: String,
    /// Its name, such as `policy-selects-nothing`.
    pub name: String,
    /// `error`, `warning`, `note`.
    pub severity: String,
    /// What was found.
    pub message: String,
    /// What it is about.
    pub object: ObjectResult,
    /// What tells it from other findings of the code on the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Where it stands, the first is what it is about.
    pub places: Vec<PlaceResult>,
    /// Facts that explain it.
    pub notes: Vec<String>,
    /// What to do.
    pub helps: Vec<String>,
    /// The edit that mends it, where there is no doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<FixResult>,
    /// `active`, `suppressed`, `baseline`.
    pub state: String,
    /// Why it is suppressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is suppressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed_by: Option<String>,
    /// Its page of documentation.
    pub docs: String,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectResult {
    /// Kind.
    pub kind: String,
    /// Namespace; none for cluster-wide kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceResult {
    /// File as given, or `-`.
    pub file: String,
    /// Line, from 1; none where it isn't known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Field.
    pub path: String,
    /// What is said of it.
    pub text: String,
    /// Whether the finding is about it; others are context.
    pub primary: bool,
}

/// An edit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixResult {
    /// What is done.
    pub step: String,
    /// The command.
    pub apply: String,
    /// The command that takes it back.
    pub undo: String,
}
