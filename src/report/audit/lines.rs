//! Active findings as the formats of other programs take them: one finding, its lines, what to do.

use super::build::Audited;
use crate::analysis::audit::Finding;
use crate::analysis::audit::suppress::Disposition;
use crate::report::finding::{Finding as Line, Level, Location, Rule};
use crate::source::{Label, Place, Severity, SourceMap};

/// The findings that are neither suppressed nor in the baseline.
pub fn findings(audited: &Audited<'_>) -> Vec<Line> {
    let active = audited.findings.iter().filter(|(_, d)| *d == Disposition::Active);
    active.map(|(finding, _)| line(audited.sources, finding)).collect()
}

fn line(sources: &SourceMap, finding: &Finding) -> Line {
    let diagnostic = &finding.diagnostic;
    let places = |primary: bool| -> Vec<Location> {
        diagnostic.labels.iter().filter(|l| l.primary == primary).filter_map(|l| location(sources, l)).collect()
    };
    let facts = diagnostic.notes.iter().chain(&diagnostic.helps);
    let message: Vec<&str> = std::iter::once(&diagnostic.message).chain(facts).map(String::as_str).collect();
    Line {
        rule: Rule { id: finding.code.id, summary: finding.code.title },
        level: match finding.severity() {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Note => Level::Note,
        },
        message: message.join("\n"),
        locations: places(true),
        related: places(false),
        key: format!("{} {} {}", finding.code.id, finding.object, finding.key),
    }
}

fn location(sources: &SourceMap, label: &Label) -> Option<Location> {
    match &label.place {
        Place::Field { origin, path, .. } => Location::of(sources, *origin, path, label.text.clone()),
        // No finding is about bytes that are no object.
        Place::Bytes { .. } => None,
    }
}
