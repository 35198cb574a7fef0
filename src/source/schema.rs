//! The fields of objects: those that are read, and, of policies and Services, all there are, to tell a misspelt one from
//! one that is merely not needed.
//!
//! `podSelecter:` is dropped by a lenient reader, and the policy then selects every pod. Fields are those of the API
//! reference (Kubernetes 1.36) and of the CustomResourceDefinitions of `policy.networking.k8s.io`.

use serde_json::Value;

use super::kind::Kind;
use super::origin::FieldPath;
use super::scan::Wanted;

/// What a value may hold.
pub(super) enum Shape {
    /// Not looked into.
    Any,
    /// Known, and not read.
    Skip,
    /// These fields.
    Fields(&'static [(&'static str, &'static Shape)]),
    /// Items of one shape.
    List(&'static Shape),
}

impl Wanted for Shape {
    fn fields(&self) -> Option<&[(&'static str, &Self)]> {
        match self {
            Fields(fields) => Some(fields),
            _ => None,
        }
    }

    fn item(&self) -> Option<&Self> {
        match self {
            List(item) => Some(item),
            _ => None,
        }
    }

    fn skip(&self) -> bool {
        matches!(self, Skip)
    }
}

use Shape::{Any, Fields, List, Skip};

static METADATA: Shape = Fields(&[
    ("name", &Any),
    ("generateName", &Any),
    ("namespace", &Any),
    ("labels", &Any),
    ("annotations", &Any),
    ("ownerReferences", &Any),
    ("finalizers", &Skip),
    ("uid", &Skip),
    ("resourceVersion", &Skip),
    ("generation", &Skip),
    ("creationTimestamp", &Skip),
    ("deletionTimestamp", &Any),
    ("deletionGracePeriodSeconds", &Skip),
    ("managedFields", &Skip),
    ("selfLink", &Skip),
    ("clusterName", &Skip),
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
    ("status", &Skip),
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
    ("status", &Skip),
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
    ("status", &Skip),
]);
static BASELINE: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &METADATA),
    ("spec", &Fields(&[("subject", &SUBJECT), ("ingress", &ADMIN_INGRESS), ("egress", &ADMIN_EGRESS)])),
    ("status", &Skip),
]);

/// What is read of the metadata of an object that no diagnostic points into.
static PLAIN_METADATA: Shape = Fields(&[
    ("name", &Any),
    ("generateName", &Any),
    ("namespace", &Any),
    ("labels", &Any),
    ("ownerReferences", &List(&Fields(&[("kind", &Any), ("name", &Any), ("controller", &Any)]))),
    ("deletionTimestamp", &Any),
]);
static CONTAINERS: Shape = List(&Fields(&[
    ("name", &Any),
    ("ports", &List(&Fields(&[("name", &Any), ("containerPort", &Any), ("protocol", &Any)]))),
    ("restartPolicy", &Any),
]));
static POD_SPEC: Shape = Fields(&[
    ("nodeName", &Any),
    ("hostNetwork", &Any),
    ("serviceAccountName", &Any),
    ("hostname", &Any),
    ("subdomain", &Any),
    ("containers", &CONTAINERS),
    ("initContainers", &CONTAINERS),
]);
static POD: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &PLAIN_METADATA),
    ("spec", &POD_SPEC),
    (
        "status",
        &Fields(&[
            ("phase", &Any),
            ("podIP", &Any),
            ("podIPs", &Any),
            ("hostIP", &Any),
            ("conditions", &List(&Fields(&[("type", &Any), ("status", &Any)]))),
        ]),
    ),
]);
static TEMPLATE: Shape = Fields(&[("metadata", &PLAIN_METADATA), ("spec", &POD_SPEC)]);
static WORKLOAD: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &PLAIN_METADATA),
    (
        "spec",
        &Fields(&[
            ("replicas", &Any),
            ("serviceName", &Any),
            ("template", &TEMPLATE),
            ("jobTemplate", &Fields(&[("spec", &Fields(&[("template", &TEMPLATE)]))])),
        ]),
    ),
]);
static NODE: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &PLAIN_METADATA),
    ("spec", &Fields(&[("podCIDRs", &Any)])),
    ("status", &Fields(&[("addresses", &Any)])),
]);
static TARGET: Shape = Fields(&[("kind", &Any), ("name", &Any), ("namespace", &Any)]);
static ENDPOINT_SLICE: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &PLAIN_METADATA),
    ("addressType", &Any),
    (
        "endpoints",
        &List(&Fields(&[("addresses", &Any), ("conditions", &Any), ("targetRef", &TARGET), ("nodeName", &Any)])),
    ),
    ("ports", &Any),
]);
static ENDPOINT_ADDRESSES: Shape = List(&Fields(&[("ip", &Any), ("nodeName", &Any), ("targetRef", &TARGET)]));
static ENDPOINTS: Shape = Fields(&[
    ("apiVersion", &Any),
    ("kind", &Any),
    ("metadata", &PLAIN_METADATA),
    (
        "subsets",
        &List(&Fields(&[
            ("addresses", &ENDPOINT_ADDRESSES),
            ("notReadyAddresses", &ENDPOINT_ADDRESSES),
            ("ports", &Any),
        ])),
    ),
]);

