//! Where a group of expectations takes its objects from: files, a text of its own, the cluster; and what is laid over them.
//!
//! A cluster is read once for all groups of a call that ask for it, and of it what they are about together.

use std::path::{Component, Path, PathBuf};

use super::super::Output;
use super::super::input::{self, Input};
use crate::analysis::expect::{Concern, Gaps};
use crate::cli::Global;
use crate::model::overlay::overlay;
use crate::source::Loader;

#[cfg(feature = "live")]
use super::super::cluster::{Reading, Wanted};

/// The objects of one group, as its file names them.
pub(super) struct Objects<'a> {
    /// The file's directory.
    pub(super) directory: &'a Path,
    /// `objects`.
    pub(super) files: &'a [String],
    /// Whether a case names them, so that -f doesn't take their place.
    pub(super) own: bool,
    /// `with`.
    pub(super) with: Vec<&'a String>,
    /// `manifests`, each with a name for messages.
    pub(super) manifests: Vec<(&'a str, String)>,
    /// `namespace`.
    pub(super) namespace: Option<&'a str>,
    /// `cni`.
    pub(super) cni: Option<&'a str>,
}

/// Where the objects under a group come from.
enum Base<'a> {
    /// Files of -f.
    Given,
    /// Its own files; none where everything stands in `manifests`.
    Files,
    /// The cluster of a context; the current one where it is empty.
    Cluster(&'a str),
}

/// What several groups have in common, read once: the objects of -f, and clusters by context.
#[derive(Default)]
pub(super) struct Shared {
    /// By the namespace of objects that name none.
    given: Vec<(Option<String>, Loader)>,
    #[cfg(feature = "live")]
    wanted: Vec<(String, Wanted)>,
    #[cfg(feature = "live")]
    read: Vec<(String, Reading)>,
}

impl Shared {
    /// Says what of a cluster a group will want, if it wants one.
    pub(super) fn announce(&mut self, objects: &Objects<'_>, global: &Global, concern: impl FnOnce(&str) -> Concern) {
        #[cfg(feature = "live")]
        if let Ok(Base::Cluster(context)) = objects.base(global) {
            let own = global.namespace.as_deref().or(objects.namespace);
            // The namespace of the context is only known once it is chosen; an empty name stands for it until then.
            let concern = concern(own.unwrap_or_default());
            let index = self.wanted.iter().position(|(c, _)| c == context).unwrap_or_else(|| {
                self.wanted.push((context.to_owned(), Wanted::default()));
                self.wanted.len() - 1
            });
            let wanted = &mut self.wanted[index].1;
            wanted.namespaces.extend(concern.namespaces);
            wanted.perhaps.extend(concern.perhaps);
            wanted.everywhere |= concern.everywhere;
            wanted.kinds.get_or_insert_default().extend(concern.kinds);
        }
        #[cfg(not(feature = "live"))]
        let _ = (self, objects, global, concern);
    }

    /// What was read of -f. Standard input is read by whoever comes first.
    fn given(&mut self, global: &Global, output: &mut Output) -> Option<Loader> {
        if let Some((_, loader)) = self.given.iter().find(|(namespace, _)| *namespace == global.namespace) {
            return Some(loader.clone());
        }
        if !self.given.is_empty() && global.filename.iter().any(|p| p.as_os_str() == "-") {
            output.error("standard input can be read once, and the expectations are about several namespaces");
            output.help("say with -n which namespace objects are in that name none");
            return None;
        }
        let mut loader = Loader::new(input::options(global, global.namespace.clone()));
        for path in &global.filename {
            loader.path(path);
        }
        self.given.push((global.namespace.clone(), loader.clone()));
        Some(loader)
    }

    #[cfg(feature = "live")]
    fn of(&mut self, context: &str, global: &Global, output: &mut Output) -> Option<&Reading> {
        let known = self.read.iter().position(|(c, _)| c == context);
        let index = match known {
            Some(index) => index,
            None => {
                let mut global = global.clone();
                if !context.is_empty() {
                    global.cluster.context = Some(context.to_owned());
                }
                let wanted = self.wanted.iter().find(|(c, _)| c == context).map(|(_, w)| w.clone());
                let Some(reading) = Reading::new(&global, wanted.unwrap_or_default(), output) else {
                    if context.is_empty() {
                        output
                            .help("expectations about files name them with `objects`, or are given them with -f PATH");
                    }
                    return None;
                };
                self.read.push((context.to_owned(), reading));
                self.read.len() - 1
            }
        };
        self.read.get(index).map(|(_, reading)| reading)
    }
}

