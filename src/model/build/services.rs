//! Services into the cluster, with the endpoints that EndpointSlices and Endpoints name.

use std::net::IpAddr;

use super::{Builder, is_dns_service, protocol};
use crate::model::{
    EndpointSource, NamespaceId, NodeId, PodId, Protocol, Service, ServiceEndpoint, ServiceKind, ServicePort, Str,
    TargetPort,
};
use crate::source::Origin;
use crate::source::wire::{self, IntOrString, Metadata, StringMap};

impl Builder {
    pub(super) fn finish_services(&mut self) {
        let mut services: Vec<Service> = std::mem::take(&mut self.services)
            .into_iter()
            .map(|(service, origin)| self.service(service, Some(origin)))
            .collect();
        if self.assumed_dns.as_ref().is_some_and(|a| a.service) {
            services.push(self.assumed_dns_service());
        }
        services.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
        for (index, service) in services.iter().enumerate() {
            let range = &mut self.cluster.namespaces[service.namespace.index()].services;
            if range.end == 0 {
                range.start = index as u32;
            }
            range.end = index as u32 + 1;
        }
        self.cluster.services = services;
        self.attach_slices();
        self.attach_endpoints();
    }

    fn assumed_dns_service(&mut self) -> Service {
        let service = wire::Service {
            metadata: Metadata {
                name: "kube-dns".to_owned(),
                namespace: "kube-system".to_owned(),
                ..Metadata::default()
            },
            spec: wire::ServiceSpec {
                selector: Some(StringMap::from([("k8s-app", "kube-dns")])),
                ports: [("dns", "UDP"), ("dns-tcp", "TCP")]
                    .into_iter()
                    .map(|(name, protocol)| wire::ServicePort {
                        name: name.to_owned(),
                        port: 53,
                        protocol: protocol.to_owned(),
                        ..wire::ServicePort::default()
                    })
                    .collect(),
                ..wire::ServiceSpec::default()
            },
            status: wire::ServiceStatus::default(),
        };
        self.service(service, None)
    }

    fn service(&mut self, service: wire::Service, origin: Option<Origin>) -> Service {
        let spec = service.spec;
        let headless = spec.cluster_ip == "None";
        let mut cluster_ips: Vec<IpAddr> =
            std::iter::once(&spec.cluster_ip).chain(&spec.cluster_ips).filter_map(|ip| ip.parse().ok()).collect();
        cluster_ips.sort_unstable();
        cluster_ips.dedup();
        let balancer = &service.status.load_balancer.ingress;
        let routed_ips: Vec<IpAddr> = spec.external_ips.iter().filter_map(|ip| ip.parse().ok()).collect();
        let balancers = std::iter::once(&spec.load_balancer_ip).chain(balancer.iter().map(|i| &i.ip));
        let external_ips = routed_ips.iter().copied().chain(balancers.filter_map(|ip| ip.parse().ok())).collect();
        let ports = spec
            .ports
            .iter()
            .filter_map(|p| {
                let number = u16::try_from(p.port).ok()?;
                let target = match &p.target_port {
                    None => TargetPort::Number(number),
                    Some(IntOrString::Int(0)) => TargetPort::Number(number),
                    Some(IntOrString::Int(n)) => TargetPort::Number(u16::try_from(*n).ok()?),
                    Some(IntOrString::String(name)) => match name.parse::<u16>() {
                        Ok(n) => TargetPort::Number(n),
                        Err(_) => TargetPort::Name(self.intern.str(name)),
                    },
                };
                Some(ServicePort {
                    name: self.intern.str(&p.name),
                    number,
                    protocol: protocol(&p.protocol)?,
                    target,
                    node_port: u16::try_from(p.node_port).ok().filter(|n| *n != 0),
                })
            })
            .collect();
        let kind = match spec.kind.as_str() {
            "NodePort" => ServiceKind::NodePort,
            "LoadBalancer" => ServiceKind::LoadBalancer,
            "ExternalName" => ServiceKind::ExternalName,
            _ => ServiceKind::ClusterIp,
        };
        let selector = spec.selector.filter(|s| !s.is_empty()).map(|s| self.intern.plain_labels(&s));
        Service {
            is_dns: is_dns_service(&service.metadata),
            namespace: self.namespace_id(&service.metadata.namespace),
            name: self.intern.str(&service.metadata.name),
            kind,
            cluster_ips,
            headless,
            external_ips,
            routed_ips,
            hostnames: balancer
                .iter()
                .filter(|i| !i.hostname.is_empty())
                .map(|i| self.intern.str(&i.hostname))
                .collect(),
            external_name: (kind == ServiceKind::ExternalName).then(|| self.intern.str(&spec.external_name)),
            endpoint_source: if selector.is_some() { EndpointSource::Selector } else { EndpointSource::None },
            selector,
            ports,
            publish_not_ready: spec.publish_not_ready_addresses,
            internal_local: spec.internal_traffic_policy == "Local",
            external_local: spec.external_traffic_policy == "Local",
            source_ranges: spec.load_balancer_source_ranges.iter().filter_map(|r| r.trim().parse().ok()).collect(),
            internal_balancer: is_internal(&service.metadata),
            endpoints: Vec::new(),
            origin,
        }
    }

