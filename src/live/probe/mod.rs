//! The live probe: targets to try from a pod's own network come in, how each attempt ended comes out.
//!
//! First [`Session::prepare`] looks at the pods, at the rights and, with a dry run, at what the API server would say, and
//! tells what would be added; nothing is changed yet. Whoever is in charge agrees, and [`Session::run`] does it. It knows
//! pods and containers, and nothing of policies or verdicts: what a class means is for `analysis::probe`.

pub mod capture;
mod container;
mod copy;
mod ephemeral;
mod exec;
mod image;
mod preflight;
mod session;
mod state;
mod subject;
mod tools;

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

pub use image::{ImageKind, ProbeImage, PullPolicy};
pub use subject::Mesh;

use super::client::Api;
use super::error::{LiveError, Trouble};
use super::interrupt::{Mine, interrupted};
use super::{Session, progress};
use crate::probe_record::{Class, Counter, Record, class_of};
use crate::probe_target::Target;
use copy::Leftovers;
use subject::Subject;

/// Pods that are probed at the same time.
const PARALLEL: usize = 8;
/// How long removing what was made may take.
const CLEANUP: Duration = Duration::from_secs(20);

/// What to try from one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// What to try, all from one container.
    pub targets: Vec<Target>,
}

/// By which way a probe gets into a pod's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// What needs no image to be pulled first: exec, an ephemeral container of the pod's own image, one of the probe's.
    #[default]
    Auto,
    /// A tool of the pod's own image, run in a container of it.
    Exec,
    /// An ephemeral container.
    Ephemeral,
    /// A copy of the pod, with its labels, on its node.
    Copy,
}

/// How to probe.
#[derive(Clone, Debug)]
pub struct Options {
    /// By which way.
    pub via: Via,
    /// The image of containers that are added; this program's own without.
    pub image: Option<ProbeImage>,
    /// When to pull it.
    pub pull: PullPolicy,
    /// Secrets to pull it with: for a copy alone, as an ephemeral container is pulled with those of its pod.
    pub pull_secrets: Vec<String>,
    /// How long one pod may take, from the request to the answer.
    pub timeout: Duration,
    /// How long one connection may take; silence is tried a second time.
    pub connect: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            via: Via::Auto,
            image: None,
            pull: PullPolicy::IfNotPresent,
            pull_secrets: Vec::new(),
            timeout: Duration::from_secs(90),
            connect: Duration::from_secs(3),
        }
    }
}

/// What came of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// How it was done, as a clause: "an ephemeral container `netcheck-…`, image `…`".
    pub how: String,
    /// What stays behind; none where nothing does.
    pub left: Option<String>,
    /// The records of each target, in the order of the job; empty where nothing is known of one.
    pub targets: Vec<Vec<Record>>,
    /// The agent dialled a listener of its own: what fails here says nothing of others. Empty where it could not be tried.
    pub controls: Vec<Record>,
    /// The same of each target, sent as the user of a mesh's proxy, whose packets are not redirected to it: empty where
    /// there is no proxy, or where that could not be done.
    pub past: Vec<Vec<Record>>,
    /// How the name servers of the pod answered.
    pub servers: Vec<Record>,
    /// How long the attempts took, in milliseconds; 0 where it is not known.
    pub millis: u32,
    /// What the agent counted meanwhile, where it was asked to.
    pub counters: Vec<Counter>,
    /// Which of the ways it was, of those that were found.
    way: usize,
}

impl Probed {
    /// What a target came to: of its name where that failed, else of its addresses, a success before anything else.
    /// None where nothing is known of it.
    pub fn class(&self, index: usize) -> Option<Class> {
        class_of(self.targets.get(index)?)
    }

    /// Whether the pod's network works as far as the agent could tell: its own listener answered it.
    pub fn works(&self) -> Option<bool> {
        (!self.controls.is_empty()).then(|| self.controls.iter().any(|r| r.class.is_open()))
    }
}

