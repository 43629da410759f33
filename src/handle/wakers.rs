//! Wakers that wait behind a lock, to be called when it is free again.

use core::task::{Context, Waker};

/// Keeps the waker of whoever polls last.
pub(super) fn set(place: &mut Option<Waker>, context: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(context.waker()),
        None => *place = Some(context.waker().clone()),
    }
}

/// Calls the waker if there is one.
pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
