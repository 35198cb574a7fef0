//! Probing from a copy of the pod: the same labels on the same node, the probe instead of its containers.
//!
//! For pods that have finished or can't take an ephemeral container. The copy keeps what policies and the network plugin
//! look at. It is never ready, so that no Service sends it traffic, and it belongs to a ConfigMap made for the run, so
//! that no ReplicaSet takes it for its own and both go together. Both are removed whatever happens; after a crash of
//! this program the pod ends itself.

use std::fmt;
use std::sync::Mutex;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::super::ask::{Ask, CONFIG_MAPS, PODS};
use super::super::client::{Api, JSON, Sent};
use super::super::error::{LiveError, Trouble};
use super::container::{Answer, Recipe};
use super::ephemeral::admission;

use super::preflight::Needed;
use super::session::{Added, Into, Place};
use super::subject::Subject;
use super::{Job, Options, Probed};
use crate::probe_target::Target;

/// What it takes.
pub(super) const RIGHTS: &Needed =
    &[("pods", "get"), ("pods", "create"), ("pods", "delete"), ("configmaps", "create"), ("configmaps", "delete")];

/// How long the copy may live when nobody removes it, in seconds.
const LONGEST: u64 = 600;

/// A copy to make.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    recipe: Recipe,
    namespace: String,
    name: String,
    of: String,
    node: String,
    targets: Vec<Target>,
    /// The pod without its containers.
    pod: Value,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a pod `{}` on node `{}`, with the labels of `{}` and image `{}`, never ready, and a ConfigMap `{}` that owns it; it {}, and both are removed at the end",
            self.name,
            self.node,
            self.of,
            self.recipe.image,
            self.name,
            self.recipe.errand(&self.targets)
        )
    }
}

impl Plan {
    /// Other names for what is made.
    pub(super) fn rename(&mut self) {
        self.recipe.rename();
        self.name.clone_from(&self.recipe.name);
        self.pod["metadata"]["name"] = self.name.as_str().into();
    }

    /// To dial one target so many times, and to count.
    pub(super) fn burst(&mut self, target: &Target, count: usize) {
        self.targets = self.recipe.burst(target, count);
        self.rename();
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    fn owner(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": self.name, "namespace": self.namespace, "annotations": {"netcheck.dev/probe-of": self.of}}})
    }

    fn pod(&self, owner: &str, targets: &[Target]) -> Value {
        let mut pod = self.pod.clone();
        pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": self.name,
            "uid": owner, "controller": true, "blockOwnerDeletion": false}]);
        pod["spec"]["containers"] = json!([self.recipe.container(&self.recipe.name, targets)]);
        pod
    }

    /// What would be sent.
    pub(super) fn requests(&self, _: &Subject) -> Vec<(&'static str, String, Value)> {
        vec![
            ("POST", all(&CONFIG_MAPS, &self.namespace), self.owner()),
            ("POST", all(&PODS, &self.namespace), self.pod("UID-OF-THE-CONFIGMAP", &self.targets)),
        ]
    }
}

fn all(resource: &super::super::ask::Resource, namespace: &str) -> String {
    Ask::list(resource.clone(), namespace).path()
}

/// Annotations that decide about the network of a pod: a mesh's, and further networks.
fn matters(annotation: &str) -> bool {
    let prefixes = [
        "sidecar.istio.io/",
        "traffic.sidecar.istio.io/",
        "istio.io/",
        "ambient.istio.io/",
        "linkerd.io/",
        "config.linkerd.io/",
    ];
    (prefixes.iter().any(|p| annotation.starts_with(p))
        && annotation != "sidecar.istio.io/status"
        && !annotation.ends_with("proxy-version"))
        || annotation == "k8s.v1.cni.cncf.io/networks"
}

/// What a copy keeps of a pod's specification.
const KEPT: [&str; 14] = [
    "nodeName",
    "serviceAccountName",
    "serviceAccount",
    "hostNetwork",
    "hostAliases",
    "hostUsers",
    "dnsPolicy",
    "dnsConfig",
    "securityContext",
    "tolerations",
    "runtimeClassName",
    "imagePullSecrets",
    "priorityClassName",
    "os",
];

