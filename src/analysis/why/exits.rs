//! Causes that the way a run ended tells: memory, signals, exit codes.
//!
//! 137 is not OOM by itself: only `reason: OOMKilled` is. Codes above 128 are 128 + signal, 1 to 127 the program's own.

use super::cause::Cause;
use super::finding::{Finding, Proof, ProofKind};
use super::run::{Examined, Run, event_proof, signal};
use super::{state, time};
use crate::analysis::logs::{Evidence, EvidenceKind};
use crate::source::wire::IntOrString;

/// The cause that the end of the run tells.
pub(super) fn exit(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    let Some(ended) = run.ended else { return };
    if ended.reason == "OOMKilled" {
        return memory(pod, run, found);
    }
    if found.iter().any(|f| {
        f.container.as_deref() == Some(run.name())
            && (f.cause == Cause::LivenessWrong || f.cause == Cause::LivenessTooEarly)
    }) {
        // The kubelet ended it: the code is its signal's.
        return;
    }
    let said = |kind: EvidenceKind| run.scan.evidence.iter().rev().find(|e| e.kind == kind);
    let (kind, name) = pod.owner();
    let command = pod.template_path(&format!("{}.command", run.container.path()));
    let finding = |cause: Cause, score: i32, summary: String| {
        Finding::new(cause, score, pod.key, summary)
            .of_container(run.name())
            .proven(run.end_proof())
            .shown_by(run.logs_command(pod))
            .blame(kind, pod.namespace(), name, None)
    };
    let quoted =
        |finding: Finding, evidence: Option<&Evidence>| finding.proven(evidence.map(|e| run.evidence_proof(e)));
    let exec_format = said(EvidenceKind::ExecFormat);
    match ended.exit_code {
        0 => found.push(
            finding(Cause::ExitZero, 6, format!("container {} does its work and ends; the restart policy starts it again", run.name()))
                .proven(run.tail(2))
                .proven([Proof::new(ProofKind::Spec, pod.template_path("spec.restartPolicy"), "Always")])
                .advise(
                    format!("run it as a Job or CronJob, or keep the program in the foreground if it is meant to serve ({command})"),
                    "a Deployment's pods are restarted whenever they end, however well they end",
                ),
        ),
        126..=128 | 255 if exec_format.is_some() || ended.message.contains("exec format error") => {
            let finding = finding(Cause::ExecFormat, 9, format!("the program of container {} can't run on this node's machine", run.name()));
            found.push(state::format_error(pod, run, quoted(finding, exec_format)));
        }
        128 if !ended.message.is_empty() => {
            let proof = Proof::new(ProofKind::Status, format!("{} {}", run.name(), run.ended_at), &ended.message);
            state::start(pod, run, &ended.message, proof, found);
        }
        126 => found.push(
            quoted(finding(Cause::Permission, 7, format!("the command of container {} may not be executed (126)", run.name())), said(EvidenceKind::Permission))
                .proven(run.tail(2))
                .advise("chmod +x it in the image, or run it through its interpreter", "126 is the shell's code for a file that it found and may not execute"),
        ),
        127 => found.push(
            quoted(finding(Cause::CommandNotFound, 8, format!("a command in container {} does not exist (127)", run.name())), said(EvidenceKind::CommandNotFound))
                .proven(run.tail(2))
                .advise(
                    format!("correct {command}, or put the program (or the library it is linked to) into the image"),
                    "127 is the shell's code for a command that is not in $PATH",
                ),
        ),
        134 if found.iter().any(|f| f.container.as_deref() == Some(run.name()) && f.network.is_some()) => {}
        132 | 134 | 135 | 136 | 139 => native(pod, run, ended.exit_code, &finding, found),
        137 => killed(pod, run, &finding, found),
        143 => stopped(pod, run, &finding, found),
        _ if exec_format.is_some() => {
            let finding = finding(Cause::ExecFormat, 8, format!("the program of container {} can't run on this node's machine", run.name()));
            found.push(state::format_error(pod, run, quoted(finding, exec_format)));
        }
        _ => {}
    }
}

