//! A listener that lives on a ring thread.

use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::pin::pin;

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use futures_util::future::select;

use super::error::RemoteError;
use super::limits::QueueLimits;
use super::remote_connection::RemoteConnection;
use super::tasks;
use crate::driver::ProcessMark;
use crate::net::{AcceptError, Address, Admission, CurrentAdmission, Listener};

type Outcome = Result<RemoteConnection, AcceptError>;

/// Listens for connections on one ring thread, where all that it accepts live.
///
/// One connection is accepted ahead of the caller; the others wait as the listener's outcomes, at
/// most [`Config::max_handshakes`](crate::Config::max_handshakes). Dropping the listener closes the
/// port; what it has given out goes on.
pub struct RemoteListener {
    /// `None` only while this is dropped.
    channel: Option<Channel>,
    admission: CurrentAdmission,
    /// One at least.
    addresses: Vec<Address>,
    process: ProcessMark,
}

/// The caller's end of what the task on the ring thread has the other end of.
struct Channel {
    outcomes: mpsc::Receiver<Outcome>,
    /// Its drop ends the task.
    _alive: oneshot::Sender<Infallible>,
}

impl RemoteListener {
    /// Makes one of a listener of this ring thread.
    pub(super) fn new(listener: Listener, limits: QueueLimits) -> Self {
        let addresses = listener.local_addresses().to_vec();
        let admission = listener.current_admission();
        let (sender, outcomes) = mpsc::channel(0);
        let (alive, dropped) = oneshot::channel();
        tasks::spawn(async move {
            let accepting = pin!(accept_all(listener, limits, sender));
            select(dropped, accepting).await;
        });
        Self {
            channel: Some(Channel {
                outcomes,
                _alive: alive,
            }),
            admission,
            addresses,
            process: ProcessMark::current(),
        }
    }

    /// Returns the address that is listened on, with the port that was taken; the first one where
    /// there are several.
    pub fn local_address(&self) -> Address {
        self.addresses[0].clone()
    }

    /// Returns all addresses that are listened on.
    pub fn local_addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Replaces who may connect, from any thread and at once; see [`Listener::set_admission`].
    pub fn set_admission(&self, admission: Admission) {
        // A child's copy of the lock may be held by a thread that it does not have.
        if !self.process.is_inherited() {
            self.admission.set(admission);
        }
    }

    /// Returns the next connection whose peer has proved an admitted identity.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Call`] tells of one client that failed to become a connection; call
    /// again for the next. [`RemoteError::ThreadEnded`] is final.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&mut self) -> Result<RemoteConnection, RemoteError<AcceptError>> {
        let channel = self.channel.as_mut();
        let Some(channel) = channel.filter(|_| !self.process.is_inherited()) else {
            return Err(RemoteError::ThreadEnded);
        };
        match channel.outcomes.next().await {
            Some(outcome) => Ok(outcome?),
            None => Err(RemoteError::ThreadEnded),
        }
    }
}

impl Drop for RemoteListener {
    fn drop(&mut self) {
        // The other ends are the parent's.
        if self.process.is_inherited() {
            core::mem::forget(self.channel.take());
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
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}
