//! What a seed has chosen: the peers' settings, the network between them, what they do, what goes
//! wrong.

use core::num::NonZeroU32;
use core::time::Duration;

use ringseal::protocol::native::Suite;
use ringseal::{Config, CupsVersion, Identity, Runtime, RuntimeBuilder, SakeVersion, Wire};

use crate::channel::{Conditions, Cut};
use crate::forger::Flaw;
use crate::patience::{Fate, Patience};
use crate::random::Random;

/// What all peers say they belong to.
pub(crate) const NAMESPACE: &str = "simulation";

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Whatever the network does, all of it arrives in time, and so does everything that is sent.
    Calm,
    /// Memory is short, one peer does not read, and the others get on.
    Crowded,
    /// Peers leave early: they abort, or turn away from what comes.
    Leaving,
    /// The wire is cut.
    Cut,
    /// A bit is flipped.
    Flip,
    /// A peer falls silent, or does not read, and the limits on that are kept.
    Silent,
    /// Something happens before there is a connection.
    Handshake,
    /// The runtime ends in the middle of everything.
    Abandoned,
}

/// Everything that is decided beforehand.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) kind: Kind,
    pub(crate) slots: usize,
    pub(crate) slot_size: usize,
    pub(crate) heap_budget: usize,
    pub(crate) pairs: Vec<Pair>,
    /// When the clock steps, and by how much, in milliseconds.
    pub(crate) steps: Vec<(u64, u64)>,
}

/// Two peers and the wire between them.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) wire: Wire,
    /// The dialer's and the listener's.
    pub(crate) ends: [End; 2],
    /// What they do: the dialer's sender with the listener's receiver, then the other way round.
    pub(crate) directions: [Direction; 2],
    pub(crate) conditions: [Conditions; 2],
    pub(crate) fault: Fault,
    /// When a direction stalls, and for how long, in milliseconds.
    pub(crate) stall: Option<(usize, u64, u64)>,
    /// Whether its receivers begin only when all others are done.
    pub(crate) is_blocked: bool,
    /// Whether what is written is looked through for repetitions.
    pub(crate) is_recorded: bool,
}

/// The settings of a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) padding: Option<NonZeroU32>,
    pub(crate) message_limit: u32,
    pub(crate) streamed_limit: u64,
    /// In milliseconds.
    pub(crate) idle: Option<u64>,
    pub(crate) progress: Option<u64>,
    pub(crate) awaits_accept: bool,
    pub(crate) deadline: u64,
}

/// What goes wrong with a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// A direction is cut that many bytes behind the handshake.
    CutBehind(usize, u64, Cut),
    /// It is cut so many milliseconds after the handshake.
    CutAfter(usize, u64, Cut),
    /// A byte is changed that many bytes behind the handshake.
    Flip(usize, u64, u8),
    /// The receiver of a direction stops reading, for good, after so many messages.
    Deaf(usize, u64),
    /// A direction is cut within the handshake.
    EarlyCut(usize, u64, Cut),
    EarlyFlip(usize, u64, u8),
    /// The call of one end is given up.
    GivenUp(usize, Patience),
    /// The listener does not list the dialer.
    NotAdmitted,
    /// The dialer does not keep to the handshake.
    Forged(Flaw),
    /// A direction stalls after so many milliseconds, for as many as the second number says.
    Stall(usize, u64, u64),
}

/// What a sender and the receiver at the other end do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    /// Calls of the sender.
    pub(crate) calls: u64,
    /// Bytes of the longest message.
    pub(crate) longest: usize,
    /// Whether messages may be longer than what is put together, and are taken in parts.
    pub(crate) is_streamed: bool,
    /// How many times in a hundred a call is given up.
    pub(crate) gives_up: u32,
    pub(crate) leaks: bool,
    /// The longest pause between two calls of the sender, in milliseconds.
    pub(crate) sender_pause: u64,
    /// How many pauses the receiver makes.
    pub(crate) receiver_pauses: u32,
    /// How many messages the receiver holds at a time.
    pub(crate) holds: usize,
    pub(crate) ending: Ending,
    /// After how many messages the receiver turns away.
    pub(crate) leaves_after: Option<u64>,
}

