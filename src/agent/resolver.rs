//! Resolving names as the pod's own library would, without waiting for one server after the other.
//!
//! Names and a `resolv.conf` in, questions for the engine out, then resolutions and the state of each name server. It
//! opens no sockets. All name servers are asked at once; the first in the file's order that answers is believed, as
//! the library would. The search list is gone through as glibc does it: an answer without addresses or a failed server
//! lets the next entry be tried, silence and refusal end the search.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netcheck::probe_record::{Class, Detail, Line, Record, Step};
use netcheck::probe_target::Protocol;

use crate::dns::{self, Answer, Kind, Question};
use crate::engine::{Exchange, Outcome};
use crate::resolv_conf::ResolvConf;
use crate::talk::Script;

/// How long an answer that is there waits for one that ought to be heard first: from an earlier name server, or for
/// the other address family.
const GRACE: Duration = Duration::from_secs(1);

/// Which question an outcome belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    /// One of a name.
    Name { lookup: usize, candidate: usize, server: usize, kind: Kind, tcp: bool },
    /// The one by which TCP 53 of a name server is checked.
    Tcp { server: usize },
}

/// What a name came to.
#[derive(Clone, Debug)]
pub struct Resolution {
    pub class: Class,
    pub detail: Detail,
    pub millis: u32,
    pub tries: u8,
    /// Who said so.
    pub server: Option<IpAddr>,
    pub addresses: Vec<IpAddr>,
}

#[derive(Debug)]
pub struct Resolver {
    conf: ResolvConf,
    timeout: Duration,
    tries: u8,
    lookups: Vec<Lookup>,
    udp: Vec<Health>,
    tcp: Vec<Health>,
    tcp_questions: Vec<Question>,
    /// The name servers that a question has waited for in vain; none waits for them again until they answer.
    slow: Vec<bool>,
    resolved: Vec<(usize, Resolution)>,
}

/// A name on its way through the search list.
#[derive(Debug)]
struct Lookup {
    name: String,
    candidates: Vec<(u8, String)>,
    candidate: usize,
    /// The questions under way, by name server, A and AAAA; empty for a server that isn't asked.
    asked: Vec<Option<[Asked; 2]>>,
    began: Instant,
    grace_until: Instant,
    tries: u8,
    /// What is said if no further entry of the search list exists: the most telling of the failures so far.
    so_far: Option<(Class, Detail, Option<IpAddr>)>,
    done: bool,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Pending,
    Answered(Answer),
    Failed(Class, Detail),
}

/// What one name server says to one candidate.
enum Verdict {
    Pending,
    /// One family's addresses are there, the other one's answer isn't.
    Partly(Vec<IpAddr>),
    Found(Vec<IpAddr>),
    Nodata,
    Nxdomain,
    Failed(Class, Detail),
}

/// How a name server does over one transport.
#[derive(Clone, Debug, Default)]
struct Health {
    /// Asked, and the best that came of it.
    best: Option<(Class, Detail, u32, u8)>,
}

impl Health {
    fn note(&mut self, class: Class, detail: Detail, outcome: &Outcome) {
        if self.best.is_none_or(|(best, ..)| rank(class) > rank(best)) {
            self.best = Some((class, detail, outcome.millis, outcome.tries));
        }
    }

    fn is_silent(&self) -> bool {
        self.best.is_some_and(|(class, ..)| class == Class::DnsTimeout)
    }
}

/// The most telling of several results of name servers.
fn rank(class: Class) -> u8 {
    match class {
        Class::Open => 5,
        Class::DnsNodata => 4,
        Class::DnsServfail => 3,
        Class::DnsRefused => 2,
        Class::DnsTimeout | Class::DnsNxdomain => 0,
        _ => 1,
    }
}

impl Resolver {
    /// Questions wait at most `timeout` and are asked at most `tries` times, or less if `resolv.conf` says so.
    pub fn new(conf: ResolvConf, timeout: Duration, tries: u8) -> Resolver {
        let servers = conf.servers.len();
        Resolver {
            timeout: timeout.min(conf.timeout),
            tries: tries.min(conf.attempts),
            conf,
            lookups: Vec::new(),
            udp: vec![Health::default(); servers],
            tcp: vec![Health::default(); servers],
            tcp_questions: Vec::new(),
            slow: vec![false; servers],
            resolved: Vec::new(),
        }
    }

