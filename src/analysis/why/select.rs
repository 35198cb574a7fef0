//! Which pods are in trouble: crash-looping, also between two restarts, stuck, or running and never ready.
//!
//! A crash loop is mostly `terminated/Error` with a restart count, or `running` for the moment; `CrashLoopBackOff` shows up
//! irregularly (CRASH.md, "Seen on a real kubelet"). A pod that has recovered is not in trouble.

use std::collections::BTreeSet;

use super::facts::wire::Pod;
use super::facts::{self, ContainerFacts, Facts, Key, Place, condition};
use super::time;
use crate::model::Cluster;

/// Which pods are looked at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Namespace; all where there is none.
    pub namespace: Option<String>,
    /// Pods named one by one: these are looked at however young their trouble is.
    pub pods: Option<BTreeSet<Key>>,
}

/// A pod in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The pod.
    pub pod: Key,
    /// Its workload: kind and name.
    pub workload: Option<(String, String)>,
    /// Its state, as `kubectl get pods` says it.
    pub trouble: String,
    /// Its containers in trouble, by name; empty where it is the pod's own.
    pub containers: Vec<String>,
}

/// A run this long ends a crash loop: the kubelet forgets its back-off (KEP-4603 keeps the 10 minutes).
const CLEAN_RUN: i64 = 600;
/// Younger pods may still be starting.
const STARTING: i64 = 60;
/// A failed pod that was replaced long ago is history.
const HISTORY: i64 = 3600;

/// Reasons for which a container waits that don't pass by themselves.
const STUCK: &[&str] = &[
    "CrashLoopBackOff",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PreStartHookError",
    "PostStartHookError",
    "StartError",
    "ContainerCannotRun",
];

/// Pods in trouble, by namespace and name.
pub fn troubled(facts: &Facts, cluster: &Cluster, scope: &Scope) -> Vec<Subject> {
    let mut out = Vec::new();
    for (key, pod) in &facts.pods {
        let named = scope.pods.as_ref().is_some_and(|pods| pods.contains(key));
        let in_scope = named || scope.pods.is_none() && scope.namespace.as_ref().is_none_or(|n| *n == key.0);
        if !in_scope {
            continue;
        }
        // A pod that was taken away with `--without` is not there.
        let Some(id) = cluster.namespace(&key.0).and_then(|n| cluster.pod(n, &key.1)) else { continue };
        if let Some((trouble, containers)) = trouble(facts, pod, named) {
            let workload = cluster.pods[id.index()].workload.as_ref();
            let workload = workload.map(|w| (w.kind.to_string(), w.name.to_string()));
            out.push(Subject { pod: key.clone(), workload, trouble, containers });
        }
    }
    out
}

/// Pods that may be in trouble, from their status alone: before there is a model of the cluster to ask [`troubled`] with.
///
/// `names` are pods or workloads by namespace and name; without any, all of `facts`. Pods of a workload are told by their
/// owners, or by how their names begin: a few too many do no harm.
pub fn suspects(facts: &Facts, names: Option<&BTreeSet<Key>>) -> BTreeSet<Key> {
    let of = |pod: &Pod, key: &Key, (namespace, name): &Key| {
        let begins =
            |text: &str| text.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        *namespace == key.0 && (begins(&key.1) || pod.metadata.owner_references.iter().any(|o| begins(&o.name)))
    };
    let wanted = |pod: &Pod, key: &Key| names.is_none_or(|names| names.iter().any(|name| of(pod, key, name)));
    facts
        .pods
        .iter()
        .filter(|(key, pod)| wanted(pod, key) && trouble(facts, pod, names.is_some()).is_some())
        .map(|(key, _)| key.clone())
        .collect()
}

