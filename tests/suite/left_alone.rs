//! Futures that are polled until they wait for memory, and then left alone: nobody else may have to
//! wait because of them, and they still go on when they are polled again.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, MaybeDone, maybe_done};
use futures_util::{FutureExt, SinkExt, StreamExt, poll};
use ringseal::{
    Address, Admission, BindOptions, Connection, Message, Receiver, RemoteConnection,
    RemoteListener, RingHandle, RingThreads, RuntimeBuilder, Sender, SocketListener, Statistics,
    Task, dial,
};

use super::peers::{builder, config, key, pair, patience, pattern, run_with};
use super::setting::{on_native, spawn, transport};
use super::transport::{RawStream, Transport, somewhere};

/// Bytes of a message that needs more memory than a direction has of its own, and that fits into the
/// sockets of any transport.
const LONG: usize = 100_000;
/// Bytes of a message that fits into a slot.
const SHORT: usize = 5_000;
/// How many are left alone, of each kind.
const LEFT_ALONE: usize = 2;

/// What is left alone. It may be done before.
type Work<'a> = MaybeDone<LocalBoxFuture<'a, ()>>;

fn work<'a>(future: impl Future<Output = ()> + 'a) -> Work<'a> {
    maybe_done(future.boxed_local())
}

/// Returns the ways to try here: all of them on one transport, since each waits in the same line.
fn ways<T: Copy, const N: usize>(all: [T; N]) -> Vec<T> {
    let count = if transport() == Transport::Tcp && !on_native() {
        N
    } else {
        1
    };
    all[..count].to_vec()
}

/// The fewest slots, and no memory beside them but what each direction has of its own.
fn scarce() -> RuntimeBuilder {
    builder().slots(4).slot_size(8192).heap_budget(0)
}

fn heap_waits() -> u64 {
    let statistics = Statistics::current().expect("inside a runtime");
    statistics.heap_waits
}

/// Polls `work` until it waits for memory, or for as long as it may take to get there. Returns
/// whether it waits for memory.
async fn leave_alone(work: &mut Work<'_>) -> bool {
    let before = heap_waits();
    for _ in 0..20 {
        if poll!(&mut *work).is_ready() || heap_waits() > before {
            break;
        }
        ringseal::sleep(Duration::from_millis(2)).await;
    }
    heap_waits() > before
}

/// Connects two peers, of which the dialer has sent a message that the kernel has.
async fn pair_with_message(length: usize, salt: usize) -> (Connection, Connection) {
    let (mut dialer, listener) = pair().await;
    dialer.send(&pattern(length, salt)).await.expect("send");
    dialer.flush().await.expect("flush");
    (dialer, listener)
}

/// A message that is kept, and with it all memory that there is for receiving.
async fn kept_message() -> (Message, (Connection, Connection)) {
    let (dialer, mut listener) = pair_with_message(LONG, 1).await;
    let message = listener.recv().await.expect("recv").expect("a message");
    (message, (dialer, listener))
}

/// Exchanges a long message, both ways.
async fn exchange() {
    let (mut dialer, mut listener) = pair_with_message(LONG, 2).await;
    let message = listener.recv().await.expect("recv").expect("a message");
    assert!(*message == *pattern(LONG, 2));
    drop(message);
    listener.send(&pattern(LONG, 3)).await.expect("send");
    let message = dialer.recv().await.expect("recv").expect("a message");
    assert!(*message == *pattern(LONG, 3));
}

/// A way of receiving a message.
#[derive(Clone, Copy, Debug)]
enum ReceiveWay {
    Connection,
    Event,
    Batch,
    Streamed,
    Stream,
}

impl ReceiveWay {
    const ALL: [Self; 5] = [
        Self::Connection,
        Self::Event,
        Self::Batch,
        Self::Streamed,
        Self::Stream,
    ];

    /// Receives one message that is `pattern(length, salt)`.
    async fn message(self, connection: Connection, length: usize, salt: usize) {
        let expected = pattern(length, salt);
        let (_sender, receiver) = connection.split();
        match self {
            Self::Connection => whole(receiver, &expected).await,
            Self::Event => event(receiver, &expected).await,
            Self::Batch => batch(receiver, &expected).await,
            Self::Streamed => streamed(receiver, &expected).await,
            Self::Stream => {
                let message = receiver.into_stream().next().await;
                assert!(*message.expect("one").expect("recv") == *expected);
            }
        }
    }
}

