//! Cilium: denies of all kinds, then the union of the allows, then Baseline, then the default deny of isolated pods.

use netcheck::model::Protocol;
use netcheck::policy::profile::{SPECIFICATION, Tie};
use netcheck::policy::rule::{
    Action, Classes, Combine, Condition, Expr, L4, Match, NoMatch, Ports, Rule, Stage, StagePolicy, Term, Tier,
};
use netcheck::policy::{Choices, Direction};

use super::world::*;

/// A rule of a CiliumNetworkPolicy, or a Kubernetes one, for one direction.
struct Policy {
    subject: Expr,
    allows: Vec<Rule>,
    denies: Vec<Rule>,
    default_deny: bool,
}

/// A policy of namespace a that selects server and allows.
fn cnp(allows: Vec<Rule>) -> Policy {
    Policy { subject: app("server").and(ns("a")), allows, denies: Vec::new(), default_deny: true }
}

fn denying(denies: Vec<Rule>) -> Policy {
    Policy { denies, ..cnp(vec![]) }
}

/// `enableDefaultDeny: false`.
fn without_default_deny(policy: Policy) -> Policy {
    Policy { default_deny: false, ..policy }
}

/// A policy that selects client.
fn on_client(policy: Policy) -> Policy {
    Policy { subject: app("client").and(ns("a")), ..policy }
}

fn compose(
    policies: &[Policy],
    direction: Direction,
    admin: Vec<StagePolicy>,
    baseline: Vec<StagePolicy>,
) -> Vec<Stage> {
    let part = |rules: fn(&Policy) -> &Vec<Rule>| {
        let of = policies.iter().enumerate().filter(|(_, p)| !rules(p).is_empty());
        of.map(|(i, p)| policy(i as u32, p.subject.clone(), false, rules(p).clone())).collect::<Vec<_>>()
    };
    let plugin = |name: &str| Tier::Plugin(name.into());
    // The own node is let in where nothing denied it.
    let own_node = match direction {
        Direction::Ingress => vec![rule(allow(), class(Classes::OWN_NODE), Match::Any, L4::Any)],
        Direction::Egress => Vec::new(),
    };
    let isolating = policies.iter().enumerate().filter(|(_, p)| p.default_deny);
    let isolating = isolating.map(|(i, p)| policy(i as u32, p.subject.clone(), true, own_node.clone())).collect();
    vec![
        stage(Tier::Admin, Combine::Precedence, NoMatch::Continue, admin),
        stage(plugin("denies"), Combine::FirstMatch, NoMatch::Continue, part(|p| &p.denies)),
        stage(plugin("allows"), Combine::Union, NoMatch::Continue, part(|p| &p.allows)),
        stage(Tier::Baseline, Combine::Precedence, NoMatch::Continue, baseline),
        stage(Tier::Default, Combine::Union, NoMatch::Deny, isolating),
    ]
}

fn choices() -> Choices {
    Choices {
        ip_block: Classes::OUTSIDE,
        own_node_egress: true,
        own_node_ingress: true,
        default_deny_last: true,
        tie: Tie::Interleaved,
        ..SPECIFICATION
    }
}

fn ingress(policies: Vec<Policy>) -> Stages {
    let ingress = compose(&policies, Direction::Ingress, vec![], vec![]);
    Stages { choices: choices(), ingress, egress: Vec::new() }
}

fn egress(policies: Vec<Policy>) -> Stages {
    let egress = compose(&policies, Direction::Egress, vec![], vec![]);
    Stages { choices: choices(), ingress: Vec::new(), egress }
}

fn from(source: Match) -> Rule {
    rule(allow(), source, Match::Any, L4::Any)
}

fn to(destination: Match) -> Rule {
    rule(allow(), Match::Any, destination, L4::Any)
}

/// `- {}` of a CiliumNetworkPolicy: it isolates and matches nothing.
fn nothing() -> Rule {
    from(Match::OneOf(Vec::new()))
}

fn ports(port: u16) -> Rule {
    rule(allow(), Match::Any, Match::Any, tcp(port))
}

/// What `cluster` stands for.
const CLUSTER: Classes =
    Classes(Classes::POD.0 | Classes::NODES.0 | Classes::INGRESS_PROXY.0 | Classes::API_SERVER.0 | Classes::HEALTH.0);
const SERVER: &str = "a/server";
const WORLD: Classes = Classes::OUTSIDE;

#[test]
fn isolation_and_empty_rules() {
    ingress(vec![]).tcp(1, &[("b/client", SERVER, 8080, ALLOWED)]);
    ingress(vec![cnp(vec![nothing()])]).tcp(2, &[("a/client", SERVER, 8080, DENIED)]);
    ingress(vec![cnp(vec![from(Match::Any)])]).tcp(3, &[("a/client", SERVER, 8080, ALLOWED)]);
}

