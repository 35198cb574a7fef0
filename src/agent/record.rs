//! What the probe agent says: one short line of text per result, each with its own checksum.
//!
//! The agent writes these lines to its termination message and its output, the live probe reads them back from a
//! pod's status or a container's log. Both sides use this one file. It knows nothing of sockets or of Kubernetes, and
//! reading never panics and never grows past its input: what comes back from a cluster is not trusted.
//!
//! The form is described for people in `docs/agent.md`:
//!
//! ```text
//! netcheck1 9f2c01ab 3 3 6012 #0565
//! d 0 open 2 1 10.96.0.10 search1.1 #eb1e
//! p 0 timeout 6004 2 10.96.7.1 - #d529
//! p 1 prohibited 1 1 10.1.2.3 icmp3.13@10.1.0.1 #9cd8
//! ```

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Counters that go before results where not everything fits: the few that tell most stand first.
const FIRST_COUNTERS: usize = 24;

/// Bytes of a termination message that the kubelet keeps (it keeps the last ones of a longer file).
pub const MESSAGE_LIMIT: usize = 4096;

/// The first word of a header: the name of the form and its version.
const MAGIC: &str = "netcheck1";

/// The most lines taken from one text: more than the agent can write for its largest batch.
const MAX_LINES: usize = 1 << 17;

/// The longest name of a counter.
const MAX_COUNTER_NAME: usize = 64;

/// What a step came to. The meaning of each is in `docs/agent.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The step succeeded: a connection was established (and what was sent over it was answered), a datagram was
    /// answered, a name was resolved.
    Open,
    /// The connection was established, but what was sent over it was not answered.
    OpenSilent,
    /// A datagram was sent and nothing came back: a drop and a server with nothing to say look the same.
    OpenOrFiltered,
    /// Refused by the protocol itself: a TCP reset, an SCTP abort.
    Refused,
    /// Refused by an ICMP "port unreachable" or "protocol unreachable".
    RefusedIcmp,
    /// An ICMP message (or the own kernel) says that it is forbidden.
    Prohibited,
    /// No way there: an ICMP message, or no route in the own kernel.
    Unreachable,
    /// Silence: every try ran out of time.
    Timeout,
    /// The connection was established and then reset by the other end.
    Reset,
    /// The name does not exist, with any entry of the search list.
    DnsNxdomain,
    /// The name exists and has no address.
    DnsNodata,
    /// No name server answered in time.
    DnsTimeout,
    /// A name server answered that it failed, or with something that is no answer.
    DnsServfail,
    /// A name server answered that it refuses the question.
    DnsRefused,
    /// The connection was established, the other end does not speak TLS or refuses the hello.
    TlsFailure,
    /// The kernel here has no such protocol.
    Unsupported,
    /// It could not be tried: a fault of the place where the agent runs.
    Error,
}

impl Class {
    /// Every class, in the order of the documentation.
    pub const ALL: [Class; 17] = [
        Class::Open,
        Class::OpenSilent,
        Class::OpenOrFiltered,
        Class::Refused,
        Class::RefusedIcmp,
        Class::Prohibited,
        Class::Unreachable,
        Class::Timeout,
        Class::Reset,
        Class::DnsNxdomain,
        Class::DnsNodata,
        Class::DnsTimeout,
        Class::DnsServfail,
        Class::DnsRefused,
        Class::TlsFailure,
        Class::Unsupported,
        Class::Error,
    ];

    /// The word that stands for it in a record.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Open => "open",
            Class::OpenSilent => "open-silent",
            Class::OpenOrFiltered => "open-or-filtered",
            Class::Refused => "refused",
            Class::RefusedIcmp => "refused-icmp",
            Class::Prohibited => "prohibited",
            Class::Unreachable => "unreachable",
            Class::Timeout => "timeout",
            Class::Reset => "reset",
            Class::DnsNxdomain => "dns-nxdomain",
            Class::DnsNodata => "dns-nodata",
            Class::DnsTimeout => "dns-timeout",
            Class::DnsServfail => "dns-servfail",
            Class::DnsRefused => "dns-refused",
            Class::TlsFailure => "tls-failure",
            Class::Unsupported => "unsupported",
            Class::Error => "error",
        }
    }

    /// Whether the step succeeded outright. `open-silent` and `open-or-filtered` did not.
    pub fn is_open(self) -> bool {
        self == Class::Open
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which step a record is about; its index counts in what the step says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The agent dialled its own listener; index: the address, in the order tried.
    Control,
    /// A name server was asked over UDP; index: its place in `resolv.conf`.
    ServerUdp,
    /// A name server was asked over TCP, which long answers need; index: its place in `resolv.conf`.
    ServerTcp,
    /// A target's name was resolved; index: the target's place in the batch.
    Name,
    /// One address of a target was dialled; index: the target's place in the batch.
    Probe,
}

