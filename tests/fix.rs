//! Fixes, applied and judged from outside: the patch makes the check pass, and opens and closes what was announced.

use std::collections::BTreeMap;
use std::path::Path;

use netcheck::analysis::explain::{Mismatch, Stretch, explain};
use netcheck::analysis::fix::{Change, EditTarget, Fix, Proposal, Question, propose};
use netcheck::model::query::{Client, PortSpec, Target, TargetSpec};
use netcheck::model::{BuildOptions, Cluster, Phase, PodId, PortSet, Protocol};
use netcheck::policy::rule::Direction;
use netcheck::policy::{Policies, Profile};
use netcheck::reach::{Check, CheckOptions, Endpoint, Evaluator, Source, Verdict};
use netcheck::source::{Loader, Options, SourceMap};
use serde_json::Value;

mod common;

struct Case {
    /// Every object, as one list.
    list: Value,
    cluster: Cluster,
    policies: Policies,
    sources: SourceMap,
    profile: Profile,
    assume_dns: bool,
}

fn load(texts: &[(&str, String)], assume_dns: bool) -> (Cluster, SourceMap) {
    let mut loader = Loader::new(Options::default());
    for (name, text) in texts {
        loader.text(name, text);
    }
    let input = loader.finish().unwrap_or_else(|e| panic!("{e}: {:?} {texts:?}", e.diagnostics));
    let build = BuildOptions { assume_dns, ..BuildOptions::default() };
    (Cluster::build(input.objects, &build).unwrap_or_else(|e| panic!("{e:?}")), input.sources)
}

impl Case {
    fn list(list: Value, assume_dns: bool) -> Self {
        let (cluster, sources) = load(&[("cluster.json", list.to_string())], assume_dns);
        let policies = Policies::lower(&cluster);
        let profile = "kube-network-policies".parse().unwrap();
        Self { list, cluster, policies, sources, profile, assume_dns }
    }

    fn file(path: &Path, assume_dns: bool) -> Self {
        Self::list(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap(), assume_dns)
    }

    fn text(text: &str) -> Self {
        let items: Vec<Value> = text
            .split("\n---\n")
            .filter(|d| !d.trim().is_empty())
            .map(|d| serde_saphyr::from_str(d).unwrap())
            .collect();
        Self::list(serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}), true)
    }

    fn under(self, plugin: &str) -> Self {
        Self { profile: plugin.parse().unwrap(), ..self }
    }

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(&self.cluster, &self.policies, &self.profile)
    }

    fn propose(&self, question: &Question<'_>) -> Proposal {
        propose(&self.evaluator(), &self.profile, &self.sources, question)
    }

    fn pod(&self, name: &str) -> PodId {
        let (namespace, name) = name.split_once('/').unwrap();
        self.cluster.pod(self.cluster.namespace(namespace).unwrap(), name).unwrap()
    }

    /// The case with a fix applied: by its JSON patch, checked against the whole object, and read again from YAML.
    fn fixed(&self, fix: &Fix) -> Self {
        let mut list = self.list.clone();
        let items = list["items"].as_array_mut().unwrap();
        let mut yaml = Vec::new();
        for edit in &fix.edits {
            if let EditTarget::Existing { patch, undo, .. } = &edit.target {
                let index = items
                    .iter()
                    .position(|i| {
                        i["kind"] == edit.kind.name()
                            && i["metadata"]["name"] == edit.name.as_str()
                            && edit.namespace.as_deref().is_none_or(|n| {
                                i["metadata"].get("namespace").and_then(Value::as_str).unwrap_or("default") == n
                            })
                    })
                    .unwrap();
                let before = items.remove(index);
                let mut after = before.clone();
                rfc6902(&mut after, &patch.to_json());
                assert_eq!(after, edit.after, "the patch and the whole object differ");
                rfc6902(&mut after, &undo.to_json());
                assert_eq!(after, before, "the undo does not take it back");
            }
            yaml.push(edit.object_yaml());
        }
        let mut texts = vec![("cluster.json", list.to_string())];
        texts.extend(yaml.iter().map(|y| ("edit.yaml", y.clone())));
        let (cluster, sources) = load(&texts, self.assume_dns);
        assert_eq!(cluster.pods.len(), self.cluster.pods.len());
        let policies = Policies::lower(&cluster);
        Self { list, cluster, policies, sources, profile: self.profile.clone(), assume_dns: self.assume_dns }
    }
}

