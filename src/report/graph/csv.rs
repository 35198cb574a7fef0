//! `-o csv`: a line for each pair of ends or exposure, state and protocol; above a bound, lists of ends in one cell.

use super::{GraphEdge, GraphReport, PortRange};

/// The edges as RFC 4180 text with a header.
pub fn csv(report: &GraphReport) -> String {
    let mut out = String::from("client,server,state,protocol,ports,rules,through\r\n");
    for edge in &report.edges {
        let rules = rules(report, edge);
        for (state, ranges) in [("open", &edge.open), ("partial", &edge.partial), ("unknown", &edge.unknown)] {
            for PortRange { protocol, ports } in ranges {
                let ports = ports.as_deref().unwrap_or_default();
                line(&mut out, [&edge.from.join(" "), &edge.to.join(" "), state, protocol, ports, &rules, ""]);
            }
        }
    }
    for exposure in &report.exposures {
        let through = exposure.through.as_ref().map(|t| t.words()).unwrap_or_default();
        let rule = exposure.rule.and_then(|r| place(report, r)).unwrap_or_default();
        let (who, to) = (exposure.who.as_str(), exposure.to.join(" "));
        let states = [
            ("open", &exposure.open),
            ("partial", &exposure.partial),
            ("unknown", &exposure.unknown),
            ("blocked", &exposure.blocked),
        ];
        for (state, ranges) in states {
            for PortRange { protocol, ports } in ranges {
                line(&mut out, [who, &to, state, protocol, ports.as_deref().unwrap_or_default(), &rule, &through]);
            }
        }
        if exposure.to.is_empty() {
            let problem = exposure.through.as_ref().and_then(|t| t.problem.as_deref()).unwrap_or_default();
            line(&mut out, [who, "", "none", "", "", "", &format!("{through}: {problem}")]);
        }
    }
    out
}

fn line(out: &mut String, cells: [&str; 7]) {
    out.push_str(&cells.map(cell).join(","));
    out.push_str("\r\n");
}

fn rules(report: &GraphReport, edge: &GraphEdge) -> String {
    edge.rules.iter().filter_map(|r| place(report, *r)).collect::<Vec<_>>().join(" ")
}

fn place(report: &GraphReport, index: usize) -> Option<String> {
    let place = &report.rules.get(index)?.place;
    Some(match (&place.file, place.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        _ => format!("{}/{} {}", place.kind, place.name, place.path),
    })
}

/// A cell, quoted where it must be. A cell that a spreadsheet would take for a formula gets an apostrophe before it
/// (OWASP, "CSV Injection").
fn cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    let text = crate::report::safe(&text).into_owned();
    if text.contains(['"', ',', '\n', '\r', ' ']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn cells_are_quoted_and_no_formula() {
        assert_eq!(cell("shop/web"), "shop/web");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("=cmd()"), "'=cmd()");
        assert_eq!(cell("a\u{1b}b"), "a\\u{1b}b");
    }
}
