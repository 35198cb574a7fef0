//! Questions of more than one step: hops, chains, components, cuts.

mod common;

#[path = "matrix/clusters.rs"]
mod clusters;

use std::collections::HashMap;

use netcheck::model::{Cluster, Protocol};
use netcheck::policy::rule::{Action, Direction, Tier};
use netcheck::policy::{Policies, Profile};
use netcheck::reach::graph::{Edge, Graph, Node};
use netcheck::reach::matrix::{Matrix, Options};
use netcheck::reach::{Endpoint, Evaluator, Flow, Outcome};
use petgraph::graph::NodeIndex;

/// Pods that accept TCP 80 from those listed alone.
fn manifests(edges: &[(&str, &[&str])]) -> String {
    let mut out = String::new();
    for (server, clients) in edges {
        let peers: String =
            clients.iter().map(|c| format!("        - podSelector: {{matchLabels: {{app: {c}}}}}\n")).collect();
        let ingress = if clients.is_empty() {
            "  ingress: []\n".to_owned()
        } else {
            format!("  ingress:\n    - ports: [{{port: 80}}]\n      from:\n{peers}")
        };
        out += &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {server}, namespace: shop, labels: {{app: {server}}}}}\nspec: {{containers: [{{name: c, image: i}}]}}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: to-{server}, namespace: shop}}\nspec:\n  podSelector: {{matchLabels: {{app: {server}}}}}\n{ingress}---\n"
        );
    }
    out
}

struct Fixture {
    cluster: Cluster,
    policies: Policies,
    graph: Graph,
}

fn fixture(text: &str) -> Fixture {
    let cluster = common::cluster_of_text(text);
    let policies = Policies::lower(&cluster);
    let profile: Profile = "kube-network-policies".parse().unwrap();
    let graph = Graph::new(&cluster, &policies, &Matrix::new(&cluster, &policies, &profile, Options::default()));
    Fixture { cluster, policies, graph }
}

impl Fixture {
    fn node(&self, pod: &str) -> NodeIndex {
        let namespace = self.cluster.namespace("shop").unwrap();
        self.graph.of_pod(self.cluster.pod(namespace, pod).unwrap()).unwrap()
    }

    fn name(&self, node: NodeIndex) -> String {
        match &self.graph.graph[node] {
            Node::Workload { pods, .. } => self.cluster.pods[pods[0].index()].name.to_string(),
            other => format!("{other:?}"),
        }
    }

    fn names(&self, nodes: impl IntoIterator<Item = NodeIndex>) -> Vec<String> {
        nodes.into_iter().map(|n| self.name(n)).collect()
    }

    /// Pods of `shop` alone: the assumed DNS is open to all.
    fn reached(&self, from: &str, hops: usize) -> Vec<(String, usize)> {
        let all = self.graph.reachable_from(self.node(from), hops);
        let mut out: Vec<(String, usize)> = all
            .into_iter()
            .filter(|(n, _)| matches!(self.graph.graph[*n], Node::Workload { .. }))
            .map(|(n, hops)| (self.name(n), hops))
            .filter(|(n, _)| n != "coredns")
            .collect();
        out.sort();
        out
    }
}

/// web → api → (cache | queue) → db; nobody reaches web.
const CHAIN: &[(&str, &[&str])] =
    &[("web", &[]), ("api", &["web"]), ("cache", &["api"]), ("queue", &["api"]), ("db", &["cache", "queue"])];

#[test]
fn an_intruder_gets_as_far_as_the_hops_say() {
    let fixture = fixture(&manifests(CHAIN));
    let names = |list: &[(&str, usize)]| list.iter().map(|(n, h)| ((*n).to_owned(), *h)).collect::<Vec<_>>();
    assert_eq!(fixture.reached("web", 1), names(&[("api", 1)]));
    assert_eq!(fixture.reached("web", 2), names(&[("api", 1), ("cache", 2), ("queue", 2)]));
    assert_eq!(fixture.reached("web", 9), names(&[("api", 1), ("cache", 2), ("db", 3), ("queue", 2)]));
    assert_eq!(fixture.reached("db", 9), names(&[]));
}

#[test]
fn every_shortest_chain_is_found() {
    let fixture = fixture(&manifests(CHAIN));
    let paths = fixture.graph.shortest_paths(fixture.node("web"), fixture.node("db"), 10);
    let paths: Vec<Vec<String>> = paths.into_iter().map(|p| fixture.names(p)).collect();
    assert_eq!(paths, [["web", "api", "cache", "db"], ["web", "api", "queue", "db"]]);
    assert_eq!(fixture.graph.shortest_paths(fixture.node("web"), fixture.node("db"), 1).len(), 1);
    assert!(fixture.graph.shortest_paths(fixture.node("db"), fixture.node("web"), 10).is_empty());
}

