//! The all-pairs engine gives the evaluator's answer for every pair, port and profile.

#[path = "../common/mod.rs"]
mod common;

mod clusters;
mod revise;
mod rules;

use std::collections::BTreeSet;
use std::net::IpAddr;

use netcheck::model::{Cluster, NodeId, Phase, PodId, Protocol};
use netcheck::policy::profile::NAMED;
use netcheck::policy::rule::{L4, Ports};
use netcheck::policy::{Policies, Profile};
use netcheck::reach::eval::EndpointKind;
use netcheck::reach::matrix::{Column, Matrix, Options};
use netcheck::reach::{Endpoint, Evaluator, Flow};

/// Ports at which some rule or pod may change the answer, and their neighbours.
fn ports(cluster: &Cluster, policies: &Policies) -> Vec<(Protocol, u16)> {
    let mut cuts: BTreeSet<u16> = BTreeSet::from([1, u16::MAX]);
    let mut cut = |first: u16, last: u16| {
        for port in [first.saturating_sub(1), first, last, last.saturating_add(1)] {
            cuts.insert(port.max(1));
        }
    };
    for pod in &cluster.pods {
        pod.ports.iter().filter(|p| p.name.is_some()).for_each(|p| cut(p.number, p.number));
    }
    for lowered in [&policies.admin, &policies.network, &policies.baseline] {
        for policy in lowered.ingress.iter().chain(lowered.egress.iter()) {
            for rule in &policy.rules {
                if let L4::OneOf(list) = &rule.l4 {
                    for one in list {
                        if let Ports::Range(first, last) = one.ports {
                            cut(first, last);
                        }
                    }
                }
            }
        }
    }
    let mut out: Vec<(Protocol, u16)> =
        Protocol::WITH_PORTS.into_iter().flat_map(|p| cuts.iter().map(move |c| (p, *c))).collect();
    out.extend([(Protocol::Icmp, 0), (Protocol::Icmpv6, 0), (Protocol::Other(47), 0)]);
    out
}

/// Every endpoint of a family that can be asked about.
fn endpoints(cluster: &Cluster, matrix: &Matrix<'_>, v6: bool) -> Vec<Endpoint> {
    let pods = (0..cluster.pods.len() as u32).map(PodId).filter(|p| cluster.pods[p.index()].phase != Phase::Finished);
    let mut out: Vec<Endpoint> = pods.map(|p| Endpoint::pod(cluster, p, v6)).collect();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let id = NodeId(index as u32);
        out.push(Endpoint::node(cluster, id, v6));
        for ip in node.addresses.iter().filter(|a| a.is_ipv6() == v6) {
            out.push(Endpoint { kind: EndpointKind::Node { node: Some(id), pod: None }, ip: Some(*ip) });
        }
    }
    out.push(Endpoint::internet());
    // An address that an object has stands for the object.
    let outside = |ip: IpAddr| Endpoint::address(cluster, ip);
    let v4 = ["1.1.1.1", "8.8.8.8", "8.8.8.9", "10.9.9.9", "10.0.1.200", "192.168.3.3", "203.0.113.200"];
    let six = ["2001:db8::1", "fd00::99", "fd00:0:0:1::99"];
    let texts: &[&str] = if v6 { &six } else { &v4 };
    out.extend(texts.iter().map(|t| outside(t.parse().unwrap())));
    for group in 0..matrix.address_groups() {
        for (first, last) in matrix.addresses(group) {
            out.extend([outside(first), outside(last)]);
        }
    }
    out.sort_by_key(|e| format!("{e:?}"));
    out.dedup();
    out
}

