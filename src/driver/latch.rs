//! Something that happens once on a thread, and those who wait for it there.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;

use slab::Slab;

/// Open once it has happened. Waiting takes no lock and no atomic, so it may be done once a message.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    is_open: Cell<bool>,
    waiting: RefCell<Slab<Waker>>,
}

impl Latch {
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    pub(crate) fn open(&self) {
        self.is_open.set(true);
        // Wakers may be foreign and come back here.
        let waiting: Vec<Waker> = (self.waiting.borrow().iter())
            .map(|(_, waker)| waker.clone())
            .collect();
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn wait(self: &Rc<Self>) -> Waiting {
        Waiting {
            latch: Rc::clone(self),
            key: None,
        }
    }
}

/// Is done when the latch is open.
#[derive(Debug)]
pub(crate) struct Waiting {
    latch: Rc<Latch>,
    key: Option<usize>,
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.latch.is_open() {
            return Poll::Ready(());
        }
        if self.is_waiting_as(context.waker()) {
            return Poll::Pending;
        }
        self.leave();
        let waker = context.waker().clone();
        let key = self.latch.waiting.borrow_mut().insert(waker);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Waiting {
    fn is_waiting_as(&self, waker: &Waker) -> bool {
        let waiting = self.latch.waiting.borrow();
        let kept = self.key.and_then(|key| waiting.get(key));
        kept.is_some_and(|kept| kept.will_wake(waker))
    }

    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = self.latch.waiting.borrow_mut().try_remove(key);
            drop(waker);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.leave();
    }
}
