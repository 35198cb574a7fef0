//! What stands in the way and what can't be told, in sentences for people and machines alike.

use super::ObstacleResult;
use super::build::{Asked, Facts};
use crate::model::{Audience, Cluster, ServicePort, TargetPort};
use crate::reach::eval::Reason;
use crate::reach::{Check, Obstacle, Outcome, Verdict};

/// The obstacle of a whole check in words.
pub(super) fn obstacle(cluster: &Cluster, asked: &Asked, obstacle: &Obstacle) -> ObstacleResult {
    let service = asked.check.service.map(|id| cluster.service_name(id)).unwrap_or_default();
    let port = asked.port.as_ref().map(ToString::to_string).unwrap_or_default();
    let (reason, message) = match obstacle {
        Obstacle::NoSuchPort => {
            let ports: Vec<String> = asked
                .check
                .service
                .map(|id| &cluster.services[id.index()])
                .map(|s| {
                    s.ports
                        .iter()
                        .map(|p| match &*p.name {
                            "" => format!("{}/{}", p.number, p.protocol),
                            name => format!("{}/{} ({name})", p.number, p.protocol),
                        })
                        .collect()
                })
                .unwrap_or_default();
            let has = if ports.is_empty() { "no ports".to_owned() } else { ports.join(", ") };
            let target = asked.check.service.and_then(|id| {
                let service = &cluster.services[id.index()];
                let called = |p: &&ServicePort| matches!(&p.target, TargetPort::Name(name) if **name == *port);
                service
                    .ports
                    .iter()
                    .find(called)
                    .map(|p| format!("; `{port}` is the pods' name for what is dialled at {}", p.number))
            });
            let has = has + &target.unwrap_or_default();
            ("no-such-port", format!("Service `{service}` has no port {port}/{}: it has {has}", asked.check.protocol))
        }
        Obstacle::NoEndpoints => {
            let selector = asked.check.service.and_then(|id| cluster.services[id.index()].selector.as_ref());
            let what = match selector {
                Some(labels) => {
                    let pairs: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                    format!("its selector {} selects no running pod", pairs.join(","))
                }
                None => "it has no selector and no EndpointSlices".to_owned(),
            };
            ("no-endpoints", format!("Service `{service}` has no endpoints: {what}; connections are refused"))
        }
        Obstacle::NotReady => {
            ("not-ready", format!("none of the endpoints of Service `{service}` is ready: connections are refused"))
        }
        Obstacle::NoLocalEndpoint(node) => (
            "no-local-endpoint",
            format!(
                "Service `{service}` keeps traffic on the node, and node `{}` has no ready endpoint of it: packets are dropped, which looks like a policy but is none",
                cluster.nodes[node.index()].name
            ),
        ),
        Obstacle::NoNamedPort(name) => (
            "no-named-port",
            format!("no container of the pod declares a port named `{name}` for {}", asked.check.protocol),
        ),
        Obstacle::Finished => ("finished", "the pod has finished: its address belongs to nobody".to_owned()),
        Obstacle::ClusterIpFromOutside => (
            "cluster-ip-from-outside",
            format!("Service `{service}` has an address inside the cluster only: nothing outside can dial it"),
        ),
        Obstacle::NotLetIn => {
            let whom = asked.check.service.map(|id| audience(&cluster.services[id.index()].audience()));
            (
                "not-let-in",
                format!("the load balancer of Service `{service}` lets in {} alone", whom.unwrap_or_default()),
            )
        }
        Obstacle::NoCommonFamily => ("no-common-family", "client and target have no IP family in common".to_owned()),
        Obstacle::PortByName => ("port-by-name", "a node's port is a number".to_owned()),
    };
    ObstacleResult { reason: reason.to_owned(), message }
}

/// Whom a load balancer lets in.
fn audience(audience: &Audience) -> String {
    match audience {
        Audience::Internet => "everybody".to_owned(),
        Audience::Internal => "the provider's own network".to_owned(),
        Audience::Ranges(ranges) => {
            let shown: Vec<String> = ranges.iter().take(MOST_RANGES).map(ToString::to_string).collect();
            let more = ranges.len().saturating_sub(MOST_RANGES);
            shown.join(", ") + &if more > 0 { format!(" and {more} more ranges") } else { String::new() }
        }
    }
}

/// Ranges that are named.
const MOST_RANGES: usize = 4;

/// Why it can't be told, a sentence each.
pub(super) fn unknown(facts: Facts<'_>, check: &Check) -> Vec<String> {
    if check.verdict != Verdict::Unknown {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut push = |text: String| {
        if !out.contains(&text) {
            out.push(text);
        }
    };
    let dns = check.dns.as_ref().filter(|d| d.verdict != Verdict::Reachable);
    let endpoints = check.endpoints.iter().chain(dns.iter().flat_map(|d| &d.endpoints));
    for endpoint in endpoints.filter(|e| e.verdict == Verdict::Unknown) {
        if endpoint.source_may_change {
            push("the nodes may replace the client's address by their own before policies see it, and that changes the answer".to_owned());
        }
        if endpoint.may_not_be_let_in {
            let service = check.service.map(|id| &facts.cluster.services[id.index()]);
            let whom = service.map(|s| audience(&s.audience())).unwrap_or_default();
            push(format!("the load balancer lets in {whom} alone: ask for an address with ip:ADDRESS"));
        }
        let Some(decision) = &endpoint.decision else { continue };
        if !decision.differs.is_empty() {
            let sides: Vec<String> = decision
                .differs
                .iter()
                .map(|(outcome, plugins)| {
                    let word = match *outcome {
                        Outcome::Allowed => "open",
                        Outcome::Denied => "blocked",
                        Outcome::Unknown => "unknown",
                    };
                    format!("{word} on {}", plugins.join(", "))
                })
                .collect();
            push(format!("network plugins differ here: {}", sides.join("; ")));
        }
        for reason in decision.legs().into_iter().flat_map(|l| &l.reasons) {
            push(reason_text(facts, reason));
        }
    }
    if let Some(dns) = dns
        && matches!(dns.verdict, Verdict::Unknown | Verdict::Unreachable)
        && out.is_empty()
    {
        out.push("whether the cluster's DNS answers can't be told".to_owned());
    }
    out
}

fn reason_text(facts: Facts<'_>, reason: &Reason) -> String {
    match reason {
        Reason::EqualPriority(policies) => {
            let names: Vec<String> = policies.iter().map(|p| format!("`{}`", facts.policies.info(*p).reference())).collect();
            format!("{} have the same priority and disagree: either may be applied", names.join(" and "))
        }
        Reason::NameUnknown => {
            "a rule allows DNS names, and the target is an address: whether it was resolved from one of them isn't known".to_owned()
        }
        Reason::AddressUnknown => "a rule names a range that only part of the possible addresses is in".to_owned(),
        Reason::PodUnknown => "a rule selects pods by labels, and which pod connects isn't known".to_owned(),
        Reason::NodeUnknown => "it depends on which node the pod runs on".to_owned(),
        Reason::UnknownPeer => "a rule holds a peer of a kind that isn't known".to_owned(),
        Reason::ServiceAccountLabels => "a rule selects ServiceAccounts by labels, which aren't read".to_owned(),
        Reason::Unsupported(index) => match facts.policies.unsupported.get(*index) {
            Some(policy) => format!("{} `{}` may apply, and this kind can't be evaluated yet", policy.kind, policy.name),
            None => "a policy that can't be evaluated may apply".to_owned(),
        },
    }
}
