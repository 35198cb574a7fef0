//! One run: names are resolved, every address is dialled, and what comes of it becomes records.
//!
//! A plan in, a message out. It ties the resolver to the engine and knows neither sockets nor how records are written.

use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use netcheck::probe_counters::{FILES, MOST, Snapshot};
use netcheck::probe_record::{Class, Counter, Detail, Line, Message, Record, Step};
use netcheck::probe_target::{Dial, Host, Protocol, batch_number};

use crate::args::{Listen, Plan};
use crate::engine::{Engine, Event, Exchange, Outcome};
use crate::resolv_conf::ResolvConf;
use crate::resolver::{Key, Resolution, Resolver};
use crate::talk::Script;

/// The most addresses of one name that are dialled.
const MAX_ADDRESSES: usize = 16;

/// The most bytes read of `resolv.conf`.
const MAX_RESOLV_CONF: usize = 64 << 10;

/// What an exchange is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Control { index: usize, address: IpAddr, port: u16 },
    Question(Key),
    Probe { target: usize, address: IpAddr },
}

struct Run<'a> {
    plan: &'a Plan,
    engine: Engine,
    resolver: Resolver,
    /// A name that the cluster's DNS answers by itself.
    local_name: String,
    /// By token.
    purposes: Vec<Purpose>,
    /// The look-up of each target that has a name.
    lookups: Vec<Option<usize>>,
    records: Vec<Record>,
    families: Families,
}

/// Of which families this network namespace has addresses, those of the loopback and of the link alone not counted.
#[derive(Clone, Copy, Debug)]
struct Families {
    v4: bool,
    v6: bool,
}

/// Does everything the plan says.
pub fn run(plan: &Plan) -> Message {
    let (before, quiet) = match plan.counters {
        true => watched(plan.quiet),
        false => (None, Vec::new()),
    };
    let began = Instant::now();
    let conf = read_resolv_conf(plan);
    let mut run = Run {
        plan,
        engine: Engine::new(plan.pace, plan.burst),
        local_name: conf.local_name(),
        resolver: Resolver::new(conf, plan.timeout, plan.tries),
        purposes: Vec::new(),
        lookups: Vec::new(),
        records: Vec::new(),
        families: Families::here(),
    };
    let _listeners = run.dial_own();
    run.dial_targets(began);
    run.converse(began);
    std::thread::sleep(plan.watch.saturating_sub(began.elapsed()));

    let mut records = run.records;
    // Steps in their order, then targets; what belongs to one target stays in the order in which it ended.
    records.sort_by_key(|record| (record.step, record.index));
    let mut lines = run.resolver.server_lines();
    lines.extend(records.into_iter().map(Line::Result));
    lines.sort_by_key(|line| match line {
        Line::Result(record) => record.step,
        Line::Counter(_) => Step::Probe,
    });
    if let Some(before) = before {
        let changes = counters().since(&before).counters();
        lines.extend(changes.into_iter().chain(quiet).map(Line::Counter));
    }
    let millis = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    Message { batch: batch_number(&plan.targets), millis, lines }
}

/// The kernel's counters after a quiet time, and by how much they changed in it.
fn watched(quiet: Duration) -> (Option<Snapshot>, Vec<Counter>) {
    let first = counters();
    if quiet.is_zero() {
        return (Some(first), Vec::new());
    }
    std::thread::sleep(quiet);
    let second = counters();
    let changes = second.since(&first).quiet();
    (Some(second), changes)
}

/// The kernel's counters now; a file that can't be read is left out.
fn counters() -> Snapshot {
    let mut text = String::new();
    for path in FILES {
        if let Ok(file) = fs::File::open(path) {
            let _ = file.take(MOST as u64).read_to_string(&mut text);
            text.push('\n');
        }
    }
    Snapshot::parse(&text)
}

