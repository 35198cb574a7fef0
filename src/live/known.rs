//! What is known of a cluster while a question is asked: the answers so far, of each object as much as leads on from it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ask::Ask;
use super::discovery::Discovered;
use crate::source::wire::{Metadata, StringMap};

/// An object, as far as questions go on from it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Slim {
    pub(super) metadata: Metadata,
    pub(super) spec: SlimSpec,
    pub(super) status: SlimStatus,
}

impl Slim {
    /// An object of which nothing else matters.
    pub(super) fn named(metadata: Metadata) -> Self {
        Self { metadata, ..Self::default() }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SlimSpec {
    pub(super) selector: Option<serde_json::Value>,
    pub(super) external_name: Option<String>,
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    pub(super) cluster_ips: Option<Vec<String>>,
    #[serde(rename = "externalIPs")]
    pub(super) external_ips: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SlimStatus {
    pub(super) load_balancer: SlimBalancer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlimBalancer {
    pub(super) ingress: Vec<SlimIngress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlimIngress {
    pub(super) ip: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// What there is.
    Found(Vec<Slim>),
    /// What discovery told.
    Discovered(Discovered),
    /// There is no such object.
    Missing,
    /// It may not be read.
    Forbidden,
    /// It was left out.
    Skipped,
}

/// The answers so far.
pub(super) type Known = BTreeMap<Ask, Answer>;

/// Whether a pod belongs to a workload of this name. The Deployment controller names its ReplicaSets NAME-HASH.
pub(super) fn owned_by(metadata: &Metadata, name: &str) -> bool {
    metadata.owner_references.iter().any(|owner| {
        owner.name == name
            || metadata.labels.get("pod-template-hash").is_some_and(|hash| {
                owner.name.strip_suffix(hash.as_str()).and_then(|n| n.strip_suffix('-')) == Some(name)
            })
    })
}

/// Whether a text can be the name of a Service or a namespace (RFC 1123).
pub(super) fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A selector as the API takes it in a query; none where it is empty.
pub(super) fn selector(value: &serde_json::Value) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Written {
        match_labels: StringMap,
        match_expressions: Vec<Requirement>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Requirement {
        key: String,
        operator: String,
        values: Vec<String>,
    }
    let pairs = |map: &StringMap| map.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    let structured = value.get("matchLabels").is_some_and(serde_json::Value::is_object)
        || value.get("matchExpressions").is_some_and(serde_json::Value::is_array);
    let terms = if structured {
        let written = Written::deserialize(value).ok()?;
        let mut terms = pairs(&written.match_labels);
        for r in &written.match_expressions {
            terms.push(match r.operator.as_str() {
                "In" => format!("{} in ({})", r.key, r.values.join(",")),
                "NotIn" => format!("{} notin ({})", r.key, r.values.join(",")),
                "Exists" => r.key.clone(),
                "DoesNotExist" => format!("!{}", r.key),
                _ => return None,
            });
        }
        terms
    } else {
        pairs(&StringMap::deserialize(value).ok()?)
    };
    (!terms.is_empty()).then(|| terms.join(","))
}
