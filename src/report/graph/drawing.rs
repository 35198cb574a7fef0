//! What a picture shows: boxes, nodes and links, whatever format it is drawn in. Where pairs are too many to be told apart
//! in a picture, namespaces stand for their workloads.

use std::collections::BTreeMap;

use super::{GraphEdge, GraphReport};
use crate::report::safe;

/// Pairs up to which each is a link.
const MOST_PAIRS: u64 = 1_500;
/// Characters of a link's label.
const LABEL: usize = 60;

/// How sure a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Open between all pods.
    Open,
    /// Open between some pods, or on some ports only between some.
    Partial,
    /// Some port can't be told.
    Unknown,
}

impl State {
    pub(super) fn of(edge: &GraphEdge) -> Self {
        match (edge.open.is_empty(), edge.partial.is_empty()) {
            (false, _) => Self::Open,
            (true, false) => Self::Partial,
            (true, true) => Self::Unknown,
        }
    }
}

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What is written on it: control characters and reordering made harmless.
    pub(super) label: String,
    /// Index of its box.
    pub(super) group: usize,
    /// Whether it is outside the cluster, or a node of it.
    pub(super) outside: bool,
}

/// A link.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: String,
    pub(super) state: State,
}

/// A picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    /// Boxes: namespaces; the last may be what has none, without a name.
    pub(super) groups: Vec<Option<String>>,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
}

impl Drawing {
    pub(super) fn of(report: &GraphReport) -> Self {
        if report.counts.pairs > MOST_PAIRS { Self::of_namespaces(report) } else { Self::of_ends(report) }
    }

    fn of_ends(report: &GraphReport) -> Self {
        let mut out = Self::default();
        let mut groups: BTreeMap<(bool, Option<&str>), usize> = BTreeMap::new();
        for end in &report.ends {
            groups.entry((end.namespace.is_none(), end.namespace.as_deref())).or_default();
        }
        for (index, ((_, name), slot)) in groups.iter_mut().enumerate() {
            *slot = index;
            out.groups.push(name.map(|n| safe(n).into_owned()));
        }
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        let named = |id: &String| report.edges.iter().any(|e| e.from.contains(id) || e.to.contains(id));
        for end in &report.ends {
            // What is outside is drawn where something reaches it.
            if end.namespace.is_none() && !named(&end.id) {
                continue;
            }
            let group = groups.get(&(end.namespace.is_none(), end.namespace.as_deref())).copied().unwrap_or_default();
            let short = end.namespace.as_ref().and_then(|n| end.label.strip_prefix(&format!("{n}/")));
            let label = safe(short.unwrap_or(&end.label)).into_owned();
            index.insert(&end.id, out.nodes.len());
            out.nodes.push(Node { label, group, outside: end.namespace.is_none() });
        }
        for edge in &report.edges {
            let alone = edge.from.len() == 1 && edge.from == edge.to;
            for from in &edge.from {
                for to in edge.to.iter().filter(|to| alone || *to != from) {
                    let (Some(from), Some(to)) = (index.get(from.as_str()), index.get(to.as_str())) else { continue };
                    out.links.push(Link { from: *from, to: *to, label: short(&edge.summary), state: State::of(edge) });
                }
            }
        }
        out.exposures(report, &index);
        out
    }

    /// What is exposed, by nodes of its own: clients, the way in, and what it leads to.
    fn exposures(&mut self, report: &GraphReport, index: &BTreeMap<&str, usize>) {
        let mut shown = report.exposures.iter().filter(|e| e.from != "namespaces").peekable();
        if shown.peek().is_none() {
            return;
        }
        let group = match self.groups.iter().position(Option::is_none) {
            Some(group) => group,
            None => {
                self.groups.push(None);
                self.groups.len() - 1
            }
        };
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let mut links: BTreeMap<(usize, usize), (Vec<String>, State)> = BTreeMap::new();
        for exposure in shown {
            // What any pod reaches is drawn by the pods that exist.
            if exposure.from == "any-pod" || exposure.to.is_empty() {
                continue;
            }
            let mut node = |label: &str| match index.get(label) {
                Some(node) => *node,
                None => *known.entry(label.to_owned()).or_insert_with(|| {
                    self.nodes.push(Node { label: safe(label).into_owned(), group, outside: true });
                    self.nodes.len() - 1
                }),
            };
            let client = node(&exposure.who);
            let from = match &exposure.through {
                None => client,
                Some(through) => {
                    let way = node(&through.words());
                    let mut before: Vec<usize> =
                        through.carriers.iter().filter_map(|id| index.get(id.as_str()).copied()).collect();
                    if before.is_empty() {
                        before.push(client);
                    }
                    for node in before {
                        links.entry((node, way)).or_insert((Vec::new(), State::Open));
                    }
                    way
                }
            };
            let state = match (exposure.open.is_empty(), exposure.partial.is_empty(), exposure.unknown.is_empty()) {
                (false, ..) => State::Open,
                (true, false, _) => State::Partial,
                (true, true, false) => State::Unknown,
                (true, true, true) => continue,
            };
            for to in exposure.to.iter().filter_map(|id| index.get(id.as_str())) {
                let link = links.entry((from, *to)).or_insert((Vec::new(), state));
                link.0.push(exposure.summary.clone());
                link.1 = link.1.min(state);
            }
        }
        for ((from, to), (words, state)) in links {
            self.links.push(Link { from, to, label: short(&words.join(", ")), state });
        }
    }

    fn of_namespaces(report: &GraphReport) -> Self {
        let mut out = Self { groups: vec![None], ..Self::default() };
        let mut index: BTreeMap<(bool, &str), usize> = BTreeMap::new();
        let mut place: BTreeMap<&str, usize> = BTreeMap::new();
        let mut sizes: Vec<usize> = Vec::new();
        for end in &report.ends {
            let key = (end.namespace.is_none(), end.namespace.as_deref().unwrap_or(&end.label));
            let at = *index.entry(key).or_insert_with(|| {
                out.nodes.push(Node { label: safe(key.1).into_owned(), group: 0, outside: key.0 });
                sizes.push(0);
                out.nodes.len() - 1
            });
            sizes[at] += 1;
            place.insert(&end.id, at);
        }
        for (node, size) in out.nodes.iter_mut().zip(sizes).filter(|(n, _)| !n.outside) {
            node.label = format!("{} ({size})", node.label);
        }
        let mut links: BTreeMap<(usize, usize), (u64, State)> = BTreeMap::new();
        for edge in &report.edges {
            let tally = |ids: &[String]| {
                let mut out: BTreeMap<usize, u64> = BTreeMap::new();
                for at in ids.iter().filter_map(|id| place.get(id.as_str())) {
                    *out.entry(*at).or_default() += 1;
                }
                out
            };
            let to = tally(&edge.to);
            for (from, clients) in tally(&edge.from) {
                for (to, servers) in &to {
                    let entry = links.entry((from, *to)).or_insert((0, State::of(edge)));
                    entry.0 += clients * servers;
                    entry.1 = entry.1.min(State::of(edge));
                }
            }
        }
        let link = |((from, to), (count, state)): ((usize, usize), (u64, State))| Link {
            from,
            to,
            label: format!("{count} pairs"),
            state,
        };
        // A namespace's pairs with itself are many and say little here.
        out.links = links.into_iter().filter(|((from, to), _)| from != to).map(link).collect();
        out
    }
}

fn short(text: &str) -> String {
    let text = safe(text);
    if text.chars().count() <= LABEL {
        return text.into_owned();
    }
    text.chars().take(LABEL - 1).chain(['…']).collect()
}
