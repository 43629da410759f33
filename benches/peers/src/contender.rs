//! What is compared: who, doing what, and what came of it.

use std::time::Duration;

use crate::commonware::{Flood, Peer, RuntimeKind, Script, Settings};
use crate::ringseal_peer;

/// A stream of equal messages from one end to the other.
#[derive(Clone, Debug)]
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
}

impl Flow {
    /// Returns messages a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }
}

/// One implementation on one wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// This crate, with the version of both layers of the commonware wire.
    Ringseal(u8),
    /// commonware-stream, with its runtime and the version of both layers.
    Commonware(RuntimeKind, u8),
}

impl Contender {
    /// Everybody, ours first.
    pub const ALL: [Self; 6] = [
        Self::Ringseal(1),
        Self::Commonware(RuntimeKind::Tokio, 1),
        Self::Commonware(RuntimeKind::IoUring, 1),
        Self::Ringseal(0),
        Self::Commonware(RuntimeKind::Tokio, 0),
        Self::Commonware(RuntimeKind::IoUring, 0),
    ];

    /// Returns a short name.
    pub fn name(self) -> String {
        match self {
            Self::Ringseal(version) => format!("ringseal V{version}"),
            Self::Commonware(RuntimeKind::Tokio, version) => {
                format!("commonware tokio V{version}")
            }
            Self::Commonware(RuntimeKind::IoUring, version) => {
                format!("commonware io_uring V{version}")
            }
        }
    }

    /// Streams from a dialer on core 0 to a listener on core 1.
    pub fn stream(self, work: &Work) -> Flow {
        match self {
            Self::Ringseal(version) => ringseal_peer::stream(version, work),
            Self::Commonware(runtime, version) => {
                let sink = Script {
                    receive: usize::MAX,
                    count_only: true,
                    ..Script::default()
                };
                let flood = Script {
                    flood: Some(Flood {
                        message: vec![0x5a; work.size],
                        batch: work.batch,
                        duration: work.duration,
                    }),
                    hang_up: true,
                    ..Script::default()
                };
                let listener = Peer::listen(settings(2, 1, runtime, version), sink);
                let dialer = Peer::dial(
                    settings(1, 0, runtime, version),
                    listener.address(),
                    settings(2, 1, runtime, version).public_key(),
                    flood,
                );
                let sent = dialer.outcome();
                assert_eq!((sent.handshake, sent.send), (None, None));
                let outcome = listener.outcome();
                Flow {
                    messages: outcome.counted.0,
                    bytes: outcome.counted.1,
                    elapsed: outcome.elapsed,
                }
            }
        }
    }

    /// Times one-byte round trips between the same two cores.
    pub fn ping(self, count: usize) -> Vec<Duration> {
        match self {
            Self::Ringseal(version) => ringseal_peer::ping(version, count),
            Self::Commonware(runtime, version) => {
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
        }
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

/// Puts the calling thread, and those it starts, on one core, where there is such a core.
pub(crate) fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        eprintln!("not pinned to core {core}: {error}");
    }
}
