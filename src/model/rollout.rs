//! What becomes of running pods when their workload is changed or deleted: a changed template stands in for them, as the
//! controller replaces them one by one.
//!
//! Objects come in before a cluster is built of them. A template that says the same of labels, ports and the node's
//! network leaves its pods, with their addresses, in place.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::source::wire::{Loaded, Metadata, Object, Pod, PodSpec, PodTemplate, Workload};

/// Kind, namespace and name of a workload.
pub(super) type Owner = (String, String, String);

/// Labels that controllers and the API server put on pods, besides those of the template.
const ADDED: [&str; 5] =
    ["pod-template-hash", "controller-revision-hash", "pod-template-generation", "controller-uid", "job-name"];
/// The same by the domain they stand under: controllers, topology (KEP-4742), and what meshes inject.
const ADDED_UNDER: [&str; 6] = [
    "apps.kubernetes.io",
    "batch.kubernetes.io",
    "statefulset.kubernetes.io",
    "topology.kubernetes.io",
    "istio.io",
    "linkerd.io",
];

/// Takes away the pods of those workloads that `with` gives another template.
pub(super) fn roll(base: &mut Vec<Loaded>, with: &[Loaded], default_namespace: &str) {
    let mut templates: HashMap<Owner, &Workload> = HashMap::new();
    for loaded in with {
        if let Object::Workload(workload) = &loaded.object {
            templates.insert(owner(&workload.kind, &workload.metadata, default_namespace), workload);
        }
    }
    if templates.is_empty() {
        return;
    }
    let controllers = Controllers::of(base, default_namespace);
    let mut changed: HashSet<Owner> = HashSet::new();
    let mut known: HashSet<Owner> = HashSet::new();
    for loaded in base.iter() {
        if let Object::Workload(old) = &loaded.object {
            let owner = owner(&old.kind, &old.metadata, default_namespace);
            if let Some(new) = templates.get(&owner) {
                if says(&old.template) != says(&new.template) {
                    changed.insert(owner.clone());
                }
                known.insert(owner);
            }
        }
    }
    // Without the old template, the pods tell what it was.
    for loaded in base.iter() {
        if let Object::Pod(pod) = &loaded.object
            && let Some(owner) = controllers.above(&pod.metadata, default_namespace)
            && !known.contains(&owner)
            && let Some(new) = templates.get(&owner)
            && !runs(pod, &new.template)
        {
            changed.insert(owner);
        }
    }
    remove(base, &controllers, &changed, default_namespace);
}

/// Takes away the pods of a workload.
pub(super) fn end(objects: &mut Vec<Loaded>, workloads: &HashSet<Owner>, default_namespace: &str) {
    let controllers = Controllers::of(objects, default_namespace);
    remove(objects, &controllers, workloads, default_namespace);
}

fn remove(objects: &mut Vec<Loaded>, controllers: &Controllers, of: &HashSet<Owner>, default_namespace: &str) {
    if of.is_empty() {
        return;
    }
    objects.retain(|loaded| {
        let metadata = match &loaded.object {
            Object::Pod(pod) => &pod.metadata,
            // A ReplicaSet or a Job that nobody owns any more would stand for itself.
            Object::Workload(workload) => &workload.metadata,
            _ => return true,
        };
        controllers.above(metadata, default_namespace).is_none_or(|owner| !of.contains(&owner))
    });
}

fn owner(kind: &str, metadata: &Metadata, default_namespace: &str) -> Owner {
    (kind.to_owned(), namespace(metadata, default_namespace), metadata.name.clone())
}

fn namespace(metadata: &Metadata, default_namespace: &str) -> String {
    if metadata.namespace.is_empty() { default_namespace.to_owned() } else { metadata.namespace.clone() }
}

/// Which workload belongs to which.
struct Controllers(HashMap<Owner, Owner>);

impl Controllers {
    fn of(objects: &[Loaded], default_namespace: &str) -> Self {
        let mut out = HashMap::new();
        for loaded in objects {
            if let Object::Workload(workload) = &loaded.object
                && let Some(above) = controller(&workload.metadata, default_namespace)
            {
                out.insert(owner(&workload.kind, &workload.metadata, default_namespace), above);
            }
        }
        Self(out)
    }

    /// The workload at the top.
    fn above(&self, metadata: &Metadata, default_namespace: &str) -> Option<Owner> {
        let direct = controller(metadata, default_namespace)?;
        if let Some(above) = self.0.get(&direct) {
            return Some(above.clone());
        }
        let (kind, namespace, name) = &direct;
        // The Deployment controller names its ReplicaSets NAME-HASH and labels their pods with the hash.
        if kind == "ReplicaSet"
            && let Some(hash) = metadata.labels.get("pod-template-hash")
            && let Some(deployment) = name.strip_suffix(hash.as_str()).and_then(|n| n.strip_suffix('-'))
        {
            return Some(("Deployment".to_owned(), namespace.clone(), deployment.to_owned()));
        }
        Some(direct)
    }
}

fn controller(metadata: &Metadata, default_namespace: &str) -> Option<Owner> {
    let found = metadata.owner_references.iter().find(|o| o.controller)?;
    Some((found.kind.to_string(), namespace(metadata, default_namespace), found.name.to_string()))
}

type Port = (String, i64, String);

/// What of a pod or a template decides connectivity: labels, ports, the node's network.
fn says(template: &PodTemplate) -> (BTreeSet<(String, String)>, BTreeSet<Port>, bool) {
    (labels(&template.metadata), ports(&template.spec), template.spec.host_network)
}

fn labels(metadata: &Metadata) -> BTreeSet<(String, String)> {
    metadata.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn ports(spec: &PodSpec) -> BTreeSet<Port> {
    let sidecars = spec.init_containers.iter().filter(|c| c.restart_policy == "Always");
    let all = spec.containers.iter().chain(sidecars).flat_map(|c| &c.ports);
    all.map(|p| {
        let protocol = if p.protocol.is_empty() { "TCP" } else { &p.protocol };
        (p.name.to_string(), p.container_port, protocol.to_owned())
    })
    .collect()
}

/// Whether a pod may be of this template. A webhook may have added containers, and with them ports.
fn runs(pod: &Pod, template: &PodTemplate) -> bool {
    let (wanted, here) = (labels(&template.metadata), labels(&pod.metadata));
    let added = |key: &str| {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        ADDED.contains(&key) || ADDED_UNDER.iter().any(|d| domain == *d || domain.ends_with(&format!(".{d}")))
    };
    wanted.is_subset(&here)
        && here.difference(&wanted).all(|(key, _)| added(key))
        && ports(&template.spec).is_subset(&ports(&pod.spec))
        && pod.spec.host_network == template.spec.host_network
}
