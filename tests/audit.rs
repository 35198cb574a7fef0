//! The audit: every code on a case that has it and one that nearly has it, silence on what is clean, real clusters.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use netcheck::analysis::audit::suppress::{self, Baseline, Disposition, FailOn};
use netcheck::analysis::audit::{Finding, Scope, audit, codes};
use netcheck::model::{BuildOptions, Cluster};
use netcheck::policy::{Policies, Profile};
use netcheck::source::{Options, Severity, SourceMap, load_paths, load_text};

/// The findings of a cluster, suppressions by annotation applied.
fn settled(cluster: &Cluster, sources: &SourceMap) -> Vec<(Finding, Disposition)> {
    let policies = Policies::lower(cluster);
    let mut findings = audit(cluster, &policies, &Profile::generic(), sources, Scope::default()).findings;
    let suppressions = suppress::annotated(cluster, None, &mut findings);
    suppress::settle(findings, &suppressions, &Baseline::default()).0
}

fn loaded(paths: &[PathBuf]) -> (Cluster, SourceMap) {
    let options = Options { recursive: true, tolerant: true, ..Options::default() };
    let input = load_paths(paths, &options).unwrap_or_else(|e| panic!("{paths:?}: {e}"));
    let cluster =
        Cluster::build(input.objects, &BuildOptions::default()).unwrap_or_else(|e| panic!("{paths:?}: {e:?}"));
    (cluster, input.sources)
}

fn active(path: &Path) -> Vec<Finding> {
    let (cluster, sources) = loaded(&[path.to_owned()]);
    settled(&cluster, &sources).into_iter().filter(|(_, d)| *d == Disposition::Active).map(|(f, _)| f).collect()
}

fn messages(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("\n  {} {}", f.code.id, f.diagnostic.message)).collect()
}