/// How a sender ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    /// The future of the close is dropped early.
    CloseDropped(Patience),
    Drop,
    Abort(u16),
}

impl Scenario {
    /// Draws all of it.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let kind = random.weighted(&[
            (40, Kind::Calm),
            (12, Kind::Crowded),
            (12, Kind::Leaving),
            (12, Kind::Cut),
            (8, Kind::Flip),
            (8, Kind::Silent),
            (9, Kind::Handshake),
            (2, Kind::Abandoned),
        ]);
        let count = match kind {
            Kind::Crowded => random.between(2, 4),
            Kind::Calm => random.weighted(&[(80, 1), (15, 2), (5, 3)]),
            _ => 1,
        };
        let pairs = (0..count).map(|_| Pair::draw(random, kind)).collect();
        let mut scenario = Self {
            kind,
            slots: random.one_of(&[4, 4, 5, 6, 8, 10, 16]),
            slot_size: random.one_of(&[4096, 4096, 8192, 16_384, 65_536]),
            heap_budget: random.one_of(&[0, 0, 40_000, 100_000, 1 << 20]),
            pairs,
            steps: Vec::new(),
        };
        scenario.block_one();
        scenario.draw_steps(random);
        scenario
    }

    fn block_one(&mut self) {
        if self.kind == Kind::Crowded {
            self.pairs[0].is_blocked = true;
            for end in self.pairs.iter_mut().flat_map(|pair| &mut pair.ends) {
                (end.idle, end.progress) = (None, None);
            }
        }
    }

    /// A step is longer than what a sender that is dropped is given in the background, so there is
    /// none where something is dropped.
    fn draw_steps(&mut self, random: &mut Random) {
        if !matches!(self.kind, Kind::Calm | Kind::Silent) || !random.chance(25) {
            return;
        }
        for direction in self.pairs.iter_mut().flat_map(|pair| &mut pair.directions) {
            direction.ending = Ending::Close;
        }
        for _ in 0..random.between(1, 3) {
            let step = (random.between(0, 400), random.between(1000, 100_000));
            self.steps.push(step);
        }
        self.steps.sort_unstable();
    }

    pub(crate) fn runtime(&self) -> RuntimeBuilder {
        Runtime::builder()
            .paused_time()
            .slots(self.slots)
            .slot_size(self.slot_size)
            .heap_budget(self.heap_budget)
    }
}

impl Pair {
    fn draw(random: &mut Random, kind: Kind) -> Self {
        let wire = draw_wire(random);
        let is_tiny = random.chance(25);
        let is_streamed = wire.is_native() && !is_tiny && random.chance(15);
        let message_limit = random.one_of(&[20_000, 70_000, 200_000]);
        let longest = match (is_tiny, kind) {
            (true, _) => 300,
            (_, Kind::Crowded) => message_limit.min(40_000),
            _ => message_limit,
        };
        let longest = usize::try_from(longest).expect("a length");
        let mut ends = [0, 1].map(|_| End::draw(random, kind, message_limit, wire));
        if is_tiny {
            // Long records of padding would pass in too many small pieces.
            for end in &mut ends {
                end.padding = end.padding.filter(|step| step.get() < 100);
            }
        }
        let is_quiet = ends.iter().any(|end| end.idle.is_some());
        let mut directions = [0, 1].map(|_| Direction::draw(random, kind, longest, is_streamed));
        // If nobody reads, nobody gets on.
        if directions[0].leaves_after.is_some() {
            directions[1].leaves_after = None;
        }
        if is_quiet && wire.is_native() {
            // Longer than any limit: keep-alive has to carry it.
            directions[random.length(0, 1)].sender_pause = 6_000;
        }
        let mut pair = Self {
            wire,
            ends,
            directions,
            conditions: [0, 1].map(|_| draw_conditions(random, is_tiny)),
            fault: Fault::draw(random, kind, longest, wire),
            stall: None,
            is_blocked: false,
            is_recorded: random.chance(10),
        };
        if random.chance(30) {
            pair.draw_stall(random, kind);
        }
        pair
    }

