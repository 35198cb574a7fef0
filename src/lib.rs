//! Can this client reach that port in Kubernetes, and if not, which line of which policy says so?
//!
//! Data flows one way: `source` reads objects, `model` holds the cluster, `policy` lowers every policy API into one
//! rule model, `reach` evaluates, `analysis` turns verdicts into findings, `report` prints them.

// What the live probe and the probe agent say to each other; the agent (`src/agent/`) uses nothing else of this crate.
#[path = "agent/counters.rs"]
pub mod probe_counters;
#[path = "agent/record.rs"]
pub mod probe_record;
#[path = "agent/target.rs"]
pub mod probe_target;

pub mod analysis;
pub mod cli;
pub mod commands;
#[cfg(feature = "live")]
pub mod live;
pub mod model;
pub mod policy;
pub mod reach;
pub mod report;
pub mod source;
