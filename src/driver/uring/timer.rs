//! Timers of a ring thread.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use crate::driver::catch_panic;

/// The timers of a thread. None of them is on a hot path.
#[derive(Debug, Default)]
pub(super) struct Timers {
    waiting: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next_key: Cell<u64>,
}

impl Timers {
    /// Whether `waker` is the one that waits there.
    fn wakes(&self, entry: (Instant, u64), waker: &Waker) -> bool {
        let waiting = self.waiting.borrow();
        waiting
            .get(&entry)
            .is_some_and(|kept| kept.will_wake(waker))
    }

    /// Returns how long it is until the next one, from `now`.
    pub(super) fn next(&self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let waiting = self.waiting.borrow();
        let (&(deadline, _), _) = waiting.first_key_value()?;
        Some(deadline.saturating_duration_since(now()))
    }

    /// Wakes those that have expired.
    pub(super) fn fire(&self, now: impl FnOnce() -> Instant) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let now = now();
        loop {
            let mut waiting = self.waiting.borrow_mut();
            let due = waiting
                .first_entry()
                .filter(|entry| entry.key().0 <= now)
                .map(|entry| entry.remove());
            drop(waiting);
            let Some(waker) = due else { return };
            catch_panic(|| waker.wake());
        }
    }
}

/// Completes at its deadline. Dropping it takes it off the list.
#[derive(Debug)]
pub(crate) struct Sleep {
    timers: Rc<Timers>,
    /// `None` when it is too far away to come.
    deadline: Option<Instant>,
    key: u64,
}

impl Sleep {
    pub(super) fn new(timers: Rc<Timers>, duration: Duration) -> Self {
        let key = timers.next_key.get();
        timers.next_key.set(key + 1);
        Self {
            timers,
            deadline: Instant::now().checked_add(duration),
            key,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        // Cloning and dropping wakers may run anything, so nothing is borrowed meanwhile.
        let entry = (deadline, self.key);
        if !self.timers.wakes(entry, context.waker()) {
            let waker = context.waker().clone();
            let previous = self.timers.waiting.borrow_mut().insert(entry, waker);
            drop(previous);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(deadline) = self.deadline {
            let removed = self
                .timers
                .waiting
                .borrow_mut()
                .remove(&(deadline, self.key));
            drop(removed);
        }
    }
}
