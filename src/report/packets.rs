//! How many verdicts packets confirmed, for the commands that try many.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::text::{Paint, safe};
use crate::analysis::probe::Tally;

/// How many verdicts packets confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PacketsResult {
    /// Verdicts that were tried.
    pub tried: usize,
    /// Those that packets came to as well, or settled.
    pub confirmed: usize,
    /// Those that packets contradict.
    pub disagree: usize,
    /// Those that packets tell nothing of.
    pub inconclusive: usize,
    /// What is not confirmed, and why: a sentence each, at most 20.
    pub facts: Vec<String>,
}

impl From<&Tally> for PacketsResult {
    fn from(tally: &Tally) -> Self {
        Self {
            tried: tally.tried,
            confirmed: tally.confirmed,
            disagree: tally.disagree,
            inconclusive: tally.inconclusive,
            facts: tally.facts.clone(),
        }
    }
}

impl PacketsResult {
    /// Counts another one in; what it says stays with it.
    pub(super) fn add(&mut self, other: &Self) {
        self.tried += other.tried;
        self.confirmed += other.confirmed;
        self.disagree += other.disagree;
        self.inconclusive += other.inconclusive;
    }
}

/// The same for people.
pub(super) fn text(packets: &PacketsResult, paint: Paint) -> String {
    let PacketsResult { tried, confirmed, disagree, inconclusive, facts } = packets;
    let mut out = format!("{}: {confirmed} of {tried} verdicts confirmed", paint.bold("packets"));
    if *disagree > 0 {
        let _ = write!(out, ", {}", paint.red(&format!("{disagree} contradicted")));
    }
    if *inconclusive > 0 {
        let _ = write!(out, ", {}", paint.yellow(&format!("{inconclusive} not told")));
    }
    out.push('\n');
    for fact in facts {
        let _ = writeln!(out, "  {} {}", paint.yellow("→"), safe(fact));
    }
    out
}
