//! `netcheck test`: expectations about who reaches what, for CI.

use std::path::{Path, PathBuf};

use super::input::{self, Input};
use super::{Exit, Output};
use crate::analysis::expect::file::ConnectivityTest;
use crate::analysis::expect::{answer, init};
use crate::cli::{Format, Global, TestArgs, TestOutput};
use crate::model::overlay::overlay;
use crate::reach::Evaluator;
use crate::report::expect::{Answered, TestReport, TestSuite, case, exit_of, findings, junit, markdown, render, tap};
use crate::report::{Paint, github, sarif};
use crate::source::{Diagnostic, FieldPath, Loader, Origin, Part, SourceMap, strict};

/// Runs the expectations of files, or writes what is true today.
pub(super) fn run(global: &Global, args: &TestArgs, output: &mut Output) -> Exit {
    if args.init {
        return write(global, output);
    }
    if args.files.is_empty() {
        output.error("no expectations to read");
        output.help("name a file: netcheck test tests.yaml; netcheck test --init writes one of what is true today");
        return Exit::Error;
    }
    let mut suites = Vec::new();
    for file in &args.files {
        match suite(global, file, output) {
            Some(more) => suites.extend(more),
            None => return Exit::Error,
        }
    }
    let report = TestReport::new(suites);
    let exit = match exit_of(&report) {
        (true, _) => Exit::No,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Yes,
    };
    match args.output {
        TestOutput::Text => output.text(&render(&report, Paint(output.color))),
        TestOutput::Tap => output.text(&tap(&report)),
        TestOutput::Markdown => output.text(&markdown(&report)),
        TestOutput::Github => output.text(&github::annotations(&findings(&report))),
        TestOutput::Sarif => return output.document(&sarif::log(&findings(&report)), Format::Json, exit),
        TestOutput::Json => return output.document(&report, Format::Json, exit),
        TestOutput::Yaml => return output.document(&report, Format::Yaml, exit),
        TestOutput::Junit => match junit(&report) {
            Ok(text) => output.text(&text),
            Err(error) => {
                output.error(&format!("the answer can't be written: {error}"));
                return Exit::Error;
            }
        },
    }
    exit
}

fn write(global: &Global, output: &mut Output) -> Exit {
    let Some(input) = input::read(global, None, output) else { return Exit::Error };
    let evaluator = Evaluator::new(&input.cluster, &input.policies, &input.profile);
    let paths = global.filename.iter().filter(|p| p.as_os_str() != "-");
    let objects: Vec<String> = paths.map(|p| p.display().to_string()).collect();
    output.text(&init(&evaluator, &objects, global.namespace.as_deref()));
    Exit::Yes
}

/// Where a group of expectations takes its objects from.
struct Objects<'a> {
    files: &'a [String],
    with: Vec<&'a String>,
    manifests: Vec<(&'a str, String)>,
}