    /// Has a direction stall for less than what ends the connection, and sometimes for little less.
    fn draw_stall(&mut self, random: &mut Random, kind: Kind) {
        let (which, after) = (random.length(0, 1), random.between(0, 300));
        let mut duration = random.between(1, 600);
        let is_long = matches!(kind, Kind::Calm | Kind::Crowded) && random.chance(50);
        let longest = self.shortest_limit().map_or(90_000, survived);
        if is_long && longest > duration {
            duration = random.between(duration.max(longest.saturating_sub(500)), longest);
            // A sender that is dropped is given less than that.
            for direction in &mut self.directions {
                direction.ending = Ending::Close;
            }
        }
        self.stall = Some((which, after, duration));
    }

    fn shortest_limit(&self) -> Option<u64> {
        let limits = self.ends.iter().flat_map(|end| [end.idle, end.progress]);
        limits.flatten().min()
    }

    /// Whether a stall of so many milliseconds may end the connection.
    pub(crate) fn may_end_in(&self, stall: u64) -> bool {
        self.shortest_limit()
            .is_some_and(|limit| stall > survived(limit))
    }

    /// The identity of an end: the dialer is 0.
    pub(crate) fn identity(end: usize) -> Identity {
        let seed = [u8::try_from(end).expect("small") + 1; 32];
        Identity::from_seed(&seed)
    }

    /// The configurations of both ends, the dialer's first.
    pub(crate) fn configs(&self) -> [Config; 2] {
        [0, 1].map(|which| {
            let end = &self.ends[which];
            let milliseconds = |limit: Option<u64>| limit.map(Duration::from_millis);
            Config::new(Self::identity(which), NAMESPACE)
                .wire(self.wire)
                .padding(end.padding)
                .max_message_size(end.message_limit)
                .max_streamed_size(end.streamed_limit)
                .idle_timeout(milliseconds(end.idle))
                .progress_timeout(milliseconds(end.progress))
                .handshake_deadline(Duration::from_millis(end.deadline))
                .await_accept(end.awaits_accept)
        })
    }

    /// Whether an end gives the connection up.
    pub(crate) fn aborts(&self) -> bool {
        let is_abort = |direction: &Direction| matches!(direction.ending, Ending::Abort(_));
        self.directions.iter().any(is_abort)
    }
}

/// The longest stall in milliseconds that no connection with `limit` ends in: before it the peer may
/// have been quiet for as long as keep-alive lets it be, and receivers pause.
const fn survived(limit: u64) -> u64 {
    (limit / 3 * 2).saturating_sub(1_500)
}

fn draw_wire(random: &mut Random) -> Wire {
    if random.chance(65) {
        let suite = random.one_of(&Suite::ALL);
        return Wire::Native { suite };
    }
    Wire::Commonware {
        sake: random.one_of(&[SakeVersion::V0, SakeVersion::V1]),
        cups: random.one_of(&[CupsVersion::V0, CupsVersion::V1]),
    }
}

fn draw_conditions(random: &mut Random, is_tiny: bool) -> Conditions {
    // A sender that is dropped has some seconds for each buffer, so that much has to pass.
    let (latency, capacity, chunk) = if is_tiny {
        let latency = random.one_of(&[(0, 0), (1, 1), (0, 3)]);
        (latency, random.length(200, 4000), random.length(1, 9))
    } else {
        let latency = random.one_of(&[(0, 0), (0, 0), (0, 3), (1, 20), (5, 5), (20, 40)]);
        let capacity = random.length(8_000, 100_000);
        (latency, capacity, random.length(600, 100_000))
    };
    Conditions {
        latency,
        capacity,
        chunk,
        hesitation: random.one_of(&[0, 0, 5, 20]),
    }
}

