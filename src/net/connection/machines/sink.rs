//! The receiving end of the model: [`Receiving`] and [`Assembling`], who calls them, and the blocks that
//! are read into and put together in.

use core::fmt;
use core::mem;
use core::ops::Range;
use std::collections::VecDeque;

use super::step::Step;
use super::wires::{Meaning, Means};
use crate::net::connection::assembling::{self, Assembling, Whole};
use crate::net::connection::receiving::{Found, Memory, Read, Receiving, Shape, Wanted};
use crate::protocol::layout::{End, Incoming};

/// The longest message in parts, in bytes: more than are sent.
const LIMIT: usize = 1 << 17;

/// How receiving has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Where the stream may end.
    Ended(End),
    /// Elsewhere.
    Cut,
    /// The peer has said that it gives up.
    Aborted,
    /// Nobody wanted more.
    Left,
}

/// A message that came.
#[derive(Debug)]
pub(super) enum Received {
    Whole(Vec<u8>),
    /// Somebody took it in parts, and this of it.
    Start(Vec<u8>),
}

impl Received {
    /// Whether it is `message`, or its start.
    pub(super) fn is_of(&self, message: &[u8]) -> bool {
        match self {
            Self::Whole(bytes) => bytes == message,
            Self::Start(bytes) => message.starts_with(bytes),
        }
    }
}

/// What was given out of a message that is not complete.
#[derive(Debug)]
enum Given {
    Nothing,
    Begun(Vec<u8>),
    /// Its peer has given it up, and nobody was told.
    Abandoned,
    /// Nobody takes the rest.
    Skipped(Vec<u8>),
}

/// How messages are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    Whole,
    InParts,
}

/// What the kernel was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InFlight {
    Nothing,
    Readable,
    Read,
}

/// The memory that there is for reading, as a number of choice has it.
#[derive(Clone, Copy, Debug)]
struct Choice {
    memory: Memory,
    count: usize,
}

/// The receiving end.
pub(super) struct Sink<R> {
    machine: Receiving,
    assembling: Assembling,
    records: R,
    /// Bytes in a slot.
    slot_size: usize,
    /// What is read into; empty if there is nothing.
    block: Vec<u8>,
    is_slot: bool,
    /// Bytes of the block that were cut off.
    offset: usize,
    /// Whether a message that was given out still lies in the block.
    is_shared: bool,
    in_flight: InFlight,
    /// The parts that are put together, and the room behind them.
    assembly: Option<Vec<u8>>,
    /// A part that was opened in its slot.
    part: Option<Vec<u8>>,
    given: Given,
    received: Vec<Received>,
    outcome: Option<Outcome>,
}

