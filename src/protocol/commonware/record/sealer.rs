//! Outgoing records.
//!
//! A record is written straight to where it will be sent from: either from
//! the message elsewhere ([`Sealer::seal`]), or around a message that already
//! lies at its place ([`Sealer::seal_in_place`]). All checks come before the
//! first nonce is used, so a refused message costs nothing. A batch is plain
//! repetition: ask [`Sealer::sealed_len`] for every message first, then seal
//! them one behind the other.

use super::counter::Counter;
use super::{CupsVersion, SealError, V1_HEADER_LEN};
use crate::protocol::RecordCounts;
use crate::protocol::cipher::{Aead, AeadError, DefaultAead, TAG_LEN};
use crate::protocol::layout::{Draft, Outgoing, Place, Planned};
use crate::protocol::secret::wipe_stack;
use crate::protocol::varint;
use core::fmt;
use core::ops::DerefMut;

/// Seals messages into records, one direction of one connection.
pub struct Sealer<A: Aead = DefaultAead> {
    cipher: A,
    nonces: Counter,
    version: CupsVersion,
    max_message_size: u32,
    closed: bool,
}

impl<A: Aead> Sealer<A> {
    /// The caller has checked the limit.
    pub(in crate::protocol) const fn new(
        cipher: A,
        version: CupsVersion,
        max_message_size: u32,
    ) -> Self {
        Self {
            cipher,
            nonces: Counter::new(),
            version,
            max_message_size,
            closed: false,
        }
    }

    #[cfg(test)]
    pub(super) fn starting_at(mut self, position: u128) -> Self {
        self.nonces = Counter::starting_at(position);
        self
    }

    /// Returns how many records there were.
    pub(crate) fn counts(&self) -> RecordCounts {
        let each = match self.version {
            CupsVersion::V0 => 1,
            CupsVersion::V1 => 2,
        };
        RecordCounts {
            records: u64::try_from(self.nonces.given() / each).unwrap_or(u64::MAX),
            updates: 0,
        }
    }

    /// The limit for the plaintext of one message, in bytes.
    #[must_use]
    pub const fn max_message_size(&self) -> u32 {
        self.max_message_size
    }

    /// Where the message starts within its record, for a message of
    /// `message_len` bytes within the limit.
    #[inline]
    #[must_use]
    pub const fn header_len(&self, message_len: usize) -> usize {
        match self.version {
            CupsVersion::V0 => varint::len_u64((message_len as u64).saturating_add(TAG_LEN as u64)),
            CupsVersion::V1 => V1_HEADER_LEN,
        }
    }

    /// Length of the record for a message of `message_len` bytes.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLarge`].
    #[inline]
    pub fn sealed_len(&self, message_len: usize) -> Result<usize, SealError> {
        let too_large = SealError::TooLarge {
            length: message_len,
            limit: self.max_message_size,
        };
        if message_len as u64 > u64::from(self.max_message_size) {
            return Err(too_large);
        }
        // Overflows only where a `usize` has 32 bits.
        message_len
            .checked_add(self.header_len(message_len) + TAG_LEN)
            .ok_or(too_large)
    }

    /// Seals `message` to the start of `record` and gives the record's length.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLarge`] and [`SealError::NoRoom`] leave the sealer as
    /// it was. After [`SealError::Failed`] the content of `record` must not be
    /// sent, and each later call gives [`SealError::Closed`].
    #[inline]
    pub fn seal(&mut self, message: &[u8], record: &mut [u8]) -> Result<usize, SealError> {
        self.check_live()?;
        let record_len = self.sealed_len(message.len())?;
        self.seal_record(message, record_len, record)?;
        Ok(record_len)
    }

    /// Seals the message of `message_len` bytes that lies in `record` from
    /// [`header_len`](Self::header_len) on.
    ///
    /// The record takes the first [`sealed_len`](Self::sealed_len) bytes.
    ///
    /// # Errors
    ///
    /// As [`seal`](Self::seal).
    #[inline]
    pub fn seal_in_place(
        &mut self,
        message_len: usize,
        record: &mut [u8],
    ) -> Result<(), SealError> {
        self.check_live()?;
        let record_len = self.sealed_len(message_len)?;
        self.seal_record_in_place(message_len, record_len, record)
    }

    /// Seals a message whose size was checked to the first `record_len` bytes of `buffer`.
    #[inline]
    fn seal_record(
        &mut self,
        message: &[u8],
        record_len: usize,
        buffer: &mut [u8],
    ) -> Result<(), SealError> {
        let (header, body) = split(message.len(), record_len, buffer)?;
        self.run(message.len(), header, |cipher, nonce| {
            cipher.seal(nonce, message, body)
        })
    }

    /// Does so with a message that lies at its place in `buffer`.
    #[inline]
    fn seal_record_in_place(
        &mut self,
        message_len: usize,
        record_len: usize,
        buffer: &mut [u8],
    ) -> Result<(), SealError> {
        let (header, body) = split(message_len, record_len, buffer)?;
        self.run(message_len, header, |cipher, nonce| {
            cipher.seal_in_place(nonce, body)
        })
    }

