//! Causes that the program's own last words tell: permissions, ports, credentials, memory, its own errors.

use super::cause::Cause;
use super::facts::Place;
use super::finding::{Finding, Proof, ProofKind, Target};
use super::run::{Examined, Run};
use super::{resolve, state};
use crate::analysis::logs::{Evidence, EvidenceKind, scrub};

/// Errors of a kind that a program makes by itself, whatever the network does.
const OWN_FAULT: &[&str] = &[
    "KeyError",
    "TypeError",
    "ValueError",
    "AttributeError",
    "IndexError",
    "NameError",
    "SyntaxError",
    "ImportError",
    "ModuleNotFoundError",
    "ZeroDivisionError",
    "AssertionError",
    "NullPointerException",
    "ClassCastException",
    "IllegalArgumentException",
    "NumberFormatException",
    "IndexOutOfBounds",
    "ClassNotFoundException",
    "NoClassDefFoundError",
    "ReferenceError",
    "RangeError",
    "JSONDecodeError",
    "NoMethodError",
    "ArgumentError",
    "LoadError",
    "index out of range",
    "nil map",
    "divide by zero",
    "invalid memory address",
    "unwrap()` on a `None`",
    "panicked at",
    "Cannot find module",
    "ValidationError",
    "ParseError",
    "YAMLError",
    "InvalidOperationException",
    "ArgumentNullException",
];

/// Whether a line tells of a fault of the program's own making.
pub(super) fn own_fault(line: &str) -> bool {
    OWN_FAULT.iter().any(|word| line.contains(word))
}

/// The last thing that the program said of a trouble of its own, and what it says.
pub(super) fn said(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    let others = found.iter().any(|f| {
        f.container.as_deref() == Some(run.name())
            && !matches!(f.cause, Cause::ExitZero | Cause::Sigkill | Cause::Sigterm)
    });
    let Some(ended) = run.ended else {
        // A program that goes on running has got over what it said, unless it is not ready for that.
        if !run.is_init() && pod.subject.trouble != "NotReady" {
            return;
        }
        if let Some(evidence) = run.scan.evidence.iter().rev().find(|e| matches!(e.kind, EvidenceKind::AuthFailed)) {
            found.extend(finding(pod, run, evidence));
        }
        return;
    };
    if ended.reason == "OOMKilled" || ended.exit_code == 127 || ended.exit_code == 139 {
        return;
    }
    // A runtime that turns a fault of memory into its own panic (Go) has said what is wrong itself.
    let panics = run.scan.evidence.iter().any(|e| e.kind == EvidenceKind::AppError && own_fault(&e.line));
    let telling: Vec<&Evidence> = run
        .scan
        .evidence
        .iter()
        .filter(|e| e.kind != EvidenceKind::AppError && !(e.kind == EvidenceKind::Segfault && panics))
        .collect();
    // `Aborted (core dumped)` is how it ends, whatever made it.
    let why = |e: &&Evidence| e.kind != EvidenceKind::Segfault;
    let telling: Vec<&Evidence> = match telling.iter().any(why) {
        true => telling.into_iter().filter(|e| why(e)).collect(),
        false => telling,
    };
    let last_own = run.scan.evidence.iter().rev().find(|e| e.kind == EvidenceKind::AppError);
    // What is said last ends the run; but a wrapper ("startup failed") comes after what it wraps.
    let specific = telling.iter().rev().find(|e| match last_own {
        Some(own) => own.line_number < e.last_line + 30 || !own_fault(&own.line),
        None => true,
    });
    let chosen = match (specific, last_own) {
        (Some(e), _) => Some(*e),
        (None, own) => own,
    };
    let Some(chosen) = chosen else { return };
    // A clean end is no error of the program's own, whatever it grumbled about.
    if ended.exit_code == 0
        && !matches!(chosen.kind, EvidenceKind::AuthFailed | EvidenceKind::Permission | EvidenceKind::AddressInUse)
    {
        return;
    }
    if others
        && matches!(chosen.kind, EvidenceKind::AppError | EvidenceKind::MissingConfig | EvidenceKind::MissingFile)
        && !own_fault(&chosen.line)
    {
        return;
    }
    found.extend(finding(pod, run, chosen));
}

