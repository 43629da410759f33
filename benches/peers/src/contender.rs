//! Who can be measured, and what each does.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::coalesced::{self, TcpBytes};
use crate::commonware::RuntimeKind;
use crate::commonware_peer;
#[cfg(feature = "compio")]
use crate::compio_tls;
#[cfg(feature = "tonic")]
use crate::grpc;
use crate::noise::Noise;
use crate::pipeline;
use crate::plain_tcp::PlainTcp;
#[cfg(feature = "quinn")]
use crate::quic;
use crate::ringseal_peer::{self, Drive, Spoken};
use crate::tls::{Suite, Tls, UnframedTls};
use crate::tokio_peer;
use crate::work::{Flow, Handshakes, Work};

/// How many streams a connection has that has several.
#[cfg(feature = "quinn")]
const SEVERAL_STREAMS: usize = 4;

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
    /// rustls over compio, another runtime over io_uring.
    #[cfg(feature = "compio")]
    CompioTls(Suite),
    /// quinn over tokio: QUIC with AES-256-GCM on as many streams.
    #[cfg(feature = "quinn")]
    Quic(usize),
    /// tonic over tokio: gRPC over TLS with AES-256-GCM.
    #[cfg(feature = "tonic")]
    Grpc,
    /// TCP over tokio without encryption.
    PlainTcp,
    /// The same with messages that leave together by themselves, as ringseal's do.
    CoalescedTcp,
    /// rustls over tokio, with messages that leave together in the same way.
    CoalescedTls(Suite),
    /// Blocking sockets and one AEAD call a message: what the machine allows.
    BarePipeline,
    /// The same with records of 64 KiB for messages of up to 4 KiB.
    PackedPipeline(Suite),
}