impl<'a> Objects<'a> {
    fn base(&self, global: &Global) -> Result<Base<'a>, &'static str> {
        if !global.filename.is_empty() && !self.own {
            return Ok(Base::Given);
        }
        let mut contexts = self.files.iter().filter_map(|f| f.strip_prefix("cluster:"));
        match (contexts.next(), self.files.len()) {
            (None, 0) if self.manifests.is_empty() => Ok(Base::Cluster("")),
            (None, _) => Ok(Base::Files),
            (Some(context), 1) => Ok(Base::Cluster(context)),
            (Some(_), _) => Err("`objects` names a cluster beside something else"),
        }
    }

    /// The objects, those of `with` and `manifests` laid over them, then what the flags change; and what is not known
    /// of them.
    pub(super) fn read(&self, global: &Global, shared: &mut Shared, output: &mut Output) -> Option<(Input, Gaps)> {
        let mut own = global.clone();
        own.namespace = own.namespace.or(self.namespace.map(str::to_owned));
        own.cni = own.cni.or(self.cni.map(str::to_owned));
        let context = match self.base(global) {
            Ok(Base::Given) => return self.files(shared.given(&own, output)?, &own, output),
            Ok(Base::Files) => {
                let mut loader = Loader::new(input::options(&own, own.namespace.clone()));
                for path in self.files {
                    loader.path(&joined(self.directory, path));
                }
                return self.files(loader, &own, output);
            }
            Ok(Base::Cluster(context)) => context,
            Err(message) => {
                output.error(message);
                output.help("lay files over a cluster with `with`");
                return None;
            }
        };
        self.cluster(context, global, &own, shared, output)
    }

    fn lay(&self, loader: &mut Loader) {
        for path in &self.with {
            loader.path(&joined(self.directory, path));
        }
        for (text, name) in &self.manifests {
            loader.text(name, text);
        }
    }

    fn files(&self, mut loader: Loader, global: &Global, output: &mut Output) -> Option<(Input, Gaps)> {
        let end = loader.objects();
        self.lay(&mut loader);
        let mut raw = input::from_files(loader, global, output)?;
        let laid = raw.objects.split_off(end);
        raw.objects = overlay(raw.objects, laid, false, &raw.namespace);
        Some((raw.build(true, global, output)?, Gaps::default()))
    }

    #[cfg(feature = "live")]
    fn cluster(
        &self,
        context: &str,
        global: &Global,
        own: &Global,
        shared: &mut Shared,
        output: &mut Output,
    ) -> Option<(Input, Gaps)> {
        use crate::source::unread::Gravity;

        let reading = shared.of(context, global, output)?;
        let raw = reading.raw(own.namespace.clone(), &mut |loader| self.lay(loader), own, output)?;
        let mut gaps = Gaps::default();
        for gap in &raw.unread {
            if gap.gravity == Gravity::Policy || (gap.gravity == Gravity::ClusterPolicy && global.cluster.strict) {
                gaps.guesses.push(gap.consequence.clone());
            }
        }
        if reading.partial {
            gaps.elsewhere = Some("pods of other namespaces may not be read: what they reach is not known".to_owned());
        }
        Some((raw.build(true, own, output)?, gaps))
    }

    #[cfg(not(feature = "live"))]
    fn cluster(&self, _: &str, _: &Global, _: &Global, _: &mut Shared, output: &mut Output) -> Option<(Input, Gaps)> {
        output.error("the expectations say nothing of objects");
        output.help("name them with `objects` or `manifests` in the file, or with -f PATH");
        None
    }
}

/// A path from a file's directory, without detours.
fn joined(directory: &Path, path: &str) -> PathBuf {
    let mut out = PathBuf::new();
    for component in directory.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}
