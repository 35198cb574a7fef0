//! Calico: tiers in order, each first match; the pods that a tier's policies select fall to its default action.

use netcheck::model::Protocol;
use netcheck::policy::Choices;
use netcheck::policy::profile::SPECIFICATION;
use netcheck::policy::rule::{
    Action, Classes, Combine, Condition, Expr, L4, Match, NoMatch, Ports, Rule, Stage, StagePolicy, Term, Tier,
};

use super::world::*;

/// A policy of one direction: tier, order, name, subject, rules; staged ones are left out when it is lowered.
struct Policy {
    tier: &'static str,
    order: Option<f64>,
    name: &'static str,
    subject: Expr,
    rules: Vec<Rule>,
    staged: bool,
}

/// A NetworkPolicy of namespace a that selects server, without an order.
fn np(rules: Vec<Rule>) -> Policy {
    let subject = app("server").and(ns("a"));
    Policy { tier: "default", order: None, name: "np", subject, rules, staged: false }
}

/// A GlobalNetworkPolicy that selects server.
fn gnp(name: &'static str, order: Option<f64>, rules: Vec<Rule>) -> Policy {
    Policy { name, order, subject: app("server"), ..np(rules) }
}

/// A Kubernetes NetworkPolicy of namespace a that selects server: order 1000 of the tier `default`.
fn k8s(rules: Vec<Rule>) -> Policy {
    Policy { name: "k8s", order: Some(1000.0), ..np(rules) }
}

fn of_tier(tier: &'static str, policy: Policy) -> Policy {
    Policy { tier, ..policy }
}

