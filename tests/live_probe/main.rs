//! The live probe against an API server that really runs what is added, in a network of the test's own.
//!
//! What needs packets needs root, `ip` and `nft`; it says so and passes where they are missing.
#![cfg(target_os = "linux")]

#[path = "../api_server/mod.rs"]
mod api_server;
mod capture;
mod consent;
mod families;
mod mesh;
// Each test uses a part of it.
#[allow(dead_code)]
#[path = "../netns/mod.rs"]
mod netns;
mod tools;
mod why;
mod world;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use api_server::{ApiServer, What};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};
use world::*;

#[test]
fn packets_confirm_what_the_policies_say() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let server = ApiServer::start(cluster()).with_kubelet(kubelet(&world));
    let (check, code) = report(&server, &EPHEMERAL);
    let live = &check["live"];
    assert_eq!(
        classes(live),
        rows(&[
            ("dns", "open", "agrees"),
            ("service", "open", "agrees"),
            ("endpoint", "open", "agrees"),
            ("must-fail", "timeout", "agrees")
        ]),
        "{live:#}"
    );
    assert_eq!(
        (&live["verdict"], &live["agreement"], &live["enforcement"], code),
        (&json!("reachable"), &json!("agrees"), &json!("seen"), Some(0))
    );
    assert_eq!(patches(&server), (1, 1), "a dry run first: {:?}", server.asked());
    let pod = server.objects("Pod").into_iter().find(|p| p["metadata"]["name"] == "frontend").expect("the pod");
    let added = &pod["spec"]["ephemeralContainers"][0];
    let context = &added["securityContext"];
    assert_eq!(context["runAsUser"], 65532);
    assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(context["runAsNonRoot"], true);
    for forbidden in ["resources", "ports", "targetContainerName", "livenessProbe"] {
        assert_eq!(added[forbidden], Value::Null, "{forbidden}");
    }
    // A flow that is blocked: the packets agree, and the exit code is that of the policies.
    let (check, code) = report(&server, &["frontend", "pod/db:8080", "--live", "--via=ephemeral", "--yes"]);
    assert_eq!(classes(&check["live"]), rows(&[("endpoint", "timeout", "agrees")]));
    assert_eq!((&check["live"]["verdict"], code), (&json!("blocked"), Some(1)));
}

#[test]
fn a_disagreement_says_what_it_means() {
    let Some(first) = world() else { return };
    // Nothing is enforced.
    let server = ApiServer::start(cluster()).with_kubelet(kubelet(&first));
    let (check, code) = report(&server, &EPHEMERAL);
    assert_eq!((&check["live"]["enforcement"], code), (&json!("absent"), Some(3)), "{check:#}");
    assert!(check["live"]["meanings"][0].as_str().is_some_and(|m| m.contains("not enforced")), "{check:#}");
    // Something drops that no policy explains, and the Service's rules are not there.
    for (rule, class, verdict, word) in [
        ("ip daddr 10.77.2.0/24 tcp dport 8080 drop", "timeout", "blocked", "firewall"),
        ("ip daddr 10.77.2.2 tcp dport 8080 reject with tcp reset", "refused", "unreachable", "nothing listens"),
        (
            "ip daddr 10.77.2.2 tcp dport 8080 reject with icmp type admin-prohibited",
            "prohibited",
            "blocked",
            "10.77.1.1",
        ),
    ] {
        let Some(world) = world() else { return };
        world.forward_rules(&format!("ip daddr 10.77.2.3 drop\n{rule}"));
        let server = ApiServer::start(cluster()).with_kubelet(kubelet(&world));
        server
            .netcheck(&EPHEMERAL)
            .assert()
            .code(3)
            .stdout(contains("disagreement").and(contains(word)).and(contains(verdict)).and(contains(class)));
    }
    // Here the address is not translated.
    let Some(world) = servers_alone() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop\nip daddr 10.96.0.1 drop");
    let server = ApiServer::start(cluster()).with_kubelet(kubelet(&world));
    server.netcheck(&EPHEMERAL).assert().code(3).stdout(contains("kube-proxy"));
}

