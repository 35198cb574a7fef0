//! From a connection error, or a declared dependency, to what stops it: a policy, DNS, the Service, or the other end.
//!
//! "Score, then confirm" (CRASH.md): a log line says how a connection failed, the evaluator says whether a policy stops it.
//! A refused connection reached something; a time-out may be a drop. What was only declared is said to be only that.

use super::cause::{Cause, Confidence};
use super::depend::{self, Candidate};
use super::finding::{Finding, Network, PolicyPlace, Proof, ProofKind, Target as Dialled};
use super::probes::listening;
use super::resolve::{self, Resolved};
use super::run::{Examined, Run};
use super::said::own_fault;
use super::{facts, select, time};
use crate::analysis::explain::{Explanation, How, Mismatch, Missed, NearMiss, Stretch, explain};
use crate::analysis::fix::{Question, propose};
use crate::analysis::logs::{EvidenceKind, LogClass, LogError};
use crate::model::query::{PortSpec, Target};
use crate::model::{PodId, Protocol};
use crate::policy::rule::Direction;
use crate::reach::{Check, CheckOptions, Obstacle, Outcome, Source, Verdict};
use crate::source::FieldPath;

/// Where a target is known from that nothing names.
const GUESSED: &str = "the driver's usual port: no object or line names the target";
/// Most connection errors of one container that are followed.
const MOST: usize = 12;

/// A connection that failed, or is suspected to.
struct Attempt<'a> {
    error: Option<&'a LogError>,
    class: LogClass,
    certain: bool,
    host: String,
    port: Option<u16>,
    scheme: Option<String>,
    known_from: String,
    /// Whether the name was resolved, as far as the log shows.
    resolved: bool,
    /// How much speaks for its being what failed.
    strength: i32,
    families: Vec<&'static str>,
}

/// The causes that connection errors in the log lead to.
pub(super) fn connections(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    if run.ended.is_some_and(|e| e.reason == "OOMKilled") {
        return;
    }
    let errors: Vec<&LogError> = run.scan.errors.iter().filter(|e| !e.inbound).collect();
    if errors.is_empty() || got_over(run, &errors) {
        return;
    }
    let families = depend::families(&run.text);
    let declared = depend::declared(pod, run);
    let mut attempts: Vec<Attempt<'_>> = Vec::new();
    // What was said last is what ended the run.
    for error in errors.iter().rev().take(MOST) {
        attempts.extend(attempts_of(pod, error, &families, &declared));
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
    found.extend(judged);
}

/// Where a target is certain, what was only guessed for another line of the same log says nothing more.
fn settle(judged: &mut Vec<Finding>) {
    let best = judged.iter().map(|f| f.score).max().unwrap_or_default();
    judged.retain(|f| f.score + 3 > best || f.confidence == Confidence::High && f.cause.is_policy());
}

/// Whether the program went on after its last connection error, and ended by a fault of its own.
fn got_over(run: &Run<'_>, errors: &[&LogError]) -> bool {
    let last = errors.iter().map(|e| e.last_line).max().unwrap_or_default();
    let own = run.scan.evidence.iter().rev().find(|e| {
        matches!(
            e.kind,
            EvidenceKind::AppError
                | EvidenceKind::MissingConfig
                | EvidenceKind::MissingFile
                | EvidenceKind::Permission
                | EvidenceKind::AddressInUse
                | EvidenceKind::AuthFailed
                | EvidenceKind::JvmHeap
                | EvidenceKind::OutOfMemory
        ) && e.line_number > last
            && (e.kind != EvidenceKind::AppError || own_fault(&e.line))
    });
    let Some(own) = own else { return false };
    let between = run.text.lines().skip(last).take(own.line_number.saturating_sub(last + 1));
    between.into_iter().any(|line| {
        let upper = line.to_ascii_uppercase();
        [
            "INFO",
            "DEBUG",
            "STARTED",
            "READY",
            "CONTINUING",
            "SKIPPING",
            "LISTENING",
            "SERVING",
            "LOADED",
            "FALLING BACK",
        ]
        .iter()
        .any(|w| upper.contains(w))
    })
}

/// What a line's error was dialling: the address it names, the one a line before named, or what the spec declares.
fn attempts_of<'a>(
    pod: &Examined<'_>,
    error: &'a LogError,
    families: &[&'static str],
    declared: &[Candidate],
) -> Vec<Attempt<'a>> {
    let weight = match error.class {
        LogClass::Context | LogClass::Pool => 1,
        _ if error.certain => 3,
        _ => 2,
    };
    let of_line = depend::families(&format!("{} {}", error.runtime.unwrap_or_default(), error.line));
    let families = if of_line.is_empty() { families.to_vec() } else { of_line };
    let is_ip = |h: &str| h.parse::<std::net::IpAddr>().is_ok();
    let from =
        |host: &str, port: Option<u16>, scheme: Option<String>, known_from: String, strength: i32, resolved: bool| {
            Attempt {
                error: Some(error),
                class: error.class,
                certain: error.certain,
                host: host.to_owned(),
                port,
                scheme,
                known_from,
                resolved,
                strength,
                families: families.clone(),
            }
        };
    if let Some(host) = &error.host {
        // A name says more than its address, which may be another Service's by now.
        let named = match (&error.alias, is_ip(host)) {
            (Some(alias), true) if !is_ip(alias) => alias,
            _ => host,
        };
        let resolved = error.alias.as_deref().is_some_and(is_ip) || is_ip(host);
        // An address alone: the name that the pod dials it by, where the spec or a line before has one.
        let leads_to = |name: &str| resolve::resolve(pod, name).service();
        let service = is_ip(named).then(|| leads_to(named)).flatten();
        let hinted = error.hint.as_ref().and_then(|h| h.host.as_ref());
        let by_name = declared
            .iter()
            .map(|c| &c.host)
            .chain(hinted)
            .find(|name| service.is_some() && !is_ip(name) && leads_to(name) == service);
        // An address of a Service that was made anew since: what is declared with the same port is what it was.
        let gone = is_ip(named)
            && service.is_none()
            && is_private(named)
            && matches!(resolve::resolve(pod, named), Resolved::Found(Target::Address(_)));
        let port_of = |c: &Candidate| c.port.or_else(|| depend::port_of_scheme(c.scheme.as_deref()?));
        let same_port = |c: &Candidate| error.port.is_some() && port_of(c) == error.port;
        let heir = declared.iter().find(|c| gone && same_port(c) && leads_to(&c.host).is_some());
        let named = by_name.or(heir.map(|c| &c.host)).unwrap_or(named);
        let known = declared.iter().find(|c| c.host.eq_ignore_ascii_case(named));
        let port = error.port.or_else(|| known.and_then(|c| c.port));
        let scheme = error.scheme.clone().or_else(|| known.and_then(|c| c.scheme.clone()));
        return vec![from(named, port, scheme, "the log line".to_owned(), weight + 1, resolved)];
    }
    let mut out = Vec::new();
    if let Some(hint) = error.hint.as_ref()
        && let Some(host) = &hint.host
        && !depend::own(host)
    {
        let resolved = is_ip(host);
        out.push(from(
            host,
            hint.port.or(error.port),
            hint.scheme.clone(),
            "a log line before".to_owned(),
            weight,
            resolved,
        ));
    }
    if out.is_empty() {
        for candidate in fitting(declared, &families, error.port) {
            out.push(from(
                &candidate.host,
                candidate.port.or(error.port),
                candidate.scheme.clone(),
                candidate.source.clone(),
                weight.min(2) + i32::from(candidate.strength > 3),
                is_ip(&candidate.host),
            ));
        }
    }
    // Nothing names a target: what the driver usually talks to, where this pod can't reach it.
    if out.is_empty() && !matches!(error.class, LogClass::Context) {
        let ports: Vec<u16> =
            error.port.into_iter().chain(families.iter().filter_map(|f| depend::port_of_scheme(f))).collect();
        for (host, port) in guesses(pod, &ports) {
            out.push(from(&host, Some(port), None, GUESSED.to_owned(), weight.min(2), false));
        }
    }
    out
}

