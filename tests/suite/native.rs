//! The native wire over real sockets: packed and long messages, how it ends, who is let in.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::peers::{config, identity, key, pair, pair_with, pattern, relay, run};
use super::setting::transport;
use super::transport::{RawListener, RawStream, Transport, somewhere};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use ringseal::internals::native_raw::RawSealer;
use ringseal::protocol::layout::{Draft, End, Incoming, Outgoing, Step};
use ringseal::protocol::native::handshake::{ANSWER_LEN, Dialer, Parameters};
use ringseal::protocol::native::record::{
    AbortReason, Event, Frame, OpenError, Opener, RefuseReason, Sealer,
};
use ringseal::protocol::native::{
    ExportError, KemLibrary, Libraries, Library, Settings, Suite, Suites,
};
use ringseal::{
    Address, Admission, AttemptError, Config, Connection, DialError, Listener, Phase, Received,
    RecvError, SendError, Statistics, TimeLimit, Wire, dial,
};

fn commonware(seed: u8) -> Config {
    config(seed).wire(Wire::COMMONWARE)
}

/// Sends messages of these lengths each way and expects them.
async fn exchange(pair: &mut (Connection, Connection), lengths: &[usize]) {
    let (dialer, listener) = pair;
    for (salt, &length) in lengths.iter().enumerate() {
        dialer.send(&pattern(length, salt)).await.expect("send");
        let message = listener.recv().await.expect("recv").expect("a message");
        assert!(*message == *pattern(length, salt), "{length} bytes");
        listener.send(&message).await.expect("send");
        let message = dialer.recv().await.expect("recv").expect("a message");
        assert!(*message == *pattern(length, salt), "{length} bytes");
    }
}

fn messages_of_every_length_arrive_with_both_suites() {
    for suite in Suite::ALL {
        run(async move {
            let wire = Wire::Native { suite };
            let mut pair = pair_with(&config(1).wire(wire), &config(2)).await;
            assert_eq!((pair.0.wire(), pair.1.wire()), (wire, wire));
            let lengths = [
                0, 1, 127, 128, 4095, 4096, 4097, 16_384, 65_536, 300_000, 1_048_576, 5,
            ];
            exchange(&mut pair, &lengths).await;
        });
    }
}

fn small_messages_share_records_and_each_is_whole() {
    run(async {
        let (mut dialer, mut listener) = pair().await;
        let lengths = [0, 1, 64, 200, 3000, 5000, 17];
        for round in 0..40 {
            for (salt, length) in lengths.into_iter().enumerate() {
                dialer
                    .send(&pattern(length, salt + round))
                    .await
                    .expect("send");
            }
            for (salt, length) in lengths.into_iter().enumerate() {
                let message = listener.recv().await.expect("recv").expect("a message");
                assert!(*message == *pattern(length, salt + round));
            }
        }
        let (mut sender, _receiver) = dialer.split();
        for length in [0, 10, 4096, 100_000] {
            let mut place = sender.reserve(length).await.expect("room");
            place.copy_from_slice(&pattern(length, 3));
            place.send().expect("send");
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(length, 3));
        }
        // Not used, it sends nothing, and holds up nothing.
        drop(sender.reserve(100).await.expect("room"));
        sender.flush().await.expect("nothing to wait for");
        sender.send(b"next").await.expect("send");
        let message = listener.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"next");
    });
}

fn what_can_not_be_sent_is_refused_and_the_sender_goes_on() {
    run(async {
        // The listener takes less than the dialer.
        let small = config(2).max_message_size(1000);
        let mut pair = pair_with(&config(1), &small).await;
        let refused = pair.0.send(&[0; 1001]).await;
        let (length, limit) = (1001, 1000);
        assert!(
            matches!(refused, Err(SendError::TooLarge { length: l, limit: m }) if (l, m) == (length, limit)),
            "{refused:?}"
        );
        let (mut sender, _receiver) = pair.1.split();
        let refused = sender.reserve(600_000).await.err();
        assert!(
            matches!(refused, Some(SendError::TooLongInPlace { .. })),
            "{refused:?}"
        );
        sender
            .send(&[7; 600_000])
            .await
            .expect("in several records");
        let message = pair.0.recv().await.expect("recv").expect("a message");
        assert_eq!(*message, [7; 600_000]);
        pair.0.send(&[1; 1000]).await.expect("send");
    });
}

// HAZARDS R6: only the authenticated end is one.
fn an_end_is_authenticated_and_each_direction_has_its_own() {
    run(async {
        let (dialer, listener) = pair().await;
        let (mut sender, mut receiver) = dialer.split();
        let (mut other_sender, mut other_receiver) = listener.split();
        sender.send(b"last").await.expect("send");
        sender.close().await.expect("close");
        let message = other_receiver
            .recv()
            .await
            .expect("recv")
            .expect("a message");
        assert_eq!(&*message, b"last");
        assert_eq!(other_receiver.end(), None);
        assert!(other_receiver.recv().await.expect("an end").is_none());
        assert_eq!(other_receiver.end(), Some(End::Authenticated));
        assert!(other_receiver.recv().await.expect("still").is_none());
        // The other direction goes on.
        other_sender.send(b"answer").await.expect("send");
        let message = receiver.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"answer");
        drop(other_sender);
        assert!(receiver.recv().await.expect("an end").is_none());
        assert_eq!(receiver.end(), Some(End::Authenticated));
    });
}

async fn accept(listener: &mut Listener) -> Connection {
    listener.accept().await.expect("accept")
}

/// Connects through a relay that lets through what `change` says.
async fn relayed(
    change: impl FnMut(usize, &mut [u8]) -> usize + Send + 'static,
) -> (Connection, Connection) {
    let mut listener = bind(&config(2)).await;
    let address = relay(listener.local_address(), change);
    let (dialing, listening) = (config(1), &mut listener);
    let (dialed, accepted) =
        futures_util::join!(dial(address, key(2), &dialing), accept(listening));
    (dialed.expect("dial"), accepted)
}

