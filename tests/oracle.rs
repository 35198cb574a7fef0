//! Connectivity cases whose answers another analyser gave, under `oracle/` of the shared cases: every pair of workloads
//! and every range of outside addresses must be answered alike, port by port.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use netcheck::analysis::diff::{Diff, L4, Party, Version, diff};
use netcheck::analysis::expect::file::ConnectivityTest;
use netcheck::analysis::expect::{Gaps, Outcome, answer};
use netcheck::model::{Cluster, PodId, PortSet, Protocol};
use netcheck::policy::profile::SPECIFICATION;
use netcheck::policy::rule::{Classes, Match, Term};
use netcheck::policy::{Choices, Policies, Profile};
use netcheck::reach::{Connections, Endpoint, Evaluator};
use netcheck::source::{FieldPath, SourceMap, strict};

mod common;

/// What the API server would refuse in those manifests and the other analyser reads on: mended, so that the rest of the
/// manifest counts.
const MENDED: [(&str, &str); 1] = [
    // Names are DNS subdomains, without underscores.
    ("name: use_common_labels_same_values", "name: use-common-labels-same-values"),
];

/// Ports per protocol.
type Ports = BTreeMap<Protocol, PortSet>;

/// An end of an expected connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Workload(String),
    Range(u32, u32),
    IngressController,
}

impl End {
    fn parse(text: &str) -> Self {
        if text == "{ingress-controller}" {
            return Self::IngressController;
        }
        match text.strip_suffix("[External]") {
            Some(range) => {
                let (first, last) = range.split_once('-').unwrap();
                let number = |t: &str| u32::from(t.parse::<Ipv4Addr>().unwrap());
                Self::Range(number(first), number(last))
            }
            None => Self::Workload(text.to_owned()),
        }
    }
}

struct Expected(BTreeMap<(End, End), Ports>);

impl Expected {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut map = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (ends, ports) = line.split_once(" : ").unwrap_or_else(|| panic!("{line}"));
            let (from, to) = ends.split_once(" => ").unwrap_or_else(|| panic!("{line}"));
            let previous = map.insert((End::parse(from.trim()), End::parse(to.trim())), ports_of(ports));
            assert!(previous.is_none(), "twice: {line}");
        }
        assert!(!map.is_empty(), "{} expects nothing", path.display());
        Self(map)
    }

    /// What is expected between a workload and another end. A range that covers an address counts for it.
    fn between(&self, from: &End, to: &End) -> Ports {
        let covers = |wanted: &End, listed: &End| match (wanted, listed) {
            (End::Range(at, _), End::Range(first, last)) => first <= at && at <= last,
            _ => wanted == listed,
        };
        let mut out = Ports::new();
        for (_, ports) in self.0.iter().filter(|((f, t), _)| covers(from, f) && covers(to, t)) {
            for (protocol, set) in ports {
                let entry = out.entry(*protocol).or_default();
                *entry = entry.union(set);
            }
        }
        out
    }
}

