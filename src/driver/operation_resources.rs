//! What an operation in flight keeps in place until its completion.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use super::shutdown::{ShutdownSide, shut_down};
use super::{Completion, DriverStatus};
use crate::memory::InFlight;

/// From `poll.h`.
pub(crate) const POLLIN: u32 = 0x1;
/// What stays in place until the completion. Dropping it runs no code of ours but `close(2)`:
/// a driver may drop it while its queues are borrowed.
pub(crate) struct OperationResources {
    memory: Option<InFlight>,
    /// Keeps the descriptor from being closed and reused while the kernel works on it.
    descriptor: Rc<OwnedFd>,
    /// Counts the operation, unless the end of the ring need not wait for it.
    counted: Option<Rc<DriverStatus>>,
    /// Whether others may accept on the socket too.
    is_listening: bool,
}

impl OperationResources {
    pub(super) fn counted(
        status: &Rc<DriverStatus>,
        descriptor: &Rc<OwnedFd>,
        memory: Option<InFlight>,
    ) -> Self {
        status.begin();
        Self {
            memory,
            descriptor: Rc::clone(descriptor),
            counted: Some(Rc::clone(status)),
            is_listening: false,
        }
    }

    pub(super) fn uncounted(descriptor: &Rc<OwnedFd>) -> Self {
        Self {
            memory: None,
            descriptor: Rc::clone(descriptor),
            counted: None,
            is_listening: false,
        }
    }

    pub(super) fn listening(descriptor: &Rc<OwnedFd>) -> Self {
        Self {
            is_listening: true,
            ..Self::uncounted(descriptor)
        }
    }

    /// Takes everything back. Call this only with what the kernel has answered.
    pub(crate) fn complete(self, result: i32) -> Completion {
        self.give_back(match usize::try_from(result) {
            Ok(count) => Ok(count),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        })
    }

    /// Takes everything back that the kernel has never seen.
    pub(super) fn refuse(self, status: &DriverStatus) -> Completion {
        self.give_back(match status.check() {
            Err(error) => Err(error.into()),
            // It was dropped.
            Ok(()) => Completion::cancelled().result,
        })
    }

    fn give_back(self, result: io::Result<usize>) -> Completion {
        if let Some(status) = &self.counted {
            status.end();
        }
        Completion {
            result,
            memory: self.memory.map(InFlight::finish),
        }
    }

    /// Returns the descriptor that is worked on.
    pub(super) fn descriptor(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// Whether the kernel has memory of ours.
    pub(crate) fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether the end of the ring waits for the operation.
    #[cfg(test)]
    pub(crate) const fn is_counted(&self) -> bool {
        self.counted.is_some()
    }

    /// Ends both directions of the socket. One that listens goes on for other threads.
    pub(crate) fn end_socket(&self) {
        if self.is_listening {
            return;
        }
        shut_down(self.descriptor.as_fd(), ShutdownSide::Both);
    }
}
