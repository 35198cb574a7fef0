//! Where objects come from: manifest files, directories, standard input, dumps and snapshots.
//!
//! Bytes come in; typed, trimmed objects (`wire`) go out, each with the `Origin` that leads back to its file, document
//! and field. What a policy means is not known here.

pub mod diagnostic;
pub mod origin;
pub mod wire;

pub use diagnostic::{Diagnostic, Label, Part, Place, Severity};
pub use origin::{FieldPath, Origin, Segment, SourceId};
