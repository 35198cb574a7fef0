//! The causes: what is done to a world that works, and what has to be found.

use serde_json::{Value, json};

use crate::world::{End, Place, World, time};

/// What has to be found first.
pub struct Answer {
    /// Causes that are right.
    pub causes: &'static [&'static str],
    /// The policy at fault (kind, name) and how the path to its field begins.
    pub policy: Option<(&'static str, &'static str, &'static str)>,
}

/// A cause by name, and what does it to a world.
pub type Case = (&'static str, fn(&mut World) -> Answer);

fn by(kind: &'static str, name: &'static str, path: &'static str) -> Answer {
    Answer { causes: &["policy-blocked"], policy: Some((kind, name, path)) }
}

fn dns_by(kind: &'static str, name: &'static str, path: &'static str) -> Answer {
    Answer { causes: &["dns-blocked"], policy: Some((kind, name, path)) }
}

fn cause(causes: &'static [&'static str]) -> Answer {
    Answer { causes, policy: None }
}

const FAILED: End = End { code: 1, reason: "Error", length: 30 };

/// The client as it gives up on a connection.
fn gives_up(world: &mut World, words: &'static [&'static str], quickly: bool) {
    let told = world.told();
    let words = world.random.pick(words);
    let length =
        if quickly { world.random.pick(&[0_i64, 1, 5]) } else { world.random.pick(&[10_i64, 30, 60, 128, 131]) };
    let code = world.random.pick(&[1_i64, 1, 2, 255]);
    let log = world.fill(words);
    world.crash(told, End { code, length, ..FAILED }, &log);
}

fn drops(world: &mut World) {
    gives_up(world, world.kind.timeout, false);
}

fn selector(namespace: Value, pod: Value) -> Value {
    json!({"namespaceSelector": {"matchLabels": namespace}, "podSelector": {"matchLabels": pod}})
}

/// Egress of the client's namespace: DNS and one more rule.
fn egress(world: &mut World, rule: Value) {
    let own = world.own.clone();
    let subject = if world.random.chance(50) { json!({}) } else { json!({"matchLabels": {"app": world.app}}) };
    world.policy(
        &own,
        "out",
        json!({"podSelector": subject, "policyTypes": ["Egress"], "egress": [World::dns(), rule]}),
    );
}

fn ports(number: u16) -> Value {
    json!([{"port": number, "protocol": "TCP"}])
}

fn egress_without_a_rule(world: &mut World) -> Answer {
    let own = world.own.clone();
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]}));
    drops(world);
    by("NetworkPolicy", "out", "spec.egress")
}

fn egress_wrong_port(world: &mut World) -> Answer {
    let (other, service, listens) = (world.other.clone(), world.service, world.dialled.listens);
    let wrong = if world.dialled.port == listens { listens + 1 } else { world.dialled.port };
    let peer = selector(json!({"kubernetes.io/metadata.name": other}), json!({"app": service}));
    egress(world, json!({"to": [peer], "ports": ports(wrong)}));
    drops(world);
    by("NetworkPolicy", "out", "spec.egress[1].ports[0]")
}

fn egress_wrong_label(world: &mut World) -> Answer {
    let (other, listens) = (world.other.clone(), world.dialled.listens);
    let label = format!("{}s", world.service);
    let peer = selector(json!({"kubernetes.io/metadata.name": other}), json!({"app": label}));
    egress(world, json!({"to": [peer], "ports": ports(listens)}));
    drops(world);
    by("NetworkPolicy", "out", "spec.egress[1].to[0].podSelector")
}

fn egress_wrong_namespace(world: &mut World) -> Answer {
    let (service, listens) = (world.service, world.dialled.listens);
    let labels = match world.random.below(2) {
        0 => json!({"team": "dta"}),
        _ => json!({"kubernetes.io/metadata.name": "databases"}),
    };
    egress(world, json!({"to": [selector(labels, json!({"app": service}))], "ports": ports(listens)}));
    drops(world);
    by("NetworkPolicy", "out", "spec.egress[1].to[0].namespaceSelector")
}

fn egress_to_service_addresses(world: &mut World) -> Answer {
    let listens = world.dialled.listens;
    let cidr = world.random.pick(&["10.30.0.0/16", "10.30.0.11/32"]);
    egress(world, json!({"to": [{"ipBlock": {"cidr": cidr}}], "ports": ports(listens)}));
    drops(world);
    by("NetworkPolicy", "out", "spec.egress[1].to[0].ipBlock")
}

fn ingress_denied(world: &mut World) -> Answer {
    let other = world.other.clone();
    let subject = if world.other == world.own { json!({"matchLabels": {"app": world.service}}) } else { json!({}) };
    world.items.retain(|i| i["metadata"]["name"] != "open");
    world.policy(&other, "guard", json!({"podSelector": subject, "policyTypes": ["Ingress"]}));
    drops(world);
    by("NetworkPolicy", "guard", "spec.")
}

fn guard(world: &mut World, rule: Value) {
    let (other, service) = (world.other.clone(), world.service);
    world.items.retain(|i| i["metadata"]["name"] != "open");
    world.policy(
        &other,
        "guard",
        json!({"podSelector": {"matchLabels": {"app": service}},
        "policyTypes": ["Ingress"], "ingress": [rule]}),
    );
}

