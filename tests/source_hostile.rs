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

/// Items of a list, most alike, some out of the ordinary.
fn mixed_items() -> Vec<String> {
    let mut out = Vec::new();
    for number in 0..4_000 {
        let namespace = format!("ns-{}", number / 100);
        let pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("p-{number}"), "namespace": namespace, "labels": {"app": "a", "n": format!("{}", number % 7)},
                "managedFields": [{"fieldsV1": {"f:a": {"k:{\"name\":\"x\"}": {}}}}], "annotations": {"a": "}, {\"apiVersion\""}},
            "spec": {"nodeName": "n", "containers": [{"name": "c", "env": [{"name": "A", "value": "x".repeat(number % 300)}],
                "ports": [{"containerPort": 80, "name": "web"}]}]},
            "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True", "reason": "r"}]}});
        let policy = serde_json::json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": format!("n-{number}"), "namespace": namespace, "managedFields": []},
            "spec": {"podSelecter": {}, "podSelector": {}}});
        out.push(match number % 500 {
            17 => policy.to_string(),
            // What serde refuses and the API server takes.
            23 => pod.to_string().replacen("\"status\":{", "\"status\":{\"podIPs\":[null],", 1),
            // A key that has to be decoded, and one that occurs twice.
            31 => pod.to_string().replacen("\"nodeName\"", "\"node\\u004eame\"", 1),
            37 => pod.to_string().replacen("\"nodeName\":\"n\"", "\"nodeName\":\"m\",\"nodeName\":\"n\"", 1),
            41 => serde_json::json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "e30="}}).to_string(),
            43 => serde_json::json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}}).to_string(),
            _ if number % 2 == 0 => serde_json::to_string_pretty(&pod).expect("JSON"),
            _ => pod.to_string(),
        });
    }
    out
}

/// Everything that is told of an input, but for where its objects stand.
fn told(input: &Input) -> String {
    let objects: Vec<String> = input.objects.iter().map(|o| format!("{:?}", o.object)).collect();
    let warnings: Vec<&String> = input.warnings.iter().map(|w| &w.message).collect();
    format!("{}\n{warnings:#?}\n{:?}", objects.join("\n"), input.skipped)
}

#[test]
fn blocks_of_a_large_list_are_read_as_its_items_are() {
    let items = mixed_items();
    let alone = load(&items.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((alone.warnings.len(), alone.skipped["Secret"], alone.objects.len()), (8, 8, 3_984));
    let list = format!("{{\"apiVersion\": \"v1\", \"items\": [\n{}\n], \"kind\": \"List\"}}", items.join(",\n"));
    assert!(list.len() > 2 << 20);
    let kept = load(&list).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(told(&kept), told(&alone));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cluster.json");
    std::fs::write(&path, &list).expect("written");
    let options = Options { limits: Limits { kept_json_bytes: 100_000, ..Limits::default() }, ..Options::default() };
    let streamed = load_paths(std::slice::from_ref(&path), &options).expect("a file");
    assert_eq!(told(&streamed), told(&alone));
    for (number, loaded) in streamed.objects.iter().enumerate().step_by(97) {
        let value = streamed.sources.value(loaded.origin);
        assert_eq!(value, alone.sources.value(alone.objects[number].origin));
        assert_eq!(value, kept.sources.value(kept.objects[number].origin));
    }
    // In any order: lines are counted from what was read before.
    for warning in streamed.warnings.iter().chain(streamed.warnings.iter().rev()) {
        let span = streamed.sources.span(&warning.labels[0].place).expect("it is there");
        let line = list[..span.range.start].matches('\n').count() + 1;
        assert_eq!((&list[span.range.clone()], span.line), ("\"podSelecter\"", line));
    }
}

#[test]
fn a_large_list_of_one_kind_need_not_say_it_of_each() {
    let items: Vec<String> = mixed_items().into_iter().filter(|item| item.contains("\"Pod\"")).collect();
    let bare = |item: &String| {
        let mut value: serde_json::Value = serde_json::from_str(item).expect("JSON");
        let map = value.as_object_mut().expect("an object");
        map.retain(|key, _| key != "apiVersion" && key != "kind");
        value.to_string()
    };
    let mut bare: Vec<String> = items.iter().map(bare).collect();
    // One says it behind the rest.
    bare[3_000] =
        bare[3_000].strip_suffix('}').expect("an object").to_owned() + ",\"kind\":\"Pod\",\"apiVersion\":\"v1\"}";
    let list = format!("{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[{}]}}", bare.join(","));
    let input = load(&list).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(told(&input), told(&load(&items.join("\n")).expect("documents")));
}

#[test]
fn what_is_broken_in_a_large_list_is_found_where_it_is() {
    let items = mixed_items();
    let list =
        |items: &[String]| format!("{{\"apiVersion\":\"v1\",\"items\":[{}],\"kind\":\"List\"}}", items.join(","));
    let at = |what: &str| {
        let mut broken = items.clone();
        broken[3_500] = what.to_owned();
        let text = list(&broken);
        let error = load(&text).expect_err("broken");
        let span = error.sources.span(&error.diagnostics[0].labels[0].place);
        let before = list(&items[..3_500]).len() - "],\"kind\":\"List\"}".len() + 1;
        (error.diagnostics[0].message.clone(), span.map(|s| s.range.start - before))
    };
    assert_eq!(at("{]"), ("invalid JSON: key must be a string".to_owned(), Some(1)));
    assert_eq!(at("{\"kind\" 1}"), ("invalid JSON: expected `:`".to_owned(), Some(8)));
    assert_eq!(at(""), ("invalid JSON: expected a value, found `,`".to_owned(), Some(0)));
    assert_eq!(at("7").0, "expected a Kubernetes object, a mapping with `apiVersion` and `kind`");
    let open = at("{\"kind\": \"Pod\", \"x\": [\"");
    assert!(open.0.starts_with("invalid JSON"), "{open:?}");
}