/// `All Connections`, or `TCP 80,8080-8090,UDP 53`.
fn ports_of(text: &str) -> Ports {
    if text.trim() == "All Connections" {
        return Protocol::WITH_PORTS.into_iter().map(|p| (p, PortSet::all())).collect();
    }
    let mut out = Ports::new();
    let mut protocol = None;
    for item in text.trim().split(',') {
        let ports = match item.split_once(' ') {
            Some((name, ports)) => {
                protocol = Protocol::parse(name);
                ports
            }
            None => item,
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let set = PortSet::range(first.parse().unwrap(), last.parse().unwrap());
        let entry = out.entry(protocol.unwrap_or_else(|| panic!("{text}"))).or_default();
        *entry = entry.union(&set);
    }
    out
}

fn allowed(found: &Connections) -> Ports {
    found.iter().filter(|(_, r)| !r.allowed.is_empty()).map(|(p, r)| (p, r.allowed.clone())).collect()
}

fn shown(ports: &Ports) -> String {
    let mut out = String::new();
    for (protocol, set) in ports {
        let _ = write!(out, "{protocol} {set} ");
    }
    if out.is_empty() { "none".to_owned() } else { out.trim_end().to_owned() }
}

/// A pod as the expected outputs name it: its workload, where a ReplicaSet stands for itself.
fn named(cluster: &Cluster, id: PodId) -> String {
    let pod = &cluster.pods[id.index()];
    let namespace = &cluster.namespaces[pod.namespace.index()].name;
    match &pod.workload {
        None => format!("{namespace}/{}[Pod]", pod.name),
        Some(w) => match (&*w.kind, pod.template, pod.labels.get("pod-template-hash")) {
            ("Deployment", false, Some(hash)) => format!("{namespace}/{}-{hash}[ReplicaSet]", w.name),
            ("", ..) => format!("{namespace}/{}[Pod]", w.name),
            _ => format!("{namespace}/{}[{}]", w.name, w.kind),
        },
    }
}

/// The first and last address of every stretch of addresses that neither side splits.
fn samples(policies: &Policies, expected: &Expected) -> Vec<Ipv4Addr> {
    let mut starts = BTreeSet::from([0u64]);
    for end in expected.0.keys().flat_map(|(a, b)| [a, b]) {
        if let End::Range(first, last) = end {
            starts.extend([u64::from(*first), u64::from(*last) + 1]);
        }
    }
    let lowered = [&policies.admin, &policies.network, &policies.baseline];
    let rules = lowered.iter().flat_map(|l| l.ingress.iter().chain(l.egress.iter())).flat_map(|p| &p.rules);
    for peers in rules.flat_map(|r| [&r.source, &r.destination]) {
        let Match::OneOf(peers) = peers else { continue };
        for term in peers.iter().flat_map(|p| &p.terms) {
            let Term::Cidr(blocks, _) = term else { continue };
            for net in blocks.iter().flat_map(|b| std::iter::once(&b.cidr).chain(&b.except)) {
                if let (IpAddr::V4(first), IpAddr::V4(last)) = (net.network(), net.broadcast()) {
                    starts.extend([u64::from(u32::from(first)), u64::from(u32::from(last)) + 1]);
                }
            }
        }
    }
    let starts: Vec<u64> = starts.into_iter().filter(|s| *s <= u64::from(u32::MAX)).collect();
    let mut out = Vec::new();
    for (index, first) in starts.iter().enumerate() {
        let last = starts.get(index + 1).map_or(u64::from(u32::MAX), |next| next - 1);
        // The ends of a stretch may be a pod's address, the middle hardly ever.
        out.extend([*first, first.midpoint(last), last].map(|a| Ipv4Addr::from(a as u32)));
    }
    out.dedup();
    out
}

/// The manifests of a case, read as a directory: not all its files are Kubernetes objects.
fn load(case: &Path) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(case.join("manifests")).unwrap() {
        let entry = entry.unwrap();
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        for (written, mended) in MENDED {
            text = text.replace(written, mended);
        }
        std::fs::write(folder.path().join(entry.file_name()), text).unwrap();
    }
    common::cluster_of(&[folder.path().to_owned()], false)
}

