//! A decision with its trace: what each stage of each direction did, and why the result is what it is.

use crate::model::PodId;
use crate::policy::Choices;
use crate::policy::rule::{Condition, Direction, PolicyId, RuleRef, Tier};

/// Why a result can't be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Cluster-wide policies of equal priority disagree (SEMANTICS 56).
    EqualPriority(Vec<PolicyId>),
    /// A rule names DNS names, the target is an address.
    NameUnknown,
    /// A rule names a range of addresses that only part of the internet is in.
    AddressUnknown,
    /// A rule selects pods by labels, and which pod connects isn't known.
    PodUnknown,
    /// It depends on which node a pod runs on.
    NodeUnknown,
    /// A rule holds a peer of a kind that this version doesn't know.
    UnknownPeer,
    /// A rule selects ServiceAccounts by labels, which aren't read.
    ServiceAccountLabels,
    /// A policy of a kind that can't be evaluated may apply: an index into `Policies::unsupported`.
    Unsupported(usize),
}

/// The result of a direction or of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Allowed.
    Allowed,
    /// Denied.
    Denied,
    /// Can't be told.
    Unknown,
}

/// Why no stage was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exempt {
    /// The endpoint is not a pod with an address of its own: policies don't apply to it (46).
    NotAPod,
    /// A pod always reaches its own address (42).
    Itself,
    /// Traffic between a pod and the node it runs on (44).
    OwnNode,
}

/// What a stage did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// No policy of the stage selects the pod.
    NotSelected,
    /// A rule decided; more than one where several policies allow the same.
    Decided(Outcome, RuleRef),
    /// No rule of the policies that isolate the pod matched.
    DefaultDeny,
    /// A rule passed on to the next stage.
    Passed(RuleRef),
    /// No rule matched and the stage doesn't isolate.
    NoMatch,
    /// Several results are possible.
    Open(Vec<RuleRef>),
    /// The stage was skipped, because a NetworkPolicy isolates the pod in the other direction.
    Skipped,
}

/// One stage of a direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its tier.
    pub tier: Tier,
    /// Policies that select the pod.
    pub selecting: Vec<PolicyId>,
    /// What it did.
    pub result: StepResult,
}

/// One direction of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The direction.
    pub direction: Direction,
    /// The pod whose policies were asked.
    pub subject: Option<PodId>,
    /// Why none was asked.
    pub exempt: Option<Exempt>,
    /// Stages, in order, up to the one that decided.
    pub steps: Vec<Step>,
    /// Stages behind the one that decided.
    pub not_reached: Vec<Tier>,
    /// The result.
    pub outcome: Outcome,
    /// What else must hold for an allowed connection to work: it can't be decided from the flow.
    pub conditions: Vec<Condition>,
    /// Why it is unknown.
    pub reasons: Vec<Reason>,
    /// Whether an address decided or could have, and the pod across has none yet (48).
    pub by_labels_only: bool,
}

impl Leg {
    /// The rule that decided.
    pub fn decided_by(&self) -> Option<RuleRef> {
        self.steps.iter().rev().find_map(|s| match &s.result {
            StepResult::Decided(_, rule) => Some(*rule),
            _ => None,
        })
    }

    /// The policies whose default deny decided.
    pub fn isolated_by(&self) -> &[PolicyId] {
        match self.steps.last() {
            Some(Step { result: StepResult::DefaultDeny, selecting, .. }) => selecting,
            _ => &[],
        }
    }
}

/// A flow's result under one set of choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The result.
    pub outcome: Outcome,
    /// Egress at the client.
    pub egress: Leg,
    /// Ingress at the server.
    pub ingress: Leg,
    /// Where choices of the profile lead to different results: each with the plugins that make it.
    pub differs: Vec<(Outcome, Vec<&'static str>)>,
    /// The choices the legs were traced under.
    pub choices: Choices,
}

impl Decision {
    /// What else must hold for an allowed connection to work, of both legs.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut all = [self.egress.conditions.as_slice(), &self.ingress.conditions].concat();
        all.sort();
        all.dedup();
        all
    }

    /// Both legs, in the order a packet meets them.
    pub fn legs(&self) -> [&Leg; 2] {
        [&self.egress, &self.ingress]
    }
}
