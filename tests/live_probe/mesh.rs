//! A client whose connections go through the proxy of a mesh: tried through it, and past it.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::api_server::{ApiServer, Called};
use crate::world::*;

/// The client with Istio's proxy, as a container or as a native sidecar.
fn meshed(native: bool) -> Vec<Value> {
    let mut objects = cluster();
    let proxy = json!({"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.27.0", "securityContext": {"runAsUser": PROXY}});
    let running = json!({"name": "istio-proxy", "state": {"running": {}}});
    let (list, statuses) =
        if native { ("initContainers", "initContainerStatuses") } else { ("containers", "containerStatuses") };
    let mut push = |part: &str, list: &str, value: Value| {
        let at = &mut objects[1][part][list];
        let mut all = at.as_array().cloned().unwrap_or_default();
        all.push(value);
        *at = all.into();
    };
    push("spec", list, proxy);
    push("status", statuses, running);
    objects
}

/// What leaves the client for port 8080 goes to the proxy, unless it is the proxy's own; the proxy accepts everything.
fn redirected() -> Option<Owned> {
    let world = world()?;
    world.translate("c", &format!("meta skuid != {PROXY} tcp dport 8080 redirect to :15001"));
    let listener = world.inside("c", || TcpListener::bind("0.0.0.0:15001").expect("to listen"));
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        kept.extend(listener.incoming().flatten());
    });
    Some(world)
}

fn server(world: &Owned, native: bool) -> ApiServer {
    let network = world.0.clone();
    let shell = move |called: &Called<'_>| {
        let mut command = network.command("c", "env");
        if called.container == "istio-proxy" {
            command.args(["setpriv", "--clear-groups", &format!("--reuid={PROXY}"), &format!("--regid={PROXY}")]);
        }
        command.args(called.words);
        command
    };
    ApiServer::start(meshed(native)).with_kubelet(kubelet(world)).with_shell(shell)
}

#[test]
fn what_a_proxy_accepts_for_the_server_is_tried_past_it() {
    let Some(world) = redirected() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    for (way, native) in [("exec", false), ("ephemeral", false), ("exec", true)] {
        let via = format!("--via={way}");
        let server = server(&world, native);
        // The policy blocks it, the network enforces that, and yet the application sees an open connection.
        let (check, code) = report(&server, &["frontend", "pod/db:8080", "--live", "--yes", &via]);
        let live = &check["live"];
        let probe = &live["probes"][0];
        assert_eq!((&probe["class"], &probe["throughProxy"]), (&json!("timeout"), &json!("open")), "{way}: {live:#}");
        assert_eq!((&live["verdict"], &live["agreement"], code), (&json!("blocked"), &json!("agrees"), Some(1)));
        assert!(live["meanings"].to_string().contains("accepts connections to shop/db for the server"), "{live:#}");
        assert!(live["notes"].to_string().contains("past it as its user 1337"), "{live:#}");
        let (check, code) = report(&server, &["frontend", "pod/web:8080", "--live", "--yes", &via]);
        assert_eq!((&check["live"]["agreement"], code), (&json!("agrees"), Some(0)), "{way}: {check:#}");
        if way == "ephemeral" {
            let pod = server.objects("Pod").into_iter().find(|p| p["metadata"]["name"] == "frontend").expect("the pod");
            let users: Vec<&Value> = pod["spec"]["ephemeralContainers"]
                .as_array()
                .expect("containers")
                .iter()
                .map(|c| &c["securityContext"]["runAsUser"])
                .collect();
            assert_eq!(users.iter().filter(|user| ***user == json!(PROXY)).count(), 2, "{users:?}");
            assert_eq!(users.len(), 4);
        }
    }
}

#[test]
fn what_the_mesh_stops_is_not_the_networks_fault() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    // The proxy resets what it has no route for; the network is open.
    world.rules(
        "c",
        "output",
        &format!("meta skuid != {PROXY} ip daddr 10.77.2.2 tcp dport 8080 reject with tcp reset"),
    );
    let server = server(&world, false);
    let (check, code) = report(&server, &["frontend", "pod/web:8080", "--live", "--yes", "--via=exec"]);
    let live = &check["live"];
    let probe = &live["probes"][0];
    assert_eq!((&probe["class"], &probe["throughProxy"]), (&json!("open"), &json!("refused")), "{live:#}");
    assert_eq!((&live["agreement"], code), (&json!("disagrees"), Some(3)), "{live:#}");
    assert!(live["meanings"].to_string().contains("a rule of the mesh stops it"), "{live:#}");
}
