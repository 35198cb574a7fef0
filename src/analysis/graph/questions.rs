//! Questions that need more than one step: how far an intruder gets, by which chain, what hangs together, whose isolation
//! would cut most. The petgraph of `reach` answers them; this says whom its nodes stand for.

use std::collections::{BTreeMap, HashMap};

use petgraph::graph::NodeIndex;

use super::{End, ends, family};
use crate::model::{Cluster, PodId};
use crate::policy::{Policies, Profile};
use crate::reach::graph::{Graph, Node};
use crate::reach::matrix::{self, Column, Matrix};

/// A question. Only connections that are certain count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Everything within so many hops of a pod.
    ReachableFrom(PodId, usize),
    /// The shortest chains from one pod to another, at most so many.
    Paths(PodId, PodId, usize),
    /// Workloads that hang together in either direction.
    Components,
    /// The workloads without which most pairs of others were cut off, at most so many.
    Cuts(usize),
}

/// An answer, in indices of its ends.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Whom the indices stand for.
    pub ends: Vec<End>,
    /// What is reached, with the number of hops, nearest first.
    pub reached: Vec<(usize, usize)>,
    /// Chains, each from the first to the last.
    pub paths: Vec<Vec<usize>>,
    /// Groups, the largest first.
    pub components: Vec<Vec<usize>>,
    /// Workloads with the number of ordered pairs they would cut off, most first.
    pub cuts: Vec<(usize, u64)>,
}

/// Answers a question. None where a pod has finished or is on its node's network: no policy sees it.
pub fn answer(cluster: &Cluster, policies: &Policies, profile: &Profile, question: &Question) -> Option<Answer> {
    let v6 = family(cluster, &mut Vec::new());
    let matrix = Matrix::new(cluster, policies, profile, matrix::Options { v6 });
    let graph = Graph::new(cluster, policies, &matrix);
    let ends = ends::of(cluster, &matrix, false);
    let mut of_pod: HashMap<PodId, usize> = HashMap::new();
    let mut of_column: BTreeMap<u32, usize> = BTreeMap::new();
    for (index, end) in ends.iter().enumerate() {
        of_pod.extend(end.pods.iter().map(|p| (*p, index)));
        if end.pods.is_empty() {
            of_column.extend(end.columns.iter().map(|c| (c.index, index)));
        }
    }
    let end = |node: NodeIndex| match graph.graph.node_weight(node)? {
        Node::Workload { pods, .. } => of_pod.get(pods.first()?).copied(),
        Node::Outside(group) => of_column.get(&matrix.index(Column::Outside(*group))).copied(),
        Node::Nodes(class) => of_column.get(&matrix.index(Column::Nodes(*class, matrix::Relation::Other))).copied(),
        // An address on the internet that isn't known is one of the groups of outside addresses.
        Node::Internet | Node::Service(_) | Node::Policy(_) => None,
    };
    let all = |nodes: &[NodeIndex]| -> Vec<usize> { nodes.iter().filter_map(|n| end(*n)).collect() };
    let mut out = Answer::default();
    match question {
        Question::ReachableFrom(pod, hops) => {
            out.reached = graph
                .reachable_from(graph.of_pod(*pod)?, *hops)
                .into_iter()
                .filter_map(|(node, hops)| Some((end(node)?, hops)))
                .collect();
            out.reached.sort_by_key(|(end, hops)| (*hops, *end));
            out.reached.dedup();
        }
        Question::Paths(from, to, most) => {
            let paths = graph.shortest_paths(graph.of_pod(*from)?, graph.of_pod(*to)?, *most);
            out.paths = paths.iter().map(|p| all(p)).collect();
        }
        Question::Components => out.components = graph.components().iter().map(|c| all(c)).collect(),
        Question::Cuts(most) => {
            let ranking = graph.cut_ranking().into_iter().take(*most);
            out.cuts = ranking.filter_map(|(node, count)| Some((end(node)?, count))).collect();
        }
    }
    out.ends = ends;
    Some(out)
}
