//! All ports of one pair at once: which a client may reach on a server, and for which that can't be told.
//!
//! Two endpoints come in, a port set for each protocol goes out. Nothing is known here of how a rule matches: the ports at
//! which any rule that concerns the pair could change its answer are collected, and the evaluator is asked once for each
//! stretch between them.

use std::fmt;
use std::sync::Arc;

use super::eval::{Endpoint, EndpointKind, Evaluator, Flow, Outcome};
use super::matching::{self, Selected, Tri, View};
use crate::model::{PodId, PortSet, Protocol};
use crate::policy::rule::{Direction, L4, Match, Ports, Rule, StagePolicy, Term};

/// The ports of one protocol; what is in neither set is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reachability {
    /// Allowed.
    pub allowed: PortSet,
    /// Can't be told.
    pub unknown: PortSet,
}

/// What a client may reach on a server, for TCP, UDP and SCTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connections([Reachability; 3]);

impl Connections {
    /// Each protocol with its ports, in the order of [`Protocol::WITH_PORTS`].
    pub fn iter(&self) -> impl Iterator<Item = (Protocol, &Reachability)> {
        Protocol::WITH_PORTS.into_iter().zip(&self.0)
    }

    /// The ports of a protocol; none for one without ports.
    pub fn of(&self, protocol: Protocol) -> Option<&Reachability> {
        self.iter().find(|(p, _)| *p == protocol).map(|(_, r)| r)
    }

    /// Whether some port of some protocol is allowed.
    pub fn any_allowed(&self) -> bool {
        self.0.iter().any(|r| !r.allowed.is_empty())
    }

    /// Whether some port of some protocol can't be told.
    pub fn any_unknown(&self) -> bool {
        self.0.iter().any(|r| !r.unknown.is_empty())
    }

    /// Whether every port of every protocol is allowed.
    pub fn all_allowed(&self) -> bool {
        self.0.iter().all(|r| r.allowed.is_all())
    }
}

/// The allowed ports: `TCP 80,8080-8090 UDP 53`, `all` or `none`.
impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all_allowed() {
            return f.write_str("all");
        }
        if !self.any_allowed() {
            return f.write_str("none");
        }
        let mut first = true;
        for (protocol, ports) in self.iter().filter(|(_, r)| !r.allowed.is_empty()) {
            if !std::mem::take(&mut first) {
                f.write_str(" ")?;
            }
            match ports.allowed.is_all() {
                true => write!(f, "{protocol}")?,
                false => write!(f, "{protocol} {}", ports.allowed)?,
            }
        }
        Ok(())
    }
}

