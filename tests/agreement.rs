//! The evaluator against a naive one, on random clusters: every pair of endpoints, every interval of ports.
//!
//! `PROPTEST_CASES` sets how many clusters; a failure prints the smallest one found as manifests.

use std::cell::Cell;
use std::net::IpAddr;

use netcheck::model::query::{PortSpec, Target};
use netcheck::model::{BuildOptions, Cluster, Protocol};
use netcheck::policy::profile::Tie;
use netcheck::policy::rule::Classes;
use netcheck::policy::{Choices, Policies, Profile};
use netcheck::reach::{CheckOptions, Endpoint, Evaluator, Flow, Outcome, Source, Verdict};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

mod reference;

use reference::generate::{self, DIALLED, Kinds, Manifests};
use reference::service::{Met, dial};
use reference::{Answer, End, Question, Who, World};

/// Every combination of choices that means something.
fn combinations() -> Vec<Choices> {
    let mut out = Vec::new();
    for bits in 0..=255u8 {
        let bit = |n: u8| bits & (1 << n) != 0;
        // Nothing says whether a plugin that puts the default deny last would skip Baseline in an isolated direction.
        if bit(4) && !bit(3) {
            continue;
        }
        for tie in [Tie::Either, Tie::ByName, Tie::Interleaved] {
            out.push(Choices {
                ip_block: if bit(0) { Classes::OUTSIDE } else { Classes::ALL },
                hairpin: bit(1),
                own_node_egress: bit(2),
                baseline_for_other_direction: bit(3),
                default_deny_last: bit(4),
                tie,
                end_port: bit(5),
                own_node_ingress: bit(6),
                init_container_ports: bit(7),
            });
        }
    }
    out
}

fn expected(answer: Answer) -> Outcome {
    match answer {
        Answer::Allowed => Outcome::Allowed,
        Answer::Denied => Outcome::Denied,
        Answer::Ambiguous => Outcome::Unknown,
    }
}

/// A cluster in both readings.
struct Both {
    world: World,
    cluster: Cluster,
    policies: Policies,
    ports: Vec<u16>,
}

impl Both {
    fn of(manifests: &Manifests) -> Self {
        let objects = generate::decoded(&manifests.0);
        let world = World::of(objects.iter().cloned());
        let options = BuildOptions { assume_dns: false, ..BuildOptions::default() };
        let cluster = Cluster::build(generate::loaded(objects), &options).unwrap();
        let policies = Policies::lower(&cluster);
        Self { world, cluster, policies, ports: generate::ports(&manifests.0) }
    }

    /// The ends of a family: pods that live, nodes, addresses outside and those that finished pods left behind.
    fn ends(&self, v6: bool) -> Vec<(End, Endpoint)> {
        let mut out = Vec::new();
        for (index, pod) in self.world.pods.iter().enumerate() {
            let ips = reference::pod_ips(pod);
            let ip = ips.iter().copied().find(|ip| ip.is_ipv6() == v6);
            if reference::finished(pod) {
                out.extend(ip.map(|ip| self.address(ip)));
            } else if ip.is_some() || ips.is_empty() {
                let namespace = self.cluster.namespace(&pod.metadata.namespace).unwrap();
                let id = self.cluster.pod(namespace, &pod.metadata.name).unwrap();
                out.push((End { who: Who::Pod(index), ip }, Endpoint::pod(&self.cluster, id, v6)));
            }
        }
        for (index, node) in self.world.nodes.iter().enumerate() {
            let ip = reference::node_ips(node).into_iter().find(|ip| ip.is_ipv6() == v6);
            if ip.is_some() {
                let id = self.cluster.node(&node.metadata.name).unwrap();
                out.push((End { who: Who::Node(index), ip }, Endpoint::node(&self.cluster, id, v6)));
            }
        }
        out.extend(generate::outside().filter(|ip| ip.is_ipv6() == v6).map(|ip| self.address(ip)));
        out
    }

    fn address(&self, ip: IpAddr) -> (End, Endpoint) {
        (End { who: self.world.who_has(ip), ip: Some(ip) }, Endpoint::address(&self.cluster, ip))
    }

