//! The probe agent's command line, over the loopback device alone.
#![cfg(target_os = "linux")]

use std::net::TcpListener;

use assert_cmd::Command;
use netcheck::probe_record::{self, Class, Detail, Report, Step};
use netcheck::probe_target::{self, Target};
use predicates::prelude::*;

fn agent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_netcheck-agent"))
}

/// Runs it, and reads what it said; its records go nowhere else.
fn run(args: &[&str]) -> (Report, Option<i32>) {
    let output = agent().args(["--out", "-", "--timeout", "0.5"]).args(args).output().expect("to run");
    let text = String::from_utf8(output.stdout).expect("text");
    (probe_record::decode(&text).expect("records"), output.status.code())
}

#[test]
fn help_and_version() {
    agent().arg("--help").assert().success().stdout(predicate::str::contains("Usage: netcheck-agent"));
    agent().arg("-V").assert().success().stdout(predicate::str::contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    for (args, why) in [
        (&[][..], "no target given"),
        (&["--frobnicate"], "no such option: `--frobnicate`"),
        (&["tcp:10.0.0.1"], "expected a port"),
        (&["--timeout"], "`--timeout` needs a value"),
        (&["--timeout", "nan", "tcp:a:1"], "number of seconds"),
        (&["--timeout=-1", "tcp:a:1"], "number of seconds"),
        (&["--tries=0", "tcp:a:1"], "from 1 to 5"),
        (&["--counters=yes"], "takes no value"),
        (&["--listen=here"], "`here` is not an address"),
        (&["--batch", "!"], "not base64"),
        (&["--batch", "/w=="], "not text"),
        (&["--watch", "1", "tcp:a:1"], "needs `--counters`"),
        (&["--", "--help"], "target `--help`"),
    ] {
        agent().args(args).assert().code(2).stdout("").stderr(predicate::str::contains(why));
    }
}

#[test]
fn too_many_targets_are_refused() {
    let target: Target = "tcp:127.0.0.1:1".parse().expect("a target");
    let batch = probe_target::encode_batch(&vec![target; probe_target::MAX_TARGETS + 1]);
    agent().args(["--batch", &batch]).assert().code(2).stderr(predicate::str::contains("more than 4096 targets"));
    agent().args(["--repeat=100"]).args(["tcp:127.0.0.1:1"; 41]).assert().code(2);
}

#[test]
fn a_batch_is_answered_by_number_and_index() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("to listen");
    let open = listener.local_addr().expect("an address");
    let targets: Vec<Target> =
        [format!("tcp:{open}"), "tcp:127.0.0.1:1".to_owned()].iter().map(|t| t.parse().expect(t)).collect();
    let (report, code) = run(&["--batch", &probe_target::encode_batch(&targets)]);
    assert_eq!(report.batch, probe_target::batch_number(&targets));
    let classes: Vec<_> = report.records().map(|record| (record.step, record.index, record.class)).collect();
    assert_eq!(classes, [(Step::Probe, 0, Class::Open), (Step::Probe, 1, Class::Refused)]);
    assert_eq!(code, Some(1));
    assert_eq!(run(&[&format!("tcp:{open}")]).1, Some(0));
}

#[test]
fn the_records_go_to_a_file_too_and_one_that_can_not_be_written_is_no_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("to listen");
    let target = format!("tcp:{}", listener.local_addr().expect("an address"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "something longer than what comes".repeat(20)).expect("to write");
    let output = agent().arg("--out").arg(file.path()).arg(&target).output().expect("to run");
    assert_eq!(std::fs::read(file.path()).expect("the file"), output.stdout);
    let output = agent().args(["--out", "/nosuch/file", &target]).output().expect("to run");
    assert_eq!(output.status.code(), Some(0));
    assert!(probe_record::decode(&String::from_utf8_lossy(&output.stdout)).is_some());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nosuch/file"));
}

#[test]
fn what_is_not_tried_in_time_is_told_as_such() {
    let (report, code) =
        run(&["--deadline", "0.3", "--pace", "10000", "--burst", "1", "tcp:127.0.0.1:1", "tcp:127.0.0.1:1"]);
    let classes: Vec<_> = report.records().map(|record| (record.class, record.detail)).collect();
    assert_eq!(classes, [(Class::Refused, Detail::None), (Class::Error, Detail::Errno(62))]);
    assert_eq!(code, Some(1));
}

#[test]
fn the_documentation_knows_every_class_and_its_example_reads() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/agent.md")).expect("the page");
    for class in Class::ALL {
        assert!(text.contains(&format!("| `{class}` |")), "{class}");
    }
    let report = probe_record::decode(&text).expect("an example");
    assert_eq!((report.missing(), report.lines.len()), (0, 8));
}
