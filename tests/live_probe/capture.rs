//! A connection that failed is followed: rules at each place on the way drop its packets, and the place is named.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::{Value, json};

use crate::api_server::{ApiServer, Called, What};
use crate::netns::servers;
use crate::world::*;

/// The end of the network that a pod has.
fn end(pod: &str) -> &'static str {
    if pod == "frontend" { "c" } else { "s" }
}

/// Runs what is asked for at the pod's end.
fn shell(world: &Owned) -> impl Fn(&Called<'_>) -> Command + Send + Sync + use<> + 'static {
    let world = world.0.clone();
    move |called| {
        let mut command = world.command(end(called.pod), &called.words[0]);
        command.args(&called.words[1..]);
        command
    }
}

/// The first connection that was followed.
fn captured(check: &Value) -> &Value {
    assert_eq!(check["live"]["capture"].as_array().map(Vec::len), Some(1), "{check:#}");
    &check["live"]["capture"][0]
}

fn says(capture: &Value, words: &str) -> bool {
    capture["meanings"].as_array().is_some_and(|all| all.iter().any(|m| m.as_str().is_some_and(|m| m.contains(words))))
}

const FOLLOW: [&str; 5] = ["frontend", "pod/web:8080", "--live", "--yes", "--capture"];

/// Rules: at which end, in which chain, which.
type Rules<'r> = [(&'r str, &'r str, &'r str)];

