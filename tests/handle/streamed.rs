//! Messages of any length, sent and received in parts by any thread.

use bytes::Bytes;
use ringseal::{
    Admission, QueueLimits, RecvError, RemoteConnection, RemoteError, RingHandle, SendError, Wire,
};

use super::{config, key, pair_with, patiently, threads};

/// Bytes of the longest message that is put together.
const SHORT: u32 = 100_000;
/// Bytes of the longest that is taken in parts.
const LONG: u64 = 100_000_000;

/// Both ends of a connection that takes messages up to [`LONG`] in parts.
async fn streaming_pair(handle: &RingHandle) -> (RemoteConnection, RemoteConnection) {
    let config = |seed| config(seed).max_message_size(SHORT).max_streamed_size(LONG);
    let mut listener = handle
        .listen("127.0.0.1:0", &config(2), Admission::allow_list([key(1)]))
        .await
        .expect("listen");
    let (address, dialer) = (listener.local_address(), config(1));
    let (dialed, accepted) =
        futures_util::join!(handle.dial(&address, key(2), &dialer), listener.accept());
    (dialed.expect("dial"), accepted.expect("accept"))
}

/// Bytes of a long message from `start` on.
fn piece(start: u64, length: usize) -> Bytes {
    (start..).take(length).map(byte).collect()
}

fn byte(position: u64) -> u8 {
    (position ^ (position >> 8)).to_le_bytes()[0]
}

/// Sends a message of `length` bytes in parts of uneven lengths.
async fn send_long(connection: &mut RemoteConnection, length: u64) {
    let mut message = connection.send_stream().expect("a wire with parts");
    while message.written() < length {
        let rest = length - message.written();
        let next = rest.min(1 + message.written() * 7 % 150_000);
        let next = piece(message.written(), usize::try_from(next).expect("short"));
        message.write(next).await.expect("write");
    }
    message.finish().await.expect("finish");
}

/// Receives one in parts and returns its length.
async fn receive_long(connection: &mut RemoteConnection) -> u64 {
    let mut length = 0;
    let message = connection.recv_stream().await.expect("recv");
    let mut message = message.expect("a message");
    while let Some(part) = message.next_part().await.expect("a part") {
        assert!((length..).zip(&part[..]).all(|(at, &it)| it == byte(at)));
        length += part.len() as u64;
    }
    length
}

async fn receive(connection: &mut RemoteConnection) -> Bytes {
    connection.recv().await.expect("recv").expect("a message")
}

