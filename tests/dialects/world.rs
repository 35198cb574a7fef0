//! The cluster that the tables speak of, flows in it, and small builders of rules.

use std::sync::Arc;

use netcheck::model::{BuildOptions, Cluster, Protocol, Str};
use netcheck::policy::profile::SPECIFICATION;
use netcheck::policy::rule::{
    Action, Block, CidrScope, Classes, Combine, Condition, DomainPattern, Expr, L4, Match, NoMatch, Op, Peer, PolicyId,
    PortMatch, Ports, Requirement, RequirementAt, Rule, Scope, Stage, StagePolicy, Term, Tier,
};
use netcheck::policy::{Choices, Composition, Policies, Profile};
use netcheck::reach::eval::EndpointKind;
use netcheck::reach::{Decision, Endpoint, Evaluator, Flow, Outcome};
use netcheck::source::{Options, load_text};

pub const ALLOWED: Outcome = Outcome::Allowed;
pub const DENIED: Outcome = Outcome::Denied;

/// Namespaces a (red) and b (blue) with pods client, server (8080 named http) and other; node n1 runs a/server.
pub struct World(pub Cluster);

impl World {
    pub fn new() -> Self {
        let mut text = String::new();
        for (namespace, team, second) in [("a", "red", 1), ("b", "blue", 2)] {
            text += &format!(
                "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{team: {team}}}}}\n"
            );
            for (last, app) in ["server", "other", "client"].into_iter().enumerate() {
                let node = if (namespace, app) == ("a", "server") { "n1" } else { "n2" };
                let labels = if app == "other" { "app: other, hsm: \"true\"" } else { &format!("app: {app}") };
                text += &format!(
                    "---\napiVersion: v1\nkind: Pod
metadata: {{name: {app}, namespace: {namespace}, labels: {{{labels}}}}}
spec:
  nodeName: {node}
  serviceAccountName: {account}
  initContainers: [{{name: once, image: app, ports: [{{name: setup, containerPort: 7000}}]}}]
  containers: [{{name: main, image: app, ports: [{{name: http, containerPort: 8080}}]}}]
status: {{podIP: 10.{second}.2.{last}}}\n",
                    account = if app == "other" { "ci" } else { "default" },
                );
            }
        }
        for (node, ip) in [("n1", "192.168.0.1"), ("n2", "192.168.0.2")] {
            text += &format!(
                "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {node}}}
status: {{addresses: [{{type: InternalIP, address: {ip}}}]}}
---\napiVersion: v1\nkind: Pod\nmetadata: {{name: host-{node}, namespace: b}}
spec: {{hostNetwork: true, nodeName: {node}, containers: [{{name: main, image: app}}]}}
status: {{podIP: {ip}}}\n"
            );
        }
        let input = load_text("world.yaml", &text, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
        let build = BuildOptions { assume_dns: false, ..BuildOptions::default() };
        Self(Cluster::build(input.objects, &build).unwrap_or_else(|e| panic!("{e:?}")))
    }

    /// `a/client`, a node, an address, or `X`, which is outside.
    pub fn end(&self, name: &str) -> Endpoint {
        let cluster = &self.0;
        if name == "X" {
            return Endpoint::address(cluster, [203, 0, 113, 5].into());
        }
        if let Ok(ip) = name.parse() {
            return Endpoint::address(cluster, ip);
        }
        match name.split_once('/') {
            Some((namespace, pod)) => {
                let namespace = cluster.namespace(namespace).unwrap_or_else(|| panic!("{name}"));
                Endpoint::pod(cluster, cluster.pod(namespace, pod).unwrap_or_else(|| panic!("{name}")), false)
            }
            None => Endpoint::node(cluster, cluster.node(name).unwrap_or_else(|| panic!("{name}")), false),
        }
    }

    pub fn decide(&self, stages: &Stages, flow: &Flow) -> Decision {
        let policies = Policies::default();
        let evaluator = Evaluator::new(&self.0, &policies, &Profile::settled("by hand", SPECIFICATION));
        let composition = Composition {
            choices: stages.choices,
            plugins: Vec::new(),
            ingress: stages.ingress.clone(),
            egress: stages.egress.clone(),
        };
        evaluator.evaluate_under(flow, &composition)
    }

    pub fn flow(&self, from: &str, to: &str, protocol: Protocol, port: u16) -> Flow {
        let (client, server) = (self.end(from), self.end(to));
        assert!(!matches!((client.kind, server.kind), (EndpointKind::Outside, EndpointKind::Outside)));
        Flow { client, server, protocol, port, name: None, via_service: false }
    }
}

/// The stages of both directions.
#[derive(Clone)]
pub struct Stages {
    pub choices: Choices,
    pub ingress: Vec<Stage>,
    pub egress: Vec<Stage>,
}

impl Stages {
    /// Asserts what TCP flows do: client, server, port, outcome.
    #[track_caller]
    pub fn tcp(&self, row: u32, flows: &[(&str, &str, u16, Outcome)]) -> &Self {
        for (from, to, port, expected) in flows {
            self.flow(row, (from, to), (Protocol::Tcp, *port), *expected);
        }
        self
    }

