//! `netcheck why` against a server that speaks real HTTP: the same answers as from files, with few requests and few rights.

mod api_server;
mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use api_server::{ApiServer, CLUSTER_POLICIES, What, program};
use common::why::Case;
use serde_json::{Value, json};

/// A case as a cluster.
trait Served {
    fn server(&self, now: i64) -> ApiServer;
}

impl Served for Case {
    /// A server with the case's objects and logs, at the time of the case.
    fn server(&self, now: i64) -> ApiServer {
        let items = self.items();
        let pods: Vec<(String, String, Vec<String>)> = items
            .iter()
            .filter(|i| i["kind"] == "Pod")
            .map(|pod| {
                let text = |field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
                let lists = ["initContainers", "containers"].map(|list| pod["spec"][list].as_array().cloned());
                let names = lists.into_iter().flatten().flatten().map(|c| c["name"].as_str().unwrap().to_owned());
                (text("namespace"), text("name"), names.collect())
            })
            .collect();
        let mut server = ApiServer::start(items).with_kinds(&CLUSTER_POLICIES).with_date(&date(now));
        for (namespace, pod, containers) in pods {
            for container in containers {
                for (end, previous) in [("log", false), ("previous.log", true)] {
                    let path = self.directory.join(format!("logs/{namespace}_{pod}_{container}.{end}"));
                    if let Ok(text) = std::fs::read(path) {
                        server =
                            server.with_log(&namespace, &pod, &container, previous, &String::from_utf8_lossy(&text));
                    }
                }
            }
        }
        server
    }
}

/// `Sat, 21 Nov 2026 04:02:57 GMT` of seconds since 1970, as `date` writes it.
fn date(now: i64) -> String {
    let args = ["-u", "-d", &format!("@{now}"), "+%a, %d %b %Y %H:%M:%S GMT"];
    let run = Command::new("date").env("LC_ALL", "C").args(args).output().unwrap();
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

fn report(command: &mut assert_cmd::Command) -> Value {
    let run = command.output().unwrap();
    serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&run.stderr)))
}

fn offline(case: &Case, pod: &str) -> Value {
    let (dump, logs) = (case.dump(), case.directory.join("logs"));
    let mut command = program();
    command.args(["why", pod, "-f", dump.to_str().unwrap(), "-o", "json"]);
    if logs.is_dir() {
        command.args(["--logs", logs.to_str().unwrap()]);
    }
    report(&mut command)
}

