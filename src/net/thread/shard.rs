//! What all connections of one ring thread share, and how they find it.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use slab::Slab;

use super::counters::{Connections, HandshakeCounts, Waits};
use super::retirement::{self, MAX_RETIRING};
use super::time_limits::Watched;
use crate::driver::{self, DriverState, Socket, WakerCell, catch_panic};
use crate::memory::Pool;
use crate::protocol::RecordCounts;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Shard>>> = const { RefCell::new(None) };
}

/// How long nothing moves before those who wait for memory get it over the budget.
const STANDSTILL: Duration = Duration::from_millis(100);
/// How long memory is kept for the next long block, if none comes.
const SPARES_KEPT: Duration = Duration::from_secs(1);
/// How long a runtime that ends waits for the kernel to let go of its memory.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// The pool, the ring's state, and the connections of one thread.
pub(crate) struct Shard {
    pub(crate) pool: Pool,
    pub(crate) driver: Rc<DriverState>,
    pub(crate) counters: Counters,
    pub(crate) watched: Rc<Watched>,
    members: RefCell<Slab<Weak<dyn Member>>>,
    /// What the background task has not taken over yet.
    leftovers: RefCell<Vec<Leftover>>,
    /// How many leftovers there are, those that were taken over included.
    unfinished: Cell<usize>,
    /// Connections that retire, the oldest first, and some that have retired.
    retiring: RefCell<VecDeque<Weak<dyn Member>>>,
    /// Where what nobody wants is read into, while nobody does.
    scratch: Cell<Vec<u8>>,
    background: WakerCell,
    /// Who waits for the last leftover.
    finished: WakerCell,
    ending: Cell<bool>,
    /// Whether there is no background task any more.
    ended: Cell<bool>,
}

/// What the connections of a thread have done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Bytes of incomplete frames moved to where there is room for the rest.
    pub(crate) moved_bytes: Cell<u64>,
    /// Messages sealed.
    pub(crate) messages_sent: Cell<u64>,
    /// Messages opened.
    pub(crate) messages_received: Cell<u64>,
    /// Reads completed with data.
    pub(crate) reads: Cell<u64>,
    /// Writes completed.
    pub(crate) writes: Cell<u64>,
    /// Clients refused before any work was spent on them.
    pub(crate) refused: Cell<u64>,
    /// Blocks allocated for messages larger than a slot, and in the place of one.
    pub(crate) large_blocks: Cell<u64>,
    /// Records sealed, and opened, as far as buffers have left or were gone through.
    pub(crate) records_sent: Cell<u64>,
    pub(crate) records_received: Cell<u64>,
    /// Bytes that the kernel has taken and given, handshakes included.
    pub(crate) bytes_sent: Cell<u64>,
    pub(crate) bytes_received: Cell<u64>,
    /// Key updates, of both directions.
    pub(crate) key_updates: Cell<u64>,
    /// Messages that waited for room to be sealed into.
    pub(crate) send_waits: Waits,
    pub(crate) connections: Connections,
    /// Handshakes of each end.
    pub(crate) dialed: Cell<HandshakeCounts>,
    pub(crate) accepted: Cell<HandshakeCounts>,
}

impl Counters {
    pub(crate) fn add_sent(&self, added: RecordCounts) {
        self.records_sent
            .set(self.records_sent.get() + added.records);
        self.key_updates.set(self.key_updates.get() + added.updates);
    }