const PLACES: [(&Rules<'_>, &str, &str, &str); 7] = [
    (&[("c", "output", "ip daddr 10.77.2.2 tcp dport 8080 drop")], "timeout", "client", "never left shop/frontend"),
    (&[("r", "forward", "ip daddr 10.77.2.2 tcp dport 8080 drop")], "timeout", "way", "never arrived at shop/web"),
    (
        &[("r", "forward", "ip daddr 10.77.2.2 tcp dport 8080 reject with tcp reset")],
        "refused",
        "way",
        "turned them back, not the server",
    ),
    (&[("s", "input", "tcp dport 8080 drop")], "timeout", "server", "a rule inside the pod's own network"),
    (&[("s", "output", "tcp sport 8080 drop")], "timeout", "server", "no answer left it"),
    (
        &[("r", "forward", "ip saddr 10.77.2.2 tcp sport 8080 drop")],
        "timeout",
        "way-back",
        "never arrived at shop/frontend",
    ),
    (&[("c", "input", "tcp sport 8080 drop")], "timeout", "client-back", "drops them"),
];

#[test]
fn each_place_where_packets_die_is_named_by_exec() {
    std::thread::scope(|threads| {
        for place in &PLACES {
            threads.spawn(move || at_a_place(place, "exec"));
        }
    });
}

#[test]
fn and_by_the_agent_in_containers_of_its_own() {
    std::thread::scope(|threads| {
        for place in &PLACES {
            threads.spawn(move || at_a_place(place, "ephemeral"));
        }
    });
}

fn at_a_place((rules, class, place, words): &(&Rules<'_>, &str, &str, &str), via: &str) {
    let Some(world) = world() else { return };
    for (at, chain, rule) in *rules {
        world.rules(at, chain, rule);
    }
    let server = match via {
        "exec" => ApiServer::start(cluster()).with_shell(shell(&world)),
        _ => ApiServer::start(cluster()).with_kubelet(kubelet_of(&world, end)),
    };
    let (check, code) = report(&server, &[&FOLLOW[..], &["--via", via]].concat());
    assert_eq!(check["live"]["probes"][0]["class"], *class, "{rules:?} {check:#}");
    let capture = captured(&check);
    assert_eq!(capture["place"], *place, "{rules:?} {via} {capture:#}");
    assert!(says(capture, words), "{rules:?} {via} {capture:#}");
    assert!(capture["sent"].as_u64().is_some_and(|sent| sent >= 20), "{capture:#}");
    assert_eq!(code, Some(3));
    let left = capture["left"].as_array().map_or(0, Vec::len);
    assert_eq!(left, if via == "exec" { 0 } else { 2 }, "{capture:#}");
}

#[test]
fn nothing_listens_or_the_queue_is_full() {
    let Some(world) = world() else { return };
    let server = ApiServer::start(cluster()).with_shell(shell(&world));
    let (check, _) = report(&server, &["frontend", "pod/web:81", "--live", "--yes", "--via=exec", "--capture"]);
    let capture = captured(&check);
    assert_eq!(capture["place"], "program", "{capture:#}");
    assert!(says(capture, "refuses them itself"), "{capture:#}");
    // A program that accepts nothing: the kernel holds as many as its queue has room for, and then drops.
    let _listener = world.inside("s", || servers::full("10.77.2.2:82"));
    let (check, _) = report(&server, &["frontend", "pod/web:82", "--live", "--yes", "--via=exec", "--capture"]);
    let capture = captured(&check);
    assert_eq!(capture["place"], "program", "{check:#}");
    assert!(says(capture, "queue of the listening program is full"), "{capture:#}");
}

#[test]
fn datagrams_that_nobody_answers_are_told_apart() {
    let Some(world) = world() else { return };
    servers::udp(&world, "10.77.2.2:9001", |_| None);
    world.forward_rules("ip daddr 10.77.2.2 udp dport 9002 drop");
    let server = ApiServer::start(cluster()).with_kubelet(kubelet_of(&world, end));
    for (port, place, words) in [(9001, "program", "its program read them"), (9002, "way", "never arrived at shop/web")]
    {
        let target = format!("pod/web:{port}/udp");
        let (check, _) = report(&server, &["frontend", &target, "--live", "--yes", "--via=ephemeral", "--capture"]);
        assert_eq!(check["live"]["probes"][0]["class"], "open-or-filtered", "{check:#}");
        let capture = captured(&check);
        assert_eq!(capture["place"], place, "{capture:#}");
        assert!(says(capture, words), "{capture:#}");
    }
}

#[test]
fn what_does_not_fail_is_not_followed() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let server = ApiServer::start(cluster()).with_shell(shell(&world));
    let (check, code) = report(&server, &[&FOLLOW[..], &["--via=exec"]].concat());
    assert_eq!((code, &check["live"]["capture"]), (Some(0), &Value::Null), "{check:#}");
    assert!(check["live"]["notes"][0].as_str().is_some_and(|n| n.contains("nothing to follow")), "{check:#}");
    // Without being asked, nothing is.
    let Some(world) = world_dropping() else { return };
    let server = ApiServer::start(cluster()).with_shell(shell(&world));
    let (check, _) = report(&server, &["frontend", "pod/web:8080", "--live", "--yes", "--via=exec"]);
    assert_eq!(check["live"]["capture"], Value::Null);
}

fn world_dropping() -> Option<Owned> {
    let world = world()?;
    world.forward_rules("ip daddr 10.77.2.2 tcp dport 8080 drop");
    Some(world)
}

#[test]
fn a_server_that_may_not_be_looked_at_leaves_half_an_answer() {
    let Some(world) = world_dropping() else { return };
    let mut objects = cluster();
    objects[2]["status"]["containerStatuses"] = json!([]);
    let server = ApiServer::start(objects).with_shell(shell(&world)).deny("pods/ephemeralcontainers", None);
    let (check, _) = report(&server, &FOLLOW);
    let capture = captured(&check);
    assert_eq!(capture["place"], "unknown", "{capture:#}");
    assert!(says(capture, "they left shop/frontend"), "{capture:#}");
    assert!(capture["notes"][0].as_str().is_some_and(|n| n.contains("no container of `shop/web` runs")), "{capture:#}");
}

#[test]
fn it_is_agreed_to_by_itself_and_a_dry_run_changes_nothing() {
    let Some(world) = world_dropping() else { return };
    let server = ApiServer::start(cluster()).with_shell(shell(&world)).with_kubelet(kubelet_of(&world, end));
    server.netcheck(&[&FOLLOW[..], &["--via=exec"]].concat()).assert().code(3).stderr(
        contains("netcheck will follow a connection that failed, by")
            .and(contains("40 packets to tcp:10.77.2.2:8080 from shop/frontend, 20 ms apart, by exec"))
            .and(contains("the counters of the network of shop/web are read by exec of `cat")),
    );
    assert_eq!(patches(&server), (0, 0));
    server.netcheck(&["frontend", "pod/web:8080", "--capture"]).assert().code(2).stderr(contains("--live"));
    server
        .netcheck(&["frontend", "pod/web:8080", "--live", "--capture=node", "--capture-image=a b"])
        .assert()
        .code(2)
        .stderr(contains("is not an image"));
    // The flag has no value of its own: CLIENT may follow it.
    server
        .netcheck(&["--live", "--yes", "--via=exec", "--capture", "frontend", "pod/web:8080"])
        .assert()
        .code(3)
        .stdout(contains("capture: ").and(contains("never arrived at shop/web")));
}

/// Runs `tcpdump` of a capture on the node, which the router stands for.
fn node(world: &Owned) -> (impl Fn(&Value) -> Option<Value> + Send + Sync + use<> + 'static, Arc<Mutex<String>>) {
    let log = Arc::new(Mutex::new(String::new()));
    let (network, written) = (world.0.clone(), log.clone());
    let run = kubelet_of(world, end);
    let kubelet = move |container: &Value| {
        if container["command"][0] != "tcpdump" {
            return run(container);
        }
        let words: Vec<&str> = container["command"].as_array()?.iter().skip(1).filter_map(Value::as_str).collect();
        let mut child = network
            .command("r", "tcpdump")
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .expect("tcpdump");
        let pipes: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("a pipe")), Box::new(child.stderr.take().expect("a pipe"))];
        for pipe in pipes {
            let written = written.clone();
            std::thread::spawn(move || {
                use std::io::BufRead;
                for line in std::io::BufReader::new(pipe).lines().map_while(Result::ok) {
                    written.lock().expect("the log").push_str(&(line + "\n"));
                }
            });
        }
        // As long as the pod is there: the test's server does not end what it runs.
        std::thread::sleep(std::time::Duration::from_secs(8));
        let _ = child.kill();
        let _ = child.wait();
        Some(json!({"terminated": {"exitCode": 0, "reason": "Completed"}}))
    };
    (kubelet, log)
}