#[test]
fn who_may_not_is_told_the_role_and_nothing_is_sent() {
    let server = ApiServer::start(cluster()).deny("pods/ephemeralcontainers", None).deny("pods/exec", None);
    for via in ["auto", "ephemeral"] {
        server.netcheck(&["frontend", "web:80", "--live", "--yes", "--via", via]).assert().code(2).stderr(
            contains("you may not patch pods/ephemeralcontainers in namespace `shop`")
                .and(contains("kind: Role"))
                .and(contains("resources: [pods/ephemeralcontainers]")),
        );
    }
    server
        .netcheck(&["frontend", "web:80", "--live", "--yes", "--via=exec"])
        .assert()
        .code(2)
        .stderr(contains("pods/exec").and(contains("kind: Role")));
    assert_eq!(patches(&server), (0, 0));
}

#[test]
fn nothing_is_added_before_somebody_agrees() {
    let server = ApiServer::start(cluster());
    server.netcheck(&["frontend", "web:80", "--live", "--via=ephemeral"]).assert().code(2).stderr(
        contains("an ephemeral container `netcheck-")
            .and(contains("it stays in the pod's record until the pod is deleted"))
            .and(contains("no terminal to ask on"))
            .and(contains("--yes")),
    );
    server.netcheck(&["frontend", "web:80", "--live", "--via=ephemeral", "--dry-run"]).assert().code(0).stdout(
        contains("# PATCH /api/v1/namespaces/shop/pods/frontend/ephemeralcontainers?fieldManager=netcheck")
            .and(contains("\"ephemeralContainers\"")),
    );
    assert_eq!(patches(&server), (2, 0), "dry runs alone");
}

#[test]
fn pods_that_can_not_be_probed_from_are_refused_with_the_reason() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 5] = [
        ("static pod", |p| p["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"})),
        ("static pod", |p| {
            p["metadata"]["ownerReferences"] = json!([{"kind": "Node", "name": "n", "uid": "u", "apiVersion": "v1"}])
        }),
        ("no node yet", |p| p["spec"]["nodeName"] = Value::Null),
        ("Windows", |p| p["spec"]["os"] = json!({"name": "windows"})),
        ("being deleted", |p| p["metadata"]["deletionTimestamp"] = json!("2026-11-21T04:01:13Z")),
    ];
    for (why, change) in cases {
        let mut objects = cluster();
        change(&mut objects[1]);
        let server = ApiServer::start(objects);
        server.netcheck(&EPHEMERAL).assert().code(2).stderr(contains(why));
        assert_eq!(patches(&server), (0, 0), "{why}");
    }
    // A copy needs none of what a finished pod lacks.
    let mut objects = cluster();
    objects[1]["status"]["phase"] = "Succeeded".into();
    let server = ApiServer::start(objects);
    server.netcheck(&EPHEMERAL).assert().code(2).stderr(contains("--via copy"));
    server.netcheck(&["frontend", "web:80", "--live", "--via=copy", "--dry-run"]).assert().code(0);
    let server = ApiServer::start(cluster());
    server.netcheck(&["internet", "web:80", "--live"]).assert().code(2).stderr(contains("`internet` is not a pod"));
    server
        .netcheck(&["-f", "examples/shop", "frontend", "cart:8080", "--live"])
        .assert()
        .code(2)
        .stderr(contains("-f reads files"));
}

