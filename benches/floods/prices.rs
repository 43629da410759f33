//! What a refused handshake costs the server, by how far it goes.

use std::error::Error;
use std::thread;
use std::time::Duration;

use ringseal::{Connection, Runtime, Server, ServerLimits, Wire, dial};
use rustix::time::{ClockId, clock_gettime};

use crate::measuring::Measuring;
use crate::sample::Samples;
use crate::server::{self, ADMITTED, config, key};
use crate::stage::Stage;
use crate::strangers::{Order, Strangers};

/// Until what was left of the strangers is gone.
const SETTLING: Duration = Duration::from_millis(100);

pub(crate) fn print(plan: Measuring, wires: [Wire; 2]) -> Result<(), Box<dyn Error>> {
    println!("| refused for | wire | refused in a second | processor time each, µs |");
    println!("|---|---|---|---|");
    let stages = Stage::ALL.iter();
    let cases = stages.flat_map(|&stage| wires.map(|wire| (stage, wire)));
    let mut rows: Vec<_> = cases
        .map(|(stage, wire)| (stage, wire, Samples::default(), Samples::default()))
        .collect();
    // In turn, so that a machine that slows down slows every one down.
    for _ in 0..plan.rounds {
        for (stage, wire, rates, prices) in &mut rows {
            let (count, processor) = measure(plan, *stage, *wire)?;
            rates.add(count as f64 / plan.duration.as_secs_f64());
            prices.add(processor.as_secs_f64() * 1e6 / count as f64);
        }
    }
    for (stage, wire, rates, prices) in &rows {
        println!(
            "| {} | {wire} | {:.0} | {prices} |",
            stage.name(),
            rates.median()
        );
    }
    println!();
    Ok(())
}

/// Has strangers come to a fresh server; returns how many it has refused, and the processor time of
/// this process.
fn measure(plan: Measuring, stage: Stage, wire: Wire) -> Result<(u64, Duration), Box<dyn Error>> {
    let limits = match stage {
        Stage::TooFast => ServerLimits::new().handshakes_per_second(1),
        Stage::NoRoom => ServerLimits::new().connections(1),
        _ => ServerLimits::new(),
    };
    let server = server::start(wire, limits, None)?;
    let runtime = Runtime::builder().build()?;
    // It has the room that is asked for, and is idle.
    let admitted = runtime.block_on(connect(&server, wire));
    let strangers = Strangers::start(&Order {
        address: server::address(&server),
        wire,
        stage,
        rate: None,
        duration: plan.duration,
    });
    let before = processor_time();
    strangers?.finish()?;
    thread::sleep(SETTLING);
    let processor = processor_time().saturating_sub(before);
    let count = server::turned_away(&server::statistics(&server));
    runtime.block_on(async { drop(admitted) });
    server.handle().shut_down();
    server.join()?;
    match count {
        0 => Err(format!("nobody was refused: {}", stage.name()).into()),
        count => Ok((count, processor)),
    }
}

async fn connect(server: &Server, wire: Wire) -> Connection {
    let settings = config(ADMITTED, wire).idle_timeout(None);
    let dialed = dial(server::address(server), key(), &settings).await;
    dialed.expect("it is admitted")
}

/// Processor time of all threads of this process.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a time that has passed")
}
