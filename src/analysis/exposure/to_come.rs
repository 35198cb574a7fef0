//! Pods that don't exist yet and would be let in: any pod at all, and those that a rule selects though nothing does so now.
//!
//! A rule's selector that no pod meets stands for a pod with just the labels it asks for, in a namespace with just the
//! labels it asks for; that pod is imagined, and the evaluator asked what it may reach.

use std::collections::BTreeMap;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::model::{Cluster, ImaginedNamespace, ImaginedPod, Labels, NamespaceId, PodId, Protocol, Str};
use crate::policy::rule::{Action, Direction, Expr, Match, Op, RuleRef, Scope, StagePolicy, Term};
use crate::policy::{Policies, Profile};
use crate::reach::eval::{Endpoint, Evaluator};
use crate::reach::matching::{self, Selected, Tri};
use crate::reach::matrix::L4Set;

/// What clients may reach on a server: for sure, and what can't be told.
pub type Ports = (L4Set, L4Set);

/// Pods that a rule would let in.
#[derive(Clone, Debug)]
pub struct ToCome {
    /// In words: `pods with app=x in namespaces with team=y`.
    pub who: String,
    /// The first rule that selects them.
    pub rule: RuleRef,
    /// What they would reach, beyond what any pod does: an index of the servers, and ports.
    pub servers: Vec<(u32, Ports)>,
}

/// Selectors and servers that are asked for together.
const MOST_PAIRS: usize = 20_000;

/// What any pod reaches on each of these servers: what holds of pods in general, those to come included.
pub fn any_pod(evaluator: &Evaluator<'_>, servers: &[PodId], v6: bool) -> Vec<Ports> {
    let ask = |pod: &PodId| connections(evaluator, &Endpoint::any_pod(), *pod, v6);
    servers.par_iter().map(ask).collect()
}

fn connections(evaluator: &Evaluator<'_>, client: &Endpoint, server: PodId, v6: bool) -> Ports {
    let server = Endpoint::pod(evaluator.cluster, server, v6);
    let found = evaluator.connections(client, &server);
    let (mut allowed, mut unknown) = (L4Set::empty(), L4Set::empty());
    for (protocol, reach) in found.iter() {
        allowed = allowed.or(&of_ports(protocol, reach.allowed.intervals()));
        unknown = unknown.or(&of_ports(protocol, reach.unknown.intervals()));
    }
    // Protocols without ports aren't asked for one by one: where everything else is open, so are they.
    if found.all_allowed() {
        allowed = L4Set::all();
    }
    (allowed, unknown)
}

fn of_ports(protocol: Protocol, intervals: &[(u16, u16)]) -> L4Set {
    intervals.iter().fold(L4Set::empty(), |set, (first, last)| set.or(&L4Set::range(protocol, *first, *last)))
}

/// Pods that rules select and that don't exist. `servers` are examples of all pods that policies tell apart, `reached` what
/// any pod reaches on them. The second value is how many selectors were left out because there are too many.
pub fn to_come(
    evaluator: &Evaluator<'_>,
    profile: &Profile,
    servers: &[PodId],
    reached: &[Ports],
    v6: bool,
) -> (Vec<ToCome>, usize) {
    let cluster = evaluator.cluster;
    let mut by_namespace: Vec<Vec<u32>> = vec![Vec::new(); cluster.namespaces.len()];
    for (index, pod) in servers.iter().enumerate() {
        by_namespace[cluster.pods[pod.index()].namespace.index()].push(index as u32);
    }
    let known = Known { cluster, servers, by_namespace };
    let mut wanted = known.selectors(evaluator.policies);
    let mut pairs = 0;
    let fits = wanted.iter().take_while(|w| {
        pairs += w.servers.len();
        pairs <= MOST_PAIRS
    });
    let kept = fits.count();
    let left = wanted.len() - kept;
    wanted.truncate(kept);
    if wanted.is_empty() {
        return (Vec::new(), left);
    }
    let pods: Vec<ImaginedPod> = wanted.iter().map(|w| w.pod.clone()).collect();
    let (imagined, ids) = cluster.imagine(&pods);
    let asked = Evaluator::new(&imagined, evaluator.policies, profile);
    let answer = |(wanted, id): (Selector, PodId)| {
        // What was imagined must be what the rule selects.
        if matching::expr(&imagined, &Selected::Pod(id), &wanted.expr) != Tri::Yes {
            return None;
        }
        let client = Endpoint::pod(&imagined, id, v6);
        let beyond = |server: &u32| {
            let index = *server as usize;
            let (allowed, unknown) = connections(&asked, &client, servers[index], v6);
            let (allowed, unknown) = (allowed.minus(&reached[index].0), unknown.minus(&reached[index].0));
            (!allowed.is_empty() || !unknown.is_empty()).then_some((*server, (allowed, unknown)))
        };
        let servers: Vec<(u32, Ports)> = wanted.servers.iter().filter_map(beyond).collect();
        (!servers.is_empty()).then_some(ToCome { who: wanted.who, rule: wanted.rule, servers })
    };
    let found: Vec<Option<ToCome>> = wanted.into_par_iter().zip(ids).map(answer).collect();
    (found.into_iter().flatten().collect(), left)
}

