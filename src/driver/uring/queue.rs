//! The two queues that are shared with the kernel, and the operations between them.

#![expect(
    unsafe_code,
    reason = "pushing an entry, entering the ring and registering memory are unsafe in the \
              io-uring crate"
)]

use core::cell::{Cell, RefCell};
use core::mem::MaybeUninit;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use io_uring::{Builder, IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;
use slab::Slab;

use super::doorbell::Doorbell;
use super::enter::{enter_and_wait, enter_now, is_harmless, knows_no_io_wait};
use super::idle::{BUSY, IdleSignal, wait_readable};
#[cfg(test)]
use super::script;
use crate::driver::operation_resources::{OperationResources, POLLIN};
use crate::driver::{Completion, DriverError, DriverStatus, StartError, catch_panic};
use crate::memory::Pool;

/// What the wake-up descriptor's readiness is known by; no slab grows that far.
const WAKE_UP: u64 = u64::MAX;
/// What operations are known by whose outcome nobody asks for.
const IGNORED: u64 = u64::MAX - 1;
/// Completions that are taken from the queue at a time.
const COMPLETIONS: usize = 32;
/// How often in a row the kernel may refuse to let the thread into the ring, with an error that
/// passes when there is memory or room for completions again, and with any other.
const MAX_SHORTAGES: u32 = 2_000;
const MAX_REFUSALS: u32 = 16;
/// How long to wait between two tries when several have failed.
const PAUSE: Duration = Duration::from_millis(1);

/// Where in the queue an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Behind what was submitted before, waits excepted.
    Now,
    /// Behind all that is submitted before the kernel is entered.
    Deferred,
    /// Behind all that was submitted before, since it concerns that.
    AfterDeferred,
}

/// Submissions, completions, and what is in between.
pub(crate) struct Queue {
    /// `None` when the ring has ended.
    ring: RefCell<Option<IoUring>>,
    operations: RefCell<Slab<InProgress>>,
    /// Waits for the peer, which are submitted behind everything else: what the peer waits for
    /// itself goes first.
    waits: RefCell<Vec<squeue::Entry>>,
    status: Rc<DriverStatus>,
    /// Where an idle thread waits, where a wait in the ring would count as one for storage.
    idle: Option<IdleSignal>,
    registered: Cell<bool>,
    /// How often in a row the ring could not be entered.
    refusals: Cell<u32>,
    /// Completions that the kernel had lost when that was looked at last.
    lost: Cell<u32>,
    /// What entering the ring is to fail with, and how often.
    #[cfg(test)]
    injected: Cell<Option<(Errno, u32)>>,
}

/// An operation from its submission until somebody collects its completion.
struct InProgress {
    resources: OperationResources,
    stage: Stage,
}

enum Stage {
    /// The kernel has it, and perhaps somebody waits.
    Submitted(Option<Waker>),
    /// The kernel has it, and nobody will collect it.
    Abandoned,
    /// The kernel may have it for good, and somebody is to be told so.
    Failed,
    /// The kernel has answered.
    Completed(i32),
}

impl InProgress {
    /// Ends for whoever waits what the kernel may still have. That keeps the socket open, so the
    /// peer is told.
    fn fail(&mut self) -> Option<Waker> {
        let waker = match &mut self.stage {
            Stage::Submitted(waker) => waker.take(),
            Stage::Abandoned => None,
            Stage::Failed | Stage::Completed(_) => return None,
        };
        self.resources.end_socket();
        if let Stage::Submitted(_) = self.stage {
            self.stage = Stage::Failed;
        }
        waker
    }
}

impl Queue {
    /// # Errors
    ///
    /// What `io_uring_setup(2)` says, or `eventfd(2)`.
    pub(super) fn new(
        builder: &Builder,
        entries: u32,
        status: Rc<DriverStatus>,
    ) -> Result<Self, StartError> {
        let mut ring: IoUring = builder.build(entries).map_err(StartError::from_setup)?;
        let idle = match knows_no_io_wait(&mut ring) {
            true => None,
            false => Some(IdleSignal::new().map_err(StartError::from_eventfd)?),
        };
        Ok(Self {
            ring: RefCell::new(Some(ring)),
            operations: RefCell::new(Slab::with_capacity(entries as usize)),
            waits: RefCell::default(),
            status,
            idle,
            registered: Cell::new(false),
            refusals: Cell::new(0),
            lost: Cell::new(0),
            #[cfg(test)]
            injected: Cell::new(None),
        })
    }

