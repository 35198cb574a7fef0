//! The `netcheck` command; under the name `kubectl-netcheck` a kubectl plugin.

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use netcheck::cli::{Cli, with_default_command};
use netcheck::commands::{Exit, run};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = with_default_command(std::env::args_os());
    let plugin = args
        .first()
        .and_then(|name| Path::new(name).file_stem())
        .is_some_and(|name| name.to_string_lossy().starts_with("kubectl"));
    let mut command = Cli::command();
    if plugin {
        command = command.bin_name("kubectl netcheck").override_usage(
            "kubectl netcheck [OPTIONS] CLIENT TARGET...\n       kubectl netcheck [OPTIONS] COMMAND ...",
        );
    }
    let parsed = command.try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m));
    match parsed {
        Ok(cli) => run(cli).into(),
        Err(error) => {
            let code = if error.use_stderr() { Exit::Error } else { Exit::Yes };
            // A reader that went away while help was printed is nobody's error.
            let _ = error.print();
            code.into()
        }
    }
}
