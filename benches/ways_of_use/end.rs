//! One end of a connection, whichever way it is used.

use core::fmt::Debug;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use ringseal::{Receiver, RemoteReceiver, RemoteSender, Sender};

use crate::peer::{MESSAGES_A_CLOCK_READING, Request, Work};

/// Sends and receives in one of the ways.
pub(crate) trait End {
    /// Sends a message; it may wait for others.
    async fn send(&mut self, message: &Bytes);

    /// Has what was sent leave; only adapters need to be told.
    async fn flush(&mut self) {}

    /// Receives a message and returns its length.
    async fn recv(&mut self) -> usize;
}

/// `Sender::send` and `Receiver::recv`.
pub(crate) struct Bound(pub(crate) Sender, pub(crate) Receiver);

impl End for Bound {
    async fn send(&mut self, message: &Bytes) {
        self.0.send(message).await.expect("send");
    }

    async fn recv(&mut self) -> usize {
        self.1.recv().await.expect("recv").expect("a message").len()
    }
}

/// `RemoteSender::send` and `RemoteReceiver::recv`.
pub(crate) struct Handle(pub(crate) RemoteSender, pub(crate) RemoteReceiver);

impl End for Handle {
    async fn send(&mut self, message: &Bytes) {
        self.0.send(message.clone()).await.expect("send");
    }

    async fn recv(&mut self) -> usize {
        self.1.recv().await.expect("recv").expect("a message").len()
    }
}

/// A `Sink` and a `Stream`: of halves that are bound to their thread, or handles.
pub(crate) struct Adapters<S, R>(pub(crate) S, pub(crate) R);

impl<S, R, M, E> End for Adapters<S, R>
where
    S: Sink<Bytes, Error: Debug> + Unpin,
    R: Stream<Item = Result<M, E>> + Unpin,
    M: AsRef<[u8]>,
    E: Debug,
{
    async fn send(&mut self, message: &Bytes) {
        self.0.feed(message.clone()).await.expect("send");
    }

    async fn flush(&mut self) {
        self.0.flush().await.expect("flush");
    }

    async fn recv(&mut self) -> usize {
        let message = self.1.next().await.expect("a message").expect("recv");
        message.as_ref().len()
    }
}

/// Has the peer do a piece of work, and returns the end, how many messages that were and how long
/// they took.
pub(crate) async fn exchange<E: End>(mut end: E, request: Request) -> (E, u64, Duration) {
    end.send(&Bytes::from(request.encode())).await;
    end.flush().await;
    let message = Bytes::from(vec![0x5a; request.size]);
    let mut count = 0;
    let start = Instant::now();
    match request.work {
        Work::Take => {
            while start.elapsed() < request.duration {
                for _ in 0..MESSAGES_A_CLOCK_READING {
                    end.send(&message).await;
                    count += 1;
                }
            }
            end.send(&Bytes::new()).await;
            end.flush().await;
            assert_eq!(end.recv().await, 0, "the answer is empty");
        }
        Work::Give => loop {
            match end.recv().await {
                0 => break,
                length => assert_eq!(length, request.size),
            }
            count += 1;
        },
        Work::Echo => {
            while start.elapsed() < request.duration {
                end.send(&message).await;
                end.flush().await;
                assert_eq!(end.recv().await, request.size);
                count += 1;
            }
        }
    }
    let elapsed = start.elapsed();
    if request.work == Work::Echo {
        end.send(&Bytes::new()).await;
        end.flush().await;
        assert_eq!(end.recv().await, 0, "the echo is empty");
    }
    (end, count, elapsed)
}
