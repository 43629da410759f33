//! One operation in tokio-uring's hands.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use io_uring::{cqueue, squeue};
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use crate::ring::operation::{Completion, Held};

/// A submitted operation. Dropping it cancels nothing, and its memory stays the kernel's for good.
pub(crate) struct Oneshot {
    inner: InFlightOneshot<Held, Finish>,
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
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Completion> {
        Pin::new(&mut self.inner).poll(context)
    }
}
