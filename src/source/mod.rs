//! Where objects come from: manifest files, directories, standard input, dumps and snapshots.
//!
//! Bytes come in; typed, trimmed objects (`wire`) go out, each with the `Origin` that leads back to its file, document
//! and field. What a policy means is not known here.

pub mod diagnostic;
mod kind;
pub mod load;
mod map;
pub mod origin;
mod scalar;
pub mod wire;
mod yaml;

pub use diagnostic::{Diagnostic, Label, Part, Place, Severity};
pub use load::{Input, Limits, LoadError, Loader, Options, load_paths, load_text};
pub use map::SourceMap;
pub use origin::{FieldPath, Origin, Segment, SourceId};
