//! Findings as annotations of a GitHub workflow: `::error file=…,line=…::message`.

use std::fmt::Write;

use super::finding::{Finding, Level};
use super::safe;

/// One line for each finding.
pub fn annotations(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let command = match finding.level {
            Level::Note => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let mut properties = Vec::new();
        if let Some(location) = finding.locations.first() {
            properties.push(format!("file={}", property(location.file.strip_prefix("./").unwrap_or(&location.file))));
            if let Some(region) = &location.region {
                properties.push(format!("line={}", region.line));
                properties.push(format!("endLine={}", region.end_line));
                // Columns of an annotation over several lines mean nothing.
                if region.line == region.end_line {
                    properties.push(format!("col={}", region.column));
                    properties.push(format!("endColumn={}", region.end_column));
                }
            }
        }
        properties.push(format!("title={}", property(&format!("netcheck: {}", finding.rule.id))));
        let mut message = finding.message.clone();
        for location in &finding.related {
            // Writing to a String never fails.
            let _ = write!(message, "\n{}: {}", location.short(), location.message);
        }
        let _ = writeln!(out, "::{command} {}::{}", properties.join(","), data(&message));
    }
    out
}

/// As the toolkit's `escapeData` does.
fn data(text: &str) -> String {
    safe(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As the toolkit's `escapeProperty` does.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::finding::{Location, Region, Rule};

    #[test]
    fn text_can_not_start_another_command() {
        let location = Location {
            file: "a,b:c.yaml".to_owned(),
            region: Some(Region { line: 3, column: 2, end_line: 3, end_column: 9 }),
            message: String::new(),
        };
        let finding = Finding {
            rule: Rule { id: "x", summary: "" },
            level: Level::Error,
            message: "100% of\n::error::it".to_owned(),
            locations: vec![location],
            related: Vec::new(),
            key: String::new(),
        };
        assert_eq!(
            annotations(&[finding]),
            "::error file=a%2Cb%3Ac.yaml,line=3,endLine=3,col=2,endColumn=9,title=netcheck%3A x::100%25 of%0A::error::it\n"
        );
    }
}