/// Tiers by order; within them policies by order, then name; none is last.
fn stages(tiers: &[(&'static str, f64, NoMatch)], policies: Vec<Policy>) -> Vec<Stage> {
    let mut tiers = tiers.to_vec();
    tiers.push(("default", 1e6, NoMatch::Deny));
    tiers.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut policies: Vec<Policy> = policies.into_iter().filter(|p| !p.staged).collect();
    policies.sort_by(|a, b| {
        let order = |p: &Policy| p.order.unwrap_or(f64::INFINITY);
        order(a).total_cmp(&order(b)).then(a.name.cmp(b.name))
    });
    tiers
        .into_iter()
        .map(|(name, _, no_match)| {
            let of_tier = policies.iter().enumerate().filter(|(_, p)| p.tier == name);
            let lowered: Vec<StagePolicy> =
                of_tier.map(|(i, p)| policy(i as u32, p.subject.clone(), true, p.rules.clone())).collect();
            stage(Tier::Plugin(name.into()), Combine::FirstMatch, no_match, lowered)
        })
        .collect()
}

fn choices() -> Choices {
    Choices { own_node_egress: true, init_container_ports: true, ..SPECIFICATION }
}

fn ingress(policies: Vec<Policy>) -> Stages {
    tiered(&[], policies)
}

fn tiered(tiers: &[(&'static str, f64, NoMatch)], policies: Vec<Policy>) -> Stages {
    Stages { choices: choices(), ingress: stages(tiers, policies), egress: Vec::new() }
}

fn egress(policies: Vec<Policy>) -> Stages {
    Stages { choices: choices(), ingress: Vec::new(), egress: stages(&[], policies) }
}

fn from(source: Match) -> Rule {
    rule(allow(), source, Match::Any, L4::Any)
}

fn all(action: Action) -> Rule {
    rule(action, Match::Any, Match::Any, L4::Any)
}

const SERVER: &str = "a/server";

#[test]
fn subjects_and_the_end_of_a_tier() {
    ingress(vec![]).tcp(1, &[("b/client", SERVER, 8080, ALLOWED)]);
    ingress(vec![np(vec![])]).tcp(2, &[("a/client", SERVER, 8080, DENIED)]).tcp(3, &[(SERVER, "X", 443, ALLOWED)]);
    let own = ingress(vec![np(vec![from(pods(app("client").and(ns("a"))))])]);
    own.tcp(4, &[("a/client", SERVER, 8080, ALLOWED)]).tcp(5, &[("b/client", SERVER, 8080, DENIED)]);
    ingress(vec![np(vec![from(pods(team("blue")))])]).tcp(6, &[("b/other", SERVER, 8080, ALLOWED)]);
    ingress(vec![np(vec![from(pods(app("client")))])]).tcp(7, &[("X", SERVER, 8080, DENIED)]);
    ingress(vec![np(vec![all(allow())])]).tcp(8, &[("X", SERVER, 8080, ALLOWED)]);
}

#[test]
fn negated_selectors() {
    // In a NetworkPolicy the namespace is implied, so that only endpoints can match; in a GlobalNetworkPolicy everything
    // but the endpoints that do.
    let namespaced = ingress(vec![np(vec![from(pods(ns("a").and(not(app("client")))))])]);
    namespaced
        .tcp(9, &[("X", SERVER, 8080, DENIED), ("a/other", SERVER, 8080, ALLOWED), ("b/other", SERVER, 8080, DENIED)]);
    let global = ingress(vec![gnp("g", None, vec![from(one_of(vec![vec![Term::NotPods(app("client"))]]))])]);
    global.tcp(
        10,
        &[("X", SERVER, 8080, ALLOWED), ("b/other", SERVER, 8080, ALLOWED), ("a/client", SERVER, 8080, DENIED)],
    );
}

#[test]
fn orders_within_a_tier() {
    let deny = || rule(Action::Deny, Match::Any, Match::Any, tcp(8080));
    let flow = [("a/client", SERVER, 8080, DENIED)];
    ingress(vec![gnp("b", Some(20.0), vec![all(allow())]), gnp("z", Some(10.0), vec![deny()])]).tcp(11, &flow);
    ingress(vec![gnp("a", None, vec![deny()]), gnp("b", Some(20.0), vec![all(allow())])])
        .tcp(12, &[("a/client", SERVER, 8080, ALLOWED)]);
    ingress(vec![gnp("b-allow", Some(10.0), vec![all(allow())]), gnp("a-deny", Some(10.0), vec![deny()])])
        .tcp(13, &flow);
}

#[test]
fn kubernetes_policies_inside_the_default_tier() {
    let client = || from(pods(app("client").and(ns("a"))));
    let deny = || vec![all(Action::Deny)];
    ingress(vec![k8s(vec![client()]), gnp("late", Some(2000.0), vec![all(allow())])])
        .tcp(14, &[("b/client", SERVER, 8080, ALLOWED)]);
    ingress(vec![k8s(vec![client()]), gnp("early", Some(500.0), deny())])
        .tcp(15, &[("a/client", SERVER, 8080, DENIED)]);
    ingress(vec![k8s(vec![client()]), gnp("late", Some(2000.0), deny())])
        .tcp(16, &[("a/client", SERVER, 8080, ALLOWED)]);
}

#[test]
fn tiers_pass_and_default_actions() {
    let unmatched = || of_tier("sec", gnp("sec", None, vec![rule(allow(), pods(app("nobody")), Match::Any, L4::Any)]));
    let k8s_allows = || k8s(vec![from(pods(app("client").and(ns("a"))))]);
    let sec = |no_match| [("sec", 100.0, no_match)];
    let flow = |outcome| [("a/client", SERVER, 8080, outcome)];
    tiered(&sec(NoMatch::Deny), vec![unmatched(), k8s_allows()]).tcp(17, &flow(DENIED));
    tiered(&sec(NoMatch::Continue), vec![unmatched(), k8s_allows()]).tcp(18, &flow(ALLOWED));
    tiered(&sec(NoMatch::Deny), vec![of_tier("sec", gnp("pass", None, vec![all(Action::Pass)]))])
        .tcp(19, &[("X", SERVER, 8080, ALLOWED)]);
    let other = Policy { subject: app("other"), ..unmatched() };
    tiered(&sec(NoMatch::Deny), vec![other, k8s_allows()]).tcp(20, &flow(ALLOWED));
    let egress_only = Stages {
        choices: choices(),
        ingress: stages(&sec(NoMatch::Deny), vec![k8s_allows()]),
        egress: stages(&sec(NoMatch::Deny), vec![unmatched()]),
    };
    egress_only.tcp(21, &flow(ALLOWED)).tcp(21, &[(SERVER, "X", 443, DENIED)]);
    // Pass leaves the tier, not the policy: what follows in it is not asked.
    let passes = of_tier("sec", gnp("a", None, vec![all(Action::Pass), all(Action::Deny)]));
    let denies = of_tier("sec", gnp("b", None, vec![all(Action::Deny)]));
    tiered(&sec(NoMatch::Deny), vec![passes, denies, k8s_allows()]).tcp(19, &flow(ALLOWED));
}

#[test]
fn staged_policies_and_log() {
    let staged = |tier, name| Policy { staged: true, ..of_tier(tier, gnp(name, Some(1.0), vec![all(Action::Deny)])) };
    let flow = |outcome| [("a/client", SERVER, 8080, outcome)];
    tiered(&[("sec", 100.0, NoMatch::Deny)], vec![staged("sec", "s")]).tcp(22, &flow(ALLOWED));
    ingress(vec![staged("default", "s"), gnp("allow", Some(2.0), vec![all(allow())])]).tcp(23, &flow(ALLOWED));
    ingress(vec![np(vec![all(Action::Log), all(Action::Deny), all(allow())])]).tcp(24, &flow(DENIED));
}

#[test]
fn directions_of_a_policy() {
    let object = || np(vec![all(allow())]);
    let flow = |outcome| [("a/client", SERVER, 8080, outcome)];
    egress(vec![object()]).tcp(25, &flow(ALLOWED));
    // Stored without `types`, both directions are governed, and there are no ingress rules.
    let both = Stages { ingress: stages(&[], vec![np(vec![])]), ..egress(vec![object()]) };
    both.tcp(26, &flow(DENIED)).tcp(26, &[(SERVER, "X", 443, ALLOWED)]);
}

#[test]
fn addresses_and_their_families() {
    let nets = |terms| ingress(vec![np(vec![from(one_of(vec![terms]))])]);
    let ten = || cidr("10.0.0.0/8", &[], Classes::ALL);
    nets(vec![ten()]).tcp(27, &[("b/client", SERVER, 8080, ALLOWED), ("X", SERVER, 8080, DENIED)]);
    nets(vec![ten(), not_cidr("10.2.0.0/16")])
        .tcp(28, &[("b/client", SERVER, 8080, DENIED), ("a/client", SERVER, 8080, ALLOWED)]);
    nets(vec![not_cidr("fd00::/8")]).tcp(29, &[("a/client", SERVER, 8080, DENIED)]);
}

#[test]
fn network_sets() {
    // A selector is a set of addresses: pods that match, and the ranges of sets that match.
    let set = || vec![cidr("203.0.113.0/24", &[], Classes::ALL)];
    let role = || vec![Term::Pods(is("role", "ext").and(ns("a")))];
    ingress(vec![np(vec![from(one_of(vec![role(), set()]))])]).tcp(30, &[("X", SERVER, 8080, ALLOWED)]);
    // A GlobalNetworkSet has no namespace: a rule without `global()` doesn't see it.
    ingress(vec![np(vec![from(one_of(vec![role()]))])]).tcp(31, &[("X", SERVER, 8080, DENIED)]);
    ingress(vec![np(vec![from(one_of(vec![set()]))])]).tcp(31, &[("X", SERVER, 8080, ALLOWED)]);
}

#[test]
fn ports_and_service_accounts() {
    let named = |name: &str| {
        let ports = l4(Some(Protocol::Tcp), Ports::Named(name.into()));
        ingress(vec![np(vec![rule(allow(), Match::Any, Match::Any, ports)])])
    };
    named("http").tcp(32, &[("a/client", SERVER, 8080, ALLOWED), ("a/client", SERVER, 8081, DENIED)]);
    // Plain init containers' ports have names here, and only here.
    named("setup").tcp(33, &[("a/client", SERVER, 7000, ALLOWED), ("a/client", SERVER, 8080, DENIED)]);
    let elsewhere = Stages { choices: SPECIFICATION, ..named("setup") };
    elsewhere.tcp(33, &[("a/client", SERVER, 7000, DENIED)]);
    let accounts = ingress(vec![np(vec![from(pods(account("ci").and(ns("a"))))])]);
    accounts.tcp(34, &[("a/other", SERVER, 8080, ALLOWED), ("b/other", SERVER, 8080, DENIED)]);
    let but_ssh = l4(Some(Protocol::Tcp), Ports::NotIn(vec![(22, 22), (9000, 9100)]));
    let not_ports = ingress(vec![np(vec![rule(allow(), Match::Any, Match::Any, but_ssh)])]);
    not_ports.tcp(42, &[("X", SERVER, 22, DENIED), ("X", SERVER, 23, ALLOWED), ("X", SERVER, 9050, DENIED)]);
}

#[test]
fn services_as_destinations() {
    let on_client = |destination| {
        let subject = app("client").and(ns("a"));
        egress(vec![Policy { subject, ..np(vec![rule(allow(), Match::Any, destination, L4::Any)]) }])
    };
    let api = Term::Service(vec![([10, 2, 2, 0].into(), Protocol::Tcp, 8080)]);
    on_client(one_of(vec![vec![api]]))
        .tcp(35, &[("a/client", "b/server", 8080, ALLOWED), ("a/client", "b/server", 9090, DENIED)])
        .tcp(35, &[("a/client", SERVER, 8080, DENIED)]);
    // Without a namespace no Service is found: nothing, which is not anything.
    on_client(Match::OneOf(Vec::new())).tcp(36, &[("a/client", SERVER, 8080, DENIED)]);
}

#[test]
fn both_ends_of_a_rule() {
    let metadata = one_of(vec![vec![cidr("203.0.113.5/32", &[], Classes::ALL)]]);
    let source = one_of(vec![vec![Term::Pods(not(is("hsm", "true")))]]);
    let guard =
        Policy { subject: Expr::Anything, ..np(vec![rule(Action::Deny, source, metadata, L4::Any), all(allow())]) };
    egress(vec![guard]).tcp(
        37,
        &[("a/client", "X", 443, DENIED), ("a/other", "X", 443, ALLOWED), ("a/client", "203.0.113.6", 443, ALLOWED)],
    );
}

#[test]
fn nodes() {
    ingress(vec![np(vec![])]).tcp(38, &[("n1", SERVER, 8080, ALLOWED), ("n2", SERVER, 8080, DENIED)]);
    // `defaultEndpointToHostAction: Drop`: what goes to the own node is dropped, whatever the policies say.
    let to_host = rule(Action::Deny, Match::Any, class(Classes::OWN_NODE), L4::Any);
    let everyone = policy(0, Expr::Anything, false, vec![to_host]);
    let drop = stage(Tier::Plugin("endpoint to host".into()), Combine::FirstMatch, NoMatch::Continue, vec![everyone]);
    let mut dropping = egress(vec![]);
    dropping.tcp(39, &[(SERVER, "n1", 10250, ALLOWED)]);
    dropping.egress.insert(0, drop);
    dropping.tcp(39, &[(SERVER, "n1", 10250, DENIED), (SERVER, "n2", 10250, ALLOWED)]);
}

#[test]
fn cluster_network_policies_in_their_tiers() {
    let tiers = [("kube-admin", 1e3, NoMatch::Continue), ("kube-baseline", 1e7, NoMatch::Continue)];
    let flow = |outcome| [("a/client", SERVER, 8080, outcome)];
    let baseline = of_tier("kube-baseline", gnp("baseline", Some(1.0), vec![all(allow())]));
    tiered(&tiers, vec![k8s(vec![]), baseline]).tcp(40, &flow(DENIED));
    let admin = of_tier("kube-admin", gnp("admin", Some(1.0), vec![all(Action::Pass)]));
    tiered(&tiers, vec![admin, np(vec![all(allow())])]).tcp(40, &flow(ALLOWED));
}

#[test]
fn conditions_of_an_allow() {
    let http = rule(Action::Allow(vec![Condition::L7]), Match::Any, Match::Any, tcp(8080));
    let stages = ingress(vec![np(vec![http])]);
    stages.conditions(41, ("a/client", SERVER), (Protocol::Tcp, 8080), &[Condition::L7]);
    stages.tcp(41, &[("a/client", SERVER, 8081, DENIED)]);
}
