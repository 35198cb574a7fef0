//! What is known of pods beside what decides connectivity: states, events, environment, probes, nodes, claims.
//!
//! Objects come in one by one, from a file's observer or from a live cluster; [`Facts`] go out. Only kinds and fields
//! that tell why a pod fails are kept. A Secret is its name and its keys.

pub mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;

use super::secrets::{self, Lead};
use super::time;
use crate::source::observe::{Content, Observed};
use wire::{Bare, Claim, ConfigMap, Job, Node, Pod};

/// Namespace and name.
pub type Key = (String, String);

/// When a policy was changed last, as an annotation of it in a snapshot.
const CHANGED_AT: &str = "netcheck/changed-at";
/// Bytes of ConfigMaps that are kept, all together.
const CONFIG_BYTES: usize = 64 << 20;
/// Events that are kept for one object.
const EVENTS_EACH: usize = 200;

/// An event, of either API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Reason.
    pub reason: String,
    /// Message.
    pub message: String,
    /// Whether it is a warning.
    pub warning: bool,
    /// How often.
    pub count: i64,
    /// First time.
    pub first: Option<i64>,
    /// Last time.
    pub last: Option<i64>,
    /// The container it is about.
    pub container: Option<String>,
}

/// When a policy was made and last written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Made.
    pub created: Option<i64>,
    /// Last written, where the object says so.
    pub changed: Option<i64>,
}

/// A Secret: never its values, and where they lead only if they may be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretKeys {
    /// Keys.
    pub keys: BTreeSet<String>,
    /// By key, the addresses that a value names; nothing else of it is kept.
    pub(super) leads: BTreeMap<String, Lead>,
}

/// A ReplicaSet, for the age of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// When it was made.
    pub created: Option<i64>,
    /// The Deployment's revision it stands for.
    pub number: Option<u64>,
    /// The Deployment.
    pub owner: Option<String>,
}

/// Everything known beside the model.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Pods.
    pub pods: BTreeMap<Key, Pod>,
    /// Events by kind, namespace and name of the object, each with the object's uid.
    events: HashMap<(String, String, String), Vec<(String, Event)>>,
    /// Nodes.
    pub nodes: BTreeMap<String, Node>,
    /// ReplicaSets.
    pub revisions: BTreeMap<Key, Revision>,
    /// ConfigMaps.
    pub config_maps: BTreeMap<Key, ConfigMap>,
    /// Secrets.
    pub secrets: BTreeMap<Key, SecretKeys>,
    /// PersistentVolumeClaims.
    pub claims: BTreeMap<Key, Claim>,
    /// StorageClasses.
    pub storage_classes: BTreeSet<String>,
    /// Jobs.
    pub jobs: BTreeMap<Key, Job>,
    /// Policies by kind, namespace and name.
    pub policies: HashMap<(String, String, String), Written>,
    /// Names of DaemonSets in any namespace: a network plugin is one.
    pub daemon_sets: BTreeSet<String>,
    /// Whether a kind was given at all, so that an object that isn't there is known not to exist.
    pub kinds: BTreeSet<String>,
    /// The newest time in the objects, or the clock's where they are a live cluster's.
    pub now: i64,
    /// Whether values of Secrets may be read, for the addresses in them.
    pub read_secrets: bool,
    config_bytes: usize,
    default_namespace: String,
}

impl Facts {
    /// Nothing yet. `namespace` is that of objects that name none.
    pub fn new(namespace: &str) -> Self {
        Self { default_namespace: namespace.to_owned(), ..Self::default() }
    }

    /// Takes what it needs of an object.
    pub fn add(&mut self, object: &Observed<'_>) {
        let content = object.content;
        match object.kind {
            "Pod" => self.pod(content),
            "Event" => self.event(content),
            "Node" => {
                if let Some(node) = read::<Node>(content) {
                    for condition in &node.status.conditions {
                        self.seen(condition.last_heartbeat_time.as_deref());
                    }
                    self.nodes.insert(node.metadata.name.clone(), node);
                }
            }
            "ReplicaSet" => self.revision(content),
            "ConfigMap" => self.config_map(content),
            "Secret" => self.secret(content),
            "PersistentVolumeClaim" => {
                if let Some(claim) = read::<Claim>(content) {
                    self.claims.insert(self.key(&claim.metadata), claim);
                }
            }
            "Job" => {
                if let Some(job) = read::<Job>(content) {
                    self.jobs.insert(self.key(&job.metadata), job);
                }
            }
            "StorageClass" => {
                if let Some(class) = read::<Bare>(content) {
                    self.storage_classes.insert(class.metadata.name);
                }
            }
            "DaemonSet" => {
                if let Some(set) = read::<Bare>(content) {
                    self.daemon_sets.insert(set.metadata.name);
                }
            }
            kind if kind.ends_with("NetworkPolicy") => self.policy(kind, content),
            _ => return,
        }
        if !self.kinds.contains(object.kind) {
            self.kinds.insert(object.kind.to_owned());
        }
    }