fn native(
    pod: &Examined<'_>,
    run: &Run<'_>,
    code: i64,
    finding: &dyn Fn(Cause, i32, String) -> Finding,
    found: &mut Vec<Finding>,
) {
    let kinds: Vec<EvidenceKind> = run.scan.evidence.iter().map(|e| e.kind).collect();
    if code == 134 && kinds.iter().any(|k| *k != EvidenceKind::Segfault) {
        // The runtime gave up by itself (abort): its own words are the cause, see `said`.
        return;
    }
    let name = signal(code).unwrap_or("a signal");
    found.push(
        finding(Cause::Segfault, 8, format!("container {} crashes in native code: {name} ({code})", run.name()))
            .proven(run.scan.evidence.iter().rev().find(|e| e.kind == EvidenceKind::Segfault).map(|e| run.evidence_proof(e)))
            .proven(run.tail(2))
            .advise(
                "look for the input or the library it crashes in; images on musl (Alpine) with binaries built for glibc, and mismatched native modules, are the usual suspects",
                format!("the kernel sends {name} for what no configuration of Kubernetes causes"),
            )
            .shown_by(pod.describe()),
    );
}

/// SIGKILL without `OOMKilled`.
fn killed(
    pod: &Examined<'_>,
    run: &Run<'_>,
    finding: &dyn Fn(Cause, i32, String) -> Finding,
    found: &mut Vec<Finding>,
) {
    let facts = pod.case.facts;
    let node = pod.node.map(|n| facts.events_of("Node", "", &n.metadata.name, "")).unwrap_or_default();
    if let Some(event) = node.iter().rev().find(|e| matches!(e.reason.as_str(), "SystemOOM" | "OOMKilling")) {
        found.push(
            finding(
                Cause::Oom,
                6,
                format!("the node ran out of memory and killed a process of container {}", run.name()),
            )
            .proven([event_proof(event)])
            .advise(
                "give the container a memory request that covers its use, and the node less to do",
                "the kernel picks its victims among those that use more than they asked for",
            ),
        );
        return;
    }
    if let Some(event) = pod.events(&["Killing", "Preempting", "Evicted"], Some(run.name())).first() {
        found.push(
            finding(
                Cause::Sigkill,
                4,
                format!("container {} did not stop in time when it was asked to, and was killed", run.name()),
            )
            .proven([event_proof(event)])
            .advise(
                "handle SIGTERM, or raise terminationGracePeriodSeconds",
                "SIGKILL follows SIGTERM after the grace period",
            ),
        );
        return;
    }
    let limit = limit(run);
    let proof = limit.map(|(text, _)| {
        Proof::new(
            ProofKind::Spec,
            pod.template_path(&format!("{}.resources.limits.memory", run.container.path())),
            text,
        )
    });
    found.push(
        finding(Cause::Sigkill, 3, format!("container {} was killed with SIGKILL, and not for its memory as far as the kubelet knows", run.name()))
            .proven(proof)
            .proven(run.tail(2))
            .advise(
                "look for who kills it: a child process over the memory limit, a supervisor in the image, someone on the node",
                "a kill for memory is recorded as OOMKilled, one by the kubelet as an event; there is neither",
            ),
    );
}

fn stopped(
    pod: &Examined<'_>,
    run: &Run<'_>,
    finding: &dyn Fn(Cause, i32, String) -> Finding,
    found: &mut Vec<Finding>,
) {
    let who = pod.events(
        &["Killing", "Preempting", "Evicted", "NodeNotReady", "TaintManagerEviction", "NodeShutdown"],
        Some(run.name()),
    );
    let event = who.first();
    let by = match event.map(|e| (e.reason.as_str(), e.message.as_str())) {
        Some(("Preempting", _)) => "a pod of higher priority took its place",
        Some(("Evicted" | "TaintManagerEviction" | "NodeNotReady" | "NodeShutdown", _)) => "its node asked it to leave",
        Some((_, message)) if message.contains("Stopping container") => {
            "its pod was deleted or its workload rolled out"
        }
        _ => "nothing in the events says by whom",
    };
    found.push(
        finding(
            Cause::Sigterm,
            if event.is_some() { 6 } else { 4 },
            format!("container {} was asked to stop (SIGTERM) and did: {by}", run.name()),
        )
        .proven(event.map(|e| event_proof(e)))
        .proven(run.tail(2))
        .advise(
            "find who stops it: a supervisor or script in the image that sends SIGTERM, a rollout, a drain",
            "143 is 128 + SIGTERM: the program ended because it was told to, not by a fault",
        ),
    );
}

