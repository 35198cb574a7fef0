//! Every policy API lowered into one rule model, and the plugin profiles that compose it into ordered stages.
//!
//! Policies as written (`source::wire`, carried by `model::Cluster`) come in, one file per dialect; [`rule`]s and
//! [`profile`]s go out. Nothing is evaluated here.

pub mod cluster_network_policy;
mod edits;
pub mod network_policy;
pub mod profile;
pub mod rule;
mod selector;

use std::sync::Arc;

use crate::model::{Cluster, NamespaceId, PolicyObject, Str};
use crate::source::{Origin, wire};

pub use edits::Edits;
pub use profile::{Choices, Composition, Profile};
use rule::StagePolicy;
pub use rule::{Direction, PolicyId, PolicyInfo, PolicyKind};

/// A policy that takes no part, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The policy.
    pub policy: PolicyId,
    /// Why, as a clause: `the protocol is unknown`.
    pub why: String,
}

/// A policy that can't be evaluated, and which flows it could touch.
#[derive(Clone, Debug)]
pub struct Unsupported {
    /// Kind, such as `CiliumNetworkPolicy`.
    pub kind: Str,
    /// Name.
    pub name: Str,
    /// Flows from or to pods of this namespace; all flows where there is none.
    pub namespace: Option<NamespaceId>,
    /// Where it was read.
    pub origin: Origin,
}

/// Policies of one API, apart by direction, lowered once and shared by every composition.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// Those that select pods for ingress.
    pub ingress: Arc<Vec<StagePolicy>>,
    /// Those that select pods for egress.
    pub egress: Arc<Vec<StagePolicy>>,
}

impl Lowered {
    /// The policies of a direction.
    pub fn of(&self, direction: Direction) -> &Arc<Vec<StagePolicy>> {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// All policies of a cluster, lowered.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// What each [`PolicyId`] stands for.
    pub info: Vec<PolicyInfo>,
    /// ClusterNetworkPolicies of tier Admin, AdminNetworkPolicies.
    pub admin: Lowered,
    /// NetworkPolicies.
    pub network: Lowered,
    /// ClusterNetworkPolicies of tier Baseline, the BaselineAdminNetworkPolicy.
    pub baseline: Lowered,
    /// Policies that the plugin would refuse.
    pub refused: Vec<Refused>,
    /// Policies that can't be evaluated.
    pub unsupported: Vec<Unsupported>,
}

impl Policies {
    /// Lowers every policy of the cluster.
    pub fn lower(cluster: &Cluster) -> Self {
        let mut out = Self::default();
        out.network = network_policy::lower(cluster, &mut out.info, &mut out.refused);
        (out.admin, out.baseline) = cluster_network_policy::lower(cluster, &mut out.info);
        for policy in &cluster.foreign_policies {
            let metadata = &policy.object.metadata;
            out.unsupported.push(Unsupported {
                kind: policy.object.kind.as_str().into(),
                name: metadata.name.as_str().into(),
                namespace: cluster.namespace(&metadata.namespace),
                origin: policy.origin,
            });
        }
        out
    }

    /// These policies with one NetworkPolicy in the place of the one that was read at the same place, or added.
    pub fn with_network_policy(&self, cluster: &Cluster, policy: &PolicyObject<wire::NetworkPolicy>) -> Self {
        let mut out = self.clone();
        let same = |i: &PolicyInfo| i.origin == policy.origin && i.kind == PolicyKind::NetworkPolicy;
        let id = PolicyId(out.info.iter().position(same).unwrap_or(out.info.len()) as u32);
        let one = network_policy::one(cluster, policy, id, &mut selector::Strings::default());
        for (list, new) in [(&mut out.network.ingress, one.ingress), (&mut out.network.egress, one.egress)] {
            let at = list.iter().position(|p| p.policy == id);
            if at.is_none() && new.is_none() {
                continue;
            }
            let list = Arc::make_mut(list);
            match (at, new) {
                (Some(at), Some(new)) => list[at] = new,
                (Some(at), None) => drop(list.remove(at)),
                (None, Some(new)) => list.insert(list.partition_point(|p| p.policy < id), new),
                (None, None) => {}
            }
        }
        out.refused.retain(|r| r.policy != id);
        out.refused.extend(one.refused.map(|why| Refused { policy: id, why }));
        match out.info.get_mut(id.0 as usize) {
            Some(info) => *info = one.info,
            None => out.info.push(one.info),
        }
        out
    }

    /// These policies with the ClusterNetworkPolicies, AdminNetworkPolicies and BaselineAdminNetworkPolicies of another cluster in
    /// the place of theirs.
    pub fn with_cluster_wide(&self, written: &Cluster) -> Self {
        let mut out = self.clone();
        (out.admin, out.baseline) = cluster_network_policy::lower(written, &mut out.info);
        out
    }

    /// The cluster-wide policies, and of the others those that select pods of some namespaces: all that decides connections
    /// between these.
    pub fn within(&self, namespaces: &[NamespaceId]) -> Self {
        let keep = |list: &Arc<Vec<StagePolicy>>| {
            let inside = |p: &&StagePolicy| p.namespace.is_none_or(|n| namespaces.contains(&n));
            Arc::new(list.iter().filter(inside).cloned().collect())
        };
        let network = Lowered { ingress: keep(&self.network.ingress), egress: keep(&self.network.egress) };
        Self { network, ..self.clone() }
    }

    /// What a policy is.
    pub fn info(&self, policy: PolicyId) -> &PolicyInfo {
        &self.info[policy.0 as usize]
    }
}
