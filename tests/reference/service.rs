//! What a pod that dials a Service meets, from the documentation of Service, EndpointSlice and kube-proxy alone.

use std::net::IpAddr;

use netcheck::policy::Choices;
use netcheck::source::wire::{EndpointSlice, IntOrString, Pod, Service};

use super::{Answer, End, Question, Who, World, answer, finished, pod_ips};

/// What a client meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    Reachable,
    Blocked,
    Partial,
    Unreachable,
    Unknown,
}

struct Candidate {
    who: Who,
    ip: Option<IpAddr>,
    node: String,
    port: u16,
    ready: bool,
    draining: bool,
}

/// A pod dials a port of a Service. None where the objects don't say on which node somebody runs, and it matters.
pub fn dial(
    world: &World,
    client: usize,
    service: &Service,
    port: u16,
    protocol: &str,
    choices: &Choices,
) -> Option<Met> {
    let spec = &service.spec;
    let headless = spec.cluster_ip == "None";
    let listed = spec.ports.iter().find(|p| p.port == i64::from(port) && protocol_of(&p.protocol) == protocol);
    if listed.is_none() && !headless {
        return Some(Met::Unreachable);
    }
    let name = listed.or(spec.ports.first()).map_or("", |p| &p.name);
    let mut candidates = match &spec.selector {
        Some(selector) => world
            .pods
            .iter()
            .enumerate()
            .filter(|(_, pod)| {
                pod.metadata.namespace == service.metadata.namespace
                    && !finished(pod)
                    && selector.iter().all(|(k, v)| pod.metadata.labels.get(k) == Some(v))
            })
            .flat_map(|(index, pod)| selected(index, pod, service, port, protocol, headless))
            .collect(),
        None => world
            .endpoint_slices
            .iter()
            .filter(|s| {
                s.metadata.namespace == service.metadata.namespace
                    && s.metadata.labels.get("kubernetes.io/service-name").is_some_and(|s| *s == service.metadata.name)
            })
            .flat_map(|slice| from_slice(world, slice, service, name, port, protocol, headless))
            .collect::<Vec<_>>(),
    };
    // A Service of one family has endpoints of that family.
    let families: Vec<bool> =
        spec.cluster_ips.iter().filter_map(|ip| Some(ip.parse::<IpAddr>().ok()?.is_ipv6())).collect();
    candidates.retain(|c| families.is_empty() || c.ip.is_none_or(|ip| families.contains(&ip.is_ipv6())));
    // "If internalTrafficPolicy is Local, only node-local endpoints are considered."
    if spec.internal_traffic_policy == "Local" && !headless {
        let node = &world.pods[client].spec.node_name;
        if node.is_empty() || candidates.iter().any(|c| c.node.is_empty()) {
            return None;
        }
        candidates.retain(|c| c.node == *node);
    }
    // KEP-1669: traffic goes to ready endpoints; where there is none, to terminating ones that still serve. A headless
    // Service's name holds ready addresses alone.
    let mut used: Vec<&Candidate> = candidates.iter().filter(|c| c.ready).collect();
    if used.is_empty() && !headless {
        used = candidates.iter().filter(|c| c.draining).collect();
    }
    let own = pod_ips(&world.pods[client]);
    let (mut open, mut closed, mut open_question) = (false, false, false);
    for candidate in used {
        let family = |v6: bool| own.iter().copied().find(|ip| ip.is_ipv6() == v6);
        let from = match candidate.ip {
            Some(ip) if !own.is_empty() => match family(ip.is_ipv6()) {
                Some(from) => Some(from),
                // The two share no address of this family: nothing is sent.
                None => continue,
            },
            Some(_) => None,
            None => family(false),
        };
        let question = Question {
            client: End { who: Who::Pod(client), ip: from },
            server: End { who: candidate.who, ip: candidate.ip },
            protocol,
            port: candidate.port,
            name: None,
            // The addresses of a headless Service are dialled as such.
            via_service: candidate.who == Who::Pod(client) && !headless,
        };
        match answer(world, &question, choices) {
            Answer::Allowed => open = true,
            Answer::Denied => closed = true,
            Answer::Ambiguous => open_question = true,
        }
    }
    Some(match (open, closed, open_question) {
        (true, true, _) => Met::Partial,
        (_, _, true) => Met::Unknown,
        (true, ..) => Met::Reachable,
        (_, true, _) => Met::Blocked,
        _ => Met::Unreachable,
    })
}