/// What to make.
pub(super) fn plan(subject: &Subject, job: &Job, options: &Options) -> Result<Plan, LiveError> {
    let image = options.image.clone().unwrap_or_default();
    let recipe = Recipe::new(subject, &image, options, crate::probe_record::MESSAGE_LIMIT)?;
    let name = recipe.name.clone();
    let whole = &subject.whole;
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), name.as_str().into());
    metadata.insert("namespace".to_owned(), subject.namespace.as_str().into());
    metadata.insert("labels".to_owned(), whole["metadata"]["labels"].clone());
    let mut annotations: Map<String, Value> = whole["metadata"]["annotations"]
        .as_object()
        .map(|a| a.iter().filter(|(k, _)| matters(k)).map(|(k, v)| (k.clone(), v.clone())).collect())
        .unwrap_or_default();
    annotations.insert("netcheck.dev/probe-of".to_owned(), subject.full_name().into());
    metadata.insert("annotations".to_owned(), annotations.into());
    let mut spec = Map::new();
    for key in KEPT {
        if let Some(value) = whole["spec"].get(key) {
            spec.insert(key.to_owned(), value.clone());
        }
    }
    let mut secrets = spec.get("imagePullSecrets").and_then(Value::as_array).cloned().unwrap_or_default();
    secrets.extend(options.pull_secrets.iter().map(|name| json!({"name": name})));
    if !secrets.is_empty() {
        spec.insert("imagePullSecrets".to_owned(), secrets.into());
    }
    for (key, value) in [
        ("restartPolicy", json!("Never")),
        ("automountServiceAccountToken", json!(false)),
        ("enableServiceLinks", json!(false)),
        ("terminationGracePeriodSeconds", json!(0)),
        ("activeDeadlineSeconds", json!(options.timeout.as_secs().clamp(60, LONGEST))),
        // Nobody ever sets it, so the pod is never ready.
        ("readinessGates", json!([{"conditionType": "netcheck.dev/never"}])),
    ] {
        spec.insert(key.to_owned(), value);
    }
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
    let node = subject.pod.spec.node_name.clone().unwrap_or_default();
    let most = recipe.chunks(&job.targets);
    if most.len() > 1 {
        return Err(LiveError::new(
            Trouble::Unfit,
            format!("a copy answers for {} targets at most, and {} were asked for", most[0].len(), job.targets.len()),
        )
        .help("name fewer targets"));
    }
    let targets = job.targets.clone();
    Ok(Plan { recipe, namespace: subject.namespace.clone(), name, of: subject.full_name(), node, targets, pod })
}

/// Asks what the API server and its admission would say, without a change.
pub(super) async fn dry_run(api: &Api, plan: &Plan) -> Result<(), LiveError> {
    let path = format!("{}?fieldManager=netcheck&dryRun=All", all(&PODS, &plan.namespace));
    // The owner does not exist yet; an object of a dry run may name any.
    let pod = plan.pod("00000000-0000-0000-0000-000000000000", &plan.targets);
    match api.send(&Sent::post(&path, &pod), &format!("a copy of pod `{}`", plan.of)).await {
        Ok(_) => Ok(()),
        Err(error) if error.message.contains("dry run") || error.message.contains("dryRun") => Ok(()),
        Err(error) => Err(admission(error, &plan.of)),
    }
}

/// What was made and not yet removed.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Mutex<Vec<(&'static str, String, String)>>);

