//! The program against an API server: what it asks for, what it answers, what it says when something is in the way.

mod api_server;

use std::time::{Duration, Instant};

use api_server::objects::{cluster, pod};
use api_server::{ApiServer, CILIUM, CLUSTER_POLICIES, What, program};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};

/// How many rounds a log shows is not seen from outside; what is counted is requests.
fn requests(server: &ApiServer) -> usize {
    server.asked().len()
}

#[test]
fn one_check_asks_little() {
    for (args, code, most) in [
        // Two of them are for what runs as network plugin, as no API of one tells: in kube-system, and flannel.
        (["frontend", "cart:8080"], 0, 13),
        (["frontend", "db.stock:8080"], 1, 15),
        (["frontend", "stock/pod/db-0:8080"], 1, 10),
        (["frontend", "example.com:443"], 0, 15),
        (["internet", "cart:8080"], 2, 11),
        (["deploy/worker", "cart:8080"], 0, 14),
        (["worker", "cart:8080"], 0, 15),
    ] {
        let server = ApiServer::start(cluster());
        server.netcheck(&args).assert().code(if code == 2 { 1 } else { code });
        let asked = server.asked();
        assert!(asked.len() <= most, "{args:?}: {} requests\n{}", asked.len(), asked.join("\n"));
        let everywhere: Vec<&String> =
            asked.iter().filter(|a| a.contains("/v1/pods") || a.contains("/v1/services?")).collect();
        assert!(everywhere.is_empty(), "{args:?}: {everywhere:?}");
        assert!(asked.iter().all(|a| a.starts_with("GET ")), "{asked:?}");
    }
}

#[test]
fn never_more_than_sixteen_requests() {
    let with_all = || {
        let mut objects = cluster();
        objects.push(json!({"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy", "metadata": {"name": "none"},
            "spec": {"tier": "Admin", "priority": 5, "subject": {"namespaces": {"matchLabels": {"team": "nobody"}}},
                "ingress": [{"action": "Deny", "from": [{"namespaces": {}}]}]}}));
        ApiServer::start(objects).with_kinds(&CLUSTER_POLICIES)
    };
    for client in ["frontend", "deploy/worker", "worker"] {
        for target in ["cart:8080", "db.stock:8080", "stock/svc/db:8080", "deploy/worker:8080"] {
            let server = with_all();
            server.netcheck(&[client, target]).assert().stderr(contains("error").not());
            assert!(requests(&server) <= 16, "{client} {target}:\n{}", server.asked().join("\n"));
        }
    }
}

#[test]
fn the_policy_is_drawn_as_yaml() {
    let server = ApiServer::start(cluster());
    server.netcheck(&["frontend", "db.stock:8080"]).assert().code(1).stdout(
        contains("blocked").and(contains("own-pods-only")).and(contains("podSelector")).and(contains("(test)")),
    );
}

#[test]
fn workloads_stand_for_their_pods() {
    let server = ApiServer::start(cluster());
    let output = server.netcheck(&["deploy/worker", "cart:8080", "-o", "json"]).assert().code(0);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["checks"][0]["client"]["pods"], json!(["shop/worker-abc-1", "shop/worker-abc-2"]));
}

#[test]
fn a_name_that_is_nowhere_is_told_with_what_is_near() {
    let server = ApiServer::start(cluster());
    server.netcheck(&["frontent", "cart:8080"]).assert().code(2).stderr(contains("did you mean `frontend`"));
    let server = ApiServer::start(cluster());
    server
        .netcheck(&["frontend", "nowhere:8080"])
        .assert()
        .code(2)
        .stderr(contains("`nowhere` not found in namespace `shop`"));
    let server = ApiServer::start(cluster());
    server.netcheck(&["-n", "shpo", "frontend", "cart:8080"]).assert().code(2).stderr(
        contains("namespace `shpo` not found")
            .and(contains("did you mean `shop/frontend`?").or(contains("did you mean namespace `shop`?"))),
    );
}

#[test]
fn an_address_is_looked_for_everywhere() {
    for (address, target) in [("10.96.0.2:8080", "db"), ("10.0.2.1:8080", "db-0")] {
        let server = ApiServer::start(cluster());
        let output = server.netcheck(&["frontend", address, "-o", "json"]).assert().code(1);
        let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        assert_eq!(report["checks"][0]["target"]["name"], target, "{address}");
    }
}

