//! Who writes an object: an edit by hand of what a tool owns is reverted by it.

use std::fmt;

use serde_json::Value;

/// A tool that owns an object, as its labels or annotations tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A release of Helm (annotation `meta.helm.sh/release-name`, label `app.kubernetes.io/managed-by: Helm`).
    Helm {
        /// `namespace/name` of the release, where it is told.
        release: Option<String>,
    },
    /// An application of Argo CD (annotation `argocd.argoproj.io/tracking-id`, label `argocd.argoproj.io/instance`).
    ArgoCd {
        /// Its name.
        application: String,
    },
    /// A Kustomization of Flux (label `kustomize.toolkit.fluxcd.io/name`).
    FluxKustomization {
        /// `namespace/name`.
        name: String,
    },
    /// A HelmRelease of Flux (label `helm.toolkit.fluxcd.io/name`).
    FluxHelmRelease {
        /// `namespace/name`.
        name: String,
    },
}

impl Owner {
    /// The owner of an object as it was written. What reconciles goes before what only installed.
    pub fn of(object: &Value) -> Option<Self> {
        let metadata = object.get("metadata")?;
        let get = |map: &str, key: &str| metadata.get(map)?.get(key)?.as_str().filter(|s| !s.is_empty());
        let named = |group: &str| {
            let name = get("labels", &format!("{group}/name"))?;
            Some(match get("labels", &format!("{group}/namespace")) {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name.to_owned(),
            })
        };
        if let Some(name) = named("helm.toolkit.fluxcd.io") {
            return Some(Self::FluxHelmRelease { name });
        }
        if let Some(name) = named("kustomize.toolkit.fluxcd.io") {
            return Some(Self::FluxKustomization { name });
        }
        // A tracking id is `application:group/kind:namespace/name`.
        let tracked = get("annotations", "argocd.argoproj.io/tracking-id").and_then(|id| id.split(':').next());
        if let Some(application) = tracked.or_else(|| get("labels", "argocd.argoproj.io/instance")) {
            return Some(Self::ArgoCd { application: application.to_owned() });
        }
        let release = get("annotations", "meta.helm.sh/release-name");
        if release.is_some() || get("labels", "app.kubernetes.io/managed-by") == Some("Helm") {
            let release = release.map(|name| match get("annotations", "meta.helm.sh/release-namespace") {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name.to_owned(),
            });
            return Some(Self::Helm { release });
        }
        None
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Helm { release: Some(release) } => write!(f, "Helm release `{release}`"),
            Self::Helm { release: None } => f.write_str("Helm"),
            Self::ArgoCd { application } => write!(f, "Argo CD application `{application}`"),
            Self::FluxKustomization { name } => write!(f, "Flux Kustomization `{name}`"),
            Self::FluxHelmRelease { name } => write!(f, "Flux HelmRelease `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_annotations_tell() {
        let of = |labels: Value, annotations: Value| {
            Owner::of(&json!({"metadata": {"labels": labels, "annotations": annotations}})).map(|o| o.to_string())
        };
        let none = json!({});
        assert_eq!(of(none.clone(), none.clone()), None);
        let helm = json!({"app.kubernetes.io/managed-by": "Helm"});
        assert_eq!(of(helm.clone(), none.clone()).as_deref(), Some("Helm"));
        let release = json!({"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "prod"});
        assert_eq!(of(helm.clone(), release.clone()).as_deref(), Some("Helm release `prod/shop`"));
        let tracking = json!({"argocd.argoproj.io/tracking-id": "shop:networking.k8s.io/NetworkPolicy:a/b"});
        assert_eq!(of(helm, tracking).as_deref(), Some("Argo CD application `shop`"));
        let instance = json!({"argocd.argoproj.io/instance": "x"});
        assert_eq!(of(instance, none.clone()).as_deref(), Some("Argo CD application `x`"));
        let flux =
            json!({"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"});
        assert_eq!(of(flux, none.clone()).as_deref(), Some("Flux Kustomization `flux-system/apps`"));
        let flux = json!({"helm.toolkit.fluxcd.io/name": "shop"});
        assert_eq!(of(flux, release).as_deref(), Some("Flux HelmRelease `shop`"));
        assert_eq!(Owner::of(&json!({"metadata": null})), None);
    }
}
