//! What is said over a connection and what the answer means: nothing, a TLS hello, an HTTP GET, a DNS question.
//!
//! Bytes in, a judgement out; it must not know sockets or time. Answers are untrusted: nothing of them is kept but a
//! number.

use netcheck::probe_record::{Class, Detail};
use netcheck::probe_target::{Dial, Host, Protocol, Talk};

use crate::dns::{self, Question};
use crate::tls;

/// A conversation: what to say first, and how to read the answer.
#[derive(Clone, Debug)]
pub struct Script {
    /// The bytes to send; empty and a stream: nothing is sent.
    pub say: Vec<u8>,
    expect: Expect,
}

#[derive(Clone, Debug)]
enum Expect {
    Nothing,
    Tls,
    Http,
    Dns { question: Question, stream: bool },
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It can't be said yet.
    Wait,
    /// That is the result.
    Done(Class, Detail),
}

impl Script {
    /// The conversation with a target.
    pub fn for_target(host: &Host, dial: &Dial, local_dns_name: &str) -> Script {
        match &dial.talk {
            Talk::Tls(name) => {
                let name = name.as_deref().or(match host {
                    Host::Name(name) => Some(name.as_str()),
                    Host::Address(_) => None,
                });
                Script { say: tls::client_hello(name), expect: Expect::Tls }
            }
            Talk::Http(path) => {
                let request = format!(
                    "GET {path} HTTP/1.1\r\nHost: {host}:{}\r\nUser-Agent: netcheck-agent/{}\r\nAccept: */*\r\n\
                     Connection: close\r\n\r\n",
                    dial.port,
                    env!("CARGO_PKG_VERSION"),
                );
                Script { say: request.into_bytes(), expect: Expect::Http }
            }
            Talk::Dns(name) => {
                let name = name.as_deref().unwrap_or(local_dns_name);
                Script::dns(Question::new(name, dns::Kind::A), dial.protocol)
            }
            // Of a UDP server only these can be made to answer without knowing what it is.
            Talk::Nothing if dial.protocol == Protocol::Udp && matches!(dial.port, 53 | 5353) => {
                Script::dns(Question::new(local_dns_name, dns::Kind::A), dial.protocol)
            }
            Talk::Nothing => Script::silent(),
        }
    }

    /// Nothing is said.
    pub fn silent() -> Script {
        Script { say: Vec::new(), expect: Expect::Nothing }
    }

    /// A DNS question.
    pub fn dns(question: Question, protocol: Protocol) -> Script {
        let stream = protocol != Protocol::Udp;
        let say = if stream { dns::framed(&question.encode()) } else { question.encode() };
        Script { say, expect: Expect::Dns { question, stream } }
    }

    /// Whether anything is expected of the other end of a stream.
    pub fn is_silent(&self) -> bool {
        matches!(self.expect, Expect::Nothing)
    }

    /// Judges what has come so far: `reply` is a stream's bytes so far, or one datagram.
    pub fn judge(&self, reply: &[u8]) -> Judgement {
        match &self.expect {
            Expect::Nothing => Judgement::Done(Class::Open, Detail::Answered),
            Expect::Tls => tls::judge(reply),
            Expect::Http => judge_http(reply),
            Expect::Dns { question, stream } => {
                let message = if *stream { dns::unframed(reply) } else { Some(reply) };
                match message.and_then(|message| question.read(message)) {
                    Some(answer) => Judgement::Done(Class::Open, Detail::Rcode(answer.rcode)),
                    None => Judgement::Wait,
                }
            }
        }
    }

    /// Judges a stream that the other end closed before it could be judged otherwise.
    pub fn judge_end(&self) -> (Class, Detail) {
        match self.expect {
            Expect::Nothing => (Class::Open, Detail::Closed),
            Expect::Tls => (Class::TlsFailure, Detail::Closed),
            Expect::Http | Expect::Dns { .. } => (Class::OpenSilent, Detail::Closed),
        }
    }
}

/// RFC 9112, 4: `HTTP/1.1 200 ...`.
fn judge_http(reply: &[u8]) -> Judgement {
    const START: &[u8] = b"HTTP/1.";
    let known = reply.len().min(START.len());
    if reply[..known] != START[..known] {
        return Judgement::Done(Class::Open, Detail::Http(0));
    }
    let Some(status) = reply.get(9..12) else { return Judgement::Wait };
    let status = std::str::from_utf8(status).ok().and_then(|digits| digits.parse().ok());
    Judgement::Done(Class::Open, Detail::Http(status.unwrap_or(0)))
}
