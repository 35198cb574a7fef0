//! `test`, `diff` and the roles of every command against an API server.

mod api_server;

use std::path::Path;

use api_server::objects::{cluster, policy};
use api_server::{ApiServer, CLUSTER_POLICIES, program};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};

fn written(directory: &Path, name: &str, expect: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, format!("apiVersion: netcheck/v1alpha1\nkind: ConnectivityTest\n{expect}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

const DENY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {podSelector: {}}\n";

#[test]
fn expectations_ask_a_cluster_for_what_they_are_about() {
    let directory = tempfile::tempdir().unwrap();
    let one = written(directory.path(), "one.yaml", "expect: [{allow: {from: frontend, to: 'cart:8080'}}]");
    let server = ApiServer::start(cluster());
    server.netcheck(&["test", &one]).assert().code(0);
    let asked = server.asked();
    assert!(asked.len() <= 14, "{}: {}", asked.len(), asked.join("\n"));
    assert!(!asked.iter().any(|a| a.contains("/api/v1/pods") || a.contains("stock")), "{asked:?}");

    // Files, cases and what lies over them have one reading of the cluster.
    let two = written(
        directory.path(),
        "two.yaml",
        "expect: [{deny: {from: frontend, to: stock/db}}, {allow: {from: frontend, to: 'db.stock:8080', verdict: blocked}}]\ncases:\n\
         - {name: what if, with: [deny.yaml], expect: [{deny: {from: frontend, to: cart}}]}",
    );
    std::fs::write(directory.path().join("deny.yaml"), DENY).unwrap();
    let server = ApiServer::start(cluster());
    server.netcheck(&["test", &one, &two]).assert().code(0).stdout(contains("4 passed"));
    let pods: Vec<String> = server.asked().into_iter().filter(|a| a.contains("/pods?limit")).collect();
    assert_eq!(pods.len(), 2, "{pods:?}");
    server.netcheck(&["test", &one, "--with", directory.path().join("deny.yaml").to_str().unwrap()]).assert().code(1);
}

#[test]
fn a_context_can_be_named_and_is_not_mixed_with_files() {
    let directory = tempfile::tempdir().unwrap();
    let expect = "expect: [{allow: {from: frontend, to: 'cart:8080'}}]";
    let named = written(directory.path(), "named.yaml", &format!("objects: ['cluster:test']\n{expect}"));
    let server = ApiServer::start(cluster());
    server.netcheck(&["test", &named]).assert().code(0);
    let other = written(directory.path(), "other.yaml", &format!("objects: ['cluster:tset']\n{expect}"));
    server.netcheck(&["test", &other]).assert().code(2).stderr(contains("did you mean `test`"));
    let mixed = written(directory.path(), "mixed.yaml", &format!("objects: ['cluster:', deploy]\n{expect}"));
    server.netcheck(&["test", &mixed]).assert().code(2).stderr(contains("`with`"));
    let nowhere = written(directory.path(), "nowhere.yaml", expect);
    program().args(["test", &nowhere]).assert().code(2).stderr(contains("no cluster").and(contains("`objects`")));
}

#[test]
fn nothing_else_is_about_every_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(
        directory.path(),
        "t.yaml",
        "expect: [{only: {from: [], to: stock/pod/db-0}}, {deny: {from: frontend, to: stock/pod/db-0}}]",
    );
    let server = ApiServer::start(cluster());
    server.netcheck(&["test", &file]).assert().code(0).stdout(contains("2 passed"));
    assert!(server.asked().iter().any(|a| a.contains("/api/v1/pods?")), "{:?}", server.asked());

    // With rights in two namespaces: what is about these is told, the rest can't be.
    let roles = program().args(["rbac", "test", "-n", "shop", "--in", "stock"]).output().unwrap();
    let server = ApiServer::start(cluster()).with_roles(&String::from_utf8(roles.stdout).unwrap());
    server.netcheck(&["test", &file]).assert().code(3).stdout(
        contains("1 passed, 0 failed, 1 unknown").or(contains("1 passed")).and(contains("pods of other namespaces")),
    );
}

#[test]
fn policies_that_may_not_be_read_leave_expectations_open() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "t.yaml", "expect: [{allow: {from: frontend, to: 'cart:8080'}}]");
    let server = ApiServer::start(cluster()).deny("networkpolicies", Some("shop"));
    server.netcheck(&["test", &file]).assert().code(3).stdout(contains("NetworkPolicies of namespace `shop`"));
    let server = || ApiServer::start(cluster()).with_kinds(&CLUSTER_POLICIES).deny("clusternetworkpolicies", None);
    server().netcheck(&["test", &file]).assert().code(0).stderr(contains("clusternetworkpolicies"));
    server().netcheck(&["test", &file, "--strict"]).assert().code(3);
}

