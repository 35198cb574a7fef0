//! The kernel's own counters of one network namespace, before and after a burst.
//!
//! Text of files below `/proc/net` in, differences out. What the client sent and the server's device never received died
//! on the way. The agent reads the files itself; the live probe gets the same text from a container of a pod. Both use
//! this one file. It opens nothing, and what can't be read as a counter is passed over.

use std::collections::BTreeMap;

use crate::probe_record::Counter;

/// The files, in the order of how much they tell: the last ones grow with the connections of the namespace.
pub const FILES: [&str; 6] =
    ["/proc/net/dev", "/proc/net/snmp", "/proc/net/snmp6", "/proc/net/netstat", "/proc/net/tcp", "/proc/net/tcp6"];

/// The most bytes of one file that are looked at.
pub const MOST: usize = 1 << 20;

/// Columns of `/proc/net/dev` after the device's name: `bytes packets errs drop fifo frame compressed multicast`, for what
/// is received and then for what is sent.
const DEVICE_COLUMNS: [(usize, &str); 8] = [
    (0, "rx_bytes"),
    (1, "rx_packets"),
    (2, "rx_errors"),
    (3, "rx_dropped"),
    (8, "tx_bytes"),
    (9, "tx_packets"),
    (10, "tx_errors"),
    (11, "tx_dropped"),
];

/// What stands before the name of a counter of the quiet time.
const QUIET: &str = "quiet:";

/// State of a connection of which the first packet was answered, and the answer not yet (`TCP_SYN_RECV` of
/// `include/net/tcp_states.h`).
const SYN_RECV: &str = "03";

/// The values at one moment, by table and column: `Tcp.RetransSegs`, `Ip6InDelivers`, `eth0.rx_packets`; of
/// `/proc/net/tcp` how many connections wait for the end of their handshake, by the own port: `SynRecv.8080`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, i64>);

impl Snapshot {
    /// Reads the text of [`FILES`], one after the other, of which any may be missing or cut off.
    pub fn parse(text: &str) -> Self {
        let mut all = BTreeMap::new();
        // The titles of a table of which the values come in the next line.
        let mut titles: Option<(&str, Vec<&str>)> = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((first, rest)) = words.split_first() else { continue };
            let Some(table) = first.strip_suffix(':') else {
                // `eth0:12` of old kernels, `Ip6InReceives   12`.
                match (first.split_once(':'), rest) {
                    (Some((device, value)), rest) if rest.len() >= 15 => {
                        let values: Vec<&str> = [value].into_iter().chain(rest.iter().copied()).collect();
                        device_line(device, &values, &mut all);
                    }
                    (None, [value]) => all.extend(value.parse().ok().map(|value| ((*first).to_owned(), value))),
                    _ => {}
                }
                continue;
            };
            if rest.first().is_some_and(|word| word.contains(':')) {
                // `0: 0100007F:1F90 00000000:0000 0A ...`
                connection(rest, &mut all);
            } else if let Some((_, names)) = titles.take_if(|(name, _)| *name == table) {
                for (name, value) in names.into_iter().zip(rest) {
                    all.extend(value.parse().ok().map(|value| (format!("{table}.{name}"), value)));
                }
            } else if rest.len() >= 16 && rest.iter().all(|word| word.parse::<i64>().is_ok()) {
                device_line(table, rest, &mut all);
            } else {
                titles = Some((table, rest.to_vec()));
            }
        }
        Self(all)
    }

    /// What changed since.
    pub fn since(&self, before: &Self) -> Changes {
        let changed = self.0.iter().map(|(name, value)| {
            let delta = value.wrapping_sub(before.0.get(name).copied().unwrap_or(0));
            (name.clone(), delta)
        });
        Changes(changed.filter(|(_, delta)| *delta != 0).collect())
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn device_line(device: &str, values: &[&str], all: &mut BTreeMap<String, i64>) {
    for (column, name) in DEVICE_COLUMNS {
        let value = values.get(column).and_then(|value| value.parse().ok());
        all.extend(value.map(|value| (format!("{device}.{name}"), value)));
    }
}

/// `LOCAL:PORT REMOTE:PORT STATE ...`, addresses and ports in hexadecimal digits.
fn connection(words: &[&str], all: &mut BTreeMap<String, i64>) {
    if let [local, _, state, ..] = words
        && *state == SYN_RECV
        && let Some(port) = local.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok())
    {
        *all.entry(format!("SynRecv.{port}")).or_default() += 1;
    }
}

/// By how much counters grew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<String, i64>);

