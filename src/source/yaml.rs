//! YAML as kubectl reads it: a text becomes documents, a document becomes a JSON value.
//!
//! Documents are cut at `---` lines first, as kubectl does, so that a broken one does not take the others with it and
//! a position can be found again by parsing one document. Scalars are read by `scalar`. Anchors, aliases and merge
//! keys are resolved under a budget of nodes; a key that occurs twice is an error that names both places.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

use super::scalar;

/// Bounds on what one document may unfold to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nesting of mappings and sequences.
    pub depth: usize,
    /// Nodes, aliased ones counted each time.
    pub nodes: usize,
    /// Nodes that come from aliases.
    pub alias_nodes: usize,
}

/// One document of a text: where its content lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Bytes between its separators.
    pub range: Range<usize>,
    /// The template that Helm made it from (`# Source: chart/templates/x.yaml`).
    pub template: Option<Box<str>>,
}

/// What is wrong with a document, and where, as bytes of the whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// One line.
    pub message: String,
    /// The place.
    pub range: Range<usize>,
    /// An earlier place that matters, with a word about it.
    pub other: Option<(Range<usize>, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl YamlError {
    fn new(message: impl Into<String>, range: Range<usize>) -> Self {
        Self { message: message.into(), range, other: None, help: None }
    }
}

/// Cuts a text at its `---` lines. Documents without content (blank, comments, directives) are left out, but a
/// `# Source:` comment above a separator belongs to what follows.
pub fn documents(text: &str) -> (Vec<Document>, Vec<YamlError>) {
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    let mut start = usize::from(text.starts_with('\u{feff}')) * '\u{feff}'.len_utf8();
    let mut at = start;
    let mut content = false;
    let mut directive = false;
    let mut template: Option<&str> = None;
    for line in text[start..].split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            if content {
                found.push(Document { range: start..at, template: template.take().map(Into::into) });
            }
            (content, directive) = (false, false);
            start = at + 3;
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                let mut error =
                    YamlError::new(format!("invalid YAML document separator: {rest}"), at..at + line.trim_end().len());
                error.help = Some("a `---` line holds nothing else but a comment".to_owned());
                wrong.push(error);
                start = at + line.len();
            }
        } else {
            let trimmed = line.trim();
            if let Some(comment) = trimmed.strip_prefix('#') {
                if !content && let Some(path) = comment.trim_start().strip_prefix("Source:") {
                    template = Some(path.trim());
                }
            } else if !content && line.starts_with('%') {
                directive = true;
            } else if !trimmed.is_empty() {
                // Directives only make sense to the parser together with a separator, and change nothing here.
                if !content && directive {
                    start = at;
                }
                content = true;
            }
        }
        at += line.len();
    }
    if content {
        found.push(Document { range: start..text.len(), template: template.map(Into::into) });
    }
    (found, wrong)
}

/// An open mapping or sequence.
enum Open {
    Sequence { anchor: usize, items: Vec<Value>, nodes: usize },
    Mapping { anchor: usize, entries: Entries, nodes: usize },
}

/// A mapping being read.
#[derive(Default)]
struct Entries {
    map: Map<String, Value>,
    /// Where each key of `map` stands, in its order; empty for one that a merge brought.
    places: Vec<Range<usize>>,
    /// The key that waits for its value.
    key: Option<Key>,
}

enum Key {
    Plain(String, Range<usize>),
    Merge(Range<usize>),
}

/// Reads one document of `text`.
pub fn value(text: &str, document: &Range<usize>, bounds: &Bounds) -> Result<Value, YamlError> {
    let part = text.get(document.clone()).unwrap_or_default();
    Builder { text, offset: document.start, bounds, open: Vec::new(), anchors: HashMap::new(), nodes: 0, aliased: 0 }
        .run(part)
}

/// Parser settings, shared with the search for places so that both see the same events.
pub fn parser_options(depth: usize) -> granit_parser::Options {
    granit_parser::options! {
        block_nesting_limit: depth.saturating_add(1),
        flow_nesting_limit: depth.saturating_add(1),
        emit_comments: false,
    }
}

struct Builder<'t> {
    text: &'t str,
    offset: usize,
    bounds: &'t Bounds,
    open: Vec<Open>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
    aliased: usize,
}

