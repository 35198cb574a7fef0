//! What a plain YAML scalar means to kubectl.
//!
//! kubectl reads YAML through `sigs.k8s.io/yaml`, whose parser keeps YAML 1.1's reading: `on`, `yes`, `y` are booleans,
//! `0777` is octal, `1_000` a number. Text goes in, a JSON value goes out; nothing of Kubernetes is known here.

use serde_json::{Number, Value};

/// What an unquoted scalar stands for; `None` where JSON has no such value (`.nan`, `.inf`).
pub fn plain(text: &str) -> Option<Value> {
    let Some(&first) = text.as_bytes().first() else { return Some(Value::Null) };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => {
            Some(word(text).unwrap_or_else(|| Value::String(text.to_owned())))
        }
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" => None,
            _ => Some(go_float(text).and_then(float).unwrap_or_else(|| Value::String(text.to_owned()))),
        },
        b'+' | b'-' if matches!(text.get(1..), Some(".inf" | ".Inf" | ".INF")) => None,
        b'+' | b'-' | b'0'..=b'9' => Some(number(text).unwrap_or_else(|| Value::String(text.to_owned()))),
        _ => Some(Value::String(text.to_owned())),
    }
}

/// Booleans and null by name.
fn word(text: &str) -> Option<Value> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => return None,
    })
}

/// An integer in any of Go's notations, or a decimal float.
fn number(text: &str) -> Option<Value> {
    if is_date(text) {
        return None;
    }
    let plain = if text.contains('_') { text.replace('_', "") } else { text.to_owned() };
    if let Some(value) = integer(&plain) {
        return Some(value);
    }
    if is_float(&plain) { plain.parse::<f64>().ok().and_then(float) } else { None }
}

/// As Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`: prefixes `0x`, `0o`, `0b`, and a leading `0` for octal.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        0_i64.checked_sub_unsigned(magnitude).map(|v| Value::Number(v.into()))
    } else {
        Some(Value::Number(magnitude.into()))
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, the floats of go-yaml.
fn is_float(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    mantissa_ok && exponent_ok
}

/// A float that starts with a dot, which go-yaml hands to `strconv.ParseFloat`.
fn go_float(text: &str) -> Option<f64> {
    if is_float(text) { text.parse().ok() } else { None }
}

/// As Go writes a float in JSON: without a fraction where there is none, so that `80.0` is the integer 80.
fn float(value: f64) -> Option<Value> {
    if !value.is_finite() {
        return None;
    }
    if value.fract() == 0.0 && value.abs() < 9.0e15 {
        // Exact: the magnitude is below 2^53.
        return Some(Value::Number(Number::from(value as i64)));
    }
    Number::from_f64(value).map(Value::Number)
}

/// `2001-12-14`, alone or with a time: go-yaml knows a timestamp and hands it on as a string.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 5 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
}

/// How a scalar reads as a mapping key: keys are strings in JSON, so `on:` is the key `true` and `0x10:` the key `16`.
/// `None` where there is no such key (`~:`).
pub fn plain_key(text: &str) -> Option<String> {
    match plain(text)? {
        Value::String(key) => Some(key),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn booleans_of_yaml_1_1() {
        for text in ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"] {
            assert_eq!(plain(text), Some(json!(true)), "{text}");
        }
        for text in ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"] {
            assert_eq!(plain(text), Some(json!(false)), "{text}");
        }
        for text in ["yEs", "oN", "tru", "yellow", "nginx", "offline", "onion"] {
            assert_eq!(plain(text), Some(json!(text)));
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(plain("0777"), Some(json!(511)));
        assert_eq!(plain("0o17"), Some(json!(15)));
        assert_eq!(plain("0x1F"), Some(json!(31)));
        assert_eq!(plain("-0b11"), Some(json!(-3)));
        assert_eq!(plain("1_000"), Some(json!(1000)));
        assert_eq!(plain("80.0"), Some(json!(80)));
        assert_eq!(plain("1e3"), Some(json!(1000)));
        assert_eq!(plain("-1.5"), Some(json!(-1.5)));
        assert_eq!(plain(".5"), Some(json!(0.5)));
        assert_eq!(plain("18446744073709551615"), Some(json!(u64::MAX)));
        assert_eq!(plain("-9223372036854775808"), Some(json!(i64::MIN)));
        // Not octal, still a decimal float to go-yaml.
        assert_eq!(plain("089"), Some(json!(89)));
        for text in ["10.0.0.0/8", "1.2.3", "2001-12-14", "12h", "+", "-", "--1", "0x", "1e", "0xfg", "fd00::1"] {
            assert_eq!(plain(text), Some(json!(text)));
        }
        assert_eq!(plain(".nan"), None);
        assert_eq!(plain("-.inf"), None);
    }

    #[test]
    fn nothing() {
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(plain(text), Some(Value::Null));
        }
    }

    #[test]
    fn keys() {
        assert_eq!(plain_key("on").as_deref(), Some("true"));
        assert_eq!(plain_key("0x10").as_deref(), Some("16"));
        assert_eq!(plain_key("app").as_deref(), Some("app"));
        assert_eq!(plain_key("~"), None);
    }
}