fn ingress_wrong_client(world: &mut World) -> Answer {
    let (own, listens) = (world.own.clone(), world.dialled.listens);
    let app = format!("{}-v2", world.app);
    guard(
        world,
        json!({"from": [selector(json!({"kubernetes.io/metadata.name": own}), json!({"app": app}))], "ports": ports(listens)}),
    );
    drops(world);
    by("NetworkPolicy", "guard", "spec.ingress[0].from[0].podSelector")
}

fn ingress_wrong_namespace(world: &mut World) -> Answer {
    let (app, listens) = (world.app, world.dialled.listens);
    guard(world, json!({"from": [selector(json!({"team": "web"}), json!({"app": app}))], "ports": ports(listens)}));
    drops(world);
    by("NetworkPolicy", "guard", "spec.ingress[0].from[0].namespaceSelector")
}

fn ingress_wrong_port(world: &mut World) -> Answer {
    let (own, listens) = (world.own.clone(), world.dialled.listens);
    let wrong = if world.dialled.port == listens { listens + 7 } else { world.dialled.port };
    guard(
        world,
        json!({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": own}}}], "ports": ports(wrong)}),
    );
    drops(world);
    by("NetworkPolicy", "guard", "spec.ingress[0].ports[0]")
}

fn dns_denied(world: &mut World) -> Answer {
    let (own, other, service) = (world.own.clone(), world.other.clone(), world.service);
    let peer = selector(json!({"kubernetes.io/metadata.name": other}), json!({"app": service}));
    let rules = if world.random.chance(50) { json!([]) } else { json!([{"to": [peer]}]) };
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": rules}));
    let words = world.kind.dns;
    gives_up(world, words, false);
    dns_by("NetworkPolicy", "out", "spec.")
}

fn dns_to_the_wrong_place(world: &mut World) -> Answer {
    let own = world.own.clone();
    let rule = match world.random.below(2) {
        0 => {
            json!({"to": [{"namespaceSelector": {"matchLabels": {"name": "kube-system"}}}], "ports": [{"port": 53, "protocol": "UDP"}]})
        }
        _ => {
            json!({"to": [selector(json!({"kubernetes.io/metadata.name": "kube-system"}), json!({"k8s-app": "coredns"}))],
            "ports": [{"port": 53, "protocol": "UDP"}]})
        }
    };
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"],
        "egress": [rule, {"to": [{"namespaceSelector": {}}], "ports": [{"port": 1, "endPort": 52, "protocol": "TCP"}, {"port": 54, "endPort": 65535, "protocol": "TCP"}]}]}));
    let words = world.kind.dns;
    gives_up(world, words, false);
    dns_by("NetworkPolicy", "out", "spec.egress[0].to[0]")
}

fn cluster_policy_denies(world: &mut World) -> Answer {
    let (own, other) = (world.own.clone(), world.other.clone());
    let peer = json!({"pods": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": other}}, "podSelector": {"matchLabels": {"app": world.service}}}});
    let mine = json!({"pods": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": own}}, "podSelector": {"matchLabels": {"app": world.app}}}});
    let (subject, rules) = match world.random.below(2) {
        0 => (mine, json!({"egress": [{"name": "no", "action": "Deny", "to": [peer]}]})),
        _ => (peer, json!({"ingress": [{"name": "no", "action": "Deny", "from": [mine]}]})),
    };
    let path = if rules["egress"].is_null() { "spec.ingress[0]" } else { "spec.egress[0]" };
    let mut spec = json!({"tier": "Admin", "priority": 5, "subject": subject});
    for (key, value) in rules.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    world.items.push(json!({"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
        "metadata": {"name": "fence", "creationTimestamp": time(-1800)}, "spec": spec}));
    drops(world);
    by("ClusterNetworkPolicy", "fence", path)
}

fn two_policies_one_open(world: &mut World) -> Answer {
    // The union of both lets it out: ingress at the server is what stops it.
    let own = world.own.clone();
    world.policy(&own, "default-deny", json!({"podSelector": {}, "policyTypes": ["Egress"]}));
    let (other, app, service) = (world.other.clone(), world.app, world.service);
    let peer = selector(json!({"kubernetes.io/metadata.name": other}), json!({"app": service}));
    world.policy(
        &own,
        "allow",
        json!({"podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Egress"],
        "egress": [World::dns(), {"to": [peer]}]}),
    );
    ingress_denied(world)
}

fn waits_in_init(world: &mut World) -> Answer {
    world.place = Place::Init;
    let (host, port) = (world.dialled.host.clone(), world.dialled.port);
    let own = world.own.clone();
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]}));
    let script = match world.random.below(3) {
        0 => format!("until nc -z -w 2 {host} {port}; do echo waiting for the database; sleep 2; done"),
        1 => format!("while ! nc -zw1 {host} {port}; do sleep 1; done"),
        _ => format!("dockerize -wait tcp://{host}:{port} -timeout 600s"),
    };
    let status = json!({"name": world.app, "ready": false, "restartCount": 0, "state": {"running": {"startedAt": time(-1500)}}, "lastState": {}});
    world.place_client(json!({"command": ["sh", "-c", script]}), status);
    by("NetworkPolicy", "out", "spec.egress")
}