fn read_resolv_conf(plan: &Plan) -> ResolvConf {
    let bytes = fs::read(&plan.resolv_conf).unwrap_or_default();
    ResolvConf::parse(&String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_RESOLV_CONF)]))
}

impl Run<'_> {
    /// Dials listeners of its own: what can't even reach itself says nothing about others.
    fn dial_own(&mut self) -> Vec<TcpListener> {
        let addresses = match self.plan.listen {
            Listen::No => return Vec::new(),
            Listen::On(address) => vec![address],
            Listen::Own => own_addresses(),
        };
        let mut listeners = Vec::new();
        for (index, address) in addresses.into_iter().enumerate() {
            let bound = TcpListener::bind((address, 0)).and_then(|l| l.local_addr().map(|at| (l, at)));
            match bound {
                Ok((listener, at)) => {
                    listeners.push(listener);
                    let purpose = Purpose::Control { index, address, port: at.port() };
                    self.dial(purpose, Protocol::Tcp, at, Script::silent());
                }
                Err(error) => self.records.push(Record {
                    step: Step::Control,
                    index: index as u16,
                    class: Class::Error,
                    millis: 0,
                    tries: 0,
                    address: Some(address),
                    detail: error.raw_os_error().map_or(Detail::None, |number| Detail::Errno(number as u16)),
                }),
            }
        }
        listeners
    }

    fn dial_targets(&mut self, now: Instant) {
        for _ in 0..self.plan.repeat {
            for (index, target) in self.plan.targets.iter().enumerate() {
                match (&target.host, &target.dial) {
                    (Host::Address(address), Some(dial)) => self.probe(index, *address, dial),
                    (Host::Address(_), None) | (Host::Name(_), _) => {}
                }
            }
        }
        for target in &self.plan.targets {
            let lookup = match &target.host {
                Host::Name(name) => Some(self.resolver.add(name)),
                Host::Address(_) => None,
            };
            self.lookups.push(lookup);
        }
        let questions = self.resolver.begin(now);
        self.ask(questions);
    }

    /// Lets the engine work until nothing is left to do.
    fn converse(&mut self, began: Instant) {
        let give_up = began + self.plan.deadline;
        loop {
            let now = Instant::now();
            if now >= give_up {
                return self.give_up();
            }
            let wake = self.resolver.wake(now);
            let alarm = wake.map_or(give_up, |wake| wake.min(give_up));
            match self.engine.next(Some(alarm)) {
                Event::Ended(token, outcome) => self.ended(token, &outcome),
                Event::Woken => {
                    let questions = self.resolver.tick(Instant::now());
                    self.ask(questions);
                    self.follow_names();
                }
                Event::Idle => return,
            }
        }
    }

    fn give_up(&mut self) {
        for (token, outcome) in self.engine.give_up() {
            if !matches!(self.purposes.get(token), Some(Purpose::Question(_))) {
                self.ended(token, &outcome);
            }
        }
        for lookup in self.resolver.unsettled() {
            let millis = u32::try_from(self.plan.deadline.as_millis()).unwrap_or(u32::MAX);
            let unsettled = Resolution {
                class: Class::Error,
                detail: Detail::None,
                millis,
                tries: 0,
                server: None,
                addresses: Vec::new(),
            };
            self.name_settled(lookup, &unsettled);
        }
    }

    fn ended(&mut self, token: usize, outcome: &Outcome) {
        let Outcome { class, detail, millis, tries, .. } = *outcome;
        match self.purposes.get(token) {
            Some(&Purpose::Question(key)) => {
                let questions = self.resolver.heard(key, outcome, Instant::now());
                self.ask(questions);
                self.follow_names();
            }
            Some(&Purpose::Probe { target, address }) => self.records.push(Record {
                step: Step::Probe,
                index: target as u16,
                class,
                millis,
                tries,
                address: Some(address),
                detail,
            }),
            Some(&Purpose::Control { index, address, port }) => self.records.push(Record {
                step: Step::Control,
                index: index as u16,
                class,
                millis,
                tries,
                address: Some(address),
                detail: if class.is_open() { Detail::Port(port) } else { detail },
            }),
            None => {}
        }
    }

    /// Dials the addresses of names that are resolved by now.
    fn follow_names(&mut self) {
        for (lookup, resolution) in self.resolver.take_resolved() {
            self.name_settled(lookup, &resolution);
        }
    }

    fn name_settled(&mut self, lookup: usize, resolution: &Resolution) {
        let targets: Vec<usize> = (0..self.lookups.len()).filter(|&t| self.lookups[t] == Some(lookup)).collect();
        for target in targets {
            self.records.push(Record {
                step: Step::Name,
                index: target as u16,
                class: resolution.class,
                millis: resolution.millis,
                tries: resolution.tries,
                address: resolution.server,
                detail: resolution.detail,
            });
            let plan = self.plan;
            if let Some(dial) = plan.targets.get(target).and_then(|target| target.dial.as_ref()) {
                let usable = self.families.usable(&resolution.addresses);
                for _ in 0..plan.repeat {
                    for address in usable.iter().take(MAX_ADDRESSES) {
                        self.probe(target, *address, dial);
                    }
                }
            }
        }
    }

    fn probe(&mut self, target: usize, address: IpAddr, dial: &Dial) {
        let script = match self.plan.targets.get(target) {
            Some(target) => Script::for_target(&target.host, dial, &self.local_name),
            None => Script::silent(),
        };
        self.dial(Purpose::Probe { target, address }, dial.protocol, SocketAddr::new(address, dial.port), script);
    }

    fn dial(&mut self, purpose: Purpose, protocol: Protocol, peer: SocketAddr, script: Script) {
        let (timeout, tries) = (self.plan.timeout, self.plan.tries);
        self.purposes.push(purpose);
        let token = self.purposes.len() - 1;
        self.engine.submit(token, Exchange { protocol, peer, script, timeout, tries, urgent: false });
    }

    fn ask(&mut self, questions: Vec<(Key, Exchange)>) {
        for (key, exchange) in questions {
            self.purposes.push(Purpose::Question(key));
            self.engine.submit(self.purposes.len() - 1, exchange);
        }
    }
}