async fn bind(config: &Config) -> Listener {
    bind_with(config, Admission::any()).await
}

async fn bind_with(config: &Config, admission: Admission) -> Listener {
    let bound = Listener::bind(somewhere(), config, admission).await;
    bound.expect("bind")
}

/// Bytes of hello and proof.
const HANDSHAKE: usize = 1237 + 164;

// HAZARDS R6.
fn a_cut_anywhere_is_no_end() {
    // Between two records, and within one.
    for cut in [HANDSHAKE + 4 + 6 + 16, HANDSHAKE + 30] {
        run(async move {
            let (mut dialer, mut listener) =
                relayed(move |offset, chunk| chunk.len().min(cut.saturating_sub(offset))).await;
            dialer.send(b"first").await.expect("send");
            dialer.flush().await.expect("flush");
            ringseal::sleep(Duration::from_millis(20)).await;
            // The relay may be gone.
            let _ = dialer.send(b"second").await;
            let _ = dialer.flush().await;
            let message = listener.recv().await.expect("recv").expect("a message");
            assert_eq!(&*message, b"first");
            let cut = listener.recv().await;
            assert!(
                matches!(cut, Err(RecvError::NativeRecord(OpenError::Truncated))),
                "{cut:?}"
            );
        });
    }
}

// HAZARDS R1.
fn a_changed_record_ends_both_directions_and_the_peer_is_told() {
    run(async {
        let (mut dialer, mut listener) = relayed(|offset, chunk| {
            if let Some(byte) = (HANDSHAKE + 10)
                .checked_sub(offset)
                .and_then(|index| chunk.get_mut(index))
            {
                *byte ^= 1;
            }
            chunk.len()
        })
        .await;
        dialer.send(b"changed").await.expect("send");
        let refused = listener.recv().await;
        assert!(
            matches!(refused, Err(RecvError::NativeRecord(OpenError::Tag))),
            "{refused:?}"
        );
        let told = dialer.recv().await;
        assert!(
            matches!(
                told,
                Err(RecvError::Aborted {
                    reason: AbortReason::PROTOCOL
                })
            ),
            "{told:?}"
        );
        assert!(matches!(listener.recv().await, Err(RecvError::Closed)));
    });
}

fn who_is_not_admitted_is_told_so() {
    run(async {
        let only_three = Admission::allow_list([key(3)]);
        let mut listener = bind_with(&config(2), only_three).await;
        let address = listener.local_address();
        let (alice, carol) = (config(1), config(3));
        let (refused, seen) =
            futures_util::join!(dial(address.clone(), key(2), &alice), listener.accept());
        let told = RefuseReason::NOT_ADMITTED;
        assert!(
            matches!(&refused, Err(DialError::Attempt(AttemptError::Refused { reason })) if *reason == told),
            "{refused:?}"
        );
        let reason = seen.expect_err("nobody is let in").reason;
        assert!(
            matches!(&reason, AttemptError::NotAdmitted { peer } if *peer == key(1)),
            "{reason:?}"
        );
        // Who does not wait for it hears of it from the first receive, whatever was sent.
        let early = config(1).await_accept(false);
        let (dialed, seen) =
            futures_util::join!(dial(address.clone(), key(2), &early), listener.accept());
        assert!(seen.is_err());
        let mut connection = dialed.expect("before the answer");
        connection.send(b"for nobody").await.expect("sealed");
        let told = connection.recv().await;
        assert!(
            matches!(
                told,
                Err(RecvError::Refused {
                    reason: RefuseReason::NOT_ADMITTED
                })
            ),
            "{told:?}"
        );
        // The sender hears of it as well, at once or when it waits for what it has appended.
        let sent = match connection.send(b"more").await {
            Ok(()) => connection.flush().await,
            refused => refused,
        };
        assert!(
            matches!(
                sent,
                Err(SendError::Refused {
                    reason: RefuseReason::NOT_ADMITTED
                })
            ),
            "{sent:?}"
        );
        let text = sent.expect_err("refused").to_string();
        assert!(text.contains("not admitted"), "{text}");
        assert!(matches!(connection.send(b"").await, Err(SendError::Closed)));
        let (dialed, accepted) =
            futures_util::join!(dial(address, key(2), &carol), listener.accept());
        exchange(
            &mut (dialed.expect("dial"), accepted.expect("accept")),
            &[5],
        )
        .await;
    });
}

fn both_wires_share_a_port_and_are_told_apart() {
    run(async {
        let both = config(2).wires([Wire::native(), Wire::COMMONWARE]);
        let mut listener = bind(&both).await;
        let address = listener.local_address();
        for wire in [Wire::COMMONWARE, Wire::native(), Wire::COMMONWARE] {
            let dialing = config(1).wire(wire);
            let (dialed, accepted) =
                futures_util::join!(dial(address.clone(), key(2), &dialing), listener.accept());
            let accepted = accepted.expect("accept");
            assert_eq!(accepted.wire(), wire);
            exchange(&mut (dialed.expect("dial"), accepted), &[0, 100, 20_000]).await;
        }
    });
}

fn a_wire_that_is_not_switched_on_is_refused() {
    run(async {
        for (dialing, listening) in [
            (Wire::native(), Wire::COMMONWARE),
            (Wire::COMMONWARE, Wire::native()),
        ] {
            let mut listener = bind(&config(2).wire(listening)).await;
            let address: Address = listener.local_address();
            let dialing = config(1).wire(dialing);
            let (dialed, accepted) =
                futures_util::join!(dial(address, key(2), &dialing), listener.accept());
            let (dialed, accepted) = (dialed.err(), accepted.err());
            assert!(
                matches!(
                    dialed,
                    Some(DialError::Attempt(AttemptError::UnexpectedEnd))
                ),
                "{dialed:?}"
            );
            let reason = accepted.expect("refused").reason;
            assert!(
                matches!(
                    reason,
                    AttemptError::Handshake(_) | AttemptError::NativeHandshake(_)
                ),
                "{reason:?}"
            );
        }
    });
}

