//! One operation in tokio-uring's hands.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use io_uring::{cqueue, squeue};
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use crate::ring::Completion;
use crate::ring::operation::Held;

/// A submitted operation. Dropping it cancels nothing, and its memory stays the kernel's for good.
pub(crate) struct Oneshot {
    inner: InFlightOneshot<Held, Finish>,
    /// Who waits for the completion.
    waker: Option<Waker>,
    /// What a look at the operation has brought.
    completion: Option<Completion>,
}

struct Finish;

impl OneshotOutputTransform for Finish {
    type Output = Completion;
    type StoredData = Held;

    fn transform_oneshot_output(self, held: Held, entry: cqueue::Entry) -> Completion {
        held.complete(entry.result())
    }
}

impl Oneshot {
    /// Submits `entry`, which may address only what `held` keeps.
    pub(crate) fn submit(entry: squeue::Entry, held: Held) -> Self {
        Self {
            inner: UnsubmittedOneshot::new(held, Finish, entry).submit(),
            waker: None,
            completion: None,
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Completion> {
        if let Some(completion) = self.completion.take() {
            return Poll::Ready(completion);
        }
        let poll = Pin::new(&mut self.inner).poll(context);
        if poll.is_pending() {
            match &mut self.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
        }
        poll
    }

    /// Whether the kernel has answered. There is no way to ask but to poll, so it is polled on
    /// behalf of whoever waits.
    pub(crate) fn is_completed(&mut self) -> bool {
        if self.completion.is_none() {
            let waker = self.waker.as_ref().unwrap_or(Waker::noop());
            let mut context = Context::from_waker(waker);
            if let Poll::Ready(completion) = Pin::new(&mut self.inner).poll(&mut context) {
                self.completion = Some(completion);
            }
        }
        self.completion.is_some()
    }
}
