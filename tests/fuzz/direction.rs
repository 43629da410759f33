//! One direction between two ends, of either wire: what is sent, what is under way, what has come, and
//! what is to come by a model.

use core::convert::Infallible;
use core::fmt::Debug;

use ringseal::protocol::layout::{Draft, End, Incoming, IsNoRoom, Outgoing, Planned, Step};
use ringseal::protocol::native::record::{self as native, Event, Frame};
use ringseal::protocol::record as cups;

use crate::input::{Flags, Input};

/// What is given out, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Message(Vec<u8>),
    Event(Event),
}

impl From<Event> for Item {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

impl From<Infallible> for Item {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

type Submission = Draft<Vec<u8>>;

/// A sender, and what its wire has beside messages; by default nothing.
pub(crate) trait Sends: Outgoing<Error: Debug> {
    /// Whether the end of the stream is authenticated.
    const HAS_END: bool = false;

    fn longest(&self) -> u64;

    fn is_mid_message(&self) -> bool {
        false
    }

    fn is_ended(&mut self) -> bool {
        false
    }

    /// Seals a part of a message, and says how long it is.
    fn part(&mut self, _: &mut Submission, _: &[u8], _: bool) -> Option<Result<(), Self::Error>> {
        None
    }

    fn part_limit(&self) -> usize {
        0
    }

    fn part_room(&self, _: usize) -> usize {
        0
    }

    fn control(&mut self, _: &mut Submission, _: Frame) -> Option<Result<(), Self::Error>> {
        None
    }

    fn update(&mut self, _: &mut Submission) -> Option<Result<(), Self::Error>> {
        None
    }

    fn padding_record(&mut self, _: &mut Submission, _: usize) -> Option<Result<(), Self::Error>> {
        None
    }
}

impl Sends for cups::Sealer {
    fn longest(&self) -> u64 {
        self.max_message_size().into()
    }
}

impl Sends for native::Sealer {
    const HAS_END: bool = true;

    fn longest(&self) -> u64 {
        self.message_limit()
    }

    fn is_mid_message(&self) -> bool {
        Self::is_mid_message(self)
    }

    fn is_ended(&mut self) -> bool {
        let result = Self::control(self, &mut Draft::new(Vec::new()), Frame::Alive);
        result == Err(native::SealError::Ended)
    }

    fn part(
        &mut self,
        draft: &mut Submission,
        part: &[u8],
        last: bool,
    ) -> Option<Result<(), Self::Error>> {
        Some(Self::part(self, draft, part, last))
    }

    fn part_limit(&self) -> usize {
        Self::part_limit(self)
    }

    fn part_room(&self, length: usize) -> usize {
        Self::part_room(self, length)
    }

    fn control(&mut self, draft: &mut Submission, frame: Frame) -> Option<Result<(), Self::Error>> {
        Some(Self::control(self, draft, frame))
    }

    fn update(&mut self, draft: &mut Submission) -> Option<Result<(), Self::Error>> {
        Some(Self::update(self, draft))
    }

    fn padding_record(
        &mut self,
        draft: &mut Submission,
        length: usize,
    ) -> Option<Result<(), Self::Error>> {
        Some(Self::padding_record(self, draft, length))
    }
}

/// How much room any frame needs, and a record of the longest that is made to hold nothing.
const CONTROL_ROOM: usize = native::Sealer::CONTROL_ROOM;
const LONGEST_PADDING: usize = 600;

pub(crate) struct Direction<S, R> {
    sealer: S,
    draft: Submission,
    capacity: usize,
    /// All that has left the sender, and how much of it is under way no more.
    sent: Vec<u8>,
    delivered: Vec<u8>,
    /// Whether the network takes nothing more from the sender, or gives nothing more.
    is_cut: bool,
    opener: R,
    buffer: Vec<u8>,
    parts: Vec<u8>,
    /// What has to come, and how much of it has come.
    expected: Vec<Item>,
    received: usize,
    has_failed: bool,
    /// What the sender has sent of a message in parts.
    unfinished: Vec<u8>,
    count: u8,
}

impl<S: Sends, R: Incoming<Event: Into<Item>, Error: Debug>> Direction<S, R> {
    /// `expected` is what comes of the bytes that were `sent` before.
    pub(crate) fn new(
        (sealer, opener): (S, R),
        capacity: usize,
        sent: Vec<u8>,
        expected: Vec<Item>,
    ) -> Self {
        Self {
            sealer,
            draft: Draft::new(vec![0x5a; capacity]),
            capacity,
            sent,
            delivered: Vec::new(),
            is_cut: false,
            opener,
            buffer: Vec::new(),
            parts: Vec::new(),
            expected,
            received: 0,
            has_failed: false,
            unfinished: Vec::new(),
            count: 0,
        }
    }

