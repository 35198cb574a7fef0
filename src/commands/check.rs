//! `netcheck CLIENT TARGET`: the check.

use super::{Exit, Output, input};
use crate::analysis::explain::explain;
use crate::analysis::fix::{Proposal, Question, propose};
use crate::analysis::probe::Agreement;
use crate::cli::{CheckArgs, CheckOutput, Global};
use crate::model::query::{Asking, Client, ClientSpec, PortSpec, QueryError, Resolved, Target, TargetSpec};
use crate::model::{Cluster, PodId, PortSet, Protocol};
use crate::reach::{Check, CheckOptions, Evaluator, Source, Verdict};
use crate::report::check::{Asked, Drawing, Facts, objects, render, report};
use crate::source::unread::Gravity;

/// Runs the check.
pub(super) fn run(global: &Global, args: &CheckArgs, output: &mut Output) -> Exit {
    let plan = match plan(args) {
        Ok(plan) => plan,
        Err(error) => return refuse(&error, output),
    };
    #[cfg(feature = "live")]
    if args.probe.live
        && let Err(exit) = super::probe::sensible(global, output)
    {
        return exit;
    }
    // Of the pods around, one that policies block shows by packets whether they are enforced.
    #[cfg(feature = "live")]
    let around = args.probe.live;
    #[cfg(not(feature = "live"))]
    let around = false;
    let asking = Asking { client: &plan.client, targets: &plan.targets, dns: !args.no_dns, around };
    let Some(input) = input::read(global, Some(asking), output) else { return Exit::Error };
    let evaluator = Evaluator::new(&input.cluster, &input.policies, &input.profile);
    let client = match input.cluster.resolve_client(&plan.client, &input.namespace) {
        Ok(client) => client,
        Err(error) => return refuse(&error, output),
    };
    let options = CheckOptions { dns: !args.no_dns };
    let mut asked = Vec::new();
    for target in &plan.targets {
        let found = match resolve_target(&input, &client.what, target) {
            Ok(found) => found,
            Err(error) => return refuse(&error, output),
        };
        let mut notes = client.notes.clone();
        notes.extend(found.notes);
        let ports = match ports(&input.cluster, target, &found.what, args.all_ports) {
            Ok(ports) => ports,
            Err(error) => return refuse(&error, output),
        };
        for (port, protocol) in ports {
            for (pods, mut check, connections) in
                grouped(&evaluator, &client.what, &found.what, port.as_ref(), protocol, options)
            {
                // Where it can't work anyway, what policies would say is no answer to the question.
                let explanations = match check.obstacle {
                    None => explain(&evaluator, &check),
                    Some(_) => Vec::new(),
                };
                let source =
                    pods.first().map_or_else(|| Source::of(&client.what).into_iter().next(), |p| Some(Source::Pod(*p)));
                let proposal = match (source, &port) {
                    (Some(source), Some(port)) if !global.quiet => {
                        let question = Question { source, target: &found.what, port, protocol, options };
                        propose(&evaluator, &input.profile, &input.sources, &question)
                    }
                    _ => Proposal::default(),
                };
                let mut notes = notes.clone();
                doubt(global, &input, &mut check, &mut notes);
                let diagnostics = explanations.iter().map(|e| e.diagnostic(&evaluator)).collect();
                asked.push(Asked {
                    client_text: args.client.clone(),
                    client: client.what.clone(),
                    pods,
                    target_text: target.text.clone(),
                    target: found.what.clone(),
                    port: port.clone(),
                    protocol,
                    check,
                    connections,
                    notes,
                    explanations,
                    diagnostics,
                    proposal,
                    live: None,
                });
            }
        }
    }
    #[cfg(feature = "live")]
    let failed = match args.probe.live.then(|| packets(global, args, &input, &evaluator, &mut asked, output)) {
        Some(Err(exit)) => return exit,
        Some(Ok(failed)) => failed,
        None => Vec::new(),
    };
    let facts = Facts { cluster: &input.cluster, policies: &input.policies, sources: &input.sources };
    match args.output {
        CheckOutput::Yaml if args.fix => {
            let mut documents: Vec<String> = Vec::new();
            for document in asked.iter().filter_map(|a| a.proposal.fixes.first()).map(objects) {
                if !documents.contains(&document) {
                    documents.push(document);
                }
            }
            output.text(&documents.join("---\n"));
        }
        CheckOutput::Text | CheckOutput::Wide => {
            let drawing = Drawing {
                color: output.color,
                width: output.width.unwrap_or(100),
                wrap: output.width,
                wide: args.output == CheckOutput::Wide || global.verbose > 0,
                fix_only: args.fix,
            };
            let texts: Vec<String> = asked.iter().map(|a| render(facts, a, drawing)).collect();
            output.text(&texts.join("\n"));
        }
        CheckOutput::Json | CheckOutput::Yaml => {
            let report = report(facts, &input.profile.name, &asked);
            let text = match args.output {
                CheckOutput::Json => serde_json::to_string_pretty(&report).map(|t| t + "\n").map_err(|e| e.to_string()),
                _ => serde_saphyr::to_string(&report).map_err(|e| e.to_string()),
            };
            match text {
                Ok(text) => output.text(&text),
                Err(error) => {
                    output.error(&format!("the answer can't be written: {error}"));
                    return Exit::Error;
                }
            }
        }
    }
    #[cfg(feature = "live")]
    if !failed.is_empty() {
        for error in &failed {
            super::cluster::refuse(error, output);
        }
        return Exit::Error;
    }
    exit(asked.iter().map(decided))
}

