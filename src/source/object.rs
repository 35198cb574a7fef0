//! One object: its text or value becomes a typed object and what is to be said of it.
//!
//! Pure: nothing here knows of other objects, so that items of a dump can be read side by side.

use std::cell::RefCell;
use std::fmt;

use serde::Deserializer;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::decode::{DecodeError, Decoder};
use super::diagnostic::{Diagnostic, Part};
use super::kind::{self, Kind};
use super::origin::{FieldPath, Origin};
use super::scan::{self, Odd, Trimmed};
use super::schema;
use super::text::Text;
use super::validate;
use super::wire::{Metadata, Object};

/// What an object turned out to be.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The object, if its kind takes part and it can be used.
    pub object: Option<(Kind, Object)>,
    /// Its kind, where it takes no part.
    pub skipped: Option<Text>,
    /// What is wrong with it, or probably not meant.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    fn error(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic], ..Self::default() }
    }
}

/// `apiVersion` and `kind`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeMeta {
    /// `apiVersion`.
    pub api_version: Option<Text>,
    /// `kind`.
    pub kind: Option<Text>,
}

impl TypeMeta {
    /// Of a value.
    pub fn of(value: &Value) -> Self {
        let string = |key| value.get(key).and_then(Value::as_str).filter(|s| !s.is_empty()).map(Text::shared);
        Self { api_version: string("apiVersion"), kind: string("kind") }
    }

    /// Of the text of a JSON object, without reading more of it than needed: kubectl writes both first, and a program
    /// that writes them last costs one pass.
    pub fn of_json(text: &[u8]) -> Self {
        let found = RefCell::new(Self::default());
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        // It stops with an error as soon as both are known.
        let _ = deserializer.deserialize_map(HeadVisitor(&found));
        let mut found = found.into_inner();
        found.api_version = found.api_version.filter(|s| !s.is_empty());
        found.kind = found.kind.filter(|s| !s.is_empty());
        found
    }

    /// What an item of a list is: a list of Pods need not say it of each.
    pub fn or_item_of(mut self, api_version: Option<&str>, list_kind: Option<&str>) -> Self {
        if let Some(item) = list_kind.and_then(|kind| kind.strip_suffix("List")).filter(|kind| !kind.is_empty()) {
            self.kind.get_or_insert_with(|| Text::shared(item));
            if self.api_version.is_none() {
                self.api_version = api_version.map(Text::shared);
            }
        }
        self
    }
}

impl From<(&str, &str)> for TypeMeta {
    fn from((api_version, kind): (&str, &str)) -> Self {
        Self { api_version: Some(Text::shared(api_version)), kind: Some(Text::shared(kind)) }
    }
}

/// The text of an item of an API server's list, which doesn't say what it is, with what it is. `None` for kinds that no
/// diagnostic points into.
pub fn with_type(text: &[u8], type_meta: &TypeMeta) -> Option<Vec<u8>> {
    let (api_version, kind) = (type_meta.api_version.as_deref()?, type_meta.kind.as_deref()?);
    if !kind::classify(api_version, kind).is_ok_and(Kind::decides) {
        return None;
    }
    let rest = text.strip_prefix(b"{")?;
    let head = serde_json::json!({"apiVersion": api_version, "kind": kind}).to_string();
    let mut out = head.trim_end_matches('}').as_bytes().to_vec();
    if rest.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    Some(out)
}

struct HeadVisitor<'f>(&'f RefCell<TypeMeta>);

impl<'de> Visitor<'de> for HeadVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "apiVersion" => self.0.borrow_mut().api_version = map.next_value::<Option<Text>>()?,
                "kind" => self.0.borrow_mut().kind = map.next_value::<Option<Text>>()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            let found = self.0.borrow();
            if found.api_version.is_some() && found.kind.is_some() {
                return Err(de::Error::custom("both found"));
            }
        }
        Ok(())
    }
}

/// Reads an object from its value.
pub fn from_value(origin: Origin, type_meta: &TypeMeta, value: &Value) -> Parsed {
    if !value.is_object() {
        return Parsed::error(
            Diagnostic::error("expected a Kubernetes object, a mapping with `apiVersion` and `kind`").at(
                origin,
                FieldPath::root(),
                Part::Value,
                String::new(),
            ),
        );
    }
    let (name, kind) = match classify(origin, type_meta) {
        Ok(known) => known,
        Err(parsed) => return *parsed,
    };
    typed(origin, name, kind, value)
}

