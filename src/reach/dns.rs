//! The DNS leg of a check by name.

use std::net::IpAddr;

use super::check::{Check, DnsLeg, Source, Verdict, combine};
use super::eval::EndpointKind;
use super::{Endpoint, Evaluator};
use crate::model::Protocol;

impl Evaluator<'_> {
    /// UDP 53 to where the cluster's DNS really listens decides; TCP is a warning (51). Node-local DNS is a host address.
    pub(super) fn dns(&self, source: Source) -> Option<DnsLeg> {
        let mut check = Check {
            client: None,
            protocol: Protocol::Udp,
            service: None,
            service_port: None,
            external_name: None,
            dns: None,
            endpoints: Vec::new(),
            obstacle: None,
            verdict: Verdict::Unknown,
        };
        let services = self.cluster.dns_services();
        if services.is_empty() {
            return None;
        }
        let ask = |check: &mut Check, protocol| {
            check.protocol = protocol;
            check.endpoints.clear();
            check.obstacle = None;
            for id in &services {
                let service = &self.cluster.services[id.index()];
                if let Some(port) = service.ports.iter().find(|p| p.protocol == protocol && p.number == 53) {
                    check.service_port = Some(port.clone());
                    let backends = self.cluster.backends(*id, port);
                    self.backends(source, service, backends, false, check);
                }
            }
            let counted = check.endpoints.iter().filter(|e| e.counted).map(|e| e.verdict);
            combine(counted).unwrap_or(Verdict::Unreachable)
        };
        let tcp = ask(&mut check, Protocol::Tcp);
        let mut verdict = ask(&mut check, Protocol::Udp);
        let local = self.node_local_dns(source);
        if let Some(local) = local
            && local != verdict
        {
            verdict = Verdict::Unknown;
        }
        Some(DnsLeg {
            verdict,
            endpoints: check.endpoints,
            tcp,
            assumed: self.cluster.assumptions.contains(&crate::model::Assumption::ClusterDns),
        })
    }

    /// Where a node-local DNS cache runs, names are asked of it: at its link-local address on the client's own node.
    fn node_local_dns(&self, source: Source) -> Option<Verdict> {
        let seen = self.cluster.pods.iter().any(|p| {
            p.host_network && p.labels.get("k8s-app").is_some_and(|v| matches!(&**v, "node-local-dns" | "nodelocaldns"))
        });
        let Source::Pod(pod) = source else { return None };
        if !seen {
            return None;
        }
        let server = Endpoint {
            kind: EndpointKind::Node { node: self.cluster.pods[pod.index()].node, pod: None },
            ip: Some(IpAddr::from([169, 254, 20, 10])),
        };
        let client = Endpoint::pod(self.cluster, pod, false);
        let flow = self.flow(client, server, Protocol::Udp, 53, None, true);
        Some(Verdict::of(self.evaluate(&flow).outcome))
    }
}
