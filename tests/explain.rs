//! Why connections are blocked: each kind of miss on small manifests, and every blocked dial that was recorded.

use std::path::Path;

use netcheck::analysis::explain::{Declared, Explanation, How, Mismatch, NotAPod, Stretch, explain};
use netcheck::model::query::{Client, PortSpec, Resolved, Target, TargetSpec};
use netcheck::model::{BuildOptions, Cluster, Protocol};
use netcheck::policy::rule::Direction;
use netcheck::policy::{Policies, Profile};
use netcheck::reach::{Check, CheckOptions, Evaluator, Source, Verdict};
use netcheck::source::{Input, Options, Part, Place, SourceMap, load_paths, load_text};

mod common;

struct Case {
    cluster: Cluster,
    policies: Policies,
    sources: SourceMap,
    profile: Profile,
}

impl Case {
    fn of(input: Input, assume_dns: bool) -> Self {
        let build = BuildOptions { assume_dns, ..BuildOptions::default() };
        let cluster = Cluster::build(input.objects, &build).unwrap_or_else(|e| panic!("{e:?}"));
        let policies = Policies::lower(&cluster);
        let profile = "kube-network-policies".parse().unwrap();
        Self { cluster, policies, sources: input.sources, profile }
    }

    fn text(text: &str) -> Self {
        let input =
            load_text("test.yaml", text, &Options::default()).unwrap_or_else(|e| panic!("{e}: {:?}", e.diagnostics));
        Self::of(input, true)
    }

    fn folder(path: &Path, assume_dns: bool) -> Self {
        Self::of(load_paths(&[path.to_owned()], &Options::default()).unwrap_or_else(|e| panic!("{e}")), assume_dns)
    }

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(&self.cluster, &self.policies, &self.profile)
    }

    fn ask(&self, client: &str, target: &str, dns: bool) -> Check {
        let spec: TargetSpec = target.parse().unwrap();
        let client = self.cluster.resolve_client(&client.parse().unwrap(), "default").unwrap().what;
        let Resolved { what, .. } = self.cluster.resolve_target(&spec, "default").unwrap();
        let options = CheckOptions { dns };
        self.evaluator().check(Source::of(&client)[0], &what, spec.port.as_ref().unwrap(), spec.protocol, options)
    }

    /// The explanation of a check with one leg that doesn't allow.
    fn only(&self, client: &str, target: &str) -> Explanation {
        let check = self.ask(client, target, false);
        assert_eq!(check.verdict, Verdict::Blocked, "{client} {target}");
        let mut all = explain(&self.evaluator(), &check);
        assert_eq!(all.len(), 1, "{all:?}");
        self.places(&all);
        all.remove(0)
    }

    /// Every place that an explanation names exists in the text.
    fn places(&self, explanations: &[Explanation]) {
        for e in explanations {
            let diagnostic = e.diagnostic(&self.evaluator());
            assert!(diagnostic.labels.iter().any(|l| l.primary), "{diagnostic:?}");
            assert!(!diagnostic.message.ends_with('.'), "{}", diagnostic.message);
            for label in &diagnostic.labels {
                let span = self.sources.span(&label.place);
                assert!(span.is_some_and(|s| s.exact), "{:?} in {}", label, diagnostic.message);
            }
        }
    }
}

const PODS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {owner: payments}}
---
apiVersion: v1
kind: Namespace
metadata: {name: default}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: session-store, role: web}}
spec: {containers: [{name: a}]}
status: {podIP: 10.244.1.5, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: shop, labels: {app: session-store}}
spec: {hostNetwork: true, nodeName: n1, containers: [{name: a}]}
status: {podIP: 10.99.0.1, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: redis}}
spec:
  nodeName: n2
  containers: [{name: a, ports: [{name: grpc, containerPort: 8080}, {name: old, containerPort: 9000}, {name: udp, containerPort: 53, protocol: UDP}]}]
status: {podIP: 10.244.2.5, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: redis}
spec: {clusterIP: 10.96.0.7, selector: {app: redis}, ports: [{port: 80, targetPort: 8080}]}
---
";

