//! What a runtime counts of its connections: each event once, where it belongs.

use std::time::Duration;

use ringseal::{
    Admission, Connection, HandshakeCounts, Listener, RecvError, Statistics, TimeLimit, dial,
};

use super::peers::{config, key, pair, pair_with, patiently, run};
use super::setting::on_native;
use super::transport::{RawListener, RawStream, somewhere};

fn now() -> Statistics {
    Statistics::current().expect("inside a runtime")
}

/// Waits until what is counted is as it should be.
async fn until(is_so: impl Fn(&Statistics) -> bool) {
    patiently(async {
        while !is_so(&now()) {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn send_and_take(near: &mut Connection, far: &mut Connection, count: u64) {
    for _ in 0..count {
        near.send(b"message").await.expect("send");
    }
    near.flush().await.expect("flush");
    for _ in 0..count {
        far.recv().await.expect("recv").expect("a message");
    }
}

fn what_moves_is_counted_at_both_ends() {
    run(async {
        let (mut near, mut far) = pair().await;
        let before = now();
        assert!(before.bytes_sent > 100, "the handshake counts");
        send_and_take(&mut near, &mut far, 100).await;
        // Whoever waits for the next message has gone through all before.
        assert!(futures_util::poll!(std::pin::pin!(far.recv())).is_pending());
        let after = now();
        assert_eq!(after.messages_sent - before.messages_sent, 100);
        assert_eq!(after.messages_received - before.messages_received, 100);
        let records = after.records_sent - before.records_sent;
        assert_eq!(after.records_received - before.records_received, records);
        if on_native() {
            assert!((1..20).contains(&records), "{records}");
        } else {
            assert_eq!(records, 100);
        }
        let bytes = after.bytes_sent - before.bytes_sent;
        assert_eq!(after.bytes_received - before.bytes_received, bytes);
        assert!(bytes >= 700 + records * 17, "{bytes}");
        assert!(after.submissions > before.submissions);
        let open = after.submissions - after.completions;
        assert!(
            open <= after.in_flight as u64 + 1,
            "{open} of {}",
            after.in_flight
        );
        assert!(after.heap_budget > 0);
    });
}

fn key_updates_are_counted_where_the_wire_has_them() {
    run(async {
        let (near, mut far) = pair().await;
        let (mut sender, _receiver) = near.split();
        // Keys that nothing was sealed with are not replaced.
        sender.send(b"before it").await.expect("send");
        sender.flush().await.expect("flush");
        far.recv().await.expect("recv").expect("a message");
        assert_eq!(now().key_updates, 0);
        assert_eq!(sender.update_keys(), on_native());
        sender.send(b"behind it").await.expect("send");
        sender.flush().await.expect("flush");
        far.recv().await.expect("recv").expect("a message");
        assert!(futures_util::poll!(std::pin::pin!(far.recv())).is_pending());
        // Once at each end.
        assert_eq!(now().key_updates, if on_native() { 2 } else { 0 });
    });
}

fn a_connection_is_counted_at_the_stage_that_it_is_at() {
    run(async {
        let stages = || {
            let now = now();
            (now.handshaking, now.open, now.ending)
        };
        assert_eq!(stages(), (0, 0, 0));
        let (near, mut far) = pair().await;
        assert_eq!(stages(), (0, 2, 0));
        near.close().await.expect("close");
        assert_eq!(stages(), (0, 1, 1), "it still looks for the peer's end");
        assert!(far.recv().await.expect("an end").is_none());
        drop(far);
        until(|now| (now.open, now.ending) == (0, 0)).await;
    });
}

fn a_handshake_is_counted_by_its_outcome() {
    run(async {
        let only_one = Admission::allow_list([key(1)]);
        let bound = Listener::bind(somewhere(), &config(2), only_one).await;
        let mut listener = bound.expect("bind");
        let address = listener.local_address();
        for (seed, is_admitted) in [(1, true), (3, false)] {
            let config = config(seed);
            let dialed = dial(&address, key(2), &config);
            let (dialed, accepted) = futures_util::join!(dialed, listener.accept());
            assert_eq!(
                (dialed.is_ok(), accepted.is_ok()),
                (is_admitted, is_admitted)
            );
        }
        drop(RawStream::connect(&address));
        listener.accept().await.expect_err("it said nothing");
        drop(listener);
        dial(&address, key(2), &config(1)).await.expect_err("gone");
        let HandshakeCounts {
            established,
            not_admitted,
            unused,
            ..
        } = now().accepted;
        assert_eq!((established, not_admitted, unused), (1, 1, 1));
        let dialed = now().dialed;
        assert_eq!((dialed.established, dialed.unreachable), (1, 1));
        // On the commonware wire a refusal is an end.
        let refused = (dialed.not_admitted, dialed.closed);
        assert_eq!(refused, if on_native() { (1, 0) } else { (0, 1) });
        until(|now| now.handshaking == 0).await;
    });
}

/// A listener that never answers, and one that is not there.
fn handshakes_under_way_when_the_listener_is_dropped_are_counted() {
    run(async {
        let listener = Listener::bind(somewhere(), &config(2), Admission::any()).await;
        let listener = listener.expect("bind");
        let address = listener.local_address();
        let silent: Vec<_> = (0..3)
            .map(|_| RawStream::connect(address.clone()))
            .collect();
        until(|it| it.handshaking == 3).await;
        assert_eq!(now().accepted.dropped, 0);
        drop(listener);
        until(|it| it.accepted.dropped == 3 && it.handshaking == 0).await;
        drop(silent);
    });
}

fn an_attempt_that_takes_too_long_is_counted_as_that() {
    let silent = RawListener::bind();
    run(async {
        let impatient = config(1).handshake_deadline(Duration::from_millis(50));
        dial(silent.address(), key(2), &impatient)
            .await
            .expect_err("nobody answers");
        assert_eq!(now().dialed.timed_out, 1);
        assert_eq!(now().handshaking, 0);
    });
}

fn waits_for_room_are_counted_with_their_time() {
    run(async {
        let (mut near, mut far) = pair().await;
        let message = vec![7; 64 * 1024];
        let mut sent = 0;
        // Until the peer, which does not read, holds it up.
        while ringseal::timeout(Duration::from_millis(30), near.send(&message))
            .await
            .is_some()
        {
            sent += 1;
        }
        let given_up = now();
        assert!(given_up.send_waits >= 1);
        assert!(
            given_up.send_wait_time >= Duration::from_millis(15),
            "{given_up:?}"
        );
        for _ in 0..sent {
            far.recv().await.expect("recv").expect("a message");
        }
        near.send(&message).await.expect("send");
        near.flush().await.expect("flush");
        assert!(far.recv().await.expect("recv").is_some());
        let waits = now().send_waits;
        send_and_take(&mut near, &mut far, 3).await;
        assert_eq!(now().send_waits, waits, "there was room");
    });
}

fn a_time_limit_that_ends_a_connection_is_counted() {
    run(async {
        let limited = config(2).idle_timeout(Duration::from_millis(50));
        let (near, mut far) = pair_with(&config(1), &limited).await;
        if on_native() {
            // The peer knows of the limit and says that it is there, if that is not too often.
            let quiet = ringseal::timeout(Duration::from_millis(500), far.recv()).await;
            assert_eq!(now().idle_timeouts, u64::from(quiet.is_some()), "{quiet:?}");
            return;
        }
        let error = far.recv().await.expect_err("silence");
        let is_idle = matches!(
            error,
            RecvError::TimedOut {
                limit: TimeLimit::Idle
            }
        );
        assert!(is_idle, "{error:?}");
        let now = now();
        assert_eq!(
            (now.idle_timeouts, now.progress_timeouts, now.host_timeouts),
            (1, 0, 0)
        );
        drop(near);
    });
}

crate::on_every_setting! {
    what_moves_is_counted_at_both_ends,
    key_updates_are_counted_where_the_wire_has_them,
    a_connection_is_counted_at_the_stage_that_it_is_at,
    a_handshake_is_counted_by_its_outcome,
    an_attempt_that_takes_too_long_is_counted_as_that,
    handshakes_under_way_when_the_listener_is_dropped_are_counted,
    waits_for_room_are_counted_with_their_time,
    a_time_limit_that_ends_a_connection_is_counted,
}