/// JSON patches, read the plain way.
fn rfc6902(object: &mut Value, patch: &Value) {
    for op in patch.as_array().unwrap() {
        let path = op["path"].as_str().unwrap();
        let (parent, last) = path.rsplit_once('/').unwrap();
        let last = last.replace("~1", "/").replace("~0", "~");
        match object.pointer_mut(parent).unwrap() {
            Value::Object(map) => match op["op"].as_str().unwrap() {
                "remove" => assert!(map.remove(&last).is_some()),
                "replace" => assert!(map.insert(last, op["value"].clone()).is_some()),
                _ => {
                    map.insert(last, op["value"].clone());
                }
            },
            Value::Array(items) => {
                let at: usize = last.parse().unwrap();
                match op["op"].as_str().unwrap() {
                    "remove" => {
                        items.remove(at);
                    }
                    "replace" => items[at] = op["value"].clone(),
                    _ => items.insert(at, op["value"].clone()),
                }
            }
            other => panic!("{path} in {other}"),
        }
    }
}

/// Everything that can be an end: living pods, nodes, some addresses outside.
fn ends(cluster: &Cluster, outside: &[&str]) -> Vec<Endpoint> {
    let pods = (0..cluster.pods.len() as u32).map(PodId);
    let living = pods.filter(|p| cluster.pods[p.index()].phase != Phase::Finished);
    let nodes = (0..cluster.nodes.len() as u32).map(netcheck::model::NodeId);
    living
        .map(|p| Endpoint::pod(cluster, p, false))
        .chain(nodes.map(|n| Endpoint::node(cluster, n, false)))
        .chain(outside.iter().map(|ip| Endpoint::address(cluster, ip.parse().unwrap())))
        .collect()
}

const OUTSIDE: [&str; 8] =
    ["192.0.2.1", "203.0.113.10", "203.0.113.1", "10.99.0.1", "10.99.0.20", "10.96.0.1", "1.1.1.1", "255.0.0.1"];

type Pairs = BTreeMap<(usize, usize), BTreeMap<Protocol, (PortSet, PortSet)>>;

/// All pairs: allowed, and unknown or allowed.
fn all_pairs(case: &Case) -> Pairs {
    let evaluator = case.evaluator();
    let ends = ends(&case.cluster, &OUTSIDE);
    let mut out = Pairs::new();
    for (i, client) in ends.iter().enumerate() {
        for (j, server) in ends.iter().enumerate() {
            if i != j && (client.as_pod().is_some() || server.as_pod().is_some()) {
                let all = evaluator.connections(client, server);
                let ports = all.iter().map(|(p, r)| (p, (r.allowed.clone(), r.allowed.union(&r.unknown))));
                out.insert((i, j), ports.collect());
            }
        }
    }
    out
}

/// Opened and closed are exactly what was announced, over all pairs.
fn announced(case: &Case, before: &Pairs, fixed: &Case, fix: &Fix) {
    assert!(!fix.effects.cut_short);
    let after = all_pairs(fixed);
    let ends = ends(&case.cluster, &OUTSIDE);
    let said = |changes: &[Change], i: usize, j: usize, protocol: Protocol| {
        changes
            .iter()
            .filter(|c| c.client.contains(&ends[i]) && c.server.contains(&ends[j]))
            .flat_map(|c| c.ports.iter().filter(|(p, _)| *p == protocol).map(|(_, ports)| ports.clone()))
            .fold(PortSet::empty(), |all, ports| all.union(&ports))
    };
    for ((i, j), old) in before {
        let new = &after[&(*i, *j)];
        for protocol in Protocol::WITH_PORTS {
            let ((old, maybe_old), (new, maybe_new)) = (&old[&protocol], &new[&protocol]);
            let opened = new.difference(old).union(&maybe_new.difference(maybe_old));
            let closed = old.difference(new).union(&maybe_old.difference(maybe_new));
            let what = || {
                let (from, to) = (&ends[*i], &ends[*j]);
                format!("{from:?} to {to:?} {protocol}: {:#?}", fix.edits)
            };
            assert_eq!(opened, said(&fix.effects.opened, *i, *j, protocol), "opened {}", what());
            assert_eq!(closed, said(&fix.effects.closed, *i, *j, protocol), "closed {}", what());
        }
    }
}

