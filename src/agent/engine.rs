//! Many exchanges at once in one poll loop: each dials one address, says its piece and hears the answer or doesn't.
//!
//! Exchanges come in with a token, outcomes go out with it, in the order in which they end. Starts are paced: a burst
//! of new connections makes some enforcers let packets through that they would drop otherwise. What an exchange is for
//! is not known here.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netcheck::probe_record::{Class, Detail};
use netcheck::probe_target::Protocol;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::net::{Fault, Socket};
use crate::talk::{Judgement, Script};

/// The most sockets open at once; a process may have 1024 almost anywhere.
const MAX_OPEN: usize = 512;

/// The most bytes heard in one exchange: what DNS over TCP can say.
const MAX_REPLY: usize = 2 + u16::MAX as usize;

/// How long the other end has to reset or to speak on a connection on which nothing is said to it.
const LINGER: Duration = Duration::from_millis(200);

/// One thing to do.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub protocol: Protocol,
    pub peer: SocketAddr,
    pub script: Script,
    /// For one try to connect, and once more for the answer.
    pub timeout: Duration,
    /// At least 1. Only silence is tried again.
    pub tries: u8,
    /// Asked on behalf of others: goes before them, and is paced at a quarter of the distance.
    pub urgent: bool,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub class: Class,
    pub detail: Detail,
    /// From the first try on.
    pub millis: u32,
    pub tries: u8,
    /// What the other end said.
    pub reply: Vec<u8>,
}

/// What [`Engine::next`] waited for.
#[derive(Debug)]
pub enum Event {
    /// An exchange ended.
    Ended(usize, Outcome),
    /// The time to wake up came first.
    Woken,
    /// Nothing is under way or waiting.
    Idle,
}

/// The loop.
#[derive(Debug)]
pub struct Engine {
    pace: Duration,
    burst: u32,
    /// The time at which the bucket would be full again: the pacing's whole state.
    full_at: Instant,
    urgent: VecDeque<Job>,
    waiting: VecDeque<Job>,
    live: Vec<Live>,
    ended: VecDeque<(usize, Outcome)>,
    max_open: usize,
}

#[derive(Debug)]
struct Job {
    token: usize,
    exchange: Exchange,
    tries: u8,
    started: Option<Instant>,
}

#[derive(Debug)]
struct Live {
    job: Job,
    socket: Socket,
    /// Before that the connection is being made.
    connected: bool,
    deadline: Instant,
    reply: Vec<u8>,
}

/// What a look at a socket came to.
enum Step {
    Stay,
    Again,
    End(Class, Detail),
}

impl Engine {
    /// A loop that starts an exchange every `pace`, and `burst` at once after a pause.
    pub fn new(pace: Duration, burst: u32) -> Engine {
        Engine {
            pace,
            burst,
            full_at: Instant::now(),
            urgent: VecDeque::new(),
            waiting: VecDeque::new(),
            live: Vec::new(),
            ended: VecDeque::new(),
            max_open: MAX_OPEN,
        }
    }

    /// Takes an exchange on; it starts when the pace allows.
    pub fn submit(&mut self, token: usize, exchange: Exchange) {
        let queue = if exchange.urgent { &mut self.urgent } else { &mut self.waiting };
        queue.push_back(Job { token, exchange, tries: 0, started: None });
    }

    /// Waits for the next exchange to end, but no longer than until `wake`.
    pub fn next(&mut self, wake: Option<Instant>) -> Event {
        loop {
            if let Some((token, outcome)) = self.ended.pop_front() {
                return Event::Ended(token, outcome);
            }
            let now = Instant::now();
            let next_start = self.start_due(now);
            if !self.ended.is_empty() {
                continue;
            }
            if self.live.is_empty() && next_start.is_none() {
                return Event::Idle;
            }
            if wake.is_some_and(|wake| wake <= now) {
                return Event::Woken;
            }
            let deadlines = self.live.iter().map(|live| live.deadline);
            let until = deadlines.chain(next_start).chain(wake).min();
            self.wait(until.map(|until| until.saturating_duration_since(now)));
        }
    }

