//! The answer of `logs`: connection errors of a log, for machines and for people.

use schemars::JsonSchema;
use serde::Serialize;

use super::check::API_VERSION;
use super::{Paint, safe};
use crate::analysis::logs::{Evidence, LogError, Scan};

/// The connection errors of one log.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogReport {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `LogReport`.
    pub kind: String,
    /// Lines read.
    pub lines: usize,
    /// Connection errors, in the order of their lines.
    pub errors: Vec<LogErrorResult>,
    /// Errors of the application's own: memory, permissions, credentials, crashes.
    pub evidence: Vec<LogEvidenceResult>,
    /// Distinct errors that were too many to keep.
    pub dropped: usize,
}

/// A connection error.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogErrorResult {
    /// `timeout`, `refused`, `reset`, `unreachable`, `dns-nxdomain`, `dns-timeout`, `dns-servfail`, `tls`, `pool`,
    /// `context`.
    pub class: String,
    /// False where the line alone does not settle the class.
    pub certain: bool,
    /// Name or address that was dialled or looked up, where the log says it.
    pub host: Option<String>,
    /// Port that was dialled, where the log says it.
    pub port: Option<u16>,
    /// The line as it was written, without credentials.
    pub line: String,
    /// Number of the line, from 1.
    pub line_number: usize,
    /// Number of the last line that says the same.
    pub last_line: usize,
    /// How often it was said.
    pub count: usize,
    /// True where the other end is a client of this process.
    pub inbound: bool,
    /// The host's other spelling: its address or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Scheme of the URL that was dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Language, driver or program that prints such lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// `HOST:PORT` that a line before it names, where it names none itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// An error of the application's own.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogEvidenceResult {
    /// What kind: `permission`, `auth-failed`, `app-error` …
    pub kind: String,
    /// The line, without credentials.
    pub line: String,
    /// Number of the line, from 1.
    pub line_number: usize,
    /// How often it was said.
    pub count: usize,
}

/// The machine-readable answer.
pub fn report(scan: &Scan) -> LogReport {
    LogReport {
        api_version: API_VERSION.to_owned(),
        kind: "LogReport".to_owned(),
        lines: scan.lines,
        errors: scan.errors.iter().map(error).collect(),
        evidence: scan.evidence.iter().map(evidence).collect(),
        dropped: scan.dropped,
    }
}

fn error(error: &LogError) -> LogErrorResult {
    LogErrorResult {
        class: error.class.to_string(),
        certain: error.certain,
        host: error.host.clone(),
        port: error.port,
        line: error.line.clone(),
        line_number: error.line_number,
        last_line: error.last_line,
        count: error.count,
        inbound: error.inbound,
        alias: error.alias.clone(),
        scheme: error.scheme.clone(),
        runtime: error.runtime.map(str::to_owned),
        hint: error.hint.as_ref().and_then(|hint| address(hint.host.as_deref(), hint.port)),
    }
}

/// The name of a kind of evidence, as its serialised form spells it.
pub fn kind_name(evidence: &Evidence) -> String {
    serde_json::to_value(evidence.kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn evidence(evidence: &Evidence) -> LogEvidenceResult {
    LogEvidenceResult {
        kind: kind_name(evidence),
        line: evidence.line.clone(),
        line_number: evidence.line_number,
        count: evidence.count,
    }
}

fn address(host: Option<&str>, port: Option<u16>) -> Option<String> {
    match (host, port) {
        (Some(host), Some(port)) if host.contains(':') => Some(format!("[{host}]:{port}")),
        (Some(host), Some(port)) => Some(format!("{host}:{port}")),
        (Some(host), None) => Some(host.to_owned()),
        (None, Some(port)) => Some(format!(":{port}")),
        (None, None) => None,
    }
}

/// The answer for people: a block for each error, the line quoted under it.
pub fn render(scan: &Scan, paint: Paint) -> String {
    let mut out = String::new();
    for error in &scan.errors {
        let class = if error.certain { error.class.to_string() } else { format!("{}?", error.class) };
        let target = match (address(error.host.as_deref(), error.port), &error.hint) {
            (Some(target), _) => target,
            (None, Some(hint)) => match address(hint.host.as_deref(), hint.port) {
                Some(target) => format!("{target} (named by a line before)"),
                None => "no address in the line".to_owned(),
            },
            (None, None) => "no address in the line".to_owned(),
        };
        let times = if error.count > 1 { format!(", {} times", error.count) } else { String::new() };
        let inbound = if error.inbound { ", from a client" } else { "" };
        out.push_str(&format!(
            "{} {} {}\n    {}\n",
            paint.bold(&class),
            safe(&target),
            paint.dim(&format!("line {}{times}{inbound}", error.line_number)),
            safe(&error.line)
        ));
    }
    for evidence in &scan.evidence {
        out.push_str(&format!(
            "{} {}\n    {}\n",
            paint.bold(&kind_name(evidence)),
            paint.dim(&format!("line {}", evidence.line_number)),
            safe(&evidence.line)
        ));
    }
    if scan.errors.is_empty() {
        out.push_str(&format!("no connection errors in {} lines\n", scan.lines));
    }
    if scan.dropped > 0 {
        out.push_str(&format!("{} more errors are left out\n", scan.dropped));
    }
    out
}
