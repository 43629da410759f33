//! The real commonware-stream, on a thread and a runtime of its own, over TCP on loopback.
//!
//! A peer is started with a [`Script`]: what it does once connected. It runs to its end and
//! gives an [`Outcome`]; the two sides of a test meet only on the socket.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::handshake::sake::Error as SakeError;
use commonware_cryptography::{ChaCha20Poly1305, Signer as _};
use commonware_runtime::{
    Clock, Listener as _, Network, Runner as _, Sink, Stream, Supervisor, iouring, tokio,
};
use commonware_stream::Upgrader as _;
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_stream::utils::codec::Error as FrameError;
use commonware_stream::utils::{Timeout, TimeoutError};
use rand_core::CryptoRng;

/// How long a test waits for a peer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which of commonware's runtimes carries the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeKind {
    /// tokio, with epoll.
    #[default]
    Tokio,
    /// Its own, with io_uring.
    IoUring,
}

/// The settings of one peer. Versions are 0 or 1.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ed25519 secret seed.
    pub seed: [u8; 32],
    /// Application namespace.
    pub namespace: Vec<u8>,
    /// Version of the key exchange.
    pub sake: u8,
    /// Version of the records.
    pub cups: u8,
    /// Longest plaintext in bytes.
    pub max_message_size: u32,
    /// The only key a listener's bouncer lets in; everybody when `None`.
    pub admit: Option<[u8; 32]>,
    /// Where a listener listens; on a free port of loopback when `None`.
    pub address: Option<SocketAddr>,
    /// Which runtime.
    pub runtime: RuntimeKind,
    /// The core that the peer's thread runs on, if it is to be pinned.
    pub core: Option<usize>,
    /// Worker threads of the runtime, the peer's own included.
    pub workers: usize,
}

impl Settings {
    /// V1 on both layers, 1 MiB, everybody welcome, on tokio.
    pub fn new(seed: u8, namespace: &[u8]) -> Self {
        Self {
            seed: [seed; 32],
            namespace: namespace.to_vec(),
            sake: 1,
            cups: 1,
            max_message_size: 1 << 20,
            admit: None,
            address: None,
            runtime: RuntimeKind::Tokio,
            core: None,
            workers: 2,
        }
    }

    /// Returns the public key of `seed` as commonware derives it.
    pub fn public_key(&self) -> [u8; 32] {
        let key = self.signer().public_key();
        key.as_ref().try_into().expect("32 bytes")
    }

    fn signer(&self) -> PrivateKey {
        PrivateKey::decode(Copying(&self.seed[..])).expect("32 bytes are a secret key")
    }

    fn upgrader(&self) -> Timeout<Cups<Sake<PrivateKey>, ChaCha20Poly1305>> {
        let sake = Sake {
            signer: self.signer(),
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            version: match self.sake {
                0 => sake::Version::V0,
                _ => sake::Version::V1,
            },
        };
        let version = match self.cups {
            0 => cups::Version::V0,
            _ => cups::Version::V1,
        };
        Timeout::new(Cups::new(sake, version), Duration::from_secs(5))
    }
}

/// What a peer does once it is connected. The two directions run side by side.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Messages to send, one call each.
    pub send: Vec<Vec<u8>>,
    /// Batches to send after them, one `send_many` each.
    pub batches: Vec<Vec<Vec<u8>>>,
    /// One message sent again and again for a time, after the rest, and an empty one behind it.
    pub flood: Option<Flood>,
    /// How many messages to receive before the peer is done, unless it fails before. With
    /// `usize::MAX` until it fails.
    pub receive: usize,
    /// Whether to send back what is received, instead of keeping it.
    pub echo: bool,
    /// Whether to count what is received, instead of keeping it.
    pub count_only: bool,
    /// Whether an empty message ends receiving, and is not counted itself. commonware has no end of
    /// a stream but a cut.
    pub until_empty: bool,
    /// One-byte round trips to time after the rest.
    pub pings: usize,
    /// Instead of all else, handshakes one after the other, each on a connection of its own that
    /// the listener drops: the dialer makes them for this long, the listener until one fails.
    pub handshakes: Option<Duration>,
    /// Whether to leave at once when all is done. Otherwise the peer waits for the other end to
    /// leave: commonware closes with a reset, which destroys what is still on its way.
    pub hang_up: bool,
}

