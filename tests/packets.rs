//! Packets recorded on a real cluster: every dial must be answered as the packets did.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use netcheck::model::query::{Client, PortSpec, Target};
use netcheck::model::{Cluster, Protocol};
use netcheck::policy::{Policies, Profile};
use netcheck::reach::{CheckOptions, Evaluator, Source, Verdict};

mod common;

type Key = (String, String, String, String, String);

struct Row {
    client: String,
    kind: String,
    target: String,
    ip: String,
    port: u16,
    protocol: Protocol,
    result: String,
    mark: String,
}

fn rows(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("client,kind,target,ip,port,protocol,result,runs,open,total,mark"));
    lines
        .map(|line| {
            let f: Vec<&str> = line.split(',').collect();
            Row {
                client: f[0].into(),
                kind: f[1].into(),
                target: f[2].into(),
                ip: f[3].into(),
                port: f[4].parse().unwrap(),
                protocol: Protocol::parse(f[5]).unwrap(),
                result: f[6].into(),
                mark: f[10].into(),
            }
        })
        .collect()
}

fn disputed(path: &Path) -> HashSet<Key> {
    let Ok(text) = std::fs::read_to_string(path) else { return HashSet::new() };
    text.lines()
        .skip(1)
        .map(|line| {
            let f: Vec<&str> = line.split(',').collect();
            (f[0].into(), f[1].into(), f[2].into(), f[4].into(), f[5].into())
        })
        .collect()
}

fn answer(cluster: &Cluster, evaluator: &Evaluator<'_>, row: &Row) -> Verdict {
    let pod = |name: &str| {
        let (namespace, name) = name.split_once('/').unwrap();
        cluster.pod(cluster.namespace(namespace).unwrap(), name).unwrap()
    };
    let source = Source::of(&Client::Pods(vec![pod(&row.client)]))[0];
    let target = match row.kind.as_str() {
        "pod" => Target::Pods(vec![pod(&row.target)]),
        "service" => {
            let (namespace, name) = row.target.split_once('/').unwrap();
            Target::Service(cluster.service(cluster.namespace(namespace).unwrap(), name).unwrap())
        }
        "ip" => match cluster.node_by_ip(row.ip.parse().unwrap()) {
            Some(node) => Target::Node(node),
            None => Target::Address(row.ip.parse().unwrap()),
        },
        other => panic!("kind {other}"),
    };
    let options = CheckOptions { dns: false };
    evaluator.check(source, &target, &PortSpec::Number(row.port), row.protocol, options).verdict
}

/// What a verdict makes packets do. Policies drop; a Service without endpoints refuses; a finished pod is silent.
fn agrees(verdict: Verdict, result: &str, mark: &str) -> bool {
    match result {
        "open" => verdict == Verdict::Reachable,
        "mixed" => verdict == Verdict::Partial,
        "timeout" if mark.contains("completed-pod") => matches!(verdict, Verdict::Unreachable | Verdict::Blocked),
        "timeout" => verdict == Verdict::Blocked,
        "refused" => matches!(verdict, Verdict::Unreachable | Verdict::Blocked),
        other => panic!("result {other}"),
    }
}

fn family(name: &str) {
    let Some(root) = common::shared(&format!("real/reach/{name}")) else { return };
    let named: Profile = "kube-network-policies".parse().unwrap();
    let generic = Profile::generic();
    let (mut dials, mut unknown, mut wrong, mut generic_unknown) = (0usize, 0usize, Vec::new(), 0usize);
    let mut by_result: BTreeMap<String, usize> = BTreeMap::new();
    for case in common::folders(&root) {
        let cluster = common::cluster_of(&[case.join("cluster.json")], false);
        let policies = Policies::lower(&cluster);
        let disputed = disputed(&case.join("disputed.csv"));
        let exact = Evaluator::new(&cluster, &policies, &named);
        let loose = Evaluator::new(&cluster, &policies, &generic);
        for row in rows(&case.join("truth.csv")) {
            let key = (
                row.client.clone(),
                row.kind.clone(),
                row.target.clone(),
                row.port.to_string(),
                row.protocol.to_string(),
            );
            if disputed.contains(&key) {
                continue;
            }
            dials += 1;
            *by_result.entry(row.result.clone()).or_default() += 1;
            let mut report = |profile: &str, verdict: Verdict| {
                wrong.push(format!(
                    "{} {profile}: {} -> {} {}:{}/{} packets {} ({}), answered {}",
                    case.file_name().unwrap().to_string_lossy(),
                    row.client,
                    row.kind,
                    row.target,
                    row.port,
                    row.protocol,
                    row.result,
                    row.mark,
                    verdict.name()
                ));
            };
            let verdict = answer(&cluster, &exact, &row);
            // Dialled by address, where only a domainNames rule could allow it: no profile can know.
            let unknowable = verdict == Verdict::Unknown;
            if verdict == Verdict::Unknown {
                unknown += 1;
            } else if !agrees(verdict, &row.result, &row.mark) {
                report("kube-network-policies", verdict);
            }
            let verdict = answer(&cluster, &loose, &row);
            if verdict == Verdict::Unknown && (unknowable || !row.mark.is_empty()) {
                generic_unknown += 1;
            } else if !agrees(verdict, &row.result, &row.mark) {
                report("generic", verdict);
            }
        }
    }
    eprintln!(
        "{name}: {dials} dials {by_result:?}, unknown {unknown} (generic {generic_unknown}), wrong {}",
        wrong.len()
    );
    assert!(dials > 10_000, "only {dials} dials were read");
    assert!(
        wrong.is_empty(),
        "{} of {dials} answers are wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
    assert!(unknown * 100 <= dials, "{unknown} of {dials} are unknown under the plugin's own profile");
}

#[test]
fn network_policy_packets_are_answered_as_they_went() {
    family("np");
}

#[test]
fn cluster_network_policy_packets_are_answered_as_they_went() {
    family("cnp");
}

#[test]
fn admin_network_policy_packets_are_answered_as_they_went() {
    family("anp");
}
