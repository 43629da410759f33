//! What does each way of using ringseal cost, beside a sender and a receiver that are bound to
//! their thread?
//!
//! ```text
//! cargo bench --bench ways_of_use                               # prints a table
//! cargo bench --bench ways_of_use -- --seconds 0.5 --rounds 7
//! cargo bench --bench ways_of_use -- --test                     # run each once, for a moment
//! ```
//!
//! One end is measured in each of its ways in turn, on core 0: caller, ring thread and all. The
//! other, on core 1, is always bound to its thread. What counts are messages that the receiver
//! has opened, on the commonware wire V1 over loopback TCP. Handles are used from a multi-threaded
//! tokio runtime with one worker. Allocations are those of the measured end's threads, the
//! caller's and the ring's; what C code allocates is not seen.

#[path = "../common/mod.rs"]
mod common;
#[path = "../../src/bin/ringseal-bench/counting_allocator.rs"]
mod counting_allocator;
mod end;
#[path = "../common/measuring.rs"]
mod measuring;
mod peer;
mod table;
mod way;

use std::error::Error;
use std::time::Duration;

use common::pin;
use measuring::Measuring;
use peer::{Peer, Request, Work};
use table::Row;
use way::Way;

/// What is measured: which way messages go, and their size in bytes.
const CASES: [(Work, usize); 5] = [
    (Work::Take, 64),
    (Work::Take, 16_384),
    (Work::Give, 64),
    (Work::Give, 16_384),
    (Work::Echo, 64),
];

/// Not measured: buffers grow to what they need, and the processor to its speed.
const WARM_UP: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    let Measuring {
        duration, rounds, ..
    } = Measuring::from_arguments(0.5, 0.01)?;
    pin(0);
    let peer = Peer::start();
    let mut connections = Vec::new();
    for way in Way::ALL {
        connections.push((way, way.connect(&peer)?));
    }
    // Printed when all is measured: half a table would look like a whole one.
    let mut lines = vec![table::HEAD.to_owned()];
    for (work, size) in CASES {
        let request = |duration| Request {
            work,
            size,
            duration,
        };
        let mut rows = Way::ALL.map(|way| Row::new(work, size, way));
        for (_, connection) in &mut connections {
            connection.measure(request(WARM_UP.min(duration)))?;
        }
        // In turn, so that a machine that slows down slows every way down.
        for _ in 0..rounds {
            for ((_, connection), row) in connections.iter_mut().zip(&mut rows) {
                row.samples.push(connection.measure(request(duration))?);
            }
        }
        lines.extend(table::lines(&rows));
    }
    println!("{}", lines.join("\n"));
    drop(connections);
    peer.join();
    Ok(())
}
