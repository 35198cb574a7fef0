//! What several integration tests share: finding the shared cases, loading manifests into a cluster.
#![allow(dead_code)]

pub mod tools;
pub mod why;

use std::path::{Path, PathBuf};

use netcheck::model::{BuildOptions, Cluster};
use netcheck::source::{Options, load_paths, load_text};

/// The folder of cases that are not part of the project, or a word on standard error that a test goes without.
pub fn shared(sub: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NETCHECK_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let path = root.join(sub);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no shared cases at {} (set NETCHECK_SHARED)", path.display());
    None
}

/// Sub-folders of a folder, by name.
pub fn folders(path: &Path) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    out.sort();
    out
}

/// The cluster of files or folders.
pub fn cluster_of(paths: &[PathBuf], assume_dns: bool) -> Cluster {
    // Some of the shared cases have names that the API server would refuse.
    let options = Options { recursive: true, tolerant: true, ..Options::default() };
    let input = load_paths(paths, &options).unwrap_or_else(|e| panic!("{paths:?}: {e}"));
    let build = BuildOptions { assume_dns, ..BuildOptions::default() };
    Cluster::build(input.objects, &build).unwrap_or_else(|e| panic!("{paths:?}: {e:?}"))
}

/// The cluster of a text of manifests.
pub fn cluster_of_text(text: &str) -> Cluster {
    let input =
        load_text("test.yaml", text, &Options::default()).unwrap_or_else(|e| panic!("{e}: {:?}", e.diagnostics));
    Cluster::build(input.objects, &BuildOptions::default()).unwrap_or_else(|e| panic!("{e:?}"))
}
