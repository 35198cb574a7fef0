//! The probe agent against real packets: each way in which a network can answer, in namespaces made by the test.
//!
//! Needs root, `ip` and `nft`; says so and passes where they are missing.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use netcheck::probe_record::{self, Class, Detail, Record, Report, Step};

// Each test uses a part of it.
#[allow(dead_code)]
mod netns;

use netns::{World, servers};

const AGENT: &str = env!("CARGO_BIN_EXE_netcheck-agent");

/// What the agent said and how it ended.
struct Ran {
    report: Report,
    code: Option<i32>,
    took: Duration,
}

/// Runs the agent at the client's end with a shorter time-out than its own.
fn agent(world: &World, args: &[&str]) -> Ran {
    agent_as_it_is(world, &[&["--timeout", "0.6"], args].concat())
}

fn agent_as_it_is(world: &World, args: &[&str]) -> Ran {
    let began = Instant::now();
    let output = world.command("c", AGENT).args(["--out", "-"]).args(args).output().expect("to run the agent");
    let text = String::from_utf8(output.stdout).expect("text");
    let report = probe_record::decode(&text).unwrap_or_else(|| {
        panic!("no records: {text:?} {}", String::from_utf8_lossy(&output.stderr));
    });
    assert_eq!(report.missing(), 0, "{text}");
    Ran { report, code: output.status.code(), took: began.elapsed() }
}

impl Ran {
    fn one(&self, step: Step, index: u16) -> &Record {
        let mut found = self.report.records().filter(|record| record.step == step && record.index == index);
        let record = found.next().unwrap_or_else(|| panic!("no {step:?} {index}: {:?}", self.report.lines));
        assert_eq!(found.next(), None);
        record
    }

    fn probes(&self) -> Vec<(Class, Detail)> {
        let probes = self.report.records().filter(|record| record.step == Step::Probe);
        probes.map(|record| (record.class, record.detail)).collect()
    }
}

fn icmp(kind: u8, code: u8, from: &str) -> Detail {
    let from: IpAddr = from.parse().expect("an address");
    Detail::Icmp { v6: from.is_ipv6(), kind, code, from: Some(from) }
}

fn resolv_conf(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("to write");
    file
}

#[test]
fn servers_of_every_kind_over_tcp() {
    let Some(world) = World::new() else { return };
    servers::tcp(&world, "10.77.2.2:80", servers::http);
    servers::tcp(&world, "[fd77:2::2]:80", servers::http);
    servers::tcp(&world, "10.77.2.2:81", servers::silent);
    servers::tcp(&world, "10.77.2.2:82", servers::reset);
    servers::tcp(&world, "10.77.2.2:83", servers::close);
    servers::tcp(&world, "10.77.2.2:84", servers::banner);
    servers::tcp(&world, "10.77.2.2:443", servers::tls);
    servers::tcp(&world, "10.77.2.2:444", servers::tls_alert);
    let cases = [
        ("tcp:10.77.2.2:80", Class::Open, Detail::None),
        ("tcp:[fd77:2::2]:80", Class::Open, Detail::None),
        ("tcp:10.77.2.2:80+http", Class::Open, Detail::Http(404)),
        ("tcp:[fd77:2::2]:80+http=/healthz", Class::Open, Detail::Http(404)),
        ("tcp:10.77.2.2:81", Class::Open, Detail::None),
        ("tcp:10.77.2.2:81+http", Class::OpenSilent, Detail::None),
        ("tcp:10.77.2.2:81+tls", Class::OpenSilent, Detail::None),
        ("tcp:10.77.2.2:82", Class::Reset, Detail::None),
        ("tcp:10.77.2.2:83", Class::Open, Detail::Closed),
        ("tcp:10.77.2.2:84", Class::Open, Detail::Answered),
        ("tcp:10.77.2.2:84+http", Class::Open, Detail::Http(0)),
        ("tcp:10.77.2.2:84+tls", Class::TlsFailure, Detail::NotTls),
        ("tcp:10.77.2.2:443+tls=shop.test", Class::Open, Detail::Answered),
        ("tcp:10.77.2.2:444+tls", Class::TlsFailure, Detail::TlsAlert(112)),
        ("tcp:10.77.2.2:1", Class::Refused, Detail::None),
        ("tcp:[fd77:2::2]:1", Class::Refused, Detail::None),
    ];
    let targets = cases.map(|(target, ..)| target);
    let ran = agent(&world, &targets);
    for (got, (target, class, detail)) in ran.probes().into_iter().zip(cases) {
        assert_eq!(got, (class, detail), "{target}");
    }
    assert_eq!(ran.probes().len(), cases.len());
    assert_eq!(ran.code, Some(1));
    assert_eq!(agent(&world, &targets[..5]).code, Some(0));
}

