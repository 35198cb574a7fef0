//! Sets of protocols and ports, laid out on one line so that "anything" is a single interval.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::{ContainerKind, ContainerPort, PortSet, Protocol, Str};
use crate::policy::rule::{L4, Ports};

/// Protocols and ports: disjoint half-open intervals of slots, sorted, never touching.
///
/// TCP, UDP and SCTP take 65,536 slots each; every other protocol takes one, as it has no ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct L4Set(Repr);

/// One form for each set; what is more than one interval is shared, a copy costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Repr {
    #[default]
    Empty,
    One([(u32, u32); 1]),
    Many(Arc<[(u32, u32)]>),
}

impl PartialOrd for L4Set {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for L4Set {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.intervals().cmp(other.intervals())
    }
}

const PER_PROTOCOL: u32 = 1 << 16;
const WITHOUT_PORTS: u32 = 3 * PER_PROTOCOL;
const END: u32 = WITHOUT_PORTS + 2 + 256;

/// The first slot of a protocol, and how many it has.
fn slots(protocol: Protocol) -> (u32, u32) {
    match protocol {
        Protocol::Tcp => (0, PER_PROTOCOL),
        Protocol::Udp => (PER_PROTOCOL, PER_PROTOCOL),
        Protocol::Sctp => (2 * PER_PROTOCOL, PER_PROTOCOL),
        Protocol::Icmp => (WITHOUT_PORTS, 1),
        Protocol::Icmpv6 => (WITHOUT_PORTS + 1, 1),
        Protocol::Other(number) => (WITHOUT_PORTS + 2 + u32::from(number), 1),
    }
}

/// The protocols that have slots of their own in a report.
pub const PROTOCOLS: [Protocol; 5] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp, Protocol::Icmp, Protocol::Icmpv6];

impl L4Set {
    fn interval(start: u32, end: u32) -> Self {
        Self(Repr::One([(start, end)]))
    }

    /// From intervals that are disjoint, sorted and never touch.
    fn of_intervals(intervals: &[(u32, u32)]) -> Self {
        match intervals {
            [] => Self::empty(),
            [(start, end)] => Self::interval(*start, *end),
            many => Self(Repr::Many(Arc::from(many))),
        }
    }

    fn intervals(&self) -> &[(u32, u32)] {
        match &self.0 {
            Repr::Empty => &[],
            Repr::One(one) => one,
            Repr::Many(many) => many,
        }
    }