/// Some blocked rows of each scenario of a family under a plugin: how many were asked, have a fix, how many fixes were applied,
/// and how many an administrator decides. Of the scenarios those from the first on, and then each so many after.
fn family(name: &str, plugin: &str, rows: usize, scenarios: (usize, usize)) -> Option<(usize, usize, usize, usize)> {
    let root = common::shared(&format!("real/reach/{name}"))?;
    let (mut asked, mut fixed, mut theirs, mut fixes, mut none) = (0, 0, 0, 0, Vec::new());
    for folder in common::folders(&root).into_iter().skip(scenarios.0).step_by(scenarios.1) {
        let case = Case::file(&folder.join("cluster.json"), false).under(plugin);
        let evaluator = case.evaluator();
        let before = all_pairs(&case);
        let text = std::fs::read_to_string(folder.join("truth.csv")).unwrap();
        let blocked: Vec<&str> = text
            .lines()
            .skip(1)
            .filter(|l| matches!(l.split(',').nth(6), Some("timeout" | "mixed")) && !l.contains("completed-pod"))
            .collect();
        // A few of each scenario, spread over its rows.
        let step = (blocked.len() / rows).max(1);
        for line in blocked.iter().skip(step / 2).step_by(step) {
            let f: Vec<&str> = line.split(',').collect();
            let target = match f[1] {
                "pod" => Target::Pods(vec![case.pod(f[2])]),
                "service" => {
                    let (namespace, name) = f[2].split_once('/').unwrap();
                    let namespace = case.cluster.namespace(namespace).unwrap();
                    Target::Service(case.cluster.service(namespace, name).unwrap())
                }
                _ => match case.cluster.node_by_ip(f[3].parse().unwrap()) {
                    Some(node) => Target::Node(node),
                    None => Target::Address(f[3].parse().unwrap()),
                },
            };
            let question = Question {
                source: Source::of(&Client::Pods(vec![case.pod(f[0])]))[0],
                target: &target,
                port: &PortSpec::Number(f[4].parse().unwrap()),
                protocol: Protocol::parse(f[5]).unwrap(),
                options: CheckOptions { dns: false },
            };
            let check = ask(&evaluator, &question);
            if !matches!(check.verdict, Verdict::Blocked | Verdict::Partial) {
                continue;
            }
            asked += 1;
            let proposal = case.propose(&question);
            fixed += usize::from(!proposal.fixes.is_empty());
            theirs += usize::from(!proposal.not_yours.is_empty());
            assert_eq!(
                proposal.unsettled,
                !case.profile.is_settled() && proposal.fixes.is_empty() && proposal.not_yours.is_empty()
            );
            if proposal.fixes.is_empty() && proposal.not_yours.is_empty() && !proposal.unsettled {
                none.push(format!("{}: {line}", folder.file_name().unwrap().to_string_lossy()));
            }
            for fix in &proposal.fixes {
                fixes += 1;
                let after = case.fixed(fix);
                let verdict = ask(&after.evaluator(), &question).verdict;
                assert_eq!(verdict, Verdict::Reachable, "{}: {line}: {:#?}", folder.display(), fix.edits);
                announced(&case, &before, &after, fix);
            }
        }
    }
    eprintln!(
        "{name} under {plugin}: {asked} blocked, {fixed} with a fix, {fixes} fixes applied, {theirs} decided by an administrator"
    );
    assert!(none.is_empty(), "neither a fix nor whose it is:\n{}", none.join("\n"));
    Some((asked, fixed, fixes, theirs))
}

