//! Plugin profiles: what each network plugin does where Kubernetes leaves behaviour open, and how it composes stages.
//!
//! Where a plugin's behaviour isn't settled by its source, its documentation or packets, the profile holds both choices:
//! a verdict on which they disagree is unknown. `generic` holds the distinct choices of all named profiles.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use super::rule::{Classes, Combine, Direction, NoMatch, Stage, StagePolicy, Tier};
use super::{Lowered, Policies};

/// How two cluster-wide policies of one tier and equal priority combine (SEMANTICS 56).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tie {
    /// Either may go first.
    Either,
    /// By name.
    ByName,
    /// Rules interleave by their index; deny before allow before pass.
    Interleaved,
}

/// Settled answers to the questions that Kubernetes leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Choices {
    /// What a NetworkPolicy's ipBlock may match: pods and nodes, or addresses outside the cluster alone (17).
    pub ip_block: Classes,
    /// Whether NetworkPolicy judges a pod that reaches itself through a Service (43).
    pub hairpin: bool,
    /// Whether egress policy judges traffic to the pod's own node; the documentation says it is always allowed (44).
    pub own_node_egress: bool,
    /// Whether Baseline is consulted for a direction in which no NetworkPolicy isolates a pod that one isolates in the
    /// other (59).
    pub baseline_for_other_direction: bool,
    /// Whether the default deny of NetworkPolicy comes after Baseline, so that Baseline can let traffic in (59).
    pub default_deny_last: bool,
    /// Equal priorities.
    pub tie: Tie,
    /// Whether `endPort` is understood (22).
    pub end_port: bool,
    /// Whether ingress policy judges traffic from the pod's own node, so that a rule must let it in (44).
    pub own_node_ingress: bool,
    /// Whether the names of plain init containers' ports count in rules (28).
    pub init_container_ports: bool,
}

/// What the text of the API reference says, where it says something.
pub const SPECIFICATION: Choices = Choices {
    ip_block: Classes::ALL,
    hairpin: false,
    own_node_egress: false,
    baseline_for_other_direction: true,
    default_deny_last: false,
    tie: Tie::Either,
    end_port: true,
    own_node_ingress: false,
    init_container_ports: false,
};

/// A network plugin, as far as policies are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Name, as `--cni` takes it.
    pub name: String,
    /// What it may do, each with the plugins that do it; one entry where all is settled.
    pub choices: Vec<(Choices, Vec<&'static str>)>,
    /// Whether it refuses what it denies, so that a client sees "connection refused" and no time-out.
    pub rejects: bool,
}

/// The plugins with a profile of their own.
pub const NAMED: [&str; 7] =
    ["antrea", "aws-vpc-cni", "calico", "cilium", "kube-network-policies", "kube-router", "ovn-kubernetes"];

impl Profile {
    /// A profile with settled choices, for a plugin that has no name here.
    pub fn settled(name: &str, choices: Choices) -> Self {
        Self { name: name.to_owned(), choices: vec![(choices, Vec::new())], rejects: false }
    }

    /// The profile of plain manifests: whatever any named plugin may do.
    pub fn generic() -> Self {
        let mut all: BTreeMap<Choices, Vec<&'static str>> = BTreeMap::new();
        for name in NAMED {
            for choices in named(name) {
                // The text is clear that a NetworkPolicy's default deny is final, and that a finished container has no ports: a
                // plugin that sees it otherwise deviates, and a deviation acts only under its own profile.
                let choices = Choices {
                    default_deny_last: SPECIFICATION.default_deny_last,
                    init_container_ports: SPECIFICATION.init_container_ports,
                    ..choices
                };
                let plugins = all.entry(choices).or_default();
                if !plugins.contains(&name) {
                    plugins.push(name);
                }
            }
        }
        Self { name: "generic".to_owned(), choices: all.into_iter().collect(), rejects: false }
    }

    /// Whether every question is settled.
    pub fn is_settled(&self) -> bool {
        self.choices.len() == 1
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::generic()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "generic" {
            return Ok(Self::generic());
        }
        let Some(known) = NAMED.into_iter().find(|n| *n == name) else {
            return Err(format!("unknown plugin `{name}`: one of generic, {}", NAMED.join(", ")));
        };
        Ok(Self {
            name: known.to_owned(),
            choices: named(known).into_iter().map(|c| (c, vec![known])).collect(),
            // kube-router ends its chains in REJECT (calico#4500, weave#3436 compare them).
            rejects: known == "kube-router",
        })
    }
}

