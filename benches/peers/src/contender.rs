//! Who can be measured, doing what, and what came of it.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::commonware::{Flood, Peer, RuntimeKind, Script, Settings};
use crate::noise::Noise;
use crate::pipeline;
use crate::plain_tcp::PlainTcp;
use crate::ringseal_peer::{self, Drive, Spoken};
use crate::tls::{Suite, Tls};
use crate::tokio_peer;

/// How many calls a sender makes before it looks whether its time is up.
pub(crate) const CALLS_A_CLOCK_READING: usize = 16;

/// A stream of equal messages from one end to the other.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Bytes of a message.
    pub size: usize,
    /// Messages handed over in one call.
    pub batch: usize,
    /// For how long the sender sends.
    pub duration: Duration,
}

/// What the receiver saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// Messages that were opened.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From the first to the last.
    pub elapsed: Duration,
    /// Processor time of the whole process meanwhile, with connecting and the handshake: that of
    /// both ends, if nothing else runs in the process.
    pub processor: Duration,
}

impl Flow {
    /// Returns messages a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns processor seconds for each 10^9 bytes of messages.
    #[expect(clippy::cast_precision_loss, reason = "a cost to be read by people")]
    pub fn processor_per_gigabyte(&self) -> f64 {
        self.processor.as_secs_f64() * 1e9 / self.bytes as f64
    }
}

/// Handshakes made one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshakes {
    /// How many.
    pub count: u64,
    /// What they took.
    pub elapsed: Duration,
}

impl Handshakes {
    /// Returns handshakes a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.elapsed.as_secs_f64()
    }
}

/// One implementation on one wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// This crate, with what drives it and what is spoken on the wire.
    Ringseal(Drive, Spoken),
    /// commonware-stream, with its runtime and the version of both layers.
    Commonware(RuntimeKind, u8),
    /// rustls over tokio: TLS 1.3 with one suite.
    Tls(Suite),
    /// snow over tokio: the Noise protocol.
    Noise,
    /// TCP over tokio without encryption.
    PlainTcp,
    /// Blocking sockets and one AEAD call a message: what the machine allows.
    BarePipeline,
    /// The same with records of 64 KiB for messages of less than 4 KiB.
    PackedPipeline(Suite),
}

impl Contender {
    /// Everybody, ours first.
    pub const ALL: [Self; 20] = [
        Self::Ringseal(Drive::Native, Spoken::V1),
        Self::Ringseal(Drive::BusyPolling, Spoken::V1),
        Self::Ringseal(Drive::TokioUring, Spoken::V1),
        Self::Ringseal(Drive::Epoll, Spoken::V1),
        Self::Ringseal(Drive::Native, Spoken::NativeAes),
        Self::Ringseal(Drive::BatchCalls, Spoken::NativeAes),
        Self::Ringseal(Drive::BatchCalls, Spoken::NativeChaCha),
        Self::Ringseal(Drive::Native, Spoken::NativeChaCha),
        Self::Commonware(RuntimeKind::Tokio, 1),
        Self::Commonware(RuntimeKind::IoUring, 1),
        Self::Ringseal(Drive::Native, Spoken::V0),
        Self::Commonware(RuntimeKind::Tokio, 0),
        Self::Commonware(RuntimeKind::IoUring, 0),
        Self::Tls(Suite::ChaCha20Poly1305),
        Self::Tls(Suite::Aes256Gcm),
        Self::Noise,
        Self::PlainTcp,
        Self::BarePipeline,
        Self::PackedPipeline(Suite::Aes256Gcm),
        Self::PackedPipeline(Suite::ChaCha20Poly1305),
    ];

