//! Servers for the server's end of a [`World`](super::World), one for each way of answering. Their threads end with
//! the test's process.

use std::io::{Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket, sockopt,
};

use super::World;

/// A TCP server that does the same with every connection.
pub fn tcp(world: &World, at: &str, serve: fn(TcpStream)) {
    let at: SocketAddr = at.parse().expect("an address");
    let listener = world.inside("s", move || TcpListener::bind(at).expect("to listen"));
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(move || serve(stream)))));
}

/// A listener of which nobody accepts, with a queue that is full: keep what comes back.
pub fn full(at: &str) -> (OwnedFd, Vec<TcpStream>) {
    let at: SocketAddrV4 = at.parse().expect("an address");
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).expect("a socket");
    bind(socket.as_raw_fd(), &SockaddrIn::from(at)).expect("to bind");
    listen(&socket, Backlog::new(1).expect("a length")).expect("to listen");
    // One more than the queue's length is kept (listen(2)).
    let waiting = (0..2).map(|_| TcpStream::connect(at).expect("to connect")).collect();
    (socket, waiting)
}

/// A UDP server that answers every datagram, or doesn't.
pub fn udp(world: &World, at: &str, answer: fn(&[u8]) -> Option<Vec<u8>>) {
    let at: SocketAddr = at.parse().expect("an address");
    let socket = world.inside("s", move || UdpSocket::bind(at).expect("to bind"));
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(reply) = answer(&buffer[..length]) {
                let _ = socket.send_to(&reply, from);
            }
        }
    });
}

/// Keeps the connection and says nothing.
pub fn silent(stream: TcpStream) {
    thread::sleep(Duration::from_secs(60));
    drop(stream);
}

/// Waits for something to be said, then answers with it.
fn answer_with(mut stream: TcpStream, reply: &[u8]) {
    let mut buffer = [0; 2048];
    if matches!(stream.read(&mut buffer), Ok(1..)) {
        let _ = stream.write_all(reply);
        silent(stream);
    }
}

/// An HTTP server with nothing in it.
pub fn http(stream: TcpStream) {
    answer_with(stream, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

/// Answers a hello with the first bytes of a TLS server hello.
pub fn tls(stream: TcpStream) {
    answer_with(stream, &[22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3]);
}

/// Answers a hello with the alert "unrecognized name".
pub fn tls_alert(stream: TcpStream) {
    answer_with(stream, &[21, 3, 3, 0, 2, 2, 112]);
}

/// Speaks first.
pub fn banner(mut stream: TcpStream) {
    let _ = stream.write_all(b"220 ready\r\n");
    silent(stream);
}

/// Resets what it accepts.
pub fn reset(stream: TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream.as_fd(), sockopt::Linger, &linger).expect("to set linger");
}

/// Closes what it accepts.
pub fn close(stream: TcpStream) {
    drop(stream);
}

/// A DNS server over UDP and TCP with a fixed zone:
///
/// `web.shop.test`, `web.shop.svc.test` and `WEB2.other.test` have an address of each family, `v4only.shop.test` one, `empty.shop.test`
/// none, `big.shop.test` answers that only fit TCP; `fail`, `refuse` and `drop`, with whatever comes after, get a
/// failure, a refusal and nothing; no other name exists.
pub fn dns(world: &World, at: &str) {
    udp(world, at, |question| dns_answer(question, false));
    tcp(world, at, |mut stream| {
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut question).is_err() {
                return;
            }
            if let Some(answer) = dns_answer(&question, true) {
                let _ = stream.write_all(&(answer.len() as u16).to_be_bytes());
                let _ = stream.write_all(&answer);
            }
        }
    });
}

fn dns_answer(question: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while let Some(length @ 1..) = question.get(at).map(|length| usize::from(*length)) {
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
    let v6 = question.get(at + 2) == Some(&28);
    let end = at + 5;
    let name = labels.join(".");
    let address: &[u8] = if v6 { &[0xfd, 0x77, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2] } else { &[10, 77, 2, 2] };
    let (rcode, truncated, count) = match (labels.first().map(String::as_str), name.as_str()) {
        (Some("drop"), _) => return None,
        (Some("fail"), _) => (2, false, 0),
        (Some("refuse"), _) => (5, false, 0),
        (_, "web.shop.test" | "web2.other.test" | "kubernetes.default.svc.test" | "web.shop.svc.test") => (0, false, 1),
        (_, "v4only.shop.test") => (0, false, u8::from(!v6)),
        (_, "empty.shop.test") => (0, false, 0),
        (_, "big.shop.test") if v6 => (0, false, 0),
        (_, "big.shop.test") => (0, !tcp, if tcp { 60 } else { 0 }),
        _ => (3, false, 0),
    };
    let mut out = question.get(..2)?.to_vec();
    out.extend([0x81 | u8::from(truncated) << 1, 0x80 | rcode, 0, 1, 0, count, 0, 0, 0, 0]);
    out.extend(question.get(12..end)?);
    for number in 0..count {
        out.extend([0xc0, 12, 0, if v6 { 28 } else { 1 }, 0, 1, 0, 0, 0, 5, 0, address.len() as u8]);
        out.extend(&address[..address.len() - 1]);
        out.push(address[address.len() - 1] + number);
    }
    Some(out)
}
