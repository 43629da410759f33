//! Connections on a ring whose completions come as a seed says (HAZARDS B5): late, in another order,
//! with operations that are interrupted, done in part, or fail.

use core::time::Duration;

use crate::driver::{Backend, Playing, Rates, spawn, timeout};
use crate::net::{Address, Admission, Config, Connection, Listener, Runtime, Statistics, dial};
use crate::protocol::identity::Identity;
use crate::protocol::{Wire, handshake::SakeVersion, record::CupsVersion};

/// What happens often, and ends nothing.
const TROUBLE: Rates = Rates {
    interrupted: 100,
    failed: 0,
    short: 150,
    late: 400,
};
/// What ends a connection now and then.
const FAILURES: Rates = Rates {
    failed: 15,
    ..TROUBLE
};
const MESSAGES: usize = 30;
const SLOTS: usize = 6;
/// The longest that anything may take.
const LONGEST: Duration = Duration::from_secs(60);

fn config(tag: u8, seed: u64) -> Config {
    let wire = match seed % 3 {
        0 => Wire::Commonware {
            sake: SakeVersion::V1,
            cups: CupsVersion::V1,
        },
        _ => Wire::native(),
    };
    Config::new(Identity::from_seed(&[tag; 32]), "scripted").wire(wire)
}

/// The message with this number: some are longer than a slot.
fn message(number: usize) -> Vec<u8> {
    let length = [0, 1, 30, 700, 3000, 9000][number % 6] + number;
    let byte = number.to_le_bytes()[0];
    vec![byte; length]
}

/// Sends and receives all messages at a time; returns how many came, and whether nothing has failed.
async fn exchange(connection: Connection) -> (usize, bool) {
    let (mut sender, mut receiver) = connection.split();
    let sending = spawn(async move {
        for number in 0..MESSAGES {
            sender.send(&message(number)).await?;
            if number % 7 == 0 {
                sender.flush().await?;
            }
        }
        sender.close().await
    });
    let mut came = 0;
    let is_received = loop {
        match receiver.recv().await {
            Ok(Some(received)) => {
                assert!(*received == message(came)[..], "message {came} is another");
                came += 1;
            }
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    drop(receiver);
    (came, sending.await.is_ok() && is_received)
}

/// Two peers from the dial to both ends; returns what each end has come to, if there was a connection.
async fn converse(seed: u64) -> Option<[(usize, bool); 2]> {
    let (ours, theirs) = (config(1, seed), config(2, seed));
    let key = theirs.public_key();
    let mut listener = Listener::bind("127.0.0.1:0", &theirs, Admission::any())
        .await
        .expect("a port");
    let address: Address = listener.local_address();
    let accepting = spawn(async move {
        let accepted = listener.accept().await;
        match accepted {
            Ok(connection) => Some(exchange(connection).await),
            Err(_) => None,
        }
    });
    let Ok(connection) = dial(&address, key, &ours).await else {
        drop(accepting);
        return None;
    };
    let ours = exchange(connection).await;
    Some([ours, accepting.await?])
}

/// Waits until everything is given back.
async fn settle() {
    loop {
        let statistics = Statistics::current().expect("inside a runtime");
        let Statistics {
            free_slots,
            heap_bytes,
            in_flight,
            lingering,
            ..
        } = statistics;
        if (free_slots, heap_bytes, in_flight, lingering) == (SLOTS, 0, 0, 0) {
            return;
        }
        crate::driver::sleep(Duration::from_millis(2)).await;
    }
}

fn runtime() -> Runtime {
    let builder = Runtime::builder().backend(Backend::Uring).ring_entries(8);
    let runtime = builder.slots(SLOTS).slot_size(4096).build();
    runtime.expect("io_uring")
}

// HAZARDS B5.
#[test]
fn completions_may_come_in_any_order_late_and_in_part() {
    for seed in 0..200 {
        let playing = Playing::new(seed, TROUBLE);
        runtime().block_on(async {
            let ends = timeout(LONGEST, converse(seed)).await;
            let expected = Some(Some([(MESSAGES, true); 2]));
            assert_eq!(ends, expected, "seed {seed}");
            let settled = timeout(LONGEST, settle()).await;
            assert!(
                settled.is_some(),
                "seed {seed}: {:?}",
                Statistics::current()
            );
        });
        let played = playing.played();
        let is_played = played.interrupted > 0 && played.short > 0 && played.late > 0;
        assert!(is_played, "seed {seed}: {played:?}");
    }
}

// HAZARDS B5.
#[test]
fn an_operation_that_fails_ends_its_connection_alone() {
    let mut failed = 0;
    for seed in 0..200 {
        let playing = Playing::new(seed, FAILURES);
        runtime().block_on(async {
            let ends = timeout(LONGEST, converse(seed)).await;
            let ends = ends.unwrap_or_else(|| panic!("seed {seed}: {:?}", Statistics::current()));
            let is_whole = ends == Some([(MESSAGES, true); 2]);
            assert!(is_whole || playing.played().failed > 0, "seed {seed}");
            failed += u32::from(!is_whole);
            // Whatever has failed, the next one works, and everything comes back.
            playing.set_rates(TROUBLE);
            let ends = timeout(LONGEST, converse(seed)).await;
            assert_eq!(ends, Some(Some([(MESSAGES, true); 2])), "seed {seed}");
            let settled = timeout(LONGEST, settle()).await;
            assert!(
                settled.is_some(),
                "seed {seed}: {:?}",
                Statistics::current()
            );
        });
    }
    assert!(failed > 50, "only {failed} connections have failed");
}
