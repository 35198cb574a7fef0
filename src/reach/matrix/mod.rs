//! All pairs at once: who reaches whom on which ports, over classes of endpoints, never over pairs of pods.
//!
//! A cluster and the compositions of a profile come in; a [`Matrix`] goes out. Endpoints that no policy can tell apart are
//! one column; servers that the same rules concern are one row; a row holds, for each group of ports, the set of clients
//! that pass and the set of those for which it can't be told. PERFORMANCE gives the derivation. The matrix gives the answer
//! of [`Evaluator::evaluate`](super::Evaluator::evaluate) for every pair; why it is so, that evaluator says for one pair.
//!
//! Two things are no matter of classes and are settled per pair on top: a pod always reaches itself, and a pod's own node
//! is another column than other nodes ([`Column::Nodes`]). A pod that reaches itself through a Service isn't covered: that
//! is a question about one pod.
//!
//! One matrix holds one family of addresses ([`Options::v6`]).

mod addresses;
mod columns;
mod incidence;
mod layers;
mod legs;
mod ports;
mod products;
mod revise;
mod rows;
mod rules;
mod sets;
mod terms;
mod vocabulary;

use std::net::IpAddr;
use std::sync::Arc;

use rayon::prelude::*;

use self::columns::Columns;
use super::eval::{Endpoint, Outcome};
use crate::model::{Cluster, NamespaceId, PodId, Protocol};
use crate::policy::profile::compose;
use crate::policy::rule::DomainPattern;
use crate::policy::{Composition, Policies, Profile};

pub use columns::{Column, Relation};
pub use ports::{L4Set, PROTOCOLS};
pub use revise::{Changed, Difference, Engine, Revision};
pub use rows::{Answer, Part, Row};
pub use sets::Set;

/// What a matrix covers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// IPv6 and not IPv4: ranges of addresses are of one family, and dual-stack pods are judged for each apart.
    pub v6: bool,
}

/// What two endpoints may say to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Connections {
    /// Allowed.
    pub allowed: L4Set,
    /// Can't be told.
    pub unknown: L4Set,
}

impl Connections {
    /// The answer for one port.
    pub fn outcome(&self, protocol: Protocol, port: u16) -> Outcome {
        if self.allowed.contains(protocol, port) {
            Outcome::Allowed
        } else if self.unknown.contains(protocol, port) {
            Outcome::Unknown
        } else {
            Outcome::Denied
        }
    }

    /// What is allowed is not unknown.
    fn settle(&mut self) {
        if !self.unknown.is_empty() && !self.allowed.is_empty() {
            self.unknown = self.unknown.minus(&self.allowed);
        }
    }
}

/// Clients that reach servers on ports: every one of them each of them, but pods themselves, which they always reach.
#[derive(Clone, Debug)]
pub struct Rectangle {
    /// Clients.
    pub clients: Set,
    /// Servers.
    pub servers: Set,
    /// Ports.
    pub ports: L4Set,
    /// Whether it is certain.
    pub certain: bool,
}

/// How large a matrix is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pods with an address of their own that run or will.
    pub pods: u64,
    /// Classes of pods.
    pub pod_classes: u64,
    /// Columns.
    pub columns: u64,
    /// Distinct rows.
    pub rows: u64,
    /// Parts of the rows: rectangles of clients, servers and ports, which may overlap.
    pub rectangles: u64,
    /// Ordered pairs of different pods with at least one port open for sure.
    pub open_pairs: u64,
    /// Ordered pairs of different pods where nothing is open for sure and something may be.
    pub unknown_pairs: u64,
}

/// All pairs of a cluster.
#[derive(Debug)]
pub struct Matrix<'a> {
    cluster: &'a Cluster,
    columns: Arc<Columns>,
    rows: Vec<Row>,
    row_of: Vec<u32>,
}

impl<'a> Matrix<'a> {
    /// Builds the matrix of a profile.
    pub fn new(cluster: &'a Cluster, policies: &Policies, profile: &Profile, options: Options) -> Self {
        Self::build(cluster, policies, &compose(policies, profile), options)
    }

    /// Builds the matrix of the compositions of a profile.
    pub fn build(cluster: &'a Cluster, policies: &Policies, compositions: &[Composition], options: Options) -> Self {
        Engine::build(cluster, policies, compositions, &[], options).into_matrix()
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The clients of a row by what they get: whoever gets anything is in one answer.
    pub fn answers(&self, row: &Row) -> Vec<Answer> {
        row.answers(self.columns.universe)
    }

    /// The same for some clients only.
    pub fn answers_for(&self, row: &Row, clients: &Set) -> Vec<Answer> {
        row.among(clients, self.columns.universe).answers(self.columns.universe)
    }

    /// A set of columns that are given in order.
    pub fn set(&self, columns: impl IntoIterator<Item = u32>) -> Set {
        Set::from_sorted(columns, self.columns.universe)
    }

    /// Everything that is open or may be, as rectangles that don't overlap. Ordered by rows.
    pub fn rectangles(&self) -> impl Iterator<Item = Rectangle> + '_ {
        self.rows.iter().flat_map(move |row| {
            self.answers(row).into_iter().flat_map(move |answer| {
                let Connections { allowed, unknown } = answer.connections;
                [(allowed, true), (unknown, false)].into_iter().filter(|(ports, _)| !ports.is_empty()).map(
                    move |(ports, certain)| Rectangle {
                        clients: answer.clients.clone(),
                        servers: row.servers.clone(),
                        ports,
                        certain,
                    },
                )
            })
        })
    }

