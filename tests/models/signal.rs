//! Something that one thread tells another.

use core::future::poll_fn;
use core::task::Poll;

use crate::sync::AtomicWaker;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Given once, by any thread.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_given: AtomicBool,
    waiting: AtomicWaker,
}

impl Signal {
    pub(crate) fn give(&self) {
        self.is_given.store(true, Ordering::Release);
        self.waiting.wake();
    }

    pub(crate) async fn given(&self) {
        poll_fn(|context| {
            self.waiting.register(context.waker());
            match self.is_given.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}
