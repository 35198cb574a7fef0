//! Following one connection from end to end: a burst of it from the client's pod, while what both ends count is watched.
//!
//! A connection that failed comes in; the differences of both ends' counters, what the network plugin's flow log says, and
//! what node captures saw, go out. Nothing of it takes a privilege, except a capture on the nodes, which has to be asked
//! for. Where packets died is told from these numbers by `analysis::probe`.

mod flows;
mod node;
mod tap;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::client::Api;
use super::super::error::{LiveError, Trouble};
use super::super::{Session, progress};
use super::copy::Leftovers;
use super::preflight::{Needed, Rights};
use super::subject::{self, Subject};
use super::{Options, Probed, Ready, Via, Way, container, copy, ephemeral, exec};
use crate::probe_counters::Changes;
use crate::probe_record::{Class, Counter, Record};
use crate::probe_target::{Host, Target};

pub use flows::Flows;
pub use node::Seen;

/// What reading the counters of an end by exec takes.
pub(in crate::live) const BY_EXEC: &Needed = exec::RIGHTS;
/// What reading the flow log of Cilium takes, and in which namespace.
pub(in crate::live) const FLOW_LOG: (&str, &Needed) = (flows::NAMESPACE, flows::RIGHTS);
/// What captures on the nodes take, in the client's namespace.
pub(in crate::live) const ON_NODES: &Needed = node::RIGHTS;

/// Packets of a burst: enough to stand out from what a quiet pod does, and few enough for an enforcer. (One of a real
/// cluster let through 240 that came within 4 ms.)
pub const BURST: usize = 40;
/// How long one of them may take.
const CONNECT: Duration = Duration::from_secs(1);

/// How to follow connections.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// Whether the cluster's plugin is Cilium, which keeps a log of flows.
    pub cilium: bool,
    /// The image of captures on the nodes, where they are asked for.
    pub node: Option<String>,
}

/// A connection to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// What is dialled; by address.
    pub target: Target,
    /// Namespace and name of the pod that has the address, where one has.
    pub server: Option<(String, String)>,
}

/// A connection to follow, with how each end is looked at.
#[derive(Clone, Debug)]
pub struct Pursuit {
    ready: Ready,
    way: Way,
    target: Target,
    client: Vec<tap::Tap>,
    server: Vec<tap::Tap>,
    server_name: Option<String>,
    agents: Vec<flows::Agent>,
    sniffers: Vec<node::Sniffer>,
    /// What is not looked at, and why.
    notes: Vec<String>,
}

/// What one end counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// While the burst was sent.
    pub burst: Changes,
    /// For as long before, where that was looked at.
    pub quiet: Option<Changes>,
}

impl Counted {
    /// What the agent said: how long it counted, in milliseconds, and for how many seconds before.
    fn of(counters: &[Counter], millis: u32, quiet: u32) -> Self {
        let share = f64::from(millis) / 1000.0 / f64::from(quiet.max(1));
        Self { burst: Changes::of(counters), quiet: Some(Changes::of_quiet(counters).times(share)) }
    }
}

/// What came of following a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Packets that were sent, at least.
    pub sent: u32,
    /// What most of the connections came to.
    pub class: Option<Class>,
    /// The client's end.
    pub client: Option<Counted>,
    /// The server's end.
    pub server: Option<Counted>,
    /// What the plugin's flow log says.
    pub flows: Vec<Flows>,
    /// What captures on the nodes saw.
    pub seen: Vec<Seen>,
    /// Commands that do the same by hand.
    pub commands: Vec<String>,
    /// What stays behind.
    pub left: Vec<String>,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

impl Pursuit {
    /// What will be done, a line each.
    pub fn announcement(&self) -> Vec<String> {
        let client = self.ready.pod();
        let mut out =
            vec![format!("{BURST} packets to {} from {client}, 20 ms apart, by {}", self.target, self.way_words())];
        let ends = [(Some(&client), &self.client), (self.server_name.as_ref(), &self.server)];
        for (name, taps) in ends {
            for (number, tap) in taps.iter().enumerate() {
                let name = name.map_or("the server", String::as_str);
                let line = format!("the counters of the network of {name} are read by {tap}");
                out.push(if number == 0 { line } else { format!("where that does not work: {line}") });
            }
        }
        out.extend(self.agents.iter().map(|a| format!("the flow log of {} is read: {}", a.name(), a.command())));
        for sniffer in &self.sniffers {
            out.push(sniffer.to_string());
            out.push(format!("  which stands for: {}", sniffer.command()));
        }
        out.extend(self.notes.iter().map(|n| format!("not looked at: {n}")));
        out
    }

