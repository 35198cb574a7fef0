//! Which fields of which kinds a snapshot keeps: everything that is not named here is left out.

/// What is kept of a value.
pub(super) enum Keep {
    /// All of it.
    All,
    /// These fields, in this order.
    Fields(&'static [(&'static str, &'static Keep)]),
    /// Items of a list.
    Each(&'static Keep),
    /// A free text, without what looks like a credential.
    Text,
    /// Variables: their names and where their values come from; of a value where it leads.
    Variables,
    /// Arguments: where they lead.
    Leads,
    /// The first word of a command, and where it leads.
    Command,
    /// Values by key: where they lead.
    Values,
}

use Keep::{All, Command, Each, Fields, Leads, Text, Values, Variables};

static OWNERS: Keep = Each(&Fields(&[("apiVersion", &All), ("kind", &All), ("name", &All), ("controller", &All)]));
pub(super) static METADATA: Keep = Fields(&[
    ("name", &All),
    ("generateName", &All),
    ("namespace", &All),
    ("uid", &All),
    ("creationTimestamp", &All),
    ("deletionTimestamp", &All),
    ("labels", &All),
    ("ownerReferences", &OWNERS),
]);

static SECURITY: Keep =
    Fields(&[("runAsUser", &All), ("runAsNonRoot", &All), ("fsGroup", &All), ("readOnlyRootFilesystem", &All)]);
static PROBE: Keep = Fields(&[
    ("httpGet", &Fields(&[("path", &All), ("port", &All), ("host", &All), ("scheme", &All)])),
    ("tcpSocket", &All),
    ("grpc", &All),
    ("exec", &Fields(&[("command", &Command)])),
    ("initialDelaySeconds", &All),
    ("periodSeconds", &All),
    ("timeoutSeconds", &All),
    ("successThreshold", &All),
    ("failureThreshold", &All),
]);
static CONTAINERS: Keep = Each(&Fields(&[
    ("name", &All),
    ("image", &All),
    ("restartPolicy", &All),
    ("command", &Command),
    ("args", &Leads),
    ("ports", &All),
    ("env", &Variables),
    ("envFrom", &All),
    ("resources", &Fields(&[("limits", &All), ("requests", &All)])),
    ("livenessProbe", &PROBE),
    ("readinessProbe", &PROBE),
    ("startupProbe", &PROBE),
    ("volumeMounts", &Each(&Fields(&[("name", &All), ("mountPath", &All)]))),
    ("securityContext", &SECURITY),
]));
static VOLUMES: Keep = Each(&Fields(&[
    ("name", &All),
    ("configMap", &Fields(&[("name", &All), ("optional", &All), ("items", &All)])),
    ("secret", &Fields(&[("secretName", &All), ("optional", &All), ("items", &All)])),
    ("persistentVolumeClaim", &All),
]));
static POD_SPEC: Keep = Fields(&[
    ("nodeName", &All),
    ("hostNetwork", &All),
    ("serviceAccountName", &All),
    ("hostname", &All),
    ("subdomain", &All),
    ("restartPolicy", &All),
    ("terminationGracePeriodSeconds", &All),
    ("dnsPolicy", &All),
    ("dnsConfig", &All),
    ("hostAliases", &All),
    ("nodeSelector", &All),
    ("schedulerName", &All),
    ("securityContext", &SECURITY),
    ("initContainers", &CONTAINERS),
    ("containers", &CONTAINERS),
    ("volumes", &VOLUMES),
]);
static CONDITIONS: Keep = Each(&Fields(&[
    ("type", &All),
    ("status", &All),
    ("reason", &All),
    ("message", &Text),
    ("lastTransitionTime", &All),
]));
static STATE: Keep = Fields(&[
    ("waiting", &Fields(&[("reason", &All), ("message", &Text)])),
    ("running", &All),
    (
        "terminated",
        &Fields(&[
            ("exitCode", &All),
            ("signal", &All),
            ("reason", &All),
            ("message", &Text),
            ("startedAt", &All),
            ("finishedAt", &All),
        ]),
    ),
]);
static STATUSES: Keep = Each(&Fields(&[
    ("name", &All),
    ("ready", &All),
    ("started", &All),
    ("restartCount", &All),
    ("state", &STATE),
    ("lastState", &STATE),
]));
static POD: Keep = Fields(&[
    ("metadata", &METADATA),
    ("spec", &POD_SPEC),
    (
        "status",
        &Fields(&[
            ("phase", &All),
            ("reason", &All),
            ("message", &Text),
            ("podIP", &All),
            ("podIPs", &All),
            ("hostIP", &All),
            ("startTime", &All),
            ("conditions", &CONDITIONS),
            ("initContainerStatuses", &STATUSES),
            ("containerStatuses", &STATUSES),
        ]),
    ),
]);
static TEMPLATE: Keep = Fields(&[("metadata", &Fields(&[("labels", &All)])), ("spec", &POD_SPEC)]);
static WORKLOAD: Keep = Fields(&[
    ("metadata", &METADATA),
    (
        "spec",
        &Fields(&[
            ("replicas", &All),
            ("serviceName", &All),
            ("selector", &All),
            ("template", &TEMPLATE),
            ("jobTemplate", &Fields(&[("spec", &Fields(&[("template", &TEMPLATE)]))])),
            ("backoffLimit", &All),
            ("activeDeadlineSeconds", &All),
        ]),
    ),
    ("status", &Fields(&[("conditions", &CONDITIONS), ("failed", &All), ("succeeded", &All), ("active", &All)])),
]);
/// A ReplicaSet repeats its Deployment's template: its owner and its age are what it adds.
static REPLICA_SET: Keep = Fields(&[
    (
        "metadata",
        &Fields(&[
            ("name", &All),
            ("namespace", &All),
            ("uid", &All),
            ("creationTimestamp", &All),
            ("labels", &All),
            ("annotations", &Fields(&[("deployment.kubernetes.io/revision", &All)])),
            ("ownerReferences", &OWNERS),
        ]),
    ),
    (
        "spec",
        &Fields(&[
            ("replicas", &All),
            ("selector", &All),
            ("template", &Fields(&[("metadata", &Fields(&[("labels", &All)]))])),
        ]),
    ),
]);
static NODE: Keep = Fields(&[
    ("metadata", &METADATA),
    ("spec", &Fields(&[("podCIDR", &All), ("podCIDRs", &All), ("unschedulable", &All), ("taints", &All)])),
    (
        "status",
        &Fields(&[
            ("addresses", &All),
            ("conditions", &CONDITIONS),
            ("allocatable", &All),
            ("nodeInfo", &Fields(&[("architecture", &All), ("kubeletVersion", &All)])),
        ]),
    ),
]);
static SERVICE: Keep = Fields(&[
    (
        "metadata",
        &Fields(&[
            ("name", &All),
            ("namespace", &All),
            ("uid", &All),
            ("creationTimestamp", &All),
            ("deletionTimestamp", &All),
            ("labels", &All),
            ("annotations", &BALANCERS),
            ("ownerReferences", &OWNERS),
        ]),
    ),
    ("spec", &All),
    ("status", &Fields(&[("loadBalancer", &All)])),
]);
/// Annotations that ask for a load balancer of the provider's own network.
static BALANCERS: Keep = Fields(&[
    ("service.beta.kubernetes.io/aws-load-balancer-internal", &All),
    ("service.beta.kubernetes.io/aws-load-balancer-scheme", &All),
    ("service.beta.kubernetes.io/azure-load-balancer-internal", &All),
    ("networking.gke.io/load-balancer-type", &All),
    ("cloud.google.com/load-balancer-type", &All),
    ("service.beta.kubernetes.io/oci-load-balancer-internal", &All),
    ("service.beta.kubernetes.io/openstack-internal-load-balancer", &All),
    ("service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type", &All),
    ("service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type", &All),
]);
/// Of annotations, those that say whether a Service or an Ingress is open to the internet.
static ROUTING: Keep = Fields(&[
    (
        "metadata",
        &Fields(&[
            ("name", &All),
            ("namespace", &All),
            ("labels", &All),
            (
                "annotations",
                &Fields(&[
                    ("kubernetes.io/ingress.class", &All),
                    ("ingressclass.kubernetes.io/is-default-class", &All),
                ]),
            ),
        ]),
    ),
    ("spec", &All),
]);
static SLICE: Keep = Fields(&[
    ("metadata", &METADATA),
    ("addressType", &All),
    (
        "endpoints",
        &Each(&Fields(&[
            ("addresses", &All),
            ("conditions", &All),
            ("nodeName", &All),
            ("targetRef", &Fields(&[("kind", &All), ("namespace", &All), ("name", &All)])),
        ])),
    ),
    ("ports", &All),
]);
static ENDPOINTS: Keep = Fields(&[("metadata", &METADATA), ("subsets", &All)]);
static BARE: Keep = Fields(&[("metadata", &METADATA)]);
static POLICY: Keep = Fields(&[("metadata", &METADATA), ("spec", &All), ("specs", &All)]);
static EVENT: Keep = Fields(&[
    ("metadata", &Fields(&[("name", &All), ("namespace", &All), ("creationTimestamp", &All)])),
    (
        "involvedObject",
        &Fields(&[("kind", &All), ("namespace", &All), ("name", &All), ("uid", &All), ("fieldPath", &All)]),
    ),
    ("regarding", &Fields(&[("kind", &All), ("namespace", &All), ("name", &All), ("uid", &All), ("fieldPath", &All)])),
    ("type", &All),
    ("reason", &All),
    ("message", &Text),
    ("note", &Text),
    ("count", &All),
    ("deprecatedCount", &All),
    ("series", &All),
    ("firstTimestamp", &All),
    ("lastTimestamp", &All),
    ("deprecatedFirstTimestamp", &All),
    ("deprecatedLastTimestamp", &All),
    ("eventTime", &All),
]);
static CONFIG_MAP: Keep = Fields(&[("metadata", &METADATA), ("data", &Values)]);
static SECRET: Keep = Fields(&[("metadata", &METADATA), ("type", &All)]);
static CLAIM: Keep = Fields(&[
    ("metadata", &METADATA),
    ("spec", &Fields(&[("storageClassName", &All)])),
    ("status", &Fields(&[("phase", &All)])),
]);

/// What is kept of a kind, and where it stands in a snapshot; none for kinds that are left out.
pub(super) fn of(api_version: &str, kind: &str) -> Option<(u8, &'static Keep)> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Some(match (group, kind) {
        ("", "Namespace") => (0, &BARE),
        ("", "Node") => (1, &NODE),
        _ if crate::source::policy_scope(group, version, kind).is_some() => (2, &POLICY),
        ("", "Service") => (3, &SERVICE),
        ("discovery.k8s.io", "EndpointSlice") => (4, &SLICE),
        ("", "Endpoints") => (5, &ENDPOINTS),
        ("networking.k8s.io" | "extensions", "Ingress" | "IngressClass")
        | (
            "gateway.networking.k8s.io",
            "Gateway" | "GatewayClass" | "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute"
            | "ReferenceGrant",
        ) => (5, &ROUTING),
        ("apps" | "extensions", "Deployment" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job" | "CronJob")
        | ("", "ReplicationController") => (6, &WORKLOAD),
        ("apps" | "extensions", "ReplicaSet") => (7, &REPLICA_SET),
        ("", "Pod") => (8, &POD),
        ("", "ConfigMap") => (9, &CONFIG_MAP),
        ("", "Secret") => (10, &SECRET),
        ("", "PersistentVolumeClaim") => (11, &CLAIM),
        ("storage.k8s.io", "StorageClass") => (12, &BARE),
        ("" | "events.k8s.io", "Event") => (13, &EVENT),
        _ => return None,
    })
}