#[test]
fn policies_that_may_not_be_read_leave_the_verdict_as_far_as_known() {
    let server = || {
        ApiServer::start(cluster())
            .with_kinds(&CLUSTER_POLICIES)
            .deny("clusternetworkpolicies", None)
            .deny("adminnetworkpolicies", None)
            .deny("baselineadminnetworkpolicies", None)
    };
    server()
        .netcheck(&["frontend", "cart:8080"])
        .assert()
        .code(0)
        .stdout(contains("reachable, unless a cluster policy that you may not read denies it"))
        .stderr(contains("kind: ClusterRole").and(contains("clusternetworkpolicies")));
    server().netcheck(&["frontend", "cart:8080", "--strict"]).assert().code(3);
    server()
        .netcheck(&["frontend", "db.stock:8080"])
        .assert()
        .code(1)
        .stdout(contains("blocked, unless a cluster policy that you may not read allows it"));
}

#[test]
fn network_policies_that_may_not_be_read_leave_no_verdict() {
    let server = ApiServer::start(cluster()).deny("networkpolicies", Some("stock"));
    server
        .netcheck(&["frontend", "db.stock:8080"])
        .assert()
        .code(3)
        .stdout(contains("NetworkPolicies of namespace `stock`"))
        .stderr(contains("kind: Role\n").and(contains("namespace: stock")).and(contains("networkpolicies")));
}

#[test]
fn rights_in_two_namespaces_are_enough() {
    let server = ApiServer::start(cluster())
        .deny("pods", Some("kube-system"))
        .deny("services", Some("kube-system"))
        .deny("networkpolicies", Some("kube-system"))
        .deny("namespaces", Some("kube-system"))
        .deny("nodes", None);
    server.netcheck(&["frontend", "cart:8080"]).assert().code(0).stdout(contains("reachable"));
}

#[test]
fn what_there_is_no_answer_without_is_named_with_its_role() {
    let server = ApiServer::start(cluster()).deny("pods", Some("shop"));
    server.netcheck(&["frontend", "cart:8080"]).assert().code(2).stderr(
        contains("you may not get Pod `frontend` in namespace `shop`")
            .and(contains("kind: Role"))
            .and(contains("resources: [pods]")),
    );
}

#[test]
fn policies_of_other_plugins_make_it_unknown() {
    let mut objects = cluster();
    objects.push(json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "l7", "namespace": "shop"},
        "spec": {"endpointSelector": {}}}));
    let server = ApiServer::start(objects).with_kinds(&CILIUM);
    server.netcheck(&["frontend", "cart:8080"]).assert().code(3).stdout(contains("CiliumNetworkPolicy"));
    let server = ApiServer::start(cluster()).with_kinds(&CILIUM);
    let output = server.netcheck(&["frontend", "cart:8080", "-o", "json"]).assert().code(0);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["cni"], "cilium");
}

#[test]
fn an_older_server_tells_its_groups_one_by_one() {
    let server = ApiServer::start(cluster()).with_kinds(&CLUSTER_POLICIES).with_old_discovery();
    server.netcheck(&["frontend", "cart:8080"]).assert().code(0);
    assert!(server.asked().iter().any(|a| a.contains("clusternetworkpolicies")), "{:?}", server.asked());
}

#[test]
fn changed_manifests_are_laid_over_the_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("deny.yaml");
    let deny = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {podSelector: {}}\n";
    std::fs::write(&file, deny).unwrap();
    let server = ApiServer::start(cluster());
    server
        .netcheck(&["frontend", "cart:8080", "--with", file.to_str().unwrap()])
        .assert()
        .code(1)
        .stdout(contains("deny.yaml"));
    let server = ApiServer::start(cluster());
    server.netcheck(&["frontend", "db.stock:8080", "--without", "netpol/stock/own-pods-only"]).assert().code(0);
}

#[test]
fn what_passes_by_itself_is_tried_again() {
    for (what, times) in [(What::Busy(1), 1), (What::Status(500), 2), (What::Status(503), 2), (What::Cut, 2)] {
        let server = ApiServer::start(cluster()).fault("/pods/frontend", what.clone(), times);
        server.netcheck(&["frontend", "cart:8080"]).assert().code(0);
        let tries = server.asked().iter().filter(|a| a.contains("/pods/frontend")).count();
        assert_eq!(tries, times + 1, "{what:?}");
    }
}

