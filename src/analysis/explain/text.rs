//! Explanations as diagnostics: a message, the policies' own lines, notes. Words only; nothing is decided here.

use super::{Culprit, Declared, Explanation, How, Mismatch, Missed, NearMiss, NotAPod, Stretch, TierDid};
use crate::model::{Cluster, PodId, Protocol, Str};
use crate::policy::rule::{Direction, DomainPattern, Op, RuleRef, Tier};
use crate::reach::eval::{EndpointKind, Reason};
use crate::reach::{Endpoint, Evaluator, Outcome};
use crate::source::{Diagnostic, Origin, Part};

/// How many near misses are shown on a policy's lines.
const SHOWN: usize = 4;

/// What people call an endpoint.
pub fn endpoint_name(cluster: &Cluster, endpoint: &Endpoint) -> String {
    match (endpoint.kind, endpoint.ip) {
        (EndpointKind::Pod(pod), _) => cluster.pod_name(pod),
        (EndpointKind::Node { pod: Some(pod), .. }, _) => format!("{} (on its node's network)", cluster.pod_name(pod)),
        (EndpointKind::Node { node: Some(node), .. }, _) => format!("node {}", cluster.nodes[node.index()].name),
        (_, Some(ip)) => ip.to_string(),
        (EndpointKind::Node { .. }, None) => "a node".to_owned(),
        (EndpointKind::AnyPod, None) => "any pod".to_owned(),
        (EndpointKind::Outside, None) => "the internet".to_owned(),
    }
}

/// What people call the other end of a flow: what they dialled, where that is a DNS name outside the cluster.
pub fn dialled_name(cluster: &Cluster, endpoint: &Endpoint, name: Option<&str>) -> String {
    match (endpoint.kind, name) {
        (EndpointKind::Outside, Some(name)) => name.to_owned(),
        _ => endpoint_name(cluster, endpoint),
    }
}

/// `` `key=value` `` and its like.
fn requirement(key: &str, op: &Op) -> String {
    let list = |values: &[Str]| values.iter().map(|v| &**v).collect::<Vec<_>>().join(", ");
    match op {
        Op::In(values) => match values.as_slice() {
            [one] => format!("`{key}={one}`"),
            all => format!("`{key} in ({})`", list(all)),
        },
        Op::NotIn(values) => format!("`{key} not in ({})`", list(values)),
        Op::Exists => format!("a label `{key}`"),
        Op::DoesNotExist => format!("no label `{key}`"),
        Op::Contains(part) => format!("`{key}` containing `{part}`"),
        Op::StartsWith(part) => format!("`{key}` starting with `{part}`"),
        Op::EndsWith(part) => format!("`{key}` ending with `{part}`"),
    }
}

fn label(of: &str, key: &str, wanted: &Op, found: Option<&str>, similar: Option<&super::Similar>) -> String {
    let wants = requirement(key, wanted);
    match (found, similar) {
        (Some(found), _) => format!("this wants {wants}, {of} has `{key}={found}`"),
        (None, Some(similar)) => format!("this wants {wants}, {of} has `{}={}`", similar.key, similar.value),
        (None, None) => format!("this wants {wants}, {of} has no label `{key}`"),
    }
}