/// A stream of equal messages.
#[derive(Clone, Debug)]
pub struct Flood {
    /// The message.
    pub message: Vec<u8>,
    /// How many of them go in one call; with 1 it is `send`, otherwise `send_many`.
    pub batch: usize,
    /// For how long.
    pub duration: Duration,
}

/// What became of a peer.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The key that a listener's peer has proved.
    pub peer: Option<[u8; 32]>,
    /// Why there was no connection.
    pub handshake: Option<PeerError>,
    /// What was received and kept.
    pub received: Vec<Vec<u8>>,
    /// How many messages of a flood were sent.
    pub flooded: u64,
    /// How many messages and bytes were received.
    pub counted: (u64, u64),
    /// Handshakes that a script of handshakes has finished.
    pub handshakes: u64,
    /// From the first message received to the last, or what a dialer's handshakes took.
    pub elapsed: Duration,
    /// Why sending ended early.
    pub send: Option<PeerError>,
    /// Why receiving ended early.
    pub receive: Option<PeerError>,
    /// Round trips in the order they were made.
    pub pings: Vec<Duration>,
}

/// An error of commonware, by the name that the protocol's specification gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerError {
    /// The name, without what is in brackets.
    pub name: &'static str,
    /// commonware's own words.
    pub text: String,
}

impl fmt::Debug for PeerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name, self.text)
    }
}

impl PeerError {
    fn of_record(error: &cups::Error) -> Self {
        let name = match error {
            cups::Error::SealFailed => "seal_failed",
            cups::Error::OpenFailed => "open_failed",
            cups::Error::RecvFailed(_) | cups::Error::SendFailed(_) => "transport",
            cups::Error::RecvTooLarge(_) => "recv_too_large",
            cups::Error::InvalidVarint => "bad_varint",
            cups::Error::SendTooLarge(_) => "send_too_large",
            cups::Error::StreamClosed => "closed",
        };
        Self {
            name,
            text: error.to_string(),
        }
    }

    fn of_handshake(error: &TimeoutError<sake::Error>) -> Self {
        let text = error.to_string();
        let name = match error {
            TimeoutError::Timeout => "timeout",
            TimeoutError::Upgrade(sake::Error::PeerRejected(_)) => "peer_rejected",
            TimeoutError::Upgrade(sake::Error::UnableToDecode(_)) => "decode",
            TimeoutError::Upgrade(sake::Error::Frame(error)) => match error {
                FrameError::RecvTooLarge(_) => "frame_too_large",
                FrameError::InvalidVarint => "bad_varint",
                FrameError::RecvFailed(_)
                | FrameError::SendFailed(_)
                | FrameError::SendTooLarge(_) => "transport",
            },
            TimeoutError::Upgrade(sake::Error::HandshakeError(error)) => match error {
                SakeError::InvalidSignature => "bad_signature",
                SakeError::InvalidEphemeralKey => "bad_ephemeral",
                SakeError::InvalidConfirmation => "bad_confirmation",
                SakeError::InvalidTimestamp(..) => "bad_timestamp",
            },
        };
        Self { name, text }
    }
}

/// A peer on its thread.
#[derive(Debug)]
pub struct Peer {
    address: Option<SocketAddr>,
    outcome: mpsc::Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Starts a listener that serves one connection.
    pub fn listen(settings: Settings, script: Script) -> Self {
        let (ready, address) = mpsc::channel();
        let mut peer = Self::start(settings, script, Role::Listen(ready));
        peer.address = Some(
            address
                .recv_timeout(PATIENCE)
                .expect("commonware listens within its time"),
        );
        peer
    }

    /// Starts a dialer.
    pub fn dial(settings: Settings, address: SocketAddr, peer: [u8; 32], script: Script) -> Self {
        Self::start(settings, script, Role::Dial(address, peer))
    }