#[test]
fn each_trouble_is_one_sentence_and_what_to_do() {
    let forever = usize::MAX;
    let cases = [
        (What::Status(401), "does not know you", "log in again"),
        (What::Busy(3600), "too busy", "try again later"),
        (What::Status(500), "failed with status 500", "try again later"),
        (What::Cut, "broke", "try again"),
        (What::Page(200, "<html>hello</html>"), "can't be read", "kubeconfig"),
        (What::Page(404, "<html>not here</html>"), "is not a Kubernetes API server", "kubeconfig"),
        (What::Page(403, "<html>blocked by the proxy</html>"), "something in front of", "HTTPS_PROXY"),
    ];
    for (what, sentence, advice) in cases {
        let server = ApiServer::start(cluster()).fault("/pods/frontend", what.clone(), forever);
        let output = server.netcheck(&["frontend", "cart:8080"]).assert().code(2);
        let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(errors.contains(sentence) && errors.contains(advice), "{what:?}: {errors}");
        assert_eq!(errors.matches("error: ").count(), 1, "{what:?}: {errors}");
        assert!(server.asked().iter().filter(|a| a.contains("/pods/frontend")).count() <= 4, "bounded");
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = ApiServer::start(cluster()).fault("/pods/frontend", What::Slow(Duration::from_secs(20)), usize::MAX);
    let start = Instant::now();
    server
        .netcheck(&["frontend", "cart:8080", "--request-timeout", "1s"])
        .assert()
        .code(2)
        .stderr(contains("did not answer in time").and(contains("--request-timeout")));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn nobody_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    let write = |server: &str| {
        std::fs::write(&config, format!("current-context: a\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\nusers: []\n")).unwrap();
    };
    let run = || program().env("KUBECONFIG", &config).args(["a", "b:1"]).assert().code(2);
    write(&format!("http://127.0.0.1:{port}"));
    run().stderr(contains("connection refused").and(contains("VPN")));
    write(&format!("https://127.0.0.1:{port}"));
    run().stderr(contains("connection refused"));
    write("https://no-such-host.invalid:6443");
    run().stderr(contains("can't be resolved"));
    let server = ApiServer::start(cluster());
    let plain = std::fs::read_to_string(server.kubeconfig()).unwrap().replace("http://", "https://");
    std::fs::write(&config, plain).unwrap();
    run().stderr(contains("does not speak TLS"));
}

#[test]
fn kubeconfigs_are_merged_as_kubectl_does() {
    let server = ApiServer::start(cluster());
    let real = server.kubeconfig();
    let directory = tempfile::tempdir().unwrap();
    let first = directory.path().join("first");
    std::fs::write(&first, "apiVersion: v1\nkind: Config\ncurrent-context: ''\nclusters: null\n").unwrap();
    let list = std::env::join_paths([directory.path().join("missing"), first.clone(), real.clone()]).unwrap();
    program().env("KUBECONFIG", &list).args(["frontend", "cart:8080"]).assert().code(0);
    program()
        .env("KUBECONFIG", &list)
        .args(["--context", "tset", "a", "b:1"])
        .assert()
        .code(2)
        .stderr(contains("did you mean `test`"));
    program().args(["--kubeconfig", "/nonexistent/x", "a", "b:1"]).assert().code(2).stderr(contains("no such file"));
    program().args(["--kubeconfig", real.to_str().unwrap(), "frontend", "cart:8080"]).assert().code(0);
    program()
        .args(["a", "b:1"])
        .assert()
        .code(2)
        .stderr(contains("there is no cluster to ask").and(contains("-f PATH")));
}

#[test]
fn credentials_come_from_plugins_and_never_show() {
    let server = ApiServer::start(cluster()).with_token("from-plugin");
    let plugin = |script: &str| {
        server.kubeconfig_as(&format!(
            "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: sh\n  args: ['-c', '{script}']\n  interactiveMode: Never"
        ))
    };
    let good = plugin(
        "echo \"{\\\"kind\\\":\\\"ExecCredential\\\",\\\"apiVersion\\\":\\\"client.authentication.k8s.io/v1\\\",\\\"status\\\":{\\\"token\\\":\\\"from-plugin\\\"}}\"",
    );
    program().env("KUBECONFIG", &good).args(["frontend", "cart:8080"]).assert().code(0);
    let bad = plugin("echo the-token-itself; echo session has expired >&2; exit 1");
    program()
        .env("KUBECONFIG", &bad)
        .args(["frontend", "cart:8080"])
        .assert()
        .code(2)
        .stderr(contains("session has expired").and(contains("the-token-itself").not()));
    let wrong = server.kubeconfig_as("token: old-token");
    program()
        .env("KUBECONFIG", &wrong)
        .args(["frontend", "cart:8080"])
        .assert()
        .code(2)
        .stderr(contains("does not know you").and(contains("old-token").not()));
}

#[test]
fn the_whole_cluster_is_read_in_pages() {
    let mut objects = cluster();
    for number in 0..1100 {
        objects.push(pod("shop", &format!("extra-{number:04}"), "extra", "10.9.9.9"));
    }
    let server = ApiServer::start(objects).fault("continue=from-1000", What::Status(410), 1);
    server.netcheck(&["frontend", "cart:8080", "--full"]).assert().code(0);
    let pages: Vec<String> = server.asked().into_iter().filter(|a| a.contains("/v1/pods?")).collect();
    assert_eq!(pages.len(), 6, "three pages, the third expired, three again: {pages:?}");
}

#[test]
fn roles_to_ask_for() {
    program().args(["rbac", "-n", "shop", "--in", "stock"]).assert().code(0).stdout(
        contains("kind: Role\nmetadata:\n  name: netcheck\n  namespace: shop")
            .and(contains("namespace: stock"))
            .and(contains("kind: ClusterRole")),
    );
    program().args(["rbac", "probe", "-n", "shop"]).assert().code(0).stdout(contains("pods/ephemeralcontainers"));
    program().args(["rbac", "snapshot", "-A"]).assert().code(0).stdout(contains("kind: Role\n").not());
}

/// What `why` needs besides, with a secret in every place that could hold one.
fn details() -> Vec<Value> {
    let mut objects = cluster();
    for object in &mut objects {
        if object["kind"] == "Pod" && object["metadata"]["name"] == "cart-1" {
            object["spec"]["containers"][0]["env"] = json!([{"name": "DATABASE_URL", "value": "postgres://app:hunter2@db.stock:5432/cart"}, {"name": "API_TOKEN", "value": "hunter2"}]);
            object["spec"]["containers"][0]["args"] = json!(["--password=hunter2", "--db=db.stock:5432"]);
            object["spec"]["containers"][0]["livenessProbe"] = json!({"httpGet": {"path": "/live", "port": 8080, "httpHeaders": [{"name": "Authorization", "value": "Bearer hunter2"}]}});
            object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "hunter2"});
        }
    }
    objects.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop",
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:data": {".": {}, "f:password": {}}}}]}, "data": {"password": "aHVudGVyMg=="}}));
    objects.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"},
        "data": {"redis": "redis://:hunter2@cache:6379/0", "app.ini": "[db]\nhost = hunter2\npassword = hunter2\nurl = http://billing:9000/x\n"}}));
    objects.push(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "shop"}, "type": "Warning", "reason": "BackOff",
        "message": "Back-off restarting failed container", "count": 3, "involvedObject": {"kind": "Pod", "name": "cart-1", "namespace": "shop"}}));
    objects.push(json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "kindnet", "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": {"app": "kindnet"}}, "template": {"metadata": {"labels": {"app": "kindnet"}}, "spec": {"hostNetwork": true, "containers": [{"name": "c"}]}}}}));
    objects
}

