//! Two peers over a real ring and real sockets: what a user of a connection relies on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::SinkExt;

use super::peers::{builder, config, key, pair, pair_with, patiently, pattern, run, run_with};
use super::setting::{on_native, spawn, transport};
use super::transport::{Transport, somewhere};
use ringseal::{
    Admission, Connection, CupsVersion, Listener, OpenError, RecvError, SakeVersion, SendError,
    Sender, Statistics, Wire,
};

fn statistics() -> Statistics {
    Statistics::current().expect("inside a runtime")
}

fn messages_of_all_sizes_arrive_in_order_on_every_wire() {
    for (sake, cups) in [
        (SakeVersion::V0, CupsVersion::V0),
        (SakeVersion::V0, CupsVersion::V1),
        (SakeVersion::V1, CupsVersion::V0),
        (SakeVersion::V1, CupsVersion::V1),
    ] {
        run(async move {
            let settings = |seed| config(seed).wire(Wire::Commonware { sake, cups });
            let (mut dialer, mut listener) = pair_with(&settings(1), &settings(2)).await;
            assert_eq!(dialer.peer(), key(2));
            assert_eq!(listener.peer(), key(1));
            let sizes = [
                0, 1, 63, 64, 4096, 16_384, 65_536, 262_144, 278_000, 278_528, 1_048_576, 0, 3,
            ];
            let task = ringseal::spawn(async move {
                for (salt, size) in sizes.into_iter().enumerate() {
                    dialer.send(&pattern(size, salt)).await.expect("send");
                }
                dialer.flush().await.expect("flush");
                dialer
            });
            for (salt, size) in sizes.into_iter().enumerate() {
                let message = listener.recv().await.expect("recv").expect("a message");
                assert!(*message == *pattern(size, salt), "message of {size} bytes");
            }
            let (sender, _receiver) = task.await.split();
            sender.close().await.expect("close");
            assert!(listener.recv().await.expect("recv").is_none());
            assert!(listener.recv().await.expect("recv again").is_none());
        });
    }
}

fn both_directions_stream_at_once() {
    run(async {
        let (dialer, listener) = pair().await;
        let mut tasks = Vec::new();
        for connection in [dialer, listener] {
            let (mut sender, mut receiver) = connection.split();
            tasks.push(ringseal::spawn(async move {
                for index in 0..2000 {
                    sender
                        .send(&pattern(index * 7 % 20_000, index))
                        .await
                        .expect("send");
                }
                sender.close().await.expect("close");
            }));
            tasks.push(ringseal::spawn(async move {
                for index in 0..2000 {
                    let message = receiver.recv().await.expect("recv").expect("a message");
                    assert!(*message == *pattern(index * 7 % 20_000, index));
                }
                assert!(receiver.recv().await.expect("end").is_none());
            }));
        }
        for task in tasks {
            task.await;
        }
    });
}

fn a_reservation_is_zeroed_and_sends_what_is_written_into_it() {
    run(async {
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        // On the native wire what is longer than a record can't be written in place.
        let longest = if on_native() { 270_000 } else { 300_000 };
        let lengths = [0, 5, 200, 100_000, longest];
        // More than every transport takes before somebody reads.
        let sending = ringseal::spawn(async move {
            sender.send(&[0xff; 300]).await.expect("send");
            sender.flush().await.expect("flush");
            for length in lengths {
                let mut reservation = sender.reserve(length).await.expect("reserve");
                assert!(reservation.iter().all(|&byte| byte == 0));
                reservation.copy_from_slice(&pattern(length, 9));
                reservation.send().expect("send");
            }
            // One that is dropped sends nothing and harms nothing.
            drop(sender.reserve(64).await.expect("reserve"));
            sender.send(b"after").await.expect("send");
            sender.close().await.expect("close");
        });
        assert_eq!(
            listener.recv().await.expect("recv").expect("one").len(),
            300
        );
        for length in lengths {
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(length, 9));
        }
        assert_eq!(
            &*listener.recv().await.expect("recv").expect("one"),
            b"after"
        );
        assert!(listener.recv().await.expect("end").is_none());
        sending.await;
    });
}

