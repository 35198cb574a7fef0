//! From a connection error, or a declared dependency, to what stops it: a policy, DNS, the Service, or the other end.
//!
//! "Score, then confirm" (CRASH.md): a log line says how a connection failed, the evaluator says whether a policy stops it.
//! A refused connection reached something; a time-out may be a drop. What was only declared is said to be only that.

mod attempt;
mod blocked;
mod culprits;
mod other_end;

use super::cause::{Cause, Confidence};
use super::depend;
use super::finding::{Finding, Network, Proof, ProofKind, Target as Dialled};
use super::resolve::{self, Resolved};
use super::run::{Examined, Run};
use super::time;
use crate::analysis::logs::{LogClass, LogError};
use crate::model::query::{PortSpec, Target};
use crate::model::{PodId, Protocol};
use crate::reach::{Check, CheckOptions, Source, Verdict};
use attempt::{ANY_NAME, Attempt, LOG_LINE, Spoken, attempts_of, got_over};

/// Most connection errors of one container that are followed.
const MOST: usize = 12;

/// The causes that connection errors in the log lead to.
pub(super) fn connections(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    if run.ended.is_some_and(|e| e.reason == "OOMKilled") {
        return;
    }
    let errors: Vec<&LogError> = run.scan.errors.iter().filter(|e| !e.inbound).collect();
    if errors.is_empty() || got_over(run, &errors) {
        return;
    }
    let spoken = Spoken::of(pod, run);
    let mut attempts: Vec<Attempt<'_>> = Vec::new();
    // What was said last is what ended the run.
    for error in errors.iter().rev().take(MOST) {
        attempts.extend(attempts_of(pod, error, &spoken));
    }
    let mut judged: Vec<Finding> = Vec::new();
    let mut rank = 0;
    for attempt in &attempts {
        let Some(mut finding) = judge(pod, run, attempt) else { continue };
        // Earlier lines count a little less than the last.
        finding.score -= i32::from(rank > 2);
        rank += 1;
        let same = |f: &Finding| {
            f.cause == finding.cause
                && f.network.as_ref().map(|n| &n.target.host) == finding.network.as_ref().map(|n| &n.target.host)
        };
        match judged.iter_mut().find(|f| same(f)) {
            Some(known) => {
                let more = finding.evidence.into_iter().filter(|p| p.kind == ProofKind::Log).take(1);
                let known_logs = known.evidence.iter().filter(|p| p.kind == ProofKind::Log).count();
                if known_logs < 3 {
                    known.evidence.extend(more.filter(|p| !known.evidence.contains(p)).collect::<Vec<_>>());
                }
                known.score = known.score.max(finding.score);
            }
            None => judged.push(finding),
        }
    }
    settle(&mut judged);
    if judged.is_empty() {
        judged.extend(errors.iter().rev().find_map(|error| untold(pod, run, error)));
    }
    found.extend(judged);
}

/// A connection that reached something and failed there, where nothing says what: not a matter of policies.
fn untold(pod: &Examined<'_>, run: &Run<'_>, error: &LogError) -> Option<Finding> {
    if error.host.is_some() || run.ended.is_none_or(|e| e.exit_code == 0) {
        return None;
    }
    let name = run.name();
    let (cause, summary, advice, because) = match error.class {
        LogClass::Tls => (
            Cause::Tls,
            format!("container {name} makes a connection and can't agree on TLS with whom it reaches"),
            "compare the server's certificate (names, issuer, dates) with what the client trusts and expects",
            "a handshake needs a connection: policies let it through",
        ),
        LogClass::Refused => (
            Cause::DependencyDown,
            format!("a connection of container {name} is refused; its log doesn't say which"),
            "let the program log what it dials, and look whether that listens",
            "a refusal is an answer: the packet got there, and nobody listens",
        ),
        _ => return None,
    };
    let (kind, owner) = pod.owner();
    let finding = Finding::new(cause, if cause == Cause::Tls { 6 } else { 4 }, pod.key, summary)
        .of_container(name)
        .proven([run.error_proof(error)])
        .proven(run.end_proof())
        .proven(depend::unread(run).iter().map(|v| Proof::new(ProofKind::Spec, "not read", v)))
        .advise(advice, because)
        .shown_by(run.logs_command(pod));
    Some(finding.blame(kind, pod.namespace(), owner, None))
}