fn ingress(rules: &str) -> Case {
    let policy = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: redis}}\nspec: {{podSelector: {{matchLabels: {{app: redis}}}}, policyTypes: [Ingress], ingress: {rules}}}\n"
    );
    Case::text(&format!("{PODS}{policy}"))
}

/// The nearest miss: its field and its first mismatch, described.
fn nearest(e: &Explanation) -> (String, &Mismatch, String) {
    let miss = &e.near_misses[0];
    (miss.missed[0].path.to_string(), &miss.missed[0].mismatch, miss.missed[0].mismatch.describe("shop/client"))
}

#[test]
fn a_typo_in_a_pod_label_is_found_at_its_key() {
    let case = ingress(
        "[{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: sesion-store}}}, {ipBlock: {cidr: 192.0.2.0/24}}]}]",
    );
    let e = case.only("shop/client", "redis:80");
    let (path, mismatch, text) = nearest(&e);
    assert_eq!(path, "spec.ingress[0].from[0].podSelector.matchLabels.app");
    assert!(matches!(mismatch, Mismatch::PodLabel { similar: Some(_), .. }), "{mismatch:?}");
    assert_eq!(text, "this wants `app=sesion-store`, shop/client has `app=session-store`");
    assert_eq!(e.culprits[0].path.to_string(), "spec.policyTypes");
    assert_eq!(e.culprits[0].reference, "NetworkPolicy/default/redis");
    assert_eq!(
        e.diagnostic(&case.evaluator()).message,
        "ingress of default/server is isolated by NetworkPolicy default/redis, and none of its rules allows shop/client on TCP 8080"
    );
    // The block is further off than the slip.
    assert!(e.near_misses[0].distance < e.near_misses[1].distance);
}

#[test]
fn a_missing_namespace_label_shows_the_one_that_may_have_been_meant() {
    let case = ingress("[{from: [{namespaceSelector: {matchLabels: {team: payments}}}]}]");
    let e = case.only("shop/client", "redis:80");
    let (path, mismatch, text) = nearest(&e);
    assert_eq!(path, "spec.ingress[0].from[0].namespaceSelector.matchLabels.team");
    assert!(matches!(mismatch, Mismatch::NamespaceLabel { found: None, similar: Some(_), .. }), "{mismatch:?}");
    assert_eq!(text, "this wants `team=payments`, namespace shop has `owner=payments`");
}

#[test]
fn expressions_are_found_by_their_index() {
    let case = ingress(
        "[{from: [{namespaceSelector: {}, podSelector: {matchExpressions: [{key: app, operator: Exists}, {key: role, operator: NotIn, values: [web]}]}}]}]",
    );
    let e = case.only("shop/client", "redis:80");
    let (path, _, text) = nearest(&e);
    assert_eq!(path, "spec.ingress[0].from[0].podSelector.matchExpressions[1]");
    assert_eq!(text, "this wants `role not in (web)`, shop/client has `role=web`");
}

#[test]
fn a_peer_without_a_namespace_selector_means_the_own_namespace() {
    let e = ingress("[{from: [{podSelector: {}}]}]").only("shop/client", "redis:80");
    let (path, mismatch, _) = nearest(&e);
    assert_eq!(path, "spec.ingress[0].from[0]");
    assert!(matches!(mismatch, Mismatch::PolicyNamespaceOnly { .. }), "{mismatch:?}");
}

#[test]
fn ports_tell_the_service_port_a_protocol_and_a_name_apart() {
    let e = ingress("[{ports: [{port: 6379}, {port: 80}]}]").only("shop/client", "redis:80");
    let (path, mismatch, text) = nearest(&e);
    assert_eq!(path, "spec.ingress[0].ports[1].port");
    assert_eq!(*mismatch, Mismatch::Port { wanted: (80, 80), actual: 8080, is_service_port: true });
    assert_eq!(text, "80 is the Service's port, policies see the pod's port 8080");

    let e = ingress("[{ports: [{port: 8080, protocol: UDP}]}]").only("shop/client", "redis:80");
    assert!(
        matches!(nearest(&e).1, Mismatch::Protocol { wanted: Protocol::Udp, port_matches: true, .. }),
        "{:?}",
        nearest(&e)
    );

    for (name, expected) in
        [("api", Declared::Nothing), ("old", Declared::Number(9000)), ("udp", Declared::Protocol(Protocol::Udp))]
    {
        let e = ingress(&format!("[{{ports: [{{port: {name}}}]}}]")).only("shop/client", "redis:80");
        let (path, mismatch, text) = nearest(&e);
        assert_eq!(path, "spec.ingress[0].ports[0].port");
        let Mismatch::NamedPort { declared, called, .. } = mismatch else { panic!("{mismatch:?}") };
        assert_eq!(*declared, expected);
        assert_eq!(called.as_deref(), Some("grpc"));
        assert!(text.ends_with("it calls port 8080 `grpc`"), "{text}");
    }
}

