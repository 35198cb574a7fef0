//! The packets beside the policies: both verdicts, every target that was tried, and what a disagreement means.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Modify, Padding, Style};

use super::VerdictName;
use super::text::Drawing;
use crate::analysis::probe::{Agreement, Enforcement, Finding, Item, Judgement, Plan, Role};
use crate::probe_record::{Class, Detail};
use crate::reach::Verdict;
use crate::report::text::{Paint, safe, wrapped};

/// A probe with what came of it, as `commands` hands it over.
#[derive(Clone, Debug)]
pub struct Probe {
    /// `NAMESPACE/NAME` of the pod that was probed from.
    pub pod: String,
    /// How it was done, as a clause.
    pub how: String,
    /// What stays behind in the cluster.
    pub left: Option<String>,
    /// How long the attempts took, in milliseconds.
    pub millis: u32,
    /// What was tried.
    pub plan: Plan,
    /// What came of it.
    pub judgement: Judgement,
    /// Facts about it, a sentence each.
    pub notes: Vec<String>,
    /// Connections that were followed.
    pub capture: Vec<Capture>,
}

/// A connection that failed and was followed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capture {
    /// As the agent takes it: `tcp:10.0.0.1:5432`.
    pub target: String,
    /// What is behind it.
    pub what: String,
    /// Packets that were sent, at least.
    pub sent: u32,
    /// Where they died: `client` (inside its pod), `way`, `server` (inside its pod), `program` (arrived, not accepted or
    /// refused there), `way-back`, `client-back`; `nowhere` where they went through, `unknown` where it can't be told.
    pub place: String,
    /// The same in words, and what captures on the nodes and the plugin's flow log say.
    pub meanings: Vec<String>,
    /// What was counted.
    pub facts: Vec<String>,
    /// Commands that do the same by hand.
    pub commands: Vec<String>,
    /// What stays behind in the cluster.
    pub left: Vec<String>,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

/// What packets came to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveResult {
    /// `NAMESPACE/NAME` of the pod that was probed from.
    pub pod: String,
    /// How the probe got into its network.
    pub via: String,
    /// What stays behind in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// The packets' verdict.
    pub verdict: VerdictName,
    /// How it goes with the static verdict: `agrees`, `settled` (the policies left it open), `inconclusive`, `disagrees`.
    pub agreement: String,
    /// Whether policies are enforced at all: `seen` (a flow that they block failed), `absent` (one went through),
    /// `not-checked`.
    pub enforcement: String,
    /// How long the attempts took, in milliseconds.
    pub millis: u32,
    /// Every target that was tried.
    pub probes: Vec<ProbeResult>,
    /// What a disagreement means, or why nothing can be told.
    pub meanings: Vec<String>,
    /// Facts about the probe.
    pub notes: Vec<String>,
    /// Connections that were followed from end to end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capture: Vec<Capture>,
}

/// One target that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeResult {
    /// `dns`, `service`, `endpoint`, `must-fail`.
    pub role: String,
    /// What is behind it.
    pub what: String,
    /// As the agent takes it: `tcp:10.0.0.1:5432`.
    pub target: String,
    /// The static verdict for it.
    pub expected: VerdictName,
    /// How it ended, as the agent spells it: `open`, `refused`, `timeout` …, see docs/agent.md; none where nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// How it ended through the proxy of a mesh in the client's pod, as its application has it, where the class is that past it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through_proxy: Option<String>,
    /// More about it, as the agent spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How long it took, in milliseconds.
    pub millis: u32,
    /// How often it was tried.
    pub tries: u8,
    /// `agrees`, `settled`, `inconclusive`, `disagrees`.
    pub agreement: String,
}

/// The machine-readable form.
pub(super) fn result(probe: &Probe) -> LiveResult {
    let judgement = &probe.judgement;
    let probes = probe.plan.items.iter().zip(&judgement.findings).map(|(item, finding)| ProbeResult {
        role: item.role.name().to_owned(),
        what: item.what.clone(),
        target: item.target.to_string(),
        expected: item.expected.into(),
        class: finding.class.map(|c| c.to_string()),
        through_proxy: finding.through.map(|c| c.to_string()),
        detail: (finding.detail != Detail::None).then(|| finding.detail.to_string()),
        millis: finding.millis,
        tries: finding.tries,
        agreement: finding.agreement.name().to_owned(),
    });
    LiveResult {
        pod: probe.pod.clone(),
        via: probe.how.clone(),
        left: probe.left.clone(),
        verdict: judgement.verdict.into(),
        agreement: judgement.agreement.name().to_owned(),
        enforcement: judgement.enforcement.name().to_owned(),
        millis: probe.millis,
        probes: probes.collect(),
        meanings: judgement.meanings.clone(),
        notes: probe.notes.clone(),
        capture: probe.capture.clone(),
    }
}

/// Endpoints that are drawn before the others are counted; those that disagree are drawn in any case.
const MOST_ROWS: usize = 12;