#[test]
fn refusals_of_admission_are_told_apart() {
    let psa = "pods \"frontend\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"debug\" must set securityContext.allowPrivilegeEscalation=false)";
    let rbac = "pods \"frontend\" is forbidden: User \"dev\" cannot patch resource \"pods/ephemeralcontainers\" in API group \"\" in the namespace \"shop\"";
    let webhook = "admission webhook \"images.example\" denied the request: image ghcr.io/x is not allowed";
    for (code, reason, message, word) in [
        (403, "Forbidden", psa, "Pod Security refuses the probe"),
        (403, "Forbidden", rbac, "kind: Role"),
        (403, "Forbidden", webhook, "admission refuses the probe"),
        (400, "BadRequest", webhook, "admission refuses the probe"),
        (404, "NotFound", "the server could not find the requested resource", "no ephemeral containers"),
        (422, "Invalid", "Pod \"frontend\" is invalid: spec.ephemeralContainers[0]: x", "is invalid"),
    ] {
        let server =
            ApiServer::start(cluster()).fault("/ephemeralcontainers", What::Refused(code, reason, message), usize::MAX);
        server.netcheck(&EPHEMERAL).assert().code(2).stderr(contains(word));
        assert_eq!(patches(&server).1, 0, "{message}");
    }
}

#[test]
fn a_container_that_will_never_run_is_not_waited_for() {
    let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    for (state, words) in [
        (waiting("ErrImagePull", "failed to resolve image"), ["ErrImagePull", "--probe-image @target"]),
        (waiting("ImagePullBackOff", "Back-off pulling image"), ["ImagePullBackOff", "--probe-image"]),
        (waiting("InvalidImageName", "couldn't parse"), ["InvalidImageName", "--probe-image"]),
        (
            waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
            ["runAsNonRoot", "the image's user is root"],
        ),
        (
            waiting("RunContainerError", "exec: \"/netcheck-agent\": stat: no such file"),
            ["RunContainerError", "does not hold"],
        ),
        (
            json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: \"/x\": no such file"}}),
            ["StartError", "does not hold"],
        ),
        (
            json!({"terminated": {"exitCode": 2, "reason": "Error", "message": "netcheck-agent: no such option"}}),
            ["exit code 2", "no such option"],
        ),
        (json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}), ["exit code 137", "said nothing"]),
    ] {
        let server = ApiServer::start(cluster()).with_kubelet(says(state.clone()));
        let began = Instant::now();
        let told = contains(words[0]).and(contains(words[1])).and(contains("stays in the record of pod shop/frontend"));
        server.netcheck(&EPHEMERAL).assert().code(2).stderr(told);
        assert!(began.elapsed() < Duration::from_secs(30), "{state}");
    }
}

#[test]
fn a_kubelet_that_never_hears_of_it_ends_with_the_timeout() {
    let server = ApiServer::start(cluster()).with_kubelet(|_| None);
    server
        .netcheck(&EPHEMERAL)
        .args(["--timeout", "1s"])
        .assert()
        .code(2)
        .stderr(contains("the kubelet says nothing of it"));
    let slow = ApiServer::start(cluster()).with_kubelet(says(json!({"running": {}})));
    slow.netcheck(&EPHEMERAL).args(["--timeout", "1s"]).assert().code(2).stderr(contains("has not ended in time"));
}

/// The states that a real kubelet told of such containers, where those recordings are present.
#[test]
fn the_states_of_a_real_kubelet_end_the_wait() {
    let shared = std::env::var("NETCHECK_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let file = std::path::Path::new(&shared).join("real/api/76-pod-ephemeral-many-later.response.txt");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("skipped: no {}", file.display());
        return;
    };
    let text = text.replace("\r\n", "\n");
    let (_, body) = text.split_once("\n\n").expect("a body");
    let pod: Value = serde_json::from_str(body).expect("a pod");
    let mut seen = 0;
    for status in pod["status"]["ephemeralContainerStatuses"].as_array().expect("states") {
        let word = match status["name"].as_str().expect("a name") {
            "netcheck-a" => "probe: connect ok",
            "netcheck-f" => "exit code 1",
            "netcheck-n" => "ImagePullBackOff",
            "netcheck-x" => "RunContainerError",
            _ => continue,
        };
        let server = ApiServer::start(cluster()).with_kubelet(says(status["state"].clone()));
        server.netcheck(&EPHEMERAL).assert().code(2).stderr(contains(word));
        seen += 1;
    }
    assert_eq!(seen, 4);
}

