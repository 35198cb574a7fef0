//! `netcheck why`: what is wrong with pods that crash-loop or hang.

#[cfg(feature = "live")]
mod cluster;
mod files;
#[cfg(feature = "live")]
mod packets;
#[cfg(feature = "live")]
mod watch;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::input::Input;
use super::{Exit, Output, input};
use crate::analysis::why::facts::{Facts, Key};
use crate::analysis::why::{Case, Cause, Confidence, Diagnosis, Logs, Scope, diagnose, select};
use crate::cli::{Format, Global, WhyArgs};
use crate::model::Cluster;
use crate::model::query::ObjectSpec;
use crate::policy::Profile;
use crate::reach::Evaluator;
use crate::report::{check, why};
use crate::source::observe::Observer;
use crate::source::unread::{Gravity, Unread};
use crate::source::{Loader, Options};

#[cfg(feature = "live")]
pub(super) use cluster::{follow, read_logs};

/// What a diagnosis works on, read.
struct Reading {
    input: Input,
    facts: Facts,
    /// None where none were given.
    logs: Option<Logs>,
}

/// Finds the causes and prints them.
pub(super) fn run(global: &Global, args: &WhyArgs, output: &mut Output) -> Exit {
    #[cfg(feature = "live")]
    if args.probe.live
        && let Err(exit) = super::probe::sensible(global, output)
    {
        return exit;
    }
    if args.watch {
        #[cfg(feature = "live")]
        return watch::run(global, args, output);
        #[cfg(not(feature = "live"))]
        {
            output.error("--watch needs a cluster, and this program was built without what reads one");
            return Exit::Error;
        }
    }
    if global.filename.is_empty() {
        #[cfg(feature = "live")]
        return of_cluster(global, args, output);
        #[cfg(not(feature = "live"))]
        {
            output.error("no objects to read");
            output.help("give a dump with -f PATH, and the pods' logs with --logs DIR");
            return Exit::Error;
        }
    }
    let namespace = global.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let (facts, observer) = observed(&namespace, args);
    let options = Options { observer: Some(observer), ..input::options(global, global.namespace.clone()) };
    let mut loader = Loader::new(options);
    for path in &global.filename {
        loader.path(path);
    }
    let raw = input::from_files(loader, global, output);
    let Some(input) = raw.and_then(|raw| raw.build(true, global, output)) else { return Exit::Error };
    let reading = Reading { input, facts: taken(&facts), logs: None };
    answer(reading, global, args, output)
}

#[cfg(feature = "live")]
fn of_cluster(global: &Global, args: &WhyArgs, output: &mut Output) -> Exit {
    if args.logs.is_some() {
        output.error("--logs goes with -f: logs of a cluster are read from it");
        return Exit::Error;
    }
    let Some(session) = super::cluster::connect(global, output) else { return Exit::Error };
    match cluster::read(&session, global, args, output) {
        Some(reading) => answer(reading, global, args, output),
        None => Exit::Error,
    }
}

/// Facts that fill as objects pass by.
fn observed(namespace: &str, args: &WhyArgs) -> (Arc<Mutex<Facts>>, Observer) {
    let mut facts = Facts::new(namespace);
    facts.read_secrets = args.read_secrets;
    let facts = Arc::new(Mutex::new(facts));
    let shared = Arc::clone(&facts);
    let observer = Observer::in_order(move |object| {
        if let Ok(mut facts) = shared.lock() {
            facts.add(object);
        }
    });
    (facts, observer)
}

/// The facts so far.
fn taken(facts: &Mutex<Facts>) -> Facts {
    facts.lock().map(|mut facts| std::mem::take(&mut *facts)).unwrap_or_default()
}

