//! What a sending direction does next: which buffer fills, which one leaves, when it has ended.
//!
//! ```text
//!           append          full, or its turn           submitted       completed
//! messages --------> filling ----------------> ready ------------> out ----------> gone
//! ```
//!
//! At most two buffers are under way: one fills while the other one is ready or out. A record
//! that is open in the one that fills is closed just before that leaves, so messages that are
//! appended until then share it.
//!
//! Knows no socket, no task and no clock: it is told what has happened, and says what to do.

use core::ops::{DerefMut, Range};

use crate::protocol::layout::{Draft, IsNoRoom, Outgoing, Place, Planned};

/// How far the direction is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Messages may come.
    Open,
    /// No more messages; what there is still goes out, and then the end, or what stands for none.
    Closing { in_order: bool },
    /// All is out, and so is the end.
    Closed,
    /// Nothing more goes out, because this end says so.
    Aborted,
    /// Nothing more goes out, because the socket takes nothing more.
    Failed,
}

/// The buffer that messages go into.
#[derive(Debug)]
enum Filling<B> {
    /// There is none.
    Nothing,
    /// It can take messages, and can leave.
    Here(Draft<B>),
    /// A reservation has it.
    Lent,
}

impl<B: DerefMut<Target = [u8]>> Filling<B> {
    const fn draft(&mut self) -> Option<&mut Draft<B>> {
        match self {
            Self::Here(draft) => Some(draft),
            Self::Nothing | Self::Lent => None,
        }
    }

    /// Takes the buffer out if it is here and `is_due` says so.
    fn take_if(&mut self, is_due: impl FnOnce(&Draft<B>) -> bool) -> Option<Draft<B>> {
        match core::mem::replace(self, Self::Nothing) {
            Self::Here(draft) if is_due(&draft) => Some(draft),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// The buffer in front of the one that fills.
#[derive(Debug)]
enum Outbound<B> {
    /// There is none.
    Nothing,
    /// Sealed bytes that wait for their turn.
    Ready { buffer: B, length: usize },
    /// With the driver.
    Out { remaining: Range<usize> },
}

/// What the writer does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<B> {
    /// Write this range, then tell [`Sending::completed`].
    Submit {
        /// The buffer.
        buffer: B,
        /// The part of it that is to be written.
        range: Range<usize>,
    },
    /// Give [`Sending::fill`] a buffer of so many bytes: the wire has something to say of its own.
    Room(usize),
    /// Wait for the buffer that is out.
    Completion,
    /// Wait for messages.
    Messages,
    /// Say the end of the stream, then tell [`Sending::ended`].
    End,
    /// Nothing, ever again.
    Over,
}

/// What becomes of a buffer of which a part was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// This range of it is to be written next.
    Remaining(Range<usize>),
    /// Nothing; it is free.
    Gone,
}

/// Buffers of a direction that has stopped. Dropped where nothing is borrowed: that may wake others.
#[derive(Debug)]
pub(crate) struct Stopped<B> {
    _filling: Option<Draft<B>>,
    _ready: Option<B>,
}

/// Why nothing more is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOpen {
    /// This end has closed the direction.
    Closed,
    /// The socket has failed.
    Failed,
}

/// One sending direction.
#[derive(Debug)]
pub(crate) struct Sending<B> {
    filling: Filling<B>,
    outbound: Outbound<B>,
    phase: Phase,
    /// Buffers that had their turn since the beginning.
    handed_on: u64,
    /// Buffers that the kernel has taken whole.
    gone: u64,
}

impl<B: DerefMut<Target = [u8]>> Sending<B> {
    pub(crate) const fn new() -> Self {
        Self {
            filling: Filling::Nothing,
            outbound: Outbound::Nothing,
            phase: Phase::Open,
            handed_on: 0,
            gone: 0,
        }
    }

