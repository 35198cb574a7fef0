//! The one rule model that every dialect lowers into (DESIGN, "The rule model").
//!
//! A direction of a flow is decided by ordered stages: the first that decides, decides; after the last one it is
//! allowed. A stage is policies, how their rules combine, and what happens to the pods they select where none matched.
//! A rule is subject × source × destination × L4 × action. *Anything* and *nothing* are different values everywhere.

use std::net::IpAddr;
use std::ops::BitOr;

use ipnet::IpNet;

use crate::model::{NamespaceId, Protocol, Str};
use crate::source::{FieldPath, Origin};

/// The direction of a flow as the selected pod sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Towards the selected pod.
    Ingress,
    /// From the selected pod.
    Egress,
}

impl Direction {
    /// `ingress` or `egress`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// Index of a policy in [`Policies::info`](super::Policies).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(pub u32);

/// The API a policy belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyKind {
    /// networking.k8s.io/v1.
    NetworkPolicy,
    /// policy.networking.k8s.io/v1alpha2.
    ClusterNetworkPolicy,
    /// policy.networking.k8s.io/v1alpha1.
    AdminNetworkPolicy,
    /// policy.networking.k8s.io/v1alpha1.
    BaselineAdminNetworkPolicy,
    /// A kind of a plugin, by its name.
    Plugin(&'static str),
}

impl PolicyKind {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ClusterNetworkPolicy => "ClusterNetworkPolicy",
            Self::AdminNetworkPolicy => "AdminNetworkPolicy",
            Self::BaselineAdminNetworkPolicy => "BaselineAdminNetworkPolicy",
            Self::Plugin(name) => name,
        }
    }
}

/// Whose policy it is and where it was read.
#[derive(Clone, Debug)]
pub struct PolicyInfo {
    /// Its API.
    pub kind: PolicyKind,
    /// Its namespace; none for cluster-wide kinds.
    pub namespace: Option<Str>,
    /// Its name.
    pub name: Str,
    /// Where it was read.
    pub origin: Origin,
    /// `spec.priority`, where the API has one.
    pub priority: Option<i64>,
}

impl PolicyInfo {
    /// `Kind/namespace/name`, or `Kind/name`.
    pub fn reference(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}/{namespace}/{}", self.kind.name(), self.name),
            None => format!("{}/{}", self.kind.name(), self.name),
        }
    }
}

/// Which rule of a policy, which of its peers and ports: enough to find the field it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The policy.
    pub policy: PolicyId,
    /// The direction.
    pub direction: Direction,
    /// Index of the rule in the policy's list of that direction.
    pub rule: u32,
    /// Index of the peer that matched, where the rule lists any.
    pub peer: Option<u32>,
    /// Index of the port that matched, where the rule lists any.
    pub port: Option<u32>,
}

/// Which map of labels a requirement looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The pod's own labels.
    Pod,
    /// Its namespace's labels.
    Namespace,
    /// Its namespace's name; the key is not used.
    NamespaceName,
    /// Its ServiceAccount's name; the key is not used.
    ServiceAccountName,
    /// Labels of its ServiceAccount, which aren't part of the model: never known.
    ServiceAccount,
    /// Labels of a node.
    Node,
}

/// What is required of a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Present with one of these values.
    In(Vec<Str>),
    /// Missing, or present with another value (SEMANTICS 11).
    NotIn(Vec<Str>),
    /// Present.
    Exists,
    /// Missing.
    DoesNotExist,
    /// Present, and the value contains this.
    Contains(Str),
    /// Present, and the value starts with this.
    StartsWith(Str),
    /// Present, and the value ends with this.
    EndsWith(Str),
}

/// The place of a requirement within its selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequirementAt {
    /// `matchLabels`, under the requirement's key.
    MatchLabels,
    /// An item of `matchExpressions`.
    Expression(u32),
    /// Implied by the dialect: not written anywhere.
    Implied,
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// Labels it looks at.
    pub scope: Scope,
    /// Key.
    pub key: Str,
    /// What is required.
    pub op: Op,
    /// Where it is written.
    pub at: RequirementAt,
}

/// A selector of any dialect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expr {
    /// Selects everything.
    Anything,
    /// Selects nothing.
    Nothing,
    /// A requirement.
    Is(Requirement),
    /// All of these.
    All(Vec<Expr>),
    /// At least one of these.
    Any(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
}

