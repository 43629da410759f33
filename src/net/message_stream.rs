//! The receiving half of a connection as a stream.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::FusedStream;

use super::error::RecvError;
use super::message::Message;
use super::receiver::Receiver;
use crate::memory::Acquire;

/// The messages of a [`Receiver`], made by [`Receiver::into_stream`]. Allocates nothing.
///
/// Ends with the peer's direction, or after the first error. As with [`Receiver::recv`], dropping
/// a future that waits for the next message loses nothing. A stream that was polled and is then
/// left alone may hold a slot that others of its thread wait for: poll it or drop it.
#[derive(Debug)]
pub struct MessageStream {
    receiver: Receiver,
    /// The wait for a slot that the last poll began.
    acquire: Option<Acquire>,
    ended: bool,
}

impl MessageStream {
    pub(super) fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
            acquire: None,
            ended: false,
        }
    }

    /// Gives the receiver back. No message is lost.
    pub fn into_receiver(self) -> Receiver {
        self.receiver
    }
}

impl Stream for MessageStream {
    type Item = Result<Message, RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        if stream.ended {
            return Poll::Ready(None);
        }
        let poll = stream.receiver.poll_recv(context, &mut stream.acquire);
        poll.map(|result| {
            stream.ended = !matches!(result, Ok(Some(_)));
            result.transpose()
        })
    }
}

impl FusedStream for MessageStream {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}
