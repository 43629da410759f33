//! Incoming records.
//!
//! [`Opener::open`] looks at the start of what has arrived and either opens one record in place
//! or says how many bytes it needs before it can go on. The header is believed as far as one
//! record of memory, and only within this end's record limit; nothing of a body is used before
//! its tag is checked.

use super::control::Decoded;
use super::header::{HEADER_LEN, Header, Kind, OVERHEAD, length_of};
use super::under_way::UnderWay;
use super::{Direction, Event, MAX_PACKED_LEN, NOTHING, OpenError, PADDED_PREFIX_LEN};
use crate::protocol::RecordCounts;
use crate::protocol::cipher::TAG_LEN;
use crate::protocol::layout::{End, Incoming, Step};
use crate::protocol::native::Settings;
use crate::protocol::varint;
use core::fmt;
use core::ops::Range;

/// Opens records into messages, one direction of one connection.
pub struct Opener {
    keys: Direction,
    record_limit: usize,
    message_limit: u64,
    phase: Phase,
    /// Bytes of the message whose parts have begun to come.
    under_way: UnderWay,
    /// What is not taken yet of the last Packed record.
    unread: Walk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The listener's first record is to say whether it admits this end.
    AnswerDue,
    Open,
    /// The peer has said that nothing follows.
    Ended,
    Failed,
}

/// Goes through the messages of a Packed record.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    /// Where the next message begins in the region.
    at: usize,
    /// Length of the region.
    end: usize,
}

impl Opener {
    /// `own`: what this end has told the peer.
    pub(in crate::protocol::native) fn new(
        keys: Direction,
        own: &Settings,
        answer_due: bool,
    ) -> Self {
        Self {
            keys,
            // Both fit where memory can hold a record.
            record_limit: usize::try_from(own.record_limit()).unwrap_or(usize::MAX),
            message_limit: own.message_limit(),
            phase: if answer_due {
                Phase::AnswerDue
            } else {
                Phase::Open
            },
            under_way: UnderWay::default(),
            unread: Walk::default(),
        }
    }

    /// Returns how many bytes the longest record takes that the peer may send.
    #[must_use]
    pub const fn longest_record(&self) -> usize {
        self.record_limit + OVERHEAD
    }

    /// Returns the longest message that this end takes, in bytes.
    #[must_use]
    pub const fn message_limit(&self) -> u64 {
        self.message_limit
    }

    /// Whether the listener is yet to say whether it admits this end.
    #[must_use]
    pub const fn is_answer_due(&self) -> bool {
        matches!(self.phase, Phase::AnswerDue)
    }

    /// Whether parts of a message have come, and not its end.
    #[must_use]
    pub const fn is_mid_message(&self) -> bool {
        self.under_way.is_some()
    }

    /// Returns how many records there were, and how often keys were replaced.
    pub(crate) const fn counts(&self) -> RecordCounts {
        self.keys.counts()
    }

    #[cfg(any(test, feature = "internals"))]
    pub(super) const fn keys_mut(&mut self) -> &mut Direction {
        &mut self.keys
    }

    #[cfg(test)]
    pub(in crate::protocol::native) const fn keys(&self) -> &Direction {
        &self.keys
    }

    fn open_record_into(
        &mut self,
        stream: &[u8],
        target: &mut [u8],
    ) -> Result<Option<Step<Event>>, OpenError> {
        let Some(header) = self.next_header(stream)? else {
            return Ok(None);
        };
        let record = stream.get(..header.body_len + OVERHEAD);
        let target = target.get_mut(..header.body_len);
        let (Kind::Message | Kind::Part, Some(record), Some(target)) =
            (header.kind, record, target)
        else {
            return Ok(None);
        };
        self.opening(|keys| keys.open(record, target).is_ok())?;
        self.body(header.kind, target, 0..header.body_len, record.len())
            .map(Some)
    }

    /// Reads the header of the next record; `None` while it is not complete.
    #[inline]
    fn next_header(&self, stream: &[u8]) -> Result<Option<Header>, OpenError> {
        if self.unread.at != self.unread.end {
            return Err(OpenError::Unread);
        }
        let header = Header::read(stream, self.record_limit)?;
        match header {
            Some(Header { body_len, .. }) if !self.keys.allows(body_len) => {
                Err(OpenError::KeyOverused)
            }
            header => Ok(header),
        }
    }

    const fn check_live(&self) -> Result<(), OpenError> {
        match self.phase {
            Phase::AnswerDue | Phase::Open => Ok(()),
            Phase::Ended => Err(OpenError::Ended),
            Phase::Failed => Err(OpenError::Closed),
        }
    }

