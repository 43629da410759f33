//! What a contender is asked to do, and what came of it.

use std::time::Duration;

/// How many calls a sender makes before it looks whether its time is up.
pub(crate) const CALLS_A_CLOCK_READING: usize = 16;

/// A stream of equal messages from one end to the other.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Bytes of a message.
    pub size: usize,
    /// Messages handed over in one call.
    pub batch: usize,
    /// For how long the sender sends.
    pub duration: Duration,
}

/// What the receiver saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// Messages that were opened.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From the first to the last.
    pub elapsed: Duration,
    /// Processor time of the whole process meanwhile, with connecting and the handshake: that of
    /// both ends, if nothing else runs in the process.
    pub processor: Duration,
}

impl Flow {
    /// Returns messages a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns processor seconds for each 10^9 bytes of messages.
    #[expect(clippy::cast_precision_loss, reason = "a cost to be read by people")]
    pub fn processor_per_gigabyte(&self) -> f64 {
        self.processor.as_secs_f64() * 1e9 / self.bytes as f64
    }
}

/// Handshakes made one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshakes {
    /// How many.
    pub count: u64,
    /// What they took.
    pub elapsed: Duration,
}

impl Handshakes {
    /// Returns handshakes a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.elapsed.as_secs_f64()
    }
}

/// Puts the calling thread, and those it starts, on one core, where there is such a core.
pub(crate) fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        eprintln!("not pinned to core {core}: {error}");
    }
}
