//! Why an edge is there: the rules that decide it, asked of the evaluator for one pair of its pods.

use super::{End, Ports};
use crate::model::{Cluster, PortSet, Protocol};
use crate::policy::PolicyId;
use crate::policy::rule::{Direction, RuleRef, Tier};
use crate::reach::Outcome;
use crate::reach::eval::{Endpoint, EndpointKind, Evaluator, Flow, StepResult};
use crate::reach::matrix::{L4Set, PROTOCOLS};

/// What settled one direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decider {
    /// A rule.
    Rule(RuleRef),
    /// No rule allows it, and these isolate the pod: some pods of a workload are closed, or it can't be told.
    Isolated(PolicyId),
    /// No policy decides about the pod in this direction.
    Open,
    /// Policies don't apply to this end.
    NotAPod,
}

/// A decider with the direction and tier it decides in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Direction, as the pod across from the other end sees it.
    pub direction: Direction,
    /// The tier of the stage that decided.
    pub tier: Option<Tier>,
    /// What decided.
    pub by: Decider,
    /// Ports it was asked for: the first of them.
    pub port: (Protocol, u16),
}

/// How many ports of a pair are asked for.
const MOST_PORTS: usize = 12;

/// What decides an edge from one end to another, each decider once.
pub fn why(evaluator: &Evaluator<'_>, client: &End, server: &End, ports: &Ports) -> Vec<Why> {
    let mut out: Vec<Why> = Vec::new();
    for set in [&ports.open, &ports.partial, &ports.unknown] {
        for (protocol, port) in examples(evaluator.cluster, server, set) {
            let Some(decision) = decide(evaluator, client, server, (protocol, port), set == &ports.partial) else {
                continue;
            };
            for leg in decision.legs() {
                for (tier, by) in deciders(leg) {
                    let why = Why { direction: leg.direction, tier, by, port: (protocol, port) };
                    if !out.iter().any(|w| w.direction == why.direction && w.by == why.by) {
                        out.push(why);
                    }
                }
            }
        }
    }
    out
}

/// The decision for one pair of pods; for a port that is open between some pods only, of such a pair.
fn decide(
    evaluator: &Evaluator<'_>,
    client: &End,
    server: &End,
    (protocol, port): (Protocol, u16),
    some: bool,
) -> Option<crate::reach::Decision> {
    let mut first = None;
    for c in &client.columns {
        for s in &server.columns {
            let mut to = s.example;
            if to == c.example && matches!(to.kind, EndpointKind::Pod(_)) {
                // Another pod of the same workload: with the same column, it gets the same answer.
                to = other_pod(evaluator.cluster, server, &c.example).unwrap_or(to);
            }
            let flow = Flow { client: c.example, server: to, protocol, port, name: None, via_service: false };
            let decision = evaluator.evaluate(&flow);
            if !some || decision.outcome == Outcome::Allowed {
                return Some(decision);
            }
            first.get_or_insert(decision);
        }
    }
    first
}

fn other_pod(cluster: &Cluster, end: &End, than: &Endpoint) -> Option<Endpoint> {
    let v6 = than.ip.is_some_and(|ip| ip.is_ipv6());
    end.pods.iter().map(|p| Endpoint::pod(cluster, *p, v6)).find(|e| e.kind != than.kind)
}

fn deciders(leg: &crate::reach::Leg) -> Vec<(Option<Tier>, Decider)> {
    if leg.exempt.is_some() {
        return vec![(None, Decider::NotAPod)];
    }
    let Some(step) = leg.steps.last() else { return vec![(None, Decider::Open)] };
    let tier = Some(step.tier.clone());
    match &step.result {
        StepResult::Decided(_, rule) => vec![(tier, Decider::Rule(place(*rule)))],
        StepResult::Open(rules) => rules.iter().map(|r| (tier.clone(), Decider::Rule(place(*r)))).collect(),
        StepResult::DefaultDeny => step.selecting.iter().map(|p| (tier.clone(), Decider::Isolated(*p))).collect(),
        StepResult::Passed(_) | StepResult::NoMatch | StepResult::NotSelected | StepResult::Skipped => {
            vec![(None, Decider::Open)]
        }
    }
}

/// Where a peer matched, which of the rule's ports did is no matter: one peer is one reason.
fn place(rule: RuleRef) -> RuleRef {
    RuleRef { port: rule.port.filter(|_| rule.peer.is_none()), ..rule }
}

/// Ports of a set to ask for: those the server's pods declare, and the first of each interval.
fn examples(cluster: &Cluster, server: &End, set: &L4Set) -> Vec<(Protocol, u16)> {
    let mut out: Vec<(Protocol, u16)> = Vec::new();
    let declared = server.pods.first().map(|p| cluster.pods[p.index()].ports.clone());
    for port in declared.iter().flat_map(|p| p.iter()) {
        if set.contains(port.protocol, port.number) && !out.contains(&(port.protocol, port.number)) {
            out.push((port.protocol, port.number));
        }
    }
    for protocol in PROTOCOLS {
        let ports: PortSet = set.ports(protocol);
        for (first, _) in ports.intervals() {
            if !out.contains(&(protocol, *first)) {
                out.push((protocol, *first));
            }
        }
    }
    out.truncate(MOST_PORTS);
    out
}
