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
mod legs;
mod ports;
mod rules;
mod sets;
mod terms;
mod vocabulary;

use std::net::IpAddr;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use self::columns::Columns;
use self::legs::{Leg, Legs, OwnNode, Work};
use self::rules::{Compiled, Lowering, Sharing, StageItems};
use self::terms::{Index, Matched};
use super::eval::{Endpoint, Outcome};
use crate::model::{Cluster, ContainerKind, ContainerPort, NamespaceId, PodId, Protocol};
use crate::policy::profile::compose;
use crate::policy::rule::{Direction, DomainPattern};
use crate::policy::{Choices, Composition, Policies, Profile};

pub use columns::{Column, Relation};
pub use ports::{L4Set, PROTOCOLS};
pub use sets::Set;

/// What a matrix covers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// IPv6 and not IPv4: ranges of addresses are of one family, and dual-stack pods are judged for each apart.
    pub v6: bool,
}

/// What two endpoints may say to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
}

/// Ports of a row, and its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Ports; those of different parts of a row don't overlap.
    pub ports: L4Set,
    /// Clients that pass.
    pub allowed: Set,
    /// Clients for which it can't be told.
    pub unknown: Set,
}

/// Servers with the same clients.
#[derive(Clone, Debug)]
pub struct Row {
    /// The servers.
    pub servers: Set,
    /// Who reaches them; ports on which nobody does are left out.
    pub parts: Vec<Part>,
}

/// Clients that reach servers on ports: every one of them each of them, but pods themselves, which they always reach.
#[derive(Clone, Copy, Debug)]
pub struct Rectangle<'m> {
    /// Clients.
    pub clients: &'m Set,
    /// Servers.
    pub servers: &'m Set,
    /// Ports.
    pub ports: &'m L4Set,
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
    /// Rectangles.
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
    columns: Columns,
    rows: Vec<Row>,
    row_of: Vec<u32>,
}

/// Compositions that differ in nothing a class of pods can see, as one.
struct Layer<'c> {
    choices: Choices,
    composition: &'c Composition,
    /// For ingress and for egress. Only one of the two has a pod at the near end and its node at the far one, so that how
    /// they go together makes no difference.
    own_node: [OwnNode; 2],
}

/// A layer that was worked out: another that comes to the same is skipped.
#[derive(PartialEq)]
struct Done {
    end_port: bool,
    init: bool,
    own_node: [OwnNode; 2],
    ingress: Vec<StageItems>,
    egress: Vec<StageItems>,
}

/// What the policies and pods give the choices to tell apart.
struct Asked {
    ip_blocks: bool,
    end_ports: bool,
    init_ports: bool,
}

fn layers(compositions: &[Composition], asked: Asked) -> Vec<Layer<'_>> {
    let mut out: Vec<Layer<'_>> = Vec::new();
    for composition in compositions {
        let mut choices = composition.choices;
        let own_node = [choices.own_node_ingress, choices.own_node_egress]
            .map(|judged| if judged { OwnNode::Judged } else { OwnNode::Exempt });
        choices.own_node_ingress = false;
        choices.own_node_egress = false;
        // A pod's way to itself through a Service isn't covered.
        choices.hairpin = false;
        if !asked.ip_blocks {
            choices.ip_block = crate::policy::rule::Classes::ALL;
        }
        if !asked.end_ports {
            choices.end_port = true;
        }
        if !asked.init_ports {
            choices.init_container_ports = false;
        }
        match out.iter_mut().find(|l| l.choices == choices) {
            Some(layer) => {
                for (known, other) in layer.own_node.iter_mut().zip(own_node) {
                    if *known != other {
                        *known = OwnNode::Disputed;
                    }
                }
            }
            None => out.push(Layer { choices, composition, own_node }),
        }
    }
    out
}

impl<'a> Matrix<'a> {
    /// Builds the matrix of a profile.
    pub fn new(cluster: &'a Cluster, policies: &Policies, profile: &Profile, options: Options) -> Self {
        Self::build(cluster, policies, &compose(policies, profile), options)
    }