fn no_endpoints(world: &mut World) -> Answer {
    let (other, service) = (world.other.clone(), world.service);
    world.object("Service", &other, service)["spec"]["selector"] = json!({"app": format!("{service}-db")});
    let words = world.kind.refused;
    gives_up(world, words, true);
    cause(&["no-endpoints"])
}

fn server_crashes(world: &mut World) -> Answer {
    let server = world.server();
    server["status"]["containerStatuses"] = json!([{"name": "main", "ready": false, "restartCount": 12,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container=main"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": time(-100), "finishedAt": time(-60)}}}]);
    server["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False", "lastTransitionTime": time(-3000)}]);
    let words = world.kind.refused;
    gives_up(world, words, true);
    cause(&["dependency-down"])
}

fn wrong_target_port(world: &mut World) -> Answer {
    let (other, service, listens) = (world.other.clone(), world.service, world.dialled.listens);
    world.object("Service", &other, service)["spec"]["ports"][0]["targetPort"] = json!(listens + 5);
    let words = world.kind.refused;
    gives_up(world, words, true);
    cause(&["dependency-down", "wrong-port"])
}

fn no_such_service_port(world: &mut World) -> Answer {
    world.dialled.port += 11;
    let words = world.kind.timeout;
    gives_up(world, words, false);
    cause(&["wrong-port"])
}

fn misspelt_name(world: &mut World) -> Answer {
    world.dialled.host = match world.random.below(2) {
        0 => format!("{}-svc.{}", world.service, world.other),
        _ => format!("{}.{}.svc.cluster.local", world.service, "prod"),
    };
    let words = world.kind.nxdomain;
    gives_up(world, words, true);
    cause(&["name-not-found"])
}

fn credentials(world: &mut World) -> Answer {
    let words = world.kind.auth;
    gives_up(world, words, true);
    cause(&["auth-failed"])
}

fn slow_server(world: &mut World) -> Answer {
    drops(world);
    cause(&["slow-dependency"])
}

/// A policy at the client that lets through what it needs: a decoy for causes of its own.
fn decoy(world: &mut World) {
    if world.random.chance(60) {
        let own = world.own.clone();
        world.policy(
            &own,
            "default-deny",
            json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]}),
        );
    }
}

fn own_error(world: &mut World) -> Answer {
    decoy(world);
    let words = world.random.pick(&[
        "Traceback (most recent call last):\n  File \"/app/main.py\", line 12, in <module>\n    rates[code]\nKeyError: 'EUR'",
        "panic: assignment to entry in nil map\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:31 +0x1d",
        "Exception in thread \"main\" java.lang.IllegalStateException: no rates\n\tat com.acme.Main.main(Main.java:10)",
        "/app/server.js:12\n  total.toFixed(2)\nTypeError: Cannot read properties of undefined (reading 'toFixed')\n    at Object.<anonymous> (/app/server.js:12:9)",
        "thread 'main' panicked at src/main.rs:14:27:\ncalled `Option::unwrap()` on a `None` value",
        "Unhandled exception. System.InvalidOperationException: Sequence contains no elements\n   at Program.<Main>$(String[] args) in /src/Program.cs:line 8",
        "Error: required environment variable TENANT is not set",
        "Error: Cannot find module '/app/dist/server.js'",
    ]);
    world.crash(json!({}), End { length: 2, ..FAILED }, words);
    cause(if world.place == Place::Init { &["init-failed", "app-error"] } else { &["app-error"] })
}

fn got_over_it(world: &mut World) -> Answer {
    let first = world.random.pick(world.kind.refused);
    let first = world.fill(first);
    let log = format!(
        "{first}\nINFO retrying in 2 s\nINFO connected, schema is up to date\nINFO loading rates\nTraceback (most recent call last):\n  File \"/app/main.py\", line 12, in <module>\nKeyError: 'EUR'"
    );
    let told = world.told();
    world.crash(told, End { length: 9, ..FAILED }, &log);
    cause(if world.place == Place::Init { &["init-failed", "app-error"] } else { &["app-error"] })
}

fn out_of_memory(world: &mut World) -> Answer {
    decoy(world);
    world.crash(
        json!({"resources": {"limits": {"memory": "128Mi"}}}),
        End { code: 137, reason: "OOMKilled", length: 40 },
        "loading data set",
    );
    cause(&["oom"])
}

fn heap_over_limit(world: &mut World) -> Answer {
    decoy(world);
    let (limit, flag) =
        world.random.pick(&[("512Mi", "-Xmx1g"), ("1Gi", "-Xmx1024m"), ("256Mi", "-XX:MaxRAMPercentage=95.0")]);
    world.crash(
        json!({"resources": {"limits": {"memory": limit}}, "env": [{"name": "JAVA_TOOL_OPTIONS", "value": flag}]}),
        End { code: 137, reason: "OOMKilled", length: 40 },
        &format!("Picked up JAVA_TOOL_OPTIONS: {flag}"),
    );
    cause(&["jvm-heap"])
}

fn ends_well(world: &mut World) -> Answer {
    world.place = Place::Alone;
    decoy(world);
    world.crash(json!({}), End { code: 0, reason: "Completed", length: 3 }, "exported 120 rows\ndone");
    cause(&["exit-zero"])
}

