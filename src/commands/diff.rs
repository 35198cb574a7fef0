//! `netcheck diff`: which connections a change opens and closes.

use super::input::{Input, Raw};
use super::sides::{self, Side};
use super::{Exit, Output, input};
use crate::analysis::diff::{Diff, Version, diff};
use crate::cli::{DiffArgs, DiffOutput, FailOn, Format, Global};
use crate::report::diff::{Sides, csv, findings, markdown, render, report};
use crate::report::{Paint, github, sarif};
#[cfg(feature = "live")]
use crate::source::Loader;

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
    let namespace = match parsed.iter().find_map(Side::context) {
        Some(context) if global.namespace.is_none() => Some(sides::namespace_of(context, global, output)?),
        _ => global.namespace.clone(),
    };
    let named = Global { namespace, ..global.clone() };
    let bare = Global { with: Vec::new(), ..named.clone() };
    // Of a cluster no more is read than what it is compared with has namespaces for: that comes first.
    let around = |other: &Raw| match &global.namespace {
        Some(namespace) => vec![namespace.clone()],
        None => sides::namespaces(&other.objects),
    };
    let (before_raw, after_raw) = match (first.context(), second.context()) {
        (Some(context), None) => {
            let after_raw = sides::read(second, &named, output)?;
            (sides::cluster(context, around(&after_raw), &bare, output)?, after_raw)
        }
        (None, Some(context)) => {
            let before_raw = sides::read(first, &bare, output)?;
            let after_raw = sides::cluster(context, around(&before_raw), &named, output)?;
            (before_raw, after_raw)
        }
        (Some(one), Some(other)) => {
            let named = |of: &Global| of.namespace.iter().cloned().collect();
            let before_raw =
                sides::cluster(one, named(global), &Global { with: Vec::new(), ..global.clone() }, output)?;
            (before_raw, sides::cluster(other, named(global), global, output)?)
        }
        (None, None) => (sides::read(first, &bare, output)?, sides::read(second, &named, output)?),
    };
    // Each side under the plugin that is known of either: a difference of plugins is none of the objects.
    let found = after_raw.cni.clone().or(before_raw.cni.clone());
    let under = |raw: Raw| Raw { cni: found.clone(), ..raw };
    let before_input = under(before_raw).build(false, global, output)?;
    let after_input = under(after_raw).build(true, global, output)?;
    Some((before_input, after_input, [before.to_owned(), after.to_owned()]))
}

/// The objects as they are, and with --with and --without.
fn what_if(global: &Global, output: &mut Output) -> Option<Read> {
    if global.with.is_empty() && global.without.is_empty() {
        output.error("nothing to compare the objects with");
        output.help("say what would change: --with CHANGED, --without KIND/NAMESPACE/NAME");
        return None;
    }
    let raw = underneath(global, output)?;
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

/// What a change is laid over: the objects of -f, or of the cluster the namespaces that it is about.
fn underneath(global: &Global, output: &mut Output) -> Option<Raw> {
    #[cfg(feature = "live")]
    if global.filename.is_empty() && global.namespace.is_none() {
        use super::cluster::{Reading, Wanted};

        // An empty name stands for the namespace of the context.
        let mut loader = Loader::new(input::options(global, Some(String::new())));
        for path in global.with.iter().filter(|p| p.as_os_str() != "-") {
            loader.path(path);
        }
        let mut wanted = Wanted::default();
        // What is wrong with it is told when it is laid over.
        if let Ok(read) = loader.finish() {
            wanted.namespaces.extend(sides::namespaces(&read.objects));
        }
        wanted.namespaces.extend(global.without.iter().filter_map(|what| {
            match what.split('/').collect::<Vec<_>>()[..] {
                [_, namespace, _] => Some(namespace.to_owned()),
                _ => None,
            }
        }));
        let reading = Reading::new(global, wanted, output)?;
        reading.told(global, output);
        return reading.raw(None, &mut |_| {}, global, output);
    }
    input::raw(global, None, output)
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