    fn pod_behind(&self, namespace: NamespaceId, target: Option<&wire::ObjectReference>, ip: IpAddr) -> Option<PodId> {
        let named = target
            .filter(|t| t.kind == "Pod")
            .and_then(|t| self.cluster.pod(self.cluster.namespace(&t.namespace).unwrap_or(namespace), &t.name));
        named.or_else(|| self.cluster.pod_by_ip(ip))
    }

    fn node_named(&self, name: &str, pod: Option<PodId>) -> Option<NodeId> {
        self.cluster.node(name).or_else(|| pod.and_then(|p| self.cluster.pods[p.index()].node))
    }

    fn attach_slices(&mut self) {
        for slice in std::mem::take(&mut self.slices) {
            let Some(name) = slice.metadata.labels.get("kubernetes.io/service-name") else { continue };
            let namespace = self.namespace_id(&slice.metadata.namespace);
            let Some(service) = self.cluster.service(namespace, name) else { continue };
            let ports: Vec<_> = slice.ports.iter().filter_map(|p| self.intern_port(p)).collect();
            let mut found = Vec::new();
            for endpoint in &slice.endpoints {
                for address in endpoint.addresses.iter().filter_map(|a| a.parse::<IpAddr>().ok()) {
                    let pod = self.pod_behind(namespace, endpoint.target_ref.as_ref(), address);
                    let ready = endpoint.conditions.ready.unwrap_or(true);
                    found.push(ServiceEndpoint {
                        address,
                        pod,
                        node: self.node_named(&endpoint.node_name, pod),
                        ready,
                        serving: endpoint.conditions.serving.unwrap_or(ready),
                        terminating: endpoint.conditions.terminating.unwrap_or(false),
                        ports: ports.clone(),
                    });
                }
            }
            let service = &mut self.cluster.services[service.index()];
            service.endpoint_source = EndpointSource::Slices;
            service.endpoints.extend(found);
        }
    }

    fn intern_port(&mut self, port: &wire::SlicePort) -> Option<(Str, Protocol, Option<u16>)> {
        Some((self.intern.text(&port.name), protocol(&port.protocol)?, port.port.and_then(|n| u16::try_from(n).ok())))
    }

    fn attach_endpoints(&mut self) {
        for object in std::mem::take(&mut self.endpoints) {
            let namespace = self.namespace_id(&object.metadata.namespace);
            let Some(service) = self.cluster.service(namespace, &object.metadata.name) else { continue };
            if self.cluster.services[service.index()].endpoint_source == EndpointSource::Slices {
                continue;
            }
            let mut found = Vec::new();
            for subset in &object.subsets {
                let ports: Vec<_> = subset.ports.iter().filter_map(|p| self.intern_port(p)).collect();
                let ready = subset.addresses.iter().map(|a| (a, true));
                for (endpoint, ready) in ready.chain(subset.not_ready_addresses.iter().map(|a| (a, false))) {
                    let Ok(address) = endpoint.ip.parse::<IpAddr>() else { continue };
                    let pod = self.pod_behind(namespace, endpoint.target_ref.as_ref(), address);
                    found.push(ServiceEndpoint {
                        address,
                        pod,
                        node: self.node_named(&endpoint.node_name, pod),
                        ready,
                        serving: ready,
                        terminating: false,
                        ports: ports.clone(),
                    });
                }
            }
            let service = &mut self.cluster.services[service.index()];
            service.endpoint_source = EndpointSource::Endpoints;
            service.endpoints.extend(found);
        }
    }
}

/// Whether an annotation asks for a load balancer of the provider's own network (AWS, Azure, Google, Oracle, OpenStack,
/// Alibaba, IBM: Kubernetes documentation, Service, "Internal load balancer").
fn is_internal(metadata: &Metadata) -> bool {
    const ANNOTATIONS: [(&str, &str); 9] = [
        ("service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
        ("service.beta.kubernetes.io/aws-load-balancer-scheme", "internal"),
        ("service.beta.kubernetes.io/azure-load-balancer-internal", "true"),
        ("networking.gke.io/load-balancer-type", "internal"),
        ("cloud.google.com/load-balancer-type", "internal"),
        ("service.beta.kubernetes.io/oci-load-balancer-internal", "true"),
        ("service.beta.kubernetes.io/openstack-internal-load-balancer", "true"),
        ("service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type", "intranet"),
        ("service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type", "private"),
    ];
    let is = |(key, value): &(&str, &str)| metadata.annotations.get(key).is_some_and(|v| v.eq_ignore_ascii_case(value));
    ANNOTATIONS.iter().any(is)
        || metadata
            .annotations
            .get("service.beta.kubernetes.io/aws-load-balancer-internal")
            .is_some_and(|v| v == "0.0.0.0/0")
}
