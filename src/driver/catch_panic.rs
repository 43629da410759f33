//! Foreign code inside of ours: what it panics with stops here.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

/// Runs foreign code that nobody waits for; `None` when it panicked, of which the panic hook has
/// told.
pub(crate) fn catch_panic<T>(foreign: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(foreign)).ok();
    if outcome.is_none() {
        tracing::error!("what panicked on this ring's thread is given up; the others go on");
    }
    outcome
}
