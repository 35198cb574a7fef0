//! `netcheck test` from outside: what is met and what not, with the rules to blame, every format, every exit code.

use std::path::Path;

use common::tools::{Program, output, present, validate_json, validate_sarif};

mod common;

const SHOP: &str = "fixtures/test/shop.yaml";

fn netcheck(args: &[&str]) -> Program {
    Program::netcheck(args)
}

/// A test file with inline objects.
fn run(expect: &str) -> Program {
    let dir = tempfile::tempdir().unwrap().keep();
    let file = dir.join("t.yaml");
    let manifests = "manifests: |
  apiVersion: v1
  kind: Pod
  metadata: {name: a, namespace: x, labels: {app: a}}
  spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}
  ---
  apiVersion: v1
  kind: Pod
  metadata: {name: b, namespace: w, labels: {app: b}}
  spec: {containers: [{name: c, ports: [{containerPort: 90}]}]}
  ---
  apiVersion: v1
  kind: Service
  metadata: {name: nothing, namespace: x}
  spec: {selector: {app: nothing}, ports: [{port: 80}]}
  ---
  apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: guard, namespace: x}
  spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 80}]}]}
";
    std::fs::write(
        &file,
        format!("apiVersion: netcheck/v1alpha1\nkind: ConnectivityTest\nnamespace: x\n{manifests}{expect}"),
    )
    .unwrap();
    netcheck(&["test", "t.yaml"]).current_dir(&dir)
}

#[test]
fn what_is_not_met_is_told_with_the_rules_to_blame() {
    insta::assert_snapshot!(netcheck(&["test", SHOP]).shown());
}

#[test]
fn every_format_holds_the_same() {
    for format in ["json", "junit", "tap", "sarif", "github", "markdown"] {
        insta::assert_snapshot!(format!("expect_{format}"), netcheck(&["test", SHOP, "-o", format]).shown());
    }
    let json: serde_json::Value = serde_json::from_str(&netcheck(&["test", SHOP, "-o", "json"]).stdout()).unwrap();
    let wrong = json["summary"]["failed"].as_u64().unwrap() as usize;
    assert!(wrong >= 2, "{json:#}");
    let sarif: serde_json::Value = serde_json::from_str(&netcheck(&["test", SHOP, "-o", "sarif"]).stdout()).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), wrong);
    validate_sarif(&sarif);
    let junit = netcheck(&["test", SHOP, "-o", "junit"]).stdout();
    assert_eq!(junit.matches("<failure ").count(), wrong);
    if present("xmllint", &["--version"]) {
        let lint = output(std::process::Command::new("xmllint").args(["--noout", "-"]), Some(&junit));
        assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stderr));
    }
    if present("python3", &["-c", "import xml.etree.ElementTree"]) {
        let script =
            "import sys, xml.etree.ElementTree as e; r = e.parse(sys.stdin).getroot(); assert r.tag == 'testsuites'";
        assert!(output(std::process::Command::new("python3").args(["-c", script]), Some(&junit)).status.success());
    }
    let tap = netcheck(&["test", SHOP, "-o", "tap"]).stdout();
    assert_eq!(tap.lines().filter(|l| l.starts_with("not ok ")).count(), wrong);
}

#[test]
fn demands_decide_the_exit_code() {
    for (expect, code) in [
        ("expect: [{deny: {from: w/b, to: a}}]", 0),
        ("expect: [{deny: {from: a, to: w/b}}]", 1),
        ("expect: [{allow: {from: a, to: w/b}}]", 0),
        ("expect: [{allow: {from: w/b, to: 'a:80'}}]", 1),
        // What can't work for another reason is not denied.
        ("expect: [{deny: {from: w/b, to: 'nothing:80'}}]", 1),
        ("expect: [{deny: {from: w/b, to: 'nothing:80', verdict: unreachable}}]", 0),
        // Nothing matched is nothing met.
        ("expect: [{deny: {from: {podSelector: {matchLabels: {app: none}}}, to: a}}]", 1),
        ("expect: [{deny: {from: nobody, to: a}}]", 1),
        ("expect: [{only: {from: 'ip:203.0.113.0/24', to: a, ports: [80]}}]", 0),
        ("expect: [{only: {from: 'ip:203.0.113.0/25', to: a, ports: [80]}}]", 1),
        ("expect: [{only: {from: w/b, to: a}}]", 1),
        ("expect: [{only: {from: [], to: a, ports: [81-90]}}]", 0),
        ("expect: [{deny: {from: {namespaces: all, except: {namespace: x}}, to: a}}]", 0),
        ("expect: [{deny: {from: w/b, to: a, by: x/guard}}]", 0),
        ("expect: [{deny: {from: w/b, to: a, by: other}}]", 1),
        // Part of the internet is in the range.
        ("expect: [{deny: {from: internet, to: a, ports: [80]}}]", 3),
        ("expect: [{deny: {from: internet, to: a, ports: [81]}}]", 0),
        ("matrix: {to: [a, w/b], from: {w/b: [deny, '-'], a: ['-', 90]}}", 0),
        ("matrix: {to: [a], from: {w/b: [deny, deny]}}", 1),
        ("", 2),
        ("expect: [{denyy: {from: a, to: a}}]", 2),
        ("expect: [{deny: {from: 7, to: a}}]", 2),
        ("expect: [{deny: {from: a, to: a, ports: [70000]}}]", 2),
    ] {
        let program = run(expect);
        assert_eq!(program.code(), code, "{expect}: {}", program.shown());
    }
    assert_eq!(netcheck(&["test"]).code(), 2);
    assert_eq!(netcheck(&["test", "no/such.yaml"]).code(), 2);
}

