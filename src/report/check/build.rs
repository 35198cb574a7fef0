//! A check into its machine-readable answer.

use super::words::{obstacle, unknown};
use super::{
    API_VERSION, CheckReport, CheckResult, ConnectionResult, Differs, DnsResult, EndpointResult, LegResult,
    NearMissResult, Party, PolicyPlace, StageResult, VerdictName,
};
use crate::analysis::explain::text::endpoint_name;
use crate::analysis::explain::{Explanation, How, Stretch};
use crate::analysis::fix::Proposal;
use crate::model::query::{Client, PortSpec, Target};
use crate::model::{Assumption, Cluster, PodId, Protocol};
use crate::policy::rule::{Action, RulePart, RuleRef, Tier, field_path};
use crate::policy::{Policies, PolicyId};
use crate::reach::eval::{Exempt, Step, StepResult};
use crate::reach::{Check, EndpointCheck, Leg, Outcome, Verdict};
use crate::source::{Diagnostic, FieldPath, Origin, Part, Place, SourceMap};

/// A question with its answer, as `commands` hands it over.
#[derive(Debug)]
pub struct Asked {
    /// CLIENT as typed.
    pub client_text: String,
    /// What it names.
    pub client: Client,
    /// Those of its pods that this answer is for; empty for a client that isn't pods.
    pub pods: Vec<PodId>,
    /// TARGET as typed.
    pub target_text: String,
    /// What it names.
    pub target: Target,
    /// Port; none with `--all-ports`.
    pub port: Option<PortSpec>,
    /// Protocol.
    pub protocol: Protocol,
    /// The answer.
    pub check: Check,
    /// With `--all-ports`: ports that are reachable and ports that can't be told, per protocol.
    pub connections: Option<Vec<(Protocol, String, String)>>,
    /// Facts about how the names were read.
    pub notes: Vec<String>,
    /// Why it is blocked or can't be told.
    pub explanations: Vec<Explanation>,
    /// The same, drawn on the policies.
    pub diagnostics: Vec<Diagnostic>,
    /// Edits that make it reachable.
    pub proposal: Proposal,
    /// What packets came to.
    pub live: Option<super::Probe>,
}

/// What answers are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its policies.
    pub policies: &'a Policies,
    /// The texts.
    pub sources: &'a SourceMap,
}

/// The machine-readable document.
pub fn report(facts: Facts<'_>, cni: &str, asked: &[Asked]) -> CheckReport {
    CheckReport {
        api_version: API_VERSION.to_owned(),
        kind: "CheckReport".to_owned(),
        cni: cni.to_owned(),
        assumptions: facts
            .cluster
            .assumptions
            .iter()
            .map(|a| match a {
                Assumption::ClusterDns => "the cluster's DNS: pods labelled k8s-app=kube-dns, on port 53".to_owned(),
            })
            .collect(),
        checks: asked.iter().map(|a| result(facts, a)).collect(),
    }
}