const COPY: [&str; 5] = ["frontend", "web:80", "--live", "--via=copy", "--yes"];

#[test]
fn a_copy_is_like_the_pod_and_goes_away() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let mut objects = cluster();
    objects[1]["metadata"]["labels"]["tier"] = "x".into();
    let server = ApiServer::start(objects).with_kubelet(kubelet(&world));
    let (check, code) = report(&server, &COPY);
    assert_eq!((&check["live"]["agreement"], code), (&json!("agrees"), Some(0)), "{check:#}");
    assert_eq!(made(&server), Vec::<String>::new());
    let asked = server.asked();
    let at = |text: &str| asked.iter().position(|a| a == text).unwrap_or_else(|| panic!("{text}: {asked:?}"));
    assert!(
        at("POST /api/v1/namespaces/shop/configmaps?fieldManager=netcheck")
            < at("POST /api/v1/namespaces/shop/pods?fieldManager=netcheck")
    );
    let dry = server.netcheck(&COPY).arg("--dry-run").output().expect("to run");
    let text = String::from_utf8_lossy(&dry.stdout);
    let (_, body) = text.split_once("# POST /api/v1/namespaces/shop/pods\n").expect("the pod");
    let pod: Value = serde_json::from_str(body).expect("a pod");
    assert_eq!(pod["metadata"]["labels"], json!({"app": "frontend", "tier": "x"}));
    assert_eq!(pod["spec"]["nodeName"], "node-1");
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    assert!(pod["spec"]["readinessGates"][0]["conditionType"].is_string());
    assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "ConfigMap");
    assert_eq!(pod["spec"]["containers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_copy_that_fails_goes_away_too() {
    for state in [
        json!({"waiting": {"reason": "ErrImagePull", "message": "no"}}),
        json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "nonsense"}}),
    ] {
        let server = ApiServer::start(cluster()).with_kubelet(says(state));
        server.netcheck(&COPY).assert().code(2);
        assert_eq!(made(&server), Vec::<String>::new());
    }
    let server = ApiServer::start(cluster()).fault("/shop/pods?fieldManager=netcheck", What::Status(403), 2);
    server.netcheck(&COPY).assert().code(2);
    assert_eq!(made(&server), Vec::<String>::new());
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    for signal in ["INT", "TERM"] {
        let server = ApiServer::start(cluster()).with_kubelet(|_| {
            std::thread::sleep(Duration::from_secs(60));
            None
        });
        let child = Command::new(env!("CARGO_BIN_EXE_netcheck"))
            .args(COPY)
            .env("KUBECONFIG", server.kubeconfig())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .expect("to run");
        let began = Instant::now();
        while made(&server).len() < 2 {
            assert!(began.elapsed() < Duration::from_secs(30), "it made nothing: {:?}", server.asked());
            std::thread::sleep(Duration::from_millis(20));
        }
        let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let output = child.wait_with_output().expect("to end");
        assert_eq!(output.status.code(), Some(2), "{signal}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("was stopped"), "{signal}");
        assert_eq!(made(&server), Vec::<String>::new(), "{signal}");
    }
}

