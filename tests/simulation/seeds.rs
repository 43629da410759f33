//! Some of the simulation's seeds, with every build: that they pass, that they are the same each
//! time, and that they come to everything that they are there for.

use ringseal_simulation::{Settings, run, run_seeds};

/// What has to be seen, or the simulation is not what it was.
const SEEN: [&str; 41] = [
    "a batch is given up",
    "a batch is sent",
    "a bit is flipped",
    "a close is given up",
    "a deadline ends a handshake",
    "a dial is given up",
    "a dialer keeps to the handshake by hand",
    "a direction ends early",
    "a direction falls silent",
    "a direction is reset",
    "a direction stalls for long",
    "a flush is done",
    "a limit ends receiving",
    "a limit ends sending",
    "a message arrives",
    "a message comes through a stream",
    "a message in parts is given up",
    "a message in parts is sent",
    "a message is sent",
    "a message is sent through a sink",
    "a message is taken in parts",
    "a message of a batch arrives",
    "a receive is given up",
    "a receiver fails",
    "a receiver is at the end",
    "a receiver leaves",
    "a receiver turns away from a message",
    "a record moves to the heap",
    "a reservation is leaked",
    "a reservation is sent",
    "a send is given up",
    "a sender aborts",
    "a stranger is not admitted",
    "a task waits for a slot",
    "a task waits for the heap",
    "a wrong finished value is refused",
    "a wrong signature is refused",
    "an accept is given up",
    "the clock steps",
    "the peer gives a message up",
    "the peer would like to leave",
];

#[test]
fn seeds_pass_and_come_to_everything() {
    let settings = Settings {
        first: 1_000_000,
        count: 1200,
        ..Settings::default()
    };
    let summary = run_seeds(settings);
    if let Some((seed, reason)) = &summary.failure {
        panic!(
            "seed {seed}: {reason}; replay: cargo run -q -p ringseal-simulation -- --seed {seed}"
        );
    }
    assert_eq!(summary.passed, settings.count);
    let missing: Vec<_> = (SEEN.iter())
        .filter(|what| !summary.seen.contains_key(*what))
        .collect();
    assert!(missing.is_empty(), "nobody has seen {missing:?}");
    assert_eq!(summary.kinds.len(), 8, "{:?}", summary.kinds);
}

#[test]
fn a_seed_is_the_same_each_time() {
    for seed in 0..150 {
        let hash = || run(seed, false).map(|report| (report.hash, report.took));
        let (first, second) = (hash(), hash());
        assert!(first.is_ok(), "seed {seed}: {first:?}");
        assert_eq!(first, second, "seed {seed} is not the same twice");
    }
    let hash = |seed| run(seed, false).expect("it passes").hash;
    assert_ne!(hash(1), hash(2), "all seeds are the same");
}
