//! A connected stream socket with at most one read and one write in flight.

use core::cell::RefCell;
use core::ops::Range;
use core::task::{Context, Poll};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::{Completion, Operation, RingState};
use crate::memory::Buffer;

/// Which direction to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownSide {
    Read,
    Write,
    Both,
}

/// A connected stream socket and its operations in flight.
///
/// The operations live here and not in the futures that wait for them, so that a dropped future
/// loses nothing. Whoever drops the last handle sees to it that both are collected first.
#[derive(Debug)]
pub(crate) struct Socket {
    descriptor: Rc<OwnedFd>,
    state: Rc<RingState>,
    reading: RefCell<Option<Operation>>,
    writing: RefCell<Option<Operation>>,
}

impl Socket {
    /// # Errors
    ///
    /// What `ioctl(2)` says.
    pub(crate) fn new(descriptor: OwnedFd, state: Rc<RingState>) -> io::Result<Self> {
        // On a non-blocking socket the ring would answer EAGAIN instead of waiting.
        rustix::io::ioctl_fionbio(&descriptor, false)?;
        Ok(Self {
            descriptor: Rc::new(descriptor),
            state,
            reading: RefCell::new(None),
            writing: RefCell::new(None),
        })
    }

    /// Returns process, user and group id at the other end of a Unix-domain socket.
    pub(crate) fn peer_credentials(&self) -> Option<(u32, u32, u32)> {
        let credentials = rustix::net::sockopt::socket_peercred(&*self.descriptor).ok()?;
        let process = u32::try_from(rustix::process::Pid::as_raw(Some(credentials.pid))).ok()?;
        Some((process, credentials.uid.as_raw(), credentials.gid.as_raw()))
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.reading.borrow().is_some()
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.borrow().is_some()
    }

    /// Whether the kernel has a read that it has not completed.
    pub(crate) fn is_read_pending(&self) -> bool {
        Self::is_pending(&self.reading)
    }

    /// Whether the kernel has a write that it has not completed.
    pub(crate) fn is_write_pending(&self) -> bool {
        Self::is_pending(&self.writing)
    }

    fn is_pending(place: &RefCell<Option<Operation>>) -> bool {
        let mut place = place.borrow_mut();
        place.as_mut().is_some_and(|it| !it.is_completed())
    }

    /// Submits a read into `range` of `buffer`.
    ///
    /// # Panics
    ///
    /// If a read is in flight.
    pub(crate) fn start_read(&self, buffer: Buffer, range: Range<usize>) {
        let operation = Operation::read(&self.state, &self.descriptor, buffer, range);
        Self::put(&self.reading, operation);
    }

    /// Submits a wait for readability in the place of a read.
    ///
    /// # Panics
    ///
    /// If a read is in flight.
    pub(crate) fn start_readable(&self) {
        let operation = Operation::readable(&self.state, &self.descriptor);
        Self::put(&self.reading, operation);
    }

    /// Submits a write of `range` of `buffer`.
    ///
    /// # Panics
    ///
    /// If a write is in flight.
    pub(crate) fn start_write(&self, buffer: Buffer, range: Range<usize>) {
        let operation = Operation::write(&self.state, &self.descriptor, buffer, range);
        Self::put(&self.writing, operation);
    }

    fn put(place: &RefCell<Option<Operation>>, operation: Operation) {
        let previous = place.borrow_mut().replace(operation);
        assert!(
            previous.is_none(),
            "two operations of one direction in flight"
        );
    }

    /// Polls the read in flight. It is cancelled, and its buffer gone, if the runtime's end
    /// collected it.
    pub(crate) fn poll_read(&self, context: &mut Context<'_>) -> Poll<Completion> {
        Self::poll(&self.reading, context)
    }

    /// Polls the write in flight. It is cancelled, and its buffer gone, if the runtime's end
    /// collected it.
    pub(crate) fn poll_write(&self, context: &mut Context<'_>) -> Poll<Completion> {
        Self::poll(&self.writing, context)
    }

    fn poll(place: &RefCell<Option<Operation>>, context: &mut Context<'_>) -> Poll<Completion> {
        let mut place = place.borrow_mut();
        let Some(operation) = place.as_mut() else {
            return Poll::Ready(Completion::cancelled());
        };
        let completion = core::task::ready!(core::pin::Pin::new(operation).poll(context));
        *place = None;
        Poll::Ready(completion)
    }

    /// Ends a direction at once: its operation in flight completes, and the peer sees the end of
    /// our writing.
    pub(crate) fn shutdown(&self, side: ShutdownSide) {
        let how = match side {
            ShutdownSide::Read => rustix::net::Shutdown::Read,
            ShutdownSide::Write => rustix::net::Shutdown::Write,
            ShutdownSide::Both => rustix::net::Shutdown::Both,
        };
        // ENOTCONN means that the peer was quicker; there is nothing left to end.
        if let Err(error) = rustix::net::shutdown(&*self.descriptor, how) {
            tracing::trace!(%error, "shutdown of a socket that had ended");
        }
    }

    /// Submits a cancellation of both directions; their operations still have to be collected.
    pub(crate) fn cancel(&self) -> Operation {
        Operation::cancel_all(&self.state, &self.descriptor)
    }
}