#[test]
fn every_code_has_a_case_a_near_case_and_a_page() {
    let known: BTreeSet<String> = codes::ALL.iter().map(|c| c.id.to_owned()).collect();
    assert_eq!(known.len(), codes::ALL.len(), "two codes have one number");
    let folders: BTreeSet<String> = common::folders(Path::new("fixtures/audit"))
        .iter()
        .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|n| n.starts_with("NC"))
        .collect();
    assert_eq!(folders, known, "folders of fixtures/audit and codes differ");
    let mut wrong = Vec::new();
    for code in codes::ALL {
        let folder = Path::new("fixtures/audit").join(code.id);
        let found = active(&folder.join("positive.yaml"));
        let of_code: Vec<&Finding> = found.iter().filter(|f| f.code.id == code.id).collect();
        if of_code.len() != 1 {
            wrong.push(format!("{} positive: found {} times{}", code.id, of_code.len(), messages(&found)));
        }
        for finding in &of_code {
            if finding.severity() > code.severity {
                wrong.push(format!("{}: graver than its code", code.id));
            }
            if !finding.diagnostic.labels.iter().any(|l| l.primary) {
                wrong.push(format!("{}: no line is shown", code.id));
            }
        }
        let found = active(&folder.join("negative.yaml"));
        if found.iter().any(|f| f.code.id == code.id) {
            wrong.push(format!("{} negative: found{}", code.id, messages(&found)));
        }
        let page = std::fs::read_to_string(code.page()).unwrap_or_default();
        for part in [&format!("# {}: {}", code.id, code.slug), "## Why", "## Example", "## Fix", "## Suppress"] {
            if !page.contains(part) {
                wrong.push(format!("{}: `{part}` is missing", code.page()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the outside is let in by, beside the cases of NC1021: only what is open to the internet, and not protected.
#[test]
fn ways_in_from_outside() {
    let of = |file: &str, code: &str| -> Vec<String> {
        let found = active(&Path::new("fixtures/exposure").join(file));
        found
            .into_iter()
            .filter(|f| f.code.id == code)
            .map(|f| format!("{:?} {}", f.severity(), f.object).to_lowercase())
            .collect()
    };
    // Neither the internal load balancer nor the one with source ranges; nor what the nodes' addresses decide.
    assert_eq!(
        of("services.yaml", "NC1021"),
        ["warning service/shop/by-address", "warning service/shop/open", "note service/shop/local"]
    );
    // Each Ingress leads to a pod that nothing isolates, and to others.
    assert_eq!(
        of("controllers.yaml", "NC1021"),
        ["warning ingress/shop/default", "warning ingress/shop/outside", "warning ingress/shop/unknown"]
    );
    // A Gateway's pods are let in by the policy, which is what it is for; its NodePort nobody guards.
    assert_eq!(of("gateway.yaml", "NC1021"), ["warning service/envoy-gateway-system/proxy"]);
    assert_eq!(of("gateway.yaml", "NC1032"), ["error tcproute/shop/granted"]);
    assert_eq!(
        of("gateway.yaml", "NC1033"),
        ["warning httproute/back/other-namespace", "warning httproute/shop/other-host"]
    );
    assert_eq!(of("controllers.yaml", "NC1032"), ["error ingress/shop/default"]);
    assert_eq!(of("controllers.yaml", "NC1033"), ["warning ingress/shop/default"]);
}

/// What tier Admin denies, no NetworkPolicy allows; what an earlier rule accepts or passes, one may.
#[test]
fn network_policies_behind_a_deny_of_the_administrator() {
    let cluster = |before: &str, peer: &str| {
        format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec: {{containers: [{{name: a, image: a}}]}}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: deny}}
spec:
  tier: Admin
  priority: 10
  subject: {{namespaces: {{}}}}
  ingress:
{before}  - {{action: Deny, from: [{{namespaces: {{matchLabels: {{team: blue}}}}}}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: web, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: web}}}}
  ingress: [{{from: [{{namespaceSelector: {{{peer}}}}}]}}]
"
        )
    };
    let found = |text: &str| -> Vec<String> {
        let input = load_text("a.yaml", text, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
        let cluster = Cluster::build(input.objects, &BuildOptions::default()).unwrap();
        let all = settled(&cluster, &input.sources).into_iter().map(|(f, _)| f);
        all.filter(|f| f.code.id == "NC1027").map(|f| f.object.to_string()).collect()
    };
    let blue = "matchLabels: {team: blue}";
    assert_eq!(found(&cluster("", blue)), ["NetworkPolicy/shop/web"]);
    assert_eq!(found(&cluster("", "matchLabels: {team: blue, tier: web}")), ["NetworkPolicy/shop/web"]);
    assert!(found(&cluster("", "matchLabels: {team: green}")).is_empty());
    assert!(found(&cluster("", "")).is_empty(), "more than what is denied");
    let passes = "  - {action: Pass, from: [{namespaces: {matchLabels: {team: blue}}}]}\n";
    assert!(!found(&cluster(passes, blue)).contains(&"NetworkPolicy/shop/web".to_owned()));
}

#[test]
fn nothing_is_said_of_what_is_clean() {
    for file in ["shop.yaml", "template.yaml"] {
        let found = active(&Path::new("fixtures/audit/clean").join(file));
        assert!(found.is_empty(), "{file}:{}", messages(&found));
    }
}

#[test]
fn a_sure_fix_takes_the_finding_away() {
    for code in ["NC1014", "NC1016", "NC1017"] {
        let path = Path::new("fixtures/audit").join(code).join("positive.yaml");
        let found = active(&path);
        let Some(edit) = found.iter().filter(|f| f.code.id == code).find_map(|f| f.fix.as_ref()) else {
            // Not every case of a code has a fix that is sure.
            assert_ne!(code, "NC1014", "no fix");
            continue;
        };
        let mut objects = vec![edit.object_yaml()];
        let text = std::fs::read_to_string(&path).unwrap();
        objects.extend(
            text.split("---\n")
                .filter(|d| !(d.contains("kind: NetworkPolicy") && d.contains(&format!("  name: {}\n", edit.name))))
                .map(str::to_owned),
        );
        let input = load_text("fixed.yaml", &objects.join("\n---\n"), &Options::default()).unwrap();
        let cluster = Cluster::build(input.objects, &BuildOptions::default()).unwrap();
        let after = settled(&cluster, &input.sources);
        assert!(after.iter().all(|(f, _)| f.code.id != code), "{code} is still found");
    }
}

/// A pod that is let nowhere may be meant to be: unless its own command names a host.
#[test]
fn a_denied_pod_that_names_a_host_needs_dns() {
    let found = |address: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: poller, namespace: feeds}}\nspec: {{containers: [{{name: c, command: [sh, -c, 'curl http://{address}/']}}]}}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: deny, namespace: feeds}}\nspec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}\n"
        );
        let input = load_text("feeds.yaml", &text, &Options::default()).unwrap();
        let cluster = Cluster::build(input.objects, &BuildOptions::default()).unwrap();
        settled(&cluster, &input.sources).iter().filter(|(f, _)| f.code.id == "NC1019").count()
    };
    assert_eq!((found("example.com"), found("192.0.2.7")), (1, 0));
}

