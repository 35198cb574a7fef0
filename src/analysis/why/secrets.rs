//! Where the value of a Secret leads, for whoever asked to have Secrets read: addresses, and nothing else of it.
//!
//! A value comes in, hosts and ports go out; the value itself is dropped here.

use super::addresses::{Address, endpoints, is_host, own};

/// What is kept of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// Addresses of URLs and connection strings.
    Addresses(Vec<Address>),
    /// A value that may be a host. It may be a password as well: to be believed only under a name that says host, where it is
    /// one of the cluster's or has a domain.
    Host(String),
    /// A number that may be a port.
    Port(u16),
}

/// Longest value that is looked at.
const LONGEST: usize = 64 << 10;

/// Where a value leads; nothing where it names no address.
pub(super) fn lead(value: &str) -> Option<Lead> {
    let value = value.trim();
    if value.is_empty() || value.len() > LONGEST {
        return None;
    }
    if let Ok(port) = value.parse::<u16>() {
        return (port > 0).then_some(Lead::Port(port));
    }
    let mut found = endpoints(value);
    found.retain(|address| !own(&address.host));
    if !found.is_empty() {
        return Some(Lead::Addresses(found));
    }
    (is_host(value) && !own(value)).then(|| Lead::Host(value.to_owned()))
}

/// Text of base64 (RFC 4648, section 4); nothing where it is none, or no text.
pub(super) fn decoded(text: &str) -> Option<String> {
    if text.len() > 2 * LONGEST {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_a_value_leads_is_kept() {
        let text = decoded("cG9zdGdyZXM6Ly9hcHA6czNjcjN0QGRiLmRhdGE6NTQzMi94").expect("text");
        let lead_of = |text: &str| format!("{:?}", lead(text));
        assert_eq!(text, "postgres://app:s3cr3t@db.data:5432/x");
        assert!(lead_of(&text).contains("db.data") && !lead_of(&text).contains("s3cr3t"));
        assert_eq!(lead("5432"), Some(Lead::Port(5432)));
        assert_eq!(lead("a secret phrase!"), None);
        assert_eq!(decoded("not base64!"), None);
    }
}