// HAZARDS B2: whatever comes behind it, nothing that was sealed before is lost.
fn a_leaked_reservation_sends_nothing_and_takes_nothing_with_it() {
    async fn leak(sender: &mut Sender) {
        sender.send(b"before").await.expect("send");
        std::mem::forget(sender.reserve(64).await.expect("reserve"));
    }
    async fn end(mut listener: Connection, expected: &[&[u8]]) {
        for expected in expected {
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == **expected);
        }
        assert!(listener.recv().await.expect("end").is_none());
    }
    run(async {
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        leak(&mut sender).await;
        sender.send(b"behind").await.expect("send");
        leak(&mut sender).await;
        sender.flush().await.expect("flush");
        leak(&mut sender).await;
        sender.close().await.expect("close");
        end(listener, &[b"before", b"behind", b"before", b"before"]).await;

        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        leak(&mut sender).await;
        drop(sender);
        end(listener, &[b"before"]).await;

        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        leak(&mut sender).await;
        let mut sink = sender.into_sink::<&[u8]>();
        sink.flush().await.expect("flush");
        let (mut sender, _none) = sink.into_sender();
        leak(&mut sender).await;
        sender.into_sink::<&[u8]>().close().await.expect("close");
        end(listener, &[b"before", b"before"]).await;
    });
}

// HAZARDS R5.
fn a_message_above_the_limit_is_refused_and_the_sender_stays_usable() {
    run(async {
        let limited = |seed| config(seed).max_message_size(100);
        let (dialer, mut listener) = pair_with(&limited(1), &limited(2)).await;
        let (mut sender, _receiver) = dialer.split();
        let refused = sender.send(&[0; 101]).await;
        assert!(matches!(
            refused,
            Err(SendError::TooLarge {
                length: 101,
                limit: 100
            })
        ));
        let batch: [&[u8]; 3] = [&[1; 10], &[2; 101], &[3; 10]];
        assert!(matches!(
            sender.send_many(&batch).await,
            Err(SendError::TooLarge { .. })
        ));
        assert!(matches!(
            sender.reserve(101).await.map(drop),
            Err(SendError::TooLarge { .. })
        ));
        sender.send(&[4; 100]).await.expect("exactly the limit");
        sender.send(&[]).await.expect("empty");
        sender.close().await.expect("close");
        assert_eq!(
            &*listener.recv().await.expect("recv").expect("one"),
            &[4; 100]
        );
        assert_eq!(&*listener.recv().await.expect("recv").expect("one"), b"");
        assert!(listener.recv().await.expect("end").is_none());
    });
}

// HAZARDS R4: no memory is taken for what is not accepted.
fn an_announced_length_above_the_limit_is_refused_before_memory_is_taken() {
    run(async {
        let (mut dialer, mut listener) = pair_with(
            &config(1).max_message_size(4 << 20),
            &config(2).max_message_size(100),
        )
        .await;
        dialer.send(&vec![0; 4 << 20]).await.expect("seal");
        let before = statistics();
        let error = listener.recv().await.expect_err("too large");
        assert!(matches!(
            error,
            RecvError::Record(OpenError::TooLarge {
                length: 4_194_304,
                limit: 100
            })
        ));
        assert_eq!(statistics().large_blocks, before.large_blocks);
        assert!(matches!(listener.recv().await, Err(RecvError::Closed)));
    });
}

// HAZARDS H11.
fn another_record_version_fails_at_the_first_record() {
    run(async {
        let (mut dialer, mut listener) = pair_with(
            &config(1).wire("commonware:v1,v0".parse().expect("a wire")),
            &config(2).wire(Wire::COMMONWARE),
        )
        .await;
        dialer.send(&[7; 64]).await.expect("send");
        let error = listener.recv().await.expect_err("not the same wire");
        assert!(matches!(error, RecvError::Record(_)));
        assert!(error.to_string().contains("cups version"), "{error}");
    });
}

