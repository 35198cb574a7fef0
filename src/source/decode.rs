//! A JSON value as a typed object, as the API server decodes it.
//!
//! Go's decoder takes `null` for any field as that field's zero value: an empty list item is an empty rule, a label
//! without a value is the empty string. serde refuses both, so the value is read through this deserializer, which also
//! knows the path of the field where an object doesn't fit.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde_json::{Map, Value};

use super::origin::{FieldPath, Segment};

/// A field that has the wrong type.
#[derive(Debug)]
pub struct DecodeError {
    /// Path, innermost first.
    path: Vec<Segment>,
    /// What was expected and found.
    pub message: String,
    /// What was probably meant.
    pub help: Option<String>,
}

impl DecodeError {
    /// The field.
    pub fn path(&self) -> FieldPath {
        FieldPath(self.path.iter().rev().cloned().collect())
    }

    fn within(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: Vec::new(), message: message.to_string(), help: None }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}, found {}", wanted(expected), name(found)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mut error = Self::custom(format_args!("unknown field `{}`", shorten(field)));
        error.path.push(Segment::Key(field.into()));
        let near = expected.iter().map(|e| (strsim::jaro_winkler(field, e), e)).filter(|(score, _)| *score >= 0.8);
        error.help = match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((_, near)) => Some(format!("did you mean `{near}`?")),
            None => Some(format!("one of {}", expected.join(", "))),
        };
        error
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// serde's word for what it wants, without names of Rust types.
fn wanted(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "i64" | "u64" | "i32" | "u16" => "a whole number".to_owned(),
        _ if text.starts_with("struct ") => "a mapping".to_owned(),
        _ => text,
    }
}

fn name(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("the boolean `{value}`"),
        Unexpected::Unsigned(value) => format!("the number `{value}`"),
        Unexpected::Signed(value) => format!("the number `{value}`"),
        Unexpected::Float(value) => format!("the number `{value}`"),
        Unexpected::Str(text) => format!("the string `{}`", shorten(text)),
        Unexpected::Unit => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(57).chain("...".chars()).collect() }
}

/// Reads from a value.
#[derive(Clone, Copy)]
pub struct Decoder<'v>(pub &'v Value);

impl<'v> Decoder<'v> {
    fn mismatch<V: Visitor<'v>>(self, visitor: &V) -> DecodeError {
        let found = match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => Unexpected::Unsigned(value),
                (_, Some(value), _) => Unexpected::Signed(value),
                (_, _, value) => Unexpected::Float(value.unwrap_or_default()),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        de::Error::invalid_type(found, visitor)
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.0 {
                Value::Null => visitor.visit_i64(0),
                Value::Number(_) => self.deserialize_any(visitor),
                _ => Err(self.mismatch(&visitor)),
            }
        }
    )*};
}

impl<'v> Deserializer<'v> for Decoder<'v> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_i64(value),
                (_, Some(value), _) => visitor.visit_u64(value),
                (_, _, value) => visitor.visit_f64(value.unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter(), index: 0 }),
            Value::Object(map) => visitor.visit_map(Entries::new(map)),
        }
    }

    numbers!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64);

    fn deserialize_bool<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_bool(false),
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_borrowed_str(""),
            Value::String(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_seq(Items { items: [].iter(), index: 0 }),
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter(), index: 0 }),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_map(de::value::MapDeserializer::new(std::iter::empty::<(&str, &str)>())),
            Value::Object(map) => visitor.visit_map(Entries::new(map)),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'v>> i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}

struct Items<'v> {
    items: std::slice::Iter<'v, Value>,
    index: usize,
}

impl<'v> de::SeqAccess<'v> for Items<'v> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'v>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Decoder(item)).map(Some).map_err(|error| error.within(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'v> {
    entries: serde_json::map::Iter<'v>,
    current: Option<(&'v str, &'v Value)>,
}

impl<'v> Entries<'v> {
    fn new(map: &'v Map<String, Value>) -> Self {
        Self { entries: map.iter(), current: None }
    }
}

impl<'v> de::MapAccess<'v> for Entries<'v> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.current = Some((key, value));
        seed.deserialize(de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'v>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        match self.current.take() {
            Some((key, value)) => {
                seed.deserialize(Decoder(value)).map_err(|error| error.within(Segment::Key(key.into())))
            }
            None => seed.deserialize(().into_deserializer()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::source::wire::{Namespace, NetworkPolicy};

    #[test]
    fn null_is_the_zero_value_as_in_go() {
        let value = json!({"metadata": null, "spec": {"podSelector": {"matchLabels": {"app": null}},
            "ingress": [null, {"from": [null]}], "policyTypes": null}});
        let policy = NetworkPolicy::deserialize(Decoder(&value)).expect("decodes");
        assert_eq!(policy.spec.pod_selector.match_labels["app"], "");
        assert_eq!(policy.spec.ingress.len(), 2);
        assert!(policy.spec.ingress[1].from[0].pod_selector.is_none());
    }

    #[test]
    fn errors_know_their_field() {
        let value = json!({"metadata": {"labels": {"feature": true}}});
        let error = Namespace::deserialize(Decoder(&value)).expect_err("a boolean is no label");
        assert_eq!(error.path().to_string(), "metadata.labels.feature");
        assert_eq!(error.message, "expected a string, found the boolean `true`");

        let value = json!({"spec": {"ingress": [{"ports": [{"port": 1.5}]}]}});
        let error = NetworkPolicy::deserialize(Decoder(&value)).expect_err("half a port");
        assert_eq!(error.path().to_string(), "spec.ingress[0].ports[0].port");
        assert_eq!(error.message, "expected a whole number or a name, found the number `1.5`");

        let value = json!({"spec": {"ingress": {"from": []}}});
        let error = NetworkPolicy::deserialize(Decoder(&value)).expect_err("no list");
        assert_eq!(error.message, "expected a list, found a mapping");
    }
}
