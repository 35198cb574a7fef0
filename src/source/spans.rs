//! Where each field of a document stands in its text.
//!
//! A tree of byte ranges is built from the text of one document, YAML or JSON, when a diagnostic is drawn, and thrown
//! away afterwards. What the values mean is not known here.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle};

use super::diagnostic::Part;
use super::origin::{FieldPath, Segment};
use super::{scalar, yaml};

/// A value in the text.
#[derive(Debug)]
pub struct Node {
    /// Its bytes, without trailing blanks.
    pub range: Range<usize>,
    children: Children,
}

#[derive(Debug)]
enum Children {
    None,
    Entries(Vec<(String, Range<usize>, Node)>),
    Items(Vec<Node>),
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Whether the path itself was found, not only an ancestor.
    pub exact: bool,
}

impl Node {
    fn step(&self, segment: &Segment) -> Option<(Option<&Range<usize>>, &Self)> {
        match (&self.children, segment) {
            // Where JSON has a key twice, the last one counts.
            (Children::Entries(entries), Segment::Key(key)) => {
                entries.iter().rev().find(|(name, ..)| **name == **key).map(|(_, at, node)| (Some(at), node))
            }
            (Children::Items(items), Segment::Index(index)) => items.get(*index).map(|node| (None, node)),
            _ => None,
        }
    }

    /// The node at the end of a path.
    pub fn descend(&self, path: &FieldPath) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, segment| node.step(segment).map(|(_, node)| node))
    }

    /// The place of a field, or of its nearest ancestor that exists.
    pub fn find(&self, path: &FieldPath, part: Part) -> Found {
        let mut node = self;
        let mut key: Option<&Range<usize>> = None;
        let mut exact = true;
        for segment in &path.0 {
            match node.step(segment) {
                Some((at, next)) => (key, node) = (at, next),
                None => {
                    exact = false;
                    break;
                }
            }
        }
        let part = if exact { part } else { Part::Key };
        let range = match (part, key) {
            (Part::Key, Some(key)) => key.clone(),
            (Part::Entry, Some(key)) => key.start..node.range.end.max(key.end),
            (Part::Value, Some(key)) if node.range.is_empty() => key.clone(),
            _ => node.range.clone(),
        };
        Found { range, exact }
    }
}

/// A collection being read: its node, the key that waits for its value, whether it is in flow style.
type Open = (Node, Option<(String, Range<usize>)>, bool);

/// The tree of a YAML document; `None` where it doesn't parse.
pub fn yaml(text: &str, document: &Range<usize>, depth: usize) -> Option<Node> {
    let part = text.get(document.clone())?;
    let mut parser = Parser::new_from_str_with_options(part, yaml::parser_options(depth));
    let mut open: Vec<Open> = Vec::new();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.ok()?;
        let range = span.byte_range()?;
        let range = document.start + range.start..document.start + range.end.max(range.start);
        let done = match event {
            Event::Scalar(value, style, _, tag) => {
                if let Some((Node { children: Children::Entries(_), .. }, key @ None, _)) = open.last_mut() {
                    let name = if style == ScalarStyle::Plain && tag.is_none() {
                        scalar::plain_key(&value).unwrap_or_default()
                    } else {
                        value.into_owned()
                    };
                    *key = Some((name, range));
                    continue;
                }
                Some(Node { range: trimmed(text, range), children: Children::None })
            }
            Event::Alias(_) => {
                if let Some((Node { children: Children::Entries(_), .. }, key @ None, _)) = open.last_mut() {
                    *key = Some((String::new(), range));
                    continue;
                }
                Some(Node { range, children: Children::None })
            }
            Event::SequenceStart(style, ..) => {
                let flow = style == granit_parser::StructureStyle::Flow;
                open.push((Node { range, children: Children::Items(Vec::new()) }, None, flow));
                None
            }
            Event::MappingStart(style, ..) => {
                let flow = style == granit_parser::StructureStyle::Flow;
                open.push((Node { range, children: Children::Entries(Vec::new()) }, None, flow));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|(mut node, _, flow)| {
                if flow {
                    node.range.end = range.end.max(node.range.start);
                } else if let Some(within) = node.children.extent() {
                    // The end of a block is known from its last value: its own event comes with the next token.
                    node.range = within.start.min(node.range.start).max(node.range.start)..within.end;
                }
                node
            }),
            _ => None,
        };
        let Some(node) = done else { continue };
        match open.last_mut() {
            None => return Some(node),
            Some((Node { children: Children::Items(items), .. }, ..)) => items.push(node),
            Some((Node { children: Children::Entries(entries), .. }, key, _)) => {
                let (name, at) = key.take()?;
                entries.push((name, at, node));
            }
            Some(_) => return None,
        }
    }
    None
}

