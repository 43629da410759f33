//! A place for the waker of whoever waits.

use core::cell::Cell;
use core::task::{Poll, Waker};

/// Keeps one waker. Wakers may be foreign, and run anything when they are cloned, called or
/// dropped: nothing is borrowed meanwhile.
#[derive(Default)]
pub(crate) struct WakerCell {
    waker: Cell<Option<Waker>>,
}

impl WakerCell {
    /// Keeps `waker` in the place of the one before.
    #[inline]
    pub(crate) fn set(&self, waker: &Waker) {
        let kept = self.waker.take();
        if kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.waker.set(kept);
            return;
        }
        let waker = waker.clone();
        // What that has run may have set another one.
        let other = self.waker.replace(Some(waker));
        drop((kept, other));
    }

    /// Returns a clone of the waker.
    pub(crate) fn get(&self) -> Option<Waker> {
        let kept = self.waker.take();
        let clone = kept.clone();
        // What that has run may have set another one.
        let superseded = match self.waker.take() {
            None => self.waker.replace(kept),
            newer => self.waker.replace(newer).or(kept),
        };
        drop(superseded);
        clone
    }

    /// Forgets the waker: whoever waited has what it waited for. The memory of a task lasts as long as
    /// its wakers.
    #[inline]
    pub(crate) fn clear(&self) {
        drop(self.waker.take());
    }

    /// Keeps `waker` while `poll` is pending, and none once it is ready.
    #[inline]
    pub(crate) fn follow<T>(&self, poll: &Poll<T>, waker: &Waker) {
        match poll {
            Poll::Pending => self.set(waker),
            Poll::Ready(_) => self.clear(),
        }
    }

    /// Calls the waker, once.
    #[inline]
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl core::fmt::Debug for WakerCell {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("WakerCell").finish_non_exhaustive()
    }
}
