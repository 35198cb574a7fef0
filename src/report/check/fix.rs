//! Proposed fixes, for machines and for people.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::build::Facts;
use crate::analysis::fix::{Change, Edit, EditTarget, Fix, Proposal};
use crate::policy::rule::{RulePart, field_path};
use crate::report::text::{Paint, safe, wrapped};
use crate::source::{Part, Place};

/// Edits that together make the check pass, confirmed by evaluating it again.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixResult {
    /// Objects that are changed or added.
    pub edits: Vec<EditResult>,
    /// Whether a cluster-wide policy has to change, which only its administrator can do.
    pub needs_admin: bool,
    /// Everything that it opens, what was asked for included.
    pub opens: Vec<ChangeResult>,
    /// Everything that it closes.
    pub closes: Vec<ChangeResult>,
    /// Whether the comparison was cut short because there were too many pairs: it may open or close more.
    pub cut_short: bool,
}

/// One object that a fix changes or adds.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EditResult {
    /// `changed` or `new`.
    pub action: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// File.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the first change, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is done, a clause each.
    pub steps: Vec<String>,
    /// JSON patch (RFC 6902); none for a new object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<serde_json::Value>,
    /// JSON patch that takes it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<serde_json::Value>,
    /// The whole object with the edit.
    pub object: serde_json::Value,
    /// The command that makes the edit.
    pub command: String,
    /// The command that takes it back.
    pub undo_command: String,
    /// Who owns the object, so that an edit by hand would be reverted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Connections that a fix opens or closes.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeResult {
    /// The side that connects.
    pub client: String,
    /// The side that is connected to.
    pub server: String,
    /// Ports per protocol: `TCP 8080`.
    pub ports: Vec<String>,
    /// Whether all of it was asked for.
    pub asked: bool,
}

pub(in crate::report) fn results(facts: Facts<'_>, proposal: &Proposal) -> Vec<FixResult> {
    let changes = |all: &[Change]| all.iter().map(|c| change(facts, c)).collect();
    proposal
        .fixes
        .iter()
        .map(|fix| FixResult {
            edits: fix.edits.iter().map(|e| edit(facts, e)).collect(),
            needs_admin: fix.needs_admin,
            opens: changes(&fix.effects.opened),
            closes: changes(&fix.effects.closed),
            cut_short: fix.effects.cut_short,
        })
        .collect()
}

fn change(facts: Facts<'_>, change: &Change) -> ChangeResult {
    ChangeResult {
        client: change.client.name(facts.cluster),
        server: change.server.name(facts.cluster),
        ports: change.ports.iter().map(|(protocol, ports)| format!("{protocol} {ports}")).collect(),
        asked: change.asked,
    }
}

fn place(facts: Facts<'_>, edit: &Edit) -> (Option<String>, Option<usize>) {
    let EditTarget::Existing { origin, patch, .. } = &edit.target else { return (None, None) };
    let Some(op) = patch.0.first() else { return (None, None) };
    let span = facts.sources.span(&Place::Field { origin: *origin, path: op.path().clone(), part: Part::Entry });
    (span.as_ref().map(|s| facts.sources.name(s.source).to_owned()), span.map(|s| s.line))
}

fn edit(facts: Facts<'_>, edit: &Edit) -> EditResult {
    let (file, line) = place(facts, edit);
    let (action, patch, undo) = match &edit.target {
        EditTarget::Existing { patch, undo, .. } => ("changed", Some(patch.to_json()), Some(undo.to_json())),
        EditTarget::New => ("new", None, None),
    };
    EditResult {
        action: action.to_owned(),
        kind: edit.kind.name().to_owned(),
        namespace: edit.namespace.clone(),
        name: edit.name.clone(),
        file,
        line,
        steps: edit.steps.clone(),
        patch,
        undo,
        object: crate::source::trimmed(edit.after.clone()),
        command: edit.command(),
        undo_command: edit.undo_command(),
        owner: edit.owner.as_ref().map(ToString::to_string),
    }
}

