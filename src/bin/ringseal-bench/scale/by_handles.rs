//! The same server as a program of tokio's: ring threads that it has handles of.

use core::future::pending;
use std::io;
use std::thread;
use std::time::Instant;

use ringseal::{
    Admission, Config, RemoteConnection, RemoteError, RemoteListener, RingThreads, Statistics,
};
use ringseal_cli::failure::{self, Failure};
use ringseal_cli::stdio;
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::runtime::{Builder, Handle};

use super::arguments::ScaleServerArgs;
use super::settings::runtime;
use super::state::State;

/// Serves until `lines` end, each of which asks for the state.
pub(super) fn serve(
    args: &ScaleServerArgs,
    config: &Config,
    admission: Admission,
    lines: impl Iterator<Item = io::Result<String>>,
) -> Result<(), Failure> {
    stay_on(&args.cores)?;
    let executors: Result<Vec<_>, _> = (0..args.threads).map(|_| start_executor()).collect();
    let executors = executors?;
    let executor = Builder::new_current_thread().build()?;
    let threads = RingThreads::start(runtime(&args.ring), args.threads)?;
    let handle = threads.handle();
    let listening = handle.listen("127.0.0.1:0", config, admission);
    let listener = executor.block_on(listening)?;
    stdio::print(&listener.local_address().to_string())?;
    if let Some(first) = executors.first().cloned() {
        drop(first.spawn(accept(listener, executors)));
    }
    let start = Instant::now();
    for line in lines {
        line?;
        let statistics = executor.block_on(threads.statistics());
        stdio::print(&state(start, &statistics).encode())?;
    }
    Ok(())
}

/// Keeps all threads that start from here on to these cores, if there are any.
fn stay_on(cores: &[usize]) -> Result<(), Failure> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Starts a thread that runs tasks of tokio's until the end of the process.
fn start_executor() -> Result<Handle, Failure> {
    let executor = Builder::new_current_thread().build()?;
    let handle = executor.handle().clone();
    thread::Builder::new()
        .name("executor".to_owned())
        .spawn(move || executor.block_on(pending::<()>()))?;
    Ok(handle)
}

/// Has the executors take in what comes on each connection, one after the other.
async fn accept(mut listener: RemoteListener, executors: Vec<Handle>) {
    let mut turns = executors.iter().cycle();
    loop {
        match listener.accept().await {
            Ok(connection) => {
                if let Some(executor) = turns.next() {
                    drop(executor.spawn(take_in(connection)));
                }
            }
            Err(RemoteError::Call(error)) => failure::warn(&failure::chain(&error)),
            Err(_) => return,
        }
    }
}

async fn take_in(mut connection: RemoteConnection) {
    loop {
        match connection.recv().await {
            Ok(Some(message)) => drop(std::hint::black_box(message)),
            Ok(None) => return,
            // The dialers end by closing their sockets.
            Err(error) => return failure::warn(&failure::chain(&error)),
        }
    }
}

fn state(start: Instant, threads: &[Option<Statistics>]) -> State {
    let running = || threads.iter().flatten().copied();
    let spread = running().map(|thread| thread.open as u64).collect();
    State::of(start, running().reduce(Statistics::plus), spread)
}