    /// Whether both are the same piece of memory, or small and equal.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Many(a), Repr::Many(b)) => Arc::ptr_eq(a, b),
            (a, b) => a == b,
        }
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Every port of every protocol.
    pub fn all() -> Self {
        Self::interval(0, END)
    }

    /// One port; of a protocol without ports, the protocol.
    pub fn one(protocol: Protocol, port: u16) -> Self {
        let (first, count) = slots(protocol);
        let slot = if count == 1 { first } else { first + u32::from(port) };
        Self::interval(slot, slot + 1)
    }

    /// Ports of one protocol, from the first to the last; of a protocol without ports, the protocol.
    pub fn range(protocol: Protocol, from: u16, to: u16) -> Self {
        let (first, count) = slots(protocol);
        if count == 1 || from > to {
            return if count == 1 { Self::one(protocol, from) } else { Self::empty() };
        }
        Self::interval(first + u32::from(from), first + u32::from(to) + 1)
    }

    fn from_unsorted(mut intervals: Vec<(u32, u32)>) -> Self {
        intervals.sort_unstable();
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(intervals.len());
        for (start, end) in intervals {
            match out.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ if start < end => out.push((start, end)),
                _ => {}
            }
        }
        Self::of_intervals(&out)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Empty)
    }

    /// Whether everything is in it.
    pub fn is_all(&self) -> bool {
        matches!(self.0, Repr::One([(0, END)]))
    }

    /// Whether a port of a protocol is in it.
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        let (first, count) = slots(protocol);
        let slot = if count == 1 { first } else { first + u32::from(port) };
        self.holds(slot)
    }

    pub(super) fn holds(&self, slot: u32) -> bool {
        let intervals = self.intervals();
        let after = intervals.partition_point(|(start, _)| *start <= slot);
        after > 0 && slot < intervals[after - 1].1
    }

    /// The ports of a protocol; of one without ports, all or none.
    pub fn ports(&self, protocol: Protocol) -> PortSet {
        let (first, count) = slots(protocol);
        if count == 1 {
            return if self.holds(first) { PortSet::all() } else { PortSet::empty() };
        }
        let mut out = PortSet::empty();
        // Port 0 has a slot so that a rule without ports is one interval; nothing listens there.
        for &(start, end) in self.intervals() {
            let (start, end) = (start.max(first + 1), end.min(first + count));
            if start < end {
                out = out.union(&PortSet::range((start - first) as u16, (end - 1 - first) as u16));
            }
        }
        out
    }

    /// The numbers of the protocols that have no name here, in order.
    pub fn others(&self) -> Vec<u8> {
        let (first, _) = slots(Protocol::Other(0));
        let within = self.intervals().iter().map(|(start, end)| (*start).max(first)..(*end).max(first));
        within.flatten().map(|slot| (slot - first) as u8).collect()
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_all() {
            return other.clone();
        }
        if other.is_empty() || self.is_all() || self.is_same(other) {
            return self.clone();
        }
        Self::from_unsorted(self.intervals().iter().chain(other.intervals()).copied().collect())
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        if self.is_all() {
            return other.clone();
        }
        if other.is_all() || self.is_same(other) {
            return self.clone();
        }
        let (xs, ys) = (self.intervals(), other.intervals());
        // Far apart, as ports of different services are.
        match (xs, ys) {
            ([.., x], [y, ..]) if x.1 <= y.0 => return Self::empty(),
            ([x, ..], [.., y]) if y.1 <= x.0 => return Self::empty(),
            ([x], [y]) => return Self::interval(x.0.max(y.0), x.1.min(y.1)),
            _ => {}
        }
        let (mut a, mut b) = (0, 0);
        let mut out = Vec::new();
        while let (Some(x), Some(y)) = (xs.get(a), ys.get(b)) {
            let (start, end) = (x.0.max(y.0), x.1.min(y.1));
            if start < end {
                out.push((start, end));
            }
            if x.1 < y.1 { a += 1 } else { b += 1 }
        }
        Self::of_intervals(&out)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.and(&other.complement())
    }

    fn complement(&self) -> Self {
        let mut out = Vec::with_capacity(self.intervals().len() + 1);
        let mut from = 0;
        for &(start, end) in self.intervals() {
            if start > from {
                out.push((from, start));
            }
            from = end;
        }
        if from < END {
            out.push((from, END));
        }
        Self::of_intervals(&out)
    }
}

/// `all`, `TCP 80,443; UDP 53`, or `none`.
impl fmt::Display for L4Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        let mut first = true;
        let others = (0..=u8::MAX).map(Protocol::Other);
        for protocol in PROTOCOLS.into_iter().chain(others) {
            let ports = self.ports(protocol);
            if ports.is_empty() {
                continue;
            }
            if !first {
                f.write_str("; ")?;
            }
            first = false;
            match ports.is_all() {
                true => write!(f, "{protocol}")?,
                false => write!(f, "{protocol} {ports}")?,
            }
        }
        if first { f.write_str("none") } else { Ok(()) }
    }
}

/// The ports of a rule before its named ports are resolved on a destination (SEMANTICS 23).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RulePorts {
    pub(super) fixed: L4Set,
    /// Names, with the protocol where the rule gives one.
    pub(super) named: Vec<(Option<Protocol>, Str)>,
    /// Whether ports of plain init containers count.
    init: bool,
}

