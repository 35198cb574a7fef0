//! Where objects come from: manifest files, directories, standard input, dumps and snapshots.
//!
//! Bytes come in; typed, trimmed objects (`wire`) go out, each with the `Origin` that leads back to its file, document
//! and field. What a policy means is not known here.

mod decode;
pub mod diagnostic;
mod json;
mod kind;
pub mod load;
mod map;
mod object;
pub mod observe;
pub mod origin;
pub mod plugin;
mod scalar;
pub(crate) mod scan;
mod schema;
mod spans;
pub mod strict;
pub mod text;
pub mod unread;
mod validate;
pub mod wire;
mod yaml;

pub use diagnostic::{Diagnostic, Label, Part, Place, Severity};
pub use kind::{is_routing, policy_scope};
pub use load::{Input, Limits, LoadError, Loader, Options, load_paths, load_text};
pub use map::{Excerpt, SourceMap, Span, locate_in_yaml, trimmed};
pub use origin::{FieldPath, Origin, Segment, SourceId};