fn case(path: &Path, wrong: &mut Vec<String>) -> usize {
    let name = path.file_name().unwrap().to_string_lossy();
    let expected = Expected::read(&path.join("expected.txt"));
    let mut cluster = load(path);
    // Pods on their node's network are ordinary pods to the other analyser.
    cluster.pods.iter_mut().for_each(|p| p.host_network = false);
    let policies = Policies::lower(&cluster);
    // The other analyser never matches an ipBlock against a pod's address.
    let profile = Profile::settled("oracle", Choices { ip_block: Classes::OUTSIDE, ..SPECIFICATION });
    let evaluator = Evaluator::new(&cluster, &policies, &profile);

    let pods: Vec<PodId> = (0..cluster.pods.len()).map(|i| PodId(i as u32)).collect();
    let known: BTreeSet<String> = pods.iter().map(|p| named(&cluster, *p)).collect();
    for end in expected.0.keys().flat_map(|(a, b)| [a, b]) {
        if let End::Workload(workload) = end
            && !known.contains(workload)
        {
            wrong.push(format!("{name}: no pod is called {workload}"));
        }
    }

    let mut compared = 0;
    let mut compare = |from: (&End, &Endpoint, &str), to: (&End, &Endpoint, &str)| {
        compared += 1;
        let found = evaluator.connections(from.1, to.1);
        let wanted = expected.between(from.0, to.0);
        if allowed(&found) != wanted || found.any_unknown() {
            let unknown = if found.any_unknown() { " and some are unknown" } else { "" };
            let (found, wanted) = (shown(&allowed(&found)), shown(&wanted));
            wrong.push(format!("{name}: {} => {}: {found}{unknown}, expected {wanted}", from.2, to.2));
        }
    };
    let ends: Vec<(End, Endpoint, String)> = pods
        .iter()
        .map(|p| {
            let workload = named(&cluster, *p);
            (End::Workload(workload.clone()), Endpoint::pod(&cluster, *p, false), workload)
        })
        .collect();
    for from in &ends {
        for to in ends.iter().filter(|to| to.0 != from.0) {
            compare((&from.0, &from.1, &from.2), (&to.0, &to.1, &to.2));
        }
    }
    let taken: BTreeSet<IpAddr> = cluster.pods.iter().flat_map(|p| p.ips.iter().copied()).collect();
    for address in samples(&policies, &expected) {
        if taken.contains(&IpAddr::V4(address)) {
            continue;
        }
        let outside = Endpoint::address(&cluster, IpAddr::V4(address));
        let range = End::Range(u32::from(address), u32::from(address));
        let text = address.to_string();
        for pod in &ends {
            compare((&pod.0, &pod.1, &pod.2), (&range, &outside, &text));
            compare((&range, &outside, &text), (&pod.0, &pod.1, &pod.2));
        }
    }
    compared
}

