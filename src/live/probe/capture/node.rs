//! A capture on a node, for whoever asks for it: a pod with the node's network that runs `tcpdump`, and goes away.
//!
//! It is what `kubectl debug node/…` makes, with less: no processes and no files of the node, and of the capabilities
//! `NET_RAW`, with those by which `tcpdump` gives up being root.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::super::ask::{Ask, PODS};
use super::super::super::client::{Api, JSON, Sent};
use super::super::super::error::LiveError;
use super::super::super::error::{Trouble, shorten};
use super::super::container::unique;
use super::super::copy::{Leftovers, create};
use super::super::ephemeral::admission;
use super::super::preflight::Needed;
use super::super::session::{Added, Into, Place};
use super::super::state::State;
use super::super::{Options, PullPolicy};
use crate::probe_target::Target;

/// What it takes.
pub(super) const RIGHTS: &Needed = &[("pods", "create"), ("pods", "get"), ("pods", "delete"), ("pods/log", "get")];

/// Packets that are captured.
const MOST: usize = 400;
/// How long the pod may live when nobody removes it, in seconds.
const LONGEST: u64 = 180;
/// How long `tcpdump` may take to begin.
const BEGIN: Duration = Duration::from_secs(5);
/// How long what was sent may take to be written down.
const WRITE: Duration = Duration::from_millis(1500);

/// A capture to make.
#[derive(Clone, Debug)]
pub(super) struct Sniffer {
    namespace: String,
    name: String,
    node: String,
    image: String,
    pull: PullPolicy,
    command: Vec<String>,
    server: (IpAddr, u16),
}

/// What a capture saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The node.
    pub node: String,
    /// Packets towards the server, by device and whether they came in over it or went out.
    pub there: Vec<(String, bool, usize)>,
    /// Packets back.
    pub back: Vec<(String, bool, usize)>,
}

impl fmt::Display for Sniffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a pod `{}/{}` on node `{}` with the node's network, as root with NET_RAW, image `{}`, which runs tcpdump and is removed at the end",
            self.namespace, self.name, self.node, self.image
        )
    }
}

impl Sniffer {
    pub(super) fn new(
        namespace: &str,
        node: &str,
        image: &str,
        options: &Options,
        from: Option<IpAddr>,
        to: IpAddr,
        target: &Target,
    ) -> Self {
        let mut filter = format!("host {to}");
        if let Some(from) = from {
            filter.push_str(&format!(" and host {from}"));
        }
        let mut port = 0;
        if let Some(dial) = &target.dial {
            port = dial.port;
            filter.push_str(&format!(" and {} port {port}", dial.protocol));
        }
        let mut command: Vec<String> = ["tcpdump", "-nn", "-l", "-i", "any", "-c"].map(str::to_owned).into();
        command.extend([MOST.to_string(), filter]);
        Self {
            namespace: namespace.to_owned(),
            name: format!("netcheck-{}", unique()),
            node: node.to_owned(),
            image: image.to_owned(),
            pull: options.pull,
            command,
            server: (to, port),
        }
    }

    /// The command of kubectl that does the same.
    pub(super) fn command(&self) -> String {
        let (filter, words) = self.command.split_last().map_or(("", &[][..]), |(f, w)| (f.as_str(), w));
        format!(
            "kubectl debug node/{} -n {} -it --profile=netadmin --image={} -- {} '{filter}'",
            self.node,
            self.namespace,
            self.image,
            words.join(" ")
        )
    }

    fn path(&self) -> String {
        Ask::list(PODS, &self.namespace).path()
    }