#[test]
fn blocks_tell_an_exception_and_service_addresses_apart() {
    let e =
        ingress("[{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.244.1.0/24]}}]}]").only("shop/client", "redis:80");
    let (path, mismatch, _) = nearest(&e);
    assert_eq!(path, "spec.ingress[0].from[0].ipBlock.except");
    assert!(matches!(mismatch, Mismatch::Cidr { excepted_by: Some(_), .. }), "{mismatch:?}");

    let e = ingress("[{from: [{ipBlock: {cidr: 10.96.0.0/16}}]}]").only("shop/client", "redis:80");
    let (path, mismatch, _) = nearest(&e);
    assert_eq!(path, "spec.ingress[0].from[0].ipBlock.cidr");
    assert!(matches!(mismatch, Mismatch::ServiceIpInCidr { .. }), "{mismatch:?}");

    let mut case = ingress("[{from: [{ipBlock: {cidr: 10.244.1.0/24}}]}]");
    case.profile = "cilium".parse().unwrap();
    let e = case.only("shop/client", "redis:80");
    assert!(matches!(nearest(&e).1, Mismatch::CidrNotForPods { .. }), "{:?}", nearest(&e));
}

#[test]
fn selectors_match_no_pod_on_its_nodes_network_and_nothing_outside() {
    let case = ingress("[{from: [{namespaceSelector: {}}]}]");
    let e = case.only("shop/host", "redis:80");
    assert_eq!(*nearest(&e).1, Mismatch::NotAPod(NotAPod::HostNetwork));
    let e = case.only("ip:203.0.113.9", "pod/server:8080");
    assert_eq!(*nearest(&e).1, Mismatch::NotAPod(NotAPod::Outside));
}

#[test]
fn a_policy_that_selects_other_pods_by_a_slip_is_named() {
    let allow = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow}
