//! Why nothing can be read or written on a thread any more.

use std::io;

/// Why the runtime of a thread reads and writes nothing any more, from a moment on and for good.
///
/// Whatever is in flight then, and every operation that is started later, fails with it: it is
/// what [`std::io::Error::get_ref`] gives for the error inside
/// [`SendError::Transport`](crate::SendError::Transport),
/// [`RecvError::Transport`](crate::RecvError::Transport) and
/// [`AttemptError::Transport`](crate::AttemptError::Transport). Tasks and timers go on, and
/// connections over streams that are no sockets of ours. Drop the runtime and build another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The kernel, or a filter before it, refuses to let this thread into its ring.
    #[error(
        "all operations of this runtime have ended, build another one: io_uring_enter failed: {}",
        io::Error::from_raw_os_error(*.errno)
    )]
    Enter {
        /// What the system says, by its number.
        errno: i32,
    },
    /// Completions are lost, because the kernel had no memory to keep them in (`EBADR`).
    #[error(
        "all operations of this runtime have ended, build another one: the kernel had no memory \
         for completions and has lost some: io_uring_enter failed: {}",
        io::Error::from_raw_os_error(*.errno)
    )]
    LostCompletions {
        /// What the system says, by its number.
        errno: i32,
    },
    /// The ring of a [`Backend::TokioUring`](crate::Backend::TokioUring) takes or completes nothing
    /// any more. tokio-uring does not tell why.
    #[error(
        "all operations of this runtime have ended, build another one: tokio-uring's ring takes \
         or completes nothing any more"
    )]
    Stalled,
    /// The runtime belongs to the process that this one was forked from.
    #[error(
        "this belongs to the process that this one was forked from; a child has to build a \
         runtime of its own"
    )]
    Forked,
}

impl From<DriverError> for io::Error {
    fn from(error: DriverError) -> Self {
        // Of no kind that says "again".
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_connection_gives_its_cause_by_type() {
        let errno = rustix::io::Errno::BADF.raw_os_error();
        let error = io::Error::from(DriverError::Enter { errno });
        assert!(
            error
                .to_string()
                .ends_with("Bad file descriptor (os error 9)")
        );
        let cause = error.get_ref().expect("a cause");
        let cause = cause.downcast_ref::<DriverError>();
        assert_eq!(cause, Some(&DriverError::Enter { errno }));
    }
}
