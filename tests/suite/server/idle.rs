//! What a connection costs a server that has nothing to do.

use futures::executor::block_on;
use ringseal::{Admission, Connection, RemoteConnection, RingThreads, Session};

use super::crowds::may_have_descriptors;
use super::{connect, finish, nothing_is_left, patient, remote_pair, server, wait_for};
use crate::allocations::bytes_in_use;
use crate::peers::{builder, run};
use crate::setting::on_native;
use crate::skipped::skipped;
use crate::transport::somewhere;

/// Connections that are there before it is counted, so that what is made for many is.
const FIRST: usize = 16;
const MORE: usize = 240;

/// Answers each message with the bytes of heap that this thread has in use.
async fn tell_heap(mut connection: Connection, _session: Session) {
    while let Ok(Some(message)) = connection.recv().await {
        drop(message);
        if connection
            .send(&bytes_in_use().to_le_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Asks the server's thread; has this connection moved something.
async fn heap(connection: &mut Connection) -> isize {
    connection.send(b"how much?").await.expect("send");
    let answer = connection.recv().await.expect("recv").expect("an answer");
    isize::from_le_bytes((&*answer).try_into().expect("a number"))
}

/// Bytes that an idle connection may take.
fn most_heap() -> usize {
    if on_native() { 6_144 } else { 4_096 }
}

// The server's task included; what a library in C allocates is not counted.
fn an_idle_connection_takes_no_more_heap_than_it_may() {
    // Two for each connection, for as many of these tests as run at the same time.
    if !may_have_descriptors(4_000) {
        return skipped(format_args!(
            "what idle connections take needs 4000 descriptors"
        ));
    }
    run(async {
        let server = server().threads(1).start(tell_heap).expect("a server");
        let address = server.local_address();
        let mut connections = Vec::new();
        let mut before = 0;
        for number in 0..FIRST + MORE {
            if number == FIRST {
                wait_for(&server, |it| it.handshakes_under_way == 0).await;
                before = heap(&mut connections[0]).await;
            }
            let mut connection = connect(&address, 1).await;
            heap(&mut connection).await;
            connections.push(connection);
        }
        wait_for(&server, |it| {
            let runtime = it.runtime.expect("it runs");
            it.handshakes_under_way == 0 && runtime.heap_bytes == 0
        })
        .await;
        let after = heap(&mut connections[0]).await;
        let each = usize::try_from(after - before).expect("they take some") / MORE;
        assert!(
            each <= most_heap(),
            "{each} bytes a connection, and {} are allowed",
            most_heap()
        );
        // Or what was counted is not what they take.
        assert!(each > 1_000, "only {each} bytes a connection");
        drop(connections);
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

// The same where other executors have the connections, with their handles: half of what this thread
// has allocated is the other ends'.
fn an_idle_connection_of_a_ring_thread_takes_no_more_heap_than_it_may() {
    if !may_have_descriptors(4_000) {
        return skipped(format_args!(
            "what idle connections take needs 4000 descriptors"
        ));
    }
    let threads = RingThreads::start(builder(), 1).expect("a ring");
    let clients = RingThreads::start(builder(), 1).expect("a ring");
    let ring = threads.handle();
    let heap = async || {
        let of_ring = ring.run(async || bytes_in_use()).await;
        (of_ring.expect("it runs"), bytes_in_use())
    };
    block_on(async {
        let (handle, theirs) = (threads.handle(), patient(2));
        let listener = handle.listen(somewhere(), &theirs, Admission::any());
        let mut listener = listener.await.expect("listen");
        let mut pairs: Vec<(RemoteConnection, RemoteConnection)> = Vec::with_capacity(FIRST + MORE);
        let mut before = (0, 0);
        for number in 0..FIRST + MORE {
            if number == FIRST {
                before = heap().await;
            }
            let (mut dialed, mut accepted) = remote_pair(&clients.handle(), &mut listener).await;
            dialed.send("there").await.expect("send");
            let message = accepted.recv().await.expect("recv").expect("one");
            accepted.send(message).await.expect("send");
            dialed.recv().await.expect("recv").expect("one");
            pairs.push((dialed, accepted));
        }
        let after = heap().await;
        let of_ring = usize::try_from(after.0 - before.0).expect("they take some") / MORE;
        let of_handles = usize::try_from(after.1 - before.1).expect("they take some") / (2 * MORE);
        let each = of_ring + of_handles;
        assert!(
            (1_000..=most_heap()).contains(&each),
            "{of_ring} and {of_handles} bytes a connection, and {} are allowed",
            most_heap()
        );
        drop(pairs);
        threads.shutdown().await.expect("no panic");
        clients.shutdown().await.expect("no panic");
    });
}

// Two messages a read: the second one is not the only one in its block while others wait.
fn short_messages_that_nobody_takes_share_their_memory() {
    const PAIRS: usize = 200;
    let threads = RingThreads::start(builder(), 1).expect("a ring");
    let clients = RingThreads::start(builder(), 1).expect("a ring");
    block_on(async {
        let (handle, theirs) = (threads.handle(), patient(2));
        let listener = handle.listen(somewhere(), &theirs, Admission::any());
        let mut listener = listener.await.expect("listen");
        let (mut dialed, accepted) = remote_pair(&clients.handle(), &mut listener).await;
        let heap = async || handle.run(async || bytes_in_use()).await.expect("it runs");
        let before = heap().await;
        for pair in 1..=PAIRS as u64 {
            dialed.send("one").await.expect("send");
            dialed.send("two").await.expect("send");
            dialed.flush().await.expect("flush");
            let received = async || {
                let statistics = handle.statistics().await;
                statistics[0].expect("it runs").messages_received
            };
            while received().await < 2 * pair {}
        }
        // What a handshake has left is gone meanwhile.
        let taken = heap().await - before;
        assert!(taken < 200_000, "{taken} bytes for {PAIRS} times two");
        drop((dialed, accepted));
        threads.shutdown().await.expect("no panic");
        clients.shutdown().await.expect("no panic");
    });
}

crate::on_every_driver!(
    short_messages_that_nobody_takes_share_their_memory,
    an_idle_connection_takes_no_more_heap_than_it_may,
    an_idle_connection_of_a_ring_thread_takes_no_more_heap_than_it_may,
);

crate::on_setting!(
    commonware_uring_tcp,
    Commonware,
    Uring,
    Tcp,
    an_idle_connection_takes_no_more_heap_than_it_may,
);

crate::on_setting!(
    commonware_tokio_uring_tcp,
    Commonware,
    TokioUring,
    Tcp,
    an_idle_connection_takes_no_more_heap_than_it_may,
);

crate::on_setting!(
    commonware_epoll_tcp,
    Commonware,
    Epoll,
    Tcp,
    an_idle_connection_takes_no_more_heap_than_it_may,
);
