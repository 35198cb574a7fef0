//! Verdicts turned into findings.

pub mod explain;
pub mod logs;