impl Children {
    fn extent(&self) -> Option<Range<usize>> {
        match self {
            Self::None => None,
            Self::Entries(entries) => {
                let (_, first, _) = entries.first()?;
                let (_, key, value) = entries.last()?;
                Some(first.start..value.range.end.max(key.end))
            }
            Self::Items(items) => Some(items.first()?.range.start..items.last()?.range.end),
        }
    }
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let length = text.get(range.clone()).map_or(range.len(), |part| part.trim_end().len());
    range.start..range.start + length
}

/// The tree of a JSON value; `None` where it isn't one.
pub fn json(text: &str, value: &Range<usize>, depth: usize) -> Option<Node> {
    let mut scanner = Scanner { bytes: text.as_bytes().get(..value.end)?, at: value.start, depth };
    scanner.value()
}

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn blank(&mut self) -> Option<u8> {
        while self.bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn value(&mut self) -> Option<Node> {
        let first = self.blank()?;
        let start = self.at;
        let children = match first {
            b'"' => {
                self.string()?;
                Children::None
            }
            b'{' | b'[' => {
                self.depth = self.depth.checked_sub(1)?;
                self.at += 1;
                let children = if first == b'{' { self.entries()? } else { self.items()? };
                self.depth += 1;
                children
            }
            _ => {
                while self.bytes.get(self.at).is_some_and(|b| !b.is_ascii_whitespace() && !b",]}".contains(b)) {
                    self.at += 1;
                }
                Children::None
            }
        };
        Some(Node { range: start..self.at, children })
    }

    fn entries(&mut self) -> Option<Children> {
        let mut entries = Vec::new();
        loop {
            match self.blank()? {
                b'}' => {
                    self.at += 1;
                    return Some(Children::Entries(entries));
                }
                b',' => self.at += 1,
                b'"' => {
                    let start = self.at;
                    self.string()?;
                    let key = start..self.at;
                    let name = serde_json::from_slice(&self.bytes[key.clone()]).ok()?;
                    if self.blank()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    entries.push((name, key, self.value()?));
                }
                _ => return None,
            }
        }
    }

    fn items(&mut self) -> Option<Children> {
        let mut items = Vec::new();
        loop {
            match self.blank()? {
                b']' => {
                    self.at += 1;
                    return Some(Children::Items(items));
                }
                b',' => self.at += 1,
                _ => {
                    let before = self.at;
                    items.push(self.value()?);
                    if self.at == before {
                        return None;
                    }
                }
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dotted: &str) -> FieldPath {
        dotted.split('.').fold(FieldPath::root(), |path, part| match part.parse() {
            Ok(index) => path.index(index),
            Err(_) => path.key(part),
        })
    }

    #[track_caller]
    fn check(text: &str, node: &Node, at: &str, part: Part, expected: &str, exact: bool) {
        let found = node.find(&path(at), part);
        assert_eq!((&text[found.range], found.exact), (expected, exact), "{at}");
    }

    #[test]
    fn yaml_blocks() {
        let text = "# comment\na: 1\nb:\n  c:\n  - x\n  - v: 'z z' # word\n    w: |\n      many\n      lines\n\n  d: {e: [1, 2], f: }\ng:\nh: *b\non: k\n";
        // Without the anchor the alias is refused, with it the rest is found.
        let text = text.replace("b:\n", "b: &b\n");
        let node = yaml(&text, &(0..text.len()), 100).expect("parses");
        check(&text, &node, "a", Part::Value, "1", true);
        check(&text, &node, "a", Part::Entry, "a: 1", true);
        check(&text, &node, "b.c.1.v", Part::Value, "'z z'", true);
        check(&text, &node, "b.c.1.w", Part::Value, "many\n      lines", true);
        check(&text, &node, "b.c", Part::Value, "x\n  - v: 'z z' # word\n    w: |\n      many\n      lines", true);
        check(&text, &node, "b.d", Part::Value, "{e: [1, 2], f: }", true);
        check(&text, &node, "b.d.e.1", Part::Value, "2", true);
        check(&text, &node, "g", Part::Value, "g", true);
        check(&text, &node, "g.x.y", Part::Value, "g", false);
        check(&text, &node, "h.c", Part::Value, "h", false);
        check(&text, &node, "true", Part::Key, "on", true);
        check(&text, &node, "b.c.7", Part::Value, "c", false);
    }

    #[test]
    fn json_values() {
        let text = r#"{"a": {"b\"": [1, {"c": "x"}], "d": null}, "a": [ ]}"#;
        let node = json(text, &(0..text.len()), 100).expect("parses");
        check(text, &node, "a", Part::Value, "[ ]", true);
        let text = r#"{"a": {"b\"": [1, {"c": "x"}], "d": null}}"#;
        let node = json(text, &(0..text.len()), 100).expect("parses");
        check(text, &node, "a.b\".1.c", Part::Entry, r#""c": "x""#, true);
        check(text, &node, "a.d", Part::Value, "null", true);
        check(text, &node, "a.x", Part::Value, "\"a\"", false);
        assert!(json("{\"a\" 1}", &(0..7), 100).is_none());
        assert!(json(&"[".repeat(500), &(0..500), 100).is_none());
    }
}
