//! The objects a command works on: read, laid over each other, built into a cluster.

use crate::cli::Global;
use crate::model::overlay::{overlay, without};
use crate::model::{BuildOptions, Cluster, NamespaceId};
use crate::policy::{Policies, Profile};
use crate::report::snippet;
use crate::source::{Diagnostic, Loader, Options, Severity, SourceMap};

use super::Output;

/// What a command works on.
pub(super) struct Input {
    pub(super) cluster: Cluster,
    pub(super) policies: Policies,
    pub(super) sources: SourceMap,
    pub(super) profile: Profile,
    pub(super) namespace: String,
}

/// Reads everything. What is wrong was written to standard error where there is none.
pub(super) fn read(global: &Global, output: &mut Output) -> Option<Input> {
    let namespace = global.namespace.clone().unwrap_or_else(|| "default".to_owned());
    if global.filename.is_empty() {
        output.error("no objects to read");
        output.help(
            "give manifests, a dump or a directory with -f PATH, such as -f examples/shop or -f - for standard input",
        );
        return None;
    }
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
    if !global.with.is_empty() {
        let with = objects.split_off(base);
        objects = overlay(objects, with, global.prune, &namespace);
    }
    for what in &global.without {
        match without(&mut objects, what, &namespace) {
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
    let build = BuildOptions { default_namespace: namespace.clone(), ..BuildOptions::default() };
    let cluster = match Cluster::build(objects, &build) {
        Ok(cluster) => cluster,
        Err(diagnostics) => {
            draw(&diagnostics, &input.sources, output);
            return None;
        }
    };
    let namespace = global.namespace.clone().unwrap_or_else(|| only_namespace(&cluster).unwrap_or(namespace));
    let policies = Policies::lower(&cluster);
    let profile = match global.cni.as_deref().unwrap_or("generic").parse::<Profile>() {
        Ok(profile) => profile,
        Err(message) => {
            output.error(&message);
            return None;
        }
    };
    Some(Input { cluster, policies, sources: input.sources, profile, namespace })
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