    /// Whether messages are taken.
    ///
    /// # Errors
    ///
    /// [`NotOpen`].
    #[inline]
    pub(crate) const fn check(&self) -> Result<(), NotOpen> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Failed => Err(NotOpen::Failed),
            Phase::Closing { .. } | Phase::Closed | Phase::Aborted => Err(NotOpen::Closed),
        }
    }

    /// Puts `message` into the buffer that fills; returns whether there was room.
    ///
    /// # Errors
    ///
    /// What `records` says but for the room, after which the direction is to be
    /// [aborted](Self::abort).
    #[inline]
    pub(crate) fn append<R: Outgoing>(
        &mut self,
        records: &mut R,
        planned: Planned,
        message: &[u8],
    ) -> Result<bool, R::Error> {
        self.append_with(records, |records, draft| {
            records.append(draft, planned, message)
        })
    }

    /// Puts `message` into the buffer that fills if that takes no more than copying it behind others;
    /// returns whether it did.
    #[inline]
    pub(crate) fn append_at_once<R: Outgoing>(&mut self, records: &mut R, message: &[u8]) -> bool {
        self.phase == Phase::Open
            && records.due() == 0
            && (self.filling.draft()).is_some_and(|draft| records.append_at_once(draft, message))
    }

    /// Does what `append` does to the buffer that fills; returns whether there was room.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    #[inline]
    pub(crate) fn append_with<R: Outgoing>(
        &mut self,
        records: &mut R,
        append: impl FnOnce(&mut R, &mut Draft<B>) -> Result<(), R::Error>,
    ) -> Result<bool, R::Error> {
        if records.due() > 0 && !self.append_due(records)? {
            return Ok(false);
        }
        let Some(draft) = self.filling.draft() else {
            return Ok(false);
        };
        match append(records, draft) {
            Ok(()) => Ok(true),
            Err(error) if error.is_no_room() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes the buffer that fills out, with a place in it for a message, if there is room. It is
    /// to be [put back](Self::put_back), and nothing leaves before.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub(crate) fn reserve<R: Outgoing>(
        &mut self,
        records: &mut R,
        planned: Planned,
    ) -> Result<Option<(Draft<B>, Place)>, R::Error> {
        if records.due() > 0 && !self.append_due(records)? {
            return Ok(None);
        }
        let Some(draft) = self.filling.draft() else {
            return Ok(None);
        };
        let place = match records.reserve(draft, planned) {
            Ok(place) => place,
            Err(error) if error.is_no_room() => return Ok(None),
            Err(error) => return Err(error),
        };
        let lent = self.filling.take_if(|_| true).map(|draft| (draft, place));
        self.filling = Filling::Lent;
        Ok(lent)
    }

    /// Takes back what [`reserve`](Self::reserve) gave. If the direction has ended meanwhile, nobody
    /// wants it: it is given back, to be dropped.
    pub(crate) fn put_back(&mut self, draft: Draft<B>) -> Option<Draft<B>> {
        debug_assert!(self.is_lent(), "it was lent");
        if self.is_live() {
            self.filling = Filling::Here(draft);
            return None;
        }
        self.filling = Filling::Nothing;
        self.handed_on += u64::from(!draft.is_empty());
        Some(draft)
    }

    /// Whether a reservation has the buffer that fills.
    pub(crate) const fn is_lent(&self) -> bool {
        matches!(self.filling, Filling::Lent)
    }

    /// Makes place for another buffer to fill, for a message that found no room; returns whether
    /// there is. If not, a completion may change that.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub(crate) fn make_place<R: Outgoing>(&mut self, records: &mut R) -> Result<bool, R::Error> {
        if matches!(self.outbound, Outbound::Nothing) {
            self.hand_on(records)?;
        }
        self.filling.take_if(Draft::is_empty);
        Ok(matches!(self.filling, Filling::Nothing))
    }

    /// Whether no buffer is ready or out.
    pub(crate) const fn has_nothing_outbound(&self) -> bool {
        matches!(self.outbound, Outbound::Nothing)
    }

    /// Has `buffer` fill, for which [`make_place`](Self::make_place) has made place.
    pub(crate) fn fill(&mut self, buffer: B) {
        debug_assert!(matches!(self.filling, Filling::Nothing), "one at a time");
        self.filling = Filling::Here(Draft::new(buffer));
    }

    /// Returns what stands for all that was appended until now.
    pub(crate) fn position(&self) -> u64 {
        self.handed_on + u64::from(self.holds_something())
    }

    /// Whether there is something in the buffer that fills.
    fn holds_something(&self) -> bool {
        match &self.filling {
            Filling::Here(draft) => !draft.is_empty(),
            // There may be; that shows when it is back.
            Filling::Lent => true,
            Filling::Nothing => false,
        }
    }

    /// Whether the kernel has all up to `position`, or all that was appended.
    pub(crate) fn is_written(&self, position: u64) -> bool {
        self.gone >= position.min(self.position())
    }

    /// No more messages come.
    pub(crate) fn close<R: Outgoing>(&mut self, records: &mut R) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing { in_order: true };
            records.end();
        }
    }

    /// No more messages come, and what the wire says behind those that did is no end.
    pub(crate) fn give_up(&mut self) {
        if self.is_live() {
            self.phase = Phase::Closing { in_order: false };
        }
    }

    /// Whether all that was appended is out.
    pub(crate) fn is_drained(&self) -> bool {
        !self.holds_something() && self.has_nothing_outbound()
    }

    /// Whether a buffer is with the driver.
    pub(crate) const fn is_out(&self) -> bool {
        matches!(self.outbound, Outbound::Out { .. })
    }

    /// Whether nothing more goes out.
    pub(crate) const fn has_stopped(&self) -> bool {
        matches!(self.phase, Phase::Aborted | Phase::Failed)
    }

    /// Whether all is out, and the end.
    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Nothing more goes out: a record may be incomplete, so nothing may follow it. Gives what is
    /// to be dropped, if that changes anything.
    pub(crate) fn abort(&mut self) -> Option<Stopped<B>> {
        self.is_live().then(|| self.stop(Phase::Aborted))
    }

    /// The socket takes nothing more. Gives what is to be dropped, if that is news.
    pub(crate) fn fail(&mut self) -> Option<Stopped<B>> {
        self.is_live().then(|| self.stop(Phase::Failed))
    }

    fn stop(&mut self, phase: Phase) -> Stopped<B> {
        self.phase = phase;
        let filling = self.filling.take_if(|_| true);
        // What was appended and never leaves is never written.
        let is_lost = filling.as_ref().is_some_and(|draft| !draft.is_empty());
        self.handed_on += u64::from(is_lost);
        let ready = match core::mem::replace(&mut self.outbound, Outbound::Nothing) {
            Outbound::Ready { buffer, .. } => Some(buffer),
            other => {
                self.outbound = other;
                None
            }
        };
        Stopped {
            _filling: filling,
            _ready: ready,
        }
    }

    /// Returns what the writer does next.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub(crate) fn next<R: Outgoing>(&mut self, records: &mut R) -> Result<Next<B>, R::Error> {
        if let Outbound::Out { .. } = self.outbound {
            return Ok(Next::Completion);
        }
        if self.is_lent() && self.is_live() {
            // What was appended before is in there.
            return Ok(self.next_out());
        }
        if matches!(self.outbound, Outbound::Nothing) && self.is_live() {
            let due = records.due();
            if due > 0 && !self.append_due(records)? && matches!(self.filling, Filling::Nothing) {
                return Ok(Next::Room(due));
            }
            self.hand_on(records)?;
            if due > 0 {
                // It may have been nothing after all.
                self.filling.take_if(Draft::is_empty);
            }
        }
        Ok(match self.next_out() {
            Next::Messages => match self.phase {
                Phase::Open => Next::Messages,
                Phase::Closing { .. } => Next::End,
                Phase::Closed | Phase::Aborted | Phase::Failed => Next::Over,
            },
            submit => submit,
        })
    }

    /// Has what is ready submitted, if anything is.
    fn next_out(&mut self) -> Next<B> {
        match core::mem::replace(&mut self.outbound, Outbound::Nothing) {
            Outbound::Ready { buffer, length } => {
                self.outbound = Outbound::Out {
                    remaining: 0..length,
                };
                Next::Submit {
                    buffer,
                    range: 0..length,
                }
            }
            Outbound::Nothing | Outbound::Out { .. } => Next::Messages,
        }
    }

    const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing { .. })
    }

    /// Puts what the wire has to say behind all messages; returns whether there was room.
    fn append_due<R: Outgoing>(&mut self, records: &mut R) -> Result<bool, R::Error> {
        let Some(draft) = self.filling.draft() else {
            return Ok(false);
        };
        match records.append_due(draft) {
            Ok(()) => Ok(true),
            Err(error) if error.is_no_room() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Closes the record that is open and has the buffer that fills be the next one out.
    fn hand_on<R: Outgoing>(&mut self, records: &mut R) -> Result<(), R::Error> {
        if let Some(draft) = self.filling.draft() {
            records.finish(draft)?;
        }
        if let Some(draft) = self.filling.take_if(|draft| !draft.is_empty()) {
            let (buffer, length) = draft.into_sealed();
            self.outbound = Outbound::Ready { buffer, length };
            self.handed_on += 1;
        }
        Ok(())
    }

    /// The kernel has taken `count` bytes of the buffer that is out.
    pub(crate) fn completed(&mut self, count: usize) -> Progress {
        let is_live = self.is_live();
        let Outbound::Out { remaining } = &mut self.outbound else {
            debug_assert!(false, "completed without a buffer that is out");
            return Progress::Gone;
        };
        remaining.start = (remaining.start + count).min(remaining.end);
        let is_whole = remaining.start == remaining.end;
        if !is_whole && is_live {
            return Progress::Remaining(remaining.clone());
        }
        self.gone += u64::from(is_whole);
        self.outbound = Outbound::Nothing;
        Progress::Gone
    }

    /// The end of the stream was said.
    pub(crate) fn ended(&mut self) {
        self.phase = match self.phase {
            Phase::Closing { in_order: true } => Phase::Closed,
            Phase::Closing { in_order: false } => Phase::Aborted,
            other => other,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::one_tag::OneTag;
    use crate::protocol::record::{CupsVersion, Sealer, pair};

    type Machine = Sending<Vec<u8>>;

    fn cups() -> Sealer {
        pair(CupsVersion::V0, 1000).0
    }

    fn append<R: Outgoing>(machine: &mut Machine, records: &mut R, length: usize) -> bool
    where
        R::Error: core::fmt::Debug,
    {
        let planned = records.plan(length).expect("within the limit");
        let appended = machine.append(records, planned, &vec![1; length]);
        appended.expect("it seals")
    }

    fn next<R: Outgoing>(machine: &mut Machine, records: &mut R) -> Next<Vec<u8>>
    where
        R::Error: core::fmt::Debug,
    {
        machine.next(records).expect("it seals")
    }

    /// Makes place and has a buffer of `length` bytes fill.
    fn fill<R: Outgoing>(machine: &mut Machine, records: &mut R, length: usize)
    where
        R::Error: core::fmt::Debug,
    {
        assert!(machine.make_place(records).expect("it seals"));
        machine.fill(vec![0; length]);
    }

    fn submitted<R: Outgoing>(machine: &mut Machine, records: &mut R) -> Range<usize>
    where
        R::Error: core::fmt::Debug,
    {
        match next(machine, records) {
            Next::Submit { range, .. } => range,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_appended_until_its_turn_leaves_together() {
        let (mut machine, mut records) = (Machine::new(), OneTag::new());
        assert!(!append(&mut machine, &mut records, 5), "nothing fills yet");
        fill(&mut machine, &mut records, 100);
        for _ in 0..3 {
            assert!(append(&mut machine, &mut records, 5));
        }
        // One record: its length, three entries, one tag.
        assert_eq!(submitted(&mut machine, &mut records), 0..2 + 3 * 6 + 16);
        assert_eq!(next(&mut machine, &mut records), Next::Completion);
        assert_eq!(machine.completed(36), Progress::Gone);
        assert_eq!(next(&mut machine, &mut records), Next::Messages);
    }

    #[test]
    fn one_buffer_fills_while_another_is_out_and_a_third_has_no_place() {
        let (mut machine, mut records) = (Machine::new(), cups());
        fill(&mut machine, &mut records, 60);
        assert!(append(&mut machine, &mut records, 20));
        assert!(!append(&mut machine, &mut records, 40), "it is full");
        // Nothing is out, so the full one is ready at once.
        fill(&mut machine, &mut records, 60);
        assert!(append(&mut machine, &mut records, 40));
        assert!(!machine.make_place(&mut records).expect("it seals"));
        assert_eq!(submitted(&mut machine, &mut records), 0..37);
        assert!(!machine.make_place(&mut records).expect("it seals"));
        assert_eq!(machine.completed(37), Progress::Gone);
        assert!(machine.make_place(&mut records).expect("it seals"));
        assert_eq!(submitted(&mut machine, &mut records), 0..57);
    }

    #[test]
    fn short_writes_go_on_where_they_stopped() {
        let (mut machine, mut records) = (Machine::new(), cups());
        fill(&mut machine, &mut records, 60);
        assert!(append(&mut machine, &mut records, 20));
        assert_eq!(submitted(&mut machine, &mut records), 0..37);
        assert_eq!(machine.completed(30), Progress::Remaining(30..37));
        assert_eq!(machine.completed(6), Progress::Remaining(36..37));
        assert!(!machine.is_written(u64::MAX));
        assert_eq!(machine.completed(1), Progress::Gone);
        assert!(machine.is_written(u64::MAX));
    }

    #[test]
    fn positions_tell_what_the_kernel_has() {
        let (mut machine, mut records) = (Machine::new(), cups());
        assert!(machine.is_written(machine.position()));
        fill(&mut machine, &mut records, 60);
        assert!(append(&mut machine, &mut records, 1));
        let first = machine.position();
        assert!(!machine.is_written(first));
        submitted(&mut machine, &mut records);
        assert_eq!(machine.position(), first, "nothing was appended since");
        fill(&mut machine, &mut records, 60);
        assert!(append(&mut machine, &mut records, 2));
        assert!(machine.position() > first);
        machine.completed(18);
        assert!(machine.is_written(first) && !machine.is_written(machine.position()));
    }

    #[test]
    fn nothing_leaves_while_a_reservation_has_the_buffer() {
        let (mut machine, mut records) = (Machine::new(), cups());
        let planned = records.plan(10).expect("within the limit");
        let reserve = |machine: &mut Machine, records: &mut Sealer| {
            machine.reserve(records, planned).expect("it seals")
        };
        assert!(reserve(&mut machine, &mut records).is_none());
        fill(&mut machine, &mut records, 100);
        assert!(append(&mut machine, &mut records, 5));
        let (mut draft, place) = reserve(&mut machine, &mut records).expect("room");
        assert_eq!(next(&mut machine, &mut records), Next::Messages);
        assert!(!append(&mut machine, &mut records, 5));
        draft.plaintext_mut(&place).fill(3);
        records
            .append_reserved(&mut draft, place)
            .expect("it seals");
        machine.put_back(draft);
        assert_eq!(submitted(&mut machine, &mut records), 0..22 + 27);
    }

    // A read may have the buffer for longer than the call that has reserved it.
    #[test]
    fn what_a_reservation_has_with_it_is_not_written() {
        let (mut machine, mut records) = (Machine::new(), cups());
        fill(&mut machine, &mut records, 100);
        assert!(append(&mut machine, &mut records, 5));
        let planned = records.plan(10).expect("within the limit");
        let reserved = machine.reserve(&mut records, planned).expect("it seals");
        let (draft, _place) = reserved.expect("room");
        let position = machine.position();
        assert!(!machine.is_written(position));
        machine.put_back(draft);
        assert_eq!(machine.position(), position);
        submitted(&mut machine, &mut records);
        machine.completed(22);
        assert!(machine.is_written(position));
    }

    #[test]
    fn a_reservation_that_is_not_used_sends_nothing() {
        let (mut machine, mut records) = (Machine::new(), OneTag::new());
        fill(&mut machine, &mut records, 100);
        let planned = records.plan(10).expect("within the limit");
        let reserved = machine.reserve(&mut records, planned).expect("it seals");
        let (draft, _place) = reserved.expect("room");
        machine.put_back(draft);
        assert!(machine.check().is_ok());
        // The layout for tests seals an empty record, which is its own affair.
        assert!(append(&mut machine, &mut records, 1));
        assert_eq!(submitted(&mut machine, &mut records), 0..2 + 2 + 16);
    }

    #[test]
    fn a_reservation_outlives_the_end_of_its_direction() {
        let stops: [fn(&mut Machine); 2] = [
            |machine| drop(machine.abort()),
            |machine| drop(machine.fail()),
        ];
        for stop in stops {
            let (mut machine, mut records) = (Machine::new(), cups());
            fill(&mut machine, &mut records, 100);
            assert!(append(&mut machine, &mut records, 5));
            let position = machine.position();
            let planned = records.plan(10).expect("within the limit");
            let reserved = machine.reserve(&mut records, planned).expect("it seals");
            let (draft, _place) = reserved.expect("room");
            stop(&mut machine);
            assert_eq!(next(&mut machine, &mut records), Next::Over);
            assert!(machine.put_back(draft).is_some());
            assert!(!machine.is_written(position), "it never left");
        }
    }

    #[test]
    fn a_direction_does_not_end_before_a_reservation_is_back() {
        let (mut machine, mut records) = (Machine::new(), cups());
        fill(&mut machine, &mut records, 100);
        assert!(append(&mut machine, &mut records, 5));
        let planned = records.plan(10).expect("within the limit");
        let reserved = machine.reserve(&mut records, planned).expect("it seals");
        machine.give_up();
        assert_eq!(next(&mut machine, &mut records), Next::Messages);
        let (draft, _place) = reserved.expect("room");
        assert!(machine.put_back(draft).is_none());
        assert_eq!(submitted(&mut machine, &mut records), 0..22);
        machine.completed(22);
        assert_eq!(next(&mut machine, &mut records), Next::End);
        machine.ended();
        assert!(!machine.is_closed(), "it was given up");
        assert!(machine.has_stopped());
    }

    #[test]
    fn what_the_wire_says_comes_before_what_is_appended_later() {
        let mut machine = Machine::new();
        let mut records = WithEnd {
            records: OneTag::new(),
            is_due: false,
        };
        fill(&mut machine, &mut records, 60);
        assert!(append(&mut machine, &mut records, 5));
        records.is_due = true;
        assert!(append(&mut machine, &mut records, 1));
        assert!(!records.is_due);
        records.is_due = true;
        assert!(
            !append(&mut machine, &mut records, 1),
            "no room for what is due"
        );
        fill(&mut machine, &mut records, 60);
        assert!(append(&mut machine, &mut records, 1));
        assert!(!records.is_due);
        assert_eq!(
            submitted(&mut machine, &mut records),
            0..2 + 6 + 21 + 2 + 16
        );
    }

    #[test]
    fn a_close_lets_everything_out_first() {
        let (mut machine, mut records) = (Machine::new(), cups());
        fill(&mut machine, &mut records, 60);
        assert!(append(&mut machine, &mut records, 20));
        machine.close(&mut records);
        assert_eq!(machine.check(), Err(NotOpen::Closed));
        assert!(!machine.is_closed());
        submitted(&mut machine, &mut records);
        machine.completed(37);
        assert_eq!(next(&mut machine, &mut records), Next::End);
        assert_eq!(
            next(&mut machine, &mut records),
            Next::End,
            "until it was said"
        );
        machine.ended();
        assert!(machine.is_closed());
        assert_eq!(next(&mut machine, &mut records), Next::Over);
    }

    #[test]
    fn after_an_abort_or_a_failure_nothing_follows_what_is_out() {
        let stops: [fn(&mut Machine) -> bool; 2] = [
            |machine| machine.abort().is_some(),
            |machine| machine.fail().is_some(),
        ];
        for stop in stops {
            for out in [false, true] {
                let (mut machine, mut records) = (Machine::new(), cups());
                fill(&mut machine, &mut records, 60);
                assert!(append(&mut machine, &mut records, 20));
                if out {
                    submitted(&mut machine, &mut records);
                }
                let position = machine.position();
                assert!(stop(&mut machine));
                assert!(!stop(&mut machine), "it is no news");
                assert!(machine.abort().is_none() && machine.fail().is_none());
                assert!(machine.check().is_err() && machine.has_stopped());
                assert!(!append(&mut machine, &mut records, 1));
                if out {
                    assert_eq!(next(&mut machine, &mut records), Next::Completion);
                    // Not even the rest of it.
                    assert_eq!(machine.completed(10), Progress::Gone);
                }
                assert_eq!(next(&mut machine, &mut records), Next::Over);
                machine.close(&mut records);
                machine.ended();
                assert!(!machine.is_closed());
                assert!(!machine.is_written(position), "it never left");
                assert!(!machine.is_written(u64::MAX));
            }
        }
    }

    #[test]
    fn refusals_tell_a_close_from_a_failure() {
        let mut records = cups();
        let mut machine = Machine::new();
        machine.fail();
        assert_eq!(machine.check(), Err(NotOpen::Failed));
        let mut machine = Machine::new();
        machine.abort();
        assert_eq!(machine.check(), Err(NotOpen::Closed));
        let mut machine = Machine::new();
        machine.close(&mut records);
        assert_eq!(machine.check(), Err(NotOpen::Closed));
        // What fails while it closes has failed.
        assert!(machine.fail().is_some());
        assert_eq!(machine.check(), Err(NotOpen::Failed));
    }

    /// A wire that has something to say at its end.
    struct WithEnd {
        records: OneTag,
        is_due: bool,
    }

    impl Outgoing for WithEnd {
        type Error = <OneTag as Outgoing>::Error;

        fn plan(&self, length: usize) -> Result<Planned, Self::Error> {
            self.records.plan(length)
        }

        fn append<B: DerefMut<Target = [u8]>>(
            &mut self,
            draft: &mut Draft<B>,
            planned: Planned,
            message: &[u8],
        ) -> Result<(), Self::Error> {
            self.records.append(draft, planned, message)
        }

        fn reserve<B: DerefMut<Target = [u8]>>(
            &mut self,
            draft: &mut Draft<B>,
            planned: Planned,
        ) -> Result<Place, Self::Error> {
            self.records.reserve(draft, planned)
        }

        fn shorten<B: DerefMut<Target = [u8]>>(
            &self,
            draft: &mut Draft<B>,
            place: &mut Place,
            length: usize,
        ) -> usize {
            self.records.shorten(draft, place, length)
        }

        fn append_reserved<B: DerefMut<Target = [u8]>>(
            &mut self,
            draft: &mut Draft<B>,
            place: Place,
        ) -> Result<(), Self::Error> {
            self.records.append_reserved(draft, place)
        }

        fn finish<B: DerefMut<Target = [u8]>>(
            &mut self,
            draft: &mut Draft<B>,
        ) -> Result<(), Self::Error> {
            self.records.finish(draft)
        }

        fn due(&self) -> usize {
            if self.is_due { 40 } else { 0 }
        }

        fn append_due<B: DerefMut<Target = [u8]>>(
            &mut self,
            draft: &mut Draft<B>,
        ) -> Result<(), Self::Error> {
            let planned = self.records.plan(20)?;
            self.records.append(draft, planned, &[9; 20])?;
            self.is_due = false;
            Ok(())
        }

        fn end(&mut self) {
            self.is_due = true;
        }
    }

    #[test]
    fn what_the_wire_says_at_its_end_leaves_behind_all_messages() {
        // Room for it beside the message; room in another buffer only; no buffer at all.
        for (buffer, message) in [(100, 5), (30, 5), (0, 0)] {
            let mut machine = Machine::new();
            let mut records = WithEnd {
                records: OneTag::new(),
                is_due: false,
            };
            if buffer > 0 {
                fill(&mut machine, &mut records, buffer);
                assert!(append(&mut machine, &mut records, message));
            }
            machine.close(&mut records);
            let mut rooms = 0;
            let mut written = 0;
            loop {
                match next(&mut machine, &mut records) {
                    Next::Room(bytes) => {
                        rooms += 1;
                        machine.fill(vec![0; bytes]);
                    }
                    Next::Submit { range, .. } => {
                        written += range.len();
                        machine.completed(range.len());
                    }
                    Next::End => break,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(rooms, usize::from(buffer < 100));
            let (one, other) = (1 + message, 21);
            let expected = match buffer {
                100 => one + other + 18,
                30 => one + other + 2 * 18,
                _ => other + 18,
            };
            assert_eq!(written, expected);
        }
    }

    proptest! {
        /// What leaves is what was appended, in order and whole, however buffers and writes cut it.
        #[test]
        fn bytes_leave_in_order(steps in prop::collection::vec((0..5_u8, 0..60_usize), 1..200)) {
            let (mut machine, mut records) = (Machine::new(), cups());
            let mut twin = cups();
            let (mut expected, mut written) = (Vec::new(), Vec::new());
            let mut out: Option<(Vec<u8>, Range<usize>)> = None;
            for (kind, size) in steps {
                match kind {
                    0 | 1 => {
                        let message = vec![size.to_le_bytes()[0]; size];
                        let planned = records.plan(size).unwrap();
                        if machine.append(&mut records, planned, &message).unwrap() {
                            let mut record = vec![0; planned.room()];
                            let length = twin.seal(&message, &mut record).unwrap();
                            expected.extend_from_slice(&record[..length]);
                        } else if machine.make_place(&mut records).unwrap() {
                            machine.fill(vec![0; 80 + size]);
                        }
                    }
                    2 => match machine.next(&mut records).unwrap() {
                        Next::Submit { buffer, range } => {
                            prop_assert!(out.is_none());
                            out = Some((buffer, range));
                        }
                        Next::Completion => prop_assert!(out.is_some()),
                        Next::Messages => prop_assert!(out.is_none()),
                        other => prop_assert!(false, "{other:?}"),
                    },
                    _ => if let Some((buffer, range)) = out.take() {
                        let count = size.clamp(1, range.len());
                        written.extend_from_slice(&buffer[range.start..range.start + count]);
                        if let Progress::Remaining(rest) = machine.completed(count) {
                            prop_assert_eq!(rest.clone(), range.start + count..range.end);
                            out = Some((buffer, rest));
                        }
                    },
                }
            }
            machine.close(&mut records);
            loop {
                if let Some((buffer, range)) = out.take() {
                    written.extend_from_slice(&buffer[range.clone()]);
                    prop_assert_eq!(machine.completed(range.len()), Progress::Gone);
                }
                match machine.next(&mut records).unwrap() {
                    Next::Submit { buffer, range } => out = Some((buffer, range)),
                    Next::End => break,
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(written, expected);
            prop_assert!(machine.is_written(u64::MAX));
        }
    }
}
