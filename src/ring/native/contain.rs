//! Foreign code inside of ours: what it panics with stops here.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Runs foreign code that nobody waits for. The panic hook has told of its panic.
pub(super) fn contain(foreign: impl FnOnce()) {
    if std::panic::catch_unwind(AssertUnwindSafe(foreign)).is_err() {
        tracing::error!("what panicked on this ring's thread is given up; the others go on");
    }
}

/// A task's future or output, which may panic when it is dropped: async-task aborts the process
/// if that reaches it.
pub(crate) struct Contained<T> {
    /// `None` once it was taken.
    inner: Option<T>,
}

impl<T> Contained<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner: Some(inner) }
    }

    pub(crate) fn into_inner(mut self) -> T {
        self.inner.take().expect("taken by value, so once")
    }
}

impl<F: Future> Future for Contained<Pin<Box<F>>> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.inner.as_mut().expect("there until the drop");
        future.as_mut().poll(context)
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            contain(|| drop(inner));
        }
    }
}
