//! `resolv.conf`: the name servers, and the names that a search list makes of one name.
//!
//! Text in, plain data out; nothing is asked here. Rules: resolv.conf(5) and the limits of glibc's `resolv.h`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// glibc and musl ask no more than three (`MAXNS`).
const MAX_SERVERS: usize = 3;

/// What Kubernetes allows in a pod's `dnsConfig.searches`.
const MAX_SEARCHES: usize = 32;

/// What is taken of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers, port 53, in the file's order.
    pub servers: Vec<SocketAddr>,
    /// The search list.
    pub searches: Vec<String>,
    /// How many dots make a name worth trying as it stands first.
    pub ndots: usize,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// How often to ask.
    pub attempts: u8,
}

impl ResolvConf {
    /// Reads the file's text; what it doesn't say has the library's default.
    pub fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf {
            servers: Vec::new(),
            searches: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if conf.servers.len() < MAX_SERVERS => {
                    conf.servers.extend(words.next().and_then(server));
                }
                // The last `search` or `domain` line counts.
                Some("search") => conf.searches = words.take(MAX_SEARCHES).map(str::to_owned).collect(),
                Some("domain") => conf.searches = words.take(1).map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let Some((key, value)) = word.split_once(':') else { return };
        let Ok(value) = value.parse::<u8>() else { return };
        match key {
            "ndots" => self.ndots = usize::from(value.min(15)),
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The names to ask for in turn, each with the entry of the search list that it comes from (0: none). A name with a
    /// trailing dot stands for itself; one with `ndots` dots or more is tried as it stands first, any other one last.
    pub fn candidates(&self, name: &str) -> Vec<(u8, String)> {
        let as_it_stands = (0, name.to_owned());
        if name.ends_with('.') {
            return vec![as_it_stands];
        }
        let searched = self.searches.iter().zip(1..).filter_map(|(search, number)| {
            let full = format!("{name}.{}", search.trim_matches('.'));
            (full.len() <= 253 && !search.trim_matches('.').is_empty()).then_some((number, full))
        });
        let mut out: Vec<_> = searched.collect();
        let first = name.matches('.').count() >= self.ndots;
        out.insert(if first { 0 } else { out.len() }, as_it_stands);
        out
    }

    /// A name that a cluster's DNS answers by itself, without asking another server: the API server's own, under the
    /// cluster's domain where the search list shows it.
    pub fn local_name(&self) -> String {
        match self.searches.iter().find(|search| search.starts_with("svc.")) {
            Some(search) => format!("kubernetes.default.{search}"),
            None => "localhost".to_owned(),
        }
    }
}

fn server(word: &str) -> Option<SocketAddr> {
    let (address, zone) = word.split_once('%').map_or((word, None), |(address, zone)| (address, Some(zone)));
    match (address.parse().ok()?, zone) {
        (IpAddr::V6(address), Some(zone)) => Some(SocketAddrV6::new(address, 53, 0, zone_number(zone)?).into()),
        (address, _) => Some(SocketAddr::new(address, 53)),
    }
}

/// A zone is an interface, by number or by name.
fn zone_number(zone: &str) -> Option<u32> {
    let plain = zone.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    let by_name = || std::fs::read_to_string(format!("/sys/class/net/{zone}/ifindex")).ok()?.trim().parse().ok();
    zone.parse().ok().or_else(|| plain.then(by_name).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n\
                       options ndots:5\n";

    fn candidates(conf: &str, name: &str) -> Vec<String> {
        ResolvConf::parse(conf).candidates(name).into_iter().map(|(search, name)| format!("{search} {name}")).collect()
    }

    #[test]
    fn a_pods_file_is_read() {
        let conf = ResolvConf::parse(POD);
        assert_eq!(conf.servers, ["10.96.0.10:53".parse().expect("an address")]);
        assert_eq!((conf.searches.len(), conf.ndots, conf.attempts), (3, 5, 2));
        assert_eq!(conf.local_name(), "kubernetes.default.svc.cluster.local");
    }

    #[test]
    fn what_the_file_does_not_say_has_the_librarys_default() {
        let conf = ResolvConf::parse("# empty\nnameserver not-an-address\noptions rotate ndots:x timeout:0\n");
        assert_eq!(conf.servers, ["127.0.0.1:53".parse().expect("an address")]);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (1, Duration::from_secs(1), 2));
        assert_eq!(conf.local_name(), "localhost");
    }

    #[test]
    fn the_first_three_servers_and_the_last_search_list_count() {
        let conf = ResolvConf::parse(
            "nameserver fd00::a\nnameserver fe80::1%7\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n\
             search a.test\ndomain b.test\noptions timeout:99 attempts:9 ndots:99\n",
        );
        let servers: Vec<String> = conf.servers.iter().map(SocketAddr::to_string).collect();
        assert_eq!(servers, ["[fd00::a]:53", "[fe80::1%7]:53", "10.0.0.3:53"]);
        assert_eq!(conf.searches, ["b.test"]);
        assert_eq!((conf.timeout, conf.attempts, conf.ndots), (Duration::from_secs(30), 5, 15));
    }

    #[test]
    fn the_search_list_goes_before_a_name_with_few_dots_and_after_one_with_many() {
        assert_eq!(
            candidates(POD, "cart.shop"),
            [
                "1 cart.shop.shop.svc.cluster.local",
                "2 cart.shop.svc.cluster.local",
                "3 cart.shop.cluster.local",
                "0 cart.shop"
            ]
        );
        assert_eq!(candidates(POD, "cart.shop."), ["0 cart.shop."]);
        assert_eq!(candidates(POD, "a.b.c.d.e.f")[0], "0 a.b.c.d.e.f");
        assert_eq!(candidates("search one.test .\n", "a.b"), ["0 a.b", "1 a.b.one.test"]);
        assert_eq!(candidates("", "a"), ["0 a"]);
    }
}
