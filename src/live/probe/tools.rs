//! Probing with what an image happens to have: a shell script that finds a tool, and the reading of what it says.
//!
//! The script takes the agent where there is one, else python, agnhost, bash, nc, curl or wget, in the order of how well
//! they tell what happened. It writes the agent's records without their checksums between a head and an end. It tries TCP
//! and names alone; of other targets it says nothing.

use super::container::Answer;
use crate::probe_record::{self, Line, Record, Step};
use crate::probe_target::{Host, Protocol, Talk, Target, batch_number, encode_batch};

/// The script's body; what is put before it sets its arguments.
const SCRIPT: &str = include_str!("tools.sh");

/// The first and the last word of what the script says.
const HEAD: &str = "netcheck-tools";
const END: &str = "netcheck-end";

/// Bytes of output that are read.
const MOST: usize = 1 << 20;

/// Whether the script can try a target.
pub(super) fn can(target: &Target) -> bool {
    match &target.dial {
        None => true,
        Some(dial) => dial.protocol == Protocol::Tcp && dial.talk == Talk::Nothing,
    }
}

/// The script for some targets. `message`: the records go to the termination message, where there is one.
pub(super) fn script(targets: &[Target], connect: f64, message: bool) -> String {
    let out = if message { "/dev/termination-log" } else { "" };
    let mut words = String::new();
    for (index, target) in targets.iter().enumerate().filter(|(_, t)| can(t)) {
        // Hosts are addresses or names of letters, digits, `-`, `_` and `.`: a shell takes them as they are.
        let host = match &target.host {
            Host::Address(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        let port = target.dial.as_ref().map_or(0, |d| d.port);
        words.push_str(&format!(" {index},{host},{port}"));
    }
    format!(
        "batch={:08x}\nencoded={}\nlimit={}\nout={out}\nset --{words}\n{SCRIPT}",
        batch_number(targets),
        encode_batch(targets),
        connect.ceil().max(1.0) as u32,
    )
}

/// What the script said: the agent's own records where it had the agent.
pub(super) fn read(text: &str) -> Option<Answer> {
    let text = text.get(..MOST).unwrap_or(text);
    if let Some(report) = probe_record::decode(text) {
        return Some(Answer::of(report));
    }
    let mut answer: Option<Answer> = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), &mut answer) {
            (Some(HEAD), _) => {
                let batch = words.next().and_then(|hex| u32::from_str_radix(hex, 16).ok())?;
                answer = Some(Answer { batch, ..Answer::default() });
            }
            (Some(END), Some(answer)) => answer.millis = words.next().and_then(|n| n.parse().ok()).unwrap_or(0),
            (_, Some(answer)) => answer.records.extend(record(line)),
            (_, None) => {}
        }
    }
    answer
}

/// Which tool the script found: the third word of its head; none where there was nothing to use.
pub(super) fn tool(text: &str) -> Option<&str> {
    let head = text.lines().find_map(|l| l.trim().strip_prefix(HEAD))?;
    head.split_whitespace().nth(1).filter(|t| *t != "none" && t.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn record(line: &str) -> Option<Record> {
    match Line::parse(line.trim()) {
        Some(Line::Result(record)) if matches!(record.step, Step::Name | Step::Probe) => Some(record),
        _ => None,
    }
}
