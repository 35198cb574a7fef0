//! Why a pod crash-loops or hangs: the network first, and every other cause told apart from it.
//!
//! What comes in: the cluster's model with its evaluator, [`Facts`](facts::Facts) about pods, and their [`Logs`]. What goes
//! out: [`Finding`]s, ranked, the root before its symptoms. It knows neither files nor a live cluster, and has no clock: a
//! caller picks [`troubled`](select::troubled) pods, fetches their logs, and asks [`diagnose`].
//!
//! ```text
//! facts ─► select ─► run (which run failed, what it logged) ─┬─► state, exits, probes, said   causes of the pod's own
//!                                                            └─► depend ─► resolve ─► network  causes on the way
//!                                                                                         └──► rank
//! ```

mod addresses;
pub mod cause;
mod depend;
mod drivers;
mod exits;
pub mod facts;
mod files;
mod finding;
mod leads;
mod network;
mod probes;
mod rank;
mod resolve;
mod rollout;
mod run;
mod said;
mod scripts;
mod secrets;
pub mod select;
mod state;
mod time;
mod wants;

use std::collections::BTreeMap;

pub use addresses::addresses;
pub use cause::{Cause, Confidence};
pub use finding::{Culprit, Finding, Network, PolicyPlace, Proof, ProofKind, Target};
pub use leads::{Leads, leads};
pub use scripts::{Dialled, dialled, expand};
pub use select::{Scope, Subject};
pub use time::parse as seconds;
pub use wants::{LogOf, Wants};

use crate::policy::Profile;
use crate::reach::Evaluator;
use crate::source::SourceMap;
use facts::{Facts, Key};

/// The log of a container, as far as it was fetched.
#[derive(Clone, Debug, Default)]
pub struct ContainerLog {
    /// Of the run that is on now, or was last.
    pub current: Option<String>,
    /// Of the run before.
    pub previous: Option<String>,
}

/// Logs by namespace, pod and container.
#[derive(Clone, Debug, Default)]
pub struct Logs(pub BTreeMap<(String, String, String), ContainerLog>);

impl Logs {
    /// The log of a container.
    pub fn of(&self, pod: &Key, container: &str) -> Option<&ContainerLog> {
        self.0.get(&(pod.0.clone(), pod.1.clone(), container.to_owned()))
    }
}

/// Everything a diagnosis looks at.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Who reaches whom.
    pub evaluator: &'a Evaluator<'a>,
    /// The network plugin's profile, which the evaluator was made with.
    pub profile: &'a Profile,
    /// The policies' texts, for fixes.
    pub sources: &'a SourceMap,
    /// What is known of pods.
    pub facts: &'a Facts,
    /// What they logged.
    pub logs: &'a Logs,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// Findings, ranked.
    pub findings: Vec<Finding>,
    /// Pods in trouble for which no cause was found.
    pub unexplained: Vec<(Key, String)>,
    /// Pods that were looked at.
    pub examined: usize,
}

/// Finds out what is wrong with pods in trouble.
pub fn diagnose(case: &Case<'_>, subjects: &[Subject]) -> Diagnosis {
    let mut out = Diagnosis { examined: subjects.len(), ..Diagnosis::default() };
    let mut all = Vec::new();
    for subject in subjects {
        let Some(pod) = case.facts.pods.get(&subject.pod) else { continue };
        let mut found = Vec::new();
        let ways = run::Examined::of(case, subject, pod);
        state::pod(&ways, &mut found);
        for container in &ways.containers {
            let before = found.len();
            examine(&ways, container, &mut found);
            for finding in &mut found[before..] {
                finding.evidence.extend(container.back_off_proof(case.facts.now));
            }
        }
        for finding in &mut found {
            finding.evidence.extend(rollout::proof(&ways, finding));
        }
        if found.is_empty() {
            out.unexplained.push((subject.pod.clone(), subject.trouble.clone()));
        }
        rank::within_pod(&mut found);
        all.extend(found);
    }
    out.findings = rank::group(case, all);
    out
}

/// The causes of one container's trouble.
fn examine(pod: &run::Examined<'_>, container: &run::Run<'_>, found: &mut Vec<Finding>) {
    let before = found.len();
    state::container(pod, container, found);
    if found.len() > before {
        // What keeps a container from starting leaves nothing else to look at.
        return;
    }
    network::connections(pod, container, found);
    probes::liveness(pod, container, found);
    exits::exit(pod, container, found);
    said::said(pod, container, found);
    if found.len() == before {
        network::declared(pod, container, found);
    }
    if found.len() == before {
        probes::readiness(pod, container, found);
    }
    if found.len() == before {
        exits::unexplained(pod, container, found);
    }
}
