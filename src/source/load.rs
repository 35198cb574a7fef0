//! Loading: paths and texts become typed objects, or all the reasons why not.
//!
//! A source is read whole or not at all, and every problem in every source is collected before anything is refused, so
//! that a user sees them together. What a field means is not known here.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::diagnostic::{Diagnostic, Part, Severity};
use super::kind::{self, Kind};
use super::map::{Layout, Source, SourceMap};
use super::origin::{FieldPath, Origin, SourceId};
use super::wire::{Loaded, Metadata, Object};
use super::yaml;

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether directories are entered below their first level.
    pub recursive: bool,
    /// Whether an object that the API server would refuse is left out with a warning instead of being an error.
    pub skip_invalid: bool,
    /// Namespace of manifests that name none; `default` where missing.
    pub default_namespace: Option<String>,
    /// Bounds on hostile input.
    pub limits: Limits,
}

/// Bounds on what is read.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one YAML source.
    pub yaml_bytes: u64,
    /// Bytes of one JSON source.
    pub json_bytes: u64,
    /// Documents of one YAML source.
    pub documents: usize,
    /// Nesting of one document.
    pub depth: usize,
    /// Values of one YAML document, aliased ones counted each time.
    pub nodes: usize,
    /// Values of one YAML document that come from aliases.
    pub alias_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            yaml_bytes: 256 << 20,
            json_bytes: 8 << 30,
            documents: 200_000,
            depth: 100,
            nodes: 20_000_000,
            alias_nodes: 1_000_000,
        }
    }
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Objects that take part, in the order of the sources.
    pub objects: Vec<Loaded>,
    /// Their texts.
    pub sources: SourceMap,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Kinds that take no part, and how many objects of each were passed over.
    pub skipped: BTreeMap<String, usize>,
}

/// Why nothing was read: every error that was found, with the texts to draw them.
#[derive(Clone, Debug)]
pub struct LoadError {
    /// Errors, and the warnings found on the way.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts.
    pub sources: SourceMap,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut errors = self.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        match errors.next() {
            Some(first) => f.write_str(&first.message)?,
            None => f.write_str("the input can't be read")?,
        }
        match errors.count() {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Reads files, directories and `-`.
pub fn load_paths(paths: &[PathBuf], options: &Options) -> Result<Input, LoadError> {
    let mut loader = Loader::new(options.clone());
    for path in paths {
        loader.path(path);
    }
    loader.finish()
}

/// Reads a text, YAML or JSON, under a name for messages.
pub fn load_text(name: &str, text: &str, options: &Options) -> Result<Input, LoadError> {
    let mut loader = Loader::new(options.clone());
    loader.text(name, text);
    loader.finish()
}

/// Reads several sources into one `Input`.
#[derive(Debug)]
pub struct Loader {
    options: Options,
    input: Input,
    errors: Vec<Diagnostic>,
    /// Whether the file was found in a directory, not named.
    found: bool,
}

impl Loader {
    /// A loader that has read nothing.
    pub fn new(options: Options) -> Self {
        Self { options, input: Input::default(), errors: Vec::new(), found: false }
    }

    /// Reads a file, the files of a directory, or standard input for `-`.
    pub fn path(&mut self, path: &Path) {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            match std::io::stdin().lock().read_to_end(&mut bytes) {
                Ok(_) => self.bytes("-", bytes),
                Err(error) => self.errors.push(Diagnostic::error(format!("can't read standard input: {error}"))),
            }
        } else if path.is_dir() {
            self.directory(path);
        } else {
            self.file(path);
        }
    }

    /// Reads a text under a name for messages.
    pub fn text(&mut self, name: &str, text: &str) {
        self.bytes(name, text.as_bytes().to_vec());
    }

    /// What was read, or all the reasons why not.
    pub fn finish(self) -> Result<Input, LoadError> {
        if self.errors.is_empty() {
            return Ok(self.input);
        }
        let mut diagnostics = self.errors;
        diagnostics.extend(self.input.warnings);
        Err(LoadError { diagnostics, sources: self.input.sources })
    }

    fn directory(&mut self, path: &Path) {
        let mut files = Vec::new();
        if let Err(error) = collect(path, self.options.recursive, &mut files) {
            self.errors.push(error);
            return;
        }
        if files.is_empty() {
            let mut error =
                Diagnostic::error(format!("no .yaml, .yml or .json file in directory `{}`", path.display()));
            if !self.options.recursive {
                error = error.help("with `-R`, the directories in it are read as well");
            }
            self.errors.push(error);
        }
        self.found = true;
        for file in files {
            self.file(&file);
        }
        self.found = false;
    }

    fn file(&mut self, path: &Path) {
        match std::fs::read(path) {
            Ok(bytes) => self.bytes(&path.display().to_string(), bytes),
            Err(error) => {
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                    std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                    _ => error.to_string(),
                };
                self.errors.push(Diagnostic::error(format!("can't read `{}`: {why}", path.display())));
            }
        }
    }

