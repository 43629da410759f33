//! Why there is no ring on this thread.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// About what 256 entries and their completions take, in bytes.
pub(super) const RING_SIZE: usize = 32 * 1024;

/// Why a runtime could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting of the builder makes no sense.
    #[error("{0}")]
    Configuration(&'static str),
    /// The kernel was built without io_uring, is too old, or a sandbox says so (`ENOSYS`).
    #[error(
        "{call} is not available: the kernel has no io_uring, or a container runtime hides it; \
         run on Linux 5.19 or later outside that sandbox, or allow the three io_uring calls in \
         its seccomp profile"
    )]
    Unavailable {
        /// The system call that was refused.
        call: &'static str,
    },
    /// Somebody forbids io_uring (`EPERM` or `EACCES`).
    #[error(
        "{call} is denied: a seccomp profile refuses it (Docker's default does), or \
         kernel.io_uring_disabled is not 0; allow io_uring_setup, io_uring_enter and \
         io_uring_register in the profile, or set the sysctl to 0"
    )]
    Denied {
        /// The system call that was refused.
        call: &'static str,
    },
    /// `RLIMIT_MEMLOCK` does not cover the ring or the arena.
    #[error(
        "locking {needed} bytes for {purpose} exceeds RLIMIT_MEMLOCK ({limit}) of user {user}, \
         which all processes of that user share; raise it (ulimit -l, LimitMEMLOCK=, \
         docker run --ulimit memlock=), or ask for fewer or smaller slots"
    )]
    LockedMemory {
        /// What was to be locked.
        purpose: &'static str,
        /// How many bytes it takes.
        needed: usize,
        /// The soft limit in bytes, in words when there is none.
        limit: String,
        /// The user id whose processes share the limit.
        user: u32,
    },
    /// The kernel's io_uring lacks an operation.
    #[error("the kernel's io_uring lacks the operation {0}; Linux 5.19 has all that are needed")]
    MissingOperation(&'static str),
    /// The arena could not be mapped.
    #[error("no memory for the arena; ask for fewer or smaller slots")]
    Arena(#[source] io::Error),
    /// The kernel refuses epoll, which tokio's reactor waits in.
    #[error("epoll_create1 failed, so tokio's reactor cannot start")]
    Epoll(#[source] io::Error),
    /// Neither io_uring nor epoll can be had.
    #[error("{uring}; and epoll, to fall back to, cannot be had either: {epoll}")]
    Nothing {
        /// Why not io_uring.
        uring: Box<Self>,
        /// Why not epoll.
        epoll: io::Error,
    },
    /// The kernel refused the ring for another reason.
    #[error("the ring could not be set up")]
    Setup(#[source] io::Error),
    /// The system starts no more threads.
    #[error("no thread for the ring; ask for fewer, or raise the limit of processes (ulimit -u)")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// Whether a backend without a ring would start all the same.
    pub(super) fn is_lack_of_ring(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Denied { .. }
                | Self::LockedMemory { .. }
                | Self::MissingOperation(_)
                | Self::Setup(_)
        )
    }

    pub(super) fn from_setup(error: io::Error) -> Self {
        if error.raw_os_error() == Some(Errno::NOMEM.raw_os_error()) {
            return Self::locked_memory("the ring itself", RING_SIZE);
        }
        Self::from_call("io_uring_setup")(error)
    }

    pub(super) fn from_call(call: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSYS) => Self::Unavailable { call },
            Some(Errno::PERM | Errno::ACCESS) => Self::Denied { call },
            _ => Self::Setup(error),
        }
    }

    pub(super) fn from_registration(error: io::Error, needed: usize) -> Self {
        if error.raw_os_error() == Some(Errno::NOMEM.raw_os_error()) {
            return Self::locked_memory("the arena", needed);
        }
        Self::from_call("io_uring_register")(error)
    }

    fn locked_memory(purpose: &'static str, needed: usize) -> Self {
        let limit = getrlimit(Resource::Memlock).current;
        Self::LockedMemory {
            purpose,
            needed,
            limit: limit.map_or_else(|| "unlimited".to_owned(), |limit| format!("{limit} bytes")),
            user: rustix::process::geteuid().as_raw(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    // HAZARDS S1, S2.
    #[test]
    fn each_refusal_names_its_cause_and_its_remedy() {
        let text = StartError::from_setup(error(Errno::PERM)).to_string();
        assert!(text.contains("io_uring_setup is denied") && text.contains("seccomp"));
        let text = StartError::from_call("io_uring_enter")(error(Errno::NOSYS)).to_string();
        assert!(text.contains("io_uring_enter is not available"));
        let text = StartError::from_registration(error(Errno::NOMEM), 12_345).to_string();
        assert!(text.contains("12345") && text.contains("RLIMIT_MEMLOCK"));
        assert!(text.contains("raise it") && text.contains("fewer or smaller slots"));
    }
}
