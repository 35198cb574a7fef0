//! The run of a container that failed: how it ended, how long it took, and what it logged.
//!
//! Which log belongs to the run depends on the state: a container that is running again left it in the previous log; one
//! that waits or has just ended, in the current one. The kubelet may have thrown either away.

use super::facts::wire::{self, Pod, Terminated};
use super::facts::{self, ContainerFacts, Event, Key, Place};
use super::finding::{Proof, ProofKind};
use super::select::{self, Subject};
use super::{Case, time};
use crate::analysis::logs::{self, Evidence, LogError, Scan};
use crate::model::PodId;

/// A pod under examination.
#[derive(Debug)]
pub(super) struct Examined<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) key: &'a Key,
    pub(super) subject: &'a Subject,
    pub(super) pod: &'a Pod,
    pub(super) id: Option<PodId>,
    pub(super) events: Vec<&'a Event>,
    pub(super) containers: Vec<Run<'a>>,
    pub(super) all: Vec<ContainerFacts<'a>>,
    pub(super) node: Option<&'a wire::Node>,
}

/// A container in trouble.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) container: ContainerFacts<'a>,
    /// How the failed run ended; none where it never ended.
    pub(super) ended: Option<&'a Terminated>,
    /// Where that stands in the status.
    pub(super) ended_at: &'static str,
    /// Seconds.
    pub(super) length: Option<i64>,
    /// What the failed run logged.
    pub(super) scan: Scan,
    /// The log itself.
    pub(super) text: String,
    /// Its name: `log of api` or `previous log of api`.
    pub(super) log_name: String,
    /// Whether it runs and is stuck, not ended.
    pub(super) stuck: bool,
}

impl<'a> Examined<'a> {
    pub(super) fn of(case: &'a Case<'a>, subject: &'a Subject, pod: &'a Pod) -> Self {
        let cluster = case.evaluator.cluster;
        let id = cluster.namespace(&subject.pod.0).and_then(|n| cluster.pod(n, &subject.pod.1));
        let all = facts::containers(pod);
        let containers = all
            .iter()
            .filter(|c| subject.containers.contains(&c.spec.name))
            .map(|c| Run::of(case, &subject.pod, *c))
            .collect();
        Self {
            case,
            key: &subject.pod,
            subject,
            pod,
            id,
            events: case.facts.pod_events(pod),
            containers,
            all,
            node: case.facts.nodes.get(&pod.spec.node_name),
        }
    }

    /// The namespace.
    pub(super) fn namespace(&self) -> &'a str {
        &self.key.0
    }

    /// The pod's name.
    pub(super) fn name(&self) -> &'a str {
        &self.key.1
    }

    /// Kind and name of what its template belongs to: the workload, or the pod itself.
    pub(super) fn owner(&self) -> (&str, &str) {
        match &self.subject.workload {
            Some((kind, name)) => (kind, name),
            None => ("Pod", &self.key.1),
        }
    }

    /// The path of a field of the pod's spec in its owner's template.
    pub(super) fn template_path(&self, path: &str) -> String {
        match self.owner().0 {
            "Pod" => path.to_owned(),
            "CronJob" => format!("spec.jobTemplate.spec.template.{path}"),
            _ => format!("spec.template.{path}"),
        }
    }

    /// Events with a reason, of a container or of the pod as a whole, newest first.
    pub(super) fn events(&self, reasons: &[&str], container: Option<&str>) -> Vec<&'a Event> {
        self.events
            .iter()
            .rev()
            .filter(|e| reasons.contains(&e.reason.as_str()))
            .filter(|e| match (container, e.container.as_deref()) {
                (Some(wanted), Some(of)) => wanted == of,
                (Some(wanted), None) => e.message.contains(wanted) || self.all.len() == 1,
                (None, _) => true,
            })
            .copied()
            .collect()
    }

    /// `kubectl describe` of the pod.
    pub(super) fn describe(&self) -> String {
        format!("kubectl describe pod {} -n {}", self.name(), self.namespace())
    }
}

/// An event as proof.
pub(super) fn event_proof(event: &Event) -> Proof {
    let times = if event.count > 1 { format!(", {} times", event.count) } else { String::new() };
    Proof::new(ProofKind::Event, format!("event {}{times}", event.reason), &event.message)
}

/// What the kubelet or the runtime answers instead of a log.
fn is_log(text: &str) -> bool {
    let head = text.trim_start();
    !head.is_empty()
        && !head.starts_with("unable to retrieve container logs for ")
        && !head.starts_with("Error from server ")
        && !head.starts_with("failed to try resolving symlinks in path \"/var/log/pods")
}

