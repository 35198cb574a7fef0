//! Where a packet dies, told from what the kernel counted at both ends while a burst of them was sent.
//!
//! Counters come in and a [`Place`] goes out, with the sentence that says it and the numbers it rests on. A counter is of
//! the whole pod, so a busy one hides a burst: that it did **not** arrive is certain where all that came in is less than
//! what was sent; that it did is said only where little else came in. Of how the counters were read it knows nothing.
//!
//! What each counter is, and where on the way it is counted: `net/core/dev.c` (devices, before any rule of the pod's own),
//! `include/uapi/linux/snmp.h` with `net/ipv4/ip_input.c` (`InDelivers`: after those rules), `net/ipv4/tcp_input.c`,
//! `net/ipv4/tcp_ipv4.c` and `net/ipv4/udp.c`.

use crate::probe_counters::Changes;
use crate::probe_record::Class;
use crate::probe_target::Protocol;

/// What one end counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// While the burst was sent.
    pub burst: Changes,
    /// For about as long before, where that was looked at.
    pub quiet: Option<Changes>,
}

/// A burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// By which protocol.
    pub protocol: Protocol,
    /// To which port.
    pub port: u16,
    /// Whether over IPv6.
    pub v6: bool,
    /// Packets that were sent at least: every try of every connection.
    pub sent: u32,
    /// What most of them came to.
    pub class: Option<Class>,
    /// The client's end, where it could be looked at.
    pub client: Option<End>,
    /// The server's.
    pub server: Option<End>,
}

/// Where packets die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// They don't: the burst went through.
    Nowhere,
    /// Inside the client's pod.
    Client,
    /// Between the client's pod and the server's.
    Way,
    /// Inside the server's pod: before a program could have them, or as its answers.
    Server,
    /// At the server's program, or for want of one: it refuses, accepts nothing, or says nothing.
    Program,
    /// On the way back: the server's pod answered.
    WayBack,
    /// Inside the client's pod, as answers.
    ClientBack,
    /// It can't be told.
    Unknown,
}

impl Place {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "nowhere",
            Self::Client => "client",
            Self::Way => "way",
            Self::Server => "server",
            Self::Program => "program",
            Self::WayBack => "way-back",
            Self::ClientBack => "client-back",
            Self::Unknown => "unknown",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where.
    pub place: Place,
    /// The same as a sentence.
    pub sentence: String,
    /// What it rests on, a clause each.
    pub facts: Vec<String>,
}

/// Whether a burst is among what was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
    /// Too much else was counted, or only a part of it.
    Unclear,
}

/// Most of a burst: a packet may get lost for other reasons.
const MOST: f64 = 0.8;

fn counted(all: i64, quiet: Option<i64>, sent: u32) -> Counted {
    let (all, sent) = (all.max(0) as f64, f64::from(sent));
    // Where nobody looked before, other traffic is whatever exceeds the burst.
    let other = quiet.map_or((all - sent).max(0.0), |quiet| quiet.max(0) as f64);
    let rest = all - quiet.map_or(0.0, |_| other);
    if all < sent / 2.0 {
        Counted::No
    } else if rest >= sent * MOST && other <= sent {
        Counted::Yes
    } else {
        Counted::Unclear
    }
}

impl End {
    fn counted(&self, sent: u32, of: impl Fn(&Changes) -> i64) -> Counted {
        counted(of(&self.burst), self.quiet.as_ref().map(&of), sent)
    }

    /// Whether a counter that tells of trouble grew with the burst.
    fn grew(&self, sent: u32, name: &str) -> bool {
        self.counted(sent, |c| c.get(name)) == Counted::Yes
    }
}

/// Says where the packets of a burst died. `client` and `server` are the names of the pods.
pub fn locate(burst: &Burst, client: &str, server: &str) -> Located {
    let facts = facts(burst, client, server);
    let located = |place: Place, sentence: String| Located { place, sentence, facts: facts.clone() };
    if burst.class.is_some_and(|class| class.is_open() || matches!(class, Class::OpenSilent | Class::Reset)) {
        return located(
            Place::Nowhere,
            "this time they went through: it fails now and then, or it has passed".to_owned(),
        );
    }
    let sent = burst.sent;
    let left = burst.client.as_ref().map(|end| end.counted(sent, Changes::sent));
    if left == Some(Counted::No) {
        return located(
            Place::Client,
            format!("they never left {client}: a rule or a missing route inside the pod's own network stops them"),
        );
    }
    let Some(end) = &burst.server else {
        let sentence = match left {
            Some(Counted::Yes) => format!("they left {client}; what became of them was not looked at"),
            _ => "no end could be looked at".to_owned(),
        };
        return located(Place::Unknown, sentence);
    };
    match (end.counted(sent, Changes::received), left) {
        (Counted::No, Some(Counted::Yes)) => {
            let who = match burst.class {
                Some(Class::Refused | Class::RefusedIcmp | Class::Prohibited | Class::Unreachable) => {
                    "something on the way turned them back, not the server"
                }
                _ => "dropped on the client's node, on the server's, or between them",
            };
            return located(Place::Way, format!("they left {client} and never arrived at {server}: {who}"));
        }
        (Counted::No, _) => {
            return located(
                Place::Way,
                format!("they never arrived at {server}; whether they left {client} can't be told from its counters"),
            );
        }
        (Counted::Unclear, _) => {
            return located(
                Place::Unknown,
                format!(
                    "{server} has too much other traffic to tell whether they arrived: try again in a quiet moment, or --capture=node"
                ),
            );
        }
        (Counted::Yes, _) => {}
    }
    let (place, sentence) = arrived(burst, end, client, server);
    located(place, sentence)
}