    /// Does the next thing that `input` says.
    pub(crate) fn act(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0..=2 => {
                let length = usize::from(input.byte());
                self.send(length);
            }
            3 => {
                let length = input.below(60_000);
                self.send(length);
            }
            4 | 5 => self.reserve(input),
            6 => self.send_part(input),
            7 => self.control(Frame::Alive, Event::Alive),
            8 => self.update(),
            9 => self.say(input),
            10 => self.pad(input.below(LONGEST_PADDING)),
            11 | 12 => self.leave(0),
            13 | 14 => {
                let count = 1 + input.below(30_000);
                self.deliver(count);
            }
            _ => self.disturb(input),
        }
    }

    /// A message that no other is like.
    fn message(&mut self, length: usize) -> Vec<u8> {
        self.count = self.count.wrapping_add(1);
        let first = usize::from(self.count);
        (0..length)
            .map(|index| (first * 37 + index + index / 256).to_le_bytes()[0])
            .collect()
    }

    /// Plans a message if one may come; that none may is checked.
    fn plan(&mut self, length: usize) -> Option<Planned> {
        let planned = self.sealer.plan(length);
        assert_eq!(planned.is_ok(), length as u64 <= self.sealer.longest());
        let planned = planned.ok()?;
        if self.sealer.is_mid_message() || self.sealer.is_ended() {
            let message = vec![0; length];
            assert!(
                self.sealer
                    .append(&mut self.draft, planned, &message)
                    .is_err()
            );
            assert!(!self.sealer.append_at_once(&mut self.draft, &message));
            return None;
        }
        Some(planned)
    }

    fn send(&mut self, length: usize) {
        let Some(planned) = self.plan(length) else {
            return;
        };
        let message = self.message(length);
        if !self.sealer.append_at_once(&mut self.draft, &message) {
            self.with_room(planned.room(), |sealer, draft| {
                Some(sealer.append(draft, planned, &message))
            });
        }
        self.expected.push(Item::Message(message));
    }

    /// Writes a message in place, of which less may be kept than was reserved, or nothing.
    fn reserve(&mut self, input: &mut Input<'_>) {
        let mut flags = Flags::take_from(input);
        let (is_long, is_shorter, is_used) = (flags.next(), flags.next(), !flags.next());
        let length = match is_long {
            true => input.below(20_000),
            false => usize::from(input.byte()),
        };
        let kept = if is_shorter {
            input.below(length + 1)
        } else {
            length
        };
        let Some(planned) = self.plan(length) else {
            return;
        };
        if S::HAS_END && !planned.is_packed() && length > self.sealer.part_limit() {
            assert!(self.sealer.reserve(&mut self.draft, planned).is_err());
            return;
        }
        let message = self.message(length);
        self.with_room(planned.room(), |sealer, draft| {
            let mut place = match sealer.reserve(draft, planned) {
                Ok(place) => place,
                Err(error) => return Some(Err(error)),
            };
            draft.plaintext_mut(&place).copy_from_slice(&message);
            sealer.shorten(draft, &mut place, kept);
            assert_eq!(draft.plaintext(&place), &message[..kept]);
            Some(if is_used {
                sealer.append_reserved(draft, place)
            } else {
                Ok(())
            })
        });
        if is_used {
            self.expected.push(Item::Message(message[..kept].to_vec()));
        }
    }

