//! How messages become records in a submission buffer, and records messages in a receive buffer,
//! whatever the wire.
//!
//! ```text
//! draft: | sealed records, may leave | open record: header room, messages | room        |
//!        0                           sealed                               end     limit
//! ```
//!
//! On the way out [`Outgoing`] checks a message once ([`Outgoing::plan`]), puts it into a
//! [`Draft`] ([`Outgoing::append`]), and closes the record that is open when the draft is about
//! to leave ([`Outgoing::finish`]). A wire with one record per message has nothing open between
//! two calls; one that packs seals when the draft leaves, when the record is full, or when
//! something else has to come next. Only sealed bytes can be taken out of a draft.
//!
//! On the way in [`Incoming`] opens a record in place and says what it holds: a whole message, a
//! region of messages to be walked without another look at the cipher, a part of a long message,
//! or an event of the wire.
//!
//! A sealer fills one draft at a time: nonces follow the order in which records are sealed, and a
//! peer opens them in the order in which they arrive.

use core::ops::{DerefMut, Range};

/// A submission buffer that is being filled.
#[derive(Debug)]
pub struct Draft<B> {
    buffer: B,
    /// Sealed bytes at the start.
    sealed: usize,
    /// End of what the open record holds; 0 while none is open.
    end: usize,
    /// Up to where the open record may grow; 0 while none is open.
    limit: usize,
}

impl<B: DerefMut<Target = [u8]>> Draft<B> {
    /// Begins at the start of `buffer`.
    pub const fn new(buffer: B) -> Self {
        Self {
            buffer,
            sealed: 0,
            end: 0,
            limit: 0,
        }
    }

    /// Returns the records that may leave.
    pub fn sealed(&self) -> &[u8] {
        self.buffer.get(..self.sealed).unwrap_or_default()
    }

    /// Whether there is a record that is to be closed before its messages can leave.
    pub const fn has_open(&self) -> bool {
        self.limit > 0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.sealed == 0 && !self.has_open()
    }

    /// Returns the length of the buffer in bytes.
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Returns what lies in the room that `place` stands for.
    pub fn plaintext(&self, place: &Place) -> &[u8] {
        self.buffer.get(place.plaintext.clone()).unwrap_or_default()
    }

    /// Returns the room that `place` stands for, to be filled with plaintext.
    pub fn plaintext_mut(&mut self, place: &Place) -> &mut [u8] {
        self.buffer
            .get_mut(place.plaintext.clone())
            .unwrap_or_default()
    }

    /// Gives the buffer back, and how many bytes at its start may leave. Messages of a record
    /// that was not closed are lost.
    pub fn into_sealed(self) -> (B, usize) {
        (self.buffer, self.sealed)
    }

    /// Takes the buffer out, so that it can be somewhere else for a while; what else there is to the
    /// draft stays here.
    pub fn take_buffer(self) -> (B, Draft<()>) {
        let Self {
            buffer,
            sealed,
            end,
            limit,
        } = self;
        let rest = Draft {
            buffer: (),
            sealed,
            end,
            limit,
        };
        (buffer, rest)
    }

    /// Lets the plaintext of `place` begin at `start` and be that of `planned`, which is no longer.
    /// Returns how many bytes that has moved.
    pub(in crate::protocol) fn shorten(
        &mut self,
        place: &mut Place,
        planned: Planned,
        start: usize,
    ) -> usize {
        let kept = place.plaintext.start..place.plaintext.start + planned.length();
        debug_assert!(kept.end <= place.plaintext.end && start <= kept.start);
        let is_moved = start != kept.start;
        if is_moved {
            self.buffer.copy_within(kept, start);
        }
        *place = Place::new(planned, start..start + planned.length());
        if is_moved { planned.length() } else { 0 }
    }

    /// End of the sealed bytes.
    #[inline]
    pub(in crate::protocol) const fn sealed_len(&self) -> usize {
        self.sealed
    }

    /// Where the open record ends now, and how far it may grow.
    #[inline]
    pub(in crate::protocol) const fn open_record(&self) -> (usize, usize) {
        (self.end, self.limit)
    }

