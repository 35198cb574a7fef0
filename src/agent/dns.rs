//! DNS messages (RFC 1035): one question out, one answer in.
//!
//! It must not know name servers, search lists or time. Answers are untrusted: they are read within their bounds, and
//! only addresses are taken from them.

use std::net::IpAddr;

use crate::random;

/// The most addresses taken from one answer.
const MAX_ADDRESSES: usize = 64;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4.
    A,
    /// IPv6.
    Aaaa,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Aaaa => 28,
        }
    }
}

/// A question, with the number by which its answer is known.
#[derive(Clone, Debug)]
pub struct Question {
    id: [u8; 2],
    /// The question section: name, type, class.
    section: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response code: 0 no error, 2 server failure, 3 no such name, 5 refused.
    pub rcode: u8,
    /// Whether the rest must be fetched over TCP.
    pub truncated: bool,
    /// The addresses, in the answer's order.
    pub addresses: Vec<IpAddr>,
}

/// Response codes with a class of their own.
pub const NO_ERROR: u8 = 0;
pub const NXDOMAIN: u8 = 3;
pub const REFUSED: u8 = 5;

impl Question {
    /// The question for a name, as it stands: no search list, a trailing dot makes no difference.
    pub fn new(name: &str, kind: Kind) -> Question {
        let mut section = Vec::with_capacity(name.len() + 6);
        for label in name.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
            let label = label.as_bytes();
            let length = label.len().min(63);
            section.push(length as u8);
            section.extend(&label[..length]);
        }
        section.push(0);
        section.extend(kind.number().to_be_bytes());
        section.extend([0, 1]);
        Question { id: random::bytes(), section }
    }

    /// The message that asks it, recursion desired.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.id.to_vec();
        out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend(&self.section);
        out
    }

    /// Reads the answer to it; `None` if the message is none.
    pub fn read(&self, message: &[u8]) -> Option<Answer> {
        let header = message.get(..12)?;
        if header[..2] != self.id || header[2] & 0x80 == 0 {
            return None;
        }
        let rcode = header[3] & 0x0f;
        let truncated = header[2] & 0x02 != 0;
        let questions = u16::from_be_bytes([header[4], header[5]]);
        let records = u16::from_be_bytes([header[6], header[7]]);
        let mut at = 12;
        match questions {
            // Some servers leave the question out where they fail.
            0 if rcode != NO_ERROR => {}
            1 => {
                let section = message.get(at..at + self.section.len())?;
                if !section.eq_ignore_ascii_case(&self.section) {
                    return None;
                }
                at += section.len();
            }
            _ => return None,
        }
        let mut addresses = Vec::new();
        for _ in 0..records {
            let Some((address, next)) = read_record(message, at) else { break };
            at = next;
            addresses.extend(address.filter(|address| !addresses.contains(address)));
            if addresses.len() >= MAX_ADDRESSES {
                break;
            }
        }
        Some(Answer { rcode, truncated, addresses })
    }
}

/// The address in the record at a place, if it holds one, and where the next record begins.
fn read_record(message: &[u8], at: usize) -> Option<(Option<IpAddr>, usize)> {
    let at = skip_name(message, at)?;
    let fixed = message.get(at..at + 10)?;
    let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
    let class = u16::from_be_bytes([fixed[2], fixed[3]]);
    let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    let data = message.get(at + 10..at + 10 + length)?;
    let address = match (kind, class) {
        (1, 1) => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        (28, 1) => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    };
    Some((address, at + 10 + length))
}

/// Where a name ends. A pointer ends it; where it points is of no interest.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

/// A message as it goes over TCP, its length before it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}

/// The message that came over TCP, once all of it is there.
pub fn unframed(stream: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*stream.first()?, *stream.get(1)?]));
    stream.get(2..2 + length)
}
