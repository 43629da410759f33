//! The four bytes in front of every record (NATIVE section 4).

use super::OpenError;
use crate::protocol::cipher::TAG_LEN;

/// Length of a header, in bytes.
pub(super) const HEADER_LEN: usize = 4;

/// How much longer a record is than its body.
pub(super) const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole messages behind each other.
    Packed,
    /// One whole message, or the last part of one.
    Message,
    /// A part of a message that goes on.
    Part,
    /// A control frame.
    Control,
    /// One of the first three, longer than it needs to be, or nothing.
    Padded,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Packed => 0,
            Self::Message => 1,
            Self::Part => 2,
            Self::Control => 3,
            Self::Padded => 4,
        }
    }

    /// In a word, for logs.
    const fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Message => "message",
            Self::Part => "part",
            Self::Control => "control",
            Self::Padded => "padded",
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Packed,
            Self::Message,
            Self::Part,
            Self::Control,
            Self::Padded,
        ]
        .into_iter()
        .find(|kind| kind.byte() == byte)
    }

    /// Kind and length, as they stand in front of a record and inside a Padded body. `length`
    /// has 24 bits.
    #[inline]
    pub(super) fn with_length(self, length: usize) -> [u8; HEADER_LEN] {
        debug_assert!(length < 1 << 24);
        let [.., high, middle, low] = length.to_be_bytes();
        [self.byte(), high, middle, low]
    }
}

/// The lower 24 bits.
#[inline]
pub(super) fn length_of(bytes: [u8; HEADER_LEN]) -> usize {
    let [_, high, middle, low] = bytes;
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

/// Returns the kind in a word and the length in bytes, header included, of the record at the start of
/// `stream`: what a log shows of it.
pub(crate) fn describe(stream: &[u8]) -> Option<(&'static str, usize)> {
    let header = stream.first_chunk()?;
    let kind = Kind::from_byte(header[0]).map_or("unknown", Kind::name);
    Some((kind, HEADER_LEN + length_of(*header)))
}

/// A header that was looked at, not yet authenticated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Length of the body, without the tag.
    pub(super) body_len: usize,
}

impl Header {
    /// Reads the header at the start of `stream`; `None` while it is not complete.
    ///
    /// # Errors
    ///
    /// [`OpenError::UnknownKind`] at the first byte, and [`OpenError::RecordLength`] if the body
    /// is above `record_limit` or shorter than nothing.
    #[inline]
    pub(super) fn read(stream: &[u8], record_limit: usize) -> Result<Option<Self>, OpenError> {
        let Some(&first) = stream.first() else {
            return Ok(None);
        };
        let kind = Kind::from_byte(first).ok_or(OpenError::UnknownKind { kind: first })?;
        let Some(bytes) = stream.first_chunk() else {
            return Ok(None);
        };
        let length = length_of(*bytes);
        let body_len = length
            .checked_sub(TAG_LEN)
            .filter(|body_len| *body_len <= record_limit)
            .ok_or(OpenError::RecordLength {
                length,
                limit: record_limit + TAG_LEN,
            })?;
        Ok(Some(Self { kind, body_len }))
    }
}
