//! Compositions that the matrix can't tell apart, as one layer.
//!
//! The compositions of a profile and the lowered rules come in; layers go out, each with the stages of both directions. A
//! profile whose choices are open has many compositions and, for most clusters, one layer.

use super::columns::Columns;
use super::legs::OwnNode;
use super::rules::{Compiled, Lowering, Sharing, StageItems};
use super::terms::Index;
use super::vocabulary::Vocabulary;
use crate::policy::rule::{Classes, Direction};
use crate::policy::{Choices, Composition};

/// What is worked out once.
pub(super) struct Layer {
    pub(super) ingress: Vec<StageItems>,
    pub(super) egress: Vec<StageItems>,
    pub(super) shape: Shape,
}

/// What a layer was made of.
#[derive(Debug)]
pub(super) struct Shape {
    /// Its compositions, by their places among all.
    pub(super) members: Vec<usize>,
    /// What ipBlocks may match, by each reading of it.
    pub(super) blocks: Vec<Classes>,
    pub(super) end_port: bool,
    pub(super) init: bool,
    /// For ingress and for egress. Only one of the two has a pod at the near end and its node at the far one, so that how
    /// they go together makes no difference.
    pub(super) own_node: [OwnNode; 2],
}

/// A composition with what it makes of what doesn't show in its stages.
struct Member<'c> {
    composition: &'c Composition,
    /// Its place among all compositions.
    at: usize,
    ip_block: Classes,
    own_node: [OwnNode; 2],
}

/// Members with the same stages, as far as ipBlocks are matched alike.
struct Group<'c> {
    end_port: bool,
    init: bool,
    members: Vec<Member<'c>>,
}

fn joined(a: OwnNode, b: OwnNode) -> OwnNode {
    if a == b { a } else { OwnNode::Disputed }
}

/// The choices of a composition without those that make no difference here.
fn choices(composition: &Composition, vocabulary: &Vocabulary, columns: &Columns) -> Choices {
    let mut choices = composition.choices;
    choices.own_node_ingress = false;
    choices.own_node_egress = false;
    // A pod's way to itself through a Service isn't covered.
    choices.hairpin = false;
    if !vocabulary.ip_blocks {
        choices.ip_block = Classes::ALL;
    }
    if !vocabulary.end_ports {
        choices.end_port = true;
    }
    if !columns.named.iter().flatten().any(|(_, _, _, init)| *init) {
        choices.init_container_ports = false;
    }
    choices
}

/// The layers of these compositions.
pub(super) fn of(
    compositions: &[Composition],
    compiled: &Compiled<'_>,
    vocabulary: &Vocabulary,
    index: &Index<'_>,
    columns: &Columns,
) -> Vec<Layer> {
    let mut members: Vec<(Choices, Member<'_>)> = Vec::new();
    for (at, composition) in compositions.iter().enumerate() {
        let choices = choices(composition, vocabulary, columns);
        let own_node = [composition.choices.own_node_ingress, composition.choices.own_node_egress]
            .map(|judged| if judged { OwnNode::Judged } else { OwnNode::Exempt });
        match members.iter_mut().find(|(c, _)| *c == choices) {
            Some((_, member)) => {
                for (known, other) in member.own_node.iter_mut().zip(own_node) {
                    *known = joined(*known, other);
                }
            }
            None => members.push((choices, Member { composition, at, ip_block: choices.ip_block, own_node })),
        }
    }
    let mut lowered = Lowered { compiled, index, n: columns.universe, sharing: Sharing::default(), all: Vec::new() };
    let Some(first) = members.first().map(|(_, m)| m.ip_block) else { return Vec::new() };
    let mut groups: Vec<(Group<'_>, [Vec<StageItems>; 2])> = Vec::new();
    for (choices, member) in members {
        let stages = lowered.stages(&[first], member.composition);
        let (end_port, init) = (choices.end_port, choices.init_container_ports);
        match groups.iter_mut().find(|(g, s)| (g.end_port, g.init) == (end_port, init) && *s == stages) {
            Some((group, _)) => group.members.push(member),
            None => groups.push((Group { end_port, init, members: vec![member] }, stages)),
        }
    }
    let mut out = Vec::new();
    for (group, stages) in groups {
        let layer = |blocks: Vec<Classes>, own_node, [ingress, egress]: [Vec<StageItems>; 2]| Layer {
            ingress,
            egress,
            shape: Shape {
                members: group.members.iter().map(|m| m.at).collect(),
                blocks,
                end_port: group.end_port,
                init: group.init,
                own_node,
            },
        };
        if let [one] = group.members.as_slice()
            && one.ip_block == first
        {
            out.push(layer(vec![first], one.own_node, stages));
            continue;
        }
        for (blocks, own_node) in group.parts(compiled) {
            let stages = lowered.stages(&blocks, group.members[0].composition);
            out.push(layer(blocks, own_node, stages));
        }
    }
    out
}

impl Group<'_> {
    /// What ipBlocks may match and how the own node is treated, under members that can be taken together.
    ///
    /// Rules that only allow, and where one reading of ipBlocks matches all that the other does: whoever passes under the
    /// narrow reading passes under the wide one. So a match under the wide one alone is one that can't be told. Of the own
    /// node that holds unless it is exempt under the narrow reading and judged under the wide one.
    fn parts(&self, compiled: &Compiled<'_>) -> Vec<(Vec<Classes>, [OwnNode; 2])> {
        let mut by_block: Vec<(Classes, [OwnNode; 2])> = Vec::new();
        for member in &self.members {
            match by_block.iter_mut().find(|(block, _)| *block == member.ip_block) {
                Some((_, own)) => *own = [0, 1].map(|d| joined(own[d], member.own_node[d])),
                None => by_block.push((member.ip_block, member.own_node)),
            }
        }
        if let [a, b] = by_block.as_slice() {
            let (narrow, wide) = if a.0.0 & b.0.0 == a.0.0 { (a, b) } else { (b, a) };
            let nested = narrow.0.0 & wide.0.0 == narrow.0.0;
            let own_node = (0..2).all(|d| narrow.1[d] == wide.1[d] || narrow.1[d] != OwnNode::Exempt);
            let mut stages =
                self.members.iter().flat_map(|m| m.composition.ingress.iter().chain(&m.composition.egress));
            if nested && own_node && stages.all(|stage| compiled.blocks_only_allow(stage)) {
                return vec![(vec![narrow.0, wide.0], [0, 1].map(|d| joined(narrow.1[d], wide.1[d])))];
            }
        }
        by_block.into_iter().map(|(block, own)| (vec![block], own)).collect()
    }
}

/// Rules as sets, once for each reading of what ipBlocks may match.
struct Lowered<'c, 'a> {
    compiled: &'c Compiled<'a>,
    index: &'c Index<'c>,
    n: u32,
    sharing: Sharing,
    all: Vec<(Vec<Classes>, Lowering<'c, 'a>)>,
}

impl Lowered<'_, '_> {
    fn stages(&mut self, blocks: &[Classes], composition: &Composition) -> [Vec<StageItems>; 2] {
        let at = match self.all.iter().position(|(known, _)| known == blocks) {
            Some(at) => at,
            None => {
                let before = self.all.first().map(|(_, lowering)| lowering);
                let new = Lowering::new(self.compiled, self.index, self.n, blocks, before, &mut self.sharing);
                self.all.push((blocks.to_vec(), new));
                self.all.len() - 1
            }
        };
        let lowering = &self.all[at].1;
        [Direction::Ingress, Direction::Egress].map(|direction| lowering.stages(composition, direction))
    }
}
