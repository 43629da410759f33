//! A snapshot of what one runtime holds and has done.

use super::shard::Shard;
use crate::driver::Backend;

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
    /// Bytes of heap blocks that there are now: for messages that are longer than a slot or found
    /// none, and for handshakes.
    pub heap_bytes: usize,
    /// How often somebody had to wait for heap memory; see [`RuntimeBuilder::heap_budget`](crate::RuntimeBuilder::heap_budget).
    pub heap_waits: u64,
    /// Clients of listeners that were refused on this thread before any work was spent on them: by
    /// [`Incoming::refuse`](crate::Incoming::refuse), or by
    /// [`Admission::filter`](crate::Admission::filter).
    pub refused: u64,
    /// Connections that nobody holds any more and whose end is still under way; see
    /// [`Connection`](crate::Connection).
    pub lingering: usize,
}

impl Statistics {
    pub(super) fn of(shard: &Shard) -> Self {
        let pool = shard.pool.counters();
        let heap = shard.pool.heap().counters();
        let counters = &shard.counters;
        Self {
            backend: shard.driver.backend(),
            slots: pool.slots,
            free_slots: pool.free,
            in_flight: shard.driver.in_flight(),
            registered: shard.driver.is_registered(),
            slot_waits: pool.missed_total,
            messages_sent: counters.messages_sent.get(),
            messages_received: counters.messages_received.get(),
            reads: counters.reads.get(),
            writes: counters.writes.get(),
            moved_bytes: counters.moved_bytes.get(),
            large_blocks: counters.large_blocks.get(),
            heap_bytes: heap.in_use,
            heap_waits: heap.waits_total,
            refused: counters.refused.get(),
            lingering: shard.unfinished(),
        }
    }

    /// Returns the statistics of the runtime that this thread is inside of.
    pub fn current() -> Option<Self> {
        Shard::current().map(|shard| Self::of(&shard))
    }
}
