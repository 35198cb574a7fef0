//! What a real API server answered (Kubernetes 1.36), replayed: recordings cut down to what matters in `fixtures/api`, and the
//! recordings themselves where they are present.

mod api_server;

use std::path::Path;

use api_server::objects::{cluster, namespace, pod};
use api_server::{ApiServer, CLUSTER_POLICIES, What};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

/// An answer as it was recorded: cut down, and whole where that is present.
fn recorded(name: &str) -> Vec<String> {
    let shared = std::env::var("NETCHECK_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let whole = Path::new(&shared).join("real/api");
    [Path::new("fixtures/api"), &whole]
        .iter()
        .filter(|directory| directory.is_dir())
        .map(|directory| {
            let text = std::fs::read_to_string(directory.join(format!("{name}.response.txt"))).expect("a recording");
            text.replace("\r\n", "\n")
        })
        .collect()
}

/// An answer, cut down.
fn small(name: &str) -> What {
    What::Recorded(recorded(name).swap_remove(0))
}

#[test]
fn discovery_of_a_real_server_is_understood() {
    for (discovery, groups) in [("09-get-apis-aggregated", false), ("02-get-apis", true)] {
        for answer in recorded(discovery) {
            let mut server = ApiServer::start(cluster()).with_kinds(&CLUSTER_POLICIES).fault_at(
                "/apis",
                What::Recorded(answer),
                usize::MAX,
            );
            if groups {
                let resources = recorded("06-get-apis-policy-networking-v1alpha2").swap_remove(0);
                server =
                    server.fault_at("/apis/policy.networking.k8s.io/v1alpha2", What::Recorded(resources), usize::MAX);
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
        for answer in recorded(name) {
            let server = ApiServer::start(cluster()).with_kinds(&CLUSTER_POLICIES).fault(
                place,
                What::Recorded(answer),
                usize::MAX,
            );
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
}

#[test]
fn pages_of_a_real_server_begin_again_once() {
    for name in ["12-pods-continue-rv1", "13-pods-continue-garbage"] {
        for answer in recorded(name) {
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
}

/// What stands where in a namespace that was recorded.
const NAMESPACE: &str = "/api/v1/namespaces/c-api";

/// The namespace of the recordings: its pods, the events and logs of one that crashes.
fn recorded_namespace() -> Vec<(String, &'static str)> {
    let at = |path: &str| format!("{NAMESPACE}{path}");
    vec![
        (at("/pods/looper/log?container=main&previous"), "63-log-previous"),
        (at("/pods/looper/log"), "62-log-current"),
        (at("/pods/looper"), "70-pod-looper"),
        (at("/pods/quiet"), "31-pod-ephemeral-running"),
        (at("/pods/noimage"), "51-pod-errimagepull"),
        (at("/pods/nope"), "16-404-pod"),
        (at("/pods?"), "58-pods-list-for-watch"),
        (at("/events?"), "71-events-looper"),
        ("/clusternetworkpolicies".to_owned(), "82-get-cnp-list"),
        ("/adminnetworkpolicies".to_owned(), "83-get-anp-404"),
    ]
}

/// A command in that namespace, with other answers in some places: its exit code, and what it says.
struct Replay {
    command: &'static [&'static str],
    instead: &'static [(&'static str, &'static str)],
    code: i32,
    says: &'static [&'static str],
}

const fn replay(
    command: &'static [&'static str],
    instead: &'static [(&'static str, &'static str)],
    code: i32,
    says: &'static [&'static str],
) -> Replay {
    Replay { command, instead, code, says }
}

const LOOPER: &[&str] = &["why", "looper", "-n", "c-api"];
const PREVIOUS: &str = "/pods/looper/log?container=main&previous";
const CURRENT: &str = "/pods/looper/log";
const PROBE: &[&str] = &["-n", "c-api", "quiet", "10.0.0.1:80", "--live", "--via=ephemeral", "--yes"];
const PATCH: &str = "/ephemeralcontainers?fieldManager";
const REVIEW: &str = "/selfsubjectaccessreviews";

const REPLAYS: [Replay; 20] = [
    // A pod that crashes: its log tells nothing of a network.
    replay(LOOPER, &[], 1, &["looper", "code 3"]),
    // The run before is gone, was replaced meanwhile, or never was: what is left is what there is.
    replay(LOOPER, &[(PREVIOUS, "75-log-previous-gone-200")], 1, &["code 3"]),
    replay(LOOPER, &[(PREVIOUS, "64-log-previous-400-none")], 1, &["code 3"]),
    replay(LOOPER, &[(CURRENT, "65-log-400-creating")], 1, &["code 3"]),
    replay(LOOPER, &[(CURRENT, "66-log-400-imagepull")], 1, &["code 3"]),
    replay(LOOPER, &[(CURRENT, "67-log-400-badcontainer")], 1, &["code 3"]),
    replay(LOOPER, &[(CURRENT, "68-log-404")], 1, &["code 3"]),
    // Pods that never started.
    replay(&["why", "noimage", "-n", "c-api"], &[], 1, &["image"]),
    replay(&["why", "-n", "c-api"], &[], 1, &["looper", "nocfg", "noimage"]),
    // A check between recorded pods; policies of a viewer's whole cluster.
    replay(&["-n", "c-api", "quiet", "pod/looper:80"], &[], 0, &["reachable"]),
    replay(
        &["-n", "c-api", "quiet", "pod/looper:80"],
        &[("clusternetworkpolicies", "20-403-cnp-viewer")],
        0,
        &["unless a cluster policy that you may not read denies it", "kind: ClusterRole"],
    ),
    // A snapshot of a viewer, who sees neither nodes nor Secrets.
    replay(
        &["snapshot", "-n", "c-api"],
        &[("/api/v1/nodes", "21-403-nodes-viewer"), ("/secrets", "22-403-secrets-viewer")],
        0,
        &["you may not read secrets in namespace `c-api`", "\"name\":\"looper\""],
    ),
    replay(
        &["graph", "-A"],
        &[("/apis/networking.k8s.io/v1/networkpolicies", "23-200-netpol-viewer")],
        0,
        &["pairs connected"],
    ),
    // A probe that the API server doesn't let through: why, and what to ask for.
    replay(PROBE, &[(REVIEW, "54-ssar-patch-ephemeral-limited")], 2, &["pods/ephemeralcontainers", "kind: Role"]),
    replay(
        PROBE,
        &[(REVIEW, "52-ssar-patch-ephemeral-admin"), (PATCH, "29-patch-ephemeral-403-viewer")],
        2,
        &["pods/ephemeralcontainers"],
    ),
    replay(PROBE, &[(PATCH, "34-patch-ephemeral-wrong-target-422")], 2, &["targetContainerName"]),
    replay(PROBE, &[(PATCH, "35-patch-ephemeral-resources-422")], 2, &["cannot be set for an Ephemeral Container"]),
    replay(PROBE, &[(PATCH, "37-patch-ephemeral-400")], 2, &["status 422"]),
    replay(PROBE, &[(PATCH, "43-patch-ephemeral-psa-403")], 2, &["PodSecurity"]),
    replay(PROBE, &[("/pods/quiet", "19-403-pods-limited")], 2, &["kind: Role"]),
];

#[test]
fn what_a_real_server_answers_is_understood() {
    let mut wrong = Vec::new();
    for Replay { command, instead, code, says } in REPLAYS {
        let mut objects = cluster();
        objects.push(namespace("c-api"));
        let mut server =
            ApiServer::start(objects).with_kinds(&CLUSTER_POLICIES).with_date("Sat, 21 Nov 2026 04:02:00 GMT");
        for (place, name) in instead {
            server = server.fault(place, small(name), usize::MAX);
        }
        for (place, name) in recorded_namespace() {
            server = server.fault(&place, small(name), usize::MAX);
        }
        let output = server.netcheck(command).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let all = format!("{}{errors}", String::from_utf8_lossy(&output.stdout));
        let mut expect = |holds: bool, what: String| {
            if !holds {
                wrong.push(format!("{command:?} {instead:?}: {what}\n{all}"));
            }
        };
        expect(output.status.code() == Some(code), format!("{:?} is not {code}", output.status.code()));
        for text in says {
            expect(all.contains(text), format!("no {text:?}"));
        }
        expect(errors.matches("error: ").count() <= 1, "several errors".to_owned());
        expect(code != 2 || errors.contains("help: "), "nothing to do".to_owned());
        for (place, _) in instead {
            expect(server.asked().iter().any(|a| a.contains(place)), format!("{place} isn't asked for"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn pages_of_a_real_server_are_followed_by_their_tokens() {
    for (first, second) in recorded("10-pods-limit2").into_iter().zip(recorded("11-pods-limit2-continue")) {
        // The second page of several is the last here.
        let (head, body) = second.split_once("\n\n").unwrap();
        let mut body: Value = serde_json::from_str(body).unwrap();
        body["metadata"].as_object_mut().unwrap().retain(|key, _| key == "resourceVersion");
        let last = format!("{head}\n\n{body}");
        let mut objects = cluster();
        objects.push(namespace("c-api"));
        let server = ApiServer::start(objects)
            .fault("/namespaces/c-api/pods?limit=500&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEi", What::Recorded(last), 1)
            .fault("/namespaces/c-api/pods?limit=500", What::Recorded(first), 1);
        let output = server.netcheck(&["snapshot", "-n", "c-api"]).assert().code(0);
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        for name in ["looper", "nocfg", "noimage", "quiet"] {
            assert!(text.contains(&format!("\"name\":\"{name}\",\"namespace\":\"c-api\"")), "{name}: {text}");
        }
    }
}