    /// Returns where a listener listens.
    ///
    /// # Panics
    ///
    /// If this is a dialer.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("only listeners have an address")
    }

    /// Waits for the end of the script.
    ///
    /// # Panics
    ///
    /// If it takes longer than a minute.
    pub fn outcome(mut self) -> Outcome {
        let outcome = self
            .outcome
            .recv_timeout(PATIENCE)
            .expect("commonware ends within its time");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("commonware's thread ends well");
        }
        outcome
    }

    fn start(settings: Settings, script: Script, role: Role) -> Self {
        let (report, outcome) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            if let Some(core) = settings.core {
                let mut set = rustix::thread::CpuSet::new();
                set.set(core);
                rustix::thread::sched_setaffinity(None, &set).expect("pin to a core");
            }
            let storage: PathBuf = std::env::temp_dir().join(format!(
                "ringseal-peers-{}-{:?}",
                std::process::id(),
                std::thread::current().id()
            ));
            let outcome = match settings.runtime {
                RuntimeKind::Tokio => {
                    let config = tokio::Config::new()
                        .with_worker_threads(settings.workers)
                        .with_storage_directory(&storage);
                    tokio::Runner::new(config)
                        .start(|context| Box::pin(run(context, settings, script, role)))
                }
                RuntimeKind::IoUring => {
                    let config = iouring::Config::default()
                        .with_worker_threads(settings.workers)
                        .with_storage_directory(&storage);
                    iouring::Runner::new(config)
                        .start(|context| Box::pin(run(context, settings, script, role)))
                }
            };
            let _ = std::fs::remove_dir_all(&storage);
            // A test that has failed meanwhile listens no more.
            let _ = report.send(outcome);
        });
        Self {
            address: None,
            outcome,
            thread: Some(thread),
        }
    }
}

enum Role {
    Listen(mpsc::Sender<SocketAddr>),
    Dial(SocketAddr, [u8; 32]),
}

async fn run<C>(context: C, settings: Settings, script: Script, role: Role) -> Outcome
where
    C: Clock + CryptoRng + Network + Supervisor,
{
    let upgrader = settings.upgrader();
    let limit = settings.max_message_size;
    match role {
        Role::Listen(ready) => {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let address = settings.address.unwrap_or(any);
            let mut listener = context.bind(address).await.expect("commonware binds");
            ready
                .send(listener.local_addr().expect("bound"))
                .expect("somebody waits for the address");
            let admit = settings.admit;
            let bouncer = move |key: PublicKey| {
                let yes = admit.is_none_or(|only| key.as_ref() == only);
                std::future::ready(yes)
            };
            let mut handshakes = 0;
            loop {
                let (_, sink, stream) = listener.accept().await.expect("commonware accepts");
                let result = upgrader
                    .clone()
                    .listen(
                        context.child("listen"),
                        &settings.namespace,
                        limit,
                        bouncer,
                        stream,
                        sink,
                    )
                    .await;
                match result {
                    Ok(_) if script.handshakes.is_some() => handshakes += 1,
                    Ok((peer, sender, receiver)) => {
                        let mut outcome = perform(script, sender, receiver).await;
                        outcome.peer = peer.as_ref().try_into().ok();
                        return outcome;
                    }
                    Err(error) => {
                        let mut outcome = failed(&error);
                        outcome.handshakes = handshakes;
                        return outcome;
                    }
                }
            }
        }
        Role::Dial(address, peer) => {
            let peer = PublicKey::decode(Copying(&peer[..])).expect("a public key");
            let start = Instant::now();
            let mut handshakes = 0;
            loop {
                let elapsed = start.elapsed();
                let (sink, stream) = context.dial(address).await.expect("commonware connects");
                if script
                    .handshakes
                    .is_some_and(|duration| elapsed >= duration)
                {
                    // This connection, closed without a handshake, is the listener's sign to end.
                    return Outcome {
                        handshakes,
                        elapsed,
                        ..Outcome::default()
                    };
                }
                let result = upgrader
                    .clone()
                    .dial(
                        context.child("dial"),
                        &settings.namespace,
                        limit,
                        peer.clone(),
                        stream,
                        sink,
                    )
                    .await;
                match result {
                    Ok((_sender, mut receiver)) if script.handshakes.is_some() => {
                        // It ends when the listener, which finishes last, has dropped its side.
                        let _ = receiver.recv().await;
                        handshakes += 1;
                    }
                    Ok((sender, receiver)) => return perform(script, sender, receiver).await,
                    Err(error) => return failed(&error),
                }
            }
        }
    }
}

