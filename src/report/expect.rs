//! The answers of `test`: one neutral document, and its other forms, one file each.

mod build;
mod findings;
mod junit;
mod markdown;
mod tap;
mod text;

use schemars::JsonSchema;
use serde::Serialize;

use super::packets::PacketsResult;

pub use build::{Answered, case, exit_of};
pub use findings::findings;
pub use junit::junit;
pub use markdown::markdown;
pub use tap::tap;
pub use text::render;

/// The answers of one call of `netcheck test`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestReport {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `TestReport`.
    pub kind: String,
    /// How many expectations ended how.
    pub summary: TestSummary,
    /// Files, in the order they were named.
    pub suites: Vec<TestSuite>,
    /// With `--live`: how many verdicts packets confirmed in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<PacketsResult>,
}

/// How many expectations ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestSummary {
    /// As expected.
    pub passed: usize,
    /// Otherwise.
    pub failed: usize,
    /// Can't be told.
    pub unknown: usize,
}

/// The expectations of one document of a file.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestSuite {
    /// Its name, or the file's.
    pub name: String,
    /// The file as it was named.
    pub file: String,
    /// Profile of the network plugin.
    pub cni: String,
    /// Groups of expectations; those that stand in no case come first, in one without a name.
    pub cases: Vec<TestCase>,
}

/// A group of expectations.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestCase {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Answers, in the order of the file.
    pub results: Vec<TestResult>,
}

/// The answer to an expectation.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// What it is called.
    pub name: String,
    /// `passed`, `failed`, `unknown`.
    pub outcome: String,
    /// Why, a line each.
    pub facts: Vec<String>,
    /// Why it must be so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Line of the expectation, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The rules that are to blame.
    pub policies: Vec<TestPlace>,
    /// What is to blame, drawn on the policies' lines.
    pub details: String,
    /// How many pairs were judged.
    pub pairs: usize,
    /// With `--live`: how many of them packets confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<PacketsResult>,
}

/// A rule that is to blame.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestPlace {
    /// `Kind/namespace/name`.
    pub policy: String,
    /// What it does.
    pub what: String,
    /// The field.
    pub path: String,
    /// File.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// First line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// First column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_line: Option<usize>,
    /// Column behind the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<usize>,
}

impl TestReport {
    /// The report of some suites.
    pub fn new(suites: Vec<TestSuite>) -> Self {
        let mut summary = TestSummary::default();
        for result in suites.iter().flat_map(|s| &s.cases).flat_map(|c| &c.results) {
            match result.outcome.as_str() {
                "passed" => summary.passed += 1,
                "failed" => summary.failed += 1,
                _ => summary.unknown += 1,
            }
        }
        let mut packets: Option<PacketsResult> = None;
        let tried = suites.iter().flat_map(|s| &s.cases).flat_map(|c| &c.results).filter_map(|r| r.packets.as_ref());
        for one in tried {
            packets.get_or_insert_default().add(one);
        }
        let (api_version, kind) = (super::check::API_VERSION.to_owned(), "TestReport".to_owned());
        Self { api_version, kind, summary, suites, packets }
    }

    /// Every answer with its suite and case.
    fn all(&self) -> impl Iterator<Item = (&TestSuite, &TestCase, &TestResult)> {
        self.suites.iter().flat_map(|s| s.cases.iter().flat_map(move |c| c.results.iter().map(move |r| (s, c, r))))
    }
}

impl TestResult {
    /// The name, under that of its case.
    fn full_name(&self, case: &TestCase) -> String {
        match &case.name {
            Some(name) => format!("{name}: {}", self.name),
            None => self.name.clone(),
        }
    }

    /// Why it ended so, with the rules that are to blame.
    fn lines(&self) -> Vec<String> {
        let mut out = self.facts.clone();
        for place in &self.policies {
            let at = match (&place.file, place.line) {
                (Some(file), Some(line)) => format!(", {file}:{line}"),
                (Some(file), None) => format!(", {file}"),
                _ => String::new(),
            };
            out.push(format!("{}{at}", place.what));
        }
        if let Some(reason) = &self.reason {
            out.push(format!("reason: {reason}"));
        }
        out
    }
}
