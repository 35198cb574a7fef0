//! The graph of workloads, Services, outside addresses and policies, and what can be asked of it.
//!
//! A [`Matrix`] and the policies it was built from come in; a petgraph goes out, with the questions that need more than one
//! step: how far an intruder gets, by which chain, and whose isolation would stop most. Ports and certainty of an edge are
//! the matrix's; which rule decided it, [`Evaluator`] says for one pair of its pods. The number of edges grows with the
//! number of pairs of workloads: for whole clusters of the largest size, ask the matrix itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use petgraph::algo::dominators::simple_fast;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::unionfind::UnionFind;
use petgraph::visit::{EdgeFiltered, EdgeRef};
use rayon::prelude::*;

use super::eval::{Decision, Endpoint, Evaluator, Flow};
use super::matching::{self, Selected, Tri};
use super::matrix::{Column, L4Set, Matrix, Relation};
use crate::model::{Cluster, NamespaceId, PodId, Protocol, ServiceId, WorkloadRef};
use crate::policy::Policies;
use crate::policy::rule::{Action, Direction, PolicyId, RuleRef, StagePolicy, Tier};

/// What a node of the graph stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// The pods of a workload; a pod that belongs to none is its own, and has no reference.
    Workload {
        /// Namespace.
        namespace: NamespaceId,
        /// The workload.
        workload: Option<WorkloadRef>,
        /// Its pods, in order.
        pods: Vec<PodId>,
    },
    /// Nodes that no policy can tell apart, by their class in the matrix.
    Nodes(u32),
    /// Addresses that no object has, by their group in the matrix.
    Outside(u32),
    /// Somewhere on the internet.
    Internet,
    /// A Service.
    Service(ServiceId),
    /// A policy.
    Policy(PolicyId),
}

/// What an edge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Some pod of the first reaches some pod of the second.
    Allows {
        /// On these ports for sure.
        ports: L4Set,
        /// On these it can't be told.
        unknown: L4Set,
        /// Whether it is so of every pod of either.
        everywhere: bool,
    },
    /// A Service sends its clients to pods of a workload.
    Selects,
    /// A policy selects pods of a workload.
    Guards {
        /// Its tier.
        tier: Tier,
        /// The direction.
        direction: Direction,
        /// Whether the pods are isolated by being selected.
        isolates: bool,
        /// What its rules of the direction do, each once.
        actions: Vec<Action>,
    },
}

impl Edge {
    fn is_flow(&self) -> bool {
        matches!(self, Self::Allows { ports, .. } if !ports.is_empty())
    }
}

/// The graph.
#[derive(Debug)]
pub struct Graph {
    /// Nodes and edges.
    pub graph: DiGraph<Node, Edge>,
    of_pod: HashMap<PodId, NodeIndex>,
}

/// Ports between two nodes, gathered from rectangles.
#[derive(Default)]
struct Gathered {
    ports: L4Set,
    unknown: L4Set,
    /// Ports for sure, by the pair of columns.
    pairs: BTreeMap<(u32, u32), L4Set>,
}

impl Graph {
    /// Builds the graph.
    pub fn new(cluster: &Cluster, policies: &Policies, matrix: &Matrix<'_>) -> Self {
        let mut out = Self { graph: DiGraph::new(), of_pod: HashMap::new() };
        let of_column = out.endpoints(cluster, matrix);
        out.flows(matrix, &of_column);
        out.services(cluster);
        for (tier, lowered) in [
            (Tier::Admin, &policies.admin),
            (Tier::NetworkPolicy, &policies.network),
            (Tier::Baseline, &policies.baseline),
        ] {
            for direction in [Direction::Ingress, Direction::Egress] {
                for policy in lowered.of(direction).iter() {
                    out.guards(cluster, policy, &tier, direction);
                }
            }
        }
        out
    }