impl Mismatch {
    /// One clause about it: `this wants app=clint, shop/client has app=client`. `across` is the endpoint that did not match.
    pub fn describe(&self, across: &str) -> String {
        match self {
            Self::PodLabel { key, wanted, found, similar } => {
                label(across, key, wanted, found.as_deref(), similar.as_ref())
            }
            Self::NamespaceLabel { key, wanted, found, similar, namespace } => {
                label(&format!("namespace {namespace}"), key, wanted, found.as_deref(), similar.as_ref())
            }
            Self::PolicyNamespaceOnly { policy, found } => {
                format!("without a namespaceSelector this means pods of namespace {policy}, {across} is in {found}")
            }
            Self::PolicyElsewhere { policy, found } => {
                format!("a policy selects pods of its own namespace {policy}, {across} is in {found}")
            }
            Self::Port { wanted, actual, is_service_port } => {
                let wanted = range(*wanted);
                match is_service_port {
                    true => format!("{wanted} is the Service's port, policies see the pod's port {actual}"),
                    false => format!("this allows {wanted}, the connection is to port {actual}"),
                }
            }
            Self::Protocol { wanted, actual, .. } => format!("this is for {wanted}, the connection is {actual}"),
            Self::NamedPort { name, declared, actual, called } => {
                let what = match declared {
                    Declared::Nothing => format!("the server declares no port `{name}`"),
                    Declared::Number(number) => {
                        format!("port `{name}` of the server is {number}, the connection is to {actual}")
                    }
                    Declared::Protocol(protocol) => {
                        format!("port `{name}` of the server is {protocol}, the connection is not")
                    }
                    Declared::NotAPod => format!("only a pod can declare a port `{name}`"),
                };
                match called {
                    Some(called) if called != name => format!("{what}; it calls port {actual} `{called}`"),
                    _ => what,
                }
            }
            Self::Cidr { cidr, ip, excepted_by } => match (ip, excepted_by) {
                (Some(ip), Some(except)) => format!("{ip} is in the exception {except}"),
                (Some(ip), None) => format!("{cidr} does not hold {ip}"),
                (None, _) => format!("{cidr} does not hold {across}"),
            },
            Self::ServiceIpInCidr { cidr, service_ip, ip } => {
                let sees = match ip {
                    Some(ip) => format!("policies see the pod's address {ip}"),
                    None => "policies see the pod's own address".to_owned(),
                };
                format!("{cidr} holds Service addresses such as {service_ip}, {sees}")
            }
            Self::CidrNotForPods { cidr } => {
                format!("{cidr} holds its address, but this network plugin matches an ipBlock only outside the cluster")
            }
            Self::NotAPod(what) => match what {
                NotAPod::HostNetwork => format!("a selector matches no pod on its node's network, such as {across}"),
                NotAPod::Node => format!("a selector matches pods, {across} is none"),
                NotAPod::Outside => format!("a selector matches pods, {across} is outside the cluster"),
            },
            Self::NotSuchANode => format!("this selects nodes, not {across}"),
            Self::Domain { patterns, name } => {
                let list = patterns
                    .iter()
                    .map(|p| match p {
                        DomainPattern::Exact(name) => format!("`{name}`"),
                        DomainPattern::Below(suffix) => format!("`*.{suffix}`"),
                    })
                    .collect::<Vec<_>>()
                    .join(", ");
                match name {
                    Some(name) => format!("this names {list}, not `{name}`"),
                    None => format!("this names {list}, {across} is dialled by its address"),
                }
            }
            Self::Excluded => format!("this leaves {across} out"),
            Self::Nothing => "this matches nothing".to_owned(),
        }
    }
}

