//! What can go wrong on the way to a ring thread.

use crate::net::AcceptError;

/// Why a [`RemoteListener`](super::RemoteListener) gave no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteAcceptError {
    /// One client failed to become a connection. The listener goes on.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// The listener went with its thread. Final.
    #[error("the ring thread of the listener has ended; keep RingThreads alive")]
    ThreadEnded,
}

/// Why [`RingHandle::run`](super::RingHandle::run) gave no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The closure or its future panicked. The thread and its other tasks go on.
    #[error("what was run on the ring thread panicked")]
    Panicked,
    /// The ring threads have ended, or did before the output was there.
    #[error("the ring thread has ended; keep RingThreads alive")]
    ThreadEnded,
}
