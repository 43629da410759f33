//! The driver without a ring, for hosts that forbid io_uring: a current-thread tokio runtime that
//! waits in epoll. It has the executor and the reactor only; reads and writes on ready sockets are
//! in `stream_socket`. Tests with paused time run on it too.

use core::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// tokio's runtime and the tasks of its thread.
#[derive(Debug)]
pub(super) struct Epoll {
    /// Ends before the runtime does.
    tasks: LocalSet,
    runtime: Runtime,
}

impl Epoll {
    /// # Errors
    ///
    /// What `epoll_create1(2)` says.
    pub(super) fn start() -> io::Result<Self> {
        Self::from_builder(&mut Builder::new_current_thread())
    }

    /// Starts with time that moves only when every task waits.
    ///
    /// # Errors
    ///
    /// What `epoll_create1(2)` says.
    #[cfg(feature = "testing")]
    pub(super) fn start_paused() -> io::Result<Self> {
        Self::from_builder(Builder::new_current_thread().start_paused(true))
    }

    fn from_builder(builder: &mut Builder) -> io::Result<Self> {
        Ok(Self {
            tasks: LocalSet::new(),
            runtime: builder.enable_all().build()?,
        })
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tasks.block_on(&self.runtime, future)
    }
}
