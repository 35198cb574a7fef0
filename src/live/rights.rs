//! Which rights a command needs, as roles to ask an administrator for.
//!
//! `namespaces` may be read one by one through a Role in that namespace, as the API server takes the namespace itself for
//! the one that the request is in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::ask::{self, Ask, Resource};

/// A right: a verb on a resource, in a namespace or everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group.
    pub group: String,
    /// Resource, with its subresource.
    pub resource: String,
    /// `get`, `list`, `patch` …
    pub verb: &'static str,
    /// Namespace; none for the whole cluster.
    pub namespace: Option<String>,
}

impl Right {
    fn new(resource: &Resource, verb: &'static str, namespace: Option<&str>) -> Self {
        Self {
            group: resource.group.to_string(),
            resource: resource.plural.to_string(),
            verb,
            namespace: namespace.map(str::to_owned),
        }
    }

    /// Reading what containers logged.
    pub(super) fn logs(namespace: &str) -> Self {
        Self {
            group: String::new(),
            resource: "pods/log".to_owned(),
            verb: "get",
            namespace: Some(namespace.to_owned()),
        }
    }

    /// The right that a request needs; none for discovery, which everybody has who may log in.
    pub fn of(ask: &Ask) -> Option<Self> {
        match ask {
            Ask::Discovery | Ask::Group(_) => None,
            Ask::Get { resource, namespace, name } => {
                let namespace = match (namespace, resource == &ask::NAMESPACES) {
                    (_, true) => Some(name.as_str()),
                    (namespace, false) => namespace.as_deref(),
                };
                Some(Self::new(resource, "get", namespace))
            }
            Ask::List { resource, namespace, .. } => Some(Self::new(resource, "list", namespace.as_deref())),
        }
    }
}

/// What is asked of a cluster, for `netcheck rbac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// One check.
    Check,
    /// One check, with a probe from the client's pod.
    Probe,
    /// Everything about some namespaces, or the cluster: audit, graph, diff, test.
    Survey,
    /// Why a pod crashes.
    Why,
    /// A snapshot.
    Snapshot,
}