// HAZARDS B1: the future of `recv` is dropped after every possible number of polls.
fn a_dropped_receive_loses_nothing() {
    run(async {
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let task = ringseal::spawn(async move {
            for index in 0..300 {
                sender
                    .send(&pattern(index * 37, index))
                    .await
                    .expect("send");
                if index % 3 == 0 {
                    ringseal::sleep(Duration::from_micros(300)).await;
                }
            }
            sender.close().await.expect("close");
        });
        let mut received = 0;
        let mut dropped = 0;
        loop {
            // A coin that is tossed without a clock: poll once, then drop.
            let polled = {
                let recv = std::pin::pin!(listener.recv());
                futures_util::poll!(recv)
            };
            match polled {
                std::task::Poll::Ready(result) => {
                    let Some(message) = result.expect("recv") else {
                        break;
                    };
                    assert!(*message == *pattern(received * 37, received));
                    received += 1;
                }
                std::task::Poll::Pending => {
                    dropped += 1;
                    ringseal::sleep(Duration::from_micros(50)).await;
                }
            }
        }
        assert_eq!(received, 300);
        assert!(dropped > 0, "nothing was dropped");
        task.await;
    });
}

// HAZARDS B2, R10: whole records leave or none.
fn a_dropped_send_never_leaves_half_a_record() {
    run(async {
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let mut accepted = Vec::new();
        let mut dropped = 0;
        // The peer reads nothing yet, so sends come to a halt and are dropped there.
        for index in 0..400 {
            let message = pattern(60_000, index);
            let polled = {
                let send = std::pin::pin!(sender.send(&message));
                futures_util::poll!(send)
            };
            match polled {
                std::task::Poll::Ready(result) => {
                    result.expect("send");
                    accepted.push(index);
                }
                std::task::Poll::Pending => {
                    dropped += 1;
                    ringseal::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        assert!(dropped > 10, "the sender never had to wait");
        let task = ringseal::spawn(async move { sender.close().await });
        for index in accepted {
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(60_000, index));
        }
        assert!(listener.recv().await.expect("end").is_none());
        task.await.expect("close");
    });
}

// HAZARDS R10: bounded memory, and other connections go on.
fn a_peer_that_never_reads_stops_the_sender_and_nobody_else() {
    run(async {
        let (stalled, _silent) = pair().await;
        let (mut sender, _receiver) = stalled.split();
        let sent = Rc::new(RefCell::new(0_usize));
        let counter = Rc::clone(&sent);
        let task = ringseal::spawn(async move {
            loop {
                sender.send(&[1; 16_384]).await.expect("send");
                *counter.borrow_mut() += 1;
            }
        });
        let (mut dialer, mut listener) = pair().await;
        let mut last = usize::MAX;
        // Rounds on the other connection until the stalled one has stopped for good.
        for round in 0.. {
            dialer.send(&pattern(1000, round)).await.expect("send");
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(1000, round));
            if round % 200 == 199 {
                if *sent.borrow() == last {
                    break;
                }
                last = *sent.borrow();
            }
        }
        // Two buffers of the stalled sender, a read each for the two receivers at most, and what
        // the moving connection uses.
        let statistics = statistics();
        assert!(statistics.slots - statistics.free_slots <= 2 + 4);
        task.abort();
    });
}

// HAZARDS R10, B8: not even when slow peers have all slots for sending.
fn many_peers_that_never_read_stop_their_senders_and_nobody_else() {
    // What receiving leaves to sending, of the slots below.
    const SLOTS: usize = 6;
    run_with(builder().slots(10).slot_size(16_384), async {
        let sent = Rc::new(RefCell::new(0_usize));
        let (mut silent, mut sending) = (Vec::new(), Vec::new());
        for _ in 0..SLOTS {
            let (mut dialer, listener) = pair().await;
            silent.push(listener);
            let sent = Rc::clone(&sent);
            sending.push(ringseal::spawn(async move {
                loop {
                    match dialer.send(&[1; 5_000]).await {
                        Ok(()) => *sent.borrow_mut() += 1,
                        Err(error) => break error,
                    }
                }
            }));
        }
        let mut last = usize::MAX;
        while *sent.borrow() != last {
            last = *sent.borrow();
            ringseal::sleep(Duration::from_millis(50)).await;
        }
        let taken = statistics().slots - statistics().free_slots;
        assert!(taken >= SLOTS, "only {taken} slots are taken");
        let (mut dialer, mut listener) = pair().await;
        for (round, size) in [5, 1_000, 16_000, 100_000, 0].into_iter().enumerate() {
            for _ in 0..20 {
                dialer.send(&pattern(size, round)).await.expect("send");
                let message = listener.recv().await.expect("recv").expect("a message");
                assert!(*message == *pattern(size, round));
            }
        }
        // Whoever waits for a slot hears all the same that its connection has failed.
        drop(silent);
        for task in sending {
            let error = task.await;
            assert!(matches!(error, SendError::Transport(_)), "{error:?}");
        }
    });
}

// HAZARDS B8: two ends whose slots are short must not wait for each other.
fn more_connections_than_slots_stream_both_ways_to_the_end() {
    const CONNECTIONS: usize = 12;
    // More than the kernel takes by itself.
    const MESSAGES: usize = 1000;
    const LENGTH: usize = 15_000;
    let settings = || builder().slots(10).slot_size(16_384);
    let work = |connection: Connection| async move {
        let (mut sender, mut receiver) = connection.split();
        let sending = ringseal::spawn(async move {
            let mut message = vec![0; LENGTH];
            for index in 0..MESSAGES {
                message[..8].copy_from_slice(&index.to_le_bytes());
                sender.send(&message).await.expect("send");
            }
            sender.close().await.expect("close");
        });
        for index in 0..MESSAGES {
            let message = receiver.recv().await.expect("recv").expect("a message");
            assert_eq!(
                (message.len(), &message[..8]),
                (LENGTH, &index.to_le_bytes()[..])
            );
        }
        assert!(receiver.recv().await.expect("end").is_none());
        sending.await;
    };
    let (bound, address) = std::sync::mpsc::channel();
    let thread = spawn(move || {
        run_with(settings(), async {
            let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
                .await
                .expect("bind");
            bound
                .send(listener.local_address())
                .expect("the test waits");
            let mut tasks = Vec::new();
            for _ in 0..CONNECTIONS {
                let connection = listener.accept().await.expect("accept");
                tasks.push(ringseal::spawn(work(connection)));
            }
            for task in tasks {
                task.await;
            }
        });
    });
    let address = address.recv().expect("a listener");
    run_with(settings(), async {
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let connection = ringseal::dial(&address, key(2), &config(1))
                .await
                .expect("dial");
            tasks.push(ringseal::spawn(work(connection)));
        }
        for task in tasks {
            task.await;
        }
    });
    thread.join().expect("the listener");
}

