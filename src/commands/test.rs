//! `netcheck test`: expectations about who reaches what, for CI.

mod objects;

use std::path::{Path, PathBuf};

use self::objects::{Objects, Shared};
use super::input;
use super::{Exit, Output};
use crate::analysis::expect::file::{Case, ConnectivityTest, Expectation, Matrix};
#[cfg(feature = "live")]
use crate::analysis::expect::{Answer, Trial, trials};
use crate::analysis::expect::{Concern, Gaps, answer, init};
use crate::cli::{Format, Global, TestArgs, TestOutput};
use crate::reach::Evaluator;
#[cfg(feature = "live")]
use crate::reach::{CheckOptions, Source};
use crate::report::expect::{Answered, TestReport, TestSuite, case, exit_of, findings, junit, markdown, render, tap};
use crate::report::{Paint, github, sarif};
use crate::source::{Diagnostic, FieldPath, Origin, Part, SourceMap, strict};

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
    #[cfg(feature = "live")]
    if args.probe.live
        && let Err(exit) = super::probe::sensible(global, output)
    {
        return exit;
    }
    // Everything is read before anything is judged: a misspelt field in the last file is told before a cluster is asked.
    let read: Vec<Option<File>> = args.files.iter().map(|path| File::read(path, output)).collect();
    let Some(files) = read.into_iter().collect::<Option<Vec<File>>>() else { return Exit::Error };
    let mut shared = Shared::default();
    for file in &files {
        file.announce(global, &mut shared);
    }
    let mut suites = Vec::new();
    for file in &files {
        match file.judge(global, args, &mut shared, output) {
            Ok(more) => suites.extend(more),
            Err(exit) => return exit,
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
        TestOutput::Junit => output.text(&junit(&report)),
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

/// A file of expectations.
struct File {
    shown: String,
    directory: PathBuf,
    sources: SourceMap,
    documents: Vec<(Origin, ConnectivityTest)>,
}

/// Expectations about the same objects.
struct Group<'a> {
    case: Option<&'a Case>,
    expect: &'a [Expectation],
    matrix: Option<&'a Matrix>,
    path: FieldPath,
}

/// The groups of a document that hold something.
fn groups(test: &ConnectivityTest) -> impl Iterator<Item = Group<'_>> {
    let first = Group { case: None, expect: &test.expect, matrix: test.matrix.as_ref(), path: FieldPath::root() };
    let cases = test.cases.iter().enumerate().map(|(number, case)| Group {
        case: Some(case),
        expect: &case.expect,
        matrix: case.matrix.as_ref(),
        path: FieldPath::root().key("cases").index(number),
    });
    std::iter::once(first).chain(cases).filter(|g| !g.expect.is_empty() || g.matrix.is_some())
}

impl Group<'_> {
    /// Whether it has objects of its own.
    fn alone(&self) -> bool {
        self.case.is_some_and(|c| !c.objects.is_empty() || !c.with.is_empty() || c.manifests.is_some())
    }
}