impl From<Verdict> for VerdictName {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Reachable => Self::Reachable,
            Verdict::Blocked => Self::Blocked,
            Verdict::Partial => Self::Partial,
            Verdict::Unreachable => Self::Unreachable,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

fn result(facts: Facts<'_>, asked: &Asked) -> CheckResult {
    let check = &asked.check;
    let (mut policies, mut misses) = (Vec::new(), Vec::new());
    for explanation in &asked.explanations {
        culprits(facts, explanation, &mut policies);
        near_misses(facts, explanation, &mut misses);
    }
    let mut unknown = unknown(facts, check);
    unknown.dedup();
    CheckResult {
        client: client(facts.cluster, asked),
        target: target(facts.cluster, asked),
        port: asked.port.as_ref().map(ToString::to_string),
        protocol: check.protocol.to_string(),
        verdict: check.verdict.into(),
        summary: super::text::summary(facts.cluster, asked),
        obstacle: check.obstacle.as_ref().map(|o| obstacle(facts.cluster, asked, o)),
        dns: check.dns.as_ref().map(|dns| DnsResult {
            verdict: dns.verdict.into(),
            tcp: dns.tcp.into(),
            assumed: dns.assumed,
            endpoints: dns.endpoints.iter().map(|e| endpoint(facts, asked, e)).collect(),
        }),
        endpoints: check.endpoints.iter().map(|e| endpoint(facts, asked, e)).collect(),
        policies,
        near_misses: misses,
        unknown,
        notes: asked.notes.clone(),
        connections: asked.connections.as_ref().map(|all| {
            all.iter()
                .map(|(protocol, allowed, unknown)| ConnectionResult {
                    protocol: protocol.to_string(),
                    allowed: allowed.clone(),
                    unknown: unknown.clone(),
                })
                .collect()
        }),
        fixes: super::fix::results(facts, &asked.proposal),
        live: asked.live.as_ref().map(super::live::result),
    }
}

fn client(cluster: &Cluster, asked: &Asked) -> Party {
    let mut party = Party {
        text: asked.client_text.clone(),
        kind: String::new(),
        namespace: None,
        name: None,
        pods: Vec::new(),
        address: None,
    };
    match &asked.client {
        Client::Pods(_) => pods(cluster, &asked.pods, &mut party),
        Client::Node(node) => named(&mut party, "Node", None, &cluster.nodes[node.index()].name),
        Client::Address(ip) => (party.kind, party.address) = ("Address".to_owned(), Some(ip.to_string())),
        Client::Internet => party.kind = "Internet".to_owned(),
    }
    party
}

fn named(party: &mut Party, kind: &str, namespace: Option<&str>, name: &str) {
    party.kind = kind.to_owned();
    party.namespace = namespace.map(str::to_owned);
    party.name = Some(name.to_owned());
}

fn pods(cluster: &Cluster, ids: &[PodId], party: &mut Party) {
    let Some(first) = ids.first().map(|id| &cluster.pods[id.index()]) else { return };
    let namespace = &cluster.namespaces[first.namespace.index()].name;
    match &first.workload {
        Some(workload) if first.template || !party.text.ends_with(&*first.name) => {
            named(party, &workload.kind, Some(namespace), &workload.name);
        }
        _ => named(party, "Pod", Some(namespace), &first.name),
    }
    party.pods = ids.iter().filter(|id| !cluster.pods[id.index()].template).map(|id| cluster.pod_name(*id)).collect();
}

fn target(cluster: &Cluster, asked: &Asked) -> Party {
    let mut party = Party {
        text: asked.target_text.clone(),
        kind: String::new(),
        namespace: None,
        name: None,
        pods: Vec::new(),
        address: None,
    };
    match &asked.target {
        Target::Service(id) | Target::ServiceAddress(id, _) | Target::NodePort(id, _) => {
            let service = &cluster.services[id.index()];
            let namespace = &cluster.namespaces[service.namespace.index()].name;
            named(&mut party, "Service", Some(namespace), &service.name);
            match &asked.target {
                Target::ServiceAddress(_, ip) => party.address = Some(ip.to_string()),
                Target::NodePort(_, node) => party.address = Some(format!("node/{}", cluster.nodes[node.index()].name)),
                _ => {}
            }
        }
        Target::Pods(ids) => {
            party.text = party.text.rsplit_once(':').map_or(party.text.clone(), |(host, _)| host.to_owned());
            pods(cluster, ids, &mut party);
            party.text.clone_from(&asked.target_text);
        }
        Target::PodByName(id) => {
            let pod = &cluster.pods[id.index()];
            named(&mut party, "Pod", Some(&cluster.namespaces[pod.namespace.index()].name), &pod.name);
        }
        Target::Node(node) => named(&mut party, "Node", None, &cluster.nodes[node.index()].name),
        Target::Address(ip) => (party.kind, party.address) = ("Address".to_owned(), Some(ip.to_string())),
        Target::Name(name) => named(&mut party, "Name", None, name),
    }
    party
}

fn endpoint(facts: Facts<'_>, asked: &Asked, e: &EndpointCheck) -> EndpointResult {
    let outcome = |o: Outcome| match o {
        Outcome::Allowed => "allowed",
        Outcome::Denied => "denied",
        Outcome::Unknown => "unknown",
    };
    EndpointResult {
        pod: e.pod.map(|p| facts.cluster.pod_name(p)),
        address: e.server.ip.map(|ip| ip.to_string()),
        port: e.port,
        ready: e.ready,
        counted: e.counted,
        verdict: e.verdict.into(),
        obstacle: e.obstacle.as_ref().map(|o| obstacle(facts.cluster, asked, o)),
        egress: e.decision.as_ref().map(|d| leg(facts, &d.egress)),
        ingress: e.decision.as_ref().map(|d| leg(facts, &d.ingress)),
        differs: e
            .decision
            .iter()
            .flat_map(|d| &d.differs)
            .map(|(o, plugins)| Differs {
                outcome: outcome(*o).to_owned(),
                plugins: plugins.iter().map(|p| (*p).to_owned()).collect(),
            })
            .collect(),
    }
}

fn leg(facts: Facts<'_>, leg: &Leg) -> LegResult {
    LegResult {
        outcome: match leg.outcome {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Unknown => "unknown",
        }
        .to_owned(),
        exempt: leg.exempt.map(|e| {
            match e {
                Exempt::NotAPod => "not-a-pod",
                Exempt::Itself => "itself",
                Exempt::OwnNode => "own-node",
            }
            .to_owned()
        }),
        stages: leg.steps.iter().map(|s| stage(facts, leg, s)).collect(),
        not_reached: leg.not_reached.iter().map(ToString::to_string).collect(),
    }
}

fn stage(facts: Facts<'_>, leg: &Leg, step: &Step) -> StageResult {
    let (result, rule) = match &step.result {
        StepResult::NotSelected => ("not-selected", None),
        StepResult::Decided(Outcome::Denied, rule) => ("denied", Some(rule)),
        StepResult::Decided(_, rule) => ("allowed", Some(rule)),
        StepResult::DefaultDeny => ("default-deny", None),
        StepResult::Passed(rule) => ("passed", Some(rule)),
        StepResult::NoMatch => ("no-match", None),
        StepResult::Open(_) => ("open", None),
        StepResult::Skipped => ("skipped", None),
    };
    StageResult {
        tier: step.tier.to_string(),
        result: result.to_owned(),
        rule: rule.map(|r| rule_place(facts, r, &step.tier, leg.direction.name())),
        policies: step.selecting.iter().map(|p| facts.policies.info(*p).reference()).collect(),
    }
}

/// The places that stop it, or may, each once.
fn culprits(facts: Facts<'_>, explanation: &Explanation, out: &mut Vec<PolicyPlace>) {
    let direction = direction(explanation);
    for culprit in &explanation.culprits {
        let action = match &culprit.how {
            How::Isolates => "DefaultDeny",
            How::Denies(_) => "Deny",
            How::MayDecide(rule) => action(facts.policies, rule).unwrap_or("Allow"),
            How::CantBeEvaluated => "Unknown",
        };
        let (kind, namespace, name, tier) = match culprit.policy.map(|p| (p, facts.policies.info(p))) {
            Some((id, info)) => (
                info.kind.name().to_owned(),
                info.namespace.as_ref().map(ToString::to_string),
                info.name.to_string(),
                tier(facts.policies, id),
            ),
            None => match culprit.reference.split('/').collect::<Vec<_>>().as_slice() {
                [kind, namespace, name] => ((*kind).to_owned(), Some((*namespace).to_owned()), (*name).to_owned(), ""),
                [kind, name] => ((*kind).to_owned(), None, (*name).to_owned(), ""),
                _ => (String::new(), None, culprit.reference.clone(), ""),
            },
        };
        let (file, line) = location(facts, culprit.origin, &culprit.path);
        let place = PolicyPlace {
            kind,
            namespace,
            name,
            direction: direction.to_owned(),
            tier: tier.to_owned(),
            action: action.to_owned(),
            path: culprit.path.to_string(),
            file,
            line,
        };
        if !out.contains(&place) {
            out.push(place);
        }
    }
}

fn direction(explanation: &Explanation) -> &'static str {
    match explanation.stretch {
        Stretch::Dns => "dns",
        Stretch::Target => explanation.direction.name(),
    }
}