fn range((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// `NetworkPolicy shop/cart`.
fn shown(reference: &str) -> String {
    reference.replacen('/', " ", 1)
}

fn listed(items: &[String], most: usize) -> String {
    let mut out = items.iter().take(most).cloned().collect::<Vec<_>>();
    match items.len().checked_sub(most) {
        Some(more) if more > 0 => {
            out.push(format!("{more} more"));
        }
        _ => {}
    }
    match out.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// `"TCP 8080"`.
fn port(protocol: Protocol, port: u16) -> String {
    format!("{protocol} {port}")
}

impl Explanation {
    /// The explanation as a message on the policies' own lines. What to do about it is for `fix` to add.
    pub fn diagnostic(&self, evaluator: &Evaluator<'_>) -> Diagnostic {
        let cluster = evaluator.cluster;
        let subject = cluster.pod_name(self.subject);
        let across = dialled_name(cluster, &self.across, self.name.as_deref());
        let mut out = match self.outcome {
            Outcome::Denied | Outcome::Allowed => Diagnostic::error(self.headline(&subject, &across)),
            Outcome::Unknown => Diagnostic::warning(self.headline(&subject, &across)),
        };
        // What comes nearest is what the message is about; the isolation around it is context then.
        let near = self.nearest();
        let denied = self.culprits.iter().any(|c| matches!(c.how, How::Denies(_)));
        let close = !denied && near.iter().any(|m| is_close(&m.missed));
        if close {
            for miss in near.iter().filter(|m| is_close(&m.missed)) {
                out = self.miss(out, miss.origin, &miss.missed, &across, true);
            }
        }
        let close_policies: Vec<_> = near.iter().filter(|m| is_close(&m.missed)).map(|m| m.rule.policy).collect();
        let mut culprits: Vec<&Culprit> = self.culprits.iter().collect();
        culprits.sort_by_key(|c| !c.policy.is_some_and(|p| close_policies.contains(&p)));
        let shown_culprits = if close { 1 } else { SHOWN };
        for culprit in culprits.iter().take(shown_culprits) {
            let text = match &culprit.how {
                How::Isolates => format!("isolates {subject} for {}", self.direction.name()),
                How::Denies(_) => format!("denies {} here", self.direction.name()),
                How::MayDecide(_) => "may match or go first".to_owned(),
                How::CantBeEvaluated => "policies of this kind can't be evaluated".to_owned(),
            };
            out = if close {
                out.context(culprit.origin, culprit.path.clone(), Part::Entry, text)
            } else {
                out.at(culprit.origin, culprit.path.clone(), Part::Entry, text)
            };
        }
        if !close {
            let single = near.iter().filter(|m| m.missed.len() == 1).count();
            for miss in near.iter().filter(|m| single == 0 || m.missed.len() == 1).take(if single == 0 { 1 } else { 2 })
            {
                out = self.miss(out, miss.origin, &miss.missed, &across, false);
            }
        }
        // A policy for other pods is worth a word where a label is nearly right, not where it is plainly another one.
        for miss in self.subject_misses.iter().filter(|m| is_close(&m.missed)).take(2) {
            if let Some(first) = miss.missed.first() {
                let text = format!("would allow it, but {}", first.mismatch.describe(&subject));
                out = out.context(miss.origin, first.path.clone(), Part::Entry, text);
            }
        }
        for note in self.notes(evaluator, &subject) {
            out = out.note(note);
        }
        out
    }

    /// Of each rule, what came nearest.
    fn nearest(&self) -> Vec<&NearMiss> {
        let mut rules: Vec<RuleRef> = Vec::new();
        let mut out = Vec::new();
        for miss in &self.near_misses {
            let rule = RuleRef { peer: None, port: None, ..miss.rule };
            if !rules.contains(&rule) && rules.len() < SHOWN {
                rules.push(rule);
                out.push(miss);
            }
        }
        out
    }

    fn miss(&self, out: Diagnostic, origin: Origin, missed: &[Missed], across: &str, primary: bool) -> Diagnostic {
        let Some(first) = missed.first() else { return out };
        let text = first.mismatch.describe(across);
        if primary {
            out.at(origin, first.path.clone(), Part::Entry, text)
        } else {
            out.context(origin, first.path.clone(), Part::Entry, text)
        }
    }

    fn headline(&self, subject: &str, across: &str) -> String {
        let what = format!("{across} on {}", port(self.protocol, self.port));
        let dns = if self.stretch == Stretch::Dns { "DNS: " } else { "" };
        let direction = match self.direction {
            Direction::Ingress => format!("ingress of {subject}"),
            Direction::Egress => format!("egress of {subject}"),
        };
        let names = |f: &dyn Fn(&How) -> bool| {
            let mut names: Vec<String> =
                self.culprits.iter().filter(|c| f(&c.how)).map(|c| shown(&c.reference)).collect();
            names.dedup();
            names
        };
        if self.outcome == Outcome::Unknown {
            let from = if self.direction == Direction::Ingress { "from" } else { "to" };
            return format!("{direction} {from} {what} can't be told");
        }
        if let Some((culprit, rule)) = self.culprits.iter().find_map(|c| match &c.how {
            How::Denies(rule) => Some((c, rule)),
            _ => None,
        }) {
            let from = if self.direction == Direction::Ingress { "from" } else { "to" };
            return format!(
                "{dns}{direction} {from} {what} is denied by {}, rule {} of its {} rules",
                shown(&culprit.reference),
                rule.rule + 1,
                self.direction.name()
            );
        }
        let isolating = names(&|how| matches!(how, How::Isolates));
        let none = match (isolating.len(), self.direction) {
            (1, _) => "none of its rules allows",
            _ => "none of their rules allows",
        };
        format!("{dns}{direction} is isolated by {}, and {none} {what}", listed(&isolating, 3))
    }

    fn notes(&self, evaluator: &Evaluator<'_>, subject: &str) -> Vec<String> {
        let mut out = Vec::new();
        let cluster = evaluator.cluster;
        if !self.also.is_empty() {
            let mut names: Vec<String> =
                self.also.iter().map(|(pod, across)| self.other(cluster, *pod, across)).collect();
            names.dedup();
            out.push(format!("the same holds of {}", listed(&names, 3)));
        }
        let missed =
            self.near_misses.iter().flat_map(|m| &m.missed).chain(self.subject_misses.iter().flat_map(|m| &m.missed));
        let mut guessed: Vec<&Str> = missed
            .filter_map(|m| match &m.mismatch {
                Mismatch::NamespaceLabel { namespace, .. } => Some(namespace),
                _ => None,
            })
            .filter(|n| cluster.namespace(n).is_some_and(|id| cluster.namespaces[id.index()].origin.is_none()))
            .collect();
        guessed.sort_unstable();
        guessed.dedup();
        for namespace in guessed {
            out.push(format!("namespace {namespace} is not among the objects: of its labels only its name is known"));
        }
        if let Some(service_port) = self.service_port {
            out.push(format!("the Service's port {service_port} leads to port {} of the pod", self.port));
        }
        let rule = |rule: &RuleRef| {
            let info = evaluator.policies.info(rule.policy);
            format!("rule {} of {}", rule.rule + 1, shown(&info.reference()))
        };
        let ordered = self.tiers.iter().any(|t| matches!(t.tier, Tier::Admin | Tier::Baseline | Tier::Plugin(_)));
        for note in self.tiers.iter().filter(|_| ordered) {
            match &note.what {
                TierDid::SelectsNothing => {}
                TierDid::NoRuleMatches => out.push(format!("tier {}: no rule matches", note.tier)),
                TierDid::Passed(by) => out.push(format!("tier {}: passed on by {}", note.tier, rule(by))),
                TierDid::Decided(Outcome::Denied) => out.push(format!("tier {}: denied here", note.tier)),
                TierDid::Decided(_) => out.push(format!("tier {}: allowed here", note.tier)),
                TierDid::MayDecide => out.push(format!("tier {}: may have decided", note.tier)),
                TierDid::Skipped => {
                    let other = match self.direction {
                        Direction::Ingress => "egress",
                        Direction::Egress => "ingress",
                    };
                    out.push(format!(
                        "tier {}: not consulted, because a NetworkPolicy isolates {subject} for {other}",
                        note.tier
                    ));
                }
                TierDid::NotReached { after: Tier::NetworkPolicy } => out.push(format!(
                    "tier {}: not reached, because a NetworkPolicy isolates {subject} for {}",
                    note.tier,
                    self.direction.name()
                )),
                TierDid::NotReached { after } => {
                    out.push(format!("tier {}: not reached, because tier {after} decided", note.tier));
                }
            }
        }
        let by_admin = self.culprits.iter().any(|c| matches!(c.how, How::Denies(_)))
            && self.tiers.iter().any(|t| t.tier == Tier::Admin && matches!(t.what, TierDid::Decided(Outcome::Denied)));
        if by_admin {
            out.push("no NetworkPolicy can override a rule of tier Admin".to_owned());
        }
        out.extend(self.reasons.iter().map(|r| reason(evaluator, r)));
        for (outcome, plugins) in &self.differs {
            let word = match outcome {
                Outcome::Allowed => "open",
                Outcome::Denied => "blocked",
                Outcome::Unknown => "can't be told",
            };
            out.push(format!("{word} on {}", plugins.join(", ")));
        }
        out
    }

    /// The end of a further leg that differs from the one shown.
    fn other(&self, cluster: &Cluster, pod: PodId, across: &Endpoint) -> String {
        if pod == self.subject { endpoint_name(cluster, across) } else { cluster.pod_name(pod) }
    }
}

/// Whether a rule misses by one thing that looks like a slip: a label nearly right, a port, a missing namespaceSelector.
fn is_close(missed: &[Missed]) -> bool {
    let [only] = missed else { return false };
    match &only.mismatch {
        Mismatch::PodLabel { similar, .. } | Mismatch::NamespaceLabel { similar, .. } => similar.is_some(),
        Mismatch::PolicyNamespaceOnly { .. }
        | Mismatch::Port { .. }
        | Mismatch::Protocol { .. }
        | Mismatch::NamedPort { .. }
        | Mismatch::ServiceIpInCidr { .. }
        | Mismatch::CidrNotForPods { .. } => true,
        Mismatch::Cidr { excepted_by, .. } => excepted_by.is_some(),
        _ => false,
    }
}

/// Why something can't be told, as a clause.
pub fn reason(evaluator: &Evaluator<'_>, reason: &Reason) -> String {
    let name = |policy| shown(&evaluator.policies.info(policy).reference());
    match reason {
        Reason::EqualPriority(policies) => {
            let names: Vec<String> = policies.iter().map(|p| name(*p)).collect();
            format!("{} have the same priority and disagree: either may go first", listed(&names, 4))
        }
        Reason::NameUnknown => "a rule allows DNS names, and the target was given as an address".to_owned(),
        Reason::AddressUnknown => "a rule holds only some of the internet's addresses".to_owned(),
        Reason::PodUnknown => "a rule selects pods by labels, and which pod connects isn't known".to_owned(),
        Reason::NodeUnknown => "it depends on which node the pod runs on".to_owned(),
        Reason::UnknownPeer => "a rule holds a peer of a kind that this version doesn't know".to_owned(),
        Reason::ServiceAccountLabels => "a rule selects ServiceAccounts by labels, which aren't read".to_owned(),
        Reason::Unsupported(index) => match evaluator.policies.unsupported.get(*index) {
            Some(policy) => format!("{} {} may apply, and its kind can't be evaluated", policy.kind, policy.name),
            None => "a policy of a kind that can't be evaluated may apply".to_owned(),
        },
    }
}
