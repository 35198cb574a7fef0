//! The kernel's own counters of this network namespace, before and after a burst.
//!
//! Files below `/proc/net` in, differences out. Two agents, one at each end, locate a drop with them: what the client
//! sent and the server's device never received died on the way.

use std::collections::BTreeMap;
use std::fs;

use netcheck::probe_record::{Counter, Line};

/// The values at one moment, by table and column.
#[derive(Debug, Default)]
pub struct Snapshot(BTreeMap<String, i64>);

impl Snapshot {
    /// Reads them now; a table that can't be read is left out.
    pub fn take() -> Snapshot {
        let read = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        let mut all = BTreeMap::new();
        paired(&read("snmp"), &mut all);
        paired(&read("netstat"), &mut all);
        plain(&read("snmp6"), &mut all);
        devices(&read("dev"), &mut all);
        Snapshot(all)
    }

    /// Those that changed since, in alphabetical order.
    pub fn changes_since(&self, before: &Snapshot) -> Vec<Line> {
        let changed = self.0.iter().filter_map(|(name, value)| {
            let delta = value.wrapping_sub(before.0.get(name).copied().unwrap_or(0));
            if delta == 0 { None } else { Counter::new(name.clone(), delta) }
        });
        changed.map(Line::Counter).collect()
    }
}

/// `Tcp: RtoAlgorithm RtoMin ...` and then `Tcp: 1 200 ...`.
fn paired(text: &str, all: &mut BTreeMap<String, i64>) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let Some((table, names)) = names.split_once(':') else { continue };
        let Some((_, values)) = values.split_once(':') else { continue };
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            all.extend(value.parse().ok().map(|value| (format!("{table}.{name}"), value)));
        }
    }
}

/// `Ip6InReceives   12`.
fn plain(text: &str, all: &mut BTreeMap<String, i64>) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(Ok(value))) = (words.next(), words.next().map(str::parse)) {
            all.insert(name.to_owned(), value);
        }
    }
}

/// `eth0: BYTES PACKETS ERRS DROP FIFO FRAME COMPRESSED MULTICAST BYTES PACKETS ERRS DROP ...`, below two lines of titles.
fn devices(text: &str, all: &mut BTreeMap<String, i64>) {
    const COLUMNS: [(usize, &str); 8] = [
        (0, "rx_bytes"),
        (1, "rx_packets"),
        (2, "rx_errors"),
        (3, "rx_dropped"),
        (8, "tx_bytes"),
        (9, "tx_packets"),
        (10, "tx_errors"),
        (11, "tx_dropped"),
    ];
    for line in text.lines().skip(2) {
        let Some((device, values)) = line.split_once(':') else { continue };
        let values: Vec<&str> = values.split_whitespace().collect();
        for (column, name) in COLUMNS {
            let value = values.get(column).and_then(|value| value.parse().ok());
            all.extend(value.map(|value| (format!("{}.{name}", device.trim()), value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(active: i64, packets: i64) -> Snapshot {
        let mut all = BTreeMap::new();
        paired(&format!("Ip: InReceives\nIp: 7\nTcp: RtoMin MaxConn ActiveOpens\nTcp: 200 -1 {active}\n"), &mut all);
        plain("Ip6InReceives   3\nbroken\n", &mut all);
        devices(&format!("Inter-|\n face |\n  eth0: 900 {packets} 0 0 0 0 0 0 800 9 0 0 0 0 0 0\n"), &mut all);
        Snapshot(all)
    }

    #[test]
    fn only_what_changed_is_told() {
        let before = snapshot(5, 100);
        let counter = |name: &str, delta| Counter::new(name.to_owned(), delta).map(Line::Counter).expect("a name");
        assert_eq!(before.0.get("Tcp.MaxConn"), Some(&-1));
        assert_eq!(snapshot(5, 100).changes_since(&before), []);
        assert_eq!(
            snapshot(25, 108).changes_since(&before),
            [counter("Tcp.ActiveOpens", 20), counter("eth0.rx_packets", 8)]
        );
    }
}
