//! What a receiving direction does next: open what has come, or read, and where to.
//!
//! ```text
//! buffer: | records not opened yet | room      |
//!         0                        filled      length
//! ```
//!
//! What was opened is cut off at the front of the buffer by whoever has it, so the record that is
//! opened next always begins at its start.
//!
//! Knows no socket, no task and no clock: it is told what has happened, and says what to do.

use core::ops::Range;

use crate::protocol::layout::{End, Incoming, Step};

/// How many times what has come the next block for a long record has, and twice that at most, so
/// that memory goes by what the peer has sent, and not by what it has announced.
const GROWTH: usize = 4;

/// What the direction is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Opens what is here; no operation is in flight.
    Opening,
    /// Waits for something to read, without memory.
    Readable,
    /// A read is in flight, and the buffer with it.
    Reading,
    /// The peer's stream has ended; what is here is opened.
    StreamEnded,
    /// The peer has said its end, and that was given out.
    Ended,
    /// Something was not acceptable, or the socket has failed.
    Failed,
}

/// The buffer that there is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of its block in front of it, in bytes that were cut off.
    pub(crate) offset: usize,
    /// Its length in bytes.
    pub(crate) length: usize,
    /// Whether it is a slot of the pool.
    pub(crate) is_slot: bool,
    /// Whether no message that was given out lies in its block.
    pub(crate) is_sole: bool,
}

/// What memory there is to read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Length of a slot in bytes.
    pub(crate) slot_size: usize,
    /// Length of the shortest heap block in bytes.
    pub(crate) block_size: usize,
    /// Whether slots are for those who have something to read.
    pub(crate) are_slots_short: bool,
}

/// A block to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its length in bytes, if it is not a slot: what is worth having now.
    pub(crate) bytes: usize,
    /// And if that has to be waited for: all that the record needs.
    pub(crate) whole: usize,
    /// Whether a slot will do.
    pub(crate) fits_slot: bool,
}

/// How to get more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Give the buffer up, if there is one, and wait until there is something to read.
    Readable,
    /// Read behind what is here.
    Behind,
    /// Move what is here to the front of its block, and read behind it.
    Front,
    /// Get another block, move what is here to it, and read behind it.
    Elsewhere(Wanted),
}

/// What was found at the start of the buffer. Each but `Nothing` has to be cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<Event> {
    /// More bytes have to come.
    Nothing,
    /// A message.
    Message {
        /// Bytes to cut off.
        cut: usize,
        /// Where the message lies in them.
        plaintext: Range<usize>,
    },
    /// Messages behind each other, to be walked.
    Packed {
        /// Bytes to cut off.
        cut: usize,
        /// Where the messages lie in them.
        region: Range<usize>,
    },
    /// The next part of a message.
    Part {
        /// Bytes to cut off.
        cut: usize,
        /// Where the part lies in them.
        plaintext: Range<usize>,
        /// Whether the message is complete with it.
        last: bool,
    },
    /// What is no message.
    Event {
        /// Bytes to cut off.
        cut: usize,
        /// What it is.
        event: Event,
    },
    /// Bytes that are done with, of a record of which the rest has to come.
    Header {
        /// Bytes to cut off.
        cut: usize,
    },
}

/// One receiving direction.
#[derive(Debug)]
pub(crate) struct Receiving {
    phase: Phase,
    /// Bytes at the start of the buffer that came from the peer.
    filled: usize,
    /// How many of them the next step needs.
    needed: usize,
}

