//! The server of `scale`, a process of its own.

use core::time::Duration;
use std::hint::black_box;
use std::io::{self, BufRead};
use std::thread;
use std::time::Instant;

use ringseal::{Admission, Connection, PrometheusText, ServerBuilder, ServerHandle};
use ringseal_cli::failure::{self, Failure};
use ringseal_cli::stdio;
use tokio::runtime::Builder;

use super::arguments::ScaleServerArgs;
use super::by_handles;
use super::settings::{config, runtime};
use super::state::State;
use crate::settings::{Identities, allow_descriptors};

/// How often metrics are taken where they are. Scrapers ask a hundred times less.
const SCRAPE_INTERVAL: Duration = Duration::from_millis(100);

/// Serves until standard input ends.
pub(crate) fn serve(args: &ScaleServerArgs) -> Result<(), Failure> {
    let mut lines = io::stdin().lock().lines();
    let seed = lines.next().transpose()?;
    let seed = seed.ok_or_else(|| Failure::new("no seed came on standard input"))?;
    allow_descriptors(args.connections)?;
    let keys = Identities::from_seed(seed.as_bytes());
    let admission = Admission::allow_list([keys.dialer.public_key()]);
    let config = config(keys.listener, args.wire, args.size);
    if args.handles {
        return by_handles::serve(args, &config, admission, lines);
    }
    let mut builder = ServerBuilder::new(config, admission)
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
    let spread = statistics.threads.iter();
    let spread = spread.map(|thread| thread.connections as u64).collect();
    State::of(start, statistics.runtime, spread)
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
