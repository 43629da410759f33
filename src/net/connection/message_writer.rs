//! A message that leaves in parts while it is written.

use super::sender::Sender;
use crate::net::error::SendError;

impl Sender {
    /// Begins a message of any length that leaves in parts while it is written, in a few slots: within
    /// the limit that the peer has told, and otherwise without one. Of the native wire only.
    ///
    /// The peer takes it with [`Receiver::recv_stream`](crate::Receiver::recv_stream), or with
    /// [`recv`](crate::Receiver::recv) if it is no longer than that takes.
    ///
    /// ```
    /// # async fn copy(sender: &mut ringseal::Sender, file: &[u8]) -> Result<(), ringseal::SendError> {
    /// let mut message = sender.send_stream()?;
    /// for piece in file.chunks(65_536) {
    ///     message.write(piece).await?;
    /// }
    /// message.finish().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::NoParts`] on the commonware wire.
    pub fn send_stream(&mut self) -> Result<MessageWriter<'_>, SendError> {
        if self.outbox().plan_part(0).is_none() {
            return Err(SendError::NoParts);
        }
        Ok(MessageWriter::new(self))
    }
}

/// A message that leaves in parts, made by [`Sender::send_stream`]. Write it, then
/// [`finish`](Self::finish) it.
///
/// Dropped before that, the message is given up: the peer is told, and what was sent of it is not
/// delivered as a message. A leaked one is given up with the next call.
#[derive(Debug)]
pub struct MessageWriter<'a> {
    sender: &'a mut Sender,
    written: u64,
}

impl<'a> MessageWriter<'a> {
    pub(crate) const fn new(sender: &'a mut Sender) -> Self {
        Self { sender, written: 0 }
    }

    /// Seals `bytes`, as the next part of the message or as many as it takes, straight from where the
    /// caller has them. Every call is at least a record of 20 bytes more than it holds, so write
    /// large pieces: from 16 KiB on the cost of a record does not show.
    ///
    /// Waits as [`Sender::send`] does when the peer does not keep up.
    ///
    /// # Errors
    ///
    /// As for [`Sender::send`]. After [`SendError::TooLarge`] the message can only be given up, and
    /// the sender stays usable.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves a part of `bytes` written, from their start:
    /// [`written`](Self::written) tells how much.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = self.sender.append_part(rest, false).await?;
            self.written += length as u64;
            rest = &rest[length..];
        }
        Ok(())
    }

    /// Returns how many bytes of the message were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Says that the message is complete.
    ///
    /// # Errors
    ///
    /// As for [`Sender::send`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it is done gives the message up.
    pub async fn finish(self) -> Result<(), SendError> {
        self.sender.append_part(&[], true).await?;
        Ok(())
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        self.sender.give_message_up();
    }
}