/// The same for people.
pub(super) fn text(probe: &Probe, expected: Verdict, drawing: Drawing, paint: Paint) -> String {
    let judgement = &probe.judgement;
    let mut out = String::new();
    let head = format!("\n{}: from {}, by {}\n", paint.bold("packets"), safe(&probe.pod), safe(&probe.how));
    out.push_str(&wrapped(&head, drawing.wrap));
    let mut builder = Builder::default();
    builder.push_record(["PROBE", "TO", "POLICIES", "PACKETS", ""].map(|h| paint.dim(h)));
    let mut hidden = 0;
    for (index, (item, finding)) in probe.plan.items.iter().zip(&judgement.findings).enumerate() {
        if index >= MOST_ROWS && !drawing.wide && finding.agreement == Agreement::Agrees {
            hidden += 1;
            continue;
        }
        builder.push_record(row(item, finding, paint));
    }
    let mut table = builder.build();
    table.with(Style::empty()).with(Modify::new(Columns::new(..)).with(Padding::new(0, 2, 0, 0)));
    for line in table.to_string().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if hidden > 0 {
        let _ = writeln!(out, "… {hidden} more that agree, with -o wide");
    }
    let packets = judgement.verdict.name();
    let policies = expected.name();
    let line = match judgement.agreement {
        Agreement::Agrees => format!("{}: {packets} by packets too", paint.green("confirmed")),
        Agreement::Settled => format!("{}: {packets} by packets, which the policies left open", paint.green("settled")),
        Agreement::Inconclusive => {
            format!("{}: {policies} by the policies, the packets don't tell", paint.yellow("inconclusive"))
        }
        Agreement::Disagrees if judgement.verdict == expected => {
            format!(
                "{}: {packets} by both, and something beside it is not as the policies say",
                paint.red("disagreement")
            )
        }
        Agreement::Disagrees => {
            format!("{}: {packets} by packets, {policies} by the policies", paint.red("disagreement"))
        }
    };
    let mut said = format!("\n{line}\n");
    for meaning in &judgement.meanings {
        let _ = writeln!(said, "  {} {}", paint.yellow("→"), safe(meaning));
    }
    if judgement.enforcement == Enforcement::NotChecked {
        let why = "whether policies are enforced was not checked: no TCP connection that they block is known from here";
        let _ = writeln!(said, "  {}: {why}", paint.bold("note"));
    }
    for note in probe.plan.notes.iter().chain(&probe.notes) {
        let _ = writeln!(said, "  {}: {}", paint.bold("note"), safe(note));
    }
    if let Some(left) = &probe.left {
        let _ = writeln!(said, "  {}: stays behind: {}", paint.bold("note"), safe(left));
    }
    out.push_str(&wrapped(&said, drawing.wrap));
    for capture in &probe.capture {
        out.push_str(&followed(capture, drawing.wrap, paint));
    }
    out
}

fn followed(capture: &Capture, width: Option<usize>, paint: Paint) -> String {
    let mut out = String::new();
    let place = capture.target.split_once(':').map_or("", |(_, place)| place);
    let to = if place.starts_with(&capture.what) { place.to_owned() } else { format!("{} {place}", capture.what) };
    let _ = writeln!(out, "\n{}: {} packets to {}", paint.bold("capture"), capture.sent, safe(&to));
    for meaning in &capture.meanings {
        let _ = writeln!(out, "  {} {}", paint.yellow("→"), safe(meaning));
    }
    for fact in &capture.facts {
        let _ = writeln!(out, "  {}", paint.dim(&safe(fact)));
    }
    for note in &capture.notes {
        let _ = writeln!(out, "  {}: {}", paint.bold("note"), safe(note));
    }
    for left in &capture.left {
        let _ = writeln!(out, "  {}: stays behind: {}", paint.bold("note"), safe(left));
    }
    out = wrapped(&out, width);
    // A command stays whole, to be copied.
    for command in &capture.commands {
        let _ = writeln!(out, "  by hand: {}", safe(command));
    }
    out
}

fn row(item: &Item, finding: &Finding, paint: Paint) -> [String; 5] {
    let target = item.target.to_string();
    let (_, place) = target.split_once(':').unwrap_or(("", &target));
    let to = match item.role {
        Role::Name => item.what.clone(),
        _ if place.starts_with(&item.what) => place.to_owned(),
        _ => format!("{} {place}", item.what),
    };
    let packets = match finding.class {
        None => "no answer".to_owned(),
        Some(class) => {
            let word = class.as_str();
            let detail = match finding.detail {
                Detail::Icmp { from: Some(from), .. } => format!(", says {from}"),
                Detail::Http(code) => format!(", HTTP {code}"),
                _ => String::new(),
            };
            let tries = if finding.tries > 1 { format!(", {} tries", finding.tries) } else { String::new() };
            let time = if finding.millis >= 1000 {
                format!("{:.1} s", f64::from(finding.millis) / 1000.0)
            } else {
                format!("{} ms", finding.millis)
            };
            let word = match class {
                Class::Open => paint.green(word),
                Class::Timeout | Class::Prohibited | Class::Refused | Class::RefusedIcmp => paint.red(word),
                _ => paint.yellow(word),
            };
            let through = match finding.through {
                Some(through) if through != class => format!(", {through} through the proxy"),
                _ => String::new(),
            };
            format!("{word} in {time}{tries}{detail}{through}")
        }
    };
    let agreement = match finding.agreement {
        Agreement::Agrees => paint.dim("agrees"),
        Agreement::Settled => paint.green("settled"),
        Agreement::Inconclusive => paint.yellow("inconclusive"),
        Agreement::Disagrees => paint.red("disagrees"),
    };
    [item.role.name().to_owned(), safe(&to).into_owned(), item.expected.name().to_owned(), packets, agreement]
}