impl Builder<'_> {
    fn run(mut self, part: &str) -> Result<Value, YamlError> {
        let mut parser = Parser::new_from_str_with_options(part, parser_options(self.bounds.depth));
        let mut root = None;
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.scan_error(part, &error))?;
            let range = self.range(&span);
            let done = match event {
                Event::DocumentStart(..) if root.is_some() => {
                    let mut error = YamlError::new("content after the end of a document (`...`)", range);
                    error.help = Some("kubectl passes over it without a word: start it with a `---` line".to_owned());
                    return Err(error);
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.count(1, &range)?;
                    if self.wants_key() {
                        let key = self.key(&text, style, tag.is_some(), range.clone())?;
                        if anchor != 0 {
                            self.anchors.insert(anchor, (Value::String(text.into_owned()), 1));
                        }
                        self.begin_entry(key);
                        continue;
                    }
                    let tag = tag.as_deref().map(|t| t.core_suffix().unwrap_or("!").to_owned());
                    let value = scalar_value(&text, style, tag.as_deref())
                        .map_err(|message| YamlError::new(message, range.clone()))?;
                    if anchor != 0 {
                        self.anchors.insert(anchor, (value.clone(), 1));
                    }
                    Some((value, 1))
                }
                Event::Alias(id) => {
                    let Some((_, nodes)) = self.anchors.get(&id) else {
                        return Err(YamlError::new("an alias stands inside the node that it names", range));
                    };
                    let nodes = *nodes;
                    self.aliased = self.aliased.saturating_add(nodes);
                    if self.aliased > self.bounds.alias_nodes {
                        return Err(YamlError::new("the aliases of this document unfold to too much", range));
                    }
                    self.count(nodes, &range)?;
                    let value = self.anchors.get(&id).map_or(Value::Null, |(v, _)| v.clone());
                    if self.wants_key() {
                        let key = match value {
                            Value::String(key) => key,
                            Value::Bool(value) => value.to_string(),
                            Value::Number(number) => number.to_string(),
                            _ => return Err(YamlError::new("a mapping key must be a string", range)),
                        };
                        self.begin_entry(Key::Plain(key, range));
                        continue;
                    }
                    Some((value, nodes))
                }
                Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _) if self.wants_key() => {
                    let _ = anchor;
                    return Err(YamlError::new("a mapping key must be a string", range.start..range.start));
                }
                Event::SequenceStart(_, anchor, _) => {
                    self.enter(Open::Sequence { anchor, items: Vec::new(), nodes: 1 }, &range)?;
                    None
                }
                Event::MappingStart(_, anchor, _) => {
                    self.enter(Open::Mapping { anchor, entries: Entries::default(), nodes: 1 }, &range)?;
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                    Some(Open::Sequence { anchor, items, nodes }) => {
                        Some(self.close(anchor, Value::Array(items), nodes))
                    }
                    Some(Open::Mapping { anchor, entries, nodes }) => {
                        Some(self.close(anchor, Value::Object(entries.map), nodes))
                    }
                    None => None,
                },
                _ => None,
            };
            if let Some((value, nodes)) = done {
                match self.open.last_mut() {
                    None => root = Some(value),
                    Some(Open::Sequence { items, nodes: total, .. }) => {
                        *total += nodes;
                        items.push(value);
                    }
                    Some(Open::Mapping { entries, nodes: total, .. }) => {
                        *total += nodes;
                        entries.finish(value)?;
                    }
                }
            }
        }
        Ok(root.unwrap_or(Value::Null))
    }

    fn close(&mut self, anchor: usize, value: Value, nodes: usize) -> (Value, usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), nodes));
        }
        (value, nodes)
    }

    fn enter(&mut self, open: Open, range: &Range<usize>) -> Result<(), YamlError> {
        self.count(1, range)?;
        if self.open.len() >= self.bounds.depth {
            let message = format!("nested more than {} levels deep", self.bounds.depth);
            return Err(YamlError::new(message, range.start..range.start));
        }
        self.open.push(open);
        Ok(())
    }

    fn count(&mut self, nodes: usize, range: &Range<usize>) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.bounds.nodes {
            let message = format!("a document of more than {} values", self.bounds.nodes);
            return Err(YamlError::new(message, range.clone()));
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping { entries, .. }) if entries.key.is_none())
    }

    fn key(&self, text: &str, style: ScalarStyle, tagged: bool, range: Range<usize>) -> Result<Key, YamlError> {
        if style != ScalarStyle::Plain || tagged {
            return Ok(Key::Plain(text.to_owned(), range));
        }
        if text == "<<" {
            return Ok(Key::Merge(range));
        }
        match scalar::plain_key(text) {
            Some(key) => Ok(Key::Plain(key, range)),
            None => Err(YamlError::new("a mapping key must be a string", range)),
        }
    }

    fn begin_entry(&mut self, key: Key) {
        if let Some(Open::Mapping { entries, .. }) = self.open.last_mut() {
            entries.key = Some(key);
        }
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let range = span.byte_range().unwrap_or(0..0);
        range.start + self.offset..range.end.max(range.start) + self.offset
    }

    fn scan_error(&self, part: &str, error: &granit_parser::ScanError) -> YamlError {
        let at = error.marker().byte_offset().unwrap_or(part.len()).min(part.len());
        let mut start = at;
        while !part.is_char_boundary(start) {
            start -= 1;
        }
        // The end of a line is no place to point at: use the last thing before it.
        let line_end = part[start..].find('\n').map_or(part.len(), |n| start + n);
        let end = part[start..line_end].chars().next().map_or(start, |c| start + c.len_utf8());
        let range = self.offset + start..self.offset + end;
        let mut out = YamlError::new(error.info(), range);
        let line = self.text[..out.range.start].rfind('\n').map_or(0, |n| n + 1);
        let lead = self.text[line..].lines().next().unwrap_or_default();
        if lead.trim_start_matches(' ').starts_with('\t') {
            out.message = "found a tab character where indentation is expected".to_owned();
            let tab = line + (lead.len() - lead.trim_start_matches(' ').len());
            out.range = tab..tab + 1;
            out.help = Some("YAML is indented with spaces only".to_owned());
        }
        out
    }
}

