//! The record layers that a connection may have, behind the one shape that this room knows.
//!
//! Another wire is one more variant in here, one more handshake in `net::establish::attempt`, and what its
//! errors mean in `net::error`.

use core::ops::{DerefMut, Range};

use super::dump::{self, Dump};
use crate::net::error::{RecvError, SendError};
use crate::protocol::layout::{Draft, End, Incoming, IsNoRoom, Outgoing, Place, Planned, Step};
use crate::protocol::native::record as native;
use crate::protocol::record::{self, Opener, Sealer};
use crate::protocol::{AbortReason, RecordCounts};

pub(crate) use native::Event;

/// One sending direction.
#[derive(Debug)]
pub(crate) enum OutgoingRecords {
    Commonware(Sealer),
    Native(Box<NativeOutgoing>),
}

/// A sending direction of the native wire, and what it has to say beside messages.
#[derive(Debug)]
pub(crate) struct NativeOutgoing {
    sealer: native::Sealer,
    /// Whether the message that has begun to leave in parts is given up.
    drops: bool,
    updates: bool,
    alive: bool,
    leaving: Option<u16>,
    last: Option<native::Frame>,
    /// Whether the last frame of the direction is sealed.
    is_over: bool,
    dump: Dump,
}

impl NativeOutgoing {
    pub(crate) const fn new(sealer: native::Sealer) -> Self {
        Self {
            sealer,
            drops: false,
            updates: false,
            alive: false,
            leaving: None,
            last: None,
            is_over: false,
            dump: Dump::UNNUMBERED,
        }
    }

    const fn is_due(&self) -> bool {
        !self.is_over && self.has_something_to_say()
    }

    const fn has_something_to_say(&self) -> bool {
        self.drops || self.updates || self.alive || self.leaving.is_some() || self.last.is_some()
    }

    /// Seals what is due, in an order that any peer takes: nothing behind the last frame.
    fn append_due<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
    ) -> Result<(), native::SealError> {
        if self.drops {
            self.sealer.control(draft, native::Frame::Drop)?;
            self.drops = false;
        }
        if self.updates {
            self.sealer.update(draft)?;
            self.updates = false;
        }
        if self.alive {
            self.sealer.control(draft, native::Frame::Alive)?;
            self.alive = false;
        }
        if let Some(reason) = self.leaving {
            self.sealer.control(draft, native::Frame::Leaving(reason))?;
            self.leaving = None;
        }
        if let Some(frame) = self.last {
            self.sealer.control(draft, frame)?;
            self.is_over = true;
        }
        Ok(())
    }
}

/// Why a message was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendError {
    Commonware(record::SealError),
    Native(native::SealError),
}

impl AppendError {
    /// Whether nothing more can be sealed.
    pub(crate) fn is_final(&self) -> bool {
        use native::SealError::{TooLarge, TooLongInPlace};

        let is_refusal = matches!(
            self,
            Self::Commonware(
                record::SealError::TooLarge { .. } | record::SealError::LengthMismatch { .. }
            ) | Self::Native(TooLarge { .. } | TooLongInPlace { .. })
        );
        !is_refusal && !self.is_no_room()
    }
}

impl IsNoRoom for AppendError {
    fn is_no_room(&self) -> bool {
        match self {
            Self::Commonware(error) => error.is_no_room(),
            Self::Native(error) => error.is_no_room(),
        }
    }
}

impl From<AppendError> for SendError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Commonware(error) => error.into(),
            AppendError::Native(error) => error.into(),
        }
    }
}

impl From<record::SealError> for SendError {
    fn from(error: record::SealError) -> Self {
        use record::SealError;

        match error {
            SealError::TooLarge { length, limit } => Self::TooLarge {
                length,
                limit: limit.into(),
            },
            SealError::Closed => Self::Closed,
            _ => Self::SealFailed,
        }
    }
}

impl From<native::SealError> for SendError {
    fn from(error: native::SealError) -> Self {
        use native::SealError;

        match error {
            SealError::TooLarge { length, limit } => Self::TooLarge {
                length: usize::try_from(length).unwrap_or(usize::MAX),
                limit,
            },
            SealError::TooLongInPlace { length, limit } => Self::TooLongInPlace { length, limit },
            SealError::Closed | SealError::Ended => Self::Closed,
            _ => Self::SealFailed,
        }
    }
}

/// Calls what the sending direction of each wire has.
macro_rules! dispatch {
    ($self:ident, $records:ident => $call:expr) => {
        match $self {
            OutgoingRecords::Commonware($records) => $call.map_err(AppendError::Commonware),
            OutgoingRecords::Native(native) => {
                let $records = &mut native.sealer;
                $call.map_err(AppendError::Native)
            }
        }
    };
}

impl OutgoingRecords {
    /// Returns the longest message in bytes.
    pub(crate) fn message_limit(&self) -> u64 {
        match self {
            Self::Commonware(sealer) => sealer.max_message_size().into(),
            Self::Native(native) => native.sealer.message_limit(),
        }
    }

