//! The receiving half of a connection, for any thread.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::FusedStream;

use super::batch::{Fragment, Kind};
use super::error::RemoteError;
use super::incoming::Taken;
use super::shared::Shared;
use crate::net::RecvError;
use crate::protocol::AbortReason;
use crate::protocol::layout::End;

/// Receives in any thread and any executor; also a [`Stream`], which ends with the peer's
/// direction, or after the first error.
///
/// The ring thread opens messages where they landed and copies them out once. Messages of up to
/// 2 KiB share blocks of 16 KiB: a block goes when the last message in it is dropped, so copy what
/// is kept for long.
///
/// Nothing is read for a receiver that nobody calls once its queue is full, which is so within the
/// bounds of [`QueueLimits`](super::QueueLimits) in messages and bytes; the peer is held back. What
/// this comes to in memory is said there: by default 1.3 MiB and two of the longest messages for each
/// connection, outside of [`RuntimeBuilder::heap_budget`](crate::RuntimeBuilder::heap_budget).
pub struct RemoteReceiver {
    shared: Arc<Shared>,
    /// What was taken over and not given out yet.
    taken: Taken,
    /// The parts of the message that is being put together.
    assembly: BytesMut,
    /// Whether parts of a message were given out of which others follow.
    is_mid_message: bool,
    /// Whether the stream has said its last.
    ended: bool,
}

impl RemoteReceiver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            taken: Taken::default(),
            assembly: BytesMut::new(),
            is_mid_message: false,
            ended: false,
        }
    }

    /// Returns the next message, or `None` when the peer has ended its direction; see
    /// [`Receiver::recv`](crate::Receiver::recv) for what that proves.
    ///
    /// # Errors
    ///
    /// Final: every later call gives [`RecvError::Closed`]. Messages given before are authentic.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing; the next call carries on.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RemoteError<RecvError>> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// Returns what the end of the peer's direction proves, once [`recv`](Self::recv) has given
    /// `None`; see [`Receiver::end`](crate::Receiver::end).
    pub fn end(&self) -> Option<End> {
        self.taken.end()
    }

    /// Returns the reason that the peer gave for asking this end to begin nothing new and then to
    /// end, if it has, and if all messages that it sent before were given out; see
    /// [`Receiver::leaving`](crate::Receiver::leaving). Heard of without a call of
    /// [`recv`](Self::recv), while the queue has room; one that waits goes on waiting. `None` in a
    /// forked child.
    pub fn leaving(&self) -> Option<u16> {
        if self.shared.is_inherited() {
            return None;
        }
        self.shared.incoming.leaving(&self.taken)
    }

    fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, RemoteError<RecvError>>> {
        while let Some(Fragment { bytes, kind }) = ready!(self.poll_fragment(context))? {
            match kind {
                Kind::Whole => return Poll::Ready(Ok(Some(bytes))),
                Kind::GivenUp => self.assembly = BytesMut::new(),
                Kind::Part | Kind::Last => {
                    self.check_assembly(bytes.len())?;
                    self.assembly.extend_from_slice(&bytes);
                }
            }
            if kind == Kind::Last {
                let message = core::mem::take(&mut self.assembly);
                return Poll::Ready(Ok(Some(message.freeze())));
            }
        }
        Poll::Ready(Ok(None))
    }

    /// Tells what is too long to be put together, and has the peer told.
    fn check_assembly(&mut self, added: usize) -> Result<(), RemoteError<RecvError>> {
        let limit = self.shared.message_limit;
        if self.assembly.len().saturating_add(added) <= limit {
            return Ok(());
        }
        self.assembly = BytesMut::new();
        self.taken = Taken::default();
        self.shared.incoming.give_up();
        self.shared.outgoing.abort(AbortReason::TOO_LARGE);
        Err(RecvError::TooLong { limit }.into())
    }

    /// Waits for the next fragment of what is not given out in parts already.
    fn poll_fragment(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Fragment>, RemoteError<RecvError>>> {
        loop {
            let fragment = ready!(self.poll_next_fragment(context))?;
            match &fragment {
                // Whoever took the message in parts has gone.
                Some(skipped) if self.is_mid_message => {
                    self.is_mid_message = skipped.kind == Kind::Part;
                }
                _ => return Poll::Ready(Ok(fragment)),
            }
        }
    }

    fn poll_next_fragment(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Fragment>, RemoteError<RecvError>>> {
        if self.taken.is_empty() {
            if self.shared.is_inherited() {
                return Poll::Ready(Err(RemoteError::ThreadEnded));
            }
            ready!(self.shared.incoming.poll_take(context, &mut self.taken))?;
        }
        Poll::Ready(Ok(self.taken.pop()))
    }

    /// Waits for a message that is taken in parts; returns its first part, and whether others follow.
    pub(super) async fn first_part(
        &mut self,
    ) -> Result<Option<(Bytes, bool)>, RemoteError<RecvError>> {
        if !self.assembly.is_empty() {
            // `recv` was given up in the middle of it.
            self.is_mid_message = true;
            let part = core::mem::take(&mut self.assembly);
            return Ok(Some((part.freeze(), true)));
        }
        loop {
            let Some(fragment) = poll_fn(|context| self.poll_fragment(context)).await? else {
                return Ok(None);
            };
            // Nobody has seen anything of one that is given up.
            if fragment.kind != Kind::GivenUp {
                self.is_mid_message = fragment.kind == Kind::Part;
                return Ok(Some((fragment.bytes, self.is_mid_message)));
            }
        }
    }

    /// Waits for the next part of the message of which parts were given out; returns it, and whether
    /// others follow.
    pub(super) async fn next_part(&mut self) -> Result<(Bytes, bool), RemoteError<RecvError>> {
        match poll_fn(|context| self.poll_next_fragment(context)).await? {
            Some(fragment) => {
                self.is_mid_message = fragment.kind == Kind::Part;
                if fragment.kind == Kind::GivenUp {
                    return Err(RecvError::MessageGivenUp.into());
                }
                Ok((fragment.bytes, self.is_mid_message))
            }
            // The peer can't end between the parts of a message.
            None => Err(RecvError::Closed.into()),
        }
    }
}

impl Stream for RemoteReceiver {
    type Item = Result<Bytes, RemoteError<RecvError>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let receiver = self.get_mut();
        if receiver.ended {
            return Poll::Ready(None);
        }
        receiver.poll_recv(context).map(|result| {
            receiver.ended = !matches!(result, Ok(Some(_)));
            result.transpose()
        })
    }
}

impl FusedStream for RemoteReceiver {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

/// How much is here and how much waits, not the messages, which are secret.
impl fmt::Debug for RemoteReceiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteReceiver")
            .field("here", &self.taken.size())
            .field("waiting", &self.shared.incoming.waiting())
            .finish_non_exhaustive()
    }
}

impl Drop for RemoteReceiver {
    fn drop(&mut self) {
        if self.shared.is_inherited() {
            return;
        }
        self.shared.incoming.drop_receiver();
        self.shared.outgoing.drop_receiver();
    }
}
