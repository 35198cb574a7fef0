//! The answers of `test` for people.

use std::fmt::Write;

use super::TestReport;
use crate::report::text::{Paint, safe};

/// A line for each expectation, with what is to blame under those that were not met.
pub fn render(report: &TestReport, paint: Paint) -> String {
    let mut out = String::new();
    let mut last = "";
    for (suite, case, result) in report.all() {
        if suite.file != last {
            // Writing to a String never fails.
            let _ = writeln!(out, "{}", paint.bold(&safe(&suite.file)));
            last = &suite.file;
        }
        let word = match result.outcome.as_str() {
            "passed" => paint.green("ok     "),
            "failed" => paint.red("FAILED "),
            _ => paint.yellow("unknown"),
        };
        let _ = writeln!(out, "  {word} {}", safe(&result.full_name(case)));
        if result.outcome == "passed" {
            continue;
        }
        if let Some(line) = result.line {
            let _ = writeln!(out, "          {}", paint.dim(&safe(&format!("expected at {}:{line}", suite.file))));
        }
        for line in result.lines() {
            let _ = writeln!(out, "          {}", safe(&line));
        }
        for line in result.details.lines() {
            let _ = if line.is_empty() { writeln!(out) } else { writeln!(out, "          {}", safe(line)) };
        }
    }
    let s = report.summary;
    let _ = write!(out, "\n{} passed, {} failed", s.passed, s.failed);
    if s.unknown > 0 {
        let _ = write!(out, ", {} can't be told", s.unknown);
    }
    out.push('\n');
    if let Some(packets) = &report.packets {
        out.push_str(&crate::report::packets::text(packets, paint));
    }
    out
}
