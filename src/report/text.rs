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
    fn escapes_and_reordering_are_neutralised() {
        assert_eq!(safe("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(safe("a\u{202e}b\r\n"), "a\\u{202e}b\\r\n");
        assert!(matches!(safe("plain é ✓"), Cow::Borrowed(_)));
    }
}