/// The choices of a named plugin; several where a question isn't settled for it.
fn named(name: &str) -> Vec<Choices> {
    let base = SPECIFICATION;
    match name {
        // Packets recorded on Kubernetes 1.36: ipBlocks match pod addresses, a pod is judged when it reaches itself through
        // its Service, egress to the own node is judged, Baseline is skipped for the other direction.
        "kube-network-policies" => {
            vec![Choices { hairpin: true, own_node_egress: true, baseline_for_other_direction: false, ..base }]
        }
        // projectcalico/calico: `pol` matches nets against any address; egress policy goes before
        // defaultEndpointToHostAction (`static.go`); ClusterNetworkPolicy ties are broken by name (`policy_sorter.go`).
        // Whether hairpin traffic is judged depends on where it is masqueraded. Named ports are those of all containers, init
        // containers among them (`workload_endpoint_default.go`).
        "calico" => {
            either_hairpin(Choices { own_node_egress: true, tie: Tie::ByName, init_container_ports: true, ..base })
        }
        // cilium/cilium: CIDR selectors match world identities alone unless `policy-cidr-match-mode` says so
        // (`selector.go`, #9209); a pod always reaches itself; the host is an identity like others in egress; ties by
        // precedence (`precedence.go`). `repository.go` puts default deny after Baseline, against the API's text: no
        // packets settle it yet.
        "cilium" => [true, false]
            .into_iter()
            .map(|default_deny_last| Choices {
                ip_block: Classes::OUTSIDE,
                own_node_egress: true,
                default_deny_last,
                tie: Tie::Interleaved,
                ..base
            })
            .collect(),
        // Their treatment of the own node and of hairpin traffic isn't documented.
        "antrea" | "ovn-kubernetes" | "aws-vpc-cni" | "kube-router" => [false, true]
            .into_iter()
            .flat_map(|own_node_egress| either_hairpin(Choices { own_node_egress, ..base }))
            .collect(),
        _ => vec![base],
    }
}

fn either_hairpin(choices: Choices) -> Vec<Choices> {
    vec![Choices { hairpin: false, ..choices }, Choices { hairpin: true, ..choices }]
}

/// The stages that decide each direction, under one set of choices.
#[derive(Clone, Debug)]
pub struct Composition {
    /// The choices.
    pub choices: Choices,
    /// Plugins that make them; empty for a profile without a name.
    pub plugins: Vec<&'static str>,
    /// Stages at the server.
    pub ingress: Vec<Stage>,
    /// Stages at the client.
    pub egress: Vec<Stage>,
}

impl Composition {
    /// The stages of a direction.
    pub fn stages(&self, direction: Direction) -> &[Stage] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// Composes the stages of a profile: one composition for each of its choices that these policies can tell apart.
pub fn compose(policies: &Policies, profile: &Profile) -> Vec<Composition> {
    compose_part(policies, policies, profile)
}

/// The same choices with stages that hold only some of these policies: enough for pods that none of the others selects.
pub fn compose_part(policies: &Policies, part: &Policies, profile: &Profile) -> Vec<Composition> {
    let mut out: Vec<Composition> = Vec::new();
    // Few profiles ask for it.
    let isolation = LazyCell::new(|| without_rules(&part.network));
    for (choices, plugins) in &profile.choices {
        let choices = relevant(*choices, policies);
        if let Some(same) = out.iter_mut().find(|c| c.choices == choices) {
            for plugin in plugins {
                if !same.plugins.contains(plugin) {
                    same.plugins.push(plugin);
                }
            }
            continue;
        }
        let stages = |direction| stages(part, &isolation, choices, direction);
        out.push(Composition {
            choices,
            plugins: plugins.clone(),
            ingress: stages(Direction::Ingress),
            egress: stages(Direction::Egress),
        });
    }
    for composition in &mut out {
        composition.plugins.sort_unstable();
    }
    out
}

/// The choices with those set to the specification's that make no difference for these policies.
fn relevant(mut choices: Choices, policies: &Policies) -> Choices {
    let none = |lowered: &Lowered| lowered.ingress.is_empty() && lowered.egress.is_empty();
    if none(&policies.baseline) {
        choices.baseline_for_other_direction = SPECIFICATION.baseline_for_other_direction;
        choices.default_deny_last = SPECIFICATION.default_deny_last;
    }
    if none(&policies.baseline) && none(&policies.admin) {
        choices.tie = SPECIFICATION.tie;
        if none(&policies.network) {
            choices = SPECIFICATION;
        }
    }
    choices
}

fn without_rules(lowered: &Lowered) -> Lowered {
    let strip = |policies: &[StagePolicy]| {
        Arc::new(policies.iter().map(|p| StagePolicy { rules: Vec::new(), ..p.clone() }).collect::<Vec<_>>())
    };
    Lowered { ingress: strip(&lowered.ingress), egress: strip(&lowered.egress) }
}

fn stages(
    policies: &Policies,
    isolation: &impl Deref<Target = Lowered>,
    choices: Choices,
    direction: Direction,
) -> Vec<Stage> {
    let combine = match choices.tie {
        Tie::Either => Combine::EitherOnTie,
        Tie::ByName => Combine::FirstMatch,
        Tie::Interleaved => Combine::Precedence,
    };
    let other = match direction {
        Direction::Ingress => Direction::Egress,
        Direction::Egress => Direction::Ingress,
    };
    let mut out = Vec::with_capacity(4);
    let mut push = |tier, combine, no_match, policies: &Arc<Vec<StagePolicy>>, skip_if_selected| {
        if !policies.is_empty() {
            out.push(Stage { tier, combine, no_match, policies: policies.clone(), skip_if_selected });
        }
    };
    let network_no_match = if choices.default_deny_last { NoMatch::Continue } else { NoMatch::Deny };
    let skip = (!choices.baseline_for_other_direction).then(|| isolation.of(other).clone());
    push(Tier::Admin, combine, NoMatch::Continue, policies.admin.of(direction), None);
    push(Tier::NetworkPolicy, Combine::Union, network_no_match, policies.network.of(direction), None);
    push(Tier::Baseline, combine, NoMatch::Continue, policies.baseline.of(direction), skip);
    if choices.default_deny_last {
        push(Tier::Default, Combine::Union, NoMatch::Deny, isolation.of(direction), None);
    }
    out
}