    pub(super) fn status(&self) -> &Rc<DriverStatus> {
        &self.status
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
        // them only for operations, each of which holds its block of the pool (`OperationResources`) until its
        // completion, and leaks it without one.
        let registered = unsafe { ring.submitter().register_buffers(&buffers) };
        self.registered.set(registered.is_ok());
        registered
    }

    /// Has the kernel let go of the arena, which closing the ring does only some time later. While
    /// it still uses it for an operation that would wait, so it is left then.
    fn unregister(&self) {
        let uses_memory = |operation: &InProgress| {
            operation.resources.has_memory() && !matches!(operation.stage, Stage::Completed(_))
        };
        let is_in_use = (self.operations.borrow().iter()).any(|(_, it)| uses_memory(it));
        if is_in_use || !self.registered.replace(false) {
            return;
        }
        if let Some(ring) = self.ring.borrow().as_ref()
            && let Err(error) = ring.submitter().unregister_buffers()
        {
            tracing::debug!(%error, "the arena stays locked until the ring is gone");
        }
    }

    /// Has the kernel do `entry`, which may address only what `resources` keep. Returns the key to
    /// collect it by.
    ///
    /// # Errors
    ///
    /// What was held, when there is no ring to do it: the kernel has seen none of it.
    pub(crate) fn submit(
        &self,
        entry: squeue::Entry,
        resources: OperationResources,
        placement: Placement,
    ) -> Result<usize, OperationResources> {
        if self.status.check().is_err() || self.ring.borrow().is_none() {
            return Err(resources);
        }
        let key = self.operations.borrow_mut().insert(InProgress {
            resources,
            stage: Stage::Submitted(None),
        });
        #[cfg(test)]
        if self.is_ended_by_script(key, placement) {
            return Ok(key);
        }
        let entry = entry.user_data(key as u64);
        match placement {
            Placement::Deferred => self.waits.borrow_mut().push(entry),
            Placement::Now => self.push(&entry),
            Placement::AfterDeferred => {
                self.push_waits();
                self.push(&entry);
            }
        }
        Ok(key)
    }

    /// Watches the doorbell of wake-ups once.
    pub(super) fn watch(&self, doorbell: &Doorbell) {
        let descriptor = types::Fd(doorbell.as_fd().as_raw_fd());
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
        while self.status.check().is_ok() && !self.try_push(entry) {
            // A full queue: the kernel takes all of it, or says that completions have to be
            // taken first, for which it has room of its own.
            self.enter(enter_now);
        }
    }

    /// Whether the entry is queued, or there is no queue any more.
    fn try_push(&self, entry: &squeue::Entry) -> bool {
        let mut ring = self.ring.borrow_mut();
        let Some(ring) = ring.as_mut() else {
            return true;
        };
        // SAFETY: what the entry points to is held in `operations` until its completion, or it
        // points to nothing (readiness, cancellation).
        unsafe { ring.submission().push(entry) }.is_ok()
    }

    /// Enters the ring, and notes how that went.
    fn enter(&self, enter: impl FnOnce(&mut IoUring) -> io::Result<usize>) {
        let result = {
            let mut ring = self.ring.borrow_mut();
            let Some(ring) = ring.as_mut() else { return };
            match self.injected() {
                None => enter(ring),
                Some(errno) => Err(errno.into()),
            }
        };
        if let Err(error) = result {
            self.note(
                error
                    .raw_os_error()
                    .map_or(Errno::IO, Errno::from_raw_os_error),
            );
        } else {
            self.refusals.set(0);
        }
    }

    #[cfg(not(test))]
    fn injected(&self) -> Option<Errno> {
        None
    }

    #[cfg(test)]
    fn injected(&self) -> Option<Errno> {
        let (errno, times) = self.injected.get()?;
        self.injected.set((times > 1).then_some((errno, times - 1)));
        Some(errno)
    }

    /// Whether a test ends the operation of `key` instead of the kernel: a transfer, or a wait for one.
    #[cfg(test)]
    fn is_ended_by_script(&self, key: usize, placement: Placement) -> bool {
        let operations = self.operations.borrow();
        let is_transfer = operations[key].resources.is_counted();
        is_transfer && placement != Placement::AfterDeferred && script::ends(key as u64)
    }

