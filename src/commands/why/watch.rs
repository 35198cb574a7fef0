//! `netcheck why --watch`: stays, and says of each new crash loop once why it is.
//!
//! Of the pods that pass by it keeps the names of those that it spoke of, and no more than so many.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Exit, Output, cluster};
use super::cluster::read_of;
use crate::analysis::why::facts::{Facts, Key};
use crate::analysis::why::select;
use crate::cli::{Global, WhyArgs};
use crate::live::watch::{Happening, Next};
use crate::source::observe::{Content, Observed};

/// Crash loops that are remembered; the oldest are forgotten first, and would be spoken of again.
const REMEMBERED: usize = 10_000;

/// Watches until it is stopped.
pub(super) fn run(global: &Global, args: &WhyArgs, output: &mut Output) -> Exit {
    if !global.filename.is_empty() || !args.pods.is_empty() {
        output.error("--watch looks at a namespace (-n) or at all (-A) of a cluster, not at files or single pods");
        return Exit::Error;
    }
    let Some(session) = cluster::connect(global, output) else { return Exit::Error };
    let namespace = global.namespace.clone().unwrap_or_else(|| session.namespace().to_owned());
    let place = (!global.all_namespaces).then_some(namespace.as_str());
    let mut told = Told::default();
    let where_ = place.map_or_else(|| "all namespaces".to_owned(), |n| format!("namespace {n}"));
    // What may not be read of one pod may not be read of the next.
    output.note_once();
    output.note(&format!("watching pods in {where_}; stop with Ctrl-C\n"));
    let lost = std::cell::RefCell::new(None::<String>);
    loop {
        let mut new: Option<Key> = None;
        let watched = session.watch_pods(
            place,
            |happening, json| {
                lost.replace(None);
                new = told.news(happening, json, session.now());
                if new.is_some() { Next::Stop } else { Next::On }
            },
            |why| {
                // A server that is away is told of once, until it answers again.
                if lost.replace(Some(why.to_owned())).as_deref() != Some(why) {
                    eprintln!("note: {}; trying again", crate::report::safe(why));
                }
            },
        );
        if let Err(error) = watched {
            cluster::refuse(&error, output);
            return Exit::Error;
        }
        let Some(key) = new else {
            // A terminal shows Ctrl-C where the prompt is to stand.
            if output.error_width().is_some() {
                output.note("\r\x1b[K");
            }
            return Exit::Yes;
        };
        let names = BTreeSet::from([key.clone()]);
        // What can't be read of one pod is told, and the next one looked at.
        if let Some(reading) = read_of(&session, global, args, &key.0, Some(names), output)
            // One that is gone by now is followed by another, which is told.
            && reading.facts.pods.contains_key(&key)
        {
            let one = WhyArgs { pods: vec![format!("{}/pod/{}", key.0, key.1)], ..args.clone() };
            let _ = super::answer(reading, global, &one, output);
            output.text("\n");
            if output.is_closed() {
                return Exit::Yes;
            }
        }
    }
}

/// The crash loops that were spoken of.
#[derive(Default)]
struct Told {
    /// When each was, by namespace and the name of what made the pod, or its own.
    known: BTreeMap<Key, u64>,
    clock: u64,
}

impl Told {
    /// The pod, where it is in a crash loop that nobody was told of.
    fn news(&mut self, happening: Happening, json: &[u8], now: i64) -> Option<Key> {
        let mut facts = Facts::new("default");
        facts.add(&Observed { kind: "Pod", api_version: "v1", content: Content::Json(json) });
        facts.now = now;
        let troubled = !select::suspects(&facts, None).is_empty();
        let (key, pod) = facts.pods.first_key_value()?;
        let owner = pod.metadata.owner_references.first().map_or(&key.1, |o| &o.name);
        let of = (key.0.clone(), owner.clone());
        if happening == Happening::Gone || !troubled {
            return None;
        }
        self.clock += 1;
        let before = self.known.insert(of, self.clock);
        if self.known.len() > REMEMBERED
            && let Some(oldest) = self.known.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone())
        {
            self.known.remove(&oldest);
        }
        before.is_none().then(|| key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, restarts: u32) -> Vec<u8> {
        let state = if restarts > 0 { r#"{"waiting":{"reason":"CrashLoopBackOff"}}"# } else { r#"{"running":{}}"# };
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"a","ownerReferences":[{{"kind":"ReplicaSet","name":"api-1"}}]}},"spec":{{"containers":[{{"name":"c"}}]}},"status":{{"phase":"Running","containerStatuses":[{{"name":"c","restartCount":{restarts},"state":{state}}}]}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn each_loop_is_told_once() {
        let mut told = Told::default();
        assert_eq!(told.news(Happening::Seen, &pod("api-1-x", 0), 0), None);
        assert_eq!(told.news(Happening::Seen, &pod("api-1-x", 3), 0), Some(("a".to_owned(), "api-1-x".to_owned())));
        assert_eq!(told.news(Happening::Seen, &pod("api-1-x", 4), 0), None);
        assert_eq!(told.news(Happening::Seen, &pod("api-1-y", 4), 0), None);
        assert_eq!(told.news(Happening::Gone, &pod("api-1-x", 4), 0), None);
    }
}
