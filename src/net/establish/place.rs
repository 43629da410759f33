//! What a client takes up at a server, from when it was accepted to when nobody serves it any more.

use core::fmt;

use super::connection_limit::ConnectionLimit;
use crate::protocol::identity::PublicKey;

/// A client's place, which is given back when this is dropped.
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// Tells whether there may be room for a connection of this peer, whose key is only claimed as yet.
    /// Takes nothing.
    ///
    /// # Errors
    ///
    /// What keeps it out.
    fn check(&self, peer: &PublicKey) -> Result<(), ConnectionLimit>;

    /// Takes the room for a connection of this peer, which has proved its key. A dialer that believes to
    /// be in, because that was the last it waited for, is let in though the server drains.
    ///
    /// # Errors
    ///
    /// What keeps it out.
    fn enter(&mut self, peer: &PublicKey, believes_to_be_in: bool) -> Result<(), ConnectionLimit>;

    /// Whether who may connect has changed since the client came.
    fn is_outdated(&self) -> bool;

    /// Whether the filter of the admission that holds has let the client in already.
    fn was_let_in(&self) -> bool;
}