#[test]
fn drops_and_rejects_are_told_apart_by_what_comes_back() {
    let Some(world) = World::new() else { return };
    servers::tcp(&world, "0.0.0.0:80", servers::http);
    // The last part of each address says what happens to it.
    let v4 = [
        (3, "drop", Class::Timeout, Detail::None),
        (4, "reject with tcp reset", Class::Refused, Detail::None),
        (5, "reject with icmp type net-unreachable", Class::Unreachable, icmp(3, 0, "10.77.1.1")),
        (6, "reject with icmp type host-unreachable", Class::Unreachable, icmp(3, 1, "10.77.1.1")),
        (7, "reject with icmp type prot-unreachable", Class::RefusedIcmp, icmp(3, 2, "10.77.1.1")),
        (8, "reject with icmp type port-unreachable", Class::RefusedIcmp, icmp(3, 3, "10.77.1.1")),
        (9, "reject with icmp type net-prohibited", Class::Prohibited, icmp(3, 9, "10.77.1.1")),
        (10, "reject with icmp type host-prohibited", Class::Prohibited, icmp(3, 10, "10.77.1.1")),
        (11, "reject with icmp type admin-prohibited", Class::Prohibited, icmp(3, 13, "10.77.1.1")),
    ];
    let v6 = [
        (3, "drop", Class::Timeout, Detail::None),
        (4, "reject with tcp reset", Class::Refused, Detail::None),
        (5, "reject with icmpv6 type no-route", Class::Unreachable, icmp(1, 0, "fd77:1::1")),
        (6, "reject with icmpv6 type admin-prohibited", Class::Prohibited, icmp(1, 1, "fd77:1::1")),
        (7, "reject with icmpv6 type addr-unreachable", Class::Unreachable, icmp(1, 3, "fd77:1::1")),
        (8, "reject with icmpv6 type port-unreachable", Class::RefusedIcmp, icmp(1, 4, "fd77:1::1")),
        (9, "reject with icmpv6 type policy-fail", Class::Prohibited, icmp(1, 5, "fd77:1::1")),
        (10, "reject with icmpv6 type reject-route", Class::Prohibited, icmp(1, 6, "fd77:1::1")),
    ];
    let mut rules = String::new();
    let mut cases = Vec::new();
    for (host, rule, class, detail) in v4 {
        let l4 = if rule.contains("tcp reset") { "tcp dport 80 " } else { "" };
        rules.push_str(&format!("ip daddr 10.77.2.{host} {l4}{rule}\n"));
        cases.push((format!("tcp:10.77.2.{host}:80"), class, detail));
        if l4.is_empty() {
            // A datagram that is dropped looks like one that nobody answers.
            let class = if class == Class::Timeout { Class::OpenOrFiltered } else { class };
            cases.push((format!("udp:10.77.2.{host}:80"), class, detail));
        }
    }
    for (host, rule, class, detail) in v6 {
        let l4 = if rule.contains("tcp reset") { "tcp dport 80 " } else { "" };
        rules.push_str(&format!("ip6 daddr fd77:2::{host:x} {l4}{rule}\n"));
        cases.push((format!("tcp:[fd77:2::{host:x}]:80"), class, detail));
        if l4.is_empty() {
            let class = if class == Class::Timeout { Class::OpenOrFiltered } else { class };
            cases.push((format!("udp:[fd77:2::{host:x}]:80"), class, detail));
        }
    }
    world.forward_rules(&rules);
    let targets: Vec<&str> = cases.iter().map(|(target, ..)| target.as_str()).collect();
    let ran = agent(&world, &targets);
    for (got, (target, class, detail)) in ran.probes().into_iter().zip(&cases) {
        assert_eq!(got, (*class, *detail), "{target}");
    }
    assert_eq!(ran.probes().len(), cases.len());
    assert_eq!(ran.one(Step::Probe, 0).tries, 2, "silence is tried twice");
    assert_eq!(ran.one(Step::Probe, 2).tries, 1, "an answer is not");
}

