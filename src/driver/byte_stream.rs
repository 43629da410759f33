//! Streams of bytes that are moved when they are ready: sockets of tokio's reactor, and whatever
//! else can be read and written.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::shutdown::{ShutdownSide, shut_down};

/// A stream that can be read and written.
pub(crate) trait Duplex: AsyncRead + AsyncWrite {}

impl<S: AsyncRead + AsyncWrite> Duplex for S {}

pub(super) enum ByteStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Other(Pin<Box<dyn Duplex>>),
    /// One of the others, after its end.
    Gone,
}

impl ByteStream {
    /// Registers a connected socket with the reactor of this thread.
    ///
    /// # Errors
    ///
    /// What `ioctl(2)` says, or the reactor.
    pub(super) fn of_socket(descriptor: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        let family = rustix::net::getsockname(&descriptor)?.address_family();
        Ok(if family == AddressFamily::UNIX {
            Self::Unix(UnixStream::from_std(descriptor.into())?)
        } else {
            Self::Tcp(TcpStream::from_std(descriptor.into())?)
        })
    }

    fn duplex(&mut self) -> Option<Pin<&mut dyn Duplex>> {
        match self {
            Self::Tcp(stream) => Some(Pin::<&mut TcpStream>::new(stream)),
            Self::Unix(stream) => Some(Pin::<&mut UnixStream>::new(stream)),
            Self::Other(stream) => Some(stream.as_mut()),
            Self::Gone => None,
        }
    }

    /// Reads into `bytes` and returns how many came; zero is the end.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let room = bytes.as_ptr_range();
        let mut buffer = ReadBuf::new(bytes);
        let Some(stream) = self.duplex() else {
            return Poll::Ready(Ok(0));
        };
        ready!(stream.poll_read(context, &mut buffer))?;
        // Safe code may put another buffer in the place of ours.
        let filled = buffer.filled().as_ptr_range();
        if filled.start != room.start || filled.end > room.end {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the stream has read into another buffer than the one it was given",
            )));
        }
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.duplex() {
            // No stream takes more than it was given, whatever it says.
            Some(stream) => stream
                .poll_write(context, bytes)
                .map_ok(|count| count.min(bytes.len())),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.duplex() {
            Some(stream) => stream.poll_flush(context),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Shuts our writing down in the stream's own way.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(stream) = self.duplex()
            && let Err(error) = ready!(stream.poll_shutdown(context))
        {
            tracing::trace!(%error, "shutdown of a stream that had ended");
        }
        Poll::Ready(())
    }

    /// Ends directions without waiting. A stream that is not a socket says the end of its writing
    /// as far as that goes at once, and goes with both directions: it is returned to be dropped.
    pub(super) fn end(&mut self, side: ShutdownSide) -> Option<Self> {
        if let Some(descriptor) = self.descriptor() {
            shut_down(descriptor, side);
            return None;
        }
        if side != ShutdownSide::Read {
            let _ = self.poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
        (side == ShutdownSide::Both).then(|| core::mem::replace(self, Self::Gone))
    }

    /// Waits for something to read without any memory; `None` when the stream can't.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        // The reactor still says so after the last read has taken all; only a look is sure.
        loop {
            let (ready, look) = match self {
                Self::Tcp(stream) => (
                    stream.poll_read_ready(context),
                    stream.try_io(Interest::READABLE, || peek(stream)),
                ),
                Self::Unix(stream) => (
                    stream.poll_read_ready(context),
                    stream.try_io(Interest::READABLE, || peek(stream)),
                ),
                Self::Other(_) | Self::Gone => return None,
            };
            match (ready, look) {
                (Poll::Ready(Ok(())), Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (Poll::Ready(Ok(())), look) => return Some(Poll::Ready(look)),
                (ready, _) => return Some(ready),
            }
        }
    }

    /// Returns the descriptor, if this is a socket.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(stream) => Some(stream.as_fd()),
            Self::Unix(stream) => Some(stream.as_fd()),
            Self::Other(_) | Self::Gone => None,
        }
    }
}

/// Whether there is something to read, or the end.
fn peek(socket: &impl AsFd) -> io::Result<()> {
    rustix::net::recv(socket, &mut [0; 1], RecvFlags::PEEK)?;
    Ok(())
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Unix(_) => "Unix",
            Self::Other(_) => "Other",
            Self::Gone => "Gone",
        })
    }
}
