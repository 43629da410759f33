//! One operation in flight, and what its completion gives back.

use core::future::Future;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use io_uring::{opcode, squeue, types};

use super::native::{Order, Queue};
use super::tokio_uring::Oneshot;
use super::{Completion, RingState};
use crate::memory::{Buffer, InFlight};

/// The index of the arena among the registered buffers: it is the only one.
const ARENA_INDEX: u16 = 0;

/// A submitted operation. Poll it to its end.
///
/// Dropped before, the native driver cancels it and takes its memory back when it has ended. On
/// tokio-uring dropping cancels nothing and the memory stays the kernel's for good, which is safe
/// and a leak; the rooms above never do it while a ring turns.
pub(crate) struct Operation {
    inner: Inner,
}

enum Inner {
    /// The key is gone once the completion was collected, or when there was no ring.
    Native(Rc<Queue>, Option<usize>),
    TokioUring(Oneshot),
}

/// What stays in place until the completion. Dropping it runs no code of ours but `close(2)`:
/// a driver may drop it while its queues are borrowed.
pub(crate) struct Held {
    memory: Option<InFlight>,
    /// Keeps the descriptor from being closed and reused while the kernel works on it.
    descriptor: Rc<OwnedFd>,
    /// Counts the operation, unless the end of the ring need not wait for it.
    counted: Option<Rc<RingState>>,
}

impl Held {
    fn counted(state: &Rc<RingState>, descriptor: &Rc<OwnedFd>, memory: Option<InFlight>) -> Self {
        state.begin();
        Self {
            memory,
            descriptor: Rc::clone(descriptor),
            counted: Some(Rc::clone(state)),
        }
    }

    fn uncounted(descriptor: &Rc<OwnedFd>) -> Self {
        Self {
            memory: None,
            descriptor: Rc::clone(descriptor),
            counted: None,
        }
    }

    /// Takes everything back. Call this only with what the kernel has answered.
    pub(crate) fn complete(self, result: i32) -> Completion {
        if let Some(state) = &self.counted {
            state.end();
        }
        let result = match usize::try_from(result) {
            Ok(count) => Ok(count),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        };
        Completion {
            result,
            buffer: self.memory.map(InFlight::finish),
        }
    }
}

impl Operation {
    /// Reads into `range` of `buffer`: `READ_FIXED` into a registered slot, `RECV` elsewhere.
    pub(crate) fn read(
        state: &Rc<RingState>,
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
        let held = Held::counted(state, descriptor, Some(memory));
        Self::submit(state, held, entry, Order::Last)
    }

    /// Writes `range` of `buffer`.
    ///
    /// `SEND` rather than `WRITE_FIXED`: it raises no SIGPIPE, the kernel itself waits until all of
    /// the range is taken, and in nine alternating runs the two were equally fast (README).
    pub(crate) fn write(
        state: &Rc<RingState>,
        descriptor: &Rc<OwnedFd>,
        buffer: Buffer,
        range: Range<usize>,
    ) -> Self {
        let memory = buffer.start();
        let (address, length) = memory.address(range);
        let flags = rustix::net::SendFlags::NOSIGNAL.bits() | MSG_WAITALL;
        let entry = opcode::Send::new(
            types::Fd(descriptor.as_raw_fd()),
            address.as_ptr(),
            operation_length(length),
        )
        .flags(flags.cast_signed())
        .build();
        let held = Held::counted(state, descriptor, Some(memory));
        Self::submit(state, held, entry, Order::Next)
    }

    /// Waits until there is something to read, or the end, holding no memory.
    pub(crate) fn readable(state: &Rc<RingState>, descriptor: &Rc<OwnedFd>) -> Self {
        let events = POLLIN | POLLRDHUP;
        Self::poll_events(state, Held::counted(state, descriptor, None), events)
    }

    /// Waits for a client of a listening socket. Not counted: it holds no memory, and the
    /// listener may outlive its runtime.
    pub(crate) fn acceptable(state: &Rc<RingState>, descriptor: &Rc<OwnedFd>) -> Self {
        Self::poll_events(state, Held::uncounted(descriptor), POLLIN)
    }

    /// Waits until a connection attempt has ended. Not counted, as above.
    pub(crate) fn connected(state: &Rc<RingState>, descriptor: &Rc<OwnedFd>) -> Self {
        Self::poll_events(state, Held::uncounted(descriptor), POLLOUT)
    }

    fn poll_events(state: &Rc<RingState>, held: Held, events: u32) -> Self {
        let file = types::Fd(held.descriptor.as_raw_fd());
        let entry = opcode::PollAdd::new(file, events).build();
        Self::submit(state, held, entry, Order::Last)
    }

    /// Cancels every operation on the descriptor. They end with `ECANCELED`.
    pub(crate) fn cancel_all(state: &Rc<RingState>, descriptor: &Rc<OwnedFd>) -> Self {
        let criteria = types::CancelBuilder::fd(types::Fd(descriptor.as_raw_fd())).all();
        let entry = opcode::AsyncCancel2::new(criteria).build();
        let held = Held::counted(state, descriptor, None);
        Self::submit(state, held, entry, Order::BehindWaits)
    }

    /// The one place where an entry meets the memory it points to: `entry` may address only the
    /// memory of `held`, which is the kernel's from here to the completion.
    fn submit(state: &Rc<RingState>, held: Held, entry: squeue::Entry, order: Order) -> Self {
        let inner = match state.queue() {
            Some(queue) => Inner::Native(Rc::clone(queue), queue.submit(entry, held, order)),
            None => Inner::TokioUring(Oneshot::submit(entry, held)),
        };
        Self { inner }
    }
}

/// From `sys/socket.h`; rustix has it for receiving only.
const MSG_WAITALL: u32 = 0x100;
/// From `poll.h`.
pub(crate) const POLLIN: u32 = 0x1;
/// From `poll.h`.
const POLLOUT: u32 = 0x4;
/// From `poll.h`: the peer closed its sending side.
const POLLRDHUP: u32 = 0x2000;

/// Longer transfers are cut; the rest goes in the next operation.
fn operation_length(length: usize) -> u32 {
    // What the kernel moves at most in one call: INT_MAX rounded down to a page.
    const LONGEST: u32 = 0x7fff_f000;
    u32::try_from(length).map_or(LONGEST, |length| length.min(LONGEST))
}

impl Operation {
    /// Whether the kernel has answered. Whoever waits for the answer still gets it.
    pub(crate) fn is_completed(&mut self) -> bool {
        match &mut self.inner {
            Inner::Native(queue, key) => key.is_none_or(|key| queue.is_completed(key)),
            Inner::TokioUring(oneshot) => oneshot.is_completed(),
        }
    }
}

impl Future for Operation {
    type Output = Completion;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        match &mut self.inner {
            Inner::Native(queue, key) => {
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
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Inner::Native(queue, Some(key)) = &self.inner {
            queue.abandon(*key);
        }
    }
}

impl core::fmt::Debug for Operation {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Operation").finish_non_exhaustive()
    }
}
