//! The texts that objects were read from, for finding a place again when a diagnostic is drawn.
//!
//! Texts of manifests are kept. A large JSON dump is not: the item that a place lies in is read again from its file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::diagnostic::{Part, Place};
use super::origin::{FieldPath, Origin, Segment, SourceId};
use super::spans::{self, Node};
use super::yaml::{self, Bounds, Document};

/// A place in a source, as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The source.
    pub source: SourceId,
    /// Bytes of its text.
    pub range: Range<usize>,
    /// Line of the start, from 1.
    pub line: usize,
    /// Column of the start, in characters, from 1.
    pub column: usize,
    /// Whether the field itself was found, not only an ancestor of it.
    pub exact: bool,
}

/// A piece of a source that holds a place.
#[derive(Clone, Debug)]
pub struct Excerpt<'m> {
    /// The text.
    pub text: Cow<'m, str>,
    /// Where it starts in the source, in bytes.
    pub base: usize,
    /// The line it starts on, from 1.
    pub line: usize,
}

/// A text that was read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The path as given, or `-`; for a cluster, the name of its context.
    pub name: String,
    /// Whether it is a cluster: its objects have no text that anyone wrote.
    pub cluster: bool,
    /// How its parts are found.
    pub layout: Layout,
    /// The text itself.
    pub text: Text,
}

/// How the parts of a source are found.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// YAML, by document.
    Yaml(Vec<Document>),
    /// JSON, by document.
    Json(Vec<JsonDocument>),
}

/// A value of a JSON stream.
#[derive(Clone, Debug, Default)]
pub(super) struct JsonDocument {
    /// Its bytes.
    pub range: Range<u64>,
    /// Bytes of the items, where it is a list.
    pub items: Vec<Range<u64>>,
}

/// Where the text is.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// In memory.
    Kept(Arc<String>),
    /// In a file that is read again on demand; at some places in it, in order, how many lines end before.
    File(PathBuf, Vec<(u64, u64)>, LastRead),
    /// It can't be read again; some items were kept, by where they start.
    Items(BTreeMap<u64, Arc<str>>),
}

/// What was last read again of a file: several places of one object are looked for one after the other, and lines of the next
/// object are counted from it on.
#[derive(Clone, Debug, Default)]
pub(super) struct LastRead(Arc<Mutex<Option<Piece>>>);

/// Bytes of a file, and what stands there.
type Piece = (Range<u64>, Excerpt<'static>);

/// Items above this size are not read again: no one reads such a diagnostic.
const LARGEST_ITEM: u64 = 64 << 20;
/// Nesting that is followed when a place is looked for; deeper input is refused when it is loaded.
const DEPTH: usize = 256;

/// The texts that objects were read from.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    pub(super) sources: Vec<Source>,
}

impl SourceMap {
    /// The name of a source: the path as given, or `-` for standard input.
    pub fn name(&self, source: SourceId) -> &str {
        self.get(source).map_or("", |s| &s.name)
    }

    /// The text of a source, where it was kept.
    pub fn text(&self, source: SourceId) -> Option<&str> {
        match &self.get(source)?.text {
            Text::Kept(text) => Some(text),
            _ => None,
        }
    }

    /// Whether lines of a source can be told: of a stream that was too large to keep, only some objects are there.
    pub fn has_lines(&self, source: SourceId) -> bool {
        self.get(source).is_some_and(|s| !matches!(s.text, Text::Items(_)))
    }

    /// Whether a source is JSON.
    pub fn is_json(&self, source: SourceId) -> bool {
        self.get(source).is_some_and(|s| matches!(s.layout, Layout::Json(_)))
    }

    /// Whether a source is a cluster, whose objects are shown as YAML.
    pub fn is_cluster(&self, source: SourceId) -> bool {
        self.get(source).is_some_and(|s| s.cluster)
    }

    /// The template that Helm made an object from, where its output says so.
    pub fn template(&self, origin: Origin) -> Option<&str> {
        match &self.get(origin.source)?.layout {
            Layout::Yaml(documents) => documents.get(origin.document as usize)?.template.as_deref(),
            Layout::Json(_) => None,
        }
    }

    /// What made an object, and from which file: Helm says it in a comment of its output, Kustomize in an annotation where
    /// `buildMetadata: [originAnnotations]` asks for it.
    pub fn made_by(&self, origin: Origin) -> Option<(&'static str, String)> {
        if let Some(template) = self.template(origin) {
            return Some(("Helm", template.to_owned()));
        }
        let value = self.value(origin)?;
        let text = value.pointer("/metadata/annotations")?.get("config.kubernetes.io/origin")?.as_str()?;
        let path = text.lines().find_map(|line| line.strip_prefix("path:"))?;
        Some(("Kustomize", path.trim().to_owned()))
    }

