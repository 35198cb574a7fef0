//! `netcheck why`: what is wrong with pods that crash-loop or hang.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Exit, Output, input};
use crate::analysis::why::facts::{Facts, Key};
use crate::analysis::why::{Case, ContainerLog, Logs, Scope, Subject, diagnose, select};
use crate::cli::{Format, Global, WhyArgs};
use crate::model::query::{Kind, ObjectSpec};
use crate::model::{Cluster, WorkloadRef};
use crate::policy::Profile;
use crate::reach::Evaluator;
use crate::report::{check, why};
use crate::source::observe::Observer;
use crate::source::{Loader, Options};

/// Bytes of a log that are read: its end, where it says why it ended.
const LOG_BYTES: u64 = 4 << 20;
/// Bytes of a log's start, where it says whom it dials.
const HEAD_BYTES: u64 = 1 << 18;

/// Finds the causes and prints them.
pub(super) fn run(global: &Global, args: &WhyArgs, output: &mut Output) -> Exit {
    let namespace = global.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let facts = Arc::new(Mutex::new(Facts::new(&namespace)));
    let shared = Arc::clone(&facts);
    let observer = Observer::in_order(move |object| {
        if let Ok(mut facts) = shared.lock() {
            facts.add(object);
        }
    });
    if global.filename.is_empty() {
        output.error("no objects to read");
        output.help("give a dump with -f PATH, and the pods' logs with --logs DIR");
        return Exit::Error;
    }
    let options = Options { observer: Some(observer), ..input::options(global, global.namespace.clone()) };
    let mut loader = Loader::new(options);
    for path in &global.filename {
        loader.path(path);
    }
    let raw = input::from_files(loader, global, output);
    let Some(mut input) = raw.and_then(|raw| raw.build(true, global, output)) else { return Exit::Error };
    let facts = match facts.lock() {
        Ok(mut facts) => std::mem::take(&mut *facts),
        Err(_) => return Exit::Error,
    };
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
    let logs = match args.logs.as_deref() {
        Some(directory) => match read_logs(directory, &facts, &subjects) {
            Ok(logs) => logs,
            Err(error) => {
                output.error(&format!("can't read the logs in `{}`: {error}", directory.display()));
                return Exit::Error;
            }
        },
        None => Logs::default(),
    };
    let evaluator = Evaluator::new(&input.cluster, &input.policies, &input.profile);
    let case =
        Case { evaluator: &evaluator, profile: &input.profile, sources: &input.sources, facts: &facts, logs: &logs };
    let diagnosis = diagnose(&case, &subjects);
    let exit = match (diagnosis.findings.is_empty(), diagnosis.unexplained.is_empty()) {
        (false, _) => Exit::No,
        (true, false) => Exit::Unknown,
        (true, true) => Exit::Yes,
    };
    let drawn = check::Facts { cluster: &input.cluster, policies: &input.policies, sources: &input.sources };
    match args.output {
        Format::Text => {
            let drawing =
                why::Drawing { color: output.color, width: output.width.unwrap_or(100), verbose: global.verbose > 0 };
            if exit == Exit::Yes {
                output.text("nothing is wrong with the pods that were asked for\n");
            } else {
                output.text(&why::render(drawn, &diagnosis, drawing));
                if args.logs.is_none() {
                    output.note("note: no logs were given: write them with `kubectl logs`, and give their directory with --logs\n");
                }
            }
            exit
        }
        Format::Json | Format::Yaml => {
            let report = why::report(drawn, &input.profile.name, facts.now, &diagnosis);
            output.document(&report, args.output, exit)
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
                    return Err((format!("namespace `{namespace}` not found"), Vec::new()));
                }
                Some(namespace.clone())
            }
            (false, None) => {
                return Err((
                    "which pods?".to_owned(),
                    vec!["name a pod or a workload (api, deploy/api), a namespace with -n, or all with -A".to_owned()],
                ));
            }
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
    let Some(id) = cluster.namespace(namespace) else {
        return Err((format!("namespace `{namespace}` not found"), Vec::new()));
    };
    let key = (namespace.to_owned(), spec.name.clone());
    if matches!(spec.kind, None | Some(Kind::Pod)) && facts.pods.contains_key(&key) {
        return Ok(vec![key]);
    }
    let mut found: Vec<(&WorkloadRef, &Vec<crate::model::PodId>)> = cluster
        .workloads
        .iter()
        .filter(|((n, w), _)| {
            *n == id
                && *w.name == *spec.name
                && match spec.kind {
                    None => true,
                    Some(Kind::Workload(kind)) => *w.kind == *kind,
                    Some(_) => false,
                }
        })
        .map(|((_, w), pods)| (w, pods))
        .collect();
    found.sort();
    let keys: Vec<Key> = found
        .first()
        .map(|(_, pods)| pods.iter().map(|p| (namespace.to_owned(), cluster.pods[p.index()].name.to_string())))
        .into_iter()
        .flatten()
        .filter(|key| facts.pods.contains_key(key))
        .collect();
    if keys.is_empty() {
        let near = crate::model::query::nearest(
            &spec.name,
            facts.pods.keys().filter(|k| k.0 == namespace).map(|k| k.1.as_str()),
        );
        let help = near.map(|n| format!("did you mean `{n}`?")).into_iter().collect();
        return Err((format!("no pod or workload `{}` with pods in namespace `{namespace}`", spec.name), help));
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

/// Logs of the pods in trouble, and of every pod of a namespace they may depend on: those that have a file.
fn read_logs(directory: &Path, facts: &Facts, subjects: &[Subject]) -> io::Result<Logs> {
    let mut logs = Logs::default();
    std::fs::read_dir(directory)?;
    if subjects.is_empty() {
        return Ok(logs);
    }
    for (key, pod) in &facts.pods {
        let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
        for container in containers {
            let stem = format!("{}_{}_{}", key.0, key.1, container.name);
            let log = ContainerLog {
                current: read_log(&directory.join(format!("{stem}.log")))?,
                previous: read_log(&directory.join(format!("{stem}.previous.log")))?,
            };
            if log.current.is_some() || log.previous.is_some() {
                logs.0.insert((key.0.clone(), key.1.clone(), container.name.clone()), log);
            }
        }
    }
    Ok(logs)
}

/// A log: all of it, or its head and its end.
fn read_log(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length > LOG_BYTES {
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes)?;
        bytes.push(b'\n');
        file.seek(SeekFrom::Start(length - (LOG_BYTES - HEAD_BYTES)))?;
    }
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.trim().is_empty()))
}
