//! Why a connection is blocked or can't be told: which policies decide, and which rules nearly allowed it.
//!
//! A [`Check`] and the evaluator that made it come in; an [`Explanation`] for each leg that doesn't allow goes out, as data,
//! and as a [`Diagnostic`](crate::source::Diagnostic) on the policies' own lines. Nothing is printed here.

pub mod mismatch;
mod near;
pub mod text;

use std::net::IpAddr;

use crate::model::{Cluster, PodId, Protocol, Str};
use crate::policy::rule::{Direction, PolicyKind, RulePart, RuleRef, Scope, StagePolicy, Tier, field_path};
use crate::policy::{Composition, PolicyId};
use crate::reach::eval::{Reason, StepResult};
use crate::reach::{Check, Decision, Endpoint, EndpointCheck, Evaluator, Flow, Leg, Outcome};
use crate::source::{FieldPath, Origin};
pub(crate) use mismatch::slip;
pub use mismatch::{Declared, Mismatch, Missed, NotAPod, Similar};

/// Which part of the way a leg belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stretch {
    /// Asking the cluster's DNS.
    Dns,
    /// The connection itself.
    Target,
}

/// Why one leg doesn't allow.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Part of the way.
    pub stretch: Stretch,
    /// Direction.
    pub direction: Direction,
    /// Denied or unknown.
    pub outcome: Outcome,
    /// The pod whose policies were asked.
    pub subject: PodId,
    /// The other end.
    pub across: Endpoint,
    /// The DNS name outside the cluster that was dialled, where the other end is what it stands for.
    pub name: Option<Str>,
    /// Protocol.
    pub protocol: Protocol,
    /// The port that policies see: the pod's.
    pub port: u16,
    /// The port that was dialled, where a Service maps it to another one.
    pub service_port: Option<u16>,
    /// Further legs of which the same holds: the pod whose policies were asked, and the other end.
    pub also: Vec<(PodId, Endpoint)>,
    /// The policies that isolate or deny, or may do so.
    pub culprits: Vec<Culprit>,
    /// Rules of the deciding stage that would allow it but for what is listed, nearest first.
    pub near_misses: Vec<NearMiss>,
    /// Policies that would allow it but select other pods, nearest first.
    pub subject_misses: Vec<SubjectMiss>,
    /// What each stage did, in order.
    pub tiers: Vec<TierNote>,
    /// Why it is unknown.
    pub reasons: Vec<Reason>,
    /// Which plugins answer what, where they differ.
    pub differs: Vec<(Outcome, Vec<&'static str>)>,
}

/// A policy that decides, or may.
#[derive(Clone, Debug, PartialEq)]
pub struct Culprit {
    /// The policy; none where its kind can't be evaluated.
    pub policy: Option<PolicyId>,
    /// `Kind/namespace/name`, or `Kind/name`.
    pub reference: String,
    /// Where it was read.
    pub origin: Origin,
    /// The field that decides.
    pub path: FieldPath,
    /// How it decides.
    pub how: How,
}

/// How a policy decides.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    /// It isolates the pod, and nothing allows the connection.
    Isolates,
    /// This rule denies.
    Denies(RuleRef),
    /// This rule may match, or may go first.
    MayDecide(RuleRef),
    /// It is of a kind that can't be evaluated.
    CantBeEvaluated,
}

/// A rule that would allow the connection but for what is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct NearMiss {
    /// The rule, with the peer and the port that came nearest.
    pub rule: RuleRef,
    /// `Kind/namespace/name`, or `Kind/name`.
    pub reference: String,
    /// Where the policy was read.
    pub origin: Origin,
    /// What did not match; the first is shown.
    pub missed: Vec<Missed>,
    /// How far off it is; lower is nearer. Comparable within one explanation.
    pub distance: u32,
}

