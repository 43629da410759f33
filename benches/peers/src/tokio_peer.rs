//! The work of a contender over tokio: a current-thread runtime for each end, the dialer's on
//! core 0 and the listener's on core 1, and a protocol that is given a connected socket.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use crate::work::{Flow, Work, pin};

/// How a socket becomes a stream of messages.
pub(crate) trait Protocol: Clone + Send + 'static {
    /// The stream of messages that it makes of a socket.
    type Link;

    async fn dial(self, socket: TcpStream) -> Self::Link;

    async fn accept(self, socket: TcpStream) -> Self::Link;
}

/// A stream of messages in both directions.
pub(crate) trait Link {
    /// Takes a message; it need not leave before [`Link::flush`].
    async fn send(&mut self, message: &[u8]) -> io::Result<()>;

    async fn flush(&mut self) -> io::Result<()>;

    /// Puts the next message at the front of `buffer`, which grows if it is too short, and gives
    /// its length; `None` at the end.
    async fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>>;

    /// Flushes and says that nothing follows.
    async fn close(&mut self) -> io::Result<()>;
}

/// Streams messages from a dialer on core 0 to a listener on core 1.
pub(crate) fn stream<P: Protocol<Link: Link>>(protocol: &P, work: &Work) -> Flow {
    let work = *work;
    let (sent, flow) = both_ends(
        protocol,
        async move |link| flood(link, &work).await.expect("send"),
        async |link| take_in(link).await.expect("receive"),
    );
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Times one-byte round trips.
pub(crate) fn ping<P: Protocol<Link: Link>>(protocol: &P, count: usize) -> Vec<Duration> {
    let (pings, ()) = both_ends(
        protocol,
        async move |link| round_trips(link, count).await.expect("an echo"),
        async |link| echo(link).await.expect("a ping"),
    );
    pings
}

/// Connects two threads and gives what the dialer and the listener return.
pub(crate) fn both_ends<P, D, L, Dialed, Listened>(
    protocol: &P,
    dialer: D,
    listener: L,
) -> (Dialed, Listened)
where
    P: Protocol,
    D: AsyncFnOnce(P::Link) -> Dialed + Send + 'static,
    L: AsyncFnOnce(P::Link) -> Listened + Send + 'static,
    Dialed: Send + 'static,
    Listened: Send + 'static,
{
    let (ready, address) = mpsc::channel();
    let theirs = protocol.clone();
    let listening = std::thread::spawn(move || {
        pin(1);
        block_on(async {
            let acceptor = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("bind");
            ready
                .send(acceptor.local_addr().expect("bound"))
                .expect("somebody waits for the address");
            let (socket, _) = acceptor.accept().await.expect("accept");
            socket.set_nodelay(true).expect("TCP_NODELAY");
            listener(theirs.accept(socket).await).await
        })
    });
    let address = address.recv().expect("the listener listens");
    let ours = protocol.clone();
    let dialing = std::thread::spawn(move || {
        pin(0);
        block_on(async {
            let socket = TcpStream::connect(address).await.expect("connect");
            socket.set_nodelay(true).expect("TCP_NODELAY");
            dialer(ours.dial(socket).await).await
        })
    });
    let dialed = dialing.join().expect("the dialer ends well");
    (dialed, listening.join().expect("the listener ends well"))
}

/// Runs an end on a runtime of the calling thread alone.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Sends for a time, closes, and gives how many messages were sent.
pub(crate) async fn flood<L: Link>(mut link: L, work: &Work) -> io::Result<u64> {
    let message = vec![0x5a; work.size];
    let mut sent = 0;
    let start = Instant::now();
    while start.elapsed() < work.duration {
        for _ in 0..work.calls_a_clock_reading() {
            for _ in 0..work.batch {
                link.send(&message).await?;
                sent += 1;
            }
            link.flush().await?;
        }
    }
    link.close().await?;
    Ok(sent)
}

/// Counts what comes until the end.
pub(crate) async fn take_in<L: Link>(mut link: L) -> io::Result<Flow> {
    let mut flow = Flow::default();
    let mut first = None;
    let mut buffer = Vec::new();
    while let Some(length) = link.receive(&mut buffer).await? {
        first.get_or_insert_with(Instant::now);
        flow.messages += 1;
        flow.bytes += length as u64;
    }
    flow.elapsed = first.map_or(Duration::ZERO, |first| first.elapsed());
    Ok(flow)
}

/// Times round trips of a byte, and closes.
pub(crate) async fn round_trips<L: Link>(mut link: L, count: usize) -> io::Result<Vec<Duration>> {
    let mut buffer = Vec::new();
    let mut pings = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        link.send(&[1]).await?;
        link.flush().await?;
        link.receive(&mut buffer)
            .await?
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        pings.push(start.elapsed());
    }
    link.close().await?;
    Ok(pings)
}

/// Sends back what comes until the end.
pub(crate) async fn echo<L: Link>(mut link: L) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(length) = link.receive(&mut buffer).await? {
        link.send(&buffer[..length]).await?;
        link.flush().await?;
    }
    Ok(())
}
