//! Edits that may let one leg through: corrections of a rule that nearly matched, a rule more, a policy more.
//!
//! They are guesses, cheapest for the smallest: each is tried out by evaluation before anyone sees it.

use serde_json::{Value, json};

use super::patch::{Op, at};
use super::peer;
use super::state::State;
use crate::analysis::explain::mismatch::{Declared, Mismatch, Missed, slip};
use crate::analysis::explain::{Explainer, NearMiss, Similar, Stretch, Way};
use crate::model::{Cluster, Protocol};
use crate::policy::rule::{
    Direction, Expr, L4, Match, Op as Wanted, Peer, Ports, Rule, RulePart, RuleRef, StagePolicy, Term, Tier, field_path,
};
use crate::policy::{PolicyId, PolicyKind};
use crate::reach::Endpoint;
use crate::reach::eval::StepResult;
use crate::reach::matching::{self, Selected, Tri};
use crate::source::{FieldPath, Origin, Segment, SourceMap};

/// What a candidate changes.
#[derive(Clone, Debug)]
pub(super) enum At {
    /// A policy that exists.
    Existing(Origin, PolicyKind),
    /// A new NetworkPolicy.
    New(Value),
}

/// A guess.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) at: At,
    pub(super) ops: Vec<Op>,
    /// Lower is smaller.
    pub(super) cost: u32,
    /// What is done, as a clause.
    pub(super) step: String,
}

/// A label that is required and what the endpoint has instead.
struct Label<'a> {
    key: &'a str,
    wanted: &'a Wanted,
    found: Option<&'a str>,
    similar: Option<&'a Similar>,
}

/// Makes candidates for one leg.
pub(super) struct Maker<'a> {
    pub(super) explainer: &'a Explainer<'a>,
    pub(super) state: &'a State<'a>,
    pub(super) sources: &'a SourceMap,
    pub(super) way: &'a Way<'a>,
}