#[test]
fn order_and_count_are_the_same_every_time() {
    let once = active(Path::new("examples/shop"));
    let again = active(Path::new("examples/shop"));
    assert!(!once.is_empty());
    assert_eq!(messages(&once), messages(&again));
}

/// Every shared cluster: no panic, no finding without a place that can be found, and quickly.
#[test]
fn shared_clusters_are_audited() {
    let mut paths = Vec::new();
    for (sub, file) in [("oracle/cases", None), ("real/crash", Some("cluster.json")), ("real/reach", None)] {
        let Some(root) = common::shared(sub) else { continue };
        collect(&root, file, &mut paths);
    }
    assert!(paths.is_empty() || paths.len() > 150, "only {} clusters", paths.len());
    let mut slow = Vec::new();
    for path in &paths {
        let start = Instant::now();
        let options = Options { recursive: true, tolerant: true, ..Options::default() };
        // Some of the cases hold what the API server refuses, on purpose.
        let Ok(input) = load_paths(std::slice::from_ref(path), &options) else { continue };
        let Ok(cluster) = Cluster::build(input.objects, &BuildOptions::default()) else { continue };
        for (finding, _) in settled(&cluster, &input.sources) {
            for label in &finding.diagnostic.labels {
                assert!(input.sources.span(&label.place).is_some(), "{}: {:?}", path.display(), label.place);
            }
        }
        if start.elapsed() > Duration::from_secs(20) {
            slow.push(format!("{} {:?}", path.display(), start.elapsed()));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
    eprintln!("{} clusters", paths.len());
}

/// Folders that hold manifests, or files of a name.
fn collect(root: &Path, file: Option<&str>, out: &mut Vec<PathBuf>) {
    match file {
        Some(file) if root.join(file).is_file() => out.push(root.join(file)),
        None if root.join("manifests").is_dir() => out.push(root.join("manifests")),
        None if root.join("cluster.json").is_file() => out.push(root.join("cluster.json")),
        _ => {
            for folder in common::folders(root) {
                collect(&folder, file, out);
            }
        }
    }
}

/// Ten thousand pods of two thousand workloads, a thousand policies, as one text.
fn large() -> String {
    let mut text = String::from("apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system}\n");
    for ns in 0..100 {
        text += &format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{ns}, labels: {{team: t{}}}}}\n",
            ns % 10
        );
        for app in 0..20 {
            for pod in 0..5 {
                let ip = ns * 100 + app * 5 + pod;
                text += &format!(
                    "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: a{app}-{pod}, namespace: n{ns}, labels: {{app: a{app}}}, ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: a{app}, uid: x, controller: true}}]}}\nspec: {{containers: [{{name: c, ports: [{{name: http, containerPort: 8080}}]}}]}}\nstatus: {{phase: Running, podIP: 10.{}.{}.{}}}\n",
                    ip / 65536,
                    ip / 256 % 256,
                    ip % 256
                );
            }
            if app < 10 {
                text += &format!(
                    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{app}, namespace: n{ns}}}\nspec: {{podSelector: {{matchLabels: {{app: a{app}}}}}, policyTypes: [Ingress, Egress], ingress: [{{from: [{{podSelector: {{matchLabels: {{app: a{}}}}}}}, {{namespaceSelector: {{matchLabels: {{team: t{}}}}}}}], ports: [{{port: 8080}}]}}], egress: [{{to: [{{podSelector: {{}}}}]}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: a{app}, namespace: n{ns}}}\nspec: {{selector: {{app: a{app}}}, ports: [{{port: 80, targetPort: 8080}}]}}\n",
                    app + 1,
                    app % 10
                );
            }
        }
    }
    text
}

