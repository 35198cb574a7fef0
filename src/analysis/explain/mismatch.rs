//! What about a connection did not match a rule, as data.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::{Protocol, Str};
use crate::policy::rule::{DomainPattern, Op};
use crate::source::FieldPath;

/// Something that did not match, with the field that required it.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// What did not match.
    pub mismatch: Mismatch,
    /// The field of the policy: `spec.ingress[0].from[0].podSelector.matchLabels.app`.
    pub path: FieldPath,
}

/// A label of the endpoint that is like the one that was required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Similar {
    /// Key.
    pub key: Str,
    /// Value.
    pub value: Str,
}

/// What a pod declares a port by a name for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// No container declares the name.
    Nothing,
    /// It stands for another number.
    Number(u16),
    /// It stands for a port of another protocol.
    Protocol(Protocol),
    /// The endpoint is not a pod: it declares no names.
    NotAPod,
}

/// What an endpoint is that no selector can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAPod {
    /// A pod on its node's network: policies see the node (SEMANTICS 46).
    HostNetwork,
    /// A node.
    Node,
    /// An address outside the cluster (SEMANTICS 18).
    Outside,
}

/// What did not match.
#[derive(Clone, Debug, PartialEq)]
pub enum Mismatch {
    /// A label of the pod.
    PodLabel {
        /// Key.
        key: Str,
        /// What is required of it.
        wanted: Op,
        /// Its value, where the pod has it.
        found: Option<Str>,
        /// A label that may have been meant.
        similar: Option<Similar>,
    },
    /// A label of the pod's namespace.
    NamespaceLabel {
        /// Key.
        key: Str,
        /// What is required of it.
        wanted: Op,
        /// Its value, where the namespace has it.
        found: Option<Str>,
        /// A label that may have been meant.
        similar: Option<Similar>,
        /// The namespace.
        namespace: Str,
    },
    /// A peer without a namespaceSelector means pods of the policy's own namespace (SEMANTICS 8).
    PolicyNamespaceOnly {
        /// The policy's namespace.
        policy: Str,
        /// The pod's.
        found: Str,
    },
    /// The policy is in another namespace than the pod it should select.
    PolicyElsewhere {
        /// The policy's namespace.
        policy: Str,
        /// The pod's.
        found: Str,
    },
    /// The ports don't hold the one that is used.
    Port {
        /// First and last port of the rule.
        wanted: (u16, u16),
        /// The port on the pod.
        actual: u16,
        /// Whether the rule holds the Service's port, which no policy ever sees (SEMANTICS 31).
        is_service_port: bool,
    },
    /// The rule is for another protocol; a port without one is TCP (SEMANTICS 19).
    Protocol {
        /// The rule's.
        wanted: Protocol,
        /// The connection's.
        actual: Protocol,
        /// Whether the port would match.
        port_matches: bool,
    },
    /// The name stands for another port on the destination pod, or for none (SEMANTICS 23 to 26).
    NamedPort {
        /// Name.
        name: Str,
        /// What it stands for.
        declared: Declared,
        /// The port on the pod.
        actual: u16,
        /// The name that the pod has for the port that is used.
        called: Option<Str>,
    },
    /// The address is not in the block, or is in one of its exceptions.
    Cidr {
        /// The block.
        cidr: IpNet,
        /// The address, where it is known.
        ip: Option<IpAddr>,
        /// The exception that holds it.
        excepted_by: Option<IpNet>,
    },
    /// The block holds Service addresses; policies see the pod's own (SEMANTICS 32).
    ServiceIpInCidr {
        /// The block.
        cidr: IpNet,
        /// A Service's address in it.
        service_ip: IpAddr,
        /// The pod's address.
        ip: Option<IpAddr>,
    },
    /// The block holds the address, but this plugin matches blocks against addresses outside the cluster only (SEMANTICS 17).
    CidrNotForPods {
        /// The block.
        cidr: IpNet,
    },
    /// A selector can't match it.
    NotAPod(NotAPod),
    /// A rule for nodes, and it is none, or one with other labels.
    NotSuchANode,
    /// A rule for DNS names.
    Domain {
        /// The rule's names.
        patterns: Vec<DomainPattern>,
        /// The name that was dialled.
        name: Option<Str>,
    },
    /// A negated selector matches.
    Excluded,
    /// The list of peers or of ports is empty, or holds nothing this version knows.
    Nothing,
}

impl Mismatch {
    /// How far off it is: what looks like a slip is near.
    pub(crate) fn distance(&self) -> u32 {
        match self {
            Self::PodLabel { wanted, found, similar, .. } | Self::NamespaceLabel { wanted, found, similar, .. } => {
                match (found, similar) {
                    (Some(found), Some(_)) => 10 + edits(wanted, found),
                    (None, Some(_)) => 22,
                    (Some(_), None) => 40,
                    (None, None) => 50,
                }
            }
            Self::Port { is_service_port: true, .. } => 8,
            Self::Protocol { port_matches: true, .. } => 15,
            Self::NamedPort { called: Some(_), .. } => 15,
            Self::NamedPort { .. } => 22,
            Self::PolicyNamespaceOnly { .. } | Self::PolicyElsewhere { .. } => 18,
            Self::ServiceIpInCidr { .. } => 20,
            Self::Port { wanted: (first, last), actual, .. } => {
                let off = first.saturating_sub(*actual).max(actual.saturating_sub(*last));
                // A range that ends just before, two digits swapped: nearer than another port altogether.
                let near = off <= 10 || first.to_string().len() == actual.to_string().len() && edit(first, actual) <= 1;
                if near { 24 } else { 32 }
            }
            Self::Cidr { excepted_by: Some(_), .. } => 35,
            Self::CidrNotForPods { .. } => 35,
            Self::Protocol { .. } => 45,
            Self::Cidr { .. } | Self::NotSuchANode | Self::Domain { .. } => 50,
            Self::Excluded => 50,
            Self::NotAPod(_) => 70,
            Self::Nothing => 80,
        }
    }
}

fn edits(wanted: &Op, found: &str) -> u32 {
    match wanted {
        Op::In(values) => values.iter().map(|v| strsim::damerau_levenshtein(v, found)).min().unwrap_or(9).min(9) as u32,
        _ => 9,
    }
}

fn edit(a: &u16, b: &u16) -> usize {
    strsim::damerau_levenshtein(&a.to_string(), &b.to_string())
}

/// Whether one text is probably a slip for the other: a letter or two, or one a part of the other.
pub(crate) fn like(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    // Long texts are not compared letter by letter: labels have at most 63 characters, input may have more.
    if short.is_empty() || long.len() > 256 {
        return false;
    }
    slip(a, b) || (short.len() >= 3 && long.contains(short))
}

/// Whether one text is a slip of the finger for the other.
pub(crate) fn slip(a: &str, b: &str) -> bool {
    let short = a.len().min(b.len());
    if a.len().max(b.len()) > 256 {
        return false;
    }
    let edits = strsim::damerau_levenshtein(a, b);
    edits <= 4 && edits * 3 <= short
}
