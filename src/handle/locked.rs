//! State behind a lock, and the wakers of those who wait for it to change.

use core::task::{Context, Poll, Waker};
use std::sync::PoisonError;

use crate::sync::Mutex;

/// State that a caller and a task of a ring thread share.
///
/// A waker is foreign code when it is cloned, called or dropped, and what it does may come back to
/// this very state: none of that happens while the lock is held (HAZARDS F17).
#[derive(Debug, Default)]
pub(super) struct Locked<S>(Mutex<S>);

impl<S> Locked<S> {
    /// Looks at the state or changes it. Wakers that leave it have to leave by the returned value.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut S) -> T) -> T {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state)
    }

    /// Looks at the state unless somebody else does right now, who may be a thread that this process
    /// does not have.
    pub(super) fn try_with<T>(&self, look: impl FnOnce(&S) -> T) -> Option<T> {
        let state = self.0.try_lock().ok()?;
        Some(look(&state))
    }

    /// Looks at the state until it is as wanted, and leaves the waker of whoever polls last in
    /// `place` while it is not. `look` may run twice, and returns whom to wake besides.
    pub(super) fn poll<T>(
        &self,
        context: &Context<'_>,
        place: impl Fn(&mut S) -> &mut Option<Waker>,
        mut look: impl FnMut(&mut S) -> (Poll<T>, Option<Waker>),
    ) -> Poll<T> {
        // The clone on its way in, then what it has replaced.
        let mut spare = None;
        loop {
            let (seen, other, is_over) = self.with(|state| {
                let (seen, other) = look(state);
                let is_over = seen.is_ready() || keep(place(state), &mut spare, context.waker());
                (seen, other, is_over)
            });
            wake(other);
            if is_over {
                return seen;
            }
            spare = Some(context.waker().clone());
        }
    }
}

/// Sees to it that `place` has a waker that wakes whom `waker` does, by what is in `spare` if it has
/// to; returns whether it could.
fn keep(place: &mut Option<Waker>, spare: &mut Option<Waker>, waker: &Waker) -> bool {
    if place.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        return true;
    }
    if spare.is_none() {
        return false;
    }
    core::mem::swap(place, spare);
    true
}

/// Calls the waker if there is one. Not for wakers whose lock is held.
pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Waits while something is not so.
pub(super) fn ready_when(is_so: bool) -> Poll<()> {
    if is_so {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}