fn no_such_command(world: &mut World) -> Answer {
    decoy(world);
    match world.random.below(2) {
        0 => world.crash(
            json!({"command": ["sh", "-c", "gunicorn app:app"]}),
            End { code: 127, reason: "Error", length: 0 },
            "sh: 1: gunicorn: not found",
        ),
        _ => {
            let message = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/app/server\": stat /app/server: no such file or directory";
            let status = json!({"name": world.app, "ready": false, "restartCount": 4,
                "state": {"waiting": {"reason": "RunContainerError", "message": message}},
                "lastState": {"terminated": {"exitCode": 128, "reason": "StartError", "message": message, "startedAt": "1970-01-01T00:00:00Z", "finishedAt": time(-20)}}});
            world.place_client(json!({"command": ["/app/server"]}), status);
        }
    }
    cause(&["command-not-found"])
}

fn wrong_architecture(world: &mut World) -> Answer {
    decoy(world);
    world.crash(
        json!({}),
        End { code: 255, reason: "Error", length: 0 },
        &format!("exec /{}: exec format error", world.app),
    );
    cause(&["exec-format"])
}

fn native_crash(world: &mut World) -> Answer {
    decoy(world);
    world.crash(json!({}), End { code: 139, reason: "Error", length: 5 }, "Segmentation fault (core dumped)");
    cause(&["segfault"])
}

fn liveness_port(world: &mut World) -> Answer {
    world.place = Place::Alone;
    decoy(world);
    let (probe, ask) = match world.random.below(2) {
        0 => (
            json!({"httpGet": {"path": "/healthz", "port": 9999}}),
            "Get \"http://10.20.0.11:9999/healthz\": dial tcp 10.20.0.11:9999: connect: connection refused",
        ),
        _ => (json!({"tcpSocket": {"port": 9999}}), "dial tcp 10.20.0.11:9999: connect: connection refused"),
    };
    world.crash(
        json!({"ports": [{"containerPort": 8080}], "livenessProbe": probe}),
        End { code: 137, reason: "Error", length: 60 },
        "listening on :8080",
    );
    world.event("Unhealthy", &format!("Liveness probe failed: {ask}"), 9);
    world.event("Killing", &format!("Container {} failed liveness probe, will be restarted", world.app), 3);
    cause(&["liveness-wrong"])
}

