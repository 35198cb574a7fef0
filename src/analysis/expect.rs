//! Expectations: who may or may not reach what, held against the policies.
//!
//! A checked-in [`ConnectivityTest`](file::ConnectivityTest) and a cluster come in; an [`Answer`] for each expectation goes
//! out, with the rules that are to blame. `deny` is met by policies alone: what can't work for another reason may work
//! tomorrow. DNS counts for `allow` only: a name that doesn't resolve protects nothing.

pub mod file;
mod init;
mod judge;
mod scope;
mod trial;
mod who;

use crate::analysis::explain::{Explainer, How};
use crate::analysis::probe::Tally;
use crate::policy::rule::Direction;
use crate::reach::{Decision, Evaluator, Outcome as Flows};
use crate::source::{Diagnostic, FieldPath, Origin};
use file::{Cell, Expectation, Matrix, Peer, Peers, PortText, Rule};
pub use init::init;
pub use scope::Concern;
pub use trial::{Trial, trials};

/// How an expectation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// As expected.
    Met,
    /// It can't be told.
    Unknown,
    /// Otherwise.
    Failed,
}

/// A place in the policies that an answer rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// `Kind/namespace/name`.
    pub reference: String,
    /// What it does, as a clause.
    pub what: String,
    /// Whether it allows.
    pub allows: bool,
    /// Where the policy was read.
    pub origin: Origin,
    /// The field.
    pub path: FieldPath,
}

/// The answer to an expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What it is called.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, a line each.
    pub facts: Vec<String>,
    /// The rules that are to blame.
    pub blames: Vec<Blame>,
    /// What is to blame, drawn on the policies, for what is denied and should not be.
    pub diagnostics: Vec<Diagnostic>,
    /// Why it must be so.
    pub reason: Option<String>,
    /// Where it stands in its document.
    pub path: FieldPath,
    /// How many pairs were judged.
    pub pairs: usize,
    /// What packets confirmed.
    pub packets: Option<Tally>,
}

impl Answer {
    /// Takes over what packets came to: an expectation that they don't confirm is not met for certain.
    pub fn tried(&mut self, tally: Tally) {
        if !tally.is_confirmed() {
            self.outcome = self.outcome.max(Outcome::Unknown);
            self.facts.extend(tally.facts.iter().map(|fact| format!("packets: {fact}")));
        }
        match &mut self.packets {
            Some(known) => known.merge(&tally),
            None => self.packets = Some(tally),
        }
    }
}

/// What is not known of the objects, and what that makes of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// What makes every answer a guess, a clause each.
    pub guesses: Vec<String>,
    /// What makes those about the pods of every namespace a guess.
    pub elsewhere: Option<String>,
}

/// What an expectation demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Allow,
    Deny,
    Only,
}

/// What is wrong with an expectation itself: not met, with a word to its author.
type Misuse = (String, Vec<String>);

/// Answers the expectations of one group, and of its matrix.
pub fn answer(
    evaluator: &Evaluator<'_>,
    namespace: &str,
    expect: &[Expectation],
    matrix: Option<&Matrix>,
    at: &FieldPath,
    gaps: &Gaps,
) -> Vec<Answer> {
    let mut out = Vec::new();
    for (index, expectation) in expect.iter().enumerate() {
        let answer = one(evaluator, namespace, expectation, at.clone().key("expect").index(index));
        out.push(doubted(answer, expectation, namespace, gaps));
    }
    for (path, expectation) in matrix.into_iter().flat_map(|m| cells(m, at)) {
        match expectation {
            Ok(expectation) => {
                let answer = one(evaluator, namespace, &expectation, path);
                out.push(doubted(answer, &expectation, namespace, gaps));
            }
            Err(message) => out.push(failed("matrix".to_owned(), message, path)),
        }
    }
    out
}

/// An answer that rests on what isn't known is none. One that judged nothing failed for another reason.
fn doubted(mut answer: Answer, expectation: &Expectation, namespace: &str, gaps: &Gaps) -> Answer {
    let mut guesses = gaps.guesses.clone();
    if let Some(elsewhere) = &gaps.elsewhere
        && Concern::of(std::slice::from_ref(expectation), None, namespace).everywhere
    {
        guesses.push(elsewhere.clone());
    }
    if !guesses.is_empty() && answer.pairs > 0 {
        answer.outcome = Outcome::Unknown;
        answer.facts.extend(guesses);
    }
    answer
}

fn failed(name: String, message: String, path: FieldPath) -> Answer {
    Answer {
        name,
        outcome: Outcome::Failed,
        facts: vec![message],
        blames: Vec::new(),
        diagnostics: Vec::new(),
        reason: None,
        path,
        pairs: 0,
        packets: None,
    }
}

/// A matrix as single expectations.
fn cells(matrix: &Matrix, at: &FieldPath) -> Vec<(FieldPath, Result<Expectation, String>)> {
    let mut out = Vec::new();
    for (from, row) in &matrix.from {
        let path = at.clone().key("matrix").key("from").key(from);
        if row.len() != matrix.to.len() {
            let message = format!("row `{from}` has {} cells, and there are {} targets", row.len(), matrix.to.len());
            out.push((path, Err(message)));
            continue;
        }
        for (index, (cell, to)) in row.iter().zip(&matrix.to).enumerate() {
            let rule = |ports| {
                let text = |text: &str| Some(Peers::One(Peer::Text(text.to_owned())));
                Some(Rule { from: text(from), to: text(to), ports, ..Rule::default() })
            };
            let expectation = match cell {
                Cell::One(PortText::Text(text)) if text == "-" => continue,
                Cell::One(PortText::Text(text)) if text == "deny" => {
                    Expectation { deny: rule(Vec::new()), ..Expectation::default() }
                }
                Cell::One(PortText::Text(text)) if text == "allow" => {
                    Expectation { allow: rule(Vec::new()), ..Expectation::default() }
                }
                Cell::One(port) => Expectation { allow: rule(vec![port.clone()]), ..Expectation::default() },
                Cell::Ports(ports) => Expectation { allow: rule(ports.clone()), ..Expectation::default() },
            };
            out.push((path.clone().index(index), Ok(expectation)));
        }
    }
    out
}

