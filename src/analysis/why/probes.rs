//! Probes: a liveness or startup probe that kills, and a readiness probe that never passes.
//!
//! The proof of a kill is the `Killing` event that says so; the exit code is only its signal's, or 0 where the program
//! stops well. Probes come from the node and bypass policies.

use super::cause::Cause;
use super::facts::wire::Probe;
use super::facts::{Event, condition};
use super::finding::{Finding, Proof, ProofKind};
use super::run::{Examined, Run, event_proof};
use super::time;
use crate::source::wire::IntOrString;

/// The port that a probe asks.
fn port(probe: &Probe) -> Option<&IntOrString> {
    probe.http_get.as_ref().and_then(|h| h.port.as_ref()).or_else(|| probe.tcp_socket.as_ref()?.port.as_ref())
}

/// Seconds from the start to the first failure that counts: initialDelaySeconds + periodSeconds × (failureThreshold − 1),
/// with the API's defaults.
fn window(probe: &Probe) -> i64 {
    let period = probe.period_seconds.unwrap_or(10).max(1);
    probe.initial_delay_seconds.unwrap_or(0) + period * (probe.failure_threshold.unwrap_or(3) - 1).max(0)
}

/// What is wrong with a liveness or startup probe that had the container killed.
pub(super) fn liveness(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    let kills = pod.events(&["Killing"], Some(run.name()));
    let kill = kills
        .iter()
        .find(|e| e.message.contains("failed liveness probe") || e.message.contains("failed startup probe"));
    let Some(kill) = kill else { return };
    let startup = kill.message.contains("startup probe");
    let spec = run.container.spec;
    let (field, probe) = match startup {
        true => ("startupProbe", spec.startup_probe.as_ref()),
        false => ("livenessProbe", spec.liveness_probe.as_ref()),
    };
    let Some(probe) = probe else { return };
    let word = if startup { "Startup probe" } else { "Liveness probe" };
    let failures: Vec<&Event> =
        pod.events(&["Unhealthy"], Some(run.name())).into_iter().filter(|e| e.message.starts_with(word)).collect();
    let failure = failures.iter().max_by_key(|e| (e.count, e.last));
    let message = failure.map(|e| e.message.as_str()).unwrap_or_default();
    let path = pod.template_path(&format!("{}.{field}", run.container.path()));
    let (kind, name) = pod.owner();
    let window = window(probe);
    let seconds = format!(
        "initialDelaySeconds {} + periodSeconds {} × (failureThreshold {} − 1) = {} s until it kills",
        probe.initial_delay_seconds.unwrap_or(0),
        probe.period_seconds.unwrap_or(10),
        probe.failure_threshold.unwrap_or(3),
        window
    );
    let mut proofs = vec![event_proof(kill)];
    proofs.extend(failure.map(|e| event_proof(e)));
    proofs.push(Proof::new(ProofKind::Spec, path.clone(), &seconds));
    proofs.extend(run.end_proof());
    let finding = |cause: Cause, score: i32, summary: String, path: String| {
        Finding::new(cause, score, pod.key, summary)
            .of_container(run.name())
            .proven(proofs.clone())
            .shown_by(pod.describe())
            .blame(kind, pod.namespace(), name, Some(path))
    };
    let declared: Vec<String> = spec.ports.iter().map(|p| p.container_port.to_string()).collect();
    if let Some(wrong) = wrong_port(run, probe, message) {
        let mut finding = finding(
            Cause::LivenessWrong,
            8,
            format!("the {field} asks port {} of container {}, {}", wrong.asked, run.name(), wrong.instead),
            format!("{path}.{}.port", kind_of(probe)),
        );
        if !declared.is_empty() {
            finding = finding.proven([Proof::new(
                ProofKind::Spec,
                pod.template_path(&format!("{}.ports", run.container.path())),
                &declared.join(", "),
            )]);
        }
        found.push(finding.advise(
            format!("set {path}.{}.port to the port that the container listens on", kind_of(probe)),
            "the kubelet restarts a container whose probe nobody answers, however well it works",
        ));
        return;
    }
    if let Some(code) = status_code(message).filter(|c| *c < 500) {
        found.push(
            finding(
                Cause::LivenessWrong,
                8,
                format!("the {field} asks for {}, and the container answers {code}", asked_path(probe)),
                format!("{path}.httpGet.path"),
            )
            .advise(
                format!("set {path}.httpGet.path to a path that answers 200 without credentials"),
                "every answer below 200 or from 400 on is a failure to the kubelet",
            ),
        );
        return;
    }
    if let Some((speaks, wants)) = other_scheme(message) {
        found.push(
            finding(
                Cause::LivenessWrong,
                8,
                format!("the {field} asks in {wants}, and container {} speaks {speaks}", run.name()),
                format!("{path}.httpGet.scheme"),
            )
            .advise(
                format!("set {path}.httpGet.scheme to {speaks}"),
                "the kubelet restarts a container whose probe fails, however well it works",
            ),
        );
        return;
    }
    if let Some(what) = broken_command(message) {
        found.push(
            finding(
                Cause::LivenessWrong,
                8,
                format!("the {field}'s command can't run in container {}: {what}", run.name()),
                format!("{path}.exec.command"),
            )
            .advise(
                "correct the command, or ask by httpGet or tcpSocket",
                "the probe runs inside the container: what it calls has to be in the image",
            ),
        );
        return;
    }
    // A container that was up and then fails its probe ran clearly longer than the probe's first window.
    let grace = pod.pod.spec.termination_grace_period_seconds.unwrap_or(30);
    let period = probe.period_seconds.unwrap_or(10).max(1);
    let at_once =
        run.length.is_none_or(|length| length <= window + 2 * period + grace + probe.timeout_seconds.unwrap_or(1));
    let was_up = spec.readiness_probe.is_some()
        && pod.events(&["Unhealthy"], Some(run.name())).iter().all(|e| !e.message.starts_with("Readiness probe"));
    if at_once && !was_up {
        let what = if startup { "gives the container too little time" } else { "starts before the container is up" };
        let advice = match spec.startup_probe.is_some() {
            true => format!(
                "raise failureThreshold or periodSeconds of {}",
                pod.template_path(&format!("{}.startupProbe", run.container.path()))
            ),
            false => format!(
                "add a startupProbe with failureThreshold × periodSeconds above its start-up time, or raise {path}.initialDelaySeconds above it"
            ),
        };
        found.push(
            finding(
                Cause::LivenessTooEarly,
                8,
                format!("the {field} {what}: it is killed {window} s after each start and never gets further"),
                path,
            )
            .proven(run.tail(2))
            .advise(advice, "until a startupProbe has passed once, the liveness probe doesn't count"),
        );
        return;
    }
    let slow = message.contains("deadline exceeded") || message.contains("Timeout") || message.contains("timed out");
    let (summary, advice) = match slow {
        true => (
            format!("the {field} of container {} times out after {} s", run.name(), probe.timeout_seconds.unwrap_or(1)),
            format!("raise {path}.timeoutSeconds, or give the container more CPU"),
        ),
        false => (
            format!("the {field} of container {} fails while the container runs", run.name()),
            "make the probe ask only whether the process itself works, never its dependencies".to_owned(),
        ),
    };
    found.push(
        finding(Cause::LivenessWrong, 6, summary, path)
            .proven(run.tail(2))
            .advise(advice, "a restart doesn't help against load or a dependency: it only adds the start-up to it"),
    );
}

