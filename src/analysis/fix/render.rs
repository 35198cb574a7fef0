//! An edit as text: the whole object, the part to paste, the command and what takes it back.

use serde_json::Value;

use super::{Change, Edit, EditTarget, Fix, Op, Patch, to_yaml};
use crate::model::Cluster;
use crate::policy::PolicyKind;
use crate::source::trimmed;

impl Edit {
    /// `Kind/namespace/name`, or `Kind/name`.
    pub fn reference(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}/{namespace}/{}", self.kind.name(), self.name),
            None => format!("{}/{}", self.kind.name(), self.name),
        }
    }

    /// The whole object with the edit, as it would be applied: without status and what the API server writes.
    pub fn object_yaml(&self) -> String {
        to_yaml(&trimmed(self.after.clone()))
    }

    /// What to paste: the whole new object, or each changed field under its path.
    pub fn snippet(&self) -> String {
        let EditTarget::Existing { patch, .. } = &self.target else { return self.object_yaml() };
        let mut out = String::new();
        for op in &patch.0 {
            match op {
                Op::Remove(path) => out.push_str(&format!("# remove {path}\n")),
                Op::Add(path, value) | Op::Replace(path, value) => {
                    let (last, parent) = match path.0.split_last() {
                        Some((last, parent)) => (last, crate::source::FieldPath(parent.to_vec())),
                        None => continue,
                    };
                    let verb = if matches!(op, Op::Add(..)) { "add to" } else { "set in" };
                    out.push_str(&format!("# {verb} {parent}\n"));
                    let part = match last {
                        crate::source::Segment::Key(key) => {
                            Value::Object([(key.to_string(), value.clone())].into_iter().collect())
                        }
                        crate::source::Segment::Index(_) => Value::Array(vec![value.clone()]),
                    };
                    out.push_str(&to_yaml(&part));
                }
            }
        }
        out
    }

    /// The command that makes the edit; a new object is read from standard input.
    pub fn command(&self) -> String {
        match &self.target {
            EditTarget::Existing { patch, .. } => self.patch_command(patch),
            EditTarget::New => "kubectl apply -f -".to_owned(),
        }
    }

    /// The command that takes the edit back.
    pub fn undo_command(&self) -> String {
        match &self.target {
            EditTarget::Existing { undo, .. } => self.patch_command(undo),
            EditTarget::New => {
                format!("kubectl delete {} {}{}", self.resource(), self.quoted_name(), self.in_namespace())
            }
        }
    }

    fn patch_command(&self, patch: &Patch) -> String {
        format!(
            "kubectl patch {} {}{} --type=json -p {}",
            self.resource(),
            self.quoted_name(),
            self.in_namespace(),
            shell(&patch.to_json().to_string())
        )
    }

    fn quoted_name(&self) -> String {
        shell(&self.name)
    }

    fn in_namespace(&self) -> String {
        self.namespace.as_ref().map(|n| format!(" -n {}", shell(n))).unwrap_or_default()
    }

    /// The resource with its group: other groups have resources of the same name.
    fn resource(&self) -> &'static str {
        match self.kind {
            PolicyKind::NetworkPolicy | PolicyKind::Plugin(_) => "networkpolicies.networking.k8s.io",
            PolicyKind::ClusterNetworkPolicy => "clusternetworkpolicies.policy.networking.k8s.io",
            PolicyKind::AdminNetworkPolicy => "adminnetworkpolicies.policy.networking.k8s.io",
            PolicyKind::BaselineAdminNetworkPolicy => "baselineadminnetworkpolicies.policy.networking.k8s.io",
        }
    }
}

/// How many connections are listed.
const SHOWN: usize = 6;

impl Fix {
    /// The fix as blocks of text for `help:`: what to do, what to paste, the command with its undo, what else it opens and
    /// closes, and whose the policy is.
    pub fn helps(&self, cluster: &Cluster) -> Vec<String> {
        let mut out = Vec::new();
        for edit in &self.edits {
            let verb = match edit.target {
                EditTarget::Existing { .. } => "in",
                EditTarget::New => "as",
            };
            out.push(format!("{}, {verb} {}:\n{}", edit.steps.join(", "), edit.reference(), edit.snippet()));
            out.push(format!("{}\nundo: {}", edit.command(), edit.undo_command()));
            if let Some(owner) = &edit.owner {
                out.push(format!(
                    "{} belongs to {owner}: change it there, an edit by hand is reverted",
                    edit.reference()
                ));
            }
        }
        let list = |changes: &[&Change]| {
            let mut lines: Vec<String> = changes.iter().take(SHOWN).map(|c| c.summary(cluster)).collect();
            if changes.len() > SHOWN {
                lines.push(format!("{} more", changes.len() - SHOWN));
            }
            lines.join("; ")
        };
        let opened: Vec<&Change> = self.effects.opened.iter().filter(|c| !c.asked).collect();
        if !opened.is_empty() {
            out.push(format!("also opens: {}", list(&opened)));
        }
        let closed: Vec<&Change> = self.effects.closed.iter().collect();
        if !closed.is_empty() {
            out.push(format!("closes: {}", list(&closed)));
        }
        if self.effects.cut_short {
            out.push("there may be more: not every pair of pods was compared".to_owned());
        }
        out
    }
}

/// A word of a POSIX shell.
fn shell(text: &str) -> String {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"_-./:".contains(&b);
    if !text.is_empty() && text.bytes().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::FieldPath;

    #[test]
    fn commands_are_quoted_for_a_shell() {
        let before = json!({"metadata": {"name": "p"}, "spec": {"x": "it's"}});
        let patch = Patch(vec![Op::Replace(FieldPath::keys("spec.x"), json!("a b"))]);
        let undo = patch.undo(&before).unwrap();
        let edit = Edit {
            after: patch.apply(&before).unwrap(),
            target: EditTarget::Existing {
                origin: crate::source::Origin { source: Default::default(), document: 0, item: None },
                before,
                patch,
                undo,
            },
            kind: PolicyKind::NetworkPolicy,
            namespace: Some("shop".to_owned()),
            name: "p".to_owned(),
            steps: Vec::new(),
            owner: None,
        };
        assert_eq!(
            edit.command(),
            r#"kubectl patch networkpolicies.networking.k8s.io p -n shop --type=json -p '[{"op":"replace","path":"/spec/x","value":"a b"}]'"#
        );
        assert_eq!(
            edit.undo_command(),
            r#"kubectl patch networkpolicies.networking.k8s.io p -n shop --type=json -p '[{"op":"replace","path":"/spec/x","value":"it'\''s"}]'"#
        );
        assert_eq!(edit.snippet(), "# set in spec\nx: \"a b\"\n");
        assert_eq!(shell("$(rm)"), "'$(rm)'");
    }
}
