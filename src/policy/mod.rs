//! Every policy API lowered into one rule model, and the plugin profiles that compose it into ordered stages.
//!
//! Policies as written (`source::wire`, carried by `model::Cluster`) come in, one file per dialect; [`rule`]s and
//! [`profile`]s go out. Nothing is evaluated here.

pub mod cluster_network_policy;
pub mod network_policy;
pub mod profile;
pub mod rule;
mod selector;

use std::sync::Arc;

use crate::model::{Cluster, NamespaceId, Str};
use crate::source::Origin;

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

    /// What a policy is.
    pub fn info(&self, policy: PolicyId) -> &PolicyInfo {
        &self.info[policy.0 as usize]
    }
}
