//! A diagnostic as text: the message, the lines of the input it is about with the place underlined, notes and helps.
//!
//! It looks as rustc's messages do, and is drawn by the same code. What the user's files hold is untrusted: control
//! characters are shown as pictures, never sent to the terminal. An object of a minified dump has no lines worth
//! showing, and is drawn from its own YAML instead.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::Value;

use crate::source::{Diagnostic, Label, Origin, Place, Segment, Severity, SourceId, SourceMap, trimmed};

/// Draws a diagnostic. `width` is that of the terminal, in columns.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, color: bool, width: usize) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut title = level.primary_title(clean(&diagnostic.message));
    if let Some(code) = diagnostic.code {
        title = title.id(code);
    }
    let mut group = Group::with_title(title);
    let mut notes: Vec<String> = Vec::new();
    let mut made_up: Vec<String> = Vec::new();
    for picture in pictures(&diagnostic.labels, sources) {
        let made = picture.made_by.map(|(tool, path)| format!("made by {tool} from `{path}`"));
        if let Some(made) = made.filter(|made| !notes.contains(made)) {
            notes.push(made);
        }
        match picture.snippet {
            Some(snippet) => {
                group = group.element(snippet);
                if picture.made_up {
                    made_up.push(clean(&picture.name));
                }
            }
            None => {
                group = group.element(annotate_snippets::Origin::path(clean(&picture.name)));
                notes.extend(picture.lost);
            }
        }
    }
    for note in diagnostic.notes.iter().chain(&notes) {
        group = group.element(Level::NOTE.message(clean(note)));
    }
    for help in &diagnostic.helps {
        group = group.element(Level::HELP.message(clean(help)));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.decor_style(DecorStyle::Ascii).term_width(width.max(40)).render(&[group]);
    // The drawing code pads lines on the right.
    let mut out = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        match made_up.iter().find_map(|name| without_position(line, name)) {
            Some(line) => out.push_str(&line),
            None => out.push_str(line.trim_end()),
        }
        out.push('\n');
    }
    out
}

/// The same with its message broken at `wrap`; what is drawn below it is as it is.
pub fn fitted(diagnostic: &Diagnostic, sources: &SourceMap, color: bool, width: usize, wrap: Option<usize>) -> String {
    let drawn = render(diagnostic, sources, color, width);
    let (message, below) = drawn.split_at(drawn.find('\n').map_or(drawn.len(), |end| end + 1));
    super::text::wrapped(message, wrap) + below
}

/// A line that names a place, without the line and column that follow the name.
fn without_position(line: &str, name: &str) -> Option<String> {
    let (before, after) = line.split_once(name)?;
    if !before.contains("-->") && !before.contains(":::") {
        return None;
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let after = after.strip_prefix(':')?;
    let after = after[digits(after)..].strip_prefix(':')?;
    Some(format!("{before}{name}{}", &after[digits(after)..]).trim_end().to_owned())
}

/// What is shown of one source.
struct Picture<'a> {
    name: String,
    made_by: Option<(&'static str, String)>,
    /// Whether the text is not the source's own, so that its lines have no numbers.
    made_up: bool,
    snippet: Option<Snippet<'a, Annotation<'a>>>,
    /// What the labels say, where the text is gone.
    lost: Vec<String>,
}

/// A place in the text that it is drawn from.
struct Mark<'a> {
    range: Range<usize>,
    label: &'a Label,
    text: String,
}

/// Bytes of a line that are shown around a place; the renderer trims further to the width of the terminal.
const AROUND: usize = 300;
/// Lines of a place that are underlined; of a longer one only the first is.
const LINES: usize = 6;
/// A JSON object with a line longer than this is shown as YAML.
const LONG_LINE: usize = 400;

