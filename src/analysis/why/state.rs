//! Causes that the objects' own state tells: nothing to schedule on, no volume, no image, no configuration, no node.

use super::cause::Cause;
use super::facts::condition;
use super::finding::{Finding, Proof, ProofKind};
use super::run::{Examined, Run, event_proof};

/// What keeps the pod as a whole from running.
pub(super) fn pod(pod: &Examined<'_>, found: &mut Vec<Finding>) {
    node(pod, found);
    let status = &pod.pod.status;
    if status.phase == "Failed" && !status.reason.is_empty() {
        return gone(pod, found);
    }
    if let Some(scheduled) = condition(&status.conditions, "PodScheduled").filter(|c| c.status == "False") {
        let event = pod.events(&["FailedScheduling"], None).first().map(|e| e.message.clone());
        let message = if scheduled.message.is_empty() { event.unwrap_or_default() } else { scheduled.message.clone() };
        return unscheduled(pod, &message, found);
    }
    if !status.phase.eq("Pending") || !pod.containers.is_empty() {
        return;
    }
    let sandbox = pod.events(&["FailedCreatePodSandBox"], None);
    let mounts = pod.events(&["FailedMount", "FailedAttachVolume", "FailedMapVolume"], None);
    if let Some(event) = sandbox.first() {
        found.push(
            Finding::new(Cause::Sandbox, 6, pod.key, format!("the network of pod {} can't be set up", pod.name()))
                .proven([event_proof(event)])
                .advise(
                    "look at the network plugin's pods on this node, and at the addresses it has left",
                    "the kubelet asks the network plugin for an address before any container starts",
                )
                .shown_by(pod.describe()),
        );
    } else if let Some(event) = mounts.first() {
        mount(pod, &event.message, event_proof(event), found);
    } else if pod.pod.spec.node_name.is_empty() {
        let scheduler = &pod.pod.spec.scheduler_name;
        found.push(
            Finding::new(Cause::Unschedulable, 3, pod.key, format!("no scheduler has taken pod {}", pod.name()))
                .proven([Proof::new(ProofKind::Spec, "spec.schedulerName", scheduler)])
                .advise(
                    "check that a scheduler of this name runs",
                    "a pod waits for ever for a scheduler that doesn't exist",
                )
                .shown_by(pod.describe()),
        );
    }
}

/// A node that is gone or short of something comes before what it does to its pods.
fn node(pod: &Examined<'_>, found: &mut Vec<Finding>) {
    let Some(node) = pod.node else { return };
    for condition in &node.status.conditions {
        let wrong = match condition.kind.as_str() {
            "Ready" => condition.status != "True",
            "MemoryPressure" | "DiskPressure" | "PIDPressure" | "NetworkUnavailable" => condition.status == "True",
            _ => false,
        };
        if wrong {
            let name = &node.metadata.name;
            let what = if condition.kind == "Ready" { "is not ready" } else { "reports trouble" };
            let text = format!("{}={}: {} {}", condition.kind, condition.status, condition.reason, condition.message);
            found.push(
                Finding::new(
                    Cause::NodePressure,
                    8,
                    pod.key,
                    format!("node {name}, where the pod runs, {what}: {}", condition.kind),
                )
                .proven([Proof::new(ProofKind::Status, format!("node {name} status.conditions"), &text)])
                .advise(
                    format!("help the node first: kubectl describe node {name}"),
                    "what a node is short of, its pods are short of; they recover with it",
                )
                .shown_by(format!("kubectl describe node {name}"))
                .blame("Node", "", name, None),
            );
        }
    }
}

/// The node ended the pod.
fn gone(pod: &Examined<'_>, found: &mut Vec<Finding>) {
    let status = &pod.pod.status;
    let cause = match status.reason.as_str() {
        "Evicted" | "Preempting" | "Preempted" => Cause::Evicted,
        "DeadlineExceeded" => return,
        _ => Cause::NodePressure,
    };
    found.push(
        Finding::new(cause, 8, pod.key, format!("the node ended pod {}: {}", pod.name(), status.reason))
            .proven([Proof::new(ProofKind::Status, "status.message", &status.message)])
            .advise(
                "set requests for what the message names as high as what is used, or free it on the node",
                "pods that use more than they request are evicted first",
            )
            .shown_by(pod.describe()),
    );
}

