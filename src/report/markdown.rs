//! Markdown for a comment on a pull request: what of the input goes into it can't change its form.

/// Text of the input in running text or a table cell.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in super::safe(text).chars() {
        match c {
            '\n' => out.push_str("<br>"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '#' | '~' | '@' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// Text of the input as code; a table cell takes it as well.
pub fn code(text: &str) -> String {
    let text = super::safe(text).replace('\n', " ").replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// A block that shows text as it is.
pub fn block(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", super::safe(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_input_stay_text() {
        assert_eq!(text("<img src=x>|**a**\n@team"), "&lt;img src=x&gt;\\|\\*\\*a\\*\\*<br>\\@team");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(block("a ```` b"), "`````text\na ```` b\n`````\n");
    }
}
