//! The program on a terminal of the test's own, 80 columns wide, where Ctrl-C is a key.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Runs it and types Ctrl-C once `ready` says so of what was written so far. Standard output is shown too, or thrown away.
/// How it ended, and all that was seen; none where no session with a terminal can be started.
pub fn interrupted(
    args: &[&str],
    config: &Path,
    output: bool,
    mut ready: impl FnMut(&str) -> bool,
) -> Option<(ExitStatus, String)> {
    let size = nix::pty::Winsize { ws_row: 50, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(Some(&size), None).expect("a terminal");
    let end = || Stdio::from(pty.slave.try_clone().expect("a second handle"));
    let child = Command::new("setsid")
        .args(["--ctty", env!("CARGO_BIN_EXE_netcheck")])
        .args(args)
        .env("KUBECONFIG", config)
        .env("NO_COLOR", "1")
        .stdin(end())
        .stdout(if output { end() } else { Stdio::null() })
        .stderr(end())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: no setsid");
        return None;
    };
    drop(pty.slave);
    let mut terminal = File::from(pty.master);
    let (mut seen, mut typed) = (Vec::new(), false);
    let mut buffer = [0; 4096];
    // Reading fails once nobody has the other end any more.
    while let Ok(length) = terminal.read(&mut buffer) {
        if length == 0 {
            break;
        }
        seen.extend_from_slice(&buffer[..length]);
        if !typed && ready(&String::from_utf8_lossy(&seen)) {
            terminal.write_all(b"\x03").expect("it is typed");
            typed = true;
        }
    }
    let status = child.wait().expect("it ends");
    let text = String::from_utf8_lossy(&seen).into_owned();
    assert!(typed, "it ended before: {text:?}");
    Some((status, text))
}
