//! `netcheck snapshot`: what checks and `why` need of a cluster, as one file.

use std::sync::{Arc, Mutex};

use super::{Exit, Output, input};
#[cfg(feature = "live")]
use crate::analysis::logs::scrub;
#[cfg(feature = "live")]
use crate::analysis::why::{Logs, Wants, facts::Facts, select};
use crate::cli::{Global, SnapshotArgs};
use crate::report::snapshot::{Head, Item, Snapshot};
use crate::source::observe::{Content, Observe, Observed, Observer, Seen};
use crate::source::{Loader, Options};

/// Writes the snapshot.
pub(super) fn run(global: &Global, args: &SnapshotArgs, output: &mut Output) -> Exit {
    if global.filename.is_empty() {
        #[cfg(feature = "live")]
        return of_cluster(global, args, output);
        #[cfg(not(feature = "live"))]
        {
            output.error("no objects to read");
            output.help("give a dump with -f PATH");
            return Exit::Error;
        }
    }
    if args.with_logs.is_some() {
        output.error("--with-logs reads logs of a cluster, and -f gives files");
        return Exit::Error;
    }
    let namespace = global.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let collector = Collector::new(&namespace);
    let mut loader = Loader::new(Options { skip_invalid: true, ..options(global, &namespace, &collector) });
    for path in &global.filename {
        loader.path(path);
    }
    let read = match loader.finish() {
        Ok(read) => read,
        Err(error) => {
            input::draw(&error.diagnostics, &error.sources, output);
            return Exit::Error;
        }
    };
    let snapshot = collector.finish();
    let cni = global.cni.clone().or(read.cni).or_else(|| snapshot.plugin().map(str::to_owned));
    let head = Head { captured_at: None, cni, namespace: global.namespace.clone().or(read.namespace) };
    write(&snapshot, &head, output)
}

fn options(global: &Global, namespace: &str, collector: &Collector) -> Options {
    Options {
        recursive: global.recursive,
        skip_invalid: global.skip_invalid,
        default_namespace: Some(namespace.to_owned()),
        observer: Some(collector.observer()),
        only_observed: true,
        ..Options::default()
    }
}

#[cfg(feature = "live")]
fn of_cluster(global: &Global, args: &SnapshotArgs, output: &mut Output) -> Exit {
    use super::cluster;
    use crate::live::Depth;

    let Some(session) = cluster::connect(global, output) else { return Exit::Error };
    let namespace = global.namespace.clone().unwrap_or_else(|| session.namespace().to_owned());
    let facts = args.with_logs.as_ref().map(|_| Arc::new(Mutex::new(Facts::new(&namespace))));
    let collector = Collector { facts: facts.clone(), ..Collector::new(&namespace) };
    let mut loader = Loader::new(options(global, &namespace, &collector));
    let mut gathered = match session.everything(&cluster::scope(global, &namespace), &Depth::Details, &mut loader) {
        Ok(gathered) => gathered,
        Err(error) => {
            cluster::refuse(&error, output);
            return Exit::Error;
        }
    };
    if let (Some(directory), Some(facts)) = (&args.with_logs, facts) {
        match save_logs(&session, &cluster::scope(global, &namespace), &facts, &mut loader, directory) {
            Ok(saved) => {
                gathered.add(saved.read);
                let files = saved.files;
                output.note(&format!("note: {files} logs written to `{}`, without credentials\n", directory.display()));
                if !saved.further.is_empty() {
                    let all: Vec<String> = saved.further.iter().map(|n| format!("`{n}`")).collect();
                    output.note(&format!("note: namespaces that they lead to are saved too: {}\n", all.join(", ")));
                }
            }
            Err(Unsaved::Cluster(error)) => {
                cluster::refuse(&error, output);
                return Exit::Error;
            }
            Err(Unsaved::File(path, error)) => {
                output.error(&format!("can't write `{}`: {error}", path.display()));
                return Exit::Error;
            }
        }
    }
    if let Err(error) = loader.finish() {
        input::draw(&error.diagnostics, &error.sources, output);
        return Exit::Error;
    }
    cluster::tell(global, &gathered, output);
    let snapshot = collector.finish();
    let found = gathered.plugin.or(snapshot.plugin()).map(str::to_owned);
    let head = Head { captured_at: Some(now()), cni: global.cni.clone().or(found), namespace: Some(namespace) };
    write(&snapshot, &head, output)
}

/// Pods in trouble whose logs are saved.
#[cfg(feature = "live")]
const PODS: usize = 200;

/// Why logs can't be saved.
#[cfg(feature = "live")]
enum Unsaved {
    Cluster(crate::live::LiveError),
    File(std::path::PathBuf, std::io::Error),
}

