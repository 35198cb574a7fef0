//! Input that means harm, or is merely broken, ends in an error with a place, never in a panic or without end.

use std::time::{Duration, Instant};

use netcheck::report::snippet::render;
use netcheck::source::{Input, Limits, LoadError, Loader, Options, load_paths, load_text};
use proptest::prelude::*;

fn load(text: &str) -> Result<Input, LoadError> {
    load_text("hostile", text, &Options::default())
}

/// The first message of what must be refused, and every diagnostic drawn.
fn refused(text: &str) -> (String, String) {
    let start = Instant::now();
    let error = load(text).expect_err("refused");
    let drawn = error.diagnostics.iter().map(|d| render(d, &error.sources, false, 100)).collect::<String>();
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    (error.diagnostics[0].message.clone(), drawn)
}

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";

#[test]
fn alias_bomb() {
    let mut text = format!("{HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let previous = level - 1;
        text += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{previous}"); 10].join(", "));
    }
    let (message, drawn) = refused(&text);
    assert_eq!(message, "the aliases of this document unfold to too much");
    assert!(drawn.contains("hostile:9:"), "{drawn}");
}

#[test]
fn alias_within_itself() {
    assert_eq!(refused(&format!("{HEAD}a: &a [*a]\n")).0, "an alias stands inside the node that it names");
}

#[test]
fn merge_of_a_merge() {
    let text = format!("{HEAD}a: &a {{k: 1}}\nb: &b {{<<: *a, l: 2}}\ndata: {{<<: [*a, *b], <<: *b}}\n");
    assert!(load(&text).is_ok());
    assert_eq!(
        refused(&format!("{HEAD}data: {{<<: 1}}\n")).0,
        "a merge key `<<` takes a mapping or a list of mappings"
    );
}

