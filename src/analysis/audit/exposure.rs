//! Pods that more can reach than is needed: from the internet through a Service, or from every namespace.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::isolation::{from_all_pods, path_of};
use super::rules::allows_all;
use super::{Finding, ObjectRef, codes, listed};
use crate::model::{Cluster, Protocol, Service, ServiceId, ServiceKind};
use crate::policy::Direction;
use crate::reach::{Endpoint, Flow, Outcome};
use crate::source::{FieldPath, Part};

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    internet(facts, out);
    everywhere(facts, out);
}

/// How a Service lets clients outside the cluster in.
fn from_outside(service: &Service) -> Option<&'static str> {
    match service.kind {
        ServiceKind::LoadBalancer => Some("a load balancer"),
        ServiceKind::NodePort => Some("a port of every node"),
        ServiceKind::ClusterIp if !service.external_ips.is_empty() => Some("external addresses"),
        _ => None,
    }
}

/// A Service, as the object of a finding.
pub(super) fn service_object(cluster: &Cluster, id: ServiceId) -> ObjectRef {
    let service = &cluster.services[id.index()];
    ObjectRef {
        kind: "Service".to_owned(),
        namespace: Some(cluster.namespaces[service.namespace.index()].name.to_string()),
        name: service.name.to_string(),
    }
}

fn internet(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let cluster = facts.cluster;
    let group_of = group_of(facts);
    for (index, service) in cluster.services.iter().enumerate() {
        let Some(how) = from_outside(service) else { continue };
        let Some(origin) = service.origin else { continue };
        let id = ServiceId(index as u32);
        let mut open: BTreeMap<u32, Vec<(Protocol, u16)>> = BTreeMap::new();
        for port in &service.ports {
            let mut tried = Vec::new();
            for backend in cluster.backends(id, port) {
                let (Some(pod), Some(number)) = (backend.pod, backend.port) else { continue };
                let Some(group) = group_of[pod.index()] else { continue };
                if facts.group(group).host_network || tried.contains(&(group, number)) {
                    continue;
                }
                tried.push((group, number));
                let flow = Flow {
                    client: Endpoint::internet(),
                    server: Endpoint::pod(cluster, pod, false),
                    protocol: port.protocol,
                    port: number,
                    name: None,
                    via_service: true,
                };
                if facts.evaluator.evaluate(&flow).outcome == Outcome::Allowed {
                    open.entry(group).or_default().push((port.protocol, number));
                }
            }
        }
        if open.is_empty() {
            continue;
        }
        let groups: Vec<u32> = open.keys().copied().collect();
        let unprotected = groups.iter().any(|g| {
            facts.isolated_by(*g, Direction::Ingress).is_empty() && facts.judged_by(*g, Direction::Ingress).is_empty()
        });
        let mut ports: Vec<String> = open.values().flatten().map(|(p, n)| format!("{p} {n}")).collect();
        ports.sort();
        ports.dedup();
        let names = facts.names(&groups);
        let message = format!(
            "{} {} open to the internet on {} through Service `{}`",
            listed(&names, 3),
            if names.len() == 1 { "is" } else { "are" },
            ports.join(", "),
            cluster.service_name(id)
        );
        let mut finding = Finding::new(codes::INTERNET, service_object(cluster, id), "", message);
        finding.diagnostic =
            finding.diagnostic.at(origin, FieldPath::keys("spec.type"), Part::Entry, format!("opens {how}"));
        out.push(if unprotected {
            finding
                .note("no policy isolates these pods for ingress: nothing stops other pods either")
                .help("add a NetworkPolicy for them that allows these ports, and no others")
        } else {
            finding.note("a rule of their policies allows it").only_note()
        });
    }
}

/// The group of every pod.
fn group_of(facts: &Facts<'_>) -> Vec<Option<u32>> {
    let mut out = vec![None; facts.cluster.pods.len()];
    for (index, group) in facts.groups.iter().enumerate() {
        for pod in &group.pods {
            out[pod.index()] = Some(index as u32);
        }
    }
    out
}

fn everywhere(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    for policy in facts.policies.network.ingress.iter() {
        let groups = facts.select(&policy.subject);
        if groups.is_empty() {
            continue;
        }
        // What serves clients outside, or the whole cluster's DNS, is meant to be open.
        let public = |g: &u32| {
            facts.services_of(*g).iter().any(|s| {
                let service = &facts.cluster.services[s.index()];
                service.is_dns || from_outside(service).is_some()
            })
        };
        if groups.iter().all(public) {
            continue;
        }
        let direction = Direction::Ingress;
        for rule in policy.rules.iter().filter(|r| from_all_pods(&r.source)) {
            let beside = policy.rules.len() > 1 && allows_all(direction, rule);
            if beside {
                continue;
            }
            let info = facts.info(policy);
            let message = format!(
                "{} lets every pod of every namespace connect to {}",
                info.reference(),
                listed(facts.names(&groups), 3)
            );
            let key = format!("{:?}", rule.l4);
            out.push(Finding::on_policy(codes::EVERYWHERE, info, key, message).at(
                info,
                path_of(facts, policy, direction, rule.index),
                Part::Entry,
                "no peer is left out",
            ));
        }
    }
}
