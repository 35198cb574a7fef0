//! A snapshot: what checks and `why` need of a cluster, trimmed, in one JSON document that can be committed and diffed.
//!
//! Objects come in as they are read, in any order; the document that goes out depends only on them. Never in it: values of
//! Secrets, `managedFields`, tokens, variables and configuration that lead nowhere.

mod cut;
mod endpoints;
mod keep;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

use crate::analysis::logs::scrub;
use crate::analysis::why::expand;
use crate::source::plugin::{of_daemon_set, settle};
use crate::source::scan::Odd;
use cut::Cut;
use keep::Keep;

/// Who changed a policy last, as an annotation of it in a snapshot.
pub const CHANGED_BY: &str = "netcheck/changed-by";
/// When a policy was changed last, as an annotation of it in a snapshot.
pub const CHANGED_AT: &str = "netcheck/changed-at";

/// What a snapshot says of itself.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// When the cluster was read, RFC 3339; none for one made from files.
    pub captured_at: Option<String>,
    /// The network plugin, where it is known.
    pub cni: Option<String>,
    /// The namespace that names without one are in.
    pub namespace: Option<String>,
}

/// Rank, kind, namespace, name, API version: the order of a snapshot.
type Place = (u8, String, String, String, String);

/// An object, trimmed.
#[derive(Clone, Debug)]
pub struct Item {
    place: Place,
    text: Written,
    plugin: Option<&'static str>,
}

/// The JSON of an object. The containers of a pod are those of its workload's other pods: they are kept once.
#[derive(Clone, Debug)]
struct Written {
    /// All but the containers.
    text: Box<str>,
    /// The containers, and where they belong.
    containers: Option<(usize, Arc<str>)>,
}

impl Written {
    /// A text that may hold containers.
    fn new(text: &str, containers: Option<Range<usize>>) -> Self {
        match containers {
            Some(Range { start, end }) => Self {
                text: [&text[..start], &text[end..]].concat().into(),
                containers: Some((start, text[start..end].into())),
            },
            None => Self { text: text.into(), containers: None },
        }
    }

    fn parts(&self) -> [&str; 3] {
        match &self.containers {
            Some((at, containers)) => [&self.text[..*at], containers, &self.text[*at..]],
            None => [&self.text, "", ""],
        }
    }
}

impl Item {
    /// What is kept of the object at the start of a JSON text, and where it ends; none for objects that have to be read with
    /// care, or are left out.
    pub fn first_of_json(api_version: &str, kind: &str, text: &[u8], namespace: &str) -> Option<(Self, usize)> {
        // Of policies and Secrets, what is kept is told by fields that are not; of DaemonSets, the plugin.
        let (rank, keep) = keep::of(api_version, kind).filter(|(rank, _)| *rank != 2)?;
        let plain = !matches!(kind, "Secret" | "DaemonSet");
        plain.then(|| Self::cut(api_version, kind, rank, keep, text, namespace).ok())?
    }

    /// What is kept of an object that is given as JSON text; none for kinds that are left out.
    pub fn of_json(api_version: &str, kind: &str, text: &[u8], namespace: &str) -> Option<Self> {
        if let Some((item, _)) = Self::first_of_json(api_version, kind, text, namespace) {
            return Some(item);
        }
        if keep::of(api_version, kind).is_none() && kind != "PartialObjectMetadata" {
            return None;
        }
        Self::of(api_version, kind, &serde_json::from_slice(text).ok()?, namespace)
    }

    fn cut(
        api_version: &str,
        kind: &str,
        rank: u8,
        keep: &Keep,
        text: &[u8],
        namespace: &str,
    ) -> Result<(Self, usize), Odd> {
        thread_local! {
            static CUT: RefCell<Cut> = RefCell::default();
        }
        CUT.with_borrow_mut(|kept| {
            let end = cut::cut(keep, text, kept)?;
            let kept_text = std::str::from_utf8(&kept.text).map_err(|_| Odd)?;
            let mut out = format!("{{\"apiVersion\":{},\"kind\":{}", Value::from(api_version), Value::from(kind));
            // Its first bracket is this object's.
            let moved = out.len();
            match kept_text.strip_prefix('{') {
                Some(fields) => {
                    out.push(',');
                    out.push_str(fields);
                }
                None => out.push('}'),
            }
            let containers = kept.containers.clone().map(|c| c.start + moved..c.end + moved);
            let (own, name) = (kept.namespace.clone(), kept.name.clone());
            let place = Self::place(rank, api_version, kind, own, name, namespace);
            Ok((Self { place, text: Written::new(&out, containers), plugin: None }, end))
        })
    }