/// Where a target is certain, what was only guessed for another line of the same log says nothing more.
fn settle(judged: &mut Vec<Finding>) {
    let best = judged.iter().map(|f| f.score).max().unwrap_or_default();
    judged.retain(|f| f.score + 3 > best || f.confidence == Confidence::High && f.cause.is_policy());
}

fn ask(pod: &Examined<'_>, id: PodId, target: &Target, port: u16, dns: bool) -> Check {
    pod.case.evaluator.check(Source::Pod(id), target, &PortSpec::Number(port), Protocol::Tcp, CheckOptions { dns })
}

/// What stops an attempt, where something is known to.
fn judge(pod: &Examined<'_>, run: &Run<'_>, attempt: &Attempt<'_>) -> Option<Finding> {
    let id = pod.id?;
    let resolved = resolve::resolve(pod, &attempt.host);
    let port = attempt.port.or_else(|| resolved.port(pod, attempt.scheme.as_deref(), &attempt.families));
    let way = Way { pod, run, attempt, id, port, leads_to: resolved.describe(pod), resolved };
    let by_name = attempt.host.parse::<std::net::IpAddr>().is_err();
    let target = match &way.resolved {
        Resolved::Own => return way.own(),
        Resolved::Missing(_) => None,
        Resolved::Found(target) => Some(target),
    };
    // A name outside the cluster is whatever address it had.
    let at = attempt.address.filter(|_| matches!(target, Some(Target::Name(_)))).map(Target::Address);
    let target = at.as_ref().or(target);
    // The DNS leg is the same for every name: where the name leads nowhere, any name's will do.
    let any = Target::Name(attempt.host.as_str().into());
    let dns = by_name
        .then(|| {
            ask(pod, id, target.filter(|t| !matches!(t, Target::Pods(_))).unwrap_or(&any), port.unwrap_or(443), true)
        })
        .and_then(|c| {
            let verdict = c.dns.as_ref()?.verdict;
            Some((c, verdict))
        });
    let dns_blocked = dns.as_ref().filter(|(_, v)| matches!(v, Verdict::Blocked | Verdict::Partial));
    let dns_unknown = dns.as_ref().filter(|(_, v)| *v == Verdict::Unknown);
    match attempt.class {
        LogClass::DnsTimeout | LogClass::DnsServfail => {
            if let Some((check, _)) = dns_blocked {
                return Some(way.blocked(check.clone(), true, 5));
            }
            if let Some((check, _)) = dns_unknown {
                return Some(way.blocked(check.clone(), true, 1));
            }
            if attempt.known_from == ANY_NAME {
                return None;
            }
            // The resolver gives up in the same words where the name doesn't exist upstream.
            if (attempt.class == LogClass::DnsServfail || !attempt.certain)
                && let Resolved::Missing(near) = &way.resolved
            {
                return Some(way.no_name(near));
            }
            return Some(way.dns_down());
        }
        LogClass::DnsNxdomain if attempt.known_from == ANY_NAME => {
            let (check, _) = dns_blocked.filter(|_| !attempt.certain)?;
            return Some(way.blocked(check.clone(), true, 3));
        }
        LogClass::DnsNxdomain => {
            if let Some((check, _)) = dns_blocked.filter(|_| !attempt.certain || target.is_some()) {
                return Some(way.blocked(check.clone(), true, 5));
            }
            return match &way.resolved {
                Resolved::Missing(near) => Some(way.no_name(near)),
                _ => {
                    let near = resolve::like(
                        pod,
                        attempt.host.split('.').next().unwrap_or_default(),
                        attempt.host.split('.').nth(1),
                    );
                    let inside = way.resolved.service().is_some() || way.resolved.pod().is_some();
                    Some(if inside { way.dns_down() } else { way.no_name(&near) })
                }
            };
        }
        _ => {}
    }
    let drop_like =
        matches!(attempt.class, LogClass::Timeout | LogClass::Unreachable | LogClass::Pool | LogClass::Context);
    if drop_like
        && !attempt.resolved
        && let Some((check, _)) = dns_blocked
    {
        return Some(way.blocked(check.clone(), true, 4));
    }
    let Some(target) = target else {
        let Resolved::Missing(near) = &way.resolved else { return None };
        // The name has no meaning now; without an answer from DNS in the log that is all there is to say.
        return (drop_like && attempt.strength >= 2).then(|| way.no_name(near));
    };
    let port = port?;
    let check = ask(pod, id, target, port, false);
    way.verdict(check, drop_like)
}

