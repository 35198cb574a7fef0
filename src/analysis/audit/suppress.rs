//! Findings that are known and accepted: annotations, a configuration file, a baseline; and which findings fail a run.
//!
//! A suppression is on purpose and for ever: it names its reason, and one that matches nothing any more is a finding
//! itself. A baseline is for what was there before: it holds no reasons, and is meant to shrink.

use serde::{Deserialize, Serialize};

use super::codes::{self, Code};
use super::{Finding, ObjectRef};
use crate::model::{Cluster, NamespaceId};
use crate::source::{Origin, Severity, wire};

/// The annotation on a policy, or on a namespace for all that is in it: `CODE[, CODE]: reason`, entries apart by `;` or lines.
pub const ANNOTATION: &str = "netcheck.dev/ignore";

/// What becomes of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is reported.
    Active,
    /// It is suppressed.
    Suppressed {
        /// Why.
        reason: String,
        /// Where that is said.
        by: String,
    },
    /// The baseline holds it.
    Known,
}

/// A suppression.
#[derive(Clone, Debug)]
pub struct Suppression {
    codes: Vec<&'static Code>,
    /// `Kind/namespace/name` with `*` for anything; the namespace itself and all in it for an annotated namespace.
    on: On,
    reason: String,
    by: String,
}

#[derive(Clone, Debug)]
enum On {
    Pattern(Option<String>),
    Object { kind: String, namespace: Option<String>, name: String, origin: Option<Origin> },
    Namespace { name: String, origin: Option<Origin> },
}

impl Suppression {
    /// Whether it suppresses a finding.
    pub fn matches(&self, finding: &Finding) -> bool {
        self.codes.iter().any(|c| c.id == finding.code.id)
            && match &self.on {
                On::Pattern(None) => true,
                On::Pattern(Some(pattern)) => glob(pattern, &finding.object.to_string()),
                On::Object { kind, namespace, name, .. } => {
                    let o = &finding.object;
                    (&o.kind, &o.namespace, &o.name) == (kind, namespace, name)
                }
                On::Namespace { name, .. } => finding.object.within() == Some(name),
            }
    }
}

/// A configuration file, `netcheck.yaml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What concerns the audit.
    #[serde(deserialize_with = "wire::null_as_default")]
    pub audit: AuditConfig,
}

/// `audit` of a configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Findings that are accepted.
    #[serde(deserialize_with = "wire::null_as_default")]
    pub ignore: Vec<Ignore>,
}

/// An entry of `audit.ignore`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// Code or its name.
    pub code: String,
    /// `Kind/namespace/name`, with `*` for anything; every object where it is missing.
    pub object: Option<String>,
    /// Why: required.
    pub reason: String,
}

impl Config {
    /// The suppressions, or what is wrong with one. `path` is named in reports.
    pub fn suppressions(&self, path: &str) -> Result<Vec<Suppression>, String> {
        let one = |(index, ignore): (usize, &Ignore)| {
            let at = format!("{path}: audit.ignore[{index}]");
            let code = codes::code(&ignore.code).ok_or_else(|| format!("{at}: `{}` is not a code", ignore.code))?;
            if ignore.reason.trim().is_empty() {
                return Err(format!("{at}: a reason is required"));
            }
            Ok(Suppression {
                codes: vec![code],
                on: On::Pattern(ignore.object.clone()),
                reason: ignore.reason.trim().to_owned(),
                by: at,
            })
        };
        self.audit.ignore.iter().enumerate().map(one).collect()
    }
}

