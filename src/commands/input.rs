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
use crate::source::{Diagnostic, Loader, Options, Severity, SourceMap};

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

/// Reads all objects of the files, or of the cluster what the question needs, everything without one. What is wrong was
/// written to standard error where there is none.
pub(super) fn read(global: &Global, asking: Option<Asking<'_>>, output: &mut Output) -> Option<Input> {
    if !global.filename.is_empty() {
        return from_files(global, output);
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

fn from_files(global: &Global, output: &mut Output) -> Option<Input> {
    let namespace = global.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let options = Options {
        recursive: global.recursive,
        skip_invalid: global.skip_invalid,
        default_namespace: global.namespace.clone(),
        ..Options::default()
    };
    let mut loader = Loader::new(options);
    for path in &global.filename {
        loader.path(path);
    }
    let base = loader.objects();
    for path in &global.with {
        loader.path(path);
    }
    let input = match loader.finish() {
        Ok(input) => input,
        Err(error) => {
            draw(&error.diagnostics, &error.sources, output);
            return None;
        }
    };
    draw(&input.warnings, &input.sources, output);
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
    let cluster = build(global, objects, with, &namespace, &input.sources, output)?;
    let namespace = global.namespace.clone().unwrap_or_else(|| only_namespace(&cluster).unwrap_or(namespace));
    let policies = Policies::lower(&cluster);
    let profile = profile(global, input.cni.as_deref(), output)?;
    Some(Input { cluster, policies, sources: input.sources, profile, namespace, unread: Vec::new() })
}

/// Reads what is wanted from the cluster that the flags choose.
#[cfg(feature = "live")]
fn from_cluster(global: &Global, asking: Option<Asking<'_>>, output: &mut Output) -> Option<Input> {
    use crate::live::{Question, Scope};

    let session = cluster::connect(global, output)?;
    let namespace = global.namespace.clone().unwrap_or_else(|| session.namespace().to_owned());
    let options = Options {
        recursive: global.recursive,
        skip_invalid: global.skip_invalid,
        default_namespace: Some(namespace.clone()),
        ..Options::default()
    };
    // What is laid over comes first: it may ask for more of the cluster.
    let mut loader = Loader::new(options);
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
            };
            session.question(&question, &mut loader)
        }
        Some(_) => session.everything(&Scope::Cluster, &mut loader),
        None => session.everything(&cluster::scope(global, &namespace), &mut loader),
    };
    let gathered = match gathered {
        Ok(gathered) => gathered,
        Err(error) => {
            cluster::refuse(&error, output);
            return None;
        }
    };
    let input = match loader.finish() {
        Ok(input) => input,
        Err(error) => {
            draw(&error.diagnostics, &error.sources, output);
            return None;
        }
    };
    draw(&input.warnings, &input.sources, output);
    cluster::tell(global, &gathered, output);
    let mut laid = input.objects;
    let mut objects = laid.split_off(with);
    distinct(&mut objects);
    let mut built = build(global, objects, laid, &namespace, &input.sources, output)?;
    if gathered.dns_open {
        // It was left out because nothing can stand in its way: nothing was assumed that matters.
        built.assumptions.clear();
    }
    let policies = Policies::lower(&built);
    let profile = profile(global, gathered.plugin, output)?;
    Some(Input { cluster: built, policies, sources: input.sources, profile, namespace, unread: gathered.unread })
}

/// Lays changed objects over the others, and builds the cluster.
fn build(
    global: &Global,
    objects: Vec<Loaded>,
    with: Vec<Loaded>,
    namespace: &str,
    sources: &SourceMap,
    output: &mut Output,
) -> Option<Cluster> {
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
fn profile(global: &Global, found: Option<&str>, output: &mut Output) -> Option<Profile> {
    match global.cni.as_deref().or(found).unwrap_or("generic").parse::<Profile>() {
        Ok(profile) => Some(profile),
        Err(message) => {
            output.error(&message);
            None
        }
    }
}

/// Manifests have no current context: where all of them are in one namespace, it is the one that is meant.
fn only_namespace(cluster: &Cluster) -> Option<String> {
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

fn draw(diagnostics: &[Diagnostic], sources: &SourceMap, output: &mut Output) {
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
