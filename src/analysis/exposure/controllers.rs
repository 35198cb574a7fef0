//! Which pods carry the traffic of an Ingress or a Gateway.
//!
//! Pods of a Gateway bear the label of GEP-1762, or Envoy Gateway's own. Those of an Ingress controller bear the labels of
//! its chart or manifest, and its IngressClass or GatewayClass names it; where the class isn't among the objects, the name
//! that its chart gives the class stands for it. Whoever is not in the table can't be placed.

use rustc_hash::FxHashMap;

use crate::model::{Cluster, Door, Phase, PodId};

/// Who connects to the backends of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// Clients themselves, their address kept or replaced by a node's.
    Clients,
    /// These pods.
    Pods(Vec<PodId>),
    /// A load balancer outside the cluster, from addresses that no object names.
    Balancer,
    /// It can't be told, and why.
    Somewhere(String),
}

/// Where a controller runs.
enum Runs {
    /// In pods with all labels of one of these lists.
    Pods(&'static [&'static [(&'static str, &'static str)]]),
    /// Outside the cluster.
    Outside,
    /// On the nodes, where policies see no pod.
    Nodes,
}

/// A controller: beginnings of the names that classes give it, the usual names of its classes, where it runs.
struct Family {
    controllers: &'static [&'static str],
    classes: &'static [&'static str],
    runs: Runs,
}

const NAME: &str = "app.kubernetes.io/name";
const COMPONENT: &str = "app.kubernetes.io/component";

/// Sources: the controllers' Helm charts and static manifests.
static FAMILIES: &[Family] = &[
    Family {
        controllers: &["k8s.io/ingress-nginx"],
        classes: &["nginx"],
        runs: Runs::Pods(&[
            &[(NAME, "ingress-nginx"), (COMPONENT, "controller")],
            &[(NAME, "rke2-ingress-nginx"), (COMPONENT, "controller")],
        ]),
    },
    Family {
        controllers: &["nginx.org/ingress-controller"],
        classes: &[],
        runs: Runs::Pods(&[&[(NAME, "nginx-ingress")], &[("app", "nginx-ingress")]]),
    },
    Family {
        controllers: &["gateway.nginx.org/nginx-gateway-controller"],
        classes: &[],
        runs: Runs::Pods(&[&[(NAME, "nginx-gateway")], &[(NAME, "nginx-gateway-fabric")]]),
    },
    Family {
        controllers: &["traefik.io/ingress-controller", "traefik.io/gateway-controller"],
        classes: &["traefik"],
        runs: Runs::Pods(&[&[(NAME, "traefik")], &[("k8s-app", "traefik-ingress-lb")]]),
    },
    Family {
        controllers: &["haproxy.org/ingress-controller", "haproxy.org/gateway-controller"],
        classes: &[],
        runs: Runs::Pods(&[&[(NAME, "kubernetes-ingress")], &[("run", "haproxy-ingress")]]),
    },
    Family {
        controllers: &["haproxy-ingress.github.io/controller"],
        classes: &["haproxy"],
        runs: Runs::Pods(&[&[(NAME, "haproxy-ingress")]]),
    },
    Family {
        controllers: &["ingress-controllers.konghq.com/kong", "konghq.com/kic-gateway-controller"],
        classes: &["kong"],
        runs: Runs::Pods(&[
            &[(NAME, "kong"), (COMPONENT, "app")],
            &[(NAME, "gateway"), (COMPONENT, "app")],
            &[("app", "proxy-kong")],
        ]),
    },
    Family {
        controllers: &["projectcontour.io/"],
        classes: &["contour"],
        runs: Runs::Pods(&[&[(NAME, "contour"), (COMPONENT, "envoy")], &[("app", "envoy")]]),
    },
    Family {
        controllers: &["istio.io/ingress-controller", "istio.io/gateway-controller"],
        classes: &["istio"],
        runs: Runs::Pods(&[&[("istio", "ingressgateway")]]),
    },
    Family {
        controllers: &["openshift.io/ingress-to-route"],
        classes: &["openshift-default"],
        runs: Runs::Pods(&[&[("ingresscontroller.operator.openshift.io/deployment-ingresscontroller", "default")]]),
    },
    Family {
        controllers: &["cilium.io/ingress-controller", "io.cilium/gateway-controller"],
        classes: &["cilium"],
        runs: Runs::Nodes,
    },
    Family {
        controllers: &["ingress.k8s.aws/alb", "gateway.k8s.aws/alb", "gateway.k8s.aws/nlb"],
        classes: &["alb"],
        runs: Runs::Outside,
    },
    Family {
        controllers: &["networking.gke.io/gateway", "k8s.io/ingress-gce"],
        classes: &["gce", "gce-internal"],
        runs: Runs::Outside,
    },
    Family {
        controllers: &["azure/application-gateway", "alb.networking.azure.io/alb-controller"],
        classes: &["azure-application-gateway", "azure/application-gateway", "azure-alb-external"],
        runs: Runs::Outside,
    },
];

