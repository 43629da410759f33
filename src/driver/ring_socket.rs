//! A socket whose operations are in a ring.

use core::cell::Cell;
use core::future::Future;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::direction::{Access, Direction};
use super::driver_state::Engine;
use super::retries::Retries;
use super::shutdown::{ShutdownSide, shut_down};
use super::{Completion, DriverState, Operation};
use crate::memory::{Buffer, Lent};

/// A connected socket and its operations in flight.
#[derive(Debug)]
pub(super) struct RingSocket {
    descriptor: Rc<OwnedFd>,
    state: Rc<DriverState>,
    reading: Direction<Transfer>,
    writing: Direction<Transfer>,
    read_retries: Retries,
    write_retries: Retries,
    /// The cancellation of a read that nobody waits for any more.
    cancelling: Direction<Box<Operation>>,
    is_read_cancelled: Cell<bool>,
    /// Whether somebody has cancelled what was in flight.
    is_cancelled: Cell<bool>,
}

/// An operation in flight, and how to do it again.
#[derive(Debug)]
struct Transfer {
    kind: Kind,
    operation: Operation,
}

#[derive(Clone, Debug)]
enum Kind {
    Read(Range<usize>),
    Readable,
    Write(Range<usize>),
}

impl RingSocket {
    /// # Errors
    ///
    /// What `ioctl(2)` says.
    pub(super) fn new(descriptor: OwnedFd, state: Rc<DriverState>) -> io::Result<Self> {
        // On a non-blocking socket the ring would answer EAGAIN instead of waiting.
        rustix::io::ioctl_fionbio(&descriptor, false)?;
        Ok(Self {
            descriptor: Rc::new(descriptor),
            state,
            reading: Direction::default(),
            writing: Direction::default(),
            read_retries: Retries::default(),
            write_retries: Retries::default(),
            cancelling: Direction::default(),
            is_read_cancelled: Cell::new(false),
            is_cancelled: Cell::new(false),
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Whether anything of it is with the driver.
    pub(super) fn is_in_flight(&self) -> bool {
        self.is_reading() || self.is_writing() || self.cancelling.is_active()
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_active()
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_active()
    }

    /// Whether the kernel has a read that it has not completed.
    pub(super) fn is_read_pending(&self) -> bool {
        Self::is_pending(&self.reading)
    }

    /// Whether the kernel has a write that it has not completed.
    pub(super) fn is_write_pending(&self) -> bool {
        Self::is_pending(&self.writing)
    }

    fn is_pending(direction: &Direction<Transfer>) -> bool {
        let look = |transfer: &mut Transfer| !transfer.operation.is_completed();
        direction.look(look).unwrap_or(false)
    }

    pub(super) fn start_read(&self, buffer: Buffer, range: Range<usize>) {
        self.start(Kind::Read(range), Some(Lent::Buffer(buffer)));
    }

    pub(super) fn start_readable(&self) {
        self.start(Kind::Readable, None);
    }

    pub(super) fn start_write(&self, memory: Lent, range: Range<usize>) {
        self.start(Kind::Write(range), Some(memory));
    }

    fn start(&self, kind: Kind, memory: Option<Lent>) {
        let (state, descriptor) = (&self.state, &self.descriptor);
        let operation = match (&kind, memory) {
            (Kind::Read(range), Some(Lent::Buffer(buffer))) => {
                Operation::read(state, descriptor, buffer, range.clone())
            }
            (Kind::Write(range), Some(memory)) => {
                Operation::write(state, descriptor, memory, range.clone())
            }
            (_, _) => Operation::readable(state, descriptor),
        };
        let direction = match kind {
            Kind::Read(_) | Kind::Readable => &self.reading,
            Kind::Write(_) => &self.writing,
        };
        direction.start(Transfer { kind, operation });
    }

    pub(super) fn poll_read(&self, context: &mut Context<'_>) -> Poll<Completion> {
        let is_cancelled = self.is_cancelled.get() || self.is_read_cancelled.get();
        self.poll(&self.reading, &self.read_retries, is_cancelled, context)
    }

    pub(super) fn poll_write(&self, context: &mut Context<'_>) -> Poll<Completion> {
        self.poll(
            &self.writing,
            &self.write_retries,
            self.is_cancelled.get(),
            context,
        )
    }

    pub(super) fn poll_cancel_read(&self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state.engine(), Engine::Uring(_)) {
            // Dropping an operation of our own driver cancels it and no other.
            drop(self.reading.give_up());
            return Poll::Ready(());
        }
        self.poll_take_read_back(context).map(drop)
    }

    /// Ends the read in flight early and collects its completion, if there is one.
    pub(super) fn poll_take_read_back(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Completion>> {
        if !self.is_read_cancelled.get()
            && let Some(is_cancelled) = self.reading.look(|transfer| transfer.operation.cancel())
        {
            self.is_read_cancelled.set(true);
            if !is_cancelled {
                // It knows operations by their descriptor alone; a write that it hits is tried again.
                let operation = Operation::cancel_all(&self.state, &self.descriptor);
                self.cancelling.start(Box::new(operation));
            }
        }
        if let Access::Operation(mut taken) = self.cancelling.take() {
            ready!(Pin::new(taken.operation()).poll(context));
            drop(taken.finish());
        }
        let completion = match self.is_reading() {
            true => Some(ready!(self.poll_read(context))),
            false => None,
        };
        self.is_read_cancelled.set(false);
        Poll::Ready(completion)
    }

    pub(super) fn poll_discard(
        &self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.is_reading() {
                ready!(self.poll_read(context)).result?;
            }
            match rustix::net::recv(&*self.descriptor, &mut *scratch, RecvFlags::DONTWAIT) {
                Ok((_, count)) => return Poll::Ready(Ok(count)),
                Err(Errno::AGAIN) => self.start_readable(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll(
        &self,
        direction: &Direction<Transfer>,
        retries: &Retries,
        is_cancelled: bool,
        context: &mut Context<'_>,
    ) -> Poll<Completion> {
        loop {
            let mut taken = match direction.take() {
                Access::Idle => return Poll::Ready(Completion::cancelled()),
                Access::Busy => {
                    // What polls it may not know of this waker.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Access::Operation(taken) => taken,
            };
            let operation = Pin::new(&mut taken.operation().operation);
            let completion = ready!(operation.poll(context));
            let kind = taken.finish().kind;
            let is_whole = completion.memory.is_some() || matches!(kind, Kind::Readable);
            // A cancellation may show as an interruption, and nobody would cancel another try.
            let again = !is_cancelled && retries.again(&completion.result, is_cancelled);
            if !(again && is_whole) {
                return Poll::Ready(completion);
            }
            self.start(kind, completion.memory);
        }
    }

    pub(super) fn shutdown(&self, side: ShutdownSide) {
        shut_down(self.descriptor(), side);
    }

    /// Submits a cancellation of both directions; their operations still have to be collected.
    pub(super) fn cancel(&self) -> Operation {
        self.is_cancelled.set(true);
        Operation::cancel_all(&self.state, &self.descriptor)
    }
}
