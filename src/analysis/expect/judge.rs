//! One expectation judged: every client against every target on every port, and what is to blame where it is otherwise.

use std::collections::{HashMap, HashSet};

use super::file::{PortText, Rule};
use super::who::{Aim, Who, is_public};
use super::{Answer, Demand, Misuse, Outcome, blames, unguarded};
use crate::analysis::diff::L4;
use crate::analysis::explain::{explain, text::endpoint_name};
use crate::model::query::{PortSpec, Target};
use crate::model::{Cluster, PodId, PortSet, Protocol};
use crate::reach::Outcome as Outcomes;
use crate::reach::check::combine;
use crate::reach::gate::Gate;
use crate::reach::{Check, CheckOptions, Decision, Endpoint, Evaluator, Flow, Obstacle, Source, Verdict};
use crate::source::FieldPath;

/// Pairs that are told of one expectation.
const MOST_FACTS: usize = 5;
/// Diagnostics that are drawn for one expectation.
const MOST_DIAGNOSTICS: usize = 2;
/// Pairs that one expectation may have; a larger one is refused, not cut short.
const MOST_PAIRS: usize = 5_000_000;

/// The ports that are asked for.
pub(super) enum Wanted {
    /// Those that were listed.
    Listed(Vec<(PortSpec, Protocol)>),
    /// Whole sets.
    Sets(L4),
}

/// The answer for one pair on one port.
struct Judged {
    verdict: Verdict,
    client: String,
    server: String,
    port: String,
    check: Option<Box<Check>>,
    decisions: Vec<Decision>,
}

pub(super) fn judge(evaluator: &Evaluator<'_>, namespace: &str, demand: Demand, rule: &Rule) -> Result<Answer, Misuse> {
    let who = Who { cluster: evaluator.cluster, policies: evaluator.policies, namespace };
    let (Some(from), Some(to)) = (&rule.from, &rule.to) else {
        return Err(("an expectation needs `from` and `to`".to_owned(), Vec::new()));
    };
    let to_side = match rule.side.as_deref() {
        None | Some("from") => false,
        Some("to") if demand == Demand::Only => true,
        Some(other) => return Err((format!("`{other}` is not a side: `from` or `to`, with `only`"), Vec::new())),
    };
    let verdict = match rule.verdict.as_deref() {
        None => None,
        Some(name) => Some(verdict(name)?),
    };
    let except = who.pods_of(rule.except.as_ref())?;
    let kept = |s: &Source| !matches!(s, Source::Pod(pod) if except.contains(pod));
    let sources: Vec<Source> = who.sources(from)?.into_iter().filter(kept).collect();
    let aims = who.aims(to)?;
    // "Nobody reaches it" and "it reaches nobody" are said with an empty list.
    let nobody = demand == Demand::Only && if to_side { to.list().is_empty() } else { from.list().is_empty() };
    let (no_client, no_target) = (nobody && !to_side, nobody && to_side);
    for (empty, meant, side) in [(sources.is_empty(), no_client, "from"), (aims.is_empty(), no_target, "to")] {
        if empty && !meant {
            return Err((format!("`{side}` matches nothing"), Vec::new()));
        }
    }
    let mut run = Run {
        evaluator,
        who: &who,
        rule,
        memo: HashMap::new(),
        out: Vec::new(),
        pairs: 0,
        rest: false,
        only: demand == Demand::Only,
    };
    match demand {
        Demand::Allow => run.all(&sources, &aims, Demand::Allow)?,
        Demand::Deny => run.all(&sources, &aims, Demand::Deny)?,
        Demand::Only => {
            if !nobody {
                run.all(&sources, &aims, Demand::Allow)?;
            }
            let allowed = std::mem::take(&mut run.out);
            let (others, rest) = if to_side {
                let listed = targets(evaluator.cluster, &aims);
                let rest: Vec<Aim> = who
                    .everyone()
                    .filter(|p| !listed.contains(p) && !except.contains(p))
                    .map(|p| Aim { target: Target::Pods(vec![p]), port: None, name: evaluator.cluster.pod_name(p) })
                    .collect();
                (sources.clone(), rest)
            } else {
                (run.others(&sources, from).into_iter().filter(kept).collect(), aims.clone())
            };
            run.rest = true;
            run.all(&others, &rest, Demand::Deny)?;
            let denied = std::mem::take(&mut run.out);
            let mut answer = run.answer(allowed, Demand::Allow, verdict);
            let second = run.answer(denied, Demand::Deny, None);
            answer.outcome = answer.outcome.max(second.outcome);
            answer.facts.extend(second.facts);
            answer.blames.extend(second.blames);
            answer.diagnostics.extend(second.diagnostics);
            answer.pairs = run.pairs;
            return Ok(answer);
        }
    }
    let judged = std::mem::take(&mut run.out);
    Ok(run.answer(judged, demand, verdict))
}

