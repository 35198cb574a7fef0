//! What is exposed: held against single decisions, and against pods that are really added.

use std::process::{Command, Stdio};

use netcheck::analysis::exposure::State;
use netcheck::analysis::exposure::outside::{Entry, ways_in};
use netcheck::analysis::exposure::to_come::any_pod;
use netcheck::analysis::graph::{Graph, Options, Source, build};
use netcheck::model::query::{PortSpec, Target};
use netcheck::model::{Cluster, PodId, Protocol};
use netcheck::policy::{Policies, Profile};
use netcheck::reach::{CheckOptions, Endpoint, Evaluator, Flow, Obstacle, Outcome, Verdict};

use super::clusters;
use super::common::cluster_of_text as cluster_of;

fn graph(cluster: &Cluster) -> Graph {
    let policies = Policies::lower(cluster);
    build(cluster, &policies, &Profile::generic(), &Options { exposure: true, ..Options::default() })
}

/// What holds of any pod holds of each that there is.
#[test]
fn any_pod_is_every_pod() {
    let (mut open, mut closed) = (0, 0);
    for seed in 0..60 {
        let cluster = cluster_of(&clusters::cluster(seed));
        let policies = Policies::lower(&cluster);
        let evaluator = Evaluator::new(&cluster, &policies, &Profile::generic());
        let pods: Vec<PodId> =
            (0..cluster.pods.len() as u32).map(PodId).filter(|p| !cluster.pods[p.index()].host_network).collect();
        let reached = any_pod(&evaluator, &pods, false);
        for (server, (allowed, unknown)) in pods.iter().zip(&reached) {
            for port in [53, 80, 443, 8080, 9090] {
                let sure = allowed.contains(Protocol::Tcp, port);
                let maybe = unknown.contains(Protocol::Tcp, port);
                for client in pods.iter().filter(|c| *c != server) {
                    let flow = Flow {
                        client: Endpoint::pod(&cluster, *client, false),
                        server: Endpoint::pod(&cluster, *server, false),
                        protocol: Protocol::Tcp,
                        port,
                        name: None,
                        via_service: false,
                    };
                    for composition in evaluator.compositions() {
                        let ingress = evaluator.evaluate_under(&flow, composition).ingress.outcome;
                        if sure {
                            assert_eq!(ingress, Outcome::Allowed, "seed {seed}: {flow:?}");
                            open += 1;
                        } else if !maybe {
                            assert_eq!(ingress, Outcome::Denied, "seed {seed}: {flow:?}");
                            closed += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(open > 1_000 && closed > 100, "both answers occur: {open} {closed}");
}

const SERVER: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: shop, labels: {app: server}}
spec: {containers: [{name: a, ports: [{name: web, containerPort: 8080}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: shop}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress:
  - from: [{podSelector: {matchLabels: {role: monitor}}}]
    ports: [{port: 9090}]
  - from: [PEER]
    ports: [{port: web}]
---
";

/// The pod that a selector stands for gets what it gets once it is really there.
#[test]
fn pods_to_come_get_what_they_get_when_they_come() {
    let cases = [
        ("podSelector: {matchLabels: {app: x}}", "pods with app=x in namespace shop", "shop", "app: x", ""),
        (
            "namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {app: x}}",
            "pods with app=x in namespaces with team=blue",
            "new",
            "app: x",
            "team: blue",
        ),
        (
            "namespaceSelector: {matchLabels: {team: blue}}",
            "pods in namespaces with team=blue",
            "new",
            "",
            "team: blue",
        ),
        (
            "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: new}}",
            "pods in namespace new",
            "new",
            "any: thing",
            "",
        ),
        (
            "podSelector: {matchExpressions: [{key: app, operator: In, values: [p, q]}, {key: old, operator: DoesNotExist}, {key: tier, operator: Exists}]}",
            "pods with app in (p, q) and no label old and label tier in namespace shop",
            "shop",
            "app: p, tier: front",
            "",
        ),
        // Labels that another rule asks for as well let it in there too.
        (
            "podSelector: {matchLabels: {role: monitor, app: x}}",
            "pods with app=x and role=monitor in namespace shop",
            "shop",
            "role: monitor, app: x",
            "",
        ),
    ];
    for (peer, words, namespace, labels, of_namespace) in cases {
        let before = SERVER.replace("PEER", &format!("{{{peer}}}"));
        let found = graph(&cluster_of(&before));
        let of = |g: &Graph, words: &str| {
            g.exposures
                .iter()
                .find(|e| matches!(&e.source, Source::ToCome(w, _) if w == words))
                .map(|e| e.ports.clone())
        };
        let ports = of(&found, words).unwrap_or_else(|| panic!("{words}: {:?}", found.exposures));
        assert!(ports.partial.is_empty() && ports.unknown.is_empty(), "{words}: {ports:?}");
        let mut after = before;
        if namespace == "new" {
            after.push_str(&format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{name: new, labels: {{{of_namespace}}}}}\n---\n"
            ));
        }
        after.push_str(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: come, namespace: {namespace}, labels: {{{labels}}}}}\nspec: {{containers: [{{name: a}}]}}\n"
        ));
        let cluster = cluster_of(&after);
        let policies = Policies::lower(&cluster);
        let evaluator = Evaluator::new(&cluster, &policies, &Profile::generic());
        let pod = |ns: &str, name: &str| {
            Endpoint::pod(&cluster, cluster.pod(cluster.namespace(ns).unwrap(), name).unwrap(), false)
        };
        let really = evaluator.connections(&pod(namespace, "come"), &pod("shop", "server"));
        let tcp = really.of(Protocol::Tcp).unwrap();
        assert_eq!(tcp.allowed.to_string(), ports.open.ports(Protocol::Tcp).to_string(), "{words}");
        assert!(!really.any_unknown() && really.any_allowed(), "{words}");
        assert_eq!(of(&graph(&cluster), words), None, "{words}: it has come");
    }
}

/// Ways in through Services, against the check of each endpoint: both know what a node's address changes.
#[test]
fn services_are_what_single_checks_say() {
    let mut seen = std::collections::BTreeSet::new();
    for file in ["services", "gateway", "shop"] {
        let text = std::fs::read_to_string(format!("fixtures/exposure/{file}.yaml")).unwrap();
        let cluster = cluster_of(&text);
        let policies = Policies::lower(&cluster);
        for profile in ["generic", "calico", "cilium"] {
            let profile: Profile = profile.parse().unwrap();
            let evaluator = Evaluator::new(&cluster, &policies, &profile);
            for way in ways_in(&evaluator, &|pod| Some(pod.0)) {
                let Entry::Service(id) = way.entry else { continue };
                let service = &cluster.services[id.index()];
                // Clients that the load balancer doesn't let in are asked for below.
                if service.internal_balancer || !service.source_ranges.is_empty() || way.servers.is_empty() {
                    continue;
                }
                let (protocol, number) = way.port.unwrap();
                let port = service
                    .ports
                    .iter()
                    .find(|p| p.protocol == protocol && (p.number == number || p.node_port == Some(number)))
                    .unwrap();
                let check = evaluator.check(
                    netcheck::reach::Source::Internet,
                    &Target::Service(id),
                    &PortSpec::Number(port.number),
                    protocol,
                    CheckOptions { dns: false },
                );
                for server in &way.servers {
                    let endpoint = check.endpoints.iter().find(|e| e.pod == Some(server.pods[0])).unwrap();
                    let expected = match endpoint.verdict {
                        Verdict::Reachable => State::Open,
                        Verdict::Blocked => State::Closed,
                        Verdict::Unknown => State::Unknown,
                        other => panic!("{other:?}"),
                    };
                    assert_eq!(server.state, expected, "{file}: {} {protocol} {number}", service.name);
                    seen.insert(expected);
                }
            }
        }
    }
    assert!(seen.len() >= 2, "more than one answer occurs: {seen:?}");
}

/// Whom a load balancer lets in, a check knows as well.
#[test]
fn a_check_from_outside_is_let_in_or_not() {
    let cluster = cluster_of(&std::fs::read_to_string("fixtures/exposure/services.yaml").unwrap());
    let policies = Policies::lower(&cluster);
    let evaluator = Evaluator::new(&cluster, &policies, &Profile::generic());
    let shop = cluster.namespace("shop").unwrap();
    let ask = |service: &str, source: netcheck::reach::Source| {
        let id = cluster.service(shop, service).unwrap();
        let port = PortSpec::Number(cluster.services[id.index()].ports[0].number);
        evaluator.check(source, &Target::Service(id), &port, Protocol::Tcp, CheckOptions { dns: false })
    };
    let ip = |text: &str| netcheck::reach::Source::Address(text.parse().unwrap());
    let internet = netcheck::reach::Source::Internet;
    // A client of the range passes policies or not; one beside it doesn't come so far; of anybody it can't be told.
    let within = ask("ranges", ip("172.20.0.1"));
    assert_eq!((within.obstacle.clone(), within.verdict != Verdict::Unreachable), (None, true));
    let beside = ask("ranges", ip("203.0.113.1"));
    assert_eq!((beside.obstacle, beside.verdict), (Some(Obstacle::NotLetIn), Verdict::Unreachable));
    assert_ne!(ask("ranges", internet).verdict, Verdict::Reachable);
    // A balancer of the provider's own network.
    assert_eq!(ask("internal", internet).obstacle, Some(Obstacle::NotLetIn));
    assert_eq!(ask("internal", ip("8.8.8.8")).obstacle, Some(Obstacle::NotLetIn));
    assert_eq!(ask("internal", ip("10.20.0.1")).obstacle, None);
    // No balancer, no list.
    assert_eq!(ask("by-address", internet).obstacle, None);
}

/// The list is the load balancer's: what comes in at one of `externalIPs` doesn't pass it.
#[test]
fn an_address_without_a_balancer_lets_in_everybody() {
    let list = "loadBalancerSourceRanges: [172.0.0.0/8]\n";
    let text = std::fs::read_to_string("fixtures/exposure/services.yaml").unwrap();
    assert_eq!(text.matches(list).count(), 1);
    let text = text.replace(list, &format!("{list}  externalIPs: [198.51.100.7]\n  loadBalancerIP: 198.51.100.8\n"));
    let cluster = cluster_of(&text);
    let policies = Policies::lower(&cluster);
    let evaluator = Evaluator::new(&cluster, &policies, &Profile::generic());
    let id = cluster.service(cluster.namespace("shop").unwrap(), "ranges").unwrap();
    let port = PortSpec::Number(cluster.services[id.index()].ports[0].number);
    let client = netcheck::reach::Source::Address("203.0.113.1".parse().unwrap());
    let ask =
        |target: Target| evaluator.check(client, &target, &port, Protocol::Tcp, CheckOptions { dns: false }).obstacle;
    let address = |ip: &str| Target::ServiceAddress(id, ip.parse().unwrap());
    assert_eq!(ask(address("198.51.100.7")), None);
    assert_eq!(ask(address("198.51.100.8")), Some(Obstacle::NotLetIn));
    assert_eq!(ask(Target::Service(id)), None);
}

fn shown(file: &str, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_netcheck"))
        .args(["graph", "-f", &format!("fixtures/exposure/{file}.yaml")])
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("NETCHECK_CNI")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn who_is_exposed_and_through_what() {
    for file in ["services", "controllers", "gateway", "shop"] {
        insta::assert_snapshot!(file, shown(file, &["--exposure"]));
    }
}

#[test]
fn formats_hold_what_is_exposed() {
    insta::assert_snapshot!("exposure_csv", shown("shop", &["--exposure", "-o", "csv"]));
    insta::assert_snapshot!("exposure_dot", shown("shop", &["-n", "shop", "-o", "dot"]));
    let json: serde_json::Value = serde_json::from_str(&shown("shop", &["-o", "json", "--to", "shop/web"])).unwrap();
    let all = json["exposures"].as_array().unwrap();
    assert!(all.iter().all(|e| e["to"][0] == "shop/Pod/web"), "only what was asked for");
    let to_come = all.iter().find(|e| e["from"] == "pods-to-come").unwrap();
    let rule = &json["rules"][to_come["rule"].as_u64().unwrap() as usize];
    assert!(rule["yaml"].as_str().unwrap().contains("app: mobile"), "the rule that selects them is shown: {rule}");
    let page = shown("shop", &["-o", "html"]);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["exposures"].as_array().unwrap().len(), shown_count("shop"));
}

fn shown_count(file: &str) -> usize {
    let json: serde_json::Value = serde_json::from_str(&shown(file, &["-o", "json"])).unwrap();
    json["exposures"].as_array().unwrap().len()
}

/// A client outside is asked for: what else is exposed is no answer.
#[test]
fn from_the_internet_alone() {
    let json: serde_json::Value =
        serde_json::from_str(&shown("shop", &["--exposure", "--from", "internet", "-o", "json"])).unwrap();
    let from: Vec<&str> = json["exposures"].as_array().unwrap().iter().map(|e| e["from"].as_str().unwrap()).collect();
    assert!(!from.is_empty() && from.iter().all(|f| *f == "outside"), "{from:?}");
}
