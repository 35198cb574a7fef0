//! Probing with what an image happens to have: a shell script that finds a tool, and the reading of what it says.
//!
//! The script takes the agent where there is one, else python, agnhost, bash, nc, curl or wget, in the order of how well
//! they tell what happened. It writes the agent's records without their checksums between a head and an end. Every tool tries
//! TCP and names; python and agnhost try UDP and SCTP too. Of what a tool can't try it says nothing.

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
    // A name may come from an object of the cluster: what a shell could take for more than a word is left out.
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if let Host::Name(name) = &target.host
        && (name.is_empty() || name.starts_with('-') || !plain(name))
    {
        return false;
    }
    match &target.dial {
        None => true,
        Some(dial) => dial.talk == Talk::Nothing,
    }
}

/// The script for some targets. `message`: the records go to the termination message, where there is one.
pub(super) fn script(targets: &[Target], connect: f64, message: bool) -> String {
    let out = if message { "/dev/termination-log" } else { "" };
    let mut words = String::new();
    for (index, target) in targets.iter().enumerate().filter(|(_, t)| can(t)) {
        // Addresses, or names of letters, digits, `-`, `_` and `.`: a shell takes them as they are.
        let host = match &target.host {
            Host::Address(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        let port = target.dial.as_ref().map_or(0, |d| d.port);
        let protocol = target.dial.as_ref().map_or(Protocol::Tcp, |d| d.protocol);
        words.push_str(&format!(" {index},{host},{port},{protocol}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe_record::Class;

    #[test]
    fn nothing_but_words_gets_into_the_script() {
        let named = |name: &str| Target { host: Host::Name(name.to_owned()), dial: None };
        for name in ["a;reboot", "$(reboot)", "a b", "`a`", "a\nb", "", "-e", "a'b", "a,b"] {
            assert!(!can(&named(name)), "{name}");
            assert!(!script(&[named(name)], 3.0, false).contains("reboot"), "{name}");
        }
        let targets: Vec<Target> =
            ["tcp:10.0.0.1:80", "udp:10.0.0.1:53", "tcp:[fd00::1]:443", "tcp:a.b:1+tls", "dns:a.b"]
                .map(|t| t.parse().expect(t))
                .into();
        let script = script(&targets, 2.5, true);
        assert!(
            script.contains("\nset -- 0,10.0.0.1,80,tcp 1,10.0.0.1,53,udp 2,fd00::1,443,tcp 4,a.b,0,tcp\n"),
            "{}",
            &script[..200]
        );
        assert!(script.contains("\nlimit=3\nout=/dev/termination-log\n"));
    }

    #[test]
    fn what_the_script_says_is_read_and_what_others_say_is_not() {
        let text = "noise\nnetcheck-tools 0000002a nc\np 0 open 12 1 10.0.0.1 -\np 1 nonsense 1 1 - -\nc 0 open 1 1 - -\n\u{1b}[2J\nd 2 dns-nxdomain 5 1 - -\nnetcheck-end 40\n";
        let answer = read(text).expect("an answer");
        let classes: Vec<_> = answer.records.iter().map(|r| (r.index, r.class)).collect();
        assert_eq!((answer.batch, answer.millis, tool(text)), (42, 40, Some("nc")));
        assert_eq!(classes, [(0, Class::Open), (2, Class::DnsNxdomain)]);
        assert_eq!(tool("netcheck-tools 0000002a none"), None);
        assert_eq!(read("sh: not found"), None);
    }
}