/// A policy that would allow the connection, but doesn't select the pod.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectMiss {
    /// The rule that would allow it.
    pub rule: RuleRef,
    /// `Kind/namespace/name`.
    pub reference: String,
    /// Where the policy was read.
    pub origin: Origin,
    /// What of its subject did not match.
    pub missed: Vec<Missed>,
    /// How far off it is.
    pub distance: u32,
}

/// What a stage did.
#[derive(Clone, Debug, PartialEq)]
pub struct TierNote {
    /// The stage.
    pub tier: Tier,
    /// What it did.
    pub what: TierDid,
}

/// What a stage did with a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum TierDid {
    /// No policy of it selects the pod.
    SelectsNothing,
    /// None of its rules matches.
    NoRuleMatches,
    /// A rule passed on to the next stage.
    Passed(RuleRef),
    /// It decided, by a rule or by isolation.
    Decided(Outcome),
    /// It may have decided.
    MayDecide,
    /// It was not asked: a NetworkPolicy isolates the pod in the other direction, and this plugin takes that as final.
    Skipped,
    /// It was not asked: an earlier stage decided.
    NotReached {
        /// The stage that decided.
        after: Tier,
    },
}

/// How many near misses an explanation holds.
const MOST_NEAR_MISSES: usize = 32;

/// Explains every leg of a check that doesn't allow: those to DNS first, then egress before ingress, one explanation for legs
/// that fail alike.
pub fn explain(evaluator: &Evaluator<'_>, check: &Check) -> Vec<Explanation> {
    Explainer::new(evaluator).check(check)
}

/// Explains legs.
pub(crate) struct Explainer<'a> {
    pub(crate) evaluator: &'a Evaluator<'a>,
    /// The policies as written: those that are tried out go before those of the cluster.
    written: Vec<&'a Cluster>,
}

/// What is known of one leg while it is explained.
pub(crate) struct Way<'a> {
    pub(crate) stretch: Stretch,
    pub(crate) flow: Flow,
    pub(crate) decision: &'a Decision,
    pub(crate) leg: &'a Leg,
    pub(crate) subject: PodId,
    pub(crate) service_port: Option<u16>,
    /// Addresses of the Service that was dialled.
    pub(crate) service_ips: Vec<IpAddr>,
}

impl<'a> Explainer<'a> {
    pub(crate) fn new(evaluator: &'a Evaluator<'a>) -> Self {
        Self { evaluator, written: vec![evaluator.cluster] }
    }

    /// With some policies changed, which stand in a cluster of their own.
    pub(crate) fn changed(evaluator: &'a Evaluator<'a>, changed: &'a Cluster) -> Self {
        Self { evaluator, written: vec![changed, evaluator.cluster] }
    }