/// What must be the same: cause, target, direction, policies with their fields, what is proposed.
fn gist(finding: &Value) -> Value {
    let policies: Vec<String> = finding["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|p| format!("{}/{}/{} {}", p["kind"], p["namespace"], p["name"], p["path"]))
        .collect();
    json!([
        finding["cause"],
        finding["confidence"],
        finding["target"]["text"],
        finding["direction"],
        policies,
        finding["culprit"],
        finding["fix"]["text"]
    ])
}

#[test]
fn a_cluster_is_answered_as_its_dump() {
    let mut most = 0;
    let mut wrong: Vec<String> = Vec::new();
    for case in Case::all() {
        let pod = case.answer["pod"].as_str().unwrap();
        let saved = offline(&case, pod);
        let server = case.server(saved["now"].as_i64().unwrap());
        let live = report(&mut server.netcheck(&["why", pod, "-o", "json"]));
        let first = |report: &Value| gist(&report["findings"][0]);
        let asked = server.asked();
        if first(&live) != first(&saved) {
            wrong.push(format!("{}: {} is not {}: {}", case.name, first(&live), first(&saved), asked.join("\n")));
        }
        most = most.max(asked.len());
        assert!(asked.iter().all(|a| a.starts_with("GET ")), "{}: {asked:?}", case.name);
        assert!(!asked.iter().any(|a| a.contains("/secrets")), "{}: {asked:?}", case.name);
        let lists: Vec<&String> =
            asked.iter().filter(|a| a.contains("configmaps") && !a.contains("configmaps/")).collect();
        assert!(lists.is_empty(), "{}: {lists:?}", case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // Two namespaces, kube-system, cluster-wide policies, a pod's details and logs.
    assert!(most <= 60, "{most} requests");
}

/// The first finding of a report.
fn first(report: &Value) -> Value {
    let finding = &report["findings"][0];
    json!([finding["cause"], finding["target"]["text"], finding["direction"], finding["policies"][0]["name"]])
}

/// A case saved from a cluster with its logs, and asked again from what was saved; how it differs from its dump.
fn saved_and_asked(case: &Case, scope: &[&str]) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let pod = case.field("pod");
    let saved = offline(case, pod);
    let server = case.server(saved["now"].as_i64().unwrap());
    let (file, logs) = (directory.path().join("s.json"), directory.path().join("logs"));
    let logs = logs.to_str().unwrap();
    let run = server.netcheck(&[&["snapshot", "--with-logs", logs], scope].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{}: {said}", case.name);
    std::fs::write(&file, run.stdout).unwrap();
    let mut command = program();
    command.args(["why", pod, "-o", "json", "-f", file.to_str().unwrap(), "--logs", logs]);
    let (again, saved) = (first(&report(&mut command)), first(&saved));
    (again != saved).then(|| format!("{}: {again} is not {saved}: {said}", case.name))
}

#[test]
fn a_snapshot_with_logs_is_answered_as_its_dump() {
    let wrong: Vec<String> = Case::all().iter().filter_map(|case| saved_and_asked(case, &["-A"])).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn blocked() -> Case {
    Case::named("asyncpg")
}

#[test]
fn what_may_not_be_read_is_told_with_its_consequence() {
    let case = blocked();
    let pod = case.answer["pod"].as_str().unwrap();
    let now = offline(&case, pod)["now"].as_i64().unwrap();
    let server = case.server(now).deny("events", None).deny("nodes", None);
    let server = server.fault("/log?", What::Status(403), usize::MAX);
    let run = server.netcheck(&["why", pod, "-o", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let unread = report["unread"].as_array().unwrap();
    for what in ["events", "logs"] {
        let told = unread.iter().find(|u| u["what"].as_str().unwrap().starts_with(what));
        assert!(told.is_some_and(|u| !u["consequence"].as_str().unwrap().is_empty()), "{what}: {unread:?}");
    }
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains("pods/log") && said.contains("kind: Role"), "{said}");
    // Without logs the dependency that is declared is still found, and not as certain.
    let finding = &report["findings"][0];
    assert_eq!(finding["cause"], "policy-blocked");
    assert_eq!(finding["confidence"], "medium");
}

#[test]
fn policies_that_may_not_be_read_take_the_certainty_away() {
    let case = blocked();
    let pod = case.answer["pod"].as_str().unwrap();
    let now = offline(&case, pod)["now"].as_i64().unwrap();
    let server = case.server(now).deny("networkpolicies", None);
    let live = report(&mut server.netcheck(&["why", pod, "-o", "json"]));
    for finding in live["findings"].as_array().unwrap() {
        assert_ne!(finding["confidence"], "high", "{finding}");
    }
}

/// Without the namespace of what it depends on, a saved namespace would have no answer.
#[test]
fn a_snapshot_of_one_namespace_holds_what_its_logs_lead_to() {
    let one = |case: &Case| saved_and_asked(case, &["-n", case.field("pod").split('/').next().unwrap()]);
    let wrong: Vec<String> = Case::own().iter().filter_map(one).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn further_namespaces_of_a_snapshot_are_told() {
    let case = blocked();
    let directory = tempfile::tempdir().unwrap();
    let now = offline(&case, case.field("pod"))["now"].as_i64().unwrap();
    let server = case.server(now);
    let args = ["snapshot", "-n", "app", "--with-logs", directory.path().to_str().unwrap()];
    let run = server.netcheck(&args).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains("namespaces that they lead to are saved too: `data`"), "{said}");
}

/// A pod that was killed, on a node that says whom it killed.
#[test]
fn a_nodes_events_are_asked_for_where_a_kill_is_unaccounted_for() {
    let case = blocked();
    let mut items = case.items();
    for item in &mut items {
        if item["kind"] == "Pod" && item["metadata"]["name"] == "svc-7d9f-abcde" {
            let ended = json!({"exitCode": 137, "reason": "Error", "startedAt": "2026-11-21T10:08:00Z", "finishedAt": "2026-11-21T10:09:00Z"});
            item["status"]["containerStatuses"][0]["state"] = json!({"terminated": ended});
            item["status"]["containerStatuses"][0]["lastState"] = json!({});
        }
    }
    items.retain(|item| item["kind"] != "NetworkPolicy");
    items.push(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "n1.oom", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": "n1", "uid": "n1"}, "reason": "SystemOOM", "type": "Warning",
        "message": "System OOM encountered, victim process: svc, pid: 4711", "count": 1,
        "firstTimestamp": "2026-11-21T10:09:00Z", "lastTimestamp": "2026-11-21T10:09:00Z"}));
    let now = offline(&case, case.field("pod"))["now"].as_i64().unwrap();
    let of_nodes = |server: &ApiServer| server.asked().iter().filter(|a| a.contains("involvedObject.kind")).count();
    let server = ApiServer::start(items).with_date(&date(now));
    let live = report(&mut server.netcheck(&["why", case.field("pod"), "-o", "json"]));
    assert_eq!(live["findings"][0]["cause"], "oom", "{live:#}");
    assert_eq!(of_nodes(&server), 1, "{:?}", server.asked());
    // Nothing is asked of nodes otherwise.
    let server = case.server(now);
    report(&mut server.netcheck(&["why", case.field("pod"), "-o", "json"]));
    assert_eq!(of_nodes(&server), 0);
}

/// The kubelet's message names the key; which keys there are would come with the values alone.
#[test]
fn the_keys_of_a_secret_are_not_read_unasked() {
    let case = blocked();
    let mut items = case.items();
    for item in &mut items {
        if item["kind"] == "Pod" && item["metadata"]["name"] == "svc-7d9f-abcde" {
            item["spec"]["containers"][0]["env"] =
                json!([{"name": "T", "valueFrom": {"secretKeyRef": {"name": "db", "key": "token"}}}]);
            item["status"]["containerStatuses"][0]["lastState"] = json!({});
            item["status"]["containerStatuses"][0]["restartCount"] = json!(0);
            item["status"]["containerStatuses"][0]["state"] = json!({"waiting": {"reason": "CreateContainerConfigError",
                "message": "couldn't find key token in Secret app/db"}});
        }
    }
    items.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "app"},
        "data": {"tokens": "cGw0bnRlZC1zZWNyZXQ="}}));
    let now = offline(&case, case.field("pod"))["now"].as_i64().unwrap();
    let ask = |args: &[&str]| {
        let server = ApiServer::start(items.clone()).with_date(&date(now));
        let live = report(&mut server.netcheck(&[&["why", case.field("pod"), "-o", "json"], args].concat()));
        let finding = live["findings"][0].clone();
        assert_eq!(finding["cause"], "missing-secret-key", "{live:#}");
        (finding.to_string(), server.asked().iter().filter(|a| a.contains("/secrets")).count())
    };
    let (closed, asked) = ask(&[]);
    assert!(closed.contains("not read") && closed.contains("kubectl describe secret db -n app"), "{closed}");
    assert_eq!(asked, 0);
    let (open, asked) = ask(&["--read-secrets"]);
    assert!(open.contains("did you mean `tokens`?") && !open.contains("pl4nted"), "{open}");
    assert_eq!(asked, 1);
}