fn unscheduled(pod: &Examined<'_>, message: &str, found: &mut Vec<Finding>) {
    let lower = message.to_ascii_lowercase();
    let claims: Vec<&str> = claims(pod);
    let proof = Proof::new(ProofKind::Status, "status.conditions PodScheduled", message);
    // A volume that can't follow the pod to a node is the volume's matter, as is a claim that is not bound.
    if lower.contains("persistentvolumeclaim")
        || lower.contains("volume node affinity")
        || lower.contains("persistent volume")
    {
        return claim(pod, &claims, proof, found);
    }
    let (summary, advice) = if lower.contains("node affinity/selector") || lower.contains("node(s) didn't match") {
        let wanted: Vec<String> = pod.pod.spec.node_selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
        match wanted.is_empty() {
            true => (
                "no node matches the pod's affinity".to_owned(),
                "loosen the affinity, or label a node for it".to_owned(),
            ),
            false => (
                format!("no node has the labels {} that nodeSelector asks for", wanted.join(", ")),
                format!("kubectl label node NODE {}, or correct spec.nodeSelector", wanted.join(" ")),
            ),
        }
    } else if lower.contains("taint") {
        (
            "every node has a taint that the pod doesn't tolerate".to_owned(),
            "add the toleration, or take the taint away".to_owned(),
        )
    } else if lower.contains("insufficient") {
        let what: Vec<&str> =
            lower.split("insufficient ").skip(1).filter_map(|w| w.split([',', '.', ' ']).next()).collect();
        (
            format!("no node has enough {} left for what the pod requests", what.join(" and ")),
            "lower the requests, or add a node".to_owned(),
        )
    } else if lower.contains("unschedulable") && lower.contains("node(s) were unschedulable") {
        ("nodes are cordoned".to_owned(), "kubectl uncordon NODE".to_owned())
    } else if lower.contains("free ports") {
        ("no node has the hostPort free".to_owned(), "take hostPort away, or run fewer replicas than nodes".to_owned())
    } else {
        ("no node takes the pod".to_owned(), "the scheduler's message says what every node lacks".to_owned())
    };
    let selector = (!pod.pod.spec.node_selector.is_empty()).then(|| {
        let all: Vec<String> = pod.pod.spec.node_selector.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        Proof::new(ProofKind::Spec, pod.template_path("spec.nodeSelector"), &all.join(", "))
    });
    let (kind, name) = pod.owner();
    let path = selector.is_some().then(|| pod.template_path("spec.nodeSelector"));
    found.push(
        Finding::new(Cause::Unschedulable, 8, pod.key, summary)
            .proven(std::iter::once(proof).chain(selector))
            .advise(advice, "the scheduler tries again by itself as soon as a node fits")
            .shown_by(pod.describe())
            .blame(kind, pod.namespace(), name, path),
    );
}

fn claims<'p>(pod: &'p Examined<'_>) -> Vec<&'p str> {
    pod.pod.spec.volumes.iter().filter_map(|v| Some(v.persistent_volume_claim.as_ref()?.claim_name.as_str())).collect()
}

/// A claim that isn't bound, isn't there, or can't be used.
fn claim(pod: &Examined<'_>, names: &[&str], proof: Proof, found: &mut Vec<Finding>) {
    let facts = pod.case.facts;
    let at = |name: &str| (pod.namespace().to_owned(), name.to_owned());
    let unbound = names.iter().find(|n| facts.claims.get(&at(n)).is_some_and(|c| c.status.phase != "Bound"));
    let missing =
        names.iter().find(|n| facts.kinds.contains("PersistentVolumeClaim") && !facts.claims.contains_key(&at(n)));
    let mut proofs = vec![proof];
    let (name, summary, advice) = match (unbound, missing) {
        (Some(name), _) => {
            let claim = &facts.claims[&at(name)];
            let class = claim.spec.storage_class_name.clone().unwrap_or_else(|| "the default one".to_owned());
            proofs.push(Proof::new(
                ProofKind::Status,
                format!("PersistentVolumeClaim {name} status.phase"),
                &claim.status.phase,
            ));
            let events = facts.events_of("PersistentVolumeClaim", pod.namespace(), name, &claim.metadata.uid);
            let event = events.iter().rev().find(|e| {
                matches!(
                    e.reason.as_str(),
                    "ProvisioningFailed" | "FailedBinding" | "WaitForFirstConsumer" | "ExternalProvisioning"
                )
            });
            proofs.extend(event.map(|e| event_proof(e)));
            (
                Some(*name),
                format!("PersistentVolumeClaim {name} is not bound: no volume of StorageClass {class} was made for it"),
                "correct storageClassName (a claim has to be made anew for it), or give the cluster a volume or provisioner of this class".to_owned(),
            )
        }
        (None, Some(name)) => (
            Some(*name),
            format!("PersistentVolumeClaim {name} does not exist"),
            format!("make the claim {name}, or correct the volume's claimName"),
        ),
        (None, None) => (
            names.first().copied(),
            "a volume of the pod can't be used where it would run".to_owned(),
            "the message says what is wrong with the volume".to_owned(),
        ),
    };
    let mut finding = Finding::new(Cause::Pvc, 8, pod.key, summary)
        .proven(proofs)
        .advise(advice, "a pod is scheduled only when all of its claims can be bound")
        .shown_by(match name {
            Some(name) => format!("kubectl describe pvc {name} -n {}", pod.namespace()),
            None => pod.describe(),
        });
    if let Some(name) = name {
        finding =
            finding.blame("PersistentVolumeClaim", pod.namespace(), name, Some("spec.storageClassName".to_owned()));
    }
    found.push(finding);
}

