//! Ingresses and routes into the cluster: which Gateway takes which route, which Service a backend is.
//!
//! Attachment is that of the Gateway API (HTTPRoute `parentRefs`, Gateway `listeners`, `allowedRoutes`; ReferenceGrant).

use super::Builder;
use crate::model::{Door, Gateway, NamespaceId, Route, RouteBackend, RouteKind, Str};
use crate::source::wire::{self, IngressBackend, IntOrString, Listener, Reference, Routing};
use crate::source::{FieldPath, Origin};

const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// The annotation that named an Ingress's class before `ingressClassName`; it goes first where both are given.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// The objects by kind.
#[derive(Default)]
struct Sorted {
    classes: Vec<Routing>,
    gateway_classes: Vec<Routing>,
    gateways: Vec<Routing>,
    grants: Vec<Routing>,
    ingresses: Vec<(Routing, Origin)>,
    routes: Vec<(RouteKind, Routing, Origin)>,
}

impl Builder {
    pub(super) fn finish_routes(&mut self) {
        let mut sorted = Sorted::default();
        for (object, origin) in std::mem::take(&mut self.routing) {
            let kind = match &*object.kind {
                "IngressClass" => {
                    sorted.classes.push(object);
                    continue;
                }
                "GatewayClass" => {
                    sorted.gateway_classes.push(object);
                    continue;
                }
                "Gateway" => {
                    sorted.gateways.push(object);
                    continue;
                }
                "ReferenceGrant" => {
                    sorted.grants.push(object);
                    continue;
                }
                "Ingress" => {
                    sorted.ingresses.push((object, origin));
                    continue;
                }
                "HTTPRoute" => RouteKind::Http,
                "GRPCRoute" => RouteKind::Grpc,
                "TLSRoute" => RouteKind::Tls,
                "TCPRoute" => RouteKind::Tcp,
                "UDPRoute" => RouteKind::Udp,
                _ => continue,
            };
            sorted.routes.push((kind, object, origin));
        }
        sorted.gateways.sort_by(|a, b| name_of(a).cmp(&name_of(b)));
        for gateway in &sorted.gateways {
            let class = sorted.gateway_classes.iter().find(|c| c.metadata.name == gateway.spec.gateway_class_name);
            let gateway = Gateway {
                namespace: self.namespace_id(&gateway.metadata.namespace),
                name: self.intern.str(&gateway.metadata.name),
                class: self.intern.str(&gateway.spec.gateway_class_name),
                controller: class.map(|c| self.intern.str(&c.spec.controller_name)),
            };
            self.cluster.gateways.push(gateway);
        }
        let mut routes = Vec::new();
        for (object, origin) in &sorted.ingresses {
            routes.push(self.ingress(object, *origin, &sorted.classes));
        }
        for (kind, object, origin) in &sorted.routes {
            routes.push(self.route(*kind, object, *origin, &sorted));
        }
        routes.sort_by(|a, b| (a.namespace, a.kind, &a.name).cmp(&(b.namespace, b.kind, &b.name)));
        self.cluster.routes = routes;
    }

    fn ingress(&mut self, object: &Routing, origin: Origin, classes: &[Routing]) -> Route {
        let default = || {
            let is = |c: &&Routing| c.metadata.annotations.get(DEFAULT_CLASS).is_some_and(|v| v == "true");
            classes.iter().find(is).map(|c| c.metadata.name.as_str())
        };
        let named = object.metadata.annotations.get(CLASS_ANNOTATION).map(|c| c.as_str());
        let named = named.or(Some(object.spec.ingress_class_name.as_str())).filter(|n| !n.is_empty()).or_else(default);
        let controller = classes.iter().find(|c| Some(c.metadata.name.as_str()) == named).map(|c| &c.spec.controller);
        let door = Door::Class(named.map(|n| self.intern.str(n)), controller.map(|c| self.intern.str(c)));
        let namespace = object.metadata.namespace.clone();
        let spec = &object.spec;
        let mut backends = Vec::new();
        for (key, backend) in [("defaultBackend", &spec.default_backend), ("backend", &spec.backend)] {
            if let Some(backend) = backend {
                backends.extend(self.ingress_backend(&namespace, backend, FieldPath::keys("spec").key(key)));
            }
        }
        for (r, rule) in spec.rules.iter().enumerate() {
            for (p, path) in rule.http.iter().flat_map(|h| &h.paths).enumerate() {
                let place = FieldPath::keys("spec.rules").index(r).key("http").key("paths").index(p).key("backend");
                backends.extend(self.ingress_backend(&namespace, &path.backend, place));
            }
        }
        Route {
            kind: RouteKind::Ingress,
            namespace: self.namespace_id(&namespace),
            name: self.intern.str(&object.metadata.name),
            origin,
            doors: vec![door],
            backends,
        }
    }

