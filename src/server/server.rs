//! A server and its threads.

use super::blocking;
use super::control::Drained;
use super::server_handle::ServerHandle;
use crate::driver::StartError;
use crate::handle::{RingThreads, RunError};
use crate::net::Address;

/// Serves connections on every core: one thread accepts, and each has the connections that it was
/// given, from the handshake to the end of their handlers. [`ServerBuilder`](super::ServerBuilder)
/// starts it, [`handle`](Self::handle) acts on it.
///
/// Dropping it ends it as [`ServerHandle::shut_down`] does, without waiting. To end it well,
/// [`ServerHandle::drain`] it first.
///
/// ```
/// use std::time::Duration;
///
/// use ringseal::{Admission, Config, Identity, Runtime, ServerBuilder, dial};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let alice = Config::new(Identity::from_seed(&[1; 32]), "example");
/// let bob = Config::new(Identity::from_seed(&[2; 32]), "example");
/// let only_alice = Admission::allow_list([alice.public_key()]);
/// let server = ServerBuilder::new(bob.clone(), only_alice)
///     .bind("127.0.0.1:0")
///     .start(|mut connection, _session| async move {
///         while let Ok(Some(message)) = connection.recv().await {
///             if connection.send(&message).await.is_err() {
///                 break;
///             }
///         }
///     })?;
///
/// Runtime::builder().build()?.block_on(async {
///     let mut connection = dial(server.local_address(), bob.public_key(), &alice).await?;
///     connection.send(b"hello").await?;
///     assert_eq!(&*connection.recv().await?.expect("an echo"), b"hello");
///     connection.close().await?;
///     let drained = server.handle().drain(Duration::from_secs(10)).await?;
///     assert_eq!(drained.cut, 0);
///     server.wait().await?;
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    /// `None` once it has ended.
    threads: Option<RingThreads>,
    handle: ServerHandle,
}

impl Server {
    pub(super) fn new(threads: RingThreads, handle: ServerHandle) -> Self {
        Self {
            threads: Some(threads),
            handle,
        }
    }

    /// Returns what acts on the server from any thread.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Returns the address that is listened on, with the port that was taken; the first one where
    /// there are several.
    pub fn local_address(&self) -> Address {
        self.handle.local_address()
    }

    /// Returns all addresses that are listened on.
    pub fn local_addresses(&self) -> &[Address] {
        self.handle.local_addresses()
    }

    /// Returns why a thread is not on io_uring, where [`Backend::Auto`](crate::Backend::Auto) fell back
    /// to epoll; the first reason where several did.
    pub fn fallback_reason(&self) -> Option<&StartError> {
        let threads = self.threads.as_ref();
        threads.and_then(RingThreads::fallback_reason)
    }

    /// Waits until the server has ended, because somebody drained it or shut it down, and its threads
    /// with it. Works in every executor.
    ///
    /// # Errors
    ///
    /// [`RunError::Panicked`] when one of the threads did, then or earlier: a fault of this crate.
    /// [`RunError::ThreadEnded`] in a forked child, which has none of them.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the server.
    pub async fn wait(mut self) -> Result<Drained, RunError> {
        let drained = self.handle.ended().await?;
        if let Some(threads) = self.threads.take() {
            threads.shutdown().await?;
        }
        Ok(drained)
    }

    /// Does what [`wait`](Self::wait) does, and blocks this thread meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn join(self) -> Result<Drained, RunError> {
        blocking::wait_for(self.wait())
    }

    /// Has a thread panic as only a fault of this crate can.
    #[cfg(any(test, feature = "internals"))]
    #[doc(hidden)]
    pub fn break_thread(&self, thread: usize) {
        let threads = self.threads.as_ref().expect("it has not ended");
        let job = Box::new(|| panic!("on purpose"));
        assert!(threads.handle().post_to(thread, job));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shut_down();
    }
}