/// A volume that can't be mounted.
fn mount(pod: &Examined<'_>, message: &str, proof: Proof, found: &mut Vec<Finding>) {
    if let Some(missing) = Missing::read(message) {
        return config(pod, None, &missing, proof, found);
    }
    let lower = message.to_ascii_lowercase();
    if lower.contains("persistentvolumeclaim")
        || lower.contains("attach")
        || lower.contains("pvc")
        || !claims(pod).is_empty()
    {
        return claim(pod, &claims(pod), proof, found);
    }
    found.push(
        Finding::new(Cause::Pvc, 5, pod.key, "a volume of the pod can't be mounted")
            .proven([proof])
            .advise(
                "the event says which volume, and what its driver answers",
                "no container starts before all volumes are mounted",
            )
            .shown_by(pod.describe()),
    );
}

/// What keeps a container from starting.
pub(super) fn container(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    let Some(waiting) = run.container.status.and_then(|s| s.state.waiting.as_ref()) else { return };
    let proof = || {
        Proof::new(
            ProofKind::Status,
            format!("{} state.waiting", run.name()),
            &format!("{}: {}", waiting.reason, waiting.message),
        )
    };
    match waiting.reason.as_str() {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => image(pod, run, &waiting.reason, &waiting.message, found),
        "CreateContainerConfigError" => {
            if let Some(missing) = Missing::read(&waiting.message) {
                config(pod, Some(run), &missing, proof(), found);
            } else if waiting.message.contains("runAsNonRoot") || waiting.message.contains("non-numeric user") {
                not_root(pod, run, proof(), found);
            } else {
                found.push(
                    Finding::new(
                        Cause::MissingConfig,
                        5,
                        pod.key,
                        format!("container {} can't be configured", run.name()),
                    )
                    .of_container(run.name())
                    .proven([proof()])
                    .advise("the message says what is missing or wrong", "the kubelet tries again every few seconds")
                    .shown_by(pod.describe()),
                );
            }
        }
        "CreateContainerError" | "RunContainerError" | "ContainerCannotRun" | "StartError" => {
            let message = if waiting.message.is_empty() {
                run.ended.map(|e| e.message.clone()).unwrap_or_default()
            } else {
                waiting.message.clone()
            };
            start(pod, run, &message, proof(), found);
        }
        "PreStartHookError" | "PostStartHookError" => found.push(
            Finding::new(
                Cause::ContainerCreate,
                6,
                pod.key,
                format!("the start hook of container {} fails", run.name()),
            )
            .of_container(run.name())
            .proven([proof()])
            .advise("correct the container's lifecycle hook", "a container whose hook fails is killed")
            .shown_by(pod.describe()),
        ),
        _ => {
            // CrashLoopBackOff says nothing; how the last run ended does.
            if let Some(ended) = run.ended.filter(|e| e.reason == "StartError" || e.reason == "ContainerCannotRun") {
                let proof =
                    Proof::new(ProofKind::Status, format!("{} lastState.terminated", run.name()), &ended.message);
                start(pod, run, &ended.message, proof, found);
            }
        }
    }
}

