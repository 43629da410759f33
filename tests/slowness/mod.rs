//! How much slower everything is than where tests run as they are.

use std::sync::OnceLock;
use std::time::Duration;

/// So many times, if this variable says so: under a sanitizer, or on a machine with much else to do.
const ASKED: &str = "RINGSEAL_SLOWNESS";

/// Returns how many times as long everything may take.
pub(crate) fn slowness() -> u32 {
    static SLOWNESS: OnceLock<u32> = OnceLock::new();
    *SLOWNESS.get_or_init(|| {
        std::env::var(ASKED).map_or(1, |times| times.parse().expect("a number of times"))
    })
}

/// Returns how long a test waits for what takes less than `time` where nothing is slow.
pub(crate) fn slowed(time: Duration) -> Duration {
    time * slowness()
}