impl RulePorts {
    pub(super) fn new(l4: &L4, end_port: bool, init: bool) -> Self {
        let matches = match l4 {
            L4::Any => return Self { fixed: L4Set::all(), named: Vec::new(), init },
            L4::OneOf(matches) => matches,
        };
        let mut fixed = Vec::new();
        let mut named = Vec::new();
        for one in matches {
            let last_is_understood = !one.end_port || end_port;
            match (&one.ports, one.protocol) {
                (Ports::Named(name), protocol) => named.push((protocol, name.clone())),
                (Ports::All, None) => fixed.push((0, END)),
                (ports, Some(protocol)) => of_protocol(ports, protocol, last_is_understood, &mut fixed),
                (ports, None) => {
                    for protocol in PROTOCOLS.into_iter().chain((0..=u8::MAX).map(Protocol::Other)) {
                        of_protocol(ports, protocol, last_is_understood, &mut fixed);
                    }
                }
            }
        }
        named.sort();
        named.dedup();
        Self { fixed: L4Set::from_unsorted(fixed), named, init }
    }

    /// The ports on a destination that declares these; nothing but a pod declares any.
    pub(super) fn on(&self, declared: Option<&[ContainerPort]>) -> L4Set {
        let mut out = self.fixed.clone();
        for (protocol, name) in &self.named {
            for port in declared.unwrap_or_default() {
                if (port.container != ContainerKind::Init || self.init)
                    && port.name.as_ref() == Some(name)
                    && protocol.is_none_or(|p| p == port.protocol)
                {
                    out = out.or(&L4Set::one(port.protocol, port.number));
                }
            }
        }
        out
    }
}

fn of_protocol(ports: &Ports, protocol: Protocol, last_is_understood: bool, out: &mut Vec<(u32, u32)>) {
    let (base, count) = slots(protocol);
    let mut push = |first: u32, last: u32| {
        if first <= last && first < count {
            out.push((base + first, base + last.min(count - 1) + 1));
        }
    };
    match ports {
        Ports::All => push(0, count - 1),
        Ports::Range(first, last) => {
            push(u32::from(*first), u32::from(if last_is_understood { *last } else { *first }));
        }
        Ports::NotIn(ranges) => {
            let holes = L4Set::from_unsorted(ranges.iter().map(|(f, l)| (u32::from(*f), u32::from(*l) + 1)).collect());
            for &(start, end) in holes.complement().intervals() {
                if end > start {
                    push(start, (end - 1).min(PER_PROTOCOL - 1));
                }
            }
        }
        Ports::Named(_) => {}
    }
}

/// Slots that the same sets hold.
struct Group {
    /// Whether any set holds them.
    held: bool,
    intervals: Vec<(u32, u32)>,
}

