//! A small API server that speaks real HTTP, for running the program as a whole against it.
//!
//! It serves objects it is given: discovery, get, list with selectors and pages, creation and deletion, access reviews,
//! patches of ephemeral containers that a kubelet of the test's own runs, exec, logs, Status errors. Faults are put in its
//! way: 401, 403, 410, 429, 5xx, slow answers, connections cut in the middle. It keeps a log of what it was asked.

// Each test program takes what it needs.
#![allow(dead_code)]

mod exec;
mod kubelet;
pub mod objects;
mod rbac;
#[cfg(target_os = "linux")]
pub mod terminal;

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// A kind that the server has.
#[derive(Clone, Debug)]
pub struct Served {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
}

const fn served(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Served {
    Served { group, version, plural, kind, namespaced }
}

const BUILT_IN: [Served; 22] = [
    served("", "v1", "namespaces", "Namespace", false),
    served("", "v1", "nodes", "Node", false),
    served("", "v1", "pods", "Pod", true),
    served("", "v1", "services", "Service", true),
    served("", "v1", "endpoints", "Endpoints", true),
    served("", "v1", "events", "Event", true),
    served("", "v1", "configmaps", "ConfigMap", true),
    served("", "v1", "secrets", "Secret", true),
    served("", "v1", "serviceaccounts", "ServiceAccount", true),
    served("", "v1", "replicationcontrollers", "ReplicationController", true),
    served("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true),
    served("apps", "v1", "deployments", "Deployment", true),
    served("apps", "v1", "replicasets", "ReplicaSet", true),
    served("apps", "v1", "statefulsets", "StatefulSet", true),
    served("apps", "v1", "daemonsets", "DaemonSet", true),
    served("batch", "v1", "jobs", "Job", true),
    served("batch", "v1", "cronjobs", "CronJob", true),
    served("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true),
    served("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true),
    served("networking.k8s.io", "v1", "ingresses", "Ingress", true),
    served("events.k8s.io", "v1", "events", "Event", true),
    served("storage.k8s.io", "v1", "storageclasses", "StorageClass", false),
];

/// The kinds of `policy.networking.k8s.io`.
pub const CLUSTER_POLICIES: [Served; 3] = [
    served("policy.networking.k8s.io", "v1alpha2", "clusternetworkpolicies", "ClusterNetworkPolicy", false),
    served("policy.networking.k8s.io", "v1alpha1", "adminnetworkpolicies", "AdminNetworkPolicy", false),
    served("policy.networking.k8s.io", "v1alpha1", "baselineadminnetworkpolicies", "BaselineAdminNetworkPolicy", false),
];

/// Cilium's kinds.
pub const CILIUM: [Served; 2] = [
    served("cilium.io", "v2", "ciliumnetworkpolicies", "CiliumNetworkPolicy", true),
    served("cilium.io", "v2", "ciliumclusterwidenetworkpolicies", "CiliumClusterwideNetworkPolicy", false),
];

/// What goes wrong with a request whose path holds a text.
#[derive(Clone, Debug)]
pub struct Fault {
    pub path: String,
    /// Whether the text is the whole path.
    pub whole: bool,
    pub what: What,
    /// How many more times; `usize::MAX` is always.
    pub times: usize,
}

#[derive(Clone, Debug)]
pub enum What {
    /// A Status with this code.
    Status(u16),
    /// 429 with Retry-After.
    Busy(u64),
    /// An answer that is late.
    Slow(Duration),
    /// The connection is cut in the middle of the body.
    Cut,
    /// A body that is not the API's.
    Page(u16, &'static str),
    /// A Status with this code, reason and message.
    Refused(u16, &'static str, &'static str),
    /// An answer that a real API server gave: status, headers, body.
    Recorded(String),
}

/// What runs containers: one comes in, with the name of its pod as `inPod`, the state it ends in goes out, `{"terminated": …}` or `{"waiting": …}`. None is a
/// kubelet that never hears of it.
pub type Kubelet = Arc<dyn Fn(&Value) -> Option<Value> + Send + Sync>;

/// What exec is asked for.
pub struct Called<'c> {
    pub pod: &'c str,
    pub container: &'c str,
    pub words: &'c [String],
}

/// What exec runs.
pub type Shell = Arc<dyn Fn(&Called<'_>) -> std::process::Command + Send + Sync>;

/// What a pod has logged so far, if it is one that is asked about.
pub type Log = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

#[derive(Default)]
struct State {
    objects: Vec<Value>,
    kinds: Vec<Served>,
    faults: Vec<Fault>,
    /// Resources that may not be read, with the namespace where it isn't everywhere.
    denied: Vec<(String, Option<String>)>,
    token: Option<String>,
    /// What may be done, where that is limited.
    roles: Option<Vec<rbac::Rule>>,
    /// What was refused by the roles.
    refused: Vec<String>,
    old_discovery: bool,
    log: Vec<String>,
    kubelet: Option<Kubelet>,
    shell: Option<Shell>,
    log_of: Option<Log>,
    made: usize,
    /// What containers logged, by namespace, pod, container and whether it is of the run before.
    logs: HashMap<(String, String, String, bool), String>,
    /// Lines of the watches to come, one after the other; a watch without any ends empty after a while.
    watches: VecDeque<Vec<Value>>,
    /// The `Date` of answers.
    date: Option<String>,
}

/// A running server; it ends with the test's process.
pub struct ApiServer {
    port: u16,
    state: Arc<Mutex<State>>,
    directory: tempfile::TempDir,
}

impl ApiServer {
    pub fn start(objects: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State { objects, kinds: BUILT_IN.to_vec(), ..State::default() }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { port, state, directory: tempfile::tempdir().expect("a directory") }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic in the server")
    }

    pub fn with_kinds(self, kinds: &[Served]) -> Self {
        self.state().kinds.extend_from_slice(kinds);
        self
    }

    pub fn with_old_discovery(self) -> Self {
        self.state().old_discovery = true;
        self
    }

    pub fn with_token(self, token: &str) -> Self {
        self.state().token = Some(token.to_owned());
        self
    }

    /// What a container logged.
    pub fn with_log(self, namespace: &str, pod: &str, container: &str, previous: bool, text: &str) -> Self {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned(), previous);
        self.state().logs.insert(key, text.to_owned());
        self
    }

    /// The lines of the next watch: `ADDED` and so on, with the object.
    pub fn with_watch(self, lines: &[(&str, Value)]) -> Self {
        let lines = lines.iter().map(|(kind, object)| json!({"type": kind, "object": object})).collect();
        self.state().watches.push_back(lines);
        self
    }

    /// The server's clock, as its answers tell it: `Sat, 21 Nov 2026 04:02:57 GMT`.
    pub fn with_date(self, date: &str) -> Self {
        self.state().date = Some(date.to_owned());
        self
    }

    /// An object more, or anew.
    pub fn put(&self, object: Value) {
        let mut state = self.state();
        let same = |o: &Value| {
            o["kind"] == object["kind"]
                && o["metadata"]["name"] == object["metadata"]["name"]
                && o["metadata"]["namespace"] == object["metadata"]["namespace"]
        };
        state.objects.retain(|o| !same(o));
        state.objects.push(object);
    }

    /// Nobody may read a resource (`pods`), in a namespace or anywhere.
    pub fn deny(self, resource: &str, namespace: Option<&str>) -> Self {
        self.state().denied.push((resource.to_owned(), namespace.map(str::to_owned)));
        self
    }

    /// Nothing may be done but what these roles allow, as `netcheck rbac` prints them.
    pub fn with_roles(self, yaml: &str) -> Self {
        self.state().roles = Some(rbac::rules(yaml));
        self
    }

    /// What the roles didn't allow.
    pub fn refused(&self) -> Vec<String> {
        self.state().refused.clone()
    }

    /// Runs the containers of pods that are made or added to.
    pub fn with_kubelet(self, kubelet: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) -> Self {
        self.state().kubelet = Some(Arc::new(kubelet));
        self
    }

    /// Runs what is to be run by exec.
    pub fn with_shell(self, shell: impl Fn(&Called<'_>) -> std::process::Command + Send + Sync + 'static) -> Self {
        self.state().shell = Some(Arc::new(shell));
        self
    }

    /// Tells what pods log while they run.
    pub fn with_log_of(self, log: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.state().log_of = Some(Arc::new(log));
        self
    }

    /// The objects of a kind as they are now.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        self.state().objects.iter().filter(|o| o["kind"] == kind).cloned().collect()
    }

    pub fn fault(self, path: &str, what: What, times: usize) -> Self {
        self.state().faults.push(Fault { path: path.to_owned(), whole: false, what, times });
        self
    }

    /// The same for one path alone.
    pub fn fault_at(self, path: &str, what: What, times: usize) -> Self {
        self.state().faults.push(Fault { path: path.to_owned(), whole: true, what, times });
        self
    }

    /// What was asked so far: method and path.
    pub fn asked(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A kubeconfig that leads here, with `shop` as the namespace.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_as("token: secret-token")
    }

    /// The same with these lines as the user.
    pub fn kubeconfig_as(&self, user: &str) -> PathBuf {
        let path = self.directory.path().join("config");
        let user: String = user.lines().map(|l| format!("    {l}\n")).collect();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters:\n- name: c\n  cluster:\n    server: http://127.0.0.1:{}\n\
             contexts:\n- name: test\n  context:\n    cluster: c\n    user: u\n    namespace: shop\nusers:\n- name: u\n  user:\n{user}",
            self.port
        );
        std::fs::write(&path, text).expect("a kubeconfig");
        path
    }

    /// The program, with the kubeconfig of this server.
    pub fn netcheck(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = program();
        command.env("KUBECONFIG", self.kubeconfig()).args(args);
        command
    }
}

/// The program, in an environment that leads nowhere.
pub fn program() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("netcheck").expect("the program");
    for name in [
        "KUBECONFIG",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "NO_PROXY",
        "no_proxy",
        "KUBERNETES_SERVICE_HOST",
        "NETCHECK_CNI",
    ] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent").env("NO_COLOR", "1");
    command
}

struct Request {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    accept: String,
    authorization: String,
    /// The key of a WebSocket that is asked for.
    upgrade: Option<String>,
    body: Vec<u8>,
}

impl Request {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

struct Reply {
    code: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cut: bool,
}

impl Reply {
    fn json(value: &Value) -> Self {
        Self { code: 200, headers: Vec::new(), body: value.to_string().into_bytes(), cut: false }
    }

    /// A recorded answer; the length is counted anew.
    fn recorded(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").expect("a head and a body");
        let code = head.split_whitespace().nth(1).and_then(|c| c.parse().ok()).expect("a status");
        let mut headers = Vec::new();
        for line in head.lines().skip(1) {
            let (name, value) = line.split_once(": ").expect("a header");
            if name.eq_ignore_ascii_case("retry-after") {
                headers.push(("Retry-After", value.to_owned()));
            }
        }
        Self { code, headers, body: body.trim_end().as_bytes().to_vec(), cut: false }
    }

    fn status(code: u16, reason: &str, message: &str) -> Self {
        let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code});
        Self { code, ..Self::json(&body) }
    }
}

fn serve(mut stream: TcpStream, state: &Arc<Mutex<State>>) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut reader = BufReader::new(clone);
    while let Some(request) = read(&mut reader) {
        let (reply, wait) = answer(&request, state);
        if let (Some(key), 200) = (&request.upgrade, reply.code) {
            let shell = state.lock().expect("no panic in the server").shell.clone();
            if let Some(shell) = shell {
                exec::serve(stream, key, &request.path, &request.query, &shell);
            }
            return;
        }
        kubelet::run(&request, &reply, state);
        if let Some(wait) = wait {
            std::thread::sleep(wait);
        }
        let mut head = format!(
            "HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            reply.code,
            reply.body.len()
        );
        if let Some(date) = state.lock().ok().and_then(|s| s.date.clone()) {
            head.push_str(&format!("Date: {date}\r\n"));
        }
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let body = if reply.cut { &reply.body[..reply.body.len() / 2] } else { &reply.body[..] };
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() || reply.cut {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut accept, mut authorization, mut length, mut upgrade) = (String::new(), String::new(), 0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "accept" => accept = value.trim().to_owned(),
            "authorization" => authorization = value.trim().to_owned(),
            "sec-websocket-key" => upgrade = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decode(value)))
        .collect();
    Some(Request { method, path: path.to_owned(), query, accept, authorization, upgrade, body })
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex: String = [bytes.next(), bytes.next()].into_iter().flatten().map(char::from).collect();
                out.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn answer(request: &Request, state: &Mutex<State>) -> (Reply, Option<Duration>) {
    let mut state = state.lock().expect("no panic in the server");
    let query: Vec<String> = request.query.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let asked = if query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, query.join("&")) };
    state.log.push(format!("{} {asked}", request.method));
    if let Some(token) = &state.token
        && request.authorization != format!("Bearer {token}")
    {
        return (Reply::status(401, "Unauthorized", "Unauthorized"), None);
    }
    let fault = state.faults.iter_mut().find(|f| {
        let here = if f.whole { request.path == f.path } else { asked.contains(&f.path) };
        f.times > 0 && here
    });
    let fault = fault.map(|fault| {
        if fault.times != usize::MAX {
            fault.times -= 1;
        }
        fault.what.clone()
    });
    match fault {
        None => (route(request, &mut state), None),
        Some(What::Slow(wait)) => (route(request, &mut state), Some(wait)),
        Some(What::Cut) => (Reply { cut: true, ..route(request, &mut state) }, None),
        Some(What::Page(code, body)) => (Reply { code, headers: Vec::new(), body: body.into(), cut: false }, None),
        Some(What::Recorded(text)) => (Reply::recorded(&text), None),
        Some(What::Busy(seconds)) => {
            let mut reply = Reply::status(429, "TooManyRequests", "too many requests, please try again later");
            reply.headers.push(("Retry-After", seconds.to_string()));
            (reply, None)
        }
        Some(What::Refused(code, reason, message)) => (Reply::status(code, reason, message), None),
        Some(What::Status(410)) => (Reply::status(410, "Expired", "The provided continue parameter is too old"), None),
        Some(What::Status(code)) => (Reply::status(code, "Failure", "it was put in the way"), None),
    }
}

