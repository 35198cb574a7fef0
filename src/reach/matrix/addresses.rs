//! Addresses cut into groups that the ranges of all policies can't tell apart.
//!
//! Ranges of one family come in; groups of addresses go out, each held by the same ranges. All cut points are sorted once;
//! between two of them no range begins or ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use crate::policy::rule::Block;

/// An inclusive range of addresses as numbers.
type Span = (u128, u128);

/// The groups of one family.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    v6: bool,
    /// First address of each piece between two cut points, in order; the first is 0.
    starts: Vec<u128>,
    /// The same for IPv4, where there may be a search for every pod.
    starts_v4: Vec<u32>,
    /// The group of each piece.
    group_of: Vec<u32>,
    /// The pieces of each group, in order.
    pieces: Vec<Vec<u32>>,
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

fn span(net: &IpNet) -> Span {
    (number(net.network()), number(net.broadcast()))
}

fn is_v6(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}

/// The addresses of a block as disjoint spans, in order.
fn spans(block: &Block) -> Vec<Span> {
    let (first, last) = span(&block.cidr);
    let mut holes: Vec<Span> = block
        .except
        .iter()
        .filter(|e| is_v6(e) == is_v6(&block.cidr))
        .map(span)
        .filter(|h| h.0 <= last && h.1 >= first)
        .collect();
    holes.sort_unstable();
    let mut out = Vec::new();
    let mut from = Some(first);
    for hole in holes {
        let Some(at) = from else { break };
        if hole.0 > at {
            out.push((at, hole.0 - 1));
        }
        from = hole.1.checked_add(1).map(|next| next.max(at)).filter(|next| *next <= last);
    }
    if let Some(at) = from {
        out.push((at, last));
    }
    out
}

/// A number that is as good as unique to an index (SplitMix64's finaliser, twice).
fn token(index: u64) -> u128 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let low = mix(index.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1));
    u128::from(mix(low ^ 0xd1b5_4a32_d192_ed03)) << 64 | u128::from(low)
}

