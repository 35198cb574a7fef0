//! What came back, held against what the policies say: target by target, then for the whole check.
//!
//! The packets decide. A refusal proves little by itself: nothing may listen, or a plugin may reject what it denies; which
//! of them is known of the plugin, or it stays open.

use super::plan::{Item, Plan, Role};
use crate::policy::Profile;
use crate::probe_record::{Class, Detail, Record, Step};
use crate::probe_target::Protocol;
use crate::reach::Verdict;
use crate::reach::check::combine;

/// Plugins that drop what they deny and have no setting to reject it.
const DROPS: [&str; 3] = ["aws-vpc-cni", "kube-network-policies", "ovn-kubernetes"];

/// How packets and policies go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agreement {
    /// The packets came to what the policies say.
    Agrees,
    /// The policies left it open, and the packets settle it.
    Settled,
    /// The packets tell nothing.
    Inconclusive,
    /// The packets came to something else.
    Disagrees,
}

impl Agreement {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Settled => "settled",
            Self::Inconclusive => "inconclusive",
            Self::Disagrees => "disagrees",
        }
    }
}

/// Whether it was seen that policies are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// A flow that policies block failed.
    Seen,
    /// A flow that policies block went through.
    Absent,
    /// No flow that policies block was tried, or it told nothing.
    NotChecked,
}

impl Enforcement {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Absent => "absent",
            Self::NotChecked => "not-checked",
        }
    }
}

/// One target with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The class; none where nothing came back from the probe. Past the proxy of a mesh, where that was tried.
    pub class: Option<Class>,
    /// The class through the proxy of a mesh, as the application has it, where both were tried.
    pub through: Option<Class>,
    /// How long it took, in milliseconds.
    pub millis: u32,
    /// How often it was tried.
    pub tries: u8,
    /// What more is known.
    pub detail: Detail,
    /// How it goes with the policies.
    pub agreement: Agreement,
}

/// The answer for a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The packets' verdict.
    pub verdict: Verdict,
    /// How it goes with the policies'.
    pub agreement: Agreement,
    /// Whether policies are enforced.
    pub enforcement: Enforcement,
    /// Each target of the plan.
    pub findings: Vec<Finding>,
    /// What a disagreement means, or why nothing can be told: a sentence each.
    pub meanings: Vec<String>,
}

/// What is known besides the plan.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The network plugin.
    pub profile: &'a Profile,
    /// A proxy that stands between the client and its network, by the name of its container.
    pub mesh: Option<&'a str>,
    /// What came back of each target past that proxy; empty where that was not tried.
    pub past: &'a [Vec<Record>],
    /// Whether the pod's own listener answered the agent; none where that was not tried.
    pub works: Option<bool>,
}

/// Judges what came back of each target of a plan.
pub fn judge(plan: &Plan, records: &[Vec<Record>], context: Context<'_>) -> Judgement {
    let none = Vec::new();
    let findings: Vec<Finding> = plan
        .items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let application = records.get(index).unwrap_or(&none);
            match context.past.get(index).filter(|past| !past.is_empty()) {
                Some(past) => beside(item, application, finding(item, past, context.profile), context.profile),
                None => finding(item, application, context.profile),
            }
        })
        .collect();
    let pairs: Vec<(&Item, &Finding)> = plan.items.iter().zip(&findings).collect();
    let enforcement = enforcement(&pairs);
    let verdict = verdict(&pairs);
    let mut agreement = pairs
        .iter()
        .filter(|(item, _)| item.role != Role::MustFail)
        .map(|(_, f)| f.agreement)
        .max()
        .unwrap_or(Agreement::Inconclusive);
    if enforcement == Enforcement::Absent {
        agreement = Agreement::Disagrees;
    }
    let mut meanings = Vec::new();
    if context.works == Some(false) {
        // What can't reach itself says nothing of others.
        agreement = Agreement::Inconclusive;
        meanings.push("the pod does not reach a listener of its own: its network is broken, and what fails here says nothing of policies".to_owned());
        return Judgement {
            verdict: Verdict::Unknown,
            agreement,
            enforcement: Enforcement::NotChecked,
            findings,
            meanings,
        };
    }
    meanings.extend(means(&pairs, enforcement, context));
    meanings.dedup();
    Judgement { verdict, agreement, enforcement, findings, meanings }
}

