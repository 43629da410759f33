//! Where there is no io_uring nothing is ever in a ring.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::Completion;

/// An operation of a ring that does not exist.
#[derive(Debug)]
pub(crate) enum Operation {}

impl Future for Operation {
    type Output = Completion;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Completion> {
        match *self {}
    }
}