#[test]
fn routes_that_lead_nowhere() {
    let Some(world) = World::new() else { return };
    world.ip("r", "route add blackhole 10.78.1.0/24");
    world.ip("r", "route add unreachable 10.78.2.0/24");
    world.ip("r", "route add prohibit 10.78.3.0/24");
    world.ip("c", "route add blackhole 10.79.1.0/24");
    world.ip("c", "route add unreachable 10.79.2.0/24");
    world.ip("c", "route add prohibit 10.79.3.0/24");
    let ran = agent(
        &world,
        &[
            "tcp:10.78.1.1:80",
            "tcp:10.78.2.1:80",
            "tcp:10.78.3.1:80",
            "tcp:10.79.1.1:80",
            "tcp:10.79.2.1:80",
            "tcp:10.79.3.1:80",
        ],
    );
    assert_eq!(
        ran.probes(),
        [
            (Class::Timeout, Detail::None),
            (Class::Unreachable, icmp(3, 1, "10.77.1.1")),
            (Class::Prohibited, icmp(3, 13, "10.77.1.1")),
            (Class::Unreachable, Detail::Errno(22)),
            (Class::Unreachable, Detail::Errno(113)),
            (Class::Prohibited, Detail::Errno(13)),
        ]
    );
}

#[test]
fn a_policy_of_the_clients_own_end_is_seen_too() {
    let Some(world) = World::new() else { return };
    servers::tcp(&world, "10.77.2.2:80", servers::http);
    world.rules("c", "output", "tcp dport 80 reject with icmp type admin-prohibited\nudp dport 80 drop");
    let ran = agent_as_it_is(&world, &["tcp:10.77.2.2:80", "udp:10.77.2.2:80"]);
    let probes = ran.probes();
    assert!(matches!(probes[0], (Class::Prohibited, Detail::Icmp { kind: 3, code: 13, .. })), "{probes:?}");
    assert_eq!(probes[1], (Class::Prohibited, Detail::Errno(1)));
}

#[test]
fn datagrams() {
    let Some(world) = World::new() else { return };
    servers::udp(&world, "10.77.2.2:7", |datagram| Some(datagram.to_vec()));
    servers::udp(&world, "[fd77:2::2]:7", |datagram| Some(datagram.to_vec()));
    servers::udp(&world, "10.77.2.2:9", |_| None);
    servers::dns(&world, "10.77.2.2:53");
    servers::dns(&world, "10.77.2.2:5353");
    servers::dns(&world, "10.77.2.2:1053");
    let conf = resolv_conf("search shop.svc.test svc.test test\nnameserver 10.77.2.2\n");
    let conf = conf.path().to_str().expect("a path");
    let cases = [
        ("udp:10.77.2.2:7", Class::Open, Detail::Answered),
        ("udp:[fd77:2::2]:7", Class::Open, Detail::Answered),
        ("udp:10.77.2.2:9", Class::OpenOrFiltered, Detail::None),
        ("udp:10.77.2.2:10", Class::RefusedIcmp, icmp(3, 3, "10.77.2.2")),
        ("udp:[fd77:2::2]:10", Class::RefusedIcmp, icmp(1, 4, "fd77:2::2")),
        ("udp:10.77.2.2:53", Class::Open, Detail::Rcode(0)),
        ("udp:10.77.2.2:5353", Class::Open, Detail::Rcode(0)),
        ("udp:10.77.2.2:1053", Class::OpenOrFiltered, Detail::None),
        ("udp:10.77.2.2:1053+dns", Class::Open, Detail::Rcode(0)),
        ("udp:10.77.2.2:1053+dns=nosuch.test", Class::Open, Detail::Rcode(3)),
        ("tcp:10.77.2.2:53+dns=web.shop.test", Class::Open, Detail::Rcode(0)),
        ("tcp:10.77.2.2:53+dns=drop.test", Class::OpenSilent, Detail::None),
    ];
    let targets = cases.map(|(target, ..)| target);
    let ran = agent(&world, &[&["--resolv-conf", conf], &targets[..]].concat());
    for (got, (target, class, detail)) in ran.probes().into_iter().zip(cases) {
        assert_eq!(got, (class, detail), "{target}");
    }
    assert_eq!(ran.probes().len(), cases.len());
}

