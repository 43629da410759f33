//! Who waits for operations of tokio-uring.
//!
//! It calls, clones and drops wakers while its driver is borrowed, and knows no failure. So the
//! wakers of whoever waits are kept here, to be called when the driver has failed. Of those only
//! what does nothing but schedule a task of the thread goes into tokio-uring's hands. Other
//! wakers may be foreign and run anything: in their place it gets one of ours, which has a task
//! call them.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll, RawWakerVTable, Waker};
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::task::Wake;

use slab::Slab;

use crate::driver::{DriverError, DriverStatus, catch_panic};
use crate::sync::{AtomicWaker, Mutex, MutexGuard};

/// Wakers of a thread's operations.
#[derive(Debug)]
pub(crate) struct Waiting {
    status: Rc<DriverStatus>,
    wakers: RefCell<Slab<Waker>>,
    called: Arc<Called>,
    /// How wakers of tokio's tasks are known, and that of the future that is blocked on.
    harmless: [Cell<Option<&'static RawWakerVTable>>; 2],
}

/// Which wakers are to be called.
#[derive(Debug, Default)]
struct Called {
    keys: Mutex<Vec<usize>>,
    caller: AtomicWaker,
}

impl Called {
    fn keys(&self) -> MutexGuard<'_, Vec<usize>> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands for a waker in tokio-uring's hands.
struct Deputy {
    key: usize,
    called: Arc<Called>,
}

impl Wake for Deputy {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.keys().push(self.key);
        // The task that calls is one of tokio's.
        self.called.caller.wake();
    }
}

/// Somebody's place among those who wait.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Rc<Waiting>,
    key: Cell<Option<usize>>,
    deputy: RefCell<Option<Waker>>,
}

impl Waiting {
    pub(super) fn new(status: Rc<DriverStatus>) -> Self {
        Self {
            status,
            wakers: RefCell::default(),
            called: Arc::default(),
            harmless: Default::default(),
        }
    }

    /// Notes how the waker of the future that is blocked on is known.
    pub(super) fn note_root(&self, waker: &Waker) {
        self.harmless[0].set(Some(waker.vtable()));
    }

    /// Whether `waker` does nothing but schedule a task of this thread.
    pub(super) fn is_harmless(&self, waker: &Waker) -> bool {
        let mut known = self.harmless.iter().filter_map(Cell::get);
        known.any(|known| core::ptr::eq(known, waker.vtable()))
    }

    pub(super) fn status(&self) -> &Rc<DriverStatus> {
        &self.status
    }

    /// Tells all who wait that there are no operations any more.
    pub(super) fn fail(&self, error: DriverError) {
        self.status.fail(error);
        let keys: Vec<usize> = self.wakers.borrow().iter().map(|(key, _)| key).collect();
        self.called.keys().extend(keys);
        self.called.caller.wake();
    }

    /// Calls wakers, without end. It has to be a task of its own, so that what they run meets nothing
    /// that is borrowed.
    pub(super) async fn call(self: Rc<Self>) {
        poll_fn(|context| self.poll_call(context)).await;
    }

    fn poll_call(&self, context: &mut Context<'_>) -> Poll<()> {
        self.harmless[1].set(Some(context.waker().vtable()));
        self.called.caller.register(context.waker());
        loop {
            let key = self.called.keys().pop();
            let Some(key) = key else {
                return Poll::Pending;
            };
            if let Some(waker) = self.take(key) {
                catch_panic(|| waker.wake());
            }
        }
    }

    /// Takes the waker of `key` out. Whoever waits for something that has not come polls again, and
    /// puts it back.
    fn take(&self, key: usize) -> Option<Waker> {
        let mut wakers = self.wakers.borrow_mut();
        let place = wakers.get_mut(key)?;
        Some(core::mem::replace(place, Waker::noop().clone()))
    }
}

impl Place {
    pub(super) fn new(waiting: &Rc<Waiting>) -> Self {
        Self {
            waiting: Rc::clone(waiting),
            key: Cell::new(None),
            deputy: RefCell::new(None),
        }
    }

    pub(super) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Keeps the waker of whoever waits here.
    pub(super) fn keep(&self, waker: &Waker) {
        if self.has(waker) {
            return;
        }
        let waker = waker.clone();
        let previous = {
            let mut wakers = self.waiting.wakers.borrow_mut();
            match self.key.get() {
                Some(key) => Some(core::mem::replace(&mut wakers[key], waker)),
                None => {
                    self.key.set(Some(wakers.insert(waker)));
                    None
                }
            }
        };
        drop(previous);
    }

    fn has(&self, waker: &Waker) -> bool {
        let wakers = self.waiting.wakers.borrow();
        let kept = self.key.get().and_then(|key| wakers.get(key));
        kept.is_some_and(|kept| kept.will_wake(waker))
    }

    /// Returns what to give tokio-uring in the place of the waker that is kept.
    pub(super) fn deputy(&self) -> Waker {
        let wakers = self.waiting.wakers.borrow();
        let Some(key) = self.key.get() else {
            // Nobody waits.
            return Waker::noop().clone();
        };
        let kept = wakers.get(key);
        if let Some(kept) = kept.filter(|kept| self.waiting.is_harmless(kept)) {
            return kept.clone();
        }
        let mut deputy = self.deputy.borrow_mut();
        let deputy = deputy.get_or_insert_with(|| {
            let called = Arc::clone(&self.waiting.called);
            Waker::from(Arc::new(Deputy { key, called }))
        });
        deputy.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(key) = self.key.get() {
            let waker = self.waiting.wakers.borrow_mut().try_remove(key);
            drop(waker);
        }
    }
}
