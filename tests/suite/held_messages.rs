//! Messages that are held while their holder waits: nobody else may have to wait for it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use ringseal::{
    Admission, Connection, RemoteListener, RingThreads, RuntimeBuilder, Statistics, dial,
};

use super::peers::{builder, config, key, pair, pattern, run_with};
use super::setting::{spawn, transport};
use super::transport::{Transport, somewhere};

fn statistics() -> Statistics {
    Statistics::current().expect("inside a runtime")
}

/// Serves as the crate's front page does: what was received is held until it has been sent.
async fn echo(mut connection: Connection) {
    while let Ok(Some(message)) = connection.recv().await {
        if connection.send(&message).await.is_err() {
            break;
        }
    }
}

/// Waits until `count` no longer grows.
async fn standstill(count: &Cell<usize>) {
    let mut last = usize::MAX;
    while count.get() != last {
        last = count.get();
        ringseal::sleep(Duration::from_millis(100)).await;
    }
}

/// Sends messages to an echo and never reads; counts what was taken.
async fn stream_without_reading(mut connection: Connection, size: usize, sent: Rc<Cell<usize>>) {
    let message = pattern(size, 1);
    while connection.send(&message).await.is_ok() {
        sent.set(sent.get() + 1);
    }
}

/// Exchanges messages of `size` bytes with a peer that echoes.
async fn ping(connection: &mut Connection, size: usize, rounds: usize) {
    for round in 0..rounds {
        let message = pattern(size, round);
        connection.send(&message).await.expect("send");
        let echo = connection.recv().await.expect("recv").expect("an echo");
        assert!(*echo == *message, "{size} bytes, round {round}");
    }
}

fn peers_that_never_read_stop_nobody_else(builder: RuntimeBuilder, peers: usize, size: usize) {
    run_with(builder, async {
        let sent = Rc::new(Cell::new(0));
        for _ in 0..peers {
            let (dialer, listener) = pair().await;
            drop(ringseal::spawn(echo(listener)));
            let sent = Rc::clone(&sent);
            drop(ringseal::spawn(stream_without_reading(dialer, size, sent)));
        }
        standstill(&sent).await;
        let (mut dialer, listener) = pair().await;
        drop(ringseal::spawn(echo(listener)));
        for size in [1, 5_000, 16_000, 60_000, 100_000] {
            ping(&mut dialer, size, 10).await;
        }
    });
}

// HAZARDS F3.
fn an_echo_whose_peers_never_read_serves_others() {
    for peers in [4, 8] {
        peers_that_never_read_stop_nobody_else(builder(), peers, 16_000);
    }
}

// HAZARDS F3, with messages that each take a slot for themselves.
fn an_echo_whose_peers_never_read_long_messages_serves_others() {
    peers_that_never_read_stop_nobody_else(builder(), 6, 200_000);
}

// HAZARDS F3, with the smallest pools.
fn an_echo_with_few_slots_whose_peers_never_read_serves_others() {
    for (slots, slot_size) in [(4, 8192), (8, 16_384)] {
        for peers in [4, 8] {
            let builder = builder().slots(slots).slot_size(slot_size);
            peers_that_never_read_stop_nobody_else(builder, peers, 7_000);
        }
    }
}

// HAZARDS F3: whoever holds what it has received holds up nobody.
fn messages_that_are_kept_stop_no_other_receiver() {
    run_with(builder().slots(4).slot_size(8192), async {
        let mut kept = Vec::new();
        let mut connections = Vec::new();
        for salt in 0..6 {
            let (mut dialer, mut listener) = pair().await;
            for _ in 0..3 {
                dialer.send(&pattern(6000, salt)).await.expect("send");
                let message = listener.recv().await.expect("recv").expect("a message");
                assert!(*message == *pattern(6000, salt));
                kept.push(message);
            }
            connections.push((dialer, listener));
        }
        for (salt, messages) in kept.chunks(3).enumerate() {
            assert!(messages.iter().all(|it| **it == *pattern(6000, salt)));
        }
    });
}

/// Echoes through handles until `connections` have ended.
async fn echo_through_handles(mut listener: RemoteListener, connections: usize) {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let mut connection = listener.accept().await.expect("accept");
        tasks.push(tokio::spawn(async move {
            while let Ok(Some(message)) = connection.recv().await {
                if connection.send(message).await.is_err() {
                    break;
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("an echo");
    }
}

// HAZARDS F3, through handles: their receivers hold nothing that others need.
fn handles_whose_peers_never_read_serve_others() {
    const STALLED: usize = 8;
    // Handles take addresses.
    if transport() == Transport::Memory {
        return;
    }
    let threads = RingThreads::start(builder().slots(4).slot_size(8192), 1).expect("a ring");
    let handle = threads.handle();
    let (bound, address) = mpsc::channel();
    let echoing = spawn(move || {
        let executor = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("tokio");
        executor.block_on(async {
            let listener = handle
                .listen(somewhere(), &config(2), Admission::any())
                .await
                .expect("listen");
            bound
                .send(listener.local_address())
                .expect("the test waits");
            echo_through_handles(listener, STALLED + 1).await;
        });
    });
    let address = address.recv().expect("a listener");
    run_with(builder(), async {
        let sent = Rc::new(Cell::new(0));
        for _ in 0..STALLED {
            let dialer = dial(&address, key(2), &config(1)).await.expect("dial");
            let sent = Rc::clone(&sent);
            drop(ringseal::spawn(stream_without_reading(dialer, 7_000, sent)));
        }
        standstill(&sent).await;
        let mut dialer = dial(&address, key(2), &config(1)).await.expect("dial");
        for size in [1, 5_000, 60_000] {
            ping(&mut dialer, size, 10).await;
        }
    });
    echoing.join().expect("the echoes");
    drop(threads);
}

// HAZARDS F13: whoever is not polled any more stops nobody behind it.
fn a_receive_that_is_left_alone_stops_no_other() {
    run_with(builder().slots(4).slot_size(8192), async {
        // Messages that hold all slots that there are for receiving.
        let (mut filling, mut full) = pair().await;
        let mut held = Vec::new();
        while statistics().free_slots > 2 && held.len() < 4 {
            filling
                .send(&pattern(6000, held.len()))
                .await
                .expect("send");
            filling.flush().await.expect("flush");
            held.push(full.recv().await.expect("recv").expect("a message"));
        }
        let (mut first_peer, mut first) = pair().await;
        let (mut second_peer, mut second) = pair().await;
        for peer in [&mut first_peer, &mut second_peer] {
            peer.send(&pattern(6000, 7)).await.expect("send");
            peer.flush().await.expect("flush");
        }
        // Polled until it waits for whatever is short, or is done, and not again.
        let mut left_alone = Box::pin(first.recv());
        for _ in 0..10 {
            if futures_util::poll!(left_alone.as_mut()).is_ready() {
                break;
            }
            ringseal::sleep(Duration::from_millis(5)).await;
        }
        let receiving = ringseal::spawn(async move {
            let message = second.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(6000, 7));
        });
        ringseal::sleep(Duration::from_millis(20)).await;
        held.pop();
        receiving.await;
        drop(left_alone);
    });
}

crate::on_every_setting! {
    an_echo_whose_peers_never_read_serves_others,
    an_echo_whose_peers_never_read_long_messages_serves_others,
    an_echo_with_few_slots_whose_peers_never_read_serves_others,
    messages_that_are_kept_stop_no_other_receiver,
    handles_whose_peers_never_read_serve_others,
    a_receive_that_is_left_alone_stops_no_other,
}
