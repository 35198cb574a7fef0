//! The flow log that the network plugin keeps by itself: Cilium's Hubble, asked in the agent's pod of each node.
//!
//! The same can be asked by hand with the command that is told; it reads alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::super::super::ask::{Ask, PODS};
use super::super::super::client::{Api, JSON};
use super::super::super::error::{LiveError, Trouble, shorten};
use super::super::preflight::{Needed, Rights};
use super::super::session::{self, Place};
use crate::probe_target::{Protocol, Target};

/// Where Cilium's agents are looked for, and their label (its Helm chart's).
pub(super) const NAMESPACE: &str = "kube-system";
const LABEL: &str = "k8s-app=cilium";
const CONTAINER: &str = "cilium-agent";

/// What it takes there.
pub(super) const RIGHTS: &Needed = &[("pods", "list"), ("pods/exec", "create"), ("pods/exec", "get")];

/// Flows that are read.
const MOST: u32 = 100;

/// An agent of the plugin, with what it is asked.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pod: String,
    node: String,
    command: Vec<String>,
}

/// What one log says of a burst.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// The node.
    pub node: String,
    /// Each kind of flow with how many there were.
    pub kinds: Vec<(Flow, usize)>,
}

/// A kind of flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// `FORWARDED`, `DROPPED` …
    pub verdict: String,
    /// `EGRESS` or `INGRESS`.
    pub direction: String,
    /// Why it was dropped, such as `POLICY_DENIED`.
    pub reason: String,
    /// The policies that denied it, where the plugin tells.
    pub policies: Vec<String>,
}

