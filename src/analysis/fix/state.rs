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
#[derive(Clone)]
pub(super) struct State<'a> {
    /// The cluster without them.
    cluster: &'a Cluster,
    /// The policies that were changed or added, as written: where a cluster-wide one was, all of those.
    pub(super) changed: Cluster,
    /// The policies that decide what was asked, lowered.
    pub(super) policies: Policies,
    touched: BTreeMap<Origin, Touched>,
}

impl<'a> State<'a> {
    /// No edit yet. `policies` are those of the cluster that decide what was asked.
    pub(super) fn new(cluster: &'a Cluster, policies: Policies) -> Self {
        Self { cluster, changed: Cluster::default(), policies, touched: BTreeMap::new() }
    }

    /// The edits laid over all policies of the cluster.
    pub(super) fn laid_over(&self, policies: &Policies) -> Policies {
        let network = self.changed.network_policies.iter();
        let out = network.fold(policies.clone(), |out, p| out.with_network_policy(self.cluster, p));
        if self.has_cluster_wide() { out.with_cluster_wide(&self.changed) } else { out }
    }

    fn has_cluster_wide(&self) -> bool {
        let c = &self.changed;
        !(c.cluster_network_policies.is_empty()
            && c.admin_network_policies.is_empty()
            && c.baseline_admin_network_policies.is_empty())
    }

    /// The NetworkPolicies of a namespace, by name.
    pub(super) fn has_network_policy(&self, namespace: &str, name: &str) -> bool {
        let mut all = self.changed.network_policies.iter().chain(&self.cluster.network_policies);
        all.any(|p| p.object.metadata.namespace == namespace && p.object.metadata.name == name)
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
        Some(next)
    }

    fn namespace(&self, origin: Origin) -> Option<String> {
        let policy = self.cluster.network_policies.iter().find(|p| p.origin == origin)?;
        Some(policy.object.metadata.namespace.clone())
    }

    /// Puts the changed object in the place of the old one.
    fn enter(&mut self, origin: Origin, touched: &Touched) -> Option<()> {
        if touched.kind == PolicyKind::NetworkPolicy {
            let mut object = NetworkPolicy::deserialize(&touched.after).ok()?;
            object.metadata.namespace = touched.namespace.clone()?;
            let new = PolicyObject { object, origin };
            self.policies = self.policies.with_network_policy(self.cluster, &new);
            let list = &mut self.changed.network_policies;
            match list.iter_mut().find(|p| p.origin == origin) {
                Some(old) => *old = new,
                None => list.push(new),
            }
            return Some(());
        }
        let changed = &mut self.changed;
        // These are few, and what one does depends on the others.
        if changed.cluster_network_policies.is_empty() {
            changed.cluster_network_policies.clone_from(&self.cluster.cluster_network_policies);
        }
        if changed.admin_network_policies.is_empty() {
            changed.admin_network_policies.clone_from(&self.cluster.admin_network_policies);
        }
        if changed.baseline_admin_network_policies.is_empty() {
            changed.baseline_admin_network_policies.clone_from(&self.cluster.baseline_admin_network_policies);
        }
        match touched.kind {
            PolicyKind::ClusterNetworkPolicy => {
                let old = changed.cluster_network_policies.iter_mut().find(|p| p.origin == origin)?;
                old.object = ClusterNetworkPolicy::deserialize(&touched.after).ok()?;
            }
            PolicyKind::AdminNetworkPolicy | PolicyKind::BaselineAdminNetworkPolicy => {
                let admin = changed.admin_network_policies.iter_mut();
                let mut all = admin.chain(&mut changed.baseline_admin_network_policies);
                all.find(|p| p.origin == origin)?.object = AdminNetworkPolicy::deserialize(&touched.after).ok()?;
            }
            PolicyKind::NetworkPolicy | PolicyKind::Plugin(_) => return None,
        }
        self.policies = self.policies.with_cluster_wide(&self.changed);
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