    #[inline]
    const fn check_live(&self) -> Result<(), SealError> {
        if self.closed {
            return Err(SealError::Closed);
        }
        Ok(())
    }

    /// Writes the header, lets `seal_body` do the rest, and closes if either
    /// fails.
    #[inline]
    fn run(
        &mut self,
        message_len: usize,
        header: &mut [u8],
        seal_body: impl FnOnce(&mut A, &[u8; 12]) -> Result<(), AeadError>,
    ) -> Result<(), SealError> {
        // Set first, so that a panic in between closes as well.
        self.closed = true;
        self.write_header(message_len, header)
            .ok_or(SealError::Failed)?;
        let nonce = self.nonces.take().ok_or(SealError::Failed)?;
        seal_body(&mut self.cipher, &nonce).map_err(|_| SealError::Failed)?;
        self.closed = false;
        Ok(())
    }

    #[inline]
    fn write_header(&mut self, message_len: usize, header: &mut [u8]) -> Option<()> {
        match self.version {
            CupsVersion::V0 => {
                let mut bytes = [0; varint::MAX_U64_LEN];
                let len = varint::encode_u64((message_len + TAG_LEN) as u64, &mut bytes);
                let bytes = bytes.get(..len)?;
                (header.len() == len).then(|| header.copy_from_slice(bytes))?;
            }
            CupsVersion::V1 => {
                let length = u32::try_from(message_len).ok()?.to_be_bytes();
                let nonce = self.nonces.take()?;
                self.cipher.seal(&nonce, &length, header).ok()?;
            }
        }
        Some(())
    }
}

/// Each message is sealed as it is appended.
impl<A: Aead> Outgoing for Sealer<A> {
    type Error = SealError;

    #[inline]
    fn plan(&self, length: usize) -> Result<Planned, SealError> {
        let room = self.sealed_len(length)?;
        Ok(Planned::new(length, room, false))
    }

    #[inline]
    fn append<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
        message: &[u8],
    ) -> Result<(), SealError> {
        self.check_live()?;
        if message.len() != planned.length() {
            return Err(SealError::LengthMismatch {
                length: message.len(),
                planned: planned.length(),
            });
        }
        self.seal_record(message, planned.room(), draft.behind_sealed())?;
        draft.seal_up(planned.room());
        Ok(())
    }

    #[inline]
    fn reserve<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
    ) -> Result<Place, SealError> {
        let room = draft.behind_sealed().len();
        if room < planned.room() {
            let needed = planned.room();
            return Err(SealError::NoRoom { needed, room });
        }
        let start = draft.sealed_len() + self.header_len(planned.length());
        Ok(Place::new(planned, start..start + planned.length()))
    }

    fn shorten<B: DerefMut<Target = [u8]>>(
        &self,
        draft: &mut Draft<B>,
        place: &mut Place,
        length: usize,
    ) -> usize {
        let length = length.min(place.planned().length());
        let header = self.header_len(length);
        let planned = Planned::new(length, header + length + TAG_LEN, false);
        let start = draft.sealed_len() + header;
        draft.shorten(place, planned, start)
    }

    #[inline]
    fn append_reserved<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        place: Place,
    ) -> Result<(), SealError> {
        let planned = place.planned();
        if place.start() != draft.sealed_len() + self.header_len(planned.length()) {
            return Err(SealError::Moved);
        }
        self.check_live()?;
        self.seal_record_in_place(planned.length(), planned.room(), draft.behind_sealed())?;
        draft.seal_up(planned.room());
        Ok(())
    }

    #[inline]
    fn finish<B: DerefMut<Target = [u8]>>(&mut self, _: &mut Draft<B>) -> Result<(), SealError> {
        Ok(())
    }
}

/// The header and the body of a record, at the start of `buffer`.
#[inline]
fn split(
    message_len: usize,
    record_len: usize,
    buffer: &mut [u8],
) -> Result<(&mut [u8], &mut [u8]), SealError> {
    let room = buffer.len();
    let no_room = SealError::NoRoom {
        needed: record_len,
        room,
    };
    let record = buffer.get_mut(..record_len).ok_or(no_room)?;
    // Another sealer's plan would leave room for another header.
    record_len
        .checked_sub(TAG_LEN)
        .and_then(|end| end.checked_sub(message_len))
        .and_then(|header_len| record.split_at_mut_checked(header_len))
        .ok_or(SealError::Failed)
}

/// Wipes what sealing left of the key on the stack.
impl<A: Aead> Drop for Sealer<A> {
    fn drop(&mut self) {
        wipe_stack();
    }
}

impl<A: Aead> fmt::Debug for Sealer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("cipher", &A::name())
            .field("version", &self.version)
            .field("max_message_size", &self.max_message_size)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
