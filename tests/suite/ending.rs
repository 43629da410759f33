//! How connections end: what was promised arrives, whatever is unread, and nothing stays behind.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use ringseal::protocol::native::record::AbortReason;
use ringseal::{
    Admission, Connection, Listener, Receiver, RecvError, RingThreads, Sender, Statistics, dial,
};

use super::peers::{builder, config, key, pair, patiently, pattern, relay, run};
use super::setting::{on_native, spawn, transport};
use super::transport::{Transport, somewhere};

/// Messages that are sent before the end, more together than a socket takes at first.
const MESSAGES: usize = 8;
/// Bytes in each.
const LENGTH: usize = 60_000;
/// How long an end goes on before its peer receives anything.
const HEAD_START: Duration = Duration::from_millis(50);

fn statistics() -> Statistics {
    Statistics::current().expect("inside a runtime")
}

async fn send_all(sender: &mut Sender) {
    for index in 0..MESSAGES {
        sender.send(&pattern(LENGTH, index)).await.expect("send");
    }
}

/// Has the peer of `dialer` send something that nobody will receive.
async fn leave_unread(dialer: &mut Connection) {
    dialer.send(&pattern(1000, 99)).await.expect("send");
    dialer.flush().await.expect("flush");
}

/// Receives all that `send_all` sent, and the end.
async fn expect_all(dialer: &mut Connection) {
    for index in 0..MESSAGES {
        let message = dialer.recv().await.expect("recv").expect("a message");
        assert!(*message == *pattern(LENGTH, index), "message {index}");
    }
    assert!(dialer.recv().await.expect("a regular end").is_none());
}

/// Sends until the peer takes no more. Returns how many messages were taken.
async fn fill(sender: &mut Sender) -> usize {
    let mut sent = 0;
    'sending: loop {
        let message = pattern(16_000, sent);
        let mut sending = pin!(sender.send(&message));
        for _ in 0..20 {
            if let Poll::Ready(result) = futures_util::poll!(sending.as_mut()) {
                result.expect("send");
                sent += 1;
                continue 'sending;
            }
            ringseal::sleep(Duration::from_millis(2)).await;
        }
        return sent;
    }
}

// HAZARDS F1.
fn what_was_sent_before_a_close_arrives_whatever_is_unread() {
    run(async {
        let (mut dialer, listener) = pair().await;
        leave_unread(&mut dialer).await;
        let (mut sender, receiver) = listener.split();
        let closing = ringseal::spawn(async move {
            send_all(&mut sender).await;
            sender.close().await.expect("close");
            drop(receiver);
        });
        // As much as the transport takes is on its way before anything is received.
        ringseal::sleep(HEAD_START).await;
        expect_all(&mut dialer).await;
        closing.await;
    });
}

// HAZARDS F1.
fn what_was_flushed_before_a_drop_arrives_whatever_is_unread() {
    run(async {
        let (mut dialer, mut listener) = pair().await;
        leave_unread(&mut dialer).await;
        let dropping = ringseal::spawn(async move {
            for index in 0..MESSAGES {
                listener.send(&pattern(LENGTH, index)).await.expect("send");
            }
            listener.flush().await.expect("flush");
            drop(listener);
        });
        ringseal::sleep(HEAD_START).await;
        expect_all(&mut dialer).await;
        dropping.await;
    });
}

// HAZARDS F1: what `send` took and the kernel does not have yet goes out in the background.
fn what_was_sent_before_a_drop_arrives_whatever_is_unread() {
    run(async {
        for receiver_first in [false, true] {
            let (mut dialer, listener) = pair().await;
            leave_unread(&mut dialer).await;
            let (mut sender, receiver) = listener.split();
            let dropping = ringseal::spawn(async move {
                send_all(&mut sender).await;
                if receiver_first {
                    drop(receiver);
                    drop(sender);
                } else {
                    drop(sender);
                    drop(receiver);
                }
            });
            ringseal::sleep(HEAD_START).await;
            expect_all(&mut dialer).await;
            dropping.await;
        }
    });
}

// HAZARDS F1: the receiver goes long before the sender, with a read in flight.
fn a_sender_whose_receiver_is_gone_closes_in_order() {
    run(async {
        let (mut dialer, listener) = pair().await;
        let (mut sender, mut receiver) = listener.split();
        assert!(futures_util::poll!(pin!(receiver.recv())).is_pending());
        drop(receiver);
        // Where the peer is told that nobody reads, it may fail to send.
        for index in 0..5 {
            if dialer.send(&pattern(1000, index)).await.is_ok() {
                let _ = dialer.flush().await;
            }
        }
        let closing = ringseal::spawn(async move {
            send_all(&mut sender).await;
            sender.close().await.expect("close");
        });
        ringseal::sleep(HEAD_START).await;
        for index in 0..MESSAGES {
            let message = dialer.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(LENGTH, index), "message {index}");
            // What still comes is no reason to reset either.
            if dialer.send(&pattern(1000, 9)).await.is_ok() {
                let _ = dialer.flush().await;
            }
        }
        assert!(dialer.recv().await.expect("a regular end").is_none());
        closing.await;
    });
}