async fn whole(mut receiver: Receiver, expected: &[u8]) {
    let message = receiver.recv().await.expect("recv").expect("a message");
    assert!(*message == *expected);
}

async fn event(mut receiver: Receiver, expected: &[u8]) {
    let received = receiver.recv_event().await.expect("recv");
    let Some(ringseal::Received::Message(message)) = received else {
        panic!("{received:?}");
    };
    assert!(*message == *expected);
}

async fn batch(mut receiver: Receiver, expected: &[u8]) {
    let batch = receiver.recv_batch().await.expect("recv");
    let mut batch = batch.expect("a message");
    let message = batch.next_message().expect("recv").expect("a message");
    assert!(*message == *expected);
}

async fn streamed(mut receiver: Receiver, expected: &[u8]) {
    let reader = receiver.recv_stream().await.expect("recv");
    let mut reader = reader.expect("a message");
    let mut received = 0;
    while let Some(part) = reader.next_part().await.expect("a part") {
        assert!(*part == expected[received..][..part.len()]);
        received += part.len();
    }
    assert_eq!(received, expected.len());
}

// HAZARDS F13: the memory that one was told of, and did not take.
fn receives_that_are_left_alone_stop_no_other() {
    for way in ways(ReceiveWay::ALL) {
        run_with(scarce(), async {
            let (kept, _connections) = kept_message().await;
            let mut peers = Vec::new();
            let mut left_alone: Vec<Work<'_>> = Vec::new();
            for salt in 0..LEFT_ALONE {
                let (dialer, listener) = pair_with_message(LONG, salt).await;
                let mut receive = work(way.message(listener, LONG, salt));
                assert!(
                    leave_alone(&mut receive).await,
                    "{way:?}: nothing was short"
                );
                left_alone.push(receive);
                peers.push(dialer);
            }
            let (_dialer, listener) = pair_with_message(LONG, 9).await;
            let receiving = ringseal::spawn(way.message(listener, LONG, 9));
            // It takes its place behind them.
            ringseal::sleep(Duration::from_millis(5)).await;
            drop(kept);
            receiving.await;
            exchange().await;
            for receive in left_alone {
                receive.await;
            }
        });
    }
}

// HAZARDS F13, where nothing comes back.
fn receives_that_are_left_alone_stop_no_other_while_all_memory_is_kept() {
    run_with(scarce(), async {
        let (_kept, _connections) = kept_message().await;
        let (_dialer, listener) = pair_with_message(LONG, 4).await;
        let mut receive = work(ReceiveWay::Connection.message(listener, LONG, 4));
        assert!(leave_alone(&mut receive).await, "nothing was short");
        for _ in 0..2 {
            exchange().await;
        }
        receive.await;
    });
}

// HAZARDS F13, in the middle of a message.
fn readers_that_are_left_alone_between_parts_stop_no_other() {
    run_with(scarce(), async {
        let mut connections = Vec::new();
        for salt in 0..2 * LEFT_ALONE {
            let (dialer, listener) = pair_with_message(LONG, salt).await;
            let (_sender, receiver) = listener.split();
            connections.push((dialer, receiver));
        }
        let mut readers = Vec::new();
        for (_, receiver) in &mut connections {
            let reader = receiver.recv_stream().await.expect("recv");
            let mut reader = reader.expect("a message");
            let part = reader.next_part().await.expect("a part");
            let mut received = part.expect("a part").len();
            {
                // And in the middle of a wait, where there is more.
                let mut next = pin!(reader.next_part());
                if let std::task::Poll::Ready(part) = poll!(next.as_mut()) {
                    received += part.expect("a part").map_or(0, |part| part.len());
                }
            }
            readers.push((reader, received));
        }
        exchange().await;
        for (mut reader, mut received) in readers {
            while let Some(part) = reader.next_part().await.expect("a part") {
                received += part.len();
            }
            assert_eq!(received, LONG);
        }
    });
}

/// A way of sending a message.
#[derive(Clone, Copy, Debug)]
enum SendWay {
    Connection,
    Many,
    Reserved,
    Sink,
}

impl SendWay {
    const ALL: [Self; 4] = [Self::Connection, Self::Many, Self::Reserved, Self::Sink];

