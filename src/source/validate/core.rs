//! Pods and Services: the parts of `pkg/apis/core/validation` that say what can be reached.

use std::collections::BTreeSet;

use super::super::origin::FieldPath;
use super::super::wire::{Container, IntOrString, PodSpec, ServiceSpec};
use super::{Check, syntax};

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const SERVICE_TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// Whether there is nothing to say of a container's ports.
fn ports_are_fine(container: &Container) -> bool {
    container.ports.iter().enumerate().all(|(index, port)| {
        let named = port.name.is_empty()
            || (syntax::port_name(&port.name).is_empty()
                && container.ports[..index].iter().all(|p| p.name != port.name));
        let protocol = port.protocol.is_empty() || PROTOCOLS.contains(&port.protocol.as_str());
        named && protocol && syntax::is_port(port.container_port)
    })
}

impl Check<'_> {
    pub(super) fn pod_spec(&mut self, spec: &PodSpec, path: impl Fn() -> FieldPath) {
        for (field, containers) in [("initContainers", &spec.init_containers), ("containers", &spec.containers)] {
            for (index, container) in containers.iter().enumerate() {
                // The path is only spelt out where there is something to say of it.
                if !ports_are_fine(container) {
                    self.container_ports(container, &path().key(field).index(index).key("ports"));
                }
            }
        }
    }

    fn container_ports(&mut self, container: &Container, path: &FieldPath) {
        let mut names = BTreeSet::new();
        for (index, port) in container.ports.iter().enumerate() {
            let path = path.clone().index(index);
            if !port.name.is_empty() {
                let at = path.clone().key("name");
                self.each(&at, &port.name, syntax::port_name(&port.name));
                if !names.insert(&port.name) {
                    self.duplicate(&at, super::quoted(&port.name));
                }
            }
            let at = path.clone().key("containerPort");
            if port.container_port == 0 {
                let before = self.found.len();
                self.required(&at, "");
                self.clear_since(before);
            } else if !syntax::is_port(port.container_port) {
                self.invalid(&at, port.container_port, syntax::PORT_RANGE);
            }
            if !port.protocol.is_empty() && !PROTOCOLS.contains(&port.protocol.as_str()) {
                self.unsupported(&path.key("protocol"), &port.protocol, &PROTOCOLS);
            }
        }
    }

    pub(super) fn service(&mut self, spec: &ServiceSpec, path: &FieldPath) {
        let external_name = spec.kind == "ExternalName";
        if !spec.kind.is_empty() && !SERVICE_TYPES.contains(&spec.kind.as_str()) {
            self.unsupported(&path.clone().key("type"), &spec.kind, &SERVICE_TYPES);
        }
        if external_name && spec.external_name.is_empty() {
            self.required(&path.clone().key("externalName"), "");
        }
        if spec.ports.is_empty() && !external_name && spec.cluster_ip != "None" {
            self.required(&path.clone().key("ports"), "");
        }
        if let Some(selector) = &spec.selector {
            self.labels(selector, &path.clone().key("selector"));
        }
        for (field, address) in [("clusterIP", &spec.cluster_ip), ("loadBalancerIP", &spec.load_balancer_ip)] {
            self.address(&path.clone().key(field), address);
        }
        for (index, address) in spec.cluster_ips.iter().enumerate() {
            self.address(&path.clone().key("clusterIPs").index(index), address);
        }
        self.service_ports(spec, &path.clone().key("ports"));
    }

    fn address(&mut self, path: &FieldPath, address: &str) {
        if !matches!(address, "" | "None") && address.parse::<std::net::IpAddr>().is_err() {
            self.invalid_text(path, address, syntax::BAD_IP);
        }
    }

    fn service_ports(&mut self, spec: &ServiceSpec, path: &FieldPath) {
        let mut names = BTreeSet::new();
        let mut ports = BTreeSet::new();
        for (index, port) in spec.ports.iter().enumerate() {
            let path = path.clone().index(index);
            let at = path.clone().key("name");
            if port.name.is_empty() {
                if spec.ports.len() > 1 {
                    let before = self.found.len();
                    self.required(&at, "");
                    self.clear_since(before);
                }
            } else {
                self.each(&at, &port.name, syntax::dns_label(&port.name));
                if !names.insert(&port.name) {
                    self.duplicate(&at, super::quoted(&port.name));
                }
            }
            if !syntax::is_port(port.port) {
                self.invalid(&path.clone().key("port"), port.port, syntax::PORT_RANGE);
            }
            let protocol = if port.protocol.is_empty() { "TCP" } else { port.protocol.as_str() };
            if !PROTOCOLS.contains(&protocol) {
                self.unsupported(&path.clone().key("protocol"), protocol, &PROTOCOLS);
            }
            let at = path.clone().key("targetPort");
            match &port.target_port {
                // Zero and the empty name stand for the port itself.
                Some(IntOrString::Int(0)) | None => {}
                Some(IntOrString::Int(number)) if !syntax::is_port(*number) => {
                    self.invalid(&at, number, syntax::PORT_RANGE);
                }
                Some(IntOrString::String(name)) if !name.is_empty() => {
                    self.each(&at, name, syntax::port_name(name));
                }
                Some(_) => {}
            }
            if !ports.insert((protocol, port.port)) {
                self.duplicate(&path, format!("{{\"port\":{},\"protocol\":\"{protocol}\"}}", port.port));
            }
        }
    }
}
