//! One direction for one server: which clients pass, on which ports.
//!
//! Servers that the same items concern share a leg. Stages with an order run on whole sets of clients, once for each group
//! of ports that the same items hold, with the same sets of possible results as the single-flow evaluator: what can't be
//! told to match adds its result and stays undecided. Of rules that only allow, the order doesn't matter: the stage that
//! has most of them is left out of that, and its rules are joined to what the others come to as they are, each a set of
//! clients on a set of ports.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::columns::{Column, Columns, Relation};
use super::incidence::Incidence;
use super::ports::{L4Set, RulePorts, atoms};
use super::products::{Leg, push};
use super::rules::{Act, Item, StageItems};
use super::sets::Set;
use super::terms::Matched;
use crate::model::ContainerPort;
use crate::policy::rule::{Combine, Direction};

/// Whether traffic between a pod and its own node passes unasked (SEMANTICS 44), under the compositions of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum OwnNode {
    /// Under all of them.
    Exempt,
    /// Under some.
    Disputed,
    /// Under none.
    Judged,
}

/// The legs of one direction.
#[derive(Debug)]
pub(super) struct Legs {
    pub(super) legs: Vec<Leg>,
    /// The leg of each server.
    pub(super) of: Vec<u32>,
}

impl Legs {
    pub(super) fn of_server(&self, server: usize) -> &Leg {
        &self.legs[self.of[server] as usize]
    }
}

/// Everything a leg is worked out from.
pub(super) struct Work<'w> {
    pub(super) columns: &'w Columns,
    pub(super) stages: &'w [StageItems],
    pub(super) ports: &'w [RulePorts],
    /// Ports that each list of named ports declares.
    pub(super) declared: &'w [Vec<ContainerPort>],
    pub(super) direction: Direction,
    pub(super) own_node: OwnNode,
}

/// What tells legs apart, besides the items.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    /// Two bits a stage: isolated, skipped.
    flags: u64,
    /// The server's named ports, where an item asks for one.
    named: Option<u32>,
    place: Place,
}

/// What the stages come to on some ports without the rules of the stage that is left out.
struct Base {
    ports: L4Set,
    result: Matched,
    /// Clients that a stage before it may have denied.
    denied: Set,
    /// Clients that a stage before it may have allowed or left to it.
    kept: Set,
    /// Clients that may have been left to it.
    open: Set,
}

/// Items of a server by their ports.
struct Joined<'i> {
    ports: L4Set,
    yes: Vec<&'i Set>,
    maybe: Vec<&'i Set>,
}

/// What a server is, as far as exemptions go.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Pod,
    OwnNode,
    UnknownNode,
    Elsewhere,
}

/// What all legs of a direction are worked out with.
struct Context<'i> {
    items: &'i [&'i Item],
    /// The ports of each item, where they don't depend on the server.
    fixed: &'i [Option<L4Set>],
    /// Where the items of each stage end.
    ends: &'i [u32],
    apart: Option<usize>,
    bare: &'i FxHashMap<(u64, Place), Base>,
}

