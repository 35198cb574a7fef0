//! Which allow rules came near, and what each of them lacked.

use std::net::IpAddr;

use super::mismatch::{Declared, Mismatch, Missed, NotAPod, Similar, like};
use super::{Explainer, NearMiss, SubjectMiss, Way};
use crate::model::{Cluster, Labels, PodId, Str};
use crate::policy::Composition;
use crate::policy::rule::{
    Action, Block, CidrScope, Direction, Expr, L4, Match, Op, Peer, PortMatch, Ports, Requirement, RequirementAt, Rule,
    RulePart, RuleRef, Scope, StagePolicy, Term, field_path,
};
use crate::reach::eval::EndpointKind;
use crate::reach::matching::{self, Selected, Tri, View};
use crate::reach::{Endpoint, Evaluator};
use crate::source::FieldPath;

pub(super) struct Finder<'a> {
    pub(super) explainer: &'a Explainer<'a>,
    pub(super) way: &'a Way<'a>,
    pub(super) composition: &'a Composition,
}

impl Finder<'_> {
    fn evaluator(&self) -> &Evaluator<'_> {
        self.explainer.evaluator
    }

    fn cluster(&self) -> &Cluster {
        self.evaluator().cluster
    }

    fn view(&self) -> View<'_> {
        View {
            cluster: self.cluster(),
            choices: &self.composition.choices,
            flow: &self.way.flow,
            subject: self.way.subject,
        }
    }

    fn across(&self) -> &Endpoint {
        match self.way.leg.direction {
            Direction::Egress => &self.way.flow.server,
            Direction::Ingress => &self.way.flow.client,
        }
    }

    /// The allow rules of a policy that selects the pod.
    pub(super) fn policy(&self, policy: &StagePolicy, out: &mut Vec<NearMiss>) {
        let info = self.evaluator().policies.info(policy.policy);
        for rule in policy.rules.iter().filter(|r| matches!(r.action, Action::Allow(_))) {
            if self.view().rule(rule).0 == Tri::Yes {
                // It matched: it was passed over, not missed.
                continue;
            }
            for (at, missed) in self.rule(policy, rule) {
                let distance = missed.iter().map(|m| m.mismatch.distance()).sum::<u32>() + 5 * missed.len() as u32;
                out.push(NearMiss { rule: at, reference: info.reference(), origin: info.origin, missed, distance });
            }
        }
    }

    /// What a rule lacks: once for each of its peers.
    fn rule(&self, policy: &StagePolicy, rule: &Rule) -> Vec<(RuleRef, Vec<Missed>)> {
        let direction = self.way.leg.direction;
        let mut at = RuleRef { policy: policy.policy, direction, rule: rule.index, peer: None, port: None };
        let (port, missed_port) = self.ports(&at, &rule.l4);
        at.port = port;
        let Match::OneOf(peers) = rule.peers(direction) else {
            return vec![(at, missed_port.into_iter().collect())];
        };
        let mut out = Vec::with_capacity(peers.len());
        for peer in peers {
            let at = RuleRef { peer: Some(peer.index), ..at };
            let mut missed = Vec::new();
            self.peer(&at, peer, &mut missed);
            missed.extend(missed_port.clone());
            out.push((at, missed));
        }
        if out.is_empty() {
            let kind = self.evaluator().policies.info(policy.policy).kind;
            let path = field_path(kind, &at, RulePart::Rule);
            out.push((at, vec![Missed { mismatch: Mismatch::Nothing, path }]));
        }
        out
    }

    /// The port entry that matches, or the nearest one with what it lacks.
    fn ports(&self, at: &RuleRef, l4: &L4) -> (Option<u32>, Option<Missed>) {
        let L4::OneOf(ports) = l4 else { return (None, None) };
        let view = self.view();
        if let Some(port) = ports.iter().find(|p| view.port(p)) {
            return (Some(port.index), None);
        }
        let kind = self.evaluator().policies.info(at.policy).kind;
        let nearest = ports.iter().map(|p| (self.port(p), p.index)).min_by_key(|(m, index)| (m.distance(), *index));
        match nearest {
            Some((mismatch, index)) => {
                let entry = field_path(kind, at, RulePart::Port(index));
                let path = match (&mismatch, kind) {
                    (Mismatch::Port { .. } | Mismatch::NamedPort { .. }, crate::policy::PolicyKind::NetworkPolicy) => {
                        entry.key("port")
                    }
                    _ => entry,
                };
                (Some(index), Some(Missed { mismatch, path }))
            }
            None => (None, Some(Missed { mismatch: Mismatch::Nothing, path: field_path(kind, at, RulePart::Rule) })),
        }
    }

    fn port(&self, port: &PortMatch) -> Mismatch {
        let flow = &self.way.flow;
        let service_port = self.way.service_port;
        let server = match flow.server.kind {
            EndpointKind::Pod(pod) => Some(&self.cluster().pods[pod.index()]),
            _ => None,
        };
        if let Some(wanted) = port.protocol
            && wanted != flow.protocol
        {
            let port_matches = match &port.ports {
                Ports::All => true,
                Ports::Range(first, last) => {
                    (*first..=*last).contains(&flow.port) || service_port.is_some_and(|p| (*first..=*last).contains(&p))
                }
                Ports::NotIn(ranges) => !ranges.iter().any(|(f, l)| (*f..=*l).contains(&flow.port)),
                Ports::Named(name) => server.is_some_and(|p| p.named_ports(name).any(|p| p.number == flow.port)),
            };
            return Mismatch::Protocol { wanted, actual: flow.protocol, port_matches };
        }
        match &port.ports {
            Ports::All => Mismatch::Nothing,
            Ports::Range(first, last) => Mismatch::Port {
                wanted: (*first, *last),
                actual: flow.port,
                is_service_port: service_port.is_some_and(|p| (*first..=*last).contains(&p)),
            },
            Ports::NotIn(ranges) => {
                let wanted = ranges.iter().copied().find(|(f, l)| (*f..=*l).contains(&flow.port)).unwrap_or((0, 0));
                Mismatch::Port { wanted, actual: flow.port, is_service_port: false }
            }
            Ports::Named(name) => {
                let declared = match server {
                    None => Declared::NotAPod,
                    Some(pod) => {
                        let same = pod.named_ports(name).find(|p| p.protocol == flow.protocol);
                        match (same, pod.named_ports(name).next()) {
                            (Some(port), _) => Declared::Number(port.number),
                            (None, Some(port)) => Declared::Protocol(port.protocol),
                            (None, None) => Declared::Nothing,
                        }
                    }
                };
                let called = server.and_then(|pod| {
                    pod.ports
                        .iter()
                        .filter(|p| p.container != crate::model::ContainerKind::Init)
                        .find(|p| p.number == flow.port && p.protocol == flow.protocol)
                        .and_then(|p| p.name.clone())
                });
                Mismatch::NamedPort { name: name.clone(), declared, actual: flow.port, called }
            }
        }
    }

    fn peer(&self, at: &RuleRef, peer: &Peer, out: &mut Vec<Missed>) {
        let (view, across) = (self.view(), self.across());
        let kind = self.evaluator().policies.info(at.policy).kind;
        let path = field_path(kind, at, RulePart::Peer(peer.index));
        for term in &peer.terms {
            if view.term(term, across) == Tri::Yes {
                continue;
            }
            match (term, across.kind) {
                (Term::Pods(selector), EndpointKind::Pod(pod)) => {
                    let base = |scope| self.explainer.peer_selector(at, peer.index, scope);
                    self.selector(selector, pod, &base, &path, out);
                }
                (Term::Pods(_), kind) => {
                    let what = match kind {
                        EndpointKind::Node { pod: Some(_), .. } => NotAPod::HostNetwork,
                        EndpointKind::Node { .. } => NotAPod::Node,
                        _ => NotAPod::Outside,
                    };
                    out.push(Missed { mismatch: Mismatch::NotAPod(what), path: path.clone() });
                }
                (Term::Cidr(blocks, scope), _) => {
                    let mismatch = self.blocks(blocks, scope, across);
                    let path = match kind {
                        crate::policy::PolicyKind::NetworkPolicy => match mismatch {
                            Mismatch::Cidr { excepted_by: Some(_), .. } => path.clone().key("ipBlock").key("except"),
                            _ => path.clone().key("ipBlock").key("cidr"),
                        },
                        crate::policy::PolicyKind::Plugin(_) => path.clone(),
                        _ => path.clone().key("networks"),
                    };
                    out.push(Missed { mismatch, path });
                }
                (Term::Nodes(_), _) => {
                    out.push(Missed { mismatch: Mismatch::NotSuchANode, path: path.clone().key("nodes") });
                }
                (Term::Domains(patterns), _) => {
                    let mismatch = Mismatch::Domain { patterns: patterns.clone(), name: self.way.flow.name.clone() };
                    out.push(Missed { mismatch, path: path.clone().key("domainNames") });
                }
                (Term::NotPods(_) | Term::NotCidr(_), _) => {
                    out.push(Missed { mismatch: Mismatch::Excluded, path: path.clone() });
                }
                (Term::Class(_) | Term::Service(_) | Term::Unknown, _) => {
                    out.push(Missed { mismatch: Mismatch::Nothing, path: path.clone() });
                }
            }
        }
    }

    fn blocks(&self, blocks: &[Block], scope: &CidrScope, across: &Endpoint) -> Mismatch {
        let Some(first) = blocks.first() else { return Mismatch::Nothing };
        let holding = across.ip.and_then(|ip| blocks.iter().find(|b| b.cidr.contains(&ip)));
        if let (Some(block), Some(ip)) = (holding, across.ip) {
            return match block.except.iter().find(|e| e.contains(&ip)) {
                Some(except) => Mismatch::Cidr { cidr: block.cidr, ip: Some(ip), excepted_by: Some(*except) },
                // The address is in the block: the class of the endpoint is what this plugin doesn't match.
                None => Mismatch::CidrNotForPods { cidr: block.cidr },
            };
        }
        if matches!(scope, CidrScope::IpBlock | CidrScope::Classes(_)) && across.as_pod().is_some() {
            let dialled: Vec<IpAddr> = match self.way.leg.direction {
                Direction::Egress => self.way.service_ips.clone(),
                // A block of Service addresses as the source: no packet ever comes from one.
                Direction::Ingress => {
                    self.cluster().services.iter().flat_map(|s| s.cluster_ips.iter().copied()).collect()
                }
            };
            for block in blocks.iter().filter(|b| b.cidr.prefix_len() > 0) {
                if let Some(ip) = dialled.iter().find(|ip| block.contains(**ip)) {
                    return Mismatch::ServiceIpInCidr { cidr: block.cidr, service_ip: *ip, ip: across.ip };
                }
            }
        }
        Mismatch::Cidr { cidr: first.cidr, ip: across.ip, excepted_by: None }
    }

    fn selector(
        &self,
        e: &Expr,
        pod: PodId,
        base: &dyn Fn(Scope) -> FieldPath,
        peer: &FieldPath,
        out: &mut Vec<Missed>,
    ) {
        if matching::expr(self.cluster(), &Selected::Pod(pod), e) == Tri::Yes {
            return;
        }
        match e {
            Expr::Anything => {}
            Expr::Nothing => out.push(Missed { mismatch: Mismatch::Nothing, path: peer.clone() }),
            Expr::Not(_) => out.push(Missed { mismatch: Mismatch::Excluded, path: peer.clone() }),
            Expr::All(all) => {
                for e in all {
                    self.selector(e, pod, base, peer, out);
                }
            }
            Expr::Any(any) => {
                let nearest = any
                    .iter()
                    .map(|e| {
                        let mut missed = Vec::new();
                        self.selector(e, pod, base, peer, &mut missed);
                        missed
                    })
                    .min_by_key(|missed| missed.iter().map(|m| m.mismatch.distance()).sum::<u32>());
                out.extend(nearest.unwrap_or_default());
            }
            Expr::Is(requirement) => out.push(self.requirement(requirement, pod, base, peer)),
        }
    }

    fn requirement(
        &self,
        requirement: &Requirement,
        pod: PodId,
        base: &dyn Fn(Scope) -> FieldPath,
        peer: &FieldPath,
    ) -> Missed {
        let pod = &self.cluster().pods[pod.index()];
        let namespace = &self.cluster().namespaces[pod.namespace.index()];
        let selector = base(requirement.scope);
        let path = match requirement.at {
            RequirementAt::MatchLabels => selector.key("matchLabels").key(&requirement.key),
            RequirementAt::Expression(index) => selector.key("matchExpressions").index(index as usize),
            RequirementAt::Implied => peer.clone(),
        };
        let (key, wanted) = (requirement.key.clone(), requirement.op.clone());
        let mismatch = match requirement.scope {
            Scope::Namespace => Mismatch::NamespaceLabel {
                found: namespace.labels.get(&key).cloned(),
                similar: similar(&namespace.labels, &key, &wanted),
                key,
                wanted,
                namespace: namespace.name.clone(),
            },
            Scope::NamespaceName => {
                let policy = match &wanted {
                    Op::In(values) => values.first().cloned().unwrap_or_else(|| "".into()),
                    _ => "".into(),
                };
                Mismatch::PolicyNamespaceOnly { policy, found: namespace.name.clone() }
            }
            Scope::Pod => Mismatch::PodLabel {
                found: pod.labels.get(&key).cloned(),
                similar: similar(&pod.labels, &key, &wanted),
                key,
                wanted,
            },
            Scope::ServiceAccountName | Scope::ServiceAccount | Scope::Node => Mismatch::Excluded,
        };
        Missed { mismatch, path }
    }

    /// NetworkPolicies whose rules would allow the connection, if only they selected the pod.
    pub(super) fn subjects(&self) -> Vec<SubjectMiss> {
        let view = self.view();
        let pod = &self.cluster().pods[self.way.subject.index()];
        let mut out = Vec::new();
        for policy in self.evaluator().policies.network.of(self.way.leg.direction).iter() {
            let selected = Selected::Pod(self.way.subject);
            if matching::expr(self.cluster(), &selected, &policy.subject) != Tri::No {
                continue;
            }
            let Some((rule, matched)) = policy.rules.iter().find_map(|rule| match view.rule(rule) {
                (Tri::Yes, matched) => Some((rule, matched)),
                _ => None,
            }) else {
                continue;
            };
            let info = self.evaluator().policies.info(policy.policy);
            let base = FieldPath::keys("spec.podSelector");
            let mut missed = Vec::new();
            self.selector(&policy.subject, self.way.subject, &|_| base.clone(), &FieldPath::root(), &mut missed);
            let elsewhere = policy.namespace != Some(pod.namespace);
            for miss in &mut missed {
                if let Mismatch::PolicyNamespaceOnly { policy, found } = &miss.mismatch {
                    miss.mismatch = Mismatch::PolicyElsewhere { policy: policy.clone(), found: found.clone() };
                    miss.path = FieldPath::keys("metadata.namespace");
                }
            }
            // Of other namespaces, only a policy that was written for this very pod: all of its selector matches, and it has one.
            if elsewhere && (missed.len() > 1 || !matches!(policy.subject, Expr::All(_))) {
                continue;
            }
            let distance = missed.iter().map(|m| m.mismatch.distance()).sum::<u32>() + 5 * missed.len() as u32;
            // Labels that have nothing in common are another workload, not a slip.
            if missed.is_empty() || distance > 60 {
                continue;
            }
            out.push(SubjectMiss {
                rule: RuleRef {
                    policy: policy.policy,
                    direction: self.way.leg.direction,
                    rule: rule.index,
                    peer: matched.peer,
                    port: matched.port,
                },
                reference: info.reference(),
                origin: info.origin,
                missed,
                distance,
            });
        }
        out
    }
}

/// A label that may have been meant: the same key with a value much like it, the same value under another key, or a key much
/// like it.
fn similar(labels: &Labels, key: &str, wanted: &Op) -> Option<Similar> {
    let values: &[Str] = match wanted {
        Op::In(values) => values,
        Op::Exists => &[],
        _ => return None,
    };
    let pair = |(k, v): (&Str, &Str)| Similar { key: k.clone(), value: v.clone() };
    if let Some(found) = labels.get(key) {
        let close = values.iter().any(|v| like(v, found));
        return close.then(|| Similar { key: key.into(), value: found.clone() });
    }
    let same_value = labels.iter().find(|(_, v)| values.contains(v));
    let like_key =
        || labels.iter().find(|(k, v)| like(k, key) && (values.is_empty() || values.iter().any(|w| like(w, v))));
    same_value.or_else(like_key).map(pair)
}