// NATIVE section 1: no failure makes a dialer try another wire, not even one that a listener of that
// configuration would take.
fn a_dialer_never_falls_back() {
    // More than either handshake has for an answer.
    let garbled = vec![0xa5; 2000];
    let answers = [
        vec![],
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        garbled,
    ];
    for first in [Wire::native(), Wire::COMMONWARE] {
        let second = if first.is_native() {
            Wire::COMMONWARE
        } else {
            Wire::native()
        };
        for answer in &answers {
            let socket = RawListener::bind();
            let address = socket.address();
            let (has_failed, failed) = std::sync::mpsc::channel();
            let (answer, hello) = (answer.clone(), if first.is_native() { 1237 } else { 33 });
            let listening = super::setting::spawn(move || {
                let mut client = socket.accept();
                let mut input = vec![0; hello];
                client.read_exact(&mut input).expect("a hello");
                assert_eq!(input.starts_with(b"RSL1"), first.is_native());
                client.write_all(&answer).expect("write");
                client.shutdown(Shutdown::Write);
                // All that it sends on this one, and then whatever comes on another.
                let mut rest = Vec::new();
                let _ = client.read_to_end(&mut rest);
                failed.recv().expect("the dialer's end");
                socket.accept_within(Duration::from_millis(100)).is_some()
            });
            run(async {
                let dialing = config(1).wires([first, second]);
                let failure = dial(address, key(2), &dialing).await;
                let failure = failure.expect_err("no listener");
                assert!(matches!(failure, DialError::Attempt(_)), "{failure:?}");
                // What it might do in the background has time as well.
                ringseal::sleep(Duration::from_millis(20)).await;
            });
            has_failed.send(()).expect("somebody waits");
            let came_again = listening.join().expect("the listener");
            assert!(!came_again, "another attempt after {first}");
        }
    }
}

// Which library computes what never shows on the wire.
fn ends_with_different_libraries_understand_each_other() {
    let all = || {
        let kinds = Library::BUILT.iter().zip(KemLibrary::BUILT.iter().cycle());
        kinds.map(|(&library, &kem)| {
            let mut libraries = Libraries::default();
            libraries.aes_256_gcm = library;
            libraries.chacha20_poly1305 = library;
            libraries.ml_kem_768 = kem;
            libraries
        })
    };
    run(async {
        for suite in Suite::ALL {
            for dialing in all() {
                for listening in all() {
                    let wire = Wire::Native { suite };
                    let dialer = config(1).wire(wire).libraries(dialing);
                    let listener = config(2).libraries(listening);
                    let mut pair = pair_with(&dialer, &listener).await;
                    exchange(&mut pair, &[0, 100, 5_000, 300_000]).await;
                }
            }
        }
    });
}

fn a_suite_that_is_not_switched_on_is_refused() {
    run(async {
        let only_aes = Suites::none().and(Suite::Aes256Gcm);
        let mut listener = bind(&config(2).suites(only_aes)).await;
        let address = listener.local_address();
        let [aes, chacha] = Suite::ALL.map(|suite| config(1).wire(Wire::Native { suite }));
        let (dialed, accepted) =
            futures_util::join!(dial(address.clone(), key(2), &chacha), listener.accept());
        assert!(dialed.is_err());
        let reason = accepted.expect_err("refused").reason;
        assert!(reason.to_string().contains("suite"), "{reason}");
        let (dialed, accepted) =
            futures_util::join!(dial(address, key(2), &aes), listener.accept());
        exchange(
            &mut (dialed.expect("dial"), accepted.expect("accept")),
            &[5],
        )
        .await;
    });
}

// HAZARDS H9: who asks for another listener gets no byte.
fn a_hello_for_another_key_or_namespace_is_refused() {
    run(async {
        let mut listener = bind(&config(2)).await;
        let address = listener.local_address();
        let other_namespace = Config::new(identity(1), "another").wire(Wire::native());
        for (peer, dialing) in [(key(4), config(1)), (key(2), other_namespace)] {
            let (dialed, accepted) =
                futures_util::join!(dial(address.clone(), peer, &dialing), listener.accept());
            assert!(matches!(
                dialed.err(),
                Some(DialError::Attempt(AttemptError::UnexpectedEnd))
            ));
            let reason = accepted.expect_err("refused").reason;
            assert!(reason.to_string().contains("namespace"), "{reason}");
        }
    });
}

fn keys_are_updated_under_load_in_both_directions() {
    run(async {
        let (dialer, listener) = pair().await;
        let ends = [dialer, listener].map(|connection| async {
            let (mut sender, mut receiver) = connection.split();
            let sending = async {
                for index in 0..500 {
                    if index % 7 == 0 {
                        assert!(sender.update_keys());
                    }
                    sender
                        .send(&pattern(index * 13 % 9000, index))
                        .await
                        .expect("send");
                }
                sender.close().await.expect("close");
            };
            let receiving = async {
                for index in 0..500 {
                    let message = receiver.recv().await.expect("recv").expect("a message");
                    assert!(*message == *pattern(index * 13 % 9000, index));
                }
                assert!(receiver.recv().await.expect("an end").is_none());
            };
            futures_util::join!(sending, receiving);
        });
        let [first, second] = ends;
        futures_util::join!(first, second);
    });
}

fn a_peer_that_leaves_is_heard_of() {
    run(async {
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = listener.split();
        let (mut answers, mut receiver) = dialer.split();
        sender.send(b"until then").await.expect("send");
        assert!(sender.announce_leaving(7));
        assert!(receiver.recv().await.expect("recv").is_some());
        assert_eq!(
            receiver.leaving(),
            None,
            "it is said behind what was sent before"
        );
        sender.send(b"and").await.expect("send");
        assert!(receiver.recv().await.expect("recv").is_some());
        assert_eq!(receiver.leaving(), Some(7));
        answers.send(b"answer").await.expect("still");
    });
}