/// The runtime could not start the program.
pub(super) fn start(pod: &Examined<'_>, run: &Run<'_>, message: &str, proof: Proof, found: &mut Vec<Finding>) {
    let lower = message.to_ascii_lowercase();
    let command: Vec<&str> = run.container.spec.command.iter().map(String::as_str).collect();
    let path = pod.template_path(&format!("{}.command", run.container.path()));
    let written = (!command.is_empty()).then(|| Proof::new(ProofKind::Spec, path.clone(), &command.join(" ")));
    let (kind, name) = pod.owner();
    let finding = |cause, summary: String| {
        Finding::new(cause, 9, pod.key, summary)
            .of_container(run.name())
            .proven([proof.clone()])
            .proven(run.end_proof())
            .proven(written.clone())
            .shown_by(pod.describe())
            .blame(kind, pod.namespace(), name, Some(path.clone()))
    };
    let program = quoted(message).or_else(|| command.first().map(|c| (*c).to_owned())).unwrap_or_default();
    found.push(if lower.contains("exec format error") {
        format_error(pod, run, finding(Cause::ExecFormat, format!("`{program}` is not a program for this node's machine")))
    } else if lower.contains("permission denied") {
        finding(Cause::Permission, format!("`{program}` may not be executed")).advise(
            "chmod +x it in the image, or run it through its interpreter",
            "the kernel executes only files with the x permission",
        )
    } else if lower.contains("executable file not found") || lower.contains("no such file or directory") {
        finding(Cause::CommandNotFound, format!("there is no `{program}` in the image of container {}", run.name())).advise(
            format!("correct {path}, or put the program into the image; a missing interpreter named in its first line counts too"),
            "the runtime looks the command up in the image's $PATH, without a shell",
        )
    } else {
        finding(Cause::ContainerCreate, format!("the runtime can't start container {}", run.name()))
            .advise("the message is the runtime's own", "the kubelet tries again with every back-off")
    });
}

pub(super) fn format_error(pod: &Examined<'_>, run: &Run<'_>, finding: Finding) -> Finding {
    let node = pod.node.map(|n| (n.metadata.name.clone(), n.status.node_info.architecture.clone()));
    let finding = match node.filter(|(_, arch)| !arch.is_empty()) {
        Some((name, arch)) => {
            finding.proven([Proof::new(ProofKind::Status, format!("node {name} status.nodeInfo.architecture"), &arch)])
        }
        None => finding,
    };
    finding.advise(
        format!("build image {} for the nodes' architecture (docker buildx build --platform), or pick nodes that fit with nodeSelector kubernetes.io/arch; a script needs a `#!` line", run.container.spec.image),
        "an executable holds machine code of one architecture",
    )
}

/// The last word in quotes after `exec:`, as runc writes it: `exec: "gunicorn": executable file not found`.
fn quoted(message: &str) -> Option<String> {
    let rest = &message[message.rfind("exec: \"").map(|at| at + 7)?..];
    Some(rest.split('"').next().unwrap_or_default().to_owned()).filter(|p| !p.is_empty())
}