#[test]
fn cuts_count_the_pairs_that_every_chain_of_leads_through_a_workload() {
    let fixture = fixture(&manifests(CHAIN));
    let ranking: Vec<(String, u64)> =
        fixture.graph.cut_ranking().into_iter().map(|(n, c)| (fixture.name(n), c)).collect();
    // From web: cache, queue and db are behind api. Behind cache or queue alone is nothing: db has two ways.
    assert_eq!(ranking, [("api".to_owned(), 3)]);
}

/// DNS pods that exist and that nobody may reach, so that they connect nothing.
const CLOSED_DNS: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}}\nspec: {containers: [{name: c, image: i}]}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed, namespace: kube-system}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n";

#[test]
fn components_are_what_hangs_together() {
    let text = manifests(&[("a", &[]), ("b", &["a"]), ("c", &[]), ("d", &["c"]), ("e", &[])]);
    let fixture = fixture(&(text + CLOSED_DNS));
    let mut components: Vec<Vec<String>> = fixture.graph.components().into_iter().map(|c| fixture.names(c)).collect();
    components.sort();
    let expected: [&[&str]; 4] = [&["a", "b"], &["c", "d"], &["dns"], &["e"]];
    assert_eq!(components, expected);
}

/// web and back both speak with the internet, and not with each other: that is no chain.
#[test]
fn outside_nothing_is_passed_on() {
    let text = manifests(&[("web", &[]), ("back", &[])])
        + "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: in, namespace: shop}\nspec: {podSelector: {matchLabels: {app: back}}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}\n---\n"
        + "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nstatus: {addresses: [{type: InternalIP, address: 192.168.0.1}]}\n---\n"
        + "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: dns, namespace: kube-system}\nspec: {podSelector: {}, policyTypes: [Ingress]}\n";
    let fixture = fixture(&text);
    let (web, back) = (fixture.node("web"), fixture.node("back"));
    let is_outside = |n: NodeIndex| matches!(fixture.graph.graph[n], Node::Outside(_) | Node::Internet);
    assert!(fixture.graph.graph.neighbors(web).any(is_outside), "web reaches the outside");
    let into_back = fixture.graph.graph.neighbors_directed(back, petgraph::Direction::Incoming);
    assert!(into_back.into_iter().any(is_outside), "the outside reaches back");
    assert!(fixture.graph.shortest_paths(web, back, 10).is_empty());
    assert!(fixture.graph.reachable_from(web, 9).iter().all(|(n, _)| *n != back));
}

/// Nine pods, each of which lets in up to two others, and DNS pods that nobody reaches.
fn sparse(random: &mut clusters::Random) -> String {
    const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let clients: Vec<Vec<&str>> =
        NAMES.iter().map(|_| (0..random.below(3)).map(|_| *random.pick(&NAMES)).collect()).collect();
    let edges: Vec<(&str, &[&str])> = NAMES.iter().zip(&clients).map(|(n, c)| (*n, c.as_slice())).collect();
    manifests(&edges) + CLOSED_DNS
}

