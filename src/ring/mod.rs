//! The ring drivers: the only room that names io-uring, tokio-uring and tokio.
//!
//! There are two, [`Backend::Uring`] and [`Backend::TokioUring`]. Everything above asks this room
//! for six things, and another driver that takes its place beside them has to provide the same:
//!
//! * [`Ring`]: made from a [`Pool`] whose arena it registers; runs a future on this thread; tells
//!   how many operations are in flight; turns even when a task never idles;
//! * [`Operation`]: one read, write, readiness wait or cancellation. It owns the memory that the
//!   kernel may touch as an [`InFlight`](crate::memory::InFlight) and gives it back in its
//!   [`Completion`]. It is submitted when made, survives being polled from different tasks, and
//!   has to be polled to its end by the rooms above. Dropped before, it never frees its memory
//!   while the kernel may be at it;
//! * [`connect`], [`resolve`], [`Acceptor`]: sockets, safe to cancel at any point;
//! * [`spawn`]: tasks on this thread;
//! * [`sleep`], [`timeout`]: timers, none of them on the hot path;
//! * [`StartError`]: why there is no ring, in words that say what to change.

mod endpoint;
mod inspection;
mod native;
mod network;
mod operation;
mod pollable;
mod probe;
mod requirement;
mod socket;
mod start_error;
mod task;
mod tokio_uring;
mod unix_path;

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::task::Waker;
use core::time::Duration;
use std::rc::Rc;

use crate::memory::Pool;
use native::{NativeRing, Queue};
use tokio_uring::TokioUringRing;

pub(crate) use endpoint::{Endpoint, UnixName};
pub use inspection::{Inspection, Support, SystemCall};
pub(crate) use network::{Acceptor, PathOptions, connect, resolve};
pub(crate) use operation::{Completion, Operation};
pub(crate) use socket::{ShutdownSide, Socket};
pub use start_error::StartError;
pub use task::{Task, sleep, spawn, timeout};

/// Who submits operations and runs the tasks of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// ringseal's own loop on the io-uring crate: it waits in the ring and can poll busily.
    ///
    /// Timers and sockets of tokio have no reactor in it, unless you enter one that runs
    /// elsewhere (`tokio::runtime::Handle::enter`); its channels work as they are.
    #[default]
    Uring,
    /// tokio-uring: a current-thread tokio runtime that waits in epoll.
    TokioUring,
}

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
    /// The native driver's queues; without them it is tokio-uring that turns the ring.
    queue: Option<Rc<Queue>>,
}

impl RingState {
    pub(crate) fn backend(&self) -> Backend {
        match self.queue {
            Some(_) => Backend::Uring,
            None => Backend::TokioUring,
        }
    }

    fn queue(&self) -> Option<&Rc<Queue>> {
        self.queue.as_ref()
    }

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

/// What a ring is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingSettings {
    pub(crate) backend: Backend,
    /// Submissions that fit.
    pub(crate) entries: u32,
    pub(crate) registration: Registration,
    /// How long to look for something to do before waiting in the kernel.
    pub(crate) busy_poll: Duration,
}

/// A ring and the single-threaded executor that turns it.
#[derive(Debug)]
pub(crate) struct Ring {
    inner: Inner,
    state: Rc<RingState>,
}

#[derive(Debug)]
enum Inner {
    Native(NativeRing),
    TokioUring(TokioUringRing),
}

impl Ring {
    /// Starts a ring and registers the arena of `pool`.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what is missing and what to do.
    pub(crate) fn start(settings: RingSettings, pool: &Pool) -> Result<Self, StartError> {
        let RingSettings {
            backend,
            entries,
            registration,
            busy_poll,
        } = settings;
        let (inner, state) = match backend {
            Backend::Uring => {
                let ring = NativeRing::start(entries, busy_poll)?;
                let state = RingState {
                    queue: Some(Rc::clone(ring.queue())),
                    ..RingState::default()
                };
                (Inner::Native(ring), Rc::new(state))
            }
            Backend::TokioUring if busy_poll.is_zero() => {
                let state = Rc::default();
                let ring = TokioUringRing::start(entries, &state)?;
                (Inner::TokioUring(ring), state)
            }
            Backend::TokioUring => {
                return Err(StartError::Configuration(
                    "tokio-uring waits in epoll and cannot poll its ring busily; use \
                     Backend::Uring, or no busy polling",
                ));
            }
        };
        let ring = Self { inner, state };
        if registration != Registration::Off {
            let result = match &ring.inner {
                Inner::Native(ring) => ring.register(pool),
                Inner::TokioUring(ring) => ring.register(pool),
            };
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
        match &self.inner {
            Inner::Native(ring) => ring.block_on(future),
            Inner::TokioUring(ring) => ring.block_on(future),
        }
    }

    /// Whether a `block_on` would panic, because this thread is inside an executor already.
    pub(crate) fn is_inside_executor(&self) -> bool {
        match self.inner {
            Inner::Native(_) => NativeRing::is_inside_executor(),
            Inner::TokioUring(_) => {
                NativeRing::is_inside_executor() || TokioUringRing::is_inside_executor()
            }
        }
    }

    /// Gives up the ring without tearing it down.
    pub(crate) fn leak(self) {
        core::mem::forget(self);
    }
}
