//! Names, labels, ports and addresses: the rules of `k8s.io/apimachinery/pkg/util/validation`, in its words.
//!
//! Each function gives what is wrong with a text; nothing where it is right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// What is said of a number that is no port.
pub const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";
/// What is said of a text that is no range of addresses.
pub const BAD_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
/// What is said of a text that is no address.
pub const BAD_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

fn at_most(length: usize) -> String {
    format!("must be no more than {length} bytes")
}

/// Whether the text starts and ends with `edge` and holds only `inner` between.
fn framed(text: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => edge(*first) && edge(*last) && bytes.iter().all(|b| edge(*b) || inner(*b)),
        _ => false,
    }
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    framed(text, lower, |b| b == b'-')
}

/// An RFC 1123 label: names of namespaces.
pub fn dns_label(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 63 {
        found.push(at_most(63));
    }
    if !is_label(text) {
        found.push(LABEL.to_owned());
    }
    found
}

/// An RFC 1035 label: names of Services.
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 63 {
        found.push(at_most(63));
    }
    if !is_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        found.push(LABEL_1035.to_owned());
    }
    found
}

/// An RFC 1123 subdomain: most names.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 253 {
        found.push(at_most(253));
    }
    if !text.split('.').all(is_label) {
        found.push(SUBDOMAIN.to_owned());
    }
    found
}

/// A label key.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut parts = text.split('/');
    let (prefix, name) = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => (None, name),
        (Some(prefix), Some(name), None) => (Some(prefix), name),
        _ => return vec![QUALIFIED.to_owned()],
    };
    match prefix {
        Some("") => found.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => found.extend(dns_subdomain(prefix).into_iter().map(|problem| format!("prefix part {problem}"))),
        None => {}
    }
    if name.is_empty() {
        found.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        found.push(format!("name part {}", at_most(63)));
    }
    if !is_name(name) {
        found.push(NAME_PART.to_owned());
    }
    found
}

fn is_name(text: &str) -> bool {
    framed(text, |b| b.is_ascii_alphanumeric(), |b| matches!(b, b'-' | b'_' | b'.'))
}

/// A label value.
pub fn label_value(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 63 {
        found.push(at_most(63));
    }
    if !text.is_empty() && !is_name(text) {
        found.push(LABEL_VALUE.to_owned());
    }
    found
}

/// A named port.
pub fn port_name(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 15 {
        found.push("must be no more than 15 characters".to_owned());
    }
    if text.is_empty() || !text.bytes().all(|b| lower(b) || b == b'-') {
        found.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        found.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        found.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        found.push("must not begin or end with a hyphen".to_owned());
    }
    found
}

/// Whether a number is a port.
pub fn is_port(number: i64) -> bool {
    (1..=65535).contains(&number)
}

/// A range of addresses as written: its address, with host bits, and its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// The prefix length.
    pub prefix: u8,
}

impl Cidr {
    /// The first address of the range.
    pub fn network(self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
            }
        }
    }

    /// Whether another range lies in this one and is smaller.
    pub fn strictly_contains(self, other: Self) -> bool {
        let same_family = self.address.is_ipv4() == other.address.is_ipv4();
        let cut = Self { address: other.network(), prefix: self.prefix };
        same_family && self.prefix < other.prefix && cut.network() == self.network()
    }
}

/// A range of addresses.
pub fn cidr(text: &str) -> Result<Cidr, &'static str> {
    let (address, length) = text.split_once('/').ok_or(BAD_CIDR)?;
    if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BAD_CIDR);
    }
    let prefix: u8 = length.parse().map_err(|_| BAD_CIDR)?;
    let leading_zeros = || {
        // Rust refuses them, Go took them as decimal until it read them as nothing at all.
        let octets: Option<Vec<&str>> =
            address.split('.').map(|o| Some(o.trim_start_matches('0')).filter(|_| o.parse::<u8>().is_ok())).collect();
        octets.is_some_and(|octets| octets.len() == 4)
    };
    let address: IpAddr = match address.parse() {
        Ok(address) => address,
        Err(_) if leading_zeros() => return Err("must not have leading 0s in IP or prefix length"),
        Err(_) => return Err(BAD_CIDR),
    };
    if prefix > if address.is_ipv4() { 32 } else { 128 } {
        return Err(BAD_CIDR);
    }
    if length.len() > 1 && length.starts_with('0') {
        return Err("must not have leading 0s in IP or prefix length");
    }
    if matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        return Err("must not have an IPv4-mapped IPv6 address");
    }
    Ok(Cidr { address, prefix })
}

