//! The messages that are here already, one after the other and without a hold for each.

use super::message::Message;
use super::receiver::Receiver;
use crate::net::error::RecvError;

impl Receiver {
    /// Waits for a message, and gives it together with all that are here then, up to 16 384 of them:
    /// one wake-up, and one hold on the memory for all. `None` as for [`recv`](Self::recv).
    ///
    /// For those who count nanoseconds: on the native wire a small message costs no more than finding
    /// where it ends.
    ///
    /// ```
    /// # async fn take(receiver: &mut ringseal::Receiver) -> Result<usize, ringseal::RecvError> {
    /// let mut bytes = 0;
    /// while let Some(mut batch) = receiver.recv_batch().await? {
    ///     while let Some(message) = batch.next_message()? {
    ///         bytes += message.len();
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
    /// As for [`recv`](Self::recv). Dropping the batch loses nothing either.
    pub async fn recv_batch(&mut self) -> Result<Option<Batch<'_>>, RecvError> {
        let first = self.recv().await?;
        Ok(first.map(|first| {
            // The batch may be dropped before anything is taken.
            self.put_back(first);
            Batch::new(self)
        }))
    }
}

/// The messages that one wait has brought, made by [`Receiver::recv_batch`]. Take them with
/// [`next_message`](Self::next_message).
///
/// What is not taken is not lost: the receiver gives it later.
#[derive(Debug)]
pub struct Batch<'a> {
    receiver: &'a mut Receiver,
    /// What was given last, unless it lies in a record that the receiver holds.
    current: Option<Message>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(receiver: &'a mut Receiver) -> Self {
        Self {
            receiver,
            current: None,
        }
    }

    /// Returns the next message, which can be used until the one behind it is asked for, or `None`
    /// when there is to be a read first, or others are to have a turn. Waits for nothing.
    ///
    /// # Errors
    ///
    /// As for [`Receiver::recv`]. Messages given before are authentic.
    #[inline]
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, RecvError> {
        self.current = None;
        if let Some(range) = self.receiver.next_range()? {
            return Ok(self.receiver.packed(range));
        }
        self.current = self.receiver.recv_buffered()?;
        Ok(self.current.as_deref())
    }
}
