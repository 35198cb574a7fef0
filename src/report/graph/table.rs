//! `-o table`: pairs of ends where they are few, namespaces with counts where they are many.

use std::collections::BTreeMap;

use super::{GraphEdge, GraphExposure, GraphReport, fold};
use crate::report::{Paint, safe};

/// Pairs up to which each gets a line.
const MOST_PAIRS: usize = 200;
/// Lines of the summary by namespace up to which none are folded.
const MOST_UNFOLDED: usize = 24;
/// Lines of the summary by namespace.
const MOST_LINES: usize = 60;

/// How long and how wide tables get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Lines, where something was asked for; 0 stands for all.
    pub lines: Option<usize>,
    /// Columns of the terminal, where there is one.
    pub width: Option<usize>,
}

impl Limit {
    /// So many lines, where nothing else was asked for; 0 stands for all.
    fn or(self, usual: usize) -> usize {
        match self.lines {
            None => usual,
            Some(0) => usize::MAX,
            Some(most) => most,
        }
    }
}

/// The edges for people, and what is exposed beyond them.
pub fn table(report: &GraphReport, paint: Paint, wide: bool, limit: Limit) -> String {
    let each = usize::try_from(report.counts.pairs).is_ok_and(|pairs| pairs <= limit.or(MOST_PAIRS));
    let mut out = if each { pairs(report, paint, wide, limit) } else { summary(report, paint, limit) };
    // Other namespaces' workloads are among the pairs.
    let exposed = exposed(report, paint, limit, &|e| e.from != "namespaces");
    if !exposed.is_empty() {
        out.push_str(&exposed);
        out.push('\n');
    }
    out.push_str(&total(report));
    notes(&mut out, report, paint);
    out
}

/// What is exposed, for people.
pub fn exposure(report: &GraphReport, paint: Paint, limit: Limit) -> String {
    let mut out = exposed(report, paint, limit, &|_| true);
    if out.is_empty() {
        out.push_str("nothing is exposed to the outside, to other namespaces or to pods to come\n");
    }
    notes(&mut out, report, paint);
    out
}

fn notes(out: &mut String, report: &GraphReport, paint: Paint) {
    let mut said: Vec<String> = Vec::new();
    let of = |e: &GraphExposure| -> Vec<String> {
        let way = e.through.as_ref().map(|t| format!("{} {}/{}", t.kind, t.namespace, t.name)).unwrap_or_default();
        e.notes.iter().map(|n| format!("{way}: {n}")).collect()
    };
    let through: Vec<String> = report.exposures.iter().flat_map(of).collect();
    for (index, note) in through.iter().enumerate().filter(|(i, n)| !through[..*i].contains(n)) {
        if said.len() == MOST_NOTES {
            said.push(format!("{} more notes on what is exposed: -o json", through.len() - index));
            break;
        }
        said.push(note.clone());
    }
    for note in said.iter().chain(&report.notes) {
        out.push_str(&format!("{}: {}\n", paint.cyan("note"), safe(note)));
    }
}

/// Notes on ways in from outside.
const MOST_NOTES: usize = 10;
/// Ends that get a line each.
const MOST_NAMES: usize = 3;

