//! The objects a command works on: read, laid over each other, built into a cluster.

use crate::cli::Global;
#[cfg(feature = "live")]
use crate::model::distinct;
use crate::model::overlay::{overlay, without};
use crate::model::query::Asking;
use crate::model::{BuildOptions, Cluster, NamespaceId};
use crate::policy::{Policies, Profile};
use crate::report::snippet;
use crate::source::unread::Unread;
use crate::source::wire::Loaded;
use crate::source::{self, Diagnostic, Loader, Options, Severity, SourceMap};

use super::Output;
#[cfg(feature = "live")]
use super::cluster;

/// What a command works on.
pub(super) struct Input {
    pub(super) cluster: Cluster,
    pub(super) policies: Policies,
    pub(super) sources: SourceMap,
    pub(super) profile: Profile,
    pub(super) namespace: String,
    /// What may not be read of a cluster, the gravest first.
    pub(super) unread: Vec<Unread>,
}

/// Objects as they were read, with what is to be laid over them.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) objects: Vec<Loaded>,
    /// Objects of --with.
    pub(super) with: Vec<Loaded>,
    pub(super) sources: SourceMap,
    /// The plugin that the input names.
    pub(super) cni: Option<String>,
    /// Namespace of objects that name none.
    pub(super) namespace: String,
    /// Whether that namespace is the one that is meant, too, and not only the last resort.
    pub(super) settled: bool,
    pub(super) unread: Vec<Unread>,
    /// DNS was left out because nothing can stand in its way.
    pub(super) dns_open: bool,
}

/// Reads all objects of the files, or of the cluster what the question needs, everything without one. What is wrong was
/// written to standard error where there is none.
pub(super) fn read(global: &Global, asking: Option<Asking<'_>>, output: &mut Output) -> Option<Input> {
    raw(global, asking, output)?.build(true, global, output)
}

/// Reads everything that some namespaces may have to do with: the whole cluster, or what of it may be read.
pub(super) fn survey(global: &Global, namespaces: &[String], output: &mut Output) -> Option<Input> {
    #[cfg(feature = "live")]
    if global.filename.is_empty() {
        use crate::source::unread::Gravity;

        let namespaces = namespaces.iter().cloned().collect();
        let wanted = cluster::Wanted { namespaces, everywhere: true, ..cluster::Wanted::default() };
        let reading = cluster::Reading::new(global, wanted, output)?;
        let mut raw = reading.raw(None, &mut |_| {}, global, output)?;
        if reading.partial {
            let what = "pods of other namespaces".to_owned();
            let consequence = "whom they reach, and who reaches them, is not shown".to_owned();
            output.note(&format!("note: you may not read {what}: {consequence}\n"));
            raw.unread.push(Unread { what, consequence, gravity: Gravity::Detail });
        }
        return raw.build(true, global, output);
    }
    let _ = namespaces;
    read(global, None, output)
}

/// Reads, and builds nothing yet.
pub(super) fn raw(global: &Global, asking: Option<Asking<'_>>, output: &mut Output) -> Option<Raw> {
    if !global.filename.is_empty() {
        let mut loader = Loader::new(options(global, global.namespace.clone()));
        for path in &global.filename {
            loader.path(path);
        }
        return from_files(loader, global, output);
    }
    #[cfg(feature = "live")]
    return from_cluster(global, asking, output);
    #[cfg(not(feature = "live"))]
    {
        let _ = asking;
        output.error("no objects to read");
        output.help(
            "give manifests, a dump or a directory with -f PATH, such as -f examples/shop or -f - for standard input",
        );
        None
    }
}

/// How manifests are read.
pub(super) fn options(global: &Global, namespace: Option<String>) -> Options {
    Options {
        recursive: global.recursive,
        skip_invalid: global.skip_invalid,
        default_namespace: namespace,
        ..Options::default()
    }
}

/// What a loader has read of files, and the objects of --with.
pub(super) fn from_files(mut loader: Loader, global: &Global, output: &mut Output) -> Option<Raw> {
    let base = loader.objects();
    for path in &global.with {
        loader.path(path);
    }
    let input = finish(loader, output)?;
    if global.verbose > 0 {
        for (kind, count) in &input.skipped {
            output.note(&format!(
                "note: {count} {} passed over: they don't decide connectivity\n",
                crate::report::safe(kind)
            ));
        }
    }
    let mut objects = input.objects;
    let with = objects.split_off(base);
    Some(Raw {
        objects,
        with,
        sources: input.sources,
        cni: input.cni,
        settled: global.namespace.is_some() || input.namespace.is_some(),
        namespace: global.namespace.clone().or(input.namespace).unwrap_or_else(|| "default".to_owned()),
        unread: Vec::new(),
        dns_open: false,
    })
}

/// What a loader has read, its warnings written.
pub(super) fn finish(loader: Loader, output: &mut Output) -> Option<source::Input> {
    match loader.finish() {
        Ok(input) => {
            draw(&input.warnings, &input.sources, output);
            Some(input)
        }
        Err(error) => {
            draw(&error.diagnostics, &error.sources, output);
            None
        }
    }
}