#[test]
fn the_roles_that_are_printed_are_enough() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let printed = api_server::program().args(["rbac", "probe", "-n", "shop"]).output().expect("to run");
    let roles = String::from_utf8(printed.stdout).expect("text");
    let mut objects = cluster();
    objects.push(namespace("kube-system"));
    objects.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system"},
        "spec": {"clusterIP": "10.96.0.10", "selector": {"k8s-app": "kube-dns"}, "ports": [{"port": 53, "protocol": "UDP"}]}}));
    let mut dns = pod("coredns", "10.77.2.2", &[]);
    dns["metadata"] =
        json!({"name": "coredns", "namespace": "kube-system", "uid": "u", "labels": {"k8s-app": "kube-dns"}});
    objects.push(dns);
    let server = ApiServer::start(objects).with_kubelet(kubelet(&world)).with_roles(&roles);
    let (check, code) = report(&server, &EPHEMERAL);
    assert_eq!((&check["live"]["agreement"], code), (&json!("agrees"), Some(0)), "{check:#}");
    // A Role for flannel's namespace can't be applied where there is no flannel: its right isn't printed.
    let refused: Vec<String> = server.refused().into_iter().filter(|r| !r.contains("\"kube-flannel\"")).collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn rules_that_come_late_are_waited_for() {
    let Some(world) = world() else { return };
    world.rules("s", "input", "ip daddr 10.77.2.3 tcp dport 8080 drop");
    world.forward_rules("ip daddr 10.77.2.2 tcp dport 8080 drop");
    let run = kubelet(&world);
    let network = world.0.clone();
    let server = ApiServer::start(cluster()).with_kubelet(move |container| {
        let end = run(container);
        // The second container finds them.
        let _ = network.command("r", "nft").args(["flush", "ruleset"]).status();
        end
    });
    let (check, code) = report(&server, &[&EPHEMERAL[..], &["--wait=30s"]].concat());
    assert_eq!((&check["live"]["agreement"], code), (&json!("agrees"), Some(0)), "{check:#}");
    assert!(check["live"]["notes"][0].as_str().is_some_and(|n| n.contains("programmed late")), "{check:#}");
    let pod = server.objects("Pod").into_iter().find(|p| p["metadata"]["name"] == "frontend").expect("the pod");
    let added = pod["spec"]["ephemeralContainers"].as_array().expect("containers");
    assert_eq!(added.len(), 2);
    assert_ne!(added[0]["name"], added[1]["name"]);
}

#[test]
fn expectations_are_tried_with_packets() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tests.yaml");
    let text = "apiVersion: netcheck/v1alpha1\nkind: ConnectivityTest\nnamespace: shop\nexpect:\n\
                - allow: {from: frontend, to: \"web:80\"}\n- deny: {from: frontend, to: pod/db}\n\
                - only: {from: [], to: pod/db, ports: [8080], except: web}\n";
    std::fs::write(&file, text).expect("a file");
    let args = ["test", file.to_str().expect("a path"), "--live", "--via=ephemeral", "--yes"];
    for (enforced, outcome, code) in [(true, "passed", 0), (false, "unknown", 3)] {
        let Some(world) = world() else { return };
        if enforced {
            world.forward_rules("ip daddr 10.77.2.3 drop");
        }
        let server = ApiServer::start(cluster()).with_kubelet(kubelet(&world));
        let (report, got) = json_of(&server, &args);
        let deny = &report["suites"][0]["cases"][0]["results"][1];
        assert_eq!((&deny["outcome"], got), (&json!(outcome), Some(code)), "{report:#}");
        let packets = &report["packets"];
        assert_eq!(packets["confirmed"] == packets["tried"], enforced, "{report:#}");
        assert_eq!(patches(&server), (1, 1), "one container for all of them");
    }
    let own = directory.path().join("own.yaml");
    std::fs::write(
        &own,
        format!("{text}manifests: |\n  apiVersion: v1\n  kind: Pod\n  metadata: {{name: frontend, namespace: shop}}\n"),
    )
    .expect("a file");
    let server = ApiServer::start(cluster());
    server
        .netcheck(&["test", own.to_str().expect("a path"), "--live", "--yes"])
        .assert()
        .code(2)
        .stderr(contains("names objects of its own"));
}