fn all_messages_of_one_read_come_without_another() {
    run(async {
        let (mut dialer, mut listener) = pair().await;
        for index in 0..500 {
            dialer.send(&pattern(64, index)).await.expect("send");
        }
        let first = listener.recv().await.expect("recv").expect("a message");
        assert!(*first == *pattern(64, 0));
        drop(first);
        let reads = statistics().reads;
        for index in 1..500 {
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(64, index));
        }
        assert_eq!(statistics().reads, reads);
        dialer.flush().await.expect("flush");
        assert_eq!(statistics().writes, 1, "sends of one turn leave together");
    });
}

// HAZARDS B8.
fn holding_every_slot_is_backpressure_that_a_drop_ends() {
    let builder = builder().slots(4).slot_size(8192);
    run_with(builder, async {
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let task = ringseal::spawn(async move {
            for index in 0..40 {
                sender.send(&pattern(6000, index)).await.expect("send");
            }
            sender.close().await.expect("close");
        });
        let mut held = Vec::new();
        let mut received = 0;
        loop {
            let next = ringseal::timeout(Duration::from_millis(50), listener.recv()).await;
            match next {
                Some(message) => {
                    let Some(message) = message.expect("recv") else {
                        break;
                    };
                    assert!(*message == *pattern(6000, received));
                    received += 1;
                    held.push(message);
                }
                None => {
                    assert!(!held.is_empty(), "a stall without anything held");
                    held.clear();
                }
            }
        }
        assert_eq!(received, 40);
        // In memory a write is over at once, so the sender never holds two slots.
        if transport() != Transport::Memory {
            assert!(statistics().slot_waits > 0, "nobody ever waited");
        }
        task.await;
    });
}