    fn place(rank: u8, api_version: &str, kind: &str, own: String, name: String, namespace: &str) -> Place {
        let cluster_wide = matches!(rank, 0 | 1 | 12) || (rank == 2 && own.is_empty());
        let namespace = if own.is_empty() && !cluster_wide { namespace.to_owned() } else { own };
        (rank, kind.to_owned(), namespace, name, api_version.to_owned())
    }

    /// What is kept of an object; none for kinds that are left out.
    pub fn of(api_version: &str, kind: &str, object: &Value, namespace: &str) -> Option<Self> {
        // Secrets are asked for by their metadata alone.
        let hidden = kind == "PartialObjectMetadata";
        let (api_version, kind) = if hidden { ("v1", "Secret") } else { (api_version, kind) };
        let (rank, kept) = keep::of(api_version, kind)?;
        let mut out = Map::new();
        out.insert("apiVersion".to_owned(), api_version.into());
        out.insert("kind".to_owned(), kind.into());
        if let Some(Value::Object(fields)) = trim(kept, object) {
            out.extend(fields);
        }
        let metadata = object.get("metadata").and_then(Value::as_object);
        if kind == "Secret" {
            out.insert("dataKeys".to_owned(), data_keys(object).into_iter().collect());
        }
        if rank == 2
            && let Some(metadata) = metadata
        {
            change(metadata, &mut out);
        }
        let text = |key: &str| metadata.and_then(|m| m.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
        let place = Self::place(rank, api_version, kind, text("namespace"), text("name"), namespace);
        let plugin = if kind == "DaemonSet" { of_daemon_set(&place.3) } else { None };
        Some(Self { place, text: Written::new(&Value::Object(out).to_string(), None), plugin })
    }
}

/// A snapshot being made.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    items: BTreeMap<Place, Written>,
    containers: FxHashSet<Arc<str>>,
    plugins: BTreeSet<&'static str>,
}

impl Snapshot {
    /// Takes what it keeps of an object. `namespace` is that of an object that names none.
    pub fn add(&mut self, api_version: &str, kind: &str, object: &Value, namespace: &str) {
        if let Some(item) = Item::of(api_version, kind, object, namespace) {
            self.insert(item);
        }
    }

    /// Takes an object that was trimmed before. Of the same object twice, the first stays.
    pub fn insert(&mut self, item: Item) {
        let Item { place, mut text, plugin } = item;
        self.plugins.extend(plugin);
        if let Some((_, containers)) = &mut text.containers {
            match self.containers.get(containers) {
                Some(known) => *containers = known.clone(),
                None => drop(self.containers.insert(containers.clone())),
            }
        }
        self.items.entry(place).or_insert(text);
    }

    /// The network plugin that the DaemonSets betray, where it is a single one.
    pub fn plugin(&self) -> Option<&'static str> {
        settle(&BTreeSet::new(), &self.plugins)
    }

    /// How many objects it holds.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The document: an object a line, so that a diff shows which changed.
    pub fn document(&self, head: &Head) -> String {
        let mut out = String::new();
        self.write(head, |text| out.push_str(text));
        out
    }

    /// The document, piece by piece.
    pub fn write(&self, head: &Head, mut piece: impl FnMut(&str)) {
        let mut out = String::from("{\"apiVersion\":\"netcheck/v1alpha1\",\"kind\":\"Snapshot\"");
        let fields = [("capturedAt", &head.captured_at), ("cni", &head.cni), ("namespace", &head.namespace)];
        for (name, value) in fields {
            if let Some(value) = value {
                let _ = write!(out, ",\"{name}\":{}", Value::from(value.as_str()));
            }
        }
        out.push_str(",\"items\":[");
        for (number, item) in self.items.values().enumerate() {
            out.push_str(if number == 0 { "\n" } else { ",\n" });
            for part in item.parts() {
                out.push_str(part);
            }
            if out.len() > PIECE {
                piece(&out);
                out.clear();
            }
        }
        out.push_str("\n]}\n");
        piece(&out);
    }
}

/// Bytes of the document that are written at a time.
const PIECE: usize = 1 << 18;

