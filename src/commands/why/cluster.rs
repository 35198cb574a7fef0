//! A live cluster for `why`, in rounds: the pods; of those in trouble what they name and what they logged; the namespaces that
//! this leads to.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::super::{Output, cluster, input};
use super::{Reading, observed, taken};
use crate::analysis::why::facts::{Facts, Key};
use crate::analysis::why::{ContainerLog, LogOf, Logs, Wants, leads, select};
use crate::cli::{Global, WhyArgs};
use crate::live::ask::{
    Ask, CLAIMS, CONFIG_MAPS, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, NAMESPACES, REPLICA_SETS, SECRETS, SERVICES,
    STATEFUL_SETS,
};
use crate::live::why::{LogAsk, events, node_events, surroundings};
use crate::live::{Depth, Gathered, LiveError, Scope, Session};
use crate::model::query::ObjectSpec;
use crate::source::{Loader, Options};

/// Pods in trouble whose details are read.
const PODS: usize = 200;

/// Reads what a diagnosis needs. What is wrong was written to standard error where there is none.
pub(super) fn read(session: &Session, global: &Global, args: &WhyArgs, output: &mut Output) -> Option<Reading> {
    let namespace = global.namespace.clone().unwrap_or_else(|| session.namespace().to_owned());
    let names = match named(&args.pods, &namespace) {
        Ok(names) => names,
        Err((message, helps)) => {
            output.error(&message);
            helps.iter().for_each(|help| output.help(help));
            return None;
        }
    };
    read_of(session, global, args, &namespace, names, output)
}

/// The same, of pods or workloads by namespace and name; without any, of all in the namespace, or in the cluster with `-A`.
pub(super) fn read_of(
    session: &Session,
    global: &Global,
    args: &WhyArgs,
    namespace: &str,
    names: Option<BTreeSet<Key>>,
    output: &mut Output,
) -> Option<Reading> {
    let (facts, observer) = observed(namespace, args);
    let options = Options { observer: Some(observer), ..input::options(global, Some(namespace.to_owned())) };
    let mut loader = Loader::new(options);
    for path in &global.with {
        loader.path(path);
    }
    let with = loader.objects();
    let scope = match &names {
        Some(names) => {
            let mut all: Vec<String> = names.iter().map(|(namespace, _)| namespace.clone()).collect();
            all.dedup();
            Scope::Namespaces(all)
        }
        None => cluster::scope(global, namespace),
    };
    let mut rounds = Rounds { session, scope, names, secrets: args.read_secrets };
    let gathered = rounds.run(&facts, &mut loader);
    let (logs, gathered) = match gathered {
        Ok(done) => done,
        Err(error) => {
            cluster::refuse(&error, output);
            return None;
        }
    };
    let raw = input::of_cluster(loader, with, gathered, namespace, global, output)?;
    let input = raw.build(true, global, output)?;
    let mut facts = taken(&facts);
    facts.now = facts.now.max(session.now());
    Some(Reading { input, facts, logs: Some(logs) })
}

/// Namespaces and names of what was asked for.
fn named(texts: &[String], namespace: &str) -> Result<Option<BTreeSet<Key>>, (String, Vec<String>)> {
    let mut out = BTreeSet::new();
    for text in texts {
        let spec = ObjectSpec::read(text).map_err(|e| (e.message, e.helps))?;
        out.insert((spec.namespace.unwrap_or_else(|| namespace.to_owned()), spec.name));
    }
    Ok((!out.is_empty()).then_some(out))
}

struct Rounds<'s> {
    session: &'s Session,
    scope: Scope,
    names: Option<BTreeSet<Key>>,
    secrets: bool,
}

impl Rounds<'_> {
    fn run(&mut self, facts: &Mutex<Facts>, loader: &mut Loader) -> Result<(Logs, Gathered), LiveError> {
        let session = self.session;
        let locked = || facts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gathered = session.everything(&self.scope, &Depth::Pods(BTreeSet::new()), loader)?;
        let now = session.now();
        locked().now = now;
        let lost = lost(&locked(), &self.scope, self.names.as_ref());
        // What is near a name that leads nowhere; no loss where it may not be known.
        let _ = session.each(&lost, loader)?;
        let mut pods = select::suspects(&locked(), self.names.as_ref());
        while pods.len() > PODS {
            pods.pop_last();
        }
        let wants = Wants::of(&locked(), &pods);
        gathered.add(session.each(&asks(&wants, self.secrets), loader)?);
        let unbound: Vec<Ask> = Wants::unbound(&locked())
            .iter()
            .flat_map(|(namespace, uid)| events(namespace, std::slice::from_ref(uid)))
            .collect();
        gathered.add(session.each(&unbound, loader)?);
        let mut logs = Logs::default();
        gathered.add(read_logs(session, wants.logs, &mut logs)?);
        if let Scope::Namespaces(known) = &self.scope {
            let (more, _) = follow(session, facts, loader, known, &pods, &mut logs)?;
            gathered.add(more);
        }
        Ok((logs, gathered))
    }
}