    /// Returns a short name.
    pub fn name(self) -> String {
        match self {
            Self::Ringseal(drive, spoken) => format!("{} {}", drive.name(), spoken.name()),
            Self::Commonware(RuntimeKind::Tokio, version) => {
                format!("commonware tokio V{version}")
            }
            Self::Commonware(RuntimeKind::IoUring, version) => {
                format!("commonware io_uring V{version}")
            }
            Self::Tls(Suite::ChaCha20Poly1305) => "rustls ChaCha20-Poly1305".to_owned(),
            Self::Tls(Suite::Aes256Gcm) => "rustls AES-256-GCM".to_owned(),
            Self::Noise => "snow Noise XX ChaChaPoly".to_owned(),
            Self::PlainTcp => "plain TCP tokio".to_owned(),
            Self::BarePipeline => "bare pipeline".to_owned(),
            Self::PackedPipeline(Suite::Aes256Gcm) => "packed pipeline AES".to_owned(),
            Self::PackedPipeline(Suite::ChaCha20Poly1305) => "packed pipeline ChaCha".to_owned(),
        }
    }

    /// Streams from a dialer on core 0 to a listener on core 1.
    ///
    /// After each call all that was handed over is on its way: the peers that have a flush are
    /// flushed. ringseal and the bare pipeline coalesce calls by themselves instead.
    pub fn stream(self, work: &Work) -> Flow {
        let before = processor_time();
        let mut flow = match self {
            Self::Ringseal(drive, spoken) => ringseal_peer::stream(drive, spoken, work),
            Self::Commonware(runtime, version) => commonware_stream(runtime, version, work),
            Self::Tls(suite) => tokio_peer::stream(&Tls::new(suite), work),
            Self::Noise => tokio_peer::stream(&Noise, work),
            Self::PlainTcp => tokio_peer::stream(&PlainTcp, work),
            Self::BarePipeline => pipeline::stream(Suite::ChaCha20Poly1305, false, work),
            Self::PackedPipeline(suite) => pipeline::stream(suite, true, work),
        };
        flow.processor = processor_time().saturating_sub(before);
        flow
    }

    /// Is the listener of such a stream alone, on `address`, wherever the kernel runs it. Tells
    /// `ready` the address; serves one dialer. `None` from who only streams between two threads.
    pub fn listen(self, address: SocketAddr, ready: &mpsc::Sender<SocketAddr>) -> Option<Flow> {
        let mut flow = match self {
            Self::Ringseal(drive, spoken) => ringseal_peer::listen(drive, spoken, address, ready),
            Self::Commonware(runtime, version) => {
                let mut settings = settings(2, 0, runtime, version);
                (settings.core, settings.address) = (None, Some(address));
                let listener = Peer::listen(settings, sink());
                ready
                    .send(listener.address())
                    .expect("somebody waits for the address");
                flow_of(listener)
            }
            Self::Tls(_)
            | Self::Noise
            | Self::PlainTcp
            | Self::BarePipeline
            | Self::PackedPipeline(_) => return None,
        };
        flow.processor = processor_time();
        Some(flow)
    }

    /// Is the dialer of such a stream alone, and returns what it took of the processor. `None`
    /// from who only streams between two threads.
    pub fn dial(self, address: SocketAddr, work: &Work) -> Option<Duration> {
        match self {
            Self::Ringseal(drive, spoken) => {
                ringseal_peer::flood(drive, spoken, address.into(), work);
            }
            Self::Commonware(runtime, version) => {
                let mut settings = settings(1, 0, runtime, version);
                settings.core = None;
                commonware_flood(settings, address, work);
            }
            Self::Tls(_)
            | Self::Noise
            | Self::PlainTcp
            | Self::BarePipeline
            | Self::PackedPipeline(_) => return None,
        }
        Some(processor_time())
    }

    /// Times one-byte round trips between the same two cores. `None` from who only streams.
    pub fn ping(self, count: usize) -> Option<Vec<Duration>> {
        match self {
            Self::Ringseal(drive, spoken) => Some(ringseal_peer::ping(drive, spoken, count)),
            Self::Commonware(runtime, version) => Some(commonware_ping(runtime, version, count)),
            Self::Tls(suite) => Some(tokio_peer::ping(&Tls::new(suite), count)),
            Self::Noise => Some(tokio_peer::ping(&Noise, count)),
            Self::PlainTcp => Some(tokio_peer::ping(&PlainTcp, count)),
            Self::BarePipeline | Self::PackedPipeline(_) => None,
        }
    }