impl Changes {
    /// What the agent said of them.
    pub fn of<'c>(counters: impl IntoIterator<Item = &'c Counter>) -> Self {
        let counters = counters.into_iter().filter(|c| !c.name.starts_with(QUIET));
        Self(counters.map(|c| (c.name.clone(), c.delta)).collect())
    }

    /// What the agent said of the quiet time before.
    pub fn of_quiet<'c>(counters: impl IntoIterator<Item = &'c Counter>) -> Self {
        let quiet = counters.into_iter().filter_map(|c| Some((c.name.strip_prefix(QUIET)?.to_owned(), c.delta)));
        Self(quiet.collect())
    }

    /// As the agent says what changed in a quiet time.
    pub fn quiet(&self) -> Vec<Counter> {
        let named = |c: Counter| Counter::new(format!("{QUIET}{}", c.name), c.delta);
        self.counters().into_iter().filter_map(named).collect()
    }

    /// As many times as much: what another span of time would have counted. Rounded up.
    #[must_use]
    pub fn times(&self, share: f64) -> Self {
        Self(self.0.iter().map(|(name, delta)| (name.clone(), (*delta as f64 * share).ceil() as i64)).collect())
    }

    /// One of them.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Packets that came in over any device but the loopback.
    pub fn received(&self) -> i64 {
        self.of_devices("rx_packets")
    }

    /// Packets that went out over any device but the loopback.
    pub fn sent(&self) -> i64 {
        self.of_devices("tx_packets")
    }

    fn of_devices(&self, column: &str) -> i64 {
        let of = |name: &str| name.rsplit_once('.').is_some_and(|(device, c)| c == column && device != "lo");
        self.0.iter().filter(|(name, _)| of(name)).map(|(_, delta)| *delta).sum()
    }

    /// As the agent says them: those of devices and of half-open connections first, as they are few and tell most; then
    /// by name.
    pub fn counters(&self) -> Vec<Counter> {
        let rank = |name: &str| match name.split_once('.') {
            Some(("SynRecv", _)) => 0,
            Some((_, "rx_packets" | "tx_packets")) => 1,
            Some(("Tcp" | "Udp" | "Ip", _)) => 2,
            Some(("TcpExt", column)) if column.starts_with("Listen") || column == "IPReversePathFilter" => 2,
            Some((_, column)) if column.starts_with("rx_") || column.starts_with("tx_") => 4,
            _ => 3,
        };
        let mut all: Vec<Counter> =
            self.0.iter().filter_map(|(name, delta)| Counter::new(name.clone(), *delta)).collect();
        all.sort_by(|a, b| rank(&a.name).cmp(&rank(&b.name)).then_with(|| a.name.cmp(&b.name)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(active: i64, packets: i64, more: &str) -> Snapshot {
        Snapshot::parse(&format!(
            "Inter-|   Receive                                                |  Transmit\n\
             \x20face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
             \x20   lo:     900       5    0    0    0     0          0         0      900       5    0    0    0     0       0          0\n\
             \x20 eth0: 900 {packets} 0 0 0 0 0 0 800 9 0 0 0 0 0 0\n\
             Ip: Forwarding InReceives\nIp: 1 7\nTcp: RtoMin MaxConn ActiveOpens\nTcp: 200 -1 {active}\n\
             Ip6InReceives                   \t3\nbroken\nTcpExt: SyncookiesSent ListenDrops\nTcpExt: 0 {active}\n\
             \x20 sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n{more}"
        ))
    }

    #[test]
    fn the_files_are_read_one_after_the_other() {
        let half_open = "   1: 0202A8C0:1F90 0102A8C0:A001 03 00000000:00000000 01:00000010 00000000 0 0 0 1 0\n";
        let before = files(5, 100, "");
        assert_eq!(before.0.get("Tcp.MaxConn"), Some(&-1));
        assert_eq!(before.0.get("Ip6InReceives"), Some(&3));
        assert_eq!(files(5, 100, "").since(&before), Changes::default());
        let changes = files(25, 108, &half_open.repeat(2)).since(&before);
        let said: Vec<(String, i64)> = changes.counters().into_iter().map(|c| (c.name, c.delta)).collect();
        let expected =
            [("SynRecv.8080", 2), ("eth0.rx_packets", 8), ("Tcp.ActiveOpens", 20), ("TcpExt.ListenDrops", 20)];
        assert_eq!(said, expected.map(|(name, delta)| (name.to_owned(), delta)));
        assert_eq!((changes.received(), changes.sent(), changes.get("Tcp.ActiveOpens")), (8, 0, 20));
        let said: Vec<Counter> = changes.counters().into_iter().chain(changes.times(0.5).quiet()).collect();
        assert_eq!(Changes::of(&said), changes);
        assert_eq!(Changes::of_quiet(&said).received(), 4);
    }

    #[test]
    fn other_text_is_passed_over() {
        for text in ["", "cat: can't open '/proc/net/snmp6'\n", "Tcp: A B\nUdp: 1 2\n", "x: y\nx:\n", "\u{0}: 1\n"] {
            assert!(Snapshot::parse(text).is_empty(), "{text:?}: {:?}", Snapshot::parse(text));
        }
        // Cut off in the middle: what is whole counts.
        let cut = Snapshot::parse("Tcp: A B C\nTcp: 1 2");
        assert_eq!(cut.0.len(), 2);
    }
}