fn ask(evaluator: &Evaluator<'_>, q: &Question<'_>) -> Check {
    evaluator.check(q.source, q.target, q.port, q.protocol, q.options)
}

#[test]
fn every_fix_of_a_network_policy_block_works_and_opens_what_it_says() {
    if let Some((asked, fixed, ..)) = family("np", "kube-network-policies", 3, (0, 1)) {
        assert!(asked > 150, "{asked}");
        assert_eq!(fixed, asked);
    }
}

#[test]
fn every_fix_works_and_opens_what_it_says_under_every_plugin() {
    let plugins = ["generic", "antrea", "aws-vpc-cni", "calico", "cilium", "kube-router", "ovn-kubernetes"];
    // Each plugin has a part of the scenarios, `generic` and the last have the same.
    for (index, plugin) in plugins.into_iter().enumerate() {
        for name in ["np", "cnp", "anp"] {
            if let Some((asked, fixed, fixes, theirs)) = family(name, plugin, 1, (index % 6, 6)) {
                assert!(
                    asked > 0 && fixes >= fixed && fixed + theirs > 0,
                    "{plugin}: {name}: {asked} {fixed} {theirs}"
                );
                // What a rule makes of a pod on its node's network differs between plugins, and for Cilium no NetworkPolicy
                // names a node at all.
                let sure = if matches!(plugin, "generic" | "cilium") { asked - asked / 4 } else { asked };
                assert!(name != "np" || (fixed >= sure && theirs == 0), "{plugin}: {asked} {fixed} {theirs}");
            }
        }
    }
}

#[test]
fn every_fix_under_cluster_network_policies_works_and_opens_what_it_says() {
    if let Some((asked, fixed, _, theirs)) = family("cnp", "kube-network-policies", 3, (0, 1)) {
        assert!(asked > 60 && theirs > 10 && fixed > 30, "{asked} {fixed} {theirs}");
    }
}

#[test]
fn every_fix_under_admin_network_policies_works_and_opens_what_it_says() {
    if let Some((asked, fixed, _, theirs)) = family("anp", "kube-network-policies", 3, (0, 1)) {
        assert!(asked > 40 && theirs > 5 && fixed > 20, "{asked} {fixed} {theirs}");
    }
}