    /// Makes handshakes one after the other for a time, each on a fresh TCP connection, with both
    /// ends on core 0. One is over when both ends have finished it and the listener has dropped
    /// the connection. `None` from who has no handshake of the same kind: both ends prove an
    /// ed25519 identity.
    pub fn handshakes(self, duration: Duration) -> Option<Handshakes> {
        match self {
            Self::Ringseal(drive, spoken) => {
                Some(ringseal_peer::handshakes(drive, spoken, duration))
            }
            Self::Commonware(runtime, version) => {
                Some(commonware_handshakes(runtime, version, duration))
            }
            Self::Tls(_)
            | Self::Noise
            | Self::PlainTcp
            | Self::BarePipeline
            | Self::PackedPipeline(_) => None,
        }
    }
}

fn commonware_stream(runtime: RuntimeKind, version: u8, work: &Work) -> Flow {
    let listener = Peer::listen(settings(2, 1, runtime, version), sink());
    let address = listener.address();
    commonware_flood(settings(1, 0, runtime, version), address, work);
    flow_of(listener)
}

/// Takes in everything and keeps nothing.
fn sink() -> Script {
    Script {
        receive: usize::MAX,
        count_only: true,
        ..Script::default()
    }
}

fn commonware_flood(dialer: Settings, address: SocketAddr, work: &Work) {
    let flood = Script {
        flood: Some(Flood {
            message: vec![0x5a; work.size],
            batch: work.batch,
            duration: work.duration,
        }),
        hang_up: true,
        ..Script::default()
    };
    let peer = Settings::new(2, b"peers").public_key();
    let sent = Peer::dial(dialer, address, peer, flood).outcome();
    assert_eq!((sent.handshake, sent.send), (None, None));
}

/// What a listener saw.
fn flow_of(listener: Peer) -> Flow {
    let outcome = listener.outcome();
    Flow {
        messages: outcome.counted.0,
        bytes: outcome.counted.1,
        elapsed: outcome.elapsed,
        ..Flow::default()
    }
}

fn commonware_ping(runtime: RuntimeKind, version: u8, count: usize) -> Vec<Duration> {
    let echo = Script {
        receive: usize::MAX,
        echo: true,
        ..Script::default()
    };
    let ping = Script {
        pings: count,
        hang_up: true,
        ..Script::default()
    };
    let listener = Peer::listen(settings(2, 1, runtime, version), echo);
    let dialer = Peer::dial(
        settings(1, 0, runtime, version),
        listener.address(),
        settings(2, 1, runtime, version).public_key(),
        ping,
    );
    let pings = dialer.outcome().pings;
    listener.outcome();
    pings
}

fn commonware_handshakes(runtime: RuntimeKind, version: u8, duration: Duration) -> Handshakes {
    let script = Script {
        handshakes: Some(duration),
        ..Script::default()
    };
    let listener = Peer::listen(settings(2, 0, runtime, version), script.clone());
    let dialer = Peer::dial(
        settings(1, 0, runtime, version),
        listener.address(),
        settings(2, 0, runtime, version).public_key(),
        script,
    );
    let dialed = dialer.outcome();
    assert_eq!(dialed.handshake, None);
    let accepted = listener.outcome().handshakes;
    assert_eq!(accepted, dialed.handshakes, "both ends have finished each");
    Handshakes {
        count: dialed.handshakes,
        elapsed: dialed.elapsed,
    }
}

fn settings(seed: u8, core: usize, runtime: RuntimeKind, version: u8) -> Settings {
    let mut settings = Settings::new(seed, b"peers");
    settings.sake = version;
    settings.cups = version;
    settings.runtime = runtime;
    settings.core = Some(core);
    settings.workers = 1;
    settings
}

/// Processor time of all threads of the process, those that have ended included.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().expect("it is not negative")
}

/// Puts the calling thread, and those it starts, on one core, where there is such a core.
pub(crate) fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        eprintln!("not pinned to core {core}: {error}");
    }
}
