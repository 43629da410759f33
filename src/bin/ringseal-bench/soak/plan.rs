//! What happens on one connection. It follows from the seed and the number of the connection, so that
//! both ends know it, and a run can be repeated.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use ringseal::protocol::native::Suite;
use ringseal::protocol::record::CupsVersion;
use ringseal::{Backend, SakeVersion, Wire};
use ringseal_cli::args::BackendName;

use super::content::Content;
use super::random::{self, Random};

/// Bytes in a mebibyte.
const MIB: usize = 1 << 20;
/// The longest message that is sent at once.
pub(crate) const LONGEST: usize = 8 * MIB;
/// The longest that is sent in parts.
pub(crate) const LONGEST_STREAMED: usize = 24 * MIB;

/// What a lane does all the time. Each has its own kind, so that there are always some of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Connections that come and go.
    Churn,
    /// Many small messages, both ways.
    Steady,
    /// A reader that stops for a while.
    Stall,
    /// A socket that is shut or reset in the middle.
    Cut,
    /// Messages of several mebibytes, whole and streamed.
    Large,
    /// An end that drops the connection or gives it up.
    GiveUp,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Churn,
        Self::Steady,
        Self::Stall,
        Self::Cut,
        Self::Large,
        Self::GiveUp,
    ];

    /// What the lanes do, in turn.
    const LANES: [Self; 12] = [
        Self::Churn,
        Self::Steady,
        Self::Stall,
        Self::Cut,
        Self::Large,
        Self::GiveUp,
        Self::Churn,
        Self::Steady,
        Self::Stall,
        Self::Cut,
        Self::Churn,
        Self::Steady,
    ];

    const fn of_lane(lane: u32) -> Self {
        Self::LANES[lane as usize % Self::LANES.len()]
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Churn => "churn",
            Self::Steady => "steady",
            Self::Stall => "stall",
            Self::Cut => "cut",
            Self::Large => "large",
            Self::GiveUp => "give-up",
        }
    }
}

/// The drivers that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DriverName {
    Uring,
    TokioUring,
    Epoll,
}

impl DriverName {
    pub(crate) const ALL: [Self; 3] = [Self::Uring, Self::TokioUring, Self::Epoll];

    pub(crate) const fn backend(self) -> Backend {
        match self {
            Self::Uring => Backend::Uring,
            Self::TokioUring => Backend::TokioUring,
            Self::Epoll => Backend::Epoll,
        }
    }

    /// The commonware wire of its connections: each driver has other versions, so that all are tried.
    pub(crate) const fn commonware(self) -> Wire {
        let (sake, cups) = match self {
            Self::Uring => (SakeVersion::V1, CupsVersion::V1),
            Self::TokioUring => (SakeVersion::V1, CupsVersion::V0),
            Self::Epoll => (SakeVersion::V0, CupsVersion::V0),
        };
        Wire::Commonware { sake, cups }
    }
}

impl fmt::Display for DriverName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        BackendName::of(self.backend()).fmt(formatter)
    }
}

impl FromStr for DriverName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|driver| driver.to_string() == text);
        found.ok_or_else(|| "write uring, tokio-uring or epoll".to_owned())
    }
}

/// The number of a connection: its driver, its lane, and how many the lane has had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Episode {
    pub(crate) driver: DriverName,
    pub(crate) lane: u32,
    pub(crate) number: u64,
}

impl fmt::Display for Episode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.driver, self.lane, self.number)
    }
}

impl FromStr for Episode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let wrong = || "write driver, lane and number, as in uring/3/17".to_owned();
        let [driver, lane, number] = parts[..] else {
            return Err(wrong());
        };
        Ok(Self {
            driver: driver.parse()?,
            lane: lane.parse().map_err(|_| wrong())?,
            number: number.parse().map_err(|_| wrong())?,
        })
    }
}

/// Bytes in the messages of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// How messages are given to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendBy {
    Send,
    TrySend,
    SendMany,
    Reserve,
    Stream,
}

/// How messages are taken from the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceiveBy {
    Recv,
    RecvBatch,
    RecvStream,
}

