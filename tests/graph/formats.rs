//! What the command prints.

use std::process::{Command, Stdio};

use super::common::tools::validate_json;

fn graph(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_netcheck"))
        .arg("graph")
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("NETCHECK_CNI")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn shop(args: &[&str]) -> String {
    let (code, out, err) = graph(&[&["-f", "examples/shop"], args].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    out
}

#[test]
fn a_table_of_pairs() {
    insta::assert_snapshot!(shop(&[]));
}

#[test]
fn wide_names_the_rules() {
    insta::assert_snapshot!(shop(&["-o", "wide", "-n", "shop", "--to", "database", "--port", "5432"]));
}

#[test]
fn csv_is_for_spreadsheets() {
    insta::assert_snapshot!(shop(&["-o", "csv"]));
}

#[test]
fn json_is_the_interface() {
    let text = shop(&["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["apiVersion"], &json["kind"]), (&"netcheck/v1alpha1".into(), &"GraphReport".into()));
    insta::assert_snapshot!(shop(&["-o", "json", "--from", "checkout"]));
}

#[test]
fn the_committed_schema_is_the_programs() {
    for (name, file) in [("graph", "docs/schema/graph-report.json"), ("graph-answer", "docs/schema/graph-answer.json")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_netcheck")).args(["schema", name]).output().unwrap();
        let committed = std::fs::read_to_string(file).unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, committed, "{file} is stale: netcheck schema {name} > it");
    }
}

/// What is written is what the schemas say, and what other programs read.
#[test]
fn documents_fit_their_schemas() {
    let schema = std::fs::read_to_string("docs/schema/graph-report.json").unwrap();
    for file in ["examples/shop", "fixtures/exposure/shop.yaml", "fixtures/exposure/services.yaml"] {
        let (_, json, _) = graph(&["-f", file, "-o", "json"]);
        validate_json(&json, &schema);
        let (_, dot, _) = graph(&["-f", file, "-o", "dot"]);
        validate("dot", &["-Tcanon"], &dot);
        let (_, svg, _) = graph(&["-f", file, "-o", "svg"]);
        validate("xmllint", &["--noout", "-"], &svg);
        let (_, csv, _) = graph(&["-f", file, "-o", "csv"]);
        validate(
            "python3",
            &[
                "-c",
                "import csv, sys; rows = list(csv.reader(sys.stdin)); assert len(rows) > 1 and all(len(r) == 7 for r in rows)",
            ],
            &csv,
        );
    }
    let schema = std::fs::read_to_string("docs/schema/graph-answer.json").unwrap();
    for question in [
        &["--reachable-from", "frontend"][..],
        &["--path", "frontend", "database"],
        &["--components"],
        &["--cuts", "3"],
    ] {
        validate_json(&shop(&[question, &["-o", "json"]].concat()), &schema);
    }
}

/// Runs another program on a text, where it is installed.
fn validate(program: &str, args: &[&str], text: &str) {
    let spawned =
        Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        eprintln!("skipped: no {program}");
        return;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_does_not_exist_is_an_error() {
    for args in [["--from", "nobody"], ["--to", "nobody"], ["--port", "0"], ["--port", "80/icmp"], ["-n", "nowhere"]] {
        let (code, out, err) = graph(&[&["-f", "examples/shop"], args.as_slice()].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.starts_with("error: "), "{args:?}: {err}");
    }
}

#[test]
fn pictures_of_the_shop() {
    insta::assert_snapshot!("dot", shop(&["-o", "dot"]));
    insta::assert_snapshot!("mermaid", shop(&["-o", "mermaid"]));
    insta::assert_snapshot!("svg", shop(&["-o", "svg"]));
}

/// Names that would mean something to a format, a shell, a terminal or a browser.
const HOSTILE: [&str; 6] = [
    "</script><script>alert(1)</script>",
    "a\"];n9->n1[x=\"",
    "=HYPERLINK(\"x\")",
    "x\u{1b}[2J",
    "a\u{202e}b]|\"&lt;",
    "--><svg onload=x>",
];

fn hostile() -> tempfile::NamedTempFile {
    let mut items: Vec<serde_json::Value> = Vec::new();
    for (index, name) in HOSTILE.iter().enumerate() {
        items.push(serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": format!("p{index}"), "namespace": "evil",
            "ownerReferences": [{"apiVersion": "x/v1", "kind": name, "name": name, "uid": "u", "controller": true}],
        }}));
    }
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(file.path(), list.to_string()).unwrap();
    file
}

fn of_hostile(format: &str) -> String {
    let file = hostile();
    let (code, out, err) = graph(&["-f", file.path().to_str().unwrap(), "-n", "evil", "-o", format]);
    assert_eq!(code, 0, "{format}: {err}");
    out
}

#[test]
fn names_of_the_input_are_only_text() {
    for format in ["table", "wide", "csv", "dot", "mermaid", "svg", "html"] {
        let text = of_hostile(format);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{format} holds raw control characters");
    }
    let page = of_hostile("html");
    assert_eq!(page.matches("<script").count(), 2, "the page's own data and its script");
    assert_eq!(page.matches("</script>").count(), 2);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert!(data["ends"].as_array().unwrap().iter().any(|e| e["name"] == HOSTILE[0]), "the name is kept as it is");
    let svg = of_hostile("svg");
    assert!(!svg.contains("<script") && !svg.contains("<svg onload") && svg.contains("&lt;/script&gt;"));
    let mermaid = of_hostile("mermaid");
    let line = mermaid.lines().find(|l| l.contains("HYPERLINK")).unwrap();
    assert_eq!(line.matches('"').count(), 2, "{line}");
    for line in of_hostile("csv").lines() {
        assert!(!line.starts_with('='), "{line}");
    }
}

#[test]
fn graphviz_takes_the_dot() {
    use std::io::Write;
    for text in [shop(&["-o", "dot"]), of_hostile("dot")] {
        let Ok(mut child) = Command::new("dot").arg("-Tplain").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        else {
            eprintln!("skipped: there is no `dot` here");
            return;
        };
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let plain = String::from_utf8(output.stdout).unwrap();
        let edges = text.lines().filter(|l| l.contains(" -> n") && l.trim_start().starts_with('n')).count();
        assert_eq!(plain.lines().filter(|l| l.starts_with("edge ")).count(), edges, "{text}\n{plain}");
    }
}

#[test]
fn the_page_fetches_nothing_and_runs_nothing_else() {
    let page = shop(&["-o", "html"]);
    assert!(page.contains("default-src &#39;none&#39;; style-src &#39;sha256-") && !page.contains("unsafe-inline"));
    for word in
        ["http:", "https:", " src=", "innerHTML", "insertAdjacent", "document.write", "eval(", "fetch(", "onclick="]
    {
        assert!(!page.contains(word), "the page holds `{word}`");
    }
}

/// The page in a browser: its script runs under its own policy, and a link opens an edge with its rules.
#[test]
fn a_browser_shows_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("page.html");
    std::fs::write(&file, shop(&["-o", "html"])).unwrap();
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|b| Command::new(b).arg("--version").output().is_ok());
    let Some(browser) = browser else {
        eprintln!("skipped: there is no Chromium here");
        return;
    };
    let dump = |hash: &str, file: &std::path::Path| {
        let output = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .arg(format!("file://{}#{hash}", file.display()))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let edge = dump("edge=shop/checkout>shop/database", &file);
    assert!(edge.contains("data-ready=\"yes\""), "the script didn't run to its end");
    assert!(
        edge.contains("<p class=\"ports\">TCP 5432</p>") && edge.contains("examples/shop/policies.yaml:108"),
        "{edge}"
    );
    let matrix = dump("matrix", &file);
    assert!(matrix.contains("id=\"tab-matrix\" aria-selected=\"true\""));
    let evil = dir.path().join("evil.html");
    std::fs::write(&evil, of_hostile("html")).unwrap();
    let dom = dump(&format!("end=evil/{}", "--><svg onload=x>"), &evil);
    assert!(dom.contains("data-ready=\"yes\"") && !dom.contains("<svg"), "a name became an element");
}

#[test]
fn questions_of_more_than_one_step() {
    insta::assert_snapshot!(
        [
            shop(&["--reachable-from", "frontend", "--hops", "2"]),
            shop(&["--path", "frontend", "database"]),
            shop(&["--path", "database", "frontend"]),
            shop(&["--components"]),
            shop(&["--cuts", "3"]),
            shop(&["--reachable-from", "checkout", "--hops", "1", "-o", "json"]),
        ]
        .join("\n")
    );
    assert_eq!(graph(&["-f", "examples/shop", "--components", "-o", "svg"]).0, 2);
    assert_eq!(graph(&["-f", "examples/shop", "--components", "--cuts", "3"]).0, 2);
}
