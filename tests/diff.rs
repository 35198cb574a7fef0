//! `netcheck diff` from outside: what opens and closes, what makes no difference, where versions come from, every format.

use std::path::Path;
use std::process::{Command, Stdio};

use common::tools::{Program, validate_json, validate_sarif};

mod common;

fn netcheck(args: &[&str]) -> Program {
    Program::netcheck(args)
}

const BEFORE: &str = "fixtures/diff/before";
const AFTER: &str = "fixtures/diff/after";

#[test]
fn a_difference_names_the_rules_that_did_it() {
    insta::assert_snapshot!(netcheck(&["diff", BEFORE, AFTER]).shown());
}

#[test]
fn every_format_holds_the_same() {
    for format in ["json", "markdown", "github", "csv", "sarif"] {
        insta::assert_snapshot!(format!("format_{format}"), netcheck(&["diff", BEFORE, AFTER, "-o", format]).shown());
    }
    let json: serde_json::Value =
        serde_json::from_str(&netcheck(&["diff", BEFORE, AFTER, "-o", "json"]).stdout()).unwrap();
    let yaml = netcheck(&["diff", BEFORE, AFTER, "-o", "yaml"]).stdout();
    assert_eq!(json, serde_saphyr::from_str::<serde_json::Value>(&yaml).unwrap());
    let changes = json["changes"].as_array().unwrap().len();
    assert!(changes >= 3, "{json:#}");
    let lines = |format: &str| netcheck(&["diff", BEFORE, AFTER, "-o", format]).stdout().lines().count();
    assert_eq!(lines("github"), changes);
    assert_eq!(lines("csv"), changes + 1);
    let sarif: serde_json::Value =
        serde_json::from_str(&netcheck(&["diff", BEFORE, AFTER, "-o", "sarif"]).stdout()).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), changes);
    validate_sarif(&sarif);
}

#[test]
fn the_same_objects_in_another_order_under_other_names_and_files_are_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string("examples/shop/policies.yaml").unwrap();
    let mut documents: Vec<String> = text.split("\n---\n").map(str::to_owned).collect();
    documents.reverse();
    for (number, document) in documents.iter().enumerate() {
        let renamed = document.replacen("\n  name: ", "\n  name: renamed-", 1);
        std::fs::write(dir.path().join(format!("{number}.yaml")), renamed).unwrap();
    }
    std::fs::copy("examples/shop/workloads.yaml", dir.path().join("zz.yaml")).unwrap();
    let program = netcheck(&["diff", "examples/shop", dir.path().to_str().unwrap(), "--fail-on", "any"]);
    assert_eq!((program.code(), program.stdout().as_str()), (0, "no connection changes\n"));
    let json = netcheck(&["diff", "examples/shop", dir.path().to_str().unwrap(), "-o", "json"]).stdout();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["changes"], serde_json::json!([]));
}

#[test]
fn fail_on_decides_the_exit_code() {
    for (args, code) in [
        (vec![BEFORE, AFTER], 0),
        (vec![BEFORE, AFTER, "--fail-on", "opened"], 1),
        (vec![BEFORE, AFTER, "--fail-on", "closed"], 1),
        (vec![BEFORE, AFTER, "--fail-on", "any", "-q"], 1),
        (vec![BEFORE, BEFORE, "--fail-on", "any"], 0),
        (vec![BEFORE, "no/such/dir"], 2),
        (vec![BEFORE], 2),
        (vec!["-f", BEFORE], 2),
        (vec!["-", "-"], 2),
        (vec!["cluster:", AFTER], 2),
        (vec!["git:--upload-pack=x:y", AFTER], 2),
    ] {
        let all: Vec<&str> = std::iter::once("diff").chain(args.iter().copied()).collect();
        assert_eq!(netcheck(&all).code(), code, "{all:?}");
    }
    // What only may open is neither yes nor no.
    let perhaps = ["diff", "-f", BEFORE, "--with", "fixtures/diff/unknown.yaml", "--fail-on"];
    let with = |what| perhaps.iter().copied().chain([what]).collect::<Vec<_>>();
    assert_eq!(netcheck(&with("opened")).code(), 3);
    assert_eq!(netcheck(&with("any")).code(), 1);
}