    /// Notes that the ring could not be entered. What is queued stays queued, and is submitted when
    /// it is entered next, unless the ring has failed for good.
    fn note(&self, errno: Errno) {
        if is_harmless(errno) {
            return;
        }
        let number = errno.raw_os_error();
        if errno == Errno::BADR && self.has_lost_completions() {
            return self.fail(DriverError::LostCompletions { errno: number });
        }
        let is_shortage = matches!(errno, Errno::AGAIN | Errno::BUSY | Errno::NOMEM);
        let most = if is_shortage {
            MAX_SHORTAGES
        } else {
            MAX_REFUSALS
        };
        let refusals = self.refusals.get() + 1;
        self.refusals.set(refusals);
        if refusals > most {
            self.fail(DriverError::Enter { errno: number });
        } else if refusals > MAX_REFUSALS {
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether the kernel has lost completions since it was asked last: nobody can tell whose.
    fn has_lost_completions(&self) -> bool {
        let mut ring = self.ring.borrow_mut();
        let lost = ring.as_mut().map_or(0, |ring| ring.completion().overflow());
        self.lost.replace(lost) != lost
    }

    /// Ends everything that is in flight for whoever waits for it. Its memory stays the kernel's.
    fn fail(&self, error: DriverError) {
        self.status.fail(error);
        self.waits.borrow_mut().clear();
        let wakers: Vec<Waker> = {
            let mut operations = self.operations.borrow_mut();
            let all = operations.iter_mut();
            all.filter_map(|(_, operation)| operation.fail()).collect()
        };
        for waker in wakers {
            catch_panic(|| waker.wake());
        }
    }

    /// Collects the operation of `key` if it has completed, or has `context` woken when it does.
    pub(crate) fn poll(&self, key: usize, context: &mut Context<'_>) -> Poll<Completion> {
        if let Some(completion) = self.collect(key) {
            return Poll::Ready(completion);
        }
        if self.is_awaited_by(key, context.waker()) {
            return Poll::Pending;
        }
        // Cloning a waker may run anything, and so may dropping the one before.
        let previous = self.set_waker(key, context.waker().clone());
        drop(previous);
        self.collect(key).map_or(Poll::Pending, Poll::Ready)
    }

    fn collect(&self, key: usize) -> Option<Completion> {
        let mut operations = self.operations.borrow_mut();
        let Some(operation) = operations.get_mut(key) else {
            return Some(Completion::cancelled());
        };
        match operation.stage {
            Stage::Submitted(_) => None,
            Stage::Abandoned => unreachable!("polled after its drop"),
            Stage::Failed => {
                operation.stage = Stage::Abandoned;
                let error = self.status.check().err().unwrap_or(DriverError::Stalled);
                Some(Completion::failed(error))
            }
            Stage::Completed(result) => {
                let operation = operations.remove(key);
                drop(operations);
                Some(operation.resources.complete(result))
            }
        }
    }

    fn is_awaited_by(&self, key: usize, waker: &Waker) -> bool {
        let operations = self.operations.borrow();
        let stage = operations.get(key).map(|operation| &operation.stage);
        matches!(stage, Some(Stage::Submitted(Some(kept))) if kept.will_wake(waker))
    }

    /// Puts `waker` in its place and returns what is to be dropped.
    fn set_waker(&self, key: usize, waker: Waker) -> Option<Waker> {
        let mut operations = self.operations.borrow_mut();
        match operations
            .get_mut(key)
            .map(|operation| &mut operation.stage)
        {
            Some(Stage::Submitted(place)) => place.replace(waker),
            _ => Some(waker),
        }
    }

    /// Whether the operation of `key` has completed.
    pub(crate) fn is_completed(&self, key: usize) -> bool {
        let operations = self.operations.borrow();
        let stage = operations.get(key).map(|operation| &operation.stage);
        !matches!(stage, Some(Stage::Submitted(_) | Stage::Abandoned))
    }

    /// Has the kernel end the operation of `key` early. It still is to be collected.
    pub(crate) fn cancel(&self, key: usize) {
        if self.is_completed(key) || self.status.check().is_err() {
            return;
        }
        self.push_cancellation(key);
    }

    fn push_cancellation(&self, key: usize) {
        self.push_waits();
        // The queue is worked off in order, so this comes before any operation that gets the
        // same key again.
        let entry = opcode::AsyncCancel::new(key as u64).build();
        self.push(&entry.user_data(IGNORED));
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
            drop(operation.resources.complete(result));
            return;
        }
        let previous = core::mem::replace(&mut operation.stage, Stage::Abandoned);
        drop(operations);
        drop(previous);
        if self.status.check().is_ok() {
            self.push_cancellation(key);
        }
    }

    /// Whether completions can be taken, or would be there after entering the kernel.
    pub(super) fn has_completions(&self) -> bool {
        #[cfg(test)]
        if script::has_held() {
            return true;
        }
        let mut ring = self.ring.borrow_mut();
        let Some(ring) = ring.as_mut() else {
            return false;
        };
        !ring.completion().is_empty() || has_deferred(&ring.submission())
    }

    /// Submits what is queued and has the kernel run the work that it has deferred, without waiting.
    pub(super) fn enter_now(&self) {
        if self.status.check().is_err() {
            return;
        }
        self.push_waits();
        if self.is_due() {
            self.enter(enter_now);
        }
    }

    fn is_due(&self) -> bool {
        let mut ring = self.ring.borrow_mut();
        ring.as_mut().is_some_and(|ring| {
            let submissions = ring.submission();
            !submissions.is_empty() || has_deferred(&submissions)
        })
    }

    /// Submits what is queued and waits for a completion, for `timeout` at most. Once the ring has
    /// failed, and no completion can come, it waits for `doorbell`.
    pub(super) fn enter_and_wait(&self, timeout: Option<Duration>, doorbell: &Doorbell) {
        if self.status.check().is_err() {
            return wait_readable(doorbell.as_fd(), timeout);
        }
        self.push_waits();
        if self.status.check().is_err() {
            // That has woken those who wait.
            return;
        }
        #[cfg(test)]
        if script::has_held() {
            return self.enter(enter_now);
        }
        match &self.idle {
            None => self.enter(|ring| enter_and_wait(ring, timeout, true)),
            Some(_) if timeout.is_some_and(|timeout| timeout <= BUSY) => {
                self.enter(|ring| enter_and_wait(ring, timeout, false));
            }
            Some(idle) => {
                self.enter(|ring| enter_and_wait(ring, Some(BUSY), false));
                let rest = timeout.map(|timeout| timeout - BUSY);
                self.wait_idle(idle, rest);
            }
        }
    }

    /// Waits for completions elsewhere than in the ring, if there are none.
    fn wait_idle(&self, idle: &IdleSignal, timeout: Option<Duration>) {
        if self.status.check().is_err() || self.has_completions() {
            return;
        }
        let with_ring = |work: fn(&IdleSignal, &IoUring) -> io::Result<()>| {
            let ring = self.ring.borrow();
            ring.as_ref().is_some_and(|ring| work(idle, ring).is_ok())
        };
        if !with_ring(IdleSignal::attach) {
            // Then the kernel has to count the wait.
            return self.enter(|ring| enter_and_wait(ring, timeout, false));
        }
        // What has come before is not signalled.
        if !self.has_completions() {
            idle.wait(timeout);
        }
        if !with_ring(IdleSignal::detach) {
            tracing::debug!("the kernel goes on signalling completions to a busy thread");
        }
        self.enter_now();
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
            if !taken.is_empty() {
                self.refusals.set(0);
            }
            for entry in &*taken {
                match entry.user_data() {
                    WAKE_UP => woken = true,
                    IGNORED => {}
                    key => self.answered(key, entry.result()),
                }
            }
            if taken.len() < COMPLETIONS {
                #[cfg(test)]
                for (key, result) in script::due() {
                    catch_panic(|| self.complete(key, result));
                }
                return woken;
            }
        }
    }

