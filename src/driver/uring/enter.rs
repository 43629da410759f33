//! `io_uring_enter(2)`: the one system call that submits to a ring and waits in it.

#![expect(
    unsafe_code,
    reason = "entering the ring is unsafe in the io-uring crate"
)]

use core::ptr;
use core::time::Duration;
use std::io;

use io_uring::{IoUring, types};
use rustix::io::Errno;

/// `IORING_ENTER_GETEVENTS`: run what the kernel has deferred, and wait.
const GET_EVENTS: u32 = 1;
/// `IORING_ENTER_EXT_ARG`: the argument is a [`WaitArguments`].
const EXTENDED_ARGUMENT: u32 = 1 << 3;
/// `IORING_ENTER_NO_IOWAIT`, from Linux 6.15: the wait does not count as one for storage.
const NO_IO_WAIT: u32 = 1 << 7;

/// `struct io_uring_getevents_arg`
#[repr(C)]
struct WaitArguments {
    signal_mask: u64,
    signal_mask_size: u32,
    padding: u32,
    timeout: u64,
}

/// Submits what is queued and has the kernel run the work that it has deferred, without waiting.
///
/// # Errors
///
/// What `io_uring_enter(2)` says.
pub(super) fn enter_now(ring: &mut IoUring) -> io::Result<usize> {
    let count = queued(ring);
    // SAFETY: the count is that of the queue, and no argument is passed.
    unsafe {
        ring.submitter()
            .enter::<libc::sigset_t>(count, 0, GET_EVENTS, None)
    }
}

/// Whether the kernel can be told that a wait is none for storage, which it counts every wait as
/// otherwise. It refuses flags that it does not know.
pub(super) fn knows_no_io_wait(ring: &mut IoUring) -> bool {
    // SAFETY: nothing is submitted, and no argument is passed.
    let answer = unsafe {
        ring.submitter()
            .enter::<libc::sigset_t>(0, 0, GET_EVENTS | NO_IO_WAIT, None)
    };
    answer.is_ok()
}

/// Submits what is queued and waits for a completion, for `timeout` at most.
///
/// # Errors
///
/// What `io_uring_enter(2)` says, `ETIME` when the time was over.
pub(super) fn enter_and_wait(
    ring: &mut IoUring,
    timeout: Option<Duration>,
    no_io_wait: bool,
) -> io::Result<usize> {
    let count = queued(ring);
    let flags = GET_EVENTS | if no_io_wait { NO_IO_WAIT } else { 0 };
    let submitter = ring.submitter();
    let Some(timeout) = timeout else {
        // SAFETY: the count is that of the queue, and no argument is passed.
        return unsafe { submitter.enter::<libc::sigset_t>(count, 1, flags, None) };
    };
    let time = types::Timespec::from(timeout);
    let arguments = WaitArguments {
        signal_mask: 0,
        signal_mask_size: 0,
        padding: 0,
        timeout: ptr::from_ref(&time).expose_provenance() as u64,
    };
    // SAFETY: the count is that of the queue; the argument is what the flag says, and it and the
    // time live until the call is over.
    unsafe { submitter.enter(count, 1, flags | EXTENDED_ARGUMENT, Some(&arguments)) }
}

/// Whether the error is one of a call that did what it was to do, or was interrupted by a signal.
pub(super) fn is_harmless(errno: Errno) -> bool {
    matches!(errno, Errno::INTR | Errno::TIME)
}

fn queued(ring: &mut IoUring) -> u32 {
    let mut submissions = ring.submission();
    submissions.sync();
    u32::try_from(submissions.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    // The structure and the flags are the kernel's own.
    #[test]
    fn a_wait_ends_with_its_time_in_both_ways() {
        let mut ring = IoUring::new(2).expect("io_uring");
        let limit = Duration::from_millis(3);
        let ways = [false, knows_no_io_wait(&mut ring)];
        for no_io_wait in ways {
            let start = Instant::now();
            let error = enter_and_wait(&mut ring, Some(limit), no_io_wait).expect_err("no time");
            assert_eq!(Errno::from_io_error(&error), Some(Errno::TIME));
            assert!(start.elapsed() >= limit);
        }
    }
}
