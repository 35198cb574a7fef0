//! JSON text looked through at the speed of memory: where a value ends, which of its fields are wanted.
//!
//! A text comes in, the end of a value or a shorter text with the wanted fields goes out. What is passed over is looked at
//! only for brackets and quotes, 64 bytes at a time: whether it is otherwise well written is for others to check.

use wide::u8x16;

/// A text that is not plainly JSON, or ends too soon. Whoever reads it with care finds out what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd;

type Result<T> = std::result::Result<T, Odd>;

/// Bytes that are looked at together.
const BLOCK: usize = 64;
const LANE: usize = 16;

/// Where the characters stand that give a text its structure, a bit for each of 64 bytes.
struct Marks {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Marks {
    #[inline(always)]
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut out = Self { quotes: 0, backslashes: 0, opening: 0, closing: 0 };
        let (lanes, _) = block.as_chunks::<LANE>();
        for (number, lane) in lanes.iter().enumerate() {
            let bytes = u8x16::new(*lane);
            let put = |mask: u8x16| u64::from(mask.to_bitmask()) << (number * LANE);
            out.quotes |= put(bytes.simd_eq(u8x16::splat(b'"')));
            out.backslashes |= put(bytes.simd_eq(u8x16::splat(b'\\')));
            // `[` and `{`, `]` and `}` differ in this bit alone.
            let folded = bytes | u8x16::splat(0x20);
            out.opening |= put(folded.simd_eq(u8x16::splat(b'{')));
            out.closing |= put(folded.simd_eq(u8x16::splat(b'}')));
        }
        out
    }

    /// Quotes that a backslash takes away are taken away. `escaped` says whether the first byte is escaped, and then whether
    /// the first of the next block is.
    #[inline(always)]
    fn unescape(&mut self, escaped: &mut bool) {
        if self.backslashes == 0 && !*escaped {
            return;
        }
        let mut rest = self.backslashes;
        if std::mem::take(escaped) {
            self.quotes &= !1;
            rest &= !1;
        }
        while rest != 0 {
            let at = rest.trailing_zeros();
            if at == 63 {
                *escaped = true;
                break;
            }
            self.quotes &= !(1 << (at + 1));
            rest &= !(0b11 << at);
        }
    }
}

/// A bit for each byte inside a string, its opening quote included.
#[inline(always)]
fn inside(quotes: u64) -> u64 {
    let mut bits = quotes;
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The next 64 bytes, blanks after the end.
#[inline(always)]
fn block(text: &[u8], at: usize) -> [u8; BLOCK] {
    match text.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(block) => *block,
        None => {
            let mut block = [b' '; BLOCK];
            let rest = text.get(at..).unwrap_or_default();
            block[..rest.len()].copy_from_slice(rest);
            block
        }
    }
}

/// The end of a bracketed value that starts at `at`.
fn nested_end(text: &[u8], at: usize) -> Result<usize> {
    let mut start = at;
    let (mut depth, mut escaped, mut string) = (0_u32, false, 0_u64);
    while start < text.len() {
        let mut marks = Marks::of(&block(text, start));
        marks.unescape(&mut escaped);
        let strings = inside(marks.quotes) ^ string;
        string = (strings >> 63).wrapping_neg();
        let (mut opening, mut closing) = (marks.opening & !strings, marks.closing & !strings);
        if depth > closing.count_ones() {
            depth = depth + opening.count_ones() - closing.count_ones();
        } else {
            while closing != 0 {
                let end = closing.trailing_zeros();
                // Those that open before it.
                let before = opening & ((1 << end) - 1);
                depth += before.count_ones();
                opening ^= before;
                depth = depth.checked_sub(1).ok_or(Odd)?;
                if depth == 0 {
                    return Ok(start + end as usize + 1);
                }
                closing &= closing - 1;
            }
            depth += opening.count_ones();
        }
        start += BLOCK;
    }
    Err(Odd)
}

