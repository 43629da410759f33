//! `--metrics`: figures of the server as Prometheus reads them, over HTTP on a loopback address.
//!
//! A thread of its own answers, so that no client holds up the server: each ring thread is asked for
//! its figures, which takes it microseconds. Clients are bounded in number, and each in bytes and in
//! time.

mod answer;

use core::convert::Infallible;
use core::time::Duration;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use ringseal::{PrometheusText, ServerHandle};
use ringseal_cli::request::{self, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener as Listener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::failure::Failure;

/// How many clients are answered at a time; others wait in the kernel.
const MAX_CLIENTS: usize = 8;
/// How long a client may take, from its coming to its going.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take while others wait for its place: 60 that say nothing delay a scrape by less than
/// the ten seconds for which Prometheus waits.
const CROWDED_TIME_LIMIT: Duration = Duration::from_secs(1);
/// How long nobody is accepted when that has failed.
const PAUSE: Duration = Duration::from_millis(100);
/// How many bytes behind its request are taken from a client, so that they do not reset its connection.
const MAX_REST: u64 = 64 * 1024;

/// Where the metrics are asked for, before anybody is answered.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: TcpListener,
    address: SocketAddr,
}

impl Metrics {
    /// Listens on `address`, which is a loopback one.
    pub(super) fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind().map_err(|error: io::Error| {
            Failure::new(format!(
                "cannot listen on {address} for --metrics: {error}; choose another port, or 0 for a \
                 free one"
            ))
        })
    }

    /// Where the metrics are.
    pub(super) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Answers for as long as the process lives.
    pub(super) fn start(self, server: ServerHandle) -> Result<(), Failure> {
        let start = || {
            let executor = Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()?;
            let entered = executor.enter();
            let listener = Listener::from_std(self.listener)?;
            drop(entered);
            thread::Builder::new()
                .name("metrics".to_owned())
                .spawn(move || executor.block_on(answer_all(&listener, &server)))
        };
        start().map(drop).map_err(|error: io::Error| {
            Failure::new(format!("cannot start what answers for --metrics: {error}"))
        })
    }
}

async fn answer_all(listener: &Listener, server: &ServerHandle) -> Infallible {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    let is_crowded = Arc::new(watch::Sender::new(false));
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let place = match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => Ok(place),
                    Err(_) => {
                        is_crowded.send_replace(true);
                        let place = Arc::clone(&places).acquire_owned().await;
                        is_crowded.send_replace(false);
                        place
                    }
                };
                let (server, is_crowded) = (server.clone(), is_crowded.subscribe());
                drop(tokio::spawn(async move {
                    // Who goes early, or takes too long, has no use for the rest.
                    tokio::select! {
                        _ = timeout(TIME_LIMIT, serve(client, &server)) => {}
                        () = crowded_out(is_crowded) => {}
                    }
                    drop(place);
                }));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a client of the metrics");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Is done when others wait, once a client has had its time.
async fn crowded_out(mut is_crowded: watch::Receiver<bool>) {
    sleep(CROWDED_TIME_LIMIT).await;
    // The other end lives as long as this does.
    let _ = is_crowded.wait_for(|is_crowded| *is_crowded).await;
}

async fn serve(mut client: TcpStream, server: &ServerHandle) -> io::Result<()> {
    let Some(request) = request::read(&mut client).await? else {
        return Ok(());
    };
    let metrics = match request {
        Request::Get { is_metrics: true } => {
            let statistics = server.statistics().await;
            statistics.prometheus_text().to_string()
        }
        _ => String::new(),
    };
    let answer = answer::answer(request, &metrics, PrometheusText::CONTENT_TYPE);
    client.write_all(&answer).await?;
    client.shutdown().await?;
    // What is unread when it is closed would have the kernel reset it, and the answer with it.
    let mut rest = client.take(MAX_REST);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}
