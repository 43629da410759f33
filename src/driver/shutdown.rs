//! Ending directions of a socket.

use std::os::fd::BorrowedFd;

/// Which direction to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownSide {
    Read,
    Write,
    Both,
}

impl ShutdownSide {
    /// Returns this side and another one.
    pub(super) fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }
}

/// Ends directions of a socket.
pub(super) fn shut_down(descriptor: BorrowedFd<'_>, side: ShutdownSide) {
    let how = match side {
        ShutdownSide::Read => rustix::net::Shutdown::Read,
        ShutdownSide::Write => rustix::net::Shutdown::Write,
        ShutdownSide::Both => rustix::net::Shutdown::Both,
    };
    // ENOTCONN means that the peer was quicker; there is nothing left to end.
    if let Err(error) = rustix::net::shutdown(descriptor, how) {
        tracing::trace!(%error, "shutdown of a socket that had ended");
    }
}