#[tokio::test]
async fn a_message_longer_than_both_queues_goes_both_ways_at_once() {
    const LENGTH: u64 = 20_000_000;
    patiently(async {
        let threads = threads(1);
        let limits = QueueLimits::default().bytes(64 * 1024).messages(16);
        let handle = threads.handle().queue_limits(limits);
        let (mut dialer, mut listener) = streaming_pair(&handle).await;
        let serving = tokio::spawn(async move {
            let length = receive_long(&mut listener).await;
            send_long(&mut listener, length).await;
            listener.close().await.expect("close");
        });
        let (mut sender, mut receiver) = streaming_pair(&handle).await;
        let other = tokio::spawn(async move { receive_long(&mut receiver).await });
        send_long(&mut sender, LENGTH).await;
        assert_eq!(other.await.expect("received"), LENGTH);
        send_long(&mut dialer, LENGTH).await;
        assert_eq!(receive_long(&mut dialer).await, LENGTH);
        assert!(dialer.recv_stream().await.expect("an end").is_none());
        serving.await.expect("served");
        threads.shutdown().await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn whole_messages_and_those_in_parts_follow_each_other() {
    patiently(async {
        let threads = threads(1);
        let (mut dialer, mut listener) = streaming_pair(&threads.handle()).await;
        dialer.send(&b"first"[..]).await.expect("send");
        send_long(&mut dialer, 90_000).await;
        send_long(&mut dialer, 300_000).await;
        dialer.send(&b""[..]).await.expect("send");
        send_long(&mut dialer, 0).await;
        dialer.send(piece(0, 4)).await.expect("send");
        dialer.flush().await.expect("flush");
        assert_eq!(dialer.progress().flushed, 6);
        assert_eq!(receive(&mut listener).await, &b"first"[..]);
        assert_eq!(receive(&mut listener).await, piece(0, 90_000));
        assert_eq!(receive_long(&mut listener).await, 300_000);
        assert_eq!(receive_long(&mut listener).await, 0);
        assert_eq!(receive(&mut listener).await, &b""[..]);
        assert_eq!(receive_long(&mut listener).await, 4);
        threads.shutdown().await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_given_up_is_nobodys_and_the_next_one_comes() {
    patiently(async {
        let threads = threads(1);
        let (mut dialer, mut listener) = streaming_pair(&threads.handle()).await;
        for is_leaked in [false, true] {
            let mut message = dialer.send_stream().expect("parts");
            message.write(piece(0, 70_000)).await.expect("write");
            if is_leaked {
                core::mem::forget(message);
            } else {
                drop(message);
            }
            // Without a part nothing is given up.
            drop(dialer.send_stream().expect("parts"));
            dialer.send(&b"next"[..]).await.expect("send");
            let message = listener.recv_stream().await.expect("recv");
            let mut message = message.expect("a message");
            let mut length = 0;
            let error = loop {
                match message.next_part().await {
                    Ok(part) => length += part.expect("not complete").len(),
                    Err(error) => break error,
                }
            };
            assert_eq!(length, 70_000);
            assert!(matches!(
                error,
                RemoteError::Call(RecvError::MessageGivenUp)
            ));
            assert_eq!(receive(&mut listener).await, &b"next"[..]);
        }
        // `recv` never shows what was given up.
        let mut message = dialer.send_stream().expect("parts");
        message.write(piece(0, 70_000)).await.expect("write");
        drop(message);
        send_long(&mut dialer, 10).await;
        assert_eq!(receive(&mut listener).await, piece(0, 10));
        threads.shutdown().await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn the_rest_of_a_message_that_nobody_takes_is_skipped() {
    patiently(async {
        let threads = threads(1);
        let (mut dialer, mut listener) = streaming_pair(&threads.handle()).await;
        for taken in [1, 3] {
            let sending = async {
                send_long(&mut dialer, 500_000).await;
                dialer.send(&b"next"[..]).await.expect("send");
            };
            let receiving = async {
                let message = listener.recv_stream().await.expect("recv");
                let mut message = message.expect("a message");
                for _ in 0..taken {
                    assert!(message.next_part().await.expect("a part").is_some());
                }
                drop(message);
                assert_eq!(receive(&mut listener).await, &b"next"[..]);
            };
            futures_util::join!(sending, receiving);
        }
        threads.shutdown().await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn what_is_too_long_is_an_error_on_either_side() {
    patiently(async {
        let threads = threads(1);
        let handle = threads.handle();
        let (mut dialer, mut listener) = streaming_pair(&handle).await;
        let mut message = dialer.send_stream().expect("parts");
        message.write(piece(0, 10)).await.expect("write");
        let too_long = Bytes::from(vec![0; usize::try_from(LONG).expect("short")]);
        let error = message.write(too_long).await.expect_err("too long");
        assert!(
            matches!(error, RemoteError::Call(SendError::TooLarge { length, limit })
            if length as u64 == LONG + 10 && limit == LONG)
        );
        drop(message);
        // Longer than `recv` may put together.
        send_long(&mut dialer, 400_000).await;
        let error = listener.recv().await.expect_err("too long");
        let limit = usize::try_from(SHORT).expect("short");
        assert!(
            matches!(error, RemoteError::Call(RecvError::TooLong { limit: at }) if at == limit)
        );
        let error = listener.recv().await.expect_err("over");
        assert!(matches!(error, RemoteError::Call(RecvError::Closed)));
        let error = dialer.recv().await.expect_err("told of it");
        assert!(matches!(
            error,
            RemoteError::Call(RecvError::Aborted { .. })
        ));

        let commonware = config(1).wire(Wire::COMMONWARE);
        let (mut dialer, mut listener) = pair_with(&handle, &commonware).await;
        let error = dialer.send_stream().expect_err("no parts");
        assert!(matches!(error, RemoteError::Call(SendError::NoParts)));
        dialer.send(piece(0, 4)).await.expect("usable");
        assert_eq!(receive_long(&mut listener).await, 4);
        threads.shutdown().await.expect("no panic");
    })
    .await;
}
