//! Probing by ephemeral containers: one patch adds one, and its last words come back in the pod's status.
//!
//! Neither the right to read logs nor to exec is needed, and the pod's containers may be distroless or crash-looping: its
//! network stays between their restarts.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::client::{Api, JSON, Sent};
use super::super::error::{LiveError, Trouble};
use super::super::rights::{Right, roles};
use super::container::{Answer, Recipe};
use super::image::{ImageKind, ProbeImage};
use super::preflight::Needed;
use super::state::{self, State, broken};
use super::subject::{self, Subject};
use super::{Job, Options, Probed};
use crate::probe_record;
use crate::probe_target::Target;

/// What it takes.
pub(super) const RIGHTS: &Needed = &[("pods", "get"), ("pods/ephemeralcontainers", "patch")];

/// How long the kubelet may say nothing of a new container.
const UNSEEN: Duration = Duration::from_secs(15);

/// An ephemeral container to add.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    recipe: Recipe,
    targets: Vec<Target>,
    own: bool,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks = self.recipe.chunks(&self.targets).len();
        let containers =
            if chunks == 1 { "an ephemeral container".to_owned() } else { format!("{chunks} ephemeral containers") };
        let image = if self.own { "of the pod's own image" } else { "of image" };
        write!(
            f,
            "{containers} `{}` {image} `{}`, which tries {} and ends; it stays in the pod's record until the pod is deleted",
            self.recipe.name,
            self.recipe.image,
            connections(self.targets.len())
        )
    }
}

/// "3 targets".
pub(super) fn connections(count: usize) -> String {
    if count == 1 { "one target".to_owned() } else { format!("{count} targets") }
}

impl Plan {
    /// What would be sent.
    pub(super) fn requests(&self, subject: &Subject) -> Vec<(&'static str, String, Value)> {
        let chunks = self.recipe.chunks(&self.targets);
        let patches = chunks.iter().enumerate().map(|(n, targets)| self.patch(&self.recipe.name_of(n), targets));
        patches.map(|patch| ("PATCH", path(subject, false), patch)).collect()
    }

    /// Another name for what is added.
    pub(super) fn rename(&mut self) {
        self.recipe.rename();
    }

    fn patch(&self, name: &str, targets: &[Target]) -> Value {
        json!({"spec": {"ephemeralContainers": [self.recipe.container(name, targets)]}})
    }
}

fn path(subject: &Subject, dry: bool) -> String {
    let dry = if dry { "&dryRun=All" } else { "" };
    format!("{}/ephemeralcontainers?fieldManager=netcheck{dry}", subject::path(&subject.namespace, &subject.name))
}

/// What to add.
pub(super) fn plan(subject: &Subject, job: &Job, image: &ProbeImage, options: &Options) -> Result<Plan, LiveError> {
    let recipe = Recipe::new(subject, image, options, subject.message_limit())?;
    Ok(Plan { recipe, targets: job.targets.clone(), own: image.kind == ImageKind::Target })
}

/// Asks what the API server and its admission would say, without a change.
pub(super) async fn dry_run(api: &Api, subject: &Subject, plan: Plan) -> Result<Plan, LiveError> {
    let first = plan.recipe.chunks(&plan.targets).first().copied().unwrap_or_default();
    let patch = plan.patch(&plan.recipe.name, first);
    match patched(api, subject, &patch, true).await {
        Ok(()) => Ok(plan),
        // A webhook with side effects can't take part in a dry run; the real thing will tell.
        Err(error) if error.message.contains("dry run") || error.message.contains("dryRun") => Ok(plan),
        Err(error) => Err(error),
    }
}

