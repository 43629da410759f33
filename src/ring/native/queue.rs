//! The two queues that are shared with the kernel, and the operations between them.

#![expect(
    unsafe_code,
    reason = "pushing an entry, entering the ring and registering memory are unsafe in the \
              io-uring crate"
)]

use core::cell::RefCell;
use core::mem::MaybeUninit;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;

use io_uring::{Builder, IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;
use slab::Slab;

use super::contain::contain;
use crate::memory::Pool;
use crate::ring::Completion;
use crate::ring::operation::{Held, POLLIN};

/// What the wake-up descriptor's readiness is known by; no slab grows that far.
const WAKE_UP: u64 = u64::MAX;
/// What operations are known by whose outcome nobody asks for.
const IGNORED: u64 = u64::MAX - 1;
/// Completions that are taken from the queue at a time.
const COMPLETIONS: usize = 32;
/// `IORING_ENTER_GETEVENTS`: run what the kernel has deferred.
const GET_EVENTS: u32 = 1;

/// Where in the queue an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Behind what was submitted before, waits excepted.
    Next,
    /// Behind all that is submitted before the kernel is entered.
    Last,
    /// Behind all that was submitted before, since it concerns that.
    BehindWaits,
}

/// Submissions, completions, and what is in between.
pub(crate) struct Queue {
    /// `None` when the ring has ended.
    ring: RefCell<Option<IoUring>>,
    operations: RefCell<Slab<InProgress>>,
    /// Waits for the peer, which are handed over behind everything else: what the peer waits for
    /// itself goes first.
    waits: RefCell<Vec<squeue::Entry>>,
}

/// An operation from its submission until somebody collects its completion.
struct InProgress {
    held: Held,
    stage: Stage,
}

enum Stage {
    /// The kernel has it, and perhaps somebody waits.
    Submitted(Option<Waker>),
    /// The kernel has it, and nobody will collect it.
    Abandoned,
    /// The kernel has answered.
    Completed(i32),
}

impl Queue {
    pub(super) fn new(builder: &Builder, entries: u32) -> io::Result<Self> {
        Ok(Self {
            ring: RefCell::new(Some(builder.build(entries)?)),
            operations: RefCell::new(Slab::with_capacity(entries as usize)),
            waits: RefCell::default(),
        })
    }

    /// Registers the arena as the one fixed buffer.
    pub(super) fn register(&self, pool: &Pool) -> io::Result<()> {
        let (base, length) = pool.arena();
        let buffers = [libc::iovec {
            iov_base: base.as_ptr().cast(),
            iov_len: length,
        }];
        let ring = self.ring.borrow();
        let ring = ring.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        // SAFETY: the range is the pool's whole mapping. The kernel pins its pages and touches
        // them only for operations, each of which holds its block of the pool (`Held`) until its
        // completion, and leaks it without one.
        unsafe { ring.submitter().register_buffers(&buffers) }
    }

    /// Has the kernel do `entry`, which may address only what `held` keeps. Returns the key to
    /// collect it by, or nothing when the ring has ended.
    pub(crate) fn submit(&self, entry: squeue::Entry, held: Held, order: Order) -> Option<usize> {
        if self.ring.borrow().is_none() {
            return None;
        }
        let key = self.operations.borrow_mut().insert(InProgress {
            held,
            stage: Stage::Submitted(None),
        });
        let entry = entry.user_data(key as u64);
        match order {
            Order::Last => self.waits.borrow_mut().push(entry),
            Order::Next => self.push(&entry),
            Order::BehindWaits => {
                self.push_waits();
                self.push(&entry);
            }
        }
        Some(key)
    }

    /// Watches the descriptor of wake-ups once.
    pub(super) fn watch(&self, descriptor: types::Fd) {
        let entry = opcode::PollAdd::new(descriptor, POLLIN).build();
        self.push(&entry.user_data(WAKE_UP));
    }

    /// Puts the waits behind what is queued.
    fn push_waits(&self) {
        if self.waits.borrow().is_empty() {
            return;
        }
        let mut waits = core::mem::take(&mut *self.waits.borrow_mut());
        for entry in waits.drain(..) {
            self.push(&entry);
        }
        // Nothing was added meanwhile; this keeps its capacity.
        *self.waits.borrow_mut() = waits;
    }

    fn push(&self, entry: &squeue::Entry) {
        let mut ring = self.ring.borrow_mut();
        let Some(ring) = ring.as_mut() else { return };
        loop {
            // SAFETY: what the entry points to is held in `operations` until its completion, or
            // it points to nothing (readiness, cancellation).
            if unsafe { ring.submission().push(entry) }.is_ok() {
                return;
            }
            // A full queue: the kernel takes all of it, or says that completions have to be
            // taken first, for which it has room of its own.
            check(enter_now(ring));
        }
    }

    /// Collects the operation of `key` if it has completed, or has `context` woken when it does.
    pub(crate) fn poll(&self, key: usize, context: &mut Context<'_>) -> Poll<Completion> {
        let mut operations = self.operations.borrow_mut();
        let Some(operation) = operations.get_mut(key) else {
            return Poll::Ready(Completion::cancelled());
        };
        match &mut operation.stage {
            Stage::Submitted(Some(waker)) => waker.clone_from(context.waker()),
            Stage::Submitted(none) => *none = Some(context.waker().clone()),
            Stage::Abandoned => unreachable!("polled after its drop"),
            &mut Stage::Completed(result) => {
                let operation = operations.remove(key);
                drop(operations);
                return Poll::Ready(operation.held.complete(result));
            }
        }
        Poll::Pending
    }