fn finding(item: &Item, records: &[Record], profile: &Profile) -> Finding {
    let class = crate::probe_record::class_of(records);
    let of_step = if item.role == Role::Name { Step::Name } else { Step::Probe };
    let shown = records.iter().filter(|r| Some(r.class) == class).find(|r| r.step == of_step);
    let shown = shown.or_else(|| records.iter().find(|r| Some(r.class) == class));
    Finding {
        class,
        through: None,
        millis: shown.map_or(0, |r| r.millis),
        tries: shown.map_or(0, |r| r.tries),
        detail: shown.map_or(Detail::None, |r| r.detail),
        agreement: class.map_or(Agreement::Inconclusive, |class| agreement(item, class, profile)),
    }
}

/// What came back past a mesh's proxy, beside what the application gets through it. The network's answer decides, unless
/// the application's is worse: that is the mesh's doing, and stops the application all the same.
fn beside(item: &Item, application: &[Record], past: Finding, profile: &Profile) -> Finding {
    let through = crate::probe_record::class_of(application);
    let mut out = Finding { through, ..past };
    if let Some(class) = out.deciding() {
        out.agreement = agreement(item, class, profile);
    }
    out
}

impl Finding {
    /// The class that decides.
    fn deciding(&self) -> Option<Class> {
        let passes = |class: Option<Class>| class.is_some_and(|c| seen(c) == Seen::Through);
        if passes(self.class) && self.through.is_some() && !passes(self.through) { self.through } else { self.class }
    }
}

/// What a class is to a policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It went through.
    Through,
    /// It did not arrive, or its answer did not.
    Stopped,
    /// Somebody refused it: the server, or who enforces a policy.
    Refused,
    /// There is no way there, or no such name: not a policy's doing.
    NoWay,
    /// It tells nothing.
    Nothing,
}

fn seen(class: Class) -> Seen {
    match class {
        // A server that is silent, resets, or does not speak TLS was reached all the same.
        Class::Open | Class::OpenSilent | Class::Reset | Class::TlsFailure => Seen::Through,
        Class::Timeout | Class::Prohibited | Class::DnsTimeout => Seen::Stopped,
        Class::Refused | Class::RefusedIcmp => Seen::Refused,
        Class::Unreachable | Class::DnsNxdomain | Class::DnsNodata | Class::DnsServfail | Class::DnsRefused => {
            Seen::NoWay
        }
        Class::OpenOrFiltered | Class::Unsupported | Class::Error => Seen::Nothing,
    }
}

fn agreement(item: &Item, class: Class, profile: &Profile) -> Agreement {
    let seen = seen(class);
    match (item.expected, seen) {
        (_, Seen::Nothing) => Agreement::Inconclusive,
        (Verdict::Unknown, _) => Agreement::Settled,
        (Verdict::Reachable, Seen::Through) | (Verdict::Blocked, Seen::Stopped) => Agreement::Agrees,
        (Verdict::Reachable, _) | (Verdict::Blocked, Seen::Through) => Agreement::Disagrees,
        // "Refused, so the policy allows it" is wrong where the plugin rejects what it denies.
        (Verdict::Blocked, Seen::Refused) if profile.rejects => Agreement::Agrees,
        (Verdict::Blocked, Seen::Refused) if DROPS.contains(&profile.name.as_str()) => Agreement::Disagrees,
        (Verdict::Blocked, Seen::Refused | Seen::NoWay) => Agreement::Inconclusive,
        (Verdict::Unreachable, Seen::Through) => Agreement::Disagrees,
        (Verdict::Unreachable, _) => Agreement::Agrees,
        // Through a Service of which some endpoints are open, either may happen.
        (Verdict::Partial, _) => Agreement::Agrees,
    }
}