async fn patched(api: &Api, subject: &Subject, patch: &Value, dry: bool) -> Result<(), LiveError> {
    let what = format!("an ephemeral container in pod `{}`", subject.full_name());
    let path = path(subject, dry);
    // A conflict is another change at the same moment: kubectl tries again as well.
    let mut tries = 0;
    loop {
        match api.send(&Sent::patch(&path, patch), &what).await {
            Ok(_) => return Ok(()),
            Err(error) if error.message.contains("status 409") && tries < 3 => {
                tries += 1;
                sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(refused(error, subject)),
        }
    }
}

/// What a refusal means.
fn refused(mut error: LiveError, subject: &Subject) -> LiveError {
    let said = error.message.clone();
    let pod = subject.full_name();
    if error.trouble == Trouble::NotFound && !said.contains(&format!("\"{}\"", subject.name)) {
        return LiveError::new(
            Trouble::Unfit,
            "this cluster has no ephemeral containers: they came with Kubernetes 1.25",
        )
        .help("probe by another way: --via exec or --via copy");
    }
    if error.trouble == Trouble::NotFound {
        return LiveError::new(Trouble::NotFound, format!("pod `{pod}` is gone"));
    }
    if said.contains("cannot patch resource") {
        let right = |resource: &str, verb| Right {
            group: String::new(),
            resource: resource.to_owned(),
            verb,
            namespace: Some(subject.namespace.clone()),
        };
        error.roles = roles(&RIGHTS.iter().map(|(resource, verb)| right(resource, verb)).collect::<Vec<_>>());
        return error.help("ask for the role below; `netcheck rbac probe` prints all that a check with --live needs");
    }
    admission(error, &pod)
}

/// A refusal by Pod Security, a webhook or a quota.
pub(super) fn admission(error: LiveError, pod: &str) -> LiveError {
    let said = error.message.clone();
    if said.contains("violates PodSecurity") {
        // The whole pod is judged again: a container that was added long ago may be what offends (kubernetes #118961).
        return LiveError::new(Trouble::Admission, format!("Pod Security refuses the probe: {said}"))
            .help("containers named there that are not the probe's were in the pod before, and keep anything from being added")
            .help("probe by another way: --via exec or --via copy");
    }
    if error.trouble == Trouble::Forbidden || said.contains("admission webhook") || said.contains("denied the request")
    {
        return LiveError::new(Trouble::Admission, format!("admission refuses the probe in `{pod}`: {said}"))
            .help("an image that is allowed can be given with --probe-image; or probe by another way: --via exec");
    }
    error
}

/// Adds the containers, one after the other, and waits for their words.
pub(super) async fn run(
    api: &Api,
    subject: &Subject,
    plan: &Plan,
    targets: &[Target],
    options: &Options,
    deadline: Instant,
) -> Result<Probed, LiveError> {
    let _ = options;
    let recipe = &plan.recipe;
    let mut all = Answer::default();
    let mut names = Vec::new();
    let mut first = 0;
    for (number, chunk) in recipe.chunks(targets).into_iter().enumerate() {
        let name = recipe.name_of(number);
        patched(api, subject, &plan.patch(&name, chunk), false).await?;
        names.push(name.clone());
        let stays = |error: LiveError| {
            error.help(format!("ephemeral container `{name}` stays in the record of pod {}", subject.full_name()))
        };
        let (code, words) = ended(api, subject, &name, &recipe.image, deadline).await.map_err(stays)?;
        let mut answer = recipe.read(&words, code, chunk).map_err(stays)?;
        if answer.missing > 0
            && recipe.kind == ImageKind::Agent
            && let Some(more) = log(api, subject, &name).await
            && more.batch == answer.batch
        {
            answer = more;
        }
        for record in &mut answer.records {
            record.index += first;
        }
        first += chunk.len() as u16;
        all.records.extend(answer.records);
        all.millis = all.millis.max(answer.millis);
    }
    let list: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    let how = format!("an ephemeral container of image `{}`", recipe.image);
    let left = format!("ephemeral container {} in the record of pod {}", list.join(", "), subject.full_name());
    Ok(all.probed(how, Some(left), targets.len()))
}

/// Waits until a container has ended: its exit code and its last words.
async fn ended(
    api: &Api,
    subject: &Subject,
    name: &str,
    image: &str,
    deadline: Instant,
) -> Result<(i32, String), LiveError> {
    let began = Instant::now();
    let what = format!("the ephemeral container `{name}` of pod `{}`", subject.full_name());
    let mut wait = Duration::from_millis(150);
    let mut waits_for = String::new();
    loop {
        sleep(wait).await;
        wait = (wait * 3 / 2).min(Duration::from_secs(1));
        let pod = match subject::again(api, subject).await {
            Ok(pod) => pod,
            Err(error) if error.trouble == Trouble::NotFound => {
                return Err(LiveError::new(
                    Trouble::NoAnswer,
                    format!("pod `{}` went away during the probe", subject.full_name()),
                ));
            }
            Err(error) => return Err(error),
        };
        if pod.metadata.uid != subject.uid {
            return Err(LiveError::new(
                Trouble::NoAnswer,
                format!("pod `{}` was replaced during the probe", subject.full_name()),
            ));
        }
        let state = state::of(&pod.status.ephemeral_container_statuses, name);
        match state {
            State::Ended { code, words } => return Ok((code, words)),
            State::Broken { reason, message } => return Err(broken(&what, image, &reason, &message)),
            State::Starting(reason) => waits_for = reason,
            State::Running => waits_for = "it runs".to_owned(),
            State::Unseen if began.elapsed() >= UNSEEN || Instant::now() >= deadline => {
                return Err(LiveError::new(
                    Trouble::NotStarted,
                    format!("{what} was not started: the kubelet says nothing of it after {} s", began.elapsed().as_secs()),
                )
                .help("the node may be down, virtual, or unable to add containers: kubectl describe node; or probe by another way: --via exec or --via copy"));
            }
            State::Unseen => {}
        }
        if matches!(pod.status.phase.as_str(), "Succeeded" | "Failed") {
            return Err(LiveError::new(
                Trouble::NoAnswer,
                format!("pod `{}` finished during the probe", subject.full_name()),
            ));
        }
        if Instant::now() >= deadline {
            let last = if waits_for.is_empty() { String::new() } else { format!(" ({waits_for})") };
            return Err(LiveError::new(Trouble::Timeout, format!("{what} has not ended in time{last}"))
                .help("give it longer with --timeout, such as --timeout 3m"));
        }
    }
}

/// The records in a container's log, for whoever may read it: where there was no room for all of them in its last words.
async fn log(api: &Api, subject: &Subject, name: &str) -> Option<Answer> {
    let path = format!("{}/log?container={name}&limitBytes=1048576", subject::path(&subject.namespace, &subject.name));
    let body = api.get(&path, JSON, "the probe's log").await.ok()?;
    probe_record::decode(&String::from_utf8_lossy(&body)).map(Answer::of)
}
