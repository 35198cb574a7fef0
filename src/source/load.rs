//! Loading: paths and texts become typed objects, or all the reasons why not.
//!
//! A source is read whole or not at all, and every problem in every source is collected before anything is refused, so
//! that a user sees them together. What a field means is not known here.

mod dump;
mod page;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use self::dump::Dump;
pub use self::page::Arriving;
use super::diagnostic::{Diagnostic, Part, Severity};
use super::json::JsonError;
use super::map::{LastRead, Layout, Source, SourceMap, Text};
use super::object::{self, Parsed, TypeMeta};
use super::observe::{Content, Observed, Observer, Seen};
use super::origin::{FieldPath, Origin, SourceId};
use super::validate;
use super::wire::{Loaded, Object};
use super::yaml;

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether directories are entered below their first level.
    pub recursive: bool,
    /// Whether an object that the API server would refuse is left out with a warning instead of being an error.
    pub skip_invalid: bool,
    /// Whether a policy that the API server would refuse although its meaning is clear (a name with an underscore) is kept,
    /// with a warning, as every other kind of object is.
    pub tolerant: bool,
    /// Namespace of manifests that name none; `default` where missing.
    pub default_namespace: Option<String>,
    /// Bounds on hostile input.
    pub limits: Limits,
    /// Who else is shown the objects.
    pub observer: Option<Observer>,
    /// Whether they are shown to it alone: they are checked, and not kept.
    pub only_observed: bool,
}

/// Bounds on what is read.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one YAML source.
    pub yaml_bytes: u64,
    /// Bytes of one JSON source.
    pub json_bytes: u64,
    /// Bytes up to which JSON that can't be read again is kept, so that a place in it can be shown.
    pub kept_json_bytes: u64,
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
            kept_json_bytes: 32 << 20,
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
    /// The network plugin that a snapshot names.
    pub cni: Option<String>,
    /// The namespace that a snapshot was made for.
    pub namespace: Option<String>,
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

/// Reads several sources into one `Input`. A copy goes on from what was read so far.
#[derive(Clone, Debug)]
pub struct Loader {
    options: Options,
    input: Input,
    errors: Vec<Diagnostic>,
    /// Whether the file was found in a directory, not named.
    found: bool,
    /// Whether a cluster's answer is read.
    cluster: bool,
}

/// The largest JSON text whose unwanted parts are looked at too, in bytes: what a program wrote is larger, and well written.
const WRITTEN_BY_HAND: usize = 1 << 20;

impl Loader {
    /// A loader that has read nothing.
    pub fn new(options: Options) -> Self {
        Self { options, input: Input::default(), errors: Vec::new(), found: false, cluster: false }
    }

