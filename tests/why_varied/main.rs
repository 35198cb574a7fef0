//! `why` on variations of every cause: other names, drivers, wordings, states, shapes of policies, and bystanders. The answer
//! is known because the case was made for it. `NETCHECK_SEEDS=FROM-TO` runs others than the usual.

mod causes;
mod dependency;
mod random;
mod world;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use causes::{Answer, CASES};
use netcheck::analysis::why::facts::Facts;
use netcheck::analysis::why::{Case, ContainerLog, Diagnosis, Logs, Scope, diagnose, select};
use netcheck::model::{BuildOptions, Cluster};
use netcheck::policy::{Policies, Profile};
use netcheck::reach::Evaluator;
use netcheck::source::observe::Observer;
use netcheck::source::{Loader, Options};
use serde_json::json;
use world::World;

/// What `why -A` finds in a world.
fn findings(world: &World) -> Diagnosis {
    let facts = Arc::new(Mutex::new(Facts::new("default")));
    let shared = Arc::clone(&facts);
    let observer = Observer::in_order(move |object| shared.lock().unwrap().add(object));
    let mut loader = Loader::new(Options { observer: Some(observer), ..Options::default() });
    loader.text("dump.json", &json!({"apiVersion": "v1", "kind": "List", "items": world.items}).to_string());
    let input = loader.finish().unwrap_or_else(|e| panic!("{e}: {:?}", e.diagnostics));
    let facts = std::mem::take(&mut *facts.lock().unwrap());
    let cluster = Cluster::build(input.objects, &BuildOptions::default()).unwrap_or_else(|e| panic!("{e:?}"));
    let policies = Policies::lower(&cluster);
    let profile = Profile::default();
    let mut logs = Logs::default();
    for ((namespace, pod, container, previous), text) in &world.logs {
        let log: &mut ContainerLog = logs.0.entry((namespace.clone(), pod.clone(), container.clone())).or_default();
        *(if *previous { &mut log.previous } else { &mut log.current }) = Some(text.clone());
    }
    let evaluator = Evaluator::new(&cluster, &policies, &profile);
    let case = Case { evaluator: &evaluator, profile: &profile, sources: &input.sources, facts: &facts, logs: &logs };
    diagnose(&case, &select::troubled(&facts, &cluster, &Scope::default()))
}

/// What is wrong with what was found; empty where it is right.
fn judge(world: &World, answer: &Answer, found: &Diagnosis) -> String {
    let key = (world.own.clone(), world.pod.clone());
    let mut wrong = String::new();
    let Some(first) = found.findings.iter().find(|f| f.pods.contains(&key)) else {
        return "nothing was found".to_owned();
    };
    if !answer.causes.contains(&first.cause.name()) {
        let _ = write!(wrong, "{} ({:?}): {}; ", first.cause.name(), first.confidence, first.summary);
    }
    for finding in &found.findings {
        if answer.policy.is_none() && finding.cause.is_policy() {
            let _ = write!(wrong, "a policy is blamed: {}; ", finding.summary);
        }
        for pod in &finding.pods {
            let server = answer.causes.contains(&"dependency-down") && pod.1 == format!("{}-0", world.service);
            let node = answer.causes.contains(&"node-pressure");
            if *pod != key && !server && !node {
                let _ = write!(wrong, "a healthy pod, {}/{}: {}; ", pod.0, pod.1, finding.summary);
            }
        }
    }
    if let Some((kind, name, path)) = answer.policy
        && wrong.is_empty()
    {
        let policies = first.network.as_ref().map(|n| n.policies.as_slice()).unwrap_or_default();
        let named = policies.first().is_some_and(|p| p.kind == kind && p.name == name);
        let pointed = policies.iter().take(2).any(|p| p.name == name && p.path.starts_with(path));
        if !named || !pointed {
            let all: Vec<String> = policies.iter().map(|p| format!("{}/{} {}", p.kind, p.name, p.path)).collect();
            let _ = write!(wrong, "not {kind}/{name} {path} first: {all:?}; ");
        }
        let network = first.network.as_ref();
        if network.is_none_or(|n| n.proposal.fixes.is_empty()) {
            wrong.push_str("no fix; ");
        }
    }
    wrong
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("NETCHECK_SEEDS") else { return 0..12 };
    let (from, to) = text.split_once('-').expect("NETCHECK_SEEDS=FROM-TO");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn the_cause_is_found_whatever_surrounds_it() {
    let (mut wrong, mut all) = (Vec::new(), 0);
    for (index, (name, make)) in CASES.iter().enumerate() {
        for seed in seeds() {
            let mut world = World::new(seed * 1000 + index as u64);
            let answer = make(&mut world);
            let found = findings(&world);
            all += 1;
            let said = judge(&world, &answer, &found);
            if !said.is_empty() {
                let logs: Vec<&String> = world.logs.values().collect();
                wrong.push(format!(
                    "{name}, seed {seed}: {said}{:?} {}:{} {logs:?}",
                    world.place, world.dialled.host, world.dialled.port
                ));
                if let Some(directory) = std::env::var_os("NETCHECK_KEEP") {
                    let path = std::path::Path::new(&directory)
                        .join(format!("{}-{seed}.json", name.replace([' ', ',', '\''], "-")));
                    std::fs::write(path, json!({"apiVersion": "v1", "kind": "List", "items": world.items}).to_string())
                        .unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {all}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    for seed in 0..40 {
        let world = World::new(seed);
        let found = findings(&world);
        assert!(
            found.findings.is_empty() && found.examined == 0,
            "seed {seed}: {:?}",
            found.findings.first().map(|f| &f.summary)
        );
    }
}

/// A pod of a Deployment's third revision, rolled out as the pod started; `policy` is when a policy at fault was made.
fn rolled_out(policy: Option<i64>) -> String {
    let log = match policy {
        Some(_) => "panic: dial tcp: i/o timeout",
        None => "KeyError: 'EUR'",
    };
    // A seed whose client is the only container of a Deployment's pod.
    for seed in 0..100 {
        let mut world = World::new(seed);
        world.place = world::Place::Alone;
        if let Some(made) = policy {
            let own = world.own.clone();
            let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [World::dns()]});
            world.policy(&own, "out", spec);
            world.object("NetworkPolicy", &own, "out")["metadata"]["creationTimestamp"] = json!(world::time(made));
        }
        let told = world.told();
        world.crash(told, world::End { code: 1, reason: "Error", length: 30 }, log);
        if world.items.iter().any(|i| i["kind"] == "Deployment") {
            let found = findings(&world);
            let all = found.findings[0].evidence.iter().map(|proof| format!("{}: {}", proof.at, proof.text));
            return all.collect::<Vec<_>>().join("\n");
        }
    }
    panic!("no seed makes a Deployment");
}

#[test]
fn a_rollout_just_before_is_evidence() {
    let own = rolled_out(None);
    assert!(own.contains("revision 3 of Deployment") && own.contains("what it changed is suspect"), "{own}");
    let policy = rolled_out(Some(-600));
    assert!(policy.contains("before the policy changed: the policy is the newer"), "{policy}");
    let rollout = rolled_out(Some(-90_000));
    assert!(rollout.contains("after the policy's last change"), "{rollout}");
}
