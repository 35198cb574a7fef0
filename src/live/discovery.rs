//! Which policy APIs a server has, and which network plugin they betray.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::ask::Resource;
use crate::source::plugin::of_groups;
use crate::source::{is_routing, policy_scope};

/// What discovery told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Policy kinds, each in one version.
    pub policies: Vec<Resource>,
    /// Kinds of the Gateway API, each in one version.
    pub routes: Vec<Resource>,
    /// Group versions that may hold policies and whose resources are not known yet.
    pub open: Vec<String>,
    /// All groups.
    pub groups: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Aggregated {
    items: Vec<Group>,
    groups: Vec<OldGroup>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    metadata: Named,
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    version: String,
    resources: Vec<Listed>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Listed {
    resource: String,
    response_kind: KindOnly,
    scope: String,
    verbs: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KindOnly {
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OldGroup {
    name: String,
    versions: Vec<OldVersion>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OldVersion {
    group_version: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OldList {
    group_version: String,
    resources: Vec<OldResource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OldResource {
    name: String,
    kind: String,
    namespaced: bool,
    verbs: Vec<String>,
}

/// The group of the Gateway API.
const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// Groups with kinds that take part, for servers that tell groups and resources apart.
const GROUPS: [&str; 11] = [
    GATEWAY_GROUP,
    "policy.networking.k8s.io",
    "cilium.io",
    "projectcalico.org",
    "crd.projectcalico.org",
    "crd.antrea.io",
    "security.istio.io",
    "policy.linkerd.io",
    "k8s.ovn.org",
    "networking.k8s.aws",
    "networking.gke.io",
];

impl Discovered {
    /// From the answer to `/apis`, aggregated or not. `None` where it is neither.
    pub fn read(body: &[u8]) -> Option<Self> {
        let read: Aggregated = serde_json::from_slice(body).ok()?;
        let mut out = Self::default();
        for group in read.items {
            for version in group.versions {
                for listed in version.resources {
                    out.add(
                        &group.metadata.name,
                        &version.version,
                        &listed.resource,
                        &listed.response_kind.kind,
                        listed.scope == "Namespaced",
                        &listed.verbs,
                    );
                }
            }
            out.groups.push(group.metadata.name);
        }
        for group in read.groups {
            if GROUPS.contains(&group.name.as_str()) {
                out.open.extend(group.versions.into_iter().map(|v| v.group_version));
            }
            out.groups.push(group.name);
        }
        (!out.groups.is_empty()).then_some(out)
    }

    /// With the answer to `/apis/GROUP/VERSION`.
    pub fn read_group(&mut self, body: &[u8]) {
        let Ok(list) = serde_json::from_slice::<OldList>(body) else { return };
        let Some((group, version)) = list.group_version.split_once('/') else { return };
        for resource in list.resources {
            self.add(group, version, &resource.name, &resource.kind, resource.namespaced, &resource.verbs);
        }
    }

    fn add(&mut self, group: &str, version: &str, plural: &str, kind: &str, namespaced: bool, verbs: &[String]) {
        if group == GATEWAY_GROUP {
            let takes_part = is_routing(group, version, kind);
            // The first version is the preferred one.
            let known = self.routes.iter().any(|r| r.kind == kind);
            if takes_part && !known && !plural.contains('/') && verbs.iter().any(|v| v == "list") {
                self.routes.push(Resource {
                    group: GATEWAY_GROUP.into(),
                    version: version.to_owned().into(),
                    plural: plural.to_owned().into(),
                    kind: kind.to_owned().into(),
                    namespaced,
                });
            }
            return;
        }
        // What the AWS controller makes of NetworkPolicies says nothing that they don't.
        let derived = group == "networking.k8s.aws" && kind.ends_with("PolicyEndpoint");
        // Calico's own API serves again what its custom resources hold, and NetworkPolicies in its own form.
        let served_twice = group == "projectcalico.org";
        let Some(evaluated) = policy_scope(group, version, kind) else { return };
        if derived || served_twice || plural.contains('/') || !verbs.iter().any(|v| v == "list") {
            return;
        }
        if (group, kind) == ("networking.k8s.io", "NetworkPolicy") {
            return;
        }
        let resource = Resource {
            group: group.to_owned().into(),
            version: version.to_owned().into(),
            plural: plural.to_owned().into(),
            kind: kind.to_owned().into(),
            namespaced,
        };
        match self.policies.iter_mut().find(|r| r.group == group && r.kind == kind) {
            // The first version is the preferred one, unless another is the one that can be evaluated.
            Some(known) if evaluated => *known = resource,
            Some(_) => {}
            None => self.policies.push(resource),
        }
    }

    /// The plugins that the API groups betray.
    pub fn plugins(&self) -> BTreeSet<&'static str> {
        of_groups(self.groups.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_can_be_evaluated_is_chosen() {
        let body = br#"{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"policy.networking.k8s.io"},"versions":[
            {"version":"v1beta1","resources":[{"resource":"clusternetworkpolicies","responseKind":{"kind":"ClusterNetworkPolicy"},"scope":"Cluster","verbs":["list"]}]},
            {"version":"v1alpha2","resources":[{"resource":"clusternetworkpolicies","responseKind":{"kind":"ClusterNetworkPolicy"},"scope":"Cluster","verbs":["list"]}]}]},
            {"metadata":{"name":"cilium.io"},"versions":[{"version":"v2","resources":[
                {"resource":"ciliumnetworkpolicies","responseKind":{"kind":"CiliumNetworkPolicy"},"scope":"Namespaced","verbs":["list"]},
                {"resource":"ciliumendpoints","responseKind":{"kind":"CiliumEndpoint"},"scope":"Namespaced","verbs":["list"]}]}]}]}"#;
        let found = Discovered::read(body).unwrap();
        let names: Vec<String> = found.policies.iter().map(|r| format!("{} {}", r.full_name(), r.version)).collect();
        assert_eq!(
            names,
            ["clusternetworkpolicies.policy.networking.k8s.io v1alpha2", "ciliumnetworkpolicies.cilium.io v2"]
        );
        assert_eq!(found.plugins(), BTreeSet::from(["cilium"]));
    }

    #[test]
    fn an_older_server_is_asked_again() {
        let body = br#"{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1"}]},
            {"name":"crd.projectcalico.org","versions":[{"groupVersion":"crd.projectcalico.org/v1"}]}]}"#;
        let mut found = Discovered::read(body).unwrap();
        assert_eq!(found.open, ["crd.projectcalico.org/v1"]);
        found.read_group(
            br#"{"groupVersion":"crd.projectcalico.org/v1","resources":[
                {"name":"globalnetworkpolicies","kind":"GlobalNetworkPolicy","namespaced":false,"verbs":["list"]}]}"#,
        );
        assert_eq!(found.policies.len(), 1);
        assert!(Discovered::read(b"<html>").is_none());
    }
}