#[test]
fn endpoints() {
    let own = ingress(vec![cnp(vec![from(pods(ns("a")))])]);
    own.tcp(5, &[("a/client", SERVER, 8080, ALLOWED), ("b/client", SERVER, 8080, DENIED), ("X", SERVER, 8080, DENIED)]);
    own.tcp(6, &[("n1", SERVER, 8080, ALLOWED), ("n2", SERVER, 8080, DENIED)]);
    ingress(vec![cnp(vec![from(pods(ns("b")))])])
        .tcp(7, &[("b/other", SERVER, 8080, ALLOWED), ("a/client", SERVER, 8080, DENIED)]);
    let clusterwide = Policy { subject: app("server"), ..cnp(vec![from(pods(Expr::Anything))]) };
    ingress(vec![clusterwide])
        .tcp(9, &[("b/client", SERVER, 8080, ALLOWED), ("X", SERVER, 8080, DENIED), ("n2", SERVER, 8080, DENIED)]);
    let nobody = rule(allow(), Match::OneOf(Vec::new()), Match::Any, tcp(8080));
    ingress(vec![cnp(vec![nobody])]).tcp(10, &[("a/client", SERVER, 8080, DENIED)]);
    // `NotIn` of the namespace with the cluster's own term: pods alone.
    ingress(vec![cnp(vec![from(pods(not_ns("b")))])]).tcp(
        41,
        &[("X", SERVER, 8080, DENIED), ("a/client", SERVER, 8080, ALLOWED), ("b/client", SERVER, 8080, DENIED)],
    );
    ingress(vec![cnp(vec![from(pods(team("blue")))])]).tcp(42, &[("b/client", SERVER, 8080, ALLOWED)]);
}

#[test]
fn ports_leave_icmp_out() {
    let ping = (Protocol::Icmp, 0);
    ingress(vec![cnp(vec![ports(8080)])])
        .tcp(11, &[("X", SERVER, 8080, ALLOWED), ("a/client", SERVER, 8081, DENIED)])
        .flow(11, ("a/client", SERVER), ping, DENIED);
    let client = rule(allow(), pods(app("client").and(ns("a"))), Match::Any, tcp(8080));
    ingress(vec![cnp(vec![client])]).tcp(
        12,
        &[("a/client", SERVER, 8080, ALLOWED), ("a/other", SERVER, 8080, DENIED), ("a/client", SERVER, 8081, DENIED)],
    );
    let icmp = rule(allow(), Match::Any, Match::Any, l4(Some(Protocol::Icmp), Ports::All));
    ingress(vec![cnp(vec![icmp])])
        .flow(38, ("a/client", SERVER), ping, ALLOWED)
        .tcp(38, &[("a/client", SERVER, 8080, DENIED)]);
    let dns = rule(allow(), Match::Any, Match::Any, any_protocol(&Ports::Range(53, 53)));
    let any = ingress(vec![cnp(vec![dns])]);
    for protocol in Protocol::WITH_PORTS {
        any.flow(39, ("a/client", SERVER), (protocol, 53), ALLOWED);
    }
    any.flow(39, ("a/client", SERVER), ping, DENIED);
    let named = rule(allow(), Match::Any, pods(app("server")), any_protocol(&Ports::Named("http".into())));
    egress(vec![on_client(cnp(vec![named]))])
        .tcp(43, &[("a/client", SERVER, 8080, ALLOWED), ("a/client", SERVER, 7000, DENIED)]);
}

#[test]
fn entities() {
    ingress(vec![cnp(vec![from(class(CLUSTER))])])
        .tcp(13, &[("b/client", SERVER, 8080, ALLOWED), ("n2", SERVER, 8080, ALLOWED), ("X", SERVER, 8080, DENIED)]);
    ingress(vec![cnp(vec![from(class(WORLD))])])
        .tcp(14, &[("X", SERVER, 8080, ALLOWED), ("a/client", SERVER, 8080, DENIED)]);
    let remote = ingress(vec![cnp(vec![from(class(Classes::OTHER_NODE))])]);
    remote.tcp(15, &[("b/host-n2", SERVER, 8080, ALLOWED), ("b/host-n1", SERVER, 8080, ALLOWED)]);
    remote.tcp(15, &[("a/client", SERVER, 8080, DENIED)]);
    let host = rule(Action::Deny, class(Classes::OWN_NODE), Match::Any, L4::Any);
    ingress(vec![denying(vec![host])]).tcp(22, &[("n1", SERVER, 8080, DENIED), ("b/host-n1", SERVER, 8080, DENIED)]);
    // The API server runs on n2: an identity that its node carries.
    let apiserver = one_of(vec![vec![cidr("192.168.0.2/32", &[], Classes::NODES | WORLD)]]);
    egress(vec![on_client(cnp(vec![to(apiserver)]))]).tcp(
        35,
        &[("a/client", "n2", 6443, ALLOWED), ("a/client", "n2", 10250, ALLOWED), ("a/client", "n1", 6443, DENIED)],
    );
}

