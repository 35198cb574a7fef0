//! Verdicts turned into findings.
