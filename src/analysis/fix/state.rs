//! Policies with edits laid over them, lowered again after each.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::candidates::{At, Candidate};
use super::{Edit, EditTarget, Owner, Patch};
use crate::model::{Cluster, PolicyObject};
use crate::policy::{Policies, PolicyKind};
use crate::source::wire::{AdminNetworkPolicy, ClusterNetworkPolicy, NetworkPolicy};
use crate::source::{Origin, SourceId, SourceMap};

/// Origins of policies that no source holds yet.
const NEW: SourceId = SourceId(u32::MAX);

/// One object that was changed or added.
#[derive(Clone, Debug)]
struct Touched {
    kind: PolicyKind,
    namespace: Option<String>,
    patch: Patch,
    steps: Vec<String>,
    after: Value,
}

/// The policies after some edits.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Namespaces and policies as written: all that lowering looks at.
    pub(super) written: Cluster,
    /// The policies, lowered.
    pub(super) policies: Policies,
    touched: BTreeMap<Origin, Touched>,
}

impl State {
    pub(super) fn new(cluster: &Cluster, policies: &Policies) -> Self {
        let mut written = Cluster::default();
        written.namespaces.clone_from(&cluster.namespaces);
        written.network_policies.clone_from(&cluster.network_policies);
        written.cluster_network_policies.clone_from(&cluster.cluster_network_policies);
        written.admin_network_policies.clone_from(&cluster.admin_network_policies);
        written.baseline_admin_network_policies.clone_from(&cluster.baseline_admin_network_policies);
        written.foreign_policies.clone_from(&cluster.foreign_policies);
        Self { written, policies: policies.clone(), touched: BTreeMap::new() }
    }

    /// The objects that were changed or added.
    pub(super) fn origins(&self) -> Vec<Origin> {
        self.touched.keys().copied().collect()
    }

    /// Whether a policy was added by an edit.
    pub(super) fn is_new(&self, origin: Origin) -> bool {
        origin.source == NEW
    }

    /// An object as it stands after the edits so far.
    pub(super) fn value(&self, origin: Origin, sources: &SourceMap) -> Option<Value> {
        match self.touched.get(&origin) {
            Some(touched) => Some(touched.after.clone()),
            None => sources.value(origin),
        }
    }

    /// With one more edit; none where it doesn't apply.
    pub(super) fn with(&self, candidate: &Candidate, sources: &SourceMap) -> Option<Self> {
        let mut next = self.clone();
        let (origin, touched) = match &candidate.at {
            At::New(value) => {
                let document = u32::try_from(self.touched.keys().filter(|o| o.source == NEW).count()).ok()?;
                let origin = Origin { source: NEW, document, item: None };
                let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned);
                let after = value.clone();
                let kind = PolicyKind::NetworkPolicy;
                (origin, Touched { kind, namespace, patch: Patch::default(), steps: Vec::new(), after })
            }
            At::Existing(origin, kind) => {
                let after = Patch(candidate.ops.clone()).apply(&self.value(*origin, sources)?)?;
                let mut touched = match self.touched.get(origin) {
                    Some(touched) => touched.clone(),
                    None => Touched {
                        kind: *kind,
                        namespace: self.namespace(*origin),
                        patch: Patch::default(),
                        steps: Vec::new(),
                        after: Value::Null,
                    },
                };
                touched.after = after;
                touched.patch.0.extend(candidate.ops.iter().cloned());
                (*origin, touched)
            }
        };
        next.enter(origin, &touched)?;
        let mut touched = touched;
        touched.steps.push(candidate.step.clone());
        next.touched.insert(origin, touched);
        next.policies = Policies::lower(&next.written);
        Some(next)
    }

    fn namespace(&self, origin: Origin) -> Option<String> {
        let policy = self.written.network_policies.iter().find(|p| p.origin == origin)?;
        Some(policy.object.metadata.namespace.clone())
    }

    /// Puts the changed object in the place of the old one.
    fn enter(&mut self, origin: Origin, touched: &Touched) -> Option<()> {
        match touched.kind {
            PolicyKind::NetworkPolicy => {
                let mut object = NetworkPolicy::deserialize(&touched.after).ok()?;
                object.metadata.namespace = touched.namespace.clone()?;
                let list = &mut self.written.network_policies;
                match list.iter_mut().find(|p| p.origin == origin) {
                    Some(old) => old.object = object,
                    None => list.push(PolicyObject { object, origin }),
                }
            }
            PolicyKind::ClusterNetworkPolicy => {
                let old = self.written.cluster_network_policies.iter_mut().find(|p| p.origin == origin)?;
                old.object = ClusterNetworkPolicy::deserialize(&touched.after).ok()?;
            }
            PolicyKind::AdminNetworkPolicy | PolicyKind::BaselineAdminNetworkPolicy => {
                let w = &mut self.written;
                let mut all = w.admin_network_policies.iter_mut().chain(&mut w.baseline_admin_network_policies);
                all.find(|p| p.origin == origin)?.object = AdminNetworkPolicy::deserialize(&touched.after).ok()?;
            }
            PolicyKind::Plugin(_) => return None,
        }
        Some(())
    }

    /// The edits, with the objects as they were written without them.
    pub(super) fn edits(&self, sources: &SourceMap) -> Vec<Edit> {
        self.touched
            .iter()
            .filter_map(|(origin, touched)| {
                let name = touched.after.pointer("/metadata/name")?.as_str()?.to_owned();
                let target = if self.is_new(*origin) {
                    EditTarget::New
                } else {
                    let before = sources.value(*origin)?;
                    let undo = touched.patch.undo(&before)?;
                    EditTarget::Existing { origin: *origin, before, patch: touched.patch.clone(), undo }
                };
                Some(Edit {
                    owner: Owner::of(&touched.after),
                    target,
                    kind: touched.kind,
                    namespace: touched.namespace.clone(),
                    name,
                    steps: touched.steps.clone(),
                    after: touched.after.clone(),
                })
            })
            .collect()
    }
}