    /// The same, reading what comes next in another way.
    #[must_use]
    pub fn reading(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Reads a file, the files of a directory, or standard input for `-`.
    pub fn path(&mut self, path: &Path) {
        if path.as_os_str() == "-" {
            self.stream("-", io::stdin().lock(), None, None);
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

    /// Opens a cluster as a source, under the name of its context.
    pub fn cluster(&mut self, name: &str) -> SourceId {
        self.input.sources.push(Source {
            name: name.to_owned(),
            cluster: true,
            layout: Layout::Json(Vec::new()),
            text: Text::Items(BTreeMap::new()),
        })
    }

    /// The namespaces of the pods, workloads and Services that were read so far.
    pub fn namespaces(&self) -> Vec<String> {
        let mut out: Vec<String> = self
            .input
            .objects
            .iter()
            .filter_map(|loaded| match &loaded.object {
                Object::Pod(o) => Some(o.metadata.namespace.clone()),
                Object::Workload(o) => Some(o.metadata.namespace.clone()),
                Object::Service(o) => Some(o.metadata.namespace.clone()),
                _ => None,
            })
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Reads the content of a file that isn't read from disk. `found` in a directory, not named: what is no object is passed
    /// over then.
    pub fn bytes_of(&mut self, name: &str, bytes: Vec<u8>, found: bool) {
        self.found = found;
        self.bytes(name, bytes);
        self.found = false;
    }

    /// Whether an address is a pod's or a Service's that was read so far.
    pub fn has_address(&self, ip: std::net::IpAddr) -> bool {
        let is = |text: &str| text.parse::<std::net::IpAddr>().is_ok_and(|other| other == ip);
        self.input.objects.iter().any(|loaded| match &loaded.object {
            Object::Pod(pod) => is(&pod.status.pod_ip) || pod.status.pod_ips.iter().any(|p| is(&p.ip)),
            Object::Service(service) => is(&service.spec.cluster_ip) || service.spec.cluster_ips.iter().any(|t| is(t)),
            _ => false,
        })
    }

    /// How many objects were read so far: what is read after this is laid over them by an overlay.
    pub fn objects(&self) -> usize {
        self.input.objects.len()
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
        let name = path.display().to_string();
        let failed = |error: io::Error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            };
            Diagnostic::error(format!("can't read `{name}`: {why}"))
        };
        match File::open(path) {
            Ok(file) => {
                let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
                self.stream(&name, file, Some(path), length);
            }
            Err(error) => self.errors.push(failed(error)),
        }
    }

    /// A file or standard input, and its length where it is known. Large JSON is read as a stream, everything else is kept.
    fn stream(&mut self, name: &str, reader: impl Read, path: Option<&Path>, length: Option<u64>) {
        let mut reader = reader;
        let mut head = Vec::new();
        // A file can be read again: no more of it is kept than what is looked at as a whole.
        let again = length.filter(|_| path.is_some()).map(|_| WRITTEN_BY_HAND as u64);
        let kept = self.options.limits.kept_json_bytes.min(again.unwrap_or(u64::MAX));
        // Of a file that is too large to be kept no more is needed than tells that it is JSON.
        let large = length.is_some_and(|length| length > kept);
        let peek = if large { kept.min(4096) } else { kept.saturating_add(1) };
        if !large {
            head.reserve_exact(length.map_or(0, |length| length as usize + 1));
        }
        if let Err(error) = reader.by_ref().take(peek).read_to_end(&mut head) {
            self.errors.push(Diagnostic::error(format!("can't read `{name}`: {error}")));
            return;
        }
        let limits = &self.options.limits;
        if looks_like_json(&head) {
            if large || head.len() as u64 > kept {
                let text = match path {
                    Some(path) => Text::File(path.to_owned(), Vec::new(), LastRead::default()),
                    None => Text::Items(BTreeMap::new()),
                };
                self.json(name, text, head.as_slice().chain(reader));
            } else {
                self.bytes(name, head);
            }
            return;
        }
        let limit = limits.yaml_bytes;
        let more = limit.saturating_add(1).saturating_sub(head.len() as u64);
        if head.len() as u64 == peek
            && let Err(error) = reader.take(more).read_to_end(&mut head)
        {
            self.errors.push(Diagnostic::error(format!("can't read `{name}`: {error}")));
            return;
        }
        self.bytes(name, head);
    }

    fn bytes(&mut self, name: &str, bytes: Vec<u8>) {
        let json = looks_like_json(&bytes);
        let limit = if json { self.options.limits.json_bytes } else { self.options.limits.yaml_bytes };
        if bytes.len() as u64 > limit {
            self.errors.push(too_large(name, limit, json));
            return;
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
                self.errors.push(Diagnostic::error(format!("`{name}` is not UTF-8 text: see line {line}, byte {at}")));
                return;
            }
        };
        if json {
            let text = Arc::new(text);
            self.json(name, Text::Kept(text.clone()), text.as_bytes());
        } else {
            self.yaml(name, Arc::new(text));
        }
    }

    fn json(&mut self, name: &str, text: Text, reader: impl Read) {
        let keep_items = matches!(text, Text::Items(_));
        let whole = matches!(&text, Text::Kept(text) if text.len() <= WRITTEN_BY_HAND);
        let source = self.input.sources.push(Source {
            name: name.to_owned(),
            cluster: false,
            layout: Layout::Json(Vec::new()),
            text,
        });
        let mut dump = Dump::new(source, keep_items, whole);
        let result = dump.cut(self, reader, 0);
        if let Some(source) = self.input.sources.get_mut(source) {
            source.layout = Layout::Json(dump.documents);
            match &mut source.text {
                Text::Items(kept) => *kept = dump.kept,
                Text::File(_, lines, _) => *lines = dump.lines,
                Text::Kept(_) => {}
            }
        }
        match result {
            Ok(()) => {}
            Err(JsonError::Io(error)) => {
                self.errors.push(Diagnostic::error(format!("can't read `{name}`: {error}")));
            }
            Err(JsonError::TooLarge(limit)) => self.errors.push(too_large(name, limit, true)),
            Err(JsonError::Syntax(message, at)) => self.errors.push(json_diagnostic(source, &message, at)),
        }
    }

    fn yaml(&mut self, name: &str, text: Arc<String>) {
        let (documents, wrong) = yaml::documents(&text);
        let source = self.input.sources.push(Source {
            name: name.to_owned(),
            cluster: false,
            layout: Layout::Yaml(documents.clone()),
            text: Text::Kept(text.clone()),
        });
        self.errors.extend(wrong.into_iter().map(|error| yaml_diagnostic(source, error)));
        let limits = &self.options.limits;
        if documents.len() > limits.documents {
            let message = format!("`{name}` has more than {} documents", limits.documents);
            self.errors.push(Diagnostic::error(message));
            return;
        }
        let bounds = yaml::Bounds { depth: limits.depth, nodes: limits.nodes, alias_nodes: limits.alias_nodes };
        let mut secrets = Vec::new();
        let found = self.found;
        let observer = self.options.observer.clone();
        let read = |(number, document): (usize, &yaml::Document)| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let origin = Origin { source, document: number, item: None };
            yaml::value(&text, &document.range, &bounds)
                .map(|value| read_document(origin, &value, found, observer.as_ref()))
        };
        for (batch, documents) in documents.chunks(YAML_BATCH).enumerate() {
            let first = batch * YAML_BATCH;
            let results: Vec<_> = if documents.len() < YAML_BATCH / 8 {
                documents.iter().enumerate().map(|(n, document)| read((first + n, document))).collect()
            } else {
                documents.par_iter().enumerate().map(|(n, document)| read((first + n, document))).collect()
            };
            for (document, result) in documents.iter().zip(results) {
                match result {
                    Ok(Outcome { secret, objects }) => {
                        if secret {
                            secrets.push(document.range.clone());
                        }
                        for (origin, parsed) in objects {
                            self.apply(origin, parsed);
                        }
                    }
                    Err(error) => {
                        if text[document.range.clone()].lines().any(|line| line.trim_end() == "kind: Secret") {
                            secrets.push(document.range.clone());
                        }
                        self.errors.push(yaml_diagnostic(source, error));
                    }
                }
            }
        }
        if !secrets.is_empty()
            && let Some(source) = self.input.sources.get_mut(source)
        {
            source.text = Text::Kept(without_secrets(&text, &secrets).into());
        }
    }

