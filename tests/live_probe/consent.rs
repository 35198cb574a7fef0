//! The question on a terminal: what is read there before anything is done, and what comes of each answer.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};

use crate::api_server::{ApiServer, Called};
use crate::world::*;

/// What a terminal of 80 columns shows, and the exit code. `answers` are typed one by one, each after a question.
fn on_a_terminal(server: &ApiServer, args: &[&str], answers: &[&str]) -> (String, Option<i32>) {
    let size = Winsize { ws_row: 40, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).expect("a terminal");
    let end = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_netcheck"));
    command.args(args).env("KUBECONFIG", server.kubeconfig()).env("TERM", "xterm").env("HOME", "/nonexistent");
    let mut child = command.env("NO_COLOR", "1").stdin(end()).stdout(end()).stderr(end()).spawn().expect("to run");
    drop((command, pty.slave));
    let mut terminal = File::from(pty.master);
    let mut typed = terminal.try_clone().expect("a descriptor");
    let (mut shown, mut answers) = (Vec::new(), answers.iter());
    let mut asked = 0;
    let mut buffer = [0; 4096];
    // A terminal whose other end closed answers with an error, which is the end.
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
        let questions = String::from_utf8_lossy(&shown).matches("go on? [y/N] ").count();
        if questions > asked {
            asked = questions;
            match answers.next() {
                Some(answer) => typed.write_all(format!("{answer}\n").as_bytes()).expect("to type"),
                None => {
                    let _ = child.kill();
                }
            }
        }
    }
    (String::from_utf8_lossy(&shown).replace('\r', ""), child.wait().expect("to end").code())
}

const EPHEMERAL: [&str; 4] = ["frontend", "web:80", "--live", "--via=ephemeral"];

#[test]
fn who_refuses_changes_nothing() {
    for answer in ["n", "", "no", "nyes", "y e s"] {
        for via in ["--via=ephemeral", "--via=copy"] {
            let server = ApiServer::start(cluster()).with_kubelet(says(serde_json::json!({"running": {}})));
            let args = ["frontend", "web:80", "--live", via];
            let (shown, code) = on_a_terminal(&server, &args, &[answer]);
            assert_eq!(code, Some(2), "{answer:?}: {shown}");
            assert!(shown.contains("stopped: nothing was added"), "{answer:?}: {shown}");
            assert_eq!(patches(&server).1, 0, "{answer:?}");
            assert_eq!(made(&server), Vec::<String>::new(), "{answer:?}");
        }
    }
}

#[test]
fn who_agrees_has_read_what_is_added() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let server = ApiServer::start(cluster()).with_kubelet(kubelet(&world));
    let (shown, code) = on_a_terminal(&server, &EPHEMERAL, &["yes"]);
    assert_eq!(code, Some(0), "{shown}");
    let question = shown.find("go on?").expect("a question");
    let whole = shown[..question].split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(whole.contains("an ephemeral container `netcheck-"), "{shown}");
    assert!(whole.contains("it stays in the pod's record until the pod is deleted"), "{shown}");
    assert!(shown[question..].contains("confirmed: reachable by packets too"), "{shown}");
    assert_eq!(patches(&server), (1, 1));
    // Sentences are read on 80 columns; tables are as wide as the names in them.
    eprintln!("{shown}");
    let said = shown.find("confirmed:").expect("the answer");
    for line in shown[..question].lines().chain(shown[said..].lines()) {
        // A line about progress is taken away.
        let line = line.rsplit("\u{1b}[K").next().unwrap_or_default();
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn following_a_connection_is_a_question_of_its_own() {
    let Some(world) = world() else { return };
    world.forward_rules("ip daddr 10.77.2.2 tcp dport 8080 drop");
    let network = world.0.clone();
    let shell = move |called: &Called<'_>| {
        let mut command = network.command(if called.pod == "frontend" { "c" } else { "s" }, &called.words[0]);
        command.args(&called.words[1..]);
        command
    };
    let server = ApiServer::start(cluster()).with_shell(shell);
    let args = ["frontend", "pod/web:8080", "--live", "--via=exec", "--capture"];
    let (shown, code) = on_a_terminal(&server, &args, &["y", "n"]);
    assert_eq!(code, Some(3), "{shown}");
    let whole = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(whole.contains("not followed: you did not agree"), "{shown}");
    // What the packets said before is told all the same.
    assert!(shown.contains("disagreement"), "{shown}");
    let execs = server.asked().iter().filter(|a| a.contains("/exec?")).count();
    assert_eq!(execs, 1, "{:?}", server.asked());
    let (shown, code) = on_a_terminal(&server, &args, &["y", "y"]);
    eprintln!("{shown}");
    let whole = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(code == Some(3) && whole.contains("never arrived at shop/web"), "{shown}");
}
