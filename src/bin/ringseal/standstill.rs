//! Limits on waiting that count standstill, and no time in which this process did not run.

use core::future::pending;
use core::time::Duration;

use ringseal::{Statistics, sleep};

/// A limit is counted in so many parts. A process that was stopped is charged one at most, after
/// whoever waits has been asked once more.
const PARTS: u32 = 16;

/// Bytes a second, of both directions, that are no progress: runtimes tell each other that they are there,
/// ten times a second at most and in some 25 bytes, and that goes on while nobody gets on.
const NO_PROGRESS: u128 = 2 * 10 * 25;
/// Bytes that are no progress in any time.
const LEAST: u128 = 512;

/// Is done when no message and few bytes have been read or written on this ring for as long as `limit`;
/// never without one. Poll what is waited for before this.
pub(crate) async fn still_for(limit: Option<Duration>) {
    let Some(limit) = limit else {
        return pending().await;
    };
    let mut before = moved();
    let mut still = 0;
    while still < PARTS {
        let part = limit / PARTS;
        sleep(part).await;
        let now = moved();
        still = if now.is_still(&before, part) {
            still + 1
        } else {
            0
        };
        before = now;
    }
}

/// Is done when this process has run for as long as `limit`, on a thread without a ring.
pub(crate) async fn elapsed_without_ring(limit: Duration) {
    for _ in 0..PARTS {
        tokio::time::sleep(limit / PARTS).await;
    }
}

/// What was moved until some time.
struct Moved {
    messages: u64,
    bytes: u64,
}

impl Moved {
    const NOTHING: Self = Self {
        messages: 0,
        bytes: 0,
    };

    /// Whether little more was than before, a part of a limit ago.
    fn is_still(&self, before: &Self, part: Duration) -> bool {
        let least = LEAST + NO_PROGRESS * part.as_millis() / 1000;
        self.messages == before.messages && u128::from(self.bytes - before.bytes) < least
    }
}

fn moved() -> Moved {
    Statistics::current().map_or(Moved::NOTHING, |now| Moved {
        messages: now.messages_sent + now.messages_received,
        bytes: now.bytes_sent + now.bytes_received,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saying_alive_as_often_as_can_be_is_no_progress_in_a_part_of_any_length() {
        for milliseconds in [1, 30, 125, 3_750, 225_000] {
            let part = Duration::from_millis(milliseconds);
            let before = Moved::NOTHING;
            // Of each end once in a tenth of a second, and once more.
            let alive = 2 * 25 * (milliseconds / 100 + 1);
            let moved = |messages, bytes| Moved { messages, bytes };
            assert!(moved(0, alive).is_still(&before, part), "{part:?}");
            assert!(!moved(1, alive).is_still(&before, part));
            assert!(!moved(0, 10 * alive + 1_000).is_still(&before, part));
        }
    }
}
