//! Verdicts turned into findings.

pub mod audit;
pub mod diff;
pub mod expect;
pub mod explain;
pub mod exposure;
pub mod fix;
pub mod graph;
pub mod logs;
pub mod probe;
pub mod why;
