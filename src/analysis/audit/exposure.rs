//! Pods that more can reach than is needed: from every namespace.

use super::facts::Facts;
use super::isolation::{from_all_pods, path_of};
use super::rules::allows_all;
use super::{Finding, ObjectRef, codes, listed};
use crate::model::{Cluster, Service, ServiceId, ServiceKind};
use crate::policy::Direction;
use crate::source::Part;

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    everywhere(facts, out);
}

/// Whether a Service lets clients outside the cluster in.
fn from_outside(service: &Service) -> bool {
    match service.kind {
        ServiceKind::LoadBalancer | ServiceKind::NodePort => true,
        ServiceKind::ClusterIp => !service.external_ips.is_empty(),
        ServiceKind::ExternalName => false,
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

/// The group of every pod.
pub(super) fn group_of(facts: &Facts<'_>) -> Vec<Option<u32>> {
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
                service.is_dns || from_outside(service)
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
