//! Packets: says what a probe adds to the cluster, asks, runs it, and holds what came back against the policies.

use std::io::{BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::analysis::probe::{Agreement, Context, Judgement, Plan, Tally, judge, plan};
use crate::cli::{CaptureFlags, Global, ProbeFlags, PullFlag, ViaFlag};
use crate::live::probe::{Job, Mesh, Options, Probed, PullPolicy, Ready, Via};
use crate::live::{LiveError, Session, Trouble};
use crate::model::query::{Client, Target};
use crate::model::{Cluster, Phase, PodId};
use crate::policy::Profile;
use crate::reach::{Check, Evaluator};
use crate::report::check::Probe;
use crate::report::{safe, wrapped};

use super::capture::Scene;
use super::{Exit, Output, cluster};

/// What came of a job.
pub(super) type Answer = Result<Got, LiveError>;

/// An answer, with what it takes to ask again.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) probed: Probed,
    /// A proxy that stands in its pod.
    mesh: Option<Mesh>,
    pub(super) ready: Ready,
}

/// One check to try with packets.
#[derive(Debug)]
pub(super) struct Try {
    /// The pod that is probed from.
    pub(super) pod: PodId,
    /// What is tried.
    pub(super) plan: Plan,
}

/// How the flags want it.
pub(super) fn options(flags: &ProbeFlags) -> Options {
    let usual = Options::default();
    Options {
        via: match flags.via {
            ViaFlag::Auto => Via::Auto,
            ViaFlag::Exec => Via::Exec,
            ViaFlag::Ephemeral => Via::Ephemeral,
            ViaFlag::Copy => Via::Copy,
        },
        image: flags.probe_image.clone(),
        pull: match flags.probe_pull {
            PullFlag::IfNotPresent => PullPolicy::IfNotPresent,
            PullFlag::Always => PullPolicy::Always,
            PullFlag::Never => PullPolicy::Never,
        },
        pull_secrets: flags.probe_pull_secret.clone(),
        timeout: flags.timeout.unwrap_or(usual.timeout),
        ..usual
    }
}

/// Refuses what packets can't answer, before anything is read.
pub(super) fn sensible(global: &Global, output: &mut Output) -> Result<(), Exit> {
    let why = if !global.filename.is_empty() {
        "--live asks a cluster, and -f reads files"
    } else if !global.with.is_empty() || !global.without.is_empty() {
        "--live tries what is there, and --with and --without are about what is not"
    } else {
        return Ok(());
    };
    output.error(why);
    output.help("leave one of them away");
    Err(Exit::Error)
}

/// The pod of a client to probe from: one that runs, of those with the same answer.
pub(super) fn from(cluster: &Cluster, client: &Client, pods: &[PodId], text: &str) -> Result<PodId, String> {
    if !matches!(client, Client::Pods(_)) {
        return Err(format!("`{text}` is not a pod: packets are sent from a pod's network"));
    }
    let real = || pods.iter().copied().filter(|p| !cluster.pods[p.index()].template);
    let runs = real().find(|p| cluster.pods[p.index()].phase == Phase::Running && !cluster.pods[p.index()].terminating);
    runs.or_else(|| real().next()).ok_or_else(|| format!("`{text}` has no pod to send packets from"))
}

/// What to try for a check.
pub(super) fn attempt(evaluator: &Evaluator<'_>, check: &Check, pod: PodId, target: &Target, text: &str) -> Try {
    Try { pod, plan: plan(evaluator, check, pod, target, text) }
}

/// How packets are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending<'s> {
    pub(super) global: &'s Global,
    pub(super) flags: &'s ProbeFlags,
    /// How connections that failed are followed.
    pub(super) capture: Option<&'s CaptureFlags>,
}

