//! Policies as rectangles: each rule is a set of clients × a set of servers × ports, in either direction.
//!
//! What a policy selects is a part of the side it guards. So ingress and egress become one kind of item, and both are asked
//! the same: which items concern this server, and what do they make of each client?

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::ports::{L4Set, RulePorts};
use super::sets::Set;
use super::terms::{Index, Matched};
use super::vocabulary::Vocabulary;
use crate::policy::Composition;
use crate::policy::rule::{
    Action, CidrScope, Classes, Combine, Direction, Expr, L4, Match, NoMatch, Rule, Stage, StagePolicy, Term,
};

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Act {
    Deny,
    Allow,
    Pass,
}

/// A rule, or what is left of several that do the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Policies of equal priority share a group, where ties are open.
    pub(super) group: u32,
    /// The policy, by its place in the stage.
    pub(super) policy: u32,
    pub(super) act: Act,
    pub(super) clients: Arc<Matched>,
    pub(super) servers: Arc<Matched>,
    /// Index in [`Compiled::ports`].
    pub(super) ports: u32,
    /// Ports that its peer restricts it to.
    pub(super) only: Option<L4Set>,
}

impl Item {
    /// What it is, under whichever number its ports go, and wherever it stands.
    pub(super) fn meaning<'i>(&'i self, compiled: &Compiled<'i>) -> impl Eq + std::hash::Hash + use<'i> {
        (self.act, &self.clients, &self.servers, compiled.ports[self.ports as usize], &self.only)
    }
}

/// A stage of one direction.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StageItems {
    pub(super) combine: Combine,
    /// No rule does anything but allow: their order doesn't matter.
    pub(super) only_allows: bool,
    pub(super) denies: bool,
    /// Pods that an isolating policy selects.
    pub(super) isolated: Set,
    /// Pods for which the stage is skipped.
    pub(super) skipped: Set,
    pub(super) items: Vec<Item>,
}

/// Peers of a rule: alternatives, each a conjunction of terms.
type PeerKey = Vec<Vec<u32>>;

/// One side of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Any,
    /// Index of a distinct list of peers.
    Peers(u32),
}

#[derive(Debug)]
struct CompiledRule {
    source: Side,
    destination: Side,
    ports: u32,
    /// None for what matches nothing, and for a log line.
    act: Option<Act>,
    precedence: u64,
}

#[derive(Debug)]
struct CompiledPolicy {
    subject: u32,
    priority: i64,
    isolates: bool,
    rules: Vec<CompiledRule>,
}

/// All policies, with equal selectors, peers and ports told apart once.
#[derive(Default)]
pub(super) struct Compiled<'a> {
    policies: FxHashMap<usize, Vec<CompiledPolicy>>,
    selectors: Vec<&'a Expr>,
    selector_ids: FxHashMap<&'a Expr, u32>,
    terms: Vec<&'a Term>,
    term_ids: FxHashMap<&'a Term, u32>,
    peers: Vec<PeerKey>,
    peer_ids: FxHashMap<PeerKey, u32>,
    pub(super) ports: Vec<&'a L4>,
    port_ids: FxHashMap<&'a L4, u32>,
}

fn identity(policies: &Arc<Vec<StagePolicy>>) -> usize {
    Arc::as_ptr(policies) as usize
}

fn intern<'a, T: Eq + std::hash::Hash>(value: &'a T, ids: &mut FxHashMap<&'a T, u32>, all: &mut Vec<&'a T>) -> u32 {
    *ids.entry(value).or_insert_with(|| {
        all.push(value);
        all.len() as u32 - 1
    })
}

impl<'a> Compiled<'a> {
    pub(super) fn new(compositions: &'a [Composition]) -> Self {
        let mut out = Self::default();
        for composition in compositions {
            for stage in composition.ingress.iter().chain(&composition.egress) {
                for list in std::iter::once(&stage.policies).chain(&stage.skip_if_selected) {
                    if !out.policies.contains_key(&identity(list)) {
                        let compiled = list.iter().map(|p| out.policy(p)).collect();
                        out.policies.insert(identity(list), compiled);
                    }
                }
            }
        }
        out
    }