    fn bytes(&mut self, name: &str, bytes: Vec<u8>) {
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
                self.errors.push(Diagnostic::error(format!("`{name}` is not UTF-8 text: line {line}, byte {at}")));
                return;
            }
        };
        if text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) {
            self.json(name, text.into());
        } else {
            self.yaml(name, text.into());
        }
    }

    fn json(&mut self, name: &str, text: Arc<str>) {
        let source =
            self.input.sources.push(Source { name: name.to_owned(), layout: Layout::Json, text: text.clone() });
        match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
            Ok(value) => self.document(Origin { source, document: 0, item: None }, value),
            Err(error) => self.errors.push(Diagnostic::error(error.to_string()).at_bytes(source, 0..0, String::new())),
        }
    }

    fn yaml(&mut self, name: &str, text: Arc<str>) {
        let documents = yaml::documents(&text);
        let source = self.input.sources.push(Source {
            name: name.to_owned(),
            layout: Layout::Yaml(documents.clone()),
            text: text.clone(),
        });
        let limits = &self.options.limits;
        let bounds = yaml::Bounds { depth: limits.depth, nodes: limits.nodes, alias_nodes: limits.alias_nodes };
        for (number, document) in documents.iter().enumerate() {
            match yaml::value(&text, &document.range, &bounds) {
                Ok(Value::Null) => {}
                Ok(value) => {
                    let document = u32::try_from(number).unwrap_or(u32::MAX);
                    self.document(Origin { source, document, item: None }, value);
                }
                Err(error) => self.errors.push(yaml_diagnostic(source, error)),
            }
        }
    }

    /// A document: an object, or a `List` of them.
    fn document(&mut self, origin: Origin, mut value: Value) {
        let kind = string(&value, "kind").unwrap_or_default().to_owned();
        if kind.ends_with("List")
            && let Some(Value::Array(items)) = value.get_mut("items").map(Value::take)
        {
            let item_kind = kind.strip_suffix("List").unwrap_or_default().to_owned();
            let version = string(&value, "apiVersion").unwrap_or_default().to_owned();
            for (index, mut item) in items.into_iter().enumerate() {
                if !item_kind.is_empty()
                    && let Some(map) = item.as_object_mut()
                {
                    map.entry("kind").or_insert_with(|| item_kind.clone().into());
                    map.entry("apiVersion").or_insert_with(|| version.clone().into());
                }
                let item_origin = Origin { item: u32::try_from(index).ok(), ..origin };
                self.object(item_origin, &item);
            }
        } else {
            self.object(origin, &value);
        }
    }

    fn object(&mut self, origin: Origin, value: &Value) {
        let Some((version, name)) = self.type_meta(origin, value) else { return };
        let kind = match kind::classify(&version, &name) {
            Ok(kind) => kind,
            Err(message) => {
                let mut error =
                    Diagnostic::error(message).at(origin, FieldPath::keys("apiVersion"), Part::Value, String::new());
                if let Some(expected) = kind::expected_version(&name) {
                    error = error.help(format!("a {name} is `apiVersion: {expected}`"));
                }
                self.errors.push(error);
                return;
            }
        };
        match kind::deserialize(kind, value) {
            Ok(Some(object)) => self.keep(origin, kind, object),
            Ok(None) => *self.input.skipped.entry(name).or_default() += 1,
            Err(error) => self.errors.push(Diagnostic::error(error.to_string()).at(
                origin,
                FieldPath::root(),
                Part::Entry,
                String::new(),
            )),
        }
    }

    /// `apiVersion` and `kind`, which kubectl asks for before anything else.
    fn type_meta(&mut self, origin: Origin, value: &Value) -> Option<(String, String)> {
        if self.found && value.get("apiVersion").is_none() && value.get("kind").is_none() {
            // A directory holds other things too, such as Helm values; a file that is named is meant.
            self.input.warnings.push(
                Diagnostic::warning("passed over: neither `apiVersion` nor `kind`, so not a Kubernetes object").at(
                    origin,
                    FieldPath::root(),
                    Part::Value,
                    String::new(),
                ),
            );
            return None;
        }
        if !value.is_object() {
            self.errors.push(
                Diagnostic::error("expected a Kubernetes object, a mapping with `apiVersion` and `kind`").at(
                    origin,
                    FieldPath::root(),
                    Part::Value,
                    String::new(),
                ),
            );
            return None;
        }
        let (version, kind) = (string(value, "apiVersion"), string(value, "kind"));
        match (version, kind) {
            (Some(version), Some(kind)) => Some((version.to_owned(), kind.to_owned())),
            (version, kind) => {
                for (missing, field) in [(kind.is_none(), "kind"), (version.is_none(), "apiVersion")] {
                    if missing {
                        self.errors.push(Diagnostic::error(format!("Object '{field}' is missing")).at(
                            origin,
                            FieldPath::keys(field),
                            Part::Entry,
                            String::new(),
                        ));
                    }
                }
                None
            }
        }
    }

    fn keep(&mut self, origin: Origin, kind: Kind, mut object: Object) {
        if kind.namespaced()
            && let Some(metadata) = metadata_mut(&mut object)
            && metadata.namespace.is_empty()
        {
            metadata.namespace = self.options.default_namespace.clone().unwrap_or_else(|| "default".to_owned());
        }
        self.input.objects.push(Loaded { object, origin });
    }
}