/// What there is instead of names that lead to no pod: workloads without any, and the other namespaces.
fn lost(facts: &Facts, scope: &Scope, names: Option<&BTreeSet<Key>>) -> Vec<Ask> {
    let Scope::Namespaces(namespaces) = scope else { return Vec::new() };
    let mut asks = Vec::new();
    if namespaces.iter().any(|namespace| !facts.pods.keys().any(|key| key.0 == *namespace)) {
        asks.push(Ask::everywhere(NAMESPACES));
    }
    // A Deployment's pods are of a ReplicaSet NAME-HASH, a CronJob's of a Job NAME-TIME.
    let made_by = |owner: &str, name: &str| owner == name || owner.rsplit_once('-').is_some_and(|(of, _)| of == name);
    for (namespace, name) in names.into_iter().flatten() {
        let mut pods = facts.pods.iter().filter(|(key, _)| key.0 == *namespace);
        let found = pods.any(|(key, pod)| {
            key.1 == *name || pod.metadata.owner_references.iter().any(|owner| made_by(&owner.name, name))
        });
        if !found {
            asks.extend([DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, CRON_JOBS].map(|kind| Ask::list(kind, namespace)));
        }
    }
    asks.dedup();
    asks
}

/// Reads the namespaces that the pods' specs and logs lead to beside those that are known, and what servers there that are in
/// trouble logged; which namespaces these are.
pub(in super::super) fn follow(
    session: &Session,
    facts: &Mutex<Facts>,
    loader: &mut Loader,
    known: &[String],
    pods: &BTreeSet<Key>,
    logs: &mut Logs,
) -> Result<(Gathered, BTreeSet<String>), LiveError> {
    let locked = || facts.lock().unwrap_or_else(PoisonError::into_inner);
    let found = leads(&locked(), logs, pods);
    let mut further = session.existing(&found.namespaces)?;
    if further.len() < found.namespaces.len() {
        // A name that leads nowhere may be another's, misspelt: what there is. It is no loss where that may not be known.
        let _ = session.each(&[Ask::everywhere(SERVICES)], loader)?;
    }
    let strange: BTreeSet<_> = found.addresses.into_iter().filter(|ip| !loader.has_address(*ip)).collect();
    further.extend(session.holders(&strange, &found.ports)?);
    further.retain(|namespace| !known.contains(namespace));
    let mut gathered = session.each(&surroundings(&further), loader)?;
    // A server that is down has said why.
    let servers: BTreeSet<Key> =
        select::suspects(&locked(), None).into_iter().filter(|key| further.contains(&key.0)).take(8).collect();
    let wants = Wants::of(&locked(), &servers);
    gathered.add(read_logs(session, wants.logs, logs)?);
    Ok((gathered, further))
}

/// What to ask for, of what pods want.
fn asks(wants: &Wants, secrets: bool) -> Vec<Ask> {
    let each = |resource: &crate::live::ask::Resource, keys: &BTreeSet<Key>| -> Vec<Ask> {
        keys.iter().map(|(namespace, name)| Ask::get(resource.clone(), namespace, name)).collect()
    };
    let mut out: Vec<Ask> = wants.events.iter().flat_map(|(namespace, uids)| events(namespace, uids)).collect();
    out.extend(node_events(&wants.nodes));
    out.extend(each(&CONFIG_MAPS, &wants.config_maps));
    out.extend(each(&CLAIMS, &wants.claims));
    out.extend(each(&REPLICA_SETS, &wants.replica_sets));
    if secrets {
        out.extend(each(&SECRETS, &wants.secrets));
    }
    out
}

/// Reads logs.
pub(in super::super) fn read_logs(
    session: &Session,
    wanted: Vec<LogOf>,
    into: &mut Logs,
) -> Result<Gathered, LiveError> {
    let asks: Vec<LogAsk> = wanted
        .iter()
        .map(|log| LogAsk {
            namespace: log.pod.0.clone(),
            pod: log.pod.1.clone(),
            container: log.container.clone(),
            previous: log.previous,
        })
        .collect();
    let (texts, gathered) = session.logs(&asks)?;
    for (log, text) in wanted.into_iter().zip(texts) {
        let of: &mut ContainerLog = into.0.entry((log.pod.0, log.pod.1, log.container)).or_default();
        if log.previous {
            of.previous = text;
        } else {
            of.current = text;
        }
    }
    into.0.retain(|_, log| log.current.is_some() || log.previous.is_some());
    Ok(gathered)
}
