//! What a user sees of input that is refused or probably not meant: every file of `fixtures/source`, as drawn.

use std::path::{Path, PathBuf};

use netcheck::report::snippet::render;
use netcheck::source::{Diagnostic, Options, Severity, SourceMap, load_paths};

fn drawn(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    diagnostics.iter().map(|diagnostic| render(diagnostic, sources, false, 100)).collect::<Vec<_>>().join("\n")
}

/// Every diagnostic of a file, drawn; the file must have at least one.
fn show(path: &Path) -> String {
    let (diagnostics, sources) = match load_paths(&[path.to_owned()], &Options::default()) {
        Ok(input) => (input.warnings, input.sources),
        Err(error) => (error.diagnostics, error.sources),
    };
    assert!(!diagnostics.is_empty(), "{} has nothing to say", path.display());
    drawn(&diagnostics, &sources)
}

fn files(directory: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .expect("the fixtures are there")
        .map(|entry| entry.expect("entry").path())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn snapshots(directory: &str) {
    for path in files(&format!("fixtures/source/{directory}")) {
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        insta::assert_snapshot!(format!("{directory}__{name}"), show(&path));
    }
}

#[test]
fn syntax() {
    snapshots("syntax");
}

#[test]
fn types() {
    snapshots("types");
}

#[test]
fn refused() {
    snapshots("refused");
}

#[test]
fn accepted() {
    for path in files("fixtures/source/accepted") {
        match load_paths(std::slice::from_ref(&path), &Options::default()) {
            Ok(input) => {
                assert_eq!(drawn(&input.warnings, &input.sources), "", "{}", path.display());
                assert!(input.objects.len() > 4);
            }
            Err(error) => panic!("{}:\n{}", path.display(), drawn(&error.diagnostics, &error.sources)),
        }
    }
}

/// What is refused becomes a warning, and the object is left out.
#[test]
fn skip_invalid() {
    let options = Options { skip_invalid: true, ..Options::default() };
    for path in files("fixtures/source/refused") {
        let path = std::slice::from_ref(&path);
        let errors = match load_paths(path, &Options::default()) {
            Ok(_) => panic!("nothing is refused"),
            Err(error) => error.diagnostics.iter().filter(|d| d.severity == Severity::Error).count(),
        };
        let input = load_paths(path, &options).expect("loads");
        let left_out = |d: &&Diagnostic| d.notes.iter().any(|note| note.contains("--skip-invalid"));
        assert_eq!(input.warnings.iter().filter(left_out).count(), errors);
        assert!(input.warnings.iter().all(|d| d.severity == Severity::Warning));
    }
}
