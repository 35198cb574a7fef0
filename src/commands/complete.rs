//! Completion under kubectl: the words so far come in, what can follow goes out, in the form of cobra's `__complete`, which
//! kubectl reads from `kubectl_complete-netcheck`.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory, ValueHint};

use super::{Exit, Output};
use crate::cli::Cli;

/// Cobra's directives: complete file names, or nothing but what is listed.
const FILES: &str = ":0";
const NO_FILES: &str = ":4";

/// Prints the candidates.
pub(super) fn run(words: &[String], output: &mut Output) -> Exit {
    let mut root = Cli::command();
    root.build();
    output.text(&candidates(&root, words));
    Exit::Yes
}

fn candidates(root: &Command, words: &[String]) -> String {
    let (typed, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let mut command = root;
    let mut waiting: Option<&Arg> = None;
    for word in before {
        if waiting.take().is_some() {
            continue;
        }
        if word.starts_with('-') && word.len() > 1 {
            waiting =
                if word.contains('=') { None } else { flag(command, word).filter(|a| a.get_action().takes_values()) };
        } else if let Some(found) = command.find_subcommand(word) {
            command = found;
        }
    }
    let mut out = String::new();
    if let Some(arg) = waiting {
        return values(arg, typed, "", out);
    }
    if let Some((name, value)) = typed.split_once('=').filter(|_| typed.starts_with("--")) {
        return match flag(command, name) {
            Some(arg) => values(arg, value, &format!("{name}="), out),
            None => format!("{NO_FILES}\n"),
        };
    }
    if typed.starts_with('-') {
        let mut flags: Vec<&Arg> = command.get_arguments().filter(|a| !a.is_hide_set()).collect();
        flags.sort_by_key(|a| a.get_long());
        for arg in flags {
            if let Some(long) = arg.get_long().map(|l| format!("--{l}")).filter(|l| l.starts_with(typed)) {
                line(&mut out, &long, arg.get_help().map(ToString::to_string).as_deref());
            }
        }
        let _ = writeln!(out, "{NO_FILES}");
        return out;
    }
    for subcommand in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name().starts_with(typed)) {
        line(&mut out, subcommand.get_name(), subcommand.get_about().map(ToString::to_string).as_deref());
    }
    for arg in command.get_positionals() {
        for value in arg.get_possible_values().iter().filter(|v| v.get_name().starts_with(typed)) {
            line(&mut out, value.get_name(), value.get_help().map(ToString::to_string).as_deref());
        }
    }
    let files = command.get_positionals().any(|arg| arg.get_value_hint() != ValueHint::Unknown);
    let _ = writeln!(out, "{}", if files { FILES } else { NO_FILES });
    out
}

fn flag<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long) || arg.get_all_aliases().is_some_and(|all| all.contains(&long)),
        None => word.chars().last().is_some_and(|c| arg.get_short() == Some(c)),
    })
}

fn values(arg: &Arg, typed: &str, lead: &str, mut out: String) -> String {
    let possible = arg.get_possible_values();
    for value in possible.iter().filter(|v| !v.is_hide_set() && v.get_name().starts_with(typed)) {
        line(&mut out, &format!("{lead}{}", value.get_name()), value.get_help().map(ToString::to_string).as_deref());
    }
    let path = arg.get_value_names().is_some_and(|names| names.iter().any(|n| n.as_str() == "PATH"));
    let _ = writeln!(out, "{}", if path { FILES } else { NO_FILES });
    out
}

/// A candidate, with a word about it after a tab.
fn line(out: &mut String, candidate: &str, about: Option<&str>) {
    let about = about.and_then(|text| text.lines().next()).unwrap_or_default();
    let _ = if about.is_empty() { writeln!(out, "{candidate}") } else { writeln!(out, "{candidate}\t{about}") };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(words: &[&str]) -> Vec<String> {
        let mut root = Cli::command();
        root.build();
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        candidates(&root, &words).lines().map(|l| l.split('\t').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn commands_flags_and_values() {
        assert_eq!(after(&["snap"]), ["snapshot", ":4"]);
        assert_eq!(after(&["--cni", "cal"]), ["calico", ":4"]);
        assert_eq!(after(&["--cni=cal"]), ["--cni=calico", ":4"]);
        assert_eq!(after(&["-f", ""]), [":0"]);
        assert_eq!(after(&["check", "--all-po"]), ["--all-ports", ":4"]);
        assert!(!after(&[""]).iter().any(|c| c.starts_with("__")));
    }
}
