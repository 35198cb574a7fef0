//! What may not be read of a cluster, and what that means for answers.

/// How much it matters that something may not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// The verdict could be another one in rare cases.
    Detail,
    /// A policy of the cluster's administrators could overrule the verdict.
    ClusterPolicy,
    /// The verdict is a guess.
    Policy,
}

/// Something that may not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What.
    pub what: String,
    /// What it means for the answer.
    pub consequence: String,
    /// How much it matters.
    pub gravity: Gravity,
}