#[test]
fn names_go_through_the_search_list_and_every_address_is_dialled() {
    let Some(world) = World::new() else { return };
    servers::dns(&world, "10.77.2.2:53");
    servers::tcp(&world, "10.77.2.2:80", servers::http);
    servers::tcp(&world, "[fd77:2::2]:80", servers::http);
    let conf = resolv_conf("nameserver 10.77.2.2\nsearch nowhere.test shop.test other.test\noptions ndots:5\n");
    let conf = conf.path().to_str().expect("a path");
    let targets =
        ["tcp:web:80", "tcp:web2:80", "tcp:web.shop.test:80", "tcp:web.:80", "tcp:v4only:80", "dns:empty", "dns:big"];
    let ran = agent(&world, &[&["--resolv-conf", conf], &targets[..]].concat());
    let names: Vec<_> = (0..7).map(|index| ran.one(Step::Name, index)).map(|r| (r.class, r.detail)).collect();
    assert_eq!(
        names,
        [
            (Class::Open, Detail::Resolved { search: 2, addresses: 2 }),
            (Class::Open, Detail::Resolved { search: 3, addresses: 2 }),
            (Class::Open, Detail::Resolved { search: 0, addresses: 2 }),
            (Class::DnsNxdomain, Detail::None),
            (Class::Open, Detail::Resolved { search: 2, addresses: 1 }),
            (Class::DnsNodata, Detail::None),
            (Class::Open, Detail::Resolved { search: 2, addresses: 60 }),
        ]
    );
    for index in [0, 1, 2] {
        let mut dialled: Vec<_> = ran.report.records().filter(|r| r.step == Step::Probe && r.index == index).collect();
        dialled.sort_by_key(|record| record.address);
        let addresses = ["10.77.2.2", "fd77:2::2"].map(|address| address.parse().ok());
        assert_eq!(
            dialled.iter().map(|r| (r.class, r.address)).collect::<Vec<_>>(),
            addresses.map(|a| (Class::Open, a))
        );
    }
    assert_eq!(ran.one(Step::Probe, 4).class, Class::Open);
    assert_eq!(ran.one(Step::ServerUdp, 0).class, Class::Open);
    assert_eq!(ran.one(Step::ServerTcp, 0).class, Class::Open);
}

#[test]
fn addresses_of_a_family_that_the_pod_lacks_are_left_out() {
    let Some(world) = World::new() else { return };
    servers::dns(&world, "10.77.2.2:53");
    servers::tcp(&world, "10.77.2.2:80", servers::http);
    world.ip("c", "-6 addr flush dev eth0 scope global");
    let conf = resolv_conf("nameserver 10.77.2.2\nsearch shop.test\n");
    let conf = conf.path().to_str().expect("a path");
    let ran = agent(&world, &["--resolv-conf", conf, "tcp:web:80", "tcp:[fd77:2::2]:80"]);
    assert_eq!(ran.one(Step::Name, 0).detail, Detail::Resolved { search: 1, addresses: 2 });
    let dialled = ran.one(Step::Probe, 0);
    assert_eq!((dialled.class, dialled.address), (Class::Open, "10.77.2.2".parse().ok()));
    // One that was asked for by address is tried all the same.
    assert_eq!(ran.one(Step::Probe, 1).class, Class::Unreachable);
}