    /// Plans a message that is to be written in place.
    ///
    /// # Errors
    ///
    /// As for [`plan`](Outgoing::plan), and that it needs more than one record.
    pub(crate) fn plan_in_place(&self, length: usize) -> Result<Planned, AppendError> {
        let planned = self.plan(length)?;
        if let Self::Native(native) = self {
            let limit = native.sealer.part_limit();
            if !planned.is_packed() && length > limit {
                let error = native::SealError::TooLongInPlace { length, limit };
                return Err(AppendError::Native(error));
            }
        }
        Ok(planned)
    }

    /// Plans the next part of a message that leaves in parts, at most `rest` bytes and as long as
    /// `room` bytes allow; `None` on a wire without parts.
    pub(crate) fn plan_part(&self, rest: usize, room: usize) -> Option<Planned> {
        match self {
            Self::Commonware(_) => None,
            Self::Native(native) => {
                let sealer = &native.sealer;
                // With a step of padding that no slot holds, a heap block has to.
                let longest = match sealer.part_within(room) {
                    0 => sealer.part_limit(),
                    longest => longest,
                };
                Some(sealer.plan_part(longest.min(rest)))
            }
        }
    }

    /// Appends the next part of a message that leaves in parts. Only the last one may be empty.
    ///
    /// # Errors
    ///
    /// As for [`append`](Outgoing::append). Not for a wire without parts, where nothing is done.
    pub(crate) fn append_part<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        part: &[u8],
        is_last: bool,
    ) -> Result<(), AppendError> {
        match self {
            Self::Commonware(_) => Ok(()),
            Self::Native(native) => {
                let sealed = native.sealer.part(draft, part, is_last);
                sealed.map_err(AppendError::Native)
            }
        }
    }

    /// Has the peer told that the message which has begun to leave in parts is given up, if one has.
    pub(crate) fn drop_message(&mut self) {
        if let Self::Native(native) = self {
            native.drops = native.sealer.is_mid_message();
        }
    }

    /// Whether [`abort`](Self::abort) says something.
    pub(crate) fn can_abort(&self) -> bool {
        matches!(self, Self::Native(native) if !native.is_over)
    }

    /// Has a last word said instead of the end, where the wire has one; returns whether it has.
    pub(crate) fn abort(&mut self, reason: AbortReason) -> bool {
        match self {
            Self::Commonware(_) => false,
            Self::Native(native) => {
                native.last = Some(native::Frame::Abort(reason));
                self.can_abort()
            }
        }
    }

    /// Has the peer told that this end is there, where the wire can.
    pub(crate) fn alive(&mut self) {
        if let Self::Native(native) = self {
            native.alive = true;
        }
    }

    /// Has the peer told that this end would like to end, where the wire can; returns whether it can.
    pub(crate) fn leave(&mut self, reason: u16) -> bool {
        match self {
            Self::Commonware(_) => false,
            Self::Native(native) => {
                native.leaving = Some(reason);
                true
            }
        }
    }

    /// Returns how much was sealed.
    pub(crate) fn counts(&self) -> RecordCounts {
        match self {
            Self::Commonware(sealer) => sealer.counts(),
            Self::Native(native) => native.sealer.counts(),
        }
    }

    /// Has records told of under a number.
    pub(crate) fn number(&mut self, dump: Dump) {
        if let Self::Native(native) = self {
            native.dump = dump;
        }
    }

    /// Tells of the records that leave, where the wire has what can be told.
    #[cold]
    pub(crate) fn dump(&self, sealed: &[u8]) {
        if let Self::Native(native) = self {
            native.dump.sent(sealed);
        }
    }

    /// Has what follows sealed with new keys, where the wire can; returns whether it can.
    pub(crate) fn update(&mut self) -> bool {
        match self {
            Self::Commonware(_) => false,
            Self::Native(native) => {
                native.updates = true;
                true
            }
        }
    }
}

impl Outgoing for OutgoingRecords {
    type Error = AppendError;

    #[inline]
    fn plan(&self, length: usize) -> Result<Planned, AppendError> {
        match self {
            Self::Commonware(sealer) => sealer.plan(length).map_err(AppendError::Commonware),
            Self::Native(native) => native.sealer.plan(length).map_err(AppendError::Native),
        }
    }

