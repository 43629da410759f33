//! What a task holds, where a panic does not get out of it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::driver::catch_panic;

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
            catch_panic(|| drop(inner));
        }
    }
}
