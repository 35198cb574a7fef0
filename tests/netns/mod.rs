//! A small network of the test's own: a client, a router and a server, each a network namespace, with `ip` and `nft`.
//!
//! ```text
//! client 10.77.1.2, fd77:1::2 -- router 10.77.1.1, fd77:1::1 | 10.77.2.1, fd77:2::1 -- server 10.77.2.2, fd77:2::2
//! ```
//!
//! Nothing leaves these namespaces, and they are removed with the value. Needs root and Debian's packages iproute2 and
//! nftables.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};

pub mod servers;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The three namespaces.
pub struct World {
    prefix: String,
}

impl World {
    /// Builds it; `None`, and a word about it on standard error, where that can't be done.
    pub fn new() -> Option<World> {
        let prefix = format!("nc{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let world = World { prefix };
        match world.build() {
            Ok(()) => Some(world),
            Err(why) => {
                eprintln!("skipped: no network namespaces here: {why}");
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        let [client, router, server] = ["c", "r", "s"].map(|end| self.name(end));
        run("nft", &["--version"], "")?;
        for name in [&client, &router, &server] {
            run("ip", &["netns", "add", name], "")?;
            // Addresses are usable at once, without looking for duplicates first.
            let dad = "cd /proc/sys/net/ipv6/conf && echo 0 > default/accept_dad && echo 0 > default/dad_transmits";
            run("ip", &["netns", "exec", name, "sh", "-c", dad], "")?;
        }
        let ip = |ns: &str, line: &str| {
            let words: Vec<&str> = ["-n", ns].into_iter().chain(line.split(' ')).collect();
            run("ip", &words, "")
        };
        for ns in [&client, &router, &server] {
            ip(ns, "link set lo up")?;
        }
        ip(&client, &format!("link add eth0 type veth peer name left netns {router}"))?;
        ip(&server, &format!("link add eth0 type veth peer name right netns {router}"))?;
        for (ns, device, net, host) in
            [(&client, "eth0", 1, 2), (&router, "left", 1, 1), (&router, "right", 2, 1), (&server, "eth0", 2, 2)]
        {
            ip(ns, &format!("addr add 10.77.{net}.{host}/24 dev {device}"))?;
            ip(ns, &format!("-6 addr add fd77:{net}::{host}/64 dev {device} nodad"))?;
            ip(ns, &format!("link set {device} up"))?;
        }
        for (ns, net) in [(&client, 1), (&server, 2)] {
            ip(ns, &format!("route add default via 10.77.{net}.1"))?;
            ip(ns, &format!("-6 route add default via fd77:{net}::1"))?;
        }
        let settings = "cd /proc/sys/net && echo 1 > ipv4/ip_forward && echo 1 > ipv6/conf/all/forwarding \
                        && echo 0 > ipv4/icmp_ratelimit && echo 0 > ipv6/icmp/ratelimit";
        run("ip", &["netns", "exec", &router, "sh", "-c", settings], "")?;
        Ok(())
    }

    fn name(&self, end: &str) -> String {
        format!("{}{end}", self.prefix)
    }

    /// Gives an end (`c`, `r`, `s`) another address or route: `ip -n END LINE`.
    pub fn ip(&self, end: &str, line: &str) {
        let name = self.name(end);
        let words: Vec<&str> = ["-n", &name].into_iter().chain(line.split(' ')).collect();
        run("ip", &words, "").expect(line);
    }

    /// Adds rules to what the router forwards.
    pub fn forward_rules(&self, rules: &str) {
        self.rules("r", "forward", rules);
    }

    /// Adds rules to one of an end's chains.
    pub fn rules(&self, end: &str, hook: &str, rules: &str) {
        let table = format!("table inet {hook} {{ chain c {{ type filter hook {hook} priority 0;\n{rules}\n}}\n}}\n");
        run("ip", &["netns", "exec", &self.name(end), "nft", "-f", "-"], &table).expect(rules);
    }

    /// Translates addresses of what an end sends, as kube-proxy does on a node.
    pub fn translate(&self, end: &str, rules: &str) {
        let table = format!("table ip nat {{ chain c {{ type nat hook output priority -100;\n{rules}\n}}\n}}\n");
        run("ip", &["netns", "exec", &self.name(end), "nft", "-f", "-"], &table).expect(rules);
    }

    /// The same for IPv6.
    pub fn translate_v6(&self, end: &str, rules: &str) {
        let table = format!("table ip6 nat {{ chain c {{ type nat hook output priority -100;\n{rules}\n}}\n}}\n");
        run("ip", &["netns", "exec", &self.name(end), "nft", "-f", "-"], &table).expect(rules);
    }

    /// A command that runs at an end.
    pub fn command(&self, end: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(end), program]);
        command
    }

    /// Does something inside an end, on a thread of its own.
    pub fn inside<T: Send + 'static>(&self, end: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.name(end))).expect("the namespace");
        let thread = thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).expect("to enter the namespace");
            work()
        });
        thread.join().expect("the work inside")
    }
}

impl World {
    /// Takes the names away; what still runs inside keeps a namespace until it ends.
    pub fn remove(&self) {
        for end in ["c", "r", "s"] {
            let _ = run("ip", &["netns", "del", &self.name(end)], "");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.remove();
    }
}

fn run(program: &str, args: &[&str], input: &str) -> Result<Output, String> {
    let what = || format!("{program} {}", args.join(" "));
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", what()))?;
    if let Some(stdin) = &mut child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("{}: {error}", what()))?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(format!("{}: {}", what(), String::from_utf8_lossy(&output.stderr).trim()))
    }
}