impl Step {
    fn letter(self) -> &'static str {
        match self {
            Step::Control => "c",
            Step::ServerUdp => "u",
            Step::ServerTcp => "t",
            Step::Name => "d",
            Step::Probe => "p",
        }
    }

    fn from_letter(letter: &str) -> Option<Step> {
        let all = [Step::Control, Step::ServerUdp, Step::ServerTcp, Step::Name, Step::Probe];
        all.into_iter().find(|step| step.letter() == letter)
    }
}

/// What more is known of a result than its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detail {
    /// Nothing.
    None,
    /// An ICMP message, by type and code, and who sent it. `v6` tells ICMPv6 from ICMP.
    Icmp {
        /// Whether it is an ICMPv6 message.
        v6: bool,
        /// The message's type.
        kind: u8,
        /// The message's code.
        code: u8,
        /// The node that sent it.
        from: Option<IpAddr>,
    },
    /// The number of the error that the own kernel gave (Linux).
    Errno(u16),
    /// The status code of an HTTP answer; 0: something came, and it was not HTTP.
    Http(u16),
    /// The number of a TLS alert.
    TlsAlert(u8),
    /// Something came, and it was not TLS.
    NotTls,
    /// The other end closed the connection without a word.
    Closed,
    /// The other end spoke first, or answered what the agent sent.
    Answered,
    /// The response code of a DNS answer.
    Rcode(u8),
    /// A name was resolved: with which entry of the search list (0: as it stands), to how many addresses.
    Resolved {
        /// The entry of the search list, from 1; 0 for the name as it stands.
        search: u8,
        /// The number of addresses, of which the agent dials the first 16 of the families that the pod has.
        addresses: u8,
    },
    /// The port of the agent's own listener.
    Port(u16),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Detail::None => f.write_str("-"),
            Detail::Icmp { v6, kind, code, from } => {
                f.write_str(if v6 { "icmp6-" } else { "icmp" })?;
                write!(f, "{kind}.{code}")?;
                from.map_or(Ok(()), |from| write!(f, "@{from}"))
            }
            Detail::Errno(number) => write!(f, "errno{number}"),
            Detail::Http(status) => write!(f, "http{status}"),
            Detail::TlsAlert(number) => write!(f, "alert{number}"),
            Detail::NotTls => f.write_str("not-tls"),
            Detail::Closed => f.write_str("closed"),
            Detail::Answered => f.write_str("answered"),
            Detail::Rcode(number) => write!(f, "rcode{number}"),
            Detail::Resolved { search, addresses } => write!(f, "search{search}.{addresses}"),
            Detail::Port(port) => write!(f, "port{port}"),
        }
    }
}

impl Detail {
    fn parse(text: &str) -> Option<Detail> {
        match text {
            "-" => return Some(Detail::None),
            "not-tls" => return Some(Detail::NotTls),
            "closed" => return Some(Detail::Closed),
            "answered" => return Some(Detail::Answered),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("icmp") {
            let (v6, rest) = rest.strip_prefix("6-").map_or((false, rest), |rest| (true, rest));
            let (message, from) = match rest.split_once('@') {
                Some((message, from)) => (message, Some(from.parse().ok()?)),
                None => (rest, None),
            };
            let (kind, code) = message.split_once('.')?;
            return Some(Detail::Icmp { v6, kind: number(kind)?, code: number(code)?, from });
        }
        if let Some(rest) = text.strip_prefix("search") {
            let (search, addresses) = rest.split_once('.')?;
            return Some(Detail::Resolved { search: number(search)?, addresses: number(addresses)? });
        }
        let split = text.find(|c: char| c.is_ascii_digit())?;
        let (word, digits) = text.split_at(split);
        match word {
            "errno" => number(digits).map(Detail::Errno),
            "http" => number(digits).map(Detail::Http),
            "alert" => number(digits).map(Detail::TlsAlert),
            "rcode" => number(digits).map(Detail::Rcode),
            "port" => number(digits).map(Detail::Port),
            _ => None,
        }
    }
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Which step it is about.
    pub step: Step,
    /// What the step counts: see [`Step`].
    pub index: u16,
    /// What it came to.
    pub class: Class,
    /// How long the step took, in milliseconds, tries that failed included.
    pub millis: u32,
    /// How many times it was tried.
    pub tries: u8,
    /// The address that was dialled, or the name server that was asked.
    pub address: Option<IpAddr>,
    /// What more is known.
    pub detail: Detail,
}

/// By how much one of the kernel's counters grew during a burst.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// Its name: the table and the column, such as `Tcp.RetransSegs` or `eth0.rx_packets`.
    pub name: String,
    /// The difference.
    pub delta: i64,
}

