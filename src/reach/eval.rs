//! One flow, decided with a trace. Written to be read beside the API documentation.
//!
//! A flow is allowed when the client's egress and the server's ingress allow it (SEMANTICS 6). Each direction runs through
//! the stages its profile composes. Every step works on the set of results that are possible: a rule that can't be told to
//! match adds its result and lets the next rule go on, so that "unknown" is what is left when both answers remain possible.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

pub use super::trace::{Decision, Exempt, Leg, Outcome, Reason, Step, StepResult};

use super::matching::{self, Matched, Selected, Tri, View};
use crate::model::{Cluster, NamespaceId, NodeId, PodId, Protocol, Str};
use crate::policy::profile::compose;
use crate::policy::rule::{
    Action, Combine, Condition, Direction, NoMatch, PolicyId, Rule, RuleRef, Stage, StagePolicy, Tier,
};
use crate::policy::{Composition, Policies, Profile};

/// What an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// A pod with an address of its own.
    Pod(PodId),
    /// A node, or a pod on its node's network.
    Node {
        /// The node, where it is known.
        node: Option<NodeId>,
        /// The pod on its network, where one is meant.
        pod: Option<PodId>,
    },
    /// A pod of which nothing is known, its namespace, labels and address included: one that exists or one to come.
    AnyPod,
    /// An address outside the cluster; without one, anywhere on the internet.
    Outside,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// What it is.
    pub kind: EndpointKind,
    /// The address it uses; none where it isn't known.
    pub ip: Option<IpAddr>,
}

impl Endpoint {
    /// A pod with its address of a family; on its node's network it is the node.
    pub fn pod(cluster: &Cluster, id: PodId, v6: bool) -> Self {
        let pod = &cluster.pods[id.index()];
        let kind =
            if pod.host_network { EndpointKind::Node { node: pod.node, pod: Some(id) } } else { EndpointKind::Pod(id) };
        Self { kind, ip: pod.ip(v6) }
    }

    /// A node with its first address of a family.
    pub fn node(cluster: &Cluster, id: NodeId, v6: bool) -> Self {
        let ip = cluster.nodes[id.index()].addresses.iter().copied().find(|a| a.is_ipv6() == v6);
        Self { kind: EndpointKind::Node { node: Some(id), pod: None }, ip }
    }

    /// Whatever has an address: a pod, a node, or something outside.
    pub fn address(cluster: &Cluster, ip: IpAddr) -> Self {
        let kind = match (cluster.pod_by_ip(ip), cluster.node_by_ip(ip)) {
            (Some(pod), _) => EndpointKind::Pod(pod),
            (None, Some(node)) => EndpointKind::Node { node: Some(node), pod: None },
            (None, None) => EndpointKind::Outside,
        };
        Self { kind, ip: Some(ip) }
    }

    /// Any pod of any namespace: what holds of it holds of all, those to come included.
    pub fn any_pod() -> Self {
        Self { kind: EndpointKind::AnyPod, ip: None }
    }

    /// Somewhere on the internet.
    pub fn internet() -> Self {
        Self { kind: EndpointKind::Outside, ip: None }
    }

    /// The pod, where policies see one.
    pub fn as_pod(&self) -> Option<PodId> {
        match self.kind {
            EndpointKind::Pod(pod) => Some(pod),
            _ => None,
        }
    }
}

/// A connection to be judged, after address translation: the server is a pod or an address, never a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The side that connects.
    pub client: Endpoint,
    /// The side that is connected to.
    pub server: Endpoint,
    /// Protocol.
    pub protocol: Protocol,
    /// Port of the server.
    pub port: u16,
    /// The DNS name that was dialled, in lower case without a final dot.
    pub name: Option<Str>,
    /// Whether the client dialled a Service that led to the server.
    pub via_service: bool,
}

/// Evaluates flows under a profile.
#[derive(Debug)]
pub struct Evaluator<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its policies.
    pub policies: &'a Policies,
    compositions: Vec<Composition>,
    /// For long lists of policies, which of them may select pods of a namespace.
    by_namespace: Vec<ByNamespace>,
}

/// Which policies of a list select a pod, for lists that several compositions share.
#[derive(Default)]
struct Selecting<'c>(Vec<Known<'c>>);