/// A failed attempt with what its target leads to.
struct Way<'w> {
    pod: &'w Examined<'w>,
    run: &'w Run<'w>,
    attempt: &'w Attempt<'w>,
    id: PodId,
    port: Option<u16>,
    leads_to: String,
    resolved: Resolved,
}

impl Way<'_> {
    fn target(&self) -> Dialled {
        Dialled {
            host: self.attempt.host.clone(),
            port: self.port,
            leads_to: self.leads_to.clone(),
            known_from: self.attempt.known_from.clone(),
        }
    }

    fn network(&self, check: Option<Check>) -> Box<Network> {
        Box::new(Network {
            target: self.target(),
            direction: None,
            policies: Vec::new(),
            diagnostics: Vec::new(),
            asked: match (&self.resolved, self.attempt.address) {
                (Resolved::Found(Target::Name(_)), Some(address)) => Some(Target::Address(address)),
                (Resolved::Found(target), _) => Some(target.clone()),
                _ => None,
            },
            check,
            proposal: Default::default(),
        })
    }

    fn finding(&self, cause: Cause, score: i32, summary: String, check: Option<Check>) -> Finding {
        let (kind, name) = self.pod.owner();
        let mut finding = Finding::new(cause, score, self.pod.key, summary)
            .of_container(self.run.name())
            .proven(self.attempt.error.map(|e| self.run.error_proof(e)))
            .shown_by(self.run.logs_command(self.pod))
            .blame(kind, self.pod.namespace(), name, None);
        let source = match self.attempt.known_from.as_str() {
            LOG_LINE => None,
            ANY_NAME => Some(Proof::new(ProofKind::Spec, ANY_NAME, &self.attempt.host)),
            other => Some(Proof::new(ProofKind::Spec, format!("target known from {other}"), &self.target().text())),
        };
        finding = finding.proven(source).proven(self.run.end_proof()).proven(lengths(self.run, self.attempt.class));
        finding.network = Some(self.network(check));
        finding
    }

    /// What the evaluator's answer means for this attempt.
    fn verdict(&self, check: Check, drop_like: bool) -> Option<Finding> {
        if let Some(obstacle) = check.obstacle.clone() {
            return self.obstacle(&obstacle, check);
        }
        let strength = self.attempt.strength;
        match check.verdict {
            Verdict::Blocked | Verdict::Partial if drop_like || self.pod.case.profile.rejects => {
                Some(self.blocked(check, false, 4))
            }
            Verdict::Blocked | Verdict::Partial => match self.attempt.class {
                // Something answered: where the plugin's way to deny isn't known, it may be the plugin itself.
                LogClass::Refused if self.attempt.one_of_several => None,
                LogClass::Refused if !self.server_troubled(&check) => Some(self.blocked(check, false, 1)),
                LogClass::Refused => Some(self.down(check)),
                _ => None,
            },
            Verdict::Unknown if drop_like => Some(self.blocked(check, false, 1)),
            Verdict::Unknown => None,
            Verdict::Reachable | Verdict::Unreachable => match self.attempt.class {
                LogClass::Refused | LogClass::Unreachable => Some(self.down(check)),
                LogClass::Timeout if strength >= 2 => Some(self.silent(check)),
                LogClass::Pool if strength >= 2 => Some(self.silent(check)),
                LogClass::Reset => Some(self.down(check)),
                LogClass::Tls => Some(self.tls(check)),
                _ => None,
            },
        }
    }
}

