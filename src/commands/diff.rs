//! `netcheck diff`: which connections a change opens and closes.

use super::input::Input;
use super::sides::{self, Side};
use super::{Exit, Output, input};
use crate::analysis::diff::{Diff, Version, diff};
use crate::cli::{DiffArgs, DiffOutput, FailOn, Format, Global};
use crate::report::diff::{Sides, csv, findings, markdown, render, report};
use crate::report::{Paint, github, sarif};

/// Compares two versions.
pub(super) fn run(global: &Global, args: &DiffArgs, output: &mut Output) -> Exit {
    let read = match (&args.before, &args.after) {
        (Some(before), Some(after)) => two(before, after, global, output),
        (None, _) => what_if(global, output),
        (Some(before), None) => {
            output.error(&format!("`{before}` is compared with nothing"));
            output.help("write netcheck diff BEFORE AFTER, or netcheck diff -f PATH --with CHANGED");
            None
        }
    };
    let Some((before, after, names)) = read else { return Exit::Error };
    let version = |input| version(input);
    let found = diff(version(&before), version(&after));
    let sides =
        Sides { before: &names[0], after: &names[1], before_sources: &before.sources, after_sources: &after.sources };
    let exit = exit(&found, args.fail_on);
    match args.output {
        DiffOutput::Text => output.text(&render(&found, &sides, Paint(output.color))),
        DiffOutput::Markdown => output.text(&markdown(&found, &sides)),
        DiffOutput::Csv => output.text(&csv(&found, &sides)),
        DiffOutput::Github => output.text(&github::annotations(&findings(&found, &sides))),
        DiffOutput::Sarif => return output.document(&sarif::log(&findings(&found, &sides)), Format::Json, exit),
        DiffOutput::Json => return output.document(&report(&found, &sides, &after.profile.name), Format::Json, exit),
        DiffOutput::Yaml => return output.document(&report(&found, &sides, &after.profile.name), Format::Yaml, exit),
    }
    exit
}

fn version(input: &Input) -> Version<'_> {
    Version { cluster: &input.cluster, policies: &input.policies, profile: &input.profile }
}

type Read = (Input, Input, [String; 2]);

fn two(before: &str, after: &str, global: &Global, output: &mut Output) -> Option<Read> {
    let mut parsed = Vec::new();
    for text in [before, after] {
        match Side::parse(text) {
            Ok(side) => parsed.push(side),
            Err(message) => {
                output.error(&message);
                return None;
            }
        }
    }
    let stdin = parsed.iter().filter(|s| s.is_stdin()).count()
        + global.filename.iter().chain(&global.with).filter(|p| p.as_os_str() == "-").count();
    if stdin > 1 {
        output.error("standard input can be read once");
        return None;
    }
    let [first, second] = parsed.as_slice() else { return None };
    let before_input = sides::read(first, &Global { with: Vec::new(), ..global.clone() }, output)?;
    let before_input = before_input.build(false, global, output)?;
    let after_input = sides::read(second, global, output)?.build(true, global, output)?;
    Some((before_input, after_input, [before.to_owned(), after.to_owned()]))
}

/// The objects as they are, and with --with and --without.
fn what_if(global: &Global, output: &mut Output) -> Option<Read> {
    if global.with.is_empty() && global.without.is_empty() {
        output.error("nothing to compare the objects with");
        output.help("say what would change: --with CHANGED, --without KIND/NAMESPACE/NAME");
        return None;
    }
    let raw = input::raw(global, None, output)?;
    let before = raw.clone().build(false, global, output)?;
    let after = raw.build(true, global, output)?;
    let paths = |all: &[std::path::PathBuf]| all.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ");
    let name = if global.filename.is_empty() { "cluster".to_owned() } else { paths(&global.filename) };
    let mut changed = name.clone();
    if !global.with.is_empty() {
        changed.push_str(&format!(" with {}", paths(&global.with)));
    }
    if !global.without.is_empty() {
        changed.push_str(&format!(" without {}", global.without.join(" ")));
    }
    Some((before, after, [name, changed]))
}

/// 0, unless --fail-on says otherwise: 1 where such a change is certain, 3 where it can't be told.
fn exit(diff: &Diff, fail_on: Option<FailOn>) -> Exit {
    let Some(fail_on) = fail_on else { return Exit::Yes };
    let any = |what: fn(&crate::analysis::diff::Change) -> crate::analysis::diff::L4| {
        diff.changes.iter().any(|c| !what(c).is_empty())
    };
    let opened = any(|c| c.opened());
    let closed = any(|c| c.closed());
    let (may_open, may_close) = (any(|c| c.may_open()), any(|c| c.may_close()));
    let (sure, perhaps) = match fail_on {
        FailOn::Opened => (opened, may_open),
        FailOn::Closed => (closed, may_close),
        FailOn::Any => (opened || closed || may_open || may_close, false),
    };
    match (sure, perhaps) {
        (true, _) => Exit::No,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Yes,
    }
}