fn trouble(facts: &Facts, pod: &Pod, named: bool) -> Option<(String, Vec<String>)> {
    let status = &pod.status;
    if status.phase == "Succeeded" || status.phase.is_empty() || (pod.metadata.deletion_timestamp.is_some() && !named) {
        return None;
    }
    if status.phase == "Failed" {
        return failed(facts, pod, named);
    }
    let age = |at: Option<&str>| at.and_then(time::parse).map_or(i64::MAX, |at| facts.now - at);
    let old = age(status.start_time.as_deref().or(pod.metadata.creation_timestamp.as_deref())) >= STARTING || named;
    if let Some(scheduled) = condition(&status.conditions, "PodScheduled").filter(|c| c.status == "False") {
        let reason = if scheduled.reason.is_empty() { "Unschedulable" } else { &scheduled.reason };
        return Some((reason.to_owned(), Vec::new()));
    }
    let all = facts::containers(pod);
    let mut found: Vec<(String, String)> = Vec::new();
    for container in &all {
        if let Some(what) = container_trouble(facts, pod, container, named) {
            found.push((what, container.spec.name.clone()));
        }
    }
    // What waits for an init container is its symptom.
    let init = |name: &str| all.iter().any(|c| c.spec.name == name && c.place == Place::Init);
    if found.iter().any(|(_, name)| init(name)) {
        found.retain(|(_, name)| init(name));
        if let Some((what, _)) = found.first_mut() {
            *what = format!("Init:{what}");
        }
    }
    if let Some((what, _)) = found.first() {
        return Some((what.clone(), found.iter().map(|(_, name)| name.clone()).collect()));
    }
    if status.phase == "Pending" && old {
        let reason = all.iter().find_map(|c| Some(&c.status?.state.waiting.as_ref()?.reason)).filter(|r| !r.is_empty());
        return Some((reason.cloned().unwrap_or_else(|| "Pending".to_owned()), Vec::new()));
    }
    let ready = condition(&status.conditions, "Ready")?;
    if status.phase == "Running" && ready.status != "True" {
        let since = age(ready.last_transition_time.as_deref());
        let not: Vec<&ContainerFacts<'_>> =
            all.iter().filter(|c| c.status.is_some_and(|s| !s.ready && s.state.running.is_some())).collect();
        let started = not
            .iter()
            .map(|c| age(c.status.and_then(|s| s.state.running.as_ref()?.started_at.as_deref())))
            .min()
            .unwrap_or(i64::MAX);
        if since.min(started) >= STARTING || named {
            return Some(("NotReady".to_owned(), not.iter().map(|c| c.spec.name.clone()).collect()));
        }
    }
    None
}

/// A pod that ended for good.
fn failed(facts: &Facts, pod: &Pod, named: bool) -> Option<(String, Vec<String>)> {
    let namespace = &pod.metadata.namespace;
    let job = pod.metadata.owner_references.iter().find(|o| o.kind == "Job");
    let done = job.and_then(|o| facts.jobs.get(&(namespace.clone(), o.name.clone()))).is_some_and(|job| {
        condition(&job.status.conditions, "Complete").is_some_and(|c| c.status == "True")
            || (job.status.succeeded.unwrap_or(0) > 0
                && condition(&job.status.conditions, "Failed").is_none_or(|c| c.status != "True"))
    });
    if done && !named {
        return None;
    }
    let ended: Vec<&facts::wire::ContainerStatus> = pod
        .status
        .container_statuses
        .iter()
        .chain(&pod.status.init_container_statuses)
        .filter(|s| s.state.terminated.as_ref().is_some_and(|t| t.exit_code != 0))
        .collect();
    let at = ended.iter().filter_map(|s| time::parse(s.state.terminated.as_ref()?.finished_at.as_deref()?)).max();
    let by_node = !pod.status.reason.is_empty();
    if by_node && job.is_none() && !named && at.is_none_or(|at| facts.now - at > HISTORY) && !ended.is_empty() {
        return None;
    }
    let reason = if by_node { pod.status.reason.clone() } else { "Error".to_owned() };
    Some((reason, ended.iter().map(|s| s.name.clone()).collect()))
}

fn container_trouble(facts: &Facts, pod: &Pod, container: &ContainerFacts<'_>, named: bool) -> Option<String> {
    let status = container.status?;
    let state = &status.state;
    let restarts_on_success = pod.spec.restart_policy.is_empty() || pod.spec.restart_policy == "Always";
    let restarts_on_success =
        (restarts_on_success && container.place == Place::Regular) || container.place == Place::Sidecar;
    if let Some(waiting) = &state.waiting {
        return STUCK.contains(&waiting.reason.as_str()).then(|| waiting.reason.clone());
    }
    if let Some(ended) = &state.terminated {
        let wrong = ended.exit_code != 0 || restarts_on_success || ended.reason == "OOMKilled";
        let reason = if ended.reason.is_empty() { "Error" } else { &ended.reason };
        return wrong.then(|| reason.to_owned());
    }
    let running = state.running.as_ref()?;
    let started = running.started_at.as_deref().and_then(time::parse);
    let this_run = started.map_or(i64::MAX, |at| facts.now - at);
    if let Some(last) = &status.last_state.terminated
        && (last.exit_code != 0 || restarts_on_success)
    {
        let length = length_of(last).unwrap_or(0);
        // One stumble on the way up is over once it has run clearly longer than before; a habit needs a clean run.
        let over = if status.restart_count < 3 && status.ready { 2 * length + STARTING } else { CLEAN_RUN };
        let over = if named && !status.ready { i64::MAX } else { over.min(CLEAN_RUN) };
        if this_run < over {
            return Some(if last.reason.is_empty() { "Error".to_owned() } else { last.reason.clone() });
        }
    }
    if container.place == Place::Init && (this_run >= STARTING || named) {
        return Some("running for ever".to_owned());
    }
    None
}

/// Seconds that a run took.
pub(super) fn length_of(ended: &facts::wire::Terminated) -> Option<i64> {
    let started = time::parse(ended.started_at.as_deref()?)?;
    let finished = time::parse(ended.finished_at.as_deref()?)?;
    // The kubelet writes year 1 for what it doesn't know.
    (started > 0 && finished >= started).then_some(finished - started)
}