impl Work<'_> {
    fn n(&self) -> u32 {
        self.columns.universe
    }

    /// The stage whose rules are joined as they are: of those that only allow, the one with most.
    fn apart(&self) -> Option<usize> {
        let can = |stage: &StageItems| stage.only_allows && stage.skipped.is_empty() && !stage.items.is_empty();
        let stages = self.stages.iter().enumerate().filter(|(_, s)| can(s));
        stages.max_by_key(|(_, s)| s.items.len()).map(|(at, _)| at)
    }

    /// Works out every distinct leg; where only some servers are asked for, those of others are nobody's.
    pub(super) fn legs(&self, wanted: Option<&Set>) -> Legs {
        let items: Vec<&Item> = self.stages.iter().flat_map(|s| &s.items).collect();
        // Behind the items, once more those that can't be told to concern some servers: a leg is for servers of one kind.
        let possible: Vec<Set>;
        let servers: Vec<&Set> = if items.iter().all(|i| i.servers.maybe.is_empty()) {
            items.iter().map(|i| &i.servers.yes).collect()
        } else {
            possible = items.iter().map(|i| i.servers.possible(self.n())).collect();
            possible.iter().chain(items.iter().map(|i| &i.servers.maybe)).collect()
        };
        let incidence = Incidence::new(&servers, self.n());
        let asks_names: Vec<bool> = items.iter().map(|i| !self.ports[i.ports as usize].named.is_empty()).collect();
        let any_names = asks_names.iter().any(|a| *a);
        let asks = |item: u32| asks_names.get(item as usize).is_some_and(|a| *a);
        let mut first: FxHashMap<(u64, Key), u32> = FxHashMap::default();
        // Legs whose items hash alike follow each other.
        let mut next: Vec<Option<u32>> = Vec::new();
        let mut examples: Vec<(u32, Key)> = Vec::new();
        let mut of = Vec::with_capacity(self.n() as usize);
        for server in 0..self.n() {
            if wanted.is_some_and(|w| !w.contains(server)) {
                of.push(u32::MAX);
                continue;
            }
            let named = match self.columns.column(server) {
                Column::Pods(class) if any_names && incidence.any(server, asks) => {
                    Some(self.columns.classes[class as usize].named)
                }
                _ => None,
            };
            let key = Key { flags: self.flags(server), named, place: self.place(server) };
            let new = examples.len() as u32;
            let mut id = *first.entry((incidence.hash(server), key)).or_insert(new);
            while id != new && incidence.key(examples[id as usize].0) != incidence.key(server) {
                id = *next[id as usize].get_or_insert(new);
            }
            if id == new {
                examples.push((server, key));
                next.push(None);
            }
            of.push(id);
        }
        let apart = self.apart();
        let mut ends = Vec::with_capacity(self.stages.len());
        let mut total = 0;
        for stage in self.stages {
            total += stage.items.len() as u32;
            ends.push(total);
        }
        // What the stages come to where no rule but those of the stage left out concerns the server.
        let mut bare: FxHashMap<(u64, Place), Base> = FxHashMap::default();
        for (server, key) in &examples {
            bare.entry((key.flags, key.place)).or_insert_with(|| self.base(*server, L4Set::all(), &[], &ends, apart));
        }
        // Equal ports become one piece of memory: they are compared at a glance.
        let mut shared: FxHashMap<L4Set, L4Set> = FxHashMap::default();
        let mut resolved: FxHashMap<(u32, &Option<L4Set>), L4Set> = FxHashMap::default();
        let fixed: Vec<Option<L4Set>> = items
            .iter()
            .zip(&asks_names)
            .map(|(item, asks)| {
                let on_any = || {
                    let set = self.ports_of(item, None);
                    shared.entry(set.clone()).or_insert(set).clone()
                };
                (!asks).then(|| resolved.entry((item.ports, &item.only)).or_insert_with(on_any).clone())
            })
            .collect();
        let context = Context { items: &items, fixed: &fixed, ends: &ends, apart, bare: &bare };
        let legs = examples
            .par_iter()
            .with_min_len(32)
            .map(|(server, key)| {
                let mut concerned = incidence.of(*server);
                concerned.truncate(concerned.partition_point(|i| (*i as usize) < items.len()));
                self.leg(*server, *key, &concerned, &context)
            })
            .collect();
        Legs { legs, of }
    }

    /// The ports of an item on a server that declares these.
    fn ports_of(&self, item: &Item, declared: Option<&[ContainerPort]>) -> L4Set {
        let set = self.ports[item.ports as usize].on(declared);
        item.only.as_ref().map_or(set.clone(), |only| set.and(only))
    }

    fn place(&self, server: u32) -> Place {
        match self.columns.column(server) {
            Column::Pods(_) => Place::Pod,
            Column::Nodes(_, Relation::Own) => Place::OwnNode,
            Column::Nodes(_, Relation::Unknown) => Place::UnknownNode,
            _ => Place::Elsewhere,
        }
    }

    fn flags(&self, server: u32) -> u64 {
        if self.direction == Direction::Egress {
            return 0;
        }
        self.stages.iter().enumerate().fold(0, |flags, (at, stage)| {
            let isolated = u64::from(stage.isolated.contains(server));
            let skipped = u64::from(stage.skipped.contains(server));
            flags | (isolated | skipped << 1) << (2 * at)
        })
    }

    fn leg(&self, server: u32, key: Key, concerned: &[u32], context: &Context<'_>) -> Leg {
        let n = self.n();
        match (self.direction, key.place) {
            // Policies apply to pods (46).
            (Direction::Ingress, Place::OwnNode | Place::UnknownNode | Place::Elsewhere) => return Leg::open(n),
            (Direction::Egress, Place::OwnNode) if self.own_node == OwnNode::Exempt => return Leg::open(n),
            _ => {}
        }
        let declared = key.named.and_then(|list| self.declared.get(list as usize)).map(Vec::as_slice);
        let ports = |index: u32| match &context.fixed[index as usize] {
            Some(fixed) => fixed.clone(),
            None => self.ports_of(context.items[index as usize], declared),
        };
        let apart = match context.apart {
            None => 0..0,
            Some(stage) => {
                let start = stage.checked_sub(1).map_or(0, |before| context.ends[before]);
                let at = |item: u32| concerned.partition_point(|i| *i < item);
                at(start)..at(context.ends[stage])
            }
        };
        let mut out = Leg::default();
        let mut ordered: Vec<(u32, L4Set)> = Vec::new();
        for index in concerned[..apart.start].iter().chain(&concerned[apart.end..]) {
            ordered.push((*index, ports(*index)));
        }
        let made: Vec<Base>;
        let bases = match context.bare.get(&(key.flags, key.place)) {
            Some(bare) if ordered.is_empty() => std::slice::from_ref(bare),
            _ => {
                made = self.bases(server, &ordered, context);
                &made
            }
        };
        for base in bases {
            push(&mut out.yes, base.ports.clone(), base.result.yes.clone());
            push(&mut out.maybe, base.ports.clone(), base.result.maybe.clone());
        }
        for joined in self.joined(server, &concerned[apart], ports, context) {
            let yes = Set::union(joined.yes, n);
            let maybe = Set::union(joined.maybe, n);
            for base in bases {
                let ports = joined.ports.and(&base.ports);
                if ports.is_empty() {
                    continue;
                }
                if !base.denied.is_empty() {
                    push(&mut out.maybe, ports.clone(), yes.and(&base.denied, n).and(&base.kept, n));
                }
                push(&mut out.maybe, ports.clone(), maybe.and(&base.open, n));
                push(&mut out.yes, ports, yes.minus(&base.denied, n));
            }
        }
        self.exempt(key.place, &mut out);
        out.tidied(n)
    }

    /// Items of the stage that is left out, by their ports.
    fn joined<'i>(
        &self,
        server: u32,
        concerned: &[u32],
        ports: impl Fn(u32) -> L4Set,
        context: &Context<'i>,
    ) -> Vec<Joined<'i>> {
        let mut out: Vec<Joined<'i>> = Vec::new();
        let mut known: FxHashMap<L4Set, usize> = FxHashMap::default();
        for index in concerned {
            let item = context.items[*index as usize];
            let ports = ports(*index);
            let at = if concerned.len() <= 16 {
                out.iter().position(|j| j.ports == ports)
            } else {
                let next = out.len();
                Some(*known.entry(ports.clone()).or_insert(next)).filter(|at| *at < next)
            };
            let at = at.unwrap_or_else(|| {
                out.push(Joined { ports, yes: Vec::new(), maybe: Vec::new() });
                out.len() - 1
            });
            let certain = item.servers.maybe.is_empty() || item.servers.yes.contains(server);
            if certain { &mut out[at].yes } else { &mut out[at].maybe }.push(&item.clients.yes);
            if !item.clients.maybe.is_empty() {
                out[at].maybe.push(&item.clients.maybe);
            }
        }
        out
    }

    /// What the stages with an order come to, by groups of ports.
    fn bases(&self, server: u32, ordered: &[(u32, L4Set)], context: &Context<'_>) -> Vec<Base> {
        let mut sets: Vec<&L4Set> = Vec::new();
        let mut known: FxHashMap<&L4Set, usize> = FxHashMap::default();
        let of: Vec<usize> = ordered
            .iter()
            .map(|(_, ports)| {
                *known.entry(ports).or_insert_with(|| {
                    sets.push(ports);
                    sets.len() - 1
                })
            })
            .collect();
        atoms(&sets)
            .into_iter()
            .map(|(atom, slot)| {
                let holds: Vec<bool> = sets.iter().map(|s| s.holds(slot)).collect();
                let here: Vec<(u32, &Item)> = ordered
                    .iter()
                    .zip(&of)
                    .filter(|(_, set)| holds[**set])
                    .map(|((index, _), _)| (*index, context.items[*index as usize]))
                    .collect();
                self.base(server, atom, &here, context.ends, context.apart)
            })
            .collect()
    }

    /// Traffic between a pod and its own node, where it isn't judged.
    fn exempt(&self, place: Place, leg: &mut Leg) {
        let n = self.n();
        match (self.direction, place) {
            (Direction::Ingress, Place::Pod) if self.own_node != OwnNode::Judged => {
                let nodes = 0..self.columns.nodes.len() as u32;
                let column = |relation| move |node| self.columns.index(Column::Nodes(node, relation));
                let own = Set::from_sorted(nodes.clone().map(column(Relation::Own)), n);
                let unknown = Set::from_sorted(nodes.map(column(Relation::Unknown)), n);
                let to = if self.own_node == OwnNode::Exempt { &mut leg.yes } else { &mut leg.maybe };
                push(to, L4Set::all(), own);
                push(&mut leg.maybe, L4Set::all(), unknown);
            }
            (Direction::Egress, Place::OwnNode) if self.own_node == OwnNode::Disputed => {
                push(&mut leg.maybe, L4Set::all(), Set::all(n));
            }
            (Direction::Egress, Place::UnknownNode) if self.own_node != OwnNode::Judged => {
                push(&mut leg.maybe, L4Set::all(), Set::all(n));
            }
            _ => {}
        }
    }

    /// Runs the stages for one group of ports, on which these items hold.
    fn base(&self, server: u32, ports: L4Set, here: &[(u32, &Item)], ends: &[u32], apart: Option<usize>) -> Base {
        let n = self.n();
        let mut open = Set::all(n);
        let (mut allow, mut deny) = (Set::empty(), Set::empty());
        let mut before: Option<(Set, Set, Set)> = None;
        let mut from = 0;
        for (at, (stage, end)) in self.stages.iter().zip(ends).enumerate() {
            let to = here.partition_point(|(index, _)| index < end);
            let all = &here[from..to];
            from = to;
            if apart == Some(at) {
                before = Some((allow.clone(), deny.clone(), open.clone()));
            }
            let (mut live, mut scan) = match self.direction {
                Direction::Ingress if stage.skipped.contains(server) => continue,
                Direction::Ingress => (open, Scan::default()),
                Direction::Egress if stage.skipped.is_empty() => (open, Scan::default()),
                Direction::Egress => {
                    let next = open.and(&stage.skipped, n);
                    (open.minus(&stage.skipped, n), Scan { next, ..Scan::default() })
                }
            };
            let items = all.iter().map(|(_, item)| *item);
            if stage.only_allows {
                scan.union_of_allows(items, server, &mut live, n);
            } else {
                scan.in_order(items, stage.combine, server, &mut live, n);
            }
            if !stage.denies {
                scan.next = scan.next.or(&live, n);
            } else {
                match self.direction {
                    Direction::Ingress if stage.isolated.contains(server) => scan.deny = scan.deny.or(&live, n),
                    Direction::Ingress => scan.next = scan.next.or(&live, n),
                    Direction::Egress => {
                        scan.deny = scan.deny.or(&live.and(&stage.isolated, n), n);
                        scan.next = scan.next.or(&live.minus(&stage.isolated, n), n);
                    }
                }
            }
            allow = allow.or(&scan.allow, n);
            deny = deny.or(&scan.deny, n);
            open = scan.next;
            if open.is_empty() {
                break;
            }
        }
        let (kept, denied, left) = before.unwrap_or_else(|| (allow.clone(), deny.clone(), open.clone()));
        // After the last stage: allowed.
        let allow = allow.or(&open, n);
        let result = Matched { yes: allow.minus(&deny, n), maybe: allow.and(&deny, n) };
        Base { ports, result, denied, kept: kept.or(&left, n), open: left }
    }
}

