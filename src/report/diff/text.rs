//! A difference for people.

use std::fmt::Write;

use super::build::{Sides, sentence};
use crate::analysis::diff::{Change, Diff, End, Inventory, Kind, Party};
use crate::report::text::{Paint, safe};

/// How many changes of a kind are shown; `-o json` has all.
const MOST: usize = 200;

/// Blocks by kind, with the rules that did it.
pub fn render(diff: &Diff, sides: &Sides<'_>, paint: Paint) -> String {
    let mut out = String::new();
    for kind in [Kind::Opened, Kind::Closed, Kind::Changed, Kind::Uncertain] {
        let changes: Vec<&Change> = diff.changes.iter().filter(|c| c.kind() == kind).collect();
        if changes.is_empty() {
            continue;
        }
        let (sign, title) = match kind {
            Kind::Opened => (paint.green("+"), "opened"),
            Kind::Closed => (paint.red("-"), "closed"),
            Kind::Changed => (paint.yellow("~"), "changed ports"),
            Kind::Uncertain => (paint.yellow("?"), "can't be told"),
        };
        // Writing to a String never fails.
        let _ = writeln!(out, "{}", paint.bold(title));
        for (index, change) in changes.iter().take(MOST).enumerate() {
            let _ = writeln!(out, "  {sign} {}", safe(&line(change)));
            // Changes that follow each other for the same reasons say them once.
            let next = changes.get(index + 1).filter(|_| index + 1 < MOST);
            if next.is_none_or(|n| n.causes != change.causes) {
                for cause in change.causes.iter().filter(|c| !c.context) {
                    let place = sides.location(cause).map(|l| format!(", {}", l.short())).unwrap_or_default();
                    let _ = writeln!(out, "      {}{}", safe(&sentence(cause)), paint.dim(&safe(&place)));
                }
            }
        }
        if changes.len() > MOST {
            let _ = writeln!(out, "  {} more: -o json has all", changes.len() - MOST);
        }
        out.push('\n');
    }
    inventory(&diff.added, "added", &paint.green("+"), paint, &mut out);
    inventory(&diff.removed, "removed", &paint.red("-"), paint, &mut out);
    let _ = writeln!(out, "{}", summary(diff));
    out
}

fn inventory(inventory: &Inventory, title: &str, sign: &str, paint: Paint, out: &mut String) {
    if inventory.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", paint.bold(title));
    let mut items: Vec<String> = inventory.workloads.iter().map(named).collect();
    items.extend(inventory.services.iter().map(|(namespace, name)| format!("Service {namespace}/{name}")));
    for item in items.iter().take(MOST) {
        let _ = writeln!(out, "  {sign} {}", safe(item));
    }
    if items.len() > MOST {
        let _ = writeln!(out, "  {} more: -o json has all", items.len() - MOST);
    }
    out.push('\n');
}

/// `Deployment shop/cart`.
pub(super) fn named(party: &Party) -> String {
    match party {
        Party::Workload { kind, .. } => format!("{kind} {party}"),
        _ => party.to_string(),
    }
}

/// `2 connections opened, 1 closed`.
pub(super) fn summary(diff: &Diff) -> String {
    let counts = diff.counts();
    let mut parts = Vec::new();
    for (count, what) in [
        (counts.opened, "opened"),
        (counts.closed, "closed"),
        (counts.changed, "changed in ports"),
        (counts.uncertain, "that can't be told"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let mut out = match parts.is_empty() {
        true => "no connection changes".to_owned(),
        false => format!("connections: {}", parts.join(", ")),
    };
    let things = |i: &Inventory| {
        let (w, s) = (i.workloads.len(), i.services.len());
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        match (w, s) {
            (0, _) => plural(s, "Service"),
            (_, 0) => plural(w, "workload"),
            _ => format!("{} and {}", plural(w, "workload"), plural(s, "Service")),
        }
    };
    for (inventory, what) in [(&diff.added, "added"), (&diff.removed, "removed")] {
        if !inventory.is_empty() {
            out.push_str(&format!("; {} {what}", things(inventory)));
        }
    }
    out
}

/// `shop/frontend → shop/cart  TCP 8080`.
pub(super) fn line(change: &Change) -> String {
    let family = match change.v6 {
        None => "",
        Some(false) => " over IPv4",
        Some(true) => " over IPv6",
    };
    format!("{} → {}{family}: {}", end(&change.client), end(&change.server), ports(change))
}

/// A side, and which share of its pods.
pub(super) fn end(end: &End) -> String {
    match end.share {
        Some((some, all)) => format!("{} ({some} of {all} pods)", end.party),
        None => end.party.to_string(),
    }
}

/// What became of the ports.
pub(super) fn ports(change: &Change) -> String {
    let passes = |p: &crate::analysis::diff::Passes| match (p.allowed.is_empty(), p.unknown.is_empty()) {
        (_, true) => p.allowed.to_string(),
        (true, false) => format!("{} can't be told", p.unknown),
        (false, false) => format!("{}; {} can't be told", p.allowed, p.unknown),
    };
    match change.kind() {
        Kind::Opened => passes(&change.after),
        Kind::Closed => passes(&change.before),
        Kind::Changed | Kind::Uncertain => {
            format!("{}, before: {}", passes(&change.after), passes(&change.before))
        }
    }
}
