//! The answer of `diff`: a document for machines, and its other forms, one file each.

mod build;
mod csv;
mod findings;
mod markdown;
mod text;

use schemars::JsonSchema;
use serde::Serialize;

pub use build::{Sides, report};
pub use csv::csv;
pub use findings::findings;
pub use markdown::markdown;
pub use text::render;

/// The difference of two versions.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffReport {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `DiffReport`.
    pub kind: String,
    /// The earlier version as it was named.
    pub before: String,
    /// The later version as it was named.
    pub after: String,
    /// Profile of the network plugin.
    pub cni: String,
    /// How many changes there are.
    pub summary: DiffSummary,
    /// Pairs whose connections differ, by client and server.
    pub changes: Vec<DiffChange>,
    /// What only the later version has.
    pub added: DiffInventory,
    /// What only the earlier version has.
    pub removed: DiffInventory,
    /// Of how many changes the cause was not looked for, because there are so many.
    pub without_cause: usize,
}

/// How many changes there are.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffSummary {
    /// Pairs where something opened that was closed altogether.
    pub opened: usize,
    /// Pairs where nothing is open any more.
    pub closed: usize,
    /// Pairs that are open on other ports.
    pub changed: usize,
    /// Pairs of which it can't be told, or could not.
    pub uncertain: usize,
}

/// A pair whose connections differ.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffChange {
    /// `opened`, `closed`, `changed` in its ports, `uncertain`.
    pub kind: String,
    /// The side that connects.
    pub client: DiffEnd,
    /// The side that is connected to.
    pub server: DiffEnd,
    /// `IPv4` or `IPv6`, where the other family behaves differently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// What passed before.
    pub before: DiffPasses,
    /// What passes after.
    pub after: DiffPasses,
    /// Ports that were denied and are allowed.
    pub opened: Vec<DiffPorts>,
    /// Ports that were allowed and are denied.
    pub closed: Vec<DiffPorts>,
    /// Ports that may be open now and surely were not, or are open now and only may have been.
    pub may_open: Vec<DiffPorts>,
    /// Ports that may be closed now and surely were not, or are closed now and only may have been.
    pub may_close: Vec<DiffPorts>,
    /// Rules and isolations that did it, each in the version where it stands.
    pub causes: Vec<DiffCause>,
}

/// One side of a pair.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffEnd {
    /// The kind of workload, `Pod`, `Outside` for addresses outside the cluster, or `Name` for DNS names outside.
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Ranges of addresses, `FIRST-LAST`.
    pub ranges: Vec<String>,
    /// How many of its pods, where it is not all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<usize>,
    /// How many pods it has, where it is not about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_pods: Option<usize>,
}

/// What passes between a pair.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffPasses {
    /// Allowed.
    pub allowed: Vec<DiffPorts>,
    /// Can't be told.
    pub unknown: Vec<DiffPorts>,
}

/// Ports of a protocol.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffPorts {
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: String,
    /// `80,8080-8090`.
    pub ports: String,
}

/// A rule or an isolation that a change comes from.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffCause {
    /// The version where it stands: `before` or `after`.
    pub version: String,
    /// `allows`, `denies`, `isolates`, `may-decide`.
    pub act: String,
    /// `ingress` or `egress`.
    pub direction: String,
    /// `Kind/namespace/name`, or `Kind/name`.
    pub policy: String,
    /// Whether the policy itself differs; where not, labels, named ports or addresses do.
    pub policy_differs: bool,
    /// Whether it does the same in the other version, so that another rule made the difference.
    pub context: bool,
    /// The field, such as `spec.ingress[0].from[1]`.
    pub path: String,
    /// File.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// What one version has and the other lacks.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffInventory {
    /// Workloads, and pods without one.
    pub workloads: Vec<DiffEnd>,
    /// Services, `namespace/name`.
    pub services: Vec<String>,
}
