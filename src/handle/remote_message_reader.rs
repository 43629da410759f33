//! A message that is taken in parts as they come, by any thread.

use core::fmt;

use bytes::Bytes;

use super::error::RemoteError;
use super::remote_receiver::RemoteReceiver;
use crate::net::RecvError;

impl RemoteReceiver {
    /// Waits for the next message and gives it in parts as they come, so that it may be longer than
    /// memory: of any length that [`Config::max_streamed_size`](crate::Config::max_streamed_size)
    /// allows. `None` as for [`recv`](Self::recv). See
    /// [`Receiver::recv_stream`](crate::Receiver::recv_stream).
    ///
    /// Where nothing longer than [`Config::max_message_size`](crate::Config::max_message_size) may come,
    /// a message comes as one part. Where something may, parts wait in the queue, and
    /// [`recv`](Self::recv) puts them together, which copies them once more.
    ///
    /// ```
    /// # use ringseal::{RecvError, RemoteError, RemoteReceiver};
    /// # async fn total(receiver: &mut RemoteReceiver) -> Result<usize, RemoteError<RecvError>> {
    /// let mut length = 0;
    /// if let Some(mut message) = receiver.recv_stream().await? {
    ///     while let Some(part) = message.next_part().await? {
    ///         length += part.len();
    ///     }
    /// }
    /// # Ok(length)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn recv_stream(
        &mut self,
    ) -> Result<Option<RemoteMessageReader<'_>>, RemoteError<RecvError>> {
        let Some((first, has_more)) = self.first_part().await? else {
            return Ok(None);
        };
        Ok(Some(RemoteMessageReader {
            receiver: self,
            first: Some(first),
            has_more,
        }))
    }
}

/// A message that is taken in parts, made by [`RemoteReceiver::recv_stream`]. Take them with
/// [`next_part`](Self::next_part).
///
/// Dropped or leaked before the last part, the rest of the message is skipped: nobody gets it, and the
/// peer is not told.
pub struct RemoteMessageReader<'a> {
    receiver: &'a mut RemoteReceiver,
    first: Option<Bytes>,
    /// Whether others follow what was given.
    has_more: bool,
}

impl RemoteMessageReader<'_> {
    /// Returns the next part, `None` behind the last one. A part may be empty.
    ///
    /// # Errors
    ///
    /// [`RecvError::MessageGivenUp`] when the peer has given the message up, which is not final: the
    /// receiver goes on with the next message. Others as for [`RemoteReceiver::recv`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing; the next call carries on.
    pub async fn next_part(&mut self) -> Result<Option<Bytes>, RemoteError<RecvError>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if !self.has_more {
            return Ok(None);
        }
        let next = self.receiver.next_part().await;
        let (part, has_more) = next.inspect_err(|_| self.has_more = false)?;
        self.has_more = has_more;
        Ok(Some(part))
    }
}

/// Without the message, which is secret.
impl fmt::Debug for RemoteMessageReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteMessageReader")
            .field("has_more", &self.has_more)
            .finish_non_exhaustive()
    }
}
