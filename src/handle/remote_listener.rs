//! A listener that lives on a ring thread.

use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::pin::pin;

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use futures_util::future::select;

use super::error::RemoteAcceptError;
use super::limits::QueueLimits;
use super::remote_connection::RemoteConnection;
use super::tasks;
use crate::net::{AcceptError, Address, Listener};

type Outcome = Result<RemoteConnection, AcceptError>;

/// Listens for connections on one ring thread, where all that it accepts live.
///
/// One connection is accepted ahead of the caller; the others wait as the listener's outcomes, at
/// most [`Config::max_handshakes`](crate::Config::max_handshakes). Dropping the listener closes the
/// port; what it has given out goes on.
pub struct RemoteListener {
    outcomes: mpsc::Receiver<Outcome>,
    address: Address,
    /// Its drop ends the task on the ring thread.
    _alive: oneshot::Sender<Infallible>,
}

impl RemoteListener {
    /// Makes one of a listener of this ring thread.
    pub(super) fn new(listener: Listener, limits: QueueLimits) -> Self {
        let address = listener.local_address();
        let (sender, outcomes) = mpsc::channel(0);
        let (alive, dropped) = oneshot::channel();
        tasks::spawn(async move {
            let accepting = pin!(accept_all(listener, limits, sender));
            select(dropped, accepting).await;
        });
        Self {
            outcomes,
            address,
            _alive: alive,
        }
    }

    /// Returns the address that is listened on, with the port that was taken.
    pub fn local_address(&self) -> Address {
        self.address.clone()
    }

    /// Returns the next connection whose peer has proved an admitted identity.
    ///
    /// # Errors
    ///
    /// [`RemoteAcceptError::Accept`] tells of one client that failed to become a connection; call
    /// again for the next. [`RemoteAcceptError::ThreadEnded`] is final.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&mut self) -> Result<RemoteConnection, RemoteAcceptError> {
        match self.outcomes.next().await {
            Some(outcome) => Ok(outcome?),
            None => Err(RemoteAcceptError::ThreadEnded),
        }
    }
}

async fn accept_all(
    mut listener: Listener,
    limits: QueueLimits,
    mut outcomes: mpsc::Sender<Outcome>,
) {
    loop {
        let outcome = listener.accept().await;
        let outcome = outcome.map(|connection| RemoteConnection::new(connection, limits));
        let room = poll_fn(|context| outcomes.poll_ready(context)).await;
        if room.is_err() || outcomes.start_send(outcome).is_err() {
            return;
        }
    }
}

impl fmt::Debug for RemoteListener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteListener")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
