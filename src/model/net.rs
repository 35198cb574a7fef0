//! Protocols and sets of ports.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A transport protocol. NetworkPolicy knows TCP, UDP and SCTP; the others leave room for dialects that know more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP.
    Icmp,
    /// ICMP for IPv6.
    Icmpv6,
    /// Another IP protocol, by number.
    Other(u8),
}

impl Protocol {
    /// The protocols that have ports.
    pub const WITH_PORTS: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// From a name in any case.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            "ICMP" => Some(Self::Icmp),
            "ICMPV6" => Some(Self::Icmpv6),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("TCP"),
            Self::Udp => f.write_str("UDP"),
            Self::Sctp => f.write_str("SCTP"),
            Self::Icmp => f.write_str("ICMP"),
            Self::Icmpv6 => f.write_str("ICMPv6"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

/// Ports of one protocol: disjoint closed intervals, sorted, never touching.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet(Vec<(u16, u16)>);

impl PortSet {
    /// No port.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Every port, 1 to 65535.
    pub fn all() -> Self {
        Self(vec![(1, u16::MAX)])
    }

    /// The ports from `first` to `last`.
    pub fn range(first: u16, last: u16) -> Self {
        if first > last { Self::default() } else { Self(vec![(first, last)]) }
    }

    /// The intervals.
    pub fn intervals(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// Whether no port is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every port from 1 to 65535 is in it.
    pub fn is_all(&self) -> bool {
        matches!(self.0.as_slice(), [(0 | 1, u16::MAX)])
    }

    /// Whether a port is in it.
    pub fn contains(&self, port: u16) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= port);
        after > 0 && self.0[after - 1].1 >= port
    }

    /// Adds the ports from `first` to `last`.
    pub fn insert(&mut self, first: u16, last: u16) {
        *self = self.union(&Self::range(first, last));
    }

    /// The ports in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<(u16, u16)> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        let mut out: Vec<(u16, u16)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match out.last_mut() {
                Some(previous) if u32::from(first) <= u32::from(previous.1) + 1 => previous.1 = previous.1.max(last),
                _ => out.push((first, last)),
            }
        }
        Self(out)
    }

    /// The ports in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b) = (0, 0);
        let mut out = Vec::new();
        while let (Some(x), Some(y)) = (self.0.get(a), other.0.get(b)) {
            let (first, last) = (x.0.max(y.0), x.1.min(y.1));
            if first <= last {
                out.push((first, last));
            }
            if x.1 < y.1 { a += 1 } else { b += 1 }
        }
        Self(out)
    }

    /// The ports in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        for &(first, last) in &self.0 {
            let mut from = u32::from(first);
            let start = other.0.partition_point(|(_, l)| *l < first);
            for &(f, l) in &other.0[start..] {
                if f > last {
                    break;
                }
                if u32::from(f) > from {
                    out.push((from as u16, f - 1));
                }
                from = from.max(u32::from(l) + 1);
            }
            if from <= u32::from(last) {
                out.push((from as u16, last));
            }
        }
        Self(out)
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ports(intervals: &[(u16, u16)]) -> PortSet {
        intervals.iter().fold(PortSet::empty(), |set, (f, l)| set.union(&PortSet::range(*f, *l)))
    }

    proptest! {
        #[test]
        fn set_algebra_agrees_with_membership(
            a in prop::collection::vec((0u16..50, 0u16..50), 0..6),
            b in prop::collection::vec((0u16..50, 0u16..50), 0..6),
        ) {
            let (x, y) = (ports(&a), ports(&b));
            let has = |v: &[(u16, u16)], p: u16| v.iter().any(|(f, l)| *f <= p && p <= *l);
            for p in 0..60 {
                prop_assert_eq!(x.union(&y).contains(p), has(&a, p) || has(&b, p));
                prop_assert_eq!(x.intersection(&y).contains(p), has(&a, p) && has(&b, p));
                prop_assert_eq!(x.difference(&y).contains(p), has(&a, p) && !has(&b, p));
            }
            for w in x.union(&y).intervals().windows(2) {
                prop_assert!(u32::from(w[0].1) + 1 < u32::from(w[1].0));
            }
        }
    }

    #[test]
    fn the_ends_of_the_range_do_not_overflow() {
        let top = PortSet::range(65535, 65535);
        assert_eq!(PortSet::all().difference(&top).to_string(), "1-65534");
        assert!(PortSet::range(1, 65534).union(&top).is_all());
        assert!(PortSet::all().difference(&PortSet::all()).is_empty());
    }
}
