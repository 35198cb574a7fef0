//! What the policies can tell pods apart by: the labels, ServiceAccounts, port names and ranges that they mention.
//!
//! A pod's labels are projected onto the pairs that some selector names; any other value of a named key is "another",
//! any other key is nothing.

use rustc_hash::{FxHashMap, FxHashSet};

use super::addresses::Addresses;
use crate::model::{Cluster, ContainerKind, ContainerPort, Labels, Protocol, Str};
use crate::policy::rule::{Block, CidrScope, DomainPattern, Expr, L4, Op, Ports, Requirement, Scope, Term};

/// A (key, value) of a pod's labels; of values that no selector names there is one for each key.
pub(super) type Pair = u32;

#[derive(Debug, Default)]
pub(super) struct Key {
    values: FxHashMap<Str, Pair>,
    /// Any value that is not named.
    other: Pair,
    /// A selector looks into the values (contains, starts with, ends with): every value that occurs is named.
    whole: bool,
}

/// A named port that policies mention, as a pod declares it, and whether a plain init container does: not every plugin
/// counts those (28).
pub(super) type NamedPort = (Str, Protocol, u16, bool);

/// What the policies mention.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    keys: FxHashMap<Str, Key>,
    pairs: u32,
    /// Whether ServiceAccounts are selected by name.
    pub(super) accounts: bool,
    port_names: FxHashSet<Str>,
    /// Selectors of nodes.
    pub(super) nodes: Vec<Expr>,
    /// Patterns of DNS names.
    pub(super) names: Vec<DomainPattern>,
    blocks: FxHashSet<Block>,
    /// Whether any range can match what has an address.
    pub(super) ranges: bool,
    /// Whether any range is a NetworkPolicy's ipBlock.
    pub(super) ip_blocks: bool,
    /// Whether any rule gives an `endPort`.
    pub(super) end_ports: bool,
}

impl Vocabulary {
    /// Takes in a selector of pods.
    pub(super) fn selector(&mut self, expr: &Expr) {
        match expr {
            Expr::Anything | Expr::Nothing => {}
            Expr::Is(requirement) => self.requirement(requirement),
            Expr::All(all) | Expr::Any(all) => all.iter().for_each(|e| self.selector(e)),
            Expr::Not(e) => self.selector(e),
        }
    }

    fn requirement(&mut self, requirement: &Requirement) {
        match requirement.scope {
            Scope::Pod => {}
            Scope::ServiceAccountName => {
                self.accounts = true;
                return;
            }
            Scope::Namespace | Scope::NamespaceName | Scope::ServiceAccount | Scope::Node => return,
        }
        if !self.keys.contains_key(&requirement.key) {
            let other = self.pairs;
            self.pairs += 1;
            self.keys.insert(requirement.key.clone(), Key { other, ..Key::default() });
        }
        let Some(key) = self.keys.get_mut(&requirement.key) else { return };
        match &requirement.op {
            Op::In(values) | Op::NotIn(values) => {
                for value in values {
                    if !key.values.contains_key(value) {
                        key.values.insert(value.clone(), self.pairs);
                        self.pairs += 1;
                    }
                }
            }
            Op::Exists | Op::DoesNotExist => {}
            Op::Contains(_) | Op::StartsWith(_) | Op::EndsWith(_) => key.whole = true,
        }
    }

    /// Takes in a term of a peer.
    pub(super) fn term(&mut self, term: &Term) {
        match term {
            Term::Pods(e) | Term::NotPods(e) => self.selector(e),
            Term::Cidr(blocks, scope) => {
                self.ip_blocks |= *scope == CidrScope::IpBlock;
                blocks.iter().for_each(|b| self.block(b));
            }
            Term::NotCidr(nets) => {
                nets.iter().for_each(|cidr| self.block(&Block { cidr: *cidr, except: Vec::new() }));
            }
            Term::Service(triples) => {
                for (ip, _, _) in triples {
                    self.block(&Block { cidr: (*ip).into(), except: Vec::new() });
                }
            }
            Term::Nodes(e) => {
                if !self.nodes.contains(e) {
                    self.nodes.push(e.clone());
                }
            }
            Term::Domains(patterns) => {
                for pattern in patterns {
                    if !self.names.contains(pattern) {
                        self.names.push(pattern.clone());
                    }
                }
            }
            Term::Class(_) | Term::Unknown => {}
        }
    }

