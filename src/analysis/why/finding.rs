//! A finding: a cause with what proves it, what to do, and why that works.

use super::cause::{Cause, Confidence};
use super::facts::Key;
use crate::analysis::fix::Proposal;
use crate::analysis::logs::scrub;
use crate::model::query::Target as Asked;
use crate::reach::Check;
use crate::source::{Diagnostic, FieldPath, Origin};

/// Where a piece of proof comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProofKind {
    /// A field of `status`.
    Status,
    /// An event.
    Event,
    /// A line of a log.
    Log,
    /// A field of `spec`.
    Spec,
    /// A policy.
    Policy,
    /// Lengths and orders of times.
    Time,
    /// Packets that were sent.
    Probe,
}

impl ProofKind {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Event => "event",
            Self::Log => "log",
            Self::Spec => "spec",
            Self::Policy => "policy",
            Self::Time => "time",
            Self::Probe => "probe",
        }
    }
}

/// Something quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Kind of its source.
    pub kind: ProofKind,
    /// Where it stands: a field, an event's reason, a log and its line.
    pub at: String,
    /// The quote, without credentials.
    pub text: String,
}

/// The longest quote, in characters.
const QUOTE: usize = 600;

impl Proof {
    /// A quote; credentials are taken out here, so that no finding can hold any.
    pub fn new(kind: ProofKind, at: impl Into<String>, text: &str) -> Self {
        let text = scrub(text);
        let mut text: String = text.trim().chars().take(QUOTE + 1).collect();
        if text.chars().count() > QUOTE {
            text = text.chars().take(QUOTE).collect::<String>() + "…";
        }
        Self { kind, at: at.into(), text }
    }
}

/// An object at fault that isn't a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// Kind.
    pub kind: String,
    /// Namespace; empty for what has none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Field, where one is at fault.
    pub path: Option<String>,
}

/// What was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address, as the pod dials it.
    pub host: String,
    /// Port.
    pub port: Option<u16>,
    /// What it leads to: `Service c-db/postgres`, `outside the cluster` …
    pub leads_to: String,
    /// Where the target is known from.
    pub known_from: String,
}

impl Target {
    /// `host:port`.
    pub fn text(&self) -> String {
        match self.port {
            Some(port) if self.host.contains(':') => format!("[{}]:{port}", self.host),
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// A policy at fault, and the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPlace {
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Field.
    pub path: String,
    /// The same, for finding it in its text.
    pub field: FieldPath,
    /// What it does: `isolates`, `denies`, `nearly allows`.
    pub role: &'static str,
    /// Where it was read.
    pub origin: Option<Origin>,
}

/// The way to the target, where that is what fails.
#[derive(Clone, Debug)]
pub struct Network {
    /// What was dialled.
    pub target: Target,
    /// `egress`, `ingress` or `dns`.
    pub direction: Option<&'static str>,
    /// Policies at fault, the one to change first.
    pub policies: Vec<PolicyPlace>,
    /// The policies' own lines.
    pub diagnostics: Vec<Diagnostic>,
    /// What it is to the evaluator.
    pub asked: Option<Asked>,
    /// The check.
    pub check: Option<Check>,
    /// Edits that were evaluated again and found to work.
    pub proposal: Proposal,
}

/// A cause that was found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// How much speaks for it; for ranking within a pod.
    pub score: i32,
    /// Pods it was found on.
    pub pods: Vec<Key>,
    /// Their workload: kind and name.
    pub workload: Option<(String, String)>,
    /// Container.
    pub container: Option<String>,
    /// One sentence.
    pub summary: String,
    /// Quotes.
    pub evidence: Vec<Proof>,
    /// What to do.
    pub advice: String,
    /// Why that works.
    pub because: String,
    /// The command that shows it.
    pub command: String,
    /// The object at fault, where it is no policy.
    pub culprit: Option<Culprit>,
    /// The way, where that is what fails.
    pub network: Option<Box<Network>>,
}

impl Finding {
    /// A finding of a pod.
    pub fn new(cause: Cause, score: i32, pod: &Key, summary: impl Into<String>) -> Self {
        Self {
            cause,
            confidence: Confidence::of(score),
            score,
            pods: vec![pod.clone()],
            workload: None,
            container: None,
            summary: summary.into(),
            evidence: Vec::new(),
            advice: String::new(),
            because: String::new(),
            command: String::new(),
            culprit: None,
            network: None,
        }
    }

    /// Of a container.
    #[must_use]
    pub fn of_container(mut self, name: &str) -> Self {
        self.container = Some(name.to_owned());
        self
    }

    /// With quotes.
    #[must_use]
    pub fn proven(mut self, proofs: impl IntoIterator<Item = Proof>) -> Self {
        for proof in proofs {
            if !self.evidence.contains(&proof) {
                self.evidence.push(proof);
            }
        }
        self
    }

    /// What to do, and why that works.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>, because: impl Into<String>) -> Self {
        self.advice = advice.into();
        self.because = because.into();
        self
    }

    /// The command that shows it.
    #[must_use]
    pub fn shown_by(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// The object at fault.
    #[must_use]
    pub fn blame(mut self, kind: &str, namespace: &str, name: &str, path: Option<String>) -> Self {
        self.culprit =
            Some(Culprit { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned(), path });
        self
    }
}
