//! What strangers can do to a listener, and what must happen then.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::peers::{builder, config, identity, key, pair, pattern, relay, run};
use super::setting::{first_bytes, handshake_lengths, on_native, spawn, wire};
use super::transport::{RawListener, RawStream, somewhere};
use ringseal::protocol::native;
use ringseal::{
    Address, Admission, AttemptError, BindError, DialError, HandshakeError, Listener, Phase,
    RecvError, RemoteError, RingThreads, Statistics, dial,
};

async fn bind(admission: Admission) -> Listener {
    Listener::bind(somewhere(), &config(2), admission)
        .await
        .expect("bind")
}

/// Whoever came before, an honest client is served.
async fn serves_others(listener: &mut Listener) {
    let address = listener.local_address();
    let task = ringseal::spawn(async move {
        let mut connection = dial(address, key(2), &config(1)).await.expect("dial");
        connection.send(b"still there?").await.expect("send");
        connection.flush().await.expect("flush");
        connection
    });
    let mut connection = loop {
        if let Ok(connection) = listener.accept().await {
            break connection;
        }
    };
    let message = connection.recv().await.expect("recv").expect("a message");
    assert_eq!(&*message, b"still there?");
    drop(task.await);
}

async fn reason(listener: &mut Listener) -> AttemptError {
    listener.accept().await.expect_err("no connection").reason
}

fn raw(address: impl Into<Address>) -> RawStream {
    let stream = RawStream::connect(address);
    stream.set_read_timeout(super::peers::patience());
    stream
}

// HAZARDS H1.
fn a_silent_client_ends_at_the_deadline_and_holds_nothing() {
    run(async {
        let settings = config(2).handshake_deadline(Duration::from_millis(100));
        let mut listener = Listener::bind(somewhere(), &settings, Admission::any())
            .await
            .expect("bind");
        let mut silent = raw(listener.local_address());
        let mut slow = raw(listener.local_address());
        let mut bytes = first_bytes();
        let trickle = spawn(move || {
            let mut written = 0;
            while written < 30 && slow.write_all(&[bytes.next().expect("endless")]).is_ok() {
                written += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            written
        });
        assert!(matches!(
            reason(&mut listener).await,
            AttemptError::Deadline {
                phase: Phase::Handshake
            }
        ));
        assert!(matches!(
            reason(&mut listener).await,
            AttemptError::Deadline {
                phase: Phase::Handshake
            }
        ));
        assert_eq!(silent.read(&mut [0; 1]).expect("closed"), 0);
        let statistics = Statistics::current().expect("inside");
        assert_eq!(statistics.free_slots, statistics.slots);
        // Not joined before it is done: this thread has a ring to turn.
        while !trickle.is_finished() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        assert!(trickle.join().expect("the slow client") < 30);
        serves_others(&mut listener).await;
    });
}

// HAZARDS H4: refused at the first frame, and nothing is sent back.
fn what_is_no_handshake_is_refused_without_an_answer() {
    let tls_hello: &[u8] = &[
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 9, 9, 9, 9, 9, 9, 9, 9,
        9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
    ];
    let samples: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        tls_hello,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        &[0xff; 64],
        &[0x80, 0x00],
        &[0x21],
    ];
    run(async {
        let mut listener = bind(Admission::any()).await;
        for sample in samples {
            let mut client = raw(listener.local_address());
            client.write_all(sample).expect("write");
            let reason = reason(&mut listener).await;
            assert!(
                matches!(
                    reason,
                    AttemptError::Handshake(
                        HandshakeError::FrameTooLarge { .. }
                            | HandshakeError::BadVarint
                            | HandshakeError::Decode
                    ) | AttemptError::NativeHandshake(native::handshake::HandshakeError::NotNative)
                ),
                "{reason:?}"
            );
            let mut answer = Vec::new();
            // Closed, or reset because it had sent more than was read.
            let _ = client.read_to_end(&mut answer);
            assert!(answer.is_empty());
        }
        serves_others(&mut listener).await;
    });
}