/// A selector that nothing meets.
struct Selector {
    expr: Expr,
    who: String,
    pod: ImaginedPod,
    rule: RuleRef,
    /// Servers of the policies that hold it.
    servers: Vec<u32>,
}

struct Known<'k> {
    cluster: &'k Cluster,
    servers: &'k [PodId],
    by_namespace: Vec<Vec<u32>>,
}

impl Known<'_> {
    fn selectors(&self, policies: &Policies) -> Vec<Selector> {
        let mut met: FxHashMap<&Expr, bool> = FxHashMap::default();
        let mut out: BTreeMap<&Expr, Selector> = BTreeMap::new();
        for lowered in [&policies.admin, &policies.network, &policies.baseline] {
            for policy in lowered.ingress.iter() {
                let mut selected: Option<Vec<u32>> = None;
                for (rule, peer, expr) in peers(policy) {
                    if *met.entry(expr).or_insert_with(|| self.meets(expr)) {
                        continue;
                    }
                    let servers = selected.get_or_insert_with(|| self.selected(policy));
                    if servers.is_empty() {
                        continue;
                    }
                    if let Some(known) = out.get_mut(expr) {
                        known.servers.extend(servers.iter());
                    } else if let Some((pod, who)) = self.imagine(expr) {
                        let rule = RuleRef {
                            policy: policy.policy,
                            direction: Direction::Ingress,
                            rule,
                            peer: Some(peer),
                            port: None,
                        };
                        let servers = servers.clone();
                        out.insert(expr, Selector { expr: expr.clone(), who, pod, rule, servers });
                    }
                }
            }
        }
        let mut out: Vec<Selector> = out.into_values().collect();
        for selector in &mut out {
            selector.servers.sort_unstable();
            selector.servers.dedup();
        }
        out
    }

    /// Whether a pod that exists meets a selector, or may.
    fn meets(&self, expr: &Expr) -> bool {
        let is =
            |index: &u32| matching::expr(self.cluster, &Selected::Pod(self.servers[*index as usize]), expr) != Tri::No;
        match namespace_of(expr) {
            Some(names) => {
                let ids = names.iter().filter_map(|n| self.cluster.namespace(n));
                ids.flat_map(|n| &self.by_namespace[n.index()]).any(is)
            }
            None => (0..self.servers.len() as u32).any(|i| is(&i)),
        }
    }

    fn selected(&self, policy: &StagePolicy) -> Vec<u32> {
        let is = |index: &u32| {
            matching::expr(self.cluster, &Selected::Pod(self.servers[*index as usize]), &policy.subject) != Tri::No
        };
        match policy.namespace {
            Some(namespace) => self.by_namespace[namespace.index()].iter().copied().filter(|i| is(i)).collect(),
            None => (0..self.servers.len() as u32).filter(|i| is(i)).collect(),
        }
    }

    /// The pod that a selector asks for, and the selector in words. None for one of another form, or that nothing can meet.
    fn imagine(&self, expr: &Expr) -> Option<(ImaginedPod, String)> {
        let mut pod: BTreeMap<Str, Str> = BTreeMap::new();
        let mut namespace: BTreeMap<Str, Str> = BTreeMap::new();
        let mut named: Option<Str> = None;
        let (mut of_pod, mut of_namespace): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for r in requirements(expr)? {
            let value: Option<Str> = match &r.op {
                Op::In(values) => Some(values.first()?.clone()),
                Op::Exists => Some("".into()),
                Op::NotIn(_) | Op::DoesNotExist => None,
                Op::Contains(_) | Op::StartsWith(_) | Op::EndsWith(_) => return None,
            };
            let name = r.scope == Scope::NamespaceName || (r.scope == Scope::Namespace && &*r.key == NAME_LABEL);
            match r.scope {
                _ if name && matches!(r.op, Op::In(_)) => named = named.or(value),
                Scope::Pod => {
                    pod.extend(value.map(|v| (r.key.clone(), v)));
                    of_pod.push(words(&r.key, &r.op));
                }
                Scope::Namespace | Scope::NamespaceName => {
                    namespace.extend(value.map(|v| (r.key.clone(), v)));
                    of_namespace.push(words(&r.key, &r.op));
                }
                _ => return None,
            }
        }
        let of = |parts: &[String]| parts.join(" and ");
        let mut who = String::from("pods");
        if !of_pod.is_empty() {
            who.push_str(&format!(" with {}", of(&of_pod)));
        }
        let known: Option<NamespaceId> = named.as_ref().and_then(|n| self.cluster.namespace(n));
        match (&named, of_namespace.is_empty()) {
            (Some(name), _) => who.push_str(&format!(" in namespace {name}")),
            (None, false) => who.push_str(&format!(" in namespaces with {}", of(&of_namespace))),
            (None, true) => {}
        }
        let namespace = match (known, named) {
            (Some(id), _) => ImaginedNamespace::Known(id),
            (None, name) => {
                if let Some(name) = name {
                    namespace.insert(NAME_LABEL.into(), name);
                } else if !namespace.contains_key(NAME_LABEL) {
                    namespace.insert(NAME_LABEL.into(), "~".into());
                }
                ImaginedNamespace::New(Labels::from_pairs(namespace))
            }
        };
        Some((ImaginedPod { namespace, labels: Labels::from_pairs(pod) }, who))
    }
}

