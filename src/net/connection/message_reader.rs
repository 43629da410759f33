//! A message that is taken in parts as they come.

use super::message::Message;
use super::receiver::{Piece, Receiver};
use crate::net::error::RecvError;

impl Receiver {
    /// Waits for the next message and gives it in parts as they come, without putting them together:
    /// a message of any length that [`Config::max_streamed_size`](crate::Config::max_streamed_size)
    /// allows takes no more memory than a slot. `None` as for [`recv`](Self::recv).
    ///
    /// Any message can be taken so, on both wires; how many parts it has is the sender's choice, and
    /// none of those that are not streamed has more than a few.
    ///
    /// ```
    /// # async fn take(receiver: &mut ringseal::Receiver) -> Result<u64, ringseal::RecvError> {
    /// let mut bytes = 0;
    /// if let Some(mut message) = receiver.recv_stream().await? {
    ///     while let Some(part) = message.next_part().await? {
    ///         bytes += part.len() as u64;
    ///     }
    /// }
    /// # Ok(bytes)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancellation
    ///
    /// As for [`recv`](Self::recv). With the reader, what it has not given of the message is dropped:
    /// the next call skips the rest, and waits for it.
    pub async fn recv_stream(&mut self) -> Result<Option<MessageReader<'_>>, RecvError> {
        self.check()?;
        self.skip_rest();
        loop {
            match self.next_piece().await {
                Ok(None) => return Ok(None),
                Ok(Some(first)) => return Ok(Some(MessageReader::new(self, first))),
                // Nobody has seen anything of it.
                Err(RecvError::MessageGivenUp) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A message that is taken in parts, made by [`Receiver::recv_stream`]. Take them with
/// [`next_part`](Self::next_part).
///
/// Dropped before the last part, the rest of the message is skipped: nobody gets it, and the peer is
/// not told.
#[derive(Debug)]
pub struct MessageReader<'a> {
    receiver: &'a mut Receiver,
    /// The part that came with the message and is not given yet.
    first: Option<Message>,
    is_complete: bool,
}

impl<'a> MessageReader<'a> {
    pub(crate) fn new(receiver: &'a mut Receiver, first: Piece) -> Self {
        Self {
            receiver,
            first: Some(first.bytes),
            is_complete: first.is_last,
        }
    }

    /// Returns the next part of the message, or `None` behind the last one. A part may be empty.
    ///
    /// A part lies in a slot as any [`Message`] does; drop it before you ask for the next one, and
    /// the message takes no more memory than that.
    ///
    /// # Errors
    ///
    /// As for [`Receiver::recv`]; the message is not complete then, whatever came of it is authentic.
    /// [`RecvError::MessageGivenUp`] is not final: the receiver goes on with the next message.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing; the next call carries on.
    pub async fn next_part(&mut self) -> Result<Option<Message>, RecvError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.is_complete {
            return Ok(None);
        }
        let piece = self.receiver.next_piece().await.inspect_err(|_| {
            self.is_complete = true;
        })?;
        // The peer can't end between the parts of a message.
        let Some(Piece { bytes, is_last }) = piece else {
            return Err(RecvError::Closed);
        };
        self.is_complete = is_last;
        Ok(Some(bytes))
    }
}
