//! What a connection error was dialling: the address that its line names, the one that a line before named, what the spec
//! declares, and where nothing does, the usual port of the driver.
//!
//! Errors of a log and the declared addresses come in, [`Attempt`]s go out. It asks no policy, but for what is only guessed.

use super::super::depend::{self, Candidate};
use super::super::resolve::{self, Resolved};
use super::super::run::{Examined, Run};
use super::super::said::own_fault;
use super::super::{addresses, drivers};
use super::{MOST, ask};
use crate::analysis::explain::explain;
use crate::analysis::logs::{EvidenceKind, LogClass, LogError};
use crate::model::Protocol;
use crate::model::query::Target;
use crate::reach::Verdict;
use std::net::IpAddr;

/// Where a target is known from that nothing names.
pub(super) const GUESSED: &str = "the driver's usual port: no object or line names the target";
/// Where a name is known from that stands for any.
pub(super) const ANY_NAME: &str = "no line says which name: any stands for it";
/// Where a target is known from that the error itself names.
pub(super) const LOG_LINE: &str = "the log line";

/// A connection that failed, or is suspected to.
pub(super) struct Attempt<'a> {
    pub(super) error: Option<&'a LogError>,
    pub(super) class: LogClass,
    pub(super) certain: bool,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) scheme: Option<String>,
    pub(super) known_from: String,
    /// The address that a name outside the cluster had, where the log shows it.
    pub(super) address: Option<IpAddr>,
    /// Whether nothing tells it from other addresses that the spec declares.
    pub(super) one_of_several: bool,
    /// Whether the name was resolved, as far as the log shows.
    pub(super) resolved: bool,
    /// How much speaks for its being what failed.
    pub(super) strength: i32,
    pub(super) families: Vec<&'static str>,
}

