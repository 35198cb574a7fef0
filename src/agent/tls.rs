//! A TLS client hello made by hand, and the first bytes of an answer to it.
//!
//! A server name in, bytes out; a server's first bytes in, a judgement out. There is no TLS here beyond that: a server
//! hello proves that a TLS server is reached, no certificate is looked at.

use netcheck::probe_record::{Class, Detail};

use crate::random;
use crate::talk::Judgement;

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// A client hello for TLS 1.2 and 1.3 (RFC 8446, 4.1.2), with the server's name where there is one (RFC 6066, 3).
pub fn client_hello(name: Option<&str>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = name {
        // The name goes without its trailing dot.
        let name = name.trim_end_matches('.').as_bytes();
        let entry = [&[0], sized(name).as_slice()].concat();
        extension(&mut extensions, 0, &sized(&entry));
    }
    // supported_groups: x25519, secp256r1, secp384r1
    extension(&mut extensions, 10, &sized(&[0, 29, 0, 23, 0, 24]));
    // ec_point_formats: uncompressed
    extension(&mut extensions, 11, &[1, 0]);
    // signature_algorithms: ECDSA, RSA-PSS and RSA PKCS#1 with SHA-256 to SHA-512, Ed25519
    let signatures = [4, 3, 5, 3, 6, 3, 8, 7, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1];
    extension(&mut extensions, 13, &sized(&signatures));
    // supported_versions: 1.3, 1.2
    extension(&mut extensions, 43, &[4, 3, 4, 3, 3]);
    // key_share: any 32 bytes are an x25519 public key, and no secret is ever derived from it
    let share = [&[0, 29], sized(&random::bytes::<32>()).as_slice()].concat();
    extension(&mut extensions, 51, &sized(&share));

    let ciphers: Vec<u8> = [
        0x1301u16, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ]
    .into_iter()
    .flat_map(u16::to_be_bytes)
    .collect();

    let mut body = vec![3, 3];
    body.extend(random::bytes::<32>());
    body.push(32);
    body.extend(random::bytes::<32>());
    body.extend(sized(&ciphers));
    body.extend([1, 0]);
    body.extend(sized(&extensions));

    // A handshake's length has three bytes; the hello is far below the first one's reach.
    let handshake = [&[CLIENT_HELLO, 0], sized(&body).as_slice()].concat();
    [&[HANDSHAKE, 3, 1], sized(&handshake).as_slice()].concat()
}

/// What a server's first bytes say.
pub fn judge(reply: &[u8]) -> Judgement {
    let not_tls = Judgement::Done(Class::TlsFailure, Detail::NotTls);
    match *reply {
        [] => Judgement::Wait,
        [first, ..] if first != HANDSHAKE && first != ALERT => not_tls,
        [_, version, ..] if version != 3 => not_tls,
        [HANDSHAKE, _, _, _, _, SERVER_HELLO, ..] => Judgement::Done(Class::Open, Detail::Answered),
        [HANDSHAKE, _, _, _, _, _, ..] => not_tls,
        [ALERT, _, _, _, _, _, number, ..] => Judgement::Done(Class::TlsFailure, Detail::TlsAlert(number)),
        _ => Judgement::Wait,
    }
}

/// The bytes with their length before them, in two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn extension(out: &mut Vec<u8>, number: u16, body: &[u8]) {
    out.extend(number.to_be_bytes());
    out.extend(sized(body));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a length of `width` bytes and as many bytes as it says.
    fn take<'a>(bytes: &mut &'a [u8], width: usize) -> &'a [u8] {
        let (length, rest) = bytes.split_at(width);
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let (taken, rest) = rest.split_at(length);
        *bytes = rest;
        taken
    }

    /// The extensions of a hello, by number; every length in it must add up.
    fn extensions(hello: &[u8]) -> Vec<(u16, Vec<u8>)> {
        assert_eq!(hello[..3], [HANDSHAKE, 3, 1]);
        let mut record = &hello[3..];
        let mut handshake = take(&mut record, 2);
        assert!(record.is_empty());
        assert_eq!(handshake[0], CLIENT_HELLO);
        handshake = &handshake[1..];
        let mut body = take(&mut handshake, 3);
        assert!(handshake.is_empty());
        body = &body[2 + 32..];
        assert_eq!(take(&mut body, 1).len(), 32, "session");
        assert_eq!(take(&mut body, 2).len() % 2, 0, "ciphers");
        assert_eq!(take(&mut body, 1), [0], "compression");
        let mut list = take(&mut body, 2);
        assert!(body.is_empty());
        let mut out = Vec::new();
        while !list.is_empty() {
            let number = u16::from_be_bytes([list[0], list[1]]);
            list = &list[2..];
            out.push((number, take(&mut list, 2).to_vec()));
        }
        out
    }

    #[test]
    fn the_hello_names_the_server() {
        let with = extensions(&client_hello(Some("shop.test.")));
        assert_eq!(with[0], (0, b"\x00\x0c\x00\x00\x09shop.test".to_vec()));
        let numbers = |list: &[(u16, Vec<u8>)]| list.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!(numbers(&extensions(&client_hello(None))), numbers(&with)[1..]);
    }

    #[test]
    fn the_first_bytes_of_an_answer_decide() {
        let done = |class, detail| Judgement::Done(class, detail);
        assert_eq!(judge(&[22, 3, 3, 0, 122]), Judgement::Wait);
        assert_eq!(judge(&[22, 3, 3, 0, 122, 2]), done(Class::Open, Detail::Answered));
        assert_eq!(judge(&[21, 3, 1, 0, 2, 2]), Judgement::Wait);
        assert_eq!(judge(&[21, 3, 1, 0, 2, 2, 40]), done(Class::TlsFailure, Detail::TlsAlert(40)));
        assert_eq!(judge(b"HTTP/1.1 400"), done(Class::TlsFailure, Detail::NotTls));
        assert_eq!(judge(&[22, 9]), done(Class::TlsFailure, Detail::NotTls));
        assert_eq!(judge(&[22, 3, 3, 0, 1, 0]), done(Class::TlsFailure, Detail::NotTls));
    }
}
