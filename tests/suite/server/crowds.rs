//! Clients that are silent, slow, or never read, by the thousand, keep nobody out; and neither does a
//! want of slots or descriptors.

use std::io::Write;
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use ringseal::{Address, Connection, ServerBuilder};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ending::descriptors;
use super::{answers, connect, finish, nothing_is_left, server, start, wait_for};
use crate::child::{is_case, limit, run_case};
use crate::faulty_relay::{Fault, FaultyRelay, Plan};
use crate::peers::{builder, pattern, run, run_with};
use crate::setting::{self, first_bytes, handshake_lengths};
use crate::skipped::skipped;
use crate::transport::{ELSEWHERE, RawStream};

const SILENT: usize = 1_500;
const SLOW: usize = 1_000;
const UNREADING: usize = 40;

/// Lets this process have so many descriptors; whether it may.
pub(super) fn may_have_descriptors(count: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < count) {
        return false;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).is_ok()
}

/// Sends until the server, whose answers nobody reads, takes no more.
async fn fill(address: &Address) -> Connection {
    let mut connection = connect(address, 1).await;
    let message = pattern(60_000, 5);
    let patience = Duration::from_millis(50);
    while let Some(sent) = ringseal::timeout(patience, connection.send(&message)).await {
        sent.expect("send");
    }
    connection
}

/// Connects, and has messages of different lengths come back.
async fn is_served(address: &Address) {
    for length in [10, 1_000, 400_000] {
        let mut connection = connect(address, 3).await;
        for _ in 0..3 {
            connection
                .send(&pattern(length, length))
                .await
                .expect("send");
            let echo = connection.recv().await.expect("recv").expect("one");
            assert!(*echo == *pattern(length, length));
        }
    }
}

fn clients_by_the_thousand_that_do_nothing_keep_nobody_out() {
    if !may_have_descriptors(8_000) {
        return skipped(format_args!(
            "fewer than 8000 descriptors; NOBODY HAS SEEN A SERVER AMONG THOUSANDS OF SILENT CLIENTS"
        ));
    }
    run(async {
        let server = start(server());
        let address = server.local_address();
        let target = address.clone();
        let (stop, stopped) = channel::<()>();
        let crowd = setting::spawn(move || {
            let connect = |_| RawStream::connect_from(ELSEWHERE, &target).0;
            let silent: Vec<_> = (0..SILENT).map(connect).collect();
            let mut slow: Vec<_> = (0..SLOW).map(connect).collect();
            for byte in first_bytes() {
                if stopped.try_recv() != Err(TryRecvError::Empty) {
                    break;
                }
                // Those that had to make way are gone.
                slow.retain_mut(|client| client.write_all(&[byte]).is_ok());
                std::thread::sleep(Duration::from_millis(200));
            }
            drop((silent, slow));
        });
        // So many that each makes another one's way.
        wait_for(&server, |it| it.handshakes.made_way >= 1_000).await;
        let filling = (0..UNREADING).map(|_| fill(&address));
        let unreading = futures_util::future::join_all(filling).await;
        for _ in 0..3 {
            is_served(&address).await;
        }
        let statistics = server.handle().statistics().await;
        assert!(statistics.handshakes_under_way > 0, "the crowd is there");
        wait_for(&server, |it| it.connections == UNREADING).await;
        drop((stop, unreading));
        while !crowd.is_finished() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        crowd.join().expect("no panic");
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

fn with_few_slots() -> ServerBuilder {
    server().runtime(builder().slots(4))
}

fn clients_that_stand_still_take_no_slots_from_others() {
    run(async {
        let server = start(with_few_slots());
        let address = server.local_address();
        let mut held = Vec::new();
        // In the middle of a record, each.
        for _ in 0..12 {
            let offset = handshake_lengths().all + 3_000;
            let relay = FaultyRelay::start(&address, Plan::new(offset, Fault::Stall));
            let mut connection = connect(relay.address(), 1).await;
            connection.send(&pattern(60_000, 1)).await.expect("send");
            connection.flush().await.expect("flush");
            held.push((relay, connection));
        }
        let unreading = futures_util::future::join_all((0..12).map(|_| fill(&address))).await;
        for _ in 0..2 {
            is_served(&address).await;
        }
        wait_for(&server, |it| it.connections == 24).await;
        drop(unreading);
        for (relay, connection) in held {
            drop(connection);
            assert!(relay.finish().await);
        }
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

// HAZARDS S4.
fn a_server_without_descriptors_serves_whom_it_has_and_goes_on() {
    const TEST: &str = "a_server_without_descriptors_serves_whom_it_has_and_goes_on";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    run_with(builder().slots(4), async {
        let server = start(with_few_slots());
        let address = server.local_address();
        let mut first = connect(&address, 1).await;
        assert!(answers(&mut first).await);
        let before = descriptors();
        limit(Resource::Nofile, u64::try_from(before).expect("a few") + 40);
        for _ in 0..3 {
            // Both ends of each take one, until there is none for another client.
            let mut silent = Vec::new();
            while let Ok(client) = RawStream::try_connect(&address) {
                silent.push(client);
                ringseal::sleep(Duration::from_micros(100)).await;
            }
            assert!(silent.len() >= 20, "only {}", silent.len());
            for _ in 0..5 {
                assert!(answers(&mut first).await);
            }
            drop(silent);
            let mut second = connect(&address, 3).await;
            assert!(answers(&mut second).await);
        }
        while descriptors() > before {
            ringseal::sleep(Duration::from_millis(5)).await;
        }
        drop(first);
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

crate::on_every_driver!(
    clients_that_stand_still_take_no_slots_from_others,
    a_server_without_descriptors_serves_whom_it_has_and_goes_on,
);

crate::on_setting!(
    commonware_uring_tcp,
    Commonware,
    Uring,
    Tcp,
    clients_by_the_thousand_that_do_nothing_keep_nobody_out,
    clients_that_stand_still_take_no_slots_from_others,
);

mod of_two_drivers {
    use super::clients_by_the_thousand_that_do_nothing_keep_nobody_out;

    crate::on_setting!(
        uring_tcp,
        Native,
        Uring,
        Tcp,
        clients_by_the_thousand_that_do_nothing_keep_nobody_out,
    );
    crate::on_setting!(
        epoll_tcp,
        Native,
        Epoll,
        Tcp,
        clients_by_the_thousand_that_do_nothing_keep_nobody_out,
    );
}
