//! NetworkPolicy v1: `ValidateNetworkPolicy` of `pkg/apis/networking/validation`.

use super::super::diagnostic::Part;
use super::super::origin::FieldPath;
use super::super::wire::{IntOrString, IpBlock, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use super::{Check, syntax};

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

impl Check<'_> {
    pub(super) fn network_policy(&mut self, spec: &NetworkPolicySpec, path: &FieldPath) {
        self.selector(&spec.pod_selector, &path.clone().key("podSelector"));
        for (index, rule) in spec.ingress.iter().enumerate() {
            let path = path.clone().key("ingress").index(index);
            self.ports_and_peers(&rule.ports, &rule.from, &path, "from");
        }
        for (index, rule) in spec.egress.iter().enumerate() {
            let path = path.clone().key("egress").index(index);
            self.ports_and_peers(&rule.ports, &rule.to, &path, "to");
        }
        let types = path.clone().key("policyTypes");
        if spec.policy_types.len() > 2 {
            let list = spec.policy_types.iter().map(|t| format!("\"{t}\"")).collect::<Vec<_>>().join(",");
            self.invalid(&types, format!("[{list}]"), "may not specify more than two policyTypes");
            return;
        }
        for (index, policy_type) in spec.policy_types.iter().enumerate() {
            if !matches!(policy_type.as_str(), "Ingress" | "Egress") {
                self.unsupported(&types.clone().index(index), policy_type, &["Ingress", "Egress"]);
            }
        }
    }

    fn ports_and_peers(
        &mut self,
        ports: &[NetworkPolicyPort],
        peers: &[NetworkPolicyPeer],
        path: &FieldPath,
        direction: &str,
    ) {
        for (index, port) in ports.iter().enumerate() {
            self.network_policy_port(port, &path.clone().key("ports").index(index));
        }
        for (index, peer) in peers.iter().enumerate() {
            self.network_policy_peer(peer, &path.clone().key(direction).index(index));
        }
    }

    fn network_policy_port(&mut self, port: &NetworkPolicyPort, path: &FieldPath) {
        if let Some(protocol) = &port.protocol
            && !PROTOCOLS.contains(&protocol.as_str())
        {
            self.unsupported(&path.clone().key("protocol"), protocol, &PROTOCOLS);
        }
        let (at, end_at) = (path.clone().key("port"), path.clone().key("endPort"));
        match (&port.port, port.end_port) {
            (Some(IntOrString::Int(number)), end) => {
                if !syntax::is_port(*number) {
                    self.invalid(&at, number, syntax::PORT_RANGE);
                }
                if let Some(end) = end {
                    if end < *number {
                        self.invalid(&end_at, end, "must be greater than or equal to `port`");
                    }
                    if !syntax::is_port(end) {
                        self.invalid(&end_at, end, syntax::PORT_RANGE);
                    }
                }
            }
            (Some(IntOrString::String(name)), end) => {
                if let Some(end) = end {
                    self.invalid(&end_at, end, "may not be specified when `port` is non-numeric");
                }
                for problem in syntax::port_name(name) {
                    let error = self.invalid_text(&at, name, &problem);
                    if name.parse::<u16>().is_ok() {
                        error.helps.push("a port in quotes is a name; write the number without quotes".to_owned());
                    }
                }
            }
            (None, Some(end)) => {
                self.invalid(&end_at, end, "may not be specified when `port` is not specified");
            }
            (None, None) => {}
        }
    }

    fn network_policy_peer(&mut self, peer: &NetworkPolicyPeer, path: &FieldPath) {
        if let Some(selector) = &peer.pod_selector {
            self.selector(selector, &path.clone().key("podSelector"));
        }
        if let Some(selector) = &peer.namespace_selector {
            self.selector(selector, &path.clone().key("namespaceSelector"));
        }
        if let Some(block) = &peer.ip_block {
            self.ip_block(block, &path.clone().key("ipBlock"));
            if peer.pod_selector.is_some() || peer.namespace_selector.is_some() {
                self.forbidden(path, "may not specify both ipBlock and another peer");
            }
        } else if peer.pod_selector.is_none() && peer.namespace_selector.is_none() {
            self.required(path, "must specify a peer");
        }
    }

    fn ip_block(&mut self, block: &IpBlock, path: &FieldPath) {
        let at = path.clone().key("cidr");
        if block.cidr.is_empty() {
            self.required(&at, "");
            return;
        }
        let Some(whole) = self.cidr(&at, &block.cidr) else { return };
        for (index, except) in block.except.iter().enumerate() {
            let at = path.clone().key("except").index(index);
            if let Some(range) = self.cidr(&at, except)
                && !whole.strictly_contains(range)
            {
                self.invalid_text(&at, except, "must be a strict subset of `cidr`");
            }
        }
    }

    /// A range of addresses. The API server takes one with host bits and warns of it.
    pub(super) fn cidr(&mut self, path: &FieldPath, text: &str) -> Option<syntax::Cidr> {
        match syntax::cidr(text) {
            Ok(range) => {
                if range.network() != range.address {
                    let meant = format!("{}/{}", range.network(), range.prefix);
                    self.warn(
                        path,
                        Part::Value,
                        format!("CIDR value \"{text}\" has bits set beyond the prefix length"),
                        &format!("read as `{meant}`"),
                    );
                }
                Some(range)
            }
            Err(problem) => {
                let error = self.invalid_text(path, text, problem);
                if problem == syntax::BAD_CIDR
                    && let Ok(address) = text.parse::<std::net::IpAddr>()
                {
                    let length = if address.is_ipv4() { 32 } else { 128 };
                    error.helps.push(format!("a single address is `{address}/{length}`"));
                }
                None
            }
        }
    }
}
