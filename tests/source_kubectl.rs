//! YAML is read as kubectl reads it: the same text through both. Skipped where there is no kubectl.

use std::io::Write;
use std::process::{Command, Stdio};

use netcheck::source::{Options, Origin, SourceId, load_text};
use serde_json::Value;

/// What kubectl makes of an object, without asking a cluster.
fn kubectl(text: &str) -> Option<Value> {
    let mut child = Command::new("kubectl")
        .args(["annotate", "--local", "-f", "-", "read=yes", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).ok()
}

fn ours(text: &str) -> Value {
    let input = load_text("test", text, &Options::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let origin = Origin { source: SourceId(0), document: 0, item: None };
    input.sources.value(origin).expect("the document is there")
}

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";

fn installed() -> bool {
    let found = Command::new("kubectl").args(["version", "--client"]).output().is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("skipped: no kubectl");
    }
    found
}

/// The line of a key.
fn line<'t>(text: &'t str, key: &str) -> &'t str {
    text.lines().find(|line| line.trim_start().starts_with(&format!("{key}:"))).unwrap_or(text)
}

#[track_caller]
fn same(text: &str) {
    let (theirs, ours) = (kubectl(text).expect("kubectl answers"), ours(text));
    let (Value::Object(theirs), Value::Object(ours)) = (&theirs["data"], &ours["data"]) else {
        panic!("no data: {theirs} {ours}");
    };
    for (key, value) in theirs {
        assert_eq!(ours.get(key), Some(value), "`{}`", line(text, key));
    }
    assert_eq!(theirs.len(), ours.len(), "{ours:?}");
}

#[test]
fn scalars() {
    if !installed() {
        return;
    }
    let words = [
        "y",
        "Y",
        "yes",
        "Yes",
        "YES",
        "yEs",
        "n",
        "N",
        "no",
        "on",
        "On",
        "ON",
        "off",
        "OFF",
        "true",
        "True",
        "tRUE",
        "false",
        "null",
        "Null",
        "nULL",
        "~",
        "",
        "0777",
        "0o17",
        "0O17",
        "0x1F",
        "0X1f",
        "0b11",
        "0B11",
        "0b12",
        "-0b11",
        "-0x10",
        "+5",
        "+0x1f",
        "1_000",
        "1__0",
        "_1",
        "0_7",
        "1e3",
        "1E-3",
        "1.",
        "1.0",
        "01.5",
        ".5",
        "-.5",
        "+.5",
        "..5",
        ".",
        "--",
        "1e",
        "1e400",
        "089",
        "08",
        "00",
        "0",
        "-0",
        "+0",
        "0o8",
        "0x",
        "1:30",
        "190:20:30",
        "0x1p4",
        "2001-12-14",
        "2001-1-1",
        "2001-13-45",
        "2001-12-14t21:59:43.10-05:00",
        "10.0.0.0/8",
        "1.2.3",
        "12h",
        "fd00::1",
        "9223372036854775807",
        "-9223372036854775808",
        "123456789012345678",
        "0.1",
        "1.10",
        "1_0.5",
        "=",
        "<<",
        "a#b",
        "a:b",
        "!!str on",
        "!!str 12",
        "!!int \"5\"",
        "!!float 3",
        "!!bool yes",
        "!foo 12",
        "! 12",
        "'on'",
        "\"on\"",
        "|\n    on\n",
        ">-\n    on\n    off\n",
    ];
    let mut text = format!("{HEAD}data:\n");
    for (number, word) in words.iter().enumerate() {
        text += &format!("  k{number}: {word}\n");
    }
    // Plain scalars put together from what numbers are made of.
    let alphabet: Vec<char> = "0123456789abefoxXyYnN._+-eE:".chars().collect();
    let mut state = 42_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("small") % bound
    };
    for number in 0..3000 {
        let word: String = (0..=next(6)).map(|_| alphabet[next(alphabet.len())]).collect();
        if !word.ends_with(':') && word != "-" && word != "..." {
            text += &format!("  r{number}: {word}\n");
        }
    }
    same(&text);
}

#[test]
fn keys_anchors_and_merges() {
    if !installed() {
        return;
    }
    for data in [
        "data: {on: 1, 0x10: 2, 1.5: 3, 1e3: 4, '<<': 5, 'off': 6, !!str yes: 7}",
        "a: &a {k: base, z: 1}\ndata:\n  <<: *a\n  k: own",
        "a: &a {k: base, z: 1}\ndata:\n  k: own\n  <<: *a",
        "a: &a {k: one}\nb: &b {k: two, l: 3}\ndata:\n  k: zero\n  <<: [*a, *b]\n  m: 1",
        "a: &a on\ndata: {x: *a, *a : y2}",
        "data:\n  ? a\n  : b\n  c:\n  - x\n  d: |+\n    keep\n\n",
        "data: {a, b: , \"c\": 'it''s', d: \"\\x41\\u00e9\\n\"}",
    ] {
        same(&format!("{HEAD}{data}\n"));
        same(&format!("\u{feff}{HEAD}{data}\n").replace('\n', "\r\n"));
    }
}