/// Reads an object from its JSON text. The error is a message and an offset in the text.
pub fn from_json(origin: Origin, type_meta: &TypeMeta, text: &[u8]) -> Result<Parsed, (String, usize)> {
    if text.first() == Some(&b'{') {
        match classify(origin, type_meta) {
            Ok((name, kind)) => match kind {
                Kind::Secret | Kind::Other => {
                    return Ok(Parsed { skipped: Some(Text::shared(name)), ..Parsed::default() });
                }
                kind => {
                    if is_json(text)
                        && let Some(parsed) = wanted(origin, kind, type_meta, text)
                    {
                        return Ok(parsed.0);
                    }
                }
            },
            // What is not JSON can't say what it is either.
            Err(parsed) if is_json(text) => return Ok(*parsed),
            Err(_) => {}
        }
    }
    let value: Value = serde_json::from_slice(text).map_err(|error| json_error(text, &error))?;
    Ok(from_value(origin, type_meta, &value))
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Reads no more than what is wanted of the object at the start of a text, and gives its end. `None` where the object has
/// to be read with care: something is wrong with it, or it is of a kind that always is.
fn wanted(origin: Origin, kind: Kind, type_meta: &TypeMeta, text: &[u8]) -> Option<(Parsed, usize, bool)> {
    thread_local! {
        static TRIMMED: RefCell<Trimmed> = RefCell::default();
    }
    let (shape, strict) = schema::shape(kind)?;
    if kind == Kind::NetworkPolicy && type_meta.api_version.as_deref() == Some(OLD_NETWORK_POLICY) {
        return None;
    }
    TRIMMED.with_borrow_mut(|trimmed| {
        scan::trim(text, shape, trimmed).ok()?;
        if strict && trimmed.unknown {
            return None;
        }
        let mut deserializer = serde_json::Deserializer::from_slice(&trimmed.text);
        // What serde refuses, the API server may still take: `null` in a list, a key that occurs twice.
        let object = kind::deserialize(kind, &mut deserializer).ok().flatten()?;
        deserializer.end().ok()?;
        Some((
            finish(origin, type_meta.kind.as_deref().unwrap_or_default(), kind, object, &Value::Null),
            trimmed.end,
            trimmed.typed,
        ))
    })
}

/// An item of a list.
#[derive(Debug)]
pub struct Item {
    /// What it turned out to be.
    pub parsed: Parsed,
    /// What it is.
    pub type_meta: TypeMeta,
    /// Where it ends.
    pub end: usize,
    /// Its text, where that doesn't say what it is and was made to.
    pub written: Option<Vec<u8>>,
}

/// How the items of a list are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The API version and kind that the list gives its items, where it gives them any.
    pub listed: TypeMeta,
    /// Whether they come from an API server, whose lists don't say it of each item.
    pub cluster: bool,
    /// Whether what is not wanted of them has to be JSON all the same.
    pub whole: bool,
    /// Whether they are shown to an observer and nothing is wanted of them here: an API server took them.
    pub only_shown: bool,
}

/// Reads the item at the start of a text that goes on behind it. [`Odd`] where it has to be cut out first and read with
/// [`from_json`].
pub fn item(origin: Origin, reading: &Reading, text: &[u8]) -> Result<Item, Odd> {
    let (mut type_meta, own) = what(reading, text)?;
    if reading.whole && !is_json(&text[..scan::value_end(text, 0)?]) {
        return Err(Odd);
    }
    let skips = |type_meta: &TypeMeta| matches!(classify(origin, type_meta), Ok((_, Kind::Secret | Kind::Other)));
    if !own && skips(&type_meta) {
        type_meta = said(reading, text)?;
    }
    let parsed = loop {
        let (name, kind) = match classify(origin, &type_meta) {
            Ok(known) => known,
            Err(parsed) => break *parsed,
        };
        if matches!(kind, Kind::Secret | Kind::Other) {
            break Parsed { skipped: Some(Text::shared(name)), ..Parsed::default() };
        }
        // Diagnostics are drawn on the text, which has to say what the object is.
        if !(reading.cluster && !own && kind.decides())
            && let Some((parsed, end, typed)) = wanted(origin, kind, &type_meta, text)
        {
            if typed && !own {
                let really = said(reading, text)?;
                if really != type_meta {
                    type_meta = really;
                    continue;
                }
            }
            return Ok(Item { parsed, type_meta, end, written: None });
        }
        let text = &text[..scan::value_end(text, 0)?];
        let written = if reading.cluster && !own { with_type(text, &type_meta) } else { None };
        let parsed = from_json(origin, &type_meta, written.as_deref().unwrap_or(text)).map_err(|_| Odd)?;
        return Ok(Item { parsed, type_meta, end: text.len(), written });
    };
    Ok(Item { parsed, type_meta, end: scan::value_end(text, 0)?, written: None })
}

