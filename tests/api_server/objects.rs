//! The objects of a small cluster, as an API server gives them.

use serde_json::{Value, json};

pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, "team": name}}})
}

pub fn pod(namespace: &str, name: &str, app: &str, ip: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "labels": {"app": app},
            "managedFields": [{"manager": "kubectl"}]},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "x", "ports": [{"name": "http", "containerPort": 8080}],
            "env": [{"name": "PASSWORD", "value": "hunter2"}]}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": "True"}]}})
}

pub fn owned(mut pod: Value, kind: &str, owner: &str) -> Value {
    pod["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "u", "controller": true}]);
    pod
}

pub fn service(namespace: &str, name: &str, app: &str, ip: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "selector": {"app": app}, "ports": [{"port": 8080, "targetPort": "http", "protocol": "TCP"}]}})
}

pub fn slice(namespace: &str, service: &str, pod: &str, ip: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-abc"), "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true}, "nodeName": "node-1",
            "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace}}]})
}

pub fn policy(namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

/// Two namespaces and DNS; `stock` lets nobody in but its own pods.
pub fn cluster() -> Vec<Value> {
    let mut dns = pod("kube-system", "coredns-1", "dns", "10.0.0.10");
    dns["metadata"]["labels"] = json!({"k8s-app": "kube-dns"});
    let mut objects = vec![
        namespace("shop"),
        namespace("stock"),
        namespace("kube-system"),
        pod("shop", "frontend", "frontend", "10.0.1.1"),
        owned(pod("shop", "worker-abc-1", "worker", "10.0.1.2"), "ReplicaSet", "worker-abc"),
        owned(pod("shop", "worker-abc-2", "worker", "10.0.1.3"), "ReplicaSet", "worker-abc"),
        pod("shop", "cart-1", "cart", "10.0.1.4"),
        service("shop", "cart", "cart", "10.96.0.1"),
        slice("shop", "cart", "cart-1", "10.0.1.4"),
        pod("stock", "db-0", "db", "10.0.2.1"),
        service("stock", "db", "db", "10.96.0.2"),
        slice("stock", "db", "db-0", "10.0.2.1"),
        policy(
            "stock",
            "own-pods-only",
            json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}),
        ),
        policy("shop", "open", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]})),
        dns,
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": "10.96.0.10", "selector": {"k8s-app": "kube-dns"},
                "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "worker", "namespace": "shop"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "worker"}},
                "template": {"metadata": {"labels": {"app": "worker"}}, "spec": {"containers": [{"name": "main"}]}}}}),
    ];
    for pod in &mut objects {
        if pod["metadata"]["labels"]["app"] == "worker" && pod["kind"] == "Pod" {
            pod["metadata"]["labels"]["pod-template-hash"] = "abc".into();
        }
    }
    objects
}
