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

/// Sets the flags of a ring.
type Flags = fn(&mut Builder);

/// For a thread that waits in the ring itself, the best first.
pub(super) const WAITING_IN_THE_RING: [Flags; 3] = [
    // The kernel's own work is left to the moment when the thread asks for completions.
    |builder| {
        builder
            .setup_submit_all()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag();
    },
    // The same without an interruption where it can't be left.
    |builder| {
        builder
            .setup_submit_all()
            .setup_coop_taskrun()
            .setup_taskrun_flag();
    },
    |_| {},
];

/// For a thread that waits elsewhere: work that is deferred would never be done.
pub(super) const WAITING_ELSEWHERE: [Flags; 2] = [
    |builder| {
        builder.setup_coop_taskrun().setup_single_issuer();
    },
    |_| {},
];

/// Returns the builder with the first of `candidates` that this kernel accepts.
///
/// # Errors
///
/// [`StartError`] when a ring can't be set up, entered or asked for its operations.
pub(super) fn usable_builder(entries: u32, candidates: &[Flags]) -> Result<Builder, StartError> {
    let mut refused = None;
    for set_flags in candidates {
        let mut builder = IoUring::builder();
        builder.dontfork();
        set_flags(&mut builder);
        match try_out(&builder, entries) {
            Err(StartError::Setup(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                tracing::debug!("the kernel lacks a set-up flag; starting with fewer");
                refused = Some(StartError::Setup(error));
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(builder),
        }
    }
    Err(refused.unwrap_or(StartError::Configuration("no set-up flags to try")))
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
        usable_builder(8, &WAITING_IN_THE_RING).expect("the tests need io_uring");
    }

    #[test]
    fn an_impossible_size_is_refused_by_name() {
        assert!(matches!(
            usable_builder(0, &WAITING_IN_THE_RING),
            Err(StartError::Setup(_) | StartError::Denied { .. })
        ));
    }
}
