//! The server of `scale`, a process of its own.

use core::time::Duration;
use std::hint::black_box;
use std::io::{self, BufRead};
use std::thread;
use std::time::Instant;

use ringseal::{
    Admission, Config, Connection, Identity, PrometheusText, Registration, RuntimeBuilder,
    ServerBuilder, ServerHandle, Wire,
};
use ringseal_cli::args::RingArgs;
use ringseal_cli::failure::{self, Failure};
use ringseal_cli::stdio;
use tokio::runtime::Builder;

use super::arguments::ScaleServerArgs;
use super::state::{State, cpu_ns};
use crate::heap;
use crate::settings::{Identities, allow_descriptors};

/// Slots of a thread, however many connections it has, and bytes in each.
pub(crate) const SLOTS: usize = 64;
pub(crate) const SLOT_SIZE: usize = 64 * 1024;
/// How often metrics are taken where they are. Scrapers ask a hundred times less.
const SCRAPE_INTERVAL: Duration = Duration::from_millis(100);
/// Which application this is, for the handshake.
const NAMESPACE: &str = "ringseal-bench scale";
/// Many handshakes at once take long on few cores.
const HANDSHAKE: Duration = Duration::from_secs(60);

/// The settings of either end.
pub(crate) fn config(identity: Identity, wire: Wire, size: u32) -> Config {
    Config::new(identity, NAMESPACE)
        .wire(wire)
        .max_message_size(size.max(Config::DEFAULT_MAX_MESSAGE_SIZE))
        .handshake_deadline(HANDSHAKE)
        .max_handshake_age(HANDSHAKE)
        .first_message_timeout(HANDSHAKE)
        .progress_timeout(None)
}

/// The runtime of each thread of either end.
pub(crate) fn runtime(ring: &RingArgs) -> RuntimeBuilder {
    ring.builder()
        .slots(SLOTS)
        .slot_size(SLOT_SIZE)
        .registration(Registration::Preferred)
}

/// Serves until standard input ends.
pub(crate) fn serve(args: &ScaleServerArgs) -> Result<(), Failure> {
    let mut lines = io::stdin().lock().lines();
    let seed = lines.next().transpose()?;
    let seed = seed.ok_or_else(|| Failure::new("no seed came on standard input"))?;
    allow_descriptors(args.connections)?;
    let keys = Identities::from_seed(seed.as_bytes());
    let admission = Admission::allow_list([keys.dialer.public_key()]);
    let mut builder = ServerBuilder::new(config(keys.listener, args.wire, args.size), admission)
        .bind("127.0.0.1:0")
        .threads(args.threads)
        .runtime(runtime(&args.ring));
    if !args.cores.is_empty() {
        builder = builder.pin(args.cores.iter().copied());
    }
    let server = builder.start(|connection, _| take_in(connection))?;
    if args.metrics {
        let handle = server.handle();
        thread::Builder::new()
            .name("scraper".to_owned())
            .spawn(move || scrape(&handle))?;
    }
    stdio::print(&server.local_address().to_string())?;
    let start = Instant::now();
    let executor = Builder::new_current_thread().build()?;
    for line in lines {
        line?;
        let state = executor.block_on(state(&server.handle(), start));
        stdio::print(&state.encode())?;
    }
    Ok(())
}

async fn take_in(mut connection: Connection) {
    loop {
        match connection.recv().await {
            Ok(Some(message)) => drop(black_box(message)),
            Ok(None) => return,
            // The dialers end by closing their sockets.
            Err(error) => return failure::warn(&failure::chain(&error)),
        }
    }
}

async fn state(server: &ServerHandle, start: Instant) -> State {
    let statistics = server.statistics().await;
    let runtime = statistics.runtime;
    let spread = statistics
        .threads
        .iter()
        .map(|thread| thread.connections as u64);
    State {
        at_ns: u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        cpu_ns: cpu_ns(),
        heap: heap::in_use().map(|bytes| bytes as u64),
        messages: runtime.map_or(0, |runtime| runtime.messages_received),
        slots_in_use: runtime.map_or(0, |runtime| (runtime.slots - runtime.free_slots) as u64),
        spread: spread.collect(),
    }
}

/// Takes the metrics of all threads again and again, as text.
fn scrape(server: &ServerHandle) {
    // Nothing is left to watch where it cannot be had.
    let Ok(executor) = Builder::new_current_thread().build() else {
        return;
    };
    loop {
        thread::sleep(SCRAPE_INTERVAL);
        let statistics = executor.block_on(server.statistics());
        let mut text = PrometheusText::new();
        for (index, thread) in statistics.threads.iter().enumerate() {
            if let Some(runtime) = &thread.runtime {
                text.add(&[("thread", &index.to_string())], runtime);
            }
        }
        black_box(text.to_string());
    }
}
