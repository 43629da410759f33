//! A listening socket that takes nobody: its queue is full.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with,
};

/// How long the kernel may take to answer on loopback.
const ANSWER: Duration = Duration::from_millis(300);

/// Whoever connects to it gets no answer.
pub(crate) struct BlackHole {
    address: SocketAddr,
    _listener: OwnedFd,
    fillers: Vec<OwnedFd>,
}

impl BlackHole {
    /// Listens on a port, or a free one for 0, and fills the queue.
    pub(crate) fn at(host: impl Into<IpAddr>, port: u16) -> Self {
        let address = SocketAddr::new(host.into(), port);
        let listener = socket(address);
        bind(&listener, &address).expect("bind");
        // The shortest queue there is.
        listen(&listener, 0).expect("listen");
        let bound = getsockname(&listener).expect("bound");
        let address = SocketAddr::try_from(bound).expect("a TCP address");
        let mut fillers = Vec::new();
        loop {
            let filler = socket(address);
            // In progress, answered or not.
            let _ = connect(&filler, &address);
            let answered = is_connected(&filler);
            fillers.push(filler);
            if !answered {
                break;
            }
        }
        Self {
            address,
            _listener: listener,
            fillers,
        }
    }

    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes what was connected to fill the queue, which stays full.
    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) fn close_fillers(&mut self) {
        self.fillers.clear();
    }
}

fn socket(address: SocketAddr) -> OwnedFd {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::STREAM, flags, None).expect("a socket")
}

fn is_connected(socket: &OwnedFd) -> bool {
    let mut sockets = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT)];
    let limit = Timespec::try_from(ANSWER).expect("a short time");
    poll(&mut sockets, Some(&limit)).expect("poll") > 0
}
