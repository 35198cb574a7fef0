//! The fields that policies and Services have, to tell a misspelt one from one that is merely not needed.
//!
//! `podSelecter:` is dropped by a lenient reader, and the policy then selects every pod. Fields are those of the API
//! reference (Kubernetes 1.36) and of the CustomResourceDefinitions of `policy.networking.k8s.io`.

use serde_json::Value;

use super::kind::Kind;
use super::origin::FieldPath;

/// What a value may hold.
enum Shape {
    /// Not looked into.
    Any,
    /// These fields.
    Fields(&'static [(&'static str, &'static Shape)]),
    /// Items of one shape.
    List(&'static Shape),
}

use Shape::{Any, Fields, List};

static METADATA: Shape = Fields(&[
    ("name", &Any),
    ("generateName", &Any),
    ("namespace", &Any),
    ("labels", &Any),
    ("annotations", &Any),
    ("ownerReferences", &Any),
    ("finalizers", &Any),
    ("uid", &Any),
    ("resourceVersion", &Any),
    ("generation", &Any),
    ("creationTimestamp", &Any),
    ("deletionTimestamp", &Any),
    ("deletionGracePeriodSeconds", &Any),
    ("managedFields", &Any),
    ("selfLink", &Any),
    ("clusterName", &Any),
]);
static SELECTOR: Shape = Fields(&[
    ("matchLabels", &Any),
    ("matchExpressions", &List(&Fields(&[("key", &Any), ("operator", &Any), ("values", &Any)]))),
]);

static NETWORK_POLICY_PEER: Shape = Fields(&[
    ("podSelector", &SELECTOR),
    ("namespaceSelector", &SELECTOR),
    ("ipBlock", &Fields(&[("cidr", &Any), ("except", &Any)])),
]);
static NETWORK_POLICY_PORT: Shape = Fields(&[("protocol", &Any), ("port", &Any), ("endPort", &Any)]);
static NETWORK_POLICY: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &METADATA),
    (
        "spec",
        &Fields(&[
            ("podSelector", &SELECTOR),
            ("policyTypes", &Any),
            (
                "ingress",
                &List(&Fields(&[("from", &List(&NETWORK_POLICY_PEER)), ("ports", &List(&NETWORK_POLICY_PORT))])),
            ),
            ("egress", &List(&Fields(&[("to", &List(&NETWORK_POLICY_PEER)), ("ports", &List(&NETWORK_POLICY_PORT))]))),
        ]),
    ),
    ("status", &Any),
]);

static SERVICE: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &METADATA),
    (
        "spec",
        &Fields(&[
            ("ports", &List(&SERVICE_PORT)),
            ("selector", &Any),
            ("clusterIP", &Any),
            ("clusterIPs", &Any),
            ("type", &Any),
            ("externalIPs", &Any),
            ("sessionAffinity", &Any),
            ("loadBalancerIP", &Any),
            ("loadBalancerSourceRanges", &Any),
            ("externalName", &Any),
            ("externalTrafficPolicy", &Any),
            ("healthCheckNodePort", &Any),
            ("publishNotReadyAddresses", &Any),
            ("sessionAffinityConfig", &Any),
            ("ipFamilies", &Any),
            ("ipFamilyPolicy", &Any),
            ("allocateLoadBalancerNodePorts", &Any),
            ("loadBalancerClass", &Any),
            ("internalTrafficPolicy", &Any),
            ("trafficDistribution", &Any),
        ]),
    ),
    ("status", &Any),
]);
static SERVICE_PORT: Shape = Fields(&[
    ("name", &Any),
    ("protocol", &Any),
    ("appProtocol", &Any),
    ("port", &Any),
    ("targetPort", &Any),
    ("nodePort", &Any),
]);

static PODS: Shape = Fields(&[("namespaceSelector", &SELECTOR), ("podSelector", &SELECTOR)]);
static SUBJECT: Shape = Fields(&[("namespaces", &SELECTOR), ("pods", &PODS)]);
static EGRESS_PEER: Shape = Fields(&[
    ("namespaces", &SELECTOR),
    ("pods", &PODS),
    ("nodes", &SELECTOR),
    ("networks", &Any),
    ("domainNames", &Any),
]);
static CLUSTER_PORT: Shape =
    Fields(&[("destinationPort", &Fields(&[("number", &Any), ("range", &Fields(&[("start", &Any), ("end", &Any)]))]))]);
static CLUSTER_PROTOCOL: Shape =
    Fields(&[("tcp", &CLUSTER_PORT), ("udp", &CLUSTER_PORT), ("sctp", &CLUSTER_PORT), ("destinationNamedPort", &Any)]);
