//! A client that was accepted and on which no work was spent yet.

use core::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::accepted::Accepted;
use super::address::Address;
use super::admission::Admission;
use super::attempt::{self, Listening};
use super::outcome::count_attempt;
use super::place::Place;
use super::progress::Progress;
use super::source::Source;
use super::unix_socket::PeerCredentials;
use crate::driver::{self, Arrival, DriverError, ProcessMark};
use crate::net::config::Config;
use crate::net::connection::Connection;
use crate::net::connection::link::Link;
use crate::net::error::{AcceptError, AttemptError};
use crate::net::thread::shard::{Shard, count};

/// A client of a [`SocketListener`](crate::SocketListener), before its handshake: a socket that is
/// connected, from which nothing was read.
///
/// It owns the plain descriptor and belongs to no runtime, so it can be sent to any thread:
/// [`handshake`](Self::handshake) makes a connection of it in the runtime of the thread that awaits
/// it, and [`RingHandle::handshake`](crate::RingHandle::handshake) on a ring thread. Dropping it
/// closes the socket.
///
/// A forked child that inherits one has a descriptor of its own, which it closes when it drops it
/// and can do nothing else with; the parent's stays as it is.
#[derive(Debug)]
pub struct Incoming {
    descriptor: OwnedFd,
    address: Address,
    credentials: Option<PeerCredentials>,
    process: ProcessMark,
    /// What it takes up at the server that it came to.
    place: Option<Box<dyn Place>>,
}

impl Incoming {
    /// Returns where the client comes from.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns who the system says is at the other end of a Unix-domain socket, as of when the
    /// client connected. `None` on other transports.
    pub fn peer_credentials(&self) -> Option<PeerCredentials> {
        self.credentials
    }

    /// Closes the socket. The client sees a reset, and the kernel keeps nothing of it. It is counted
    /// in [`Statistics::refused`](crate::Statistics::refused) of this thread, if there is a runtime.
    pub fn refuse(self) {
        // A reset would be one of the parent's socket.
        if self.process.is_inherited() {
            return;
        }
        driver::refuse(self.descriptor);
        if let Some(shard) = Shard::current() {
            count(&shard.counters.refused, 1);
        }
    }

    /// Shakes hands in the runtime of this thread, within [`Config::handshake_deadline`], and within
    /// [`Config::first_message_timeout`] for the client's first message; both count from the call.
    ///
    /// [`Config::max_handshakes`] says nothing here: how many run at a time is up to the caller, and
    /// so is which makes way when strangers take all the places. A [`Listener`](crate::Listener) sees
    /// to both.
    ///
    /// # Errors
    ///
    /// [`AcceptError`], with what [`Listener::accept`](crate::Listener::accept) says of a client;
    /// [`AttemptError::SourceRefused`] when [`Admission::filter`] does not let it in;
    /// [`AttemptError::OutsideRuntime`]. In a forked child that inherited the client it is
    /// [`DriverError::Forked`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the socket.
    pub async fn handshake(
        self,
        config: &Config,
        admission: &Admission,
    ) -> Result<Connection, AcceptError> {
        let address = self.address.clone();
        let outcome = self.shake_hands(config, admission).await;
        if let Some(shard) = Shard::current() {
            count_attempt(&shard, outcome.as_ref());
        }
        outcome.map_err(|reason| AcceptError { address, reason })
    }

    async fn shake_hands(
        self,
        config: &Config,
        admission: &Admission,
    ) -> Result<Connection, AttemptError> {
        if self.process.is_inherited() {
            return Err(AttemptError::Transport(DriverError::Forked.into()));
        }
        let shard = Shard::current()
            .filter(Shard::is_running)
            .ok_or(AttemptError::OutsideRuntime)?;
        if !self.is_admitted_by(admission) {
            self.refuse();
            return Err(AttemptError::SourceRefused);
        }
        let listening = Rc::new(Listening::new(config, &shard));
        let progress = Rc::new(Progress::default());
        let attempt = self
            .attempt(shard, listening, admission.clone(), Rc::clone(&progress))
            .map_err(AttemptError::Transport)?;
        let accepted = attempt::in_time(config, &progress, attempt).await?;
        Ok(accepted.connection)
    }

    /// Whether a filter of the admission that holds has let the client in already.
    pub(crate) fn was_let_in(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.was_let_in())
    }

    /// Has the client take up `place`, until its connection is not served any more.
    pub(crate) fn set_place(&mut self, place: Box<dyn Place>) {
        self.place = Some(place);
    }

    /// Whether the client may shake hands, by what is known of it already.
    pub(crate) fn is_admitted_by(&self, admission: &Admission) -> bool {
        admission.admits_source(&self.address, self.credentials)
    }

    /// Returns who stands behind the address.
    pub(crate) fn source(&self) -> Source {
        let user = self.credentials.map(|credentials| credentials.user);
        Source::new(&self.address, user)
    }

    /// Makes the handshake, which has no limits of time by itself.
    ///
    /// # Errors
    ///
    /// What the system says about the socket.
    pub(crate) fn attempt(
        self,
        shard: Rc<Shard>,
        listening: Rc<Listening>,
        admission: Admission,
        progress: Rc<Progress>,
    ) -> io::Result<impl Future<Output = Result<Accepted, AttemptError>> + use<>> {
        let link = Link::new(shard, self.descriptor)?;
        let (address, mut place) = (self.address, self.place);
        Ok(async move {
            let asking = attempt::Asking {
                address,
                admission: &admission,
                place: place.as_deref_mut(),
            };
            let connection = attempt::listen(link, asking, &listening, &progress).await?;
            Ok(Accepted { connection, place })
        })
    }
}

impl From<Arrival> for Incoming {
    fn from(arrival: Arrival) -> Self {
        let credentials = arrival
            .credentials
            .map(|(process, user, group)| PeerCredentials {
                process,
                user,
                group,
            });
        Self {
            descriptor: arrival.descriptor,
            address: arrival.endpoint.map_or(Address::Unnamed, Address::from),
            credentials,
            process: ProcessMark::current(),
            place: None,
        }
    }
}
