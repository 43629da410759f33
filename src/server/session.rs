//! What a handler knows of its server.

use core::fmt;
use core::future::{Future, pending};
use core::time::Duration;
use std::rc::Rc;

use crate::driver::Latch;
use crate::net::within;

/// A connection's side of its [`Server`](super::Server), which its handler gets beside the
/// [`Connection`](crate::Connection). It belongs to the thread; clones are cheap.
#[derive(Clone)]
pub struct Session {
    draining: Rc<Latch>,
    thread: usize,
}

impl Session {
    pub(super) fn new(draining: Rc<Latch>, thread: usize) -> Self {
        Self { draining, thread }
    }

    /// Waits until the server drains. Then the peer was asked to begin nothing new and to end, where
    /// the wire has that, and the handler has until the deadline of
    /// [`ServerHandle::drain`](super::ServerHandle::drain): it may begin nothing new either, send what
    /// it owes, and close. A handler that does not look at this goes on until its peer ends.
    ///
    /// Pin it once and poll it beside each [`recv`](crate::Connection::recv): that takes no lock and no
    /// atomic a message.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub fn draining(&self) -> impl Future<Output = ()> + use<> {
        self.draining.wait()
    }

    /// Waits until the server drains, and then for as long as `limit`, in time that this process has
    /// had. A call of its own beside each [`recv`](crate::Receiver::recv) is done when the server drains
    /// and no whole message has come for so long; whether a part of one has come, says
    /// [`Receiver::is_mid_message`](crate::Receiver::is_mid_message). That ends connections in order whose
    /// peers do not know that the server drains, or wait for the server to end first.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn draining_for(&self, limit: Duration) {
        self.draining().await;
        within(limit, pending::<()>()).await;
    }

    /// Whether the server drains.
    pub fn is_draining(&self) -> bool {
        self.draining.is_open()
    }

    /// Returns the index of the thread that serves the connection, from 0.
    pub fn thread(&self) -> usize {
        self.thread
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("thread", &self.thread)
            .field("is_draining", &self.is_draining())
            .finish()
    }
}
