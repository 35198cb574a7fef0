//! Rights, asked for before anything is done: SelfSubjectAccessReviews, and the Role to ask an administrator for.

use serde::Deserialize;
use serde_json::json;

use super::super::client::{Api, Sent};
use super::super::error::{LiveError, Trouble};
use super::super::rights::{Right, roles};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// What a way needs: resource with subresource, verb.
pub(super) type Needed = [(&'static str, &'static str)];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Review {
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    allowed: bool,
}

/// The rights in one namespace.
pub(super) struct Rights<'a> {
    api: &'a Api,
    namespace: &'a str,
}

impl<'a> Rights<'a> {
    pub(super) fn new(api: &'a Api, namespace: &'a str) -> Self {
        Self { api, namespace }
    }

    /// Whether all of them are had; the error names what is missing and holds the Role.
    pub(super) async fn have(&mut self, needed: &Needed) -> Result<(), LiveError> {
        let asked = futures::future::join_all(needed.iter().map(|(resource, verb)| self.one(resource, verb))).await;
        let mut missing = Vec::new();
        for (allowed, (resource, verb)) in asked.into_iter().zip(needed) {
            if !allowed? {
                missing.push((*resource, *verb));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let what: Vec<String> = missing.iter().map(|(resource, verb)| format!("{verb} {resource}")).collect();
        let rights: Vec<Right> = needed
            .iter()
            .map(|(resource, verb)| Right {
                group: String::new(),
                resource: (*resource).to_owned(),
                verb,
                namespace: Some(self.namespace.to_owned()),
            })
            .collect();
        let mut error = LiveError::new(
            Trouble::Forbidden,
            format!("you may not {} in namespace `{}`", what.join(", nor "), self.namespace),
        )
        .help("ask for the role below; `netcheck rbac probe` prints all that a check with --live needs");
        error.roles = roles(&rights);
        Err(error)
    }

    async fn one(&self, resource: &str, verb: &str) -> Result<bool, LiveError> {
        let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
        let mut attributes = json!({"namespace": self.namespace, "verb": verb, "group": "", "resource": resource});
        if !sub.is_empty() {
            attributes["subresource"] = sub.into();
        }
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes}});
        let answer = self.api.send(&Sent::post(REVIEWS, &review), "your rights").await;
        match answer {
            Ok(body) => Ok(serde_json::from_slice::<Review>(&body).unwrap_or_default().status.allowed),
            // Who may not ask finds out by trying.
            Err(error) if matches!(error.trouble, Trouble::Forbidden | Trouble::NotFound) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