/// When a reader stops, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// Before this message.
    pub(crate) at: u64,
    pub(crate) length: Duration,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) key: u64,
    pub(crate) messages: u64,
    pub(crate) sizes: Sizes,
    pub(crate) send: SendBy,
    pub(crate) receive: ReceiveBy,
    /// Messages between two updates of the keys; 0 for none.
    pub(crate) update_every: u64,
    pub(crate) stall: Option<Stall>,
}

impl Flow {
    /// A direction without messages.
    #[cfg(test)]
    pub(crate) const fn quiet(key: u64) -> Self {
        Self {
            key,
            messages: 0,
            sizes: Sizes { least: 0, most: 0 },
            send: SendBy::Send,
            receive: ReceiveBy::Recv,
            update_every: 0,
            stall: None,
        }
    }

    /// The bytes of a message and how many there are.
    pub(crate) fn message(&self, index: u64) -> (Content, usize) {
        let content = Content::of(self.key, index);
        let span = (self.sizes.most - self.sizes.least + 1) as u64;
        let more = content.number() % span;
        // Below the span, and so within usize.
        let length = self.sizes.least + usize::try_from(more).unwrap_or(0);
        (content, length)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialer,
    Listener,
}

/// What a relay does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Whose bytes are counted.
    pub(crate) from: Side,
    /// After so many of them.
    pub(crate) after: u64,
    /// A reset instead of an end.
    pub(crate) is_reset: bool,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Both ends send everything, close, and read to the end.
    InOrder,
    /// On the way.
    Cut(Cut),
    /// An end has sent all of its messages and drops the connection.
    Dropped(Side),
    /// An end has sent all of its messages and gives the connection up.
    Aborted(Side),
}

/// All that happens on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) wire: Wire,
    pub(crate) transport: Transport,
    pub(crate) to_listener: Flow,
    pub(crate) to_dialer: Flow,
    pub(crate) ends: Ends,
}

impl Plan {
    /// The plan of a connection.
    pub(crate) fn of(seed: u64, episode: Episode) -> Self {
        let driver = random::at(seed, episode.driver as u64);
        let lane = random::at(driver, u64::from(episode.lane));
        let mut random = Random::new(random::at(lane, episode.number));
        let kind = Kind::of_lane(episode.lane);
        let native = |suite| Wire::Native { suite };
        let wire = random.one_of(&[
            native(Suite::Aes256Gcm),
            native(Suite::ChaCha20Poly1305),
            episode.driver.commonware(),
        ]);
        let transport = random.one_of(&[Transport::Tcp, Transport::Unix]);
        Self {
            kind,
            wire,
            transport,
            to_listener: flow(kind, wire, &mut random),
            to_dialer: flow(kind, wire, &mut random),
            ends: ends(kind, &mut random),
        }
    }

    /// Whether anything but an orderly end may be seen.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.ends != Ends::InOrder
    }
}

fn flow(kind: Kind, wire: Wire, random: &mut Random) -> Flow {
    let key = random.next();
    let sizes = |least, most| Sizes { least, most };
    let small = random.one_of(&[
        sizes(0, 64),
        sizes(64, 64),
        sizes(1, 1500),
        sizes(4000, 4200),
    ]);
    let mixed = random.one_of(&[
        small,
        sizes(0, 20_000),
        sizes(16_384, 16_384),
        sizes(60_000, 140_000),
    ]);
    let is_streamed = kind == Kind::Large && wire.is_native() && random.once_in(2);
    let (messages, sizes) = match kind {
        Kind::Churn => (random.between(0, 30), mixed),
        Kind::Steady => (random.between(5_000, 60_000), small),
        Kind::Stall => (random.between(200, 2_000), sizes(1_000, 20_000)),
        Kind::Cut | Kind::GiveUp => (random.between(0, 1_000), mixed),
        Kind::Large if is_streamed => (random.between(1, 2), sizes(MIB, LONGEST_STREAMED)),
        Kind::Large => (random.between(1, 4), sizes(MIB, LONGEST)),
    };
    let is_long = sizes.most > LONGEST;
    Flow {
        key,
        messages,
        sizes,
        send: if is_streamed {
            SendBy::Stream
        } else {
            random.one_of(&[
                SendBy::Send,
                SendBy::TrySend,
                SendBy::SendMany,
                SendBy::Reserve,
            ])
        },
        receive: if is_long {
            ReceiveBy::RecvStream
        } else {
            random.one_of(&[ReceiveBy::Recv, ReceiveBy::RecvBatch, ReceiveBy::RecvStream])
        },
        update_every: if random.once_in(2) {
            random.between(1, 3_000)
        } else {
            0
        },
        stall: (kind == Kind::Stall).then(|| Stall {
            at: random.between(0, messages),
            length: Duration::from_millis(random.between(50, 1_500)),
        }),
    }
}