fn liveness_path(world: &mut World) -> Answer {
    world.place = Place::Alone;
    decoy(world);
    let code = world.random.pick(&[404, 401, 403]);
    world.crash(
        json!({"ports": [{"containerPort": 8080}], "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}}),
        End { code: 143, reason: "Error", length: 60 },
        "listening on :8080",
    );
    world.event("Unhealthy", &format!("Liveness probe failed: HTTP probe failed with statuscode: {code}"), 9);
    world.event("Killing", &format!("Container {} failed liveness probe, will be restarted", world.app), 3);
    cause(&["liveness-wrong"])
}

fn liveness_early(world: &mut World) -> Answer {
    world.place = Place::Alone;
    decoy(world);
    world.crash(json!({"ports": [{"containerPort": 8080}], "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 3, "periodSeconds": 3, "failureThreshold": 2}}),
        End { code: 137, reason: "Error", length: 36 }, "loading model, this takes about a minute");
    world.event("Unhealthy", "Liveness probe failed: Get \"http://10.20.0.11:8080/healthz\": dial tcp 10.20.0.11:8080: connect: connection refused", 9);
    world.event("Killing", &format!("Container {} failed liveness probe, will be restarted", world.app), 3);
    cause(&["liveness-too-early"])
}

fn never_ready(world: &mut World) -> Answer {
    world.place = Place::Alone;
    let status = json!({"name": world.app, "ready": false, "restartCount": 0, "state": {"running": {"startedAt": time(-3500)}}, "lastState": {}});
    world.place_client(
        json!({"ports": [{"containerPort": 8080}], "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}}),
        status,
    );
    world.event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", 300);
    world.say("listening on :8080", false);
    cause(&["readiness-only"])
}

fn waiting(world: &mut World, fields: Value, reason: &str, message: &str) {
    let status = json!({"name": world.app, "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}, "lastState": {}});
    world.place_client(fields, status);
}

fn image(world: &mut World) -> Answer {
    decoy(world);
    let (reason, message) = world.random.pick(&[
        ("ImagePullBackOff", "Back-off pulling image \"registry.example/x:9\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"registry.example/x:9\": failed to resolve reference \"registry.example/x:9\": registry.example/x:9: not found"),
        ("ErrImagePull", "failed to pull and unpack image \"registry.example/x:9\": failed to resolve reference: unexpected status from HEAD request to https://registry.example/v2/x/manifests/9: 401 Unauthorized"),
        ("ErrImagePull", "failed to pull and unpack image \"registry.example/x:9\": failed to do request: Head \"https://registry.example/v2/x/manifests/9\": dial tcp 203.0.113.9:443: i/o timeout"),
        ("InvalidImageName", "Failed to apply default image tag \"Registry/X: 1\": couldn't parse image name \"Registry/X: 1\": invalid reference format"),
    ]);
    waiting(world, json!({}), reason, message);
    cause(&["image-pull"])
}

fn no_config_map(world: &mut World) -> Answer {
    decoy(world);
    waiting(
        world,
        json!({"envFrom": [{"configMapRef": {"name": "settings"}}]}),
        "CreateContainerConfigError",
        "configmap \"settings\" not found",
    );
    cause(&["missing-config"])
}

fn no_secret_key(world: &mut World) -> Answer {
    decoy(world);
    let own = world.own.clone();
    world.items.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": own}, "dataKeys": ["token-v1"]}));
    let message = format!("couldn't find key token in Secret {own}/keys");
    waiting(
        world,
        json!({"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}]}),
        "CreateContainerConfigError",
        &message,
    );
    cause(&["missing-secret-key"])
}

fn unscheduled(world: &mut World, message: &str, spec: Value) {
    let mut spec = spec;
    spec["containers"] = json!([{"name": world.app, "image": "x:1"}]);
    spec["restartPolicy"] = json!("Always");
    world.owned(spec, json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastTransitionTime": time(-3600)}]}));
}

fn no_node(world: &mut World) -> Answer {
    decoy(world);
    let message = world.random.pick(&[
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
        "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}.",
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    ]);
    unscheduled(world, message, json!({"nodeSelector": {"disk": "ssd"}}));
    cause(&["unschedulable"])
}

fn no_volume(world: &mut World) -> Answer {
    decoy(world);
    let own = world.own.clone();
    world.items.push(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": own, "uid": "u-claim"},
        "spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"}}));
    unscheduled(
        world,
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}),
    );
    cause(&["pvc"])
}

fn port_taken(world: &mut World) -> Answer {
    decoy(world);
    let words = world.random.pick(&[
        "Error: listen EADDRINUSE: address already in use :::8080",
        "listen tcp :8080: bind: address already in use",
        "OSError: [Errno 98] Address already in use",
        "nginx: [emerg] bind() to 0.0.0.0:8080 failed (98: Address already in use)",
    ]);
    world.crash(json!({}), End { length: 1, ..FAILED }, words);
    cause(&["port-clash"])
}

fn no_permission(world: &mut World) -> Answer {
    decoy(world);
    let words = world.random.pick(&[
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)",
        "Error: EACCES: permission denied, open '/data/cache'",
        "PermissionError: [Errno 13] Permission denied: '/var/lib/app'",
        "mkdir /var/cache/app: read-only file system",
        "java.nio.file.AccessDeniedException: /data/index",
    ]);
    world.crash(json!({"securityContext": {"runAsUser": 1000}}), End { length: 1, ..FAILED }, words);
    cause(&["permission"])
}

fn not_trusted(world: &mut World) -> Answer {
    let words = world.random.pick(&[
        "panic: Get \"https://{host}:{port}/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "Error: self-signed certificate in certificate chain",
        "javax.net.ssl.SSLHandshakeException: PKIX path building failed: unable to find valid certification path to requested target",
    ]);
    let (told, log) = (world.told(), world.fill(words));
    world.crash(told, End { length: 1, ..FAILED }, &log);
    cause(&["tls"])
}

fn full_disk(world: &mut World) -> Answer {
    decoy(world);
    world.crash(json!({}), End { length: 20, ..FAILED }, "write /data/wal/000001: no space left on device");
    cause(&["disk-full"])
}

fn node_in_trouble(world: &mut World) -> Answer {
    decoy(world);
    let kind = world.random.pick(&["MemoryPressure", "DiskPressure"]);
    world.object("Node", "", "n1")["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": time(0)},
        {"type": kind, "status": "True", "reason": "Kubelet", "message": "kubelet has pressure", "lastHeartbeatTime": time(0)}]);
    world.crash(json!({}), End { code: 137, reason: "Error", length: 50 }, "working");
    cause(&["node-pressure"])
}

/// The rule that lets a client to the dependency of [`World::another`].
fn to_another() -> Value {
    json!({"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"tier": "more"}}}]})
}

fn one_of_several(world: &mut World) -> Answer {
    let own = world.own.clone();
    world.policy(
        &own,
        "out",
        json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns(), to_another()]}),
    );
    let more = world.another();
    let mine = json!({"name": world.kind.url.0, "value": world.fill(world.kind.url.1)});
    let env = if world.random.chance(50) { json!([more, mine]) } else { json!([mine, more]) };
    let words = world.random.pick(world.kind.timeout);
    let log = world.fill(words);
    world.crash(json!({"env": env}), End { length: 31, ..FAILED }, &log);
    by("NetworkPolicy", "out", "spec.egress")
}

fn dialled_by_address(world: &mut World) -> Answer {
    world.dialled.host = world.dialled.ip.clone();
    egress_without_a_rule(world)
}

fn pod_of_a_headless_service(world: &mut World) -> Answer {
    let (other, service, listens) = (world.other.clone(), world.service, world.dialled.listens);
    world.dialled.host = format!("{service}-0.{service}.{other}.svc.cluster.local");
    world.dialled.port = listens;
    world.dialled.ip = "10.20.0.12".to_owned();
    let spec = &mut world.object("Service", &other, service)["spec"];
    spec["clusterIP"] = json!("None");
    spec["ports"][0]["port"] = json!(listens);
    spec["ports"][0]["targetPort"] = json!(listens);
    let server = world.server();
    server["spec"]["hostname"] = json!(format!("{service}-0"));
    server["spec"]["subdomain"] = json!(service);
    ingress_wrong_client(world)
}

fn named_port_that_nobody_has(world: &mut World) -> Answer {
    let own = world.own.clone();
    guard(
        world,
        json!({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": own}}}], "ports": [{"port": "api", "protocol": "TCP"}]}),
    );
    drops(world);
    by("NetworkPolicy", "guard", "spec.ingress[0].ports[0]")
}

fn an_expression_leaves_it_out(world: &mut World) -> Answer {
    let own = world.own.clone();
    let app = world.app;
    guard(
        world,
        json!({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": own}},
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [app, "guest"]}]}}]}),
    );
    drops(world);
    by("NetworkPolicy", "guard", "spec.ingress[0].from[0].podSelector")
}

