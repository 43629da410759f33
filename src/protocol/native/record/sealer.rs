//! Outgoing records.
//!
//! A small message is copied behind the others of the open Packed record, which is sealed in
//! place when the draft leaves, when it is full, or when something else has to come next. A
//! message above the packing limit is sealed straight from the caller's bytes, as one record or
//! as many. Everything that can refuse a message comes before the first nonce is used.
//!
//! Keys are updated by themselves before a record that their limit would not allow; since the
//! open record must not be moved, that is decided when it is opened, for the longest it can get.

use super::bodies::Bodies;
use super::control::{Answer, Encoded, MAX_FRAME_LEN};
use super::header::{HEADER_LEN, Kind, OVERHEAD};
use super::under_way::UnderWay;
use super::{
    Direction, Frame, MAX_PACKED_LEN, NOTHING, PADDED_PREFIX_LEN, SealError, SealOptions, direction,
};
use crate::protocol::RecordCounts;
use crate::protocol::layout::{Draft, Outgoing, Place, Planned};
use crate::protocol::native::Settings;
use crate::protocol::varint;
use core::fmt;
use core::ops::DerefMut;

/// Length of an Update record.
const UPDATE_LEN: usize = OVERHEAD + 1;

/// Seals messages into records, one direction of one connection.
pub struct Sealer {
    keys: Direction,
    bodies: Bodies,
    packing_limit: usize,
    /// The peer's.
    message_limit: u64,
    phase: Phase,
    /// Bytes of the message whose parts have begun to leave.
    under_way: UnderWay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// This end has said that nothing follows.
    Ended,
    Failed,
}

impl Sealer {
    /// `theirs`: what the peer has told this end.
    pub(in crate::protocol::native) fn new(
        keys: Direction,
        theirs: &Settings,
        options: &SealOptions,
    ) -> Self {
        Self {
            keys,
            bodies: Bodies::new(theirs, options),
            packing_limit: options.packing_limit.min(SealOptions::MAX_PACKING_LIMIT),
            message_limit: theirs.message_limit(),
            phase: Phase::Open,
            under_way: UnderWay::default(),
        }
    }

    /// Returns the longest message that the peer takes, in bytes.
    #[must_use]
    pub const fn message_limit(&self) -> u64 {
        self.message_limit
    }

    /// Returns the longest part that fits into one record of the peer, in bytes.
    #[must_use]
    pub const fn part_limit(&self) -> usize {
        self.bodies.content_limit()
    }

    /// Returns how long an empty draft must be, in bytes, for a part of `length` bytes to fit for
    /// certain.
    #[must_use]
    pub fn part_room(&self, length: usize) -> usize {
        UPDATE_LEN + OVERHEAD + self.bodies.body_len(length)
    }

    /// Returns the longest part, in bytes, that fits for certain into an empty draft of `room` bytes.
    #[must_use]
    pub fn part_within(&self, room: usize) -> usize {
        let room = room.saturating_sub(UPDATE_LEN);
        self.bodies.content_within(room).unwrap_or(0)
    }

    /// Plans a part of `length` bytes, which is within the limit.
    pub(crate) fn plan_part(&self, length: usize) -> Planned {
        Planned::new(length, self.part_room(length), false)
    }

    /// How long an empty draft must be, in bytes, for any control frame to fit for certain.
    pub const CONTROL_ROOM: usize = UPDATE_LEN + OVERHEAD + MAX_FRAME_LEN;

    /// Whether parts of a message have been sealed, and not its end.
    #[must_use]
    pub const fn is_mid_message(&self) -> bool {
        self.under_way.is_some()
    }

