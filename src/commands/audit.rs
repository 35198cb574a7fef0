//! `netcheck audit`: what the policies really do, and what is probably wrong with them.

use std::path::Path;

use super::{Exit, Output, input};
use crate::analysis::audit::suppress::{self, Baseline, Config, Disposition, FailOn, Suppression};
use crate::analysis::audit::{Audit, Scope, audit};
use crate::analysis::probe::Tally;
#[cfg(feature = "live")]
use crate::analysis::probe::sample;
use crate::cli::{AuditArgs, AuditOutput, Format, Global};
use crate::model::NamespaceId;
use crate::model::query::nearest;
#[cfg(feature = "live")]
use crate::reach::Evaluator;
use crate::report::audit::{Audited, Drawing, findings as lines, render, report};
use crate::report::{github, sarif};

/// The configuration file that is read where it exists.
const CONFIG: &str = "netcheck.yaml";
/// Configuration and baseline files are small; a larger one is something else.
const LARGEST: u64 = 64 << 20;

/// Runs the audit.
pub(super) fn run(global: &Global, args: &AuditArgs, output: &mut Output) -> Exit {
    let fail_on: Result<Vec<FailOn>, String> = args.fail_on.iter().map(|f| f.parse()).collect();
    let files = fail_on.and_then(|fail_on| Ok((fail_on, config(args)?, baseline(args)?)));
    let (fail_on, mut suppressions, baseline) = match files {
        Ok(files) => files,
        Err(message) => {
            output.error(&message);
            return Exit::Error;
        }
    };
    #[cfg(feature = "live")]
    if args.probe.live
        && let Err(exit) = super::probe::sensible(global, output)
    {
        return exit;
    }
    // Several namespaces narrow the audit; one is also that of manifests that name none.
    let names: Vec<&str> = global.namespace.iter().flat_map(|n| n.split(',')).filter(|n| !n.is_empty()).collect();
    let live = global.filename.is_empty();
    let narrowed = Global { namespace: names.first().map(|n| (*n).to_owned()), ..global.clone() };
    // What the peers of one namespace's policies select may be in any other.
    let around: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let Some(input) = input::survey(&narrowed, &around, output) else { return Exit::Error };
    let cluster = &input.cluster;
    let mut only: Vec<NamespaceId> = Vec::new();
    let own = (live && !global.all_namespaces && names.is_empty()).then_some(&*input.namespace);
    for name in names.iter().copied().chain(own) {
        match cluster.namespace(name) {
            Some(id) => only.push(id),
            None => {
                output.error(&format!("there is no namespace `{name}`"));
                if let Some(near) = nearest(name, cluster.namespaces.iter().map(|n| &*n.name)) {
                    output.help(&format!("did you mean `{near}`?"));
                }
                return Exit::Error;
            }
        }
    }
    let only = (!only.is_empty()).then_some(only.as_slice());
    let scope = Scope { only, partial: !input.unread.is_empty() };
    let Audit { workloads, mut findings } = audit(cluster, &input.policies, &input.profile, &input.sources, scope);
    if only.is_some() {
        // What the file says of other namespaces can't be judged here.
        suppressions.retain(|s| findings.iter().any(|f| s.matches(f)));
    }
    suppressions.extend(suppress::annotated(cluster, only, &mut findings));
    let (findings, gone) = suppress::settle(findings, &suppressions, &baseline);
    if let Some(path) = &args.write_baseline
        && let Err(error) = write_baseline(path, &Baseline::of(&findings))
    {
        output.error(&format!("can't write `{}`: {error}", path.display()));
        return Exit::Error;
    }
    #[cfg(feature = "live")]
    let packets = match args.probe.live.then(|| packets(&narrowed, args, &input, only, output)) {
        None => None,
        Some(Ok(tally)) => Some(tally),
        Some(Err(exit)) => return exit,
    };
    #[cfg(not(feature = "live"))]
    let packets: Option<Tally> = None;
    let audited = Audited {
        cluster,
        policies: &input.policies,
        sources: &input.sources,
        cni: &input.profile.name,
        workloads: &workloads,
        findings: &findings,
        gone: if only.is_some() { 0 } else { gone },
        packets: packets.as_ref(),
    };
    let fails = findings.iter().any(|(finding, disposition)| {
        *disposition == Disposition::Active && fail_on.iter().any(|f| f.matches(finding))
    });
    let doubtful = packets.as_ref().is_some_and(|tally| !tally.is_confirmed());
    let exit = match (fails, doubtful) {
        (true, _) => Exit::No,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Yes,
    };
    match args.output {
        AuditOutput::Text | AuditOutput::Wide => {
            let drawing = Drawing {
                color: output.color,
                width: output.width.unwrap_or(100),
                wide: args.output == AuditOutput::Wide || global.verbose > 0,
            };
            output.text(&render(&audited, drawing));
            exit
        }
        AuditOutput::Json => output.document(&report(&audited), Format::Json, exit),
        AuditOutput::Yaml => output.document(&report(&audited), Format::Yaml, exit),
        AuditOutput::Sarif => output.document(&sarif::log(&lines(&audited)), Format::Json, exit),
        AuditOutput::Github => {
            output.text(&github::annotations(&lines(&audited)));
            exit
        }
    }
}

/// Tries some of the verdicts with packets.
#[cfg(feature = "live")]
fn packets(
    global: &Global,
    args: &AuditArgs,
    input: &input::Input,
    only: Option<&[NamespaceId]>,
    output: &mut Output,
) -> Result<Tally, Exit> {
    use super::probe::{self, Try};

    let evaluator = Evaluator::new(&input.cluster, &input.policies, &input.profile);
    let plans = sample(&evaluator, only, usize::from(args.sample));
    let tries: Vec<Try> = plans.into_iter().map(|(pod, plan)| Try { pod, plan }).collect();
    let mut out = Tally::default();
    if tries.is_empty() {
        output.note("note: there is nothing to try with packets: no pod runs, or none declares a TCP port\n");
        return Ok(out);
    }
    let sending = probe::Sending { global, flags: &args.probe, capture: None };
    let tallies = probe::tally(sending, &input.cluster, &input.profile, &tries, output)?;
    tallies.iter().for_each(|tally| out.merge(tally));
    Ok(out)
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("can't read `{}`: {error}", path.display());
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(format!("`{}` is larger than such a file can be", path.display()));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The suppressions of the configuration file.
fn config(args: &AuditArgs) -> Result<Vec<Suppression>, String> {
    let path = match &args.config {
        Some(path) => path.as_path(),
        None if Path::new(CONFIG).is_file() => Path::new(CONFIG),
        None => return Ok(Vec::new()),
    };
    let config: Config = serde_saphyr::from_str(&read(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    config.suppressions(&path.display().to_string())
}

/// The baseline; where it is to be written for the first time, an empty one.
fn baseline(args: &AuditArgs) -> Result<Baseline, String> {
    let Some(path) = &args.baseline else { return Ok(Baseline::default()) };
    let baseline: Baseline = serde_json::from_str(&read(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    if baseline.kind != "AuditBaseline" {
        return Err(format!("`{}` is not a baseline: its kind is `{}`", path.display(), baseline.kind));
    }
    Ok(baseline)
}

fn write_baseline(path: &Path, baseline: &Baseline) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(baseline).map_err(std::io::Error::other)?;
    std::fs::write(path, text + "\n")
}