/// The agents on some nodes.
pub(super) async fn agents(
    api: &Api,
    nodes: &[String],
    from: Option<IpAddr>,
    to: IpAddr,
    target: &Target,
) -> Result<Vec<Agent>, LiveError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct List {
        items: Vec<Item>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Item {
        metadata: Named,
        spec: Placed,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named {
        name: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Placed {
        node_name: String,
    }
    let ask = Ask::labelled(PODS, NAMESPACE, LABEL.to_owned());
    let body = api.get(&ask.path(), JSON, &ask.describe()).await?;
    let list: List = serde_json::from_slice(&body).map_err(|_| {
        LiveError::new(Trouble::Protocol, format!("the server's answer to {} can't be read", ask.describe()))
    })?;
    Rights::new(api, NAMESPACE).have(RIGHTS).await?;
    let mut command: Vec<String> = ["hubble", "observe", "--since", "1m", "--last"].map(str::to_owned).into();
    command.push(MOST.to_string());
    if let Some(from) = from {
        command.extend(["--from-ip".to_owned(), from.to_string()]);
    }
    command.extend(["--to-ip".to_owned(), to.to_string()]);
    if let Some(dial) = &target.dial {
        command.extend(["--protocol".to_owned(), dial.protocol.to_string()]);
        if dial.protocol != Protocol::Sctp {
            command.extend(["--to-port".to_owned(), dial.port.to_string()]);
        }
    }
    command.extend(["-o".to_owned(), "jsonpb".to_owned()]);
    let found = list.items.into_iter().filter(|item| nodes.contains(&item.spec.node_name));
    let agents: Vec<Agent> = found
        .map(|item| Agent { pod: item.metadata.name, node: item.spec.node_name, command: command.clone() })
        .collect();
    if agents.is_empty() {
        return Err(LiveError::new(Trouble::NotFound, format!("no pod `{LABEL}` in `{NAMESPACE}` on these nodes")));
    }
    Ok(agents)
}

impl Agent {
    pub(super) fn name(&self) -> String {
        format!("cilium on node {}", self.node)
    }

    /// The command that does the same.
    pub(super) fn command(&self) -> String {
        format!("kubectl exec -n {NAMESPACE} {} -c {CONTAINER} -- {}", self.pod, self.command.join(" "))
    }

    pub(super) async fn read(&self, api: &Api, deadline: Instant) -> Result<Flows, LiveError> {
        let place = Place { namespace: NAMESPACE, pod: &self.pod, container: CONTAINER };
        let command: Vec<&str> = self.command.iter().map(String::as_str).collect();
        let late = |_| LiveError::new(Trouble::Timeout, "hubble has not answered in time");
        let said = timeout_at(deadline, session::exec(api, place, &command, None)).await.map_err(late)??;
        let kinds = read(&said.out);
        if kinds.is_empty() && !said.err.trim().is_empty() {
            return Err(LiveError::new(Trouble::NoAnswer, format!("hubble says: {}", shorten(&said.err))));
        }
        Ok(Flows { node: self.node.clone(), kinds })
    }
}

/// The flows of a log: a JSON object a line, with the flow below `flow` (`-o jsonpb`) or by itself (`-o json` of old ones).
fn read(text: &str) -> Vec<(Flow, usize)> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Line {
        flow: Option<Written>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Written {
        verdict: String,
        traffic_direction: String,
        drop_reason_desc: String,
        is_reply: Option<bool>,
        egress_denied_by: Vec<Policy>,
        ingress_denied_by: Vec<Policy>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Policy {
        name: String,
        namespace: String,
        kind: String,
    }
    let mut kinds: BTreeMap<Flow, usize> = BTreeMap::new();
    for line in text.lines().take(MOST as usize * 4) {
        let written = match serde_json::from_str::<Line>(line) {
            Ok(Line { flow: Some(flow) }) => flow,
            _ => continue,
        };
        if written.verdict.is_empty() || written.is_reply == Some(true) {
            continue;
        }
        let policies = written.egress_denied_by.iter().chain(&written.ingress_denied_by).map(|p| {
            let kind = if p.kind.is_empty() { "policy" } else { &p.kind };
            let name = if p.namespace.is_empty() { p.name.clone() } else { format!("{}/{}", p.namespace, p.name) };
            shorten(&format!("{kind} {name}"))
        });
        let flow = Flow {
            policies: policies.collect(),
            verdict: shorten(&written.verdict),
            direction: shorten(&written.traffic_direction),
            reason: shorten(&written.drop_reason_desc),
        };
        *kinds.entry(flow).or_default() += 1;
    }
    kinds.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_counted_by_kind() {
        let dropped = r#"{"flow":{"time":"2026-09-20T14:56:45Z","verdict":"DROPPED","drop_reason":133,"IP":{"source":"10.0.1.116","destination":"10.0.1.117","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":38160,"destination_port":8080,"flags":{"SYN":true}}},"Type":"L3_L4","node_name":"n","traffic_direction":"INGRESS","drop_reason_desc":"POLICY_DENY","ingress_denied_by":[{"name":"db","namespace":"shop","kind":"CiliumNetworkPolicy"}],"Summary":"TCP Flags: SYN"},"node_name":"n","time":"2026-09-20T14:56:45Z"}"#;
        let forwarded = r#"{"flow":{"verdict":"FORWARDED","traffic_direction":"EGRESS"}}"#;
        let reply = r#"{"flow":{"verdict":"FORWARDED","traffic_direction":"INGRESS","is_reply":true}}"#;
        let text = [dropped, forwarded, dropped, reply, "nonsense", r#"{"lost_events":{}}"#].join("\n");
        let of = |verdict: &str, direction: &str, reason: &str, policies: &[&str]| Flow {
            verdict: verdict.to_owned(),
            direction: direction.to_owned(),
            reason: reason.to_owned(),
            policies: policies.iter().map(|p| (*p).to_owned()).collect(),
        };
        assert_eq!(
            read(&text),
            [
                (of("DROPPED", "INGRESS", "POLICY_DENY", &["CiliumNetworkPolicy shop/db"]), 2),
                (of("FORWARDED", "EGRESS", "", &[]), 1),
            ]
        );
        assert_eq!(read("Error: failed to connect to hubble\n"), []);
    }
}
