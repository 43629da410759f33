//! The receiving half of a connection as a stream.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::FusedStream;

use super::message::Message;
use super::receiver::Receiver;
use crate::memory::Claim;
use crate::net::error::RecvError;

impl Receiver {
    /// Gives the messages as a [`Stream`](futures_util::Stream).
    pub fn into_stream(self) -> MessageStream {
        MessageStream::new(self)
    }
}

/// The messages of a [`Receiver`], made by [`Receiver::into_stream`]. Allocates nothing.
///
/// Ends with the peer's direction, or after the first error. As with [`Receiver::recv`], dropping
/// a future that waits for the next message loses nothing.
#[derive(Debug)]
pub struct MessageStream {
    receiver: Receiver,
    /// The place in line for memory that the last poll took.
    claim: Option<Claim>,
    ended: bool,
}

impl MessageStream {
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
            claim: None,
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
        let poll = stream.receiver.poll_recv(context, &mut stream.claim);
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