    /// Where a place stands; the nearest ancestor of a field that doesn't exist. `None` where the text is gone.
    pub fn span(&self, place: &Place) -> Option<Span> {
        let (source, excerpt, range, exact) = match place {
            Place::Bytes { source, range } => {
                let excerpt = self.around(*source, range)?;
                let start = range.start.checked_sub(excerpt.base)?;
                let end = range.end.saturating_sub(excerpt.base).max(start);
                (*source, excerpt, start..end, true)
            }
            Place::Field { origin, path, part } => {
                let (excerpt, found) = self.find(*origin, path, *part)?;
                (origin.source, excerpt, found.range, found.exact)
            }
        };
        let before = excerpt.text.get(..range.start)?;
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Some(Span {
            source,
            line: excerpt.line + before.bytes().filter(|b| *b == b'\n').count(),
            column: before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1,
            range: range.start + excerpt.base..range.end.min(excerpt.text.len()) + excerpt.base,
            exact,
        })
    }

    /// The lines, from 1, on which entries of one object start: many of them for the price of one [`span`](Self::span).
    pub fn lines(&self, origin: Origin, paths: &[&FieldPath]) -> Vec<Option<usize>> {
        let found = || -> Option<Vec<Option<usize>>> {
            let (excerpt, range) = self.part(origin)?;
            let root = match self.get(origin.source)?.layout {
                Layout::Json(_) => spans::json(&excerpt.text, &range, DEPTH)?,
                Layout::Yaml(_) => spans::yaml(&excerpt.text, &range, DEPTH)?,
            };
            let node = match self.get(origin.source)?.layout {
                Layout::Json(_) => &root,
                Layout::Yaml(_) => root.descend(&item_path(origin)).unwrap_or(&root),
            };
            let line = |path: &&FieldPath| {
                let before = excerpt.text.get(..node.find(path, Part::Entry).range.start)?;
                Some(excerpt.line + before.bytes().filter(|b| *b == b'\n').count())
            };
            Some(paths.iter().map(line).collect())
        };
        found().unwrap_or_else(|| vec![None; paths.len()])
    }

    /// The text that holds a place: the whole source where it was kept, else the item.
    pub fn excerpt(&self, place: &Place) -> Option<Excerpt<'_>> {
        match place {
            Place::Bytes { source, range } => self.around(*source, range),
            Place::Field { origin, .. } => self.part(*origin).map(|(excerpt, _)| excerpt),
        }
    }

    /// The object as it was written, whole, with fields that were left out on loading.
    pub fn value(&self, origin: Origin) -> Option<Value> {
        let (excerpt, range) = self.part(origin)?;
        let mut value = match self.get(origin.source)?.layout {
            Layout::Json(_) => serde_json::from_str(excerpt.text.get(range)?).ok()?,
            Layout::Yaml(_) => {
                let bounds = Bounds { depth: DEPTH, nodes: usize::MAX, alias_nodes: 10_000_000 };
                let mut document = yaml::value(&excerpt.text, &range, &bounds).ok()?;
                match origin.item {
                    Some(item) => document.get_mut("items")?.get_mut(item as usize)?.take(),
                    None => document,
                }
            }
        };
        value.is_object().then(|| value.take())
    }

    /// The text of the object, cut out of its source.
    pub fn item_text(&self, origin: Origin) -> Option<String> {
        let (excerpt, range) = self.part(origin)?;
        let range = match self.get(origin.source)?.layout {
            Layout::Json(_) => range,
            Layout::Yaml(_) => spans::yaml(&excerpt.text, &range, DEPTH)?.descend(&item_path(origin))?.range.clone(),
        };
        excerpt.text.get(range).map(str::to_owned)
    }

    /// Adds a source.
    pub(super) fn push(&mut self, source: Source) -> SourceId {
        // More than 2^32 sources can't be opened: the limit is a file's size long before.
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(source);
        id
    }

    pub(super) fn get_mut(&mut self, source: SourceId) -> Option<&mut Source> {
        self.sources.get_mut(source.0 as usize)
    }

    pub(super) fn get(&self, source: SourceId) -> Option<&Source> {
        self.sources.get(source.0 as usize)
    }

    fn find(&self, origin: Origin, path: &FieldPath, part: Part) -> Option<(Excerpt<'_>, spans::Found)> {
        let (excerpt, range) = self.part(origin)?;
        let root: Node;
        let node = match self.get(origin.source)?.layout {
            Layout::Json(_) => {
                root = spans::json(&excerpt.text, &range, DEPTH)?;
                &root
            }
            Layout::Yaml(_) => {
                root = spans::yaml(&excerpt.text, &range, DEPTH)?;
                root.descend(&item_path(origin)).unwrap_or(&root)
            }
        };
        let found = node.find(path, part);
        Some((excerpt, found))
    }

    /// The text that an object stands in, and its bytes there: its document for YAML, itself for JSON.
    fn part(&self, origin: Origin) -> Option<(Excerpt<'_>, Range<usize>)> {
        let source = self.get(origin.source)?;
        let range = match &source.layout {
            Layout::Yaml(documents) => {
                let document = documents.get(origin.document as usize)?;
                document.range.start as u64..document.range.end as u64
            }
            Layout::Json(documents) => {
                let document = documents.get(origin.document as usize)?;
                let range = match origin.item {
                    Some(item) => document.items.get(item as usize)?,
                    None => &document.range,
                };
                range.clone()
            }
        };
        match &source.text {
            Text::Kept(text) => {
                let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
                Some((Excerpt { text: Cow::Borrowed(text), base: 0, line: 1 }, range))
            }
            Text::File(path, lines, last) => {
                let excerpt = last.read(path, lines, &range)?;
                let length = excerpt.text.len();
                Some((excerpt, 0..length))
            }
            Text::Items(items) => {
                let text = items.get(&range.start)?;
                // Lines before it are not known.
                let excerpt = Excerpt { text: Cow::Borrowed(text), base: usize::try_from(range.start).ok()?, line: 1 };
                Some((excerpt, 0..text.len()))
            }
        }
    }

    /// Text around some bytes of a source.
    fn around(&self, source: SourceId, range: &Range<usize>) -> Option<Excerpt<'_>> {
        match &self.get(source)?.text {
            Text::Kept(text) => Some(Excerpt { text: Cow::Borrowed(text), base: 0, line: 1 }),
            Text::File(path, lines, last) => {
                let start = (range.start as u64).saturating_sub(400);
                last.read(path, lines, &(start..range.end as u64 + 400))
            }
            Text::Items(_) => None,
        }
    }
}