fn suite(global: &Global, file: &Path, output: &mut Output) -> Option<Vec<TestSuite>> {
    let shown = file.display().to_string();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let why = if error.kind() == std::io::ErrorKind::NotFound {
                "no such file or directory".to_owned()
            } else {
                error.to_string()
            };
            output.error(&format!("can't read `{shown}`: {why}"));
            return None;
        }
    };
    let mut expectations = SourceMap::default();
    let documents = match strict::read::<ConnectivityTest>(&shown, &text, &mut expectations) {
        Ok(documents) => documents,
        Err(diagnostics) => {
            input::draw(&diagnostics, &expectations, output);
            return None;
        }
    };
    let mut wrong: Vec<Diagnostic> = documents.iter().filter_map(|(origin, test)| misnamed(*origin, test)).collect();
    if documents.is_empty() {
        wrong.push(Diagnostic::error(format!("`{shown}` holds no expectations")));
    }
    if !wrong.is_empty() {
        input::draw(&wrong, &expectations, output);
        return None;
    }
    let directory = file.parent().map_or_else(PathBuf::new, Path::to_owned);
    let mut out = Vec::new();
    for (origin, test) in &documents {
        let mut cases = Vec::new();
        let mut cni = String::new();
        let base: Vec<(&str, String)> =
            test.manifests.iter().map(|m| (m.as_str(), format!("{shown} (manifests)"))).collect();
        let mut shared: Option<Input> = None;
        let groups = std::iter::once((None, &test.expect, test.matrix.as_ref(), FieldPath::root())).chain(
            test.cases
                .iter()
                .enumerate()
                .map(|(n, c)| (Some(c), &c.expect, c.matrix.as_ref(), FieldPath::root().key("cases").index(n))),
        );
        for (own, expect, matrix, path) in groups {
            if expect.is_empty() && matrix.is_none() {
                continue;
            }
            let alone = own.filter(|c| !c.objects.is_empty() || !c.with.is_empty() || c.manifests.is_some());
            let read;
            let input = match alone {
                Some(case) => {
                    let mut manifests = base.clone();
                    manifests.extend(case.manifests.iter().map(|m| (m.as_str(), format!("{shown} ({})", case.name))));
                    let objects = Objects {
                        files: if case.objects.is_empty() { &test.objects } else { &case.objects },
                        with: test.with.iter().chain(&case.with).collect(),
                        manifests,
                    };
                    read = objects.read(&directory, test, !case.objects.is_empty(), global, output)?;
                    &read
                }
                None => {
                    if shared.is_none() {
                        let objects =
                            Objects { files: &test.objects, with: test.with.iter().collect(), manifests: base.clone() };
                        shared = Some(objects.read(&directory, test, false, global, output)?);
                    }
                    shared.as_ref()?
                }
            };
            cni.clone_from(&input.profile.name);
            let evaluator = Evaluator::new(&input.cluster, &input.policies, &input.profile);
            let answers = answer(&evaluator, &input.namespace, expect, matrix, &path);
            let from = Answered { sources: &input.sources, expectations: &expectations, origin: *origin, width: 100 };
            cases.push(case(own.map(|c| c.name.as_str()), answers, from));
        }
        if cases.is_empty() {
            let diagnostic = Diagnostic::error("there is nothing to expect").at(
                *origin,
                FieldPath::root(),
                Part::Value,
                "neither `expect`, `matrix` nor `cases`",
            );
            input::draw(&[diagnostic], &expectations, output);
            return None;
        }
        let name = test.name.clone().unwrap_or_else(|| shown.clone());
        out.push(TestSuite { name, file: shown.clone(), cni, cases });
    }
    Some(out)
}

fn misnamed(origin: Origin, test: &ConnectivityTest) -> Option<Diagnostic> {
    let at = |field: &str, message: String| {
        Diagnostic::error(message).at(origin, FieldPath::root().key(field), Part::Entry, String::new())
    };
    if test.kind != "ConnectivityTest" {
        return Some(at("kind", format!("`{}` is not a kind of expectations: ConnectivityTest", test.kind)));
    }
    (test.api_version != "netcheck/v1alpha1")
        .then(|| at("apiVersion", format!("`{}` is not known: netcheck/v1alpha1", test.api_version)))
}

impl Objects<'_> {
    /// Objects of files or of `-f`, those of `with` and `manifests` laid over them, then what the flags change.
    fn read(
        &self,
        directory: &Path,
        test: &ConnectivityTest,
        own: bool,
        global: &Global,
        output: &mut Output,
    ) -> Option<Input> {
        let mut global = global.clone();
        global.namespace = global.namespace.clone().or_else(|| test.namespace.clone());
        global.cni = global.cni.clone().or_else(|| test.cni.clone());
        let mut loader = Loader::new(input::options(&global, global.namespace.clone()));
        let given = !global.filename.is_empty() && !own;
        if given {
            for path in &global.filename {
                loader.path(path);
            }
        } else {
            for path in self.files {
                loader.path(&joined(directory, path));
            }
        }
        let nothing = !given && self.files.is_empty() && self.manifests.is_empty();
        if nothing {
            output.error("the expectations say nothing of objects");
            output.help("name them with `objects` or `manifests` in the file, or with -f PATH");
            return None;
        }
        let end = loader.objects();
        for path in &self.with {
            loader.path(&joined(directory, path));
        }
        for (text, name) in &self.manifests {
            loader.text(name, text);
        }
        let mut raw = input::from_files(loader, &global, output)?;
        let laid = raw.objects.split_off(end);
        raw.objects = overlay(raw.objects, laid, false, &raw.namespace);
        raw.build(true, &global, output)
    }
}

/// A path from a file's directory, without detours.
fn joined(directory: &Path, path: &str) -> PathBuf {
    use std::path::Component;

    let mut out = PathBuf::new();
    for component in directory.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}