/// A way into a pod's network, ready to be taken.
#[derive(Clone, Debug)]
enum Way {
    Exec(exec::Plan),
    Ephemeral(ephemeral::Plan),
    Copy(Box<copy::Plan>),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(plan) => plan.fmt(f),
            Self::Ephemeral(plan) => plan.fmt(f),
            Self::Copy(plan) => plan.fmt(f),
        }
    }
}

/// One pod, looked at.
#[derive(Clone, Debug)]
pub struct Ready {
    job: Job,
    subject: Subject,
    /// In the order in which they are tried.
    ways: Vec<Way>,
    /// Those past a mesh's proxy.
    past: Vec<Way>,
}

impl Ready {
    /// What will be done to the cluster, a line each: the ways in the order in which they are tried.
    pub fn announcement(&self) -> Vec<String> {
        let mut out: Vec<String> = self.ways.iter().map(ToString::to_string).collect();
        for later in out.iter_mut().skip(1) {
            *later = format!("where that does not work: {later}");
        }
        if let Some(mesh) = self.subject.mesh() {
            for (number, way) in self.past.iter().enumerate() {
                let past = format!("past `{}`, as its user {}: {way}", mesh.container, mesh.user);
                out.push(if number == 0 { past } else { format!("where that does not work: {past}") });
            }
        }
        out
    }

    /// The same once more: what is added gets names of its own.
    #[must_use]
    pub fn again(&self) -> Self {
        let mut out = self.clone();
        for way in out.ways.iter_mut().chain(&mut out.past) {
            match way {
                Way::Exec(_) => {}
                Way::Ephemeral(plan) => plan.rename(),
                Way::Copy(plan) => plan.rename(),
            }
        }
        out
    }

    /// `NAMESPACE/NAME` of the pod.
    pub fn pod(&self) -> String {
        format!("{}/{}", self.job.namespace, self.job.pod)
    }

    /// The requests that would change the cluster, as documents: method, path, body.
    pub fn requests(&self) -> Vec<(&'static str, String, serde_json::Value)> {
        let mut out = Vec::new();
        for way in self.ways.iter().chain(&self.past) {
            match way {
                Way::Exec(plan) => out.push(plan.request(&self.subject)),
                Way::Ephemeral(plan) => out.extend(plan.requests(&self.subject)),
                Way::Copy(plan) => out.extend(plan.requests(&self.subject)),
            }
        }
        out
    }

    /// A mesh's proxy in the pod: what it lets through is the application's traffic, and it accepts connections for whoever
    /// they are meant for (istio #59097).
    pub fn mesh(&self) -> Option<Mesh> {
        self.subject.mesh()
    }

    /// Whether anything of it would change an object, and not only run a process.
    pub fn changes_objects(&self) -> bool {
        self.ways.iter().any(|way| !matches!(way, Way::Exec(_)))
    }
}

impl Session {
    /// Looks at each job's pod and finds the ways to probe from it. Reads alone, and asks for a dry run.
    pub fn prepare(&self, jobs: &[Job], options: &Options) -> Vec<Result<Ready, LiveError>> {
        self.runtime.block_on(progress::beside(&self.api, self.progress, async {
            stream::iter(jobs.iter().map(|job| prepare(&self.api, job, options))).buffered(PARALLEL).collect().await
        }))
    }