fn route(request: &Request, state: &mut State) -> Reply {
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["apis"] => discovery(request, state),
        ["version"] => Reply::json(&json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2"})),
        ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => review(request, state),
        ["api", version, rest @ ..] => resource(request, state, "", version, rest),
        ["apis", group, version] => group_resources(state, group, version),
        ["apis", group, version, rest @ ..] => resource(request, state, group, version, rest),
        _ => Reply { code: 404, headers: Vec::new(), body: b"404 page not found\n".to_vec(), cut: false },
    }
}

/// Whether one may: what is denied is denied for reviews too, by resource or by resource and subresource.
fn review(request: &Request, state: &State) -> Reply {
    let mut review: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let of = review["spec"]["resourceAttributes"].clone();
    let word = |key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let full = if word("subresource").is_empty() {
        word("resource")
    } else {
        format!("{}/{}", word("resource"), word("subresource"))
    };
    let (namespace, verb, group) = (word("namespace"), word("verb"), word("group"));
    let denied = state.denied.iter().any(|(r, n)| *r == full && n.as_ref().is_none_or(|n| *n == namespace));
    let known = ["get", "list", "patch", "create", "delete"].into_iter().find(|v| *v == verb);
    let allowed = state.roles.as_ref().is_none_or(|roles| {
        let wanted = |verb| rbac::Wanted { verb, group: &group, resource: &full, namespace: Some(&namespace) };
        known.is_some_and(|verb| rbac::allowed(roles, &wanted(verb)))
    });
    review["status"] = json!({"allowed": allowed && !denied});
    Reply { code: 201, ..Reply::json(&review) }
}

