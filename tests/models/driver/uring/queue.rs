//! In the place of the queues that are shared with the kernel: no operations, and one watch.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use super::doorbell::Doorbell;
use crate::driver::DriverStatus;

/// Completes the watch of a doorbell once it has rung.
#[derive(Debug)]
pub(super) struct Queue {
    status: Rc<DriverStatus>,
    /// What is watched, until the completion is taken.
    watched: RefCell<Option<Doorbell>>,
}

impl Queue {
    pub(super) fn new(status: Rc<DriverStatus>) -> Self {
        Self {
            status,
            watched: RefCell::new(None),
        }
    }

    pub(super) fn status(&self) -> &Rc<DriverStatus> {
        &self.status
    }

    pub(super) fn watch(&self, doorbell: &Doorbell) {
        let previous = self.watched.replace(Some(doorbell.clone()));
        assert!(previous.is_none(), "watched twice");
    }

    pub(super) fn has_completions(&self) -> bool {
        let watched = self.watched.borrow();
        watched.as_ref().is_some_and(Doorbell::is_rung)
    }

    pub(super) fn enter_now(&self) {}

    pub(super) fn enter_and_wait(&self, timeout: Option<Duration>, _: &Doorbell) {
        assert_eq!(timeout, None, "no time passes here");
        let watched = self.watched.borrow();
        watched.as_ref().expect("somebody can wake it").wait();
    }

    pub(super) fn reap(&self) -> bool {
        let has_rung = self.has_completions();
        if has_rung {
            self.watched.take();
        }
        has_rung
    }
}
