//! The answers of `test` as findings: what was not met, at the rules that are to blame and at the expectation.

use super::{TestPlace, TestReport};
use crate::report::finding::{Finding, Level, Location, Region, Rule};

const FAILED: Rule = Rule { id: "expectation-failed", summary: "A connectivity expectation is not met." };
const UNKNOWN: Rule =
    Rule { id: "expectation-unknown", summary: "Whether a connectivity expectation is met can't be told." };

/// A finding for each expectation that was not met.
pub fn findings(report: &TestReport) -> Vec<Finding> {
    let wrong = report.all().filter(|(.., r)| r.outcome != "passed");
    wrong
        .map(|(suite, case, result)| {
            let (rule, level) =
                if result.outcome == "failed" { (FAILED, Level::Error) } else { (UNKNOWN, Level::Warning) };
            let mut locations: Vec<Location> = result.policies.iter().filter_map(location).collect();
            let own = Location {
                file: suite.file.clone(),
                region: result.line.map(|line| Region { line, column: 1, end_line: line, end_column: 1 }),
                message: "expected here".to_owned(),
            };
            let mut related = locations.split_off(locations.len().min(1));
            // Where no policy is to blame, the expectation is all there is to show.
            if locations.is_empty() {
                locations.push(own)
            } else {
                related.push(own)
            }
            let mut message = result.full_name(case);
            for line in &result.facts {
                message.push_str(&format!("\n{line}"));
            }
            if let Some(reason) = &result.reason {
                message.push_str(&format!("\nreason: {reason}"));
            }
            let key = format!("{}|{}", suite.file, result.full_name(case));
            Finding { rule, level, message, locations, related, key }
        })
        .collect()
}

fn location(place: &TestPlace) -> Option<Location> {
    let region = match (place.line, place.column, place.end_line, place.end_column) {
        (Some(line), Some(column), Some(end_line), Some(end_column)) => {
            Some(Region { line, column, end_line, end_column })
        }
        _ => None,
    };
    Some(Location { file: place.file.clone()?, region, message: place.what.clone() })
}
