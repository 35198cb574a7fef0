//! Lists in pages, byte by byte: what is asked for while a page is still on its way, and what is made of one that breaks off.

mod api_server;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use api_server::program;
use serde_json::{Value, json};

const PAGES: usize = 3;

/// What a server that sends three pages of pods has seen.
#[derive(Default)]
struct Seen {
    /// How often each page was asked for.
    asked: [usize; PAGES],
    /// Pages that were held back until the next was asked for, in vain.
    late: usize,
}

struct Server {
    seen: Mutex<Seen>,
    changed: Condvar,
    /// Whether the end of a page is held back until the next page was asked for.
    holds: bool,
    /// Whether the second page breaks off at first.
    breaks: bool,
}

impl Server {
    /// Starts it, and gives its port.
    fn start(holds: bool, breaks: bool) -> (Arc<Self>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Arc::new(Self { seen: Mutex::default(), changed: Condvar::new(), holds, breaks });
        let own = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = own.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        (server, port)
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let mut first = String::new();
            if reader.read_line(&mut first).ok()? == 0 {
                return None;
            }
            let mut line = String::new();
            while reader.read_line(&mut line).ok()? > 2 {
                line.clear();
            }
            if !first.contains("/api/v1/pods") {
                let body = if first.contains("/apis ") {
                    json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "apps"}, "versions": []}]})
                } else {
                    json!({"metadata": {}, "items": []})
                };
                send(&mut stream, &body.to_string(), usize::MAX)?;
                continue;
            }
            let page =
                first.split("continue=").nth(1).and_then(|r| r.split([' ', '&']).next()?.parse().ok()).unwrap_or(0);
            self.page(page, &mut stream)?;
        }
    }

    fn page(&self, page: usize, stream: &mut TcpStream) -> Option<()> {
        let mut seen = self.seen.lock().ok()?;
        seen.asked[page] += 1;
        let first = seen.asked[page] == 1;
        self.changed.notify_all();
        drop(seen);
        let items: Vec<Value> = (0..400).map(|n| pod(page, n)).collect();
        let next = if page + 1 < PAGES { (page + 1).to_string() } else { String::new() };
        let items = Value::from(items).to_string();
        let body =
            format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"continue":"{next}"}},"items":{items}}}"#);
        let half = body.len() / 2;
        let sent = send(stream, &body, half)?;
        if self.breaks && page == 1 && first {
            return None;
        }
        if self.holds && page + 1 < PAGES {
            let seen = self.seen.lock().ok()?;
            let wait = self.changed.wait_timeout_while(seen, Duration::from_secs(20), |seen| seen.asked[page + 1] == 0);
            let (mut seen, waited) = wait.ok()?;
            seen.late += usize::from(waited.timed_out());
        }
        stream.write_all(&body.as_bytes()[sent..]).ok()
    }
}

/// The head of an answer and so many bytes of its body.
fn send(stream: &mut TcpStream, body: &str, bytes: usize) -> Option<usize> {
    let length = body.len();
    let start = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(start.as_bytes()).ok()?;
    stream.write_all(&body.as_bytes()[..bytes.min(length)]).ok()?;
    Some(bytes.min(length))
}

/// A pod of about 1.4 KB.
fn pod(page: usize, number: usize) -> Value {
    json!({
        "metadata": {"name": format!("p-{page}-{number}"), "namespace": "default", "labels": {"app": "web"},
            "annotations": {"a": "x".repeat(1000)}},
        "spec": {"containers": [{"name": "main", "image": "web:1", "ports": [{"containerPort": 80}]}]},
        "status": {"phase": "Running", "podIP": format!("10.1.{page}.{}", number % 250)}
    })
}

/// Names of the pods in a snapshot of the server's cluster.
fn snapshot(port: u16) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("config");
    let text = format!(
        "current-context: a\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\ncontexts: [{{name: a, context: {{cluster: c}}}}]\n"
    );
    std::fs::write(&config, text).expect("it is written");
    let output = program().env("KUBECONFIG", &config).args(["snapshot", "-A"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let items = document["items"].as_array().expect("items");
    items.iter().filter_map(|item| Some(item["metadata"]["name"].as_str()?.to_owned())).collect()
}

fn all() -> Vec<String> {
    let mut names: Vec<String> = (0..PAGES).flat_map(|page| (0..400).map(move |n| format!("p-{page}-{n}"))).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_page_is_asked_for_while_the_one_before_is_on_its_way() {
    let (server, port) = Server::start(true, false);
    assert_eq!(snapshot(port), all());
    let seen = server.seen.lock().expect("the server lives");
    assert_eq!((seen.asked, seen.late), ([1; PAGES], 0));
}

/// Half of it was read; it comes again whole, and what was asked for ahead of it is not asked for twice.
#[test]
fn a_page_that_breaks_off_is_read_once_more() {
    let (server, port) = Server::start(false, true);
    assert_eq!(snapshot(port), all());
    assert_eq!(server.seen.lock().expect("the server lives").asked, [1, 2, 1]);
}