fn everybody_of_its_own_namespace(world: &mut World) -> Answer {
    if world.own == world.other {
        return ingress_wrong_client(world);
    }
    guard(world, json!({"from": [{"podSelector": {}}]}));
    drops(world);
    by("NetworkPolicy", "guard", "spec.ingress[0].from[0]")
}

fn admin_policy(world: &mut World) -> Answer {
    let (own, other) = (world.own.clone(), world.other.clone());
    world.items.push(json!({"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicy",
        "metadata": {"name": "fence", "creationTimestamp": time(-1800)},
        "spec": {"priority": 7, "subject": {"pods": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": own}}, "podSelector": {"matchLabels": {"app": world.app}}}},
            "egress": [{"name": "no", "action": "Deny", "to": [{"pods": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": other}}, "podSelector": {"matchLabels": {"app": world.service}}}}]}]}}));
    drops(world);
    by("AdminNetworkPolicy", "fence", "spec.egress[0]")
}

fn baseline_policy(world: &mut World) -> Answer {
    let (other, service) = (world.other.clone(), world.service);
    world.items.retain(|i| i["metadata"]["name"] != "open");
    world.items.push(json!({"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "BaselineAdminNetworkPolicy",
        "metadata": {"name": "default", "creationTimestamp": time(-1800)},
        "spec": {"subject": {"pods": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": other}}, "podSelector": {"matchLabels": {"app": service}}}},
            "ingress": [{"name": "no", "action": "Deny", "from": [{"namespaces": {"matchLabels": {}}}]}]}}));
    drops(world);
    by("BaselineAdminNetworkPolicy", "default", "spec.ingress[0]")
}

fn cluster_policy_denies_dns(world: &mut World) -> Answer {
    let own = world.own.clone();
    world.items.push(json!({"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
        "metadata": {"name": "fence", "creationTimestamp": time(-1800)},
        "spec": {"tier": "Admin", "priority": 5, "subject": {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": own}}},
            "egress": [{"name": "no", "action": "Deny", "to": [{"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]}]}}));
    let words = world.kind.dns;
    gives_up(world, words, false);
    dns_by("ClusterNetworkPolicy", "fence", "spec.egress[0]")
}

/// Java says the same of a name that doesn't exist and of DNS that doesn't answer.
const UNKNOWN_HOST: &[&str] = &[
    "Caused by: java.net.UnknownHostException: {host}",
    "org.springframework.web.client.ResourceAccessException: I/O error on GET request for \"http://{host}:{port}/v1\": {host}; nested exception is java.net.UnknownHostException: {host}",
    "nginx: [emerg] host not found in upstream \"{host}\" in /etc/nginx/conf.d/default.conf:3",
];

fn unknown_host_under_a_policy(world: &mut World) -> Answer {
    let own = world.own.clone();
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"]}));
    gives_up(world, UNKNOWN_HOST, false);
    dns_by("NetworkPolicy", "out", "spec.")
}

fn unknown_host(world: &mut World) -> Answer {
    world.dialled.host = format!("{}s.{}", world.service, world.other);
    decoy(world);
    gives_up(world, UNKNOWN_HOST, true);
    cause(&["name-not-found"])
}

fn for_the_first_time(world: &mut World) -> Answer {
    let own = world.own.clone();
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]}));
    let (told, words) = (world.told(), world.random.pick(world.kind.timeout));
    let ended = json!({"exitCode": 1, "reason": "Error", "startedAt": time(-40), "finishedAt": time(-5)});
    let status =
        json!({"name": world.app, "ready": false, "restartCount": 0, "state": {"terminated": ended}, "lastState": {}});
    world.place_client(told, status);
    let log = world.fill(words);
    world.say(&log, false);
    by("NetworkPolicy", "out", "spec.egress")
}

fn job(world: &mut World) -> Answer {
    world.place = Place::Alone;
    let own = world.own.clone();
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]}));
    let (told, words) = (world.told(), world.random.pick(world.kind.timeout));
    let log = world.fill(words);
    let (app, pod) = (world.app, world.pod.clone());
    world.items.push(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": app, "namespace": own, "uid": "o-j"},
        "spec": {"backoffLimit": 4, "template": {"metadata": {"labels": {"app": app}}, "spec": {"restartPolicy": "Never", "containers": [{"name": app, "image": "x:1"}]}}},
        "status": {"failed": 1, "conditions": []}}));
    let mut container = json!({"name": app, "image": "x:1"});
    for (key, value) in told.as_object().into_iter().flatten() {
        container[key] = value.clone();
    }
    let ended = json!({"exitCode": 1, "reason": "Error", "startedAt": time(-140), "finishedAt": time(-9)});
    world.items.push(json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod, "namespace": own, "uid": format!("u-{pod}"), "labels": {"app": app, "batch.kubernetes.io/job-name": app},
            "creationTimestamp": time(-150), "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": app, "controller": true, "uid": "o-j"}]},
        "spec": {"nodeName": "n1", "restartPolicy": "Never", "containers": [container]},
        "status": {"phase": "Failed", "podIP": "10.20.0.11", "podIPs": [{"ip": "10.20.0.11"}], "startTime": time(-150),
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
            "containerStatuses": [{"name": app, "ready": false, "restartCount": 0, "state": {"terminated": ended}, "lastState": {}}]}}));
    world.say(&log, false);
    by("NetworkPolicy", "out", "spec.egress")
}

fn outside_of_the_range(world: &mut World) -> Answer {
    world.dialled.host = "203.0.113.77".to_owned();
    world.dialled.ip = world.dialled.host.clone();
    let port = world.dialled.port;
    egress(world, json!({"to": [{"ipBlock": {"cidr": "203.0.113.0/26"}}], "ports": ports(port)}));
    drops(world);
    by("NetworkPolicy", "out", "spec.egress[1].to[0].ipBlock")
}

fn telemetry_then_own_error(world: &mut World) -> Answer {
    let own = world.own.clone();
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]}));
    let log = "2026/11/21 10:09:00 traces export: Post \"http://otel-collector.obs:4318/v1/traces\": dial tcp 10.30.0.77:4318: i/o timeout\nINFO serving on :8080\npanic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:";
    world.crash(
        json!({"env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel-collector.obs:4318"}]}),
        End { code: 2, length: 40, ..FAILED },
        log,
    );
    cause(if world.place == Place::Init { &["init-failed", "app-error"] } else { &["app-error"] })
}