/// Killed by the kernel at the container's limit.
fn memory(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    let path = pod.template_path(&format!("{}.resources.limits.memory", run.container.path()));
    let (kind, name) = pod.owner();
    let limit = limit(run);
    let limit_proof = limit.map(|(text, _)| Proof::new(ProofKind::Spec, path.clone(), text));
    if let Some(jvm) = heap(pod, run)
        && limit.is_some_and(|(_, bytes)| jvm.bytes.is_none_or(|heap| heap * 10 >= bytes * 9))
    {
        let (limit, _) = limit.unwrap_or(("", 0));
        found.push(
            Finding::new(Cause::JvmHeap, 9, pod.key, format!("the JVM may use a heap of {} in a container limited to {limit}", jvm.flag))
                .of_container(run.name())
                .proven(run.end_proof())
                .proven([jvm.proof])
                .proven(limit_proof)
                .advise(
                    format!("raise limits.memory above heap plus about a quarter, or set -XX:MaxRAMPercentage=75 instead of {}", jvm.flag),
                    "the JVM grows its heap to that size before it collects in earnest; threads, metaspace and buffers come on top of it",
                )
                .shown_by(pod.describe())
                .blame(kind, pod.namespace(), name, Some(jvm.path)),
        );
        return;
    }
    let summary = match limit {
        Some((text, _)) => format!("container {} needs more memory than its limit of {text}", run.name()),
        None => format!(
            "container {} was killed for its memory, and has no limit of its own: the pod or the node ran out",
            run.name()
        ),
    };
    found.push(
        Finding::new(Cause::Oom, 9, pod.key, summary)
            .of_container(run.name())
            .proven(run.end_proof())
            .proven(limit_proof)
            .proven(run.tail(1))
            .advise(
                "raise limits.memory (and requests.memory with it), or find what it keeps in memory",
                "the kernel kills a process of the container as soon as its memory control group is full",
            )
            .shown_by(pod.describe())
            .blame(kind, pod.namespace(), name, Some(path)),
    );
}

/// The memory limit: as written, and in bytes.
fn limit<'r>(run: &'r Run<'_>) -> Option<(&'r str, u64)> {
    match run.container.spec.resources.limits.get("memory")? {
        IntOrString::String(text) => Some((text.as_str(), quantity(text)?)),
        IntOrString::Int(number) => Some(("its number of bytes", u64::try_from(*number).ok()?)),
    }
}

