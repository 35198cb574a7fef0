//! A cluster with one client in trouble: DNS, a dependency, bystanders, and policies that have nothing to do with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::dependency::{KINDS, Kind};
use crate::random::Random;

/// Where the client's container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The only container.
    Alone,
    /// Beside one that works.
    Beside,
    /// An init container.
    Init,
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Exit code.
    pub code: i64,
    /// The kubelet's reason.
    pub reason: &'static str,
    /// Seconds.
    pub length: i64,
}

/// The dependency as it is dialled.
pub struct Dialled {
    /// As the client spells it.
    pub host: String,
    /// The Service's port.
    pub port: u16,
    /// The pods' port.
    pub listens: u16,
    /// The Service's address.
    pub ip: String,
}

/// Objects, logs, and the answer.
pub struct World {
    /// Chance.
    pub random: Random,
    /// The dump.
    pub items: Vec<Value>,
    /// By namespace, pod, container and whether it is of the run before.
    pub logs: BTreeMap<(String, String, String, bool), String>,
    /// Namespace of the client.
    pub own: String,
    /// Namespace of the server.
    pub other: String,
    /// Label of the server's namespace that a policy may ask for.
    pub team: &'static str,
    /// Kind of the dependency.
    pub kind: &'static Kind,
    /// Name of its Service.
    pub service: &'static str,
    /// How it is dialled.
    pub dialled: Dialled,
    /// The client's `app` label and container.
    pub app: &'static str,
    /// The client's pod.
    pub pod: String,
    /// Where its container stands.
    pub place: Place,
}