/// The rights a purpose takes in these namespaces; everywhere without any.
pub fn rights(purpose: Purpose, namespaces: &[String]) -> Vec<Right> {
    let mut out = Vec::new();
    let places: Vec<Option<&str>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().map(|n| Some(n.as_str())).collect() };
    let workloads =
        [ask::DEPLOYMENTS, ask::STATEFUL_SETS, ask::DAEMON_SETS, ask::REPLICA_SETS, ask::JOBS, ask::CRON_JOBS];
    for place in places {
        let mut add = |resource: &Resource, verbs: &[&'static str]| {
            out.extend(verbs.iter().map(|verb| Right::new(resource, verb, place)));
        };
        add(&ask::PODS, &["get", "list"]);
        add(&ask::SERVICES, &["get", "list"]);
        add(&ask::ENDPOINT_SLICES, &["list"]);
        add(&ask::NETWORK_POLICIES, &["list"]);
        add(&ask::NAMESPACES, if place.is_none() { &["get", "list"] } else { &["get"] });
        for workload in &workloads {
            add(
                workload,
                // DaemonSets everywhere tell which network plugin runs.
                if matches!(purpose, Purpose::Check | Purpose::Probe)
                    && !(place.is_none() && *workload == ask::DAEMON_SETS)
                {
                    &["get"]
                } else {
                    &["get", "list"]
                },
            );
        }
        if !matches!(purpose, Purpose::Check | Purpose::Probe) {
            add(&ask::REPLICATION_CONTROLLERS, &["list"]);
        }
        if matches!(purpose, Purpose::Survey | Purpose::Snapshot) {
            add(&ask::INGRESSES, &["list"]);
            for plural in
                ["gateways", "httproutes", "grpcroutes", "tlsroutes", "tcproutes", "udproutes", "referencegrants"]
            {
                out.push(Right {
                    group: "gateway.networking.k8s.io".to_owned(),
                    resource: plural.to_owned(),
                    verb: "list",
                    namespace: place.map(str::to_owned),
                });
            }
        }
        let mut add = |resource: &Resource, verbs: &[&'static str]| {
            out.extend(verbs.iter().map(|verb| Right::new(resource, verb, place)));
        };
        if matches!(purpose, Purpose::Why | Purpose::Snapshot) {
            add(&ask::EVENTS, &["list"]);
        }
        if purpose == Purpose::Why {
            // Those alone that pods in trouble name.
            add(&ask::CONFIG_MAPS, &["get"]);
            add(&ask::CLAIMS, &["get"]);
        }
        if purpose == Purpose::Snapshot {
            // Names and keys come from the metadata alone, but RBAC knows no such verb.
            add(&ask::SECRETS, &["list"]);
            add(&ask::CLAIMS, &["list"]);
            add(&ask::CONFIG_MAPS, &["list"]);
        }
        let place = place.map(str::to_owned);
        let sub = |resource: &str, verb| Right {
            group: String::new(),
            resource: resource.to_owned(),
            verb,
            namespace: place.clone(),
        };
        if purpose == Purpose::Why {
            out.push(sub("pods/log", "get"));
        }
        if purpose == Purpose::Probe {
            out.push(sub("pods/ephemeralcontainers", "patch"));
        }
    }
    if !namespaces.is_empty() {
        let dns = Some("kube-system");
        out.push(Right::new(&ask::NAMESPACES, "get", dns));
        out.push(Right::new(&ask::SERVICES, "get", dns));
        out.push(Right::new(&ask::PODS, "list", dns));
        out.push(Right::new(&ask::NETWORK_POLICIES, "list", dns));
        // They tell which network plugin runs.
        out.push(Right::new(&ask::DAEMON_SETS, "list", dns));
    }
    // Which addresses are nodes'. A check asks for a node where one is named.
    if namespaces.is_empty() || !matches!(purpose, Purpose::Check | Purpose::Probe) {
        out.push(Right::new(&ask::NODES, "list", None));
        // Without them a class's name stands for its controller.
        if matches!(purpose, Purpose::Survey | Purpose::Snapshot) {
            out.push(Right::new(&ask::INGRESS_CLASSES, "list", None));
            let group = "gateway.networking.k8s.io".to_owned();
            out.push(Right { group, resource: "gatewayclasses".to_owned(), verb: "list", namespace: None });
        }
    }
    if purpose == Purpose::Why && !namespaces.is_empty() {
        // Those of nodes are there.
        out.push(Right::new(&ask::EVENTS, "list", Some("default")));
    }
    if matches!(purpose, Purpose::Why | Purpose::Snapshot) {
        out.push(Right::new(&ask::STORAGE_CLASSES, "list", None));
    }
    for plural in ["clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies"] {
        let group = "policy.networking.k8s.io".to_owned();
        out.push(Right { group, resource: plural.to_owned(), verb: "list", namespace: None });
    }
    out
}

/// Rights that a flag of a command takes besides those of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Further {
    /// The roles' name.
    pub name: &'static str,
    /// What they are for, as a comment.
    pub reason: &'static str,
    /// The rights.
    pub rights: Vec<Right>,
}

