//! `netcheck graph`: its edges are the evaluator's answers, in every format, whatever the objects are called.

#[path = "../common/mod.rs"]
mod common;

#[path = "../matrix/clusters.rs"]
mod clusters;

mod exposure;
mod formats;

use std::collections::HashMap;

use clusters::Random;
use netcheck::analysis::graph::{End, EndKind, Graph, Options, Ports, build};
use netcheck::model::{Cluster, Protocol};
use netcheck::policy::{Policies, Profile};
use netcheck::reach::eval::EndpointKind;
use netcheck::reach::{Endpoint, Evaluator, Flow, Outcome};

/// What an edge says of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Open,
    Partial,
    Unknown,
    Closed,
}

fn said(ports: Option<&Ports>, protocol: Protocol, port: u16) -> Said {
    let Some(ports) = ports else { return Said::Closed };
    let holds = [&ports.open, &ports.partial, &ports.unknown].map(|s| s.contains(protocol, port));
    assert!(holds.iter().filter(|h| **h).count() <= 1, "the sets of an edge overlap: {ports:?}");
    match holds {
        [true, _, _] => Said::Open,
        [_, true, _] => Said::Partial,
        [_, _, true] => Said::Unknown,
        _ => Said::Closed,
    }
}

/// The answer for a pair of ends from single decisions; none where no pair of pods is to be asked about.
fn asked(evaluator: &Evaluator<'_>, from: &[Endpoint], to: &[Endpoint], protocol: Protocol, port: u16) -> Option<Said> {
    let mut seen = Vec::new();
    for client in from {
        for server in to.iter().filter(|s| *s != client) {
            let flow = Flow { client: *client, server: *server, protocol, port, name: None, via_service: false };
            seen.push(evaluator.evaluate(&flow).outcome);
        }
    }
    if seen.is_empty() {
        return None;
    }
    let any = |o: Outcome| seen.contains(&o);
    Some(match (any(Outcome::Allowed), any(Outcome::Unknown), any(Outcome::Denied)) {
        (_, true, _) => Said::Unknown,
        (true, false, false) => Said::Open,
        (true, false, true) => Said::Partial,
        (false, false, _) => Said::Closed,
    })
}

fn endpoints(cluster: &Cluster, end: &End, v6: bool) -> Vec<Endpoint> {
    match end.kind {
        EndKind::Pods => end.pods.iter().map(|p| Endpoint::pod(cluster, *p, v6)).collect(),
        _ => end
            .addresses
            .iter()
            .flat_map(|(first, last)| [*first, *last])
            .map(|ip| Endpoint { kind: EndpointKind::Outside, ip: Some(ip) })
            .collect(),
    }
}

const PORTS: [(Protocol, u16); 9] = [
    (Protocol::Tcp, 1),
    (Protocol::Tcp, 80),
    (Protocol::Tcp, 443),
    (Protocol::Tcp, 8080),
    (Protocol::Tcp, 9090),
    (Protocol::Udp, 53),
    (Protocol::Udp, 54),
    (Protocol::Sctp, 9090),
    (Protocol::Icmp, 0),
];

/// Compares pairs of pods and outside addresses; how many answers were compared, and how many of them weren't closed.
fn compare(
    name: &str,
    cluster: &Cluster,
    profile: &Profile,
    pods: bool,
    random: &mut Random,
    most: usize,
) -> [usize; 2] {
    let policies = Policies::lower(cluster);
    let evaluator = Evaluator::new(cluster, &policies, profile);
    let graph: Graph = build(cluster, &policies, profile, &Options { pods, ..Options::default() });
    let mut edges: HashMap<(u32, u32), &Ports> = HashMap::new();
    for edge in &graph.edges {
        assert_eq!(edge.pairs().count() as u64, edge.len());
        for pair in edge.pairs() {
            assert!(edges.insert(pair, &edge.ports).is_none(), "{name}: {pair:?} is in two edges");
        }
    }
    // Nodes are shown as pods of other nodes see them; here pods alone are asked about, and addresses as servers.
    let usable = |e: &End| !e.host_network && e.kind != EndKind::Nodes && e.kind != EndKind::Name;
    let index: Vec<u32> = (0..graph.ends.len() as u32).filter(|i| usable(&graph.ends[*i as usize])).collect();
    let (mut count, mut open) = (0, 0);
    for _ in 0..most {
        let (c, s) = (*random.pick(&index), *random.pick(&index));
        let (client, server) = (&graph.ends[c as usize], &graph.ends[s as usize]);
        if client.kind != EndKind::Pods {
            assert!(!edges.contains_key(&(c, s)), "{name}: outside addresses are no client unless asked for");
            continue;
        }
        let (from, to) = (endpoints(cluster, client, graph.v6), endpoints(cluster, server, graph.v6));
        for (protocol, port) in PORTS {
            let Some(expected) = asked(&evaluator, &from, &to, protocol, port) else { continue };
            let got = said(edges.get(&(c, s)).copied(), protocol, port);
            assert_eq!(got, expected, "{name} {}: {} -> {} {protocol} {port}", profile.name, client.name, server.name);
            count += 1;
            open += usize::from(got != Said::Closed);
        }
    }
    [count, open]
}

