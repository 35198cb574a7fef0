//! The document, from the graph and the evaluator that says why.

use rustc_hash::FxHashMap;

use super::{GraphCounts, GraphEdge, GraphEnd, GraphReport, GraphRule, ports};
use crate::analysis::graph::{Decider, Edge, End, EndKind, Graph, why};
use crate::model::Assumption;
use crate::policy::rule::{RulePart, RuleRef, Tier, field_path};
use crate::policy::{Direction, PolicyId};
use crate::reach::Evaluator;
use crate::report::check::{API_VERSION, Facts, place, rule_place};
use crate::source::{FieldPath, Origin, Part, Place, SourceMap};

/// Pairs up to which every pair is an edge of its own, with its own rules.
const MOST_PAIRS: u64 = 5_000;
/// Edges whose rules are looked up.
const MOST_WHY: usize = 20_000;
/// Ranges of addresses that are listed of one end.
const MOST_RANGES: usize = 64;
/// Lines of a rule that are shown.
const MOST_LINES: usize = 60;
/// Characters of such a line.
const MOST_WIDTH: usize = 200;

/// What is told of the rules that decide, by the evaluator that says which they are.
#[derive(Clone, Copy)]
pub enum Reasons<'e> {
    /// Nothing.
    None,
    /// Where they stand.
    Places(&'e Evaluator<'e>),
    /// That, and how they are written.
    Texts(&'e Evaluator<'e>),
}

/// The document.
pub fn report(facts: Facts<'_>, reasons: Reasons<'_>, graph: &Graph, cni: &str) -> GraphReport {
    let (evaluator, texts) = match reasons {
        Reasons::None => (None, false),
        Reasons::Places(evaluator) => (Some(evaluator), false),
        Reasons::Texts(evaluator) => (Some(evaluator), true),
    };
    let ends = ends(facts, &graph.ends);
    let id = |end: &u32| ends[*end as usize].id.clone();
    let expand = graph.pairs() <= MOST_PAIRS;
    let mut rules = Rules { facts, texts, known: FxHashMap::default(), out: Vec::new() };
    let mut edges: Vec<GraphEdge> = Vec::new();
    let mut counts = GraphCounts {
        pods: graph.ends.iter().map(|e| e.pods.len() as u64).sum(),
        workloads: graph.ends.iter().filter(|e| e.kind == EndKind::Pods).count() as u64,
        ..GraphCounts::default()
    };
    let mut asked = 0;
    let mut shown: Vec<Edge> = Vec::new();
    for edge in &graph.edges {
        let pairs = edge.len();
        counts.pairs += pairs;
        counts.open += if edge.ports.open.is_empty() { 0 } else { pairs };
        counts.partial += if edge.ports.partial.is_empty() { 0 } else { pairs };
        counts.unknown += if edge.ports.unknown.is_empty() { 0 } else { pairs };
        if expand {
            let one = |(c, s)| Edge { clients: vec![c], servers: vec![s], ports: edge.ports.clone() };
            shown.extend(edge.pairs().map(one));
        } else {
            shown.push(edge.clone());
        }
    }
    shown.sort_by(|a, b| (&a.clients, &a.servers).cmp(&(&b.clients, &b.servers)));
    for edge in &shown {
        let Some((client, server)) = edge.pairs().next() else { continue };
        asked += 1;
        let whys = match evaluator {
            Some(evaluator) if asked <= MOST_WHY => {
                why(evaluator, &graph.ends[client as usize], &graph.ends[server as usize], &edge.ports)
            }
            _ => Vec::new(),
        };
        let mut out = GraphEdge {
            from: edge.clients.iter().map(id).collect(),
            to: edge.servers.iter().map(id).collect(),
            summary: ports::summary(&edge.ports),
            open: ports::ranges(&edge.ports.open),
            partial: ports::ranges(&edge.ports.partial),
            unknown: ports::ranges(&edge.ports.unknown),
            rules: Vec::new(),
            unrestricted: Vec::new(),
            example: (edge.len() > 1).then(|| (id(&client), id(&server))),
        };
        for why in whys {
            match why.by {
                Decider::Rule(_) | Decider::Isolated(_) => {
                    let index = rules.index(why.by, why.direction, why.tier);
                    if !out.rules.contains(&index) {
                        out.rules.push(index);
                    }
                }
                Decider::Open => {
                    let name = why.direction.name().to_owned();
                    if !out.unrestricted.contains(&name) {
                        out.unrestricted.push(name);
                    }
                }
                Decider::NotAPod => {}
            }
        }
        edges.push(out);
    }
    let exposures = super::exposure::exposures(facts, graph, &ends, &mut |rule| {
        rules.index(Decider::Rule(*rule), rule.direction, None)
    });
    let mut notes = graph.notes.clone();
    if !expand && evaluator.is_some() {
        notes.push(format!(
            "more than {MOST_PAIRS} pairs: an edge holds many clients and servers, and its rules are those of one pair of them"
        ));
    }
    if asked > MOST_WHY && evaluator.is_some() {
        notes.push(format!("rules were looked up for the first {MOST_WHY} edges"));
    }
    GraphReport {
        api_version: API_VERSION.to_owned(),
        kind: "GraphReport".to_owned(),
        cni: cni.to_owned(),
        granularity: if graph.pods { "pod" } else { "workload" }.to_owned(),
        family: if graph.v6 { "IPv6" } else { "IPv4" }.to_owned(),
        assumptions: facts
            .cluster
            .assumptions
            .iter()
            .map(|a| match a {
                Assumption::ClusterDns => {
                    "the cluster's DNS: pods labelled k8s-app=kube-dns in kube-system, on port 53".to_owned()
                }
            })
            .collect(),
        ends,
        edges,
        exposures,
        rules: rules.out,
        counts,
        notes,
    }
}

