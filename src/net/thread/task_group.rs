//! Tasks of one thread that are ended together.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{Future, poll_fn};
use core::panic::AssertUnwindSafe;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, abortable};
use slab::Slab;

use crate::driver::{self, ProcessMark};

/// Tasks on the runtime of this thread that a server waits for when it ends, such as its sessions.
///
/// [`spawn`](Self::spawn) starts one, [`drain`](Self::drain) lets no more in and waits for the
/// last. A task that panics leaves the group as one that has ended does, and disturbs no other.
///
/// Dropping the group aborts the tasks that are left; each is dropped when its thread next turns to
/// it. So keep the group where the server is, and not within its tasks: in an [`Rc`] that a task of
/// the group holds, it lives until that task ends.
///
/// A forked child has none of the tasks: a group that it has inherited is empty there, and takes
/// none.
///
/// ```
/// use std::time::Duration;
///
/// use ringseal::{Runtime, TaskGroup, sleep};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// Runtime::builder().build()?.block_on(async {
///     let sessions = TaskGroup::new();
///     sessions.spawn(sleep(Duration::from_millis(1)))?;
///     sessions.spawn(core::future::pending())?;
///     let cut = sessions.drain_within(Duration::from_millis(50)).await;
///     assert_eq!(cut, 1, "one never ends");
///     assert!(sessions.spawn(async {}).is_err(), "it is drained");
///     Ok(())
/// })
/// # }
/// ```
pub struct TaskGroup {
    shared: Rc<Shared>,
    process: ProcessMark,
}

/// What the group and its tasks share.
#[derive(Default)]
struct Shared {
    running: RefCell<Slab<AbortHandle>>,
    is_closed: Cell<bool>,
    panicked: Cell<usize>,
    /// Who waits for the last task.
    waiting: RefCell<Vec<Waker>>,
}

/// Why a task was not started: [`TaskGroup::drain`], [`TaskGroup::drain_within`] or
/// [`TaskGroup::abort`] was called before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the task was not started: its group is drained or was aborted and takes no more; spawn before \
     that, or in another group"
)]
pub struct TaskGroupClosed;

impl TaskGroup {
    /// Makes a group without tasks.
    pub fn new() -> Self {
        Self {
            shared: Rc::default(),
            process: ProcessMark::current(),
        }
    }

    /// Starts a task on the runtime of this thread.
    ///
    /// # Errors
    ///
    /// [`TaskGroupClosed`] once the group is drained or was aborted. The future is dropped then.
    ///
    /// # Panics
    ///
    /// Outside [`Runtime::block_on`](crate::Runtime::block_on).
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Result<(), TaskGroupClosed> {
        if self.shared.is_closed.get() || self.process.is_inherited() {
            return Err(TaskGroupClosed);
        }
        let (future, handle) = abortable(AssertUnwindSafe(future).catch_unwind());
        let shared = Rc::clone(&self.shared);
        let key = shared.running.borrow_mut().insert(handle);
        let place = Place { shared, key };
        // Without an async block, which has room for twice what it waits for.
        drop(driver::spawn(future.map(move |outcome| {
            if let Ok(Err(_)) = outcome {
                place.note_panic();
            }
            // Leaves the group when the future is gone, however that came about.
            drop(place);
        })));
        Ok(())
    }

    /// Returns how many tasks have not ended.
    pub fn len(&self) -> usize {
        if self.process.is_inherited() {
            return 0;
        }
        self.shared.running.borrow().len()
    }

    /// Whether all tasks have ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many tasks have panicked. The panic hook has told of each.
    pub fn panicked(&self) -> usize {
        self.shared.panicked.get()
    }

    /// Lets no more tasks in, and waits until all have ended. There is no limit; see
    /// [`drain_within`](Self::drain_within). A task of the group that awaits it never ends.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the tasks alone; the group stays closed, and can be drained again.
    pub async fn drain(&self) {
        self.shared.is_closed.set(true);
        poll_fn(|context| {
            if self.is_empty() {
                return Poll::Ready(());
            }
            self.shared.wait(context.waker());
            Poll::Pending
        })
        .await;
    }

    /// Lets no more tasks in, waits until all have ended, `limit` at most, and aborts those that are
    /// left. Returns how many that were; none is there any more.
    ///
    /// # Cancellation
    ///
    /// As for [`drain`](Self::drain). Once the limit has passed the tasks that are left are aborted.
    pub async fn drain_within(&self, limit: Duration) -> usize {
        if driver::timeout(limit, self.drain()).await.is_some() {
            return 0;
        }
        let cut = self.len();
        self.abort();
        self.drain().await;
        cut
    }

    /// Lets no more tasks in, and stops those that are left, each at its next wait. They are dropped
    /// when the thread next turns to them, which [`drain`](Self::drain) waits for.
    pub fn abort(&self) {
        self.shared.is_closed.set(true);
        // The tasks are the parent's, and so is what their wakers reach.
        if self.process.is_inherited() {
            return;
        }
        // Wakers may be foreign and come back here.
        let running = self.shared.running.borrow();
        let handles: Vec<_> = running.iter().map(|(_, handle)| handle.clone()).collect();
        drop(running);
        handles.iter().for_each(AbortHandle::abort);
    }
}

impl Shared {
    fn wait(&self, waker: &Waker) {
        let is_known = (self.waiting.borrow().iter()).any(|known| known.will_wake(waker));
        if !is_known {
            let waker = waker.clone();
            self.waiting.borrow_mut().push(waker);
        }
    }
}

/// A task's place in its group, from its start to its end.
struct Place {
    shared: Rc<Shared>,
    key: usize,
}

impl Place {
    fn note_panic(&self) {
        self.shared.panicked.set(self.shared.panicked.get() + 1);
        tracing::error!("a task of a group has panicked; the others go on");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let handle = self.shared.running.borrow_mut().try_remove(self.key);
        drop(handle);
        if self.shared.running.borrow().is_empty() {
            let waiting = self.shared.waiting.take();
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

impl Drop for TaskGroup {
    fn drop(&mut self) {
        self.abort();
    }
}

impl Default for TaskGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TaskGroup")
            .field("running", &self.len())
            .field("is_closed", &self.shared.is_closed.get())
            .field("panicked", &self.panicked())
            .finish()
    }
}