/// What a stage made possible so far, for which clients.
#[derive(Default)]
struct Scan {
    allow: Set,
    deny: Set,
    next: Set,
}

impl Scan {
    fn add(&mut self, act: Act, clients: &Set, n: u32) {
        let to = match act {
            Act::Allow => &mut self.allow,
            Act::Deny => &mut self.deny,
            Act::Pass => &mut self.next,
        };
        *to = to.or(clients, n);
    }

    /// One allow is enough, whatever else may match.
    fn union_of_allows<'i>(&mut self, items: impl Iterator<Item = &'i Item>, server: u32, live: &mut Set, n: u32) {
        let (mut yes, mut maybe) = (Vec::new(), Vec::new());
        for item in items {
            let certain = item.servers.maybe.is_empty() || item.servers.yes.contains(server);
            if certain {
                yes.push(&item.clients.yes);
            } else {
                maybe.push(&item.clients.yes);
            }
            maybe.push(&item.clients.maybe);
        }
        let yes = Set::union(yes, n).and(live, n);
        let maybe = Set::union(maybe, n).and(live, n);
        *live = live.minus(&yes, n);
        self.allow = self.allow.or(&yes, n).or(&maybe, n);
    }

    fn in_order<'i>(
        &mut self,
        items: impl Iterator<Item = &'i Item>,
        combine: Combine,
        server: u32,
        live: &mut Set,
        n: u32,
    ) {
        // Where ties are open, each policy of a group starts with what was undecided before the group; what any of them
        // settles is settled for the stage.
        let mut group: Option<(u32, u32, Set, Set)> = None;
        for item in items {
            if combine == Combine::EitherOnTie {
                match &mut group {
                    Some((id, policy, start, settled)) if *id == item.group => {
                        if *policy != item.policy {
                            *policy = item.policy;
                            *settled = settled.or(&start.minus(live, n), n);
                            *live = start.clone();
                        }
                    }
                    _ => {
                        if let Some((_, _, _, settled)) = group.take() {
                            *live = live.minus(&settled, n);
                        }
                        group = Some((item.group, item.policy, live.clone(), Set::empty()));
                    }
                }
            }
            if live.is_empty() && combine != Combine::EitherOnTie {
                return;
            }
            let certain = item.servers.maybe.is_empty() || item.servers.yes.contains(server);
            let yes = if certain { item.clients.yes.and(live, n) } else { Set::empty() };
            let possible = if certain && item.clients.maybe.is_empty() {
                yes.clone()
            } else {
                item.clients.possible(n).and(live, n)
            };
            if combine == Combine::Union && item.act == Act::Allow {
                self.deny = self.deny.minus(&yes, n);
                self.next = self.next.minus(&yes, n);
            }
            self.add(item.act, &possible, n);
            *live = live.minus(&yes, n);
        }
        if let Some((_, _, _, settled)) = group {
            *live = live.minus(&settled, n);
        }
    }
}
