//! The sending half of a connection.

use core::future::poll_fn;
use core::ops::{Deref, DerefMut};
use core::task::{Context, Poll, ready};
use std::rc::Rc;

use super::context::count;
use super::error::SendError;
use super::message_sink::MessageSink;
use super::outbox::{Filling, Outbox, Refusal};
use crate::memory::{Acquire, Buffer, Class};
use crate::protocol::record::{SealError, Sealer};

/// The shortest heap block that takes the place of a slot, in bytes: a bound on memory, and still
/// room for small messages to leave together.
const SUBSTITUTE_SIZE: usize = 16 * 1024;

/// Seals messages straight into submission buffers.
///
/// [`send`](Self::send) returns when the message is sealed; it leaves when the buffer is full or
/// the thread has nothing else to run, whichever comes first. [`flush`](Self::flush) tells that
/// the kernel has it. Errors of the socket surface on the next call.
///
/// Dropping the sender without [`close`](Self::close) sends what is sealed in the background
/// while the receiver lives; when both halves are dropped, what the kernel has not taken is lost
/// and the peer sees the end at once.
#[derive(Debug)]
pub struct Sender {
    sealer: Sealer,
    outbox: Rc<Outbox>,
    /// The current buffer while a reservation is out. Still here at the next call when the
    /// reservation was leaked, with the records that were sealed before it.
    reserved: Option<Filling>,
}

impl Sender {
    pub(crate) fn new(sealer: Sealer, outbox: Rc<Outbox>) -> Self {
        Self {
            sealer,
            outbox,
            reserved: None,
        }
    }

    /// Returns the longest message that can be sent, in bytes.
    pub fn max_message_size(&self) -> u32 {
        self.sealer.max_message_size()
    }

    /// Seals `message` from the caller's bytes into the current submission buffer.
    ///
    /// Waits when two buffers are full because the peer does not read, or when one is and the pool
    /// has no slot for another. A message whose record is longer than a slot gets a heap block of
    /// its own. So does one that finds neither a slot nor anything of its sender's on the way:
    /// peers that do not read stop nobody else.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] leaves the sender usable; every other error is final.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it is done sends nothing; the sender stays usable.
    #[inline]
    pub async fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let length = self.sealer.sealed_len(message.len())?;
        let filling = self.room(length).await?;
        self.seal(message, filling, length)
    }

    /// Gives room for a message of `length` bytes inside a submission buffer, zeroed, to be
    /// written by the caller and then sent: no copy at all.
    ///
    /// Records sealed before wait for it, so don't hold it for long.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancellation
    ///
    /// As for [`send`](Self::send). Dropping the reservation sends nothing either. Leaking it
    /// (`core::mem::forget`) is dropping it with the next call.
    pub async fn reserve(&mut self, length: usize) -> Result<Reservation<'_>, SendError> {
        let sealed = self.sealer.sealed_len(length)?;
        let mut filling = self.room(sealed).await?;
        let start = filling.length + self.sealer.header_len(length);
        // Whoever had the slot before, its bytes are not for this caller.
        filling.buffer[start..start + length].fill(0);
        self.reserved = Some(filling);
        Ok(Reservation {
            sender: self,
            start,
            length,
            sealed,
        })
    }

    /// Sends the messages in order, after checking all of their sizes.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); a batch with one message that is too large sends none.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends a part of the batch, whole messages from its start.
    pub async fn send_many<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> Result<(), SendError> {
        for message in messages {
            self.sealer.sealed_len(message.as_ref().len())?;
        }
        for message in messages {
            self.send(message.as_ref()).await?;
        }
        Ok(())
    }

    /// Waits until the kernel has taken all that was sent. Says nothing about the peer.
    ///
    /// # Errors
    ///
    /// [`SendError::Transport`], [`SendError::TimedOut`] and [`SendError::Closed`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        Ok(self.outbox().flush().await?)
    }

    /// Flushes, then tells the peer that no more messages follow.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush).
    ///
    /// # Cancellation
    ///
    /// Dropping the future is dropping the sender.
    pub async fn close(mut self) -> Result<(), SendError> {
        Ok(self.outbox().close().await?)
    }

    /// Takes messages as a [`Sink`](futures_util::Sink).
    pub fn into_sink<M: AsRef<[u8]>>(self) -> MessageSink<M> {
        MessageSink::new(self)
    }

    /// Seals `message` if the current buffer has room for it now; returns whether it did.
    #[inline]
    pub(super) fn try_send(&mut self, message: &[u8]) -> Result<bool, SendError> {
        let length = self.sealer.sealed_len(message.len())?;
        let Some(filling) = self.current(length)? else {
            return Ok(false);
        };
        self.seal(message, filling, length)?;
        Ok(true)
    }

    /// Does what [`send`](Self::send) does. What `acquire` holds is to be dropped when nobody
    /// polls on: it may be a slot.
    pub(super) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        acquire: &mut Option<Acquire>,
        message: &[u8],
    ) -> Poll<Result<(), SendError>> {
        let length = self.sealer.sealed_len(message.len())?;
        let filling = match self.current(length)? {
            Some(filling) => filling,
            None => ready!(self.poll_fresh(context, acquire, length))?,
        };
        Poll::Ready(self.seal(message, filling, length))
    }

    /// Returns the outbox with all that is sealed in it.
    #[inline]
    pub(super) fn outbox(&mut self) -> &Outbox {
        if self.reserved.is_some() {
            self.put_reserved_back();
        }
        &self.outbox
    }

    #[cold]
    fn put_reserved_back(&mut self) {
        if let Some(filling) = self.reserved.take() {
            self.outbox.put(filling, 0);
        }
    }

    /// Takes the current buffer with room for a record of `length` bytes.
    #[inline]
    async fn room(&mut self, length: usize) -> Result<Filling, SendError> {
        if let Some(filling) = self.current(length)? {
            return Ok(filling);
        }
        self.fresh(length).await
    }

    /// Takes the current buffer if it has room for a record of `length` bytes.
    #[inline]
    fn current(&mut self, length: usize) -> Result<Option<Filling>, SendError> {
        Ok(self.outbox().take(length)?)
    }

    /// Has the current buffer written and makes a new one with room for `length` bytes.
    #[cold]
    async fn fresh(&mut self, length: usize) -> Result<Filling, SendError> {
        // Given up with the future, and with it the place in the pool's queue.
        let mut acquire = None;
        poll_fn(|context| self.poll_fresh(context, &mut acquire, length)).await
    }

    fn poll_fresh(
        &self,
        context: &mut Context<'_>,
        acquire: &mut Option<Acquire>,
        length: usize,
    ) -> Poll<Result<Filling, SendError>> {
        ready!(self.outbox.poll_vacancy(context)).inspect_err(|_| *acquire = None)?;
        let pool = &self.outbox.link().context.pool;
        if length > pool.slot_size() {
            return Poll::Ready(self.heap_block(length));
        }
        let waiting = acquire.get_or_insert_with(|| Acquire::new(pool.clone(), Class::Send));
        if let Poll::Ready(slot) = waiting.poll(context) {
            *acquire = None;
            return Poll::Ready(Ok(Filling::new(slot)));
        }
        // Peers that do not read may keep all slots for sending, but only stop their own senders.
        ready!(self.outbox.poll_empty(context));
        *acquire = None;
        Poll::Ready(self.heap_block(length.max(SUBSTITUTE_SIZE.min(pool.slot_size()))))
    }

    fn heap_block(&self, length: usize) -> Result<Filling, SendError> {
        count(&self.outbox.link().context.counters.large_blocks, 1);
        let block = Buffer::heap(length).map_err(|_| SendError::OutOfMemory { length })?;
        Ok(Filling::new(block))
    }

    #[inline]
    fn seal(
        &mut self,
        message: &[u8],
        mut filling: Filling,
        length: usize,
    ) -> Result<(), SendError> {
        let record = &mut filling.buffer[filling.length..filling.length + length];
        self.sealer
            .seal(message, record)
            .inspect_err(|_| self.outbox.abort())?;
        self.commit(filling, length);
        Ok(())
    }

    #[inline]
    fn commit(&self, mut filling: Filling, length: usize) {
        count(&self.outbox.link().context.counters.messages_sent, 1);
        filling.length += length;
        self.outbox.put(filling, length);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.outbox().drop_sender();
    }
}