fn tier(policies: &Policies, id: PolicyId) -> &'static str {
    let holds =
        |lowered: &crate::policy::Lowered| lowered.ingress.iter().chain(lowered.egress.iter()).any(|p| p.policy == id);
    if holds(&policies.admin) {
        "Admin"
    } else if holds(&policies.baseline) {
        "Baseline"
    } else {
        "NetworkPolicy"
    }
}

fn location(facts: Facts<'_>, origin: Origin, path: &FieldPath) -> (Option<String>, Option<usize>) {
    if facts.sources.is_cluster(origin.source) {
        return (None, None);
    }
    let span = facts.sources.span(&Place::Field { origin, path: path.clone(), part: Part::Entry });
    (span.as_ref().map(|s| facts.sources.name(s.source).to_owned()), span.map(|s| s.line))
}

fn near_misses(facts: Facts<'_>, explanation: &Explanation, out: &mut Vec<NearMissResult>) {
    let across = endpoint_name(facts.cluster, &explanation.across);
    let subject = facts.cluster.pod_name(explanation.subject);
    let rules = explanation.near_misses.iter().map(|m| (&m.reference, m.origin, &m.missed, &across));
    let subjects = explanation.subject_misses.iter().map(|m| (&m.reference, m.origin, &m.missed, &subject));
    for (reference, origin, missed, other) in rules.chain(subjects) {
        let Some(first) = missed.first() else { continue };
        let (file, line) = location(facts, origin, &first.path);
        let found = NearMissResult {
            policy: reference.clone(),
            direction: direction(explanation).to_owned(),
            path: first.path.to_string(),
            reason: first.mismatch.describe(other),
            misses: missed.len(),
            file,
            line,
        };
        if !out.contains(&found) {
            out.push(found);
        }
    }
}