impl Evaluator<'_> {
    /// Every port of the server that the client may connect to. Exact: the same answers as [`Evaluator::evaluate`] gives for
    /// each of the 65535 ports of each protocol, for a client that dials the server itself.
    pub fn connections(&self, client: &Endpoint, server: &Endpoint) -> Connections {
        self.connections_on(client, server, &std::array::from_fn(|_| PortSet::all()))
    }

    /// The same for some ports alone: a set for each of [`Protocol::WITH_PORTS`].
    pub fn connections_on(&self, client: &Endpoint, server: &Endpoint, on: &[PortSet; 3]) -> Connections {
        let rules = self.rules_between(client, server);
        let mut out = Connections::default();
        for ((protocol, into), on) in Protocol::WITH_PORTS.into_iter().zip(&mut out.0).zip(on) {
            if on.is_empty() {
                continue;
            }
            let mut starts = vec![1u32];
            for rule in &rules {
                self.cut(rule, protocol, server, &mut starts);
            }
            starts.retain(|s| (1..=u32::from(u16::MAX)).contains(s));
            starts.sort_unstable();
            starts.dedup();
            for (index, start) in starts.iter().enumerate() {
                let last = starts.get(index + 1).map_or(u16::MAX, |next| (next - 1) as u16);
                let first = *start as u16;
                let stretch = PortSet::range(first, last).intersection(on);
                if stretch.is_empty() {
                    continue;
                }
                let flow =
                    Flow { client: *client, server: *server, protocol, port: first, name: None, via_service: false };
                match self.evaluate(&flow).outcome {
                    Outcome::Allowed => into.allowed = into.allowed.union(&stretch),
                    Outcome::Unknown => into.unknown = into.unknown.union(&stretch),
                    Outcome::Denied => {}
                }
            }
        }
        out
    }

    /// The rules of every policy that selects one of the ends in its direction, under any choice of the profile.
    fn rules_between(&self, client: &Endpoint, server: &Endpoint) -> Vec<&Rule> {
        let mut out = Vec::new();
        for (direction, end) in [(Direction::Egress, client), (Direction::Ingress, server)] {
            let Some(pod) = end.as_pod() else { continue };
            let namespace = self.cluster.pods[pod.index()].namespace;
            // Compositions share their policies: each list is looked through once.
            let mut seen: Vec<&Arc<Vec<StagePolicy>>> = Vec::new();
            for stage in self.compositions().iter().flat_map(|c| c.stages(direction)) {
                if seen.iter().any(|s| Arc::ptr_eq(s, &stage.policies)) {
                    continue;
                }
                seen.push(&stage.policies);
                for policy in self.policies_of(&stage.policies, namespace) {
                    if !policy.rules.is_empty()
                        && matching::expr(self.cluster, &Selected::Pod(pod), &policy.subject) != Tri::No
                    {
                        // What no choice lets match one of the ends matches at no port.
                        out.extend(policy.rules.iter().filter(|r| self.concerns(r, client, server, pod)));
                    }
                }
            }
        }
        out
    }

    /// Whether a rule may match these ends at some port.
    fn concerns(&self, rule: &Rule, client: &Endpoint, server: &Endpoint, subject: PodId) -> bool {
        let flow =
            Flow { client: *client, server: *server, protocol: Protocol::Tcp, port: 1, name: None, via_service: false };
        self.compositions().iter().any(|composition| {
            let view = View { cluster: self.cluster, choices: &composition.choices, flow: &flow, subject };
            !view.excludes(&rule.source, client) && !view.excludes(&rule.destination, server)
        })
    }

    /// Adds the ports at which a rule may begin or cease to match.
    fn cut(&self, rule: &Rule, protocol: Protocol, server: &Endpoint, starts: &mut Vec<u32>) {
        let mut range = |first: u16, last: u16| {
            starts.push(u32::from(first));
            starts.push(u32::from(last) + 1);
        };
        if let L4::OneOf(ports) = &rule.l4 {
            for port in ports.iter().filter(|p| p.protocol.is_none_or(|p| p == protocol)) {
                match &port.ports {
                    Ports::All => {}
                    Ports::Range(first, last) => {
                        range(*first, *last);
                        if port.end_port {
                            // Without support for `endPort` the first port alone matches (SEMANTICS 22).
                            range(*first, *first);
                        }
                    }
                    Ports::NotIn(ranges) => ranges.iter().for_each(|(first, last)| range(*first, *last)),
                    Ports::Named(name) => {
                        if let EndpointKind::Pod(pod) = server.kind {
                            for port in self.cluster.pods[pod.index()].ports.iter() {
                                if port.protocol == protocol && port.name.as_ref() == Some(name) {
                                    range(port.number, port.number);
                                }
                            }
                        }
                    }
                }
            }
        }
        for peers in [&rule.source, &rule.destination] {
            let Match::OneOf(peers) = peers else { continue };
            for term in peers.iter().flat_map(|p| &p.terms) {
                if let Term::Service(triples) = term {
                    triples.iter().filter(|t| t.1 == protocol).for_each(|t| range(t.2, t.2));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BuildOptions, Cluster};
    use crate::policy::profile::SPECIFICATION;
    use crate::policy::{Choices, Policies, Profile};
    use crate::source::{Options, load_text};

    fn cluster(text: &str) -> Cluster {
        let input = load_text("test.yaml", text, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
        let build = BuildOptions { assume_dns: false, ..BuildOptions::default() };
        Cluster::build(input.objects, &build).unwrap_or_else(|e| panic!("{e:?}"))
    }

    fn endpoint(cluster: &Cluster, name: &str) -> Endpoint {
        let namespace = cluster.namespace("default").unwrap();
        Endpoint::pod(cluster, cluster.pod(namespace, name).unwrap(), false)
    }

    const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {containers: [{name: a}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  initContainers:
  - {name: once, ports: [{name: setup, containerPort: 7000}]}
  - {name: beside, restartPolicy: Always, ports: [{name: admin, containerPort: 9000}]}
  containers:
  - {name: a, ports: [{name: web, containerPort: 8080}]}
  - {name: b, ports: [{name: web, containerPort: 8081, protocol: UDP}]}
---
";

    fn policy(direction: &str, selects: &str, rules: &str) -> String {
        let name = format!("{selects}-{}", direction.to_lowercase());
        format!(
            "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}}}
spec: {{podSelector: {{matchLabels: {{app: {selects}}}}}, policyTypes: [{direction}], {rules}}}
---
"
        )
    }

    /// The answer port by port, the slow way.
    fn one_by_one(evaluator: &Evaluator<'_>, client: &Endpoint, server: &Endpoint) -> Connections {
        let mut out = Connections::default();
        for (protocol, into) in Protocol::WITH_PORTS.into_iter().zip(&mut out.0) {
            for port in 1..=u16::MAX {
                let flow = Flow { client: *client, server: *server, protocol, port, name: None, via_service: false };
                match evaluator.evaluate(&flow).outcome {
                    Outcome::Allowed => into.allowed.insert(port, port),
                    Outcome::Unknown => into.unknown.insert(port, port),
                    Outcome::Denied => {}
                }
            }
        }
        out
    }

    fn check(text: &str, profile: &Profile, expected: &str) {
        let cluster = cluster(text);
        let policies = Policies::lower(&cluster);
        let evaluator = Evaluator::new(&cluster, &policies, profile);
        let (client, server) = (endpoint(&cluster, "client"), endpoint(&cluster, "server"));
        let found = evaluator.connections(&client, &server);
        assert_eq!(found.to_string(), expected);
        assert_eq!(found, one_by_one(&evaluator, &client, &server));
    }

    #[test]
    fn without_policies_everything_is_allowed() {
        check(PODS, &Profile::generic(), "all");
    }

    #[test]
    fn both_ends_ranges_and_protocols_are_intersected() {
        let egress = policy("Egress", "client", "egress: [{ports: [{port: 80, endPort: 8080}, {protocol: UDP}]}]");
        let ingress = policy(
            "Ingress",
            "server",
            "ingress: [{ports: [{port: 8000, endPort: 9000}, {port: 53, protocol: UDP}, {protocol: SCTP}]}]",
        );
        check(&format!("{PODS}{egress}{ingress}"), &Profile::generic(), "TCP 8000-8080 UDP 53");
    }

    #[test]
    fn named_ports_are_those_of_the_server_and_not_of_plain_init_containers() {
        let rules = "ingress: [{ports: [{port: web}, {port: web, protocol: UDP}, {port: admin}, {port: setup}]}]";
        let text = format!("{PODS}{}", policy("Ingress", "server", rules));
        check(&text, &Profile::generic(), "TCP 8080,9000 UDP 8081");
    }

    #[test]
    fn the_last_port_is_reached_and_nothing_overflows() {
        let rules = "ingress: [{ports: [{port: 65535}, {port: 1}, {port: 65000, endPort: 65535, protocol: UDP}]}]";
        let text = format!("{PODS}{}", policy("Ingress", "server", rules));
        check(&text, &Profile::generic(), "TCP 1,65535 UDP 65000-65535");
    }

    #[test]
    fn a_plugin_without_end_port_matches_the_first_port() {
        let text = format!("{PODS}{}", policy("Ingress", "server", "ingress: [{ports: [{port: 80, endPort: 90}]}]"));
        let settled = Profile::settled("old", Choices { end_port: false, ..SPECIFICATION });
        check(&text, &settled, "TCP 80");
    }

    #[test]
    fn what_can_not_be_told_is_kept_apart() {
        let tier = |name: &str, action: &str, port: &str| {
            format!(
                "apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {{name: {name}}}
spec:
  priority: 1
  subject: {{namespaces: {{}}}}
  ingress: [{{action: {action}, from: [{{namespaces: {{}}}}], ports: [{{{port}}}]}}]
---
"
            )
        };
        let range = "portRange: {protocol: TCP, start: 10, end: 20}";
        let text = format!("{PODS}{}{}", tier("a", "Deny", "portNumber: {port: 15}"), tier("b", "Allow", range));
        let settled = Profile::settled("specification", SPECIFICATION);
        check(&text, &settled, "TCP 1-14,16-65535 UDP SCTP");
        let cluster = cluster(&text);
        let policies = Policies::lower(&cluster);
        let evaluator = Evaluator::new(&cluster, &policies, &settled);
        let found = evaluator.connections(&endpoint(&cluster, "client"), &endpoint(&cluster, "server"));
        assert_eq!(found.of(Protocol::Tcp).map(|r| r.unknown.to_string()).as_deref(), Some("15"));
        assert!(found.any_unknown() && !found.all_allowed());
    }
}