    /// Seals the next part of a message, and says with `last` that it is complete. Only the last
    /// part may be empty.
    ///
    /// Between the parts of a message nothing but parts, control frames and nothing may be
    /// sealed.
    ///
    /// # Errors
    ///
    /// [`SealError::PartLength`], [`SealError::TooLarge`] and [`SealError::NoRoom`] change
    /// nothing.
    pub fn part<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        part: &[u8],
        last: bool,
    ) -> Result<(), SealError> {
        self.check_live()?;
        let (length, limit) = (part.len(), self.part_limit());
        if length > limit || (part.is_empty() && !last) {
            return Err(SealError::PartLength { length, limit });
        }
        let sent = self.under_way.bytes().saturating_add(length as u64);
        self.check_message(sent)?;
        self.check_record(draft, self.bodies.body_len(length))?;
        let kind = if last { Kind::Message } else { Kind::Part };
        self.close(draft)?;
        self.seal_content(draft, kind, part)?;
        self.under_way = if last {
            UnderWay::default()
        } else {
            UnderWay::after(sent)
        };
        Ok(())
    }

    /// Seals a control frame, behind all that was appended before.
    ///
    /// # Errors
    ///
    /// [`SealError::MidMessage`] for an end between the parts of a message,
    /// [`SealError::NoMessage`] for a drop anywhere else, and [`SealError::NoRoom`] change
    /// nothing. After the last frame of a direction everything gives [`SealError::Ended`].
    pub fn control<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        frame: Frame,
    ) -> Result<(), SealError> {
        self.check_live()?;
        match (frame, self.is_mid_message()) {
            (Frame::End, true) => return Err(SealError::MidMessage),
            (Frame::Drop, false) => return Err(SealError::NoMessage),
            _ => {}
        }
        self.frame(draft, &frame.encode())?;
        if frame == Frame::Drop {
            self.under_way.end();
        }
        if frame.is_last() {
            self.phase = Phase::Ended;
        }
        Ok(())
    }

    /// Seals the listener's first record.
    ///
    /// # Errors
    ///
    /// As [`control`](Self::control).
    pub(in crate::protocol::native) fn answer<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        answer: Answer,
    ) -> Result<(), SealError> {
        self.frame(draft, &answer.encode())?;
        if matches!(answer, Answer::Refuse(_)) {
            self.phase = Phase::Ended;
        }
        Ok(())
    }

    /// Has the next record sealed with the keys of the next generation.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRoom`] changes nothing.
    pub fn update<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
    ) -> Result<(), SealError> {
        self.check_live()?;
        // Fresh keys need no update, and the peer would take it for an error.
        if self.keys.is_fresh() && self.held(draft) == 0 {
            return Ok(());
        }
        self.check_room(draft, UPDATE_LEN, 0)?;
        self.close(draft)?;
        self.move_on(draft)
    }

    /// Seals a record that holds nothing, with a body of `length` bytes, so that nobody on the way
    /// can tell it from one that holds something.
    ///
    /// # Errors
    ///
    /// [`SealError::PartLength`] if no Padded record has that length, and [`SealError::NoRoom`];
    /// both change nothing.
    pub fn padding_record<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        length: usize,
    ) -> Result<(), SealError> {
        self.check_live()?;
        let limit = self.bodies.limit();
        if !(PADDED_PREFIX_LEN..=limit).contains(&length) {
            return Err(SealError::PartLength { length, limit });
        }
        self.check_record(draft, length)?;
        self.close(draft)?;
        self.update_before(draft, length)?;
        self.sealing(|sealer| {
            let record = draft.behind_sealed().get_mut(..length + OVERHEAD)?;
            record.get_mut(HEADER_LEN..)?.fill(0);
            *record.get_mut(HEADER_LEN)? = NOTHING;
            sealer.keys.seal_in_place(Kind::Padded, record).ok()?;
            draft.seal_up(length + OVERHEAD);
            Some(())
        })
    }

    /// Returns how many records there were, and how often keys were replaced.
    pub(crate) const fn counts(&self) -> RecordCounts {
        self.keys.counts()
    }

    #[cfg(any(test, feature = "internals"))]
    pub(super) fn into_keys(self) -> Direction {
        self.keys
    }

    #[cfg(test)]
    pub(super) const fn keys_mut(&mut self) -> &mut Direction {
        &mut self.keys
    }

    #[cfg(test)]
    pub(in crate::protocol::native) const fn keys(&self) -> &Direction {
        &self.keys
    }

    #[inline]
    const fn check_live(&self) -> Result<(), SealError> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Ended => Err(SealError::Ended),
            Phase::Failed => Err(SealError::Closed),
        }
    }

    #[inline]
    const fn check_message(&self, length: u64) -> Result<(), SealError> {
        if length > self.message_limit {
            let limit = self.message_limit;
            return Err(SealError::TooLarge { length, limit });
        }
        Ok(())
    }

    /// Seals a control frame.
    fn frame<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        frame: &Encoded,
    ) -> Result<(), SealError> {
        let body = frame.bytes();
        self.check_record(draft, body.len())?;
        self.close(draft)?;
        self.seal_body(draft, Kind::Control, body)
    }

    /// Checks that a record with a body of `body_len` bytes fits behind what is in `draft`.
    fn check_record<B: DerefMut<Target = [u8]>>(
        &self,
        draft: &Draft<B>,
        body_len: usize,
    ) -> Result<(), SealError> {
        self.check_room(draft, body_len + OVERHEAD, direction::blocks(body_len))
    }

    /// Checks that `length` bytes of records fit behind what is in `draft`, with the Updates that
    /// come before them: `blocks` is what the records count.
    fn check_room<B: DerefMut<Target = [u8]>>(
        &self,
        draft: &Draft<B>,
        length: usize,
        blocks: u64,
    ) -> Result<(), SealError> {
        let room = draft.capacity() - self.closed_len(draft);
        let needed = length + self.updates_len(draft, blocks);
        if room < needed {
            return Err(SealError::NoRoom { needed, room });
        }
        Ok(())
    }

    /// Room for the Updates that come before or between records of so many blocks, once the open
    /// record is closed.
    fn updates_len<B: DerefMut<Target = [u8]>>(&self, draft: &Draft<B>, blocks: u64) -> usize {
        let open = match self.closed_len(draft) - draft.sealed_len() {
            0 => 0,
            length => direction::blocks(length),
        };
        if self.keys.lasts_for(open + blocks) {
            return 0;
        }
        most_updates_len(blocks)
    }

    /// How many bytes of messages are in the open record.
    #[inline]
    const fn held<B: DerefMut<Target = [u8]>>(&self, draft: &Draft<B>) -> usize {
        let (end, _) = draft.open_record();
        end.saturating_sub(draft.sealed_len() + HEADER_LEN + self.bodies.prefix_len())
    }

    /// Where the sealed bytes of `draft` will end once the open record is closed.
    #[inline]
    fn closed_len<B: DerefMut<Target = [u8]>>(&self, draft: &Draft<B>) -> usize {
        match self.held(draft) {
            0 => draft.sealed_len(),
            held => draft.sealed_len() + OVERHEAD + self.bodies.body_len(held),
        }
    }

    /// Whether a message of its own may be appended now.
    #[inline]
    const fn check_append(&self, planned: Planned) -> Result<(), SealError> {
        if self.is_mid_message() {
            return Err(SealError::MidMessage);
        }
        debug_assert!(planned.length() as u64 <= self.message_limit);
        self.check_live()
    }

    /// Where the plaintext of a message goes that is appended next. There is room.
    fn start_of<B: DerefMut<Target = [u8]>>(&self, draft: &Draft<B>, planned: Planned) -> usize {
        if planned.is_packed() {
            let (end, _) = draft.open_record();
            return end + varint::len_u64(planned.length() as u64);
        }
        draft.sealed_len() + HEADER_LEN + self.bodies.prefix_len()
    }

    /// Seals a message above the packing limit: one record, or as many as it takes.
    fn append_long<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        message: &[u8],
    ) -> Result<(), SealError> {
        let extent = self.bodies.extent(message.len()).ok_or(SealError::Failed)?;
        self.check_room(draft, extent.length, extent.blocks)?;
        self.close(draft)?;
        let mut rest = message;
        while let Some((part, behind)) = rest.split_at_checked(self.part_limit())
            && !behind.is_empty()
        {
            self.seal_content(draft, Kind::Part, part)?;
            rest = behind;
        }
        self.seal_content(draft, Kind::Message, rest)
    }

    /// Makes sure that a record is open with room for `needed` more bytes.
    #[inline]
    fn open_for<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        needed: usize,
    ) -> Result<(), SealError> {
        let (end, limit) = draft.open_record();
        if end + needed <= limit {
            return Ok(());
        }
        self.open_another(draft, needed)
    }

    /// Closes the open record and opens another, with room for `needed` bytes.
    #[cold]
    fn open_another<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        needed: usize,
    ) -> Result<(), SealError> {
        let longest = MAX_PACKED_LEN.min(self.part_limit());
        let room = draft.capacity() - self.closed_len(draft);
        let update = self.updates_len(draft, direction::blocks(self.bodies.body_len(longest)));
        let capacity = room
            .checked_sub(update)
            .and_then(|room| self.bodies.content_within(room))
            .filter(|capacity| *capacity >= needed);
        let Some(capacity) = capacity else {
            let needed = OVERHEAD + self.bodies.body_len(needed) + update;
            return Err(SealError::NoRoom { needed, room });
        };
        self.close(draft)?;
        if update > 0 {
            self.move_on(draft)?;
        }
        let first = draft.sealed_len() + HEADER_LEN + self.bodies.prefix_len();
        draft.begin_record(first, first + capacity.min(longest));
        Ok(())
    }

    /// Seals the open record, if there is one. What was reserved in it and not used leaves it
    /// without a message, and then it is none.
    fn close<B: DerefMut<Target = [u8]>>(&mut self, draft: &mut Draft<B>) -> Result<(), SealError> {
        let start = draft.sealed_len();
        let length = self.closed_len(draft) - start;
        if length == 0 {
            draft.seal_up(0);
            return Ok(());
        }
        let (end, _) = draft.open_record();
        self.sealing(|sealer| {
            let record = draft.behind_sealed().get_mut(..length)?;
            let kind = sealer.bodies.complete(Kind::Packed, end - start, record)?;
            sealer.keys.seal_in_place(kind, record).ok()?;
            draft.seal_up(length);
            Some(())
        })
    }

    /// Seals a record that holds `content`, padded if bodies are. There is room.
    fn seal_content<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        kind: Kind,
        content: &[u8],
    ) -> Result<(), SealError> {
        if !self.bodies.are_padded() {
            return self.seal_body(draft, kind, content);
        }
        let body_len = self.bodies.body_len(content.len());
        self.update_before(draft, body_len)?;
        self.sealing(|sealer| {
            let length = body_len + OVERHEAD;
            let record = draft.behind_sealed().get_mut(..length)?;
            let start = HEADER_LEN + PADDED_PREFIX_LEN;
            let end = start + content.len();
            record.get_mut(start..end)?.copy_from_slice(content);
            let kind = sealer.bodies.complete(kind, end, record)?;
            sealer.keys.seal_in_place(kind, record).ok()?;
            draft.seal_up(length);
            Some(())
        })
    }

    /// Seals a record whose body is `body`, straight from there. There is room.
    fn seal_body<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        kind: Kind,
        body: &[u8],
    ) -> Result<(), SealError> {
        self.update_before(draft, body.len())?;
        self.sealing(|sealer| {
            let length = body.len() + OVERHEAD;
            let record = draft.behind_sealed().get_mut(..length)?;
            sealer.keys.seal(kind, body, record).ok()?;
            draft.seal_up(length);
            Some(())
        })
    }

    /// Updates the keys if they would not allow a record of `body_len` bytes.
    #[inline]
    fn update_before<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        body_len: usize,
    ) -> Result<(), SealError> {
        if self.keys.lasts_for(direction::blocks(body_len)) {
            return Ok(());
        }
        self.move_on(draft)
    }

    /// Seals Update and moves on to the next keys. There is room.
    #[cold]
    fn move_on<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
    ) -> Result<(), SealError> {
        self.sealing(|sealer| {
            let record = draft.behind_sealed().get_mut(..UPDATE_LEN)?;
            let body = Encoded::UPDATE;
            sealer.keys.seal(Kind::Control, body.bytes(), record).ok()?;
            sealer.keys.update();
            draft.seal_up(UPDATE_LEN);
            Some(())
        })
    }

    /// Does what spends a nonce; if it gives nothing, the sealer is dead.
    #[inline]
    fn sealing(&mut self, work: impl FnOnce(&mut Self) -> Option<()>) -> Result<(), SealError> {
        // Set first, so that a panic in between closes as well.
        self.phase = Phase::Failed;
        work(self).ok_or(SealError::Failed)?;
        self.phase = Phase::Open;
        Ok(())
    }
}