/// What became of packets that arrived at the server's pod.
fn arrived(burst: &Burst, end: &End, client: &str, server: &str) -> (Place, String) {
    let sent = burst.sent;
    let grew = |name: &str| end.grew(sent, name);
    let damaged = match burst.protocol {
        Protocol::Tcp => grew("Tcp.InCsumErrors"),
        Protocol::Udp => grew(if burst.v6 { "Udp6InCsumErrors" } else { "Udp.InCsumErrors" }),
        Protocol::Sctp => false,
    };
    if damaged {
        return (
            Place::Server,
            format!(
                "they arrived at {server} damaged, with wrong checksums: an overlay network and the offloading of a network card do that together"
            ),
        );
    }
    if grew("TcpExt.IPReversePathFilter") {
        return (
            Place::Server,
            format!(
                "they arrived at {server} on a device over which it would not answer, and its reverse path filter (rp_filter) dropped them"
            ),
        );
    }
    let delivered = if burst.v6 { "Ip6InDelivers" } else { "Ip.InDelivers" };
    if end.counted(sent, |c| c.get(delivered)) == Counted::No {
        return (
            Place::Server,
            format!(
                "they arrived at {server}, and a rule inside the pod's own network (a firewall, a mesh) dropped them"
            ),
        );
    }
    if burst.protocol == Protocol::Udp {
        let (none, read) =
            if burst.v6 { ("Udp6NoPorts", "Udp6InDatagrams") } else { ("Udp.NoPorts", "Udp.InDatagrams") };
        return if grew(none) {
            (Place::Program, format!("they arrived at {server}, where nothing listens on that port"))
        } else if grew(read) {
            (
                Place::Program,
                format!(
                    "they arrived at {server} and its program read them: it does not answer such datagrams, or its answers get lost"
                ),
            )
        } else {
            (Place::Program, format!("they arrived at {server}; its program did not read them"))
        };
    }
    if burst.protocol == Protocol::Sctp {
        return (
            Place::Program,
            format!("they arrived at {server}; what became of them there is not counted for SCTP"),
        );
    }
    if grew("TcpExt.ListenDrops") || grew("TcpExt.ListenOverflows") {
        return (
            Place::Program,
            format!(
                "they arrived at {server}, where the queue of the listening program is full: it does not accept connections"
            ),
        );
    }
    if grew("Tcp.OutRsts") {
        return (
            Place::Program,
            format!(
                "they arrived at {server}, which refuses them itself: nothing listens on that port, or only on localhost"
            ),
        );
    }
    // Of a listener that took them, answers leave at once.
    let half_open = end.burst.get(&format!("SynRecv.{}", burst.port)) > 0;
    match end.counted(sent, Changes::sent) {
        Counted::Yes => {}
        Counted::Unclear if half_open => {}
        Counted::No => {
            return (
                Place::Server,
                format!(
                    "they arrived at {server}, and no answer left it: a rule inside the pod's own network drops the answers, or its backlog of new connections is full"
                ),
            );
        }
        Counted::Unclear => {
            return (
                Place::Server,
                format!("they arrived at {server}; it has too much other traffic to tell whether it answered"),
            );
        }
    }
    match burst.client.as_ref().map(|c| c.counted(sent, Changes::received)) {
        Some(Counted::No) => (
            Place::WayBack,
            format!(
                "they arrived at {server} and were answered, and the answers never arrived at {client}: dropped on the way back"
            ),
        ),
        Some(Counted::Yes) => (
            Place::ClientBack,
            format!(
                "they were answered, and the answers arrived at {client}, where a rule inside the pod's own network drops them"
            ),
        ),
        _ => (
            Place::WayBack,
            format!(
                "they arrived at {server} and were answered; whether the answers arrived at {client} can't be told"
            ),
        ),
    }
}

