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

pub use text::{Paint, safe, wrapped};

/// The JSON schema of a machine output, or of a file that is read, by its name on the command line.
pub fn schema(what: &str) -> Option<String> {
    let schema = match what {
        "audit" => written::<audit::AuditReport>(),
        "audit-baseline" => written::<crate::analysis::audit::suppress::Baseline>(),
        "check" => written::<check::CheckReport>(),
        "graph-answer" => written::<graph::GraphAnswer>(),
        "graph" => written::<graph::GraphReport>(),
        "diff" => written::<diff::DiffReport>(),
        "why" => written::<why::WhyReport>(),
        "test" => schemars::schema_for!(crate::analysis::expect::file::ConnectivityTest),
        "test-report" => written::<expect::TestReport>(),
        "logs" => written::<logs::LogReport>(),
        _ => return None,
    };
    let mut text = serde_json::to_string_pretty(&schema).ok()?;
    text.push('\n');
    Some(text)
}

/// The schema of what is written: fields that are left out where they are empty aren't required.
fn written<T: schemars::JsonSchema>() -> schemars::Schema {
    schemars::generate::SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<T>()
}
