//! `-o mermaid`: for Markdown on GitHub and GitLab. <https://mermaid.js.org/syntax/flowchart.html>

use super::GraphReport;
use super::drawing::{Drawing, State};

/// The graph as a Mermaid flowchart.
pub fn mermaid(report: &GraphReport) -> String {
    let drawing = Drawing::of(report);
    let mut out = String::from("flowchart LR\n");
    for (group, name) in drawing.groups.iter().enumerate() {
        let indent = if name.is_some() { "    " } else { "  " };
        if let Some(name) = name {
            out.push_str(&format!("  subgraph g{group}[\"{}\"]\n", text(name)));
        }
        for (index, node) in drawing.nodes.iter().enumerate().filter(|(_, n)| n.group == group) {
            let (open, close) = if node.outside { ("([", "])") } else { ("[", "]") };
            out.push_str(&format!("{indent}n{index}{open}\"{}\"{close}\n", text(&node.label)));
        }
        if name.is_some() {
            out.push_str("  end\n");
        }
    }
    for link in &drawing.links {
        let arrow = if link.state == State::Open { "-->" } else { "-.->" };
        // An empty label is an error to Mermaid.
        let label = if link.label.is_empty() { String::new() } else { format!("|\"{}\"|", text(&link.label)) };
        out.push_str(&format!("  n{} {arrow}{label} n{}\n", link.from, link.to));
    }
    out
}

/// Text inside quotes: everything that has a meaning to Mermaid, Markdown or HTML as an entity code.
fn text(raw: &str) -> String {
    let mut out = String::new();
    for c in raw.chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '-' | '.' | ',' | '/' | '(' | ')' | '…') {
            out.push(c);
        } else {
            out.push_str(&format!("#{};", u32::from(c)));
        }
    }
    out
}
