//! Findings for people: the cause in a sentence, what proves it, the policy's lines, what to do and why that works.

use super::super::check::Facts;
use super::super::{Paint, safe, snippet, wrapped};
use crate::analysis::why::{Confidence, Diagnosis, Finding};

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawing {
    /// Colours.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Columns at which sentences are broken; none where nobody looks at a terminal.
    pub wrap: Option<usize>,
    /// All evidence and every fix.
    pub verbose: bool,
}

/// Evidence that is shown of one finding.
const SHOWN: usize = 6;
/// Pods that are named of one finding.
const PODS: usize = 4;

/// The answer for people.
pub fn render(facts: Facts<'_>, diagnosis: &Diagnosis, drawing: Drawing) -> String {
    let paint = Paint(drawing.color);
    let mut out = String::new();
    for (index, finding) in diagnosis.findings.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        one(facts, finding, drawing, paint, &mut out);
    }
    for (pod, state) in &diagnosis.unexplained {
        out.push_str(&format!(
            "{} {}/{}: {}; nothing in its state, events and logs says why\n",
            paint.yellow("?"),
            safe(&pod.0),
            safe(&pod.1),
            safe(state)
        ));
    }
    out
}

fn one(facts: Facts<'_>, finding: &Finding, drawing: Drawing, paint: Paint, out: &mut String) {
    let pods: Vec<String> = finding.pods.iter().take(PODS).map(|p| format!("{}/{}", p.0, p.1)).collect();
    let more = finding.pods.len().saturating_sub(PODS);
    let more = if more > 0 { format!(" and {more} more pods") } else { String::new() };
    let title = format!("{}[{}]", finding.cause.name(), finding.cause.code());
    let sure = match finding.confidence {
        Confidence::High => paint.dim("certain as far as can be seen from here"),
        Confidence::Medium => paint.yellow("likely"),
        Confidence::Low => paint.yellow("possible"),
    };
    let mut head =
        format!("{} {}{more}: {} ({sure})\n", paint.red(&title), safe(&pods.join(", ")), safe(finding.cause.title()));
    head.push_str(&format!("  {}\n", paint.bold(&safe(&finding.summary))));
    let shown = if drawing.verbose { finding.evidence.len() } else { SHOWN };
    for proof in finding.evidence.iter().take(shown) {
        let mut lines = proof.text.lines();
        let first = lines.next().unwrap_or_default();
        head.push_str(&format!("    {} {}\n", paint.dim(&format!("{}:", safe(&proof.at))), safe(first)));
        for line in lines.take(6) {
            head.push_str(&format!("      {}\n", safe(line)));
        }
    }
    if finding.evidence.len() > shown {
        head.push_str(&format!("    {}\n", paint.dim(&format!("{} more with -v", finding.evidence.len() - shown))));
    }
    out.push_str(&wrapped(&head, drawing.wrap));
    let network = finding.network.as_deref();
    for diagnostic in network.map(|n| n.diagnostics.as_slice()).unwrap_or_default() {
        out.push('\n');
        out.push_str(&snippet::fitted(diagnostic, facts.sources, drawing.color, drawing.width, drawing.wrap));
    }
    let fix = network
        .map(|n| super::super::check::fix::text(facts, &n.proposal, drawing.verbose, paint, drawing.wrap))
        .unwrap_or_default();
    if !fix.is_empty() {
        out.push('\n');
        out.push_str(&fix);
    }
    if fix.is_empty() {
        out.push_str(&wrapped(&format!("  {} {}\n", paint.cyan("do:"), safe(&finding.advice)), drawing.wrap));
    }
    if !finding.because.is_empty() {
        out.push_str(&wrapped(&format!("  {} {}\n", paint.dim("why:"), safe(&finding.because)), drawing.wrap));
    }
    if !finding.command.is_empty() {
        out.push_str(&format!("  {} {}\n", paint.dim("see:"), safe(&finding.command)));
    }
}
