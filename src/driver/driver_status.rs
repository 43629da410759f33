//! What the operations and the driver of a thread know of each other: how many are in flight, and
//! whether there can be any.

use core::cell::Cell;
use core::task::Waker;
use std::rc::Rc;

use super::DriverError;
use super::latch::{Latch, Waiting};
use super::waker_cell::WakerCell;
use crate::memory::ProcessMark;

/// How many operations are in flight, and why there are to be none any more.
#[derive(Debug)]
pub(crate) struct DriverStatus {
    in_flight: Cell<usize>,
    /// How many have begun.
    begun: Cell<u64>,
    /// Called when nothing is in flight any more.
    idle: WakerCell,
    failure: Cell<Option<DriverError>>,
    /// Open once there is one.
    failed: Rc<Latch>,
    process: ProcessMark,
}

impl DriverStatus {
    pub(super) fn new() -> Self {
        Self {
            in_flight: Cell::new(0),
            begun: Cell::new(0),
            idle: WakerCell::default(),
            failure: Cell::new(None),
            failed: Rc::default(),
            process: ProcessMark::current(),
        }
    }

    /// Returns how many operations the kernel has not completed, or nobody has collected. Of a
    /// driver that has failed none is waited for.
    pub(super) fn in_flight(&self) -> usize {
        match self.failure.get() {
            None => self.in_flight.get(),
            Some(_) => 0,
        }
    }

    /// Returns how many operations have begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.get()
    }

    /// Returns how many operations have ended.
    pub(super) fn ended(&self) -> u64 {
        self.begun.get() - self.in_flight.get() as u64
    }

    /// Has `waker` called once when nothing is in flight any more.
    pub(super) fn wake_when_idle(&self, waker: &Waker) {
        self.idle.set(waker);
    }

    pub(super) fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
        self.begun.set(self.begun.get() + 1);
    }

    pub(super) fn end(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
        if self.in_flight.get() == 0 {
            self.idle.wake();
        }
    }

    /// Whether operations can be started, and be waited for.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn check(&self) -> Result<(), DriverError> {
        if self.is_inherited() {
            return Err(DriverError::Forked);
        }
        self.failure.get().map_or(Ok(()), Err)
    }

    /// Whether this process is a child that was forked from the one which has the driver.
    #[inline]
    pub(super) fn is_inherited(&self) -> bool {
        self.process.is_inherited()
    }

    /// # Panics
    ///
    /// In a forked child.
    pub(super) fn expect_own_process(&self) {
        assert!(
            !self.is_inherited(),
            "a forked child is inside a runtime of the process that it was forked from; it has to \
             build one of its own"
        );
    }

    /// Notes that there are no operations any more. Whoever waits for one has to be told.
    pub(super) fn fail(&self, error: DriverError) {
        tracing::error!(%error, "the driver of this thread has failed");
        self.failure.set(Some(error));
        self.idle.wake();
        self.failed.open();
    }

    /// Waits until there are no operations any more.
    pub(super) fn failed(&self) -> Waiting {
        self.failed.wait()
    }
}
