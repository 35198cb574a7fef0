//! Expectation files: their grammar. `netcheck schema test` prints it as a JSON schema for editors.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Expectations about who may reach what.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectivityTest {
    /// `netcheck/v1alpha1`.
    pub api_version: String,
    /// `ConnectivityTest`.
    pub kind: String,
    /// What it is called in reports; the file without it.
    #[serde(default)]
    pub name: Option<String>,
    /// Files and directories of objects, from this file's directory. Those of `-f` take their place.
    #[serde(default)]
    pub objects: Vec<String>,
    /// Files of changed objects that are laid over the others.
    #[serde(default)]
    pub with: Vec<String>,
    /// Objects as YAML, laid over those of files.
    #[serde(default)]
    pub manifests: Option<String>,
    /// The network plugin. The one of `--cni` takes its place.
    #[serde(default)]
    pub cni: Option<String>,
    /// Namespace of names without one, and of objects that name none.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Expectations about these objects.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// Many expectations at once.
    #[serde(default)]
    pub matrix: Option<Matrix>,
    /// Groups of expectations, which may have objects of their own.
    #[serde(default)]
    pub cases: Vec<Case>,
}

/// A group of expectations.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// Files and directories in place of the file's.
    #[serde(default)]
    pub objects: Vec<String>,
    /// Files of changed objects that are laid over the others.
    #[serde(default)]
    pub with: Vec<String>,
    /// Objects as YAML, laid over the others.
    #[serde(default)]
    pub manifests: Option<String>,
    /// Expectations.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// Many expectations at once.
    #[serde(default)]
    pub matrix: Option<Matrix>,
}

/// One expectation: exactly one of its fields is set.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// Every client reaches every target.
    #[serde(default)]
    pub allow: Option<Rule>,
    /// Policies stop every client from reaching any target. What can't work for another reason doesn't count.
    #[serde(default)]
    pub deny: Option<Rule>,
    /// Those that are listed reach it, and nothing else does.
    #[serde(default)]
    pub only: Option<Rule>,
}

/// Who, what, on which ports.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Clients.
    #[serde(default)]
    pub from: Option<Peers>,
    /// Targets.
    #[serde(default)]
    pub to: Option<Peers>,
    /// Ports: `8080`, `53/udp`, `8000-8100`, `http`. Without: those of a Service or that the pods declare for `allow`, every
    /// port for `deny` and `only`.
    #[serde(default)]
    pub ports: Vec<PortText>,
    /// Pods that it is not about.
    #[serde(default)]
    pub except: Option<Peers>,
    /// With `only`: the side whose list is complete, `from` (without it) or `to`.
    #[serde(default)]
    pub side: Option<String>,
    /// The verdict of every pair: `reachable`, `blocked`, `partial`, `unreachable`, `unknown`.
    #[serde(default)]
    pub verdict: Option<String>,
    /// The policy that must decide: `[[KIND/]NAMESPACE/]NAME`.
    #[serde(default)]
    pub by: Option<String>,
    /// What it is called in reports.
    #[serde(default)]
    pub name: Option<String>,
    /// Why it must be so: shown where it is not.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Many expectations at once: a row for each client, a cell for each target.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Matrix {
    /// Targets, the columns.
    pub to: Vec<String>,
    /// Clients, the rows, each with its cells: `allow`, `deny`, ports that are allowed, or nothing.
    pub from: BTreeMap<String, Vec<Cell>>,
}

/// A cell of a matrix.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Cell {
    /// `allow`, `deny`, a port; `-` or nothing for no expectation.
    One(PortText),
    /// Ports that are allowed.
    Ports(Vec<PortText>),
}

/// A port, a range or a name, with or without a protocol.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum PortText {
    /// A number.
    Number(u16),
    /// `53/udp`, `8000-8100`, `http`.
    Text(String),
}

impl fmt::Display for PortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Clients or targets: one or a list.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Peers {
    /// One.
    One(Peer),
    /// All of these.
    Many(Vec<Peer>),
}

impl Peers {
    /// As a list.
    pub fn list(&self) -> &[Peer] {
        match self {
            Self::One(peer) => std::slice::from_ref(peer),
            Self::Many(peers) => peers,
        }
    }
}

/// A client or a target.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Peer {
    /// As on the command line (`shop/frontend`, `deploy/web`, `cart:8080`, `ip:10.0.0.0/8`), `internet`, or `all`: every pod.
    Text(String),
    /// Pods by namespace and labels.
    Pods(Box<Pods>),
}

/// Pods by namespace and labels; every pod where nothing is said. Pods on their node's network are only meant by name.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pods {
    /// Their namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Their namespaces, one or a list; `all` is every namespace.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(schema_with = "one_or_many_schema")]
    pub namespaces: Vec<String>,
    /// Labels of their namespaces.
    #[serde(default)]
    pub namespace_selector: Option<Selector>,
    /// Labels of the pods.
    #[serde(default)]
    pub pod_selector: Option<Selector>,
    /// Pods that are not meant.
    #[serde(default)]
    pub except: Option<Peers>,
}

/// A label selector.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// Labels with these values.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default)]
    pub match_expressions: Vec<Requirement>,
}

/// A requirement of a label.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    /// Key.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// Values.
    #[serde(default)]
    pub values: Vec<String>,
}

fn one_or_many_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Wanted;
    impl<'de> Visitor<'de> for Wanted {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name or a list of names")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(name) = items.next_element()? {
                all.push(name);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Wanted)
}

impl<'de> Deserialize<'de> for PortText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl Visitor<'_> for Wanted {
            type Value = PortText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<PortText, E> {
                match u16::try_from(number) {
                    Ok(number) if number > 0 => Ok(PortText::Number(number)),
                    _ => Err(E::custom(format_args!("`{number}` is not a port: ports are 1 to 65535"))),
                }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<PortText, E> {
                Ok(PortText::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl<'de> Visitor<'de> for Wanted {
            type Value = Cell;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`allow`, `deny`, a port or a list of ports")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Cell, E> {
                Ok(Cell::One(PortText::Text("-".to_owned())))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cell, E> {
                PortText::deserialize(de::value::I64Deserializer::new(number)).map(Cell::One)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cell, E> {
                Ok(Cell::One(PortText::Text(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Cell, A::Error> {
                let mut all = Vec::new();
                while let Some(port) = items.next_element()? {
                    all.push(port);
                }
                Ok(Cell::Ports(all))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl<'de> Deserialize<'de> for Peer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl<'de> Visitor<'de> for Wanted {
            type Value = Peer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a mapping that selects pods")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Peer, E> {
                Ok(Peer::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Peer, A::Error> {
                Pods::deserialize(de::value::MapAccessDeserializer::new(map)).map(|p| Peer::Pods(Box::new(p)))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl<'de> Deserialize<'de> for Peers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl<'de> Visitor<'de> for Wanted {
            type Value = Peers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, a mapping that selects pods, or a list of them")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Peers, E> {
                Ok(Peers::One(Peer::Text(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Peers, A::Error> {
                Peer::deserialize(de::value::MapAccessDeserializer::new(map)).map(Peers::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Peers, A::Error> {
                let mut all = Vec::new();
                while let Some(peer) = items.next_element()? {
                    all.push(peer);
                }
                Ok(Peers::Many(all))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}
