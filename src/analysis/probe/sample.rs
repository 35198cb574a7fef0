//! Some flows of a whole cluster to try with packets, and the count of what they confirmed.
//!
//! A sample is the same each time for the same cluster: clients are spread over workloads, servers over the ports they
//! declare, and what is blocked and what is open are taken in equal parts, as far as there is both.

use super::judge::{Agreement, Enforcement, Judgement};
use super::plan::{Item, Plan, Role};
use crate::model::{Cluster, ContainerKind, NamespaceId, Phase, Pod, PodId, Protocol};
use crate::probe_target::{Dial, Host, Protocol as Transport, Talk, Target};
use crate::reach::{Endpoint, Evaluator, Flow, Outcome, Verdict};

/// Flows that are tried from one client.
const EACH: usize = 5;
/// Flows that are looked at for one that is taken.
const LOOKS: usize = 200;
/// Facts that are kept; more are counted.
const MOST_FACTS: usize = 20;

/// How many verdicts packets confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Verdicts that were tried.
    pub tried: usize,
    /// Those that packets came to as well, and those that packets settled where policies leave it open.
    pub confirmed: usize,
    /// Those that packets contradict.
    pub disagree: usize,
    /// Those that packets tell nothing of.
    pub inconclusive: usize,
    /// Pods that could not be probed from, and verdicts that are not confirmed: a sentence each.
    pub facts: Vec<String>,
}

impl Tally {
    /// Counts what came of one client.
    pub fn add(&mut self, client: &str, plan: &Plan, judgement: &Judgement) {
        for (item, finding) in plan.items.iter().zip(&judgement.findings).filter(|(i, _)| i.role != Role::MustFail) {
            self.tried += 1;
            let class = finding.class.map_or("no answer", |c| c.as_str());
            match finding.agreement {
                Agreement::Agrees | Agreement::Settled => {
                    self.confirmed += 1;
                    continue;
                }
                Agreement::Disagrees => self.disagree += 1,
                Agreement::Inconclusive => self.inconclusive += 1,
            }
            let fact = format!(
                "{client} to {} ({}): {} by the policies, {class} by packets",
                item.what,
                item.target,
                item.expected.name()
            );
            self.fact(fact);
        }
        if judgement.enforcement == Enforcement::Absent || judgement.agreement == Agreement::Inconclusive {
            judgement.meanings.iter().for_each(|meaning| self.fact(format!("{client}: {meaning}")));
        }
    }

    /// Counts what could not be tried from a client.
    pub fn failed(&mut self, client: &str, plan: &Plan, why: &str) {
        let count = plan.items.iter().filter(|i| i.role != Role::MustFail).count();
        self.tried += count;
        self.inconclusive += count;
        self.fact(format!("{client}: {why}"));
    }

    fn fact(&mut self, fact: String) {
        if self.facts.len() < MOST_FACTS && !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }

    /// With what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.tried += other.tried;
        self.confirmed += other.confirmed;
        self.disagree += other.disagree;
        self.inconclusive += other.inconclusive;
        other.facts.iter().for_each(|fact| self.fact(fact.clone()));
    }

    /// Whether packets confirmed all that was tried.
    pub fn is_confirmed(&self) -> bool {
        self.disagree == 0 && self.inconclusive == 0
    }
}

