//! The cluster that the flags choose: connecting, reading it, what it refuses, what it hides.

use std::collections::BTreeSet;

use crate::cli::Global;
use crate::live::{ConnectOptions, Depth, Gathered, LiveError, Scope, Session};
use crate::model::distinct;
use crate::source::Loader;

use super::Output;
use super::input::{self, Raw};

/// Connects as the flags say.
pub(super) fn connect(global: &Global, output: &mut Output) -> Option<Session> {
    let flags = &global.cluster;
    let options = ConnectOptions {
        context: flags.context.clone(),
        kubeconfig: flags.kubeconfig.clone(),
        impersonate: flags.impersonate.clone(),
        groups: flags.as_group.clone(),
        timeout: flags.request_timeout,
    };
    match Session::connect(&options, !global.quiet) {
        Ok(session) => Some(session),
        Err(error) => {
            refuse(&error, output);
            None
        }
    }
}

/// What `-n` and `-A` choose.
pub(super) fn scope(global: &Global, namespace: &str) -> Scope {
    if global.all_namespaces { Scope::Cluster } else { Scope::Namespaces(vec![namespace.to_owned()]) }
}

/// What to read of a cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Namespaces.
    pub(super) namespaces: BTreeSet<String>,
    /// Namespaces, if there are such.
    pub(super) perhaps: BTreeSet<String>,
    /// All of it; where that may not be read, the namespaces alone.
    pub(super) everywhere: bool,
    /// The kinds of workloads that matter; all of them without.
    pub(super) kinds: Option<BTreeSet<&'static str>>,
}

/// A cluster that was read once, for one use or several.
pub(super) struct Reading {
    loader: Loader,
    gathered: Gathered,
    namespace: String,
    /// Whether namespaces besides those that were named could not be read.
    pub(super) partial: bool,
    /// The namespaces that were read; none for all.
    only: Vec<String>,
}

impl Reading {
    /// Reads what is wanted, or what -A, --full and -n say instead; the namespace of the context where nothing is.
    pub(super) fn new(global: &Global, wanted: Wanted, output: &mut Output) -> Option<Self> {
        let session = connect(global, output)?;
        let namespace = global.namespace.clone().unwrap_or_else(|| session.namespace().to_owned());
        let mut namespaces = wanted.namespaces;
        // An empty name stands for the namespace that nobody named.
        if namespaces.remove("") {
            namespaces.insert(namespace.clone());
        }
        for name in wanted.perhaps.difference(&namespaces.clone()) {
            match session.has_namespace(name) {
                Ok(true) => {
                    namespaces.insert(name.clone());
                }
                Ok(false) => {}
                Err(error) => {
                    refuse(&error, output);
                    return None;
                }
            }
        }
        if namespaces.is_empty() {
            namespaces.insert(namespace.clone());
        }
        let told = global.all_namespaces || global.cluster.full;
        let mut partial = false;
        if wanted.everywhere && !told {
            match session.may_read_everything() {
                Ok(may) => partial = !may,
                Err(error) => {
                    refuse(&error, output);
                    return None;
                }
            }
        }
        let scope = if told || (wanted.everywhere && !partial) {
            Scope::Cluster
        } else {
            Scope::Namespaces(namespaces.into_iter().collect())
        };
        let only = match &scope {
            Scope::Cluster => Vec::new(),
            Scope::Namespaces(names) => names.clone(),
        };
        let depth = wanted.kinds.map_or(Depth::Workloads, Depth::Pods);
        let mut loader = Loader::new(input::options(global, Some(namespace.clone())));
        match session.everything(&scope, &depth, &mut loader) {
            Ok(gathered) => {
                tell(global, &gathered, output);
                Some(Self { loader, gathered, namespace, partial, only })
            }
            Err(error) => {
                refuse(&error, output);
                None
            }
        }
    }

    /// Says that connections with other namespaces were left out, where they were.
    pub(super) fn told(&self, global: &Global, output: &mut Output) {
        if !self.only.is_empty() && !global.quiet {
            let names = crate::report::safe(&self.only.join(", ")).into_owned();
            output.note(&format!(
                "note: of the cluster only namespace {names} was read: -A compares the connections with others too\n"
            ));
        }
    }

    /// The objects, with what `lay` reads over them, and the flags' --with over that. `settled`: the namespace of names
    /// without one, where it isn't the context's.
    pub(super) fn raw(
        &self,
        namespace: Option<String>,
        lay: Lay<'_>,
        global: &Global,
        output: &mut Output,
    ) -> Option<Raw> {
        let namespace = namespace.unwrap_or_else(|| self.namespace.clone());
        let mut loader = self.loader.clone().reading(input::options(global, Some(namespace.clone())));
        let base = loader.objects();
        lay(&mut loader);
        let over = loader.objects();
        for path in &global.with {
            loader.path(path);
        }
        let read = input::finish(loader, output)?;
        let mut objects = read.objects;
        let with = objects.split_off(over);
        let laid = objects.split_off(base);
        distinct(&mut objects);
        Some(Raw {
            objects: crate::model::overlay::overlay(objects, laid, false, &namespace),
            with,
            sources: read.sources,
            cni: self.gathered.plugin.map(str::to_owned),
            namespace,
            settled: true,
            unread: self.gathered.unread.clone(),
            dns_open: false,
        })
    }
}

/// Reads more into a loader.
pub(super) type Lay<'l> = &'l mut dyn FnMut(&mut Loader);

/// Writes why the cluster can't be read.
pub(super) fn refuse(error: &LiveError, output: &mut Output) {
    output.error(&error.message);
    for help in &error.helps {
        output.help(help);
    }
    if !error.roles.is_empty() {
        output.error_block(&format!("\n{}", error.roles));
    }
}

/// Writes what was read, and the roles that would show more.
pub(super) fn tell(global: &Global, gathered: &Gathered, output: &mut Output) {
    if global.verbose > 0 {
        output.note(&format!("note: read with {} requests\n", gathered.requests));
        if let (None, Some(plugin)) = (&global.cni, gathered.plugin) {
            output.note(&format!("note: the cluster's network plugin is {plugin}, by its APIs and DaemonSets\n"));
        }
    }
    if let (None, Some(name)) = (&global.cni, &gathered.enforces_nothing) {
        output.note(&format!(
            "warning: of network plugins only DaemonSet `{}` was found, which enforces no policies: everything may be open\n",
            crate::report::safe(name)
        ));
    }
    let roles = gathered.roles();
    if roles.is_empty() {
        return;
    }
    let what: Vec<String> = gathered.unread.iter().map(|u| u.what.clone()).collect();
    let sentence = format!("note: you may not read {}; to know more, ask for\n", crate::report::safe(&what.join(", ")));
    let sentence = crate::report::wrapped(&sentence, output.error_width());
    output.note(&format!("{sentence}{roles}\n"));
}