/// The end of a string that starts with the quote at `at`.
#[inline]
fn string_end(text: &[u8], at: usize) -> Result<usize> {
    let mut at = at + 1;
    loop {
        while let Some(lane) = text.get(at..).and_then(|rest| rest.first_chunk::<LANE>()) {
            let bytes = u8x16::new(*lane);
            let found = (bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'))).to_bitmask();
            if found == 0 {
                at += LANE;
                continue;
            }
            at += found.trailing_zeros() as usize;
            if lane[found.trailing_zeros() as usize] == b'"' {
                return Ok(at + 1);
            }
            at += 2;
        }
        match text.get(at).ok_or(Odd)? {
            b'"' => return Ok(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The next byte that is not blank, from `at` on.
#[inline]
pub fn blank(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The end of the value that starts at `at`, where no blank stands.
pub fn value_end(text: &[u8], at: usize) -> Result<usize> {
    match text.get(at) {
        Some(b'{' | b'[') => nested_end(text, at),
        Some(b'"') => string_end(text, at),
        Some(b'-' | b'0'..=b'9' | b'a'..=b'z') => {
            let rest = &text[at..];
            let end = rest.iter().position(|b| matches!(b, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t'));
            // A number may go on where the text ends.
            end.map(|end| at + end).ok_or(Odd)
        }
        _ => Err(Odd),
    }
}

/// Where the string starts that is still open at the end of a text; none where none is. `at` is the start of a value.
pub fn open_string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    while let Some(found) = memchr::memchr(b'"', text.get(at..)?) {
        match string_end(text, at + found) {
            Ok(end) => at = end,
            Err(Odd) => return Some(at + found),
        }
    }
    None
}

/// A walk over the entries of an object.
pub struct Entries {
    /// Where it has come to; after each entry, the end of its value has to be put here.
    pub at: usize,
    first: bool,
}

/// An entry of an object.
pub struct Entry<'t> {
    /// Its key, without the quotes.
    pub key: &'t [u8],
    /// Where its value starts.
    pub value: usize,
}

impl Entries {
    /// Of the object that starts at `at`.
    pub fn of(text: &[u8], at: usize) -> Result<Self> {
        if text.get(at) == Some(&b'{') { Ok(Self { at: at + 1, first: true }) } else { Err(Odd) }
    }

    /// The next entry; none at the end, where `at` is behind the bracket. Before the next call, `at` has to be set to the
    /// value's end.
    #[inline]
    pub fn next<'t>(&mut self, text: &'t [u8]) -> Result<Option<Entry<'t>>> {
        let mut at = blank(text, self.at);
        match (text.get(at), std::mem::take(&mut self.first)) {
            (Some(b'}'), _) => {
                self.at = at + 1;
                return Ok(None);
            }
            (Some(b','), false) => at = blank(text, at + 1),
            (Some(b'"'), true) => {}
            _ => return Err(Odd),
        }
        if text.get(at) != Some(&b'"') {
            return Err(Odd);
        }
        let end = string_end(text, at)?;
        let key = &text[at + 1..end - 1];
        if key.contains(&b'\\') {
            return Err(Odd);
        }
        let colon = blank(text, end);
        if text.get(colon) != Some(&b':') {
            return Err(Odd);
        }
        Ok(Some(Entry { key, value: blank(text, colon + 1) }))
    }
}

/// The string at `at`, where it is written without escapes and isn't empty.
pub fn plain_string(text: &[u8], at: usize) -> Result<&str> {
    if text.get(at) != Some(&b'"') {
        return Err(Odd);
    }
    let end = string_end(text, at)?;
    let inner = &text[at + 1..end - 1];
    if inner.contains(&b'\\') || inner.is_empty() {
        return Err(Odd);
    }
    std::str::from_utf8(inner).map_err(|_| Odd)
}

/// What an object says it is: `apiVersion` and `kind`.
pub type Says<'t> = (Option<&'t str>, Option<&'t str>);

/// `apiVersion` and `kind` of the object at the start of a text. `first_only` looks no further than the first key that is neither.
pub fn says(text: &[u8], first_only: bool) -> Result<Says<'_>> {
    let (mut api_version, mut kind) = (None, None);
    let mut entries = Entries::of(text, 0)?;
    while let Some(entry) = entries.next(text)? {
        match entry.key {
            b"apiVersion" if api_version.is_none() => api_version = Some(plain_string(text, entry.value)?),
            b"kind" if kind.is_none() => kind = Some(plain_string(text, entry.value)?),
            b"apiVersion" | b"kind" => return Err(Odd),
            _ if first_only => break,
            _ => {}
        }
        if api_version.is_some() && kind.is_some() {
            break;
        }
        entries.at = value_end(text, entry.value)?;
    }
    Ok((api_version, kind))
}

/// What is wanted of a value: some of its fields, something of each of its items, or all of it.
pub trait Wanted: 'static {
    /// The fields there are; none where it is not an object, or is wanted whole.
    fn fields(&self) -> Option<&[(&'static str, &Self)]>;

    /// What is wanted of each item; none where it is not a list, or is wanted whole.
    fn item(&self) -> Option<&Self>;

    /// Whether it is known, and not wanted.
    fn skip(&self) -> bool {
        false
    }
}

/// An object cut down to what is wanted of it.
#[derive(Debug, Default)]
pub struct Trimmed {
    /// The wanted fields, as JSON.
    pub text: Vec<u8>,
    /// Where the object ends in the text it was cut from.
    pub end: usize,
    /// Whether it says itself what it is.
    pub typed: bool,
    /// Whether it has a field that its shape doesn't have.
    pub unknown: bool,
}

/// Cuts the object at the start of a text down to the fields that are wanted. `out` is used again.
pub fn trim(text: &[u8], wanted: &impl Wanted, out: &mut Trimmed) -> Result<()> {
    out.text.clear();
    (out.typed, out.unknown) = (false, false);
    let mut trimming = Trimming { text, out };
    trimming.out.end = trimming.value(wanted, 0, 0)?;
    Ok(())
}

struct Trimming<'t, 'o> {
    text: &'t [u8],
    out: &'o mut Trimmed,
}

impl Trimming<'_, '_> {
    /// Takes over what is wanted of the value at `at`, and gives its end.
    fn value<W: Wanted>(&mut self, wanted: &W, at: usize, depth: usize) -> Result<usize> {
        match (wanted.fields(), wanted.item(), self.text.get(at)) {
            (Some(fields), _, Some(b'{')) => self.fields(fields, at, depth),
            (_, Some(item), Some(b'[')) => self.list(item, at, depth),
            // All of it, or of another type than wanted: whoever decodes it has to say so.
            _ => {
                let end = value_end(self.text, at)?;
                self.out.text.extend_from_slice(&self.text[at..end]);
                Ok(end)
            }
        }
    }

    fn fields<W: Wanted>(&mut self, fields: &[(&str, &W)], at: usize, depth: usize) -> Result<usize> {
        self.out.text.push(b'{');
        let mut entries = Entries::of(self.text, at)?;
        let mut any = false;
        while let Some(entry) = entries.next(self.text)? {
            self.out.typed |= depth == 0 && matches!(entry.key, b"apiVersion" | b"kind");
            let field = fields.iter().find(|(name, _)| name.as_bytes() == entry.key).map(|(_, wanted)| *wanted);
            entries.at = match field {
                Some(field) if field.skip() => value_end(self.text, entry.value)?,
                Some(field) => {
                    if std::mem::replace(&mut any, true) {
                        self.out.text.push(b',');
                    }
                    self.out.text.push(b'"');
                    self.out.text.extend_from_slice(entry.key);
                    self.out.text.extend_from_slice(b"\":");
                    self.value(field, entry.value, depth + 1)?
                }
                None => {
                    self.out.unknown = true;
                    value_end(self.text, entry.value)?
                }
            };
        }
        self.out.text.push(b'}');
        Ok(entries.at)
    }

    fn list<W: Wanted>(&mut self, item: &W, at: usize, depth: usize) -> Result<usize> {
        self.out.text.push(b'[');
        let mut at = blank(self.text, at + 1);
        if self.text.get(at) == Some(&b']') {
            self.out.text.push(b']');
            return Ok(at + 1);
        }
        loop {
            at = blank(self.text, self.value(item, at, depth + 1)?);
            match self.text.get(at) {
                Some(b',') => {
                    self.out.text.push(b',');
                    at = blank(self.text, at + 1);
                }
                Some(b']') => {
                    self.out.text.push(b']');
                    return Ok(at + 1);
                }
                _ => return Err(Odd),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::schema::Shape::{self, Any, Fields, List, Skip};
    use super::*;

    static ITEM: Shape = Fields(&[("name", &Any), ("junk", &Skip), ("ports", &List(&Fields(&[("port", &Any)])))]);

    fn cut(text: &str) -> Result<(String, usize, bool)> {
        let mut out = Trimmed::default();
        trim(text.as_bytes(), &ITEM, &mut out)?;
        Ok((String::from_utf8(out.text).unwrap(), out.end, out.unknown))
    }

    #[test]
    fn wanted_fields_are_kept() {
        let text =
            r#"{ "junk": {"a": ["}", "\"]"]}, "name" : "x\n", "ports": [ {"port": 1, "x": []}, null ], "y": 2 } ,"#;
        let kept = r#"{"name":"x\n","ports":[{"port":1},null]}"#;
        assert_eq!(cut(text), Ok((kept.to_owned(), text.len() - 2, true)));
        assert_eq!(cut(r#"{"ports":{"a":1}}"#), Ok((r#"{"ports":{"a":1}}"#.to_owned(), 17, false)));
        assert_eq!(cut("{}"), Ok(("{}".to_owned(), 2, false)));
    }

    #[test]
    fn what_is_odd_is_left_to_others() {
        for text in [
            "",
            "{",
            "[]x",
            r#"{"name" 1}"#,
            r#"{"name": 1,}"#,
            r#"{"n\u0061me": 1}"#,
            r#"{"name": "x}"#,
            "{,}",
            "{a:1}",
        ] {
            assert!(cut(text).is_err() || text == "[]x", "{text}");
        }
    }

    #[test]
    fn what_an_object_says_it_is() {
        let says = |text: &'static str, first| says(text.as_bytes(), first);
        assert_eq!(says(r#"{"apiVersion":"v1","kind":"Pod","x":"#, true), Ok((Some("v1"), Some("Pod"))));
        assert_eq!(says(r#"{"x":1,"kind":"Pod"}"#, true), Ok((None, None)));
        assert_eq!(says(r#"{"x":1,"kind":"Pod"}"#, false), Ok((None, Some("Pod"))));
        assert_eq!(says(r#"{"kind":null}"#, false), Err(Odd));
        assert_eq!(says(r#"{"kind":"a","kind":"b","apiVersion":"v1"}"#, false), Err(Odd));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[a-c\\\\\"{}\\[\\]]{0,40}".prop_map(Value::from),
            "[a-z]{60,70}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("[a-c\"\\\\]{0,9}", inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_end_is_where_the_value_ends(value in any_value(), pretty: bool, before in 0usize..70) {
            let written = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let text = format!("{}{written},{{}}]", " ".repeat(before));
            prop_assert_eq!(value_end(text.as_bytes(), before), Ok(before + written.len()));
            // Cut short, it has no end.
            if written.len() > 1 && matches!(value, Value::Object(_) | Value::Array(_) | Value::String(_)) {
                prop_assert_eq!(value_end(&text.as_bytes()[..before + written.len() - 1], before), Err(Odd));
            }
        }

        #[test]
        fn nothing_else_of_the_wanted_fields_is_lost(name in any_value(), port in any_value(), junk in any_value()) {
            let value = json!({"junk": junk, "name": name, "other": [junk], "ports": [{"port": port, "z": junk}, {}]});
            let (kept, end, unknown) = cut(&value.to_string()).unwrap();
            prop_assert_eq!((end, unknown), (value.to_string().len(), true));
            let kept: Value = serde_json::from_str(&kept).unwrap();
            prop_assert_eq!(kept, json!({"name": name, "ports": [{"port": port}, {}]}));
        }
    }
}
