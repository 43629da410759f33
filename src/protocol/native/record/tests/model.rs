//! Random interleavings of everything a sender can do, against a model of what must arrive.

use super::*;
use proptest::prelude::*;

/// One thing that a sender does.
#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    /// Writes a message in place, or gives the place up.
    Reserve(usize, bool),
    /// A message in parts of these lengths, with a control frame between them, completed or given
    /// up.
    Parts(Vec<usize>, bool),
    Alive,
    Leaving(u16),
    Update,
    Nothing(usize),
    /// The draft leaves.
    Leave,
}

/// The limits of both ends and how records are made.
#[derive(Clone, Debug)]
struct Setting {
    suite: Suite,
    record_limit: u32,
    message_limit: u64,
    packing_limit: usize,
    padding: u32,
    draft: usize,
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0_usize..300,
        2 => prop_oneof![Just(127_usize), Just(128), Just(4_095), Just(4_096), Just(4_097)],
        2 => 300_usize..9_000,
        1 => prop_oneof![Just(16_383_usize), Just(16_384), Just(16_385), Just(16_380)],
        1 => 9_000_usize..70_000,
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => length().prop_map(Act::Append),
        3 => (length(), any::<bool>()).prop_map(|(length, used)| Act::Reserve(length, used)),
        2 => (proptest::collection::vec(1_usize..20_000, 1..5), any::<bool>())
            .prop_map(|(parts, complete)| Act::Parts(parts, complete)),
        1 => Just(Act::Alive),
        1 => any::<u16>().prop_map(Act::Leaving),
        1 => Just(Act::Update),
        1 => (4_usize..500).prop_map(Act::Nothing),
        3 => Just(Act::Leave),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    (
        any::<bool>(),
        prop_oneof![Just(16_384_u32), Just(20_001), Just(65_536), Just(1 << 20)],
        prop_oneof![Just(Settings::UNLIMITED), Just(0), Just(5_000), Just(40_000)],
        prop_oneof![Just(0_usize), Just(100), Just(4_096), Just(usize::MAX)],
        prop_oneof![3 => Just(0_u32), 1 => Just(1), 1 => Just(64), 1 => Just(5_000), 1 => Just(u32::MAX)],
        prop_oneof![Just(64_usize), Just(5_000), Just(70_000), Just(300_000)],
    )
        .prop_map(
            |(first, record_limit, message_limit, packing_limit, padding, draft)| Setting {
                suite: Suite::ALL[usize::from(first)],
                record_limit,
                message_limit,
                packing_limit,
                padding,
                draft,
            },
        )
}

/// What must arrive, in order of kind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arrival {
    messages: Vec<Vec<u8>>,
    events: Vec<Event>,
}

/// A sender, what has left it, and what must arrive.
struct Sender {
    sealer: Sealer,
    draft: Draft<Vec<u8>>,
    capacity: usize,
    left: Vec<u8>,
    expected: Arrival,
    sent: usize,
}

impl Sender {
    fn new(setting: &Setting) -> Self {
        let wire = Wire::new(setting.suite).limits(setting.record_limit, setting.message_limit);
        Self {
            sealer: wire.sealer_with(setting.packing_limit, setting.padding),
            draft: Draft::new(vec![0x5a; setting.draft]),
            capacity: setting.draft,
            left: vec![],
            expected: Arrival::default(),
            sent: 0,
        }
    }

    /// Lets the draft leave and begins one with room for `needed` bytes.
    fn leave(&mut self, needed: usize) {
        self.sealer.finish(&mut self.draft).unwrap();
        assert!(!self.draft.has_open());
        self.left.extend(self.draft.sealed());
        self.draft = Draft::new(vec![0x5a; self.capacity.max(needed)]);
    }

    /// Tries `work` in this draft, then, if there is no room, in one that has enough for certain.
    fn with_room(
        &mut self,
        enough: usize,
        mut work: impl FnMut(&mut Sealer, &mut Draft<Vec<u8>>) -> Result<(), SealError>,
    ) {
        let before = self.draft.sealed().len();
        match work(&mut self.sealer, &mut self.draft) {
            Err(SealError::NoRoom { needed, room }) => {
                assert!(needed > room && self.draft.sealed().len() == before);
                self.leave(enough);
                assert_eq!(work(&mut self.sealer, &mut self.draft), Ok(()));
            }
            result => assert_eq!(result, Ok(())),
        }
    }