    /// Bytes behind the sealed ones.
    #[inline]
    pub(in crate::protocol) fn behind_sealed(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.sealed..).unwrap_or_default()
    }

    /// Bytes from `start`, which is behind the sealed ones, to the end of the buffer.
    #[inline]
    pub(in crate::protocol) fn behind(&mut self, start: usize) -> &mut [u8] {
        debug_assert!(start >= self.sealed, "sealed bytes are not written again");
        self.buffer.get_mut(start..).unwrap_or_default()
    }

    /// Opens a record whose first message goes to `end` and whose last one ends at `limit`.
    #[inline]
    pub(in crate::protocol) fn begin_record(&mut self, end: usize, limit: usize) {
        debug_assert!(!self.has_open() && end <= limit && limit <= self.buffer.len());
        (self.end, self.limit) = (end, limit);
    }

    /// Lets the open record reach to `end`.
    #[inline]
    pub(in crate::protocol) fn extend_record(&mut self, end: usize) {
        debug_assert!(self.end <= end && end <= self.limit);
        self.end = end;
    }

    /// Lets the sealed bytes reach `length` bytes further; no record is open then.
    #[inline]
    pub(in crate::protocol) fn seal_up(&mut self, length: usize) {
        debug_assert!(length <= self.buffer.len() - self.sealed);
        self.sealed += length;
        (self.end, self.limit) = (0, 0);
    }
}

impl Draft<()> {
    /// Puts back the buffer that [`take_buffer`](Draft::take_buffer) has taken out.
    pub fn with_buffer<B: DerefMut<Target = [u8]>>(self, buffer: B) -> Draft<B> {
        Draft {
            buffer,
            sealed: self.sealed,
            end: self.end,
            limit: self.limit,
        }
    }
}

/// A message of a certain length that may be sent by the sealer that made this: its size was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    length: usize,
    room: usize,
    packed: bool,
}

impl Planned {
    /// `room` suffices for the message in an empty draft.
    #[inline]
    pub(in crate::protocol) const fn new(length: usize, room: usize, packed: bool) -> Self {
        Self {
            length,
            room,
            packed,
        }
    }

    /// Returns the length of the message in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Returns how long an empty draft must be, in bytes, for the message to fit for certain.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// Returns whether it goes into a record together with others.
    #[must_use]
    pub const fn is_packed(&self) -> bool {
        self.packed
    }
}

/// Room for a planned message inside a draft. Worthless once anything else was appended.
#[derive(Debug)]
pub struct Place {
    planned: Planned,
    /// Where the plaintext lies in the buffer.
    plaintext: Range<usize>,
}

impl Place {
    pub(in crate::protocol) const fn new(planned: Planned, plaintext: Range<usize>) -> Self {
        Self { planned, plaintext }
    }

    /// Returns where the plaintext lies in the buffer of the draft.
    #[must_use]
    pub const fn plaintext(&self) -> &Range<usize> {
        &self.plaintext
    }

    pub(in crate::protocol) const fn planned(&self) -> Planned {
        self.planned
    }

    pub(in crate::protocol) const fn start(&self) -> usize {
        self.plaintext.start
    }
}

/// Tells the one failure after which everything is as before, and another draft will do.
pub trait IsNoRoom {
    /// Whether only room was missing.
    fn is_no_room(&self) -> bool;
}

/// Makes records of messages, one direction of one connection.
pub trait Outgoing {
    /// Why a message was not taken.
    type Error: IsNoRoom;

    /// Checks whether a message of `length` bytes may be sent.
    ///
    /// # Errors
    ///
    /// Only that it is too large. Nothing has changed then.
    fn plan(&self, length: usize) -> Result<Planned, Self::Error>;

    /// Puts `message` into `draft`.
    ///
    /// # Errors
    ///
    /// That `draft` has no room leaves both as they were: finish it, and try again with another
    /// of at least [`Planned::room`]. After a failure of the cipher `draft` must not be sent.
    fn append<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
        message: &[u8],
    ) -> Result<(), Self::Error>;

    /// Puts `message` into `draft` if that takes no more than copying it behind others; returns
    /// whether it did. If not, nothing has changed: plan it and append it.
    #[inline]
    fn append_at_once<B: DerefMut<Target = [u8]>>(
        &mut self,
        _draft: &mut Draft<B>,
        _message: &[u8],
    ) -> bool {
        false
    }

    /// Makes room for a message inside `draft`, to be filled by the caller. What it holds before
    /// is whatever the buffer held.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    fn reserve<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
    ) -> Result<Place, Self::Error>;

    /// Makes the message at `place` end after `length` bytes, if it is longer. Returns how many
    /// bytes that has moved: none, unless what comes before the message gets shorter with it.
    fn shorten<B: DerefMut<Target = [u8]>>(
        &self,
        draft: &mut Draft<B>,
        place: &mut Place,
        length: usize,
    ) -> usize;

    /// Puts the message that was written to `place` into `draft`, where it stands.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    fn append_reserved<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        place: Place,
    ) -> Result<(), Self::Error>;

    /// Closes what is open: all messages in `draft` may then leave.
    ///
    /// # Errors
    ///
    /// Only a failure of the cipher; `draft` must not be sent then.
    fn finish<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
    ) -> Result<(), Self::Error>;

    /// Returns how long an empty draft must be, in bytes, for what the wire has to say beside
    /// messages; 0 if that is nothing.
    #[inline]
    fn due(&self) -> usize {
        0
    }

    /// Puts what is due behind all messages in `draft`.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    #[inline]
    fn append_due<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
    ) -> Result<(), Self::Error> {
        let _ = draft;
        Ok(())
    }

    /// Notes that nothing is sent behind what is appended already: where the wire has an end, that
    /// is due.
    #[inline]
    fn end(&mut self) {}
}

