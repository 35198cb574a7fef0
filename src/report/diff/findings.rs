//! A difference as findings: each change at the rule that did it.

use super::build::{Sides, sentence};
use crate::analysis::diff::{Cause, Change, Diff, Kind, When};
use crate::report::finding::{Finding, Level, Location, Rule};

const OPENED: Rule = Rule { id: "connection-opened", summary: "A connection that was denied is allowed now." };
const CLOSED: Rule = Rule { id: "connection-closed", summary: "A connection that was allowed is denied now." };
const CHANGED: Rule = Rule { id: "connection-changed", summary: "A connection is allowed on other ports now." };
const UNCERTAIN: Rule = Rule {
    id: "connection-uncertain",
    summary: "Whether a connection is allowed can't be told in one of the versions.",
};

/// A finding for each change. A change whose cause is gone from the later version is placed where a policy that still
/// stands isolates, or, failing that, nowhere: the earlier text has no lines in the files that are looked at.
pub fn findings(diff: &Diff, sides: &Sides<'_>) -> Vec<Finding> {
    diff.changes.iter().map(|c| finding(c, sides)).collect()
}

fn finding(change: &Change, sides: &Sides<'_>) -> Finding {
    let kind = change.kind();
    let (rule, level) = match kind {
        Kind::Opened => (OPENED, Level::Warning),
        Kind::Closed => (CLOSED, Level::Warning),
        Kind::Changed => (CHANGED, Level::Warning),
        Kind::Uncertain => (UNCERTAIN, Level::Note),
    };
    let mut message = format!("{}: {}", rule.summary.trim_end_matches('.'), super::text::line(change));
    for cause in change.causes.iter().filter(|c| !c.context) {
        message.push('\n');
        message.push_str(&sentence(cause));
        if cause.when == When::Before
            && let Some(location) = sides.location(cause)
        {
            message.push_str(&format!(", {}", location.short()));
        }
    }
    let mut standing: Vec<&Cause> = change.causes.iter().filter(|c| c.when == When::After).collect();
    // A rule that is gone is missed first of all in the policy that it was in.
    let had = |reference: &str| change.causes.iter().any(|c| c.when == When::Before && c.reference == reference);
    standing.sort_by_key(|c| (c.context, !had(&c.reference)));
    let mut locations: Vec<Location> = standing.into_iter().filter_map(|c| sides.location(c)).collect();
    let related = locations.split_off(locations.len().min(1));
    Finding {
        rule,
        level,
        message,
        locations,
        related,
        key: format!("{}|{}|{}", kind.name(), change.client.party, change.server.party),
    }
}