fn a_waiting_receiver_goes_on_when_the_messages_of_its_own_slot_are_dropped() {
    let builder = builder().slots(4).slot_size(8192);
    run_with(builder, async {
        let (mut dialer, listener) = pair().await;
        let (_sender, mut receiver) = listener.split();
        // Two and a half messages: the half stays behind with the views before it.
        for index in 0..3 {
            dialer.send(&pattern(3000, index)).await.expect("send");
        }
        dialer.flush().await.expect("flush");
        let first = receiver.recv().await.expect("recv").expect("a message");
        let second = receiver.recv().await.expect("recv").expect("a message");
        let (mut other, mut holder) = pair().await;
        // Another connection takes what is left for receiving.
        other.send(&pattern(3000, 50)).await.expect("send");
        let elsewhere = holder.recv().await.expect("recv").expect("a message");
        let task = ringseal::spawn(async move {
            let third = receiver.recv().await.expect("recv").expect("a message");
            assert!(*third == *pattern(3000, 2));
        });
        ringseal::sleep(Duration::from_millis(50)).await;
        drop((first, second));
        task.await;
        drop(elsewhere);
    });
}

// HAZARDS B3.
fn a_dropped_connection_ends_at_the_peer_and_gives_its_slots_back() {
    run(async {
        let free = statistics().free_slots;
        let (dialer, mut listener) = pair().await;
        let (mut sender, mut receiver) = dialer.split();
        // A read in flight, and a write that the peer does not take.
        assert!(futures_util::poll!(std::pin::pin!(receiver.recv())).is_pending());
        for _ in 0..2000 {
            let mut send = std::pin::pin!(sender.send(&[5; 16_384]));
            if futures_util::poll!(send.as_mut()).is_pending() {
                ringseal::sleep(Duration::from_millis(2)).await;
                if futures_util::poll!(send).is_pending() {
                    break;
                }
            }
        }
        assert!(statistics().in_flight >= 2);
        drop(sender);
        drop(receiver);
        loop {
            match listener.recv().await {
                Ok(Some(message)) => assert_eq!(&*message, &[5; 16_384]),
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(
                        error,
                        RecvError::Record(OpenError::Truncated) | RecvError::Transport(_)
                    ));
                    break;
                }
            }
        }
        drop(listener);
        while statistics().in_flight > 0 || statistics().free_slots < free {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    });
}

fn a_dropped_sender_still_sends_what_it_sealed() {
    run(async {
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        sender.send(b"last words").await.expect("send");
        drop(sender);
        let message = listener.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"last words");
        assert!(listener.recv().await.expect("end").is_none());
    });
}

fn a_dropped_receiver_gives_its_read_back_and_the_sender_goes_on() {
    run(async {
        let (dialer, mut listener) = pair().await;
        let (mut sender, mut receiver) = dialer.split();
        assert!(futures_util::poll!(std::pin::pin!(receiver.recv())).is_pending());
        drop(receiver);
        while statistics().in_flight > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        sender.send(b"one way").await.expect("send");
        sender.close().await.expect("close");
        let message = listener.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"one way");
    });
}

// HAZARDS B7: the spinner never lets the thread park.
fn a_task_that_never_idles_does_not_hold_back_others() {
    run(async {
        let (mut dialer, mut listener) = pair().await;
        let spinner = ringseal::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        for round in 0..5 {
            dialer.send(&pattern(100, round)).await.expect("send");
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(100, round));
        }
        spinner.abort();
    });
}

// HAZARDS B6: a ring of 8 entries under far more operations.
fn a_small_ring_serves_many_connections() {
    let builder = builder().ring_entries(8).slots(64).slot_size(4096);
    run_with(builder, async {
        let mut tasks = Vec::new();
        for salt in 0..40 {
            let (mut dialer, mut listener) = pair().await;
            tasks.push(ringseal::spawn(async move {
                for round in 0..50 {
                    dialer
                        .send(&pattern(500, salt + round))
                        .await
                        .expect("send");
                    let echo = dialer.recv().await.expect("recv").expect("an echo");
                    assert!(*echo == *pattern(500, salt + round));
                }
            }));
            tasks.push(ringseal::spawn(async move {
                while let Ok(Some(message)) = listener.recv().await {
                    listener.send(&message).await.expect("send");
                }
            }));
        }
        for task in tasks {
            task.await;
        }
    });
}

