//! Limits on waiting that count standstill, and no time in which this process did not run.

use core::future::pending;
use core::time::Duration;

use ringseal::{Statistics, sleep};

/// A limit is counted in so many parts. A process that was stopped is charged one at most, after
/// whoever waits has been asked once more.
const PARTS: u32 = 16;

/// Is done when nothing has been read or written on this ring for as long as `limit`; never
/// without one. Poll what is waited for before this.
pub(crate) async fn still_for(limit: Option<Duration>) {
    let Some(limit) = limit else {
        return pending().await;
    };
    let mut before = moved();
    let mut still = 0;
    while still < PARTS {
        sleep(limit / PARTS).await;
        let now = moved();
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
}

/// Is done when this process has run for as long as `limit`, on a thread without a ring.
pub(crate) async fn elapsed_without_ring(limit: Duration) {
    for _ in 0..PARTS {
        tokio::time::sleep(limit / PARTS).await;
    }
}

/// What changes with every read and write.
fn moved() -> Option<(u64, u64, u64, u64)> {
    Statistics::current().map(|now| {
        (
            now.reads,
            now.writes,
            now.messages_sent,
            now.messages_received,
        )
    })
}
