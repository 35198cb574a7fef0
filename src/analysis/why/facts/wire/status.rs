//! A pod as the kubelet tells of it: phase, conditions, and how each container runs, waits or ended.

use serde::Deserialize;

use crate::source::wire::null_as_default;

/// Pod `status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Phase.
    #[serde(deserialize_with = "null_as_default")]
    pub phase: String,
    /// Reason, such as `Evicted`.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: String,
    /// Message.
    #[serde(deserialize_with = "null_as_default")]
    pub message: String,
    /// When the kubelet took it.
    pub start_time: Option<String>,
    /// Conditions.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
    /// Containers.
    #[serde(deserialize_with = "null_as_default")]
    pub container_statuses: Vec<ContainerStatus>,
    /// Init containers and sidecars.
    #[serde(deserialize_with = "null_as_default")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// A condition of a pod, a node or a Job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Type.
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    #[serde(deserialize_with = "null_as_default")]
    pub status: String,
    /// Reason.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: String,
    /// Message.
    #[serde(deserialize_with = "null_as_default")]
    pub message: String,
    /// Since when.
    pub last_transition_time: Option<String>,
    /// When a node's kubelet last said so.
    pub last_heartbeat_time: Option<String>,
}

/// What the kubelet says of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Ready.
    #[serde(deserialize_with = "null_as_default")]
    pub ready: bool,
    /// Restarts.
    #[serde(deserialize_with = "null_as_default")]
    pub restart_count: i64,
    /// Now.
    #[serde(deserialize_with = "null_as_default")]
    pub state: State,
    /// Before.
    #[serde(deserialize_with = "null_as_default")]
    pub last_state: State,
}

/// A state: one of the three, or none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Waiting.
    pub waiting: Option<Waiting>,
    /// Running.
    pub running: Option<Running>,
    /// Ended.
    pub terminated: Option<Terminated>,
}

/// Waiting.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Waiting {
    /// Reason.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: String,
    /// Message.
    #[serde(deserialize_with = "null_as_default")]
    pub message: String,
}

/// Running.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Since when.
    pub started_at: Option<String>,
}

/// Ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// Exit code.
    #[serde(deserialize_with = "null_as_default")]
    pub exit_code: i64,
    /// Signal.
    pub signal: Option<i64>,
    /// Reason.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: String,
    /// Message: the termination log.
    #[serde(deserialize_with = "null_as_default")]
    pub message: String,
    /// Start.
    pub started_at: Option<String>,
    /// End.
    pub finished_at: Option<String>,
}