    /// The pod of a name.
    pub fn pod_named(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.pods.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The events of an object, newest last. Those of an earlier object of the same name are left out.
    pub fn events_of(&self, kind: &str, namespace: &str, name: &str, uid: &str) -> Vec<&Event> {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let mut out: Vec<&Event> = self
            .events
            .get(&key)
            .into_iter()
            .flatten()
            .filter(|(of, _)| uid.is_empty() || of.is_empty() || of == uid)
            .map(|(_, event)| event)
            .collect();
        out.sort_by_key(|e| e.last);
        out
    }

    /// The events of a pod.
    pub fn pod_events(&self, pod: &Pod) -> Vec<&Event> {
        let meta = &pod.metadata;
        self.events_of("Pod", &meta.namespace, &meta.name, &meta.uid)
    }

    fn key(&self, meta: &wire::Meta) -> Key {
        let namespace = if meta.namespace.is_empty() { &self.default_namespace } else { &meta.namespace };
        (namespace.clone(), meta.name.clone())
    }

    fn seen(&mut self, text: Option<&str>) -> Option<i64> {
        let at = time::parse(text?)?;
        self.now = self.now.max(at);
        Some(at)
    }

    fn pod(&mut self, content: Content<'_>) {
        let Some(mut pod) = read::<Pod>(content) else { return };
        let key = self.key(&pod.metadata);
        pod.metadata.namespace.clone_from(&key.0);
        let mut times: Vec<Option<String>> = vec![pod.metadata.creation_timestamp.clone()];
        times.extend(pod.status.conditions.iter().map(|c| c.last_transition_time.clone()));
        let statuses = pod.status.container_statuses.iter().chain(&pod.status.init_container_statuses);
        for status in statuses {
            times.push(status.state.running.as_ref().and_then(|r| r.started_at.clone()));
            times.push(status.state.terminated.as_ref().and_then(|t| t.finished_at.clone()));
            times.push(status.last_state.terminated.as_ref().and_then(|t| t.finished_at.clone()));
        }
        for at in times {
            self.seen(at.as_deref());
        }
        self.pods.insert(key, pod);
    }

    fn event(&mut self, content: Content<'_>) {
        let Some(event) = read::<wire::Event>(content) else { return };
        let Some(about) = event.involved_object.or(event.regarding) else { return };
        let series = event.series.unwrap_or_default();
        let at = |fact: &mut Self, texts: [Option<&str>; 4]| {
            let found = texts.into_iter().flatten().find_map(time::parse);
            fact.now = fact.now.max(found.unwrap_or_default());
            found
        };
        let first = at(
            self,
            [
                event.first_timestamp.as_deref(),
                event.deprecated_first_timestamp.as_deref(),
                event.event_time.as_deref(),
                event.metadata.creation_timestamp.as_deref(),
            ],
        );
        let last = at(
            self,
            [
                series.last_observed_time.as_deref(),
                event.last_timestamp.as_deref(),
                event.deprecated_last_timestamp.as_deref(),
                event.event_time.as_deref(),
            ],
        )
        .or(first);
        let container =
            about.field_path.split_once('{').and_then(|(_, rest)| rest.strip_suffix('}')).map(str::to_owned);
        let read = Event {
            reason: event.reason,
            message: if event.message.is_empty() { event.note } else { event.message },
            warning: event.kind == "Warning",
            count: series.count.or(event.count).or(event.deprecated_count).unwrap_or(1).max(1),
            first,
            last,
            container,
        };
        let namespace = match about.namespace.is_empty() {
            true if about.kind == "Node" => String::new(),
            true => self.default_namespace.clone(),
            false => about.namespace,
        };
        let of = self.events.entry((about.kind, namespace, about.name)).or_default();
        // The same event in both APIs is one event.
        let known = of.iter().any(|(uid, e)| {
            *uid == about.uid && (&e.reason, &e.message, e.first) == (&read.reason, &read.message, read.first)
        });
        if !known && of.len() < EVENTS_EACH {
            of.push((about.uid, read));
        }
    }

    fn revision(&mut self, content: Content<'_>) {
        let Some(bare) = read::<Bare>(content) else { return };
        let created = self.seen(bare.metadata.creation_timestamp.as_deref());
        let number = bare.metadata.annotations.get("deployment.kubernetes.io/revision").and_then(|r| r.parse().ok());
        let owner = bare.metadata.owner_references.iter().find(|o| o.kind == "Deployment").map(|o| o.name.clone());
        self.revisions.insert(self.key(&bare.metadata), Revision { created, number, owner });
    }

    fn config_map(&mut self, content: Content<'_>) {
        let Some(mut map) = read::<ConfigMap>(content) else { return };
        for value in map.data.values_mut() {
            self.config_bytes += value.len();
            if self.config_bytes > CONFIG_BYTES {
                value.clear();
            }
        }
        self.config_maps.insert(self.key(&map.metadata), map);
    }

    fn secret(&mut self, content: Content<'_>) {
        let Some(secret) = read::<wire::Secret>(content) else { return };
        let mut keys: BTreeSet<String> = secret.data_keys.into_iter().collect();
        keys.extend(secret.data.into_keys());
        keys.extend(secret.string_data.into_keys());
        let mut leads = BTreeMap::new();
        if self.read_secrets
            && let Some(open) = read::<wire::OpenSecret>(content)
        {
            for (key, value) in &open.data {
                leads.extend(secrets::decoded(value).and_then(|text| Some((key.clone(), secrets::lead(&text)?))));
            }
            leads.extend(open.string_data.iter().filter_map(|(key, text)| Some((key.clone(), secrets::lead(text)?))));
        }
        self.secrets.insert(self.key(&secret.metadata), SecretKeys { keys, leads });
    }

    fn policy(&mut self, kind: &str, content: Content<'_>) {
        let Some(bare) = read::<Bare>(content) else { return };
        let meta = &bare.metadata;
        let written = Written {
            created: meta.creation_timestamp.as_deref().and_then(time::parse),
            changed: meta
                .managed_fields
                .iter()
                .filter(|f| f.subresource != "status")
                .filter_map(|f| time::parse(f.time.as_deref()?))
                .max()
                // A snapshot keeps the newest of them alone.
                .or_else(|| time::parse(meta.annotations.get(CHANGED_AT)?)),
        };
        self.now = self.now.max(written.changed.or(written.created).unwrap_or_default());
        let namespace = match kind {
            "NetworkPolicy" | "CiliumNetworkPolicy" => self.key(meta).0,
            _ => meta.namespace.clone(),
        };
        self.policies.insert((kind.to_owned(), namespace, meta.name.clone()), written);
    }
}

fn read<T: for<'de> Deserialize<'de>>(content: Content<'_>) -> Option<T> {
    content.read()
}

/// Which list of a pod's spec a container stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `initContainers`.
    Init,
    /// `initContainers` with `restartPolicy: Always`.
    Sidecar,
    /// `containers`.
    Regular,
}

