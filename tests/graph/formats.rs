//! What the command prints.

use std::process::{Command, Stdio};

fn graph(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_netcheck"))
        .arg("graph")
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("NETCHECK_CNI")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn shop(args: &[&str]) -> String {
    let (code, out, err) = graph(&[&["-f", "examples/shop"], args].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    out
}

#[test]
fn a_table_of_pairs() {
    insta::assert_snapshot!(shop(&[]));
}

#[test]
fn wide_names_the_rules() {
    insta::assert_snapshot!(shop(&["-o", "wide", "-n", "shop", "--to", "database", "--port", "5432"]));
}

#[test]
fn csv_is_for_spreadsheets() {
    insta::assert_snapshot!(shop(&["-o", "csv"]));
}

#[test]
fn json_is_the_interface() {
    let text = shop(&["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["apiVersion"], &json["kind"]), (&"netcheck/v1alpha1".into(), &"GraphReport".into()));
    insta::assert_snapshot!(shop(&["-o", "json", "--from", "checkout"]));
}

#[test]
fn the_committed_schema_is_the_programs() {
    let output = Command::new(env!("CARGO_BIN_EXE_netcheck")).args(["schema", "graph"]).output().unwrap();
    let committed = std::fs::read_to_string("docs/schema/graph-report.json").unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, committed, "docs/schema/graph-report.json is stale: netcheck schema graph > it");
}

#[test]
fn what_does_not_exist_is_an_error() {
    for args in [["--from", "nobody"], ["--to", "nobody"], ["--port", "0"], ["--port", "80/icmp"], ["-n", "nowhere"]] {
        let (code, out, err) = graph(&[&["-f", "examples/shop"], args.as_slice()].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.starts_with("error: "), "{args:?}: {err}");
    }
}