fn failed(error: &TimeoutError<sake::Error>) -> Outcome {
    Outcome {
        handshake: Some(PeerError::of_handshake(error)),
        ..Outcome::default()
    }
}

async fn perform<I: Stream, O: Sink>(
    script: Script,
    mut sender: cups::Sender<ChaCha20Poly1305, O>,
    mut receiver: cups::Receiver<ChaCha20Poly1305, I>,
) -> Outcome {
    let mut outcome = Outcome::default();
    if script.echo {
        for _ in 0..script.receive {
            let message = match receiver.recv().await {
                Ok(message) => message,
                Err(error) => {
                    outcome.receive = Some(PeerError::of_record(&error));
                    break;
                }
            };
            outcome.counted.0 += 1;
            outcome.counted.1 += message.len() as u64;
            if let Err(error) = sender.send(message).await {
                outcome.send = Some(PeerError::of_record(&error));
                break;
            }
        }
        return outcome;
    }
    let sending = send_all(&script, &mut sender);
    let receiving = receive_all(&script, &mut receiver);
    let (sent, mut outcome) = futures_util::join!(sending, receiving);
    match sent {
        Ok(flooded) => outcome.flooded = flooded,
        Err(error) => outcome.send = Some(PeerError::of_record(&error)),
    }
    for _ in 0..script.pings {
        let start = Instant::now();
        if sender.send(vec![1]).await.is_err() || receiver.recv().await.is_err() {
            break;
        }
        outcome.pings.push(start.elapsed());
    }
    while !script.hang_up && outcome.receive.is_none() && receiver.recv().await.is_ok() {}
    outcome
}

/// Gives how many messages of a flood there were.
async fn send_all<O: Sink>(
    script: &Script,
    sender: &mut cups::Sender<ChaCha20Poly1305, O>,
) -> Result<u64, cups::Error> {
    for message in &script.send {
        sender.send(message.clone()).await?;
    }
    for batch in &script.batches {
        sender.send_many(batch.iter().cloned()).await?;
    }
    let mut flooded = 0;
    let Some(flood) = &script.flood else {
        return Ok(flooded);
    };
    // Owned once and shared after: a clone of the buffer copies no bytes.
    let message = commonware_runtime::IoBufs::from(flood.message.clone());
    let start = Instant::now();
    while start.elapsed() < flood.duration {
        for _ in 0..16 {
            if flood.batch == 1 {
                sender.send(message.clone()).await?;
            } else {
                sender
                    .send_many((0..flood.batch).map(|_| message.clone()))
                    .await?;
            }
            flooded += flood.batch as u64;
        }
    }
    sender.send(Vec::<u8>::new()).await?;
    Ok(flooded)
}

async fn receive_all<I: Stream>(
    script: &Script,
    receiver: &mut cups::Receiver<ChaCha20Poly1305, I>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut first = None;
    for _ in 0..script.receive {
        match receiver.recv().await {
            Ok(message) if script.until_empty && message.is_empty() => break,
            Ok(message) => {
                first.get_or_insert_with(Instant::now);
                outcome.counted.0 += 1;
                outcome.counted.1 += message.len() as u64;
                if !script.count_only {
                    outcome.received.push(message.coalesce().as_ref().to_vec());
                }
            }
            Err(error) => {
                outcome.receive = Some(PeerError::of_record(&error));
                break;
            }
        }
    }
    outcome.elapsed = first.map_or(Duration::ZERO, |first| first.elapsed());
    outcome
}
