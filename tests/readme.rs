//! What the README shows is what the program prints.

use std::process::{Command, Stdio};

/// Console blocks of the README that show a command with its output: the command, and the output up to the block's end.
fn shown(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for block in text.split("```console\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        if let Some(rest) = block.strip_prefix("$ ") {
            let (command, output) = rest.split_once('\n').unwrap_or((rest, ""));
            out.push((command.to_owned(), output.to_owned()));
        }
    }
    out
}

/// Runs what stands behind `netcheck`, its two outputs one after the other.
fn run(command: &str) -> String {
    let args: Vec<&str> = command.split_whitespace().skip(1).collect();
    assert!(command.starts_with("netcheck "), "`{command}` is not a call of netcheck");
    let output = Command::new(env!("CARGO_BIN_EXE_netcheck"))
        .args(args)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stderr, output.stdout].concat();
    String::from_utf8(text).unwrap().trim_end().to_owned()
}

#[test]
fn the_readme_shows_real_output() {
    let text = std::fs::read_to_string("README.md").unwrap();
    let blocks = shown(&text);
    assert!(blocks.len() >= 2, "the README shows {} calls with their output", blocks.len());
    for (command, output) in blocks {
        assert_eq!(run(&command), output.trim_end(), "README: $ {command}");
    }
}

#[test]
fn every_command_is_in_the_readme() {
    let text = std::fs::read_to_string("README.md").unwrap();
    let help =
        String::from_utf8(Command::new(env!("CARGO_BIN_EXE_netcheck")).arg("--help").output().unwrap().stdout).unwrap();
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|n| *n != "help")
        .collect();
    assert!(names.len() >= 3, "{help}");
    for name in names {
        assert!(text.contains(&format!("netcheck {name}")), "the README doesn't show `netcheck {name}`");
    }
}
