//! What a client takes up at a server.

use std::sync::Arc;

use super::entrance::Entrance;
use crate::handle::Seat;
use crate::net::{ConnectionLimit, Incoming, Place, Source};
use crate::protocol::identity::PublicKey;

/// A client's share of the limits and of a thread, given back when this is dropped.
#[derive(Debug)]
pub(super) struct ClientPlace {
    entrance: Arc<Entrance>,
    seat: Seat,
    source: Source,
    /// Whose connection it is, once it is one.
    peer: Option<PublicKey>,
    /// Of the admission, when the client came.
    generation: u64,
}

impl ClientPlace {
    /// Takes a place for a client whose handshake may begin; `None` if it may not.
    pub(super) fn take(entrance: &Arc<Entrance>, incoming: &Incoming, seat: Seat) -> Option<Self> {
        let generation = entrance.generation();
        entrance.begin(incoming).then(|| Self {
            entrance: Arc::clone(entrance),
            seat,
            source: incoming.source(),
            peer: None,
            generation,
        })
    }
}

impl Place for ClientPlace {
    fn check(&self, peer: &PublicKey) -> Result<(), ConnectionLimit> {
        self.entrance.check(self.source, peer)
    }

    fn enter(&mut self, peer: &PublicKey, believes_to_be_in: bool) -> Result<(), ConnectionLimit> {
        (self.entrance).enter(self.source, peer, believes_to_be_in)?;
        self.peer = Some(*peer);
        self.seat.connect();
        Ok(())
    }

    fn is_outdated(&self) -> bool {
        self.generation != self.entrance.generation()
    }

    fn was_let_in(&self) -> bool {
        !self.is_outdated()
    }
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        self.entrance.leave(self.source, self.peer.as_ref());
    }
}
