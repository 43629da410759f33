//! A message that leaves in parts, written by any thread.

use core::fmt;

use bytes::Bytes;

use super::batch::{Fragment, Kind};
use super::error::RemoteError;
use super::remote_sender::RemoteSender;
use crate::net::SendError;

impl RemoteSender {
    /// Begins a message of any length that leaves in parts while it is written; see
    /// [`Sender::send_stream`](crate::Sender::send_stream). Each part that is written takes its place in
    /// the queue as a message does.
    ///
    /// ```
    /// # use ringseal::{RemoteError, RemoteSender, SendError};
    /// # async fn copy(sender: &mut RemoteSender, file: &[u8]) -> Result<(), RemoteError<SendError>> {
    /// let mut message = sender.send_stream()?;
    /// for piece in file.chunks(65_536) {
    ///     message.write(piece.to_vec()).await?;
    /// }
    /// message.finish().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush), and [`SendError::NoParts`] on the commonware wire, which leaves
    /// the sender usable.
    pub fn send_stream(&mut self) -> Result<RemoteMessageWriter<'_>, RemoteError<SendError>> {
        self.begin_message()?;
        Ok(RemoteMessageWriter::new(self))
    }
}

/// A message that leaves in parts, made by [`RemoteSender::send_stream`]. Write it, then
/// [`finish`](Self::finish) it.
///
/// Dropped before that, the message is given up: the peer is told, and what was sent of it is not
/// delivered as a message. A leaked one is given up with the next message.
pub struct RemoteMessageWriter<'a> {
    sender: &'a mut RemoteSender,
    written: u64,
}

impl<'a> RemoteMessageWriter<'a> {
    pub(super) const fn new(sender: &'a mut RemoteSender) -> Self {
        Self { sender, written: 0 }
    }

    /// Queues `bytes` as the next part of the message. A `Vec` or `Bytes` is taken as it is, and split
    /// where a record can't hold it, so write large pieces: from 16 KiB on the cost of a record does not
    /// show.
    ///
    /// Waits as [`RemoteSender::send`] does.
    ///
    /// # Errors
    ///
    /// As for [`RemoteSender::send`]. After [`SendError::TooLarge`] the message can only be given up.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it is done queues nothing of `bytes`; the message can go on.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), RemoteError<SendError>> {
        let bytes = bytes.into();
        let length = bytes.len();
        self.sender.check_part(self.written, length)?;
        if length > 0 {
            let kind = Kind::Part;
            self.sender.queue(Fragment { bytes, kind }).await?;
            self.written += length as u64;
        }
        Ok(())
    }

    /// Returns how many bytes of the message were queued.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Queues the end of the message. [`RemoteSender::flush`] says when all of it has left.
    ///
    /// # Errors
    ///
    /// As for [`RemoteSender::send`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it is done gives the message up.
    pub async fn finish(self) -> Result<(), RemoteError<SendError>> {
        self.sender.check_part(self.written, 0)?;
        let end = Fragment {
            bytes: Bytes::new(),
            kind: Kind::Last,
        };
        self.sender.queue(end).await
    }
}

/// Without the message, which is secret.
impl fmt::Debug for RemoteMessageWriter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteMessageWriter")
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl Drop for RemoteMessageWriter<'_> {
    fn drop(&mut self) {
        // Nothing is begun behind the last part.
        self.sender.give_message_up();
    }
}