static CLUSTER_NETWORK_POLICY: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &METADATA),
    (
        "spec",
        &Fields(&[
            ("tier", &Any),
            ("priority", &Any),
            ("subject", &SUBJECT),
            (
                "ingress",
                &List(&Fields(&[
                    ("name", &Any),
                    ("action", &Any),
                    ("from", &List(&SUBJECT)),
                    ("protocols", &List(&CLUSTER_PROTOCOL)),
                ])),
            ),
            (
                "egress",
                &List(&Fields(&[
                    ("name", &Any),
                    ("action", &Any),
                    ("to", &List(&EGRESS_PEER)),
                    ("protocols", &List(&CLUSTER_PROTOCOL)),
                ])),
            ),
        ]),
    ),
    ("status", &Any),
]);

static ADMIN_PORT: Shape = Fields(&[
    ("portNumber", &Fields(&[("protocol", &Any), ("port", &Any)])),
    ("portRange", &Fields(&[("protocol", &Any), ("start", &Any), ("end", &Any)])),
    ("namedPort", &Any),
]);
static ADMIN_INGRESS: Shape =
    List(&Fields(&[("name", &Any), ("action", &Any), ("from", &List(&SUBJECT)), ("ports", &List(&ADMIN_PORT))]));
static ADMIN_EGRESS: Shape =
    List(&Fields(&[("name", &Any), ("action", &Any), ("to", &List(&EGRESS_PEER)), ("ports", &List(&ADMIN_PORT))]));
static ADMIN_NETWORK_POLICY: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &METADATA),
    (
        "spec",
        &Fields(&[("priority", &Any), ("subject", &SUBJECT), ("ingress", &ADMIN_INGRESS), ("egress", &ADMIN_EGRESS)]),
    ),
    ("status", &Any),
]);
static BASELINE: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &METADATA),
    ("spec", &Fields(&[("subject", &SUBJECT), ("ingress", &ADMIN_INGRESS), ("egress", &ADMIN_EGRESS)])),
    ("status", &Any),
]);

/// A field that its object doesn't have.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The field.
    pub path: FieldPath,
    /// Its name.
    pub name: String,
    /// The field that was probably meant.
    pub meant: Option<&'static str>,
    /// The fields there are.
    pub known: Vec<&'static str>,
}

/// The fields of an object that its kind doesn't have.
pub fn unknown_fields(kind: Kind, value: &Value) -> Vec<Unknown> {
    let shape = match kind {
        Kind::NetworkPolicy => &NETWORK_POLICY,
        Kind::Service => &SERVICE,
        Kind::ClusterNetworkPolicy => &CLUSTER_NETWORK_POLICY,
        Kind::AdminNetworkPolicy => &ADMIN_NETWORK_POLICY,
        Kind::BaselineAdminNetworkPolicy => &BASELINE,
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    walk(shape, value, &FieldPath::root(), &mut found);
    found
}

fn walk(shape: &Shape, value: &Value, path: &FieldPath, found: &mut Vec<Unknown>) {
    match (shape, value) {
        (Fields(fields), Value::Object(map)) => {
            for (key, value) in map {
                match fields.iter().find(|(name, _)| name == key) {
                    Some((_, Any)) => {}
                    Some((_, shape)) => walk(shape, value, &path.clone().key(key), found),
                    None => found.push(Unknown {
                        path: path.clone().key(key),
                        name: key.clone(),
                        meant: nearest(key, fields.iter().map(|(name, _)| *name), |name| map.contains_key(name)),
                        known: fields.iter().map(|(name, _)| *name).collect(),
                    }),
                }
            }
        }
        (List(shape), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                walk(shape, item, &path.clone().index(index), found);
            }
        }
        _ => {}
    }
}

/// The known name that is nearest, if any is near; one that is already there can't be meant.
fn nearest(
    name: &str,
    known: impl Iterator<Item = &'static str>,
    taken: impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let lower = name.to_lowercase();
    let allowed = (name.chars().count() / 3).max(1);
    known
        .filter(|candidate| !taken(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn misspelt_fields_are_found_where_they_are() {
        let value = json!({"metadata": {"name": "x", "lables": {}}, "spec": {
            "podSelecter": {"matchLabels": {"anything": "goes"}},
            "ingress": [{"from": [{"podSelector": {"matchlabels": {}}}], "port": []}]}});
        let found: Vec<_> = unknown_fields(Kind::NetworkPolicy, &value)
            .into_iter()
            .map(|unknown| (unknown.path.to_string(), unknown.meant))
            .collect();
        assert_eq!(
            found,
            [
                ("metadata.lables".to_owned(), Some("labels")),
                ("spec.podSelecter".to_owned(), Some("podSelector")),
                ("spec.ingress[0].from[0].podSelector.matchlabels".to_owned(), Some("matchLabels")),
                ("spec.ingress[0].port".to_owned(), Some("ports")),
            ]
        );
    }

    #[test]
    fn nothing_near() {
        let value = json!({"spec": {"somethingElse": 1, "ports": []}});
        let found = unknown_fields(Kind::NetworkPolicy, &value);
        assert_eq!(found[0].meant, None);
        assert!(unknown_fields(Kind::Pod, &value).is_empty());
    }
}
