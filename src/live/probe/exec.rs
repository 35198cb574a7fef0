//! Probing with exec: the script of `tools` runs in a container of the pod, with what its image has. Nothing is added.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api as Pods, AttachParams};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::super::client::Api;
use super::super::error::{LiveError, Trouble, of_client, shorten};
use super::preflight::Needed;
use super::subject::{self, Subject};
use super::{Options, Probed, tools};
use crate::probe_target::{Target, batch_number};

/// What it takes: the upgrade to a WebSocket is a GET, and since Kubernetes 1.35 counts as a creation too.
pub(super) const RIGHTS: &Needed = &[("pods", "get"), ("pods/exec", "create"), ("pods/exec", "get")];

/// Bytes of output that are taken.
const MOST: u64 = 1 << 20;

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
pub(super) fn plan(subject: &Subject, targets: &[Target], options: &Options) -> Result<Plan, LiveError> {
    let _ = options;
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
            "tools of an image try TCP and names alone: UDP and SCTP take the probe's own image",
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
    let (text, said) = timeout_at(deadline, talk(api, subject, plan, &script)).await.map_err(|_| late())??;
    let unfit = |why: &str| {
        LiveError::new(Trouble::Unfit, format!("container `{}` of `{}` {why}", plan.container, subject.full_name()))
            .help("an ephemeral container brings its own tools: --via ephemeral")
    };
    let Some(answer) = tools::read(&text) else {
        let said = shorten(&said);
        let missing = ["not found", "no such file", "executable file"].iter().any(|w| said.to_lowercase().contains(w));
        return Err(match (missing, said.is_empty()) {
            (true, _) => unfit("has no shell"),
            (false, true) => unfit("ended the script without a word"),
            (false, false) => unfit(&format!("could not run the script: {said}")),
        });
    };
    if answer.batch != batch_number(targets) {
        return Err(LiveError::new(Trouble::NoAnswer, "the script answered another question"));
    }
    if answer.records.is_empty() {
        return Err(unfit("has no tool that tries connections: none of python, agnhost, bash, nc, curl, wget"));
    }
    let tool = tools::tool(&text).unwrap_or("netcheck-agent").to_owned();
    let how = format!("exec of {tool} in container `{}`", plan.container);
    Ok(answer.probed(how, None, targets.len()))
}

/// Standard output, and what else was said of the run.
async fn talk(api: &Api, subject: &Subject, plan: &Plan, script: &str) -> Result<(String, String), LiveError> {
    let pods: Pods<Pod> = Pods::namespaced(api.client(), &subject.namespace);
    let how = AttachParams::default().container(&plan.container).stdin(true).stdout(true).stderr(true);
    let failed = |error: &kube::Error| match error {
        kube::Error::Api(status) if status.is_forbidden() => {
            LiveError::new(Trouble::Forbidden, shorten(&status.message))
        }
        kube::Error::Api(status) => {
            LiveError::new(Trouble::Unfit, format!("exec is refused: {}", shorten(&status.message)))
        }
        other => of_client(other, "the API server").0,
    };
    let mut process = pods.exec(&subject.name, ["sh"], &how).await.map_err(|error| failed(&error))?;
    let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
    let status = process.take_status();
    let write = async {
        if let Some(mut stdin) = stdin {
            // The script ends itself; what it doesn't read any more is nobody's error.
            let _ = stdin.write_all(script.as_bytes()).await;
            let _ = stdin.flush().await;
            // Kept open until the output has ended: closing it closes the whole connection for some servers.
            std::future::pending::<()>().await;
        }
    };
    let read = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let outward = async {
            if let Some(stdout) = stdout {
                let _ = stdout.take(MOST).read_to_end(&mut out).await;
            }
        };
        let errors = async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(MOST).read_to_end(&mut err).await;
            }
        };
        futures::join!(outward, errors);
        (out, err)
    };
    let (out, mut err) = match futures::future::select(std::pin::pin!(read), std::pin::pin!(write)).await {
        futures::future::Either::Left((read, _)) => read,
        futures::future::Either::Right(((), read)) => read.await,
    };
    if let Some(status) = status
        && let Ok(Some(status)) = tokio::time::timeout(std::time::Duration::from_secs(1), status).await
        && status.status.as_deref() == Some("Failure")
        && let Some(message) = status.message
    {
        err.extend(b" ");
        err.extend(message.into_bytes());
    }
    Ok((String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned()))
}