fn verdict(name: &str) -> Result<Verdict, Misuse> {
    use Verdict::{Blocked, Partial, Reachable, Unknown, Unreachable};
    let all = [Reachable, Blocked, Partial, Unreachable, Unknown];
    all.into_iter().find(|v| v.name() == name).ok_or_else(|| {
        (format!("`{name}` is not a verdict"), vec![format!("one of {}", all.map(Verdict::name).join(", "))])
    })
}

fn targets(cluster: &Cluster, aims: &[Aim]) -> Vec<PodId> {
    let mut out = Vec::new();
    for aim in aims {
        match &aim.target {
            Target::Pods(pods) => out.extend(pods),
            Target::PodByName(pod) => out.push(*pod),
            Target::Service(id) | Target::ServiceAddress(id, _) | Target::NodePort(id, _) => {
                let service = &cluster.services[id.index()];
                for port in &service.ports {
                    out.extend(cluster.backends(*id, port).into_iter().filter_map(|b| b.pod));
                }
            }
            _ => {}
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// What tells clients apart: pods of one template on one node are asked once.
type Alike = (usize, u32, Option<u32>, Vec<std::net::IpAddr>, usize);

/// What the answer for a client that no rule lets in depends on: whether it is a pod, its node, its families of addresses.
type Kindred = (bool, Option<u32>, bool, bool);

struct Run<'a> {
    evaluator: &'a Evaluator<'a>,
    who: &'a Who<'a>,
    rule: &'a Rule,
    memo: HashMap<Alike, ()>,
    out: Vec<Judged>,
    pairs: usize,
    /// Whether it is about those that an `only` doesn't list.
    rest: bool,
    /// Whether it is an `only`.
    only: bool,
}

impl<'a> Run<'a> {
    fn all(&mut self, sources: &[Source], aims: &[Aim], demand: Demand) -> Result<(), Misuse> {
        if sources.len().saturating_mul(aims.len()) > MOST_PAIRS {
            return Err((format!("more than {MOST_PAIRS} pairs: name fewer clients or targets"), Vec::new()));
        }
        for (number, aim) in aims.iter().enumerate() {
            let wanted = self.wanted(aim, demand)?;
            let servers = targets(self.evaluator.cluster, std::slice::from_ref(aim));
            self.memo.clear();
            let gates = if demand == Demand::Deny && self.plain() { self.gates(&servers) } else { None };
            let mut shut: HashSet<Kindred> = HashSet::new();
            for source in sources {
                // A pod reaches itself whatever the policies say.
                if matches!(source, Source::Pod(pod) if servers == [*pod]) {
                    continue;
                }
                if let Source::Pod(id) = source
                    && !servers.contains(id)
                {
                    let pod = &self.evaluator.cluster.pods[id.index()];
                    let labels = std::sync::Arc::as_ptr(&pod.labels) as usize;
                    let alike = (labels, pod.namespace.0, pod.node.map(|n| n.0), pod.ips.clone(), number);
                    if self.memo.insert(alike, ()).is_some() {
                        self.pairs += 1;
                        continue;
                    }
                }
                self.pairs += 1;
                let kindred = gates.as_ref().and_then(|gates| self.kindred(*source, &servers, gates));
                if kindred.is_some_and(|k| shut.contains(&k)) {
                    continue;
                }
                let before = self.out.len();
                self.pair(*source, aim, &wanted, demand);
                let blocked = |judged: &[Judged]| judged.iter().all(|j| j.verdict == Verdict::Blocked);
                if demand == Demand::Deny && self.plain() && blocked(&self.out[before..]) {
                    if self.out.len() > before {
                        shut.extend(kindred);
                    }
                    // What is as expected needs no telling.
                    self.out.truncate(before);
                }
            }
        }
        Ok(())
    }

    /// Whether only the verdict counts, and not who decided.
    fn plain(&self) -> bool {
        self.rule.by.is_none() && (self.rest || self.rule.verdict.is_none())
    }

    /// The gates before all servers; none where one has none.
    fn gates(&self, servers: &[PodId]) -> Option<Vec<Gate<'a>>> {
        let cluster = self.evaluator.cluster;
        let mut out = Vec::new();
        for pod in servers {
            let ips = &cluster.pods[pod.index()].ips;
            for v6 in [false, true] {
                if ips.iter().any(|ip| ip.is_ipv6() == v6) || (ips.is_empty() && !v6) {
                    out.push(self.evaluator.gate(&Endpoint::pod(cluster, *pod, v6))?);
                }
            }
        }
        (!out.is_empty()).then_some(out)
    }

    /// Of a client that no rule of any server lets in: what else its answer depends on.
    fn kindred(&self, source: Source, servers: &[PodId], gates: &[Gate<'_>]) -> Option<Kindred> {
        let cluster = self.evaluator.cluster;
        let (node, ips) = match source {
            Source::Pod(pod) if servers.contains(&pod) => return None,
            Source::Pod(pod) => (cluster.pods[pod.index()].node, cluster.pods[pod.index()].ips.clone()),
            Source::Address(ip) => (None, vec![ip]),
            Source::Node(_) | Source::Internet => return None,
        };
        let has = |v6: bool| ips.iter().any(|ip| ip.is_ipv6() == v6);
        let out = gates.iter().all(|gate| {
            let v6 = gate.server().ip.is_some_and(|ip| ip.is_ipv6());
            match source {
                Source::Pod(pod) => gate.shuts_out(&Endpoint::pod(cluster, pod, v6)),
                Source::Address(ip) => gate.shuts_out(&Endpoint::address(cluster, ip)),
                Source::Node(_) | Source::Internet => false,
            }
        });
        out.then_some((matches!(source, Source::Pod(_)), node.map(|n| n.0), has(false), has(true)))
    }

    /// Every other client: pods, and an address of each stretch outside.
    fn others(&self, listed: &[Source], from: &super::file::Peers) -> Vec<Source> {
        let pods = self.who.everyone().map(Source::Pod).filter(|s| !listed.contains(s));
        let internet = listed.contains(&Source::Internet);
        let names: Vec<ipnet::IpNet> = from
            .list()
            .iter()
            .filter_map(|p| match p {
                super::file::Peer::Text(text) => text.strip_prefix("ip:").and_then(|t| t.parse().ok()),
                super::file::Peer::Pods(_) => None,
            })
            .collect();
        let everywhere = self.who.families().into_iter().flat_map(|n| self.who.stretches(n, &names));
        let cluster = self.evaluator.cluster;
        let outside = everywhere
            .filter(|ip| !names.iter().any(|n| n.contains(ip)))
            .filter(|ip| cluster.pod_by_ip(*ip).is_none() && cluster.node_by_ip(*ip).is_none())
            .filter(|ip| !internet || !is_public(*ip))
            .map(Source::Address)
            .filter(|s| !listed.contains(s));
        pods.chain(outside).collect()
    }

    fn wanted(&self, aim: &Aim, demand: Demand) -> Result<Wanted, Misuse> {
        if let Some((port, protocol)) = &aim.port {
            return Ok(Wanted::Listed(vec![(port.clone(), *protocol)]));
        }
        if !self.rule.ports.is_empty() {
            return ports(&self.rule.ports);
        }
        if demand == Demand::Deny || self.rule.verdict.as_deref() == Some("blocked") {
            return Ok(Wanted::Sets(L4::all()));
        }
        let cluster = self.evaluator.cluster;
        let mut known: Vec<(u16, Protocol)> = match &aim.target {
            Target::Service(id) | Target::ServiceAddress(id, _) => {
                cluster.services[id.index()].ports.iter().map(|p| (p.number, p.protocol)).collect()
            }
            Target::Pods(pods) => {
                pods.iter().flat_map(|p| cluster.pods[p.index()].ports.iter()).map(|p| (p.number, p.protocol)).collect()
            }
            _ => Vec::new(),
        };
        known.sort_unstable();
        known.dedup();
        if known.is_empty() && self.rule.side.is_none() && self.only {
            // Nobody says which ports there are: what is listed reaches all of them, as the rest reaches none.
            return Ok(Wanted::Sets(L4::all()));
        }
        if known.is_empty() {
            return Err((format!("which port of `{}`?", aim.name), vec!["say it with `ports`".to_owned()]));
        }
        Ok(Wanted::Listed(known.into_iter().map(|(n, p)| (PortSpec::Number(n), p)).collect()))
    }

    fn pair(&mut self, source: Source, aim: &Aim, wanted: &Wanted, demand: Demand) {
        match wanted {
            Wanted::Listed(ports) => {
                for (port, protocol) in ports {
                    let judged = self.dial(source, aim, port, *protocol, demand);
                    self.out.extend(judged);
                }
            }
            Wanted::Sets(sets) => {
                let judged = self.sets(source, aim, sets, demand);
                self.out.extend(judged);
            }
        }
    }

    fn client_name(&self, source: Source) -> String {
        let cluster = self.evaluator.cluster;
        match source {
            Source::Pod(pod) => crate::analysis::diff::Party::of(cluster, pod).to_string(),
            Source::Node(node) => format!("node {}", cluster.nodes[node.index()].name),
            Source::Address(ip) => ip.to_string(),
            Source::Internet => "the internet".to_owned(),
        }
    }

    /// One port, as a client dials it.
    fn dial(&self, source: Source, aim: &Aim, port: &PortSpec, protocol: Protocol, demand: Demand) -> Option<Judged> {
        let options = CheckOptions { dns: demand == Demand::Allow };
        let nameless = |c: &Check| {
            !c.endpoints.is_empty() && c.endpoints.iter().all(|e| matches!(e.obstacle, Some(Obstacle::NoNamedPort(_))))
        };
        let mut check = self.evaluator.check(source, &aim.target, port, protocol, options);
        if self.rest && nameless(&check) {
            // Of "nothing else", what has no port of that name is no part.
            return None;
        }
        if demand == Demand::Deny
            && let Source::Pod(own) = source
            && check.endpoints.iter().any(|e| e.pod == Some(own))
        {
            // Of a Service that leads back to the client, the other endpoints count.
            check.endpoints.retain(|e| e.pod != Some(own));
            check.verdict = combine(check.endpoints.iter().filter(|e| e.counted).map(|e| e.verdict))?;
        }
        // That a virtual address means nothing outside is no protection: its pods have addresses of their own. Neither is a
        // load balancer's list: there are other ways in, such as its node ports.
        if demand == Demand::Deny
            && matches!(check.obstacle, Some(Obstacle::ClusterIpFromOutside | Obstacle::NotLetIn))
            && let Some(verdict) =
                combine(check.endpoints.iter().filter_map(|e| e.decision.as_ref()).map(|d| match d.outcome {
                    Outcomes::Allowed => Verdict::Reachable,
                    Outcomes::Denied => Verdict::Blocked,
                    Outcomes::Unknown => Verdict::Unknown,
                }))
        {
            check.verdict = verdict;
        }
        let decisions = check.endpoints.iter().filter(|e| e.counted).filter_map(|e| e.decision.clone()).collect();
        Some(Judged {
            verdict: check.verdict,
            client: self.client_name(source),
            server: aim.name.clone(),
            port: format!("{port}/{}", protocol.to_string().to_ascii_lowercase()),
            check: Some(Box::new(check)),
            decisions,
        })
    }

    /// Sets of ports on every server of a target.
    fn sets(&self, source: Source, aim: &Aim, sets: &L4, demand: Demand) -> Vec<Judged> {
        let cluster = self.evaluator.cluster;
        let pods = targets(cluster, std::slice::from_ref(aim));
        let mut servers: Vec<Endpoint> = Vec::new();
        for pod in &pods {
            if source == Source::Pod(*pod) {
                continue;
            }
            for v6 in [false, true] {
                if cluster.pods[pod.index()].ip(v6).is_some() {
                    servers.push(Endpoint::pod(cluster, *pod, v6));
                }
            }
            if cluster.pods[pod.index()].ips.is_empty() {
                servers.push(Endpoint::pod(cluster, *pod, false));
            }
        }
        match &aim.target {
            Target::Address(ip) => servers.push(Endpoint::address(cluster, *ip)),
            Target::Node(node) => servers.push(Endpoint::node(cluster, *node, false)),
            Target::Name(_) => servers.push(Endpoint::internet()),
            _ => {}
        }
        let mut out = Vec::new();
        for server in servers {
            let v6 = server.ip.is_some_and(|ip| ip.is_ipv6());
            let client = match source {
                Source::Pod(pod) => Endpoint::pod(cluster, pod, v6),
                Source::Node(node) => Endpoint::node(cluster, node, v6),
                Source::Address(ip) if server.ip.is_some_and(|s| s.is_ipv6() != ip.is_ipv6()) => continue,
                Source::Address(ip) => Endpoint::address(cluster, ip),
                Source::Internet => Endpoint::internet(),
            };
            let found = self.evaluator.connections(&client, &server);
            let set = |unknown: bool| {
                found.iter().fold(L4::default(), |so_far, (p, r)| {
                    so_far.or(&L4::one(p, if unknown { r.unknown.clone() } else { r.allowed.clone() }))
                })
            };
            let (open, perhaps) = (set(false).and(sets), set(true).and(sets));
            let closed = sets.minus(&open).minus(&perhaps);
            // What speaks against the expectation is shown, else what it rests on.
            let order = match demand {
                Demand::Allow => {
                    [(&closed, Verdict::Blocked), (&perhaps, Verdict::Unknown), (&open, Verdict::Reachable)]
                }
                _ => [(&open, Verdict::Reachable), (&perhaps, Verdict::Unknown), (&closed, Verdict::Blocked)],
            };
            let Some((ports, verdict)) = order.into_iter().find(|(ports, _)| !ports.is_empty()) else { continue };
            let Some((protocol, port)) = ports.iter().next().map(|(p, s)| (p, s.intervals()[0].0.max(1))) else {
                continue;
            };
            let flow = Flow { client, server, protocol, port, name: None, via_service: false };
            out.push(Judged {
                verdict,
                client: self.client_name(source),
                server: endpoint_name(cluster, &server),
                port: ports.to_string(),
                check: None,
                decisions: vec![self.evaluator.evaluate(&flow)],
            });
        }
        out
    }

    fn answer(&self, judged: Vec<Judged>, demand: Demand, verdict: Option<Verdict>) -> Answer {
        let wanted = verdict.unwrap_or(if demand == Demand::Allow { Verdict::Reachable } else { Verdict::Blocked });
        let mut out = Answer {
            name: String::new(),
            outcome: Outcome::Met,
            facts: Vec::new(),
            blames: Vec::new(),
            diagnostics: Vec::new(),
            reason: None,
            path: FieldPath::root(),
            pairs: self.pairs,
            packets: None,
        };
        let mut more = 0;
        let mut seen = HashSet::new();
        for one in judged {
            let mut wrong = one.verdict != wanted;
            let mut outcome = match one.verdict {
                _ if !wrong => Outcome::Met,
                Verdict::Unknown => Outcome::Unknown,
                _ => Outcome::Failed,
            };
            let mut found = Vec::new();
            one.decisions.iter().for_each(|d| blames(self.evaluator, d, &mut found));
            let mut fact = format!("{} → {} on {} is {}", one.client, one.server, one.port, one.verdict.name());
            if let (false, Some(by)) = (wrong, &self.rule.by) {
                let named = |reference: &str| reference == by || reference.ends_with(&format!("/{by}"));
                if !found.iter().any(|b| named(&b.reference)) {
                    (wrong, outcome) = (true, Outcome::Failed);
                    fact.push_str(&format!(", but not by {by}"));
                }
            }
            if !wrong {
                continue;
            }
            out.outcome = out.outcome.max(outcome);
            if !seen.insert(fact.clone()) {
                continue;
            }
            if out.facts.len() >= MOST_FACTS {
                more += 1;
                continue;
            }
            // Of what passes, the rules that let it; of what doesn't, those that stop it.
            let passes = one.verdict == Verdict::Reachable;
            if one.verdict != Verdict::Partial {
                found.retain(|b| b.allows == passes);
            }
            if passes && found.is_empty() {
                let open: Vec<String> = one.decisions.iter().flat_map(|d| unguarded(self.evaluator, d)).collect();
                fact.push_str(&format!(
                    ": {}",
                    if open.is_empty() { "no policy stops it".to_owned() } else { open.join(", ") }
                ));
            }
            out.facts.push(fact);
            for blame in found {
                if !out.blames.contains(&blame) {
                    out.blames.push(blame);
                }
            }
            if let (true, Some(check)) = (out.diagnostics.len() < MOST_DIAGNOSTICS, &one.check)
                && one.verdict != Verdict::Reachable
            {
                for explanation in explain(self.evaluator, check) {
                    let diagnostic = explanation.diagnostic(self.evaluator);
                    if !out.diagnostics.contains(&diagnostic) {
                        out.diagnostics.push(diagnostic);
                    }
                }
            }
        }
        if more > 0 {
            out.facts.push(format!("{more} more pairs"));
        }
        out
    }
}

/// `8080`, `53/udp`, `8000-8100/tcp`, `http`.
pub(super) fn ports(texts: &[PortText]) -> Result<Wanted, Misuse> {
    let bad = |text: &str| {
        (format!("`{text}` is not a port"), vec!["write 8080, 53/udp, 8000-8100 or a name such as http".to_owned()])
    };
    let mut listed = Vec::new();
    let mut sets = L4::default();
    let mut ranges = false;
    for text in texts {
        let text = text.to_string();
        let (port, protocol) = match text.split_once('/') {
            None => (text.as_str(), Protocol::Tcp),
            Some((port, name)) => match Protocol::parse(name) {
                Some(protocol) if Protocol::WITH_PORTS.contains(&protocol) => (port, protocol),
                _ => return Err(bad(&text)),
            },
        };
        let number = |t: &str| t.parse::<u16>().ok().filter(|n| *n > 0);
        let range = port.split_once('-').and_then(|(a, b)| Some((number(a)?, number(b)?)));
        if let Some(number) = number(port) {
            listed.push((PortSpec::Number(number), protocol));
            sets = sets.or(&L4::one(protocol, PortSet::range(number, number)));
        } else if let Some((first, last)) = range.filter(|(a, b)| a <= b) {
            ranges = true;
            sets = sets.or(&L4::one(protocol, PortSet::range(first, last)));
        } else if port == "all" {
            ranges = true;
            sets = sets.or(&L4::one(protocol, PortSet::all()));
        } else if !port.is_empty() && !port.starts_with(|c: char| c.is_ascii_digit()) {
            listed.push((PortSpec::Name(port.to_owned()), protocol));
            if ranges {
                return Err((format!("`{port}` can't stand beside a range"), Vec::new()));
            }
        } else {
            return Err(bad(&text));
        }
    }
    Ok(if ranges { Wanted::Sets(sets) } else { Wanted::Listed(listed) })
}
