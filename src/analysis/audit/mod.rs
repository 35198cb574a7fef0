//! What a cluster's policies really do, and what is probably wrong with them.
//!
//! A cluster, its policies and a profile come in; who is isolated by which policies, and findings with stable codes
//! ([`codes`]) go out, drawn as diagnostics on the policies' own lines. Each family of findings is a file. A finding is only
//! made of what is known: where the objects given are a part of a cluster, what lies outside them is no finding.
//! How findings are suppressed and which fail a run is in [`suppress`]; printing is `report`'s work.

mod addresses;
mod clusterwide;
pub mod codes;
mod cover;
mod exposure;
mod facts;
mod isolation;
mod outside;
mod ports;
mod rules;
mod selectors;
mod services;
pub mod suppress;

use crate::analysis::fix::{Edit, EditTarget, Op, Patch};
use crate::model::{Cluster, NamespaceId, PodId};
use crate::policy::{Direction, Policies, PolicyId, PolicyInfo, Profile};
use crate::reach::Evaluator;
use crate::source::{Diagnostic, FieldPath, Part, Severity, SourceMap};

pub use codes::Code;
use facts::Facts;

/// The object that a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Kind.
    pub kind: String,
    /// Namespace; none for cluster-wide kinds.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for ObjectRef {
    /// `Kind/namespace/name`, or `Kind/name`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

impl ObjectRef {
    fn policy(info: &PolicyInfo) -> Self {
        Self {
            kind: info.kind.name().to_owned(),
            namespace: info.namespace.as_deref().map(str::to_owned),
            name: info.name.to_string(),
        }
    }

    /// The namespace it belongs to: its own name for a namespace.
    pub fn within(&self) -> Option<&str> {
        if self.kind == "Namespace" { Some(&self.name) } else { self.namespace.as_deref() }
    }
}

/// Something that is probably wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its code.
    pub code: &'static Code,
    /// What it is about.
    pub object: ObjectRef,
    /// What tells it from other findings of this code on this object, without files and lines: a baseline holds it.
    pub key: String,
    /// The message, with places.
    pub diagnostic: Diagnostic,
    /// The edit that mends it, where there is no doubt.
    pub fix: Option<Box<Edit>>,
}

impl Finding {
    /// How grave it is.
    pub fn severity(&self) -> Severity {
        self.diagnostic.severity
    }

    fn new(code: &'static Code, object: ObjectRef, key: impl Into<String>, message: impl Into<String>) -> Self {
        let diagnostic = Diagnostic::new(code.severity, message).code(code.id);
        Self { code, object, key: key.into(), diagnostic, fix: None }
    }

    fn on_policy(code: &'static Code, info: &PolicyInfo, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, ObjectRef::policy(info), key, message)
    }

    fn at(mut self, info: &PolicyInfo, path: FieldPath, part: Part, text: impl Into<String>) -> Self {
        self.diagnostic = self.diagnostic.at(info.origin, path, part, text);
        self
    }

    fn context(mut self, info: &PolicyInfo, path: FieldPath, part: Part, text: impl Into<String>) -> Self {
        self.diagnostic = self.diagnostic.context(info.origin, path, part, text);
        self
    }

    fn note(mut self, text: impl Into<String>) -> Self {
        self.diagnostic = self.diagnostic.note(text);
        self
    }

    fn help(mut self, text: impl Into<String>) -> Self {
        self.diagnostic = self.diagnostic.help(text);
        self
    }

    fn only_note(mut self) -> Self {
        self.diagnostic.severity = Severity::Note;
        self
    }

    /// With the edit that mends it. The whole object is needed to make the command that takes the edit back.
    fn fixed(mut self, sources: &SourceMap, info: &PolicyInfo, op: Op, step: String) -> Self {
        let patch = Patch(vec![op]);
        let made = sources.value(info.origin).and_then(|before| {
            let (after, undo) = (patch.apply(&before)?, patch.undo(&before)?);
            Some((before, after, undo))
        });
        if let Some((before, after, undo)) = made {
            let edit = Edit {
                target: EditTarget::Existing { origin: info.origin, before, patch, undo },
                kind: info.kind,
                namespace: info.namespace.as_deref().map(str::to_owned),
                name: info.name.to_string(),
                steps: vec![step],
                after,
                owner: None,
            };
            self.diagnostic = self.diagnostic.help(format!("apply: {}", edit.command()));
            self.fix = Some(Box::new(edit));
        }
        self
    }
}

/// Whether the pods of a workload are isolated in a direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// NetworkPolicies that isolate them; without any they are open.
    pub by: Vec<PolicyId>,
    /// Cluster-wide policies that select them: these judge, and isolate nothing.
    pub judged_by: Vec<PolicyId>,
}

/// The pods of one workload that the same policies select.
#[derive(Clone, Debug)]
pub struct WorkloadState {
    /// Namespace.
    pub namespace: NamespaceId,
    /// Kind of the workload, `Pod` for pods without one.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The pods; a template stands for its pods.
    pub pods: Vec<PodId>,
    /// Whether they share their node's network: policies don't select them.
    pub host_network: bool,
    /// Towards the pods.
    pub ingress: Isolation,
    /// From the pods.
    pub egress: Isolation,
}

/// What the audit of a cluster found.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Workloads, by namespace and name.
    pub workloads: Vec<WorkloadState>,
    /// Findings, the graver first within each namespace.
    pub findings: Vec<Finding>,
}

/// What an audit is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// These namespaces alone; cluster-wide policies are left out then.
    pub only: Option<&'a [NamespaceId]>,
    /// The objects are known to be a part of the cluster: some may not be read.
    pub partial: bool,
}

/// Audits a cluster.
pub fn audit(
    cluster: &Cluster,
    policies: &Policies,
    profile: &Profile,
    sources: &SourceMap,
    scope: Scope<'_>,
) -> Audit {
    let evaluator = Evaluator::new(cluster, policies, profile);
    let facts = Facts::new(&evaluator, profile, sources, scope.partial);
    let mut findings = Vec::new();
    selectors::find(&facts, &mut findings);
    ports::find(&facts, &mut findings);
    rules::find(&facts, &mut findings);
    isolation::find(&facts, &mut findings);
    outside::find(&facts, &mut findings);
    exposure::find(&facts, &mut findings);
    services::find(&facts, &mut findings);
    addresses::find(&facts, &mut findings);
    clusterwide::find(&facts, &mut findings);
    let mut workloads = facts.workloads();
    if let Some(only) = scope.only {
        workloads.retain(|w| only.contains(&w.namespace));
        let named: Vec<&str> = only.iter().map(|n| &*cluster.namespaces[n.index()].name).collect();
        findings.retain(|f| f.object.within().is_some_and(|n| named.contains(&n)));
    }
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (f.object.within().map(str::to_owned), std::cmp::Reverse(f.severity()), f.code.id);
        key(a).cmp(&key(b)).then_with(|| a.object.cmp(&b.object)).then_with(|| a.key.cmp(&b.key))
    });
    Audit { workloads, findings }
}

/// Both directions.
const DIRECTIONS: [Direction; 2] = [Direction::Ingress, Direction::Egress];

/// `` `a`, `b` and 3 more``.
fn listed(names: impl IntoIterator<Item = impl AsRef<str>>, most: usize) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{}`", n.as_ref())).collect();
    match names.len() {
        n if n > most => format!("{} and {} more", names[..most].join(", "), n - most),
        0 | 1 => names.concat(),
        n => format!("{} and {}", names[..n - 1].join(", "), names[n - 1]),
    }
}
