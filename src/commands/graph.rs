//! `netcheck graph`: who can reach whom.

use std::mem::ManuallyDrop;

use super::{Exit, Output, input};
use crate::analysis::graph::{Options, Question, answer, build};
use crate::cli::{Format, Global, GraphArgs, GraphOutput};
use crate::model::query::{Client, ClientSpec, QueryError, Target, TargetSpec};
use crate::model::{Cluster, PodId, Protocol};
use crate::reach::Evaluator;
use crate::reach::matrix::L4Set;
use crate::report::Paint;
use crate::report::check::Facts;
use crate::report::graph::{self, Reasons};

/// Runs the command.
pub(super) fn run(global: &Global, args: &GraphArgs, output: &mut Output) -> Exit {
    let mut global = global.clone();
    let names: Vec<String> = global.namespace.iter().flat_map(|n| n.split(',')).map(str::to_owned).collect();
    // Manifests that name no namespace are in the first.
    global.namespace = names.first().cloned();
    // Who reaches a namespace is seen in all of them; what is shown is chosen below.
    let (all, live) = (global.all_namespaces, global.filename.is_empty());
    let Some(input) = input::survey(&global, &names, output) else { return Exit::Error };
    // The program ends with this command: to take a large cluster apart first would be time for nothing.
    let input = ManuallyDrop::new(input);
    let names = if live && !all && names.is_empty() { vec![input.namespace.clone()] } else { names };
    match question(&input, args) {
        Ok(None) => {}
        Ok(Some(question)) => return ask(&input, args, &question, output),
        Err(error) => return refuse(&error, output),
    }
    let options = match options(&input, args, &names) {
        Ok(options) => options,
        Err(error) => return refuse(&error, output),
    };
    let mut answer = build(&input.cluster, &input.policies, &input.profile, &options);
    if args.exposure {
        answer.edges.clear();
    }
    let facts = Facts { cluster: &input.cluster, policies: &input.policies, sources: &input.sources };
    let evaluator = Evaluator::new(&input.cluster, &input.policies, &input.profile);
    let wide = args.output == GraphOutput::Wide || (args.output == GraphOutput::Table && global.verbose > 0);
    let reasons = match args.output {
        GraphOutput::Json | GraphOutput::Html => Reasons::Texts(&evaluator),
        GraphOutput::Csv => Reasons::Places(&evaluator),
        _ if wide => Reasons::Places(&evaluator),
        _ => Reasons::None,
    };
    let report = graph::report(facts, reasons, &answer, &input.profile.name);
    let limit = graph::Limit { lines: args.limit, width: output.width };
    match args.output {
        GraphOutput::Table | GraphOutput::Wide if args.exposure => {
            output.text(&graph::exposure(&report, Paint(output.color), limit));
        }
        GraphOutput::Table | GraphOutput::Wide => {
            output.text(&graph::table(&report, Paint(output.color), wide, limit));
        }
        GraphOutput::Dot => output.text(&graph::dot(&report)),
        GraphOutput::Mermaid => output.text(&graph::mermaid(&report)),
        GraphOutput::Svg => output.text(&graph::svg(&report)),
        GraphOutput::Html => match graph::html(&report) {
            Ok(page) => output.text(&page),
            Err(error) => {
                output.error(&format!("the page can't be made: {error}"));
                return Exit::Error;
            }
        },
        GraphOutput::Csv => output.text(&graph::csv(&report)),
        GraphOutput::Json => return output.document(&report, Format::Json, Exit::Yes),
    }
    Exit::Yes
}

fn refuse(error: &QueryError, output: &mut Output) -> Exit {
    output.error(&error.message);
    for help in &error.helps {
        output.help(help);
    }
    Exit::Error
}

/// Chains of connections that are shown.
const MOST_PATHS: usize = 10;

fn question(input: &input::Input, args: &GraphArgs) -> Result<Option<Question>, QueryError> {
    let pod = |text: &String| -> Result<PodId, QueryError> {
        let found = input.cluster.resolve_client(&text.parse::<ClientSpec>()?, &input.namespace)?.what;
        match found {
            Client::Pods(pods) if !pods.is_empty() => Ok(pods[0]),
            _ => Err(QueryError { message: format!("`{text}` is not a pod"), helps: Vec::new() }),
        }
    };
    Ok(match (&args.reachable_from, args.path.as_slice(), args.cuts) {
        (Some(from), ..) => Some(Question::ReachableFrom(pod(from)?, args.hops.unwrap_or(usize::MAX))),
        (None, [from, to], _) => Some(Question::Paths(pod(from)?, pod(to)?, MOST_PATHS)),
        (None, _, Some(most)) => Some(Question::Cuts(most)),
        (None, ..) => args.components.then_some(Question::Components),
    })
}

