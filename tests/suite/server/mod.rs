//! Servers: every thread serves, limits hold, and the end loses nothing.

mod admission;
mod crowds;
mod drain;
mod ending;
mod failures;
mod idle;
mod limits;
mod lost_threads;
mod panics;
mod relayed;
mod remote;
mod settings;
mod sockets;
mod spread;

use std::time::{Duration, Instant};

use ringseal::protocol::native::record::RefuseReason;
use ringseal::{
    Address, Admission, AttemptError, Config, Connection, DialError, RemoteConnection,
    RemoteListener, RingHandle, Server, ServerBuilder, ServerStatistics, Session, ThreadStatistics,
    dial,
};

use super::peers::{builder, config, key, patience};
use super::setting::on_native;
use super::transport::somewhere;

/// Settings on which nobody is ended by the passing of time.
fn patient(seed: u8) -> Config {
    config(seed)
        .handshake_deadline(patience())
        .first_message_timeout(patience())
}

/// Connects a client of these ring threads to a listener of others; returns both ends.
async fn remote_pair(
    clients: &RingHandle,
    listener: &mut RemoteListener,
) -> (RemoteConnection, RemoteConnection) {
    let (address, ours) = (listener.local_address(), patient(1));
    let dialed = clients.dial(&address, key(2), &ours);
    let (dialed, accepted) = futures_util::join!(dialed, listener.accept());
    (dialed.expect("dial"), accepted.expect("accept"))
}

/// Returns a server of identity 2 with two threads.
fn server() -> ServerBuilder {
    server_with(patient(2), Admission::any())
}

fn server_with(config: Config, admission: Admission) -> ServerBuilder {
    ServerBuilder::new(config, admission)
        .bind(somewhere())
        .threads(2)
        .runtime(builder())
}

fn start(builder: ServerBuilder) -> Server {
    builder.start(echo).expect("a server")
}

/// Sends everything back until the peer ends.
async fn echo(connection: Connection, _session: Session) {
    let (mut sender, mut receiver) = connection.split();
    while let Ok(Some(message)) = receiver.recv().await {
        let copy = message.to_vec();
        drop(message);
        if sender.send(&copy).await.is_err() {
            return;
        }
    }
    // The peer may be gone.
    let _ = sender.close().await;
}

/// Dials as the identity with this seed.
async fn try_connect(address: &Address, seed: u8) -> Result<Connection, DialError> {
    dial(address, key(2), &patient(seed)).await
}

async fn connect(address: &Address, seed: u8) -> Connection {
    try_connect(address, seed).await.expect("dial")
}

async fn connect_many(address: &Address, seed: u8, count: usize) -> Vec<Connection> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(connect(address, seed).await);
    }
    connections
}

/// Whether the server answers on this connection.
async fn answers(connection: &mut Connection) -> bool {
    if connection.send(b"are you there?").await.is_err() {
        return false;
    }
    matches!(connection.recv().await, Ok(Some(message)) if *message == *b"are you there?")
}

/// Returns what the listener has told a dialer that it refused.
fn told(outcome: Result<Connection, DialError>) -> RefuseReason {
    match outcome.expect_err("refused") {
        DialError::Attempt(AttemptError::Refused { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Checks that the listener has refused a dialer for this reason, as far as the wire tells.
fn refused(outcome: Result<Connection, DialError>, reason: RefuseReason) {
    if on_native() {
        assert_eq!(told(outcome), reason);
    } else {
        outcome.expect_err("refused");
    }
}

/// Waits until the server's figures are as wanted.
async fn wait_for(server: &Server, is_so: impl Fn(&ServerStatistics) -> bool) {
    let handle = server.handle();
    let start = Instant::now();
    loop {
        let statistics = handle.statistics().await;
        if is_so(&statistics) {
            return;
        }
        assert!(start.elapsed() < patience(), "{statistics:#?}");
        ringseal::sleep(Duration::from_millis(2)).await;
    }
}

/// Tasks of a thread that serves nobody: what its runtime does in the background, what takes clients over,
/// their handshakes, and who asks for these figures.
const TASKS_OF_A_THREAD: usize = 4;
/// Those of the one that accepts, besides.
const TASKS_OF_ONE_THREAD: usize = 1;

/// Waits until nothing is left of clients that have gone.
async fn nothing_is_left(server: &Server) {
    wait_for(server, |it| {
        let runtime = it.runtime.expect("they run");
        let held = [
            it.connections,
            it.handshakes_under_way,
            runtime.handshaking,
            runtime.open,
            runtime.ending,
            runtime.lingering,
            runtime.heap_bytes,
        ];
        let runs = |thread: &ThreadStatistics| thread.runtime.map_or(0, |runtime| runtime.tasks);
        let rest = it.threads.len() * TASKS_OF_A_THREAD + TASKS_OF_ONE_THREAD;
        held == [0; 7]
            && runtime.free_slots == runtime.slots
            && it.threads.iter().map(runs).sum::<usize>() <= rest
    })
    .await;
}

/// Drains a server whose peers have ended, and waits for its end.
async fn finish(server: Server) {
    let drained = server
        .handle()
        .drain(patience())
        .await
        .expect("not a child");
    assert_eq!((drained.cut, drained.lost_threads), (0, 0));
    server.wait().await.expect("no panic");
}
