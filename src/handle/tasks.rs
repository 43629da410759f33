//! The tasks that a ring thread runs for others.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use futures_util::future::{AbortHandle, FutureExt, abortable};
use slab::Slab;

use crate::driver;

thread_local! {
    static RUNNING: RefCell<Slab<AbortHandle>> = const { RefCell::new(Slab::new()) };
}

/// Starts a task on this ring thread that [`end_all`] ends.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    let (future, handle) = abortable(future);
    let entry = Entry(RUNNING.with_borrow_mut(|running| running.insert(handle)));
    // Aborted or not, it is over. Without an async block, which has room for twice what it waits for.
    drop(driver::spawn(future.map(move |_| drop(entry))));
}

/// Drops all tasks and waits until they are gone, so that nothing of theirs is in the kernel's
/// hands but what their runtime knows how to take back.
pub(super) async fn end_all() {
    poll_fn(|context| {
        // All at once: none sees what the end of another does to its connection.
        let all_gone = RUNNING.with_borrow(|running| {
            running.iter().for_each(|(_, handle)| handle.abort());
            running.is_empty()
        });
        if all_gone {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A task's place among those that run.
struct Entry(usize);

impl Drop for Entry {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(|running| running.remove(self.0));
    }
}
