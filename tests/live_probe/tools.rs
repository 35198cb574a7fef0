//! What the tools of an image tell, run by exec or in a container of their own.

use std::process::Command;
use std::sync::Arc;

use predicates::str::contains;
use serde_json::{Value, json};

use crate::api_server::{ApiServer, Called, Shell};
use crate::netns::servers;
use crate::world::*;

/// A directory with a shell and these programs alone.
fn programs(names: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["sh", "sleep", "grep", "kill"].iter().chain(names) {
        let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().expect("sh");
        let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        if path.starts_with('/') {
            std::os::unix::fs::symlink(path, directory.path().join(name)).expect("a link");
        }
    }
    directory
}

#[test]
fn the_tools_of_an_image_tell_what_they_can() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    std::thread::scope(|threads| {
        for tool in ["python3", "bash", "nc", "curl", "wget", "busybox"] {
            let world = &world;
            threads.spawn(move || what_a_tool_tells(tool, world));
        }
    });
}

/// The same with busybox for each of them.
fn busybox() -> tempfile::TempDir {
    let all = programs(&["busybox"]);
    let directory = tempfile::tempdir().expect("a directory");
    if let Ok(real) = all.path().join("busybox").canonicalize() {
        for name in ["busybox", "sh", "sleep", "grep", "kill", "nc", "nslookup", "date"] {
            std::os::unix::fs::symlink(&real, directory.path().join(name)).expect("a link");
        }
    }
    directory
}

fn what_a_tool_tells(tool: &str, world: &Owned) {
    let directory = if tool == "busybox" { busybox() } else { programs(&[tool]) };
    if !directory.path().join(tool).exists() {
        eprintln!("skipped: no {tool} here");
        return;
    }
    let path = if tool == "python3" {
        // What is on the path may be a script that looks for python itself.
        format!("{}:{}", directory.path().display(), std::env::var("PATH").expect("PATH"))
    } else {
        directory.path().display().to_string()
    };
    let network = world.0.clone();
    let shell = move |called: &Called<'_>| {
        let mut command = network.command("c", "env");
        command.args(["-i", &format!("PATH={path}")]).args(called.words);
        command
    };
    let server = ApiServer::start(cluster()).with_shell(shell);
    let via = ["--live", "--via=exec", "--yes", "--no-dns"];
    let ask = |target: &str| report(&server, &[&["frontend", target], &via[..]].concat());
    let (check, code) = ask("web:80");
    let live = &check["live"];
    assert_eq!(
        classes(live),
        rows(&[("service", "open", "agrees"), ("endpoint", "open", "agrees"), ("must-fail", "timeout", "agrees")]),
        "{tool}: {live:#}"
    );
    assert_eq!(code, Some(0), "{tool}");
    let named = if tool == "busybox" { "nc" } else { tool.trim_end_matches('3') };
    assert!(live["via"].as_str().is_some_and(|v| v.contains(named)), "{tool}: {live:#}");
    assert_eq!(live["left"], Value::Null);
    let (check, code) = ask("pod/web:8081");
    assert_eq!(check["live"]["probes"][0]["class"], "refused", "{tool}: {check:#}");
    assert_eq!(code, Some(3), "{tool}");
    assert_eq!(patches(&server), (0, 0));
}

#[test]
fn an_image_without_a_shell_or_tools_falls_back() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let empty = programs(&[]);
    let path = empty.path().display().to_string();
    let bare = move |called: &Called<'_>| {
        let mut command = Command::new(&called.words[0]);
        command.env("PATH", &path).env_remove("HOME");
        command
    };
    let missing = |_: &Called<'_>| Command::new("/nonexistent/sh");
    let shells: [(&str, Shell); 2] = [("no shell", Arc::new(missing)), ("no tool", Arc::new(bare))];
    for (what, shell) in shells {
        let server = ApiServer::start(cluster()).with_shell(move |called| shell(called)).with_kubelet(kubelet(&world));
        server
            .netcheck(&["frontend", "web:80", "--live", "--via=exec", "--yes"])
            .assert()
            .code(2)
            .stderr(contains(if what == "no shell" { "has no shell" } else { "has no tool" }));
        let (check, code) = report(&server, &["frontend", "web:80", "--live", "--yes"]);
        assert_eq!(code, Some(0), "{what}: {check:#}");
        assert!(check["live"]["via"].as_str().is_some_and(|v| v.contains("ephemeral")), "{what}: {check:#}");
    }
}

#[test]
fn a_container_of_the_clients_own_image_runs_its_tools() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let server = ApiServer::start(cluster()).with_kubelet(kubelet(&world));
    let (check, code) = report(
        &server,
        &["frontend", "web:80", "--no-dns", "--live", "--via=ephemeral", "--yes", "--probe-image=@target"],
    );
    assert_eq!(code, Some(0), "{check:#}");
    let pod = server.objects("Pod").into_iter().find(|p| p["metadata"]["name"] == "frontend").expect("the pod");
    let added = &pod["spec"]["ephemeralContainers"][0];
    assert_eq!((&added["image"], &added["command"][0]), (&json!("registry.example/app:7"), &json!("sh")));
}