#[test]
fn a_change_is_compared_with_the_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let deny = directory.path().join("deny.yaml");
    std::fs::write(&deny, DENY).unwrap();
    let deny = deny.to_str().unwrap();
    let server = ApiServer::start(cluster());
    server
        .netcheck(&["diff", "--with", deny, "--fail-on", "closed"])
        .assert()
        .code(1)
        .stdout(contains("- shop/frontend → shop/cart").and(contains("NetworkPolicy/shop/deny")));
    let asked = server.asked();
    assert!(!asked.iter().any(|a| a.contains("/namespaces/stock/")), "only what the change is about: {asked:?}");
    // The cluster has no lines in files to show.
    let server = ApiServer::start(cluster());
    let output =
        server.netcheck(&["diff", "--without", "netpol/stock/own-pods-only", "-A", "-o", "json"]).assert().code(0);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let opened = &report["changes"][0];
    assert_eq!(opened["causes"][0]["policy"], "NetworkPolicy/stock/own-pods-only", "{report:#}");
    assert!(opened["causes"][0].get("file").is_none_or(Value::is_null), "{report:#}");
}

#[test]
fn a_cluster_is_a_version() {
    let directory = tempfile::tempdir().unwrap();
    let server = ApiServer::start(cluster());
    let dump = directory.path().join("all.json");
    std::fs::write(&dump, json!({"apiVersion": "v1", "kind": "List", "items": cluster()}).to_string()).unwrap();
    let dump = dump.to_str().unwrap();
    for args in [["diff", "cluster:", dump], ["diff", dump, "cluster:test"]] {
        server
            .netcheck(&args)
            .args(["-A", "--fail-on", "any"])
            .assert()
            .code(0)
            .stdout(contains("no connection changes").and(contains("removed").not()));
    }
    server.netcheck(&["diff", "cluster:", "cluster:test"]).assert().code(0);
    server.netcheck(&["diff", "cluster:tset", dump]).assert().code(2).stderr(contains("did you mean `test`"));
    // Of the cluster, the namespaces of the other version.
    let one = directory.path().join("one.yaml");
    std::fs::write(&one, format!("{DENY}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: frontend, namespace: shop, labels: {{app: frontend}}}}\nspec: {{containers: []}}\n")).unwrap();
    let server = ApiServer::start(cluster());
    server.netcheck(&["diff", "cluster:", one.to_str().unwrap()]).assert().code(0);
    assert!(!server.asked().iter().any(|a| a.contains("/namespaces/stock/")), "{:?}", server.asked());
}

#[test]
fn a_changed_template_takes_the_place_of_its_pods() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("worker.yaml");
    let deployment = |labels: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: worker, namespace: shop}}\nspec:\n  selector: {{matchLabels: {{app: worker}}}}\n  \
             template: {{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: main}}]}}}}\n"
        )
    };
    let mut objects = cluster();
    objects.push(policy(
        "shop",
        "cart",
        json!({"podSelector": {"matchLabels": {"app": "cart"}}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"role": "client"}}}]}]}),
    ));
    let ask = |labels: &str| {
        std::fs::write(&file, deployment(labels)).unwrap();
        let server = ApiServer::start(objects.clone());
        server
            .netcheck(&["deploy/worker", "cart:8080", "-o", "json", "--with", file.to_str().unwrap()])
            .output()
            .unwrap()
    };
    let pods = |output: &std::process::Output| {
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["checks"][0]["client"]["pods"].clone()
    };
    // The same template: the pods that run, with their addresses.
    let same = ask("app: worker");
    assert_eq!(same.status.code(), Some(1));
    assert_eq!(pods(&same), json!(["shop/worker-abc-1", "shop/worker-abc-2"]));
    // Another one: those that will run.
    let changed = ask("app: worker, role: client");
    assert_eq!(changed.status.code(), Some(0), "{}", String::from_utf8_lossy(&changed.stdout));
    assert_eq!(pods(&changed), Value::Null, "the template stands for itself");
    // A workload goes with its pods.
    let server = ApiServer::start(objects);
    server
        .netcheck(&["diff", "--without", "deploy/shop/worker"])
        .assert()
        .code(0)
        .stdout(contains("- Deployment shop/worker"));
}

