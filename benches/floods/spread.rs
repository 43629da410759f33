//! How connections are spread over the threads of a server.

use std::error::Error;
use std::time::Duration;

use futures_util::future::join_all;
use ringseal::{Connection, Runtime, Server, ServerLimits, Wire, dial};

use crate::figures::{Cell, Row};
use crate::server::{self, ADMITTED, Threads, config, key};

const THREADS: usize = 4;
const MANY: usize = 400;

pub(crate) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let wire = Wire::native();
    let server = server::start(wire, ServerLimits::new(), Threads::Count(THREADS))?;
    let runtime = Runtime::builder().build()?;
    let rows = runtime.block_on(async {
        let few = connect(&server, wire, 5).await;
        let mut rows = vec![row("5 connections from one address that stay", &server)];
        let mut many = connect(&server, wire, MANY - 5).await;
        rows.push(row("400", &server));
        // Nine of ten go.
        many.truncate(MANY / 10 - 5);
        while server::statistics(&server).connections > MANY / 10 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        rows.push(row("40 that are left of those", &server));
        let more = connect(&server, wire, MANY / 2 - MANY / 10).await;
        rows.push(row("200, after others have come", &server));
        drop((few, many, more));
        rows
    });
    server.handle().shut_down();
    server.join()?;
    Ok(rows)
}

fn row(what: &str, server: &Server) -> Row {
    let threads = server::statistics(server).threads;
    let counts: Vec<_> = threads
        .iter()
        .map(|it| it.connections.to_string())
        .collect();
    vec![
        ("what", Cell::Text(what.to_owned())),
        ("of_each_thread", Cell::Text(counts.join(", "))),
    ]
}

async fn connect(server: &Server, wire: Wire, count: usize) -> Vec<Connection> {
    let settings = config(ADMITTED, wire);
    let mut connections = Vec::new();
    while connections.len() < count {
        let more = (count - connections.len()).min(32);
        let dialing = (0..more).map(|_| dial(server::address(server), key(), &settings));
        for dialed in join_all(dialing).await {
            connections.push(dialed.expect("it is admitted"));
        }
    }
    connections
}
