//! Plain sockets on the ring: the plain sides of a tunnel.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::{join, poll};
use ringseal::{
    Connection, PlainConnectError, PlainReader, PlainSocket, PlainSocketError, PlainWriter,
    Receiver, Sender, Statistics, Wire,
};

use super::peers::{builder, config, pair, pair_with, patiently, pattern, run, run_with, wires};
use super::setting::{spawn, transport};
use super::transport::{RawListener, RawStream, Transport};

/// Bytes that no socket takes by itself when its peer does not read.
const MUCH: usize = 12 << 20;

fn statistics() -> Statistics {
    Statistics::current().expect("inside a runtime")
}

/// A plain socket on this ring, and the other end of it.
async fn plain_pair() -> (PlainSocket, RawStream) {
    let listener = RawListener::bind();
    let socket = PlainSocket::connect(listener.address())
        .await
        .expect("connect");
    (socket, listener.accept())
}

async fn pair_on(wire: Wire) -> (Connection, Connection) {
    let settings = |seed| config(seed).wire(wire);
    pair_with(&settings(1), &settings(2)).await
}

/// Carries what a plain peer says into a connection, as the documentation does.
async fn carry_in(mut from: PlainReader, mut to: Sender, room: usize) {
    loop {
        from.readable().await.expect("readable");
        let reservation = to.reserve(room).await.expect("reserve");
        let (mut reservation, count) = from.read_into(reservation, ..).await.expect("read");
        if count == 0 {
            drop(reservation);
            return to.close().await.expect("close");
        }
        reservation.truncate(count);
        reservation.send().expect("send");
    }
}

/// Carries what comes over a connection to a plain peer.
async fn carry_out(mut from: Receiver, mut to: PlainWriter) {
    while let Some(message) = from.recv().await.expect("recv") {
        to.write_message(message).await.expect("write");
    }
    to.shutdown_write().await.expect("shut down");
}

async fn carry(plain: PlainSocket, connection: Connection, room: usize) {
    let ((reader, writer), (sender, receiver)) = (plain.split(), connection.split());
    join!(carry_in(reader, sender, room), carry_out(receiver, writer));
}

/// Writes `bytes` in pieces of every length, and reads to the end meanwhile.
fn talk(mut stream: RawStream, bytes: Vec<u8>) -> std::thread::JoinHandle<Vec<u8>> {
    let mut writer = stream.try_clone();
    spawn(move || {
        let writing = spawn(move || {
            let mut rest = bytes.as_slice();
            let mut piece = 1;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(piece.min(rest.len()));
                writer.write_all(now).expect("write");
                rest = later;
                piece = piece * 3 % 50_021 + 1;
            }
            writer.shutdown(Shutdown::Write);
        });
        let mut read = Vec::new();
        stream.read_to_end(&mut read).expect("read");
        writing.join().expect("no panic");
        read
    })
}

fn a_tunnel_carries_both_directions_unchanged() {
    for wire in wires() {
        for room in [1_000, 16_000, 60_000] {
            run(async move {
                let (near, far) = pair_on(wire).await;
                let ((here, client), (there, service)) = (plain_pair().await, plain_pair().await);
                let (question, answer) = (pattern(700_000, 1), pattern(400_001, 2));
                let client = talk(client, question.clone());
                let service = talk(service, answer.clone());
                join!(carry(here, near, room), carry(there, far, room));
                assert!(service.join().expect("no panic") == question);
                assert!(client.join().expect("no panic") == answer);
                assert_eq!(statistics().large_blocks, 0);
            });
        }
    }
}

/// Sends what a reservation of 20 000 bytes is truncated to, and compares what arrives.
async fn truncate_to(connections: &mut (Connection, Connection), length: usize) {
    let (dialer, listener) = connections;
    let bytes = pattern(20_000, length);
    dialer.send(b"before").await.expect("send");
    let (mut sender, receiver) = take(dialer).await;
    let mut reservation = sender.reserve(bytes.len()).await.expect("reserve");
    reservation.copy_from_slice(&bytes);
    reservation.truncate(length);
    assert_eq!(reservation.len(), length.min(bytes.len()));
    reservation.send().expect("send");
    sender.send(b"behind").await.expect("send");
    let expected = [
        b"before",
        &bytes[..length.min(bytes.len())],
        b"behind".as_slice(),
    ];
    for expected in expected {
        let message = listener.recv().await.expect("recv").expect("a message");
        assert!(*message == *expected, "truncated to {length}");
    }
    drop((sender, receiver));
}

