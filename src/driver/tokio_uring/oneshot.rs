//! Operations in tokio-uring's hands.

use core::cell::RefCell;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::panic::catch_unwind;
use std::rc::Rc;

use io_uring::{cqueue, squeue};
use slab::Slab;
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use super::waiting::{Place, Waiting};
use super::watchdog;
use crate::driver::operation_resources::OperationResources;
use crate::driver::{Completion, DriverError};

/// A thread's operations. They lie here and not with their sockets, which would be three times as large.
pub(crate) struct Oneshots {
    waiting: Rc<Waiting>,
    /// `None` in the place of one that is in use.
    submitted: RefCell<Slab<Option<Submitted>>>,
}

impl Oneshots {
    pub(super) fn new(waiting: Rc<Waiting>) -> Self {
        Self {
            waiting,
            submitted: RefCell::default(),
        }
    }

    pub(super) fn waiting(&self) -> &Rc<Waiting> {
        &self.waiting
    }
}

impl core::fmt::Debug for Oneshots {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Oneshots").finish_non_exhaustive()
    }
}

/// A submitted operation. Dropping it cancels nothing, and its memory stays the kernel's for good.
#[derive(Debug)]
pub(crate) struct Oneshot {
    all: Rc<Oneshots>,
    key: usize,
}

/// What an operation consists of.
struct Submitted {
    flight: Flight,
    /// Who waits for the completion.
    place: Place,
}

enum Flight {
    Under(InFlightOneshot<OperationResources, Finish>),
    /// tokio-uring has failed to take it.
    Refused,
    /// A look at the operation has brought it.
    Completed(Completion),
    /// Its completion was collected.
    Over,
}

struct Finish;

impl OneshotOutputTransform for Finish {
    type Output = Completion;
    type StoredData = OperationResources;

    fn transform_oneshot_output(
        self,
        resources: OperationResources,
        entry: cqueue::Entry,
    ) -> Completion {
        resources.complete(entry.result())
    }
}

impl Oneshot {
    /// Submits `entry`, which may address only what `resources` keep.
    ///
    /// # Errors
    ///
    /// The resources, when the driver has failed: the kernel has seen none of it.
    pub(crate) fn submit(
        entry: squeue::Entry,
        resources: OperationResources,
        all: &Rc<Oneshots>,
    ) -> Result<Self, OperationResources> {
        let waiting = &all.waiting;
        if waiting.status().check().is_err() {
            return Err(resources);
        }
        // It panics where a full queue can't be submitted, and drops the resources, which leaks
        // its memory.
        let submit = || UnsubmittedOneshot::new(resources, Finish, entry).submit();
        let flight = match catch_unwind(AssertUnwindSafe(submit)) {
            Ok(flight) => Flight::Under(flight),
            Err(_) => {
                waiting.fail(watchdog::refusal().unwrap_or(DriverError::Stalled));
                Flight::Refused
            }
        };
        let place = Place::new(waiting);
        let submitted = Some(Submitted { flight, place });
        Ok(Self {
            all: Rc::clone(all),
            key: all.submitted.borrow_mut().insert(submitted),
        })
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Completion> {
        self.with(|submitted| submitted.poll(context))
    }

    /// Whether the kernel has answered. There is no way to ask but to poll, so it is polled on
    /// behalf of whoever waits.
    pub(crate) fn is_completed(&mut self) -> bool {
        self.with(Submitted::is_completed)
    }

    /// Gives `use_it` the operation, which is in use meanwhile: that may run foreign code, which may come
    /// back here for others.
    fn with<R>(&mut self, use_it: impl FnOnce(&mut Submitted) -> R) -> R {
        let mut taken = Taken {
            submitted: self.replace(None),
            oneshot: self,
        };
        // Two can't use it at a time: this is borrowed exclusively.
        use_it(taken.submitted.as_mut().expect("in use once"))
    }

    /// Puts `submitted` in the operation's place; returns what was there.
    fn replace(&self, submitted: Option<Submitted>) -> Option<Submitted> {
        let mut operations = self.all.submitted.borrow_mut();
        core::mem::replace(operations.get_mut(self.key)?, submitted)
    }
}

/// An operation in use. It goes back when this is dropped.
struct Taken<'a> {
    oneshot: &'a Oneshot,
    submitted: Option<Submitted>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        drop(self.oneshot.replace(self.submitted.take()));
    }
}

impl Drop for Oneshot {
    fn drop(&mut self) {
        let submitted = self.all.submitted.borrow_mut().try_remove(self.key);
        // Not while they are borrowed: a waker that goes with it may run foreign code.
        drop(submitted);
    }
}

impl Submitted {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Completion> {
        if matches!(self.flight, Flight::Completed(_))
            && let Flight::Completed(completion) =
                core::mem::replace(&mut self.flight, Flight::Over)
        {
            return Poll::Ready(completion);
        }
        self.place.keep(context.waker());
        if self.place.waiting().is_harmless(context.waker()) {
            return self.poll_flight(context);
        }
        let deputy = self.place.deputy();
        self.poll_flight(&mut Context::from_waker(&deputy))
    }

    fn poll_flight(&mut self, context: &mut Context<'_>) -> Poll<Completion> {
        match &mut self.flight {
            Flight::Under(flight) => {
                if let Poll::Ready(completion) = Pin::new(flight).poll(context) {
                    self.flight = Flight::Over;
                    return Poll::Ready(completion);
                }
            }
            Flight::Over => return Poll::Ready(Completion::cancelled()),
            Flight::Refused | Flight::Completed(_) => {}
        }
        match self.place.waiting().status().check() {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Completion::failed(error)),
        }
    }

    fn is_completed(&mut self) -> bool {
        if !matches!(self.flight, Flight::Completed(_)) {
            let deputy = self.place.deputy();
            if let Poll::Ready(completion) = self.poll_flight(&mut Context::from_waker(&deputy)) {
                self.flight = Flight::Completed(completion);
            }
        }
        matches!(self.flight, Flight::Completed(_))
    }
}