impl Maker<'_> {
    pub(super) fn all(&self) -> Vec<Candidate> {
        let Some(step) = self.way.leg.steps.last() else { return Vec::new() };
        match (&step.result, &step.tier) {
            (StepResult::DefaultDeny, _) => {
                let explanation = self.explainer.way(self.way);
                let mut out: Vec<Candidate> = Vec::new();
                for miss in &explanation.near_misses {
                    out.extend(self.correct(miss));
                    out.extend(self.widen(miss));
                }
                for miss in &explanation.subject_misses {
                    out.extend(self.reselect(miss.origin, miss.rule.policy, &miss.missed));
                }
                out.extend(self.rules());
                out.extend(self.new_policy());
                out
            }
            (StepResult::Decided(_, rule), Tier::Admin) => self.accept(rule).into_iter().collect(),
            // A rule that holds some of the addresses a name may have: one beside it that holds them all.
            (StepResult::Open(_), _) if *self.across() == Endpoint::internet() => {
                let mut out = self.rules();
                out.extend(self.new_policy());
                out
            }
            // What a NetworkPolicy decides, Baseline is not asked about.
            (StepResult::Decided(..), _) => self.new_policy().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn cluster(&self) -> &Cluster {
        self.explainer.evaluator.cluster
    }

    fn direction(&self) -> Direction {
        self.way.leg.direction
    }

    fn across(&self) -> &Endpoint {
        match self.direction() {
            Direction::Egress => &self.way.flow.server,
            Direction::Ingress => &self.way.flow.client,
        }
    }

    fn across_name(&self) -> String {
        // A NetworkPolicy knows no names: what it opens for one is every address that the name may have.
        crate::analysis::explain::text::endpoint_name(self.cluster(), self.across())
    }

    fn value(&self, origin: Origin) -> Option<Value> {
        self.state.value(origin, self.sources)
    }

    fn stage_policy(&self, policy: PolicyId) -> Option<&StagePolicy> {
        let lowered = self.state.policies.network.of(self.direction());
        lowered.iter().find(|p| p.policy == policy)
    }

    fn rule(&self, at: &RuleRef) -> Option<&Rule> {
        self.stage_policy(at.policy)?.rules.iter().find(|r| r.index == at.rule)
    }

    /// Corrects everything that a rule lacks, where each lack looks like a slip and the corrected part matches nothing now.
    fn correct(&self, miss: &NearMiss) -> Option<Candidate> {
        let value = self.value(miss.origin)?;
        let mut ops = Vec::new();
        let mut said = Vec::new();
        for missed in &miss.missed {
            let (op, what) = self.correction(&value, miss, missed)?;
            ops.extend(op);
            said.push(what);
        }
        Some(Candidate {
            at: At::Existing(miss.origin, PolicyKind::NetworkPolicy),
            ops,
            cost: miss.distance,
            step: said.join(", "),
        })
    }

    fn correction(&self, value: &Value, miss: &NearMiss, missed: &Missed) -> Option<(Vec<Op>, String)> {
        let path = missed.path.clone();
        match &missed.mismatch {
            Mismatch::PodLabel { key, wanted, found, similar }
            | Mismatch::NamespaceLabel { key, wanted, found, similar, .. } => {
                let label = Label { key, wanted, found: found.as_deref(), similar: similar.as_ref() };
                self.relabel(value, miss, &path, &label)
            }
            Mismatch::PolicyNamespaceOnly { found, .. } if self.is_dead(&miss.rule) => {
                let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": &**found}});
                let what = format!("name namespace {found} in {path}");
                Some((vec![Op::Add(path.key("namespaceSelector"), selector)], what))
            }
            Mismatch::Port { wanted: (first, last), actual, is_service_port } if first == last => {
                let unused = !self.anyone_listens(&miss.rule, *first);
                (*is_service_port || unused).then(|| {
                    (vec![Op::Replace(path.clone(), json!(actual))], format!("correct {path} from {first} to {actual}"))
                })
            }
            Mismatch::NamedPort { name, declared: Declared::Nothing, actual, called } => {
                let new = match called {
                    Some(called) => json!(&**called),
                    None => json!(actual),
                };
                let what = format!(
                    "correct {path} from {name} to {}",
                    called.as_deref().map_or(actual.to_string(), str::to_owned)
                );
                Some((vec![Op::Replace(path, new)], what))
            }
            Mismatch::Protocol { wanted, actual, port_matches: true } => {
                let at_protocol = path.clone().key("protocol");
                let new = json!(actual.to_string());
                let op = match at(value, &at_protocol.0) {
                    Some(_) => Op::Replace(at_protocol.clone(), new),
                    None => Op::Add(at_protocol.clone(), new),
                };
                Some((vec![op], format!("correct {at_protocol} from {wanted} to {actual}")))
            }
            _ => None,
        }
    }

    /// Corrects a requirement on a label: the value, or the key; a list of values gets one more.
    fn relabel(
        &self,
        value: &Value,
        miss: &NearMiss,
        path: &FieldPath,
        label: &Label<'_>,
    ) -> Option<(Vec<Op>, String)> {
        let Label { key, wanted, found, similar } = *label;
        let Wanted::In(values) = wanted else { return None };
        if peer::is_passing(key) {
            return None;
        }
        if let Some(Segment::Index(_)) = path.0.last() {
            let at_values = path.clone().key("values");
            let length = at(value, &at_values.0)?.as_array()?.len();
            let new = found?;
            return Some((
                vec![Op::Add(at_values.clone().index(length), json!(new))],
                format!("add {new} to {at_values}"),
            ));
        }
        // A selector that matches somebody is used: correcting it would take something away.
        if !self.is_dead(&miss.rule) {
            return None;
        }
        let old = values.first()?;
        match (found, similar) {
            (Some(new), _) => {
                Some((vec![Op::Replace(path.clone(), json!(new))], format!("correct {path} from {old} to {new}")))
            }
            (None, Some(similar)) if !peer::is_passing(&similar.key) => {
                let (_, parent) = path.0.split_last()?;
                let at_new = FieldPath(parent.to_vec()).key(&similar.key);
                let ops = vec![Op::Remove(path.clone()), Op::Add(at_new, json!(&*similar.value))];
                Some((ops, format!("correct {path} from {key}={old} to {}={}", similar.key, similar.value)))
            }
            _ => None,
        }
    }

    /// Whether the peer of a rule matches no pod at all.
    fn is_dead(&self, at: &RuleRef) -> bool {
        let Some(index) = at.peer else { return false };
        let Some(Match::OneOf(peers)) = self.rule(at).map(|r| r.peers(self.direction())) else { return false };
        let Some(peer) = peers.iter().find(|p| p.index == index) else { return false };
        peer.terms.iter().all(|term| match term {
            Term::Pods(selector) => (0..self.cluster().pods.len()).all(|pod| {
                let pod = crate::model::PodId(pod as u32);
                matching::expr(self.cluster(), &Selected::Pod(pod), selector) == Tri::No
            }),
            _ => false,
        })
    }

    /// Whether a pod that a rule's port is about declares it: the pods that the policy selects, or the peers of egress.
    fn anyone_listens(&self, at: &RuleRef, port: u16) -> bool {
        let Some(policy) = self.stage_policy(at.policy) else { return true };
        let cluster = self.cluster();
        (0..cluster.pods.len()).map(|p| crate::model::PodId(p as u32)).any(|id| {
            let pod = &cluster.pods[id.index()];
            pod.ports.iter().any(|p| p.number == port)
                && match self.direction() {
                    Direction::Ingress => matching::expr(cluster, &Selected::Pod(id), &policy.subject) != Tri::No,
                    Direction::Egress => match self.rule(at).map(|r| &r.destination) {
                        Some(Match::OneOf(peers)) => peers.iter().flat_map(|p| &p.terms).any(|t| match t {
                            Term::Pods(e) => matching::expr(cluster, &Selected::Pod(id), e) != Tri::No,
                            _ => true,
                        }),
                        _ => true,
                    },
                }
        })
    }

    /// Adds what a rule lacks beside what it has: a port where only the port missed, a peer where only the peers did.
    fn widen(&self, miss: &NearMiss) -> Option<Candidate> {
        let rule = self.rule(&miss.rule)?;
        let on_ports = |m: &Missed| {
            matches!(m.mismatch, Mismatch::Port { .. } | Mismatch::Protocol { .. } | Mismatch::NamedPort { .. })
        };
        let value = self.value(miss.origin)?;
        let (part, new, cost, said) = match miss.missed.as_slice() {
            [only] if on_ports(only) => {
                let anyone = match rule.peers(self.direction()) {
                    Match::Any => true,
                    Match::OneOf(peers) => peers.iter().any(is_wide),
                };
                let port = peer::port(self.way.flow.protocol, self.way.flow.port);
                let said = format!("add {} {}", self.way.flow.protocol, self.way.flow.port);
                (RulePart::Ports, port, if anyone { 55 } else { 35 }, said)
            }
            all if !all.iter().any(on_ports) => {
                // A rule without ports would open all of them to the new peer.
                let narrow = match &rule.l4 {
                    L4::Any => return None,
                    L4::OneOf(ports) => {
                        ports.len() <= 3 && ports.iter().all(|p| matches!(p.ports, Ports::Range(..) | Ports::Named(_)))
                    }
                };
                let info = self.state.policies.info(miss.rule.policy);
                let peer = peer::network_policy(self.cluster(), info.namespace.as_deref()?, self.across())?;
                (RulePart::Peers, peer, if narrow { 38 } else { 52 }, format!("add {}", self.across_name()))
            }
            _ => return None,
        };
        let path = field_path(PolicyKind::NetworkPolicy, &miss.rule, part);
        let length = at(&value, &path.0)?.as_array()?.len();
        Some(Candidate {
            at: At::Existing(miss.origin, PolicyKind::NetworkPolicy),
            step: format!("{said} to {path}"),
            ops: vec![Op::Add(path.index(length), new)],
            cost,
        })
    }

    /// Corrects the podSelector of a policy that selects nothing.
    fn reselect(&self, origin: Origin, policy: PolicyId, missed: &[Missed]) -> Option<Candidate> {
        let subject = &self.stage_policy(policy)?.subject;
        let cluster = self.cluster();
        let selects = (0..cluster.pods.len())
            .any(|p| matching::expr(cluster, &Selected::Pod(crate::model::PodId(p as u32)), subject) != Tri::No);
        if selects {
            return None;
        }
        let (mut ops, mut said) = (Vec::new(), Vec::new());
        for miss in missed {
            let Mismatch::PodLabel { wanted: Wanted::In(values), found: Some(found), key, .. } = &miss.mismatch else {
                return None;
            };
            // A policy for pods that aren't there is not changed for looking a little alike.
            let slipped = values.iter().any(|v| slip(v, found));
            if peer::is_passing(key) || !slipped || !matches!(miss.path.0.last(), Some(Segment::Key(_))) {
                return None;
            }
            ops.push(Op::Replace(miss.path.clone(), json!(&**found)));
            said.push(format!("correct {} from {} to {found}", miss.path, values.first()?));
        }
        let at = At::Existing(origin, PolicyKind::NetworkPolicy);
        Some(Candidate { at, ops, cost: 30 + 5 * missed.len() as u32, step: said.join(", ") })
    }

    /// The ports of a new rule: DNS needs TCP as well, for answers that don't fit.
    fn ports(&self) -> Vec<Value> {
        let flow = &self.way.flow;
        match self.way.stretch {
            Stretch::Dns => vec![peer::port(Protocol::Udp, flow.port), peer::port(Protocol::Tcp, flow.port)],
            Stretch::Target => vec![peer::port(flow.protocol, flow.port)],
        }
    }

    fn new_rule(&self, namespace: &str) -> Option<Value> {
        let peers = if self.direction() == Direction::Ingress { "from" } else { "to" };
        let peer = peer::network_policy(self.cluster(), namespace, self.across())?;
        Some(json!({peers: [peer], "ports": self.ports()}))
    }

    /// Adds a rule to a policy that isolates the pod. One for many pods, such as a default deny, is left as it is: its rule
    /// would open all of them.
    fn rules(&self) -> Vec<Candidate> {
        let Some(step) = self.way.leg.steps.last() else { return Vec::new() };
        let mut out = Vec::new();
        for id in &step.selecting {
            let info = self.state.policies.info(*id);
            let (Some(policy), Some(value)) = (self.stage_policy(*id), self.value(info.origin)) else { continue };
            let new = self.state.is_new(info.origin);
            let written = value.pointer("/spec/podSelector").and_then(Value::as_object);
            let everyone = written.is_none_or(|s| s.is_empty());
            if !new && everyone && policy.rules.is_empty() {
                continue;
            }
            let Some(rule) = info.namespace.as_deref().and_then(|n| self.new_rule(n)) else { continue };
            let path = FieldPath::keys("spec").key(self.direction().name());
            let op = match at(&value, &path.0) {
                Some(Value::Array(rules)) => Op::Add(path.clone().index(rules.len()), rule),
                _ => Op::Add(path.clone(), Value::Array(vec![rule])),
            };
            let own = self.cluster().pods[self.way.subject.index()].workload.as_ref();
            let others = self
                .cluster()
                .pods_of(self.cluster().pods[self.way.subject.index()].namespace)
                .filter(|p| *p != self.way.subject)
                .filter(|p| own.is_none() || self.cluster().pods[p.index()].workload.as_ref() != own)
                .filter(|p| matching::expr(self.cluster(), &Selected::Pod(*p), &policy.subject) != Tri::No)
                .count();
            // What is only about this pod is the place for it; a policy for everyone is not.
            let cost = match (new, everyone) {
                (true, _) => 5,
                (false, false) => 44 + others.min(20) as u32,
                (false, true) => 54 + others.min(20) as u32,
            };
            let mut ops = vec![op];
            if new {
                ops.extend(self.rename(&value, self.direction().name()));
            }
            out.push(Candidate {
                at: At::Existing(info.origin, PolicyKind::NetworkPolicy),
                ops,
                cost,
                step: format!("add a rule for {} to {path}", self.across_name()),
            });
        }
        out
    }

    /// A new policy for the pod, or one more rule in one that an earlier edit of the same fix added.
    fn new_policy(&self) -> Option<Candidate> {
        let cluster = self.cluster();
        let pod = &cluster.pods[self.way.subject.index()];
        let namespace = &*cluster.namespaces[pod.namespace.index()].name;
        let selector = peer::selector(&peer::telling_labels(cluster, self.way.subject));
        let (direction, kind) = match self.direction() {
            Direction::Ingress => ("ingress", "Ingress"),
            Direction::Egress => ("egress", "Egress"),
        };
        let rule = self.new_rule(namespace)?;
        for origin in self.state.origins().into_iter().filter(|o| self.state.is_new(*o)) {
            let value = self.value(origin)?;
            let same = value.pointer("/metadata/namespace").and_then(Value::as_str) == Some(namespace)
                && value.pointer("/spec/podSelector") == Some(&selector);
            let types = value.pointer("/spec/policyTypes").and_then(Value::as_array);
            if same && types.is_some_and(|t| !t.contains(&json!(kind))) {
                let length = types.map_or(0, Vec::len);
                let mut ops = vec![
                    Op::Add(FieldPath::keys("spec.policyTypes").index(length), json!(kind)),
                    Op::Add(FieldPath::keys("spec").key(direction), json!([rule])),
                ];
                ops.extend(self.rename(&value, "traffic"));
                return Some(Candidate {
                    at: At::Existing(origin, PolicyKind::NetworkPolicy),
                    ops,
                    cost: 6,
                    step: format!("allow {direction} of {} in it too", self.across_name()),
                });
            }
        }
        let subject = Endpoint::pod(cluster, self.way.subject, false);
        let name = match (self.way.stretch, self.direction()) {
            (Stretch::Dns, Direction::Egress) => format!("{}-allow-dns", peer::short_name(cluster, &subject)),
            (_, way) => {
                let word = if way == Direction::Ingress { "from" } else { "to" };
                let across = peer::short_name(cluster, self.across());
                format!("{}-allow-{word}-{across}", peer::short_name(cluster, &subject))
            }
        };
        let name = self.unused(namespace, name);
        let value = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"podSelector": selector, "policyTypes": [kind], direction: [rule]},
        });
        let step = match self.way.stretch {
            Stretch::Dns => "add a NetworkPolicy that allows DNS".to_owned(),
            Stretch::Target => format!("add a NetworkPolicy that allows {direction} of {}", self.across_name()),
        };
        Some(Candidate { at: At::New(value), ops: Vec::new(), cost: 50, step })
    }

    /// A new policy that serves more than its first purpose is called after what it is about.
    fn rename(&self, value: &Value, what: &str) -> Option<Op> {
        let namespace = value.pointer("/metadata/namespace")?.as_str()?;
        let now = value.pointer("/metadata/name")?.as_str()?;
        let subject = Endpoint::pod(self.cluster(), self.way.subject, false);
        let wanted = format!("{}-allow-{what}", peer::short_name(self.cluster(), &subject));
        let renamed = now.starts_with(&wanted) || now.contains("-allow-traffic");
        (!renamed).then(|| Op::Replace(FieldPath::keys("metadata.name"), json!(self.unused(namespace, wanted))))
    }

    /// A name that no NetworkPolicy of the namespace has. Kept within what a label may hold, though names may be longer.
    fn unused(&self, namespace: &str, mut name: String) -> String {
        name.truncate(58);
        let name = name.trim_matches('-').to_owned();
        let taken = |name: &str| self.state.has_network_policy(namespace, name);
        let mut candidates = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
        candidates.find(|n| !taken(n)).unwrap_or(name)
    }

    /// The rule that would have to go before one of tier Admin that denies: for its administrator.
    fn accept(&self, deny: &RuleRef) -> Option<Candidate> {
        let info = self.state.policies.info(deny.policy);
        let value = self.value(info.origin)?;
        let ingress = self.direction() == Direction::Ingress;
        let peer = peer::cluster_wide(self.cluster(), self.across(), ingress)?;
        let path = FieldPath::keys("spec").key(self.direction().name());
        let flow = &self.way.flow;
        let protocols: Vec<Protocol> = match self.way.stretch {
            Stretch::Dns => vec![Protocol::Udp, Protocol::Tcp],
            Stretch::Target => vec![flow.protocol],
        };
        let name = format!("allow-{}", peer::short_name(self.cluster(), self.across()));
        let peers = if ingress { "from" } else { "to" };
        let (action, at_ports, ports, most): (_, _, Vec<Value>, _) = match info.kind {
            PolicyKind::ClusterNetworkPolicy => {
                let port = |p: &Protocol| json!({p.to_string().to_ascii_lowercase(): {"destinationPort": {"number": flow.port}}});
                ("Accept", "protocols", protocols.iter().map(port).collect(), 25)
            }
            PolicyKind::AdminNetworkPolicy => {
                let port = |p: &Protocol| json!({"portNumber": {"protocol": p.to_string(), "port": flow.port}});
                ("Allow", "ports", protocols.iter().map(port).collect(), 100)
            }
            _ => return None,
        };
        // What the API server takes (SEMANTICS 67; `maxItems` of each CRD).
        if at(&value, &path.0)?.as_array()?.len() >= most {
            return None;
        }
        let name: String = name.chars().take(100).collect();
        let rule = json!({"name": name, "action": action, peers: [peer], at_ports: ports});
        Some(Candidate {
            at: At::Existing(info.origin, info.kind),
            ops: vec![Op::Add(path.clone().index(deny.rule as usize), rule)],
            cost: 60,
            step: format!("allow {} before {path}[{}]", self.across_name(), deny.rule),
        })
    }
}

