//! Changed policies laid over a matrix: only what they touch is worked out again (PERFORMANCE 10).
//!
//! A cluster and its policies come in; an [`Engine`] is their matrix with what it was worked out from. The policies of
//! another version and what differs between both go in then; a [`Revision`] comes out: the rows that may differ, as they were
//! and as they are.
//!
//! What passes between two endpoints depends on the policies that select one of the two. So a changed policy touches the
//! servers that it selects for ingress and the clients that it selects for egress; of these the legs are worked out again
//! from the policies that may select them, all other legs are those of the matrix. Nothing of this is done, and the answer
//! is none, where the changed policies tell pods apart that the matrix takes together, or where choices of the profile that
//! made no difference would make one: the matrix of the other version has to be built then.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::columns::Columns;
use super::layers::{self, Layer, Shape};
use super::legs::{Legs, Work};
use super::products::Leg;
use super::rows::Part as RowPart;
use super::rows::{self, Row, Taint, among};
use super::rules::{Compiled, Item, Lowering, Sharing, StageItems};
use super::sets::Set;
use super::terms::Index;
use super::vocabulary::{NamedPort, Vocabulary};
use super::{Connections, Matrix, Options, rules};
use crate::model::{Cluster, ContainerKind, ContainerPort};
use crate::policy::profile::{compose, compose_part};
use crate::policy::rule::{Direction, StagePolicy};
use crate::policy::{Choices, Composition, Edits, Lowered, Policies, Profile};

/// The matrix of a version, and what it was worked out from.
#[derive(Debug)]
pub struct Engine<'a> {
    matrix: Matrix<'a>,
    index: Index<'a>,
    declared: Vec<Vec<ContainerPort>>,
    shapes: Vec<Shape>,
    legs: Vec<[Legs; 2]>,
    taint: Taint,
}

/// Servers of whom some clients may get something else.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The servers.
    pub servers: Set,
    /// The clients that it is about; all of them where there is none.
    pub clients: Option<Set>,
    /// What these get in the earlier version.
    pub before: Vec<RowPart>,
    /// What they get in the later one.
    pub after: Vec<RowPart>,
}

/// Clients that get something else of servers.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The clients.
    pub clients: Set,
    /// What they got.
    pub before: Connections,
    /// What they get.
    pub after: Connections,
}

/// What another version makes of a matrix.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// Servers whose rows may differ, each in one of them.
    pub changed: Vec<Changed>,
    of: FxHashMap<u32, u32>,
}

/// The place of a direction in a layer's pair of legs.
fn place(direction: Direction) -> usize {
    usize::from(direction == Direction::Egress)
}

impl<'a> Engine<'a> {
    /// Builds the matrix of a profile, ready for the policies of `later` versions: what those tell apart, it tells apart.
    pub fn new(
        cluster: &'a Cluster,
        policies: &Policies,
        profile: &Profile,
        later: &[&Edits<'_>],
        options: Options,
    ) -> Self {
        let later: Vec<Composition> =
            later.iter().flat_map(|edits| compose_part(policies, &holding(&edits.after), profile)).collect();
        Self::build(cluster, policies, &compose(policies, profile), &later, options)
    }

    pub(super) fn build(
        cluster: &'a Cluster,
        policies: &Policies,
        compositions: &[Composition],
        later: &[Composition],
        options: Options,
    ) -> Self {
        let compiled = Compiled::new(compositions);
        let mut vocabulary = Vocabulary::default();
        compiled.mention(&mut vocabulary);
        Compiled::new(later).mention(&mut vocabulary);
        vocabulary.complete(cluster);
        let columns = Arc::new(Columns::new(cluster, &vocabulary, options.v6));
        let n = columns.universe;
        let vocabulary = Arc::new(vocabulary);
        let index = Index::new(cluster, vocabulary.clone(), columns.clone());
        let declared = declared(&columns);
        let mut shapes = Vec::new();
        let mut legs: Vec<[Legs; 2]> = Vec::new();
        for Layer { ingress, egress, shape } in layers::of(compositions, &compiled, &vocabulary, &index, &columns) {
            let ports = rules::rule_ports(&compiled, shape.end_port, shape.init);
            let work = |stages, direction| Work {
                columns: &columns,
                stages,
                ports: &ports,
                declared: &declared,
                direction,
                own_node: shape.own_node[place(direction)],
            };
            let (ingress, egress) = rayon::join(
                || work(ingress.as_slice(), Direction::Ingress).legs(None),
                || work(egress.as_slice(), Direction::Egress).legs(None),
            );
            legs.push([ingress, egress]);
            shapes.push(shape);
        }
        let taint = Taint::new(cluster, policies, &columns);
        let (rows, row_of) = rows::rows(&legs, &taint, n);
        let matrix = Matrix { cluster, columns, rows, row_of };
        Self { matrix, index, declared, shapes, legs, taint }
    }

    /// The matrix.
    pub fn matrix(&self) -> &Matrix<'a> {
        &self.matrix
    }

