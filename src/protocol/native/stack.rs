//! Overwrites what secret arithmetic leaves on the stack.
//!
//! Values that are moved, and what libraries spill while they compute, stay in dead stack frames
//! until something else is called there. None of it can be wiped where it is, but the stack
//! below a call can be overwritten once the call has returned.

use core::hint::black_box;

/// How deep secret arithmetic goes, generously: ML-KEM keeps whole matrices on the stack, and
/// builds without optimization go deeper than others.
const DEPTH: usize = 64 * 1024;

/// Runs `work`, then overwrites the stack that it may have used.
pub(super) fn wiped_after<T>(work: impl FnOnce() -> T) -> T {
    let result = below(work);
    wipe();
    result
}

/// Keeps the frame of `work` out of the caller's, so that it is dead afterwards.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe() {
    // Bound to a name: behind a bare `&` the zeros would be a constant that lies elsewhere. And
    // whatever looks at them keeps them from being left out.
    let zeros = [0_u8; DEPTH];
    black_box(&zeros);
}
