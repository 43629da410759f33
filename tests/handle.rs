//! Connections on ring threads, used from ordinary executors.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt, TryStreamExt, poll, stream};
use ringseal::protocol::layout::End;
use ringseal::protocol::native;
use ringseal::protocol::native::record::AbortReason;
use ringseal::{
    Address, Admission, Backend, Config, DialError, Identity, OpenError, PublicKey, QueueLimits,
    RecvError, RemoteConnection, RemoteError, RemoteListener, RemoteReceiver, RemoteSender,
    RingHandle, RingThreads, RunError, Runtime, SendError, Wire,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

#[path = "handle/streamed.rs"]
mod streamed;

/// No test waits longer for anything. Under a sanitizer all takes twenty times as long.
const PATIENCE: Duration = Duration::from_secs(120);

fn config(seed: u8) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal tests")
        .handshake_deadline(PATIENCE)
        .first_message_timeout(PATIENCE)
}

fn key(seed: u8) -> PublicKey {
    config(seed).public_key()
}

fn threads(count: usize) -> RingThreads {
    RingThreads::start(Runtime::builder(), count).expect("rings on this host")
}

async fn patiently<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("took too long")
}

/// Bytes that tell `index`, of a length that varies with it.
fn message(index: usize) -> Vec<u8> {
    let length = match index % 50 {
        0 => 100_000 + index,
        1..10 => 0,
        other => other * 97,
    };
    (0..length)
        .map(|position| (position.wrapping_mul(31) + index).to_le_bytes()[0])
        .collect()
}

async fn listen(handle: &RingHandle) -> RemoteListener {
    let config = config(2).wires([Wire::native(), Wire::COMMONWARE]);
    handle
        .listen("127.0.0.1:0", &config, Admission::allow_list([key(1)]))
        .await
        .expect("listen")
}

/// The dialer's end and the listener's.
async fn pair(handle: &RingHandle) -> (RemoteConnection, RemoteConnection) {
    let config = config(1);
    pair_with(handle, &config).await
}

async fn pair_with(handle: &RingHandle, dialer: &Config) -> (RemoteConnection, RemoteConnection) {
    let mut listener = listen(handle).await;
    let address = listener.local_address();
    let (dialed, accepted) =
        futures_util::join!(handle.dial(&address, key(2), dialer), listener.accept());
    (dialed.expect("dial"), accepted.expect("accept"))
}

/// Echoes until the end, then ends as well.
async fn echo(mut connection: RemoteConnection) {
    while let Some(message) = connection.recv().await.expect("recv") {
        connection.send(message).await.expect("send");
    }
    connection.close().await.expect("close");
}

/// Sends and takes back the messages, the directions at once.
async fn exchange(connection: RemoteConnection, count: usize) {
    let (mut sender, mut receiver) = connection.split();
    let sending = async move {
        for index in 0..count {
            sender.send(message(index)).await.expect("send");
        }
        sender.close().await.expect("close");
    };
    let receiving = async move {
        for index in 0..count {
            let received = receiver.recv().await.expect("recv").expect("a message");
            assert!(received == message(index), "message {index}");
        }
        assert!(receiver.recv().await.expect("the end").is_none());
        assert!(receiver.recv().await.expect("still the end").is_none());
    };
    futures_util::join!(sending, receiving);
}

