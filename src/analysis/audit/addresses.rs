//! ipBlocks of addresses that policies don't see, or that network plugins read differently.
//!
//! A rule is judged by the address behind a Service (SEMANTICS 32), and whether an ipBlock matches pods is the plugin's
//! choice (17). A block of everything (`/0`) is left alone: it is meant for what lies outside.

use ipnet::IpNet;

use super::facts::{Facts, rule_path};
use super::{Finding, codes, listed};
use crate::policy::rule::{Block, CidrScope, Classes, RulePart, Term};
use crate::source::Part;

pub(super) fn find(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let cluster = facts.cluster;
    let mut service_ips: Vec<_> = cluster
        .services
        .iter()
        .enumerate()
        .flat_map(|(index, s)| s.cluster_ips.iter().map(move |ip| (*ip, crate::model::ServiceId(index as u32))))
        .collect();
    service_ips.sort_unstable();
    let mut pod_ips: Vec<_> = cluster
        .pods
        .iter()
        .enumerate()
        .filter(|(_, p)| !p.host_network)
        .flat_map(|(index, p)| p.ips.iter().map(move |ip| (*ip, crate::model::PodId(index as u32))))
        .collect();
    pod_ips.sort_unstable();
    let ranges: Vec<IpNet> = cluster.nodes.iter().flat_map(|n| n.pod_cidrs.iter().copied()).collect();
    for (_, direction, policy) in facts.all_policies() {
        if facts.select(&policy.subject).is_empty() {
            continue;
        }
        let info = facts.info(policy);
        for rule in &policy.rules {
            let crate::policy::rule::Match::OneOf(peers) = rule.peers(direction) else { continue };
            for peer in peers {
                let [Term::Cidr(blocks, scope)] = peer.terms.as_slice() else { continue };
                for block in blocks.iter().filter(|b| b.cidr.prefix_len() > 0) {
                    let path = rule_path(info, policy.policy, direction, rule.index, RulePart::Peer(peer.index));
                    let key = format!("{} {}", direction.name(), block.cidr);
                    let pods = first_in(&pod_ips, block);
                    let touches_pods =
                        pods.is_some() || ranges.iter().any(|r| block.cidr.contains(r) && holds(block, r));
                    if let (Some(service), false) = (first_in(&service_ips, block), touches_pods) {
                        let name = cluster.service_name(service);
                        let message = format!(
                            "`{}` in {} holds the address of Service `{name}`, which no policy sees",
                            block.cidr,
                            info.reference()
                        );
                        out.push(
                            Finding::on_policy(codes::SERVICE_ADDRESS, info, key, message)
                                .at(info, path, Part::Entry, "traffic to a Service is judged by its pods' addresses")
                                .help(instead(&cluster.services[service.index()], &name)),
                        );
                    } else if *scope == CidrScope::IpBlock && touches_pods {
                        out.extend(of_pods(facts, info, block, path, key));
                    }
                }
            }
        }
    }
}

/// What to write for a Service: labels of its pods, or, where it has none, the addresses it leads to.
fn instead(service: &crate::model::Service, name: &str) -> String {
    match service.selector {
        Some(_) => format!("select the pods behind {} with a podSelector instead", listed([name], 1)),
        None => format!("name the addresses of the endpoints of {} instead", listed([name], 1)),
    }
}

/// The first owner of an address in a block.
fn first_in<T: Copy>(sorted: &[(std::net::IpAddr, T)], block: &Block) -> Option<T> {
    let from = sorted.partition_point(|(ip, _)| *ip < block.cidr.network());
    sorted[from..].iter().take_while(|(ip, _)| block.cidr.contains(ip)).find(|(ip, _)| block.contains(*ip)).map(|f| f.1)
}

fn holds(block: &Block, range: &IpNet) -> bool {
    !block.except.iter().any(|hole| hole.contains(range))
}

fn of_pods(
    facts: &Facts<'_>,
    info: &crate::policy::PolicyInfo,
    block: &Block,
    path: crate::source::FieldPath,
    key: String,
) -> Option<Finding> {
    let matches = |c: &crate::policy::Choices| c.ip_block.intersects(Classes::POD);
    let choices = &facts.profile.choices;
    let (some, all) = (choices.iter().any(|(c, _)| matches(c)), choices.iter().all(|(c, _)| matches(c)));
    if all && facts.profile.name != "generic" {
        // This plugin matches pods by address: it works as it is written.
        return None;
    }
    let label =
        if some { "whether it matches pods depends on the network plugin" } else { "this plugin matches no pod by it" };
    let message = format!("`{}` in {} holds addresses of pods", block.cidr, info.reference());
    Some(
        Finding::on_policy(codes::POD_ADDRESS, info, key, message)
            .at(info, path, Part::Entry, label)
            .note("Cilium matches no pods by ipBlock unless policy-cidr-match-mode says so; pods' addresses change")
            .help("select pods with podSelector and namespaceSelector, and keep ipBlock for what lies outside"),
    )
}
