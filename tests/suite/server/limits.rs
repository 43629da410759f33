//! Each limit keeps out who is beyond it, who is told so where the wire can, and counts it.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringseal::protocol::native::record::RefuseReason;
use ringseal::{Address, Admission, Refusals, Server, ServerLimits};

use super::{
    answers, connect, finish, nothing_is_left, patient, refused, server, server_with, start,
    try_connect, wait_for,
};
use crate::peers::{patience, run};
use crate::setting::first_bytes;
use crate::transport::{ELSEWHERE, RawStream};

fn limited(limits: ServerLimits) -> Server {
    start(server().limits(limits))
}

async fn refusals(server: &Server) -> Refusals {
    server.handle().statistics().await.refusals
}

fn raw(address: &Address) -> RawStream {
    let stream = RawStream::connect(address.clone());
    stream.set_read_timeout(patience());
    stream
}

/// Whether the server has closed or reset the connection.
fn is_closed(stream: &mut RawStream) -> bool {
    loop {
        match stream.read(&mut [0; 1]) {
            Ok(count) => return count == 0,
            // By what the ring of this thread has to do.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn no_more_connections_than_in_all() {
    run(async {
        let server = limited(ServerLimits::new().connections(2));
        let address = server.local_address();
        let (mut first, mut second) = (connect(&address, 1).await, connect(&address, 3).await);
        // On the commonware wire dialers are in before the server knows.
        assert!(answers(&mut first).await && answers(&mut second).await);
        for count in 1..=2 {
            refused(try_connect(&address, 4).await, RefuseReason::TOO_BUSY);
            assert_eq!(refusals(&server).await.connections, count);
        }
        assert!(answers(&mut second).await);
        // Who leaves makes room.
        drop(first);
        wait_for(&server, |statistics| statistics.connections == 1).await;
        let mut third = connect(&address, 4).await;
        assert!(answers(&mut third).await);
        drop((second, third));
        wait_for(&server, |statistics| statistics.connections == 0).await;
        let statistics = server.handle().statistics().await;
        assert_eq!(statistics.handshakes.no_room, 2);
        assert_eq!(statistics.handshakes.established, 3);
        finish(server).await;
    });
}

fn no_more_connections_than_for_a_key() {
    run(async {
        let server = limited(ServerLimits::new().connections_per_peer(1));
        let address = server.local_address();
        let mut first = connect(&address, 1).await;
        assert!(answers(&mut first).await);
        refused(try_connect(&address, 1).await, RefuseReason::TOO_BUSY);
        let other = connect(&address, 3).await;
        assert_eq!(refusals(&server).await.connections_per_peer, 1);
        drop(first);
        wait_for(&server, |statistics| statistics.connections == 1).await;
        drop((connect(&address, 1).await, other));
        finish(server).await;
    });
}

fn no_more_connections_than_for_a_source() {
    run(async {
        let server = limited(ServerLimits::new().connections_per_source(1));
        let address = server.local_address();
        let mut first = connect(&address, 1).await;
        assert!(answers(&mut first).await);
        // By whatever key.
        refused(try_connect(&address, 3).await, RefuseReason::TOO_BUSY);
        wait_for(&server, |it| it.handshakes_under_way == 0).await;
        // One at a time is told; the others cost nothing.
        let silent = raw(&address);
        wait_for(&server, |it| it.handshakes_under_way == 1).await;
        assert!(is_closed(&mut raw(&address)));
        assert_eq!(refusals(&server).await.connections_per_source, 2);
        drop((silent, first));
        wait_for(&server, |it| it.connections + it.handshakes_under_way == 0).await;
        drop(connect(&address, 3).await);
        finish(server).await;
    });
}

fn no_more_handshakes_begin_than_in_a_second() {
    run(async {
        let server = limited(ServerLimits::new().handshakes_per_second(2));
        let address = server.local_address();
        // However long the first ones took, of so many one comes too early.
        let mut clients: Vec<_> = (0..12).map(|_| raw(&address)).collect();
        wait_for(&server, |it| it.refusals.handshakes_per_second > 0).await;
        for client in &clients {
            client.set_read_timeout(Duration::from_millis(1));
        }
        assert!(clients.iter_mut().any(is_closed));
        assert!(!clients.iter_mut().all(is_closed));
        drop(clients);
        wait_for(&server, |it| it.handshakes_under_way == 0).await;
        finish(server).await;
    });
}

fn a_source_that_begins_all_it_can_leaves_handshakes_to_others() {
    run(async {
        let server = limited(ServerLimits::new().handshakes_per_second(40));
        let address = server.local_address();
        let flood: Vec<_> = (0..200)
            .map(|_| RawStream::connect_from(ELSEWHERE, &address))
            .collect();
        // Half of them are left, and some of the flood was refused.
        for _ in 0..10 {
            assert!(answers(&mut connect(&address, 1).await).await);
        }
        wait_for(&server, |it| it.refusals.handshakes_per_second > 0).await;
        drop(flood);
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

fn a_connection_lasts_no_longer_than_it_may() {
    run(async {
        let config = patient(2).max_lifetime(Duration::from_millis(100));
        let server = start(server_with(config, Admission::any()));
        let address = server.local_address();
        for count in 1..=2 {
            let mut connection = connect(&address, 1).await;
            while answers(&mut connection).await {}
            wait_for(&server, |it| {
                it.runtime.is_some_and(|runtime| runtime.lifetimes == count)
            })
            .await;
        }
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

fn who_says_nothing_in_time_is_counted() {
    run(async {
        let config = patient(2).first_message_timeout(Duration::from_millis(50));
        let server = start(server_with(config, Admission::any()));
        let address = server.local_address();
        let mut silent = raw(&address);
        assert!(is_closed(&mut silent));
        wait_for(&server, |it| it.handshakes.timed_out == 1).await;
        drop(RawStream::connect(&address));
        wait_for(&server, |it| it.handshakes.unused == 1).await;
        raw(&address).write_all(&[0xff; 64]).expect("write");
        wait_for(&server, |it| it.handshakes.invalid == 1).await;
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

fn who_is_silent_makes_way_over_all_threads() {
    run(async {
        let config = patient(2).max_handshakes(4);
        let server = start(server_with(config, Admission::any()));
        let address = server.local_address();
        let mut silent: Vec<_> = (0..4).map(|_| raw(&address)).collect();
        for client in &mut silent {
            let start: Vec<u8> = first_bytes().take(8).collect();
            client.write_all(&start).expect("write");
        }
        wait_for(&server, |it| it.handshakes_under_way == 4).await;
        let mut connection = connect(&address, 1).await;
        assert!(answers(&mut connection).await);
        let statistics = server.handle().statistics().await;
        assert_eq!(statistics.handshakes.made_way, 1);
        assert_eq!(statistics.handshakes_under_way, 3);
        drop((connection, silent));
        wait_for(&server, |it| it.handshakes_under_way == 0).await;
        finish(server).await;
    });
}

fn a_filter_counts_whom_it_refuses() {
    run(async {
        let admission = Admission::any().filter(|_, _| false);
        let server = start(server_with(patient(2), admission));
        for count in 1..=2 {
            assert!(is_closed(&mut raw(&server.local_address())));
            assert_eq!(refusals(&server).await.by_filter, count);
        }
        finish(server).await;
    });
}

fn a_filter_is_asked_once_about_a_client() {
    run(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let admission = Admission::any().filter(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            true
        });
        let server = start(server_with(patient(2), admission));
        for count in 1..=3 {
            assert!(answers(&mut connect(&server.local_address(), 1).await).await);
            assert_eq!(asked.load(Ordering::SeqCst), count);
        }
        finish(server).await;
    });
}

crate::on_setting!(
    uring_unix,
    Native,
    Uring,
    Unix,
    no_more_connections_than_for_a_source,
    a_filter_counts_whom_it_refuses,
    a_filter_is_asked_once_about_a_client,
);

crate::on_setting!(
    commonware_uring_tcp,
    Commonware,
    Uring,
    Tcp,
    no_more_connections_than_in_all,
    no_more_connections_than_for_a_key,
    no_more_connections_than_for_a_source,
    who_says_nothing_in_time_is_counted,
);

crate::on_every_driver!(
    a_source_that_begins_all_it_can_leaves_handshakes_to_others,
    a_connection_lasts_no_longer_than_it_may,
    who_says_nothing_in_time_is_counted,
    no_more_connections_than_in_all,
    no_more_connections_than_for_a_key,
    no_more_connections_than_for_a_source,
    no_more_handshakes_begin_than_in_a_second,
    who_is_silent_makes_way_over_all_threads,
    a_filter_counts_whom_it_refuses,
);