impl Receiving {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Opening,
            filled: 0,
            needed: 1,
        }
    }

    /// Returns how many bytes at the start of the buffer came from the peer.
    pub(crate) const fn filled(&self) -> usize {
        self.filled
    }

    /// Whether a part of a record has come.
    pub(crate) const fn is_mid_record(&self) -> bool {
        self.filled > 0 || self.needed > 1
    }

    /// Whether the direction has failed.
    pub(crate) const fn has_failed(&self) -> bool {
        matches!(self.phase, Phase::Failed)
    }

    /// Whether nothing more will be read.
    pub(crate) const fn is_stream_over(&self) -> bool {
        matches!(
            self.phase,
            Phase::StreamEnded | Phase::Ended | Phase::Failed
        )
    }

    /// Whether an operation is in flight.
    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Readable | Phase::Reading)
    }

    /// Whether another call of [`open`](Self::open) may find something.
    #[inline]
    pub(crate) const fn may_open(&self) -> bool {
        self.filled >= self.needed && matches!(self.phase, Phase::Opening | Phase::StreamEnded)
    }

    /// Opens the record at the start of `buffer`.
    ///
    /// # Errors
    ///
    /// What `records` says; final.
    #[inline]
    pub(crate) fn open<R: Incoming>(
        &mut self,
        records: &mut R,
        buffer: &mut [u8],
    ) -> Result<Found<R::Event>, R::Error> {
        let Some(stream) = buffer.get_mut(..self.filled).filter(|_| self.may_open()) else {
            return Ok(Found::Nothing);
        };
        let found = match records.open(stream) {
            Ok(step) => self.found(step),
            Err(error) => {
                self.phase = Phase::Failed;
                return Err(error);
            }
        };
        Ok(found)
    }

    /// Returns the length of the part of a message that comes next in `buffer`, if it can be opened
    /// [into a place](Self::open_into).
    #[inline]
    pub(crate) fn part_ahead<R: Incoming>(&self, records: &R, buffer: &[u8]) -> Option<usize> {
        if !self.may_open() {
            return None;
        }
        records.part_ahead(buffer.get(..self.filled)?)
    }

    /// Opens the record at the start of `buffer` into `place`, which is as long as
    /// [`part_ahead`](Self::part_ahead) says. What is found is in there.
    ///
    /// # Errors
    ///
    /// What `records` says; final.
    pub(crate) fn open_into<R: Incoming>(
        &mut self,
        records: &mut R,
        buffer: &[u8],
        place: &mut [u8],
    ) -> Result<Found<R::Event>, R::Error> {
        let Some(stream) = buffer.get(..self.filled).filter(|_| self.may_open()) else {
            return Ok(Found::Nothing);
        };
        match records.open_into(stream, place) {
            Ok(Some(step)) => Ok(self.found(step)),
            Ok(None) => Ok(Found::Nothing),
            Err(error) => {
                self.phase = Phase::Failed;
                Err(error)
            }
        }
    }

    #[inline]
    fn found<Event>(&mut self, step: Step<Event>) -> Found<Event> {
        match step {
            Step::Incomplete { consumed, needed } => {
                self.filled -= consumed;
                self.needed = needed;
                if consumed == 0 {
                    return Found::Nothing;
                }
                Found::Header { cut: consumed }
            }
            Step::Message {
                plaintext,
                consumed,
            } => {
                let cut = self.cut(consumed);
                Found::Message { cut, plaintext }
            }
            Step::Packed { region, consumed } => {
                let cut = self.cut(consumed);
                Found::Packed { cut, region }
            }
            Step::Part {
                plaintext,
                last,
                consumed,
            } => {
                let cut = self.cut(consumed);
                Found::Part {
                    cut,
                    plaintext,
                    last,
                }
            }
            Step::Event { event, consumed } => {
                let cut = self.cut(consumed);
                Found::Event { cut, event }
            }
        }
    }

    #[inline]
    const fn cut(&mut self, consumed: usize) -> usize {
        self.filled -= consumed;
        self.needed = 1;
        consumed
    }

    /// The stream has ended and nothing more can be opened: says what that means.
    ///
    /// # Errors
    ///
    /// That it must not end here; final.
    pub(crate) fn finish<R: Incoming>(&mut self, records: &R) -> Result<End, R::Error> {
        let end = records.finish(self.filled);
        self.phase = match end {
            Ok(_) if self.phase != Phase::Failed => Phase::Ended,
            _ => Phase::Failed,
        };
        end
    }

    /// Nothing more is opened or read.
    pub(crate) const fn fail(&mut self) {
        self.phase = Phase::Failed;
    }

    /// Decides how to get more bytes, where nothing more can be opened. `buffer` is what there is;
    /// with `is_readable` something is there to be read, or memory for it is being waited for.
    pub(crate) fn next_read(
        &self,
        buffer: Option<Shape>,
        memory: Memory,
        is_readable: bool,
    ) -> Read {
        if self.filled == 0 && !is_readable {
            // Nothing is kept, so the memory goes back unless a slot can be read into right away.
            if memory.are_slots_short {
                return Read::Readable;
            }
            if buffer.is_some_and(|buffer| buffer.is_slot && buffer.is_sole) {
                return Read::Front;
            }
            return Read::Elsewhere(self.wanted(memory));
        }
        match buffer {
            // The kernel may only get a block that no message views.
            Some(buffer) if buffer.is_sole => self.next_read_within(buffer, memory),
            _ => Read::Elsewhere(self.wanted(memory)),
        }
    }

    fn next_read_within(&self, buffer: Shape, memory: Memory) -> Read {
        let Shape { offset, length, .. } = buffer;
        let (capacity, room) = (offset + length, length - self.filled);
        if self.needed > capacity {
            // The record will need another block. Until then, what there is fills up, to the last
            // part, for which a read is not worth it.
            return if capacity - self.filled <= capacity / 8 {
                Read::Elsewhere(self.wanted(memory))
            } else if room >= capacity / 2 || offset == 0 {
                Read::Behind
            } else {
                Read::Front
            };
        }
        // A short tail would make for many short reads; moving a frame's start costs less.
        if self.needed <= length && (offset == 0 || room >= memory.slot_size / 2) {
            Read::Behind
        } else {
            Read::Front
        }
    }

    /// Returns what block to get, where there is to be another.
    fn wanted(&self, memory: Memory) -> Wanted {
        let bytes = self.grown(memory).max(memory.block_size);
        Wanted {
            bytes,
            whole: bytes.max(self.needed),
            // A long record that has begun would have to leave the slot again.
            fits_slot: self.needed <= memory.slot_size || self.filled == 0,
        }
    }

    /// Returns the length of the next block for the record of which a part has come.
    fn grown(&self, memory: Memory) -> usize {
        let step = self.filled.saturating_mul(GROWTH).max(memory.block_size);
        // Close to the end another move would cost more than memory does.
        if step >= self.needed / 2 {
            self.needed
        } else {
            step
        }
    }

    /// Returns the length of the heap block that the start of a record is to move to, because others
    /// may wait for the slot that it is in, and its rest may have to be waited for.
    pub(crate) fn steps_aside(&self, buffer: Option<Shape>, memory: Memory) -> Option<usize> {
        let is_in_slot = buffer.is_some_and(|buffer| buffer.is_slot);
        let is_due = self.filled > 0 && is_in_slot && memory.are_slots_short;
        // Whole records may wait as well.
        is_due.then(|| {
            let whole = self.grown(memory).max(self.filled);
            whole.max(memory.block_size)
        })
    }

    /// A wait for something to read is in flight.
    pub(crate) fn waits(&mut self) {
        debug_assert_eq!(self.phase, Phase::Opening);
        self.phase = Phase::Readable;
    }

    /// A read is in flight.
    pub(crate) fn reads(&mut self) {
        debug_assert_eq!(self.phase, Phase::Opening);
        self.phase = Phase::Reading;
    }

    /// What was in flight has ended; returns whether it was a read.
    pub(crate) fn completed(&mut self) -> bool {
        let was_read = self.phase == Phase::Reading;
        if self.is_waiting() {
            self.phase = Phase::Opening;
        }
        was_read
    }

    /// A read has brought `count` bytes behind what was there; none is the end of the stream.
    pub(crate) fn came(&mut self, count: usize) {
        self.filled += count;
        if count == 0 && !matches!(self.phase, Phase::Ended | Phase::Failed) {
            self.phase = Phase::StreamEnded;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::{CupsVersion, OpenError, Opener, pair};

    const MEMORY: Memory = Memory {
        slot_size: 1000,
        block_size: 100,
        are_slots_short: false,
    };
    const SHORT: Memory = Memory {
        are_slots_short: true,
        ..MEMORY
    };
    /// A slot that nothing else lies in.
    const SLOT: Shape = Shape {
        offset: 0,
        length: 1000,
        is_slot: true,
        is_sole: true,
    };

    fn opener() -> Opener {
        pair(CupsVersion::V0, 5000).1
    }

    fn records(lengths: &[usize]) -> Vec<u8> {
        let (mut sealer, _) = pair(CupsVersion::V0, 5000);
        let mut stream = Vec::new();
        for length in lengths {
            let mut record = vec![0; length + 20];
            let sealed = sealer
                .seal(&vec![1; *length], &mut record)
                .expect("it seals");
            stream.extend_from_slice(&record[..sealed]);
        }
        stream
    }

    /// A machine of which `filled` bytes have come, of a record that takes `needed`.
    fn mid_record(filled: usize, needed: usize) -> Receiving {
        Receiving {
            phase: Phase::Opening,
            filled,
            needed,
        }
    }

    #[test]
    fn every_event_in_every_phase_leads_where_it_may() {
        use Phase::{Ended, Failed, Opening, Readable, Reading, StreamEnded};

        for phase in [Opening, Readable, Reading, StreamEnded, Ended, Failed] {
            let after = |event: &dyn Fn(&mut Receiving)| {
                let mut machine = Receiving::new();
                machine.phase = phase;
                event(&mut machine);
                machine.phase
            };
            let is_waiting = matches!(phase, Readable | Reading);
            let is_over = matches!(phase, Ended | Failed);
            assert_eq!(
                after(&|machine| assert_eq!(machine.completed(), phase == Reading)),
                if is_waiting { Opening } else { phase },
                "{phase:?}"
            );
            assert_eq!(after(&|machine| machine.came(9)), phase, "{phase:?}");
            let expected = if is_over { phase } else { StreamEnded };
            assert_eq!(after(&|machine| machine.came(0)), expected, "{phase:?}");
            assert_eq!(after(&Receiving::fail), Failed, "{phase:?}");
            let ends = |machine: &mut Receiving| {
                assert!(machine.finish(&opener()).is_ok(), "nothing is missing");
            };
            let expected = if phase == Failed { Failed } else { Ended };
            assert_eq!(after(&ends), expected, "{phase:?}");
            if phase == Opening {
                assert_eq!(after(&Receiving::waits), Readable);
                assert_eq!(after(&Receiving::reads), Reading);
            }
            // What may be asked in each.
            let mut machine = mid_record(9, 1);
            machine.phase = phase;
            assert_eq!(machine.is_waiting(), is_waiting, "{phase:?}");
            assert_eq!(machine.has_failed(), phase == Failed, "{phase:?}");
            let may_open = matches!(phase, Opening | StreamEnded);
            assert_eq!(machine.may_open(), may_open, "{phase:?}");
        }
    }

    #[test]
    fn all_that_one_read_brought_is_opened_before_the_next() {
        let (mut machine, mut records_in) = (Receiving::new(), opener());
        let mut stream = records(&[5, 0, 300]);
        assert!(!machine.may_open() && !machine.is_mid_record());
        machine.reads();
        assert!(machine.is_waiting() && !machine.may_open());
        assert!(machine.completed());
        // All but the last byte.
        machine.came(stream.len() - 1);
        let mut at = 0;
        for length in [5, 0] {
            let found = machine.open(&mut records_in, &mut stream[at..]);
            let Ok(Found::Message { cut, plaintext }) = found else {
                panic!("{found:?}");
            };
            assert_eq!(plaintext.len(), length);
            at += cut;
        }
        let found = machine.open(&mut records_in, &mut stream[at..]);
        assert_eq!(found, Ok(Found::Nothing));
        assert!(machine.is_mid_record() && !machine.may_open());
        machine.reads();
        machine.completed();
        machine.came(1);
        let found = machine.open(&mut records_in, &mut stream[at..]);
        assert!(matches!(found, Ok(Found::Message { .. })), "{found:?}");
        assert!(!machine.is_mid_record());
    }

    #[test]
    fn the_end_of_the_stream_is_judged_once_nothing_more_can_be_opened() {
        let mut machine = Receiving::new();
        machine.reads();
        machine.completed();
        machine.came(0);
        assert!(machine.is_stream_over());
        assert_eq!(machine.finish(&opener()), Ok(End::Unauthenticated));
        assert!(!machine.has_failed() && machine.is_stream_over());

        let mut machine = Receiving::new();
        machine.came(3);
        machine.came(0);
        assert_eq!(machine.finish(&opener()), Err(OpenError::Truncated));
        assert!(machine.has_failed());
    }

    #[test]
    fn a_refused_record_is_final() {
        let (mut machine, mut records_in) = (Receiving::new(), opener());
        let mut stream = records(&[5, 5]);
        stream[3] ^= 1;
        machine.came(stream.len());
        assert!(machine.open(&mut records_in, &mut stream).is_err());
        assert!(machine.has_failed() && machine.is_stream_over() && !machine.may_open());
        let found = machine.open(&mut records_in, &mut stream);
        assert_eq!(found, Ok(Found::Nothing));
    }

    #[test]
    fn an_idle_direction_holds_a_slot_only_while_there_are_many() {
        let machine = Receiving::new();
        assert_eq!(machine.next_read(Some(SLOT), MEMORY, false), Read::Front);
        assert_eq!(machine.next_read(Some(SLOT), SHORT, false), Read::Readable);
        assert_eq!(machine.next_read(None, SHORT, false), Read::Readable);
        let block = Read::Elsewhere(Wanted {
            bytes: 100,
            whole: 100,
            fits_slot: true,
        });
        // A message lies in it, or it is a heap block.
        for other in [
            Shape {
                is_sole: false,
                ..SLOT
            },
            Shape {
                is_slot: false,
                ..SLOT
            },
        ] {
            assert_eq!(machine.next_read(Some(other), MEMORY, false), block);
        }
        // Once there is something to read, memory is got for it, short or not.
        assert_eq!(machine.next_read(None, SHORT, true), block);
    }

    #[test]
    fn the_rest_of_a_record_goes_where_it_fits() {
        let shape = |offset: usize| Shape {
            offset,
            length: 1000 - offset,
            ..SLOT
        };
        let read = |machine: &Receiving, shape| machine.next_read(Some(shape), MEMORY, false);
        // At the front of its block, or with half a slot of room behind it.
        assert_eq!(read(&mid_record(10, 900), shape(0)), Read::Behind);
        assert_eq!(read(&mid_record(10, 400), shape(400)), Read::Behind);
        // It would fit, but reads would be short; it does not fit.
        assert_eq!(read(&mid_record(10, 200), shape(700)), Read::Front);
        assert_eq!(read(&mid_record(10, 900), shape(400)), Read::Front);
        // Messages lie in front of it that somebody has.
        let shared = Shape {
            is_sole: false,
            ..shape(700)
        };
        let wanted = Wanted {
            bytes: 900,
            whole: 900,
            fits_slot: true,
        };
        // Four times what has come, or all if that is close.
        assert_eq!(read(&mid_record(250, 900), shared), Read::Elsewhere(wanted));
    }

    // A read without room would look like the end of the stream.
    #[test]
    fn every_read_has_room() {
        let lengths = [1, 3, 4, 7, 100, 999, 1000, 5000];
        for length in lengths {
            for offset in [0, 1, 500, 996] {
                for filled in (0..=length).filter(|filled| *filled < 5 || length - filled < 5) {
                    for needed in lengths.map(|more| filled + more) {
                        let shape = Shape {
                            offset,
                            length,
                            is_slot: true,
                            is_sole: true,
                        };
                        let machine = mid_record(filled, needed);
                        let room = match machine.next_read(Some(shape), MEMORY, true) {
                            Read::Behind => length - filled,
                            Read::Front => offset + length - filled,
                            Read::Elsewhere(wanted) => wanted.bytes - filled,
                            Read::Readable => 1,
                        };
                        assert!(room > 0, "{shape:?}, {filled} of {needed}");
                    }
                }
            }
        }
        // Nor has what leaves its slot less than any other block.
        let machine = mid_record(3, 4);
        assert_eq!(machine.steps_aside(Some(SLOT), SHORT), Some(100));
    }

    #[test]
    fn memory_for_a_long_record_goes_by_what_has_come() {
        let machine = mid_record(10, 5000);
        // What there is fills up first.
        assert_eq!(machine.next_read(Some(SLOT), MEMORY, false), Read::Behind);
        let machine = mid_record(950, 5000);
        let wanted = Wanted {
            bytes: 5000,
            whole: 5000,
            fits_slot: false,
        };
        let read = machine.next_read(Some(SLOT), MEMORY, false);
        assert_eq!(read, Read::Elsewhere(wanted));
        let machine = mid_record(950, 50_000);
        let Read::Elsewhere(wanted) = machine.next_read(Some(SLOT), MEMORY, false) else {
            panic!("no other block");
        };
        assert_eq!((wanted.bytes, wanted.whole), (3800, 50_000));
    }

    #[test]
    fn the_start_of_a_record_leaves_a_slot_that_others_may_want() {
        let machine = mid_record(10, 900);
        assert_eq!(machine.steps_aside(Some(SLOT), MEMORY), None);
        assert_eq!(machine.steps_aside(Some(SLOT), SHORT), Some(100));
        assert_eq!(machine.steps_aside(None, SHORT), None);
        let block = Shape {
            is_slot: false,
            ..SLOT
        };
        assert_eq!(machine.steps_aside(Some(block), SHORT), None);
        assert_eq!(Receiving::new().steps_aside(Some(SLOT), SHORT), None);
    }
}