    /// Whether the operation of `key` has completed.
    pub(crate) fn is_completed(&self, key: usize) -> bool {
        let operations = self.operations.borrow();
        operations
            .get(key)
            .is_none_or(|operation| matches!(operation.stage, Stage::Completed(_)))
    }

    /// Gives up the operation of `key`: it is cancelled, and its memory comes back when the
    /// kernel says that it has ended.
    pub(crate) fn abandon(&self, key: usize) {
        let mut operations = self.operations.borrow_mut();
        let Some(operation) = operations.get_mut(key) else {
            return;
        };
        if let Stage::Completed(result) = operation.stage {
            let operation = operations.remove(key);
            drop(operations);
            drop(operation.held.complete(result));
            return;
        }
        operation.stage = Stage::Abandoned;
        drop(operations);
        self.push_waits();
        // The queue is worked off in order, so this comes before any operation that gets the
        // same key again.
        let entry = opcode::AsyncCancel::new(key as u64).build();
        self.push(&entry.user_data(IGNORED));
    }

    /// Whether completions can be taken, or would be there after entering the kernel.
    pub(super) fn has_completions(&self) -> bool {
        let mut ring = self.ring.borrow_mut();
        let Some(ring) = ring.as_mut() else {
            return false;
        };
        !ring.completion().is_empty() || has_deferred(&ring.submission())
    }

    /// Hands over what is queued and runs what the kernel has deferred, without waiting.
    pub(super) fn enter_now(&self) {
        self.push_waits();
        let mut ring = self.ring.borrow_mut();
        let Some(ring) = ring.as_mut() else { return };
        let submissions = ring.submission();
        let is_due = !submissions.is_empty() || has_deferred(&submissions);
        drop(submissions);
        if is_due {
            check(enter_now(ring));
        }
    }

    /// Hands over what is queued and waits for a completion, for `timeout` at most.
    pub(super) fn enter_and_wait(&self, timeout: Option<Duration>) {
        self.push_waits();
        let mut ring = self.ring.borrow_mut();
        let Some(ring) = ring.as_mut() else { return };
        let submitter = ring.submitter();
        let result = match timeout {
            None => submitter.submit_and_wait(1),
            Some(timeout) => {
                let time = types::Timespec::from(timeout);
                submitter.submit_with_args(1, &types::SubmitArgs::new().timespec(&time))
            }
        };
        check(result);
    }

    /// Takes the completions that are there and wakes who waits for them. Returns whether the
    /// descriptor of wake-ups was among them.
    pub(super) fn reap(&self) -> bool {
        let mut entries = [const { MaybeUninit::<cqueue::Entry>::uninit() }; COMPLETIONS];
        let mut woken = false;
        loop {
            let taken = match self.ring.borrow_mut().as_mut() {
                Some(ring) => ring.completion().fill(&mut entries),
                None => return woken,
            };
            for entry in &*taken {
                match entry.user_data() {
                    WAKE_UP => woken = true,
                    IGNORED => {}
                    // A waker may be foreign, and the rest of these is taken only once.
                    key => contain(|| self.complete(key, entry.result())),
                }
            }
            if taken.len() < COMPLETIONS {
                return woken;
            }
        }
    }

    fn complete(&self, key: u64, result: i32) {
        let mut operations = self.operations.borrow_mut();
        let Some(key) = usize::try_from(key)
            .ok()
            .filter(|&key| operations.contains(key))
        else {
            debug_assert!(false, "a completion of no operation");
            return;
        };
        match core::mem::replace(&mut operations[key].stage, Stage::Completed(result)) {
            Stage::Submitted(waker) => {
                drop(operations);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Stage::Abandoned => {
                let operation = operations.remove(key);
                drop(operations);
                drop(operation.held.complete(result));
            }
            Stage::Completed(_) => debug_assert!(false, "completed twice"),
        }
    }

    /// Closes the ring. What is in flight is given up: its memory is leaked, never freed, since
    /// the kernel may be slower than this.
    pub(super) fn end(&self) {
        drop(self.ring.borrow_mut().take());
        self.waits.borrow_mut().clear();
        let operations = core::mem::take(&mut *self.operations.borrow_mut());
        drop(operations);
    }
}

impl core::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// Whether the kernel has work of this ring, or completions, that wait for an entry.
fn has_deferred(submissions: &squeue::SubmissionQueue<'_>) -> bool {
    submissions.taskrun() || submissions.cq_overflow()
}

fn enter_now(ring: &mut IoUring) -> io::Result<usize> {
    let mut submissions = ring.submission();
    submissions.sync();
    let count = u32::try_from(submissions.len()).unwrap_or(u32::MAX);
    drop(submissions);
    // SAFETY: the count is that of the queue, and no argument is passed.
    unsafe {
        ring.submitter()
            .enter::<libc::sigset_t>(count, 0, GET_EVENTS, None)
    }
}

/// Ends the thread's turn on errors that leave nothing to wait for.
fn check(result: io::Result<usize>) {
    let Err(error) = result else { return };
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    // Interrupted, out of time, or short of memory or of room for completions: what is queued
    // stays queued, and the next turn tries again after taking completions.
    let passes = [Errno::INTR, Errno::TIME, Errno::AGAIN, Errno::BUSY];
    assert!(
        errno.is_some_and(|errno| passes.contains(&errno)),
        "io_uring_enter failed for good: {error}"
    );
}