/// What the item at the start of a text is, and whether it says so itself.
pub fn what(reading: &Reading, text: &[u8]) -> Result<(TypeMeta, bool), Odd> {
    Ok(match scan::says(text, true)? {
        (Some(api_version), Some(kind)) => (TypeMeta::from((api_version, kind)), true),
        (None, None) if reading.listed.api_version.is_some() => (reading.listed.clone(), false),
        _ => (said(reading, text)?, true),
    })
}

/// What an item says that it is, wherever it says so, or what its list says.
fn said(reading: &Reading, text: &[u8]) -> Result<TypeMeta, Odd> {
    let (api_version, kind) = scan::says(text, false)?;
    let shared = |text: Option<&str>| text.map(Text::shared);
    let mut type_meta = TypeMeta { api_version: shared(api_version), kind: shared(kind) };
    if let Some(listed) = &reading.listed.kind {
        type_meta.kind.get_or_insert_with(|| listed.clone());
        if type_meta.api_version.is_none() {
            type_meta.api_version.clone_from(&reading.listed.api_version);
        }
    }
    // What a list may say of itself behind its items is not known yet.
    if type_meta.kind.is_some() && type_meta.api_version.is_some() { Ok(type_meta) } else { Err(Odd) }
}

/// serde_json's message without its position, and the position as an offset.
pub fn json_error(text: &[u8], error: &serde_json::Error) -> (String, usize) {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let mut offset = 0;
    for _ in 1..error.line() {
        offset += text[offset..].iter().position(|b| *b == b'\n').map_or(0, |n| n + 1);
    }
    (message.to_owned(), (offset + error.column().saturating_sub(1)).min(text.len()))
}

fn classify(origin: Origin, type_meta: &TypeMeta) -> Result<(&str, Kind), Box<Parsed>> {
    let (api_version, name) = match (&type_meta.api_version, &type_meta.kind) {
        (Some(api_version), Some(name)) => (api_version, name),
        (api_version, name) => {
            let mut parsed = Parsed::default();
            if name.is_none() {
                parsed.diagnostics.push(
                    Diagnostic::error("Object 'Kind' is missing")
                        .at(origin, FieldPath::keys("kind"), Part::Entry, "this object has no `kind`")
                        .help("an object starts with `apiVersion:` and `kind:`"),
                );
            }
            if api_version.is_none() {
                let mut error = Diagnostic::error("apiVersion not set").at(
                    origin,
                    FieldPath::keys("apiVersion"),
                    Part::Entry,
                    "this object has no `apiVersion`",
                );
                if let Some((kind, expected)) = name.as_deref().and_then(|n| Some((n, kind::expected_version(n)?))) {
                    error = error.help(format!("a {kind} is `apiVersion: {expected}`"));
                }
                parsed.diagnostics.push(error);
            }
            return Err(Box::new(parsed));
        }
    };
    match kind::classify(api_version, name) {
        Ok(kind) => Ok((name, kind)),
        Err(message) => {
            let mut error = Diagnostic::error(message).at(
                origin,
                FieldPath::keys("apiVersion"),
                Part::Value,
                "the API server has no such kind in this version",
            );
            if let Some(expected) = kind::expected_version(name) {
                error = error.help(format!("a {name} is `apiVersion: {expected}`"));
            }
            Err(Box::new(Parsed::error(error)))
        }
    }
}

/// Where NetworkPolicy was before Kubernetes 1.16.
const OLD_NETWORK_POLICY: &str = "extensions/v1beta1";

fn typed(origin: Origin, name: &str, kind: Kind, value: &Value) -> Parsed {
    match kind::deserialize(kind, Decoder(value)) {
        Ok(Some(object)) => {
            let mut parsed = finish(origin, name, kind, object, value);
            if kind == Kind::NetworkPolicy && value.get("apiVersion").is_some_and(|v| v == OLD_NETWORK_POLICY) {
                parsed.diagnostics.push(
                    Diagnostic::warning("extensions/v1beta1 NetworkPolicy was removed in Kubernetes 1.16")
                        .code("NC1005")
                        .at(origin, FieldPath::keys("apiVersion"), Part::Value, "read as networking.k8s.io/v1")
                        .help("write `apiVersion: networking.k8s.io/v1`"),
                );
            }
            for unknown in schema::unknown_fields(kind, value) {
                parsed.diagnostics.push(unknown_field(origin, name, &unknown));
            }
            parsed
        }
        Ok(None) => Parsed { skipped: Some(Text::shared(name)), ..Parsed::default() },
        Err(error) => Parsed::error(mismatch(origin, name, value, &error)),
    }
}