fn ask(input: &input::Input, args: &GraphArgs, question: &Question, output: &mut Output) -> Exit {
    let Some(answer) = answer(&input.cluster, &input.policies, &input.profile, question) else {
        output.error("the pod is on its node's network or has finished: no policy sees it");
        return Exit::Error;
    };
    let facts = Facts { cluster: &input.cluster, policies: &input.policies, sources: &input.sources };
    let answer = graph::answer(facts, question, &answer);
    match args.output {
        GraphOutput::Json => output.document(&answer, Format::Json, Exit::Yes),
        GraphOutput::Table | GraphOutput::Wide => {
            output.text(&graph::answer_text(&answer, Paint(output.color)));
            Exit::Yes
        }
        _ => {
            output.error("questions are answered as table or json");
            Exit::Error
        }
    }
}

fn options(input: &input::Input, args: &GraphArgs, names: &[String]) -> Result<Options, QueryError> {
    let cluster = &input.cluster;
    let mut namespaces = Vec::new();
    for name in names {
        let id = cluster.namespace(name).ok_or_else(|| {
            let known: Vec<&str> = cluster.namespaces.iter().take(10).map(|n| &*n.name).collect();
            QueryError {
                message: format!("namespace `{name}` doesn't exist"),
                helps: vec![format!("there is {}", known.join(", "))],
            }
        })?;
        namespaces.push(id);
    }
    let from = args
        .from
        .iter()
        .map(|text| Ok(cluster.resolve_client(&text.parse::<ClientSpec>()?, &input.namespace)?.what))
        .collect::<Result<Vec<Client>, QueryError>>()?;
    let to = args.to.iter().map(|text| server(cluster, text, &input.namespace)).collect::<Result<Vec<_>, _>>()?;
    let ports = args.port.iter().map(|text| ports(text)).collect::<Result<Vec<L4Set>, _>>()?;
    let ports = ports.into_iter().reduce(|a, b| a.or(&b));
    Ok(Options { pods: args.pods, namespaces, from, to, ports, exposure: true })
}

/// What `--to` names, as an end: a Service stands for its pods.
fn server(cluster: &Cluster, text: &str, namespace: &str) -> Result<Client, QueryError> {
    if text == "internet" {
        return Ok(Client::Internet);
    }
    let text = text.strip_prefix("ip:").unwrap_or(text);
    let found = cluster.resolve_target(&text.parse::<TargetSpec>()?, namespace)?.what;
    let pods = |service: crate::model::ServiceId| -> Vec<PodId> {
        let ports = &cluster.services[service.index()].ports;
        let mut pods: Vec<PodId> =
            ports.iter().flat_map(|p| cluster.backends(service, p)).filter_map(|b| b.pod).collect();
        pods.sort_unstable();
        pods.dedup();
        pods
    };
    Ok(match found {
        Target::Service(id) | Target::ServiceAddress(id, _) | Target::NodePort(id, _) => Client::Pods(pods(id)),
        Target::Pods(pods) => Client::Pods(pods),
        Target::PodByName(pod) => Client::Pods(vec![pod]),
        Target::Node(node) => Client::Node(node),
        Target::Address(ip) => Client::Address(ip),
        Target::Name(_) => Client::Internet,
    })
}

/// `80`, `8000-8090`, `53/udp`.
fn ports(text: &str) -> Result<L4Set, QueryError> {
    let wrong = |what: &str| QueryError {
        message: format!("`{text}` is not a port: {what}"),
        helps: vec!["write PORT[-PORT][/PROTOCOL], such as 80, 8000-8090 or 53/udp".to_owned()],
    };
    let (ports, protocol) = match text.split_once('/') {
        None => (text, Protocol::Tcp),
        Some((ports, name)) => match Protocol::parse(name) {
            Some(protocol) if Protocol::WITH_PORTS.contains(&protocol) => (ports, protocol),
            _ => return Err(wrong("the protocol is one of tcp, udp, sctp")),
        },
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(L4Set::range(protocol, first, last)),
        _ => Err(wrong("ports are 1 to 65535")),
    }
}