    /// Enters workloads, nodes and addresses; the graph's nodes that each column of the matrix has a part in.
    fn endpoints(&mut self, cluster: &Cluster, matrix: &Matrix<'_>) -> Vec<Vec<NodeIndex>> {
        let mut pods_of: BTreeMap<(NamespaceId, Option<WorkloadRef>, Option<PodId>), Vec<PodId>> = BTreeMap::new();
        for index in 0..cluster.pods.len() as u32 {
            let (id, pod) = (PodId(index), &cluster.pods[index as usize]);
            if matrix.class_of(id).is_some() {
                let alone = pod.workload.is_none().then_some(id);
                pods_of.entry((pod.namespace, pod.workload.clone(), alone)).or_default().push(id);
            }
        }
        for ((namespace, workload, _), pods) in pods_of {
            let members = pods.clone();
            let node = self.graph.add_node(Node::Workload { namespace, workload, pods });
            self.of_pod.extend(members.into_iter().map(|pod| (pod, node)));
        }
        (0..matrix.len())
            .map(|index| match matrix.column(index) {
                Column::Pods(class) => {
                    let all: BTreeSet<NodeIndex> =
                        matrix.pods(class).iter().filter_map(|p| self.of_pod.get(p).copied()).collect();
                    all.into_iter().collect()
                }
                // What holds of other pods' nodes holds in general; the own node is an exception.
                Column::Nodes(class, Relation::Other) => vec![self.graph.add_node(Node::Nodes(class))],
                Column::Outside(group) => vec![self.graph.add_node(Node::Outside(group))],
                Column::Internet => vec![self.graph.add_node(Node::Internet)],
                Column::Nodes(..) | Column::Name(_) => Vec::new(),
            })
            .collect()
    }

    fn flows(&mut self, matrix: &Matrix<'_>, of_column: &[Vec<NodeIndex>]) {
        let mut gathered: BTreeMap<(NodeIndex, NodeIndex), Gathered> = BTreeMap::new();
        let is_pods = |node: NodeIndex| matches!(self.graph[node], Node::Workload { .. });
        for rectangle in matrix.rectangles() {
            for server in rectangle.servers.iter() {
                for client in rectangle.clients.iter() {
                    for to in &of_column[server as usize] {
                        for from in &of_column[client as usize] {
                            // No policy stands between what isn't a pod.
                            if !is_pods(*from) && !is_pods(*to) || (from == to && self.is_single(*from)) {
                                continue;
                            }
                            let flow = gathered.entry((*from, *to)).or_default();
                            if rectangle.certain {
                                flow.ports = flow.ports.or(&rectangle.ports);
                                let pair = flow.pairs.entry((client, server)).or_default();
                                *pair = pair.or(&rectangle.ports);
                            } else {
                                flow.unknown = flow.unknown.or(&rectangle.ports);
                            }
                        }
                    }
                }
            }
        }
        let mut columns: BTreeMap<NodeIndex, usize> = BTreeMap::new();
        for node in of_column.iter().flatten() {
            *columns.entry(*node).or_default() += 1;
        }
        for ((from, to), flow) in gathered {
            let unknown = flow.unknown.minus(&flow.ports);
            let pairs = columns.get(&from).copied().unwrap_or(0) * columns.get(&to).copied().unwrap_or(0);
            let everywhere =
                flow.unknown.is_empty() && flow.pairs.len() == pairs && flow.pairs.values().all(|p| *p == flow.ports);
            self.graph.add_edge(from, to, Edge::Allows { ports: flow.ports, unknown, everywhere });
        }
    }

    fn is_single(&self, node: NodeIndex) -> bool {
        matches!(&self.graph[node], Node::Workload { pods, .. } if pods.len() == 1)
    }

    fn services(&mut self, cluster: &Cluster) {
        for index in 0..cluster.services.len() as u32 {
            let id = ServiceId(index);
            let service = self.graph.add_node(Node::Service(id));
            let backends = cluster.services[id.index()].ports.iter().flat_map(|p| cluster.backends(id, p));
            let behind: BTreeSet<NodeIndex> =
                backends.filter_map(|b| b.pod).filter_map(|p| self.of_pod.get(&p).copied()).collect();
            for workload in behind {
                self.graph.add_edge(service, workload, Edge::Selects);
            }
        }
    }