fn protocol_of(written: &str) -> &str {
    if written.is_empty() { "TCP" } else { written }
}

/// A selected pod, once for each of its addresses.
fn selected(index: usize, pod: &Pod, service: &Service, port: u16, protocol: &str, headless: bool) -> Vec<Candidate> {
    let listed = service.spec.ports.iter().find(|p| p.port == i64::from(port) && protocol_of(&p.protocol) == protocol);
    let number = match listed.and_then(|p| p.target_port.as_ref()) {
        // "headless: no port mapping"
        _ if headless => Some(port),
        None => Some(port),
        Some(IntOrString::Int(number)) => Some(*number as u16),
        // The endpoints controller looks among the containers, then among the sidecars; a pod without such a port is no
        // endpoint of this port.
        Some(IntOrString::String(name)) => {
            let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy == "Always");
            pod.spec
                .containers
                .iter()
                .chain(sidecars)
                .flat_map(|c| &c.ports)
                .find(|p| p.name == *name && protocol_of(&p.protocol) == protocol)
                .map(|p| p.container_port as u16)
        }
    };
    let Some(number) = number else { return Vec::new() };
    let condition = pod.status.conditions.iter().find(|c| c.kind == "Ready");
    // Manifests have no status: such a pod is taken as it is meant to be.
    let ready = condition.map_or(matches!(pod.status.phase.as_str(), "" | "Running"), |c| c.status == "True");
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let ips = pod_ips(pod);
    let mut ips: Vec<Option<IpAddr>> = if ips.is_empty() { vec![None] } else { ips.into_iter().map(Some).collect() };
    ips.sort_unstable();
    ips.dedup();
    ips.into_iter()
        .map(|ip| Candidate {
            who: Who::Pod(index),
            ip,
            node: pod.spec.node_name.to_string(),
            port: number,
            ready: (ready && !terminating) || service.spec.publish_not_ready_addresses,
            draining: ready && terminating,
        })
        .collect()
}

/// What somebody wrote down: "A nil value should be interpreted as ready".
fn from_slice(
    world: &World,
    slice: &EndpointSlice,
    service: &Service,
    name: &str,
    port: u16,
    protocol: &str,
    headless: bool,
) -> Vec<Candidate> {
    let listed = slice.ports.iter().find(|p| p.name == name && protocol_of(&p.protocol) == protocol);
    let number = match listed {
        // Its name resolves to every address, whatever ports the slices list.
        _ if headless => port,
        Some(listed) => listed.port.expect("slices are made with a port") as u16,
        None => return Vec::new(),
    };
    let mut out = Vec::new();
    for endpoint in &slice.endpoints {
        let ready = endpoint.conditions.ready.unwrap_or(true);
        let serving = endpoint.conditions.serving.unwrap_or(ready);
        let terminating = endpoint.conditions.terminating.unwrap_or(false);
        for ip in endpoint.addresses.iter().filter_map(|a| a.parse().ok()) {
            let who = world.who_has(ip);
            let node = match who {
                _ if !endpoint.node_name.is_empty() => endpoint.node_name.to_string(),
                Who::Pod(pod) => world.pods[pod].spec.node_name.to_string(),
                _ => String::new(),
            };
            out.push(Candidate {
                who,
                ip: Some(ip),
                node,
                port: number,
                ready: ready || service.spec.publish_not_ready_addresses,
                draining: serving && terminating,
            });
        }
    }
    out
}