/// The verdict that decides: the packets' where they tell, and where they agree with the policies or settle what these
/// leave open.
fn decided(asked: &Asked) -> Verdict {
    match &asked.live {
        None => asked.check.verdict,
        Some(probe) => match probe.judgement.agreement {
            Agreement::Agrees | Agreement::Settled => probe.judgement.verdict,
            Agreement::Inconclusive | Agreement::Disagrees => Verdict::Unknown,
        },
    }
}

/// Tries every answer with packets: from one pod of those with the same answer. Goes on without those that can't be
/// tried, and returns why.
#[cfg(feature = "live")]
fn packets(
    global: &Global,
    args: &CheckArgs,
    input: &input::Input,
    evaluator: &Evaluator<'_>,
    asked: &mut [Asked],
    output: &mut Output,
) -> Result<Vec<crate::live::LiveError>, Exit> {
    use super::probe;

    let mut tries = Vec::new();
    for one in asked.iter() {
        if one.connections.is_some() {
            output.error("--live tries one port at a time: name it");
            return Err(Exit::Error);
        }
        let pod = probe::from(&input.cluster, &one.client, &one.pods, &one.client_text).map_err(|why| {
            output.error(&why);
            output.help("name a pod or a workload as the client");
            Exit::Error
        })?;
        let attempt = probe::attempt(evaluator, &one.check, pod, &one.target, &one.target_text);
        if attempt.plan.items.is_empty() {
            let why = attempt.plan.notes.first().map_or("no address of it is known", String::as_str);
            output.error(&format!("there is nothing to try of `{}`: {why}", one.target_text));
            return Err(Exit::Error);
        }
        tries.push(attempt);
    }
    let sending = probe::Sending { global, flags: &args.probe, capture: Some(&args.capture) };
    let answers = probe::run(sending, &input.cluster, &input.profile, &tries, output)?;
    let mut failed: Vec<crate::live::LiveError> = Vec::new();
    for (one, answer) in asked.iter_mut().zip(answers) {
        match answer {
            Ok(mut probe) => {
                if one.pods.len() > 1 {
                    probe.notes.push(format!("tried from one of the {} pods that get this answer", one.pods.len()));
                }
                one.live = Some(probe);
            }
            Err(error) if failed.contains(&error) => {}
            Err(error) => failed.push(error),
        }
    }
    Ok(failed)
}