    /// Starts what the pace allows now; says when the next start is due.
    fn start_due(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let job = self.urgent.front().or(self.waiting.front())?;
            if self.live.len() >= self.max_open {
                return None;
            }
            let cost = if job.exchange.urgent { self.pace / 4 } else { self.pace };
            let due = self.full_at.checked_sub(self.pace * self.burst.saturating_sub(1)).unwrap_or(now);
            if due > now {
                return Some(due);
            }
            self.full_at = self.full_at.max(now) + cost;
            let job = self.urgent.pop_front().or_else(|| self.waiting.pop_front())?;
            self.start(job, now);
        }
    }

    fn start(&mut self, mut job: Job, now: Instant) {
        job.started.get_or_insert(now);
        let opened = Socket::open(job.exchange.protocol, job.exchange.peer).map_err(Fault::from);
        let socket = match opened {
            Ok(socket) => socket,
            Err(fault) if fault.is_shortage() && !self.live.is_empty() => {
                // Room comes when one that is open now ends.
                self.max_open = self.live.len();
                let queue = if job.exchange.urgent { &mut self.urgent } else { &mut self.waiting };
                queue.push_front(job);
                return;
            }
            Err(fault) => return self.end(job, fault.verdict(), Vec::new(), now),
        };
        job.tries += 1;
        let deadline = now + job.exchange.timeout;
        let mut live = Live { job, socket, connected: false, deadline, reply: Vec::new() };
        let step = match live.socket.connect(live.job.exchange.peer) {
            Ok(true) => live.greet(now),
            Ok(false) => Step::Stay,
            Err(fault) => end(fault),
        };
        self.settle(live, step, now);
    }

    fn wait(&mut self, time: Option<Duration>) {
        let mut polled: Vec<PollFd> = self
            .live
            .iter()
            .map(|live| {
                PollFd::new(live.socket.as_fd(), if live.connected { PollFlags::POLLIN } else { PollFlags::POLLOUT })
            })
            .collect();
        let timeout = match time {
            // Rounded up, so as not to spin through the last millisecond.
            Some(time) => PollTimeout::try_from(time.as_millis() + 1).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        // An interrupted or failed poll reports nothing; deadlines still end everything.
        let ready: Vec<PollFlags> = match poll(&mut polled, timeout) {
            Ok(_) => polled.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect(),
            Err(_) => vec![PollFlags::empty(); polled.len()],
        };
        let now = Instant::now();
        for (mut live, ready) in std::mem::take(&mut self.live).into_iter().zip(ready) {
            let step = match if ready.is_empty() { Step::Stay } else { live.advance(ready, now) } {
                Step::Stay if live.deadline <= now => live.expire(now),
                step => step,
            };
            self.settle(live, step, now);
        }
    }

    fn settle(&mut self, live: Live, step: Step, now: Instant) {
        match step {
            Step::Stay => self.live.push(live),
            Step::Again => {
                let queue = if live.job.exchange.urgent { &mut self.urgent } else { &mut self.waiting };
                queue.push_front(live.job);
            }
            Step::End(class, detail) => self.end(live.job, (class, detail), live.reply, now),
        }
    }

    fn end(&mut self, job: Job, (class, detail): (Class, Detail), reply: Vec<u8>, now: Instant) {
        let time = now.saturating_duration_since(job.started.unwrap_or(now));
        let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        self.ended.push_back((job.token, Outcome { class, detail, millis, tries: job.tries, reply }));
    }

    /// Ends everything that is left, as it stands: it could not be tried to its end.
    pub fn give_up(&mut self) -> Vec<(usize, Outcome)> {
        let now = Instant::now();
        let live = std::mem::take(&mut self.live).into_iter().map(|live| live.job);
        let left: Vec<Job> = live.chain(self.urgent.drain(..)).chain(self.waiting.drain(..)).collect();
        for job in left {
            self.end(job, Fault::from(Errno::ETIME).verdict(), Vec::new(), now);
        }
        self.ended.drain(..).collect()
    }
}

impl Live {
    /// The connection stands (over UDP: could be begun): say what is to be said.
    fn greet(&mut self, now: Instant) -> Step {
        self.connected = true;
        let exchange = &self.job.exchange;
        let datagram = exchange.protocol == Protocol::Udp;
        if exchange.protocol == Protocol::Tcp && self.socket.is_its_own_peer(exchange.peer) {
            return Step::End(Class::Refused, Detail::None);
        }
        if datagram || !exchange.script.say.is_empty() {
            self.deadline = now + exchange.timeout;
            if let Err(fault) = self.socket.send(&exchange.script.say) {
                return end(fault);
            }
        } else {
            self.deadline = now + LINGER.min(exchange.timeout);
        }
        Step::Stay
    }

    fn advance(&mut self, ready: PollFlags, now: Instant) -> Step {
        if ready.intersects(PollFlags::POLLERR | PollFlags::POLLHUP)
            && let Some(fault) = self.socket.fault()
        {
            return end(fault);
        }
        if !self.connected {
            return if ready.contains(PollFlags::POLLOUT) { self.greet(now) } else { Step::Stay };
        }
        self.listen()
    }

    fn listen(&mut self) -> Step {
        let datagram = self.job.exchange.protocol == Protocol::Udp;
        let script = &self.job.exchange.script;
        let mut buffer = [0; 4096];
        match self.socket.receive(&mut buffer) {
            Ok(None) => Step::Stay,
            Ok(Some(0)) if !datagram => {
                let (class, detail) = script.judge_end();
                Step::End(class, detail)
            }
            Ok(Some(count)) => {
                if datagram {
                    self.reply.clear();
                }
                self.reply.extend_from_slice(&buffer[..count]);
                match script.judge(&self.reply) {
                    Judgement::Done(class, detail) => Step::End(class, detail),
                    Judgement::Wait if self.reply.len() > MAX_REPLY => Step::End(Class::OpenSilent, Detail::Answered),
                    Judgement::Wait => Step::Stay,
                }
            }
            Err(fault) => end(fault),
        }
    }

    /// The time is over.
    fn expire(&mut self, now: Instant) -> Step {
        let exchange = &self.job.exchange;
        let again = self.job.tries < exchange.tries;
        match exchange.protocol {
            // The same socket: a late answer to the first datagram counts.
            Protocol::Udp if again => {
                self.job.tries += 1;
                self.greet(now)
            }
            Protocol::Udp => Step::End(Class::OpenOrFiltered, Detail::None),
            _ if !self.connected && again => Step::Again,
            _ if !self.connected => Step::End(Class::Timeout, Detail::None),
            _ if exchange.script.is_silent() => Step::End(Class::Open, Detail::None),
            _ if self.reply.is_empty() => Step::End(Class::OpenSilent, Detail::None),
            _ => Step::End(Class::OpenSilent, Detail::Answered),
        }
    }
}

fn end(fault: Fault) -> Step {
    let (class, detail) = fault.verdict();
    Step::End(class, detail)
}