fn ends(kind: Kind, random: &mut Random) -> Ends {
    let side = random.one_of(&[Side::Dialer, Side::Listener]);
    match kind {
        Kind::Cut => Ends::Cut(Cut {
            from: side,
            // Some in the handshake, most behind it.
            after: random.one_of(&[2_000, 100_000, 2_000_000]) * random.between(0, 1_000) / 1_000,
            is_reset: random.once_in(2),
        }),
        Kind::GiveUp if random.once_in(2) => Ends::Dropped(side),
        Kind::GiveUp => Ends::Aborted(side),
        _ => Ends::InOrder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans() -> impl Iterator<Item = Plan> {
        let episodes = DriverName::ALL.into_iter().flat_map(|driver| {
            (0..12).flat_map(move |lane| {
                (0..100).map(move |number| Episode {
                    driver,
                    lane,
                    number,
                })
            })
        });
        episodes.map(|episode| Plan::of(7, episode))
    }

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        let episode: Episode = "tokio-uring/3/17".parse().expect("an episode");
        assert_eq!(episode.to_string(), "tokio-uring/3/17");
        assert_eq!(Plan::of(1, episode), Plan::of(1, episode));
        assert_ne!(Plan::of(1, episode), Plan::of(2, episode));
        for text in [
            "",
            "uring",
            "uring/1",
            "uring/1/x",
            "ring/1/1",
            "uring/1/1/1",
        ] {
            assert!(text.parse::<Episode>().is_err(), "{text}");
        }
    }

    #[test]
    fn everything_that_is_promised_happens() {
        let all: Vec<Plan> = plans().collect();
        let some = |what: &str, holds: &dyn Fn(&Plan) -> bool| {
            assert!(all.iter().any(holds), "{what} never happens");
        };
        for kind in Kind::ALL {
            some(kind.name(), &|plan| plan.kind == kind);
            for transport in [Transport::Tcp, Transport::Unix] {
                some("a transport", &|plan| {
                    plan.kind == kind && plan.transport == transport
                });
            }
            for suite in [Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
                let wire = Wire::Native { suite };
                some("a suite", &|plan| plan.kind == kind && plan.wire == wire);
            }
            for driver in DriverName::ALL {
                let wire = driver.commonware();
                some("the commonware wire", &|plan| {
                    plan.kind == kind && plan.wire == wire
                });
            }
        }
        for send in [
            SendBy::Send,
            SendBy::TrySend,
            SendBy::SendMany,
            SendBy::Reserve,
            SendBy::Stream,
        ] {
            some("a way to send", &|plan| plan.to_listener.send == send);
        }
        for receive in [ReceiveBy::Recv, ReceiveBy::RecvBatch, ReceiveBy::RecvStream] {
            some("a way to receive", &|plan| {
                plan.to_dialer.receive == receive
            });
        }
        some("an update", &|plan| plan.to_dialer.update_every > 0);
        some(
            "a reset",
            &|plan| matches!(plan.ends, Ends::Cut(cut) if cut.is_reset),
        );
        some(
            "a shut socket",
            &|plan| matches!(plan.ends, Ends::Cut(cut) if !cut.is_reset),
        );
        some("a drop", &|plan| matches!(plan.ends, Ends::Dropped(_)));
        some("an abort", &|plan| matches!(plan.ends, Ends::Aborted(_)));
        some("a stall", &|plan| plan.to_listener.stall.is_some());
    }

    #[test]
    fn only_the_wire_that_has_parts_streams() {
        for plan in plans() {
            for flow in [plan.to_listener, plan.to_dialer] {
                assert!(plan.wire.is_native() || flow.send != SendBy::Stream);
                assert!(flow.sizes.most <= LONGEST || flow.receive == ReceiveBy::RecvStream);
            }
        }
    }
}