/// A DNS name as a cluster-wide policy takes it: `example.com` or `*.example.com`.
pub fn is_domain_name(text: &str) -> bool {
    let text = text.strip_prefix("*.").unwrap_or(text);
    let text = text.strip_suffix('.').unwrap_or(text);
    let part = |part: &str| framed(part, |b| b.is_ascii_alphanumeric(), |b| matches!(b, b'-' | b'_'));
    text.contains('.') && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "a-b", "0a", "a.b-c.d"] {
            assert!(dns_subdomain(good).is_empty(), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", "a_b", "a.", "é"] {
            assert_eq!(dns_subdomain(bad), [SUBDOMAIN], "{bad}");
        }
        assert!(dns_label("a.b").len() == 1 && dns_label("ab").is_empty());
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert!(dns_1035_label("0a").len() == 1 && dns_1035_label("a0").is_empty());
    }

    #[test]
    fn labels() {
        for good in ["app", "app.kubernetes.io/name", "A_b.c", "a.b/C"] {
            assert!(qualified_name(good).is_empty(), "{good}");
        }
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
        assert_eq!(qualified_name("a/b/c"), [QUALIFIED]);
        assert_eq!(qualified_name(""), ["name part must be non-empty", NAME_PART]);
        assert_eq!(qualified_name("A.b/c").len(), 1);
        assert!(label_value("").is_empty() && label_value("a.b_C-1").is_empty());
        for bad in ["-a", "a b", "a/b", "a."] {
            assert_eq!(label_value(bad), [LABEL_VALUE], "{bad}");
        }
    }

    #[test]
    fn ports() {
        assert!(port_name("http-2").is_empty());
        assert_eq!(port_name("80"), ["must contain at least one letter (a-z)"]);
        assert_eq!(port_name("a--b"), ["must not contain consecutive hyphens"]);
        assert_eq!(port_name("-a"), ["must not begin or end with a hyphen"]);
        assert_eq!(port_name("HTTP").len(), 2);
        assert_eq!(port_name("abcdefghijklmnop"), ["must be no more than 15 characters"]);
        assert!(is_port(1) && is_port(65535) && !is_port(0) && !is_port(65536) && !is_port(-1));
    }

    #[test]
    fn ranges() {
        assert_eq!(cidr("10.1.2.3/8").map(Cidr::network), Ok("10.0.0.0".parse().expect("address")));
        assert_eq!(cidr("::1/0").map(Cidr::network), Ok("::".parse().expect("address")));
        for bad in
            ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "fd00::/129", "x/8", "10.0.0.0/+8"]
        {
            assert_eq!(cidr(bad), Err(BAD_CIDR), "{bad}");
        }
        assert_eq!(cidr("010.0.0.0/8"), Err("must not have leading 0s in IP or prefix length"));
        assert_eq!(cidr("10.0.0.0/08"), Err("must not have leading 0s in IP or prefix length"));
        assert_eq!(cidr("::ffff:10.0.0.0/104"), Err("must not have an IPv4-mapped IPv6 address"));
        let range = |text| cidr(text).expect("a range");
        assert!(range("10.0.0.0/8").strictly_contains(range("10.1.0.0/16")));
        assert!(!range("10.0.0.0/8").strictly_contains(range("10.0.0.0/8")));
        assert!(!range("10.0.0.0/8").strictly_contains(range("11.0.0.0/16")));
        assert!(!range("0.0.0.0/0").strictly_contains(range("fd00::/8")));
        assert!(range("0.0.0.0/0").strictly_contains(range("1.2.3.4/32")));
    }

    #[test]
    fn domains() {
        for good in ["a.b", "*.example.com", "example.com.", "a_b.C"] {
            assert!(is_domain_name(good), "{good}");
        }
        for bad in ["a", "*", "*.", "a.*.b", "-a.b", "a..b", ""] {
            assert!(!is_domain_name(bad), "{bad}");
        }
    }
}