/// A list, a pod, and the policies of the one that select the other.
type Known<'c> = (&'c Arc<Vec<StagePolicy>>, PodId, Rc<[&'c StagePolicy]>);

/// The policies of a list by the namespace of the pods they select.
#[derive(Debug)]
struct ByNamespace {
    list: Arc<Vec<StagePolicy>>,
    /// Indices of those of one namespace, in order.
    of: FxHashMap<NamespaceId, Vec<u32>>,
    /// Indices of the others, in order.
    anywhere: Vec<u32>,
}

/// Shorter lists are looked through.
const LONG: usize = 64;

impl ByNamespace {
    fn new(list: &Arc<Vec<StagePolicy>>) -> Self {
        let mut out = Self { list: list.clone(), of: FxHashMap::default(), anywhere: Vec::new() };
        for (index, policy) in list.iter().enumerate() {
            match policy.namespace {
                Some(namespace) => out.of.entry(namespace).or_default().push(index as u32),
                None => out.anywhere.push(index as u32),
            }
        }
        out
    }
}

const ALLOW: u8 = 1;
const DENY: u8 = 2;
const NEXT: u8 = 4;

impl<'a> Evaluator<'a> {
    /// Prepares the stages of a profile.
    pub fn new(cluster: &'a Cluster, policies: &'a Policies, profile: &Profile) -> Self {
        let compositions = compose(policies, profile);
        let mut by_namespace: Vec<ByNamespace> = Vec::new();
        for direction in [Direction::Egress, Direction::Ingress] {
            for stage in compositions.iter().flat_map(|c| c.stages(direction)) {
                for list in std::iter::once(&stage.policies).chain(&stage.skip_if_selected) {
                    // Compositions share their lists.
                    if list.len() > LONG && !by_namespace.iter().any(|known| Arc::ptr_eq(&known.list, list)) {
                        by_namespace.push(ByNamespace::new(list));
                    }
                }
            }
        }
        Self { cluster, policies, compositions, by_namespace }
    }

    /// The policies of a list that may select pods of a namespace, in order.
    pub(super) fn policies_of<'l>(
        &self,
        list: &'l Arc<Vec<StagePolicy>>,
        namespace: NamespaceId,
    ) -> impl Iterator<Item = &'l StagePolicy> {
        let known = self.by_namespace.iter().find(|known| Arc::ptr_eq(&known.list, list));
        let picked = known.map(|known| {
            let own = known.of.get(&namespace).map_or(&[][..], Vec::as_slice);
            let mut picked = [own, &known.anywhere].concat();
            picked.sort_unstable();
            picked
        });
        let whole = if picked.is_some() { &[][..] } else { list.as_slice() };
        let picked = picked.into_iter().flatten().map(|index| &list[index as usize]);
        whole.iter().filter(move |p| p.namespace.is_none_or(|n| n == namespace)).chain(picked)
    }

    /// The stages, once for each choice of the profile that makes a difference for these policies.
    pub fn compositions(&self) -> &[Composition] {
        &self.compositions
    }

    /// Judges a flow. Never fails: what isn't known makes the outcome unknown, with the reason.
    pub fn evaluate(&self, flow: &Flow) -> Decision {
        let mut selecting = Selecting::default();
        let mut decisions: Vec<(Decision, &Composition)> =
            self.compositions.iter().map(|c| (self.under(flow, c, &mut selecting), c)).collect();
        // A profile has at least one choice; without any, the specification's.
        let Some((mut decision, _)) = (!decisions.is_empty()).then(|| decisions.remove(0)) else {
            return self.evaluate_under(flow, &compose_default(self.policies));
        };
        if decisions.iter().any(|(d, _)| d.outcome != decision.outcome) {
            let mut differs: Vec<(Outcome, Vec<&'static str>)> = Vec::new();
            let first = (decision.outcome, &self.compositions[0].plugins);
            let others = decisions.iter().map(|(d, c)| (d.outcome, &c.plugins));
            for (outcome, plugins) in std::iter::once(first).chain(others) {
                let at = match differs.iter().position(|(o, _)| *o == outcome) {
                    Some(at) => at,
                    None => {
                        differs.push((outcome, Vec::new()));
                        differs.len() - 1
                    }
                };
                for plugin in plugins {
                    if !differs[at].1.contains(plugin) {
                        differs[at].1.push(plugin);
                    }
                }
            }
            differs.sort();
            for (_, plugins) in &mut differs {
                plugins.sort_unstable();
            }
            // What is shown is a trace that can't tell, for its reasons; or else one that denies: it holds what would have
            // to change.
            let rank = |o: Outcome| match o {
                Outcome::Unknown => 0,
                Outcome::Denied => 1,
                Outcome::Allowed => 2,
            };
            let best = decisions.into_iter().map(|(d, _)| d).min_by_key(|d| rank(d.outcome));
            if let Some(best) = best.filter(|b| rank(b.outcome) < rank(decision.outcome)) {
                decision = best;
            }
            decision.differs = differs;
            decision.outcome = Outcome::Unknown;
        }
        decision
    }

    /// Judges a flow under one composition.
    pub fn evaluate_under(&self, flow: &Flow, composition: &Composition) -> Decision {
        self.under(flow, composition, &mut Selecting::default())
    }

    fn under<'c>(&self, flow: &Flow, composition: &'c Composition, selecting: &mut Selecting<'c>) -> Decision {
        let egress = self.leg(flow, Direction::Egress, composition, selecting);
        let ingress = self.leg(flow, Direction::Ingress, composition, selecting);
        let outcome = match (egress.outcome, ingress.outcome) {
            (Outcome::Denied, _) | (_, Outcome::Denied) => Outcome::Denied,
            (Outcome::Allowed, Outcome::Allowed) => Outcome::Allowed,
            _ => Outcome::Unknown,
        };
        let mut decision = Decision { outcome, egress, ingress, differs: Vec::new(), choices: composition.choices };
        self.taint(flow, &mut decision);
        decision
    }

    /// A policy that can't be evaluated may allow what is denied, or deny what is allowed.
    fn taint(&self, flow: &Flow, decision: &mut Decision) {
        if self.policies.unsupported.is_empty() {
            return;
        }
        let namespace = |e: &Endpoint| e.as_pod().map(|p| self.cluster.pods[p.index()].namespace);
        for (leg, at) in
            [(&mut decision.egress, namespace(&flow.client)), (&mut decision.ingress, namespace(&flow.server))]
        {
            let Some(at) = at else { continue };
            if leg.exempt == Some(Exempt::Itself) {
                continue;
            }
            for (index, policy) in self.policies.unsupported.iter().enumerate() {
                if policy.namespace.is_none_or(|n: NamespaceId| n == at) {
                    leg.reasons.push(Reason::Unsupported(index));
                    leg.outcome = Outcome::Unknown;
                    decision.outcome = Outcome::Unknown;
                }
            }
        }
    }

    fn leg<'c>(
        &self,
        flow: &Flow,
        direction: Direction,
        composition: &'c Composition,
        selecting: &mut Selecting<'c>,
    ) -> Leg {
        let (near, far) = match direction {
            Direction::Egress => (&flow.client, &flow.server),
            Direction::Ingress => (&flow.server, &flow.client),
        };
        let mut leg = Leg {
            direction,
            subject: near.as_pod(),
            exempt: None,
            steps: Vec::new(),
            not_reached: Vec::new(),
            outcome: Outcome::Allowed,
            conditions: Vec::new(),
            reasons: Vec::new(),
            by_labels_only: far.ip.is_none() && (far.as_pod().is_some() || far.kind == EndpointKind::AnyPod),
        };
        let Some(subject) = near.as_pod() else {
            leg.exempt = Some(Exempt::NotAPod);
            return leg;
        };
        let itself = far.as_pod() == Some(subject);
        if itself && !flow.via_service {
            leg.exempt = Some(Exempt::Itself);
            return leg;
        }
        let own_node_exempt = match direction {
            Direction::Ingress => !composition.choices.own_node_ingress,
            Direction::Egress => !composition.choices.own_node_egress,
        };
        let mut maybe_own_node = false;
        if let EndpointKind::Node { node, .. } = far.kind
            && own_node_exempt
        {
            match (node, self.cluster.pods[subject.index()].node) {
                (Some(a), Some(b)) if a == b => {
                    leg.exempt = Some(Exempt::OwnNode);
                    return leg;
                }
                (Some(_), Some(_)) => {}
                _ => maybe_own_node = true,
            }
        }
        let view = View { cluster: self.cluster, choices: &composition.choices, flow, subject };
        let stages = composition.stages(direction);
        let mut possible = NEXT;
        for (index, stage) in stages.iter().enumerate() {
            if itself && !composition.choices.hairpin && matches!(stage.tier, Tier::NetworkPolicy | Tier::Default) {
                continue;
            }
            let result = self.stage(&view, stage, direction, &mut leg, selecting);
            possible = (possible & !NEXT) | result;
            if result & NEXT == 0 {
                leg.not_reached = stages[index + 1..].iter().map(|s| s.tier.clone()).collect();
                break;
            }
        }
        if possible & NEXT != 0 {
            possible = (possible & !NEXT) | ALLOW;
        }
        if maybe_own_node {
            possible |= ALLOW;
        }
        leg.outcome = match possible {
            ALLOW => Outcome::Allowed,
            DENY => Outcome::Denied,
            _ => Outcome::Unknown,
        };
        if leg.outcome != Outcome::Allowed {
            leg.conditions.clear();
        }
        if leg.outcome == Outcome::Unknown {
            if maybe_own_node {
                leg.reasons.push(Reason::NodeUnknown);
            }
            leg.reasons.sort();
            leg.reasons.dedup();
        } else {
            leg.reasons.clear();
        }
        leg
    }

    /// The policies of a list that select a pod.
    fn selecting<'c>(
        &self,
        list: &'c Arc<Vec<StagePolicy>>,
        pod: PodId,
        known: &mut Selecting<'c>,
    ) -> Rc<[&'c StagePolicy]> {
        if let Some((.., found)) = known.0.iter().find(|(l, p, _)| *p == pod && Arc::ptr_eq(l, list)) {
            return found.clone();
        }
        let namespace = self.cluster.pods[pod.index()].namespace;
        let selects = |p: &&StagePolicy| matching::expr(self.cluster, &Selected::Pod(pod), &p.subject) != Tri::No;
        let found: Rc<[&StagePolicy]> = self.policies_of(list, namespace).filter(selects).collect();
        known.0.push((list, pod, found.clone()));
        found
    }

    /// Runs a stage: the set of its possible results.
    fn stage<'c>(
        &self,
        view: &View<'_>,
        stage: &'c Stage,
        direction: Direction,
        leg: &mut Leg,
        selecting: &mut Selecting<'c>,
    ) -> u8 {
        let mut step = Step { tier: stage.tier.clone(), selecting: Vec::new(), result: StepResult::NotSelected };
        if let Some(others) = &stage.skip_if_selected
            && self.selecting(others, view.subject, selecting).iter().any(|p| p.isolates)
        {
            step.result = StepResult::Skipped;
            leg.steps.push(step);
            return NEXT;
        }
        let policies = self.selecting(&stage.policies, view.subject, selecting);
        if policies.is_empty() {
            leg.steps.push(step);
            return NEXT;
        }
        step.selecting = policies.iter().map(|p| p.policy).collect();
        let reference = |policy: &StagePolicy, rule: &Rule, matched: Matched| RuleRef {
            policy: policy.policy,
            direction,
            rule: rule.index,
            peer: matched.peer,
            port: matched.port,
        };
        let mut scan = Scan::default();
        match stage.combine {
            Combine::FirstMatch => {
                for (policy, rule) in policies.iter().flat_map(|p| p.rules.iter().map(move |r| (*p, r))) {
                    let (tri, matched) = view.rule(rule);
                    if scan.take(tri, rule, reference(policy, rule, matched)) {
                        break;
                    }
                }
            }
            Combine::Union => {
                for (policy, rule) in policies.iter().flat_map(|p| p.rules.iter().map(move |r| (*p, r))) {
                    let (tri, matched) = view.rule(rule);
                    let taken = reference(policy, rule, matched);
                    match (&tri, &rule.action) {
                        // One allow is enough, whatever else may match; one without conditions frees from those of others.
                        (Tri::Yes, Action::Allow(conditions)) if !conditions.is_empty() && scan.decided => {
                            scan.conditions.extend(conditions);
                        }
                        (Tri::Yes, Action::Allow(conditions)) => {
                            scan = Scan::default();
                            scan.take(tri, rule, taken);
                            if conditions.is_empty() {
                                break;
                            }
                        }
                        _ if scan.decided => {}
                        _ => {
                            if scan.take(tri, rule, taken) {
                                break;
                            }
                        }
                    }
                }
            }
            Combine::Precedence => {
                let mut rules: Vec<(&StagePolicy, &Rule)> =
                    policies.iter().flat_map(|p| p.rules.iter().map(move |r| (*p, r))).collect();
                rules.sort_by_key(|(_, r)| (r.precedence, rank(&r.action), conditions(&r.action).len()));
                for (policy, rule) in rules {
                    let (tri, matched) = view.rule(rule);
                    if scan.take(tri, rule, reference(policy, rule, matched)) {
                        break;
                    }
                }
            }
            Combine::EitherOnTie => {
                for group in policies.chunk_by(|a, b| a.priority == b.priority) {
                    if scan.take_group(group, view, &reference) {
                        break;
                    }
                }
            }
        }
        let mut possible = scan.possible;
        if !scan.decided {
            let denied = stage.no_match == NoMatch::Deny && policies.iter().any(|p| p.isolates);
            if stage.no_match == NoMatch::Deny {
                step.selecting = policies.iter().filter(|p| p.isolates).map(|p| p.policy).collect();
            }
            possible |= if denied { DENY } else { NEXT };
            step.result = if !scan.rules.is_empty() {
                StepResult::Open(scan.rules)
            } else if denied {
                StepResult::DefaultDeny
            } else {
                StepResult::NoMatch
            };
        } else {
            let last = scan.rules.last().copied();
            step.result = match (possible, last) {
                (ALLOW, Some(rule)) => StepResult::Decided(Outcome::Allowed, rule),
                (DENY, Some(rule)) => StepResult::Decided(Outcome::Denied, rule),
                (NEXT, Some(rule)) => StepResult::Passed(rule),
                _ => StepResult::Open(scan.rules),
            };
        }
        if possible == ALLOW {
            leg.conditions = scan.conditions;
            leg.conditions.sort();
            leg.conditions.dedup();
        }
        leg.reasons.extend(scan.reasons);
        leg.steps.push(step);
        possible
    }
}

