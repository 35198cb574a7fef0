//! Pods that don't exist, beside those that do: to ask what a policy would do to them.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::{Cluster, Labels, Namespace, NamespaceId, Phase, Pod, PodId, Str};

/// Where an imagined pod lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImaginedNamespace {
    /// In a namespace that exists.
    Known(NamespaceId),
    /// In one that doesn't, with these labels.
    New(Labels),
}

/// A pod that doesn't exist. It has no address: rules judge it by its labels (SEMANTICS 48).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImaginedPod {
    /// Its namespace.
    pub namespace: ImaginedNamespace,
    /// Its labels, all of them.
    pub labels: Labels,
}

impl Cluster {
    /// The cluster with further pods, and their ids. Pods and namespaces that exist keep theirs; new ones are at the end of
    /// the tables and in no namespace's range. Services, routes and policies are left out.
    pub fn imagine(&self, imagined: &[ImaginedPod]) -> (Self, Vec<PodId>) {
        let mut out = Self {
            namespaces: self.namespaces.clone(),
            nodes: self.nodes.clone(),
            pods: self.pods.clone(),
            services: Vec::new(),
            gateways: Vec::new(),
            routes: Vec::new(),
            network_policies: Vec::new(),
            cluster_network_policies: Vec::new(),
            admin_network_policies: Vec::new(),
            baseline_admin_network_policies: Vec::new(),
            foreign_policies: Vec::new(),
            workloads: FxHashMap::default(),
            assumptions: self.assumptions.clone(),
            families: self.families,
            by_ip: OnceLock::new(),
        };
        let mut ids = Vec::with_capacity(imagined.len());
        for pod in imagined {
            let namespace = match &pod.namespace {
                ImaginedNamespace::Known(id) => *id,
                ImaginedNamespace::New(labels) => {
                    // `~` comes after everything that a name may hold: the table stays sorted.
                    let name: Str = format!("~{:08}", out.namespaces.len()).into();
                    out.namespaces.push(Namespace {
                        name,
                        labels: Arc::new(labels.clone()),
                        origin: None,
                        ignore: None,
                        pods: 0..0,
                        services: 0..0,
                    });
                    NamespaceId(out.namespaces.len() as u32 - 1)
                }
            };
            ids.push(PodId(out.pods.len() as u32));
            out.pods.push(Pod {
                namespace,
                name: "~".into(),
                labels: Arc::new(pod.labels.clone()),
                ips: Vec::new(),
                node: None,
                host_network: false,
                phase: Phase::Running,
                ready: true,
                terminating: false,
                ports: Arc::new([]),
                workload: None,
                service_account: "default".into(),
                hostname: None,
                origin: None,
                template: true,
            });
        }
        (out, ids)
    }
}