    fn guards(&mut self, cluster: &Cluster, policy: &StagePolicy, tier: &Tier, direction: Direction) {
        let node = self.graph.node_indices().rev().find(|n| self.graph[*n] == Node::Policy(policy.policy));
        let node = node.unwrap_or_else(|| self.graph.add_node(Node::Policy(policy.policy)));
        let pods: Vec<PodId> = match policy.namespace {
            Some(namespace) => cluster.pods_of(namespace).collect(),
            None => (0..cluster.pods.len() as u32).map(PodId).collect(),
        };
        let selected: BTreeSet<NodeIndex> = pods
            .into_iter()
            .filter(|pod| matching::expr(cluster, &Selected::Pod(*pod), &policy.subject) != Tri::No)
            .filter_map(|pod| self.of_pod.get(&pod).copied())
            .collect();
        let actions: BTreeSet<Action> = policy.rules.iter().map(|r| r.action.clone()).collect();
        let actions: Vec<Action> = actions.into_iter().collect();
        for workload in selected {
            let edge =
                Edge::Guards { tier: tier.clone(), direction, isolates: policy.isolates, actions: actions.clone() };
            self.graph.add_edge(node, workload, edge);
        }
    }

    /// The node of a pod; none for one that has finished, or is on its node's network.
    pub fn of_pod(&self, pod: PodId) -> Option<NodeIndex> {
        self.of_pod.get(&pod).copied()
    }

