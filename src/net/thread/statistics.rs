//! A snapshot of what one runtime holds and has done.

use core::time::Duration;

use super::counters::HandshakeCounts;
use super::shard::Shard;
use super::time_limits::TimeLimit;
use crate::driver::{self, Backend};

/// What a runtime holds and has done since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// The driver that was chosen; never [`Backend::Auto`].
    pub backend: Backend,
    /// Slots in the pool.
    pub slots: usize,
    /// Slots that nobody holds now.
    pub free_slots: usize,
    /// Reads, writes and waits of connections that are not complete.
    pub in_flight: usize,
    /// Tasks of the thread that have not ended: yours, and those of connections, listeners and the
    /// runtime itself.
    pub tasks: usize,
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
    /// Bytes that were moved after they were read: beginnings of frames to where there is room for the
    /// rest, and of messages in parts to a longer block. Copies into a record that is packed or padded do
    /// not count.
    pub moved_bytes: u64,
    /// Heap blocks for messages larger than a slot, and for those that found none.
    pub large_blocks: u64,
    /// Bytes of heap blocks that are in use now: for messages that are longer than a slot or found
    /// none, and for handshakes.
    pub heap_bytes: usize,
    /// How often somebody had to wait for heap memory; see [`RuntimeBuilder::heap_budget`](crate::RuntimeBuilder::heap_budget).
    pub heap_waits: u64,
    /// Clients of listeners that were refused on this thread before any work was spent on them: by
    /// [`Incoming::refuse`](crate::Incoming::refuse), or by
    /// [`Admission::filter`](crate::Admission::filter).
    pub refused: u64,
    /// Bytes that [`heap_bytes`](Self::heap_bytes) may come to; see
    /// [`RuntimeBuilder::heap_budget`](crate::RuntimeBuilder::heap_budget) for what does not count.
    pub heap_budget: usize,
    /// Records sealed into buffers that have left.
    pub records_sent: u64,
    /// Records opened, but for those of the buffer that is gone through now.
    pub records_received: u64,
    /// Bytes of connections and their handshakes that the kernel has taken.
    pub bytes_sent: u64,
    /// Bytes of connections and their handshakes that the kernel has given.
    pub bytes_received: u64,
    /// Reads, writes and waits that were handed to the driver, those of plain sockets included.
    pub submissions: u64,
    /// How many of them have ended.
    pub completions: u64,
    /// How often keys were replaced, in both directions.
    pub key_updates: u64,
    /// How often a message had to wait for room, because the peer did not read or memory was short.
    pub send_waits: u64,
    /// How long these waits were together. One that is going on does not count yet.
    pub send_wait_time: Duration,
    /// Connections that [`Config::idle_timeout`](crate::Config::idle_timeout) has ended.
    pub idle_timeouts: u64,
    /// Connections that [`Config::progress_timeout`](crate::Config::progress_timeout) has ended.
    pub progress_timeouts: u64,
    /// Connections that [`Config::host_timeout`](crate::Config::host_timeout) has ended.
    pub host_timeouts: u64,
    /// Connections that [`Config::max_lifetime`](crate::Config::max_lifetime) has ended.
    pub lifetimes: u64,
    /// Connections whose handshake goes on.
    pub handshaking: usize,
    /// Connections that are established and held.
    pub open: usize,
    /// Connections that nobody holds and that still have something to send, or an end to read.
    pub ending: usize,
    /// How attempts to dial have ended.
    pub dialed: HandshakeCounts,
    /// How handshakes of clients have ended.
    pub accepted: HandshakeCounts,
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
            tasks: driver::tasks(),
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
            heap_budget: shard.pool.heap().budget(),
            records_sent: counters.records_sent.get(),
            records_received: counters.records_received.get(),
            bytes_sent: counters.bytes_sent.get(),
            bytes_received: counters.bytes_received.get(),
            submissions: shard.driver.submissions(),
            completions: shard.driver.completions(),
            key_updates: counters.key_updates.get(),
            send_waits: counters.send_waits.count.get(),
            send_wait_time: counters.send_waits.time.get(),
            idle_timeouts: shard.watched.expired(TimeLimit::Idle),
            progress_timeouts: shard.watched.expired(TimeLimit::Progress),
            host_timeouts: shard.watched.expired(TimeLimit::Host),
            lifetimes: shard.watched.expired(TimeLimit::Lifetime),
            handshaking: counters.connections.handshaking.get(),
            open: counters.connections.open.get(),
            ending: counters.connections.ending.get(),
            dialed: counters.dialed.get(),
            accepted: counters.accepted.get(),
            lingering: shard.unfinished(),
        }
    }

    /// Returns both together. The backend is that of the first, and slots are registered where those of
    /// both are.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            backend: self.backend,
            slots: self.slots + other.slots,
            free_slots: self.free_slots + other.free_slots,
            in_flight: self.in_flight + other.in_flight,
            tasks: self.tasks + other.tasks,
            registered: self.registered && other.registered,
            slot_waits: self.slot_waits + other.slot_waits,
            messages_sent: self.messages_sent + other.messages_sent,
            messages_received: self.messages_received + other.messages_received,
            reads: self.reads + other.reads,
            writes: self.writes + other.writes,
            moved_bytes: self.moved_bytes + other.moved_bytes,
            large_blocks: self.large_blocks + other.large_blocks,
            heap_bytes: self.heap_bytes + other.heap_bytes,
            heap_waits: self.heap_waits + other.heap_waits,
            refused: self.refused + other.refused,
            heap_budget: self.heap_budget + other.heap_budget,
            records_sent: self.records_sent + other.records_sent,
            records_received: self.records_received + other.records_received,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            bytes_received: self.bytes_received + other.bytes_received,
            submissions: self.submissions + other.submissions,
            completions: self.completions + other.completions,
            key_updates: self.key_updates + other.key_updates,
            send_waits: self.send_waits + other.send_waits,
            send_wait_time: self.send_wait_time.saturating_add(other.send_wait_time),
            idle_timeouts: self.idle_timeouts + other.idle_timeouts,
            progress_timeouts: self.progress_timeouts + other.progress_timeouts,
            host_timeouts: self.host_timeouts + other.host_timeouts,
            lifetimes: self.lifetimes + other.lifetimes,
            handshaking: self.handshaking + other.handshaking,
            open: self.open + other.open,
            ending: self.ending + other.ending,
            dialed: self.dialed.plus(other.dialed),
            accepted: self.accepted.plus(other.accepted),
            lingering: self.lingering + other.lingering,
        }
    }

    /// Returns the statistics of the runtime that this thread is inside of.
    pub fn current() -> Option<Self> {
        Shard::current().map(|shard| Self::of(&shard))
    }
}
