//! A difference into its machine-readable answer.

use super::{DiffCause, DiffChange, DiffEnd, DiffInventory, DiffPasses, DiffPorts, DiffReport, DiffSummary};
use crate::analysis::diff::{Cause, Change, Diff, End, Inventory, L4, Party, Passes, When};
use crate::report::check::API_VERSION;
use crate::report::finding::Location;
use crate::source::SourceMap;

/// Where both versions were read.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// The earlier version as it was named.
    pub before: &'a str,
    /// The later version as it was named.
    pub after: &'a str,
    /// Its texts.
    pub before_sources: &'a SourceMap,
    /// Its texts.
    pub after_sources: &'a SourceMap,
}

impl Sides<'_> {
    /// Where a cause stands.
    pub(super) fn location(&self, cause: &Cause) -> Option<Location> {
        let sources = match cause.when {
            When::Before => self.before_sources,
            When::After => self.after_sources,
        };
        Location::of(sources, cause.origin, &cause.path, sentence(cause))
    }
}

/// `allowed by NetworkPolicy/shop/cart`.
pub(super) fn sentence(cause: &Cause) -> String {
    use crate::analysis::diff::Act;
    let (was, policy) = (cause.when == When::Before, &cause.reference);
    let direction = cause.direction.name();
    let mut out = match (cause.act, was) {
        (Act::Allows, false) => format!("{direction} is allowed by {policy}"),
        (Act::Allows, true) => format!("{direction} was allowed by {policy}"),
        (Act::Denies, false) => format!("{direction} is denied by {policy}"),
        (Act::Denies, true) => format!("{direction} was denied by {policy}"),
        (Act::Isolates, false) => format!("{direction} is isolated by {policy}"),
        (Act::Isolates, true) => format!("{direction} was isolated by {policy}"),
        (Act::MayDecide, false) => format!("{direction} may be decided by {policy}"),
        (Act::MayDecide, true) => format!("{direction} may have been decided by {policy}"),
    };
    if !cause.differs {
        out.push_str(", which is unchanged: labels, ports or addresses changed");
    }
    out
}

/// The machine-readable document.
pub fn report(diff: &Diff, sides: &Sides<'_>, cni: &str) -> DiffReport {
    let counts = diff.counts();
    DiffReport {
        api_version: API_VERSION.to_owned(),
        kind: "DiffReport".to_owned(),
        before: sides.before.to_owned(),
        after: sides.after.to_owned(),
        cni: cni.to_owned(),
        summary: DiffSummary {
            opened: counts.opened,
            closed: counts.closed,
            changed: counts.changed,
            uncertain: counts.uncertain,
        },
        changes: diff.changes.iter().map(|c| change(c, sides)).collect(),
        added: inventory(&diff.added),
        removed: inventory(&diff.removed),
        without_cause: diff.without_cause,
    }
}

fn change(change: &Change, sides: &Sides<'_>) -> DiffChange {
    DiffChange {
        kind: change.kind().name().to_owned(),
        client: end(&change.client),
        server: end(&change.server),
        family: change.v6.map(|v6| if v6 { "IPv6" } else { "IPv4" }.to_owned()),
        before: passes(&change.before),
        after: passes(&change.after),
        opened: ports(&change.opened()),
        closed: ports(&change.closed()),
        may_open: ports(&change.may_open()),
        may_close: ports(&change.may_close()),
        causes: change.causes.iter().map(|c| cause(c, sides)).collect(),
    }
}

fn passes(passes: &Passes) -> DiffPasses {
    DiffPasses { allowed: ports(&passes.allowed), unknown: ports(&passes.unknown) }
}

fn ports(set: &L4) -> Vec<DiffPorts> {
    set.iter().map(|(p, ports)| DiffPorts { protocol: p.to_string(), ports: ports.to_string() }).collect()
}

fn party(party: &Party) -> DiffEnd {
    let mut out =
        DiffEnd { kind: String::new(), namespace: None, name: None, ranges: Vec::new(), pods: None, of_pods: None };
    match party {
        Party::Workload { namespace, kind, name } => {
            out.kind = kind.to_string();
            out.namespace = Some(namespace.to_string());
            out.name = Some(name.to_string());
        }
        Party::Outside(ranges) => {
            out.kind = "Outside".to_owned();
            out.ranges = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        }
        Party::Name(name) => {
            out.kind = "Name".to_owned();
            out.name = Some(name.to_string());
        }
    }
    out
}

fn end(end: &End) -> DiffEnd {
    let (pods, of_pods) = (end.share.map(|s| s.0), end.share.map(|s| s.1));
    DiffEnd { pods, of_pods, ..party(&end.party) }
}

fn cause(cause: &Cause, sides: &Sides<'_>) -> DiffCause {
    let location = sides.location(cause);
    DiffCause {
        version: cause.when.name().to_owned(),
        act: cause.act.name().to_owned(),
        direction: cause.direction.name().to_owned(),
        policy: cause.reference.clone(),
        policy_differs: cause.differs,
        context: cause.context,
        path: cause.path.to_string(),
        line: location.as_ref().and_then(|l| l.region.as_ref()).map(|r| r.line),
        file: location.map(|l| l.file),
    }
}

fn inventory(inventory: &Inventory) -> DiffInventory {
    DiffInventory {
        workloads: inventory.workloads.iter().map(party).collect(),
        services: inventory.services.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect(),
    }
}
