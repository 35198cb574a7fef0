//! Connections of an expectation that a pod can try, for holding it against packets: a few of each.

use super::file::{Expectation, Matrix, Rule};
use super::judge::{Wanted, ports};
use super::who::{Aim, Who};
use super::{Demand, cells, demanded};
use crate::model::query::{PortSpec, Target};
use crate::model::{PodId, Protocol};
use crate::reach::{Evaluator, Source};
use crate::source::FieldPath;

/// Connections of one expectation that are tried.
const MOST: usize = 3;

/// A connection to try.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The expectation in its document, as its answer names it.
    pub path: FieldPath,
    /// The pod that connects.
    pub client: PodId,
    /// To what.
    pub target: Target,
    /// How the target was written.
    pub name: String,
    /// Port.
    pub port: PortSpec,
    /// Protocol.
    pub protocol: Protocol,
}

/// What to try of each expectation of a group and its matrix. What is wrong with one is said by its answer.
pub fn trials(
    evaluator: &Evaluator<'_>,
    namespace: &str,
    expect: &[Expectation],
    matrix: Option<&Matrix>,
    at: &FieldPath,
) -> Vec<Trial> {
    let mut out = Vec::new();
    for (index, expectation) in expect.iter().enumerate() {
        of(evaluator, namespace, expectation, at.clone().key("expect").index(index), &mut out);
    }
    for (path, expectation) in matrix.into_iter().flat_map(|m| cells(m, at)) {
        if let Ok(expectation) = expectation {
            of(evaluator, namespace, &expectation, path, &mut out);
        }
    }
    out
}

fn of(evaluator: &Evaluator<'_>, namespace: &str, expectation: &Expectation, path: FieldPath, out: &mut Vec<Trial>) {
    let Some((demand, key, rule)) = demanded(expectation) else { return };
    let who = Who { cluster: evaluator.cluster, policies: evaluator.policies, namespace };
    let (Some(from), Some(to)) = (&rule.from, &rule.to) else { return };
    let (Ok(sources), Ok(aims), Ok(except)) = (who.sources(from), who.aims(to), who.pods_of(rule.except.as_ref()))
    else {
        return;
    };
    let real = |pod: &PodId| {
        let pod = &evaluator.cluster.pods[pod.index()];
        !pod.template && !pod.terminating && !pod.host_network && !pod.ips.is_empty()
    };
    let pods = |source: &Source| match source {
        Source::Pod(pod) => Some(*pod).filter(|p| real(p) && !except.contains(p)),
        _ => None,
    };
    let clients: Vec<PodId> = sources.iter().filter_map(pods).collect();
    let path = path.key(key);
    let before = out.len();
    push(evaluator, &path, rule, &clients, &aims, MOST, out);
    // "Nothing else": who is not listed has to fail.
    if demand == Demand::Only && rule.side.is_none() {
        let others: Vec<PodId> =
            who.everyone().filter(|p| real(p) && !except.contains(p) && !sources.contains(&Source::Pod(*p))).collect();
        let most = MOST.saturating_sub(out.len() - before).max(1);
        push(evaluator, &path, rule, &others, &aims, most, out);
    }
}

/// Some pairs, spread over the clients and the targets.
fn push(
    evaluator: &Evaluator<'_>,
    path: &FieldPath,
    rule: &Rule,
    clients: &[PodId],
    aims: &[Aim],
    most: usize,
    out: &mut Vec<Trial>,
) {
    let pairs = clients.len().saturating_mul(aims.len());
    let count = most.min(pairs);
    for number in 0..count {
        let pair = number * pairs / count;
        let (client, aim) = (clients[pair / aims.len()], &aims[pair % aims.len()]);
        if matches!(&aim.target, Target::Pods(pods) if pods.as_slice() == [client]) {
            continue;
        }
        let known = asked(evaluator, rule, aim);
        if let Some((port, protocol)) = known.get(number % known.len().max(1)) {
            out.push(Trial {
                path: path.clone(),
                client,
                target: aim.target.clone(),
                name: aim.name.clone(),
                port: port.clone(),
                protocol: *protocol,
            });
        }
    }
}

/// The ports of a pair: those that are written, else those that the target declares.
fn asked(evaluator: &Evaluator<'_>, rule: &Rule, aim: &Aim) -> Vec<(PortSpec, Protocol)> {
    if let Some(port) = &aim.port {
        return vec![port.clone()];
    }
    if !rule.ports.is_empty()
        && let Ok(Wanted::Listed(listed)) = ports(&rule.ports)
    {
        return listed;
    }
    let cluster = evaluator.cluster;
    let numbers: Vec<(u16, Protocol)> = match &aim.target {
        Target::Service(id) | Target::ServiceAddress(id, _) => {
            cluster.services[id.index()].ports.iter().map(|p| (p.number, p.protocol)).collect()
        }
        Target::Pods(pods) => {
            pods.iter().flat_map(|p| cluster.pods[p.index()].ports.iter()).map(|p| (p.number, p.protocol)).collect()
        }
        _ => Vec::new(),
    };
    // A range, or no port at all: one that something listens on tells most.
    let tcp = numbers.into_iter().filter(|(_, protocol)| *protocol == Protocol::Tcp);
    tcp.map(|(number, protocol)| (PortSpec::Number(number), protocol)).collect()
}
