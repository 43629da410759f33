//! Tasks and timers on this thread, by whichever driver it runs.

use core::cell::Cell;
#[cfg(target_os = "linux")]
use core::cell::RefCell;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;

#[cfg(target_os = "linux")]
use super::uring;
use crate::memory::ProcessMark;

/// A task that runs on the ring's thread. Await it for its output; drop it to let it run on.
pub struct Task<T> {
    handle: Handle<T>,
}

enum Handle<T> {
    /// Empty once it was aborted.
    #[cfg(target_os = "linux")]
    Uring(RefCell<Option<async_task::Task<uring::Contained<T>>>>),
    Tokio(tokio::task::JoinHandle<T>),
}

thread_local! {
    static TASKS: Cell<usize> = const { Cell::new(0) };
}

/// A task of this thread, while it is there.
struct Alive;

impl Alive {
    fn new() -> Self {
        TASKS.set(TASKS.get() + 1);
        Self
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        // Of a thread that ends nobody asks.
        let _ = TASKS.try_with(|tasks| tasks.set(tasks.get().saturating_sub(1)));
    }
}

/// Returns how many tasks of this thread have not ended.
pub(crate) fn tasks() -> usize {
    TASKS.get()
}

/// What awaiting a task says that somebody aborted.
const ABORTED: &str = "awaited a task that was aborted";

impl<T> Task<T> {
    /// Stops the task at its next wait.
    pub fn abort(&self) {
        match &self.handle {
            #[cfg(target_os = "linux")]
            Handle::Uring(task) => drop(task.take()),
            Handle::Tokio(task) => task.abort(),
        }
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    /// # Panics
    ///
    /// If the task panicked, with its panic; and if it was aborted.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.handle {
            #[cfg(target_os = "linux")]
            Handle::Uring(task) => {
                let task = task.get_mut().as_mut().expect(ABORTED);
                let output = Pin::new(task).poll(context);
                output.map(uring::Contained::into_inner)
            }
            Handle::Tokio(task) => Pin::new(task).poll(context).map(|result| match result {
                Ok(output) => output,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => panic!("{ABORTED}"),
                },
            }),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Handle::Uring(task) = &mut self.handle
            && let Some(task) = task.get_mut().take()
        {
            task.detach();
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Task").finish_non_exhaustive()
    }
}

/// Starts a task on the runtime of this thread. Await the [`Task`] for its output, or drop it to
/// let it run on.
///
/// # Panics
///
/// Outside [`Runtime::block_on`](crate::Runtime::block_on).
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    let alive = Alive::new();
    let future = future.map(move |output| {
        drop(alive);
        output
    });
    #[cfg(target_os = "linux")]
    let future = match uring::try_spawn(future) {
        Ok(task) => {
            let handle = Handle::Uring(RefCell::new(Some(task)));
            return Task { handle };
        }
        Err(future) => future,
    };
    let handle = Handle::Tokio(tokio::task::spawn_local(in_own_process(future)));
    Task { handle }
}

/// Ends a child that was forked in `future` and returns from it: tokio's loop would go on with the
/// parent's reactor there.
fn in_own_process<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let process = ProcessMark::current();
    let mut future = Box::pin(future);
    poll_fn(move |context| {
        let poll = future.as_mut().poll(context);
        if process.is_inherited() {
            tracing::error!("a child that was forked in a task has returned into the runtime");
            std::process::abort();
        }
        poll
    })
}

/// Whether this thread is inside the uring driver.
#[cfg(feature = "testing")]
fn is_uring() -> bool {
    #[cfg(target_os = "linux")]
    return uring::Uring::is_inside_executor();
    #[cfg(not(target_os = "linux"))]
    false
}

/// Lets every other task of this thread that is ready run once.
pub(crate) async fn give_others_a_turn() {
    let mut is_back = false;
    poll_fn(|context| {
        if core::mem::replace(&mut is_back, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Returns the time that timers go by.
pub(crate) fn now() -> Instant {
    #[cfg(feature = "testing")]
    if !is_uring() {
        return tokio::time::Instant::now().into_std();
    }
    Instant::now()
}

/// Waits for `duration`, to the millisecond or so.
///
/// # Panics
///
/// Outside [`Runtime::block_on`](crate::Runtime::block_on).
pub async fn sleep(duration: Duration) {
    #[cfg(target_os = "linux")]
    if let Some(sleep) = uring::try_sleep(duration) {
        return sleep.await;
    }
    tokio::time::sleep(duration).await;
}

/// Gives `future` until `duration` has passed; `None` when it took longer.
///
/// # Panics
///
/// Outside [`Runtime::block_on`](crate::Runtime::block_on).
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = pin!(sleep(duration));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        sleep.as_mut().poll(context).map(|()| None)
    })
    .await
}