// HAZARDS F1: a receiver that failed is a receiver that is gone.
fn a_sender_whose_receiver_failed_closes_in_order() {
    run(async {
        let (mut dialer, listener) =
            super::peers::pair_with(&config(1), &config(2).max_message_size(100_000)).await;
        dialer.send(&pattern(200_000, 1)).await.expect("send");
        let (mut sender, mut receiver) = listener.split();
        assert!(matches!(receiver.recv().await, Err(RecvError::Record(_))));
        let closing = ringseal::spawn(async move {
            send_all(&mut sender).await;
            sender.close().await.expect("close");
        });
        ringseal::sleep(HEAD_START).await;
        expect_all(&mut dialer).await;
        closing.await;
        drop(receiver);
    });
}

// NATIVE 4.3: a connection that is given up is no connection that has ended.
fn a_connection_that_is_given_up_tells_its_peer_why() {
    run(async {
        let (mut dialer, listener) = pair().await;
        let (mut sender, mut receiver) = listener.split();
        send_all(&mut sender).await;
        sender.abort(AbortReason(300));
        let mut received = 0;
        let end = loop {
            match dialer.recv().await {
                Ok(Some(message)) => assert!(*message == *pattern(LENGTH, received)),
                end => break end,
            }
            received += 1;
        };
        if on_native() {
            let aborted = RecvError::Aborted {
                reason: AbortReason(300),
            };
            assert_eq!(end.expect_err("no end").to_string(), aborted.to_string());
            assert_eq!(received, MESSAGES);
        } else if transport() == Transport::Tcp {
            assert!(matches!(end, Err(RecvError::Transport(_))), "{end:?}");
        }
        assert!(!matches!(receiver.recv().await, Ok(Some(_))));
    });
}

// HAZARDS B3: whoever drops a connection need not run its runtime for the peer to hear of it.
fn a_dropped_connection_ends_though_its_runtime_stands_still() {
    let (bound, address) = mpsc::channel();
    let (ended, is_over) = mpsc::channel();
    let listening = spawn(move || {
        run(async move {
            let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
                .await
                .expect("bind");
            bound
                .send(listener.local_address())
                .expect("the test waits");
            let mut connection = listener.accept().await.expect("accept");
            assert!(connection.recv().await.expect("recv").is_some());
            assert!(connection.recv().await.expect("an end").is_none());
            ended.send(()).expect("the test waits");
        });
    });
    let address = address.recv().expect("the listener listens");
    let runtime = builder().build().expect("a runtime");
    runtime.block_on(patiently(async {
        let mut connection = dial(address, key(2), &config(1)).await.expect("dial");
        connection.send(b"last").await.expect("send");
        connection.flush().await.expect("flush");
        drop(connection);
    }));
    // Nobody is inside of it now.
    let patience = super::peers::patience() / 2;
    is_over
        .recv_timeout(patience)
        .expect("the peer hears of it");
    listening.join().expect("the listener ends well");
    drop(runtime);
}

// HAZARDS F1: both close with all buffers full, and each still gets what the other sent.
fn two_ends_that_close_while_both_have_much_to_send_get_all_of_it() {
    run(async {
        let (dialer, listener) = pair().await;
        let [mut first, mut second] = [dialer, listener].map(Connection::split);
        // Before either receives anything, or the other would not end.
        let sent = futures_util::join!(fill(&mut first.0), fill(&mut second.0));
        let ends = [(first, sent.0), (second, sent.1)].map(|(halves, sent)| async move {
            let (sender, mut receiver) = halves;
            drop(sender);
            let mut received = 0;
            while let Some(message) = receiver.recv().await.expect("recv") {
                assert!(*message == *pattern(16_000, received));
                received += 1;
            }
            (sent, received)
        });
        let [first, second] = ends;
        let (first, second) = futures_util::join!(first, second);
        assert_eq!((first.0, second.0), (second.1, first.1));
    });
}

