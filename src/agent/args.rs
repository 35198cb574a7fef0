//! The agent's command line, by hand: what was typed in, a checked plan or a complaint out.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use netcheck::probe_record::MESSAGE_LIMIT;
use netcheck::probe_target::{MAX_TARGETS, Target, decode_batch};

/// What `--help` prints.
pub const HELP: &str = "\
Tries to reach targets from where it runs, and says how each attempt ended, a short record per line.

Usage: netcheck-agent [OPTIONS] [TARGET]...

Targets:
  tcp:HOST:PORT               HOST is an address ([..] around IPv6) or a name, resolved with resolv.conf
  udp:HOST:PORT               a DNS question on ports 53 and 5353, an empty datagram elsewhere
  sctp:HOST:PORT
  dns:NAME                    only resolve the name
  tcp:HOST:PORT+tls[=NAME]    then send a TLS hello for NAME (by default HOST)
  tcp:HOST:PORT+http[=PATH]   then GET PATH (by default /)
  udp:HOST:PORT+dns[=NAME]    then ask for NAME; also over tcp

Options:
      --batch BASE64       more targets: lines of text, in base64
      --timeout SECONDS    how long to wait for a connection, and again for an answer [default: 3]
      --tries N            how often to try where there is only silence, 1 to 5 [default: 2]
      --pace MS            distance between new connections [default: 20]
      --burst N            new connections at once after a pause [default: 4]
      --deadline SECONDS   end whatever is left after that time [default: a minute more than pace and tries can take]
      --listen[=ADDRESS]   also dial a listener of its own on ADDRESS (by default the addresses that packets leave from)
      --counters           also say which of the kernel's network counters changed meanwhile
      --repeat N           try every target N times, 1 to 100 [default: 1]
      --watch SECONDS      with --counters: wait that long before the second reading
      --quiet SECONDS      with --counters: also say which changed in that time before anything is sent
      --resolv-conf PATH   [default: /etc/resolv.conf]
      --out PATH           where the records go besides standard output, `-` for nowhere
                           [default: /dev/termination-log where that exists]
      --limit BYTES        the most bytes written there [default: 4096]
  -h, --help               print this
  -V, --version            print the version

Exit codes: 0 everything is open, 1 something is not, 2 the command line is wrong.
The records and what `open` and the other words mean: docs/agent.md of netcheck.
";

/// What to do.
#[derive(Debug)]
pub enum Command {
    Help,
    Version,
    Run(Box<Plan>),
}

/// What to try, and how.
#[derive(Debug)]
pub struct Plan {
    pub targets: Vec<Target>,
    pub timeout: Duration,
    pub tries: u8,
    pub pace: Duration,
    pub burst: u32,
    /// When to end whatever is left.
    pub deadline: Duration,
    pub listen: Listen,
    pub counters: bool,
    pub repeat: u32,
    pub watch: Duration,
    /// How long the counters are watched before.
    pub quiet: Duration,
    pub resolv_conf: PathBuf,
    pub out: Out,
    pub limit: usize,
}

/// Whether the agent dials itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Listen {
    No,
    /// On the addresses that packets leave from.
    Own,
    On(IpAddr),
}

/// Where the records go besides standard output.
#[derive(Debug, PartialEq, Eq)]
pub enum Out {
    /// The termination message's usual path, where it exists.
    Usual,
    Nowhere,
    File(PathBuf),
}

