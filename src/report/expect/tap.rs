//! The answers of `test` in the Test Anything Protocol, version 13.

use std::fmt::Write;

use super::TestReport;
use crate::report::safe;

/// A line for each expectation, with a YAML block under those that were not met.
pub fn tap(report: &TestReport) -> String {
    let total = report.all().count();
    let mut out = format!("TAP version 13\n1..{total}\n");
    for (number, (suite, case, result)) in report.all().enumerate() {
        // `#` starts a directive, and a line feed another line.
        let name = safe(&result.full_name(case)).replace('\n', " ").replace('#', "\\#");
        let word = if result.outcome == "passed" { "ok" } else { "not ok" };
        // Writing to a String never fails.
        let _ = writeln!(out, "{word} {} - {name}", number + 1);
        if result.outcome == "passed" {
            continue;
        }
        let text = |t: &str| serde_json::Value::from(&*safe(t)).to_string();
        let _ = writeln!(out, "  ---\n  outcome: {}\n  file: {}", result.outcome, text(&suite.file));
        if let Some(line) = result.line {
            let _ = writeln!(out, "  line: {line}");
        }
        let _ = writeln!(out, "  facts:");
        for line in result.lines() {
            let _ = writeln!(out, "    - {}", text(&line));
        }
        out.push_str("  ...\n");
    }
    out
}
