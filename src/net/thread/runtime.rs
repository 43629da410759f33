//! One ring, one pool and one executor on the calling thread.

use core::future::Future;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use super::shard::Shard;
use super::statistics::Statistics;
use crate::driver::{self, Backend, Driver, DriverSettings, Registration, StartError};
use crate::memory::{Mapping, Pool};

/// Settings of a [`Runtime`].
///
/// A connection that moves data holds two slots for sending, one that fills and one in flight, and
/// two for receiving, one that is read into and one that holds the messages given out, more if the
/// caller keeps messages of more slots than that. Sending leaves two fifths of the slots to
/// receiving, and receiving a quarter to sending. An idle connection holds one, and none once many
/// are out; a record of which a part has come then leaves its slot.
///
/// Nobody waits for a slot. A receiver that finds none reads into a heap block of 16 KiB, and so
/// does a sender that has nothing else on the way, or into one for its record if that is longer:
/// whatever peers and holders of messages do, they cost the others speed at most. How much memory
/// that may take is set by [`heap_budget`](Self::heap_budget).
#[derive(Clone, Debug)]
pub struct RuntimeBuilder {
    ring_entries: u32,
    slots: usize,
    slot_size: usize,
    registration: Registration,
    backend: Backend,
    busy_poll: Duration,
    heap_budget: usize,
    #[cfg(feature = "testing")]
    paused_time: bool,
}

impl RuntimeBuilder {
    /// Submissions that fit the ring by default.
    pub const DEFAULT_RING_ENTRIES: u32 = 256;
    /// Slots by default.
    pub const DEFAULT_SLOTS: usize = 10;
    /// Bytes in a slot by default: four records of 64 KiB and a little. Chosen by measurement;
    /// benches/README.md has the figures.
    pub const DEFAULT_SLOT_SIZE: usize = 272 * 1024;
    /// The shortest slot in bytes.
    pub const MIN_SLOT_SIZE: usize = 4096;
    /// Bytes of heap memory that the connections share by default: 64 MiB.
    pub const DEFAULT_HEAP_BUDGET: usize = 64 * 1024 * 1024;

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

    /// Sets how many bytes of heap memory the connections share, for messages that are longer than
    /// a slot or find none. It is used as far as peers really send or do not take, never in
    /// advance.
    ///
    /// A block counts until the last message in it is dropped, or the kernel has taken it. Each
    /// direction of a connection has 32 KiB of its own, which count for nothing: messages that fit
    /// are never held up by other connections. With what is longer one waits for the others, in
    /// the order of arrival; receiving leaves a quarter to sending, and the other way round. Where
    /// nothing comes or goes for a tenth of a second, the first in line gets its memory over the
    /// budget, up to twice of it and four of the longest blocks that anybody has asked for, so that waits
    /// which depend on each other end and a message that is longer than what there is gets on as well: any
    /// budget will do. Set [`Config::max_message_size`](crate::Config::max_message_size) with it: 8 MiB for
    /// messages of up to 64 MiB can become 272 MiB. Memory that is kept for a second for the next long
    /// message counts for nothing.
    ///
    /// It is shared by all peers. One that is let in and begins long messages on many connections, and
    /// sends a little of each now and then, can hold all of it, so that messages of others which do not fit
    /// in a slot wait for as long as it does: see
    /// [`ServerLimits::connections_per_peer`](crate::ServerLimits::connections_per_peer).
    #[must_use]
    pub fn heap_budget(mut self, bytes: usize) -> Self {
        self.heap_budget = bytes;
        self
    }

    /// Sets what happens when the kernel refuses to register the arena.
    #[must_use]
    pub fn registration(mut self, registration: Registration) -> Self {
        self.registration = registration;
        self
    }

    /// Sets the I/O driver and executor.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Sets for how long a thread looks for something to do before each time that it sleeps. Messages
    /// that come in that time are found without a wake-up, for the price of a core that does not rest;
    /// streams can be slower by it, as who looks all the time takes less at a time.
    ///
    /// With zero, the default, it looks only where that costs no more than sleeping and being woken
    /// would: for 20 microseconds, while looks find something, and once in 1024 short waits when they
    /// do not. The core is for whoever else wants it meanwhile.
    ///
    /// [`Backend::Uring`] only; left out where [`Backend::Auto`] falls back to epoll.
    #[must_use]
    pub fn busy_poll(mut self, duration: Duration) -> Self {
        self.busy_poll = duration;
        self
    }