// HAZARDS H2.
fn an_admission_check_that_never_answers_or_panics_ends_one_attempt_only() {
    run(async {
        let settings = config(2).handshake_deadline(Duration::from_millis(300));
        let admission = Admission::check_async(|claimed| async move {
            if claimed == key(7) {
                std::future::pending::<()>().await;
            }
            assert!(claimed != key(8), "a check that panics");
            true
        });
        let mut listener = Listener::bind(somewhere(), &settings, admission)
            .await
            .expect("bind");
        let address = listener.local_address();
        for (seed, deadline) in [(7, true), (8, false)] {
            let address = address.clone();
            let task =
                ringseal::spawn(async move { dial(address, key(2), &config(seed)).await.is_ok() });
            match reason(&mut listener).await {
                AttemptError::Deadline {
                    phase: Phase::Handshake,
                } => assert!(deadline),
                AttemptError::AdmissionPanicked => assert!(!deadline),
                other => panic!("{other:?}"),
            }
            assert!(!task.await);
        }
        serves_others(&mut listener).await;
    });
}

// HAZARDS H9, H10, H15.
fn wrong_peers_are_refused_by_name_on_the_side_that_can_tell() {
    run(async {
        let mut listener = bind(Admission::check(|claimed| claimed != key(5))).await;
        let address = listener.local_address();
        let attempts = [
            // Dialled identity is not who answers; other namespace; other version.
            (key(3), config(1), "signature"),
            (
                key(2),
                ringseal::Config::new(identity(1), "another namespace").wire(wire()),
                "signature",
            ),
            (key(2), config(5), "rejected"),
        ];
        let version = "commonware:v0,v1".parse().expect("a wire");
        let another_version = (key(2), config(1).wire(version), "signature");
        let another_version = (!on_native()).then_some(another_version);
        let attempts = attempts.into_iter().chain(another_version);
        for (expected, settings, what) in attempts {
            let address = address.clone();
            let task = ringseal::spawn(async move { dial(address, expected, &settings).await });
            match (reason(&mut listener).await, what) {
                (AttemptError::Handshake(HandshakeError::BadSignature), "signature")
                | (
                    AttemptError::NativeHandshake(native::handshake::HandshakeError::NotForUs),
                    "signature",
                ) => {}
                (
                    AttemptError::Handshake(HandshakeError::PeerRejected(rejected))
                    | AttemptError::NotAdmitted { peer: rejected },
                    "rejected",
                ) => {
                    assert_eq!(rejected, key(5));
                }
                (other, _) => panic!("{other:?}"),
            }
            let error = task.await.expect_err("refused");
            assert!(
                matches!(
                    error,
                    DialError::Attempt(AttemptError::UnexpectedEnd | AttemptError::Refused { .. })
                ),
                "{error:?}"
            );
        }
        assert!(matches!(
            dial(address, key(1), &config(1)).await,
            Err(DialError::Attempt(
                AttemptError::Handshake(HandshakeError::SameIdentity)
                    | AttemptError::NativeHandshake(
                        native::handshake::HandshakeError::SameIdentity
                    )
            ))
        ));
        serves_others(&mut listener).await;
    });
}

// HAZARDS H3: half-open handshakes are capped; what is established keeps moving.
fn hundreds_of_silent_clients_do_not_stop_established_connections() {
    run(async {
        let (mut dialer, mut listening) = pair().await;
        let settings = config(2)
            .max_handshakes(50)
            .handshake_deadline(Duration::from_millis(200));
        let mut listener = Listener::bind(somewhere(), &settings, Admission::any())
            .await
            .expect("bind");
        let address = listener.local_address();
        let clients: Vec<_> = (0..100).map(|_| raw(&address)).collect();
        for round in 0..50 {
            dialer.send(&pattern(500, round)).await.expect("send");
            let message = listening.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(500, round));
        }
        // Half of them find no room, so others make way for them or are over before.
        let mut made_way = 0;
        for _ in 0..100 {
            match reason(&mut listener).await {
                AttemptError::MadeWay => made_way += 1,
                AttemptError::Deadline { phase } => assert_eq!(phase, Phase::Handshake),
                reason => panic!("{reason:?}"),
            }
        }
        assert!(made_way <= 50, "{made_way}");
        drop(clients);
        serves_others(&mut listener).await;
    });
}

