//! Who could connect to a pod besides the pods that exist: clients outside the cluster, by way of Services, Ingresses and
//! Gateways, and pods that are still to come.
//!
//! A cluster and its evaluator come in; ways in ([`outside`]) and pods to come ([`to_come`]) go out, each with what the
//! policies say of it. How they are grouped and shown is not known here. Who carries the traffic of an Ingress or a Gateway
//! no object says: [`controllers`] knows the pods of the usual ones, and of others it can't be told.

pub mod controllers;
pub mod outside;
pub mod to_come;

use crate::reach::Outcome;

/// What the policies say of a connection of which several pairs are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Every pair connects.
    Open,
    /// Some do, others don't.
    Partial,
    /// Can't be told.
    Unknown,
    /// None does.
    Closed,
}

impl State {
    /// Of every pair; without any, closed.
    pub(crate) fn of_all(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let (mut open, mut closed, mut unknown) = (false, false, false);
        for outcome in outcomes {
            match outcome {
                Outcome::Allowed => open = true,
                Outcome::Denied => closed = true,
                Outcome::Unknown => unknown = true,
            }
        }
        match (open, closed, unknown) {
            (true, true, _) => Self::Partial,
            (_, _, true) => Self::Unknown,
            (true, false, false) => Self::Open,
            (false, _, false) => Self::Closed,
        }
    }

    /// Of one pair of them, it isn't known which: what not all of them answer can't be told.
    pub(crate) fn of_any(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        match Self::of_all(outcomes) {
            Self::Partial => Self::Unknown,
            state => state,
        }
    }
}