/// Where an item stands in its document.
fn item_path(origin: Origin) -> FieldPath {
    match origin.item {
        Some(item) => FieldPath(vec![Segment::Key("items".into()), Segment::Index(item as usize)]),
        None => FieldPath::root(),
    }
}

impl LastRead {
    /// Bytes of the file, and the line they start on.
    fn read(&self, path: &Path, lines: &[(u64, u64)], range: &Range<u64>) -> Option<Excerpt<'static>> {
        if range.end.saturating_sub(range.start) > LARGEST_ITEM {
            return None;
        }
        let known = lines.partition_point(|(at, _)| *at <= range.start).checked_sub(1);
        let (mut at, mut before) = known.map_or((0, 0), |known| lines[known]);
        // Whoever panicked with it has left nothing half done.
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((read, excerpt)) = &*last {
            if read == range {
                return Some(excerpt.clone());
            }
            if (at..=range.start).contains(&read.start) {
                (at, before) = (read.start, excerpt.line as u64 - 1);
            }
        }
        let excerpt = read_again(path, at, before, range)?;
        *last = Some((range.clone(), excerpt.clone()));
        Some(excerpt)
    }
}

/// Bytes of a file, and the line they start on: `before` lines end before `at`, which is not behind them. Cut at characters.
fn read_again(path: &Path, mut at: u64, before: u64, range: &Range<u64>) -> Option<Excerpt<'static>> {
    let mut line = usize::try_from(before).ok()? + 1;
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut buffer = vec![0; usize::try_from(range.start - at).unwrap_or(usize::MAX).min(1 << 18)];
    while at < range.start {
        let want = usize::try_from(range.start - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read(&mut buffer[..want]).ok()?;
        if read == 0 {
            return None;
        }
        line += memchr::memchr_iter(b'\n', &buffer[..read]).count();
        at += read as u64;
    }
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(Excerpt { text: Cow::Owned(text), base: usize::try_from(range.start).ok()?, line })
}

/// Where a field stands in the YAML of one object, and whether it is the field itself, not an ancestor of it.
pub fn locate_in_yaml(text: &str, path: &FieldPath, part: Part) -> Option<(Range<usize>, bool)> {
    let found = spans::yaml(text, &(0..text.len()), DEPTH)?.find(path, part);
    Some((found.range, found.exact))
}

/// An object without what only its own controllers write: for showing it.
pub fn trimmed(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.shift_remove("status");
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            trim_metadata(metadata);
        }
    }
    value
}

fn trim_metadata(metadata: &mut Map<String, Value>) {
    for key in ["managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"] {
        metadata.shift_remove(key);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
        if annotations.is_empty() {
            metadata.shift_remove("annotations");
        }
    }
}
