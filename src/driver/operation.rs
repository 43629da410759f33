//! One operation in flight, and what its completion gives back.

use core::future::Future;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use io_uring::{opcode, squeue, types};

use super::operation_resources::{OperationResources, POLLIN};
use super::tokio_uring::Oneshot;
use super::uring::{Placement, Queue};
use super::{Completion, DriverState, Engine};
use crate::memory::{Buffer, Lent};

/// The index of the arena among the registered buffers: it is the only one.
const ARENA_INDEX: u16 = 0;

/// A submitted operation. Poll it to its end.
///
/// Dropped before, the uring driver cancels it and takes its memory back when it has ended. On
/// tokio-uring dropping cancels nothing and the memory stays the kernel's for good, which is safe
/// and a leak; the rooms above never do it while a ring turns.
pub(crate) struct Operation {
    inner: Inner,
}

enum Inner {
    /// The key is gone once the completion was collected.
    Uring(Rc<Queue>, Option<usize>),
    TokioUring(Oneshot),
    /// There was no driver to do it, and its completion is gone once it was collected. In a box:
    /// it is rare, and every connection would have room for it.
    Refused(Box<Option<Completion>>),
}

impl Operation {
    /// Reads into `range` of `buffer`: `READ_FIXED` into a registered slot, `RECV` elsewhere.
    pub(crate) fn read(
        state: &Rc<DriverState>,
        descriptor: &Rc<OwnedFd>,
        buffer: Buffer,
        range: Range<usize>,
    ) -> Self {
        let fixed = state.is_registered() && buffer.is_slot();
        let memory = buffer.start();
        let (address, length) = memory.address(range);
        let length = operation_length(length);
        let file = types::Fd(descriptor.as_raw_fd());
        let entry = if fixed {
            opcode::ReadFixed::new(file, address.as_ptr(), length, ARENA_INDEX).build()
        } else {
            opcode::Recv::new(file, address.as_ptr(), length).build()
        };
        let resources = OperationResources::counted(state.status(), descriptor, Some(memory));
        Self::submit(state, resources, entry, Placement::Deferred)
    }

    /// Writes `range` of `memory`, which the kernel only reads.
    ///
    /// `SEND` rather than `WRITE_FIXED`: it raises no SIGPIPE, the kernel itself waits until all of
    /// the range is taken, and in nine alternating runs the two were equally fast (benches/README.md).
    pub(crate) fn write(
        state: &Rc<DriverState>,
        descriptor: &Rc<OwnedFd>,
        memory: Lent,
        range: Range<usize>,
    ) -> Self {
        let memory = memory.start();
        let (address, length) = memory.address(range);
        let flags = rustix::net::SendFlags::NOSIGNAL.bits() | MSG_WAITALL;
        let entry = opcode::Send::new(
            types::Fd(descriptor.as_raw_fd()),
            address.as_ptr(),
            operation_length(length),
        )
        .flags(flags.cast_signed())
        .build();
        let resources = OperationResources::counted(state.status(), descriptor, Some(memory));
        Self::submit(state, resources, entry, Placement::Now)
    }

    /// Waits until there is something to read, or the end, holding no memory.
    pub(crate) fn readable(state: &Rc<DriverState>, descriptor: &Rc<OwnedFd>) -> Self {
        let events = POLLIN | POLLRDHUP;
        Self::poll_events(
            state,
            OperationResources::counted(state.status(), descriptor, None),
            events,
        )
    }

    /// Waits for a client of a listening socket. Not counted: it holds no memory, and the
    /// listener may outlive its runtime.
    pub(crate) fn acceptable(state: &Rc<DriverState>, descriptor: &Rc<OwnedFd>) -> Self {
        Self::poll_events(state, OperationResources::listening(descriptor), POLLIN)
    }

    /// Waits until a connection attempt has ended. Not counted, as above.
    pub(crate) fn connected(state: &Rc<DriverState>, descriptor: &Rc<OwnedFd>) -> Self {
        Self::poll_events(state, OperationResources::uncounted(descriptor), POLLOUT)
    }

