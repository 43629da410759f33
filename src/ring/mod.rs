//! The ring driver: the only room that names tokio-uring and tokio.
//!
//! Everything above asks this room for six things, and another driver that takes its place has
//! to provide the same six:
//!
//! * [`Ring`]: made from a [`Pool`] whose arena it registers; runs a future on this thread; tells
//!   how many operations are in flight; turns even when a task never idles;
//! * [`Operation`]: one read, write, readiness wait or cancellation. It owns the memory that the
//!   kernel may touch as an [`InFlight`](crate::memory::InFlight) and gives it back in its
//!   [`Completion`]. It is submitted when made, survives being polled from different tasks, and
//!   has to be polled to its end: dropped before, it leaks its memory, never frees it;
//! * [`connect`], [`Acceptor`]: sockets, safe to cancel at any point;
//! * [`spawn`]: tasks on this thread;
//! * [`sleep`], [`timeout`]: timers, none of them on the hot path;
//! * [`StartError`]: why there is no ring, in words that say what to change.
//!
//! What decides the shape here is how tokio-uring behaves: dropping its operation cancels
//! nothing, its teardown frees stored data before it cancels, and submissions enter the kernel
//! only when the thread parks or the queue is full.

mod operation;
mod probe;
mod registration;
mod socket;
mod start_error;
mod task;
mod watchdog;

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::task::Waker;
use std::rc::Rc;

use crate::memory::Pool;

pub(crate) use operation::{Completion, Operation};
pub(crate) use socket::{Acceptor, ShutdownSide, Socket, connect, resolve};
pub use start_error::StartError;
pub use task::Task;
pub(crate) use task::{sleep, spawn, timeout};

/// Whether the arena is registered with the ring as a fixed buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Registration {
    /// Fail to start when the kernel refuses.
    #[default]
    Required,
    /// Go on with plain reads when the kernel refuses, with one warning.
    Preferred,
    /// Do not try.
    Off,
}

/// What operations share with their ring.
#[derive(Debug, Default)]
pub(crate) struct RingState {
    in_flight: Cell<usize>,
    /// Woken when `in_flight` falls to zero.
    idle: RefCell<Option<Waker>>,
    registered: Cell<bool>,
}

impl RingState {
    /// Returns how many operations the kernel has not completed, or nobody has collected.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Whether slots are registered with the ring.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.get()
    }

    /// Has `waker` called once when nothing is in flight any more.
    pub(crate) fn wake_when_idle(&self, waker: &Waker) {
        *self.idle.borrow_mut() = Some(waker.clone());
    }

    fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    fn end(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
        if self.in_flight.get() == 0 {
            let waker = self.idle.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// A ring and the single-threaded executor that turns it.
pub(crate) struct Ring {
    runtime: tokio_uring::Runtime,
    state: Rc<RingState>,
    entries: u32,
}

impl Ring {
    /// Starts a ring of `entries` submissions and registers the arena of `pool`.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what is missing and what to do.
    pub(crate) fn start(
        entries: u32,
        pool: &Pool,
        registration: Registration,
    ) -> Result<Self, StartError> {
        // tokio-uring leaks descriptors when its own start fails, so a throw-away ring goes first.
        let builder = probe::usable_builder(entries)?;
        let runtime = tokio_uring::Runtime::new(
            tokio_uring::builder()
                .entries(entries)
                .uring_builder(&builder),
        )
        .map_err(StartError::from_setup)?;
        let ring = Self {
            runtime,
            state: Rc::default(),
            entries,
        };
        if registration != Registration::Off {
            let result = ring
                .runtime
                .block_on(async { registration::register(pool.clone()) });
            match (result, registration) {
                (Ok(()), _) => ring.state.registered.set(true),
                (Err(error), Registration::Preferred) => tracing::warn!(
                    error = %StartError::from_registration(error, pool.arena().1),
                    "the arena is not registered; reads take the plain path"
                ),
                (Err(error), _) => {
                    return Err(StartError::from_registration(error, pool.arena().1));
                }
            }
        }
        Ok(ring)
    }

    pub(crate) fn state(&self) -> &Rc<RingState> {
        &self.state
    }

    /// Runs `future` and the tasks of this ring until it is done.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Keeps the ring turning beside tasks that never idle. Runs until dropped.
    pub(crate) fn watchdog(&self) -> impl Future<Output = ()> + 'static {
        watchdog::watch(Rc::clone(&self.state), self.entries)
    }

    /// Whether a `block_on` would panic, because this thread is inside one already.
    pub(crate) fn is_inside_executor() -> bool {
        tokio::runtime::Handle::try_current().is_ok()
    }

    /// Gives up the ring without tearing it down.
    pub(crate) fn leak(self) {
        core::mem::forget(self);
    }
}

impl core::fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Ring")
            .field("entries", &self.entries)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