fn profile(name: &str) -> Profile {
    name.parse().unwrap()
}

#[test]
fn random_clusters_agree_with_single_decisions() {
    let random = &mut Random(5);
    let (mut all, mut open) = (0, 0);
    for seed in 0..60 {
        let cluster = common::cluster_of_text(&clusters::cluster(seed));
        let name = *random.pick(&["generic", "calico", "cilium", "kube-network-policies", "ovn-kubernetes"]);
        for pods in [true, false] {
            let [a, o] = compare(&format!("seed {seed}"), &cluster, &profile(name), pods, random, 60);
            all += a;
            open += o;
        }
    }
    assert!(all > 20_000 && open > all / 20, "{open} of {all} answers weren't closed");
}

#[test]
fn shared_clusters_agree_with_single_decisions() {
    let random = &mut Random(7);
    let (mut all, mut cases) = (0, 0);
    for kind in ["admin", "networkpolicy"] {
        let Some(root) = common::shared(&format!("oracle/cases/{kind}")) else { return };
        for folder in common::folders(&root) {
            let cluster = common::cluster_of(&[folder.join("manifests")], false);
            cases += 1;
            all += compare(&folder.display().to_string(), &cluster, &profile("generic"), cases % 2 == 0, random, 40)[0];
        }
    }
    assert!(cases > 10 && all > 10_000, "only {all} answers were compared");
}

#[test]
fn a_workload_that_is_open_in_part_says_so() {
    let pod = |name: &str, labels: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: shop\n  labels: {labels}\n  ownerReferences: [{{kind: StatefulSet, name: db, controller: true, apiVersion: apps/v1, uid: u}}]\n"
        )
    };
    let text = [
        pod("db-0", "{app: db, role: primary}"),
        pod("db-1", "{app: db, role: replica}"),
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}}\n".to_owned(),
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: replica, namespace: shop}\nspec:\n  podSelector: {matchLabels: {role: replica}}\n  ingress: [{from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}]\n".to_owned(),
    ]
    .concat();
    let cluster = common::cluster_of_text(&text);
    let policies = Policies::lower(&cluster);
    let graph = build(&cluster, &policies, &profile("generic"), &Options::default());
    let find = |name: &str| graph.ends.iter().position(|e| &*e.name == name).unwrap() as u32;
    let ports = |from: u32, to: u32| {
        let edge = graph.edges.iter().find(|e| e.pairs().any(|p| p == (from, to))).unwrap();
        (edge.ports.open.ports(Protocol::Tcp).to_string(), edge.ports.partial.ports(Protocol::Tcp).to_string())
    };
    let (web, db) = (find("web"), find("db"));
    assert_eq!(ports(web, db), (String::new(), "1-65535".to_owned()));
    // Among each other: the primary is open to the replica on everything, the replica to the primary on one port.
    assert_eq!(ports(db, db), ("5432".to_owned(), "1-5431,5433-65535".to_owned()));
    assert_eq!(ports(db, web), ("1-65535".to_owned(), String::new()));
}

#[test]
fn what_is_asked_for_is_what_is_shown() {
    let cluster = common::cluster_of(&["examples/shop".into()], true);
    let policies = Policies::lower(&cluster);
    let whole = build(&cluster, &policies, &profile("generic"), &Options::default());
    let shop = cluster.namespace("shop").unwrap();
    let only = Options { namespaces: vec![shop], ..Options::default() };
    let some = build(&cluster, &policies, &profile("generic"), &only);
    let touches = |graph: &Graph, pair: (u32, u32)| {
        [pair.0, pair.1].iter().any(|e| graph.ends[*e as usize].namespace == Some(shop))
    };
    let pairs = |graph: &Graph| {
        let mut all: Vec<(u32, u32)> = graph.edges.iter().flat_map(|e| e.pairs()).collect();
        all.sort_unstable();
        all
    };
    let expected: Vec<(u32, u32)> = pairs(&whole).into_iter().filter(|p| touches(&whole, *p)).collect();
    assert!(!expected.is_empty() && expected.len() < pairs(&whole).len());
    assert_eq!(pairs(&some), expected);
}
