//! Sockets that know nothing of ringseal, on the transport under test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::setting::transport;
use ringseal::{Address, UnixSocket};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketType, bind, connect, connect_unspec, shutdown, socket};

/// Another address of this host, from which clients are another source.
pub(crate) const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What connects the peers of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
    /// A wire in memory, by `dial_over` and `accept_over`. What needs an address, a listener or a
    /// peer that is not ringseal is on TCP.
    Memory,
}

/// Returns an address that can be bound.
pub(crate) fn somewhere() -> Address {
    match transport() {
        Transport::Tcp | Transport::Memory => "127.0.0.1:0".into(),
        Transport::Unix => UnixSocket::abstract_name(fresh_name()).into(),
    }
}

/// Returns a name that no other test uses.
fn fresh_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("ringseal-tests-{}-{number}", std::process::id())
}

fn unix_address(address: &Address) -> UnixAddress {
    let text = address.to_string();
    let name = text.strip_prefix("unix:@").expect("an abstract name");
    UnixAddress::from_abstract_name(name).expect("a name")
}

/// A blocking stream socket.
#[derive(Debug)]
pub(crate) enum RawStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl RawStream {
    pub(crate) fn try_connect(address: &Address) -> std::io::Result<Self> {
        Ok(match address {
            Address::Socket(address) => Self::Tcp(TcpStream::connect(address)?),
            address => Self::Unix(UnixStream::connect_addr(&unix_address(address))?),
        })
    }

    pub(crate) fn connect(address: impl Into<Address>) -> Self {
        Self::try_connect(&address.into()).expect("connect")
    }

    pub(crate) fn try_clone(&self) -> Self {
        match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone().expect("clone")),
            Self::Unix(stream) => Self::Unix(stream.try_clone().expect("clone")),
        }
    }

    /// Connects from another address of this host, and returns that with its port.
    pub(crate) fn connect_from(from: Ipv4Addr, target: &Address) -> (Self, SocketAddr) {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddr::from((from, 0))).expect("bind");
        connect(&socket, &target.socket_address().expect("TCP")).expect("connect");
        let stream = TcpStream::from(socket);
        let address = stream.local_addr().expect("bound");
        (Self::Tcp(stream), address)
    }

    /// Has the other end see a reset, whoever else has this socket; an end where there are no resets.
    pub(crate) fn reset(&self) {
        // It may be over already.
        let _ = match self {
            // Some kernels can't while another thread waits.
            Self::Tcp(stream) => {
                connect_unspec(stream).or_else(|_| shutdown(stream, rustix::net::Shutdown::Both))
            }
            Self::Unix(stream) => shutdown(stream, rustix::net::Shutdown::Both),
        };
    }

    /// Returns the address of this end.
    pub(crate) fn local_address(&self) -> Address {
        match self {
            Self::Tcp(stream) => stream.local_addr().expect("bound").into(),
            Self::Unix(_) => Address::Unnamed,
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        // The other end may have been quicker.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }

    pub(crate) fn set_nonblocking(&self) {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(true),
            Self::Unix(stream) => stream.set_nonblocking(true),
        }
        .expect("set it");
    }

    pub(crate) fn set_read_timeout(&self, timeout: Duration) {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Self::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
        .expect("set a timeout");
    }
}

impl Read for RawStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for RawStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) enum RawListener {
    Tcp(TcpListener),
    Unix(UnixListener, Address),
}

impl RawListener {
    pub(crate) fn bind() -> Self {
        match somewhere() {
            address @ Address::Unix(_) => {
                let listener = UnixListener::bind_addr(&unix_address(&address)).expect("bind");
                Self::Unix(listener, address)
            }
            _ => Self::Tcp(TcpListener::bind("127.0.0.1:0").expect("bind")),
        }
    }

    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Tcp(listener) => listener.local_addr().expect("bound").into(),
            Self::Unix(_, address) => address.clone(),
        }
    }

    /// Accepts a client that comes within `limit`.
    pub(crate) fn accept_within(&self, limit: Duration) -> Option<RawStream> {
        let mut waiting = [match self {
            Self::Tcp(listener) => PollFd::new(listener, PollFlags::IN),
            Self::Unix(listener, _) => PollFd::new(listener, PollFlags::IN),
        }];
        let limit = limit.try_into().expect("not for so long");
        (poll(&mut waiting, Some(&limit)).expect("poll") > 0).then(|| self.accept())
    }

    pub(crate) fn accept(&self) -> RawStream {
        match self {
            Self::Tcp(listener) => RawStream::Tcp(listener.accept().expect("accept").0),
            Self::Unix(listener, _) => RawStream::Unix(listener.accept().expect("accept").0),
        }
    }
}
