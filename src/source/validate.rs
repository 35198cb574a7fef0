//! What the API server would refuse, in its words and with its field paths.

use serde_json::Value;

use super::diagnostic::Diagnostic;
use super::origin::Origin;
use super::wire::Object;

/// Checks an object. `value` is the object as written where its kind is a policy.
pub fn object(origin: Origin, object: &Object, value: &Value, found: &mut Vec<Diagnostic>) {
    let _ = (origin, object, value, found);
}