    fn ingress_backend(&mut self, namespace: &str, backend: &IngressBackend, path: FieldPath) -> Option<RouteBackend> {
        let (name, number, port, path) = match &backend.service {
            Some(service) => (&service.name, service.port.number, Some(service.port.name.clone()), path.key("service")),
            // v1beta1.
            None => match &backend.service_port {
                Some(IntOrString::Int(number)) => (&backend.service_name, *number, None, path),
                Some(IntOrString::String(text)) => match text.parse::<i64>() {
                    Ok(number) => (&backend.service_name, number, None, path),
                    Err(_) => (&backend.service_name, 0, Some(text.clone()), path),
                },
                None => (&backend.service_name, 0, None, path),
            },
        };
        if name.is_empty() {
            // Another kind of backend: a bucket, or another controller's own.
            return None;
        }
        let number = u16::try_from(number).ok().filter(|n| *n != 0);
        let port = (number, port.filter(|p| !p.is_empty()).map(|p| self.intern.str(&p)));
        Some(self.backend(namespace, name, port, true, path))
    }

    fn backend(
        &mut self,
        namespace: &str,
        name: &str,
        port: (Option<u16>, Option<Str>),
        granted: bool,
        path: FieldPath,
    ) -> RouteBackend {
        let service = self.cluster.namespace(namespace).and_then(|n| self.cluster.service(n, name));
        RouteBackend {
            namespace: self.intern.str(namespace),
            name: self.intern.str(name),
            service,
            port,
            granted,
            path,
        }
    }

    fn route(&mut self, kind: RouteKind, object: &Routing, origin: Origin, sorted: &Sorted) -> Route {
        let own = object.metadata.namespace.clone();
        let mut doors = Vec::new();
        for parent in &object.spec.parent_refs {
            let gateway = parent.kind.as_deref().is_none_or(|k| k == "Gateway")
                && parent.group.as_deref().is_none_or(|g| g == GATEWAY_GROUP);
            // Another parent is no way in: a Service is one of a mesh (GAMMA).
            if gateway {
                let door = self.door(kind, object, parent, sorted);
                if !doors.contains(&door) {
                    doors.push(door);
                }
            }
        }
        let mut backends = Vec::new();
        for (r, rule) in object.spec.rules.iter().enumerate() {
            for (b, backend) in rule.backend_refs.iter().enumerate() {
                let service = backend.kind.as_deref().is_none_or(|k| k == "Service")
                    && backend.group.as_deref().is_none_or(str::is_empty);
                if !service || backend.weight == Some(0) {
                    continue;
                }
                let namespace = if backend.namespace.is_empty() { &own } else { &backend.namespace };
                let granted = *namespace == own || sorted.grants.iter().any(|g| grants(g, object, namespace, backend));
                let port = backend.port.and_then(|p| u16::try_from(p).ok());
                let path = FieldPath::keys("spec.rules").index(r).key("backendRefs").index(b);
                backends.push(self.backend(namespace, &backend.name, (port, None), granted, path));
            }
        }
        let namespace = self.namespace_id(&own);
        Route { kind, namespace, name: self.intern.str(&object.metadata.name), origin, doors, backends }
    }