/// The numbers, for people.
fn facts(burst: &Burst, client: &str, server: &str) -> Vec<String> {
    let number = |changes: &Changes, quiet: Option<&Changes>, of: fn(&Changes) -> i64| match quiet.map(of) {
        Some(before) if before > 0 => format!("{} (and {before} in as long before)", of(changes)),
        _ => of(changes).to_string(),
    };
    let mut out = Vec::new();
    for (name, end) in [(client, &burst.client), (server, &burst.server)] {
        if let Some(end) = end {
            out.push(format!(
                "{name}: {} packets out, {} in",
                number(&end.burst, end.quiet.as_ref(), Changes::sent),
                number(&end.burst, end.quiet.as_ref(), Changes::received)
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe_record::Counter;

    fn end(counters: &[(&str, i64)], quiet: Option<&[(&str, i64)]>) -> Option<End> {
        let changes = |all: &[(&str, i64)]| {
            let all: Vec<Counter> =
                all.iter().map(|(name, delta)| Counter { name: (*name).to_owned(), delta: *delta }).collect();
            Changes::of(&all)
        };
        Some(End { burst: changes(counters), quiet: quiet.map(changes) })
    }

    fn burst(protocol: Protocol, class: Class, client: Option<End>, server: Option<End>) -> Burst {
        Burst { protocol, port: 80, v6: false, sent: 20, class: Some(class), client, server }
    }

    fn place(burst: &Burst) -> Place {
        locate(burst, "a", "b").place
    }

    #[test]
    fn each_place_on_the_way() {
        use Class::{Open, OpenOrFiltered, Refused, Timeout};
        use Protocol::{Tcp, Udp};
        let left = || end(&[("eth0.tx_packets", 21), ("eth0.rx_packets", 1)], Some(&[]));
        let back = || end(&[("eth0.tx_packets", 21), ("eth0.rx_packets", 20)], Some(&[]));
        let stuck = || end(&[("eth0.tx_packets", 1), ("lo.tx_packets", 40)], Some(&[]));
        let server = |more: &[(&str, i64)]| {
            let mut all = vec![("eth0.rx_packets", 20), ("Ip.InDelivers", 20)];
            all.extend_from_slice(more);
            end(&all, Some(&[("eth0.rx_packets", 2)]))
        };
        let none = || end(&[("eth0.rx_packets", 3)], Some(&[("eth0.rx_packets", 3)]));
        for (expected, protocol, class, client, server) in [
            (Place::Nowhere, Tcp, Open, left(), none()),
            (Place::Client, Tcp, Timeout, stuck(), none()),
            (Place::Way, Tcp, Timeout, left(), none()),
            (Place::Way, Tcp, Refused, left(), none()),
            (Place::Way, Tcp, Timeout, None, none()),
            (Place::Unknown, Tcp, Timeout, left(), None),
            (Place::Unknown, Tcp, Timeout, None, None),
            (Place::Server, Tcp, Timeout, left(), server(&[("Ip.InDelivers", 0)])),
            (Place::Server, Tcp, Timeout, left(), server(&[("Tcp.InCsumErrors", 20)])),
            (Place::Server, Tcp, Timeout, left(), server(&[("TcpExt.IPReversePathFilter", 20)])),
            (Place::Program, Tcp, Refused, back(), server(&[("Tcp.OutRsts", 20), ("eth0.tx_packets", 20)])),
            (Place::Program, Tcp, Timeout, left(), server(&[("TcpExt.ListenDrops", 20)])),
            (Place::Server, Tcp, Timeout, left(), server(&[])),
            (Place::WayBack, Tcp, Timeout, left(), server(&[("eth0.tx_packets", 40), ("SynRecv.80", 20)])),
            (Place::WayBack, Tcp, Timeout, None, server(&[("eth0.tx_packets", 20)])),
            (Place::ClientBack, Tcp, Timeout, back(), server(&[("eth0.tx_packets", 20)])),
            (Place::Program, Udp, OpenOrFiltered, left(), server(&[("Udp.InDatagrams", 20)])),
            (Place::Program, Udp, OpenOrFiltered, left(), server(&[("Udp.NoPorts", 20)])),
            (Place::Way, Udp, OpenOrFiltered, left(), none()),
        ] {
            let burst = burst(protocol, class, client, server);
            assert_eq!(place(&burst), expected, "{burst:?}");
        }
    }

    #[test]
    fn a_busy_pod_is_not_guessed_about() {
        let left = || end(&[("eth0.tx_packets", 21)], Some(&[]));
        let busy = |all: i64, quiet: Option<i64>| {
            let quiet = quiet.map(|q| [("eth0.rx_packets", q)]);
            let server = end(&[("eth0.rx_packets", all), ("Ip.InDelivers", all)], quiet.as_ref().map(|q| &q[..]));
            place(&burst(Protocol::Tcp, Class::Timeout, left(), server))
        };
        assert_eq!(busy(500, Some(480)), Place::Unknown);
        assert_eq!(busy(500, None), Place::Unknown);
        assert_eq!(busy(25, Some(12)), Place::Unknown);
        assert_eq!(busy(30, Some(6)), Place::Server);
        assert_eq!(busy(30, None), Place::Server);
        // However busy it is: fewer came in than were sent.
        assert_eq!(busy(9, None), Place::Way);
    }
}
