//! `netcheck logs`: the connection errors of a log, from a file or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{Exit, Output};
use crate::analysis::logs::{Limits, Scan, Scanner};
use crate::cli::{Format, LogsArgs};
use crate::report::{Paint, logs};

/// Reads the log and prints what it holds.
pub(super) fn run(args: &LogsArgs, output: &mut Output) -> Exit {
    let read = match args.file.as_deref() {
        None => scan(io::stdin().lock()),
        Some(path) if path.as_os_str() == "-" => scan(io::stdin().lock()),
        Some(path) => open(path).and_then(scan),
    };
    let found = match read {
        Ok(found) => found,
        Err(error) => {
            let name = args.file.as_ref().map_or_else(|| "-".to_owned(), |path| path.display().to_string());
            output.error(&format!("can't read `{name}`: {error}"));
            return Exit::Error;
        }
    };
    match args.output {
        Format::Text => output.text(&logs::render(&found, Paint(output.color))),
        Format::Json | Format::Yaml => return output.document(&logs::report(&found), args.output, Exit::Yes),
    }
    Exit::Yes
}

fn open(path: &Path) -> io::Result<File> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    File::open(path)
}

/// In pieces, so that a log of any size takes the same memory.
fn scan(mut reader: impl Read) -> io::Result<Scan> {
    let mut scanner = Scanner::new(Limits::default());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(scanner.finish()),
            Ok(length) => scanner.push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
