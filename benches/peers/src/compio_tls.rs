//! rustls over compio, a runtime of other people over io_uring: the same TLS and the same framing as
//! over tokio, with a ring at each end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use compio::io::compat::AsyncStream;
use compio::net::{TcpListener, TcpStream};
use compio::runtime::Runtime;
use compio_tls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

use crate::framed::{Framed, READ_BUFFER};
use crate::tls::{NAME, Suite, configs};
use crate::tokio_peer::{echo, flood, round_trips, take_in};
use crate::work::{Flow, Work, pin};

/// compio's stream, by the traits that the framing knows.
type Link = Framed<Compat<TlsStream<TcpStream>>>;

/// Streams messages from a dialer on core 0 to a listener on core 1.
pub(crate) fn stream(suite: Suite, work: &Work) -> Flow {
    let work = *work;
    let (sent, flow) = both_ends(
        suite,
        async move |link| flood(link, &work).await.expect("send"),
        async |link| take_in(link).await.expect("receive"),
    );
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Times one-byte round trips.
pub(crate) fn ping(suite: Suite, count: usize) -> Vec<Duration> {
    let (pings, ()) = both_ends(
        suite,
        async move |link| round_trips(link, count).await.expect("an echo"),
        async |link| echo(link).await.expect("a ping"),
    );
    pings
}

/// Connects two threads and gives what the dialer and the listener return.
fn both_ends<D, L, Dialed, Listened>(suite: Suite, dialer: D, listener: L) -> (Dialed, Listened)
where
    D: AsyncFnOnce(Link) -> Dialed + Send + 'static,
    L: AsyncFnOnce(Link) -> Listened + Send + 'static,
    Dialed: Send + 'static,
    Listened: Send + 'static,
{
    let (client, server) = configs(suite);
    let (ready, address) = mpsc::channel();
    let listening = std::thread::spawn(move || {
        pin(1);
        Runtime::new()
            .expect("a runtime")
            .block_on(async { listener(accept(server.into(), &ready).await).await })
    });
    let address = address.recv().expect("the listener listens");
    let dialing = std::thread::spawn(move || {
        pin(0);
        Runtime::new()
            .expect("a runtime")
            .block_on(async { dialer(dial(client.into(), address).await).await })
    });
    let dialed = dialing.join().expect("the dialer ends well");
    (dialed, listening.join().expect("the listener ends well"))
}

async fn accept(
    config: Arc<compio_tls::rustls::ServerConfig>,
    ready: &mpsc::Sender<SocketAddr>,
) -> Link {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bind");
    ready
        .send(listener.local_addr().expect("bound"))
        .expect("somebody waits for the address");
    let (socket, _) = listener.accept().await.expect("accept");
    let acceptor = TlsAcceptor::from(config);
    let stream = acceptor.accept_compat(buffered(socket)).await;
    Framed::new(stream.expect("a TLS handshake").compat())
}

async fn dial(config: Arc<compio_tls::rustls::ClientConfig>, address: SocketAddr) -> Link {
    let socket = TcpStream::connect(address).await.expect("connect");
    let connector = TlsConnector::from(config);
    let stream = connector.connect_compat(NAME, buffered(socket)).await;
    Framed::new(stream.expect("a TLS handshake").compat())
}

/// As much room as the other peers' sockets have; compio's own default is 8 KiB.
fn buffered(socket: TcpStream) -> AsyncStream<TcpStream> {
    socket.set_nodelay(true).expect("TCP_NODELAY");
    AsyncStream::with_capacity(READ_BUFFER, socket)
}
