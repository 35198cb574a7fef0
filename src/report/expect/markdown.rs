//! The answers of `test` as a comment on a pull request.

use std::fmt::Write;

use super::TestReport;
use crate::report::markdown::{block, code, text};

/// How many expectations are told; a comment has a limit of its own.
const MOST: usize = 50;

/// The comment: what was not met, with what is to blame.
pub fn markdown(report: &TestReport) -> String {
    let s = report.summary;
    let mut out = format!("### Connectivity expectations\n\n{} passed, {} failed", s.passed, s.failed);
    if s.unknown > 0 {
        // Writing to a String never fails.
        let _ = write!(out, ", {} can't be told", s.unknown);
    }
    out.push_str(".\n");
    let wrong: Vec<_> = report.all().filter(|(.., r)| r.outcome != "passed").collect();
    for (suite, case, result) in wrong.iter().take(MOST) {
        let place = result.line.map_or_else(|| suite.file.clone(), |line| format!("{}:{line}", suite.file));
        let _ = writeln!(out, "\n#### {}: {}\n\n{}\n", result.outcome, text(&result.full_name(case)), code(&place));
        for line in result.lines() {
            let _ = writeln!(out, "- {}", text(&line));
        }
        if !result.details.is_empty() {
            let _ = write!(out, "\n<details><summary>Where</summary>\n\n{}\n</details>\n", block(&result.details));
        }
    }
    if wrong.len() > MOST {
        let _ = writeln!(out, "\n{} more are left out.", wrong.len() - MOST);
    }
    out
}