/// A stand-in for `agnhost connect`, which says what the help of the real one (Kubernetes' test/images/agnhost) promises:
/// nothing and 0 when connected, else 1 with TIMEOUT, REFUSED, `DNS: …` or `OTHER: …`, after a colon for datagrams.
const AGNHOST: &str = r#"
import socket, sys
arguments = sys.argv[1:]
assert arguments.pop(0) == "connect", sys.argv
options = dict(a[2:].split("=", 1) for a in arguments if a.startswith("--"))
(place,) = [a for a in arguments if not a.startswith("--")]
host, port = place.rsplit(":", 1)
protocol = options.get("protocol", "tcp")
def end(text):
    sys.stderr.write(text + "\n")
    sys.exit(1)
kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}[protocol]
try:
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=kind if protocol != "sctp" else 0)[0]
except socket.gaierror as error:
    end("DNS: lookup %s: no such host" % host)
try:
    plug = socket.socket(found[0], kind, 132 if protocol == "sctp" else 0)
    plug.settimeout(float(options["timeout"].rstrip("s")))
    plug.connect(found[4])
    if protocol == "udp":
        plug.send(b"hostname\n")
        plug.recv(1024)
except socket.timeout:
    end("TIMEOUT" if protocol != "udp" else "TIMEOUT: read udp: i/o timeout")
except ConnectionRefusedError:
    end("REFUSED" if protocol == "tcp" else "REFUSED: connection refused" if protocol == "udp" else "OTHER: connection refused")
except OSError as error:
    end("OTHER: dial %s %s: %s" % (protocol, place, error.strerror.lower()))
"#;

/// An image with a shell and the stand-in alone.
fn agnhost() -> Option<tempfile::TempDir> {
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let python = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    let directory = programs(&[]);
    let path = directory.path().join("agnhost");
    std::fs::write(&path, format!("#!{python}\n{AGNHOST}")).expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    python.starts_with('/').then_some(directory)
}

#[test]
fn images_of_tools_that_others_publish() {
    let Some(world) = world() else { return };
    world.ip("s", "addr add 10.77.2.4/24 dev eth0");
    world.ip("s", "addr add 10.77.2.5/24 dev eth0");
    world.forward_rules(
        "ip daddr 10.77.2.3 drop\nip daddr 10.77.2.4 reject with icmp type host-unreachable\n\
         ip daddr 10.77.2.5 reject with icmp type admin-prohibited",
    );
    servers::udp(&world, "10.77.2.2:9001", |_| Some(b"here".to_vec()));
    servers::udp(&world, "10.77.2.2:9002", |_| None);
    let Some(agnhost) = agnhost() else {
        eprintln!("skipped: no python to stand in for agnhost");
        return;
    };
    let busybox = busybox();
    let tcp = [
        ("pod/web:8080", "open", 0),
        ("pod/web:8081", "refused", 3),
        ("pod/db:8080", "timeout", 1),
        ("10.77.2.4:8080", "unreachable", 3),
    ];
    let udp = [
        ("10.77.2.2:9001/udp", "open", 0),
        ("10.77.2.2:9002/udp", "open-or-filtered", 3),
        ("10.77.2.2:9003/udp", "refused-icmp", 3),
    ];
    for (image, directory, tool, more) in [
        ("registry.k8s.io/e2e-test-images/agnhost:2.47", &agnhost, "agnhost", &udp[..]),
        ("docker.io/library/busybox:1.36", &busybox, "nc", &[]),
    ] {
        if !directory.path().join(if tool == "nc" { "busybox" } else { tool }).exists() {
            eprintln!("skipped: no {tool} here");
            continue;
        }
        let server = ApiServer::start(cluster()).with_kubelet(kubelet_with(&world, |_| "c", Some(directory.path())));
        for (target, class, code) in tcp.iter().chain(more) {
            let args = ["frontend", target, "--live", "--yes", "--via=ephemeral", "--no-dns", "--probe-image", image];
            let (check, got) = report(&server, &args);
            assert_eq!(check["live"]["probes"][0]["class"], *class, "{tool} {target}: {check:#}");
            assert_eq!(got, Some(*code), "{tool} {target}: {check:#}");
        }
        let pods = server.objects("Pod");
        let pod = pods.iter().find(|p| p["metadata"]["name"] == "frontend").expect("the pod");
        let added = &pod["spec"]["ephemeralContainers"][0];
        assert_eq!((&added["image"], &added["command"][0]), (&json!(image), &json!("sh")), "{tool}");
        assert_eq!(added["securityContext"]["runAsUser"], 65532, "{tool}");
    }
}

#[test]
fn what_a_tool_can_not_try_is_said() {
    let Some(world) = world() else { return };
    let directory = programs(&["nc"]);
    let path = directory.path().display().to_string();
    let network = world.0.clone();
    let shell = move |called: &Called<'_>| {
        let mut command = network.command("c", "env");
        command.args(["-i", &format!("PATH={path}")]).args(called.words);
        command
    };
    let server = ApiServer::start(cluster()).with_shell(shell).with_kubelet(kubelet(&world));
    server
        .netcheck(&["frontend", "10.77.2.2:53/udp", "--live", "--via=exec", "--yes"])
        .assert()
        .code(3)
        .stdout(contains("python and agnhost alone try UDP and SCTP"));
    // Of several ways the next one is taken.
    let (check, _) = report(&server, &["frontend", "10.77.2.2:53/udp", "--live", "--yes"]);
    assert_eq!(check["live"]["probes"][0]["class"], "open", "{check:#}");
    assert!(check["live"]["via"].as_str().is_some_and(|v| v.contains("ephemeral")), "{check:#}");
}