    /// The matrix alone.
    pub fn into_matrix(self) -> Matrix<'a> {
        self.matrix
    }

    fn n(&self) -> u32 {
        self.matrix.columns.universe
    }

    /// What becomes of the matrix of `before` under the policies of `after`, which differ by `edits`. None where it has to
    /// be built anew.
    pub fn revise(
        &self,
        before: &Policies,
        after: &Policies,
        profile: &Profile,
        edits: &Edits<'_>,
    ) -> Option<Revision> {
        let added = compose_part(after, &holding(&edits.after), profile);
        let mut mentioned = Vocabulary::default();
        Compiled::new(&added).mention(&mut mentioned);
        if !self.index.vocabulary().covers(&mentioned) {
            return None;
        }
        let mut near = [Set::empty(), Set::empty()];
        for (direction, policy) in edits.before.iter().chain(&edits.after) {
            let selected = self.index.selector(&policy.subject).possible(self.n());
            let to = &mut near[place(*direction)];
            *to = to.or(&selected, self.n());
        }
        let versions = [before, after];
        // The same compositions, as far as they go.
        let [old, new] = versions.map(|policies| -> Vec<Choices> {
            compose_part(policies, &Policies::default(), profile).into_iter().map(|c| c.choices).collect()
        });
        if old != new {
            return None;
        }
        // Under some choices, being selected for one direction makes a difference to the other.
        if old.iter().any(|c| !c.baseline_for_other_direction) {
            let both = near[0].or(&near[1], self.n());
            near = [both.clone(), both];
        }
        let [ingress, egress] = near;
        let new_ingress = match ingress.is_empty() {
            true => None,
            false => {
                let part = self.part(after, profile, &ingress);
                Some(self.stages(&part, Direction::Ingress)?.into_iter().map(|l| l.legs(self, &ingress)).collect())
            }
        };
        let mut servers = ingress.clone();
        let new_egress = match egress.is_empty() {
            true => None,
            false => {
                let parts = versions.map(|policies| self.part(policies, profile, &egress));
                let [old, new] = [&parts[0], &parts[1]].map(|part| self.stages(part, Direction::Egress));
                let (old, new) = (old?, new?);
                for (old, new) in old.iter().zip(&new) {
                    servers = servers.or(&old.servers_apart(new, self.n()), self.n());
                }
                Some([old, new].map(|all| all.into_iter().map(|layer| layer.legs(self, &servers)).collect()))
            }
        };
        let touched = Touched { ingress, new_ingress, egress, new_egress, servers };
        Some(self.compare(&touched))
    }

    /// The stages of one direction in each layer, of the policies alone that may select some pods.
    fn stages<'p>(&self, part: &'p Part, direction: Direction) -> Option<Vec<Stages<'p, '_>>> {
        let compiled = Rc::new(Compiled::new(&part.0));
        let mut sharing = Sharing::default();
        let mut out = Vec::with_capacity(self.shapes.len());
        for shape in &self.shapes {
            let lowering = Lowering::new(&compiled, &self.index, self.n(), &shape.blocks, None, &mut sharing);
            let mut all: Vec<Vec<StageItems>> = Vec::with_capacity(shape.members.len());
            for member in &shape.members {
                all.push(lowering.stages(part.0.get(*member)?, direction));
            }
            let mut all = all.into_iter();
            let first = all.next()?;
            // What was taken together must be alike still.
            if all.any(|stages| stages != first) {
                return None;
            }
            let mut stages = shape.members.iter().flat_map(|m| part.0[*m].stages(direction));
            if shape.blocks.len() > 1 && !stages.all(|stage| compiled.blocks_only_allow(stage)) {
                return None;
            }
            out.push(Stages { compiled: compiled.clone(), stages: first, direction, shape });
        }
        Some(out)
    }

    /// The policies that may select some pods.
    fn part(&self, policies: &Policies, profile: &Profile, near: &Set) -> Part {
        let columns = &self.matrix.columns;
        let touched: Vec<bool> = columns
            .of_namespace
            .iter()
            .map(|(start, end)| !near.and(&Set::range(*start, *end), self.n()).is_empty())
            .collect();
        let selects = |policy: &&StagePolicy| match policy.namespace {
            Some(namespace) => touched.get(namespace.index()).copied().unwrap_or(false),
            None => !self.index.selector(&policy.subject).possible(self.n()).and(near, self.n()).is_empty(),
        };
        let some = |list: &Arc<Vec<StagePolicy>>| Arc::new(list.iter().filter(selects).cloned().collect());
        let tier = |of: &Lowered| Lowered { ingress: some(&of.ingress), egress: some(&of.egress) };
        let part = Policies {
            admin: tier(&policies.admin),
            network: tier(&policies.network),
            baseline: tier(&policies.baseline),
            ..Policies::default()
        };
        Part(compose_part(policies, &part, profile))
    }

    /// Joins the legs of the servers that are touched; servers with the same legs before and after are joined once.
    fn compare(&self, touched: &Touched) -> Revision {
        let n = self.n();
        let Touched { ingress, new_ingress, egress, new_egress, servers } = touched;
        let mut groups: FxHashMap<(u32, bool, Vec<u32>), Vec<u32>> = FxHashMap::default();
        // Whether two legs of clients' egress, before and after, are the same.
        let mut same: FxHashMap<(usize, u32, u32), bool> = FxHashMap::default();
        for server in servers.iter() {
            let at = server as usize;
            let selected = ingress.contains(server);
            let mut key: Vec<u32> = Vec::new();
            if selected {
                key.extend(new_ingress.iter().flatten().map(|legs| legs.of[at]));
            }
            if let Some([old, new]) = new_egress {
                let unchanged = old.iter().zip(new).enumerate().all(|(layer, (old, new))| {
                    let ids = (layer, old.of[at], new.of[at]);
                    *same
                        .entry(ids)
                        .or_insert_with(|| old.of_server(at).among(egress, n) == new.of_server(at).among(egress, n))
                });
                if unchanged && !selected {
                    continue;
                }
                key.extend(new.iter().map(|legs| legs.of[at]));
            }
            groups.entry((self.matrix.row_of[at], selected, key)).or_default().push(server);
        }
        let mut out = Revision::default();
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_unstable_by_key(|(_, servers)| servers[0]);
        let others = Set::range(0, n).minus(egress, n);
        for ((row, selected, _), servers) in groups {
            let at = servers[0] as usize;
            // Of a server that isn't selected, the clients that are.
            let clients = (!selected).then(|| egress.clone());
            let of_layer = |layer: usize| -> Leg {
                let [old_ingress, old_egress] = &self.legs[layer];
                let ingress = match new_ingress.as_ref().filter(|_| selected) {
                    Some(new) => new[layer].of_server(at),
                    None => old_ingress.of_server(at),
                };
                let new = new_egress.as_ref().map(|[_, new]| new[layer].of_server(at).among(egress, n));
                match (new, &clients) {
                    (Some(new), Some(clients)) => ingress.among(clients, n).both(&new, n),
                    (Some(new), None) => ingress.both(&old_egress.of_server(at).among(&others, n).with(new, n), n),
                    (None, _) => ingress.both(old_egress.of_server(at), n),
                }
            };
            let joined = (0..self.shapes.len()).map(of_layer).reduce(|a, b| a.agree(&b, n));
            let mut after = rows::parts(joined.unwrap_or_else(|| Leg::open(n)));
            self.taint.apply(self.taint.touches(servers[0]), &mut after, n);
            let mut before = self.matrix.rows[row as usize].parts.clone();
            if let Some(clients) = &clients {
                before = among(&before, clients, n);
                after = among(&after, clients, n);
            }
            if before == after {
                continue;
            }
            out.of.extend(servers.iter().map(|s| (*s, out.changed.len() as u32)));
            out.changed.push(Changed { servers: Set::from_sorted(servers, n), clients, before, after });
        }
        out
    }

    /// What clients get of changed servers that they did not get before, or the other way round.
    pub fn differences(&self, changed: &Changed) -> Vec<Difference> {
        rows::answers([&changed.before, &changed.after], self.n())
            .into_iter()
            .filter(|(_, [before, after])| before != after)
            .map(|(clients, [before, after])| Difference { clients, before, after })
            .collect()
    }

    /// What may pass from one column to another in the later version.
    pub fn at(&self, revision: &Revision, client: u32, server: u32) -> Connections {
        let changed = revision.of.get(&server).map(|at| &revision.changed[*at as usize]);
        match changed.filter(|c| c.clients.as_ref().is_none_or(|clients| clients.contains(client))) {
            Some(changed) => Row { servers: Set::empty(), parts: changed.after.clone() }.of_client(client),
            None => self.matrix.at(client, server),
        }
    }
}

