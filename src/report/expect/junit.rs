//! The answers of `test` as JUnit XML. Without times: equal inputs give equal files.
//!
//! There is no standard, but schemas of those who read it: the attributes are those that all of them know (Jenkins'
//! `junit-10.xsd`, JUnit 5's `jenkins-junit.xsd`, GitLab's documentation).

use std::borrow::Cow;
use std::fmt::Write;

use super::{TestReport, TestSuite};
use crate::report::safe;

/// How many expectations ended how.
#[derive(Clone, Copy, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
}

impl Counts {
    fn of(suite: &TestSuite) -> Self {
        let mut out = Self::default();
        for result in suite.cases.iter().flat_map(|c| &c.results) {
            out.tests += 1;
            match result.outcome.as_str() {
                "passed" => {}
                "failed" => out.failures += 1,
                _ => out.errors += 1,
            }
        }
        out
    }

    fn attributes(self) -> String {
        format!("tests=\"{}\" failures=\"{}\" errors=\"{}\"", self.tests, self.failures, self.errors)
    }
}

/// The document. What can't be told is an error, what is otherwise a failure.
pub fn junit(report: &TestReport) -> String {
    let counts: Vec<Counts> = report.suites.iter().map(Counts::of).collect();
    let all = counts.iter().fold(Counts::default(), |a, b| Counts {
        tests: a.tests + b.tests,
        failures: a.failures + b.failures,
        errors: a.errors + b.errors,
    });
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String never fails.
    let _ = writeln!(out, "<testsuites name=\"netcheck\" {}>", all.attributes());
    for (suite, counts) in report.suites.iter().zip(counts) {
        let _ = writeln!(out, "  <testsuite name=\"{}\" {}>", attribute(&suite.name), counts.attributes());
        for case in &suite.cases {
            for result in &case.results {
                let (name, class) = (result.full_name(case), &suite.file);
                let _ = write!(out, "    <testcase name=\"{}\" classname=\"{}\"", attribute(&name), attribute(class));
                let element = match result.outcome.as_str() {
                    "passed" => {
                        out.push_str("/>\n");
                        continue;
                    }
                    "failed" => "failure",
                    _ => "error",
                };
                let lines = result.lines();
                let message = attribute(lines.first().map_or("", String::as_str)).into_owned();
                let mut text = lines.join("\n");
                if !result.details.is_empty() {
                    let _ = write!(text, "\n\n{}", result.details);
                }
                let kind = if element == "failure" { "failed" } else { "unknown" };
                let _ = writeln!(
                    out,
                    ">\n      <{element} message=\"{message}\" type=\"{kind}\">{}</{element}>\n    </testcase>",
                    escaped(&text)
                );
            }
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// As text of an element.
fn escaped(text: &str) -> Cow<'_, str> {
    let text = safe(text);
    if !text.contains(|c| matches!(c, '&' | '<' | '>' | '"') || !allowed(c)) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if allowed(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    out.into()
}

/// As the value of an attribute, where a line feed would be read as a blank.
fn attribute(text: &str) -> Cow<'_, str> {
    let text = escaped(text);
    if text.contains(['\n', '\t']) { text.replace('\n', "&#10;").replace('\t', "&#9;").into() } else { text }
}

/// Characters that XML 1.0 has (section 2.2).
fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::{attribute, escaped};

    #[test]
    fn text_stays_text() {
        assert_eq!(escaped("a < b && \"c\""), "a &lt; b &amp;&amp; &quot;c&quot;");
        assert_eq!(attribute("two\nlines"), "two&#10;lines");
        assert_eq!(escaped("no \u{ffff} such"), "no \u{fffd} such");
    }
}
