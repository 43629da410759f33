//! The sending half of a connection as a sink.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_util::Sink;

use super::outbox::Mark;
use super::sender::Sender;
use crate::memory::Claim;
use crate::net::error::SendError;
use crate::protocol::layout::Planned;

impl Sender {
    /// Takes messages as a [`Sink`](futures_util::Sink).
    pub fn into_sink<M: AsRef<[u8]>>(self) -> MessageSink<M> {
        MessageSink::new(self)
    }
}

/// Sends through a [`Sender`], made by [`Sender::into_sink`]. Allocates nothing.
///
/// A message is sealed where it is given if the submission buffer has room for it. If it is full,
/// or there is none because nothing was being sent, the sink keeps this one message until it is
/// polled again; so flush after the last of several. What it keeps when it is dropped is not
/// sent; flush or close it first.
///
/// A message that is too large is an error of `start_send` and leaves the sink usable; every other
/// error is final.
pub struct MessageSink<M> {
    sender: Sender,
    /// The message that found no room.
    kept: Option<M>,
    /// What was planned for it.
    planned: Option<Planned>,
    /// The place in line for memory that the last poll took.
    claim: Option<Claim>,
}

impl<M: AsRef<[u8]>> MessageSink<M> {
    pub(crate) fn new(sender: Sender) -> Self {
        Self {
            sender,
            kept: None,
            planned: None,
            claim: None,
        }
    }

    /// Gives the sender back, and the message that waits for room if there is one.
    pub fn into_sender(self) -> (Sender, Option<M>) {
        (self.sender, self.kept)
    }

    fn poll_kept(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(message) = &self.kept else {
            return Poll::Ready(Ok(()));
        };
        let message = message.as_ref();
        // Nobody keeps a type of the caller's from giving another message at each poll.
        self.planned
            .take_if(|planned| planned.length() != message.len());
        let result =
            ready!(
                self.sender
                    .poll_send(context, &mut self.planned, &mut self.claim, message)
            );
        self.kept = None;
        Poll::Ready(result)
    }
}

// Nothing is ever pinned inside, whatever `M` is.
impl<M> Unpin for MessageSink<M> {}

impl<M: AsRef<[u8]>> Sink<M> for MessageSink<M> {
    type Error = SendError;

    fn poll_ready(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.get_mut().poll_kept(context)
    }

    /// # Panics
    ///
    /// If the sink was not ready.
    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), Self::Error> {
        let sink = self.get_mut();
        assert!(
            sink.kept.is_none(),
            "start_send before poll_ready was ready"
        );
        sink.planned = sink.sender.try_append(message.as_ref())?;
        if sink.planned.is_some() {
            sink.kept = Some(message);
        }
        Ok(())
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        let sink = self.get_mut();
        ready!(sink.poll_kept(context))?;
        let written = sink.sender.outbox().poll_written(context, Mark::ALL);
        written.map_err(SendError::from)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        let sink = self.get_mut();
        ready!(sink.poll_kept(context))?;
        let closed = sink.sender.outbox().poll_close(context);
        closed.map_err(SendError::from)
    }
}

impl<M> fmt::Debug for MessageSink<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MessageSink")
            .field("sender", &self.sender)
            .field("is_full", &self.kept.is_some())
            .finish_non_exhaustive()
    }
}