/// `2026-11-21T10:10:00Z` and so many seconds.
pub fn time(offset: i64) -> String {
    let seconds = 10 * 3600 + 600 + offset;
    let day = 21 + seconds.div_euclid(86_400);
    let seconds = seconds.rem_euclid(86_400);
    format!("2026-11-{day:02}T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

const APPS: &[&str] = &["checkout", "ledger-sync", "worker", "billing", "api", "mailer", "crawler"];
const NAMESPACES: &[&str] = &["shop", "team-a", "payments", "front"];
const DATA: &[&str] = &["data", "backends", "storage", "infra"];

impl World {
    /// A cluster in which everything works but for what is done to it afterwards.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let own = random.pick(NAMESPACES).to_owned();
        let other = if random.chance(70) { random.pick(DATA).to_owned() } else { own.clone() };
        let kind = &KINDS[random.below(KINDS.len())];
        let service = random.pick(kind.names);
        let (port, listens) = random.pick(kind.ports);
        let app = random.pick(APPS);
        let near = match random.below(3) {
            0 if other == own => service.to_owned(),
            1 => format!("{service}.{other}.svc.cluster.local"),
            2 => format!("{service}.{other}.svc"),
            _ => format!("{service}.{other}"),
        };
        let place = match random.below(6) {
            0 => Place::Beside,
            1 => Place::Init,
            _ => Place::Alone,
        };
        let pod = format!("{app}-7d9f8c6b5-x2k4q");
        let dialled = Dialled { host: near, port, listens, ip: "10.30.0.11".to_owned() };
        let team = random.pick(&["data", "platform", "core"]);
        let mut world = Self {
            random,
            items: Vec::new(),
            logs: BTreeMap::new(),
            own,
            other,
            team,
            kind,
            service,
            dialled,
            app,
            pod,
            place,
        };
        world.surroundings();
        world
    }

    fn namespace(&mut self, name: &str, team: &str) {
        self.items.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name,
            "labels": {"kubernetes.io/metadata.name": name, "team": team}}}));
    }

    fn surroundings(&mut self) {
        let (own, other, team) = (self.own.clone(), self.other.clone(), self.team);
        self.namespace("kube-system", "system");
        self.namespace(&own, if own == other { team } else { "apps" });
        if own != other {
            self.namespace(&other, team);
        }
        self.namespace("elsewhere", "x");
        self.items.push(json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n1", "labels": {"kubernetes.io/os": "linux"}}, "spec": {"podCIDR": "10.20.0.0/24"},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.168.7.11"}],
                "allocatable": {"memory": "8Gi", "cpu": "4"},
                "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": time(0)}],
                "nodeInfo": {"architecture": "amd64"}}}));
        self.healthy(
            "kube-system",
            "coredns",
            json!({"k8s-app": "kube-dns"}),
            "10.20.0.13",
            &[
                json!({"name": "dns", "containerPort": 53, "protocol": "UDP"}),
                json!({"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"}),
            ],
        );
        self.items.push(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": "10.30.0.10", "selector": {"k8s-app": "kube-dns"}, "ports": [
                {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"}]}}));
        let (service, listens) = (self.service, self.dialled.listens);
        self.healthy(
            &other,
            service,
            json!({"app": service, "tier": "backend"}),
            "10.20.0.12",
            &[json!({"name": "main", "containerPort": listens, "protocol": "TCP"})],
        );
        let target = if self.random.chance(30) { json!("main") } else { json!(listens) };
        self.items.push(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": other},
            "spec": {"clusterIP": self.dialled.ip, "selector": {"app": service},
                "ports": [{"name": "p", "port": self.dialled.port, "targetPort": target, "protocol": "TCP"}]}}),
        );
        self.healthy("elsewhere", "bystander", json!({"app": "bystander"}), "10.20.0.30", &[]);
        if self.random.chance(50) {
            // It isolates only its own.
            self.policy("elsewhere", "default-deny", json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
        }
        if self.random.chance(40) {
            self.items.push(json!({"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
                "metadata": {"name": "isolate-pci", "creationTimestamp": time(-7200)},
                "spec": {"tier": "Admin", "priority": 20,
                    "subject": {"namespaces": {"matchLabels": {"pci": "true"}}},
                    "ingress": [{"action": "Deny", "from": [{"namespaces": {"matchLabels": {}}}]}]}}));
        }
        if self.random.chance(40) {
            let service = self.service;
            // It lets everybody in: a decoy at the very server.
            self.policy(
                &other,
                "open",
                json!({"podSelector": {"matchLabels": {"app": service}},
                "policyTypes": ["Ingress"], "ingress": [{}]}),
            );
        }
    }

    /// A pod that works.
    pub fn healthy(&mut self, namespace: &str, name: &str, labels: Value, ip: &str, ports: &[Value]) {
        let pod = format!("{name}-0");
        self.items.push(json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": name, "namespace": namespace, "uid": format!("o-{name}")},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "x:1"}]}}}}));
        self.items.push(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod, "namespace": namespace, "uid": format!("u-{pod}"), "labels": labels,
                "creationTimestamp": time(-90_000),
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "controller": true, "uid": format!("o-{name}")}]},
            "spec": {"nodeName": "n1", "restartPolicy": "Always",
                "containers": [{"name": "main", "image": "registry.example/x:1", "ports": ports}]},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": time(-90_000),
                "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True", "lastTransitionTime": time(-89_000)}],
                "containerStatuses": [{"name": "main", "ready": true, "restartCount": 0,
                    "state": {"running": {"startedAt": time(-90_000)}}, "lastState": {}}]}}));
    }

    /// A NetworkPolicy.
    pub fn policy(&mut self, namespace: &str, name: &str, spec: Value) {
        let made = -self.random.pick(&[1200_i64, 7200, 86_400]);
        self.items.push(json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": time(made)}, "spec": spec}));
    }

    /// The object of a kind and name.
    pub fn object(&mut self, kind: &str, namespace: &str, name: &str) -> &mut Value {
        self.items
            .iter_mut()
            .find(|i| {
                i["kind"] == kind
                    && i["metadata"]["name"] == name
                    && (i["metadata"]["namespace"] == namespace || i["metadata"]["namespace"].is_null())
            })
            .unwrap_or_else(|| panic!("{kind} {namespace}/{name}"))
    }

    /// The dependency's pod.
    pub fn server(&mut self) -> &mut Value {
        let (namespace, name) = (self.other.clone(), format!("{}-0", self.service));
        self.object("Pod", &namespace, &name)
    }

    /// A template with what is dialled.
    pub fn fill(&self, template: &str) -> String {
        template
            .replace("{host}", &self.dialled.host)
            .replace("{ip}", &self.dialled.ip)
            .replace("{port}", &self.dialled.port.to_string())
    }

    /// How the container is told where its dependency is: its environment, and ConfigMaps for it.
    pub fn told(&mut self) -> Value {
        let url = self.fill(self.kind.url.1);
        let (host, port) = (self.dialled.host.clone(), self.dialled.port.to_string());
        let own = self.own.clone();
        match self.random.below(4) {
            0 => json!({"env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": self.kind.url.0, "value": url}]}),
            1 => json!({"env": [{"name": self.kind.pair.0, "value": host}, {"name": self.kind.pair.1, "value": port}]}),
            2 => {
                self.items.push(
                    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": own},
                    "data": {self.kind.url.0: url, "FEATURES": "a,b"}}),
                );
                json!({"envFrom": [{"configMapRef": {"name": "settings"}}]})
            }
            _ => {
                self.items.push(
                    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": own},
                    "data": {"url": url}}),
                );
                json!({"env": [{"name": self.kind.url.0, "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "url"}}}]})
            }
        }
    }

    /// The client: its container with further fields, as it ended, and what it said.
    pub fn crash(&mut self, fields: Value, end: End, log: &str) {
        let restarts = self.random.pick(&[2_i64, 4, 7, 31]);
        let ended = |offset: i64| json!({"exitCode": end.code, "reason": end.reason, "startedAt": time(offset - end.length), "finishedAt": time(offset)});
        let shape = self.random.below(4);
        let back_off = format!("back-off 2m40s restarting failed container={} pod={}", self.app, self.pod);
        // Between restarts it is mostly terminated, or running for the moment; waiting only now and then.
        let (state, last, previous) = match shape {
            0 | 1 => (json!({"terminated": ended(-5)}), json!({"terminated": ended(-200 - end.length)}), false),
            2 => (
                json!({"waiting": {"reason": "CrashLoopBackOff", "message": back_off}}),
                json!({"terminated": ended(-40)}),
                false,
            ),
            _ => (json!({"running": {"startedAt": time(-3)}}), json!({"terminated": ended(-30)}), true),
        };
        let status =
            json!({"name": self.app, "ready": false, "restartCount": restarts, "state": state, "lastState": last});
        self.place_client(fields, status);
        self.say(log, previous);
        if self.random.chance(60) {
            self.event(
                "BackOff",
                &format!("Back-off restarting failed container {} in pod {}_{}", self.app, self.pod, self.own),
                9,
            );
        }
    }

    /// A dependency of another kind that works and is declared beside the one in question: its variable.
    pub fn another(&mut self) -> Value {
        let others: Vec<&'static Kind> = KINDS.iter().filter(|k| k.url.0 != self.kind.url.0).collect();
        let kind = others[self.random.below(others.len())];
        let (name, (port, listens)) = (format!("{}-x", kind.names[0]), kind.ports[0]);
        let other = self.other.clone();
        self.healthy(
            &other,
            &name,
            json!({"app": name, "tier": "more"}),
            "10.20.0.40",
            &[json!({"name": "main", "containerPort": listens, "protocol": "TCP"})],
        );
        self.items.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": other},
            "spec": {"clusterIP": "10.30.0.40", "selector": {"app": name}, "ports": [{"port": port, "targetPort": listens, "protocol": "TCP"}]}}));
        let url = kind.url.1.replace("{host}", &format!("{name}.{other}")).replace("{port}", &port.to_string());
        json!({"name": kind.url.0, "value": url})
    }

    /// What the client's container logged.
    pub fn say(&mut self, log: &str, previous: bool) {
        let head = match self.random.below(3) {
            0 => "starting\n".to_owned(),
            1 => {
                format!("2026-11-21T10:05:00Z INFO {} 1.4.2 starting, log level info\nconfiguration loaded\n", self.app)
            }
            _ => String::new(),
        };
        let key = |previous| (self.own.clone(), self.pod.clone(), self.app.to_owned(), previous);
        let (full, start) = (format!("{head}{log}\n"), head);
        self.logs.insert(key(previous), full.clone());
        if previous {
            self.logs.insert(key(false), start);
        } else if self.random.chance(50) {
            let text = match self.random.chance(40) {
                true => "unable to retrieve container logs for containerd://4b3f2a".to_owned(),
                false => full,
            };
            self.logs.insert(key(true), text);
        }
    }

    /// An event of the client's pod.
    pub fn event(&mut self, reason: &str, message: &str, count: i64) {
        let (own, pod, app) = (self.own.clone(), self.pod.clone(), self.app);
        let path = match self.place {
            Place::Init => format!("spec.initContainers{{{app}}}"),
            _ => format!("spec.containers{{{app}}}"),
        };
        self.items.push(json!({"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{pod}.{}", self.items.len()), "namespace": own},
            "involvedObject": {"kind": "Pod", "name": pod, "namespace": own, "uid": format!("u-{pod}"), "fieldPath": path},
            "reason": reason, "message": message, "count": count, "type": if reason == "Killing" { "Normal" } else { "Warning" },
            "firstTimestamp": time(-900), "lastTimestamp": time(-10)}));
    }

    /// The client's pod with its workload; `status` is its container's.
    pub fn place_client(&mut self, fields: Value, status: Value) {
        let mut container = json!({"name": self.app, "image": format!("registry.example/{}:1.4.2", self.app)});
        for (key, value) in fields.as_object().into_iter().flatten() {
            container[key] = value.clone();
        }
        let side = json!({"name": "side", "image": "registry.example/side:1"});
        let runs = json!({"name": "side", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": time(-3000)}}, "lastState": {}});
        let waits = json!({"name": "side", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}, "lastState": {}});
        let (spec, mut of_status) = match self.place {
            Place::Alone => (json!({"containers": [container]}), json!({"containerStatuses": [status]})),
            Place::Beside => (json!({"containers": [side, container]}), json!({"containerStatuses": [runs, status]})),
            Place::Init => (
                json!({"initContainers": [container], "containers": [side]}),
                json!({"initContainerStatuses": [status], "containerStatuses": [waits]}),
            ),
        };
        let mut spec = spec;
        spec["nodeName"] = json!("n1");
        spec["restartPolicy"] = json!("Always");
        of_status["phase"] = json!(if self.place == Place::Init { "Pending" } else { "Running" });
        of_status["podIP"] = json!("10.20.0.11");
        of_status["podIPs"] = json!([{"ip": "10.20.0.11"}]);
        of_status["startTime"] = json!(time(-3600));
        of_status["conditions"] = json!([{"type": "PodScheduled", "status": "True", "lastTransitionTime": time(-3600)},
            {"type": "Ready", "status": "False", "lastTransitionTime": time(-3600), "reason": "ContainersNotReady", "message": ""}]);
        self.owned(spec, of_status);
    }

    /// A pod of the client's workload.
    pub fn owned(&mut self, spec: Value, status: Value) {
        let (own, pod, app) = (self.own.clone(), self.pod.clone(), self.app);
        let labels = json!({"app": app, "pod-template-hash": "7d9f8c6b5"});
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}});
        let owner = match self.random.below(3) {
            0 => {
                self.items.push(json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": app, "namespace": own, "uid": "o-c"},
                    "spec": {"selector": {"matchLabels": {"app": app}}, "template": template}}));
                json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": app, "controller": true, "uid": "o-c"}])
            }
            1 => json!([]),
            _ => {
                let set = format!("{app}-7d9f8c6b5");
                self.items.push(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": app, "namespace": own, "uid": "o-d"},
                    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": app}}, "template": template}}));
                self.items.push(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": set, "namespace": own, "uid": "o-c",
                        "creationTimestamp": time(-3600), "annotations": {"deployment.kubernetes.io/revision": "3"},
                        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": app, "controller": true, "uid": "o-d"}]},
                    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": app}}, "template": template}}));
                json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "controller": true, "uid": "o-c"}])
            }
        };
        self.items.push(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod, "namespace": own, "uid": format!("u-{pod}"), "labels": labels,
                "creationTimestamp": time(-3600), "ownerReferences": owner},
            "spec": spec, "status": status}));
    }

    /// A rule that lets DNS through.
    pub fn dns() -> Value {
        json!({"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]})
    }
}
