//! Roles as the API server's RBAC authoriser reads them: a Role is bound in its namespace, a ClusterRole everywhere.

use serde::Deserialize;

/// A rule with the place it is bound in.
#[derive(Clone, Debug)]
pub struct Rule {
    namespace: Option<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: String,
    kind: String,
    metadata: Metadata,
    rules: Vec<Written>,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

/// The rules of roles in YAML.
pub fn rules(yaml: &str) -> Vec<Rule> {
    let mut out = Vec::new();
    for text in yaml.split("---\n").filter(|t| !t.trim().is_empty()) {
        let document: Document = serde_saphyr::from_str(text).expect("a role");
        assert_eq!(document.api_version, "rbac.authorization.k8s.io/v1");
        let namespace = match document.kind.as_str() {
            "Role" => Some(document.metadata.namespace.expect("a Role is in a namespace")),
            "ClusterRole" => None,
            other => panic!("{other} is no role"),
        };
        out.extend(document.rules.into_iter().map(|rule| Rule {
            namespace: namespace.clone(),
            groups: rule.api_groups,
            resources: rule.resources,
            verbs: rule.verbs,
        }));
    }
    out
}

/// What a request wants to do.
pub struct Wanted<'a> {
    pub verb: &'static str,
    pub group: &'a str,
    /// With its subresource.
    pub resource: &'a str,
    pub namespace: Option<&'a str>,
}

/// The verb of a request, as RBAC names it.
pub fn verb(method: &str, name: Option<&str>) -> &'static str {
    match (method, name) {
        ("GET", Some(_)) => "get",
        ("GET", None) => "list",
        ("PATCH", _) => "patch",
        ("PUT", _) => "update",
        ("POST", _) => "create",
        ("DELETE", _) => "delete",
        _ => "unknown",
    }
}

impl Wanted<'_> {
    /// As the API server says it.
    pub fn refusal(&self) -> String {
        let Self { verb, group, resource, namespace } = self;
        let full = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
        let place = namespace.map_or("at the cluster scope".to_owned(), |n| format!("in the namespace \"{n}\""));
        format!(
            "{full} is forbidden: User \"dev\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}"
        )
    }
}

/// Whether some rule allows it.
pub fn allowed(rules: &[Rule], wanted: &Wanted<'_>) -> bool {
    let has = |list: &[String], value: &str| list.iter().any(|v| v == "*" || v == value);
    rules.iter().any(|rule| {
        (rule.namespace.is_none() || rule.namespace.as_deref() == wanted.namespace)
            && has(&rule.groups, wanted.group)
            && has(&rule.resources, wanted.resource)
            && has(&rule.verbs, wanted.verb)
    })
}
