//! One run: a runtime, a network, peers, and what has to hold when they are done.

use core::cell::Cell;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::rc::Rc;

use futures_util::future::join_all;
use ringseal::{Statistics, internals};

use crate::network::Network;
use crate::pair::play;
use crate::panics;
use crate::patience::{Fate, Patience};
use crate::random::Random;
use crate::scenario::{Kind, Scenario};
use crate::world::{World, note};

/// The longest that a run may take, in virtual time: much longer than all limits and pauses.
const LONGEST: Duration = Duration::from_secs(3600);
/// The longest that connections may take beside one whose peer does not read.
const UNHINDERED: Duration = Duration::from_secs(600);
/// The longest until everything is given back behind the last connection.
const SETTLED: u64 = 60_000;

/// What a run has shown.
#[derive(Debug)]
pub struct Report {
    /// A hash of all that has happened: the same for the same seed.
    pub hash: u64,
    /// What the run was about.
    pub kind: String,
    /// Virtual time in milliseconds.
    pub took: u64,
    /// How often something was seen.
    pub seen: BTreeMap<&'static str, u64>,
}

/// Runs what `seed` stands for, and prints every step with `is_shown`.
///
/// # Errors
///
/// What was not as it has to be.
pub fn run(seed: u64, is_shown: bool) -> Result<Report, String> {
    panics::watched(|| catch_unwind(AssertUnwindSafe(|| simulate(seed, is_shown))))
}

fn simulate(seed: u64, is_shown: bool) -> Report {
    let mut random = Random::new(seed);
    let scenario = Scenario::draw(&mut random);
    let runtime = scenario.runtime().build().expect("a runtime on epoll");
    let report = runtime.block_on(async {
        let world = Rc::new(World::new(is_shown));
        note!(world, "{scenario:?}");
        let network = Network::new(&world, random.fork());
        let pump = ringseal::spawn(Rc::clone(&network).pump());
        let clock = ringseal::spawn(step(Rc::clone(&world), scenario.steps.clone()));
        let patience = match scenario.kind {
            Kind::Abandoned => Patience::Time(random.between(0, 300), Fate::Dropped),
            _ => Patience::Endless,
        };
        let all = Box::pin(play_all(&network, &scenario, random));
        let done = ringseal::timeout(LONGEST, patience.give(all)).await;
        assert!(
            done.is_some(),
            "no progress: not done after {LONGEST:?}: {:?}, {network:?}",
            Statistics::current()
        );
        if scenario.kind != Kind::Abandoned {
            clock.await;
            settle(&network, scenario.slots).await;
            pump.abort();
        }
        note!(world, "done: {:?}", Statistics::current());
        Report {
            hash: world.hash(),
            kind: format!("{:?}", scenario.kind),
            took: world.now(),
            seen: world.take_seen(),
        }
    });
    drop(runtime);
    report
}

/// Has the clock step at its times.
async fn step(world: Rc<World>, steps: Vec<(u64, u64)>) {
    for (at, by) in steps {
        let until = at.saturating_sub(world.now());
        ringseal::sleep(Duration::from_millis(until)).await;
        world.step(by).await;
    }
}

/// Runs all connections; those that are blocked go on when the others are done.
async fn play_all(network: &Rc<Network>, scenario: &Scenario, mut random: Random) {
    let gate = Rc::new(Cell::new(false));
    let (mut blocked, mut others) = (Vec::new(), Vec::new());
    for (index, pair) in scenario.pairs.iter().enumerate() {
        let (network, gate) = (Rc::clone(network), Rc::clone(&gate));
        let work = play(
            network,
            scenario.kind,
            index,
            pair.clone(),
            gate,
            random.fork(),
        );
        let task = ringseal::spawn(work);
        if pair.is_blocked {
            blocked.push(task);
        } else {
            others.push(task);
        }
    }
    if blocked.is_empty() {
        join_all(others).await;
        return;
    }
    let unhindered = ringseal::timeout(UNHINDERED, join_all(others)).await;
    assert!(
        unhindered.is_some(),
        "no progress: a peer that does not read holds up others"
    );
    gate.set(true);
    join_all(blocked).await;
}

/// Waits until everything is given back that connections have.
async fn settle(network: &Network, slots: usize) {
    let world = &network.world;
    let start = world.now();
    loop {
        let statistics = Statistics::current().expect("inside a runtime");
        let connections = internals::connections().expect("inside a runtime");
        let is_settled = statistics.free_slots == slots
            && statistics.heap_bytes == 0
            && statistics.in_flight == 0
            && statistics.lingering == 0
            && connections == 0
            && network.ends() == 0;
        if is_settled {
            return;
        }
        assert!(
            world.now() - start < SETTLED,
            "something is lost: {connections} connections, {} ends of wires, {statistics:?}",
            network.ends()
        );
        ringseal::sleep(Duration::from_millis(50)).await;
    }
}