impl End {
    fn draw(random: &mut Random, kind: Kind, message_limit: u32, wire: Wire) -> Self {
        let padding = random.one_of(&[None, None, None, Some(1), Some(64), Some(1000), Some(5000)]);
        // What the application does not send is not sent on the other wire: there silence is silence.
        let may_be_quiet = wire.is_native() || kind == Kind::Silent || kind == Kind::Cut;
        let has_limits = match kind {
            Kind::Silent | Kind::Cut | Kind::Flip => true,
            Kind::Leaving | Kind::Crowded => false,
            _ => random.chance(40),
        };
        let progress = random.between(3_000, 20_000);
        let idle = random.between(3_000, 5_000);
        Self {
            padding: padding.and_then(NonZeroU32::new),
            message_limit,
            streamed_limit: 400_000,
            idle: (has_limits && may_be_quiet).then_some(idle),
            progress: has_limits.then_some(progress),
            awaits_accept: random.chance(80),
            deadline: random.between(2_000, 8_000),
        }
    }
}

impl Direction {
    fn draw(random: &mut Random, kind: Kind, longest: usize, is_streamed: bool) -> Self {
        let mut direction = Self {
            calls: random.one_of(&[0, 1, 3, 8, 8, 15, 25]),
            longest,
            is_streamed,
            gives_up: random.one_of(&[0, 10, 30]),
            leaks: random.chance(30),
            sender_pause: random.one_of(&[0, 0, 5, 40]),
            receiver_pauses: random.one_of(&[0, 0, 1, 3]),
            holds: random.one_of(&[0, 0, 1, 4]),
            ending: Ending::draw(random),
            leaves_after: None,
        };
        match kind {
            Kind::Crowded => direction.ending = Ending::Close,
            Kind::Leaving if random.chance(40) => {
                let reason = 256 + u16::from(random.chance(50));
                direction.ending = Ending::Abort(reason);
            }
            Kind::Leaving if random.chance(60) => {
                direction.leaves_after = Some(random.between(0, 5));
            }
            _ => {}
        }
        direction
    }
}

impl Ending {
    fn draw(random: &mut Random) -> Self {
        match random.between(0, 4) {
            0 | 1 => Self::Close,
            2 | 3 => Self::CloseDropped(Patience::any_point(random, Fate::Dropped)),
            _ => Self::Drop,
        }
    }
}

impl Fault {
    fn draw(random: &mut Random, kind: Kind, longest: usize, wire: Wire) -> Self {
        let which = random.length(0, 1);
        let behind = random.between(0, 3 * longest as u64);
        let behind = random.one_of(&[behind, behind / 10, behind / 100]);
        let after = random.between(0, 400);
        let bits = 1_u8 << random.between(0, 7);
        let cut = random.one_of(&[Cut::End, Cut::End, Cut::Reset, Cut::Silence]);
        let early = random.between(0, 1_400);
        let given_up = Patience::any_point(random, Fate::Dropped);
        let flaw = match wire.is_native() {
            true => random.one_of(&[Flaw::None, Flaw::Signer, Flaw::Finished, Flaw::Finished]),
            false => Flaw::Signer,
        };
        match kind {
            Kind::Calm | Kind::Crowded | Kind::Leaving | Kind::Abandoned => Self::None,
            Kind::Cut if random.chance(70) => Self::CutBehind(which, behind, cut),
            Kind::Cut => Self::CutAfter(which, after, cut),
            Kind::Flip => Self::Flip(which, behind, bits),
            Kind::Silent if random.chance(30) => Self::Deaf(which, random.between(0, 3)),
            Kind::Silent if random.chance(40) => {
                Self::Stall(which, after, random.between(1_000, 25_000))
            }
            Kind::Silent if random.chance(60) => Self::CutBehind(which, behind, Cut::Silence),
            Kind::Silent => Self::CutAfter(which, after, Cut::Silence),
            Kind::Handshake => random.one_of(&[
                Self::EarlyCut(which, early, cut),
                Self::EarlyCut(which, early / 10, cut),
                Self::EarlyFlip(which, early, bits),
                Self::EarlyFlip(which, early / 10, bits),
                Self::GivenUp(which, given_up),
                Self::GivenUp(which, given_up),
                Self::NotAdmitted,
                Self::Forged(flaw),
                Self::Forged(flaw),
            ]),
        }
    }
}