/// The label of a Gateway's pods (GEP-1762).
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// Those of Envoy Gateway, whose pods run in its own namespace.
const ENVOY_NAME: &str = "gateway.envoyproxy.io/owning-gateway-name";
const ENVOY_NAMESPACE: &str = "gateway.envoyproxy.io/owning-gateway-namespace";

/// The controllers' pods of a cluster.
pub struct Controllers {
    families: Vec<Vec<PodId>>,
    /// By namespace and name of a Gateway.
    gateways: FxHashMap<(String, String), Vec<PodId>>,
}

impl Controllers {
    /// Looks through the pods once.
    pub fn new(cluster: &Cluster) -> Self {
        let mut out = Self { families: vec![Vec::new(); FAMILIES.len()], gateways: FxHashMap::default() };
        if cluster.routes.is_empty() {
            return out;
        }
        for (index, pod) in cluster.pods.iter().enumerate().filter(|(_, p)| p.phase != Phase::Finished) {
            let id = PodId(index as u32);
            for (family, found) in FAMILIES.iter().zip(&mut out.families) {
                let Runs::Pods(lists) = &family.runs else { continue };
                let has = |(key, value): &(&str, &str)| pod.labels.get(key).is_some_and(|v| &**v == *value);
                if lists.iter().any(|list| list.iter().all(has)) {
                    found.push(id);
                }
            }
            let label = |key| pod.labels.get(key).map(|v| v.to_string());
            let gateway = match (label(ENVOY_NAMESPACE), label(ENVOY_NAME), label(GATEWAY_NAME)) {
                (Some(namespace), Some(name), _) => Some((namespace, name)),
                (_, _, Some(name)) => Some((cluster.namespaces[pod.namespace.index()].name.to_string(), name)),
                _ => None,
            };
            if let Some(gateway) = gateway {
                out.gateways.entry(gateway).or_default().push(id);
            }
        }
        out
    }

    /// Who carries a route; none where nothing does.
    pub fn carrier(&self, cluster: &Cluster, door: &Door) -> Option<Carrier> {
        let (class, controller) = match door {
            Door::Class(class, controller) => (class.as_deref(), controller.as_deref()),
            Door::Gateway(index) => {
                let gateway = &cluster.gateways[*index as usize];
                let namespace = &cluster.namespaces[gateway.namespace.index()].name;
                if let Some(pods) = self.gateways.get(&(namespace.to_string(), gateway.name.to_string())) {
                    return Some(Carrier::Pods(pods.clone()));
                }
                (Some(&*gateway.class), gateway.controller.as_deref())
            }
            Door::Missing(name) => {
                return Some(Carrier::Somewhere(format!("Gateway `{name}` isn't among the objects")));
            }
            Door::Closed(..) => return None,
        };
        let family = FAMILIES.iter().position(|f| match (controller, class) {
            (Some(controller), _) => f.controllers.iter().any(|c| controller.starts_with(c)),
            (None, Some(class)) => f.classes.contains(&class),
            (None, None) => false,
        });
        let named = match (controller, class) {
            (Some(controller), _) => format!("controller `{controller}`"),
            (None, Some(class)) => format!("the controller of class `{class}`"),
            (None, None) => "a controller for it, which has no class,".to_owned(),
        };
        let Some(family) = family else {
            return Some(Carrier::Somewhere(format!("can't tell where {named} runs")));
        };
        Some(match FAMILIES[family].runs {
            Runs::Outside => Carrier::Balancer,
            Runs::Nodes => {
                Carrier::Somewhere(format!("{named} runs on the nodes, and no object says how policies see it"))
            }
            Runs::Pods(_) if self.families[family].is_empty() => {
                Carrier::Somewhere(format!("the pods of {named} are not among the objects"))
            }
            Runs::Pods(_) => Carrier::Pods(self.families[family].clone()),
        })
    }
}