/// A container: as written, and what the kubelet says of it.
#[derive(Clone, Copy, Debug)]
pub struct ContainerFacts<'a> {
    /// List.
    pub place: Place,
    /// Index in its list.
    pub index: usize,
    /// As written.
    pub spec: &'a wire::Container,
    /// What the kubelet says.
    pub status: Option<&'a wire::ContainerStatus>,
}

impl ContainerFacts<'_> {
    /// The path of its spec in the pod: `spec.containers[0]`.
    pub fn path(&self) -> String {
        match self.place {
            Place::Regular => format!("spec.containers[{}]", self.index),
            _ => format!("spec.initContainers[{}]", self.index),
        }
    }
}

/// The containers of a pod, in the order they start.
pub fn containers(pod: &Pod) -> Vec<ContainerFacts<'_>> {
    let init = pod.spec.init_containers.iter().enumerate().map(|(index, spec)| ContainerFacts {
        place: if spec.restart_policy == "Always" { Place::Sidecar } else { Place::Init },
        index,
        spec,
        status: pod.status.init_container_statuses.iter().find(|s| s.name == spec.name),
    });
    let regular = pod.spec.containers.iter().enumerate().map(|(index, spec)| ContainerFacts {
        place: Place::Regular,
        index,
        spec,
        status: pod.status.container_statuses.iter().find(|s| s.name == spec.name),
    });
    init.chain(regular).collect()
}

/// The condition of a pod or node.
pub fn condition<'a>(conditions: &'a [wire::Condition], kind: &str) -> Option<&'a wire::Condition> {
    conditions.iter().find(|c| c.kind == kind)
}