/// Whether the program went on after its last connection error, and ended by a fault of its own.
pub(super) fn got_over(run: &Run<'_>, errors: &[&LogError]) -> bool {
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
pub(super) fn attempts_of<'a>(pod: &Examined<'_>, error: &'a LogError, spoken: &Spoken) -> Vec<Attempt<'a>> {
    let weight = match error.class {
        LogClass::Context | LogClass::Pool => 1,
        _ if error.certain => 3,
        _ => 2,
    };
    let of_line = drivers::families(&format!("{} {}", error.runtime.unwrap_or_default(), error.line));
    let families = if of_line.is_empty() { spoken.families.clone() } else { of_line };
    let attempt = |host: &str, port: Option<u16>| Attempt {
        error: Some(error),
        class: error.class,
        certain: error.certain,
        host: host.to_owned(),
        port,
        scheme: None,
        known_from: LOG_LINE.to_owned(),
        address: spoken.address_of(host),
        one_of_several: false,
        resolved: ip(host).is_some(),
        strength: weight,
        families: families.clone(),
    };
    if let Some(host) = &error.host {
        return vec![of_host(pod, error, host, spoken, attempt)];
    }
    if let Some(hint) = error.hint.as_ref()
        && let Some(host) = &hint.host
        && !addresses::own(host)
    {
        return vec![Attempt {
            scheme: hint.scheme.clone(),
            known_from: "a log line before".to_owned(),
            ..attempt(host, hint.port.or(error.port))
        }];
    }
    let candidates = fitting(&spoken.declared, &families, error.port);
    let one_of_several = candidates.len() > 1;
    let mut out: Vec<Attempt<'a>> = candidates
        .into_iter()
        .map(|candidate| Attempt {
            scheme: candidate.scheme.clone(),
            known_from: candidate.source.clone(),
            one_of_several,
            strength: weight.min(2) + i32::from(candidate.strength > 3),
            ..attempt(&candidate.host, candidate.port.or(error.port))
        })
        .collect();
    if !out.is_empty() || error.class == LogClass::Context {
        return out;
    }
    // Every name goes the same way to the same name servers: which one was asked for doesn't matter.
    if error.class.is_dns() {
        let strength = weight.min(2);
        return vec![Attempt {
            known_from: ANY_NAME.to_owned(),
            strength,
            ..attempt("kubernetes.default.svc", Some(443))
        }];
    }
    // Nothing names a target: what the driver usually talks to, where this pod can't reach it.
    let ports: Vec<u16> =
        error.port.into_iter().chain(families.iter().filter_map(|f| drivers::port_of_scheme(f))).collect();
    for (host, port) in guesses(pod, &ports) {
        out.push(Attempt {
            known_from: GUESSED.to_owned(),
            strength: weight.min(2),
            resolved: false,
            ..attempt(&host, Some(port))
        });
    }
    out
}

/// What a line dialled that names a host: a name says more than its address, which may be another Service's by now.
fn of_host<'a, 's>(
    pod: &Examined<'_>,
    error: &'a LogError,
    host: &'s str,
    spoken: &'s Spoken,
    attempt: impl Fn(&str, Option<u16>) -> Attempt<'a>,
) -> Attempt<'a> {
    let alias = error.alias.as_deref();
    let named = match alias {
        Some(alias) if ip(host).is_some() && ip(alias).is_none() => alias,
        _ => host,
    };
    let declared = &spoken.declared;
    let leads_to = |name: &str| resolve::resolve(pod, name).service();
    let port_of = |c: &Candidate| c.port.or_else(|| drivers::port_of_scheme(c.scheme.as_deref()?));
    let same_port = |c: &&Candidate| error.port.is_some() && port_of(c) == error.port;
    // An address alone: the name that the pod dials it by, where the spec or another line has one.
    let name = ip(named).and_then(|address| {
        let service = leads_to(named);
        let all = declared.iter().map(|c| c.host.as_str()).chain(spoken.names.iter().map(String::as_str));
        if service.is_some() {
            return all.filter(|name| ip(name).is_none()).find(|name| leads_to(name) == service);
        }
        if !matches!(resolve::resolve(pod, named), Resolved::Found(Target::Address(_))) {
            return None;
        }
        if let Some((name, _)) = spoken.addresses.iter().find(|(_, of)| *of == address) {
            return Some(name.as_str());
        }
        let by_port = || declared.iter().filter(same_port).filter(|c| ip(&c.host).is_none());
        if is_private(named) {
            // An address of a Service that was made anew since: what is declared with the same port is what it was.
            return by_port().find(|c| leads_to(&c.host).is_some()).map(|c| c.host.as_str());
        }
        let outside = |name: &&str| matches!(resolve::resolve(pod, name), Resolved::Found(Target::Name(_)));
        let declared_outside: Vec<&str> = by_port().map(|c| c.host.as_str()).filter(outside).take(2).collect();
        let spoken_outside: Vec<&str> = spoken.names.iter().map(String::as_str).filter(outside).take(2).collect();
        match (declared_outside.as_slice(), spoken_outside.as_slice()) {
            ([one], _) | ([], [one]) => Some(*one),
            _ => None,
        }
    });
    let address = [Some(host), alias].into_iter().flatten().find_map(ip).or_else(|| spoken.address_of(named));
    let named = name.unwrap_or(named);
    let known = declared.iter().find(|c| c.host.eq_ignore_ascii_case(named));
    let base = attempt(named, error.port.or_else(|| known.and_then(|c| c.port)));
    Attempt {
        scheme: error.scheme.clone().or_else(|| known.and_then(|c| c.scheme.clone())),
        address,
        resolved: ip(host).is_some() || alias.is_some_and(|a| ip(a).is_some()),
        strength: base.strength + 1,
        ..base
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    text.trim_matches(['[', ']']).parse().ok()
}

/// What a log and the spec speak of besides the line of an error.
pub(super) struct Spoken {
    /// Families of drivers.
    pub(super) families: Vec<&'static str>,
    /// What the spec declares.
    pub(super) declared: Vec<Candidate>,
    /// Names that lines of the log dial or look up.
    names: Vec<String>,
    /// Names with the address that a line gives beside them.
    addresses: Vec<(String, IpAddr)>,
}

/// Lines of a log that are searched for the address of a name.
const LINES: usize = 2_000;

impl Spoken {
    pub(super) fn of(pod: &Examined<'_>, run: &Run<'_>) -> Self {
        let declared = depend::declared(pod, run);
        let mut names: Vec<String> = Vec::new();
        let mut addresses: Vec<(String, IpAddr)> = Vec::new();
        for error in run.scan.errors.iter().filter(|e| !e.inbound) {
            let hint = error.hint.as_ref().and_then(|h| h.host.as_ref());
            let all = [error.host.as_ref(), error.alias.as_ref(), hint];
            let name = all.into_iter().flatten().find(|n| ip(n).is_none());
            names.extend(
                all.into_iter()
                    .flatten()
                    .filter(|n| ip(n).is_none() && !names.contains(n))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            if let (Some(name), Some(address)) = (name, all.into_iter().flatten().find_map(|n| ip(n))) {
                addresses.push((name.clone(), address));
            }
        }
        // `Resolving api.example.com... 203.0.113.10`, `Connecting to api.example.com (203.0.113.10:443)`.
        for name in names.iter().chain(declared.iter().map(|c| &c.host)).filter(|n| n.contains('.') && ip(n).is_none())
        {
            if addresses.len() < MOST
                && let Some(address) = run.text.lines().take(LINES).find_map(|line| beside(line, name))
            {
                addresses.push((name.clone(), address));
            }
        }
        Self { families: drivers::families(&run.text), declared, names, addresses }
    }

    fn address_of(&self, name: &str) -> Option<IpAddr> {
        self.addresses.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, address)| *address)
    }
}

