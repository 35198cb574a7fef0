//! What the API server would refuse, in its words and with its field paths.
//!
//! Objects from a cluster pass; those from files may not. Rules are those of `pkg/apis/*/validation` of Kubernetes and
//! of the CustomResourceDefinitions of `policy.networking.k8s.io`. What a policy means is not known here.

mod cluster;
mod core;
mod network_policy;
pub(super) mod syntax;

use std::fmt::Display;

use serde_json::Value;

use super::diagnostic::{Diagnostic, Part};
use super::origin::{FieldPath, Origin};
use super::wire::{LabelSelector, Metadata, Object, StringMap};

/// Checks an object. `value` is the object as written where its kind is a policy.
pub fn object(origin: Origin, object: &Object, value: &Value, found: &mut Vec<Diagnostic>) {
    let (kind, metadata) = match object {
        Object::Namespace(o) => ("Namespace", &o.metadata),
        Object::Node(o) => ("Node", &o.metadata),
        Object::Pod(o) => ("Pod", &o.metadata),
        Object::Workload(o) => (o.kind.as_str(), &o.metadata),
        Object::Service(o) => ("Service", &o.metadata),
        Object::EndpointSlice(o) => ("EndpointSlice", &o.metadata),
        Object::Endpoints(o) => ("Endpoints", &o.metadata),
        Object::Routing(o) => (o.kind.as_str(), &o.metadata),
        Object::NetworkPolicy(o) => ("NetworkPolicy", &o.metadata),
        Object::ClusterNetworkPolicy(o) => ("ClusterNetworkPolicy", &o.metadata),
        Object::AdminNetworkPolicy(o) => ("AdminNetworkPolicy", &o.metadata),
        Object::BaselineAdminNetworkPolicy(o) => ("BaselineAdminNetworkPolicy", &o.metadata),
        Object::ForeignPolicy(o) => (o.kind.as_str(), &o.metadata),
    };
    let name = if metadata.name.is_empty() { &metadata.generate_name } else { &metadata.name };
    let mut check = Check { origin, kind, name, found };
    let spec = FieldPath::keys("spec");
    let name_rule: fn(&str) -> Vec<String> = match object {
        Object::Namespace(_) => syntax::dns_label,
        Object::Service(_) => syntax::dns_1035_label,
        _ => syntax::dns_subdomain,
    };
    check.metadata(metadata, name_rule);
    match object {
        Object::Pod(o) => check.pod_spec(&o.spec, || FieldPath::keys("spec")),
        Object::Workload(o) => {
            let template = FieldPath::keys(match o.kind.as_str() {
                "CronJob" => "spec.jobTemplate.spec.template",
                _ => "spec.template",
            });
            check.labels(&o.template.metadata.labels, &template.clone().key("metadata").key("labels"));
            check.pod_spec(&o.template.spec, || template.clone().key("spec"));
        }
        Object::Service(o) => check.service(&o.spec, &spec),
        Object::NetworkPolicy(o) => check.network_policy(&o.spec, &spec),
        Object::ClusterNetworkPolicy(o) => check.cluster_network_policy(&o.spec, value, &spec),
        Object::AdminNetworkPolicy(o) => check.admin_network_policy(&o.spec, value, &spec),
        Object::BaselineAdminNetworkPolicy(o) => check.baseline_admin_network_policy(o, value, &spec),
        _ => {}
    }
}

/// Code of an object that the API server refuses.
pub(super) const REFUSED: &str = "NC1002";
/// Code of an object that the API server refuses although its meaning is clear: a name with an underscore, a Service
/// port without its name.
pub(super) const CLEAR: &str = "NC1004";

/// Collects what is wrong with one object.
struct Check<'c> {
    origin: Origin,
    kind: &'c str,
    name: &'c str,
    found: &'c mut Vec<Diagnostic>,
}