/// What `--capture` takes besides a probe, in these namespaces; everywhere without any. Each is a role of its own: who
/// binds one need not bind the others.
pub fn capture(namespaces: &[String]) -> Vec<Further> {
    let of = |needed: &[(&str, &'static str)], place: Option<&str>| -> Vec<Right> {
        let right = |(resource, verb): &(&str, &'static str)| Right {
            group: String::new(),
            resource: (*resource).to_owned(),
            verb,
            namespace: place.map(str::to_owned),
        };
        needed.iter().map(right).collect()
    };
    let places = |needed: &[(&str, &'static str)]| -> Vec<Right> {
        match namespaces {
            [] => of(needed, None),
            named => named.iter().flat_map(|namespace| of(needed, Some(namespace))).collect(),
        }
    };
    let mut out = vec![Further {
        name: "netcheck-capture",
        reason: "only for --capture: both ends count their packets, which is read by exec",
        rights: places(super::probe::capture::BY_EXEC),
    }];
    let (plugin, needed) = super::probe::capture::FLOW_LOG;
    if !namespaces.is_empty() && !namespaces.iter().any(|namespace| namespace == plugin) {
        out.push(Further {
            name: "netcheck-capture-cilium",
            reason: "only for --capture, where the network plugin is Cilium: its flow log is read by exec",
            rights: of(needed, Some(plugin)),
        });
    }
    out.push(Further {
        name: "netcheck-capture-node",
        reason: "only for --capture=node: a pod on each node runs tcpdump, and goes away",
        rights: places(super::probe::capture::ON_NODES),
    });
    out
}

/// The verbs of a place, by group and resource.
type Verbs<'r> = BTreeMap<(&'r str, &'r str), BTreeSet<&'r str>>;

/// Rights as roles in YAML: a Role per namespace, and a ClusterRole for what is in none.
pub fn roles(rights: &[Right]) -> String {
    documents("netcheck", rights).join("---\n")
}

/// Further rights as documents that come after roles.
pub fn further(further: &Further) -> String {
    let all = documents(further.name, &further.rights);
    all.into_iter().map(|role| format!("---\n# {}\n{role}", further.reason)).collect()
}

/// A document for each place of the rights.
fn documents(name: &str, rights: &[Right]) -> Vec<String> {
    let mut places: BTreeMap<Option<&str>, Verbs<'_>> = BTreeMap::new();
    for right in rights {
        let place = places.entry(right.namespace.as_deref()).or_default();
        place.entry((&right.group, &right.resource)).or_default().insert(right.verb);
    }
    let mut documents = Vec::new();
    // The ClusterRole goes last: it is what an administrator may refuse.
    let (cluster, named): (Vec<_>, Vec<_>) = places.into_iter().partition(|(place, _)| place.is_none());
    for (place, resources) in named.into_iter().chain(cluster) {
        let mut out = String::from("apiVersion: rbac.authorization.k8s.io/v1\n");
        match place {
            Some(namespace) => {
                let _ = write!(out, "kind: Role\nmetadata:\n  name: {name}\n  namespace: {}\n", quoted(namespace));
            }
            None => {
                let _ = write!(out, "kind: ClusterRole\nmetadata:\n  name: {name}\n");
            }
        }
        out.push_str("rules:\n");
        let mut rules: BTreeMap<(&str, Vec<&str>), Vec<&str>> = BTreeMap::new();
        for ((group, resource), verbs) in &resources {
            rules.entry((group, verbs.iter().copied().collect())).or_default().push(resource);
        }
        for ((group, verbs), resources) in rules {
            let _ = writeln!(out, "- apiGroups: [{}]", if group.is_empty() { "\"\"" } else { group });
            let _ = writeln!(out, "  resources: [{}]", resources.join(", "));
            let _ = writeln!(out, "  verbs: [{}]", verbs.join(", "));
        }
        documents.push(out);
    }
    documents
}

/// A namespace's name as YAML: one of digits alone is no string without quotes.
fn quoted(name: &str) -> String {
    if name.bytes().any(|b| b.is_ascii_alphabetic())
        && !matches!(name, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n")
    {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_of_one_place_are_one_role() {
        let asks = [
            Ask::get(ask::PODS, "shop", "a"),
            Ask::list(ask::PODS, "shop"),
            Ask::get(ask::SERVICES, "shop", "b"),
            Ask::get(ask::NAMESPACES, "shop", "shop"),
            Ask::everywhere(ask::NODES),
        ];
        let rights: Vec<Right> = asks.iter().filter_map(Right::of).collect();
        assert_eq!(
            roles(&rights),
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: netcheck\n  namespace: shop\nrules:\n\
             - apiGroups: [\"\"]\n  resources: [namespaces, services]\n  verbs: [get]\n\
             - apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get, list]\n\
             ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: netcheck\nrules:\n\
             - apiGroups: [\"\"]\n  resources: [nodes]\n  verbs: [list]\n"
        );
    }
}