    #[inline]
    fn open_record(&mut self, stream: &mut [u8]) -> Result<Step<Event>, OpenError> {
        let incomplete = |needed| {
            Ok(Step::Incomplete {
                consumed: 0,
                needed,
            })
        };
        let Some(header) = self.next_header(stream)? else {
            return incomplete(HEADER_LEN);
        };
        let length = header.body_len + OVERHEAD;
        let Some(record) = stream.get_mut(..length) else {
            return incomplete(length);
        };
        self.opening(|keys| keys.open_in_place(record).is_ok())?;
        self.body(header.kind, record, HEADER_LEN..length - TAG_LEN, length)
    }

    /// Has a tag checked; if it is wrong, the opener is dead.
    #[inline]
    fn opening(&mut self, open: impl FnOnce(&mut Direction) -> bool) -> Result<(), OpenError> {
        // Set first, so that a panic in between closes as well.
        let phase = core::mem::replace(&mut self.phase, Phase::Failed);
        if !open(&mut self.keys) {
            return Err(OpenError::Tag);
        }
        self.phase = phase;
        Ok(())
    }

    /// Says what the authenticated body is that lies in `bytes`.
    #[inline]
    fn body(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        body: Range<usize>,
        consumed: usize,
    ) -> Result<Step<Event>, OpenError> {
        if self.is_answer_due() && kind != Kind::Control {
            return Err(OpenError::AnswerMissing);
        }
        match kind {
            Kind::Packed => self.packed(body, consumed),
            Kind::Message => self.message(body, consumed),
            Kind::Part => self.part(body, consumed),
            Kind::Control => self.control(bytes.get(body).unwrap_or_default(), consumed),
            Kind::Padded => self.padded(bytes, body, consumed),
        }
    }

    #[inline]
    fn packed(&mut self, region: Range<usize>, consumed: usize) -> Result<Step<Event>, OpenError> {
        if self.is_mid_message() {
            return Err(OpenError::PackedWithinMessage);
        }
        if region.is_empty() || region.len() > MAX_PACKED_LEN {
            return Err(OpenError::PackedLength);
        }
        self.unread = Walk {
            at: 0,
            end: region.len(),
        };
        Ok(Step::Packed { region, consumed })
    }

    #[inline]
    fn message(
        &mut self,
        plaintext: Range<usize>,
        consumed: usize,
    ) -> Result<Step<Event>, OpenError> {
        self.grow(plaintext.len())?;
        Ok(if self.under_way.end() {
            Step::Part {
                plaintext,
                last: true,
                consumed,
            }
        } else {
            Step::Message {
                plaintext,
                consumed,
            }
        })
    }

    #[inline]
    fn part(&mut self, plaintext: Range<usize>, consumed: usize) -> Result<Step<Event>, OpenError> {
        if plaintext.is_empty() {
            return Err(OpenError::EmptyPart);
        }
        self.under_way = UnderWay::after(self.grow(plaintext.len())?);
        Ok(Step::Part {
            plaintext,
            last: false,
            consumed,
        })
    }

    /// Returns how long the message is with `added` more bytes.
    #[inline]
    fn grow(&self, added: usize) -> Result<u64, OpenError> {
        let length = self.under_way.bytes().saturating_add(added as u64);
        self.check_message(length)?;
        Ok(length)
    }

    #[inline]
    const fn check_message(&self, length: u64) -> Result<(), OpenError> {
        if length > self.message_limit {
            let limit = self.message_limit;
            return Err(OpenError::TooLarge { length, limit });
        }
        Ok(())
    }

    fn padded(
        &mut self,
        bytes: &[u8],
        body: Range<usize>,
        consumed: usize,
    ) -> Result<Step<Event>, OpenError> {
        let prefix = bytes
            .get(body.clone())
            .and_then(|body| body.first_chunk::<PADDED_PREFIX_LEN>())
            .ok_or(OpenError::Padded)?;
        let start = body.start + PADDED_PREFIX_LEN;
        let inner = start..start + length_of(*prefix);
        if inner.end > body.end {
            return Err(OpenError::Padded);
        }
        match (prefix[0], Kind::from_byte(prefix[0])) {
            (NOTHING, _) if inner.is_empty() => Ok(Step::Event {
                event: Event::Padding,
                consumed,
            }),
            (_, Some(Kind::Packed)) => self.packed(inner, consumed),
            (_, Some(Kind::Message)) => self.message(inner, consumed),
            (_, Some(Kind::Part)) => self.part(inner, consumed),
            _ => Err(OpenError::Padded),
        }
    }

    fn control(&mut self, frame: &[u8], consumed: usize) -> Result<Step<Event>, OpenError> {
        let event = match Decoded::from_bytes(frame).ok_or(OpenError::ControlLength)? {
            Decoded::Known(event) => event,
            // Where no answer is due it does not matter that it is malformed as well.
            Decoded::WrongLength { answer } if answer != self.is_answer_due() => {
                return Err(OpenError::AnswerMisplaced);
            }
            Decoded::WrongLength { .. } => return Err(OpenError::ControlLength),
            Decoded::Unknown(frame) => return Err(OpenError::UnknownControl { frame }),
        };
        self.apply(event)?;
        Ok(Step::Event { event, consumed })
    }