fn exposed(report: &GraphReport, paint: Paint, limit: Limit, wanted: &dyn Fn(&GraphExposure) -> bool) -> String {
    let ends: BTreeMap<&str, &super::GraphEnd> = report.ends.iter().map(|e| (e.id.as_str(), e)).collect();
    let label = |id: &String| ends.get(id.as_str()).map_or(id.clone(), |e| e.label.clone());
    let what = if report.granularity == "pod" { "pods" } else { "workloads" };
    let mut rows = vec![["EXPOSED".to_owned(), "TO".to_owned(), "PORTS".to_owned(), "THROUGH".to_owned()]];
    let shown: Vec<&GraphExposure> = report.exposures.iter().filter(|e| wanted(e)).collect();
    let most = limit.or(MOST_LINES);
    let more = shown.len().saturating_sub(most);
    for exposure in shown.into_iter().take(most) {
        let to = if exposure.to.is_empty() {
            vec!["nothing".to_owned()]
        } else if exposure.to.len() <= MOST_NAMES {
            exposure.to.iter().map(label).collect()
        } else {
            let mut namespaces: Vec<&str> =
                exposure.to.iter().filter_map(|id| ends.get(id.as_str())?.namespace.as_deref()).collect();
            namespaces.sort_unstable();
            namespaces.dedup();
            vec![match namespaces.as_slice() {
                [one] => format!("{} {what} of {one}", exposure.to.len()),
                all => format!("{} {what} of {} namespaces", exposure.to.len(), all.len()),
            }]
        };
        let through = exposure.through.as_ref();
        let carriers: Vec<String> = through.iter().flat_map(|t| &t.carriers).map(label).collect();
        let who = match through.map(|t| t.carrier.as_str()) {
            Some("pods") if carriers.len() <= MOST_NAMES => format!("{} by {}", exposure.who, carriers.join(", ")),
            Some("pods") => format!("{} by {} {what}", exposure.who, carriers.len()),
            Some("balancer") => format!("{} by a load balancer", exposure.who),
            _ => exposure.who.clone(),
        };
        let mut way = through.map(super::GraphThrough::words).unwrap_or_default();
        if let Some(problem) = through.and_then(|t| t.problem.as_ref()) {
            way.push_str(&format!(": {problem}"));
        }
        for to in to {
            rows.push([to, who.clone(), exposure.summary.clone(), way.clone()].map(|cell| safe(&cell).into_owned()));
        }
    }
    if rows.len() == 1 {
        return String::new();
    }
    let mut out = draw(&rows, paint, limit.width);
    if more > 0 {
        out.push_str(&format!("and {more} more: --limit 0, -o csv or -o json\n"));
    }
    out
}

fn pairs(report: &GraphReport, paint: Paint, wide: bool, limit: Limit) -> String {
    let labels: BTreeMap<&str, &str> = report.ends.iter().map(|e| (e.id.as_str(), e.label.as_str())).collect();
    let label = |id: &str| safe(labels.get(id).copied().unwrap_or(id)).into_owned();
    let mut rows = vec![["CLIENT".to_owned(), "SERVER".to_owned(), "PORTS".to_owned(), String::new()]];
    if wide {
        rows[0][3] = "DECIDED BY".to_owned();
    }
    for edge in &report.edges {
        let by = if wide { by(report, edge) } else { String::new() };
        let alone = edge.from.len() == 1 && edge.from == edge.to;
        for from in &edge.from {
            for to in edge.to.iter().filter(|to| alone || *to != from) {
                rows.push([label(from), label(to), safe(&edge.summary).into_owned(), by.clone()]);
            }
        }
    }
    if rows.len() == 1 {
        return String::new();
    }
    draw(&rows, paint, limit.width) + "\n"
}

fn by(report: &GraphReport, edge: &GraphEdge) -> String {
    let rule = |index: &usize| {
        let place = &report.rules.get(*index)?.place;
        let at = match (&place.file, place.line) {
            (Some(file), Some(line)) => format!(" {file}:{line}"),
            _ => String::new(),
        };
        Some(format!("{} {}{at}", place.direction, safe(&place.name)))
    };
    let mut all: Vec<String> = edge.rules.iter().filter_map(rule).collect();
    all.extend(edge.unrestricted.iter().map(|d| format!("{d} no policy")));
    all.join("; ")
}

/// Ranges of addresses that rules name: many of them are one place.
const RANGES: &str = "addresses outside";
/// Ranges up to which each is a place of its own.
const FEW_RANGES: usize = 3;

