//! Who can reach whom on which ports, over workloads or pods: the answer of `netcheck graph`, whatever it is drawn as.
//!
//! A cluster and what was asked for come in; ends (workloads, pods, nodes, outside addresses) and rectangles of edges go
//! out. The [`Matrix`] knows classes of pods; this knows what people call them. Pairs of pods are never listed: an edge
//! holds every client and every server of one answer. Nothing is known here of how an answer is drawn.

mod ends;
mod exposed;
mod questions;
mod relation;
mod rules;

use std::collections::BTreeSet;

use crate::model::query::Client;
use crate::model::{Cluster, NamespaceId, Str};
use crate::policy::{Policies, Profile};
use crate::reach::matrix::{self, L4Set, Matrix};

pub use ends::{Column, End, EndKind};
pub use exposed::{Exposure, Source, Through};
pub use questions::{Answer, Question, answer};
pub use relation::Ports;
pub use rules::{Decider, Why, why};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Every pod by itself, not its workload.
    pub pods: bool,
    /// Edges with an end in one of these namespaces; all where there is none.
    pub namespaces: Vec<NamespaceId>,
    /// Edges from these alone.
    pub from: Vec<Client>,
    /// Edges to these alone.
    pub to: Vec<Client>,
    /// Edges on these ports alone.
    pub ports: Option<L4Set>,
    /// Whether what is exposed is asked for as well.
    pub exposure: bool,
}

/// Clients that reach servers on ports: each of them each of them, but nobody itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Clients: indices of [`Graph::ends`], sorted.
    pub clients: Vec<u32>,
    /// Servers, in the same way. One end on both sides means the pods of that end among each other.
    pub servers: Vec<u32>,
    /// On which ports.
    pub ports: Ports,
}

impl Edge {
    /// Pairs of different ends, or one end with itself.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let alone = self.is_loop();
        self.clients
            .iter()
            .flat_map(move |c| self.servers.iter().filter(move |s| alone || *s != c).map(move |s| (*c, *s)))
    }

    /// Whether it is about the pods of one end among each other.
    pub fn is_loop(&self) -> bool {
        self.clients.len() == 1 && self.clients == self.servers
    }

    /// How many pairs there are.
    pub fn len(&self) -> u64 {
        if self.is_loop() {
            return 1;
        }
        let all = self.clients.len() as u64 * self.servers.len() as u64;
        let itself = self.clients.iter().filter(|c| self.servers.binary_search(c).is_ok()).count() as u64;
        all - itself
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The answer.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Whether ends are pods, not workloads.
    pub pods: bool,
    /// Whether addresses are of IPv6.
    pub v6: bool,
    /// Ends, by kind, namespace and name.
    pub ends: Vec<End>,
    /// Edges, each pair in at most one.
    pub edges: Vec<Edge>,
    /// What is exposed to others than the pods that exist.
    pub exposures: Vec<Exposure>,
    /// What is to be said about it.
    pub notes: Vec<String>,
}

impl Graph {
    /// How many pairs the edges hold.
    pub fn pairs(&self) -> u64 {
        self.edges.iter().map(Edge::len).sum()
    }
}

/// Builds the answer.
pub fn build(cluster: &Cluster, policies: &Policies, profile: &Profile, options: &Options) -> Graph {
    let mut notes = Vec::new();
    let v6 = family(cluster, &mut notes);
    let matrix = Matrix::new(cluster, policies, profile, matrix::Options { v6 });
    let ends = ends::of(cluster, &matrix, options.pods);
    if ends.iter().any(|e| e.kind == EndKind::Nodes || e.host_network) {
        notes.push(
            "nodes and pods on their node's network are shown as seen from pods of other nodes: a pod's own node always reaches it"
                .to_owned(),
        );
    }
    let picked = |specs: &[Client]| -> Option<BTreeSet<u32>> {
        (!specs.is_empty()).then(|| {
            let found = |end: &End| specs.iter().any(|s| end.is(s, &matrix));
            ends.iter().enumerate().filter(|(_, e)| found(e)).map(|(i, _)| i as u32).collect()
        })
    };
    let (from, to) = (picked(&options.from), picked(&options.to));
    let here = |end: u32| {
        options.namespaces.is_empty() || ends[end as usize].namespace.is_some_and(|n| options.namespaces.contains(&n))
    };
    // What stands outside connects to pods by way of what is exposed, unless it was asked for.
    let client = |end: u32| match &from {
        Some(from) => from.contains(&end),
        None => matches!(ends[end as usize].kind, EndKind::Pods | EndKind::Nodes),
    };
    let server = |end: u32| to.as_ref().is_none_or(|to| to.contains(&end));
    let edges = relation::edges(
        &matrix,
        &ends,
        &relation::Wanted { client: &client, server: &server, here: &here, ports: options.ports.as_ref() },
    );
    let mut exposures = Vec::new();
    let outside = options.from.contains(&Client::Internet);
    if options.exposure && (options.from.is_empty() || outside) {
        let wanted = |end: u32| server(end) && here(end);
        let asked = exposed::Asked {
            cluster,
            policies,
            profile,
            matrix: &matrix,
            ends: &ends,
            edges: &edges,
            server: &wanted,
            outside_only: outside,
            only_ports: options.ports.as_ref(),
        };
        exposures = exposed::exposures(&asked, &mut notes);
    }
    Graph { pods: options.pods, v6, ends, edges, exposures, notes }
}

/// The family that is looked at: IPv4 where any pod has such an address or none has any.
fn family(cluster: &Cluster, notes: &mut Vec<String>) -> bool {
    match (cluster.has_addresses(false), cluster.has_addresses(true)) {
        (false, true) => true,
        (true, true) => {
            notes.push("pods have addresses of both families: the answer is for IPv4".to_owned());
            false
        }
        _ => false,
    }
}

/// The name of a namespace.
pub fn namespace_name(cluster: &Cluster, id: NamespaceId) -> &Str {
    &cluster.namespaces[id.index()].name
}
