//! `-o dot`: for Graphviz. <https://graphviz.org/doc/info/lang.html>

use super::GraphReport;
use super::drawing::{Drawing, State};

/// The graph in the DOT language.
pub fn dot(report: &GraphReport) -> String {
    let drawing = Drawing::of(report);
    let mut out = String::from(
        "digraph netcheck {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef4fb\", color=\"#4a78a8\", fontname=\"sans-serif\"];\n  edge [color=\"#40556b\", fontname=\"sans-serif\", fontsize=10];\n",
    );
    for (group, name) in drawing.groups.iter().enumerate() {
        let indent = if name.is_some() { "    " } else { "  " };
        if let Some(name) = name {
            let label = quoted(name);
            out.push_str(&format!("  subgraph cluster_{group} {{\n    label={label};\n    color=\"#9aa7b4\";\n"));
        }
        for (index, node) in drawing.nodes.iter().enumerate().filter(|(_, n)| n.group == group) {
            let style = if node.outside { ", shape=ellipse, fillcolor=\"#f4f0e6\", color=\"#a08a50\"" } else { "" };
            out.push_str(&format!("{indent}n{index} [label={}{style}];\n", quoted(&node.label)));
        }
        if name.is_some() {
            out.push_str("  }\n");
        }
    }
    for link in &drawing.links {
        let style = match link.state {
            State::Open => "",
            State::Partial => ", style=dashed",
            State::Unknown => ", style=dotted",
        };
        out.push_str(&format!("  n{} -> n{} [label={}{style}];\n", link.from, link.to, quoted(&link.label)));
    }
    out.push_str("}\n");
    out
}

/// A quoted string. Backslashes are doubled: in a label they begin escapes such as `\N`.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
    format!("\"{text}\"")
}
