//! What people call the columns of the matrix: workloads, pods, nodes, ranges of outside addresses, DNS names.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::query::Client;
use crate::model::{Cluster, NamespaceId, NodeId, Phase, PodId, Str};
use crate::policy::rule::DomainPattern;
use crate::reach::eval::{Endpoint, EndpointKind};
use crate::reach::matrix::{self, Matrix, Relation};

/// What an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndKind {
    /// Pods: one, or those of a workload.
    Pods,
    /// The cluster's nodes.
    Nodes,
    /// Addresses that no object has.
    Outside,
    /// DNS names outside the cluster.
    Name,
}

/// A column of the matrix that an end has a part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column.
    pub index: u32,
    /// How many of its pods are the end's.
    pub pods: u32,
    /// One of them.
    pub example: Endpoint,
}

/// An end of edges.
#[derive(Clone, Debug)]
pub struct End {
    /// What it is.
    pub kind: EndKind,
    /// `Deployment`, `Pod`, `Nodes`, `Addresses`, `Internet`, `Name`.
    pub label: Str,
    /// Namespace.
    pub namespace: Option<NamespaceId>,
    /// Name, range or pattern.
    pub name: Str,
    /// Pods it stands for, those on their node's network included.
    pub pods: Vec<PodId>,
    /// Whether its pods share their node's network.
    pub host_network: bool,
    /// Whether it stands for a template whose number of pods isn't known.
    pub template: bool,
    /// Its columns, sorted.
    pub columns: Vec<Column>,
    /// Its addresses: first and last of each range.
    pub addresses: Vec<(IpAddr, IpAddr)>,
}

impl End {
    /// Whether policies see it as pods.
    pub fn is_pods(&self) -> bool {
        self.kind == EndKind::Pods && !self.host_network
    }

    /// Whether it is, or holds, what was named.
    pub(super) fn is(&self, named: &Client, matrix: &Matrix<'_>) -> bool {
        match named {
            Client::Pods(pods) => self.kind == EndKind::Pods && pods.iter().any(|p| self.pods.contains(p)),
            Client::Node(_) => self.kind == EndKind::Nodes,
            Client::Internet => self.kind == EndKind::Outside && &*self.label == INTERNET,
            Client::Address(ip) => {
                let outside = Endpoint { kind: EndpointKind::Outside, ip: Some(*ip) };
                let column = matrix.column_of(&outside, &Endpoint::internet());
                self.kind == EndKind::Outside && column.is_some_and(|c| self.columns.iter().any(|d| d.index == c))
            }
        }
    }

    /// Whether one of its pods may connect to another of them.
    pub(super) fn has_pairs(&self) -> bool {
        self.template || self.pods.len() > 1
    }

    /// Its ranges as CIDRs, at most `most` of them, and how many are left out.
    pub fn ranges(&self, most: usize) -> (Vec<IpNet>, usize) {
        let mut all = Vec::new();
        for (first, last) in &self.addresses {
            match (first, last) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    all.extend(ipnet::Ipv4Subnets::new(*a, *b, 0).map(IpNet::from));
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => {
                    all.extend(ipnet::Ipv6Subnets::new(*a, *b, 0).map(IpNet::from));
                }
                _ => {}
            }
        }
        let left = all.len().saturating_sub(most);
        all.truncate(most);
        (all, left)
    }
}

/// The kind of the end that stands for the rest of the world.
pub const INTERNET: &str = "Internet";

/// The ends, by kind, namespace and name.
pub(super) fn of(cluster: &Cluster, matrix: &Matrix<'_>, pods: bool) -> Vec<End> {
    let mut out = of_pods(cluster, matrix, pods);
    out.extend(of_nodes(cluster, matrix));
    out.extend(outside(matrix));
    for index in 0..matrix.len() {
        let matrix::Column::Name(Some(at)) = matrix.column(index) else { continue };
        let Some(pattern) = matrix.name_pattern(at) else { continue };
        let name: Str = match pattern {
            DomainPattern::Exact(name) => name.clone(),
            DomainPattern::Below(suffix) => format!("*.{suffix}").into(),
        };
        out.push(End {
            kind: EndKind::Name,
            label: "Name".into(),
            namespace: None,
            name,
            pods: Vec::new(),
            host_network: false,
            template: false,
            columns: vec![Column { index, pods: 0, example: Endpoint::internet() }],
            addresses: Vec::new(),
        });
    }
    out
}