    fn way_words(&self) -> String {
        match &self.way {
            Way::Exec(_) => "exec in its container".to_owned(),
            Way::Ephemeral(_) => "one more ephemeral container, which stays in the pod's record".to_owned(),
            Way::Copy(_) => "one more copy of the pod, which is removed at the end".to_owned(),
        }
    }
}

impl Session {
    /// Finds out how a connection of a pod that was probed can be followed. Reads alone, and asks for dry runs.
    pub fn pursue(
        &self,
        ready: &Ready,
        probed: &Probed,
        follow: &Follow,
        options: &Options,
        how: &How,
    ) -> Result<Pursuit, LiveError> {
        self.runtime.block_on(progress::beside(&self.api, self.progress, async {
            pursue(&self.api, ready, probed.way, follow, options, how).await
        }))
    }

    /// Follows it. What was made for it is removed again, also where it fails or is interrupted.
    pub fn capture(&self, pursuit: &Pursuit, options: &Options) -> Result<Captured, LiveError> {
        let leftovers = Leftovers::default();
        let work = async { vec![captured(&self.api, pursuit, options, &leftovers).await] };
        let stopped = || vec![Err(super::stopped(&pursuit.ready.pod()))];
        let mut all = self.guarded(1, &leftovers, work, stopped);
        all.pop().unwrap_or_else(|| Err(super::stopped(&pursuit.ready.pod())))
    }
}

async fn pursue(
    api: &Api,
    ready: &Ready,
    way: usize,
    follow: &Follow,
    options: &Options,
    how: &How,
) -> Result<Pursuit, LiveError> {
    let Some(way) = ready.ways.get(way).or(ready.ways.first()) else {
        return Err(LiveError::new(Trouble::Unfit, "there is no way to send from this pod"));
    };
    let way = bursting(way, &follow.target);
    let mut notes = Vec::new();
    // The agent counts at its own end.
    let counts = match &way {
        Way::Ephemeral(plan) => plan.is_agent(),
        Way::Copy(_) => true,
        Way::Exec(_) => false,
    };
    let mut client = Vec::new();
    if !counts {
        match tap::cat(api, &ready.subject).await {
            Ok(tap) => client.push(tap),
            Err(error) => notes.push(format!("the counters of {}: {}", ready.pod(), error.message)),
        }
    }
    let mut server = Vec::new();
    let mut nodes = vec![ready.subject.node().to_owned()];
    if let Some((namespace, name)) = &follow.server {
        let full = format!("{namespace}/{name}");
        match subject::read(api, namespace, name, Via::Ephemeral).await {
            Ok(subject) => {
                nodes.push(subject.node().to_owned());
                let (taps, why) = at_server(api, &subject, options).await;
                if taps.is_empty() {
                    notes.extend(why.into_iter().map(|error| format!("the counters of {full}: {}", error.message)));
                }
                if subject.uses_host_network() && !taps.is_empty() {
                    notes.push(format!("{full} has its node's network: what it counts is of the whole node"));
                }
                server = taps;
            }
            Err(error) => notes.push(format!("the counters of {full}: {}", error.message)),
        }
    } else {
        notes.push(format!("the end of {}: no pod of the cluster has this address", follow.target));
    }
    nodes.retain(|node| !node.is_empty());
    nodes.dedup();
    let address = |host: &Host| match host {
        Host::Address(ip) => Some(*ip),
        Host::Name(_) => None,
    };
    let server_ip = address(&follow.target.host);
    let client_ip = server_ip.and_then(|ip| ready.subject.address(ip.is_ipv6()));
    let mut agents = Vec::new();
    if how.cilium
        && let Some(to) = server_ip
    {
        match flows::agents(api, &nodes, client_ip, to, &follow.target).await {
            Ok(found) => agents = found,
            Err(error) => notes.push(format!("the flow log of cilium: {}", error.message)),
        }
    }
    let mut sniffers = Vec::new();
    if let (Some(image), Some(to)) = (&how.node, server_ip) {
        for node in &nodes {
            let sniffer =
                node::Sniffer::new(&ready.subject.namespace, node, image, options, client_ip, to, &follow.target);
            Rights::new(api, &ready.subject.namespace).have(node::RIGHTS).await?;
            sniffer.dry_run(api).await?;
            sniffers.push(sniffer);
        }
    }
    let server_name = follow.server.as_ref().map(|(namespace, name)| format!("{namespace}/{name}"));
    let ready = ready.clone();
    Ok(Pursuit { ready, way, target: follow.target.clone(), client, server, server_name, agents, sniffers, notes })
}

