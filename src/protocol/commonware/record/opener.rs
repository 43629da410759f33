//! Incoming records.
//!
//! [`Opener::open`] looks at the start of what has arrived and either opens
//! one message in place or says how many bytes it needs before it can go on.
//! The caller keeps the bytes; the opener remembers only what it consumed of
//! a record that is not complete: V1's header, because its nonce is spent.
//! The announced length is checked against the limit before the body is asked
//! for, so the limit bounds the buffer.

use super::counter::Counter;
use super::{CupsVersion, MAX_MESSAGE_SIZE, OpenError, V1_HEADER_LEN};
use crate::protocol::RecordCounts;
use crate::protocol::cipher::{Aead, DefaultAead, TAG_LEN};
use crate::protocol::layout::{End, Incoming, Step};
use crate::protocol::secret::wipe_stack;
use crate::protocol::varint;
use core::convert::Infallible;
use core::fmt;
use core::ops::Range;

/// How much of a length in V0 is the tag.
const V0_TAG_LEN: u32 = u32::MAX - MAX_MESSAGE_SIZE;
const _: () = assert!(V0_TAG_LEN as usize == TAG_LEN);

/// Opens records into messages, one direction of one connection.
pub struct Opener<A: Aead = DefaultAead> {
    cipher: A,
    nonces: Counter,
    version: CupsVersion,
    max_message_size: u32,
    /// Length of the message whose header was consumed (V1 only).
    announced: Option<u32>,
    /// Whether no record was opened yet.
    first: bool,
    closed: bool,
}

/// What one call to [`Opener::open`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes must arrive.
    Incomplete {
        /// How many bytes at the start of the stream are done with.
        consumed: usize,
        /// How many bytes, counted after those, must be there in all before
        /// another call can do something.
        needed: usize,
    },
    /// One message was opened.
    Message {
        /// Where it lies in the stream that was given.
        plaintext: Range<usize>,
        /// How many bytes at the start of the stream are done with, the
        /// message included.
        consumed: usize,
    },
}