impl Entries {
    fn finish(&mut self, value: Value) -> Result<(), YamlError> {
        match self.key.take() {
            Some(Key::Plain(key, range)) => {
                if !self.map.contains_key(&key) {
                    self.map.insert(key, value);
                    self.places.push(range);
                    return Ok(());
                }
                let index = self.map.keys().position(|other| *other == key).unwrap_or(self.map.len());
                if let Some(place) = self.places.get_mut(index)
                    && place.start == place.end
                {
                    *place = range;
                } else {
                    let mut error = YamlError::new(format!("key `{key}` is already set in this mapping"), range);
                    error.other = self.places.get(index).map(|first| (first.clone(), "first set here".to_owned()));
                    error.help = Some("remove one of them, or merge both into one".to_owned());
                    return Err(error);
                }
                self.map.insert(key, value);
            }
            Some(Key::Merge(range)) => {
                let sources = match value {
                    Value::Object(map) => vec![map],
                    Value::Array(items) => items
                        .into_iter()
                        .map(|item| match item {
                            Value::Object(map) => Ok(map),
                            _ => Err(YamlError::new("a merge key `<<` takes mappings", range.clone())),
                        })
                        .collect::<Result<_, _>>()?,
                    _ => return Err(YamlError::new("a merge key `<<` takes a mapping or a list of mappings", range)),
                };
                // kubectl's parser takes what a merge brings over what stands above it, and the first of several
                // mappings over the later ones.
                for source in sources.into_iter().rev() {
                    self.map.extend(source);
                }
                self.places.resize(self.map.len(), 0..0);
            }
            None => {}
        }
        Ok(())
    }
}

/// A scalar in value position; an error names what JSON can't hold.
fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Value, String> {
    match tag {
        Some("str" | "binary" | "!") => Ok(Value::String(text.to_owned())),
        Some("null") => Ok(Value::Null),
        Some(kind @ ("bool" | "int" | "float")) => {
            let value = scalar::plain(text);
            match (kind, &value) {
                ("bool", Some(Value::Bool(_))) | ("int" | "float", Some(Value::Number(_))) => {
                    Ok(value.unwrap_or_default())
                }
                _ => Err(format!("cannot decode `{text}` as a !!{kind}")),
            }
        }
        _ if style != ScalarStyle::Plain => Ok(Value::String(text.to_owned())),
        _ => scalar::plain(text).ok_or_else(|| format!("`{text}` has no counterpart in JSON")),
    }
}
