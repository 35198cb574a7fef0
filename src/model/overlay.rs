//! What if: changed objects laid over others, objects taken away.

use std::collections::HashSet;

use super::build::{identity, is_dns_service};
use super::rollout;
use crate::source::wire::{Loaded, Object};

type Identity = (String, String, String);

fn key(object: &Object, default_namespace: &str) -> Identity {
    let (kind, namespace, name) = identity(object, default_namespace);
    (kind.to_owned(), namespace.to_owned(), name.to_owned())
}

/// Lays `with` over `base`: an object of the same kind, namespace and name is replaced, others are added. With `prune`,
/// policies of `base` that `with` lacks are gone. Pods of a workload whose template changes give way to it. Endpoint lists that the
/// change makes stale are dropped, so that they are worked out anew from the selectors.
pub fn overlay(mut base: Vec<Loaded>, with: Vec<Loaded>, prune: bool, default_namespace: &str) -> Vec<Loaded> {
    rollout::roll(&mut base, &with, default_namespace);
    let replaced: HashSet<Identity> = with.iter().map(|l| key(&l.object, default_namespace)).collect();
    let mut out: Vec<Loaded> = base
        .into_iter()
        .filter(|l| !(replaced.contains(&key(&l.object, default_namespace)) || (prune && is_policy(&l.object))))
        .collect();
    let touched: HashSet<Identity> =
        with.iter().filter(|l| moves_endpoints(&l.object)).map(|l| key(&l.object, default_namespace)).collect();
    drop_stale(&mut out, &touched, default_namespace);
    out.extend(with);
    out
}

/// Takes away the object that `KIND/[NAMESPACE/]NAME` names, of a workload with its pods. Says how many objects were taken.
pub fn without(objects: &mut Vec<Loaded>, what: &str, default_namespace: &str) -> Result<usize, String> {
    let parts: Vec<&str> = what.split('/').collect();
    let (kind, namespace, name) = match parts.as_slice() {
        [kind, name] => (*kind, None, *name),
        [kind, namespace, name] => (*kind, Some(*namespace), *name),
        _ => {
            return Err(format!(
                "`{what}` doesn't name an object: write KIND/NAMESPACE/NAME, such as netpol/shop/default-deny"
            ));
        }
    };
    let Some(kind) = kind_name(kind) else {
        return Err(format!("`{kind}` is not a kind that takes part"));
    };
    let mut touched: HashSet<Identity> = HashSet::new();
    let before = objects.len();
    objects.retain(|l| {
        let identity = key(&l.object, default_namespace);
        let cluster_wide = identity.1.is_empty();
        let same = identity.0 == kind
            && identity.2 == name
            && (cluster_wide || identity.1 == namespace.unwrap_or(default_namespace));
        if same && moves_endpoints(&l.object) {
            touched.insert(identity);
        }
        !same
    });
    let taken = before - objects.len();
    rollout::end(objects, &touched, default_namespace);
    drop_stale(objects, &touched, default_namespace);
    Ok(taken)
}

fn is_policy(object: &Object) -> bool {
    matches!(
        object,
        Object::NetworkPolicy(_)
            | Object::ClusterNetworkPolicy(_)
            | Object::AdminNetworkPolicy(_)
            | Object::BaselineAdminNetworkPolicy(_)
            | Object::ForeignPolicy(_)
    )
}

fn moves_endpoints(object: &Object) -> bool {
    matches!(object, Object::Pod(_) | Object::Workload(_) | Object::Service(_))
}

/// Drops the endpoint lists of Services with a selector in namespaces whose pods or Services changed.
fn drop_stale(objects: &mut Vec<Loaded>, touched: &HashSet<Identity>, default_namespace: &str) {
    if touched.is_empty() {
        return;
    }
    let namespaces: HashSet<&str> = touched.iter().map(|(_, namespace, _)| namespace.as_str()).collect();
    let selecting: HashSet<(String, String)> = objects
        .iter()
        .filter_map(|l| match &l.object {
            Object::Service(s)
                if s.spec.selector.as_ref().is_some_and(|s| !s.is_empty()) && !is_dns_service(&s.metadata) =>
            {
                let (_, namespace, name) = key(&l.object, default_namespace);
                namespaces.contains(namespace.as_str()).then_some((namespace, name))
            }
            _ => None,
        })
        .collect();
    objects.retain(|l| {
        let service = match &l.object {
            Object::EndpointSlice(s) => s.metadata.labels.get("kubernetes.io/service-name").map(|s| s.to_string()),
            Object::Endpoints(e) => Some(e.metadata.name.clone()),
            _ => None,
        };
        let (_, namespace, _) = identity(&l.object, default_namespace);
        service.is_none_or(|name| !selecting.contains(&(namespace.to_owned(), name)))
    });
}

/// The kind that a word means, as `kubectl` takes it.
fn kind_name(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    Some(match lower.split('.').next().unwrap_or_default() {
        "networkpolicy" | "networkpolicies" | "netpol" => "NetworkPolicy",
        "clusternetworkpolicy" | "clusternetworkpolicies" | "cnp" => "ClusterNetworkPolicy",
        "adminnetworkpolicy" | "adminnetworkpolicies" | "anp" => "AdminNetworkPolicy",
        "baselineadminnetworkpolicy" | "baselineadminnetworkpolicies" | "banp" => "BaselineAdminNetworkPolicy",
        "namespace" | "namespaces" | "ns" => "Namespace",
        _ => super::query::Kind::parse(&lower)?.name(),
    })
}