fn pictures<'a>(labels: &'a [Label], sources: &'a SourceMap) -> Vec<Picture<'a>> {
    let mut pictures = Vec::new();
    let mut done = vec![false; labels.len()];
    for first in 0..labels.len() {
        if done[first] {
            continue;
        }
        let place = &labels[first].place;
        let as_yaml = origin(place).filter(|origin| drawn_as_yaml(*origin, sources));
        let together: Vec<&Label> = (first..labels.len())
            .filter(|&other| {
                let same = match as_yaml {
                    Some(wanted) => origin(&labels[other].place) == Some(wanted),
                    None => {
                        source(&labels[other].place) == source(place)
                            && origin(&labels[other].place).is_none_or(|origin| !drawn_as_yaml(origin, sources))
                    }
                };
                if same {
                    done[other] = true;
                }
                same
            })
            .map(|other| &labels[other])
            .collect();
        pictures.push(match as_yaml {
            Some(origin) => yaml_picture(origin, &together, sources),
            None => text_picture(source(place), &together, sources),
        });
    }
    pictures
}

fn source_name(sources: &SourceMap, source: SourceId) -> &str {
    match sources.name(source) {
        "-" => "standard input",
        name => name,
    }
}

fn source(place: &Place) -> SourceId {
    match place {
        Place::Field { origin, .. } => origin.source,
        Place::Bytes { source, .. } => *source,
    }
}

fn origin(place: &Place) -> Option<Origin> {
    match place {
        Place::Field { origin, .. } => Some(*origin),
        Place::Bytes { .. } => None,
    }
}

/// Whether an object's own lines are no use: a minified dump, or a stream that can't be read again from its start.
fn drawn_as_yaml(origin: Origin, sources: &SourceMap) -> bool {
    sources.is_json(origin.source)
        && sources
            .item_text(origin)
            .is_some_and(|text| !sources.has_lines(origin.source) || text.lines().any(|line| line.len() > LONG_LINE))
}

fn text_picture<'a>(source: SourceId, labels: &[&'a Label], sources: &'a SourceMap) -> Picture<'a> {
    let name = source_name(sources, source).to_owned();
    let made_by = labels.iter().find_map(|label| origin(&label.place)).and_then(|origin| sources.made_by(origin));
    let mut lost = Vec::new();
    let mut marks = Vec::new();
    let mut text: Option<(Cow<'a, str>, usize, usize)> = None;
    for label in labels {
        let Some((span, excerpt)) = sources.span(&label.place).zip(sources.excerpt(&label.place)) else {
            lost.push(described(label));
            continue;
        };
        match &text {
            // Two pieces of one file that is not kept: only the first is shown.
            Some((_, base, _)) if *base != excerpt.base => {
                lost.push(format!("line {}: {}", span.line, described(label)));
                continue;
            }
            Some(_) => {}
            None => text = Some((excerpt.text, excerpt.base, excerpt.line)),
        }
        let base = text.as_ref().map_or(0, |(_, base, _)| *base);
        let range = span.range.start.saturating_sub(base)..span.range.end.saturating_sub(base);
        marks.push(Mark { range, label, text: worded(label, span.exact) });
    }
    let snippet = text.map(|(text, _, line)| draw(&text, line, &marks).path(clean(&name)));
    if snippet.is_some() && !lost.is_empty() {
        lost.clear();
    }
    Picture { name, made_by, made_up: false, snippet, lost }
}

/// An object drawn from its YAML, under its own name.
fn yaml_picture<'a>(origin: Origin, labels: &[&'a Label], sources: &'a SourceMap) -> Picture<'a> {
    let value = sources.value(origin).map(trimmed);
    let source = source_name(sources, origin.source);
    let name = match &value {
        Some(value) => format!("{} ({source})", title(value)),
        None => source.to_owned(),
    };
    let drawn = value.and_then(|value| serde_saphyr::to_string(&value).ok()).and_then(|text| {
        let mut marks = Vec::new();
        for label in labels {
            if let Place::Field { path, part, .. } = &label.place {
                let (range, exact) = crate::source::locate_in_yaml(&text, path, *part)?;
                marks.push(Mark { range, label, text: worded(label, exact) });
            }
        }
        // Lines of a text that was made up have no numbers.
        Some(draw(&text, 1, &marks).line_numbering(false))
    });
    let lost = if drawn.is_none() { labels.iter().map(|label| described(label)).collect() } else { Vec::new() };
    let snippet = drawn.map(|snippet| snippet.path(clean(&name)));
    Picture { name, made_by: sources.made_by(origin), made_up: true, snippet, lost }
}

