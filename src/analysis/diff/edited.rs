//! The comparison where both versions have the same pods and only policies differ, as in most changes: one matrix is built,
//! and what the edited policies touch is worked out again (PERFORMANCE 10).
//!
//! Gives what [`compare`](super::compare) gives, or nothing where that has to be asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::compare::{Comparison, Found, Who, needs_v6, shown};
use super::parties::Parties;
use super::{Passes, Version};
use crate::model::{Cluster, Labels, NamespaceId, Pod};
use crate::policy::Edits;
use crate::reach::Endpoint;
use crate::reach::matrix::{Changed, Column, Difference, Engine, Matrix, Options, Revision};

/// One family of addresses.
struct Family<'a> {
    v6: bool,
    engine: Engine<'a>,
    revision: Revision,
}

/// Changes, without causes. None where the pods differ, or where the policies can't be laid over each other.
pub(super) fn changes(before: Version<'_>, after: Version<'_>, edits: &Edits<'_>) -> Option<Vec<Found>> {
    if edits.is_empty() {
        return Some(Vec::new());
    }
    let mut families = Vec::new();
    for v6 in [false, true].into_iter().filter(|v6| !v6 || needs_v6(before) || needs_v6(after)) {
        let engine = Engine::new(before.cluster, before.policies, before.profile, &[edits], Options { v6 });
        let revision = engine.revise(before.policies, after.policies, before.profile, edits)?;
        families.push(Family { v6, engine, revision });
    }
    let differences: Vec<Vec<(&Changed, Vec<Difference>)>> = families.iter().map(Family::differences).collect();
    let mut namespaces = BTreeSet::new();
    for (family, differences) in families.iter().zip(&differences) {
        family.namespaces(before.cluster, differences, &mut namespaces);
    }
    let parties = Parties::within(before.cluster, &namespaces);
    let clusters = [before.cluster, after.cluster];
    let mut out = Comparison::default();
    for (party, members) in parties.common() {
        out.divide(party, members, clusters, &|_, id| {
            let class = |v6: usize| families.get(v6).and_then(|f: &Family<'_>| f.engine.matrix().class_of(id));
            [class(0), class(1)]
        });
    }
    for (family, differences) in families.iter().zip(&differences) {
        family.enter(clusters, differences, &mut out);
    }
    Some(out.finish())
}

impl Family<'_> {
    fn matrix(&self) -> &Matrix<'_> {
        self.engine.matrix()
    }

    fn differences(&self) -> Vec<(&Changed, Vec<Difference>)> {
        let all = self.revision.changed.par_iter().map(|changed| (changed, self.engine.differences(changed)));
        all.filter(|(_, differences)| !differences.is_empty()).collect()
    }

    /// Whether a node gets or gives something else.
    fn touches_nodes(&self, differences: &[(&Changed, Vec<Difference>)]) -> bool {
        let is_node = |column| matches!(self.matrix().column(column), Column::Nodes(..));
        differences.iter().any(|(changed, all)| {
            changed.servers.iter().any(is_node) || all.iter().any(|d| d.clients.iter().any(is_node))
        })
    }

    /// The namespaces of pods that get or give something else.
    fn namespaces(
        &self,
        cluster: &Cluster,
        differences: &[(&Changed, Vec<Difference>)],
        to: &mut BTreeSet<NamespaceId>,
    ) {
        for (changed, all) in differences {
            for set in std::iter::once(&changed.servers).chain(all.iter().map(|d| &d.clients)) {
                let first = |column| Some(cluster.pods[self.matrix().pods(column).first()?.index()].namespace);
                to.extend(set.iter().filter_map(first));
            }
        }
        if self.touches_nodes(differences) {
            to.extend(cluster.pods.iter().filter(|p| p.host_network).map(|p| p.namespace));
        }
    }

    fn who(&self, column: u32) -> Option<Who> {
        match self.matrix().column(column) {
            Column::Outside(group) => Some(Who::Outside(self.matrix().addresses(group))),
            Column::Name(Some(at)) if !self.v6 => {
                let (shown, example) = shown(self.matrix().name_pattern(at)?);
                Some(Who::Name(shown, example))
            }
            // Pods are entered as parts; nodes are asked about one by one.
            Column::Pods(_) | Column::Nodes(..) | Column::Internet | Column::Name(_) => None,
        }
    }

    /// Enters the differences of this family.
    fn enter(&self, clusters: [&Cluster; 2], differences: &[(&Changed, Vec<Difference>)], to: &mut Comparison) {
        let mut who: FxHashMap<u32, Who> = to.by_class(self.matrix(), self.v6);
        for (changed, all) in differences {
            for column in changed.servers.iter().chain(all.iter().flat_map(|d| d.clients.iter())) {
                if !who.contains_key(&column)
                    && let Some(found) = self.who(column)
                {
                    who.insert(column, found);
                }
            }
            for difference in all {
                let (old, new) = (Passes::from(&difference.before), Passes::from(&difference.after));
                if old == new {
                    continue;
                }
                let clients: Vec<&Who> = difference.clients.iter().filter_map(|c| who.get(&c)).collect();
                for server in changed.servers.iter().filter_map(|s| who.get(&s)) {
                    clients.iter().for_each(|client| to.spread(client, server, &old, &new, self.v6));
                }
            }
        }
        if self.touches_nodes(differences) {
            let between = |late: usize, from: &Endpoint, to: &Endpoint| match late {
                0 => self.matrix().between(from, to),
                _ => {
                    let column = |end, across| self.matrix().column_of(end, across);
                    Some(self.engine.at(&self.revision, column(from, to)?, column(to, from)?))
                }
            };
            to.hosts(clusters, &between, self.v6);
        }
    }
}

/// Whether two clusters have the same pods, namespaces and nodes, as far as policies can tell.
pub(super) fn alike(before: &Cluster, after: &Cluster) -> bool {
    if std::ptr::eq(before, after) {
        return true;
    }
    let sizes = |c: &Cluster| (c.namespaces.len(), c.nodes.len(), c.pods.len());
    sizes(before) == sizes(after)
        && before
            .namespaces
            .iter()
            .zip(&after.namespaces)
            .all(|(a, b)| a.name == b.name && a.labels == b.labels && a.pods == b.pods)
        && before
            .nodes
            .iter()
            .zip(&after.nodes)
            .all(|(a, b)| a.name == b.name && a.labels == b.labels && a.addresses == b.addresses)
        && before.pods.par_chunks(1024).zip(after.pods.par_chunks(1024)).all(|(a, b)| same_pods(a, b))
}

fn same_pods(before: &[Pod], after: &[Pod]) -> bool {
    // Pods of one template share their labels, and follow each other.
    let mut known: Option<(&Arc<Labels>, &Arc<Labels>)> = None;
    before.iter().zip(after).all(|(a, b)| {
        let met = known.is_some_and(|(x, y)| Arc::ptr_eq(x, &a.labels) && Arc::ptr_eq(y, &b.labels));
        if !met && a.labels != b.labels {
            return false;
        }
        known = Some((&a.labels, &b.labels));
        let plain = |p: &Pod| (p.namespace, p.node, p.host_network, p.phase, p.template);
        plain(a) == plain(b)
            && a.name == b.name
            && a.ips == b.ips
            && a.ports == b.ports
            && a.workload == b.workload
            && a.service_account == b.service_account
    })
}
