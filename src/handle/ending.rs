//! Whether this ring thread is on its way out.

use core::cell::Cell;

thread_local! {
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Says so, before the runtime of this thread goes. What connections then fail with is an effect
/// of that, and their callers are to hear the cause.
pub(super) fn begin() {
    ENDING.set(true);
}

/// Returns whether it was said. A thread that has no variables left is ending, too.
pub(super) fn has_begun() -> bool {
    ENDING.try_with(Cell::get).unwrap_or(true)
}