/// Compares every `step`-th pair; how many answers were compared.
fn compare(name: &str, cluster: &Cluster, profile: &Profile, step: usize) -> usize {
    let policies = Policies::lower(cluster);
    let evaluator = Evaluator::new(cluster, &policies, profile);
    let ports = ports(cluster, &policies);
    let mut compared = 0;
    for v6 in [false, true] {
        if v6 && !cluster.pods.iter().any(|p| p.ips.iter().any(IpAddr::is_ipv6)) {
            continue;
        }
        let matrix = Matrix::new(cluster, &policies, profile, Options { v6 });
        let endpoints = endpoints(cluster, &matrix, v6);
        let mut pair = 0;
        for client in &endpoints {
            for server in &endpoints {
                pair += 1;
                if pair % step != 0 {
                    continue;
                }
                let connections = matrix
                    .between(client, server)
                    .unwrap_or_else(|| panic!("{name}: no answer for {client:?} -> {server:?}"));
                for (protocol, port) in &ports {
                    let flow = Flow {
                        client: *client,
                        server: *server,
                        protocol: *protocol,
                        port: *port,
                        name: None,
                        via_service: false,
                    };
                    let expected = evaluator.evaluate(&flow);
                    let answered = connections.outcome(*protocol, *port);
                    compared += 1;
                    assert_eq!(
                        answered, expected.outcome,
                        "{name} {profile} v6={v6}: {client:?} -> {server:?} {protocol} {port}: {connections:?}\n{expected:#?}"
                    );
                }
            }
            for dialled in ["example.com", "www.example.com", "a.api.example.com", "api.example.com", "other.org"] {
                let connections = matrix.to_name(client, dialled).unwrap();
                for (protocol, port) in &ports {
                    let flow = Flow {
                        client: *client,
                        server: Endpoint::internet(),
                        protocol: *protocol,
                        port: *port,
                        name: Some(dialled.into()),
                        via_service: false,
                    };
                    let expected = evaluator.evaluate(&flow);
                    compared += 1;
                    assert_eq!(
                        connections.outcome(*protocol, *port),
                        expected.outcome,
                        "{name} {profile}: {client:?} -> {dialled} {protocol} {port}\n{expected:#?}"
                    );
                }
            }
        }
        rectangles_are_the_pairs(cluster, &matrix);
    }
    compared
}

/// The rectangles and the counts say what the pairs say.
fn rectangles_are_the_pairs(cluster: &Cluster, matrix: &Matrix<'_>) {
    let pods: Vec<(PodId, u32)> =
        (0..cluster.pods.len() as u32).map(PodId).filter_map(|p| Some((p, matrix.class_of(p)?))).collect();
    let rectangles: Vec<_> = matrix.rectangles().collect();
    let (mut open, mut unknown) = (0, 0);
    for (client, from) in &pods {
        assert_eq!(matrix.column(*from), Column::Pods(*from));
        assert!(matrix.pods(*from).contains(client));
        for (server, to) in pods.iter().filter(|(p, _)| p != client) {
            let expected = matrix.allowed(*client, *server).unwrap();
            let (mut allowed, mut perhaps) = Default::default();
            for rectangle in rectangles.iter().filter(|r| r.clients.contains(*from) && r.servers.contains(*to)) {
                let to = if rectangle.certain { &mut allowed } else { &mut perhaps };
                let before: &netcheck::reach::matrix::L4Set = to;
                assert!(before.and(&rectangle.ports).is_empty(), "rectangles overlap");
                *to = before.or(&rectangle.ports);
            }
            assert_eq!((&expected.allowed, &expected.unknown), (&allowed, &perhaps), "{client:?} {server:?}");
            open += u64::from(!allowed.is_empty());
            unknown += u64::from(allowed.is_empty() && !perhaps.is_empty());
        }
    }
    let counts = matrix.counts();
    assert_eq!((counts.pods, counts.open_pairs, counts.unknown_pairs), (pods.len() as u64, open, unknown));
}

fn profiles() -> Vec<Profile> {
    NAMED.iter().map(|n| n.parse().unwrap()).chain([Profile::generic()]).collect()
}

