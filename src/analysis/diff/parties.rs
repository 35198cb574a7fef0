//! Who is compared: workloads by name across both versions, pods of one workload apart only where policies tell them apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use crate::model::{Cluster, NamespaceId, Phase, PodId, Str};

/// Who connects or is connected to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A workload, or a pod without one.
    Workload {
        /// Namespace.
        namespace: Str,
        /// Name.
        name: Str,
        /// Kind; `Pod` for a pod without a workload.
        kind: Str,
    },
    /// Addresses outside the cluster, ranges from the first to the last.
    Outside(Vec<super::Range>),
    /// A DNS name outside the cluster, or all below one: `*.example.com`.
    Name(Str),
}

impl Party {
    /// The party that a pod belongs to.
    pub fn of(cluster: &Cluster, id: PodId) -> Self {
        let pod = &cluster.pods[id.index()];
        let namespace = cluster.namespaces[pod.namespace.index()].name.clone();
        match &pod.workload {
            Some(workload) => {
                let kind: Str = if workload.kind.is_empty() { "Pod".into() } else { workload.kind.clone() };
                Self::Workload { namespace, kind, name: workload.name.clone() }
            }
            None => Self::Workload { namespace, kind: "Pod".into(), name: pod.name.clone() },
        }
    }

    /// The ranges of an outside party as networks.
    pub fn networks(&self) -> Vec<ipnet::IpNet> {
        let Self::Outside(ranges) = self else { return Vec::new() };
        ranges
            .iter()
            .flat_map(|range| match *range {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    ipnet::Ipv4Subnets::new(first, last, 0).map(ipnet::IpNet::from).collect::<Vec<_>>()
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    ipnet::Ipv6Subnets::new(first, last, 0).map(ipnet::IpNet::from).collect()
                }
                _ => Vec::new(),
            })
            .collect()
    }
}

/// `shop/cart`, `10.0.0.0/8`, `*.example.com`; many ranges are written from the first address to the last.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload { namespace, name, .. } => write!(f, "{namespace}/{name}"),
            Self::Name(name) => f.write_str(name),
            Self::Outside(ranges) => {
                let networks = self.networks();
                if networks.len() <= 3 {
                    let all: Vec<String> = networks.iter().map(ToString::to_string).collect();
                    return f.write_str(&all.join(", "));
                }
                let shown: Vec<String> = ranges.iter().take(3).map(|(a, b)| format!("{a}-{b}")).collect();
                f.write_str(&shown.join(", "))?;
                match ranges.len().checked_sub(3) {
                    Some(more) if more > 0 => write!(f, " and {more} more ranges"),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// What one version has and the other lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Workloads, and pods without one.
    pub workloads: Vec<Party>,
    /// Services: namespace and name.
    pub services: Vec<(Str, Str)>,
}

impl Inventory {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.workloads.is_empty() && self.services.is_empty()
    }
}

/// The pods of a party in both versions.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) before: Vec<PodId>,
    pub(super) after: Vec<PodId>,
}

/// Every party of either version.
pub(super) struct Parties {
    pub(super) all: BTreeMap<Party, Members>,
    services: [Vec<(Str, Str)>; 2],
}

impl Parties {
    pub(super) fn of(before: &Cluster, after: &Cluster) -> Self {
        let mut all: BTreeMap<Party, Members> = BTreeMap::new();
        for (cluster, late) in [(before, false), (after, true)] {
            enter(cluster, 0..cluster.pods.len() as u32, late, &mut all);
        }
        Self { all, services: [super::services(before), super::services(after)] }
    }

    /// Parties of some namespaces, of two versions with the same pods.
    pub(super) fn within(cluster: &Cluster, namespaces: &BTreeSet<NamespaceId>) -> Self {
        let mut all: BTreeMap<Party, Members> = BTreeMap::new();
        for namespace in namespaces {
            enter(cluster, cluster.namespaces[namespace.index()].pods.clone(), true, &mut all);
        }
        all.values_mut().for_each(|members| members.before.clone_from(&members.after));
        Self { all, services: Default::default() }
    }

    /// Parties that both versions have.
    pub(super) fn common(&self) -> impl Iterator<Item = (&Party, &Members)> {
        self.all.iter().filter(|(_, m)| !m.before.is_empty() && !m.after.is_empty())
    }

    pub(super) fn added(&self, after: &Cluster) -> Inventory {
        let read = |id: &PodId| after.pods[id.index()].origin.is_some();
        let workloads = self.all.iter().filter(|(_, m)| m.before.is_empty() && m.after.iter().any(read));
        Inventory {
            workloads: workloads.map(|(p, _)| p.clone()).collect(),
            services: lacking(&self.services[1], &self.services[0]),
        }
    }

    pub(super) fn removed(&self, before: &Cluster) -> Inventory {
        let read = |id: &PodId| before.pods[id.index()].origin.is_some();
        let workloads = self.all.iter().filter(|(_, m)| m.after.is_empty() && m.before.iter().any(read));
        Inventory {
            workloads: workloads.map(|(p, _)| p.clone()).collect(),
            services: lacking(&self.services[0], &self.services[1]),
        }
    }
}

/// Enters pods by their parties.
fn enter(cluster: &Cluster, pods: Range<u32>, late: bool, all: &mut BTreeMap<Party, Members>) {
    // Pods of a workload follow each other, as a rule: they are entered together.
    let mut together: Vec<PodId> = Vec::new();
    let mut enter = |together: &mut Vec<PodId>| {
        let Some(first) = together.first() else { return };
        let members = all.entry(Party::of(cluster, *first)).or_default();
        if late { &mut members.after } else { &mut members.before }.append(together);
    };
    for id in pods.map(PodId) {
        let pod = &cluster.pods[id.index()];
        if pod.phase == Phase::Finished {
            continue;
        }
        let same = together.last().is_some_and(|last: &PodId| {
            let last = &cluster.pods[last.index()];
            pod.workload.is_some() && last.namespace == pod.namespace && last.workload == pod.workload
        });
        if !same {
            enter(&mut together);
        }
        together.push(id);
    }
    enter(&mut together);
}

/// Services that only the first has.
pub(super) fn services_of(these: &Cluster, those: &Cluster) -> Vec<(Str, Str)> {
    lacking(&super::services(these), &super::services(those))
}

/// What is in one list and not in the other.
fn lacking(these: &[(Str, Str)], those: &[(Str, Str)]) -> Vec<(Str, Str)> {
    let those: BTreeSet<&(Str, Str)> = those.iter().collect();
    these.iter().filter(|service| !those.contains(service)).cloned().collect()
}
