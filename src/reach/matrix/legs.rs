//! One direction for one server: which clients pass, on which ports.
//!
//! Servers that the same items concern share a leg. A leg runs the stages on whole sets of clients, once for each group of
//! ports that the same items hold, with the same sets of possible results as the single-flow evaluator: what can't be told
//! to match adds its result and stays undecided.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::columns::{Column, Columns, Relation};
use super::incidence::Incidence;
use super::ports::{L4Set, RulePorts, atoms};
use super::rules::{Act, Item, StageItems};
use super::sets::Set;
use super::terms::Matched;
use crate::model::ContainerPort;
use crate::policy::rule::{Combine, Direction};

/// Clients by ports: disjoint port sets that together hold every port.
pub(super) type Leg = Vec<(L4Set, Matched)>;

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

/// What tells legs apart.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    list: Vec<u32>,
    bits: Vec<u64>,
    /// Two bits a stage: isolated, skipped.
    flags: u64,
    /// The server's named ports, where an item asks for one.
    named: Option<u32>,
    place: Place,
}

/// What a server is, as far as exemptions go.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Pod,
    OwnNode,
    UnknownNode,
    Elsewhere,
}

impl Work<'_> {
    fn n(&self) -> u32 {
        self.columns.universe
    }

    /// Works out every distinct leg.
    pub(super) fn legs(&self) -> Legs {
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
        let concerned = |server: u32| {
            let mut all = incidence.of(server);
            all.truncate(all.partition_point(|i| (*i as usize) < items.len()));
            all
        };
        let asks_names: Vec<bool> = items.iter().map(|i| !self.ports[i.ports as usize].named.is_empty()).collect();
        let any_names = asks_names.iter().any(|a| *a);
        let mut ids: FxHashMap<Key, u32> = FxHashMap::default();
        let mut examples: Vec<u32> = Vec::new();
        let mut of = Vec::with_capacity(self.n() as usize);
        for server in 0..self.n() {
            let (list, bits) = incidence.key(server);
            let place = self.place(server);
            let named = match self.columns.column(server) {
                Column::Pods(class) if any_names && concerned(server).iter().any(|i| asks_names[*i as usize]) => {
                    Some(self.columns.classes[class as usize].named)
                }
                _ => None,
            };
            let flags = self.flags(server);
            let key = Key { list: list.to_vec(), bits: bits.to_vec(), flags, named, place };
            let next = examples.len() as u32;
            let id = *ids.entry(key).or_insert(next);
            if id == next {
                examples.push(server);
            }
            of.push(id);
        }
        drop(ids);
        let legs =
            examples.par_iter().with_min_len(32).map(|server| self.leg(*server, &concerned(*server), &items)).collect();
        Legs { legs, of }
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

    fn leg(&self, server: u32, concerned: &[u32], items: &[&Item]) -> Leg {
        let n = self.n();
        let place = self.place(server);
        let open = || vec![(L4Set::all(), Matched::all(n))];
        match (self.direction, place) {
            // Policies apply to pods (46).
            (Direction::Ingress, Place::OwnNode | Place::UnknownNode | Place::Elsewhere) => return open(),
            (Direction::Egress, Place::OwnNode) if self.own_node == OwnNode::Exempt => return open(),
            _ => {}
        }
        let declared = match self.columns.column(server) {
            Column::Pods(class) => {
                self.declared.get(self.columns.classes[class as usize].named as usize).map(Vec::as_slice)
            }
            _ => None,
        };
        let mut ports: Vec<(u32, &Option<L4Set>, L4Set)> = Vec::new();
        let mut concern: Vec<(usize, &Item)> = Vec::with_capacity(concerned.len());
        for index in concerned {
            let item = items[*index as usize];
            let at = match ports.iter().position(|(id, only, _)| *id == item.ports && **only == item.only) {
                Some(at) => at,
                None => {
                    let mut set = self.ports[item.ports as usize].on(declared);
                    if let Some(only) = &item.only {
                        set = set.and(only);
                    }
                    ports.push((item.ports, &item.only, set));
                    ports.len() - 1
                }
            };
            concern.push((at, item));
        }
        // Items of each stage, in order: indices into `concern`.
        let mut ends = Vec::with_capacity(self.stages.len());
        let mut total = 0;
        for stage in self.stages {
            total += stage.items.len() as u32;
            ends.push(concerned.partition_point(|i| *i < total));
        }
        let sets: Vec<&L4Set> = ports.iter().map(|(_, _, set)| set).collect();
        let mut leg: Leg = Vec::new();
        for (atom, slot) in atoms(&sets) {
            let holds: Vec<bool> = sets.iter().map(|s| s.holds(slot)).collect();
            let mut clients = self.decide(server, &concern, &ends, &holds);
            self.exempt(place, &mut clients);
            match leg.iter_mut().find(|(_, known)| *known == clients) {
                Some((known, _)) => *known = known.or(&atom),
                None => leg.push((atom, clients)),
            }
        }
        leg
    }

    /// Traffic between a pod and its own node, where it isn't judged.
    fn exempt(&self, place: Place, clients: &mut Matched) {
        let n = self.n();
        match (self.direction, place) {
            (Direction::Ingress, Place::Pod) if self.own_node != OwnNode::Judged => {
                let (mut own, mut unknown) = (Vec::new(), Vec::new());
                for node in 0..self.columns.nodes.len() as u32 {
                    own.push(self.columns.index(Column::Nodes(node, Relation::Own)));
                    unknown.push(self.columns.index(Column::Nodes(node, Relation::Unknown)));
                }
                if own.is_empty() {
                    return;
                }
                let own = Set::from_sorted(own, n);
                let mut perhaps = Set::from_sorted(unknown, n);
                if self.own_node == OwnNode::Exempt {
                    clients.yes = clients.yes.or(&own, n);
                } else {
                    perhaps = perhaps.or(&own, n);
                }
                clients.maybe = clients.maybe.or(&perhaps, n).minus(&clients.yes, n);
            }
            (Direction::Egress, Place::OwnNode) if self.own_node == OwnNode::Disputed => {
                clients.maybe = Set::all(n).minus(&clients.yes, n);
            }
            (Direction::Egress, Place::UnknownNode) if self.own_node != OwnNode::Judged => {
                clients.maybe = Set::all(n).minus(&clients.yes, n);
            }
            _ => {}
        }
    }

    /// Runs the stages for one group of ports.
    fn decide(&self, server: u32, concern: &[(usize, &Item)], ends: &[usize], holds: &[bool]) -> Matched {
        let n = self.n();
        let mut open = Set::all(n);
        let (mut allow, mut deny) = (Set::empty(), Set::empty());
        let mut from = 0;
        for (stage, end) in self.stages.iter().zip(ends) {
            let all = &concern[from..*end];
            from = *end;
            let (mut live, mut scan) = match self.direction {
                Direction::Ingress if stage.skipped.contains(server) => continue,
                Direction::Ingress => (open, Scan::default()),
                Direction::Egress if stage.skipped.is_empty() => (open, Scan::default()),
                Direction::Egress => {
                    let next = open.and(&stage.skipped, n);
                    (open.minus(&stage.skipped, n), Scan { next, ..Scan::default() })
                }
            };
            let here = all.iter().filter(|(ports, _)| holds[*ports]).map(|(_, item)| *item);
            if stage.only_allows {
                scan.union_of_allows(here, server, &mut live, n);
            } else {
                scan.in_order(here, stage.combine, server, &mut live, n);
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
        // After the last stage: allowed.
        let allow = allow.or(&open, n);
        Matched { yes: allow.minus(&deny, n), maybe: allow.and(&deny, n) }
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