fn finding(pod: &Examined<'_>, run: &Run<'_>, evidence: &Evidence) -> Option<Finding> {
    let (kind, name) = pod.owner();
    let container = run.container.path();
    let quote = evidence.message.as_deref().unwrap_or(&evidence.line).trim();
    let base = |cause: Cause, score: i32, summary: String| {
        Finding::new(cause, score, pod.key, summary)
            .of_container(run.name())
            .proven([run.evidence_proof(evidence)])
            .proven(run.end_proof())
            .shown_by(run.logs_command(pod))
            .blame(kind, pod.namespace(), name, None)
    };
    // What the runtime says of an entry point that isn't there, or whose interpreter isn't.
    let entry = evidence.kind == EvidenceKind::MissingFile && quote.starts_with("exec ");
    Some(match evidence.kind {
        EvidenceKind::MissingFile if entry => base(
            Cause::CommandNotFound,
            8,
            format!("the program that container {} starts with, or its interpreter, is not in its image", run.name()),
        )
        .advise(
            "put the program into the image, or correct the first line (`#!`) of the script and its line ends",
            "the kernel answers so for a missing interpreter or loader, too",
        ),
        EvidenceKind::Permission if api_right(quote) => {
            let account = match pod.pod.spec.service_account_name.as_str() {
                "" => "default",
                name => name,
            };
            base(Cause::Permission, 7, format!("container {} asks the API server for what its ServiceAccount `{account}` may not", run.name()))
                .advise(
                    "give the ServiceAccount a Role with the verb and resource that the line names, and a RoleBinding",
                    "the API server answered: policies let the connection through, RBAC refused the request",
                )
                .shown_by(format!("kubectl auth can-i --list --as=system:serviceaccount:{}:{account} -n {}", pod.namespace(), pod.namespace()))
                .blame("ServiceAccount", pod.namespace(), account, None)
        }
        EvidenceKind::Permission | EvidenceKind::ReadOnlyFileSystem => permission(pod, run, evidence, base),
        EvidenceKind::AddressInUse => {
            let taken: Vec<String> = pod
                .all
                .iter()
                .filter(|c| c.spec.name != run.name() && c.place != Place::Init)
                .map(|c| c.spec.name.clone())
                .collect();
            let other = match taken.is_empty() || pod.pod.spec.host_network {
                true => "another process".to_owned(),
                false => format!("another container of the pod ({})", taken.join(", ")),
            };
            base(Cause::PortClash, 8, format!("container {} can't listen: {other} has the port already", run.name())).advise(
                "give one of them another port",
                "containers of a pod share one network: a port can be listened on once (with hostNetwork, once per node)",
            )
        }
        EvidenceKind::NoSpace => base(Cause::DiskFull, 8, format!("container {} has no space left to write to", run.name())).advise(
            "enlarge the volume, set ephemeral-storage limits that fit, or clean up",
            "ENOSPC comes from the file system that is written to",
        ),
        EvidenceKind::JvmHeap => {
            let path = pod.template_path(&format!("{container}.env"));
            base(Cause::JvmHeap, 8, format!("the JVM of container {} has no heap left", run.name()))
                .advise(
                    "raise -Xmx together with limits.memory, or find what fills the heap (-XX:+HeapDumpOnOutOfMemoryError)",
                    "the JVM gives up at its own limit, before the container's is reached",
                )
                .blame(kind, pod.namespace(), name, Some(path))
        }
        EvidenceKind::OutOfMemory => base(Cause::Oom, 7, format!("container {} runs out of memory by its own account", run.name())).advise(
            "raise the runtime's own limit and limits.memory together, or find what it keeps in memory",
            "the runtime gives up when it can't allocate, before the kernel kills it",
        ),
        EvidenceKind::ExecFormat => {
            state::format_error(pod, run, base(Cause::ExecFormat, 8, format!("the program of container {} can't run on this node's machine", run.name())))
        }
        EvidenceKind::CommandNotFound => base(Cause::CommandNotFound, 7, format!("container {} calls a command that its image doesn't have", run.name())).advise(
            "put the command into the image, or correct the script",
            "the shell looks commands up in the image's $PATH",
        ),
        EvidenceKind::Segfault => base(Cause::Segfault, 6, format!("container {} crashes in native code", run.name())).advise(
            "look for the input or the library it crashes in",
            "the kernel sends this signal for what no configuration of Kubernetes causes",
        ),
        EvidenceKind::AuthFailed => with_target(pod, run, evidence, base(Cause::AuthFailed, 8, format!("container {} reaches its dependency, which refuses its credentials", run.name()))).advise(
            "compare user and password with what the server was set up with; a Secret that was changed needs the pod restarted, a database keeps the password of its first start",
            "an answer means that the network lets the connection through",
        ),
        EvidenceKind::HttpServerError => {
            let slow = ["504", "408", "ime-out", "imeout", "imed out"].iter().any(|w| quote.contains(w));
            let cause = if slow { Cause::SlowDependency } else { Cause::DependencyDown };
            with_target(pod, run, evidence, base(cause, 7, format!("container {} reaches its dependency, which answers with a server error", run.name()))).advise(
                "look at that server's log and at what stands behind it; let the client retry longer",
                "an HTTP answer means that the network lets the connection through",
            )
        }
        EvidenceKind::DependencyNotReady => {
            with_target(pod, run, evidence, base(Cause::SlowDependency, 6, format!("container {} reaches its dependency, which isn't ready to serve", run.name()))).advise(
                "wait for it in an init container or retry longer, and look at the server if it stays so",
                "an answer means that the network lets the connection through",
            )
        }
        EvidenceKind::MissingConfig | EvidenceKind::MissingFile | EvidenceKind::AppError => {
            let cause = if run.is_init() { Cause::InitFailed } else { Cause::AppError };
            let what = if run.is_init() { "init container" } else { "container" };
            let advice = match evidence.kind {
                EvidenceKind::MissingConfig => "give it the setting that it asks for: env, envFrom or a mounted file",
                EvidenceKind::MissingFile => "put the file where it is looked for: into the image, or as a volume",
                _ => "the fault is in the program or in what it is given to read: its own words say where",
            };
            let mut score = if evidence.kind == EvidenceKind::AppError { 5 } else { 6 };
            if own_fault(&evidence.line) {
                score = 6;
            }
            base(cause, score, format!("{what} {} gives up by itself: {}", run.name(), short(quote)))
                .proven(run.tail(3))
                .advise(advice, "codes from 1 to 127 are the program's own; nothing of Kubernetes ended it")
        }
    })
}

