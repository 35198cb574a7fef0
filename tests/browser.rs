//! The page of `graph -o html` in a real browser, where this machine has one with a driver (`chromium`, `chromedriver`).
//!
//! What is looked at is what a user gets: that it is drawn, that keys work, that nothing is fetched and nothing fails.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).flat_map(|dir| names.iter().map(move |n| dir.join(n))).find(|p| p.is_file())
}

/// A browser that a driver steers by the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>).
struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.send("DELETE", &format!("/session/{}", self.session), None);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// None where there is none on this machine, which is said.
    fn start() -> Option<Self> {
        let found = program(&["chromedriver"]).zip(program(&[
            "chromium",
            "chromium-browser",
            "google-chrome",
            "google-chrome-stable",
        ]));
        let Some((driver, browser)) = found else {
            eprintln!("no chromium with chromedriver on this machine: the page isn't tried in a browser");
            return None;
        };
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut out = Self { driver, port, session: String::new(), _profile: profile };
        let until = Instant::now() + Duration::from_secs(60);
        while out.send("GET", "/status", None).is_none_or(|v| v["value"]["ready"] != true) {
            assert!(Instant::now() < until, "the driver doesn't start");
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut args: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1400,860",
        ]
        .map(str::to_owned)
        .to_vec();
        args.push(format!("--user-data-dir={}", out._profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": browser, "args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = out.send("POST", "/session", Some(&wanted)).unwrap();
        answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}")).clone_into(&mut out.session);
        Some(out)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(120))).ok()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .ok()?;
        let mut answer = Vec::new();
        let mut part = [0; 8192];
        // The driver keeps the connection open: the length says where the answer ends.
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, rest)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|l| {
                    let (key, value) = l.split_once(':')?;
                    key.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                if length.is_some_and(|l| rest.len() >= l) {
                    return serde_json::from_str(rest).ok();
                }
            }
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return None,
                Ok(n) => answer.extend_from_slice(&part[..n]),
            }
        }
    }

    fn ask(&self, method: &str, what: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{what}", self.session);
        let answer = self.send(method, &path, (method == "POST").then_some(body)).unwrap_or_else(|| panic!("{what}"));
        assert!(answer["value"].get("error").is_none(), "{what}: {}", answer["value"]);
        answer["value"].clone()
    }

    fn open(&self, page: &std::path::Path, hash: &str) {
        self.ask("POST", "url", &json!({"url": "about:blank"}));
        self.ask("POST", "url", &json!({"url": format!("file://{}#{hash}", page.display())}));
        let until = Instant::now() + Duration::from_secs(60);
        while self.run("return document.documentElement.dataset.ready || ''") != "yes" {
            assert!(Instant::now() < until, "the page doesn't get ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn run(&self, script: &str) -> Value {
        self.ask("POST", "execute/sync", &json!({"script": script, "args": []}))
    }

    fn text(&self, script: &str) -> String {
        self.run(script).as_str().unwrap_or_default().to_owned()
    }

    /// Keys, one after the other, as a keyboard sends them.
    fn keys(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|k| [json!({"type": "keyDown", "value": k}), json!({"type": "keyUp", "value": k})])
            .collect();
        self.ask("POST", "actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    fn heading(&self) -> String {
        self.text("return document.querySelector('#panel h3').textContent")
    }

    /// Pixels of the canvas that differ from its corner, once a frame was drawn.
    fn painted(&self) -> u64 {
        self.ask(
            "POST",
            "execute/async",
            &json!({"script": "
                const done = arguments[0];
                requestAnimationFrame(() => requestAnimationFrame(() => {
                    const c = document.getElementById('canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
                    let n = 0;
                    for (let i = 0; i < d.length; i += 4) if (d[i] !== d[0] || d[i + 1] !== d[1] || d[i + 2] !== d[2]) n++;
                    done(n);
                }))", "args": []}),
        )
        .as_u64()
        .unwrap()
    }

    /// Nothing was fetched, and nothing failed.
    fn is_quiet(&self) {
        assert_eq!(self.run("return performance.getEntriesByType('resource').map(e => e.name)"), json!([]));
        let log = self.ask("POST", "se/log", &json!({"type": "browser"}));
        // What reading the picture back costs is the test's own affair.
        let said: Vec<&Value> = log
            .as_array()
            .unwrap()
            .iter()
            .filter(|l| !l["message"].as_str().unwrap_or_default().contains("getImageData"))
            .collect();
        assert!(said.is_empty(), "the page said something: {said:?}");
    }
}

fn page(args: &[&str], into: &std::path::Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_netcheck"))
        .args(["graph", "-o", "html"])
        .args(args)
        .env_remove("NETCHECK_CNI")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(into, output.stdout).unwrap();
}

const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';
const DOWN: char = '\u{e015}';
const RIGHT: char = '\u{e014}';

#[test]
fn a_page_is_explored_by_keyboard_in_both_themes() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    page(&["-f", "fixtures/exposure/shop.yaml"], &file);
    browser.open(&file, "");
    assert!(browser.painted() > 5_000, "a graph is drawn");
    browser.run("document.getElementById('canvas').focus()");
    // Step through workloads, search for one, let go.
    browser.keys("n");
    let first = browser.heading();
    browser.keys("n");
    assert_ne!(browser.heading(), first);
    browser.keys(&format!("/shop/web{ENTER}"));
    assert_eq!(browser.heading(), "shop/web");
    let panel = browser.text("return document.getElementById('panel').textContent");
    for part in ["Exposed to", "internet", "pods with app=mobile in namespaces with team=shop", "Reached by"] {
        assert!(panel.contains(part), "{part}: {panel}");
    }
    browser.keys(&ESCAPE.to_string());
    assert_eq!(browser.heading(), "Who can reach whom");
    // The matrix: the cursor moves, namespaces fold.
    browser.keys("m");
    assert_eq!(browser.text("return document.getElementById('tab-matrix').getAttribute('aria-selected')"), "true");
    assert!(browser.painted() > 2_000, "a matrix is drawn");
    browser.keys(&format!("{DOWN}{RIGHT}"));
    browser.keys("f");
    assert!(browser.text("return document.getElementById('live').textContent").contains("folded"));
    let folded = browser.painted();
    browser.keys("f");
    assert_ne!(browser.painted(), folded, "folding changes the picture");
    browser.keys("g");
    // Themes.
    let ground = || browser.text("return getComputedStyle(document.body).backgroundColor");
    let before = ground();
    browser.keys("t");
    assert_ne!(ground(), before);
    assert!(browser.painted() > 5_000, "the graph is drawn in the other theme too");
    browser.keys("t");
    assert_eq!(ground(), before);
    // What is exposed, by the mouse.
    browser.keys(&ESCAPE.to_string());
    browser.run(
        "[...document.querySelectorAll('#panel .rows button')].find(b => b.textContent.includes('mobile')).click()",
    );
    assert_eq!(browser.heading(), "Exposed to pods with app=mobile in namespaces with team=shop");
    assert!(browser.text("return document.querySelector('#panel pre').textContent").contains("app: mobile"));
    browser.is_quiet();
}

#[test]
fn two_thousand_workloads_are_drawn() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut items = Vec::new();
    for n in 0..2_000 {
        let (namespace, app) = (format!("ns-{:02}", n % 40), format!("app-{n:04}"));
        items.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}}}));
        // Each lets in the next of its namespace.
        items.push(json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": app, "namespace": namespace},
            "spec": {"podSelector": {"matchLabels": {"app": app}}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": format!("app-{:04}", (n + 40) % 2_000)}}}]}]}}));
    }
    let (manifests, file) = (folder.path().join("all.json"), folder.path().join("page.html"));
    std::fs::write(&manifests, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
    page(&["-f", manifests.to_str().unwrap()], &file);
    browser.open(&file, "");
    assert!(browser.painted() > 20_000);
    browser.run("document.getElementById('canvas').focus()");
    browser.keys(&format!("/app-1234{ENTER}"));
    assert_eq!(browser.heading(), "ns-34/app-1234");
    let panel = browser.text("return document.getElementById('panel').textContent");
    assert!(panel.contains("ns-34/app-1274"), "who it lets in: {panel}");
    browser.keys(&ESCAPE.to_string());
    browser.keys("m");
    assert!(browser.painted() > 20_000);
    browser.is_quiet();
}