    /// Takes a name on; the same name twice is one look-up.
    pub fn add(&mut self, name: &str) -> usize {
        if let Some(known) = self.lookups.iter().position(|lookup| lookup.name == name) {
            return known;
        }
        let now = Instant::now();
        self.lookups.push(Lookup {
            name: name.to_owned(),
            candidates: self.conf.candidates(name),
            candidate: 0,
            asked: Vec::new(),
            began: now,
            grace_until: now,
            tries: 0,
            so_far: None,
            done: false,
        });
        self.lookups.len() - 1
    }

    /// The first questions.
    pub fn begin(&mut self, now: Instant) -> Vec<(Key, Exchange)> {
        let mut out = Vec::new();
        for lookup in 0..self.lookups.len() {
            self.lookups[lookup].began = now;
            out.extend(self.ask(lookup, now));
        }
        // Long answers come over TCP; that it works is worth knowing before one does.
        if let Some((_, name)) = self.lookups.first().and_then(|lookup| lookup.candidates.first()) {
            for server in 0..self.conf.servers.len() {
                let question = Question::new(name, Kind::A);
                out.push((Key::Tcp { server }, self.exchange(server, Protocol::Tcp, question.clone())));
                self.tcp_questions.push(question);
            }
        }
        out
    }

    /// The names that are settled since the last call.
    pub fn take_resolved(&mut self) -> Vec<(usize, Resolution)> {
        std::mem::take(&mut self.resolved)
    }

    /// When to call [`Resolver::tick`].
    pub fn wake(&self, now: Instant) -> Option<Instant> {
        let open = self.lookups.iter().filter(|lookup| !lookup.done && lookup.grace_until > now);
        open.map(|lookup| lookup.grace_until).min()
    }

    /// Decides what waited for its time.
    pub fn tick(&mut self, now: Instant) -> Vec<(Key, Exchange)> {
        (0..self.lookups.len()).flat_map(|lookup| self.decide(lookup, now)).collect()
    }

    /// Takes what became of a question; gives the questions that follow from it.
    pub fn heard(&mut self, key: Key, outcome: &Outcome, now: Instant) -> Vec<(Key, Exchange)> {
        match key {
            Key::Tcp { server } => {
                let answer = self.tcp_questions.get(server).and_then(|question| over_tcp(question, outcome));
                note(&mut self.tcp[server], answer.as_ref(), outcome);
                Vec::new()
            }
            Key::Name { lookup: index, candidate, server, kind, tcp } => {
                self.slow[server] &= outcome.class != Class::Open;
                let lookup = &mut self.lookups[index];
                let current = lookup.candidate == candidate && !lookup.done;
                let asked = lookup.asked.get_mut(server).and_then(Option::as_mut);
                let Some(asked) = asked.filter(|_| current).map(|pair| &mut pair[kind as usize]) else {
                    // Too late for the name, but not for the server: whatever it said is an answer.
                    let health = if tcp { &mut self.tcp[server] } else { &mut self.udp[server] };
                    if outcome.class == Class::Open {
                        health.note(Class::Open, Detail::None, outcome);
                    } else {
                        note(health, None, outcome);
                    }
                    return Vec::new();
                };
                lookup.tries = lookup.tries.max(outcome.tries);
                let answer = if tcp {
                    over_tcp(&asked.question, outcome)
                } else {
                    Some(&outcome.reply).filter(|_| outcome.class == Class::Open).and_then(|m| asked.question.read(m))
                };
                let health = if tcp { &mut self.tcp[server] } else { &mut self.udp[server] };
                let (class, detail) = note(health, answer.as_ref(), outcome);
                if let Some(answer) = answer {
                    if answer.truncated && !tcp {
                        let question = asked.question.clone();
                        let key = Key::Name { lookup: index, candidate, server, kind, tcp: true };
                        return vec![(key, self.exchange(server, Protocol::Tcp, question))];
                    }
                    asked.state = State::Answered(answer);
                } else {
                    asked.state = State::Failed(class, detail);
                }
                self.decide(index, now)
            }
        }
    }