#[test]
fn everything_may_go_to_other_threads_the_futures_included() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    fn is_send_value<T: Send>(value: T) -> T {
        value
    }
    is_send::<RingThreads>();
    is_send::<RingHandle>();
    is_sync::<RingHandle>();
    is_send::<RemoteListener>();
    is_send::<RemoteConnection>();
    is_send::<RemoteSender>();
    is_send::<RemoteReceiver>();
    is_sync::<RemoteSender>();
    is_sync::<RemoteReceiver>();
    let uses = async |handle: RingHandle, mut listener: RemoteListener| {
        let config = config(1);
        let mut connection = is_send_value(handle.dial("localhost:1", key(2), &config)).await?;
        let _ = is_send_value(handle.listen("localhost:1", &config, Admission::any())).await;
        let _ = is_send_value(handle.run(|| async {})).await;
        let _ = is_send_value(listener.accept()).await;
        let _ = is_send_value(connection.send("x")).await;
        let _ = is_send_value(connection.recv()).await;
        let _ = is_send_value(connection.flush()).await;
        let _ = is_send_value(connection.close()).await;
        Ok::<(), RemoteError<DialError>>(())
    };
    // Compiled, not run.
    let _ = uses;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_echo_in_order_over_two_ring_threads() {
    let threads = threads(2);
    let handle = threads.handle();
    patiently(async {
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let mut listener = listen(&handle).await;
            let address = listener.local_address();
            tasks.push(tokio::spawn(async move {
                for _ in 0..5 {
                    let connection = listener.accept().await.expect("accept");
                    assert_eq!(connection.peer(), key(1));
                    tokio::spawn(echo(connection));
                }
            }));
            for _ in 0..5 {
                let (handle, address) = (handle.clone(), address.clone());
                tasks.push(tokio::spawn(async move {
                    let dialed = handle.dial(&address, key(2), &config(1)).await;
                    let connection = dialed.expect("dial");
                    assert_eq!(connection.peer(), key(2));
                    assert_eq!(*connection.peer_address(), address);
                    exchange(connection, 400).await;
                }));
            }
        }
        for task in tasks {
            task.await.expect("no panic");
        }
        threads.shutdown().await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn it_works_in_a_current_thread_runtime() {
    let threads = threads(1);
    patiently(async {
        let (dialed, accepted) = pair(&threads.handle()).await;
        futures_util::join!(exchange(dialed, 200), echo(accepted));
    })
    .await;
}

#[test]
fn it_works_without_tokio() {
    let threads = threads(2);
    futures::executor::block_on(async {
        let (dialed, accepted) = pair(&threads.handle()).await;
        futures_util::join!(exchange(dialed, 200), echo(accepted));
        threads.shutdown().await.expect("no panic");
    });
}

/// Counts the messages and bytes that somebody holds.
#[derive(Default)]
struct Held {
    bytes: AtomicUsize,
    messages: AtomicUsize,
}

struct Counted(Vec<u8>, Arc<Held>);

impl Counted {
    fn message(bytes: Vec<u8>, held: &Arc<Held>) -> Bytes {
        held.bytes.fetch_add(bytes.len(), Ordering::SeqCst);
        held.messages.fetch_add(1, Ordering::SeqCst);
        Bytes::from_owner(Self(bytes, Arc::clone(held)))
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.bytes.fetch_sub(self.0.len(), Ordering::SeqCst);
        self.1.messages.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends until it has to wait, checking what is held; returns how many messages were taken.
async fn send_until_full(
    connection: &mut RemoteConnection,
    size: usize,
    most: (usize, usize),
    held: &Arc<Held>,
) -> usize {
    for sent in 0.. {
        assert!(
            sent * (size + 36) < 256 << 20,
            "nothing holds the sender back"
        );
        let send = connection.send(Counted::message(vec![7; size], held));
        let Ok(result) = tokio::time::timeout(Duration::from_millis(300), send).await else {
            return sent;
        };
        result.expect("send");
        let bytes = held.bytes.load(Ordering::SeqCst);
        let messages = held.messages.load(Ordering::SeqCst);
        assert!(bytes <= most.0, "{bytes} bytes are held");
        assert!(messages <= most.1, "{messages} messages are held");
    }
    unreachable!("the loop is left from within")
}

// HAZARDS R10: one queue gathers, one is being sealed, and that is all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_reads_holds_the_sender_back_within_both_bounds() {
    let threads = threads(2);
    for (size, bytes, messages) in [(10_000, 64_000, 1_000), (1_000, 1 << 20, 5)] {
        let limits = QueueLimits::default().bytes(bytes).messages(messages);
        let handle = threads.handle().queue_limits(limits);
        let (mut dialed, mut accepted) = patiently(pair(&handle)).await;
        let held = Arc::default();
        let most = (2 * bytes, 2 * messages);
        let sent = send_until_full(&mut dialed, size, most, &held).await;
        // What was dropped while it waited for room is not sent; all before it is.
        let (sender, _receiver) = dialed.split();
        let closing = tokio::spawn(sender.close());
        for _ in 0..sent {
            let received = patiently(accepted.recv()).await.expect("recv");
            assert_eq!(received.expect("a message").len(), size);
        }
        assert!(patiently(accepted.recv()).await.expect("end").is_none());
        patiently(closing).await.expect("no panic").expect("close");
        assert_eq!(held.messages.load(Ordering::SeqCst), 0);
    }
}

/// How many messages and bytes wait for `receiver`, beside those that it has taken over.
fn waiting(receiver: &RemoteReceiver) -> (usize, usize) {
    let text = format!("{receiver:?}");
    let (_, sizes) = text.split_once("waiting: ").expect("told");
    let mut numbers = sizes
        .split(|other: char| !other.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok());
    // Nothing is told while the lock is taken.
    match (numbers.next(), numbers.next()) {
        (Some(messages), Some(bytes)) => (messages, bytes),
        _ => waiting(receiver),
    }
}

/// A connection from a thread of `dialing` with the bounds that there are by default.
async fn dial_one(
    dialing: &RingThreads,
    listener: &mut RemoteListener,
) -> (RemoteConnection, RemoteConnection) {
    let (address, handle, config) = (listener.local_address(), dialing.handle(), config(1));
    let (dialed, accepted) =
        futures_util::join!(handle.dial(&address, key(2), &config), listener.accept());
    (dialed.expect("dial"), accepted.expect("accept"))
}

// HAZARDS F6: one slot holds tens of thousands of empty messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_received_waits_within_both_bounds() {
    let (serving, dialing) = (threads(1), threads(1));
    for (limits, size, count, most) in [
        (QueueLimits::default().messages(10), 0, 50_000, (10, 0)),
        (QueueLimits::default(), 0, 50_000, (4096, 0)),
        // The last one may begin below the bound.
        (QueueLimits::default().bytes(9_500), 1000, 300, (10, 10_000)),
        (QueueLimits::default().bytes(0).messages(0), 1, 300, (1, 1)),
    ] {
        let mut listener = listen(&serving.handle().queue_limits(limits)).await;
        let (mut dialed, accepted) = patiently(dial_one(&dialing, &mut listener)).await;
        let (_sender, mut receiver) = accepted.split();
        patiently(async {
            for _ in 0..count {
                dialed.send(vec![7; size]).await.expect("send");
            }
            dialed.flush().await.expect("flush");
            while waiting(&receiver) != most {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // It stays so, and when a part of it is taken as well.
            for index in 0..count {
                assert!(waiting(&receiver).0 <= most.0 && waiting(&receiver).1 <= most.1);
                let received = receiver.recv().await.expect("recv").expect("a message");
                assert_eq!(received, vec![7; size], "message {index}");
            }
        })
        .await;
    }
}

// HAZARDS F6: the copies of all connections together, where slots are short as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_receivers_that_nobody_takes_from_hold_what_their_bounds_say() {
    const CONNECTIONS: usize = 60;
    const COUNT: usize = 3000;
    // Every fifth message is long.
    let size = |index: usize| {
        if index.is_multiple_of(5) {
            2500
        } else {
            index % 200
        }
    };
    let (serving, dialing) = (threads(1), threads(1));
    let limits = QueueLimits::default().bytes(16_000).messages(40);
    let mut listener = listen(&serving.handle().queue_limits(limits)).await;
    let mut held = Vec::new();
    patiently(async {
        for _ in 0..CONNECTIONS {
            let (mut dialed, accepted) = dial_one(&dialing, &mut listener).await;
            let sending = tokio::spawn(async move {
                for index in 0..COUNT {
                    dialed.send(vec![7; size(index)]).await.expect("send");
                }
                dialed.close().await.expect("close");
            });
            held.push((accepted.split().1, sending));
        }
        // All are full, and stay within the bounds.
        let is_full = |&(messages, bytes): &(usize, usize)| messages == 40 || bytes > 16_000;
        for _ in 0..20 {
            let sizes = || held.iter().map(|(receiver, _)| waiting(receiver));
            while !sizes().all(|size| is_full(&size)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(sizes().all(|(messages, bytes)| messages <= 40 && bytes <= 18_500));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Nobody else is held up.
        let (mut dialed, mut accepted) = dial_one(&dialing, &mut listener).await;
        dialed.send("past them").await.expect("send");
        let received = accepted.recv().await.expect("recv").expect("a message");
        assert_eq!(received, "past them");
        for (mut receiver, sending) in held {
            for index in 0..COUNT {
                let received = receiver.recv().await.expect("recv").expect("a message");
                assert_eq!(received.len(), size(index), "message {index}");
            }
            assert!(receiver.recv().await.expect("recv").is_none());
            sending.await.expect("no panic");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_full_of_messages_does_not_keep_other_tasks_from_running() {
    const COUNT: usize = 60_000;
    let (serving, dialing) = (threads(1), threads(1));
    let limits = QueueLimits::default().messages(usize::MAX);
    let mut listener = listen(&serving.handle().queue_limits(limits)).await;
    let (mut dialed, accepted) = patiently(dial_one(&dialing, &mut listener)).await;
    let (sent, is_sent) = std::sync::mpsc::channel();
    let watching = tokio::spawn(async move {
        let (_sender, receiver) = accepted.split();
        let watch = move || async move {
            // All of it is there to be read at once.
            is_sent.recv_timeout(PATIENCE).expect("sent");
            let (mut before, mut longest) = (0, 0);
            while before < COUNT {
                let now = waiting(&receiver).0;
                longest = longest.max(now - before);
                before = now;
                // A turn for whoever else is ready.
                let mut had_a_turn = false;
                std::future::poll_fn(|context| {
                    context.waker().wake_by_ref();
                    match std::mem::replace(&mut had_a_turn, true) {
                        true => std::task::Poll::Ready(()),
                        false => std::task::Poll::Pending,
                    }
                })
                .await;
            }
            longest
        };
        serving.handle().run(watch).await.expect("runs")
    });
    for _ in 0..COUNT {
        patiently(dialed.send(Bytes::new())).await.expect("send");
    }
    patiently(dialed.flush()).await.expect("flush");
    sent.send(()).expect("it waits");
    let longest = patiently(watching).await.expect("no panic");
    assert!(longest <= 10_000, "{longest} messages in a row");
}

// Queued messages are secret, and a log is read by many.
#[tokio::test]
async fn no_message_shows_in_what_is_printed_of_a_connection() {
    let threads = threads(1);
    let (mut dialed, accepted) = patiently(pair(&threads.handle())).await;
    dialed.send("a secret").await.expect("send");
    let (sender, _) = dialed.split();
    let (_, receiver) = accepted.split();
    patiently(async {
        while waiting(&receiver).0 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let text = format!("{sender:?} {receiver:?}");
    assert!(!text.contains("secret"), "{text}");
}

// HAZARDS B8: what a slow consumer has not taken costs others speed at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_nobody_takes_from_stop_nobody() {
    for backend in [Backend::Uring, Backend::TokioUring, Backend::Epoll] {
        let small = Runtime::builder().backend(backend).slots(8).slot_size(4096);
        let serving = RingThreads::start(small, 1).expect("a ring on this host");
        let dialing = threads(1);
        patiently(async {
            let limits = QueueLimits::default().messages(1);
            let mut listener = listen(&serving.handle().queue_limits(limits)).await;
            let address = listener.local_address();
            let mut waiting = Vec::new();
            for _ in 0..8 {
                let mut dialed = dialing
                    .handle()
                    .dial(&address, key(2), &config(1))
                    .await
                    .expect("dial");
                let accepted = listener.accept().await.expect("accept");
                // More than a read takes, and the last record of each read is cut.
                for _ in 0..20 {
                    dialed.send(vec![1; 1000]).await.expect("send");
                }
                dialed.flush().await.expect("flush");
                waiting.push((dialed, accepted));
            }
            let mut dialed = dialing
                .handle()
                .dial(&address, key(2), &config(1))
                .await
                .expect("dial");
            let mut accepted = listener.accept().await.expect("accept");
            dialed.send("past them").await.expect("send");
            let received = accepted.recv().await.expect("recv").expect("a message");
            assert_eq!(received, "past them");
            for (_dialed, accepted) in &mut waiting {
                for _ in 0..20 {
                    let received = accepted.recv().await.expect("recv").expect("a message");
                    assert_eq!(received, vec![1; 1000]);
                }
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_longer_than_the_bounds_goes_alone() {
    let threads = threads(1);
    let limits = QueueLimits::default().bytes(0).messages(0);
    let handle = threads.handle().queue_limits(limits);
    let (dialed, accepted) = patiently(pair(&handle)).await;
    patiently(async { futures_util::join!(exchange(dialed, 120), echo(accepted)) }).await;
}

// HAZARDS B1, B2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_futures_lose_and_double_nothing() {
    let threads = threads(1);
    let limits = QueueLimits::default().messages(3);
    let (mut dialed, mut accepted) = patiently(pair(&threads.handle().queue_limits(limits))).await;
    let sending = tokio::spawn(async move {
        for index in 0..3_000 {
            loop {
                let mut send = Box::pin(dialed.send(message(index)));
                match poll!(send.as_mut()) {
                    std::task::Poll::Ready(result) => break result.expect("send"),
                    std::task::Poll::Pending if index % 2 == 0 => break send.await.expect("send"),
                    std::task::Poll::Pending => {}
                }
                drop(send);
                tokio::task::yield_now().await;
            }
        }
        let _ = poll!(Box::pin(dialed.flush()));
        dialed.close().await.expect("close");
    });
    patiently(async {
        for index in 0..3_000 {
            let received = loop {
                let mut recv = Box::pin(accepted.recv());
                match poll!(recv.as_mut()) {
                    std::task::Poll::Ready(result) => break result,
                    std::task::Poll::Pending if index % 2 == 0 => break recv.await,
                    std::task::Poll::Pending => {}
                }
                drop(recv);
                tokio::task::yield_now().await;
            };
            let received = received.expect("recv").expect("a message");
            assert!(received == message(index), "message {index}");
        }
        assert!(accepted.recv().await.expect("end").is_none());
        sending.await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn flush_waits_for_the_kernel_and_dropping_both_halves_ends_at_once() {
    let threads = threads(1);
    patiently(async {
        let (mut dialed, mut accepted) = pair(&threads.handle()).await;
        for index in 0..100 {
            dialed.send(message(index)).await.expect("send");
        }
        let taken = tokio::spawn(async move {
            let mut taken = 0;
            while let Ok(Some(received)) = accepted.recv().await {
                assert!(received == message(taken));
                taken += 1;
            }
            taken
        });
        dialed.flush().await.expect("flush");
        // What the kernel has arrives also when the connection is dropped now.
        drop(dialed);
        assert_eq!(taken.await.expect("no panic"), 100);

        // A sender alone that is dropped still sends what is queued.
        let (dialed, mut accepted) = pair(&threads.handle()).await;
        let (mut sender, _receiver) = dialed.split();
        for index in 0..100 {
            sender.send(message(index)).await.expect("send");
        }
        drop(sender);
        for index in 0..100 {
            let received = accepted.recv().await.expect("recv").expect("a message");
            assert!(received == message(index));
        }
        assert!(accepted.recv().await.expect("end").is_none());
    })
    .await;
}

// Also while the ring thread waits for a peer that does not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_connection_lets_go_of_all_that_was_queued() {
    let threads = threads(2);
    let (mut dialed, mut accepted) = patiently(pair(&threads.handle())).await;
    let held: Arc<Held> = Arc::default();
    send_until_full(&mut dialed, 50_000, (usize::MAX, usize::MAX), &held).await;
    assert!(held.messages.load(Ordering::SeqCst) > 0);
    drop(dialed);
    patiently(async {
        while held.messages.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while let Ok(Some(_)) = accepted.recv().await {}
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_too_large_leaves_the_sender_usable() {
    let threads = threads(1);
    let (mut dialed, mut accepted) = patiently(pair_with(
        &threads.handle(),
        // Where the peer does not know what is too long.
        &config(1).wire(Wire::COMMONWARE).max_message_size(10),
    ))
    .await;
    let error = dialed.send(vec![0; 11]).await.expect_err("too large");
    assert!(matches!(
        error,
        RemoteError::Call(SendError::TooLarge {
            length: 11,
            limit: 10
        })
    ));
    patiently(dialed.send("ten bytes.")).await.expect("send");
    let received = patiently(accepted.recv()).await.expect("recv");
    assert_eq!(received.as_deref(), Some(&b"ten bytes."[..]));
    // Its answer is too long for the dialer, who says so once.
    accepted.send(vec![0; 11]).await.expect("send");
    let error = patiently(dialed.recv()).await.expect_err("too large");
    assert!(
        matches!(
            error,
            RemoteError::Call(RecvError::Record(OpenError::TooLarge { .. }))
        ),
        "{error:?}"
    );
    let error = patiently(dialed.recv()).await.expect_err("ended");
    assert!(
        matches!(error, RemoteError::Call(RecvError::Closed)),
        "{error:?}"
    );
}

/// Passes `limit` bytes to `target`, then cuts the connection; all bytes the other way.
fn cutting_relay(target: &Address, limit: u64) -> SocketAddr {
    let target = target.socket_address().expect("a TCP address");
    let relay = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = relay.local_addr().expect("bound");
    std::thread::spawn(move || {
        let (client, _) = relay.accept().expect("accept");
        let server = TcpStream::connect(target).expect("connect");
        let mut back = (
            server.try_clone().expect("clone"),
            client.try_clone().expect("clone"),
        );
        std::thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
        let _ = std::io::copy(&mut (&client).take(limit), &mut (&server));
        let _ = server.shutdown(std::net::Shutdown::Write);
        let _ = (&server).flush();
        let _ = std::io::copy(&mut (&client), &mut std::io::sink());
    });
    address
}

// HAZARDS R6.
#[tokio::test]
async fn a_cut_inside_a_record_is_an_error_behind_the_messages_before_it() {
    let threads = threads(1);
    let handle = threads.handle();
    patiently(async {
        let mut listener = listen(&handle).await;
        // The handshake takes less than 2 KiB, each record more than 10 000 bytes.
        let address = cutting_relay(&listener.local_address(), 25_000);
        let config = config(1);
        let (dialed, accepted) =
            futures_util::join!(handle.dial(address, key(2), &config), listener.accept());
        let (mut dialed, mut accepted) = (dialed.expect("dial"), accepted.expect("accept"));
        for _ in 0..4 {
            dialed.send(vec![1; 10_000]).await.expect("send");
        }
        for _ in 0..2 {
            let received = accepted.recv().await.expect("recv").expect("a message");
            assert_eq!(received.len(), 10_000);
        }
        let error = accepted.recv().await.expect_err("cut");
        assert!(
            matches!(
                error,
                RemoteError::Call(RecvError::NativeRecord(
                    native::record::OpenError::Truncated
                ))
            ),
            "{error:?}"
        );
        let error = accepted.recv().await.expect_err("ended");
        assert!(
            matches!(error, RemoteError::Call(RecvError::Closed)),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_failed_socket_surfaces_on_a_later_send_and_in_flush() {
    let threads = threads(1);
    patiently(async {
        let (mut dialed, accepted) = pair(&threads.handle()).await;
        drop(accepted);
        let error = loop {
            if let Err(error) = dialed.send(vec![1; 1000]).await {
                break error;
            }
            if let Err(error) = dialed.flush().await {
                break error;
            }
        };
        assert!(
            matches!(error, RemoteError::Call(SendError::Transport(_))),
            "{error:?}"
        );
        for result in [dialed.send("x").await, dialed.close().await] {
            let error = result.expect_err("ended");
            assert!(
                matches!(error, RemoteError::Call(SendError::Closed)),
                "{error:?}"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_and_streams_forward_to_each_other() {
    let threads = threads(2);
    patiently(async {
        let (dialed, accepted) = pair(&threads.handle()).await;
        let echoing = tokio::spawn(async move {
            let (sender, receiver) = accepted.split();
            let sender = sender.sink_map_err(|error| error.to_string());
            let receiver = receiver.map_err(|error| error.to_string());
            receiver.forward(sender).await
        });
        let (sender, receiver) = dialed.split();
        let messages = stream::iter((0..1_000).map(|index| Ok(Bytes::from(message(index)))));
        let sending = tokio::spawn(messages.forward(sender));
        let received: Vec<Bytes> = receiver.try_collect().await.expect("all of them");
        assert_eq!(received.len(), 1_000);
        for (index, received) in received.iter().enumerate() {
            assert!(*received == message(index), "message {index}");
        }
        sending.await.expect("no panic").expect("send");
        echoing.await.expect("no panic").expect("echo");
    })
    .await;
}

#[tokio::test]
async fn a_stream_says_an_error_once_and_a_closed_sink_takes_nothing() {
    let threads = threads(1);
    // Where the peer does not know what is too long.
    let limited = config(1).wire(Wire::COMMONWARE).max_message_size(3);
    patiently(async {
        let (dialed, accepted) = pair_with(&threads.handle(), &limited).await;
        let (mut sender, mut receiver) = dialed.split();
        let (mut theirs, _) = accepted.split();
        let error = sender.feed(Bytes::from_static(b"four")).await;
        assert!(
            matches!(error, Err(RemoteError::Call(SendError::TooLarge { .. }))),
            "{error:?}"
        );
        sender.feed(Bytes::from_static(b"two")).await.expect("fits");
        SinkExt::close(&mut sender).await.expect("close");
        SinkExt::close(&mut sender).await.expect("close again");
        let error = sender.feed(Bytes::new()).await;
        assert!(
            matches!(error, Err(RemoteError::Call(SendError::Closed))),
            "{error:?}"
        );
        theirs.send("four").await.expect("send");
        let error = receiver.next().await.expect("an error");
        assert!(
            matches!(error, Err(RemoteError::Call(RecvError::Record(_)))),
            "{error:?}"
        );
        assert!(receiver.next().await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_what_is_open_with_errors_that_say_so() {
    let ours = threads(1);
    let theirs = threads(1);
    patiently(async {
        let handle = ours.handle();
        let mut listener = listen(&theirs.handle()).await;
        let mut idle_listener = listen(&handle).await;
        let address = listener.local_address();
        let config = config(1);
        let (dialed, accepted) =
            futures_util::join!(handle.dial(&address, key(2), &config), listener.accept());
        let (mut sender, mut receiver) = dialed.expect("dial").split();
        let mut accepted = accepted.expect("accept");
        let receiving = tokio::spawn(async move { receiver.recv().await });
        let accepting = tokio::spawn(async move { idle_listener.accept().await });
        let running = tokio::spawn({
            let handle = handle.clone();
            async move { handle.run(std::future::pending::<()>).await }
        });
        ours.shutdown().await.expect("no panic");
        let error = receiving.await.expect("no panic").expect_err("ended");
        assert!(matches!(error, RemoteError::ThreadEnded), "{error:?}");
        let error = accepting.await.expect("no panic").expect_err("ended");
        assert!(matches!(error, RemoteError::ThreadEnded), "{error:?}");
        let error = running.await.expect("no panic").expect_err("ended");
        assert_eq!(error, RunError::ThreadEnded);
        let error = sender.send("x").await.expect_err("ended");
        assert!(matches!(error, RemoteError::ThreadEnded), "{error:?}");
        let error = sender.close().await.expect_err("ended");
        assert!(
            matches!(error, RemoteError::Call(SendError::Closed)),
            "{error:?}"
        );
        let error = handle.dial(&address, key(2), &config).await;
        assert!(matches!(error, Err(RemoteError::ThreadEnded)), "{error:?}");
        let error = handle.listen(&address, &config, Admission::any()).await;
        assert!(matches!(error, Err(RemoteError::ThreadEnded)), "{error:?}");
        // The peer sees an end or a reset.
        assert!(!matches!(accepted.recv().await, Ok(Some(_))));
    })
    .await;
}

#[tokio::test]
async fn dropped_ring_threads_end_without_being_waited_for() {
    let ours = threads(1);
    let theirs = threads(1);
    patiently(async {
        let mut listener = listen(&theirs.handle()).await;
        let address = listener.local_address();
        let (handle, config) = (ours.handle(), config(1));
        let (dialed, accepted) =
            futures_util::join!(handle.dial(&address, key(2), &config), listener.accept());
        let (mut dialed, mut accepted) = (dialed.expect("dial"), accepted.expect("accept"));
        drop(ours);
        let error = dialed.recv().await.expect_err("ended");
        assert!(matches!(error, RemoteError::ThreadEnded), "{error:?}");
        assert!(!matches!(accepted.recv().await, Ok(Some(_))));
    })
    .await;
}

// HAZARDS B9.
#[tokio::test]
async fn a_task_panic_does_not_end_its_ring_thread() {
    let threads = threads(1);
    let handle = threads.handle();
    patiently(async {
        let (mut dialed, mut accepted) = pair(&handle).await;
        let result: Result<(), RunError> = handle.run(|| async { panic!("on purpose") }).await;
        assert_eq!(result, Err(RunError::Panicked));
        let panics_early = || -> std::future::Ready<()> { panic!("on purpose") };
        assert_eq!(handle.run(panics_early).await, Err(RunError::Panicked));
        dialed.send("still here").await.expect("send");
        let received = accepted.recv().await.expect("recv").expect("a message");
        assert_eq!(received, "still here");
        threads.shutdown().await.expect("the thread did not panic");
    })
    .await;
}

// HAZARDS B9: the waker of a caller is foreign code on the ring thread.
#[tokio::test]
async fn a_waker_that_panics_ends_its_connection_and_no_other() {
    struct Panics(AtomicBool);
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
            panic!("on purpose");
        }
    }
    let threads = threads(1);
    patiently(async {
        let handle = threads.handle();
        let (mut dialed, mut accepted) = pair(&handle).await;
        let (other, echoing) = pair(&handle).await;
        let panics = Arc::new(Panics(AtomicBool::new(false)));
        {
            let waker = Arc::clone(&panics).into();
            let mut recv = Box::pin(accepted.recv());
            let poll = recv
                .as_mut()
                .poll(&mut std::task::Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
        dialed.send("x").await.expect("send");
        while !panics.0.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The message itself was handed over before.
        let received = accepted.recv().await.expect("recv").expect("a message");
        assert_eq!(received, "x");
        let error = accepted.recv().await.expect_err("its task is gone");
        assert!(matches!(error, RemoteError::ThreadEnded), "{error:?}");
        futures_util::join!(exchange(other, 50), echo(echoing));
    })
    .await;
}

/// Fails the test if it hangs, in a lock for instance.
fn in_time(test: impl Future<Output = ()> + Send + 'static) {
    let (ended, is_over) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ended = ended;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(test);
    });
    let result: Result<(), _> = is_over.recv_timeout(PATIENCE);
    assert_ne!(result, Err(std::sync::mpsc::RecvTimeoutError::Timeout));
    thread.join().expect("no panic");
}

/// Polls by a waker that owns something, which goes with the last clone of the waker.
fn poll_owning<F: Future + Unpin>(
    future: &mut F,
    owned: impl Send + Sync + 'static,
) -> std::task::Poll<F::Output> {
    struct Owns<T>(T);
    impl<T: Send + Sync> std::task::Wake for Owns<T> {
        fn wake(self: Arc<Self>) {}
    }
    let waker = Arc::new(Owns(owned)).into();
    future.poll_unpin(&mut std::task::Context::from_waker(&waker))
}

// HAZARDS F17: the other half takes the lock that the waker is kept behind.
#[test]
fn a_waker_that_owns_the_other_half_may_be_replaced() {
    in_time(async {
        let threads = threads(2);
        let (mut dialed, mut accepted) = pair(&threads.handle()).await;
        send_until_full(
            &mut dialed,
            50_000,
            (usize::MAX, usize::MAX),
            &Arc::default(),
        )
        .await;
        let (mut sender, receiver) = dialed.split();
        let mut send = Box::pin(sender.send(vec![7; 300_000]));
        assert!(poll_owning(&mut send, receiver).is_pending());
        assert!(poll!(&mut send).is_pending(), "and the receiver is gone");
        // Nobody but the peer can tell, and what was sent still arrives.
        assert!(accepted.recv().await.expect("recv").is_some());
        drop(send);

        let (mut dialed, mut accepted) = pair(&threads.handle()).await;
        dialed.send("once").await.expect("send");
        let (sender, mut receiver) = dialed.split();
        let mut recv = Box::pin(receiver.recv());
        assert!(poll_owning(&mut recv, sender).is_pending());
        assert!(poll!(&mut recv).is_pending(), "and the sender is gone");
        assert_eq!(
            accepted.recv().await.expect("recv").as_deref(),
            Some(&b"once"[..])
        );
        assert!(accepted.recv().await.expect("the end").is_none());
        accepted.send("still").await.expect("send");
        assert_eq!(recv.await.expect("recv").as_deref(), Some(&b"still"[..]));
    });
}

// HAZARDS F17: what is not taken is dropped when nothing is locked.
#[test]
fn a_message_that_owns_the_other_half_may_be_refused() {
    struct Owns(#[expect(dead_code, reason = "only dropped")] RemoteReceiver);
    impl AsRef<[u8]> for Owns {
        fn as_ref(&self) -> &[u8] {
            b"owned"
        }
    }
    in_time(async {
        let threads = threads(1);
        let (dialed, accepted) = pair(&threads.handle()).await;
        let (mut sender, receiver) = dialed.split();
        SinkExt::close(&mut sender).await.expect("close");
        let error = sender.start_send_unpin(Bytes::from_owner(Owns(receiver)));
        assert!(
            matches!(error, Err(RemoteError::Call(SendError::Closed))),
            "{error:?}"
        );
        drop(accepted);
    });
}

#[tokio::test]
async fn the_end_is_told_apart_from_a_cut() {
    let threads = threads(1);
    for (wire, proof) in [
        (Wire::native(), End::Authenticated),
        (Wire::COMMONWARE, End::Unauthenticated),
    ] {
        let dialer = config(1).wire(wire);
        let (mut dialed, accepted) = patiently(pair_with(&threads.handle(), &dialer)).await;
        assert_eq!((dialed.wire(), accepted.wire()), (wire, wire));
        dialed.send("last").await.expect("send");
        patiently(dialed.close()).await.expect("close");
        let (_, mut receiver) = accepted.split();
        assert!(patiently(receiver.recv()).await.expect("recv").is_some());
        assert_eq!(receiver.end(), None, "it was not given out");
        assert!(patiently(receiver.recv()).await.expect("recv").is_none());
        assert_eq!(receiver.end(), Some(proof));
    }
}

#[tokio::test]
async fn both_ends_export_the_same_and_other_connections_do_not() {
    let threads = threads(2);
    let export = |connection: &RemoteConnection, context: &[u8]| {
        let mut bytes = [0; 32];
        let exported = connection.channel_binding("test", context, &mut bytes);
        exported.map(|()| bytes)
    };
    patiently(async {
        let (dialed, accepted) = pair(&threads.handle()).await;
        let ours = export(&dialed, b"context").expect("exported");
        assert_eq!(export(&accepted, b"context"), Ok(ours));
        assert_ne!(export(&accepted, b"other"), Ok(ours));
        let (other, _accepted) = pair(&threads.handle()).await;
        assert_ne!(export(&other, b"context"), Ok(ours));
        let commonware = config(1).wire(Wire::COMMONWARE);
        let (other, _accepted) = pair_with(&threads.handle(), &commonware).await;
        assert_eq!(
            export(&other, b"context"),
            Err(native::ExportError::NoExporter)
        );
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_leaves_is_heard_of_behind_what_it_sent_before() {
    let threads = threads(1);
    let (dialed, accepted) = patiently(pair(&threads.handle())).await;
    let (mut sender, _theirs) = dialed.split();
    let (mut answers, mut receiver) = accepted.split();
    patiently(async {
        for index in 0..3 {
            sender.send(message(index)).await.expect("send");
        }
        assert!(sender.announce_leaving(7).expect("taken"));
        sender.send("behind").await.expect("send");
        while waiting(&receiver).0 < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..3 {
            assert_eq!(receiver.leaving(), None);
            assert!(receiver.recv().await.expect("recv").is_some());
        }
        assert_eq!(receiver.leaving(), Some(7));
        assert_eq!(
            receiver.recv().await.expect("recv").as_deref(),
            Some(&b"behind"[..])
        );
        answers.send("answer").await.expect("still");
        // Heard of with nothing behind it, and though nobody waits for a message.
        for reason in 0..1000 {
            assert!(sender.announce_leaving(reason).expect("taken"));
        }
        while receiver.leaving() != Some(999) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        sender.close().await.expect("close");
        assert!(receiver.recv().await.expect("recv").is_none());
    })
    .await;
}

#[tokio::test]
async fn keys_are_updated_between_messages_where_the_wire_can() {
    let threads = threads(1);
    patiently(async {
        let (dialed, mut accepted) = pair(&threads.handle()).await;
        let (mut sender, _receiver) = dialed.split();
        for index in 0..300 {
            assert!(sender.update_keys().expect("taken"));
            assert!(sender.update_keys().expect("taken"));
            sender.send(message(index)).await.expect("send");
        }
        assert!(sender.update_keys().expect("taken"));
        SinkExt::close(&mut sender).await.expect("close");
        for index in 0..300 {
            let received = accepted.recv().await.expect("recv").expect("a message");
            assert!(received == message(index), "message {index}");
        }
        assert!(accepted.recv().await.expect("recv").is_none());
        let closed = sender.update_keys();
        assert!(
            matches!(closed, Err(RemoteError::Call(SendError::Closed))),
            "{closed:?}"
        );

        let commonware = config(1).wire(Wire::COMMONWARE);
        let (dialed, _accepted) = pair_with(&threads.handle(), &commonware).await;
        let (mut sender, _receiver) = dialed.split();
        assert!(!sender.update_keys().expect("no error"));
        assert!(!sender.announce_leaving(1).expect("no error"));
        threads.shutdown().await.expect("no panic");
        let error = sender.announce_leaving(1);
        assert!(matches!(error, Err(RemoteError::ThreadEnded)), "{error:?}");
    })
    .await;
}

// NATIVE 4.3: a connection that is given up is no connection that has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_given_up_tells_its_peer_why_behind_what_was_sent() {
    let threads = threads(2);
    for keeps_receiver in [true, false] {
        patiently(async {
            let (dialed, mut accepted) = pair(&threads.handle()).await;
            let (mut sender, mut receiver) = dialed.split();
            accepted.send("never taken").await.expect("send");
            accepted.flush().await.expect("flush");
            for index in 0..300 {
                sender.send(message(index)).await.expect("send");
            }
            if keeps_receiver {
                sender.abort(AbortReason(300));
                let error = receiver.recv().await.expect_err("given up");
                assert!(
                    matches!(error, RemoteError::Call(RecvError::Closed)),
                    "{error:?}"
                );
            } else {
                drop(receiver);
                sender.abort(AbortReason(300));
            }
            for index in 0..300 {
                let received = accepted.recv().await.expect("recv").expect("a message");
                assert!(received == message(index), "message {index}");
            }
            let error = accepted.recv().await.expect_err("given up");
            assert!(
                matches!(
                    error,
                    RemoteError::Call(RecvError::Aborted {
                        reason: AbortReason(300)
                    })
                ),
                "{error:?}"
            );
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_keeps_nobody_from_giving_up() {
    let threads = threads(2);
    let (mut dialed, mut accepted) = patiently(pair(&threads.handle())).await;
    let held: Arc<Held> = Arc::default();
    send_until_full(&mut dialed, 50_000, (usize::MAX, usize::MAX), &held).await;
    let (sender, _receiver) = dialed.split();
    sender.abort(AbortReason(300));
    patiently(async {
        while held.messages.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // It is no end.
        while accepted.recv().await.is_ok_and(|message| message.is_some()) {}
    })
    .await;
    let (_, receiver) = accepted.split();
    assert_eq!(receiver.end(), None);
}

#[tokio::test]
async fn a_message_that_cannot_be_queued_at_once_stays_the_callers() {
    let threads = threads(1);
    let limits = QueueLimits::default().messages(3);
    patiently(async {
        let (dialed, mut accepted) = pair(&threads.handle().queue_limits(limits)).await;
        let (mut sender, _receiver) = dialed.split();
        let (mut sent, mut refused) = (0, 0);
        while refused < 20 {
            let next = Bytes::from(vec![u8::try_from(sent % 251).expect("small"); 50_000]);
            if sender.try_send(&next).expect("no error") {
                sent += 1;
            } else {
                refused += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let too_long = Bytes::from(vec![0; 2 << 20]);
        let error = sender.try_send(&too_long);
        assert!(
            matches!(error, Err(RemoteError::Call(SendError::TooLarge { .. }))),
            "{error:?}"
        );
        let closing = tokio::spawn(async move {
            SinkExt::close(&mut sender).await.expect("close");
            sender.try_send(&Bytes::new())
        });
        for index in 0..sent {
            let received = accepted.recv().await.expect("recv").expect("a message");
            assert!(received == vec![u8::try_from(index % 251).expect("small"); 50_000]);
        }
        assert!(accepted.recv().await.expect("recv").is_none());
        let error = closing.await.expect("no panic");
        assert!(
            matches!(error, Err(RemoteError::Call(SendError::Closed))),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn work_is_run_on_the_threads_in_turn() {
    let threads = threads(2);
    let handle = threads.handle();
    let mut names = Vec::new();
    for _ in 0..4 {
        let name = || async { std::thread::current().name().map(str::to_owned) };
        names.push(patiently(handle.run(name)).await.expect("runs"));
    }
    assert_ne!(names[0], names[1]);
    assert_eq!(names[..2], names[2..]);
}

// A connection of one's own on a ring thread, of which only a result crosses.
#[tokio::test]
async fn connections_can_be_used_where_they_live() {
    let threads = threads(1);
    let handle = threads.handle();
    patiently(async {
        let mut listener = listen(&handle).await;
        let address = listener.local_address();
        let summing = handle.run(move || async move {
            let dialed = ringseal::dial(&address, key(2), &config(1)).await;
            let mut connection = dialed.expect("dial");
            let mut total = 0;
            while let Some(message) = connection.recv().await.expect("recv") {
                total += message.len();
            }
            total
        });
        let sending = async {
            let mut connection = listener.accept().await.expect("accept");
            for index in 0..100 {
                connection.send(message(index)).await.expect("send");
            }
            connection.close().await.expect("close");
        };
        let (total, ()) = futures_util::join!(summing, sending);
        let expected: usize = (0..100).map(|index| message(index).len()).sum();
        assert_eq!(total, Ok(expected));
    })
    .await;
}

#[tokio::test]
async fn a_dial_that_is_dropped_closes_its_socket() {
    let threads = threads(1);
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = silent.local_addr().expect("bound");
    let handle = threads.handle();
    let dialing = tokio::spawn(async move { handle.dial(address, key(2), &config(1)).await });
    let client = tokio::task::spawn_blocking(move || silent.accept().expect("accept").0);
    let mut client = patiently(client).await.expect("no panic");
    dialing.abort();
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let read = tokio::task::spawn_blocking(move || client.read_to_end(&mut Vec::new()));
    // A hello, then the end or a reset; with the dial still waiting it would take its deadline.
    let _ = patiently(read).await.expect("no panic");
    assert!(
        patiently(dialing)
            .await
            .expect_err("aborted")
            .is_cancelled()
    );
}

// The streams have their reactor here, and are used on the ring thread.
#[tokio::test]
async fn connections_over_any_stream_live_on_ring_threads() {
    let threads = threads(2);
    let handle = threads.handle();
    patiently(async {
        let (near, far) = tokio::io::duplex(1 << 16);
        exchange_over(&handle, near, far).await;
        let (near, far) = tokio::net::UnixStream::pair().expect("a pair");
        exchange_over(&handle, near, far).await;
    })
    .await;
}

async fn exchange_over<S: AsyncRead + AsyncWrite + Send + 'static>(
    handle: &RingHandle,
    near: S,
    far: S,
) {
    let (ours, theirs) = (config(1), config(2));
    let admission = Admission::allow_list([key(1)]);
    let (dialed, accepted) = futures_util::join!(
        handle.dial_over(near, key(2), &ours),
        handle.accept_over(far, &theirs, &admission)
    );
    let (dialed, accepted) = (dialed.expect("dial"), accepted.expect("accept"));
    assert_eq!((dialed.peer(), accepted.peer()), (key(2), key(1)));
    futures_util::join!(exchange(dialed, 100), echo(accepted));
}

#[tokio::test]
async fn a_stream_whose_dial_is_dropped_or_comes_too_late_is_dropped() {
    let threads = threads(1);
    let handle = threads.handle();
    patiently(async {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let dialer = handle.clone();
        let dialing = tokio::spawn(async move { dialer.dial_over(near, key(2), &config(1)).await });
        // It has begun.
        far.read_exact(&mut [0; 33]).await.expect("a hello");
        dialing.abort();
        // The rest of the hello, and then the end.
        far.read_to_end(&mut Vec::new()).await.expect("the end");
        threads.shutdown().await.expect("no panic");
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let error = handle.dial_over(near, key(2), &config(1)).await;
        assert!(matches!(error, Err(RemoteError::ThreadEnded)), "{error:?}");
        assert_eq!(far.read(&mut [0]).await.expect("the end"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_listener_closes_its_port_and_keeps_its_connections() {
    let threads = threads(1);
    let handle = threads.handle();
    patiently(async {
        let mut listener = listen(&handle).await;
        let address = listener.local_address();
        let config = config(1);
        let (dialed, accepted) =
            futures_util::join!(handle.dial(&address, key(2), &config), listener.accept());
        let (dialed, accepted) = (dialed.expect("dial"), accepted.expect("accept"));
        drop(listener);
        while handle.dial(&address, key(2), &config).await.is_ok() {}
        futures_util::join!(exchange(dialed, 100), echo(accepted));
    })
    .await;
}

#[tokio::test]
async fn a_client_that_fails_is_told_and_the_listener_goes_on() {
    let threads = threads(1);
    let handle = threads.handle();
    patiently(async {
        let mut listener = listen(&handle).await;
        let address = listener.local_address();
        let tcp = address.socket_address().expect("a TCP address");
        drop(TcpStream::connect(tcp).expect("connect"));
        let error = listener.accept().await.expect_err("no handshake");
        assert!(matches!(error, RemoteError::Call(_)), "{error:?}");
        let config = config(1);
        let (dialed, accepted) =
            futures_util::join!(handle.dial(&address, key(2), &config), listener.accept());
        drop((dialed.expect("dial"), accepted.expect("accept")));
    })
    .await;
}

#[test]
fn settings_that_give_no_ring_are_errors_of_the_start() {
    let error = RingThreads::start(Runtime::builder(), 0).expect_err("no threads");
    assert!(error.to_string().contains("1 at least"), "{error}");
    let error = RingThreads::start(Runtime::builder().slots(1), 3).expect_err("one slot");
    assert!(error.to_string().contains("4 slots"), "{error}");
}
