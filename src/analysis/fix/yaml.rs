//! Values as YAML, in the layout that `kubectl` prints.
//!
//! What YAML 1.1 or 1.2 could read as anything but a string is quoted: kubectl reads `on`, `y` and `1_0` in its own way.

use serde_json::Value;

/// A value as YAML, with a final line break.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => entries(map, 0, &mut out),
        Value::Array(list) if !list.is_empty() => items(list, 0, &mut out),
        other => {
            scalar(other, &mut out);
            out.push('\n');
        }
    }
    out
}

fn entries(map: &serde_json::Map<String, Value>, indent: usize, out: &mut String) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            pad(indent, out);
        }
        text(key, out);
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                pad(indent + 2, out);
                entries(map, indent + 2, out);
            }
            Value::Array(list) if !list.is_empty() => {
                out.push('\n');
                pad(indent, out);
                items(list, indent, out);
            }
            other => {
                out.push(' ');
                scalar(other, out);
                out.push('\n');
            }
        }
    }
}

fn items(list: &[Value], indent: usize, out: &mut String) {
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            pad(indent, out);
        }
        out.push_str("- ");
        match value {
            Value::Object(map) if !map.is_empty() => entries(map, indent + 2, out),
            Value::Array(list) if !list.is_empty() => items(list, indent + 2, out),
            other => {
                scalar(other, out);
                out.push('\n');
            }
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn scalar(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(string) => text(string, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn text(text: &str, out: &mut String) {
    if plain(text) {
        out.push_str(text);
    } else {
        quoted(text, out);
    }
}

/// Whether a text is a string without quotes to every reader of YAML.
fn plain(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b"_./-".contains(&b);
    if !text.bytes().all(word) || text.ends_with(['.', '-']) {
        return false;
    }
    match text.as_bytes().first() {
        Some(first) if first.is_ascii_alphabetic() => !matches!(
            text.to_ascii_lowercase().as_str(),
            "y" | "yes" | "n" | "no" | "on" | "off" | "true" | "false" | "null" | "nan" | "inf" | "infinity"
        ),
        // A range of addresses.
        Some(first) if first.is_ascii_digit() => {
            text.contains('/') && text.bytes().all(|b| b.is_ascii_digit() || b"./".contains(&b))
        }
        _ => false,
    }
}

/// In double quotes, where YAML knows escapes for everything.
fn quoted(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            c => {
                let code = u32::from(c);
                // Writing to a String never fails.
                let _ = if code <= 0xffff { write!(out, "\\u{code:04x}") } else { write!(out, "\\U{code:08x}") };
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    #[test]
    fn it_looks_like_kubectls() {
        let value = json!({"kind": "NetworkPolicy", "spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "ports": [{"port": 80}, {"port": "http"}]}], "policyTypes": ["Egress"]}});
        assert_eq!(
            to_yaml(&value),
            "kind: NetworkPolicy
spec:
  podSelector: {}
  egress:
  - to:
    - ipBlock:
        cidr: 10.0.0.0/8
    ports:
    - port: 80
    - port: http
  policyTypes:
  - Egress
"
        );
    }

    #[test]
    fn strings_stay_strings() {
        for text in [
            "on",
            "Yes",
            "y",
            "N",
            "off",
            "1.0",
            "1e3",
            "0x1f",
            "017",
            "1_000",
            "",
            " ",
            "null",
            "~",
            "-",
            "a: b",
            "a #b",
            "12:30:45",
            "2026-11-21",
            ".inf",
            "NaN",
            "*x",
            "&x",
            "!x",
            "%x",
            "@x",
            "`x`",
            "{a}",
            "[a]",
            "a\nb",
            "\u{7f}",
            "\u{2028}",
            "é",
            "😀",
            "=",
            "<<",
            "fd00::/8",
            "10.0.0.0/8",
            "1/2",
            "kubernetes.io/metadata.name",
            "'",
            "\"",
        ] {
            let yaml = to_yaml(&json!({"labels": {"key": text}, text: [text]}));
            assert_eq!(read(&yaml), json!({"labels": {"key": text}, text: [text]}), "{yaml}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~é]{0,6}".prop_map(Value::from),
            "[a-z0-9./-]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[ -~]{1,5}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_value()) {
            prop_assert_eq!(read(&to_yaml(&value)), value);
        }
    }
}
