//! The receiving half of a connection, for any thread.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::FusedStream;

use super::error::RemoteError;
use super::incoming::Taken;
use super::shared::Shared;
use crate::net::RecvError;
use crate::protocol::record::layout::End;

/// Receives in any thread and any executor; also a [`Stream`], which ends with the peer's
/// direction, or after the first error.
///
/// The ring thread opens messages where they landed and copies them out once. Messages of up to
/// 2 KiB share blocks of 16 KiB: a block goes when the last message in it is dropped, so copy what
/// is kept for long.
///
/// Nothing is read for a receiver that nobody calls once its queue is full, which is so within the
/// bounds of [`QueueLimits`](super::QueueLimits) in messages and bytes; the peer is held back. What
/// this comes to in memory is said there: by default 1.2 MiB and two of the longest messages for each
/// connection, outside of [`RuntimeBuilder::heap_budget`](crate::RuntimeBuilder::heap_budget).
pub struct RemoteReceiver {
    shared: Arc<Shared>,
    /// What was taken over and not given out yet.
    taken: Taken,
    /// Whether the stream has said its last.
    ended: bool,
}

impl RemoteReceiver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            taken: Taken::default(),
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
        if self.taken.is_empty() {
            if self.shared.is_inherited() {
                return Poll::Ready(Err(RemoteError::ThreadEnded));
            }
            ready!(self.shared.incoming.poll_take(context, &mut self.taken))?;
        }
        Poll::Ready(Ok(self.taken.pop()))
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