#[test]
fn name_servers_that_fail_refuse_or_keep_silent() {
    let Some(world) = World::new() else { return };
    world.ip("s", "addr add 10.77.2.3/24 dev eth0");
    world.ip("s", "addr add 10.77.2.4/24 dev eth0");
    servers::dns(&world, "10.77.2.2:53");
    world.forward_rules(
        "ip daddr 10.77.2.3 drop\nip daddr 10.77.2.5 reject with icmp type admin-prohibited\n\
         ip daddr 10.77.2.2 tcp dport 53 drop",
    );
    let settle = |servers: &str, name: &str| {
        let conf = resolv_conf(&format!("{servers}search shop.test\noptions ndots:5\n"));
        let path = conf.path().to_str().expect("a path").to_owned();
        let ran = agent(&world, &["--resolv-conf", &path, &format!("dns:{name}")]);
        let record = ran.one(Step::Name, 0).clone();
        (record.class, record.detail, ran)
    };
    let found = Detail::Resolved { search: 1, addresses: 2 };
    let (good, silent, closed, forbidden) =
        ("nameserver 10.77.2.2\n", "nameserver 10.77.2.3\n", "nameserver 10.77.2.4\n", "nameserver 10.77.2.5\n");

    let (class, _, ran) = settle(good, "nosuch");
    assert_eq!((class, ran.code), (Class::DnsNxdomain, Some(1)));
    assert_eq!(ran.one(Step::ServerTcp, 0).class, Class::DnsTimeout, "TCP 53 is dropped");
    let (class, detail, ran) = settle(good, "web");
    assert_eq!((class, detail, ran.code), (Class::Open, found, Some(0)), "which is a warning only");

    let (class, detail, _) = settle(good, "fail");
    assert_eq!((class, detail), (Class::DnsServfail, Detail::Rcode(2)));
    let (class, _, _) = settle(good, "refuse");
    assert_eq!(class, Class::DnsRefused);
    let (class, _, ran) = settle(silent, "web");
    assert_eq!((class, ran.one(Step::ServerUdp, 0).class), (Class::DnsTimeout, Class::DnsTimeout));
    assert!(ran.took < Duration::from_secs(3), "{:?}", ran.took);
    let (class, detail, _) = settle(closed, "web");
    assert_eq!((class, detail), (Class::RefusedIcmp, icmp(3, 3, "10.77.2.4")));
    let (class, detail, _) = settle(forbidden, "web");
    assert_eq!((class, detail), (Class::Prohibited, icmp(3, 13, "10.77.1.1")));

    let (class, detail, ran) = settle(&format!("{silent}{good}"), "web");
    assert_eq!((class, detail), (Class::Open, found));
    assert_eq!(ran.one(Step::ServerUdp, 0).class, Class::DnsTimeout);
    assert_eq!(ran.one(Step::ServerUdp, 1).class, Class::Open);
    let (class, detail, _) = settle(&format!("{closed}{good}"), "web");
    assert_eq!((class, detail), (Class::Open, found));
}

#[test]
fn a_silent_name_server_before_a_good_one_costs_one_wait() {
    let Some(world) = World::new() else { return };
    servers::dns(&world, "10.77.2.2:53");
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let conf = resolv_conf(
        "nameserver 10.77.2.3\nnameserver 10.77.2.2\nsearch a.test b.test c.test other.test\noptions ndots:5\n",
    );
    let conf = conf.path().to_str().expect("a path");
    let ran = agent_as_it_is(&world, &["--resolv-conf", conf, "dns:web2", "dns:nosuch"]);
    let [found, missing] = [0, 1].map(|index| ran.one(Step::Name, index));
    assert_eq!(found.detail, Detail::Resolved { search: 4, addresses: 2 });
    assert_eq!(missing.class, Class::DnsNxdomain);
    for name in [found, missing] {
        assert!((1000..2000).contains(&name.millis), "{name:?}");
    }
}

#[test]
fn fifty_names_that_nobody_resolves_take_as_long_as_one() {
    let Some(world) = World::new() else { return };
    world.forward_rules("udp dport 53 drop\ntcp dport 53 drop");
    let conf = resolv_conf("nameserver 10.77.2.2\nsearch a.test b.test c.test\noptions ndots:5\n");
    let names: Vec<String> = (0..50).map(|number| format!("tcp:name{number}:80")).collect();
    let mut args = vec!["--resolv-conf", conf.path().to_str().expect("a path")];
    args.extend(names.iter().map(String::as_str));
    let ran = agent_as_it_is(&world, &args);
    let classes: Vec<Class> = ran.report.records().filter(|r| r.step == Step::Name).map(|r| r.class).collect();
    assert_eq!(classes, [Class::DnsTimeout; 50]);
    assert!((Duration::from_secs(6)..Duration::from_secs(8)).contains(&ran.took), "{:?}", ran.took);
}

#[test]
fn a_socket_that_finds_itself_is_no_server() {
    let Some(world) = World::new() else { return };
    // With one port to choose from, the kernel takes the very one that is dialled.
    let only = "echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range";
    assert!(world.command("c", "sh").args(["-c", only]).status().expect("to run sh").success());
    assert_eq!(agent(&world, &["tcp:10.77.1.2:40000"]).probes(), [(Class::Refused, Detail::None)]);
}

#[test]
fn it_reaches_itself() {
    let Some(world) = World::new() else { return };
    let ran = agent(&world, &["--listen"]);
    let own: Vec<_> = ran.report.records().map(|r| (r.step, r.class, r.address)).collect();
    let expected = ["10.77.1.2", "fd77:1::2"].map(|address| (Step::Control, Class::Open, address.parse().ok()));
    assert_eq!(own, expected);
    assert_eq!(ran.code, Some(0));
    let ran = agent(&world, &["--listen=10.77.1.99"]);
    assert_eq!((ran.one(Step::Control, 0).class, ran.code), (Class::Error, Some(1)));
}

