//! Answers into their neutral document.

use super::{TestCase, TestPlace, TestReport, TestResult};
use crate::analysis::expect::{Answer, Outcome};
use crate::report::finding::Location;
use crate::report::packets::PacketsResult;
use crate::report::snippet;
use crate::source::{FieldPath, Origin, SourceMap};

/// What answers are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The texts of the policies.
    pub sources: &'a SourceMap,
    /// The text of the expectations.
    pub expectations: &'a SourceMap,
    /// The document of the expectations.
    pub origin: Origin,
    /// Columns of the drawings.
    pub width: usize,
}

/// The answers of one case.
pub fn case(name: Option<&str>, answers: Vec<Answer>, from: Answered<'_>) -> TestCase {
    let paths: Vec<&FieldPath> = answers.iter().map(|a| &a.path).collect();
    let lines = from.expectations.lines(from.origin, &paths);
    let results = answers.into_iter().zip(lines).map(|(answer, line)| result(answer, line, from)).collect();
    TestCase { name: name.map(str::to_owned), results }
}

fn result(answer: Answer, line: Option<usize>, from: Answered<'_>) -> TestResult {
    let outcome = match answer.outcome {
        Outcome::Met => "passed",
        Outcome::Failed => "failed",
        Outcome::Unknown => "unknown",
    };
    let policies = answer.blames.iter().map(|blame| {
        let found = Location::of(from.sources, blame.origin, &blame.path, "");
        let region = found.as_ref().and_then(|l| l.region.clone());
        TestPlace {
            policy: blame.reference.clone(),
            what: blame.what.clone(),
            path: blame.path.to_string(),
            file: found.map(|l| l.file),
            line: region.as_ref().map(|r| r.line),
            column: region.as_ref().map(|r| r.column),
            end_line: region.as_ref().map(|r| r.end_line),
            end_column: region.as_ref().map(|r| r.end_column),
        }
    });
    let drawn = answer.diagnostics.iter().map(|d| snippet::render(d, from.sources, false, from.width));
    TestResult {
        name: answer.name,
        outcome: outcome.to_owned(),
        facts: answer.facts,
        reason: answer.reason,
        line,
        policies: policies.collect(),
        details: drawn.collect::<Vec<_>>().join("\n"),
        pairs: answer.pairs,
        packets: answer.packets.as_ref().map(PacketsResult::from),
    }
}

/// How a run ends: whether something failed, whether something can't be told.
pub fn exit_of(report: &TestReport) -> (bool, bool) {
    (report.summary.failed > 0, report.summary.unknown > 0)
}
