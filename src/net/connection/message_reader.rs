//! A message that is taken in parts as they come.

use super::message::Message;
use super::receiver::{Piece, Receiver};
use crate::net::error::RecvError;

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