/// Whether a peer stands for more than some hosts: a port added to its rule would be opened to all of them.
fn is_wide(peer: &Peer) -> bool {
    peer.terms.iter().any(|term| match term {
        Term::Cidr(blocks, _) => blocks.iter().any(|b| b.cidr.max_prefix_len() - b.cidr.prefix_len() > 8),
        Term::Pods(selector) => matches!(selector, Expr::Anything),
        _ => false,
    })
}

/// The name that a rule of a cluster-wide policy was given.
pub(super) fn rule_name(cluster: &Cluster, origin: Origin, rule: &RuleRef) -> Option<String> {
    let at = rule.rule as usize;
    let ingress = rule.direction == Direction::Ingress;
    let cnp = cluster.cluster_network_policies.iter().find(|p| p.origin == origin).and_then(|p| {
        let spec = &p.object.spec;
        if ingress { spec.ingress.get(at).map(|r| &r.name) } else { spec.egress.get(at).map(|r| &r.name) }
    });
    let admin = cluster.admin_network_policies.iter().find(|p| p.origin == origin).and_then(|p| {
        let spec = &p.object.spec;
        if ingress { spec.ingress.get(at).map(|r| &r.name) } else { spec.egress.get(at).map(|r| &r.name) }
    });
    cnp.or(admin).filter(|name| !name.is_empty()).cloned()
}