    fn policy(&mut self, policy: &'a StagePolicy) -> CompiledPolicy {
        CompiledPolicy {
            subject: intern(&policy.subject, &mut self.selector_ids, &mut self.selectors),
            priority: policy.priority,
            isolates: policy.isolates,
            rules: policy.rules.iter().map(|r| self.rule(r)).collect(),
        }
    }

    fn rule(&mut self, rule: &'a Rule) -> CompiledRule {
        let unknown = |side: &Match| match side {
            Match::Any => false,
            Match::OneOf(peers) => peers.iter().any(|p| p.terms.contains(&Term::Unknown)),
        };
        // Of an Allow rule with a peer of a kind that isn't known: "treat the rule as matching no traffic" (62).
        let act = match rule.action {
            Action::Allow(_) if unknown(&rule.source) || unknown(&rule.destination) => None,
            Action::Allow(_) => Some(Act::Allow),
            Action::Deny => Some(Act::Deny),
            Action::Pass => Some(Act::Pass),
            Action::Log => None,
        };
        CompiledRule {
            source: self.side(&rule.source),
            destination: self.side(&rule.destination),
            ports: intern(&rule.l4, &mut self.port_ids, &mut self.ports),
            act,
            precedence: rule.precedence,
        }
    }

    fn side(&mut self, side: &'a Match) -> Side {
        let Match::OneOf(peers) = side else { return Side::Any };
        let key: PeerKey = peers
            .iter()
            .map(|peer| peer.terms.iter().map(|t| intern(t, &mut self.term_ids, &mut self.terms)).collect())
            .collect();
        if let Some(known) = self.peer_ids.get(&key) {
            return Side::Peers(*known);
        }
        let id = self.peers.len() as u32;
        self.peers.push(key.clone());
        self.peer_ids.insert(key, id);
        Side::Peers(id)
    }

    /// Enters what the policies mention.
    pub(super) fn mention(&self, to: &mut Vocabulary) {
        self.selectors.iter().for_each(|e| to.selector(e));
        self.terms.iter().for_each(|t| to.term(t));
        self.ports.iter().for_each(|l4| to.ports(l4));
    }
}

/// A part of a list of peers: columns, and the ports they are restricted to.
#[derive(Clone, Debug)]
struct Clause {
    matched: Arc<Matched>,
    only: Option<L4Set>,
}

/// The sets of all selectors and peers, for one answer to what an ipBlock may match.
pub(super) struct Lowering<'c, 'a> {
    compiled: &'c Compiled<'a>,
    n: u32,
    everything: Arc<Matched>,
    subjects: Vec<Arc<Matched>>,
    peers: Vec<Vec<Clause>>,
}

/// Equal sets become one, so that rules with equal peers are found by their address.
#[derive(Default)]
pub(super) struct Sharing(FxHashMap<Arc<Matched>, ()>);

impl Sharing {
    fn share(&mut self, matched: Matched) -> Arc<Matched> {
        if let Some((known, ())) = self.0.get_key_value(&matched) {
            return known.clone();
        }
        let new = Arc::new(matched);
        self.0.insert(new.clone(), ());
        new
    }
}