fn of_pods(cluster: &Cluster, matrix: &Matrix<'_>, apart: bool) -> Vec<End> {
    let mut groups: BTreeMap<(NamespaceId, Str, Str, bool), Vec<PodId>> = BTreeMap::new();
    for (index, pod) in cluster.pods.iter().enumerate().filter(|(_, p)| p.phase != Phase::Finished) {
        let (kind, name) = match &pod.workload {
            Some(workload) if !apart || pod.template => (workload.kind.clone(), workload.name.clone()),
            _ => ("Pod".into(), pod.name.clone()),
        };
        groups.entry((pod.namespace, name, kind, pod.host_network)).or_default().push(PodId(index as u32));
    }
    let end = |((namespace, name, label, host_network), pods): ((NamespaceId, Str, Str, bool), Vec<PodId>)| {
        let mut columns: Vec<Column> = Vec::new();
        for pod in &pods {
            let example = Endpoint::pod(cluster, *pod, matrix.is_v6());
            let Some(index) = matrix.column_of(&example, &Endpoint::internet()) else { continue };
            let index = from_elsewhere(matrix, index);
            match columns.binary_search_by_key(&index, |c| c.index) {
                Ok(at) => columns[at].pods += 1,
                Err(at) => columns.insert(at, Column { index, pods: 1, example }),
            }
        }
        End {
            kind: EndKind::Pods,
            label,
            namespace: Some(namespace),
            name,
            template: pods.iter().any(|p| cluster.pods[p.index()].template),
            pods,
            host_network,
            columns,
            addresses: Vec::new(),
        }
    };
    groups.into_iter().map(end).collect()
}

/// A node as a pod of another node sees it.
fn from_elsewhere(matrix: &Matrix<'_>, index: u32) -> u32 {
    match matrix.column(index) {
        matrix::Column::Nodes(class, _) => matrix.index(matrix::Column::Nodes(class, Relation::Other)),
        _ => index,
    }
}

fn of_nodes(cluster: &Cluster, matrix: &Matrix<'_>) -> Option<End> {
    let mut columns: Vec<Column> = Vec::new();
    for index in 0..cluster.nodes.len() {
        let example = Endpoint::node(cluster, NodeId(index as u32), matrix.is_v6());
        let Some(column) = matrix.column_of(&example, &Endpoint::internet()) else { continue };
        let column = from_elsewhere(matrix, column);
        if let Err(at) = columns.binary_search_by_key(&column, |c| c.index) {
            columns.insert(at, Column { index: column, pods: 0, example });
        }
    }
    (!columns.is_empty()).then(|| End {
        kind: EndKind::Nodes,
        label: "Nodes".into(),
        namespace: None,
        name: "nodes".into(),
        pods: Vec::new(),
        host_network: false,
        template: false,
        columns,
        addresses: Vec::new(),
    })
}

/// Groups of outside addresses that policies treat alike. The largest is the rest of the world.
fn outside(matrix: &Matrix<'_>) -> Vec<End> {
    let number = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(u32::from(*ip)),
        IpAddr::V6(ip) => u128::from(*ip),
    };
    let groups: Vec<Vec<(IpAddr, IpAddr)>> = (0..matrix.address_groups()).map(|g| matrix.addresses(g)).collect();
    let size = |ranges: &[(IpAddr, IpAddr)]| -> u128 {
        ranges
            .iter()
            .map(|(first, last)| (number(last) - number(first)).saturating_add(1))
            .fold(0, u128::saturating_add)
    };
    let largest = groups.iter().enumerate().max_by_key(|(index, r)| (size(r), usize::MAX - index)).map(|(i, _)| i);
    let mut out = Vec::new();
    for (group, addresses) in groups.into_iter().enumerate() {
        let Some((first, _)) = addresses.first().copied() else { continue };
        let internet = Some(group) == largest;
        let mut end = End {
            kind: EndKind::Outside,
            label: if internet { INTERNET.into() } else { "Addresses".into() },
            namespace: None,
            name: "internet".into(),
            pods: Vec::new(),
            host_network: false,
            template: false,
            columns: vec![Column {
                index: matrix.index(matrix::Column::Outside(group as u32)),
                pods: 0,
                example: Endpoint { kind: EndpointKind::Outside, ip: Some(first) },
            }],
            addresses,
        };
        if !internet {
            let (shown, left) = end.ranges(3);
            let mut names: Vec<String> = shown.iter().map(ToString::to_string).collect();
            if left > 0 {
                names.push(format!("{left} more"));
            }
            end.name = names.join(", ").into();
        }
        out.push(end);
    }
    out.sort_by_key(|e| (&*e.label != INTERNET, e.addresses.clone()));
    out
}