    #[track_caller]
    pub fn flow(&self, row: u32, ends: (&str, &str), l4: (Protocol, u16), expected: Outcome) -> &Self {
        let world = World::new();
        let decision = world.decide(self, &world.flow(ends.0, ends.1, l4.0, l4.1));
        assert_eq!(decision.outcome, expected, "row {row}: {} => {} {} {}", ends.0, ends.1, l4.0, l4.1);
        self
    }

    /// Asserts what a flow to 443 of a name outside does.
    #[track_caller]
    pub fn name(&self, row: u32, from: &str, name: &str, expected: Outcome) -> &Self {
        let world = World::new();
        let flow = Flow { name: Some(name.into()), ..world.flow(from, "X", Protocol::Tcp, 443) };
        assert_eq!(world.decide(self, &flow).outcome, expected, "row {row}: {from} => {name}");
        self
    }

    /// Asserts that a flow is allowed under these conditions.
    #[track_caller]
    pub fn conditions(&self, row: u32, ends: (&str, &str), l4: (Protocol, u16), expected: &[Condition]) -> &Self {
        let world = World::new();
        let decision = world.decide(self, &world.flow(ends.0, ends.1, l4.0, l4.1));
        assert_eq!((decision.outcome, decision.conditions().as_slice()), (ALLOWED, expected), "row {row}");
        self
    }
}

pub fn stage(tier: Tier, combine: Combine, no_match: NoMatch, policies: Vec<StagePolicy>) -> Stage {
    Stage { tier, combine, no_match, policies: Arc::new(policies), skip_if_selected: None }
}

/// A policy of a stage; those that follow number their rules anew.
pub fn policy(id: u32, subject: Expr, isolates: bool, rules: Vec<Rule>) -> StagePolicy {
    let rules = rules.into_iter().enumerate().map(|(i, r)| Rule { index: i as u32, ..r }).collect();
    StagePolicy { policy: PolicyId(id), namespace: None, subject, priority: 0, isolates, rules }
}

pub fn rule(action: Action, source: Match, destination: Match, l4: L4) -> Rule {
    Rule { index: 0, source, destination, l4, action, precedence: 0 }
}

pub fn allow() -> Action {
    Action::Allow(Vec::new())
}

fn label(scope: Scope, key: &str, op: Op) -> Expr {
    Expr::Is(Requirement { scope, key: key.into(), op, at: RequirementAt::Implied })
}

pub fn is(key: &str, value: &str) -> Expr {
    label(Scope::Pod, key, Op::In(vec![value.into()]))
}

pub fn app(name: &str) -> Expr {
    is("app", name)
}

/// Calico's `team == 'x'` of namespaces.
pub fn team(name: &str) -> Expr {
    label(Scope::Namespace, "team", Op::In(vec![name.into()]))
}

pub fn account(name: &str) -> Expr {
    label(Scope::ServiceAccountName, "", Op::In(vec![name.into()]))
}

pub fn ns(name: &str) -> Expr {
    Expr::in_namespace(&Str::from(name))
}

pub fn not_ns(name: &str) -> Expr {
    label(Scope::NamespaceName, "", Op::NotIn(vec![name.into()]))
}

pub fn not(e: Expr) -> Expr {
    Expr::Not(Box::new(e))
}

/// Peers, each a conjunction of terms.
pub fn one_of(peers: Vec<Vec<Term>>) -> Match {
    Match::OneOf(peers.into_iter().enumerate().map(|(i, terms)| Peer { index: i as u32, terms }).collect())
}

pub fn pods(e: Expr) -> Match {
    one_of(vec![vec![Term::Pods(e)]])
}

pub fn class(classes: Classes) -> Match {
    one_of(vec![vec![Term::Class(classes)]])
}

pub fn cidr(range: &str, except: &[&str], classes: Classes) -> Term {
    let net = |t: &str| t.parse().unwrap_or_else(|e| panic!("{t}: {e}"));
    let block = Block { cidr: net(range), except: except.iter().map(|e| net(e)).collect() };
    Term::Cidr(vec![block], CidrScope::Classes(classes))
}

pub fn not_cidr(range: &str) -> Term {
    Term::NotCidr(vec![range.parse().unwrap_or_else(|e| panic!("{range}: {e}"))])
}

pub fn names(patterns: &[&str]) -> Term {
    Term::Domains(
        patterns
            .iter()
            .map(|p| match p.strip_prefix("**.") {
                Some(suffix) => DomainPattern::Below(suffix.into()),
                None => DomainPattern::Exact((*p).into()),
            })
            .collect(),
    )
}

pub fn l4(protocol: Option<Protocol>, ports: Ports) -> L4 {
    L4::OneOf(vec![PortMatch { index: 0, protocol, ports, end_port: false }])
}

pub fn tcp(port: u16) -> L4 {
    l4(Some(Protocol::Tcp), Ports::Range(port, port))
}

/// A port of any protocol that has ports, which leaves ICMP out.
pub fn any_protocol(ports: &Ports) -> L4 {
    let one = |protocol| PortMatch { index: 0, protocol: Some(protocol), ports: ports.clone(), end_port: false };
    L4::OneOf(Protocol::WITH_PORTS.into_iter().map(one).collect())
}