    /// Calls with every question worth asking, one in `stride`.
    fn ask(
        &self,
        stride: usize,
        mut each: impl FnMut(&Question<'_>, &Flow) -> Result<(), String>,
    ) -> Result<(), TestCaseError> {
        let mut turn = 0;
        for v6 in [false, true] {
            let ends = self.ends(v6);
            for (client, from) in &ends {
                for (server, to) in &ends {
                    let pods = [client, server].iter().any(|e| matches!(e.who, Who::Pod(_)));
                    if !pods {
                        continue;
                    }
                    let names: &[Option<&str>] = if server.who == Who::Outside { &DIALLED } else { &[None] };
                    let itself: &[bool] = if client.who == server.who { &[false, true] } else { &[false] };
                    for (name, via_service) in names.iter().flat_map(|n| itself.iter().map(move |i| (*n, *i))) {
                        for (protocol, parsed) in
                            [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)]
                        {
                            for port in &self.ports {
                                turn += 1;
                                if turn % stride != 0 {
                                    continue;
                                }
                                let question = Question {
                                    client: *client,
                                    server: *server,
                                    protocol,
                                    port: *port,
                                    name,
                                    via_service,
                                };
                                let flow = Flow {
                                    client: *from,
                                    server: *to,
                                    protocol: parsed,
                                    port: *port,
                                    name: name.map(Into::into),
                                    via_service,
                                };
                                each(&question, &flow).map_err(|why| {
                                    TestCaseError::fail(format!(
                                        "{why}
{question:?}"
                                    ))
                                })?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// How many clusters, and one in how many questions to ask of each: many clusters with some questions find more than few
/// with all.
fn effort(cases: u32) -> (Config, usize) {
    let standard = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { standard.cases } else { cases };
    let shrink = std::env::var_os("PROPTEST_MAX_SHRINK_ITERS").map_or(20_000, |_| standard.max_shrink_iters);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: shrink, ..standard };
    let stride = std::env::var("AGREEMENT_STRIDE").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    (config, stride)
}

/// How often each outcome was expected: an agreement on nothing but "allowed" would say little.
#[derive(Default)]
struct Tally([Cell<usize>; 3]);

impl Tally {
    fn count(&self, outcome: Outcome) {
        let cell = &self.0[outcome as usize];
        cell.set(cell.get() + 1);
    }

    /// Every outcome came up in at least one question of `one_in`.
    fn varied(&self, outcomes: &[Outcome], one_in: usize) {
        let all: usize = self.0.iter().map(Cell::get).sum();
        eprintln!("{all} questions: {:?} allowed, denied, unknown", self.0.each_ref().map(Cell::get));
        for outcome in outcomes {
            assert!(self.0[*outcome as usize].get() * one_in >= all, "hardly any {outcome:?}");
        }
    }
}

/// Under settled choices, one combination a cluster.
fn settled(kinds: Kinds, cases: u32) {
    let (config, stride) = effort(cases);
    let tally = Tally::default();
    let combinations = combinations();
    TestRunner::new(config)
        .run(&(generate::cluster(kinds), proptest::sample::select(combinations)), |(manifests, choices)| {
            let both = Both::of(&manifests);
            let profile = Profile::settled("test", choices);
            let evaluator = Evaluator::new(&both.cluster, &both.policies, &profile);
            both.ask(stride, |question, flow| {
                let expected = expected(reference::answer(&both.world, question, &choices));
                tally.count(expected);
                let decision = evaluator.evaluate(flow);
                if evaluator.gate(&flow.server).is_some_and(|g| g.shuts_out(&flow.client))
                    && decision.outcome != Outcome::Denied
                {
                    return Err(format!("{choices:?}\nshut out, and {:?}\n{decision:#?}", decision.outcome));
                }
                if decision.outcome == expected {
                    return Ok(());
                }
                Err(format!("{choices:?}\nexpected {expected:?}, found {:?}\n{decision:#?}", decision.outcome))
            })
        })
        .unwrap_or_else(|e| panic!("{e}"));
    tally.varied(&[Outcome::Allowed, Outcome::Denied], 8);
    if matches!(kinds, Kinds::All) {
        tally.varied(&[Outcome::Unknown], 1000);
    }
}

#[test]
fn network_policies_are_judged_as_the_documentation_says() {
    settled(Kinds::Network, 1000);
}

#[test]
fn all_kinds_are_judged_as_the_documentation_says() {
    settled(Kinds::All, 1000);
}

/// `generic` is unknown exactly where the choices of its list disagree, or where one of them can't tell.
#[test]
fn generic_is_unknown_exactly_where_plugins_disagree() {
    let (config, stride) = effort(400);
    let generic = Profile::generic();
    let tally = Tally::default();
    TestRunner::new(config)
        .run(&generate::cluster(Kinds::All), |manifests| {
            let both = Both::of(&manifests);
            let evaluator = Evaluator::new(&both.cluster, &both.policies, &generic);
            both.ask(stride * 5, |question, flow| {
                let mut outcomes: Vec<Outcome> = generic
                    .choices
                    .iter()
                    .map(|(choices, _)| expected(reference::answer(&both.world, question, choices)))
                    .collect();
                outcomes.dedup();
                let expected = if let [one] = outcomes[..] { one } else { Outcome::Unknown };
                tally.count(expected);
                let found = evaluator.evaluate(flow).outcome;
                if evaluator.gate(&flow.server).is_some_and(|g| g.shuts_out(&flow.client)) && found != Outcome::Denied {
                    return Err(format!("shut out, and {found:?}"));
                }
                if found == expected { Ok(()) } else { Err(format!("expected {expected:?}, found {found:?}")) }
            })
        })
        .unwrap_or_else(|e| panic!("{e}"));
    tally.varied(&[Outcome::Allowed, Outcome::Denied, Outcome::Unknown], 100);
}

/// What is said of the internet holds for every public address: these lie in each piece that the ranges cut out of it.
#[test]
fn the_internet_is_every_public_address() {
    const PUBLIC: [&str; 4] = ["192.0.2.1", "192.0.2.8", "192.0.2.9", "192.0.3.0"];
    let (config, _) = effort(1000);
    let combinations = combinations();
    let tally = Tally::default();
    TestRunner::new(config)
        .run(
            &(generate::cluster_with_public_ranges(), proptest::sample::select(combinations)),
            |(manifests, choices)| {
                let both = Both::of(&manifests);
                let profile = Profile::settled("test", choices);
                let evaluator = Evaluator::new(&both.cluster, &both.policies, &profile);
                for (pod, endpoint) in both.ends(false) {
                    if !matches!(pod.who, Who::Pod(_)) {
                        continue;
                    }
                    for (port, name, leaves) in DIALLED
                        .iter()
                        .flat_map(|n| [80, 443].map(|p| (p, *n, true)))
                        .chain([(80, None, false), (443, None, false)])
                    {
                        let internet = Endpoint::internet();
                        let (client, server) = if leaves { (endpoint, internet) } else { (internet, endpoint) };
                        let flow = Flow {
                            client,
                            server,
                            protocol: Protocol::Tcp,
                            port,
                            name: name.map(Into::into),
                            via_service: false,
                        };
                        let found = evaluator.evaluate(&flow).outcome;
                        tally.count(found);
                        for ip in PUBLIC {
                            let somebody = End { who: Who::Outside, ip: Some(ip.parse().unwrap()) };
                            let (client, server) = if leaves { (pod, somebody) } else { (somebody, pod) };
                            let question = Question { client, server, protocol: "TCP", port, name, via_service: false };
                            let expected = expected(reference::answer(&both.world, &question, &choices));
                            if found != Outcome::Unknown && expected != found {
                                return Err(TestCaseError::fail(format!("{question:?}: {expected:?}, but {found:?}")));
                            }
                        }
                    }
                }
                Ok(())
            },
        )
        .unwrap_or_else(|e| panic!("{e}"));
    tally.varied(&[Outcome::Allowed, Outcome::Denied, Outcome::Unknown], 100);
}

fn verdict(met: Met) -> Verdict {
    match met {
        Met::Reachable => Verdict::Reachable,
        Met::Blocked => Verdict::Blocked,
        Met::Partial => Verdict::Partial,
        Met::Unreachable => Verdict::Unreachable,
        Met::Unknown => Verdict::Unknown,
    }
}

/// A Service is as reachable as the endpoints that a client may be sent to, each judged on its own.
#[test]
fn services_are_as_reachable_as_their_endpoints() {
    let (config, _) = effort(1500);
    let combinations = combinations();
    let seen: [Cell<usize>; 5] = Default::default();
    TestRunner::new(config)
        .run(&(generate::cluster_with_service(), proptest::sample::select(combinations)), |(manifests, choices)| {
            let both = Both::of(&manifests);
            let profile = Profile::settled("test", choices);
            let evaluator = Evaluator::new(&both.cluster, &both.policies, &profile);
            let namespace = both.cluster.namespace("blue").unwrap();
            let target = Target::Service(both.cluster.service(namespace, "svc").unwrap());
            for (index, pod) in both.world.pods.iter().enumerate() {
                if reference::finished(pod) {
                    continue;
                }
                let namespace = both.cluster.namespace(&pod.metadata.namespace).unwrap();
                let source = Source::Pod(both.cluster.pod(namespace, &pod.metadata.name).unwrap());
                for (protocol, parsed) in [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp)] {
                    for port in generate::SERVICE_PORTS {
                        let service = &both.world.services[0];
                        let Some(met) = dial(&both.world, index, service, port, protocol, &choices) else {
                            continue;
                        };
                        let expected = verdict(met);
                        seen[met as usize].set(seen[met as usize].get() + 1);
                        let options = CheckOptions { dns: false };
                        let check = evaluator.check(source, &target, &PortSpec::Number(port), parsed, options);
                        if check.verdict != expected {
                            let client = &pod.metadata.name;
                            return Err(TestCaseError::fail(format!(
                                "{client} dials {port}/{protocol}: expected {expected:?}, found {check:#?}"
                            )));
                        }
                    }
                }
            }
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
    eprintln!("{seen:?} reachable, blocked, partial, unreachable, unknown");
    assert!(seen.iter().all(|n| n.get() > 0), "{seen:?}: not every verdict came up");
}