/// Pods that crash because of a policy: the culprit is named, and there is a fix.
#[test]
fn the_policy_behind_each_recorded_crash_is_named_and_fixed() {
    let Some(root) = common::shared("real/crash") else { return };
    let mut seen = 0;
    for folder in common::folders(&root) {
        let answer: Value =
            serde_saphyr::from_str(&std::fs::read_to_string(folder.join("answer.yaml")).unwrap()).unwrap();
        if answer["network"] != true {
            continue;
        }
        seen += 1;
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let case = Case::file(&folder.join("cluster.json"), false);
        let evaluator = case.evaluator();
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
        let (namespace, _) = answer["pod"].as_str().unwrap().split_once('/').unwrap();
        let spec: TargetSpec = text("target").parse().unwrap();
        let target = case.cluster.resolve_target(&spec, namespace).unwrap_or_else(|e| panic!("{name}: {e}")).what;
        // Hosts outside are recorded by a name; what is known of their address stands in the policies alone.
        let target = match target {
            Target::Name(_) if text("direction") != "dns" => Target::Address("203.0.113.10".parse().unwrap()),
            other => other,
        };
        let question = Question {
            source: Source::of(&Client::Pods(vec![case.pod(&text("pod"))]))[0],
            target: &target,
            port: spec.port.as_ref().unwrap(),
            protocol: spec.protocol,
            options: CheckOptions { dns: true },
        };
        // The server of these may crash or be gone too: the policies are asked for whatever stands behind the name.
        let check = ask(&evaluator, &question);
        assert_eq!(check.verdict, Verdict::Blocked, "{name}: {check:?}");
        let explanations = explain(&evaluator, &check);
        let (stretch, direction) = match text("direction").as_str() {
            "dns" => (Stretch::Dns, Direction::Egress),
            "egress" => (Stretch::Target, Direction::Egress),
            _ => (Stretch::Target, Direction::Ingress),
        };
        let found = explanations
            .iter()
            .find(|e| (e.stretch, e.direction) == (stretch, direction))
            .unwrap_or_else(|| panic!("{name}: {explanations:#?}"));
        let culprit = text("culprit");
        assert!(found.culprits.iter().any(|c| c.reference == culprit), "{name}: {:?}", found.culprits);
        // The recorded field is the deciding place, the place of a near miss, or the list that lacks a rule.
        let recorded = text("rule_path");
        let field = recorded.split([' ', ';']).next().unwrap();
        let places: Vec<String> = found
            .culprits
            .iter()
            .map(|c| c.path.to_string())
            .chain(found.near_misses.iter().flat_map(|n| n.missed.iter().map(|m| m.path.to_string())))
            .collect();
        let list_lacks = matches!(field, "spec.egress" | "spec.ingress");
        assert!(list_lacks || places.iter().any(|p| p.starts_with(field)), "{name}: {field} not in {places:?}");

        let proposal = case.propose(&question);
        assert!(!proposal.fixes.is_empty(), "{name}");
        let before = all_pairs(&case);
        for fix in &proposal.fixes {
            let after = case.fixed(fix);
            assert_eq!(ask(&after.evaluator(), &question).verdict, Verdict::Reachable, "{name}: {:?}", fix.edits);
            announced(&case, &before, &after, fix);
        }
        let best = &proposal.fixes[0];
        assert_eq!(best.needs_admin, name == "cnp-admin-deny", "{name}");
        // Only a correction takes something away: what was written by mistake.
        let corrects = best.edits.iter().all(|e| e.steps.iter().all(|s| s.starts_with("correct ")));
        assert!(best.effects.closed.is_empty() || corrects, "{name}");
        // A slip in a field is corrected in that field.
        let slip = found.near_misses.iter().find(|n| {
            n.missed.len() == 1
                && n.missed[0].path.to_string().starts_with(field)
                && matches!(
                    n.missed[0].mismatch,
                    Mismatch::PodLabel { similar: Some(_), .. }
                        | Mismatch::NamedPort { .. }
                        | Mismatch::Port { is_service_port: true, .. }
                )
        });
        if slip.is_some() && explanations.len() == 1 {
            assert!(
                best.edits[0].steps[0].starts_with(&format!("correct {field}")),
                "{name}: {:?}",
                best.edits[0].steps
            );
        }
        let steps: Vec<_> = best.edits.iter().map(|e| format!("{}: {}", e.reference(), e.steps.join("; "))).collect();
        let also = best.effects.opened.iter().filter(|c| !c.asked).count();
        eprintln!("{name}: {} ({also} more opened)", steps.join(" + "));
    }
    assert!(seen > 20, "{seen}");
}

const PODS: &str = "apiVersion: v1
kind: Namespace
metadata: {name: web, labels: {team: front}}
---
apiVersion: v1
kind: Pod
metadata: {name: client-x7, namespace: web, labels: {app: client, pod-template-hash: x7}}
spec: {containers: [{name: a}]}
status: {podIP: 10.244.1.5, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: web, labels: {app: other}}
spec: {containers: [{name: a}]}
status: {podIP: 10.244.1.6, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: data, labels: {app: db, role: database, statefulset.kubernetes.io/pod-name: db-0}}
spec: {containers: [{name: a, ports: [{name: sql, containerPort: 5432}]}]}
status: {podIP: 10.244.2.5, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: 10.96.0.7, selector: {app: db}, ports: [{port: 80, targetPort: 5432}]}
";