    pub(crate) fn add_received(&self, added: RecordCounts) {
        self.records_received
            .set(self.records_received.get() + added.records);
        self.key_updates.set(self.key_updates.get() + added.updates);
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &Cell<u64>, amount: usize) {
    counter.set(counter.get() + amount as u64);
}

/// Waits until `holds` is true. For parts of the background task: it looks whenever that is polled, and
/// leaves no waker of its own.
async fn until(holds: impl Fn() -> bool) {
    poll_fn(|_| match holds() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// What the background task sees to the end.
type Leftover = Pin<Box<dyn Future<Output = ()>>>;

/// A connection, as far as its thread looks after it.
pub(crate) trait Member {
    /// The runtime ends: as if all who have the connection had gone.
    fn end(self: Rc<Self>);

    /// Closes its socket now.
    fn cut(&self);

    /// Whether the background task has it.
    fn is_retiring(&self) -> bool;

    /// Whether it is open, and a handler of a server has or had it.
    fn is_served(&self) -> bool;
}

/// Makes a context current until dropped, and then the one before it.
pub(crate) struct Entered {
    previous: Option<Rc<Shard>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // At thread exit the variable may be gone; then nothing can look it up either.
        let _ = CURRENT.try_with(|current| current.replace(self.previous.take()));
    }
}

impl Shard {
    pub(crate) fn new(pool: Pool, driver: Rc<DriverState>) -> Rc<Self> {
        Rc::new(Self {
            pool,
            driver,
            counters: Counters::default(),
            watched: Rc::default(),
            members: RefCell::default(),
            leftovers: RefCell::default(),
            unfinished: Cell::new(0),
            retiring: RefCell::default(),
            scratch: Cell::default(),
            background: WakerCell::default(),
            finished: WakerCell::default(),
            ending: Cell::new(false),
            ended: Cell::new(false),
        })
    }

    /// Returns the shard of the runtime that this thread is inside of.
    pub(crate) fn current() -> Option<Rc<Self>> {
        CURRENT
            .try_with(|current| current.borrow().clone())
            .ok()
            .flatten()
    }

    /// Makes this context current, unless the thread is ending and can have none.
    pub(crate) fn enter(self: &Rc<Self>) -> Option<Entered> {
        let previous = CURRENT.try_with(|current| current.replace(Some(Rc::clone(self))));
        previous.ok().map(|previous| Entered { previous })
    }

    /// Whether operations may be submitted: this thread is inside this context's runtime, the
    /// runtime is not ending, and it is not one that a forked child has inherited.
    pub(crate) fn is_running(self: &Rc<Self>) -> bool {
        !self.ending.get() && !self.driver.is_inherited() && self.is_current()
    }

    /// Whether this thread is inside this context's runtime, which may be ending.
    pub(crate) fn is_current(self: &Rc<Self>) -> bool {
        CURRENT
            .try_with(|current| {
                current
                    .borrow()
                    .as_ref()
                    .is_some_and(|current| Rc::ptr_eq(current, self))
            })
            .unwrap_or(false)
    }

    pub(crate) fn register(&self, member: Weak<dyn Member>) -> usize {
        self.members.borrow_mut().insert(member)
    }

    pub(crate) fn forget(&self, key: usize) {
        let member = self.members.borrow_mut().try_remove(key);
        drop(member);
    }

    /// Returns how many members there are.
    #[cfg(feature = "internals")]
    pub(crate) fn member_count(&self) -> usize {
        self.members.borrow().len()
    }

    /// Sees a connection to its end in the background, which `work` does. If that panics, as a user's
    /// stream may, it ends this connection and no other.
    pub(crate) fn retire(&self, member: Rc<dyn Member>, work: impl Future<Output = ()> + 'static) {
        let place = Rc::downgrade(&member);
        self.finish(async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                catch_panic(|| member.cut());
            }
        });
        let mut retiring = self.retiring.borrow_mut();
        retiring.push_back(place);
        if retiring.len() > MAX_RETIRING {
            retiring.retain(|member| member.upgrade().is_some_and(|member| member.is_retiring()));
        }
        let is_crowded = retiring.len() > MAX_RETIRING && !self.ending.get();
        let oldest = is_crowded.then(|| retiring.pop_front()).flatten();
        drop(retiring);
        if let Some(oldest) = oldest.and_then(|member| member.upgrade()) {
            oldest.cut();
        }
    }

    /// Takes back in the background what a socket has in flight that nobody waits for.
    pub(crate) fn collect(&self, socket: Rc<Socket>) {
        self.finish(async {
            let collected = AssertUnwindSafe(retirement::collect(socket));
            let _ = collected.catch_unwind().await;
        });
    }

