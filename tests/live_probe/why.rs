//! `netcheck why --live`: packets from the pod in trouble settle what its log and the policies only say.

use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::world::*;

/// `frontend` between two restarts, with what it said.
fn looping(log: &str) -> (Vec<Value>, String) {
    let mut items = cluster();
    let pod = items.iter_mut().find(|i| i["kind"] == "Pod" && i["metadata"]["name"] == "frontend").expect("the client");
    pod["status"]["conditions"] =
        json!([{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T03:00:00Z"}]);
    pod["status"]["startTime"] = json!("2026-11-21T03:00:00Z");
    pod["status"]["containerStatuses"] = json!([{"name": "main", "ready": false, "restartCount": 6,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting failed container=main"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error",
            "startedAt": "2026-11-21T04:00:00Z", "finishedAt": "2026-11-21T04:00:31Z"}}}]);
    (items, log.to_owned())
}

fn server((items, log): (Vec<Value>, String), world: &Owned) -> ApiServer {
    ApiServer::start(items)
        .with_date("Sat, 21 Nov 2026 04:01:00 GMT")
        .with_log("shop", "frontend", "main", false, &log)
        .with_kubelet(kubelet(world))
}

fn why(server: &ApiServer) -> (Value, Option<i32>) {
    let run = server
        .netcheck(&["why", "frontend", "-n", "shop", "--live", "--via=ephemeral", "--yes", "-o", "json"])
        .output()
        .expect("to run");
    let report: Value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&run.stderr)));
    (report["findings"][0].clone(), run.status.code())
}

/// What packets came to, the first of a finding's evidence.
fn packets(finding: &Value) -> String {
    let first = &finding["evidence"][0];
    assert_eq!(first["kind"], "probe", "{finding:#}");
    first["text"].as_str().expect("a text").to_owned()
}

const BLOCKED: &str = "starting\nError: connect ETIMEDOUT 10.77.2.3:8080\n";

#[test]
fn dropped_packets_make_a_suspicion_certain() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let (finding, code) = why(&server(looping(BLOCKED), &world));
    assert_eq!((&finding["cause"], &finding["confidence"]), (&json!("policy-blocked"), &json!("high")), "{finding:#}");
    assert!(packets(&finding).contains("timeout"), "{finding:#}");
    assert_eq!(finding["policies"][0]["name"], "db");
    assert_eq!(code, Some(1));
}

#[test]
fn packets_that_get_through_leave_it_in_doubt() {
    let Some(world) = world() else { return };
    // Nothing is enforced.
    let (finding, code) = why(&server(looping(BLOCKED), &world));
    assert_eq!((&finding["cause"], &finding["confidence"]), (&json!("policy-blocked"), &json!("low")), "{finding:#}");
    assert!(packets(&finding).contains("open"), "{finding:#}");
    assert_eq!(code, Some(3));
}

#[test]
fn a_refusal_is_no_policys() {
    let Some(world) = servers_alone() else { return };
    world.translate("c", "ip daddr 10.96.0.1 tcp dport 80 dnat to 10.77.2.2:8081");
    let (mut items, log) = looping("panic: dial tcp 10.96.0.1:80: connect: connection refused\n");
    for item in &mut items {
        if item["kind"] == "Service" {
            item["spec"]["ports"][0]["targetPort"] = json!(8081);
        }
        if item["kind"] == "EndpointSlice" {
            item["ports"][0]["port"] = json!(8081);
        }
    }
    let server = server((items, log), &world);
    let (finding, code) = why(&server);
    assert_eq!((&finding["cause"], &finding["confidence"]), (&json!("dependency-down"), &json!("high")), "{finding:#}");
    assert!(packets(&finding).contains("refused"), "{finding:#}");
    assert_eq!(code, Some(1));
}

#[test]
fn nothing_is_sent_before_somebody_agrees() {
    let Some(world) = servers_alone() else { return };
    let server = server(looping(BLOCKED), &world);
    let run =
        server.netcheck(&["why", "frontend", "-n", "shop", "--live", "--via=ephemeral"]).output().expect("to run");
    assert_eq!(run.status.code(), Some(2), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(
        server.asked().iter().all(|a| !a.starts_with("PATCH ") || a.contains("dryRun=All")),
        "{:?}",
        server.asked()
    );
}
