//! A container's session: a command that is run in one by exec, or one that was added, from its start to its last words.
//!
//! Every way into a pod's network goes through here. It knows what states a container can be in and when waiting is of no
//! use, and nothing of what is said inside.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod as FullPod;
use kube::api::{Api as Pods, AttachParams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::super::client::Api;
use super::super::error::{LiveError, Trouble, of_client, shorten};
use super::state::{self, State, broken};
use super::subject;

/// Bytes of output that are taken.
const MOST: u64 = 8 << 20;
/// How long the kubelet may say nothing of a new ephemeral container.
const UNSEEN: Duration = Duration::from_secs(15);

/// A container of a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) container: &'a str,
}

/// What a command said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Its output.
    pub(super) out: String,
    /// Its errors, and what the runtime said of a command that it could not run or that failed.
    pub(super) err: String,
}

impl Said {
    /// Whether there was no such program to run.
    pub(super) fn has_no_program(&self) -> bool {
        let said = self.err.to_lowercase();
        ["not found", "no such file", "executable file"].iter().any(|word| said.contains(word))
    }
}

/// Runs a command in a container, with a text as its input where one is given.
pub(super) async fn exec(
    api: &Api,
    place: Place<'_>,
    command: &[&str],
    input: Option<&str>,
) -> Result<Said, LiveError> {
    let pods: Pods<FullPod> = Pods::namespaced(api.client(), place.namespace);
    let how = AttachParams::default().container(place.container).stdin(input.is_some()).stdout(true).stderr(true);
    let failed = |error: &kube::Error| match error {
        kube::Error::Api(status) if status.is_forbidden() => {
            LiveError::new(Trouble::Forbidden, shorten(&status.message))
        }
        kube::Error::Api(status) => {
            LiveError::new(Trouble::Unfit, format!("exec is refused: {}", shorten(&status.message)))
        }
        other => of_client(other, "the API server").0,
    };
    let mut process = pods.exec(place.pod, command.iter().copied(), &how).await.map_err(|error| failed(&error))?;
    let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
    let status = process.take_status();
    let write = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // The script ends itself; what it doesn't read any more is nobody's error.
            let _ = stdin.write_all(input.as_bytes()).await;
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
        && let Ok(Some(status)) = tokio::time::timeout(Duration::from_secs(1), status).await
        && status.status.as_deref() == Some("Failure")
        && let Some(message) = status.message
    {
        err.extend(b" ");
        err.extend(message.into_bytes());
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { out: text(out), err: text(err) })
}

/// A container that was added.
#[derive(Clone, Debug)]
pub(super) struct Added<'a> {
    pub(super) place: Place<'a>,
    pub(super) image: &'a str,
    /// What it is called in messages.
    pub(super) what: String,
    /// How it was added.
    pub(super) into: Into<'a>,
}

/// How a container was added.
#[derive(Clone, Copy, Debug)]
pub(super) enum Into<'a> {
    /// To a pod that was there before: its UID.
    Pod(&'a str),
    /// With a pod of its own, on this node.
    Node(&'a str),
}

impl Added<'_> {
    /// Waits until it has ended: its exit code and its last words.
    pub(super) async fn ended(&self, api: &Api, deadline: Instant) -> Result<(i32, String), LiveError> {
        match self.wait(api, deadline, false).await? {
            State::Ended { code, words } => Ok((code, words)),
            _ => Err(LiveError::new(Trouble::NoAnswer, format!("{} has no answer", self.what))),
        }
    }

    /// Waits until it runs, or has ended already.
    pub(super) async fn runs(&self, api: &Api, deadline: Instant) -> Result<State, LiveError> {
        self.wait(api, deadline, true).await
    }

    async fn wait(&self, api: &Api, deadline: Instant, running: bool) -> Result<State, LiveError> {
        let began = Instant::now();
        let what = &self.what;
        let mut wait = Duration::from_millis(150);
        let mut waits_for = String::new();
        loop {
            sleep(wait).await;
            wait = (wait * 3 / 2).min(Duration::from_secs(1));
            let (now, phase) = self.look(api).await?;
            let unheard = now == State::Unseen && matches!(self.into, Into::Pod(_));
            match now {
                State::Ended { .. } => return Ok(now),
                State::Broken { reason, message } => return Err(broken(what, self.image, &reason, &message)),
                State::Running if running => return Ok(now),
                State::Running => waits_for = "it runs".to_owned(),
                State::Starting(reason) => waits_for = reason,
                State::Unseen => {}
            }
            self.still_possible(&phase)?;
            let late = Instant::now() >= deadline;
            if unheard && (late || began.elapsed() >= UNSEEN) {
                return Err(LiveError::new(
                    Trouble::NotStarted,
                    format!("{what} was not started: the kubelet says nothing of it after {} s", began.elapsed().as_secs()),
                )
                .help("the node may be down, virtual, or unable to add containers: kubectl describe node; or probe by another way: --via exec or --via copy"));
            }
            if late {
                let last = if waits_for.is_empty() { String::new() } else { format!(" ({waits_for})") };
                return Err(LiveError::new(Trouble::Timeout, format!("{what} has not ended in time{last}"))
                    .help("give it longer with --timeout, such as --timeout 3m"));
            }
        }
    }

    /// Its state now, and the phase of its pod.
    async fn look(&self, api: &Api) -> Result<(State, String), LiveError> {
        let full = format!("{}/{}", self.place.namespace, self.place.pod);
        let gone = |how: &str| LiveError::new(Trouble::NoAnswer, format!("pod `{full}` {how} during the probe"));
        let pod = match subject::now(api, self.place.namespace, self.place.pod).await {
            Ok(pod) => pod,
            Err(error) if error.trouble == Trouble::NotFound => return Err(gone("went away")),
            Err(error) => return Err(error),
        };
        let statuses = match self.into {
            Into::Pod(uid) if pod.metadata.uid != uid => return Err(gone("was replaced")),
            Into::Pod(_) => &pod.status.ephemeral_container_statuses,
            Into::Node(_) => &pod.status.container_statuses,
        };
        Ok((state::of(statuses, self.place.container), pod.status.phase))
    }

    /// Fails where it won't start any more.
    fn still_possible(&self, phase: &str) -> Result<(), LiveError> {
        match (self.into, phase) {
            (Into::Pod(_), "Succeeded" | "Failed") => Err(LiveError::new(
                Trouble::NoAnswer,
                format!("pod `{}/{}` finished during the probe", self.place.namespace, self.place.pod),
            )),
            (Into::Node(node), "Failed") => Err(LiveError::new(
                Trouble::NotStarted,
                format!("{} failed before it ran: the node may have refused it", self.what),
            )
            .help(format!("kubectl describe node {node}"))),
            _ => Ok(()),
        }
    }
}
