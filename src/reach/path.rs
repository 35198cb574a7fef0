//! The whole way to a target: DNS, the Service and its port, each endpoint, and both ends' policies for each.
//!
//! A client and a target of `model::query` come in, a [`Check`] goes out. Traffic to a Service is judged at its endpoints,
//! after address translation (SEMANTICS 32); the port a policy sees is the pod's (31).

use std::net::IpAddr;

use super::check::{Check, CheckOptions, EndpointCheck, Obstacle, Source, Verdict, combine};
use super::eval::{Endpoint, EndpointKind, Evaluator, Flow, Outcome};
use crate::model::query::{PortSpec, Target};
use crate::model::{Backend, NodeId, Phase, PodId, Protocol, Service, ServiceId, ServiceKind, ServicePort, Str};

/// How deep ExternalName Services may point at each other.
const EXTERNAL_NAME_DEPTH: usize = 8;

impl Evaluator<'_> {
    /// Checks one source against a target. `port` is required but for targets whose Service has a single port.
    pub fn check(
        &self,
        source: Source,
        target: &Target,
        port: &PortSpec,
        protocol: Protocol,
        options: CheckOptions,
    ) -> Check {
        let client = match source {
            Source::Pod(pod) => Some(pod),
            _ => None,
        };
        let mut check = Check {
            client,
            protocol,
            service: None,
            service_port: None,
            external_name: None,
            dns: None,
            endpoints: Vec::new(),
            obstacle: None,
            verdict: Verdict::Unknown,
        };
        let by_name = matches!(target, Target::Service(_) | Target::PodByName(_) | Target::Name(_));
        if by_name && options.dns && matches!(source, Source::Pod(_)) {
            check.dns = self.dns(source);
        }
        self.target(source, target, port, &mut check, 0);
        self.conclude(&mut check);
        check
    }

    fn target(&self, source: Source, target: &Target, port: &PortSpec, check: &mut Check, depth: usize) {
        match target {
            Target::Service(id) => self.service(source, *id, None, port, check, depth),
            Target::ServiceAddress(id, ip) => self.service(source, *id, Some(*ip), port, check, depth),
            Target::NodePort(id, node) => self.node_port(source, *id, *node, port, check),
            Target::Pods(pods) => {
                for pod in pods {
                    self.pod(source, *pod, None, port, check);
                }
            }
            Target::PodByName(pod) => self.pod(source, *pod, None, port, check),
            Target::Node(node) => {
                let families: Vec<bool> = self.families(&self.cluster.nodes[node.index()].addresses);
                for v6 in families {
                    self.endpoint(source, Endpoint::node(self.cluster, *node, v6), None, number(port), check);
                }
            }
            Target::Address(ip) => {
                let server = Endpoint::address(self.cluster, *ip);
                match server.as_pod() {
                    Some(pod) => self.pod(source, pod, Some(*ip), port, check),
                    None => self.endpoint(source, server, None, number(port), check),
                }
            }
            Target::Name(name) => {
                check.external_name = Some(name.clone());
                self.endpoint(source, Endpoint::internet(), None, number(port), check);
            }
        }
    }

    fn families(&self, addresses: &[IpAddr]) -> Vec<bool> {
        let mut out: Vec<bool> = addresses.iter().map(IpAddr::is_ipv6).collect();
        out.sort_unstable();
        out.dedup();
        if out.is_empty() { vec![false] } else { out }
    }

    /// A pod at the address of each family, or at one address.
    fn pod(&self, source: Source, id: PodId, at: Option<IpAddr>, port: &PortSpec, check: &mut Check) {
        let pod = &self.cluster.pods[id.index()];
        let (port, missing) = match port {
            PortSpec::Number(number) => (Some(*number), None),
            PortSpec::Name(name) => {
                let found = pod.named_ports(name).find(|p| p.protocol == check.protocol).map(|p| p.number);
                (found, found.is_none().then(|| Obstacle::NoNamedPort(name.as_str().into())))
            }
        };
        for v6 in self.families(at.as_ref().map_or(&pod.ips, std::slice::from_ref)) {
            self.endpoint(source, Endpoint::pod(self.cluster, id, v6), Some(id), port, check);
            if let (Some(last), Some(missing)) = (check.endpoints.last_mut(), &missing)
                && last.obstacle.is_none()
            {
                last.obstacle = Some(missing.clone());
            }
        }
    }

    fn service(
        &self,
        source: Source,
        id: ServiceId,
        address: Option<IpAddr>,
        port: &PortSpec,
        check: &mut Check,
        depth: usize,
    ) {
        let service = &self.cluster.services[id.index()];
        check.service.get_or_insert(id);
        if service.kind == ServiceKind::ExternalName {
            return self.external_name(source, service, port, check, depth);
        }
        let from_outside = matches!(source, Source::Address(_) | Source::Internet);
        let exposed = address.is_some_and(|ip| service.external_ips.contains(&ip))
            || (address.is_none()
                && (matches!(service.kind, ServiceKind::LoadBalancer | ServiceKind::NodePort)
                    || !service.external_ips.is_empty()));
        if from_outside && !exposed {
            check.obstacle = Some(Obstacle::ClusterIpFromOutside);
        }
        let found = match port {
            PortSpec::Number(number) => service.port(Some(*number), None, check.protocol),
            PortSpec::Name(name) => service.port(None, Some(name), check.protocol),
        };
        if service.headless {
            return self.headless(source, id, found, port, check);
        }
        let Some(service_port) = found else {
            check.obstacle = Some(Obstacle::NoSuchPort);
            return;
        };
        check.service_port = Some(service_port.clone());
        let by_external = from_outside || address.is_some_and(|ip| service.external_ips.contains(&ip));
        let mut backends = self.cluster.backends(id, service_port);
        let families: Vec<bool> = match address {
            Some(ip) if !service.external_ips.contains(&ip) => vec![ip.is_ipv6()],
            _ => service.cluster_ips.iter().map(IpAddr::is_ipv6).collect(),
        };
        backends.retain(|b| families.is_empty() || b.address.is_none_or(|a| families.contains(&a.is_ipv6())));
        let local = if by_external { service.external_local } else { service.internal_local };
        self.backends(source, service, backends, local && !by_external, check);
        if by_external && !service.external_local {
            self.node_sources(source, check);
        }
        if from_outside && exposed {
            self.balancer(source, service, address, check);
        }
    }

    /// A load balancer lets in whom the Service says (`loadBalancerSourceRanges`, annotations of the provider).
    fn balancer(&self, source: Source, service: &Service, address: Option<IpAddr>, check: &mut Check) {
        let client = match source {
            Source::Address(ip) => Some(ip),
            _ => None,
        };
        match service.audience_at(address).lets_in(client) {
            Some(true) => {}
            Some(false) => drop(check.obstacle.get_or_insert(Obstacle::NotLetIn)),
            None => {
                for endpoint in check.endpoints.iter_mut().filter(|e| e.verdict == Verdict::Reachable) {
                    endpoint.verdict = Verdict::Unknown;
                    endpoint.may_not_be_let_in = true;
                }
            }
        }
    }

    /// The client dials the pod's port itself: a headless Service maps none (35).
    fn headless(&self, source: Source, id: ServiceId, found: Option<&ServicePort>, port: &PortSpec, check: &mut Check) {
        let service = &self.cluster.services[id.index()];
        let any = ServicePort {
            name: "".into(),
            number: 0,
            protocol: check.protocol,
            target: crate::model::TargetPort::Number(0),
            node_port: None,
        };
        let listed = found.or_else(|| service.ports.first()).unwrap_or(&any);
        check.service_port = found.cloned();
        let number = match (port, found) {
            (PortSpec::Number(number), _) => Some(*number),
            (PortSpec::Name(_), Some(_)) => None,
            (PortSpec::Name(_), None) => {
                check.obstacle = Some(Obstacle::NoSuchPort);
                return;
            }
        };
        let mut backends = self.cluster.backends(id, listed);
        for backend in &mut backends {
            // A name is looked up as an SRV record, which holds the pod's port.
            backend.port = number.or(backend.port);
        }
        self.backends(source, service, backends, false, check);
    }

    fn external_name(&self, source: Source, service: &Service, port: &PortSpec, check: &mut Check, depth: usize) {
        let Some(name) = &service.external_name else { return };
        let lower = name.trim_end_matches('.').to_ascii_lowercase();
        let inside = crate::model::query::TargetSpec {
            host: crate::model::query::Host::Object(crate::model::query::ObjectSpec {
                namespace: None,
                kind: None,
                name: lower.clone(),
            }),
            port: Some(port.clone()),
            protocol: check.protocol,
            text: lower.clone(),
        };
        let target = match lower.parse::<IpAddr>() {
            Ok(ip) => Target::Address(ip),
            Err(_) if lower.contains('.') && depth < EXTERNAL_NAME_DEPTH => {
                match self.cluster.resolve_target(&inside, "") {
                    Ok(resolved) => resolved.what,
                    Err(_) => Target::Name(lower.into()),
                }
            }
            Err(_) => Target::Name(lower.into()),
        };
        self.target(source, &target, port, check, depth + 1);
    }

    fn node_port(&self, source: Source, id: ServiceId, node: NodeId, port: &PortSpec, check: &mut Check) {
        let service = &self.cluster.services[id.index()];
        check.service = Some(id);
        let PortSpec::Number(number) = port else {
            check.obstacle = Some(Obstacle::PortByName);
            return;
        };
        let found = service.ports.iter().find(|p| p.node_port == Some(*number) && p.protocol == check.protocol);
        let Some(service_port) = found else {
            check.obstacle = Some(Obstacle::NoSuchPort);
            return;
        };
        check.service_port = Some(service_port.clone());
        let mut backends = self.cluster.backends(id, service_port);
        if service.external_local {
            backends.retain(|b| b.node == Some(node));
            if backends.is_empty() {
                check.obstacle = Some(Obstacle::NoLocalEndpoint(node));
            }
        }
        self.backends(source, service, backends, false, check);
        if !service.external_local {
            self.node_sources(source, check);
        }
    }

    pub(super) fn backends(
        &self,
        source: Source,
        service: &Service,
        mut backends: Vec<Backend>,
        local: bool,
        check: &mut Check,
    ) {
        if backends.is_empty() {
            check.obstacle.get_or_insert(Obstacle::NoEndpoints);
            return;
        }
        let client_node = match source {
            Source::Pod(pod) => self.cluster.pods[pod.index()].node,
            Source::Node(node) => Some(node),
            _ => None,
        };
        let elsewhere = |b: &Backend| local && client_node.is_some() && b.node.is_some() && b.node != client_node;
        // A pod without a port of the target's name is not among the endpoints of this port (34).
        let usable = |b: &Backend| b.port.is_some() && !elsewhere(b);
        // Terminating endpoints serve where nothing ready is left (38, KEP-1669), of those that the client may be sent to;
        // the name of a headless Service holds ready addresses alone.
        if !service.headless && !backends.iter().any(|b| b.serving && usable(b)) {
            for backend in &mut backends {
                backend.serving |= backend.terminating && backend.ready;
            }
        }
        let serving = backends.iter().any(|b| b.serving);
        for backend in &backends {
            let server = match (backend.pod, backend.address) {
                (Some(pod), address) => {
                    let mut endpoint = Endpoint::pod(self.cluster, pod, address.is_some_and(|a| a.is_ipv6()));
                    endpoint.ip = address.or(endpoint.ip);
                    endpoint
                }
                (None, Some(address)) => Endpoint::address(self.cluster, address),
                (None, None) => continue,
            };
            self.endpoint(source, server, backend.pod, backend.port, check);
            let Some(added) = check.endpoints.last_mut() else { continue };
            added.ready = backend.ready;
            added.terminating = backend.terminating;
            added.counted = added.counted && backend.serving && usable(backend);
            if backend.port.is_none()
                && let Some(crate::model::TargetPort::Name(name)) = check.service_port.as_ref().map(|p| &p.target)
            {
                added.obstacle = Some(Obstacle::NoNamedPort(name.clone()));
                added.verdict = Verdict::Unreachable;
            }
        }
        self.mark_via_service(source, service, check);
        if !serving {
            check.obstacle.get_or_insert(Obstacle::NotReady);
        } else if !check.endpoints.iter().any(|e| e.counted) {
            let unnamed = check.endpoints.iter().find(|e| e.port.is_none()).and_then(|e| e.obstacle.clone());
            if let (Some(obstacle), true) = (unnamed, backends.iter().all(|b| b.port.is_none())) {
                check.obstacle.get_or_insert(obstacle);
            } else if let (true, Some(node)) = (local, client_node) {
                check.obstacle.get_or_insert(Obstacle::NoLocalEndpoint(node));
            }
        }
    }

    /// A pod that its own Service sends back to itself is judged apart (43); a headless Service hands out its address, so
    /// that it dials itself.
    fn mark_via_service(&self, source: Source, service: &Service, check: &mut Check) {
        let Source::Pod(pod) = source else { return };
        if service.headless {
            return;
        }
        for endpoint in &mut check.endpoints {
            if endpoint.pod == Some(pod)
                && let Some(port) = endpoint.port
            {
                let flow = self.flow(endpoint.client, endpoint.server, check.protocol, port, None, true);
                let decision = self.evaluate(&flow);
                endpoint.verdict = Verdict::of(decision.outcome);
                endpoint.decision = Some(decision);
            }
        }
    }

    pub(super) fn flow(
        &self,
        client: Endpoint,
        server: Endpoint,
        protocol: Protocol,
        port: u16,
        name: Option<Str>,
        via_service: bool,
    ) -> Flow {
        Flow { client, server, protocol, port, name, via_service }
    }

    fn endpoint(&self, source: Source, server: Endpoint, pod: Option<PodId>, port: Option<u16>, check: &mut Check) {
        let v6 = server.ip.is_some_and(|ip| ip.is_ipv6());
        let client = match source {
            Source::Pod(pod) => Endpoint::pod(self.cluster, pod, v6),
            Source::Node(node) => Endpoint::node(self.cluster, node, v6),
            Source::Address(ip) => Endpoint::address(self.cluster, ip),
            Source::Internet => Endpoint::internet(),
        };
        let has_addresses = match source {
            Source::Pod(pod) => !self.cluster.pods[pod.index()].ips.is_empty(),
            Source::Node(node) => !self.cluster.nodes[node.index()].addresses.is_empty(),
            Source::Address(ip) => server.ip.is_some_and(|s| s.is_ipv6() != ip.is_ipv6()),
            Source::Internet => false,
        };
        let family = match source {
            Source::Address(_) => has_addresses,
            _ => has_addresses && client.ip.is_none() && server.ip.is_some(),
        };
        let finished = pod.is_some_and(|p| self.cluster.pods[p.index()].phase == Phase::Finished);
        let ready = pod.is_none_or(|p| self.cluster.pods[p.index()].ready);
        let terminating = pod.is_some_and(|p| self.cluster.pods[p.index()].terminating);
        let decision = port.map(|port| {
            self.evaluate(&self.flow(client, server, check.protocol, port, check.external_name.clone(), false))
        });
        let obstacle = if finished {
            Some(Obstacle::Finished)
        } else if family {
            Some(Obstacle::NoCommonFamily)
        } else {
            None
        };
        let verdict = match (&obstacle, &decision) {
            (Some(_), _) | (None, None) => Verdict::Unreachable,
            (None, Some(decision)) => Verdict::of(decision.outcome),
        };
        check.endpoints.push(EndpointCheck {
            client,
            server,
            pod,
            port,
            ready,
            terminating,
            // A family that one side lacks is not used: the other one is.
            counted: !family,
            decision,
            obstacle,
            verdict,
            source_may_change: false,
            may_not_be_let_in: false,
        });
    }

    /// Through a node the server may see the node's address instead of the client's (40): where that changes the verdict, it
    /// is unknown.
    fn node_sources(&self, source: Source, check: &mut Check) {
        for endpoint in &mut check.endpoints {
            let (Some(port), Verdict::Reachable | Verdict::Blocked) = (endpoint.port, endpoint.verdict) else {
                continue;
            };
            let outcomes = self.from_nodes(endpoint.server, check.protocol, port);
            let egress_denied = matches!(source, Source::Pod(_))
                && endpoint.decision.as_ref().is_some_and(|d| d.egress.outcome == Outcome::Denied);
            if !egress_denied && outcomes.iter().any(|o| Verdict::of(*o) != endpoint.verdict) {
                endpoint.source_may_change = true;
                endpoint.verdict = Verdict::Unknown;
            }
        }
    }

    /// What a server answers to the nodes, which pass on what comes to a node port (40). Of many nodes, the first are asked.
    pub fn from_nodes(&self, server: Endpoint, protocol: Protocol, port: u16) -> Vec<Outcome> {
        let v6 = server.ip.is_some_and(|ip| ip.is_ipv6());
        let mut nodes: Vec<Endpoint> = (0..self.cluster.nodes.len().min(64))
            .map(|index| Endpoint::node(self.cluster, NodeId(index as u32), v6))
            .collect();
        if nodes.is_empty() {
            nodes.push(Endpoint { kind: EndpointKind::Node { node: None, pod: None }, ip: None });
        }
        let outcome = |node| self.evaluate(&self.flow(node, server, protocol, port, None, true)).outcome;
        nodes.into_iter().map(outcome).collect()
    }

    fn conclude(&self, check: &mut Check) {
        let mut verdict = match &check.obstacle {
            Some(_) => Verdict::Unreachable,
            None => {
                let counted: Vec<Verdict> = check.endpoints.iter().filter(|e| e.counted).map(|e| e.verdict).collect();
                match combine(counted) {
                    Some(verdict) => verdict,
                    None => {
                        let family = check.endpoints.iter().any(|e| e.obstacle == Some(Obstacle::NoCommonFamily));
                        check.obstacle = Some(if family { Obstacle::NoCommonFamily } else { Obstacle::NotReady });
                        Verdict::Unreachable
                    }
                }
            }
        };
        // "DNS blocked makes a check by name blocked" (DESIGN); a name that can't be resolved is never dialled.
        if let Some(dns) = &check.dns
            && check.obstacle.is_none()
        {
            verdict = match (dns.verdict, verdict) {
                (Verdict::Blocked, _) => Verdict::Blocked,
                (Verdict::Partial, Verdict::Reachable) => Verdict::Partial,
                (Verdict::Unknown | Verdict::Unreachable, Verdict::Reachable | Verdict::Partial) => Verdict::Unknown,
                (_, verdict) => verdict,
            };
        }
        check.verdict = verdict;
    }
}

fn number(port: &PortSpec) -> Option<u16> {
    match port {
        PortSpec::Number(number) => Some(*number),
        PortSpec::Name(_) => None,
    }
}