/// `NetworkPolicy shop/default-deny`.
fn title(value: &Value) -> String {
    let field = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, namespace, name) = (field("/kind"), field("/metadata/namespace"), field("/metadata/name"));
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// A label without its place.
fn described(label: &Label) -> String {
    match &label.place {
        Place::Field { path, .. } if label.text.is_empty() => format!("`{path}`"),
        Place::Field { path, .. } => format!("`{path}`: {}", label.text),
        Place::Bytes { .. } => label.text.clone(),
    }
}

/// The text of a label; where its field does not exist and an ancestor is shown, it says so.
fn worded(label: &Label, exact: bool) -> String {
    let Place::Field { path, .. } = &label.place else { return label.text.clone() };
    let Some(Segment::Key(last)) = path.0.last() else { return label.text.clone() };
    if exact || label.text.contains(&format!("`{last}`")) {
        return label.text.clone();
    }
    if label.text.is_empty() {
        format!("`{path}` is not set here")
    } else {
        format!("{} (`{path}` is not set here)", label.text)
    }
}

/// The lines from the first mark to the last.
fn draw<'a>(text: &str, first_line: usize, marks: &[Mark<'a>]) -> Snippet<'a, Annotation<'a>> {
    let mut ranges: Vec<Range<usize>> = marks.iter().map(|mark| shortened(text, &mark.range)).collect();
    let start = ranges.iter().map(|range| range.start).min().unwrap_or(0);
    let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let mut from = text[..start].rfind('\n').map_or(0, |n| n + 1);
    let mut to = text[end..].find('\n').map_or(text.len(), |n| end + n);
    let line = first_line + text[..from].bytes().filter(|b| *b == b'\n').count();
    let (mut before, mut after) = ("", "");
    if start - from > AROUND {
        from = boundary(text, start - AROUND);
        before = "...";
    }
    if to - end > AROUND {
        to = boundary(text, end + AROUND);
        after = "...";
    }
    // Every offset that is needed, moved along while the text is cleaned.
    let mut out = String::with_capacity(to - from + 8);
    out.push_str(before);
    let mut starts = vec![0; ranges.len()];
    let mut ends = vec![0; ranges.len()];
    let mark_offset =
        |offset: usize, at: usize, starts: &mut Vec<usize>, ends: &mut Vec<usize>, ranges: &[Range<usize>]| {
            for (index, range) in ranges.iter().enumerate() {
                if range.start == offset {
                    starts[index] = at;
                }
                if range.end == offset {
                    ends[index] = at;
                }
            }
        };
    for (index, character) in text[from..to].char_indices() {
        mark_offset(from + index, out.len(), &mut starts, &mut ends, &ranges);
        match character {
            '\n' | '\t' => out.push(character),
            '\r' | '\u{feff}' => {}
            _ => push_clean(&mut out, character),
        }
    }
    mark_offset(to, out.len(), &mut starts, &mut ends, &ranges);
    out.push_str(after);
    for (index, range) in ranges.iter_mut().enumerate() {
        *range = starts[index]..ends[index].max(starts[index]);
    }
    let mut snippet = Snippet::source(out).line_start(line);
    for (mark, range) in marks.iter().zip(ranges) {
        let kind = if mark.label.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let mut annotation = kind.span(range);
        if !mark.text.is_empty() {
            annotation = annotation.label(clean(&mark.text).replace('\n', " "));
        }
        snippet = snippet.annotation(annotation);
    }
    snippet
}

/// A range on whole characters, of a long block only the first line.
fn shortened(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = boundary(text, range.start.min(text.len()));
    let end = boundary(text, range.end.min(text.len()).max(start));
    let part = &text[start..end];
    if part.lines().count() > LINES || part.len() > 4 * AROUND {
        let line = part.lines().next().unwrap_or_default();
        return start..boundary(text, start + line.len().min(AROUND));
    }
    start..end
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Text without anything that a terminal would act on.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            _ => push_clean(&mut out, character),
        }
    }
    out
}

fn push_clean(out: &mut String, character: char) {
    out.push(match character {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        // Directions, separators and invisible characters rearrange what is read.
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        _ => character,
    });
}
