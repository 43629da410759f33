//! The same from other executors: a listener of ring threads uses all of them.

use futures::executor::block_on;
use ringseal::{Admission, RemoteConnection, RingThreads};

use super::{patient, remote_pair};
use crate::peers::{builder, key};
use crate::transport::somewhere;

/// Counts the messages that each thread has received.
async fn received(threads: &RingThreads) -> Vec<u64> {
    let statistics = threads.statistics().await;
    (statistics.into_iter())
        .map(|of_thread| of_thread.expect("it runs").messages_received)
        .collect()
}

fn what_a_listener_of_ring_threads_accepts_is_spread_over_all_of_them() {
    let threads = RingThreads::start(builder(), 3).expect("rings");
    let clients = RingThreads::start(builder(), 1).expect("a ring");
    block_on(async {
        let config = patient(2);
        let handle = threads.handle();
        let listener = handle.listen(somewhere(), &config, Admission::any());
        let mut listener = listener.await.expect("listen");
        let address = listener.local_address();
        let mut pairs: Vec<(RemoteConnection, RemoteConnection)> = Vec::new();
        for _ in 0..9 {
            pairs.push(remote_pair(&clients.handle(), &mut listener).await);
        }
        for (dialed, accepted) in &mut pairs {
            dialed.send("across").await.expect("send");
            let message = accepted.recv().await.expect("recv").expect("one");
            assert_eq!(message, "across");
        }
        assert_eq!(received(&threads).await, [3, 3, 3]);
        drop(pairs);
        drop(listener);
        let refused = clients.handle().dial(&address, key(2), &patient(1)).await;
        refused.expect_err("the port is closed");
        threads.shutdown().await.expect("no panic");
        clients.shutdown().await.expect("no panic");
    });
}

fn threads_that_have_ended_tell_nothing() {
    let threads = RingThreads::start(builder(), 2).expect("rings");
    let handle = threads.handle();
    block_on(async {
        let running = handle.statistics().await;
        assert!(running.iter().all(Option::is_some), "{running:?}");
        let both: Vec<_> = running.into_iter().flatten().collect();
        let sum = both[0].plus(both[1]);
        assert_eq!(sum.slots, both[0].slots + both[1].slots);
        assert_eq!(sum.free_slots, sum.slots);
        threads.shutdown().await.expect("no panic");
        assert_eq!(handle.statistics().await, [None, None]);
    });
}

crate::on_every_driver!(
    what_a_listener_of_ring_threads_accepts_is_spread_over_all_of_them,
    threads_that_have_ended_tell_nothing,
);