pub(crate) fn rule_place(facts: Facts<'_>, rule: &RuleRef, tier: &Tier, direction: &str) -> PolicyPlace {
    let info = facts.policies.info(rule.policy);
    let part = match (rule.peer, rule.port) {
        (Some(peer), _) => RulePart::Peer(peer),
        (None, Some(port)) => RulePart::Port(port),
        (None, None) => RulePart::Rule,
    };
    let action = action(facts.policies, rule).unwrap_or("Allow");
    place(facts, rule.policy, tier, action, direction, field_path(info.kind, rule, part))
}

/// What a rule does, as its API spells it.
fn action(policies: &Policies, rule: &RuleRef) -> Option<&'static str> {
    let lowered = [&policies.network, &policies.admin, &policies.baseline];
    let found = lowered
        .iter()
        .flat_map(|l| l.of(rule.direction).iter())
        .find(|p| p.policy == rule.policy)
        .and_then(|p| p.rules.iter().find(|r| r.index == rule.rule))?;
    Some(match found.action {
        Action::Allow(_) => "Allow",
        Action::Deny => "Deny",
        Action::Pass => "Pass",
        Action::Log => "Log",
    })
}

pub(crate) fn place(
    facts: Facts<'_>,
    policy: PolicyId,
    tier: &Tier,
    action: &str,
    direction: &str,
    path: FieldPath,
) -> PolicyPlace {
    let info = facts.policies.info(policy);
    let (file, line) = location(facts, info.origin, &path);
    PolicyPlace {
        kind: info.kind.name().to_owned(),
        namespace: info.namespace.as_ref().map(|n| n.to_string()),
        name: info.name.to_string(),
        direction: direction.to_owned(),
        tier: tier.to_string(),
        action: action.to_owned(),
        path: path.to_string(),
        file,
        line,
    }
}
