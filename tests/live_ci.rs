//! `test`, `diff` and the roles of every command against an API server.

mod api_server;

use std::path::Path;

use api_server::objects::{cluster, pod, policy};
use api_server::{ApiServer, CLUSTER_POLICIES, What, program};
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

/// What a real API server answered, where it was recorded.
fn recorded(name: &str) -> Option<String> {
    let shared = std::env::var("NETCHECK_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let path = Path::new(&shared).join("real/api").join(format!("{name}.response.txt"));
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: no {}", path.display());
    }
    text
}

#[test]
fn discovery_of_a_real_server_is_understood() {
    for (discovery, groups) in [("09-get-apis-aggregated", false), ("02-get-apis", true)] {
        let Some(answer) = recorded(discovery) else { return };
        let mut server = ApiServer::start(cluster()).with_kinds(&CLUSTER_POLICIES).fault_at(
            "/apis",
            What::Recorded(answer),
            usize::MAX,
        );
        if groups {
            let resources = recorded("06-get-apis-policy-networking-v1alpha2").unwrap();
            server = server.fault_at("/apis/policy.networking.k8s.io/v1alpha2", What::Recorded(resources), usize::MAX);
        }
        server.netcheck(&["frontend", "cart:8080"]).assert().code(0);
        let asked = server.asked();
        assert!(asked.iter().any(|a| a.contains("/v1alpha2/clusternetworkpolicies?")), "{discovery}: {asked:?}");
        assert!(asked.len() <= 16, "{discovery}: {asked:?}");
        assert!(
            !asked.iter().any(|a| a.contains("ingresses") || a.contains("/apis/apps/v1 ")),
            "{discovery}: {asked:?}"
        );
    }
}

#[test]
fn refusals_of_a_real_server_are_one_sentence_and_what_to_do() {
    // Where it stands in the way, the exit code, what is said on standard error or output.
    for (name, place, code, said) in [
        // The list of pods has it all the same.
        ("16-404-pod", "/pods/frontend", 0, "reachable"),
        ("17-404-resource", "/namespaces/shop/networkpolicies", 0, "reachable"),
        ("18-404-group", "clusternetworkpolicies", 0, "reachable"),
        ("19-403-pods-limited", "/namespaces/shop/pods/frontend", 2, "kind: Role"),
        ("20-403-cnp-viewer", "clusternetworkpolicies", 0, "unless a cluster policy that you may not read denies it"),
        ("24-401-bad-token", "/pods/frontend", 2, "does not know you"),
        ("25-403-anonymous", "/namespaces/shop/pods/frontend", 2, "kind: Role"),
        ("73-406", "/pods/frontend", 2, "status 406"),
        ("74-protobuf-list-refused", "clusternetworkpolicies", 2, "status 406"),
        ("33-patch-ephemeral-conflict-409", "/pods/frontend", 2, "status 409"),
        ("36-patch-ephemeral-415", "/pods/frontend", 2, "status 415"),
        ("32-patch-ephemeral-changed-422", "/pods/frontend", 2, "status 422"),
    ] {
        let Some(answer) = recorded(name) else { return };
        let server =
            ApiServer::start(cluster()).with_kinds(&CLUSTER_POLICIES).fault(place, What::Recorded(answer), usize::MAX);
        let output = server.netcheck(&["frontend", "cart:8080"]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let all = format!("{}{errors}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(code), "{name}: {all}");
        assert!(all.contains(said), "{name}: {all}");
        assert!(errors.matches("error: ").count() <= 1, "{name}: {errors}");
        assert!(code != 2 || errors.contains("help: "), "{name} says what to do: {errors}");
        assert!(!all.contains("Status {") && !all.contains("Some("), "{name}: {all}");
        let tries = server.asked().iter().filter(|a| a.contains(place)).count();
        assert!((1..=4).contains(&tries), "{name}: {tries} tries");
    }
}

#[test]
fn pages_of_a_real_server_begin_again_once() {
    for name in ["12-pods-continue-rv1", "13-pods-continue-garbage"] {
        let Some(answer) = recorded(name) else { return };
        let mut objects = cluster();
        objects.extend((0..600).map(|n| pod("shop", &format!("extra-{n:03}"), "extra", "10.9.9.9")));
        let server = ApiServer::start(objects.clone()).fault("continue=", What::Recorded(answer.clone()), 1);
        let output = server.netcheck(&["graph", "-A", "-o", "json"]).assert().code(0);
        let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        assert!(report["summary"].is_object() || report["edges"].is_array(), "{name}");
        let server = ApiServer::start(objects).fault("continue=", What::Recorded(answer), usize::MAX);
        server
            .netcheck(&["graph", "-A"])
            .assert()
            .code(2)
            .stderr(contains("faster than they could be read").and(contains("try again")));
    }
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
    // A snapshot keeps it.
    let saved = server("kube-router").netcheck(&["snapshot", "-n", "shop"]).output().unwrap();
    let saved: Value = serde_json::from_slice(&saved.stdout).unwrap();
    assert_eq!(saved["cni"], "kube-router");
}

/// Roles as they are printed suffice for what they are printed for.
#[test]
fn the_printed_roles_suffice() {
    let directory = tempfile::tempdir().unwrap();
    let about_two = written(directory.path(), "t.yaml", "expect: [{deny: {from: frontend, to: stock/pod/db-0}}]");
    let change = directory.path().join("deny.yaml");
    std::fs::write(&change, DENY).unwrap();
    let change = change.to_str().unwrap();
    let cases: [(&[&str], &[&[&str]]); 8] = [
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
        (&["snapshot", "-n", "shop"], &[&["snapshot", "-n", "shop"]]),
        (&["snapshot", "-A"], &[&["snapshot", "-A"]]),
    ];
    for (rbac, commands) in cases {
        let printed = program().arg("rbac").args(rbac).output().unwrap();
        assert!(printed.status.success());
        let roles = String::from_utf8(printed.stdout).unwrap();
        for command in commands {
            let server = ApiServer::start(cluster()).with_kinds(&CLUSTER_POLICIES).with_roles(&roles);
            let output = server.netcheck(command).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1)), "{rbac:?}: {command:?}: {errors}");
            // Whether there is more to be seen is asked; the answer may be no.
            let survey = rbac.contains(&"-n") && matches!(command[0], "audit" | "graph");
            let refused: Vec<String> =
                server.refused().into_iter().filter(|r| !(survey && r.starts_with("pods is forbidden"))).collect();
            assert_eq!(refused, Vec::<String>::new(), "{rbac:?}: {command:?}");
            assert!(survey || !errors.contains("may not"), "{rbac:?}: {command:?}: {errors}");
        }
    }
}