    /// Checks whether `event` may come now, and does what it says.
    fn apply(&mut self, event: Event) -> Result<(), OpenError> {
        let answer = matches!(event, Event::Accepted | Event::Refused(_));
        if answer != self.is_answer_due() {
            return Err(OpenError::AnswerMisplaced);
        }
        match event {
            Event::Accepted => self.phase = Phase::Open,
            Event::Updated if self.keys.is_behind_first() => return Err(OpenError::UpdateFirst),
            Event::Updated => self.keys.update(),
            Event::Ended if self.is_mid_message() => return Err(OpenError::EndWithinMessage),
            Event::Dropped if !self.under_way.end() => {
                return Err(OpenError::DropOutsideMessage);
            }
            _ => {}
        }
        if event.is_last() {
            self.phase = Phase::Ended;
        }
        Ok(())
    }

    #[inline]
    fn walk(&mut self, region: &[u8]) -> Result<Option<Range<usize>>, OpenError> {
        let Walk { at, end } = self.unread;
        if at == end {
            return Ok(None);
        }
        let rest = region.get(at..end).ok_or(OpenError::Overrun)?;
        let (length, prefix_len) = match rest {
            // Most messages are short.
            [byte @ 0..0x80, ..] => (u32::from(*byte), 1),
            _ => varint::decode_u32(rest)
                .map_err(|_| OpenError::BadVarint)?
                .ok_or(OpenError::Overrun)?,
        };
        self.check_message(u64::from(length))?;
        let start = at + prefix_len;
        let next = usize::try_from(length)
            .ok()
            .and_then(|length| start.checked_add(length))
            .filter(|next| *next <= end)
            .ok_or(OpenError::Overrun)?;
        self.unread.at = next;
        Ok(Some(start..next))
    }
}

impl Incoming for Opener {
    type Event = Event;
    type Error = OpenError;

    /// Opens the record at the start of `stream`, in place.
    ///
    /// # Errors
    ///
    /// Any [`OpenError`] but `Truncated`, at the byte that decides it. After the end of the peer's
    /// direction each call gives [`OpenError::Ended`], after any other error
    /// [`OpenError::Closed`].
    #[inline]
    fn open(&mut self, stream: &mut [u8]) -> Result<Step<Event>, OpenError> {
        self.check_live()?;
        self.open_record(stream)
            .inspect_err(|_| self.phase = Phase::Failed)
    }

    #[inline]
    fn part_ahead(&self, stream: &[u8]) -> Option<usize> {
        let Ok(Some(header)) = Header::read(stream, self.record_limit) else {
            return None;
        };
        let is_part = match header.kind {
            Kind::Part => true,
            Kind::Message => self.is_mid_message(),
            Kind::Packed | Kind::Control | Kind::Padded => false,
        };
        let is_here = stream.len() >= header.body_len + OVERHEAD;
        // What is too much for the message is refused before a place for it is needed.
        let is_taken = is_part && is_here && self.grow(header.body_len).is_ok();
        is_taken.then_some(header.body_len)
    }

    fn open_into(
        &mut self,
        stream: &[u8],
        target: &mut [u8],
    ) -> Result<Option<Step<Event>>, OpenError> {
        self.check_live()?;
        self.open_record_into(stream, target)
            .inspect_err(|_| self.phase = Phase::Failed)
    }

    #[inline]
    fn next_packed(&mut self, region: &[u8]) -> Result<Option<Range<usize>>, OpenError> {
        self.check_live()?;
        self.walk(region)
            .inspect_err(|_| self.phase = Phase::Failed)
    }

    #[inline]
    fn next_short(&mut self, region: &[u8]) -> Option<Range<usize>> {
        let Walk { at, end } = self.unread;
        let (length, prefix_len) = match *region.get(at..end)? {
            [byte @ 0..0x80, ..] => (usize::from(byte), 1),
            [low, high @ 1..0x80, ..] => (usize::from(low & 0x7f) | usize::from(high) << 7, 2),
            _ => return None,
        };
        let start = at + prefix_len;
        let next = start + length;
        let is_taken = next < end && length as u64 <= self.message_limit;
        if !is_taken || self.check_live().is_err() {
            return None;
        }
        self.unread.at = next;
        Some(start..next)
    }

    /// Says what it means that the stream ends here.
    ///
    /// # Errors
    ///
    /// [`OpenError::Truncated`] unless the peer has ended its direction, and
    /// [`OpenError::Closed`] after an error. How it has ended its direction, as it may by Abort or
    /// Refuse, the last [`Event`] has said.
    fn finish(&self, _: usize) -> Result<End, OpenError> {
        match self.phase {
            Phase::Ended => Ok(End::Authenticated),
            Phase::Failed => Err(OpenError::Closed),
            Phase::AnswerDue | Phase::Open => Err(OpenError::Truncated),
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("record_limit", &self.record_limit)
            .field("message_limit", &self.message_limit)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