    /// What is to be said of the name servers, once everything is over.
    pub fn server_lines(&self) -> Vec<Line> {
        let udp = self.udp.iter().enumerate().map(|(index, health)| (Step::ServerUdp, index, health));
        let tcp = self.tcp.iter().enumerate().map(|(index, health)| (Step::ServerTcp, index, health));
        udp.chain(tcp)
            .filter_map(|(step, index, health)| {
                let (class, detail, millis, tries) = health.best?;
                let address = Some(self.conf.servers.get(index)?.ip());
                Some(Line::Result(Record { step, index: index as u16, class, millis, tries, address, detail }))
            })
            .collect()
    }

    /// The names that are not settled when the run is given up.
    pub fn unsettled(&self) -> Vec<usize> {
        (0..self.lookups.len()).filter(|&lookup| !self.lookups[lookup].done).collect()
    }

    fn exchange(&self, server: usize, protocol: Protocol, question: Question) -> Exchange {
        let peer: SocketAddr = self.conf.servers[server];
        let script = Script::dns(question, protocol);
        Exchange { protocol, peer, script, timeout: self.timeout, tries: self.tries, urgent: true }
    }

    /// Asks every name server that isn't known to be silent for the current candidate.
    fn ask(&mut self, index: usize, now: Instant) -> Vec<(Key, Exchange)> {
        let all_silent = self.udp.iter().all(Health::is_silent);
        let mut out = Vec::new();
        let mut asked_all = Vec::new();
        let candidate = self.lookups[index].candidate;
        let Some((_, name)) = self.lookups[index].candidates.get(candidate) else { return out };
        for server in 0..self.conf.servers.len() {
            if self.udp[server].is_silent() && !all_silent {
                asked_all.push(None);
                continue;
            }
            let asked = [Kind::A, Kind::Aaaa].map(|kind| {
                let question = Question::new(name, kind);
                let key = Key::Name { lookup: index, candidate, server, kind, tcp: false };
                out.push((key, self.exchange(server, Protocol::Udp, question.clone())));
                Asked { question, state: State::Pending }
            });
            asked_all.push(Some(asked));
        }
        let lookup = &mut self.lookups[index];
        lookup.asked = asked_all;
        lookup.grace_until = now + GRACE;
        out
    }

    /// Settles the candidate if what is known suffices, and asks for the next one if need be.
    fn decide(&mut self, index: usize, now: Instant) -> Vec<(Key, Exchange)> {
        let lookup = &self.lookups[index];
        if lookup.done {
            return Vec::new();
        }
        let Some((server, verdict)) = lookup.verdict(now, &self.slow) else { return Vec::new() };
        for earlier in 0..server {
            self.slow[earlier] |= lookup.waits_for(earlier);
        }
        let server = Some(self.conf.servers[server].ip());
        let lookup = &mut self.lookups[index];
        let (class, detail) = match verdict {
            Verdict::Found(addresses) => {
                let search = lookup.candidates.get(lookup.candidate).map_or(0, |(search, _)| *search);
                let count = u8::try_from(addresses.len()).unwrap_or(u8::MAX);
                let detail = Detail::Resolved { search, addresses: count };
                self.settle(index, (Class::Open, detail, server), addresses, now);
                return Vec::new();
            }
            Verdict::Nodata => (Class::DnsNodata, Detail::None),
            Verdict::Nxdomain => (Class::DnsNxdomain, Detail::None),
            Verdict::Failed(class, detail) => (class, detail),
            Verdict::Pending | Verdict::Partly(_) => return Vec::new(),
        };
        if lookup.so_far.is_none_or(|(so_far, ..)| rank(class) > rank(so_far)) {
            lookup.so_far = Some((class, detail, server));
        }
        let goes_on = matches!(class, Class::DnsNodata | Class::DnsNxdomain | Class::DnsServfail);
        if goes_on && lookup.candidate + 1 < lookup.candidates.len() {
            lookup.candidate += 1;
            return self.ask(index, now);
        }
        // Silence and refusal end the search, whatever went before.
        let said = if goes_on { lookup.so_far.unwrap_or((class, detail, server)) } else { (class, detail, server) };
        self.settle(index, said, Vec::new(), now);
        Vec::new()
    }