/// The best fix for people, and how many others there are. Sentences are broken at `wrap`, commands never.
pub(in crate::report) fn text(
    facts: Facts<'_>,
    proposal: &Proposal,
    all: bool,
    paint: Paint,
    wrap: Option<usize>,
) -> String {
    let mut out = String::new();
    for rule in &proposal.not_yours {
        let info = facts.policies.info(rule.rule.policy);
        let path = field_path(info.kind, &rule.rule, RulePart::Rule);
        let name = rule.name.as_ref().map(|n| format!(" (\"{n}\")")).unwrap_or_default();
        let line = format!(
            "{}: {path}{name} of {} denies in tier {}: no NetworkPolicy can override it; its administrator has to\n",
            paint.cyan("help"),
            safe(&rule.reference),
            rule.tier
        );
        out.push_str(&wrapped(&line, wrap));
    }
    if proposal.unsettled {
        let help = paint.cyan("help");
        let line = format!("{help}: no edit is sure to open it: network plugins differ here, see --cni\n");
        out.push_str(&wrapped(&line, wrap));
    }
    let shown = if all { proposal.fixes.len() } else { 1 };
    for (index, fix) in proposal.fixes.iter().take(shown).enumerate() {
        if index > 0 {
            out.push_str("\nor\n");
        }
        one(facts, fix, paint, wrap, &mut out);
    }
    if proposal.fixes.len() > shown {
        let more = proposal.fixes.len() - shown;
        let ways = if more == 1 { "way" } else { "ways" };
        let _ = writeln!(out, "{}", paint.dim(&format!("{more} other {ways} to fix it, with -o wide")));
    }
    out
}

fn one(facts: Facts<'_>, fix: &Fix, paint: Paint, wrap: Option<usize>, out: &mut String) {
    for edit in &fix.edits {
        let what = match &edit.target {
            EditTarget::Existing { .. } => format!("change {}", edit.reference()),
            EditTarget::New => format!("add {}", edit.reference()),
        };
        let steps = if edit.steps.is_empty() { String::new() } else { format!(": {}", edit.steps.join("; ")) };
        let line = format!("{}: {}\n", paint.cyan("help"), safe(&format!("{what}{steps}")));
        out.push_str(&wrapped(&line, wrap));
        if let (Some(file), Some(line)) = place(facts, edit) {
            let _ = writeln!(out, "  {} {}:{line}", paint.dim("-->"), safe(&file));
        }
        out.push('\n');
        for line in edit.snippet().lines() {
            let line = safe(line);
            let _ = if line.is_empty() { writeln!(out) } else { writeln!(out, "    {line}") };
        }
        out.push('\n');
        let _ = writeln!(out, "  {} {}", paint.bold("apply:"), safe(&edit.command()));
        let _ = writeln!(out, "  {}  {}", paint.bold("undo:"), safe(&edit.undo_command()));
        if let Some(owner) = &edit.owner {
            let said = format!("by {owner}: an edit by hand would be reverted");
            out.push_str(&wrapped(&format!("  {}: {}\n", paint.yellow("owned"), safe(&said)), wrap));
        }
    }
    if fix.needs_admin {
        let _ =
            writeln!(out, "  {}: a cluster-wide policy: only its administrator can change it", paint.yellow("note"));
    }
    changes(facts, "opens", &fix.effects.opened, paint, wrap, out);
    changes(facts, "closes", &fix.effects.closed, paint, wrap, out);
    if fix.effects.cut_short {
        let _ =
            writeln!(out, "  {}: there are too many pods to compare them all: it may open more", paint.yellow("note"));
    }
}

/// Lines of what is opened or closed before the rest is counted.
const MOST_CHANGES: usize = 6;

fn changes(facts: Facts<'_>, word: &str, all: &[Change], paint: Paint, wrap: Option<usize>, out: &mut String) {
    let also: Vec<&Change> = all.iter().filter(|c| !c.asked).collect();
    if all.is_empty() {
        return;
    }
    if also.is_empty() {
        let _ = writeln!(out, "  {} what was asked for, and nothing else", paint.bold(&format!("{word}:")));
        return;
    }
    for (index, change) in also.iter().take(MOST_CHANGES).enumerate() {
        let head = match (index, word) {
            (0, "opens") => format!("{} ", paint.bold("also opens:")),
            (0, _) => format!("{} ", paint.bold(&format!("{word}:"))),
            (_, "opens") => " ".repeat(12),
            _ => " ".repeat(word.len() + 2),
        };
        out.push_str(&wrapped(&format!("  {head}{}\n", safe(&change.summary(facts.cluster))), wrap));
    }
    if also.len() > MOST_CHANGES {
        let _ = writeln!(out, "  {} and {} more, with -o json", " ".repeat(word.len() + 1), also.len() - MOST_CHANGES);
    }
}

/// The whole objects that a fix changes or adds, as YAML documents to apply.
pub fn objects(fix: &Fix) -> String {
    fix.edits.iter().map(Edit::object_yaml).collect::<Vec<_>>().join("---\n")
}