/// A value without what is not kept; none where nothing is left.
fn trim(keep: &Keep, value: &Value) -> Option<Value> {
    match (keep, value) {
        (_, Value::Null) => None,
        (Keep::All, value) => Some(sorted(value)),
        (Keep::Fields(fields), Value::Object(map)) => {
            let mut out = Map::new();
            for (name, keep) in *fields {
                if let Some(kept) = map.get(*name).and_then(|value| trim(keep, value)) {
                    out.insert((*name).to_owned(), kept);
                }
            }
            (!out.is_empty()).then(|| out.into())
        }
        // A field may hold nothing that is kept, an item still has its place.
        (Keep::Each(keep), Value::Array(items)) => {
            Some(items.iter().map(|item| trim(keep, item).unwrap_or_else(|| Map::new().into())).collect())
        }
        (Keep::Text, Value::String(text)) => Some(scrub(text).into_owned().into()),
        (Keep::Variables, Value::Array(items)) => {
            let kept = variables(items);
            (!kept.is_empty()).then(|| kept.into())
        }
        (Keep::Leads, Value::Array(items)) => {
            let leads = leads(items);
            (!leads.is_empty()).then(|| leads.into())
        }
        (Keep::Command, Value::Array(items)) => {
            let first = items.first().and_then(Value::as_str)?;
            let mut words = vec![Value::from(first.split_whitespace().next().unwrap_or_default())];
            words.extend(leads(items));
            Some(words.into())
        }
        (Keep::Values, Value::Object(map)) => {
            let mut keys: Vec<(&String, &Value)> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            let lead = |(key, value): (&String, &Value)| {
                let leads = endpoints::of(key, value.as_str().unwrap_or_default());
                (key.clone(), Value::from(leads.join("\n")))
            };
            Some(keys.into_iter().map(lead).collect::<Map<_, _>>().into())
        }
        _ => None,
    }
}

/// Where the words of a command lead, and how much memory they give a JVM.
fn leads(items: &[Value]) -> Vec<Value> {
    let words: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut out: Vec<String> = words.iter().flat_map(|text| endpoints::of("", text)).collect();
    out.extend(endpoints::commands(&words));
    out.extend(words.iter().flat_map(|text| endpoints::heap_flags(text)).map(str::to_owned));
    out.dedup();
    out.into_iter().map(Value::from).collect()
}

/// Variables that lead somewhere, or could take the place of one that does; `$(NAME)` of those before is put in first, as the
/// kubelet does, since they may be left out.
fn variables(items: &[Value]) -> Vec<Value> {
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let mut out: Vec<Value> = Vec::new();
    for item in items {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let text = item.get("value").and_then(Value::as_str);
        let text = text.map(|text| expand(text, &|name| known.get(name).cloned()));
        let kept = variable(item, text.as_deref());
        let bare = kept.as_object().is_some_and(|kept| kept.len() == 1);
        if !bare || known.contains_key(name) || endpoints::is_named_so(name) {
            out.push(kept);
        }
        known.extend(text.map(|text| (name, text)));
    }
    out
}

/// A variable: its name, where its value comes from, where its value leads.
fn variable(value: &Value, text: Option<&str>) -> Value {
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
    let mut out = Map::new();
    out.insert("name".to_owned(), name.into());
    if let Some(text) = text {
        let leads = endpoints::of(name, text).join(",");
        let kept: Vec<&str> =
            Some(leads.as_str()).filter(|l| !l.is_empty()).into_iter().chain(endpoints::heap_flags(text)).collect();
        if !kept.is_empty() {
            out.insert("value".to_owned(), kept.join(" ").into());
        }
    }
    if let Some(from) = value.get("valueFrom") {
        out.insert("valueFrom".to_owned(), sorted(from));
    }
    out.into()
}

/// The same value with its keys in order: the API server and a file may write them differently.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().filter(|(_, v)| !v.is_null()).collect();
            entries.sort_by_key(|(key, _)| *key);
            entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The keys of a Secret: of its data, whose values are passed over, or of the fields that its writers say they set.
fn data_keys(object: &Value) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for field in ["data", "stringData"] {
        keys.extend(object.get(field).and_then(Value::as_object).into_iter().flat_map(|m| m.keys().cloned()));
    }
    let listed = object.get("dataKeys").and_then(Value::as_array);
    keys.extend(listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    let writes = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    for write in writes.into_iter().flatten() {
        for field in ["f:data", "f:stringData"] {
            let set = write.pointer(&format!("/fieldsV1/{field}")).and_then(Value::as_object);
            keys.extend(set.into_iter().flat_map(|m| m.keys()).filter_map(|k| k.strip_prefix("f:")).map(str::to_owned));
        }
    }
    keys
}