/// What may not be read of a cluster: it is named, and where it makes the answer a guess, it can't be told. What
/// administrators' policies could overrule stands as far as it is known, unless `--strict` asks for more.
fn doubt(global: &Global, input: &input::Input, check: &mut Check, notes: &mut Vec<String>) {
    #[cfg(feature = "live")]
    let strict = global.cluster.strict;
    #[cfg(not(feature = "live"))]
    let strict = {
        let _ = global;
        false
    };
    let verdict = check.verdict;
    for gap in &input.unread {
        match (gap.gravity, verdict) {
            (Gravity::Policy, Verdict::Reachable | Verdict::Blocked | Verdict::Partial) => {
                notes.push(format!("{} as far as is known, but {}", verdict.name(), gap.consequence));
                check.verdict = Verdict::Unknown;
            }
            (Gravity::ClusterPolicy, Verdict::Reachable | Verdict::Blocked | Verdict::Partial) => {
                let could = if verdict == Verdict::Blocked { "allows" } else { "denies" };
                let unless = format!("{}, unless a cluster policy that you may not read {could} it", verdict.name());
                if !notes.contains(&unless) {
                    notes.push(unless);
                }
                notes.push(gap.consequence.clone());
                if strict {
                    check.verdict = Verdict::Unknown;
                }
            }
            _ => notes.push(gap.consequence.clone()),
        }
    }
}

/// A bare name means what it means to the client: it is looked up in the client's namespace first, as its DNS would.
fn resolve_target(input: &input::Input, client: &Client, spec: &TargetSpec) -> Result<Resolved<Target>, QueryError> {
    let own = match client {
        Client::Pods(pods) => pods.first().map(|p| input.cluster.pods[p.index()].namespace),
        _ => None,
    };
    let own = own.map(|id| &*input.cluster.namespaces[id.index()].name);
    match own {
        Some(own) if own != input.namespace => input
            .cluster
            .resolve_target(spec, own)
            .or_else(|error| input.cluster.resolve_target(spec, &input.namespace).map_err(|_| error)),
        _ => input.cluster.resolve_target(spec, &input.namespace),
    }
}

/// "Several clients or targets: exit 1 if any is 1, else 3 if any is 3, else 0" (DESIGN, "Verdicts").
fn exit(verdicts: impl Iterator<Item = Verdict>) -> Exit {
    let mut exit = Exit::Yes;
    for verdict in verdicts {
        match verdict {
            Verdict::Reachable => {}
            Verdict::Blocked | Verdict::Partial | Verdict::Unreachable => return Exit::No,
            Verdict::Unknown => exit = Exit::Unknown,
        }
    }
    exit
}

struct Plan {
    client: ClientSpec,
    targets: Vec<TargetSpec>,
}

fn plan(args: &CheckArgs) -> Result<Plan, QueryError> {
    let client = args.client.parse()?;
    let targets = args.targets.iter().map(|t| t.parse()).collect::<Result<Vec<TargetSpec>, _>>()?;
    Ok(Plan { client, targets })
}

fn refuse(error: &QueryError, output: &mut Output) -> Exit {
    output.error(&error.message);
    for help in &error.helps {
        output.help(help);
    }
    Exit::Error
}

/// The ports to ask for: the one that was typed, the single one of a Service, or an error that lists what there is.
fn ports(
    cluster: &Cluster,
    spec: &TargetSpec,
    target: &Target,
    all: bool,
) -> Result<Vec<(Option<PortSpec>, Protocol)>, QueryError> {
    if let Some(port) = &spec.port {
        return Ok(vec![(Some(port.clone()), spec.protocol)]);
    }
    let service = match target {
        Target::Service(id) | Target::ServiceAddress(id, _) => Some(&cluster.services[id.index()]),
        _ => None,
    };
    let known: Vec<(u16, Protocol)> = match (service, target) {
        (Some(service), _) => service.ports.iter().map(|p| (p.number, p.protocol)).collect(),
        (None, Target::Pods(pods)) => {
            let mut ports: Vec<(u16, Protocol)> = pods
                .iter()
                .flat_map(|p| cluster.pods[p.index()].ports.iter())
                .map(|p| (p.number, p.protocol))
                .collect();
            ports.sort_unstable();
            ports.dedup();
            ports
        }
        _ => Vec::new(),
    };
    if all && service.is_some() {
        return Ok(known.into_iter().map(|(n, p)| (Some(PortSpec::Number(n)), p)).collect());
    }
    if all {
        return Ok(vec![(None, spec.protocol)]);
    }
    let mut error = QueryError { message: format!("which port of `{}`?", spec.text), helps: Vec::new() };
    if !known.is_empty() {
        let list: Vec<String> = known
            .iter()
            .map(|(n, p)| match p {
                Protocol::Tcp => format!("{}:{n}", spec.text),
                other => format!("{}:{n}/{}", spec.text, other.to_string().to_ascii_lowercase()),
            })
            .collect();
        error.helps.push(format!("it has {}", list.join(", ")));
    } else {
        error.helps.push(format!("write {}:PORT", spec.text));
    }
    error.helps.push("or ask for all of them with --all-ports".to_owned());
    Err(error)
}