    /// What a column stands for.
    pub fn column(&self, index: u32) -> Column {
        self.columns.column(index)
    }

    /// The index of a column.
    pub fn index(&self, column: Column) -> u32 {
        self.columns.index(column)
    }

    /// The column of an endpoint, as the endpoint across sees it; none for an address of the other family, or a pod that
    /// has finished.
    pub fn column_of(&self, endpoint: &Endpoint, across: &Endpoint) -> Option<u32> {
        self.columns.of_endpoint(self.cluster, endpoint, across)
    }

    /// Whether addresses are of IPv6.
    pub fn is_v6(&self) -> bool {
        self.columns.v6
    }

    /// How many columns there are.
    pub fn len(&self) -> u32 {
        self.columns.universe
    }

    /// Whether there is no column; there always is one, for the internet.
    pub fn is_empty(&self) -> bool {
        self.columns.universe == 0
    }

    /// The class of a pod; none for one that has finished, or is on its node's network.
    pub fn class_of(&self, pod: PodId) -> Option<u32> {
        self.columns.class_of(pod)
    }

    /// The pods of a class, in order.
    pub fn pods(&self, class: u32) -> &[PodId] {
        self.columns.pods(class)
    }

    /// The classes of a namespace, a contiguous range of columns.
    pub fn classes_of(&self, namespace: NamespaceId) -> std::ops::Range<u32> {
        self.columns.of_namespace.get(namespace.index()).map_or(0..0, |(start, end)| *start..*end)
    }

    /// The addresses of a group outside the cluster, first and last of each range.
    pub fn addresses(&self, group: u32) -> Vec<(IpAddr, IpAddr)> {
        self.columns.addresses.ranges(group)
    }

    /// How many groups of outside addresses there are.
    pub fn address_groups(&self) -> u32 {
        self.columns.addresses.groups()
    }

    /// The pattern of a column of DNS names.
    pub fn name_pattern(&self, at: u32) -> Option<&DomainPattern> {
        self.columns.names.get(at as usize)
    }

    /// What may pass from one endpoint to another; none where an address is of the other family, or a pod has finished.
    pub fn between(&self, client: &Endpoint, server: &Endpoint) -> Option<Connections> {
        let from = self.columns.of_endpoint(self.cluster, client, server)?;
        let to = self.columns.of_endpoint(self.cluster, server, client)?;
        if client.as_pod().is_some() && client.as_pod() == server.as_pod() {
            // "A pod always reaches its own IP" (42).
            return Some(Connections { allowed: L4Set::all(), unknown: L4Set::empty() });
        }
        Some(self.at(from, to))
    }

    /// What may pass from a client to a DNS name outside the cluster, in lower case without a final dot.
    pub fn to_name(&self, client: &Endpoint, name: &str) -> Option<Connections> {
        let from = self.columns.of_endpoint(self.cluster, client, &Endpoint::internet())?;
        Some(self.at(from, self.columns.of_name(name)))
    }

    /// What may pass from one pod to another, pods on their node's network included.
    pub fn allowed(&self, client: PodId, server: PodId) -> Option<Connections> {
        let endpoint = |pod| Endpoint::pod(self.cluster, pod, self.columns.v6);
        self.between(&endpoint(client), &endpoint(server))
    }

    /// What may pass from one column to another.
    pub fn at(&self, client: u32, server: u32) -> Connections {
        self.row_of(server).map_or_else(Connections::default, |row| row.of_client(client))
    }

    /// The index of a server's row.
    pub fn row_index(&self, server: u32) -> Option<u32> {
        self.row_of.get(server as usize).copied()
    }

    /// The row of a server.
    pub fn row_of(&self, server: u32) -> Option<&Row> {
        self.row_of.get(server as usize).and_then(|row| self.rows.get(*row as usize))
    }

    /// How many pods a column stands for.
    fn weight(&self, column: u32) -> u64 {
        if column < self.columns.pod_classes() { self.columns.pods(column).len() as u64 } else { 0 }
    }

    /// Sizes, and how many pairs of pods are open.
    pub fn counts(&self) -> Counts {
        let n = self.columns.universe;
        let classes = self.columns.pod_classes();
        let pods = Set::range(0, classes);
        // Pods before each class.
        let before: Vec<u64> = std::iter::once(0)
            .chain((0..classes).scan(0, |sum, class| {
                *sum += self.weight(class);
                Some(*sum)
            }))
            .collect();
        let within = |set: &Set| {
            let mut sum = 0;
            set.and(&pods, n).each_run(|(start, end)| sum += before[end as usize] - before[start as usize]);
            sum
        };
        let pairs: Vec<(u64, u64)> = self
            .rows
            .par_iter()
            .map(|row| {
                let servers = row.servers.and(&pods, n);
                if servers.is_empty() {
                    return (0, 0);
                }
                let open = Set::union(row.parts.iter().map(|p| &p.allowed), n);
                let unknown = Set::union(row.parts.iter().map(|p| &p.unknown), n).minus(&open, n);
                let count = |clients: &Set| {
                    let itself: u64 = servers.and(clients, n).iter().map(|s| self.weight(s)).sum();
                    within(&servers) * within(clients) - itself
                };
                (count(&open), count(&unknown))
            })
            .collect();
        Counts {
            pods: within(&pods),
            pod_classes: u64::from(classes),
            columns: u64::from(n),
            rows: self.rows.len() as u64,
            rectangles: self.rows.iter().map(|r| r.parts.len() as u64).sum(),
            open_pairs: pairs.iter().map(|p| p.0).sum(),
            unknown_pairs: pairs.iter().map(|p| p.1).sum(),
        }
    }
}
