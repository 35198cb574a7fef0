//! Where a version of the objects comes from, as `diff` names it: a file, a directory, standard input, a git revision.

use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Output;
use super::input::{self, Raw};
use crate::cli::Global;
use crate::model::overlay::overlay;
use crate::source::wire::Loaded;
use crate::source::{Limits, Loader};

/// A version as named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A file, a directory, or `-`.
    Path(String),
    /// `git:REVISION:PATH`.
    Git {
        /// The revision.
        revision: String,
        /// The path, from the working directory.
        path: String,
    },
    /// `cluster:` or `cluster:CONTEXT`.
    Cluster(String),
}

impl Side {
    /// Reads what was typed.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(context) = text.strip_prefix("cluster:") {
            return Ok(Self::Cluster(context.to_owned()));
        }
        let Some(rest) = text.strip_prefix("git:") else { return Ok(Self::Path(text.to_owned())) };
        let (revision, path) = rest.split_once(':').unwrap_or((rest, ""));
        // A revision is an argument of git: it must not look like a flag.
        if revision.is_empty() || revision.starts_with('-') || revision.chars().any(|c| c.is_control() || c == ' ') {
            return Err(format!("`{text}` names no git revision: write git:REVISION:PATH, such as git:main:deploy"));
        }
        let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
        let path = if path == "." { "" } else { path };
        Ok(Self::Git { revision: revision.to_owned(), path: path.to_owned() })
    }

    /// The context of a cluster.
    pub(super) fn context(&self) -> Option<&str> {
        match self {
            Self::Cluster(context) => Some(context),
            _ => None,
        }
    }

    /// Whether it is read from standard input.
    pub(super) fn is_stdin(&self) -> bool {
        *self == Self::Path("-".to_owned())
    }
}

/// Reads a version that is no cluster; the objects of `-f` lie under it.
pub(super) fn read(side: &Side, global: &Global, output: &mut Output) -> Option<Raw> {
    let mut loader = Loader::new(input::options(global, global.namespace.clone()));
    for path in &global.filename {
        loader.path(path);
    }
    let base = loader.objects();
    match side {
        Side::Git { revision, path } => {
            if let Err(message) = git(revision, path, global.recursive, &mut loader) {
                output.error(&message);
                return None;
            }
        }
        Side::Path(path) => loader.path(Path::new(path)),
        Side::Cluster(_) => {}
    }
    let mut raw = input::from_files(loader, global, output)?;
    let own = raw.objects.split_off(base);
    raw.objects = overlay(raw.objects, own, false, &raw.namespace);
    Some(raw)
}

/// The namespaces that objects are in; an empty name for those that name none.
pub(super) fn namespaces(objects: &[Loaded]) -> Vec<String> {
    use crate::source::wire::Object;

    let mut out: Vec<String> = objects
        .iter()
        .filter_map(|loaded| match &loaded.object {
            Object::Pod(o) => Some(o.metadata.namespace.clone()),
            Object::Workload(o) => Some(o.metadata.namespace.clone()),
            Object::Service(o) => Some(o.metadata.namespace.clone()),
            Object::NetworkPolicy(o) => Some(o.metadata.namespace.clone()),
            Object::ForeignPolicy(o) if !o.metadata.namespace.is_empty() => Some(o.metadata.namespace.clone()),
            _ => None,
        })
        .collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// The flags with the context of a version.
#[cfg(feature = "live")]
fn at(context: &str, global: &Global) -> Global {
    let mut global = global.clone();
    if !context.is_empty() {
        global.cluster.context = Some(context.to_owned());
    }
    global
}

/// Reads some namespaces of a cluster, or what -A says instead; that of the context without any.
#[cfg(feature = "live")]
pub(super) fn cluster(context: &str, namespaces: Vec<String>, global: &Global, output: &mut Output) -> Option<Raw> {
    use super::cluster::{Reading, Wanted};

    if !global.filename.is_empty() {
        output.error("objects of -f can't lie under those of a cluster");
        output.help("lay them over it with --with");
        return None;
    }
    let global = at(context, global);
    let wanted = Wanted { namespaces: namespaces.into_iter().collect(), ..Wanted::default() };
    let reading = Reading::new(&global, wanted, output)?;
    reading.told(&global, output);
    reading.raw(None, &mut |_| {}, &global, output)
}

/// The namespace of a context.
#[cfg(feature = "live")]
pub(super) fn namespace_of(context: &str, global: &Global, output: &mut Output) -> Option<String> {
    super::cluster::connect(&at(context, global), output).map(|session| session.namespace().to_owned())
}

#[cfg(not(feature = "live"))]
pub(super) fn cluster(_: &str, _: Vec<String>, _: &Global, output: &mut Output) -> Option<Raw> {
    output.error("`cluster:` needs a cluster, and this build reads none");
    None
}

#[cfg(not(feature = "live"))]
pub(super) fn namespace_of(context: &str, global: &Global, output: &mut Output) -> Option<String> {
    cluster(context, Vec::new(), global, output).map(|raw| raw.namespace)
}

/// Files of a revision are bounded like files of a directory.
const MOST_FILES: usize = 100_000;

/// Reads the manifests of a revision: `git` is run with fixed arguments and without a shell, and fetches nothing.
fn git(revision: &str, path: &str, recursive: bool, loader: &mut Loader) -> Result<(), String> {
    let limit = Limits::default().yaml_bytes;
    let mut list = command();
    list.args(["ls-tree", "-r", "-z", "-l", revision, "--"]);
    if !path.is_empty() {
        list.arg(path);
    }
    let listed = output_of(list, limit)?;
    let mut files: Vec<(String, String, u64)> = Vec::new();
    for entry in listed.split(|b| *b == 0).filter(|e| !e.is_empty()) {
        let entry = String::from_utf8_lossy(entry);
        let Some((facts, name)) = entry.split_once('\t') else { continue };
        let facts: Vec<&str> = facts.split_whitespace().collect();
        let ["100644" | "100755", "blob", hash, size] = facts.as_slice() else { continue };
        let below = match path {
            "" => name,
            path if path == name => "",
            path => name.strip_prefix(path).and_then(|n| n.strip_prefix('/')).unwrap_or(name),
        };
        let manifest = name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
        if below.is_empty() || (manifest && (recursive || !below.contains('/'))) {
            files.push((name.to_owned(), (*hash).to_owned(), size.parse().unwrap_or(u64::MAX)));
        }
    }
    if files.is_empty() {
        return Err(match listed.is_empty() {
            true => format!("`{path}` is not in revision `{revision}`"),
            false if recursive => format!("no .yaml, .yml or .json file in `{path}` of revision `{revision}`"),
            false => format!(
                "no .yaml, .yml or .json file in `{path}` of revision `{revision}`: with -R, the directories in it are read as well"
            ),
        });
    }
    let total = files.iter().fold(0u64, |sum, (.., size)| sum.saturating_add(*size));
    if files.len() > MOST_FILES || total > limit {
        return Err(format!("`{path}` of revision `{revision}` is larger than {} MiB", limit >> 20));
    }
    let bytes = blobs(&files)?;
    for ((name, ..), content) in files.iter().zip(bytes) {
        loader.bytes_of(&format!("{revision}:{name}"), content, name != path);
    }
    Ok(())
}

fn command() -> Command {
    let mut command = Command::new("git");
    command
        .env("LC_ALL", "C")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn cant_run(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "`git` is not installed, or not in PATH".to_owned(),
        _ => format!("can't run `git`: {error}"),
    }
}

fn output_of(mut command: Command, limit: u64) -> Result<Vec<u8>, String> {
    let mut child = command.spawn().map_err(|e| cant_run(&e))?;
    let mut out = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(limit).read_to_end(&mut out).map_err(|e| cant_run(&e))?;
    }
    finished(child)?;
    Ok(out)
}

