//! Which connections a change opens and closes, and by which rule.
//!
//! Two versions of a cluster come in; a [`Diff`] goes out: one [`Change`] for each pair of workloads, or workload and
//! addresses outside, whose connections differ. Meaning is compared, never text: objects that moved between files, policies
//! in another order or under another name make no difference as long as they allow the same. Nothing is printed here.

mod cause;
mod compare;
mod edited;
mod l4;
mod parties;

use std::net::IpAddr;

use crate::model::{Cluster, Str};
use crate::policy::{Edits, Policies, Profile};
pub use cause::{Act, Cause, When};
pub use l4::L4;
pub use parties::{Inventory, Party};

/// One version of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its policies.
    pub policies: &'a Policies,
    /// What its network plugin does where Kubernetes leaves behaviour open.
    pub profile: &'a Profile,
}

/// What may pass between two parties in one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Passes {
    /// Allowed.
    pub allowed: L4,
    /// Can't be told.
    pub unknown: L4,
}

/// One side of a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// Who.
    pub party: Party,
    /// How many of its pods, where it is not all of them.
    pub share: Option<(usize, usize)>,
}

/// What became of the connections of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nothing passed, now something does.
    Opened,
    /// Something passed, now nothing does.
    Closed,
    /// Something passes in both, on other ports.
    Changed,
    /// What was known can't be told any more, or the other way round.
    Uncertain,
}

impl Kind {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Changed => "changed",
            Self::Uncertain => "uncertain",
        }
    }
}

/// A pair whose connections differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The side that connects.
    pub client: End,
    /// The side that is connected to.
    pub server: End,
    /// The one family of addresses it is about, where the other behaves differently: whether that is IPv6.
    pub v6: Option<bool>,
    /// What passed before.
    pub before: Passes,
    /// What passes after.
    pub after: Passes,
    /// Rules and isolations that did it, each in the version where it stands.
    pub causes: Vec<Cause>,
}

impl Change {
    /// Ports that were denied and are allowed.
    pub fn opened(&self) -> L4 {
        self.after.allowed.minus(&self.before.allowed).minus(&self.before.unknown)
    }

    /// Ports that were allowed and are denied.
    pub fn closed(&self) -> L4 {
        self.before.allowed.minus(&self.after.allowed).minus(&self.after.unknown)
    }

    /// Ports that were denied or could not be told, and may be open now.
    pub fn may_open(&self) -> L4 {
        let denied = self.after.unknown.minus(&self.before.allowed).minus(&self.before.unknown);
        denied.or(&self.after.allowed.and(&self.before.unknown))
    }

    /// Ports that were allowed or could not be told, and may be closed now.
    pub fn may_close(&self) -> L4 {
        let allowed = self.after.unknown.and(&self.before.allowed);
        allowed.or(&self.before.unknown.minus(&self.after.allowed).minus(&self.after.unknown))
    }

    /// What became of the pair.
    pub fn kind(&self) -> Kind {
        let nothing = |passes: &Passes| passes.allowed.is_empty() && passes.unknown.is_empty();
        if self.opened().is_empty() && self.closed().is_empty() {
            Kind::Uncertain
        } else if nothing(&self.before) {
            Kind::Opened
        } else if nothing(&self.after) {
            Kind::Closed
        } else {
            Kind::Changed
        }
    }
}

/// How many changes there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs where something opened that was closed altogether.
    pub opened: usize,
    /// Pairs where nothing is open any more.
    pub closed: usize,
    /// Pairs that are open on other ports.
    pub changed: usize,
    /// Pairs of which it can't be told, or could not.
    pub uncertain: usize,
}

/// The difference of two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Changes, by client and server.
    pub changes: Vec<Change>,
    /// What only the later version has.
    pub added: Inventory,
    /// What only the earlier version has.
    pub removed: Inventory,
    /// Of how many changes the cause was not looked for, because there are so many.
    pub without_cause: usize,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }

    /// How many changes there are of each kind.
    pub fn counts(&self) -> Counts {
        let mut out = Counts::default();
        for change in &self.changes {
            match change.kind() {
                Kind::Opened => out.opened += 1,
                Kind::Closed => out.closed += 1,
                Kind::Changed => out.changed += 1,
                Kind::Uncertain => out.uncertain += 1,
            }
        }
        out
    }
}

/// A range of addresses, first and last.
pub(crate) type Range = (IpAddr, IpAddr);

/// The changes of whose causes are looked for; beyond, the pairs alone are told.
const MOST_CAUSES: usize = 20_000;

/// Compares two versions of a cluster.
pub fn diff(before: Version<'_>, after: Version<'_>) -> Diff {
    if before.profile == after.profile
        && edited::alike(before.cluster, after.cluster)
        && let Some(edits) = Edits::between(before.policies, after.policies)
        && let Some(found) = edited::changes(before, after, &edits)
    {
        let inventory =
            |these, those| Inventory { workloads: Vec::new(), services: parties::services_of(these, those) };
        let [added, removed] = match std::ptr::eq(before.cluster, after.cluster) {
            true => Default::default(),
            false => [inventory(after.cluster, before.cluster), inventory(before.cluster, after.cluster)],
        };
        return settled(before, after, Some(&edits), found, [added, removed]);
    }
    let parties = parties::Parties::of(before.cluster, after.cluster);
    let found = compare::changes(before, after, &parties);
    settled(before, after, None, found, [parties.added(after.cluster), parties.removed(before.cluster)])
}

/// Looks for the causes of what was found.
fn settled(
    before: Version<'_>,
    after: Version<'_>,
    edits: Option<&Edits<'_>>,
    mut found: Vec<compare::Found>,
    [added, removed]: [Inventory; 2],
) -> Diff {
    let without_cause = found.len().saturating_sub(MOST_CAUSES);
    if !found.is_empty() {
        cause::Inquiry::new(before, after, edits).settle(&mut found[..], MOST_CAUSES);
    }
    Diff { changes: found.into_iter().map(|f| f.change).collect(), added, removed, without_cause }
}

/// The names of the Services that were read, `namespace/name`.
fn services(cluster: &Cluster) -> Vec<(Str, Str)> {
    cluster
        .services
        .iter()
        .filter(|s| s.origin.is_some())
        .map(|s| (cluster.namespaces[s.namespace.index()].name.clone(), s.name.clone()))
        .collect()
}
