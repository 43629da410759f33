//! What a contender is asked to do, and what came of it.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Messages from here on take so long that the clock may be read once in a few of them.
const LONG: usize = 4096;

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

impl Work {
    /// How many calls a sender makes before it looks whether its time is up. A look may take as
    /// long as several small messages, where the kernel has to be asked.
    pub(crate) fn calls_a_clock_reading(&self) -> usize {
        let messages = if self.size < LONG { 1024 } else { 16 };
        usize::div_ceil(messages, self.batch)
    }
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
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(error) = sched_setaffinity(None, &set) {
        eprintln!("not pinned to core {core}: {error}");
    }
}

/// Says whether a thread of this process may be put on each of the first `count` cores; the error is
/// the first core that it may not run on.
///
/// # Errors
///
/// The core.
pub fn check_cores(count: usize) -> Result<(), usize> {
    // On a thread of its own: this one stays where it is.
    let checking = std::thread::spawn(move || {
        (0..count).find(|&core| {
            let mut set = CpuSet::new();
            set.set(core);
            sched_setaffinity(None, &set).is_err()
        })
    });
    let refused = checking.join().expect("nothing in it panics");
    refused.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_told() {
        // No kernel has been built with as many that are all there.
        let refused = check_cores(CpuSet::MAX_CPU);
        assert!(refused.is_err());
    }

    #[test]
    fn the_clock_is_read_seldom_enough_and_often_enough() {
        let readings = |size, batch| {
            let duration = Duration::ZERO;
            Work {
                size,
                batch,
                duration,
            }
            .calls_a_clock_reading()
        };
        assert_eq!(readings(64, 1), 1024);
        assert_eq!(readings(64, 64), 16);
        assert_eq!(readings(65_536, 4), 4);
        assert_eq!(readings(300_000, 100), 1);
    }
}
