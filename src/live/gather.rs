//! Answers from a cluster, gathered: for one question in as few rounds as it takes, or for a scope in pages.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use futures::{StreamExt, stream};
use serde::Deserialize;

use super::ask::{
    Ask, CLAIMS, CONFIG_MAPS, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, Filter, INGRESS_CLASSES,
    INGRESSES, JOBS, NAMESPACES, NETWORK_POLICIES, NODES, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, SECRETS,
    SERVICES, STATEFUL_SETS, STORAGE_CLASSES,
};
use super::client::{Api, DISCOVERY, JSON, METADATA, Take};
use super::discovery::Discovered;
use super::error::{LiveError, Trouble};
use super::known::{Answer, Known, Slim};
use super::needs::{Question, needs};
use super::rights::{Right, roles};
use crate::source::Loader;
use crate::source::load::Arriving;
use crate::source::origin::SourceId;
use crate::source::plugin;
use crate::source::unread::{Gravity, Unread};
use crate::source::wire::Metadata;

/// What is known besides the objects.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// What may not be read, the gravest first.
    pub unread: Vec<Unread>,
    /// The rights that are missing.
    pub missing: Vec<Right>,
    /// The network plugin that the cluster's APIs and DaemonSets betray.
    pub plugin: Option<&'static str>,
    /// The DaemonSet of a plugin that enforces nothing, where there is no other.
    pub enforces_nothing: Option<String>,
    /// How many requests it took.
    pub requests: usize,
    /// Whether DNS was left out because nothing could stand in its way.
    pub dns_open: bool,
}

impl Gathered {
    /// Takes over which plugin there is.
    fn betrayed(&mut self, groups: &BTreeSet<&'static str>, running: &[Slim]) {
        let names = || running.iter().map(|d| d.metadata.name.as_str());
        self.plugin = plugin::settle(groups, &names().filter_map(plugin::of_daemon_set).collect());
        self.enforces_nothing =
            if self.plugin.is_none() { names().find(|n| plugin::enforces_nothing(n)).map(str::to_owned) } else { None };
    }

    /// Takes over what may not be read.
    fn hide<'a>(&mut self, asks: impl Iterator<Item = &'a Ask>) {
        for ask in asks {
            if let Some(unread) = unread(ask) {
                self.unread.push(unread);
                self.missing.extend(Right::of(ask));
            }
        }
        self.unread.sort_by(|a, b| b.gravity.cmp(&a.gravity).then_with(|| a.what.cmp(&b.what)));
        self.unread.dedup();
    }

    /// Takes over what another gathering came to.
    pub fn add(&mut self, other: Self) {
        self.unread.extend(other.unread);
        self.unread.sort_by(|a, b| b.gravity.cmp(&a.gravity).then_with(|| a.what.cmp(&b.what)));
        self.unread.dedup();
        self.missing.extend(other.missing);
        self.plugin = self.plugin.or(other.plugin);
        self.requests = self.requests.max(other.requests);
    }

    /// The missing rights as roles in YAML; empty where none is missing.
    pub fn roles(&self) -> String {
        if self.missing.is_empty() { String::new() } else { roles(&self.missing) }
    }
}

/// Rounds that a question may take: more than any needs, so that a loop ends.
const ROUNDS: usize = 10;
/// Requests that a question with one target may take (PERFORMANCE, "A single live question").
const BUDGET: usize = 16;

