//! The drivers: the only room that names io-uring, tokio-uring and tokio.
//!
//! There are three, [`Backend::Uring`], [`Backend::TokioUring`] and, without a ring,
//! [`Backend::Epoll`]. Everything above asks this room for six things, and another driver that
//! takes its place beside them has to provide the same:
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

mod byte_stream;
mod completion;
mod descriptor;
mod endpoint;
mod epoll;
#[cfg(target_os = "linux")]
mod inspection;
#[cfg(target_os = "linux")]
mod native;
mod network;
#[cfg(not(target_os = "linux"))]
mod no_operation;
#[cfg(target_os = "linux")]
mod operation;
mod pollable;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod requirement;
#[cfg(target_os = "linux")]
mod ring_socket;
mod socket;
mod start_error;
mod stream_socket;
mod task;
#[cfg(target_os = "linux")]
mod tokio_uring;
mod unix_path;

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::task::Waker;
use core::time::Duration;
use std::io;
use std::rc::Rc;
use std::sync::Once;

use crate::memory::Pool;
use epoll::EpollRing;
#[cfg(target_os = "linux")]
use native::{NativeRing, Queue};
#[cfg(target_os = "linux")]
use tokio_uring::TokioUringRing;

#[cfg(feature = "testing")]
pub(crate) use ::tokio::io::ReadBuf;
pub(crate) use ::tokio::io::{AsyncRead, AsyncWrite};
pub(crate) use byte_stream::Duplex;
pub(crate) use completion::Completion;
pub(crate) use endpoint::{Endpoint, UnixName};
#[cfg(target_os = "linux")]
pub use inspection::{Inspection, Support, SystemCall};
pub(crate) use network::{Acceptor, PathOptions, connect, resolve};
#[cfg(not(target_os = "linux"))]
pub(crate) use no_operation::Operation;
#[cfg(target_os = "linux")]
pub(crate) use operation::Operation;
pub(crate) use socket::{ShutdownSide, Socket};
pub use start_error::StartError;
pub(crate) use task::now;
pub use task::{Task, sleep, spawn, timeout};

/// Who moves bytes and runs the tasks of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// [`Uring`](Self::Uring), or [`Epoll`](Self::Epoll) where this host gives no io_uring, with
    /// one warning that says why.
    #[default]
    Auto,
    /// ringseal's own loop on the io-uring crate: it waits in the ring and can poll busily.
    ///
    /// Timers and sockets of tokio have no reactor in it, unless you enter one that runs
    /// elsewhere (`tokio::runtime::Handle::enter`); its channels work as they are.
    Uring,
    /// tokio-uring: a current-thread tokio runtime that waits in epoll.
    TokioUring,
    /// A current-thread tokio runtime without a ring. The same slots, not registered, are read
    /// into and written from when epoll says that a socket is ready.
    Epoll,
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
#[derive(Debug)]
pub(crate) struct RingState {
    /// Never [`Backend::Auto`].
    backend: Backend,
    in_flight: Cell<usize>,
    /// Woken when `in_flight` falls to zero.
    idle: RefCell<Option<Waker>>,
    registered: Cell<bool>,
    /// The native driver's queues.
    #[cfg(target_os = "linux")]
    queue: Option<Rc<Queue>>,
}