/// A client whose address stands in a Secret alone.
fn with_secret() -> (Vec<Value>, &'static str) {
    let case = blocked();
    let mut items = case.items();
    for item in &mut items {
        if item["kind"] == "Pod" && item["metadata"]["name"] == "svc-7d9f-abcde" {
            item["spec"]["containers"][0]["env"] = json!([
                {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
                {"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "db", "key": "api-key"}}}]);
        }
    }
    // postgres://app:pl4nted-secret@db.data:5432/x, and pl4nted-secret
    items.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "app"},
        "data": {"url": "cG9zdGdyZXM6Ly9hcHA6cGw0bnRlZC1zZWNyZXRAZGIuZGF0YTo1NDMyL3g=", "api-key": "cGw0bnRlZC1zZWNyZXQ="}}));
    (items, "app/svc-7d9f-abcde")
}

#[test]
fn secrets_are_read_only_when_asked_for_and_never_shown() {
    let (items, pod) = with_secret();
    let now = offline(&blocked(), pod)["now"].as_i64().unwrap();
    let log = "asyncpg: TimeoutError\n";
    let server =
        || ApiServer::start(items.clone()).with_date(&date(now)).with_log("app", "svc-7d9f-abcde", "svc", false, log);
    let closed = server();
    report(&mut closed.netcheck(&["why", pod, "-o", "json"]));
    assert!(!closed.asked().iter().any(|a| a.contains("/secrets")));
    for output in ["json", "text", "yaml"] {
        let open = server();
        let run = open.netcheck(&["why", pod, "--read-secrets", "-v", "-o", output]).output().unwrap();
        let all = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
        assert_eq!(open.asked().iter().filter(|a| a.contains("/secrets/db")).count(), 1);
        assert!(all.contains("db.data:5432"), "{all}");
        assert!(!all.contains("pl4nted-secret") && !all.contains("cGw0bnRlZC1zZWNyZXQ"), "{all}");
    }
}

