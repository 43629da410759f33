//! Messages of any length that leave and come in parts.

use std::num::NonZeroU32;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::allocations::most_bytes_during;
use super::peers::{builder, config, pair, pair_with, pattern, run, run_with};
use super::setting::{backend, transport};
use super::transport::Transport;
use crate::skipped::skipped;
use crate::slowness::slowness;
use ringseal::protocol::native::record::AbortReason;
use ringseal::{Backend, Config, Receiver, RecvError, SendError, Sender, Statistics, Wire};

const PIECE: usize = 200_000;

/// Bytes that tell their position in a message of any length.
struct Content(Vec<u8>);

impl Content {
    /// Repeats after so many bytes, which no part is a multiple of.
    const PERIOD: usize = 1_000_003;

    fn new() -> Self {
        let period = pattern(Self::PERIOD, 1);
        Self([&period[..], &period[..]].concat())
    }

    fn at(&self, position: u64, length: usize) -> &[u8] {
        let start = usize::try_from(position % Self::PERIOD as u64).expect("below the period");
        &self.0[start..start + length]
    }
}

async fn send_streamed(sender: &mut Sender, content: &Content, length: u64) {
    let mut message = sender.send_stream().expect("the native wire");
    while message.written() < length {
        let rest = length - message.written();
        let piece = usize::try_from(rest).unwrap_or(PIECE).min(PIECE);
        let bytes = content.at(message.written(), piece);
        message.write(bytes).await.expect("write");
    }
    message.finish().await.expect("finish");
}

/// Takes the next message in parts, and returns how many bytes it has.
async fn recv_streamed(receiver: &mut Receiver, content: &Content) -> u64 {
    let message = receiver.recv_stream().await.expect("recv");
    let mut message = message.expect("a message");
    let mut received = 0;
    while let Some(part) = message.next_part().await.expect("a part") {
        assert!(*part == *content.at(received, part.len()), "at {received}");
        received += part.len() as u64;
    }
    received
}

fn streaming(seed: u8) -> Config {
    config(seed).max_streamed_size(u64::MAX)
}

fn messages_of_any_length_are_streamed_both_ways_at_once() {
    run(async {
        let content = Content::new();
        let lengths = [0, 1, 1000, 262_144, 5_000_000, 3, 700_000];
        let (dialer, listener) = pair_with(&streaming(1), &streaming(2)).await;
        let ends = [dialer, listener].map(|connection| async {
            let (mut sender, mut receiver) = connection.split();
            let sending = async {
                for length in lengths {
                    send_streamed(&mut sender, &content, length).await;
                    // Others may stand between them.
                    sender.send(b"between").await.expect("send");
                }
                sender.close().await.expect("close");
            };
            let receiving = async {
                for length in lengths {
                    assert_eq!(recv_streamed(&mut receiver, &content).await, length);
                    let between = receiver.recv().await.expect("recv").expect("a message");
                    assert_eq!(&*between, b"between");
                }
                assert!(receiver.recv_stream().await.expect("an end").is_none());
            };
            futures_util::join!(sending, receiving);
        });
        let [first, second] = ends;
        futures_util::join!(first, second);
    });
}

fn any_message_can_be_taken_either_way() {
    run(async {
        let content = Content::new();
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        for length in [0, 5, 4096, 100_000, 600_000] {
            let whole = content.at(0, length);
            let sending = async {
                send_streamed(&mut sender, &content, length as u64).await;
                sender.send(whole).await.expect("send");
                sender.send(whole).await.expect("send");
            };
            let receiving = async {
                let message = receiver.recv().await.expect("recv").expect("a message");
                assert!(*message == *whole, "{length} bytes");
                for _ in 0..2 {
                    assert_eq!(recv_streamed(&mut receiver, &content).await, length as u64);
                }
            };
            futures_util::join!(sending, receiving);
        }
    });
}

fn padding_goes_with_streaming() {
    run(async {
        let content = Content::new();
        for step in [256, 65_536, 1_000_000] {
            let padded = streaming(1).padding(NonZeroU32::new(step));
            let (dialer, listener) = pair_with(&padded, &streaming(2)).await;
            let (mut sender, _receiver) = dialer.split();
            let (_sender, mut receiver) = listener.split();
            let sending = send_streamed(&mut sender, &content, 1_000_000);
            let receiving = recv_streamed(&mut receiver, &content);
            let ((), received) = futures_util::join!(sending, receiving);
            assert_eq!(received, 1_000_000);
        }
    });
}