impl Expr {
    /// Both, simplified.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Anything, x) | (x, Self::Anything) => x,
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (Self::All(mut a), Self::All(b)) => {
                a.extend(b);
                Self::All(a)
            }
            (Self::All(mut a), x) => {
                a.push(x);
                Self::All(a)
            }
            (x, Self::All(mut b)) => {
                b.insert(0, x);
                Self::All(b)
            }
            (a, b) => Self::All(vec![a, b]),
        }
    }

    /// The requirement that an endpoint's namespace has this name.
    pub fn in_namespace(name: &Str) -> Self {
        Self::Is(Requirement {
            scope: Scope::NamespaceName,
            key: "".into(),
            op: Op::In(vec![name.clone()]),
            at: RequirementAt::Implied,
        })
    }
}

/// Kinds of endpoint, as seen from the pod that a policy selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Classes(pub u16);

impl Classes {
    /// Pods with an address of their own.
    pub const POD: Self = Self(1);
    /// The node the selected pod runs on, its hostNetwork pods included.
    pub const OWN_NODE: Self = Self(1 << 1);
    /// Other nodes, their hostNetwork pods included.
    pub const OTHER_NODE: Self = Self(1 << 2);
    /// Addresses outside the cluster.
    pub const OUTSIDE: Self = Self(1 << 3);
    /// A plugin's ingress proxy.
    pub const INGRESS_PROXY: Self = Self(1 << 4);
    /// The API server.
    pub const API_SERVER: Self = Self(1 << 5);
    /// A plugin's health endpoints.
    pub const HEALTH: Self = Self(1 << 6);
    /// Every class.
    pub const ALL: Self = Self(u16::MAX);
    /// Own and other nodes.
    pub const NODES: Self = Self(Self::OWN_NODE.0 | Self::OTHER_NODE.0);

    /// Whether any class of `other` is among these.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Classes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A range of addresses with holes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The range.
    pub cidr: IpNet,
    /// Ranges left out.
    pub except: Vec<IpNet>,
}

impl Block {
    /// Whether an address is in the range and in no hole. Families never mix (SEMANTICS 16).
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.cidr.contains(&ip) && !self.except.iter().any(|e| e.contains(&ip))
    }
}

/// Which API a CIDR was written in: its API settles the classes it applies to, or leaves that to the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CidrScope {
    /// NetworkPolicy `ipBlock`: whether it matches pods and nodes is a [`Choices`](super::Choices) of the plugin.
    IpBlock,
    /// Settled by the dialect.
    Classes(Classes),
}

/// A pattern of a DNS name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainPattern {
    /// This name alone, in lower case without a final dot.
    Exact(Str),
    /// `*.example.com`: one or more labels before the suffix, not the suffix itself (SEMANTICS 61). Holds `example.com`.
    Below(Str),
}

impl DomainPattern {
    /// Whether a name in lower case without a final dot matches.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *name,
            Self::Below(suffix) => name
                .strip_suffix(&**suffix)
                .and_then(|head| head.strip_suffix('.'))
                .is_some_and(|head| !head.is_empty()),
        }
    }
}

/// One condition on an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// A pod that is not on its node's network, whose labels match.
    Pods(Expr),
    /// Anything but a pod whose labels match (Calico's `notSelector`).
    NotPods(Expr),
    /// An address in one of these ranges.
    Cidr(Vec<Block>, CidrScope),
    /// An address in none of these ranges, of a family that one of them has (Calico, rule 29).
    NotCidr(Vec<IpNet>),
    /// An endpoint of one of these classes.
    Class(Classes),
    /// An address of a node whose labels match.
    Nodes(Expr),
    /// An endpoint of a Service: address, protocol and port.
    Service(Vec<(IpAddr, Protocol, u16)>),
    /// An address that was learnt for one of these names.
    Domains(Vec<DomainPattern>),
    /// Something this version doesn't know: it matches nothing in an Allow; a Deny or Pass that holds it denies all (SEMANTICS 62).
    Unknown,
}

/// A peer: every term must hold. Without terms it is anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Index in the rule's list of peers.
    pub index: u32,
    /// Conditions.
    pub terms: Vec<Term>,
}

/// A set of endpoints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// Anything.
    Any,
    /// One of these; none of them is nothing.
    OneOf(Vec<Peer>),
}

/// Ports of a port match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// Every port.
    All,
    /// From the first to the last.
    Range(u16, u16),
    /// Every port outside these intervals (Calico's `notPorts`).
    NotIn(Vec<(u16, u16)>),
    /// Ports of this name on the destination pod (SEMANTICS 23).
    Named(Str),
}

/// A protocol and its ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortMatch {
    /// Index in the rule's list of ports.
    pub index: u32,
    /// Protocol; none for any.
    pub protocol: Option<Protocol>,
    /// Ports.
    pub ports: Ports,
    /// `endPort` was given: plugins without support use the first port alone (SEMANTICS 22).
    pub end_port: bool,
}

