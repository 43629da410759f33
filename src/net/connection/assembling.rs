//! What becomes of the parts of a message: where each goes, and when the message is whole.
//!
//! ```text
//!        opened in its slot              moved
//! part ---------------------> waits --------------> | begun | room | --last part--> whole message
//!  |                            |                     ^ a block
//!  |   opened into its place    | given out           |
//!  +----------------------------|---------------------+
//!                               v
//!              whoever takes the message in parts
//! ```
//!
//! Knows no memory, no socket, no task and no clock: it is told what has happened, and says what to do.

use core::ops::Range;

/// How many times what has come of a message in parts the block for it has. Parts are as long as what
/// a slot holds, so that few steps lead to any length.
const GROWTH: usize = 2;

/// What becomes of the parts of the message that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// They are put together.
    Assembled,
    /// They are given out as they come, those of the message that comes next.
    GivenOut,
    /// So they were, and the message is not complete.
    BeingGivenOut,
    /// The peer gave up a message of which parts were given out.
    GivenUp,
    /// Nobody wants the rest of them.
    Skipped,
}

/// A part that was opened in its slot: padded ones are, and those that are given out as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    length: usize,
    is_last: bool,
}

/// The parts of a message behind each other, at the start of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begun {
    length: usize,
    /// Length of the block in bytes.
    capacity: usize,
}

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Open the record that comes next in its slot. A part in it has then [come](Assembling::came).
    Open,
    /// Open the part that comes next into this range of the block, where it is then
    /// [placed](Assembling::placed).
    OpenInto(Range<usize>),
    /// Copy the part that waits to this range of the block; then it is [moved](Assembling::moved).
    Move(Range<usize>),
    /// Drop the part that waits; then it is [gone](Assembling::gone).
    Drop,
    /// Get a block with [room](Assembling::room_for) for so many bytes more.
    Room(usize),
    /// Nothing: what has come is for whoever takes the message in parts.
    Nothing,
}

/// How long a block for the parts of a message is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// What the message before took, if that is more: worth having where memory is not short.
    pub(crate) likely: Option<usize>,
    /// What is worth having.
    pub(crate) grown: usize,
    /// And if that has to be waited for: all that can come, so that nobody waits again.
    pub(crate) whole: usize,
}

/// A message of which the last part has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// How many bytes at the start of the block it has.
    pub(crate) length: usize,
    /// Whether the block is worth shortening: nobody knew how long the message would be, and it may be
    /// kept.
    pub(crate) is_block_long: bool,
}

/// The parts of one receiving direction.
#[derive(Debug)]
pub(crate) struct Assembling {
    /// How long a message may get that is put together of parts, in bytes.
    limit: usize,
    phase: Phase,
    waiting: Option<Waiting>,
    begun: Option<Begun>,
    /// How long the last message was: peers that send long messages tend to send others like it.
    last_length: usize,
}

