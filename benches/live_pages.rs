//! 150,000 pods of 14.4 KB, served in pages: how long the program takes to read them, how long a client that throws everything
//! away takes, and how much memory the program needs.
//!
//! Once by a server that has every page ready and does nothing but send, at the speed of memory; and once by one that encodes
//! each object as it is asked for, which an API server has to do too (slower).
//!
//! On a busy machine the processor time tells more than the clock: that of the program, that of server and thrower-away
//! together, and what the same server took for the program.
//!
//! `cargo bench --bench live_pages [PODS]`. Another program than the one just built can be named in `NETCHECK_BIN`.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

const PAGE: usize = 500;

fn main() {
    let pods = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(150_000_usize);
    for (encodes, what) in [(false, "sent"), (true, "encoded and sent")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Arc::new(Server::new(pods, encodes));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        measure(port, pods, what);
    }
}

fn measure(port: u16, pods: usize, what: &str) {
    for _ in 0..2 {
        let (start, spent) = (Instant::now(), processor("self"));
        let bytes = drain(port, pods);
        let sent = start.elapsed();
        println!(
            "{pods} pods, {} MiB: {what} in {sent:.2?} to a client that throws them away, {:.2} s of processor time for both",
            bytes >> 20,
            processor("self") - spent
        );
        let directory = std::env::temp_dir().join(format!("netcheck-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let config = directory.join("config");
        let text = format!(
            "current-context: a\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\ncontexts: [{{name: a, context: {{cluster: c}}}}]\n"
        );
        std::fs::write(&config, text).expect("a kubeconfig");
        let program = std::env::var("NETCHECK_BIN").ok().or(option_env!("CARGO_BIN_EXE_netcheck").map(str::to_owned));
        let program = program.expect("NETCHECK_BIN names the program");
        for args in [&["--full", "p-0", "10.0.0.1:80"][..], &["snapshot", "-A"][..]] {
            let (start, before) = (Instant::now(), processor("self"));
            let mut child = Command::new(&program)
                .env("KUBECONFIG", &config)
                .args(args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program runs");
            let (mut peak, mut own) = (0, 0.0);
            while child.try_wait().expect("it can be waited for").is_none() {
                peak = peak.max(memory(child.id()));
                own = f64::max(own, processor(&child.id().to_string()));
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            let took = start.elapsed();
            println!(
                "  netcheck {}: {took:.2?}, {:.2} times that, at most {peak} MiB; {own:.2} s of processor time, the server {:.2} s",
                args.join(" "),
                took.as_secs_f64() / sent.as_secs_f64(),
                processor("self") - before
            );
        }
        let _ = std::fs::remove_dir_all(&directory);
    }
}

/// Peak resident memory in MiB, where the system tells it.
fn memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) >> 10
}

/// Processor time of a process so far in seconds, where the system tells it: fields 14 and 15 of `/proc/PID/stat` (proc(5)),
/// in hundredths.
fn processor(id: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// A pod of 14.4 KB, before and after its number.
fn pod() -> (String, String) {
    let before = "{\"metadata\":{\"name\":\"p-".to_owned();
    let mut after = String::from(
        "\",\"namespace\":\"default\",\"labels\":{\"app\":\"web\"},\"annotations\":{\"a\":\"x\"},\"managedFields\":[",
    );
    while after.len() < 9_000 {
        after.push_str("{\"manager\":\"kubelet\",\"operation\":\"Update\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:status\":{\"f:conditions\":{}}}},");
    }
    after.push_str("{}]},\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"main\",\"image\":\"web:1\",\"ports\":[{\"containerPort\":80}],\"env\":[");
    while after.len() < 13_800 {
        after.push_str("{\"name\":\"SETTING\",\"value\":\"some value of a setting\"},");
    }
    after.push_str("{\"name\":\"DB\",\"value\":\"db:5432\"}]}]},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.1.2.3\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
    (before, after)
}

struct Server {
    pods: usize,
    before: String,
    after: String,
    /// The pod to encode, where it isn't sent as it is.
    pod: Option<serde_json::Value>,
}

impl Server {
    fn new(pods: usize, encodes: bool) -> Self {
        let (before, after) = pod();
        let pod = encodes.then(|| serde_json::from_str(&format!("{before}{after}")).expect("JSON"));
        Self { pods, before, after, pod }
    }

    fn serve(&self, stream: TcpStream) {
        // As servers do: a page's last bytes would wait for the client's acknowledgement otherwise, 40 ms each time.
        let _ = stream.set_nodelay(true);
        let Ok(clone) = stream.try_clone() else { return };
        let mut reader = BufReader::new(clone);
        let mut writer = BufWriter::with_capacity(1 << 18, stream);
        loop {
            let mut first = String::new();
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                return;
            }
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            if self.answer(&first, &mut writer).and_then(|()| writer.flush()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &str, out: &mut impl Write) -> std::io::Result<()> {
        let json = |out: &mut dyn Write, body: &str| {
            let length = body.len();
            write!(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        if request.contains("/apis ") {
            return json(
                out,
                "{\"kind\":\"APIGroupDiscoveryList\",\"items\":[{\"metadata\":{\"name\":\"apps\"},\"versions\":[]}]}",
            );
        }
        if !request.contains("/api/v1/pods") {
            return json(out, "{\"metadata\":{},\"items\":[]}");
        }
        let start =
            request.split("continue=").nth(1).and_then(|r| r.split([' ', '&']).next()?.parse().ok()).unwrap_or(0);
        let end = (start + PAGE).min(self.pods);
        let next = if end < self.pods { format!("\"continue\":\"{end}\"") } else { String::new() };
        let head = format!("{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{{{next}}},\"items\":[");
        if let Some(pod) = &self.pod {
            let mut pod = pod.clone();
            let mut body = head.into_bytes();
            for number in start..end {
                pod["metadata"]["name"] = format!("p-{number}").into();
                serde_json::to_writer(&mut body, &pod)?;
                body.push(if number + 1 < end { b',' } else { b']' });
            }
            body.push(b'}');
            return json(out, std::str::from_utf8(&body).expect("text"));
        }
        let numbers: usize = (start..end).map(|n| n.to_string().len()).sum();
        let count = end - start;
        let length = head.len() + count * (self.before.len() + self.after.len() + 1) + numbers + 1;
        write!(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{head}")?;
        for number in start..end {
            let comma = if number + 1 < end { "," } else { "]" };
            write!(out, "{}{number}{}{comma}", self.before, self.after)?;
        }
        out.write_all(b"}")
    }
}

/// Reads all pages and keeps nothing.
fn drain(port: u16, pods: usize) -> usize {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server is there");
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    let mut total = 0;
    for start in (0..pods).step_by(PAGE) {
        // In one piece, for the same reason.
        let request = format!("GET /api/v1/pods?limit=500&continue={start} HTTP/1.1\r\nHost: x\r\n\r\n");
        writer.write_all(request.as_bytes()).expect("it is sent");
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().expect("a number");
            }
        }
        total += std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).expect("a body") as usize;
    }
    total
}
