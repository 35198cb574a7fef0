//! Every recorded and published set of manifests loads without an error.

use std::path::{Path, PathBuf};

use netcheck::source::{Options, load_paths};

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

fn load_all(wanted: impl Fn(&Path) -> bool, root: &Path, at_least: usize) {
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
        match load_paths(std::slice::from_ref(&path), &Options::default()) {
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
    );
}