#[test]
fn a_capture_on_the_node_sees_where_they_die_and_goes_away() {
    if Command::new("tcpdump").arg("--version").output().is_err() {
        eprintln!("skipped: no tcpdump here");
        return;
    }
    let Some(world) = world_dropping() else { return };
    let (kubelet, log) = node(&world);
    let server = ApiServer::start(cluster())
        .with_shell(shell(&world))
        .with_kubelet(kubelet)
        .with_log_of(move |_| Some(log.lock().expect("the log").clone()));
    let args = ["frontend", "pod/web:8080", "--live", "--yes", "--via=exec", "--capture=node"];
    let (check, _) = report(&server, &args);
    let capture = captured(&check);
    assert_eq!(capture["place"], "way", "{capture:#}");
    assert!(says(capture, "come in over left and none go out: dropped on that node"), "{capture:#}");
    let command = capture["commands"][0].as_str().expect("a command");
    assert_eq!(
        command,
        "kubectl debug node/node-1 -n shop -it --profile=netadmin --image=nicolaka/netshoot:v0.13 -- \
         tcpdump -nn -l -i any -c 400 'host 10.77.2.2 and host 10.77.1.2 and tcp port 8080'"
    );
    assert_eq!(made(&server), Vec::<String>::new());
    let asked = server.asked();
    assert!(
        asked.iter().any(|a| a == "POST /api/v1/namespaces/shop/pods?fieldManager=netcheck&dryRun=All"),
        "{asked:?}"
    );
    assert!(asked.iter().any(|a| a.starts_with("DELETE /api/v1/namespaces/shop/pods/netcheck-")), "{asked:?}");
}

