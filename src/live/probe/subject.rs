//! The pod that is probed from: what of it decides whether and how that can be done.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use super::super::ask::{Ask, PODS};
use super::super::client::{Api, JSON};
use super::super::error::{LiveError, Trouble};
use super::super::rights::{Right, roles};
use super::Via;
use super::state::ContainerStatus;
use crate::source::wire::StringMap;

/// The user that the probe runs as where the pod says nothing: the one of images without a root user.
const NOBODY: i64 = 65532;

/// Proxies of service meshes by the name of their container, with the user that they run as where the pod doesn't say:
/// what that user sends is not redirected to the proxy. Istio (`istio-iptables`, `-u 1337`), Linkerd (`proxy.uid` of its Helm
/// chart), Kuma (`kuma-sidecar`, 5678), Consul (`sidecarUserAndGroupID`, 5995).
const PROXIES: [(&str, i64); 4] =
    [("istio-proxy", 1337), ("linkerd-proxy", 2102), ("kuma-sidecar", 5678), ("consul-dataplane", 5995)];

/// The proxy of a service mesh in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mesh {
    /// The name of its container.
    pub container: String,
    /// The user that it runs as.
    pub user: i64,
}

/// A pod.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) pod: Pod,
    /// All of it, for a copy.
    pub(super) whole: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) uid: String,
    pub(super) annotations: Option<StringMap>,
    pub(super) owner_references: Vec<Owner>,
    pub(super) deletion_timestamp: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    pub(super) kind: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) node_name: Option<String>,
    pub(super) containers: Vec<Container>,
    pub(super) init_containers: Vec<Container>,
    pub(super) security_context: Option<SecurityContext>,
    pub(super) os: Option<Os>,
    pub(super) node_selector: Option<StringMap>,
    pub(super) host_network: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) security_context: Option<SecurityContext>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SecurityContext {
    pub(super) run_as_user: Option<i64>,
    pub(super) run_as_group: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Os {
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) phase: String,
    pub(super) container_statuses: Vec<ContainerStatus>,
    pub(super) init_container_statuses: Vec<ContainerStatus>,
    pub(super) ephemeral_container_statuses: Vec<ContainerStatus>,
    #[serde(rename = "podIPs")]
    pub(super) pod_ips: Vec<PodIp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodIp {
    ip: String,
}

/// The path of a pod.
pub(super) fn path(namespace: &str, name: &str) -> String {
    Ask::get(PODS, namespace, name).path()
}

/// Reads a pod, and refuses those that can't be probed from by this way.
pub(super) async fn read(api: &Api, namespace: &str, name: &str, via: Via) -> Result<Subject, LiveError> {
    let ask = Ask::get(PODS, namespace, name);
    let body = api.get(&ask.path(), JSON, &ask.describe()).await.map_err(|mut error| {
        if error.trouble == Trouble::Forbidden && error.helps.is_empty() {
            error.roles = Right::of(&ask).map(|right| roles(&[right])).unwrap_or_default();
        }
        error
    })?;
    let whole: Value = serde_json::from_slice(&body).map_err(|_| unreadable(namespace, name))?;
    let pod = Pod::deserialize(&whole).map_err(|_| unreadable(namespace, name))?;
    let subject =
        Subject { namespace: namespace.to_owned(), name: name.to_owned(), uid: pod.metadata.uid.clone(), pod, whole };
    match subject.unfit(via == Via::Copy) {
        Some(why) => {
            Err(LiveError::new(Trouble::Unfit, format!("can't probe from `{}`: {}", subject.full_name(), why.0))
                .help(why.1))
        }
        None => Ok(subject),
    }
}

/// A pod's state as it is now.
pub(super) async fn now(api: &Api, namespace: &str, name: &str) -> Result<Pod, LiveError> {
    let ask = Ask::get(PODS, namespace, name);
    let body = api.get(&ask.path(), JSON, &ask.describe()).await?;
    serde_json::from_slice(&body).map_err(|_| unreadable(namespace, name))
}

fn unreadable(namespace: &str, name: &str) -> LiveError {
    LiveError::new(Trouble::Protocol, format!("the server's answer to Pod `{namespace}/{name}` can't be read"))
}

impl Subject {
    /// `NAMESPACE/NAME`.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Why nothing can be probed from it, and what to do. Of a pod that is copied, only its node and its labels are needed.
    fn unfit(&self, copied: bool) -> Option<(&'static str, &'static str)> {
        let Pod { metadata, spec, status } = &self.pod;
        let has = |key: &str| metadata.annotations.as_ref().is_some_and(|a| a.contains_key(key));
        let windows = spec.os.as_ref().is_some_and(|os| os.name == "windows")
            || spec
                .node_selector
                .as_ref()
                .is_some_and(|s| s.get("kubernetes.io/os").is_some_and(|os| *os == *"windows"));
        if spec.node_name.as_ref().is_none_or(String::is_empty) {
            return Some((
                "it has no node yet, and so no network",
                "`netcheck why` tells what it waits for; name one that runs",
            ));
        }
        if windows {
            return Some(("it runs on Windows, where the probe does not", "name a pod that runs on Linux"));
        }
        if copied {
            return None;
        }
        // The API server takes what is added to a static pod's mirror, and the kubelet never looks at it (kubernetes
        // #113935).
        if has("kubernetes.io/config.mirror") || metadata.owner_references.iter().any(|o| o.kind == "Node") {
            return Some((
                "it mirrors a static pod, to which the kubelet adds nothing",
                "name another pod with the same labels on the same node, or use --via copy",
            ));
        }
        if matches!(status.phase.as_str(), "Succeeded" | "Failed") {
            return Some((
                "it has finished, and a finished pod has no network",
                "name one that runs, or use --via copy",
            ));
        }
        if metadata.deletion_timestamp.is_some() {
            return Some(("it is being deleted", "name another one of the workload"));
        }
        None
    }

    /// Its node; empty where it has none.
    pub(super) fn node(&self) -> &str {
        self.pod.spec.node_name.as_deref().unwrap_or_default()
    }

    /// Whether its network is the node's.
    pub(super) fn uses_host_network(&self) -> bool {
        self.pod.spec.host_network
    }

    /// Its address of a family.
    pub(super) fn address(&self, v6: bool) -> Option<IpAddr> {
        let all = self.pod.status.pod_ips.iter().map(|ip| &ip.ip);
        all.filter_map(|ip| ip.parse().ok()).find(|ip: &IpAddr| ip.is_ipv6() == v6)
    }

    /// The container that counts as the client: the first.
    pub(super) fn container(&self) -> Option<&Container> {
        self.pod.spec.containers.first()
    }

    /// The proxy of a service mesh among its containers, native sidecars included.
    pub(super) fn mesh(&self) -> Option<Mesh> {
        let all = self.pod.spec.containers.iter().chain(&self.pod.spec.init_containers);
        all.filter_map(|container| {
            let (_, usual) = PROXIES.iter().find(|(name, _)| *name == container.name)?;
            let own = container.security_context.as_ref().and_then(|c| c.run_as_user).filter(|user| *user > 0);
            Some(Mesh { container: container.name.clone(), user: own.unwrap_or(*usual) })
        })
        .next()
    }

    /// Whether a container runs, native sidecars included.
    pub(super) fn runs(&self, container: &str) -> bool {
        let status = &self.pod.status;
        let mut all = status.container_statuses.iter().chain(&status.init_container_statuses);
        all.any(|s| s.name == container && s.state.running.is_some())
    }

    /// The first container that runs now.
    pub(super) fn running(&self) -> Option<&Container> {
        let runs =
            |name: &str| self.pod.status.container_statuses.iter().any(|s| s.name == name && s.state.running.is_some());
        self.pod.spec.containers.iter().find(|c| runs(&c.name))
    }

    /// The user and group for a probe: a user that the pod is known to be allowed, never root. An explicit one is needed:
    /// an image whose user is a name, or root, does not start with `runAsNonRoot` (kubernetes #113006).
    pub(super) fn user(&self) -> (i64, i64) {
        let own = self.container().and_then(|c| c.security_context.as_ref());
        let contexts = [own, self.pod.spec.security_context.as_ref()];
        let set = |field: fn(&SecurityContext) -> Option<i64>| {
            contexts.iter().flatten().find_map(|c| field(c)).filter(|id| *id > 0).unwrap_or(NOBODY)
        };
        (set(|c| c.run_as_user), set(|c| c.run_as_group))
    }

    /// Bytes of a termination message that survive in this pod: the kubelet keeps 4096 of one container, and its status
    /// manager 12 KiB of all containers, init containers counted and ephemeral ones not (`normalizeStatus`).
    pub(super) fn message_limit(&self) -> usize {
        let containers = self.pod.spec.containers.len() + self.pod.spec.init_containers.len();
        (12 * 1024 / containers.max(1)).min(crate::probe_record::MESSAGE_LIMIT)
    }
}