    /// Has time stand still while any task can run, and then move at once to the next timer. For
    /// tests over [`testing::duplex`](crate::testing::duplex), on the epoll backend; what comes over
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
        if Shard::current().is_some() {
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
        let pool = Pool::new(mapping, self.slots, slot_size, self.heap_budget);
        let settings = DriverSettings {
            backend: self.backend,
            entries: self.ring_entries,
            registration: self.registration,
            busy_poll: self.busy_poll,
            #[cfg(feature = "testing")]
            paused_time: self.paused_time,
        };
        let ring = Driver::start(settings, &pool)?;
        let shard = Shard::new(pool, Rc::clone(ring.state()));
        let Some(entered) = shard.enter() else {
            return Err(StartError::Configuration(
                "this thread is ending and has no runtime any more",
            ));
        };
        let background = Rc::clone(&shard).work();
        ring.block_on(async { drop(driver::spawn(background)) });
        drop(entered);
        Ok(Runtime {
            ring: Some(ring),
            shard,
        })
    }
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self {
            ring_entries: Self::DEFAULT_RING_ENTRIES,
            slots: Self::DEFAULT_SLOTS,
            slot_size: Self::DEFAULT_SLOT_SIZE,
            registration: Registration::default(),
            backend: Backend::default(),
            busy_poll: Duration::ZERO,
            heap_budget: Self::DEFAULT_HEAP_BUDGET,
            #[cfg(feature = "testing")]
            paused_time: false,
        }
    }
}

/// A ring with its pool, and the executor for everything that uses them.
///
/// One thread has one; run one on each core that serves connections. Dropping it ends all of its
/// connections as if both halves of each were dropped. It waits for what was sent to arrive, within
/// the bounds that [`Connection`](crate::Connection) states: 1 second for a peer that has everything
/// and does not end, 5 seconds for one that takes nothing. Then it waits until the kernel holds none
/// of its memory (5 seconds at most; what is left then is leaked, never freed). Where nothing can be waited for, inside an executor or in a
/// thread-local variable that outlives ours, it leaks its ring with a warning.
///
/// # Forks
///
/// A runtime and everything made in it belong to its process. A child of `fork(2)` that does not
/// start a program can drop what it has inherited, which changes nothing for the parent, and may
/// build a runtime of its own. What it tries with an inherited connection or listener fails with
/// [`DriverError::Forked`](crate::DriverError::Forked), what goes through handles with a
/// `ThreadEnded`, and [`block_on`](Self::block_on) panics. It may not read a
/// [`Message`](crate::Message), whose memory it does not have: that kills it. It may not return
/// into a `block_on` that it was forked in: that panics, or, from a task of one of tokio's
/// drivers, aborts it.
///
/// While a child lives it keeps the sockets of the parent open, as it does all descriptors: their
/// peers see the end of what the parent drops only when both are done with it. Programs that are
/// started inherit none of it.
#[derive(Debug)]
pub struct Runtime {
    /// `None` only while it is dropped, before `context`, whose pool the kernel may use.
    ring: Option<Driver>,
    shard: Rc<Shard>,
}

impl Runtime {
    /// Starts from the default settings.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Runs `future`, and the tasks it spawns, until it is done. Tasks that are not done stay
    /// and go on with the next call.
    ///
    /// # Panics
    ///
    /// If this thread is inside a runtime already, or is ending, or `future` panics; in a forked
    /// child.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let ring = self.ring.as_ref().expect("a ring until the drop");
        ring.expect_own_process();
        assert!(
            Shard::current().is_none() && ring.can_block(),
            "Runtime::block_on was called inside a runtime, or while the thread ends"
        );
        let _entered = self.shard.enter().expect("a thread that is not ending");
        ring.block_on(future)
    }

    /// Returns the I/O driver and executor; never [`Backend::Auto`].
    pub fn backend(&self) -> Backend {
        self.shard.driver.backend()
    }

    /// Returns why it is not io_uring, where [`Backend::Auto`] fell back to epoll.
    pub fn fallback_reason(&self) -> Option<&StartError> {
        self.fallback().map(Arc::as_ref)
    }

    /// As [`fallback_reason`](Self::fallback_reason), for other threads.
    pub(crate) fn fallback(&self) -> Option<&Arc<StartError>> {
        self.ring.as_ref().and_then(Driver::fallback)
    }

    /// Returns a snapshot of what the runtime holds and has done.
    pub fn statistics(&self) -> Statistics {
        Statistics::of(&self.shard)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let Some(ring) = self.ring.take() else { return };
        if ring.is_inherited() {
            return ring.leak();
        }
        let entered = self.shard.enter().filter(|_| ring.can_block());
        let Some(_entered) = entered else {
            // Nothing can be waited for here, so the kernel keeps what it has.
            tracing::warn!(
                "a runtime was dropped inside an executor, or behind the thread-local variables \
                 of its thread; its ring is leaked"
            );
            ring.leak();
            self.shard.end();
            return;
        };
        ring.block_on(Rc::clone(&self.shard).shut_down());
        drop(ring);
        self.shard.end();
    }
}
