//! `netcheck-agent`: tries to reach targets from where it runs, and says how each attempt ended.
//!
//! It runs inside a pod's network, so it is small, needs no privilege, no cluster access and no other file than
//! `resolv.conf`. Of netcheck itself it uses only the three modules by which it and the live probe understand each other.
//! `engine` runs the conversations of `talk` over the sockets of `net`, `resolver` finds addresses, `run` ties them.

#[cfg(target_os = "linux")]
mod args;
#[cfg(target_os = "linux")]
mod dns;
#[cfg(target_os = "linux")]
mod engine;
#[cfg(target_os = "linux")]
mod net;
#[cfg(target_os = "linux")]
mod random;
#[cfg(target_os = "linux")]
mod resolv_conf;
#[cfg(target_os = "linux")]
mod resolver;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod talk;
#[cfg(target_os = "linux")]
mod tls;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

/// The error queue that the verdicts come from is Linux's, as are pods.
#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("netcheck-agent: runs on Linux only");
    std::process::ExitCode::from(2)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::OpenOptions;
    use std::io::{self, Write};
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;

    use netcheck::probe_record::{Line, Message, Step};

    use crate::args::{self, Command, Out, Plan};
    use crate::run;

    const TERMINATION_LOG: &str = "/dev/termination-log";

    pub fn main() -> ExitCode {
        let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
        match args::parse(args) {
            Ok(Command::Help) => print(args::HELP),
            Ok(Command::Version) => print(concat!("netcheck-agent ", env!("CARGO_PKG_VERSION"), "\n")),
            Ok(Command::Run(plan)) => report(&plan, &run::run(&plan)),
            Err(why) => {
                let _ = writeln!(io::stderr(), "netcheck-agent: {why}");
                ExitCode::from(2)
            }
        }
    }

    /// Prints; that nobody reads any more is no failure.
    fn print(text: &str) -> ExitCode {
        let _ = io::stdout().write_all(text.as_bytes());
        ExitCode::SUCCESS
    }

    fn report(plan: &Plan, message: &Message) -> ExitCode {
        let path = match &plan.out {
            Out::Nowhere => None,
            Out::File(path) => Some(path.clone()),
            Out::Usual => Some(PathBuf::from(TERMINATION_LOG)).filter(|path| path.exists()),
        };
        if let Some(path) = path
            && let Err(error) = write(&path, &message.encode_within(plan.limit))
        {
            // The records still are on standard output.
            let _ = writeln!(io::stderr(), "netcheck-agent: `{}`: {error}", path.display());
        }
        print(&message.encode());
        let failed = message.lines.iter().any(|line| match line {
            // A name server's state is said for its own sake: the name that was asked for decides.
            Line::Result(record) => {
                !matches!(record.step, Step::ServerUdp | Step::ServerTcp) && !record.class.is_open()
            }
            Line::Counter(_) => false,
        });
        ExitCode::from(u8::from(failed))
    }

    fn write(path: &Path, text: &str) -> io::Result<()> {
        // Not replaced: the termination log is a mount, and can only be written into.
        OpenOptions::new().write(true).create(true).truncate(true).open(path)?.write_all(text.as_bytes())
    }
}
