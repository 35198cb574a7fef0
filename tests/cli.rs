//! The program as its users run it: output in a pipe and on a terminal, errors, exit codes, pipes that close.

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

fn netcheck(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netcheck"));
    command
        .args(args)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("NETCHECK_CNI")
        .stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    netcheck(args).output().unwrap()
}

/// Exit code, standard output and standard error as one text.
fn shown(args: &[&str]) -> String {
    let output = run(args);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "$ netcheck {}\n{}--- stderr\n{}--- exit {}\n",
        args.join(" "),
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap()
    )
}

fn code(args: &[&str]) -> i32 {
    run(args).status.code().unwrap()
}

const SHOP: [&str; 2] = ["-f", "examples/shop"];

fn shop(args: &[&str]) -> Vec<&'static str> {
    SHOP.iter().copied().chain(args.iter().map(|a| &*a.to_string().leak())).collect()
}

#[test]
fn the_service_port_in_a_policy_is_pointed_at() {
    insta::assert_snapshot!(shown(&shop(&["frontend", "cart:80"])));
}

#[test]
fn both_sides_that_block_are_explained() {
    insta::assert_snapshot!(shown(&shop(&["frontend", "database:5432"])));
}

/// No NetworkPolicy can open one name: that the fix opens the internet is said.
#[test]
fn a_name_outside_is_called_by_its_name_and_its_fix_says_what_it_opens() {
    let shown = shown(&shop(&["frontend", "example.com:443"]));
    assert!(shown.contains("none of their rules allows example.com on TCP 443"), "{shown}");
    assert!(shown.contains("also opens: shop/frontend → the internet TCP 443"), "{shown}");
}

#[test]
fn reachable_says_so_and_no_more() {
    insta::assert_snapshot!(shown(&shop(&["checkout", "database:5432"])));
}

#[test]
fn wide_walks_the_stages() {
    insta::assert_snapshot!(shown(&shop(&["cart", "redis:6379", "-o", "wide"])));
}

#[test]
fn json_is_the_interface() {
    insta::assert_snapshot!(shown(&shop(&["frontend", "cart:80", "--no-dns", "-o", "json"])));
}

#[test]
fn yaml_holds_the_same() {
    let json: serde_json::Value =
        serde_json::from_slice(&run(&shop(&["frontend", "cart:80", "-o", "json"])).stdout).unwrap();
    let yaml: serde_json::Value =
        serde_saphyr::from_str(&String::from_utf8(run(&shop(&["frontend", "cart:80", "-o", "yaml"])).stdout).unwrap())
            .unwrap();
    assert_eq!(json, yaml);
    assert_eq!(json["kind"], "CheckReport");
}

#[test]
fn names_that_do_not_exist_have_neighbours() {
    insta::assert_snapshot!(
        [
            shown(&shop(&["frontnd", "cart:80"])),
            shown(&shop(&["frontend", "crat:80"])),
            shown(&shop(&["frontend", "cart:8080"])),
            shown(&shop(&["frontend", "cart"])),
            shown(&shop(&["-n", "shp", "frontend", "cart:80"])),
            shown(&shop(&["frontend", "cart:http:80"])),
            shown(&shop(&["frontend", "http://cart:80/x"])),
        ]
        .join("\n")
    );
}

#[test]
fn usage_errors_say_what_to_do() {
    insta::assert_snapshot!(
        [
            shown(&["-f", "no/such/dir", "frontend", "cart:80"]),
            shown(&shop(&["frontend"])),
            shown(&shop(&["--cni", "flanel", "frontend", "cart:80"])),
        ]
        .join("\n")
    );
}

#[test]
fn without_objects_and_without_a_cluster_it_says_how_to_give_some() {
    let output =
        netcheck(&["frontend", "cart:80"]).env_remove("KUBECONFIG").env("HOME", "/nonexistent").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("with -f PATH"), "{errors}");
}

#[test]
fn help_fits_a_terminal_and_names_exit_codes() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Exit codes:"), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 110), "{text}");
    let check = String::from_utf8(run(&["help", "check"]).stdout).unwrap();
    assert!(check.contains("CLIENT is who connects"), "{check}");
}

#[cfg(unix)]
#[test]
fn under_its_plugin_name_it_is_a_kubectl_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubectl-netcheck");
    // A link, as people install it; a copy could still be open for writing in a test beside this one.
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_netcheck"), &path).unwrap();
    let output = Command::new(&path).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("kubectl netcheck [OPTIONS] CLIENT TARGET"), "{text}");
}

#[test]
fn a_command_wins_over_a_pod_of_its_name_and_flags_may_stand_anywhere() {
    assert_eq!(code(&["-f", "examples/shop", "-n", "shop", "checkout", "database:5432"]), 0);
    assert_eq!(code(&["checkout", "database:5432", "-f", "examples/shop"]), 0);
    assert_eq!(code(&["check", "checkout", "database:5432", "-f", "examples/shop"]), 0);
    // Flags of the command alone too, before it or before CLIENT.
    assert_eq!(code(&["-o", "json", "-f", "examples/shop", "checkout", "database:5432"]), 0);
    assert_eq!(code(&["checkout", "-o", "wide", "database:5432", "-f", "examples/shop"]), 0);
    assert_eq!(code(&["-o", "json", "-f", "examples/shop", "graph"]), 0);
    // `man` is a command: a pod of that name needs `check`.
    assert_eq!(code(&["check", "man", "database:5432", "-f", "examples/shop"]), 2);
}