/// The compositions of a part of the policies.
struct Part(Vec<Composition>);

/// One direction of a layer, of a part of the policies.
struct Stages<'p, 's> {
    compiled: Rc<Compiled<'p>>,
    stages: Vec<StageItems>,
    direction: Direction,
    shape: &'s Shape,
}

impl Stages<'_, '_> {
    fn legs(&self, engine: &Engine<'_>, servers: &Set) -> Legs {
        let work = Work {
            columns: &engine.matrix.columns,
            stages: &self.stages,
            ports: &rules::rule_ports(&self.compiled, self.shape.end_port, self.shape.init),
            declared: &engine.declared,
            direction: self.direction,
            own_node: self.shape.own_node[place(self.direction)],
        };
        work.legs(Some(servers))
    }

    /// The servers that may get something else of these stages and of others: those that a rule is about which only one of
    /// both has; all, where others are isolated.
    fn servers_apart(&self, other: &Self, n: u32) -> Set {
        let frame = |s: &StageItems| (s.combine, s.only_allows, s.denies, s.isolated.clone(), s.skipped.clone());
        if !self.stages.iter().map(frame).eq(other.stages.iter().map(frame)) {
            return Set::range(0, n);
        }
        let mut out = Set::empty();
        for (mine, theirs) in self.stages.iter().zip(&other.stages) {
            let all = [(&self.compiled, &mine.items), (&other.compiled, &theirs.items)];
            let means = all.map(|(compiled, items)| items.iter().map(|i| i.meaning(compiled)).collect::<Vec<_>>());
            let [a, b] = &means;
            // Of rules that only allow, those that both have make no difference. Others may come in another order.
            let lacking: [Vec<usize>; 2] = if mine.only_allows {
                let known = means.each_ref().map(|m| m.iter().collect::<FxHashSet<_>>());
                [0, 1].map(|at| (0..means[at].len()).filter(|i| !known[1 - at].contains(&means[at][*i])).collect())
            } else {
                let place = |item: &Item| (item.group, item.policy);
                let same = |i: usize, j: usize| a[i] == b[j] && place(&mine.items[i]) == place(&theirs.items[j]);
                let (x, y) = (a.len(), b.len());
                let head = (0..x.min(y)).take_while(|i| same(*i, *i)).count();
                let tail = (1..=x.min(y) - head).take_while(|i| same(x - i, y - i)).count();
                [(head..x - tail).collect(), (head..y - tail).collect()]
            };
            for (list, (_, items)) in lacking.iter().zip(all) {
                list.iter().for_each(|item| out = out.or(&items[*item].servers.possible(n), n));
            }
        }
        out
    }
}

