//! Limits on waiting that count standstill, and no time in which this process did not run.

use core::future::pending;
use core::time::Duration;

use ringseal::{Statistics, sleep};

/// A limit is counted in so many parts. A process that was stopped is charged one at most, after
/// whoever waits has been asked once more.
const PARTS: u32 = 16;

/// Fewer bytes than these in a part are no progress: runtimes tell each other that they are there, ten
/// times a second at most and in some 25 bytes, and that goes on while nobody gets on.
const PROGRESS: u64 = 512;

/// Is done when no message and few bytes have been read or written on this ring for as long as `limit`;
/// never without one. Poll what is waited for before this.
pub(crate) async fn still_for(limit: Option<Duration>) {
    let Some(limit) = limit else {
        return pending().await;
    };
    let mut before = moved();
    let mut still = 0;
    while still < PARTS {
        sleep(limit / PARTS).await;
        let now = moved();
        still = if now.is_still(&before) { still + 1 } else { 0 };
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

    /// Whether little more was than before.
    const fn is_still(&self, before: &Self) -> bool {
        self.messages == before.messages && self.bytes - before.bytes < PROGRESS
    }
}

fn moved() -> Moved {
    Statistics::current().map_or(Moved::NOTHING, |now| Moved {
        messages: now.messages_sent + now.messages_received,
        bytes: now.bytes_sent + now.bytes_received,
    })
}