/// Ports per protocol: those that are reachable, and those that can't be told.
type AllPorts = Vec<(Protocol, String, String)>;

/// The answers for a client, its pods with the same answer together.
fn grouped(
    evaluator: &Evaluator<'_>,
    client: &Client,
    target: &Target,
    port: Option<&PortSpec>,
    protocol: Protocol,
    options: CheckOptions,
) -> Vec<(Vec<PodId>, Check, Option<AllPorts>)> {
    let mut out: Vec<(Vec<PodId>, Check, Option<AllPorts>)> = Vec::new();
    for source in Source::of(client) {
        let (check, connections) = match port {
            Some(port) => (evaluator.check(source, target, port, protocol, options), None),
            None => all_ports(evaluator, source, target, protocol, options),
        };
        let pod = match source {
            Source::Pod(pod) => Some(pod),
            _ => None,
        };
        match out.iter_mut().find(|(_, known, ports)| *ports == connections && same_answer(known, &check)) {
            Some((pods, ..)) => pods.extend(pod),
            None => out.push((pod.into_iter().collect(), check, connections)),
        }
    }
    out
}

/// Every port of a target that isn't a Service: what all of its endpoints accept. What only some accept can't be told.
fn all_ports(
    evaluator: &Evaluator<'_>,
    source: Source,
    target: &Target,
    protocol: Protocol,
    options: CheckOptions,
) -> (Check, Option<AllPorts>) {
    let mut check = evaluator.check(source, target, &PortSpec::Number(1), protocol, options);
    let mut all: Option<Vec<(Protocol, PortSet, PortSet)>> = None;
    for endpoint in check.endpoints.iter_mut().filter(|e| e.counted && e.obstacle.is_none()) {
        let connections = evaluator.connections(&endpoint.client, &endpoint.server);
        endpoint.port = None;
        endpoint.decision = None;
        endpoint.verdict = match (connections.any_allowed(), connections.any_unknown()) {
            (true, _) => Verdict::Reachable,
            (false, true) => Verdict::Unknown,
            (false, false) => Verdict::Blocked,
        };
        let these = connections.iter().map(|(p, r)| (p, r.allowed.clone(), r.unknown.clone()));
        all = Some(match all {
            None => these.collect(),
            Some(known) => known
                .into_iter()
                .zip(these)
                .map(|((p, allowed, unknown), (_, a, u))| {
                    let both = allowed.intersection(&a);
                    let some = allowed.union(&a).union(&unknown).union(&u).difference(&both);
                    (p, both, some)
                })
                .collect(),
        });
    }
    if let Some(all) = &all {
        let allowed = all.iter().any(|(_, allowed, _)| !allowed.is_empty());
        let unknown = all.iter().any(|(_, _, unknown)| !unknown.is_empty());
        check.verdict = match (allowed, unknown, check.dns.as_ref().map(|d| d.verdict)) {
            (_, _, Some(Verdict::Blocked)) => Verdict::Blocked,
            (true, ..) => Verdict::Reachable,
            (false, true, _) => Verdict::Unknown,
            (false, false, _) => Verdict::Blocked,
        };
    }
    let shown = all.map(|all| all.into_iter().map(|(p, a, u)| (p, a.to_string(), u.to_string())).collect());
    (check, shown)
}

/// Whether two pods of a client get the same answer for the same reasons.
fn same_answer(a: &Check, b: &Check) -> bool {
    let ends = |c: &Check| -> Vec<_> {
        c.endpoints
            .iter()
            .map(|e| {
                let legs = e
                    .decision
                    .as_ref()
                    .map(|d| (d.outcome, d.egress.steps.clone(), d.ingress.steps.clone(), d.differs.clone()));
                (e.pod, e.server.ip, e.port, e.counted, e.verdict, legs)
            })
            .collect()
    };
    let dns = |c: &Check| c.dns.as_ref().map(|d| (d.verdict, d.tcp));
    a.verdict == b.verdict && a.obstacle == b.obstacle && dns(a) == dns(b) && ends(a) == ends(b)
}