fn image(pod: &Examined<'_>, run: &Run<'_>, reason: &str, message: &str, found: &mut Vec<Finding>) {
    let image = &run.container.spec.image;
    let events = pod.events(&["Failed", "InspectFailed", "ErrImageNeverPull", "BackOff"], Some(run.name()));
    let telling = events.iter().find(|e| e.message.contains("Failed to pull") || e.reason == "InspectFailed");
    let all = format!("{message} {}", telling.map(|e| e.message.as_str()).unwrap_or_default()).to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| all.contains(w));
    let (summary, advice) = if reason == "InvalidImageName"
        || has(&["couldn't parse image", "invalid reference format"])
    {
        ("the image's name is not a valid one", "correct the name: lower case, no spaces, REGISTRY/PATH:TAG")
    } else if reason == "ErrImageNeverPull" {
        ("the image is not on the node, and imagePullPolicy is Never", "load it onto the node, or let it be pulled")
    } else if has(&["no match for platform", "no matching manifest", "exec format"]) {
        ("the image has no variant for the node's platform", "build it for the nodes' architecture")
    } else if has(&["toomanyrequests", "too many requests", "rate limit"]) {
        ("the registry limits how often images are pulled", "pull with credentials, or through a mirror")
    } else if has(&["unauthorized", "denied", "forbidden", "401", "403", "authentication required", "no basic auth"]) {
        (
            "the registry refuses to give the image",
            "give the pod or its ServiceAccount imagePullSecrets that may read it; registries also answer so for a repository that doesn't exist",
        )
    } else if has(&["not found", "manifest unknown", "manifest_unknown", "name unknown", "does not exist", "404"]) {
        ("the registry doesn't have the image", "correct the name or the tag, or push it")
    } else if has(&[
        "no such host",
        "lookup ",
        "i/o timeout",
        "timed out",
        "deadline exceeded",
        "connection refused",
        "no route",
        "unreachable",
        "eof",
        "x509",
        "tls",
    ]) {
        (
            "the node can't reach the registry",
            "check the registry's name, and the node's own DNS, proxy and routes: images are pulled by the node, so NetworkPolicies don't matter",
        )
    } else if has(&["no space left"]) {
        ("the node has no space for the image", "free the node's disk")
    } else {
        ("the image can't be pulled", "the message is the registry's own")
    };
    let path = pod.template_path(&format!("{}.image", run.container.path()));
    let (kind, name) = pod.owner();
    found.push(
        Finding::new(Cause::ImagePull, 9, pod.key, format!("{summary}: {image}"))
            .of_container(run.name())
            .proven(telling.map(|e| event_proof(e)))
            .proven([
                Proof::new(ProofKind::Status, format!("{} state.waiting", run.name()), &format!("{reason}: {message}")),
                Proof::new(ProofKind::Spec, path.clone(), image),
            ])
            .advise(
                advice,
                "the kubelet pulls again by itself, ever more slowly; deleting the pod makes it try at once",
            )
            .shown_by(pod.describe())
            .blame(kind, pod.namespace(), name, Some(path)),
    );
}

fn not_root(pod: &Examined<'_>, run: &Run<'_>, proof: Proof, found: &mut Vec<Finding>) {
    let of_container = run.container.spec.security_context.run_as_non_root.is_some();
    let path = match of_container {
        true => format!("{}.securityContext.runAsNonRoot", run.container.path()),
        false => "spec.securityContext.runAsNonRoot".to_owned(),
    };
    let path = pod.template_path(&path);
    let (kind, name) = pod.owner();
    found.push(
        Finding::new(
            Cause::Permission,
            9,
            pod.key,
            format!("image {} runs as root, which runAsNonRoot forbids", run.container.spec.image),
        )
        .of_container(run.name())
        .proven([proof, Proof::new(ProofKind::Spec, path.clone(), "true")])
        .advise(
            "set runAsUser to a number that the image works with, or build the image with a numeric USER",
            "the kubelet can only tell from a number that a user is not root",
        )
        .shown_by(pod.describe())
        .blame(kind, pod.namespace(), name, Some(path)),
    );
}

/// A configuration object that isn't there.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    kind: &'static str,
    name: String,
    key: Option<String>,
}

impl Missing {
    /// From the kubelet's words: `configmap "x" not found`, `couldn't find key K in Secret ns/x`,
    /// `references non-existent secret key: K`.
    fn read(message: &str) -> Option<Self> {
        let kind = |word: &str| match word.to_ascii_lowercase().as_str() {
            "configmap" | "configmaps" => Some("ConfigMap"),
            "secret" | "secrets" => Some("Secret"),
            _ => None,
        };
        let words: Vec<&str> = message.split_whitespace().collect();
        if let Some(rest) = message.split("couldn't find key ").nth(1) {
            let mut words = rest.split_whitespace();
            let key = words.next()?.to_owned();
            let kind = words.nth(1).and_then(kind)?;
            let name = words.next()?.trim_matches(['"', ',', '.', ')']);
            let name = name.rsplit_once('/').map_or(name, |(_, n)| n).to_owned();
            return Some(Self { kind, name, key: Some(key) });
        }
        if let Some((before, rest)) = message.split_once("references non-existent ") {
            let mut words = rest.split_whitespace();
            let found = words.next().and_then(|w| if w == "config" { Some("ConfigMap") } else { kind(w) })?;
            let key = rest.split(": ").nth(1).unwrap_or_default().trim().to_owned();
            let name = before.split('"').nth(1).unwrap_or_default().to_owned();
            return Some(Self { kind: found, name, key: Some(key) });
        }
        let at =
            words.windows(3).position(|w| kind(w[0]).is_some() && w[1].starts_with('"') && w[2].starts_with("not"))?;
        Some(Self { kind: kind(words[at])?, name: words[at + 1].trim_matches(['"', ':']).to_owned(), key: None })
    }
}