#[test]
fn exit_codes_answer_quietly() {
    for (args, expected) in [
        (vec!["checkout", "database:5432"], 0),
        (vec!["frontend", "database:5432"], 1),
        (vec!["checkout", "database:5432", "redis:6379"], 1),
        (vec!["frontend", "cart:1"], 1),
        (vec!["nobody", "cart:80"], 2),
    ] {
        let mut all = shop(&["-q"]);
        all.extend(args.iter().copied());
        let output = run(&all);
        assert_eq!(output.status.code(), Some(expected), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn what_if_overlays_change_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let fixed = dir.path().join("cart.yaml");
    let text = std::fs::read_to_string("examples/shop/policies.yaml").unwrap();
    let cart =
        text.split("---").find(|d| d.contains("name: cart\n")).unwrap().replace("- port: 80\n", "- port: 8080\n");
    std::fs::write(&fixed, cart).unwrap();
    let fixed = fixed.to_str().unwrap();
    assert_eq!(code(&["-f", "examples/shop", "--with", fixed, "frontend", "cart:80"]), 0);
    // With --prune the other policies are gone, DNS among them; without one, --without takes it away.
    assert_eq!(code(&["-f", "examples/shop", "--with", fixed, "--prune", "frontend", "database:5432"]), 0);
    assert_eq!(code(&["-f", "examples/shop", "--without", "netpol/shop/allow-dns", "checkout", "database:5432"]), 1);
    assert_eq!(code(&["-f", "examples/shop", "--without", "netpol/shop/nope", "checkout", "database:5432"]), 2);
}

#[test]
fn standard_input_is_read() {
    let mut child = netcheck(&["-f", "-", "checkout", "database:5432"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = std::fs::read_to_string("examples/shop/workloads.yaml").unwrap();
    text.push_str("\n---\n");
    text.push_str(&std::fs::read_to_string("examples/shop/policies.yaml").unwrap());
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn colours_follow_no_color_and_the_flag() {
    let args = shop(&["frontend", "cart:80"]);
    let escapes = |mut command: Command| command.output().unwrap().stdout.contains(&0x1b);
    assert!(!escapes(netcheck(&args)), "a pipe gets no colours");
    let mut always = args.clone();
    always.push("--color=always");
    assert!(escapes(netcheck(&always)));
    let mut forced = netcheck(&args);
    forced.env("CLICOLOR_FORCE", "1");
    assert!(escapes(forced));
    let mut none = netcheck(&args);
    none.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!escapes(none));
}

/// Without its colours, what a terminal gets is what a pipe gets: columns don't shift by the width of escapes.
#[test]
fn colours_leave_the_layout_alone() {
    let escape = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    for args in [vec!["frontend", "cart:80", "checkout:8080"], vec!["audit"], vec!["graph"]] {
        let text = |color: &str| {
            let mut all = args.clone();
            all.extend(["-f", "examples/shop", "--color", color]);
            String::from_utf8(run(&all).stdout).unwrap()
        };
        let (coloured, plain) = (text("always"), text("never"));
        assert!(args[0] == "graph" || coloured.contains('\u{1b}'), "{args:?}");
        let strip = |t: &str| t.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(strip(&escape.replace_all(&coloured, "")), strip(&plain), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_it_is_coloured_and_fits() {
    use nix::pty::{Winsize, openpty};

    let size = Winsize { ws_row: 40, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let run = |no_color: bool| {
        let pty = openpty(Some(&size), None).unwrap();
        let mut command = netcheck(&shop(&["frontend", "cart:80"]));
        command.env("TERM", "xterm-256color");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let mut child = command.stdout(Stdio::from(pty.slave)).stderr(Stdio::null()).spawn().unwrap();
        drop(command);
        let mut text = Vec::new();
        // A terminal whose other end closed answers with an error, which is the end.
        let _ = std::fs::File::from(pty.master).read_to_end(&mut text);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        String::from_utf8(text).unwrap()
    };
    drop(pty);
    let coloured = run(false);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    let plain = run(true);
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let table = plain.lines().take_while(|l| !l.trim().is_empty());
    assert!(table.clone().count() > 2 && table.into_iter().all(|l| l.trim_end().chars().count() <= 80), "{plain}");
}

#[test]
fn a_reader_that_goes_away_is_nobodys_error() {
    let mut child = netcheck(&shop(&["frontend", "database:5432", "cart:80", "redis:6379"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let status = child.wait().unwrap();
    assert!(errors.is_empty(), "{errors}");
    assert!(status.code().is_some(), "{status:?}");
}

#[test]
fn names_of_the_input_never_reach_the_terminal_raw() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evil.yaml");
    std::fs::write(&path, "apiVersion: v1\nkind: \"Pod\\e[31m\"\nmetadata: {name: \"x\\e[2J\"}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: \"a\\e]0;owned\\a\"}\n").unwrap();
    let output = run(&["-v", "-f", path.to_str().unwrap(), "a", "b:80"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.contains(&0x1b), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.stdout.contains(&0x1b));
    let output = run(&["-f", "examples/shop", "x\u{1b}[31m", "b:80"]);
    assert!(!output.stderr.contains(&0x1b));
}

#[test]
fn completion_and_manual_are_made() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completion", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("netcheck"), "{shell}");
    }
    let page = String::from_utf8(run(&["man"]).stdout).unwrap();
    assert!(page.contains(".TH netcheck"), "{page}");
    assert!(String::from_utf8(run(&["man", "check"]).stdout).unwrap().contains("CLIENT"));
    assert_eq!(code(&["man", "nothing"]), 2);
}

#[test]
fn the_committed_schema_is_the_programs() {
    let printed = String::from_utf8(run(&["schema", "check"]).stdout).unwrap();
    let committed = std::fs::read_to_string("docs/schema/check-report.json").unwrap();
    assert_eq!(printed, committed, "docs/schema/check-report.json is stale: netcheck schema check > it");
}