    /// The legs of a check that don't allow, in the order a client meets them.
    pub(crate) fn ways<'c>(&self, check: &'c Check) -> Vec<Way<'c>> {
        let mut out = Vec::new();
        if let Some(dns) = &check.dns {
            let services = self.evaluator.cluster.dns_services();
            let ips: Vec<_> = services
                .iter()
                .flat_map(|s| self.evaluator.cluster.services[s.index()].cluster_ips.iter().copied())
                .collect();
            let dialled = Dialled {
                stretch: Stretch::Dns,
                protocol: Protocol::Udp,
                service_port: Some(53),
                service_ips: ips,
                name: None,
                via_service: false,
            };
            dialled.ways(&dns.endpoints, &mut out);
        }
        let service = check.service.map(|s| &self.evaluator.cluster.services[s.index()]);
        let ips = service.map(|s| s.cluster_ips.clone()).unwrap_or_default();
        let port = check.service_port.as_ref().filter(|_| service.is_some_and(|s| !s.headless)).map(|p| p.number);
        let dialled = Dialled {
            stretch: Stretch::Target,
            protocol: check.protocol,
            service_port: port,
            service_ips: ips,
            name: check.external_name.clone(),
            via_service: service.is_some_and(|s| !s.headless),
        };
        dialled.ways(&check.endpoints, &mut out);
        out
    }

    fn check(&self, check: &Check) -> Vec<Explanation> {
        let mut out: Vec<Explanation> = Vec::new();
        for way in self.ways(check) {
            let new = self.way(&way);
            match out.iter_mut().find(|known| known.alike(&new)) {
                Some(known) => {
                    let leg = (new.subject, new.across);
                    if (known.subject, known.across) != leg && !known.also.contains(&leg) {
                        known.also.push(leg);
                    }
                }
                None => out.push(new),
            }
        }
        out.sort_by_key(|e| (e.stretch, std::cmp::Reverse(e.direction), e.outcome != Outcome::Denied));
        out
    }

    /// Explains one leg.
    pub(crate) fn way(&self, way: &Way<'_>) -> Explanation {
        let across = match way.leg.direction {
            Direction::Egress => way.flow.server,
            Direction::Ingress => way.flow.client,
        };
        let outcome = if way.decision.differs.is_empty() { way.leg.outcome } else { Outcome::Unknown };
        let (near_misses, subject_misses) = match self.composition(way) {
            Some(composition) => self.near(way, composition),
            None => Default::default(),
        };
        Explanation {
            stretch: way.stretch,
            direction: way.leg.direction,
            outcome,
            subject: way.subject,
            across,
            name: (way.leg.direction == Direction::Egress).then(|| way.flow.name.clone()).flatten(),
            protocol: way.flow.protocol,
            port: way.flow.port,
            service_port: way.service_port,
            also: Vec::new(),
            culprits: self.culprits(way.leg),
            near_misses,
            subject_misses,
            tiers: tiers(way.leg),
            reasons: way.leg.reasons.clone(),
            differs: way.decision.differs.clone(),
        }
    }

    /// The stages that the leg was traced under.
    pub(crate) fn composition(&self, way: &Way<'_>) -> Option<&'a Composition> {
        self.evaluator.compositions().iter().find(|c| c.choices == way.decision.choices)
    }

    fn near(&self, way: &Way<'_>, composition: &Composition) -> (Vec<NearMiss>, Vec<SubjectMiss>) {
        let Some(step) = way.leg.steps.last() else { return Default::default() };
        let finder = near::Finder { explainer: self, way, composition };
        let mut near = Vec::new();
        for policy in self.candidates(way.leg, composition) {
            finder.policy(policy, &mut near);
        }
        near.sort_by_key(|m| (m.distance, m.rule));
        near.truncate(MOST_NEAR_MISSES);
        let mut subjects = match step.result {
            StepResult::DefaultDeny => finder.subjects(),
            _ => Vec::new(),
        };
        subjects.sort_by_key(|m| (m.distance, m.rule));
        subjects.truncate(MOST_NEAR_MISSES);
        (near, subjects)
    }

    /// The policies of the deciding stage that select the pod. Where the default deny comes as a stage of its own, the allow
    /// rules are those of the NetworkPolicy stage.
    pub(crate) fn candidates<'c>(&self, leg: &Leg, composition: &'c Composition) -> Vec<&'c StagePolicy> {
        let Some(step) = leg.steps.last() else { return Vec::new() };
        let tier = match step.tier {
            Tier::Default => &Tier::NetworkPolicy,
            ref tier => tier,
        };
        composition
            .stages(leg.direction)
            .iter()
            .filter(|s| s.tier == *tier)
            .flat_map(|s| s.policies.iter())
            .filter(|p| step.selecting.contains(&p.policy))
            .collect()
    }

    /// The policies that deny or isolate on a leg, or may decide it.
    pub(crate) fn culprits(&self, leg: &Leg) -> Vec<Culprit> {
        let mut out: Vec<Culprit> = Vec::new();
        let mut push = |new: Culprit| {
            if !out.iter().any(|c| c.origin == new.origin && c.path == new.path) {
                out.push(new);
            }
        };
        for step in &leg.steps {
            match &step.result {
                StepResult::DefaultDeny => {
                    for policy in &step.selecting {
                        push(self.culprit(*policy, self.isolation_path(*policy, leg.direction), How::Isolates));
                    }
                }
                StepResult::Decided(Outcome::Denied, rule) => {
                    push(self.culprit(rule.policy, self.rule_path(rule), How::Denies(*rule)));
                }
                StepResult::Open(rules) => {
                    for rule in rules {
                        push(self.culprit(rule.policy, self.rule_path(rule), How::MayDecide(*rule)));
                    }
                }
                _ => {}
            }
        }
        for reason in &leg.reasons {
            if let Reason::Unsupported(index) = reason
                && let Some(policy) = self.evaluator.policies.unsupported.get(*index)
            {
                let reference = match policy.namespace {
                    Some(n) => {
                        format!("{}/{}/{}", policy.kind, self.evaluator.cluster.namespaces[n.index()].name, policy.name)
                    }
                    None => format!("{}/{}", policy.kind, policy.name),
                };
                push(Culprit {
                    policy: None,
                    reference,
                    origin: policy.origin,
                    path: FieldPath::keys("kind"),
                    how: How::CantBeEvaluated,
                });
            }
        }
        out
    }

    fn culprit(&self, policy: PolicyId, path: FieldPath, how: How) -> Culprit {
        let info = self.evaluator.policies.info(policy);
        Culprit { policy: Some(policy), reference: info.reference(), origin: info.origin, path, how }
    }

    /// Where a NetworkPolicy says that it isolates a direction.
    fn isolation_path(&self, policy: PolicyId, direction: Direction) -> FieldPath {
        let origin = self.evaluator.policies.info(policy).origin;
        let mut written = self.written.iter().flat_map(|w| &w.network_policies);
        let Some(object) = written.find(|p| p.origin == origin) else {
            return FieldPath::keys("spec");
        };
        let spec = &object.object.spec;
        let selects = !spec.pod_selector.match_labels.is_empty() || !spec.pod_selector.match_expressions.is_empty();
        match direction {
            _ if !spec.policy_types.is_empty() => FieldPath::keys("spec.policyTypes"),
            // Without policyTypes, egress rules isolate egress and everything isolates ingress (SEMANTICS 2).
            Direction::Egress => FieldPath::keys("spec.egress"),
            Direction::Ingress if !spec.ingress.is_empty() => FieldPath::keys("spec.ingress"),
            Direction::Ingress if selects => FieldPath::keys("spec.podSelector"),
            Direction::Ingress => FieldPath::keys("spec"),
        }
    }

    /// The rule that decided, down to the peer where it lists any.
    pub(crate) fn rule_path(&self, rule: &RuleRef) -> FieldPath {
        let kind = self.evaluator.policies.info(rule.policy).kind;
        let part = rule.peer.map_or(RulePart::Rule, RulePart::Peer);
        field_path(kind, rule, part)
    }

    /// The field that a selector's requirements stand in.
    pub(crate) fn peer_selector(&self, rule: &RuleRef, peer: u32, scope: Scope) -> FieldPath {
        let info = self.evaluator.policies.info(rule.policy);
        let path = field_path(info.kind, rule, RulePart::Peer(peer));
        let within = match scope {
            Scope::Namespace => "namespaceSelector",
            _ => "podSelector",
        };
        match info.kind {
            PolicyKind::NetworkPolicy => path.key(within),
            PolicyKind::Plugin(_) => path,
            _ if scope == Scope::Node => path.key("nodes"),
            _ if self.whole_namespaces(info.origin, rule, peer) => path.key("namespaces"),
            _ => path.key("pods").key(within),
        }
    }

    /// Whether a peer of a cluster-wide policy is written as `namespaces`, not as `pods`.
    fn whole_namespaces(&self, origin: Origin, rule: &RuleRef, peer: u32) -> bool {
        let (rule_at, peer_at) = (rule.rule as usize, peer as usize);
        let mut written = self.written.iter().flat_map(|w| &w.cluster_network_policies);
        if let Some(policy) = written.find(|p| p.origin == origin) {
            let spec = &policy.object.spec;
            return match rule.direction {
                Direction::Ingress => {
                    spec.ingress.get(rule_at).and_then(|r| r.from.get(peer_at)).is_some_and(|p| p.namespaces.is_some())
                }
                Direction::Egress => {
                    spec.egress.get(rule_at).and_then(|r| r.to.get(peer_at)).is_some_and(|p| p.namespaces.is_some())
                }
            };
        }
        let both = |w: &&'a Cluster| w.admin_network_policies.iter().chain(&w.baseline_admin_network_policies);
        self.written.iter().flat_map(both).find(|p| p.origin == origin).is_some_and(|policy| {
            let spec = &policy.object.spec;
            match rule.direction {
                Direction::Ingress => {
                    spec.ingress.get(rule_at).and_then(|r| r.from.get(peer_at)).is_some_and(|p| p.namespaces.is_some())
                }
                Direction::Egress => {
                    spec.egress.get(rule_at).and_then(|r| r.to.get(peer_at)).is_some_and(|p| p.namespaces.is_some())
                }
            }
        })
    }
}

