//! tonic over tokio: gRPC with TLS, messages of bytes by a codec of our own, so that no schema has to
//! be compiled. All settings are tonic's; of rustls's suites both ends like AES-256-GCM best.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::future::{Either, join, select};
use futures_util::{Stream, StreamExt as _, stream};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio::sync::{mpsc as channel, oneshot};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{
    Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig,
};
use tonic::{Request, Response, Status, Streaming};
use tower::service_fn;

use crate::tls::{IDENTITY, NAME};
use crate::tokio_peer::block_on;
use crate::work::{Flow, Work, pin};

/// Takes a stream in, and answers with the count.
const TAKE_IN: &str = "/peers.Messages/TakeIn";
/// Sends each message back.
const ECHO: &str = "/peers.Messages/Echo";
/// Messages that wait for tonic where they come by a channel.
const WAITING: usize = 128;

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Streams messages from a dialer on core 0 to a listener on core 1: those of one a call come by a
/// channel, those of several by an iterator that has the next one always ready.
pub(crate) fn stream(work: &Work) -> Flow {
    let work = *work;
    let (counted, flow) = mpsc::channel();
    let sent = both_ends(counted, async move |mut client: Client| {
        client.ready().await.expect("a connection");
        let message = Bytes::from(vec![0x5a; work.size]);
        if work.batch == 1 {
            let (sender, messages) = channel::channel(WAITING);
            let sending = flood(sender, message, work);
            let (sent, answered) = join(sending, take_in(&mut client, received(messages))).await;
            assert_eq!(answered, sent, "what was sent has arrived");
            answered
        } else {
            take_in(
                &mut client,
                stream::iter(until_its_time_is_up(message, work)),
            )
            .await
        }
    });
    let flow = flow.recv().expect("the listener has counted");
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Times one-byte round trips.
pub(crate) fn ping(count: usize) -> Vec<Duration> {
    let (counted, _) = mpsc::channel();
    both_ends(counted, async move |mut client: Client| {
        client.ready().await.expect("a connection");
        let (sender, messages) = channel::channel(WAITING);
        let call = Request::new(received(messages));
        let answers = client.streaming(call, PathAndQuery::from_static(ECHO), BytesCodec);
        let mut answers = answers.await.expect("a stream").into_inner();
        let mut pings = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            sender.send(Bytes::from_static(&[1])).await.expect("send");
            answers.message().await.expect("receive").expect("an echo");
            pings.push(start.elapsed());
        }
        pings
    })
}

type Client = tonic::client::Grpc<Channel>;

/// Gives how many messages the listener says that it had.
async fn take_in(client: &mut Client, messages: impl Stream<Item = Bytes> + Send + 'static) -> u64 {
    let path = PathAndQuery::from_static(TAKE_IN);
    let answer = client.client_streaming(Request::new(messages), path, BytesCodec);
    let mut count = answer.await.expect("an answer").into_inner();
    count.get_u64()
}

async fn flood(sender: channel::Sender<Bytes>, message: Bytes, work: Work) -> u64 {
    let mut sent = 0;
    let start = Instant::now();
    while start.elapsed() < work.duration {
        for _ in 0..work.calls_a_clock_reading() {
            sender.send(message.clone()).await.expect("send");
            sent += 1;
        }
    }
    sent
}

fn until_its_time_is_up(message: Bytes, work: Work) -> impl Iterator<Item = Bytes> + Send {
    let a_reading = work.calls_a_clock_reading() * work.batch;
    let start = Instant::now();
    let turns = std::iter::repeat(()).take_while(move |()| start.elapsed() < work.duration);
    turns.flat_map(move |()| std::iter::repeat_n(message.clone(), a_reading))
}

fn received(messages: channel::Receiver<Bytes>) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(messages, async |mut messages| {
        Some((messages.recv().await?, messages))
    })
}

/// Connects two threads and gives what the dialer returns. The listener tells what it counted.
fn both_ends<D, Dialed>(counted: mpsc::Sender<Flow>, dialer: D) -> Dialed
where
    D: AsyncFnOnce(Client) -> Dialed + Send + 'static,
    Dialed: Send + 'static,
{
    let (ready, address) = mpsc::channel();
    let (done, ended) = oneshot::channel::<()>();
    let listening = std::thread::spawn(move || {
        pin(1);
        block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.expect("bind");
            ready
                .send(listener.local_addr().expect("bound"))
                .expect("somebody waits for the address");
            let serving = std::pin::pin!(serve(listener, counted));
            // The dialer is gone: there is nothing left to serve.
            match select(serving, ended).await {
                Either::Left((served, _)) => served.expect("it serves"),
                Either::Right(_) => {}
            }
        });
    });
    let address = address.recv().expect("the listener listens");
    let dialing = std::thread::spawn(move || {
        pin(0);
        block_on(async { dialer(Client::new(dial(address).await)).await })
    });
    let dialed = dialing.join().expect("the dialer ends well");
    drop(done);
    listening.join().expect("the listener ends well");
    dialed
}

async fn serve(
    listener: TcpListener,
    counted: mpsc::Sender<Flow>,
) -> Result<(), tonic::transport::Error> {
    let certificate = IDENTITY.cert.pem();
    let identity = Identity::from_pem(certificate, IDENTITY.signing_key.serialize_pem());
    let service = service_fn(move |request: http::Request<tonic::body::Body>| {
        let counted = counted.clone();
        async move {
            let mut server = tonic::server::Grpc::new(BytesCodec);
            let response = if request.uri().path() == ECHO {
                let echo = service_fn(async |request: Request<Streaming<Bytes>>| {
                    Ok::<_, Status>(Response::new(request.into_inner()))
                });
                server.streaming(echo, request).await
            } else {
                let count = service_fn(move |request: Request<Streaming<Bytes>>| {
                    count(request.into_inner(), counted.clone())
                });
                server.client_streaming(count, request).await
            };
            Ok::<_, Infallible>(response)
        }
    });
    Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))?
        .serve_with_incoming(
            service,
            TcpIncoming::from(listener).with_nodelay(Some(true)),
        )
        .await
}

async fn count(
    mut messages: Streaming<Bytes>,
    counted: mpsc::Sender<Flow>,
) -> Result<Response<Bytes>, Status> {
    let mut flow = Flow::default();
    let mut first = None;
    while let Some(message) = messages.next().await {
        first.get_or_insert_with(Instant::now);
        flow.messages += 1;
        flow.bytes += message?.len() as u64;
    }
    flow.elapsed = first.map_or(Duration::ZERO, |first| first.elapsed());
    counted.send(flow).expect("somebody waits for the count");
    Ok(Response::new(Bytes::copy_from_slice(
        &flow.messages.to_be_bytes(),
    )))
}

async fn dial(address: SocketAddr) -> Channel {
    let authority = Certificate::from_pem(IDENTITY.cert.pem());
    let tls = ClientTlsConfig::new()
        .ca_certificate(authority)
        .domain_name(NAME);
    let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address");
    let endpoint = endpoint.tls_config(tls).expect("a certificate");
    endpoint.connect().await.expect("a TLS handshake")
}
