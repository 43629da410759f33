//! Who sends when: message `index` is due `index / rate` after the begin, whatever became of those
//! before it.

use core::time::Duration;
use std::time::Instant;

use ringseal::{SendError, Sender};
use tokio::task::yield_now;

/// Bytes of the time that each message begins with.
pub(crate) const STAMP: usize = 8;
/// Messages that are sent before the clock is read again.
const AT_ONCE: u64 = 64;
/// By how much longer than meant a run may take before it is given up.
const LATENESS: u32 = 2;

/// A rate and how long it is kept up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rate: u64,
    pub(crate) length: Duration,
}

impl Pace {
    /// How many messages that makes.
    fn messages(&self) -> u64 {
        let messages = (self.length.as_nanos() * u128::from(self.rate)).div_ceil(1_000_000_000);
        u64::try_from(messages).unwrap_or(u64::MAX)
    }

    /// When this message is due, counted from the begin.
    fn due(&self, index: u64) -> Duration {
        // In 128 bits, since a rate times a time in nanoseconds does not fit 64.
        let nanoseconds = u128::from(index) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// How many messages are due so long after the begin.
    fn count_due(&self, elapsed: Duration) -> u64 {
        let due = elapsed.as_nanos() * u128::from(self.rate) / 1_000_000_000 + 1;
        u64::try_from(due).unwrap_or(u64::MAX).min(self.messages())
    }

    /// Sends messages of `size` bytes. Each has the time in it when it was due, in nanoseconds since
    /// `epoch`. Returns whether all were sent before it was much too late.
    pub(crate) async fn send(
        &self,
        sender: &mut Sender,
        size: usize,
        epoch: Instant,
    ) -> Result<bool, SendError> {
        let mut message = vec![0x5a; size.max(STAMP)];
        let begin = Instant::now();
        let offset = begin.duration_since(epoch);
        let mut sent = 0;
        while sent < self.messages() {
            let elapsed = begin.elapsed();
            if elapsed > self.length * LATENESS {
                return Ok(false);
            }
            let due = self.count_due(elapsed).min(sent + AT_ONCE);
            while sent < due {
                let stamp = nanoseconds(offset + self.due(sent));
                message[..STAMP].copy_from_slice(&stamp.to_le_bytes());
                sender.send(&message).await?;
                sent += 1;
            }
            // The driver has what was sent leave, and looks for what has come.
            yield_now().await;
        }
        Ok(true)
    }
}

/// The time that a message says it was due at.
pub(crate) fn stamp(message: &[u8]) -> Option<u64> {
    message
        .first_chunk()
        .map(|bytes| u64::from_le_bytes(*bytes))
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_by_the_rate_alone() {
        let pace = Pace {
            rate: 10_000,
            length: Duration::from_millis(500),
        };
        assert_eq!(pace.messages(), 5_000);
        assert_eq!(pace.due(0), Duration::ZERO);
        assert_eq!(pace.due(7), Duration::from_micros(700));
        assert_eq!(pace.count_due(Duration::ZERO), 1);
        assert_eq!(pace.count_due(Duration::from_micros(699)), 7);
        assert_eq!(pace.count_due(Duration::from_micros(700)), 8);
        // A thread that comes back late has them all to send, each with its own time.
        assert_eq!(pace.count_due(Duration::from_millis(300)), 3_001);
        assert_eq!(pace.count_due(Duration::from_secs(9)), 5_000);
    }

    #[test]
    fn high_rates_and_long_runs_do_not_overflow() {
        let pace = Pace {
            rate: 100_000_000,
            length: Duration::from_secs(1_000_000),
        };
        assert_eq!(pace.due(pace.messages()), pace.length);
        assert_eq!(pace.count_due(pace.length), pace.messages());
    }
}
