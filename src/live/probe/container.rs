//! The container that a probe adds: its specification, and what its last words say.
//!
//! It asks for nothing: no root, no capability, no volume, no token, a file system that can't be written to. That is what
//! the Pod Security level `restricted` demands.

use serde_json::{Value, json};

use super::super::error::{LiveError, Trouble, shorten};
use super::image::{ImageKind, ProbeImage, PullPolicy};
use super::subject::Subject;
use super::{Options, Probed, tools};
use crate::probe_record::{self, Counter, Record, Report, Step};
use crate::probe_target::{Host, Target, batch_number, encode_batch};

/// Where the agent is in its image.
pub(super) const AGENT: &str = "/netcheck-agent";

/// What the containers of one probe have in common.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// Name of the first; further ones get a number.
    pub(super) name: String,
    pub(super) kind: ImageKind,
    /// The image as a container names it.
    pub(super) image: String,
    pull: PullPolicy,
    user: (i64, i64),
    /// Bytes that its last words may have.
    limit: usize,
    connect: f64,
    errand: Errand,
}

/// What the container is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    /// To try each target.
    Try,
    /// To dial one target so many times, and to count.
    Burst(usize),
    /// To count for so many seconds, after so many of quiet.
    Watch(u32, u32),
}

/// Seconds that the agent counts before it sends a burst.
pub(super) const QUIET: u32 = 2;

impl Recipe {
    pub(super) fn new(
        subject: &Subject,
        image: &ProbeImage,
        options: &Options,
        limit: usize,
    ) -> Result<Self, LiveError> {
        let reference = match image.kind {
            ImageKind::Target => match subject.container() {
                Some(container) if !container.image.is_empty() => container.image.clone(),
                _ => return Err(LiveError::new(Trouble::Unfit, "the pod's container names no image")),
            },
            _ => image.reference.clone(),
        };
        // The pod's own image is on its node already.
        let pull = if image.kind == ImageKind::Target { PullPolicy::IfNotPresent } else { options.pull };
        Ok(Self {
            name: format!("netcheck-{}", unique()),
            kind: image.kind,
            image: reference,
            pull,
            user: subject.user(),
            limit,
            connect: options.connect.as_secs_f64(),
            errand: Errand::Try,
        })
    }

    /// To dial one target so many times, a second each, and to count: the targets to give it then.
    pub(super) fn burst(&mut self, target: &Target, count: usize) -> Vec<Target> {
        self.rename();
        self.errand = Errand::Burst(count);
        self.connect = 1.0;
        // The agent repeats a target; a script gets it so many times, and half as many as it tries silence twice.
        vec![target.clone(); if self.kind == ImageKind::Agent { 1 } else { count / 2 }]
    }

    /// To count for so many seconds, after so many of quiet.
    pub(super) fn watching(mut self, quiet: u32, seconds: u32) -> Self {
        self.errand = Errand::Watch(quiet, seconds);
        self
    }

    /// What it does, as a clause.
    pub(super) fn errand(&self, targets: &[Target]) -> String {
        match self.errand {
            Errand::Try => format!("tries {}", super::ephemeral::connections(targets.len())),
            Errand::Burst(count) => format!("dials one target {count} times"),
            Errand::Watch(quiet, seconds) => format!("reads the network's counters for {} s", quiet + seconds),
        }
    }

    /// As another user, who is in a group of the same number.
    pub(super) fn with_user(mut self, user: i64) -> Self {
        self.user = (user, user);
        self
    }

    /// Another name.
    pub(super) fn rename(&mut self) {
        self.name = format!("netcheck-{}", unique());
    }