/// At most `most` flows, by client; of these namespaces' clients alone where some are given.
pub fn sample(evaluator: &Evaluator<'_>, only: Option<&[NamespaceId]>, most: usize) -> Vec<(PodId, Plan)> {
    let cluster = evaluator.cluster;
    let usable = |p: &Pod| {
        !p.template
            && !p.terminating
            && !p.host_network
            && p.phase == Phase::Running
            && !p.ips.is_empty()
            && p.node.is_some()
    };
    let first = most.div_ceil(EACH).max(1);
    let clients = spread(clients(cluster, only, usable), first);
    let servers: Vec<(PodId, u16)> = cluster
        .pods
        .iter()
        .enumerate()
        .filter(|(_, p)| usable(p) && p.ready)
        .flat_map(|(index, p)| {
            let open = p.ports.iter().filter(|c| c.protocol == Protocol::Tcp && c.container != ContainerKind::Init);
            open.map(move |c| (PodId(index as u32), c.number))
        })
        .filter(|(_, port)| *port > 0)
        .collect();
    let mut out: Vec<(PodId, Plan)> = Vec::new();
    let mut left = most;
    let (mut open, mut blocked) = (0usize, 0usize);
    for (number, client) in clients.iter().enumerate() {
        if left == 0 {
            break;
        }
        let mut items: Vec<Item> = Vec::new();
        // Where the first ones have too few, others make up for it.
        let wanted = left.div_ceil(first.saturating_sub(number).max(1));
        // The verdict that is rarer so far is looked for first; then whatever there is.
        for rarer in [true, false] {
            for look in 0..servers.len().min(LOOKS) {
                if items.len() >= wanted || (rarer && items.len() >= wanted.div_ceil(2)) {
                    break;
                }
                let (server, port) = servers[(number * 31 + look * step(servers.len())) % servers.len()];
                let Some(item) = item(evaluator, *client, server, port) else { continue };
                let is_blocked = item.expected == Verdict::Blocked;
                if (rarer && is_blocked != (blocked <= open)) || items.iter().any(|i| i.target == item.target) {
                    continue;
                }
                *(if is_blocked { &mut blocked } else { &mut open }) += 1;
                items.push(item);
            }
        }
        left -= items.len();
        if !items.is_empty() {
            out.push((*client, Plan { items, notes: Vec::new() }));
        }
    }
    out
}

/// One pod of each workload.
fn clients(cluster: &Cluster, only: Option<&[NamespaceId]>, usable: impl Fn(&Pod) -> bool) -> Vec<PodId> {
    let mut seen = std::collections::HashSet::new();
    let pods =
        cluster.pods.iter().enumerate().filter(|(_, p)| usable(p) && only.is_none_or(|o| o.contains(&p.namespace)));
    pods.filter(|(_, p)| p.workload.as_ref().is_none_or(|w| seen.insert((p.namespace, w))))
        .map(|(index, _)| PodId(index as u32))
        .collect()
}

/// That many of a list at even distances, and then the others.
fn spread(all: Vec<PodId>, count: usize) -> Vec<PodId> {
    let count = count.min(all.len());
    let mut out: Vec<PodId> = (0..count).map(|n| all[n * all.len() / count]).collect();
    let taken: std::collections::HashSet<PodId> = out.iter().copied().collect();
    out.extend(all.into_iter().filter(|p| !taken.contains(p)));
    out
}

/// A step through a list of this length that comes to every entry.
fn step(length: usize) -> usize {
    // A prime larger than half of any list is prime to its length, unless it divides it.
    if length.is_multiple_of(7919) { 1 } else { 7919 }
}

fn item(evaluator: &Evaluator<'_>, client: PodId, server: PodId, port: u16) -> Option<Item> {
    let cluster = evaluator.cluster;
    if client == server {
        return None;
    }
    let ip = cluster.pods[server.index()]
        .ips
        .iter()
        .copied()
        .find(|ip| cluster.pods[client.index()].ip(ip.is_ipv6()).is_some())?;
    let flow = Flow {
        client: Endpoint::pod(cluster, client, ip.is_ipv6()),
        server: Endpoint::pod(cluster, server, ip.is_ipv6()),
        protocol: Protocol::Tcp,
        port,
        name: None,
        via_service: false,
    };
    let expected = match evaluator.evaluate(&flow).outcome {
        Outcome::Allowed => Verdict::Reachable,
        Outcome::Denied => Verdict::Blocked,
        Outcome::Unknown => Verdict::Unknown,
    };
    let dial = Dial { protocol: Transport::Tcp, port, talk: Talk::Nothing };
    let target = Target { host: Host::Address(ip), dial: Some(dial) };
    Some(Item { role: Role::Endpoint(0), target, what: cluster.pod_name(server), expected, server: Some(server) })
}
