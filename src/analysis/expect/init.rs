//! Expectations of what is true today: for each workload, who reaches it on which ports, and nobody else.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use super::who::Who;
use crate::analysis::diff::{L4, Party};
use crate::model::{Phase, PodId};
use crate::reach::eval::EndpointKind;
use crate::reach::{Endpoint, Evaluator};

/// An expectation file. `objects` are its paths, as they are to be written.
pub fn init(evaluator: &Evaluator<'_>, objects: &[String], namespace: Option<&str>) -> String {
    let cluster = evaluator.cluster;
    let mut workloads: BTreeMap<Party, PodId> = BTreeMap::new();
    for (index, pod) in cluster.pods.iter().enumerate() {
        if !pod.host_network && pod.phase != Phase::Finished && pod.origin.is_some() {
            let id = PodId(index as u32);
            workloads.entry(Party::of(cluster, id)).or_insert(id);
        }
    }
    let mut out = String::from("apiVersion: netcheck/v1alpha1\nkind: ConnectivityTest\n");
    if !objects.is_empty() {
        let quoted: Vec<String> = objects.iter().map(|o| serde_json::Value::from(o.as_str()).to_string()).collect();
        // Writing to a String never fails.
        let _ = writeln!(out, "objects: [{}]", quoted.join(", "));
    }
    let _ = writeln!(out, "expect:");
    let who = Who { cluster, policies: evaluator.policies, namespace: "default" };
    let here = |party: &Party| match party {
        Party::Workload { namespace: n, .. } => namespace.is_none_or(|wanted| wanted == &**n),
        _ => false,
    };
    let mut any = false;
    for (target, server) in workloads.iter().filter(|(p, _)| here(p)) {
        let families: Vec<IpNet> = who.families();
        let served =
            |v6: bool| cluster.pods[server.index()].ips.is_empty() || cluster.pods[server.index()].ip(v6).is_some();
        let families: Vec<IpNet> = families.into_iter().filter(|f| served(f.addr().is_ipv6())).collect();
        let mut by_ports: BTreeMap<L4, Vec<String>> = BTreeMap::new();
        let mut unknown = false;
        let mut all: Vec<(String, L4)> = Vec::new();
        let mut ask = |from: &Endpoint, v6: bool| {
            let found = evaluator.connections(from, &Endpoint::pod(cluster, *server, v6));
            unknown |= found.any_unknown();
            found.iter().fold(L4::default(), |so_far, (p, r)| so_far.or(&L4::one(p, r.allowed.clone())))
        };
        let mut differs = false;
        for (party, id) in workloads.iter().filter(|(p, _)| *p != target) {
            let per_family = families.iter().map(|f| f.addr().is_ipv6());
            let per_family: Vec<L4> = per_family.map(|v6| ask(&Endpoint::pod(cluster, *id, v6), v6)).collect();
            differs |= per_family.windows(2).any(|two| two[0] != two[1]);
            all.extend(per_family.into_iter().next().map(|allowed| (name(party), allowed)));
        }
        for family in &families {
            let outside: Vec<(Vec<String>, L4)> = stretches(&who, *family)
                .into_iter()
                .map(|(names, first)| {
                    let from = Endpoint { kind: EndpointKind::Outside, ip: Some(first) };
                    (names, ask(&from, first.is_ipv6()))
                })
                .collect();
            match outside.first() {
                Some((_, first)) if outside.iter().all(|(_, allowed)| allowed == first) => {
                    all.push((format!("ip:{family}"), first.clone()));
                }
                _ => all.extend(outside.into_iter().map(|(names, allowed)| (names.join(", "), allowed))),
            }
        }
        if differs {
            let _ = writeln!(out, "  # {}: IPv4 and IPv6 are not let in alike", name(target));
            continue;
        }
        if unknown {
            let _ = writeln!(out, "  # {}: some of it can't be told; say --cni to know more", name(target));
            continue;
        }
        any = true;
        // Ports that the same clients reach stand together.
        let mut atoms: Vec<(L4, Vec<String>)> = vec![(L4::all(), Vec::new())];
        for (client, allowed) in &all {
            let mut next: Vec<(L4, Vec<String>)> = Vec::new();
            for (ports, clients) in atoms {
                let (within, without) = (ports.and(allowed), ports.minus(allowed));
                if !without.is_empty() {
                    next.push((without, clients.clone()));
                }
                if !within.is_empty() {
                    let mut clients = clients;
                    clients.push(client.clone());
                    next.push((within, clients));
                }
            }
            atoms = next;
        }
        for (ports, clients) in atoms {
            by_ports.insert(ports, clients);
        }
        let mut merged: BTreeMap<Vec<String>, L4> = BTreeMap::new();
        for (ports, clients) in by_ports {
            let known = merged.entry(clients).or_default();
            *known = known.or(&ports);
        }
        for (clients, ports) in merged {
            let list = clients.join(", ");
            let ports = match ports.is_all() {
                true => String::new(),
                false => format!(", ports: [{}]", listed(&ports)),
            };
            let _ = writeln!(out, "  - only: {{from: [{list}], to: {}{ports}}}", name(target));
        }
    }
    if !any {
        out.push_str("  []\n");
    }
    out
}

/// The addresses outside of one family, as stretches that no policy tells apart: each as ranges, with its first address.
fn stretches(who: &Who<'_>, family: IpNet) -> Vec<(Vec<String>, IpAddr)> {
    let starts = who.stretches(family, &[]);
    let mut out = Vec::with_capacity(starts.len());
    for (index, first) in starts.iter().enumerate() {
        let names: Vec<String> = match (*first, starts.get(index + 1).copied().unwrap_or(family.broadcast())) {
            (IpAddr::V4(first), IpAddr::V4(next)) => {
                let last = if index + 1 < starts.len() { u32::from(next) - 1 } else { next.into() };
                ipnet::Ipv4Subnets::new(first, last.into(), 0).map(|n| format!("ip:{n}")).collect()
            }
            (IpAddr::V6(first), IpAddr::V6(next)) => {
                let last = if index + 1 < starts.len() { u128::from(next) - 1 } else { next.into() };
                ipnet::Ipv6Subnets::new(first, last.into(), 0).map(|n| format!("ip:{n}")).collect()
            }
            _ => Vec::new(),
        };
        out.push((names, *first));
    }
    out
}

/// `shop/deployment/cart`, so that a Service of that name is not meant.
fn name(party: &Party) -> String {
    match party {
        Party::Workload { namespace, kind, name } => format!("{namespace}/{}/{name}", kind.to_ascii_lowercase()),
        other => other.to_string(),
    }
}

fn listed(ports: &L4) -> String {
    let mut out = Vec::new();
    for (protocol, set) in ports.iter() {
        let suffix = match protocol {
            crate::model::Protocol::Tcp => String::new(),
            other => format!("/{}", other.to_string().to_ascii_lowercase()),
        };
        for (first, last) in set.intervals() {
            out.push(if first == last { format!("{first}{suffix}") } else { format!("{first}-{last}{suffix}") });
        }
    }
    out.join(", ")
}