impl<'c, 'a> Lowering<'c, 'a> {
    pub(super) fn new(
        compiled: &'c Compiled<'a>,
        index: &Index<'_>,
        n: u32,
        blocks: &[Classes],
        before: Option<&Self>,
        sharing: &mut Sharing,
    ) -> Self {
        let subjects = match before {
            Some(before) => before.subjects.clone(),
            None => {
                // A subject that can't be told to be selected counts as selected.
                let found: Vec<Set> = compiled
                    .selectors
                    .par_iter()
                    .with_min_len(64)
                    .map(|e| {
                        let matched = index.selector(e);
                        if matched.maybe.is_empty() { matched.yes } else { matched.possible(n) }
                    })
                    .collect();
                found.into_iter().map(|yes| sharing.share(Matched { yes, maybe: Set::empty() })).collect()
            }
        };
        let terms: Vec<Matched> = compiled.terms.par_iter().with_min_len(16).map(|t| index.term(t, blocks)).collect();
        let peers = compiled
            .peers
            .par_iter()
            .with_min_len(64)
            .map(|key| clauses(compiled, index, key, &terms, n))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|list| list.into_iter().map(|(m, only)| Clause { matched: sharing.share(m), only }).collect())
            .collect();
        Self { compiled, n, everything: sharing.share(Matched::all(n)), subjects, peers }
    }

    /// The stages of a direction as items.
    pub(super) fn stages(&self, composition: &Composition, direction: Direction) -> Vec<StageItems> {
        composition.stages(direction).iter().map(|stage| self.stage(stage, direction)).collect()
    }

    fn policies(&self, list: &Arc<Vec<StagePolicy>>) -> &'c [CompiledPolicy] {
        self.compiled.policies.get(&identity(list)).map_or(&[], Vec::as_slice)
    }

    fn isolated(&self, list: &Arc<Vec<StagePolicy>>) -> Set {
        let isolating = self.policies(list).iter().filter(|p| p.isolates);
        Set::union(isolating.map(|p| &self.subjects[p.subject as usize].yes), self.n)
    }

    fn stage(&self, stage: &Stage, direction: Direction) -> StageItems {
        let policies = self.policies(&stage.policies);
        let mut rules: Vec<(u32, u32, &CompiledRule, u32)> = Vec::new();
        let mut group = 0;
        for (at, policy) in policies.iter().enumerate() {
            if at > 0 && policies[at - 1].priority != policy.priority {
                group += 1;
            }
            rules.extend(policy.rules.iter().map(|r| (group, at as u32, r, policy.subject)));
        }
        let mut combine = stage.combine;
        match combine {
            Combine::Precedence => rules.sort_by_key(|(_, _, r, _)| (r.precedence, r.act)),
            Combine::EitherOnTie | Combine::FirstMatch | Combine::Union => {}
        }
        // In their order, or without a tie: the first match decides.
        let tied = group as usize + 1 < policies.len();
        if combine == Combine::Precedence || combine == Combine::EitherOnTie && !tied {
            combine = Combine::FirstMatch;
        }
        if combine != Combine::EitherOnTie {
            rules.iter_mut().for_each(|(group, policy, _, _)| (*group, *policy) = (0, 0));
        }
        let only_allows = combine == Combine::Union && rules.iter().all(|r| matches!(r.2.act, Some(Act::Allow) | None));
        let items = if only_allows { self.merged(&rules, direction) } else { self.in_order(&rules, direction) };
        StageItems {
            combine,
            only_allows,
            denies: stage.no_match == NoMatch::Deny,
            isolated: self.isolated(&stage.policies),
            skipped: stage.skip_if_selected.as_ref().map_or_else(Set::empty, |list| self.isolated(list)),
            items,
        }
    }

    fn clauses(&self, side: Side) -> Vec<Clause> {
        match side {
            Side::Any => vec![Clause { matched: self.everything.clone(), only: None }],
            Side::Peers(id) => self.peers[id as usize].clone(),
        }
    }

    /// Rules in the order of the stage.
    fn in_order(&self, rules: &[(u32, u32, &CompiledRule, u32)], direction: Direction) -> Vec<Item> {
        let mut out = Vec::new();
        for (group, policy, rule, subject) in rules {
            let Some(act) = rule.act else { continue };
            let subject = &self.subjects[*subject as usize];
            for source in self.clauses(rule.source) {
                for destination in self.clauses(rule.destination) {
                    let (mut clients, mut servers) = (source.matched.clone(), destination.matched.clone());
                    let near = match direction {
                        Direction::Ingress => &mut servers,
                        Direction::Egress => &mut clients,
                    };
                    *near = self.within(subject, near);
                    if !clients.is_empty() && !servers.is_empty() {
                        let only = narrower(source.only.as_ref(), destination.only.as_ref());
                        out.push(Item {
                            group: *group,
                            policy: *policy,
                            act,
                            clients,
                            servers,
                            ports: rule.ports,
                            only,
                        });
                    }
                }
            }
        }
        out
    }

    fn within(&self, subject: &Arc<Matched>, near: &Arc<Matched>) -> Arc<Matched> {
        if Arc::ptr_eq(near, &self.everything) { subject.clone() } else { Arc::new(subject.and(near, self.n)) }
    }

    /// Rules that only allow: those with equal peers and ports become one, for all that their policies select.
    fn merged(&self, rules: &[(u32, u32, &CompiledRule, u32)], direction: Direction) -> Vec<Item> {
        struct Group {
            near: Vec<Arc<Matched>>,
            first: Item,
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut by_far: FxHashMap<(usize, u32, Option<L4Set>), usize> = FxHashMap::default();
        for (_, _, rule, subject) in rules {
            if rule.act.is_none() {
                continue;
            }
            let subject = &self.subjects[*subject as usize];
            let (near_side, far_side) = match direction {
                Direction::Ingress => (rule.destination, rule.source),
                Direction::Egress => (rule.source, rule.destination),
            };
            for near in self.clauses(near_side) {
                for far in self.clauses(far_side) {
                    let only = narrower(near.only.as_ref(), far.only.as_ref());
                    let near = self.within(subject, &near.matched);
                    if near.is_empty() || far.matched.is_empty() {
                        continue;
                    }
                    let key = (Arc::as_ptr(&far.matched) as usize, rule.ports, only);
                    if let Some(group) = by_far.get(&key) {
                        groups[*group].near.push(near);
                        continue;
                    }
                    let matched = far.matched.clone();
                    let (clients, servers) = match direction {
                        Direction::Ingress => (matched, near.clone()),
                        Direction::Egress => (near.clone(), matched),
                    };
                    let only = key.2.clone();
                    let first =
                        Item { group: 0, policy: 0, act: Act::Allow, clients, servers, ports: rule.ports, only };
                    by_far.insert(key, groups.len());
                    groups.push(Group { near: vec![near], first });
                }
            }
        }
        groups
            .into_iter()
            .map(|Group { near, mut first }| {
                if near.len() > 1 {
                    let all = Arc::new(Matched::union(near.iter().map(|m| &**m), self.n));
                    match direction {
                        Direction::Ingress => first.servers = all,
                        Direction::Egress => first.clients = all,
                    }
                }
                first
            })
            .collect()
    }
}