    /// Sends one message that is `pattern(length, salt)` and gives the sender back.
    async fn message(self, mut sender: Sender, length: usize, salt: usize) -> Sender {
        let message = pattern(length, salt);
        match self {
            Self::Connection => sender.send(&message).await.expect("send"),
            Self::Many => sender.send_many(&[&message]).await.expect("send"),
            Self::Reserved => {
                let mut reservation = sender.reserve(length).await.expect("reserve");
                reservation.copy_from_slice(&message);
                reservation.send().expect("send");
            }
            Self::Sink => {
                let mut sink = sender.into_sink();
                sink.send(message).await.expect("send");
                return sink.into_sender().0;
            }
        }
        sender.flush().await.expect("flush");
        sender
    }

    /// How long a message can be that is sent this way and needs as much memory as it can.
    fn length(self) -> usize {
        match self {
            // In one record.
            Self::Reserved if on_native() => SHORT,
            _ => LONG,
        }
    }
}

/// Sends to a peer that does not read until nothing moves, and with that takes all memory that there
/// is for sending.
async fn stuck_sender() -> (Task<()>, Connection) {
    let (mut dialer, listener) = pair().await;
    let sending = ringseal::spawn(async move {
        let message = pattern(LONG, 5);
        while dialer.send(&message).await.is_ok() {}
    });
    let sent = || Statistics::current().expect("inside a runtime").bytes_sent;
    let mut last = u64::MAX;
    while sent() != last {
        last = sent();
        ringseal::sleep(Duration::from_millis(50)).await;
    }
    (sending, listener)
}

// HAZARDS F13, the sending direction.
fn sends_that_are_left_alone_stop_no_other() {
    for way in ways(SendWay::ALL) {
        run_with(scarce(), async {
            let (stuck, silent) = stuck_sender().await;
            let mut peers = Vec::new();
            let mut left_alone: Vec<Work<'_>> = Vec::new();
            for salt in 0..LEFT_ALONE {
                let (dialer, listener) = pair().await;
                let (sender, receiver) = dialer.split();
                let send = way.message(sender, way.length(), salt);
                let mut send = work(async move {
                    // It is not to end before its peer has all.
                    let _sender = send.await;
                    drop(receiver);
                });
                let waits = leave_alone(&mut send).await;
                // A record of the native wire is no longer than a slot.
                assert!(waits || on_native(), "{way:?}");
                left_alone.push(send);
                peers.push(listener);
            }
            let (dialer, mut listener) = pair().await;
            let (sender, _receiver) = dialer.split();
            let sending = ringseal::spawn(way.message(sender, way.length(), 9));
            ringseal::sleep(Duration::from_millis(5)).await;
            drop(silent);
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(way.length(), 9), "{way:?}");
            drop(message);
            drop(sending.await);
            exchange().await;
            for (salt, (send, mut peer)) in left_alone.into_iter().zip(peers).enumerate() {
                let received = async {
                    let message = peer.recv().await.expect("recv").expect("a message");
                    assert!(*message == *pattern(way.length(), salt), "{way:?}");
                };
                futures_util::join!(send, received);
            }
            stuck.await;
        });
    }
}

// HAZARDS F13: room that was given and is not used.
fn reservations_that_are_kept_stop_no_other() {
    run_with(scarce(), async {
        let mut connections = Vec::new();
        for _ in 0..3 * LEFT_ALONE {
            connections.push(pair().await);
        }
        let mut peers = Vec::new();
        let mut senders = Vec::new();
        for (dialer, listener) in connections {
            senders.push(dialer.split());
            peers.push(listener);
        }
        let mut reservations = Vec::new();
        for (sender, _) in &mut senders {
            reservations.push(sender.reserve(SHORT).await.expect("reserve"));
        }
        exchange().await;
        for (salt, mut reservation) in reservations.into_iter().enumerate() {
            reservation.copy_from_slice(&pattern(SHORT, salt));
            reservation.send().expect("send");
        }
        for (salt, peer) in peers.iter_mut().enumerate() {
            let message = peer.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(SHORT, salt));
        }
    });
}

// HAZARDS F13: handshakes, of either end.
fn handshakes_that_are_left_alone_stop_no_other() {
    // They are with listeners.
    if transport() == Transport::Memory {
        return;
    }
    run_with(scarce(), async {
        let mut socket = SocketListener::bind(somewhere(), &BindOptions::default())
            .await
            .expect("bind");
        let address = socket.local_address();
        let (ours, theirs) = (config(1), config(2));
        let admission = Admission::any();
        let mut left_alone: Vec<Work<'_>> = Vec::new();
        for _ in 0..3 * LEFT_ALONE {
            let address = address.clone();
            let mut dialing = work(async {
                let dialed = dial(address, key(2), &ours).await;
                // Its time may be over.
                drop(dialed);
            });
            leave_alone(&mut dialing).await;
            let incoming = socket.accept().await.expect("accept");
            let mut handshake = work(async {
                drop(incoming.handshake(&theirs, &admission).await);
            });
            leave_alone(&mut handshake).await;
            left_alone.extend([dialing, handshake]);
        }
        let silent: Vec<_> = (0..LEFT_ALONE)
            .map(|_| RawStream::connect(address.clone()))
            .collect();
        exchange().await;
        drop((left_alone, silent));
        exchange().await;
    });
}

