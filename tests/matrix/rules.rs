//! Random stages with everything the rule model can say, past what today's dialects lower into.

use std::sync::Arc;

use netcheck::model::{Protocol, Str};
use netcheck::policy::profile::SPECIFICATION;
use netcheck::policy::rule::{
    Action, Block, CidrScope, Classes, Combine, Condition, DomainPattern, Expr, L4, Match, NoMatch, Op, Peer, PolicyId,
    PortMatch, Ports, Requirement, RequirementAt, Rule, Scope, Stage, StagePolicy, Term, Tier,
};
use netcheck::policy::{Choices, Composition};

use crate::clusters::Random;

const KEYS: [&str; 3] = ["app", "tier", "team"];
const NETS: [&str; 7] =
    ["10.0.0.0/16", "10.0.1.0/24", "192.168.0.0/31", "8.8.8.0/24", "203.0.113.0/24", "0.0.0.0/0", "fd00:0:0:1::/64"];

fn value(random: &mut Random) -> Str {
    (*random.pick(&["a", "b", "c", "aa"])).into()
}

fn requirement(random: &mut Random, node: bool) -> Requirement {
    let scope = if node {
        Scope::Node
    } else {
        *random.pick(&[
            Scope::Pod,
            Scope::Pod,
            Scope::Pod,
            Scope::Namespace,
            Scope::NamespaceName,
            Scope::ServiceAccountName,
            Scope::ServiceAccount,
            Scope::Node,
        ])
    };
    let op = match (scope, random.below(7)) {
        (Scope::NamespaceName, 0..=3) => Op::In(vec!["one".into(), "three".into()]),
        (_, 0 | 1) => Op::In(vec![value(random), value(random)]),
        (_, 2) => Op::NotIn(vec![value(random)]),
        (_, 3) => Op::Exists,
        (_, 4) => Op::DoesNotExist,
        (_, 5) => Op::StartsWith("a".into()),
        _ => random.pick(&[Op::EndsWith("a".into()), Op::Contains("b".into())]).clone(),
    };
    Requirement { scope, key: (*random.pick(&KEYS)).into(), op, at: RequirementAt::Implied }
}

fn selector(random: &mut Random, depth: u32, node: bool) -> Expr {
    match random.below(if depth == 0 { 5 } else { 9 }) {
        0 => Expr::Anything,
        1..=4 => Expr::Is(requirement(random, node)),
        5 => Expr::Not(Box::new(selector(random, depth - 1, node))),
        6 => Expr::Any((0..random.below(3)).map(|_| selector(random, depth - 1, node)).collect()),
        7 => Expr::Nothing,
        _ => Expr::All((0..random.below(3)).map(|_| selector(random, depth - 1, node)).collect()),
    }
}

fn block(random: &mut Random) -> Block {
    let cidr = random.pick(&NETS).parse().unwrap();
    let except = if random.chance(2) { vec![random.pick(&NETS).parse().unwrap()] } else { Vec::new() };
    Block { cidr, except }
}

fn term(random: &mut Random) -> Term {
    let classes = Classes(1 << random.below(4) | 1 << random.below(4));
    match random.below(12) {
        0 => Term::NotPods(selector(random, 1, false)),
        1 => Term::Cidr(vec![block(random), block(random)], CidrScope::IpBlock),
        2 => Term::Cidr(vec![block(random)], CidrScope::Classes(classes)),
        3 => Term::NotCidr(vec![random.pick(&NETS).parse().unwrap()]),
        4 => Term::Class(classes),
        5 => Term::Nodes(selector(random, 1, true)),
        6 => Term::Service(vec![
            ("10.0.1.2".parse().unwrap(), Protocol::Tcp, 80),
            ("10.0.0.3".parse().unwrap(), Protocol::Udp, 53),
            ("8.8.8.8".parse().unwrap(), Protocol::Udp, 53),
        ]),
        7 => Term::Domains(vec![DomainPattern::Below("example.com".into())]),
        8 if random.chance(2) => Term::Unknown,
        _ => Term::Pods(selector(random, 2, false)),
    }
}

fn side(random: &mut Random) -> Match {
    if random.chance(2) {
        return Match::Any;
    }
    let peer = |random: &mut Random, index: u64| Peer {
        index: index as u32,
        terms: (0..1 + random.below(2)).map(|_| term(random)).collect(),
    };
    Match::OneOf((0..random.below(3)).map(|i| peer(random, i)).collect())
}

fn l4(random: &mut Random) -> L4 {
    if random.chance(3) {
        return L4::Any;
    }
    let one = |random: &mut Random, index: u64| {
        let protocol = match random.below(4) {
            0 => None,
            1 => Some(Protocol::Udp),
            2 if random.chance(3) => Some(Protocol::Icmp),
            _ => Some(Protocol::Tcp),
        };
        let ports = match random.below(5) {
            0 => Ports::All,
            1 => Ports::Named((*random.pick(&["http", "dns", "metrics"])).into()),
            2 => Ports::NotIn(vec![(53, 53), (80, 9000)]),
            _ => Ports::Range(53, *random.pick(&[53, 80, 8080])),
        };
        PortMatch { index: index as u32, protocol, ports, end_port: random.chance(3) }
    };
    L4::OneOf((0..random.below(3)).map(|i| one(random, i)).collect())
}

fn stage(random: &mut Random, tier: Tier) -> Stage {
    let combine =
        *random.pick(&[Combine::FirstMatch, Combine::Precedence, Combine::EitherOnTie, Combine::Union, Combine::Union]);
    let only_allow = combine == Combine::Union && !random.chance(3);
    let mut policies: Vec<StagePolicy> = (0..random.below(5))
        .map(|id| StagePolicy {
            policy: PolicyId(id as u32),
            namespace: None,
            subject: if random.chance(2) { Expr::Anything } else { selector(random, 1, false) },
            priority: random.below(3) as i64,
            isolates: random.chance(2),
            rules: (0..random.below(4))
                .map(|index| Rule {
                    index: index as u32,
                    source: side(random),
                    destination: side(random),
                    l4: l4(random),
                    action: if only_allow {
                        Action::Allow(Vec::new())
                    } else {
                        random
                            .pick(&[
                                Action::Allow(vec![Condition::L7]),
                                Action::Allow(Vec::new()),
                                Action::Deny,
                                Action::Pass,
                                Action::Log,
                            ])
                            .clone()
                    },
                    precedence: random.below(4),
                })
                .collect(),
        })
        .collect();
    policies.sort_by_key(|p| p.priority);
    let policies = Arc::new(policies);
    Stage {
        tier,
        combine,
        no_match: *random.pick(&[NoMatch::Continue, NoMatch::Deny]),
        skip_if_selected: random.chance(4).then(|| policies.clone()),
        policies,
    }
}

/// Stages of a seed.
pub fn composition(random: &mut Random) -> Composition {
    let stages = |random: &mut Random| {
        (0..1 + random.below(3)).map(|i| stage(random, Tier::Plugin(format!("{i}").into()))).collect()
    };
    Composition {
        choices: Choices {
            ip_block: *random.pick(&[Classes::ALL, Classes::OUTSIDE, Classes::POD | Classes::OWN_NODE]),
            own_node_egress: random.chance(2),
            own_node_ingress: random.chance(2),
            init_container_ports: random.chance(2),
            end_port: random.chance(2),
            ..SPECIFICATION
        },
        plugins: Vec::new(),
        ingress: stages(random),
        egress: stages(random),
    }
}