/// Who changed an object last and when, from `managedFields`, which is not kept itself.
fn change(metadata: &Map<String, Value>, out: &mut Map<String, Value>) {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let writes = metadata.get("managedFields").and_then(Value::as_array);
    let last = writes
        .into_iter()
        .flatten()
        .filter(|write| text(write, "subresource").is_empty() && !text(write, "time").is_empty())
        .map(|write| (text(write, "time"), text(write, "manager")))
        .max();
    let annotation = |key: &str| metadata.get("annotations").and_then(|a| a.get(key)).and_then(Value::as_str);
    let (at, by) = match (last, annotation(CHANGED_AT), annotation(CHANGED_BY)) {
        (Some((at, by)), ..) => (at, by),
        // A snapshot of a snapshot.
        (None, Some(at), by) => (at.to_owned(), by.unwrap_or_default().to_owned()),
        (None, None, _) => return,
    };
    if let Some(Value::Object(kept)) = out.get_mut("metadata") {
        let annotations: Map<String, Value> =
            [(CHANGED_AT.to_owned(), Value::from(at)), (CHANGED_BY.to_owned(), Value::from(by))].into_iter().collect();
        kept.insert("annotations".to_owned(), annotations.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_names_and_keys() {
        let mut snapshot = Snapshot::default();
        let secret = json!({"metadata": {"name": "db", "namespace": "shop",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "aHVudGVyMg=="}}, "data": {"password": "aHVudGVyMg=="}});
        snapshot.add("v1", "Secret", &secret, "default");
        let bare = json!({"metadata": {"name": "api", "namespace": "shop",
            "managedFields": [{"fieldsV1": {"f:data": {".": {}, "f:key": {}}, "f:type": {}}}]}});
        snapshot.add("meta.k8s.io/v1", "PartialObjectMetadata", &bare, "default");
        let text = snapshot.document(&Head::default());
        assert!(!text.contains("aHVudGVyMg") && !text.contains("managedFields"), "{text}");
        assert!(text.contains("\"dataKeys\":[\"password\"]") && text.contains("\"dataKeys\":[\"key\"]"), "{text}");
    }

    #[test]
    fn text_is_cut_as_its_value_is_trimmed() {
        let pods = [
            r#"{"apiVersion":"v1","kind":"Pod","status":{"phase":"Running","conditions":[{"message":"a\nb","type":"Ready","status":"True"},null]},
                "metadata":{"name":"p","namespace":"shop","labels":{"b":"1","a":"\u0041","c":null},"managedFields":[{}],"ownerReferences":[]},
                "spec":{"containers":[{"name":"c","x":1,"env":[{"name":"A","value":"http://db:80/x"},{"value":"y","name":"B"}],
                "args":["--to","db:5432"],"command":["sh -c","x"],"ports":[{"name":"w","containerPort":80}],"resources":{"limits":{"cpu":1.50}}},{}],
                "hostNetwork":false,"nodeName":null,"volumes":[{"name":"v","emptyDir":{}}],"terminationGracePeriodSeconds":-1}}"#,
            r#"{ "metadata" : { "name" : "q" } , "spec":{"containers":[]},"spec":{"nodeName":"n"} }"#,
            r#"{"metadata":{"name":"r","labels":"wrong"},"spec":7,"status":{"message":"\ud83d\ude00","podIP":"10.0.0.1","startTime":12}}"#,
            r#"{"metadata":{"n\u0061me":"odd"},"spec":{"containers":[{"env":[{"name":"A","value":"db:5432"}],"envFrom":[{"b":1,"a":[{}]}]}]}}"#,
            r#"{"metadata":{}}"#,
        ];
        for text in pods {
            let mut by_text = Snapshot::default();
            by_text.insert(Item::of_json("v1", "Pod", text.as_bytes(), "default").expect("kept"));
            let mut by_value = Snapshot::default();
            by_value.add("v1", "Pod", &serde_json::from_str(text).expect("JSON"), "default");
            assert_eq!(by_text.document(&Head::default()), by_value.document(&Head::default()));
            assert_eq!(by_text.items.keys().collect::<Vec<_>>(), by_value.items.keys().collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_is_that_of_kinds_and_names() {
        let names = |order: &[(&str, &str)]| {
            let mut snapshot = Snapshot::default();
            for (kind, name) in order {
                snapshot.add(
                    "v1",
                    kind,
                    &json!({"metadata": {"name": name, "labels": {"b": "1", "a": "2"}}}),
                    "default",
                );
            }
            snapshot.document(&Head::default())
        };
        let one = names(&[("Pod", "b"), ("Namespace", "z"), ("Pod", "a")]);
        assert_eq!(one, names(&[("Pod", "a"), ("Pod", "b"), ("Namespace", "z")]));
        assert!(one.find("\"z\"") < one.find("\"a\",\"labels\""), "{one}");
        assert!(one.contains(r#"{"a":"2","b":"1"}"#), "{one}");
    }
}