fn is_private(address: &str) -> bool {
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => ip.is_private(),
        Ok(std::net::IpAddr::V6(ip)) => ip.is_unique_local(),
        Err(_) => false,
    }
}

/// The declared dependencies that a driver may have meant; all where none fits.
fn fitting<'c>(declared: &'c [Candidate], families: &[&str], port: Option<u16>) -> Vec<&'c Candidate> {
    let strong: Vec<&Candidate> = declared.iter().filter(|c| c.strength >= 2).collect();
    let by_port: Vec<&Candidate> = strong.iter().filter(|c| port.is_some() && c.port == port).copied().collect();
    if !by_port.is_empty() {
        return by_port;
    }
    let fits = |c: &&&Candidate| match depend::family(c.scheme.as_deref(), c.port) {
        Some(family) => families.contains(&family),
        None => false,
    };
    let by_family: Vec<&Candidate> = strong.iter().filter(fits).copied().collect();
    if !by_family.is_empty() {
        return by_family;
    }
    // A host without a scheme may be anything; one of another family isn't it.
    let open: Vec<&Candidate> = strong
        .iter()
        .filter(|c| families.is_empty() || depend::family(c.scheme.as_deref(), c.port).is_none())
        .copied()
        .collect();
    open
}

/// Services with one of these ports that a policy keeps the pod from: its own namespace's first.
fn guesses(pod: &Examined<'_>, ports: &[u16]) -> Vec<(String, u16)> {
    let cluster = pod.case.evaluator.cluster;
    let Some(id) = pod.id else { return Vec::new() };
    let mut out: Vec<(bool, usize, String, u16)> = Vec::new();
    for (index, service) in cluster.services.iter().enumerate() {
        let namespace = &cluster.namespaces[service.namespace.index()].name;
        for port in service.ports.iter().filter(|p| ports.contains(&p.number) && p.protocol == Protocol::Tcp) {
            let target = Target::Service(crate::model::ServiceId(index as u32));
            let check = ask(pod, id, &target, port.number, false);
            if matches!(check.verdict, Verdict::Blocked | Verdict::Partial) {
                let near = explain(pod.case.evaluator, &check)
                    .iter()
                    .filter_map(|e| e.near_misses.first())
                    .map(|m| m.distance)
                    .min();
                let elsewhere = **namespace != *pod.namespace();
                out.push((
                    elsewhere,
                    near.map_or(usize::MAX, |d| d as usize),
                    format!("{}.{namespace}", service.name),
                    port.number,
                ));
            }
        }
        if out.len() >= MOST {
            break;
        }
    }
    out.sort();
    out.into_iter().map(|(.., host, port)| (host, port)).take(3).collect()
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
            // The resolver gives up in the same words where the name doesn't exist upstream.
            if (attempt.class == LogClass::DnsServfail || !attempt.certain)
                && let Resolved::Missing(near) = &way.resolved
            {
                return Some(way.no_name(near));
            }
            return Some(way.dns_down());
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
            "the log line" => None,
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

    /// A policy stops it. `base` is what the evaluator's answer adds to the line's strength.
    fn blocked(&self, check: Check, dns: bool, base: i32) -> Finding {
        let cause = if dns { Cause::DnsBlocked } else { Cause::PolicyBlocked };
        let target = self.target().text();
        let explanations = explain(self.pod.case.evaluator, &check);
        let wanted = if dns { Stretch::Dns } else { Stretch::Target };
        let of_way: Vec<&Explanation> = explanations.iter().filter(|e| e.stretch == wanted).collect();
        let direction = match (dns, of_way.first()) {
            (true, _) => Some("dns"),
            (false, Some(e)) => Some(e.direction.name()),
            (false, None) => None,
        };
        let policies = places(&explanations, wanted, &self.addresses());
        let unknown = of_way.iter().all(|e| e.outcome != Outcome::Denied);
        let mut score = self.attempt.strength + base;
        let time = self.times(&policies);
        score += i32::from(time.is_some());
        let names: Vec<String> = names(&policies);
        let by = match names.as_slice() {
            [] => "a policy".to_owned(),
            [one] => one.clone(),
            [one, ..] => format!("{one} and {} more", names.len() - 1),
        };
        let declared = self.attempt.error.is_none();
        let verb = match (unknown, declared) {
            (true, _) => "probably can't",
            (false, true) => "declares a dependency that it can't",
            (false, false) => "can't",
        };
        let summary = match (dns, direction) {
            (true, _) => format!("container {} {verb} resolve {target}: DNS is blocked by {by}", self.run.name()),
            (_, Some("ingress")) => format!(
                "container {} {verb} reach {target}: ingress at {} is blocked by {by}",
                self.run.name(),
                self.leads_to
            ),
            _ => format!("container {} {verb} reach {target}: egress from the pod is blocked by {by}", self.run.name()),
        };
        let mut finding = self.finding(cause, score, summary, Some(check.clone()));
        if unknown || self.attempt.known_from == GUESSED {
            finding.confidence = finding.confidence.min(Confidence::Medium);
        }
        let mut told: Vec<(String, &str)> = Vec::new();
        let policy_proofs: Vec<Proof> = policies
            .iter()
            .filter(|p| {
                let new = !told.contains(&(reference(p), p.role));
                told.push((reference(p), p.role));
                new
            })
            .take(4)
            .map(|p| Proof::new(ProofKind::Policy, format!("{} {}", reference(p), p.path), p.role))
            .collect();
        finding = finding.proven(policy_proofs).proven(time);
        let proposal = self.propose(&check, dns);
        let advice = match proposal.fixes.first().and_then(|f| f.edits.first()) {
            Some(edit) => format!(
                "{} {}: {}",
                if matches!(edit.target, crate::analysis::fix::EditTarget::New) { "add" } else { "change" },
                edit.reference(),
                edit.steps.join("; ")
            ),
            None if unknown => {
                format!("allow {target} in {by}, by the address that the name has; see what differs below")
            }
            None => format!("allow {target} in {by}"),
        };
        let because = match unknown {
            false => "the evaluator finds every other part of the way open; with the change it finds all of it open"
                .to_owned(),
            true => "whether the policy matches depends on what isn't known here, such as the address behind a name"
                .to_owned(),
        };
        let command = match (dns, self.port) {
            (true, _) => format!("netcheck {}/{} {target}", self.pod.namespace(), self.pod.name()),
            (false, _) => format!("netcheck {}/{} {target} --no-dns", self.pod.namespace(), self.pod.name()),
        };
        finding = finding.advise(advice, because).shown_by(command);
        if let Some(network) = &mut finding.network {
            network.direction = direction;
            network.diagnostics = of_way.iter().map(|e| e.diagnostic(self.pod.case.evaluator)).collect();
            network.proposal = proposal;
        }
        if let Some(first) = policies.first() {
            finding = finding.blame(
                &first.kind,
                first.namespace.as_deref().unwrap_or_default(),
                &first.name,
                Some(first.path.clone()),
            );
        }
        if let Some(network) = &mut finding.network {
            network.policies = policies;
        }
        finding
    }

    /// The addresses of the Service that is dialled.
    fn addresses(&self) -> Vec<std::net::IpAddr> {
        let cluster = self.pod.case.evaluator.cluster;
        self.resolved.service().map(|id| cluster.services[id.index()].cluster_ips.clone()).unwrap_or_default()
    }

    fn propose(&self, check: &Check, dns: bool) -> crate::analysis::fix::Proposal {
        let any = Target::Name(self.attempt.host.as_str().into());
        let target = match &self.resolved {
            Resolved::Found(target) => target,
            _ => &any,
        };
        if !matches!(check.verdict, Verdict::Blocked | Verdict::Partial) {
            return Default::default();
        }
        let port = resolve::spec(self.port.unwrap_or(443));
        let question = Question {
            source: Source::Pod(self.id),
            target,
            port: &port,
            protocol: Protocol::Tcp,
            options: CheckOptions { dns },
        };
        propose(self.pod.case.evaluator, self.pod.case.profile, self.pod.case.sources, &question)
    }

    /// The newest change of a policy at fault against the start of the trouble.
    fn times(&self, policies: &[PolicyPlace]) -> Option<Proof> {
        let facts = self.pod.case.facts;
        let started = self.pod.pod.status.start_time.as_deref().and_then(time::parse)?;
        let (place, at) = policies
            .iter()
            .filter_map(|p| {
                let key = (p.kind.clone(), p.namespace.clone().unwrap_or_default(), p.name.clone());
                let written = facts.policies.get(&key)?;
                Some((p, written.changed.or(written.created)?))
            })
            .max_by_key(|(_, at)| *at)?;
        let first = self.run.ended.and_then(|e| time::parse(e.started_at.as_deref()?)).unwrap_or(started).min(started);
        let (before, text) = if at > started {
            (false, format!("changed {} after the pod started", time::length(at - started)))
        } else {
            (true, format!("changed {} before the pod started", time::length(first - at)))
        };
        // An hour is the time in which one thing still follows from the other.
        (!before || first - at <= 3600).then(|| Proof::new(ProofKind::Time, reference(place), &text))
    }

    /// No policy is at fault, and it can't work.
    fn obstacle(&self, obstacle: &Obstacle, check: Check) -> Option<Finding> {
        let cluster = self.pod.case.evaluator.cluster;
        let target = self.target().text();
        let service = self.resolved.service().map(|id| &cluster.services[id.index()]);
        let name = service.map(|s| s.name.to_string()).unwrap_or_else(|| self.attempt.host.clone());
        let namespace = service.map(|s| cluster.namespaces[s.namespace.index()].name.to_string()).unwrap_or_default();
        let strength = self.attempt.strength + 4;
        let make = |cause, summary: String, check| {
            self.finding(cause, strength, summary, Some(check))
                .shown_by(format!("kubectl describe service {name} -n {namespace}"))
                .blame("Service", &namespace, &name, None)
        };
        let selector = service.and_then(|s| s.selector.as_ref()).map(|s| {
            let all: Vec<String> = s.iter().map(|(k, v)| format!("{k}={v}")).collect();
            all.join(", ")
        });
        match obstacle {
            Obstacle::NoEndpoints | Obstacle::NotReady | Obstacle::NoLocalEndpoint(_) => {
                if let Some(down) = self.behind(&check) {
                    return Some(down);
                }
                let what = match obstacle {
                    Obstacle::NotReady => "none of its endpoints is ready",
                    Obstacle::NoLocalEndpoint(_) => {
                        "it has no endpoint on the client's node, and internalTrafficPolicy is Local"
                    }
                    _ => "no pod stands behind it",
                };
                let finding = make(
                    Cause::NoEndpoints,
                    format!(
                        "container {} can't reach {target}: Service {namespace}/{name} has no endpoints to send it to; {what}",
                        self.run.name()
                    ),
                    check,
                );
                let like = self.selected_like(selector.as_deref());
                let proof = selector
                    .map(|s| Proof::new(ProofKind::Spec, format!("Service {namespace}/{name} spec.selector"), &s));
                let advice = match &like {
                    Some(like) => format!("correct spec.selector of Service {name}: {like}"),
                    None => "correct the Service's selector, or bring the pods behind it up".to_owned(),
                };
                let path = proof.is_some().then(|| "spec.selector".to_owned());
                Some(
                    finding
                        .proven(proof)
                        .advise(
                            advice,
                            "a Service without ready endpoints refuses connections by itself; no policy is in the way",
                        )
                        .blame("Service", &namespace, &name, path),
                )
            }
            Obstacle::NoSuchPort => {
                let ports: Vec<String> =
                    service.map(|s| s.ports.iter().map(|p| p.number.to_string()).collect()).unwrap_or_default();
                let finding = make(
                    Cause::WrongPort,
                    format!(
                        "container {} dials {target}, and Service {namespace}/{name} has no such port",
                        self.run.name()
                    ),
                    check,
                );
                Some(
                    finding
                        .proven([Proof::new(
                            ProofKind::Spec,
                            format!("Service {namespace}/{name} spec.ports"),
                            &ports.join(", "),
                        )])
                        .advise(
                            format!("dial one of its ports ({}), or add the port to the Service", ports.join(", ")),
                            "a Service forwards only the ports that it lists",
                        )
                        .blame("Service", &namespace, &name, Some("spec.ports".to_owned())),
                )
            }
            Obstacle::NoNamedPort(port) => {
                let finding = make(
                    Cause::WrongPort,
                    format!(
                        "container {} can't reach {target}: Service {namespace}/{name} leads to a port named `{port}`, which its pods don't have",
                        self.run.name()
                    ),
                    check,
                );
                Some(
                    finding
                        .advise(
                            format!("name the container's port `{port}`, or write its number as targetPort"),
                            "a named targetPort is looked up on every pod",
                        )
                        .blame("Service", &namespace, &name, Some("spec.ports[0].targetPort".to_owned())),
                )
            }
            Obstacle::Finished => Some(self.down(check)),
            _ => None,
        }
    }

    /// A label of the Service's selector that pods of its namespace nearly have.
    fn selected_like(&self, selector: Option<&str>) -> Option<String> {
        let cluster = self.pod.case.evaluator.cluster;
        let service = &cluster.services[self.resolved.service()?.index()];
        selector?;
        for (key, value) in service.selector.as_ref()?.iter() {
            let values: Vec<&str> = cluster
                .pods_of(service.namespace)
                .filter_map(|p| cluster.pods[p.index()].labels.get(key).map(|v| &**v))
                .collect();
            if !values.contains(&&**value)
                && let Some(near) = crate::model::query::nearest(value, values.into_iter())
            {
                return Some(format!("pods carry {key}={near}, not {key}={value}"));
            }
        }
        None
    }

    /// The pods that should answer.
    fn servers(&self, check: &Check) -> Vec<PodId> {
        let cluster = self.pod.case.evaluator.cluster;
        let mut out: Vec<PodId> = check.endpoints.iter().filter_map(|e| e.pod).collect();
        out.extend(self.resolved.pod());
        if out.is_empty()
            && let Some(service) = self.resolved.service().map(|id| &cluster.services[id.index()])
            && let Some(selector) = &service.selector
        {
            out.extend(
                cluster.pods_of(service.namespace).filter(|p| cluster.pods[p.index()].labels.contains_all(selector)),
            );
        }
        out.dedup();
        out
    }

    /// The server pods that are in trouble themselves.
    fn troubled(&self, check: &Check) -> Vec<select::Subject> {
        let cluster = self.pod.case.evaluator.cluster;
        let keys = self.servers(check).into_iter().map(|p| {
            let pod = &cluster.pods[p.index()];
            (cluster.namespaces[pod.namespace.index()].name.to_string(), pod.name.to_string())
        });
        let scope = select::Scope { namespace: None, pods: Some(keys.filter(|k| k != self.pod.key).collect()) };
        select::troubled(self.pod.case.facts, cluster, &scope)
    }

    fn server_troubled(&self, check: &Check) -> bool {
        !self.troubled(check).is_empty()
    }

    /// The dependency doesn't run: its pods crash, or there are none that could.
    fn behind(&self, check: &Check) -> Option<Finding> {
        let troubled = self.troubled(check);
        let first = troubled.first()?;
        let (kind, name) = match &first.workload {
            Some((kind, name)) => (kind.clone(), name.clone()),
            None => ("Pod".to_owned(), first.pod.1.clone()),
        };
        let facts = self.pod.case.facts;
        let log = first.containers.first().and_then(|c| self.pod.case.logs.of(&first.pod, c));
        let said = log
            .and_then(|l| l.current.as_deref().or(l.previous.as_deref()))
            .map(|t| crate::analysis::logs::read(t).evidence);
        let said = said.and_then(|e| {
            e.last().map(|e| Proof::new(ProofKind::Log, format!("log of {}/{}", first.pod.0, first.pod.1), &e.line))
        });
        let restarts: i64 =
            facts.pods.get(&first.pod).map_or(0, |p| p.status.container_statuses.iter().map(|s| s.restart_count).sum());
        let state = format!("{}, restarted {restarts} times", first.trouble);
        Some(
            self.finding(
                Cause::DependencyDown,
                self.attempt.strength + 4,
                format!(
                    "container {} can't reach {}: the server itself is down ({kind} {}/{name}: {})",
                    self.run.name(),
                    self.target().text(),
                    first.pod.0,
                    first.trouble
                ),
                Some(check.clone()),
            )
            .proven([Proof::new(ProofKind::Status, format!("pod {}/{}", first.pod.0, first.pod.1), &state)])
            .proven(said)
            .advise(
                format!(
                    "bring {kind} {}/{name} up first: netcheck why {} -n {}",
                    first.pod.0, first.pod.1, first.pod.0
                ),
                "the client is only its symptom: it works again by itself once the server does",
            )
            .shown_by(format!("kubectl describe pod {} -n {}", first.pod.1, first.pod.0))
            .blame(&kind, &first.pod.0, &name, None),
        )
    }

    /// Refused, cut or unreachable though policies allow it: the other end.
    fn down(&self, check: Check) -> Finding {
        if let Some(behind) = self.behind(&check) {
            return behind;
        }
        let cluster = self.pod.case.evaluator.cluster;
        let target = self.target().text();
        let score = self.attempt.strength + if self.attempt.class == LogClass::Reset { 1 } else { 3 };
        let word = match self.attempt.class {
            LogClass::Reset => "cuts the connection",
            LogClass::Unreachable => "can't be reached",
            _ => "refuses the connection",
        };
        let finding = self.finding(
            Cause::DependencyDown,
            score,
            format!("{target} {word}; policies let it through",),
            Some(check.clone()),
        );
        if let Some((id, port)) = self.resolved.service().zip(check.service_port.as_ref()) {
            let service = &cluster.services[id.index()];
            let namespace = cluster.namespaces[service.namespace.index()].name.to_string();
            let index = service.ports.iter().position(|p| p == port).unwrap_or_default();
            if let Some((asked, listens)) = self.wrong_target(&check) {
                let path = format!("spec.ports[{index}].targetPort");
                let mut finding = finding;
                finding.summary = format!(
                    "{target} refuses the connection: Service {namespace}/{} leads to port {asked} of its pods, which listen on {listens}",
                    service.name
                );
                finding.score += 1;
                finding.confidence = Confidence::of(finding.score);
                return finding
                    .proven([Proof::new(ProofKind::Spec, format!("Service {namespace}/{} {path}", service.name), &asked.to_string())])
                    .advise(format!("set {path} of Service {} to {listens}", service.name), "a Service rewrites the port to targetPort; whoever listens there has to be listening on exactly that")
                    .shown_by(format!("kubectl describe service {} -n {namespace}", service.name))
                    .blame("Service", &namespace, &service.name, Some(path));
            }
            return finding
                .advise(
                    "look whether the server listens on that port, and on all addresses rather than 127.0.0.1",
                    "a refusal is an answer: the packet got there, and nobody listens",
                )
                .shown_by(format!(
                    "kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={}",
                    service.name
                ))
                .blame("Service", &namespace, &service.name, None);
        }
        finding
            .advise(
                "look whether the server runs and listens on that port",
                "a refusal is an answer: the packet got there, and nobody listens",
            )
            .blame("Host", "", &self.attempt.host, None)
    }

    /// The port that a Service leads to, and the one that its pods say they listen on instead.
    fn wrong_target(&self, check: &Check) -> Option<(u16, String)> {
        let cluster = self.pod.case.evaluator.cluster;
        let endpoint = check.endpoints.iter().find(|e| e.counted && e.pod.is_some())?;
        let (id, asked) = (endpoint.pod?, endpoint.port?);
        let pod = &cluster.pods[id.index()];
        let key = (cluster.namespaces[pod.namespace.index()].name.to_string(), pod.name.to_string());
        let server = self.pod.case.facts.pods.get(&key)?;
        let mut heard: Vec<String> = Vec::new();
        for container in facts::containers(server) {
            let log = self.pod.case.logs.of(&key, &container.spec.name);
            for port in log.and_then(|l| l.current.as_deref()).map(listening).unwrap_or_default() {
                if port == i64::from(asked) {
                    return None;
                }
                heard.push(port.to_string());
            }
        }
        let declared: Vec<u16> = pod.ports.iter().filter(|p| p.protocol == check.protocol).map(|p| p.number).collect();
        if declared.contains(&asked) {
            return None;
        }
        if !declared.is_empty() {
            let all: Vec<String> = declared.iter().map(u16::to_string).collect();
            return Some((asked, all.join(", ")));
        }
        (!heard.is_empty()).then(|| (asked, heard.join(", ")))
    }

    /// Nothing came back, and no policy is at fault.
    fn silent(&self, check: Check) -> Finding {
        if let Some(behind) = self.behind(&check) {
            return behind;
        }
        let target = self.target().text();
        let score = self.attempt.strength + 2;
        let inside = self.resolved.service().is_some() || self.resolved.pod().is_some();
        if inside {
            return self
                .finding(Cause::SlowDependency, score, format!("{target} doesn't answer in time, though policies allow it and its endpoints are ready"), Some(check))
                .advise(
                    "look at the server's load and log; raise the client's time-out; if only the first seconds of a new pod fail, its network plugin programs policies late: retry at start",
                    "a way that policies leave open and that times out ends at a server that is too busy, or at a plugin that lags",
                );
        }
        self.finding(
            Cause::DependencyDown,
            score,
            format!("nothing answers at {target}; no policy keeps the pod from it"),
            Some(check),
        )
        .advise(
            "check the address, the route to it, and firewalls outside the cluster",
            "no policy in the cluster selects this connection: what drops it lies outside",
        )
        .blame("Host", "", &self.attempt.host, None)
    }

    fn tls(&self, check: Check) -> Finding {
        self.finding(Cause::Tls, self.attempt.strength + 3, format!("TLS with {} fails, after the connection was made", self.target().text()), Some(check)).advise(
            "compare the server's certificate (names, issuer, dates) with what the client trusts and expects; check that both ends speak TLS at all",
            "a handshake needs a connection: policies let it through",
        )
    }

    fn no_name(&self, near: &[String]) -> Finding {
        let host = &self.attempt.host;
        let meant = match near {
            [] => String::new(),
            _ => format!("; did you mean {}?", near.join(" or ")),
        };
        let declared = depend::declared(self.pod, self.run).into_iter().find(|c| c.host.eq_ignore_ascii_case(host));
        let proof = declared.map(|c| Proof::new(ProofKind::Spec, c.source, &self.target().text()));
        self.finding(Cause::NameNotFound, self.attempt.strength + 4, format!("container {} asks for {host}, and there is no such name{meant}", self.run.name()), None)
            .proven(proof)
            .advise(
                format!("correct the name{meant}"),
                "the name servers were reached and said no: policies let DNS through. A Service is SERVICE in its own namespace, SERVICE.NAMESPACE from others",
            )
            .shown_by("kubectl get services -A")
    }

    /// Policies let DNS through, and it still doesn't answer.
    fn dns_down(&self) -> Finding {
        let cluster = self.pod.case.evaluator.cluster;
        let down: Vec<String> = cluster
            .dns_services()
            .iter()
            .flat_map(|id| {
                let service = &cluster.services[id.index()];
                service.ports.first().map(|port| cluster.backends(*id, port)).unwrap_or_default()
            })
            .filter(|b| !b.ready)
            .filter_map(|b| b.pod.map(|p| cluster.pod_name(p)))
            .collect();
        let (score, what) = match down.is_empty() {
            true => (2, "policies allow it, and the DNS pods are ready".to_owned()),
            false => (4, format!("{} is not ready", down.join(", "))),
        };
        self.finding(
            Cause::DnsDown,
            self.attempt.strength + score - 1,
            format!("container {} gets no answer from DNS for {}: {what}", self.run.name(), self.attempt.host),
            None,
        )
        .advise(
            "look at the DNS pods' log and load, and at what they forward names outside the cluster to",
            "the pod may ask; whoever doesn't answer stands behind it",
        )
        .shown_by("kubectl -n kube-system logs -l k8s-app=kube-dns")
    }

    /// The pod dials itself: another of its containers.
    fn own(&self) -> Option<Finding> {
        if self.attempt.error.is_none() || !matches!(self.attempt.class, LogClass::Refused | LogClass::Timeout) {
            return None;
        }
        let port = self.port.map_or_else(String::new, |p| format!(":{p}"));
        Some(
            self.finding(Cause::DependencyDown, 3, format!("container {} dials its own pod at {}{port}, where nothing listens", self.run.name(), self.attempt.host), None).advise(
                "give it the address of the server it needs, or look at the sidecar that should listen there (it may start later: make it a native sidecar)",
                "localhost in a pod is the pod: no policy and no Service is between",
            ),
        )
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

fn reference(place: &PolicyPlace) -> String {
    match &place.namespace {
        Some(namespace) => format!("{}/{namespace}/{}", place.kind, place.name),
        None => format!("{}/{}", place.kind, place.name),
    }
}

fn names(policies: &[PolicyPlace]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for place in policies.iter().filter(|p| p.role != "nearly selects the pod") {
        let name = reference(place);
        if !out.contains(&name) {
            out.push(name);
        }
    }
    out
}

/// The policies at fault: near misses that look like mistakes first, then what denies or isolates; the part of the way that
/// fails first before the rest.
fn places(explanations: &[Explanation], first: Stretch, dialled: &[std::net::IpAddr]) -> Vec<PolicyPlace> {
    let mut out: Vec<PolicyPlace> = Vec::new();
    let ordered =
        explanations.iter().filter(|e| e.stretch == first).chain(explanations.iter().filter(|e| e.stretch != first));
    for explanation in ordered {
        let mut mine: Vec<(u32, PolicyPlace)> = Vec::new();
        let only_denies = explanation.culprits.iter().any(|c| {
            matches!(c.how, How::Isolates) && !explanation.near_misses.iter().any(|n| n.reference == c.reference)
        });
        for near in &explanation.near_misses {
            let Some(missed) = near.missed.first() else { continue };
            // A policy that does nothing but deny is nearer to the cause than a rule for something else.
            let weight = match meant(explanation, near, dialled) {
                6 if only_denies => 12,
                weight => weight,
            };
            mine.push((weight, place(&near.reference, &missed.path, "nearly allows it", Some(near.origin))));
        }
        for culprit in &explanation.culprits {
            let role = match culprit.how {
                How::Denies(_) => "denies it",
                How::Isolates => "isolates the pod, and no rule allows it",
                How::MayDecide(_) => "may decide",
                How::CantBeEvaluated => "can't be evaluated here",
            };
            let mut add = |weight, path: &FieldPath| {
                mine.push((weight, place(&culprit.reference, path, role, Some(culprit.origin))));
            };
            match culprit.how {
                How::Denies(_) => add(1, &culprit.path),
                How::MayDecide(_) => add(2, &culprit.path),
                How::CantBeEvaluated => add(14, &culprit.path),
                // Where rules are listed and none fits, the list is the place; where there is none, what isolates is. A
                // policy that only denies comes before those that allow other things.
                How::Isolates => {
                    let list = FieldPath::keys(match explanation.direction {
                        Direction::Egress => "spec.egress",
                        Direction::Ingress => "spec.ingress",
                    });
                    let lists = explanation.near_misses.iter().any(|n| n.reference == culprit.reference);
                    let (first, second) = if lists { (&list, &culprit.path) } else { (&culprit.path, &list) };
                    let weight = if lists { 11 } else { 10 };
                    add(weight, first);
                    if first != second {
                        add(weight + 2, second);
                    }
                }
            }
        }
        for miss in &explanation.subject_misses {
            let Some(missed) = miss.missed.first() else { continue };
            mine.push((30, place(&miss.reference, &missed.path, "nearly selects the pod", Some(miss.origin))));
        }
        mine.sort_by_key(|(weight, _)| *weight);
        for (_, place) in mine {
            if out.len() < 16 && !out.iter().any(|p| reference(p) == reference(&place) && p.path == place.path) {
                out.push(place);
            }
        }
    }
    out
}

/// How likely a rule that nearly allows the connection was meant to, from 0: a mistake that has a name, a single thing off
/// beside a part that fits explicitly, a single thing off, anything else.
fn meant(explanation: &Explanation, near: &NearMiss, dialled: &[std::net::IpAddr]) -> u32 {
    let named = |missed: &Missed| match &missed.mismatch {
        Mismatch::ServiceIpInCidr { .. } | Mismatch::NamedPort { .. } => true,
        // The Service's address, which no policy ever sees.
        Mismatch::Cidr { cidr, excepted_by: None, .. } => dialled.iter().any(|ip| cidr.contains(ip)),
        Mismatch::Port { is_service_port, .. } => *is_service_port,
        Mismatch::Protocol { port_matches, .. } => *port_matches,
        _ => false,
    };
    if near.missed.iter().all(named) {
        return 0;
    }
    let [missed] = near.missed.as_slice() else { return 20 };
    let fits = match &missed.mismatch {
        Mismatch::PodLabel { similar, .. } | Mismatch::NamespaceLabel { similar, .. } => {
            near.rule.port.is_some() || similar.is_some()
        }
        // A rule for port 53 is there for DNS, not for what is dialled.
        Mismatch::Port { wanted, .. } => near.rule.peer.is_some() && (wanted.0 != 53 || explanation.port == 53),
        _ => near.rule.port.is_some() || near.rule.peer.is_some(),
    };
    match (fits, explanation.stretch) {
        (true, _) => 0,
        // A rule for another peer on every port says nothing of DNS.
        (false, Stretch::Dns) => 20,
        (false, Stretch::Target) => 6,
    }
}

fn place(reference: &str, path: &FieldPath, role: &'static str, origin: Option<crate::source::Origin>) -> PolicyPlace {
    let mut parts = reference.splitn(3, '/');
    let kind = parts.next().unwrap_or_default().to_owned();
    let (second, third) = (parts.next(), parts.next());
    let (namespace, name) = match (second, third) {
        (Some(namespace), Some(name)) => (Some(namespace.to_owned()), name.to_owned()),
        (Some(name), None) => (None, name.to_owned()),
        _ => (None, String::new()),
    };
    PolicyPlace { kind, namespace, name, path: path.to_string(), field: path.clone(), role, origin }
}

/// Where the log is silent: dependencies that the spec declares and a policy stops. Never as certain.
pub(super) fn declared(pod: &Examined<'_>, run: &Run<'_>, found: &mut Vec<Finding>) {
    let waits = run.stuck && run.is_init();
    let ended_badly = run.ended.is_some_and(|e| (1..=125).contains(&e.exit_code) || e.exit_code == 255);
    let not_ready = run.stuck && !run.is_init() && pod.subject.trouble == "NotReady";
    if !waits && !ended_badly && !not_ready {
        return;
    }
    let mut judged: Vec<Finding> = Vec::new();
    for candidate in
        depend::declared(pod, run).iter().filter(|c| c.strength >= if not_ready { 3 } else { 2 }).take(MOST)
    {
        let attempt = Attempt {
            error: None,
            class: if candidate.scheme.as_deref() == Some("dns") { LogClass::DnsTimeout } else { LogClass::Timeout },
            certain: false,
            host: candidate.host.clone(),
            port: candidate.port,
            scheme: candidate.scheme.clone(),
            known_from: candidate.source.clone(),
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
            finding.score = finding.score.min(5);
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