impl Assembling {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            phase: Phase::Assembled,
            waiting: None,
            begun: None,
            last_length: 0,
        }
    }

    /// Returns how long a message may get that is put together, in bytes.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// Whether parts of a message have come that is not complete.
    pub(crate) const fn is_mid_message(&self) -> bool {
        let is_unfinished = matches!(self.phase, Phase::BeingGivenOut | Phase::Skipped);
        is_unfinished || self.waiting.is_some() || self.begun.is_some()
    }

    /// Whether parts are put together, and not given out or dropped.
    pub(crate) const fn assembles(&self) -> bool {
        matches!(self.phase, Phase::Assembled)
    }

    /// Decides what is done next. `ahead` gives the length of the part that comes next, if it can be
    /// opened into a place; it is asked only where that matters.
    #[inline]
    pub(crate) fn next(&self, ahead: impl FnOnce() -> Option<usize>) -> Step {
        let Some(Waiting { length, .. }) = self.waiting else {
            return match self.phase {
                Phase::Assembled => match ahead() {
                    Some(length) => self
                        .place(length)
                        .map_or(Step::Room(length), Step::OpenInto),
                    None => Step::Open,
                },
                Phase::GivenUp => Step::Nothing,
                Phase::GivenOut | Phase::BeingGivenOut | Phase::Skipped => Step::Open,
            };
        };
        match self.phase {
            Phase::Assembled => self.place(length).map_or(Step::Room(length), Step::Move),
            Phase::Skipped => Step::Drop,
            Phase::GivenOut | Phase::BeingGivenOut | Phase::GivenUp => Step::Nothing,
        }
    }

    /// Returns where the next part goes in the block, which has `length` bytes, if there is room for it.
    fn place(&self, length: usize) -> Option<Range<usize>> {
        let begun = self.begun?;
        let end = begun.length.checked_add(length)?;
        (end <= begun.capacity).then_some(begun.length..end)
    }

    /// A part was opened in its slot.
    pub(crate) fn came(&mut self, length: usize, is_last: bool) {
        debug_assert_eq!(self.waiting, None, "one at a time");
        self.waiting = Some(Waiting { length, is_last });
    }

    /// A part of `length` bytes was opened into its place. Returns the message if it is whole with that.
    pub(crate) fn placed(&mut self, length: usize, is_last: bool) -> Option<Whole> {
        let begun = self.begun.as_mut()?;
        begun.length += length;
        if !is_last {
            return None;
        }
        let Begun { length, capacity } = self.begun.take()?;
        self.last_length = length;
        Some(Whole {
            length,
            is_block_long: length < capacity / 4 * 3,
        })
    }

    /// The part that waited is in its place. Returns the message if it is whole with that.
    pub(crate) fn moved(&mut self) -> Option<Whole> {
        let Waiting { length, is_last } = self.waiting.take()?;
        self.placed(length, is_last)
    }

    /// The part that waited was dropped.
    pub(crate) fn gone(&mut self) {
        let was_last = self.waiting.take().is_some_and(|part| part.is_last);
        if was_last && self.phase == Phase::Skipped {
            self.phase = Phase::Assembled;
        }
    }

    /// Decides how long a block is that has room for `added` more bytes; `None` if the message gets too
    /// long with them. The shortest block worth having has `block_size` bytes.
    pub(crate) fn room_for(&self, added: usize, block_size: usize) -> Option<Room> {
        let needed = self.begun_length().checked_add(added)?;
        if needed > self.limit {
            return None;
        }
        // Never more than can come.
        let bytes = |bytes: usize| bytes.max(block_size).min(self.limit).max(needed);
        let likely = bytes(self.last_length);
        let grown = bytes(needed.saturating_mul(GROWTH));
        Some(Room {
            likely: (likely > grown).then_some(likely),
            grown,
            whole: self.limit,
        })
    }

    /// A block of `capacity` bytes is there for what comes next. Returns how many bytes of the block
    /// before are to be copied to its start.
    pub(crate) fn has_room(&mut self, capacity: usize) -> usize {
        let length = self.begun_length();
        debug_assert!(length <= capacity, "what has come goes there");
        self.begun = Some(Begun { length, capacity });
        length
    }

    fn begun_length(&self) -> usize {
        self.begun.map_or(0, |begun| begun.length)
    }

    /// Whoever asks now takes the message that comes next in parts.
    pub(crate) fn give_out(&mut self) {
        if self.phase == Phase::Assembled {
            self.phase = Phase::GivenOut;
        }
    }

    /// Has what came before somebody asked for parts given out, with its block: returns how many bytes
    /// that is.
    pub(crate) fn take_begun(&mut self) -> Option<usize> {
        let Begun { length, .. } = self.begun.take()?;
        if length > 0 {
            self.phase = Phase::BeingGivenOut;
        }
        Some(length)
    }

    /// Has the part that waits given out, if it is for whoever takes parts: returns whether it is the
    /// last one.
    pub(crate) fn take_part(&mut self) -> Option<bool> {
        if self.phase == Phase::Skipped {
            return None;
        }
        let Waiting { is_last, .. } = self.waiting.take()?;
        self.phase = if is_last {
            Phase::Assembled
        } else {
            Phase::BeingGivenOut
        };
        Some(is_last)
    }

    /// Whoever takes parts got a whole message at once.
    pub(crate) fn message_was_whole(&mut self) {
        self.phase = Phase::Assembled;
    }

    /// Whether the message that is taken in parts was given up; says so once.
    pub(crate) fn take_given_up(&mut self) -> bool {
        let is_given_up = self.phase == Phase::GivenUp;
        if is_given_up {
            self.phase = Phase::Assembled;
        }
        is_given_up
    }

    /// Whoever took a message in parts is gone: what still comes of it is for nobody.
    #[inline]
    pub(crate) fn skip_rest(&mut self) {
        self.phase = match self.phase {
            Phase::BeingGivenOut => Phase::Skipped,
            Phase::GivenOut | Phase::GivenUp => Phase::Assembled,
            other => other,
        };
    }

    /// The peer has given up the message of which parts have come.
    pub(crate) fn message_given_up(&mut self) {
        self.begun = None;
        self.phase = match self.phase {
            Phase::BeingGivenOut => Phase::GivenUp,
            Phase::Skipped => Phase::Assembled,
            other => other,
        };
    }

    /// Nothing of what has come is wanted any more.
    pub(crate) fn clear(&mut self) {
        self.waiting = None;
        self.begun = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1000;
    const BLOCK: usize = 64;
    const PHASES: [Phase; 5] = [
        Phase::Assembled,
        Phase::GivenOut,
        Phase::BeingGivenOut,
        Phase::GivenUp,
        Phase::Skipped,
    ];

    fn in_phase(phase: Phase) -> Assembling {
        Assembling {
            phase,
            ..Assembling::new(LIMIT)
        }
    }

    /// One with a part of 10 bytes that waits.
    fn with_part(phase: Phase, is_last: bool) -> Assembling {
        let mut machine = in_phase(phase);
        machine.came(10, is_last);
        machine
    }

    /// One that has put `length` bytes together in a block of `capacity`.
    fn begun(length: usize, capacity: usize) -> Assembling {
        let mut machine = Assembling::new(LIMIT);
        assert_eq!(machine.has_room(capacity), 0);
        assert_eq!(machine.placed(length, false), None);
        machine
    }

    const fn nothing_ahead() -> Option<usize> {
        None
    }

    fn not_asked() -> Option<usize> {
        panic!("nobody opens into a place now")
    }

    fn room(machine: &Assembling, added: usize) -> Option<(Option<usize>, usize, usize)> {
        let room = machine.room_for(added, BLOCK)?;
        Some((room.likely, room.grown, room.whole))
    }

    #[test]
    fn records_without_parts_are_opened_in_every_phase_but_behind_what_was_given_up() {
        for phase in PHASES {
            let expected = match phase {
                Phase::GivenUp => Step::Nothing,
                _ => Step::Open,
            };
            assert_eq!(in_phase(phase).next(nothing_ahead), expected, "{phase:?}");
        }
    }

    #[test]
    fn parts_are_opened_into_a_place_only_where_they_are_put_together() {
        for phase in PHASES {
            let mut machine = in_phase(phase);
            if phase != Phase::Assembled {
                machine.next(not_asked);
                continue;
            }
            assert_eq!(machine.next(|| Some(10)), Step::Room(10));
            machine.has_room(15);
            assert_eq!(machine.next(|| Some(10)), Step::OpenInto(0..10));
            assert_eq!(machine.placed(10, false), None);
            assert_eq!(machine.next(|| Some(5)), Step::OpenInto(10..15));
            assert_eq!(machine.next(|| Some(6)), Step::Room(6));
            assert_eq!(machine.next(nothing_ahead), Step::Open, "it is no part");
        }
    }

    #[test]
    fn a_part_that_waits_is_moved_dropped_or_given_out() {
        for is_last in [false, true] {
            for phase in PHASES {
                let expected = match phase {
                    Phase::Assembled => Step::Room(10),
                    Phase::Skipped => Step::Drop,
                    Phase::GivenOut | Phase::BeingGivenOut | Phase::GivenUp => Step::Nothing,
                };
                let machine = with_part(phase, is_last);
                assert!(machine.is_mid_message());
                assert_eq!(machine.next(not_asked), expected, "{phase:?}");
            }
        }
        let mut machine = begun(20, 30);
        machine.came(10, false);
        assert_eq!(machine.next(not_asked), Step::Move(20..30));
        assert_eq!(machine.moved(), None);
        assert_eq!(machine.next(nothing_ahead), Step::Open);
        machine.came(1, true);
        assert_eq!(machine.next(not_asked), Step::Room(1));
        assert_eq!(machine.has_room(40), 30, "what has come is copied");
        assert_eq!(machine.next(not_asked), Step::Move(30..31));
        let whole = machine.moved().expect("the last one");
        assert_eq!((whole.length, whole.is_block_long), (31, false));
        assert!(!machine.is_mid_message());
    }

    #[test]
    fn a_message_is_whole_with_its_last_part_however_that_came() {
        for waits in [false, true] {
            for (length, capacity, is_block_long) in [(74, 100, true), (75, 100, false)] {
                let mut machine = begun(length - 10, capacity);
                assert!(machine.is_mid_message());
                let whole = if waits {
                    machine.came(10, true);
                    machine.moved()
                } else {
                    machine.placed(10, true)
                };
                let expected = Whole {
                    length,
                    is_block_long,
                };
                assert_eq!(whole, Some(expected));
                assert!(!machine.is_mid_message() && machine.assembles());
                // The next one has no place yet.
                assert_eq!(machine.next(|| Some(1)), Step::Room(1));
            }
        }
    }

    #[test]
    fn the_last_part_may_be_empty() {
        let mut machine = begun(100, 100);
        assert_eq!(machine.next(|| Some(0)), Step::OpenInto(100..100));
        assert_eq!(machine.placed(0, true).map(|whole| whole.length), Some(100));
    }

    #[test]
    fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
        let machine = Assembling::new(LIMIT);
        assert!(room(&machine, LIMIT).is_some());
        assert_eq!(room(&machine, LIMIT + 1), None);
        let machine = begun(LIMIT - 10, LIMIT - 10);
        assert_eq!(room(&machine, 10), Some((None, LIMIT, LIMIT)));
        assert_eq!(room(&machine, 11), None);
        assert_eq!(room(&machine, usize::MAX), None);
        let endless = Assembling::new(usize::MAX);
        let most = Some((None, usize::MAX, usize::MAX));
        assert_eq!(room(&endless, usize::MAX), most);
    }

    #[test]
    fn blocks_grow_with_what_has_come() {
        // Twice that, but no less than is worth having, and no more than can come.
        let machine = Assembling::new(LIMIT);
        assert_eq!(room(&machine, 1), Some((None, BLOCK, LIMIT)));
        assert_eq!(room(&machine, 100), Some((None, 200, LIMIT)));
        assert_eq!(room(&begun(100, 100), 100), Some((None, 400, LIMIT)));
        assert_eq!(room(&machine, 600), Some((None, LIMIT, LIMIT)));
        let short = Assembling::new(BLOCK / 2);
        assert_eq!(room(&short, 1), Some((None, BLOCK / 2, BLOCK / 2)));
    }

    #[test]
    fn a_message_like_the_last_one_is_likely() {
        let mut machine = begun(500, 600);
        machine.placed(0, true);
        assert_eq!(room(&machine, 100), Some((Some(500), 200, LIMIT)));
        // It is longer already.
        assert_eq!(room(&machine, 300), Some((None, 600, LIMIT)));
        // One that was given up says nothing.
        machine.has_room(900);
        machine.placed(900, false);
        machine.message_given_up();
        assert_eq!(room(&machine, 100), Some((Some(500), 200, LIMIT)));
    }

    #[test]
    fn who_asks_for_parts_gets_what_was_put_together_and_then_the_rest() {
        let mut machine = begun(20, 100);
        machine.give_out();
        assert_eq!(machine.take_begun(), Some(20));
        assert_eq!(machine.take_begun(), None);
        assert!(machine.is_mid_message() && !machine.assembles());
        machine.came(10, false);
        assert_eq!(machine.next(not_asked), Step::Nothing);
        assert_eq!(machine.take_part(), Some(false));
        assert!(machine.is_mid_message());
        machine.came(10, true);
        assert_eq!(machine.take_part(), Some(true));
        assert!(!machine.is_mid_message() && machine.assembles());
        assert_eq!(machine.take_part(), None);
    }

    // There was no time to open anything into it.
    #[test]
    fn a_block_with_nothing_in_it_is_no_part() {
        let mut machine = begun(0, 100);
        machine.give_out();
        assert_eq!(machine.take_begun(), Some(0));
        assert!(!machine.is_mid_message());
        assert_eq!(machine.take_begun(), None);
    }

    #[test]
    fn asking_for_parts_changes_only_where_they_are_put_together() {
        for phase in PHASES {
            let mut machine = in_phase(phase);
            machine.give_out();
            let expected = match phase {
                Phase::Assembled => Phase::GivenOut,
                other => other,
            };
            assert_eq!(machine.phase, expected);
            machine.message_was_whole();
            assert!(machine.assembles());
        }
    }

    #[test]
    fn parts_are_given_out_in_every_phase_but_to_nobody() {
        for is_last in [false, true] {
            for phase in PHASES {
                let mut machine = with_part(phase, is_last);
                let taken = machine.take_part();
                if phase == Phase::Skipped {
                    assert_eq!(taken, None);
                    assert_eq!(machine.next(not_asked), Step::Drop);
                    continue;
                }
                assert_eq!(taken, Some(is_last));
                assert_eq!(machine.assembles(), is_last);
                assert_eq!(machine.is_mid_message(), !is_last);
            }
        }
    }

    #[test]
    fn the_rest_is_skipped_only_of_what_has_begun_to_be_given_out() {
        for phase in PHASES {
            let mut machine = in_phase(phase);
            machine.skip_rest();
            let expected = match phase {
                Phase::BeingGivenOut | Phase::Skipped => Phase::Skipped,
                _ => Phase::Assembled,
            };
            assert_eq!(machine.phase, expected);
        }
        // What waits and was not given out is put together.
        let mut machine = with_part(Phase::GivenOut, false);
        machine.skip_rest();
        assert_eq!(machine.next(not_asked), Step::Room(10));
        // What waits of a message that has begun is dropped with the rest.
        let mut machine = with_part(Phase::BeingGivenOut, false);
        machine.skip_rest();
        assert_eq!(machine.next(not_asked), Step::Drop);
    }

    #[test]
    fn skipping_ends_with_the_last_part() {
        let mut machine = with_part(Phase::Skipped, false);
        machine.gone();
        assert!(machine.is_mid_message() && !machine.assembles());
        assert_eq!(machine.next(not_asked), Step::Open);
        machine.came(0, true);
        assert_eq!(machine.next(not_asked), Step::Drop);
        machine.gone();
        assert!(!machine.is_mid_message() && machine.assembles());
    }

    #[test]
    fn who_got_parts_of_a_message_that_is_given_up_hears_of_it_once() {
        for phase in PHASES {
            let mut machine = in_phase(phase);
            machine.message_given_up();
            let expected = match phase {
                Phase::BeingGivenOut | Phase::GivenUp => Phase::GivenUp,
                Phase::GivenOut => Phase::GivenOut,
                Phase::Assembled | Phase::Skipped => Phase::Assembled,
            };
            assert_eq!(machine.phase, expected);
            assert!(!machine.is_mid_message());
            let is_told = machine.take_given_up();
            assert_eq!(is_told, expected == Phase::GivenUp);
            assert!(!machine.take_given_up());
        }
        // Nobody has seen anything of what was put together.
        let mut machine = begun(20, 100);
        machine.message_given_up();
        assert!(!machine.is_mid_message() && machine.assembles());
        assert!(!machine.take_given_up());
        assert_eq!(machine.has_room(100), 0, "nothing of it is kept");
    }

    #[test]
    fn nothing_is_left_when_receiving_has_failed() {
        for phase in [Phase::Assembled, Phase::GivenOut] {
            let mut machine = with_part(phase, true);
            machine.has_room(100);
            machine.clear();
            assert!(!machine.is_mid_message());
            assert_eq!(machine.take_begun(), None);
            assert_eq!(machine.take_part(), None);
        }
    }
}
