//! A cluster of three pods with the network that goes with it, a kubelet that runs what is added to them, and what the
//! program answers about it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::netns::{World, servers};

pub const AGENT: &str = env!("CARGO_BIN_EXE_netcheck-agent");

pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}})
}

pub fn pod(name: &str, ip: &str, ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|p| json!({"containerPort": p})).collect();
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "labels": {"app": name}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "registry.example/app:7", "ports": ports}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "main", "state": {"running": {"startedAt": "2026-11-21T04:01:13Z"}}}]}})
}

/// `frontend` may reach `web` and not `db`; `web` is behind a Service of its name.
pub fn cluster() -> Vec<Value> {
    vec![
        namespace("shop"),
        pod("frontend", "10.77.1.2", &[]),
        pod("web", "10.77.2.2", &[8080]),
        pod("db", "10.77.2.3", &[8080]),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "selector": {"app": "web"},
                "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.77.2.2"], "conditions": {"ready": true}, "nodeName": "node-1",
                "targetRef": {"kind": "Pod", "name": "web", "namespace": "shop"}}]}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"], "ingress": []}}),
    ]
}

/// A network that is removed with this value, whatever threads of a server still hold.
pub struct Owned(pub Arc<World>);

impl std::ops::Deref for Owned {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// The network that goes with it: servers on 8080, the Service's address as kube-proxy makes it, DNS.
pub fn world() -> Option<Owned> {
    let world = servers_alone()?;
    world.translate("c", "ip daddr 10.96.0.1 tcp dport 80 dnat to 10.77.2.2:8080");
    Some(world)
}

pub fn servers_alone() -> Option<Owned> {
    let world = Owned(Arc::new(World::new()?));
    world.ip("s", "addr add 10.77.2.3/24 dev eth0");
    servers::tcp(&world, "0.0.0.0:8080", servers::http);
    servers::dns(&world, "10.77.2.2:53");
    Some(world)
}

/// The user of Istio's proxy.
pub const PROXY: i64 = 1337;

/// Runs a container's command at the client's end: with a name server and a file for its last words, as the kubelet mounts
/// them.
pub fn kubelet(world: &Owned) -> impl Fn(&Value) -> Option<Value> + Send + Sync + use<> + 'static {
    kubelet_of(world, |_| "c")
}

/// The same at the end that a pod has.
pub fn kubelet_of(
    world: &Owned,
    end: fn(&str) -> &'static str,
) -> impl Fn(&Value) -> Option<Value> + Send + Sync + use<> + 'static {
    kubelet_with(world, end, None)
}

/// The same with the programs alone that an image has, below this directory.
pub fn kubelet_with(
    world: &Owned,
    end: fn(&str) -> &'static str,
    image: Option<&Path>,
) -> impl Fn(&Value) -> Option<Value> + Send + Sync + use<> + 'static {
    let world = world.0.clone();
    let image = image.map(|path| format!("PATH={}", path.display()));
    move |container| {
        let end = end(container["inPod"].as_str().unwrap_or_default());
        let words: Vec<String> =
            container["command"].as_array()?.iter().filter_map(|w| w.as_str().map(str::to_owned)).collect();
        let directory = tempfile::tempdir().expect("a directory");
        let last_words = directory.path().join("termination-log");
        std::fs::write(&last_words, "").expect("a file");
        let resolv = directory.path().join("resolv.conf");
        std::fs::write(&resolv, "nameserver 10.77.2.2\nsearch shop.svc.test svc.test test\noptions ndots:5\n")
            .expect("a file");
        let path = last_words.to_str().expect("a path");
        // The user of a mesh's proxy; others may do as root what they do.
        let user = container["securityContext"]["runAsUser"].as_i64().filter(|user| *user == PROXY);
        let mut command = world.command(end, "env");
        if let Some(user) = user {
            for (path, mode) in [(directory.path(), 0o755), (&last_words, 0o666)] {
                std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("to set the mode");
            }
            command.args(["setpriv", "--clear-groups", &format!("--reuid={user}"), &format!("--regid={user}")]);
        } else if let Some(image) = &image {
            command.args(["-i", image]);
        }
        if words[0] == "/netcheck-agent" {
            command.arg(AGENT).args(&words[1..]);
            command.args(["--out", path, "--resolv-conf", resolv.to_str().expect("a path")]);
        } else {
            command.args(words.iter().map(|w| w.replace("/dev/termination-log", path)));
        }
        let output = command.stdin(Stdio::null()).output().expect("to run");
        let message = std::fs::read_to_string(&last_words).expect("the last words");
        Some(json!({"terminated": {"exitCode": output.status.code(), "reason": "Completed", "message": message}}))
    }
}

/// A kubelet that only says this.
pub fn says(state: Value) -> impl Fn(&Value) -> Option<Value> + Send + Sync + 'static {
    move |_| Some(state.clone())
}

pub fn patches(server: &ApiServer) -> (usize, usize) {
    let all: Vec<String> = server.asked().into_iter().filter(|a| a.starts_with("PATCH ")).collect();
    let dry = all.iter().filter(|a| a.contains("dryRun=All")).count();
    (dry, all.len() - dry)
}

pub fn report(server: &ApiServer, args: &[&str]) -> (Value, Option<i32>) {
    let output = server.netcheck(args).args(["-o", "json"]).output().expect("to run");
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text} {}", String::from_utf8_lossy(&output.stderr)));
    (report["checks"][0].clone(), output.status.code())
}

pub fn classes(live: &Value) -> Vec<(String, String, String)> {
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let probes = live["probes"].as_array().expect("probes");
    probes.iter().map(|p| (word(&p["role"]), word(&p["class"]), word(&p["agreement"]))).collect()
}

pub fn rows(rows: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    rows.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

pub const EPHEMERAL: [&str; 5] = ["frontend", "web:80", "--live", "--via=ephemeral", "--yes"];

pub fn made(server: &ApiServer) -> Vec<String> {
    let all = server.objects("Pod").into_iter().chain(server.objects("ConfigMap"));
    let names = all.filter_map(|o| o["metadata"]["name"].as_str().map(str::to_owned));
    names.filter(|n| n.starts_with("netcheck-")).collect()
}

pub fn json_of(server: &ApiServer, args: &[&str]) -> (Value, Option<i32>) {
    let output = server.netcheck(args).args(["-o", "json"]).output().expect("to run");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code())
}
