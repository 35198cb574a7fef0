//! The evaluators: who reaches whom. Pure: no I/O, no clock, no text for people.
//!
//! [`eval`] decides one flow and says why; [`path`] asks it for every leg of the way to a target.

pub mod eval;
mod matching;
pub mod path;

pub use eval::{Decision, Endpoint, Evaluator, Flow, Leg, Outcome};
pub use path::{Check, CheckOptions, DnsLeg, EndpointCheck, Obstacle, Source, Verdict};
