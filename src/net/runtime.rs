//! One ring, one pool and one executor on the calling thread.

use core::future::Future;
use core::time::Duration;
use std::rc::Rc;

use super::context::Context;
use crate::memory::{Mapping, Pool};
use crate::ring::{self, Backend, Registration, Ring, RingSettings, StartError};

/// Settings of a [`Runtime`].
///
/// A connection that moves data holds two slots for sending, one that fills and one in flight, and
/// two for receiving, one that is read into and one that holds the messages given out, more if the
/// caller keeps messages of more slots than that. Sending leaves two fifths of the slots to
/// receiving, and receiving a quarter to sending. An idle connection holds one, and none once many
/// are out. A record of which a part has come then waits in a heap block of its own length, so
/// that ends whose slots are short never wait for each other. A sender that finds no slot, and has
/// nothing on the way, takes a heap block of one record, 16 KiB at least, so that it never waits
/// for the peers of others.
#[derive(Clone, Debug)]
pub struct Builder {
    ring_entries: u32,
    slots: usize,
    slot_size: usize,
    registration: Registration,
    backend: Backend,
    busy_poll: Duration,
    #[cfg(feature = "testing")]
    paused_time: bool,
}

impl Builder {
    /// Submissions that fit the ring by default.
    pub const DEFAULT_RING_ENTRIES: u32 = 256;
    /// Slots by default.
    pub const DEFAULT_SLOTS: usize = 10;
    /// Bytes in a slot by default: four records of 64 KiB and a little. Chosen by measurement; the
    /// README has the figures.
    pub const DEFAULT_SLOT_SIZE: usize = 272 * 1024;
    /// The shortest slot in bytes.
    pub const MIN_SLOT_SIZE: usize = 4096;

    /// Sets how many submissions fit the ring, 1 to 32 768, rounded up to a power of two.
    #[must_use]
    pub fn ring_entries(mut self, entries: u32) -> Self {
        self.ring_entries = entries;
        self
    }

    /// Sets how many slots the pool has, 4 at least.
    #[must_use]
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    /// Sets the size of a slot in bytes, rounded up to whole pages. Records that are longer work,
    /// on a slower path.
    #[must_use]
    pub fn slot_size(mut self, bytes: usize) -> Self {
        self.slot_size = bytes;
        self
    }

    /// Sets what happens when the kernel refuses to register the arena.
    #[must_use]
    pub fn registration(mut self, registration: Registration) -> Self {
        self.registration = registration;
        self
    }

    /// Sets who moves bytes and runs tasks.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Sets for how long an idle thread looks for something to do before it sleeps, zero by
    /// default. Messages that come in that time are found without a wake-up, for the price of a
    /// core that does not rest. [`Backend::Uring`] only; left out where [`Backend::Auto`] falls
    /// back to epoll.
    #[must_use]
    pub fn busy_poll(mut self, duration: Duration) -> Self {
        self.busy_poll = duration;
        self
    }

    /// Has time stand still while any task can run, and then move at once to the next timer. For
    /// tests over [`testing::wire`](crate::testing::wire), on the epoll backend; what comes over
    /// sockets takes its time, which is none here.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn paused_time(mut self) -> Self {
        self.paused_time = true;
        self
    }

    /// Makes the pool and the ring. The runtime belongs to this thread.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what the host lacks and what to do. Inside a runtime it is
    /// [`StartError::Configuration`]; inside one of tokio's too, but for [`Backend::Uring`].
    pub fn build(self) -> Result<Runtime, StartError> {
        if Context::current().is_some() {
            return Err(StartError::Configuration(
                "this thread is inside a runtime already; build another one before that, or on a \
                 thread of its own",
            ));
        }
        if self.slots < Pool::MIN_SLOTS {
            return Err(StartError::Configuration(
                "one connection needs 4 slots: one filled, one written, one read into, one viewed",
            ));
        }
        if !(1..=32_768).contains(&self.ring_entries) {
            return Err(StartError::Configuration(
                "the ring has room for 1 to 32768 submissions",
            ));
        }
        let length = self
            .slot_size
            .max(Self::MIN_SLOT_SIZE)
            .checked_next_multiple_of(rustix::param::page_size())
            .and_then(|slot_size| Some((slot_size, slot_size.checked_mul(self.slots)?)))
            // The kernel registers 1 GiB at most in one buffer.
            .filter(|&(_, length)| length <= 1 << 30);
        let Some((slot_size, length)) = length else {
            return Err(StartError::Configuration(
                "slots times slot size may be 1 GiB at most, which is what the kernel registers \
                 as one buffer",
            ));
        };
        let mapping = Mapping::new(length).map_err(StartError::Arena)?;
        let pool = Pool::new(mapping, self.slots, slot_size);
        let settings = RingSettings {
            backend: self.backend,
            entries: self.ring_entries,
            registration: self.registration,
            busy_poll: self.busy_poll,
            #[cfg(feature = "testing")]
            paused_time: self.paused_time,
        };
        let ring = Ring::start(settings, &pool)?;
        let context = Context::new(pool, Rc::clone(ring.state()));
        let Some(entered) = context.enter() else {
            return Err(StartError::Configuration(
                "this thread is ending and has no runtime any more",
            ));
        };
        let reaper = Rc::clone(&context).reap();
        ring.block_on(async { drop(ring::spawn(reaper)) });
        drop(entered);
        Ok(Runtime {
            ring: Some(ring),
            context,
        })
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            ring_entries: Self::DEFAULT_RING_ENTRIES,
            slots: Self::DEFAULT_SLOTS,
            slot_size: Self::DEFAULT_SLOT_SIZE,
            registration: Registration::default(),
            backend: Backend::default(),
            busy_poll: Duration::ZERO,
            #[cfg(feature = "testing")]
            paused_time: false,
        }
    }
}

