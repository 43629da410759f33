//! What admitted peers get while strangers flood.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ringseal::{Runtime, Server, ServerLimits, Wire, dial};

use crate::measuring::Measuring;
use crate::sample::Samples;
use crate::server::{self, ADMITTED, config, key};
use crate::stage::Stage;
use crate::strangers::{Order, Strangers};

/// Admitted peers, and the length of their messages.
const PEERS: usize = 4;
const MESSAGE: usize = 16 * 1024;
/// How often somebody new dials.
const DIAL_EVERY: Duration = Duration::from_millis(20);
/// How many handshakes a second the server begins where it has a limit.
const LIMIT: u32 = 500;
/// Until the flood is there, and what it has left is gone.
const SETTLING: Duration = Duration::from_millis(300);

pub(crate) fn print(plan: Measuring, wires: [Wire; 2]) -> Result<(), Box<dyn Error>> {
    let rates: &[u32] = if plan.is_test {
        &[200]
    } else {
        &[2_000, 10_000]
    };
    println!(
        "| wire | handshakes_per_second | strangers a second: asked for, come | messages/s without | \
         with | ratio | dials without, worst ms | dials with, median ms | worst ms | failed |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for wire in wires {
        for limit in [None, Some(LIMIT)] {
            for &rate in rates {
                measure(plan, wire, limit, rate)?;
            }
        }
    }
    println!();
    Ok(())
}

fn measure(
    plan: Measuring,
    wire: Wire,
    limit: Option<u32>,
    rate: u32,
) -> Result<(), Box<dyn Error>> {
    let limits = match limit {
        Some(count) => ServerLimits::new().handshakes_per_second(count),
        None => ServerLimits::new(),
    };
    let server = server::start(wire, limits, None)?;
    let address = server::address(&server);
    let peers = Peers::start(address, wire);
    let newcomer = Newcomer::start(address, wire);
    let order = Order {
        address,
        wire,
        stage: Stage::WrongProof,
        rate: Some(rate),
        duration: plan.duration + SETTLING,
    };
    let (mut without, mut with, mut came) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..plan.rounds {
        thread::sleep(SETTLING);
        newcomer.expect_flood(false);
        without.add(messages_per_second(&server, plan.duration));
        let strangers = Strangers::start(&order)?;
        thread::sleep(SETTLING);
        newcomer.expect_flood(true);
        with.add(messages_per_second(&server, plan.duration));
        newcomer.expect_flood(false);
        came.add(strangers.finish()? as f64 / order.duration.as_secs_f64());
    }
    let (quiet, flooded, failed) = newcomer.finish();
    peers.finish();
    server.handle().shut_down();
    server.join()?;
    let limit = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    println!(
        "| {wire} | {limit} | {rate}, {:.0} | {without} | {with} | {:.2} | {:.1} | {:.1} | {:.1} | {failed} |",
        came.median(),
        with.median() / without.median(),
        quiet.greatest(),
        flooded.median(),
        flooded.greatest(),
    );
    Ok(())
}

fn messages_per_second(server: &Server, duration: Duration) -> f64 {
    let received = || {
        let runtime = server::statistics(server).runtime;
        runtime.map_or(0, |runtime| runtime.messages_received)
    };
    let (start, before) = (Instant::now(), received());
    thread::sleep(duration);
    (received() - before) as f64 / start.elapsed().as_secs_f64()
}

/// Peers that send as fast as they can.
struct Peers {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Peers {
    fn start(address: SocketAddr, wire: Wire) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let (ready, connected) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = Runtime::builder().build().expect("a runtime");
            runtime.block_on(async {
                let mut connections = Vec::new();
                for _ in 0..PEERS {
                    let dialed = dial(address, key(), &config(ADMITTED, wire)).await;
                    connections.push(dialed.expect("it is admitted"));
                }
                ready.send(()).expect("somebody waits");
                let message = vec![7; MESSAGE];
                let sending = connections.iter_mut().map(async |connection| {
                    while !over.load(Ordering::Relaxed) {
                        connection.send(&message).await.expect("send");
                    }
                });
                join_all(sending).await;
            });
        });
        connected.recv().expect("they connect");
        Self { is_over, thread }
    }

    fn finish(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic");
    }
}

/// How long dials took, in milliseconds: without and with a flood, and how many failed.
type Dials = (Samples, Samples, usize);

/// An admitted peer that dials again and again.
struct Newcomer {
    state: Arc<State>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    is_over: AtomicBool,
    is_flooded: AtomicBool,
    dials: Mutex<Dials>,
}

impl Newcomer {
    fn start(address: SocketAddr, wire: Wire) -> Self {
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            let runtime = Runtime::builder().build().expect("a runtime");
            runtime.block_on(async {
                while !shared.is_over.load(Ordering::Relaxed) {
                    dial_once(&shared, address, wire).await;
                    ringseal::sleep(DIAL_EVERY).await;
                }
            });
        });
        Self { state, thread }
    }

    fn expect_flood(&self, is_flooded: bool) {
        self.state.is_flooded.store(is_flooded, Ordering::Relaxed);
    }

    fn finish(self) -> Dials {
        self.state.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic");
        core::mem::take(&mut *self.state.dials.lock().expect("no panic"))
    }
}

async fn dial_once(state: &State, address: SocketAddr, wire: Wire) {
    let is_flooded = state.is_flooded.load(Ordering::Relaxed);
    let start = Instant::now();
    let dialed = dial(address, key(), &config(ADMITTED, wire)).await;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let mut dials = state.dials.lock().expect("no panic");
    match (dialed, is_flooded) {
        (Ok(_), false) => dials.0.add(milliseconds),
        (Ok(_), true) => dials.1.add(milliseconds),
        (Err(_), _) => dials.2 += 1,
    }
}
