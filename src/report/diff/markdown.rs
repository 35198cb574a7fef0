//! A difference as a comment on a pull request.

use std::fmt::Write;

use super::build::{Sides, sentence};
use crate::analysis::diff::{Change, Diff, Kind};
use crate::report::markdown::{code, text};

/// How many rows a table has; a comment has a limit of its own.
const MOST: usize = 100;

/// The comment.
pub fn markdown(diff: &Diff, sides: &Sides<'_>) -> String {
    let mut out = String::from("### Network policy changes\n\n");
    if diff.is_empty() {
        out.push_str("No connection changes.\n");
        return out;
    }
    // Writing to a String never fails.
    let _ = writeln!(out, "{}\n", text(&super::text::summary(diff)));
    for (kind, title) in [
        (Kind::Opened, "Opened"),
        (Kind::Closed, "Closed"),
        (Kind::Changed, "Changed ports"),
        (Kind::Uncertain, "Can't be told"),
    ] {
        let changes: Vec<&Change> = diff.changes.iter().filter(|c| c.kind() == kind).collect();
        if changes.is_empty() {
            continue;
        }
        let _ = writeln!(out, "#### {title}\n\n| Client | Server | Ports | By |\n| --- | --- | --- | --- |");
        for change in changes.iter().take(MOST) {
            let causes: Vec<String> = change
                .causes
                .iter()
                .filter(|c| !c.context)
                .map(|cause| match sides.location(cause) {
                    Some(location) => format!("{} ({})", text(&sentence(cause)), code(&location.short())),
                    None => text(&sentence(cause)),
                })
                .collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                code(&super::text::end(&change.client)),
                code(&super::text::end(&change.server)),
                text(&super::text::ports(change)),
                causes.join("<br>")
            );
        }
        if changes.len() > MOST {
            let _ = writeln!(out, "\n{} more are left out.", changes.len() - MOST);
        }
        out.push('\n');
    }
    for (title, inventory) in [("Added", &diff.added), ("Removed", &diff.removed)] {
        if inventory.is_empty() {
            continue;
        }
        let mut items: Vec<String> = inventory.workloads.iter().map(|w| code(&super::text::named(w))).collect();
        items.extend(inventory.services.iter().map(|(ns, name)| code(&format!("Service {ns}/{name}"))));
        let more = items.len().saturating_sub(MOST);
        items.truncate(MOST);
        let _ = write!(out, "**{title}:** {}", items.join(", "));
        let _ = if more > 0 { writeln!(out, " and {more} more\n") } else { writeln!(out, "\n") };
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