    fn next(&mut self, length: usize) -> Vec<u8> {
        self.sent += 1;
        message(self.sent, length)
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Append(length) => self.append(*length),
            Act::Reserve(length, used) => self.reserve(*length, *used),
            Act::Parts(lengths, complete) => self.parts(lengths, *complete),
            Act::Alive => self.control(Frame::Alive, Event::Alive),
            Act::Leaving(reason) => self.control(Frame::Leaving(*reason), Event::Leaving(*reason)),
            Act::Update => {
                let mut updated = false;
                self.with_room(Sealer::CONTROL_ROOM, |sealer, draft| {
                    let before = draft.sealed().len();
                    let result = sealer.update(draft);
                    updated = draft.sealed().len() > before;
                    assert!(result.is_err() || sealer.keys().is_fresh());
                    result
                });
                if updated {
                    self.expected.events.push(Event::Updated);
                }
            }
            Act::Nothing(length) => {
                let enough = length + 64;
                self.with_room(enough, |sealer, draft| {
                    sealer.padding_record(draft, *length)
                });
                self.expected.events.push(Event::Padding);
            }
            Act::Leave => self.leave(0),
        }
    }

    fn control(&mut self, frame: Frame, event: Event) {
        self.with_room(Sealer::CONTROL_ROOM, |sealer, draft| {
            sealer.control(draft, frame)
        });
        self.expected.events.push(event);
    }

    /// Whether the peer takes a message of `length` bytes; if not, that is said.
    fn is_taken(&self, length: usize) -> bool {
        let limit = self.sealer.message_limit();
        let length = length as u64;
        if length <= limit {
            return true;
        }
        let planned = self.sealer.plan(usize::try_from(length).unwrap());
        assert_eq!(planned, Err(SealError::TooLarge { length, limit }));
        false
    }

    fn append(&mut self, length: usize) {
        if !self.is_taken(length) {
            return;
        }
        let message = self.next(length);
        let planned = self.sealer.plan(length).unwrap();
        self.with_room(planned.room(), |sealer, draft| {
            sealer.append(draft, planned, &message)
        });
        self.expected.messages.push(message);
    }

    fn reserve(&mut self, length: usize, used: bool) {
        if !self.is_taken(length) {
            return;
        }
        let planned = self.sealer.plan(length).unwrap();
        let limit = self.sealer.part_limit();
        if length > limit {
            let result = self.sealer.reserve(&mut self.draft, planned);
            let expected = SealError::TooLongInPlace { length, limit };
            assert_eq!(result.unwrap_err(), expected);
            return;
        }
        let message = self.next(length);
        self.with_room(planned.room(), |sealer, draft| {
            let place = sealer.reserve(draft, planned)?;
            draft.plaintext_mut(&place).copy_from_slice(&message);
            if !used {
                return Ok(());
            }
            sealer.append_reserved(draft, place)
        });
        if used {
            self.expected.messages.push(message);
        }
    }

    fn parts(&mut self, lengths: &[usize], complete: bool) {
        let mut whole = vec![];
        for length in lengths {
            let length = (*length).min(self.sealer.part_limit());
            let part = self.next(length);
            let limit = self.sealer.message_limit();
            let so_far = (whole.len() + length) as u64;
            if so_far > limit {
                // NATIVE 4.1: dropped when it reaches the limit.
                let result = self.sealer.part(&mut self.draft, &part, false);
                let length = so_far;
                assert_eq!(result, Err(SealError::TooLarge { length, limit }));
                break;
            }
            let room = self.sealer.part_room(length);
            self.with_room(room, |sealer, draft| sealer.part(draft, &part, false));
            whole.extend(part);
            self.control(Frame::Alive, Event::Alive);
            let planned = self.sealer.plan(0).unwrap();
            let result = self.sealer.append(&mut self.draft, planned, &[]);
            assert_eq!(result, Err(SealError::MidMessage));
        }
        if !self.sealer.is_mid_message() {
            let result = self.sealer.control(&mut self.draft, Frame::Drop);
            assert_eq!(result, Err(SealError::NoMessage));
        } else if complete {
            let room = self.sealer.part_room(0);
            self.with_room(room, |sealer, draft| sealer.part(draft, &[], true));
            self.expected.messages.push(whole);
        } else {
            let result = self.sealer.control(&mut self.draft, Frame::End);
            assert_eq!(result, Err(SealError::MidMessage));
            self.control(Frame::Drop, Event::Dropped);
        }
    }
}

fn run(setting: &Setting, acts: &[Act], pieces: &[usize]) {
    let mut sender = Sender::new(setting);
    acts.iter().for_each(|act| sender.act(act));
    sender.control(Frame::End, Event::Ended);
    sender.leave(0);
    let result = sender.sealer.control(&mut sender.draft, Frame::Alive);
    assert_eq!(result, Err(SealError::Ended));

    let wire = Wire::new(setting.suite).limits(setting.record_limit, setting.message_limit);
    let mut reader = Reader::new(wire.opener());
    let mut rest = &sender.left[..];
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*piece).min(rest.len()));
        reader.push(piece);
        rest = behind;
    }
    assert_eq!(reader.error, None);
    assert!(reader.messages == sender.expected.messages);
    assert_eq!(reader.events, sender.expected.events);
    assert!(reader.ended() && reader.buffer.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn everything_sent_arrives_in_its_order(
        setting in setting(),
        acts in proptest::collection::vec(act(), 0..40),
        pieces in proptest::collection::vec(
            prop_oneof![1_usize..10, 10_usize..5_000, Just(100_000_usize)], 1..20),
    ) {
        run(&setting, &acts, &pieces);
    }
}

// HAZARDS R9: in two pieces, cut at every byte, with every kind of record on the way.
#[test]
fn every_cut_gives_the_same() {
    for suite in Suite::ALL {
        let mut sender = Sender::new(&Setting {
            suite,
            record_limit: 16_384,
            message_limit: Settings::UNLIMITED,
            packing_limit: 100,
            padding: 0,
            draft: 400,
        });
        for act in [
            Act::Append(0),
            Act::Append(90),
            Act::Append(130),
            Act::Update,
            Act::Parts(vec![1, 40, 2], true),
            Act::Reserve(5, true),
            Act::Parts(vec![9], false),
            Act::Nothing(30),
            Act::Append(3),
            Act::Leaving(7),
        ] {
            sender.act(&act);
        }
        sender.control(
            Frame::Abort(AbortReason(300)),
            Event::Aborted(AbortReason(300)),
        );
        sender.leave(0);
        let wire = Wire::new(suite).limits(16_384, Settings::UNLIMITED);
        for cut in 0..=sender.left.len() {
            let mut reader = Reader::new(wire.opener());
            let (one, other) = sender.left.split_at(cut);
            reader.push(one);
            reader.push(other);
            assert_eq!(reader.error, None);
            assert!(reader.messages == sender.expected.messages);
            assert_eq!(reader.events, sender.expected.events);
        }
    }
}