/// Probes for some checks, each pod once, and holds what came back against the policies, in the order it was given. An
/// exit where it must not go on.
pub(super) fn run(
    sending: Sending<'_>,
    cluster: &Cluster,
    profile: &Profile,
    tries: &[Try],
    output: &mut Output,
) -> Result<Vec<Result<Probe, LiveError>>, Exit> {
    let Sending { global, flags, capture } = sending;
    let mut jobs: Vec<(PodId, Job)> = Vec::new();
    // Where each try's targets are: the job and the first of them.
    let mut places = Vec::new();
    for one in tries {
        let at = jobs.iter().position(|(pod, _)| *pod == one.pod).unwrap_or_else(|| {
            let pod = &cluster.pods[one.pod.index()];
            let namespace = cluster.namespaces[pod.namespace.index()].name.to_string();
            jobs.push((one.pod, Job { namespace, pod: pod.name.to_string(), targets: Vec::new() }));
            jobs.len() - 1
        });
        places.push((at, jobs[at].1.targets.len()));
        jobs[at].1.targets.extend(one.plan.targets());
    }
    let jobs: Vec<Job> = jobs.into_iter().map(|(_, job)| job).collect();
    let session = cluster::connect(global, output).ok_or(Exit::Error)?;
    let mut answers = probe(&session, flags, &jobs, output)?;
    let part = |got: &Got, at: (usize, usize), one: &Try| {
        let mut own = got.probed.clone();
        let here = at.1..at.1 + one.plan.items.len();
        own.targets = got.probed.targets[here.clone()].to_vec();
        own.past = got.probed.past.get(here).map(<[_]>::to_vec).unwrap_or_default();
        own
    };
    let judge_all = |answers: &[Answer]| -> Vec<Result<Probe, LiveError>> {
        let all = tries.iter().zip(&places);
        all.map(|(one, at)| match &answers[at.0] {
            Ok(got) => Ok(judged(one, cluster, profile, part(got, *at, one), got.mesh.as_ref())),
            Err(error) => Err(error.clone()),
        })
        .collect()
    };
    let mut out = judge_all(&answers);
    // Rules that were changed a moment ago may not be programmed yet: again, after growing pauses.
    let began = Instant::now();
    let mut pause = Duration::from_secs(1);
    while let Some(until) = flags.wait.filter(|wait| began.elapsed() + pause <= *wait) {
        let late = |probe: &Probe| probe.judgement.agreement == Agreement::Disagrees;
        let open: Vec<usize> = (0..answers.len())
            .filter(|job| places.iter().zip(&out).any(|(at, p)| at.0 == *job && p.as_ref().is_ok_and(late)))
            .collect();
        if open.is_empty() {
            break;
        }
        if !session.pause(pause.min(until)) {
            break;
        }
        pause *= 2;
        let again: Vec<Ready> =
            open.iter().filter_map(|job| answers[*job].as_ref().ok().map(|got| got.ready.again())).collect();
        for (job, result) in open.iter().zip(session.run(&again, &options(flags))) {
            if let (Ok(got), Ok(probed)) = (&mut answers[*job], result) {
                got.probed = probed;
            }
        }
        let before = std::mem::replace(&mut out, judge_all(&answers));
        for ((now, before), at) in out.iter_mut().zip(before).zip(&places) {
            if let (Ok(now), Ok(before)) = (now, before) {
                now.notes = before.notes.clone();
                if open.contains(&at.0) && late(&before) && !late(now) {
                    now.notes.push(format!(
                        "packets and policies agreed after {:.0} s: the rules were programmed late",
                        began.elapsed().as_secs_f64()
                    ));
                }
            }
        }
    }
    if let Some(capture) = capture.filter(|c| c.capture.is_some()) {
        let got: Vec<Option<&Got>> = places.iter().map(|at| answers[at.0].as_ref().ok()).collect();
        Scene { session: &session, flags, capture, cluster, profile }.follow(tries, &got, &mut out, output);
    }
    Ok(out)
}

/// Tries some plans, and counts what packets confirmed.
pub(super) fn tally(
    sending: Sending<'_>,
    cluster: &Cluster,
    profile: &Profile,
    tries: &[Try],
    output: &mut Output,
) -> Result<Vec<Tally>, Exit> {
    let answers = run(sending, cluster, profile, tries, output)?;
    Ok(tries
        .iter()
        .zip(answers)
        .map(|(one, answer)| {
            let mut tally = Tally::default();
            let client = cluster.pod_name(one.pod);
            match answer {
                Ok(probe) => tally.add(&client, &probe.plan, &probe.judgement),
                Err(error) => tally.failed(&client, &one.plan, &error.message),
            }
            tally
        })
        .collect())
}

