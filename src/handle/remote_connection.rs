//! A connection that lives on a ring thread.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tracing::Span;

use super::error::RemoteError;
use super::limits::QueueLimits;
use super::remote_message_reader::RemoteMessageReader;
use super::remote_message_writer::RemoteMessageWriter;
use super::remote_receiver::RemoteReceiver;
use super::remote_sender::RemoteSender;
use super::shared::Shared;
use crate::net::{About, Accepted, Address, PeerCredentials, RecvError, SendError, SendProgress};
use crate::protocol::Wire;
use crate::protocol::identity::PublicKey;
use crate::protocol::native::ExportError;

/// A [`Connection`](crate::Connection) for any thread and any executor. Its messages cross as [`Bytes`].
///
/// Dropping it drops both halves on the ring thread: what is queued is lost, what was taken from
/// the queue still arrives as [`Connection`](crate::Connection) says. See [`RemoteSender::close`] for how to lose
/// nothing.
pub struct RemoteConnection {
    sender: RemoteSender,
    receiver: RemoteReceiver,
    about: Arc<About>,
    credentials: Option<PeerCredentials>,
}

impl RemoteConnection {
    /// Makes one of a connection of this ring thread.
    pub(super) fn new(connection: impl Into<Accepted>, limits: QueueLimits) -> Self {
        let Accepted { connection, place } = connection.into();
        let credentials = connection.peer_credentials();
        let (sender, receiver, about) = connection.into_parts();
        let shared = Shared::start(sender, receiver, about.wire, limits, place);
        Self {
            sender: RemoteSender::new(Arc::clone(&shared)),
            receiver: RemoteReceiver::new(shared),
            about,
            credentials,
        }
    }

    /// Returns the wire that the peers speak.
    pub fn wire(&self) -> Wire {
        self.about.wire
    }

    /// Fills `output` with bytes that both ends of this connection share and nobody else knows; see
    /// [`Connection::channel_binding`](crate::Connection::channel_binding). Waits for nothing: what they are made of is here.
    ///
    /// # Errors
    ///
    /// [`ExportError`], with `output` unchanged; [`ExportError::NoExporter`] on the commonware wire.
    pub fn channel_binding(
        &self,
        label: &str,
        context: &[u8],
        output: &mut [u8],
    ) -> Result<(), ExportError> {
        self.about.channel_binding(label, context, output)
    }

    /// Returns the identity that the peer has proved.
    pub fn peer(&self) -> PublicKey {
        self.about.peer
    }

    /// Returns the network address of the peer.
    pub fn peer_address(&self) -> &Address {
        &self.about.address
    }

    /// Returns the span of this connection; see [`Connection::span`](crate::Connection::span).
    pub fn span(&self) -> &Span {
        &self.about.span
    }

    /// Returns who is at the other end of a Unix-domain socket; see
    /// [`Connection::peer_credentials`](crate::Connection::peer_credentials).
    pub fn peer_credentials(&self) -> Option<PeerCredentials> {
        self.credentials
    }

    /// Separates the directions, which may go to different threads.
    pub fn split(self) -> (RemoteSender, RemoteReceiver) {
        (self.sender, self.receiver)
    }

    /// Sends a message; see [`RemoteSender::send`].
    ///
    /// # Errors
    ///
    /// As for [`RemoteSender::send`].
    pub async fn send(&mut self, message: impl Into<Bytes>) -> Result<(), RemoteError<SendError>> {
        self.sender.send(message).await
    }

    /// Begins a message of any length; see [`RemoteSender::send_stream`].
    ///
    /// # Errors
    ///
    /// As for [`RemoteSender::send_stream`].
    pub fn send_stream(&mut self) -> Result<RemoteMessageWriter<'_>, RemoteError<SendError>> {
        self.sender.send_stream()
    }

    /// Waits until the kernel has all that was sent; see [`RemoteSender::flush`].
    ///
    /// # Errors
    ///
    /// As for [`RemoteSender::flush`].
    pub async fn flush(&mut self) -> Result<(), RemoteError<SendError>> {
        self.sender.flush().await
    }

    /// Returns how many messages were queued, and how many of them have left for sure; see
    /// [`RemoteSender::progress`].
    pub fn progress(&self) -> SendProgress {
        self.sender.progress()
    }

    /// Receives a message; see [`RemoteReceiver::recv`].
    ///
    /// # Errors
    ///
    /// As for [`RemoteReceiver::recv`].
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RemoteError<RecvError>> {
        self.receiver.recv().await
    }

    /// Receives a message in parts; see [`RemoteReceiver::recv_stream`].
    ///
    /// # Errors
    ///
    /// As for [`RemoteReceiver::recv_stream`].
    pub async fn recv_stream(
        &mut self,
    ) -> Result<Option<RemoteMessageReader<'_>>, RemoteError<RecvError>> {
        self.receiver.recv_stream().await
    }

    /// Sends what is queued, tells the peer that no more follows, and gives up receiving; see
    /// [`RemoteSender::close`].
    ///
    /// # Errors
    ///
    /// As for [`RemoteSender::close`].
    pub async fn close(self) -> Result<(), RemoteError<SendError>> {
        let (sender, receiver) = self.split();
        let result = sender.close().await;
        drop(receiver);
        result
    }
}

impl fmt::Debug for RemoteConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteConnection")
            .field("peer", &self.about.peer)
            .field("address", &self.about.address)
            .finish_non_exhaustive()
    }
}