fn discovery(request: &Request, state: &State) -> Reply {
    let mut groups: Vec<&str> = state.kinds.iter().map(|k| k.group).filter(|g| !g.is_empty()).collect();
    groups.dedup();
    let versions = |group: &str| {
        let mut versions: Vec<&str> = state.kinds.iter().filter(|k| k.group == group).map(|k| k.version).collect();
        versions.dedup();
        versions
    };
    if state.old_discovery || !request.accept.contains("APIGroupDiscoveryList") {
        let groups: Vec<Value> = groups
            .iter()
            .map(|group| {
                let versions: Vec<Value> = versions(group)
                    .iter()
                    .map(|v| json!({"groupVersion": format!("{group}/{v}"), "version": v}))
                    .collect();
                json!({"name": group, "versions": versions})
            })
            .collect();
        return Reply::json(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}));
    }
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let versions: Vec<Value> = versions(group)
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = state
                        .kinds
                        .iter()
                        .filter(|k| k.group == *group && k.version == *version)
                        .map(|k| {
                            json!({"resource": k.plural, "responseKind": {"group": "", "version": "", "kind": k.kind},
                                "scope": if k.namespaced { "Namespaced" } else { "Cluster" }, "verbs": ["get", "list", "watch"]})
                        })
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": {"name": group}, "versions": versions})
        })
        .collect();
    Reply::json(
        &json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}),
    )
}