fn told_to_stop(world: &mut World) -> Answer {
    world.place = Place::Alone;
    decoy(world);
    world.crash(json!({}), End { code: 143, reason: "Error", length: 90 }, "received SIGTERM, shutting down");
    cause(&["sigterm"])
}

fn killed(world: &mut World) -> Answer {
    world.place = Place::Alone;
    decoy(world);
    world.crash(json!({}), End { code: 137, reason: "Error", length: 90 }, "working");
    cause(&["sigkill"])
}

fn no_secret_to_mount(world: &mut World) -> Answer {
    decoy(world);
    world.place = Place::Alone;
    let status = json!({"name": world.app, "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}});
    world.place_client(json!({"volumeMounts": [{"name": "tls", "mountPath": "/tls"}]}), status);
    let (own, pod) = (world.own.clone(), world.pod.clone());
    let at = world.object("Pod", &own, &pod);
    at["spec"]["volumes"] = json!([{"name": "tls", "secret": {"secretName": "tls-cert"}}]);
    at["status"]["phase"] = json!("Pending");
    world.event("FailedMount", "MountVolume.SetUp failed for volume \"tls\" : secret \"tls-cert\" not found", 12);
    cause(&["missing-config"])
}

fn no_sandbox(world: &mut World) -> Answer {
    decoy(world);
    world.place = Place::Alone;
    let status = json!({"name": world.app, "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}});
    world.place_client(json!({}), status);
    let (own, pod) = (world.own.clone(), world.pod.clone());
    world.object("Pod", &own, &pod)["status"]["phase"] = json!("Pending");
    world.event("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: plugin type=\"cni\" failed (add): no IP addresses available in range set", 40);
    cause(&["sandbox"])
}

fn put_out(world: &mut World) -> Answer {
    decoy(world);
    let spec =
        json!({"nodeName": "n1", "restartPolicy": "Always", "containers": [{"name": world.app, "image": "x:1"}]});
    world.owned(spec, json!({"phase": "Failed", "reason": "Evicted", "startTime": time(-900),
        "message": "The node was low on resource: memory. Threshold quantity: 100Mi, available: 12Mi. Container x was using 900Mi, request is 0."}));
    cause(&["evicted"])
}

fn server_answers_with_an_error(world: &mut World) -> Answer {
    let (told, port) = (world.told(), world.dialled.port);
    let code = world.random.pick(&["503 Service Unavailable", "504 Gateway Time-out", "500 Internal Server Error"]);
    let log = format!(
        "requests.exceptions.HTTPError: {} Server Error: {} for url: http://{}:{port}/v1",
        &code[..3],
        &code[4..],
        world.dialled.host
    );
    world.crash(told, End { length: 12, ..FAILED }, &log);
    cause(&["slow-dependency", "dependency-down"])
}

fn server_starts_up(world: &mut World) -> Answer {
    let told = world.told();
    let words = world.random.pick(&[
        "FATAL:  the database system is starting up",
        "redis.exceptions.BusyLoadingError: Redis is loading the dataset in memory",
    ]);
    world.crash(told, End { length: 1, ..FAILED }, words);
    cause(&["slow-dependency"])
}

fn connection_is_cut(world: &mut World) -> Answer {
    let words = world.random.pick(&[
        "redis.exceptions.ConnectionError: Error while reading from {host}:{port} : (104, 'Connection reset by peer')",
        "panic: read tcp 10.20.0.11:40112->{ip}:{port}: read: connection reset by peer",
        "requests.exceptions.ConnectionError: HTTPConnectionPool(host='{host}', port={port}): Max retries exceeded with url: / (Caused by ProtocolError('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer')))",
    ]);
    let (told, log) = (world.told(), world.fill(words));
    world.crash(told, End { length: 3, ..FAILED }, &log);
    cause(&["dependency-down"])
}

fn silent_and_blocked(world: &mut World) -> Answer {
    world.place = Place::Alone;
    let own = world.own.clone();
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]}));
    let told = world.told();
    world.crash(told, End { length: 31, ..FAILED }, "could not start, see above");
    by("NetworkPolicy", "out", "spec.egress")
}