/// A ring with its pool, and the executor for everything that uses them.
///
/// One thread has one; run one on each core that serves connections. Dropping it ends all of its
/// connections, waits until the kernel holds none of its memory (5 seconds at most; what is left
/// then is leaked, never freed), and only then goes. Where nothing can be waited for, inside an
/// executor or in a thread-local variable that outlives ours, it leaks its ring with a warning.
#[derive(Debug)]
pub struct Runtime {
    /// `None` only while it is dropped, before `context`, whose pool the kernel may use.
    ring: Option<Ring>,
    context: Rc<Context>,
}

impl Runtime {
    /// Starts from the default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs `future`, and the tasks it spawns, until it is done. Tasks that are not done stay
    /// and go on with the next call.
    ///
    /// # Panics
    ///
    /// If this thread is inside a runtime already, or is ending, or `future` panics.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let ring = self.ring.as_ref().expect("a ring until the drop");
        assert!(
            Context::current().is_none() && ring.can_block(),
            "Runtime::block_on was called inside a runtime, or while the thread ends"
        );
        let _entered = self.context.enter().expect("a thread that is not ending");
        ring.block_on(future)
    }

    /// Returns who moves bytes here; never [`Backend::Auto`].
    pub fn backend(&self) -> Backend {
        self.context.ring.backend()
    }

    /// Returns why it is not io_uring, where [`Backend::Auto`] fell back to epoll.
    pub fn fallback_reason(&self) -> Option<&StartError> {
        self.ring.as_ref().and_then(Ring::fallback)
    }

    /// Returns a snapshot of what the runtime holds and has done.
    pub fn statistics(&self) -> Statistics {
        Statistics::of(&self.context)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let Some(ring) = self.ring.take() else { return };
        let entered = self.context.enter().filter(|_| ring.can_block());
        let Some(_entered) = entered else {
            // Nothing can be waited for here, so the kernel keeps what it has.
            tracing::warn!(
                "a runtime was dropped inside an executor, or behind the thread-local variables \
                 of its thread; its ring is leaked"
            );
            ring.leak();
            return;
        };
        ring.block_on(Rc::clone(&self.context).shut_down());
        drop(ring);
    }
}

/// What a runtime holds and has done since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Who moves bytes; never [`Backend::Auto`].
    pub backend: Backend,
    /// Slots in the pool.
    pub slots: usize,
    /// Slots that nobody holds now.
    pub free_slots: usize,
    /// Reads, writes and waits of connections that are not complete.
    pub in_flight: usize,
    /// Whether slots are registered with the ring.
    pub registered: bool,
    /// How often no slot was free for somebody who wanted one.
    pub slot_waits: u64,
    /// Messages sealed.
    pub messages_sent: u64,
    /// Messages opened.
    pub messages_received: u64,
    /// Reads that brought data.
    pub reads: u64,
    /// Buffers that the kernel has taken.
    pub writes: u64,
    /// Bytes of incomplete frames that were moved: the only copies after the kernel's.
    pub moved_bytes: u64,
    /// Heap blocks for messages larger than a slot, and for those that found none.
    pub large_blocks: u64,
}

impl Statistics {
    fn of(context: &Context) -> Self {
        let pool = context.pool.counters();
        let counters = &context.counters;
        Self {
            backend: context.ring.backend(),
            slots: pool.slots,
            free_slots: pool.free,
            in_flight: context.ring.in_flight(),
            registered: context.ring.is_registered(),
            slot_waits: pool.waits_total,
            messages_sent: counters.messages_sent.get(),
            messages_received: counters.messages_received.get(),
            reads: counters.reads.get(),
            writes: counters.writes.get(),
            moved_bytes: counters.moved_bytes.get(),
            large_blocks: counters.large_blocks.get(),
        }
    }

    /// Returns the statistics of the runtime that this thread is inside of.
    pub fn current() -> Option<Self> {
        Context::current().map(|context| Self::of(&context))
    }
}