fn a_listener_without_handshakes_is_refused() {
    run(async {
        let settings = config(2).max_handshakes(0);
        let bound = Listener::bind(somewhere(), &settings, Admission::any()).await;
        let threads = RingThreads::start(builder(), 1).expect("threads");
        let handle = threads.handle();
        let remote = handle.listen(somewhere(), &settings, Admission::any());
        let remote = match remote.await.map(drop).expect_err("refused") {
            RemoteError::Call(error) => error,
            other => panic!("{other:?}"),
        };
        for error in [bound.map(drop).expect_err("refused"), remote] {
            assert!(matches!(error, BindError::ZeroLimit { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("Config::max_handshakes is 0"), "{text}");
        }
        threads.shutdown().await.expect("no panic");
    });
}

fn handshakes_run_at_most_the_configured_number_at_a_time() {
    run(async {
        let settings = config(2)
            .max_handshakes(1)
            .handshake_deadline(Duration::from_millis(150));
        // Not silent, so it makes way for nobody: it is this end that it waits for.
        let asked = Arc::new(AtomicBool::new(false));
        let asking = Arc::clone(&asked);
        let admission = Admission::check_async(move |claimed| {
            asking.store(true, Ordering::Relaxed);
            async move {
                if claimed == key(7) {
                    std::future::pending::<()>().await;
                }
                true
            }
        });
        let mut listener = Listener::bind(somewhere(), &settings, admission)
            .await
            .expect("bind");
        let address = listener.local_address();
        let dialing = |seed| {
            let address = address.clone();
            ringseal::spawn(async move { dial(address, key(2), &config(seed)).await })
        };
        let first = dialing(7);
        while !asked.load(Ordering::Relaxed) {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        // Behind the first one, and served when that has timed out.
        let second = dialing(1);
        assert!(matches!(
            reason(&mut listener).await,
            AttemptError::Deadline {
                phase: Phase::Handshake
            }
        ));
        let connection = listener.accept().await.expect("the second client");
        assert_eq!(connection.peer(), key(1));
        second.await.expect("dial");
        first.await.expect_err("never admitted");
    });
}

fn dial_errors_name_their_cause() {
    run(async {
        // A port that was free a moment ago.
        let address = bind(Admission::any()).await.local_address();
        tokio::task::yield_now().await;
        assert!(matches!(
            dial(address, key(2), &config(1)).await,
            Err(DialError::Connect { .. })
        ));
        assert!(matches!(
            dial("host.invalid:1", key(2), &config(1)).await,
            Err(DialError::Resolve { .. })
        ));
        // A listener that never answers.
        let silent = RawListener::bind();
        let settings = config(1).handshake_deadline(Duration::from_millis(100));
        assert!(matches!(
            dial(silent.address(), key(2), &settings).await,
            Err(DialError::Attempt(AttemptError::Deadline {
                phase: Phase::Handshake
            }))
        ));
        while Statistics::current().expect("inside").in_flight > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    });
}

// HAZARDS S5.
fn a_port_in_use_is_an_error() {
    run(async {
        let listener = bind(Admission::any()).await;
        let second = Listener::bind(listener.local_address(), &config(2), Admission::any()).await;
        assert!(matches!(second, Err(BindError::Bind { .. })));
    });
}

fn a_listener_that_is_dropped_closes_its_port_and_keeps_its_connections() {
    run(async {
        let mut listener = bind(Admission::allow_list([key(1)])).await;
        let address = listener.local_address();
        let target = address.clone();
        let task = ringseal::spawn(async move { dial(target, key(2), &config(1)).await });
        let mut accepted = listener.accept().await.expect("accept");
        drop(listener);
        // At once, and not when the thread next turns to its driver.
        RawStream::try_connect(&address).expect_err("the port is closed");
        let mut dialed = task.await.expect("dial");
        dialed.send(b"hello").await.expect("send");
        assert_eq!(
            &*accepted.recv().await.expect("recv").expect("one"),
            b"hello"
        );
    });
}

/// Bytes of a record with one message of so many bytes.
fn record_of(length: usize) -> usize {
    length + if on_native() { 4 + 1 + 16 } else { 36 }
}

// HAZARDS R6, over a socket: the stream is cut at every offset of a record and at its borders.
fn a_cut_inside_a_record_is_truncation_and_between_records_an_end() {
    run(async {
        let mut listener = bind(Admission::any()).await;
        let handshake = handshake_lengths().all;
        let record = record_of(10);
        for cut in (0..=record).step_by(3).chain([1, 19, 20, 21, record]) {
            let at = handshake + record + cut;
            let address = relay(listener.local_address(), move |offset, bytes| {
                bytes.len().min(at.saturating_sub(offset))
            });
            let task = ringseal::spawn(async move {
                let mut connection = dial(address, key(2), &config(1)).await.expect("dial");
                for _ in 0..3 {
                    connection.send(&[9; 10]).await.expect("send");
                    // Each in a record of its own.
                    connection.flush().await.expect("flush");
                }
                // Until the listener's end is gone.
                let _ = connection.recv().await;
            });
            let mut connection = listener.accept().await.expect("accept");
            let first = connection.recv().await.expect("recv").expect("whole");
            assert_eq!(&*first, &[9; 10]);
            let next = loop {
                match connection.recv().await {
                    Ok(Some(message)) => assert_eq!(&*message, &[9; 10]),
                    other => break other,
                }
            };
            if cut % record == 0 && !on_native() {
                assert!(next.expect("an end").is_none(), "cut {cut}");
            } else {
                assert!(
                    matches!(
                        next,
                        Err(RecvError::Record(ringseal::OpenError::Truncated)
                            | RecvError::NativeRecord(native::record::OpenError::Truncated))
                    ),
                    "cut {cut}: {next:?}"
                );
                assert!(matches!(connection.recv().await, Err(RecvError::Closed)));
            }
            drop(connection);
            task.await;
        }
    });
}

// HAZARDS R1, over a socket.
fn a_flipped_bit_ends_the_receiver_after_what_came_before() {
    run(async {
        let mut listener = bind(Admission::any()).await;
        let handshake = handshake_lengths().all;
        let record = record_of(10);
        for position in (0..record).step_by(5) {
            let at = handshake + record + position;
            let address = relay(listener.local_address(), move |offset, bytes| {
                if let Some(byte) = at
                    .checked_sub(offset)
                    .and_then(|index| bytes.get_mut(index))
                {
                    *byte ^= 0x10;
                }
                bytes.len()
            });
            let task = ringseal::spawn(async move {
                let mut connection = dial(address, key(2), &config(1)).await.expect("dial");
                for _ in 0..3 {
                    connection.send(&[9; 10]).await.expect("send");
                    // Each in a record of its own.
                    connection.flush().await.expect("flush");
                }
                let _ = connection.recv().await;
            });
            let mut connection = listener.accept().await.expect("accept");
            let first = connection.recv().await.expect("recv").expect("whole");
            assert_eq!(&*first, &[9; 10]);
            let refused = connection.recv().await;
            assert!(
                matches!(
                    refused,
                    Err(RecvError::Record(ringseal::OpenError::Failed) | RecvError::NativeRecord(_))
                ),
                "{refused:?}"
            );
            assert!(matches!(connection.recv().await, Err(RecvError::Closed)));
            drop(connection);
            task.await;
        }
    });
}

// HAZARDS R7: what was authenticated before the reset is delivered first.
fn a_reset_comes_after_the_messages_before_it() {
    run(async {
        let mut listener = bind(Admission::any()).await;
        let address = listener.local_address();
        let task = ringseal::spawn(async move {
            let mut connection = dial(address, key(2), &config(1)).await.expect("dial");
            connection.send(b"before").await.expect("send");
            connection.flush().await.expect("flush");
            // Unread data at the close makes the kernel reset.
            let message = connection.recv().await.expect("recv").expect("one");
            assert_eq!(&*message, b"one");
            drop(message);
            drop(connection);
        });
        let mut connection = listener.accept().await.expect("accept");
        connection.send(b"one").await.expect("send");
        for _ in 0..50 {
            connection.send(&[1; 4096]).await.expect("send");
        }
        connection.flush().await.expect("flush");
        task.await;
        let first = connection.recv().await.expect("recv").expect("one");
        assert_eq!(&*first, b"before");
        // Reset or closed, depending on what the kernel had taken; never a panic or a hang.
        let _ = connection.recv().await;
        let mut sent = Ok(());
        while sent.is_ok() {
            sent = connection.send(&[1; 4096]).await;
            if sent.is_ok() {
                sent = connection.flush().await;
            }
        }
        assert!(matches!(sent, Err(ringseal::SendError::Transport(_))));
        assert!(matches!(
            connection.send(b"x").await,
            Err(ringseal::SendError::Closed)
        ));
    });
}

// HAZARDS R9: bytes arrive one at a time.
fn messages_survive_any_splitting() {
    run(async {
        let mut listener = bind(Admission::any()).await;
        let target = listener.local_address();
        let relay = RawListener::bind();
        let address = relay.address();
        let thread = spawn(move || {
            let mut client = relay.accept();
            let mut server = RawStream::connect(target);
            let mut back = server.try_clone();
            let mut forth = client.try_clone();
            let answers = spawn(move || {
                let mut byte = [0];
                while let Ok(1) = back.read(&mut byte) {
                    if forth.write_all(&byte).is_err() {
                        break;
                    }
                }
            });
            let mut byte = [0];
            while let Ok(1) = client.read(&mut byte) {
                server.write_all(&byte).expect("write");
            }
            server.shutdown(Shutdown::Both);
            answers.join().expect("answers");
        });
        let task = ringseal::spawn(async move {
            let connection = dial(address, key(2), &config(1)).await.expect("dial");
            let (mut sender, _receiver) = connection.split();
            for index in 0..30 {
                sender
                    .send(&pattern(index * 11, index))
                    .await
                    .expect("send");
            }
            sender.close().await.expect("close");
        });
        let mut connection = listener.accept().await.expect("accept");
        for index in 0..30 {
            let message = connection.recv().await.expect("recv").expect("one");
            assert!(*message == *pattern(index * 11, index));
        }
        assert!(connection.recv().await.expect("end").is_none());
        task.await;
        drop(connection);
        thread.join().expect("relay");
    });
}

crate::on_every_setting! {
    a_silent_client_ends_at_the_deadline_and_holds_nothing,
    what_is_no_handshake_is_refused_without_an_answer,
    an_admission_check_that_never_answers_or_panics_ends_one_attempt_only,
    wrong_peers_are_refused_by_name_on_the_side_that_can_tell,
    hundreds_of_silent_clients_do_not_stop_established_connections,
    handshakes_run_at_most_the_configured_number_at_a_time,
    a_listener_without_handshakes_is_refused,
    dial_errors_name_their_cause,
    a_port_in_use_is_an_error,
    a_listener_that_is_dropped_closes_its_port_and_keeps_its_connections,
    a_cut_inside_a_record_is_truncation_and_between_records_an_end,
    a_flipped_bit_ends_the_receiver_after_what_came_before,
    a_reset_comes_after_the_messages_before_it,
    messages_survive_any_splitting,
}
