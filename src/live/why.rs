//! What `why` reads of a cluster beside what decides connectivity: events, what containers logged, and which namespaces there
//! are where names and addresses lead.
//!
//! Names come in, answers go out; it knows nothing of what they tell.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use futures::{StreamExt, stream};
use serde::Deserialize;

use super::Session;
use super::ask::{Ask, ENDPOINT_SLICES, EVENTS, Filter, NAMESPACES, NETWORK_POLICIES, PODS, SERVICES, STATEFUL_SETS};
use super::client::{JSON, encode};
use super::error::{LiveError, Trouble};
use super::gather::{AT_ONCE, Gathered};
use super::progress;
use super::rights::Right;
use crate::source::unread::{Gravity, Unread};

/// Objects of one namespace whose events are asked for one by one; of more, the namespace's are read.
const ONE_BY_ONE: usize = 8;
/// Lines of a log's end.
const TAIL: usize = 2_000;
/// Bytes of a log's end.
const TAIL_BYTES: usize = 4 << 20;
/// Bytes of a log's start, where it says whom it dials: read where the end isn't all of it.
const HEAD_BYTES: usize = 64 << 10;
/// Further namespaces that are read.
const NAMESPACES_MOST: usize = 12;

/// A log to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAsk {
    /// Namespace.
    pub namespace: String,
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
    /// Of the run before.
    pub previous: bool,
}

/// Events of some objects of a namespace, by their uids.
pub fn events(namespace: &str, uids: &[String]) -> Vec<Ask> {
    let list = |filter| Ask::List { resource: EVENTS, namespace: Some(namespace.to_owned()), filter };
    if uids.len() > ONE_BY_ONE || uids.iter().any(String::is_empty) {
        return vec![list(Filter::All)];
    }
    uids.iter().map(|uid| list(Filter::Fields(format!("involvedObject.uid={uid}")))).collect()
}

/// Events of some nodes: objects in no namespace have theirs in `default`.
pub fn node_events(nodes: &BTreeSet<String>) -> Vec<Ask> {
    let fields = |node: &String| Filter::Fields(format!("{OF_NODES},involvedObject.name={node}"));
    let list = |node| Ask::List { resource: EVENTS, namespace: Some("default".to_owned()), filter: fields(node) };
    nodes.iter().take(ONE_BY_ONE).map(list).collect()
}

/// How a selector of events of nodes begins.
pub(super) const OF_NODES: &str = "involvedObject.kind=Node";

/// What decides connectivity in namespaces that were found to exist.
pub fn surroundings(namespaces: &BTreeSet<String>) -> Vec<Ask> {
    namespaces
        .iter()
        .flat_map(|namespace| {
            [PODS, SERVICES, ENDPOINT_SLICES, NETWORK_POLICIES, STATEFUL_SETS]
                .map(|resource| Ask::list(resource, namespace))
                .into_iter()
                .chain([Ask::get(NAMESPACES, namespace, namespace)])
        })
        .collect()
}