impl<R: Incoming> Sink<R>
where
    R::Error: fmt::Debug,
    R::Event: Means,
{
    pub(super) const fn new(records: R, slot_size: usize) -> Self {
        Self {
            machine: Receiving::new(),
            assembling: Assembling::new(LIMIT),
            records,
            slot_size,
            block: Vec::new(),
            is_slot: false,
            offset: 0,
            is_shared: false,
            in_flight: InFlight::Nothing,
            assembly: None,
            part: None,
            given: Given::Nothing,
            received: Vec::new(),
            outcome: None,
        }
    }

    pub(super) fn received(&self) -> &[Received] {
        &self.received
    }

    pub(super) const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// `is_over`: nothing comes behind what the network has.
    pub(super) fn turn(
        &mut self,
        step: Step,
        count: usize,
        network: &mut VecDeque<u8>,
        is_over: bool,
    ) {
        if self.outcome.is_some() {
            return self.check_ended();
        }
        let memory = Memory {
            slot_size: self.slot_size,
            block_size: self.slot_size / 4,
            are_slots_short: count.is_multiple_of(3),
        };
        match step {
            Step::Read | Step::ReadParts => match self.in_flight {
                InFlight::Nothing => {
                    let taking = match step {
                        Step::ReadParts => Taking::InParts,
                        _ => Taking::Whole,
                    };
                    self.work(taking, Choice { memory, count });
                }
                _ if network.is_empty() && !is_over => {}
                InFlight::Readable => self.readable(Choice { memory, count }),
                InFlight::Read => self.read(count, network),
            },
            Step::SkipRest => self.skip_rest(),
            Step::LeaveSlot => self.step_aside(Choice { memory, count }),
            Step::Release => self.is_shared = false,
            Step::FailReceiving => self.fail(Outcome::Left),
            _ => {}
        }
        if self.outcome.is_none() {
            let is_waiting = self.in_flight != InFlight::Nothing;
            assert_eq!(self.machine.is_waiting(), is_waiting);
        }
    }

    /// Checks that nothing is found any more.
    fn check_ended(&mut self) {
        assert!(self.machine.is_stream_over() && !self.machine.may_open());
        assert!(!self.machine.is_waiting() && !self.machine.completed());
        let buffer = &mut self.block[self.offset..];
        assert_eq!(self.machine.part_ahead(&self.records, buffer), None);
        let found = self.machine.open(&mut self.records, buffer).unwrap();
        assert!(matches!(found, Found::Nothing));
        let has_failed = !matches!(self.outcome, Some(Outcome::Ended(_)));
        assert_eq!(self.machine.has_failed(), has_failed);
    }

    fn fail(&mut self, outcome: Outcome) {
        self.machine.fail();
        self.assembling.clear();
        (self.assembly, self.part) = (None, None);
        self.outcome = Some(outcome);
    }

    /// Whoever took a message in parts is gone.
    fn skip_rest(&mut self) {
        self.assembling.skip_rest();
        self.given = match mem::replace(&mut self.given, Given::Nothing) {
            Given::Begun(bytes) | Given::Skipped(bytes) => Given::Skipped(bytes),
            Given::Nothing | Given::Abandoned => Given::Nothing,
        };
    }

    /// Opens and gives out what is here, then has more read.
    fn work(&mut self, taking: Taking, choice: Choice) {
        if taking == Taking::Whole {
            self.skip_rest();
        }
        while self.outcome.is_none() && self.progress(taking, choice.count) {}
        self.check_parts();
        if self.outcome.is_some() || self.waits_for_room(taking) {
            return;
        }
        assert!(!self.machine.may_open() || self.block.is_empty());
        if !self.machine.is_stream_over() {
            return self.start(choice, choice.count.is_multiple_of(5));
        }
        let end = self.machine.finish(&self.records);
        self.outcome = Some(end.map_or(Outcome::Cut, Outcome::Ended));
    }

    /// Checks that the machine knows which parts there are.
    fn check_parts(&self) {
        let is_unfinished = matches!(self.given, Given::Begun(_) | Given::Skipped(_));
        let is_mid_message = is_unfinished || self.assembly.is_some() || self.part.is_some();
        assert!(self.outcome.is_some() || self.assembling.is_mid_message() == is_mid_message);
    }

    fn next_step(&self) -> assembling::Step {
        self.assembling.next(|| {
            let buffer = self.block.get(self.offset..)?;
            self.machine.part_ahead(&self.records, buffer)
        })
    }

    fn waits_for_room(&self, taking: Taking) -> bool {
        let waits = matches!(self.next_step(), assembling::Step::Room(_));
        assert!(!waits || taking == Taking::Whole, "parts are given out");
        waits
    }

    /// Does what comes next before more is read; returns whether there was something. `count` says how,
    /// where there is a choice.
    fn progress(&mut self, taking: Taking, count: usize) -> bool {
        if taking == Taking::InParts {
            self.assembling.give_out();
            if let Some(length) = self.assembling.take_begun() {
                let mut begun = self.assembly.take().expect("what has begun");
                begun.truncate(length);
                if length > 0 {
                    self.given = Given::Begun(begun);
                }
                return true;
            }
        }
        match self.next_step() {
            assembling::Step::Open => self.open(taking),
            assembling::Step::OpenInto(place) => self.open_into(place),
            assembling::Step::Move(place) => self.move_part(place),
            assembling::Step::Drop => self.drop_part(),
            assembling::Step::Room(added) => self.make_room(added, count),
            assembling::Step::Nothing => self.give_part(taking),
        }
    }

    /// Gives out the part that waits, or tells that the message was given up.
    fn give_part(&mut self, taking: Taking) -> bool {
        assert_eq!(taking, Taking::InParts, "who takes it whole has to get it");
        let given = mem::replace(&mut self.given, Given::Nothing);
        let Some(is_last) = self.assembling.take_part() else {
            assert!(
                matches!(given, Given::Abandoned),
                "there is nothing to tell"
            );
            assert!(self.assembling.take_given_up(), "it has to be told");
            return true;
        };
        let mut bytes = match given {
            Given::Begun(bytes) => bytes,
            Given::Nothing => Vec::new(),
            other => panic!("a part behind {other:?}"),
        };
        bytes.append(&mut self.part.take().expect("a part"));
        if is_last {
            self.received.push(Received::Whole(bytes));
        } else {
            self.given = Given::Begun(bytes);
        }
        true
    }

    fn drop_part(&mut self) -> bool {
        let Given::Skipped(bytes) = mem::replace(&mut self.given, Given::Nothing) else {
            panic!("somebody wants it");
        };
        assert!(self.part.take().is_some());
        self.assembling.gone();
        if self.assembling.assembles() {
            self.received.push(Received::Start(bytes));
        } else {
            self.given = Given::Skipped(bytes);
        }
        true
    }

    fn move_part(&mut self, place: Range<usize>) -> bool {
        let part = self.part.take().expect("a part");
        let assembly = self.assembly.as_mut().expect("room");
        assembly[place].copy_from_slice(&part);
        let whole = self.assembling.moved();
        self.complete(whole);
        true
    }

    /// Gets a block for the next part, if there is memory for one.
    fn make_room(&mut self, added: usize, count: usize) -> bool {
        let room = self.assembling.room_for(added, self.slot_size / 4);
        let room = room.expect("nobody sends more");
        assert!(room.grown <= room.whole);
        let length = match count % 4 {
            0 => return false,
            1 => room.grown,
            2 => room.likely.unwrap_or(room.grown),
            _ => room.whole,
        };
        let mut block = vec![0; length];
        let kept = self.assembling.has_room(length);
        if let Some(begun) = &self.assembly {
            block[..kept].copy_from_slice(&begun[..kept]);
        }
        self.assembly = Some(block);
        let next = self.next_step();
        assert!(!matches!(next, assembling::Step::Room(_)), "there is room");
        true
    }

    fn complete(&mut self, whole: Option<Whole>) {
        if let Some(Whole { length, .. }) = whole {
            let mut message = self.assembly.take().expect("what has begun");
            message.truncate(length);
            self.received.push(Received::Whole(message));
        }
    }

    fn shape(&self) -> Option<Shape> {
        let is_here = !self.block.is_empty() && self.in_flight == InFlight::Nothing;
        is_here.then_some(Shape {
            offset: self.offset,
            length: self.block.len() - self.offset,
            is_slot: self.is_slot,
            is_sole: !self.is_shared,
        })
    }

    /// Moves what has come to another block.
    fn move_to(&mut self, length: usize, is_slot: bool) {
        let filled = self.machine.filled();
        let mut block = vec![0; length];
        block[..filled].copy_from_slice(&self.block[self.offset..][..filled]);
        (self.block, self.is_slot) = (block, is_slot);
        (self.offset, self.is_shared) = (0, false);
    }

    fn step_aside(&mut self, Choice { memory, count }: Choice) {
        let shape = self.shape();
        let Some(length) = self.machine.steps_aside(shape, memory) else {
            return;
        };
        assert!(memory.are_slots_short && self.is_slot && shape.is_some());
        assert!(length >= self.machine.filled() && length >= memory.block_size);
        // There may be no memory for that.
        if !count.is_multiple_of(2) {
            self.move_to(length, false);
            assert_eq!(self.machine.steps_aside(self.shape(), memory), None);
        }
    }

    /// Starts a read, or a wait for something to read.
    fn start(&mut self, choice: Choice, is_readable: bool) {
        self.step_aside(choice);
        let Choice { memory, count } = choice;
        let filled = self.machine.filled();
        match self.machine.next_read(self.shape(), memory, is_readable) {
            Read::Readable => {
                assert!(memory.are_slots_short && !is_readable && filled == 0);
                (self.block, self.offset, self.is_shared) = (Vec::new(), 0, false);
                self.machine.waits();
                self.in_flight = InFlight::Readable;
                return;
            }
            Read::Behind => {}
            Read::Front => {
                self.block.copy_within(self.offset..self.offset + filled, 0);
                self.offset = 0;
            }
            Read::Elsewhere(wanted) => self.get(wanted, count),
        }
        assert!(!self.is_shared, "a message lies there");
        assert!(
            self.block.len() > self.offset + filled,
            "a read of nothing looks like the end"
        );
        self.machine.reads();
        self.in_flight = InFlight::Read;
    }

    /// Gets a slot, a block, or one that had to be waited for.
    fn get(&mut self, wanted: Wanted, count: usize) {
        assert!(wanted.bytes <= wanted.whole);
        match count % 4 {
            0 | 1 if wanted.fits_slot => self.move_to(self.slot_size, true),
            2 => self.move_to(wanted.whole, false),
            _ => self.move_to(wanted.bytes, false),
        }
    }

    fn readable(&mut self, choice: Choice) {
        assert!(!self.machine.completed(), "it was no read");
        self.in_flight = InFlight::Nothing;
        self.start(choice, true);
    }

    fn read(&mut self, count: usize, network: &mut VecDeque<u8>) {
        assert!(self.machine.completed(), "it was a read");
        self.in_flight = InFlight::Nothing;
        let start = self.offset + self.machine.filled();
        let room = &mut self.block[start..];
        let count = count.clamp(1, room.len()).min(network.len());
        for (target, byte) in room.iter_mut().zip(network.drain(..count)) {
            *target = byte;
        }
        self.machine.came(count);
    }

    /// Opens the part that comes next into its place.
    fn open_into(&mut self, place: Range<usize>) -> bool {
        let assembly = self.assembly.as_mut().expect("room");
        let (length, place) = (place.len(), &mut assembly[place]);
        let buffer = &self.block[self.offset..];
        let found = self.machine.open_into(&mut self.records, buffer, place);
        let Found::Part {
            cut,
            plaintext,
            last,
        } = found.unwrap()
        else {
            panic!("a part was ahead");
        };
        assert_eq!(plaintext, 0..length);
        self.offset += cut;
        let whole = self.assembling.placed(length, last);
        self.complete(whole);
        true
    }

    /// Opens the record that comes next where it is; returns whether one was there.
    fn open(&mut self, taking: Taking) -> bool {
        let Some(buffer) = self.block.get_mut(self.offset..) else {
            return false;
        };
        let ahead = self.machine.part_ahead(&self.records, buffer);
        let found = self.machine.open(&mut self.records, buffer);
        let cut = match found.unwrap() {
            Found::Nothing => {
                assert_eq!(ahead, None, "there is a part");
                return false;
            }
            Found::Message { cut, plaintext } => {
                let message = Received::Whole(buffer[plaintext].to_vec());
                self.received.push(message);
                self.is_shared = true;
                self.was_whole(taking);
                cut
            }
            Found::Packed { cut, region } => {
                let region = &buffer[region];
                while let Some(message) = next_packed(&mut self.records, region) {
                    self.received
                        .push(Received::Whole(region[message].to_vec()));
                }
                self.is_shared = true;
                self.was_whole(taking);
                cut
            }
            Found::Part {
                cut,
                plaintext,
                last,
            } => {
                assert!(ahead.is_none_or(|length| length == plaintext.len()));
                self.assembling.came(plaintext.len(), last);
                self.part = Some(buffer[plaintext].to_vec());
                self.is_shared = true;
                cut
            }
            Found::Event { cut, event } => {
                self.happened(event.meaning());
                cut
            }
            Found::Header { cut } => cut,
        };
        self.offset += cut;
        true
    }

    fn was_whole(&mut self, taking: Taking) {
        if taking == Taking::InParts {
            self.assembling.message_was_whole();
        }
    }

    fn happened(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Nothing => {}
            Meaning::Dropped => {
                self.assembling.message_given_up();
                self.assembly = None;
                self.given = match self.given {
                    Given::Begun(_) => Given::Abandoned,
                    _ => Given::Nothing,
                };
            }
            Meaning::Aborted => self.fail(Outcome::Aborted),
        }
    }
}

/// Returns where the next message lies, found by the quick way if that finds it.
fn next_packed<R: Incoming>(records: &mut R, region: &[u8]) -> Option<Range<usize>>
where
    R::Error: fmt::Debug,
{
    let short = records.next_short(region);
    short.or_else(|| records.next_packed(region).unwrap())
}