    /// The targets, as many together as one container can answer for.
    pub(super) fn chunks<'t>(&self, targets: &'t [Target]) -> Vec<&'t [Target]> {
        let mut out = Vec::new();
        let mut start = 0;
        let mut used = OVERHEAD;
        for (index, target) in targets.iter().enumerate() {
            let cost = cost(target);
            if index > start && used + cost > self.limit {
                out.push(&targets[start..index]);
                (start, used) = (index, OVERHEAD);
            }
            used += cost;
        }
        out.push(&targets[start..]);
        out
    }

    /// The name of the container for the chunk of this number, from 0.
    pub(super) fn name_of(&self, chunk: usize) -> String {
        if chunk == 0 { self.name.clone() } else { format!("{}-{}", self.name, chunk + 1) }
    }

    /// The container.
    pub(super) fn container(&self, name: &str, targets: &[Target]) -> Value {
        let command = match self.kind {
            ImageKind::Agent => {
                let mut words = vec![AGENT.to_owned()];
                match self.errand {
                    Errand::Try => words.push("--listen".to_owned()),
                    Errand::Burst(count) => {
                        let count = count.to_string();
                        words.extend(["--counters", "--quiet", &QUIET.to_string()].map(str::to_owned));
                        words.extend(["--repeat", &count, "--tries", "1"].map(str::to_owned));
                    }
                    Errand::Watch(quiet, seconds) => {
                        words.extend(["--counters", "--quiet", &quiet.to_string()].map(str::to_owned));
                        words.extend(["--watch".to_owned(), seconds.to_string()]);
                    }
                }
                words.extend(["--timeout".to_owned(), self.connect.to_string()]);
                words.extend(["--batch".to_owned(), encode_batch(targets)]);
                if self.limit < probe_record::MESSAGE_LIMIT {
                    words.extend(["--limit".to_owned(), self.limit.to_string()]);
                }
                words
            }
            ImageKind::Tools | ImageKind::Target => {
                vec!["sh".to_owned(), "-c".to_owned(), tools::script(targets, self.connect, true)]
            }
        };
        json!({
            "name": name,
            "image": self.image,
            "imagePullPolicy": self.pull.name(),
            "command": command,
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": self.user.0,
                "runAsGroup": self.user.1,
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "privileged": false,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        })
    }

    /// What the container said last.
    pub(super) fn read(&self, words: &str, code: i32, targets: &[Target]) -> Result<Answer, LiveError> {
        let none =
            |why: String| LiveError::new(Trouble::NoAnswer, format!("the probe ended with exit code {code} and {why}"));
        let report = match self.kind {
            ImageKind::Agent => probe_record::decode(words).map(Answer::of),
            ImageKind::Tools | ImageKind::Target => tools::read(words),
        };
        match report {
            Some(answer) if answer.batch == batch_number(targets) => Ok(answer),
            Some(_) => Err(none("answered another question".to_owned())),
            None if words.trim().is_empty() => Err(none("said nothing".to_owned())),
            None => Err(none(format!("said: {}", shorten(words)))),
        }
    }
}

/// Bytes of an answer besides the targets' lines: the header, the own listener at both families, three name servers.
const OVERHEAD: usize = 450;

/// Bytes that a target's lines may take.
fn cost(target: &Target) -> usize {
    match &target.host {
        // With an ICMP message, two addresses stand in a line.
        Host::Address(ip) if ip.is_ipv6() => 115,
        Host::Address(_) => 64,
        Host::Name(_) if target.dial.is_none() => 64,
        Host::Name(_) => 240,
    }
}

/// An answer to some targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) batch: u32,
    pub(super) records: Vec<Record>,
    /// Lines that were written and did not come through.
    pub(super) missing: usize,
    pub(super) millis: u32,
    pub(super) counters: Vec<Counter>,
}

impl Answer {
    pub(super) fn of(report: Report) -> Self {
        Self {
            batch: report.batch,
            missing: report.missing(),
            millis: report.millis,
            records: report.records().cloned().collect(),
            counters: report.counters().cloned().collect(),
        }
    }

    /// As what came of a pod.
    pub(super) fn probed(self, how: String, left: Option<String>, targets: usize) -> Probed {
        let mut out = Probed {
            how,
            left,
            targets: vec![Vec::new(); targets],
            controls: Vec::new(),
            past: Vec::new(),
            servers: Vec::new(),
            millis: self.millis,
            counters: self.counters,
            way: 0,
        };
        for record in self.records {
            match record.step {
                Step::Control => out.controls.push(record),
                Step::ServerUdp | Step::ServerTcp => out.servers.push(record),
                Step::Name | Step::Probe => {
                    if let Some(of) = out.targets.get_mut(usize::from(record.index)) {
                        of.push(record);
                    }
                }
            }
        }
        out
    }
}

/// Eight hexadecimal digits that are not used yet: the standard library's random seed of hash maps.
pub(super) fn unique() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};

    format!("{:08x}", RandomState::new().build_hasher().finish() as u32)
}
