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
use super::session::{Added, Into, Place};
use super::subject::{self, Subject};
use super::{Job, Options, Probed};
use crate::probe_record;
use crate::probe_target::Target;

/// What it takes.
pub(super) const RIGHTS: &Needed = &[("pods", "get"), ("pods/ephemeralcontainers", "patch")];

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
            "{containers} `{}` {image} `{}`, which {} and ends; it stays in the pod's record until the pod is deleted",
            self.recipe.name,
            self.recipe.image,
            self.recipe.errand(&self.targets)
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

    /// The same as the user of a mesh's proxy, under another name.
    pub(super) fn past(&self, user: i64) -> Self {
        let mut recipe = self.recipe.clone().with_user(user);
        recipe.rename();
        Self { recipe, ..self.clone() }
    }

    /// With this container.
    pub(super) fn of(recipe: Recipe, targets: Vec<Target>) -> Self {
        Self { own: recipe.kind == ImageKind::Target, recipe, targets }
    }

    /// Another name for what is added.
    pub(super) fn rename(&mut self) {
        self.recipe.rename();
    }

    /// To dial one target so many times, and to count where it holds the agent.
    pub(super) fn burst(&mut self, target: &Target, count: usize) {
        self.targets = self.recipe.burst(target, count);
    }

    pub(super) fn is_agent(&self) -> bool {
        self.recipe.kind == ImageKind::Agent
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The name of the first container.
    pub(super) fn name(&self) -> &str {
        &self.recipe.name
    }

    pub(super) fn image(&self) -> &str {
        &self.recipe.image
    }

    /// Adds the first container.
    pub(super) async fn add(&self, api: &Api, subject: &Subject) -> Result<(), LiveError> {
        patched(api, subject, &self.patch(&self.recipe.name, &self.targets), false).await
    }

    /// What the first container said last.
    pub(super) fn read(&self, words: &str, code: i32) -> Result<Answer, LiveError> {
        self.recipe.read(words, code, &self.targets)
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
    Ok(Plan::of(recipe, job.targets.clone()))
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
        return LiveError::new(Trouble::NotFound, format!("pod `{pod}` is gone"))
            .help("one that is replaced gets another name: ask again by what made it, such as deploy/NAME");
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
    deadline: Instant,
) -> Result<Probed, LiveError> {
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
        let (code, words) = added(subject, &name, &recipe.image).ended(api, deadline).await.map_err(stays)?;
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
        all.counters.extend(answer.counters);
        all.millis = all.millis.max(answer.millis);
    }
    let list: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    let how = format!("an ephemeral container of image `{}`", recipe.image);
    let left = format!("ephemeral container {} in the record of pod {}", list.join(", "), subject.full_name());
    Ok(all.probed(how, Some(left), targets.len()))
}

/// An ephemeral container of this name.
pub(super) fn added<'a>(subject: &'a Subject, name: &'a str, image: &'a str) -> Added<'a> {
    Added {
        place: Place { namespace: &subject.namespace, pod: &subject.name, container: name },
        image,
        what: format!("the ephemeral container `{name}` of pod `{}`", subject.full_name()),
        into: Into::Pod(&subject.uid),
    }
}

/// The records in a container's log, for whoever may read it: where there was no room for all of them in its last words.
async fn log(api: &Api, subject: &Subject, name: &str) -> Option<Answer> {
    let path = format!("{}/log?container={name}&limitBytes=1048576", subject::path(&subject.namespace, &subject.name));
    let body = api.get(&path, JSON, "the probe's log").await.ok()?;
    probe_record::decode(&String::from_utf8_lossy(&body)).map(Answer::of)
}
