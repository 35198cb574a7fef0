//! Cluster-wide policies against each other; kinds that are outdated, or that can't be evaluated.

use super::facts::Facts;
use super::isolation::path_of;
use super::{DIRECTIONS, Finding, ObjectRef, codes, cover};
use crate::model::ContainerPort;
use crate::policy::rule::{Action, L4, Match, PortMatch, Ports, Rule, StagePolicy, Term, Tier};
use crate::policy::{Direction, PolicyInfo, PolicyKind};
use crate::source::{FieldPath, Part};

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for direction in DIRECTIONS {
        denied_first(facts, direction, out);
        for (tier, lowered) in [(Tier::Admin, &facts.policies.admin), (Tier::Baseline, &facts.policies.baseline)] {
            shadowed(facts, &tier, direction, lowered.of(direction), out);
            ties(facts, &tier, direction, lowered.of(direction), out);
        }
    }
    deprecated(facts, out);
    not_evaluated(facts, out);
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::Allow(_) => "accepts",
        Action::Deny => "denies",
        Action::Pass => "passes",
        Action::Log => "logs",
    }
}

/// Rules that never decide, because an earlier one of their tier decides all that they match.
fn shadowed(facts: &Facts<'_>, tier: &Tier, direction: Direction, policies: &[StagePolicy], out: &mut Vec<Finding>) {
    // The API server takes at most 25 rules a direction; there are few cluster-wide policies.
    let mut left = 4_000_000usize;
    let mut before: Vec<(&StagePolicy, &Rule)> = Vec::new();
    for policy in policies {
        for rule in &policy.rules {
            let covering = before.iter().find(|(other, earlier)| {
                left = left.saturating_sub(1);
                // Of equal priority either may go first; within a policy the order is clear.
                (other.priority < policy.priority || other.policy == policy.policy)
                    && earlier.action != Action::Log
                    && !fails_closed(earlier)
                    && cover::implies(&policy.subject, &other.subject)
                    && cover::rule(rule, earlier)
            });
            if left == 0 {
                return;
            }
            if let Some((other, earlier)) = covering {
                let (info, by) = (facts.info(policy), facts.info(other));
                let message = format!(
                    "a rule of {} never decides: {} {} all of it first, in tier {tier}",
                    info.reference(),
                    by.reference(),
                    name(&earlier.action)
                );
                let path = path_of(facts, policy, direction, rule.index);
                let finding = Finding::on_policy(codes::SHADOWED_RULE, info, path.to_string(), message)
                    .at(info, path, Part::Entry, "has no effect")
                    .context(by, path_of(facts, other, direction, earlier.index), Part::Entry, "goes first");
                // Two rules that do the same lead nobody astray.
                out.push(if earlier.action == rule.action { finding.only_note() } else { finding });
            }
            before.push((policy, rule));
        }
    }
}

/// Rules of NetworkPolicies that allow what tier Admin denies before they are asked: rules that pass or accept some of it
/// first leave them a say, so that only what no such rule touches is told.
fn denied_first(facts: &Facts<'_>, direction: Direction, out: &mut Vec<Finding>) {
    let mut left = 4_000_000usize;
    let admin = facts.policies.admin.of(direction);
    let denies: Vec<(usize, &StagePolicy, &Rule)> = admin
        .iter()
        .flat_map(|p| p.rules.iter().map(move |r| (p, r)))
        .enumerate()
        .filter(|(_, (_, r))| r.action == Action::Deny && !fails_closed(r))
        .map(|(at, (p, r))| (at, p, r))
        .collect();
    if denies.is_empty() {
        return;
    }
    let before = |at: usize| {
        let all = admin.iter().flat_map(|p| p.rules.iter().map(move |r| (p, r)));
        all.take(at).any(|(_, r)| matches!(r.action, Action::Allow(_) | Action::Pass))
    };
    for policy in facts.policies.network.of(direction).iter() {
        if facts.select(&policy.subject).is_empty() {
            continue;
        }
        for rule in &policy.rules {
            let covering = denies.iter().find(|(at, other, deny)| {
                left = left.saturating_sub(1);
                cover::implies(&policy.subject, &other.subject) && cover::rule(rule, deny) && !before(*at)
            });
            if left == 0 {
                return;
            }
            let Some((_, other, deny)) = covering else { continue };
            let (info, by) = (facts.info(policy), facts.info(other));
            let message = format!(
                "a rule of {} lets nothing through: {} denies all of it first, in tier {}",
                info.reference(),
                by.reference(),
                Tier::Admin
            );
            let path = path_of(facts, policy, direction, rule.index);
            out.push(
                Finding::on_policy(codes::SHADOWED_RULE, info, path.to_string(), message)
                    .at(info, path, Part::Entry, "has no effect")
                    .context(by, path_of(facts, other, direction, deny.index), Part::Entry, "goes first"),
            );
        }
    }
}