/// Gathers what one question needs; `each` gets every body that holds objects.
pub(super) async fn question(
    api: &Api,
    question: &Question,
    mut each: impl FnMut(&[u8]),
) -> Result<Gathered, LiveError> {
    let mut known = Known::new();
    let mut last = needs(question, &known);
    for _ in 0..ROUNDS {
        within_budget(&mut last.asks, &mut known, question, api.sent.load(Ordering::Relaxed));
        if last.asks.is_empty() {
            break;
        }
        let answers = join_all(last.asks.drain(..).map(|ask| async move {
            let answer = fetch(api, &ask).await;
            (ask, answer)
        }))
        .await;
        for (ask, answer) in answers {
            let (answer, bodies) = answer?;
            // DaemonSets of the plugin are no part of the question.
            if ask != Ask::plugin() && ask != Ask::flannel() {
                bodies.iter().for_each(|body| each(body));
            }
            known.insert(ask, answer);
        }
        last = needs(question, &known);
    }
    if !last.blocked.is_empty() {
        return Err(blocked(&last.blocked));
    }
    let mut gathered =
        Gathered { requests: api.sent.load(Ordering::Relaxed), dns_open: !last.dns_matters, ..Gathered::default() };
    let groups = match known.get(&Ask::Discovery) {
        Some(Answer::Discovered(discovered)) => discovered.plugins(),
        _ => BTreeSet::new(),
    };
    let running: Vec<Slim> = [Ask::plugin(), Ask::flannel()]
        .iter()
        .filter_map(|ask| match known.get(ask) {
            Some(Answer::Found(found)) => Some(found.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    gathered.betrayed(&groups, &running);
    let hidden = known.iter().filter(|(_, answer)| matches!(answer, Answer::Forbidden));
    gathered.hide(hidden.map(|(ask, _)| ask));
    Ok(gathered)
}

/// Which plugin runs may stay unknown, and the Service of the cluster's DNS may be assumed: they are left out where the
/// budget is used up.
fn within_budget(asks: &mut Vec<Ask>, known: &mut Known, question: &Question, sent: usize) {
    let most = BUDGET * question.targets.len().max(1);
    if sent + asks.len() <= most {
        return;
    }
    asks.retain(|ask| {
        let plugin = *ask == Ask::plugin() || *ask == Ask::flannel();
        if plugin {
            known.insert(ask.clone(), Answer::Skipped);
        }
        !plugin
    });
    if sent + asks.len() <= most {
        return;
    }
    asks.retain(|ask| {
        let dns = matches!(ask, Ask::Get { resource, namespace: Some(namespace), name }
            if *resource == SERVICES && namespace == "kube-system" && name == "kube-dns");
        let asked_for = question.targets.iter().any(|t| t.text.contains("kube-dns"));
        if dns && !asked_for {
            known.insert(ask.clone(), Answer::Skipped);
        }
        !dns || asked_for
    });
}

/// One answer, and the bodies that hold objects.
async fn fetch(api: &Api, ask: &Ask) -> Result<(Answer, Vec<Vec<u8>>), LiveError> {
    let what = ask.describe();
    let path = ask.path();
    match ask {
        Ask::Discovery => match api.get(&path, DISCOVERY, &what).await {
            Ok(body) => Discovered::read(&body).map(|d| (Answer::Discovered(d), Vec::new())).ok_or_else(|| {
                LiveError::new(
                    Trouble::Protocol,
                    "the server's answer to `/apis` is not that of a Kubernetes API server",
                )
                .help("look at `server` in the kubeconfig: `kubectl config view --minify`")
            }),
            Err(error) => soft(error),
        },
        Ask::Group(_) => match api.get(&path, JSON, &what).await {
            Ok(body) => {
                let mut discovered = Discovered::default();
                discovered.read_group(&body);
                Ok((Answer::Discovered(discovered), Vec::new()))
            }
            // A group whose server is down (an aggregated API) has its discovery fail; the check goes on without it.
            Err(error) => soft(error),
        },
        Ask::Get { .. } => match api.get(&path, JSON, &what).await {
            Ok(body) => match serde_json::from_slice::<Slim>(&body) {
                Ok(object) => Ok((Answer::Found(vec![object]), vec![body])),
                Err(_) => Err(not_an_answer(&what)),
            },
            Err(error) => soft(error),
        },
        Ask::List { .. } => {
            let bodies = RefCell::new(Vec::new());
            let read = api
                .pages(
                    &path,
                    JSON,
                    &what,
                    Vec::new,
                    |body| {
                        bodies.borrow_mut().push(body);
                        Ok(())
                    },
                    || bodies.borrow_mut().clear(),
                )
                .await;
            if let Err(error) = read {
                return soft(error);
            }
            let bodies = bodies.into_inner();
            let mut objects = Vec::new();
            for body in &bodies {
                objects.extend(slim(ask, body).ok_or_else(|| not_an_answer(&what))?);
            }
            Ok((Answer::Found(objects), bodies))
        }
    }
}

#[derive(Deserialize)]
struct ListOf<T> {
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct MetadataOnly {
    #[serde(default)]
    metadata: Metadata,
}

/// The objects of a page. What a policy's `spec` looks like is its own affair.
fn slim(ask: &Ask, body: &[u8]) -> Option<Vec<Slim>> {
    let core = match ask {
        Ask::List { resource, .. } => matches!(&*resource.group, "" | "apps" | "batch"),
        _ => false,
    };
    if core {
        return Some(serde_json::from_slice::<ListOf<Slim>>(body).ok()?.items.unwrap_or_default());
    }
    let items = serde_json::from_slice::<ListOf<MetadataOnly>>(body).ok()?.items.unwrap_or_default();
    Some(items.into_iter().map(|item| Slim::named(item.metadata)).collect())
}

fn not_an_answer(what: &str) -> LiveError {
    LiveError::new(Trouble::Protocol, format!("the server's answer to {what} can't be read"))
        .help("look at `server` in the kubeconfig, and at proxies on the way")
}

/// What is not there, or not for these eyes, is an answer too.
fn soft(error: LiveError) -> Result<(Answer, Vec<Vec<u8>>), LiveError> {
    match error.trouble {
        Trouble::NotFound => Ok((Answer::Missing, Vec::new())),
        Trouble::Forbidden if error.helps.is_empty() => Ok((Answer::Forbidden, Vec::new())),
        _ => Err(error),
    }
}

/// There is no answer without what may not be read.
fn blocked(asks: &[Ask]) -> LiveError {
    let mut what: Vec<String> = asks.iter().map(|a| format!("{} {}", verb(a), a.describe())).collect();
    what.dedup();
    let rights: Vec<Right> = asks.iter().filter_map(Right::of).collect();
    let mut error = LiveError::new(Trouble::Forbidden, format!("you may not {}", what.join(", nor ")))
        .help("ask for the role below; `netcheck rbac` prints all that a command reads");
    error.roles = roles(&rights);
    error
}

fn verb(ask: &Ask) -> &'static str {
    if ask.is_list() { "list" } else { "get" }
}

/// What it means that something may not be read; none where another answer made up for it.
fn unread(ask: &Ask) -> Option<Unread> {
    let resource = match ask {
        Ask::Discovery | Ask::Group(_) => {
            return Some(Unread {
                what: ask.describe(),
                consequence: "policies other than NetworkPolicies, if there are any, are not known".to_owned(),
                gravity: Gravity::ClusterPolicy,
            });
        }
        Ask::Get { resource, .. } | Ask::List { resource, .. } => resource,
    };
    let place = match ask {
        Ask::Get { namespace: Some(n), .. } | Ask::List { namespace: Some(n), .. } => format!("namespace `{n}`"),
        Ask::Get { name, .. } => format!("namespace `{name}`"),
        _ => "the cluster".to_owned(),
    };
    let (gravity, consequence) = if *resource == NETWORK_POLICIES && place.ends_with("`kube-system`") {
        (Gravity::Detail, "DNS is open, unless a NetworkPolicy there denies it".to_owned())
    } else if *resource == NETWORK_POLICIES {
        (Gravity::Policy, format!("what the NetworkPolicies of {place} say is not known"))
    } else if *resource == INGRESS_CLASSES || resource.plural == "gatewayclasses" {
        // A class's name stands for its controller then.
        return None;
    } else if *resource == INGRESSES || resource.group == "gateway.networking.k8s.io" {
        (Gravity::Detail, format!("what is exposed through {} of {place} is not known", resource.plural))
    } else if !matches!(&*resource.group, "" | "apps" | "batch" | "discovery.k8s.io") {
        (Gravity::ClusterPolicy, format!("what {} say is not known", resource.full_name()))
    } else if *resource == NAMESPACES {
        (
            Gravity::Detail,
            format!("labels of {place} are not known, but for its name: a namespaceSelector may match it"),
        )
    } else if *resource == PODS || *resource == SERVICES {
        (Gravity::Detail, format!("{} of {place} are taken as usual, or not there", resource.plural))
    } else if matches!(ask, Ask::List { filter: Filter::Fields(fields), .. } if fields.starts_with(super::why::OF_NODES))
    {
        (Gravity::Detail, "whether the node ran out of memory is not known".to_owned())
    } else if *resource == EVENTS {
        (Gravity::Detail, "what probes, mounts, pulls and the scheduler failed at is not known".to_owned())
    } else if *resource == CONFIG_MAPS {
        (Gravity::Detail, "addresses that pods take from ConfigMaps are not known".to_owned())
    } else if *resource == SECRETS {
        (Gravity::Detail, "keys of Secrets are not known".to_owned())
    } else if *resource == CLAIMS || *resource == REPLICA_SETS {
        (Gravity::Detail, format!("{} of {place} are not known", resource.plural))
    } else if *resource == ENDPOINT_SLICES {
        (Gravity::Detail, "endpoints are worked out from the pods".to_owned())
    } else {
        return None;
    };
    Some(Unread { what: ask.describe(), consequence, gravity })
}

/// Whether there is such a namespace; no where that may not be known.
pub(super) async fn has_namespace(api: &Api, name: &str) -> Result<bool, LiveError> {
    Ok(matches!(fetch(api, &Ask::get(NAMESPACES, name, name)).await?.0, Answer::Found(_)))
}

/// Whether the pods of every namespace may be listed.
pub(super) async fn may_read_everything(api: &Api) -> Result<bool, LiveError> {
    let ask = Ask::everywhere(PODS);
    match api.get(&format!("{}?limit=1", ask.path()), JSON, &ask.describe()).await {
        Ok(_) => Ok(true),
        Err(error) if error.trouble == Trouble::Forbidden && error.helps.is_empty() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What to read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The cluster.
    Cluster,
    /// Some namespaces, with what is in none.
    Namespaces(Vec<String>),
}

/// How much of a scope is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What decides between pods, and of workloads these kinds: pods tell whose they are, but not what has none.
    Pods(BTreeSet<&'static str>),
    /// Workloads of every kind as well.
    Workloads,
    /// Also what tells why a pod fails.
    Details,
}

/// Answers on their way into a loader.
pub(super) struct Sink<'l> {
    loader: RefCell<&'l mut Loader>,
    source: SourceId,
    /// Memory of answers that were read, for others.
    spare: RefCell<Vec<Vec<u8>>>,
}

impl<'l> Sink<'l> {
    pub(super) fn new(loader: &'l mut Loader, name: &str) -> Self {
        let source = loader.cluster(name);
        Self { loader: RefCell::new(loader), source, spare: RefCell::default() }
    }

    fn answer(&self) -> Pouring<'_, 'l> {
        let memory = self.spare.borrow_mut().pop().unwrap_or_default();
        Pouring { sink: self, arriving: self.loader.borrow_mut().arriving(self.source, memory) }
    }
}

/// An answer that is read into a loader while it comes.
struct Pouring<'s, 'l> {
    sink: &'s Sink<'l>,
    arriving: Arriving,
}

impl Pouring<'_, '_> {
    fn end(self) {
        let memory = self.sink.loader.borrow_mut().end(self.arriving);
        self.sink.spare.borrow_mut().push(memory);
    }
}

impl Take for Pouring<'_, '_> {
    fn more(&mut self, data: &[u8]) {
        self.sink.loader.borrow_mut().more(&mut self.arriving, data);
    }

    fn bytes(&self) -> usize {
        self.arriving.bytes()
    }

    fn outline(&self) -> Cow<'_, [u8]> {
        self.arriving.outline()
    }
}

/// Gathers everything in a scope; every answer goes to `sink`.
///
/// Of Secrets only the metadata is asked for: their values don't leave
/// the server.
pub(super) async fn everything(
    api: &Api,
    scope: &Scope,
    depth: &Depth,
    sink: &Sink<'_>,
) -> Result<Gathered, LiveError> {
    let discovered = match fetch(api, &Ask::Discovery).await?.0 {
        Answer::Discovered(discovered) => Some(discovered),
        _ => None,
    };
    let mut asks = Vec::new();
    let mut inside = vec![PODS, SERVICES, ENDPOINT_SLICES, NETWORK_POLICIES];
    let mut outside = vec![NODES];
    if *scope == Scope::Cluster {
        outside.push(NAMESPACES);
    }
    let workloads = [DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, JOBS, CRON_JOBS, REPLICATION_CONTROLLERS];
    match depth {
        // The pods of a CronJob belong to its Jobs.
        Depth::Pods(kinds) => inside.extend(
            workloads.into_iter().filter(|r| kinds.contains(&*r.kind) || (*r == JOBS && kinds.contains("CronJob"))),
        ),
        Depth::Workloads | Depth::Details => inside.extend(workloads),
    }
    // What leads in from outside changes no verdict: it is for surveys and snapshots.
    let routes = !matches!(depth, Depth::Pods(_));
    if routes {
        inside.push(INGRESSES);
        outside.push(INGRESS_CLASSES);
    }
    if *depth == Depth::Details {
        inside.extend([EVENTS, CONFIG_MAPS, SECRETS, REPLICA_SETS, CLAIMS]);
        outside.push(STORAGE_CLASSES);
    }
    let mut hidden: Vec<Ask> = Vec::new();
    match &discovered {
        Some(discovered) => {
            let mut resources = discovered.policies.clone();
            resources.extend(discovered.routes.iter().filter(|_| routes).cloned());
            for version in &discovered.open {
                if let Answer::Discovered(more) = fetch(api, &Ask::Group(version.clone())).await?.0 {
                    resources.extend(more.policies);
                    resources.extend(more.routes.into_iter().filter(|_| routes));
                }
            }
            for resource in resources {
                if resource.namespaced { inside.push(resource) } else { outside.push(resource) }
            }
        }
        None => hidden.push(Ask::Discovery),
    }
    asks.extend(outside.into_iter().map(Ask::everywhere));
    for resource in inside {
        match scope {
            Scope::Cluster => asks.push(Ask::everywhere(resource)),
            Scope::Namespaces(namespaces) => {
                for namespace in namespaces {
                    asks.push(Ask::list(resource.clone(), namespace));
                }
            }
        }
    }
    if let Scope::Namespaces(namespaces) = scope {
        asks.extend(namespaces.iter().map(|n| Ask::get(NAMESPACES, n, n)));
        if !namespaces.iter().any(|n| n == "kube-system") {
            asks.push(Ask::get(NAMESPACES, "kube-system", "kube-system"));
            asks.push(Ask::get(SERVICES, "kube-system", "kube-dns"));
            asks.push(Ask::labelled(
                PODS,
                "kube-system",
                "k8s-app in (kube-dns,node-local-dns,nodelocaldns)".to_owned(),
            ));
            asks.push(Ask::list(NETWORK_POLICIES, "kube-system"));
        }
    }
    let results = join_all(asks.iter().map(|ask| async move { (ask, pour(api, ask, sink).await) })).await;
    let mut essential = Vec::new();
    for (ask, result) in results {
        match result {
            Ok(()) => {}
            Err(error) if error.trouble == Trouble::NotFound => {}
            Err(error) if error.trouble == Trouble::Forbidden && error.helps.is_empty() => {
                let needed = matches!(ask, Ask::List { resource, namespace, .. }
                    if *resource == PODS && namespace.as_deref() != Some("kube-system"));
                if needed {
                    essential.push(ask.clone());
                }
                hidden.push(ask.clone());
            }
            Err(error) => return Err(error),
        }
    }
    if !essential.is_empty() {
        let mut error = blocked(&essential);
        if *scope == Scope::Cluster {
            error.helps.insert(0, "read one namespace with -n NAMESPACE instead".to_owned());
        }
        return Err(error);
    }
    let groups = discovered.as_ref().map(Discovered::plugins).unwrap_or_default();
    let mut running = Vec::new();
    if groups.len() != 1 {
        // Who may not see them goes without.
        for ask in [Ask::plugin(), Ask::flannel()].iter().take(if groups.is_empty() { 2 } else { 1 }) {
            if let Answer::Found(found) = fetch(api, ask).await?.0 {
                running.extend(found);
            }
        }
    }
    let mut gathered = Gathered { requests: api.sent.load(Ordering::Relaxed), ..Gathered::default() };
    gathered.betrayed(&groups, &running);
    gathered.hide(hidden.iter());
    Ok(gathered)
}

/// Requests of many that are out at the same time.
pub(super) const AT_ONCE: usize = 16;

/// Gathers some things; every answer goes to `sink`.
pub(super) async fn each(api: &Api, asks: &[Ask], sink: &Sink<'_>) -> Result<Gathered, LiveError> {
    let results: Vec<_> = stream::iter(asks.iter().map(|ask| async move { (ask, pour(api, ask, sink).await) }))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut hidden: Vec<&Ask> = Vec::new();
    for (ask, result) in results {
        match result {
            Ok(()) => {}
            Err(error) if error.trouble == Trouble::NotFound => {}
            Err(error) if error.trouble == Trouble::Forbidden && error.helps.is_empty() => hidden.push(ask),
            Err(error) => return Err(error),
        }
    }
    let mut gathered = Gathered { requests: api.sent.load(Ordering::Relaxed), ..Gathered::default() };
    gathered.hide(hidden.into_iter());
    Ok(gathered)
}

/// Reads an answer, page by page where it is a list.
async fn pour(api: &Api, ask: &Ask, sink: &Sink<'_>) -> Result<(), LiveError> {
    let what = ask.describe();
    if !ask.is_list() {
        api.take(&ask.path(), JSON, &what, &|| sink.answer()).await?.end();
        return Ok(());
    }
    let page = |page: Pouring<'_, '_>| {
        page.end();
        Ok(())
    };
    // What came before a restart comes again, as what came before a connection broke: the same object twice is taken once.
    let accept = match ask {
        Ask::List { resource, .. } if *resource == SECRETS => METADATA,
        _ => JSON,
    };
    api.pages(&ask.path(), accept, &what, || sink.answer(), page, || {}).await
}