impl File {
    /// Reads a file; what is wrong with it was written where there is none.
    fn read(path: &Path, output: &mut Output) -> Option<Self> {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                    std::io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
                    _ => error.to_string(),
                };
                output.error(&format!("can't read `{shown}`: {why}"));
                return None;
            }
        };
        let mut sources = SourceMap::default();
        let documents = match strict::read::<ConnectivityTest>(&shown, &text, &mut sources) {
            Ok(documents) => documents,
            Err(mut diagnostics) => {
                let headless = |d: &&mut Diagnostic| {
                    d.message.starts_with("missing field `apiVersion`") || d.message.starts_with("missing field `kind`")
                };
                for diagnostic in diagnostics.iter_mut().filter(headless) {
                    diagnostic.helps.push(HEAD.to_owned());
                }
                input::draw(&diagnostics, &sources, output);
                return None;
            }
        };
        let mut wrong: Vec<Diagnostic> = documents
            .iter()
            .filter_map(|(origin, test)| misnamed(*origin, test).or_else(|| empty(*origin, test)))
            .collect();
        if documents.is_empty() {
            wrong.push(Diagnostic::error(format!("`{shown}` holds no expectations")));
        }
        if !wrong.is_empty() {
            input::draw(&wrong, &sources, output);
            return None;
        }
        let directory = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        Some(Self { shown, directory, sources, documents })
    }

    /// Where a group takes its objects from; without one, the groups that have none of their own.
    fn objects<'a>(&'a self, test: &'a ConnectivityTest, case: Option<&'a Case>) -> Objects<'a> {
        let mut manifests: Vec<(&str, String)> =
            test.manifests.iter().map(|m| (m.as_str(), format!("{} (manifests)", self.shown))).collect();
        let mut with: Vec<&String> = test.with.iter().collect();
        let mut files = &test.objects;
        if let Some(case) = case {
            manifests.extend(case.manifests.iter().map(|m| (m.as_str(), format!("{} ({})", self.shown, case.name))));
            with.extend(&case.with);
            if !case.objects.is_empty() {
                files = &case.objects;
            }
        }
        Objects {
            directory: &self.directory,
            files,
            own: case.is_some_and(|c| !c.objects.is_empty()),
            with,
            manifests,
            namespace: test.namespace.as_deref(),
            cni: test.cni.as_deref(),
        }
    }

    /// Says what of a cluster the expectations are about.
    fn announce(&self, global: &Global, shared: &mut Shared) {
        for (_, test) in &self.documents {
            for group in groups(test) {
                let objects = self.objects(test, group.case.filter(|_| group.alone()));
                shared.announce(&objects, global, |namespace| Concern::of(group.expect, group.matrix, namespace));
            }
        }
    }

    /// The answers, a suite for each document.
    fn judge(
        &self,
        global: &Global,
        args: &TestArgs,
        shared: &mut Shared,
        output: &mut Output,
    ) -> Result<Vec<TestSuite>, Exit> {
        #[cfg(not(feature = "live"))]
        let _ = args;
        let mut out = Vec::new();
        for (origin, test) in &self.documents {
            let mut cases = Vec::new();
            let mut cni = String::new();
            let mut common: Option<(input::Input, Gaps)> = None;
            for group in groups(test) {
                let own;
                let (input, gaps) = if group.alone() {
                    own = self.objects(test, group.case).read(global, shared, output).ok_or(Exit::Error)?;
                    &own
                } else {
                    if common.is_none() {
                        common = Some(self.objects(test, None).read(global, shared, output).ok_or(Exit::Error)?);
                    }
                    common.as_ref().ok_or(Exit::Error)?
                };
                cni.clone_from(&input.profile.name);
                let evaluator = Evaluator::new(&input.cluster, &input.policies, &input.profile);
                #[cfg_attr(not(feature = "live"), expect(unused_mut, reason = "only packets change an answer"))]
                let mut answers = answer(&evaluator, &input.namespace, group.expect, group.matrix, &group.path, gaps);
                #[cfg(feature = "live")]
                if args.probe.live {
                    let objects = self.objects(test, group.case.filter(|_| group.alone()));
                    if !objects.files.is_empty() || !objects.manifests.is_empty() || !objects.with.is_empty() {
                        output.error(&format!(
                            "--live tries what is there, and `{}` names objects of its own",
                            self.shown
                        ));
                        output.help("leave `objects`, `manifests` and `with` away: the current cluster is asked");
                        return Err(Exit::Error);
                    }
                    let all = trials(&evaluator, &input.namespace, group.expect, group.matrix, &group.path);
                    packets(global, args, input, &evaluator, &all, &mut answers, output)?;
                }
                let from =
                    Answered { sources: &input.sources, expectations: &self.sources, origin: *origin, width: 100 };
                cases.push(case(group.case.map(|c| c.name.as_str()), answers, from));
            }
            let name = test.name.clone().unwrap_or_else(|| self.shown.clone());
            out.push(TestSuite { name, file: self.shown.clone(), cni, cases });
        }
        Ok(out)
    }
}

/// Tries some connections of each expectation with packets.
#[cfg(feature = "live")]
fn packets(
    global: &Global,
    args: &TestArgs,
    input: &input::Input,
    evaluator: &Evaluator<'_>,
    trials: &[Trial],
    answers: &mut [Answer],
    output: &mut Output,
) -> Result<(), Exit> {
    use super::probe;

    let mut tries = Vec::new();
    let mut of = Vec::new();
    for trial in trials {
        let source = Source::Pod(trial.client);
        let check = evaluator.check(source, &trial.target, &trial.port, trial.protocol, CheckOptions::default());
        let one = probe::attempt(evaluator, &check, trial.client, &trial.target, &trial.name);
        if !one.plan.items.is_empty() {
            tries.push(one);
            of.push(&trial.path);
        }
    }
    if tries.is_empty() {
        output.note("note: there is nothing to try with packets: no expectation is about a pod that runs\n");
        return Ok(());
    }
    let sending = probe::Sending { global, flags: &args.probe, capture: None };
    let tallies = probe::tally(sending, &input.cluster, &input.profile, &tries, output)?;
    for (tally, path) in tallies.into_iter().zip(of) {
        if let Some(answer) = answers.iter_mut().find(|a| a.path == *path) {
            answer.tried(tally);
        }
    }
    Ok(())
}

/// A document that expects nothing would always pass.
fn empty(origin: Origin, test: &ConnectivityTest) -> Option<Diagnostic> {
    groups(test).next().is_none().then(|| {
        Diagnostic::error("there is nothing to expect").at(
            origin,
            FieldPath::root(),
            Part::Value,
            "neither `expect`, `matrix` nor `cases`",
        )
    })
}

/// How a document of expectations starts.
const HEAD: &str = "expectations start with `apiVersion: netcheck/v1alpha1` and `kind: ConnectivityTest`";

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
