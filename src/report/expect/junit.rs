//! The answers of `test` as JUnit XML. Without times: equal inputs give equal files.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::TestReport;
use crate::report::safe;

/// The document; an error where it can't be written.
pub fn junit(report: &TestReport) -> Result<String, String> {
    let mut out = Report::new("netcheck");
    for suite in &report.suites {
        let mut into = TestSuite::new(safe(&suite.name).into_owned());
        for case in &suite.cases {
            for result in &case.results {
                let status = match result.outcome.as_str() {
                    "passed" => TestCaseStatus::success(),
                    outcome => {
                        let kind = if outcome == "failed" { NonSuccessKind::Failure } else { NonSuccessKind::Error };
                        let mut status = TestCaseStatus::non_success(kind);
                        let lines = result.lines();
                        status.set_message(safe(lines.first().map_or("", String::as_str)).into_owned());
                        status.set_type(if outcome == "failed" { "failed" } else { "unknown" });
                        let mut text = lines.join("\n");
                        if !result.details.is_empty() {
                            text.push_str(&format!("\n\n{}", result.details));
                        }
                        status.set_description(safe(&text).into_owned());
                        status
                    }
                };
                let mut test = TestCase::new(safe(&result.full_name(case)).into_owned(), status);
                test.set_classname(safe(&suite.file).into_owned());
                into.add_test_case(test);
            }
        }
        out.add_test_suite(into);
    }
    out.to_string().map_err(|e| e.to_string())
}