impl Counter {
    /// A counter, if its name can stand in a record: printable ASCII without spaces, not empty, at most 64 bytes.
    pub fn new(name: String, delta: i64) -> Option<Counter> {
        let fits = !name.is_empty() && name.len() <= MAX_COUNTER_NAME && name.bytes().all(|b| b.is_ascii_graphic());
        fits.then_some(Counter { name, delta })
    }
}

/// What a target came to, by its records: of its name where that failed, else of its addresses, a success before
/// anything else. None without any record.
pub fn class_of(records: &[Record]) -> Option<Class> {
    let name = records.iter().find(|r| r.step == Step::Name).map(|r| r.class);
    if let Some(class) = name.filter(|class| !class.is_open()) {
        return Some(class);
    }
    let probes = || records.iter().filter(|r| r.step == Step::Probe).map(|r| r.class);
    probes().find(|class| class.is_open()).or_else(|| probes().next()).or(name)
}

/// A line after the header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// A result.
    Result(Record),
    /// A counter.
    Counter(Counter),
}

impl fmt::Display for Line {
    /// The line without its checksum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Result(r) => {
                write!(f, "{} {} {} {} {} ", r.step.letter(), r.index, r.class, r.millis, r.tries)?;
                match r.address {
                    Some(address) => write!(f, "{address}")?,
                    None => f.write_str("-")?,
                }
                write!(f, " {}", r.detail)
            }
            Line::Counter(c) => write!(f, "v {} {}", c.name, c.delta),
        }
    }
}

impl Line {
    /// Reads a line without its checksum.
    pub fn parse(text: &str) -> Option<Line> {
        let mut words = text.split(' ');
        let first = words.next()?;
        let line = if first == "v" {
            let name = words.next()?.to_owned();
            Line::Counter(Counter::new(name, signed(words.next()?)?)?)
        } else {
            let step = Step::from_letter(first)?;
            let index = number(words.next()?)?;
            let class = words.next()?;
            let class = Class::ALL.into_iter().find(|c| c.as_str() == class)?;
            let millis = number(words.next()?)?;
            let tries = number(words.next()?)?;
            let address = match words.next()? {
                "-" => None,
                address => Some(address.parse().ok()?),
            };
            let detail = Detail::parse(words.next()?)?;
            Line::Result(Record { step, index, class, millis, tries, address, detail })
        };
        words.next().is_none().then_some(line)
    }

    /// Whether it says that something did not succeed: such lines go first where not all of them fit.
    fn is_bad_news(&self) -> bool {
        matches!(self, Line::Result(record) if !record.class.is_open())
    }

    fn is_counter(&self) -> bool {
        matches!(self, Line::Counter(_))
    }
}

/// All that one run of the agent has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// [`checksum`] of the batch's text: that the answer is to this question.
    pub batch: u32,
    /// How long the whole run took, in milliseconds.
    pub millis: u32,
    /// The results.
    pub lines: Vec<Line>,
}

impl Message {
    /// The message as text, every line of it.
    pub fn encode(&self) -> String {
        let mut out = self.header(self.lines.len());
        for line in &self.lines {
            push_line(&mut out, &line.to_string());
        }
        out
    }

