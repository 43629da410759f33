//! What a wire has beside messages, as those who call the machines ask for it: those that there are, and
//! the one made for tests.

use core::convert::Infallible;
use core::ops::DerefMut;

use crate::net::connection::records::{AppendError, Event, OutgoingRecords};
use crate::protocol::AbortReason;
use crate::protocol::layout::{Draft, Outgoing, Planned};

/// A sending direction of any wire.
pub(super) trait Wire: Outgoing {
    /// Has it say something beside messages; `choice` says what.
    fn say(&mut self, _choice: usize) {}

    /// Plans a message that is to be written in place, if it can be.
    fn plan_in_place(&self, length: usize) -> Option<Planned> {
        self.plan(length).ok()
    }

    /// Plans a part, where there are parts.
    fn plan_part(&self, _rest: usize, _room: usize) -> Option<Planned> {
        None
    }

    fn append_part<B: DerefMut<Target = [u8]>>(
        &mut self,
        _draft: &mut Draft<B>,
        _part: &[u8],
        _is_last: bool,
    ) -> Result<(), Self::Error> {
        unreachable!("no part was planned")
    }

    /// The message that has begun to leave in parts is given up.
    fn drop_message(&mut self) {}

    /// Has it say that the direction is given up; returns whether it is, and not over already.
    fn abort(&mut self) -> bool {
        true
    }
}

#[cfg(test)]
impl Wire for crate::protocol::one_tag::OneTag {}

impl Wire for OutgoingRecords {
    fn say(&mut self, choice: usize) {
        match choice % 3 {
            0 => drop(self.update()),
            1 => self.alive(),
            _ => drop(self.leave(1)),
        }
    }

    fn plan_in_place(&self, length: usize) -> Option<Planned> {
        Self::plan_in_place(self, length).ok()
    }

    fn plan_part(&self, rest: usize, room: usize) -> Option<Planned> {
        Self::plan_part(self, rest, room)
    }

    fn append_part<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        part: &[u8],
        is_last: bool,
    ) -> Result<(), AppendError> {
        Self::append_part(self, draft, part, is_last)
    }

    fn drop_message(&mut self) {
        Self::drop_message(self);
    }

    fn abort(&mut self) -> bool {
        let has_no_word_for_it = matches!(self, Self::Commonware(_));
        Self::abort(self, AbortReason::UNSPECIFIED) || has_no_word_for_it
    }
}

/// What an event means to who puts messages together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Nothing,
    /// The message of which parts have come is given up.
    Dropped,
    /// Nothing follows, and that is no end.
    Aborted,
}

/// An event of any wire.
pub(super) trait Means {
    fn meaning(&self) -> Meaning;
}

impl Means for Infallible {
    fn meaning(&self) -> Meaning {
        match *self {}
    }
}

impl Means for Event {
    fn meaning(&self) -> Meaning {
        match self {
            Self::Dropped => Meaning::Dropped,
            Self::Aborted(_) => Meaning::Aborted,
            _ => Meaning::Nothing,
        }
    }
}