#[test]
fn the_plugin_is_known_by_what_runs() {
    let daemon_set = |name: &str| {
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": "kube-system"},
            "spec": {"selector": {"matchLabels": {"k8s-app": name}}, "template": {"metadata": {"labels": {"k8s-app": name}}, "spec": {"containers": []}}}})
    };
    let server = |name: &str| {
        let mut objects = cluster();
        objects.push(daemon_set(name));
        ApiServer::start(objects)
    };
    let cni = |output: &std::process::Output| {
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["cni"].clone()
    };
    for (name, plugin) in
        [("kube-router", "kube-router"), ("kindnet", "kube-network-policies"), ("kube-proxy", "generic")]
    {
        for command in [
            &["frontend", "stock/pod/db-0:8080", "-o", "json"][..],
            &["audit", "-A", "-o", "json"],
            &["diff", "--without", "netpol/shop/open", "-o", "json"],
        ] {
            let server = server(name);
            let output = server.netcheck(command).output().unwrap();
            assert_eq!(cni(&output), plugin, "{command:?}");
            assert!(command[0] != "frontend" || server.asked().len() <= 16);
        }
    }
    // It is not asked for where it is said, and who may not look goes without a word.
    let said = server("kube-router");
    said.netcheck(&["frontend", "stock/pod/db-0:8080", "--cni", "calico"]).assert().code(1);
    assert!(!said.asked().iter().any(|a| a.contains("daemonsets")), "{:?}", said.asked());
    let hidden = server("kube-router").deny("daemonsets", None);
    hidden.netcheck(&["frontend", "stock/pod/db-0:8080"]).assert().code(1).stderr(contains("daemonsets").not());
    // Some enforce nothing.
    server("kube-flannel-ds")
        .netcheck(&["frontend", "stock/pod/db-0:8080"])
        .assert()
        .code(1)
        .stderr(contains("enforces no policies"));
    server("kube-flannel-ds").netcheck(&["-q", "frontend", "stock/pod/db-0:8080"]).assert().code(1).stderr("");
    // flannel has a namespace of its own.
    let own_namespace = || {
        let mut objects = cluster();
        let mut flannel = daemon_set("kube-flannel-ds");
        flannel["metadata"]["namespace"] = "kube-flannel".into();
        objects.push(flannel);
        ApiServer::start(objects)
    };
    for command in [&["frontend", "stock/pod/db-0:8080"][..], &["audit", "-n", "shop"]] {
        own_namespace().netcheck(command).assert().stderr(contains("enforces no policies"));
    }
    // An older server that tells its groups one by one is asked too.
    let older = server("kube-router").with_old_discovery();
    let output = older.netcheck(&["frontend", "stock/pod/db-0:8080", "-o", "json"]).output().unwrap();
    assert_eq!(cni(&output), "kube-router");
    // A snapshot keeps it.
    let saved = server("kube-router").netcheck(&["snapshot", "-n", "shop"]).output().unwrap();
    let saved: Value = serde_json::from_slice(&saved.stdout).unwrap();
    assert_eq!(saved["cni"], "kube-router");
}