fn narrower(a: Option<&L4Set>, b: Option<&L4Set>) -> Option<L4Set> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.and(b)),
        (one, other) => one.or(other).cloned(),
    }
}

fn clauses(
    compiled: &Compiled<'_>,
    index: &Index<'_>,
    key: &PeerKey,
    terms: &[Matched],
    n: u32,
) -> Vec<(Matched, Option<L4Set>)> {
    let mut plain: Vec<Matched> = Vec::with_capacity(key.len());
    let mut out = Vec::new();
    for peer in key {
        let mut all = Matched::all(n);
        let mut services = Vec::new();
        for term in peer {
            match compiled.terms[*term as usize] {
                Term::Service(triples) => services.push(triples),
                _ => all = all.and(&terms[*term as usize], n),
            }
        }
        // Several Services at once: no dialect writes it, the first narrows and the others must agree.
        match services.split_first() {
            None => plain.push(all),
            Some((first, rest)) => {
                for triple in *first {
                    if rest.iter().all(|other| other.contains(triple)) {
                        let (ip, protocol, port) = *triple;
                        out.push((all.and(&index.address(ip), n), Some(L4Set::one(protocol, port))));
                    }
                }
            }
        }
    }
    match plain.len() {
        0 => {}
        1 => out.extend(plain.pop().map(|m| (m, None))),
        _ => out.push((Matched::union(&plain, n), None)),
    }
    out
}

impl Compiled<'_> {
    /// Whether the rules of a stage that hold an ipBlock do nothing but allow, in a stage of such rules.
    pub(super) fn blocks_only_allow(&self, stage: &Stage) -> bool {
        let Some(policies) = self.policies.get(&identity(&stage.policies)) else { return true };
        let blocks = |side: Side| match side {
            Side::Any => false,
            Side::Peers(id) => self.peers[id as usize]
                .iter()
                .flatten()
                .any(|t| matches!(self.terms[*t as usize], Term::Cidr(_, CidrScope::IpBlock))),
        };
        let mut rules = policies.iter().flat_map(|p| &p.rules);
        if stage.combine == Combine::Union && rules.clone().all(|r| matches!(r.act, Some(Act::Allow) | None)) {
            return true;
        }
        !rules.any(|r| blocks(r.source) || blocks(r.destination))
    }
}

/// The ports of every rule, before names are resolved.
pub(super) fn rule_ports(compiled: &Compiled<'_>, end_port: bool, init: bool) -> Vec<RulePorts> {
    compiled.ports.iter().map(|l4| RulePorts::new(l4, end_port, init)).collect()
}