/// The label with a namespace's name (SEMANTICS 12).
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The selectors of pods that a policy lets in, each with its rule and peer.
fn peers(policy: &StagePolicy) -> impl Iterator<Item = (u32, u32, &Expr)> {
    let allows = policy.rules.iter().filter(|r| matches!(r.action, Action::Allow(_)));
    allows
        .filter_map(|r| match &r.source {
            Match::OneOf(peers) => Some((r.index, peers)),
            Match::Any => None,
        })
        .flat_map(|(rule, peers)| {
            peers.iter().filter_map(move |p| match p.terms.as_slice() {
                [Term::Pods(expr)] => Some((rule, p.index, expr)),
                _ => None,
            })
        })
}

fn requirements(expr: &Expr) -> Option<Vec<&crate::policy::rule::Requirement>> {
    match expr {
        Expr::Anything => Some(Vec::new()),
        Expr::Is(r) => Some(vec![r]),
        Expr::All(all) => {
            let parts: Option<Vec<_>> = all.iter().map(requirements).collect();
            Some(parts?.into_iter().flatten().collect())
        }
        Expr::Nothing | Expr::Any(_) | Expr::Not(_) => None,
    }
}

/// The namespaces that a selector is confined to by name.
fn namespace_of(expr: &Expr) -> Option<&[Str]> {
    match expr {
        Expr::Is(r) if r.scope == Scope::NamespaceName || (r.scope == Scope::Namespace && &*r.key == NAME_LABEL) => {
            match &r.op {
                Op::In(names) => Some(names),
                _ => None,
            }
        }
        Expr::All(all) => all.iter().find_map(namespace_of),
        _ => None,
    }
}

/// `app=x`, `app in (x, y)`, `app`, `no app`: a requirement as people say it.
fn words(key: &str, op: &Op) -> String {
    let list = |values: &[Str]| values.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(", ");
    match op {
        Op::In(values) if values.len() == 1 => format!("{key}={}", list(values)),
        Op::In(values) => format!("{key} in ({})", list(values)),
        Op::NotIn(values) => format!("{key} not in ({})", list(values)),
        Op::Exists => format!("label {key}"),
        Op::DoesNotExist => format!("no label {key}"),
        Op::Contains(part) | Op::StartsWith(part) | Op::EndsWith(part) => format!("{key} like {part}"),
    }
}