// Idle connections beyond the slots: reads that wait hold none.
fn more_idle_connections_than_slots_leave_room_for_the_others() {
    run_with(builder().slots(8).slot_size(8192), async {
        let mut idle = Vec::new();
        for _ in 0..30 {
            let (dialer, listener) = pair().await;
            for connection in [dialer, listener] {
                let (sender, mut receiver) = connection.split();
                let task = ringseal::spawn(async move { receiver.recv().await.is_ok() });
                idle.push((sender, task));
            }
        }
        tokio::task::yield_now().await;
        let (mut dialer, mut listener) = pair().await;
        for round in 0..20 {
            dialer.send(&pattern(3000, round)).await.expect("send");
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(3000, round));
        }
        // The idle ones still work.
        for (mut sender, _task) in idle {
            sender.send(b"wake up").await.expect("send");
            sender.flush().await.expect("flush");
        }
    });
}

// NATIVE 4: packing adds no delay, however short the messages are.
fn sends_that_never_wait_let_others_run() {
    run(async {
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let has_run = Rc::new(Cell::new(false));
        let told = Rc::clone(&has_run);
        drop(ringseal::spawn(async move {
            told.set(true);
            // On the other wire a socket does not hold them all.
            while let Ok(Some(_)) = listener.recv().await {}
        }));
        for _ in 0..20_000 {
            sender.send(b"").await.expect("send");
        }
        assert!(has_run.get());
    });
}

fn a_connection_used_outside_its_runtime_says_so() {
    let runtime = builder().build().expect("io_uring");
    let (mut dialer, _listener) = runtime.block_on(patiently(pair()));
    drop(runtime);
    let other = builder().build().expect("io_uring");
    other.block_on(patiently(async {
        assert!(matches!(
            dialer.recv().await,
            Err(RecvError::Transport(error)) if error.kind() == std::io::ErrorKind::NotConnected
        ));
    }));
}

fn dial_and_bind_outside_a_runtime_are_errors() {
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("tokio");
    executor.block_on(async {
        assert!(matches!(
            ringseal::dial("127.0.0.1:1", key(2), &config(1)).await,
            Err(ringseal::DialError::OutsideRuntime)
        ));
        assert!(matches!(
            Listener::bind(somewhere(), &config(1), Admission::any()).await,
            Err(ringseal::BindError::OutsideRuntime)
        ));
    });
}

fn a_connection_that_is_closed_has_sent_all_and_says_the_end() {
    run(async {
        let (mut closing, mut reading) = pair().await;
        for index in 0..20 {
            closing.send(&pattern(3000, index)).await.expect("send");
        }
        closing.close().await.expect("close");
        for index in 0..20 {
            let message = reading.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(3000, index));
        }
        assert!(reading.recv().await.expect("an end").is_none());
    });
}

crate::on_every_setting! {
    a_connection_that_is_closed_has_sent_all_and_says_the_end,
    messages_of_all_sizes_arrive_in_order_on_every_wire,
    both_directions_stream_at_once,
    a_reservation_is_zeroed_and_sends_what_is_written_into_it,
    a_leaked_reservation_sends_nothing_and_takes_nothing_with_it,
    a_message_above_the_limit_is_refused_and_the_sender_stays_usable,
    another_record_version_fails_at_the_first_record,
    a_dropped_receive_loses_nothing,
    a_dropped_send_never_leaves_half_a_record,
    a_peer_that_never_reads_stops_the_sender_and_nobody_else,
    many_peers_that_never_read_stop_their_senders_and_nobody_else,
    more_connections_than_slots_stream_both_ways_to_the_end,
    all_messages_of_one_read_come_without_another,
    holding_every_slot_is_backpressure_that_a_drop_ends,
    a_waiting_receiver_goes_on_when_the_messages_of_its_own_slot_are_dropped,
    a_dropped_connection_ends_at_the_peer_and_gives_its_slots_back,
    a_dropped_sender_still_sends_what_it_sealed,
    a_dropped_receiver_gives_its_read_back_and_the_sender_goes_on,
    a_task_that_never_idles_does_not_hold_back_others,
    a_small_ring_serves_many_connections,
    more_idle_connections_than_slots_leave_room_for_the_others,
    a_connection_used_outside_its_runtime_says_so,
    sends_that_never_wait_let_others_run,
    dial_and_bind_outside_a_runtime_are_errors,
}

// A receiver that takes less than the peer knows is of this wire alone.
mod of_one_wire {
    use super::an_announced_length_above_the_limit_is_refused_before_memory_is_taken;

    crate::on_commonware! {
        an_announced_length_above_the_limit_is_refused_before_memory_is_taken,
    }
}