/// Run lengths that give a dropped SYN away: what the kernel and the drivers wait by default (CRASH.md, B).
fn lengths(run: &Run<'_>, class: LogClass) -> Option<Proof> {
    let length = run.length?;
    let known = match length {
        126..=136 => "the kernel gives a connection up after about 127 s (tcp_syn_retries = 6)",
        30..=32 => "many drivers give up after 30 s (Hikari, MongoDB, sqlx)",
        60..=62 => "some clients give up after 60 s (Kafka metadata)",
        _ => return None,
    };
    matches!(class, LogClass::Timeout | LogClass::Pool | LogClass::Context)
        .then(|| Proof::new(ProofKind::Time, "length of the run", &format!("{}: {known}", time::length(length))))
}

/// Where the log is silent: dependencies that the spec declares and a policy stops. Never as certain.
pub(super) fn declared(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    let waits = run.stuck && run.is_init();
    let ended_badly = run.ended.is_some_and(|e| (1..=125).contains(&e.exit_code) || e.exit_code == 255);
    let not_ready = run.stuck && !run.is_init() && pod.subject.trouble == "NotReady";
    if !waits && !ended_badly && !not_ready {
        return;
    }
    // What was refused, cut or not trusted was reached: no policy explains it.
    let reached = |class| matches!(class, LogClass::Refused | LogClass::Reset | LogClass::Tls);
    let mut errors = run.scan.errors.iter().filter(|e| !e.inbound && e.class != LogClass::Context).peekable();
    if errors.peek().is_some() && errors.all(|e| reached(e.class)) {
        return;
    }
    let mut judged: Vec<Finding> = Vec::new();
    let all = depend::declared(pod, run);
    let only_watches = all.iter().all(depend::watches);
    for candidate in all.iter().filter(|c| c.strength >= if not_ready { 3 } else { 2 }).take(MOST) {
        let attempt = Attempt {
            error: None,
            class: if candidate.scheme.as_deref() == Some("dns") { LogClass::DnsTimeout } else { LogClass::Timeout },
            certain: false,
            host: candidate.host.clone(),
            port: candidate.port,
            scheme: candidate.scheme.clone(),
            known_from: candidate.source.clone(),
            address: None,
            one_of_several: false,
            resolved: candidate.host.parse::<std::net::IpAddr>().is_ok(),
            strength: if waits { 3 } else { i32::from(candidate.strength >= 4) },
            families: Vec::new(),
        };
        let Some(mut finding) = judge(pod, run, &attempt) else { continue };
        // That a way is open says nothing of what is only declared; that it is shut does.
        let shut = finding.cause.is_policy() || matches!(finding.cause, Cause::NoEndpoints | Cause::WrongPort);
        let explains =
            waits && matches!(finding.cause, Cause::NameNotFound | Cause::DependencyDown | Cause::SlowDependency);
        if !shut && !explains {
            continue;
        }
        if not_ready && !finding.cause.is_policy() {
            continue;
        }
        if !waits {
            finding.score = finding.score.min(if depend::watches(candidate) && !only_watches { 2 } else { 5 });
            finding.confidence = finding.confidence.min(Confidence::Medium);
        }
        judged.push(finding.proven(run.tail(2)));
    }
    judged.sort_by_key(|f| -f.score);
    judged.truncate(3);
    if judged.is_empty() {
        return;
    }
    found.extend(judged);
}
