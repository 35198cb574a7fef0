//! Findings and diagnostics as text and as machine-readable documents. Decisions are not made here.

pub mod snippet;