#[test]
fn random_clusters_agree_under_every_profile() {
    let rounds = std::env::var("NETCHECK_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let start: u64 = std::env::var("NETCHECK_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut compared = 0;
    for seed in start..start + rounds {
        let cluster = common::cluster_of_text(&clusters::cluster(seed));
        for profile in profiles() {
            compared += compare(&format!("seed {seed}"), &cluster, &profile, 3 + (seed as usize % 5));
        }
    }
    eprintln!("{rounds} random clusters: {compared} answers");
    assert!(compared as u64 > rounds * 5_000, "only {compared} answers were compared");
}

#[test]
fn random_stages_agree() {
    let rounds = std::env::var("NETCHECK_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let start: u64 = std::env::var("NETCHECK_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let ports = [1u16, 52, 53, 54, 79, 80, 81, 443, 8080, 8081, 9000, 9001, 9090, 65535];
    let with_ports = Protocol::WITH_PORTS.into_iter().flat_map(|p| ports.map(|n| (p, n)));
    let ports: Vec<(Protocol, u16)> = with_ports.chain([(Protocol::Icmp, 0), (Protocol::Other(1), 0)]).collect();
    let mut outcomes = std::collections::BTreeMap::new();
    for seed in start..start + rounds {
        let mut random = clusters::Random(seed);
        let cluster = common::cluster_of_text(&clusters::cluster(seed / 4));
        let policies = Policies::default();
        let evaluator = Evaluator::new(&cluster, &policies, &Profile::generic());
        let composition = rules::composition(&mut random);
        for v6 in [false, true] {
            let matrix = Matrix::build(&cluster, &policies, std::slice::from_ref(&composition), Options { v6 });
            let endpoints = endpoints(&cluster, &matrix, v6);
            for (at, (client, server)) in
                endpoints.iter().flat_map(|c| endpoints.iter().map(move |s| (c, s))).enumerate()
            {
                if at % 7 != seed as usize % 7 {
                    continue;
                }
                let connections = matrix.between(client, server).unwrap();
                for (protocol, port) in &ports {
                    let (protocol, port) = (*protocol, *port);
                    let flow =
                        Flow { client: *client, server: *server, protocol, port, name: None, via_service: false };
                    let expected = evaluator.evaluate_under(&flow, &composition);
                    *outcomes.entry(expected.outcome).or_insert(0u64) += 1;
                    assert_eq!(
                        connections.outcome(protocol, port),
                        expected.outcome,
                        "seed {seed} v6={v6}: {flow:?}: {connections:?}\n{expected:#?}\n{composition:#?}"
                    );
                }
            }
        }
    }
    eprintln!("{rounds} random compositions: {outcomes:?}");
    assert!(outcomes.len() == 3 && outcomes.values().all(|n| *n > rounds * 20), "{outcomes:?}");
}

fn family(path: &str, manifests: &str, pairs: usize) {
    let Some(root) = common::shared(path) else { return };
    let (mut compared, mut cases) = (0, 0);
    for case in common::folders(&root) {
        let cluster = common::cluster_of(&[case.join(manifests)], true);
        cases += 1;
        for profile in profiles() {
            let nodes = cluster.pods.len() + cluster.nodes.len() + 12;
            let step = (nodes * nodes / pairs).max(1);
            compared += compare(&case.display().to_string(), &cluster, &profile, step | 1);
        }
    }
    eprintln!("{path}: {cases} clusters, {compared} answers");
    assert!(cases > 10 && compared > 50_000, "only {compared} answers were compared");
}

#[test]
fn oracle_clusters_agree_under_every_profile() {
    family("oracle/cases/networkpolicy", "manifests", 40);
    family("oracle/cases/admin", "manifests", 40);
}

#[test]
fn packet_clusters_agree_under_every_profile() {
    for family in ["np", "cnp", "anp"] {
        self::family(&format!("real/reach/{family}"), "cluster.json", 40);
    }
}