fn family(name: &str, cases: usize) {
    let Some(root) = common::shared(&format!("oracle/cases/{name}")) else { return };
    let folders = common::folders(&root);
    assert_eq!(folders.len(), cases);
    let mut wrong = Vec::new();
    let mut compared = 0;
    for folder in &folders {
        let pairs = case(folder, &mut wrong);
        assert!(pairs > 0, "{} compares nothing", folder.display());
        compared += pairs;
    }
    eprintln!("{name}: {compared} pairs of {cases} cases, wrong {}", wrong.len());
    assert!(wrong.is_empty(), "{} of {compared} pairs disagree:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn network_policy_cases_agree() {
    family("networkpolicy", 32);
}

#[test]
fn admin_network_policy_cases_agree() {
    family("admin", 36);
}

/// A case's cluster as the other analyser sees it.
fn seen(path: &Path) -> (Cluster, Policies, Expected) {
    let mut cluster = load(path);
    cluster.pods.iter_mut().for_each(|p| p.host_network = false);
    let policies = Policies::lower(&cluster);
    (cluster, policies, Expected::read(&path.join("expected.txt")))
}

fn ports_in(l4: &L4) -> Ports {
    l4.iter().map(|(protocol, ports)| (protocol, ports.clone())).collect()
}

/// What a difference says of a pair: ports before and after; none where it says nothing.
fn told(diff: &Diff, from: &End, to: &End) -> Option<(Ports, Ports)> {
    let is = |party: &Party, end: &End| match (party, end) {
        (Party::Workload { namespace, kind, name }, End::Workload(text)) => {
            *text == format!("{namespace}/{name}[{kind}]")
        }
        (Party::Outside(ranges), End::Range(at, _)) => {
            let at = IpAddr::V4(Ipv4Addr::from(*at));
            ranges.iter().any(|(first, last)| *first <= at && at <= *last)
        }
        _ => false,
    };
    let mut found = diff.changes.iter().filter(|c| is(&c.client.party, from) && is(&c.server.party, to));
    let change = found.next()?;
    assert!(found.next().is_none(), "{from:?} => {to:?} is told twice");
    assert!(change.before.unknown.is_empty() && change.after.unknown.is_empty());
    assert!(!change.causes.is_empty(), "{from:?} => {to:?} has no cause");
    Some((ports_in(&change.before.allowed), ports_in(&change.after.allowed)))
}

/// The difference of two cases is the set difference of what is expected of them.
fn difference(before: &str, after: &str) {
    let Some(root) = common::shared("oracle/cases/networkpolicy") else { return };
    let (old, old_policies, old_expected) = seen(&root.join(before));
    let (new, new_policies, new_expected) = seen(&root.join(after));
    let profile = Profile::settled("oracle", Choices { ip_block: Classes::OUTSIDE, ..SPECIFICATION });
    let version = |cluster, policies| Version { cluster, policies, profile: &profile };
    let found = diff(version(&old, &old_policies), version(&new, &new_policies));
    assert!(found.added.is_empty() && found.removed.is_empty(), "{:?} {:?}", found.added, found.removed);

    let workloads = |cluster: &Cluster| -> BTreeSet<End> {
        (0..cluster.pods.len()).map(|i| End::Workload(named(cluster, PodId(i as u32)))).collect()
    };
    let ends = workloads(&old);
    assert_eq!(ends, workloads(&new));
    let mut addresses = samples(&old_policies, &old_expected);
    addresses.extend(samples(&new_policies, &new_expected));
    let taken: BTreeSet<IpAddr> = old.pods.iter().chain(&new.pods).flat_map(|p| p.ips.iter().copied()).collect();
    addresses.retain(|a| !taken.contains(&IpAddr::V4(*a)));
    let outside: Vec<End> = addresses.iter().map(|a| End::Range(u32::from(*a), u32::from(*a))).collect();

    let (mut differ, mut pairs) = (0, 0);
    let far = |e: &&End| !matches!(e, End::Workload(_));
    for from in ends.iter().chain(&outside) {
        for to in ends.iter().chain(&outside).filter(|to| *to != from && !(far(&from) && far(to))) {
            pairs += 1;
            let expected = (old_expected.between(from, to), new_expected.between(from, to));
            let expected = (expected.0 != expected.1).then_some(expected);
            differ += usize::from(expected.is_some());
            assert_eq!(told(&found, from, to), expected, "{before} to {after}: {from:?} => {to:?}");
        }
    }
    eprintln!("{before} to {after}: {differ} of {pairs} pairs differ");
    assert!(differ > 0 || before == after, "the cases don't differ");
}

#[test]
fn differences_are_those_of_the_expected_connections() {
    let cases = [
        "semanticDiff-same-topologies-old2",
        "semanticDiff-same-topologies-old3",
        "semanticDiff-same-topologies-new1",
        "semanticDiff-same-topologies-new2",
    ];
    for before in cases {
        for after in cases.iter().filter(|c| **c != before) {
            difference(before, after);
        }
    }
    difference("test_with_named_ports", "test_with_named_ports_changed_netpol");
    difference("test_with_named_ports", "test_with_named_ports_changed_netpol_2");
    difference("test_with_named_ports_changed_netpol", "test_with_named_ports");
    difference("test_with_named_ports", "test_with_named_ports");
}

/// How an expectation names a pod, so that nothing else is meant.
fn meant(cluster: &Cluster, id: PodId) -> String {
    let pod = &cluster.pods[id.index()];
    let namespace = &cluster.namespaces[pod.namespace.index()].name;
    match (&pod.workload, pod.template) {
        (Some(workload), true) => format!("{namespace}/{}/{}", workload.kind.to_ascii_lowercase(), workload.name),
        _ => format!("{namespace}/pod/{}", pod.name),
    }
}

/// Ports as an expectation lists them.
fn listed(ports: &Ports) -> String {
    let mut out = Vec::new();
    for (protocol, set) in ports {
        let protocol = protocol.to_string().to_ascii_lowercase();
        out.extend(set.intervals().iter().map(|(first, last)| format!("\"{first}-{last}/{protocol}\"")));
    }
    out.join(", ")
}

/// The expected connections of a case as a file of expectations, which must all be met; each turned around must not be.
fn expectations(path: &Path) -> usize {
    let name = path.file_name().unwrap().to_string_lossy();
    let (cluster, policies, expected) = seen(path);
    let profile = Profile::settled("oracle", Choices { ip_block: Classes::OUTSIDE, ..SPECIFICATION });
    let evaluator = Evaluator::new(&cluster, &policies, &profile);
    let mut ends: Vec<(End, String)> = (0..cluster.pods.len())
        .map(|i| PodId(i as u32))
        .filter(|id| cluster.pods[id.index()].origin.is_some())
        .map(|id| (End::Workload(named(&cluster, id)), meant(&cluster, id)))
        .collect();
    let taken: BTreeSet<IpAddr> = cluster.pods.iter().flat_map(|p| p.ips.iter().copied()).collect();
    for address in samples(&policies, &expected) {
        if !taken.contains(&IpAddr::V4(address)) {
            let at = u32::from(address);
            ends.push((End::Range(at, at), format!("ip:{address}")));
        }
    }
    let all = L4::all();
    let (mut met, mut turned) = (String::new(), String::new());
    for (from, client) in &ends {
        for (to, server) in ends.iter().filter(|(to, _)| to != from) {
            if matches!((from, to), (End::Range(..), End::Range(..))) {
                continue;
            }
            let open = expected.between(from, to);
            let l4 = open.iter().fold(L4::default(), |l4, (p, set)| l4.or(&L4::one(*p, set.clone())));
            let closed = ports_in(&all.minus(&l4));
            for (ports, is, is_not) in [(&open, "allow", "deny"), (&closed, "deny", "allow")] {
                if ports.values().any(|set| !set.is_empty()) {
                    let rest = format!("{{from: \"{client}\", to: \"{server}\", ports: [{}]}}", listed(ports));
                    let _ = writeln!(met, "  - {is}: {rest}");
                    let _ = writeln!(turned, "  - {is_not}: {rest}");
                }
            }
        }
    }
    let outcomes = |expect: &str| -> Vec<(Outcome, String)> {
        let text = format!("apiVersion: netcheck/v1alpha1\nkind: ConnectivityTest\nexpect:\n{expect}");
        let read = strict::read::<ConnectivityTest>("oracle.yaml", &text, &mut SourceMap::default());
        let (_, test) = read.unwrap_or_else(|e| panic!("{name}: {e:?}")).remove(0);
        let answers = answer(&evaluator, "default", &test.expect, None, &FieldPath::root(), &Gaps::default());
        answers.into_iter().map(|a| (a.outcome, format!("{}: {:?}", a.name, a.facts))).collect()
    };
    let good = outcomes(&met);
    for (outcome, what) in &good {
        assert_eq!(*outcome, Outcome::Met, "{name}: {what}");
    }
    for (outcome, what) in outcomes(&turned) {
        assert_eq!(outcome, Outcome::Failed, "{name}, turned around: {what}");
    }
    good.len()
}

#[test]
fn expectations_of_the_expected_connections_are_met() {
    for family in ["networkpolicy", "admin"] {
        let Some(root) = common::shared(&format!("oracle/cases/{family}")) else { return };
        let held: usize = common::folders(&root).iter().map(|case| expectations(case)).sum();
        eprintln!("{family}: {held} expectations");
        assert!(held > 1000, "{family}: {held} expectations");
    }
}
