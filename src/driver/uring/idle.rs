//! Waiting for completions elsewhere than in the ring.
//!
//! Before Linux 6.15 the kernel counts every wait in a ring as one for storage, so that a host with
//! one idle listener is under full I/O pressure as far as alarms can tell. There a thread waits in
//! the ring only for as long as a busy one would, and then in `poll(2)` for a descriptor that the
//! kernel makes readable when something has completed, or has been left to be completed.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use io_uring::IoUring;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

/// How long to wait in the ring before the thread counts as idle. Far longer than a busy peer takes
/// to answer, and so short that what is counted of it stays small.
pub(super) const BUSY: Duration = Duration::from_millis(1);

/// What becomes readable when there are completions, while a thread is idle.
#[derive(Debug)]
pub(super) struct IdleSignal {
    descriptor: OwnedFd,
}

impl IdleSignal {
    /// # Errors
    ///
    /// What `eventfd(2)` says.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            descriptor: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// Has the kernel signal completions of `ring` from here on.
    ///
    /// # Errors
    ///
    /// What `io_uring_register(2)` says.
    pub(super) fn attach(&self, ring: &IoUring) -> io::Result<()> {
        ring.submitter()
            .register_eventfd(self.descriptor.as_raw_fd())
    }

    /// Ends that, and forgets what was signalled.
    ///
    /// # Errors
    ///
    /// What `io_uring_register(2)` says.
    pub(super) fn detach(&self, ring: &IoUring) -> io::Result<()> {
        ring.submitter().unregister_eventfd()?;
        // Fails only when nothing was signalled.
        let _ = rustix::io::read(&self.descriptor, &mut [0_u8; 8]);
        Ok(())
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) {
        wait_readable(self.descriptor.as_fd(), timeout);
    }
}

/// Waits until `descriptor` is readable, for `timeout` at most, or until a signal comes.
pub(super) fn wait_readable(descriptor: BorrowedFd<'_>, timeout: Option<Duration>) {
    // Longer than the kernel counts is without a limit.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut descriptors = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    match poll(&mut descriptors, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        // Without memory, which passes or ends more than this. Nothing is lost by looking again.
        Err(error) => {
            tracing::warn!(%error, "poll failed while idle");
            std::thread::sleep(BUSY);
        }
    }
}
