//! The evaluators: who reaches whom. Pure: no I/O, no clock, no text for people.
//!
//! [`eval`] decides one flow and says why; [`path`] asks it for every leg of the way to a target, [`ports`] for every port
//! of a pair, [`matrix`] answers for all pairs at once, [`graph`] for chains of them.

pub mod check;
mod dns;
pub mod eval;
pub mod gate;
pub mod graph;
pub(crate) mod matching;
pub mod matrix;
pub mod path;
pub mod ports;
mod trace;

pub use check::{Check, CheckOptions, DnsLeg, EndpointCheck, Obstacle, Source, Verdict};
pub use eval::{Decision, Endpoint, Evaluator, Flow, Leg, Outcome};
pub use ports::{Connections, Reachability};