    fn pod(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/managed-by": "netcheck"},
            },
            "spec": {
                "nodeName": self.node,
                "hostNetwork": true,
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 0,
                "activeDeadlineSeconds": LONGEST,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{
                    "name": self.name,
                    "image": self.image,
                    "imagePullPolicy": self.pull.name(),
                    "command": self.command,
                    "securityContext": {
                        "runAsUser": 0,
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"], "add": ["NET_RAW", "SETUID", "SETGID"]},
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }],
            },
        })
    }

    /// What admission would say.
    pub(super) async fn dry_run(&self, api: &Api) -> Result<(), LiveError> {
        let path = format!("{}?fieldManager=netcheck&dryRun=All", self.path());
        match api.send(&Sent::post(&path, &self.pod()), "a capture on a node").await {
            Ok(_) => Ok(()),
            Err(error) if error.message.contains("dry run") || error.message.contains("dryRun") => Ok(()),
            Err(error) => Err(self.refused(error)),
        }
    }

    fn refused(&self, error: LiveError) -> LiveError {
        let by_hand = format!(
            "in a namespace that allows it: {}",
            self.command().replacen(&format!("-n {} ", self.namespace), "-n kube-system ", 1)
        );
        admission(error, &format!("{}/{}", self.namespace, self.name)).help(by_hand)
    }

    fn added(&self) -> Added<'_> {
        Added {
            place: Place { namespace: &self.namespace, pod: &self.name, container: &self.name },
            image: &self.image,
            what: format!("the capture `{}/{}` on node `{}`", self.namespace, self.name, self.node),
            into: Into::Node(&self.node),
        }
    }

    /// Makes the pod and waits until it captures.
    pub(super) async fn start(&self, api: &Api, leftovers: &Leftovers, deadline: Instant) -> Result<(), LiveError> {
        leftovers.about_to_make("pod", &self.namespace, &self.name);
        create(api, &self.path(), &self.pod(), "a capture on a node").await.map_err(|error| self.refused(error))?;
        if let State::Ended { code, .. } = self.added().runs(api, deadline).await? {
            let said = self.log(api).await.unwrap_or_default();
            return Err(LiveError::new(
                Trouble::NoAnswer,
                format!("tcpdump on node `{}` ended with exit code {code}: {}", self.node, shorten(&said)),
            ));
        }
        let began = Instant::now();
        while !self.log(api).await?.contains("listening on") && began.elapsed() < BEGIN {
            sleep(Duration::from_millis(300)).await;
        }
        Ok(())
    }

    async fn log(&self, api: &Api) -> Result<String, LiveError> {
        let path = format!("{}/log?limitBytes=1048576", Ask::get(PODS, &self.namespace, &self.name).path());
        let body = api.get(&path, JSON, "the capture's output").await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Reads what was captured and removes the pod.
    pub(super) async fn stop(&self, api: &Api, leftovers: &Leftovers) -> Result<Seen, LiveError> {
        sleep(WRITE).await;
        let said = self.log(api).await;
        leftovers.remove_one(api, "pod", &self.namespace, &self.name).await.ok();
        Ok(Seen { node: self.node.clone(), ..read(&said?, self.server) })
    }
}

/// `12:34:56.789 eth0  In  IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [S], …`, as tcpdump 4.99 writes what `-i any` captures.
fn read(text: &str, (server, port): (IpAddr, u16)) -> Seen {
    let end = format!("{server}.{port}");
    let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, device, way @ ("In" | "Out"), "IP" | "IP6", from, ">", to, ..] = words.as_slice() else { continue };
        let plain = |device: &str| device.len() <= 15 && device.bytes().all(|b| b.is_ascii_graphic());
        let into = if to.trim_end_matches(':') == end {
            &mut there
        } else if *from == end {
            &mut back
        } else {
            continue;
        };
        if plain(device) {
            *into.entry(((*device).to_owned(), *way == "In")).or_default() += 1;
        }
    }
    let list = |all: BTreeMap<(String, bool), usize>| {
        all.into_iter().map(|((device, incoming), count)| (device, incoming, count)).collect()
    };
    Seen { node: String::new(), there: list(there), back: list(back) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_tcpdump() {
        let text = "tcpdump: data link type LINUX_SLL2\nlistening on any, link-type LINUX_SLL2 (Linux cooked v2), snapshot length 262144 bytes\n\
            02:13:58.213152 veth1 In  IP 10.0.0.1.49610 > 10.0.0.2.80: Flags [S], seq 255711270, win 65495, length 0\n\
            02:13:58.213153 eth0  Out IP 10.0.0.1.49610 > 10.0.0.2.80: Flags [S], seq 255711270, win 65495, length 0\n\
            02:13:58.213163 eth0  In  IP 10.0.0.2.80 > 10.0.0.1.49610: Flags [R.], seq 0, ack 255711271, win 0, length 0\n\
            02:13:59.213152 veth1 In  IP 10.0.0.1.49611 > 10.0.0.2.80: Flags [S], seq 255711270, win 65495, length 0\n\
            02:13:59.213152 veth1 In  IP 10.0.0.1.49611 > 10.0.0.2.8080: Flags [S], seq 255711270, win 65495, length 0\n\
            4 packets captured\n";
        let seen = read(text, ("10.0.0.2".parse().expect("an address"), 80));
        assert_eq!(seen.there, [("eth0".to_owned(), false, 1), ("veth1".to_owned(), true, 2)]);
        assert_eq!(seen.back, [("eth0".to_owned(), true, 1)]);
        let v6 = "1 veth1 Out IP6 fd00::1.40000 > fd00::2.443: Flags [S], seq 1, length 0\n";
        let seen = read(v6, ("fd00::2".parse().expect("an address"), 443));
        assert_eq!(seen.there, [("veth1".to_owned(), false, 1)]);
    }
}