fn finish(origin: Origin, name: &str, kind: Kind, mut object: Object, value: &Value) -> Parsed {
    // An item of an API server's list doesn't say what it is.
    match &mut object {
        Object::Workload(o) if o.kind.is_empty() => name.clone_into(&mut o.kind),
        Object::ForeignPolicy(o) if o.kind.is_empty() => name.clone_into(&mut o.kind),
        _ => {}
    }
    let mut diagnostics = Vec::new();
    validate::object(origin, &object, value, &mut diagnostics);
    Parsed { object: Some((kind, object)), skipped: None, diagnostics }
}

fn unknown_field(origin: Origin, kind: &str, unknown: &schema::Unknown) -> Diagnostic {
    let label = match unknown.meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "not a field of this API".to_owned(),
    };
    let warning = Diagnostic::warning(format!("unknown field `{}` in a {kind}", unknown.path))
        .code("NC1001")
        .at(origin, unknown.path.clone(), Part::Key, label)
        .note("the field is left out here; `kubectl apply` refuses it unless validation is turned off");
    match unknown.meant {
        Some(_) => warning,
        None => warning.help(format!("the fields here are {}", list(&unknown.known))),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A field of the wrong type.
fn mismatch(origin: Origin, kind: &str, value: &Value, error: &DecodeError) -> Diagnostic {
    let path = error.path();
    let message = format!("`{path}` of this {kind} has the wrong type: {}", error.message);
    let mut diagnostic = Diagnostic::error(message).at(origin, path.clone(), Part::Value, error.message.clone());
    match value.pointer(&path.pointer()) {
        Some(Value::Bool(_)) if error.message.starts_with("expected a string") => {
            diagnostic = diagnostic
                .help("write it in quotes; kubectl reads `y`, `yes`, `on`, `true` (and `n`, `no`, `off`, `false`) without quotes as booleans");
        }
        Some(Value::Number(_)) if error.message.starts_with("expected a string") => {
            diagnostic = diagnostic.help("write it in quotes");
        }
        Some(Value::String(text)) if text.parse::<i64>().is_ok() => {
            diagnostic = diagnostic.help("write it without quotes");
        }
        _ => {}
    }
    diagnostic
}

/// The metadata of an object.
pub fn metadata_mut(object: &mut Object) -> &mut Metadata {
    match object {
        Object::Namespace(o) => &mut o.metadata,
        Object::Node(o) => &mut o.metadata,
        Object::Pod(o) => &mut o.metadata,
        Object::Workload(o) => &mut o.metadata,
        Object::Service(o) => &mut o.metadata,
        Object::EndpointSlice(o) => &mut o.metadata,
        Object::Endpoints(o) => &mut o.metadata,
        Object::Routing(o) => &mut o.metadata,
        Object::NetworkPolicy(o) => &mut o.metadata,
        Object::ClusterNetworkPolicy(o) => &mut o.metadata,
        Object::AdminNetworkPolicy(o) | Object::BaselineAdminNetworkPolicy(o) => &mut o.metadata,
        Object::ForeignPolicy(o) => &mut o.metadata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_meta_wherever_it_stands() {
        let expected = TypeMeta::from(("v1", "Pod"));
        for text in [
            r#"{"apiVersion": "v1", "kind": "Pod", "spec": {}"#,
            r#"{"spec": {"kind": "no"}, "kind": "Pod", "metadata": null, "apiVersion": "v1"}"#,
            r#"{"\u006bind": "Pod", "apiVersion": "v1"}"#,
        ] {
            assert_eq!(TypeMeta::of_json(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(TypeMeta::of_json(b"[]"), TypeMeta::default());
        let item = TypeMeta::of_json(b"{}").or_item_of(Some("v1"), Some("PodList"));
        assert_eq!(item, expected);
        assert_eq!(TypeMeta::default().or_item_of(Some("v1"), Some("List")), TypeMeta::default());
    }
}