#[test]
fn denies_go_before_allows() {
    let client = || pods(app("client").and(ns("a")));
    let deny = |port| rule(Action::Deny, client(), Match::Any, tcp(port));
    let allows = vec![
        from(client()),
        rule(allow(), client(), Match::Any, tcp(80)),
        rule(allow(), client(), Match::Any, tcp(81)),
    ];
    ingress(vec![Policy { denies: vec![deny(80)], ..cnp(allows) }])
        .tcp(16, &[("a/client", SERVER, 81, ALLOWED), ("a/client", SERVER, 80, DENIED)])
        .flow(16, ("a/client", SERVER), (Protocol::Icmp, 0), ALLOWED);
    ingress(vec![denying(vec![deny(80)])]).tcp(17, &[("a/client", SERVER, 81, DENIED)]);
    let clusterwide = Policy {
        subject: app("server"),
        ..denying(vec![rule(Action::Deny, pods(app("client")), Match::Any, L4::Any)])
    };
    let other = || cnp(vec![from(pods(app("other").and(ns("a"))))]);
    ingress(vec![cnp(vec![from(client())]), clusterwide]).tcp(20, &[("a/client", SERVER, 8080, DENIED)]);
    ingress(vec![cnp(vec![from(client())]), other()]).tcp(21, &[("a/other", SERVER, 8080, ALLOWED)]);
}

#[test]
fn default_deny_can_be_off() {
    let world = || without_default_deny(denying(vec![rule(Action::Deny, class(WORLD), Match::Any, L4::Any)]));
    ingress(vec![world()]).tcp(18, &[("a/client", SERVER, 8080, ALLOWED), ("X", SERVER, 8080, DENIED)]);
    let client = cnp(vec![from(pods(app("client").and(ns("a"))))]);
    ingress(vec![world(), client]).tcp(19, &[("b/other", SERVER, 8080, DENIED), ("a/client", SERVER, 8080, ALLOWED)]);
}

#[test]
fn ranges_have_classes() {
    let range = |range, except: &[&str], classes| {
        egress(vec![on_client(cnp(vec![to(one_of(vec![vec![cidr(range, except, classes)]]))]))])
    };
    let flow = |to, outcome| [("a/client", to, 8080, outcome)];
    range("10.0.0.0/8", &[], WORLD).tcp(23, &flow(SERVER, DENIED)).tcp(23, &flow("10.77.0.1", ALLOWED));
    range("10.0.0.0/8", &[], WORLD | Classes::POD).tcp(23, &flow(SERVER, ALLOWED));
    // The own node of client is n2; n1 is another.
    range("192.168.0.1/32", &[], WORLD).tcp(24, &flow("n1", DENIED));
    range("192.168.0.1/32", &[], WORLD | Classes::NODES).tcp(24, &flow("n1", ALLOWED));
    range("0.0.0.0/0", &[], WORLD)
        .tcp(25, &flow("X", ALLOWED))
        .tcp(25, &flow(SERVER, DENIED))
        .tcp(25, &flow("2001:db8::5", DENIED));
    let holed = || cidr("0.0.0.0/0", &["203.0.113.0/24"], WORLD);
    range("0.0.0.0/0", &["203.0.113.0/24"], WORLD).tcp(26, &flow("X", DENIED)).tcp(26, &flow("198.51.100.1", ALLOWED));
    let again = one_of(vec![vec![holed()], vec![cidr("203.0.113.5/32", &[], WORLD)]]);
    egress(vec![on_client(cnp(vec![to(again)]))]).tcp(27, &flow("X", ALLOWED));
}

#[test]
fn names_need_a_proxied_answer() {
    // A name is learnt where the DNS proxy let it through: both patterns must match.
    let fqdn = |terms: Vec<Term>| egress(vec![on_client(cnp(vec![to(one_of(vec![terms]))]))]);
    let learnt = fqdn(vec![names(&["example.com"])]);
    learnt.name(28, "a/client", "example.com", ALLOWED).name(28, "a/client", "other.com", DENIED);
    // Without `rules.dns` nothing is learnt.
    let unlearnt = fqdn(vec![names(&["example.com"]), Term::Domains(Vec::new())]);
    unlearnt.name(29, "a/client", "example.com", DENIED);
    fqdn(vec![names(&["example.com"]), names(&["other.com"])]).name(30, "a/client", "example.com", DENIED);
    fqdn(vec![names(&["**.cilium.io"])]).name(32, "a/client", "a.b.cilium.io", ALLOWED).name(
        32,
        "a/client",
        "cilium.io",
        DENIED,
    );
}