// 8 GiB each way over one connection, in the memory of some slots.
fn eight_gib_each_way_take_no_memory() {
    const LENGTH: u64 = 8 << 30;
    // Once: elsewhere it would be the same bytes through the same code.
    let mut length = LENGTH / 256;
    if (backend(), transport()) == (Backend::Uring, Transport::Tcp) {
        if slowness() == 1 {
            length = LENGTH;
        } else {
            skipped(format_args!(
                "{LENGTH} bytes each way take too long where all is slow, and are {length} here"
            ));
        }
    }
    let runtime = builder().build().expect("io_uring on this host");
    runtime.block_on(async {
        let content = Content::new();
        let (dialer, listener) = pair_with(&streaming(1), &streaming(2)).await;
        let exchange = async {
            let ends = [dialer, listener].map(|connection| async {
                let (mut sender, mut receiver) = connection.split();
                let sending = send_streamed(&mut sender, &content, length);
                let receiving = recv_streamed(&mut receiver, &content);
                let ((), received) = futures_util::join!(sending, receiving);
                assert_eq!(received, length);
            });
            let [first, second] = ends;
            futures_util::join!(first, second);
        };
        let ((), most) = most_bytes_during(exchange).await;
        let wire = match transport() {
            Transport::Memory => 4 << 20,
            _ => 0,
        };
        assert!(most < (1 << 20) + wire, "{most} bytes were allocated");
    });
}

fn what_is_given_up_is_no_message_and_disturbs_no_other() {
    run(async {
        let content = Content::new();
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        for is_leaked in [false, true] {
            for length in [0, 10, 100_000] {
                let mut message = sender.send_stream().expect("the native wire");
                message.write(content.at(0, length)).await.expect("write");
                if is_leaked {
                    std::mem::forget(message);
                } else {
                    drop(message);
                }
                sender.send(b"behind").await.expect("send");
                // Put together, nothing is seen of it.
                let behind = receiver.recv().await.expect("recv").expect("a message");
                assert_eq!(&*behind, b"behind");
            }
        }
        // Taken in parts, they come, and then the news.
        let mut message = sender.send_stream().expect("the native wire");
        message.write(content.at(0, 50_000)).await.expect("write");
        let mut taken = receiver
            .recv_stream()
            .await
            .expect("recv")
            .expect("a message");
        let part = taken.next_part().await.expect("a part").expect("a part");
        assert!(*part == *content.at(0, part.len()));
        drop(message);
        let mut news = taken.next_part().await;
        while let Ok(Some(_)) = news {
            news = taken.next_part().await;
        }
        assert!(matches!(news, Err(RecvError::MessageGivenUp)), "{news:?}");
        sender.send(b"goes on").await.expect("send");
        let message = receiver.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"goes on");
        // The last thing before the end.
        let mut message = sender.send_stream().expect("the native wire");
        message.write(b"never complete").await.expect("write");
        drop(message);
        sender.close().await.expect("close");
        assert!(receiver.recv().await.expect("an end").is_none());
    });
}

fn the_rest_of_what_nobody_takes_is_skipped() {
    run(async {
        let content = Content::new();
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        let sending = async {
            for _ in 0..3 {
                send_streamed(&mut sender, &content, 900_000).await;
                sender.send(b"behind").await.expect("send");
            }
            let mut message = sender.send_stream().expect("the native wire");
            message.write(content.at(0, 300_000)).await.expect("write");
            drop(message);
            send_streamed(&mut sender, &content, 400_000).await;
        };
        let receiving = async {
            // After no part, after one, and leaked.
            for taken in 0..3 {
                let message = receiver.recv_stream().await.expect("recv");
                let mut message = message.expect("a message");
                if taken > 0 {
                    drop(message.next_part().await.expect("a part"));
                }
                if taken > 1 {
                    std::mem::forget(message);
                }
                let behind = receiver.recv().await.expect("recv").expect("a message");
                assert_eq!(&*behind, b"behind");
            }
            // What is given up while it is skipped is no news.
            drop(receiver.recv_stream().await.expect("recv"));
            assert_eq!(recv_streamed(&mut receiver, &content).await, 400_000);
        };
        futures_util::join!(sending, receiving);
    });
}

