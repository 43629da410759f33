//! A connected stream with at most one read and one write in flight.

use core::ops::Range;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::net::SendFlags;

use super::byte_stream::{ByteStream, Duplex};
#[cfg(target_os = "linux")]
use super::ring_socket::RingSocket;
use super::stream_socket::StreamSocket;
use super::{Backend, Completion, DriverState, KeepAlive, Operation, ShutdownSide};
use crate::memory::{Buffer, Lent, View};

/// A connected stream and its operations in flight.
///
/// The operations live here and not in the futures that wait for them, so that a dropped future
/// loses nothing. Whoever drops the last handle sees to it that both are collected first.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    state: Rc<DriverState>,
}

#[derive(Debug)]
enum Kind {
    /// The kernel has the memory of what is in flight.
    #[cfg(target_os = "linux")]
    Ring(RingSocket),
    /// The memory stays here until the stream is ready.
    Stream(Box<StreamSocket>),
}

impl Kind {
    fn of_stream(stream: ByteStream, state: &Rc<DriverState>) -> Self {
        // In a box, as it is twice as large as the other.
        Self::Stream(Box::new(StreamSocket::new(stream, Rc::clone(state))))
    }
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
    pub(crate) fn new(descriptor: OwnedFd, state: &Rc<DriverState>) -> io::Result<Self> {
        let kind = match state.backend() {
            #[cfg(target_os = "linux")]
            Backend::Uring | Backend::TokioUring => {
                Kind::Ring(RingSocket::new(descriptor, Rc::clone(state))?)
            }
            _ => Kind::of_stream(ByteStream::of_socket(descriptor)?, state),
        };
        Ok(Self {
            kind,
            state: Rc::clone(state),
        })
    }

    /// Takes any stream of bytes.
    pub(crate) fn over(stream: impl Duplex + 'static, state: &Rc<DriverState>) -> Self {
        let stream = ByteStream::Other(Box::pin(stream));
        Self {
            kind: Kind::of_stream(stream, state),
            state: Rc::clone(state),
        }
    }

    /// Has the kernel look after the connection, if this is a socket of TCP.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub(crate) fn keep_alive(&self, settings: KeepAlive) -> io::Result<()> {
        match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Ring(socket) => settings.apply(socket.descriptor()),
            Kind::Stream(socket) => {
                let applied = socket.with_descriptor(|descriptor| settings.apply(descriptor));
                applied.unwrap_or(Ok(()))
            }
        }
    }

    /// Has the peer see a reset instead of an end when this is closed, if it is a socket of TCP.
    pub(crate) fn reset_when_closed(&self) {
        let reset = |descriptor: BorrowedFd<'_>| {
            let at_once = Some(Duration::ZERO);
            // It is left with the end then, which is what streams without resets have.
            if let Err(error) = rustix::net::sockopt::set_socket_linger(descriptor, at_once) {
                tracing::debug!(%error, "a socket can't be reset");
            }
        };
        match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Ring(socket) => reset(socket.descriptor()),
            Kind::Stream(socket) => {
                socket.with_descriptor(reset);
            }
        }
    }

    /// Whether anything is in flight that has to be collected before this is dropped.
    pub(crate) fn is_in_flight(&self) -> bool {
        dispatch!(self.is_in_flight())
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
        dispatch!(self.start_write(Lent::Buffer(buffer), range));
    }

    /// Starts a write of all of `view`, whose block is held until the kernel is done.
    ///
    /// # Panics
    ///
    /// If a write is in flight.
    pub(crate) fn start_write_view(&self, view: View) {
        let range = 0..view.len();
        dispatch!(self.start_write(Lent::View(view), range));
    }

    /// Ends the read in flight early and collects its completion, with the buffer that was lent for
    /// it; nothing is lost that it may have read. `None` if there is none. Nobody else may wait for
    /// it.
    pub(crate) fn poll_take_read_back(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Completion>> {
        dispatch!(self.poll_take_read_back(context))
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

    /// Cancels the read in flight and takes its memory back. Nobody else may wait for it.
    pub(crate) fn poll_cancel_read(&self, context: &mut Context<'_>) -> Poll<()> {
        dispatch!(self.poll_cancel_read(context))
    }

    /// Reads into `scratch` what nobody wants, holding no memory while it waits, and returns how
    /// much came; zero is the end. No read may be in flight but one of this.
    pub(crate) fn poll_discard(
        &self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        dispatch!(self.poll_discard(context, scratch))
    }

    /// Whether this is a stream of a user's and not a socket.
    pub(crate) fn is_foreign(&self) -> bool {
        match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Ring(_) => false,
            Kind::Stream(socket) => socket.with_descriptor(|_| ()).is_none(),
        }
    }

    /// Shuts our writing down in the stream's own way. Nothing may be in flight.
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
    ///
    /// A forked child leaves the connection of its parent alone.
    pub(crate) fn shutdown(&self, side: ShutdownSide) {
        if !self.state.is_inherited() {
            dispatch!(self.shutdown(side));
        }
    }

    /// Hands the kernel what it takes of `bytes` at once, with nothing in flight, and returns how much
    /// that is: nothing of a stream of a user's, or in a forked child.
    pub(crate) fn write_at_once(&self, bytes: &[u8]) -> usize {
        if self.state.is_inherited() {
            return 0;
        }
        let send = |descriptor: BorrowedFd<'_>| {
            // On Apple's systems the option of the socket that std sets keeps the signal away.
            #[cfg(not(target_vendor = "apple"))]
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            #[cfg(target_vendor = "apple")]
            let flags = SendFlags::DONTWAIT;
            rustix::net::send(descriptor, bytes, flags).unwrap_or(0)
        };
        match &self.kind {
            #[cfg(target_os = "linux")]
            Kind::Ring(socket) => send(socket.descriptor()),
            Kind::Stream(socket) => socket.with_descriptor(send).unwrap_or(0),
        }
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
pub(super) fn credentials(_descriptor: BorrowedFd<'_>) -> Option<(u32, u32, u32)> {
    None
}

#[cfg(target_os = "linux")]
pub(super) fn credentials(descriptor: BorrowedFd<'_>) -> Option<(u32, u32, u32)> {
    let credentials = rustix::net::sockopt::socket_peercred(descriptor).ok()?;
    let process = u32::try_from(rustix::process::Pid::as_raw(Some(credentials.pid))).ok()?;
    Some((process, credentials.uid.as_raw(), credentials.gid.as_raw()))
}
