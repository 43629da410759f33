//! What passes a relay that cuts, flips and stalls by a seed is whole, or there is an error.

use std::ops::Range;

use ringseal::protocol::native::record::AbortReason;
use ringseal::{Address, Connection, Sender, Session};

use super::{connect, finish, nothing_is_left, server, try_connect};
use crate::faulty_relay::{Fault, FaultyRelay, Plan};
use crate::peers::{pattern, run};
use crate::setting::{Setting, on_native};

/// Each is another set of faults. To have one of them again, name it in this variable.
const SEEDS: Range<u64> = 0..24;
/// How many there are, where this variable says.
const ASKED_ROUNDS: &str = "RINGSEAL_ROUNDS";
const REPLAY: &str = "RINGSEAL_SEED";
const CLIENTS: u8 = 12;
const MESSAGES: usize = 30;
/// About as much as passes a relay in a direction.
const LENGTH: usize = 300_000;

fn seeds() -> Vec<u64> {
    let number =
        |name: &str| std::env::var(name).map(|text| text.parse::<u64>().expect("a number"));
    match (number(REPLAY), number(ASKED_ROUNDS)) {
        (Ok(seed), _) => vec![seed],
        (Err(_), Ok(rounds)) => (0..rounds).collect(),
        (Err(_), Err(_)) => SEEDS.collect(),
    }
}

/// Tells the seed when its test fails.
struct ToldOnFailure(u64);

impl Drop for ToldOnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let setting = Setting::current().name;
            eprintln!(
                "relayed::{setting} failed; to replay it, set {REPLAY}={}",
                self.0
            );
        }
    }
}

fn message(client: u8, index: usize) -> Vec<u8> {
    let length = match index % 15 {
        7 => 120_000,
        rest => rest * 211,
    };
    pattern(length, usize::from(client) * 7 + index)
}

/// Echoes a client's messages, each of which has to be the next one.
async fn check_and_echo(connection: Connection, _session: Session) {
    let (mut sender, mut receiver) = connection.split();
    let Ok(Some(first)) = receiver.recv().await else {
        return sender.abort(AbortReason::UNSPECIFIED);
    };
    let client = first[0];
    drop(first);
    for index in 0.. {
        match receiver.recv().await {
            Ok(Some(received)) => {
                assert!(
                    *received == *message(client, index),
                    "client {client}, {index}"
                );
            }
            Ok(None) => break,
            Err(_) => return sender.abort(AbortReason::UNSPECIFIED),
        }
        if sender.send(&message(client, index)).await.is_err() {
            return;
        }
    }
    // The client may be gone.
    let _ = sender.close().await;
}

async fn send_all(mut sender: Sender, client: u8) {
    if sender.send(&[client]).await.is_err() {
        return;
    }
    for index in 0..MESSAGES {
        if sender.send(&message(client, index)).await.is_err() {
            return;
        }
    }
    // The server may be gone.
    let _ = sender.close().await;
}

/// Sends all messages and returns how many came back, and whether the end was in order.
async fn talk(address: Address, client: u8) -> (usize, bool) {
    let Ok(connection) = try_connect(&address, 1).await else {
        return (0, false);
    };
    let (sender, mut receiver) = connection.split();
    let sending = ringseal::spawn(send_all(sender, client));
    let mut count = 0;
    let is_in_order = loop {
        match receiver.recv().await {
            Ok(Some(echo)) => assert!(*echo == *message(client, count), "client {client}, {count}"),
            Ok(None) => break true,
            Err(_) => break false,
        }
        count += 1;
    };
    if is_in_order {
        sending.await;
    } else {
        sending.abort();
    }
    (count, is_in_order)
}

/// Relays clients with the faults of this seed to a server, and checks what each got.
async fn try_seed(seed: u64, address: &Address) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut talking = Vec::new();
    for client in 0..CLIENTS {
        let plan = Plan::draw(&mut random, LENGTH);
        let relay = FaultyRelay::start(address, plan);
        let task = ringseal::spawn(talk(relay.address().clone(), client));
        talking.push((plan, relay, task));
    }
    let mut honest = connect(address, 3).await;
    honest.send(&[99]).await.expect("send");
    honest.send(&message(99, 0)).await.expect("send");
    let echo = honest.recv().await.expect("recv").expect("one");
    assert!(*echo == *message(99, 0));
    for (plan, relay, task) in talking {
        let may_stall = matches!(plan.fault, Some((_, Fault::Stall)));
        let (outcome, has_failed) = match may_stall {
            true => {
                let has_failed = relay.finish();
                let (has_failed, outcome) = futures_util::join!(has_failed, task);
                (outcome, has_failed)
            }
            false => (task.await, relay.finish().await),
        };
        let (count, is_in_order) = outcome;
        // On the commonware wire an end in the middle of a connection looks like any other.
        let is_whole = count == MESSAGES && is_in_order;
        assert!(has_failed || is_whole, "{plan:?}: {outcome:?}");
        assert!(
            !is_in_order || is_whole || !on_native(),
            "{plan:?}: {outcome:?}"
        );
    }
}

async fn try_seeds(seeds: &[u64]) {
    let server = server().start(check_and_echo).expect("a server");
    for &seed in seeds {
        let told = ToldOnFailure(seed);
        try_seed(seed, &server.local_address()).await;
        nothing_is_left(&server).await;
        let statistics = server.handle().statistics().await;
        assert_eq!(statistics.handler_panics, 0, "a message was altered");
        drop(told);
    }
    finish(server).await;
}

fn what_passes_a_faulty_relay_is_whole_or_an_error() {
    // As many as there is patience for, by one server.
    for seeds in seeds().chunks(6) {
        run(try_seeds(seeds));
    }
}

crate::on_every_driver!(what_passes_a_faulty_relay_is_whole_or_an_error,);

crate::on_setting!(
    commonware_uring_tcp,
    Commonware,
    Uring,
    Tcp,
    what_passes_a_faulty_relay_is_whole_or_an_error,
);

crate::on_setting!(
    commonware_epoll_tcp,
    Commonware,
    Epoll,
    Tcp,
    what_passes_a_faulty_relay_is_whole_or_an_error,
);
