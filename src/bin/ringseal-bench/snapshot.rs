//! What one end has counted at one moment, and how that crosses to the other end.

use core::cell::Cell;
use std::time::Instant;

use ringseal::Statistics;
use ringseal_cli::failure::Failure;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::counting_allocator::Allocations;

/// What all receivers of an end have taken in.
#[derive(Debug, Default)]
pub(crate) struct Received {
    messages: Cell<u64>,
    bytes: Cell<u64>,
}

impl Received {
    #[inline]
    pub(crate) fn add(&self, length: usize) {
        self.messages.set(self.messages.get() + 1);
        self.bytes.set(self.bytes.get() + length as u64);
    }
}

/// Counters of one end, each since some moment of its own: only differences mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) at_ns: u64,
    pub(crate) thread_cpu_ns: u64,
    pub(crate) process_cpu_ns: u64,
    pub(crate) heap_allocations: u64,
    pub(crate) heap_bytes: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) moved_bytes: u64,
    pub(crate) slot_waits: u64,
    pub(crate) large_blocks: u64,
}

const FIELDS: usize = 12;

/// Fields in their order, each as eight bytes. Not JSON, since that would allocate within the time
/// that is measured.
pub(crate) type Encoded = [u8; FIELDS * 8];

impl Snapshot {
    /// Takes the figures of the calling thread, which is inside its runtime. `start` is the same
    /// for all snapshots of an end.
    pub(crate) fn take(start: Instant, received: &Received) -> Result<Self, Failure> {
        let statistics = Statistics::current()
            .ok_or_else(|| Failure::new("figures were asked for outside of a runtime"))?;
        let allocations = Allocations::of_this_thread();
        Ok(Self {
            at_ns: u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
            thread_cpu_ns: nanoseconds(clock_gettime(ClockId::ThreadCPUTime)),
            process_cpu_ns: nanoseconds(clock_gettime(ClockId::ProcessCPUTime)),
            heap_allocations: allocations.count,
            heap_bytes: allocations.bytes,
            messages: received.messages.get(),
            bytes: received.bytes.get(),
            reads: statistics.reads,
            writes: statistics.writes,
            moved_bytes: statistics.moved_bytes,
            slot_waits: statistics.slot_waits,
            large_blocks: statistics.large_blocks,
        })
    }

    /// What came since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let (now, then) = (self.fields(), earlier.fields());
        Self::from_fields(core::array::from_fn(|index| {
            now[index].saturating_sub(then[index])
        }))
    }

    pub(crate) fn encode(&self) -> Encoded {
        let mut encoded = [0; FIELDS * 8];
        for (bytes, field) in encoded.as_chunks_mut().0.iter_mut().zip(self.fields()) {
            *bytes = field.to_le_bytes();
        }
        encoded
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let encoded: &Encoded = bytes.try_into().ok()?;
        let chunks = encoded.as_chunks().0;
        Some(Self::from_fields(core::array::from_fn(|index| {
            u64::from_le_bytes(chunks[index])
        })))
    }

    fn fields(&self) -> [u64; FIELDS] {
        [
            self.at_ns,
            self.thread_cpu_ns,
            self.process_cpu_ns,
            self.heap_allocations,
            self.heap_bytes,
            self.messages,
            self.bytes,
            self.reads,
            self.writes,
            self.moved_bytes,
            self.slot_waits,
            self.large_blocks,
        ]
    }

    fn from_fields(fields: [u64; FIELDS]) -> Self {
        let [
            at_ns,
            thread_cpu_ns,
            process_cpu_ns,
            heap_allocations,
            heap_bytes,
            messages,
            bytes,
            reads,
            writes,
            moved_bytes,
            slot_waits,
            large_blocks,
        ] = fields;
        Self {
            at_ns,
            thread_cpu_ns,
            process_cpu_ns,
            heap_allocations,
            heap_bytes,
            messages,
            bytes,
            reads,
            writes,
            moved_bytes,
            slot_waits,
            large_blocks,
        }
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    // CPU time is never negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back_and_anything_else_is_refused() {
        let snapshot = Snapshot::from_fields(core::array::from_fn(|index| index as u64 * 1000));
        let encoded = snapshot.encode();
        assert_eq!(Snapshot::decode(&encoded), Some(snapshot));
        assert_eq!(Snapshot::decode(&encoded[1..]), None);
        assert_eq!(snapshot.since(&snapshot), Snapshot::default());
    }
}
