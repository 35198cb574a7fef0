//! What has to be read about pods in trouble beside what decides connectivity: names, for whoever fetches them.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Key, containers};

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOf {
    /// Pod.
    pub pod: Key,
    /// Container.
    pub container: String,
    /// Of the run before.
    pub previous: bool,
}

/// What some pods need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// By namespace, the uids of the pods whose events matter.
    pub events: BTreeMap<String, Vec<String>>,
    /// ConfigMaps that they name.
    pub config_maps: BTreeSet<Key>,
    /// Secrets that they name: for whoever may read them.
    pub secrets: BTreeSet<Key>,
    /// Claims of their volumes.
    pub claims: BTreeSet<Key>,
    /// ReplicaSets that made them.
    pub replica_sets: BTreeSet<Key>,
    /// Nodes whose events matter: they may have killed a container for the node's own memory.
    pub nodes: BTreeSet<String>,
    /// Logs that there may be.
    pub logs: Vec<LogOf>,
}

impl Wants {
    /// What these pods need.
    pub fn of(facts: &Facts, pods: &BTreeSet<Key>) -> Self {
        let mut out = Self::default();
        for key in pods {
            let Some(pod) = facts.pods.get(key) else { continue };
            out.events.entry(key.0.clone()).or_default().push(pod.metadata.uid.clone());
            let at = |name: &str| (!name.is_empty()).then(|| (key.0.clone(), name.to_owned()));
            for container in containers(pod) {
                for from in &container.spec.env_from {
                    out.config_maps.extend(from.config_map_ref.as_ref().and_then(|r| at(&r.name)));
                    out.secrets.extend(from.secret_ref.as_ref().and_then(|r| at(&r.name)));
                }
                for from in container.spec.env.iter().filter_map(|v| v.value_from.as_ref()) {
                    out.config_maps.extend(from.config_map_key_ref.as_ref().and_then(|r| at(&r.name)));
                    out.secrets.extend(from.secret_key_ref.as_ref().and_then(|r| at(&r.name)));
                }
                let Some(status) = container.status else { continue };
                let ends = [&status.state, &status.last_state].map(|state| state.terminated.as_ref());
                // SIGKILL that the kubelet doesn't account for.
                if ends.into_iter().flatten().any(|end| end.exit_code == 137 && end.reason != "OOMKilled")
                    && !pod.spec.node_name.is_empty()
                {
                    out.nodes.insert(pod.spec.node_name.clone());
                }
                // What has just ended may run again when its log is asked for: its own is then that of the run before.
                let ended = status.state.terminated.is_some() || status.last_state.terminated.is_some();
                let before = status.restart_count > 0 || ended;
                // What never ran has logged nothing.
                let ran = before || status.state.running.is_some();
                let log = |previous| LogOf { pod: key.clone(), container: container.spec.name.clone(), previous };
                out.logs.extend(ran.then(|| log(false)));
                out.logs.extend(before.then(|| log(true)));
            }
            for volume in &pod.spec.volumes {
                out.config_maps.extend(volume.config_map.as_ref().and_then(|v| at(&v.name)));
                out.claims.extend(volume.persistent_volume_claim.as_ref().and_then(|v| at(&v.claim_name)));
            }
            let owners = pod.metadata.owner_references.iter().filter(|o| o.kind == "ReplicaSet");
            out.replica_sets.extend(owners.filter_map(|o| at(&o.name)));
        }
        out
    }

    /// Claims that are not bound, by namespace and uid: their events say why.
    pub fn unbound(facts: &Facts) -> Vec<Key> {
        facts
            .claims
            .iter()
            .filter(|(_, claim)| claim.status.phase != "Bound" && !claim.metadata.uid.is_empty())
            .map(|(key, claim)| (key.0.clone(), claim.metadata.uid.clone()))
            .collect()
    }
}
