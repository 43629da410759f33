//! Connections are spread evenly, wherever they come from.

use ringseal::{Server, ServerStatistics};

use super::{answers, connect, connect_many, finish, server, start, wait_for};
use crate::peers::run;

fn by_thread(statistics: &ServerStatistics) -> Vec<usize> {
    let threads = statistics.threads.iter();
    threads.map(|thread| thread.connections).collect()
}

async fn counts(server: &Server) -> Vec<usize> {
    by_thread(&server.handle().statistics().await)
}

fn many_connections_from_one_address_are_spread_evenly() {
    run(async {
        let server = start(server());
        let connections = connect_many(&server.local_address(), 1, 200).await;
        assert_eq!(counts(&server).await, [100, 100]);
        let statistics = server.handle().statistics().await;
        assert_eq!(statistics.connections, 200);
        assert_eq!(statistics.handshakes.established, 200);
        drop(connections);
        finish(server).await;
    });
}

fn few_connections_are_spread_evenly_and_those_that_follow_fill_the_gaps() {
    run(async {
        let server = start(server());
        let address = server.local_address();
        let mut three = connect_many(&address, 1, 3).await;
        let mut before = counts(&server).await;
        before.sort_unstable();
        assert_eq!(before, [1, 2]);
        for connection in &mut three {
            assert!(answers(connection).await);
        }
        let received: Vec<_> = (server.handle().statistics().await.threads.iter())
            .map(|thread| thread.runtime.expect("it runs").messages_received)
            .collect();
        assert_eq!(received.iter().sum::<u64>(), 3);
        assert!(received.iter().all(|&count| count > 0), "{received:?}");
        // The two that one thread has: the first came to it, and the third.
        three.remove(2);
        three.remove(0);
        wait_for(&server, |statistics| statistics.connections == 1).await;
        three.push(connect(&address, 1).await);
        assert_eq!(counts(&server).await, [1, 1]);
        drop(three);
        finish(server).await;
    });
}

fn handlers_know_their_thread() {
    let (threads, heard) = std::sync::mpsc::channel();
    run(async {
        let server = server().threads(3).start(move |mut connection, session| {
            let threads = threads.clone();
            async move {
                threads.send(session.thread()).expect("the test");
                let _ = connection.recv().await;
            }
        });
        let server = server.expect("a server");
        let connections = connect_many(&server.local_address(), 1, 6).await;
        wait_for(&server, |statistics| by_thread(statistics) == [2, 2, 2]).await;
        drop(connections);
        finish(server).await;
    });
    let mut heard: Vec<_> = heard.iter().collect();
    heard.sort_unstable();
    assert_eq!(heard, [0, 0, 1, 1, 2, 2]);
}

crate::on_every_driver!(
    many_connections_from_one_address_are_spread_evenly,
    few_connections_are_spread_evenly_and_those_that_follow_fill_the_gaps,
    handlers_know_their_thread,
);
