//! What the tools of an image tell, run by exec or in a container of their own.

use std::process::Command;
use std::sync::Arc;

use predicates::str::contains;
use serde_json::{Value, json};

use crate::api_server::{ApiServer, Called, Shell};
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
