//! What everything that is read and written on a thread has of its driver.

use core::cell::Cell;
use core::task::Waker;
use std::rc::Rc;

#[cfg(target_os = "linux")]
use super::tokio_uring::Oneshots;
#[cfg(target_os = "linux")]
use super::uring::Queue;
use super::{Backend, DriverError, DriverStatus, latch};

/// A driver, as its sockets and operations see it.
#[derive(Debug)]
pub(crate) struct DriverState {
    /// Never [`Backend::Auto`].
    backend: Backend,
    registered: Cell<bool>,
    status: Rc<DriverStatus>,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "there is one alone")
    )]
    engine: Engine,
}

/// Who does operations.
#[derive(Debug)]
pub(super) enum Engine {
    /// The queues of the uring driver.
    #[cfg(target_os = "linux")]
    Uring(Rc<Queue>),
    /// tokio-uring.
    #[cfg(target_os = "linux")]
    TokioUring(Rc<Oneshots>),
    /// Nobody: sockets are read and written when they are ready.
    None,
}

impl DriverState {
    pub(super) fn new(backend: Backend, status: Rc<DriverStatus>, engine: Engine) -> Self {
        Self {
            backend,
            registered: Cell::new(false),
            status,
            engine,
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    #[cfg(target_os = "linux")]
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn status(&self) -> &Rc<DriverStatus> {
        &self.status
    }

    /// Returns how many operations the kernel has not completed, or nobody has collected.
    pub(crate) fn in_flight(&self) -> usize {
        self.status.in_flight()
    }

    /// Returns how many operations have begun since the driver was started.
    pub(crate) fn submissions(&self) -> u64 {
        self.status.begun()
    }

    /// Returns how many of them have ended.
    pub(crate) fn completions(&self) -> u64 {
        self.status.ended()
    }

    /// Has `waker` called once when nothing is in flight any more.
    pub(crate) fn wake_when_idle(&self, waker: &Waker) {
        self.status.wake_when_idle(waker);
    }

    /// Whether slots are registered with the ring.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.get()
    }

    pub(super) fn set_registered(&self) {
        self.registered.set(true);
    }

    /// Whether operations can be started.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(crate) fn check(&self) -> Result<(), DriverError> {
        self.status.check()
    }

    /// Waits until the driver has failed.
    pub(crate) fn failed(&self) -> latch::Waiting {
        self.status.failed()
    }

    /// Whether this process is a child that was forked from the one which has the driver.
    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.status.is_inherited()
    }

    /// # Panics
    ///
    /// In a forked child.
    pub(super) fn expect_own_process(&self) {
        self.status.expect_own_process();
    }
}
