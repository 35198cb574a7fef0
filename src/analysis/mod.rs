//! Verdicts turned into findings.
pub mod logs;
