//! An audit into its machine-readable document.

use super::{
    API_VERSION, AuditReport, FindingResult, FixResult, IsolationResult, NamespaceResult, ObjectResult, PlaceResult,
    SummaryResult, WorkloadResult,
};
use crate::analysis::audit::suppress::Disposition;
use crate::analysis::audit::{Finding, Isolation, WorkloadState};
use crate::model::Cluster;
use crate::policy::Policies;
use crate::source::{Label, Place, Severity, SourceMap};

/// An audit with what became of its findings, as `commands` hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its policies.
    pub policies: &'a Policies,
    /// The texts.
    pub sources: &'a SourceMap,
    /// Profile of the network plugin.
    pub cni: &'a str,
    /// Workloads, by namespace.
    pub workloads: &'a [WorkloadState],
    /// Findings.
    pub findings: &'a [(Finding, Disposition)],
    /// Entries of the baseline that are gone.
    pub gone: usize,
    /// What packets confirmed.
    pub packets: Option<&'a crate::analysis::probe::Tally>,
}

impl Audited<'_> {
    /// Counts.
    pub(super) fn summary(&self) -> SummaryResult {
        let mut out = SummaryResult { baseline_gone: self.gone, workloads: self.workloads.len(), ..Default::default() };
        for (finding, disposition) in self.findings {
            match (disposition, finding.severity()) {
                (Disposition::Suppressed { .. }, _) => out.suppressed += 1,
                (Disposition::Known, _) => out.baseline += 1,
                (Disposition::Active, Severity::Error) => out.errors += 1,
                (Disposition::Active, Severity::Warning) => out.warnings += 1,
                (Disposition::Active, Severity::Note) => out.notes += 1,
            }
        }
        out.namespaces = self.workloads.chunk_by(|a, b| a.namespace == b.namespace).count();
        out.policies = self.policies.info.len() + self.policies.unsupported.len();
        out
    }
}

/// The machine-readable document.
pub fn report(audited: &Audited<'_>) -> AuditReport {
    let namespaces = audited.workloads.chunk_by(|a, b| a.namespace == b.namespace).map(|workloads| NamespaceResult {
        name: workloads
            .first()
            .map_or_else(String::new, |w| audited.cluster.namespaces[w.namespace.index()].name.to_string()),
        workloads: workloads.iter().map(|w| workload(audited, w)).collect(),
    });
    // A place in a dump that isn't kept is found by reading the file again.
    let mut reads = 200;
    AuditReport {
        api_version: API_VERSION.to_owned(),
        kind: "AuditReport".to_owned(),
        cni: audited.cni.to_owned(),
        summary: audited.summary(),
        namespaces: namespaces.collect(),
        findings: audited.findings.iter().map(|(f, d)| finding(audited, f, d, &mut reads)).collect(),
        packets: audited.packets.map(crate::report::packets::PacketsResult::from),
    }
}

fn workload(audited: &Audited<'_>, workload: &WorkloadState) -> WorkloadResult {
    let pods = workload.pods.iter().map(|p| &audited.cluster.pods[p.index()]).filter(|p| !p.template);
    WorkloadResult {
        kind: workload.kind.clone(),
        name: workload.name.clone(),
        pods: pods.map(|p| p.name.to_string()).collect(),
        host_network: workload.host_network,
        ingress: isolation(audited, &workload.ingress),
        egress: isolation(audited, &workload.egress),
    }
}

fn isolation(audited: &Audited<'_>, isolation: &Isolation) -> IsolationResult {
    let names = |ids: &[crate::policy::PolicyId]| ids.iter().map(|p| audited.policies.info(*p).reference()).collect();
    IsolationResult {
        isolated: !isolation.by.is_empty(),
        by: names(&isolation.by),
        judged_by: names(&isolation.judged_by),
    }
}

/// `error`, `warning`, `note`.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn finding(audited: &Audited<'_>, finding: &Finding, disposition: &Disposition, reads: &mut usize) -> FindingResult {
    let diagnostic = &finding.diagnostic;
    let (state, reason, by) = match disposition {
        Disposition::Active => ("active", None, None),
        Disposition::Known => ("baseline", None, None),
        Disposition::Suppressed { reason, by } => ("suppressed", Some(reason.clone()), Some(by.clone())),
    };
    FindingResult {
        code: finding.code.id.to_owned(),
        name: finding.code.slug.to_owned(),
        severity: severity(finding.severity()).to_owned(),
        message: diagnostic.message.clone(),
        object: ObjectResult {
            kind: finding.object.kind.clone(),
            namespace: finding.object.namespace.clone(),
            name: finding.object.name.clone(),
        },
        key: finding.key.clone(),
        places: diagnostic.labels.iter().map(|l| place(audited.sources, l, reads)).collect(),
        notes: diagnostic.notes.clone(),
        helps: diagnostic.helps.clone(),
        fix: finding.fix.as_ref().map(|edit| FixResult {
            step: edit.steps.join("; "),
            apply: edit.command(),
            undo: edit.undo_command(),
        }),
        state: state.to_owned(),
        reason,
        suppressed_by: by,
        docs: finding.code.page(),
    }
}

fn place(sources: &SourceMap, label: &Label, reads: &mut usize) -> PlaceResult {
    let (source, path) = match &label.place {
        Place::Field { origin, path, .. } => (origin.source, path.to_string()),
        Place::Bytes { source, .. } => (*source, String::new()),
    };
    let cheap = sources.text(source).is_some();
    let span = if cheap || *reads > 0 { sources.span(&label.place) } else { None };
    if !cheap {
        *reads = reads.saturating_sub(1);
    }
    let span = span.filter(|_| sources.has_lines(source));
    PlaceResult {
        file: sources.name(source).to_owned(),
        line: span.as_ref().map(|s| s.line),
        column: span.as_ref().map(|s| s.column),
        path,
        text: label.text.clone(),
        primary: label.primary,
    }
}