/// Whether it is the API server that refuses (RBAC), not the kernel.
fn api_right(line: &str) -> bool {
    line.contains("is forbidden: User") || line.contains("cannot ") && line.contains(" resource \"")
}

fn short(text: &str) -> String {
    scrub(text.lines().next().unwrap_or_default()).chars().take(160).collect()
}

fn permission(
    pod: &Examined<'_>,
    run: &Run<'_>,
    evidence: &Evidence,
    base: impl Fn(Cause, i32, String) -> Finding,
) -> Finding {
    let (kind, name) = pod.owner();
    let own = &run.container.spec.security_context;
    let all = &pod.pod.spec.security_context;
    let at = |of_container: bool, field: &str| match of_container {
        true => pod.template_path(&format!("{}.securityContext.{field}", run.container.path())),
        false => pod.template_path(&format!("spec.securityContext.{field}")),
    };
    let read_only = evidence.kind == EvidenceKind::ReadOnlyFileSystem;
    let user = own.run_as_user.or(all.run_as_user);
    let (summary, field, value, advice, because) = if read_only {
        (
            format!("container {} writes to a file system that is mounted read-only", run.name()),
            own.read_only_root_filesystem.map(|_| at(true, "readOnlyRootFilesystem")),
            "true".to_owned(),
            "mount an emptyDir where it writes (the line says where), or take readOnlyRootFilesystem away",
            "with readOnlyRootFilesystem only volumes can be written to",
        )
    } else {
        (
            format!(
                "container {} may not do what it tries to{}",
                run.name(),
                user.map(|u| format!(" as user {u}")).unwrap_or_default()
            ),
            user.map(|_| at(own.run_as_user.is_some(), "runAsUser")),
            user.map(|u| u.to_string()).unwrap_or_default(),
            "give its user the right (fsGroup for volumes, chown in the image, a port from 1024 on), or run it as the user that the image expects",
            "files belong to the user that the image was built for; ports below 1024 belong to root",
        )
    };
    let proof = field.clone().map(|field| Proof::new(ProofKind::Spec, field, &value));
    base(Cause::Permission, 8, summary).proven(proof).advise(advice, because).blame(kind, pod.namespace(), name, field)
}

/// With who answered, where the line names it.
fn with_target(pod: &Examined<'_>, run: &Run<'_>, evidence: &Evidence, finding: Finding) -> Finding {
    let Some(host) = evidence.host.clone() else { return finding };
    let resolved = resolve::resolve(pod, &host);
    let leads_to = resolved.describe(pod);
    let scheme = ["https", "http"].into_iter().find(|s| evidence.line.contains(&format!("{s}://{host}")));
    let port = evidence.port.or_else(|| resolved.port(pod, scheme, &[]));
    let target = Target { host, port, leads_to, known_from: run.log_name.clone() };
    let mut finding = finding;
    finding.summary = format!("{}: {}", finding.summary, target.text());
    finding.network = Some(Box::new(super::Network {
        target,
        direction: None,
        policies: Vec::new(),
        diagnostics: Vec::new(),
        asked: None,
        check: None,
        proposal: Default::default(),
    }));
    finding
}
