//! `--capture`: follows connections that failed from end to end, and says where their packets died.

use super::probe::{Got, Try, agree, options};
use super::{Output, cluster};
use crate::analysis::probe::{Burst, End, On, Role, locate, logged, seen};
use crate::cli::{CaptureFlag, CaptureFlags, ProbeFlags};
use crate::live::probe::capture::{Captured, Counted, Follow, How, Pursuit};
use crate::live::{LiveError, Session, Trouble};
use crate::model::{Cluster, PodId};
use crate::policy::Profile;
use crate::probe_record::Class;
use crate::probe_target::{Dial, Host, Protocol, Target};
use crate::report::check::{Capture, Probe};
use crate::report::safe;

/// Connections that are followed at most.
const MOST: usize = 3;

/// Where and how connections are followed.
pub(super) struct Scene<'s> {
    pub(super) session: &'s Session,
    pub(super) flags: &'s ProbeFlags,
    pub(super) capture: &'s CaptureFlags,
    pub(super) cluster: &'s Cluster,
    pub(super) profile: &'s Profile,
}

/// One connection of a check.
struct Case<'c> {
    one: &'c Try,
    got: &'c Got,
    follow: Follow,
    /// What the server is called.
    what: String,
}

impl Scene<'_> {
    /// Follows the first connection of each check that failed, and writes what came of it into its answer. `got` is what
    /// the probe of each check has.
    pub(super) fn follow(
        &self,
        tries: &[Try],
        got: &[Option<&Got>],
        probes: &mut [Result<Probe, LiveError>],
        output: &mut Output,
    ) {
        let mut followed = 0;
        for ((one, got), probe) in tries.iter().zip(got).zip(probes) {
            let (Some(got), Ok(probe)) = (got, probe) else { continue };
            let (follow, what) = match self.failed(one, probe) {
                Ok(found) => found,
                Err(why) => {
                    probe.notes.push(why.to_owned());
                    continue;
                }
            };
            if followed >= MOST {
                probe.notes.push(format!("not followed: of all that failed, {MOST} connections are"));
                continue;
            }
            followed += 1;
            match self.one(&Case { one, got, follow, what }, output) {
                Ok(capture) => probe.capture.push(capture),
                Err(error) if error.trouble == Trouble::Interrupted => {
                    probe.notes.push(format!("not followed: {}", error.message));
                }
                Err(error) => {
                    cluster::refuse(&error, output);
                    probe.notes.push(format!("the connection could not be followed: {}", error.message));
                }
            }
        }
    }

    /// The connection of a check to follow: the first to an endpoint that failed, with what the endpoint is called.
    fn failed(&self, one: &Try, probe: &Probe) -> Result<(Follow, String), &'static str> {
        let failed = |class: Option<Class>| {
            matches!(
                class,
                Some(
                    Class::Timeout
                        | Class::Refused
                        | Class::RefusedIcmp
                        | Class::Prohibited
                        | Class::Unreachable
                        | Class::OpenOrFiltered
                )
            )
        };
        let all = || one.plan.items.iter().zip(&probe.judgement.findings).filter(|(_, found)| failed(found.class));
        let found = all()
            .find(|(item, _)| matches!(item.role, Role::Endpoint(_)) && matches!(item.target.host, Host::Address(_)));
        match found {
            Some((item, _)) => {
                let server = item.server.map(|pod| self.names(pod));
                Ok((Follow { target: item.target.clone(), server }, item.what.clone()))
            }
            None if all().any(|(item, _)| item.role == Role::Service) => Err(
                "nothing to follow: every endpoint answers, and the Service's address is the client's node's to translate",
            ),
            None => Err("nothing to follow: no connection to an endpoint failed"),
        }
    }

    fn names(&self, pod: PodId) -> (String, String) {
        let pod = &self.cluster.pods[pod.index()];
        (self.cluster.namespaces[pod.namespace.index()].name.to_string(), pod.name.to_string())
    }

    /// Says what will be done, asks, and follows one connection.
    fn one(&self, case: &Case<'_>, output: &mut Output) -> Result<Capture, LiveError> {
        let options = options(self.flags);
        let how = How {
            cilium: self.profile.name == "cilium",
            node: (self.capture.capture == Some(CaptureFlag::Node)).then(|| self.capture.capture_image.clone()),
        };
        let pursuit = self.session.pursue(&case.got.ready, &case.got.probed, &case.follow, &options, &how)?;
        // What is known already is told, whether or not one wants to know more.
        if agree(self.flags, &announcement(&pursuit), output).is_err() {
            return Err(LiveError::new(Trouble::Interrupted, "you did not agree"));
        }
        self.session.capture(&pursuit, &options).map(|captured| self.told(case, captured))
    }

    /// What came of it, in words.
    fn told(&self, case: &Case<'_>, captured: Captured) -> Capture {
        let client = self.cluster.pod_name(case.one.pod);
        let end = |counted: Option<Counted>| counted.map(|c| End { burst: c.burst, quiet: c.quiet });
        let Target { host, dial } = &case.follow.target;
        let (protocol, port) = match dial {
            Some(Dial { protocol, port, .. }) => (*protocol, *port),
            None => (Protocol::Tcp, 0),
        };
        let burst = Burst {
            protocol,
            port,
            v6: matches!(host, Host::Address(ip) if ip.is_ipv6()),
            sent: captured.sent,
            class: captured.class,
            client: end(captured.client),
            server: end(captured.server),
        };
        let located = locate(&burst, &client, &case.what);
        let mut meanings = vec![located.sentence];
        let node_of = |pod: PodId| {
            let node = self.cluster.pods[pod.index()].node;
            node.map(|node| self.cluster.nodes[node.index()].name.to_string())
        };
        let client_node = node_of(case.one.pod);
        let server = case.one.plan.items.iter().find(|i| i.target == case.follow.target).and_then(|i| i.server);
        let server_node = server.and_then(node_of);
        for sight in &captured.seen {
            let here = |node: &Option<String>| node.as_ref() == Some(&sight.node);
            let on = On { client: here(&client_node), server: here(&server_node) };
            meanings.push(seen(&sight.node, on, &sight.there, &client, &case.what));
        }
        for log in &captured.flows {
            for (flow, count) in &log.kinds {
                let said = logged(&log.node, *count, &flow.verdict, &flow.direction, &flow.reason, &flow.policies);
                meanings.push(said);
            }
            if log.kinds.is_empty() {
                meanings.push(format!("the flow log of cilium on node {} has none of them", log.node));
            }
        }
        Capture {
            target: case.follow.target.to_string(),
            what: case.what.clone(),
            sent: captured.sent,
            place: located.place.name().to_owned(),
            meanings,
            facts: located.facts,
            commands: captured.commands,
            left: captured.left,
            notes: captured.notes,
        }
    }
}

fn announcement(pursuit: &Pursuit) -> String {
    let mut out = String::from("netcheck will follow a connection that failed, by\n");
    for line in pursuit.announcement() {
        out.push_str(&format!("  {}\n", safe(&line)));
    }
    out
}