/// The same objects, one of whose pods crashes.
fn in_trouble(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        if object["metadata"]["name"] == "worker-abc-1" {
            object["status"]["containerStatuses"] = json!([{"name": "main", "restartCount": 7, "ready": false,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-21T04:02:00Z"}}}]);
            object["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        }
    }
    objects
}

/// Roles as they are printed suffice for what they are printed for.
#[test]
fn the_printed_roles_suffice() {
    let directory = tempfile::tempdir().unwrap();
    let about_two = written(directory.path(), "t.yaml", "expect: [{deny: {from: frontend, to: stock/pod/db-0}}]");
    let change = directory.path().join("deny.yaml");
    std::fs::write(&change, DENY).unwrap();
    let change = change.to_str().unwrap();
    let cases: [(&[&str], &[&[&str]]); 11] = [
        (
            &["check", "-n", "shop", "--in", "stock"],
            &[
                &["frontend", "cart:8080"],
                &["frontend", "stock/pod/db-0:8080"],
                &["frontend", "db.stock:8080"],
                &["deploy/worker", "cart:8080"],
                &["worker", "svc/cart:8080"],
                &["internet", "cart:8080"],
            ],
        ),
        (
            &["check", "-A"],
            &[&["frontend", "10.96.0.2:8080"], &["frontend", "10.0.2.1:8080"], &["ip:10.0.1.1", "cart:8080"]],
        ),
        (
            &["audit", "-n", "shop"],
            &[&["audit", "-n", "shop"], &["graph", "-n", "shop"], &["diff", "--with", change, "-n", "shop"]],
        ),
        (&["audit", "-A"], &[&["audit", "-A"], &["graph", "-A"], &["diff", "cluster:", "cluster:test", "-A"]]),
        (&["test", "-n", "shop", "--in", "stock"], &[&["test", &about_two]]),
        (&["test", "-A"], &[&["test", "--init", "-A"]]),
        (
            &["why", "-n", "shop", "--in", "stock"],
            &[&["why", "-n", "shop"], &["why", "frontend", "-n", "shop"], &["why", "deploy/worker"]],
        ),
        (&["why", "-A"], &[&["why", "-A"]]),
        (
            &["probe", "-n", "shop", "--in", "stock"],
            &[
                &["frontend", "cart:8080", "--live", "--yes"],
                &["frontend", "stock/pod/db-0:8080", "--live", "--via=ephemeral", "--yes"],
            ],
        ),
        (&["snapshot", "-n", "shop"], &[&["snapshot", "-n", "shop"]]),
        (&["snapshot", "-A"], &[&["snapshot", "-A"]]),
    ];
    for (rbac, commands) in cases {
        let printed = program().arg("rbac").args(rbac).output().unwrap();
        assert!(printed.status.success());
        let roles = String::from_utf8(printed.stdout).unwrap();
        for command in commands {
            let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "no record"}});
            let server = ApiServer::start(in_trouble(cluster()))
                .with_kinds(&CLUSTER_POLICIES)
                .with_roles(&roles)
                .with_log("shop", "worker-abc-1", "main", true, "dial tcp: lookup db.stock: connection refused\n")
                .with_kubelet(move |_| Some(ended.clone()));
            let output = server.netcheck(command).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            if rbac[0] == "probe" {
                // What the container would say is no matter of rights.
                assert_eq!(output.status.code(), Some(2), "{command:?}: {errors}");
                let patched = server.asked().iter().any(|a| a.starts_with("PATCH ") && !a.contains("dryRun"));
                assert!(patched, "{command:?}: {errors}");
            } else {
                assert!(matches!(output.status.code(), Some(0 | 1)), "{rbac:?}: {command:?}: {errors}");
            }
            // Whether there is more to be seen is asked; the answer may be no.
            let survey = rbac.contains(&"-n") && matches!(command[0], "audit" | "graph");
            let refused: Vec<String> = server
                .refused()
                .into_iter()
                // A Role for flannel's namespace can't be applied where there is no flannel: its right isn't printed.
                .filter(|r| !(r.contains("\"kube-flannel\"") || survey && r.starts_with("pods is forbidden")))
                .collect();
            assert_eq!(refused, Vec::<String>::new(), "{rbac:?}: {command:?}");
            assert!(survey || !errors.contains("may not"), "{rbac:?}: {command:?}: {errors}");
        }
    }
}