impl Outgoing for Sealer {
    type Error = SealError;

    /// Checks whether a message of `length` bytes may be sent.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLarge`].
    #[inline]
    fn plan(&self, length: usize) -> Result<Planned, SealError> {
        self.check_message(length as u64)?;
        if length <= self.packing_limit {
            let room = self.part_room(entry_len(length));
            return Ok(Planned::new(length, room, true));
        }
        let room = self.bodies.extent(length).and_then(|extent| {
            let updates = most_updates_len(extent.blocks);
            extent.length.checked_add(updates)
        });
        let too_large = SealError::TooLarge {
            length: length as u64,
            limit: self.message_limit,
        };
        Ok(Planned::new(length, room.ok_or(too_large)?, false))
    }

    #[inline]
    fn append<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
        message: &[u8],
    ) -> Result<(), SealError> {
        self.check_append(planned)?;
        if message.len() != planned.length() {
            return Err(SealError::LengthMismatch {
                length: message.len(),
                planned: planned.length(),
            });
        }
        if !planned.is_packed() {
            return self.append_long(draft, message);
        }
        self.open_for(draft, entry_len(message.len()))?;
        pack(draft, message).ok_or(SealError::Failed)
    }

    #[inline]
    fn append_at_once<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        message: &[u8],
    ) -> bool {
        let length = message.len();
        let is_taken = length <= self.packing_limit && length as u64 <= self.message_limit;
        let is_open = self.phase == Phase::Open && !self.is_mid_message();
        let (end, limit) = draft.open_record();
        is_taken && is_open && end + entry_len(length) <= limit && pack(draft, message).is_some()
    }

    fn reserve<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
    ) -> Result<Place, SealError> {
        self.check_append(planned)?;
        let length = planned.length();
        if planned.is_packed() {
            self.open_for(draft, entry_len(length))?;
        } else {
            let limit = self.part_limit();
            if length > limit {
                return Err(SealError::TooLongInPlace { length, limit });
            }
            let body_len = self.bodies.body_len(length);
            self.check_record(draft, body_len)?;
            self.close(draft)?;
            self.update_before(draft, body_len)?;
        }
        let start = self.start_of(draft, planned);
        Ok(Place::new(planned, start..start + length))
    }

    /// A message stays packed or a record of its own, as it was reserved: the room before it changes
    /// by no more than its own length does.
    fn shorten<B: DerefMut<Target = [u8]>>(
        &self,
        draft: &mut Draft<B>,
        place: &mut Place,
        length: usize,
    ) -> usize {
        let planned = place.planned();
        let length = length.min(planned.length());
        let room = match planned.is_packed() {
            true => self.part_room(entry_len(length)),
            false => self.part_room(length),
        };
        let planned = Planned::new(length, room, planned.is_packed());
        let start = self.start_of(draft, planned);
        draft.shorten(place, planned, start)
    }

    fn append_reserved<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        place: Place,
    ) -> Result<(), SealError> {
        let planned = place.planned();
        self.check_append(planned)?;
        if planned.is_packed() != draft.has_open() || place.start() != self.start_of(draft, planned)
        {
            return Err(SealError::Moved);
        }
        if planned.is_packed() {
            return pack_in_place(draft, planned.length()).ok_or(SealError::Failed);
        }
        let start = draft.sealed_len();
        self.sealing(|sealer| {
            let length = sealer.bodies.body_len(planned.length()) + OVERHEAD;
            let end = place.start() - start + planned.length();
            let record = draft.behind_sealed().get_mut(..length)?;
            let kind = sealer.bodies.complete(Kind::Message, end, record)?;
            sealer.keys.seal_in_place(kind, record).ok()?;
            draft.seal_up(length);
            Some(())
        })
    }

    #[inline]
    fn finish<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
    ) -> Result<(), SealError> {
        self.close(draft)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("bodies", &self.bodies)
            .field("packing_limit", &self.packing_limit)
            .field("message_limit", &self.message_limit)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// How long a message is in a Packed record.
#[inline]
const fn entry_len(length: usize) -> usize {
    varint::len_u64(length as u64) + length
}

/// Copies `message` into the open record, which has room.
#[inline]
fn pack<B: DerefMut<Target = [u8]>>(draft: &mut Draft<B>, message: &[u8]) -> Option<()> {
    let (end, _) = draft.open_record();
    let target = draft.behind(end);
    let prefix_len = write_prefix(message.len(), target)?;
    let length = prefix_len + message.len();
    target.get_mut(prefix_len..length)?.copy_from_slice(message);
    draft.extend_record(end + length);
    Some(())
}

/// Takes the message in that lies behind the room for its length.
fn pack_in_place<B: DerefMut<Target = [u8]>>(draft: &mut Draft<B>, length: usize) -> Option<()> {
    let (end, _) = draft.open_record();
    let prefix_len = write_prefix(length, draft.behind(end))?;
    draft.extend_record(end + prefix_len + length);
    Some(())
}

/// Room for all Updates that may come before or between records of so many blocks: a generation
/// holds half of what it could, whatever comes.
fn most_updates_len(blocks: u64) -> usize {
    let more = usize::try_from(blocks >> 25).unwrap_or(usize::MAX / (2 * UPDATE_LEN));
    UPDATE_LEN * (1 + more)
}

/// Writes the length of a packed message to the start of `target` and returns how long that is.
#[inline]
fn write_prefix(length: usize, target: &mut [u8]) -> Option<usize> {
    // Most messages are short.
    if let (0..0x80, Some(first)) = (length, target.first_mut()) {
        *first = length.to_le_bytes()[0];
        return Some(1);
    }
    let mut bytes = [0; varint::MAX_U64_LEN];
    let prefix_len = varint::encode_u64(length as u64, &mut bytes);
    target
        .get_mut(..prefix_len)?
        .copy_from_slice(bytes.get(..prefix_len)?);
    Some(prefix_len)
}
