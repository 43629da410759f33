//! A descriptor that is waited for: through the ring where the thread waits in it, through
//! tokio's reactor elsewhere.

#![expect(
    unsafe_code,
    reason = "tokio asks its callers to vouch for what a descriptor type names"
)]

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use tokio::io::unix::AsyncFd;

use super::direction::{Access, Direction};
use super::retries::Retries;
use super::{Backend, DriverState, Operation};

/// A non-blocking descriptor. Futures that wait for it can be dropped at any point.
#[derive(Debug)]
pub(super) struct Pollable {
    /// `None` only while this is dropped or taken apart.
    inner: Option<Inner>,
    state: Rc<DriverState>,
}

/// How a wait has ended.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Over,
    /// By something else than what was waited for.
    Interrupted,
}

#[derive(Debug)]
enum Inner {
    #[cfg(target_os = "linux")]
    Driver {
        descriptor: Rc<OwnedFd>,
        /// The wait in flight, kept over dropped futures.
        waiting: Direction<Operation>,
        retries: Retries,
    },
    Reactor(AsyncFd<OwnedFd>),
}

impl Pollable {
    /// # Errors
    ///
    /// What the reactor says.
    pub(super) fn new(descriptor: OwnedFd, state: &Rc<DriverState>) -> io::Result<Self> {
        let inner = match state.backend() {
            #[cfg(target_os = "linux")]
            Backend::Uring => Inner::Driver {
                descriptor: Rc::new(descriptor),
                waiting: Direction::default(),
                retries: Retries::default(),
            },
            _ => {
                // SAFETY: an `OwnedFd` names the same open descriptor at every call, until it is
                // dropped, and the registration ends before it.
                let registered = unsafe { AsyncFd::register(descriptor) };
                Inner::Reactor(registered?)
            }
        };
        Ok(Self {
            inner: Some(inner),
            state: Rc::clone(state),
        })
    }

    fn inner(&self) -> &Inner {
        self.inner.as_ref().expect("there until the drop")
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match self.inner() {
            #[cfg(target_os = "linux")]
            Inner::Driver { descriptor, .. } => descriptor.as_fd(),
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
        self.state.check()?;
        match self.inner() {
            #[cfg(target_os = "linux")]
            Inner::Driver { .. } => loop {
                // Interrupted or not, the operation tells.
                ready!(self.poll_wait(context))?;
                match operation(self.descriptor()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.start_wait(Operation::acceptable);
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
        match self.inner() {
            #[cfg(target_os = "linux")]
            Inner::Driver { .. } => loop {
                self.start_wait(Operation::connected);
                if poll_fn(|context| self.poll_wait(context)).await? == Wait::Over {
                    return Ok(());
                }
            },
            Inner::Reactor(descriptor) => descriptor.writable().await.map(drop),
        }
    }

    #[cfg(target_os = "linux")]
    fn start_wait(&self, wait: fn(&Rc<DriverState>, &Rc<OwnedFd>) -> Operation) {
        if let Inner::Driver {
            descriptor,
            waiting,
            ..
        } = self.inner()
        {
            waiting.start(wait(&self.state, descriptor));
        }
    }

    /// Polls the wait in flight, if there is one.
    #[cfg(target_os = "linux")]
    fn poll_wait(&self, context: &mut Context<'_>) -> Poll<io::Result<Wait>> {
        let Inner::Driver {
            waiting, retries, ..
        } = self.inner()
        else {
            return Poll::Ready(Ok(Wait::Over));
        };
        let mut taken = match waiting.take() {
            Access::Idle => return Poll::Ready(Ok(Wait::Over)),
            Access::Busy => {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Access::Operation(taken) => taken,
        };
        let completion = ready!(Pin::new(taken.operation()).poll(context));
        taken.finish();
        if retries.again(&completion.result, false) {
            return Poll::Ready(Ok(Wait::Interrupted));
        }
        Poll::Ready(completion.result.map(|_| Wait::Over))
    }

    /// Gives the descriptor back.
    ///
    /// # Errors
    ///
    /// When a wait is in flight.
    pub(super) fn into_descriptor(mut self) -> io::Result<OwnedFd> {
        match self.inner.take().expect("there until the drop") {
            #[cfg(target_os = "linux")]
            Inner::Driver {
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

impl Drop for Pollable {
    fn drop(&mut self) {
        // The reactor is the parent's, and would forget the descriptor there.
        if self.state.is_inherited() {
            core::mem::forget(self.inner.take());
        }
    }
}