/// The contents of objects, in order, from one child.
fn blobs(files: &[(String, String, u64)]) -> Result<Vec<Vec<u8>>, String> {
    let mut command = command();
    command.args(["cat-file", "--batch=%(objectsize)"]).stdin(Stdio::piped());
    let mut child = command.spawn().map_err(|e| cant_run(&e))?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("can't talk to `git`".to_owned());
    };
    let asked: String = files.iter().map(|(_, hash, _)| format!("{hash}\n")).collect();
    // Written beside the reading: either pipe may be full.
    let writer = std::thread::spawn(move || stdin.write_all(asked.as_bytes()));
    let mut reader = std::io::BufReader::new(stdout);
    let mut out = Vec::with_capacity(files.len());
    for (name, _, size) in files {
        let content = one(&mut reader, *size).ok_or_else(|| format!("`git` can't read `{name}`"))?;
        out.push(content);
    }
    drop(reader);
    let _ = writer.join();
    finished(child)?;
    Ok(out)
}

/// A size on a line of its own, the content, a line feed.
fn one(reader: &mut impl BufRead, expected: u64) -> Option<Vec<u8>> {
    let mut line = String::new();
    reader.by_ref().take(64).read_line(&mut line).ok()?;
    let size: u64 = line.trim().parse().ok()?;
    if size != expected {
        return None;
    }
    let mut content = vec![0; usize::try_from(size).ok()? + 1];
    reader.read_exact(&mut content).ok()?;
    content.pop();
    Some(content)
}

fn finished(mut child: std::process::Child) -> Result<(), String> {
    let mut errors = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(1 << 16).read_to_string(&mut errors);
    }
    let status = child.wait().map_err(|e| cant_run(&e))?;
    if status.success() {
        return Ok(());
    }
    let first = errors.lines().find(|l| !l.is_empty()).unwrap_or("it failed");
    Err(format!("git: {}", first.strip_prefix("fatal: ").unwrap_or(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_told_apart() {
        let git = |revision: &str, path: &str| Side::Git { revision: revision.into(), path: path.into() };
        assert_eq!(Side::parse("deploy"), Ok(Side::Path("deploy".into())));
        assert_eq!(Side::parse("git:main:deploy/"), Ok(git("main", "deploy")));
        assert_eq!(Side::parse("git:HEAD~1:./a/b.yaml"), Ok(git("HEAD~1", "a/b.yaml")));
        assert_eq!(Side::parse("git:v1"), Ok(git("v1", "")));
        assert_eq!(Side::parse("cluster:prod"), Ok(Side::Cluster("prod".into())));
        for bad in ["git:", "git::deploy", "git:--output=x:deploy", "git:a b:c"] {
            assert!(Side::parse(bad).is_err(), "{bad}");
        }
    }
}