#[test]
fn depth() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let text = format!("{HEAD}data: {}{}\n", open.repeat(10_000), close.repeat(10_000));
        assert!(refused(&text).1.contains("hostile:4:"));
    }
    let mut text = HEAD.to_owned();
    for level in 0..10_000 {
        text += &format!("{}a:\n", " ".repeat(level));
    }
    refused(&text);
    let (message, _) = refused(&format!("{}{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)));
    assert!(message.contains("recursion limit") || message.contains("nested") || message.contains("Kind"), "{message}");
    let deep = format!(
        "{{\"apiVersion\": \"networking.k8s.io/v1\", \"kind\": \"NetworkPolicy\", \"spec\": {}1{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let (message, _) = refused(&deep);
    assert!(message.contains("recursion limit"), "{message}");
}

#[test]
fn limits_of_size() {
    let limits = Limits { yaml_bytes: 100, json_bytes: 200, documents: 3, nodes: 20, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let message = |text: &str| load_text("x", text, &options).expect_err("too large").diagnostics[0].message.clone();
    assert!(message(&format!("{HEAD}data: {{a: {}}}\n", "x".repeat(100))).contains("larger than"));
    assert!(message(&format!("{{\"a\": \"{}\"}}", "x".repeat(200))).contains("larger than"));
    assert!(message(&"a: b\n---\n".repeat(5)).contains("more than 3 documents"));
    assert!(message(&format!("a: [{}]", "1,".repeat(30))).contains("more than 20 values"));
}

#[test]
fn bytes_that_are_no_text() {
    let mut loader = Loader::new(Options::default());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("latin1.yaml");
    std::fs::write(&path, b"apiVersion: v1\nkind: Namespace\nmetadata: {name: caf\xe9}\n").expect("written");
    loader.path(&path);
    let error = loader.finish().expect_err("not UTF-8");
    assert!(error.diagnostics[0].message.contains("is not UTF-8 text: see line 3"), "{}", error.diagnostics[0].message);
    refused("apiVersion: v1\0\nkind: Namespace\n");
    refused(&format!("{HEAD}data: {{a: \"x\u{1}y\"}}\n"));
    refused("\u{feff}\u{feff}apiVersion: v1");
}

#[test]
fn a_huge_scalar_is_not_drawn_whole() {
    let text = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  labels: [{}]\n", "x".repeat(5_000_000));
    let (_, drawn) = refused(&text);
    assert!(drawn.len() < 3_000, "{}", drawn.len());
    let (_, drawn) = refused(&text.replace('\n', "\r\n"));
    assert!(!drawn.contains('\r'));
}

#[test]
fn terminal_escapes_are_shown_as_pictures() {
    let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec:\n  \"pod\\eSelector\\u202e\\x9b\": {}\n  'ta\tb宽': 1\n";
    let input = load(text).expect("only unknown fields");
    assert_eq!(input.warnings.len(), 2);
    for warning in &input.warnings {
        let drawn = render(warning, &input.sources, false, 100);
        assert!(drawn.chars().all(|c| c == '\n' || !c.is_control()), "{drawn:?}");
        assert!(!drawn.contains('\u{202e}'));
    }
    let colored = render(&input.warnings[0], &input.sources, true, 100);
    assert!(colored.contains("\u{1b}["), "color is ours to use");
    assert!(colored.contains("\u{241b}"));
}

/// A dump that is too large to be kept: the place is found by reading its item again.
#[test]
fn a_large_dump_is_read_again_for_its_places() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cluster.json");
    let filler = "x".repeat(1 << 14);
    let options = Options { limits: Limits { kept_json_bytes: 100_000, ..Limits::default() }, ..Options::default() };
    let mut text = "{\"apiVersion\": \"v1\", \"items\": [\n".to_owned();
    for number in 0..40 {
        text += &format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {{\"name\": \"c{number}\"}}, \"data\": {{\"a\": \"{filler}\"}}}},\n"
        );
    }
    text += "{\n  \"apiVersion\": \"networking.k8s.io/v1\",\n  \"kind\": \"NetworkPolicy\",\n  \"metadata\": {\"name\": \"p\"},\n";
    text += "  \"spec\": {\n    \"podSelecter\": {}\n  }\n}\n], \"kind\": \"List\"}\n";
    std::fs::write(&path, &text).expect("written");
    let input = load_paths(std::slice::from_ref(&path), &options).expect("loads");
    assert_eq!((input.objects.len(), input.skipped["ConfigMap"], input.warnings.len()), (1, 40, 1));
    assert_eq!(input.sources.text(input.objects[0].origin.source), None, "not kept");
    let drawn = render(&input.warnings[0], &input.sources, false, 100);
    assert!(drawn.contains("cluster.json:47:5") && drawn.contains("did you mean `podSelector`?"), "{drawn}");
    let value = input.sources.value(input.objects[0].origin).expect("read again");
    assert_eq!(value["metadata"]["name"], "p");

    // A minified one has no lines: its objects are drawn as YAML.
    let policy =
        text.split_once("c39").and_then(|(_, rest)| rest.split_once("}},\n")).map(|(_, rest)| rest).expect("cut");
    let minified =
        text.replace(policy, &policy.replace("{}", &format!("{{\"x\": \"{}\"}}", "y".repeat(500))).replace('\n', ""));
    std::fs::write(&path, minified).expect("written");
    let input = load_paths(&[path], &options).expect("loads");
    let drawn = render(&input.warnings[0], &input.sources, false, 100);
    assert!(
        drawn.contains("--> NetworkPolicy p (")
            && drawn.contains("cluster.json)\n")
            && drawn.contains("  podSelecter:"),
        "{drawn}"
    );

    let broken = &text[..text.len() - 30];
    let path = directory.path().join("broken.json");
    std::fs::write(&path, broken).expect("written");
    let error = load_paths(&[path], &options).expect_err("cut off");
    let drawn = render(&error.diagnostics[0], &error.sources, false, 100);
    assert!(drawn.contains("invalid JSON") && drawn.contains("broken.json:42:1"), "{drawn}");
}

#[test]
fn secrets_are_not_kept() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  password: hunter2\n---\n";
    let input = load(&format!("{secret}apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n")).expect("loads");
    assert_eq!((input.objects.len(), input.skipped["Secret"]), (1, 1));
    let text = input.sources.text(input.objects[0].origin.source).expect("kept");
    assert!(!text.contains("hunter2") && text.contains("name: shop"), "{text}");
}

#[test]
fn directories() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    let message = |options: &Options| match load_paths(&[root.to_owned()], options) {
        Ok(_) => String::new(),
        Err(error) => error.diagnostics[0].message.clone(),
    };
    assert!(message(&Options::default()).contains("no .yaml, .yml or .json file in directory"));
    std::fs::create_dir(root.join("more")).expect("made");
    std::fs::write(root.join("more/b.yml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n").expect("written");
    assert!(message(&Options::default()).contains("no .yaml"), "not entered without recursion");
    let recursive = Options { recursive: true, ..Options::default() };
    assert_eq!(message(&recursive), "");
    std::fs::write(root.join("values.yaml"), "replicas: 3\n").expect("written");
    std::fs::write(root.join("a.json"), "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\"}}")
        .expect("written");
    std::fs::write(root.join("notes.txt"), "nothing").expect("written");
    let input = load_paths(&[root.to_owned()], &recursive).expect("loads");
    assert_eq!(input.objects.len(), 2);
    assert_eq!(input.warnings.len(), 1, "values are passed over with a word");
    assert!(load_paths(&[root.join("values.yaml")], &recursive).is_err(), "a file that is named is meant");
    assert!(
        load_paths(&[root.join("missing.yaml")], &recursive).expect_err("missing").to_string().contains("no such file")
    );
}

fn yaml_like() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("apiVersion: networking.k8s.io/v1\n".to_owned()),
        Just("kind: NetworkPolicy\n".to_owned()),
        Just("kind: List\nitems:\n".to_owned()),
        Just("spec:\n".to_owned()),
        Just("---\n".to_owned()),
        Just("- ".to_owned()),
        Just("  ".to_owned()),
        Just("\n".to_owned()),
        Just("\t".to_owned()),
        Just("&a ".to_owned()),
        Just("*a ".to_owned()),
        Just("<<: ".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("|\n".to_owned()),
        Just(", ".to_owned()),
        Just("ingress: ".to_owned()),
        Just("podSelector: ".to_owned()),
        Just("ports: ".to_owned()),
        Just("宽".to_owned()),
        "[a-z0-9:#%@!?-]{1,6}",
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

fn anything_goes(text: &str) {
    let (diagnostics, sources) = match load(text) {
        Ok(input) => {
            for loaded in &input.objects {
                assert!(input.sources.value(loaded.origin).is_some(), "an object is found again");
                assert!(input.sources.item_text(loaded.origin).is_some());
            }
            (input.warnings, input.sources)
        }
        Err(error) => (error.diagnostics, error.sources),
    };
    for diagnostic in diagnostics {
        let drawn = render(&diagnostic, &sources, false, 80);
        assert!(drawn.chars().all(|c| c == '\n' || !c.is_control()), "{drawn:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text(text in "\\PC{0,80}|[\\x00-\\x7f]{0,80}") {
        anything_goes(&text);
    }

    #[test]
    fn any_yaml(text in yaml_like()) {
        anything_goes(&text);
    }

    /// A valid document with some bytes cut out or doubled.
    #[test]
    fn broken_manifests(from in 0usize..900, length in 0usize..40, twice in any::<bool>()) {
        let text = include_str!("../fixtures/source/accepted/all.yaml");
        let boundary = |mut at: usize| { while !text.is_char_boundary(at) { at -= 1 } at };
        let (start, end) = (boundary(from), boundary((from + length).min(text.len())));
        let broken = if twice {
            format!("{}{}{}", &text[..end], &text[start..end], &text[end..])
        } else {
            format!("{}{}", &text[..start], &text[end..])
        };
        anything_goes(&broken);
    }
}
