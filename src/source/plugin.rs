//! Which network plugin a cluster has, as far as names betray it: its API groups and its DaemonSets.
//!
//! Names come in, the name of a profile goes out; what a plugin does is not known here.

use std::collections::BTreeSet;

/// API groups that only one plugin brings.
const GROUPS: [(&str, &str); 5] = [
    ("cilium.io", "cilium"),
    ("crd.projectcalico.org", "calico"),
    ("crd.antrea.io", "antrea"),
    ("k8s.ovn.org", "ovn-kubernetes"),
    ("networking.k8s.aws", "aws-vpc-cni"),
];

/// Names of DaemonSets, as the plugins' own manifests have them.
const DAEMON_SETS: [(&str, &str); 10] = [
    ("cilium", "cilium"),
    // GKE's Dataplane V2.
    ("anetd", "cilium"),
    ("calico-node", "calico"),
    ("canal", "calico"),
    ("antrea-agent", "antrea"),
    ("kube-router", "kube-router"),
    ("aws-node", "aws-vpc-cni"),
    ("ovnkube-node", "ovn-kubernetes"),
    // kindnet has had the enforcer of kube-network-policies built in since kind 0.24.
    ("kindnet", "kube-network-policies"),
    ("kube-network-policies", "kube-network-policies"),
];

/// The plugin of a DaemonSet.
pub fn of_daemon_set(name: &str) -> Option<&'static str> {
    DAEMON_SETS.iter().find(|(n, _)| *n == name).map(|(_, plugin)| *plugin)
}

/// The plugins of API groups. Definitions may be left over from a plugin that is gone.
pub fn of_groups<'a>(groups: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
    groups.into_iter().filter_map(|group| GROUPS.iter().find(|(g, _)| *g == group)).map(|(_, plugin)| *plugin).collect()
}

/// Connects the pods of clusters in which another plugin enforces; it enforces where there is none.
const UNDERNEATH: &str = "aws-vpc-cni";

/// The plugin that enforces, where groups and DaemonSets leave no doubt.
///
/// The DaemonSets are those of `kube-system`, and flannel's: what doesn't run there may run elsewhere.
pub fn settle(groups: &BTreeSet<&'static str>, running: &BTreeSet<&'static str>) -> Option<&'static str> {
    let above = |found: &BTreeSet<&'static str>| found.iter().copied().filter(|p| *p != UNDERNEATH).collect::<Vec<_>>();
    match (above(groups).as_slice(), above(running).as_slice()) {
        ([], []) => groups.union(running).next().copied(),
        ([], [runs]) => Some(runs),
        ([defined], []) => Some(defined),
        ([defined], [runs]) if defined == runs => Some(runs),
        // Definitions outlive a plugin that is gone: the one that runs is meant.
        ([_, _, ..], [runs]) if groups.contains(runs) => Some(runs),
        _ => None,
    }
}

/// Whether a DaemonSet connects pods and enforces nothing.
pub fn enforces_nothing(name: &str) -> bool {
    matches!(name, "kube-flannel-ds" | "kube-flannel" | "flannel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_counts_more_than_what_is_defined() {
        let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        for (groups, running, plugin) in [
            (&["cilium"][..], &[][..], Some("cilium")),
            (&["cilium", "calico"], &[], None),
            (&["cilium", "calico"], &["calico"], Some("calico")),
            (&["calico"], &["cilium"], None),
            (&[], &["kube-router"], Some("kube-router")),
            (&[], &["cilium", "calico"], None),
            (&[], &[], None),
            // Calico enforces what another plugin connects; its agent is not always where it is looked for.
            (&["calico", "aws-vpc-cni"], &["aws-vpc-cni"], Some("calico")),
            (&["calico"], &["calico", "aws-vpc-cni"], Some("calico")),
            (&["aws-vpc-cni"], &["aws-vpc-cni"], Some("aws-vpc-cni")),
            (&[], &["aws-vpc-cni"], Some("aws-vpc-cni")),
        ] {
            assert_eq!(settle(&set(groups), &set(running)), plugin, "{groups:?} {running:?}");
        }
        assert_eq!(of_groups(["apps", "crd.antrea.io"]), set(&["antrea"]));
    }
}