fn compose_default(policies: &Policies) -> Composition {
    let profile = Profile::settled("specification", crate::policy::profile::SPECIFICATION);
    let mut compositions = compose(policies, &profile);
    match compositions.pop() {
        Some(composition) => composition,
        None => Composition {
            choices: crate::policy::profile::SPECIFICATION,
            plugins: Vec::new(),
            ingress: Vec::new(),
            egress: Vec::new(),
        },
    }
}

fn result(action: &Action) -> u8 {
    match action {
        Action::Allow(_) => ALLOW,
        Action::Deny => DENY,
        Action::Pass => NEXT,
        Action::Log => 0,
    }
}

fn conditions(action: &Action) -> &[Condition] {
    match action {
        Action::Allow(conditions) => conditions,
        Action::Deny | Action::Pass | Action::Log => &[],
    }
}

/// Deny before allow before pass (Cilium's precedence; `precedence.go`).
fn rank(action: &Action) -> u8 {
    match action {
        Action::Log => 0,
        Action::Deny => 1,
        Action::Allow(_) => 2,
        Action::Pass => 3,
    }
}

/// What the rules of a stage made possible so far.
#[derive(Default)]
struct Scan {
    possible: u8,
    decided: bool,
    rules: Vec<RuleRef>,
    reasons: Vec<Reason>,
    /// Of the rules that decided.
    conditions: Vec<Condition>,
}