/// What was read and written with logs.
#[cfg(feature = "live")]
struct Saved {
    read: crate::live::Gathered,
    files: usize,
    /// Namespaces beside those that were asked for.
    further: std::collections::BTreeSet<String>,
}

/// Writes what pods in trouble logged, as `why --logs` reads it, and reads the namespaces that this leads to: without what a pod
/// depends on there is no answer.
#[cfg(feature = "live")]
fn save_logs(
    session: &crate::live::Session,
    scope: &crate::live::Scope,
    facts: &Mutex<Facts>,
    loader: &mut Loader,
    directory: &std::path::Path,
) -> Result<Saved, Unsaved> {
    let locked = || facts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let pods = select::suspects(&locked(), None).into_iter().take(PODS).collect();
    let wants = Wants::of(&locked(), &pods);
    let mut logs = Logs::default();
    let mut read = super::why::read_logs(session, wants.logs, &mut logs).map_err(Unsaved::Cluster)?;
    let mut further = Default::default();
    if let crate::live::Scope::Namespaces(known) = scope {
        let (more, names) =
            super::why::follow(session, facts, loader, known, &pods, &mut logs).map_err(Unsaved::Cluster)?;
        read.add(more);
        further = names;
    }
    let file = |path: &std::path::Path| {
        let path = path.to_owned();
        move |error| Unsaved::File(path, error)
    };
    std::fs::create_dir_all(directory).map_err(file(directory))?;
    let mut files = 0;
    for ((namespace, pod, container), log) in &logs.0 {
        for (text, end) in [(&log.current, "log"), (&log.previous, "previous.log")] {
            let Some(text) = text else { continue };
            let path = directory.join(format!("{namespace}_{pod}_{container}.{end}"));
            std::fs::write(&path, scrub(text).as_bytes()).map_err(file(&path))?;
            files += 1;
        }
    }
    Ok(Saved { read, files, further })
}

fn write(snapshot: &Snapshot, head: &Head, output: &mut Output) -> Exit {
    if snapshot.is_empty() {
        output.error("there is nothing to save");
        return Exit::Error;
    }
    snapshot.write(head, |piece| output.text(piece));
    Exit::Yes
}

/// The time now in RFC 3339, in whole seconds (days to a date by Howard Hinnant's `civil_from_days`).
#[cfg(feature = "live")]
fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    rfc3339(since)
}

#[cfg(feature = "live")]
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Trims objects as they pass by, many side by side.
#[derive(Clone)]
struct Collector {
    snapshot: Arc<Mutex<Snapshot>>,
    namespace: Arc<str>,
    /// What is known of pods, where their logs are saved too.
    #[cfg(feature = "live")]
    facts: Option<Arc<Mutex<Facts>>>,
}

impl Collector {
    fn new(namespace: &str) -> Self {
        Self {
            snapshot: Arc::default(),
            namespace: namespace.into(),
            #[cfg(feature = "live")]
            facts: None,
        }
    }

    fn observer(&self) -> Observer {
        Observer(Arc::new(self.clone()))
    }

    fn item(&self, object: &Observed<'_>) -> Option<Item> {
        match object.content {
            Content::Value(value) => Item::of(object.api_version, object.kind, value, &self.namespace),
            Content::Json(text) => Item::of_json(object.api_version, object.kind, text, &self.namespace),
        }
    }

    fn finish(&self) -> Snapshot {
        self.snapshot.lock().map(|mut snapshot| std::mem::take(&mut *snapshot)).unwrap_or_default()
    }
}

impl Observe for Collector {
    fn see_first(&self, object: &Observed<'_>) -> Option<(Seen, usize)> {
        let Content::Json(text) = object.content else { return None };
        let (item, end) = Item::first_of_json(object.api_version, object.kind, text, &self.namespace)?;
        Some((Box::new(Some(item)), end))
    }

    fn see(&self, object: &Observed<'_>) -> Option<Seen> {
        Some(Box::new(self.item(object)))
    }

    fn take(&self, object: &Observed<'_>, seen: Option<Seen>) {
        #[cfg(feature = "live")]
        if let Some(Ok(mut facts)) = self.facts.as_ref().map(|f| f.lock()) {
            facts.add(object);
        }
        let item = match seen.map(|seen| seen.downcast::<Option<Item>>()) {
            Some(Ok(item)) => *item,
            _ => self.item(object),
        };
        if let (Some(item), Ok(mut snapshot)) = (item, self.snapshot.lock()) {
            snapshot.insert(item);
        }
    }
}

#[cfg(all(test, feature = "live"))]
mod tests {
    #[test]
    fn times_are_written_as_the_api_server_writes_them() {
        assert_eq!(super::rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(super::rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(super::rfc3339(1_795_225_872), "2026-11-21T01:51:12Z");
    }
}