impl Contender {
    /// Everybody, ours first.
    pub const ALL: &'static [Self] = &[
        Self::Ringseal(Drive::Native, Spoken::V1),
        Self::Ringseal(Drive::BusyPolling, Spoken::V1),
        Self::Ringseal(Drive::TokioUring, Spoken::V1),
        Self::Ringseal(Drive::Epoll, Spoken::V1),
        Self::Ringseal(Drive::Native, Spoken::NativeAes),
        Self::Ringseal(Drive::BusyPolling, Spoken::NativeAes),
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
        #[cfg(feature = "compio")]
        Self::CompioTls(Suite::Aes256Gcm),
        #[cfg(feature = "quinn")]
        Self::Quic(1),
        #[cfg(feature = "quinn")]
        Self::Quic(SEVERAL_STREAMS),
        #[cfg(feature = "tonic")]
        Self::Grpc,
        Self::PlainTcp,
        Self::CoalescedTcp,
        Self::CoalescedTls(Suite::Aes256Gcm),
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
            #[cfg(feature = "compio")]
            Self::CompioTls(Suite::ChaCha20Poly1305) => {
                "rustls compio ChaCha20-Poly1305".to_owned()
            }
            #[cfg(feature = "compio")]
            Self::CompioTls(Suite::Aes256Gcm) => "rustls compio AES-256-GCM".to_owned(),
            #[cfg(feature = "quinn")]
            Self::Quic(1) => "quinn AES-256-GCM, 1 stream".to_owned(),
            #[cfg(feature = "quinn")]
            Self::Quic(streams) => format!("quinn AES-256-GCM, {streams} streams"),
            #[cfg(feature = "tonic")]
            Self::Grpc => "tonic TLS AES-256-GCM".to_owned(),
            Self::PlainTcp => "plain TCP tokio".to_owned(),
            Self::CoalescedTcp => "plain TCP coalesced".to_owned(),
            Self::CoalescedTls(suite) => format!("{} coalesced", Self::Tls(suite).name()),
            Self::BarePipeline => "bare pipeline".to_owned(),
            Self::PackedPipeline(Suite::Aes256Gcm) => "packed pipeline AES".to_owned(),
            Self::PackedPipeline(Suite::ChaCha20Poly1305) => "packed pipeline ChaCha".to_owned(),
        }
    }

    /// Says how it is given as many messages at a time, or `None` if it is not measured so: one that
    /// gathers messages by itself has no other way for several.
    pub fn call(self, batch: usize) -> Option<String> {
        let (one, several) = match self {
            Self::Ringseal(Drive::BatchCalls, _) => {
                return (1 < batch).then(|| "try_send, recv_batch".to_owned());
            }
            Self::CoalescedTcp
            | Self::CoalescedTls(_)
            | Self::BarePipeline
            | Self::PackedPipeline(_) => {
                return (batch == 1).then(|| "gathers by itself".to_owned());
            }
            #[cfg(feature = "tonic")]
            Self::Grpc if batch == 1 => return Some("from a channel".to_owned()),
            #[cfg(feature = "tonic")]
            Self::Grpc => return Some("from an iterator".to_owned()),
            Self::Ringseal(..) | Self::Commonware(..) => ("send", "send_many of"),
            #[cfg(feature = "quinn")]
            Self::Quic(_) => ("a write each", "a write per"),
            Self::Tls(_) | Self::Noise | Self::PlainTcp => ("a flush each", "a flush per"),
            #[cfg(feature = "compio")]
            Self::CompioTls(_) => ("a flush each", "a flush per"),
        };
        Some(match batch {
            1 => one.to_owned(),
            batch => format!("{several} {batch}"),
        })
    }

    /// Streams from a dialer on core 0 to a listener on core 1.
    ///
    /// After each call all that was handed over is on its way: the peers that have a flush are
    /// flushed. Those that gather messages by themselves do so instead.
    pub fn stream(self, work: &Work) -> Flow {
        let before = processor_time();
        let mut flow = match self {
            Self::Ringseal(drive, spoken) => ringseal_peer::stream(drive, spoken, work),
            Self::Commonware(runtime, version) => commonware_peer::stream(runtime, version, work),
            Self::Tls(suite) => tokio_peer::stream(&Tls::new(suite), work),
            Self::Noise => tokio_peer::stream(&Noise, work),
            #[cfg(feature = "compio")]
            Self::CompioTls(suite) => compio_tls::stream(suite, work),
            #[cfg(feature = "quinn")]
            Self::Quic(streams) => quic::stream(streams, work),
            #[cfg(feature = "tonic")]
            Self::Grpc => grpc::stream(work),
            Self::PlainTcp => tokio_peer::stream(&PlainTcp, work),
            Self::CoalescedTcp => coalesced::stream(&TcpBytes, work),
            Self::CoalescedTls(suite) => coalesced::stream(&UnframedTls(Tls::new(suite)), work),
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
                commonware_peer::listen(runtime, version, address, ready)
            }
            _ => return None,
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
                commonware_peer::dial(runtime, version, address, work);
            }
            _ => return None,
        }
        Some(processor_time())
    }

    /// Times one-byte round trips between the same two cores. `None` from who only streams.
    pub fn ping(self, count: usize) -> Option<Vec<Duration>> {
        match self {
            Self::Ringseal(drive, spoken) => Some(ringseal_peer::ping(drive, spoken, count)),
            Self::Commonware(runtime, version) => {
                Some(commonware_peer::ping(runtime, version, count))
            }
            Self::Tls(suite) => Some(tokio_peer::ping(&Tls::new(suite), count)),
            Self::Noise => Some(tokio_peer::ping(&Noise, count)),
            #[cfg(feature = "compio")]
            Self::CompioTls(suite) => Some(compio_tls::ping(suite, count)),
            #[cfg(feature = "quinn")]
            Self::Quic(1) => Some(quic::ping(count)),
            #[cfg(feature = "quinn")]
            Self::Quic(_) => None,
            #[cfg(feature = "tonic")]
            Self::Grpc => Some(grpc::ping(count)),
            Self::PlainTcp => Some(tokio_peer::ping(&PlainTcp, count)),
            Self::CoalescedTcp => Some(coalesced::ping(&TcpBytes, count)),
            Self::CoalescedTls(suite) => {
                Some(coalesced::ping(&UnframedTls(Tls::new(suite)), count))
            }
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
                Some(commonware_peer::handshakes(runtime, version, duration))
            }
            _ => None,
        }
    }
}

/// Processor time of all threads of the process, those that have ended included.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().expect("it is not negative")
}