impl Families {
    fn here() -> Families {
        let mut families = Families { v4: false, v6: false };
        for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
            let Some(address) = interface.address else { continue };
            families.v4 |=
                address.as_sockaddr_in().is_some_and(|v4| !v4.ip().is_loopback() && !v4.ip().is_link_local());
            families.v6 |=
                address.as_sockaddr_in6().is_some_and(|v6| !v6.ip().is_loopback() && !v6.ip().is_unicast_link_local());
        }
        families
    }

    /// Which of a name's addresses a program would dial: none of a family that the pod doesn't have (getaddrinfo(3),
    /// `AI_ADDRCONFIG`), unless there are no others.
    fn usable(self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let has = |address: &&IpAddr| if address.is_ipv4() { self.v4 } else { self.v6 };
        let usable: Vec<IpAddr> = addresses.iter().filter(has).copied().collect();
        if usable.is_empty() { addresses.to_vec() } else { usable }
    }
}

/// The addresses from which packets to elsewhere leave, one a family: those of the pod. Nothing is sent: connecting a
/// datagram socket only looks the route up. (The addresses dialled are those set aside for documentation, RFC 5737 and
/// RFC 3849.)
fn own_addresses() -> Vec<IpAddr> {
    let v4 = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let v6 = (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));
    let own = |(any, far): (IpAddr, IpAddr)| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        socket.local_addr().ok().map(|at| at.ip())
    };
    let found: Vec<IpAddr> = [v4, v6].into_iter().filter_map(own).collect();
    if found.is_empty() { vec![IpAddr::V4(Ipv4Addr::LOCALHOST)] } else { found }
}
