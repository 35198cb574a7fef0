//! ClusterNetworkPolicy with a peer of a kind that is not known here: files with one are refused, a cluster with a newer
//! API may hold one (SEMANTICS 62).

use netcheck::model::{BuildOptions, Cluster, Protocol};
use netcheck::policy::profile::SPECIFICATION;
use netcheck::policy::{Policies, Profile};
use netcheck::reach::{Endpoint, Evaluator, Flow, Outcome};
use netcheck::source::wire::EgressPeer;
use netcheck::source::{Options, load_text};

/// A client under a policy whose only rule has a peer of an unknown kind, and one that is known.
fn outcome(action: &str, port: u16) -> Outcome {
    let text = format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: client}}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: newer}}
spec:
  tier: Admin
  priority: 1
  subject: {{namespaces: {{}}}}
  egress:
  - action: {action}
    to: [{{networks: [203.0.113.0/24]}}, {{networks: [198.51.100.0/24]}}]
    protocols: [{{tcp: {{destinationPort: {{number: 443}}}}}}]
  - action: Deny
    to: [{{networks: [203.0.113.0/24]}}]
    protocols: [{{tcp: {{destinationPort: {{number: 443}}}}}}]
"
    );
    let input = load_text("newer.yaml", &text, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let mut cluster = Cluster::build(input.objects, &BuildOptions::default()).unwrap_or_else(|e| panic!("{e:?}"));
    cluster.cluster_network_policies[0].object.spec.egress[0].to[1] = EgressPeer::default();
    let policies = Policies::lower(&cluster);
    let evaluator = Evaluator::new(&cluster, &policies, &Profile::settled("specification", SPECIFICATION));
    let pod = cluster.pod(cluster.namespace("default").unwrap(), "client").unwrap();
    let (client, server) = (Endpoint::pod(&cluster, pod, false), Endpoint::address(&cluster, [203, 0, 113, 5].into()));
    let flow = Flow { client, server, protocol: Protocol::Tcp, port, name: None, via_service: false };
    evaluator.evaluate(&flow).outcome
}

#[test]
fn a_peer_of_an_unknown_kind_fails_closed() {
    // In Accept the rule matches nothing, its known peers included; the next rule decides.
    assert_eq!(outcome("Accept", 443), Outcome::Denied);
    assert_eq!(outcome("Accept", 80), Outcome::Allowed);
    // In Deny and Pass it turns into "deny all", whatever its ports.
    assert_eq!(outcome("Deny", 80), Outcome::Denied);
    assert_eq!(outcome("Pass", 80), Outcome::Denied);
}