/// What an expectation demands, the key it stands under, and its rule; none where it is not exactly one.
fn demanded(expectation: &Expectation) -> Option<(Demand, &'static str, &Rule)> {
    let all = [
        (Demand::Allow, "allow", &expectation.allow),
        (Demand::Deny, "deny", &expectation.deny),
        (Demand::Only, "only", &expectation.only),
    ];
    let mut set = all.into_iter().filter_map(|(demand, key, rule)| rule.as_ref().map(|r| (demand, key, r)));
    set.next().filter(|_| set.next().is_none())
}

fn one(evaluator: &Evaluator<'_>, namespace: &str, expectation: &Expectation, path: FieldPath) -> Answer {
    let Some((demand, key, rule)) = demanded(expectation) else {
        let message = "an expectation is one of `allow`, `deny` and `only`".to_owned();
        return failed("expectation".to_owned(), message, path);
    };
    let name = rule.name.clone().unwrap_or_else(|| title(key, rule));
    let path = path.key(key);
    match judge::judge(evaluator, namespace, demand, rule) {
        Ok(judged) => Answer { name, path, reason: rule.reason.clone(), ..judged },
        Err((message, helps)) => {
            let mut out = failed(name, message, path);
            out.facts.extend(helps);
            out.reason.clone_from(&rule.reason);
            out
        }
    }
}

/// `deny shop/frontend → shop/redis on 6379`.
fn title(key: &str, rule: &Rule) -> String {
    let mut out = format!("{key} {} → {}", peers(rule.from.as_ref()), peers(rule.to.as_ref()));
    if let Some(except) = &rule.except {
        out.push_str(&format!(" except {}", peers(Some(except))));
    }
    if !rule.ports.is_empty() {
        let ports: Vec<String> = rule.ports.iter().map(ToString::to_string).collect();
        out.push_str(&format!(" on {}", ports.join(", ")));
    }
    out
}

fn peers(peers: Option<&Peers>) -> String {
    let Some(peers) = peers else { return "nothing".to_owned() };
    let names: Vec<String> = peers.list().iter().map(peer).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn peer(peer: &Peer) -> String {
    let pods = match peer {
        Peer::Text(text) => return text.clone(),
        Peer::Pods(pods) => pods,
    };
    let labels = |selector: &file::Selector| {
        let equal = selector.match_labels.iter().map(|(k, v)| format!("{k}={v}"));
        let others = selector.match_expressions.iter().map(|r| match r.values.is_empty() {
            true => format!("{} {}", r.key, r.operator),
            false => format!("{} {} ({})", r.key, r.operator, r.values.join(", ")),
        });
        equal.chain(others).collect::<Vec<_>>().join(",")
    };
    let mut out = match &pods.pod_selector {
        Some(selector) => format!("pods {}", labels(selector)),
        None => "pods".to_owned(),
    };
    let namespaces: Vec<&str> = pods.namespace.iter().chain(&pods.namespaces).map(String::as_str).collect();
    if !namespaces.is_empty() {
        out.push_str(&format!(" of {}", namespaces.join(", ")));
    }
    if let Some(selector) = &pods.namespace_selector {
        out.push_str(&format!(" of namespaces {}", labels(selector)));
    }
    if let Some(except) = &pods.except {
        out.push_str(&format!(" except {}", peers(Some(except))));
    }
    out
}

/// The rules that decided a flow: those that allow where it passes, else those that deny.
fn blames(evaluator: &Evaluator<'_>, decision: &Decision, out: &mut Vec<Blame>) {
    let explainer = Explainer::new(evaluator);
    let mut push = |new: Blame| {
        if !out.contains(&new) {
            out.push(new);
        }
    };
    for leg in decision.legs() {
        let direction = leg.direction.name();
        if leg.outcome == Flows::Allowed {
            if let Some(rule) = leg.decided_by() {
                let info = evaluator.policies.info(rule.policy);
                push(Blame {
                    reference: info.reference(),
                    what: format!("{direction} is allowed by {}", info.reference()),
                    allows: true,
                    origin: info.origin,
                    path: explainer.rule_path(&rule),
                });
            }
            continue;
        }
        for culprit in explainer.culprits(leg) {
            let what = match culprit.how {
                How::Isolates => "isolated",
                How::Denies(_) => "denied",
                How::MayDecide(_) | How::CantBeEvaluated => "perhaps decided",
            };
            push(Blame {
                what: format!("{direction} is {what} by {}", culprit.reference),
                reference: culprit.reference,
                allows: false,
                origin: culprit.origin,
                path: culprit.path,
            });
        }
    }
}

/// Pods of a flow that no policy selects, each with the direction.
fn unguarded(evaluator: &Evaluator<'_>, decision: &Decision) -> Vec<String> {
    let mut out = Vec::new();
    for leg in decision.legs() {
        let selected = leg.steps.iter().any(|s| !s.selecting.is_empty());
        if let (Some(pod), false, Direction::Ingress) = (leg.subject, selected, leg.direction) {
            out.push(format!("no policy selects {} for ingress", evaluator.cluster.pod_name(pod)));
        }
    }
    out
}
