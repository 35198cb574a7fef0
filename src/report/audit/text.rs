//! The audit for people: who is isolated by what, then the findings drawn on the policies' lines, then one line that sums up.

use std::fmt::Write;

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Modify, Padding, Style};

use super::build::{Audited, severity};
use crate::analysis::audit::suppress::Disposition;
use crate::analysis::audit::{Finding, Isolation};
use crate::report::{Paint, safe, snippet};
use crate::source::Severity;

/// How an audit is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawing {
    /// Colours.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Everything: every workload, every finding, suppressed ones too.
    pub wide: bool,
}

/// Findings of one code that are drawn before the others are counted.
const MOST_OF_A_CODE: usize = 8;
/// Workloads that are listed before the others are counted.
const MOST_WORKLOADS: usize = 40;
/// Policies that a cell names.
const MOST_POLICIES: usize = 3;

/// Draws an audit.
pub fn render(audited: &Audited<'_>, drawing: Drawing) -> String {
    let paint = Paint(drawing.color);
    let mut out = table(audited, drawing);
    let mut hidden: Vec<(&str, usize)> = Vec::new();
    let mut drawn: Vec<(&str, usize)> = Vec::new();
    let mut heading = None;
    for (finding, disposition) in audited.findings {
        match disposition {
            Disposition::Active => {}
            Disposition::Known | Disposition::Suppressed { .. } => {
                if drawing.wide {
                    out.push_str(&quiet(finding, disposition, paint));
                }
                continue;
            }
        }
        let count = counted(&mut drawn, finding.code.id);
        if count > MOST_OF_A_CODE && !drawing.wide {
            counted(&mut hidden, finding.code.id);
            continue;
        }
        let within = finding.object.within();
        if heading != Some(within) {
            heading = Some(within);
            let name = within.map_or_else(|| "the cluster".to_owned(), |n| format!("namespace {}", safe(n)));
            let _ = writeln!(out, "\n{}", paint.bold(&name));
        }
        out.push('\n');
        out.push_str(&snippet::render(&finding.diagnostic, audited.sources, drawing.color, drawing.width));
    }
    if !hidden.is_empty() {
        out.push('\n');
    }
    for (code, count) in hidden {
        let _ = writeln!(out, "… {count} more of {code}, with -o wide");
    }
    let _ = writeln!(out, "\n{}", summary(audited, paint));
    if let Some(packets) = audited.packets {
        out.push_str(&crate::report::packets::text(&packets.into(), paint));
    }
    out
}

fn counted<'c>(counts: &mut Vec<(&'c str, usize)>, code: &'c str) -> usize {
    if let Some((_, count)) = counts.iter_mut().find(|(c, _)| *c == code) {
        *count += 1;
        return *count;
    }
    counts.push((code, 1));
    1
}

fn quiet(finding: &Finding, disposition: &Disposition, paint: Paint) -> String {
    let why = match disposition {
        Disposition::Suppressed { reason, by } => format!("suppressed: {reason} ({by})"),
        _ => "in the baseline".to_owned(),
    };
    let text = format!(
        "\n{}[{}]: {}\n  {}\n",
        severity(finding.severity()),
        finding.code.id,
        safe(&finding.diagnostic.message),
        safe(&why)
    );
    paint.dim(&text)
}

fn table(audited: &Audited<'_>, drawing: Drawing) -> String {
    let paint = Paint(drawing.color);
    let mut builder = Builder::default();
    builder.push_record(["NAMESPACE", "WORKLOAD", "PODS", "INGRESS", "EGRESS"].map(|h| paint.dim(h)));
    let most = if drawing.wide { usize::MAX } else { MOST_WORKLOADS };
    for workload in audited.workloads.iter().take(most) {
        let namespace = &audited.cluster.namespaces[workload.namespace.index()].name;
        let templates = workload.pods.iter().all(|p| audited.cluster.pods[p.index()].template);
        let pods = if templates { "template".to_owned() } else { workload.pods.len().to_string() };
        let cell = |isolation| match workload.host_network {
            true => paint.dim("node's network"),
            false => cell(audited, isolation, drawing.wide, paint),
        };
        builder.push_record([
            safe(namespace).into_owned(),
            safe(&format!("{}/{}", workload.kind.to_ascii_lowercase(), workload.name)).into_owned(),
            pods,
            cell(&workload.ingress),
            cell(&workload.egress),
        ]);
    }
    let mut table = builder.build();
    table.with(Style::empty()).with(Modify::new(Columns::new(..)).with(Padding::new(0, 2, 0, 0)));
    let mut out = String::new();
    for line in table.to_string().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if audited.workloads.len() > most {
        let _ = writeln!(out, "… {} more workloads, with -o wide", audited.workloads.len() - most);
    }
    out
}

fn cell(audited: &Audited<'_>, isolation: &Isolation, wide: bool, paint: Paint) -> String {
    let names = |ids: &[crate::policy::PolicyId]| {
        let most = if wide { usize::MAX } else { MOST_POLICIES };
        let mut all: Vec<String> =
            ids.iter().take(most).map(|p| safe(&audited.policies.info(*p).name).into_owned()).collect();
        if ids.len() > most {
            all.push(format!("+{}", ids.len() - most));
        }
        all.join(", ")
    };
    let mut out = match isolation.by.as_slice() {
        [] => paint.yellow("open"),
        by => format!("by {}", names(by)),
    };
    if !isolation.judged_by.is_empty() {
        let _ = write!(out, " (judged by {})", names(&isolation.judged_by));
    }
    out
}

fn summary(audited: &Audited<'_>, paint: Paint) -> String {
    let s = audited.summary();
    let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let over = format!(
        "{}, {}, {}",
        count(s.namespaces, "namespace"),
        count(s.workloads, "workload"),
        if s.policies == 1 { "1 policy".to_owned() } else { format!("{} policies", s.policies) }
    );
    let total = s.errors + s.warnings + s.notes;
    let mut out = if total == 0 {
        format!("{} in {over}", paint.green("no findings"))
    } else {
        let mut parts = Vec::new();
        for (n, one, severity) in [
            (s.errors, "error", Severity::Error),
            (s.warnings, "warning", Severity::Warning),
            (s.notes, "note", Severity::Note),
        ] {
            if n > 0 {
                let text = count(n, one);
                parts.push(match severity {
                    Severity::Error => paint.red(&text),
                    Severity::Warning => paint.yellow(&text),
                    Severity::Note => text,
                });
            }
        }
        format!("{}: {} in {over}", count(total, "finding"), parts.join(", "))
    };
    if s.suppressed > 0 {
        let _ = write!(out, "; {} suppressed", s.suppressed);
    }
    if s.baseline > 0 {
        let _ = write!(out, "; {} in the baseline", s.baseline);
    }
    if s.baseline_gone > 0 {
        let _ = write!(out, "; {} of the baseline are gone", s.baseline_gone);
    }
    out
}
