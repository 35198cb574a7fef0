//! The answers to `--reachable-from`, `--path`, `--components` and `--cuts`, for machines and for people.

use schemars::JsonSchema;
use serde::Serialize;

use super::GraphEnd;
use super::build::ends;
use crate::analysis::graph::{Answer, Question};
use crate::report::check::{API_VERSION, Facts};
use crate::report::{Paint, safe};

/// The answer to a question of more than one step. Only connections that are certain count.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphAnswer {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `GraphAnswer`.
    pub kind: String,
    /// `reachable-from`, `path`, `components`, `cuts`.
    pub question: String,
    /// What the answer speaks of.
    pub ends: Vec<GraphEnd>,
    /// For `reachable-from`: ids, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<GraphReached>,
    /// For `path`: the shortest chains, as ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Vec<String>>,
    /// For `components`: groups of ids that hang together, the largest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Vec<String>>,
    /// For `cuts`: workloads, those that cut most first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<GraphCut>,
}

/// What is reached in some hops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphReached {
    /// Id.
    pub id: String,
    /// Connections one after the other.
    pub hops: usize,
}

/// A workload that others need to reach each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphCut {
    /// Id.
    pub id: String,
    /// Ordered pairs of other workloads that only have chains through it.
    pub pairs: u64,
}

/// The document.
pub fn answer(facts: Facts<'_>, question: &Question, answer: &Answer) -> GraphAnswer {
    let all = ends(facts, &answer.ends);
    let id = |end: &usize| all.get(*end).map(|e| e.id.clone()).unwrap_or_default();
    let ids = |list: &[usize]| list.iter().map(id).collect::<Vec<String>>();
    let mut named: Vec<usize> = answer.reached.iter().map(|(end, _)| *end).collect();
    named.extend(answer.paths.iter().chain(&answer.components).flatten());
    named.extend(answer.cuts.iter().map(|(end, _)| *end));
    named.sort_unstable();
    named.dedup();
    GraphAnswer {
        api_version: API_VERSION.to_owned(),
        kind: "GraphAnswer".to_owned(),
        question: match question {
            Question::ReachableFrom(..) => "reachable-from",
            Question::Paths(..) => "path",
            Question::Components => "components",
            Question::Cuts(_) => "cuts",
        }
        .to_owned(),
        reached: answer.reached.iter().map(|(end, hops)| GraphReached { id: id(end), hops: *hops }).collect(),
        paths: answer.paths.iter().map(|p| ids(p)).collect(),
        components: answer.components.iter().map(|c| ids(c)).collect(),
        cuts: answer.cuts.iter().map(|(end, pairs)| GraphCut { id: id(end), pairs: *pairs }).collect(),
        ends: named.iter().filter_map(|end| all.get(*end).cloned()).collect(),
    }
}

/// Members of a group that are listed.
const MOST: usize = 40;

/// The answer for people.
pub fn answer_text(answer: &GraphAnswer, paint: Paint) -> String {
    let label = |id: &str| {
        let found = answer.ends.iter().find(|e| e.id == id);
        safe(found.map_or(id, |e| &e.label)).into_owned()
    };
    let mut out = String::new();
    match answer.question.as_str() {
        "reachable-from" => {
            for hop in answer.reached.chunk_by(|a, b| a.hops == b.hops) {
                let hops = hop.first().map_or(0, |h| h.hops);
                let plural = if hops == 1 { "hop" } else { "hops" };
                out.push_str(&paint.bold(&format!("{hops} {plural}")));
                out.push('\n');
                hop.iter().for_each(|h| out.push_str(&format!("  {}\n", label(&h.id))));
            }
            if answer.reached.is_empty() {
                out.push_str("nothing is reached for sure\n");
            }
        }
        "path" => {
            for path in &answer.paths {
                let chain: Vec<String> = path.iter().map(|id| label(id)).collect();
                out.push_str(&format!("{}\n", chain.join(" -> ")));
            }
            if answer.paths.is_empty() {
                out.push_str("there is no chain of connections that are open for sure\n");
            }
        }
        "components" => {
            for (index, group) in answer.components.iter().enumerate() {
                out.push_str(&paint.bold(&format!("{}: {} workloads", index + 1, group.len())));
                out.push('\n');
                group.iter().take(MOST).for_each(|id| out.push_str(&format!("  {}\n", label(id))));
                if group.len() > MOST {
                    out.push_str(&format!("  and {} more\n", group.len() - MOST));
                }
            }
        }
        _ => {
            let width = answer.cuts.iter().map(|c| label(&c.id).chars().count()).max().unwrap_or_default().max(8);
            out.push_str(&paint.bold(&format!("{:width$}  PAIRS CUT OFF", "WORKLOAD")));
            out.push('\n');
            answer.cuts.iter().for_each(|c| out.push_str(&format!("{:width$}  {}\n", label(&c.id), c.pairs)));
            if answer.cuts.is_empty() {
                return "no workload stands between others\n".to_owned();
            }
        }
    }
    out
}