fn string<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str).filter(|s| !s.is_empty())
}

fn metadata_mut(object: &mut Object) -> Option<&mut Metadata> {
    Some(match object {
        Object::Namespace(o) => &mut o.metadata,
        Object::Node(o) => &mut o.metadata,
        Object::Pod(o) => &mut o.metadata,
        Object::Workload(o) => &mut o.metadata,
        Object::Service(o) => &mut o.metadata,
        Object::EndpointSlice(o) => &mut o.metadata,
        Object::Endpoints(o) => &mut o.metadata,
        Object::NetworkPolicy(o) => &mut o.metadata,
        Object::ClusterNetworkPolicy(o) => &mut o.metadata,
        Object::AdminNetworkPolicy(o) | Object::BaselineAdminNetworkPolicy(o) => &mut o.metadata,
        Object::ForeignPolicy(o) => &mut o.metadata,
    })
}

fn yaml_diagnostic(source: SourceId, error: yaml::YamlError) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(error.message).at_bytes(source, error.range, String::new());
    if let Some((range, text)) = error.other {
        diagnostic = diagnostic.at_bytes(source, range, text);
        if let Some(label) = diagnostic.labels.last_mut() {
            label.primary = false;
        }
    }
    if let Some(help) = error.help {
        diagnostic = diagnostic.help(help);
    }
    diagnostic
}

/// The manifest files of a directory, sorted by path.
fn collect(directory: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> Result<(), Diagnostic> {
    let failed =
        |error: std::io::Error| Diagnostic::error(format!("can't read directory `{}`: {error}", directory.display()));
    let mut entries = std::fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>())
        .map_err(failed)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            // A link to a directory may lead back up; kubectl does not follow it either.
            if recursive && !entry.is_symlink() {
                collect(&entry, recursive, files)?;
            }
        } else if matches!(entry.extension().and_then(|e| e.to_str()), Some("yaml" | "yml" | "json")) {
            files.push(entry);
        }
    }
    Ok(())
}
