//! Connection errors in application logs.
//!
//! Text of a container's log comes in, as one string or as bytes in pieces ([`Scanner`]); out come
//! the connection errors it holds ([`LogError`]), each with a class, the host and port where the
//! line names them, and the line itself without credentials; beside them the application's own
//! errors ([`Evidence`]), which tell the other causes of a crash apart. Logs are untrusted: lines,
//! results and the text kept are bounded. Knows nothing of pods, policies or clusters, and does no
//! input or output; terminal escapes are kept as they are, for the printing layer to neutralise.
//!
//! A line is unwrapped (`unwrap`: container runtime prefixes, JSON, klog), classed by tables of
//! patterns (`rules`), its address found (`endpoint`), and joined with its neighbours (`join`).

mod endpoint;
mod evidence;
mod join;
mod rules;
mod scanner;
mod scrub;
mod unwrap;
mod words;

use serde::Serialize;

pub use endpoint::Endpoint;
pub use evidence::{Evidence, EvidenceKind};
pub use scanner::{Limits, Scan, Scanner};
pub use scrub::scrub;

/// What a log line says of a connection that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogClass {
    /// Nothing came back: packets were dropped, or the other end is too slow.
    Timeout,
    /// The host answered that nobody listens there.
    Refused,
    /// An established connection was cut.
    Reset,
    /// No route, an ICMP answer, or a client that only says that it could not get there.
    Unreachable,
    /// A name server answered that there is no such name.
    DnsNxdomain,
    /// No name server answered.
    DnsTimeout,
    /// A name server answered that it can't tell.
    DnsServfail,
    /// TCP worked, the TLS handshake did not.
    Tls,
    /// A connection pool had no connection to give.
    Pool,
    /// The line leads up to an error or wraps one, and does not say which.
    Context,
}

impl LogClass {
    /// The name of the class in machine output.
    pub fn as_str(self) -> &'static str {
        match self {
            LogClass::Timeout => "timeout",
            LogClass::Refused => "refused",
            LogClass::Reset => "reset",
            LogClass::Unreachable => "unreachable",
            LogClass::DnsNxdomain => "dns-nxdomain",
            LogClass::DnsTimeout => "dns-timeout",
            LogClass::DnsServfail => "dns-servfail",
            LogClass::Tls => "tls",
            LogClass::Pool => "pool",
            LogClass::Context => "context",
        }
    }

    /// Whether the name was not resolved.
    pub fn is_dns(self) -> bool {
        matches!(self, LogClass::DnsNxdomain | LogClass::DnsTimeout | LogClass::DnsServfail)
    }
}

impl std::fmt::Display for LogClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One connection error of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogError {
    /// What happened.
    pub class: LogClass,
    /// The name or address that was dialled, as the log spells it; for a failed lookup the name
    /// that was looked up, never the name server.
    pub host: Option<String>,
    /// The port that was dialled, where the log says it. Never guessed from a scheme.
    pub port: Option<u16>,
    /// The log's line as it was written, without credentials, cut at [`Limits::line`].
    pub line: String,
    /// The part of the line that settled the class, where the line was JSON or held several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The line's number in the log, from 1.
    pub line_number: usize,
    /// The number of the last line that said the same.
    pub last_line: usize,
    /// How often it was said.
    pub count: usize,
    /// False where the line alone does not settle the class.
    pub certain: bool,
    /// True where the other end is a client of this process (`could not receive data from
    /// client`): not a dependency that it failed to reach.
    pub inbound: bool,
    /// The language, driver or program that prints such lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<&'static str>,
    /// The other spelling of the host: its address where `host` is a name, or the reverse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The scheme of the URL that was dialled (`postgres`, `https`), which implies a port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Where the error names no host: the address named by a line before it
    /// (`connecting to db:5432`). A hint, not a proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Endpoint>,
}

/// The connection errors of a log, in the order of their lines.
pub fn scan(text: &str) -> Vec<LogError> {
    read(text).errors
}

/// The application's own errors in a log (no memory, no permission, a missing file, a panic), in
/// the order of their lines.
pub fn evidence(text: &str) -> Vec<Evidence> {
    read(text).evidence
}

/// Everything a log says, within the default [`Limits`].
pub fn read(text: &str) -> Scan {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(text.as_bytes());
    scanner.finish()
}