fn enforcement(pairs: &[(&Item, &Finding)]) -> Enforcement {
    let blocked =
        || pairs.iter().filter(|(i, f)| i.expected == Verdict::Blocked && i.role != Role::Name && f.class.is_some());
    let through = |f: &Finding| f.class.is_some_and(|c| seen(c) == Seen::Through);
    if blocked().any(|(_, f)| f.agreement == Agreement::Agrees) {
        Enforcement::Seen
    } else if blocked().any(|(_, f)| through(f)) {
        Enforcement::Absent
    } else {
        Enforcement::NotChecked
    }
}

/// The packets' own verdict.
fn verdict(pairs: &[(&Item, &Finding)]) -> Verdict {
    let of = |class: Option<Class>| match class.map(seen) {
        Some(Seen::Through) => Verdict::Reachable,
        Some(Seen::Stopped) => Verdict::Blocked,
        Some(Seen::Refused | Seen::NoWay) => Verdict::Unreachable,
        Some(Seen::Nothing) | None => Verdict::Unknown,
    };
    let with = |wanted: fn(Role) -> bool| -> Vec<Verdict> {
        pairs.iter().filter(|(i, _)| wanted(i.role)).map(|(_, f)| of(f.deciding())).collect()
    };
    let names = with(|r| r == Role::Name);
    let fronts = with(|r| r == Role::Service);
    let endpoints = with(|r| matches!(r, Role::Endpoint(_)));
    let all_open = !endpoints.is_empty() && endpoints.iter().all(|v| *v == Verdict::Reachable);
    let way = if all_open && !fronts.is_empty() {
        // The client dials the Service: endpoints that are open without it help nobody.
        combine(fronts)
    } else {
        combine(fronts.into_iter().chain(endpoints))
    };
    match (names.first(), way) {
        (Some(Verdict::Blocked | Verdict::Unreachable), Some(_) | None) => names[0],
        (Some(Verdict::Unknown), Some(Verdict::Reachable | Verdict::Partial)) => Verdict::Unknown,
        (name, None) => name.copied().unwrap_or(Verdict::Unknown),
        (_, Some(way)) => way,
    }
}