#[test]
fn a_snapshot_answers_as_the_cluster_did() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.json");
    let server = ApiServer::start(details());
    let output = server.netcheck(&["snapshot", "-A"]).assert().code(0);
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    std::fs::write(&file, &text).unwrap();
    for leaked in ["hunter2", "aHVudGVyMg", "managedFields", "last-applied", "secret-token"] {
        assert!(!text.contains(leaked), "{leaked} in {text}");
    }
    for kept in [
        "\"kind\":\"Snapshot\"",
        "\"capturedAt\":\"20",
        "\"cni\":\"kube-network-policies\"",
        "db.stock:5432",
        "cache:6379",
        "billing:9000",
        "\"dataKeys\":[\"password\"]",
        "BackOff",
        "/live",
    ] {
        assert!(text.contains(kept), "{kept} not in {text}");
    }
    let secrets: Vec<String> = server.asked().into_iter().filter(|a| a.contains("/secrets")).collect();
    assert_eq!(secrets.len(), 1, "{secrets:?}");
    for (client, target) in [
        ("frontend", "cart:8080"),
        ("frontend", "db.stock:8080"),
        ("deploy/worker", "cart:8080"),
        ("frontend", "10.96.0.2:8080"),
    ] {
        let answer = |mut command: assert_cmd::Command| {
            let output = command.output().unwrap();
            let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
            report["cni"] = Value::Null;
            (output.status.code(), report)
        };
        let live = answer(ApiServer::start(details()).netcheck(&[client, target, "-o", "json"]));
        let mut offline = program();
        offline.args(["-f", file.to_str().unwrap(), client, target, "-o", "json"]);
        let saved = answer(offline);
        assert_eq!(live.0, saved.0, "{client} {target}");
        for field in ["verdict", "summary", "client", "target"] {
            assert_eq!(live.1["checks"][0][field], saved.1["checks"][0][field], "{client} {target} {field}");
        }
    }
    // Once more from itself: nothing changes but the time.
    let again = program().args(["-f", file.to_str().unwrap(), "snapshot"]).output().unwrap();
    let without_head = |text: &str| text.split_once("\"items\"").unwrap().1.to_owned();
    assert_eq!(without_head(&String::from_utf8(again.stdout).unwrap()), without_head(&text));
}

