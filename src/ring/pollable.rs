//! A descriptor that is waited for: through the ring where the thread waits in it, through
//! tokio's reactor elsewhere.

#![expect(
    unsafe_code,
    reason = "tokio asks its callers to vouch for what a descriptor type names"
)]

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use tokio::io::unix::AsyncFd;

use super::{Backend, Operation, RingState};

/// A non-blocking descriptor. Futures that wait for it can be dropped at any point.
#[derive(Debug)]
pub(super) struct Pollable {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    #[cfg(target_os = "linux")]
    Ring {
        descriptor: Rc<OwnedFd>,
        state: Rc<RingState>,
        /// The wait in flight, kept over dropped futures.
        waiting: RefCell<Option<Operation>>,
    },
    Reactor(AsyncFd<OwnedFd>),
}

impl Pollable {
    /// # Errors
    ///
    /// What the reactor says.
    pub(super) fn new(descriptor: OwnedFd, state: &Rc<RingState>) -> io::Result<Self> {
        let inner = match state.backend() {
            #[cfg(target_os = "linux")]
            Backend::Uring => Inner::Ring {
                descriptor: Rc::new(descriptor),
                state: Rc::clone(state),
                waiting: RefCell::new(None),
            },
            _ => {
                // SAFETY: an `OwnedFd` names the same open descriptor at every call, until it is
                // dropped, and the registration ends before it.
                let registered = unsafe { AsyncFd::register(descriptor) };
                Inner::Reactor(registered?)
            }
        };
        Ok(Self { inner })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.inner {
            #[cfg(target_os = "linux")]
            Inner::Ring { descriptor, .. } => descriptor.as_fd(),
            Inner::Reactor(descriptor) => descriptor.get_ref().as_fd(),
        }
    }

    /// Calls `operation` until it no longer would block, waiting for readability in between.
    ///
    /// # Errors
    ///
    /// What `operation` says, or the wait.
    pub(super) async fn when_readable<T>(
        &self,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        poll_fn(|context| self.poll_readable(context, &mut operation)).await
    }

    fn poll_readable<T>(
        &self,
        context: &mut Context<'_>,
        operation: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        match &self.inner {
            #[cfg(target_os = "linux")]
            Inner::Ring {
                descriptor,
                state,
                waiting,
            } => loop {
                let mut waiting = waiting.borrow_mut();
                if let Some(wait) = waiting.as_mut() {
                    let completion = ready!(Pin::new(wait).poll(context));
                    *waiting = None;
                    completion.result?;
                }
                match operation(descriptor.as_fd()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        *waiting = Some(Operation::acceptable(state, descriptor));
                    }
                    result => return Poll::Ready(result),
                }
            },
            Inner::Reactor(descriptor) => loop {
                let mut guard = ready!(descriptor.poll_read_ready(context))?;
                if let Ok(result) = guard.try_io(|descriptor| operation(descriptor.as_fd())) {
                    return Poll::Ready(result);
                }
            },
        }
    }

    /// Waits until a connection attempt has ended.
    ///
    /// # Errors
    ///
    /// What the wait says, not the attempt.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match &self.inner {
            #[cfg(target_os = "linux")]
            Inner::Ring {
                descriptor, state, ..
            } => Operation::connected(state, descriptor)
                .await
                .result
                .map(drop),
            Inner::Reactor(descriptor) => descriptor.writable().await.map(drop),
        }
    }

    /// Gives the descriptor back.
    ///
    /// # Errors
    ///
    /// When a wait is in flight.
    pub(super) fn into_descriptor(self) -> io::Result<OwnedFd> {
        match self.inner {
            #[cfg(target_os = "linux")]
            Inner::Ring {
                descriptor,
                waiting,
                ..
            } => {
                drop(waiting);
                Rc::try_unwrap(descriptor).map_err(|_| io::ErrorKind::ResourceBusy.into())
            }
            Inner::Reactor(descriptor) => Ok(descriptor.into_inner()),
        }
    }
}
