//! `-o html`: one page to explore, without a network. Style, script and data are in it; its Content-Security-Policy lets
//! nothing else run and nothing be fetched, and the script writes names of the input as text alone.

use std::collections::HashMap;

use serde::Serialize;

use super::digest::sha256_base64;
use super::drawing::{Drawing, Node};
use super::layout::{HEIGHT, Rect, WIDTH, layout};
use super::svg::escaped;
use super::{GraphEdge, GraphReport, GraphRule};
use crate::report::safe;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const BODY: &str = include_str!("page.html");

/// Links up to which workloads stand in layers along them.
const MOST_LINKS: u64 = 20_000;

#[derive(Serialize)]
struct Page<'r> {
    cni: &'r str,
    unit: &'r str,
    node: [f64; 2],
    groups: Vec<Group>,
    ends: Vec<PageEnd>,
    edges: Vec<PageEdge>,
    exposures: Vec<PageExposure>,
    rules: Vec<PageRule>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Group {
    name: String,
    rect: [f64; 4],
}

#[derive(Serialize)]
struct PageEnd {
    label: String,
    name: String,
    kind: String,
    group: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<String>,
    at: [f64; 2],
}

#[derive(Serialize)]
struct PageEdge {
    from: Vec<usize>,
    to: Vec<usize>,
    text: String,
    /// 0 open, 1 partial, 2 unknown.
    state: u8,
    rules: Vec<usize>,
    free: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<[usize; 2]>,
}

#[derive(Serialize)]
struct PageExposure {
    to: Vec<usize>,
    who: String,
    text: String,
    /// Whether it is to clients outside.
    outside: bool,
    /// 0 open, 1 partial, 2 unknown, 3 blocked.
    state: u8,
    through: String,
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
}

#[derive(Serialize)]
struct PageRule {
    title: String,
    what: String,
    at: String,
    yaml: String,
}

/// The page.
pub fn html(report: &GraphReport) -> Result<String, serde_json::Error> {
    // Inside a script element nothing ends it but `</script`; without `<` there is none, and no `<!--` either.
    let data = serde_json::to_string(&page(report))?.replace('<', "\\u003c");
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        sha256_base64(STYLE),
        sha256_base64(SCRIPT)
    );
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>netcheck graph</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{BODY}<script type=\"application/json\" id=\"data\">{data}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        escaped(&policy)
    ))
}

fn page(report: &GraphReport) -> Page<'_> {
    let index: HashMap<&str, usize> = report.ends.iter().enumerate().map(|(i, e)| (e.id.as_str(), i)).collect();
    let at = |id: &String| index.get(id.as_str()).copied();
    let mut names: Vec<Option<&str>> = report.ends.iter().map(|e| e.namespace.as_deref()).collect();
    names.sort_by_key(|n| (n.is_none(), *n));
    names.dedup();
    let group = |namespace: Option<&str>| names.iter().position(|n| *n == namespace).unwrap_or_default();
    let drawing = Drawing {
        groups: names.iter().map(|n| n.map(str::to_owned)).collect(),
        nodes: report
            .ends
            .iter()
            .map(|e| Node {
                label: String::new(),
                group: group(e.namespace.as_deref()),
                outside: e.namespace.is_none(),
            })
            .collect(),
        links: if report.counts.pairs <= MOST_LINKS { links(report, &at) } else { Vec::new() },
    };
    let places = layout(&drawing);
    let corners = |r: &Rect| [r.x, r.y, r.w, r.h].map(f64::round);
    let end = |(i, e): (usize, &super::GraphEnd)| PageEnd {
        label: safe(&e.label).into_owned(),
        name: safe(&e.name).into_owned(),
        kind: safe(&e.kind).into_owned(),
        group: drawing.nodes[i].group,
        pods: e.pods,
        ranges: e.ranges.clone(),
        at: [places.nodes[i].0.round(), places.nodes[i].1.round()],
    };
    let edge = |e: &GraphEdge| PageEdge {
        from: e.from.iter().filter_map(at).collect(),
        to: e.to.iter().filter_map(at).collect(),
        text: safe(&e.summary).into_owned(),
        state: super::drawing::State::of(e) as u8,
        rules: e.rules.clone(),
        free: e.unrestricted.clone(),
        example: e.example.as_ref().and_then(|(a, b)| Some([at(a)?, at(b)?])),
    };
    let exposure = |e: &super::GraphExposure| PageExposure {
        to: e.to.iter().filter_map(at).collect(),
        who: safe(&e.who).into_owned(),
        text: safe(&e.summary).into_owned(),
        outside: e.from == "outside",
        state: match (e.open.is_empty(), e.partial.is_empty(), e.unknown.is_empty()) {
            (false, ..) => 0,
            (_, false, _) => 1,
            (_, _, false) => 2,
            _ => 3,
        },
        through: safe(&e.through.as_ref().map(super::GraphThrough::words).unwrap_or_default()).into_owned(),
        notes: e.notes.iter().map(|n| safe(n).into_owned()).collect(),
        rule: e.rule,
    };
    Page {
        cni: &report.cni,
        unit: if report.granularity == "pod" { "pods" } else { "workloads" },
        node: [WIDTH, HEIGHT],
        groups: names
            .iter()
            .zip(&places.groups)
            .map(|(n, r)| Group { name: safe(n.unwrap_or("outside")).into_owned(), rect: corners(r) })
            .collect(),
        ends: report.ends.iter().enumerate().map(end).collect(),
        edges: report.edges.iter().map(edge).collect(),
        exposures: report.exposures.iter().map(exposure).collect(),
        rules: report.rules.iter().map(rule).collect(),
        notes: report
            .assumptions
            .iter()
            .map(|a| format!("taken as given: {a}"))
            .chain(report.notes.clone())
            .map(|n| safe(&n).into_owned())
            .collect(),
    }
}

fn links(report: &GraphReport, at: &impl Fn(&String) -> Option<usize>) -> Vec<super::drawing::Link> {
    let mut out = Vec::new();
    for edge in &report.edges {
        for from in edge.from.iter().filter_map(at) {
            for to in edge.to.iter().filter_map(at).filter(|to| *to != from) {
                let state = super::drawing::State::of(edge);
                out.push(super::drawing::Link { from, to, label: String::new(), state });
            }
        }
    }
    out
}

fn rule(rule: &GraphRule) -> PageRule {
    let place = &rule.place;
    let namespace = place.namespace.as_ref().map_or(String::new(), |n| format!("{n}/"));
    let at = match (&place.file, place.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        _ => String::new(),
    };
    let what = match place.action.as_str() {
        "DefaultDeny" => format!("isolates for {}", place.direction),
        action => format!("{} {}", action.to_ascii_lowercase(), place.direction),
    };
    let safe = |text: &str| safe(text).into_owned();
    PageRule {
        title: safe(&format!("{} {namespace}{}", place.kind, place.name)),
        what: safe(&format!("{what}, {}", place.path)),
        at: safe(&at),
        yaml: safe(rule.yaml.as_deref().unwrap_or_default()),
    }
}
