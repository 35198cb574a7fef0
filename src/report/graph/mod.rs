//! The answer of `graph`: one machine-readable document; every other format is drawn from it.

mod answer;
mod build;
mod csv;
mod digest;
mod dot;
mod drawing;
mod exposure;
mod fold;
mod html;
mod layout;
mod mermaid;
mod ports;
mod svg;
mod table;

use schemars::JsonSchema;
use serde::Serialize;

use super::check::PolicyPlace;

pub use answer::{GraphAnswer, GraphCut, GraphReached, answer, answer_text};
pub use build::{Reasons, report};
pub use csv::csv;
pub use dot::dot;
pub use exposure::{GraphExposure, GraphThrough};
pub use html::html;
pub use mermaid::mermaid;
pub use svg::svg;
pub use table::{Limit, exposure, table};

/// Who can reach whom.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphReport {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `GraphReport`.
    pub kind: String,
    /// Profile of the network plugin.
    pub cni: String,
    /// What an end with a namespace is: `workload` or `pod`.
    pub granularity: String,
    /// Family of addresses: `IPv4` or `IPv6`.
    pub family: String,
    /// What the objects don't say and was taken as given.
    pub assumptions: Vec<String>,
    /// What edges connect: workloads or pods, nodes, outside addresses, DNS names.
    pub ends: Vec<GraphEnd>,
    /// Who reaches whom: each pair of ends in at most one edge; pairs in none are closed.
    pub edges: Vec<GraphEdge>,
    /// What is exposed: to clients outside, to other namespaces, to any pod, to pods that don't exist yet.
    pub exposures: Vec<GraphExposure>,
    /// Rules that decide edges.
    pub rules: Vec<GraphRule>,
    /// Sizes.
    pub counts: GraphCounts,
    /// What is to be said about it.
    pub notes: Vec<String>,
}

/// An end of edges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphEnd {
    /// What edges call it: `shop/Deployment/frontend`, `internet`, `nodes`, `addresses/10.0.0.0/8`, `name/example.com`.
    pub id: String,
    /// Short name, for people.
    pub label: String,
    /// `Pod`, `Deployment` and other workloads, `Nodes`, `Addresses`, `Internet`, `Name`.
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Pods it stands for; none for a template whose number of pods isn't known, and for what isn't pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<usize>,
    /// Whether its pods share their node's network.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub host_network: bool,
    /// Ranges of its addresses; the longest lists are cut.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<String>,
}

/// Clients that reach servers: every one of them every one of them, but none itself. One end alone on both sides means its
/// pods among each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphEdge {
    /// Ids of the clients.
    pub from: Vec<String>,
    /// Ids of the servers.
    pub to: Vec<String>,
    /// The ports in words: `TCP 80,8080 UDP 53`, `all`, `TCP 5432 (some pods)`.
    pub summary: String,
    /// Open between all pods of both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<PortRange>,
    /// Open between some of their pods, closed between others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partial: Vec<PortRange>,
    /// Can't be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<PortRange>,
    /// Indices in `rules` of those that decide at the client and at the server, for the pair in `example` where there
    /// are several pairs.
    pub rules: Vec<usize>,
    /// Directions in which no policy decides about the pods: `egress`, `ingress`.
    pub unrestricted: Vec<String>,
    /// Ids of the pair that `rules` and `unrestricted` are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<(String, String)>,
}

/// Ports of one protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortRange {
    /// `TCP`, `UDP`, `SCTP`, `ICMP`, `ICMPv6`; `any` for every protocol, those without ports included; else a number.
    pub protocol: String,
    /// Ports: `80,8080-8090`; none for a protocol without ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
}

/// A rule that decides edges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphRule {
    /// Where it is.
    #[serde(flatten)]
    pub place: PolicyPlace,
    /// Its lines, as they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
}

/// Sizes of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphCounts {
    /// Pods.
    pub pods: u64,
    /// Ends that are pods or workloads.
    pub workloads: u64,
    /// Pairs of ends with an edge.
    pub pairs: u64,
    /// Those of them where something is open for sure between all pods.
    pub open: u64,
    /// Those where something is open between some pods.
    pub partial: u64,
    /// Those where something can't be told.
    pub unknown: u64,
}
