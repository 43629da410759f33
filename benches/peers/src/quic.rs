//! quinn over tokio: QUIC with AES-256-GCM by aws-lc-rs, messages behind a 4-byte length, on one
//! stream or dealt out to several. Its transport is set as quinn sets it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::future::join_all;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, VarInt};
use tokio::io::{empty, join};
use tokio_rustls::rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use tokio_rustls::rustls::quic;

use crate::framed::Framed;
use crate::tls::{NAME, Suite, configs};
use crate::tokio_peer::{block_on, echo, flood, round_trips, take_in};
use crate::work::{Flow, Work, pin};

/// Streams messages from a dialer on core 0 to a listener on core 1, on as many streams.
pub(crate) fn stream(streams: usize, work: &Work) -> Flow {
    let work = *work;
    let (sent, flow) = both_ends(
        async move |connection: Connection| {
            let senders = (0..streams).map(|_| async {
                let stream = connection.open_uni().await.expect("a stream");
                let link = Framed::new(join(empty(), stream));
                flood(link, &work).await.expect("send")
            });
            join_all(senders).await.into_iter().sum::<u64>()
        },
        async move |connection: Connection| {
            let receivers = (0..streams).map(|_| async {
                let stream = connection.accept_uni().await.expect("a stream");
                let link = Framed::new(join(stream, empty()));
                take_in(link).await.expect("receive")
            });
            join_all(receivers)
                .await
                .into_iter()
                .fold(Flow::default(), both)
        },
    );
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Two streams that ran side by side.
fn both(left: Flow, right: Flow) -> Flow {
    Flow {
        messages: left.messages + right.messages,
        bytes: left.bytes + right.bytes,
        elapsed: left.elapsed.max(right.elapsed),
        ..Flow::default()
    }
}

/// Times one-byte round trips on one stream.
pub(crate) fn ping(count: usize) -> Vec<Duration> {
    let (pings, ()) = both_ends(
        async move |connection: Connection| {
            let (send, receive) = connection.open_bi().await.expect("a stream");
            let link = Framed::new(join(receive, send));
            round_trips(link, count).await.expect("an echo")
        },
        async |connection: Connection| {
            let (send, receive) = connection.accept_bi().await.expect("a stream");
            let link = Framed::new(join(receive, send));
            echo(link).await.expect("a ping");
        },
    );
    pings
}

/// Connects two threads and gives what the dialer and the listener return. The listener, which has
/// everything when it is done, ends the connection.
fn both_ends<D, L, Dialed, Listened>(dialer: D, listener: L) -> (Dialed, Listened)
where
    D: AsyncFnOnce(Connection) -> Dialed + Send + 'static,
    L: AsyncFnOnce(Connection) -> Listened + Send + 'static,
    Dialed: Send + 'static,
    Listened: Send + 'static,
{
    let (client, server) = settings();
    let (ready, address) = mpsc::channel();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listening = std::thread::spawn(move || {
        pin(1);
        block_on(async {
            let endpoint = Endpoint::server(server, any).expect("bind");
            ready
                .send(endpoint.local_addr().expect("bound"))
                .expect("somebody waits for the address");
            let incoming = endpoint.accept().await.expect("accept");
            let connection = incoming.await.expect("a QUIC handshake");
            let listened = listener(connection.clone()).await;
            connection.close(VarInt::from_u32(0), &[]);
            endpoint.wait_idle().await;
            listened
        })
    });
    let address = address.recv().expect("the listener listens");
    let dialing = std::thread::spawn(move || {
        pin(0);
        block_on(async {
            let endpoint = Endpoint::client(any).expect("bind");
            let connecting = endpoint.connect_with(client, address, NAME);
            let connection = connecting
                .expect("an address")
                .await
                .expect("a QUIC handshake");
            let dialed = dialer(connection.clone()).await;
            connection.closed().await;
            dialed
        })
    });
    let dialed = dialing.join().expect("the dialer ends well");
    (dialed, listening.join().expect("the listener ends well"))
}

/// The one suite for messages; the packets before keys are agreed have AES-128-GCM by the standard.
fn settings() -> (ClientConfig, ServerConfig) {
    let initial = || -> quic::Suite {
        TLS13_AES_128_GCM_SHA256
            .tls13()
            .and_then(|suite| suite.quic_suite())
            .expect("a suite for QUIC")
    };
    let (client, server) = configs(Suite::Aes256Gcm);
    let client = QuicClientConfig::with_initial(client.into(), initial()).expect("a suite");
    let server = QuicServerConfig::with_initial(server.into(), initial()).expect("a suite");
    (
        ClientConfig::new(Arc::new(client)),
        ServerConfig::with_crypto(Arc::new(server)),
    )
}
