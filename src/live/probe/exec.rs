//! Probing with exec: the script of `tools` runs in a container of the pod, with what its image has. Nothing is added.

use std::fmt;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::super::client::Api;
use super::super::error::{LiveError, Trouble, shorten};
use super::preflight::Needed;
use super::session::{self, Place};
use super::subject::{self, Subject};
use super::{Options, Probed, tools};
use crate::probe_target::{Target, batch_number};

/// What it takes: the upgrade to a WebSocket is a GET, and since Kubernetes 1.35 counts as a creation too.
pub(super) const RIGHTS: &Needed = &[("pods", "get"), ("pods/exec", "create"), ("pods/exec", "get")];

/// A container to run the script in.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    container: String,
    targets: Vec<Target>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a shell script, run by exec in container `{}`, which tries {} with what its image has (python, bash, nc, curl …); nothing is added",
            self.container,
            super::ephemeral::connections(self.targets.len())
        )
    }
}

impl Plan {
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The same in the container of a mesh's proxy, as its user.
    pub(super) fn past(&self, container: &str) -> Self {
        Self { container: container.to_owned(), ..self.clone() }
    }

    pub(super) fn set_targets(&mut self, targets: Vec<Target>) {
        self.targets = targets;
    }

    /// What would be sent.
    pub(super) fn request(&self, subject: &Subject) -> (&'static str, String, Value) {
        let path = format!(
            "{}/exec?container={}&command=sh&stdin=true&stdout=true&stderr=true",
            subject::path(&subject.namespace, &subject.name),
            self.container
        );
        ("GET", path, json!({"stdin": tools::script(&self.targets, 3.0, false)}))
    }
}

/// Where the script can run.
pub(super) fn plan(subject: &Subject, targets: &[Target]) -> Result<Plan, LiveError> {
    let Some(container) = subject.running() else {
        return Err(LiveError::new(
            Trouble::Unfit,
            format!("no container of `{}` runs, so nothing can be run in one", subject.full_name()),
        )
        .help("an ephemeral container needs none that runs: --via ephemeral"));
    };
    if !targets.iter().any(tools::can) {
        return Err(LiveError::new(
            Trouble::Unfit,
            "tools of an image can't try these targets: they take the probe's own image",
        )
        .help("--via ephemeral"));
    }
    Ok(Plan { container: container.name.clone(), targets: targets.to_vec() })
}

/// Runs the script and reads what it says.
pub(super) async fn run(
    api: &Api,
    subject: &Subject,
    plan: &Plan,
    targets: &[Target],
    options: &Options,
    deadline: Instant,
) -> Result<Probed, LiveError> {
    let script = tools::script(targets, options.connect.as_secs_f64(), false);
    let late = || {
        LiveError::new(Trouble::Timeout, format!("the script in container `{}` has not ended in time", plan.container))
            .help("give it longer with --timeout, such as --timeout 3m")
    };
    let place = Place { namespace: &subject.namespace, pod: &subject.name, container: &plan.container };
    let said = timeout_at(deadline, session::exec(api, place, &["sh"], Some(&script))).await.map_err(|_| late())??;
    let unfit = |why: &str| {
        LiveError::new(Trouble::Unfit, format!("container `{}` of `{}` {why}", plan.container, subject.full_name()))
            .help("an ephemeral container brings its own tools: --via ephemeral")
    };
    let Some(answer) = tools::read(&said.out) else {
        let why = shorten(&said.err);
        return Err(match (said.has_no_program(), why.is_empty()) {
            (true, _) => unfit("has no shell"),
            (false, true) => unfit("ended the script without a word"),
            (false, false) => unfit(&format!("could not run the script: {why}")),
        });
    };
    if answer.batch != batch_number(targets) {
        return Err(LiveError::new(Trouble::NoAnswer, "the script answered another question"));
    }
    if answer.records.is_empty() {
        return Err(unfit(match tools::tool(&said.out) {
            None => "has no tool that tries connections: none of python, agnhost, bash, nc, curl, wget",
            Some(_) => "has no tool that tries such connections: UDP and SCTP take python or agnhost",
        }));
    }
    let tool = tools::tool(&said.out).unwrap_or("netcheck-agent").to_owned();
    let how = format!("exec of {tool} in container `{}`", plan.container);
    Ok(answer.probed(how, None, targets.len()))
}
