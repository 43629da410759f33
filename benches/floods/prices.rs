//! What a refused handshake costs the server, by how far it goes.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use ringseal::{Connection, Runtime, Server, ServerLimits, Wire, dial};

use crate::cores::Cores;
use crate::figures::{Cell, Row};
use crate::measuring::Measuring;
use crate::sample::Samples;
use crate::server::{self, ADMITTED, Threads, config, key};
use crate::stage::Stage;
use crate::strangers::{FloodOrder, Strangers, processor_time};

/// Until all strangers are there.
const SETTLING: Duration = Duration::from_millis(100);
/// Nobody waits longer for one to be refused.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one kind of refusal has cost on one wire, in microseconds each.
struct Price {
    stage: Stage,
    wire: Wire,
    rates: Samples,
    of_server: Samples,
    of_strangers: Samples,
}

pub(crate) fn measure(
    plan: Measuring,
    cores: Cores,
    wires: [Wire; 2],
) -> Result<Vec<Row>, Box<dyn Error>> {
    let stages = Stage::ALL.iter();
    let cases = stages.flat_map(|&stage| wires.map(|wire| (stage, wire)));
    let mut prices: Vec<_> = cases
        .map(|(stage, wire)| Price {
            stage,
            wire,
            rates: Samples::default(),
            of_server: Samples::default(),
            of_strangers: Samples::default(),
        })
        .collect();
    // In turn, so that a machine that slows down slows every one down.
    for _ in 0..plan.rounds {
        for price in &mut prices {
            price.measure(plan, cores)?;
        }
    }
    Ok(prices.into_iter().map(Price::row).collect())
}

impl Price {
    /// Has strangers come to a fresh server, and asks what that took.
    fn measure(&mut self, plan: Measuring, cores: Cores) -> Result<(), Box<dyn Error>> {
        let limits = match self.stage {
            Stage::TooFast => ServerLimits::new().handshakes_per_second(1),
            Stage::NoRoom => ServerLimits::new().connections(1),
            _ => ServerLimits::new(),
        };
        let server = server::start(self.wire, limits, Threads::OnCore(cores.server))?;
        let runtime = Runtime::builder().build()?;
        // It has the room that is asked for, and is idle.
        let admitted = runtime.block_on(connect(&server, self.wire));
        let mut strangers = Strangers::start(&FloodOrder {
            address: server::address(&server),
            wire: self.wire,
            stage: Some(self.stage),
            rate: None,
            core: cores.strangers,
        })?;
        self.wait_for_more(&server, 0)?;
        thread::sleep(SETTLING);
        let before = (refused(&server), processor_time());
        strangers.begin()?;
        thread::sleep(plan.duration);
        self.wait_for_more(&server, before.0)?;
        let after = (refused(&server), processor_time());
        let came = strangers.finish()?;
        runtime.block_on(async { drop(admitted) });
        server.handle().shut_down();
        server.join()?;
        let count = after.0 - before.0;
        let each = |processor: Duration, count: u64| processor.as_secs_f64() * 1e6 / count as f64;
        self.rates.add(count as f64 / came.time.as_secs_f64());
        self.of_server.add(each(after.1 - before.1, count));
        // Those that were refused may have come before.
        self.of_strangers
            .add(each(came.processor, came.count.max(1)));
        Ok(())
    }

    /// Waits until more were refused than `count`.
    fn wait_for_more(&self, server: &Server, count: u64) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        while refused(server) <= count {
            if start.elapsed() > PATIENCE {
                let (stage, wire) = (self.stage.name(), self.wire);
                return Err(format!("nobody was refused: {stage}, {wire}").into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn row(self) -> Row {
        vec![
            ("what", Cell::Text(self.stage.name().to_owned())),
            ("wire", Cell::Text(self.wire.to_string())),
            ("refused_a_second", Cell::Spread(self.rates)),
            ("server_us_each", Cell::Spread(self.of_server)),
            ("stranger_us_each", Cell::Spread(self.of_strangers)),
        ]
    }
}

fn refused(server: &Server) -> u64 {
    server::turned_away(&server::statistics(server))
}

async fn connect(server: &Server, wire: Wire) -> Connection {
    let settings = config(ADMITTED, wire).idle_timeout(None);
    let dialed = dial(server::address(server), key(), &settings).await;
    dialed.expect("it is admitted")
}
