//! The document of `graph -o json` against single checks, on random pairs.

use std::collections::{HashMap, HashSet};

use netcheck::analysis::graph::{Options, build};
use netcheck::model::{PodId, Protocol};
use netcheck::reach::{Endpoint, Evaluator, Flow, Outcome};
use netcheck::report::check::Facts;
use netcheck::report::graph::{Reasons, report};
use netcheck::source::SourceMap;
use serde_json::Value;

use crate::work::Loaded;

/// What was compared.
pub struct Asked {
    pub pairs: usize,
    pub answers: usize,
    pub open: usize,
}

/// A generator of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// The ranges of a list of the document, of any of these protocols: first and last port.
fn ranges(list: &Value, protocols: &[&str]) -> Vec<(u16, u16)> {
    let of = |one: &Value| protocols.iter().any(|p| one["protocol"] == *p);
    let all = list.as_array().into_iter().flatten().filter(|one| of(one));
    all.flat_map(|one| {
        let ports = one["ports"].as_str().unwrap_or("1-65535");
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        ports.split(',').filter_map(range).collect::<Vec<_>>()
    })
    .collect()
}

/// Whether a list of the document holds a port.
fn holds(list: &Value, protocol: Protocol, port: u16) -> bool {
    ranges(list, &["any", &protocol.to_string()]).iter().any(|(first, last)| (*first..=*last).contains(&port))
}

/// Ports at which an answer may change: the ends of the document's ranges and their neighbours, and some of no rule.
fn ports(edges: &[&Value], random: &mut Random) -> Vec<u16> {
    let mut out: Vec<u16> = vec![53, 80, 443, 8080, 1 + random.below(65_535) as u16];
    for list in edges.iter().flat_map(|e| ["open", "partial", "unknown"].map(|k| &e[k])) {
        for (first, last) in ranges(list, &["TCP", "UDP"]) {
            out.extend([first.saturating_sub(1), first, last, last.saturating_add(1)].map(|p| p.max(1)));
        }
    }
    out.sort_unstable();
    out.dedup();
    while out.len() > 12 {
        out.remove(random.below(out.len()));
    }
    out
}

/// Asks both; an error is the first disagreement.
pub fn agree(loaded: &Loaded, wanted: usize) -> Result<Asked, String> {
    let cluster = &loaded.cluster;
    let graph = build(cluster, &loaded.policies, &loaded.profile, &Options::default());
    let sources = SourceMap::default();
    let facts = Facts { cluster, policies: &loaded.policies, sources: &sources };
    let document =
        serde_json::to_value(report(facts, Reasons::None, &graph, &loaded.profile.name)).map_err(|e| e.to_string())?;
    let members: Vec<&Value> = document["edges"].as_array().into_iter().flatten().collect();
    // The edges that each end is a client of, and a server of.
    let mut of: [HashMap<&str, HashSet<usize>>; 2] = Default::default();
    for (index, edge) in members.iter().enumerate() {
        for (side, of) in ["from", "to"].iter().zip(&mut of) {
            for end in edge[side].as_array().into_iter().flatten().filter_map(Value::as_str) {
                of.entry(end).or_default().insert(index);
            }
        }
    }
    // What the document calls each workload of pods.
    let ids: Vec<&str> = document["ends"].as_array().into_iter().flatten().filter_map(|e| e["id"].as_str()).collect();
    let named: Vec<(&str, &[PodId])> = ids
        .iter()
        .zip(&graph.ends)
        .filter(|(_, end)| end.is_pods() && !end.pods.is_empty())
        .map(|(id, end)| (*id, end.pods.as_slice()))
        .collect();
    let place: HashMap<&str, usize> = named.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
    let evaluator = Evaluator::new(cluster, &loaded.policies, &loaded.profile);
    let mut random = Random(7);
    let mut asked = Asked { pairs: 0, answers: 0, open: 0 };
    while asked.pairs < wanted {
        // Random pairs are closed, nearly all of them: every other pair is one of an edge.
        let edge = (asked.pairs % 2 == 1 && !members.is_empty()).then(|| members[random.below(members.len())]);
        let pick = |side: &str, random: &mut Random| {
            let ends = edge.and_then(|e| e[side].as_array()).filter(|e| !e.is_empty());
            let id = ends.and_then(|ends| ends[random.below(ends.len())].as_str());
            let at = id.and_then(|id| place.get(id).copied());
            named[at.unwrap_or_else(|| random.below(named.len()))]
        };
        let ((from, clients), (to, servers)) = (pick("from", &mut random), pick("to", &mut random));
        let (client, server) = (clients[random.below(clients.len())], servers[random.below(servers.len())]);
        asked.pairs += 1;
        if client == server {
            continue;
        }
        let empty = HashSet::new();
        let (a, b) = (of[0].get(from).unwrap_or(&empty), of[1].get(to).unwrap_or(&empty));
        // One end alone on both sides means its pods among each other; with others, it leaves that out.
        let alone = |e: &Value| e["from"].as_array().map(Vec::len) == Some(1) && e["from"] == e["to"];
        let edges: Vec<&Value> = a.intersection(b).map(|e| members[*e]).filter(|e| (from == to) == alone(e)).collect();
        for port in ports(&edges, &mut random) {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let flow = Flow {
                    client: Endpoint::pod(cluster, client, graph.v6),
                    server: Endpoint::pod(cluster, server, graph.v6),
                    protocol,
                    port,
                    name: None,
                    via_service: false,
                };
                let outcome = evaluator.evaluate(&flow).outcome;
                let in_any = |key: &str| edges.iter().any(|e| holds(&e[key], protocol, port));
                let (open, partial, unknown) = (in_any("open"), in_any("partial"), in_any("unknown"));
                asked.answers += 1;
                asked.open += usize::from(outcome == Outcome::Allowed);
                let fits = match outcome {
                    Outcome::Allowed => open || partial || unknown,
                    Outcome::Denied => !open,
                    Outcome::Unknown => unknown,
                };
                // An end of one class of pods has one answer for all of them.
                let sure = clients.len() == 1 && servers.len() == 1;
                let exact = match outcome {
                    Outcome::Allowed => open,
                    Outcome::Denied => !open && !partial && !unknown,
                    Outcome::Unknown => unknown,
                };
                if !fits || sure && !exact {
                    return Err(format!(
                        "{from} -> {to} {protocol} {port}: a check says {outcome:?}, the graph open {open}, partial {partial}, unknown {unknown}"
                    ));
                }
            }
        }
    }
    Ok(asked)
}