fn group_resources(state: &State, group: &str, version: &str) -> Reply {
    let resources: Vec<Value> = state
        .kinds
        .iter()
        .filter(|k| k.group == group && k.version == version)
        .map(|k| json!({"name": k.plural, "kind": k.kind, "namespaced": k.namespaced, "verbs": ["get", "list"]}))
        .collect();
    Reply::json(
        &json!({"kind": "APIResourceList", "groupVersion": format!("{group}/{version}"), "resources": resources}),
    )
}

fn resource(request: &Request, state: &mut State, group: &str, version: &str, rest: &[&str]) -> Reply {
    let (namespace, plural, name, sub) = match rest {
        // `namespaces/x` is an object, `namespaces/x/pods` a list in it.
        ["namespaces", namespace, plural, rest @ ..] => {
            (Some(*namespace), *plural, rest.first().copied(), rest.get(1).copied())
        }
        [plural, rest @ ..] => (None, *plural, rest.first().copied(), rest.get(1).copied()),
        [] => return Reply::status(404, "NotFound", "the server could not find the requested resource"),
    };
    let Some(kind) =
        state.kinds.iter().find(|k| k.group == group && k.version == version && k.plural == plural).cloned()
    else {
        if group.is_empty() || state.kinds.iter().any(|k| k.group == group) {
            return Reply::status(404, "NotFound", "the server could not find the requested resource");
        }
        return Reply { code: 404, headers: Vec::new(), body: b"404 page not found\n".to_vec(), cut: false };
    };
    let place = if kind.kind == "Namespace" { name } else { namespace };
    if let Some(roles) = &state.roles {
        let full = sub.map_or(plural.to_owned(), |sub| format!("{plural}/{sub}"));
        let wanted = rbac::Wanted { verb: rbac::verb(&request.method, name), group, resource: &full, namespace: place };
        if !rbac::allowed(roles, &wanted) {
            let message = wanted.refusal();
            state.refused.push(message.clone());
            return Reply::status(403, "Forbidden", &message);
        }
    }
    if state.denied.iter().any(|(r, n)| r == plural && (n.is_none() || n.as_deref() == place)) {
        let verb = if name.is_some() { "get" } else { "list" };
        let full = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        let scope = place.map_or("at the cluster scope".to_owned(), |n| format!("in the namespace \"{n}\""));
        let message = format!(
            "{full} is forbidden: User \"dev\" cannot {verb} resource \"{plural}\" in API group \"{group}\" {scope}"
        );
        return Reply::status(403, "Forbidden", &message);
    }
    let mine = |object: &Value| {
        object["kind"] == kind.kind
            && object["apiVersion"].as_str().map(|v| v.split_once('/').map_or("", |(g, _)| g)) == Some(group)
            && namespace.is_none_or(|n| object["metadata"]["namespace"] == n)
    };
    match (request.method.as_str(), name, sub) {
        ("GET", Some(name), None) => match state.objects.iter().find(|o| mine(o) && o["metadata"]["name"] == name) {
            Some(object) => Reply::json(object),
            None => Reply::status(404, "NotFound", &format!("{plural} \"{name}\" not found")),
        },
        ("GET", Some(pod), Some("log")) => {
            let container = request.query("container").unwrap_or_default();
            let previous = request.query("previous") == Some("true");
            let key = (namespace.unwrap_or_default().to_owned(), pod.to_owned(), container.to_owned(), previous);
            if let Some(text) = state.log_of.as_ref().and_then(|log| log(pod)) {
                return Reply { code: 200, headers: Vec::new(), body: text.into_bytes(), cut: false };
            }
            match state.logs.get(&key) {
                Some(text) => Reply { code: 200, headers: Vec::new(), body: text.clone().into_bytes(), cut: false },
                None if previous => {
                    let text = format!("previous terminated container \"{container}\" in pod \"{pod}\" not found");
                    Reply::status(400, "BadRequest", &text)
                }
                None => Reply { code: 200, headers: Vec::new(), body: Vec::new(), cut: false },
            }
        }
        ("PATCH", Some(name), Some("ephemeralcontainers")) => {
            let patch: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let added = patch["spec"]["ephemeralContainers"].as_array().cloned().unwrap_or_default();
            let dry = request.query("dryRun").is_some();
            match state.objects.iter_mut().find(|o| mine(o) && o["metadata"]["name"] == name) {
                Some(object) if dry => Reply::json(object),
                Some(object) => {
                    let list = &mut object["spec"]["ephemeralContainers"];
                    let mut all = list.as_array().cloned().unwrap_or_default();
                    all.extend(added);
                    *list = all.into();
                    Reply::json(object)
                }
                None => Reply::status(404, "NotFound", &format!("{plural} \"{name}\" not found")),
            }
        }
        ("GET", None, None) if request.query("watch") == Some("true") => {
            let lines = state.watches.pop_front().unwrap_or_default();
            let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
            Reply { code: 200, headers: Vec::new(), body: body.into_bytes(), cut: false }
        }
        ("GET", None, None) => list(request, state, &kind, &mine),
        ("GET", Some(_), Some("exec")) if state.shell.is_some() => Reply::json(&Value::Null),
        ("POST", None, None) => {
            let mut object: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            if request.query("dryRun").is_none() {
                state.made += 1;
                object["metadata"]["uid"] = format!("uid-made-{}", state.made).into();
                state.objects.push(object.clone());
            }
            Reply { code: 201, ..Reply::json(&object) }
        }
        ("DELETE", Some(name), None) => {
            match state.objects.iter().position(|o| mine(o) && o["metadata"]["name"] == name) {
                Some(at) => Reply::json(&state.objects.remove(at)),
                None => Reply::status(404, "NotFound", &format!("{plural} \"{name}\" not found")),
            }
        }
        _ => Reply::status(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
    }
}

fn list(request: &Request, state: &State, kind: &Served, mine: &dyn Fn(&Value) -> bool) -> Reply {
    let labels = request.query("labelSelector").unwrap_or_default();
    let fields = request.query("fieldSelector").unwrap_or_default();
    let mut found: Vec<&Value> =
        state.objects.iter().filter(|o| mine(o) && selected(o, labels) && at_fields(o, fields)).collect();
    let key = |o: &Value| (o["metadata"]["namespace"].to_string(), o["metadata"]["name"].to_string());
    found.sort_by_key(|o| key(o));
    let start: usize = match request.query("continue") {
        None => 0,
        Some(token) => match token.strip_prefix("from-").and_then(|n| n.parse().ok()) {
            Some(start) => start,
            None => return Reply::status(400, "BadRequest", "continue key is not valid"),
        },
    };
    let limit: usize = request.query("limit").and_then(|l| l.parse().ok()).filter(|l| *l > 0).unwrap_or(usize::MAX);
    let end = start.saturating_add(limit).min(found.len());
    let mut metadata = json!({"resourceVersion": "1000"});
    if end < found.len() {
        metadata["continue"] = format!("from-{end}").into();
        metadata["remainingItemCount"] = (found.len() - end).into();
    }
    let version =
        if kind.group.is_empty() { kind.version.to_owned() } else { format!("{}/{}", kind.group, kind.version) };
    let partial = request.accept.contains("PartialObjectMetadataList");
    let items: Vec<Value> = found[start.min(end)..end]
        .iter()
        .map(|object| {
            let mut object = (*object).clone();
            if partial {
                object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
            } else if let Some(map) = object.as_object_mut() {
                // Items of a list don't say what they are.
                map.shift_remove("kind");
                map.shift_remove("apiVersion");
            }
            object
        })
        .collect();
    let name = if partial { "PartialObjectMetadataList".to_owned() } else { format!("{}List", kind.kind) };
    let version = if partial { "meta.k8s.io/v1".to_owned() } else { version };
    Reply::json(&json!({"kind": name, "apiVersion": version, "metadata": metadata, "items": items}))
}

fn at_fields(object: &Value, selector: &str) -> bool {
    selector.split(',').filter(|t| !t.is_empty()).all(|term| {
        let Some((path, wanted)) = term.split_once('=') else { return false };
        let pointer = format!("/{}", path.replace('.', "/"));
        object.pointer(&pointer).and_then(Value::as_str) == Some(wanted)
    })
}

fn selected(object: &Value, selector: &str) -> bool {
    let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
    let mut terms = Vec::new();
    let mut depth = 0;
    let mut term = String::new();
    for character in selector.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(std::mem::take(&mut term));
                continue;
            }
            _ => {}
        }
        term.push(character);
    }
    terms.push(term);
    terms.iter().filter(|t| !t.is_empty()).all(|term| {
        let listed = |text: &str| -> Vec<String> {
            text.trim().trim_start_matches('(').trim_end_matches(')').split(',').map(|v| v.trim().to_owned()).collect()
        };
        if let Some((key, values)) = term.split_once(" notin ") {
            label(key).is_none_or(|v| !listed(values).iter().any(|l| l == v))
        } else if let Some((key, values)) = term.split_once(" in ") {
            label(key).is_some_and(|v| listed(values).iter().any(|l| l == v))
        } else if let Some((key, value)) = term.split_once('=') {
            label(key) == Some(value)
        } else if let Some(key) = term.strip_prefix('!') {
            label(key).is_none()
        } else {
            label(term).is_some()
        }
    })
}
