//! A throw-away ring that tells what this host allows before the real one is made.

#![expect(
    unsafe_code,
    reason = "pushing an entry is unsafe in the io-uring crate"
)]

use core::ptr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{Builder, IoUring, Probe, opcode, types};
use rustix::io::Errno;

use super::StartError;
use super::required_operation::OPERATIONS;
use super::setup_flag::SetupFlag;
use super::start_error::patiently;

/// Returns the builder with the first of `candidates` that this kernel accepts.
///
/// # Errors
///
/// [`StartError`] when a ring can't be set up, entered or asked for its operations.
pub(super) fn usable_builder(
    entries: u32,
    candidates: &[&[SetupFlag]],
) -> Result<Builder, StartError> {
    let mut refused = None;
    for &flags in candidates {
        let builder = builder_with(flags);
        match patiently(|| try_out(&builder, entries)) {
            Err(StartError::Setup { call, source })
                if source.kind() == io::ErrorKind::InvalidInput =>
            {
                tracing::debug!(?flags, "the kernel lacks one of these; starting with fewer");
                refused = Some(StartError::Setup { call, source });
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(builder),
        }
    }
    Err(refused.unwrap_or(StartError::Configuration("no set-up flags to try")))
}

/// A builder of rings with these flags.
pub(super) fn builder_with(flags: &[SetupFlag]) -> Builder {
    let mut builder = IoUring::builder();
    builder.dontfork();
    for flag in flags {
        flag.set(&mut builder);
    }
    builder
}

fn try_out(builder: &Builder, entries: u32) -> Result<(), StartError> {
    let mut ring: IoUring = builder.build(entries).map_err(StartError::from_setup)?;
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(StartError::from_call("io_uring_register"))?;
    for operation in OPERATIONS {
        if !probe.is_supported(operation.code) {
            return Err(StartError::MissingOperation(operation.name));
        }
    }
    let entry = opcode::Nop::new().build();
    // SAFETY: a no-op points at no memory.
    let pushed = unsafe { ring.submission().push(&entry) };
    debug_assert!(pushed.is_ok(), "a fresh queue has room");
    ring.submit_and_wait(1)
        .map_err(StartError::from_call("io_uring_enter"))?;
    match cancels_by_descriptor(&mut ring) {
        Ok(true) => Ok(()),
        Ok(false) => Err(StartError::MissingOperation("ASYNC_CANCEL by descriptor")),
        Err(error) => Err(StartError::from_call("io_uring_enter")(error)),
    }
}

/// Whether `ring`, in which nothing is in flight, can cancel what is in flight on a descriptor:
/// Linux 5.19 and later can, and older kernels have the operation as well.
///
/// # Errors
///
/// What the kernel says when the ring is entered.
pub(super) fn cancels_by_descriptor(ring: &mut IoUring) -> io::Result<bool> {
    // Only the answer to what follows counts.
    ring.completion().for_each(drop);
    let criteria = types::CancelBuilder::fd(types::Fd(ring.as_raw_fd())).all();
    let entry = opcode::AsyncCancel2::new(criteria).build();
    // SAFETY: a cancellation points at no memory.
    let pushed = unsafe { ring.submission().push(&entry) };
    debug_assert!(pushed.is_ok(), "the queue was empty");
    ring.submit_and_wait(1)?;
    let refused = -Errno::INVAL.raw_os_error();
    Ok(ring.completion().all(|entry| entry.result() != refused))
}

/// Has the kernel, or a filter before it, answer `io_uring_enter` or `io_uring_register` on a
/// descriptor that is no ring. What comes back tells whether the call is let through, also where
/// no ring can be made.
pub(super) fn call_without_ring(call: libc::c_long, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let none = ptr::null::<libc::c_void>();
    // SAFETY: neither call looks at its other arguments when the descriptor is no ring, and these
    // ask for nothing to be done and point nowhere.
    let result = unsafe { libc::syscall(call, descriptor.as_raw_fd(), 0, 0, 0, none, 0) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::setup_flag::WAITING_IN_THE_RING;
    use super::*;

    #[test]
    fn this_host_has_a_usable_ring() {
        usable_builder(8, &WAITING_IN_THE_RING).expect("the tests need io_uring");
    }

    #[test]
    fn an_impossible_size_is_refused_by_name() {
        assert!(matches!(
            usable_builder(0, &WAITING_IN_THE_RING),
            Err(StartError::Setup { .. } | StartError::Denied { .. })
        ));
    }
}