#[test]
fn the_roles_that_are_printed_are_enough_to_follow() {
    if Command::new("tcpdump").arg("--version").output().is_err() {
        eprintln!("skipped: no tcpdump here");
        return;
    }
    let printed = crate::api_server::program().args(["rbac", "probe", "-n", "shop"]).output().expect("to run");
    let all = String::from_utf8(printed.stdout).expect("text");
    // Each flag's roles say so, and what they are without is what a probe takes.
    let (further, basic): (Vec<&str>, Vec<&str>) = all.split("---\n").partition(|role| role.starts_with("# only for "));
    assert!(further.len() == 3 && further.iter().all(|role| role.contains("only for --capture")), "{all}");
    let basic = basic.join("---\n");
    let Some(world) = world_dropping() else { return };
    let (kubelet, log) = node(&world);
    let kubelet: crate::api_server::Kubelet = Arc::new(kubelet);
    let serve = |roles: &str| {
        let (kubelet, log) = (kubelet.clone(), log.clone());
        let run = shell(&world);
        let hubble = move |called: &Called<'_>| {
            if called.pod != "cilium-x7" {
                return run(called);
            }
            let mut command = Command::new("printf");
            command.arg(format!("{DROPPED}\n"));
            command
        };
        ApiServer::start(with_cilium())
            .with_shell(hubble)
            .with_kubelet(move |container| kubelet(container))
            .with_log_of(move |_| Some(log.lock().expect("the log").clone()))
            .with_roles(roles)
    };
    let args = ["frontend", "pod/web:8080", "--live", "--yes", "--capture=node", "--cni=cilium"];
    let server = serve(&all);
    let (check, _) = report(&server, &args);
    let capture = captured(&check);
    assert_eq!(capture["place"], "way", "{capture:#}");
    assert!(says(capture, "dropped on that node") && says(capture, "POLICY_DENIED"), "{capture:#}");
    // A Role for flannel's namespace can't be applied where there is no flannel: its right isn't printed.
    let refused: Vec<String> = server.refused().into_iter().filter(|r| !r.contains("\"kube-flannel\"")).collect();
    assert_eq!(refused, Vec::<String>::new());
    assert_eq!(made(&server), Vec::<String>::new());

    // Without the node's the rest is told, with the role that lacks.
    let server = serve(&basic);
    let run = server.netcheck(&args).assert().code(3);
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(said.contains("you may not create pods, nor delete pods, nor get pods/log in namespace `shop`"), "{said}");
    assert_eq!(made(&server), Vec::<String>::new());
}