/// Cuts the line where any of these sets begins or ends: groups of slots that the same sets hold, each with one slot of
/// the group. What no set holds comes last, where there is any.
pub(super) fn atoms(sets: &[&L4Set]) -> Vec<(L4Set, u32)> {
    if sets.iter().all(|s| s.is_all()) {
        return vec![(L4Set::all(), 0)];
    }
    let mut cuts: Vec<u32> =
        sets.iter().flat_map(|s| s.intervals().iter().flat_map(|(start, end)| [*start, *end])).collect();
    cuts.extend([0, END]);
    cuts.sort_unstable();
    cuts.dedup();
    let mut groups: Vec<Group> = Vec::new();
    let mut by_members: FxHashMap<Vec<u64>, usize> = FxHashMap::default();
    // Where each set stands in its intervals, as the cuts are gone through in order.
    let mut at = vec![0usize; sets.len()];
    for cut in cuts.windows(2) {
        let mut members = vec![0u64; sets.len().div_ceil(64)];
        for (index, set) in sets.iter().enumerate() {
            while set.intervals().get(at[index]).is_some_and(|i| i.1 <= cut[0]) {
                at[index] += 1;
            }
            if set.intervals().get(at[index]).is_some_and(|i| i.0 <= cut[0]) {
                members[index / 64] |= 1 << (index % 64);
            }
        }
        let group = *by_members.entry(members).or_insert_with_key(|members| {
            groups.push(Group { held: members.iter().any(|w| *w != 0), intervals: Vec::new() });
            groups.len() - 1
        });
        groups[group].intervals.push((cut[0], cut[1]));
    }
    groups.sort_by_key(|g| !g.held);
    groups
        .into_iter()
        .map(|g| {
            let first = g.intervals[0].0;
            (L4Set::from_unsorted(g.intervals), first)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::rule::PortMatch;

    fn l4(protocol: Option<Protocol>, ports: Ports) -> L4 {
        L4::OneOf(vec![PortMatch { index: 0, protocol, ports, end_port: false }])
    }

    #[test]
    fn rules_without_a_protocol_cover_protocols_without_ports() {
        let any = RulePorts::new(&L4::Any, true, false).on(None);
        assert!(any.is_all() && any.contains(Protocol::Icmp, 0) && any.contains(Protocol::Other(47), 0));
        assert_eq!(any.others(), (0..=u8::MAX).collect::<Vec<u8>>());
        assert_eq!(L4Set::one(Protocol::Other(47), 0).or(&L4Set::one(Protocol::Tcp, 80)).others(), [47]);
        let tcp = RulePorts::new(&l4(Some(Protocol::Tcp), Ports::All), true, false).on(None);
        assert_eq!(tcp.to_string(), "TCP");
        assert!(!tcp.contains(Protocol::Udp, 1));
        let not =
            RulePorts::new(&l4(Some(Protocol::Udp), Ports::NotIn(vec![(0, 99), (200, 65535)])), true, false).on(None);
        assert_eq!(not.to_string(), "UDP 100-199");
    }

    #[test]
    fn named_ports_are_the_destinations_own() {
        let declared =
            |container| ContainerPort { name: Some("http".into()), number: 8080, protocol: Protocol::Tcp, container };
        let rule = RulePorts::new(&l4(Some(Protocol::Tcp), Ports::Named("http".into())), true, false);
        assert_eq!(rule.on(Some(&[declared(ContainerKind::Sidecar)])).to_string(), "TCP 8080");
        assert!(rule.on(Some(&[declared(ContainerKind::Init)])).is_empty());
        let with_init = RulePorts::new(&l4(Some(Protocol::Tcp), Ports::Named("http".into())), true, true);
        assert_eq!(with_init.on(Some(&[declared(ContainerKind::Init)])).to_string(), "TCP 8080");
        assert!(rule.on(None).is_empty());
    }

    #[test]
    fn end_ports_count_where_they_are_understood() {
        let rule = L4::OneOf(vec![PortMatch {
            index: 0,
            protocol: Some(Protocol::Tcp),
            ports: Ports::Range(80, 90),
            end_port: true,
        }]);
        assert_eq!(RulePorts::new(&rule, true, false).on(None).to_string(), "TCP 80-90");
        assert_eq!(RulePorts::new(&rule, false, false).on(None).to_string(), "TCP 80");
    }

    proptest! {
        #[test]
        fn atoms_partition_and_no_set_splits_one(
            raw in prop::collection::vec(prop::collection::vec((0u32..400, 0u32..400), 0..4), 0..6),
        ) {
            let sets: Vec<L4Set> = raw.into_iter().map(L4Set::from_unsorted).collect();
            let atoms = atoms(&sets.iter().collect::<Vec<_>>());
            for slot in (0..410).chain([END - 1]) {
                let of: Vec<_> = atoms.iter().filter(|(a, _)| a.holds(slot)).collect();
                prop_assert_eq!(of.len(), 1);
                for set in &sets {
                    prop_assert_eq!(set.holds(slot), set.holds(of[0].1));
                }
            }
        }

        #[test]
        fn algebra_agrees_with_membership(a in prop::collection::vec((0u32..60, 0u32..60), 0..5),
                                          b in prop::collection::vec((0u32..60, 0u32..60), 0..5)) {
            let (x, y) = (L4Set::from_unsorted(a), L4Set::from_unsorted(b));
            for slot in 0..62 {
                prop_assert_eq!(x.or(&y).holds(slot), x.holds(slot) || y.holds(slot));
                prop_assert_eq!(x.and(&y).holds(slot), x.holds(slot) && y.holds(slot));
                prop_assert_eq!(x.minus(&y).holds(slot), x.holds(slot) && !y.holds(slot));
            }
        }
    }
}