/// What a disagreement means.
fn means(pairs: &[(&Item, &Finding)], enforcement: Enforcement, context: Context<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let saw = |f: &Finding| f.class.map(seen);
    let wrong = |i: &Item, f: &Finding| i.expected != Verdict::Partial && f.agreement == Agreement::Disagrees;
    let dialled = || pairs.iter().filter(|(i, _)| matches!(i.role, Role::Service | Role::Endpoint(_)));
    let endpoints_open = {
        let mut all = pairs.iter().filter(|(i, _)| matches!(i.role, Role::Endpoint(_))).peekable();
        all.peek().is_some() && all.all(|(_, f)| saw(f) == Some(Seen::Through))
    };
    // Names.
    for (item, finding) in pairs.iter().filter(|(i, f)| i.role == Role::Name && f.agreement == Agreement::Disagrees) {
        let name = &item.what;
        out.push(match (item.expected, finding.class) {
            (Verdict::Blocked, _) => format!(
                "the name `{name}` is resolved although policies stop DNS: they are not enforced, or a cache on the node answers"
            ),
            (_, Some(Class::DnsNxdomain | Class::DnsNodata)) => format!(
                "DNS says that `{name}` does not exist: the cluster's domain is another one, or the DNS servers don't know the Service yet"
            ),
            (_, Some(Class::DnsServfail | Class::DnsRefused)) => {
                format!("the DNS servers fail to answer for `{name}`: look at their logs")
            }
            _ => format!("no DNS server answers for `{name}`, and no policy read here stops the question: look at the DNS pods and at their Service"),
        });
    }
    // Blocked, and it went through.
    let through: Vec<&str> = pairs
        .iter()
        .filter(|(i, f)| i.role != Role::Name && i.expected == Verdict::Blocked && saw(f) == Some(Seen::Through))
        .map(|(i, _)| i.what.as_str())
        .collect();
    if !through.is_empty() {
        let list = names(&through);
        if let Some(mesh) = context.mesh.filter(|_| context.past.is_empty()) {
            out.push(format!(
                "`{mesh}` in the client's pod accepts connections for everybody: that {list} answered may be its doing; probe from a pod without it"
            ));
        } else if enforcement == Enforcement::Absent {
            out.push(format!(
                "policies are not enforced here: {list} answered though they block it. The network plugin does not enforce policies, or its agent on the node of one of the pods does not run"
            ));
        } else {
            out.push(format!(
                "{list} answered though policies block it, and other blocked flows did not: the rules may not be programmed yet on that node (try again in a moment), or a mesh accepts connections for the server"
            ));
        }
    }
    // Blocked, and refused.
    if pairs
        .iter()
        .any(|(i, f)| i.role != Role::Name && i.expected == Verdict::Blocked && saw(f) == Some(Seen::Refused))
    {
        if DROPS.contains(&context.profile.name.as_str()) {
            out.push(format!(
                "{} drops what it denies, so a refusal came from the pod: the policies are not enforced on the way",
                context.profile.name
            ));
        } else if !context.profile.rejects {
            out.push("a refusal does not tell: the plugin may reject what policies deny, or the packet arrived and nothing listens; --cni names the plugin".to_owned());
        }
    }
    // Open for the policies, and it failed.
    if endpoints_open && dialled().any(|(i, f)| i.role == Role::Service && wrong(i, f)) {
        out.push("every endpoint answers and the Service's address does not: the rules for Services on the client's node are missing or wrong; look at kube-proxy, or what replaces it, there".to_owned());
        return out;
    }
    let refused: Vec<&str> = dialled()
        .filter(|(i, f)| {
            matches!(i.role, Role::Endpoint(_)) && i.expected == Verdict::Reachable && saw(f) == Some(Seen::Refused)
        })
        .map(|(i, _)| i.what.as_str())
        .collect();
    if !refused.is_empty() {
        out.push(format!(
            "{} refused the connection: nothing listens on that port, or only on localhost; policies let the packet through",
            names(&refused)
        ));
    }
    let vanished = |service: bool| -> Vec<&str> {
        let of_kind = dialled().filter(|(i, _)| (i.role == Role::Service) == service);
        of_kind
            .filter(|(i, f)| i.expected == Verdict::Reachable && saw(f) == Some(Seen::Stopped))
            .map(|(i, _)| i.what.as_str())
            .collect()
    };
    // That the Service's address leads nowhere follows from its endpoints.
    let mut lost = vanished(false);
    if lost.is_empty() {
        lost = vanished(true);
    }
    if !lost.is_empty() {
        let prohibited = dialled().find_map(|(i, f)| match (i.expected, f.class, f.detail) {
            (Verdict::Reachable, Some(Class::Prohibited), Detail::Icmp { from: Some(from), .. }) => Some(from),
            _ => None,
        });
        out.push(match prohibited {
            Some(from) => format!("{from} says that connections to {} are forbidden: a firewall there, or a policy that was not read", names(&lost)),
            None => format!(
                "connections to {} vanish though the policies read here allow them: a policy of a kind that was not read, a firewall or security group between the nodes, or rules that are not programmed yet",
                names(&lost)
            ),
        });
    }
    let no_way: Vec<&str> = dialled()
        .filter(|(i, f)| i.expected == Verdict::Reachable && saw(f) == Some(Seen::NoWay))
        .map(|(i, _)| i.what.as_str())
        .collect();
    if !no_way.is_empty() {
        out.push(format!(
            "there is no route to {}: the network between the nodes is broken, or the address is gone",
            names(&no_way)
        ));
    }
    if dialled().any(|(i, f)| i.expected == Verdict::Unreachable && saw(f) == Some(Seen::Through)) {
        out.push("something answers where the objects have nothing ready: they changed since they were read, or another program holds the address".to_owned());
    }
    out.extend(mesh_means(pairs, context));
    // What tells nothing.
    for (item, finding) in pairs {
        let what = &item.what;
        match finding.class {
            Some(Class::OpenOrFiltered) => out.push(format!(
                "{what} did not answer a datagram: a drop and a server with nothing to say look the same"
            )),
            Some(Class::Unsupported) => {
                out.push(format!("the client's node does not know the protocol that {what} was to be tried with"))
            }
            Some(Class::Error) => out.push(format!("{what} could not be tried, or why it failed is not known")),
            None if item.target.dial.as_ref().is_some_and(|dial| dial.protocol != Protocol::Tcp) => out.push(format!(
                "the probe has no answer for {what}: of the tools of an image, python and agnhost alone try UDP and SCTP; --via ephemeral brings its own"
            )),
            None => out.push(format!("the probe has no answer for {what}")),
            _ => {}
        }
    }
    for (item, _) in dialled().filter(|(i, f)| f.class == Some(Class::Reset) && i.expected == Verdict::Reachable) {
        out.push(format!(
            "{} accepted the connection and reset it: the server, or a mesh in front of it, turned it away",
            item.what
        ));
    }
    out
}