    fn poll_events(state: &Rc<DriverState>, resources: OperationResources, events: u32) -> Self {
        let file = types::Fd(resources.descriptor());
        let entry = opcode::PollAdd::new(file, events).build();
        Self::submit(state, resources, entry, Placement::Deferred)
    }

    /// Cancels every operation on the descriptor. They end with `ECANCELED`.
    pub(crate) fn cancel_all(state: &Rc<DriverState>, descriptor: &Rc<OwnedFd>) -> Self {
        let criteria = types::CancelBuilder::fd(types::Fd(descriptor.as_raw_fd())).all();
        let entry = opcode::AsyncCancel2::new(criteria).build();
        let resources = OperationResources::counted(state.status(), descriptor, None);
        Self::submit(state, resources, entry, Placement::AfterDeferred)
    }

    /// The one place where an entry meets the memory it points to: `entry` may address only the
    /// memory of `resources`, which is the kernel's from here to the completion.
    fn submit(
        state: &Rc<DriverState>,
        resources: OperationResources,
        entry: squeue::Entry,
        placement: Placement,
    ) -> Self {
        let submitted = match state.engine() {
            Engine::Uring(queue) => queue
                .submit(entry, resources, placement)
                .map(|key| Inner::Uring(Rc::clone(queue), Some(key))),
            Engine::TokioUring(oneshots) => {
                Oneshot::submit(entry, resources, oneshots).map(Inner::TokioUring)
            }
            Engine::None => Err(resources),
        };
        let inner = submitted.unwrap_or_else(|resources| {
            Inner::Refused(Box::new(Some(resources.refuse(state.status()))))
        });
        Self { inner }
    }
}

/// From `sys/socket.h`; rustix has it for receiving only.
const MSG_WAITALL: u32 = 0x100;
/// From `poll.h`.
const POLLOUT: u32 = 0x4;
/// From `poll.h`: the peer closed its sending side.
const POLLRDHUP: u32 = 0x2000;

/// Longer transfers are cut; the rest goes in the next operation.
fn operation_length(length: usize) -> u32 {
    // What the kernel moves at most in one call: INT_MAX rounded down to a page.
    const LONGEST: u32 = 0x7fff_f000;
    let length = u32::try_from(length).map_or(LONGEST, |length| length.min(LONGEST));
    #[cfg(test)]
    let length = super::uring::shorten(length);
    length
}

impl Operation {
    /// Asks the kernel to end it early, where the driver can name one operation; returns whether it
    /// can. Whoever waits for the answer gets it all the same, and the memory with it.
    pub(crate) fn cancel(&self) -> bool {
        match &self.inner {
            Inner::Uring(queue, key) => {
                if let Some(key) = key {
                    queue.cancel(*key);
                }
                true
            }
            Inner::TokioUring(_) => false,
            Inner::Refused(_) => true,
        }
    }

    /// Whether the kernel has answered. Whoever waits for the answer still gets it.
    pub(crate) fn is_completed(&mut self) -> bool {
        match &mut self.inner {
            Inner::Uring(queue, key) => key.is_none_or(|key| queue.is_completed(key)),
            Inner::TokioUring(oneshot) => oneshot.is_completed(),
            Inner::Refused(_) => true,
        }
    }
}

impl Future for Operation {
    type Output = Completion;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        match &mut self.inner {
            Inner::Uring(queue, key) => {
                let Some(pending) = *key else {
                    return Poll::Ready(Completion::cancelled());
                };
                let poll = queue.poll(pending, context);
                if poll.is_ready() {
                    *key = None;
                }
                poll
            }
            Inner::TokioUring(oneshot) => oneshot.poll(context),
            Inner::Refused(completion) => {
                Poll::Ready(completion.take().unwrap_or_else(Completion::cancelled))
            }
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Inner::Uring(queue, Some(key)) = &self.inner {
            queue.abandon(*key);
        }
    }
}

impl core::fmt::Debug for Operation {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Operation").finish_non_exhaustive()
    }
}