    /// Everything within so many hops of connections that are certain, with the number of hops: how far an intruder gets.
    pub fn reachable_from(&self, start: NodeIndex, hops: usize) -> Vec<(NodeIndex, usize)> {
        let mut seen = HashMap::from([(start, 0)]);
        let mut queue = VecDeque::from([start]);
        let mut out = Vec::new();
        while let Some(node) = queue.pop_front() {
            let distance = seen[&node];
            if distance == hops {
                continue;
            }
            for next in self.next(node) {
                seen.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    out.push((next, distance + 1));
                    distance + 1
                });
            }
        }
        out
    }

    /// Where certain connections of a node lead, in the order of the graph. Only pods pass anything on: whoever is outside is
    /// not in the cluster's network, and whoever has a node needs no connections.
    fn next(&self, node: NodeIndex) -> Vec<NodeIndex> {
        if !self.is_workload(node) {
            return Vec::new();
        }
        let mut out: Vec<NodeIndex> = self
            .graph
            .edges(node)
            .filter(|e| e.weight().is_flow())
            .map(|e| e.target())
            .filter(|t| *t != node)
            .collect();
        out.sort_unstable();
        out
    }

    /// The shortest chains of certain connections, at most `limit` of them.
    pub fn shortest_paths(&self, from: NodeIndex, to: NodeIndex, limit: usize) -> Vec<Vec<NodeIndex>> {
        let mut distance = HashMap::from([(from, 0usize)]);
        distance.extend(self.reachable_from(from, usize::MAX));
        let Some(length) = distance.get(&to).copied() else { return Vec::new() };
        // Only steps that come nearer to the end are followed, so that no dead end is walked.
        let mut nearer: HashMap<NodeIndex, Vec<NodeIndex>> = HashMap::new();
        let mut level = BTreeSet::from([to]);
        for at in (0..length).rev() {
            let mut before = BTreeSet::new();
            let flows = self.graph.edge_references().filter(|e| e.weight().is_flow() && level.contains(&e.target()));
            for edge in flows.filter(|e| self.is_workload(e.source())) {
                if distance.get(&edge.source()) == Some(&at) {
                    nearer.entry(edge.source()).or_default().push(edge.target());
                    before.insert(edge.source());
                }
            }
            level = before;
        }
        nearer.values_mut().for_each(|next| next.sort_unstable());
        let mut out = Vec::new();
        let mut stack = vec![vec![from]];
        while let Some(path) = stack.pop() {
            let Some(last) = path.last().copied() else { continue };
            if last == to {
                out.push(path);
                if out.len() == limit {
                    break;
                }
                continue;
            }
            for next in nearer.get(&last).into_iter().flatten().rev() {
                let mut longer = path.clone();
                longer.push(*next);
                stack.push(longer);
            }
        }
        out
    }

    /// Workloads that hang together by certain connections in either direction; the largest group first.
    pub fn components(&self) -> Vec<Vec<NodeIndex>> {
        let mut union = UnionFind::<usize>::new(self.graph.node_count());
        for edge in self.graph.edge_references().filter(|e| e.weight().is_flow()) {
            if self.is_workload(edge.source()) && self.is_workload(edge.target()) {
                union.union(edge.source().index(), edge.target().index());
            }
        }
        let mut groups: BTreeMap<usize, Vec<NodeIndex>> = BTreeMap::new();
        for node in self.workloads() {
            groups.entry(union.find(node.index())).or_default().push(node);
        }
        let mut out: Vec<Vec<NodeIndex>> = groups.into_values().collect();
        out.sort_by_key(|g| (usize::MAX - g.len(), g[0]));
        out
    }

    fn is_workload(&self, node: NodeIndex) -> bool {
        matches!(self.graph[node], Node::Workload { .. })
    }

    /// The nodes that are workloads.
    pub fn workloads(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.graph.node_indices().filter(|n| self.is_workload(*n))
    }

    /// Workloads by how many ordered pairs of other workloads would be cut off from each other if nothing passed through
    /// them; those that cut none are left out. Exact: a pair is cut where every chain leads through the workload, which is
    /// where it dominates the second from the first.
    pub fn cut_ranking(&self) -> Vec<(NodeIndex, u64)> {
        let flows = EdgeFiltered::from_fn(&self.graph, |edge: petgraph::graph::EdgeReference<'_, Edge>| {
            edge.weight().is_flow() && self.is_workload(edge.source()) && self.is_workload(edge.target())
        });
        let starts: Vec<NodeIndex> = self.workloads().collect();
        let counts = starts
            .par_iter()
            .fold(
                || vec![0u64; self.graph.node_count()],
                |mut counts, start| {
                    let dominators = simple_fast(&flows, *start);
                    for end in self.workloads() {
                        let between = dominators.strict_dominators(end).into_iter().flatten();
                        between.filter(|b| b != start).for_each(|b| counts[b.index()] += 1);
                    }
                    counts
                },
            )
            .reduce(
                || vec![0u64; self.graph.node_count()],
                |mut a, b| {
                    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                    a
                },
            );
        let mut out: Vec<(NodeIndex, u64)> =
            starts.into_iter().map(|n| (n, counts[n.index()])).filter(|(_, c)| *c > 0).collect();
        out.sort_by_key(|(node, count)| (u64::MAX - count, *node));
        out
    }

    /// Why a connection is as it is, for the first pair of pods of two workloads, with the rules that decided it at the
    /// client and at the server. None where either isn't a workload or there is no such pair.
    pub fn explain(
        &self,
        evaluator: &Evaluator<'_>,
        from: NodeIndex,
        to: NodeIndex,
        (protocol, port): (Protocol, u16),
        v6: bool,
    ) -> Option<(Decision, Vec<RuleRef>)> {
        let (Node::Workload { pods: clients, .. }, Node::Workload { pods: servers, .. }) =
            (self.graph.node_weight(from)?, self.graph.node_weight(to)?)
        else {
            return None;
        };
        let client = *clients.first()?;
        let server = *servers.iter().find(|p| **p != client)?;
        let flow = Flow {
            client: Endpoint::pod(evaluator.cluster, client, v6),
            server: Endpoint::pod(evaluator.cluster, server, v6),
            protocol,
            port,
            name: None,
            via_service: false,
        };
        let decision = evaluator.evaluate(&flow);
        let rules = decision.legs().into_iter().filter_map(|leg| leg.decided_by()).collect();
        Some((decision, rules))
    }
}