#[test]
fn a_snapshot_of_one_namespace_needs_rights_in_it_alone() {
    let server =
        ApiServer::start(details()).deny("nodes", None).deny("secrets", None).deny("pods", Some("kube-system"));
    let output = server.netcheck(&["snapshot", "-n", "shop"]).assert().code(0).stderr(contains("secrets"));
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(text.contains("cart-1") && !text.contains("db-0"), "{text}");
    assert!(!server.asked().iter().any(|a| a.contains("/api/v1/pods")), "{:?}", server.asked());
}

#[test]
fn dumps_of_a_real_cluster_become_snapshots_with_the_same_answers() {
    let shared = std::env::var("NETCHECK_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let cases = std::path::Path::new(&shared).join("real/crash");
    if !cases.is_dir() {
        eprintln!("skipped: no {}", cases.display());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut compared = 0;
    let mut entries: Vec<_> = std::fs::read_dir(&cases).unwrap().flatten().map(|e| e.path()).collect();
    entries.sort();
    for case in entries.iter().step_by(7) {
        let dump = case.join("cluster.json");
        let whole: Value = serde_json::from_str(&std::fs::read_to_string(&dump).unwrap()).unwrap();
        let snapshot = directory.path().join("snapshot.json");
        let made = program().args(["-f", dump.to_str().unwrap(), "snapshot"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(&snapshot, made.stdout).unwrap();
        let named = |kind: &str| -> Vec<(String, String)> {
            let of = whole["items"].as_array().unwrap().iter().filter(|o| o["kind"] == kind);
            of.map(|o| {
                let text = |key: &str| o["metadata"][key].as_str().unwrap().to_owned();
                (text("namespace"), text("name"))
            })
            .collect()
        };
        for (namespace, pod) in named("Pod") {
            for (of, service) in named("Service").into_iter().take(3) {
                let run = |file: &std::path::Path| {
                    let client = format!("{namespace}/pod/{pod}");
                    let target = format!("{of}/svc/{service}");
                    let output = program()
                        .args([
                            "-f",
                            file.to_str().unwrap(),
                            "--cni",
                            "kube-network-policies",
                            &client,
                            &target,
                            "--all-ports",
                            "-o",
                            "json",
                        ])
                        .output()
                        .unwrap();
                    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
                    let checks: Vec<Value> = report["checks"].as_array().cloned().unwrap_or_default();
                    let answers: Vec<Value> =
                        checks.iter().map(|c| json!([c["verdict"], c["summary"], c["port"]])).collect();
                    (output.status.code(), answers)
                };
                assert_eq!(run(&dump), run(&snapshot), "{}: {namespace}/{pod} to {of}/{service}", case.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 10, "{compared} comparisons");
}
