//! What a driver is made with.

use core::time::Duration;

/// The driver of a thread: it does the input and output and runs the tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// [`Uring`](Self::Uring), or [`Epoll`](Self::Epoll) where this host gives no io_uring, with
    /// one warning that says why.
    #[default]
    Auto,
    /// ringseal's own loop on the io-uring crate: it waits in the ring and can poll busily.
    ///
    /// Timers and sockets of tokio have no reactor in it, unless you enter one that runs
    /// elsewhere (`tokio::runtime::Handle::enter`); its channels work as they are.
    Uring,
    /// tokio-uring: a current-thread tokio runtime that waits in epoll.
    TokioUring,
    /// A current-thread tokio runtime without a ring. The same slots, not registered, are read
    /// into and written from when epoll says that a socket is ready.
    Epoll,
}

/// Whether the arena is registered with the ring as a fixed buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Registration {
    /// Fail to start when the kernel refuses.
    #[default]
    Required,
    /// Go on with plain reads when the kernel refuses, with one warning.
    Preferred,
    /// Do not try.
    Off,
}

/// What a ring is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DriverSettings {
    pub(crate) backend: Backend,
    /// Submissions that fit.
    pub(crate) entries: u32,
    pub(crate) registration: Registration,
    /// How long to look for something to do before waiting in the kernel; zero: where it pays.
    pub(crate) busy_poll: Duration,
    /// Whether time moves only when every task waits.
    #[cfg(feature = "testing")]
    pub(crate) paused_time: bool,
}