    /// Takes over what an object turned out to be.
    fn apply(&mut self, origin: Origin, parsed: Parsed) {
        let Parsed { object, skipped, mut diagnostics } = parsed;
        let decides =
            object.as_ref().is_some_and(|(kind, _)| kind.is_policy() || *kind == super::kind::Kind::Namespace);
        if self.options.tolerant || self.cluster || !decides {
            for diagnostic in &mut diagnostics {
                if diagnostic.code == Some(validate::CLEAR) {
                    diagnostic.severity = Severity::Warning;
                }
            }
        }
        let refused = diagnostics.iter().any(|d| d.severity == Severity::Error);
        for mut diagnostic in diagnostics {
            if diagnostic.severity != Severity::Error {
                self.input.warnings.push(diagnostic);
            } else if self.options.skip_invalid || self.cluster {
                diagnostic.severity = Severity::Warning;
                let flag = if self.cluster { "" } else { " (`--skip-invalid`)" };
                self.input.warnings.push(diagnostic.note(format!("the object is left out{flag}")));
            } else {
                self.errors.push(diagnostic);
            }
        }
        if let Some(kind) = skipped {
            match self.input.skipped.get_mut(kind.as_str()) {
                Some(count) => *count += 1,
                None => {
                    self.input.skipped.insert(kind.to_string(), 1);
                }
            }
        }
        let Some((kind, mut object)) = object.filter(|_| !refused && !self.options.only_observed) else { return };
        let metadata = object::metadata_mut(&mut object);
        if !kind.decides() {
            // Nothing is decided by them, and a hundred thousand pods carry what was applied to them once more in there.
            metadata.annotations.clear();
        }
        if !kind.namespaced() {
            // As the API server does for a kind that lives in no namespace.
            metadata.namespace.clear();
        } else if metadata.namespace.is_empty() {
            metadata.namespace = self.options.default_namespace.clone().unwrap_or_else(|| "default".to_owned());
        }
        self.input.objects.push(Loaded { object, origin });
    }
}

