//! Policies that are laid over a matrix give what a matrix of them gives.

use netcheck::analysis::diff::{Version, diff};
use netcheck::model::Cluster;
use netcheck::policy::{Edits, Policies, Profile};
use netcheck::reach::matrix::{Connections, Engine, Matrix, Options};
use serde_json::{Value, json};

use super::clusters::{self, Random};
use super::{common, endpoints, profiles};

fn cluster(items: &[Value]) -> Cluster {
    common::cluster_of_text(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())
}

/// The objects of a random cluster before and after some of its policies were taken away, and some of another cluster's
/// were added.
fn versions(seed: u64) -> [Vec<Value>; 2] {
    let random = &mut Random(seed ^ 0x5eed);
    let items = |text: String| -> Vec<Value> {
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let is_policy = |item: &Value| item["kind"].as_str().unwrap().ends_with("NetworkPolicy");
    let all = items(clusters::cluster(seed));
    let other = items(clusters::cluster(seed + 5_000));
    let mut after: Vec<Value> = all.iter().filter(|i| !is_policy(i) || !random.chance(4)).cloned().collect();
    for (index, policy) in other.iter().filter(|i| is_policy(i)).enumerate() {
        // A policy of a kind that can't be evaluated makes all unknown.
        if random.chance(3) && policy["metadata"]["name"] != "foreign" {
            let mut policy = policy.clone();
            policy["metadata"]["name"] = format!("new-{index}").into();
            after.insert(random.below(after.len() as u64) as usize, policy);
        }
    }
    [all, after]
}

/// How often the policies could be laid over, and how many answers were compared.
#[derive(Default)]
struct Asked {
    times: u64,
    laid: u64,
    answers: u64,
    different: u64,
}

fn compare(seed: u64, profile: &Profile, v6: bool, foreseen: bool, asked: &mut Asked) {
    let [earlier, later] = &versions(seed).map(|items| cluster(&items));
    let [before, after] = [earlier, later].map(Policies::lower);
    let Some(edits) = Edits::between(&before, &after) else { return };
    let known = if foreseen { vec![&edits] } else { Vec::new() };
    let engine = Engine::new(earlier, &before, profile, &known, Options { v6 });
    asked.times += 1;
    let Some(revision) = engine.revise(&before, &after, profile, &edits) else { return };
    asked.laid += 1;
    let whole = [&before, &after].map(|policies| Matrix::new(earlier, policies, profile, Options { v6 }));
    let endpoints = endpoints(earlier, engine.matrix(), v6);
    for client in &endpoints {
        for server in endpoints.iter().filter(|s| s.as_pod().is_none() || s.as_pod() != client.as_pod()) {
            let column = |end, across| engine.matrix().column_of(end, across).expect("a column");
            let (from, to) = (column(client, server), column(server, client));
            let [old, new] = whole.each_ref().map(|m| m.between(client, server).expect("an answer"));
            assert_eq!(engine.matrix().at(from, to), old, "seed {seed} {profile} v6={v6}: {client:?} -> {server:?}");
            assert_eq!(engine.at(&revision, from, to), new, "seed {seed} {profile} v6={v6}: {client:?} -> {server:?}");
            let found: Vec<(Connections, Connections)> = revision
                .changed
                .iter()
                .filter(|c| c.servers.contains(to))
                .flat_map(|c| engine.differences(c))
                .filter(|d| d.clients.contains(from))
                .map(|d| (d.before, d.after))
                .collect();
            asked.answers += 1;
            asked.different += u64::from(old != new);
            let expected = if old == new { Vec::new() } else { vec![(old, new)] };
            assert_eq!(found, expected, "seed {seed} {profile} v6={v6}: {client:?} -> {server:?}");
        }
    }
}

#[test]
fn changed_policies_give_what_a_whole_build_gives() {
    let rounds = std::env::var("NETCHECK_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let start: u64 = std::env::var("NETCHECK_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let (mut foreseen, mut unforeseen) = (Asked::default(), Asked::default());
    for seed in start..start + rounds {
        for profile in profiles() {
            compare(seed, &profile, seed % 4 == 0, true, &mut foreseen);
            compare(seed, &profile, seed % 4 == 0, false, &mut unforeseen);
        }
    }
    for (what, asked) in [("foreseen", &foreseen), ("unforeseen", &unforeseen)] {
        let Asked { times, laid, answers, different } = asked;
        eprintln!("{what}: {laid} of {times} laid over, {answers} answers, {different} of them different");
    }
    assert!(foreseen.laid * 2 > foreseen.times && unforeseen.laid * 4 > unforeseen.times);
    assert!(foreseen.different > rounds * 50);
}

#[test]
fn what_means_the_same_is_no_edit() {
    for seed in 0..30 {
        let text = clusters::cluster(seed);
        let mut list: Value = serde_json::from_str(&text).unwrap();
        for item in list["items"].as_array_mut().unwrap() {
            if item["kind"] == "NetworkPolicy" {
                // Under another name, and so in another order.
                let name = item["metadata"]["name"].as_str().unwrap().chars().rev().collect::<String>();
                item["metadata"]["name"] = name.into();
            }
        }
        let clusters = [text, list.to_string()].map(|text| common::cluster_of_text(&text));
        let [before, after] = clusters.each_ref().map(Policies::lower);
        assert!(Edits::between(&before, &after).expect("nothing foreign differs").is_empty(), "seed {seed}");
    }
}

#[test]
fn the_difference_of_edited_policies_is_that_of_whole_builds() {
    let rounds = std::env::var("NETCHECK_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let start: u64 = std::env::var("NETCHECK_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut changes = 0;
    for seed in start..start + rounds {
        let [earlier, later] = versions(seed);
        // A pod more, in a namespace of its own, and the versions have to be compared as a whole.
        let mut grown = later.clone();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "zoo"}});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one-more", "namespace": "zoo"},
            "spec": {"containers": [{"name": "c", "image": "i"}]}});
        grown.extend([namespace, pod]);
        let clusters = [earlier, later, grown].map(|items| cluster(&items));
        let policies = clusters.each_ref().map(Policies::lower);
        for profile in profiles() {
            let version = |at: usize| Version { cluster: &clusters[at], policies: &policies[at], profile: &profile };
            let (edited, whole) = (diff(version(0), version(1)), diff(version(0), version(2)));
            assert_eq!(edited.changes, whole.changes, "seed {seed} {profile}");
            assert!(edited.added.is_empty() && edited.removed.is_empty());
            changes += edited.changes.len() as u64;
        }
    }
    eprintln!("{changes} changes");
    assert!(changes > rounds * 20, "only {changes} changes");
}