/// Suppressions of annotations; those that can't be used are findings.
pub fn annotated(cluster: &Cluster, only: Option<&[NamespaceId]>, out: &mut Vec<Finding>) -> Vec<Suppression> {
    let mut all = Vec::new();
    let mut add = |text: &str, object: ObjectRef, on: On, out: &mut Vec<Finding>| {
        if only.is_some_and(|only| {
            let within = object.within().and_then(|n| cluster.namespace(n));
            !within.is_some_and(|n| only.contains(&n))
        }) {
            return;
        }
        for entry in text.split([';', '\n']).map(str::trim).filter(|e| !e.is_empty()) {
            match parse(entry) {
                Ok((codes, reason)) => all.push(Suppression {
                    codes,
                    on: on.clone(),
                    reason,
                    by: format!("annotation {ANNOTATION} of {object}"),
                }),
                Err(why) => {
                    let message = format!("annotation `{ANNOTATION}` of {object} suppresses nothing: {why}");
                    let finding = Finding::new(codes::UNUSED_SUPPRESSION, object.clone(), entry, message);
                    out.push(placed(finding, &on));
                }
            }
        }
    };
    for namespace in &cluster.namespaces {
        if let Some(text) = &namespace.ignore {
            let name = namespace.name.to_string();
            let object = ObjectRef { kind: "Namespace".to_owned(), namespace: None, name: name.clone() };
            add(text, object, On::Namespace { name, origin: namespace.origin }, out);
        }
    }
    let network = cluster.network_policies.iter().map(|p| ("NetworkPolicy", &p.object.metadata, p.origin));
    let wide = cluster.cluster_network_policies.iter().map(|p| ("ClusterNetworkPolicy", &p.object.metadata, p.origin));
    let admin = cluster.admin_network_policies.iter().map(|p| ("AdminNetworkPolicy", &p.object.metadata, p.origin));
    let baseline = cluster
        .baseline_admin_network_policies
        .iter()
        .map(|p| ("BaselineAdminNetworkPolicy", &p.object.metadata, p.origin));
    let foreign = cluster.foreign_policies.iter().map(|p| (p.object.kind.as_str(), &p.object.metadata, p.origin));
    for (kind, metadata, origin) in network.chain(wide).chain(admin).chain(baseline).chain(foreign) {
        let Some(text) = metadata.annotations.get(ANNOTATION) else { continue };
        let namespace = (!metadata.namespace.is_empty()).then(|| metadata.namespace.clone());
        let object = ObjectRef { kind: kind.to_owned(), namespace, name: metadata.name.clone() };
        let on = On::Object {
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            origin: Some(origin),
        };
        add(text, object, on, out);
    }
    all
}

/// `CODE[, CODE]: reason`.
fn parse(entry: &str) -> Result<(Vec<&'static Code>, String), String> {
    let (names, reason) =
        entry.split_once(':').ok_or_else(|| format!("`{entry}` has no reason: write `CODE: reason`"))?;
    if reason.trim().is_empty() {
        return Err(format!("`{entry}` has no reason: write `CODE: reason`"));
    }
    let codes: Result<Vec<_>, String> = names
        .split([',', ' '])
        .filter(|n| !n.is_empty())
        .map(|name| codes::code(name).ok_or_else(|| format!("`{name}` is not a code")))
        .collect();
    match codes? {
        codes if codes.is_empty() => Err(format!("`{entry}` names no code")),
        codes => Ok((codes, reason.trim().to_owned())),
    }
}

fn placed(mut finding: Finding, on: &On) -> Finding {
    if let On::Object { origin: Some(origin), .. } | On::Namespace { origin: Some(origin), .. } = on {
        let path = crate::source::FieldPath::keys("metadata.annotations").key(ANNOTATION);
        finding.diagnostic = finding.diagnostic.at(*origin, path, crate::source::Part::Entry, "");
    }
    finding
}

/// A baseline file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `AuditBaseline`.
    pub kind: String,
    /// Findings that were there.
    pub findings: Vec<BaselineEntry>,
}

/// A finding of a baseline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BaselineEntry {
    /// Code.
    pub code: String,
    /// `Kind/namespace/name`.
    pub object: String,
    /// What tells it from others on the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

impl BaselineEntry {
    fn of(finding: &Finding) -> Self {
        Self { code: finding.code.id.to_owned(), object: finding.object.to_string(), key: finding.key.clone() }
    }
}

impl Baseline {
    /// The baseline of what is reported now, or was in the baseline already.
    pub fn of(findings: &[(Finding, Disposition)]) -> Self {
        let kept = findings.iter().filter(|(_, d)| !matches!(d, Disposition::Suppressed { .. }));
        let mut findings: Vec<BaselineEntry> = kept.map(|(f, _)| BaselineEntry::of(f)).collect();
        findings.sort();
        Self { api_version: "netcheck/v1alpha1".to_owned(), kind: "AuditBaseline".to_owned(), findings }
    }
}