fn a_message_that_has_begun_to_be_put_together_can_be_taken_in_parts() {
    run(async {
        let content = Content::new();
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        for pause in [1, 70_000, 500_000] {
            let mut message = sender.send_stream().expect("the native wire");
            message.write(content.at(0, pause)).await.expect("write");
            let begun = ringseal::timeout(Duration::from_millis(20), receiver.recv());
            assert!(begun.await.is_none(), "the message is not complete");
            let rest = content.at(pause as u64, 400_000);
            let sending = async {
                message.write(rest).await.expect("write");
                message.finish().await.expect("finish");
            };
            let receiving = recv_streamed(&mut receiver, &content);
            let ((), received) = futures_util::join!(sending, receiving);
            assert_eq!(received, (pause + 400_000) as u64);
        }
    });
}

// HAZARDS B1, B2.
fn futures_of_streams_may_be_dropped_anywhere() {
    run(async {
        let content = Content::new();
        let (dialer, listener) = pair().await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        const LENGTH: u64 = 1_000_000;
        let sending = async {
            for _ in 0..5 {
                let mut message = sender.send_stream().expect("the native wire");
                let mut turn = 0;
                while message.written() < LENGTH {
                    let rest = usize::try_from(LENGTH - message.written()).expect("a short rest");
                    let bytes = content.at(message.written(), rest.min(300_000));
                    turn += 1;
                    let mut writing = pin!(message.write(bytes));
                    if turn % 2 == 0 {
                        writing.await.expect("write");
                    } else if let Poll::Ready(written) = futures_util::poll!(writing.as_mut()) {
                        written.expect("write");
                    }
                }
                message.finish().await.expect("finish");
            }
        };
        let receiving = async {
            for _ in 0..5 {
                let begun = {
                    let mut begun = pin!(receiver.recv_stream());
                    futures_util::poll!(begun.as_mut())
                };
                let message = match begun {
                    Poll::Ready(message) => message,
                    Poll::Pending => receiver.recv_stream().await,
                };
                let mut message = message.expect("recv").expect("a message");
                let (mut received, mut turn) = (0, 0);
                while received < LENGTH {
                    turn += 1;
                    let mut next = pin!(message.next_part());
                    let part = match turn % 2 {
                        0 => next.await,
                        _ => match futures_util::poll!(next.as_mut()) {
                            Poll::Ready(part) => part,
                            Poll::Pending => continue,
                        },
                    };
                    let part = part.expect("a part").expect("more to come");
                    assert!(*part == *content.at(received, part.len()), "at {received}");
                    received += part.len() as u64;
                }
            }
        };
        // One after the other, so that nothing is there when somebody begins to wait.
        futures_util::join!(receiving, sending);
    });
}

fn limits_hold_at_both_ends() {
    run(async {
        let content = Content::new();
        // The sender is told what the peer takes in all.
        let small = config(2).max_message_size(1000).max_streamed_size(100_000);
        let (dialer, listener) = pair_with(&config(1), &small).await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        let mut message = sender.send_stream().expect("the native wire");
        message.write(content.at(0, 100_000)).await.expect("write");
        let refused = message.write(b"x").await;
        assert!(
            matches!(refused, Err(SendError::TooLarge { limit: 100_000, .. })),
            "{refused:?}"
        );
        drop(message);
        sender.send(b"goes on").await.expect("send");
        let message = receiver.recv_stream().await.expect("recv");
        drop(message.expect("what was given up"));
        let message = receiver.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"goes on");
        // No longer ones are put together than the limit for that.
        let mut message = sender.send_stream().expect("the native wire");
        for _ in 0..2 {
            message.write(content.at(0, 600)).await.expect("write");
        }
        message.finish().await.expect("finish");
        sender.flush().await.expect("flush");
        let refused = receiver.recv().await;
        assert!(
            matches!(refused, Err(RecvError::TooLong { limit: 1000 })),
            "{refused:?}"
        );
        assert!(matches!(
            receiver.recv_stream().await,
            Err(RecvError::Closed)
        ));
        let told = told_by(_receiver).await;
        assert_eq!(told, AbortReason::TOO_LARGE);
    });
}

