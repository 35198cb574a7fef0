//! JSON patches (RFC 6902) of one object: applying one, and the patch that takes it back.
//!
//! Only `add`, `remove` and `replace` are needed; an `add` never goes to `-`, so that its inverse is known.

use serde_json::{Value, json};

use crate::source::{FieldPath, Segment};

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Sets a key, or inserts before an index.
    Add(FieldPath, Value),
    /// Takes a key or an item away.
    Remove(FieldPath),
    /// Puts another value in the place of one that exists.
    Replace(FieldPath, Value),
}

/// Operations, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch(pub Vec<Op>);

impl Patch {
    /// The object with the patch applied; none where a path doesn't exist.
    pub fn apply(&self, object: &Value) -> Option<Value> {
        let mut out = object.clone();
        self.0.iter().try_for_each(|op| op.apply(&mut out))?;
        Some(out)
    }

    /// The patch that takes this one back, from what it makes of `before`.
    pub fn undo(&self, before: &Value) -> Option<Self> {
        let mut value = before.clone();
        let mut out = Vec::with_capacity(self.0.len());
        for op in &self.0 {
            out.push(op.inverse(&value)?);
            op.apply(&mut value)?;
        }
        out.reverse();
        Some(Self(out))
    }

    /// As `kubectl patch --type=json` takes it.
    pub fn to_json(&self) -> Value {
        let op = |op: &Op| match op {
            Op::Add(path, value) => json!({"op": "add", "path": path.pointer(), "value": value}),
            Op::Remove(path) => json!({"op": "remove", "path": path.pointer()}),
            Op::Replace(path, value) => json!({"op": "replace", "path": path.pointer(), "value": value}),
        };
        Value::Array(self.0.iter().map(op).collect())
    }
}

impl Op {
    /// The field that is changed.
    pub fn path(&self) -> &FieldPath {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Replace(path, _) => path,
        }
    }

    fn apply(&self, object: &mut Value) -> Option<()> {
        if let Self::Replace(path, value) = self {
            *at_mut(object, &path.0)? = value.clone();
            return Some(());
        }
        let (last, parent) = self.path().0.split_last()?;
        match (self, at_mut(object, parent)?, last) {
            (Self::Add(_, value), Value::Object(map), Segment::Key(key)) => {
                map.insert(key.to_string(), value.clone());
            }
            (Self::Add(_, value), Value::Array(items), Segment::Index(index)) if *index <= items.len() => {
                items.insert(*index, value.clone());
            }
            (Self::Remove(_), Value::Object(map), Segment::Key(key)) => {
                map.shift_remove(&**key)?;
            }
            (Self::Remove(_), Value::Array(items), Segment::Index(index)) if *index < items.len() => {
                items.remove(*index);
            }
            _ => return None,
        }
        Some(())
    }

    fn inverse(&self, before: &Value) -> Option<Self> {
        let old = at(before, &self.path().0);
        Some(match (self, self.path().0.last()?) {
            (Self::Add(path, _), Segment::Index(_)) => Self::Remove(path.clone()),
            (Self::Add(path, _), Segment::Key(_)) => match old {
                Some(old) => Self::Replace(path.clone(), old.clone()),
                None => Self::Remove(path.clone()),
            },
            (Self::Remove(path), _) => Self::Add(path.clone(), old?.clone()),
            (Self::Replace(path, _), _) => Self::Replace(path.clone(), old?.clone()),
        })
    }
}

/// The value at a path.
pub(super) fn at<'v>(value: &'v Value, path: &[Segment]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value.get(&**key),
        Segment::Index(index) => value.get(*index),
    })
}

fn at_mut<'v>(value: &'v mut Value, path: &[Segment]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value.get_mut(&**key),
        Segment::Index(index) => value.get_mut(*index),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object() -> Value {
        json!({"spec": {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app/x": "y"}}}]}, {}], "a~b": null}})
    }

    #[test]
    fn pointers_are_escaped_and_operations_apply() {
        let labels =
            FieldPath::keys("spec.ingress").index(0).key("from").index(0).key("podSelector").key("matchLabels");
        let patch = Patch(vec![
            Op::Replace(labels.clone().key("app/x"), json!("z")),
            Op::Remove(FieldPath::keys("spec").key("a~b")),
            Op::Add(FieldPath::keys("spec.ingress").index(2), json!({"ports": []})),
        ]);
        let after = patch.apply(&object()).unwrap();
        assert_eq!(
            after,
            json!({"spec": {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app/x": "z"}}}]}, {}, {"ports": []}]}})
        );
        assert_eq!(patch.to_json()[0]["path"], "/spec/ingress/0/from/0/podSelector/matchLabels/app~1x");
        assert_eq!(patch.undo(&object()).unwrap().apply(&after).unwrap(), object());
    }

    #[test]
    fn paths_that_do_not_exist_are_refused() {
        for op in [
            Op::Remove(FieldPath::keys("spec.egress")),
            Op::Replace(FieldPath::keys("spec.egress"), json!([])),
            Op::Add(FieldPath::keys("spec.egress").index(0), json!({})),
            Op::Add(FieldPath::keys("spec.ingress").index(3), json!({})),
        ] {
            assert_eq!(Patch(vec![op.clone()]).apply(&object()), None, "{op:?}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c~/]{0,3}".prop_map(Value::from)];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-c~/]{1,2}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    fn paths(value: &Value, at: &FieldPath, out: &mut Vec<FieldPath>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    out.push(at.clone().key(key));
                    paths(value, &at.clone().key(key), out);
                }
                out.push(at.clone().key("new"));
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    out.push(at.clone().index(index));
                    paths(value, &at.clone().index(index), out);
                }
                out.push(at.clone().index(items.len()));
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn undo_takes_back(
            value in any_value(),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, any_value()), 1..5),
        ) {
            let mut patch = Patch::default();
            let mut now = value.clone();
            for (which, kind, new) in steps {
                let mut all = Vec::new();
                paths(&now, &FieldPath::root(), &mut all);
                if all.is_empty() { break }
                let path = all[which.index(all.len())].clone();
                let op = match kind { 0 => Op::Add(path, new), 1 => Op::Remove(path), _ => Op::Replace(path, new) };
                if let Some(after) = Patch(vec![op.clone()]).apply(&now) {
                    now = after;
                    patch.0.push(op);
                }
            }
            let undo = patch.undo(&value).unwrap();
            prop_assert_eq!(undo.apply(&patch.apply(&value).unwrap()).unwrap(), value);
        }
    }
}