#[derive(Deserialize)]
struct Addresses {
    items: Option<Vec<Addressed>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Addressed {
    metadata: Named,
    spec: Ips,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    namespace: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Port {
    port: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ips {
    ports: Option<Vec<Port>>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
}

impl Session {
    /// Which of these namespaces there are; one that may not be looked at is taken to be there.
    pub fn existing(&self, namespaces: &BTreeSet<String>) -> Result<BTreeSet<String>, LiveError> {
        self.runtime.block_on(async {
            let found: Vec<Result<Option<String>, LiveError>> =
                stream::iter(namespaces.iter().take(NAMESPACES_MOST).map(|name| async move {
                    let ask = Ask::get(NAMESPACES, name, name);
                    match self.api.get(&ask.path(), JSON, &ask.describe()).await {
                        Ok(_) => Ok(Some(name.clone())),
                        Err(error) if error.trouble == Trouble::NotFound => Ok(None),
                        Err(error) if error.trouble == Trouble::Forbidden && error.helps.is_empty() => {
                            Ok(Some(name.clone()))
                        }
                        Err(error) => Err(error),
                    }
                }))
                .buffered(AT_ONCE)
                .collect()
                .await;
            found.into_iter().filter_map(Result::transpose).collect()
        })
    }

    /// Namespaces whose Services have one of these addresses, or ports; where Services of the cluster may not be listed, none.
    pub fn holders(&self, addresses: &BTreeSet<IpAddr>, ports: &BTreeSet<u16>) -> Result<BTreeSet<String>, LiveError> {
        if addresses.is_empty() && ports.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ask = Ask::everywhere(SERVICES);
        self.runtime.block_on(async {
            let found = std::cell::RefCell::new(BTreeSet::new());
            let page = |body: Vec<u8>| {
                let services =
                    serde_json::from_slice::<Addresses>(&body).ok().and_then(|l| l.items).unwrap_or_default();
                for service in services {
                    let ip = service.spec.cluster_ip.and_then(|ip| ip.parse::<IpAddr>().ok());
                    let listed = service.spec.ports.unwrap_or_default();
                    let port = listed.iter().any(|p| p.port.is_some_and(|p| ports.contains(&p)));
                    if ip.is_some_and(|ip| addresses.contains(&ip)) || port && found.borrow().len() < NAMESPACES_MOST {
                        found.borrow_mut().insert(service.metadata.namespace);
                    }
                }
                Ok(())
            };
            match self.api.pages(&ask.path(), JSON, &ask.describe(), Vec::new, page, || {}).await {
                Ok(()) => Ok(found.into_inner()),
                Err(error) if error.trouble == Trouble::Forbidden && error.helps.is_empty() => Ok(BTreeSet::new()),
                Err(error) => Err(error),
            }
        })
    }

    /// Logs, in the order they were asked for, none where there is none; and which can't be had.
    pub fn logs(&self, asks: &[LogAsk]) -> Result<(Vec<Option<String>>, Gathered), LiveError> {
        let answers: Vec<_> = self.runtime.block_on(progress::beside(&self.api, self.progress, async {
            stream::iter(asks.iter().map(|ask| self.log(ask))).buffered(AT_ONCE).collect().await
        }));
        let mut logs = Vec::with_capacity(asks.len());
        let mut gathered = Gathered { requests: self.api.sent.load(Ordering::Relaxed), ..Gathered::default() };
        let mut hidden: BTreeSet<&str> = BTreeSet::new();
        for (ask, answer) in asks.iter().zip(answers) {
            let mut lacks = |what: String, consequence: String| {
                gathered.unread.push(Unread { what, consequence, gravity: Gravity::Detail });
            };
            match answer {
                Ok(text) => {
                    logs.push(text);
                    continue;
                }
                Err(error) if error.trouble == Trouble::Forbidden && error.helps.is_empty() => {
                    if hidden.insert(&ask.namespace) {
                        let what = format!("logs in namespace `{}`", ask.namespace);
                        lacks(what, "what programs said before they ended is not known".to_owned());
                        gathered.missing.push(Right::logs(&ask.namespace));
                    }
                }
                // The node may be gone: the other logs still tell.
                Err(error) if matches!(error.trouble, Trouble::Server | Trouble::Timeout | Trouble::Busy) => {
                    lacks(format!("the log of {} in {}/{}", ask.container, ask.namespace, ask.pod), error.message);
                }
                Err(error) => return Err(error),
            }
            logs.push(None);
        }
        Ok((logs, gathered))
    }

    /// A log's end, with its start where that is cut off; none where there is no log.
    async fn log(&self, ask: &LogAsk) -> Result<Option<String>, LiveError> {
        let base = format!(
            "/api/v1/namespaces/{}/pods/{}/log?container={}{}",
            encode(&ask.namespace),
            encode(&ask.pod),
            encode(&ask.container),
            if ask.previous { "&previous=true" } else { "" }
        );
        let what = format!("the log of container `{}` in pod `{}/{}`", ask.container, ask.namespace, ask.pod);
        let end = format!("{base}&tailLines={TAIL}&limitBytes={TAIL_BYTES}");
        let body = match self.api.get(&end, "*/*", &what).await {
            Ok(body) => body,
            // 400: no such run, or not started; 404: the pod is gone.
            Err(error) if matches!(error.trouble, Trouble::Protocol | Trouble::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::from_utf8_lossy(&body).into_owned();
        if text.lines().count() >= TAIL
            && let Ok(head) = self.api.get(&format!("{base}&limitBytes={HEAD_BYTES}"), "*/*", &what).await
        {
            let head = String::from_utf8_lossy(&head).into_owned();
            let whole = head.rfind('\n').and_then(|at| head.get(..=at)).unwrap_or_default();
            text = format!("{whole}{text}");
        }
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }
}
