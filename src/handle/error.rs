//! What can go wrong on the way to a ring thread.

/// Why a call through a handle failed.
///
/// `E` is the error of the same call on the thread itself: what can happen there can happen here,
/// and [`ThreadEnded`](Self::ThreadEnded) besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError<E> {
    /// The call reached the ring thread and failed there.
    #[error(transparent)]
    Call(#[from] E),
    /// The ring thread was shut down, or what served the call there panicked. Final.
    #[error("the ring thread has ended; keep RingThreads alive")]
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