fn kind_of(probe: &Probe) -> &'static str {
    match (&probe.http_get, &probe.tcp_socket, &probe.grpc) {
        (Some(_), ..) => "httpGet",
        (_, Some(_), _) => "tcpSocket",
        (.., Some(_)) => "grpc",
        _ => "exec",
    }
}

fn asked_path(probe: &Probe) -> String {
    probe.http_get.as_ref().map_or_else(String::new, |h| format!("`{}`", h.path))
}

struct WrongPort {
    asked: String,
    instead: String,
}

/// A port that the container neither declares nor says it listens on.
fn wrong_port(run: &Run<'_>, probe: &Probe, message: &str) -> Option<WrongPort> {
    let spec = run.container.spec;
    let number =
        match port(probe).cloned().or_else(|| probe.grpc.as_ref().and_then(|g| g.port).map(IntOrString::Int))? {
            IntOrString::Int(number) => number,
            IntOrString::String(name) => match spec.ports.iter().find(|p| p.name == name) {
                Some(port) => port.container_port,
                None => {
                    return Some(WrongPort {
                        asked: format!("`{name}`"),
                        instead: "which no container port is named".to_owned(),
                    });
                }
            },
        };
    let refused =
        message.contains("refused") || message.contains("deadline exceeded") || message.contains("i/o timeout");
    if !refused {
        return None;
    }
    let heard: Vec<i64> = listening(&run.text);
    let asked = number.to_string();
    if heard.contains(&number) {
        return None;
    }
    if let Some(other) = heard.first() {
        return Some(WrongPort { asked, instead: format!("and the container says that it listens on {other}") });
    }
    let declared = spec.ports.iter().any(|p| p.container_port == number);
    (!declared && !spec.ports.is_empty()).then(|| {
        let ports: Vec<String> = spec.ports.iter().map(|p| p.container_port.to_string()).collect();
        WrongPort { asked, instead: format!("which declares {}", ports.join(", ")) }
    })
}

