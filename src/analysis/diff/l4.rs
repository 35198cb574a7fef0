//! Ports of the three protocols that have any, as a set.

use std::fmt;

use crate::model::{PortSet, Protocol};
use crate::reach::matrix::L4Set;

/// Ports of TCP, UDP and SCTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct L4([PortSet; 3]);

impl L4 {
    /// Each protocol with its ports; those without any are left out.
    pub fn iter(&self) -> impl Iterator<Item = (Protocol, &PortSet)> {
        Protocol::WITH_PORTS.into_iter().zip(&self.0).filter(|(_, ports)| !ports.is_empty())
    }

    /// The ports of a protocol.
    pub fn of(&self, protocol: Protocol) -> Option<&PortSet> {
        self.iter().find(|(p, _)| *p == protocol).map(|(_, ports)| ports)
    }

    /// Every port of every protocol.
    pub fn all() -> Self {
        Self([PortSet::all(), PortSet::all(), PortSet::all()])
    }

    /// Ports of one protocol.
    pub fn one(protocol: Protocol, ports: PortSet) -> Self {
        let mut out = Self::default();
        for (known, into) in Protocol::WITH_PORTS.into_iter().zip(&mut out.0) {
            if known == protocol {
                into.clone_from(&ports);
            }
        }
        out
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(PortSet::is_empty)
    }

    /// Whether every port of every protocol is in it.
    pub fn is_all(&self) -> bool {
        self.0.iter().all(PortSet::is_all)
    }

    fn with(&self, other: &Self, what: impl Fn(&PortSet, &PortSet) -> PortSet) -> Self {
        let [a, b, c] = &self.0;
        let [x, y, z] = &other.0;
        Self([what(a, x), what(b, y), what(c, z)])
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.with(other, PortSet::union)
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.with(other, PortSet::intersection)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.with(other, PortSet::difference)
    }
}

impl From<&L4Set> for L4 {
    fn from(set: &L4Set) -> Self {
        Self(Protocol::WITH_PORTS.map(|p| set.ports(p)))
    }
}

/// `TCP 80,8080-8090, UDP 53`, `every port` or `nothing`.
impl fmt::Display for L4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("every port");
        }
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (index, (protocol, ports)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            match ports.is_all() {
                true => write!(f, "{protocol}")?,
                false => write!(f, "{protocol} {ports}")?,
            }
        }
        Ok(())
    }
}
