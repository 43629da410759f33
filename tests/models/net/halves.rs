//! Halves of a connection that is a list at each end.

use core::future::pending;
use core::ops::Deref;
use core::task::{Context, Poll};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::protocol::AbortReason;
use crate::protocol::layout::End;

/// What a peer would have received, in order. Its lock is the standard library's: it is no part of
/// what is tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<Sent>>>);

/// What came over a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Message(Bytes),
    /// A part of a message.
    Part(Bytes),
    /// The message of which parts came is given up.
    GivenUp,
    KeyUpdate,
    Leaving(u16),
    Flush,
    Abort(AbortReason),
    End,
    /// The sender was dropped.
    Drop,
}

impl Wire {
    /// Returns what came so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, sent: Sent) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(sent);
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    #[error("closed")]
    Closed,
    #[error("too large: {length} of {limit}")]
    TooLarge { length: usize, limit: u64 },
    #[error("no parts")]
    NoParts,
    #[error("the socket failed")]
    Transport,
}

/// Sends to a [`Wire`], and after as many messages as it is told fails or comes to a halt.
#[derive(Debug)]
pub(crate) struct Sender {
    wire: Wire,
    left: usize,
    /// Whether the peer stops reading then.
    halts: bool,
}

impl Sender {
    pub(crate) fn new(wire: &Wire) -> Self {
        Self::failing_after(wire, usize::MAX)
    }

    pub(crate) fn failing_after(wire: &Wire, messages: usize) -> Self {
        Self {
            wire: wire.clone(),
            left: messages,
            halts: false,
        }
    }

    /// The peer does not read.
    pub(crate) fn halted(wire: &Wire) -> Self {
        let mut sender = Self::failing_after(wire, 0);
        sender.halts = true;
        sender
    }

    pub(crate) async fn send(&mut self, message: &Bytes) -> Result<(), SendError> {
        if self.left == 0 && self.halts {
            pending::<()>().await;
        }
        self.left = self.left.checked_sub(1).ok_or(SendError::Transport)?;
        self.wire.add(Sent::Message(message.clone()));
        Ok(())
    }

    pub(crate) async fn append_part(&mut self, rest: &[u8], _: bool) -> Result<usize, SendError> {
        self.wire.add(Sent::Part(Bytes::copy_from_slice(rest)));
        Ok(rest.len())
    }

    pub(crate) fn give_message_up(&mut self) {
        self.wire.add(Sent::GivenUp);
    }

    pub(crate) async fn flush(&mut self) -> Result<(), SendError> {
        self.wire.add(Sent::Flush);
        Ok(())
    }

    pub(crate) fn update_keys(&mut self) {
        self.wire.add(Sent::KeyUpdate);
    }

    pub(crate) fn announce_leaving(&mut self, reason: u16) {
        self.wire.add(Sent::Leaving(reason));
    }

    pub(crate) async fn close(self) -> Result<(), SendError> {
        self.wire.add(Sent::End);
        Ok(())
    }

    pub(crate) fn abort(self, reason: AbortReason) {
        self.wire.add(Sent::Abort(reason));
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.wire.add(Sent::Drop);
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecvError {
    #[error("closed")]
    Closed,
    #[error("given up")]
    MessageGivenUp,
}

/// The bytes of a message.
#[derive(Debug)]
pub(crate) struct Message(Bytes);

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// A message that was received.
pub(crate) struct Piece {
    pub(crate) bytes: Message,
    pub(crate) is_last: bool,
}

impl Piece {
    fn whole(bytes: Message) -> Self {
        Self {
            bytes,
            is_last: true,
        }
    }
}

/// What a [`Receiver`] gives.
#[derive(Debug)]
pub(crate) enum Arrivals {
    /// These messages and the end, each read by itself.
    OneByOne(VecDeque<Bytes>),
    /// These messages in one read, then the end.
    Together(VecDeque<Bytes>),
    /// Nothing ever.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Receiver(Arrivals);

/// A place in line, which nobody needs here.
pub(crate) struct Claim;

impl Receiver {
    pub(crate) fn new(arrivals: Arrivals) -> Self {
        Self(arrivals)
    }

    fn poll_recv(
        &mut self,
        _: &mut Context<'_>,
        _: &mut Option<Claim>,
    ) -> Poll<Result<Option<Message>, RecvError>> {
        match &mut self.0 {
            Arrivals::OneByOne(messages) | Arrivals::Together(messages) => {
                Poll::Ready(Ok(messages.pop_front().map(Message)))
            }
            Arrivals::Nothing => Poll::Pending,
        }
    }

    fn recv_buffered(&mut self) -> Result<Option<Message>, RecvError> {
        match &mut self.0 {
            Arrivals::Together(messages) => Ok(messages.pop_front().map(Message)),
            Arrivals::OneByOne(_) | Arrivals::Nothing => Ok(None),
        }
    }

    pub(crate) fn poll_ahead(
        &mut self,
        context: &mut Context<'_>,
        claim: &mut Option<Claim>,
    ) -> Poll<Result<Option<Piece>, RecvError>> {
        let message = self.poll_recv(context, claim);
        message.map_ok(|message| message.map(Piece::whole))
    }

    pub(crate) fn ahead_buffered(&mut self) -> Result<Option<Piece>, RecvError> {
        Ok(self.recv_buffered()?.map(Piece::whole))
    }

    pub(crate) fn leaving(&self) -> Option<u16> {
        None
    }

    pub(crate) fn end(&self) -> Option<End> {
        Some(End::Authenticated)
    }

    pub(crate) fn step_aside(&mut self) {}
}