impl<'a> Run<'a> {
    fn of(case: &'a Case<'a>, pod: &Key, container: ContainerFacts<'a>) -> Self {
        let name = &container.spec.name;
        let state = container.status.map(|s| &s.state);
        let now = state.and_then(|s| s.terminated.as_ref());
        let last = container.status.and_then(|s| s.last_state.terminated.as_ref());
        let running = state.is_some_and(|s| s.running.is_some());
        let (ended, ended_at) = match (now, last) {
            (Some(now), _) => (Some(now), "state.terminated"),
            (None, Some(last)) => (Some(last), "lastState.terminated"),
            (None, None) => (None, "state"),
        };
        let log = case.logs.of(pod, name);
        let current = (log.and_then(|l| l.current.as_deref()), format!("log of {name}"));
        let previous = (log.and_then(|l| l.previous.as_deref()), format!("previous log of {name}"));
        let order = if running && ended.is_some() { [previous, current] } else { [current, previous] };
        let mut chosen: Option<(&str, String, Scan)> = None;
        for (text, name) in order {
            let Some(text) = text.filter(|t| is_log(t)) else { continue };
            let scan = logs::read(text);
            let telling = !scan.errors.is_empty() || !scan.evidence.is_empty();
            if chosen.is_none() || telling {
                chosen = Some((text, name, scan));
            }
            if telling {
                break;
            }
        }
        let (text, log_name, mut scan) = chosen.unwrap_or_default();
        let mut text = text.to_owned();
        // The termination message is the end of a log, or what the program wrote for this very purpose.
        if let Some(message) = ended.map(|e| e.message.as_str()).filter(|m| !m.is_empty() && !text.contains(m.trim())) {
            let more = logs::read(message);
            if scan.errors.is_empty() && scan.evidence.is_empty() {
                scan = more;
            }
            text.push('\n');
            text.push_str(message);
        }
        let stuck = running && ended.is_none();
        Self { container, ended, ended_at, length: ended.and_then(select::length_of), scan, text, log_name, stuck }
    }

    /// The container's name.
    pub(super) fn name(&self) -> &'a str {
        &self.container.spec.name
    }

    /// Whether it is a plain init container.
    pub(super) fn is_init(&self) -> bool {
        self.container.place == Place::Init
    }

    /// How often it was restarted.
    pub(super) fn restarts(&self) -> i64 {
        self.container.status.map_or(0, |s| s.restart_count)
    }

    /// How it ended, as proof.
    pub(super) fn end_proof(&self) -> Option<Proof> {
        let ended = self.ended?;
        let mut text = format!("exitCode {}", ended.exit_code);
        if let Some(name) = signal(ended.exit_code) {
            text.push_str(&format!(" (128 + {}, {name})", ended.exit_code - 128));
        }
        if !ended.reason.is_empty() {
            text.push_str(&format!(", reason {}", ended.reason));
        }
        if let Some(length) = self.length {
            text.push_str(&format!(", after {}", time::length(length)));
        }
        if self.restarts() > 0 {
            text.push_str(&format!(", restarted {} times", self.restarts()));
        }
        Some(Proof::new(ProofKind::Status, format!("{} {}", self.name(), self.ended_at), &text))
    }

    /// How long the kubelet waits now, from its own message, and until when.
    pub(super) fn back_off_proof(&self, now: i64) -> Option<Proof> {
        let waiting = self.container.status?.state.waiting.as_ref()?;
        let length = time::go_duration(waiting.message.split("back-off ").nth(1)?.split_whitespace().next()?)?;
        let ended = time::parse(self.ended?.finished_at.as_deref()?)?;
        let left = ended + length - now;
        let text = match left > 0 {
            true => format!(
                "waits {} between restarts now; the next is due in {}",
                time::length(length),
                time::length(left)
            ),
            false => format!("waits {} between restarts now; the next is due", time::length(length)),
        };
        Some(Proof::new(ProofKind::Time, format!("{} state.waiting.message", self.name()), &text))
    }

    /// A connection error as proof.
    pub(super) fn error_proof(&self, error: &LogError) -> Proof {
        Proof::new(ProofKind::Log, self.line_name(error.line_number, error.count), &error.line)
    }

    /// A piece of the log's own evidence as proof.
    pub(super) fn evidence_proof(&self, evidence: &Evidence) -> Proof {
        Proof::new(ProofKind::Log, self.line_name(evidence.line_number, evidence.count), &evidence.line)
    }

    fn line_name(&self, line: usize, count: usize) -> String {
        let times = if count > 1 { format!(", {count} times") } else { String::new() };
        format!("{}, line {line}{times}", self.log_name)
    }

    /// The last lines of the log.
    pub(super) fn tail(&self, lines: usize) -> Option<Proof> {
        let all: Vec<&str> = self.text.lines().filter(|l| !l.trim().is_empty()).collect();
        let last = all.get(all.len().saturating_sub(lines)..)?;
        (!last.is_empty())
            .then(|| Proof::new(ProofKind::Log, format!("end of the {}", self.log_name), &last.join("\n")))
    }

    /// `kubectl logs` of the failed run.
    pub(super) fn logs_command(&self, pod: &Examined<'_>) -> String {
        let previous = if self.log_name.starts_with("previous") { " --previous" } else { "" };
        format!("kubectl logs {} -n {} -c {}{previous}", pod.name(), pod.namespace(), self.name())
    }
}

/// The signal of an exit code above 128.
pub(super) fn signal(exit_code: i64) -> Option<&'static str> {
    Some(match exit_code {
        129 => "SIGHUP",
        130 => "SIGINT",
        131 => "SIGQUIT",
        132 => "SIGILL",
        133 => "SIGTRAP",
        134 => "SIGABRT",
        135 => "SIGBUS",
        136 => "SIGFPE",
        137 => "SIGKILL",
        139 => "SIGSEGV",
        141 => "SIGPIPE",
        143 => "SIGTERM",
        _ => return None,
    })
}
