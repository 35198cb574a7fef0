//! What the probe agent is asked: targets, one word each, and a batch of them as one argument.
//!
//! The live probe writes them, the agent reads them; both use this one file. It knows nothing of sockets or of
//! Kubernetes. Everything read is bounded and checked, and whatever parses prints as it was parsed.
//!
//! ```text
//! tcp:10.0.0.1:5432      udp:kube-dns.kube-system:53      sctp:[fd00::1]:9999
//! tcp:shop.example:443+tls=shop.example      tcp:cart:8080+http=/healthz      dns:cart.shop
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::probe_record::checksum;

/// The most targets in one run.
pub const MAX_TARGETS: usize = 4096;

/// The longest target, in bytes.
const MAX_TARGET: usize = 1024;

/// The longest name (RFC 1035, 2.3.4), as text without the trailing dot.
const MAX_NAME: usize = 253;

/// One thing to try.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where.
    pub host: Host,
    /// What to do there; `None`: only resolve the name.
    pub dial: Option<Dial>,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name, which the agent resolves with the pod's `resolv.conf`.
    Name(String),
}

/// How a target is dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dial {
    /// The transport.
    pub protocol: Protocol,
    /// The port, never 0.
    pub port: u16,
    /// What is said once connected.
    pub talk: Talk,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// What is said once connected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Talk {
    /// Nothing (an empty datagram over UDP).
    Nothing,
    /// A TLS client hello, for the named server; without a name that of the target.
    Tls(Option<String>),
    /// An HTTP GET of the path.
    Http(String),
    /// A DNS question for the name; without a name one that a cluster's DNS answers by itself.
    Dns(Option<String>),
}

/// Why a target or a batch was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError(String);

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TargetError {}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dial) = &self.dial else {
            return write!(f, "dns:{}", self.host);
        };
        write!(f, "{}:{}:{}", dial.protocol, self.host, dial.port)?;
        match &dial.talk {
            Talk::Nothing => Ok(()),
            Talk::Tls(None) => f.write_str("+tls"),
            Talk::Tls(Some(name)) => write!(f, "+tls={name}"),
            Talk::Http(path) => write!(f, "+http={path}"),
            Talk::Dns(None) => f.write_str("+dns"),
            Talk::Dns(Some(name)) => write!(f, "+dns={name}"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Address(address) => write!(f, "{address}"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let shown: String = text.chars().take(80).flat_map(char::escape_default).collect();
        parse(text).map_err(|why| TargetError(format!("target `{shown}`: {why}")))
    }
}

fn parse(text: &str) -> Result<Target, String> {
    if text.len() > MAX_TARGET {
        return Err(format!("longer than {MAX_TARGET} bytes"));
    }
    let mut parts = text.split('+');
    let place = parts.next().unwrap_or_default();
    let (scheme, rest) = place.split_once(':').ok_or("expected `PROTOCOL:HOST:PORT` or `dns:NAME`")?;
    let protocol = match scheme {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        "dns" => {
            if parts.next().is_some() {
                return Err("`dns:NAME` takes no options".to_owned());
            }
            return Ok(Target { host: Host::Name(name(rest)?), dial: None });
        }
        _ => return Err("the protocol must be `tcp`, `udp`, `sctp` or `dns`".to_owned()),
    };
    let (host, port) = rest.rsplit_once(':').ok_or("expected a port after the host")?;
    let port = number(port).filter(|port| *port != 0).ok_or("the port must be a number from 1 to 65535")?;
    let mut talk = Talk::Nothing;
    for option in parts {
        if talk != Talk::Nothing {
            return Err("only one of `+tls`, `+http` and `+dns` can be given".to_owned());
        }
        talk = parse_talk(option, protocol)?;
    }
    Ok(Target { host: parse_host(host)?, dial: Some(Dial { protocol, port, talk }) })
}

fn parse_host(text: &str) -> Result<Host, String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| "not an IPv6 address between the brackets")?;
        return Ok(Host::Address(IpAddr::V6(address)));
    }
    if text.contains(':') {
        return Err("an IPv6 address needs brackets".to_owned());
    }
    match text.parse() {
        Ok(address) => Ok(Host::Address(address)),
        Err(_) => name(text).map(Host::Name),
    }
}

fn parse_talk(option: &str, protocol: Protocol) -> Result<Talk, String> {
    let (word, value) = match option.split_once('=') {
        Some((word, value)) => (word, Some(value)),
        None => (option, None),
    };
    match (word, protocol) {
        ("tls", Protocol::Tcp) => value.map(name).transpose().map(Talk::Tls),
        ("http", Protocol::Tcp) => path(value.unwrap_or("/")).map(Talk::Http),
        ("dns", Protocol::Tcp | Protocol::Udp) => value.map(name).transpose().map(Talk::Dns),
        ("tls" | "http" | "dns", _) => Err(format!("`+{word}` does not go with `{protocol}`")),
        _ => Err("the options are `+tls`, `+http` and `+dns`".to_owned()),
    }
}

/// A name that can be asked for: labels of 1 to 63 letters, digits, `-` and `_`; a trailing dot is allowed.
fn name(text: &str) -> Result<String, String> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    // A name made of digits and dots alone is a mistyped address; no such top-level domain exists (RFC 3696, 2).
    let digits = bare.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if bare.len() <= MAX_NAME && bare.split('.').all(label) && !digits {
        Ok(text.to_owned())
    } else {
        Err("not an address and not a host name".to_owned())
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("the path must start with `/` and hold no spaces; write `+` as `%2B`".to_owned())
    }
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0'))
}

/// The number by which an answer is known to belong to these targets ([`Message::batch`](crate::probe_record::Message)).
pub fn batch_number(targets: &[Target]) -> u32 {
    checksum(batch_text(targets).as_bytes())
}

/// Targets as one argument: their text, a line each, in base64, which no shell and no `$(NAME)` in a pod's arguments
/// changes.
pub fn encode_batch(targets: &[Target]) -> String {
    to_base64(batch_text(targets).as_bytes())
}

/// Reads what [`encode_batch`] wrote. Fails on anything else, and on more than [`MAX_TARGETS`].
pub fn decode_batch(text: &str) -> Result<Vec<Target>, TargetError> {
    let wrong = |why: &str| TargetError(format!("batch: {why}"));
    let bytes = from_base64(text.trim()).ok_or_else(|| wrong("not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("not text"))?;
    let targets = text.lines().take(MAX_TARGETS + 1).map(str::parse).collect::<Result<Vec<Target>, _>>()?;
    if targets.len() > MAX_TARGETS {
        return Err(wrong("more than 4096 targets"));
    }
    Ok(targets)
}

fn batch_text(targets: &[Target]) -> String {
    let mut text = String::new();
    for target in targets {
        text.push_str(&target.to_string());
        text.push('\n');
    }
    text
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, 4).
fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| bits << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Base64, with or without padding.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut bits = 0u32;
        for i in 0..4 {
            let digit = match chunk.get(i) {
                Some(byte) => ALPHABET.iter().position(|digit| digit == byte)?,
                None => 0,
            };
            bits = bits << 6 | digit as u32;
        }
        out.extend(bits.to_be_bytes().into_iter().skip(1).take(chunk.len() - 1));
    }
    Some(out)
}