/// Connects two peers through handles.
async fn remote_pair(
    handle: &RingHandle,
    listener: &mut RemoteListener,
    address: &Address,
) -> (RemoteConnection, RemoteConnection) {
    let ours = config(1);
    let (dialed, accepted) = futures_util::join!(
        handle.dial(address.clone(), key(2), &ours),
        listener.accept()
    );
    (dialed.expect("dial"), accepted.expect("accept"))
}

async fn remote_exchange(pair: &mut (RemoteConnection, RemoteConnection)) {
    let (dialer, listener) = pair;
    dialer.send(pattern(LONG, 6)).await.expect("send");
    let message = listener.recv().await.expect("recv").expect("a message");
    assert!(*message == *pattern(LONG, 6));
    listener.send(message).await.expect("send");
    let message = dialer.recv().await.expect("recv").expect("a message");
    assert!(*message == *pattern(LONG, 6));
}

async fn leave_handles_alone(handle: RingHandle) {
    let theirs = config(2);
    let bound = handle.listen(somewhere(), &theirs, Admission::any());
    let mut listener = bound.await.expect("listen");
    let address = listener.local_address();
    let mut unread = Vec::new();
    for salt in 0..LEFT_ALONE {
        let (mut dialer, accepted) = remote_pair(&handle, &mut listener, &address).await;
        let (mut sender, mut receiver) = accepted.split();
        {
            let mut receive = pin!(receiver.recv());
            assert!(poll!(receive.as_mut()).is_pending());
            dialer.send(pattern(LONG, salt)).await.expect("send");
        }
        {
            // More than its queue holds, to somebody who does not read.
            let mut send = pin!(async {
                loop {
                    sender.send(pattern(LONG, salt)).await.expect("send");
                }
            });
            for _ in 0..20 {
                assert!(poll!(send.as_mut()).is_pending());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        unread.push((dialer, sender, receiver));
    }
    let dialing: Vec<_> = (0..LEFT_ALONE)
        .map(|_| {
            let (handle, address) = (handle.clone(), address.clone());
            let mut dialing = Box::pin(async move {
                let ours = config(1);
                drop(handle.dial(address, key(2), &ours).await);
            });
            // Once. The ring thread may have been as quick.
            let _ = dialing.as_mut().now_or_never();
            dialing
        })
        .collect();
    let bound = handle.listen(somewhere(), &theirs, Admission::any());
    let mut second = bound.await.expect("listen");
    let address = second.local_address();
    let mut others = remote_pair(&handle, &mut second, &address).await;
    for _ in 0..3 {
        remote_exchange(&mut others).await;
    }
    for (salt, (_, _, receiver)) in unread.iter_mut().enumerate() {
        let message = receiver.recv().await.expect("recv").expect("a message");
        assert!(*message == *pattern(LONG, salt));
    }
    drop(dialing);
}

// HAZARDS F13, through handles.
fn handles_that_are_left_alone_stop_no_other() {
    // Handles take addresses.
    if transport() == Transport::Memory {
        return;
    }
    let threads = RingThreads::start(scarce(), 1).expect("a ring");
    let handle = threads.handle();
    let (done, is_done) = mpsc::channel();
    let leaving = spawn(move || {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("tokio");
        executor.block_on(leave_handles_alone(handle));
        done.send(()).expect("the test waits");
    });
    let waited = is_done.recv_timeout(patience());
    // Whoever still waits ends with the ring.
    drop(threads);
    leaving.join().expect("those who are not left alone");
    waited.expect("took too long");
}

crate::on_every_setting! {
    receives_that_are_left_alone_stop_no_other,
    receives_that_are_left_alone_stop_no_other_while_all_memory_is_kept,
    readers_that_are_left_alone_between_parts_stop_no_other,
    sends_that_are_left_alone_stop_no_other,
    reservations_that_are_kept_stop_no_other,
    handshakes_that_are_left_alone_stop_no_other,
    handles_that_are_left_alone_stop_no_other,
}