#[test]
fn the_rights_that_are_printed_are_enough() {
    let run = program().args(["rbac", "why", "-n", "app"]).output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    for right in ["pods/log", "events", "configmaps", "persistentvolumeclaims"] {
        assert!(text.contains(right), "{right} not in {text}");
    }
    assert!(!text.contains("secrets"), "{text}");
}

#[test]
fn a_watch_tells_each_new_loop_once_and_ends_when_told_to() {
    let case = blocked();
    let mut items = case.items();
    let at = items.iter().position(|i| i["kind"] == "Pod" && i["metadata"]["name"] == "svc-7d9f-abcde").unwrap();
    let looping = items[at].clone();
    // Healthy at first.
    items[at]["status"]["containerStatuses"] = json!([{"name": "svc", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-11-21T09:55:00Z"}}, "lastState": {}}]);
    items[at]["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    let now = offline(&case, "app/svc-7d9f-abcde")["now"].as_i64().unwrap();
    let log = std::fs::read_to_string(case.directory.join("logs/app_svc-7d9f-abcde_svc.log")).unwrap();
    let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
    let server = ApiServer::start(items)
        .with_date(&date(now))
        .with_log("app", "svc-7d9f-abcde", "svc", false, &log)
        .with_watch(&[("ERROR", gone)])
        .with_watch(&[("BOOKMARK", json!({"metadata": {"resourceVersion": "1001"}}))])
        .with_watch(&[("MODIFIED", looping.clone()), ("MODIFIED", looping.clone())])
        .with_watch(&[("MODIFIED", looping.clone())]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_netcheck"))
        .args(["why", "--watch", "-A"])
        .env("KUBECONFIG", server.kubeconfig())
        .env("NO_COLOR", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is asked for after the trouble was seen finds it.
    std::thread::sleep(std::time::Duration::from_millis(600));
    server.put(looping);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("policy-blocked[NC2001] app/svc-7d9f-abcde"), "{first}");
    // All watches are used up before it is stopped, so that a second report would have come.
    let waited = std::time::Instant::now();
    while server.asked().iter().filter(|a| a.contains("watch=true")).count() < 5 {
        assert!(waited.elapsed().as_secs() < 120, "{:?}", server.asked());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let lists = server.asked().iter().filter(|a| a.contains("/api/v1/pods?limit")).count();
    assert!(lists >= 2, "a forgotten place is read anew: {lists}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let more: Vec<String> = lines.map_while(Result::ok).filter(|l| l.contains("[NC2")).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_watch_on_a_terminal_keeps_to_its_columns_and_says_nothing_twice() {
    let case = blocked();
    let mut items = case.items();
    let looping = items.iter().find(|i| i["metadata"]["name"] == "svc-7d9f-abcde").unwrap().clone();
    let mut other = looping.clone();
    (other["metadata"]["name"], other["metadata"]["uid"]) = ("svc-8e0a-fghij".into(), "other".into());
    other["metadata"]["ownerReferences"][0]["name"] = "svc-8e0a".into();
    items.push(other);
    let now = offline(&case, "app/svc-7d9f-abcde")["now"].as_i64().unwrap();
    let log = std::fs::read_to_string(case.directory.join("logs/app_svc-7d9f-abcde_svc.log")).unwrap();
    let server = ApiServer::start(items)
        .with_date(&date(now))
        .with_log("app", "svc-7d9f-abcde", "svc", false, &log)
        .with_log("app", "svc-8e0a-fghij", "svc", false, &log)
        .with_kinds(&CLUSTER_POLICIES)
        .deny("clusternetworkpolicies", None);
    let ready = |seen: &str| {
        if seen.matches("policy-blocked[NC2001]").count() != 2 || !seen.ends_with("\r\n\r\n") {
            return false;
        }
        // The watch goes on after the second.
        let waited = std::time::Instant::now();
        while !server.asked().iter().any(|a| a.contains("watch=true")) {
            assert!(waited.elapsed().as_secs() < 60, "{:?}", server.asked());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        true
    };
    let args = ["why", "--watch", "-n", "app"];
    let run = api_server::terminal::interrupted(&args, &server.kubeconfig(), true, ready);
    let Some((status, text)) = run else { return };
    let text = text.replace("\r\n", "\n");
    assert!(text.ends_with("\r\u{1b}[K"), "{text:?}");
    assert_eq!(status.code(), Some(0), "{text}");
    assert_eq!(text.matches("you may not read").count(), 1, "{text}");
    assert!(!text.contains("\n\n\n"), "{text}");
    // Commands and fields are to be copied, and what is drawn stands where it stands.
    let whole = |line: &str| {
        let line = line.trim_start();
        !line.contains(' ') || ["apply: ", "undo: ", "see: ", "|"].iter().any(|start| line.starts_with(start))
    };
    for line in text.lines().filter(|line| !whole(line)) {
        assert!(line.chars().count() <= 80, "{line}\n{text}");
    }
}

#[test]
fn who_is_not_there_has_neighbours() {
    let case = Case::named("missing-secret-volume");
    let server = case.server(0);
    let mut idle = case.items().into_iter().find(|item| item["kind"] == "Deployment").unwrap();
    (idle["metadata"]["name"], idle["spec"]["replicas"]) = ("idle".into(), 0.into());
    idle["metadata"]["uid"] = "idle".into();
    server.put(idle);
    let dump = case.dump();
    for (args, error, help) in [
        (&["nope", "-n", "tls"][..], "`nope` not found in namespace `tls`", "namespace `tls` has "),
        (&["gww", "-n", "tls"], "`gww` not found in namespace `tls`", "did you mean `gw`?"),
        (&["deploy/gww", "-n", "tls"], "Deployment `gww` not found", "did you mean `gw`?"),
        (&["gw", "-n", "tlss"], "namespace `tlss` not found", "did you mean "),
        (&["-n", "tlss"], "namespace `tlss` not found", "did you mean namespace `tls`?"),
        (&["x/other"], "namespace `x` not found", "the objects are in "),
    ] {
        let files = ["-f", dump.to_str().unwrap()];
        for (mut command, with) in [(server.netcheck(&["why"]), &[][..]), (program(), &files[..])] {
            if !with.is_empty() {
                command.arg("why");
            }
            let run = command.args(args).args(with).assert().code(2);
            let said = String::from_utf8_lossy(&run.get_output().stderr);
            assert!(said.contains(error) && said.contains(&format!("\n  help: {help}")), "{args:?} {with:?}: {said}");
            assert_eq!(said.lines().count(), 2, "{said}");
            assert!(run.get_output().stdout.is_empty());
        }
    }
    let idle = server.netcheck(&["why", "idle", "-n", "tls"]).assert().code(2);
    let said = String::from_utf8_lossy(&idle.get_output().stderr).into_owned();
    assert!(said.contains("`idle` has no pods in namespace `tls`\n") && said.contains("scaled to none"), "{said}");

    // Who may see no more than one namespace is not told that there were but one.
    let server = case.server(0).deny("namespaces", None);
    let run = server.netcheck(&["why", "other", "-n", "x"]).assert().code(2);
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(said.contains("namespace `x` not found") && !said.contains("the objects are in"), "{said}");
}