/// What it means where an answer differs through a mesh's proxy and past it.
fn mesh_means(pairs: &[(&Item, &Finding)], context: Context<'_>) -> Vec<String> {
    let Some(mesh) = context.mesh else { return Vec::new() };
    let passes = |class: Class| seen(class) == Seen::Through;
    let mut out = Vec::new();
    for (item, finding) in pairs.iter().filter(|(i, _)| i.role != Role::Name) {
        let (Some(past), Some(through)) = (finding.class, finding.through) else { continue };
        let what = &item.what;
        if passes(through) && !passes(past) {
            out.push(format!(
                "`{mesh}` accepts connections to {what} for the server; past it they come to `{past}`: what the application sees as open is not"
            ));
        } else if passes(past) && !passes(through) {
            out.push(format!(
                "{what} answers past `{mesh}`, and comes to `{through}` through it: a rule of the mesh stops it (an authorization policy, mTLS, a missing route), not the network"
            ));
        }
    }
    out
}

/// At most three names.
fn names(all: &[&str]) -> String {
    let mut all: Vec<&str> = all.to_vec();
    all.dedup();
    let shown = all.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    if all.len() > 3 { format!("{shown} and {} more", all.len() - 3) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(role: Role, target: &str, expected: Verdict) -> Item {
        Item { role, target: target.parse().expect(target), what: target.to_owned(), expected, server: None }
    }

    fn record(class: Class) -> Vec<Record> {
        vec![Record { step: Step::Probe, index: 0, class, millis: 1, tries: 1, address: None, detail: Detail::None }]
    }

    fn judged(items: Vec<Item>, classes: &[Class], cni: &str) -> Judgement {
        let records: Vec<Vec<Record>> = classes.iter().map(|c| record(*c)).collect();
        let profile: Profile = cni.parse().expect(cni);
        let context = Context { profile: &profile, mesh: None, past: &[], works: Some(true) };
        judge(&Plan { items, notes: Vec::new() }, &records, context)
    }

    const POD: &str = "tcp:10.0.0.1:80";

    #[test]
    fn one_endpoint_against_each_answer() {
        use Agreement::{Agrees, Disagrees, Inconclusive, Settled};
        use Verdict::{Blocked, Reachable, Unknown, Unreachable};
        for (expected, class, cni, agreement, verdict) in [
            (Reachable, Class::Open, "generic", Agrees, Reachable),
            (Reachable, Class::Timeout, "generic", Disagrees, Blocked),
            (Reachable, Class::Refused, "generic", Disagrees, Unreachable),
            (Reachable, Class::Reset, "generic", Agrees, Reachable),
            (Blocked, Class::Timeout, "generic", Agrees, Blocked),
            (Blocked, Class::Prohibited, "generic", Agrees, Blocked),
            (Blocked, Class::Open, "generic", Disagrees, Reachable),
            (Blocked, Class::Refused, "generic", Inconclusive, Unreachable),
            (Blocked, Class::Refused, "calico", Inconclusive, Unreachable),
            (Blocked, Class::Refused, "kube-router", Agrees, Unreachable),
            (Blocked, Class::Refused, "kube-network-policies", Disagrees, Unreachable),
            (Unreachable, Class::Refused, "generic", Agrees, Unreachable),
            (Unreachable, Class::Open, "generic", Disagrees, Reachable),
            (Unknown, Class::Open, "generic", Settled, Reachable),
            (Unknown, Class::Timeout, "generic", Settled, Blocked),
            (Blocked, Class::OpenOrFiltered, "generic", Inconclusive, Unknown),
            (Reachable, Class::Error, "generic", Inconclusive, Unknown),
        ] {
            let judged = judged(vec![item(Role::Endpoint(0), POD, expected)], &[class], cni);
            assert_eq!((judged.agreement, judged.verdict), (agreement, verdict), "{expected:?} {class} {cni}");
            let explained = matches!(agreement, Disagrees | Inconclusive);
            assert!(!explained || !judged.meanings.is_empty(), "{expected:?} {class} {cni}");
        }
    }

    #[test]
    fn nothing_enforced_and_nothing_working_are_told_apart() {
        let items = || {
            vec![
                item(Role::Endpoint(0), POD, Verdict::Reachable),
                item(Role::MustFail, "tcp:10.0.0.9:80", Verdict::Blocked),
            ]
        };
        let open = judged(items(), &[Class::Open, Class::Open], "generic");
        assert_eq!((open.agreement, open.enforcement), (Agreement::Disagrees, Enforcement::Absent));
        assert!(open.meanings[0].contains("not enforced"), "{:?}", open.meanings);
        let right = judged(items(), &[Class::Open, Class::Timeout], "generic");
        assert_eq!((right.agreement, right.enforcement), (Agreement::Agrees, Enforcement::Seen));
        let profile = Profile::generic();
        let broken = judge(
            &Plan { items: items(), notes: Vec::new() },
            &[record(Class::Timeout), record(Class::Timeout)],
            Context { profile: &profile, mesh: None, past: &[], works: Some(false) },
        );
        assert_eq!((broken.agreement, broken.verdict), (Agreement::Inconclusive, Verdict::Unknown));
        let unchecked = judged(vec![item(Role::Endpoint(0), POD, Verdict::Reachable)], &[Class::Open], "generic");
        assert_eq!(unchecked.enforcement, Enforcement::NotChecked);
    }

    #[test]
    fn past_a_proxy_the_network_decides_unless_the_mesh_stops_it() {
        use Agreement::{Agrees, Disagrees};
        use Verdict::{Blocked, Reachable};
        let profile = Profile::generic();
        for (expected, through, past, agreement, verdict, word) in [
            (Blocked, Class::Open, Class::Timeout, Agrees, Blocked, "for the server"),
            (Reachable, Class::Open, Class::Timeout, Disagrees, Blocked, "for the server"),
            (Reachable, Class::Open, Class::Open, Agrees, Reachable, ""),
            (Reachable, Class::Timeout, Class::Open, Disagrees, Blocked, "a rule of the mesh"),
            (Blocked, Class::Open, Class::Open, Disagrees, Reachable, "not enforced"),
        ] {
            let plan = Plan { items: vec![item(Role::Endpoint(0), POD, expected)], notes: Vec::new() };
            let past = [record(past)];
            let context = Context { profile: &profile, mesh: Some("istio-proxy"), past: &past, works: Some(true) };
            let judged = judge(&plan, &[record(through)], context);
            assert_eq!((judged.agreement, judged.verdict), (agreement, verdict), "{through} {}", past[0][0].class);
            assert_eq!(judged.findings[0].through, Some(through));
            assert!(judged.meanings.iter().any(|m| m.contains(word)) || word.is_empty(), "{:?}", judged.meanings);
        }
    }

    #[test]
    fn a_service_that_leads_nowhere_is_not_its_endpoints_fault() {
        let items = vec![
            item(Role::Service, "tcp:10.96.0.1:80", Verdict::Reachable),
            item(Role::Endpoint(0), POD, Verdict::Reachable),
        ];
        let judged = judged(items, &[Class::Timeout, Class::Open], "generic");
        assert_eq!((judged.agreement, judged.verdict), (Agreement::Disagrees, Verdict::Blocked));
        assert!(judged.meanings.iter().any(|m| m.contains("kube-proxy")), "{:?}", judged.meanings);
    }
}
