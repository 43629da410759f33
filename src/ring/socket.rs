//! A connected stream with at most one read and one write in flight.

use core::ops::Range;
use core::task::{Context, Poll};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::byte_stream::{ByteStream, Duplex};
#[cfg(target_os = "linux")]
use super::ring_socket::RingSocket;
use super::stream_socket::StreamSocket;
use super::{Backend, Completion, Operation, RingState};
use crate::memory::Buffer;

/// Which direction to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownSide {
    Read,
    Write,
    Both,
}

/// A connected stream and its operations in flight.
///
/// The operations live here and not in the futures that wait for them, so that a dropped future
/// loses nothing. Whoever drops the last handle sees to it that both are collected first.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The kernel has the memory of what is in flight.
    #[cfg(target_os = "linux")]
    Ring(RingSocket),
    /// The memory stays here until the stream is ready.
    Stream(StreamSocket),
}

/// Calls a method that both kinds have.
macro_rules! dispatch {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &$self.kind {
            #[cfg(target_os = "linux")]
            Kind::Ring(socket) => socket.$method($($argument),*),
            Kind::Stream(socket) => socket.$method($($argument),*),
        }
    };
}

impl Socket {
    /// Takes a connected socket.
    ///
    /// # Errors
    ///
    /// What `ioctl(2)` says, or the reactor.
    pub(crate) fn new(descriptor: OwnedFd, state: &Rc<RingState>) -> io::Result<Self> {
        let kind = match state.backend() {
            #[cfg(target_os = "linux")]
            Backend::Uring | Backend::TokioUring => {
                Kind::Ring(RingSocket::new(descriptor, Rc::clone(state))?)
            }
            _ => Kind::Stream(StreamSocket::new(
                ByteStream::of_socket(descriptor)?,
                Rc::clone(state),
            )),
        };
        Ok(Self { kind })
    }

    /// Takes any stream of bytes.
    pub(crate) fn over(stream: impl Duplex + 'static, state: &Rc<RingState>) -> Self {
        let stream = ByteStream::Other(Box::pin(stream));
        Self {
            kind: Kind::Stream(StreamSocket::new(stream, Rc::clone(state))),
        }
    }

    pub(crate) fn is_reading(&self) -> bool {
        dispatch!(self.is_reading())
    }

    pub(crate) fn is_writing(&self) -> bool {
        dispatch!(self.is_writing())
    }

    /// Whether a read waits for the peer.
    pub(crate) fn is_read_pending(&self) -> bool {
        dispatch!(self.is_read_pending())
    }

    /// Whether a write waits for the peer.
    pub(crate) fn is_write_pending(&self) -> bool {
        dispatch!(self.is_write_pending())
    }

    /// Starts a read into `range` of `buffer`.
    ///
    /// # Panics
    ///
    /// If a read is in flight.
    pub(crate) fn start_read(&self, buffer: Buffer, range: Range<usize>) {
        dispatch!(self.start_read(buffer, range));
    }

    /// Starts a wait for readability in the place of a read.
    ///
    /// # Panics
    ///
    /// If a read is in flight.
    pub(crate) fn start_readable(&self) {
        dispatch!(self.start_readable());
    }

    /// Starts a write of `range` of `buffer`.
    ///
    /// # Panics
    ///
    /// If a write is in flight.
    pub(crate) fn start_write(&self, buffer: Buffer, range: Range<usize>) {
        dispatch!(self.start_write(buffer, range));
    }

    /// Polls the read in flight. It is cancelled, and its buffer gone, if the runtime's end
    /// collected it.
    pub(crate) fn poll_read(&self, context: &mut Context<'_>) -> Poll<Completion> {
        dispatch!(self.poll_read(context))
    }

    /// Polls the write in flight. It is cancelled, and its buffer gone, if the runtime's end
    /// collected it.
    pub(crate) fn poll_write(&self, context: &mut Context<'_>) -> Poll<Completion> {
        dispatch!(self.poll_write(context))
    }

    /// Says the end of our writing in the stream's own way. Nothing may be in flight.
    pub(crate) fn poll_end_writing(&self, context: &mut Context<'_>) -> Poll<()> {
        match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Ring(_) => {
                self.shutdown(ShutdownSide::Write);
                Poll::Ready(())
            }
            Kind::Stream(socket) => socket.poll_end_writing(context),
        }
    }

    /// Ends a direction at once: its operation in flight completes, and the peer sees the end of
    /// our writing. A stream that is not a socket and can't say that at once says it when it is
    /// dropped, which for both directions is now.
    pub(crate) fn shutdown(&self, side: ShutdownSide) {
        dispatch!(self.shutdown(side));
    }

    /// Cancels both directions. With an operation that is returned both still have to be
    /// collected; without, nothing is in flight any more.
    pub(crate) fn cancel(&self) -> Option<Operation> {
        match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Ring(socket) => Some(socket.cancel()),
            Kind::Stream(socket) => {
                socket.cancel();
                None
            }
        }
    }

    /// Returns process, user and group id at the other end of a Unix-domain socket.
    pub(crate) fn peer_credentials(&self) -> Option<(u32, u32, u32)> {
        match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Ring(socket) => credentials(socket.descriptor()),
            Kind::Stream(socket) => socket.with_descriptor(credentials).flatten(),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn credentials(_descriptor: BorrowedFd<'_>) -> Option<(u32, u32, u32)> {
    None
}

#[cfg(target_os = "linux")]
fn credentials(descriptor: BorrowedFd<'_>) -> Option<(u32, u32, u32)> {
    let credentials = rustix::net::sockopt::socket_peercred(descriptor).ok()?;
    let process = u32::try_from(rustix::process::Pid::as_raw(Some(credentials.pid))).ok()?;
    Some((process, credentials.uid.as_raw(), credentials.gid.as_raw()))
}

/// Ends directions of a socket.
pub(super) fn shutdown(descriptor: BorrowedFd<'_>, side: ShutdownSide) {
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
