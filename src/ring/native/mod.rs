//! A driver of our own on the io-uring crate: one thread, its queues, its tasks.
//!
//! It waits in the ring itself, so a completion reaches its task without a detour through epoll,
//! and the kernel defers its own work to the moment when the thread asks for it. An operation
//! that is dropped here is cancelled, and gives its memory back when the kernel says so.

mod contain;
mod executor;
mod queue;
mod remote;
mod timer;

use core::future::Future;
use core::time::Duration;
use std::rc::Rc;

use super::{StartError, probe, requirement};
use crate::memory::Pool;
use executor::Executor;
use remote::Remote;

pub(super) use contain::Contained;
pub(super) use queue::{Order, Queue};
pub(super) use timer::Sleep;

/// The ring of a thread and the executor that turns it.
#[derive(Debug)]
pub(super) struct NativeRing {
    executor: Rc<Executor>,
    queue: Rc<Queue>,
}

impl NativeRing {
    pub(super) fn start(entries: u32, busy_poll: Duration) -> Result<Self, StartError> {
        let builder = probe::usable_builder(entries, &requirement::WAITING_IN_THE_RING)?;
        let queue = Rc::new(Queue::new(&builder, entries).map_err(StartError::from_setup)?);
        let remote = Remote::new().map_err(StartError::Setup)?;
        Ok(Self {
            executor: Executor::new(Rc::clone(&queue), remote, busy_poll),
            queue,
        })
    }

    pub(super) fn register(&self, pool: &Pool) -> std::io::Result<()> {
        self.queue.register(pool)
    }

    pub(super) fn queue(&self) -> &Rc<Queue> {
        &self.queue
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.executor.block_on(future)
    }

    #[cfg(feature = "testing")]
    pub(super) fn is_inside_executor() -> bool {
        Executor::current().is_some()
    }

    pub(super) fn can_block() -> bool {
        Executor::can_enter()
    }
}

impl Drop for NativeRing {
    fn drop(&mut self) {
        self.executor.end();
        // The tasks have cancelled what they waited for. Told so, the kernel lets go of their
        // descriptors now, and not some time after the ring is closed.
        self.queue.enter_now();
        self.queue.end();
    }
}

/// Starts a task on the executor that this thread is inside of, if it is inside one.
///
/// # Errors
///
/// The future, when there is none.
pub(super) fn try_spawn<F>(future: F) -> Result<async_task::Task<Contained<F::Output>>, F>
where
    F: Future + 'static,
{
    match Executor::current() {
        Some(executor) => Ok(executor.spawn(future)),
        None => Err(future),
    }
}

/// Makes a timer of the executor that this thread is inside of, if it is inside one.
pub(super) fn try_sleep(duration: Duration) -> Option<Sleep> {
    Executor::current().map(|executor| executor.sleep(duration))
}
