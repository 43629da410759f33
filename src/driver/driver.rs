//! One driver of three, and the single-threaded executor that it turns.

use core::future::{Future, poll_fn};
use core::pin::pin;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Once};

use super::driver_state::Engine;
use super::epoll::Epoll;
#[cfg(target_os = "linux")]
use super::tokio_uring::TokioUring;
#[cfg(target_os = "linux")]
use super::uring::Uring;
use super::{Backend, DriverSettings, DriverState, DriverStatus, StartError};
#[cfg(target_os = "linux")]
use super::{Registration, start_error};
use crate::memory::Pool;

/// A ring, or what takes its place, and the single-threaded executor that turns it.
#[derive(Debug)]
pub(crate) struct Driver {
    inner: Inner,
    state: Rc<DriverState>,
    /// Why it is not io_uring that [`Backend::Auto`] has taken.
    fallback: Option<Arc<StartError>>,
}

#[derive(Debug)]
enum Inner {
    #[cfg(target_os = "linux")]
    Uring(Uring),
    #[cfg(target_os = "linux")]
    TokioUring(TokioUring),
    Epoll(Epoll),
}

impl Driver {
    /// Starts a ring and registers the arena of `pool`.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what is missing and what to do.
    pub(crate) fn start(settings: DriverSettings, pool: &Pool) -> Result<Self, StartError> {
        #[cfg(feature = "testing")]
        if settings.paused_time {
            return Self::start_paused(settings.backend);
        }
        match settings.backend {
            Backend::Auto => match Self::start_uring(settings, pool) {
                Err(reason) if reason.is_lack_of_ring() => Self::fall_back(reason),
                result => result,
            },
            Backend::Uring => Self::start_uring(settings, pool),
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

    fn new(inner: Inner, state: Rc<DriverState>) -> Self {
        Self {
            inner,
            state,
            fallback: None,
        }
    }

    #[cfg(target_os = "linux")]
    fn start_uring(settings: DriverSettings, pool: &Pool) -> Result<Self, StartError> {
        let status = Rc::new(DriverStatus::new());
        let ring = Uring::start(settings.entries, settings.busy_poll, &status)?;
        let engine = Engine::Uring(Rc::clone(ring.queue()));
        let state = DriverState::new(Backend::Uring, status, engine);
        register_with(|| ring.register(pool), settings.registration, pool, &state)?;
        Ok(Self::new(Inner::Uring(ring), state.into()))
    }

    #[cfg(target_os = "linux")]
    fn start_tokio_uring(settings: DriverSettings, pool: &Pool) -> Result<Self, StartError> {
        refuse_inside_tokio()?;
        let status = Rc::new(DriverStatus::new());
        let mut ring = TokioUring::start(settings.entries, &status)?;
        let engine = Engine::TokioUring(Rc::clone(ring.oneshots()));
        let state = DriverState::new(Backend::TokioUring, status, engine);
        register_with(|| ring.register(pool), settings.registration, pool, &state)?;
        Ok(Self::new(Inner::TokioUring(ring), state.into()))
    }

    #[cfg(not(target_os = "linux"))]
    fn start_uring(_settings: DriverSettings, _pool: &Pool) -> Result<Self, StartError> {
        let call = "io_uring_setup";
        Err(StartError::Unavailable { call })
    }

    #[cfg(not(target_os = "linux"))]
    fn start_tokio_uring(settings: DriverSettings, pool: &Pool) -> Result<Self, StartError> {
        Self::start_uring(settings, pool)
    }

    #[cfg(feature = "testing")]
    fn start_paused(backend: Backend) -> Result<Self, StartError> {
        if !matches!(backend, Backend::Auto | Backend::Epoll) {
            return Err(StartError::Configuration(
                "a ring has no time that can be paused; use Backend::Epoll",
            ));
        }
        refuse_inside_tokio()?;
        Self::on_epoll(Epoll::start_paused())
    }

    fn start_epoll() -> Result<Self, StartError> {
        refuse_inside_tokio()?;
        Self::on_epoll(Epoll::start())
    }

    fn on_epoll(ring: io::Result<Epoll>) -> Result<Self, StartError> {
        let ring = ring.map_err(StartError::Epoll)?;
        let status = Rc::new(DriverStatus::new());
        let state = DriverState::new(Backend::Epoll, status, Engine::None);
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
            fallback: Some(Arc::new(reason)),
            ..ring
        })
    }

    /// Returns why it is not io_uring that [`Backend::Auto`] has taken.
    pub(crate) fn fallback(&self) -> Option<&Arc<StartError>> {
        self.fallback.as_ref()
    }

    pub(crate) fn state(&self) -> &Rc<DriverState> {
        &self.state
    }

    /// Runs `future` and the tasks of this ring until it is done.
    ///
    /// # Panics
    ///
    /// In a forked child, also in one that was forked in `future` and returns from it.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.state.expect_own_process();
        let mut future = pin!(future);
        let future = poll_fn(|context| {
            let poll = future.as_mut().poll(context);
            self.state.expect_own_process();
            poll
        });
        match &self.inner {
            #[cfg(target_os = "linux")]
            Inner::Uring(ring) => ring.block_on(future),
            #[cfg(target_os = "linux")]
            Inner::TokioUring(ring) => ring.block_on(future),
            Inner::Epoll(ring) => ring.block_on(future),
        }
    }

    /// # Panics
    ///
    /// In a forked child.
    pub(crate) fn expect_own_process(&self) {
        self.state.expect_own_process();
    }

    /// Whether this process is a child that was forked from the one which has the ring.
    pub(crate) fn is_inherited(&self) -> bool {
        self.state.is_inherited()
    }

    /// Whether a `block_on` would not panic: this thread is not inside an executor already, and
    /// its thread-local variables are still there.
    pub(crate) fn can_block(&self) -> bool {
        #[cfg(target_os = "linux")]
        if !Uring::can_block() {
            return false;
        }
        match self.inner {
            // Its own loop goes into a tokio runtime, not a tokio runtime into another.
            #[cfg(target_os = "linux")]
            Inner::Uring(_) => true,
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
    mut register: impl FnMut() -> io::Result<()>,
    registration: Registration,
    pool: &Pool,
    state: &DriverState,
) -> Result<(), StartError> {
    if registration == Registration::Off {
        return Ok(());
    }
    let needed = pool.arena().1;
    let register = || register().map_err(|error| StartError::from_registration(error, needed));
    let Err(error) = start_error::patiently(register) else {
        state.set_registered();
        return Ok(());
    };
    if registration == Registration::Required {
        return Err(error);
    }
    tracing::warn!(%error, "the arena is not registered; reads take the plain path");
    Ok(())
}