impl Scan {
    /// Takes a rule's match; true where it settles the stage.
    fn take(&mut self, tri: Tri, rule: &Rule, reference: RuleRef) -> bool {
        if rule.action == Action::Log {
            return false;
        }
        match tri {
            Tri::No => false,
            Tri::Maybe(reason) => {
                self.possible |= result(&rule.action);
                self.rules.push(reference);
                self.reasons.push(reason);
                false
            }
            Tri::Yes => {
                self.possible |= result(&rule.action);
                self.rules.push(reference);
                self.conditions.extend(conditions(&rule.action));
                self.decided = true;
                true
            }
        }
    }

    /// Takes policies of one priority: any of them may go first. True where one of them settles the stage.
    fn take_group(
        &mut self,
        group: &[&StagePolicy],
        view: &View<'_>,
        reference: &dyn Fn(&StagePolicy, &Rule, Matched) -> RuleRef,
    ) -> bool {
        let mut settled = false;
        let mut actions: Vec<(u8, PolicyId)> = Vec::new();
        for policy in group {
            let mut scan = Self::default();
            for rule in &policy.rules {
                let (tri, matched) = view.rule(rule);
                if scan.take(tri, rule, reference(policy, rule, matched)) {
                    break;
                }
            }
            settled |= scan.decided;
            if scan.possible != 0 {
                actions.push((scan.possible, policy.policy));
            }
            self.possible |= scan.possible;
            self.rules.extend(scan.rules);
            self.reasons.extend(scan.reasons);
            self.conditions.extend(scan.conditions);
        }
        if actions.windows(2).any(|w| w[0].0 != w[1].0) {
            self.reasons.push(Reason::EqualPriority(actions.into_iter().map(|(_, p)| p).collect()));
        }
        self.decided |= settled;
        settled
    }
}