/// A set of protocols and ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum L4 {
    /// Anything.
    Any,
    /// One of these; none of them is nothing.
    OneOf(Vec<PortMatch>),
}

/// A condition on an allowed connection that can't be decided from the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Requests are filtered by a proxy.
    L7,
    /// The TLS server name is filtered.
    Sni,
    /// Mutual authentication must succeed.
    Authentication,
}

/// What a rule does with what it matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Allow, under conditions.
    Allow(Vec<Condition>),
    /// Deny.
    Deny,
    /// Leave the stage.
    Pass,
    /// Nothing but a log line: the next rule goes on.
    Log,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Index in the policy's list.
    pub index: u32,
    /// The side that starts the connection. In egress rules of most dialects: the subject, anything.
    pub source: Match,
    /// The side that is connected to.
    pub destination: Match,
    /// Protocols and ports, of the destination.
    pub l4: L4,
    /// What is done.
    pub action: Action,
    /// Rank among the rules of a stage that combines by precedence; lower goes first.
    pub precedence: u64,
}

impl Rule {
    /// The side across from the selected pod.
    pub fn peers(&self, direction: Direction) -> &Match {
        match direction {
            Direction::Ingress => &self.source,
            Direction::Egress => &self.destination,
        }
    }
}

/// The part of a policy that concerns one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePolicy {
    /// The policy.
    pub policy: PolicyId,
    /// The one namespace its subject is in, where it is in one: a short cut, implied by `subject`.
    pub namespace: Option<NamespaceId>,
    /// Pods it selects.
    pub subject: Expr,
    /// Priority, where the API has one: lower goes first.
    pub priority: i64,
    /// Whether the pods it selects fall to the stage's `no_match` where nothing matched.
    pub isolates: bool,
    /// Rules, in order.
    pub rules: Vec<Rule>,
}

/// How the rules of a stage combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// Policies in order, rules in order: the first match decides.
    FirstMatch,
    /// Rules of equal [`Rule::precedence`]: deny before allow before pass.
    Precedence,
    /// Policies of equal priority: the first match within each; where they disagree, either may hold (SEMANTICS 56).
    EitherOnTie,
    /// Allows are a union; there is no order.
    Union,
}

/// What happens to a pod that the stage selects, where no rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoMatch {
    /// The next stage goes on.
    Continue,
    /// Denied, for pods that an isolating policy selects.
    Deny,
}

/// What a stage is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Tier Admin of ClusterNetworkPolicy; AdminNetworkPolicy.
    Admin,
    /// NetworkPolicy.
    NetworkPolicy,
    /// Tier Baseline of ClusterNetworkPolicy; BaselineAdminNetworkPolicy.
    Baseline,
    /// Default deny of isolated pods, where it comes after Baseline.
    Default,
    /// A tier of a plugin, by name.
    Plugin(Str),
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Admin => f.write_str("Admin"),
            Self::NetworkPolicy => f.write_str("NetworkPolicy"),
            Self::Baseline => f.write_str("Baseline"),
            Self::Default => f.write_str("default deny"),
            Self::Plugin(name) => f.write_str(name),
        }
    }
}

/// A stage of one direction.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub tier: Tier,
    /// How its rules combine.
    pub combine: Combine,
    /// What happens where none matched.
    pub no_match: NoMatch,
    /// Its policies, in the order of the stage.
    pub policies: std::sync::Arc<Vec<StagePolicy>>,
    /// Skip it for pods that an isolating policy of this list selects (for either reading of SEMANTICS 59).
    pub skip_if_selected: Option<std::sync::Arc<Vec<StagePolicy>>>,
}

/// The field that a rule, or its peer or port, was written in.
pub fn field_path(kind: PolicyKind, at: &RuleRef, part: RulePart) -> FieldPath {
    let rule = FieldPath::keys("spec").key(at.direction.name()).index(at.rule as usize);
    let peers = match at.direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let ports = match kind {
        PolicyKind::ClusterNetworkPolicy => "protocols",
        _ => "ports",
    };
    match part {
        RulePart::Rule => rule,
        RulePart::Peers => rule.key(peers),
        RulePart::Peer(index) => rule.key(peers).index(index as usize),
        RulePart::Ports => rule.key(ports),
        RulePart::Port(index) => rule.key(ports).index(index as usize),
    }
}

/// A part of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RulePart {
    /// The whole rule.
    Rule,
    /// Its list of peers.
    Peers,
    /// One peer.
    Peer(u32),
    /// Its list of ports.
    Ports,
    /// One port.
    Port(u32),
}
