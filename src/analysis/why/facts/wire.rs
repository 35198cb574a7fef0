//! The fields of objects that tell why a pod fails, and nothing else of them.
//!
//! The API's own spelling, trimmed. Values of Secrets are never among them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::source::wire::{IntOrString, null_as_default};

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

/// Pod `spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Containers.
    #[serde(deserialize_with = "null_as_default")]
    pub containers: Vec<Container>,
    /// Init containers and sidecars.
    #[serde(deserialize_with = "null_as_default")]
    pub init_containers: Vec<Container>,
    /// Volumes.
    #[serde(deserialize_with = "null_as_default")]
    pub volumes: Vec<Volume>,
    /// `Always`, `OnFailure`, `Never`.
    #[serde(deserialize_with = "null_as_default")]
    pub restart_policy: String,
    /// Node it runs on.
    #[serde(deserialize_with = "null_as_default")]
    pub node_name: String,
    /// ServiceAccount; empty is `default`.
    pub service_account_name: String,
    /// Labels that its node must have.
    #[serde(deserialize_with = "null_as_default")]
    pub node_selector: BTreeMap<String, String>,
    /// Scheduler.
    #[serde(deserialize_with = "null_as_default")]
    pub scheduler_name: String,
    /// Seconds between SIGTERM and SIGKILL.
    pub termination_grace_period_seconds: Option<i64>,
    /// `securityContext`.
    #[serde(deserialize_with = "null_as_default")]
    pub security_context: SecurityContext,
    /// Whether it is on its node's network.
    #[serde(deserialize_with = "null_as_default")]
    pub host_network: bool,
    /// How names are resolved.
    #[serde(deserialize_with = "null_as_default")]
    pub dns_policy: String,
    /// Further name resolution.
    #[serde(deserialize_with = "null_as_default")]
    pub dns_config: DnsConfig,
    /// Names given by hand.
    #[serde(deserialize_with = "null_as_default")]
    pub host_aliases: Vec<HostAlias>,
}

/// `dnsConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DnsConfig {
    /// Search domains.
    #[serde(deserialize_with = "null_as_default")]
    pub searches: Vec<String>,
}

/// An entry of the pod's hosts file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostAlias {
    /// Address.
    #[serde(deserialize_with = "null_as_default")]
    pub ip: String,
    /// Names.
    #[serde(deserialize_with = "null_as_default")]
    pub hostnames: Vec<String>,
}

/// `securityContext` of a pod or a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecurityContext {
    /// User.
    pub run_as_user: Option<i64>,
    /// Refuse to run as root.
    pub run_as_non_root: Option<bool>,
    /// Group of volumes.
    pub fs_group: Option<i64>,
    /// No writing to the image's file system.
    pub read_only_root_filesystem: Option<bool>,
}

/// A container as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Image.
    #[serde(deserialize_with = "null_as_default")]
    pub image: String,
    /// Command.
    #[serde(deserialize_with = "null_as_default")]
    pub command: Vec<String>,
    /// Arguments.
    #[serde(deserialize_with = "null_as_default")]
    pub args: Vec<String>,
    /// Environment.
    #[serde(deserialize_with = "null_as_default")]
    pub env: Vec<EnvVar>,
    /// Environment from whole objects.
    #[serde(deserialize_with = "null_as_default")]
    pub env_from: Vec<EnvFrom>,
    /// Ports.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<Port>,
    /// Requests and limits.
    #[serde(deserialize_with = "null_as_default")]
    pub resources: Resources,
    /// Liveness probe.
    pub liveness_probe: Option<Probe>,
    /// Readiness probe.
    pub readiness_probe: Option<Probe>,
    /// Startup probe.
    pub startup_probe: Option<Probe>,
    /// `Always` makes an init container a sidecar.
    #[serde(deserialize_with = "null_as_default")]
    pub restart_policy: String,
    /// Mounts.
    #[serde(deserialize_with = "null_as_default")]
    pub volume_mounts: Vec<VolumeMount>,
    /// `securityContext`.
    #[serde(deserialize_with = "null_as_default")]
    pub security_context: SecurityContext,
}

/// A mount.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// Volume.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Where.
    #[serde(deserialize_with = "null_as_default")]
    pub mount_path: String,
}

/// A declared port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Number.
    #[serde(deserialize_with = "null_as_default")]
    pub container_port: i64,
}

/// A variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Value.
    #[serde(deserialize_with = "null_as_default")]
    pub value: String,
    /// Where the value comes from.
    pub value_from: Option<ValueFrom>,
}

/// `valueFrom`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ValueFrom {
    /// A key of a ConfigMap.
    pub config_map_key_ref: Option<KeyRef>,
    /// A key of a Secret.
    pub secret_key_ref: Option<KeyRef>,
}

/// A key of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyRef {
    /// Object.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Key.
    #[serde(deserialize_with = "null_as_default")]
    pub key: String,
    /// Whether it may be missing.
    pub optional: Option<bool>,
}

/// `envFrom`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    /// Put before each name.
    #[serde(deserialize_with = "null_as_default")]
    pub prefix: String,
    /// A ConfigMap.
    pub config_map_ref: Option<KeyRef>,
    /// A Secret.
    pub secret_ref: Option<KeyRef>,
}

/// `resources`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Limits.
    #[serde(deserialize_with = "null_as_default")]
    pub limits: BTreeMap<String, IntOrString>,
    /// Requests.
    #[serde(deserialize_with = "null_as_default")]
    pub requests: BTreeMap<String, IntOrString>,
}

/// A probe.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// HTTP request.
    pub http_get: Option<HttpGet>,
    /// TCP connection.
    pub tcp_socket: Option<TcpSocket>,
    /// Command.
    pub exec: Option<Exec>,
    /// gRPC.
    pub grpc: Option<Grpc>,
    /// Seconds before the first.
    pub initial_delay_seconds: Option<i64>,
    /// Seconds between.
    pub period_seconds: Option<i64>,
    /// Seconds until one fails.
    pub timeout_seconds: Option<i64>,
    /// Failures in a row that count.
    pub failure_threshold: Option<i64>,
}

/// `httpGet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpGet {
    /// Path.
    #[serde(deserialize_with = "null_as_default")]
    pub path: String,
    /// Port.
    pub port: Option<IntOrString>,
    /// Another host than the pod.
    #[serde(deserialize_with = "null_as_default")]
    pub host: String,
}

/// `tcpSocket`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpSocket {
    /// Port.
    pub port: Option<IntOrString>,
    /// Another host than the pod.
    #[serde(deserialize_with = "null_as_default")]
    pub host: String,
}

/// `exec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exec {
    /// Command.
    #[serde(deserialize_with = "null_as_default")]
    pub command: Vec<String>,
}

/// `grpc`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Grpc {
    /// Port.
    pub port: Option<i64>,
}

/// A volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// A ConfigMap's files.
    pub config_map: Option<VolumeSource>,
    /// A Secret's files.
    pub secret: Option<SecretSource>,
    /// A PersistentVolumeClaim.
    pub persistent_volume_claim: Option<ClaimSource>,
}

/// `configMap` of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSource {
    /// Object.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
}

/// `secret` of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretSource {
    /// Object.
    #[serde(deserialize_with = "null_as_default")]
    pub secret_name: String,
}

/// `persistentVolumeClaim` of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSource {
    /// Claim.
    #[serde(deserialize_with = "null_as_default")]
    pub claim_name: String,
}

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
