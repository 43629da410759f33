//! A socket whose operations are in a ring.

use core::cell::RefCell;
use core::ops::Range;
use core::task::{Context, Poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::socket::{self, ShutdownSide};
use super::{Completion, Operation, RingState};
use crate::memory::Buffer;

/// A connected socket and its operations in flight.
#[derive(Debug)]
pub(super) struct RingSocket {
    descriptor: Rc<OwnedFd>,
    state: Rc<RingState>,
    reading: RefCell<Option<Operation>>,
    writing: RefCell<Option<Operation>>,
}

impl RingSocket {
    /// # Errors
    ///
    /// What `ioctl(2)` says.
    pub(super) fn new(descriptor: OwnedFd, state: Rc<RingState>) -> io::Result<Self> {
        // On a non-blocking socket the ring would answer EAGAIN instead of waiting.
        rustix::io::ioctl_fionbio(&descriptor, false)?;
        Ok(Self {
            descriptor: Rc::new(descriptor),
            state,
            reading: RefCell::new(None),
            writing: RefCell::new(None),
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.borrow().is_some()
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.borrow().is_some()
    }

    /// Whether the kernel has a read that it has not completed.
    pub(super) fn is_read_pending(&self) -> bool {
        Self::is_pending(&self.reading)
    }

    /// Whether the kernel has a write that it has not completed.
    pub(super) fn is_write_pending(&self) -> bool {
        Self::is_pending(&self.writing)
    }

    fn is_pending(place: &RefCell<Option<Operation>>) -> bool {
        let mut place = place.borrow_mut();
        place.as_mut().is_some_and(|it| !it.is_completed())
    }

    pub(super) fn start_read(&self, buffer: Buffer, range: Range<usize>) {
        let operation = Operation::read(&self.state, &self.descriptor, buffer, range);
        Self::put(&self.reading, operation);
    }

    pub(super) fn start_readable(&self) {
        let operation = Operation::readable(&self.state, &self.descriptor);
        Self::put(&self.reading, operation);
    }

    pub(super) fn start_write(&self, buffer: Buffer, range: Range<usize>) {
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

    pub(super) fn poll_read(&self, context: &mut Context<'_>) -> Poll<Completion> {
        Self::poll(&self.reading, context)
    }

    pub(super) fn poll_write(&self, context: &mut Context<'_>) -> Poll<Completion> {
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

    pub(super) fn shutdown(&self, side: ShutdownSide) {
        socket::shutdown(self.descriptor(), side);
    }

    /// Submits a cancellation of both directions; their operations still have to be collected.
    pub(super) fn cancel(&self) -> Operation {
        Operation::cancel_all(&self.state, &self.descriptor)
    }
}