fn in_a_noisy_log(world: &mut World) -> Answer {
    let own = world.own.clone();
    world.policy(&own, "out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]}));
    let noise: String = (0..200)
        .map(|n| match n % 5 {
            0 => format!("2026-11-21T10:0{}:00Z DEBUG cache miss for key user:{n}, ttl 30s\n", n % 10),
            1 => "127.0.0.1 - - [21/Nov/2026:10:05:00 +0000] \"GET /metrics HTTP/1.1\" 200 812\n".to_owned(),
            2 => format!("{{\"level\":\"info\",\"msg\":\"tick\",\"timeout\":\"30s\",\"n\":{n}}}\n"),
            3 => "INFO request.timeout.ms = 30000\n".to_owned(),
            _ => "\n".to_owned(),
        })
        .collect();
    let (told, words) = (world.told(), world.random.pick(world.kind.timeout));
    let log = format!("{noise}{}", world.fill(words));
    world.crash(told, End { length: 61, ..FAILED }, &log);
    by("NetworkPolicy", "out", "spec.egress")
}

/// Every cause.
pub const CASES: &[Case] = &[
    ("egress without a rule", egress_without_a_rule),
    ("egress to the wrong port", egress_wrong_port),
    ("egress to the wrong pods", egress_wrong_label),
    ("egress to the wrong namespace", egress_wrong_namespace),
    ("egress to the Service's address", egress_to_service_addresses),
    ("ingress denied", ingress_denied),
    ("ingress from other pods", ingress_wrong_client),
    ("ingress from another namespace", ingress_wrong_namespace),
    ("ingress on the wrong port", ingress_wrong_port),
    ("dns denied", dns_denied),
    ("dns to the wrong place", dns_to_the_wrong_place),
    ("cluster policy", cluster_policy_denies),
    ("two policies, one open", two_policies_one_open),
    ("init container waits", waits_in_init),
    ("one of several", one_of_several),
    ("dialled by address", dialled_by_address),
    ("pod of a headless Service", pod_of_a_headless_service),
    ("named port that nobody has", named_port_that_nobody_has),
    ("an expression leaves it out", an_expression_leaves_it_out),
    ("everybody of its own namespace", everybody_of_its_own_namespace),
    ("admin policy", admin_policy),
    ("baseline policy", baseline_policy),
    ("cluster policy denies DNS", cluster_policy_denies_dns),
    ("unknown host under a policy", unknown_host_under_a_policy),
    ("unknown host", unknown_host),
    ("for the first time", for_the_first_time),
    ("job", job),
    ("outside of the range", outside_of_the_range),
    ("telemetry, then its own error", telemetry_then_own_error),
    ("told to stop", told_to_stop),
    ("killed", killed),
    ("no Secret to mount", no_secret_to_mount),
    ("no sandbox", no_sandbox),
    ("put out", put_out),
    ("server answers with an error", server_answers_with_an_error),
    ("server starts up", server_starts_up),
    ("connection is cut", connection_is_cut),
    ("silent and blocked", silent_and_blocked),
    ("in a noisy log", in_a_noisy_log),
    ("no endpoints", no_endpoints),
    ("server crashes", server_crashes),
    ("wrong target port", wrong_target_port),
    ("no such Service port", no_such_service_port),
    ("misspelt name", misspelt_name),
    ("credentials", credentials),
    ("slow server", slow_server),
    ("own error", own_error),
    ("got over it", got_over_it),
    ("out of memory", out_of_memory),
    ("heap over limit", heap_over_limit),
    ("ends well", ends_well),
    ("no such command", no_such_command),
    ("wrong architecture", wrong_architecture),
    ("native crash", native_crash),
    ("liveness asks another port", liveness_port),
    ("liveness asks another path", liveness_path),
    ("liveness asks too early", liveness_early),
    ("never ready", never_ready),
    ("image", image),
    ("no ConfigMap", no_config_map),
    ("no Secret key", no_secret_key),
    ("no node", no_node),
    ("no volume", no_volume),
    ("port taken", port_taken),
    ("no permission", no_permission),
    ("not trusted", not_trusted),
    ("full disk", full_disk),
    ("node in trouble", node_in_trouble),
];
