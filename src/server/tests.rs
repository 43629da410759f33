//! What only this crate can do to a server: have one of its threads panic.

use core::time::Duration;
use std::time::Instant;

use super::{Server, ServerBuilder};
use crate::handle::RunError;
use crate::net::{Address, Admission, Config, Connection, Runtime, dial};
use crate::protocol::identity::Identity;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(30);

fn settings(seed: u8) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal tests")
}

/// Echoes on as many threads.
fn server(threads: usize) -> Server {
    let builder = ServerBuilder::new(settings(2), Admission::any());
    let server = builder.bind("127.0.0.1:0").threads(threads);
    let started = server.start(|mut connection, _session| async move {
        while let Ok(Some(message)) = connection.recv().await {
            if connection.send(&message).await.is_err() {
                break;
            }
        }
    });
    started.expect("a server")
}

async fn connect(address: &Address) -> Connection {
    let dialed = dial(address, settings(2).public_key(), &settings(1)).await;
    dialed.expect("the server accepts")
}

/// Whether the peer answers.
async fn answers(connection: &mut Connection) -> bool {
    let sent = connection.send(b"x").await.is_ok();
    sent && matches!(connection.recv().await, Ok(Some(_)))
}

async fn wait_until(is_so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "took too long");
        crate::driver::sleep(Duration::from_millis(1)).await;
    }
}

// HAZARDS B9: the loop of a thread itself, which no handler can make panic, panics. It is the one
// that accepts.
#[test]
fn a_server_goes_on_without_a_thread_that_is_lost_and_says_so_at_its_end() {
    let server = server(2);
    let (handle, address) = (server.handle(), server.local_address());
    let runtime = Runtime::builder().build().expect("a runtime");
    runtime.block_on(async {
        let mut before = [connect(&address).await, connect(&address).await];
        server.break_thread(0);
        wait_until(async || {
            let threads = handle.statistics().await.threads;
            threads[0].runtime.is_none() && threads[0].connections == 0
        })
        .await;
        let mut survivors = 0;
        for connection in &mut before {
            survivors += usize::from(answers(connection).await);
        }
        assert_eq!(survivors, 1, "each thread had one");
        let mut after = connect(&address).await;
        assert!(answers(&mut after).await);
        let statistics = handle.statistics().await;
        assert_eq!(statistics.connections, 2);
        assert_eq!(statistics.threads[0].connections, 0);
        drop((before, after));
        let drained = handle.drain(PATIENCE).await.expect("not a child");
        assert_eq!((drained.cut, drained.lost_threads), (0, 1));
    });
    assert_eq!(server.join(), Err(RunError::Panicked));
}

#[test]
fn a_server_ends_when_all_of_its_threads_have() {
    let server = server(2);
    let address = server.local_address();
    server.break_thread(0);
    server.break_thread(1);
    assert_eq!(server.join(), Err(RunError::Panicked));
    let runtime = Runtime::builder().build().expect("a runtime");
    let refused = runtime.block_on(dial(&address, settings(2).public_key(), &settings(1)));
    assert!(refused.is_err(), "the port is closed");
}
