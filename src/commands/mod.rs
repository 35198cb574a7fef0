//! One file per command: what was typed becomes a plan, the rooms do the work, `report` prints. No logic of theirs here.

mod audit;
#[cfg(feature = "live")]
mod capture;
pub mod check;
#[cfg(feature = "live")]
mod cluster;
mod complete;
mod diff;
mod graph;
mod input;
mod logs;
mod output;
#[cfg(feature = "live")]
mod probe;
#[cfg(feature = "live")]
mod rbac;
mod sides;
mod snapshot;
mod test;
mod why;

use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use output::Output;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything as asked: 0.
    Yes,
    /// The answer is no: 1.
    No,
    /// Usage, input, cluster or transport error: 2.
    Error,
    /// It can't be told: 3.
    Unknown,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::Error => 2,
            Exit::Unknown => 3,
        })
    }
}

/// Runs a command.
pub fn run(mut cli: Cli) -> Exit {
    cli.global.cni = cli.global.cni.filter(|name| !name.is_empty());
    let mut output = Output::new(&cli.global);
    let exit = match cli.command {
        Command::Check(args) => check::run(&cli.global, &args, &mut output),
        Command::Graph(args) => graph::run(&cli.global, &args, &mut output),
        Command::Audit(args) => audit::run(&cli.global, &args, &mut output),
        Command::Diff(args) => diff::run(&cli.global, &args, &mut output),
        Command::Why(args) => why::run(&cli.global, &args, &mut output),
        Command::Test(args) => test::run(&cli.global, &args, &mut output),
        Command::Logs(args) => logs::run(&args, &mut output),
        Command::Snapshot(args) => snapshot::run(&cli.global, &args, &mut output),
        #[cfg(feature = "live")]
        Command::Rbac(args) => rbac::run(&cli.global, &args, &mut output),
        Command::Complete { words } => complete::run(&words, &mut output),
        Command::Completion { shell } => {
            let mut command = Cli::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "netcheck", &mut script);
            output.bytes(&script);
            Exit::Yes
        }
        Command::Man { command } => man(command.as_deref(), &mut output),
        Command::Schema { what } => schema(&what, &mut output),
    };
    output.finish(exit)
}

fn man(name: Option<&str>, output: &mut Output) -> Exit {
    let mut root = Cli::command();
    root.build();
    let command = match name {
        None => root,
        Some(name) => match root.find_subcommand(name) {
            Some(command) => {
                let page: &'static str = format!("netcheck-{name}").leak();
                command.clone().name(page)
            }
            None => {
                output.error(&format!("there is no command `{name}`"));
                return Exit::Error;
            }
        },
    };
    let mut page = Vec::new();
    match clap_mangen::Man::new(command).render(&mut page) {
        Ok(()) => {
            output.bytes(&page);
            Exit::Yes
        }
        Err(error) => {
            output.error(&format!("the manual page can't be made: {error}"));
            Exit::Error
        }
    }
}

fn schema(what: &str, output: &mut Output) -> Exit {
    match crate::report::schema(what) {
        Some(schema) => {
            output.text(&schema);
            Exit::Yes
        }
        None => {
            output.error(&format!("there is no schema for `{what}`"));
            Exit::Error
        }
    }
}