/// Whether a rule holds a peer of a kind that isn't known.
fn fails_closed(rule: &Rule) -> bool {
    [&rule.source, &rule.destination].into_iter().any(|m| match m {
        Match::Any => false,
        Match::OneOf(peers) => peers.iter().any(|p| p.terms.contains(&Term::Unknown)),
    })
}

/// Policies of one priority with rules that match the same connection and do different things (SEMANTICS 56).
fn ties(facts: &Facts<'_>, tier: &Tier, direction: Direction, policies: &[StagePolicy], out: &mut Vec<Finding>) {
    for (index, a) in policies.iter().enumerate() {
        for b in policies[index + 1..].iter().take_while(|b| b.priority == a.priority) {
            let subject = facts.select(&a.subject);
            let other = facts.select(&b.subject);
            let both: Vec<u32> = subject.iter().copied().filter(|g| other.binary_search(g).is_ok()).collect();
            if both.is_empty() {
                continue;
            }
            let disagree = a.rules.iter().find_map(|x| {
                b.rules.iter().find(|y| x.action != y.action && meet(facts, direction, &both, x, y)).map(|y| (x, y))
            });
            let Some((x, y)) = disagree else { continue };
            let (one, two) = (facts.info(a), facts.info(b));
            let message = format!(
                "{} and {} have priority {} in tier {tier} and disagree: either may go first",
                one.reference(),
                two.reference(),
                a.priority
            );
            let key = format!("{} {}", direction.name(), two.reference());
            out.push(
                Finding::on_policy(codes::EQUAL_PRIORITY, one, key, message)
                    .at(one, path_of(facts, a, direction, x.index), Part::Entry, format!("{} it", name(&x.action)))
                    .context(two, path_of(facts, b, direction, y.index), Part::Entry, format!("{} it", name(&y.action)))
                    .help("give one of them another priority: lower numbers go first"),
            );
        }
    }
}

/// Whether a connection of these pods that exists today matches both rules.
fn meet(facts: &Facts<'_>, direction: Direction, subject: &[u32], a: &Rule, b: &Rule) -> bool {
    let across = match (a.peers(direction), b.peers(direction)) {
        (Match::Any, Match::Any) => return ports_meet(facts, subject, &a.l4, &b.l4),
        (Match::Any, Match::OneOf(peers)) | (Match::OneOf(peers), Match::Any) => peers
            .iter()
            .flat_map(|p| &p.terms)
            .filter_map(|t| if let Term::Pods(e) = t { Some(facts.select(e).to_vec()) } else { None })
            .flatten()
            .collect(),
        (Match::OneOf(x), Match::OneOf(y)) => {
            let mut both = Vec::new();
            for (p, q) in x.iter().flat_map(|p| y.iter().map(move |q| (p, q))) {
                match (p.terms.as_slice(), q.terms.as_slice()) {
                    ([Term::Pods(p)], [Term::Pods(q)]) => {
                        let other = facts.select(q);
                        both.extend(facts.select(p).iter().copied().filter(|g| other.binary_search(g).is_ok()));
                    }
                    ([Term::Cidr(p, _)], [Term::Cidr(q, _)]) => {
                        let touch = |p: &ipnet::IpNet, q: &ipnet::IpNet| p.contains(q) || q.contains(p);
                        if p.iter().any(|p| q.iter().any(|q| touch(&p.cidr, &q.cidr))) {
                            return ports_meet(facts, subject, &a.l4, &b.l4);
                        }
                    }
                    _ => {}
                }
            }
            both
        }
    };
    let servers: &[u32] = if direction == Direction::Ingress { subject } else { &across };
    !across.is_empty() && ports_meet(facts, servers, &a.l4, &b.l4)
}