    /// Waits; false where it was interrupted.
    pub fn pause(&self, time: Duration) -> bool {
        self.runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(time) => true,
                () = interrupted() => false,
            }
        })
    }

    /// Probes. What was made for it is removed again, also where it fails or is interrupted.
    pub fn run(&self, ready: &[Ready], options: &Options) -> Vec<Result<Probed, LiveError>> {
        let leftovers = Leftovers::default();
        let work = stream::iter(ready.iter().map(|ready| run(&self.api, ready, options, &leftovers)))
            .buffered(PARALLEL)
            .collect::<Vec<_>>();
        self.guarded(ready.len(), &leftovers, work, || ready.iter().map(|r| Err(stopped(&r.pod()))).collect())
    }

    /// Does some work from so many pods, and whatever comes of it, removes what was made.
    fn guarded<T>(
        &self,
        pods: usize,
        leftovers: &Leftovers,
        work: impl Future<Output = Vec<Result<T, LiveError>>>,
        stopped: impl FnOnce() -> Vec<Result<T, LiveError>>,
    ) -> Vec<Result<T, LiveError>> {
        self.runtime.block_on(async {
            // What was made is removed, whatever comes in between.
            let _mine = Mine::new();
            let work = progress::probing(self.progress, pods, work);
            let out = tokio::select! {
                out = work => out,
                () = interrupted() => stopped(),
            };
            let _ = tokio::time::timeout(CLEANUP, leftovers.remove(&self.api)).await;
            let still = leftovers.names();
            if still.is_empty() {
                return out;
            }
            let help = format!("remove what is left: kubectl delete {}", still.join(" "));
            out.into_iter().map(|result| result.map_err(|error| error.help(help.clone()))).collect()
        })
    }
}

fn stopped(pod: &str) -> LiveError {
    LiveError::new(Trouble::Interrupted, format!("the probe from `{pod}` was stopped"))
}

async fn prepare(api: &Api, job: &Job, options: &Options) -> Result<Ready, LiveError> {
    let subject = subject::read(api, &job.namespace, &job.pod, options.via).await?;
    let mut ways = Vec::new();
    let mut refused: Vec<LiveError> = Vec::new();
    let mut rights = preflight::Rights::new(api, &job.namespace);
    if matches!(options.via, Via::Auto | Via::Exec) {
        match exec::plan(&subject, &job.targets) {
            Ok(plan) => match rights.have(exec::RIGHTS).await {
                Ok(()) => ways.push(Way::Exec(plan)),
                Err(error) => refused.push(error),
            },
            Err(error) => refused.push(error),
        }
    }
    if matches!(options.via, Via::Auto | Via::Ephemeral) {
        let mut images = Vec::new();
        // Where exec finds no tools in the pod's image, a container of that image has none either.
        if options.via == Via::Auto && ways.is_empty() && options.image.is_none() {
            images.push(ProbeImage::target());
        }
        images.push(options.image.clone().unwrap_or_default());
        match rights.have(ephemeral::RIGHTS).await {
            Ok(()) => {
                for image in images {
                    let checked = match ephemeral::plan(&subject, job, &image, options) {
                        Ok(plan) => ephemeral::dry_run(api, &subject, plan).await,
                        Err(error) => Err(error),
                    };
                    match checked {
                        Ok(plan) => ways.push(Way::Ephemeral(plan)),
                        Err(error) => refused.push(error),
                    }
                }
            }
            Err(error) => refused.push(error),
        }
    }
    if options.via == Via::Copy {
        let plan = copy::plan(&subject, job, options)?;
        rights.have(copy::RIGHTS).await?;
        copy::dry_run(api, &plan).await?;
        ways.push(Way::Copy(Box::new(plan)));
    }
    if ways.is_empty() {
        return Err(graver(refused));
    }
    let past = past(api, &subject, &ways).await;
    Ok(Ready { job: job.clone(), subject, ways, past })
}

/// The ways past a mesh's proxy: in its container, or in one that runs as its user.
async fn past(api: &Api, subject: &Subject, ways: &[Way]) -> Vec<Way> {
    let Some(mesh) = subject.mesh() else { return Vec::new() };
    let mut out = Vec::new();
    for way in ways {
        match way {
            Way::Exec(plan) if subject.runs(&mesh.container) => out.push(Way::Exec(plan.past(&mesh.container))),
            Way::Ephemeral(plan) => {
                if let Ok(plan) = ephemeral::dry_run(api, subject, plan.past(mesh.user)).await {
                    out.push(Way::Ephemeral(plan));
                }
            }
            Way::Exec(_) | Way::Copy(_) => {}
        }
    }
    out
}

