//! Every recorded and published set of manifests loads without an error.

use std::path::{Path, PathBuf};

use netcheck::source::{Options, Severity, load_paths};

fn shared() -> PathBuf {
    std::env::var_os("NETCHECK_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from)
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn load_all(wanted: impl Fn(&Path) -> bool, root: &Path, at_least: usize, options: &Options) {
    if !root.is_dir() {
        eprintln!("skipped: {} is not there (set NETCHECK_SHARED)", root.display());
        return;
    }
    let mut found = Vec::new();
    files(root, &mut found);
    found.retain(|path| wanted(path));
    found.sort();
    assert!(found.len() >= at_least, "only {} files under {}", found.len(), root.display());
    let mut failures = Vec::new();
    for path in found {
        match load_paths(std::slice::from_ref(&path), options) {
            Ok(input) => {
                if input.objects.is_empty() && input.skipped.is_empty() {
                    failures.push(format!("{}: nothing in it", path.display()));
                }
            }
            Err(error) => failures.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(failures.is_empty(), "{} files fail:\n{}", failures.len(), failures.join("\n"));
}

/// The policies as they were sent are YAML of a library that reads `y` as a string; kubectl would not take those.
#[test]
fn recorded_policies_load_but_for_unquoted_booleans() {
    let root = shared().join("real");
    if !root.is_dir() {
        eprintln!("skipped: {} is not there (set NETCHECK_SHARED)", root.display());
        return;
    }
    let mut found = Vec::new();
    files(&root, &mut found);
    found.retain(|path| path.file_name().is_some_and(|name| name == "policies.yaml"));
    assert!(found.len() > 100);
    let (mut whole, mut other) = (0, Vec::new());
    for path in found {
        match load_paths(std::slice::from_ref(&path), &Options::default()) {
            Ok(_) => whole += 1,
            Err(error) => {
                let text = std::fs::read_to_string(&path).expect("readable");
                assert!(
                    text.lines().any(|line| line.contains(": y")
                        || line.contains("- y")
                        || line.contains("[y")
                        || line.contains(", y")),
                    "{}",
                    path.display()
                );
                let unexpected = |message: &str| !message.contains("expected a string, found the boolean `true`");
                other.extend(
                    error
                        .diagnostics
                        .iter()
                        .filter(|d| d.severity == Severity::Error && unexpected(&d.message))
                        .map(|d| format!("{}: {}", path.display(), d.message)),
                );
            }
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
    assert!(whole > 60, "only {whole} load");
}

fn extension(path: &Path, wanted: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| wanted.contains(&e))
}

#[test]
fn oracle_manifests_load() {
    // `connlist_output.json` is a result that lies among the manifests of its case.
    load_all(
        |path| {
            extension(path, &["yaml", "yml", "json"])
                && path.components().any(|c| c.as_os_str() == "manifests")
                && path.file_name().is_some_and(|n| n != "connlist_output.json")
        },
        &shared().join("oracle"),
        100,
        // Names with underscores, Service ports without names.
        &Options { tolerant: true, ..Options::default() },
    );
}

#[test]
fn recorded_clusters_load() {
    load_all(
        |path| {
            path.file_name().and_then(|n| n.to_str()).is_some_and(|n| matches!(n, "cluster.json" | "manifests.yaml"))
        },
        &shared().join("real"),
        150,
        &Options::default(),
    );
}