/// What one record has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<Event> {
    /// More bytes must arrive.
    Incomplete {
        /// How many bytes at the start of the stream are done with.
        consumed: usize,
        /// How many bytes, counted after those, must be there in all before another call can do
        /// something.
        needed: usize,
    },
    /// One whole message.
    Message {
        /// Where it lies in the stream that was given.
        plaintext: Range<usize>,
        /// How many bytes at the start of the stream are done with, the message included.
        consumed: usize,
    },
    /// Whole messages, to be taken with [`Incoming::next_packed`].
    Packed {
        /// Where they lie in the stream that was given.
        region: Range<usize>,
        /// How many bytes at the start of the stream are done with, the messages included.
        consumed: usize,
    },
    /// The next part of a message, behind the parts that came before.
    Part {
        /// Where it lies in the stream that was given.
        plaintext: Range<usize>,
        /// Whether the message is complete with it.
        last: bool,
        /// How many bytes at the start of the stream are done with, the part included.
        consumed: usize,
    },
    /// Something other than a message.
    Event {
        /// What it is.
        event: Event,
        /// How many bytes at the start of the stream are done with.
        consumed: usize,
    },
}

/// What the end of a stream proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer has said that it ends here.
    Authenticated,
    /// Nothing: anybody on the way can cut a connection between two records.
    Unauthenticated,
}

/// Makes messages of records, one direction of one connection.
pub trait Incoming {
    /// What may come beside messages.
    type Event;
    /// Why the direction failed.
    type Error;

    /// Opens the record at the start of `stream`, in place.
    ///
    /// # Errors
    ///
    /// Final: each later call says so. Nothing in `stream` may then be used.
    fn open(&mut self, stream: &mut [u8]) -> Result<Step<Self::Event>, Self::Error>;

    /// Returns the length of the part of a message that the next record holds, if all of that record
    /// is there and [`open_into`](Self::open_into) can open it.
    fn part_ahead(&self, _stream: &[u8]) -> Option<usize> {
        None
    }

    /// Opens the record at the start of `stream` like [`open`](Self::open), but writes its plaintext
    /// to `target`, so that the parts of a long message need not be copied together.
    ///
    /// `None` if that is not possible, and nothing has changed then: [`open`](Self::open) it. What a
    /// step says about plaintext is about `target`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). Nothing in `target` may then be used.
    fn open_into(
        &mut self,
        _stream: &[u8],
        _target: &mut [u8],
    ) -> Result<Option<Step<Self::Event>>, Self::Error> {
        Ok(None)
    }

    /// Returns where the next message of `region` lies in it, `None` behind the last one.
    /// `region` is what [`Step::Packed`] named, and must be walked to its end before the next
    /// record can be opened.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). Messages that were given before stay good.
    fn next_packed(&mut self, region: &[u8]) -> Result<Option<Range<usize>>, Self::Error>;

    /// Does what [`next_packed`](Self::next_packed) does where that takes no more than a look at the
    /// next byte or two: `None` for the last message too, and for what is wrong. Nothing has changed
    /// then.
    #[inline]
    fn next_short(&mut self, _region: &[u8]) -> Option<Range<usize>> {
        None
    }

    /// Says what it means that the stream ends here, with `unconsumed` bytes left.
    ///
    /// # Errors
    ///
    /// That it must not end here, or that it failed before.
    fn finish(&self, unconsumed: usize) -> Result<End, Self::Error>;
}
