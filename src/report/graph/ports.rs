//! Sets of ports, for machines and for people.

use super::PortRange;
use crate::analysis::graph::Ports;
use crate::model::Protocol;
use crate::reach::matrix::{L4Set, PROTOCOLS};

/// Each protocol with its ports.
pub(super) fn ranges(set: &L4Set) -> Vec<PortRange> {
    if set.is_all() {
        return vec![PortRange { protocol: "any".to_owned(), ports: None }];
    }
    let mut out = Vec::new();
    for protocol in PROTOCOLS {
        let ports = set.ports(protocol);
        if !ports.is_empty() {
            let ports = Protocol::WITH_PORTS.contains(&protocol).then(|| ports.to_string());
            out.push(PortRange { protocol: protocol.to_string(), ports });
        }
    }
    // Protocols without ports have no place in most rules: they come in all together, or by number.
    out.extend(runs(&set.others()).into_iter().map(|protocol| PortRange { protocol, ports: None }));
    out
}

fn runs(numbers: &[u8]) -> Vec<String> {
    numbers
        .chunk_by(|a, b| u16::from(*a) + 1 == u16::from(*b))
        .filter_map(|run| match run {
            [one] => Some(one.to_string()),
            [first, .., last] => Some(format!("{first}-{last}")),
            [] => None,
        })
        .collect()
}

/// `TCP 80,8080 UDP 53`, `all`, `all but TCP 22`.
fn text(set: &L4Set) -> String {
    let plain = words(&ranges(set));
    // "all but TCP" is the shortest of its kind.
    if plain.len() <= "all but TCP".len() {
        return plain;
    }
    let rest = L4Set::all().minus(set);
    if rest.is_empty() || set.is_empty() {
        return plain;
    }
    let but = format!("all but {}", words(&ranges(&rest)));
    if but.len() < plain.len() { but } else { plain }
}

/// What an exposure holds, in words; what policies close of it is said too.
pub(super) fn words_of(ports: &Ports, closed: &L4Set) -> String {
    let mut out = listed(ports, " (in part)");
    if !closed.is_empty() {
        let comma = if out.is_empty() { "" } else { ", " };
        out.push_str(&format!("{comma}{} (blocked)", text(closed)));
    }
    out
}

/// What an edge holds, in words.
pub(super) fn summary(ports: &Ports) -> String {
    listed(ports, " (some pods)")
}

fn listed(ports: &Ports, partial: &str) -> String {
    let mut out = Vec::new();
    for (set, what) in [(&ports.open, ""), (&ports.partial, partial), (&ports.unknown, " (unknown)")] {
        if !set.is_empty() {
            out.push(format!("{}{what}", text(set)));
        }
    }
    out.join(", ")
}

fn words(ranges: &[PortRange]) -> String {
    let one = |r: &PortRange| match (r.protocol.as_str(), r.ports.as_deref()) {
        ("any", _) => "all".to_owned(),
        (protocol, None | Some("1-65535")) if protocol.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("protocol {protocol}")
        }
        (protocol, None | Some("1-65535")) => protocol.to_owned(),
        (protocol, Some(ports)) => format!("{protocol} {ports}"),
    };
    ranges.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shorter_is_said() {
        let tcp = |port| L4Set::one(Protocol::Tcp, port);
        assert_eq!(text(&L4Set::all()), "all");
        assert_eq!(text(&L4Set::empty()), "");
        assert_eq!(text(&tcp(80).or(&L4Set::one(Protocol::Udp, 53))), "TCP 80 UDP 53");
        assert_eq!(text(&L4Set::all().minus(&tcp(22))), "all but TCP 22");
    }
}