/// The first address that a line gives close behind a name.
fn beside(line: &str, name: &str) -> Option<IpAddr> {
    let rest = &line[line.find(name)? + name.len()..];
    rest.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .take(40)
        .map(|word| word.trim_matches('.'))
        .find_map(|word| word.parse::<std::net::Ipv4Addr>().ok())
        .map(IpAddr::V4)
}

fn is_private(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_private(),
        Ok(IpAddr::V6(ip)) => ip.is_unique_local(),
        Err(_) => false,
    }
}

/// The declared dependencies that a driver may have meant: by its port, by its family, else what may be anything. What only
/// a file mentions counts where it fits, or where there is nothing else.
fn fitting<'c>(declared: &'c [Candidate], families: &[&str], port: Option<u16>) -> Vec<&'c Candidate> {
    // What watches the program seldom ends it: it is thought of last.
    let (strong, weak): (Vec<&Candidate>, Vec<&Candidate>) =
        declared.iter().filter(|c| !depend::watches(c)).partition(|c| c.strength >= 2);
    let watching: Vec<&Candidate> = declared.iter().filter(|c| depend::watches(c)).collect();
    let by_port = |c: &&&Candidate| port.is_some() && c.port == port;
    let by_family =
        |c: &&&Candidate| drivers::family(c.scheme.as_deref(), c.port).is_some_and(|family| families.contains(&family));
    let open = |c: &&&Candidate| families.is_empty() || drivers::family(c.scheme.as_deref(), c.port).is_none();
    let pick = |of: &[&'c Candidate], fits: &dyn Fn(&&&Candidate) -> bool| -> Vec<&'c Candidate> {
        of.iter().filter(|c| fits(c)).copied().collect()
    };
    let ways = [
        pick(&strong, &by_port),
        pick(&strong, &by_family),
        pick(&weak, &by_port),
        pick(&weak, &by_family),
        // A host without a scheme may be anything; one of another family isn't it.
        pick(&strong, &open),
        pick(&weak, &|c: &&&Candidate| c.port.is_some() && open(c)),
        pick(&watching, &by_port),
        pick(&watching, &open),
    ];
    ways.into_iter().find(|way| !way.is_empty()).unwrap_or_default()
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