/// Of several refusals, the one of the way that asks for least comes last and is told; the others are named as help.
fn graver(mut refused: Vec<LiveError>) -> LiveError {
    let mut last =
        refused.pop().unwrap_or_else(|| LiveError::new(Trouble::Unfit, "there is no way to probe from this pod"));
    for other in refused {
        if other.message != last.message {
            last = last.help(format!("nor by another way: {}", other.message));
        }
    }
    last
}

async fn run(api: &Api, ready: &Ready, options: &Options, leftovers: &Leftovers) -> Result<Probed, LiveError> {
    let through = take(api, ready, &ready.ways, options, leftovers);
    if ready.past.is_empty() {
        return through.await;
    }
    // Both at the same time, so that they see the same network.
    let (through, past) = futures::join!(through, take(api, ready, &ready.past, options, leftovers));
    let mut through = through?;
    if let Ok(past) = past {
        through.past = past.targets;
        let left = [through.left, past.left].into_iter().flatten().collect::<Vec<_>>().join(", and ");
        through.left = (!left.is_empty()).then_some(left);
        through.millis = through.millis.max(past.millis);
    }
    Ok(through)
}

/// Takes some ways, one after the other, until every target has an answer.
async fn take(
    api: &Api,
    ready: &Ready,
    ways: &[Way],
    options: &Options,
    leftovers: &Leftovers,
) -> Result<Probed, LiveError> {
    let deadline = tokio::time::Instant::now() + options.timeout;
    let mut found: Option<Probed> = None;
    let mut failed: Option<LiveError> = None;
    for (number, way) in ways.iter().enumerate() {
        // What an earlier way has an answer for is not tried again.
        let open: Vec<usize> = match &found {
            Some(probed) => (0..ready.job.targets.len()).filter(|i| probed.targets[*i].is_empty()).collect(),
            None => (0..ready.job.targets.len()).collect(),
        };
        if open.is_empty() {
            break;
        }
        let targets: Vec<Target> = open.iter().map(|i| ready.job.targets[*i].clone()).collect();
        let work = async {
            match way {
                Way::Exec(plan) => exec::run(api, &ready.subject, plan, &targets, options, deadline).await,
                Way::Ephemeral(plan) => ephemeral::run(api, &ready.subject, plan, &targets, deadline).await,
                Way::Copy(plan) => copy::run(api, &ready.subject, plan, &targets, leftovers, deadline).await,
            }
        };
        match work.await {
            Ok(answer) => {
                let answer = Probed { way: number, ..answer };
                found = Some(merged(found, answer, &open, ready.job.targets.len()));
            }
            Err(error) => {
                let ends = matches!(error.trouble, Trouble::Interrupted | Trouble::Unauthorized);
                failed = Some(match failed {
                    Some(earlier) => error.help(format!("and before that: {}", earlier.message)),
                    None => error,
                });
                if ends {
                    break;
                }
            }
        }
    }
    match (found, failed) {
        (Some(probed), _) => Ok(probed),
        (None, Some(error)) => Err(error),
        (None, None) => Err(stopped(&ready.pod())),
    }
}

/// An answer for some targets, with what was known of all of them before.
fn merged(earlier: Option<Probed>, answer: Probed, which: &[usize], all: usize) -> Probed {
    let mut out = earlier.unwrap_or_else(|| Probed {
        how: String::new(),
        left: None,
        targets: vec![Vec::new(); all],
        controls: Vec::new(),
        past: Vec::new(),
        servers: Vec::new(),
        millis: 0,
        counters: Vec::new(),
        way: 0,
    });
    out.way = answer.way;
    out.how = if out.how.is_empty() { answer.how } else { format!("{}, and {}", out.how, answer.how) };
    out.left = answer.left.or(out.left);
    for (records, index) in answer.targets.into_iter().zip(which) {
        out.targets[*index] = records;
    }
    out.controls.extend(answer.controls);
    out.servers.extend(answer.servers);
    out.millis = out.millis.max(answer.millis);
    out
}