#[test]
fn a_large_cluster_is_audited_in_reasonable_time() {
    let options = Options { tolerant: true, ..Options::default() };
    let input = load_text("large.yaml", &large(), &options).unwrap_or_else(|e| panic!("{e}"));
    let cluster = Cluster::build(input.objects, &BuildOptions::default()).unwrap();
    assert_eq!(cluster.network_policies.len(), 1000);
    assert!(cluster.pods.len() >= 10_000);
    let start = Instant::now();
    let findings = settled(&cluster, &input.sources);
    let took = start.elapsed();
    eprintln!("{} findings in {took:?}", findings.len());
    // Without DNS, every namespace.
    assert_eq!(findings.iter().filter(|(f, _)| f.code.id == "NC1019").count(), 100);
    assert!(took < Duration::from_secs(if cfg!(debug_assertions) { 120 } else { 10 }), "{took:?}");
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netcheck"))
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("NETCHECK_CNI")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(args: &[&str]) -> String {
    let output = run(args);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    format!("$ netcheck {}\n{out}--- stderr\n{err}--- exit {}\n", args.join(" "), output.status.code().unwrap())
}

fn code(args: &[&str]) -> i32 {
    run(args).status.code().unwrap()
}

#[test]
fn the_shop_as_text() {
    insta::assert_snapshot!(text(&["audit", "-f", "examples/shop"]));
}

#[test]
fn the_shop_as_json() {
    insta::assert_snapshot!(text(&["audit", "-f", "examples/shop", "-o", "json"]));
}

#[test]
fn other_programs_get_the_lines() {
    let audit = |format: &str| run(&["audit", "-f", "fixtures/audit/NC1014/positive.yaml", "-o", format]).stdout;
    let log: serde_json::Value = serde_json::from_slice(&audit("sarif")).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"NC1014".into(), &"warning".into()));
    let physical = &result["locations"][0]["physicalLocation"];
    assert_eq!(physical["artifactLocation"]["uri"], "fixtures/audit/NC1014/positive.yaml");
    let line = physical["region"]["startLine"].as_u64().unwrap();
    let text = std::fs::read_to_string("fixtures/audit/NC1014/positive.yaml").unwrap();
    assert_eq!(text.lines().nth(line as usize - 1).unwrap().trim(), "- port: 80");
    let github = String::from_utf8(audit("github")).unwrap();
    assert!(
        github.starts_with(&format!("::warning file=fixtures/audit/NC1014/positive.yaml,line={line},")),
        "{github}"
    );
}

#[test]
fn the_clean_example_says_so() {
    insta::assert_snapshot!(text(&["audit", "-f", "fixtures/audit/clean/shop.yaml"]));
}

