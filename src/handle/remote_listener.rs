//! A listener whose connections live on all ring threads.

use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::pin::pin;

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use futures_util::future::select;

use super::distribution::{Distribution, Inbox, Seat};
use super::error::RemoteError;
use super::limits::QueueLimits;
use super::remote_connection::RemoteConnection;
use super::tasks;
use super::threads::Threads;
use crate::driver::ProcessMark;
use crate::net::{
    AcceptError, Address, Admission, Config, CurrentAdmission, Incoming, Listener, Place,
    SocketListener,
};

type Outcome = Result<RemoteConnection, AcceptError>;

/// Listens for connections, and has each live on the ring thread that has the fewest of this listener.
///
/// One of the threads accepts. When that ends, or its driver fails, the listener does. Each thread
/// accepts one connection ahead of the caller; the others wait as outcomes of their handshakes, at most
/// [`Config::max_handshakes`](crate::Config::max_handshakes) in all. Dropping the listener closes the
/// port; what it has given out goes on.
pub struct RemoteListener {
    /// `None` only while this is dropped.
    channel: Option<Channel>,
    admission: CurrentAdmission,
    /// One at least.
    addresses: Vec<Address>,
    process: ProcessMark,
}

/// The caller's end of what the tasks on the ring threads have the other end of.
struct Channel {
    outcomes: mpsc::Receiver<Outcome>,
    /// The drop of each ends a task.
    _alive: Vec<oneshot::Sender<Infallible>>,
}

/// What a thread needs to shake hands.
struct Accepting {
    addresses: Vec<Address>,
    config: Config,
    admission: CurrentAdmission,
    limits: QueueLimits,
    outcomes: mpsc::Sender<Outcome>,
}

impl RemoteListener {
    /// Accepts at `sockets`, which are of this ring thread, for all of `threads`.
    pub(super) fn start(
        threads: &Threads,
        mut sockets: SocketListener,
        config: &Config,
        admission: Admission,
        limits: QueueLimits,
    ) -> Self {
        let addresses = sockets.local_addresses().to_vec();
        let admission = CurrentAdmission::new(admission);
        let count = threads.count();
        let shares: Vec<_> = (0..count)
            .map(|thread| config.share_handshakes(thread, count))
            .collect();
        let (distribution, inboxes) = Distribution::new(shares.iter().map(Config::handshakes));
        let (sender, outcomes) = mpsc::channel(0);
        let mut alive = Vec::with_capacity(count + 1);
        for (thread, (inbox, config)) in inboxes.into_iter().zip(shares).enumerate() {
            let accepting = Accepting {
                addresses: addresses.clone(),
                config,
                admission: admission.clone(),
                limits,
                outcomes: sender.clone(),
            };
            let (guard, dropped) = oneshot::channel::<Infallible>();
            // A thread that has ended drops its inbox, and gets nobody.
            threads.post_to(
                thread,
                Box::new(move || {
                    tasks::spawn(async move {
                        select(dropped, pin!(accepting.accept_all(inbox))).await;
                    });
                }),
            );
            alive.push(guard);
        }
        let (guard, dropped) = oneshot::channel::<Infallible>();
        tasks::spawn(async move {
            let give = |_: &Incoming, seat: Seat| Some(Box::new(seat) as Box<dyn Place>);
            // Its end ends the threads' listeners, and with them this one.
            select(dropped, pin!(distribution.run(&mut sockets, give))).await;
        });
        alive.push(guard);
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

impl Accepting {
    /// Shakes hands with whoever comes, on this ring thread.
    async fn accept_all(mut self, inbox: Inbox) {
        let listener = Listener::of_clients(inbox, self.addresses, &self.config, self.admission);
        let Ok(mut listener) = listener else {
            return;
        };
        while let Some(outcome) = listener.next().await {
            let outcome = outcome.map(|accepted| RemoteConnection::new(accepted, self.limits));
            let room = poll_fn(|context| self.outcomes.poll_ready(context)).await;
            if room.is_err() || self.outcomes.start_send(outcome).is_err() {
                return;
            }
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