/// What lets a reservation reach its buffer.
const RESERVED: &str = "the buffer is the reservation's until it is used";

/// Room for one message inside a submission buffer. Write the plaintext, then
/// [`send`](Self::send) it.
#[derive(Debug)]
pub struct Reservation<'a> {
    sender: &'a mut Sender,
    /// Where the plaintext starts in the buffer.
    start: usize,
    length: usize,
    sealed: usize,
}

impl Reservation<'_> {
    /// Seals the message where it stands.
    ///
    /// # Errors
    ///
    /// [`SendError::SealFailed`], which is final.
    pub fn send(self) -> Result<(), SendError> {
        let mut filling = self.sender.reserved.take().expect(RESERVED);
        let record = &mut filling.buffer[filling.length..filling.length + self.sealed];
        self.sender
            .sealer
            .seal_in_place(self.length, record)
            .inspect_err(|_| self.sender.outbox.abort())?;
        self.sender.commit(filling, self.sealed);
        Ok(())
    }
}

impl Deref for Reservation<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let filling = self.sender.reserved.as_ref().expect(RESERVED);
        &filling.buffer[self.start..self.start + self.length]
    }
}

impl DerefMut for Reservation<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let filling = self.sender.reserved.as_mut().expect(RESERVED);
        &mut filling.buffer[self.start..self.start + self.length]
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.sender.put_reserved_back();
    }
}

impl From<Refusal> for SendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Self::Closed,
            Refusal::Failed(error) => Self::Transport(error),
            Refusal::TimedOut(limit) => Self::TimedOut { limit },
        }
    }
}

impl From<SealError> for SendError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::TooLarge { length, limit } => Self::TooLarge { length, limit },
            SealError::Closed => Self::Closed,
            _ => Self::SealFailed,
        }
    }
}