    fn block(&mut self, block: &Block) {
        self.ranges = true;
        if !self.blocks.contains(block) {
            self.blocks.insert(block.clone());
        }
    }

    /// Takes in the ports of a rule.
    pub(super) fn ports(&mut self, l4: &L4) {
        let L4::OneOf(matches) = l4 else { return };
        for one in matches {
            self.end_ports |= one.end_port;
            if let Ports::Named(name) = &one.ports
                && !self.port_names.contains(name)
            {
                self.port_names.insert(name.clone());
            }
        }
    }

    /// Whether everything that another one holds is in this one as well: then both tell the same pods apart.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let key = |(name, key): (&Str, &Key)| {
            let known = self.keys.get(name);
            known.is_some_and(|k| (k.whole || !key.whole) && key.values.keys().all(|v| k.values.contains_key(v)))
        };
        other.keys.iter().all(key)
            && (self.accounts || !other.accounts)
            && (self.ranges || !other.ranges)
            && (self.ip_blocks || !other.ip_blocks)
            && (self.end_ports || !other.end_ports)
            && other.port_names.is_subset(&self.port_names)
            && other.blocks.is_subset(&self.blocks)
            && other.nodes.iter().all(|e| self.nodes.contains(e))
            && other.names.iter().all(|p| self.names.contains(p))
    }

    /// Names every value that occurs of the keys whose values are looked into.
    pub(super) fn complete(&mut self, cluster: &Cluster) {
        if !self.keys.values().any(|k| k.whole) {
            return;
        }
        for pod in &cluster.pods {
            for (key, value) in pod.labels.iter() {
                if let Some(key) = self.keys.get_mut(key).filter(|k| k.whole)
                    && !key.values.contains_key(value)
                {
                    key.values.insert(value.clone(), self.pairs);
                    self.pairs += 1;
                }
            }
        }
    }

    /// The addresses of a family, cut by the ranges that are mentioned.
    pub(super) fn addresses(&self, v6: bool) -> Addresses {
        Addresses::new(&self.blocks, v6)
    }

    /// How many pairs there are.
    pub(super) fn pairs(&self) -> usize {
        self.pairs as usize
    }

    /// The pairs of a pod's labels, sorted.
    pub(super) fn project(&self, labels: &Labels) -> Vec<Pair> {
        let pair = |(key, value): (&Str, &Str)| {
            let key = self.keys.get(key)?;
            Some(key.values.get(value).copied().unwrap_or(key.other))
        };
        let mut out: Vec<Pair> = labels.iter().filter_map(pair).collect();
        out.sort_unstable();
        out
    }

    /// Whether port names are mentioned at all.
    pub(super) fn has_port_names(&self) -> bool {
        !self.port_names.is_empty()
    }

    /// The ports of a pod whose names are mentioned, sorted.
    pub(super) fn named_ports(&self, ports: &[ContainerPort]) -> Vec<NamedPort> {
        let mut out: Vec<NamedPort> = ports
            .iter()
            .filter_map(|p| {
                let name = p.name.clone().filter(|n| self.port_names.contains(n))?;
                Some((name, p.protocol, p.number, p.container == ContainerKind::Init))
            })
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The pairs that a requirement on a pod's labels accepts where the key is present.
    pub(super) fn accepted(&self, key: &Str, op: &Op) -> Vec<Pair> {
        let Some(key) = self.keys.get(key) else { return Vec::new() };
        let holding = |test: &dyn Fn(&str) -> bool| {
            let mut out: Vec<Pair> = key.values.iter().filter(|(v, _)| test(v)).map(|(_, pair)| *pair).collect();
            out.sort_unstable();
            out
        };
        match op {
            Op::In(values) | Op::NotIn(values) => {
                let mut out: Vec<Pair> = values.iter().filter_map(|v| key.values.get(v).copied()).collect();
                out.sort_unstable();
                out.dedup();
                out
            }
            Op::Exists | Op::DoesNotExist => {
                let mut out = holding(&|_| true);
                out.push(key.other);
                out.sort_unstable();
                out
            }
            Op::Contains(part) => holding(&|v| v.contains(&**part)),
            Op::StartsWith(part) => holding(&|v| v.starts_with(&**part)),
            Op::EndsWith(part) => holding(&|v| v.ends_with(&**part)),
        }
    }
}