fn ports_meet(facts: &Facts<'_>, servers: &[u32], a: &L4, b: &L4) -> bool {
    let (L4::OneOf(a), L4::OneOf(b)) = (a, b) else { return true };
    let declared = || servers.iter().flat_map(|g| facts.declared(*g));
    a.iter().any(|x| {
        b.iter().any(|y| {
            let protocols = x.protocol.is_none() || y.protocol.is_none() || x.protocol == y.protocol;
            protocols
                && match (&x.ports, &y.ports) {
                    (Ports::Range(f, l), Ports::Range(g, m)) => f.max(g) <= l.min(m),
                    (Ports::Named(_), _) | (_, Ports::Named(_)) => {
                        declared().any(|p| matches_declared(x, p) && matches_declared(y, p))
                    }
                    _ => true,
                }
        })
    })
}

fn matches_declared(port: &PortMatch, declared: &ContainerPort) -> bool {
    port.protocol.is_none_or(|p| p == declared.protocol)
        && match &port.ports {
            Ports::All => true,
            Ports::Range(first, last) => (*first..=*last).contains(&declared.number),
            Ports::NotIn(ranges) => !ranges.iter().any(|(f, l)| (*f..=*l).contains(&declared.number)),
            Ports::Named(name) => declared.name.as_ref() == Some(name),
        }
}

fn deprecated(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let kinds = [PolicyKind::AdminNetworkPolicy, PolicyKind::BaselineAdminNetworkPolicy];
    for info in facts.policies.info.iter().filter(|i| kinds.contains(&i.kind)) {
        out.push(outdated(info, "ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2 takes its place"));
    }
    for policy in &facts.cluster.network_policies {
        if policy.object.api_version == "extensions/v1beta1" {
            let info = facts.policies.info.iter().find(|i| i.origin == policy.origin);
            out.extend(info.map(|i| outdated(i, "removed in Kubernetes 1.16: write networking.k8s.io/v1")));
        }
    }
}

fn outdated(info: &PolicyInfo, label: &str) -> Finding {
    let message = format!("{} is of an API version that has a successor", info.reference());
    Finding::on_policy(codes::DEPRECATED_KIND, info, "", message).at(
        info,
        FieldPath::keys("apiVersion"),
        Part::Entry,
        label,
    )
}

fn not_evaluated(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for policy in &facts.policies.unsupported {
        let object = ObjectRef {
            kind: policy.kind.to_string(),
            namespace: policy.namespace.map(|n| facts.namespace_name(n).to_owned()),
            name: policy.name.to_string(),
        };
        let message = format!("{object} can't be evaluated: what it may change is unknown here");
        let mut finding = Finding::new(codes::NOT_EVALUATED, object, "", message);
        let place = FieldPath::keys("kind");
        finding.diagnostic =
            finding.diagnostic.at(policy.origin, place, Part::Entry, "policies of this kind aren't understood yet");
        out.push(finding);
    }
    for refused in &facts.policies.refused {
        let info = facts.policies.info(refused.policy);
        let message = format!("{} takes no part: {}", info.reference(), refused.why);
        let finding = Finding::on_policy(codes::NOT_EVALUATED, info, "", message);
        out.push(finding.at(info, FieldPath::keys("metadata.name"), Part::Entry, ""));
    }
}