/// Replaces `connection` by nothing that is used again, and gives its halves.
async fn take(connection: &mut Connection) -> (Sender, Receiver) {
    let (other, _) = pair().await;
    std::mem::replace(connection, other).split()
}

// Each length is written in as few bytes as it takes, so these are where the message moves.
fn a_reservation_is_sent_as_long_as_it_is_truncated_to() {
    for wire in wires() {
        run(async move {
            for length in [
                0, 1, 63, 64, 111, 112, 127, 128, 1_000, 4_096, 16_367, 16_368, 16_383, 16_384,
                19_999, 20_000, 30_000,
            ] {
                truncate_to(&mut pair_on(wire).await, length).await;
            }
        });
    }
}

fn a_reservation_is_filled_by_several_reads() {
    run(async {
        let ((mut sender, _receiver), mut listener) = {
            let (dialer, listener) = pair().await;
            (dialer.split(), listener)
        };
        let (plain, mut peer) = plain_pair().await;
        let (mut reader, _writer) = plain.split();
        sender.send(b"before").await.expect("send");
        let mut reservation = sender.reserve(10).await.expect("reserve");
        reservation[..2].copy_from_slice(b"> ");
        peer.write_all(b"ab").expect("write");
        let (reservation, count) = reader.read_into(reservation, 2..5).await.expect("read");
        assert_eq!(count, 2);
        peer.write_all(b"cde").expect("write");
        let (reservation, count) = reader.read_into(reservation, 4..=5).await.expect("read");
        assert_eq!(count, 2, "no more than there is room for");
        let (mut reservation, count) = reader.read_into(reservation, 6..6).await.expect("read");
        assert_eq!(count, 0);
        assert_eq!(&reservation[..], b"> abcd\0\0\0\0");
        reservation.truncate(6);
        reservation.send().expect("send");
        for expected in [b"before", b"> abcd".as_slice()] {
            let message = listener.recv().await.expect("recv").expect("a message");
            assert_eq!(&*message, expected);
        }
        drop(peer);
        reader.readable().await.expect("the end");
        let reservation = sender.reserve(10).await.expect("reserve");
        let (reservation, count) = reader.read_into(reservation, ..).await.expect("read");
        assert_eq!((count, &reservation[..1]), (1, b"e".as_slice()));
        let (_reservation, count) = reader.read_into(reservation, ..).await.expect("the end");
        assert_eq!(count, 0);
    });
}

/// Messages that `listener` has received, `count` of them with `size` bytes each.
async fn receive_many(size: usize, count: usize) -> Vec<ringseal::Message> {
    let (mut dialer, mut listener) = pair().await;
    let mut messages = Vec::new();
    for salt in 0..count {
        dialer.send(&pattern(size, salt)).await.expect("send");
        messages.push(listener.recv().await.expect("recv").expect("a message"));
    }
    messages
}

/// Writes messages of 60 000 bytes until the peer's buffers are full, and leaves the last write in
/// flight without a future. Returns how many were begun.
async fn fill_up(writer: &mut PlainWriter) -> usize {
    let (mut dialer, mut listener) = pair().await;
    for salt in 0..MUCH / 60_000 {
        dialer.send(&pattern(60_000, salt)).await.expect("send");
        let message = listener.recv().await.expect("recv").expect("a message");
        let mut write = pin!(writer.write_message(message));
        if ringseal::timeout(Duration::from_millis(200), write.as_mut())
            .await
            .is_none()
        {
            return salt + 1;
        }
    }
    panic!("the peer takes everything");
}

fn all_patterns(count: usize) -> Vec<u8> {
    (0..count).flat_map(|salt| pattern(60_000, salt)).collect()
}

fn read_all(mut stream: RawStream) -> std::thread::JoinHandle<std::io::Result<Vec<u8>>> {
    spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    })
}

// Connections, receivers and futures are gone; the messages stay in place until they are written.
fn a_write_whose_future_was_dropped_goes_on() {
    run(async {
        let (plain, peer) = plain_pair().await;
        let (_reader, mut writer) = plain.split();
        let count = fill_up(&mut writer).await;
        // Whoever else uses slots does not get those.
        for (salt, message) in receive_many(60_000, 4).await.iter().enumerate() {
            assert!(**message == *pattern(60_000, salt));
        }
        let reading = read_all(peer);
        writer.shutdown_write().await.expect("shut down");
        let read = reading.join().expect("no panic").expect("read");
        assert!(read == all_patterns(count));
    });
}

