//! A difference as comma-separated values (RFC 4180), a row for each change.

use super::build::Sides;
use crate::analysis::diff::{Diff, L4};
use crate::report::safe;

/// The rows, under a row of names.
pub fn csv(diff: &Diff, sides: &Sides<'_>) -> String {
    let mut out = String::from("change,client,server,family,before,after,opened,closed,policies,places\n");
    for change in &diff.changes {
        let ports = |set: &L4| if set.is_empty() { String::new() } else { set.to_string() };
        let mut policies: Vec<&str> =
            change.causes.iter().filter(|c| !c.context).map(|c| c.reference.as_str()).collect();
        policies.dedup();
        let places: Vec<String> =
            change.causes.iter().filter(|c| !c.context).filter_map(|c| sides.location(c)).map(|l| l.short()).collect();
        let family = match change.v6 {
            None => "",
            Some(false) => "IPv4",
            Some(true) => "IPv6",
        };
        let row = [
            change.kind().name().to_owned(),
            change.client.party.to_string(),
            change.server.party.to_string(),
            family.to_owned(),
            ports(&change.before.allowed),
            ports(&change.after.allowed),
            ports(&change.opened()),
            ports(&change.closed()),
            policies.join(" "),
            places.join(" "),
        ];
        out.push_str(&row.map(|f| field(&f)).join(","));
        out.push('\n');
    }
    out
}

/// A field, in quotes where it needs them. A spreadsheet takes what begins like a formula for one: a quote disarms it.
fn field(text: &str) -> String {
    let text = safe(text);
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text.into_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_stay_fields() {
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("a\"b"), "\"a\"\"b\"");
        assert_eq!(field("=1+1"), "'=1+1");
        assert_eq!(field("TCP 80"), "TCP 80");
    }
}
