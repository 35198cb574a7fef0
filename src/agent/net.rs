//! Sockets: opening one without waiting, and reading what became of it, the kernel's error queue included.
//!
//! A peer's address comes in, errors come out as [`Fault`]s. It must not know what is said over a socket or how often
//! it is tried. The error queue (`IP_RECVERR`) needs no privilege and tells a TCP reset from an ICMP message, and who
//! sent that; a connection that is being made gets it from Linux 5.9 on.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use netcheck::probe_record::{Class, Detail};
use netcheck::probe_target::Protocol;
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sockopt,
};

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` of linux/errqueue.h.
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// ICMP "fragmentation needed" and ICMPv6 "packet too big" are advice, not a refusal.
const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);
const PACKET_TOO_BIG: u8 = 2;

/// An ICMP message about this socket's packets.
#[derive(Clone, Copy, Debug)]
pub struct Icmp {
    v6: bool,
    kind: u8,
    code: u8,
    from: Option<IpAddr>,
}

/// What went wrong with a socket: the kernel's error, and the ICMP message behind it where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub errno: Errno,
    pub icmp: Option<Icmp>,
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault { errno, icmp: None }
    }
}

/// A socket that never blocks, with one peer.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    v6: bool,
}

impl Socket {
    /// A new socket for the peer's family.
    pub fn open(protocol: Protocol, peer: SocketAddr) -> Result<Socket, Errno> {
        let v6 = peer.is_ipv6();
        let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let (kind, number) = match protocol {
            Protocol::Tcp => (SockType::Stream, SockProtocol::Tcp),
            Protocol::Udp => (SockType::Datagram, SockProtocol::Udp),
            Protocol::Sctp => (SockType::Stream, SockProtocol::Sctp),
        };
        let fd = socket::socket(family, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, number)?;
        let socket = Socket { fd, v6 };
        socket.want_error_queue();
        Ok(socket)
    }

    fn want_error_queue(&self) {
        // Without it the errors are still read, only not who sent them.
        let _ = if self.v6 {
            socket::setsockopt(&self.fd, sockopt::Ipv6RecvErr, &true)
        } else {
            socket::setsockopt(&self.fd, sockopt::Ipv4RecvErr, &true)
        };
    }

    /// Begins to connect; `true` if that is done already.
    pub fn connect(&self, peer: SocketAddr) -> Result<bool, Fault> {
        match socket::connect(self.fd.as_raw_fd(), &SockaddrStorage::from(peer)) {
            Ok(()) => Ok(true),
            Err(Errno::EINPROGRESS) => Ok(false),
            Err(errno) => Err(self.explain(errno)),
        }
    }

    /// Whether the socket is connected to itself: TCP does that where nobody listens on an own port and the kernel
    /// happens to choose the same one for this end.
    pub fn is_its_own_peer(&self, peer: SocketAddr) -> bool {
        socket::getsockname::<SockaddrStorage>(self.fd.as_raw_fd()).is_ok_and(|own| own == SockaddrStorage::from(peer))
    }

    pub fn send(&self, bytes: &[u8]) -> Result<(), Fault> {
        match socket::send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(self.explain(errno)),
        }
    }

    /// Bytes that have come; `None` if none have yet, 0 at the end of a stream.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, Fault> {
        match socket::recv(self.fd.as_raw_fd(), buffer, MsgFlags::empty()) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(self.explain(errno)),
        }
    }

    /// The error that is pending on the socket, if there is one.
    pub fn fault(&self) -> Option<Fault> {
        let errno = socket::getsockopt(&self.fd, sockopt::SocketError).unwrap_or(0);
        let icmp = self.read_error_queue();
        match (errno, icmp) {
            (0, None) => None,
            // A socket in use at the moment the message comes keeps trying; the message is the answer all the same.
            (0, Some(_)) => Some(Fault { errno: Errno::EHOSTUNREACH, icmp }),
            (errno, icmp) => Some(Fault { errno: Errno::from_raw(errno), icmp }),
        }
    }

    fn explain(&self, errno: Errno) -> Fault {
        Fault { errno, icmp: self.read_error_queue() }
    }

    /// The first ICMP message in the error queue; the queue is empty afterwards.
    fn read_error_queue(&self) -> Option<Icmp> {
        let mut first = None;
        // Bounded: a flood of messages must not hold the agent up.
        for _ in 0..64 {
            let mut byte = [0; 1];
            let mut data = [IoSliceMut::new(&mut byte)];
            let mut control = vec![0; 512];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let message = socket::recvmsg::<SockaddrStorage>(self.fd.as_raw_fd(), &mut data, Some(&mut control), flags);
            let Ok(message) = message else { break };
            let Ok(controls) = message.cmsgs() else { break };
            first = first.or(controls.filter_map(icmp).next());
        }
        first
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn icmp(control: ControlMessageOwned) -> Option<Icmp> {
    let (error, from) = match control {
        ControlMessageOwned::Ipv4RecvErr(error, from) => {
            let from = from.filter(|from| i32::from(from.sin_family) == AddressFamily::Inet as i32);
            (error, from.map(|from| IpAddr::from(Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes()))))
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) => {
            let from = from.filter(|from| i32::from(from.sin6_family) == AddressFamily::Inet6 as i32);
            (error, from.map(|from| IpAddr::from(Ipv6Addr::from(from.sin6_addr.s6_addr))))
        }
        _ => return None,
    };
    let (kind, code) = (error.ee_type, error.ee_code);
    match error.ee_origin {
        ORIGIN_ICMP if (kind, code) != FRAGMENTATION_NEEDED => Some(Icmp { v6: false, kind, code, from }),
        ORIGIN_ICMP6 if kind != PACKET_TOO_BIG => Some(Icmp { v6: true, kind, code, from }),
        _ => None,
    }
}

impl Fault {
    /// Whether this process has no room for another socket just now.
    pub fn is_shortage(&self) -> bool {
        matches!(self.errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    }

    /// The class and what is known besides.
    pub fn verdict(&self) -> (Class, Detail) {
        if let Some(Icmp { v6, kind, code, from }) = self.icmp {
            let class = if v6 { class_of_icmp6(kind, code) } else { class_of_icmp(kind, code) };
            return (class, Detail::Icmp { v6, kind, code, from });
        }
        let class = match self.errno {
            Errno::ECONNREFUSED => return (Class::Refused, Detail::None),
            Errno::ECONNRESET | Errno::EPIPE => return (Class::Reset, Detail::None),
            Errno::ETIMEDOUT => return (Class::Timeout, Detail::None),
            // "Protocol unreachable" over SCTP, where the kernel has no error queue.
            Errno::ENOPROTOOPT => Class::RefusedIcmp,
            // A `prohibit` route, a reject rule or a BPF program of this very pod.
            Errno::EACCES | Errno::EPERM => Class::Prohibited,
            // No route, no address of that family, no answer of the neighbour; EINVAL is what a `blackhole` route gives.
            Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ENETDOWN
            | Errno::EHOSTDOWN
            | Errno::ENONET
            | Errno::EADDRNOTAVAIL
            | Errno::EINVAL => Class::Unreachable,
            Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT | Errno::EAFNOSUPPORT | Errno::EPFNOSUPPORT => {
                Class::Unsupported
            }
            _ => Class::Error,
        };
        (class, Detail::Errno(u16::try_from(self.errno as i32).unwrap_or(0)))
    }
}

/// RFC 792, RFC 1122 (3.2.2.1) and RFC 1812 (5.2.7.1).
fn class_of_icmp(kind: u8, code: u8) -> Class {
    match (kind, code) {
        (3, 2 | 3) => Class::RefusedIcmp,
        (3, 9 | 10 | 13 | 14 | 15) => Class::Prohibited,
        _ => Class::Unreachable,
    }
}

/// RFC 4443, 3.1 to 3.4.
fn class_of_icmp6(kind: u8, code: u8) -> Class {
    match (kind, code) {
        (1, 4) | (4, 1) => Class::RefusedIcmp,
        (1, 1 | 5 | 6) => Class::Prohibited,
        _ => Class::Unreachable,
    }
}