/// Diagnoses what was read, and prints the answer.
fn answer(reading: Reading, global: &Global, args: &WhyArgs, output: &mut Output) -> Exit {
    let Reading { mut input, facts, logs } = reading;
    if global.cni.is_none()
        && input.profile.name == "generic"
        && let Some(profile) = plugin(&facts)
    {
        input.profile = profile;
    }
    let scope = match scope(&input.cluster, &facts, global, args, &input.namespace) {
        Ok(scope) => scope,
        Err((message, help)) => {
            output.error(&message);
            for help in help {
                output.help(&help);
            }
            return Exit::Error;
        }
    };
    let subjects = select::troubled(&facts, &input.cluster, &scope);
    let (logs, without) = match (logs, args.logs.as_deref()) {
        (Some(logs), _) => (logs, false),
        (None, Some(directory)) => match files::read_logs(directory, &facts, &subjects) {
            Ok(logs) => (logs, false),
            Err(error) => {
                output.error(&format!("can't read the logs in `{}`: {error}", directory.display()));
                return Exit::Error;
            }
        },
        (None, None) => (Logs::default(), true),
    };
    let evaluator = Evaluator::new(&input.cluster, &input.policies, &input.profile);
    let case =
        Case { evaluator: &evaluator, profile: &input.profile, sources: &input.sources, facts: &facts, logs: &logs };
    let mut diagnosis = diagnose(&case, &subjects);
    doubt(&mut diagnosis, &input.unread);
    #[cfg(feature = "live")]
    let packets = match args.probe.live.then(|| packets::settle(&case, &mut diagnosis, global, args, output)) {
        Some(Err(exit)) => return exit,
        Some(Ok(open)) => open,
        None => false,
    };
    #[cfg(not(feature = "live"))]
    let packets = false;
    let exit = match (diagnosis.findings.is_empty(), diagnosis.unexplained.is_empty()) {
        (false, _) if packets => Exit::Unknown,
        (false, _) => Exit::No,
        (true, false) => Exit::Unknown,
        (true, true) => Exit::Yes,
    };
    let drawn = check::Facts { cluster: &input.cluster, policies: &input.policies, sources: &input.sources };
    match args.output {
        Format::Text => {
            let drawing = why::Drawing {
                color: output.color,
                width: output.width.unwrap_or(100),
                wrap: output.width,
                verbose: global.verbose > 0,
            };
            if exit == Exit::Yes {
                output.text("nothing is wrong with the pods that were asked for\n");
            } else {
                output.text(&why::render(drawn, &diagnosis, drawing));
                if without {
                    output.note("note: no logs were given: write them with `kubectl logs`, and give their directory with --logs\n");
                }
            }
            exit
        }
        Format::Json | Format::Yaml => {
            let report = why::report(drawn, &input.profile.name, facts.now, &diagnosis, &input.unread);
            output.document(&report, args.output, exit)
        }
    }
}

/// Where policies may not be read, none can be said to be innocent.
fn doubt(diagnosis: &mut Diagnosis, unread: &[Unread]) {
    if unread.iter().all(|u| u.gravity == Gravity::Detail) {
        return;
    }
    for finding in &mut diagnosis.findings {
        let reached = matches!(finding.cause, Cause::SlowDependency | Cause::DependencyDown | Cause::DnsDown);
        if finding.cause.is_policy() || reached && finding.network.is_some() {
            finding.confidence = finding.confidence.min(Confidence::Medium);
        }
    }
}

/// The pods that were asked for.
fn scope(
    cluster: &Cluster,
    facts: &Facts,
    global: &Global,
    args: &WhyArgs,
    namespace: &str,
) -> Result<Scope, (String, Vec<String>)> {
    if args.pods.is_empty() {
        let namespace = match (global.all_namespaces, &global.namespace) {
            (true, _) => None,
            (false, Some(namespace)) => {
                if cluster.namespace(namespace).is_none() {
                    let error = cluster.without_namespace(namespace);
                    return Err((error.message, error.helps));
                }
                Some(namespace.clone())
            }
            (false, None) if !global.filename.is_empty() => {
                return Err((
                    "which pods?".to_owned(),
                    vec!["name a pod or a workload (api, deploy/api), a namespace with -n, or all with -A".to_owned()],
                ));
            }
            // As with kubectl: the context's namespace.
            (false, None) => Some(namespace.to_owned()),
        };
        return Ok(Scope { namespace, pods: None });
    }
    let mut pods = BTreeSet::new();
    for text in &args.pods {
        pods.extend(named(cluster, facts, text, namespace)?);
    }
    Ok(Scope { namespace: None, pods: Some(pods) })
}

/// Pods of a name: a pod, or all of a workload, those that have ended among them.
fn named(cluster: &Cluster, facts: &Facts, text: &str, namespace: &str) -> Result<Vec<Key>, (String, Vec<String>)> {
    let spec = ObjectSpec::read(text).map_err(|e| (e.message, e.helps))?;
    let namespace = spec.namespace.as_deref().unwrap_or(namespace);
    let found = cluster.namespace(namespace).map(|id| cluster.pods_of_name(id, &spec)).unwrap_or_default();
    let keys: Vec<Key> = found
        .into_iter()
        .map(|pod| (namespace.to_owned(), cluster.pods[pod.index()].name.to_string()))
        .filter(|key| facts.pods.contains_key(key))
        .collect();
    if keys.is_empty() {
        let error = cluster.without_pods(namespace, &spec);
        return Err((error.message, error.helps));
    }
    Ok(keys)
}

/// The network plugin, by the DaemonSet that it is.
fn plugin(facts: &Facts) -> Option<Profile> {
    let known = [
        ("calico-node", "calico"),
        ("cilium", "cilium"),
        ("antrea-agent", "antrea"),
        ("ovnkube-node", "ovn-kubernetes"),
        ("aws-node", "aws-vpc-cni"),
        ("kube-router", "kube-router"),
        ("kube-network-policies", "kube-network-policies"),
    ];
    let found: Vec<&str> =
        known.iter().filter(|(set, _)| facts.daemon_sets.contains(*set)).map(|(_, profile)| *profile).collect();
    match found.as_slice() {
        [one] => one.parse().ok(),
        _ => None,
    }
}