/// Ports that a log says are listened on: `listening on :8080`, `Started HTTP server on port 7000`, `port=6379`.
pub(super) fn listening(text: &str) -> Vec<i64> {
    let mut out = Vec::new();
    for line in text.lines().take(5_000) {
        let lower = line.to_ascii_lowercase();
        let said = [
            "listening",
            "listens",
            "started on port",
            "server on port",
            "serving on",
            "running on",
            "started server on",
            "mode=standalone, port",
            "bound to",
        ];
        let Some(at) = said.iter().filter_map(|w| lower.find(w)).min() else { continue };
        // UDP's ports are others.
        if lower.contains("error") || lower.contains("fail") || lower.contains("eaddrinuse") || lower.contains("udp") {
            continue;
        }
        for word in
            lower[at..].split(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'' | '(' | ')' | '=' | '/'))
        {
            let digits = word.rsplit(':').next().unwrap_or_default().trim_end_matches(['.', ';']);
            if let Ok(number @ 1..=65535) = digits.parse::<i64>() {
                out.push(number);
                break;
            }
        }
    }
    out.dedup();
    out
}

fn status_code(message: &str) -> Option<u16> {
    message.split("statuscode: ").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What the container speaks and what the probe asked in, where they differ.
fn other_scheme(message: &str) -> Option<(&'static str, &'static str)> {
    if message.contains("HTTP response to HTTPS client") || message.contains("first record does not look like a TLS") {
        return Some(("HTTP", "HTTPS"));
    }
    let tls = message.contains("malformed HTTP") && message.contains("\\x15\\x03");
    (tls || message.contains("HTTP request to an HTTPS server")).then_some(("HTTPS", "HTTP"))
}

fn broken_command(message: &str) -> Option<&'static str> {
    let lower = message.to_ascii_lowercase();
    if lower.contains("executable file not found")
        || lower.contains("not found\n")
        || lower.ends_with(": not found")
        || lower.contains("no such file or directory")
    {
        Some("there is no such command")
    } else if lower.contains("permission denied") {
        Some("permission denied")
    } else {
        None
    }
}

/// It runs and isn't ready: no crash.
pub(super) fn readiness(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    if !run.stuck || run.is_init() {
        return;
    }
    let Some(ready) = condition(&pod.pod.status.conditions, "Ready").filter(|c| c.status != "True") else { return };
    let failures: Vec<&Event> = pod
        .events(&["Unhealthy"], Some(run.name()))
        .into_iter()
        .filter(|e| e.message.starts_with("Readiness probe"))
        .collect();
    let failure = failures.iter().max_by_key(|e| (e.last, e.count));
    let (kind, name) = pod.owner();
    let path = pod.template_path(&format!("{}.readinessProbe", run.container.path()));
    let message = failure.map(|e| e.message.as_str()).unwrap_or_default();
    let since = ready.last_transition_time.as_deref().and_then(time::parse).map(|at| pod.case.facts.now - at);
    let what = match status_code(message) {
        Some(code) => format!(": it answers {code}"),
        None if message.contains("refused") => ": nothing listens on the port that is asked".to_owned(),
        None if message.contains("deadline exceeded") => ": it doesn't answer in time".to_owned(),
        None => String::new(),
    };
    found.push(
        Finding::new(Cause::ReadinessOnly, if failure.is_some() { 7 } else { 3 }, pod.key, format!("container {} runs and its readiness probe fails{what}; it is not restarted for that", run.name()))
            .of_container(run.name())
            .proven(failure.map(|e| event_proof(e)))
            .proven([Proof::new(ProofKind::Status, "status.conditions Ready", &format!("{} for {}: {}", ready.status, time::length(since.unwrap_or(0)), ready.message))])
            .proven(run.tail(2))
            .advise(
                format!("find out why it says that it isn't ready, or correct {path}"),
                "a pod that isn't ready gets no traffic from Services and is never restarted for it; probes come from the node, so no policy is in their way",
            )
            .shown_by(pod.describe())
            .blame(kind, pod.namespace(), name, run.container.spec.readiness_probe.is_some().then_some(path)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_listened_on() {
        assert_eq!(listening("web listening on 8080"), [8080]);
        assert_eq!(listening("Started HTTP server on port 7000"), [7000]);
        assert_eq!(listening("LOG:  listening on IPv4 address \"0.0.0.0\", port 5432"), [5432]);
        assert_eq!(listening("Listening at: http://0.0.0.0:8000 (1)"), [8000]);
        assert_eq!(listening("Started UDP server on port  8081"), Vec::<i64>::new());
        assert_eq!(listening("listen EADDRINUSE: address already in use :::8080"), Vec::<i64>::new());
    }

    #[test]
    fn codes_of_http_probes() {
        assert_eq!(status_code("Readiness probe failed: HTTP probe failed with statuscode: 503"), Some(503));
        assert_eq!(status_code("dial tcp: connection refused"), None);
    }
}
