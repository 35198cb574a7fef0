//! Findings as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), for code scanning.

use serde_json::{Value, json};

use super::finding::{Finding, Level, Location, Rule};
use super::safe;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The log of one run.
pub fn log(findings: &[Finding]) -> Value {
    let mut rules: Vec<Rule> = Vec::new();
    for finding in findings {
        if !rules.iter().any(|r| r.id == finding.rule.id) {
            rules.push(finding.rule);
        }
    }
    rules.sort_by_key(|r| r.id);
    let results: Vec<Value> = findings.iter().map(|f| result(f, &rules)).collect();
    let rules: Vec<Value> =
        rules.iter().map(|r| json!({"id": r.id, "shortDescription": {"text": r.summary}})).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "netcheck",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding, rules: &[Rule]) -> Value {
    let level = match finding.level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let mut out = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": rules.iter().position(|r| r.id == finding.rule.id),
        "level": level,
        "message": {"text": safe(&finding.message)},
        "locations": finding.locations.iter().map(|l| location(l, None)).collect::<Vec<_>>(),
        "partialFingerprints": {"netcheck/v1": safe(&finding.key)},
    });
    if !finding.related.is_empty() {
        let related = finding.related.iter().enumerate().map(|(n, l)| location(l, Some(n + 1)));
        out["relatedLocations"] = related.collect();
    }
    out
}

fn location(location: &Location, id: Option<usize>) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(&location.file)}});
    if let Some(region) = &location.region {
        physical["region"] = json!({
            "startLine": region.line,
            "startColumn": region.column,
            "endLine": region.end_line,
            "endColumn": region.end_column,
        });
    }
    let mut out = json!({"physicalLocation": physical});
    if !location.message.is_empty() {
        out["message"] = json!({"text": safe(&location.message)});
    }
    if let Some(id) = id {
        out["id"] = json!(id);
    }
    out
}

/// A path as a URI reference (RFC 3986), relative where the path is.
fn uri(path: &str) -> String {
    let path = if path == "-" { "stdin" } else { path.strip_prefix("./").unwrap_or(path) };
    let mut out = String::with_capacity(path.len() + 8);
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            b'\\' => out.push('/'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("deploy/a b.yaml"), "deploy/a%20b.yaml");
        assert_eq!(uri("./deploy/ü:x.yaml"), "deploy/%C3%BC%3Ax.yaml");
        assert_eq!(uri("/srv/x.yaml"), "file:///srv/x.yaml");
        assert_eq!(uri("-"), "stdin");
    }
}