    /// Builds the matrix of the compositions of a profile.
    pub fn build(cluster: &'a Cluster, policies: &Policies, compositions: &[Composition], options: Options) -> Self {
        let compiled = Compiled::new(compositions);
        let mut vocabulary = compiled.vocabulary();
        vocabulary.complete(cluster);
        let columns = Columns::new(cluster, &vocabulary, options.v6);
        let n = columns.universe;
        let index = Index::new(cluster, &vocabulary, &columns);
        let declared = declared(&columns);
        let asked = Asked {
            ip_blocks: rules::has_ip_blocks(&compiled),
            end_ports: rules::has_end_ports(&compiled),
            init_ports: columns.named.iter().flatten().any(|(_, _, _, init)| *init),
        };
        let layers = layers(compositions, asked);
        let mut sharing = Sharing::default();
        let mut lowered: Vec<Lowering<'_, '_>> = Vec::new();
        let mut done: Vec<Done> = Vec::new();
        let mut legs: Vec<[Legs; 2]> = Vec::new();
        for layer in &layers {
            let before = lowered.first();
            let lowering = Lowering::new(&compiled, &index, n, layer.choices.ip_block, before, &mut sharing);
            let ingress = lowering.stages(layer.composition, Direction::Ingress);
            let egress = lowering.stages(layer.composition, Direction::Egress);
            lowered.push(lowering);
            let (end_port, init) = (layer.choices.end_port, layer.choices.init_container_ports);
            let this = Done { end_port, init, own_node: layer.own_node, ingress, egress };
            if done.contains(&this) {
                continue;
            }
            let ports = rules::rule_ports(&compiled, end_port, init);
            let work = |stages, direction| Work {
                columns: &columns,
                stages,
                ports: &ports,
                declared: &declared,
                direction,
                own_node: layer.own_node[usize::from(direction == Direction::Egress)],
            };
            let (i, e) = rayon::join(
                || work(this.ingress.as_slice(), Direction::Ingress).legs(),
                || work(this.egress.as_slice(), Direction::Egress).legs(),
            );
            legs.push([i, e]);
            done.push(this);
        }
        let taint = Taint::new(cluster, policies, &columns);
        let (rows, row_of) = rows(&legs, &taint, n);
        Self { cluster, columns, rows, row_of }
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Everything that is open or may be, as rectangles. Ordered by rows.
    pub fn rectangles(&self) -> impl Iterator<Item = Rectangle<'_>> {
        self.rows.iter().flat_map(|row| {
            row.parts.iter().flat_map(move |part| {
                [(&part.allowed, true), (&part.unknown, false)]
                    .into_iter()
                    .filter(|(clients, _)| !clients.is_empty())
                    .map(move |(clients, certain)| Rectangle {
                        clients,
                        servers: &row.servers,
                        ports: &part.ports,
                        certain,
                    })
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
        let mut out = Connections::default();
        let Some(row) = self.row_of(server) else { return out };
        for part in &row.parts {
            if part.allowed.contains(client) {
                out.allowed = out.allowed.or(&part.ports);
            } else if part.unknown.contains(client) {
                out.unknown = out.unknown.or(&part.ports);
            }
        }
        out
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
        let pairs: Vec<(u64, u64)> = self
            .rows
            .par_iter()
            .map(|row| {
                let open = Set::union(row.parts.iter().map(|p| &p.allowed), n);
                let unknown = Set::union(row.parts.iter().map(|p| &p.unknown), n).minus(&open, n);
                let count = |clients: &Set| {
                    let total: u64 = clients.iter().map(|c| self.weight(c)).sum();
                    row.servers
                        .iter()
                        .map(|server| {
                            let itself = u64::from(clients.contains(server));
                            self.weight(server) * total.saturating_sub(itself)
                        })
                        .sum::<u64>()
                };
                (count(&open), count(&unknown))
            })
            .collect();
        Counts {
            pods: (0..self.columns.pod_classes()).map(|c| self.weight(c)).sum(),
            pod_classes: u64::from(self.columns.pod_classes()),
            columns: u64::from(n),
            rows: self.rows.len() as u64,
            rectangles: self.rectangles().count() as u64,
            open_pairs: pairs.iter().map(|p| p.0).sum(),
            unknown_pairs: pairs.iter().map(|p| p.1).sum(),
        }
    }
}

/// The named ports of each distinct list, as a pod declares them.
fn declared(columns: &Columns) -> Vec<Vec<ContainerPort>> {
    let port = |(name, protocol, number, init): &vocabulary::NamedPort| ContainerPort {
        name: Some(name.clone()),
        number: *number,
        protocol: *protocol,
        container: if *init { ContainerKind::Init } else { ContainerKind::Regular },
    };
    columns.named.iter().map(|list| list.iter().map(port).collect()).collect()
}

/// Pods that a policy which can't be evaluated may touch: it may allow what is denied, or deny what is allowed.
struct Taint {
    pods: Set,
}

impl Taint {
    fn new(cluster: &Cluster, policies: &Policies, columns: &Columns) -> Self {
        let n = columns.universe;
        let mut touched: Vec<(u32, u32)> = Vec::new();
        for policy in &policies.unsupported {
            match policy.namespace {
                None => touched.push((0, columns.pod_classes())),
                Some(namespace) if namespace.index() < cluster.namespaces.len() => {
                    touched.push(columns.of_namespace[namespace.index()]);
                }
                Some(_) => {}
            }
        }
        touched.sort_unstable();
        Self { pods: Set::from_sorted_runs(touched, n) }
    }

    fn apply(&self, server_is_touched: bool, parts: &mut Vec<Part>, n: u32) {
        if self.pods.is_empty() {
            return;
        }
        if server_is_touched {
            *parts = vec![Part { ports: L4Set::all(), allowed: Set::empty(), unknown: Set::all(n) }];
            return;
        }
        let mut covered = L4Set::empty();
        for part in parts.iter_mut() {
            part.allowed = part.allowed.minus(&self.pods, n);
            part.unknown = part.unknown.or(&self.pods, n);
            covered = covered.or(&part.ports);
        }
        let rest = L4Set::all().minus(&covered);
        if !rest.is_empty() {
            parts.push(Part { ports: rest, allowed: Set::empty(), unknown: self.pods.clone() });
        }
    }
}

/// Joins the legs of every layer into rows; equal ones are worked out once.
fn rows(legs: &[[Legs; 2]], taint: &Taint, n: u32) -> (Vec<Row>, Vec<u32>) {
    let mut ids: FxHashMap<(Vec<u32>, bool), u32> = FxHashMap::default();
    let mut keys: Vec<(Vec<u32>, bool)> = Vec::new();
    let mut servers: Vec<Vec<u32>> = Vec::new();
    let mut row_of = Vec::with_capacity(n as usize);
    for server in 0..n {
        let of: Vec<u32> = legs.iter().flatten().map(|l| l.of[server as usize]).collect();
        let key = (of, taint.pods.contains(server));
        let id = match ids.get(&key) {
            Some(known) => *known,
            None => {
                let id = keys.len() as u32;
                keys.push(key.clone());
                servers.push(Vec::new());
                ids.insert(key, id);
                id
            }
        };
        servers[id as usize].push(server);
        row_of.push(id);
    }
    let rows =
        keys.par_iter()
            .zip(servers)
            .with_min_len(64)
            .map(|((of, touched), servers)| {
                let mut layers = legs.iter().zip(of.chunks(2)).map(|([ingress, egress], of)| {
                    both(&ingress.legs[of[0] as usize], &egress.legs[of[1] as usize], n)
                });
                let first = layers.next().unwrap_or_else(|| vec![(L4Set::all(), Matched::all(n))]);
                let joined = layers.fold(first, |so_far, next| agree(&so_far, &next, n));
                let mut parts: Vec<Part> = joined
                    .into_iter()
                    .filter(|(_, clients)| !clients.is_empty())
                    .map(|(ports, clients)| Part { ports, allowed: clients.yes, unknown: clients.maybe })
                    .collect();
                taint.apply(*touched, &mut parts, n);
                Row { servers: Set::from_sorted(servers, n), parts }
            })
            .collect();
    (rows, row_of)
}

fn join(a: &Leg, b: &Leg, with: impl Fn(&Matched, &Matched) -> Matched) -> Leg {
    let mut out: Leg = Vec::new();
    for (x, left) in a {
        for (y, right) in b {
            let ports = x.and(y);
            if ports.is_empty() {
                continue;
            }
            let clients = with(left, right);
            match out.iter_mut().find(|(_, known)| *known == clients) {
                Some((known, _)) => *known = known.or(&ports),
                None => out.push((ports, clients)),
            }
        }
    }
    out
}

/// A flow needs the client's egress and the server's ingress (SEMANTICS 6).
fn both(ingress: &Leg, egress: &Leg, n: u32) -> Leg {
    join(ingress, egress, |a, b| a.and(b, n))
}

/// What all choices of a profile agree on; the rest can't be told.
fn agree(a: &Leg, b: &Leg, n: u32) -> Leg {
    join(a, b, |a, b| {
        let yes = a.yes.and(&b.yes, n);
        let maybe = a.possible(n).or(&b.possible(n), n).minus(&yes, n);
        Matched { yes, maybe }
    })
}
