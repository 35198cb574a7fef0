//! One end's counters: read by exec of `cat`, or by the agent in a container of its own that watches for a while.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::super::super::client::Api;
use super::super::super::error::{LiveError, Trouble, shorten};
use super::super::container::{self, Recipe};
use super::super::preflight::Rights;
use super::super::session::{self, Place};
use super::super::state::State;
use super::super::subject::Subject;
use super::super::{ImageKind, Options, ephemeral, exec};
use super::Counted;
use crate::probe_counters::{FILES, Snapshot};

/// How long the agent watches before the burst, in seconds.
const QUIET: u32 = 6;
/// How long it watches then: until the burst's container has come and gone.
const WATCH: u32 = 14;
/// How much of that the kubelet may take to say that it runs.
const LAG: Duration = Duration::from_secs(4);

/// A way to read the counters of a pod's network.
#[derive(Clone, Debug)]
pub(super) enum Tap {
    Cat(Cat),
    Agent(Box<Watcher>),
}

/// `cat` in a container that runs.
#[derive(Clone, Debug)]
pub(super) struct Cat {
    namespace: String,
    pod: String,
    container: String,
}

/// A container with the agent.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    subject: Subject,
    plan: ephemeral::Plan,
}

impl fmt::Display for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cat(cat) => write!(f, "exec of `cat /proc/net/…` in container `{}`; nothing is added", cat.container),
            Self::Agent(watcher) => write!(f, "{}", watcher.plan),
        }
    }
}

/// Reading by exec.
pub(super) async fn cat(api: &Api, subject: &Subject) -> Result<Tap, LiveError> {
    let Some(container) = subject.running() else {
        return Err(LiveError::new(Trouble::Unfit, format!("no container of `{}` runs", subject.full_name())));
    };
    Rights::new(api, &subject.namespace).have(exec::RIGHTS).await?;
    Ok(Tap::Cat(Cat {
        namespace: subject.namespace.clone(),
        pod: subject.name.clone(),
        container: container.name.clone(),
    }))
}

/// Reading by the agent.
pub(super) async fn agent(api: &Api, subject: &Subject, options: &Options) -> Result<Tap, LiveError> {
    Rights::new(api, &subject.namespace).have(ephemeral::RIGHTS).await?;
    let image = options.image.clone().filter(|image| image.kind == ImageKind::Agent).unwrap_or_default();
    let recipe = Recipe::new(subject, &image, options, subject.message_limit())?.watching(QUIET, WATCH);
    let plan = ephemeral::dry_run(api, subject, ephemeral::Plan::of(recipe, Vec::new())).await?;
    Ok(Tap::Agent(Box::new(Watcher { subject: subject.clone(), plan })))
}

/// An end that is being watched.
pub(super) enum Open<'t> {
    Read { cat: &'t Cat, first: (Instant, Snapshot), second: Option<(Instant, Snapshot)> },
    Watched { watcher: &'t Watcher, since: Instant },
}

/// Opens the first of some ways that works; says why the others did not.
pub(super) async fn open<'t>(api: &Api, taps: &'t [Tap], deadline: Instant) -> (Option<Open<'t>>, Vec<LiveError>) {
    let mut refused = Vec::new();
    for tap in taps {
        let opened = match tap {
            Tap::Cat(cat) => cat.read(api, deadline).await.map(|snapshot| Open::Read {
                cat,
                first: (Instant::now(), snapshot),
                second: None,
            }),
            Tap::Agent(watcher) => watcher.start(api, deadline).await.map(|since| Open::Watched { watcher, since }),
        };
        match opened {
            Ok(open) => return (Some(open), Vec::new()),
            Err(error) => refused.push(error),
        }
    }
    (None, refused)
}

