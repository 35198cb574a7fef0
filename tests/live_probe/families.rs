//! IPv6, UDP and SCTP through every way into a pod's network.

use serde_json::{Value, json};

use crate::api_server::{ApiServer, Called};
use crate::netns::servers;
use crate::world::*;

/// The cluster with both families.
fn dual() -> Vec<Value> {
    let mut objects = cluster();
    for (index, v6) in [(1, "fd77:1::2"), (2, "fd77:2::2"), (3, "fd77:2::3")] {
        let v4 = objects[index]["status"]["podIP"].clone();
        objects[index]["status"]["podIPs"] = json!([{"ip": v4}, {"ip": v6}]);
    }
    objects[4]["spec"]["clusterIPs"] = json!(["10.96.0.1", "fd96::1"]);
    objects[4]["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
    let mut slice = objects[5].clone();
    slice["metadata"]["name"] = "web-2".into();
    slice["addressType"] = "IPv6".into();
    slice["endpoints"][0]["addresses"] = json!(["fd77:2::2"]);
    objects.push(slice);
    objects
}

fn dual_world() -> Option<Owned> {
    let world = world()?;
    world.ip("s", "-6 addr add fd77:2::3/64 dev eth0 nodad");
    servers::tcp(&world, "[fd77:2::2]:8080", servers::http);
    world.translate_v6("c", "ip6 daddr fd96::1 tcp dport 80 dnat to [fd77:2::2]:8080");
    world.forward_rules("ip daddr 10.77.2.3 drop\nip6 daddr fd77:2::3 drop");
    Some(world)
}

/// A server whose kubelet runs what is added and whose containers have all programs of this machine.
fn server(world: &Owned) -> ApiServer {
    let network = world.0.clone();
    let shell = move |called: &Called<'_>| {
        let mut command = network.command("c", &called.words[0]);
        command.args(&called.words[1..]);
        command
    };
    ApiServer::start(dual()).with_kubelet(kubelet(world)).with_shell(shell)
}

const WAYS: [&str; 3] = ["exec", "ephemeral", "copy"];

#[test]
fn both_families_are_tried_by_every_way() {
    let Some(world) = dual_world() else { return };
    for way in WAYS {
        let server = server(&world);
        let via = format!("--via={way}");
        let (check, code) = report(&server, &["frontend", "web:80", "--no-dns", "--live", "--yes", &via]);
        let live = &check["live"];
        let targets: Vec<&str> =
            live["probes"].as_array().expect("probes").iter().filter_map(|p| p["target"].as_str()).collect();
        assert_eq!(
            targets,
            [
                "tcp:10.96.0.1:80",
                "tcp:[fd96::1]:80",
                "tcp:10.77.2.2:8080",
                "tcp:[fd77:2::2]:8080",
                "tcp:10.77.2.3:8080"
            ],
            "{way}"
        );
        assert_eq!(
            classes(live),
            rows(&[
                ("service", "open", "agrees"),
                ("service", "open", "agrees"),
                ("endpoint", "open", "agrees"),
                ("endpoint", "open", "agrees"),
                ("must-fail", "timeout", "agrees")
            ]),
            "{way}: {live:#}"
        );
        assert_eq!((&live["verdict"], code), (&json!("reachable"), Some(0)), "{way}");
        assert_eq!(made(&server), Vec::<String>::new());
    }
}

#[test]
fn a_family_that_does_not_work_makes_it_partial() {
    let Some(world) = dual_world() else { return };
    world.rules("s", "input", "ip6 daddr fd77:2::2 tcp dport 8080 reject with icmpv6 type admin-prohibited");
    for way in WAYS {
        let server = server(&world);
        let (check, code) = report(&server, &["frontend", "pod/web:8080", "--live", "--yes", &format!("--via={way}")]);
        let classes = classes(&check["live"]);
        let expected = rows(&[("endpoint", "open", "agrees"), ("endpoint", "prohibited", "disagrees")]);
        assert_eq!(classes[..2], expected, "{way}: {check:#}");
        assert_eq!((&check["live"]["verdict"], code), (&json!("partial"), Some(3)), "{way}");
    }
}

#[test]
fn datagrams_by_every_way() {
    let Some(world) = dual_world() else { return };
    servers::udp(&world, "10.77.2.2:9001", |_| Some(b"here".to_vec()));
    servers::udp(&world, "[fd77:2::2]:9001", |_| Some(b"here".to_vec()));
    servers::udp(&world, "10.77.2.2:9002", |_| None);
    for way in WAYS {
        let server = server(&world);
        let via = format!("--via={way}");
        for (target, expected, verdict) in [
            // The name server's own port: a question is sent.
            ("10.77.2.2:53/udp", vec!["open"], "reachable"),
            ("pod/web:9001/udp", vec!["open", "open"], "reachable"),
            ("10.77.2.2:9002/udp", vec!["open-or-filtered"], "unknown"),
            ("10.77.2.2:9003/udp", vec!["refused-icmp"], "unreachable"),
        ] {
            let (check, _) = report(&server, &["frontend", target, "--live", "--yes", &via]);
            let got: Vec<String> = classes(&check["live"])
                .into_iter()
                .filter(|(role, ..)| role == "endpoint")
                .map(|(_, class, _)| class)
                .collect();
            assert_eq!(got, expected, "{way} {target}: {check:#}");
            assert_eq!(check["live"]["verdict"], verdict, "{way} {target}: {check:#}");
        }
    }
}

#[test]
fn associations_by_every_way() {
    let Some(world) = dual_world() else { return };
    for way in WAYS {
        let server = server(&world);
        let (check, code) =
            report(&server, &["frontend", "pod/web:9009/sctp", "--live", "--yes", &format!("--via={way}")]);
        let got = classes(&check["live"]);
        let [first, second, ..] = got.as_slice() else { panic!("two endpoints: {check:#}") };
        if first.1 == "unsupported" {
            eprintln!("skipped in part: this kernel has no SCTP");
            assert_eq!((second.1.as_str(), code), ("unsupported", Some(3)), "{way}");
            let meanings = check["live"]["meanings"].to_string();
            assert!(meanings.contains("does not know the protocol"), "{way}: {meanings}");
        } else {
            assert_eq!((first.1.as_str(), second.1.as_str()), ("refused", "refused"), "{way}: {check:#}");
        }
    }
}
