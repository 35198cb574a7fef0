//! The fields of objects that tell why a pod fails, and nothing else of them.
//!
//! The API's own spelling, trimmed. Values of Secrets are never among them. A pod has two files: what was written of it, and
//! what came of that.

mod spec;
mod status;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::source::wire::{IntOrString, null_as_default};
pub use spec::*;
pub use status::*;

/// `metadata`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Namespace; empty for cluster-wide kinds.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
    /// Identity: a pod that replaced another of the same name has a new one.
    #[serde(deserialize_with = "null_as_default")]
    pub uid: String,
    /// When it was created.
    pub creation_timestamp: Option<String>,
    /// When its deletion was asked for.
    pub deletion_timestamp: Option<String>,
    /// Who made it.
    #[serde(deserialize_with = "null_as_default")]
    pub owner_references: Vec<Owner>,
    /// Annotations; only the Deployment's revision is looked at.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// Labels.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// Who wrote which fields when.
    #[serde(deserialize_with = "null_as_default")]
    pub managed_fields: Vec<ManagedField>,
}

/// An owner.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Whether it is the managing controller.
    pub controller: Option<bool>,
}

/// One write.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedField {
    /// When.
    pub time: Option<String>,
    /// `status` where it wrote only that.
    #[serde(deserialize_with = "null_as_default")]
    pub subresource: String,
}

/// Any object, for its metadata alone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bare {
    /// Metadata.
    pub metadata: Meta,
}

/// core/v1 Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// Metadata.
    pub metadata: Meta,
    /// `spec`.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: PodSpec,
    /// `status`.
    #[serde(deserialize_with = "null_as_default")]
    pub status: PodStatus,
}

/// core/v1 or events.k8s.io/v1 Event.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Metadata.
    pub metadata: Meta,
    /// What it is about; core/v1.
    pub involved_object: Option<About>,
    /// What it is about; events.k8s.io/v1.
    pub regarding: Option<About>,
    /// Reason.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: String,
    /// Message; core/v1.
    #[serde(deserialize_with = "null_as_default")]
    pub message: String,
    /// Message; events.k8s.io/v1.
    #[serde(deserialize_with = "null_as_default")]
    pub note: String,
    /// How often; core/v1.
    pub count: Option<i64>,
    /// How often; events.k8s.io/v1.
    pub deprecated_count: Option<i64>,
    /// How often, where it is a series.
    pub series: Option<Series>,
    /// First; core/v1.
    pub first_timestamp: Option<String>,
    /// Last; core/v1.
    pub last_timestamp: Option<String>,
    /// First; events.k8s.io/v1.
    pub deprecated_first_timestamp: Option<String>,
    /// Last; events.k8s.io/v1.
    pub deprecated_last_timestamp: Option<String>,
    /// When it was first seen.
    pub event_time: Option<String>,
}

/// What an event is about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct About {
    /// Kind.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
    /// Namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Identity.
    #[serde(deserialize_with = "null_as_default")]
    pub uid: String,
    /// `spec.containers{NAME}`.
    #[serde(deserialize_with = "null_as_default")]
    pub field_path: String,
}

/// A series of events.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Series {
    /// How often.
    pub count: Option<i64>,
    /// Last.
    pub last_observed_time: Option<String>,
}

/// core/v1 Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    /// Metadata.
    pub metadata: Meta,
    /// `spec`.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: NodeSpec,
    /// `status`.
    #[serde(deserialize_with = "null_as_default")]
    pub status: NodeStatus,
}

/// Node `spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// Whether it takes no new pods.
    #[serde(deserialize_with = "null_as_default")]
    pub unschedulable: bool,
}

/// Node `status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// Conditions.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
    /// What pods may use of it.
    #[serde(deserialize_with = "null_as_default")]
    pub allocatable: BTreeMap<String, IntOrString>,
    /// Facts.
    #[serde(deserialize_with = "null_as_default")]
    pub node_info: NodeInfo,
}

/// `nodeInfo`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// Such as `amd64`.
    #[serde(deserialize_with = "null_as_default")]
    pub architecture: String,
}

/// core/v1 ConfigMap.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigMap {
    /// Metadata.
    pub metadata: Meta,
    /// Values.
    #[serde(deserialize_with = "null_as_default")]
    pub data: BTreeMap<String, String>,
}

/// core/v1 Secret: which keys it has. A snapshot gives `dataKeys`; where values stand they are skipped unread.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secret {
    /// Metadata.
    pub metadata: Meta,
    /// Keys.
    #[serde(deserialize_with = "null_as_default")]
    pub data_keys: Vec<String>,
    /// Keys, with values that are passed over.
    #[serde(deserialize_with = "null_as_default")]
    pub data: BTreeMap<String, serde::de::IgnoredAny>,
    /// Keys, with values that are passed over.
    #[serde(deserialize_with = "null_as_default")]
    pub string_data: BTreeMap<String, serde::de::IgnoredAny>,
}

/// The same with its values, for whoever was told to read them.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OpenSecret {
    /// Values in base64.
    #[serde(deserialize_with = "null_as_default")]
    pub data: BTreeMap<String, String>,
    /// Values as they are.
    #[serde(deserialize_with = "null_as_default")]
    pub string_data: BTreeMap<String, String>,
}

/// core/v1 PersistentVolumeClaim.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claim {
    /// Metadata.
    pub metadata: Meta,
    /// `spec`.
    #[serde(deserialize_with = "null_as_default")]
    pub spec: ClaimSpec,
    /// `status`.
    #[serde(deserialize_with = "null_as_default")]
    pub status: ClaimStatus,
}

/// PersistentVolumeClaim `spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// StorageClass.
    pub storage_class_name: Option<String>,
}

/// PersistentVolumeClaim `status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimStatus {
    /// `Pending`, `Bound`, `Lost`.
    #[serde(deserialize_with = "null_as_default")]
    pub phase: String,
}

/// batch/v1 Job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Job {
    /// Metadata.
    pub metadata: Meta,
    /// `status`.
    #[serde(deserialize_with = "null_as_default")]
    pub status: JobStatus,
}

/// Job `status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// Conditions.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
    /// Pods that succeeded.
    pub succeeded: Option<i64>,
}