/// What changed policies select, and the legs that come of it.
struct Touched {
    ingress: Set,
    new_ingress: Option<Vec<Legs>>,
    egress: Set,
    /// Before and after, of the clients of `egress` alone.
    new_egress: Option<[Vec<Legs>; 2]>,
    /// Servers for whom it may make a difference.
    servers: Set,
}

/// Policies that hold these alone. Which tier they are of makes no difference to what they mention.
fn holding(some: &[(Direction, &StagePolicy)]) -> Policies {
    let of = |wanted| {
        let list = some.iter().filter(|(direction, _)| *direction == wanted);
        Arc::new(list.map(|(_, policy)| (*policy).clone()).collect())
    };
    let network = Lowered { ingress: of(Direction::Ingress), egress: of(Direction::Egress) };
    Policies { network, ..Policies::default() }
}

/// The named ports of each distinct list, as a pod declares them.
fn declared(columns: &Columns) -> Vec<Vec<ContainerPort>> {
    let port = |(name, protocol, number, init): &NamedPort| ContainerPort {
        name: Some(name.clone()),
        number: *number,
        protocol: *protocol,
        container: if *init { ContainerKind::Init } else { ContainerKind::Regular },
    };
    columns.named.iter().map(|list| list.iter().map(port).collect()).collect()
}
