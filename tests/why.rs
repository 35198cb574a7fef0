//! `netcheck why` on recorded pods: the known cause first, the culprit's line, a fix that works, nothing on healthy pods.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use common::why::Case;
use serde_json::Value;

fn netcheck(args: &[&str]) -> Output {
    Command::cargo_bin("netcheck").unwrap().env_remove("NETCHECK_CNI").args(args).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What is asked of a case here.
trait Asked {
    /// The report of `why` in a scope.
    fn why(&self, scope: &[&str]) -> Value;
    /// The causes that are right, the likeliest first.
    fn causes(&self) -> Vec<&str>;
    /// Whether a policy is at fault.
    fn is_network(&self) -> bool;
}

impl Asked for Case {
    fn why(&self, scope: &[&str]) -> Value {
        let (dump, logs) = (self.dump(), self.directory.join("logs"));
        let mut args = vec!["why", "-f", text(&dump), "-o", "json"];
        if logs.is_dir() {
            args.extend(["--logs", text(&logs)]);
        }
        args.extend(scope);
        let run = netcheck(&args);
        assert_eq!(run.status.code(), Some(1), "{}: {}", self.name, String::from_utf8_lossy(&run.stderr));
        serde_json::from_slice(&run.stdout).unwrap()
    }

    fn causes(&self) -> Vec<&str> {
        let also = self.answer["also_accept"].as_array().into_iter().flatten().filter_map(Value::as_str);
        std::iter::once(self.field("cause")).chain(also).collect()
    }

    fn is_network(&self) -> bool {
        self.answer["network"].as_bool().unwrap()
    }
}

fn findings(report: &Value) -> &Vec<Value> {
    report["findings"].as_array().unwrap()
}

fn is_policy(finding: &Value) -> bool {
    matches!(finding["cause"].as_str().unwrap(), "policy-blocked" | "dns-blocked")
}

#[test]
fn the_known_cause_comes_first() {
    for case in Case::all() {
        let pod = case.field("pod");
        for scope in [&["-A"][..], &[pod]] {
            let report = case.why(scope);
            let first = findings(&report).iter().find(|f| f["pods"].as_array().unwrap().iter().any(|p| p == pod));
            let first = first.unwrap_or_else(|| panic!("{}: nothing found with {scope:?}", case.name));
            let cause = first["cause"].as_str().unwrap();
            assert!(case.causes().contains(&cause), "{} {scope:?}: {cause}: {}", case.name, first["summary"]);
            if !case.is_network() {
                let blamed = findings(&report).iter().find(|f| is_policy(f));
                assert!(blamed.is_none(), "{}: a policy is blamed: {}", case.name, blamed.unwrap()["summary"]);
            }
        }
    }
}

#[test]
fn the_policy_at_fault_is_named_and_its_line_pointed_at() {
    for case in Case::all().into_iter().filter(|c| c.is_network()) {
        let report = case.why(&[case.field("pod")]);
        let first = &findings(&report)[0];
        assert_eq!(first["direction"], case.answer["direction"], "{}", case.name);
        if !case.field("target").is_empty() {
            assert_eq!(first["target"]["text"], case.answer["target"], "{}", case.name);
        }
        let culprit: Vec<&str> = case.field("culprit").split('/').collect();
        let (kind, namespace, name) = match culprit.as_slice() {
            [kind, namespace, name] => (*kind, Some(*namespace), *name),
            [kind, name] => (*kind, None, *name),
            _ => panic!("{}", case.name),
        };
        let policies = first["policies"].as_array().unwrap();
        let of_culprit: Vec<&Value> = policies
            .iter()
            .filter(|p| p["kind"] == kind && p["namespace"].as_str() == namespace && p["name"] == name)
            .collect();
        assert!(
            policies[0]["name"] == name && !of_culprit.is_empty(),
            "{}: {kind}/{name} is not named first: {policies:?}",
            case.name
        );
        // `spec.egress[1].to[0].podSelector (app=flags is …)`: the path is the first word.
        let path = case.field("rule_path").split([' ', ';']).next().unwrap();
        assert!(
            of_culprit.iter().take(2).any(|p| p["path"].as_str().unwrap().starts_with(path)),
            "{}: {path} is not pointed at: {of_culprit:?}",
            case.name
        );
        assert!(first["policies"][0]["line"].as_u64().is_some(), "{}: no line", case.name);
    }
}

/// Cases whose target is an address that only resolving a name would tell: without it the check can't be told, with the fix
/// it passes whatever the address is.
const BY_NAME_OUTSIDE: &[&str] = &["egress-ipblock-miss"];

#[test]
fn fixes_make_the_check_pass() {
    let directory = tempfile::tempdir().unwrap();
    for case in Case::all().into_iter().filter(|c| c.is_network()) {
        let report = case.why(&[case.field("pod")]);
        let first = &findings(&report)[0];
        let target = first["target"]["text"].as_str().unwrap();
        let check = |with: Option<&Path>| {
            let dump = case.dump();
            let mut args = vec!["check", case.field("pod"), target, "-f", text(&dump), "-q"];
            args.extend(with.map(|path| ["--with", text(path)]).into_iter().flatten());
            netcheck(&args).status.code()
        };
        let before = if BY_NAME_OUTSIDE.contains(&case.name.as_str()) { 3 } else { 1 };
        assert_eq!(check(None), Some(before), "{}", case.name);
        let edits = first["fix"]["edits"].as_array().unwrap_or_else(|| panic!("{}: no fix", case.name));
        for (index, fix) in edits.iter().enumerate() {
            let objects: Vec<Value> = fix["edits"].as_array().unwrap().iter().map(|e| e["object"].clone()).collect();
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
            let path = directory.path().join(format!("{}-{index}.json", case.name));
            std::fs::write(&path, list.to_string()).unwrap();
            assert_eq!(check(Some(&path)), Some(0), "{}: fix {index} doesn't work", case.name);
        }
    }
}

/// Recorded fixes healed their pods; where the address behind a name isn't known, or the plugins differ, that can't be
/// told from the objects alone.
#[test]
fn recorded_fixes_leave_nothing_to_blame() {
    for case in Case::recorded().iter().filter(|c| c.directory.join("fix.yaml").is_file()) {
        let (dump, logs, fix) = (case.dump(), case.directory.join("logs"), case.directory.join("fix.yaml"));
        let cni = ["--cni", "kube-network-policies"];
        let mut args = vec![
            "why",
            case.field("pod"),
            "-f",
            text(&dump),
            "--logs",
            text(&logs),
            "--with",
            text(&fix),
            "-o",
            "json",
        ];
        args.extend(cni);
        let run = netcheck(&args);
        let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let blamed = findings(&report).iter().find(|f| is_policy(f) && f["confidence"] == "high");
        assert!(blamed.is_none(), "{}: {}", case.name, blamed.unwrap()["summary"]);
    }
}

/// Two pods of a DaemonSet, two of a Job: one cause, one finding.
#[test]
fn pods_of_one_workload_with_one_cause_are_one_finding() {
    for case in Case::own().iter().filter(|c| c.answer["pods"].is_u64()) {
        let report = case.why(&["-A"]);
        let pods = findings(&report)[0]["pods"].as_array().unwrap().len();
        assert_eq!(Some(pods as u64), case.answer["pods"].as_u64(), "{}", case.name);
    }
}

/// Credentials stand in URLs, connection strings, environment and logs of the fixtures: none of them in any output.
#[test]
fn nothing_secret_is_printed() {
    let secret = "pl4nted-secret";
    let mut planted = 0;
    for case in Case::own().into_iter().filter(|c| c.directory.join("logs").is_dir()) {
        let (dump, logs) = (case.dump(), case.directory.join("logs"));
        planted += usize::from(std::fs::read_to_string(&dump).unwrap().contains(secret));
        for output in ["text", "json", "yaml"] {
            let run = netcheck(&["why", "-A", "-v", "-f", text(&dump), "--logs", text(&logs), "-o", output]);
            let all = [run.stdout, run.stderr].concat();
            assert!(!String::from_utf8_lossy(&all).contains(secret), "{} as {output}", case.name);
        }
        for log in std::fs::read_dir(&logs).unwrap() {
            let log = log.unwrap().path();
            planted += usize::from(std::fs::read_to_string(&log).unwrap().contains(secret));
            let run = netcheck(&["logs", text(&log), "-o", "json"]);
            assert!(!String::from_utf8_lossy(&run.stdout).contains(secret), "{}", log.display());
        }
    }
    assert!(planted >= 8, "{planted}");
}

/// Every pod that is not known to be in trouble, in every dump.
#[test]
fn nothing_is_found_on_healthy_pods() {
    for case in Case::recorded() {
        let dump: Value = serde_json::from_str(&std::fs::read_to_string(case.dump()).unwrap()).unwrap();
        let mut healthy: BTreeMap<String, bool> = BTreeMap::new();
        for pod in dump["items"].as_array().unwrap().iter().filter(|i| i["kind"] == "Pod") {
            let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            let fine = statuses.clone().all(|s| s["ready"] == true && s["restartCount"] == 0);
            let name = format!(
                "{}/{}",
                pod["metadata"]["namespace"].as_str().unwrap(),
                pod["metadata"]["name"].as_str().unwrap()
            );
            healthy.insert(name, fine && statuses.count() > 0 && pod["status"]["phase"] == "Running");
        }
        let report = case.why(&["-A"]);
        for finding in findings(&report) {
            for pod in finding["pods"].as_array().unwrap() {
                let pod = pod.as_str().unwrap();
                // The sidecar's pod is ready but for the container in trouble; none of the others is touched.
                assert!(!healthy[pod], "{}: {pod}: {}", case.name, finding["summary"]);
            }
        }
        let (dump, logs) = (case.dump(), case.directory.join("logs"));
        for (pod, _) in healthy.iter().filter(|(_, fine)| **fine) {
            let run = netcheck(&["why", pod, "-f", text(&dump), "--logs", text(&logs)]);
            assert_eq!(run.status.code(), Some(0), "{}: {pod}: {}", case.name, String::from_utf8_lossy(&run.stdout));
        }
    }
}

#[test]
fn the_other_event_api_says_the_same() {
    for case in Case::recorded().iter().filter(|c| c.directory.join("events.k8s.io.json").is_file()) {
        // The same dump without its core/v1 events, and the newer API's events beside it.
        let mut dump: Value = serde_json::from_str(&std::fs::read_to_string(case.dump()).unwrap()).unwrap();
        dump["items"].as_array_mut().unwrap().retain(|i| i["kind"] != "Event");
        let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
        std::fs::write(file.path(), dump.to_string()).unwrap();
        let (events, logs) = (case.directory.join("events.k8s.io.json"), case.directory.join("logs"));
        let run = netcheck(&[
            "why",
            case.field("pod"),
            "-f",
            text(file.path()),
            "-f",
            text(&events),
            "--logs",
            text(&logs),
            "-o",
            "json",
        ]);
        let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let cause = findings(&report)[0]["cause"].as_str().unwrap();
        assert!(case.causes().contains(&cause), "{}: {cause}", case.name);
    }
}

#[test]
fn the_committed_schema_is_the_current_one() {
    let run = netcheck(&["schema", "why"]);
    let now = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(now == include_str!("../docs/schema/why.json"), "run: netcheck schema why > docs/schema/why.json");
}

/// A page for each cause, in the list of pages under the name that machines see.
#[test]
fn every_cause_has_a_page() {
    let list = std::fs::read_to_string("docs/codes/README.md").unwrap();
    for cause in netcheck::analysis::why::Cause::ALL {
        let (code, name) = (cause.code(), cause.name());
        let page = std::fs::read_to_string(format!("docs/codes/{code}.md")).unwrap_or_default();
        assert!(page.starts_with(&format!("# {code}: {name}\n")), "{code}");
        for part in ["## What proves it", "## What to do"] {
            assert!(page.contains(part), "{code}: {part}");
        }
        assert!(list.contains(&format!("| [{code}]({code}.md) | {name} |")), "{code} is not listed");
        // What a page shows gives what it says.
        let Some(example) = page.lines().find(|l| l.starts_with("`netcheck why ")) else { continue };
        let words: Vec<&str> = example.trim_matches('`').split_whitespace().skip(1).chain(["-o", "json"]).collect();
        let report: Value = serde_json::from_slice(&netcheck(&words).stdout).unwrap();
        let found = findings(&report).iter().any(|f| f["code"] == code);
        assert!(found, "{code}: not found by {example}");
    }
}

#[test]
fn what_is_not_there_is_an_input_error() {
    let run = netcheck(&["why", "nobody", "-f", "fixtures/why/healthy.yaml"]);
    assert_eq!(run.status.code(), Some(2));
    let run = netcheck(&["why", "-f", "fixtures/why/healthy.yaml"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("which pods?"));
}

#[test]
fn a_healthy_pod_is_fine() {
    for scope in [&["-A"][..], &["api-5d4f7-x2x2x", "-n", "shop"], &["deploy/api", "-n", "shop"]] {
        let mut args = vec!["why", "-f", "fixtures/why/healthy.yaml"];
        args.extend(scope);
        let run = netcheck(&args);
        assert_eq!(run.status.code(), Some(0), "{scope:?}: {}", String::from_utf8_lossy(&run.stdout));
    }
}
