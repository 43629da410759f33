//! Wakers that stand for foreign ones in tokio-uring's hands.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Wake;

use loom::future::block_on;
use loom::thread;

use super::waiting::{Place, Waiting};
use crate::driver::DriverStatus;
use crate::signal::Signal;

/// A waker of somebody else's.
#[derive(Debug, Default)]
struct Foreign(Signal);

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.0.give();
    }
}

/// Another thread calls the waker that tokio-uring has: the foreign one in its place is called.
pub(crate) fn a_foreign_waker_is_called() {
    let waiting = Rc::new(Waiting::new(Rc::new(DriverStatus::new())));
    let foreign = Arc::new(Foreign::default());
    let place = Place::new(&waiting);
    place.keep(&Waker::from(Arc::clone(&foreign)));
    let deputy = place.deputy();
    let other = thread::spawn(move || deputy.wake());
    let mut calling = pin!(Rc::clone(&waiting).call());
    let mut called = pin!(foreign.0.given());
    block_on(poll_fn(|context: &mut Context<'_>| {
        assert!(calling.as_mut().poll(context).is_pending());
        match called.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    }));
    other.join().expect("no panic");
}