#[test]
fn severities_and_codes_fail_a_run() {
    let shop = |fail: &str| code(&["-q", "audit", "-f", "examples/shop", "--fail-on", fail]);
    assert_eq!(code(&["-q", "audit", "-f", "examples/shop"]), 0);
    assert_eq!(shop("NC1014"), 1);
    assert_eq!(shop("service-port"), 1);
    assert_eq!(shop("NC1028"), 0);
    assert_eq!(shop("NC1028,warning"), 1);
    assert_eq!(shop("fatal"), 2);
    assert_eq!(code(&["audit", "-f", "examples/shop", "-n", "shp"]), 2);
    assert_eq!(code(&["-q", "audit", "-f", "fixtures/audit/clean/shop.yaml", "--fail-on", "note"]), 0);
    assert_eq!("error".parse::<FailOn>().unwrap(), FailOn::Severity(Severity::Error));
}

#[test]
fn what_the_file_accepts_is_suppressed_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("netcheck.yaml");
    let config = path.to_str().unwrap();
    let audit = |extra: &[&str]| {
        let mut args = vec!["audit", "-f", "fixtures/audit/NC1014/positive.yaml", "--config", config];
        args.extend(extra);
        run(&args)
    };
    std::fs::write(&path, "audit:\n  ignore:\n    - {code: NC1014, object: \"NetworkPolicy/shop/*\", reason: being moved}\n    - {code: NC1010, reason: gone}\n").unwrap();
    let report: serde_json::Value = serde_json::from_slice(&audit(&["-o", "json"]).stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let of = |code: &str| findings.iter().find(|f| f["code"] == code).unwrap();
    assert_eq!((&of("NC1014")["state"], &of("NC1014")["reason"]), (&"suppressed".into(), &"being moved".into()));
    assert_eq!(of("NC1031")["state"], "active", "the entry that matches nothing is reported");
    assert_eq!(audit(&["-q", "--fail-on", "NC1014"]).status.code(), Some(0));
    for bad in [
        "audit: {ignore: [{code: NC1014}]}",
        "audit: {ignore: [{code: NC1, reason: x}]}",
        "audit: {ignore: [{code: NC1014, reason: ' '}]}",
        "audit: {ignored: []}",
    ] {
        std::fs::write(&path, bad).unwrap();
        assert_eq!(audit(&[]).status.code(), Some(2), "{bad}");
    }
}

#[test]
fn a_baseline_leaves_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("baseline.json");
    let baseline = path.to_str().unwrap();
    let shop = ["audit", "-f", "examples/shop"];
    assert_eq!(code(&[&shop[..], &["-q", "--write-baseline", baseline]].concat()), 0);
    let held = [&shop[..], &["--baseline", baseline, "--fail-on", "note"]].concat();
    assert_eq!(code(&held), 0);
    assert_eq!(
        code(&["audit", "-f", "fixtures/audit/NC1010/positive.yaml", "--baseline", baseline, "--fail-on", "note"]),
        1
    );
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(code(&held), 2);
}

#[test]
fn namespaces_narrow_the_audit() {
    let found = |args: &[&str]| {
        let all = [&["audit", "-f", "examples/shop", "-o", "json"], args].concat();
        let report: serde_json::Value = serde_json::from_slice(&run(&all).stdout).unwrap();
        let names: Vec<String> =
            report["namespaces"].as_array().unwrap().iter().map(|n| n["name"].as_str().unwrap().to_owned()).collect();
        names
    };
    assert_eq!(found(&["-n", "shop"]), ["shop"]);
    assert_eq!(found(&["-n", "shop,kube-system"]), ["shop"]);
    assert_eq!(found(&["-A"]), ["shop"]);
}

#[test]
fn the_committed_schemas_are_the_programs() {
    for (what, file) in [("audit", "audit-report"), ("audit-baseline", "audit-baseline")] {
        let printed = String::from_utf8(run(&["schema", what]).stdout).unwrap();
        let path = format!("docs/schema/{file}.json");
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(printed == committed, "{path} is stale: netcheck schema {what} > it");
    }
}