    /// The Gateway that a parent reference means, if it takes the route.
    fn door(&mut self, kind: RouteKind, route: &Routing, parent: &Reference, sorted: &Sorted) -> Door {
        let own = &route.metadata.namespace;
        let namespace = if parent.namespace.is_empty() { own } else { &parent.namespace };
        let shown = self.intern.str(&format!("{namespace}/{}", parent.name));
        let found = sorted.gateways.iter().position(|g| name_of(g) == (namespace.as_str(), parent.name.as_str()));
        let Some(index) = found else { return Door::Missing(shown) };
        let route_namespace = self.namespace_id(own);
        let listeners = sorted.gateways[index].spec.listeners.iter().filter(|l| {
            (parent.section_name.is_empty() || l.name == parent.section_name) && parent.port.is_none_or(|p| l.port == p)
        });
        // Of several listeners, the one that is nearest to taking it says why not.
        let mut why = (0, "it has no such listener");
        for listener in listeners {
            if !takes_kind(listener, kind) {
                why = why.max((1, "its listener takes no such kind of route"));
            } else if !self.takes_namespace(listener, own == namespace, route_namespace) {
                why = why.max((2, "its listener takes no routes of this namespace"));
            } else if !takes_hosts(listener, &route.spec.hostnames) {
                why = why.max((3, "its listener is for other hosts"));
            } else {
                return Door::Gateway(index as u32);
            }
        }
        Door::Closed(shown, why.1)
    }

    fn takes_namespace(&self, listener: &Listener, same: bool, route: NamespaceId) -> bool {
        let namespaces = &listener.allowed_routes.namespaces;
        match namespaces.from.as_str() {
            "" | "Same" => same,
            "All" => true,
            "Selector" => namespaces.selector.as_ref().is_some_and(|s| {
                let labels = &self.cluster.namespaces[route.index()].labels;
                selects(s, |key| labels.get(key).map(|v| &**v))
            }),
            _ => false,
        }
    }
}

fn name_of(object: &Routing) -> (&str, &str) {
    (&object.metadata.namespace, &object.metadata.name)
}

/// Whether a listener takes a kind of route: those it names, or those of its protocol.
fn takes_kind(listener: &Listener, kind: RouteKind) -> bool {
    if !listener.allowed_routes.kinds.is_empty() {
        let is = |k: &Reference| {
            k.kind.as_deref() == Some(kind.name()) && k.group.as_deref().is_none_or(|g| g == GATEWAY_GROUP)
        };
        return listener.allowed_routes.kinds.iter().any(is);
    }
    match listener.protocol.as_str() {
        "HTTP" | "HTTPS" => matches!(kind, RouteKind::Http | RouteKind::Grpc),
        "TLS" => matches!(kind, RouteKind::Tls | RouteKind::Tcp),
        "TCP" => kind == RouteKind::Tcp,
        "UDP" => kind == RouteKind::Udp,
        // A protocol of the implementation's own takes what the implementation says.
        _ => true,
    }
}

/// Whether the hosts of a listener and of a route meet; missing ones are every host.
fn takes_hosts(listener: &Listener, hosts: &[String]) -> bool {
    let meet = |a: &str, b: &str| {
        let below = |wide: &str, host: &str| {
            wide.strip_prefix('*').is_some_and(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
        };
        a == b || below(a, b) || below(b, a)
    };
    let own = listener.hostname.to_ascii_lowercase();
    own.is_empty() || hosts.is_empty() || hosts.iter().any(|h| meet(&own, &h.to_ascii_lowercase()))
}

/// Whether a ReferenceGrant lets a route name a Service of the grant's namespace.
fn grants(grant: &Routing, route: &Routing, namespace: &str, backend: &Reference) -> bool {
    let from = |f: &Reference| {
        f.group.as_deref() == Some(GATEWAY_GROUP)
            && f.kind.as_deref() == Some(route.kind.as_str())
            && f.namespace == route.metadata.namespace
    };
    let to = |t: &Reference| {
        t.group.as_deref().is_none_or(str::is_empty)
            && t.kind.as_deref() == Some("Service")
            && (t.name.is_empty() || t.name == backend.name)
    };
    grant.metadata.namespace == namespace && grant.spec.from.iter().any(from) && grant.spec.to.iter().any(to)
}

/// Whether labels meet a selector. An operator that isn't known selects nothing.
fn selects<'l>(selector: &wire::LabelSelector, label: impl Fn(&str) -> Option<&'l str>) -> bool {
    selector.match_labels.iter().all(|(k, v)| label(k) == Some(v.as_str()))
        && selector.match_expressions.iter().all(|r| {
            let value = label(&r.key);
            let listed = value.is_some_and(|v| r.values.iter().any(|x| x == v));
            match r.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