/// What was dialled, for one part of the way.
struct Dialled {
    stretch: Stretch,
    protocol: Protocol,
    service_port: Option<u16>,
    service_ips: Vec<IpAddr>,
    name: Option<Str>,
    via_service: bool,
}

impl Dialled {
    fn ways<'c>(&self, endpoints: &'c [EndpointCheck], out: &mut Vec<Way<'c>>) {
        // Endpoints that get no traffic are only worth a word where none does.
        let any = endpoints.iter().any(|e| e.counted);
        for endpoint in endpoints.iter().filter(|e| e.counted || !any) {
            let (Some(decision), Some(port)) = (&endpoint.decision, endpoint.port) else { continue };
            for leg in decision.legs() {
                let Some(subject) = leg.subject.filter(|_| leg.outcome != Outcome::Allowed) else { continue };
                out.push(Way {
                    stretch: self.stretch,
                    flow: Flow {
                        client: endpoint.client,
                        server: endpoint.server,
                        protocol: self.protocol,
                        port,
                        name: self.name.clone(),
                        via_service: self.via_service,
                    },
                    decision,
                    leg,
                    subject,
                    service_port: self.service_port.filter(|s| *s != port),
                    service_ips: self.service_ips.clone(),
                });
            }
        }
    }
}

impl Explanation {
    /// Whether another leg fails in the same way, so that one message is enough.
    fn alike(&self, other: &Self) -> bool {
        (self.stretch, self.direction, self.outcome, self.protocol, self.port, self.service_port)
            == (other.stretch, other.direction, other.outcome, other.protocol, other.port, other.service_port)
            && self.culprits == other.culprits
            && self.near_misses == other.near_misses
            && self.subject_misses == other.subject_misses
            && self.tiers == other.tiers
            && self.reasons == other.reasons
            && self.differs == other.differs
    }
}

fn tiers(leg: &Leg) -> Vec<TierNote> {
    let mut out = Vec::new();
    for step in &leg.steps {
        let what = match &step.result {
            StepResult::NotSelected => TierDid::SelectsNothing,
            StepResult::NoMatch => TierDid::NoRuleMatches,
            StepResult::Passed(rule) => TierDid::Passed(*rule),
            StepResult::Decided(outcome, _) => TierDid::Decided(*outcome),
            StepResult::DefaultDeny => TierDid::Decided(Outcome::Denied),
            StepResult::Open(_) => TierDid::MayDecide,
            StepResult::Skipped => TierDid::Skipped,
        };
        out.push(TierNote { tier: step.tier.clone(), what });
    }
    if let Some(last) = leg.steps.last() {
        let not_reached = leg
            .not_reached
            .iter()
            .map(|tier| TierNote { tier: tier.clone(), what: TierDid::NotReached { after: last.tier.clone() } });
        out.extend(not_reached);
    }
    out
}