/// Reads the command line, without the program's name.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut args = args.into_iter();
    let mut plan = Plan {
        targets: Vec::new(),
        timeout: Duration::from_secs(3),
        tries: 2,
        pace: Duration::from_millis(20),
        burst: 4,
        deadline: Duration::ZERO,
        listen: Listen::No,
        counters: false,
        repeat: 1,
        watch: Duration::ZERO,
        quiet: Duration::ZERO,
        resolv_conf: PathBuf::from("/etc/resolv.conf"),
        out: Out::Usual,
        limit: MESSAGE_LIMIT,
    };
    let mut options = true;
    while let Some(arg) = args.next() {
        if !options || !arg.starts_with('-') {
            plan.targets.push(arg.parse().map_err(|error| format!("{error}"))?);
            continue;
        }
        let (flag, attached) = match arg.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        if attached.is_some() && matches!(flag, "-h" | "--help" | "-V" | "--version" | "--counters" | "--") {
            return Err(format!("`{flag}` takes no value"));
        }
        match flag {
            "--" => options = false,
            "-h" | "--help" => return Ok(Command::Help),
            "-V" | "--version" => return Ok(Command::Version),
            "--counters" => plan.counters = true,
            // Its value is optional, so it has to be attached.
            "--listen" => plan.listen = listen(attached)?,
            _ if !TAKES_VALUE.contains(&flag) => return Err(format!("no such option: `{}`", flag.escape_debug())),
            _ => {
                let value = attached.or_else(|| args.next()).ok_or_else(|| format!("`{flag}` needs a value"))?;
                plan.set(flag, &value)?;
            }
        }
    }
    plan.check()?;
    if plan.deadline.is_zero() {
        plan.deadline = plan.longest() + Duration::from_secs(60);
    }
    Ok(Command::Run(Box::new(plan)))
}

const TAKES_VALUE: [&str; 12] = [
    "--batch",
    "--timeout",
    "--tries",
    "--pace",
    "--burst",
    "--deadline",
    "--repeat",
    "--watch",
    "--quiet",
    "--resolv-conf",
    "--out",
    "--limit",
];

impl Plan {
    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        match flag {
            "--batch" => self.targets.extend(decode_batch(value).map_err(|error| error.to_string())?),
            "--timeout" => self.timeout = seconds(flag, value, 60.0)?,
            "--tries" => self.tries = number(flag, value, 1, 5)? as u8,
            "--pace" => self.pace = Duration::from_millis(number(flag, value, 0, 10_000)?.into()),
            "--burst" => self.burst = number(flag, value, 1, 1000)?,
            "--deadline" => self.deadline = seconds(flag, value, 3600.0)?,
            "--repeat" => self.repeat = number(flag, value, 1, 100)?,
            "--watch" => self.watch = seconds(flag, value, 600.0)?,
            "--quiet" => self.quiet = seconds(flag, value, 600.0)?,
            "--resolv-conf" => self.resolv_conf = PathBuf::from(value),
            "--out" if value == "-" => self.out = Out::Nowhere,
            "--out" => self.out = Out::File(PathBuf::from(value)),
            _ => self.limit = number(flag, value, 256, 1 << 20)? as usize,
        }
        Ok(())
    }

    /// How long the dialling takes if every address of a few keeps silent.
    fn longest(&self) -> Duration {
        let starts = self.targets.len() as u32 * self.repeat * u32::from(self.tries);
        (self.pace * starts + self.timeout * u32::from(self.tries)) * 2
    }

    fn check(&self) -> Result<(), String> {
        if self.targets.len() * self.repeat as usize > MAX_TARGETS {
            return Err(format!("more than {MAX_TARGETS} targets"));
        }
        for (flag, time) in [("--watch", self.watch), ("--quiet", self.quiet)] {
            if time > Duration::ZERO && !self.counters {
                return Err(format!("`{flag}` needs `--counters`"));
            }
        }
        if self.targets.is_empty() && self.listen == Listen::No && !self.counters {
            return Err("no target given; `--help` shows how to write one".to_owned());
        }
        Ok(())
    }
}

fn listen(value: Option<String>) -> Result<Listen, String> {
    let Some(value) = value else { return Ok(Listen::Own) };
    let address = value.parse().map_err(|_| format!("`--listen`: `{}` is not an address", value.escape_debug()))?;
    Ok(Listen::On(address))
}

fn number(flag: &str, value: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{flag}` must be a number from {least} to {most}"))
}

fn seconds(flag: &str, value: &str, most: f64) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|seconds| (0.01..=most).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| format!("`{flag}` must be a number of seconds up to {most}"))
}