/// Decides what becomes of each finding. Suppressions that match nothing are added as findings; the number is that of
/// entries of the baseline that are gone.
pub fn settle(
    findings: Vec<Finding>,
    suppressions: &[Suppression],
    baseline: &Baseline,
) -> (Vec<(Finding, Disposition)>, usize) {
    let mut used = vec![false; suppressions.len()];
    let mut known: Vec<Option<&BaselineEntry>> = baseline.findings.iter().map(Some).collect();
    let mut out = Vec::with_capacity(findings.len());
    let mut decide = |finding: Finding, used: &mut [bool]| {
        let mut by = None;
        for (index, suppression) in suppressions.iter().enumerate().filter(|(_, s)| s.matches(&finding)) {
            used[index] = true;
            by.get_or_insert(suppression);
        }
        let disposition = match by {
            Some(s) => Disposition::Suppressed { reason: s.reason.clone(), by: s.by.clone() },
            None => {
                let entry = BaselineEntry::of(&finding);
                // An entry stands for one finding: a second one of the kind is new.
                match known.iter_mut().find(|k| **k == Some(&entry)) {
                    Some(slot) => {
                        *slot = None;
                        Disposition::Known
                    }
                    None => Disposition::Active,
                }
            }
        };
        (finding, disposition)
    };
    for finding in findings {
        out.push(decide(finding, &mut used));
    }
    let unused: Vec<&Suppression> =
        suppressions.iter().zip(&used).filter(|(_, used)| !**used).map(|(s, _)| s).collect();
    for suppression in unused {
        let object = match &suppression.on {
            On::Object { kind, namespace, name, .. } => {
                ObjectRef { kind: kind.clone(), namespace: namespace.clone(), name: name.clone() }
            }
            On::Namespace { name, .. } => {
                ObjectRef { kind: "Namespace".to_owned(), namespace: None, name: name.clone() }
            }
            On::Pattern(_) => ObjectRef { kind: "Config".to_owned(), namespace: None, name: suppression.by.clone() },
        };
        let codes: Vec<&str> = suppression.codes.iter().map(|c| c.id).collect();
        let message = format!("a suppression of {} matches no finding", codes.join(", "));
        let finding = Finding::new(codes::UNUSED_SUPPRESSION, object, codes.join(","), message)
            .note(format!("it stands in {}", suppression.by))
            .help("remove it");
        out.push(decide(placed(finding, &suppression.on), &mut used));
    }
    let gone = known.iter().flatten().count();
    (out, gone)
}

/// What makes a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// A finding that is at least so grave.
    Severity(Severity),
    /// A finding of this code.
    Code(&'static Code),
}

impl std::str::FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" => Ok(Self::Severity(Severity::Error)),
            "warning" => Ok(Self::Severity(Severity::Warning)),
            "note" => Ok(Self::Severity(Severity::Note)),
            other => codes::code(other).map(Self::Code).ok_or_else(|| {
                format!("`{other}` is neither a severity (error, warning, note) nor a code such as NC1010")
            }),
        }
    }
}

impl FailOn {
    /// Whether a finding makes the run fail.
    pub fn matches(self, finding: &Finding) -> bool {
        match self {
            Self::Severity(severity) => finding.severity() >= severity,
            Self::Code(code) => finding.code.id == code.id,
        }
    }
}

/// Whether a text matches a pattern in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            match rest.find(previous) {
                Some(at) => rest = &rest[at + previous.len()..],
                None => return false,
            }
        }
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [("a*c", "abc"), ("*", ""), ("N/*/x*", "N/shop/xy"), ("a", "a"), ("*b*", "abc")] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*c", "ab"), ("a", "ab"), ("", "a"), ("*bc*bc", "abc"), ("ab*ba", "aba")] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn annotations_need_codes_and_a_reason() {
        let (codes, reason) = parse("NC1014, covered-rule: metrics: see #12").unwrap();
        assert_eq!(codes.iter().map(|c| c.id).collect::<Vec<_>>(), ["NC1014", "NC1017"]);
        assert_eq!(reason, "metrics: see #12");
        for bad in ["NC1014", "NC1014:", "NC9999: why", ": why"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