    fn send_part(&mut self, input: &mut Input<'_>) {
        let mut flags = Flags::take_from(input);
        let (is_last, is_given_up) = (flags.next(), flags.next());
        let length = input.below(self.sealer.part_limit().clamp(1, 20_000));
        if !S::HAS_END || self.sealer.is_ended() {
            return;
        }
        if is_given_up && self.sealer.is_mid_message() {
            self.unfinished.clear();
            return self.control(Frame::Drop, Event::Dropped);
        }
        let part = self.message(length);
        let so_far = (self.unfinished.len() + length) as u64;
        if so_far > self.sealer.longest() || (length == 0 && !is_last) {
            let result = self.sealer.part(&mut self.draft, &part, is_last);
            assert!(result.is_some_and(|result| result.is_err()));
            return;
        }
        let room = self.sealer.part_room(length);
        self.with_room(room, |sealer, draft| sealer.part(draft, &part, is_last));
        self.unfinished.extend(part);
        if is_last {
            let message = core::mem::take(&mut self.unfinished);
            self.expected.push(Item::Message(message));
        }
    }

    fn control(&mut self, frame: Frame, event: Event) {
        if !S::HAS_END || self.sealer.is_ended() {
            return;
        }
        self.with_room(CONTROL_ROOM, |sealer, draft| sealer.control(draft, frame));
        self.expected.push(Item::Event(event));
    }

    fn update(&mut self) {
        if !S::HAS_END || self.sealer.is_ended() {
            return;
        }
        // The keys may be fresh, and then nothing is said.
        let mut grown = 0;
        self.with_room(CONTROL_ROOM, |sealer, draft| {
            let before = draft.sealed().len();
            let updated = sealer.update(draft);
            grown = draft.sealed().len() - before;
            updated
        });
        if grown > 0 {
            self.expected.push(Item::Event(Event::Updated));
        }
    }

    /// Says the end, that this end gives up, or that it is about to leave.
    fn say(&mut self, input: &mut Input<'_>) {
        let (tag, reason) = (input.byte(), u16::from_be_bytes(input.array()));
        let (frame, event) = match tag % 8 {
            0 => (Frame::End, Event::Ended),
            1 => {
                let reason = native::AbortReason(reason);
                (Frame::Abort(reason), Event::Aborted(reason))
            }
            _ => (Frame::Leaving(reason), Event::Leaving(reason)),
        };
        if frame == Frame::End && self.sealer.is_mid_message() {
            let result = self.sealer.control(&mut self.draft, frame);
            assert!(result.is_none_or(|result| result.is_err()));
            return;
        }
        self.control(frame, event);
    }

    fn pad(&mut self, length: usize) {
        if !S::HAS_END || self.sealer.is_ended() || length < 4 {
            return;
        }
        self.with_room(length + 64, |sealer, draft| {
            sealer.padding_record(draft, length)
        });
        self.expected.push(Item::Event(Event::Padding));
    }

    /// Tries `work` in this draft, then, if there is no room, in one that has `enough` for certain.
    fn with_room(
        &mut self,
        enough: usize,
        mut work: impl FnMut(&mut S, &mut Submission) -> Option<Result<(), S::Error>>,
    ) {
        let before = self.draft.sealed().len();
        let tried = work(&mut self.sealer, &mut self.draft);
        match tried.expect("the wire has that") {
            Err(error) if error.is_no_room() => {
                assert_eq!(self.draft.sealed().len(), before, "nothing has changed");
                self.leave(enough);
                let tried = work(&mut self.sealer, &mut self.draft);
                tried.expect("the wire has that").expect("there is room");
            }
            result => result.expect("it may be said now"),
        }
    }

