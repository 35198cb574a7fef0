//! A pod as written: its containers with what they run, are told and are asked, and its volumes.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::source::wire::{IntOrString, null_as_default};

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