/// Hops, chains, components and cuts, against the plainest reading of each over single decisions.
#[test]
fn random_clusters_agree_with_brute_force() {
    let profile: Profile = "kube-network-policies".parse().unwrap();
    let (mut far, mut cuts) = (0, 0);
    for seed in 0..100 {
        // Most random clusters are open to each other; chains are long where each pod lets in one or two others.
        let text = if seed < 20 { clusters::cluster(seed) } else { sparse(&mut clusters::Random(seed)) };
        let cluster = common::cluster_of_text(&text);
        let policies = Policies::lower(&cluster);
        let evaluator = Evaluator::new(&cluster, &policies, &profile);
        let graph = Graph::new(&cluster, &policies, &Matrix::new(&cluster, &policies, &profile, Options::default()));
        let nodes: Vec<NodeIndex> = graph.workloads().collect();
        let pods = |n: NodeIndex| match &graph.graph[n] {
            Node::Workload { pods, .. } => pods.clone(),
            other => panic!("{other:?}"),
        };
        let connects = |a: NodeIndex, b: NodeIndex| {
            pods(a).into_iter().any(|client| {
                pods(b).into_iter().filter(|server| *server != client).any(|server| {
                    let end = |p| Endpoint::pod(&cluster, p, false);
                    let (client, server) = (end(client), end(server));
                    evaluator.connections(&client, &server).any_allowed()
                        || [Protocol::Icmp, Protocol::Other(47)].into_iter().any(|protocol| {
                            let flow = Flow { client, server, protocol, port: 0, name: None, via_service: false };
                            evaluator.evaluate(&flow).outcome == Outcome::Allowed
                        })
                })
            })
        };
        let count = nodes.len();
        let next: Vec<Vec<bool>> =
            nodes.iter().map(|a| nodes.iter().map(|b| a != b && connects(*a, *b)).collect()).collect();
        // Distances without some workload, by going on until nothing changes.
        let distances = |without: Option<usize>| {
            let mut hops = vec![vec![usize::MAX; count]; count];
            for (from, row) in hops.iter_mut().enumerate().filter(|(f, _)| Some(*f) != without) {
                row[from] = 0;
                for step in 0..count {
                    for at in (0..count).filter(|at| row[*at] == step).collect::<Vec<_>>() {
                        for to in (0..count).filter(|to| next[at][*to] && Some(*to) != without) {
                            row[to] = row[to].min(step + 1);
                        }
                    }
                }
            }
            hops
        };
        let hops = distances(None);
        for (a, from) in nodes.iter().enumerate() {
            for limit in [1, 2, usize::MAX] {
                let found: HashMap<NodeIndex, usize> = graph.reachable_from(*from, limit).into_iter().collect();
                for (b, to) in nodes.iter().enumerate().filter(|(b, _)| *b != a) {
                    let expected = Some(hops[a][b]).filter(|h| *h != usize::MAX && *h <= limit);
                    assert_eq!(found.get(to).copied(), expected, "seed {seed}: {a} -> {b} within {limit}");
                    far += usize::from(expected.is_some_and(|h| h > 1));
                }
            }
            for (b, to) in nodes.iter().enumerate().filter(|(b, _)| *b != a) {
                let paths = graph.shortest_paths(*from, *to, 3);
                assert_eq!(paths.is_empty(), hops[a][b] == usize::MAX, "seed {seed}: {a} -> {b}");
                for path in paths {
                    let at: Vec<usize> = path.iter().map(|n| nodes.iter().position(|m| m == n).unwrap()).collect();
                    assert_eq!(at.len(), hops[a][b] + 1, "seed {seed}: the shortest");
                    assert!(at.windows(2).all(|w| next[w[0]][w[1]]), "seed {seed}: {at:?} is a chain");
                }
            }
        }
        let mut expected: Vec<(NodeIndex, u64)> = Vec::new();
        for (cut, node) in nodes.iter().enumerate() {
            let without = distances(Some(cut));
            let lost = |a: usize, b: usize| hops[a][b] != usize::MAX && without[a][b] == usize::MAX;
            let others = || (0..count).filter(|i| *i != cut);
            let pairs = others().flat_map(|a| others().map(move |b| (a, b))).filter(|(a, b)| a != b && lost(*a, *b));
            let pairs = pairs.count() as u64;
            if pairs > 0 {
                expected.push((*node, pairs));
            }
        }
        expected.sort_by_key(|(n, c)| (u64::MAX - c, *n));
        cuts += expected.len();
        assert_eq!(graph.cut_ranking(), expected, "seed {seed}");
        let mut group: Vec<usize> = (0..count).collect();
        for _ in 0..count {
            for a in 0..count {
                for b in (0..count).filter(|b| next[a][*b] || next[*b][a]) {
                    let least = group[a].min(group[b]);
                    (group[a], group[b]) = (least, least);
                }
            }
        }
        for component in graph.components() {
            let of: Vec<usize> = component.iter().map(|n| group[nodes.iter().position(|m| m == n).unwrap()]).collect();
            assert!(of.windows(2).all(|w| w[0] == w[1]), "seed {seed}: one component");
            assert_eq!(group.iter().filter(|g| **g == of[0]).count(), of.len(), "seed {seed}: all of it");
        }
    }
    assert!(far > 100 && cuts > 10, "chains and cuts occur: {far} {cuts}");
}

#[test]
fn edges_say_ports_guards_and_deciding_rules() {
    let fixture = fixture(&manifests(CHAIN));
    let (web, api) = (fixture.node("web"), fixture.node("api"));
    let graph = &fixture.graph.graph;
    let edge = graph.find_edge(web, api).map(|e| &graph[e]);
    let Some(Edge::Allows { ports, unknown, everywhere: true }) = edge else { panic!("{edge:?}") };
    assert_eq!((ports.to_string(), unknown.is_empty()), ("TCP 80".to_owned(), true));
    let policy = graph
        .node_indices()
        .find(|n| matches!(graph[*n], Node::Policy(id) if &*fixture.policies.info(id).name == "to-api"));
    let guards = graph.find_edge(policy.unwrap(), api).map(|e| &graph[e]);
    let expected = Edge::Guards {
        tier: Tier::NetworkPolicy,
        direction: Direction::Ingress,
        isolates: true,
        actions: vec![Action::Allow(Vec::new())],
    };
    assert_eq!(guards, Some(&expected));
    let profile: Profile = "kube-network-policies".parse().unwrap();
    let evaluator = Evaluator::new(&fixture.cluster, &fixture.policies, &profile);
    let (_, rules) = fixture.graph.explain(&evaluator, web, api, (Protocol::Tcp, 80), false).unwrap();
    assert_eq!(rules.len(), 1);
    assert_eq!(&*fixture.policies.info(rules[0].policy).name, "to-api");
    assert_eq!((rules[0].direction, rules[0].rule), (Direction::Ingress, 0));
}