impl Addresses {
    /// Cuts one family by these blocks.
    pub(super) fn new<'a>(blocks: impl IntoIterator<Item = &'a Block>, v6: bool) -> Self {
        let blocks: Vec<Vec<Span>> =
            blocks.into_iter().filter(|b| is_v6(&b.cidr) == v6).map(spans).filter(|s| !s.is_empty()).collect();
        let top = if v6 { u128::MAX } else { u128::from(u32::MAX) };
        let mut starts: Vec<u128> = vec![0];
        for (first, last) in blocks.iter().flatten() {
            starts.push(*first);
            starts.extend(last.checked_add(1).filter(|next| *next <= top));
        }
        starts.sort_unstable();
        starts.dedup();
        // Which blocks hold a piece is summed up as one number: entering a block adds its token, leaving takes it away.
        let mut steps = vec![0u128; starts.len() + 1];
        let starts_v4 = if v6 { Vec::new() } else { starts.iter().map(|s| *s as u32).collect() };
        let mut out = Self { v6, starts, starts_v4, group_of: Vec::new(), pieces: Vec::new() };
        for (index, spans) in blocks.iter().enumerate() {
            for span in spans {
                let (from, to) = out.pieces_of(*span);
                steps[from] = steps[from].wrapping_add(token(index as u64));
                steps[to] = steps[to].wrapping_sub(token(index as u64));
            }
        }
        let mut groups: FxHashMap<u128, u32> = FxHashMap::default();
        let mut held = 0u128;
        for (piece, step) in steps.iter().enumerate().take(out.starts.len()) {
            held = held.wrapping_add(*step);
            let group = *groups.entry(held).or_insert_with(|| {
                out.pieces.push(Vec::new());
                out.pieces.len() as u32 - 1
            });
            out.group_of.push(group);
            out.pieces[group as usize].push(piece as u32);
        }
        out
    }

    /// The half-open range of pieces that make up a span whose ends are cut points.
    fn pieces_of(&self, (first, last): Span) -> (usize, usize) {
        (self.starts.partition_point(|s| *s < first), self.starts.partition_point(|s| *s <= last))
    }

    /// How many groups there are.
    pub(super) fn groups(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// The group of an address of this family.
    pub(super) fn group(&self, ip: IpAddr) -> Option<u32> {
        let after = match ip {
            IpAddr::V4(_) if self.v6 => return None,
            IpAddr::V6(_) if !self.v6 => return None,
            IpAddr::V4(ip) => {
                let ip = u32::from(ip);
                self.starts_v4.partition_point(|s| *s <= ip)
            }
            IpAddr::V6(_) => self.starts.partition_point(|s| *s <= number(ip)),
        };
        self.group_of.get(after.checked_sub(1)?).copied()
    }

    /// The groups a block holds, sorted. The block must be one of those the family was cut by.
    pub(super) fn groups_of(&self, block: &Block) -> Vec<u32> {
        if is_v6(&block.cidr) != self.v6 {
            return Vec::new();
        }
        let mut out = Vec::new();
        for span in spans(block) {
            let (from, to) = self.pieces_of(span);
            out.extend_from_slice(&self.group_of[from..to]);
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The ranges of a group, first and last address, in order.
    pub(super) fn ranges(&self, group: u32) -> Vec<(IpAddr, IpAddr)> {
        let top = if self.v6 { u128::MAX } else { u128::from(u32::MAX) };
        let mut out: Vec<Span> = Vec::new();
        for piece in &self.pieces[group as usize] {
            let first = self.starts[*piece as usize];
            let last = self.starts.get(*piece as usize + 1).map_or(top, |next| next - 1);
            match out.last_mut() {
                Some(previous) if previous.1.checked_add(1) == Some(first) => previous.1 = last,
                _ => out.push((first, last)),
            }
        }
        out.into_iter().map(|(first, last)| (self.ip(first), self.ip(last))).collect()
    }

    /// An address of a group.
    pub(super) fn example(&self, group: u32) -> IpAddr {
        self.ip(self.starts[self.pieces[group as usize][0] as usize])
    }

    fn ip(&self, number: u128) -> IpAddr {
        if self.v6 { Ipv6Addr::from(number).into() } else { Ipv4Addr::from(number as u32).into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a range")
    }

    #[test]
    fn equal_membership_is_one_group() {
        let block = Block { cidr: net("10.0.0.0/8"), except: vec![net("10.1.0.0/16"), net("10.1.2.0/24")] };
        let addresses = Addresses::new([&block], false);
        assert_eq!(addresses.groups(), 2);
        assert_eq!(addresses.group("10.1.2.3".parse().unwrap()), addresses.group("8.8.8.8".parse().unwrap()));
        assert_eq!(addresses.group("::1".parse().unwrap()), None);
        let inside = addresses.group("10.2.0.0".parse().unwrap()).unwrap();
        let ranges: Vec<String> = addresses.ranges(inside).iter().map(|(f, l)| format!("{f}-{l}")).collect();
        assert_eq!(ranges, ["10.0.0.0-10.0.255.255", "10.2.0.0-10.255.255.255"]);
        let whole = Addresses::new([&Block { cidr: net("::/0"), except: Vec::new() }], true);
        assert_eq!((whole.groups(), whole.ranges(0).len()), (1, 1));
    }

    fn nets() -> impl Strategy<Value = IpNet> {
        // Few bits vary, so that ranges nest and meet.
        (0u32..16, 0u32..4, prop_oneof![Just(0u8), 4u8..=8, Just(28), 30u8..=32]).prop_map(|(high, low, length)| {
            let ip = Ipv4Addr::from(high << 28 | low);
            IpNet::new(ip.into(), length).expect("a length").trunc()
        })
    }

    proptest! {
        #[test]
        fn groups_agree_with_blocks(raw in prop::collection::vec((nets(), prop::collection::vec(nets(), 0..4)), 0..8)) {
            let blocks: Vec<Block> = raw.into_iter().map(|(cidr, except)| Block { cidr, except }).collect();
            let addresses = Addresses::new(&blocks, false);
            for high in 0u32..16 {
                for low in [0u32, 1, 2, 3, 4, 15, 16, 1 << 20, (1 << 28) - 1] {
                    let ip: IpAddr = Ipv4Addr::from(high << 28 | low).into();
                    let group = addresses.group(ip).expect("a group");
                    for block in &blocks {
                        prop_assert_eq!(addresses.groups_of(block).contains(&group), block.contains(ip), "{} {:?}", ip, block);
                        prop_assert_eq!(block.contains(addresses.example(group)), block.contains(ip));
                    }
                    prop_assert!(addresses.ranges(group).iter().any(|(f, l)| *f <= ip && ip <= *l));
                }
            }
        }
    }
}