    fn answered(&self, key: u64, result: i32) {
        #[cfg(test)]
        if script::holds(key, result) {
            return;
        }
        // A waker may be foreign, and the rest of what is there is taken only once.
        catch_panic(|| self.complete(key, result));
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
                drop(operation.resources.complete(result));
            }
            // Whoever waits was woken when the driver failed.
            Stage::Failed => {}
            Stage::Completed(_) => debug_assert!(false, "completed twice"),
        }
    }

    /// Closes the ring. What is in flight is given up: its memory is leaked, never freed, since
    /// the kernel may be slower than this.
    pub(super) fn end(&self) {
        self.unregister();
        let ring = self.ring.borrow_mut().take();
        drop(ring);
        self.waits.borrow_mut().clear();
        let operations = core::mem::take(&mut *self.operations.borrow_mut());
        catch_panic(|| drop(operations));
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

#[cfg(test)]
mod tests {
    use core::future::poll_fn;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::super::Uring;
    use super::*;
    use crate::driver::{Backend, DriverState, Engine, Socket};
    use crate::memory::Buffer;

    /// A ring with `entries`, a socket on it, and the other end of that.
    fn ring(entries: u32) -> (Uring, Rc<DriverState>, Socket, UnixStream) {
        let status = Rc::new(DriverStatus::new());
        let ring = Uring::start(entries, Duration::ZERO, &status).expect("io_uring");
        let engine = Engine::Uring(Rc::clone(ring.queue()));
        let state = Rc::new(DriverState::new(Backend::Uring, status, engine));
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let socket = Socket::new(ours.into(), &state).expect("a socket");
        (ring, state, socket, theirs)
    }

    fn buffer() -> Buffer {
        Buffer::for_test(4)
    }

    async fn write(socket: &Socket) -> Completion {
        socket.start_write(buffer(), 0..4);
        poll_fn(|context| socket.poll_write(context)).await
    }

    fn cause(completion: &Completion) -> DriverError {
        let error = completion.result.as_ref().expect_err("no ring");
        let cause = error.get_ref().expect("a cause").downcast_ref();
        *cause.expect("the driver's")
    }

    // HAZARDS F14.
    #[test]
    fn what_passes_is_survived() {
        for errno in [
            Errno::BADR,
            Errno::INVAL,
            Errno::NOMEM,
            Errno::AGAIN,
            Errno::BUSY,
            Errno::INTR,
        ] {
            let (ring, state, socket, _theirs) = ring(8);
            for times in [1, MAX_REFUSALS] {
                ring.queue().injected.set(Some((errno, times)));
                let completion = ring.block_on(write(&socket));
                assert!(matches!(completion.result, Ok(4)), "{errno:?}");
                assert_eq!(ring.queue().injected.get(), None);
            }
            state.check().expect("no failure");
        }
    }

    // HAZARDS F14.
    #[test]
    #[inline(never)]
    fn what_does_not_pass_ends_all_operations_and_their_sockets() {
        let (ring, state, socket, mut theirs) = ring(8);
        ring.block_on(async {
            socket.start_read(buffer(), 0..4);
            let started = poll_fn(|context| Poll::Ready(socket.poll_read(context).is_pending()));
            assert!(started.await);
        });
        ring.queue().enter_now();
        let errno = Errno::BADF;
        ring.queue().injected.set(Some((errno, u32::MAX)));
        let completion = ring.block_on(poll_fn(|context| socket.poll_read(context)));
        let expected = DriverError::Enter {
            errno: errno.raw_os_error(),
        };
        assert_eq!(cause(&completion), expected);
        assert!(completion.memory.is_none(), "the kernel may have it");
        assert_eq!(state.in_flight(), 0);
        assert_eq!(theirs.read(&mut [0]).expect("the end"), 0);
        // The kernel has never seen this one.
        let completion = ring.block_on(write(&socket));
        assert_eq!(cause(&completion), expected);
        assert!(completion.memory.is_some());
        drop(ring);
        drop(socket);
    }

    // HAZARDS F14: nothing else wakes this thread.
    #[test]
    #[inline(never)]
    fn who_is_woken_when_a_look_finds_the_ring_gone_is_polled() {
        let (ring, _state, socket, _theirs) = ring(8);
        ring.block_on(crate::driver::sleep(Duration::from_millis(1)));
        // The look enters the ring for this, and nothing in flight is completed by its end.
        socket.start_read(buffer(), 0..4);
        // The first refusal is the last.
        ring.queue().lost.set(u32::MAX);
        ring.queue().injected.set(Some((Errno::BADR, 1)));
        ring.executor.look_next();
        let completion = ring.block_on(poll_fn(|context| socket.poll_read(context)));
        let errno = Errno::BADR.raw_os_error();
        assert_eq!(cause(&completion), DriverError::LostCompletions { errno });
    }

    // HAZARDS F14: an operation that waits for a completion which was lost would never end.
    #[test]
    #[inline(never)]
    fn lost_completions_end_all_operations() {
        let (ring, _state, socket, _theirs) = ring(8);
        socket.start_read(buffer(), 0..4);
        // As if the kernel had counted one.
        ring.queue().lost.set(u32::MAX);
        ring.queue().injected.set(Some((Errno::BADR, 1)));
        let completion = ring.block_on(poll_fn(|context| socket.poll_read(context)));
        let errno = Errno::BADR.raw_os_error();
        assert_eq!(cause(&completion), DriverError::LostCompletions { errno });
    }

    // HAZARDS B6, F14.
    #[test]
    #[inline(never)]
    fn a_full_queue_goes_on_or_fails_with_the_ring() {
        for (times, goes_on) in [(3, true), (u32::MAX, false)] {
            let (ring, state, _socket, _theirs) = ring(1);
            let sockets: Vec<_> = (0..20)
                .map(|_| {
                    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
                    (Socket::new(ours.into(), &state).expect("a socket"), theirs)
                })
                .collect();
            ring.queue().injected.set(Some((Errno::BADR, times)));
            for (socket, _) in &sockets {
                socket.start_write(buffer(), 0..4);
            }
            for (socket, _) in &sockets {
                let completion = ring.block_on(poll_fn(|context| socket.poll_write(context)));
                assert_eq!(completion.result.is_ok(), goes_on);
            }
            assert_eq!(state.in_flight(), 0);
        }
    }
}