/// Bytes of a Kubernetes quantity: `192Mi`, `1G`, `1.5Gi`, `1e9`.
pub(super) fn quantity(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (number, unit) = match number.strip_suffix('E') {
        Some(number) => (number, "E"),
        None => (number, unit),
    };
    let factor: f64 = match unit {
        "" => 1.0,
        "m" => 0.001,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    let value: f64 = number.parse().ok()?;
    (value >= 0.0).then_some((value * factor) as u64)
}

/// The heap that a JVM is told to use.
struct Heap {
    flag: String,
    /// None where it is a share of the limit that leaves nothing for the rest.
    bytes: Option<u64>,
    proof: Proof,
    path: String,
}

fn heap(pod: &Examined<'_>, run: &Run<'_>) -> Option<Heap> {
    let spec = run.container.spec;
    let mut places: Vec<(String, String, String)> = Vec::new();
    for variable in super::depend::environment(pod, run) {
        let at = pod.template_path(&format!("{}.env {}", run.container.path(), variable.name));
        places.push((at.clone(), variable.value, at));
    }
    for (field, words) in [("command", &spec.command), ("args", &spec.args)] {
        let at = pod.template_path(&format!("{}.{field}", run.container.path()));
        places.push((at.clone(), words.join(" "), at));
    }
    places.extend(
        run.text
            .lines()
            .filter(|l| l.contains("Picked up "))
            .map(|l| (run.log_name.clone(), l.to_owned(), pod.template_path(&run.container.path()))),
    );
    for (at, text, path) in places {
        for word in text.split_whitespace().map(|w| w.trim_matches(['"', '\''])) {
            let heap = word.strip_prefix("-Xmx").or_else(|| word.strip_prefix("-XX:MaxHeapSize="));
            let bytes = heap.and_then(java_size);
            let share = word.strip_prefix("-XX:MaxRAMPercentage=").and_then(|s| s.parse::<f64>().ok());
            if bytes.is_some() || share.is_some_and(|s| s >= 85.0) {
                return Some(Heap {
                    flag: word.to_owned(),
                    bytes,
                    proof: Proof::new(ProofKind::Spec, at, &text),
                    path,
                });
            }
        }
    }
    None
}

/// `1g`, `512m`, `65536k`, `1073741824`.
fn java_size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (number, factor) = match lower.strip_suffix(['k', 'm', 'g', 't']) {
        Some(number) => {
            let power = match lower.as_bytes().last() {
                Some(b'k') => 1,
                Some(b'm') => 2,
                Some(b'g') => 3,
                _ => 4,
            };
            (number, 1024u64.pow(power))
        }
        None => (lower.as_str(), 1),
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A run that ended badly, and nothing says why.
pub(super) fn unexplained(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    let (kind, name) = pod.owner();
    if run.stuck {
        if run.is_init() {
            let since =
                run.container.status.and_then(|s| time::parse(s.state.running.as_ref()?.started_at.as_deref()?));
            let text = format!("running for {}", time::length(since.map_or(0, |at| pod.case.facts.now - at)));
            found.push(
                Finding::new(
                    Cause::InitFailed,
                    4,
                    pod.key,
                    format!("init container {} never ends, so that the pod never starts", run.name()),
                )
                .of_container(run.name())
                .proven([Proof::new(ProofKind::Status, format!("{} state.running", run.name()), &text)])
                .proven(run.tail(3))
                .advise(
                    "see what it waits for in its log and its command",
                    "containers of a pod start only after its init containers have ended well",
                )
                .shown_by(run.logs_command(pod))
                .blame(kind, pod.namespace(), name, Some(pod.template_path(&run.container.path()))),
            );
        }
        return;
    }
    let Some(ended) = run.ended else { return };
    let cause = if run.is_init() { Cause::InitFailed } else { Cause::AppError };
    let what = if run.is_init() { "init container" } else { "container" };
    found.push(
        Finding::new(
            cause,
            if run.is_init() { 4 } else { 2 },
            pod.key,
            format!("{what} {} ends with code {} and doesn't say why in words known here", run.name(), ended.exit_code),
        )
        .of_container(run.name())
        .proven(run.end_proof())
        .proven(run.tail(5))
        .proven(super::depend::unread(run).iter().map(|v| Proof::new(ProofKind::Spec, "not read", v)))
        .advise("read the end of its log; let it say why it gives up", "codes from 1 to 127 are the program's own")
        .shown_by(run.logs_command(pod))
        .blame(kind, pod.namespace(), name, None),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_kubernetes_and_java_write_them() {
        assert_eq!(quantity("192Mi"), Some(192 << 20));
        assert_eq!(quantity("1.5Gi"), Some(3 << 29));
        assert_eq!(quantity("1e9"), Some(1_000_000_000));
        assert_eq!(quantity("500M"), Some(500_000_000));
        assert_eq!(quantity("much"), None);
        assert_eq!(java_size("1g"), Some(1 << 30));
        assert_eq!(java_size("65536K"), Some(1 << 26));
        assert_eq!(java_size("x"), None);
    }
}