// HAZARDS R8: the peer's idle time is kept to without any traffic of the application's.
fn an_idle_connection_is_kept_alive_for_a_peer_that_would_give_up() {
    run(async {
        let idle = Duration::from_millis(300);
        let (mut dialer, mut listener) = pair_with(&config(1), &config(2).idle_timeout(idle)).await;
        // Nothing comes but what keeps it alive.
        let silent = ringseal::timeout(5 * idle, listener.recv()).await;
        assert!(silent.is_none(), "{silent:?}");
        dialer.send(b"there").await.expect("send");
        assert!(listener.recv().await.expect("recv").is_some());
        // The other wire can't.
        let (_dialer, mut listener) =
            pair_with(&commonware(1), &commonware(2).idle_timeout(idle)).await;
        let ended = listener.recv().await;
        assert!(
            matches!(
                ended,
                Err(RecvError::TimedOut {
                    limit: TimeLimit::Idle
                })
            ),
            "{ended:?}"
        );
    });
}

// NATIVE section 4.3: also for who has no idle time, where this end has a time of its own.
fn a_keep_alive_time_of_its_own_has_an_end_heard_of() {
    let sent = || {
        let now = Statistics::current().expect("inside a runtime");
        now.records_sent
    };
    let within = Duration::from_millis(300);
    run(async {
        let quick = |seed| config(seed).keep_alive(within);
        let (mut dialer, mut listener) = pair_with(&quick(1), &config(2)).await;
        let before = sent();
        let hearing = async {
            // Of nothing else there are records.
            while sent() < before + 3 {
                ringseal::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            received = listener.recv() => panic!("{received:?}"),
            () = hearing => {}
        }
        dialer.send(b"there").await.expect("send");
        assert!(listener.recv().await.expect("recv").is_some());
        drop((dialer, listener));
        // A longer one than the peer's idle time asks for makes no difference.
        let slow = config(1).keep_alive(Duration::from_secs(600));
        let idle = Duration::from_secs(1);
        let (_dialer, mut listener) = pair_with(&slow, &config(2).idle_timeout(idle)).await;
        let silent = ringseal::timeout(3 * idle, listener.recv()).await;
        assert!(silent.is_none(), "{silent:?}");
    });
    // The other wire has no record for it.
    run(async {
        let quick = |seed| commonware(seed).keep_alive(within);
        let (_dialer, mut listener) = pair_with(&quick(1), &quick(2)).await;
        let before = sent();
        let silent = ringseal::timeout(3 * within, listener.recv()).await;
        assert!(silent.is_none(), "{silent:?}");
        assert_eq!(sent(), before);
    });
}

fn both_ends_export_the_same_and_other_connections_do_not() {
    run(async {
        let export = |connection: &Connection, context: &[u8]| {
            let mut bytes = [0; 32];
            let exported = connection.channel_binding("test", context, &mut bytes);
            exported.map(|()| bytes)
        };
        let (dialer, listener) = pair().await;
        let ours = export(&dialer, b"context").expect("exported");
        assert_eq!(export(&listener, b"context"), Ok(ours));
        assert_ne!(export(&listener, b"other"), Ok(ours));
        let (other, _peer) = pair().await;
        assert_ne!(export(&other, b"context"), Ok(ours));
        let (other, _peer) = pair_with(&commonware(1), &commonware(2)).await;
        assert_eq!(export(&other, b"context"), Err(ExportError::NoExporter));
    });
}

fn padded_messages_arrive() {
    run(async {
        let padding = NonZeroU32::new(256);
        let mut pair = pair_with(&config(1).padding(padding), &config(2)).await;
        exchange(&mut pair, &[0, 1, 255, 256, 5000, 300_000]).await;
    });
}

fn batches_hold_all_that_is_here_and_lose_nothing() {
    for wire in [Wire::native(), Wire::COMMONWARE] {
        run(async move {
            let (dialer, listener) = pair_with(&config(1).wire(wire), &config(2).wire(wire)).await;
            let sending = async {
                let (mut sender, _receiver) = dialer.split();
                for index in 0..3000_usize {
                    let message = pattern(index % 700, index);
                    if !sender.try_send(&message).expect("send") {
                        sender.send(&message).await.expect("send");
                    }
                }
                sender.close().await.expect("close");
            };
            let receiving = async {
                let (_sender, mut receiver) = listener.split();
                let (mut received, mut batches) = (0_usize, 0_usize);
                while let Some(mut batch) = receiver.recv_batch().await.expect("recv") {
                    batches += 1;
                    if batches % 5 == 0 {
                        // Not even the first one is lost.
                        continue;
                    }
                    // Not all of them each time: the rest comes with the next.
                    for _ in 0..200 {
                        let Some(message) = batch.next_message().expect("recv") else {
                            break;
                        };
                        assert!(*message == *pattern(received % 700, received));
                        received += 1;
                    }
                    // One by one is the same.
                    if batches % 3 == 0
                        && let Some(message) = receiver.recv().await.expect("recv")
                    {
                        assert!(*message == *pattern(received % 700, received));
                        received += 1;
                    }
                }
                assert_eq!(received, 3000);
                assert!(batches < 1500, "{batches} batches");
            };
            futures_util::join!(sending, receiving);
        });
    }
}

// HAZARDS B1, B2: nothing is lost or doubled, wherever futures are dropped.
fn futures_may_be_dropped_anywhere() {
    run(async {
        let (mut dialer, mut listener) = pair().await;
        let mut expected = 0;
        for index in 0..2000_usize {
            let length = index * 37 % 6000;
            dialer.send(&pattern(length, index)).await.expect("send");
            loop {
                let mut receiving = pin!(listener.recv());
                let polled = match index % 3 {
                    0 => futures_util::poll!(receiving.as_mut()),
                    _ => Poll::Ready(receiving.await),
                };
                let Poll::Ready(received) = polled else {
                    break;
                };
                let message = received.expect("recv").expect("a message");
                assert!(*message == *pattern(expected * 37 % 6000, expected));
                expected += 1;
                if expected > index {
                    break;
                }
            }
        }
    });
}

fn a_peer_that_says_nothing_of_worth_does_not_hold_up_the_thread() {
    // In memory there is no time between two reads.
    if transport() == Transport::Memory {
        return;
    }
    run(async {
        let (dialer, mut listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        for _ in 0..3000 {
            assert!(sender.update_keys());
            sender.send(b"x").await.expect("send");
        }
        sender.close().await.expect("close");
        let mut count = 0;
        while listener.recv().await.expect("recv").is_some() {
            count += 1;
        }
        assert_eq!(count, 3000);
    });
}

// A dialer that goes away before it is admitted has not ended in order.
fn a_dial_that_is_dropped_while_it_awaits_acceptance_is_no_end() {
    run(async {
        let (decide, decided) = tokio::sync::watch::channel(false);
        let (ask, mut asked) = tokio::sync::watch::channel(false);
        let admission = Admission::check_async(move |_| {
            ask.send_replace(true);
            let mut decided = decided.clone();
            async move { decided.wait_for(|decided| *decided).await.is_ok() }
        });
        let mut listener = bind_with(&config(2), admission).await;
        let address = listener.local_address();
        let dialing = config(1);
        let has_proved = async {
            asked.wait_for(|asked| *asked).await.expect("asked");
            ringseal::sleep(Duration::from_millis(20)).await;
        };
        tokio::select! {
            dialed = dial(address, key(2), &dialing) => panic!("{dialed:?}"),
            accepted = listener.accept() => panic!("{accepted:?}"),
            () = has_proved => {}
        }
        decide.send(true).expect("somebody waits");
        let mut accepted = listener.accept().await.expect("accept");
        let ended = accepted.recv().await;
        assert!(
            matches!(
                ended,
                Err(RecvError::Aborted {
                    reason: AbortReason::UNSPECIFIED
                })
            ),
            "{ended:?}"
        );
    });
}

/// Admits nobody, ever.
/// Passes so many bytes on, and takes in the rest, until the end comes, which it does not pass on.
fn pass(mut from: RawStream, mut to: RawStream, most: usize) {
    let mut left = most;
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        let passed = count.min(left);
        left -= passed;
        if to.write_all(&chunk[..passed]).is_err() {
            return;
        }
    }
}

/// A relay that falls silent after so many bytes, to the listener and to the dialer.
fn relay_until_silent(target: Address, to_listener: usize, to_dialer: usize) -> Address {
    let relay = RawListener::bind();
    let address = relay.address();
    std::thread::spawn(move || {
        let client = relay.accept();
        let server = RawStream::connect(target);
        let (back, forth) = (server.try_clone(), client.try_clone());
        let answers = std::thread::spawn(move || pass(back, forth, to_dialer));
        pass(client.try_clone(), server.try_clone(), to_listener);
        answers.join().expect("it only copies");
    });
    address
}

// Each end by its own deadline, wherever the other falls silent, and nothing is left of it.
fn silence_at_any_step_ends_a_handshake() {
    const HELLO: usize = 1237;
    const ALL: usize = usize::MAX;
    // Bytes to the listener, and to the dialer before Accept, at which there is silence.
    let during_the_handshake = [
        (0, ALL),
        (4, ALL),
        (HELLO - 1, ALL),
        (HELLO, ALL),
        (HANDSHAKE - 1, ALL),
        (ALL, 0),
        (ALL, ANSWER_LEN - 1),
    ];
    let hasty = Duration::from_millis(500);
    let is_deadline = |reason: &AttemptError| {
        let phase = Phase::Handshake;
        matches!(reason, AttemptError::Deadline { phase: seen } if *seen == phase)
    };
    run(async move {
        for (to_listener, to_dialer) in during_the_handshake {
            let mut listener = bind(&config(2).handshake_deadline(hasty)).await;
            let address = relay_until_silent(listener.local_address(), to_listener, to_dialer);
            let dialing = config(1).handshake_deadline(hasty);
            let (dialed, seen) =
                futures_util::join!(dial(address, key(2), &dialing), listener.accept());
            let place = (to_listener, to_dialer);
            let Err(DialError::Attempt(reason)) = dialed else {
                panic!("{place:?}: {dialed:?}");
            };
            assert!(is_deadline(&reason), "{place:?}: {reason:?}");
            let reason = seen.expect_err("nobody is let in").reason;
            assert!(is_deadline(&reason), "{place:?}: {reason:?}");
        }
        // The listener has let it in, and the dialer does not hear of it.
        let mut listener = bind(&config(2)).await;
        let address = relay_until_silent(listener.local_address(), ALL, ANSWER_LEN);
        let dialing = config(1).handshake_deadline(Duration::from_secs(2));
        let (dialed, accepted) =
            futures_util::join!(dial(address, key(2), &dialing), listener.accept());
        let Err(DialError::Attempt(reason)) = dialed else {
            panic!("{dialed:?}");
        };
        assert!(is_deadline(&reason), "{reason:?}");
        drop(accepted.expect("the proof has come"));
        let left = || {
            let now = Statistics::current().expect("inside");
            (now.slots - now.free_slots, now.in_flight)
        };
        while left() != (0, 0) {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    });
}

fn undecided() -> Admission {
    Admission::check_async(|_| pending())
}

fn who_waits_to_be_admitted_is_told_why_that_ends() {
    run(async {
        let told = |dialed: Result<Connection, DialError>| match dialed {
            Err(DialError::Attempt(AttemptError::Refused { reason })) => reason,
            other => panic!("{other:?}"),
        };
        let dialing = config(1);
        // The check takes longer than there is time for.
        let hasty = config(2).handshake_deadline(Duration::from_millis(200));
        let mut listener = bind_with(&hasty, undecided()).await;
        let address = listener.local_address();
        let (dialed, seen) =
            futures_util::join!(dial(address, key(2), &dialing), listener.accept());
        assert_eq!(told(dialed), RefuseReason::TOO_BUSY);
        let reason = seen.expect_err("nobody is let in").reason;
        assert!(
            matches!(reason, AttemptError::Deadline { .. }),
            "{reason:?}"
        );
        // The listener ends meanwhile.
        let mut listener = bind_with(&config(2), undecided()).await;
        let address = listener.local_address();
        let listening = async {
            let pause = Duration::from_millis(100);
            assert!(ringseal::timeout(pause, listener.accept()).await.is_none());
            drop(listener);
        };
        let (dialed, ()) = futures_util::join!(dial(address, key(2), &dialing), listening);
        assert_eq!(told(dialed), RefuseReason::SHUTTING_DOWN);
    });
}

fn admission_learns_what_a_client_speaks() {
    run(async {
        let (seen, asked) = std::sync::mpsc::channel();
        let admission = Admission::check_applicant(move |applicant| {
            let admitted = applicant.wire.is_native();
            seen.send(applicant).expect("somebody listens");
            ready(admitted)
        });
        let both = config(2).wires([Wire::native(), Wire::COMMONWARE]);
        let mut listener = bind_with(&both, admission).await;
        let address = listener.local_address();
        let suites = Suite::ALL.map(|suite| Wire::Native { suite });
        for wire in suites.into_iter().chain([Wire::COMMONWARE]) {
            let dialing = config(1).wire(wire);
            let (dialed, accepted) =
                futures_util::join!(dial(address.clone(), key(2), &dialing), listener.accept());
            assert_eq!(accepted.is_ok(), wire.is_native(), "{wire:?}");
            assert_eq!(dialed.is_ok(), wire.is_native(), "{wire:?}");
            let applicant = asked.try_recv().expect("asked once");
            assert_eq!((applicant.wire, applicant.key), (wire, key(1)));
            if let Ok(accepted) = accepted {
                assert_eq!(accepted.peer_address(), &applicant.address);
                assert_eq!(accepted.wire(), wire);
            }
        }
    });
}

fn who_waits_for_messages_can_hear_that_the_peer_leaves() {
    run(async {
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = listener.split();
        let (_answers, mut receiver) = dialer.split();
        let leaving = async {
            ringseal::sleep(Duration::from_millis(20)).await;
            assert!(sender.announce_leaving(7));
        };
        let (received, ()) = futures_util::join!(receiver.recv_event(), leaving);
        assert!(
            matches!(received, Ok(Some(Received::Leaving(7)))),
            "{received:?}"
        );
        sender.send(b"the last").await.expect("send");
        let received = receiver.recv_event().await;
        assert!(
            matches!(&received, Ok(Some(Received::Message(message))) if **message == *b"the last"),
            "{received:?}"
        );
        drop(sender);
        assert!(receiver.recv_event().await.expect("an end").is_none());
    });
}

// 60 000 empty messages come in one record.
fn a_record_full_of_empty_messages_leaves_others_their_turns() {
    const COUNT: usize = 60_000;
    run(async {
        for by_batch in [false, true] {
            let (dialer, listener) = pair().await;
            let (mut sender, _receiver) = dialer.split();
            for _ in 0..COUNT {
                assert!(sender.try_send(b"").expect("send"), "they fit one slot");
            }
            sender.close().await.expect("close");
            let (_sender, mut receiver) = listener.split();
            let (received, turns) = (Cell::new(0), Cell::new(0));
            let receiving = async {
                if by_batch {
                    while let Some(mut batch) = receiver.recv_batch().await.expect("recv") {
                        while batch.next_message().expect("recv").is_some() {
                            received.set(received.get() + 1);
                        }
                    }
                } else {
                    while receiver.recv().await.expect("recv").is_some() {
                        received.set(received.get() + 1);
                    }
                }
            };
            // Sees how many have come since its last turn.
            let other = poll_fn(|context| {
                if received.get() == COUNT {
                    return Poll::Ready(());
                }
                turns.set(turns.get() + usize::from(received.get() > 0));
                context.waker().wake_by_ref();
                Poll::Pending
            });
            futures_util::join!(receiving, other);
            assert_eq!(received.get(), COUNT);
            assert!(turns.get() >= COUNT / 16_384, "{} turns", turns.get());
        }
    });
}

/// A dialer by hand: what it sends is up to the test.
struct ByHand {
    stream: RawStream,
    sealer: Sealer,
    opener: Opener,
}

impl ByHand {
    /// Shakes hands as the identity with seed 1, and sends `behind` together with the proof.
    fn dial(address: Address, behind: impl FnOnce(&mut Sealer) -> Vec<u8>) -> Self {
        let mut stream = RawStream::connect(address);
        let settings = Settings::new(65_536, 1 << 20).expect("within the limits");
        let parameters = Parameters::new(b"ringseal tests", settings);
        let mut random = UnwrapErr(SysRng);
        let mut output = Vec::new();
        let mut dialer = Dialer::new(
            &Arc::new(identity(1)),
            key(2),
            Suite::Aes256Gcm,
            &parameters,
            &mut random,
            &mut output,
        )
        .expect("a sound key");
        loop {
            stream.write_all(&output).expect("write");
            output.clear();
            let mut input = vec![0; dialer.wanted()];
            stream.read_exact(&mut input).expect("read");
            let (_, session) = dialer.receive(&input, &mut output).expect("a sound answer");
            if let Some(session) = session {
                let (mut sealer, opener, _) = session.split();
                output.extend(behind(&mut sealer));
                stream.write_all(&output).expect("write");
                return Self {
                    stream,
                    sealer,
                    opener,
                };
            }
        }
    }

    /// Reads until a message comes, and returns it.
    fn recv(&mut self) -> Vec<u8> {
        let mut input = Vec::new();
        loop {
            match self.opener.open(&mut input).expect("a sound record") {
                Step::Incomplete { needed, .. } => {
                    let start = input.len();
                    input.resize(needed, 0);
                    self.stream.read_exact(&mut input[start..]).expect("read");
                }
                Step::Packed { region, .. } => {
                    let region = input[region].to_vec();
                    let range = self.opener.next_packed(&region).expect("sound");
                    return region[range.expect("a message")].to_vec();
                }
                Step::Event { .. } => input.clear(),
                step => panic!("{step:?}"),
            }
        }
    }
}

/// Returns `count` records that `seal` makes, behind each other.
fn records(
    sealer: &mut Sealer,
    count: usize,
    mut seal: impl FnMut(&mut Sealer, &mut Draft<Vec<u8>>, usize),
) -> Vec<u8> {
    let mut all = Vec::new();
    for index in 0..count {
        let mut draft = Draft::new(vec![0; 1000]);
        seal(sealer, &mut draft, index);
        sealer.finish(&mut draft).expect("room");
        all.extend_from_slice(draft.sealed());
    }
    all
}

/// Seals a message into a record of its own.
fn seal_message(sealer: &mut Sealer, draft: &mut Draft<Vec<u8>>, message: &[u8]) {
    let planned = sealer.plan(message.len()).expect("a short message");
    sealer.append(draft, planned, message).expect("room");
}

// Of everything that is no message 20 000 come in a row; what others on the thread do goes on.
fn floods_of_what_is_no_message_hold_up_nobody() {
    run(async {
        let mut listener = bind(&config(2)).await;
        let address = listener.local_address();
        let flooding = super::setting::spawn(move || {
            let mut peer = ByHand::dial(address, |_| Vec::new());
            const COUNT: usize = 20_000;
            let sealer = &mut peer.sealer;
            let mut flood = records(sealer, COUNT, |sealer, draft, _| {
                sealer.control(draft, Frame::Alive).expect("room");
            });
            flood.extend(records(sealer, COUNT, |sealer, draft, index| {
                let reason = u16::try_from(index).expect("few");
                sealer.control(draft, Frame::Leaving(reason)).expect("room");
            }));
            flood.extend(records(sealer, COUNT, |sealer, draft, _| {
                sealer.part(draft, b"p", false).expect("room");
            }));
            flood.extend(records(sealer, 1, |sealer, draft, _| {
                sealer.part(draft, b"", true).expect("room");
            }));
            peer.stream.write_all(&flood).expect("write");
            assert_eq!(peer.recv(), b"there");
        });
        let mut connection = listener.accept().await.expect("accept");
        let turns = Cell::new(0);
        let receiving = async {
            let message = connection.recv().await.expect("recv").expect("a message");
            assert_eq!(*message, [b'p'; 20_000]);
        };
        let other = poll_fn::<(), _>(|context| {
            turns.set(turns.get() + 1);
            context.waker().wake_by_ref();
            Poll::Pending
        });
        tokio::select! {
            () = receiving => {}
            () = other => {}
        }
        assert!(turns.get() >= 60_000 / 256, "{} turns", turns.get());
        connection.send(b"there").await.expect("send");
        connection.flush().await.expect("flush");
        flooding.join().expect("the peer");
    });
}

/// Takes the connection of a flooding peer while another connection of the thread goes on, and
/// returns what `work` makes of it, with how many messages went each way on the other one.
async fn beside_honest_traffic<T>(
    listener: &mut Listener,
    work: impl AsyncFnOnce(&mut Connection) -> T,
) -> (T, Connection, usize) {
    let mut honest = pair().await;
    let mut flooded = listener.accept().await.expect("accept");
    let rounds = Cell::new(0);
    let others = async {
        loop {
            exchange(&mut honest, &[100]).await;
            rounds.set(rounds.get() + 1);
        }
    };
    let both = async {
        tokio::select! {
            output = work(&mut flooded) => output,
            () = others => unreachable!("it goes on"),
        }
    };
    let (output, most) = super::allocations::most_bytes_during(both).await;
    assert!(most < 300_000, "{most} bytes were allocated");
    (output, flooded, rounds.get())
}

// Each with a record between, as the wire has it: 20 000 generations, as fast as the peer can.
fn a_flood_of_updates_is_followed_and_holds_up_nobody() {
    const COUNT: usize = 20_000;
    run(async {
        let mut listener = bind(&config(2)).await;
        let address = listener.local_address();
        let flooding = super::setting::spawn(move || {
            let mut peer = ByHand::dial(address, |_| Vec::new());
            let sealer = &mut peer.sealer;
            let mut flood = records(sealer, COUNT, |sealer, draft, _| {
                sealer.control(draft, Frame::Alive).expect("room");
                sealer.update(draft).expect("room");
            });
            flood.extend(records(sealer, 1, |sealer, draft, _| {
                seal_message(sealer, draft, b"behind all");
            }));
            peer.stream.write_all(&flood).expect("write");
            assert_eq!(peer.recv(), b"there");
        });
        let updates = || Statistics::current().expect("inside a runtime").key_updates;
        let before = updates();
        let (message, mut flooded, rounds) =
            beside_honest_traffic(&mut listener, async |flooded: &mut Connection| {
                flooded.recv().await.expect("recv").expect("a message")
            })
            .await;
        assert_eq!(&*message, b"behind all");
        // The other connection had a turn after 256 records at the latest, some of them a round.
        assert!(rounds >= 2 * COUNT / 256 / 16, "{rounds} rounds");
        // Whoever waits for the next message has gone through all before.
        assert!(futures_util::poll!(pin!(flooded.recv())).is_pending());
        assert_eq!(updates() - before, COUNT as u64);
        flooded.send(b"there").await.expect("send");
        flooded.flush().await.expect("flush");
        flooding.join().expect("the peer");
    });
}

// NATIVE section 4.3: an error as record 0 itself, and all that comes behind it is for nobody.
fn a_flood_of_updates_without_a_record_between_is_refused() {
    const COUNT: usize = 20_000;
    /// Type 3 of the control frames, which are kind 3 of the records.
    const UPDATE: (u8, &[u8]) = (3, &[3]);
    run(async {
        let mut listener = bind(&config(2)).await;
        let address = listener.local_address();
        let flooding = super::setting::spawn(move || {
            let peer = ByHand::dial(address, |sealer| {
                records(sealer, 1, |sealer, draft, _| {
                    seal_message(sealer, draft, b"before");
                })
            });
            let (mut stream, mut opener) = (peer.stream, peer.opener);
            let mut sealer = RawSealer::behind(peer.sealer);
            let mut flood = Vec::new();
            for _ in 0..COUNT {
                flood.extend(sealer.record(UPDATE.0, UPDATE.1));
                sealer.update();
            }
            // It is told so while it writes, and may not get rid of all.
            let _ = stream.write_all(&flood);
            let mut input = Vec::new();
            let _ = stream.read_to_end(&mut input);
            let mut events = Vec::new();
            let mut rest = &mut input[..];
            while let Ok(Step::Event { event, consumed }) = opener.open(rest) {
                events.push(event);
                rest = &mut rest[consumed..];
            }
            events
        });
        let (before, mut flooded, _) =
            beside_honest_traffic(&mut listener, async |flooded: &mut Connection| {
                flooded.recv().await.expect("recv").expect("a message")
            })
            .await;
        assert_eq!(&*before, b"before");
        let refused = flooded.recv().await;
        assert!(
            matches!(
                refused,
                Err(RecvError::NativeRecord(OpenError::UpdateFirst))
            ),
            "{refused:?}"
        );
        assert!(matches!(flooded.recv().await, Err(RecvError::Closed)));
        drop(flooded);
        while !flooding.is_finished() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        let events = flooding.join().expect("the peer");
        let told = Event::Aborted(AbortReason::PROTOCOL);
        assert_eq!(events.last(), Some(&told), "{events:?}");
    });
}

// What comes before the answer stays in the socket: it takes no memory, and nobody gets it unless the
// sender is admitted.
fn records_before_admission_are_for_nobody_until_then() {
    run(async {
        let (decide, decided) = tokio::sync::watch::channel(None);
        let admission = Admission::check_async(move |_| {
            let mut decided = decided.clone();
            async move {
                let decision = decided.wait_for(Option::is_some).await;
                decision.expect("somebody decides").expect("decided")
            }
        });
        let mut listener = bind_with(&config(2), admission).await;
        for is_admitted in [true, false] {
            decide.send_replace(None);
            let address = listener.local_address();
            let (sent, has_sent) = std::sync::mpsc::channel();
            let flooding = super::setting::spawn(move || {
                let mut peer = ByHand::dial(address, |sealer| {
                    records(sealer, 300, |sealer, draft, _| {
                        seal_message(sealer, draft, &[5; 100]);
                    })
                });
                sent.send(()).expect("somebody waits");
                // The answer, or the end.
                let mut answer = [0; 100];
                let count = peer.stream.read(&mut answer).unwrap_or(0);
                (peer, count)
            });
            let accepting = async {
                let (accepted, most) =
                    super::allocations::most_bytes_during(listener.accept()).await;
                (accepted, most)
            };
            let deciding = async {
                while has_sent.try_recv().is_err() {
                    ringseal::sleep(Duration::from_millis(1)).await;
                }
                ringseal::sleep(Duration::from_millis(20)).await;
                decide.send_replace(Some(is_admitted));
            };
            let ((accepted, most), ()) = futures_util::join!(accepting, deciding);
            assert!(most < 300_000, "{most} bytes were allocated");
            match accepted {
                Ok(mut connection) => {
                    assert!(is_admitted);
                    for _ in 0..300 {
                        let message = connection.recv().await.expect("recv");
                        assert_eq!(*message.expect("a message"), [5; 100]);
                    }
                }
                Err(error) => {
                    assert!(!is_admitted, "{error}");
                }
            }
            let (_peer, count) = flooding.join().expect("the peer");
            assert!(count > 0, "an answer, whatever it says");
        }
    });
}

crate::on_every_transport! {
    messages_of_every_length_arrive_with_both_suites,
    small_messages_share_records_and_each_is_whole,
    what_can_not_be_sent_is_refused_and_the_sender_goes_on,
    an_end_is_authenticated_and_each_direction_has_its_own,
    a_cut_anywhere_is_no_end,
    a_changed_record_ends_both_directions_and_the_peer_is_told,
    who_is_not_admitted_is_told_so,
    both_wires_share_a_port_and_are_told_apart,
    a_wire_that_is_not_switched_on_is_refused,
    a_suite_that_is_not_switched_on_is_refused,
    ends_with_different_libraries_understand_each_other,
    a_dialer_never_falls_back,
    a_hello_for_another_key_or_namespace_is_refused,
    keys_are_updated_under_load_in_both_directions,
    a_peer_that_leaves_is_heard_of,
    an_idle_connection_is_kept_alive_for_a_peer_that_would_give_up,
    a_keep_alive_time_of_its_own_has_an_end_heard_of,
    both_ends_export_the_same_and_other_connections_do_not,
    padded_messages_arrive,
    batches_hold_all_that_is_here_and_lose_nothing,
    futures_may_be_dropped_anywhere,
    a_peer_that_says_nothing_of_worth_does_not_hold_up_the_thread,
    a_dial_that_is_dropped_while_it_awaits_acceptance_is_no_end,
    silence_at_any_step_ends_a_handshake,
    who_waits_to_be_admitted_is_told_why_that_ends,
    admission_learns_what_a_client_speaks,
    who_waits_for_messages_can_hear_that_the_peer_leaves,
    a_record_full_of_empty_messages_leaves_others_their_turns,
    floods_of_what_is_no_message_hold_up_nobody,
    a_flood_of_updates_is_followed_and_holds_up_nobody,
    a_flood_of_updates_without_a_record_between_is_refused,
    records_before_admission_are_for_nobody_until_then,
}
