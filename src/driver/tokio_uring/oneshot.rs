//! One operation in tokio-uring's hands.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::panic::catch_unwind;
use std::rc::Rc;

use io_uring::{cqueue, squeue};
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use super::waiting::{Place, Waiting};
use super::watchdog;
use crate::driver::operation_resources::OperationResources;
use crate::driver::{Completion, DriverError};

/// A submitted operation. Dropping it cancels nothing, and its memory stays the kernel's for good.
pub(crate) struct Oneshot {
    /// `None` when tokio-uring has failed to take it.
    inner: Option<InFlightOneshot<OperationResources, Finish>>,
    /// Who waits for the completion.
    place: Place,
    /// What a look at the operation has brought.
    completion: Option<Completion>,
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
    /// Submits `entry`, which may address only what `held` keeps.
    ///
    /// # Errors
    ///
    /// What was resources, when the driver has failed: the kernel has seen none of it.
    pub(crate) fn submit(
        entry: squeue::Entry,
        resources: OperationResources,
        waiting: &Rc<Waiting>,
    ) -> Result<Self, OperationResources> {
        if waiting.status().check().is_err() {
            return Err(resources);
        }
        // It panics where a full queue can't be handed over, and drops what was resources, which leaks
        // its memory.
        let submit = || UnsubmittedOneshot::new(resources, Finish, entry).submit();
        let inner = catch_unwind(AssertUnwindSafe(submit)).ok();
        if inner.is_none() {
            waiting.fail(watchdog::refusal().unwrap_or(DriverError::Stalled));
        }
        Ok(Self {
            inner,
            place: Place::new(waiting),
            completion: None,
        })
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Completion> {
        if let Some(completion) = self.completion.take() {
            return Poll::Ready(completion);
        }
        self.place.keep(context.waker());
        if self.place.waiting().is_harmless(context.waker()) {
            return self.poll_inner(context);
        }
        let deputy = self.place.deputy();
        self.poll_inner(&mut Context::from_waker(&deputy))
    }

    fn poll_inner(&mut self, context: &mut Context<'_>) -> Poll<Completion> {
        if let Some(inner) = &mut self.inner
            && let Poll::Ready(completion) = Pin::new(inner).poll(context)
        {
            return Poll::Ready(completion);
        }
        match self.place.waiting().status().check() {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Completion::failed(error)),
        }
    }

    /// Whether the kernel has answered. There is no way to ask but to poll, so it is polled on
    /// behalf of whoever waits.
    pub(crate) fn is_completed(&mut self) -> bool {
        if self.completion.is_none() {
            let deputy = self.place.deputy();
            let poll = self.poll_inner(&mut Context::from_waker(&deputy));
            self.completion = match poll {
                Poll::Ready(completion) => Some(completion),
                Poll::Pending => None,
            };
        }
        self.completion.is_some()
    }
}
