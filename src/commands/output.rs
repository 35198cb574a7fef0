//! Standard output and standard error: colours, quiet, a reader that went away.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};

use super::Exit;
use crate::cli::{Format, Global, When};

/// Notes that are remembered, where each is to be written once.
const NOTES: usize = 1_000;

/// Where a command writes to.
#[derive(Debug)]
pub struct Output {
    /// Whether standard output gets colours.
    pub color: bool,
    /// Whether standard error gets colours.
    pub error_color: bool,
    /// Columns of the terminal; none where standard output isn't one.
    pub width: Option<usize>,
    quiet: bool,
    /// Notes that were written, where each is to be written once.
    noted: Option<BTreeSet<String>>,
    failed: bool,
    closed: bool,
}

impl Output {
    pub(super) fn new(global: &Global) -> Self {
        let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        // https://no-color.org and https://bixense.com/clicolors, as cargo and ripgrep read them.
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0");
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let colors = |terminal: bool| match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !no_color && (forced || (terminal && !dumb)),
        };
        let width = stdout.then(|| terminal_size::terminal_size().map_or(80, |(w, _)| usize::from(w.0)));
        Self {
            color: colors(stdout),
            error_color: colors(stderr),
            width,
            quiet: global.quiet,
            noted: None,
            failed: false,
            closed: false,
        }
    }

    /// Columns of the terminal that standard error is; none where it isn't one.
    #[cfg(feature = "live")]
    pub(super) fn error_width(&self) -> Option<usize> {
        let stderr = std::io::stderr();
        stderr.is_terminal().then(|| terminal_size::terminal_size_of(&stderr).map_or(80, |(w, _)| usize::from(w.0)))
    }

    /// Whether whoever read standard output went away.
    #[cfg(feature = "live")]
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes the answer.
    pub fn text(&mut self, text: &str) {
        if !self.quiet {
            self.bytes(text.as_bytes());
        }
    }

    /// Writes a machine-readable answer; `exit` unless it can't be written.
    pub(super) fn document(&mut self, value: &impl serde::Serialize, format: Format, exit: Exit) -> Exit {
        let text = match format {
            Format::Yaml => serde_saphyr::to_string(value).map_err(|e| e.to_string()),
            _ => serde_json::to_string_pretty(value).map(|t| t + "\n").map_err(|e| e.to_string()),
        };
        match text {
            Ok(text) => {
                self.text(&text);
                exit
            }
            Err(error) => {
                self.error(&format!("the answer can't be written: {error}"));
                Exit::Error
            }
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.closed || bytes.is_empty() {
            return;
        }
        let mut stdout = std::io::stdout().lock();
        if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            self.closed = true;
            // A reader that went away, such as `head`, is nobody's error.
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                self.failed = true;
                self.error(&format!("can't write: {error}"));
            }
        }
    }

    /// Has each note written once from here on, for what goes on and on.
    #[cfg(feature = "live")]
    pub(super) fn note_once(&mut self) {
        self.noted = Some(BTreeSet::new());
    }

    /// Writes a note for people to standard error.
    pub fn note(&mut self, text: &str) {
        let again = self.noted.as_mut().is_some_and(|noted| {
            let again = noted.contains(text);
            if noted.len() < NOTES {
                noted.insert(text.to_owned());
            }
            again
        });
        if !self.quiet && !again {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }

    /// Writes an error, quiet or not.
    pub fn error(&mut self, message: &str) {
        let (red, reset) = if self.error_color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        let message = crate::report::safe(message);
        let _ = writeln!(std::io::stderr().lock(), "{red}error{reset}: {message}");
    }

    /// Writes what to do about an error.
    pub fn help(&mut self, message: &str) {
        let (cyan, reset) = if self.error_color { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
        let message = crate::report::safe(message);
        let _ = writeln!(std::io::stderr().lock(), "  {cyan}help{reset}: {message}");
    }

    /// Writes a rendered block of errors as it is.
    pub fn error_block(&mut self, text: &str) {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    pub(super) fn finish(self, exit: Exit) -> Exit {
        match (self.failed, self.closed) {
            (true, _) => Exit::Error,
            // ripgrep's habit: a broken pipe ends quietly and well.
            (false, true) => Exit::Yes,
            (false, false) => exit,
        }
    }
}