// HAZARDS F1: a peer that streams until it sees our end.
fn what_was_sent_arrives_at_a_peer_that_is_streaming() {
    run(async {
        let (dialer, listener) = pair().await;
        let (mut sending, mut receiving) = dialer.split();
        let stop = Rc::new(Cell::new(false));
        let stopped = Rc::clone(&stop);
        let streaming = ringseal::spawn(async move {
            while !stopped.get() && sending.send(&pattern(4000, 1)).await.is_ok() {
                ringseal::sleep(Duration::from_micros(200)).await;
            }
            drop(sending);
        });
        let (mut sender, receiver) = listener.split();
        let closing = ringseal::spawn(async move {
            send_all(&mut sender).await;
            sender.close().await.expect("close");
            drop(receiver);
        });
        for index in 0..MESSAGES {
            ringseal::sleep(Duration::from_millis(5)).await;
            let message = receiving.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(LENGTH, index));
        }
        assert!(receiving.recv().await.expect("a regular end").is_none());
        stop.set(true);
        streaming.await;
        closing.await;
    });
}

/// Runs a listener on a thread of its own that serves one connection and ends its runtime.
fn serve_once<F>(serve: impl FnOnce(Connection) -> F + Send + 'static) -> ServedOnce
where
    F: Future<Output = ()>,
{
    let (bound, address) = mpsc::channel();
    let thread = spawn(move || {
        let runtime = builder().build().expect("io_uring");
        runtime.block_on(patiently(async {
            let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
                .await
                .expect("bind");
            bound
                .send(listener.local_address())
                .expect("the test waits");
            let mut connection = listener.accept().await.expect("accept");
            // The peer has something on the way that stays unread.
            let message = connection.recv().await.expect("recv").expect("a message");
            assert_eq!(&*message, b"go");
            drop(message);
            serve(connection).await;
        }));
    });
    ServedOnce {
        address: address.recv().expect("a listener"),
        thread,
    }
}

struct ServedOnce {
    address: ringseal::Address,
    thread: std::thread::JoinHandle<()>,
}

impl ServedOnce {
    /// Dials, leaves something unread, and expects all that is sent before the end.
    fn expect_all(self) {
        run(async {
            let mut dialer = dial(&self.address, key(2), &config(1)).await.expect("dial");
            dialer.send(b"go").await.expect("send");
            leave_unread(&mut dialer).await;
            ringseal::sleep(HEAD_START).await;
            expect_all(&mut dialer).await;
        });
        self.thread.join().expect("the listener");
    }
}

// HAZARDS F1: the runtime ends right behind the connection.
fn what_was_closed_arrives_though_the_runtime_ends() {
    serve_once(|connection| async move {
        let (mut sender, _receiver) = connection.split();
        send_all(&mut sender).await;
        sender.close().await.expect("close");
    })
    .expect_all();
}

// HAZARDS F1: the runtime ends with the connection still in somebody's hands.
fn what_was_flushed_arrives_though_the_runtime_ends_before_the_connection() {
    serve_once(|mut connection| async move {
        for index in 0..MESSAGES {
            connection
                .send(&pattern(LENGTH, index))
                .await
                .expect("send");
        }
        connection.flush().await.expect("flush");
        ringseal::spawn(async move {
            let _held = connection;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
    })
    .expect_all();
}

// HAZARDS F1: what was sent and not flushed, and then dropped with the runtime.
fn what_was_sent_arrives_though_the_runtime_ends() {
    serve_once(|mut connection| async move {
        for index in 0..MESSAGES {
            connection
                .send(&pattern(LENGTH, index))
                .await
                .expect("send");
        }
    })
    .expect_all();
}

// HAZARDS F1, through handles, whose threads end right behind.
fn what_a_handle_closed_arrives_though_its_threads_end() {
    let threads = RingThreads::start(builder(), 1).expect("a ring");
    let handle = threads.handle();
    let (bound, address) = mpsc::channel();
    let thread = spawn(move || {
        futures::executor::block_on(async {
            let mut listener = handle
                .listen(somewhere(), &config(2), Admission::any())
                .await
                .expect("listen");
            bound
                .send(listener.local_address())
                .expect("the test waits");
            let mut connection = listener.accept().await.expect("accept");
            let message = connection.recv().await.expect("recv").expect("a message");
            assert_eq!(&*message, b"go");
            for index in 0..MESSAGES {
                connection.send(pattern(LENGTH, index)).await.expect("send");
            }
            connection.close().await.expect("close");
            threads.shutdown().await.expect("no panic");
        });
    });
    ServedOnce {
        address: address.recv().expect("a listener"),
        thread,
    }
    .expect_all();
}

/// Waits until nothing is left of connections in the background.
async fn settled(free: usize) {
    let is_settled = |now: Statistics| {
        now.in_flight == 0 && now.lingering == 0 && now.heap_bytes == 0 && now.free_slots >= free
    };
    while !is_settled(statistics()) {
        ringseal::sleep(Duration::from_millis(1)).await;
    }
}

// HAZARDS F1: neither time nor bytes without bound.
fn a_peer_that_keeps_sending_does_not_hold_an_ended_connection() {
    run(async {
        let (dialer, listener) = pair().await;
        let (mut sending, receiving) = dialer.split();
        let failing = ringseal::spawn(async move {
            let message = pattern(60_000, 1);
            loop {
                if let Err(error) = sending.send(&message).await {
                    return error;
                }
            }
        });
        drop(listener);
        failing.await;
        drop(receiving);
    });
}

// HAZARDS F1: nor does one that does nothing at all.
fn a_peer_that_stays_silent_does_not_hold_an_ended_connection() {
    run(async {
        let free = statistics().free_slots;
        let (mut dialer, listener) = pair().await;
        drop(listener);
        // The peer sees the end before the connection is gone here.
        assert!(dialer.recv().await.expect("a regular end").is_none());
        if transport() != Transport::Memory {
            assert_eq!(statistics().lingering, 1);
        }
        settled(free).await;
    });
}

// HAZARDS F1: nor one that takes nothing.
fn a_peer_that_reads_nothing_does_not_hold_an_ended_connection() {
    run(async {
        let free = statistics().free_slots;
        let (dialer, listener) = pair().await;
        let (mut sender, receiver) = dialer.split();
        fill(&mut sender).await;
        assert!(statistics().free_slots < free);
        drop((sender, receiver));
        settled(free).await;
        drop(listener);
    });
}

/// Tells a test that runs alone in its process how many descriptors that has.
/// Receives through a relay that passes no more than `passed` bytes of what comes behind the first
/// message. Returns how that ends, and whether it was in the middle of a message.
async fn receive_cut(length: usize, passed: usize) -> (Result<bool, RecvError>, bool) {
    let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
        .await
        .expect("bind");
    let (has_first, was_received) = mpsc::channel::<()>();
    let mut left = None;
    let address = relay(listener.local_address(), move |_, bytes| {
        if was_received.try_recv().is_ok() {
            left = Some(passed);
        }
        let Some(left) = &mut left else {
            return bytes.len();
        };
        let passes = bytes.len().min(*left);
        *left -= passes;
        passes
    });
    let ours = config(1);
    let (dialed, accepted) = futures_util::join!(dial(address, key(2), &ours), listener.accept());
    let mut dialer = dialed.expect("dial");
    let (_sender, mut receiver) = accepted.expect("accept").split();
    dialer.send(b"first").await.expect("send");
    let first = receiver.recv().await.expect("recv").expect("a message");
    assert_eq!(&*first, b"first");
    drop(first);
    assert!(!receiver.is_mid_message());
    has_first.send(()).expect("the relay waits");
    let second = pattern(length, 1);
    let (_, end) = futures_util::join!(
        async {
            dialer.send(&second).await?;
            dialer.flush().await
        },
        receiver.recv()
    );
    let end = end.map(|message| message.is_some());
    (end, receiver.is_mid_message())
}

// HAZARDS F4: whoever counts what is lost knows of the message that has come in part.
fn a_receiver_tells_whether_a_message_was_cut_off() {
    run(async {
        for length in [9_000, 200_000] {
            let (end, is_mid_message) = receive_cut(length, length / 2).await;
            assert!(end.is_err(), "{end:?}");
            assert!(is_mid_message, "{length} bytes");
        }
        let (end, is_mid_message) = receive_cut(9_000, 0).await;
        assert_eq!(end.is_err(), on_native(), "{end:?}");
        assert!(!is_mid_message, "nothing of it has come");
    });
}

// HAZARDS F4, before anything has ended.
fn a_receiver_tells_that_the_rest_of_a_message_is_to_come() {
    run(async {
        let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        let (hold, held) = mpsc::channel::<()>();
        let mut passed = 0;
        let address = relay(listener.local_address(), move |_, bytes| {
            passed += bytes.len();
            // The handshake and the first half of the message pass.
            if passed > LENGTH / 2 {
                let _ = held.recv();
            }
            bytes.len()
        });
        let ours = config(1);
        let (dialed, accepted) =
            futures_util::join!(dial(address, key(2), &ours), listener.accept());
        let mut dialer = dialed.expect("dial");
        let (_sender, mut receiver) = accepted.expect("accept").split();
        assert!(!receiver.is_mid_message());
        dialer.send(&pattern(LENGTH, 1)).await.expect("send");
        while !receiver.is_mid_message() {
            {
                let mut receiving = pin!(receiver.recv());
                assert!(futures_util::poll!(receiving.as_mut()).is_pending());
            }
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        drop(hold);
        let message = receiver.recv().await.expect("recv").expect("a message");
        assert!(*message == *pattern(LENGTH, 1));
        assert!(!receiver.is_mid_message());
    });
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// Waits until this process has `count` descriptors.
async fn expect_descriptors(count: usize) {
    while descriptors() > count {
        ringseal::sleep(Duration::from_millis(1)).await;
    }
}

// HAZARDS F5: halves that are kept hold no descriptor, however both directions have ended.
fn ended_connections_hold_no_descriptors_though_their_halves_live() {
    const TEST: &str = "ended_connections_hold_no_descriptors_though_their_halves_live";
    if !super::child::is_case(TEST) {
        return super::child::run_case(module_path!(), TEST);
    }
    run(async {
        let before = descriptors();
        let mut kept: Vec<(Option<Sender>, Option<Receiver>)> = Vec::new();

        // Both have closed, and read the other's end.
        let (dialer, listener) = pair().await;
        for connection in [dialer, listener] {
            let (sender, receiver) = connection.split();
            sender.close().await.expect("close");
            kept.push((None, Some(receiver)));
        }
        for (_, receiver) in &mut kept {
            let receiver = receiver.as_mut().expect("kept");
            assert!(receiver.recv().await.expect("recv").is_none());
        }
        expect_descriptors(before).await;

        // As before, by sinks, which outlive their close.
        let (dialer, listener) = pair().await;
        let mut sinks = Vec::new();
        let mut receivers = Vec::new();
        for connection in [dialer, listener] {
            let (sender, receiver) = connection.split();
            let mut sink = sender.into_sink::<Vec<u8>>();
            futures_util::SinkExt::close(&mut sink)
                .await
                .expect("close");
            sinks.push(sink);
            receivers.push(receiver);
        }
        for receiver in &mut receivers {
            assert!(receiver.recv().await.expect("recv").is_none());
        }
        expect_descriptors(before).await;

        // The peer's end was read, and what was sent fails.
        let (dialer, listener) = pair().await;
        drop(listener);
        let (mut sender, mut receiver) = dialer.split();
        assert!(receiver.recv().await.expect("recv").is_none());
        while sender.send(&[1; 1000]).await.is_ok() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        kept.push((Some(sender), Some(receiver)));
        expect_descriptors(before).await;

        // A limit on time was over.
        let short = config(1).idle_timeout(Duration::from_millis(50));
        let (dialer, listener) = super::peers::pair_with(&short, &config(2)).await;
        let (sender, mut receiver) = dialer.split();
        let (other_sender, mut other) = listener.split();
        assert!(receiver.recv().await.is_err());
        kept.push((Some(sender), Some(receiver)));
        assert!(!matches!(other.recv().await, Ok(Some(_))));
        drop((other_sender, other));
        expect_descriptors(before).await;
        assert_eq!(sinks.len() + kept.len(), 6);
    });
}

crate::on_every_setting! {
    a_connection_that_is_given_up_tells_its_peer_why,
    what_was_sent_before_a_close_arrives_whatever_is_unread,
    what_was_flushed_before_a_drop_arrives_whatever_is_unread,
    what_was_sent_before_a_drop_arrives_whatever_is_unread,
    a_sender_whose_receiver_is_gone_closes_in_order,
    a_dropped_connection_ends_though_its_runtime_stands_still,
    two_ends_that_close_while_both_have_much_to_send_get_all_of_it,
    what_was_sent_arrives_at_a_peer_that_is_streaming,
    what_was_closed_arrives_though_the_runtime_ends,
    what_was_flushed_arrives_though_the_runtime_ends_before_the_connection,
    what_was_sent_arrives_though_the_runtime_ends,
    what_a_handle_closed_arrives_though_its_threads_end,
    a_peer_that_keeps_sending_does_not_hold_an_ended_connection,
    a_peer_that_stays_silent_does_not_hold_an_ended_connection,
    a_peer_that_reads_nothing_does_not_hold_an_ended_connection,
    ended_connections_hold_no_descriptors_though_their_halves_live,
    a_receiver_tells_that_the_rest_of_a_message_is_to_come,
    a_receiver_tells_whether_a_message_was_cut_off,
}

// A receiver that takes less than the peer knows is of this wire alone.
mod of_one_wire {
    use super::a_sender_whose_receiver_failed_closes_in_order;

    crate::on_commonware! {
        a_sender_whose_receiver_failed_closes_in_order,
    }
}
