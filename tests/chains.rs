//! Questions of more than one step: hops, chains, components, cuts.

mod common;

use netcheck::model::{Cluster, Protocol};
use netcheck::policy::rule::{Action, Direction, Tier};
use netcheck::policy::{Policies, Profile};
use netcheck::reach::Evaluator;
use netcheck::reach::graph::{Edge, Graph, Node};
use netcheck::reach::matrix::{Matrix, Options};
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

#[test]
fn components_are_what_hangs_together() {
    let text = manifests(&[("a", &[]), ("b", &["a"]), ("c", &[]), ("d", &["c"]), ("e", &[])]);
    // DNS pods that exist and that nobody may reach, so that they connect nothing.
    let dns = "apiVersion: v1\nkind: Pod\nmetadata: {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}}\nspec: {containers: [{name: c, image: i}]}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed, namespace: kube-system}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n";
    let fixture = fixture(&(text + dns));
    let mut components: Vec<Vec<String>> = fixture.graph.components().into_iter().map(|c| fixture.names(c)).collect();
    components.sort();
    let expected: [&[&str]; 4] = [&["a", "b"], &["c", "d"], &["dns"], &["e"]];
    assert_eq!(components, expected);
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