/// What is proposed for a blocked check, each confirmed from outside.
fn proposed(policies: &str, client: &str, target: &str, dns: bool) -> (Case, Proposal) {
    let case = Case::text(&format!("{PODS}---\n{}", policies.trim_start()));
    let spec: TargetSpec = target.parse().unwrap();
    let source = Source::of(&case.cluster.resolve_client(&client.parse().unwrap(), "web").unwrap().what)[0];
    let target = case.cluster.resolve_target(&spec, "web").unwrap().what;
    let port = spec.port.clone().unwrap();
    let options = CheckOptions { dns };
    let question = Question { source, target: &target, port: &port, protocol: spec.protocol, options };
    let verdict = ask(&case.evaluator(), &question).verdict;
    assert!(matches!(verdict, Verdict::Blocked | Verdict::Partial), "{verdict:?}");
    let proposal = case.propose(&question);
    let before = all_pairs(&case);
    for fix in &proposal.fixes {
        let after = case.fixed(fix);
        assert_eq!(ask(&after.evaluator(), &question).verdict, Verdict::Reachable, "{:#?}", fix.edits);
        announced(&case, &before, &after, fix);
    }
    (case, proposal)
}

fn policy(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

fn steps(fix: &Fix) -> Vec<String> {
    fix.edits.iter().flat_map(|e| e.steps.clone()).collect()
}

fn best(policies: &str) -> (String, Value) {
    let (_, proposal) = proposed(policies, "client-x7", "data/db:80", false);
    let fix = &proposal.fixes[0];
    assert_eq!(fix.edits.len(), 1);
    (steps(fix).join("; "), fix.edits[0].after.clone())
}

#[test]
fn slips_are_corrected_where_they_stand() {
    let ingress = |rules: &str| {
        policy(
            "db",
            "data",
            &format!("{{podSelector: {{matchLabels: {{app: db}}}}, policyTypes: [Ingress], ingress: {rules}}}"),
        )
    };
    let cases = [
        (
            "[{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: cleint}}}], ports: [{port: 5432}]}]",
            "correct spec.ingress[0].from[0].podSelector.matchLabels.app from cleint to client",
        ),
        (
            "[{from: [{namespaceSelector: {matchLabels: {tema: front}}}], ports: [{port: 5432}]}]",
            "correct spec.ingress[0].from[0].namespaceSelector.matchLabels.tema from tema=front to team=front",
        ),
        (
            "[{from: [{namespaceSelector: {matchLabels: {team: front}}}], ports: [{port: 80}]}]",
            "correct spec.ingress[0].ports[0].port from 80 to 5432",
        ),
        (
            "[{from: [{namespaceSelector: {matchLabels: {team: front}}}], ports: [{port: postgres}]}]",
            "correct spec.ingress[0].ports[0].port from postgres to sql",
        ),
        (
            "[{from: [{namespaceSelector: {matchLabels: {team: front}}}], ports: [{port: 5432, protocol: UDP}]}]",
            "correct spec.ingress[0].ports[0].protocol from UDP to TCP",
        ),
        (
            "[{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 5432}]}]",
            "name namespace web in spec.ingress[0].from[0]",
        ),
        (
            "[{from: [{namespaceSelector: {}, podSelector: {matchExpressions: [{key: app, operator: In, values: [clients, other]}]}}]}]",
            "add client to spec.ingress[0].from[0].podSelector.matchExpressions[0].values",
        ),
    ];
    for (rules, expected) in cases {
        assert_eq!(best(&ingress(rules)).0, expected, "{rules}");
    }
}

#[test]
fn a_selector_that_somebody_uses_is_not_taken_away() {
    let rules = "{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}";
    let policies = policy("same-namespace", "data", rules);
    let (_, proposal) = proposed(&policies, "client-x7", "data/db:80", false);
    for fix in &proposal.fixes {
        assert!(fix.effects.closed.is_empty(), "{:?}", steps(fix));
    }
    // The peer that is added is no wider than the client's workload, and no label of a roll-out is in it.
    let peer = &proposal.fixes[0].edits[0].after["spec"]["ingress"];
    let text = peer.to_string();
    assert!(
        text.contains(r#"{"kubernetes.io/metadata.name":"web"}"#) && text.contains(r#"{"app":"client"}"#),
        "{text}"
    );
    assert!(!text.contains("pod-template-hash"), "{text}");
}

#[test]
fn a_rule_or_a_policy_is_added_where_none_comes_near() {
    let (said, after) = best(&policy("db", "data", "{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}"));
    assert_eq!(said, "add a rule for web/client-x7 to spec.ingress");
    assert_eq!(after["spec"]["ingress"][0]["ports"], serde_json::json!([{"protocol": "TCP", "port": 5432}]));

    let (said, after) = best(&policy("deny", "data", "{podSelector: {}, policyTypes: [Ingress]}"));
    assert_eq!(said, "add a NetworkPolicy that allows ingress of web/client-x7");
    assert_eq!(after["spec"]["podSelector"], serde_json::json!({"matchLabels": {"app": "db"}}));
    assert_eq!(after["metadata"]["name"], "db-0-allow-from-client-x7");
}

#[test]
fn a_new_policy_has_a_name_of_its_own() {
    let deny = policy("deny", "data", "{podSelector: {}, policyTypes: [Ingress]}");
    let taken =
        policy("db-0-allow-from-client-x7", "data", "{podSelector: {matchLabels: {app: x}}, policyTypes: [Ingress]}");
    let (_, after) = best(&format!("{deny}---\n{taken}"));
    assert_eq!(after["metadata"]["name"], "db-0-allow-from-client-x7-2");
}

#[test]
fn dns_and_both_ends_are_opened_together() {
    let policies = [
        policy("deny", "web", "{podSelector: {}, policyTypes: [Egress]}"),
        policy("deny", "data", "{podSelector: {}, policyTypes: [Ingress]}"),
    ]
    .join("---\n");
    let (case, proposal) = proposed(&policies, "client-x7", "data/db:80", true);
    let fix = &proposal.fixes[0];
    assert_eq!(fix.edits.len(), 2, "{:?}", steps(fix));
    let egress = &fix.edits.iter().find(|e| e.namespace.as_deref() == Some("web")).unwrap().after;
    assert_eq!(egress["metadata"]["name"], "client-x7-allow-egress");
    let dns = &egress["spec"]["egress"][0];
    assert_eq!(dns["to"][0]["podSelector"], serde_json::json!({"matchLabels": {"k8s-app": "kube-dns"}}));
    assert_eq!(dns["ports"], serde_json::json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]));
    let also: Vec<String> = fix.effects.opened.iter().filter(|c| !c.asked).map(|c| c.summary(&case.cluster)).collect();
    // Answers that don't fit come by TCP.
    assert_eq!(also, ["web/client-x7 → kube-system/coredns TCP 53, UDP 53"]);
}

