//! An established connection.

use core::fmt;
use std::rc::Rc;

use super::address::Address;
use super::error::{RecvError, SendError};
use super::link::Link;
use super::message::Message;
use super::outbox::Outbox;
use super::receiver::Receiver;
use super::sender::Sender;
use super::unix_socket::PeerCredentials;
use crate::protocol::identity::PublicKey;
use crate::protocol::record::{Opener, Sealer};
use crate::ring;

/// Two authenticated peers and an encrypted stream of messages in each direction.
///
/// The directions are independent: [`split`](Self::split) them to drive each from a task of its
/// own. If both ends only write and never read, both come to a halt; that is backpressure.
///
/// Dropping the connection ends it at once; see [`Sender::close`] for the graceful way.
pub struct Connection {
    sender: Sender,
    receiver: Receiver,
    peer: PublicKey,
    address: Address,
}

impl Connection {
    pub(crate) fn new(
        link: Rc<Link>,
        address: Address,
        peer: PublicKey,
        sealer: Sealer,
        opener: Opener,
    ) -> Self {
        let outbox = Rc::new(Outbox::new(link));
        drop(ring::spawn(Rc::clone(&outbox).write()));
        Self {
            sender: Sender::new(sealer, Rc::clone(&outbox)),
            receiver: Receiver::new(opener, outbox),
            peer,
            address,
        }
    }

    /// Returns the identity that the peer has proved.
    pub fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Returns the address of the peer.
    pub fn peer_address(&self) -> &Address {
        &self.address
    }

    /// Returns who the system says is at the other end of a Unix-domain socket, as of when the
    /// connection was made. `None` on other transports.
    pub fn peer_credentials(&self) -> Option<PeerCredentials> {
        if !matches!(self.address, Address::Unix(_) | Address::Unnamed) {
            return None;
        }
        let (process, user, group) = self.receiver.link().socket.peer_credentials()?;
        Some(PeerCredentials {
            process,
            user,
            group,
        })
    }

    /// Separates the directions. They live on in different tasks of this thread.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Sends a message; see [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As for [`Sender::send`].
    pub async fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// Waits until the kernel has all that was sent; see [`Sender::flush`].
    ///
    /// # Errors
    ///
    /// As for [`Sender::flush`].
    pub async fn flush(&mut self) -> Result<(), SendError> {
        self.sender.flush().await
    }

    /// Receives a message; see [`Receiver::recv`].
    ///
    /// # Errors
    ///
    /// As for [`Receiver::recv`].
    pub async fn recv(&mut self) -> Result<Option<Message>, RecvError> {
        self.receiver.recv().await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("peer", &self.peer)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