/// Prepares jobs, says what they add, asks, and runs them: an answer for each, in their order.
pub(super) fn probe(
    session: &Session,
    flags: &ProbeFlags,
    jobs: &[Job],
    output: &mut Output,
) -> Result<Vec<Answer>, Exit> {
    let options = options(flags);
    let prepared = session.prepare(jobs, &options);
    let ready: Vec<Ready> = prepared.iter().filter_map(|p| p.as_ref().ok().cloned()).collect();
    if flags.dry_run {
        for error in prepared.iter().filter_map(|p| p.as_ref().err()) {
            cluster::refuse(error, output);
        }
        show(&ready, output);
        return Err(if ready.len() == prepared.len() { Exit::Yes } else { Exit::Error });
    }
    if !ready.is_empty() {
        agree(flags, &announcement(&ready), output)?;
    }
    let mut ran = session.run(&ready, &options).into_iter();
    let mut ready = ready.into_iter();
    Ok(prepared
        .into_iter()
        .map(|one| {
            let mesh = one?.mesh();
            let (probed, ready) =
                ran.next().zip(ready.next()).ok_or_else(|| LiveError::new(Trouble::NoAnswer, "it was not run"))?;
            Ok(Got { probed: probed?, mesh, ready })
        })
        .collect())
}

/// Pods that are named one by one before they are counted.
const MOST_NAMED: usize = 8;

fn announcement(ready: &[Ready]) -> String {
    let mut out = String::from("netcheck will send packets from the network of a client, by\n");
    for one in ready.iter().take(MOST_NAMED) {
        out.push_str(&format!("  {}\n", safe(&one.pod())));
        for line in one.announcement() {
            out.push_str(&format!("    {}\n", safe(&line)));
        }
    }
    if ready.len() > MOST_NAMED {
        out.push_str(&format!("  and the same from {} more pods\n", ready.len() - MOST_NAMED));
    }
    out
}

/// Says what will be done, and asks where nobody agreed beforehand.
pub(super) fn agree(flags: &ProbeFlags, text: &str, output: &mut Output) -> Result<(), Exit> {
    let text = &wrapped(text, output.error_width());
    if flags.yes {
        output.note(text);
        return Ok(());
    }
    output.error_block(text);
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        output.error("--live has to be agreed to, and there is no terminal to ask on");
        output.help("--yes agrees beforehand; --dry-run shows what would be sent");
        return Err(Exit::Error);
    }
    let _ = write!(std::io::stderr(), "go on? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    output.error("stopped: nothing was added");
    Err(Exit::Error)
}

/// What would be sent, a document each.
fn show(ready: &[Ready], output: &mut Output) {
    let mut out = String::new();
    for one in ready {
        for (method, path, body) in one.requests() {
            let body = serde_json::to_string_pretty(&body).unwrap_or_default();
            out.push_str(&format!("# {method} {}\n{body}\n", safe(&path)));
        }
    }
    output.text(&out);
}

/// Holds an answer against the policies.
fn judged(one: &Try, cluster: &Cluster, profile: &Profile, probed: Probed, mesh: Option<&Mesh>) -> Probe {
    let name = mesh.map(|mesh| mesh.container.as_str());
    let context = Context { profile, mesh: name, past: &probed.past, works: probed.works() };
    let judgement: Judgement = judge(&one.plan, &probed.targets, context);
    let mut notes = Vec::new();
    if let Some(Mesh { container, user }) = mesh {
        notes.push(match probed.past.is_empty() {
            true => format!(
                "container `{container}` of the client is a mesh's proxy: it may accept connections for the server"
            ),
            false => format!(
                "container `{container}` of the client is a mesh's proxy: tried through it, and past it as its user {user}"
            ),
        });
    }
    Probe {
        pod: cluster.pod_name(one.pod),
        how: probed.how,
        left: probed.left,
        millis: probed.millis,
        plan: one.plan.clone(),
        judgement,
        notes,
        capture: Vec::new(),
    }
}