    /// Lets the draft leave and begins one with room for `needed` bytes.
    fn leave(&mut self, needed: usize) {
        self.sealer.finish(&mut self.draft).expect("it seals");
        assert!(!self.draft.has_open());
        self.sent.extend(self.draft.sealed());
        self.draft = Draft::new(vec![0x5a; self.capacity.max(needed)]);
    }

    /// Lets up to `count` bytes arrive.
    fn deliver(&mut self, count: usize) {
        let start = self.delivered.len();
        let end = self.sent.len().min(start + count);
        if self.is_cut || start == end {
            return;
        }
        let bytes = self.sent[start..end].to_vec();
        self.receive(&bytes);
    }

    /// Changes a byte under way, or cuts the stream.
    fn disturb(&mut self, input: &mut Input<'_>) {
        let (change, count) = (input.byte(), 1 + input.below(1_000));
        let start = self.delivered.len();
        let end = self.sent.len().min(start + count);
        if self.is_cut || start == end {
            return;
        }
        if change == 0 {
            self.is_cut = true;
            return;
        }
        let mut bytes = self.sent[start..end].to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= change;
        }
        self.receive(&bytes);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.delivered.extend(bytes);
        self.buffer.extend(bytes);
        while !self.has_failed {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => self.has_failed = true,
            }
        }
    }

    /// Whether there may be more to do. What has ended fails here as what is wrong does; which it was
    /// shows in [`finish`](Self::finish).
    fn step(&mut self) -> Result<bool, R::Error> {
        let mut buffer = core::mem::take(&mut self.buffer);
        let step = self.opener.open(&mut buffer);
        let consumed = step.and_then(|step| self.take(step, &buffer));
        self.buffer = buffer;
        let (consumed, goes_on) = consumed?;
        self.buffer.drain(..consumed);
        Ok(goes_on)
    }

    fn take(&mut self, step: Step<R::Event>, bytes: &[u8]) -> Result<(usize, bool), R::Error> {
        match step {
            Step::Incomplete { consumed, needed } => {
                assert!(needed > bytes.len() - consumed);
                Ok((consumed, false))
            }
            Step::Message {
                plaintext,
                consumed,
            } => {
                self.give(Item::Message(bytes[plaintext].to_vec()));
                Ok((consumed, true))
            }
            Step::Packed { region, consumed } => {
                let region = &bytes[region];
                while let Some(message) = self.opener.next_packed(region)? {
                    self.give(Item::Message(region[message].to_vec()));
                }
                Ok((consumed, true))
            }
            Step::Part {
                plaintext,
                last,
                consumed,
            } => {
                self.parts.extend(&bytes[plaintext]);
                if last {
                    let message = core::mem::take(&mut self.parts);
                    self.give(Item::Message(message));
                }
                Ok((consumed, true))
            }
            Step::Event { event, consumed } => {
                let item = event.into();
                if item == Item::Event(Event::Dropped) {
                    self.parts.clear();
                }
                self.give(item);
                Ok((consumed, true))
            }
        }
    }

    /// Whatever comes is the next of what was sent.
    fn give(&mut self, item: Item) {
        assert_eq!(Some(&item), self.expected.get(self.received));
        self.received += 1;
    }

    /// Lets all arrive that still can, and compares with what has to have come.
    pub(crate) fn finish(mut self) {
        let has_ended = self.sealer.is_ended();
        self.leave(0);
        self.deliver(usize::MAX / 2);
        let end = self.opener.finish(self.buffer.len());
        if self.delivered != self.sent {
            let is_authenticated = matches!(end, Ok(End::Authenticated));
            return assert!(!is_authenticated, "it was changed or cut");
        }
        assert_eq!(self.received, self.expected.len(), "something is missing");
        match (S::HAS_END, has_ended) {
            (true, true) => assert!(matches!(end, Ok(End::Authenticated))),
            (true, false) => assert!(end.is_err(), "a cut is an error"),
            (false, _) => assert!(matches!(end, Ok(End::Unauthenticated))),
        }
    }
}