    /// The message in at most `limit` bytes. Where not every line fits, the header says how many there are; the first
    /// counters, which somebody asked for, go first, and then those lines that tell of a failure.
    pub fn encode_within(&self, limit: usize) -> String {
        let whole = self.encode();
        if whole.len() <= limit {
            return whole;
        }
        let mut room = limit.saturating_sub(self.header(self.lines.len()).len());
        let (counters, results) = self.lines.iter().partition::<Vec<_>, _>(|line| line.is_counter());
        let (first, more) = counters.split_at(counters.len().min(FIRST_COUNTERS));
        let (bad, good) = results.into_iter().partition::<Vec<_>, _>(|line| line.is_bad_news());
        let mut body = String::new();
        let mut written = 0;
        for line in first.iter().copied().chain(bad).chain(good).chain(more.iter().copied()) {
            let mut text = String::new();
            push_line(&mut text, &line.to_string());
            if text.len() > room {
                break;
            }
            room -= text.len();
            body.push_str(&text);
            written += 1;
        }
        let mut out = self.header(written);
        out.push_str(&body);
        out
    }

    fn header(&self, written: usize) -> String {
        let mut out = String::new();
        let text = format!("{MAGIC} {:08x} {} {written} {}", self.batch, self.lines.len(), self.millis);
        push_line(&mut out, &text);
        out
    }
}

/// What was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The batch that it answers, see [`Message::batch`].
    pub batch: u32,
    /// How long the run took, in milliseconds.
    pub millis: u32,
    /// How many lines the agent had to say.
    pub total: usize,
    /// How many of them it wrote here.
    pub written: usize,
    /// The lines that were read and whose checksums are right.
    pub lines: Vec<Line>,
}

impl Report {
    /// How many lines are missing: not written for want of room, cut off on the way, or damaged.
    pub fn missing(&self) -> usize {
        self.total.saturating_sub(self.lines.len())
    }

    /// The results among the lines.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.lines.iter().filter_map(|line| match line {
            Line::Result(record) => Some(record),
            Line::Counter(_) => None,
        })
    }

    /// The counters among the lines.
    pub fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.lines.iter().filter_map(|line| match line {
            Line::Counter(counter) => Some(counter),
            Line::Result(_) => None,
        })
    }
}

/// Reads what the agent wrote, from a termination message or a log. Lines that aren't its own, or are damaged, are
/// passed over ([`Report::missing`] counts them); of several runs in one log the last one counts. `None` where there is
/// no header.
pub fn decode(text: &str) -> Option<Report> {
    let mut report = None;
    for line in text.lines().take(MAX_LINES) {
        let Some(line) = verified(line) else { continue };
        if let Some(header) = parse_header(line) {
            report = Some(header);
        } else if let (Some(report), Some(line)) = (&mut report, Line::parse(line))
            && report.lines.len() < report.written
        {
            report.lines.push(line);
        }
    }
    report
}

fn parse_header(text: &str) -> Option<Report> {
    let mut words = text.strip_prefix(MAGIC)?.strip_prefix(' ')?.split(' ');
    let batch = words.next().filter(|hex| hex.len() == 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let batch = u32::from_str_radix(batch, 16).ok()?;
    let total = number::<u32>(words.next()?)? as usize;
    let written = number::<u32>(words.next()?)? as usize;
    let millis = number(words.next()?)?;
    let fits = words.next().is_none() && written <= total;
    fits.then_some(Report { batch, millis, total, written, lines: Vec::new() })
}

/// CRC-32 (IEEE 802.3), by which a batch is known again.
pub fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    };
    !bytes.iter().fold(!0, step)
}

/// A line's checksum, in four hexadecimal digits: CRC-16 (polynomial 0x1021, initial value all ones), which notices
/// every change within two neighbouring letters.
pub fn line_checksum(text: &str) -> String {
    let step = |crc: u16, byte: &u8| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc >> 15 == 1 { crc << 1 ^ 0x1021 } else { crc << 1 })
    };
    format!("{:04x}", text.as_bytes().iter().fold(!0, step))
}

fn push_line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push_str(" #");
    out.push_str(&line_checksum(text));
    out.push('\n');
}

fn verified(line: &str) -> Option<&str> {
    let (text, sum) = line.trim_end().rsplit_once(" #")?;
    (line_checksum(text) == sum).then_some(text)
}

/// A number as the agent writes it: decimal digits only, without a sign or leading zeros.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn signed(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    number::<u64>(digits)?;
    text.parse().ok()
}
