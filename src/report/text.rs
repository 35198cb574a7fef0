//! Text for a terminal: colours, and words of the input made harmless.

use std::borrow::Cow;

/// Control characters as `\x1b`-like escapes: what comes from a file, a cluster or a log never reaches the terminal raw.
pub fn safe(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| (!c.is_control() || c == '\n') && !is_bidi(c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmless(c) {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    Cow::Owned(out)
}

/// Characters that reorder what is shown (CVE-2021-42574).
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Breaks lines between words where they are wider than a terminal; what goes on stands two columns further in. Without a
/// width nothing is broken: what reads a pipe finds sentences whole.
pub fn wrapped(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let mut column = 0;
        for word in line.split_inclusive(' ') {
            let shown = columns(word.trim_end());
            if column > indent && column + shown > width {
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent + 2));
                column = indent + 2;
            }
            out.push_str(word);
            column += columns(word.trim_end_matches('\n'));
        }
    }
    out
}

/// Columns that a text takes, colours not counted.
fn columns(text: &str) -> usize {
    let mut count = 0;
    let mut escape = false;
    for c in text.chars() {
        match (escape, c) {
            (false, '\u{1b}') => escape = true,
            (false, _) => count += 1,
            (true, 'm') => escape = false,
            (true, _) => {}
        }
    }
    count
}

/// Paints words, or doesn't.
#[derive(Clone, Copy, Debug)]
pub struct Paint(pub bool);

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Heads of sections.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What is fine.
    pub fn green(self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    /// What is wrong.
    pub fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What is uncertain.
    pub fn yellow(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    /// What to do.
    pub fn cyan(self, text: &str) -> String {
        self.wrap("1;36", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        let text = "  note: one two three four\nshort\n  \u{1b}[1;33m→\u{1b}[0m abcdefgh ijkl mnop\n";
        let expected = "  note: one two\n    three four\nshort\n  \u{1b}[1;33m→\u{1b}[0m abcdefgh\n    ijkl mnop\n";
        assert_eq!(wrapped(text, Some(16)), expected);
        assert_eq!(wrapped(text, None), text);
        // A word that is too long stays whole: it may be an address to copy.
        assert_eq!(wrapped("  aaaaaaaaaaaaaaaaaaaa bb\n", Some(10)), "  aaaaaaaaaaaaaaaaaaaa\n    bb\n");
    }

    #[test]
    fn escapes_and_reordering_are_neutralised() {
        assert_eq!(safe("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(safe("a\u{202e}b\r\n"), "a\\u{202e}b\\r\n");
        assert!(matches!(safe("plain é ✓"), Cow::Borrowed(_)));
    }
}