#[test]
fn services_are_their_endpoints() {
    let server = || to(pods(app("server").and(ns("a"))));
    egress(vec![on_client(cnp(vec![server()]))]).tcp(33, &[("a/client", SERVER, 8080, ALLOWED)]);
    let addresses = |address| to(one_of(vec![vec![cidr(address, &[], WORLD)]]));
    egress(vec![on_client(cnp(vec![addresses("203.0.113.5/32"), addresses("10.1.2.0/32")]))])
        .tcp(34, &[("a/client", "X", 443, ALLOWED), ("a/client", SERVER, 8080, DENIED)]);
}

#[test]
fn conditions_of_an_allow() {
    let http = |source| rule(Action::Allow(vec![Condition::L7]), source, Match::Any, tcp(8080));
    let flow = (("a/client", SERVER), (Protocol::Tcp, 8080));
    let filtered = ingress(vec![cnp(vec![http(Match::Any)])]);
    filtered.conditions(36, flow.0, flow.1, &[Condition::L7]).tcp(36, &[("a/client", SERVER, 8081, DENIED)]);
    // An allow of the same port without a filter frees from it; a second filter doesn't.
    ingress(vec![cnp(vec![http(Match::Any), ports(8080)])]).conditions(36, flow.0, flow.1, &[]);
    ingress(vec![cnp(vec![ports(8080), http(Match::Any)])]).conditions(36, flow.0, flow.1, &[]);
    let sni = rule(Action::Allow(vec![Condition::Sni]), Match::Any, Match::Any, tcp(8080));
    ingress(vec![cnp(vec![http(Match::Any), sni])]).conditions(36, flow.0, flow.1, &[Condition::L7, Condition::Sni]);
    // What denies has no conditions, and neither has what another policy denies.
    let deny = denying(vec![rule(Action::Deny, pods(app("client")), Match::Any, L4::Any)]);
    ingress(vec![cnp(vec![http(Match::Any)]), deny]).tcp(36, &[("a/client", SERVER, 8080, DENIED)]);
}

#[test]
fn selectors_on_labels_that_are_no_identity() {
    // The label is left out of the identity: the selector selects nobody, so nobody is isolated.
    let nobody = Policy { subject: Expr::Nothing, ..cnp(vec![nothing()]) };
    ingress(vec![nobody]).tcp(40, &[("a/client", SERVER, 8080, ALLOWED)]);
}

#[test]
fn tiers_around_the_union() {
    let flow = |outcome| [("a/client", SERVER, 8080, outcome)];
    let cluster_wide = |action| {
        let everyone = rule(action, pods(Expr::Anything), Match::Any, L4::Any);
        vec![policy(100, Expr::Anything, false, vec![everyone])]
    };
    let tiers = |policies: &[Policy], admin, baseline| Stages {
        choices: choices(),
        ingress: compose(policies, Direction::Ingress, admin, baseline),
        egress: Vec::new(),
    };
    let unmatched = || cnp(vec![from(pods(app("nobody")))]);
    // Baseline goes before the default deny of isolated pods.
    tiers(&[unmatched()], vec![], cluster_wide(allow())).tcp(44, &flow(ALLOWED));
    tiers(&[unmatched()], vec![], vec![]).tcp(44, &flow(DENIED));
    let deny = || denying(vec![rule(Action::Deny, pods(app("client")), Match::Any, L4::Any)]);
    tiers(&[deny()], cluster_wide(Action::Pass), vec![]).tcp(45, &flow(DENIED));
    tiers(&[deny()], cluster_wide(allow()), vec![]).tcp(45, &flow(ALLOWED));
    // `enable-policy: always`: every endpoint is isolated, with or without a policy.
    let always = || Policy { subject: Expr::Anything, ..cnp(vec![]) };
    tiers(&[always()], vec![], vec![]).tcp(46, &flow(DENIED)).tcp(46, &[("n1", SERVER, 8080, ALLOWED)]);
    // Of one precedence: deny before allow before pass.
    let mut tied = cluster_wide(Action::Pass);
    tied.extend(cluster_wide(allow()));
    tiers(&[deny()], tied.clone(), vec![]).tcp(47, &flow(ALLOWED));
    tied.extend(cluster_wide(Action::Deny));
    tiers(&[], tied, vec![]).tcp(47, &flow(DENIED));
}