    #[inline]
    fn append<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
        message: &[u8],
    ) -> Result<(), AppendError> {
        dispatch!(self, records => records.append(draft, planned, message))
    }

    #[inline]
    fn append_at_once<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        message: &[u8],
    ) -> bool {
        match self {
            Self::Commonware(_) => false,
            Self::Native(native) => native.sealer.append_at_once(draft, message),
        }
    }

    fn reserve<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
    ) -> Result<Place, AppendError> {
        dispatch!(self, records => records.reserve(draft, planned))
    }

    fn shorten<B: DerefMut<Target = [u8]>>(
        &self,
        draft: &mut Draft<B>,
        place: &mut Place,
        length: usize,
    ) -> usize {
        match self {
            Self::Commonware(sealer) => sealer.shorten(draft, place, length),
            Self::Native(native) => native.sealer.shorten(draft, place, length),
        }
    }

    fn append_reserved<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        place: Place,
    ) -> Result<(), AppendError> {
        dispatch!(self, records => records.append_reserved(draft, place))
    }

    #[inline]
    fn finish<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
    ) -> Result<(), AppendError> {
        dispatch!(self, records => records.finish(draft))
    }

    #[inline]
    fn due(&self) -> usize {
        match self {
            Self::Commonware(_) => 0,
            Self::Native(native) if native.is_due() => native::Sealer::CONTROL_ROOM * 5,
            Self::Native(_) => 0,
        }
    }

    fn append_due<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
    ) -> Result<(), AppendError> {
        match self {
            Self::Commonware(_) => Ok(()),
            Self::Native(native) => native.append_due(draft).map_err(AppendError::Native),
        }
    }

    fn end(&mut self) {
        if let Self::Native(native) = self {
            native.last.get_or_insert(native::Frame::End);
        }
    }
}

/// One receiving direction.
#[derive(Debug)]
pub(crate) enum IncomingRecords {
    Commonware(Opener),
    Native(Box<NativeIncoming>),
}

/// A receiving direction of the native wire.
#[derive(Debug)]
pub(crate) struct NativeIncoming {
    opener: native::Opener,
    dump: Dump,
}

impl NativeIncoming {
    pub(crate) const fn new(opener: native::Opener) -> Self {
        Self {
            opener,
            dump: Dump::UNNUMBERED,
        }
    }
}

impl IncomingRecords {
    /// Has records told of under a number.
    pub(crate) fn number(&mut self, dump: Dump) {
        if let Self::Native(native) = self {
            native.dump = dump;
        }
    }

    /// Returns how long a message in parts may be, in bytes; 0 where there are none.
    pub(crate) fn message_limit(&self) -> u64 {
        match self {
            Self::Commonware(_) => 0,
            Self::Native(native) => native.opener.message_limit(),
        }
    }

    /// Returns how much was opened.
    pub(crate) fn counts(&self) -> RecordCounts {
        match self {
            Self::Commonware(opener) => opener.counts(),
            Self::Native(native) => native.opener.counts(),
        }
    }

    /// Whether the listener is yet to say whether it admits this end.
    pub(crate) fn is_answer_due(&self) -> bool {
        match self {
            Self::Commonware(_) => false,
            Self::Native(native) => native.opener.is_answer_due(),
        }
    }
}

impl Incoming for IncomingRecords {
    type Event = Event;
    type Error = RecvError;

    #[inline]
    fn open(&mut self, stream: &mut [u8]) -> Result<Step<Event>, RecvError> {
        match self {
            Self::Commonware(opener) => Ok(widen(Incoming::open(opener, stream)?)),
            Self::Native(native) => {
                let opened = native.opener.open(stream);
                if dump::is_wanted() {
                    native.dump.received(stream, opened.as_ref());
                }
                Ok(opened?)
            }
        }
    }

    #[inline]
    fn part_ahead(&self, stream: &[u8]) -> Option<usize> {
        match self {
            Self::Commonware(_) => None,
            Self::Native(native) => native.opener.part_ahead(stream),
        }
    }

    fn open_into(
        &mut self,
        stream: &[u8],
        target: &mut [u8],
    ) -> Result<Option<Step<Event>>, RecvError> {
        match self {
            Self::Commonware(_) => Ok(None),
            Self::Native(native) => {
                let opened = native.opener.open_into(stream, target);
                if dump::is_wanted()
                    && let Some(opened) = opened.as_ref().map(Option::as_ref).transpose()
                {
                    native.dump.received(stream, opened);
                }
                Ok(opened?)
            }
        }
    }

    #[inline]
    fn next_packed(&mut self, region: &[u8]) -> Result<Option<Range<usize>>, RecvError> {
        match self {
            Self::Commonware(_) => Ok(None),
            Self::Native(native) => Ok(native.opener.next_packed(region)?),
        }
    }

    #[inline]
    fn next_short(&mut self, region: &[u8]) -> Option<Range<usize>> {
        match self {
            Self::Commonware(_) => None,
            Self::Native(native) => native.opener.next_short(region),
        }
    }

    fn finish(&self, unconsumed: usize) -> Result<End, RecvError> {
        match self {
            Self::Commonware(opener) => Ok(Incoming::finish(opener, unconsumed)?),
            Self::Native(native) => Ok(native.opener.finish(unconsumed)?),
        }
    }
}

/// Takes a step of a wire without events for one of a wire that has some.
#[inline]
fn widen(step: Step<core::convert::Infallible>) -> Step<Event> {
    match step {
        Step::Incomplete { consumed, needed } => Step::Incomplete { consumed, needed },
        Step::Message {
            plaintext,
            consumed,
        } => Step::Message {
            plaintext,
            consumed,
        },
        Step::Packed { region, consumed } => Step::Packed { region, consumed },
        Step::Part {
            plaintext,
            last,
            consumed,
        } => Step::Part {
            plaintext,
            last,
            consumed,
        },
        Step::Event { event, .. } => match event {},
    }
}
