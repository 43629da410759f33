//! How long the bodies of records get: within the peer's limit, padded or as they are.

use super::header::{HEADER_LEN, Kind, OVERHEAD};
use super::{PADDED_PREFIX_LEN, SealOptions, direction};
use crate::protocol::cipher::TAG_LEN;
use crate::protocol::native::Settings;

/// The rule for the bodies of one direction.
#[derive(Debug)]
pub(super) struct Bodies {
    /// The peer's record limit.
    limit: usize,
    /// The step that bodies are padded to.
    step: Option<usize>,
}

/// What a message in records of its own comes to.
pub(super) struct Extent {
    /// Bytes of the records.
    pub(super) length: usize,
    /// What they count against the key.
    pub(super) blocks: u64,
}

impl Bodies {
    pub(super) fn new(theirs: &Settings, options: &SealOptions) -> Self {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            // Fits where memory can hold a record.
            limit: size(theirs.record_limit()),
            step: options.padding.map(|step| size(step.get())),
        }
    }

    /// The longest body.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn are_padded(&self) -> bool {
        self.step.is_some()
    }

    /// Bytes of a body in front of its content.
    #[inline]
    pub(super) const fn prefix_len(&self) -> usize {
        if self.are_padded() {
            PADDED_PREFIX_LEN
        } else {
            0
        }
    }

    /// The longest content of one record.
    #[inline]
    pub(super) const fn content_limit(&self) -> usize {
        self.limit - self.prefix_len()
    }

    /// How long the body gets for `content_len` bytes, which are within the content limit.
    #[inline]
    pub(super) fn body_len(&self, content_len: usize) -> usize {
        let Some(step) = self.step else {
            return content_len;
        };
        content_len
            .saturating_add(PADDED_PREFIX_LEN)
            .checked_next_multiple_of(step)
            .unwrap_or(usize::MAX)
            .min(self.limit)
    }

    /// The longest content of a record that takes `room` bytes at most.
    pub(super) fn content_within(&self, room: usize) -> Option<usize> {
        let body_len = room.checked_sub(OVERHEAD)?.min(self.limit);
        match self.step {
            None => Some(body_len),
            Some(_) if body_len == self.limit => Some(self.content_limit()),
            Some(step) => (body_len - body_len % step).checked_sub(PADDED_PREFIX_LEN),
        }
    }

    /// What a message of `length` bytes takes in records of its own; `None` if that is more than
    /// can be counted.
    pub(super) fn extent(&self, length: usize) -> Option<Extent> {
        let limit = self.content_limit();
        let parts = length.saturating_sub(1) / limit;
        let (part, last) = (self.body_len(limit), self.body_len(length - parts * limit));
        Some(Extent {
            length: parts
                .checked_mul(part + OVERHEAD)?
                .checked_add(last + OVERHEAD)?,
            blocks: parts as u64 * direction::blocks(part) + direction::blocks(last),
        })
    }

    /// Completes the body of `record` around content that ends at `end`, and returns the kind that
    /// the record then has.
    #[inline]
    pub(super) fn complete(&self, kind: Kind, end: usize, record: &mut [u8]) -> Option<Kind> {
        if !self.are_padded() {
            return Some(kind);
        }
        let (_, body) = record.split_at_mut_checked(HEADER_LEN)?;
        let end = end.checked_sub(HEADER_LEN)?;
        *body.first_chunk_mut()? = kind.with_length(end.checked_sub(PADDED_PREFIX_LEN)?);
        // Whoever had the buffer before, its bytes are not for the peer.
        let filling = end..body.len().checked_sub(TAG_LEN)?;
        body.get_mut(filling)?.fill(0);
        Some(Kind::Padded)
    }
}
