//! Can this client reach that port in Kubernetes, and if not, which line of which policy says so?
//!
//! Data flows one way: `source` reads objects, `model` holds the cluster, `policy` lowers every policy API into one
//! rule model, `reach` evaluates, `analysis` turns verdicts into findings, `report` prints them.

pub mod analysis;
pub mod source;
