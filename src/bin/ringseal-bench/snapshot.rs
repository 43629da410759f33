//! Takes what one end has counted at one moment.

use core::cell::Cell;
use std::time::Instant;

use ringseal::Statistics;
use ringseal_cli::failure::Failure;
use ringseal_cli::snapshot::Snapshot;
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

/// Takes the figures of the calling thread, which is inside its runtime. `start` is the same
/// for all snapshots of an end.
pub(crate) fn take(start: Instant, received: &Received) -> Result<Snapshot, Failure> {
    let statistics = Statistics::current()
        .ok_or_else(|| Failure::new("figures were asked for outside of a runtime"))?;
    let allocations = Allocations::of_this_thread();
    Ok(Snapshot {
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

fn nanoseconds(time: Timespec) -> u64 {
    // CPU time is never negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanoseconds
}