impl<A: Aead> Opener<A> {
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
            announced: None,
            first: true,
            closed: false,
        }
    }

    #[cfg(test)]
    pub(super) fn starting_at(mut self, position: u128) -> Self {
        self.nonces = Counter::starting_at(position);
        self.first = position == 0;
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

    /// Opens the record at the start of `stream`, in place.
    ///
    /// `stream` starts at the first byte that was not consumed by earlier
    /// calls and may hold any number of bytes, several records too. Apart
    /// from the message that is given out, consumed bytes have no meaning.
    ///
    /// # Errors
    ///
    /// Any [`OpenError`] but `Truncated`. It surfaces at the byte that decides
    /// it and is final: each later call gives [`OpenError::Closed`]. Nothing
    /// in `stream` may then be used.
    #[inline]
    pub fn open(&mut self, stream: &mut [u8]) -> Result<Progress, OpenError> {
        if self.closed {
            return Err(OpenError::Closed);
        }
        // Set first, so that a panic in between closes as well.
        self.closed = true;
        let result = match self.version {
            CupsVersion::V0 => self.open_v0(stream),
            CupsVersion::V1 => self.open_v1(stream),
        };
        self.closed = result.is_err();
        result
    }

    /// Says whether the stream may end here, with `unconsumed` bytes left.
    ///
    /// Even a good end proves nothing: anybody on the way can cut a connection
    /// between two records.
    ///
    /// # Errors
    ///
    /// [`OpenError::Truncated`] within a record and [`OpenError::Closed`]
    /// after an error.
    pub const fn finish(&self, unconsumed: usize) -> Result<(), OpenError> {
        if self.closed {
            return Err(OpenError::Closed);
        }
        if unconsumed > 0 || self.announced.is_some() {
            return Err(OpenError::Truncated);
        }
        Ok(())
    }

    #[inline]
    fn open_v0(&mut self, stream: &mut [u8]) -> Result<Progress, OpenError> {
        let Some((sealed_len, header_len)) = varint::decode_u32(stream)? else {
            return Ok(Progress::Incomplete {
                consumed: 0,
                needed: stream.len() + 1,
            });
        };
        // A length below a tag is waited for and then fails like any forgery.
        if let Some(message_len) = sealed_len.checked_sub(V0_TAG_LEN)
            && message_len > self.max_message_size
        {
            return Err(self.too_large(message_len));
        }
        self.open_body(stream, 0, header_len, sealed_len as usize)
    }

    #[inline]
    fn open_v1(&mut self, stream: &mut [u8]) -> Result<Progress, OpenError> {
        let (message_len, consumed) = match self.announced {
            Some(announced) => (announced, 0),
            None => {
                let Some(header) = stream.first_chunk_mut::<V1_HEADER_LEN>() else {
                    return Ok(Progress::Incomplete {
                        consumed: 0,
                        needed: V1_HEADER_LEN,
                    });
                };
                let message_len = self.open_header(header)?;
                self.announced = Some(message_len);
                (message_len, V1_HEADER_LEN)
            }
        };
        let sealed_len = (message_len as usize).saturating_add(TAG_LEN);
        self.open_body(stream, consumed, consumed, sealed_len)
    }

    /// Opens V1's header and checks the length in it.
    #[inline]
    fn open_header(&mut self, header: &mut [u8; V1_HEADER_LEN]) -> Result<u32, OpenError> {
        self.open_sealed(header)?;
        let [a, b, c, d, ..] = *header;
        let message_len = u32::from_be_bytes([a, b, c, d]);
        if message_len > self.max_message_size {
            return Err(self.too_large(message_len));
        }
        Ok(message_len)
    }

    /// Opens the body of `sealed_len` bytes from `start` on, if it is there;
    /// `consumed` bytes are done with even if it is not.
    #[inline]
    fn open_body(
        &mut self,
        stream: &mut [u8],
        consumed: usize,
        start: usize,
        sealed_len: usize,
    ) -> Result<Progress, OpenError> {
        // Saturates only where a `usize` has 32 bits, and is then never met.
        let end = start.saturating_add(sealed_len);
        let Some(body) = stream.get_mut(start..end) else {
            return Ok(Progress::Incomplete {
                consumed,
                needed: end - consumed,
            });
        };
        self.open_sealed(body)?;
        self.announced = None;
        self.first = false;
        Ok(Progress::Message {
            plaintext: start..end - TAG_LEN,
            consumed: end,
        })
    }

    #[inline]
    fn open_sealed(&mut self, sealed: &mut [u8]) -> Result<(), OpenError> {
        let opened = self
            .nonces
            .take()
            .is_some_and(|nonce| self.cipher.open_in_place(&nonce, sealed).is_ok());
        match (opened, self.first) {
            (true, _) => Ok(()),
            (false, true) => Err(OpenError::FailedFirst),
            (false, false) => Err(OpenError::Failed),
        }
    }

    const fn too_large(&self, length: u32) -> OpenError {
        OpenError::TooLarge {
            length,
            limit: self.max_message_size,
        }
    }
}

/// One message per record.
impl<A: Aead> Incoming for Opener<A> {
    type Event = Infallible;
    type Error = OpenError;

    #[inline]
    fn open(&mut self, stream: &mut [u8]) -> Result<Step<Infallible>, OpenError> {
        Ok(match Self::open(self, stream)? {
            Progress::Incomplete { consumed, needed } => Step::Incomplete { consumed, needed },
            Progress::Message {
                plaintext,
                consumed,
            } => Step::Message {
                plaintext,
                consumed,
            },
        })
    }

    #[inline]
    fn next_packed(&mut self, _: &[u8]) -> Result<Option<Range<usize>>, OpenError> {
        Ok(None)
    }

    fn finish(&self, unconsumed: usize) -> Result<End, OpenError> {
        Self::finish(self, unconsumed).map(|()| End::Unauthenticated)
    }
}

/// Wipes what opening left of the key on the stack.
impl<A: Aead> Drop for Opener<A> {
    fn drop(&mut self) {
        wipe_stack();
    }
}

impl<A: Aead> fmt::Debug for Opener<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("cipher", &A::name())
            .field("version", &self.version)
            .field("max_message_size", &self.max_message_size)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