#[test]
fn a_fix_tells_what_to_paste_the_command_and_its_undo() {
    let policies = format!("{ADMIN}---\n{}", policy("deny", "data", "{podSelector: {}, policyTypes: [Ingress]}"))
        .replace("TIER", "Admin")
        .replace("action: Deny", "action: Pass");
    let (case, proposal) = proposed(&policies, "client-x7", "data/db:80", false);
    let helps = proposal.fixes[0].helps(&case.cluster);
    assert!(helps[0].starts_with("add a NetworkPolicy that allows ingress of web/client-x7, as NetworkPolicy/data/"));
    assert!(helps[0].contains("\nspec:\n  podSelector:\n    matchLabels:\n      app: db\n"), "{}", helps[0]);
    assert_eq!(
        helps[1],
        "kubectl apply -f -\nundo: kubectl delete networkpolicies.networking.k8s.io db-0-allow-from-client-x7 -n data"
    );
    let (case, proposal) = proposed(&ADMIN.replace("TIER", "Admin"), "client-x7", "data/db:80", false);
    let helps = proposal.fixes[0].helps(&case.cluster);
    assert!(helps[0].contains(":\n# add to spec.ingress\n- name: allow-client-x7\n  action: Accept\n"), "{}", helps[0]);
    assert_eq!(
        helps[2],
        "ClusterNetworkPolicy/gate belongs to Argo CD application `platform`: change it there, an edit by hand is reverted"
    );
}