/// What a YAML document turned out to be.
struct Outcome {
    /// Whether it holds a Secret.
    secret: bool,
    objects: Vec<(Origin, Parsed)>,
}

/// Shows an object to the observer in its turn, where there is one.
fn show(observer: Option<&Observer>, type_meta: &TypeMeta, content: Content<'_>, seen: Option<Seen>) {
    if let Some(Observer(observer)) = observer {
        observer.take(&observed(type_meta, content), seen);
    }
}

/// An object as the observer is shown it.
fn observed<'a>(type_meta: &'a TypeMeta, content: Content<'a>) -> Observed<'a> {
    let kind = type_meta.kind.as_deref().unwrap_or_default();
    let api_version = type_meta.api_version.as_deref().unwrap_or_default();
    Observed { kind, api_version, content }
}

/// A document: an object, or a `List` of them. `found` in a directory, not named.
fn read_document(origin: Origin, value: &Value, found: bool, observer: Option<&Observer>) -> Outcome {
    let type_meta = TypeMeta::of(value);
    let is_secret = |type_meta: &TypeMeta| type_meta.kind.as_deref() == Some("Secret");
    let mut secret = false;
    let objects = match (&type_meta.kind, value.get("items")) {
        _ if value.is_null() => Vec::new(),
        (Some(kind), Some(Value::Array(items))) if kind.ends_with("List") => (0..)
            .zip(items)
            .map(|(index, item)| {
                let item_meta = TypeMeta::of(item).or_item_of(type_meta.api_version.as_deref(), Some(kind));
                secret |= is_secret(&item_meta);
                let origin = Origin { item: Some(index), ..origin };
                show(observer, &item_meta, Content::Value(item), None);
                (origin, object::from_value(origin, &item_meta, item))
            })
            .collect(),
        // A directory holds other things too, such as Helm values; a file that is named is meant.
        _ if found && type_meta == TypeMeta::default() => {
            vec![(origin, Parsed { diagnostics: vec![not_an_object(origin)], ..Parsed::default() })]
        }
        _ => {
            secret = is_secret(&type_meta);
            show(observer, &type_meta, Content::Value(value), None);
            vec![(origin, object::from_value(origin, &type_meta, value))]
        }
    };
    Outcome { secret, objects }
}

/// YAML documents that are read side by side.
const YAML_BATCH: usize = 512;

/// As kubectl guesses it: the first thing that is not blank is a brace. A list can't be an object in either language.
fn looks_like_json(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    matches!(bytes.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'['))
}

fn too_large(name: &str, limit: u64, json: bool) -> Diagnostic {
    let error = Diagnostic::error(format!("`{name}` is larger than {} MiB", limit >> 20));
    if json { error } else { error.help("JSON may be larger: `kubectl get -o json`") }
}

fn not_an_object(origin: Origin) -> Diagnostic {
    Diagnostic::warning("passed over: neither `apiVersion` nor `kind`, so not a Kubernetes object").at(
        origin,
        FieldPath::root(),
        Part::Value,
        String::new(),
    )
}

fn json_diagnostic(source: SourceId, message: &str, at: u64) -> Diagnostic {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    Diagnostic::error(format!("invalid JSON: {message}")).at_bytes(source, at..at.saturating_add(1), String::new())
}

/// The text with every character of some documents blanked out, each line as long as before.
fn without_secrets(text: &str, documents: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for document in documents {
        let mut value = false;
        for byte in &mut bytes[document.clone()] {
            match *byte {
                b'\n' => value = false,
                b':' if !value => value = true,
                b'\r' | b' ' => {}
                _ if value => *byte = b'*',
                _ => {}
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
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
        |error: io::Error| Diagnostic::error(format!("can't read directory `{}`: {error}", directory.display()));
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
