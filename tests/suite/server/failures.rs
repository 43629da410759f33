//! Connections that fail in any of their phases leave nothing behind, and disturb nobody.

use std::time::Instant;

use ringseal::{Address, HandshakeCounts, Server};

use super::ending::descriptors;
use super::{answers, connect, finish, nothing_is_left, server, start, try_connect};
use crate::child::{is_case, run_case};
use crate::faulty_relay::{Fault, FaultyRelay, Plan};
use crate::peers::{builder, patience, pattern, run_with};
use crate::setting::handshake_lengths;

/// After how many bytes of the client's it fails: before, in and behind each message of the handshake,
/// and in records.
fn offsets() -> Vec<usize> {
    let lengths = handshake_lengths();
    let (first, before_answer, all) = (lengths.first, lengths.before_answer, lengths.all);
    let mut offsets = vec![
        0,
        1,
        first - 1,
        first,
        before_answer,
        all - 1,
        all,
        all + 1,
        all + 3_000,
    ];
    offsets.dedup();
    offsets
}

/// Whether a message of several records comes back.
async fn is_served(address: Address) -> bool {
    let message = pattern(100_000, 7);
    let Ok(mut connection) = try_connect(&address, 1).await else {
        return false;
    };
    let is_sent = connection.send(&message).await.is_ok();
    is_sent && matches!(connection.recv().await, Ok(Some(echo)) if *echo == *message)
}

/// All handshakes of clients that have ended.
fn sum(counts: HandshakeCounts) -> u64 {
    let numbers = [
        counts.established,
        counts.not_admitted,
        counts.timed_out,
        counts.overloaded,
        counts.made_way,
        counts.no_room,
        counts.unused,
        counts.dropped,
        counts.closed,
        counts.invalid,
    ];
    numbers.into_iter().sum()
}

/// Has a connection fail in each phase, in each way, all at the same time; returns how many.
async fn fail_everywhere(server: &Server) -> u64 {
    let address = server.local_address();
    let mut failing = Vec::new();
    for offset in offsets() {
        for fault in Fault::ALL {
            let relay = FaultyRelay::start(&address, Plan::new(offset, fault));
            let client = ringseal::spawn(is_served(relay.address().clone()));
            failing.push((offset, fault, relay, client));
        }
    }
    let count = u64::try_from(failing.len()).expect("a few");
    let mut waiting = Vec::new();
    for (offset, fault, relay, client) in failing {
        if matches!(fault, Fault::Reset | Fault::End) {
            assert!(!client.await, "{fault:?} at {offset}");
            assert!(relay.finish().await, "{fault:?} at {offset}");
        } else {
            waiting.push((relay, client));
        }
    }
    // The others may wait for bytes that never come.
    assert!(is_served(address).await);
    for (relay, client) in waiting {
        relay.failed().await;
        client.abort();
        assert!(relay.finish().await);
    }
    count + 1
}

fn a_connection_that_fails_in_any_phase_leaves_nothing() {
    const TEST: &str = "a_connection_that_fails_in_any_phase_leaves_nothing";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    // Of slots that are few, since locked memory is short in a child.
    let small = || builder().slots(4);
    run_with(small(), async {
        let server = start(server().runtime(small()));
        let mut honest = connect(&server.local_address(), 3).await;
        assert!(answers(&mut honest).await);
        let before = descriptors();
        let clients = fail_everywhere(&server).await;
        assert!(answers(&mut honest).await);
        let start = Instant::now();
        while descriptors() > before {
            assert!(start.elapsed() < patience(), "{} > {before}", descriptors());
            ringseal::sleep(std::time::Duration::from_millis(5)).await;
        }
        drop(honest);
        nothing_is_left(&server).await;
        let statistics = server.handle().statistics().await;
        assert_eq!(sum(statistics.handshakes), clients + 1);
        assert_eq!(statistics.handler_panics, 0);
        finish(server).await;
    });
}

crate::on_every_driver!(a_connection_that_fails_in_any_phase_leaves_nothing,);

crate::on_setting!(
    commonware_uring_tcp,
    Commonware,
    Uring,
    Tcp,
    a_connection_that_fails_in_any_phase_leaves_nothing,
);

crate::on_setting!(
    epoll_unix,
    Native,
    Epoll,
    Unix,
    a_connection_that_fails_in_any_phase_leaves_nothing,
);