fn summary(report: &GraphReport, paint: Paint, limit: Limit) -> String {
    let ranges = report.ends.iter().filter(|e| e.kind == "Addresses").count();
    let outside = |e: &super::GraphEnd| ranges > FEW_RANGES && e.kind == "Addresses";
    let place: BTreeMap<&str, &str> = report
        .ends
        .iter()
        .map(|e| {
            let own = e.namespace.as_deref().unwrap_or(e.label.as_str());
            (e.id.as_str(), if outside(e) { RANGES } else { own })
        })
        .collect();
    let mut counts: BTreeMap<(&str, &str), [u64; 2]> = BTreeMap::new();
    for edge in &report.edges {
        let tally = |ids: &[String]| {
            let mut out: BTreeMap<&str, u64> = BTreeMap::new();
            for id in ids {
                *out.entry(place.get(id.as_str()).copied().unwrap_or_default()).or_default() += 1;
            }
            out
        };
        let alone = edge.from.len() == 1 && edge.from == edge.to;
        let (from, to) = (tally(&edge.from), tally(&edge.to));
        let both: Vec<String> = edge.from.iter().filter(|id| !alone && edge.to.contains(id)).cloned().collect();
        let itself = tally(&both);
        for (client, clients) in &from {
            for (server, servers) in &to {
                let mut pairs = clients * servers;
                if client == server {
                    pairs -= itself.get(client).copied().unwrap_or_default();
                }
                let entry = counts.entry((client, server)).or_default();
                entry[usize::from(edge.open.is_empty())] += pairs;
            }
        }
    }
    let pairs: Vec<fold::Pair<'_>> = counts.into_iter().filter(|(_, [a, b])| a + b > 0).collect();
    let most = limit.or(MOST_LINES);
    let namespaces: std::collections::BTreeSet<&str> =
        report.ends.iter().filter_map(|e| e.namespace.as_deref()).collect();
    let mut lines: Vec<fold::Line> = if pairs.len() > limit.or(MOST_UNFOLDED) {
        fold::fold(&pairs, &|name| namespaces.contains(name))
    } else {
        pairs.iter().map(|((from, to), counts)| ((*from).to_owned(), (*to).to_owned(), *counts)).collect()
    };
    lines.sort_by(|a, b| (b.2[0] + b.2[1]).cmp(&(a.2[0] + a.2[1])).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
    let more = lines.len().saturating_sub(most);
    let mut rows = vec![["FROM".to_owned(), "TO".to_owned(), "OPEN PAIRS".to_owned(), "PARTIAL OR UNKNOWN".to_owned()]];
    if lines.iter().all(|l| l.2[1] == 0) {
        rows[0][3].clear();
    }
    for (from, to, [open, rest]) in lines.into_iter().take(most) {
        let rest = if rest == 0 { String::new() } else { rest.to_string() };
        rows.push([safe(&from).into_owned(), safe(&to).into_owned(), open.to_string(), rest]);
    }
    let mut out = draw(&rows, paint, limit.width);
    if more > 0 {
        out.push_str(&format!("and {more} more lines: --limit 0\n"));
    }
    out.push_str("\neach pair: -o csv, -o json or --limit 0; fewer: -n NAMESPACE, --from, --to, --port\n\n");
    out
}

fn total(report: &GraphReport) -> String {
    let counts = &report.counts;
    let what = if report.granularity == "pod" { "pods" } else { "workloads" };
    let mut text = format!("{} {what}, {} pairs connected", counts.workloads, counts.pairs);
    if counts.partial > 0 {
        text.push_str(&format!(", {} of them between some pods only", counts.partial));
    }
    if counts.unknown > 0 {
        text.push_str(&format!(", {} of them with ports that can't be told", counts.unknown));
    }
    text.push('\n');
    text
}

/// Columns of a table that are never narrowed further.
const LEAST_WIDTH: usize = 14;

/// Rows in columns, the first one a head; empty columns at the end are left out. On a terminal that is too narrow, cells take
/// several lines.
fn draw(rows: &[[String; 4]], paint: Paint, terminal: Option<usize>) -> String {
    let mut widths: Vec<usize> =
        (0..4).map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or_default()).collect();
    let most = terminal.unwrap_or(usize::MAX);
    loop {
        let total: usize = widths.iter().filter(|w| **w > 0).map(|w| w + 2).sum::<usize>().saturating_sub(2);
        let Some(widest) = widths.iter_mut().max().filter(|w| total > most && **w > LEAST_WIDTH) else { break };
        *widest -= 1;
    }
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| wrapped(cell, *width)).collect();
        for at in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(&widths).filter(|(_, w)| **w > 0) {
                let text = cell.get(at).map_or("", String::as_str);
                line.push_str(text);
                line.extend(std::iter::repeat_n(' ', (width + 2).saturating_sub(text.chars().count()).max(1)));
            }
            let line = line.trim_end();
            out.push_str(&if index == 0 { paint.bold(line) } else { line.to_owned() });
            out.push('\n');
        }
    }
    out
}

/// A text in lines of so many characters, broken between words; further ones are indented. A longer word stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let at = lines.len() - 1;
        let line = &mut lines[at];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_gets_more_lines() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned);
        let rows = [
            row(["EXPOSED", "TO", "PORTS", "THROUGH"]),
            row(["shop/web", "pods with app=x in namespaces with team=y", "TCP 8080", "LoadBalancer shop/web:80"]),
        ];
        let narrow = draw(&rows, Paint(false), Some(60));
        assert!(narrow.lines().all(|l| l.chars().count() <= 60) && narrow.lines().count() > 2, "{narrow}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        let wide = draw(&rows, Paint(false), None);
        assert_eq!((wide.lines().count(), words(&wide)), (2, words(&narrow)));
    }
}