/// Reads what is wanted from the cluster that the flags choose.
#[cfg(feature = "live")]
fn from_cluster(global: &Global, asking: Option<Asking<'_>>, output: &mut Output) -> Option<Raw> {
    use crate::live::{Depth, Question, Scope};

    let session = cluster::connect(global, output)?;
    let namespace = global.namespace.clone().unwrap_or_else(|| session.namespace().to_owned());
    // What is laid over comes first: it may ask for more of the cluster.
    let mut loader = Loader::new(options(global, Some(namespace.clone())));
    for path in &global.with {
        loader.path(path);
    }
    let with = loader.objects();
    let gathered = match asking {
        Some(asking) if !global.cluster.full => {
            let question = Question {
                client: asking.client.clone(),
                targets: asking.targets.to_vec(),
                namespace: namespace.clone(),
                dns: asking.dns,
                whole: loader.namespaces(),
                around: asking.around,
                plugin_known: global.cni.is_some(),
            };
            session.question(&question, &mut loader)
        }
        Some(_) => session.everything(&Scope::Cluster, &Depth::Workloads, &mut loader),
        None => session.everything(&cluster::scope(global, &namespace), &Depth::Workloads, &mut loader),
    };
    let gathered = match gathered {
        Ok(gathered) => gathered,
        Err(error) => {
            cluster::refuse(&error, output);
            return None;
        }
    };
    of_cluster(loader, with, gathered, &namespace, global, output)
}

/// What a loader has read of a cluster, behind `with` objects of --with.
#[cfg(feature = "live")]
pub(super) fn of_cluster(
    loader: Loader,
    with: usize,
    gathered: crate::live::Gathered,
    namespace: &str,
    global: &Global,
    output: &mut Output,
) -> Option<Raw> {
    let input = finish(loader, output)?;
    cluster::tell(global, &gathered, output);
    let mut laid = input.objects;
    let mut objects = laid.split_off(with);
    distinct(&mut objects);
    Some(Raw {
        objects,
        with: laid,
        sources: input.sources,
        cni: gathered.plugin.map(str::to_owned),
        namespace: namespace.to_owned(),
        settled: true,
        unread: gathered.unread,
        dns_open: gathered.dns_open,
    })
}

impl Raw {
    /// Builds the cluster; with `changes`, of the objects with --with laid over them and --without taken away.
    pub(super) fn build(self, changes: bool, global: &Global, output: &mut Output) -> Option<Input> {
        let namespace = self.namespace;
        let mut objects = self.objects;
        if changes {
            objects = changed(objects, self.with, global, &namespace, output)?;
        }
        let mut cluster = cluster_of(objects, &namespace, &self.sources, output)?;
        if self.dns_open {
            // It was left out because nothing can stand in its way: nothing was assumed that matters.
            cluster.assumptions.clear();
        }
        let namespace = if self.settled { namespace } else { only_namespace(&cluster).unwrap_or(namespace) };
        let policies = Policies::lower(&cluster);
        let profile = profile(global, self.cni.as_deref(), output)?;
        Some(Input { cluster, policies, sources: self.sources, profile, namespace, unread: self.unread })
    }
}

/// Lays changed objects over the others, and takes away those of --without.
pub(super) fn changed(
    objects: Vec<Loaded>,
    with: Vec<Loaded>,
    global: &Global,
    namespace: &str,
    output: &mut Output,
) -> Option<Vec<Loaded>> {
    let mut objects = if global.with.is_empty() { objects } else { overlay(objects, with, global.prune, namespace) };
    for what in &global.without {
        match without(&mut objects, what, namespace) {
            Ok(0) => {
                output.error(&format!("--without `{what}`: there is no such object"));
                return None;
            }
            Ok(_) => {}
            Err(message) => {
                output.error(&format!("--without {message}"));
                return None;
            }
        }
    }
    Some(objects)
}

/// Builds the cluster.
pub(super) fn cluster_of(
    objects: Vec<Loaded>,
    namespace: &str,
    sources: &SourceMap,
    output: &mut Output,
) -> Option<Cluster> {
    let options = BuildOptions { default_namespace: namespace.to_owned(), ..BuildOptions::default() };
    match Cluster::build(objects, &options) {
        Ok(cluster) => Some(cluster),
        Err(diagnostics) => {
            draw(&diagnostics, sources, output);
            None
        }
    }
}

/// The plugin that was named, else the one that was found.
pub(super) fn profile(global: &Global, found: Option<&str>, output: &mut Output) -> Option<Profile> {
    match global.cni.as_deref().or(found).unwrap_or("generic").parse::<Profile>() {
        Ok(profile) => Some(profile),
        Err(message) => {
            output.error(&message);
            None
        }
    }
}

/// Manifests have no current context: where all of them are in one namespace, it is the one that is meant.
pub(super) fn only_namespace(cluster: &Cluster) -> Option<String> {
    let mut used = cluster.namespaces.iter().enumerate().filter(|(index, namespace)| {
        let id = NamespaceId(*index as u32);
        cluster.pods_of(id).any(|p| cluster.pods[p.index()].origin.is_some())
            || cluster.services[namespace.services.start as usize..namespace.services.end as usize]
                .iter()
                .any(|s| s.origin.is_some())
    });
    let first = used.next()?.1;
    used.next().is_none().then(|| first.name.to_string())
}

/// How many messages of one kind are drawn before they are counted.
const MOST: usize = 20;

/// Draws errors and warnings to standard error.
pub(super) fn draw(diagnostics: &[Diagnostic], sources: &SourceMap, output: &mut Output) {
    let mut errors = 0;
    for diagnostic in diagnostics.iter().filter(|d| d.severity == Severity::Error) {
        errors += 1;
        if errors <= MOST {
            let text = snippet::render(diagnostic, sources, output.error_color, 100);
            output.error_block(&format!("{text}\n"));
        }
    }
    if errors > MOST {
        output.error(&format!("{} more like these", errors - MOST));
    }
    let warnings: Vec<&Diagnostic> = diagnostics.iter().filter(|d| d.severity != Severity::Error).collect();
    for diagnostic in warnings.iter().take(MOST) {
        let text = snippet::render(diagnostic, sources, output.error_color, 100);
        output.note(&format!("{text}\n"));
    }
    if warnings.len() > MOST {
        output.note(&format!("warning: {} more warnings\n", warnings.len() - MOST));
    }
}