/// Ends with their ids and names.
pub(super) fn ends(facts: Facts<'_>, ends: &[End]) -> Vec<GraphEnd> {
    let mut short: FxHashMap<(Option<u32>, &str), usize> = FxHashMap::default();
    for end in ends {
        *short.entry((end.namespace.map(|n| n.0), &end.name)).or_default() += 1;
    }
    let one = |end: &End| {
        let namespace = end.namespace.map(|n| facts.cluster.namespaces[n.index()].name.to_string());
        let id = match (&namespace, end.kind) {
            (Some(namespace), _) => {
                let network = if end.host_network { "/host-network" } else { "" };
                format!("{namespace}/{}/{}{network}", end.label, end.name)
            }
            (None, EndKind::Outside) if &*end.label == "Internet" => "internet".to_owned(),
            (None, EndKind::Nodes) => "nodes".to_owned(),
            (None, _) => format!("{}/{}", end.label.to_ascii_lowercase(), end.name),
        };
        let unique = short.get(&(end.namespace.map(|n| n.0), &*end.name)) == Some(&1);
        let label = match &namespace {
            Some(namespace) if unique => format!("{namespace}/{}", end.name),
            Some(_) => id.clone(),
            None => end.name.to_string(),
        };
        let (ranges, left) = end.ranges(MOST_RANGES);
        let mut ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        if left > 0 {
            ranges.push(format!("and {left} more"));
        }
        let pods = (end.kind == EndKind::Pods && !end.template).then_some(end.pods.len());
        GraphEnd {
            id,
            label,
            kind: end.label.to_string(),
            namespace,
            name: end.name.to_string(),
            pods,
            host_network: end.host_network,
            ranges,
        }
    };
    ends.iter().map(one).collect()
}

/// The rules of a document, each once.
struct Rules<'a> {
    facts: Facts<'a>,
    /// Whether they are shown as they are written.
    texts: bool,
    known: FxHashMap<(Decider, Direction), usize>,
    out: Vec<GraphRule>,
}

impl Rules<'_> {
    fn index(&mut self, by: Decider, direction: Direction, tier: Option<Tier>) -> usize {
        if let Some(index) = self.known.get(&(by.clone(), direction)) {
            return *index;
        }
        let tier = tier.unwrap_or(Tier::Default);
        let rule = match &by {
            Decider::Rule(rule) => self.rule(rule, &tier, direction),
            Decider::Isolated(policy) => self.isolation(*policy, &tier, direction),
            // Not asked for.
            Decider::Open | Decider::NotAPod => return self.out.len(),
        };
        self.out.push(rule);
        self.known.insert((by, direction), self.out.len() - 1);
        self.out.len() - 1
    }

    fn rule(&self, rule: &RuleRef, tier: &Tier, direction: Direction) -> GraphRule {
        let info = self.facts.policies.info(rule.policy);
        let path = field_path(info.kind, rule, RulePart::Rule);
        GraphRule { place: rule_place(self.facts, rule, tier, direction.name()), yaml: self.yaml(info.origin, &path) }
    }

    fn yaml(&self, origin: Origin, path: &FieldPath) -> Option<String> {
        if self.texts { yaml(self.facts.sources, origin, path) } else { None }
    }

    fn isolation(&self, policy: PolicyId, tier: &Tier, direction: Direction) -> GraphRule {
        let origin = self.facts.policies.info(policy).origin;
        let path = FieldPath::keys("spec.podSelector");
        let yaml = self.yaml(origin, &path);
        GraphRule { place: place(self.facts, policy, tier, "DefaultDeny", direction.name(), path), yaml }
    }
}

/// A field as YAML: the lines it was written in, without their common indentation; what was written as JSON, converted.
fn yaml(sources: &SourceMap, origin: Origin, path: &FieldPath) -> Option<String> {
    let place = Place::Field { origin, path: path.clone(), part: Part::Value };
    let span = sources.span(&place)?;
    let excerpt = sources.excerpt(&place)?;
    let start = span.range.start.checked_sub(excerpt.base)?;
    let end = span.range.end.checked_sub(excerpt.base)?.min(excerpt.text.len());
    if sources.is_json(origin.source) {
        let value: serde_json::Value = serde_json::from_str(excerpt.text.get(start..end)?).ok()?;
        return Some(bounded(serde_saphyr::to_string(&value).ok()?.trim_end().lines()));
    }
    let line = excerpt.text.get(..start)?.rfind('\n').map_or(0, |n| n + 1);
    let text = excerpt.text.get(line..end)?.trim_end();
    let indent = text.lines().filter(|l| !l.trim().is_empty()).map(|l| l.len() - l.trim_start().len()).min()?;
    Some(bounded(text.lines().map(|l| l.get(indent..).unwrap_or_default())))
}

/// The first lines, cut to what can be read.
fn bounded<'l>(lines: impl Iterator<Item = &'l str>) -> String {
    let mut out: Vec<String> = Vec::new();
    for line in lines {
        if out.len() == MOST_LINES {
            out.push("…".to_owned());
            break;
        }
        let long = line.chars().count() > MOST_WIDTH;
        out.push(if long { line.chars().take(MOST_WIDTH).chain(['…']).collect() } else { line.to_owned() });
    }
    out.join("\n")
}
