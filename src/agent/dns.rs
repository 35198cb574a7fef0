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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer with the question's own id and section, so that what follows is read at all.
    fn reply(question: &Question, flags: [u8; 2], records: u16, rest: &[u8]) -> Vec<u8> {
        let mut out = question.id.to_vec();
        out.extend(flags);
        out.extend([0, 1]);
        out.extend(records.to_be_bytes());
        out.extend([0; 4]);
        out.extend(&question.section);
        out.extend(rest);
        out
    }

    #[test]
    fn the_addresses_at_the_end_of_an_alias_are_read() {
        let question = Question::new("www.shop.test.", Kind::A);
        let mut rest = vec![0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 5, 0, 6];
        rest.extend(b"\x03cdn\xc0\x10");
        rest.extend([3, b'c', b'd', b'n', 0xc0, 16, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 1, 2, 3]);
        let answer = question.read(&reply(&question, [0x81, 0x80], 2, &rest)).expect("an answer");
        assert_eq!((answer.rcode, answer.truncated), (NO_ERROR, false));
        assert_eq!(answer.addresses, [IpAddr::from([10, 1, 2, 3])]);
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let asked = Question::new("a.test", Kind::A);
        let message = reply(&asked, [0x81, 0x83], 0, &[]);
        assert_eq!(asked.read(&message).map(|answer| answer.rcode), Some(NXDOMAIN));
        let mut other_id = message.clone();
        other_id[0] ^= 1;
        assert_eq!(asked.read(&other_id), None);
        let mut question_itself = message.clone();
        question_itself[2] &= 0x7f;
        assert_eq!(asked.read(&question_itself), None);
        let mut other_name = message.clone();
        other_name[13] = b'b';
        assert_eq!(asked.read(&other_name), None);
        let mut other_case = message;
        other_case[13] = b'A';
        assert!(asked.read(&other_case).is_some());
    }

    #[test]
    fn a_stream_is_read_once_all_of_it_is_there() {
        let whole = framed(b"message");
        assert_eq!(unframed(&whole), Some(&b"message"[..]));
        for length in 0..whole.len() {
            assert_eq!(unframed(&whole[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(
            flags in any::<[u8; 2]>(),
            records in any::<u16>(),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let question = Question::new("web.shop.test", Kind::Aaaa);
            let _ = question.read(&rest);
            if let Some(answer) = question.read(&reply(&question, flags, records, &rest)) {
                prop_assert!(answer.addresses.len() <= MAX_ADDRESSES);
                prop_assert!(answer.addresses.len() <= usize::from(records));
            }
        }
    }
}
