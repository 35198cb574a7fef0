//! The answers of `check`: one machine-readable document, and the same for people.

mod build;
pub(super) mod fix;
mod live;
mod text;
mod words;

use schemars::JsonSchema;
use serde::Serialize;

pub use build::{Asked, Facts, report};
pub(crate) use build::{place, rule_place};
pub use fix::{ChangeResult, EditResult, FixResult, objects};
pub use live::{Capture, LiveResult, Probe, ProbeResult};
pub use text::{Drawing, render};

/// The version of every machine output.
pub const API_VERSION: &str = "netcheck/v1alpha1";

/// The answers of one call of `netcheck check`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `CheckReport`.
    pub kind: String,
    /// Profile of the network plugin.
    pub cni: String,
    /// What the objects don't say and was taken as given.
    pub assumptions: Vec<String>,
    /// One answer for each kind of client and target.
    pub checks: Vec<CheckResult>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// Who connects.
    pub client: Party,
    /// What is connected to.
    pub target: Party,
    /// Port that was asked for, as typed; none with `--all-ports`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: String,
    /// `reachable`, `blocked`, `partial`, `unreachable`, `unknown`.
    pub verdict: VerdictName,
    /// The verdict in one sentence.
    pub summary: String,
    /// Why it can't work whatever the policies say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<ObstacleResult>,
    /// The DNS leg, for a target dialled by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsResult>,
    /// Endpoints that the client may be sent to, and those it isn't.
    pub endpoints: Vec<EndpointResult>,
    /// Policies that stop it: those that deny, and those that isolate and don't allow.
    pub policies: Vec<PolicyPlace>,
    /// Rules that would allow it but for what is named, nearest first.
    pub near_misses: Vec<NearMissResult>,
    /// Why it can't be told.
    pub unknown: Vec<String>,
    /// Facts about how the names were read.
    pub notes: Vec<String>,
    /// With `--all-ports`: what is reachable, per protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<ConnectionResult>>,
    /// Edits that make it reachable, each confirmed by evaluating it again.
    pub fixes: Vec<FixResult>,
    /// With `--live`: what packets came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveResult>,
}

/// An end of a connection.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Party {
    /// As typed.
    pub text: String,
    /// `Pod`, `Service`, `Deployment`, `Node`, `Address`, `Name`, `Internet` …
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Pods it stands for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<String>,
    /// Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictName {
    /// Every endpoint the client may be sent to accepts it.
    Reachable,
    /// Policies stop it, at every endpoint.
    Blocked,
    /// Some endpoints accept it, some don't.
    Partial,
    /// No policy is at fault, it still can't work.
    Unreachable,
    /// It depends on something not known here.
    Unknown,
}

/// Why it can't work whatever the policies say.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObstacleResult {
    /// `no-such-port`, `no-endpoints`, `not-ready`, `no-local-endpoint`, `no-named-port`, `finished`,
    /// `cluster-ip-from-outside`, `not-let-in`, `no-common-family`, `port-by-name`.
    pub reason: String,
    /// The same in a sentence.
    pub message: String,
}

/// The DNS leg.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsResult {
    /// The answer for UDP, which decides.
    pub verdict: VerdictName,
    /// The answer for TCP: where it is blocked, truncated answers are lost.
    pub tcp: VerdictName,
    /// Whether the DNS pods were assumed, because the objects don't include them.
    pub assumed: bool,
    /// DNS servers.
    pub endpoints: Vec<EndpointResult>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointResult {
    /// `NAMESPACE/NAME` of the pod behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The port on it, which is what policies see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Ready for traffic.
    pub ready: bool,
    /// Whether the client may be sent to it.
    pub counted: bool,
    /// The answer for this endpoint.
    pub verdict: VerdictName,
    /// Why it can't work whatever the policies say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<ObstacleResult>,
    /// Egress at the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<LegResult>,
    /// Ingress at the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<LegResult>,
    /// Where plugins differ: each result with the plugins that come to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Differs>,
}

/// A result that only some plugins come to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Differs {
    /// `allowed` or `denied`.
    pub outcome: String,
    /// Plugins.
    pub plugins: Vec<String>,
}

/// One direction.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LegResult {
    /// `allowed`, `denied`, `unknown`.
    pub outcome: String,
    /// Why no policy was asked: `not-a-pod`, `itself`, `own-node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exempt: Option<String>,
    /// Stages in order, up to the one that decided.
    pub stages: Vec<StageResult>,
    /// Stages behind the one that decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_reached: Vec<String>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageResult {
    /// `Admin`, `NetworkPolicy`, `Baseline` …
    pub tier: String,
    /// `not-selected`, `allowed`, `denied`, `default-deny`, `passed`, `no-match`, `open`, `skipped`.
    pub result: String,
    /// The rule that decided or passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<PolicyPlace>,
    /// Policies that select the pod.
    pub policies: Vec<String>,
}

/// A place in a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPlace {
    /// Kind.
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// `ingress`, `egress` or `dns`.
    pub direction: String,
    /// Tier.
    pub tier: String,
    /// `Allow`, `Deny`, `Pass`, or `DefaultDeny` where the policy isolates and nothing allows.
    pub action: String,
    /// Field of the object.
    pub path: String,
    /// File.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// A rule that would allow the connection but for one thing, or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NearMissResult {
    /// `Kind/namespace/name`.
    pub policy: String,
    /// `ingress`, `egress` or `dns`.
    pub direction: String,
    /// Field that did not match.
    pub path: String,
    /// Why it did not.
    pub reason: String,
    /// How many things did not match; the first is named here.
    pub misses: usize,
    /// File.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// Ports of one protocol.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionResult {
    /// Protocol.
    pub protocol: String,
    /// Ports that are reachable: `80,8080-8090`; empty where none is.
    pub allowed: String,
    /// Ports that can't be told.
    pub unknown: String,
}