/// What is read of a kind, and whether these are all the fields it has. None for kinds that are always read with care.
pub(super) fn shape(kind: Kind) -> Option<(&'static Shape, bool)> {
    Some(match kind {
        Kind::Pod => (&POD, false),
        Kind::Workload => (&WORKLOAD, false),
        Kind::Node => (&NODE, false),
        Kind::EndpointSlice => (&ENDPOINT_SLICE, false),
        Kind::Endpoints => (&ENDPOINTS, false),
        Kind::NetworkPolicy => (&NETWORK_POLICY, true),
        Kind::Service => (&SERVICE, true),
        _ => return None,
    })
}

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
                    Some((_, Any | Skip)) => {}
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
    use std::cell::RefCell;

    use serde::de::value::{Error, StrDeserializer};
    use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
    use serde_json::json;

    use super::super::kind;
    use super::*;

    /// Gives every type what it asks for, and remembers the fields it asks for.
    struct Asked<'a> {
        path: FieldPath,
        fields: &'a RefCell<Vec<FieldPath>>,
    }

    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_str("")
        }

        fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_bool(false)
        }

        fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_i64(0)
        }

        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_some(self)
        }

        fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_seq(One(Some(self)))
        }

        fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_map(serde::de::value::MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            names: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            visitor.visit_map(Each { names: names.iter(), current: "", asked: self })
        }

        serde::forward_to_deserialize_any! {
            i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
            newtype_struct tuple tuple_struct enum identifier ignored_any
        }
    }

    struct One<'a>(Option<Asked<'a>>);

    impl<'de> SeqAccess<'de> for One<'_> {
        type Error = Error;

        fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
            self.0.take().map(|asked| seed.deserialize(Asked { path: asked.path.index(0), ..asked })).transpose()
        }
    }

    struct Each<'a> {
        names: std::slice::Iter<'static, &'static str>,
        current: &'static str,
        asked: Asked<'a>,
    }

    impl<'de> MapAccess<'de> for Each<'_> {
        type Error = Error;

        fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
            let Some(name) = self.names.next() else { return Ok(None) };
            self.current = name;
            let key: StrDeserializer<'_, Error> = name.into_deserializer();
            seed.deserialize(key).map(Some)
        }

        fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
            let path = self.asked.path.clone().key(self.current);
            self.asked.fields.borrow_mut().push(path.clone());
            seed.deserialize(Asked { path, fields: self.asked.fields })
        }
    }

    fn keeps(shape: &Shape, path: &[super::super::Segment]) -> bool {
        use super::super::Segment;
        match (shape, path) {
            (Any, _) => true,
            (Skip, _) => false,
            (_, []) => true,
            (Fields(fields), [Segment::Key(key), rest @ ..]) => {
                fields.iter().any(|(name, shape)| **name == **key && keeps(shape, rest))
            }
            (List(shape), [Segment::Index(_), rest @ ..]) => keeps(shape, rest),
            _ => false,
        }
    }

    #[test]
    fn every_field_that_is_read_is_kept() {
        let mut seen = 0;
        for kind in [
            Kind::Pod,
            Kind::Workload,
            Kind::Node,
            Kind::EndpointSlice,
            Kind::Endpoints,
            Kind::NetworkPolicy,
            Kind::Service,
        ] {
            let (shape, strict) = shape(kind).expect("it has a shape");
            let fields = RefCell::default();
            kind::deserialize(kind, Asked { path: FieldPath::root(), fields: &fields }).expect("it takes anything");
            for path in fields.into_inner() {
                seen += 1;
                // Of what no diagnostic points into, annotations are not kept.
                let annotations = path.0.len() > 1 && path.to_string().ends_with("metadata.annotations");
                assert_eq!(keeps(shape, &path.0), strict || !annotations, "{kind:?}: {path}");
            }
        }
        assert!(seen > 150, "{seen}");
    }

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