#[test]
fn sctp() {
    let Some(world) = World::new() else { return };
    world.forward_rules("ip daddr 10.77.2.3 drop\nip daddr 10.77.2.4 reject with icmp type admin-prohibited");
    let ran = agent(&world, &["sctp:10.77.2.2:1", "sctp:10.77.2.3:1", "sctp:10.77.2.4:1", "sctp:[fd77:2::2]:1"]);
    let classes: Vec<Class> = ran.probes().into_iter().map(|(class, _)| class).collect();
    if classes[0] == Class::Unsupported {
        eprintln!("skipped in part: this kernel has no SCTP");
        assert_eq!(classes, [Class::Unsupported; 4]);
        return;
    }
    assert_eq!(classes, [Class::Refused, Class::Timeout, Class::Prohibited, Class::Refused]);
}

#[test]
fn fifty_black_holes_take_as_long_as_one() {
    let Some(world) = World::new() else { return };
    world.forward_rules("ip daddr 10.78.0.0/16 drop");
    world.ip("r", "route add 10.78.0.0/16 via 10.77.2.2");
    let targets: Vec<String> = (1..=50).map(|host| format!("tcp:10.78.0.{host}:80")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let ran = agent_as_it_is(&world, &targets);
    assert_eq!(ran.probes(), [(Class::Timeout, Detail::None); 50]);
    // Two tries of three seconds, and the pace: fifty starts, twenty milliseconds apart.
    assert!((Duration::from_secs(6)..Duration::from_millis(8500)).contains(&ran.took), "{:?}", ran.took);
}

#[test]
fn connections_are_paced() {
    let Some(world) = World::new() else { return };
    servers::tcp(&world, "10.77.2.2:80", servers::http);
    let targets = ["tcp:10.77.2.2:80"; 40];
    let ran = agent(&world, &[&["--pace", "25", "--burst", "5"], &targets[..]].concat());
    assert_eq!(ran.code, Some(0));
    assert!(ran.took >= Duration::from_millis(25 * 35), "{:?}", ran.took);
    let ran = agent(&world, &[&["--pace", "0"], &targets[..]].concat());
    assert!(ran.took < Duration::from_millis(25 * 35), "{:?}", ran.took);
}

#[test]
fn counters_tell_what_was_sent_and_what_arrived() {
    let Some(world) = World::new() else { return };
    servers::tcp(&world, "10.77.2.2:80", servers::http);
    world.forward_rules("ip daddr 10.77.2.3 drop");
    let counter = |ran: &Ran, name: &str| ran.report.counters().find(|c| c.name == name).map_or(0, |c| c.delta);
    let ran = agent(&world, &["--counters", "--repeat", "7", "tcp:10.77.2.2:80"]);
    assert_eq!(ran.probes().len(), 7);
    assert_eq!(counter(&ran, "Tcp.ActiveOpens"), 7);
    assert!(counter(&ran, "eth0.rx_packets") >= 7);
    let ran = agent(&world, &["--counters", "--tries", "1", "--repeat", "3", "tcp:10.77.2.3:80"]);
    assert_eq!((counter(&ran, "Tcp.ActiveOpens"), counter(&ran, "Tcp.InSegs")), (3, 0));
}

#[test]
fn a_message_that_does_not_fit_says_how_much_is_missing() {
    let Some(world) = World::new() else { return };
    servers::tcp(&world, "10.77.2.2:80", servers::http);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("a path");
    let mut targets = vec!["tcp:10.77.2.2:80"; 30];
    targets.push("tcp:10.77.2.2:1");
    let output =
        world.command("c", AGENT).args(["--out", path, "--limit", "300", "--pace", "0"]).args(&targets).output();
    let output = output.expect("to run the agent");
    let all = probe_record::decode(&String::from_utf8_lossy(&output.stdout)).expect("records");
    assert_eq!((all.missing(), all.lines.len()), (0, 31));
    let text = std::fs::read_to_string(path).expect("the message");
    let some = probe_record::decode(&text).expect("records");
    assert!(text.len() <= 300);
    assert_eq!((some.batch, some.total), (all.batch, 31));
    assert_eq!(some.missing(), 31 - some.lines.len());
    assert_eq!(some.records().next().map(|record| record.index), Some(30), "the failure goes first");
}