#[test]
fn an_interrupt_takes_the_capture_off_the_node() {
    // While the pod does not run yet; and while it captures.
    for begun in [false, true] {
        let Some(world) = world_dropping() else { return };
        let log = Arc::new(Mutex::new(String::new()));
        let written = log.clone();
        let server = ApiServer::start(cluster())
            .with_shell(shell(&world))
            .with_kubelet(move |container| {
                assert_eq!(container["command"][0], "tcpdump");
                if begun {
                    written.lock().expect("the log").push_str("tcpdump: listening on any, link-type LINUX_SLL2\n");
                }
                std::thread::sleep(std::time::Duration::from_secs(60));
                None
            })
            .with_log_of(move |_| Some(log.lock().expect("the log").clone()));
        let child = Command::new(env!("CARGO_BIN_EXE_netcheck"))
            .args(["frontend", "pod/web:8080", "--live", "--yes", "--via=exec", "--capture=node"])
            .env("KUBECONFIG", server.kubeconfig())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .expect("to run");
        let before = std::time::Instant::now();
        let there = || {
            let counts = |a: &String| a.contains("/exec?") && a.contains("netstat");
            !made(&server).is_empty() && (!begun || server.asked().iter().any(counts))
        };
        while !there() {
            let waited = before.elapsed() < std::time::Duration::from_secs(30);
            assert!(waited, "{begun}: it does not get on: {:?}", server.asked());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
        let output = child.wait_with_output().expect("to end");
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(made(&server), Vec::<String>::new(), "{begun}: {said}");
        assert!(said.contains("was stopped"), "{begun}: {said}");
        // What the probe found out before is told.
        assert_eq!(output.status.code(), Some(3), "{begun}: {said}");
        let removed = server.asked().iter().filter(|a| a.starts_with("DELETE ")).count();
        assert_eq!(removed, 1, "{begun}: {:?}", server.asked());
    }
}

#[test]
fn a_capture_that_is_refused_says_the_command() {
    let Some(world) = world_dropping() else { return };
    let refusal = "pods \"netcheck-1\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)";
    let server = ApiServer::start(cluster()).with_shell(shell(&world)).fault(
        "/shop/pods?fieldManager",
        What::Refused(403, "Forbidden", refusal),
        usize::MAX,
    );
    server
        .netcheck(&["frontend", "pod/web:8080", "--live", "--yes", "--via=exec", "--capture=node"])
        .assert()
        .code(3)
        .stderr(contains("violates PodSecurity").and(contains("kubectl debug node/node-1 -n kube-system")));
    assert_eq!(made(&server), Vec::<String>::new());
}

/// What `hubble observe -o jsonpb` writes of a flow that is dropped by policy.
const DROPPED: &str = r#"{"flow":{"time":"2026-09-20T14:56:45.779111730Z","verdict":"DROPPED","drop_reason":133,"IP":{"source":"10.77.1.2","destination":"10.77.2.2","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":38160,"destination_port":8080,"flags":{"SYN":true}}},"Type":"L3_L4","node_name":"node-1","traffic_direction":"INGRESS","drop_reason_desc":"POLICY_DENIED","Summary":"TCP Flags: SYN"},"node_name":"node-1","time":"2026-09-20T14:56:45.779111730Z"}"#;

/// The cluster with Cilium's agent on its node.
fn with_cilium() -> Vec<Value> {
    let mut objects = cluster();
    objects.push(namespace("kube-system"));
    let mut agent = pod("cilium-x7", "10.77.9.9", &[]);
    agent["metadata"] =
        json!({"name": "cilium-x7", "namespace": "kube-system", "uid": "u", "labels": {"k8s-app": "cilium"}});
    objects.push(agent);
    objects
}

#[test]
fn the_flow_log_of_cilium_is_asked() {
    let Some(world) = world_dropping() else { return };
    let run = shell(&world);
    let hubble = move |called: &Called<'_>| {
        if called.pod != "cilium-x7" {
            return run(called);
        }
        assert_eq!((called.container, called.words[0].as_str()), ("cilium-agent", "hubble"));
        let mut command = Command::new("printf");
        command.arg(format!("{DROPPED}\n{DROPPED}\n"));
        command
    };
    let server = ApiServer::start(with_cilium()).with_shell(hubble);
    let args = [&FOLLOW[..], &["--via=exec", "--cni=cilium"]].concat();
    let (check, _) = report(&server, &args);
    let capture = captured(&check);
    assert!(says(capture, "has 2 of them DROPPED at the server's ingress, POLICY_DENIED"), "{capture:#}");
    assert_eq!(
        capture["commands"][0],
        "kubectl exec -n kube-system cilium-x7 -c cilium-agent -- hubble observe --since 1m --last 100 \
         --from-ip 10.77.1.2 --to-ip 10.77.2.2 --protocol tcp --to-port 8080 -o jsonpb"
    );
    let server = server.deny("pods", Some("kube-system"));
    let (check, _) = report(&server, &args);
    let notes = captured(&check)["notes"].to_string();
    assert!(notes.contains("the flow log of cilium"), "{notes}");
}