#[test]
fn a_misspelt_field_is_pointed_at() {
    insta::assert_snapshot!(run("expect: [{deny: {form: w/b, to: a}}]").shown());
}

#[test]
fn a_file_without_a_head_is_told_how_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.yaml"), "expect: [{deny: {from: a, to: b}}]\n").unwrap();
    let program = netcheck(&["test", "t.yaml"]).current_dir(dir.path());
    assert_eq!(program.code(), 2);
    assert!(program.shown().contains("expectations start with `apiVersion: netcheck/v1alpha1`"), "{}", program.shown());
}

#[test]
fn what_is_written_down_is_met() {
    let dir = tempfile::tempdir().unwrap();
    let shop = std::fs::canonicalize("examples/shop").unwrap();
    let shop = shop.to_str().unwrap();
    let text = netcheck(&["test", "--init", "-f", shop]).stdout();
    let file = dir.path().join("init.yaml");
    std::fs::write(&file, &text).unwrap();
    let program = netcheck(&["test", file.to_str().unwrap()]);
    assert_eq!(program.code(), 0, "{text}\n{}", program.shown());
    assert!(text.matches("only:").count() >= 5, "{text}");
    // Another policy, and what was true is so no more.
    let changed = netcheck(&["test", file.to_str().unwrap(), "--without", "netpol/shop/redis"]);
    assert_eq!(changed.code(), 1, "{}", changed.shown());
}

#[test]
fn rendered_templates_are_named() {
    let rendered = format!(
        "---\n# Source: shop/templates/policies.yaml\n{}\n---\n{}",
        std::fs::read_to_string("examples/shop/policies.yaml")
            .unwrap()
            .replace("\n---\n", "\n---\n# Source: shop/templates/policies.yaml\n"),
        std::fs::read_to_string("examples/shop/workloads.yaml").unwrap()
    );
    let program = netcheck(&["test", "-f", "-", SHOP, "-o", "github"]).stdin(&rendered);
    let text = program.stdout();
    assert!(text.contains("::error file=shop/templates/policies.yaml,"), "{}", program.shown());
}

/// What the tools themselves render, where they are installed.
#[test]
fn helm_and_kustomize_are_read_through_a_pipe() {
    let kustomize = ["kustomize", "fixtures/test/kustomize/overlay"];
    let helm = ["template", "prod", "fixtures/test/chart"];
    for (tool, probe, args, expectations, made) in [
        (
            "kubectl",
            "version --client",
            &kustomize[..],
            "fixtures/test/kustomize/connectivity.yaml",
            "Kustomize from `../base/app.yaml`",
        ),
        ("helm", "version", &helm[..], "fixtures/test/chart-connectivity.yaml", "Helm from `shop/templates/app.yaml`"),
    ] {
        if !present(tool, &probe.split(' ').collect::<Vec<_>>()) {
            eprintln!("skipped: `{tool}` is not installed");
            continue;
        }
        let rendered = output(std::process::Command::new(tool).args(args), None);
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        let rendered = String::from_utf8(rendered.stdout).unwrap();
        let program = netcheck(&["test", "-f", "-", expectations]).stdin(&rendered);
        assert_eq!(program.code(), 1, "{}", program.shown());
        assert!(program.shown().contains(&format!("note: made by {made}")), "{}", program.shown());
        assert!(program.shown().contains("this wants `app=proxi`"), "{}", program.shown());
        // With the slip corrected, what is expected holds.
        let program = netcheck(&["test", "-f", "-", expectations])
            .stdin(&rendered.replace("proxi\n", "proxy\n").replace("proxi}", "proxy}"));
        assert_eq!(program.code(), 0, "{}", program.shown());
    }
}

#[test]
fn committed_schemas_are_the_programs_and_fit() {
    for (name, file) in [("test", "connectivity-test.json"), ("test-report", "test-report.json")] {
        let committed = std::fs::read_to_string(Path::new("docs/schema").join(file)).unwrap();
        let printed = netcheck(&["schema", name]).stdout();
        assert_eq!(printed, committed, "docs/schema/{file} is stale: netcheck schema {name} > it");
    }
    let schema = |name: &str| netcheck(&["schema", name]).stdout();
    let text = std::fs::read_to_string(SHOP).unwrap();
    let written: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    validate_json(&written.to_string(), &schema("test"));
    validate_json(&netcheck(&["test", SHOP, "-o", "json"]).stdout(), &schema("test-report"));
}

#[test]
fn the_example_layouts_hold() {
    for layout in ["github", "gitlab", "pre-commit"] {
        let program = netcheck(&["test", &format!("examples/ci/{layout}/connectivity.yaml")]);
        assert_eq!(program.code(), 0, "{}", program.shown());
    }
    for file in ["action.yml", ".pre-commit-hooks.yaml", "examples/ci/gitlab/.gitlab-ci.yml"] {
        let text = std::fs::read_to_string(file).unwrap();
        serde_saphyr::from_str::<serde_json::Value>(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}
