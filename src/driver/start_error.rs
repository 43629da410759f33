//! Why there is no ring on this thread.

use core::time::Duration;
use std::io;
use std::time::Instant;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// About what 256 entries and their completions take, in bytes.
pub(super) const RING_SIZE: usize = 32 * 1024;

/// Why a runtime could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A thread can't be kept on its core.
    #[error(
        "a thread cannot run on core {core} alone; name another, or leave pinning out: \
         sched_setaffinity failed: {source}"
    )]
    Affinity {
        /// Which core.
        core: usize,
        /// What the system says.
        source: io::Error,
    },
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
         which all processes of that user share{}; raise it (ulimit -l, LimitMEMLOCK=, \
         docker run --ulimit memlock=), or ask for fewer or smaller slots: {call} failed: {source}",
        tried_for(*.waited)
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
        /// For how long it was tried again, since the kernel takes a moment to let go of what a
        /// process has had that has ended.
        waited: Duration,
        /// The system call that was refused.
        call: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The kernel's io_uring lacks an operation.
    #[error("the kernel's io_uring lacks the operation {0}; Linux 5.19 has all that are needed")]
    MissingOperation(&'static str),
    /// The arena could not be mapped.
    #[error("no memory for the arena; ask for fewer or smaller slots: mmap failed: {0}")]
    Arena(#[source] io::Error),
    /// The kernel refuses epoll, which tokio's reactor waits in.
    #[error(
        "tokio's reactor cannot start{advice}: epoll_create1 or eventfd failed: {0}",
        advice = advice(.0)
    )]
    Epoll(#[source] io::Error),
    /// Neither io_uring nor epoll can be had.
    #[error(
        "{uring}; and epoll, to fall back to, cannot be had either: epoll_create1 or eventfd \
         failed: {epoll}"
    )]
    Nothing {
        /// Why not io_uring.
        uring: Box<Self>,
        /// Why not epoll.
        epoll: io::Error,
    },
    /// The kernel refused the ring, or what belongs to it, for another reason.
    #[error("no ring can be had{}: {call} failed: {source}", advice(.source))]
    Setup {
        /// The system call that was refused.
        call: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The system starts no more threads.
    #[error(
        "no thread for the ring; ask for fewer, or raise the limit of processes (ulimit -u): \
         clone failed: {0}"
    )]
    Thread(#[source] io::Error),
}

fn tried_for(waited: Duration) -> String {
    if waited.is_zero() {
        return String::new();
    }
    format!(" (tried for {} ms)", waited.as_millis())
}

/// What to do about a refusal, as a part of a sentence.
fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => ", raise the limit of open files (ulimit -n)",
        Some(Errno::NFILE) => ", raise the open files of the system (sysctl fs.file-max)",
        Some(Errno::INVAL) => ", it takes Linux 5.19 or later",
        _ => "",
    }
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
                | Self::Setup { .. }
        )
    }

    pub(super) fn from_setup(error: io::Error) -> Self {
        Self::from_call("io_uring_setup")(error)
    }

    pub(super) fn from_eventfd(source: io::Error) -> Self {
        let call = "eventfd";
        Self::Setup { call, source }
    }

    pub(super) fn from_call(call: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSYS) => Self::Unavailable { call },
            Some(Errno::PERM | Errno::ACCESS) => Self::Denied { call },
            Some(Errno::NOMEM) => Self::locked_memory("the ring itself", RING_SIZE, call, source),
            _ => Self::Setup { call, source },
        }
    }

    pub(super) fn from_registration(error: io::Error, needed: usize) -> Self {
        let call = "io_uring_register";
        if error.raw_os_error() == Some(Errno::NOMEM.raw_os_error()) {
            return Self::locked_memory("the arena", needed, call, error);
        }
        Self::from_call(call)(error)
    }

    fn locked_memory(
        purpose: &'static str,
        needed: usize,
        call: &'static str,
        source: io::Error,
    ) -> Self {
        let limit = getrlimit(Resource::Memlock).current;
        Self::LockedMemory {
            purpose,
            needed,
            limit: limit.map_or_else(|| "unlimited".to_owned(), |limit| format!("{limit} bytes")),
            user: rustix::process::geteuid().as_raw(),
            waited: Duration::ZERO,
            call,
            source,
        }
    }

    /// Whether the limit is met only because somebody else has locked memory.
    fn may_pass(&self) -> bool {
        let Self::LockedMemory { needed, .. } = self else {
            return false;
        };
        getrlimit(Resource::Memlock)
            .current
            .is_none_or(|limit| usize::try_from(limit).is_ok_and(|limit| limit >= *needed))
    }
}

/// Tries again for a while what locked memory is missing for: the kernel lets go of a ring some 30
/// milliseconds after its end, also of one whose process was killed a moment ago.
///
/// # Errors
///
/// What `attempt` says, and for how long it was tried.
pub(super) fn patiently<T>(
    mut attempt: impl FnMut() -> Result<T, StartError>,
) -> Result<T, StartError> {
    const PATIENCE: Duration = Duration::from_millis(200);
    const PAUSE: Duration = Duration::from_millis(20);
    let start = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.may_pass() && start.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            result => return result.map_err(|error| error.after(start.elapsed())),
        }
    }
}

impl StartError {
    fn after(mut self, time: Duration) -> Self {
        if self.may_pass()
            && let Self::LockedMemory { waited, .. } = &mut self
        {
            *waited = time;
        }
        self
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
        for (errno, remedy) in [
            (Errno::MFILE, "ulimit -n"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::INVAL, "Linux 5.19"),
        ] {
            let text = StartError::from_setup(error(errno)).to_string();
            let cause = format!("io_uring_setup failed: {}", error(errno));
            assert!(text.ends_with(&cause) && text.contains(remedy), "{text}");
        }
        let text = StartError::from_registration(error(Errno::NOMEM), 12_345).to_string();
        assert!(text.contains("12345") && text.contains("RLIMIT_MEMLOCK"));
        assert!(text.contains("raise it") && text.contains("fewer or smaller slots"));
    }
}
