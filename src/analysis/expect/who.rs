//! Whom an expectation means: names, selectors and ranges into clients and targets of a cluster.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Misuse;
use super::file::{Peer, Peers, Pods, Selector};
use crate::model::query::{ClientSpec, PortSpec, QueryError, Target, TargetSpec};
use crate::model::{Cluster, Labels, Phase, PodId, Protocol};
use crate::policy::rule::{Match, Term};
use crate::policy::{Direction, Policies};
use crate::reach::Source;

/// A target with the port that stands with it.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    pub(super) target: Target,
    pub(super) port: Option<(PortSpec, Protocol)>,
    pub(super) name: String,
}

pub(super) struct Who<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) policies: &'a Policies,
    pub(super) namespace: &'a str,
}

fn misuse(error: QueryError) -> Misuse {
    (error.message, error.helps)
}

impl Who<'_> {
    /// Every pod that policies can select: it runs, with an address of its own.
    pub(super) fn everyone(&self) -> impl Iterator<Item = PodId> + use<'_> {
        let pods = self.cluster.pods.iter().enumerate();
        pods.filter(|(_, p)| !p.host_network && p.phase != Phase::Finished && p.origin.is_some())
            .map(|(index, _)| PodId(index as u32))
    }

    pub(super) fn sources(&self, peers: &Peers) -> Result<Vec<Source>, Misuse> {
        let mut out = Vec::new();
        for peer in peers.list() {
            match peer {
                Peer::Text(text) if text == "all" => out.extend(self.everyone().map(Source::Pod)),
                Peer::Text(text) => match range(text) {
                    Some(net) => out.extend(self.stretches(net, &[]).into_iter().map(Source::Address)),
                    None => {
                        let spec: ClientSpec = text.parse().map_err(misuse)?;
                        let found = self.cluster.resolve_client(&spec, self.namespace).map_err(misuse)?;
                        out.extend(Source::of(&found.what));
                    }
                },
                Peer::Pods(pods) => out.extend(self.pods(pods)?.into_iter().map(Source::Pod)),
            }
        }
        let mut seen = std::collections::HashSet::new();
        out.retain(|s| seen.insert(*s));
        Ok(out)
    }

    pub(super) fn aims(&self, peers: &Peers) -> Result<Vec<Aim>, Misuse> {
        let mut out = Vec::new();
        let pod = |id: PodId| Aim { target: Target::Pods(vec![id]), port: None, name: self.cluster.pod_name(id) };
        for peer in peers.list() {
            match peer {
                Peer::Text(text) if text == "all" => out.extend(self.everyone().map(pod)),
                Peer::Text(text) if text == "internet" => {
                    let all = self.families().into_iter();
                    let addresses = all.flat_map(|n| self.stretches(n, &[])).filter(|ip| is_public(*ip));
                    out.extend(addresses.map(|ip| Aim {
                        target: Target::Address(ip),
                        port: None,
                        name: format!("the internet ({ip})"),
                    }));
                }
                Peer::Text(text) => match range(text) {
                    Some(net) => out.extend(self.stretches(net, &[]).into_iter().map(|ip| Aim {
                        target: Target::Address(ip),
                        port: None,
                        name: ip.to_string(),
                    })),
                    None => {
                        let spec: TargetSpec = text.strip_prefix("ip:").unwrap_or(text).parse().map_err(misuse)?;
                        let found = self.cluster.resolve_target(&spec, self.namespace).map_err(misuse)?;
                        let port = spec.port.map(|p| (p, spec.protocol));
                        out.push(Aim { target: found.what, port, name: text.clone() });
                    }
                },
                Peer::Pods(pods) => out.extend(self.pods(pods)?.into_iter().map(pod)),
            }
        }
        Ok(out)
    }

    /// The pods of a list, for leaving them out.
    pub(super) fn pods_of(&self, peers: Option<&Peers>) -> Result<BTreeSet<PodId>, Misuse> {
        let Some(peers) = peers else { return Ok(BTreeSet::new()) };
        let sources = self.sources(peers)?;
        Ok(sources.into_iter().filter_map(|s| if let Source::Pod(pod) = s { Some(pod) } else { None }).collect())
    }

    fn pods(&self, wanted: &Pods) -> Result<Vec<PodId>, Misuse> {
        let except = self.pods_of(wanted.except.as_ref())?;
        let names: Vec<&String> = wanted.namespace.iter().chain(&wanted.namespaces).collect();
        for name in &names {
            if *name != "all" && self.cluster.namespace(name).is_none() {
                return Err((format!("namespace `{name}` not found"), Vec::new()));
            }
        }
        let all = names.is_empty() || names.iter().any(|n| *n == "all");
        let mut out = Vec::new();
        for id in self.everyone().filter(|id| !except.contains(id)) {
            let pod = &self.cluster.pods[id.index()];
            let namespace = &self.cluster.namespaces[pod.namespace.index()];
            if (all || names.iter().any(|n| **n == *namespace.name))
                && selects(wanted.namespace_selector.as_ref(), &namespace.labels)?
                && selects(wanted.pod_selector.as_ref(), &pod.labels)?
            {
                out.push(id);
            }
        }
        Ok(out)
    }

    /// All addresses of the families that pods have: of IPv4 where none has an address yet.
    pub(super) fn families(&self) -> Vec<IpNet> {
        let has = |v6: bool| self.cluster.pods.iter().any(|p| p.origin.is_some() && p.ip(v6).is_some());
        let (v4, v6) = (has(false), has(true));
        let mut out = Vec::new();
        if v4 || !v6 {
            out.extend(Ipv4Net::new(Ipv4Addr::UNSPECIFIED, 0).map(IpNet::V4));
        }
        if v6 {
            out.extend(Ipv6Net::new(Ipv6Addr::UNSPECIFIED, 0).map(IpNet::V6));
        }
        out
    }

    /// An address of each stretch of a range that no policy tells apart, and none of some other ranges.
    pub(super) fn stretches(&self, net: IpNet, others: &[IpNet]) -> Vec<IpAddr> {
        let mut starts = BTreeSet::from([net.network()]);
        let mut cut = |other: &IpNet| {
            let after = match other.broadcast() {
                IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|n| IpAddr::from(n.to_be_bytes())),
                IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|n| IpAddr::from(n.to_be_bytes())),
            };
            starts.extend([Some(other.network()), after].into_iter().flatten().filter(|ip| net.contains(ip)));
        };
        others.iter().for_each(&mut cut);
        for lowered in [&self.policies.admin, &self.policies.network, &self.policies.baseline] {
            for rule in [Direction::Ingress, Direction::Egress]
                .into_iter()
                .flat_map(|d| lowered.of(d).iter())
                .flat_map(|p| &p.rules)
            {
                for matches in [&rule.source, &rule.destination] {
                    let Match::OneOf(peers) = matches else { continue };
                    for term in peers.iter().flat_map(|p| &p.terms) {
                        match term {
                            Term::Cidr(blocks, _) => {
                                blocks
                                    .iter()
                                    .flat_map(|b| std::iter::once(&b.cidr).chain(&b.except))
                                    .for_each(&mut cut);
                            }
                            Term::NotCidr(cidrs) => cidrs.iter().for_each(&mut cut),
                            _ => {}
                        }
                    }
                }
            }
        }
        starts.into_iter().collect()
    }
}

/// `ip:10.0.0.0/8` is a range.
fn range(text: &str) -> Option<IpNet> {
    let text = text.strip_prefix("ip:")?;
    text.contains('/').then(|| text.parse::<IpNet>().ok().map(|n| n.trunc())).flatten()
}

/// Whether an address may be on the internet (RFC 6890).
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || a == 0 || a >= 224)
                && !(a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.segments()[0] & 0xe000 == 0x2000,
    }
}

fn selects(selector: Option<&Selector>, labels: &Labels) -> Result<bool, Misuse> {
    let Some(selector) = selector else { return Ok(true) };
    let value = |key: &str| labels.get(key).map(|v| v.to_string());
    if !selector.match_labels.iter().all(|(k, v)| value(k).as_ref() == Some(v)) {
        return Ok(false);
    }
    for requirement in &selector.match_expressions {
        let found = value(&requirement.key);
        let listed = found.as_ref().is_some_and(|v| requirement.values.contains(v));
        let holds = match requirement.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            other => {
                let message = format!("`{other}` is not an operator of a selector");
                return Err((message, vec!["one of In, NotIn, Exists, DoesNotExist".to_owned()]));
            }
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}