#[test]
fn what_if_is_a_difference_with_what_is() {
    let program = netcheck(&["diff", "-f", "examples/shop", "--without", "netpol/shop/database"]);
    insta::assert_snapshot!(program.shown());
    let text = std::fs::read_to_string("examples/shop/policies.yaml").unwrap();
    let cart =
        text.split("---").find(|d| d.contains("name: cart\n")).unwrap().replace("- port: 80\n", "- port: 8080\n");
    let program = netcheck(&["diff", "-f", "examples/shop", "--with", "-"]).stdin(&cart);
    let out = program.stdout();
    assert!(out.contains("+ shop/frontend → shop/cart: TCP 8080"), "{out}");
    // With --prune every policy that the new set lacks is gone.
    let pruned = netcheck(&["diff", "-f", "examples/shop", "--with", "-", "--prune"]).stdin(&cart).stdout();
    assert!(pruned.contains("shop/frontend → shop/database"), "{pruned}");
}

#[test]
fn objects_of_f_lie_under_both_versions() {
    let text = std::fs::read_to_string("examples/shop/policies.yaml").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old.yaml"), dir.path().join("new.yaml"));
    std::fs::write(&old, &text).unwrap();
    std::fs::write(&new, text.replace("- port: postgres", "- port: 1")).unwrap();
    let args = ["diff", "-f", "examples/shop/workloads.yaml", old.to_str().unwrap(), new.to_str().unwrap()];
    let out = netcheck(&args).stdout();
    assert!(out.contains("- shop/checkout → shop/database: TCP 5432"), "{out}");
    assert!(!out.contains("added"), "{out}");
}

fn git(dir: &Path, args: &[&str]) {
    let config = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
    let status = Command::new("git").current_dir(dir).args(config).args(args).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "git {args:?}");
}

#[test]
fn a_git_revision_is_a_version() {
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("skipped: no git");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let deploy = dir.path().join("deploy").join("base");
    std::fs::create_dir_all(&deploy).unwrap();
    let policies = std::fs::read_to_string("examples/shop/policies.yaml").unwrap();
    std::fs::copy("examples/shop/workloads.yaml", deploy.join("workloads.yaml")).unwrap();
    std::fs::write(deploy.join("policies.yaml"), &policies).unwrap();
    std::fs::write(deploy.join("values.yaml"), "replicas: 2\n").unwrap();
    git(dir.path(), &["init", "-q"]);
    git(dir.path(), &["add", "."]);
    git(dir.path(), &["commit", "-qm", "one"]);
    std::fs::write(deploy.join("policies.yaml"), policies.replace("- port: 6379", "- port: 6380")).unwrap();

    let diff = |args: &[&str], at: &Path| {
        let all: Vec<&str> = std::iter::once("diff").chain(args.iter().copied()).collect();
        netcheck(&all).current_dir(at)
    };
    let out = diff(&["git:HEAD:deploy/base", "deploy/base"], dir.path()).stdout();
    assert!(out.contains("~ shop/cart → shop/redis: TCP 6380, before: TCP 6379"), "{out}");
    assert!(out.contains("HEAD:deploy/base/policies.yaml:"), "{out}");
    // From a directory below, a file, the whole tree.
    let out = diff(&["git:HEAD:base/", "base"], &dir.path().join("deploy")).stdout();
    assert!(out.contains("TCP 6380, before: TCP 6379"), "{out}");
    let workloads = "deploy/base/workloads.yaml";
    let file = diff(&["git:main:deploy/base/policies.yaml", "deploy/base/policies.yaml", "-f", workloads], dir.path());
    assert!(file.stdout().contains("TCP 6380, before: TCP 6379"), "{}", file.shown());
    let tree = diff(&["-R", "git:main", "."], dir.path());
    assert!(tree.stdout().contains("TCP 6380, before: TCP 6379"), "{}", tree.shown());
    for (args, message) in [
        (["git:nowhere:deploy", "deploy"], "git: "),
        (["git:main:nothing", "deploy/base"], "`nothing` is not in revision `main`"),
        (["git:main:deploy", "deploy/base"], "with -R, the directories in it are read as well"),
    ] {
        let program = diff(&args, dir.path());
        assert_eq!(program.code(), 2, "{args:?}");
        assert!(program.stderr().contains(message), "{args:?}: {}", program.stderr());
    }
}

#[test]
fn the_committed_schema_is_the_programs() {
    let committed = std::fs::read_to_string("docs/schema/diff-report.json").unwrap();
    let printed = netcheck(&["schema", "diff"]).stdout();
    assert_eq!(printed, committed, "docs/schema/diff-report.json is stale: netcheck schema diff > it");
    validate_json(&netcheck(&["diff", BEFORE, AFTER, "-o", "json"]).stdout(), &printed);
}