// The direction ends while a reservation is out: what stands before it in its buffer leaves, and the
// peer hears why.
fn a_reservation_that_comes_too_late_keeps_nothing_from_the_peer() {
    run(async {
        let small = config(2).max_message_size(1000).max_streamed_size(100_000);
        let (dialer, listener) = pair_with(&config(1), &small).await;
        let (mut sender, mut told) = dialer.split();
        let (mut late, mut receiver) = listener.split();
        late.send(b"before").await.expect("send");
        let reservation = late.reserve(10).await.expect("reserve");
        let mut message = sender.send_stream().expect("the native wire");
        for _ in 0..2 {
            message.write(&[0; 600]).await.expect("write");
        }
        message.finish().await.expect("finish");
        let refused = receiver.recv().await;
        assert!(
            matches!(refused, Err(RecvError::TooLong { .. })),
            "{refused:?}"
        );
        // The writer hears of it while the reservation is out.
        ringseal::sleep(Duration::from_millis(1)).await;
        let refused = reservation.send();
        assert!(matches!(refused, Err(SendError::Closed)), "{refused:?}");
        let message = told.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"before");
        drop(message);
        assert_eq!(told_by(told).await, AbortReason::TOO_LARGE);
    });
}

/// Returns the reason for which the peer gave the connection up.
async fn told_by(mut receiver: Receiver) -> AbortReason {
    match receiver.recv().await {
        Err(RecvError::Aborted { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn the_commonware_wire_has_no_parts() {
    run(async {
        let settings = |seed| config(seed).wire(Wire::COMMONWARE);
        let (dialer, listener) = pair_with(&settings(1), &settings(2)).await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        let refused = sender.send_stream().err();
        assert!(matches!(refused, Some(SendError::NoParts)), "{refused:?}");
        let content = Content::new();
        sender.send(content.at(0, 300_000)).await.expect("send");
        assert_eq!(recv_streamed(&mut receiver, &content).await, 300_000);
    });
}

// Parts are given out where they were opened: nothing is put together, nothing is moved but the
// start of what a read has cut.
fn parts_are_not_copied() {
    run_with(builder(), async {
        let content = Content::new();
        let (dialer, listener) = pair_with(&streaming(1), &streaming(2)).await;
        let (mut sender, _receiver) = dialer.split();
        let (_sender, mut receiver) = listener.split();
        const LENGTH: u64 = 20_000_000;
        let moved = || Statistics::current().expect("inside a runtime").moved_bytes;
        let blocks = || {
            Statistics::current()
                .expect("inside a runtime")
                .large_blocks
        };
        let before = (moved(), blocks());
        let sending = send_streamed(&mut sender, &content, LENGTH);
        let receiving = recv_streamed(&mut receiver, &content);
        let ((), received) = futures_util::join!(sending, receiving);
        assert_eq!(received, LENGTH);
        let moved = moved() - before.0;
        assert!(moved < LENGTH / 2, "{moved} bytes were moved");
        assert!(blocks() - before.1 <= 4, "heap blocks were taken");
    });
}

fn a_connection_may_end_in_the_middle_of_a_message() {
    run(async {
        let content = Content::new();
        let (dialer, listener) = pair().await;
        let (mut sender, receiver) = dialer.split();
        let (_sender, mut other) = listener.split();
        let mut message = sender.send_stream().expect("the native wire");
        message.write(content.at(0, 50_000)).await.expect("write");
        let mut taken = other.recv_stream().await.expect("recv").expect("a message");
        assert!(taken.next_part().await.expect("a part").is_some());
        drop(message);
        drop((sender, receiver));
        let mut news = taken.next_part().await;
        while let Ok(Some(_)) = news {
            news = taken.next_part().await;
        }
        assert!(matches!(news, Err(RecvError::MessageGivenUp)), "{news:?}");
        assert!(other.recv().await.expect("an end in order").is_none());
    });
}

crate::on_every_transport! {
    messages_of_any_length_are_streamed_both_ways_at_once,
    any_message_can_be_taken_either_way,
    padding_goes_with_streaming,
    eight_gib_each_way_take_no_memory,
    what_is_given_up_is_no_message_and_disturbs_no_other,
    the_rest_of_what_nobody_takes_is_skipped,
    a_message_that_has_begun_to_be_put_together_can_be_taken_in_parts,
    futures_of_streams_may_be_dropped_anywhere,
    limits_hold_at_both_ends,
    a_reservation_that_comes_too_late_keeps_nothing_from_the_peer,
    the_commonware_wire_has_no_parts,
    parts_are_not_copied,
    a_connection_may_end_in_the_middle_of_a_message,
}
