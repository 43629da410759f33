//! What all connections of one ring thread share, and how they find it.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, Waker};
use core::time::Duration;
use std::rc::{Rc, Weak};

use slab::Slab;

use super::time_limits::Watched;
use crate::memory::Pool;
use crate::ring::{self, Operation, RingState, ShutdownSide, Socket};

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

/// How long a runtime that ends waits for the kernel to let go of its memory.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// The pool, the ring's state, and the sockets of one thread.
pub(crate) struct Context {
    pub(crate) pool: Pool,
    pub(crate) ring: Rc<RingState>,
    pub(crate) counters: Counters,
    pub(crate) watched: Watched,
    sockets: RefCell<Slab<Weak<Socket>>>,
    orphans: RefCell<Vec<Orphan>>,
    reaper: RefCell<Option<Waker>>,
    ending: Cell<bool>,
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
    /// Blocks allocated for messages larger than a slot, and in the place of one.
    pub(crate) large_blocks: Cell<u64>,
}

/// Adds to a counter.
pub(crate) fn count(counter: &Cell<u64>, amount: usize) {
    counter.set(counter.get() + amount as u64);
}

/// A socket whose operations nobody waits for any more.
struct Orphan {
    socket: Rc<Socket>,
    /// Whether the writing side is orphaned too.
    both: bool,
    cancellation: Cancellation,
}

/// How far the cancellation of an orphan's operations is.
enum Cancellation {
    Due,
    InFlight(Operation),
    Done,
}

impl Orphan {
    fn poll(&mut self, context: &mut TaskContext<'_>) -> Poll<()> {
        let socket = &self.socket;
        let mut reading = socket.is_reading() && socket.poll_read(context).is_pending();
        let mut writing =
            self.both && socket.is_writing() && socket.poll_write(context).is_pending();
        if self.both && (reading || writing) && matches!(self.cancellation, Cancellation::Due) {
            self.cancellation = match socket.cancel() {
                Some(operation) => Cancellation::InFlight(operation),
                None => {
                    (reading, writing) = (false, false);
                    Cancellation::Done
                }
            };
        }
        let cancelling = match &mut self.cancellation {
            Cancellation::InFlight(operation) => Pin::new(operation).poll(context).is_pending(),
            Cancellation::Due | Cancellation::Done => false,
        };
        if !cancelling && matches!(self.cancellation, Cancellation::InFlight(_)) {
            self.cancellation = Cancellation::Done;
        }
        if reading || writing || cancelling {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// Makes a context current until dropped, and then the one before it.
pub(crate) struct Entered {
    previous: Option<Rc<Context>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // At thread exit the variable may be gone; then nothing can look it up either.
        let _ = CURRENT.try_with(|current| current.replace(self.previous.take()));
    }
}

impl Context {
    pub(crate) fn new(pool: Pool, ring: Rc<RingState>) -> Rc<Self> {
        Rc::new(Self {
            pool,
            ring,
            counters: Counters::default(),
            watched: Watched::default(),
            sockets: RefCell::default(),
            orphans: RefCell::default(),
            reaper: RefCell::default(),
            ending: Cell::new(false),
        })
    }

    /// Returns the context of the runtime that this thread is inside of.
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

    /// Whether operations may be submitted: this thread is inside this context's runtime, and
    /// the runtime is not ending.
    pub(crate) fn is_running(self: &Rc<Self>) -> bool {
        !self.ending.get()
            && CURRENT
                .try_with(|current| {
                    current
                        .borrow()
                        .as_ref()
                        .is_some_and(|current| Rc::ptr_eq(current, self))
                })
                .unwrap_or(false)
    }

    pub(crate) fn register_socket(&self, socket: &Rc<Socket>) -> usize {
        self.sockets.borrow_mut().insert(Rc::downgrade(socket))
    }

    pub(crate) fn forget_socket(&self, key: usize) {
        self.sockets.borrow_mut().remove(key);
    }

    /// Collects what the socket has in flight, on behalf of handles that are gone: the read
    /// alone, which the caller has ended, or `both`, which are cancelled from here.
    ///
    /// Both are cancelled instead of ended by `shutdown(2)`, because a socket that has ended its
    /// reading no longer tells its peer that it has room again. Closed then, it would leave a
    /// peer that was stopped in the middle of a write waiting for a minute.
    pub(crate) fn adopt(&self, socket: Rc<Socket>, both: bool) {
        self.orphans.borrow_mut().push(Orphan {
            socket,
            both,
            cancellation: Cancellation::Due,
        });
        let waker = self.reaper.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Collects orphaned operations for ever.
    pub(crate) async fn reap(self: Rc<Self>) {
        poll_fn(|context| {
            *self.reaper.borrow_mut() = Some(context.waker().clone());
            self.poll_orphans(context);
            Poll::<()>::Pending
        })
        .await;
    }

    fn poll_orphans(&self, context: &mut TaskContext<'_>) {
        let mut orphans = core::mem::take(&mut *self.orphans.borrow_mut());
        orphans.retain_mut(|orphan| orphan.poll(context).is_pending());
        // Dropping a completion's buffer may have woken tasks, but none has run: nothing was
        // added in between.
        self.orphans.borrow_mut().append(&mut orphans);
    }

    /// Ends all connections and waits until the kernel holds no memory of the pool.
    pub(crate) async fn shut_down(self: Rc<Self>) {
        self.ending.set(true);
        let sockets: Vec<Rc<Socket>> = self
            .sockets
            .borrow()
            .iter()
            .filter_map(|(_, socket)| socket.upgrade())
            .collect();
        for socket in sockets {
            socket.shutdown(ShutdownSide::Write);
            self.adopt(socket, true);
        }
        let idle = poll_fn(|context| {
            self.poll_orphans(context);
            if self.ring.in_flight() == 0 {
                return Poll::Ready(());
            }
            self.ring.wake_when_idle(context.waker());
            Poll::Pending
        });
        if ring::timeout(SHUTDOWN_LIMIT, idle).await.is_none() {
            tracing::warn!(
                in_flight = self.ring.in_flight(),
                "operations outlive their runtime; their memory is leaked"
            );
        }
    }
}

impl core::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Context")
            .field("pool", &self.pool)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