fn a_peer_that_does_not_read_stops_nobody_else() {
    for slots in [4, 10] {
        run_with(builder().slots(slots), async {
            let mut stalled = Vec::new();
            for _ in 0..3 {
                let (plain, peer) = plain_pair().await;
                let (reader, mut writer) = plain.split();
                fill_up(&mut writer).await;
                stalled.push((reader, writer, peer));
            }
            let (near, far) = pair().await;
            let ((here, client), (there, service)) = (plain_pair().await, plain_pair().await);
            let client = talk(client, pattern(300_000, 1));
            let service = talk(service, pattern(300_000, 2));
            join!(carry(here, near, 16_000), carry(there, far, 16_000));
            assert!(service.join().expect("no panic") == pattern(300_000, 1));
            assert!(client.join().expect("no panic") == pattern(300_000, 2));
        });
    }
}

fn a_message_that_is_cut_resets_the_connection() {
    run(async {
        let (plain, peer) = plain_pair().await;
        let (mut reader, mut writer) = plain.split();
        fill_up(&mut writer).await;
        drop(writer);
        let error = reader.readable().await.expect_err("closed for both");
        assert!(matches!(error, PlainSocketError::Closed { .. }), "{error}");
        while statistics().in_flight > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(statistics().free_slots, statistics().slots);
        let read = read_all(peer).join().expect("no panic");
        if transport() != Transport::Unix {
            let error = read.expect_err("no end in order");
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    });
}

fn a_writer_that_is_dropped_ends_and_its_reader_goes_on() {
    run(async {
        let (plain, mut peer) = plain_pair().await;
        let (mut reader, mut writer) = plain.split();
        for message in receive_many(3, 2).await {
            writer.write_message(message).await.expect("write");
        }
        drop(writer);
        let mut read = Vec::new();
        peer.read_to_end(&mut read).expect("the end");
        assert_eq!(read, [pattern(3, 0), pattern(3, 1)].concat());
        peer.write_all(b"still").expect("write");
        reader.readable().await.expect("readable");
        let (dialer, _listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let reservation = sender.reserve(5).await.expect("reserve");
        let (reservation, count) = reader.read_into(reservation, ..).await.expect("read");
        assert_eq!((count, &*reservation), (5, b"still".as_slice()));
    });
}

fn a_reset_in_the_middle_fails_both_directions_and_no_sender() {
    run(async {
        let (plain, mut peer) = plain_pair().await;
        let (mut reader, mut writer) = plain.split();
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let mut messages = receive_many(60_000, 3).await;
        let last = messages.pop().expect("three");
        for message in messages {
            writer.write_message(message).await.expect("write");
        }
        let mut start = [0; 10];
        peer.read_exact(&mut start).expect("read");
        sender.send(b"before").await.expect("send");
        let reservation = sender.reserve(100).await.expect("reserve");
        let mut read = Box::pin(reader.read_into(reservation, ..));
        assert!(poll!(read.as_mut()).is_pending());
        // With something unread this is a reset.
        drop(peer);
        let error = read.await.expect_err("a reset");
        assert!(matches!(&error, PlainSocketError::Read { source, .. }
            if source.kind() == std::io::ErrorKind::ConnectionReset));
        // It may take one to learn of it.
        let mut result = writer.write_message(last.clone()).await;
        if result.is_ok() {
            result = writer.write_message(last.clone()).await;
        }
        let error = result.expect_err("a reset");
        assert!(matches!(error, PlainSocketError::Write { .. }), "{error}");
        let error = writer.write_message(last).await.expect_err("closed");
        assert!(matches!(error, PlainSocketError::Closed { .. }), "{error}");
        sender.send(b"behind").await.expect("send");
        for expected in [b"before", b"behind"] {
            let message = listener.recv().await.expect("recv").expect("a message");
            assert_eq!(&*message, expected);
        }
    });
}

fn a_dropped_or_leaked_read_holds_nobody_up() {
    for is_leaked in [false, true] {
        run(async move {
            let (plain, mut peer) = plain_pair().await;
            let (mut reader, _writer) = plain.split();
            let (dialer, mut listener) = pair().await;
            let (mut sender, _receiver) = dialer.split();
            let start = Instant::now();
            for round in 0..100_u8 {
                // These are in the buffer that the read has.
                sender.send(&[round; 7]).await.expect("send");
                let reservation = sender.reserve(100).await.expect("reserve");
                let mut read = Box::pin(reader.read_into(reservation, ..));
                assert!(poll!(read.as_mut()).is_pending());
                ringseal::sleep(Duration::from_micros(u64::from(round) * 10)).await;
                assert!(poll!(read.as_mut()).is_pending());
                if is_leaked {
                    std::mem::forget(read);
                } else {
                    drop(read);
                }
                if round % 3 == 0 {
                    sender.flush().await.expect("flush");
                }
                sender.send(&[round + 100; 9]).await.expect("send");
                for expected in [[round; 7].as_slice(), &[round + 100; 9]] {
                    let message = listener.recv().await.expect("recv").expect("a message");
                    assert_eq!(&*message, expected);
                }
                peer.write_all(&[round; 3]).expect("write");
                reader.readable().await.expect("readable");
                let reservation = sender.reserve(100).await.expect("reserve");
                let (_reservation, count) = reader.read_into(reservation, ..).await.expect("read");
                assert_eq!(count, 3);
            }
            // Who waits for a buffer leaves the thread to whoever gives it back.
            let took = start.elapsed();
            assert!(took < Duration::from_secs(8), "{took:?}");
            sender.close().await.expect("close");
            assert!(listener.recv().await.expect("the end").is_none());
        });
    }
}

// One driver can cancel a read only together with what is written at the same time.
fn a_read_that_is_given_up_leaves_the_write_of_its_socket_alone() {
    run(async {
        let (plain, peer) = plain_pair().await;
        let (mut reader, mut writer) = plain.split();
        let count = fill_up(&mut writer).await;
        let (dialer, _listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        // What is read does not end by itself.
        let _open = peer.try_clone();
        let reading = read_all(peer);
        let written = async {
            writer.shutdown_write().await.expect("shut down");
        };
        let given_up = async {
            for _ in 0..20 {
                let reservation = sender.reserve(100).await.expect("reserve");
                let mut read = Box::pin(reader.read_into(reservation, ..));
                assert!(poll!(read.as_mut()).is_pending());
                ringseal::sleep(Duration::from_micros(100)).await;
                drop(read);
            }
        };
        join!(given_up, written);
        let read = reading.join().expect("no panic").expect("read");
        assert!(read == all_patterns(count));
    });
}

// A future that was leaked has lent the buffer of one sender; the next read is for another one.
fn a_leaked_read_makes_way_for_that_of_another_sender() {
    run(async {
        let (plain, mut peer) = plain_pair().await;
        let (mut reader, _writer) = plain.split();
        let (first, mut first_listener) = pair().await;
        let (second, mut second_listener) = pair().await;
        let ((mut first, _), (mut second, _)) = (first.split(), second.split());
        first.send(b"before").await.expect("send");
        let reservation = first.reserve(10).await.expect("reserve");
        let mut read = Box::pin(reader.read_into(reservation, ..));
        assert!(poll!(read.as_mut()).is_pending());
        std::mem::forget(read);
        let reservation = second.reserve(10).await.expect("reserve");
        let mut read = pin!(reader.read_into(reservation, ..));
        assert!(poll!(read.as_mut()).is_pending());
        // It says only now that it was leaked, and that must not end the other one.
        first.send(b"behind").await.expect("send");
        for expected in [b"before", b"behind"] {
            let message = first_listener.recv().await.expect("recv").expect("one");
            assert_eq!(&*message, expected);
        }
        peer.write_all(b"plain").expect("write");
        let (mut reservation, count) = read.await.expect("read");
        reservation.truncate(count);
        reservation.send().expect("send");
        let message = second_listener.recv().await.expect("recv").expect("one");
        assert_eq!(&*message, b"plain");
    });
}

// Whatever a read has brought when it is given up comes with the next one, in order.
fn reads_that_are_dropped_at_any_moment_lose_nothing() {
    run(async {
        let (plain, mut peer) = plain_pair().await;
        let (mut reader, _writer) = plain.split();
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let bytes = pattern(400_000, 5);
        let expected = bytes.clone();
        let mut early = Box::pin(async {
            let reservation = sender.reserve(1_500).await.expect("reserve");
            reader
                .read_into(reservation, ..)
                .await
                .map(|(_, count)| count)
        });
        assert!(poll!(early.as_mut()).is_pending());
        drop(early);
        let writing = spawn(move || {
            for (index, piece) in bytes.chunks(997).enumerate() {
                peer.write_all(piece).expect("write");
                if index % 7 == 0 {
                    std::thread::sleep(Duration::from_micros(300));
                }
            }
        });
        let receiving = ringseal::spawn(async move {
            let mut received = Vec::new();
            while let Some(message) = listener.recv().await.expect("recv") {
                received.extend_from_slice(&message);
            }
            received
        });
        for round in 0_u64.. {
            let reservation = sender.reserve(1_500).await.expect("reserve");
            let mut read = Box::pin(reader.read_into(reservation, ..));
            let result = match poll!(read.as_mut()) {
                Poll::Ready(result) => result,
                // What comes meanwhile is with the kernel, or with nobody who waits.
                Poll::Pending if round % 4 != 0 => {
                    ringseal::sleep(Duration::from_micros(round * 37 % 400)).await;
                    continue;
                }
                Poll::Pending => read.await,
            };
            let (mut reservation, count) = result.expect("read");
            if count == 0 {
                break;
            }
            reservation.truncate(count);
            reservation.send().expect("send");
        }
        writing.join().expect("no panic");
        sender.close().await.expect("close");
        assert!(receiving.await == expected);
    });
}

/// Leaves a read and a write in flight, and gives what holds their futures and sockets.
async fn leave_in_flight() -> (PlainReader, PlainWriter, Sender, Receiver, RawStream) {
    let (plain, peer) = plain_pair().await;
    let (mut reader, mut writer) = plain.split();
    fill_up(&mut writer).await;
    let (dialer, listener) = pair().await;
    let (mut sender, receiver) = dialer.split();
    drop(ringseal::spawn(async move {
        let (_sender, mut receiver) = listener.split();
        while let Ok(Some(_)) = receiver.recv().await {}
    }));
    let reservation = sender.reserve(1_000).await.expect("reserve");
    let mut read = Box::pin(reader.read_into(reservation, ..));
    assert!(poll!(read.as_mut()).is_pending());
    std::mem::forget(read);
    (reader, writer, sender, receiver, peer)
}

fn a_runtime_ends_with_plain_reads_and_writes_in_flight() {
    for order in 0..4 {
        let runtime = builder().build().expect("a runtime");
        let (reader, writer, sender, receiver, peer) =
            runtime.block_on(patiently(leave_in_flight()));
        let start = Instant::now();
        match order {
            0 => {
                drop((reader, writer, sender, receiver));
                drop(runtime);
            }
            1 => {
                drop((sender, receiver));
                drop(runtime);
                drop((writer, reader));
            }
            2 => {
                runtime.block_on(async {
                    drop(ringseal::spawn(async move {
                        let _held = (reader, writer, sender, receiver);
                        std::future::pending::<()>().await;
                    }));
                });
                drop(runtime);
            }
            _ => {
                std::mem::forget((reader, writer));
                drop(runtime);
                drop((sender, receiver));
            }
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(4), "order {order}: {took:?}");
        // A reset, or where there are none the end, instead of a wait.
        let _ = read_all(peer).join().expect("no panic");
    }
}

fn a_task_that_carries_ends_with_its_runtime() {
    let runtime = builder().build().expect("a runtime");
    let (client, service) = runtime.block_on(patiently(async {
        let (near, far) = pair().await;
        let ((here, mut client), (there, mut service)) = (plain_pair().await, plain_pair().await);
        drop(ringseal::spawn(carry(here, near, 16_000)));
        drop(ringseal::spawn(carry(there, far, 16_000)));
        client.write_all(b"ping").expect("write");
        let arrived = spawn(move || {
            let mut ping = [0; 4];
            service.read_exact(&mut ping).expect("read");
            (ping, service)
        });
        while !arrived.is_finished() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        let (ping, service) = arrived.join().expect("no panic");
        assert_eq!(&ping, b"ping");
        (client, service)
    }));
    let start = Instant::now();
    drop(runtime);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    for stream in [client, service] {
        let read = read_all(stream).join().expect("no panic");
        assert_eq!(read.expect("an end in order"), b"");
    }
}

fn plain_sockets_come_and_go_without_leaving_anything() {
    run(async {
        for round in 0..100 {
            let (plain, mut peer) = plain_pair().await;
            let (mut reader, mut writer) = plain.split();
            let (dialer, mut listener) = pair().await;
            let (mut sender, _receiver) = dialer.split();
            peer.write_all(b"in").expect("write");
            let reservation = sender.reserve(10).await.expect("reserve");
            let (mut reservation, count) = reader.read_into(reservation, ..).await.expect("read");
            reservation.truncate(count);
            reservation.send().expect("send");
            let message = listener.recv().await.expect("recv").expect("a message");
            writer.write_message(message).await.expect("write");
            if round % 2 == 0 {
                let reservation = sender.reserve(10).await.expect("reserve");
                let mut read = pin!(reader.read_into(reservation, ..));
                assert!(poll!(read.as_mut()).is_pending());
            }
        }
        while statistics().in_flight > 0 || statistics().lingering > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(statistics().free_slots, statistics().slots);
    });
}

fn addresses_are_those_of_both_ends() {
    run(async {
        let listener = RawListener::bind();
        let plain = PlainSocket::connect(listener.address())
            .await
            .expect("connect");
        let peer = listener.accept();
        assert_eq!(*plain.peer_address(), listener.address());
        if transport() != Transport::Unix {
            let near = plain.local_address().to_string();
            assert!(near.starts_with("127.0.0.1:"), "{near}");
        }
        let back = match peer {
            RawStream::Tcp(stream) => PlainSocket::from_std(stream),
            RawStream::Unix(stream) => PlainSocket::from_std(stream),
        }
        .expect("a stream socket");
        assert_eq!(back.peer_address(), plain.local_address());
        let ((_, mut writer), (mut reader, _)) = (plain.split(), back.split());
        let (dialer, _listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        for message in receive_many(100, 1).await {
            writer.write_message(message).await.expect("write");
        }
        let reservation = sender.reserve(200).await.expect("reserve");
        let (reservation, count) = reader.read_into(reservation, ..).await.expect("read");
        assert_eq!(reservation[..count], pattern(100, 0));
    });
}

fn a_reservation_of_another_runtime_is_refused() {
    let other = builder().build().expect("a runtime");
    let (dialer, mut listener) = other.block_on(patiently(pair()));
    let (mut sender, receiver) = dialer.split();
    run(async {
        let (plain, mut peer) = plain_pair().await;
        let (mut reader, _writer) = plain.split();
        peer.write_all(b"plain").expect("write");
        reader.readable().await.expect("readable");
        // Without a buffer that fills it needs no ring yet.
        let reservation = sender.reserve(10).await.expect("reserve");
        let error = reader
            .read_into(reservation, ..)
            .await
            .expect_err("refused");
        assert!(matches!(&error, PlainSocketError::Read { source, .. }
            if source.kind() == std::io::ErrorKind::InvalidInput));
    });
    other.block_on(patiently(async {
        sender.send(b"behind").await.expect("send");
        let message = listener.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"behind");
    }));
    drop(receiver);
}

fn what_is_no_connected_stream_is_refused() {
    let outside = PlainSocket::from_std(UdpSocket::bind("127.0.0.1:0").expect("bind"));
    let error = outside.expect_err("no runtime");
    assert!(matches!(error, PlainConnectError::OutsideRuntime));
    run(async {
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let listening = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listening.local_addr().expect("bound");
        for refused in [
            PlainSocket::from_std(datagrams),
            PlainSocket::from_std(listening),
        ] {
            let error = refused.expect_err("no connected stream");
            assert!(
                matches!(error, PlainConnectError::Unusable { .. }),
                "{error}"
            );
        }
        let error = PlainSocket::connect(address).await.expect_err("nobody");
        assert!(
            matches!(error, PlainConnectError::Connect { .. }),
            "{error}"
        );
    });
}

crate::on_every_transport! {
    a_tunnel_carries_both_directions_unchanged,
    a_reservation_is_sent_as_long_as_it_is_truncated_to,
    a_reservation_is_filled_by_several_reads,
    a_write_whose_future_was_dropped_goes_on,
    a_peer_that_does_not_read_stops_nobody_else,
    a_message_that_is_cut_resets_the_connection,
    a_writer_that_is_dropped_ends_and_its_reader_goes_on,
    a_reset_in_the_middle_fails_both_directions_and_no_sender,
    a_dropped_or_leaked_read_holds_nobody_up,
    a_read_that_is_given_up_leaves_the_write_of_its_socket_alone,
    a_leaked_read_makes_way_for_that_of_another_sender,
    reads_that_are_dropped_at_any_moment_lose_nothing,
    a_runtime_ends_with_plain_reads_and_writes_in_flight,
    a_task_that_carries_ends_with_its_runtime,
    plain_sockets_come_and_go_without_leaving_anything,
    addresses_are_those_of_both_ends,
    a_reservation_of_another_runtime_is_refused,
    what_is_no_connected_stream_is_refused,
}