fn config(pod: &Examined<'_>, run: Option<&Run<'_>>, missing: &Missing, proof: Proof, found: &mut Vec<Finding>) {
    let facts = pod.case.facts;
    let at = (pod.namespace().to_owned(), missing.name.clone());
    let (cause, what) = match (&missing.key, missing.kind) {
        (Some(key), "Secret") => (Cause::MissingSecretKey, format!("Secret {} has no key `{key}`", missing.name)),
        (Some(key), kind) => (Cause::MissingConfig, format!("{kind} {} has no key `{key}`", missing.name)),
        (None, kind) => {
            (Cause::MissingConfig, format!("{kind} {} does not exist in namespace {}", missing.name, pod.namespace()))
        }
    };
    let mut finding = Finding::new(cause, 9, pod.key, what).proven([proof]);
    let known: Option<Vec<String>> = match missing.kind {
        "Secret" => facts.secrets.get(&at).map(|s| s.keys.iter().cloned().collect()),
        _ => facts.config_maps.get(&at).map(|m| m.data.keys().cloned().collect()),
    };
    let mut advice = match &missing.key {
        Some(key) => format!("add key `{key}` to {} {}, or correct the reference", missing.kind, missing.name),
        None => {
            format!("make {} {}, correct the name, or mark the reference `optional: true`", missing.kind, missing.name)
        }
    };
    if let (Some(keys), Some(key)) = (&known, &missing.key) {
        finding = finding.proven([Proof::new(
            ProofKind::Spec,
            format!("keys of {} {}", missing.kind, missing.name),
            &keys.join(", "),
        )]);
        if let Some(near) = crate::model::query::nearest(key, keys.iter().map(String::as_str)) {
            advice.push_str(&format!("; did you mean `{near}`?"));
        }
    }
    let unread = missing.kind == "Secret" && missing.key.is_some() && known.is_none();
    if unread {
        finding = finding.proven([Proof::new(
            ProofKind::Spec,
            "not read",
            &format!(
                "the keys of Secret {}: they come with its values alone; --read-secrets reads them and shows names",
                missing.name
            ),
        )]);
    }
    if missing.key.is_none() {
        let names: Vec<&str> = match missing.kind {
            "Secret" => facts.secrets.keys().filter(|k| k.0 == at.0).map(|k| k.1.as_str()).collect(),
            _ => facts.config_maps.keys().filter(|k| k.0 == at.0).map(|k| k.1.as_str()).collect(),
        };
        if let Some(near) = crate::model::query::nearest(&missing.name, names.into_iter()) {
            advice.push_str(&format!("; there is `{near}`"));
        }
    }
    if let Some(run) = run {
        finding = finding.of_container(run.name());
    }
    found.push(
        finding
            .advise(
                advice,
                "the kubelet tries again by itself, and starts the container as soon as the reference resolves",
            )
            .shown_by(format!(
                "kubectl {} {} {} -n {}",
                if unread { "describe" } else { "get" },
                missing.kind.to_ascii_lowercase(),
                missing.name,
                pod.namespace()
            ))
            .blame(missing.kind, pod.namespace(), &missing.name, None),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_words_for_what_is_missing() {
        let read = |text: &str| Missing::read(text).map(|m| (m.kind, m.name, m.key));
        let key = |kind, name: &str, key: &str| Some((kind, name.to_owned(), Some(key.to_owned())));
        assert_eq!(
            read("configmap \"mailer-config\" not found"),
            Some(("ConfigMap", "mailer-config".to_owned(), None))
        );
        assert_eq!(read("Error: secret \"db\" not found"), Some(("Secret", "db".to_owned(), None)));
        assert_eq!(
            read("MountVolume.SetUp failed for volume \"c\" : configmap \"c\" not found"),
            Some(("ConfigMap", "c".to_owned(), None))
        );
        assert_eq!(read("couldn't find key jwt in Secret c-auth/auth-secrets"), key("Secret", "auth-secrets", "jwt"));
        assert_eq!(read("couldn't find key a.b in ConfigMap x/y"), key("ConfigMap", "y", "a.b"));
        assert_eq!(
            read("MountVolume.SetUp failed for volume \"s\" : references non-existent secret key: tls.crt"),
            key("Secret", "s", "tls.crt")
        );
        assert_eq!(read("container has runAsNonRoot and image will run as root"), None);
    }
}