    fn settle(
        &mut self,
        index: usize,
        (class, detail, server): (Class, Detail, Option<IpAddr>),
        addresses: Vec<IpAddr>,
        now: Instant,
    ) {
        let lookup = &mut self.lookups[index];
        lookup.done = true;
        let time = now.saturating_duration_since(lookup.began).as_millis();
        let millis = u32::try_from(time).unwrap_or(u32::MAX);
        let tries = lookup.tries;
        self.resolved.push((index, Resolution { class, detail, millis, tries, server, addresses }));
    }
}

impl Lookup {
    /// What is to be believed of the current candidate, and whose word it is; `None`: not yet known.
    fn verdict(&self, now: Instant, slow: &[bool]) -> Option<(usize, Verdict)> {
        let mut pending = false;
        let mut failed: Option<(usize, Class, Detail)> = None;
        for (server, asked) in self.asked.iter().enumerate() {
            let Some(asked) = asked else { continue };
            match verdict(asked) {
                Verdict::Pending if now < self.grace_until && !slow[server] => return None,
                Verdict::Pending => pending = true,
                Verdict::Partly(_) if now < self.grace_until => return None,
                Verdict::Partly(addresses) => return Some((server, Verdict::Found(addresses))),
                Verdict::Failed(class, detail) => {
                    if failed.is_none_or(|(_, worst, _)| rank(class) > rank(worst)) {
                        failed = Some((server, class, detail));
                    }
                }
                settled => return Some((server, settled)),
            }
        }
        if pending {
            return None;
        }
        let (server, class, detail) = failed?;
        Some((server, Verdict::Failed(class, detail)))
    }

    /// Whether a name server has said nothing yet to the current candidate.
    fn waits_for(&self, server: usize) -> bool {
        self.asked.get(server).and_then(Option::as_ref).is_some_and(|asked| matches!(verdict(asked), Verdict::Pending))
    }
}

fn verdict([a, aaaa]: &[Asked; 2]) -> Verdict {
    let states = [&a.state, &aaaa.state];
    let mut addresses = Vec::new();
    for state in states {
        if let State::Answered(answer) = state {
            addresses.extend_from_slice(&answer.addresses);
        }
    }
    let pending = states.into_iter().any(|state| matches!(state, State::Pending));
    match (addresses.is_empty(), pending) {
        (false, true) => return Verdict::Partly(addresses),
        (false, false) => return Verdict::Found(addresses),
        _ => {}
    }
    let rcode = |state: &State| match state {
        State::Answered(answer) => Some(answer.rcode),
        _ => None,
    };
    if states.into_iter().any(|state| rcode(state) == Some(dns::NXDOMAIN)) {
        return Verdict::Nxdomain;
    }
    if pending {
        return Verdict::Pending;
    }
    let failures = states.into_iter().filter_map(|state| match state {
        State::Failed(class, detail) => Some((*class, *detail)),
        State::Answered(answer) if answer.rcode != dns::NO_ERROR => Some(of_rcode(answer.rcode)),
        _ => None,
    });
    match failures.max_by_key(|(class, _)| rank(*class)) {
        Some((class, detail)) => Verdict::Failed(class, detail),
        None => Verdict::Nodata,
    }
}

fn of_rcode(rcode: u8) -> (Class, Detail) {
    match rcode {
        dns::NO_ERROR | dns::NXDOMAIN => (Class::Open, Detail::None),
        dns::REFUSED => (Class::DnsRefused, Detail::None),
        _ => (Class::DnsServfail, Detail::Rcode(rcode)),
    }
}

fn over_tcp(question: &Question, outcome: &Outcome) -> Option<Answer> {
    dns::unframed(&outcome.reply).and_then(|message| question.read(message))
}

/// Notes how a server did, and gives its class for the question.
fn note(health: &mut Health, answer: Option<&Answer>, outcome: &Outcome) -> (Class, Detail) {
    let (class, detail) = match (answer, outcome.class) {
        (Some(answer), _) => of_rcode(answer.rcode),
        (None, _) if outcome.detail == Detail::Closed => (Class::DnsServfail, Detail::Closed),
        // A connection without an answer, a datagram without one: silence.
        (None, Class::Open | Class::OpenSilent | Class::OpenOrFiltered | Class::Timeout) => {
            (Class::DnsTimeout, Detail::None)
        }
        (None, class) => (class, outcome.detail),
    };
    health.note(class, detail, outcome);
    (class, detail)
}