spec: {podSelector: {matchLabels: {app: rediss}}, ingress: [{}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: elsewhere, namespace: shop}
spec: {podSelector: {matchLabels: {app: redis}}, ingress: [{}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
";
    let case = Case::text(&format!("{PODS}{allow}"));
    let e = case.only("shop/client", "redis:80");
    let found: Vec<(&str, String)> =
        e.subject_misses.iter().map(|m| (m.reference.as_str(), m.missed[0].path.to_string())).collect();
    assert_eq!(
        found,
        [
            ("NetworkPolicy/default/allow", "spec.podSelector.matchLabels.app".to_owned()),
            ("NetworkPolicy/shop/elsewhere", "metadata.namespace".to_owned())
        ]
    );
    assert_eq!(e.culprits[0].path.to_string(), "spec");
}

#[test]
fn tiers_are_walked_to_the_one_that_decided() {
    let policies = "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: gate}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: default}}}
  ingress:
  - {action: Accept, from: [{namespaces: {matchLabels: {owner: paiments}}}]}
  - {action: Deny, from: [{namespaces: {matchLabels: {owner: sales}}}, {namespaces: {}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: redis}
spec: {podSelector: {}, ingress: [{}]}
";
    let case = Case::text(&format!("{PODS}{policies}"));
    let e = case.only("shop/client", "redis:80");
    let culprit = &e.culprits[0];
    assert_eq!(culprit.reference, "ClusterNetworkPolicy/gate");
    assert_eq!(culprit.path.to_string(), "spec.ingress[1].from[1]");
    assert!(matches!(culprit.how, How::Denies(_)));
    assert_eq!(nearest(&e).0, "spec.ingress[0].from[0].namespaces.matchLabels.owner");
    let diagnostic = e.diagnostic(&case.evaluator());
    assert!(diagnostic.notes.iter().any(|n| n == "tier NetworkPolicy: not reached, because tier Admin decided"));
    assert!(diagnostic.notes.iter().any(|n| n == "no NetworkPolicy can override a rule of tier Admin"));
}

#[test]
fn legs_that_fail_alike_are_one_explanation() {
    let more = PODS.replace("name: server,", "name: server-2,").replace("10.244.2.5", "10.244.2.6");
    let second = more.split("---").find(|d| d.contains("server-2")).unwrap();
    let policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: redis}\nspec: {podSelector: {}}\n";
    let case = Case::text(&format!("{PODS}{second}{policy}"));
    let e = case.only("shop/client", "redis:80");
    assert_eq!(e.also.len(), 1);
    let notes = e.diagnostic(&case.evaluator()).notes;
    assert!(notes.iter().any(|n| n == "the same holds of default/server-2"), "{notes:?}");
}

#[test]
fn dns_comes_before_the_target() {
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Egress]}\n";
    let case = Case::text(&format!("{PODS}{policy}"));
    let check = case.ask("shop/client", "redis:80", true);
    let all = explain(&case.evaluator(), &check);
    case.places(&all);
    let found: Vec<_> = all.iter().map(|e| (e.stretch, e.direction)).collect();
    assert_eq!(found, [(Stretch::Dns, Direction::Egress), (Stretch::Target, Direction::Egress)]);
}

/// Every blocked dial that was recorded names the policies that isolate or deny, on lines that exist.
#[test]
fn every_recorded_block_is_explained_on_existing_lines() {
    let mut blocked = 0;
    for family in ["np", "cnp", "anp"] {
        let Some(root) = common::shared(&format!("real/reach/{family}")) else { return };
        for folder in common::folders(&root) {
            let case = Case::folder(&folder.join("cluster.json"), false);
            let evaluator = case.evaluator();
            let mut spans = std::collections::HashMap::new();
            for line in std::fs::read_to_string(folder.join("truth.csv")).unwrap().lines().skip(1) {
                let f: Vec<&str> = line.split(',').collect();
                let pod = |name: &str| {
                    let (namespace, name) = name.split_once('/').unwrap();
                    case.cluster.pod(case.cluster.namespace(namespace).unwrap(), name).unwrap()
                };
                let target = match f[1] {
                    "pod" => Target::Pods(vec![pod(f[2])]),
                    "service" => {
                        let (namespace, name) = f[2].split_once('/').unwrap();
                        let namespace = case.cluster.namespace(namespace).unwrap();
                        Target::Service(case.cluster.service(namespace, name).unwrap())
                    }
                    _ => Target::Address(f[3].parse().unwrap()),
                };
                let source = Source::of(&Client::Pods(vec![pod(f[0])]))[0];
                let port = PortSpec::Number(f[4].parse().unwrap());
                let protocol = Protocol::parse(f[5]).unwrap();
                let check = evaluator.check(source, &target, &port, protocol, CheckOptions { dns: false });
                if check.verdict != Verdict::Blocked {
                    continue;
                }
                blocked += 1;
                let explanations = explain(&evaluator, &check);
                assert!(!explanations.is_empty(), "{}: {line}", folder.display());
                for e in &explanations {
                    assert!(!e.culprits.is_empty(), "{}: {line}", folder.display());
                    let fields = e
                        .culprits
                        .iter()
                        .map(|c| (c.origin, c.path.clone()))
                        .chain(e.near_misses.iter().flat_map(|n| n.missed.iter().map(|m| (n.origin, m.path.clone()))))
                        .chain(e.subject_misses.iter().map(|n| (n.origin, n.missed[0].path.clone())));
                    for (origin, path) in fields {
                        let exact = *spans.entry((origin, path.clone())).or_insert_with(|| {
                            let place = Place::Field { origin, path: path.clone(), part: Part::Entry };
                            case.sources.span(&place).is_some_and(|s| s.exact)
                        });
                        assert!(exact, "{}: {line}: {path} of {}", folder.display(), e.culprits[0].reference);
                    }
                }
            }
        }
    }
    eprintln!("{blocked} blocked dials explained");
    assert!(blocked > 10_000, "{blocked}");
}