    /// Does `leftover` in the background, which may not panic. The end of the runtime waits for it.
    pub(crate) fn finish(&self, leftover: impl Future<Output = ()> + 'static) {
        // Without a ring nothing is in flight that could be waited for.
        if self.ended.get() {
            return;
        }
        self.unfinished.set(self.unfinished.get() + 1);
        self.leftovers.borrow_mut().push(Box::pin(leftover));
        self.background.wake();
    }

    /// Returns how many connections and sockets end in the background.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.get()
    }

    /// Waits until no connection or socket ends in the background any more.
    pub(crate) async fn retired(&self) {
        poll_fn(|context| {
            self.finished.set(context.waker());
            match self.unfinished.get() {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    /// Closes the sockets of all connections now; returns of how many that a server has served.
    pub(crate) fn cut_all(&self) -> usize {
        let members = self.members();
        let served = members.iter().filter(|member| member.is_served()).count();
        members.iter().for_each(|member| member.cut());
        served
    }

    fn members(&self) -> Vec<Rc<dyn Member>> {
        let members = self.members.borrow();
        members
            .iter()
            .filter_map(|(_, member)| member.upgrade())
            .collect()
    }

    /// Returns where memory for what nobody wants is kept, while nobody uses it.
    pub(crate) fn scratch(&self) -> &Cell<Vec<u8>> {
        &self.scratch
    }

    /// The background task: finishes what is left over, and has memory passed on.
    pub(crate) async fn work(self: Rc<Self>) {
        let mut running = FuturesUnordered::new();
        let mut relief = pin!(self.relieve());
        let mut spares = pin!(self.let_spares_go());
        poll_fn(|context| -> Poll<()> {
            self.background.set(context.waker());
            self.pool.heap().poll_pass_on(context);
            let _ = relief.as_mut().poll(context);
            let _ = spares.as_mut().poll(context);
            loop {
                let leftovers = core::mem::take(&mut *self.leftovers.borrow_mut());
                let is_new = !leftovers.is_empty();
                running.extend(leftovers);
                while let Poll::Ready(Some(())) = running.poll_next_unpin(context) {
                    self.unfinished.set(self.unfinished.get() - 1);
                    if self.unfinished.get() == 0 {
                        self.finished.wake();
                    }
                }
                if !is_new {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Sees to it that those who wait for memory get on where nothing moves.
    async fn relieve(&self) {
        let heap = self.pool.heap();
        loop {
            until(|| heap.has_waiters()).await;
            let before = heap.moves();
            driver::sleep(STANDSTILL).await;
            // It would get on here, and late each time. In builds for tests alone: it is told by a panic.
            #[cfg(feature = "internals")]
            assert_eq!(
                self.pool.overlooked(),
                None,
                "somebody waits for what is there"
            );
            heap.relieve(before);
        }
    }

    /// Sees to it that memory which is kept for the next long block does not outlive the use for it.
    async fn let_spares_go(&self) {
        let heap = self.pool.heap();
        loop {
            until(|| heap.has_spares()).await;
            driver::sleep(SPARES_KEPT).await;
            heap.drop_unused_spares();
        }
    }

    /// Ends all connections, as if nobody had them any more, and waits until the kernel holds no
    /// memory of the pool.
    pub(crate) async fn shut_down(self: Rc<Self>) {
        self.ending.set(true);
        for member in self.members() {
            member.end();
        }
        let idle = poll_fn(|context| {
            if self.driver.in_flight() == 0 {
                return Poll::Ready(());
            }
            self.driver.wake_when_idle(context.waker());
            Poll::Pending
        });
        let _ = driver::timeout(retirement::LONGEST + SHUTDOWN_LIMIT, self.retired()).await;
        if driver::timeout(SHUTDOWN_LIMIT, idle).await.is_none() {
            tracing::warn!(
                in_flight = self.driver.in_flight(),
                "operations outlive their runtime; their memory is leaked"
            );
        }
    }

    /// Notes that the ring is gone, and the background task with it.
    pub(crate) fn end(&self) {
        self.ending.set(true);
        self.ended.set(true);
        let leftovers = self.leftovers.take();
        drop(leftovers);
    }
}

impl core::fmt::Debug for Shard {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Shard")
            .field("pool", &self.pool)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