impl Leftovers {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, String, String)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Remembers an object before it is made: a request may arrive whose answer does not.
    pub(super) fn about_to_make(&self, kind: &'static str, namespace: &str, name: &str) {
        self.list().push((kind, namespace.to_owned(), name.to_owned()));
    }

    /// Removes everything, the last made first.
    pub(super) async fn remove(&self, api: &Api) {
        let all: Vec<_> = self.list().iter().rev().cloned().collect();
        for (kind, namespace, name) in all {
            let _ = self.remove_one(api, kind, &namespace, &name).await;
        }
    }

    pub(super) async fn remove_one(
        &self,
        api: &Api,
        kind: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<(), LiveError> {
        let resource = if kind == "pod" { PODS } else { CONFIG_MAPS };
        let path = Ask::get(resource, namespace, name).path();
        let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "propagationPolicy": "Background"});
        match api.send(&Sent::delete(&path, &body), &format!("{kind} `{namespace}/{name}`")).await {
            Ok(_) => {}
            Err(error) if error.trouble == Trouble::NotFound => {}
            Err(error) => return Err(error),
        }
        self.list().retain(|(k, n, m)| !(*k == kind && n == namespace && m == name));
        Ok(())
    }

    /// What could not be removed, as `kubectl delete` takes it.
    pub(super) fn names(&self) -> Vec<String> {
        self.list().iter().map(|(kind, namespace, name)| format!("{kind}/{name} -n {namespace}")).collect()
    }
}

/// Makes the copy, waits for its words, and removes it.
pub(super) async fn run(
    api: &Api,
    subject: &Subject,
    plan: &Plan,
    targets: &[Target],
    leftovers: &Leftovers,
    deadline: Instant,
) -> Result<Probed, LiveError> {
    let result = made(api, plan, targets, leftovers, deadline).await;
    leftovers.remove_one(api, "pod", &plan.namespace, &plan.name).await.ok();
    leftovers.remove_one(api, "configmap", &plan.namespace, &plan.name).await.ok();
    let answer = result?;
    let how = format!("a copy of pod {} on node {}, image `{}`", subject.full_name(), plan.node, plan.recipe.image);
    Ok(answer.probed(how, None, targets.len()))
}

async fn made(
    api: &Api,
    plan: &Plan,
    targets: &[Target],
    leftovers: &Leftovers,
    deadline: Instant,
) -> Result<Answer, LiveError> {
    let what = format!("a copy of pod `{}`", plan.of);
    leftovers.about_to_make("configmap", &plan.namespace, &plan.name);
    let body = create(api, &all(&CONFIG_MAPS, &plan.namespace), &plan.owner(), &what)
        .await
        .map_err(|error| admission(error, &plan.of))?;
    let owner = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let owner = owner["metadata"]["uid"].as_str().unwrap_or_default();
    leftovers.about_to_make("pod", &plan.namespace, &plan.name);
    create(api, &all(&PODS, &plan.namespace), &plan.pod(owner, targets), &what)
        .await
        .map_err(|error| admission(error, &plan.of))?;
    let added = Added {
        place: Place { namespace: &plan.namespace, pod: &plan.name, container: &plan.recipe.name },
        image: &plan.recipe.image,
        what: format!("the copy `{}/{}`", plan.namespace, plan.name),
        into: Into::Node(&plan.node),
    };
    let (code, words) = added.ended(api, deadline).await?;
    plan.recipe.read(&words, code, targets)
}

/// Makes an object; that it exists already is an earlier try whose answer got lost.
pub(super) async fn create(api: &Api, path: &str, body: &Value, what: &str) -> Result<Vec<u8>, LiveError> {
    match api.send(&Sent::post(&format!("{path}?fieldManager=netcheck"), body), what).await {
        Err(error) if error.message.contains("status 409") => {
            let name = body["metadata"]["name"].as_str().unwrap_or_default();
            api.get(&format!("{path}/{name}"), JSON, what).await
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_of_the_network_are_kept() {
        for (annotation, kept) in [
            ("sidecar.istio.io/inject", true),
            ("sidecar.istio.io/status", false),
            ("linkerd.io/proxy-version", false),
            ("k8s.v1.cni.cncf.io/networks", true),
            ("k8s.v1.cni.cncf.io/network-status", false),
            ("cni.projectcalico.org/podIP", false),
            ("kubectl.kubernetes.io/last-applied-configuration", false),
        ] {
            assert_eq!(matters(annotation), kept, "{annotation}");
        }
    }
}
