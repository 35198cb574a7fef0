//! Findings and diagnostics as text and as machine-readable documents. Decisions are not made here.

pub mod audit;
pub mod check;
pub mod diff;
pub mod expect;
pub mod finding;
pub mod github;
pub mod graph;
pub mod logs;
pub mod markdown;
pub mod packets;
pub mod sarif;
pub mod snapshot;
pub mod snippet;
mod text;
pub mod why;

pub use text::{Paint, safe};

/// The JSON schema of a machine output, by its name on the command line.
pub fn schema(what: &str) -> Option<String> {
    let schema = match what {
        "audit" => schemars::schema_for!(audit::AuditReport),
        "audit-baseline" => schemars::schema_for!(crate::analysis::audit::suppress::Baseline),
        "check" => schemars::schema_for!(check::CheckReport),
        "graph-answer" => schemars::schema_for!(graph::GraphAnswer),
        "graph" => schemars::schema_for!(graph::GraphReport),
        "diff" => schemars::schema_for!(diff::DiffReport),
        "why" => schemars::schema_for!(why::WhyReport),
        "test" => schemars::schema_for!(crate::analysis::expect::file::ConnectivityTest),
        "test-report" => schemars::schema_for!(expect::TestReport),
        "logs" => schemars::schema_for!(logs::LogReport),
        _ => return None,
    };
    let mut text = serde_json::to_string_pretty(&schema).ok()?;
    text.push('\n');
    Some(text)
}
