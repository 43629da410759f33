//! What this host gives of io_uring, item by item, for whoever has to explain it.

use std::os::fd::AsFd;

use io_uring::{IoUring, Probe};

use super::StartError;
use super::probe::{builder_with, call_without_ring, cancels_by_descriptor};
use super::required_operation::{CANCEL, OPERATIONS};
use super::setup_flag::SetupFlag;
use super::start_error::{RING_SIZE, patiently};

/// Entries of the throw-away rings, which count as locked memory while they live.
const ENTRIES: u32 = 2;

/// One of the three system calls of io_uring.
#[derive(Debug)]
#[non_exhaustive]
pub struct SystemCall {
    /// Its name, such as `io_uring_setup`.
    pub name: &'static str,
    /// Why it can't be used, if it can't.
    pub refusal: Option<StartError>,
}

/// An operation or a set-up flag, and whether the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Support {
    /// The kernel's name without its prefix, such as `READ_FIXED` or `SINGLE_ISSUER`.
    pub name: &'static str,
    /// Whether the kernel knows it; `None` when no ring could be made to find out.
    pub is_supported: Option<bool>,
}

/// What this host gives of io_uring: its system calls, and the operations and set-up flags that
/// ringseal uses. `ringseal doctor` prints it.
///
/// All of it is found out with throw-away rings, as a start does it, never by the kernel's
/// version.
///
/// # Example
///
/// ```
/// let inspection = ringseal::Inspection::take();
/// for call in &inspection.calls {
///     match &call.refusal {
///         None => println!("{} can be used", call.name),
///         Some(refusal) => println!("{refusal}"),
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// `io_uring_setup`, `io_uring_enter` and `io_uring_register`, in this order.
    pub calls: [SystemCall; 3],
    /// The operations that are submitted. All of them are needed.
    pub operations: Vec<Support>,
    /// The flags that a ring is set up with where the kernel knows them. None of them is needed.
    pub setup_flags: Vec<Support>,
}

impl Inspection {
    /// About what a ring with the default number of entries counts as locked memory, in bytes.
    pub const DEFAULT_RING_SIZE: usize = RING_SIZE;

    /// Tries out what there is. Takes a few milliseconds at most and leaves nothing behind.
    pub fn take() -> Self {
        let (setup, operations) = match build(&[]) {
            Ok(mut ring) => (None, operations(&mut ring)),
            Err(error) => (Some(error), None),
        };
        let operations = OPERATIONS.map(|operation| Support {
            name: operation.name,
            is_supported: operations
                .as_ref()
                .map(|supported| supported.contains(&operation.code)),
        });
        let setup_flags = SetupFlag::ALL.map(|flag| Support {
            name: flag.name(),
            is_supported: match setup {
                None => is_flag_supported(flag),
                Some(_) => None,
            },
        });
        Self {
            calls: [
                SystemCall {
                    name: "io_uring_setup",
                    refusal: setup,
                },
                look_at("io_uring_enter", libc::SYS_io_uring_enter),
                look_at("io_uring_register", libc::SYS_io_uring_register),
            ],
            operations: operations.to_vec(),
            setup_flags: setup_flags.to_vec(),
        }
    }
}

/// The codes of the needed operations that `ring` has, if it can be asked.
fn operations(ring: &mut IoUring) -> Option<Vec<u8>> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).ok()?;
    // Where the ring can't be entered the kernel's own word has to do.
    let cancels = cancels_by_descriptor(ring).unwrap_or(true);
    let codes = OPERATIONS.iter().map(|operation| operation.code);
    Some(
        codes
            .filter(|&code| probe.is_supported(code) && (code != CANCEL || cancels))
            .collect(),
    )
}

fn is_flag_supported(flag: SetupFlag) -> Option<bool> {
    match build(flag.with_prerequisites()) {
        Ok(_ring) => Some(true),
        Err(StartError::Setup { source, .. }) => {
            (source.kind() == std::io::ErrorKind::InvalidInput).then_some(false)
        }
        Err(_) => None,
    }
}

fn build(flags: &[SetupFlag]) -> Result<IoUring, StartError> {
    let build = || builder_with(flags).build(ENTRIES);
    patiently(|| build().map_err(StartError::from_setup))
}

/// Whether `call` gets as far as the kernel.
fn look_at(name: &'static str, call: libc::c_long) -> SystemCall {
    let refusal = call_without_ring(call, std::io::stdin().as_fd())
        .err()
        .map(StartError::from_call(name))
        // Anything else is what the kernel says to a descriptor that is no ring.
        .filter(|error| !matches!(error, StartError::Setup { .. }));
    SystemCall { name, refusal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ring_is_started_with_here_is_found() {
        let inspection = Inspection::take();
        for call in &inspection.calls {
            assert!(call.refusal.is_none(), "{call:?}");
        }
        assert_eq!(inspection.operations.len(), OPERATIONS.len());
        for operation in &inspection.operations {
            assert_eq!(operation.is_supported, Some(true), "{operation:?}");
        }
        assert_eq!(inspection.setup_flags.len(), SetupFlag::ALL.len());
        for flag in &inspection.setup_flags {
            assert!(flag.is_supported.is_some(), "{flag:?}");
        }
    }
}