/// A way, as it is taken for a burst.
fn bursting(way: &Way, target: &Target) -> Way {
    let mut way = way.clone();
    match &mut way {
        // A script tries silence twice.
        Way::Exec(plan) => plan.set_targets(vec![target.clone(); BURST / 2]),
        Way::Ephemeral(plan) => plan.burst(target, BURST),
        Way::Copy(plan) => plan.burst(target, BURST),
    }
    way
}

/// How the counters of the server's pod can be read: by exec, which adds nothing, else by a container with the agent.
async fn at_server(api: &Api, subject: &Subject, options: &Options) -> (Vec<tap::Tap>, Vec<LiveError>) {
    let (mut taps, mut refused) = (Vec::new(), Vec::new());
    if options.via != Via::Ephemeral {
        match tap::cat(api, subject).await {
            Ok(tap) => taps.push(tap),
            Err(error) => refused.push(error),
        }
    }
    if options.via != Via::Exec {
        match tap::agent(api, subject, options).await {
            Ok(tap) => taps.push(tap),
            Err(error) => refused.push(error),
        }
    }
    (taps, refused)
}

async fn captured(
    api: &Api,
    pursuit: &Pursuit,
    options: &Options,
    leftovers: &Leftovers,
) -> Result<Captured, LiveError> {
    let deadline = Instant::now() + options.timeout;
    let mut out = Captured { notes: pursuit.notes.clone(), ..Captured::default() };
    out.commands.extend(pursuit.agents.iter().map(flows::Agent::command));
    out.commands.extend(pursuit.sniffers.iter().map(node::Sniffer::command));
    for sniffer in &pursuit.sniffers {
        sniffer.start(api, leftovers, deadline).await?;
    }
    let open = |taps| tap::open(api, taps, deadline);
    let (client, server) = futures::join!(open(&pursuit.client), open(&pursuit.server));
    out.notes.extend(client.1.iter().chain(&server.1).map(|error| error.message.clone()));
    let (mut client, mut server) = (client.0, server.0);
    if let Some(ready) = client.iter().chain(&server).map(tap::Open::ready_at).max() {
        sleep_until(ready).await;
    }
    for tap in client.iter_mut().chain(server.iter_mut()) {
        tap.before_burst(api).await?;
    }
    let probed = burst(api, pursuit, options, leftovers, deadline).await?;
    let records: Vec<&Record> = probed.targets.iter().flatten().collect();
    out.sent = records.iter().map(|r| u32::from(r.tries.max(1))).sum();
    out.class = most(&records);
    out.left.extend(probed.left);
    if !probed.counters.is_empty() {
        out.client = Some(Counted::of(&probed.counters, probed.millis, container::QUIET));
    }
    for (end, tap) in [(&mut out.client, client), (&mut out.server, server)] {
        let Some(tap) = tap else { continue };
        out.left.extend(tap.left());
        match tap.close(api, deadline).await {
            Ok(counted) => *end = Some(counted),
            Err(error) => out.notes.push(error.message),
        }
    }
    for agent in &pursuit.agents {
        match agent.read(api, deadline).await {
            Ok(flows) => out.flows.push(flows),
            Err(error) => out.notes.push(format!("the flow log of {}: {}", agent.name(), error.message)),
        }
    }
    for sniffer in &pursuit.sniffers {
        match sniffer.stop(api, leftovers).await {
            Ok(seen) => out.seen.push(seen),
            Err(error) => out.notes.push(error.message),
        }
    }
    Ok(out)
}

async fn burst(
    api: &Api,
    pursuit: &Pursuit,
    options: &Options,
    leftovers: &Leftovers,
    deadline: Instant,
) -> Result<Probed, LiveError> {
    let options = Options { connect: CONNECT, ..options.clone() };
    let subject = &pursuit.ready.subject;
    match &pursuit.way {
        Way::Exec(plan) => exec::run(api, subject, plan, plan.targets(), &options, deadline).await,
        Way::Ephemeral(plan) => ephemeral::run(api, subject, plan, plan.targets(), deadline).await,
        Way::Copy(plan) => copy::run(api, subject, plan, plan.targets(), leftovers, deadline).await,
    }
}

/// What most of the connections came to.
fn most(records: &[&Record]) -> Option<Class> {
    let count = |class: Class| records.iter().filter(|r| r.class == class).count();
    records.iter().map(|r| r.class).max_by_key(|class| count(*class))
}
