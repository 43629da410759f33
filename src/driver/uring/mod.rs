//! A driver of our own on the io-uring crate: one thread, its queues, its tasks.
//!
//! It waits in the ring itself, so a completion reaches its task without a detour through epoll,
//! and the kernel defers its own work to the moment when the thread asks for it. An operation
//! that is dropped here is cancelled, and gives its memory back when the kernel says so.
//!
//! **A turn**: the root future if it was woken, a bounded number of ready tasks, then completions,
//! wake-ups and timers. If a task is ready after that, what is queued is submitted without waiting;
//! else the thread looks for those for a moment where that pays (`polling`), and then waits in
//! the ring, up to the next timer. Within a turn entries are queued in the order in which operations
//! are made, waits for peers behind all others.
//!
//! **Who wakes whom**: a completion wakes the task that polled its operation last. A waker that is
//! called on another thread puts its task into the list of `remote` and signals the ring's
//! descriptor, once until the thread has looked. A timer wakes its task at its deadline.
//!
//! **Shutdown**: whoever has the driver waits first, within a bound, until nothing is in flight. Its
//! drop then drops the tasks, submits what they cancel, ends the registration of the arena and closes
//! the ring, in this order. What the kernel has not given back by then is leaked, never freed.
//!
//! **Guaranteed**: no wake-up is lost; no task runs inside another or while a queue is borrowed; a
//! task that never idles does not hold back the submissions of others beyond a turn; memory of an
//! operation stays where it is until its completion.

mod contained;
mod doorbell;
mod enter;
mod executor;
mod idle;
mod polling;
mod queue;
mod remote;
#[cfg(test)]
mod script;
mod timer;

use core::future::Future;
use core::time::Duration;
use std::rc::Rc;

use super::start_error::patiently;
use super::{DriverStatus, StartError, probe, setup_flag};
use crate::memory::Pool;
use executor::Executor;
use polling::Polling;
use remote::Remote;

pub(super) use contained::Contained;
pub(super) use queue::{Placement, Queue};
#[cfg(test)]
pub(crate) use script::{Playing, Rates, shorten};
pub(super) use timer::Sleep;

/// The ring of a thread and the executor that turns it.
#[derive(Debug)]
pub(super) struct Uring {
    executor: Rc<Executor>,
    queue: Rc<Queue>,
}

impl Uring {
    pub(super) fn start(
        entries: u32,
        busy_poll: Duration,
        status: &Rc<DriverStatus>,
    ) -> Result<Self, StartError> {
        let builder = probe::usable_builder(entries, &setup_flag::WAITING_IN_THE_RING)?;
        let queue = patiently(|| Queue::new(&builder, entries, Rc::clone(status)))?;
        let queue = Rc::new(queue);
        let remote = Remote::new().map_err(StartError::from_eventfd)?;
        let polling = if busy_poll.is_zero() {
            Polling::where_it_pays(polling::SHORT)
        } else {
            Polling::Always(busy_poll)
        };
        Ok(Self {
            executor: Executor::new(Rc::clone(&queue), remote, polling),
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

impl Drop for Uring {
    fn drop(&mut self) {
        debug_assert!(!self.queue.status().is_inherited(), "leaked by a child");
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
