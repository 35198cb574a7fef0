//! One thing to ask an API server for, and how it is written as a request and as a right.

use std::borrow::Cow;

use super::client::encode;

/// A resource of the API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// API group; empty for core.
    pub group: Cow<'static, str>,
    /// Version.
    pub version: Cow<'static, str>,
    /// Name in paths and in roles, such as `pods`.
    pub plural: Cow<'static, str>,
    /// Kind of its objects.
    pub kind: Cow<'static, str>,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
}

macro_rules! resources {
    ($($name:ident = $group:literal $version:literal $plural:literal $kind:literal $namespaced:literal;)*) => {$(
        #[doc = concat!("`", $plural, "`.")]
        pub const $name: Resource = Resource {
            group: Cow::Borrowed($group),
            version: Cow::Borrowed($version),
            plural: Cow::Borrowed($plural),
            kind: Cow::Borrowed($kind),
            namespaced: $namespaced,
        };
    )*};
}

resources! {
    PODS = "" "v1" "pods" "Pod" true;
    SERVICES = "" "v1" "services" "Service" true;
    NAMESPACES = "" "v1" "namespaces" "Namespace" false;
    NODES = "" "v1" "nodes" "Node" false;
    EVENTS = "" "v1" "events" "Event" true;
    CONFIG_MAPS = "" "v1" "configmaps" "ConfigMap" true;
    SECRETS = "" "v1" "secrets" "Secret" true;
    REPLICATION_CONTROLLERS = "" "v1" "replicationcontrollers" "ReplicationController" true;
    ENDPOINT_SLICES = "discovery.k8s.io" "v1" "endpointslices" "EndpointSlice" true;
    NETWORK_POLICIES = "networking.k8s.io" "v1" "networkpolicies" "NetworkPolicy" true;
    INGRESSES = "networking.k8s.io" "v1" "ingresses" "Ingress" true;
    INGRESS_CLASSES = "networking.k8s.io" "v1" "ingressclasses" "IngressClass" false;
    DEPLOYMENTS = "apps" "v1" "deployments" "Deployment" true;
    REPLICA_SETS = "apps" "v1" "replicasets" "ReplicaSet" true;
    STATEFUL_SETS = "apps" "v1" "statefulsets" "StatefulSet" true;
    DAEMON_SETS = "apps" "v1" "daemonsets" "DaemonSet" true;
    JOBS = "batch" "v1" "jobs" "Job" true;
    CLAIMS = "" "v1" "persistentvolumeclaims" "PersistentVolumeClaim" true;
    STORAGE_CLASSES = "storage.k8s.io" "v1" "storageclasses" "StorageClass" false;
    CRON_JOBS = "batch" "v1" "cronjobs" "CronJob" true;
}

impl Resource {
    /// The resource of a kind of workload.
    pub fn of_workload(kind: &str) -> Option<Self> {
        [DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS, REPLICATION_CONTROLLERS, JOBS, CRON_JOBS]
            .into_iter()
            .find(|r| r.kind == kind)
    }

    /// The root of its paths.
    fn root(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// Its name with its group, as `kubectl` takes it.
    pub fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// Which objects of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// All of them.
    All,
    /// Those that a label selector selects.
    Labels(String),
    /// Those that a field selector selects.
    Fields(String),
}

/// One thing to ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// Which groups, and which resources in them, the server has.
    Discovery,
    /// The resources of one group and version, of a server that doesn't tell them all at once.
    Group(String),
    /// An object.
    Get {
        /// Its resource.
        resource: Resource,
        /// Its namespace.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
    /// Objects.
    List {
        /// Their resource.
        resource: Resource,
        /// Their namespace; none for all.
        namespace: Option<String>,
        /// Which.
        filter: Filter,
    },
}

impl Ask {
    /// An object in a namespace.
    pub fn get(resource: Resource, namespace: &str, name: &str) -> Self {
        let namespace = resource.namespaced.then(|| namespace.to_owned());
        Self::Get { resource, namespace, name: name.to_owned() }
    }

    /// All objects of a namespace.
    pub fn list(resource: Resource, namespace: &str) -> Self {
        Self::List { resource, namespace: Some(namespace.to_owned()), filter: Filter::All }
    }

    /// The DaemonSets that betray the network plugin, where its API groups don't.
    pub fn plugin() -> Self {
        Self::list(DAEMON_SETS, "kube-system")
    }

    /// flannel's DaemonSet, which has a namespace of its own and no API group: the name is its manifests'.
    pub fn flannel() -> Self {
        Self::get(DAEMON_SETS, "kube-flannel", "kube-flannel-ds")
    }

    /// Objects of a namespace by label.
    pub fn labelled(resource: Resource, namespace: &str, selector: String) -> Self {
        Self::List { resource, namespace: Some(namespace.to_owned()), filter: Filter::Labels(selector) }
    }

    /// All objects of the cluster.
    pub fn everywhere(resource: Resource) -> Self {
        Self::List { resource, namespace: None, filter: Filter::All }
    }

    /// The path with its query, without paging.
    pub fn path(&self) -> String {
        match self {
            Self::Discovery => "/apis".to_owned(),
            Self::Group(version) => format!("/apis/{version}"),
            Self::Get { resource, namespace, name } => {
                format!("{}/{}", base(resource, namespace.as_deref()), encode(name))
            }
            Self::List { resource, namespace, filter } => {
                let base = base(resource, namespace.as_deref());
                match filter {
                    Filter::All => base,
                    Filter::Labels(selector) => format!("{base}?labelSelector={}", encode(selector)),
                    Filter::Fields(selector) => format!("{base}?fieldSelector={}", encode(selector)),
                }
            }
        }
    }

    /// Whether it is a list, which is read in pages.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::List { .. })
    }

    /// What it is called in messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Discovery => "the API groups".to_owned(),
            Self::Group(version) => format!("the resources of `{version}`"),
            Self::Get { resource, namespace: Some(namespace), name } => {
                format!("{} `{name}` in namespace `{namespace}`", resource.kind)
            }
            Self::Get { resource, namespace: None, name } => format!("{} `{name}`", resource.kind),
            Self::List { resource, namespace: Some(namespace), .. } => {
                format!("{} in namespace `{namespace}`", resource.plural)
            }
            Self::List { resource, namespace: None, .. } => format!("{} of the cluster", resource.plural),
        }
    }
}

fn base(resource: &Resource, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{}/namespaces/{}/{}", resource.root(), encode(namespace), resource.plural),
        None => format!("{}/{}", resource.root(), resource.plural),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(Ask::get(PODS, "shop", "a").path(), "/api/v1/namespaces/shop/pods/a");
        assert_eq!(Ask::get(NAMESPACES, "shop", "shop").path(), "/api/v1/namespaces/shop");
        assert_eq!(Ask::everywhere(SERVICES).path(), "/api/v1/services");
        assert_eq!(
            Ask::labelled(ENDPOINT_SLICES, "shop", "a=b".to_owned()).path(),
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=a%3Db"
        );
    }
}