impl Cat {
    async fn read(&self, api: &Api, deadline: Instant) -> Result<Snapshot, LiveError> {
        let place = Place { namespace: &self.namespace, pod: &self.pod, container: &self.container };
        let command: Vec<&str> = ["cat"].into_iter().chain(FILES).collect();
        let what = format!("container `{}` of `{}/{}`", self.container, self.namespace, self.pod);
        let late = |_| LiveError::new(Trouble::Timeout, format!("`cat` in {what} has not ended in time"));
        let said = timeout_at(deadline, session::exec(api, place, &command, None)).await.map_err(late)??;
        let snapshot = Snapshot::parse(&said.out);
        if !snapshot.is_empty() {
            return Ok(snapshot);
        }
        let why = match said.has_no_program() {
            true => "has no `cat`".to_owned(),
            false => format!("shows no counters: {}", shorten(&said.err)),
        };
        Err(LiveError::new(Trouble::Unfit, format!("{what} {why}")))
    }
}

impl Watcher {
    /// Adds the container and waits until it runs.
    async fn start(&self, api: &Api, deadline: Instant) -> Result<Instant, LiveError> {
        let name = self.plan.name();
        self.plan.add(api, &self.subject).await?;
        match ephemeral::added(&self.subject, name, self.plan.image()).runs(api, deadline).await? {
            State::Ended { words, .. } => Err(LiveError::new(
                Trouble::NoAnswer,
                format!("the ephemeral container `{name}` ended before the burst: {}", shorten(&words)),
            )),
            _ => Ok(Instant::now()),
        }
    }
}

impl Open<'_> {
    /// What stays behind.
    pub(super) fn left(&self) -> Option<String> {
        match self {
            Self::Read { .. } => None,
            Self::Watched { watcher, .. } => Some(format!(
                "ephemeral container `{}` in the record of pod {}",
                watcher.plan.name(),
                watcher.subject.full_name()
            )),
        }
    }

    /// When the time before the burst has been watched long enough.
    pub(super) fn ready_at(&self) -> Instant {
        match self {
            Self::Read { first: (began, _), .. } => *began + Duration::from_secs(container::QUIET.into()),
            // It began at the latest when it was seen to run.
            Self::Watched { since, .. } => *since + Duration::from_secs(QUIET.into()),
        }
    }

    /// The burst is about to be sent.
    pub(super) async fn before_burst(&mut self, api: &Api) -> Result<(), LiveError> {
        if let Self::Read { cat, second, .. } = self {
            let deadline = Instant::now() + Duration::from_secs(30);
            *second = Some((Instant::now(), cat.read(api, deadline).await?));
        }
        Ok(())
    }

    /// The burst is over: what was counted.
    pub(super) async fn close(self, api: &Api, deadline: Instant) -> Result<Counted, LiveError> {
        match self {
            Self::Read { cat, first: (began, first), second } => {
                let (at, second) = second.unwrap_or((began, first.clone()));
                let last = cat.read(api, deadline.max(Instant::now() + Duration::from_secs(5))).await?;
                // What a quiet time of the burst's length would have counted.
                let before = (at - began).as_secs_f64();
                let share = if before > 0.0 { at.elapsed().as_secs_f64() / before } else { 0.0 };
                let quiet = (before > 0.0).then(|| second.since(&first).times(share));
                Ok(Counted { burst: last.since(&second), quiet })
            }
            Self::Watched { watcher, since } => {
                let name = watcher.plan.name();
                if since.elapsed() + LAG > Duration::from_secs((QUIET + WATCH).into()) {
                    return Err(LiveError::new(
                        Trouble::Timeout,
                        format!("the burst took {} s, longer than `{name}` watched", since.elapsed().as_secs()),
                    ));
                }
                let added = ephemeral::added(&watcher.subject, name, watcher.plan.image());
                let deadline = deadline.max(since + Duration::from_secs((QUIET + WATCH + 10).into()));
                let (code, words) = added.ended(api, deadline).await?;
                let answer = watcher.plan.read(&words, code)?;
                Ok(Counted::of(&answer.counters, answer.millis, QUIET))
            }
        }
    }
}