#[test]
fn an_audit_tries_a_sample() {
    for (enforced, code) in [(true, 0), (false, 3)] {
        let Some(world) = world() else { return };
        if enforced {
            world.forward_rules("ip daddr 10.77.2.3 drop");
        }
        let server = ApiServer::start(cluster()).with_kubelet(kubelet(&world));
        let (report, got) =
            json_of(&server, &["audit", "-n", "shop", "--live", "--sample=2", "--via=ephemeral", "--yes"]);
        let packets = &report["packets"];
        assert_eq!(got, Some(code), "{packets:#}");
        assert_eq!(packets["tried"], 2, "{packets:#}");
        assert_eq!(packets["disagree"] == 0, enforced, "{packets:#}");
    }
}

/// Fifty targets that keep silent take what the slowest does, not the sum of them.
#[test]
fn many_targets_share_one_container() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.0/24 drop");
    let mut objects = cluster();
    let endpoints: Vec<Value> = (0..50)
        .map(|n| json!({"addresses": [format!("10.77.2.{}", 100 + n)], "conditions": {"ready": true}}))
        .collect();
    objects[5]["endpoints"] = endpoints.into();
    let server = ApiServer::start(objects).with_kubelet(kubelet(&world));
    let began = Instant::now();
    let (check, code) = report(&server, &EPHEMERAL);
    eprintln!("fifty silent targets: {:.1} s", began.elapsed().as_secs_f64());
    assert_eq!(code, Some(3));
    let silent =
        classes(&check["live"]).into_iter().filter(|(role, class, _)| role == "endpoint" && class == "timeout");
    assert_eq!(silent.count(), 50, "{check:#}");
    assert_eq!(patches(&server), (1, 1), "one container");
}

/// A workload's pods get an answer each; those with the same one are tried from one of them.
#[test]
fn one_pod_is_tried_for_each_distinct_answer() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let mut objects = cluster();
    objects.retain(|o| o["metadata"]["name"] != "frontend");
    let owner = |kind: &str, name: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": format!("uid-{name}"), "controller": true}]);
    let template =
        json!({"metadata": {"labels": {"app": "front"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}});
    let selector = json!({"matchLabels": {"app": "front"}});
    objects.push(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "front", "namespace": "shop", "uid": "uid-front"},
        "spec": {"replicas": 4, "selector": selector, "template": template}}));
    objects.push(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "front-1", "namespace": "shop", "uid": "uid-front-1",
        "ownerReferences": owner("Deployment", "front")}, "spec": {"replicas": 4, "selector": selector, "template": template}}));
    // The third and the fourth are canaries, which a policy keeps from web.
    for (number, track) in ["stable", "stable", "canary", "canary"].into_iter().enumerate() {
        let mut pod = pod(&format!("front-1-{number}"), "10.77.1.2", &[]);
        pod["metadata"]["labels"] = json!({"app": "front", "track": track, "pod-template-hash": "1"});
        pod["metadata"]["ownerReferences"] = owner("ReplicaSet", "front-1");
        objects.push(pod);
    }
    objects.push(json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "canary", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"track": "canary"}}, "policyTypes": ["Egress"], "egress": []}}));
    let server = ApiServer::start(objects).with_kubelet(kubelet(&world));
    let (report, _) = json_of(&server, &["deploy/front", "pod/web:8080", "--live", "--via=ephemeral", "--yes"]);
    let checks = report["checks"].as_array().expect("checks");
    let tried: Vec<(&str, bool)> = checks
        .iter()
        .map(|c| {
            let notes = c["live"]["notes"].to_string();
            (
                c["live"]["pod"].as_str().expect("a pod"),
                notes.contains("tried from one of the 2 pods that get this answer"),
            )
        })
        .collect();
    assert_eq!(tried, [("shop/front-1-0", true), ("shop/front-1-2", true)], "{report:#}");
    assert_eq!(patches(&server), (2, 2), "a container in two of the four pods");
}
