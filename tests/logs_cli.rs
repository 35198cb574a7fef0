//! `netcheck logs` as it is called: from a file, from standard input, for machines.

use assert_cmd::Command;
use serde_json::Value;

const LOG: &str = "starting\ndial tcp 10.0.0.7:5432: connect: connection refused\npostgres://app:s3cr3t-pw@db:5432/x: connection timed out\n";

fn netcheck(args: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("netcheck").unwrap().args(args).write_stdin(LOG).assert()
}

#[test]
fn errors_of_standard_input_are_classed() {
    for args in [&["logs", "-o", "json"][..], &["logs", "-", "-o", "json"]] {
        let run = netcheck(args).success();
        let report: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors[0]["class"], "refused");
        assert_eq!((&errors[0]["host"], &errors[0]["port"]), (&"10.0.0.7".into(), &5432.into()));
        assert_eq!((&errors[1]["class"], &errors[1]["host"]), (&"timeout".into(), &"db".into()));
        assert!(!report.to_string().contains("s3cr3t-pw"), "{report}");
    }
}

#[test]
fn text_quotes_the_line_and_hides_credentials() {
    let run = netcheck(&["logs"]).success();
    let text = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(text.contains("refused 10.0.0.7:5432"), "{text}");
    assert!(!text.contains("s3cr3t-pw"), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_an_input_error() {
    let run = netcheck(&["logs", "no-such.log"]).code(2);
    assert!(String::from_utf8_lossy(&run.get_output().stderr).contains("no-such.log"));
}

#[test]
fn the_committed_schema_is_the_current_one() {
    let run = Command::cargo_bin("netcheck").unwrap().args(["schema", "logs"]).assert().success();
    let now = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(now == include_str!("../docs/schema/logs.json"), "run: netcheck schema logs > docs/schema/logs.json");
}
