//! A throw-away ring that tells what this host allows before the real one is made.

#![expect(
    unsafe_code,
    reason = "pushing an entry is unsafe in the io-uring crate"
)]

use std::io;

use io_uring::{Builder, IoUring, Probe, opcode};

use super::StartError;

/// Operations that the driver submits, by code and by name in the error.
const NEEDED: [(u8, &str); 6] = [
    (opcode::Nop::CODE, "NOP"),
    (opcode::ReadFixed::CODE, "READ_FIXED"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::Send::CODE, "SEND"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::AsyncCancel2::CODE, "ASYNC_CANCEL"),
];

/// Returns the builder with the most set-up flags that this kernel accepts.
///
/// # Errors
///
/// [`StartError`] when a ring can't be set up, entered or asked for its operations.
pub(super) fn usable_builder(entries: u32) -> Result<Builder, StartError> {
    let mut builder = IoUring::builder();
    // Task work runs when this thread enters the kernel anyway, instead of interrupting it.
    // Deferring it altogether would hang: tokio-uring waits in epoll, not in the ring.
    builder.setup_coop_taskrun().setup_single_issuer();
    match try_out(&builder, entries) {
        Err(StartError::Setup(error))
            if error.kind() == io::ErrorKind::InvalidInput && entries > 0 =>
        {
            tracing::debug!("the kernel lacks a set-up flag; starting without any");
            let plain = IoUring::builder();
            try_out(&plain, entries)?;
            Ok(plain)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(builder),
    }
}

fn try_out(builder: &Builder, entries: u32) -> Result<(), StartError> {
    let mut ring: IoUring = builder.build(entries).map_err(StartError::from_setup)?;
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(StartError::from_call("io_uring_register"))?;
    for (code, name) in NEEDED {
        if !probe.is_supported(code) {
            return Err(StartError::MissingOperation(name));
        }
    }
    let entry = opcode::Nop::new().build();
    // SAFETY: a no-op points at no memory.
    let pushed = unsafe { ring.submission().push(&entry) };
    debug_assert!(pushed.is_ok(), "a fresh queue has room");
    ring.submit_and_wait(1)
        .map_err(StartError::from_call("io_uring_enter"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_a_usable_ring() {
        usable_builder(8).expect("the tests need io_uring");
    }

    #[test]
    fn an_impossible_size_is_refused_by_name() {
        assert!(matches!(
            usable_builder(0),
            Err(StartError::Setup(_) | StartError::Denied { .. })
        ));
    }
}
