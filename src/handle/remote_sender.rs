//! The sending half of a connection, for any thread.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Sink;

use super::batch::Fragment;
use super::error::RemoteError;
use super::shared::Shared;
use crate::net::{SendError, SendProgress};
use crate::protocol::AbortReason;

/// Sends from any thread and in any executor; also a [`Sink`].
///
/// [`send`](Self::send) returns when the message is in a queue of bounded length, from which the
/// ring thread seals it into a submission buffer: the plaintext is never copied. Errors of the
/// connection surface on the next call; [`flush`](Self::flush) gives certainty.
///
/// Dropping the sender without [`close`](Self::close) sends what is queued in the background while
/// the receiver lives; when both halves are dropped, what is queued is lost, and what was taken from
/// the queue still arrives as [`Connection`](crate::Connection) says.
pub struct RemoteSender {
    shared: Arc<Shared>,
}

impl RemoteSender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Returns the longest message that can be sent, in bytes.
    pub fn max_message_size(&self) -> u64 {
        self.shared.outgoing.max_message_size()
    }

    fn check_process(&self) -> Result<(), RemoteError<SendError>> {
        if self.shared.is_inherited() {
            return Err(RemoteError::ThreadEnded);
        }
        Ok(())
    }

    /// Queues `message` for the ring thread. A `Vec` or `Bytes` is taken as it is.
    ///
    /// Waits while the queue is full because the peer does not read, or because the ring thread is
    /// busy; see [`QueueLimits`](super::QueueLimits).
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] leaves the sender usable; every other error is final.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it is done sends nothing; the sender stays usable.
    pub async fn send(&mut self, message: impl Into<Bytes>) -> Result<(), RemoteError<SendError>> {
        let message = message.into();
        self.check_part(0, message.len())?;
        self.queue(Fragment::whole(message)).await
    }

    /// Waits for room and queues a message, or a part of one.
    pub(super) async fn queue(&mut self, fragment: Fragment) -> Result<(), RemoteError<SendError>> {
        let mut fragment = Some(fragment);
        poll_fn(|context| self.shared.outgoing.poll_send(context, &mut fragment)).await
    }

    /// Begins a message in parts, whatever has become of one before.
    pub(super) fn begin_message(&self) -> Result<(), RemoteError<SendError>> {
        self.check_process()?;
        self.shared.outgoing.begin_message()
    }

    /// Gives up the message of which parts were queued, if there is one.
    pub(super) fn give_message_up(&self) {
        if !self.shared.is_inherited() {
            self.shared.outgoing.give_message_up();
        }
    }

    /// Tells what is too long to be a message, behind `sent` bytes of it, and of a forked child.
    pub(super) fn check_part(
        &self,
        sent: u64,
        length: usize,
    ) -> Result<(), RemoteError<SendError>> {
        self.shared.outgoing.check_length(sent, length)?;
        self.check_process()
    }

    /// Queues `message` as [`send`](Self::send) does if that takes no waiting; returns whether it did.
    /// If not, the queue is full, and the message is still the caller's: [`send`](Self::send) waits
    /// for room.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn try_send(&mut self, message: &Bytes) -> Result<bool, RemoteError<SendError>> {
        self.check_part(0, message.len())?;
        self.shared.outgoing.try_send(message)
    }

    /// Has what is sent from here on sealed with new keys, and the old ones wiped; returns whether
    /// the wire has that: see [`Sender::update_keys`](crate::Sender::update_keys). It takes its place
    /// behind the messages in the queue, and [`flush`](Self::flush) does not wait for it.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush).
    pub fn update_keys(&mut self) -> Result<bool, RemoteError<SendError>> {
        self.check_process()?;
        let outgoing = &self.shared.outgoing;
        outgoing.notify(|notice| notice.updates_keys = true)
    }

    /// Asks the peer to begin nothing new and then to end, because this end would like to; returns
    /// whether the wire has that: see
    /// [`Sender::announce_leaving`](crate::Sender::announce_leaving). The peer is asked behind the
    /// messages in the queue, once for all that is asked between two messages, with the last
    /// `reason`; [`flush`](Self::flush) does not wait for it.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush).
    pub fn announce_leaving(&mut self, reason: u16) -> Result<bool, RemoteError<SendError>> {
        self.check_process()?;
        let outgoing = &self.shared.outgoing;
        outgoing.notify(|notice| notice.leaving = Some(reason))
    }

    /// Gives the connection up: see [`Sender::abort`](crate::Sender::abort) for what the peer sees.
    ///
    /// What was sent before still leaves, the queue included; where the peer does not read, for 5
    /// seconds, in the background. Nothing more is received, and what waited to be is dropped: the
    /// receiver gives what it had taken over already, then [`RecvError::Closed`].
    ///
    /// Once [`Sink::poll_close`] has begun to end the direction in order, the peer is told of that
    /// end and of no other. [`RingThreads`](crate::RingThreads) that end meanwhile tell nothing.
    ///
    /// [`RecvError::Closed`]: crate::RecvError::Closed
    pub fn abort(self, reason: AbortReason) {
        if !self.shared.is_inherited() {
            self.shared.outgoing.abort(reason);
            self.shared.incoming.give_up();
        }
    }

    /// Waits until the kernel has taken all that was sent. Says nothing about the peer.
    ///
    /// # Errors
    ///
    /// [`RemoteError`], final.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&mut self) -> Result<(), RemoteError<SendError>> {
        self.check_process()?;
        poll_fn(|context| self.shared.outgoing.poll_flush(context)).await
    }

    /// Returns how many messages were queued, and how many of them are confirmed by a
    /// [`flush`](Self::flush): also after the connection has failed; see
    /// [`Sender::progress`](crate::Sender::progress).
    pub fn progress(&self) -> SendProgress {
        if self.shared.is_inherited() {
            return SendProgress::default();
        }
        self.shared.outgoing.progress()
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
    pub async fn close(self) -> Result<(), RemoteError<SendError>> {
        self.check_process()?;
        poll_fn(|context| self.shared.outgoing.poll_close(context)).await
    }
}

impl Sink<Bytes> for RemoteSender {
    type Error = RemoteError<SendError>;

    /// Is ready while the queue is within its bounds, which the next message may exceed.
    fn poll_ready(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.check_process()?;
        self.shared.outgoing.poll_room(context)
    }

    fn start_send(self: Pin<&mut Self>, message: Bytes) -> Result<(), Self::Error> {
        self.check_part(0, message.len())?;
        self.shared.outgoing.push(message)
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.check_process()?;
        self.shared.outgoing.poll_flush(context)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.check_process()?;
        self.shared.outgoing.poll_close(context)
    }
}

/// How much waits, not the messages, which are secret.
impl fmt::Debug for RemoteSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteSender")
            .field("waiting", &self.shared.outgoing.waiting())
            .finish_non_exhaustive()
    }
}

impl Drop for RemoteSender {
    fn drop(&mut self) {
        if !self.shared.is_inherited() {
            self.shared.outgoing.drop_sender();
        }
    }
}