impl RingState {
    fn new(backend: Backend) -> Self {
        Self {
            backend,
            in_flight: Cell::new(0),
            idle: RefCell::new(None),
            registered: Cell::new(false),
            #[cfg(target_os = "linux")]
            queue: None,
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    #[cfg(target_os = "linux")]
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
    /// Whether time moves only when every task waits.
    #[cfg(feature = "testing")]
    pub(crate) paused_time: bool,
}

/// A ring, or what takes its place, and the single-threaded executor that turns it.
#[derive(Debug)]
pub(crate) struct Ring {
    inner: Inner,
    state: Rc<RingState>,
    /// Why it is not io_uring that [`Backend::Auto`] has taken.
    fallback: Option<StartError>,
}

#[derive(Debug)]
enum Inner {
    #[cfg(target_os = "linux")]
    Native(NativeRing),
    #[cfg(target_os = "linux")]
    TokioUring(TokioUringRing),
    Epoll(EpollRing),
}

impl Ring {
    /// Starts a ring and registers the arena of `pool`.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what is missing and what to do.
    pub(crate) fn start(settings: RingSettings, pool: &Pool) -> Result<Self, StartError> {
        #[cfg(feature = "testing")]
        if settings.paused_time {
            return Self::start_paused(settings.backend);
        }
        match settings.backend {
            Backend::Auto => match Self::start_native(settings, pool) {
                Err(reason) if reason.is_lack_of_ring() => Self::fall_back(reason),
                result => result,
            },
            Backend::Uring => Self::start_native(settings, pool),
            Backend::TokioUring | Backend::Epoll if !settings.busy_poll.is_zero() => {
                Err(StartError::Configuration(
                    "this backend waits in epoll and cannot poll a ring busily; use \
                     Backend::Uring, or no busy polling",
                ))
            }
            Backend::TokioUring => Self::start_tokio_uring(settings, pool),
            Backend::Epoll => Self::start_epoll(),
        }
    }

    fn new(inner: Inner, state: Rc<RingState>) -> Self {
        Self {
            inner,
            state,
            fallback: None,
        }
    }

    #[cfg(target_os = "linux")]
    fn start_native(settings: RingSettings, pool: &Pool) -> Result<Self, StartError> {
        let ring = NativeRing::start(settings.entries, settings.busy_poll)?;
        let state = RingState {
            queue: Some(Rc::clone(ring.queue())),
            ..RingState::new(Backend::Uring)
        };
        register_with(|| ring.register(pool), settings.registration, pool, &state)?;
        Ok(Self::new(Inner::Native(ring), state.into()))
    }

    #[cfg(target_os = "linux")]
    fn start_tokio_uring(settings: RingSettings, pool: &Pool) -> Result<Self, StartError> {
        refuse_inside_tokio()?;
        let state = Rc::new(RingState::new(Backend::TokioUring));
        let ring = TokioUringRing::start(settings.entries, &state)?;
        register_with(|| ring.register(pool), settings.registration, pool, &state)?;
        Ok(Self::new(Inner::TokioUring(ring), state))
    }

    #[cfg(not(target_os = "linux"))]
    fn start_native(_settings: RingSettings, _pool: &Pool) -> Result<Self, StartError> {
        let call = "io_uring_setup";
        Err(StartError::Unavailable { call })
    }

    #[cfg(not(target_os = "linux"))]
    fn start_tokio_uring(settings: RingSettings, pool: &Pool) -> Result<Self, StartError> {
        Self::start_native(settings, pool)
    }

    #[cfg(feature = "testing")]
    fn start_paused(backend: Backend) -> Result<Self, StartError> {
        if !matches!(backend, Backend::Auto | Backend::Epoll) {
            return Err(StartError::Configuration(
                "a ring has no time that can be paused; use Backend::Epoll",
            ));
        }
        refuse_inside_tokio()?;
        Self::on_epoll(EpollRing::start_paused())
    }

    fn start_epoll() -> Result<Self, StartError> {
        refuse_inside_tokio()?;
        Self::on_epoll(EpollRing::start())
    }

    fn on_epoll(ring: io::Result<EpollRing>) -> Result<Self, StartError> {
        let ring = ring.map_err(StartError::Epoll)?;
        let state = RingState::new(Backend::Epoll);
        Ok(Self::new(Inner::Epoll(ring), state.into()))
    }

    fn fall_back(reason: StartError) -> Result<Self, StartError> {
        static WARNED: Once = Once::new();
        let ring = match Self::start_epoll() {
            Ok(ring) => ring,
            Err(StartError::Epoll(epoll)) => {
                let uring = Box::new(reason);
                return Err(StartError::Nothing { uring, epoll });
            }
            Err(error) => return Err(error),
        };
        // Every thread of a process has the same reason.
        WARNED.call_once(|| {
            tracing::warn!(%reason, "no io_uring here; falling back to epoll, without busy polling");
        });
        Ok(Self {
            fallback: Some(reason),
            ..ring
        })
    }

    /// Returns why it is not io_uring that [`Backend::Auto`] has taken.
    pub(crate) fn fallback(&self) -> Option<&StartError> {
        self.fallback.as_ref()
    }

    pub(crate) fn state(&self) -> &Rc<RingState> {
        &self.state
    }

    /// Runs `future` and the tasks of this ring until it is done.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.inner {
            #[cfg(target_os = "linux")]
            Inner::Native(ring) => ring.block_on(future),
            #[cfg(target_os = "linux")]
            Inner::TokioUring(ring) => ring.block_on(future),
            Inner::Epoll(ring) => ring.block_on(future),
        }
    }

    /// Whether a `block_on` would not panic: this thread is not inside an executor already, and
    /// its thread-local variables are still there.
    pub(crate) fn can_block(&self) -> bool {
        #[cfg(target_os = "linux")]
        if !NativeRing::can_block() {
            return false;
        }
        match self.inner {
            // Its own loop goes into a tokio runtime, not a tokio runtime into another.
            #[cfg(target_os = "linux")]
            Inner::Native(_) => true,
            _ => {
                tokio::runtime::Handle::try_current().is_err_and(|error| error.is_missing_context())
            }
        }
    }

    /// Gives up the ring without tearing it down.
    pub(crate) fn leak(self) {
        core::mem::forget(self);
    }
}

/// Tells a driver that is a tokio runtime that this thread is inside one.
fn refuse_inside_tokio() -> Result<(), StartError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Ok(());
    }
    Err(StartError::Configuration(
        "this thread is inside a tokio runtime, which this backend is as well; build it before \
         that, or on a thread of its own",
    ))
}

/// Registers the arena as far as `registration` asks for it.
#[cfg(target_os = "linux")]
fn register_with(
    register: impl FnOnce() -> io::Result<()>,
    registration: Registration,
    pool: &Pool,
    state: &RingState,
) -> Result<(), StartError> {
    if registration == Registration::Off {
        return Ok(());
    }
    let Err(error) = register() else {
        state.registered.set(true);
        return Ok(());
    };
    let error = StartError::from_registration(error, pool.arena().1);
    if registration == Registration::Required {
        return Err(error);
    }
    tracing::warn!(%error, "the arena is not registered; reads take the plain path");
    Ok(())
}