#[test]
fn addresses_outside_are_allowed_one_by_one() {
    let (_, proposal) = proposed(
        &policy("deny", "web", "{podSelector: {}, policyTypes: [Egress]}"),
        "client-x7",
        "203.0.113.10:443",
        false,
    );
    let rule = &proposal.fixes[0].edits[0].after["spec"]["egress"][0];
    assert_eq!(rule["to"], serde_json::json!([{"ipBlock": {"cidr": "203.0.113.10/32"}}]));
    assert!(proposal.fixes[0].effects.opened.iter().all(|c| c.asked), "{:?}", proposal.fixes[0].effects);
}

#[test]
fn a_policy_that_selects_nobody_by_a_slip_is_corrected() {
    let policies = [
        policy("deny", "data", "{podSelector: {}, policyTypes: [Ingress]}"),
        policy("allow", "data", "{podSelector: {matchLabels: {role: databse}}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 5432}]}]}"),
    ]
    .join("---\n");
    // It would open the database to everybody: the narrow policy is as good.
    let (case, proposal) = proposed(&policies, "client-x7", "data/db:80", false);
    let slip = proposal
        .fixes
        .iter()
        .find(|f| steps(f)[0] == "correct spec.podSelector.matchLabels.role from databse to database");
    let slip = slip.unwrap_or_else(|| panic!("{proposal:#?}"));
    let opened: Vec<String> = slip.effects.opened.iter().map(|c| c.summary(&case.cluster)).collect();
    assert!(opened.iter().any(|c| c == "web/other → data/db-0 TCP 5432"), "{opened:?}");
}

const ADMIN: &str = "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: gate, labels: {argocd.argoproj.io/instance: platform}}
spec:
  tier: TIER
  priority: 10
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: data}}}
  ingress:
  - {name: nobody, action: Deny, from: [{namespaces: {}}]}
";

#[test]
fn what_an_administrator_denies_is_not_ours_to_open() {
    let (_, proposal) = proposed(&ADMIN.replace("TIER", "Admin"), "client-x7", "data/db:80", false);
    let [theirs] = proposal.not_yours.as_slice() else { panic!("{proposal:?}") };
    assert_eq!((theirs.reference.as_str(), theirs.name.as_deref()), ("ClusterNetworkPolicy/gate", Some("nobody")));
    let fix = &proposal.fixes[0];
    assert!(fix.needs_admin);
    let edit = &fix.edits[0];
    assert_eq!(edit.after["spec"]["ingress"][0]["action"], "Accept");
    assert_eq!(edit.owner.as_ref().map(ToString::to_string).as_deref(), Some("Argo CD application `platform`"));
    assert!(fix.effects.opened.iter().all(|c| c.asked));
}

#[test]
fn a_policy_over_a_baseline_says_what_it_closes() {
    let (head, _) = ADMIN.split_once("  - {name").unwrap();
    let deny = "  - {action: Deny, from: [{namespaces: {matchLabels: {team: front}}}], protocols: [{tcp: {destinationPort: {range: {start: 1, end: 65535}}}}]}\n";
    let policy = format!("{}{deny}", head.replace("TIER", "Baseline"));
    let (case, proposal) = proposed(&policy, "client-x7", "data/db:80", false);
    assert!(proposal.not_yours.is_empty());
    let fix = &proposal.fixes[0];
    assert!(!fix.needs_admin);
    assert_eq!(steps(fix), ["add a NetworkPolicy that allows ingress of web/client-x7"]);
    let closed: Vec<String> = fix.effects.closed.iter().map(|c| c.summary(&case.cluster)).collect();
    assert!(closed.iter().any(|c| c == "web/client-x7 → data/db-0 UDP, SCTP"), "{closed:?}");
}