impl Check<'_> {
    /// An error in the API server's form: `Kind "name" is invalid: path: reason: detail`.
    fn error(&mut self, path: &FieldPath, part: Part, reason: &str, detail: &str) -> &mut Diagnostic {
        self.error_in(path, path, part, reason, detail)
    }

    /// An error that the API server reports for a field above the place that is shown.
    fn error_in(
        &mut self,
        path: &FieldPath,
        place: &FieldPath,
        part: Part,
        reason: &str,
        detail: &str,
    ) -> &mut Diagnostic {
        let detail_of = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let message = format!("{} \"{}\" is invalid: {path}: {reason}{detail_of}", self.kind, self.name);
        let label = if detail.is_empty() { reason } else { detail };
        self.found.push(Diagnostic::error(message).code(REFUSED).at(self.origin, place.clone(), part, label));
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Marks the errors since `before` as ones that leave the meaning of the object clear.
    fn clear_since(&mut self, before: usize) {
        for diagnostic in &mut self.found[before..] {
            diagnostic.code = Some(CLEAR);
        }
    }

    /// What is accepted and probably not meant.
    fn warn(&mut self, path: &FieldPath, part: Part, message: impl Into<String>, label: &str) {
        self.found.push(Diagnostic::warning(message).code("NC1003").at(self.origin, path.clone(), part, label));
    }

    fn invalid(&mut self, path: &FieldPath, value: impl Display, detail: &str) -> &mut Diagnostic {
        self.error(path, Part::Value, &format!("Invalid value: {value}"), detail)
    }

    fn invalid_text(&mut self, path: &FieldPath, value: &str, detail: &str) -> &mut Diagnostic {
        self.invalid(path, quoted(value), detail)
    }

    fn required(&mut self, path: &FieldPath, detail: &str) {
        self.error(path, Part::Entry, "Required value", detail);
    }

    fn forbidden(&mut self, path: &FieldPath, detail: &str) {
        self.error(path, Part::Entry, "Forbidden", detail);
    }

    fn duplicate(&mut self, path: &FieldPath, value: impl Display) {
        self.error(path, Part::Value, &format!("Duplicate value: {value}"), "");
    }

    fn unsupported(&mut self, path: &FieldPath, value: &str, supported: &[&str]) {
        let list = supported.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let nearest = supported.iter().find(|name| name.eq_ignore_ascii_case(value));
        let error = self.error(
            path,
            Part::Value,
            &format!("Unsupported value: {}", quoted(value)),
            &format!("supported values: {list}"),
        );
        if let Some(name) = nearest {
            error.helps.push(format!("write `{name}`"));
        }
    }

    /// At least one, at most `most` items; as the CRD schemas say it.
    fn count(&mut self, path: &FieldPath, items: usize, least: usize, most: usize) {
        if items < least {
            let detail = format!("{path} in body should have at least {least} items");
            self.invalid(path, items, &detail);
        } else if items > most {
            let before = self.found.len();
            self.error(path, Part::Key, &format!("Too many: {items}"), &format!("must have at most {most} items"));
            self.clear_since(before);
        }
    }

    fn each(&mut self, path: &FieldPath, value: &str, problems: Vec<String>) {
        for problem in problems {
            self.invalid_text(path, value, &problem);
        }
    }

    fn metadata(&mut self, metadata: &Metadata, name_rule: fn(&str) -> Vec<String>) {
        // A path is only spelt out where there is something to say of it: most objects of a large dump are fine.
        if metadata.name.is_empty() && metadata.generate_name.is_empty() {
            self.required(&FieldPath::keys("metadata.name"), "name or generateName is required");
        } else if !metadata.name.is_empty() {
            let problems = name_rule(&metadata.name);
            if !problems.is_empty() {
                let before = self.found.len();
                self.each(&FieldPath::keys("metadata.name"), &metadata.name, problems);
                self.clear_since(before);
            }
        }
        if !metadata.namespace.is_empty() {
            let problems = syntax::dns_label(&metadata.namespace);
            if !problems.is_empty() {
                self.each(&FieldPath::keys("metadata.namespace"), &metadata.namespace, problems);
            }
        }
        if !labels_are_fine(&metadata.labels) {
            self.labels(&metadata.labels, &FieldPath::keys("metadata.labels"));
        }
    }

    fn labels(&mut self, labels: &StringMap, path: &FieldPath) {
        for (key, value) in labels {
            for problem in syntax::qualified_name(key) {
                let reason = format!("Invalid value: {}", quoted(key));
                self.error_in(path, &path.clone().key(key), Part::Key, &reason, &problem);
            }
            for problem in syntax::label_value(value) {
                let reason = format!("Invalid value: {}", quoted(value));
                self.error_in(path, &path.clone().key(key), Part::Value, &reason, &problem);
            }
        }
    }

    /// A label selector, by the rules of `ValidateLabelSelector`.
    fn selector(&mut self, selector: &LabelSelector, path: &FieldPath) {
        self.labels(&selector.match_labels, &path.clone().key("matchLabels"));
        for (index, requirement) in selector.match_expressions.iter().enumerate() {
            let path = path.clone().key("matchExpressions").index(index);
            let values = path.clone().key("values");
            match requirement.operator.as_str() {
                "In" | "NotIn" if requirement.values.is_empty() => {
                    self.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
                }
                "Exists" | "DoesNotExist" if !requirement.values.is_empty() => {
                    self.forbidden(&values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                "" => self.required(&path.clone().key("operator"), ""),
                operator => {
                    let error =
                        self.invalid_text(&path.clone().key("operator"), operator, "not a valid selector operator");
                    error.helps.push("the operators are `In`, `NotIn`, `Exists` and `DoesNotExist`".to_owned());
                }
            }
            self.each(&path.clone().key("key"), &requirement.key, syntax::qualified_name(&requirement.key));
            for (index, value) in requirement.values.iter().enumerate() {
                self.each(&values.clone().index(index), value, syntax::label_value(value));
            }
        }
    }
}

fn labels_are_fine(labels: &StringMap) -> bool {
    labels.iter().all(|(key, value)| syntax::qualified_name(key).is_empty() && syntax::label_value(value).is_empty())
}

/// As Go's `%q` for what users write.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
